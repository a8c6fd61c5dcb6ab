/* Suggestions: what the algorithm proposes becomes trials, in slots or with workers. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"

/* What the algorithm said, checked: a plugin can be wrong. */
static bool
check_suggestion(const struct assay__study *study, const json_t *suggestion, char **ret_fault)
{
    struct assay_faults faults = {0};
    assay_auto_free double *point =
        assay_alloc(study->spec->space->n_parameters, sizeof(double));
    bool fine = assay_point_decode(study->spec->space, json_object_get(suggestion, "parameters"),
                                   "", false, &faults, point);

    if (!fine)
        *ret_fault = assay_format("the algorithm %s proposed a point outside the space: %s: %s",
                                  study->spec->algorithm.name, faults.items[0].pointer,
                                  faults.items[0].message);
    assay_faults_done(&faults);
    return fine;
}

static void
fail_study(struct assay__study *study, const char *sentence)
{
    struct assay__commit *commit;

    if (study->record.state != ASSAY_STUDY_RUNNING && study->record.state != ASSAY_STUDY_PAUSED)
        return;
    commit = assay__commit_new(study);
    assay__study_wind_down(study, ASSAY_STUDY_REASON_SUGGESTION_FAILED, sentence, commit);
    assay__commit_send(commit);
}

/* A trial of what the algorithm proposed; in `state` queued or running. */
static struct assay__trial *
make_trial(struct assay__study *study, const json_t *suggestion, enum assay_trial_state state,
           const char *client, struct assay__commit *commit)
{
    struct assay_trial row;
    struct assay__trial *trial;
    double budget;

    assay__trial_fresh(study, &row);
    row.parameters = json_incref(json_object_get(suggestion, "parameters"));
    row.why = json_deep_copy(json_object_get(suggestion, "why"));
    if (!json_is_object(row.why)) {
        json_decref(row.why);
        row.why = json_pack("{s:s}", "proposed_by", study->spec->algorithm.name);
    }
    if (assay_json_get_real(json_object_get(suggestion, "budget"), &budget))
        row.budget = budget;
    if (state == ASSAY_TRIAL_QUEUED && study->spec->limits.ahead > 0)
        json_object_set_new(row.why, "ahead",
                            json_integer(study->trials_in[ASSAY_TRIAL_QUEUED] + 1));
    if (json_object_get(suggestion, "parent") != NULL)
        json_object_set(row.why, "parent", json_object_get(suggestion, "parent"));
    row.state = state;
    if (state == ASSAY_TRIAL_RUNNING) {
        row.started_us = row.created_us;
        row.client = assay_strdup(client);
        if (study->spec->trial == NULL)
            row.lease_expires_us = row.created_us + study->spec->lease_us;
    }
    trial = assay__trial_insert(study, &row, commit);
    if (state == ASSAY_TRIAL_RUNNING && study->spec->trial == NULL) {
        trial->slot = true;
        study->slots++;
    }
    return trial;
}

/* Suggestions for a study that runs its trials: each goes into a free slot. */
static void
run_suggestions(struct assay__study *study, const json_t *suggestions)
{
    struct assay__commit *commit = assay__commit_new(study);

    for (size_t i = 0; i < json_array_size(suggestions); i++) {
        bool now = study->slots < study->spec->limits.parallel &&
                   assay__attempt_fits(study);
        struct assay__trial *trial =
            make_trial(study, json_array_get(suggestions, i),
                       now ? ASSAY_TRIAL_RUNNING : ASSAY_TRIAL_QUEUED, NULL, commit);

        if (now)
            assay__attempt_begin(trial, commit);
    }
    assay__commit_send(commit);
}

/* Suggestions for waiting asks, oldest ask first.  What nobody waits for any
 * more is queued for the next. */
static void
hand_out_suggestions(struct assay__study *study, const json_t *suggestions)
{
    struct assay__ask *ask, *next;
    struct assay__commit *commit;
    size_t used = 0, n = json_array_size(suggestions);

    for (ask = TAILQ_FIRST(&study->asks); ask != NULL; ask = next) {
        next = TAILQ_NEXT(ask, link);
        commit = assay__commit_new(study);
        assay__ask_take_existing(study, ask, commit);
        while ((int64_t)ask->reply->n_trials < ask->count && used < n) {
            struct assay__trial *trial =
                make_trial(study, json_array_get(suggestions, used++), ASSAY_TRIAL_RUNNING,
                           ask->client, commit);

            assay__reply_add_trial(ask->reply, &trial->row);
        }
        if (ask->reply->n_trials > 0 || assay__asks_may_make(study) == 0)
            assay__ask_finish(study, ask, commit);
        else
            assay__commit_drop(commit); /* came too late for this round, waits for the next */
    }
    if (used < n) {
        commit = assay__commit_new(study);
        while (used < n)
            make_trial(study, json_array_get(suggestions, used++), ASSAY_TRIAL_QUEUED, NULL,
                       commit);
        assay__commit_send(commit);
    }
}

