/* The experiment configuration of Determined as a study file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/import_leaves.h"

#define SEARCHER "/searcher"
#define GRID_COUNT_MAX 10000.0
#define CONCURRENT_TRIALS 16 /* Determined's default */

static const char *const file_keys[] = {"name",       "description", "searcher", "hyperparameters",
                                        "entrypoint", "resources",   "max_restarts", "environment",
                                        NULL};

static const char *const searcher_keys[] = {"name",      "metric",      "smaller_is_better",
                                            "time_metric", "max_time",  "max_length",
                                            "max_trials",  "mode",      "divisor",
                                            "max_rungs",   "num_rungs", "max_concurrent_trials",
                                            "bracket_rungs", "stop_once", NULL};

struct state {
    bool grid; /* counts make lists */
    const json_t *file;
};

static const json_t *
of_searcher(const struct state *state, const char *key)
{
    const json_t *value = json_object_get(json_object_get(state->file, "searcher"), key);

    return json_is_null(value) ? NULL : value;
}

/* A number at pointer/key, or `usual` (NaN: it must be there) with a fault. */
static double
number_of(struct assay_translation *t, const json_t *object, const char *key, const char *pointer,
          double usual)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_number(value))
        return json_number_value(value);
    if (value != NULL && !json_is_null(value))
        assay__fault_at(t, pointer, key, value, "a number", "%s must be a number, not %s", key,
                        assay_json_type_name(value));
    else if (isnan(usual))
        assay__fault_at(t, pointer, key, NULL, "a number", "%s is missing", key);
    return usual;
}

/* --- hyperparameters */

static const json_t *
group_of(const json_t *value, const char **ret_key)
{
    *ret_key = NULL;
    return json_is_object(value) && json_object_get(value, "type") == NULL ? value : NULL;
}

/* `count` values of a range, evenly on its scale. */
static json_t *
spread(const char *name, double min, double max, double count, bool log, bool whole)
{
    json_t *values = json_array();
    double last = NAN;

    for (double i = 0.0; i < count; i++) {
        double share = count > 1.0 ? i / (count - 1.0) : 0.0;
        double value = log ? min * pow(max / min, share) : min + share * (max - min);

        if (i == 0.0)
            value = min;
        else if (i == count - 1.0)
            value = max;
        if (whole)
            value = floor(value + 0.5);
        if (!(value == last))
            json_array_append_new(values, assay_json_number(value));
        last = value;
    }
    return json_pack("{s:s, s:s, s:o}", "name", name, "type", "discrete", "values", values);
}

static json_t *
range_of(struct assay_translation *t, const struct state *state, const char *name,
         const json_t *json, const char *type, const char *pointer)
{
    bool log = strcmp(type, "log") == 0, whole = strcmp(type, "int") == 0;
    double min = number_of(t, json, "minval", pointer, NAN);
    double max = number_of(t, json, "maxval", pointer, NAN);
    double base = number_of(t, json, "base", pointer, 10.0);
    double count = number_of(t, json, "count", pointer, 0.0);
    json_t *parameter;

    if (!isfinite(min) || !isfinite(max))
        return NULL;
    if (log) {
        min = pow(base, min);
        max = pow(base, max);
        if (!(min > 0.0) || !isfinite(max)) {
            assay_fault_add(t->faults, pointer, NULL, NULL,
                            "base to the power of minval and maxval is out of range");
            return NULL;
        }
    }
    if (state->grid && !(count >= 1.0 && count <= GRID_COUNT_MAX)) {
        assay__fault_at(t, pointer, "count", json_object_get(json, "count"), "1 to 10000",
                        "a grid needs the number of values to take, count");
        return NULL;
    }
    if (state->grid && min <= max)
        return spread(name, min, max, floor(count), log, whole);
    parameter = assay__range(name, whole, min, max);
    if (log)
        json_object_set_new(parameter, "scale", json_string("log"));
    return parameter;
}

