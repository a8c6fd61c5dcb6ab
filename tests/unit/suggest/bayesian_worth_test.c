/* What the search of `bayesian` maximises: slopes of every kind of worth, expected
 * improvements of hypervolume against slow references, beliefs. */
#include "tests/unit/suggest/support.h"

#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/model.h"
#include "suggest/pareto/hypervolume.h"
#include "suggest/view.h"

static const char mixed_space[] =
    "[{'name':'lr','type':'double','min':1e-5,'max':1,'scale':'log',"
    "'prior':{'value':0.01,'confidence':'high'}},"
    "{'name':'x','type':'double','min':-3,'max':5},"
    "{'name':'units','type':'int','min':1,'max':300,'scale':'log','prior':{'value':30}},"
    "{'name':'opt','type':'categorical','values':['sgd','adam','rms'],'prior':{'value':'adam'}},"
    "{'name':'momentum','type':'double','min':0,'max':0.99,'when':{'opt':['sgd','rms']},"
    "'prior':{'value':0.9}},"
    "{'name':'nesterov','type':'bool','when':{'opt':['sgd']}}]";

/* A model of random trials with some failed, some bounds violated or not measured. */
struct bed {
    struct assay_space *parameters;
    struct assay_view *view;
    const struct assay_plugin_space *space;
    struct assay_transform transform;
    struct assay_gp_features features;
    struct assay_history *history;
    struct assay_gp_model model;
    struct assay_gp_sources sources;
    struct assay_random random;
};

static void
draw_point(struct bed *bed, double *ret_point)
{
    double unit[16];

    for (size_t d = 0; d < bed->transform.n_dimensions; d++)
        unit[d] = assay_random_unit(&bed->random);
    assay_transform_decode(&bed->transform, unit, ret_point);
}

static void
evaluate(const double *point, size_t m, double *ret_values)
{
    for (size_t k = 0; k < m; k++)
        ret_values[k] = pow(point[1] - (double)k, 2.0) + log(point[2]) * cos((double)k) +
                        (isnan(point[4]) ? 0.5 : point[4]) * (double)k;
}

static void
tell_random(struct bed *bed, int64_t number, size_t m, size_t c, double shift)
{
    double point[16], values[8], bounds[4];

    draw_point(bed, point);
    evaluate(point, m, values);
    for (size_t k = 0; k < c; k++)
        bounds[k] = number % 9 == 4 ? NAN : point[1] / 3.0 - (double)k + shift;
    assay_history_tell(bed->history,
                       &(struct assay_plugin_trial){
                           .number = number,
                           .state = number % 8 == 5 ? ASSAY_PLUGIN_FAILED : ASSAY_PLUGIN_SUCCEEDED,
                           .point = point,
                           .values = values,
                           .constraints = bounds,
                           .budget = NAN,
                           .steps = -1,
                       });
}

/* Sources of 100 trials of the same function each, in another unit. */
static void
follow(struct bed *bed, size_t m, size_t n_sources, uint64_t seed)
{
    double points[3][100][16], values[3][100][8];
    struct assay_plugin_trial trials[3][100];
    const struct assay_plugin_trial *pointers[3][100];
    struct assay_plugin_source sources[3];
    const struct assay_plugin_source *source_pointers[3];

    assert_true(n_sources <= 3);
    for (size_t s = 0; s < n_sources; s++) {
        for (size_t i = 0; i < 100; i++) {
            draw_point(bed, points[s][i]);
            evaluate(points[s][i], m, values[s][i]);
            for (size_t k = 0; k < m; k++)
                values[s][i][k] = 5.0 + 3.0 * values[s][i][k];
            trials[s][i] = (struct assay_plugin_trial){.number = (int64_t)i + 1,
                                                       .state = ASSAY_PLUGIN_SUCCEEDED,
                                                       .point = points[s][i],
                                                       .values = values[s][i],
                                                       .budget = NAN,
                                                       .steps = -1};
            pointers[s][i] = &trials[s][i];
        }
        sources[s] =
            (struct assay_plugin_source){.name = "earlier", .n_trials = 100, .trials = pointers[s]};
        source_pointers[s] = &sources[s];
    }
    assay_gp_sources_init(&bed->sources, &bed->features,
                          &(struct assay_plugin_study){.space = bed->space,
                                                       .n_objectives = m,
                                                       .seed = seed,
                                                       .n_sources = n_sources,
                                                       .sources = source_pointers});
    assay_gp_model_follow(&bed->model, &bed->sources);
}

