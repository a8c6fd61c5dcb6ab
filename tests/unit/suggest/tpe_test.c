/* The tree-structured Parzen estimator: its densities are densities, the split is a
 * function of the trials alone, and it finds what random search does not. */
#include "tests/unit/suggest/driver.h"

#include "suggest/algorithms/tpe/density.h"
#include "suggest/algorithms/tpe/ranking.h"

#define DEFAULTS "{\"start_trials\": 8, \"good_fraction\": 0.17, \"candidates\": 32}"

static const struct assay_tpe_widths adaptive = {true, .factor = 0.8, .narrowest = 0.02};
static const struct assay_tpe_widths even = {.factor = 0.5, .narrowest = 0.1};

/* --- densities --- */

struct model {
    struct assay_space *parameters;
    struct assay_view *view;
    struct assay_transform transform;
    struct assay_tpe_layout layout;
    struct assay_tpe_density density;
    size_t n_parameters, n;
    double *point;
    float *coordinates;
    const float **points;
    double *weights;
};

/* A density of n random points of the space. */
static struct model *
model_new(const char *parameters, const struct assay_tpe_widths *widths, size_t n)
{
    struct model *model = ASSAY_NEW(struct model);
    struct assay_random random = test_random(n);
    size_t dimensions;

    model->parameters = space_of(parameters);
    model->n = n;
    model->view = assay_view_new(model->parameters);
    assay_transform_init(&model->transform, assay_view_space(model->view));
    assay_tpe_layout_init(&model->layout, &model->transform);
    assay_tpe_density_init(&model->density, &model->layout, widths);
    dimensions = model->layout.n_dimensions;
    model->n_parameters = assay_view_space(model->view)->n_parameters;
    model->point = assay_alloc(model->n_parameters, sizeof *model->point);
    model->coordinates = assay_alloc((n + 1) * dimensions, sizeof *model->coordinates);
    model->points = assay_alloc(n + 1, sizeof *model->points);
    model->weights = assay_alloc(n + 1, sizeof *model->weights);
    for (size_t i = 0; i <= n; i++) {
        double unit[16];

        for (size_t d = 0; d < dimensions; d++)
            unit[d] = pow(assay_random_unit(&random), 2.0);
        assay_transform_decode(&model->transform, unit, model->point);
        model->points[i] = &model->coordinates[i * dimensions];
        model->weights[i] = 0.5 + assay_random_unit(&random);
        assay_tpe_encode(&model->layout, model->point, &model->coordinates[i * dimensions]);
    }
    assay_tpe_density_fit(&model->density, model->points, model->weights, n, 0.7);
    return model;
}

static void
model_done(struct model *model)
{
    assay_tpe_density_done(&model->density);
    assay_tpe_layout_done(&model->layout);
    assay_transform_done(&model->transform);
    assay_view_free(model->view);
    assay_space_free(model->parameters);
    free(model->point);
    free(model->coordinates);
    free(model->points);
    free(model->weights);
    free(model);
}

static const char *const spaces[] = {
    "[{'name':'x','type':'double','min':0,'max':1}]",
    "[{'name':'x','type':'int','min':1,'max':7}]",
    "[{'name':'x','type':'categorical','values':['a','b','c','d']}]",
    "[{'name':'x','type':'double','min':1e-5,'max':1,'scale':'log'},"
    "{'name':'y','type':'double','min':0,'max':1,'step':0.25},"
    "{'name':'z','type':'discrete','values':[1,2,4,8]}]",
    "[{'name':'a','type':'categorical','values':['s','t']},"
    "{'name':'x','type':'double','min':0,'max':1,'when':{'a':['s']}},"
    "{'name':'n','type':'int','min':1,'max':4,'when':{'a':['t']}},"
    "{'name':'b','type':'bool','when':{'n':{'min':2,'max':3}}}]",
};

