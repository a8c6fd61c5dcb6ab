/* What the files of the writer share. */
#ifndef ASSAY_SQL_WRITER_INTERNAL_H
#define ASSAY_SQL_WRITER_INTERNAL_H

#include "sql/changes_internal.h"
#include "sql/writer.h"

/* A submitted set in a list. */
struct assay__set {
    struct assay_changes *changes;
    assay_written_fn done;
    void *arg;
    int64_t submitted_us; /* monotonic */
    struct assay__set *next;
};

/* The writer's connection with the lock on the database; its thread's alone. */
struct assay__writer_link {
    struct assay__pg *pg;
    char *application_name; /* holds `id`: tells our own dead session from another's */
    int64_t id;             /* row of the table writer */
    int64_t batch;          /* number of the last batch sent */
    struct assay__growing *growing; /* see writer_fold.c */
};

#define ASSAY__WRITER_TIMEOUT_MS 60000

/* The statements around the sets' own. */
extern const struct assay__pg_statement *const assay__batch_statements[];
extern const size_t assay__batch_statements_count;

enum assay__lock { ASSAY__LOCK_OURS, ASSAY__LOCK_OTHERS, ASSAY__LOCK_BROKEN };

void assay__writer_link_init(struct assay__writer_link *link, const char *url);
void assay__writer_link_done(struct assay__writer_link *link);
/* Connects, takes the lock, prepares the statements, enters pipeline mode.
 * OTHERS and BROKEN leave no connection.  `ret_committed` is the number of the
 * last batch that is in the database; untouched when BROKEN. */
ASSAY_MUST_CHECK enum assay__lock assay__writer_link_open(struct assay__writer_link *link,
                                                          int64_t *ret_committed,
                                                          struct assay_error *err);

enum assay__batch {
    ASSAY__BATCH_COMMITTED,
    ASSAY__BATCH_REFUSED, /* rolled back; err says why, *ret_culprit which set */
    ASSAY__BATCH_BROKEN,  /* the connection is lost; only the marker knows */
};

/* --- writer_fold.c: summing up curves as they grow */
struct assay__growing *assay__growing_new(void);
/* Counts the new points; true when the curve should be summed up now. */
bool assay__growing_due(struct assay__growing *growing, const struct assay__growth *growth);
extern const struct assay__pg_statement assay__fold;
void assay__fold_args(struct assay__pg_args *args, const struct assay__growth *growth);

/* Sends the first `count` sets of the list as one transaction and waits for its
 * end.  `*ret_culprit` is the index of the set whose statement failed, or -1
 * when it was none of theirs. */
ASSAY_MUST_CHECK enum assay__batch assay__writer_batch(struct assay__writer_link *link,
                                                       const struct assay__set *first,
                                                       size_t count, ptrdiff_t *ret_culprit,
                                                       struct assay_error *err);
/* Removes a slice of deleted studies; `*ret_more`: there may be further ones. */
ASSAY_MUST_CHECK enum assay__batch assay__writer_purge(struct assay__writer_link *link,
                                                       bool *ret_more, struct assay_error *err);

#endif
