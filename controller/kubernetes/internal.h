/* What the files of the Kubernetes executor share; nobody else includes this.
 *
 * From the top down; a file calls what stands below it, never what stands above.  What comes
 * from below is a callback, or is noted and taken up at the next tick.
 *
 *   contexts.c      what the engine calls; an executor for each context
 *   executor.c      one cluster's: opening, closing, start and stop, the tick
 *   news.c          what is heard, and which attempt it concerns; leftovers
 *   life.c          an attempt's object is created, found again, deleted; its end told
 *   template_form.c the template form: its object, and the pod of it that is read
 *   pod_form.c      the pod form: what an attempt's pod says about it
 *   secret.c        its Secret, with its token and what a runner has to do
 *   reading.c       its log: metrics, and the output that is kept
 *   attempt.c       what is noted of an attempt: it waits, was started, has ended
 *   space.c         what is watched in a namespace
 *   discovery.c     where the API has the objects of a kind
 *   texts.c         texts of the cluster that study files refer to
 *   cluster.c       one cluster: who we are there, where trials may run, the clock
 *
 * An attempt has one object, which carries its name: a pod, or what its template says.
 *
 * One thread, the engine's loop. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_INTERNAL_H
#define ASSAY_CONTROLLER_KUBERNETES_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "common/output_log.h"
#include "common/random.h"
#include "controller/executor.h"
#include "controller/kube_api/client.h"
#include "controller/kube_api/log.h"
#include "controller/kube_api/watch.h"
#include "controller/kubernetes/pod_manifest.h"
#include "controller/kubernetes/pod_status.h"
#include "controller/kubernetes/template.h"
#include "schemas/metric_book.h"
#include "schemas/metric_line.h"

/* For all tries of one request. */
#define ASSAY__KUBE_REQUEST_US (30 * ASSAY_SECOND_US)

struct assay_kube_executor;
/* Those of all contexts. */
LIST_HEAD(assay_kube_executors, assay_kube_executor);

/* Where the API has the objects of one kind. */
struct assay_kube_resource {
    struct assay_kube_executor *executor;
    char *key; /* "batch/v1 Job" */
    char *api_version, *kind;
    enum {
        ASSAY__KUBE_UNKNOWN, /* nobody asked, or the answer is too old */
        ASSAY__KUBE_ASKED,
        ASSAY__KUBE_KNOWN,
        ASSAY__KUBE_REFUSED, /* `fault` says why; soon unknown again */
    } state;
    char *plural;
    char *fault;
    int64_t until_us; /* monotonic; REFUSED, UNKNOWN: not asked again before */
    struct assay_kube_call *call;
    UT_hash_handle hh;
};

enum assay_kube_space_role {
    ASSAY__KUBE_PODS,     /* pods that carry our labels */
    ASSAY__KUBE_OBJECTS,  /* objects of a kind that carry our labels */
    ASSAY__KUBE_LABELLED, /* pods that carry a label with the name of an object of ours */
};

/* One list that is watched: a kind of objects in a namespace. */
struct assay_kube_space {
    struct assay_kube_executor *executor;
    enum assay_kube_space_role role;
    char *key;
    char *name; /* of the namespace */
    char *path; /* of the collection: "/api/v1/namespaces/x/pods" */
    char *what; /* "pods", "pytorchjobs.kubeflow.org" */
    const char *pod_label; /* LABELLED; static */
    char *api_version, *kind; /* OBJECTS; else NULL */
    struct assay_kube_watch *watch;
    bool synced;
    bool hopeless; /* it can not be listed, and never could */
    bool recalled; /* watched for what may be left over there, too */
    UT_hash_handle hh;
};

/* What is heard of a space. */
struct assay_kube_news {
    void (*put)(struct assay_kube_space *space, const json_t *object);
    void (*gone)(struct assay_kube_space *space, const char *name);
    void (*synced)(struct assay_kube_space *space);
    void (*failed)(struct assay_kube_space *space, const char *sentence);
};

