/* A study run through the table of `bayesian` (or another algorithm) without JSON on the
 * way: several objectives, bounds, earlier studies. */
#ifndef ASSAY_TESTS_SUGGEST_BAYESIAN_DRIVER_H
#define ASSAY_TESTS_SUGGEST_BAYESIAN_DRIVER_H

#include "tests/unit/suggest/support.h"

#include "suggest/algorithms/algorithms.h"
#include "suggest/view.h"

#define RUN_PARAMETERS_MAX 40
#define RUN_VALUES_MAX 8

/* Sets m objectives and c bounds (<= 0 holds); NaN as the first objective: it failed. */
typedef void run_function(const double *point, double *ret_values, double *ret_bounds);

struct run {
    const struct assay_plugin_algorithm *algorithm;
    struct assay_space *parameters;
    struct assay_view *view;
    size_t n, m, c; /* parameters, objectives, bounds */
    void *instance;
    char why[ASSAY_PLUGIN_WHY_BYTES]; /* of the last point asked for */
};

static inline void
run_init(struct run *run, const struct assay_plugin_algorithm *algorithm, const char *parameters,
         size_t m, size_t c, uint64_t seed, const struct assay_plugin_source *const *sources,
         size_t n_sources)
{
    char error[256] = "";

    *run = (struct run){.algorithm = algorithm, .m = m, .c = c};
    run->parameters = space_of(parameters);
    run->view = assay_view_new(run->parameters);
    run->n = run->parameters->n_parameters;
    assert_true(run->n <= RUN_PARAMETERS_MAX && m <= RUN_VALUES_MAX && c <= RUN_VALUES_MAX);
    if (algorithm->create(&(struct assay_plugin_study){.space = assay_view_space(run->view),
                                                       .n_objectives = m,
                                                       .settings = "{\"startup_trials\": 0}",
                                                       .seed = seed,
                                                       .budget_min = NAN,
                                                       .budget_max = NAN,
                                                       .budget_eta = NAN,
                                                       .n_constraints = c,
                                                       .n_sources = n_sources,
                                                       .sources = sources},
                          &run->instance, error, sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
}

static inline void
run_done(struct run *run)
{
    run->algorithm->destroy(run->instance);
    assay_view_free(run->view);
    assay_space_free(run->parameters);
}

/* `count` points in one call, n doubles each. */
static inline void
run_ask(struct run *run, int64_t first, size_t count, double *ret_points)
{
    struct assay_plugin_suggestion *suggestions = assay_zalloc(count, sizeof *suggestions);
    const struct assay_plugin_suggestion **pointers = assay_zalloc(count, sizeof *pointers);
    int64_t *numbers = assay_zalloc(count, sizeof *numbers);
    char error[256] = "";
    uint64_t given = 0;

    for (size_t i = 0; i < count; i++) {
        numbers[i] = first + (int64_t)i;
        suggestions[i].point = &ret_points[i * run->n];
        suggestions[i].why = run->why;
        suggestions[i].why_size = sizeof run->why;
        pointers[i] = &suggestions[i];
    }
    if (run->algorithm->suggest(run->instance, numbers, count, pointers, &given, error,
                                sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
    assert_int_equal(given, count);
    for (size_t i = 0; i < count; i++) {
        struct assay_error err = {0};

        if (assay_view_check(assay_view_space(run->view), suggestions[i].point, &err) != ASSAY_OK)
            fail_msg("%s", err.message);
    }
    free(suggestions);
    free(pointers);
    free(numbers);
}

static inline void
run_tell(struct run *run, int64_t number, uint32_t state, const double *point, const double *values,
         const double *bounds)
{
    const struct assay_plugin_trial trial = {.number = number,
                                             .state = state,
                                             .point = point,
                                             .values = values,
                                             .constraints = bounds,
                                             .budget = NAN,
                                             .steps = -1};
    const struct assay_plugin_trial *pointer = &trial;
    char error[256] = "";

    if (run->algorithm->update(run->instance, &pointer, 1, error, sizeof error) < 0)
        fail_msg("%s", error);
}

/* What a run of so many trials found. */
struct run_result {
    size_t n;                /* trials */
    double *points, *values; /* n x parameters, n x m; NaN where it failed or broke a bound */
    size_t n_infeasible;
    double best; /* of the first objective */
};

static inline void
run_result_done(struct run_result *result)
{
    free(result->points);
    free(result->values);
}

/* So many trials, `batch` at a time. */
static inline struct run_result
run_study(const struct assay_plugin_algorithm *algorithm, const char *parameters, size_t m,
          size_t c, uint64_t seed, run_function *function, size_t trials, size_t batch,
          const struct assay_plugin_source *const *sources, size_t n_sources)
{
    struct run_result result = {.n = trials, .best = INFINITY};
    struct run run;

    run_init(&run, algorithm, parameters, m, c, seed, sources, n_sources);
    result.points = assay_zalloc(trials * run.n, sizeof *result.points);
    result.values = assay_zalloc(trials * m, sizeof *result.values);
    for (size_t i = 0; i < trials; i += batch) {
        size_t count = ASSAY_MIN(batch, trials - i);

        run_ask(&run, (int64_t)i + 1, count, &result.points[i * run.n]);
        for (size_t k = i; k < i + count; k++) {
            double *values = &result.values[k * m], bounds[RUN_VALUES_MAX] = {0};
            bool holds = true;

            function(&result.points[k * run.n], values, bounds);
            run_tell(&run, (int64_t)k + 1,
                     isnan(values[0]) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                     &result.points[k * run.n], values, bounds);
            for (size_t b = 0; b < c; b++)
                holds = holds && bounds[b] <= 0.0;
            result.n_infeasible += !holds || isnan(values[0]);
            for (size_t j = 0; j < m && !holds; j++)
                values[j] = NAN;
            result.best = fmin(result.best, isnan(values[0]) ? INFINITY : values[0]);
        }
    }
    run_done(&run);
    return result;
}

#endif
