/* The sweep configuration of Weights & Biases as a study file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/import_leaves.h"


static const char *const sweep_keys[] = {"name",    "description", "method",          "metric",
                                         "parameters", "early_terminate", "run_cap", "program",
                                         "command", NULL};

/* --- parameters */

struct distribution {
    const char *name;
    bool whole, log, exponents, quantised, normal;
};

/* Those with a range; normal ones have mu and sigma in its place. */
static const struct distribution distributions[] = {
    {"uniform", false, false, false, false, false},
    {"int_uniform", true, false, false, false, false},
    {"q_uniform", false, false, false, true, false},
    {"log_uniform", false, true, true, false, false},
    {"log_uniform_values", false, true, false, false, false},
    {"q_log_uniform", false, true, true, true, false},
    {"q_log_uniform_values", false, true, false, true, false},
    {"inv_log_uniform", false, true, true, false, false},
    {"inv_log_uniform_values", false, true, false, false, false},
    {"normal", false, false, false, false, true},
    {"q_normal", false, false, false, true, true},
    {"log_normal", false, true, true, false, true},
    {"q_log_normal", false, true, true, true, true},
};

static const struct distribution *
find_distribution(const char *name)
{
    for (size_t i = 0; i < ASSAY_COUNT(distributions); i++) {
        if (strcmp(distributions[i].name, name) == 0)
            return &distributions[i];
    }
    return NULL;
}

static bool
number_of(struct assay_translation *t, const json_t *json, const char *key, const char *pointer,
          double usual, double *ret_number)
{
    const json_t *value = json_object_get(json, key);

    *ret_number = usual;
    if (json_is_number(value))
        *ret_number = json_number_value(value);
    else if (value != NULL && !json_is_null(value))
        assay__fault_at(t, pointer, key, value, "a number", "%s must be a number, not %s", key,
                        assay_json_type_name(value));
    else if (isnan(usual))
        assay__fault_at(t, pointer, key, NULL, "a number", "%s is missing", key);
    return isfinite(*ret_number);
}

static json_t *
range_of(struct assay_translation *t, const char *name, const json_t *json,
         const struct distribution *distribution, const char *pointer)
{
    double min, max, step = 1.0;
    json_t *parameter;
    bool fine;

    if (distribution->normal) {
        double mu, sigma;

        fine = number_of(t, json, "mu", pointer, 0.0, &mu);
        fine = number_of(t, json, "sigma", pointer, 1.0, &sigma) && fine;
        min = mu - 3.0 * sigma;
        max = mu + 3.0 * sigma;
        assay__note(t, pointer,
                    "a normal distribution has no ends: %s is searched evenly within three "
                    "deviations of its mean",
                    name);
    } else {
        fine = number_of(t, json, "min", pointer, NAN, &min);
        fine = number_of(t, json, "max", pointer, NAN, &max) && fine;
    }
    if (distribution->exponents && fine) {
        min = exp(min);
        max = exp(max);
        if (!(min > 0.0) || !isfinite(max)) {
            assay_fault_add(t->faults, pointer, json, "log_uniform_values",
                            "min and max of %s are exponents of e; these are out of range",
                            distribution->name);
            fine = false;
        }
    }
    if (distribution->quantised)
        fine = number_of(t, json, "q", pointer, 1.0, &step) && fine;
    if (!fine)
        return NULL;
    parameter = assay__range(name, distribution->whole, min, max);
    if (distribution->log)
        json_object_set_new(parameter, "scale", json_string("log"));
    if (distribution->quantised && distribution->log)
        assay__note(t, pointer, "q is left out: a logarithmic range has no steps");
    else if (distribution->quantised)
        json_object_set_new(parameter, "step", assay_json_number(step));
    return parameter;
}

static const json_t *
group_of(const json_t *value, const char **ret_key)
{
    const json_t *members = json_object_get(value, "parameters");

    *ret_key = "parameters";
    return json_is_object(members) ? members : NULL;
}

static const char *
usual_distribution(const json_t *json)
{
    return json_is_integer(json_object_get(json, "min")) &&
                   json_is_integer(json_object_get(json, "max"))
               ? "int_uniform"
               : "uniform";
}

