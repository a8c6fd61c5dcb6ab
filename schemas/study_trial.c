/* The section `trial`: reading, writing and freeing it.  Its ${name}s are
 * checked in study_references.c. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/filter.h"
#include "schemas/kubernetes.h"
#include "schemas/study_internal.h"

#define COMMAND_ITEMS_MAX 10000
#define ENVIRONMENT_ITEMS_MAX 1000
#define TEXT_BYTES_MAX 131071 /* what Linux takes as one argument */
#define RETRIES_MAX 1000.0

static const char *const metrics_froms[] = {"stdout",     "file", "tensorboard",
                                            "prometheus", "push", NULL};

const char *
assay_metrics_from_name(enum assay_metrics_from from)
{
    ASSAY_ASSERT((size_t)from <= ASSAY_METRICS_PUSH);
    return metrics_froms[from];
}

/* --- command and environment --- */

/* Text of an item that YAML may have made a number or boolean; NULL with a fault. */
static char *
decode_text(const json_t *json, const char *pointer, struct assay_faults *faults)
{
    char *text = assay_json_scalar_text(json);

    if (text == NULL) {
        assay_fault_type(faults, pointer, json, "a string");
        return NULL;
    }
    if (strlen(text) > TEXT_BYTES_MAX ||
        (json_is_string(json) && strlen(text) != json_string_length(json))) {
        assay_fault_add(faults, pointer, NULL, "at most 131071 bytes without NUL characters",
                        "this text can not be handed to a command");
        free(text);
        return NULL;
    }
    return text;
}

static void
decode_command(void *target, const json_t *value, const char *pointer,
               struct assay_faults *faults)
{
    struct assay_trial_spec *trial = target;
    size_t n = json_array_size(value);

    if (!json_is_array(value)) {
        assay_fault_type(faults, pointer, value, "an array: the program and its arguments");
        return;
    }
    if (n == 0 || n > COMMAND_ITEMS_MAX) {
        assay_fault_add(faults, pointer, NULL, "an array: the program and its arguments",
                        n == 0 ? "the command is empty" : "the command is too long");
        return;
    }
    trial->command = assay_zalloc(n + 1, sizeof *trial->command);
    for (size_t i = 0; i < n; i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);
        char *text = decode_text(json_array_get(value, i), at, faults);

        if (i == 0 && text != NULL && *text == '\0')
            assay_fault_add(faults, at, json_array_get(value, i), NULL,
                            "the program's name is empty");
        trial->command[trial->n_command++] = text != NULL ? text : assay_strdup("");
    }
}

static bool
environment_name_valid(const char *name)
{
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name != '\0'; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    }
    return true;
}

static void
decode_environment(void *target, const json_t *value, const char *pointer,
                   struct assay_faults *faults)
{
    struct assay_trial_spec *trial = target;
    const char *name;
    json_t *json;

    if (!json_is_object(value)) {
        assay_fault_type(faults, pointer, value, "an object of names and texts");
        return;
    }
    if (json_object_size(value) > ENVIRONMENT_ITEMS_MAX) {
        assay_fault_add(faults, pointer, NULL, "at most 1000 variables",
                        "there are too many variables");
        return;
    }
    assay_json_each (value, name, json) {
        assay_auto_free char *at = assay_pointer_key(pointer, name);
        assay_auto_free char *text = NULL;

        if (!environment_name_valid(name)) {
            assay_fault_add(faults, at, NULL,
                            "letters, digits and '_', not beginning with a digit",
                            "not a valid name of an environment variable");
            continue;
        }
        if (strncmp(name, "ASSAY_", 6) == 0) {
            assay_fault_add(faults, at, NULL, NULL, "the names ASSAY_… are set by Assay");
            continue;
        }
        text = decode_text(json, at, faults);
        if (text != NULL)
            json_object_set_new(trial->environment, name, json_string(text));
    }
}

/* --- code, metrics, resources --- */

static const struct assay_field code_fields[] = {
    {.key = "git", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_trial_spec, git_url)},
    {.key = "revision", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 255.0,
     .offset = offsetof(struct assay_trial_spec, git_revision)},
    {.key = "directory", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct assay_trial_spec, directory)},
};