static json_t *
parameter_of(struct assay_translation *t, const struct state *state, const char *name,
             const json_t *json, const char *pointer)
{
    static const char *const types[] = {"int", "double", "log", "categorical", "const", NULL};
    const char *type = json_string_value(json_object_get(json, "type"));

    if (!json_is_object(json)) { /* a constant */
        json_auto_t *one = json_pack("[O]", json);

        return assay__choices(t, name, one, pointer);
    }
    if (type != NULL && strcmp(type, "categorical") == 0) {
        assay_auto_free char *at = assay_pointer_key(pointer, "vals");
        const json_t *values = json_object_get(json, "vals");

        if (json_is_array(values))
            return assay__choices(t, name, values, at);
        assay_fault_type(t->faults, at, values, "an array of values");
    } else if (type != NULL && strcmp(type, "const") == 0) {
        json_auto_t *one = json_pack("[O?]", json_object_get(json, "val"));

        return assay__choices(t, name, one, pointer);
    } else if (type != NULL && (strcmp(type, "int") == 0 || strcmp(type, "double") == 0 ||
                                strcmp(type, "log") == 0)) {
        return range_of(t, state, name, json, type, pointer);
    } else {
        assay_auto_free char *at = assay_pointer_key(pointer, "type");

        assay_fault_unknown(t->faults, at, json_object_get(json, "type"), "type",
                            type != NULL ? type : "", types);
    }
    return NULL;
}

static void
translate_parameter(struct assay_translation *t, const char *name, const json_t *json,
                    const char *pointer, void *arg)
{
    json_t *parameter;

    if (json_is_array(json)) {
        assay_fault_add(t->faults, pointer, NULL, "a value or an object with a type",
                        "a constant list can not be a parameter");
        parameter = NULL;
    } else {
        parameter = parameter_of(t, arg, name, json, pointer);
    }
    if (parameter == NULL)
        parameter = json_pack("{s:s, s:s, s:[s]}", "name", name, "type", "categorical", "values",
                              "?");
    assay__add_parameter(t, parameter, pointer);
}

/* --- searcher */

static void
translate_objective(struct assay_translation *t, const struct state *state)
{
    const json_t *metric = of_searcher(state, "metric");
    const json_t *smaller = of_searcher(state, "smaller_is_better");

    if (metric == NULL)
        assay_fault_add(t->faults, SEARCHER "/metric", NULL, "the name of a metric",
                        "metric is missing");
    if (smaller != NULL && !json_is_boolean(smaller))
        assay_fault_type(t->faults, SEARCHER "/smaller_is_better", smaller, "a boolean");
    json_object_set_new(t->study, "objective",
                        json_pack("{s:O?, s:s}", "metric", metric, "goal",
                                  json_is_false(smaller) ? "maximize" : "minimize"));
    assay__place(t, "/objective", SEARCHER "/metric");
}

/* max_time, or the older max_length: {batches: 1000} or a number. */
static double
longest(struct assay_translation *t, const struct state *state, const char **ret_unit)
{
    const json_t *length = of_searcher(state, "max_length");
    const char *unit = json_string_value(of_searcher(state, "time_metric"));
    const char *key;
    json_t *value;

    *ret_unit = unit != NULL ? unit : "batches";
    if (of_searcher(state, "max_time") != NULL)
        return number_of(t, json_object_get(state->file, "searcher"), "max_time", SEARCHER, NAN);
    if (json_is_number(length))
        return json_number_value(length);
    assay_json_each (length, key, value) {
        *ret_unit = key;
        return json_number_value(value);
    }
    return NAN;
}

