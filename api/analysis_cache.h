/* Answers that take a walk over all trials of a study, kept while nothing changes, and
 * so few of them worked out at a time that read threads are left for the others.
 *
 * An answer of more than 50 ms of work may be given again for 20 times as long as it took,
 * at most 10 s, though trials have come since; not once the study has ended.  Who waits
 * for changes is told of the next after 20 times as long in any case, of those that came
 * before the question, too.  Any thread. */
#ifndef ASSAY_API_ANALYSIS_CACHE_H
#define ASSAY_API_ANALYSIS_CACHE_H

#include <jansson.h>

#include "common/base.h"

struct assay_analysis_cache;

struct assay_analysis_cache *assay_analysis_cache_new(void);
struct assay_analysis_cache *assay_analysis_cache_free(struct assay_analysis_cache *cache);

struct assay_analysis_key {
    int64_t study_id;
    const char *question; /* which answer, with its settings */
    uint64_t version;     /* of the study, read before its trials are */
    bool final;           /* the study has ended */
    bool patient;         /* asked again only to see whether it has changed */
};

enum assay_analysis_turn {
    ASSAY_ANALYSIS_KNOWN, /* *ret_answer is the answer, a reference of the caller's own, and
                             *ret_version the version that it is of */
    ASSAY_ANALYSIS_OURS,  /* work it out, then assay_analysis_cache_put */
    ASSAY_ANALYSIS_LATER, /* ask again in *ret_later_us: others are at work, or it is too soon */
};
enum assay_analysis_turn assay_analysis_cache_get(struct assay_analysis_cache *cache,
                                                  const struct assay_analysis_key *key,
                                                  json_t **ret_answer, uint64_t *ret_version,
                                                  int64_t *ret_later_us);
/* Ends the turn.  `answer` is copied; NULL: it failed. */
void assay_analysis_cache_put(struct assay_analysis_cache *cache,
                              const struct assay_analysis_key *key, const json_t *answer);

#endif
