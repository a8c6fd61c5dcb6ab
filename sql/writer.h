/* The writer: one thread, one connection, group commit.
 *
 * Sets are committed in the order they were submitted; all that wait when a
 * commit ends go into the next one, so throughput follows the log's speed, not
 * the number of round trips.  When a set in a batch fails, the batch is rolled
 * back and its sets are committed one by one, so that a bad one harms itself only.
 *
 * Ownership: the connection holds a session advisory lock on the database, so
 * at most one daemon can write, without a clock: who loses the connection loses
 * the right (docs/adr/0005-single-writer.md).  When the lock is found with
 * somebody else after a reconnect, `lost` is called once and every set fails.
 *
 * In doubt: every batch updates the row `writer.batch`; after a connection lost
 * in mid-commit that row says whether the batch is there.  Sets are never
 * applied twice and an acknowledged one is never missing. */
#ifndef ASSAY_SQL_WRITER_H
#define ASSAY_SQL_WRITER_H

#include "sql/changes.h"

struct assay_writer;

/* Called on the writer's thread once per set, in order; `err` is borrowed. */
typedef void (*assay_written_fn)(void *arg, assay_status status, const struct assay_error *err);

struct assay_writer_options {
    const char *url;      /* libpq connection string or URL; copied */
    int64_t patience_us;  /* how long sets wait for a database that is away; then they fail
                             with ASSAY_E_UNAVAILABLE */
    void (*lost)(void *arg); /* another daemon has the database; writer's thread */
    void *lost_arg;
};

/* Connects, takes the lock (ASSAY_E_CONFLICT "another daemon ... " when it is
 * held for longer than `lock_wait_us`), starts the thread. */
ASSAY_MUST_CHECK assay_status assay_writer_start(const struct assay_writer_options *options,
                                                 int64_t lock_wait_us,
                                                 struct assay_writer **ret_writer,
                                                 struct assay_error *err);
/* Any thread.  Takes `changes`.  `done` may be NULL. */
void assay_writer_submit(struct assay_writer *writer, struct assay_changes *changes,
                         assay_written_fn done, void *arg);
/* Commits what waits (bounded by patience), ends the thread, frees. */
struct assay_writer *assay_writer_stop(struct assay_writer *writer);

/* Counters since the start; any thread. */
struct assay_writer_stats {
    int64_t sets, batches, failed_sets, reconnects;
    int64_t waiting;         /* sets not yet committed */
    int64_t commit_us_total; /* time spent in batches */
};
void assay_writer_get_stats(struct assay_writer *writer, struct assay_writer_stats *ret_stats);

#endif