struct assay_kube_attempt {
    struct assay_kube_executor *executor;
    struct assay_kube_space *space; /* of its object; NULL: not known yet */
    struct assay_attempt_key key;
    char *name; /* of the object */
    UT_hash_handle hh;

    json_t *manifest; /* until the object is there */
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
    bool done;        /* it was told; the object is to be deleted */
    bool stored;      /* what is told is */
    bool log_over;    /* nothing more is read of the log, */
    bool log_missing; /* but not because it was at its end */
    bool over_quota;  /* its create was refused for that */
    int refusals;     /* of its create, in a row */
    int64_t grace_us, gpus;
    int64_t refused_since_us; /* monotonic: our credentials are; 0 = they are not */

    struct assay_kube_template *template; /* NULL: the pod form, and nothing below is used */
    struct assay_kube_resource *resource;
    struct assay_kube_space *pods, *labelled; /* where its pods show up; the second may be NULL */
    char *namespace_;
    char *pod;      /* the primary one's name; NULL = none seen yet */
    char *pod_made; /* its creationTimestamp */
    json_t *former; /* names of pods that were it */
    struct assay_kube_pod_status pod_end;       /* ENDED once the primary pod has */
    struct assay_kube_object_status verdict;    /* SUCCEEDED or FAILED once the object has */
    struct assay_kube_call *lookups[2];         /* for its pods, before the end is told */
    struct assay_kube_call *events_call;        /* for why there are none */
    int64_t events_at_us;                       /* monotonic; when next; 0 = not now */
    char *uid;                                  /* of the object */
    int64_t timeout_us, deadline_us;            /* deadline: monotonic; 0 = none */
    bool timed_out, pods_known;

    char *waits; /* why, as last seen */
    bool waits_told;
    int64_t waits_since_us, stuck_since_us;

    struct assay_kube_log *log;
    void (*on_log_over)(struct assay_kube_attempt *attempt);
    struct assay_metric_pattern *pattern; /* NULL = metrics are pushed */
    struct assay_metric_book *book;
    struct assay_measurements measured;
    struct assay_output_log *output;
    struct assay_kube_pod_status end; /* ENDED once it is known */
};

/* One context of the kubeconfig. */
struct assay_kube_executor {
    struct assay_kube_executors *all; /* of which it is one */
    LIST_ENTRY(assay_kube_executor) beside;
    struct assay_executor_events events;
    const struct assay_kube_news *news;
    uv_loop_t *loop;
    uv_timer_t tick;
    uv_timer_cb on_tick;
    bool recall_due; /* at the next tick: a kind is known now */
    bool closing;
    int rounds; /* of the loop until everything is closed */
    char *data_dir, *owner, *selector;
    char *namespace_;   /* of trials whose study names none; "${project}" may stand in it */
    char *watched_path; /* the file for `remembered` */
    char *url, *url_ca, *runner_image; /* see assay__kube_reach */
    int64_t log_bytes;
    struct assay_kube_config *config; /* NULL: `fault` says why */
    char *fault;
    struct assay_kube_client *client;
    struct assay_metric_line line; /* the one under way */
    struct assay_kube_resource *resources; /* by key */
    struct assay_kube_space *spaces;       /* by key */
    json_t *remembered; /* what was watched: [{namespace, apiVersion, kind}] */
    struct assay_kube_attempt *attempts; /* by the name of the object */
    LIST_HEAD(assay_kube_texts, assay_kube_text) texts; /* being read */
    size_t over_quota;                   /* of them */
    struct assay_random random;          /* of pauses */
};

/* --- the cluster (cluster.c) --- */

/* A cluster that can not be reached is no error: `config` is NULL and `fault` says why. */
ASSAY_MUST_CHECK assay_status
assay__kube_cluster_open(struct assay_kube_executor *executor,
                         const struct assay_kubernetes_options *options, struct assay_error *err);
