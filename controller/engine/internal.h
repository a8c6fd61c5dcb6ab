/* The engine's inside, shared by the files of this folder and nobody else.
 *
 * Everything here runs on the engine's thread unless it says otherwise.  The
 * pattern of every step: change the cache through assay__trial_apply and
 * assay__study_apply, which put what they did into a change set; commit the set
 * with the answers that wait for it; act on the world (start, stop) after the
 * commit.
 *
 * The files, each calling only those above it:
 *
 *   inbox, rungs      commands from any thread; what trials are worth at their rungs
 *   cache             what is held: found, counted, marked as due
 *   commit            answers, and the change sets that they wait for
 *   attempt           the processes of trials, towards the executors
 *   trial             the one writer of a trial's state
 *   metrics           what it measured
 *   promotion         pausing trials, and letting them go on
 *   study             the one writer of a study's state
 *   report, add       what is told of trials; trials that are given
 *   result            how a trial ends
 *   load              studies from the store
 *   ask               what workers are handed
 *   suggestion        what the algorithm proposes becomes trials
 *   executor_events   what the executors tell
 *   reconcile         what is against what should be
 *   settle            what follows a commit
 *   study_calls, trial_calls (with call)   what callers want
 *   loop              the thread, its start and end
 *
 * A file that changed something marks the study as due (assay__study_due); loop.c
 * reconciles it before it takes the next command or sleeps.  What a lower file brings
 * about in a higher one is handed over as a callback: the events of the executors and
 * of the suggestion host, and `settle` of the engine. */
#ifndef ASSAY_CONTROLLER_ENGINE_INTERNAL_H
#define ASSAY_CONTROLLER_ENGINE_INTERNAL_H

#include <pthread.h>
#include <sys/queue.h>
#include <uthash.h>
#include <uv.h>

#include "controller/engine/engine.h"
#include "controller/executor.h"
#include "controller/host/host.h"
#include "controller/machines.h"
#include "sql/store.h"
#include "suggest/rungs.h"
#include "suggest/stopping.h"

/* A trial that is not at rest: live, or final with a commit or a process to go. */
struct assay__trial {
    struct assay__study *study;
    struct assay_trial row;        /* as stored, or about to be */
    struct assay_attempt attempt;  /* the latest; number 0 = none yet */
    int64_t *metric_step;          /* per metric id: step of the value in row.metrics */
    size_t n_metric_step;
    bool feasible;
    bool started;                  /* the stopping rule knows what it tries */
    bool slot;                     /* counts against `parallel` and the machine */
    bool executing;                /* the executor has not told its end yet */
    bool begun;                    /* its command has run: what it starts from was brought to it */
    bool promised;                 /* its attempt is decided and not with the executor yet */
    int writes;                    /* commits under way that mention it */
    int64_t failures, losses;      /* attempts of the command / of the infrastructure that failed */
    int64_t not_before_us;         /* monotonic; an attempt after a loss waits */
    int64_t stored_lease_us;       /* what the store has */
    int64_t claimed_us;            /* monotonic time its slot had fallen free, for turnover; 0 */
    UT_hash_handle hh;             /* by row.number */
};

/* An ask that waits for suggestions. */
struct assay__ask {
    int64_t count;
    char *client;
    struct assay__reply *reply;
    struct assay_engine_key key; /* strings owned */
    TAILQ_ENTRY(assay__ask) link;
};
TAILQ_HEAD(assay__ask_list, assay__ask);
void assay__ask_free(struct assay__ask *ask);

