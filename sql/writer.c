#include "sql/writer.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "common/random.h"
#include "sql/writer_internal.h"

/* Bounds of one batch: beyond them nothing is gained, and a failure costs more. */
#define BATCH_SETS_MAX 2000
#define BATCH_BYTES_MAX (2u << 20)

#define BACKOFF_FIRST_US 10000
#define BACKOFF_MAX_US (ASSAY_SECOND_US / 2)
#define START_PAUSE_US 50000
/* Between two slices of a purge while sets keep coming. */
#define PURGE_PAUSE_US 200000

/* Sets in submission order. */
struct list {
    struct assay__set *first, **end;
    size_t count;
};

struct assay_writer {
    /* Shared, under the mutex. */
    pthread_mutex_t mutex;
    struct list submitted;
    bool stopping;
    struct assay_writer_stats stats;

    int wake; /* eventfd: something was submitted, or stop */
    pthread_t thread;
    struct assay_writer_options options;
    char *url;

    /* The thread's alone. */
    struct assay__writer_link link;
    struct list pending;
    bool connected, lost;
    size_t in_doubt;        /* first sets of pending that may be committed already … */
    int64_t in_doubt_batch; /* … as this batch */
    size_t limit;           /* sets in the next batch, at most */
    int64_t backoff_us;
    bool purge;        /* deleted studies may be left */
    int64_t purged_us; /* last slice */
    struct assay_random random;
};

static void
list_init(struct list *list)
{
    *list = (struct list){.end = &list->first};
}

static void
list_add(struct list *list, struct assay__set *set)
{
    set->next = NULL;
    *list->end = set;
    list->end = &set->next;
    list->count++;
}

static struct assay__set *
list_take(struct list *list)
{
    struct assay__set *set = list->first;

    list->first = set->next;
    if (list->first == NULL)
        list->end = &list->first;
    list->count--;
    return set;
}

/* --- the thread */

static bool
take_submitted(struct assay_writer *writer)
{
    bool stopping;

    pthread_mutex_lock(&writer->mutex);
    if (writer->submitted.first != NULL) {
        *writer->pending.end = writer->submitted.first;
        writer->pending.end = writer->submitted.end;
        writer->pending.count += writer->submitted.count;
        list_init(&writer->submitted);
    }
    stopping = writer->stopping;
    pthread_mutex_unlock(&writer->mutex);
    return stopping;
}

/* Tells the first pending set's submitter how it went. */
static void
answer_first(struct assay_writer *writer, assay_status status, const struct assay_error *err)
{
    struct assay__set *set = list_take(&writer->pending);

    if (writer->in_doubt > 0)
        writer->in_doubt--;
    if (set->changes->deletes_study && status == ASSAY_OK)
        writer->purge = true;
    pthread_mutex_lock(&writer->mutex);
    writer->stats.sets++;
    writer->stats.waiting--;
    writer->stats.failed_sets += status != ASSAY_OK;
    pthread_mutex_unlock(&writer->mutex);
    if (set->done != NULL)
        set->done(set->arg, status, status != ASSAY_OK ? err : NULL);
    assay_changes_free(set->changes);
    free(set);
}

static void
answer_committed(struct assay_writer *writer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        answer_first(writer, ASSAY_OK, NULL);
}

/* Sets that waited longer than the patience fail; the rest go on waiting. */
static void
answer_overdue(struct assay_writer *writer, const struct assay_error *why)
{
    int64_t now_us = assay_monotonic_us();

    while (writer->pending.first != NULL &&
           now_us - writer->pending.first->submitted_us >= writer->options.patience_us) {
        struct assay_error err = *why;

        err.status = ASSAY_E_UNAVAILABLE;
        if (writer->in_doubt > 0)
            assay_fail(&err, ASSAY_E_UNAVAILABLE,
                       "the database was lost while it stored this; it may be stored");
        answer_first(writer, ASSAY_E_UNAVAILABLE, &err);
    }
}

static void
answer_lost(struct assay_writer *writer)
{
    struct assay_error err = {0};

    assay_fail(&err, ASSAY_E_UNAVAILABLE, "another daemon has taken over this database");
    while (writer->pending.first != NULL)
        answer_first(writer, ASSAY_E_UNAVAILABLE, &err);
}