static void
bed_init(struct bed *bed, const char *parameters, size_t n, size_t m, size_t c, double shift,
         size_t n_sources, uint64_t seed)
{
    assay_gp_prepare();
    bed->random = test_random(seed);
    bed->parameters = space_of(parameters);
    bed->view = assay_view_new(bed->parameters);
    bed->space = assay_view_space(bed->view);
    assay_transform_init(&bed->transform, bed->space);
    assay_gp_features_init(&bed->features, &bed->transform);
    bed->history = assay_history_new(bed->space, m, c, 0);
    for (size_t i = 0; i < n; i++)
        tell_random(bed, (int64_t)i + 1, m, c, shift);
    assay_gp_model_init(&bed->model, &bed->features, m, c, seed);
    follow(bed, m, n_sources, seed);
    assert_true(n == 0 || assay_gp_model_learn(&bed->model, bed->history));
}

static void
bed_done(struct bed *bed)
{
    assay_gp_model_done(&bed->model);
    assay_gp_sources_done(&bed->sources);
    assay_history_free(bed->history);
    assay_gp_features_done(&bed->features);
    assay_transform_done(&bed->transform);
    assay_view_free(bed->view);
    assay_space_free(bed->parameters);
}

/* Rows of random points in the scale of the worth. */
static void
draw_rows(struct bed *bed, size_t k, double *ret_scaled)
{
    double point[16];

    for (size_t i = 0; i < k; i++) {
        double *row = &ret_scaled[i * bed->features.n_columns];

        draw_point(bed, point);
        assay_gp_features_of_point(&bed->features, point, row);
        for (size_t c = 0; c < bed->features.n_columns; c++)
            row[c] *= bed->model.worth.roots[c];
    }
}

/* Whether a continuous parameter stands in the column. */
static bool
moves(const struct bed *bed, size_t column)
{
    for (size_t d = 0; d < bed->features.n_dimensions; d++) {
        if (bed->features.dimensions[d].first == column)
            return bed->features.dimensions[d].kind != ASSAY_GP_CHOICE;
    }
    return false;
}

static void
check_slopes(struct bed *bed, enum assay_gp_rule rule)
{
    struct assay_gp_worth *worth = &bed->model.worth;
    size_t columns = bed->features.n_columns, k = 6;
    assay_auto_free double *scaled = assay_alloc(k * columns, sizeof *scaled);
    assay_auto_free double *gradients = assay_alloc(k * columns, sizeof *gradients);
    double worths[6], screened[6];

    assert_int_equal(worth->rule, rule);
    draw_rows(bed, k, scaled);
    assay_gp_worth_at(worth, scaled, k, worths, gradients);
    for (size_t i = 0; i < k * columns; i++) {
        double middle = scaled[i], h = 1e-5, low, high, alone;
        const double *row = &scaled[i / columns * columns];

        /* Far below, the deviation is mostly rounding. */
        if (!moves(bed, i % columns) || worths[i / columns] < -1e3)
            continue;
        assay_gp_worth_at(worth, row, 1, &alone, NULL);
        assert_near(alone, worths[i / columns], 1e-8 * (1.0 + fabs(alone)));
        scaled[i] = middle - h;
        assay_gp_worth_at(worth, row, 1, &low, NULL);
        scaled[i] = middle + h;
        assay_gp_worth_at(worth, row, 1, &high, NULL);
        scaled[i] = middle;
        assert_near(gradients[i], (high - low) / (2.0 * h), 1e-3 * (1.0 + fabs(gradients[i])));
    }
    assay_gp_worth_screen(worth, scaled, k, screened);
    for (size_t i = 0; i < k; i++)
        assert_true(isfinite(screened[i]));
}