struct assay__study {
    struct assay_engine *engine;
    int64_t id;
    struct assay_study_record record; /* state, times, document; counts are in `trials_in` */
    struct assay_study_spec *spec;
    struct assay__trial *trials;      /* hash by number */
    int64_t trials_in[ASSAY_TRIAL_STATE_MAX_];
    int64_t imported;                 /* of them, given as finished ones */
    int64_t next_number;
    int64_t slots;                    /* trials with `slot` */
    double gpu_us;                    /* GPU time of ended attempts */
    char **metrics;                   /* names by metric id */
    size_t n_metrics, metrics_capacity;
    struct assay_stopping *stopping;  /* NULL = no early stopping */
    struct assay__ask_list asks;
    int64_t asked;                    /* suggestions asked for and not answered yet */
    int64_t asked_us;                 /* monotonic time of that ask */
    int64_t asked_last;               /* how many the last ask was for */
    bool exhausted;                   /* the algorithm has no untried point left */
    bool later;                       /* it has none until a running trial ends */
    double rungs[ASSAY_RUNGS_MAX];    /* budgets at which a multi-fidelity algorithm compares */
    size_t n_rungs;                   /* 0 = it does not */
    int64_t paused_ended_us;          /* monotonic time when last a paused trial ended */
    int stray_promotions;             /* in a row, of trials that are not paused */
    bool delete_when_ended;           /* and when its last process is gone */
    bool deleting;                    /* the set that deletes it is under way */
    bool loaded;                      /* false: its creation is not committed yet */
    int64_t *freed_us;                /* monotonic times at which slots fell free, oldest first */
    size_t n_freed, freed_capacity;
    bool due;                         /* in the engine's list of those to reconcile */
    TAILQ_ENTRY(assay__study) due_link;
    UT_hash_handle hh;                /* by id */
};

/* --- commands: closures from any thread, run in order on the engine's */
struct assay__command {
    void (*run)(struct assay_engine *engine, struct assay__command *command); /* frees it */
    STAILQ_ENTRY(assay__command) link;
};

struct assay__commit;

/* A study that was dropped because a change of it was refused, until it is loaded afresh. */
struct assay__absent {
    struct assay__command command; /* first: the database has answered */
    struct assay_engine *engine;
    int64_t study_id;
    char *project, *name;
    assay_status status;    /* what it answered */
    bool asking;            /* it was asked, with an empty set */
    bool delete_when_ended; /* the study's */
    int64_t ask_us;         /* monotonic; asked again then */
    UT_hash_handle hh;      /* by study_id */
};

/* One way to run attempts. */
struct assay__executor {
    const struct assay_executor_type *type;
    struct assay_executor *handle;
    struct assay_promised promised; /* to trials with `promised` */
};
enum { ASSAY__EXECUTORS = 2 };

struct assay_engine {
    struct assay_engine_options options;
    char *data_dir, *program_dir, *trial_token_key;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    uv_prepare_t before_sleep;
    pthread_mutex_t lock;            /* guards inbox and stats */
    STAILQ_HEAD(assay__commands, assay__command) inbox;
    struct assay_engine_stats stats;
    struct assay_store *store;       /* the engine's own: start, reload, replay, repeats */
    struct assay_suggest_host *host;
    struct assay__executor executors[ASSAY__EXECUTORS];
    struct assay__study *studies;    /* hash by id */
    struct assay__absent *absent;    /* hash by id */
    TAILQ_HEAD(assay__due_studies, assay__study) due;  /* to be reconciled before the loop sleeps */
    /* What follows a commit; `err` counts when it was refused. */
    void (*settle)(struct assay_engine *engine, int64_t study_id,
                   const struct assay__commit *commit, assay_status status,
                   const struct assay_error *err);
    int64_t commits;                 /* under way */
    bool stopping;
};

/* Any thread. */
void assay__post(struct assay_engine *engine, struct assay__command *command);
/* The next, or NULL.  Any thread. */
struct assay__command *assay__inbox_take(struct assay_engine *engine);

/* --- answers */
struct assay__reply {
    assay_engine_fn done;
    void *arg;
    struct assay_engine_answer answer;
    struct assay_trial *trials; /* owned copies; answer.trials points to them */
    size_t n_trials;
    struct assay_faults faults;
    TAILQ_ENTRY(assay__reply) link;
};
struct assay__reply *assay__reply_new(assay_engine_fn done, void *arg);
void assay__reply_add_trial(struct assay__reply *reply, const struct assay_trial *trial);
/* Answers now with what was put in, and frees. */
void assay__reply_send(struct assay__reply *reply, assay_status status,
                       const struct assay_error *err);
void assay__reply_fail(struct assay__reply *reply, assay_status status, const char *format, ...)
    ASSAY_PRINTF(3, 4);

