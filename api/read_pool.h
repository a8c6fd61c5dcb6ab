/* Threads that may block: each has its own connection to the database and works
 * off a common queue.  The HTTP threads and the engine hand work to them and
 * never wait.  Any thread may submit. */
#ifndef ASSAY_API_READ_POOL_H
#define ASSAY_API_READ_POOL_H

#include "sql/store.h"

struct assay_read_pool;

/* Part of the object that is worked on; one job is queued at most once at a time. */
struct assay_job {
    void (*run)(void *arg, struct assay_store *store);
    void *arg;
    struct assay_job *next;
};

struct assay_read_pool *assay_read_pool_new(const char *database_url, int threads,
                                            size_t queue_max);
/* Works off the queue, ends the threads, frees.  NULL allowed. */
struct assay_read_pool *assay_read_pool_free(struct assay_read_pool *pool);

/* False when the queue is full and the job is not `urgent` (a step of something
 * that has begun); nothing happens then. */
ASSAY_MUST_CHECK bool assay_read_pool_submit(struct assay_read_pool *pool, struct assay_job *job,
                                             bool urgent);
size_t assay_read_pool_waiting(struct assay_read_pool *pool);

#endif