/* git takes what begins with a dash as an option. */
static void
check_no_option(const char *text, const char *pointer, const char *key,
                struct assay_faults *faults)
{
    if (text != NULL && *text == '-') {
        assay_auto_free char *at = assay_pointer_key(pointer, key);
        json_auto_t *found = json_string(text);

        assay_fault_add(faults, at, found, NULL, "%s must not begin with \"-\"", key);
    }
}

static void
decode_code(void *target, const json_t *value, const char *pointer, struct assay_faults *faults)
{
    struct assay_trial_spec *trial = target;

    if (!assay_decode_object(value, pointer, code_fields, ASSAY_COUNT(code_fields), trial, faults))
        return;
    if ((trial->git_url != NULL) == (trial->directory != NULL))
        assay_fault_add(faults, pointer, value, "git or directory",
                        trial->git_url != NULL ? "both git and directory are given"
                                               : "git or directory is missing");
    if (trial->git_revision != NULL && trial->git_url == NULL) {
        assay_auto_free char *at = assay_pointer_key(pointer, "revision");

        assay_fault_add(faults, at, json_object_get(value, "revision"), NULL,
                        "a revision needs git");
    }
    if (trial->directory != NULL && trial->directory[0] != '/') {
        assay_auto_free char *at = assay_pointer_key(pointer, "directory");

        assay_fault_add(faults, at, json_object_get(value, "directory"),
                        "an absolute path on the machine that runs the trials",
                        "directory must be absolute");
    }
    check_no_option(trial->git_url, pointer, "git", faults);
    check_no_option(trial->git_revision, pointer, "revision", faults);
}

#define METRIC_NAMES_MAX 200

struct metrics_file {
    int from, steps;
    char *path, *url, *filter;
    const json_t *names;
};

static const char *const step_words[] = {"named", "counted", NULL};

static const struct assay_field metrics_fields[] = {
    {.key = "from", .kind = ASSAY_FIELD_ENUM, .names = metrics_froms,
     .offset = offsetof(struct metrics_file, from)},
    {.key = "path", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct metrics_file, path)},
    {.key = "url", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct metrics_file, url)},
    {.key = "filter", .kind = ASSAY_FIELD_STRING,
     .offset = offsetof(struct metrics_file, filter)},
    {.key = "names", .kind = ASSAY_FIELD_ARRAY, .offset = offsetof(struct metrics_file, names)},
    {.key = "steps", .kind = ASSAY_FIELD_ENUM, .names = step_words,
     .offset = offsetof(struct metrics_file, steps)},
};

/* A member that this `from` must have or can not have. */
static void
check_metrics_member(const char *key, bool given, bool wanted, bool needed, int from,
                     const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *at = assay_pointer_key(pointer, key);

    if (given && !wanted)
        assay_fault_add(faults, at, NULL, NULL, "metrics from %s have no %s", metrics_froms[from],
                        key);
    else if (!given && needed)
        assay_fault_add(faults, at, NULL, NULL, "metrics from %s need %s", metrics_froms[from],
                        key);
}

static void
check_metrics_url(const char *url, const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "url");
    json_auto_t *found = json_string(url);

    if (url != NULL && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        assay_fault_add(faults, at, found, "http://… or https://…", "not a URL");
}

static void
check_metrics_filter(const char *filter, const char *pointer, struct assay_faults *faults)
{
    struct assay_filter *compiled = NULL;
    struct assay_error err = {0};

    if (filter == NULL)
        return;
    if (assay_filter_new(filter, &compiled, &err) < 0) {
        assay_auto_free char *at = assay_pointer_key(pointer, "filter");
        json_auto_t *found = json_string(filter);

        assay_fault_add(faults, at, found,
                        "a regular expression with the groups (name) and (value)", "%s",
                        err.message);
    }
    assay_filter_free(compiled);
}

static json_t *
decode_metric_names(const json_t *names, const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "names");
    json_t *name;
    size_t i;

    if (json_array_size(names) > METRIC_NAMES_MAX)
        assay_fault_add(faults, at, NULL, "at most 200 names", "there are too many names");
    json_array_foreach (names, i, name) {
        assay_auto_free char *here = assay_pointer_index(at, i);

        if (!json_is_string(name) || !assay_metric_name_valid(json_string_value(name)))
            assay_fault_type(faults, here, name, "the name of a metric");
    }
    return json_deep_copy(names);
}

static void
decode_metrics(void *target, const json_t *value, const char *pointer,
               struct assay_faults *faults)
{
    struct assay_trial_spec *trial = target;
    struct metrics_file file = {.from = ASSAY_METRICS_STDOUT};
    bool of_path, of_url;