/* --- commits */
struct assay__commit {
    struct assay__study *study;
    struct assay_changes *changes;
    TAILQ_HEAD(assay__replies, assay__reply) replies;
    int64_t *trials;  /* numbers mentioned: settled after the commit */
    size_t n_trials, trials_capacity;
    int64_t *launches; /* numbers whose attempt is started after the commit */
    size_t n_launches, launches_capacity;
    int64_t *stops; /* numbers whose attempt is asked to end after the commit */
    size_t n_stops, stops_capacity;
    struct assay_attempt_key *ends; /* attempts whose end it stores */
    size_t n_ends, ends_capacity;
    bool deletes; /* the study: what it has on disk goes after the commit */
    /* A failure that is the request's fault (name taken, key used): the answer says
     * so and `undo` repairs the cache; without it the study is loaded afresh. */
    void (*undo)(struct assay__study *study);
};
struct assay__commit *assay__commit_new(struct assay__study *study);
/* Gives up an empty set. */
void assay__commit_drop(struct assay__commit *commit);
void assay__commit_reply(struct assay__commit *commit, struct assay__reply *reply);
/* The set is sent; answers, launches and stops follow its commit.  An empty set only
 * waits for those before it. */
void assay__commit_send(struct assay__commit *commit);
/* Puts the key's remembered answer into the set; call when reply's answer is complete. */
void assay__commit_key(struct assay__commit *commit, const struct assay_engine_key *key,
                       struct assay__reply *reply);
void assay__event(struct assay__commit *commit, const char *type, int64_t trial_number,
                  json_t *data, const char *format, ...) ASSAY_PRINTF(5, 6);

/* --- cache.c: what is held */
struct assay__study *assay__study_find(struct assay_engine *engine, int64_t id);
struct assay__trial *assay__trial_find(struct assay__study *study, int64_t number);
/* A copy for answers. */
void assay__trial_copy(const struct assay_trial *from, struct assay_trial *ret_copy);
int64_t assay__study_live(const struct assay__study *study);
/* Whether a process of the trial, which may have ended, is there or decided on; and how many
 * of the study's trials have one. */
bool assay__trial_has_process(const struct assay__trial *trial);
int64_t assay__study_processes(const struct assay__study *study);
/* Trials that count against limits.trials and are still to be made; INT64_MAX = no limit. */
int64_t assay__study_room(const struct assay__study *study);
/* How many paused trials the algorithm could promote. */
int64_t assay__rungs_may_promote(const struct assay__study *study);
/* How many suggestions could be used: new trials and promotions. */
int64_t assay__study_makes(const struct assay__study *study);
/* Something has changed: the loop reconciles it soon, once. */
void assay__study_due(struct assay__study *study);
void assay__study_not_due(struct assay__study *study);
/* The next that is due, no longer marked; or NULL. */
struct assay__study *assay__due_take(struct assay_engine *engine);

/* --- rungs.c: values at the rungs of multi-fidelity studies */
void assay__rungs_init(struct assay__study *study);
/* A value measured when so much of the budget was used; whether that reached a rung. */
bool assay__rungs_reach(struct assay__trial *trial, double used, double value);
/* The trial's values at its rungs, for the host.  New reference. */
json_t *assay__rungs_told(const struct assay__trial *trial);

/* --- attempt.c: processes */
/* The executor that the study's trials ask for (`trial` NULL: any); any thread. */
struct assay__executor *assay__executor_for(struct assay_engine *engine,
                                            const struct assay_trial_spec *trial);
/* Asks the trial's attempt to end: now, or as soon as the set is committed. */
void assay__attempt_stop(const struct assay__trial *trial);
void assay__attempt_stop_after(const struct assay__trial *trial, struct assay__commit *commit);
/* It is to end, and its trial to be queued again, however it ends. */
void assay__attempt_interrupt(struct assay__trial *trial, struct assay__commit *commit);
/* Whether it was asked to end. */
bool assay__attempt_is_to_end(const struct assay__trial *trial);
bool assay__attempt_fits(const struct assay__study *study);
/* Whether a trial that starts from this one's checkpoint has yet to get it: until then it
 * must not go on, as its command would write over it. */
