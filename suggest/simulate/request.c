#include "suggest/simulate/request.h"

#include <math.h>

#include "common/memory.h"
#include "common/number.h"
#include "suggest/needed_rule.h"
#include "suggest/registry.h"
#include "suggest/simulate/simulation.h"

#define WORKERS_MAX 100000
#define TRIALS_MAX 1000000
#define TRIALS_DEFAULT 100
#define PRIOR_STEPS_DEFAULT 100
#define PRIOR_STEPS_MAX 1000
#define RUNS_MAX 10000

/* A member of the request, or what it is when left out; false with a fault when it is
 * not in the range. */
static bool
take_real(const json_t *request, const char *name, double least, double most, double otherwise,
          double *ret_value, struct assay_error *err)
{
    const json_t *member = json_object_get(request, name);

    *ret_value = otherwise;
    if (member == NULL || json_is_null(member))
        return true;
    if (assay_json_get_real(member, ret_value) && *ret_value >= least && *ret_value <= most)
        return true;
    (void)assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not a number from %g to %g", name, least,
                     most);
    return false;
}

static bool
take_options(const json_t *request, const struct assay_study_spec *spec,
             struct assay_simulation_options *ret_options, size_t *ret_runs,
             struct assay_error *err)
{
    int64_t parallel = ASSAY_MIN(ASSAY_MAX(spec->limits.parallel, INT64_C(1)), WORKERS_MAX);
    int64_t limit = spec->limits.trials > 0 ? spec->limits.trials : TRIALS_DEFAULT;
    double workers, trials, runs, prior_steps;

    if (!take_real(request, "workers", 1, WORKERS_MAX, (double)parallel, &workers, err) ||
        !take_real(request, "trials", 1, TRIALS_MAX, (double)ASSAY_MIN(limit, TRIALS_MAX), &trials,
                   err) ||
        !take_real(request, "runs", 1, RUNS_MAX, 1, &runs, err) ||
        !take_real(request, "prior_steps", 1, PRIOR_STEPS_MAX, PRIOR_STEPS_DEFAULT, &prior_steps,
                   err) ||
        !take_real(request, "max_steps", 0, INFINITY, INFINITY, &ret_options->max_steps, err) ||
        !take_real(request, "until", -INFINITY, INFINITY, NAN, &ret_options->until, err) ||
        !take_real(request, "seconds_per_step", 1e-9, 1e9, 1, &ret_options->seconds_per_step,
                   err) ||
        !take_real(request, "seconds_spread", 0, 3, 0.25, &ret_options->seconds_spread, err) ||
        !take_real(request, "start_seconds", 0, 1e9, 0, &ret_options->start_seconds, err))
        return false;
    ret_options->workers = (size_t)workers;
    ret_options->max_trials = (int64_t)trials;
    ret_options->prior_steps = (size_t)prior_steps;
    ret_options->trials = json_is_true(json_object_get(request, "list"));
    *ret_runs = (size_t)runs;
    return true;
}

static json_t *
error_of(const struct assay_error *err)
{
    return json_pack("{s:s}", "error", err->message);
}

static json_t *
encode_faults(const struct assay_faults *faults)
{
    json_t *list = json_array();

    for (size_t i = 0; i < faults->count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "pointer", faults->items[i].pointer,
                                              "message", faults->items[i].message));
    return json_pack("{s:s, s:o}", "error", "the study file has faults", "faults", list);
}

/* What people should know before they believe the figures. */
static json_t *
list_warnings(const struct assay_study_spec *spec, const struct assay_replay_curves *curves)
{
    json_t *warnings = json_array(), *rule = assay_needed_rule(spec);

    if (curves == NULL)
        json_array_append_new(
            warnings, json_string("no curves were given: they are drawn from a built-in prior that "
                                  "knows nothing of the parameters, so costs are meaningful and "
                                  "what is found is not"));
    if (rule != NULL)
        json_array_append_new(warnings,
                              json_string("the trial keeps no checkpoints (trial.checkpoints), so "
                                          "the rule asha stops trials instead of pausing them"));
    else if (spec->budget.name != NULL && spec->trial != NULL && !spec->trial->checkpoints &&
             assay_registry_algorithm(spec->algorithm.name)->caps & ASSAY_PLUGIN_CAP_BUDGET)
        json_array_append_new(warnings,
                              json_string("the trial keeps no checkpoints (trial.checkpoints), so "
                                          "a trial that is promoted starts over"));
    json_decref(rule);
    return warnings;
}

static json_t *
run_all(const struct assay_study_spec *spec, const struct assay_replay_curves *curves,
        const struct assay_simulation_options *options, size_t n_runs)
{
    json_t *runs = json_array();

    for (size_t i = 0; i < n_runs; i++) {
        struct assay_study_spec own = *spec;
        struct assay_error err = {0};
        assay_status status;
        json_t *result;

        own.seed = spec->seed + i;
        own.document = json_copy(spec->document);
        json_object_set_new(own.document, "seed", json_integer((json_int_t)own.seed));
        status = assay_simulation_run(&own, curves, options, &result, &err);
        json_decref(own.document);
        if (status != ASSAY_OK) {
            json_decref(runs);
            return error_of(&err);
        }
        json_array_append_new(runs, result);
    }
    return json_pack("{s:{s:s, s:o}, s:o, s:o}", "curves", "source",
                     curves != NULL ? "recorded" : "prior", "count",
                     curves != NULL ? json_integer((json_int_t)assay_replay_curves_count(curves))
                                    : json_null(),
                     "runs", runs, "warnings", list_warnings(spec, curves));
}

static json_t *
answer_for(const struct assay_study_spec *spec, const json_t *request)
{
    const json_t *records = json_object_get(request, "curves");
    struct assay_simulation_options options;
    struct assay_replay_curves *curves = NULL;
    struct assay_error err = {0};
    size_t n_runs;
    json_t *answer;

    if (!take_options(request, spec, &options, &n_runs, &err))
        return error_of(&err);
    if (records != NULL && !json_is_null(records) &&
        assay_replay_curves_new(spec->space, records, &curves, &err) != ASSAY_OK)
        return error_of(&err);
    answer = run_all(spec, curves, &options, n_runs);
    assay_replay_curves_free(curves);
    return answer;
}

json_t *
assay_simulate_answer(const json_t *request)
{
    const json_t *study = json_object_get(request, "study");
    const char *project = json_string_value(json_object_get(study, "project"));
    struct assay_faults faults = {0};
    struct assay_study_spec *spec;
    json_t *answer;

    if (!json_is_object(study))
        return json_pack("{s:s}", "error", "the request has no study");
    spec = assay_study_decode(study, project != NULL ? project : "default", assay_registry_checks(),
                              &faults);
    answer = spec != NULL ? answer_for(spec, request) : encode_faults(&faults);
    assay_study_free(spec);
    assay_faults_done(&faults);
    return answer;
}