/* Mean over the uniform distribution, to which densities are relative: 1. */
static void
test_densities_integrate_to_one(void **state ASSAY_UNUSED)
{
    enum { N = 40000 };
    const size_t sizes[] = {0, 1, 2, 9, 40};

    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        for (size_t i = 0; i < 2 * ASSAY_COUNT(sizes); i++) {
            struct model *model =
                model_new(spaces[s], i % 2 == 0 ? &adaptive : &even, sizes[i / 2]);
            struct assay_random random = test_random(s);
            double total = 0.0;

            for (size_t k = 0; k < N; k++) {
                double unit[16];
                float coordinates[16], log_density;
                const float *pointer = coordinates;

                for (size_t d = 0; d < model->layout.n_dimensions; d++)
                    unit[d] = d == 0 ? ((double)k + 0.5) / N : assay_random_unit(&random);
                assay_transform_decode(&model->transform, unit, model->point);
                assay_tpe_encode(&model->layout, model->point, coordinates);
                assay_tpe_density_log(&model->density, &pointer, 1, &log_density);
                total += exp((double)log_density) / N;
            }
            if (fabs(total - 1.0) > 0.03)
                fail_msg("space %zu, %zu points: %g", s, sizes[i / 2], total);
            model_done(model);
        }
    }
}

/* What is drawn has the density: moments of draws against weighted uniform points. */
static void
test_draws_follow_the_density(void **state ASSAY_UNUSED)
{
    enum { N = 40000 };

    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        struct model *model = model_new(spaces[s], &adaptive, 12);
        struct assay_random random = test_random(77);
        double drawn[3][16] = {{0}}, expected[3][16] = {{0}};

        for (size_t k = 0; k < 2 * N; k++) {
            double unit[16], weight = 1.0 / N;
            float coordinates[16], log_density;
            const float *pointer = coordinates;
            bool is_draw = k < N;

            if (is_draw) {
                assay_tpe_density_draw(&model->density,
                                       assay_tpe_density_pick(&model->density, &random), &random,
                                       model->point, coordinates);
            } else {
                for (size_t d = 0; d < model->layout.n_dimensions; d++)
                    unit[d] = assay_random_unit(&random);
                assay_transform_decode(&model->transform, unit, model->point);
                assay_tpe_encode(&model->layout, model->point, coordinates);
                assay_tpe_density_log(&model->density, &pointer, 1, &log_density);
                weight *= exp((double)log_density);
            }
            for (size_t d = 0; d < model->layout.n_dimensions; d++) {
                double x = (double)coordinates[d], (*sums)[16] = is_draw ? drawn : expected;

                if (isnan(x))
                    continue;
                sums[0][d] += weight; /* how often it is active */
                sums[1][d] += weight * x;
                sums[2][d] += weight * x * x;
            }
        }
        for (size_t m = 0; m < 3; m++) {
            for (size_t d = 0; d < model->layout.n_dimensions; d++) {
                double tolerance = 0.02 * fmax(1.0, fabs(drawn[m][d]));

                if (fabs(drawn[m][d] - expected[m][d]) > tolerance)
                    fail_msg("space %zu, dimension %zu, moment %zu: %g drawn, %g by density", s, d,
                             m, drawn[m][d], expected[m][d]);
            }
        }
        model_done(model);
    }
}

/* Around the mean of the kernels, narrower than each. */
static void
test_blends_lie_between(void **state ASSAY_UNUSED)
{
    struct model *model = model_new(spaces[0], &adaptive, 12);
    const size_t kernels[] = {1, 4, 9};
    struct assay_random random = test_random(78);
    double mean = 0.0, narrowest = 1.0;

    for (size_t i = 0; i < ASSAY_COUNT(kernels); i++) {
        mean += (double)model->density.centres[kernels[i]] / 3.0;
        narrowest = fmin(narrowest,
                         1.0 / ((double)model->density.scales[kernels[i]] * sqrt(2.0)));
    }
    for (size_t k = 0; k < 2000; k++) {
        float x;

        assay_tpe_density_blend(&model->density, kernels, ASSAY_COUNT(kernels), &random,
                                model->point, &x);
        assert_true(x >= 0.0f && x <= 1.0f);
        assert_near((double)x, mean, 5.0 * narrowest);
    }
    model_done(model);
}

