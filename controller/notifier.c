#include "controller/notifier.h"

#include <pthread.h>

#include "common/clock.h"
#include "common/memory.h"

/* A study's count of changes is its bucket's: a neighbour's change between
 * version and wait wakes once for nothing, which the contract allows.  Waits
 * already parked know their study and are woken for it alone. */
#define BUCKETS 1024

struct assay_notifier_wait {
    int64_t study_id;
    int64_t deadline_us;
    void (*fn)(void *arg, bool changed);
    void *arg;
    size_t heap_index;
    struct assay_notifier_wait *previous, *next; /* in the bucket, or in the list to be called */
};

struct bucket {
    uint64_t version;
    struct assay_notifier_wait *first;
};

struct assay_notifier {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* the nearest deadline has changed, or it is over */
    pthread_t timer;
    bool ending;
    struct bucket buckets[BUCKETS];
    struct bucket any;
    struct assay_notifier_wait **heap; /* nearest deadline first */
    size_t n_heap, heap_capacity;
};

static struct bucket *
bucket_of(struct assay_notifier *notifier, int64_t study_id)
{
    if (study_id == ASSAY_NOTIFIER_ANY)
        return &notifier->any;
    return &notifier->buckets[(uint64_t)study_id % BUCKETS];
}

static void
heap_place(struct assay_notifier *notifier, size_t index, struct assay_notifier_wait *wait)
{
    notifier->heap[index] = wait;
    wait->heap_index = index;
}

/* Moves the wait at `index` to where its deadline belongs. */
static void
heap_settle(struct assay_notifier *notifier, size_t index)
{
    struct assay_notifier_wait *wait = notifier->heap[index];

    while (index > 0 && notifier->heap[(index - 1) / 2]->deadline_us > wait->deadline_us) {
        heap_place(notifier, index, notifier->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * index + 1;

        if (child + 1 < notifier->n_heap &&
            notifier->heap[child + 1]->deadline_us < notifier->heap[child]->deadline_us)
            child++;
        if (child >= notifier->n_heap || notifier->heap[child]->deadline_us >= wait->deadline_us)
            break;
        heap_place(notifier, index, notifier->heap[child]);
        index = child;
    }
    heap_place(notifier, index, wait);
}

static void
attach(struct assay_notifier *notifier, struct assay_notifier_wait *wait)
{
    struct bucket *bucket = bucket_of(notifier, wait->study_id);

    wait->previous = NULL;
    wait->next = bucket->first;
    if (bucket->first != NULL)
        bucket->first->previous = wait;
    bucket->first = wait;
    ASSAY_GROW(notifier->heap, notifier->n_heap, notifier->heap_capacity);
    heap_place(notifier, notifier->n_heap, wait);
    notifier->n_heap++;
    heap_settle(notifier, wait->heap_index);
}

static void
detach(struct assay_notifier *notifier, struct assay_notifier_wait *wait)
{
    struct bucket *bucket = bucket_of(notifier, wait->study_id);
    size_t index = wait->heap_index;

    if (wait->previous != NULL)
        wait->previous->next = wait->next;
    else
        bucket->first = wait->next;
    if (wait->next != NULL)
        wait->next->previous = wait->previous;
    notifier->n_heap--;
    if (index != notifier->n_heap) {
        heap_place(notifier, index, notifier->heap[notifier->n_heap]);
        heap_settle(notifier, index);
    }
}

/* Takes the waits of the bucket that are for `study_id` off it, as a list. */
static struct assay_notifier_wait *
take(struct assay_notifier *notifier, struct bucket *bucket, int64_t study_id,
     struct assay_notifier_wait *taken)
{
    struct assay_notifier_wait *next;

    for (struct assay_notifier_wait *wait = bucket->first; wait != NULL; wait = next) {
        next = wait->next;
        if (wait->study_id != study_id)
            continue;
        detach(notifier, wait);
        wait->next = taken;
        taken = wait;
    }
    return taken;
}

/* Without the lock: the callbacks may come back in. */
static void
call_all(struct assay_notifier_wait *taken, bool changed)
{
    while (taken != NULL) {
        struct assay_notifier_wait *wait = taken;

        taken = wait->next;
        wait->fn(wait->arg, changed);
        free(wait);
    }
}

static struct timespec
monotonic_time(int64_t time_us)
{
    return (struct timespec){.tv_sec = (time_t)(time_us / ASSAY_SECOND_US),
                             .tv_nsec = (long)(time_us % ASSAY_SECOND_US) * 1000};
}

static void *
timer_main(void *arg)
{
    struct assay_notifier *notifier = arg;

    pthread_mutex_lock(&notifier->lock);
    while (!notifier->ending) {
        struct assay_notifier_wait *wait = notifier->n_heap > 0 ? notifier->heap[0] : NULL;

        if (wait == NULL) {
            pthread_cond_wait(&notifier->wake, &notifier->lock);
        } else if (wait->deadline_us > assay_monotonic_us()) {
            struct timespec until = monotonic_time(wait->deadline_us);

            pthread_cond_timedwait(&notifier->wake, &notifier->lock, &until);
        } else {
            detach(notifier, wait);
            wait->next = NULL;
            pthread_mutex_unlock(&notifier->lock);
            call_all(wait, false);
            pthread_mutex_lock(&notifier->lock);
        }
    }
    pthread_mutex_unlock(&notifier->lock);
    return NULL;
}

struct assay_notifier *
assay_notifier_new(void)
{
    struct assay_notifier *notifier = ASSAY_NEW(struct assay_notifier);
    pthread_condattr_t monotonic;
    pthread_attr_t small;

    pthread_mutex_init(&notifier->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&notifier->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, (size_t)256 << 10);
    if (pthread_create(&notifier->timer, &small, timer_main, notifier) != 0)
        ASSAY_BUG("the timer thread can not be started");
    pthread_attr_destroy(&small);
    return notifier;
}

struct assay_notifier *
assay_notifier_free(struct assay_notifier *notifier)
{
    if (notifier == NULL)
        return NULL;
    pthread_mutex_lock(&notifier->lock);
    notifier->ending = true;
    pthread_cond_signal(&notifier->wake);
    pthread_mutex_unlock(&notifier->lock);
    pthread_join(notifier->timer, NULL);
    assay_notifier_wake_all(notifier);
    pthread_cond_destroy(&notifier->wake);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier->heap);
    free(notifier);
    return NULL;
}