static void
translate_asha(struct assay_translation *t, const struct state *state)
{
    const json_t *searcher = json_object_get(state->file, "searcher");
    const json_t *mode = of_searcher(state, "mode");
    const json_t *rungs_given = of_searcher(state, "max_rungs");
    double divisor = number_of(t, searcher, "divisor", SEARCHER, 4.0);
    double rungs = number_of(t, searcher, rungs_given != NULL ? "max_rungs" : "num_rungs",
                             SEARCHER, 5.0);
    const char *unit;
    double most = longest(t, state, &unit), least;

    if (!(most > 0.0)) {
        assay_fault_add(t->faults, SEARCHER "/max_time", NULL, "a number greater than 0",
                        "max_time is missing: how long the longest trial is");
        return;
    }
    if (!(divisor > 1.0) || !(rungs >= 1.0) || rungs > 64.0) {
        assay_fault_add(t->faults, SEARCHER, NULL, NULL,
                        "divisor must be greater than 1 and max_rungs 1 to 64");
        return;
    }
    least = ASSAY_MAX(1.0, floor(most / pow(divisor, rungs - 1.0)));
    json_object_set_new(t->study, "algorithm",
                        json_pack("{s:s, s:{s:s, s:s}}", "name", "asha", "settings", "type",
                                  "stopping", "sampler", "random"));
    json_object_set_new(t->study, "budget",
                        json_pack("{s:s, s:o, s:o, s:o}", "name", unit, "min",
                                  assay_json_number(ASSAY_MIN(least, most)), "max",
                                  assay_json_number(most), "eta", assay_json_number(divisor)));
    assay__place(t, "/budget", SEARCHER);
    if (mode != NULL && !(json_is_string(mode) &&
                          strcmp(json_string_value(mode), "aggressive") == 0))
        assay__note(t, SEARCHER "/mode",
                    "there is one bracket, which begins with the shortest trials; asha of type "
                    "promotion has several");
    assay__note(t, SEARCHER,
                "sampler: random is Determined's; without it new trials are drawn where good ones "
                "lie. Steps that the trial reports are %s",
                unit);
}

static void
translate_searcher(struct assay_translation *t, struct state *state)
{
    static const char *const known[] = {"single",        "random",        "grid",
                                        "adaptive_asha", "async_halving", NULL};
    const json_t *json = of_searcher(state, "name");
    const char *name = json_string_value(json);
    json_t *trials, *parallel = assay_json_unconst(of_searcher(state, "max_concurrent_trials"));

    assay__place(t, "/algorithm", SEARCHER "/name");
    assay__place(t, "/limits/trials", SEARCHER "/max_trials");
    assay__place(t, "/limits/parallel", SEARCHER "/max_concurrent_trials");
    translate_objective(t, state);
    if (name == NULL) {
        assay_fault_add(t->faults, SEARCHER "/name", json, "random, grid, adaptive_asha, …",
                        "the searcher has no name");
        return;
    }
    state->grid = strcmp(name, "grid") == 0;
    if (strcmp(name, "single") == 0 || strcmp(name, "random") == 0)
        json_object_set_new(t->study, "algorithm", json_pack("{s:s}", "name", "random"));
    else if (state->grid)
        json_object_set_new(t->study, "algorithm", json_pack("{s:s}", "name", "grid"));
    else if (strcmp(name, "adaptive_asha") == 0 || strcmp(name, "async_halving") == 0)
        translate_asha(t, state);
    else
        assay_fault_unknown(t->faults, SEARCHER "/name", json, "searcher", name, known);
    trials = strcmp(name, "single") == 0
                 ? json_integer(1)
                 : json_incref(assay_json_unconst(of_searcher(state, "max_trials")));
    if (trials != NULL)
        assay__set(t, "limits", "trials", trials);
    if (parallel != NULL)
        assay__set(t, "limits", "parallel", json_incref(parallel));
    else
        assay__set(t, "limits", "parallel", json_integer(CONCURRENT_TRIALS));
}

/* --- how a trial runs */

static void
translate_environment(struct assay_translation *t, const json_t *environment)
{
    static const char *const known[] = {"environment_variables", "image", NULL};
    const json_t *list = json_object_get(environment, "environment_variables");

    if (json_object_get(environment, "image") != NULL)
        assay__note(t, "/environment/image",
                    "the image is left out: trials of a command run on the machine itself; say "
                    "trial.kubernetes.image to run them as pods");
    assay__note_others(t, environment, "/environment", known);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        const char *equals = text != NULL ? strchr(text, '=') : NULL;
        assay_auto_free char *at =
            assay_pointer_index("/environment/environment_variables", i);

        if (equals == NULL) {
            assay_fault_add(t->faults, at, json_array_get(list, i), "NAME=value",
                            "a variable has the form NAME=value");
        } else {
            assay_auto_free char *name = assay_strndup(text, (size_t)(equals - text));
            assay_auto_free char *value = assay__literal(equals + 1);

            json_object_set_new(
                assay__section(assay__section(t->study, "trial"), "environment"), name,
                json_string(value));
        }
    }
}

