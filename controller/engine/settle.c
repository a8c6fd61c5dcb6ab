/* What follows a commit: attempts start or are asked to end, what is at rest goes, what
 * was refused is undone. */
#include "common/log.h"
#include "controller/engine/internal.h"

static void
launch(struct assay__study *study, const struct assay__commit *commit)
{
    for (size_t i = 0; i < commit->n_launches; i++) {
        struct assay__trial *trial = assay__trial_find(study, commit->launches[i]);

        if (trial != NULL)
            assay__launch(trial);
    }
}

static void
stop(struct assay__study *study, const struct assay__commit *commit)
{
    for (size_t i = 0; i < commit->n_stops; i++) {
        const struct assay__trial *trial = assay__trial_find(study, commit->stops[i]);

        if (trial != NULL && assay__attempt_is_to_end(trial))
            assay__attempt_stop(trial);
    }
}

static void
tell_stored(const struct assay__study *study, const struct assay__commit *commit)
{
    const struct assay__executor *executor = assay__executor_for(study->engine, study->spec->trial);

    for (size_t i = 0; executor->type->stored != NULL && i < commit->n_ends; i++)
        executor->type->stored(executor->handle, &commit->ends[i]);
}

static void
let_go(struct assay__study *study, const struct assay__commit *commit)
{
    for (size_t i = 0; i < commit->n_trials; i++) {
        struct assay__trial *trial = assay__trial_find(study, commit->trials[i]);

        if (trial != NULL) {
            trial->writes--;
            assay__trial_settle(trial);
        }
    }
}

void
assay__settle(struct assay_engine *engine, int64_t study_id, const struct assay__commit *commit,
              assay_status status, const struct assay_error *err)
{
    struct assay__study *study = assay__study_find(engine, study_id);

    if (status == ASSAY_OK && commit->deletes)
        assay__attempts_forget(engine, study_id);
    if (study == NULL)
        return;
    if (status == ASSAY_OK) {
        study->loaded = true;
        launch(study, commit);
        stop(study, commit);
        tell_stored(study, commit);
    }
    let_go(study, commit);
    if (status == ASSAY_OK) {
        assay__study_due(study);
    } else if (commit->undo != NULL && status != ASSAY_E_UNAVAILABLE) { /* else it may be stored */
        commit->undo(study);
    } else {
        assay_log(ASSAY_LOG_ERROR, "study=%s/%s: a change was refused, loading it afresh: %s",
                  study->record.project, study->record.name, err->message);
        assay__study_reload(study);
    }
}
