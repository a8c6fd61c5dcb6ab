/* What the files of the suggestion host share; nobody else includes this.
 *
 * From the top down; a file calls what stands below it, never what stands above:
 *
 *   host.c     what the engine calls; answers
 *   loss.c     a worker's process has come or is gone
 *   ahead.c    answers before the question
 *   place.c    which study lives with which worker
 *   queue.c    what waits is sent
 *   room.c     what workers keep open
 *   worker.c   a worker and its process
 *   process.c  a child, and the messages to and from it
 *   study.c    studies and asks, as data
 *
 * A study has at most one ask that somebody waits for, and at most one more that was
 * made ahead of time.  A worker answers in the order in which asks were sent; what is
 * not sent yet may still move to another worker. */
#ifndef ASSAY_CONTROLLER_HOST_INTERNAL_H
#define ASSAY_CONTROLLER_HOST_INTERNAL_H

#include <sys/queue.h>
#include <uthash.h>

#include "common/buffer.h"
#include "common/random.h"
#include "controller/host/host.h"
#include "suggest/protocol.h"

struct assay__host_ask {
    int64_t study_id;
    struct assay__hosted *study; /* NULL: it was forgotten, nobody wants the answer */
    int64_t request;
    int64_t *numbers;
    size_t n_numbers;
    int tries;        /* times its worker died or was killed over it */
    int cuts;         /* times the connection to its worker was cut under way */
    bool ahead;       /* nobody waits for it */
    bool ended;       /* study->ended when it was made */
    bool reopened;    /* its time has a replay in it */
    int64_t told;     /* study->told when it was sent */
    int64_t asked_us; /* monotonic */
    int64_t sent_us;
    json_t *trials;   /* the answer, where it is kept */
    bool exhausted;
    TAILQ_ENTRY(assay__host_ask) link;
};
TAILQ_HEAD(assay__host_asks, assay__host_ask);

struct assay__hosted {
    int64_t id;
    struct assay_suggest_host *host;
    struct assay__host_worker *worker;
    json_t *document;
    json_t *tells;     /* array, not sent yet */
    bool opened;       /* the worker's process knows it */
    char *trouble;     /* why its last open or tell failed; NULL: it did not */
    struct assay__host_ask *ask;   /* somebody waits for it */
    struct assay__host_ask *ahead; /* sent or answered, and nobody waits */
    int64_t last_request;
    int64_t told;      /* counts whatever changes an answer */
    int64_t n_told;    /* trials told since it was opened */
    int64_t cost_us;   /* of its last ask; -1 = not known */
    int64_t used_us;   /* monotonic time of its last ask */
    /* What would be asked next, when it becomes worth preparing. */
    bool listed;       /* in the host's list */
    bool likely;       /* the next ask is for just this history */
    int64_t next_number;
    size_t next_count;
    int64_t due_us;
    int64_t prepared_told; /* study->told for which the host has prepared; -1 */
    bool ended;        /* what was told last is the end of a trial, not a new one */
    /* After a new trial was told, and after an end: answers that nobody took, in a row;
     * chances to leave out. */
    int misses[2], skip[2];
    int64_t unreadable_us; /* monotonic time at which its history could not be read; 0 */
    bool harmful;      /* its worker died over a preparation */
    TAILQ_ENTRY(assay__hosted) link;
    UT_hash_handle hh;
};
TAILQ_HEAD(assay__hosted_list, assay__hosted);

/* What comes from a worker's process. */
struct assay__host_hearing {
    void (*said)(struct assay__host_worker *worker, const struct assay_protocol_reply *reply);
    /* It says what makes no sense: its process must be ended. */
    void (*babbled)(struct assay__host_worker *worker, const char *what);
    /* The process is there no more. */
    void (*exited)(struct assay__host_worker *worker, int64_t status, int signal);
};

/* One child; replaced by a fresh one when it ends. */
struct assay__host_process {
    uv_process_t handle;
    uv_pipe_t in, out;
    const struct assay__host_hearing *heard;
    struct assay__host_worker *worker; /* NULL once it was given up */
    struct assay_buffer received;
    int open_handles;
};

