/* What the checks of algorithms are made of: studies that are played, asking, telling, and what
 * is looked at.  Other rooms do not include this. */
#ifndef ASSAY_SUGGEST_CONFORMANCE_INTERNAL_H
#define ASSAY_SUGGEST_CONFORMANCE_INTERNAL_H

#include "common/clock.h"
#include "schemas/space.h"
#include "suggest/conformance.h"
#include "suggest/proposer.h"

#define ASSAY__CHECK_BATCH_MAX 50

/* --- what is played */

enum assay__outcomes {
    ASSAY__OUTCOMES_MIXED, /* values, some missing, every final state, some trials stay pending */
    ASSAY__OUTCOMES_CONSTANT,   /* always the same value */
    ASSAY__OUTCOMES_NOT_FINITE, /* nan, inf, -inf among the values of succeeded trials */
    ASSAY__OUTCOMES_REGIONS,    /* half of the space is infeasible */
    ASSAY__OUTCOMES_ALL_FAILED,
    ASSAY__OUTCOMES_SMOOTH, /* all succeed; two objectives disagree; constraints cut a part off */
};

struct assay__scenario {
    const char *name;
    const char *parameters; /* JSON with ' for "; NULL: `wide` mixed ones */
    enum assay__outcomes outcomes;
    size_t wide;
    size_t objectives, constraints; /* 0 = one, none */
    uint64_t cap;                   /* refused without it */
    bool is_long;
};

#define ASSAY__MIXED_SPACE                                                                         \
    "[{'name':'lr','type':'double','min':1e-5,'max':1,'scale':'log'},"                             \
    "{'name':'units','type':'int','min':8,'max':512,'scale':'log'},"                               \
    "{'name':'drop','type':'double','min':0,'max':0.6,'step':0.1},"                                \
    "{'name':'batch','type':'discrete','values':[16,32,64,128]},"                                  \
    "{'name':'opt','type':'categorical','values':['sgd','adam','lion']},"                          \
    "{'name':'flag','type':'bool'}]"

/* One check under way. */
struct assay__check {
    const struct assay_plugin_algorithm *algorithm;
    const struct assay_conformance_limits *limits;
    struct assay_conformance_result *result;
    int64_t start_us;
};

/* --- what came of it; both always false, the first fault counts */
bool assay__check_fail(struct assay__check *check, const char *format, ...) ASSAY_PRINTF(2, 3);
bool assay__check_refuse(struct assay__check *check, const char *format, ...) ASSAY_PRINTF(2, 3);
/* Whether its time is over, and it goes on with fewer trials. */
bool assay__check_is_late(const struct assay__check *check);

/* --- specifications */
/* JSON written with ' for "; our own texts, so it is well-formed. */
json_t *assay__check_json(const char *text);
json_t *assay__check_spec(const struct assay__check *check, const struct assay__scenario *scenario,
                          uint64_t seed);
/* NULL, with the check refused or failed, when the algorithm does not start. */
struct assay_proposer *assay__check_open(struct assay__check *check, json_t *spec);
struct assay_space *assay__check_space(const json_t *spec);

/* --- asking and telling */
bool assay__check_tell(struct assay__check *check, struct assay_proposer *proposer,
                       const json_t *trials);
bool assay__check_tell_one(struct assay__check *check, struct assay_proposer *proposer,
                           json_t *trial);
/* The suggestions for `n` numbers (ASSAY__CHECK_BATCH_MAX at most) from `first` on; NULL when it
 * failed. */
json_t *assay__check_ask(struct assay__check *check, struct assay_proposer *proposer, int64_t first,
                         size_t n, bool *ret_exhausted);
/* Whether both answers are the same; takes both. */
bool assay__check_same(struct assay__check *check, json_t *one, json_t *other, const char *when);
/* A point of the space by the decoder of studies, and the same after encoding. */
bool assay__check_point(struct assay__check *check, const struct assay_space *space,
                        const json_t *parameters);
/* None of those seen, which it joins. */
bool assay__check_unseen(struct assay__check *check, json_t *seen, const json_t *parameters);
bool assay__check_budget(struct assay__check *check, const json_t *spec, const json_t *trial);
/* Tells the history in pieces of another size to a new instance, which must then answer like
 * the one that has lived through it. */
bool assay__check_replay(struct assay__check *check, json_t *spec, const json_t *history,
                         int64_t number, json_t *expected, size_t piece);
/* One that decides on budgets may wait for running trials, with points left. */
bool assay__check_may_wait(const struct assay__check *check);
/* There is no new trial in the answer, which is its right. */
bool assay__check_is_waiting(const struct assay__check *check, const json_t *trial);

/* --- what becomes of a trial */
/* Adds what the trial ended with to the suggestion. */
void assay__check_end_trial(const struct assay__scenario *scenario, json_t *trial);
void assay__check_set_state(json_t *trial, const char *state);

/* What is allocated now.  Sanitizers have a heap of their own and leave this at 0. */
int64_t assay__check_heap_bytes(void);

/* --- checks of another make (conformance_checks.c) */
bool assay__check_users_points(struct assay__check *check);
bool assay__check_batches(struct assay__check *check);
bool assay__check_order(struct assay__check *check);
bool assay__check_two_studies(struct assay__check *check);
bool assay__check_stop(struct assay__check *check);
bool assay__check_time(struct assay__check *check);
bool assay__check_memory(struct assay__check *check);

#endif
