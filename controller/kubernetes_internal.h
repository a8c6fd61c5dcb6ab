/* What the files of the Kubernetes executor share; nobody else includes this.
 *
 *   kubernetes_executor.c  what the engine calls; opening, closing, the clock
 *   kubernetes_attempt.c   one attempt: its object is created, found again, deleted; its end told
 *   kubernetes_pods.c      what an attempt's pod says about it
 *   kubernetes_reading.c   its log: metrics, and the output that is kept
 *   kubernetes_secret.c    its Secret, with its token and what a runner has to do
 *   kubernetes_space.c     what is watched in a namespace; leftovers
 *
 * One thread, the engine's loop. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_INTERNAL_H
#define ASSAY_CONTROLLER_KUBERNETES_INTERNAL_H

#include <uthash.h>

#include "common/output_log.h"
#include "controller/executor.h"
#include "controller/kube_client.h"
#include "controller/kube_log.h"
#include "controller/kube_pod.h"
#include "controller/kube_watch.h"
#include "schemas/metric_book.h"
#include "schemas/metric_line.h"

/* For all tries of one request. */
#define ASSAY__KUBE_REQUEST_US (30 * ASSAY_SECOND_US)

struct assay_kube_executor;

/* One namespace. */
struct assay_kube_space {
    struct assay_kube_executor *executor;
    char *name;
    struct assay_kube_watch *watch;
    bool synced;
    UT_hash_handle hh;
};

struct assay_kube_attempt {
    struct assay_kube_executor *executor;
    struct assay_kube_space *space;
    struct assay_attempt_key key;
    char *name; /* of the pod */
    UT_hash_handle hh;

    json_t *manifest; /* until the pod is there */
    json_t *secret;   /* until it is there, or not needed any more; NULL = none */
    bool reports;     /* a runner in its pod does: its log is not read for metrics */
    struct assay_kube_call *call, *delete_call, *secret_call;
    int64_t secret_at_us, secret_wait_us; /* when, and how long after the last try */
    int64_t create_at_us, delete_at_us; /* monotonic; 0 = not now */
    bool asked;                         /* a create was sent: the pod may be there */
    bool adopted;                       /* not known yet whether the pod is there */
    bool was_started;                   /* by a former daemon's word */
    bool seen, gone, started, stopping;
    bool ending;      /* the end is known and told at the next tick */
    bool done;        /* it was told; the pod is to be deleted */
    bool log_missing; /* the log could not be read to its end */
    int64_t grace_us, gpus;

    char *waits; /* why, as last seen */
    bool waits_told;
    int64_t waits_since_us, stuck_since_us;

    struct assay_kube_log *log;
    struct assay_metric_pattern *pattern; /* NULL = metrics are pushed */
    struct assay_metric_book *book;
    struct assay_measurements measured;
    struct assay_output_log *output;
    struct assay_kube_pod_status end; /* ENDED once it is known */
};

struct assay_kube_executor {
    struct assay_executor_events events;
    uv_loop_t *loop;
    uv_timer_t tick;
    bool closing;
    int rounds; /* of the loop until everything is closed */
    char *data_dir, *owner, *namespace_, *selector;
    char *url, *url_ca, *runner_image; /* see assay__kube_reach */
    int64_t log_bytes;
    struct assay_kube_config *config; /* NULL: `fault` says why */
    char *fault;
    struct assay_kube_client *client;
    struct assay_metric_line line; /* the one under way */
    struct assay_kube_space *spaces;
    struct assay_kube_attempt *attempts; /* by pod name */
};

/* --- the clock (kubernetes_executor.c) --- */

/* Every attempt is looked at from the loop. */
void assay__kube_tick_soon(struct assay_kube_executor *executor);

/* --- attempts (kubernetes_attempt.c) --- */

struct assay_kube_attempt *assay__kube_find_named(const struct assay_kube_executor *executor,
                                                  const char *name);
void assay__kube_attempt_free(struct assay_kube_attempt *attempt);
/* The end is known; told from the loop. */
void assay__kube_end_soon(struct assay_kube_attempt *attempt, bool lost,
                          enum assay_trial_reason reason, char *sentence_taken);
void assay__kube_tell_started(struct assay_kube_attempt *attempt);
/* Why it is not started yet; `stuck`: it hardly will be. */
void assay__kube_set_waits(struct assay_kube_attempt *attempt, const char *sentence, bool stuck);
void assay__kube_send_create(struct assay_kube_attempt *attempt);
/* A GET of the name: after a 409, and for what is adopted late. */
void assay__kube_send_get(struct assay_kube_attempt *attempt);
void assay__kube_send_delete(struct assay_kube_attempt *attempt);
/* No pod of an adopted attempt: it was never created, or it has vanished since. */
void assay__kube_pod_missing(struct assay_kube_attempt *attempt);
/* What is due now.  May free the attempt. */
void assay__kube_look_at(struct assay_kube_attempt *attempt, int64_t now_us);

/* --- pods (kubernetes_pods.c) --- */

/* The pod as it is now. */
void assay__kube_pod_seen(struct assay_kube_attempt *attempt, const json_t *pod);
/* The pod is not there any more.  May free the attempt. */
void assay__kube_pod_gone(struct assay_kube_attempt *attempt);

/* --- the log (kubernetes_reading.c) --- */

ASSAY_MUST_CHECK assay_status assay__kube_reading_prepare(struct assay_kube_attempt *attempt,
                                                          const struct assay_study_spec *spec,
                                                          struct assay_error *err);
/* Once; nothing when it is followed already. */
void assay__kube_follow_log(struct assay_kube_attempt *attempt);
/* How it ended, with what it printed last where that helps.  Caller frees; may be NULL. */
char *assay__kube_reading_message(const struct assay_kube_attempt *attempt);
/* What is needed only while it runs. */
void assay__kube_reading_drop(struct assay_kube_attempt *attempt);

/* --- its Secret (kubernetes_secret.c) --- */

/* How pods reach this service; borrowed. */
struct assay_kube_reach assay__kube_reach(const struct assay_kube_executor *executor);
/* The object that the Secret goes with is there: it is created, unless it is under way. */
void assay__kube_secret_wanted(struct assay_kube_attempt *attempt, const char *api_version,
                               const char *kind, const json_t *object);
/* Nobody waits for it any more. */
void assay__kube_secret_drop(struct assay_kube_attempt *attempt);
/* What is due now. */
void assay__kube_secret_look_at(struct assay_kube_attempt *attempt, int64_t now_us);

/* --- namespaces (kubernetes_space.c) --- */

/* The namespace's pods are watched from now on. */
struct assay_kube_space *assay__kube_space(struct assay_kube_executor *executor, const char *name);

#endif
