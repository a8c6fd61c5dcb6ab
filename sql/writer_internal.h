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
    char *application_name;          /* holds `id`: tells our own dead session from another's */
    int64_t id;                      /* row of the table writer */
    int64_t batch;                   /* number of the last batch sent */
    struct assay__growing *growing;  /* see writer_fold.c */
    struct assay__all_moves moves;   /* of the batch */
    struct assay__command *commands; /* of the batch, as they were sent */
    size_t n_commands, commands_capacity;
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

/* --- writer_fold.c: curves as they grow */
struct assay__growing *assay__growing_new(void);
/* Forgets everything: another writer may have been at work. */
void assay__growing_clear(struct assay__growing *growing);
/* Whether all the new points come after the last of their curves. */
bool assay__growing_appends(const struct assay__growing *growing,
                            const struct assay__growth *growth, size_t n);
enum assay__growing_next {
    ASSAY__GROWING_NOTHING,
    ASSAY__GROWING_FOLD, /* send assay__fold: enough new points to be summed up */
    ASSAY__GROWING_ASK,  /* send assay__curve_last: its last step is not known */
};
/* Counts the new points. */
enum assay__growing_next assay__growing_add(struct assay__growing *growing,
                                            const struct assay__growth *growth);
/* The answer to assay__curve_last. */
void assay__growing_learn(struct assay__growing *growing, const struct assay__growth *growth,
                          int64_t last_step);
extern const struct assay__pg_statement assay__fold, assay__curve_last;
/* The parameters of both. */
void assay__curve_args(struct assay__pg_args *args, const struct assay__growth *growth);

/* Sends the first `count` sets of the list as one transaction and waits for its
 * end.  `*ret_culprit` is the index of the set whose statement failed, or -1
 * when it was none of theirs. */
ASSAY_MUST_CHECK enum assay__batch assay__writer_batch(struct assay__writer_link *link,
                                                       const struct assay__set *first, size_t count,
                                                       ptrdiff_t *ret_culprit,
                                                       struct assay_error *err);
/* Removes a slice of deleted studies; `*ret_more`: there may be further ones. */
ASSAY_MUST_CHECK enum assay__batch assay__writer_purge(struct assay__writer_link *link,
                                                       bool *ret_more, struct assay_error *err);

#endif
