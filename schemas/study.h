/* The study file (`assay/v1`) as C types, and its checks.
 *
 * A specification is immutable once decoded, except for its limits, which the
 * controller replaces whole.  Strings and arrays belong to the specification. */
#ifndef ASSAY_SCHEMAS_STUDY_H
#define ASSAY_SCHEMAS_STUDY_H

#include <jansson.h>

#include "common/error.h"
#include "schemas/space.h"

enum assay_goal { ASSAY_GOAL_MINIMIZE, ASSAY_GOAL_MAXIMIZE };

/* Which of a trial's values of a metric counts as its value. */
enum assay_summary { ASSAY_SUMMARY_LAST, ASSAY_SUMMARY_MIN, ASSAY_SUMMARY_MAX };

struct assay_objective {
    char *metric;
    enum assay_goal goal;
    double target; /* NaN when there is none */
    enum assay_summary summary;
};

struct assay_constraint {
    char *metric;
    double min, max; /* -inf, +inf when open */
};

/* Name and settings of an algorithm or a stopping rule. */
struct assay_choice {
    char *name;
    json_t *settings; /* object, never NULL; checked against the plugin's schema at submission */
};

/* The section early_stopping: a rule, or several joined by `any` or `all`. */
struct assay_stopping_choice {
    char *name;       /* of a rule, or "any", "all"; NULL when the study has none */
    json_t *settings; /* as above; empty for any and all */
    struct assay_stopping_choice *rules; /* of any and all; at most ASSAY_STOPPING_RULES_MAX */
    size_t n_rules;
    /* Of the whole section. */
    int64_t protect_best; /* the best so many at a step are not stopped there; 0 = none */
    int64_t checks;       /* reports in a row that must say stop; default 1 */
    int64_t warmup_steps; /* nothing is stopped at a step below this; default 0 */
    double warmup_share;  /* nor in this first share of the usual length; default 0 */
};

#define ASSAY_STOPPING_RULES_MAX 8
#define ASSAY_STOPPING_DEPTH_MAX 3

struct assay_budget {
    char *name; /* "epochs"; NULL when the study has no budget */
    double min, max;
    double eta;
};

struct assay_limits {
    int64_t trials;        /* trials to run; 0 = no limit */
    int64_t parallel;      /* live at once; >= 1, default 1; ask/tell: 0 = no limit, the default */
    int64_t ahead;         /* trials suggested before there is a slot for them */
    int64_t failed_trials; /* the study fails when more than this fail; -1 = no limit */
    int64_t time_us;       /* wall clock from the start; 0 = no limit */
    double gpu_hours;      /* 0 = no limit */
};

enum assay_metrics_from {
    ASSAY_METRICS_STDOUT,
    ASSAY_METRICS_FILE,
    ASSAY_METRICS_TENSORBOARD,
    ASSAY_METRICS_PROMETHEUS,
    ASSAY_METRICS_PUSH,
};

/* How one trial runs. */
struct assay_trial_spec {
    char **command; /* NULL-terminated; NULL only with kubernetes.template */
    size_t n_command;
    json_t *environment; /* object of strings, never NULL */
    char *git_url, *git_revision; /* NULL unless code is from git */
    char *directory;     /* working directory, absolute; NULL = the attempt's own */
    enum assay_metrics_from metrics_from;
    char *metrics_path;  /* file, tensorboard: path or folder; prometheus: URL; else NULL */
    char *metrics_filter; /* the user's own line pattern, see schemas/filter.h; NULL = the
                           * default formats */
    json_t *metrics_names;  /* further known names, an array of strings; NULL = none */
    bool metrics_count_steps; /* see assay_metric_pattern_count_steps */
    int64_t gpus;
    double cpus;          /* 0 = not said */
    int64_t memory_bytes; /* 0 = not said */
    bool checkpoints;     /* a resumed trial goes on from ASSAY_CHECKPOINT_DIR; default false */
    int64_t retries;      /* of failures of the command; default 0 */
    int64_t infrastructure_retries; /* of lost runners and machines; default 3 */
    int64_t timeout_us;   /* one attempt; 0 = none */
    int64_t grace_us;     /* SIGTERM to SIGKILL; default 30 s */
    json_t *kubernetes;   /* kept as given for the executor; NULL when absent */
};