/* Every rule, with and without bounds, trials pending, failures. */
static void
test_slopes(void **state ASSAY_UNUSED)
{
    static const struct {
        size_t m, c, pending;
        double shift;
        enum assay_gp_rule rule, expected;
        size_t sources;
    } cases[] = {
        {1, 0, 0, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 0, 4, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 0, 20, 0.0, ASSAY_GP_UCB, ASSAY_GP_UCB, 0},
        {1, 0, 20, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 2, 0, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 2, 3, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 2, 20, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 0},
        {1, 1, 0, 9.0, ASSAY_GP_LOG_EI, ASSAY_GP_FEASIBILITY, 0},
        {1, 1, 3, 9.0, ASSAY_GP_LOG_EI, ASSAY_GP_FEASIBILITY, 0},
        {2, 0, 0, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 0},
        {2, 2, 3, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 0},
        {3, 0, 2, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 0},
        {4, 1, 0, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 0},
        {6, 0, 2, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 0},
        {2, 1, 2, 9.0, ASSAY_GP_LOG_EI, ASSAY_GP_FEASIBILITY, 0},
        {1, 0, 0, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 1},
        {1, 0, 4, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 3},
        {1, 0, 20, 0.0, ASSAY_GP_WIDE_UCB, ASSAY_GP_WIDE_UCB, 1},
        {1, 2, 3, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EI, 2},
        {2, 1, 2, 0.0, ASSAY_GP_LOG_EI, ASSAY_GP_LOG_EHVI, 2},
        {1, 1, 3, 9.0, ASSAY_GP_LOG_EI, ASSAY_GP_FEASIBILITY, 1},
    };

    size_t trusted = 0;

    for (size_t k = 0; k < ASSAY_COUNT(cases); k++) {
        struct assay_random random = test_random(k);
        const double *pending[20];
        double points[20][16];
        struct bed bed;

        bed_init(&bed, mixed_space, 40, cases[k].m, cases[k].c, cases[k].shift, cases[k].sources,
                 30 + k);
        trusted += bed.model.surfaces[0].trend.trust > 0.5;
        for (size_t i = 0; i < cases[k].pending; i++) {
            draw_point(&bed, points[i]);
            pending[i] = points[i];
        }
        for (uint64_t trials = 5; trials <= 500; trials *= 10) {
            assay_gp_model_pend(&bed.model, pending, cases[k].pending, cases[k].rule, trials,
                                &random);
            check_slopes(&bed, cases[k].expected);
        }
        bed_done(&bed);
    }
    print_message("%zu with sources\n", trusted);
    assert_true(trusted >= 4);
}

/* The values drawn for pending trials: on average the mean, to the last digits, since each
 * draw has its mirror image; and of trials far apart independent of each other. */
static void
test_draws_of_pending(void **state ASSAY_UNUSED)
{
    static const char space[] = "[{'name':'lr','type':'double','min':0.001,'max':1},"
                                "{'name':'x','type':'double','min':-3,'max':5},"
                                "{'name':'units','type':'double','min':1,'max':300},"
                                "{'name':'p','type':'double','min':0,'max':1},"
                                "{'name':'momentum','type':'double','min':0,'max':0.99}]";
    const double points[2][16] = {{0.001, -3.0, 1.0, 0.0, 0.0}, {1.0, 5.0, 300.0, 1.0, 0.99}};
    const double *pending[] = {points[0], points[1]};
    struct assay_random random = test_random(5);
    double expected[2], products = 0.0, squares[2] = {0.0, 0.0};
    const struct assay_gp_surface *surface;
    size_t n, all;
    struct bed bed;

    bed_init(&bed, space, 12, 1, 0, 0.0, 0, 77);
    surface = &bed.model.surfaces[0];
    assay_gp_model_pend(&bed.model, pending, 2, ASSAY_GP_UCB, 10, &random);
    n = surface->n_chosen;
    all = n + 2;
    memcpy(expected, &surface->row_means[n], sizeof expected);
    for (int round = 0; round < 100; round++) {
        double sums[2] = {0.0, 0.0};

        assay_gp_model_pend(&bed.model, pending, 2, ASSAY_GP_LOG_EI, 10, &random);
        assert_true(surface->posterior.n_means > 1);
        for (size_t s = 0; s < surface->posterior.n_means; s++) {
            double off[2];

            for (size_t i = 0; i < 2; i++) {
                off[i] = surface->row_means[s * all + n + i] - expected[i];
                sums[i] += off[i];
                squares[i] += off[i] * off[i];
            }
            products += off[0] * off[1];
        }
        assert_near(sums[0], 0.0, 1e-9);
        assert_near(sums[1], 0.0, 1e-9);
    }
    print_message("correlation %.3f\n", products / sqrt(squares[0] * squares[1]));
    assert_true(fabs(products) < 0.25 * sqrt(squares[0] * squares[1]));
    bed_done(&bed);
}