static json_t *
parameter_of(struct assay_translation *t, const char *name, const json_t *json,
             const char *pointer)
{
    const json_t *value = json_object_get(json, "value"), *values = json_object_get(json, "values");
    const char *word = json_string_value(json_object_get(json, "distribution"));
    const struct distribution *distribution;

    if (value != NULL) {
        json_auto_t *one = json_pack("[O]", value);
        assay_auto_free char *at = assay_pointer_key(pointer, "value");

        /* Its place in the list is of no interest. */
        if (json_is_object(value) || json_is_array(value) || json_is_null(value)) {
            assay_fault_add(t->faults, at, value, "a string, number or boolean",
                            "a value of a parameter can not be %s", assay_json_type_name(value));
            return NULL;
        }
        return json_pack("{s:s, s:s, s:O}", "name", name, "type", "categorical", "values", one);
    }
    if (json_is_array(values)) {
        assay_auto_free char *at = assay_pointer_key(pointer, "values");

        if (json_object_get(json, "probabilities") != NULL)
            assay__note(t, pointer, "probabilities are left out: all values of %s are as likely",
                        name);
        return assay__choices(t, name, values, at);
    }
    if (word == NULL)
        word = usual_distribution(json);
    distribution = find_distribution(word);
    if (distribution == NULL) {
        const char *known[ASSAY_COUNT(distributions) + 1] = {NULL};
        assay_auto_free char *at = assay_pointer_key(pointer, "distribution");

        for (size_t i = 0; i < ASSAY_COUNT(distributions); i++)
            known[i] = distributions[i].name;
        if (strcmp(word, "beta") == 0 || strcmp(word, "q_beta") == 0)
            assay_fault_add(t->faults, at, json_object_get(json, "distribution"), "uniform",
                            "the distribution %s has no counterpart", word);
        else
            assay_fault_unknown(t->faults, at, json_object_get(json, "distribution"),
                                "distribution", word, known);
        return NULL;
    }
    return range_of(t, name, json, distribution, pointer);
}

static void
translate_parameter(struct assay_translation *t, const char *name, const json_t *json,
                    const char *pointer, void *arg)
{
    static const char *const known[] = {"value", "values", "probabilities", "distribution", "min",
                                        "max",   "mu",     "sigma",         "q",            NULL};
    json_t *parameter = NULL;

    (void)arg;
    if (json_is_object(json)) {
        assay__note_others(t, json, pointer, known);
        parameter = parameter_of(t, name, json, pointer);
    } else {
        assay_fault_type(t->faults, pointer, json, "an object with value, values, or min and max");
    }
    if (parameter == NULL)
        parameter = json_pack("{s:s, s:s, s:[s]}", "name", name, "type", "categorical", "values",
                              "?");
    assay__add_parameter(t, parameter, pointer);
}

/* --- method, metric, early_terminate */

static void
translate_method(struct assay_translation *t, const json_t *file)
{
    static const char *const methods[] = {"random", "grid", "bayes", NULL};
    static const char *const names[] = {"random", "grid", "bayesian"};
    const json_t *json = json_object_get(file, "method");
    const char *method = json_string_value(json);
    size_t i = 0;

    assay__place(t, "/algorithm", "/method");
    if (method == NULL) {
        assay_fault_type(t->faults, "/method", json, "a string");
        return;
    }
    while (methods[i] != NULL && strcmp(methods[i], method) != 0)
        i++;
    if (strcmp(method, "custom") == 0)
        assay_fault_add(t->faults, "/method", json, "random, grid or bayes",
                        "a controller of your own has no counterpart; use a remote algorithm");
    else if (methods[i] == NULL)
        assay_fault_unknown(t->faults, "/method", json, "method", method, methods);
    else
        json_object_set_new(t->study, "algorithm", json_pack("{s:s}", "name", names[i]));
    if (method != NULL && strcmp(method, "grid") == 0)
        assay__set(t, "algorithm", "settings", json_pack("{s:b}", "partial", true));
}