/* Sleeps, or until a descriptor is ready when there is no time given (< 0). */
static void
wait_for(struct assay_writer *writer, int fd, int64_t time_us)
{
    struct pollfd wait[2] = {{.fd = writer->wake, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    uint64_t count;

    if (poll(wait, 2, time_us < 0 ? -1 : (int)((time_us + 999) / 1000)) <= 0)
        return;
    if (wait[0].revents != 0 && read(writer->wake, &count, sizeof count) < 0 && errno != EAGAIN)
        ASSAY_BUG("the eventfd can not be read");
}

/* Full jitter: daemons and threads that lost the same database come back spread. */
static void
back_off(struct assay_writer *writer)
{
    uint64_t span = (uint64_t)writer->backoff_us;
    int64_t pause_us = (int64_t)(span / 2 + assay_random_below(&writer->random, span / 2 + 1));
    int64_t until_us = assay_monotonic_us() + pause_us;
    int64_t left_us;

    while ((left_us = until_us - assay_monotonic_us()) > 0) {
        struct pollfd none = {.fd = -1};

        poll(&none, 1, (int)(left_us / 1000) + 1);
    }
    writer->backoff_us = ASSAY_MIN(writer->backoff_us * 2, BACKOFF_MAX_US);
}

static void
connection_broke(struct assay_writer *writer)
{
    writer->connected = false;
    pthread_mutex_lock(&writer->mutex);
    writer->stats.reconnects++;
    pthread_mutex_unlock(&writer->mutex);
}

/* The mark tells about the batch during which the connection was lost. */
static void
resolve_doubt(struct assay_writer *writer, int64_t committed)
{
    if (writer->in_doubt > 0 && committed >= writer->in_doubt_batch)
        answer_committed(writer, writer->in_doubt);
    writer->in_doubt = 0;
}

static void
reconnect(struct assay_writer *writer)
{
    struct assay_error err = {0};
    int64_t committed = 0;

    switch (assay__writer_link_open(&writer->link, &committed, &err)) {
    case ASSAY__LOCK_OURS:
        writer->connected = true;
        writer->backoff_us = BACKOFF_FIRST_US;
        resolve_doubt(writer, committed);
        break;
    case ASSAY__LOCK_OTHERS:
        writer->lost = true;
        resolve_doubt(writer, committed);
        if (writer->options.lost != NULL)
            writer->options.lost(writer->options.lost_arg);
        break;
    case ASSAY__LOCK_BROKEN:
        answer_overdue(writer, &err);
        back_off(writer);
        break;
    }
}

static size_t
batch_size(const struct assay_writer *writer)
{
    size_t count = 0, bytes = 0;

    for (const struct assay__set *set = writer->pending.first; set != NULL && count < writer->limit;
         set = set->next) {
        bytes += set->changes->args.bytes.length;
        if (count > 0 && bytes > BATCH_BYTES_MAX)
            break;
        count++;
    }
    return count;
}

/* The batch is rolled back.  The first set of a batch failed on its own account:
 * all before it is committed.  A later one is tried again as the first of the
 * next batch, after those before it. */
static void
batch_refused(struct assay_writer *writer, size_t count, ptrdiff_t culprit,
              const struct assay_error *err)
{
    if (err->status == ASSAY_E_UNAVAILABLE) {
        /* Disk full, shutting down, deadlock: nobody's fault. */
        answer_overdue(writer, err);
        back_off(writer);
    } else if (culprit == 0 || count == 1) {
        answer_first(writer, err->status, err);
        writer->limit = BATCH_SETS_MAX;
    } else {
        writer->limit = culprit > 0 ? (size_t)culprit : 1;
    }
}

static void
commit_batch(struct assay_writer *writer)
{
    size_t count = batch_size(writer);
    int64_t start_us = assay_monotonic_us();
    struct assay_error err = {0};
    ptrdiff_t culprit = -1;
    enum assay__batch outcome =
        assay__writer_batch(&writer->link, writer->pending.first, count, &culprit, &err);

    pthread_mutex_lock(&writer->mutex);
    writer->stats.batches++;
    writer->stats.commit_us_total += assay_monotonic_us() - start_us;
    pthread_mutex_unlock(&writer->mutex);
    switch (outcome) {
    case ASSAY__BATCH_COMMITTED:
        writer->limit = BATCH_SETS_MAX;
        writer->backoff_us = BACKOFF_FIRST_US;
        answer_committed(writer, count);
        break;
    case ASSAY__BATCH_REFUSED:
        batch_refused(writer, count, culprit, &err);
        break;
    case ASSAY__BATCH_BROKEN:
        connection_broke(writer);
        writer->in_doubt = count;
        writer->in_doubt_batch = writer->link.batch;
        break;
    }
}

static void
purge_slice(struct assay_writer *writer)
{
    struct assay_error err = {0};

    writer->purged_us = assay_monotonic_us();
    switch (assay__writer_purge(&writer->link, &writer->purge, &err)) {
    case ASSAY__BATCH_COMMITTED:
        break;
    case ASSAY__BATCH_REFUSED:
        writer->purge = false; /* the next deletion or start tries again */
        break;
    case ASSAY__BATCH_BROKEN:
        connection_broke(writer);
        break;
    }
}

/* With nothing to write, a lost connection is noticed at once, not at the next set. */
static void
idle(struct assay_writer *writer)
{
    PGconn *connection = assay__pg_handle(writer->link.pg);
    struct pollfd closed = {.fd = PQsocket(connection), .events = POLLIN};

    wait_for(writer, closed.fd, -1);
    if (poll(&closed, 1, 0) > 0 &&
        (!PQconsumeInput(connection) || PQstatus(connection) != CONNECTION_OK ||
         (closed.revents & (POLLHUP | POLLERR)))) {
        assay__pg_disconnect(writer->link.pg);
        connection_broke(writer);
    }
}

static void
step(struct assay_writer *writer)
{
    bool pending = writer->pending.first != NULL;

    if (writer->lost) {
        answer_lost(writer);
        wait_for(writer, -1, -1);
    } else if (!writer->connected) {
        reconnect(writer);
    } else if (writer->purge &&
               (!pending || assay_monotonic_us() - writer->purged_us > PURGE_PAUSE_US)) {
        purge_slice(writer);
    } else if (pending) {
        commit_batch(writer);
    } else {
        idle(writer);
    }
}

static void *
run(void *arg)
{
    struct assay_writer *writer = arg;

    while (!take_submitted(writer) || (writer->pending.first != NULL && !writer->lost))
        step(writer);
    answer_lost(writer); /* nothing is left unless the database is lost */
    return NULL;
}

/* --- for the other threads */

static assay_status
first_connection(struct assay_writer *writer, int64_t lock_wait_us, struct assay_error *err)
{
    int64_t deadline_us = assay_monotonic_us() + lock_wait_us;
    int64_t committed;

    for (;;) {
        switch (assay__writer_link_open(&writer->link, &committed, err)) {
        case ASSAY__LOCK_OURS:
            return ASSAY_OK;
        case ASSAY__LOCK_OTHERS:
            if (assay_monotonic_us() >= deadline_us)
                return ASSAY_E_CONFLICT;
            usleep(START_PAUSE_US);
            break;
        case ASSAY__LOCK_BROKEN:
            return ASSAY_E_UNAVAILABLE;
        }
    }
}

static struct assay_writer *
writer_free(struct assay_writer *writer)
{
    assay__writer_link_done(&writer->link);
    close(writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->url);
    free(writer);
    return NULL;
}

assay_status
assay_writer_start(const struct assay_writer_options *options, int64_t lock_wait_us,
                   struct assay_writer **ret_writer, struct assay_error *err)
{
    struct assay_writer *writer = ASSAY_NEW(struct assay_writer);
    struct assay_error local = {0};
    assay_status status;
    int rc;

    pthread_mutex_init(&writer->mutex, NULL);
    writer->url = assay_strdup(options->url);
    writer->options = *options;
    writer->options.url = writer->url;
    writer->limit = BATCH_SETS_MAX;
    writer->backoff_us = BACKOFF_FIRST_US;
    writer->connected = true;
    writer->purge = true;
    list_init(&writer->submitted);
    list_init(&writer->pending);
    assay_random_init(&writer->random, assay_random_seed(), 0, 0);
    assay__writer_link_init(&writer->link, options->url);
    writer->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (writer->wake < 0)
        status = assay_fail_errno(&local, errno, "making an eventfd");
    else
        status = first_connection(writer, lock_wait_us, &local);
    if (status == ASSAY_OK) {
        rc = pthread_create(&writer->thread, NULL, run, writer);
        if (rc != 0)
            status = assay_fail_errno(&local, rc, "starting the writer's thread");
    }
    if (status != ASSAY_OK) {
        if (err != NULL)
            *err = local;
        writer_free(writer);
        return status;
    }
    *ret_writer = writer;
    return ASSAY_OK;
}

static void
wake_up(struct assay_writer *writer)
{
    uint64_t one = 1;

    if (write(writer->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        ASSAY_BUG("the eventfd can not be written");
}

void
assay_writer_submit(struct assay_writer *writer, struct assay_changes *changes,
                    assay_written_fn done, void *arg)
{
    struct assay__set *set = ASSAY_NEW(struct assay__set);
    bool first;

    *set = (struct assay__set){changes, done, arg, assay_monotonic_us(), NULL};
    pthread_mutex_lock(&writer->mutex);
    first = writer->submitted.first == NULL;
    list_add(&writer->submitted, set);
    writer->stats.waiting++;
    pthread_mutex_unlock(&writer->mutex);
    if (first)
        wake_up(writer);
}

struct assay_writer *
assay_writer_stop(struct assay_writer *writer)
{
    if (writer == NULL)
        return NULL;
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_mutex_unlock(&writer->mutex);
    wake_up(writer);
    pthread_join(writer->thread, NULL);
    return writer_free(writer);
}

void
assay_writer_get_stats(struct assay_writer *writer, struct assay_writer_stats *ret_stats)
{
    pthread_mutex_lock(&writer->mutex);
    *ret_stats = writer->stats;
    pthread_mutex_unlock(&writer->mutex);
}
