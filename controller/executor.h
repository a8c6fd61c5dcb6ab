/* Executors run attempts: the `local` one as processes of this machine, the
 * `kubernetes` one as pods.  One type struct per executor, filled once; the
 * engine knows nothing else about them.
 *
 * One thread: everything here happens on the engine's libuv loop, and the
 * callbacks come from there.  Nothing blocks longer than a small file write. */
#ifndef ASSAY_CONTROLLER_EXECUTOR_H
#define ASSAY_CONTROLLER_EXECUTOR_H

#include <jansson.h>
#include <uv.h>

#include "schemas/import.h"
#include "schemas/study.h"
#include "schemas/trial.h"

struct assay_attempt_key {
    int64_t study_id;
    int64_t trial_number;
    int64_t attempt;
};

/* All that is needed to start one attempt; borrowed for the call. */
struct assay_launch {
    struct assay_attempt_key key;
    const char *project, *study;
    const struct assay_study_spec *spec;
    const json_t *parameters; /* object of the active parameters */
    double budget;            /* NaN = none */
    int64_t parent;           /* trial whose checkpoint it starts from; 0 = none */
    const char *token;        /* the attempt's own */
    bool started;             /* adopt: `started` was told of it, and stored */
};

/* How an attempt ended, as far as the executor saw. */
struct assay_attempt_end {
    bool lost;       /* no result: the runner or the machine disappeared, or the start failed
                        for a reason that is not the user's; worth an infrastructure retry */
    enum assay_trial_state state; /* succeeded or failed, as the runner's result says */
    enum assay_trial_reason reason;
    int exit_code;   /* -1 = none */
    int signal;      /* 0 = none */
    const char *message; /* sentence, may be NULL */
};

struct assay_executor_events {
    /* The command's process is there; `pid` is the runner's.  `gpus` is an array of names
     * or NULL (borrowed).  At most once for an attempt started or adopted (for an adopted
     * one again, in case the former daemon could not record it), never from inside a call,
     * always before `ended`; not at all when the command could not be started.  `pid` 0: it
     * is no process of this machine. */
    void (*started)(void *arg, const struct assay_attempt_key *key, int64_t pid,
                    const json_t *gpus);
    /* It is not started yet, and why: for a person to read.  Any number of times,
     * before `started`. */
    void (*waits)(void *arg, const struct assay_attempt_key *key, const char *sentence);
    /* What the executor itself read of the attempt's output, where no runner reports;
     * borrowed.  After a restart of the daemon it comes again, with the same steps. */
    void (*measured)(void *arg, const struct assay_attempt_key *key,
                     const struct assay_measurements *list);
    /* The attempt has no process left; its resources are free again.  Exactly once for
     * every attempt started or adopted, also after a completion told over HTTP. */
    void (*ended)(void *arg, const struct assay_attempt_key *key,
                  const struct assay_attempt_end *end);
    void *arg;
};

/* Resources of attempts that are decided and not started. */
struct assay_promised {
    int64_t gpus;
    double cpus;
    int64_t memory_bytes;
};

/* How the cluster is reached, and as whom; see schemas/config.yaml. */
struct assay_kubernetes_options {
    const char *kubeconfig, *context, *namespace_; /* NULL = as kubectl finds them */
    const char *owner; /* NULL = drawn once and kept in the data directory */
    const char *url;   /* of the daemon, as pods reach it; NULL = they can not */
    const char *url_ca; /* file of the authorities they trust then; NULL = their image's */
    const char *runner_image; /* what brings assay-runner into pods; NULL = nothing does */
    int64_t qps, burst;
};

struct assay_executor_options {
    uv_loop_t *loop;
    struct assay_executor_events events;
    const char *data_dir;    /* absolute */
    const char *runner;      /* absolute path of assay-runner */
    int pretend_gpus;        /* -1: those of the machine */
    int64_t trial_log_bytes;
    struct assay_kubernetes_options kubernetes;
};

/* What became of the wish for a text; borrowed for the callback. */
struct assay_executor_text {
    assay_status status; /* ASSAY_E_INVALID_STUDY, ASSAY_E_UNAVAILABLE: with `faults` */
    const char *text, *version;
    const struct assay_faults *faults;
};
typedef void (*assay_executor_text_fn)(void *arg, const struct assay_executor_text *text);

struct assay_executor;

struct assay_executor_type {
    const char *name;
    /* Its attempts go on while the daemon is away, also for an orderly end. */
    bool goes_on;
    ASSAY_MUST_CHECK assay_status (*open)(const struct assay_executor_options *options,
                                          struct assay_executor **ret_executor,
                                          struct assay_error *err);
    /* Whether a trial of this study could ever run here; any thread. */
    void (*check)(const struct assay_executor *executor, const char *project,
                  const struct assay_trial_spec *trial, const char *pointer,
                  struct assay_faults *faults);
    /* (optional) Why nothing can run here at all, or NULL.  Caller frees; any thread. */
    char *(*unable)(const struct assay_executor *executor, const struct assay_trial_spec *trial);
    /* Whether one more attempt of this study fits now, beside what runs and what was
     * promised to attempts that are not started yet (their commit is under way). */
    bool (*fits)(const struct assay_executor *executor, const struct assay_trial_spec *trial,
                 const struct assay_promised *promised);
    /* Starts the attempt and reserves its resources.  Always followed by `ended`,
     * also when it fails (then from the loop, not from inside this call). */
    void (*start)(struct assay_executor *executor, const struct assay_launch *launch);
    /* Takes over an attempt that the store says may run (after a restart of the
     * daemon): followed by `ended` when it turns out or comes to an end.  `gpus`: what
     * it held (NULL = none), reserved again.  An attempt of which nothing was started
     * yet is started now, so that a daemon killed between deciding and starting costs
     * no retry. */
    void (*adopt)(struct assay_executor *executor, const struct assay_launch *launch,
                  const json_t *gpus);
    /* Asks the attempt to end: SIGTERM, and SIGKILL after the grace time.  Idempotent. */
    void (*stop)(struct assay_executor *executor, const struct assay_attempt_key *key,
                 int64_t grace_us);
    /* (optional) Reads what a study file refers to, if somebody of the project may have it.
     * `done` comes once, within seconds, perhaps from inside the call. */
    void (*read_text)(struct assay_executor *executor, const char *project,
                      const struct assay_import_source *source, assay_executor_text_fn done,
                      void *arg);
    /* (with read_text) Those that are still being read are given up. */
    void (*stop_reading)(struct assay_executor *executor);
    /* The resources of an attempt whose command has ended (told over HTTP) are free from
     * now on, though its runner is still on its way out. */
    void (*release)(struct assay_executor *executor, const struct assay_attempt_key *key);
    /* (optional) What `ended` tells of the attempt is stored (it may be known before, from
     * its runner): what was kept to find it out again may go. */
    void (*stored)(struct assay_executor *executor, const struct assay_attempt_key *key);
    /* Removes what a deleted study left on disk. */
    void (*forget)(struct assay_executor *executor, int64_t study_id);
    /* Closes its handles on the loop (attempts still running are left alone). */
    void (*close)(struct assay_executor *executor);
};

extern const struct assay_executor_type assay_executor_local;
extern const struct assay_executor_type assay_executor_kubernetes;

/* In data_dir: the address for trials on this machine, while a daemon serves. */
#define ASSAY_TRIALS_URL_FILE "trials-url"

/* Folders of the local executor, for the log route.  Caller frees. */
char *assay_trial_directory(const char *data_dir, int64_t study_id, int64_t trial_number);
char *assay_attempt_directory(const char *data_dir, const struct assay_attempt_key *key);

#endif