/* What a live study says of itself; NULL: nothing any more. */
static void
set_message(struct assay__study *study, const char *message, struct assay__commit *commit)
{
    free(study->record.message);
    study->record.message = assay_strdup(message);
    assay_changes_study_state(commit->changes, study->record.state, &study->record);
}

static void
on_waits(void *arg, int64_t study_id, const char *sentence)
{
    struct assay__study *study = assay__study_find(arg, study_id);
    assay_auto_free char *message = assay_format("waits for suggestions: %s", sentence);
    struct assay__commit *commit;

    if (study == NULL)
        return;
    if (study->record.state == ASSAY_STUDY_RUNNING &&
        (study->record.message == NULL || strcmp(study->record.message, message) != 0)) {
        commit = assay__commit_new(study);
        if (study->record.message == NULL)
            assay__event(commit, "suggestions_wait", 0, json_pack("{s:s}", "why", sentence),
                         "the study %s", message);
        set_message(study, message, commit);
        assay__commit_send(commit);
    }
    assay__asks_put_off(study);
}

/* They come: nothing is waited for any more. */
static void
waits_no_more(struct assay__study *study)
{
    struct assay__commit *commit;

    if (study->record.message == NULL || assay_study_state_is_final(study->record.state) ||
        study->record.state == ASSAY_STUDY_STOPPING)
        return;
    commit = assay__commit_new(study);
    set_message(study, NULL, commit);
    assay__commit_send(commit);
}

static void
on_suggested(void *arg, int64_t study_id, const json_t *suggestions, bool exhausted)
{
    struct assay_engine *engine = arg;
    struct assay__study *study = assay__study_find(engine, study_id);
    assay_auto_free char *fault = NULL;
    json_auto_t *fresh = NULL;
    size_t promoted = 0;
    int64_t asked, n = (int64_t)json_array_size(suggestions);

    if (study == NULL)
        return;
    asked = study->asked;
    study->asked = 0;
    waits_no_more(study);
    study->exhausted = exhausted;
    pthread_mutex_lock(&engine->lock);
    engine->stats.suggestions += n;
    engine->stats.suggest_us_total += assay_monotonic_us() - study->asked_us;
    pthread_mutex_unlock(&engine->lock);
    for (int64_t i = 0; i < n && fault == NULL; i++)
        check_suggestion(study, json_array_get(suggestions, (size_t)i), &fault);
    if (fault == NULL)
        fresh = assay__promotion_take(study, suggestions, &promoted, &fault);
    study->later = !exhausted && (int64_t)(promoted + json_array_size(fresh)) < asked;
    if (fault != NULL)
        fail_study(study, fault);
    if (study->record.state != ASSAY_STUDY_RUNNING)
        assay__serve_asks(study); /* nothing any more; those who wait hear why */
    else if (study->spec->trial != NULL)
        run_suggestions(study, fresh);
    else
        hand_out_suggestions(study, fresh);
    assay__study_due(study);
}

static void
on_failed(void *arg, int64_t study_id, const char *sentence)
{
    struct assay__study *study = assay__study_find(arg, study_id);

    if (study == NULL)
        return;
    study->asked = 0;
    fail_study(study, sentence);
    assay__serve_asks(study);
}

static bool
on_sources(void *arg, int64_t study_id, json_t **ret_sources)
{
    struct assay__study *study = assay__study_find(arg, study_id);

    *ret_sources = NULL;
    return study == NULL || assay__study_sources(study, ret_sources);
}

static bool
on_replay(void *arg, int64_t study_id)
{
    struct assay__study *study = assay__study_find(arg, study_id);

    return study == NULL || assay__study_replay(study);
}

const struct assay_suggest_host_events assay__host_events = {
    .suggested = on_suggested,
    .failed = on_failed,
    .waits = on_waits,
    .sources = on_sources,
    .replay = on_replay,
};