struct assay__host_worker {
    struct assay_suggest_host *host;
    int index;
    struct assay__host_process *process; /* NULL: none runs */
    bool ready; /* the process is; not yet: a relay that is still connecting */
    struct assay__host_asks waiting;     /* not sent yet */
    struct assay__host_asks sent;        /* in the order the process will answer */
    int studies;                         /* that live with it */
    uv_timer_t timer;                    /* deadline of the first sent, of a relay's connecting;
                                          * delay of the next start */
    int64_t renew_at_us;                 /* monotonic time after which its connection is made
                                          * anew; 0: it has none */
    int64_t away_until_us;               /* its place was away a moment ago: not worth a move */
    int64_t replied_us;                  /* monotonic time of the last answer */
    int starts_in_a_row;                 /* without an answer in between: backs off */
};

struct assay_suggest_host {
    struct assay_suggest_host_options options;
    const struct assay__host_hearing *heard;
    uv_timer_cb on_time; /* of the workers' timers */
    char **arguments;   /* the program, its limits, what the options add */
    char **relay_arguments; /* the program as a relay; NULL: the workers are here */
    char **environment; /* ours, and one BLAS thread: the same sums on every machine */
    /* options.workers shared ones, the one for short asks, those for studies apart; with
     * relays as many again, here, for those of foreign algorithms. */
    struct assay__host_worker *workers;
    struct assay__hosted *studies;
    struct assay__host_asks ready;      /* answered before they were asked */
    struct assay__hosted_list prepares; /* by due_us */
    uv_idle_t deliver;                  /* hands out `ready` */
    uv_timer_t prepare;                 /* the first of `prepares` is due */
    uv_timer_t look;                    /* asks wait: may they move? */
    uv_timer_t again;                   /* some history could not be read */
    struct assay_random random;         /* of the time of renewals */
    int64_t swept_us;                   /* monotonic time of the last look at idle studies */
    struct assay_suggest_host_stats stats;
    bool closing;
};

/* --- study.c */
struct assay__hosted *assay__host_find(struct assay_suggest_host *host, int64_t id);
const char *assay__host_algorithm(const struct assay__hosted *study);
bool assay__host_is_foreign(const struct assay__hosted *study);
/* "the algorithm x", with the plugin it comes from.  Caller frees. */
char *assay__host_describe_algorithm(const struct assay__hosted *study);
struct assay__host_ask *assay__host_ask_new(struct assay__hosted *study, const int64_t *numbers,
                                            size_t n);
void assay__host_ask_free(struct assay__host_ask *ask);
void assay__host_asks_free(struct assay__host_asks *asks);
/* Ends the ask, which is in no list any more; who waits for it hears why. */
void assay__host_fail(struct assay_suggest_host *host, struct assay__host_ask *ask,
                      const char *sentence);

/* --- process.c */
struct assay__host_process_options {
    uv_loop_t *loop;
    char **arguments, **environment;
    const struct assay__host_hearing *heard;
    struct assay__host_worker *worker; /* whom it tells of */
};
/* 0, or libuv's error. */
int assay__host_process_start(const struct assay__host_process_options *options,
                              struct assay__host_process **ret_process);
/* Takes the message. */
void assay__host_process_send(struct assay__host_process *process, json_t *message);
/* Kills it; nothing is heard of it any more. */
void assay__host_process_end(struct assay__host_process *process);
char **assay__host_environment(void);
char **assay__host_arguments(const struct assay_suggest_host_options *options);
char **assay__host_relay_arguments(const struct assay_suggest_host_options *options);