/* The fast evaluation against the formula, term by term in double. */
static void
test_logarithms_match_the_formula(void **state ASSAY_UNUSED)
{
    struct model *model = model_new(spaces[4], &adaptive, 30);
    const struct assay_tpe_density *density = &model->density;
    struct assay_random random = test_random(5);

    for (size_t k = 0; k < 500; k++) {
        float coordinates[16], fast;
        const float *pointer = coordinates;
        double total = 0.0;

        assay_tpe_density_draw(density, assay_tpe_density_pick(density, &random), &random,
                               model->point, coordinates);
        assay_tpe_density_log(density, &pointer, 1, &fast);
        for (size_t i = 0; i < density->n_kernels; i++) {
            double term = (double)density->base[i];

            for (size_t d = 0; d < model->layout.n_dimensions; d++) {
                size_t at = d * density->stride + i;
                double z = ((double)coordinates[d] - (double)density->centres[at]) *
                           (double)density->scales[at];

                if (isnan(coordinates[d]))
                    continue;
                if (model->layout.dimensions[d].conditional)
                    term += (double)density->norms[at];
                if (!model->layout.dimensions[d].choice)
                    term -= z * z;
                else if (coordinates[d] == density->centres[at])
                    term += (double)density->hits[d];
            }
            total += exp(term);
        }
        assert_near((double)fast, log(total), 1e-4);
    }
    model_done(model);
}

static void
test_widths_keep_their_limits(void **state ASSAY_UNUSED)
{
    const size_t sizes[] = {1, 2, 5, 30, 90};

    for (size_t i = 0; i < 2 * ASSAY_COUNT(sizes); i++) {
        const struct assay_tpe_widths *widths = i % 2 == 0 ? &adaptive : &even;
        struct model *model = model_new(spaces[0], widths, sizes[i / 2]);
        double narrowest = widths->narrowest;

        if (widths->adaptive)
            narrowest = fmax(narrowest, 1.0 / ((double)sizes[i / 2] + 2.0));
        for (size_t k = 0; k < model->density.n_fitted; k++) {
            double sigma = 1.0 / ((double)model->density.scales[k] * sqrt(2.0));

            assert_true(sigma >= narrowest * (1.0 - 1e-5) && sigma <= 1.0 + 1e-5);
        }
        model_done(model);
    }
}

/* A kernel that is added counts in full, and is gone afterwards. */
static void
test_added_kernels(void **state ASSAY_UNUSED)
{
    struct model *model = model_new(spaces[4], &even, 20);
    const float *at = model->points[20];
    float before, with, after;

    assay_tpe_density_log(&model->density, &at, 1, &before);
    for (size_t i = 0; i < 3 * ASSAY_TPE_ADDED_MAX; i++)
        assay_tpe_density_add(&model->density, at, 0.05, i);
    assert_int_equal(model->density.n_kernels, 21 + ASSAY_TPE_ADDED_MAX);
    assay_tpe_density_log(&model->density, &at, 1, &with);
    assert_true(with > before + 0.5f);
    assay_tpe_density_drop(&model->density);
    assay_tpe_density_log(&model->density, &at, 1, &after);
    assert_true(after == before);
    model_done(model);
}

/* --- the split --- */

static void
split_of(struct assay_tpe_ranking *ranking, double fraction, struct assay_tpe_side *good,
         struct assay_tpe_side *bad)
{
    static const float *good_points[ASSAY_TPE_GOOD_MAX], *bad_points[ASSAY_TPE_BAD_MAX];
    static double good_weights[ASSAY_TPE_GOOD_MAX], bad_weights[ASSAY_TPE_BAD_MAX];

