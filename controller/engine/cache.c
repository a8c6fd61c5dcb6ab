/* What the engine holds: found by its key, counted, marked as due for a look. */
#include "common/memory.h"
#include "controller/engine/internal.h"

struct assay__study *
assay__study_find(struct assay_engine *engine, int64_t id)
{
    struct assay__study *study;

    HASH_FIND(hh, engine->studies, &id, sizeof id, study);
    return study;
}

struct assay__trial *
assay__trial_find(struct assay__study *study, int64_t number)
{
    struct assay__trial *trial;

    HASH_FIND(hh, study->trials, &number, sizeof number, trial);
    return trial;
}

void
assay__trial_copy(const struct assay_trial *from, struct assay_trial *ret_copy)
{
    *ret_copy = *from;
    ret_copy->message = assay_strdup(from->message);
    ret_copy->client = assay_strdup(from->client);
    ret_copy->parameters = json_incref(from->parameters); /* never changed once made */
    ret_copy->metrics = json_deep_copy(from->metrics);
    ret_copy->why = json_deep_copy(from->why);
    ret_copy->attempts = NULL;
    ret_copy->n_attempts = 0;
}

int64_t
assay__study_live(const struct assay__study *study)
{
    return study->trials_in[ASSAY_TRIAL_QUEUED] + study->trials_in[ASSAY_TRIAL_RUNNING] +
           study->trials_in[ASSAY_TRIAL_PAUSED] + study->trials_in[ASSAY_TRIAL_STOPPING];
}

bool
assay__trial_has_process(const struct assay__trial *trial)
{
    return trial->executing || trial->promised;
}

int64_t
assay__study_processes(const struct assay__study *study)
{
    int64_t count = 0;

    for (const struct assay__trial *trial = study->trials; trial != NULL; trial = trial->hh.next)
        count += assay__trial_has_process(trial);
    return count;
}

int64_t
assay__study_room(const struct assay__study *study)
{
    int64_t made = -study->imported;

    if (study->spec->limits.trials == 0)
        return INT64_MAX;
    for (int state = 0; state < ASSAY_TRIAL_STATE_MAX_; state++)
        made += study->trials_in[state];
    return ASSAY_MAX(study->spec->limits.trials - made, 0);
}

int64_t
assay__rungs_may_promote(const struct assay__study *study)
{
    return study->n_rungs > 0 ? study->trials_in[ASSAY_TRIAL_PAUSED] : 0;
}

int64_t
assay__study_makes(const struct assay__study *study)
{
    int64_t room = assay__study_room(study), paused = assay__rungs_may_promote(study);

    return room > INT64_MAX - paused ? room : room + paused;
}

void
assay__study_due(struct assay__study *study)
{
    if (study->due)
        return;
    study->due = true;
    TAILQ_INSERT_TAIL(&study->engine->due, study, due_link);
}

struct assay__study *
assay__due_take(struct assay_engine *engine)
{
    struct assay__study *study = TAILQ_FIRST(&engine->due);

    if (study != NULL)
        assay__study_not_due(study);
    return study;
}

void
assay__study_not_due(struct assay__study *study)
{
    if (!study->due)
        return;
    study->due = false;
    TAILQ_REMOVE(&study->engine->due, study, due_link);
}
