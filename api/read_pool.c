#include "api/read_pool.h"

#include <pthread.h>

#include "common/memory.h"

struct assay_read_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct assay_job *first, **last;
    size_t waiting, waiting_max;
    bool ending;
    char *database_url;
    pthread_t *threads;
    int n_threads;
};

static struct assay_job *
next_job(struct assay_read_pool *pool)
{
    struct assay_job *job;

    pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->ending)
        pthread_cond_wait(&pool->work, &pool->lock);
    job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        pool->waiting--;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *
thread_main(void *arg)
{
    struct assay_read_pool *pool = arg;
    struct assay_store *store = assay_store_new(pool->database_url, "assayd read");
    struct assay_job *job;

    while ((job = next_job(pool)) != NULL)
        job->run(job->arg, store);
    assay_store_free(store);
    return NULL;
}

struct assay_read_pool *
assay_read_pool_new(const char *database_url, int threads, size_t queue_max)
{
    struct assay_read_pool *pool = ASSAY_NEW(struct assay_read_pool);
    pthread_attr_t small;

    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->last = &pool->first;
    pool->waiting_max = queue_max;
    pool->database_url = assay_strdup(database_url);
    pool->threads = assay_zalloc((size_t)threads, sizeof(pthread_t));
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)512 << 10);
    for (; pool->n_threads < threads; pool->n_threads++) {
        if (pthread_create(&pool->threads[pool->n_threads], &small, thread_main, pool) != 0)
            ASSAY_BUG("a read thread can not be started");
    }
    pthread_attr_destroy(&small);
    return pool;
}

struct assay_read_pool *
assay_read_pool_free(struct assay_read_pool *pool)
{
    if (pool == NULL)
        return NULL;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_threads; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->threads);
    free(pool->database_url);
    free(pool);
    return NULL;
}

bool
assay_read_pool_submit(struct assay_read_pool *pool, struct assay_job *job, bool urgent)
{
    bool taken;

    pthread_mutex_lock(&pool->lock);
    taken = urgent || pool->waiting < pool->waiting_max;
    if (taken) {
        job->next = NULL;
        *pool->last = job;
        pool->last = &job->next;
        pool->waiting++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

size_t
assay_read_pool_waiting(struct assay_read_pool *pool)
{
    size_t waiting;

    pthread_mutex_lock(&pool->lock);
    waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}