/* A text is for a shell there. */
static json_t *
command_of(const json_t *entrypoint)
{
    json_t *command = json_array();

    if (json_is_string(entrypoint)) {
        assay_auto_free char *literal = assay__literal(json_string_value(entrypoint));

        json_array_append_new(command, json_string("sh"));
        json_array_append_new(command, json_string("-c"));
        json_array_append_new(command, json_string(literal));
        return command;
    }
    for (size_t i = 0; i < json_array_size(entrypoint); i++) {
        json_t *item = json_array_get(entrypoint, i);

        if (json_is_string(item)) {
            assay_auto_free char *literal = assay__literal(json_string_value(item));

            json_array_append_new(command, json_string(literal));
        } else {
            json_array_append(command, item);
        }
    }
    return command;
}

static void
translate_trial(struct assay_translation *t, const json_t *file)
{
    static const char *const resource_keys[] = {"slots_per_trial", NULL};
    const json_t *entrypoint = json_object_get(file, "entrypoint");
    const json_t *resources = json_object_get(file, "resources");
    const json_t *slots = json_object_get(resources, "slots_per_trial");
    const json_t *restarts = json_object_get(file, "max_restarts");

    assay__place(t, "/trial", "/entrypoint");
    assay__place(t, "/trial/command", "/entrypoint/*");
    assay__place(t, "/trial/environment", "/environment/environment_variables");
    assay__place(t, "/trial/retries", "/max_restarts");
    assay__place(t, "/trial/resources", "/resources");
    assay__place(t, "/trial/resources/gpus", "/resources/slots_per_trial");
    assay__note_others(t, resources, "/resources", resource_keys);
    if (entrypoint == NULL || json_is_null(entrypoint)) {
        assay__note(t, "/entrypoint",
                    "without an entrypoint the study runs nothing itself: workers ask for trials "
                    "and tell their results");
        return;
    }
    assay__set(t, "trial", "command", command_of(entrypoint));
    assay__set(t, "trial", "retries",
               restarts != NULL ? json_incref(assay_json_unconst(restarts)) : json_integer(5));
    if (slots != NULL)
        json_object_set(assay__section(assay__section(t->study, "trial"), "resources"), "gpus",
                        assay_json_unconst(slots));
    if (json_is_object(json_object_get(file, "environment")))
        translate_environment(t, json_object_get(file, "environment"));
    assay__note(t, "/entrypoint",
                "a trial finds its parameters in ASSAY_PARAMETERS (JSON) and ASSAY_PARAM_…, and its "
                "metrics are read from the lines that it prints (name=value, step=…); "
                "Determined's own module is not spoken to");
}

void
assay__import_determined(const json_t *file, struct assay_translation *t)
{
    struct state state = {.file = file};
    const char *name = json_string_value(json_object_get(file, "name"));

    assay__place(t, "", "");
    assay__note_others(t, file, "", file_keys);
    if (name != NULL)
        json_object_set_new(t->study, "name", assay__study_name(t, name, "/name"));
    if (json_is_object(json_object_get(file, "searcher"))) {
        assay__note_others(t, json_object_get(file, "searcher"), SEARCHER, searcher_keys);
        translate_searcher(t, &state);
    } else {
        assay_fault_type(t->faults, SEARCHER, json_object_get(file, "searcher"), "an object");
    }
    assay__place(t, "/parameters", "/hyperparameters");
    if (json_is_object(json_object_get(file, "hyperparameters")))
        assay__each_leaf(t, json_object_get(file, "hyperparameters"), "/hyperparameters", group_of,
                         translate_parameter, &state);
    if (json_array_size(json_object_get(t->study, "parameters")) == 0) {
        assay_fault_add(t->faults, "/hyperparameters", NULL, "an object of hyperparameters",
                        "there are no hyperparameters");
        json_object_set_new(t->study, "parameters", json_array());
        assay__placeholder(json_object_get(t->study, "parameters"), NULL);
    }
    translate_trial(t, file);
}