    *good = (struct assay_tpe_side){.points = good_points, .weights = good_weights};
    *bad = (struct assay_tpe_side){.points = bad_points, .weights = bad_weights};
    assay_tpe_ranking_split(ranking, fraction, good, bad);
}

static struct assay_history_trial
trial_of(int64_t number, uint32_t state, double *values, int64_t steps)
{
    bool ended = state == ASSAY_PLUGIN_SUCCEEDED || state == ASSAY_PLUGIN_STOPPED;

    return (struct assay_history_trial){.number = number,
                                        .state = state,
                                        .usable = ended && isfinite(values[0]),
                                        .steps = steps,
                                        .values = values};
}

/* Trials with their number as coordinate. */
static void
add(struct assay_tpe_ranking *ranking, int64_t number, uint32_t state, double value, int64_t steps)
{
    double values[2] = {value, value};
    struct assay_history_trial trial = trial_of(number, state, values, steps);
    float coordinate = (float)number;

    assay_tpe_ranking_add(ranking, &trial, &coordinate);
}

static void
test_order_of_states(void **state ASSAY_UNUSED)
{
    struct assay_tpe_ranking ranking;
    struct assay_tpe_side good, bad;
    const int64_t order[] = {2, 1, 4, 5, 3};

    assay_tpe_ranking_init(&ranking, 1, 1, 7);
    add(&ranking, 1, ASSAY_PLUGIN_SUCCEEDED, 2.0, 9);
    add(&ranking, 2, ASSAY_PLUGIN_SUCCEEDED, 1.0, 9);
    add(&ranking, 3, ASSAY_PLUGIN_STOPPED, 0.1, 2); /* not far, whatever its value */
    add(&ranking, 4, ASSAY_PLUGIN_STOPPED, 0.5, 5);
    add(&ranking, 5, ASSAY_PLUGIN_STOPPED, 0.7, 5);
    add(&ranking, 6, ASSAY_PLUGIN_FAILED, -1.0, 9);
    add(&ranking, 7, ASSAY_PLUGIN_SUCCEEDED, NAN, 9);
    add(&ranking, 8, ASSAY_PLUGIN_INFEASIBLE, NAN, -1);
    add(&ranking, 9, ASSAY_PLUGIN_PENDING, NAN, -1);
    add(&ranking, 10, ASSAY_PLUGIN_CANCELLED, 0.0, -1);
    add(&ranking, 11, ASSAY_PLUGIN_SUCCEEDED, -INFINITY, -1);
    split_of(&ranking, 1.0, &good, &bad);
    assert_int_equal(good.n, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal((int64_t)good.points[i][0], order[i]);
        assert_true(good.weights[i] > 0.0 && (i == 0 || good.weights[i] < good.weights[i - 1]));
    }
    assert_int_equal(bad.n, 5); /* 6, 7, 8, 11 and the pending 9 */
    assert_int_equal((int64_t)bad.points[4][0], 9);
    split_of(&ranking, 0.2, &good, &bad);
    assert_int_equal(good.n, 2); /* of nine that ended */
    assert_int_equal(bad.n, 8);
    assay_tpe_ranking_done(&ranking);
}

