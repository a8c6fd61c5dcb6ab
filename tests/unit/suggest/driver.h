/* A study run through an algorithm's own table, without JSON on the way. */
#ifndef ASSAY_TESTS_SUGGEST_DRIVER_H
#define ASSAY_TESTS_SUGGEST_DRIVER_H

#include "tests/unit/suggest/support.h"

#include "common/number.h"
#include "suggest/algorithms/algorithms.h"
#include "suggest/view.h"

struct driver {
    const struct assay_plugin_algorithm *algorithm;
    struct assay_space *parameters;
    struct assay_view *view;
    const struct assay_plugin_space *space;
    size_t n_objectives, n_constraints;
    void *instance;
};

/* `study` says what is not usual: objectives, constraints, sources, settings, seed.  Its
 * space is filled in. */
static inline struct driver
driver_new_study(const struct assay_plugin_algorithm *algorithm, const char *parameters,
                 const struct assay_plugin_study *study)
{
    struct driver driver = {.algorithm = algorithm,
                            .n_objectives = (size_t)study->n_objectives,
                            .n_constraints = (size_t)study->n_constraints};
    struct assay_plugin_study complete = *study;
    char error[256] = "";

    driver.parameters = space_of(parameters);
    driver.view = assay_view_new(driver.parameters);
    driver.space = assay_view_space(driver.view);
    complete.space = driver.space;
    complete.budget_min = complete.budget_max = complete.budget_eta = NAN;
    if (algorithm->create(&complete, &driver.instance, error, sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
    return driver;
}

static inline struct driver
driver_new(const struct assay_plugin_algorithm *algorithm, const char *parameters,
           size_t n_objectives, const char *settings, uint64_t seed)
{
    return driver_new_study(algorithm, parameters,
                            &(struct assay_plugin_study){
                                .n_objectives = n_objectives, .settings = settings, .seed = seed});
}

static inline void
driver_done(struct driver *driver)
{
    driver->algorithm->destroy(driver->instance);
    assay_view_free(driver->view);
    assay_space_free(driver->parameters);
}

/* Points for numbers `first` and up, n_parameters doubles each; how many there were. */
static inline size_t
driver_ask(const struct driver *driver, int64_t first, size_t n, double *ret_points)
{
    struct assay_plugin_suggestion *suggestions = assay_zalloc(n, sizeof *suggestions);
    const struct assay_plugin_suggestion **pointers = assay_zalloc(n, sizeof *pointers);
    int64_t *numbers = assay_zalloc(n, sizeof *numbers);
    char why[ASSAY_PLUGIN_WHY_BYTES] = "{}", error[256] = "";
    int64_t resume = 0, parent = 0;
    double budget = NAN;
    uint64_t count = 0;

    for (size_t i = 0; i < n; i++) {
        numbers[i] = first + (int64_t)i;
        suggestions[i] = (struct assay_plugin_suggestion){
            .point = &ret_points[i * driver->space->n_parameters],
            .budget = &budget,
            .resume = &resume,
            .parent = &parent,
            .why = why,
            .why_size = sizeof why,
        };
        pointers[i] = &suggestions[i];
    }
    if (driver->algorithm->suggest(driver->instance, numbers, n, pointers, &count, error,
                                   sizeof error) < 0)
        fail_msg("%s", error);
    for (size_t i = 0; i < count; i++) {
        struct assay_error err = {0};

        if (assay_view_check(driver->space, suggestions[i].point, &err) != ASSAY_OK)
            fail_msg("%s", err.message);
    }
    free(suggestions);
    free(pointers);
    free(numbers);
    return (size_t)count;
}

static inline void
driver_tell_constrained(const struct driver *driver, int64_t number, uint32_t state,
                        const double *point, const double *values, const double *constraints)
{
    const struct assay_plugin_trial trial = {.number = number,
                                             .state = state,
                                             .point = point,
                                             .values = values,
                                             .constraints = constraints,
                                             .budget = NAN,
                                             .steps = -1};
    const struct assay_plugin_trial *pointer = &trial;
    char error[256] = "";

    if (driver->algorithm->update(driver->instance, &pointer, 1, error, sizeof error) < 0)
        fail_msg("%s", error);
}

static inline void
driver_tell(const struct driver *driver, int64_t number, uint32_t state, const double *point,
            const double *values)
{
    driver_tell_constrained(driver, number, state, point, values, NULL);
}

typedef double driver_function(const double *point, size_t n);

/* The best of `trials` evaluations, one after the other. */
static inline double
driver_minimise(const struct assay_plugin_algorithm *algorithm, const char *parameters,
                const char *settings, uint64_t seed, driver_function *function, int64_t trials)
{
    struct driver driver = driver_new(algorithm, parameters, 1, settings, seed);
    double *point = assay_zalloc(driver.space->n_parameters, sizeof *point), best = INFINITY;

    for (int64_t number = 1; number <= trials; number++) {
        double value;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        value = function(point, driver.space->n_parameters);
        driver_tell(&driver, number, isnan(value) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                    point, &value);
        best = fmin(best, isnan(value) ? INFINITY : value);
    }
    free(point);
    driver_done(&driver);
    return best;
}

/* Median over `seeds` seeds of what driver_minimise reaches. */
static inline double
driver_median(const struct assay_plugin_algorithm *algorithm, const char *parameters,
              const char *settings, driver_function *function, int64_t trials, size_t seeds)
{
    double *best = assay_alloc(seeds, sizeof *best), median;

    for (size_t seed = 0; seed < seeds; seed++)
        best[seed] = driver_minimise(algorithm, parameters, settings, seed, function, trials);
    qsort(best, seeds, sizeof *best, assay_compare_doubles);
    median = best[seeds / 2];
    free(best);
    return median;
}

#endif
