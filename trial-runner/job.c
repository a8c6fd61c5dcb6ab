#include "trial-runner/job.h"

#include <errno.h>
#include <math.h>

#include "common/file.h"
#include "common/memory.h"

#define JOB_BYTES_MAX ((size_t)16 << 20)

/* The folders of a job outside of pods: its own, and those beside it. */
static assay_status
set_folders(struct assay_job *job, const char *path, struct assay_error *err)
{
    assay_auto_free char *real = realpath(path, NULL);
    char *slash;

    if (real == NULL)
        return assay_fail_errno(err, errno, "%s", path);
    slash = strrchr(real, '/');
    *slash = '\0';
    slash = strrchr(real, '/');
    if (slash == NULL || slash == real)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not in an attempt's folder", path);
    job->attempt_dir = assay_strdup(real);
    *slash = '\0';
    job->checkpoint_dir = assay_format("%s/checkpoint", real);
    job->output_dir = assay_format("%s/output", real);
    return ASSAY_OK;
}

static char *
take_text(const json_t *object, const char *key)
{
    return assay_strdup(json_string_value(json_object_get(object, key)));
}

static bool
parse_metrics_from(const char *name, enum assay_job_metrics *ret_from)
{
    static const char *const names[] = {"stdout", "file", "tensorboard", "prometheus", "push"};

    for (size_t i = 0; name != NULL && i < ASSAY_COUNT(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_from = (enum assay_job_metrics)i;
            return true;
        }
    }
    return false;
}

static void
add_names(struct assay_job *job, const json_t *names)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (json_is_string(name))
            job->metrics[job->n_metrics++] = assay_strdup(json_string_value(name));
    }
}

static bool
read_metrics(struct assay_job *job, const json_t *metrics)
{
    const json_t *objectives = json_object_get(metrics, "objectives");
    const json_t *constraints = json_object_get(metrics, "constraints");
    const json_t *names = json_object_get(metrics, "names");

    job->metrics_path = take_text(metrics, "path");
    job->metrics_filter = take_text(metrics, "filter");
    job->metrics = assay_zalloc(json_array_size(objectives) + json_array_size(constraints) +
                                    json_array_size(names) + 1,
                                sizeof *job->metrics);
    job->count_steps = json_is_true(json_object_get(metrics, "count_steps"));
    add_names(job, objectives);
    job->n_objectives = job->n_metrics;
    add_names(job, constraints);
    add_names(job, names);
    return parse_metrics_from(json_string_value(json_object_get(metrics, "from")),
                              &job->metrics_from) &&
           job->n_objectives > 0;
}

static bool
read_command(struct assay_job *job, const json_t *command, char *const *given)
{
    size_t n = json_array_size(command);

    if (given != NULL)
        for (n = 0; given[n] != NULL; n++)
            ;
    job->command = assay_zalloc(n + 1, sizeof *job->command);
    for (size_t i = 0; i < n; i++) {
        const char *text =
            given != NULL ? given[i] : json_string_value(json_array_get(command, i));

        if (text == NULL)
            return false;
        job->command[i] = assay_strdup(text);
    }
    return true;
}

static bool
read_pod(struct assay_job *job, const json_t *pod)
{
    if (pod == NULL)
        return true;
    job->pod = true;
    job->attempt_dir = take_text(pod, "attempt_dir");
    job->checkpoint_dir = take_text(pod, "checkpoint_dir");
    job->output_dir = take_text(pod, "output_dir");
    job->url = take_text(pod, "url");
    job->ca = take_text(pod, "ca");
    return job->attempt_dir != NULL && job->checkpoint_dir != NULL && job->output_dir != NULL &&
           job->url != NULL;
}

/* That of an earlier version's daemon when the job names none. */
static char *
find_url_file(const struct assay_job *job, const json_t *json)
{
    assay_auto_free char *name = take_text(json, "url_file");

    if (job->data_dir == NULL)
        return NULL;
    return assay_format("%s/%s", job->data_dir, name != NULL ? name : "url");
}