struct assay_study_spec {
    char *name;
    char *project;
    struct assay_objective *objectives; /* >= 1; the first decides `best` */
    size_t n_objectives;
    struct assay_constraint *constraints;
    size_t n_constraints;
    struct assay_space *space;
    struct assay_choice algorithm;       /* default "auto" */
    struct assay_stopping_choice early_stopping; /* name NULL when the study has none */
    struct assay_budget budget;
    struct assay_limits limits;
    double **start_with; /* points, tried first */
    size_t n_start_with;
    json_t *warm_start;  /* array as given, never NULL */
    uint64_t seed;       /* drawn at submission when left out, then recorded */
    bool has_seed;
    int64_t lease_us;    /* ask/tell: how long a worker may be silent; default 5 min */
    struct assay_trial_spec *trial; /* NULL: an ask/tell study */
    json_t *origin; /* {"system","document"}: the file it was translated from; or NULL */
    json_t *document;    /* the normalised file: decodes to the same specification */
};

/* What an algorithm or rule looks like from here, so that the file can be
 * checked without knowing the room that implements it.  Called even when other
 * sections have faults, so that all are told at once: then `space` may be NULL
 * and there may be no objective. */
struct assay_study_checks {
    /* Adds faults for an unknown name or bad settings below `pointer`; may be NULL. */
    void (*algorithm)(const struct assay_study_spec *spec, const char *pointer,
                      struct assay_faults *faults);
    void (*stopping_rule)(const struct assay_study_spec *spec, const char *pointer,
                          struct assay_faults *faults);
};

/* Decodes and checks a whole study file; every fault at once.  NULL when there
 * are faults.  `project` is what the URL says; a different one in the file is a
 * fault.  A missing name or seed is filled in with a fresh one. */
struct assay_study_spec *assay_study_decode(const json_t *file, const char *project,
                                            const struct assay_study_checks *checks,
                                            struct assay_faults *faults);
struct assay_study_spec *assay_study_free(struct assay_study_spec *spec);

/* Limits of a PATCH: `patch` is {"limits": {…}}; members present replace, the
 * others stay.  Faults for anything else. */
ASSAY_MUST_CHECK bool assay_limits_patch(const struct assay_limits *old, const json_t *patch,
                                         bool runs_trials, struct assay_faults *faults,
                                         struct assay_limits *ret_limits);
json_t *assay_limits_encode(const struct assay_limits *limits, bool runs_trials);

const char *assay_goal_name(enum assay_goal goal);
/* Whether `value` takes the place of `old` as the summary of a metric; any finite one
 * does of one that is not. */
bool assay_summary_takes(enum assay_summary summary, double old, double value);
const char *assay_metrics_from_name(enum assay_metrics_from from);

/* Replaces ${name}, ${trial}, ${study}, ${budget}, ${attempt} in `text`; `values`
 * maps names to text.  "$${" is a literal "${".  ASSAY_E_INVALID_VALUE names the
 * first unknown one.  Caller frees. */
ASSAY_MUST_CHECK assay_status assay_substitute(const char *text, const json_t *values,
                                               char **ret_text, struct assay_error *err);
/* The name in a text that is "${{name}}" and nothing else, which stands for the value itself
 * and not for its text; NULL: it is not one.  Of objects of Kubernetes alone.  Caller frees. */
char *assay_bare_reference(const char *text);

/* Reads YAML (1.2 core schema scalars, one document, no tags but the core ones,
 * bounded depth, aliases and size) into JSON.  `ret_lines` maps JSON pointers to
 * 1-based source lines ({"/limits/trials": 12}) and may be NULL.  Errors carry
 * line and column in the message.  Duplicate keys are an error. */
ASSAY_MUST_CHECK assay_status assay_yaml_read(const char *text, size_t length, json_t **ret_json,
                                              json_t **ret_lines, struct assay_error *err);
/* Sets the line of each fault from the map (of its nearest ancestor present). */
void assay_faults_add_lines(struct assay_faults *faults, const json_t *lines);

#endif
