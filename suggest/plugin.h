/* The plugin ABI: algorithms (they propose trials) and stopping rules (they end
 * hopeless ones), the built-in ones included.
 *
 * Plain C: compiles as C99 and as C++; fixed-width integers, double, UTF-8 text.
 * A plugin is a shared object that exports assay_plugin_entry (last line here).
 * It reaches nothing of Assay but the host table.  docs/plugin-abi.md explains
 * the ABI at length and says since which minor version each field exists.
 *
 * Growth: fields are only ever appended, and the minor version counts up.  Each
 * table starts with its own size, and a field past the end of a table is absent.
 * Structures the host hands over (space, study, trial, suggestion, ...) are
 * always handed over by pointer and never copied by a plugin; the host's
 * abi_minor says which of their fields exist.  Majors must be equal.
 *
 * Memory: who allocates frees.  Everything the host passes is borrowed for the
 * time of the call, except the space of a study, which lives until `destroy`.
 * Results are written into buffers of the host.
 *
 * Threads: calls for one instance never overlap.  Different instances may be
 * called from different threads, so a plugin has no mutable global state. */
#ifndef ASSAY_SUGGEST_PLUGIN_H
#define ASSAY_SUGGEST_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ASSAY_PLUGIN_ABI_MAJOR 1u
#define ASSAY_PLUGIN_ABI_MINOR 3u

/* What a slot returns.  Negative: it failed and the error text says why. */
#define ASSAY_PLUGIN_OK 0
#define ASSAY_PLUGIN_EXHAUSTED 1      /* suggest: fewer than asked, no untried point is left */
#define ASSAY_PLUGIN_LATER 2          /* suggest: fewer than asked until running trials end */
#define ASSAY_PLUGIN_ERROR (-1)
#define ASSAY_PLUGIN_INTERRUPTED (-2) /* should_stop() said so */

/* --- the search space ---
 *
 * A point is one double per parameter, in the order of the space:
 *   double, int                   the value itself
 *   discrete, categorical, bool   the index of the choice (bool: 0 false, 1 true)
 *   inactive                      NaN: a condition does not hold
 */

/* assay_plugin_parameter.type */
#define ASSAY_PLUGIN_DOUBLE 0u
#define ASSAY_PLUGIN_INT 1u
#define ASSAY_PLUGIN_DISCRETE 2u    /* numbers in increasing order */
#define ASSAY_PLUGIN_CATEGORICAL 3u /* no order */
#define ASSAY_PLUGIN_BOOL 4u

/* assay_plugin_parameter.scale; the logarithmic ones have min > 0 */
#define ASSAY_PLUGIN_LINEAR 0u
#define ASSAY_PLUGIN_LOG 1u
#define ASSAY_PLUGIN_REVERSE_LOG 2u /* fine near max: max + min - value is logarithmic */

/* Holds when the parent is active and its value is listed or in the range. */
struct assay_plugin_condition {
    uint64_t parent;      /* index of the parameter */
    const double *values; /* n_values items as in a point; NULL with a range */
    uint64_t n_values;
    double min, max;      /* inclusive range when n_values is 0 */
};

struct assay_plugin_parameter {
    const char *name;
    uint32_t type;
    uint32_t scale;        /* double, int */
    double min, max;       /* double, int: inclusive; else the first and last index */
    double step;           /* double: distance between values from min, 0 = none; else 1 */
    double cardinality;    /* number of values; +inf for a continuous range */
    double middle;         /* the declared default, or else the middle on the scale */
    const double *numbers; /* discrete: its choices as numbers; else NULL */
    uint64_t n_conditions; /* all must hold for the parameter to be active */
    const struct assay_plugin_condition *const *conditions;
    /* Since 1.1: where the user expects the best value, by which a search may lean.
     * Numbers: a normal around prior_value with this standard deviation where the
     * whole scale is [0, 1], cut off at the ends.  Choices: prior_value is so many
     * times as likely as each other one. */
    double prior_value;    /* as in a point; NaN = no expectation */
    double prior_spread;   /* double, int, discrete: > 0; else NaN */
    double prior_weight;   /* categorical, bool: > 1; else NaN */
};

struct assay_plugin_space {
    uint64_t n_parameters;
    const struct assay_plugin_parameter *const *parameters;
    const uint64_t *order; /* indices, parents before children */
    double cardinality;    /* distinct points; +inf when continuous or not countable */
};

/* --- algorithms --- */

/* assay_plugin_trial.state */
#define ASSAY_PLUGIN_PENDING 0u /* queued or running */
#define ASSAY_PLUGIN_SUCCEEDED 1u
#define ASSAY_PLUGIN_STOPPED 2u /* early, by a rule or a user; its values count */
#define ASSAY_PLUGIN_INFEASIBLE 3u
#define ASSAY_PLUGIN_FAILED 4u
#define ASSAY_PLUGIN_CANCELLED 5u
#define ASSAY_PLUGIN_PAUSED 6u /* since 1.1: reached its budget and can be resumed */