void
assay_notifier_signal(struct assay_notifier *notifier, int64_t study_id)
{
    struct assay_notifier_wait *taken = NULL;
    struct bucket *bucket = bucket_of(notifier, study_id);

    pthread_mutex_lock(&notifier->lock);
    bucket->version++;
    taken = take(notifier, bucket, study_id, taken);
    if (bucket != &notifier->any) {
        notifier->any.version++;
        taken = take(notifier, &notifier->any, ASSAY_NOTIFIER_ANY, taken);
    }
    pthread_mutex_unlock(&notifier->lock);
    call_all(taken, true);
}

uint64_t
assay_notifier_version(struct assay_notifier *notifier, int64_t study_id)
{
    uint64_t version;

    pthread_mutex_lock(&notifier->lock);
    version = bucket_of(notifier, study_id)->version;
    pthread_mutex_unlock(&notifier->lock);
    return version;
}

struct assay_notifier_wait *
assay_notifier_wait(struct assay_notifier *notifier, int64_t study_id, uint64_t version,
                    int64_t timeout_us, void (*fn)(void *arg, bool changed), void *arg)
{
    struct assay_notifier_wait *wait = NULL;
    bool changed;

    pthread_mutex_lock(&notifier->lock);
    changed = bucket_of(notifier, study_id)->version != version;
    if (!changed && timeout_us > 0) {
        wait = ASSAY_NEW(struct assay_notifier_wait);
        wait->study_id = study_id;
        wait->deadline_us = assay_monotonic_us() + timeout_us;
        wait->fn = fn;
        wait->arg = arg;
        attach(notifier, wait);
        if (wait->heap_index == 0)
            pthread_cond_signal(&notifier->wake);
    }
    pthread_mutex_unlock(&notifier->lock);
    if (wait == NULL)
        fn(arg, changed);
    return wait;
}

bool
assay_notifier_cancel(struct assay_notifier *notifier, struct assay_notifier_wait *wait)
{
    bool found = false;

    /* The handle is only compared: it may be in another thread's hands already. */
    pthread_mutex_lock(&notifier->lock);
    for (size_t i = 0; i < notifier->n_heap && !found; i++)
        found = notifier->heap[i] == wait;
    if (found)
        detach(notifier, wait);
    pthread_mutex_unlock(&notifier->lock);
    if (found)
        free(wait);
    return found;
}

void
assay_notifier_wake_all(struct assay_notifier *notifier)
{
    struct assay_notifier_wait *taken = NULL;

    pthread_mutex_lock(&notifier->lock);
    while (notifier->n_heap > 0) {
        struct assay_notifier_wait *wait = notifier->heap[notifier->n_heap - 1];

        detach(notifier, wait);
        wait->next = taken;
        taken = wait;
    }
    pthread_mutex_unlock(&notifier->lock);
    call_all(taken, true);
}

size_t
assay_notifier_waiting(struct assay_notifier *notifier)
{
    size_t waiting;

    pthread_mutex_lock(&notifier->lock);
    waiting = notifier->n_heap;
    pthread_mutex_unlock(&notifier->lock);
    return waiting;
}
