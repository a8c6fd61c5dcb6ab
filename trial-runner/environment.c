#include "trial-runner/environment.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>

#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

extern char **environ;

struct list {
    char **items;
    size_t count, capacity;
};

/* Sets NAME to the value (both copied), replacing an older one. */
static void
set(struct list *list, const char *name, const char *value)
{
    size_t length = strlen(name);
    char *entry = assay_format("%s=%s", name, value);

    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], name, length) == 0 && list->items[i][length] == '=') {
            free(list->items[i]);
            list->items[i] = entry;
            return;
        }
    }
    ASSAY_GROW(list->items, list->count, list->capacity);
    list->items[list->count++] = entry;
}

static void
set_taken(struct list *list, const char *name, char *value)
{
    set(list, name, value);
    free(value);
}

const char *
assay_environment_get(char *const *environment, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, length) == 0 && environment[i][length] == '=')
            return environment[i] + length + 1;
    }
    return NULL;
}

static bool
has(const struct list *list, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i], name, length) == 0 && list->items[i][length] == '=')
            return true;
    }
    return false;
}

/* The text of a scalar as ${name} has it.  Caller frees. */
static char *
scalar_text(const json_t *value)
{
    char text[ASSAY_DOUBLE_TEXT];

    if (json_is_string(value))
        return assay_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return assay_strdup(json_is_true(value) ? "true" : "false");
    if (json_is_integer(value))
        return assay_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_real(value)) {
        assay_print_double(json_real_value(value), text);
        return assay_strdup(text);
    }
    return assay_strdup("");
}

static void
set_parameters(struct list *list, const struct assay_job *job)
{
    struct assay_buffer all = {0};
    const char *name;
    json_t *value;

    assay_json_print(job->parameters, 0, &all);
    set(list, "ASSAY_PARAMETERS", all.data);
    assay_buffer_done(&all);
    json_object_foreach(job->parameters, name, value)
    {
        assay_auto_free char *variable = assay_format("ASSAY_PARAM_%s", name);

        for (char *p = variable; *p != '\0'; p++)
            *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
        set_taken(list, variable, scalar_text(value));
    }
    set_taken(list, "ASSAY_PARAMETERS_FILE", assay_job_file(job, "parameters.json"));
}

/* Which GPUs CUDA shows.  A trial that was given none sees none, unless its study
 * says otherwise by setting the variable itself. */
static void
set_gpus(struct list *list, const struct assay_job *job)
{
    struct assay_buffer names = {0};
    const json_t *name;
    size_t i;

    if (job->gpus == NULL || (json_array_size(job->gpus) == 0 &&
                              json_object_get(job->environment, "CUDA_VISIBLE_DEVICES") != NULL))
        return;
    json_array_foreach(job->gpus, i, name)
    {
        assay_buffer_puts(&names, i > 0 ? "," : "");
        assay_buffer_puts(&names, json_string_value(name));
    }
    set_taken(list, "CUDA_VISIBLE_DEVICES", assay_buffer_steal(&names));
}

static void
set_ours(struct list *list, const struct assay_job *job, const char *url)
{
    char budget[ASSAY_DOUBLE_TEXT];

    set_parameters(list, job);
    set_gpus(list, job);
    if (url != NULL)
        set(list, "ASSAY_URL", url);
    if (job->pod && job->ca != NULL)
        set_taken(list, "ASSAY_CA_FILE", assay_job_file(job, ASSAY_JOB_CA_FILE));
    /* Where the address stands after the daemon has come back on another port. */
    if (!job->pod)
        set(list, "ASSAY_URL_FILE", job->url_file);
    set(list, "ASSAY_TOKEN", job->token);
    set(list, "ASSAY_PROJECT", job->project);
    set(list, "ASSAY_STUDY", job->study);
    set_taken(list, "ASSAY_TRIAL", assay_format("%" PRId64, job->trial));
    set_taken(list, "ASSAY_ATTEMPT", assay_format("%" PRId64, job->attempt));
    if (!isnan(job->budget)) {
        assay_print_double(job->budget, budget);
        set(list, "ASSAY_BUDGET", budget);
    }
    set(list, "ASSAY_CHECKPOINT_DIR", job->checkpoint_dir);
    set(list, "ASSAY_OUTPUT_DIR", job->output_dir);
    if (!has(list, "PYTHONUNBUFFERED"))
        set(list, "PYTHONUNBUFFERED", "1");
}

char **
assay_environment_build(const struct assay_job *job, const char *url)
{
    struct list list = {0};
    const char *name;
    json_t *value;

    set(&list, "ASSAY_ATTEMPT_KEY", job->marker);
    for (char **p = environ; *p != NULL; p++) {
        /* A daemon may itself run inside a trial. */
        if (strncmp(*p, "ASSAY_", 6) == 0 || strncmp(*p, "ASSAYD_", 7) == 0)
            continue;
        ASSAY_GROW(list.items, list.count, list.capacity);
        list.items[list.count++] = assay_strdup(*p);
    }
    json_object_foreach(job->environment, name, value)
    {
        if (json_is_string(value))
            set(&list, name, json_string_value(value));
    }
    set_ours(&list, job, url);
    ASSAY_GROW(list.items, list.count, list.capacity);
    list.items[list.count] = NULL;
    return list.items;
}

char **
assay_environment_free(char **environment)
{
    for (char **p = environment; p != NULL && *p != NULL; p++)
        free(*p);
    free(environment);
    return NULL;
}