static void
translate_metric(struct assay_translation *t, const json_t *file)
{
    static const char *const known[] = {"name", "goal", "target", NULL};
    const json_t *json = json_object_get(file, "metric");
    const json_t *goal = json_object_get(json, "goal");

    assay__place(t, "/objective", "/metric");
    assay__place(t, "/objective/metric", "/metric/name");
    assay__place(t, "/objective/goal", "/metric/goal");
    assay__place(t, "/objective/target", "/metric/target");
    if (!json_is_object(json)) {
        assay_fault_add(t->faults, "/metric", json, "an object with name and goal",
                        "a study needs a metric to optimise, with every method");
        return;
    }
    assay__note_others(t, json, "/metric", known);
    json_object_set_new(t->study, "objective",
                        json_pack("{s:O?, s:o}", "metric", json_object_get(json, "name"), "goal",
                                  goal != NULL ? json_incref(assay_json_unconst(goal))
                                               : json_string("minimize")));
    if (json_object_get(json, "target") != NULL)
        assay__set(t, "objective", "target", json_incref(json_object_get(json, "target")));
}

static void
translate_early_terminate(struct assay_translation *t, const json_t *json)
{
    static const char *const known[] = {"type", "min_iter", "max_iter", "s",
                                        "eta",  "strict",   NULL};
    const char *type = json_string_value(json_object_get(json, "type"));
    double min = NAN, max, eta, brackets;
    bool fine;

    assay__place(t, "/early_stopping", "/early_terminate");
    if (type == NULL || strcmp(type, "hyperband") != 0) {
        assay_fault_add(t->faults, "/early_terminate/type", json_object_get(json, "type"),
                        "hyperband", "the type of early_terminate must be hyperband");
        return;
    }
    assay__note_others(t, json, "/early_terminate", known);
    fine = number_of(t, json, "eta", "/early_terminate", 3.0, &eta);
    if (json_object_get(json, "min_iter") != NULL) {
        fine = number_of(t, json, "min_iter", "/early_terminate", NAN, &min) && fine;
    } else {
        /* The first of s bands below max_iter. */
        fine = number_of(t, json, "max_iter", "/early_terminate", NAN, &max) && fine;
        fine = number_of(t, json, "s", "/early_terminate", NAN, &brackets) && fine;
        if (fine)
            min = max / pow(eta, brackets);
    }
    if (fine)
        json_object_set_new(
            t->study, "early_stopping",
            json_pack("{s:s, s:{s:o, s:o}}", "name", "asha", "settings", "min_steps",
                      assay_json_number(ASSAY_MAX(floor(min), 1.0)), "eta",
                      assay_json_number(eta)));
    assay__note(t, "/early_terminate",
                "bands are counted in the metric's steps, and a run is compared with those that "
                "have reached the band (rule asha)");
}

/* --- command */

static bool
is_text_parameter(const json_t *parameter)
{
    const json_t *values = json_object_get(parameter, "values");

    for (size_t i = 0; i < json_array_size(values); i++) {
        if (json_is_string(json_array_get(values, i)))
            return true;
    }
    return false;
}

/* {"lr": ${lr}, "optimizer": "${optimizer}"}.  New reference. */
static json_t *
arguments_json(const json_t *parameters)
{
    assay_auto_buffer struct assay_buffer text = {0};

    assay_buffer_puts(&text, "{");
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *parameter = json_array_get(parameters, i);
        const char *name = json_string_value(json_object_get(parameter, "name"));
        const char *quote = is_text_parameter(parameter) ? "\"" : "";

        assay_buffer_printf(&text, "%s\"%s\": %s${%s}%s", i > 0 ? ", " : "", name, quote, name,
                            quote);
    }
    assay_buffer_puts(&text, "}");
    return json_string(text.data);
}

static void
append_arguments(json_t *command, const json_t *parameters, const char *prefix)
{
    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const char *name =
            json_string_value(json_object_get(json_array_get(parameters, i), "name"));
        assay_auto_free char *text = assay_format("%s%s=${%s}", prefix, name, name);

        json_array_append_new(command, json_string(text));
    }
}