/* --- improvement of hypervolume --- */

/* By quadrature on a grid over each objective's normal, the improvement by the volume
 * itself. */
static double
slow_improvement(const double *front, size_t n, size_t m, const double *reference,
                 const double *means, const double *sds, size_t steps)
{
    assay_auto_free double *rows = assay_alloc((n + 1) * m, sizeof *rows);
    double before = assay_pareto_hypervolume(front, n, m, reference), sum = 0.0, mass = 0.0;
    size_t cells = 1;

    memcpy(rows, front, n * m * sizeof *rows);
    for (size_t j = 0; j < m; j++)
        cells *= steps;
    for (size_t cell = 0; cell < cells; cell++) {
        double density = 1.0;
        size_t rest = cell;

        for (size_t j = 0; j < m; j++, rest /= steps) {
            double u = 8.0 * (((double)(rest % steps) + 0.5) / (double)steps * 2.0 - 1.0);

            density *= exp(-0.5 * u * u);
            rows[n * m + j] = means[j] + sds[j] * u;
        }
        mass += density;
        sum += density * (assay_pareto_hypervolume(rows, n + 1, m, reference) - before);
    }
    return sum / mass;
}

static void
test_improvement_against_quadrature(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(21);

    for (int round = 0; round < 24; round++) {
        size_t m = round % 3 == 2 ? 3 : 2, n = (size_t)round % 7;
        double values[8 * 3], reference[3] = {1.5, 1.2, 1.4}, means[3], sds[3], fast, slow;
        assay_auto_free double *scratch = NULL;
        struct assay_gp_front front;

        for (size_t i = 0; i < n * m; i++)
            values[i] = assay_random_normal(&random);
        for (size_t j = 0; j < m; j++) {
            means[j] = assay_random_normal(&random);
            sds[j] = exp(0.7 * assay_random_normal(&random) - 0.7);
        }
        assay_gp_front_init(&front, values, n, m, reference);
        scratch = assay_alloc(assay_gp_front_scratch(&front), sizeof *scratch);
        fast = exp(assay_gp_front_worth(&front, means, sds, scratch, NULL, NULL));
        slow = slow_improvement(values, n, m, reference, means, sds, m == 2 ? 400 : 60);
        assert_near(fast, slow, 3e-3 * slow + 1e-4);
        assay_gp_front_done(&front);
    }
}

/* Against random draws, to four objectives. */
static void
test_improvement_against_draws(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(22);

    for (size_t m = 2; m <= 4; m++) {
        double values[12 * 4], reference[4] = {2.0, 2.0, 2.0, 2.0}, means[4], sds[4];
        double sum = 0.0, squares = 0.0, fast, before, error;
        assay_auto_free double *scratch = NULL;
        struct assay_gp_front front;

        for (size_t i = 0; i < 11 * m; i++)
            values[i] = assay_random_normal(&random);
        for (size_t j = 0; j < m; j++) {
            means[j] = -0.5 + 0.5 * assay_random_normal(&random);
            sds[j] = 0.8;
        }
        assay_gp_front_init(&front, values, 11, m, reference);
        scratch = assay_alloc(assay_gp_front_scratch(&front), sizeof *scratch);
        fast = exp(assay_gp_front_worth(&front, means, sds, scratch, NULL, NULL));
        before = assay_pareto_hypervolume(values, 11, m, reference);
        for (int draw = 0; draw < 20000; draw++) {
            double gain;

            for (size_t j = 0; j < m; j++)
                values[11 * m + j] = means[j] + sds[j] * assay_random_normal(&random);
            gain = assay_pareto_hypervolume(values, 12, m, reference) - before;
            sum += gain / 20000.0;
            squares += gain * gain / 20000.0;
        }
        error = sqrt((squares - sum * sum) / 20000.0);
        print_message("%zu objectives: %.5f, by draws %.5f +- %.5f\n", m, fast, sum, error);
        assert_near(fast, sum, 4.0 * error);
        assay_gp_front_done(&front);
    }
}

