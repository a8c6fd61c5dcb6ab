/* Trials, attempts, measurements and events as records, and their JSON form.
 *
 * Records own what they point to; free with the _done function. */
#ifndef ASSAY_SCHEMAS_TRIAL_H
#define ASSAY_SCHEMAS_TRIAL_H

#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"
#include "schemas/point.h"
#include "schemas/states.h"

struct assay_attempt {
    int64_t number; /* 1, 2, … within the trial */
    enum assay_attempt_state state;
    enum assay_trial_reason reason; /* why it ended badly; NONE */
    char *message;                  /* NULL = none */
    int exit_code;                  /* -1 = none */
    int signal;                     /* 0 = none */
    int64_t pid;                    /* of the runner; 0 = not started */
    json_t *gpus;                   /* array of device names; NULL = none */
    int64_t started_us;
    int64_t finished_us; /* ASSAY_TIME_NONE while it lives */
    bool interrupted;    /* to end, and the trial to be queued again, however it ends; not shown */
};

struct assay_trial {
    int64_t study_id;
    int64_t number;   /* 1, 2, … within the study */
    enum assay_trial_state state;
    enum assay_trial_reason reason;
    char *message;          /* NULL = none */
    json_t *parameters;     /* object of the active parameters */
    json_t *metrics;        /* object: final values by name; never NULL */
    double value;           /* first objective; NaN when none */
    double budget;          /* NaN when none */
    json_t *why;            /* object; never NULL */
    char *client;           /* ask/tell worker holding it; NULL = none */
    int64_t lease_expires_us; /* ASSAY_TIME_NONE = none */
    int64_t last_step;      /* last step measured; -1 = none */
    int64_t created_us, started_us, finished_us; /* ASSAY_TIME_NONE = not yet */
    struct assay_attempt *attempts;
    size_t n_attempts;
};

void assay_attempt_done(struct assay_attempt *attempt);
void assay_trial_done(struct assay_trial *trial);

/* What a stopped trial's `metric` would probably have ended with, from its why.forecast
 * ({"metric","value","trials"}); NaN: not known, or not of this metric. */
double assay_trial_forecast(const struct assay_trial *trial, const char *metric);

/* The trial object of the contract.  New reference. */
json_t *assay_trial_encode(const struct assay_trial *trial, const char *project, const char *study);

/* One metric's value at one step. */
struct assay_measurement {
    int64_t step;    /* >= 0 */
    int64_t time_us; /* when it was measured */
    char *metric;
    double value; /* may be NaN or infinite */
};

#define ASSAY_MEASUREMENTS_PER_CALL_MAX 10000
#define ASSAY_METRICS_PER_STUDY_MAX 1000

struct assay_measurements {
    struct assay_measurement *items;
    size_t count, capacity;
};
void assay_measurements_add(struct assay_measurements *list, int64_t step, int64_t time_us,
                            const char *metric, double value);
void assay_measurements_done(struct assay_measurements *list);

/* Decodes [{"step":3,"time":"…","metrics":{"loss":0.4}}]; `next_step` is used
 * (and counted up) where the step is left out, `now_us` where the time is.
 * False with faults below `pointer`; then nothing was added. */
ASSAY_MUST_CHECK bool assay_measurements_decode(const json_t *array, const char *pointer,
                                                int64_t next_step, int64_t now_us,
                                                struct assay_faults *faults,
                                                struct assay_measurements *ret_list);
/* Decodes {"loss": 0.3, …}; same rules.  `ret_metrics` is the normalised object
 * (non-finite as strings), a new reference. */
ASSAY_MUST_CHECK bool assay_metrics_decode(const json_t *object, const char *pointer,
                                           struct assay_faults *faults, json_t **ret_metrics);

struct assay_event {
    int64_t id; /* increasing; 0 = not stored yet */
    int64_t study_id;
    int64_t time_us;
    const char *type;     /* static or owned by the reader's row, see the store */
    int64_t trial_number; /* 0 = about the study */
    char *message;
    json_t *data; /* object or NULL */
};
json_t *assay_event_encode(const struct assay_event *event);

#endif
