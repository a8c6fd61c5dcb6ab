#include "controller/job.h"

#include <math.h>

#include "common/json.h"
#include "common/memory.h"
#include "controller/launch.h"

static assay_status
build_command(const struct assay_trial_spec *trial, const json_t *values, json_t *job,
              struct assay_error *err)
{
    json_t *command = json_array();
    assay_status rc = ASSAY_OK;

    json_object_set_new(job, "command", command);
    for (size_t i = 0; rc == ASSAY_OK && i < trial->n_command; i++) {
        json_t *text;

        rc = assay_launch_substitute(trial->command[i], values, "command", &text, err);
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
            rc = assay_launch_substitute(json_string_value(value), values, "environment", &text, err);
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
        rc = assay_launch_substitute(trial->metrics_path, values, "metrics path", &path, err);
    json_object_set_new(metrics, "from", json_string(metrics_from_name(trial->metrics_from)));
    json_object_set_new(metrics, "path", path);
    json_object_set_new(metrics, "filter", assay_json_text(trial->metrics_filter));
    json_object_set_new(metrics, "objectives", objectives);
    json_object_set_new(metrics, "constraints", constraints);
    if (trial->metrics_names != NULL)
        json_object_set(metrics, "names", trial->metrics_names);
    if (trial->metrics_count_steps)
        json_object_set_new(metrics, "count_steps", json_true());
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
    json_object_set_new(git, "revision", assay_json_text(trial->git_revision));
    return git;
}

assay_status
assay_job_build(const struct assay_launch *launch, const struct assay_job_options *options,
                json_t **ret_job, struct assay_error *err)
{
    const struct assay_trial_spec *trial = launch->spec->trial;
    json_t *values = assay_launch_values(launch), *job = json_object();
    assay_status rc;

    json_object_set_new(job, "data_dir", json_string(options->data_dir));
    json_object_set_new(job, "url_file", json_string(ASSAY_TRIALS_URL_FILE));
    json_object_set_new(job, "key", build_key(&launch->key));
    json_object_set_new(job, "marker", json_string(options->marker));
    json_object_set_new(job, "project", json_string(launch->project));
    json_object_set_new(job, "study", json_string(launch->study));
    json_object_set_new(job, "directory", assay_json_text(trial->directory));
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