/* A thousand trials told forwards, backwards and with detours split the same way. */
static void
test_split_depends_on_the_set_alone(void **state ASSAY_UNUSED)
{
    enum { N = 1000 };
    struct assay_tpe_ranking ranking;
    struct assay_tpe_side good, bad;
    static float expected[ASSAY_TPE_GOOD_MAX + ASSAY_TPE_BAD_MAX];
    size_t n_good = 0;
    double total = 0.0;

    for (int way = 0; way < 3; way++) {
        assay_tpe_ranking_init(&ranking, 1, 1, 7);
        for (int64_t i = 1; i <= N; i++) {
            int64_t number = way == 1 ? N + 1 - i : i;
            double value = (double)(number * 7919 % 503);

            if (way == 2) {
                double values[1] = {NAN};
                struct assay_history_trial pending =
                    trial_of(number, ASSAY_PLUGIN_PENDING, values, -1);

                add(&ranking, number, ASSAY_PLUGIN_PENDING, NAN, -1);
                assay_tpe_ranking_remove(&ranking, &pending);
            }
            add(&ranking, number, ASSAY_PLUGIN_SUCCEEDED, value, -1);
        }
        split_of(&ranking, 0.17, &good, &bad);
        if (way == 0)
            n_good = good.n;
        assert_int_equal(good.n, n_good);
        assert_int_equal(bad.n, ASSAY_TPE_BAD_MAX);
        for (size_t i = 0; i < good.n + bad.n; i++) {
            float at = i < good.n ? good.points[i][0] : bad.points[i - good.n][0];

            if (way == 0)
                expected[i] = at;
            assert_true(at == expected[i]);
        }
        assay_tpe_ranking_done(&ranking);
    }
    /* Those drawn stand for those left out. */
    for (size_t i = 0; i < bad.n; i++)
        total += bad.weights[i];
    assert_near(total, (double)(N - n_good), 1e-6);
}

static void
test_fronts(void **state ASSAY_UNUSED)
{
    /* Two fronts of four and a crowd on the second. */
    double values[][2] = {{0, 9}, {1, 4}, {4, 1}, {9, 0}, {1, 10}, {2, 5}, {5, 2}, {10, 1},
                          {2.1, 4.9}};
    struct assay_tpe_ranking ranking;
    struct assay_tpe_side good, bad;
    bool seen[10] = {false};

    assay_tpe_ranking_init(&ranking, 2, 1, 7);
    for (size_t i = 0; i < ASSAY_COUNT(values); i++) {
        struct assay_history_trial trial =
            trial_of((int64_t)i + 1, ASSAY_PLUGIN_SUCCEEDED, values[i], -1);
        float coordinate = (float)(i + 1);

        assay_tpe_ranking_add(&ranking, &trial, &coordinate);
    }
    split_of(&ranking, 0.4, &good, &bad);
    assert_int_equal(good.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_true(good.points[i][0] <= 4.0f);
    split_of(&ranking, 0.7, &good, &bad);
    assert_int_equal(good.n, 7);
    for (size_t i = 0; i < good.n; i++)
        seen[(size_t)good.points[i][0]] = true;
    /* Of the second front not both of two that dominate nearly the same. */
    assert_true(seen[7] && seen[6] + seen[9] == 1);
    assay_tpe_ranking_done(&ranking);
}

/* --- the whole --- */

#define BOX(n) "{'name':'x" n "','type':'double','min':-5,'max':5}"

static double
sphere(const double *point, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i < n; i++)
        total += (point[i] - 2.0) * (point[i] - 2.0);
    return total;
}

static double
rosenbrock(const double *point, size_t n)
{
    double total = 0.0;

    for (size_t i = 0; i + 1 < n; i++)
        total += 100.0 * pow(point[i + 1] - point[i] * point[i], 2.0) + pow(1.0 - point[i], 2.0);
    return total;
}

static void
test_beats_random(void **state ASSAY_UNUSED)
{
    const char *five = "[" BOX("1") "," BOX("2") "," BOX("3") "," BOX("4") "," BOX("5") "]";
    double tpe, random;

    tpe = driver_median(&assay_algorithm_tpe, five, DEFAULTS, sphere, 100, 9);
    random = driver_median(&assay_algorithm_random, five, "{}", sphere, 100, 9);
    print_message("sphere: %.3g, random %.3g\n", tpe, random);
    assert_true(tpe < random / 8.0);
    tpe = driver_median(&assay_algorithm_tpe, five, DEFAULTS, rosenbrock, 150, 9);
    random = driver_median(&assay_algorithm_random, five, "{}", rosenbrock, 150, 9);
    print_message("rosenbrock: %.3g, random %.3g\n", tpe, random);
    assert_true(tpe < random / 8.0);
}