/* --- worker.c */
int assay__host_worker_count(const struct assay_suggest_host *host);
/* Its process is a relay. */
bool assay__host_is_relayed(const struct assay__host_worker *worker);
bool assay__host_is_for_short(const struct assay__host_worker *worker);
bool assay__host_is_apart(const struct assay__host_worker *worker);
bool assay__host_is_idle(const struct assay__host_worker *worker);
/* It has its process, and a way to it. */
bool assay__host_is_ready(const struct assay__host_worker *worker);
/* Its place was away a moment ago. */
bool assay__host_is_away(const struct assay__host_worker *worker, int64_t now_us);
/* Starts the worker's process, or waits a little when it keeps dying. */
bool assay__host_ensure_process(struct assay__host_worker *worker);
void assay__host_start_later(struct assay__host_worker *worker);
/* Kills the process, if there is one; what it was asked stays listed. */
void assay__host_drop_process(struct assay__host_worker *worker);
/* Kills the process without a word, as nobody needs it: what it was asked and nobody
 * waits for is dropped. */
void assay__host_end_process(struct assay__host_worker *worker);
/* Its connection is to be made anew as soon as nothing is under way. */
bool assay__host_is_stale(const struct assay__host_worker *worker);
/* Runs the deadline of the ask the process is busy with. */
void assay__host_watch(struct assay__host_worker *worker);

/* --- room.c */
/* Forgets the study in the worker's process; the next ask opens it again. */
void assay__host_close_study(struct assay__hosted *study);
/* Closes what nobody asked for long. */
void assay__host_close_idle(struct assay_suggest_host *host);
/* Closes what was idle longest where the worker holds too much to open one more. */
void assay__host_make_room(struct assay__host_worker *worker);

/* --- queue.c */
/* Asks are sent together while they take this long in all. */
#define ASSAY__HOST_BATCH_US 2000
/* How long an ask of the study takes. */
int64_t assay__host_cost_of(const struct assay__hosted *study);
/* How long the asks under way still take.  One that takes longer than thought takes as long
 * again. */
int64_t assay__host_busy_for(const struct assay__host_worker *worker, int64_t now_us);
/* Sends what waits and may be sent. */
void assay__host_pump(struct assay__host_worker *worker);
void assay__host_flush_tells(struct assay__hosted *study);

/* --- place.c */
/* Gives a new study its first worker. */
void assay__host_settle(struct assay__hosted *study);
/* Closes it where it lives; it must be given another worker, or be forgotten. */
void assay__host_leave(struct assay__hosted *study);
/* Takes the study and the ask that waits to another worker. */
void assay__host_move(struct assay__hosted *study, struct assay__host_worker *to);
/* The one for a study that is to live apart. */
struct assay__host_worker *assay__host_worker_apart(const struct assay__hosted *study);
/* Moves waiting asks to where they are answered sooner. */
void assay__host_balance(struct assay_suggest_host *host);
/* A study that has grown too slow for the worker of short asks leaves it. */
void assay__host_leave_short(struct assay__hosted *study);

/* --- ahead.c */
/* The study's prepared answer, sent or there, if it is the answer to this ask; it is
 * the caller's then. */
struct assay__host_ask *assay__host_ahead_take(struct assay__hosted *study,
                                               const int64_t *numbers, size_t n);
/* The prepared ask was answered (taken, in no list). */
void assay__host_ahead_answered(struct assay__host_ask *ask, const json_t *trials,
                                bool exhausted);
/* To be prepared when it is due. */
void assay__host_ahead_list(struct assay__hosted *study, int64_t delay_us);
void assay__host_ahead_unlist(struct assay__hosted *study);

/* --- loss.c */
/* The process is of no use any more. */
void assay__host_give_up(struct assay__host_worker *worker, const char *what);
/* The process has ended. */
void assay__host_take_exit(struct assay__host_worker *worker, int64_t status, int signal);
/* A relay has said that it is connected, or that it is not any more. */
void assay__host_take_ready(struct assay__host_worker *worker);
void assay__host_take_gone(struct assay__host_worker *worker, bool away, const char *sentence);
/* Makes its connection anew if that is due and nothing is under way. */
void assay__host_renew(struct assay__host_worker *worker);
/* The worker's deadline, or its delay, is over. */
void assay__host_on_time(uv_timer_t *timer);

#endif