bool assay__attempt_is_to_be_copied(const struct assay__trial *trial);
/* Counts the attempt's resources as promised, or no more. */
void assay__attempt_promise(struct assay__trial *trial, bool promised);
/* The next attempt of a trial that is running already: its row, its launch. */
void assay__attempt_begin(struct assay__trial *trial, struct assay__commit *commit);
/* Puts the attempt's end into the set. */
void assay__attempt_ended(struct assay__trial *trial, const struct assay_attempt_end *end,
                          struct assay__commit *commit);
void assay__launch(struct assay__trial *trial);
void assay__adopt(struct assay__trial *trial);
/* Removes what the attempts of a deleted study left. */
void assay__attempts_forget(struct assay_engine *engine, int64_t study_id);

/* --- trial.c: trials */
/* An empty row for the next number, queued now. */
void assay__trial_fresh(const struct assay__study *study, struct assay_trial *ret_row);
/* A cache entry for `row` (taken). */
struct assay__trial *assay__trial_new(struct assay__study *study, struct assay_trial *row);
void assay__trial_free(struct assay__trial *trial);
/* Drops it from the cache when it is at rest. */
void assay__trial_settle(struct assay__trial *trial);
/* A trial that is new in the cache enters counts and set. */
void assay__trial_enter(struct assay__trial *trial, struct assay__commit *commit);
/* Inserts a new trial into cache and set; `row` is taken. */
struct assay__trial *assay__trial_insert(struct assay__study *study, struct assay_trial *row,
                                         struct assay__commit *commit);
/* The one way to change a trial's state; the machine must allow it. */
void assay__trial_apply(struct assay__trial *trial, enum assay_trial_event event,
                        enum assay_trial_reason reason, const char *message,
                        struct assay__commit *commit);
/* Told to end: a process is signalled, a worker hears it with its next report,
 * what does not run ends at once. */
void assay__trial_end(struct assay__trial *trial, enum assay_trial_reason reason,
                      const char *message, struct assay__commit *commit);
/* Frees the trial's slot, if it has one. */
void assay__trial_release(struct assay__trial *trial);
void assay__trial_renew_lease(struct assay__trial *trial, struct assay__commit *commit);
void assay__trial_tell_host(const struct assay__trial *trial);

/* --- metrics.c: what trials measured */
/* A metric's id, named in the set when it is new; -1 when the study has too many. */
int assay__metric_id(struct assay__study *study, const char *name, struct assay__commit *commit);
/* The objective of this name whose value is not its last one; NULL when there is none. */
const struct assay_objective *assay__summarised(const struct assay_study_spec *spec,
                                                const char *metric);
void assay__trial_measured(struct assay__trial *trial, int metric_id, int64_t step, double value);
/* The values told at the end stand for what was measured, or add to it. */
void assay__trial_take_metrics(struct assay__trial *trial, const json_t *metrics);
/* The objectives in the trial's metrics: sets row.value and `feasible`. */
enum assay__objective {
    ASSAY__OBJECTIVE_MISSING,
    ASSAY__OBJECTIVE_NOT_FINITE,
    ASSAY__OBJECTIVE_FINE,
};
enum assay__objective assay__trial_evaluate(struct assay__trial *trial);

/* --- promotion.c: multi-fidelity studies */
/* Pauses a trial that has used up its budget, unless that was all there is. */
bool assay__promotion_pause(struct assay__trial *trial, const char *message,
                            struct assay__commit *commit);
/* Lets paused trials go on as the suggestions say, into the queue; returns those for
 * new trials, as many as the study has room for.  New reference.  `*ret_fault` is set
 * when the algorithm asks for what can not be. */
json_t *assay__promotion_take(struct assay__study *study, const json_t *suggestions,
                              size_t *ret_promoted, char **ret_fault);
/* Nobody will be promoted any more: paused trials end with what they measured. */
void assay__promotion_end(struct assay__study *study, struct assay__commit *commit);