struct assay_plugin_trial {
    int64_t number;       /* >= 1, unique in the study */
    uint32_t state;
    /* Since 1.3.  1: the trial was stopped, and values[0] is what it would probably have
     * ended with, not what it had measured by then.  Else 0. */
    uint32_t foretold;
    const double *point;
    const double *values; /* n_objectives items; the host turned the sign of the maximised
                           * ones, so smaller is better; NaN = none, may be infinite */
    double budget;        /* NaN = none */
    int64_t steps;        /* last step measured; -1 = none */
    /* Since 1.1: n_constraints items, by how much each bound is passed, as a share of
     * its size (of 1 where it is 0): <= 0 holds, > 0 is violated, NaN = not measured.
     * A trial that ended with one violated or not measured can not be the best. */
    const double *constraints;
    /* study.n_rungs items: the first objective's value when the trial had used the
     * budget of that rung; NaN = it did not get there, or measured nothing. */
    const double *rung_values;
};

/* Since 1.1: what an earlier study found.  Its trials ended, and stand in the space of
 * this study; the scale of their values may be another. */
struct assay_plugin_source {
    const char *name;
    uint64_t n_trials; /* >= 1 */
    const struct assay_plugin_trial *const *trials; /* numbers are the source's own */
};

struct assay_plugin_study {
    const struct assay_plugin_space *space; /* lives until destroy */
    uint64_t n_objectives;                  /* >= 1; all are minimised, see trial.values */
    const char *settings;                   /* JSON object; fits the schema, defaults filled in */
    uint64_t seed;
    double budget_min, budget_max, budget_eta; /* NaN when the study has no budget */
    uint64_t trials;                        /* the study's limit; 0 = not known */
    uint64_t parallel;                      /* trials live at once; 0 = not known */
    const double *signs; /* n_objectives items: -1 where the host turned a maximised metric's
                          * sign, else 1; for what people read (`why`).  NULL = not known */
    /* Since 1.1. */
    uint64_t n_constraints;                           /* bounds of metrics: trial.constraints */
    uint64_t n_sources;                               /* earlier studies to learn from */
    const struct assay_plugin_source *const *sources; /* borrowed for the time of the call */
    uint64_t n_rungs;     /* 0 without a budget */
    const double *rungs;  /* budgets in increasing order, the last is budget_max; see
                           * suggest/rungs.h; borrowed for the time of the call */
    uint32_t resumable;   /* 1: trials keep checkpoints, resuming one costs the difference */
    uint32_t reserved;    /* 0 */
};

#define ASSAY_PLUGIN_WHY_BYTES 2048u

/* One suggestion, written by the algorithm into memory of the host. */
struct assay_plugin_suggestion {
    double *point;     /* n_parameters items */
    double *budget;    /* preset to NaN = the study's whole budget */
    char *why;         /* JSON object saying how it was found; preset to "{}" */
    uint64_t why_size; /* bytes of `why` with the NUL, >= ASSAY_PLUGIN_WHY_BYTES */
    /* Since 1.1.  Preset to 0; else the number of a paused trial that is to go on, to a
     * larger budget, in place of a new one (whose number is asked for again later). */
    int64_t *resume;
    /* Preset to 0; else the trial whose checkpoint the new one starts from. */
    int64_t *parent;
};

/* assay_plugin_algorithm.caps: what the algorithm can do.  A study that needs
 * what is missing here is refused when it is submitted. */
#define ASSAY_PLUGIN_CAP_CONDITIONS 1u       /* spaces with conditions */
#define ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE 2u
#define ASSAY_PLUGIN_CAP_BUDGET 4u           /* decides on budgets (multi-fidelity) */
#define ASSAY_PLUGIN_CAP_CONSTRAINTS 8u
#define ASSAY_PLUGIN_CAP_PARALLEL 16u        /* makes use of pending trials */

/* An algorithm.  Slots not marked (optional) must be there.  `error` is a buffer
 * of `error_size` bytes for a sentence, NUL included, when a slot fails. */
struct assay_plugin_algorithm {
    uint64_t struct_size;
    const char *name;            /* [a-z0-9_-]+, as in `algorithm.name` of a study */
    const char *description;     /* one or two sentences */
    uint64_t caps;               /* ASSAY_PLUGIN_CAP_... or-ed */
    const char *settings_schema; /* JSON Schema text of the settings object */