void assay__kube_cluster_done(struct assay_kube_executor *executor);
/* How pods reach this service; borrowed. */
struct assay_kube_reach assay__kube_reach(const struct assay_kube_executor *executor);
/* Each project's trials run in a namespace of their own. */
bool assay__kube_is_by_project(const struct assay_kube_executor *executor);
/* Of a project's trials, unless their study names another.  Caller frees. */
char *assay__kube_own_namespace(const struct assay_kube_executor *executor, const char *project);
/* The namespace is one in which the project may run trials; `wanted` NULL: its own. */
void assay__kube_check_namespace(const struct assay_kube_executor *executor, const char *project,
                                 const char *wanted, const char *pointer,
                                 struct assay_faults *faults);
/* Every attempt is looked at from the loop. */
void assay__kube_tick_soon(struct assay_kube_executor *executor);

/* --- texts (texts.c) --- */

/* As in struct assay_executor_type. */
void assay__kube_read_text(struct assay_kube_executor *executor, const char *project,
                           const struct assay_import_source *source, assay_executor_text_fn done,
                           void *arg);
void assay__kube_stop_reading(struct assay_kube_executor *executor);

/* --- kinds (discovery.c) --- */

/* What is known of a kind; asks the server when that is nothing.  Look again after a tick. */
struct assay_kube_resource *assay__kube_resource(struct assay_kube_executor *executor,
                                                 const char *api_version, const char *kind);
void assay__kube_resources_close(struct assay_kube_executor *executor);

/* --- what is watched (space.c) --- */

/* What a former daemon watched is watched again, so that nothing it left there stays; `own`:
 * so is the service's own namespace. */
void assay__kube_spaces_open(struct assay_kube_executor *executor, bool own);
/* The same for kinds that have become known since. */
void assay__kube_spaces_recall(struct assay_kube_executor *executor);
/* The namespace's pods with our labels are watched from now on. */
struct assay_kube_space *assay__kube_space_pods(struct assay_kube_executor *executor,
                                                const char *namespace_);
/* The namespace's pods with this label (static). */
struct assay_kube_space *assay__kube_space_labelled(struct assay_kube_executor *executor,
                                                    const char *namespace_, const char *pod_label);
/* The namespace's objects of a kind that is KNOWN. */
struct assay_kube_space *assay__kube_space_objects(struct assay_kube_executor *executor,
                                                   const char *namespace_,
                                                   const struct assay_kube_resource *resource);
/* Whether news of this list are news of the attempt. */
bool assay__kube_space_concerns(const struct assay_kube_space *space,
                                const struct assay_kube_attempt *attempt);
/* Closes those that can not be listed and that no attempt needs. */
void assay__kube_spaces_tidy(struct assay_kube_executor *executor);
void assay__kube_spaces_close(struct assay_kube_executor *executor);
/* A selector as it stands in a URL.  Caller frees. */
char *assay__kube_escape(const char *selector);

/* --- attempts (attempt.c) --- */

struct assay_kube_attempt *assay__kube_find_named(const struct assay_kube_executor *executor,
                                                  const char *name);
/* The end is known; told from the loop. */
void assay__kube_end_soon(struct assay_kube_attempt *attempt, bool lost,
                          enum assay_trial_reason reason, char *sentence_taken);
void assay__kube_tell_started(struct assay_kube_attempt *attempt);
/* Why it is not started yet; `stuck`: it hardly will be. */
void assay__kube_set_waits(struct assay_kube_attempt *attempt, const char *sentence, bool stuck);

/* --- the log (reading.c) --- */

ASSAY_MUST_CHECK assay_status assay__kube_reading_prepare(struct assay_kube_attempt *attempt,
                                                          const struct assay_study_spec *spec,
                                                          struct assay_error *err);
/* Once; nothing when it is followed already.  `over`: nothing more is read of it. */
void assay__kube_follow_log(struct assay_kube_attempt *attempt, const char *pod,
                            const char *container,
                            void (*over)(struct assay_kube_attempt *attempt));
