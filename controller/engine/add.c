/* Trials given by the user: points to queue, and finished trials to import. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "controller/engine/internal.h"

/* A finished trial's state and metrics. */
static void
decode_import(const struct assay__study *study, const json_t *item, const char *pointer,
              struct assay_faults *faults, struct assay_trial *row)
{
    static const char allowed[] = "succeeded, stopped, infeasible or failed";
    assay_auto_free char *state_pointer = assay_pointer_key(pointer, "state");
    assay_auto_free char *metrics_pointer = assay_pointer_key(pointer, "metrics");
    const json_t *state = json_object_get(item, "state");
    const json_t *metrics = json_object_get(item, "metrics");
    enum assay_trial_state value;
    json_t *decoded;

    if (!json_is_string(state) || !assay_trial_state_parse(json_string_value(state), &value) ||
        !assay_trial_state_is_final(value) || value == ASSAY_TRIAL_CANCELLED) {
        assay_fault_add(faults, state_pointer, state, allowed, "not the state of an ended trial");
        return;
    }
    row->state = value;
    row->reason = value == ASSAY_TRIAL_SUCCEEDED ? ASSAY_TRIAL_REASON_NONE
                                                 : ASSAY_TRIAL_REASON_REPORTED_BY_CLIENT;
    row->started_us = row->finished_us = row->created_us;
    if (metrics != NULL && assay_metrics_decode(metrics, metrics_pointer, faults, &decoded)) {
        json_decref(row->metrics);
        row->metrics = decoded;
    }
    for (size_t i = 0; i < study->spec->n_objectives && value == ASSAY_TRIAL_SUCCEEDED; i++) {
        double number;
        const char *metric = study->spec->objectives[i].metric;

        if (!assay_json_get_real(json_object_get(row->metrics, metric), &number))
            assay_fault_add(faults, metrics_pointer, metrics, "a value of every objective",
                            "the objective %s has no value", metric);
    }
}

static void
decode_one(const struct assay__study *study, const json_t *item, const char *pointer,
           struct assay_faults *faults, struct assay_trial *row)
{
    static const char *const members[] = {"parameters", "state", "metrics"};
    const struct assay_space *space = study->spec->space;
    assay_auto_free double *point = assay_alloc(space->n_parameters, sizeof *point);
    assay_auto_free char *inner = assay_pointer_key(pointer, "parameters");
    bool import = json_object_get(item, "state") != NULL;
    const char *key;
    json_t *value;

    if (!json_is_object(item)) {
        assay_fault_add(faults, pointer, item, "an object with `parameters`", "not a trial");
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)item, key, value)
    {
        assay_auto_free char *where = assay_pointer_key(pointer, key);
        bool known = false;

        for (size_t i = 0; i < ASSAY_COUNT(members); i++)
            known = known || strcmp(members[i], key) == 0;
        if (!known)
            assay_fault_add(faults, where, value, "parameters, state, metrics",
                            "unknown member \"%s\"", key);
    }
    if (json_object_get(item, "metrics") != NULL && !import)
        assay_fault_add(faults, pointer, NULL, "a `state` beside the metrics",
                        "metrics are for trials that have ended");
    assay__trial_fresh(study, row);
    row->why = json_pack("{s:s}", "proposed_by", import ? "import" : "user");
    if (assay_point_decode(space, json_object_get(item, "parameters"), inner, true, faults, point))
        row->parameters = assay_point_encode(space, point);
    if (import)
        decode_import(study, item, pointer, faults, row);
}

bool
assay__add_decode(const struct assay__study *study, const json_t *trials,
                  struct assay_faults *faults, struct assay_trial *ret_rows)
{
    size_t i;
    json_t *item;

    json_array_foreach((json_t *)(uintptr_t)trials, i, item)
    {
        assay_auto_free char *pointer = assay_pointer_index("/trials", i);

        decode_one(study, item, pointer, faults, &ret_rows[i]);
    }
    return faults->count == 0;
}

struct assay__trial *
assay__add_insert(struct assay__study *study, struct assay_trial *row,
                  struct assay__commit *commit)
{
    struct assay__trial *trial = assay__trial_new(study, row);

    if (assay_trial_state_is_final(trial->row.state)) {
        study->imported++;
        if (assay__trial_evaluate(trial) == ASSAY__OBJECTIVE_NOT_FINITE &&
            trial->row.state == ASSAY_TRIAL_SUCCEEDED) {
            trial->row.state = ASSAY_TRIAL_FAILED;
            trial->row.reason = ASSAY_TRIAL_REASON_NON_FINITE_OBJECTIVE;
        }
    }
    assay__trial_enter(trial, commit);
    return trial;
}
