#include "suggest/questions.h"

#include <string.h>

#include "suggest/registry.h"

/* Takes the list. */
static json_t *
without_built_in(json_t *list)
{
    json_t *kept = json_array(), *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        const json_t *origin = json_object_get(entry, "origin");

        if (strcmp(json_string_value(json_object_get(origin, "kind")), "plugin") == 0)
            json_array_append(kept, entry);
    }
    json_decref(list);
    return kept;
}

json_t *
assay_question_describe(void)
{
    return json_pack("{s:o, s:o}", "algorithms",
                     without_built_in(assay_registry_algorithms_encode()), "stopping_rules",
                     without_built_in(assay_registry_rules_encode()));
}

json_t *
assay_question_study(const json_t *study)
{
    struct assay_faults faults = {0};
    struct assay_study_spec *spec =
        assay_study_decode(study, "default", assay_registry_checks(), &faults);
    json_t *answer = json_object();

    if (faults.count > 0)
        json_object_set_new(answer, "fault", json_string(faults.items[0].message));
    assay_study_free(spec);
    assay_faults_done(&faults);
    return answer;
}