/* A tree: the left branch is better, but only deep inside. */
static double
tree(const double *point, size_t n ASSAY_UNUSED)
{
    if (point[0] == 0.0)
        return fabs(point[1] - 0.7) + fabs(point[2] - 0.2) + 0.1 * (double)(point[3] != 2.0);
    return 0.2 + fabs(point[4] - 0.3);
}

static void
test_conditional(void **state ASSAY_UNUSED)
{
    const char *parameters = "[{'name':'a','type':'categorical','values':['l','r']},"
                             "{'name':'x','type':'double','min':0,'max':1,'when':{'a':['l']}},"
                             "{'name':'z','type':'double','min':0,'max':1,'when':{'a':['l']}},"
                             "{'name':'k','type':'int','min':0,'max':4,'when':{'a':['l']}},"
                             "{'name':'y','type':'double','min':0,'max':1,'when':{'a':['r']}}]";
    double tpe = driver_median(&assay_algorithm_tpe, parameters, DEFAULTS, tree, 80, 9);
    double random = driver_median(&assay_algorithm_random, parameters, "{}", tree, 80, 9);

    print_message("conditional: %.3g, random %.3g\n", tpe, random);
    assert_true(tpe < random / 1.4);
}

/* Where everything fails it does not stay. */
static double
half_fails(const double *point, size_t n)
{
    double mirrored[2] = {-point[0], point[1]};

    return point[0] > 0.0 ? NAN : sphere(mirrored, n);
}

static void
test_failures_teach(void **state ASSAY_UNUSED)
{
    const char *two = "[" BOX("1") "," BOX("2") "]";
    struct driver driver = driver_new(&assay_algorithm_tpe, two, 1, DEFAULTS, 3);
    int failed = 0;

    for (int64_t number = 1; number <= 100; number++) {
        double point[2], value;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        value = half_fails(point, 2);
        failed += isnan(value) && number > 20;
        driver_tell(&driver, number, isnan(value) ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                    point, &value);
    }
    print_message("%d of 80 failed\n", failed);
    assert_in_range(failed, 0, 12);
    driver_done(&driver);
}