/* Another pod's log is read next, from its beginning. */
void assay__kube_reading_restart(struct assay_kube_attempt *attempt);
/* How it ended, with what it printed last where that helps.  Caller frees; may be NULL. */
char *assay__kube_reading_message(const struct assay_kube_attempt *attempt);
/* What is needed only while it runs. */
void assay__kube_reading_drop(struct assay_kube_attempt *attempt);

/* --- its Secret (secret.c) --- */

/* The object that the Secret goes with is there: it is created, unless it is under way. */
void assay__kube_secret_wanted(struct assay_kube_attempt *attempt, const char *api_version,
                               const char *kind, const json_t *object);
/* Nobody waits for it any more. */
void assay__kube_secret_drop(struct assay_kube_attempt *attempt);
/* What is due now. */
void assay__kube_secret_look_at(struct assay_kube_attempt *attempt, int64_t now_us);

/* --- pods (pod_form.c) --- */

/* The pod as it is now. */
void assay__kube_pod_seen(struct assay_kube_attempt *attempt, const json_t *pod);
/* A pod that failed while somebody deleted it did not fail by itself. */
void assay__kube_pod_blame(const struct assay_kube_attempt *attempt,
                           struct assay_kube_pod_status *status);

/* --- objects of templates (template_form.c) --- */

/* Whether everything that tells of the attempt is watched, so that its object can be made;
 * sees to it.  May end the attempt. */
bool assay__kube_object_ready(struct assay_kube_attempt *attempt);
void assay__kube_object_seen(struct assay_kube_attempt *attempt, const json_t *object);
/* A pod of the object. */
void assay__kube_object_pod(struct assay_kube_attempt *attempt, const json_t *pod);
void assay__kube_object_pod_gone(struct assay_kube_attempt *attempt);
/* What is due now while it has no pod. */
void assay__kube_object_look_at(struct assay_kube_attempt *attempt, int64_t now_us);

/* --- the life of an attempt (life.c) --- */

void assay__kube_send_create(struct assay_kube_attempt *attempt);
/* A GET of the name: after a 409, and for what is adopted late. */
void assay__kube_send_get(struct assay_kube_attempt *attempt);
void assay__kube_send_delete(struct assay_kube_attempt *attempt);
/* Its object as it is now. */
void assay__kube_seen(struct assay_kube_attempt *attempt, const json_t *object);
/* Its object is not there any more.  May free the attempt. */
void assay__kube_gone(struct assay_kube_attempt *attempt);
/* No object of an adopted attempt: it was never created, or it has vanished since. */
void assay__kube_missing(struct assay_kube_attempt *attempt);
/* What is due now.  May free the attempt. */
void assay__kube_look_at(struct assay_kube_attempt *attempt, int64_t now_us);
void assay__kube_attempt_free(struct assay_kube_attempt *attempt);

/* --- news (news.c) --- */

extern const struct assay_kube_news assay__kube_news;

/* --- one cluster (executor.c) --- */

/* `context` NULL: the service's own.  The rest as in struct assay_executor_type. */
ASSAY_MUST_CHECK assay_status assay__kube_open(const struct assay_executor_options *options,
                                               struct assay_kube_executors *all,
                                               const char *context,
                                               struct assay_kube_executor **ret_executor,
                                               struct assay_error *err);
void assay__kube_check(const struct assay_kube_executor *executor, const char *project,
                       const struct assay_trial_spec *trial, const char *pointer,
                       struct assay_faults *faults);
void assay__kube_start(struct assay_kube_executor *executor, const struct assay_launch *launch);
void assay__kube_adopt(struct assay_kube_executor *executor, const struct assay_launch *launch);
void assay__kube_stop(struct assay_kube_executor *executor, const struct assay_attempt_key *key,
                      int64_t grace_us);
void assay__kube_stored(struct assay_kube_executor *executor,
                        const struct assay_attempt_key *key);
void assay__kube_close(struct assay_kube_executor *executor);

#endif
