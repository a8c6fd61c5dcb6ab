#include "controller/launch.h"

#include <inttypes.h>
#include <math.h>

#include "common/memory.h"
#include "common/number.h"

static void
set_if_missing(json_t *values, const char *name, char *text_taken)
{
    if (json_object_get(values, name) == NULL)
        json_object_set_new(values, name, json_string(text_taken));
    free(text_taken);
}

json_t *
assay_launch_values(const struct assay_launch *launch)
{
    json_t *values = assay_space_texts(launch->spec->space, launch->parameters);
    char budget[ASSAY_DOUBLE_TEXT] = "";

    if (!isnan(launch->budget))
        assay_print_double(launch->budget, budget);
    set_if_missing(values, "study", assay_strdup(launch->study));
    set_if_missing(values, "trial", assay_format("%" PRId64, launch->key.trial_number));
    set_if_missing(values, "attempt", assay_format("%" PRId64, launch->key.attempt));
    set_if_missing(values, "budget", assay_strdup(budget));
    return values;
}

assay_status
assay_launch_substitute(const char *text, const json_t *values, const char *what,
                        json_t **ret_text, struct assay_error *err)
{
    assay_auto_free char *replaced = NULL;
    assay_status rc = assay_substitute(text, values, &replaced, err);

    if (rc < 0)
        return assay_wrap(err, "%s", what);
    *ret_text = json_string(replaced);
    if (*ret_text == NULL)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not UTF-8", what);
    return ASSAY_OK;
}
