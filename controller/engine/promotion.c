/* Multi-fidelity: pausing the trials that have used up their budget, and letting those
 * go on that the algorithm promotes.
 *
 * What it said stands in the trial's `why`, for readers and for a restart:
 *   "promotions": [{"budget": 9, ...what the algorithm said}] */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"
#include "schemas/decode.h"

#define STRAY_MAX 3

bool
assay__promotion_pause(struct assay__trial *trial, const char *message,
                       struct assay__commit *commit)
{
    struct assay__study *study = trial->study;
    double budget = trial->row.budget;

    if (study->n_rungs == 0)
        return false;
    if (isnan(budget))
        budget = study->rungs[study->n_rungs - 1];
    (void)assay__rungs_reach(trial, budget, trial->row.value);
    if (budget >= study->rungs[study->n_rungs - 1] || study->record.state == ASSAY_STUDY_STOPPING ||
        trial->row.state != ASSAY_TRIAL_RUNNING)
        return false;
    free(trial->row.client);
    trial->row.client = NULL;
    trial->row.lease_expires_us = ASSAY_TIME_NONE;
    assay__trial_apply(trial, ASSAY_TRIAL_EVENT_PAUSE, ASSAY_TRIAL_REASON_NONE, message, commit);
    return true;
}

/* The paused trial goes on.  False with a sentence when the algorithm is wrong. */
static bool
promote(struct assay__study *study, const json_t *suggestion, struct assay__commit *commit,
        char **ret_fault)
{
    int64_t number = json_integer_value(json_object_get(suggestion, "resume"));
    struct assay__trial *trial = assay__trial_find(study, number);
    const char *algorithm = study->spec->algorithm.name;
    double budget = NAN;
    json_t *list, *why;

    if (trial == NULL || trial->row.state != ASSAY_TRIAL_PAUSED) {
        /* A user may have stopped it while the answer was on its way. */
        if (study->paused_ended_us >= study->asked_us || ++study->stray_promotions < STRAY_MAX)
            return true;
        *ret_fault = assay_format("the algorithm %s wanted trials to go on that are not paused, "
                                  "%d times in a row; the last was trial %lld",
                                  algorithm, STRAY_MAX, (long long)number);
        return false;
    }
    study->stray_promotions = 0;
    if (!assay_json_get_real(json_object_get(suggestion, "budget"), &budget) ||
        !(budget > trial->row.budget) || budget > study->rungs[study->n_rungs - 1]) {
        *ret_fault = assay_format("the algorithm %s wanted trial %lld to go on from a budget of "
                                  "%.10g to %.10g; the study's largest is %.10g",
                                  algorithm, (long long)number, trial->row.budget, budget,
                                  study->rungs[study->n_rungs - 1]);
        return false;
    }
    list = json_object_get(trial->row.why, "promotions");
    if (list == NULL) {
        list = json_array();
        json_object_set_new(trial->row.why, "promotions", list);
    }
    why = json_deep_copy(json_object_get(suggestion, "why"));
    if (!json_is_object(why)) {
        json_decref(why);
        why = json_object();
    }
    json_object_set_new(why, "budget", assay_json_number(budget));
    json_array_append_new(list, why);
    trial->row.budget = budget;
    assay__trial_apply(trial, ASSAY_TRIAL_EVENT_PROMOTE, ASSAY_TRIAL_REASON_NONE, NULL, commit);
    assay__trial_tell_host(trial);
    return true;
}

json_t *
assay__promotion_take(struct assay__study *study, const json_t *suggestions, size_t *ret_promoted,
                  char **ret_fault)
{
    struct assay__commit *commit = NULL;
    int64_t room = assay__study_room(study);
    json_t *fresh = json_array(), *suggestion;
    size_t i;

    *ret_promoted = 0;
    json_array_foreach((json_t *)(uintptr_t)suggestions, i, suggestion)
    {
        if (json_object_get(suggestion, "resume") == NULL) {
            if ((int64_t)json_array_size(fresh) < room)
                json_array_append(fresh, suggestion);
            continue;
        }
        if (commit == NULL)
            commit = assay__commit_new(study);
        if (!promote(study, suggestion, commit, ret_fault))
            break;
        ++*ret_promoted;
    }
    if (commit != NULL)
        assay__commit_send(commit);
    return fresh;
}

void
assay__promotion_end(struct assay__study *study, struct assay__commit *commit)
{
    struct assay__trial *trial, *next;

    if (study->trials_in[ASSAY_TRIAL_PAUSED] == 0)
        return;
    HASH_ITER(hh, study->trials, trial, next)
    {
        if (trial->row.state == ASSAY_TRIAL_PAUSED)
            assay__trial_end(trial, ASSAY_TRIAL_REASON_NOT_PROMOTED, NULL, commit);
    }
}
