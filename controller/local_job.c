#include "controller/local_job.h"

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

/* What ${…} can name.  A parameter goes before a word of ours. */
static json_t *
substitution_values(const struct assay_launch *launch)
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

static assay_status
substitute(const char *text, const json_t *values, const char *what, json_t **ret_text,
           struct assay_error *err)
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

static assay_status
build_command(const struct assay_trial_spec *trial, const json_t *values, json_t *job,
              struct assay_error *err)
{
    json_t *command = json_array();
    assay_status rc = ASSAY_OK;

    json_object_set_new(job, "command", command);
    for (size_t i = 0; rc == ASSAY_OK && i < trial->n_command; i++) {
        json_t *text;

        rc = substitute(trial->command[i], values, "command", &text, err);
        if (rc == ASSAY_OK)
            json_array_append_new(command, text);
    }
    return rc;
}

static assay_status
build_environment(const struct assay_trial_spec *trial, const json_t *values, json_t *job,
                  struct assay_error *err)
{
    json_t *environment = json_object();
    assay_status rc = ASSAY_OK;
    const char *name;
    json_t *value;

    json_object_set_new(job, "environment", environment);
    json_object_foreach(trial->environment, name, value)
    {
        json_t *text;

        if (rc == ASSAY_OK)
            rc = substitute(json_string_value(value), values, "environment", &text, err);
        if (rc == ASSAY_OK)
            json_object_set_new(environment, name, text);
    }
    return rc;
}

static const char *
metrics_from_name(enum assay_metrics_from from)
{
    switch (from) {
    case ASSAY_METRICS_STDOUT:
        return "stdout";
    case ASSAY_METRICS_FILE:
        return "file";
    case ASSAY_METRICS_TENSORBOARD:
        return "tensorboard";
    case ASSAY_METRICS_PROMETHEUS:
        return "prometheus";
    case ASSAY_METRICS_PUSH:
        return "push";
    }
    ASSAY_BUG("metrics source");
}

static json_t *
text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static assay_status
build_metrics(const struct assay_study_spec *spec, const json_t *values, json_t *job,
              struct assay_error *err)
{
    const struct assay_trial_spec *trial = spec->trial;
    json_t *objectives = json_array(), *constraints = json_array(), *path = json_null();
    json_t *metrics = json_object();
    assay_status rc = ASSAY_OK;

    for (size_t i = 0; i < spec->n_objectives; i++)
        json_array_append_new(objectives, json_string(spec->objectives[i].metric));
    for (size_t i = 0; i < spec->n_constraints; i++)
        json_array_append_new(constraints, json_string(spec->constraints[i].metric));
    if (trial->metrics_path != NULL)
        rc = substitute(trial->metrics_path, values, "metrics path", &path, err);
    json_object_set_new(metrics, "from", json_string(metrics_from_name(trial->metrics_from)));
    json_object_set_new(metrics, "path", path);
    json_object_set_new(metrics, "filter", text_or_null(trial->metrics_filter));
    json_object_set_new(metrics, "objectives", objectives);
    json_object_set_new(metrics, "constraints", constraints);
    json_object_set_new(job, "metrics", metrics);
    return rc;
}

static json_t *
build_key(const struct assay_attempt_key *key)
{
    json_t *object = json_object();

    json_object_set_new(object, "study_id", json_integer(key->study_id));
    json_object_set_new(object, "trial", json_integer(key->trial_number));
    json_object_set_new(object, "attempt", json_integer(key->attempt));
    return object;
}

static json_t *
build_git(const struct assay_trial_spec *trial)
{
    json_t *git;

    if (trial->git_url == NULL)
        return json_null();
    git = json_object();
    json_object_set_new(git, "url", json_string(trial->git_url));
    json_object_set_new(git, "revision", text_or_null(trial->git_revision));
    return git;
}

assay_status
assay__local_job_build(const struct assay_launch *launch,
                       const struct assay__local_job_options *options, json_t **ret_job,
                       struct assay_error *err)
{
    const struct assay_trial_spec *trial = launch->spec->trial;
    json_t *values = substitution_values(launch), *job = json_object();
    assay_status rc;

    json_object_set_new(job, "data_dir", json_string(options->data_dir));
    json_object_set_new(job, "key", build_key(&launch->key));
    json_object_set_new(job, "marker", json_string(options->marker));
    json_object_set_new(job, "project", json_string(launch->project));
    json_object_set_new(job, "study", json_string(launch->study));
    json_object_set_new(job, "directory", text_or_null(trial->directory));
    json_object_set_new(job, "git", build_git(trial));
    json_object_set_new(job, "parameters", json_deep_copy(launch->parameters));
    json_object_set_new(job, "budget",
                        isnan(launch->budget) ? json_null() : json_real(launch->budget));
    if (launch->parent > 0) {
        assay_auto_free char *parent =
            assay_trial_directory(options->data_dir, launch->key.study_id, launch->parent);

        json_object_set_new(job, "checkpoint_from", json_sprintf("%s/checkpoint", parent));
    }
    json_object_set_new(job, "token", json_string(launch->token));
    json_object_set_new(job, "gpus",
                        options->gpus != NULL ? json_deep_copy(options->gpus) : json_null());
    json_object_set_new(job, "grace_us", json_integer(trial->grace_us));
    json_object_set_new(job, "timeout_us", json_integer(trial->timeout_us));
    json_object_set_new(job, "memory_bytes", json_integer(trial->memory_bytes));
    json_object_set_new(job, "log_bytes", json_integer(options->log_bytes));
    rc = build_command(trial, values, job, err);
    if (rc == ASSAY_OK)
        rc = build_environment(trial, values, job, err);
    if (rc == ASSAY_OK)
        rc = build_metrics(launch->spec, values, job, err);
    json_decref(values);
    if (rc < 0) {
        json_decref(job);
        return rc;
    }
    *ret_job = job;
    return ASSAY_OK;
}