static bool
read_members(struct assay_job *job, const json_t *json, char *const *command)
{
    const json_t *key = json_object_get(json, "key");
    const json_t *git = json_object_get(json, "git");
    const json_t *budget = json_object_get(json, "budget");
    json_t *gpus = json_object_get(json, "gpus");

    job->data_dir = take_text(json, "data_dir");
    job->url_file = find_url_file(job, json);
    job->study_id = json_integer_value(json_object_get(key, "study_id"));
    job->trial = json_integer_value(json_object_get(key, "trial"));
    job->attempt = json_integer_value(json_object_get(key, "attempt"));
    job->marker = take_text(json, "marker");
    job->project = take_text(json, "project");
    job->study = take_text(json, "study");
    job->environment = json_incref(json_object_get(json, "environment"));
    job->directory = take_text(json, "directory");
    job->git_url = take_text(git, "url");
    job->git_revision = take_text(git, "revision");
    job->parameters = json_incref(json_object_get(json, "parameters"));
    job->budget = json_is_number(budget) ? json_number_value(budget) : NAN;
    job->checkpoint_from = take_text(json, "checkpoint_from");
    job->token = take_text(json, "token");
    job->gpus = json_is_array(gpus) ? json_incref(gpus) : NULL;
    job->grace_us = json_integer_value(json_object_get(json, "grace_us"));
    job->timeout_us = json_integer_value(json_object_get(json, "timeout_us"));
    job->memory_bytes = json_integer_value(json_object_get(json, "memory_bytes"));
    job->log_bytes = json_integer_value(json_object_get(json, "log_bytes"));
    return read_command(job, json_object_get(json, "command"), command) &&
           read_pod(job, json_object_get(json, "pod")) &&
           read_metrics(job, json_object_get(json, "metrics")) && job->data_dir != NULL &&
           job->marker != NULL && job->project != NULL && job->study != NULL &&
           job->token != NULL && json_is_object(job->environment) &&
           json_is_object(job->parameters) && job->trial > 0;
}

assay_status
assay_job_read(const char *path, char *const *command, struct assay_job **ret_job,
               struct assay_error *err)
{
    struct assay_job *job = ASSAY_NEW(struct assay_job);
    assay_auto_free char *text = NULL;
    size_t length;
    assay_status rc = assay_file_read(path, JOB_BYTES_MAX, &text, &length, err);

    if (rc == ASSAY_OK) {
        json_error_t where;
        json_t *json = json_loadb(text, length, 0, &where);

        if (json == NULL)
            rc = assay_fail(err, ASSAY_E_INVALID_JSON, "%s: line %d: %s", path, where.line,
                            where.text);
        else if (!read_members(job, json, command))
            rc = assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: a member is missing or wrong", path);
        else if (!job->pod)
            rc = set_folders(job, path, err);
        json_decref(json);
    }
    if (rc < 0) {
        assay_job_free(job);
        return rc;
    }
    *ret_job = job;
    return ASSAY_OK;
}

/* Frees a string that is const in its struct because nobody else may change it. */
static void
free_const(const char *text)
{
    char *bytes;

    memcpy(&bytes, &text, sizeof bytes);
    free(bytes);
}

struct assay_job *
assay_job_free(struct assay_job *job)
{
    if (job == NULL)
        return NULL;
    for (size_t i = 0; job->command != NULL && job->command[i] != NULL; i++)
        free(job->command[i]);
    for (size_t i = 0; i < job->n_metrics; i++)
        free_const(job->metrics[i]);
    json_decref(job->environment);
    json_decref(job->parameters);
    json_decref(job->gpus);
    free(job->command);
    free(job->metrics);
    free(job->data_dir);
    free(job->url_file);
    free(job->marker);
    free(job->project);
    free(job->study);
    free(job->directory);
    free(job->git_url);
    free(job->git_revision);
    free(job->metrics_path);
    free(job->metrics_filter);
    free(job->token);
    free(job->checkpoint_from);
    free(job->attempt_dir);
    free(job->checkpoint_dir);
    free(job->output_dir);
    free(job->url);
    free(job->ca);
    free(job);
    return NULL;
}

char *
assay_job_file(const struct assay_job *job, const char *name)
{
    return assay_format("%s/%s", job->attempt_dir, name);
}