    if (assay_decode_object(value, pointer, metrics_fields, ASSAY_COUNT(metrics_fields), &file,
                            faults)) {
        of_path = file.from == ASSAY_METRICS_FILE || file.from == ASSAY_METRICS_TENSORBOARD;
        of_url = file.from == ASSAY_METRICS_PROMETHEUS;
        check_metrics_member("path", file.path != NULL, of_path, of_path, file.from, pointer,
                             faults);
        check_metrics_member("url", file.url != NULL, of_url, of_url, file.from, pointer, faults);
        check_metrics_member("filter", file.filter != NULL,
                             file.from == ASSAY_METRICS_STDOUT || file.from == ASSAY_METRICS_FILE,
                             false, file.from, pointer, faults);
        check_metrics_member("steps", file.steps != 0,
                             file.from == ASSAY_METRICS_STDOUT || file.from == ASSAY_METRICS_FILE,
                             false, file.from, pointer, faults);
        check_metrics_url(file.url, pointer, faults);
        check_metrics_filter(file.filter, pointer, faults);
    }
    trial->metrics_from = (enum assay_metrics_from)file.from;
    trial->metrics_path = file.path != NULL ? file.path : file.url;
    if (file.path != NULL)
        free(file.url);
    trial->metrics_filter = file.filter;
    trial->metrics_count_steps = file.steps == 1;
    if (file.names != NULL)
        trial->metrics_names = decode_metric_names(file.names, pointer, faults);
}

static const struct assay_field resource_fields[] = {
    {.key = "gpus", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = 1024.0,
     .offset = offsetof(struct assay_trial_spec, gpus)},
    {.key = "cpus", .kind = ASSAY_FIELD_REAL, .flags = ASSAY_FIELD_ABOVE_MIN, .max = 100000.0,
     .offset = offsetof(struct assay_trial_spec, cpus)},
    {.key = "memory", .kind = ASSAY_FIELD_BYTES, .flags = ASSAY_FIELD_ABOVE_MIN,
     .max = 1125899906842624.0, .offset = offsetof(struct assay_trial_spec, memory_bytes)},
};

static void
decode_resources(void *target, const json_t *value, const char *pointer,
                 struct assay_faults *faults)
{
    assay_decode_object(value, pointer, resource_fields, ASSAY_COUNT(resource_fields), target,
                        faults);
}

static void
decode_kubernetes(void *target, const json_t *value, const char *pointer,
                  struct assay_faults *faults)
{
    struct assay_trial_spec *trial = target;

    trial->kubernetes = json_is_object(value) ? json_deep_copy(value) : NULL;
    assay_kubernetes_spec_free(assay_kubernetes_spec_decode(value, pointer, faults));
}

/* --- the section --- */

static const struct assay_field trial_fields[] = {
    {.key = "command", .kind = ASSAY_FIELD_CALL, .call = decode_command},
    {.key = "environment", .kind = ASSAY_FIELD_CALL, .call = decode_environment},
    {.key = "code", .kind = ASSAY_FIELD_CALL, .call = decode_code},
    {.key = "metrics", .kind = ASSAY_FIELD_CALL, .call = decode_metrics},
    {.key = "resources", .kind = ASSAY_FIELD_CALL, .call = decode_resources},
    {.key = "checkpoints", .kind = ASSAY_FIELD_BOOL,
     .offset = offsetof(struct assay_trial_spec, checkpoints)},
    {.key = "retries", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = RETRIES_MAX,
     .offset = offsetof(struct assay_trial_spec, retries)},
    {.key = "infrastructure_retries", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = RETRIES_MAX,
     .offset = offsetof(struct assay_trial_spec, infrastructure_retries)},
    {.key = "timeout", .kind = ASSAY_FIELD_DURATION, .flags = ASSAY_FIELD_ABOVE_MIN,
     .offset = offsetof(struct assay_trial_spec, timeout_us)},
    {.key = "grace", .kind = ASSAY_FIELD_DURATION,
     .offset = offsetof(struct assay_trial_spec, grace_us)},
    {.key = "kubernetes", .kind = ASSAY_FIELD_CALL, .call = decode_kubernetes},
};

static bool
given(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return value != NULL && !json_is_null(value);
}

