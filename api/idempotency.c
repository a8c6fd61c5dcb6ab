#include "api/idempotency.h"

#include <pthread.h>
#include <sys/queue.h>

#include "api/request.h"
#include "common/memory.h"

struct entry {
    char *project, *key;
    struct assay_request *waiting;
    LIST_ENTRY(entry) link;
};

#define BUCKETS 64

struct assay_keys {
    pthread_mutex_t lock;
    LIST_HEAD(bucket, entry) buckets[BUCKETS];
};

struct assay_keys *
assay_keys_new(void)
{
    struct assay_keys *keys = ASSAY_NEW(struct assay_keys);

    pthread_mutex_init(&keys->lock, NULL);
    return keys;
}

struct assay_keys *
assay_keys_free(struct assay_keys *keys)
{
    if (keys == NULL)
        return NULL;
    pthread_mutex_destroy(&keys->lock);
    free(keys);
    return NULL;
}

static size_t
bucket_of(const char *key)
{
    size_t hash = 5381;

    for (; *key != '\0'; key++)
        hash = hash * 33 + (unsigned char)*key;
    return hash % BUCKETS;
}

static struct entry *
find(struct assay_keys *keys, const struct assay_request *request)
{
    struct entry *entry;

    LIST_FOREACH (entry, &keys->buckets[bucket_of(request->idempotency_key)], link) {
        if (strcmp(entry->key, request->idempotency_key) == 0 &&
            strcmp(entry->project, request->path.project) == 0)
            return entry;
    }
    return NULL;
}

bool
assay_keys_enter(struct assay_keys *keys, struct assay_request *request)
{
    struct entry *entry;

    pthread_mutex_lock(&keys->lock);
    entry = find(keys, request);
    if (entry != NULL) {
        request->key_next = entry->waiting;
        entry->waiting = request;
    } else {
        struct entry *fresh = ASSAY_NEW(struct entry);

        fresh->key = assay_strdup(request->idempotency_key);
        fresh->project = assay_strdup(request->path.project);
        LIST_INSERT_HEAD(&keys->buckets[bucket_of(fresh->key)], fresh, link);
    }
    pthread_mutex_unlock(&keys->lock);
    return entry == NULL;
}

struct assay_request *
assay_keys_leave(struct assay_keys *keys, const struct assay_request *request)
{
    struct assay_request *waiting;
    struct entry *entry;

    pthread_mutex_lock(&keys->lock);
    entry = find(keys, request);
    ASSAY_ASSERT(entry != NULL);
    LIST_REMOVE(entry, link);
    pthread_mutex_unlock(&keys->lock);
    waiting = entry->waiting;
    free(entry->key);
    free(entry->project);
    free(entry);
    return waiting;
}
