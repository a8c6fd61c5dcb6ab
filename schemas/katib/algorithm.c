/* spec.algorithm and spec.earlyStopping of an Experiment.  Katib's algorithms come from
 * several libraries with settings of their own; what has a counterpart is taken over, the
 * rest is checked as Katib does and left out with a note. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/katib/katib_internal.h"

#define SETTINGS_MAX 100

enum number { ANY_NUMBER, WHOLE, WORD };

/* A setting of Katib; `to` is ours, or NULL: noted and left out. */
struct setting {
    const char *name;
    enum number kind;
    double min, max; /* both included */
    const char *to;
    const char *words[8]; /* WORD: NULL-terminated */
};

#define SEED "seed" /* not a setting of an algorithm here */
#define RANDOM_STATE {"random_state", WHOLE, 0.0, 4294967295.0, SEED, {0}}
#define POSITIVE 1e-300

struct algorithm {
    const char *katib, *name;
    bool priors;
    struct setting settings[6]; /* name NULL ends */
};

static const struct algorithm algorithms[] = {
    {"random", "random", false, {RANDOM_STATE}},
    {"tpe", "tpe", true,
     {RANDOM_STATE,
      {"gamma", ANY_NUMBER, POSITIVE, 1.0, NULL, {0}},
      {"prior_weight", ANY_NUMBER, POSITIVE, INFINITY, NULL, {0}},
      {"n_EI_candidates", WHOLE, 1.0, 10000.0, "candidates", {0}},
      {"n_startup_trials", WHOLE, 1.0, 1000.0, "start_trials", {0}},
      {"n_ei_candidates", WHOLE, 1.0, 10000.0, "candidates", {0}}}},
    {"multivariate-tpe", "tpe", true,
     {RANDOM_STATE,
      {"n_startup_trials", WHOLE, 1.0, 1000.0, "start_trials", {0}},
      {"n_ei_candidates", WHOLE, 1.0, 10000.0, "candidates", {0}}}},
    {"grid", "grid", false, {RANDOM_STATE}},
    {"bayesianoptimization", "bayesian", true,
     {RANDOM_STATE,
      {"n_initial_points", WHOLE, 0.0, 10000.0, "startup_trials", {0}},
      {"base_estimator", WORD, 0.0, 0.0, NULL, {"GP", "RF", "ET", "GBRT"}},
      {"acq_func", WORD, 0.0, 0.0, NULL, {"gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"}},
      {"acq_optimizer", WORD, 0.0, 0.0, NULL, {"auto", "sampling", "lbfgs"}}}},
    {"cmaes", "cmaes", false,
     {RANDOM_STATE,
      {"restart_strategy", WORD, 0.0, 0.0, NULL, {"none", "ipop", "bipop"}},
      {"sigma", ANY_NUMBER, POSITIVE, INFINITY, NULL, {0}}}},
    {"sobol", "sobol", false, {{0}}},
    {"hyperband", "hyperband", false,
     {{"r_l", ANY_NUMBER, POSITIVE, 1e15, "r_l", {0}},
      {"eta", WHOLE, 2.0, 1000.0, "eta", {0}},
      {"resource_name", WORD, 0.0, 0.0, "resource_name", {0}}}},
    {"pbt", "pbt", false,
     {{"suggestion_trial_dir", WORD, 0.0, 0.0, "suggestion_trial_dir", {0}},
      {"n_population", WHOLE, 5.0, 10000.0, "population", {0}},
      {"truncation_threshold", ANY_NUMBER, 0.0, 1.0, "quantile", {0}},
      {"resample_probability", ANY_NUMBER, 0.0, 1.0, "resample", {0}}}},
};

static const struct setting medianstop[] = {
    {"min_trials_required", WHOLE, 1.0, 1e9, "min_trials", {0}},
    {"start_step", WHOLE, 1.0, 1e9, "warmup_steps", {0}},
    {0},
};

/* --- settings */

struct choice_file {
    char *name;
    const json_t *settings;
};

static const struct assay_field choice_fields[] = {
    {.key = "algorithmName", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 100.0, .offset = offsetof(struct choice_file, name)},
    {.key = "algorithmSettings", .kind = ASSAY_FIELD_ARRAY,
     .offset = offsetof(struct choice_file, settings)},
};

struct setting_file {
    char *name;
    const json_t *value;
};

static const struct assay_field setting_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED, .min = 1.0,
     .max = 100.0, .offset = offsetof(struct setting_file, name)},
    {.key = "value", .kind = ASSAY_FIELD_ANY, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct setting_file, value)},
};