/* A template says itself what its containers run. */
static void
check_command(const json_t *json, struct assay_faults *faults)
{
    bool template = given(json_object_get(json, "kubernetes"), "template");

    if (json_is_object(json) && !given(json, "command") && !template)
        assay_fault_add(faults, "/trial/command", NULL,
                        "an array: the program and its arguments, or kubernetes.template",
                        "command is missing");
    else if (given(json, "command") && template)
        assay_fault_add(faults, "/trial/command", NULL, "command, or kubernetes.template",
                        "a template says itself what its containers run");
    if (given(json, "code") && template)
        assay_fault_add(faults, "/trial/code", NULL, NULL,
                        "a template says itself where its code is");
}

struct assay_trial_spec *
assay__trial_spec_decode(const json_t *json, struct assay_faults *faults)
{
    struct assay_trial_spec *trial = ASSAY_NEW(struct assay_trial_spec);

    trial->environment = json_object();
    trial->infrastructure_retries = 3;
    trial->grace_us = 30 * INT64_C(1000000);
    assay_decode_object(json, "/trial", trial_fields, ASSAY_COUNT(trial_fields), trial, faults);
    check_command(json, faults);
    return trial;
}

struct assay_trial_spec *
assay__trial_spec_free(struct assay_trial_spec *trial)
{
    if (trial == NULL)
        return NULL;
    for (size_t i = 0; i < trial->n_command; i++)
        free(trial->command[i]);
    free(trial->command);
    json_decref(trial->environment);
    free(trial->git_url);
    free(trial->git_revision);
    free(trial->directory);
    free(trial->metrics_path);
    free(trial->metrics_filter);
    json_decref(trial->metrics_names);
    json_decref(trial->kubernetes);
    free(trial);
    return NULL;
}

static void
set_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, key, json_string(text));
}

static json_t *
encode_code(const struct assay_trial_spec *trial)
{
    json_t *json = json_object();

    set_text(json, "git", trial->git_url);
    set_text(json, "revision", trial->git_revision);
    set_text(json, "directory", trial->directory);
    return json;
}

static json_t *
encode_metrics(const struct assay_trial_spec *trial)
{
    json_t *json = json_pack("{s:s}", "from", assay_metrics_from_name(trial->metrics_from));

    set_text(json, trial->metrics_from == ASSAY_METRICS_PROMETHEUS ? "url" : "path",
             trial->metrics_path);
    set_text(json, "filter", trial->metrics_filter);
    if (trial->metrics_names != NULL)
        json_object_set(json, "names", trial->metrics_names);
    if (trial->metrics_count_steps)
        json_object_set_new(json, "steps", json_string("counted"));
    return json;
}

static json_t *
encode_resources(const struct assay_trial_spec *trial)
{
    json_t *json = json_object();

    json_object_set_new(json, "gpus", json_integer(trial->gpus));
    if (trial->cpus > 0.0)
        json_object_set_new(json, "cpus", assay_json_number(trial->cpus));
    if (trial->memory_bytes > 0)
        json_object_set_new(json, "memory", assay_json_bytes(trial->memory_bytes));
    return json;
}

json_t *
assay__trial_spec_encode(const struct assay_trial_spec *trial)
{
    json_t *json = json_object(), *command = json_array();

    for (size_t i = 0; i < trial->n_command; i++)
        json_array_append_new(command, json_string(trial->command[i]));
    if (trial->n_command > 0)
        json_object_set(json, "command", command);
    json_decref(command);
    json_object_set(json, "environment", trial->environment);
    if (trial->git_url != NULL || trial->directory != NULL)
        json_object_set_new(json, "code", encode_code(trial));
    json_object_set_new(json, "metrics", encode_metrics(trial));
    json_object_set_new(json, "resources", encode_resources(trial));
    if (trial->checkpoints)
        json_object_set_new(json, "checkpoints", json_true());
    json_object_set_new(json, "retries", json_integer(trial->retries));
    json_object_set_new(json, "infrastructure_retries",
                        json_integer(trial->infrastructure_retries));
    if (trial->timeout_us > 0)
        json_object_set_new(json, "timeout", assay_json_duration(trial->timeout_us));
    json_object_set_new(json, "grace", assay_json_duration(trial->grace_us));
    if (trial->kubernetes != NULL)
        json_object_set(json, "kubernetes", trial->kubernetes);
    return json;
}