static void
append_item(struct assay_translation *t, const json_t *file, const char *item, const char *pointer,
            json_t *command)
{
    const json_t *parameters = json_object_get(t->study, "parameters");
    json_t *program = json_object_get(file, "program");

    if (strcmp(item, "${env}") == 0)
        json_array_append_new(command, json_string("/usr/bin/env"));
    else if (strcmp(item, "${interpreter}") == 0)
        json_array_append_new(command, json_string("python3"));
    else if (strcmp(item, "${program}") == 0 && json_is_string(program))
        json_array_append(command, program);
    else if (strcmp(item, "${program}") == 0)
        assay_fault_add(t->faults, pointer, NULL, NULL, "there is no program to put here");
    else if (strcmp(item, "${args}") == 0)
        append_arguments(command, parameters, "--");
    else if (strcmp(item, "${args_no_hyphens}") == 0)
        append_arguments(command, parameters, "");
    else if (strcmp(item, "${args_json}") == 0)
        json_array_append_new(command, arguments_json(parameters));
    else if (strstr(item, "${") != NULL)
        assay_fault_add(t->faults, pointer, NULL,
                        "${env}, ${interpreter}, ${program}, ${args}, ${args_no_hyphens}, "
                        "${args_json}",
                        "%.100s has no counterpart; a trial finds its parameters in "
                        "ASSAY_PARAMETERS and the file ASSAY_PARAMETERS_FILE too",
                        item);
    else
        json_array_append_new(command, json_string(item));
}

static void
translate_command(struct assay_translation *t, const json_t *file)
{
    static const char *const usual[] = {"${env}", "${interpreter}", "${program}", "${args}"};
    const json_t *list = json_object_get(file, "command");
    json_t *command;

    assay__place(t, "/trial", list != NULL ? "/command" : "/program");
    if (list == NULL && json_object_get(file, "program") == NULL) {
        assay__note(t, "/program",
                    "without a program the study runs nothing itself: workers ask for trials and "
                    "tell their results");
        return;
    }
    command = json_array();
    if (list != NULL && !json_is_array(list))
        assay_fault_type(t->faults, "/command", list, "an array: the program and its arguments");
    for (size_t i = 0; list == NULL && i < ASSAY_COUNT(usual); i++)
        append_item(t, file, usual[i], "/program", command);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        assay_auto_free char *at = assay_pointer_index("/command", i);

        if (json_is_string(item))
            append_item(t, file, json_string_value(item), at, command);
        else
            json_array_append(command, assay_json_unconst(item));
    }
    assay__set(t, "trial", "command", command);
    assay__note(t, list != NULL ? "/command" : "/program",
                "metrics are read from the lines that the program prints (name=value) or pushed "
                "to Assay; wandb.log goes elsewhere");
}

void
assay__import_wandb(const json_t *file, struct assay_translation *t)
{
    const char *name = json_string_value(json_object_get(file, "name"));
    json_t *cap = json_object_get(file, "run_cap");

    assay__place(t, "", "");
    assay__note_others(t, file, "", sweep_keys);
    if (name != NULL)
        json_object_set_new(t->study, "name", assay__study_name(t, name, "/name"));
    translate_metric(t, file);
    assay__place(t, "/parameters", "/parameters");
    if (json_is_object(json_object_get(file, "parameters")))
        assay__each_leaf(t, json_object_get(file, "parameters"), "/parameters", group_of,
                         translate_parameter, NULL);
    if (json_array_size(json_object_get(t->study, "parameters")) == 0) {
        assay_fault_add(t->faults, "/parameters", NULL, "an object of parameters",
                        "there are no parameters");
        json_object_set_new(t->study, "parameters", json_array());
        assay__placeholder(json_object_get(t->study, "parameters"), NULL);
    }
    translate_method(t, file);
    if (json_is_object(json_object_get(file, "early_terminate")))
        translate_early_terminate(t, json_object_get(file, "early_terminate"));
    else if (json_object_get(file, "early_terminate") != NULL)
        assay_fault_type(t->faults, "/early_terminate", json_object_get(file, "early_terminate"),
                         "an object with type: hyperband");
    if (cap != NULL)
        assay__set(t, "limits", "trials", json_incref(cap));
    assay__place(t, "/limits/trials", "/run_cap");
    translate_command(t, file);
}
