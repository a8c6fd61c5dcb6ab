#include "api/analysis_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#define ANSWERS 32
#define AT_ONCE_MAX 2 /* of the read threads */
#define SLOW_US (50 * INT64_C(1000))
#define STALE_TIMES 20
#define LATER_US (20 * INT64_C(1000)) /* when others are at work */
#define STALE_MAX_US (10 * ASSAY_SECOND_US)

struct answer {
    int64_t study_id;
    char *question; /* NULL: the place is free */
    uint64_t version;
    bool final;                         /* the study had ended when it was worked out */
    json_t *json;                       /* NULL: there is none yet */
    bool at_work;                       /* someone works it out */
    int64_t began_us, took_us, used_us; /* monotonic */
};

struct assay_analysis_cache {
    pthread_mutex_t lock;
    struct answer answers[ANSWERS];
    size_t at_work;
};

struct assay_analysis_cache *
assay_analysis_cache_new(void)
{
    struct assay_analysis_cache *cache = ASSAY_NEW(struct assay_analysis_cache);

    pthread_mutex_init(&cache->lock, NULL);
    return cache;
}

struct assay_analysis_cache *
assay_analysis_cache_free(struct assay_analysis_cache *cache)
{
    if (cache == NULL)
        return NULL;
    for (size_t i = 0; i < ANSWERS; i++) {
        json_decref(cache->answers[i].json);
        free(cache->answers[i].question);
    }
    pthread_mutex_destroy(&cache->lock);
    free(cache);
    return NULL;
}

static struct answer *
find(struct assay_analysis_cache *cache, const struct assay_analysis_key *key)
{
    for (size_t i = 0; i < ANSWERS; i++) {
        struct answer *answer = &cache->answers[i];

        if (answer->question != NULL && answer->study_id == key->study_id &&
            strcmp(answer->question, key->question) == 0)
            return answer;
    }
    return NULL;
}

/* The place used longest ago; there are more places than can be at work. */
static struct answer *
make_place(struct assay_analysis_cache *cache, const struct assay_analysis_key *key)
{
    struct answer *oldest = NULL;

    for (size_t i = 0; i < ANSWERS; i++) {
        struct answer *answer = &cache->answers[i];

        if (!answer->at_work && (oldest == NULL || answer->used_us < oldest->used_us))
            oldest = answer;
    }
    ASSAY_ASSERT(oldest != NULL);
    json_decref(oldest->json);
    free(oldest->question);
    *oldest = (struct answer){.study_id = key->study_id, .question = assay_strdup(key->question)};
    return oldest;
}

/* How long from now the answer need not be worked out again though trials have come. */
static int64_t
rest_us(const struct answer *answer, int64_t now_us)
{
    int64_t stale_us = ASSAY_MIN(answer->took_us * STALE_TIMES, STALE_MAX_US);

    return answer->json != NULL ? answer->began_us + answer->took_us + stale_us - now_us : 0;
}

static bool
is_good(const struct answer *answer, const struct assay_analysis_key *key, int64_t now_us)
{
    if (answer->json == NULL)
        return false;
    /* The end is in the store a moment before the version tells of it. */
    if (answer->version == key->version && (answer->final || !key->final))
        return true;
    return !key->final && !key->patient && answer->took_us >= SLOW_US &&
           rest_us(answer, now_us) > 0;
}

enum assay_analysis_turn
assay_analysis_cache_get(struct assay_analysis_cache *cache, const struct assay_analysis_key *key,
                         json_t **ret_answer, uint64_t *ret_version, int64_t *ret_later_us)
{
    enum assay_analysis_turn turn = ASSAY_ANALYSIS_LATER;
    int64_t now_us = assay_monotonic_us();
    struct answer *answer;

    pthread_mutex_lock(&cache->lock);
    *ret_later_us = LATER_US;
    answer = find(cache, key);
    if (answer != NULL && is_good(answer, key, now_us)) {
        answer->used_us = now_us;
        *ret_answer = json_deep_copy(answer->json);
        *ret_version = answer->version;
        turn = ASSAY_ANALYSIS_KNOWN;
    } else if (answer != NULL && key->patient && !key->final && rest_us(answer, now_us) > 0) {
        *ret_later_us = rest_us(answer, now_us);
    } else if (cache->at_work < AT_ONCE_MAX && (answer == NULL || !answer->at_work)) {
        if (answer == NULL)
            answer = make_place(cache, key);
        answer->at_work = true;
        answer->began_us = answer->used_us = now_us;
        cache->at_work++;
        turn = ASSAY_ANALYSIS_OURS;
    }
    pthread_mutex_unlock(&cache->lock);
    return turn;
}

void
assay_analysis_cache_put(struct assay_analysis_cache *cache, const struct assay_analysis_key *key,
                         const json_t *json)
{
    struct answer *answer;

    pthread_mutex_lock(&cache->lock);
    answer = find(cache, key);
    ASSAY_ASSERT(answer != NULL && answer->at_work);
    json_decref(answer->json);
    answer->json = json != NULL ? json_deep_copy(assay_json_unconst(json)) : NULL;
    answer->version = key->version;
    answer->final = key->final;
    answer->took_us = assay_monotonic_us() - answer->began_us;
    answer->at_work = false;
    cache->at_work--;
    pthread_mutex_unlock(&cache->lock);
}