    /* (optional) Says at submission whether the algorithm can serve the study. */
    int32_t (*check)(const struct assay_plugin_study *study, char *error, uint64_t error_size);
    /* Makes the instance that serves one study. */
    int32_t (*create)(const struct assay_plugin_study *study, void **ret_instance, char *error,
                      uint64_t error_size);
    /* Tells trials that are new or have changed: pending and ended ones alike.  The
     * last word on a number counts.  Any split of a history into calls leaves the
     * same state behind. */
    int32_t (*update)(void *instance, const struct assay_plugin_trial *const *trials,
                      uint64_t n_trials, char *error, uint64_t error_size);
    /* Proposes a point for each of `n` trial numbers, from the first on; `ret_count`
     * says how many.  Depends on study, told trials and numbers alone (random
     * numbers: seed and trial number name the stream), and leaves what was learned
     * as it is: asked again, it answers the same. */
    int32_t (*suggest)(void *instance, const int64_t *numbers, uint64_t n,
                       const struct assay_plugin_suggestion *const *suggestions,
                       uint64_t *ret_count, char *error, uint64_t error_size);
    void (*destroy)(void *instance);
};

/* --- stopping rules ---
 *
 * A rule runs inside the daemon: report() must answer within microseconds, and
 * the memory of an instance must have a bound that does not grow with the number
 * of trials or steps. */

struct assay_plugin_rule_study {
    const char *metric;   /* name of the objective's metric, for the sentence */
    uint32_t maximize;    /* 1: larger is better */
    uint32_t reserved;    /* 0 */
    const char *settings; /* as for algorithms */
    uint64_t seed;
    /* Since 1.2. */
    const struct assay_plugin_space *space; /* lives until destroy; NULL = not known */
};

#define ASSAY_PLUGIN_SENTENCE_BYTES 256u

/* What was decided on a report and from which figures; preset to "go on". */
struct assay_plugin_decision {
    uint32_t stop;          /* 1: the trial should end */
    uint32_t reserved;      /* 0 */
    double value;           /* what was compared, in the metric's own direction */
    double threshold;       /* with what */
    int64_t step;           /* at which step of the trial */
    uint64_t compared;      /* number of trials the threshold comes from; 0 = none was made */
    char *sentence;         /* set when `stop` is */
    uint64_t sentence_size; /* bytes with the NUL, >= ASSAY_PLUGIN_SENTENCE_BYTES */
};

struct assay_plugin_rule {
    uint64_t struct_size;
    const char *name;
    const char *description;
    const char *settings_schema;

    int32_t (*create)(const struct assay_plugin_rule_study *study, void **ret_instance,
                      char *error, uint64_t error_size);
    /* The trial measured `value` (may be NaN or infinite) at `step` >= 0.  Steps may
     * come late, out of order or again; the last value of a step holds. */
    void (*report)(void *instance, int64_t number, int64_t step, double value,
                   struct assay_plugin_decision *decision);
    /* The trial ended in `state` (ASSAY_PLUGIN_SUCCEEDED, ...).  No report follows. */
    void (*finish)(void *instance, int64_t number, uint32_t state);
    void (*destroy)(void *instance);
    /* (optional) Since 1.2.  The point (see above) that the trial tries: told before its
     * first report where the host knows it, maybe more than once. */
    void (*start)(void *instance, int64_t number, const double *point);
};

/* --- the two tables --- */

/* What a plugin may use of its host.  Valid for the life of the process. */
struct assay_plugin_host {
    uint32_t abi_major, abi_minor;
    uint64_t struct_size;
    /* level: 0 debug, 1 information, 2 warning, 3 error */
    void (*log)(uint32_t level, const char *text);
    /* Zeroed memory, never NULL. */
    void *(*alloc)(uint64_t bytes);
    void (*free)(void *memory);
    /* Numbers `first`, first + 1, ... of the stream named by (seed, subject, purpose),
     * uniform in [0, 1).  subject: the trial number; purpose: the caller's choice,
     * 0x80000000 and up (what is below is for the built-in algorithms). */
    void (*random)(uint64_t seed, uint64_t subject, uint32_t purpose, uint64_t first, uint64_t n,
                   double *ret_unit);
    /* Not 0 once the work should be given up; ask it in every long loop. */
    int32_t (*should_stop)(void);
    /* The allowed value nearest to a finite `value`: in range, on the step, whole. */
    double (*snap)(const struct assay_plugin_space *space, uint64_t parameter, double value);
    /* Whether the parameter is active given its parents' values in `point`. */
    int32_t (*active)(const struct assay_plugin_space *space, const double *point,
                      uint64_t parameter);
};

struct assay_plugin {
    uint32_t abi_major, abi_minor; /* what the plugin was built with */
    uint64_t struct_size;
    const char *name;
    const char *version;
    uint64_t n_algorithms;
    const struct assay_plugin_algorithm *const *algorithms;
    uint64_t n_rules;
    const struct assay_plugin_rule *const *rules;
};

/* The one symbol a plugin exports.  NULL: the plugin can not work with this host. */
const struct assay_plugin *assay_plugin_entry(const struct assay_plugin_host *host);

#ifdef __cplusplus
}
#endif

#endif
