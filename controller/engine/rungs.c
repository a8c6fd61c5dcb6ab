/* Multi-fidelity: what trials are worth at their rungs.
 *
 * The values stand in the trial's `why`, for readers and for a restart:
 *   "rungs": [{"budget": 1, "value": 0.9}, {"budget": 3, "value": 0.5}] */
#include <math.h>

#include "common/number.h"
#include "controller/engine/internal.h"
#include "schemas/decode.h"
#include "suggest/registry.h"

void
assay__rungs_init(struct assay__study *study)
{
    const struct assay_plugin_algorithm *algorithm =
        assay_registry_algorithm(study->spec->algorithm.name);
    const struct assay_budget *budget = &study->spec->budget;

    if (budget->name != NULL && algorithm != NULL &&
        (algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) != 0)
        study->n_rungs = assay_rungs(budget->min, budget->max, budget->eta, study->rungs);
}

/* The values of the rungs from the first that is missing to the last whose budget
 * has been used; none for those that were passed before a trial began that started from
 * another's checkpoint.  Whether there were any. */
bool
assay__rungs_reach(struct assay__trial *trial, double used, double value)
{
    struct assay__study *study = trial->study;
    json_t *list = json_object_get(trial->row.why, "rungs");
    size_t k = json_array_size(list), before = k;
    bool born_later = list == NULL && json_object_get(trial->row.why, "parent") != NULL;

    if (k < study->n_rungs && study->rungs[k] <= used && list == NULL) {
        list = json_array();
        json_object_set_new(trial->row.why, "rungs", list);
    }
    for (; k < study->n_rungs && study->rungs[k] <= used; k++)
        json_array_append_new(
            list, json_pack("{s:o, s:o}", "budget", assay_json_number(study->rungs[k]), "value",
                            assay_json_real(born_later && study->rungs[k] < used ? NAN : value)));
    return k > before;
}

json_t *
assay__rungs_told(const struct assay__trial *trial)
{
    const json_t *list = json_object_get(trial->row.why, "rungs");
    json_t *values = json_array();

    for (size_t k = 0; k < json_array_size(list); k++) {
        json_t *value = json_object_get(json_array_get(list, k), "value");

        json_array_append(values, value);
    }
    return values;
}