/* With nothing but failures the sequence goes on, and it covers the space. */
static void
test_only_failures(void **state ASSAY_UNUSED)
{
    const char *one = "[" BOX("1") "]";
    struct driver driver = driver_new(&assay_algorithm_tpe, one, 1, DEFAULTS, 3);
    int bins[8] = {0};

    for (int64_t number = 1; number <= 65; number++) {
        double point, value = number % 2 == 0 ? NAN : INFINITY;

        assert_int_equal(driver_ask(&driver, number, 1, &point), 1);
        if (number > 1)
            bins[(int)((point + 5.0) / 1.25)]++;
        driver_tell(&driver, number,
                    number % 3 == 0 ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED, &point, &value);
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(bins[i], 8);
    driver_done(&driver);
}

static double
warped(const double *point, size_t n)
{
    return exp(3.0 * sphere(point, n)) - 1e6;
}

/* Only ranks count: a monotone change of the objective changes nothing. */
static void
test_monotone_changes_do_not_matter(void **state ASSAY_UNUSED)
{
    const char *two = "[" BOX("1") "," BOX("2") "]";
    struct driver plain = driver_new(&assay_algorithm_tpe, two, 1, DEFAULTS, 5);
    struct driver other = driver_new(&assay_algorithm_tpe, two, 1, DEFAULTS, 5);

    for (int64_t number = 1; number <= 60; number++) {
        double a[2], b[2], value;

        assert_int_equal(driver_ask(&plain, number, 1, a), 1);
        assert_int_equal(driver_ask(&other, number, 1, b), 1);
        assert_true(a[0] == b[0] && a[1] == b[1]);
        value = sphere(a, 2);
        driver_tell(&plain, number, ASSAY_PLUGIN_SUCCEEDED, a, &value);
        value = warped(a, 2);
        driver_tell(&other, number, ASSAY_PLUGIN_SUCCEEDED, a, &value);
    }
    driver_done(&plain);
    driver_done(&other);
}

/* Mean distance of 8 points of the plane to the nearest of the others. */
static double
distance_to_nearest(const double *points)
{
    double total = 0.0;

    for (size_t i = 0; i < 8; i++) {
        double nearest = INFINITY;

        for (size_t k = 0; k < 8; k++) {
            if (k != i)
                nearest = fmin(nearest, hypot(points[2 * i] - points[2 * k],
                                              points[2 * i + 1] - points[2 * k + 1]));
        }
        total += nearest / 8.0;
    }
    return total;
}

/* Trials asked for at once keep off each other. */
static void
test_parallel_trials_spread(void **state ASSAY_UNUSED)
{
    const char *two = "[" BOX("1") "," BOX("2") "]";
    struct driver driver = driver_new(&assay_algorithm_tpe, two, 1, DEFAULTS, 11);
    double points[16], single[2], value, batch = 0.0, repeated = 0.0;

    for (int64_t number = 1; number <= 40; number++) {
        assert_int_equal(driver_ask(&driver, number, 1, single), 1);
        value = sphere(single, 2);
        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, single, &value);
    }
    for (int repeat = 0; repeat < 20; repeat++) {
        assert_int_equal(driver_ask(&driver, 41 + 8 * repeat, 8, points), 8);
        batch += distance_to_nearest(points);
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(driver_ask(&driver, 41 + 8 * repeat + (int64_t)i, 1, &points[2 * i]),
                             1);
        repeated += distance_to_nearest(points);
    }
    print_message("to the nearest: %.3g in batches, %.3g in single asks\n", batch / 20.0,
                  repeated / 20.0);
    assert_true(batch > 1.4 * repeated);
    driver_done(&driver);
}

/* Two objectives pull apart: the front is found along its length. */
static void
test_two_objectives(void **state ASSAY_UNUSED)
{
    const char *three = "[" BOX("1") "," BOX("2") "," BOX("3") "]";
    struct driver driver = driver_new(&assay_algorithm_tpe, three, 2, DEFAULTS, 2);
    int near_front = 0, left = 0, right = 0;

    for (int64_t number = 1; number <= 150; number++) {
        double point[3], values[2], off;

        assert_int_equal(driver_ask(&driver, number, 1, point), 1);
        off = point[1] * point[1] + point[2] * point[2];
        values[0] = pow(point[0] - 2.0, 2.0) + off;
        values[1] = pow(point[0] + 2.0, 2.0) + off;
        if (number > 75 && off < 1.5 && fabs(point[0]) < 2.3) {
            near_front++;
            left += point[0] < -0.7;
            right += point[0] > 0.7;
        }
        driver_tell(&driver, number, ASSAY_PLUGIN_SUCCEEDED, point, values);
    }
    print_message("near the front: %d of 75, %d left, %d right\n", near_front, left, right);
    assert_true(near_front > 30 && left > 5 && right > 5);
    driver_done(&driver);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_densities_integrate_to_one),
        cmocka_unit_test(test_draws_follow_the_density),
        cmocka_unit_test(test_blends_lie_between),
        cmocka_unit_test(test_logarithms_match_the_formula),
        cmocka_unit_test(test_widths_keep_their_limits),
        cmocka_unit_test(test_added_kernels),
        cmocka_unit_test(test_order_of_states),
        cmocka_unit_test(test_split_depends_on_the_set_alone),
        cmocka_unit_test(test_fronts),
        cmocka_unit_test(test_beats_random),
        cmocka_unit_test(test_conditional),
        cmocka_unit_test(test_failures_teach),
        cmocka_unit_test(test_only_failures),
        cmocka_unit_test(test_monotone_changes_do_not_matter),
        cmocka_unit_test(test_parallel_trials_spread),
        cmocka_unit_test(test_two_objectives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