/* Slopes, also far behind the front, where the improvement itself is below any double. */
static void
test_improvement_slopes(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(23);

    for (int round = 0; round < 120; round++) {
        size_t m = 2 + (size_t)round % 5, n = 1 + (size_t)round % 9;
        double values[9 * 6], reference[6], means[6], sds[6], by_means[6], by_sds[6];
        double far = round % 3 == 2 ? 40.0 : 1.0;
        assay_auto_free double *scratch = NULL;
        struct assay_gp_front front;

        for (size_t i = 0; i < n * m; i++)
            values[i] = assay_random_normal(&random);
        for (size_t j = 0; j < m; j++) {
            reference[j] = 2.0;
            means[j] = assay_random_normal(&random) + (m <= 4 ? far : 1.0);
            sds[j] = exp(0.5 * assay_random_normal(&random) - 0.5);
        }
        assay_gp_front_init(&front, values, n, m, reference);
        scratch = assay_alloc(assay_gp_front_scratch(&front), sizeof *scratch);
        assert_true(isfinite(assay_gp_front_worth(&front, means, sds, scratch, by_means, by_sds)));
        for (size_t j = 0; j < 2 * m; j++) {
            double *at = j < m ? &means[j] : &sds[j - m], middle = *at, h = 1e-6, low, high;
            double slope = j < m ? by_means[j] : by_sds[j - m];

            *at = middle - h;
            low = assay_gp_front_worth(&front, means, sds, scratch, NULL, NULL);
            *at = middle + h;
            high = assay_gp_front_worth(&front, means, sds, scratch, NULL, NULL);
            *at = middle;
            assert_near(slope, (high - low) / (2.0 * h), 1e-4 * (1.0 + fabs(slope)));
        }
        assay_gp_front_done(&front);
    }
}

/* --- beliefs --- */

/* The density is 1 on average, and what is drawn follows it. */
static void
test_belief_is_a_density(void **state ASSAY_UNUSED)
{
    double sum = 0.0, expected[4] = {0}, drawn[4] = {0};
    size_t n = 200000, columns;
    struct bed bed;

    bed_init(&bed, mixed_space, 0, 1, 0, 0.0, 0, 40);
    columns = bed.features.n_columns;
    for (size_t i = 0; i < n; i++) {
        double unit[16], point[16], row[32], ones[32], density;

        for (size_t d = 0; d < bed.transform.n_dimensions; d++)
            unit[d] = assay_random_unit(&bed.random);
        for (size_t c = 0; c < columns; c++)
            ones[c] = 1.0;
        assay_gp_features_of_unit(&bed.features, unit, point, row);
        density = exp(assay_gp_belief_at(&bed.model.belief, ones, row, 1.0, NULL));
        sum += density / (double)n;
        assay_transform_decode(&bed.transform, unit, point);
        expected[0] += density * log(point[0]) / (double)n;
        expected[1] += density * log(point[2]) / (double)n;
        expected[2] += density * (point[3] == 1.0) / (double)n;
        expected[3] += density * (isnan(point[4]) ? 0.0 : point[4]) / (double)n;
        assay_expectations_bend(&bed.model.belief.expectations, unit);
        assay_transform_decode(&bed.transform, unit, point);
        drawn[0] += log(point[0]) / (double)n;
        drawn[1] += log(point[2]) / (double)n;
        drawn[2] += (point[3] == 1.0) / (double)n;
        drawn[3] += (isnan(point[4]) ? 0.0 : point[4]) / (double)n;
    }
    assert_near(sum, 1.0, 0.02);
    for (size_t k = 0; k < 4; k++)
        assert_near(expected[k], drawn[k], 0.02 * (1.0 + fabs(drawn[k])));
    assert_true(drawn[2] > 0.5);
    bed_done(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slopes),
        cmocka_unit_test(test_draws_of_pending),
        cmocka_unit_test(test_improvement_against_quadrature),
        cmocka_unit_test(test_improvement_against_draws),
        cmocka_unit_test(test_improvement_slopes),
        cmocka_unit_test(test_belief_is_a_density),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