static const struct setting *
find_setting(const struct setting *settings, size_t n, const char *name)
{
    for (size_t i = 0; i < n && settings[i].name != NULL; i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

/* The value as JSON, or NULL with a fault.  New reference. */
static json_t *
setting_value(struct assay_translation *t, const struct setting *setting, const json_t *json,
              const char *pointer)
{
    assay_auto_free char *text = assay_json_scalar_text(json);
    double value;

    if (text == NULL) {
        assay__fault_at(t, pointer, "value", json, "a string", "the value of %s must be a string",
                        setting->name);
        return NULL;
    }
    if (setting->kind == WORD) {
        size_t i = 0;

        while (setting->words[i] != NULL && strcmp(setting->words[i], text) != 0)
            i++;
        if (setting->words[0] == NULL || setting->words[i] != NULL)
            return json_string(text);
        {
            assay_auto_free char *at = assay_pointer_key(pointer, "value");

            assay_fault_unknown(t->faults, at, json, setting->name, text, setting->words);
        }
        return NULL;
    }
    if (!assay_parse_double(text, &value) || !isfinite(value) || value < setting->min ||
        value > setting->max || (setting->kind == WHOLE && value != floor(value))) {
        char min[ASSAY_DOUBLE_TEXT];
        assay_auto_free char *allowed = NULL;

        assay_print_double(setting->min, min);
        allowed = setting->min > 0.0 && setting->min < 1e-9
                      ? assay_format("a number greater than 0")
                      : assay_format("a %s of at least %s",
                                     setting->kind == WHOLE ? "whole number" : "number", min);
        assay__fault_at(t, pointer, "value", json, allowed, "\"%.100s\" is not a value of %s",
                        text, setting->name);
        return NULL;
    }
    return assay_json_number(value);
}

/* The settings by our names; those without one are noted.  New reference. */
static json_t *
read_settings(struct assay_translation *t, const struct setting *settings, size_t n,
              const json_t *list, const char *pointer)
{
    json_auto_t *seen = json_object();
    json_t *values = json_object();

    if (json_array_size(list) > SETTINGS_MAX) {
        assay_fault_add(t->faults, pointer, NULL, "at most 100", "there are too many settings");
        return values;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);
        const json_t *json = json_array_get(list, i);
        struct setting_file file = {0};
        const struct setting *setting = NULL;
        json_t *value;

        if (!assay_decode_object(json, at, setting_fields, ASSAY_COUNT(setting_fields), &file,
                                 t->faults)) {
            free(file.name);
            continue;
        }
        setting = find_setting(settings, n, file.name);
        if (setting == NULL) {
            const char *known[8] = {NULL};
            assay_auto_free char *place = assay_pointer_key(at, "name");

            for (size_t j = 0; j < n && settings[j].name != NULL; j++)
                known[j] = settings[j].name;
            assay_fault_unknown(t->faults, place, json_object_get(json, "name"), "setting",
                                file.name, known);
        } else if (json_object_get(seen, file.name) != NULL) {
            assay__fault_at(t, at, "name", json_object_get(json, "name"), NULL,
                            "%s is given twice", file.name);
        } else if ((value = setting_value(t, setting, file.value, at)) != NULL) {
            if (setting->to == NULL)
                assay__note(t, at, "%s has no counterpart and is left out", setting->name);
            else
                json_object_set(values, setting->to, value);
            json_decref(value);
        }
        json_object_set_new(seen, file.name, json_true());
        free(file.name);
    }
    return values;
}

/* --- hyperband and pbt: the budget */

#define ALGORITHM "/spec/algorithm"
#define SETTINGS ALGORITHM "/algorithmSettings"

static bool
has_parameter(const struct assay_katib *k, const char *name)
{
    for (size_t i = 0; i < json_array_size(k->spec.parameters); i++) {
        const char *other = json_string_value(
            json_object_get(json_array_get(k->spec.parameters, i), "name"));

        if (other != NULL && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

/* Katib's smallest resource: r_l divided by eta as often as it goes. */
static double
smallest_resource(double largest, double eta)
{
    double least = largest;

    while (least / eta >= 1.0 - 1e-9)
        least /= eta;
    return floor(least) >= 1.0 ? floor(least + 1e-9) : least;
}

static void
translate_hyperband(struct assay_katib *k, json_t *settings)
{
    struct assay_translation *t = k->t;
    double largest = json_number_value(json_object_get(settings, "r_l"));
    double eta = json_number_value(json_object_get(settings, "eta"));
    const char *resource = json_string_value(json_object_get(settings, "resource_name"));

    if (!(eta > 1.0))
        eta = 3.0;
    if (!(largest > 0.0))
        assay_fault_add(t->faults, SETTINGS, NULL, "a setting r_l",
                        "hyperband needs the setting r_l, the largest resource");
    if (resource == NULL)
        assay_fault_add(t->faults, SETTINGS, NULL, "a setting resource_name",
                        "hyperband needs the setting resource_name, the parameter that is the "
                        "resource");
    else if (!has_parameter(k, resource))
        assay_fault_add(t->faults, SETTINGS, json_object_get(settings, "resource_name"),
                        "the name of a parameter",
                        "the resource %s is no parameter of this experiment", resource);
    else
        k->resource = assay_strdup(resource);
    if (largest > 0.0 && k->resource != NULL) {
        json_object_set_new(t->study, "budget",
                            json_pack("{s:s, s:o, s:o, s:o}", "name", k->resource, "min",
                                      assay_json_number(smallest_resource(largest, eta)), "max",
                                      assay_json_number(largest), "eta", assay_json_number(eta)));
        assay__note(t, ALGORITHM,
                    "%s is the budget and no parameter of the search; a trial that goes on with a "
                    "larger one counts once, in Katib it counts again",
                    k->resource);
    }
    assay__place(t, "/budget", SETTINGS);
    json_object_clear(settings);
}

/* Each start of a trial is a generation of Katib's: it goes on from the checkpoint. */
static void
translate_pbt(struct assay_katib *k, json_t *settings)
{
    struct assay_translation *t = k->t;
    json_t *directory = json_object_get(settings, "suggestion_trial_dir");
    double population = json_number_value(json_object_get(settings, "population"));
    double quantile = json_number_value(json_object_get(settings, "quantile"));
    double generations = 1.0;

    if (json_object_get(settings, "population") == NULL)
        assay_fault_add(t->faults, SETTINGS, NULL, "a setting n_population",
                        "pbt needs the setting n_population");
    if (json_object_get(settings, "quantile") == NULL)
        assay_fault_add(t->faults, SETTINGS, NULL, "a setting truncation_threshold",
                        "pbt needs the setting truncation_threshold");
    if (quantile > 0.5) {
        assay_fault_add(t->faults, SETTINGS, json_object_get(settings, "quantile"), "0 to 0.5",
                        "truncation_threshold is the share of the population that is replaced and "
                        "the share it is replaced from; they can not overlap");
    }
    if (k->spec.trials < 1)
        assay_fault_add(t->faults, "/spec/maxTrialCount", NULL, "a whole number of at least 1",
                        "pbt needs maxTrialCount, which with n_population says how many "
                        "generations there are");
    else if (population > 0.0)
        generations = ceil((double)k->spec.trials / population);
    if (json_object_get(settings, "resample") == NULL)
        json_object_set_new(settings, "resample", json_integer(0));
    json_object_set_new(t->study, "budget",
                        json_pack("{s:s, s:i, s:o}", "name", "generations", "min", 1, "max",
                                  assay_json_number(ASSAY_MAX(generations, 1.0))));
    assay__place(t, "/budget", SETTINGS);
    assay__set(t, "trial", "checkpoints", json_true());
    if (json_is_string(directory)) {
        json_t *kubernetes = assay__section(assay__section(t->study, "trial"), "kubernetes");
        assay_auto_free char *literal = NULL;

        if (json_string_value(directory)[0] != '/')
            assay_fault_add(t->faults, SETTINGS, directory, "an absolute path",
                            "suggestion_trial_dir is not absolute");
        literal = assay__literal(json_string_value(directory));
        json_object_set_new(kubernetes, "checkpoint_path", json_string(literal));
        assay__place(t, "/trial/kubernetes/checkpoint_path", SETTINGS);
    }
    json_object_del(settings, "suggestion_trial_dir");
    assay__note(t, ALGORITHM,
                "each time a trial is started counts as one generation: it is given the checkpoint "
                "of its last one, or of the trial that it was copied from");
}

/* --- the algorithm */

static void
check_numeric_parameters(struct assay_katib *k)
{
    size_t numeric = 0;

    for (size_t i = 0; i < json_array_size(k->spec.parameters); i++) {
        const char *type = json_string_value(
            json_object_get(json_array_get(k->spec.parameters, i), "parameterType"));

        numeric += type != NULL && (strcmp(type, "double") == 0 || strcmp(type, "int") == 0);
    }
    if (numeric < 2)
        assay_fault_add(k->t->faults, "/spec/parameters", NULL, "two double or int parameters",
                        "cmaes needs at least two parameters of type double or int, and there %s",
                        numeric == 0 ? "is none" : "is one");
}

static const struct algorithm *
find_algorithm(struct assay_translation *t, const char *name, const json_t *json)
{
    const char *known[ASSAY_COUNT(algorithms) + 1] = {NULL};

    for (size_t i = 0; i < ASSAY_COUNT(algorithms); i++) {
        if (strcmp(algorithms[i].katib, name) == 0)
            return &algorithms[i];
        known[i] = algorithms[i].katib;
    }
    if (strcmp(name, "enas") == 0 || strcmp(name, "darts") == 0)
        assay_fault_add(t->faults, ALGORITHM "/algorithmName", json, NULL,
                        "%s searches for neural architectures, which is not supported: Assay "
                        "tunes parameters only",
                        name);
    else
        assay_fault_unknown(t->faults, ALGORITHM "/algorithmName", json, "algorithm", name, known);
    return NULL;
}

static void
translate_algorithm(struct assay_katib *k, const struct algorithm *algorithm, const json_t *list)
{
    struct assay_translation *t = k->t;
    json_t *settings = read_settings(t, algorithm->settings, ASSAY_COUNT(algorithm->settings),
                                     list, SETTINGS);

    k->algorithm = algorithm->katib;
    k->priors = algorithm->priors;
    if (json_object_get(settings, SEED) != NULL) {
        json_object_set(t->study, "seed", json_object_get(settings, SEED));
        json_object_del(settings, SEED);
    }
    if (strcmp(algorithm->katib, "hyperband") == 0)
        translate_hyperband(k, settings);
    else if (strcmp(algorithm->katib, "pbt") == 0)
        translate_pbt(k, settings);
    else if (strcmp(algorithm->katib, "cmaes") == 0)
        check_numeric_parameters(k);
    k->grid = strcmp(algorithm->katib, "grid") == 0;
    if (k->grid) {
        json_object_set_new(settings, "order", json_string("shuffled"));
        json_object_set_new(settings, "partial", json_true());
    }
    json_object_set_new(t->study, "algorithm",
                        json_pack("{s:s, s:o}", "name", algorithm->name, "settings", settings));
    assay__place(t, "/algorithm", ALGORITHM);
    assay__place(t, "/algorithm/settings", SETTINGS);
    assay__place(t, "/seed", SETTINGS);
}

void
assay__katib_algorithm(struct assay_katib *k)
{
    struct assay_translation *t = k->t;
    struct choice_file file = {0};
    const struct algorithm *algorithm;

    if (k->spec.algorithm == NULL) {
        assay_fault_add(t->faults, ALGORITHM, NULL, "an object with algorithmName",
                        "algorithm is missing");
        return;
    }
    assay_decode_object(k->spec.algorithm, ALGORITHM, choice_fields, ASSAY_COUNT(choice_fields),
                        &file, t->faults);
    if (file.name != NULL) {
        algorithm = find_algorithm(t, file.name,
                                   json_object_get(k->spec.algorithm, "algorithmName"));
        if (algorithm != NULL)
            translate_algorithm(k, algorithm, file.settings);
    }
    free(file.name);
}

void
assay__katib_early_stopping(struct assay_katib *k)
{
    static const char pointer[] = "/spec/earlyStopping";
    static const char list[] = "/spec/earlyStopping/algorithmSettings";
    static const char *const known[] = {"medianstop", NULL};
    struct assay_translation *t = k->t;
    struct choice_file file = {0};
    json_t *settings;

    if (k->spec.early_stopping == NULL)
        return;
    assay_decode_object(k->spec.early_stopping, pointer, choice_fields, ASSAY_COUNT(choice_fields),
                        &file, t->faults);
    if (file.name != NULL && strcmp(file.name, "medianstop") != 0) {
        assay_fault_unknown(t->faults, "/spec/earlyStopping/algorithmName",
                            json_object_get(k->spec.early_stopping, "algorithmName"),
                            "early stopping algorithm", file.name, known);
    } else if (file.name != NULL) {
        settings = read_settings(t, medianstop, ASSAY_COUNT(medianstop), file.settings, list);
        if (json_object_get(settings, "min_trials") == NULL)
            json_object_set_new(settings, "min_trials", json_integer(3));
        if (json_object_get(settings, "warmup_steps") == NULL)
            json_object_set_new(settings, "warmup_steps", json_integer(4));
        json_object_set_new(t->study, "early_stopping",
                            json_pack("{s:s, s:o}", "name", "median", "settings", settings));
        assay__note(t, pointer,
                    "the rule is the median of Vizier's paper, asked at every measurement from "
                    "start_step on; Katib takes the mean and asks once");
    }
    assay__place(t, "/early_stopping", pointer);
    assay__place(t, "/early_stopping/settings", list);
    free(file.name);
}