/* --- study.c: studies */
/* Takes spec and record's contents; not yet in the store. */
struct assay__study *assay__study_new(struct assay_engine *engine, int64_t id,
                                      struct assay_study_spec *spec,
                                      struct assay_study_record *record);
/* Forgets it: host, rule, trials, waiting asks (failed with `why`). */
void assay__study_drop(struct assay__study *study, const char *why);
void assay__study_apply(struct assay__study *study, enum assay_study_event event,
                        enum assay_study_reason reason, struct assay__commit *commit);
/* No new trial; ends those that live; the study ends when the last has. */
void assay__study_wind_down(struct assay__study *study, enum assay_study_reason reason,
                            const char *message, struct assay__commit *commit);
/* It has ended or winds down: it is deleted when the last of its processes, which are asked to
 * end, is gone. */
void assay__study_delete_when_ended(struct assay__study *study, struct assay__commit *commit);

/* --- report.c
 * Stores measurements (decoded, in arrival order).  The rule hears them; what it
 * decides counts while the trial goes on (`judged`). */
void assay__trial_report(struct assay__trial *trial, const struct assay_measurements *list,
                         bool judged, struct assay__commit *commit);

/* --- add.c
 * Trials given by the user: decoded whole (ret_rows has an item for each), then
 * inserted one by one. */
bool assay__add_decode(const struct assay__study *study, const json_t *trials,
                       struct assay_faults *faults, struct assay_trial *ret_rows);
struct assay__trial *assay__add_insert(struct assay__study *study, struct assay_trial *row,
                                       struct assay__commit *commit);

/* --- result.c
 * Ends the trial as `completion` says (not taken): also retries, stopping, missing or
 * non-finite objectives. */
void assay__trial_complete(struct assay__trial *trial, const struct assay_completion *completion,
                           struct assay__commit *commit);

/* --- load.c: studies from the store */
assay_status assay__studies_load(struct assay_engine *engine, struct assay_error *err);
/* Drops it and loads it once the database answers and all its sets are settled; until then
 * it is absent: calls on it are refused as unavailable, not as those on one that has ended. */
void assay__study_reload(struct assay__study *study);
bool assay__study_is_absent(const struct assay_engine *engine, int64_t study_id);
/* On every tick: asks again for those whose time has come. */
void assay__absent_tick(struct assay_engine *engine);
void assay__absent_free(struct assay_engine *engine);
/* What it took over from earlier ones; false when that can not be read now. */
bool assay__study_sources(struct assay__study *study, json_t **ret_sources);
/* Says again what every trial is (replay to a fresh suggestion worker); false when
 * that can not be read now. */
bool assay__study_replay(struct assay__study *study);

/* --- ask.c: the workers of ask/tell studies */
/* How many more trials may be made for asks that wait. */
int64_t assay__asks_may_make(const struct assay__study *study);
/* Gives the ask its client's own open trials, then queued ones nobody holds. */
void assay__ask_take_existing(struct assay__study *study, struct assay__ask *ask,
                              struct assay__commit *commit);
/* Answers it with what it has, once the set (sent) is committed; frees it. */
void assay__ask_finish(struct assay__study *study, struct assay__ask *ask,
                       struct assay__commit *commit);
/* The suggestions may take long to come: who asked is told to ask again, with what there
 * is already. */
void assay__asks_put_off(struct assay__study *study);
/* Serves waiting asks from held and queued trials, or asks for more. */
void assay__serve_asks(struct assay__study *study);
/* Asks the algorithm for `count` more trials; none may be asked for already. */
void assay__ask_host(struct assay__study *study, int64_t count);

/* --- suggestion.c: what the suggestion host tells */
extern const struct assay_suggest_host_events assay__host_events;

/* --- executor_events.c */
extern const struct assay_executor_events assay__executor_events;

/* --- reconcile.c: the pass over one study, and what is looked at by the clock */
void assay__reconcile(struct assay__study *study);
void assay__tick(uv_timer_t *timer);

/* --- settle.c: see `settle` of the engine */
void assay__settle(struct assay_engine *engine, int64_t study_id,
                   const struct assay__commit *commit, assay_status status,
                   const struct assay_error *err);

#endif
