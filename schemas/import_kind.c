/* Whose study file it is. */
#include <string.h>

#include "schemas/import.h"

static bool
starts_with(const json_t *text, const char *start)
{
    return json_is_string(text) && strncmp(json_string_value(text), start, strlen(start)) == 0;
}

enum assay_import_kind
assay_import_recognise(const json_t *file)
{
    if (json_object_get(file, "apiVersion") != NULL)
        return starts_with(json_object_get(file, "apiVersion"), "kubeflow.org/")
                   ? ASSAY_IMPORT_KATIB
                   : ASSAY_IMPORT_NONE;
    if (json_object_get(file, "searcher") != NULL &&
        json_object_get(file, "hyperparameters") != NULL)
        return ASSAY_IMPORT_DETERMINED;
    if (json_object_get(file, "method") != NULL &&
        (json_is_object(json_object_get(file, "parameters")) ||
         json_object_get(file, "metric") != NULL))
        return ASSAY_IMPORT_WANDB;
    return ASSAY_IMPORT_NONE;
}

const char *
assay_import_name(enum assay_import_kind kind)
{
    static const char *const names[] = {"", "Katib", "Weights & Biases", "Determined"};

    ASSAY_ASSERT((size_t)kind < ASSAY_COUNT(names));
    return names[kind];
}
