/* job.json as a C type: all that is needed to run one attempt.  Written by the
 * executor, immutable after it was read.
 *
 * In a container the member `pod` says what elsewhere follows from the folders:
 * {"attempt_dir","checkpoint_dir","output_dir","url","ca"}, all paths of the container. */
#ifndef ASSAY_TRIAL_RUNNER_JOB_H
#define ASSAY_TRIAL_RUNNER_JOB_H

#include <jansson.h>

#include "common/error.h"

enum assay_job_metrics {
    ASSAY_JOB_METRICS_STDOUT, /* lines of stdout and stderr */
    ASSAY_JOB_METRICS_FILE,
    ASSAY_JOB_METRICS_TENSORBOARD,
    ASSAY_JOB_METRICS_PROMETHEUS,
    ASSAY_JOB_METRICS_PUSH, /* the command reports by itself */
};

struct assay_job {
    char *data_dir; /* of the daemon */
    char *url_file; /* in it: where the daemon is to be reached */
    int64_t study_id, trial, attempt;
    char *marker; /* value of ASSAY_ATTEMPT_KEY */
    char *project, *study;
    char **command; /* NULL-terminated, at least one */
    json_t *environment;
    char *directory;              /* working directory; NULL = the attempt's */
    char *git_url, *git_revision; /* NULL unless the code is fetched */
    enum assay_job_metrics metrics_from;
    char *metrics_path, *metrics_filter; /* NULL = none */
    bool count_steps;                    /* see assay_metric_pattern_count_steps */
    const char **metrics;                /* known names: objectives first */
    size_t n_metrics, n_objectives;
    json_t *parameters;
    double budget; /* NaN = none */
    char *checkpoint_from; /* folder with the checkpoint to start from; NULL = none */
    char *token;
    json_t *gpus; /* array of names; NULL = GPUs are not managed here */
    int64_t grace_us;
    int64_t timeout_us;   /* 0 = none */
    int64_t memory_bytes; /* 0 = none */
    int64_t log_bytes;
    char *attempt_dir;                 /* the folder of job.json, or the pod's */
    char *checkpoint_dir, *output_dir; /* in the folder above, or the pod's */
    /* The runner is the container's first process: its output is the container's, its exit
     * code the command's, and the code was fetched before it was started. */
    bool pod;
    char *url; /* of the daemon; NULL = as `url_file` says */
    char *ca;  /* authorities to trust, PEM; NULL = the machine's */
};

/* `command` (NULL-terminated, borrowed) stands for the job's when it is not NULL. */
ASSAY_MUST_CHECK assay_status assay_job_read(const char *path, char *const *command,
                                             struct assay_job **ret_job, struct assay_error *err);
struct assay_job *assay_job_free(struct assay_job *job);

/* Where the pod's `ca` is written to, in the attempt's folder. */
#define ASSAY_JOB_CA_FILE "ca.pem"

/* A file in the attempt's folder.  Caller frees. */
char *assay_job_file(const struct assay_job *job, const char *name);

#endif
