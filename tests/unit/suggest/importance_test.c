/* PED-ANOVA and fANOVA: against slow references, against functions whose variance is
 * known, and on what studies really look like. */
#include "tests/unit/suggest/support.h"

#include "common/buffer.h"
#include "suggest/analysis/fanova.h"
#include "suggest/analysis/ped_anova.h"

typedef double study_function(const double *point);

struct study {
    struct assay_space *parameters;
    struct assay_view *view;
    struct assay_analysis_trials trials;
};

static void
study_init(struct study *study, const char *parameters, size_t n_objectives, size_t n_max)
{
    study->parameters = space_of(parameters);
    study->view = assay_view_new(study->parameters);
    assay_analysis_trials_init(&study->trials, assay_view_space(study->view), n_objectives, n_max);
}

static void
study_done(struct study *study)
{
    assay_analysis_trials_done(&study->trials);
    assay_view_free(study->view);
    assay_space_free(study->parameters);
}

/* A point drawn evenly on the scales of the space. */
static void
draw(const struct study *study, struct assay_random *random, double *ret_point)
{
    double unit[64];

    for (size_t k = 0; k < study->trials.transform.n_dimensions; k++)
        unit[k] = assay_random_unit(random);
    assay_transform_decode(&study->trials.transform, unit, ret_point);
}

static void
add_random(struct study *study, size_t n, uint64_t seed, study_function *function)
{
    struct assay_random random = test_random(seed);
    double point[64];

    for (size_t i = 0; i < n; i++) {
        double value;

        draw(study, &random, point);
        value = function(point);
        assay_analysis_trials_add(&study->trials, point, &value, true);
    }
}

static double
interaction_of(const struct assay_importance *importance, size_t a, size_t b)
{
    for (size_t i = 0; i < importance->n_interactions; i++) {
        if (importance->interactions[i].a == a && importance->interactions[i].b == b)
            return importance->interactions[i].share;
    }
    fail_msg("no pair %zu, %zu", a, b);
    return NAN;
}

static void
assert_shares(const struct assay_importance *importance)
{
    double sum = 0.0;

    assert_string_equal(importance->message, "");
    for (size_t i = 0; i < importance->n_parameters; i++) {
        assert_true(importance->shares[i] >= 0.0);
        sum += importance->shares[i];
    }
    assert_near(sum, 1.0, 1e-9);
}

/* --- PED-ANOVA */

static double
phi(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

/* The density as its definition says it, one trial after the other. */
static void
test_density(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(1);

    for (int round = 0; round < 200; round++) {
        size_t n = 2 + (size_t)assay_random_below(&random, 49), n_trials = 0;
        double counts[64] = {0}, density[64], sum = 0.0, mean = 0.0, spread = 0.0, sigma;
        int cells[64];

        n_trials = 1 + (size_t)assay_random_below(&random, 40);
        for (size_t i = 0; i < n_trials; i++) {
            cells[i] = (int)assay_random_below(&random, n);
            counts[cells[i]] += 1.0;
            mean += cells[i] / (double)n_trials;
        }
        for (size_t i = 0; i < n_trials; i++)
            spread += (cells[i] - mean) * (cells[i] - mean);
        spread = sqrt(spread / fmax(1.0, (double)n_trials - 1.0));
        assay_ped_numeric_density(counts, n, density);
        for (size_t i = 0; i < n; i++) {
            assert_true(density[i] > 0.0);
            sum += density[i];
        }
        assert_near(sum, 1.0, 1e-9);
        /* With all in one cell the bandwidth is the smallest one. */
        if (spread > 0.0)
            continue;
        sigma = 0.5 / 1.64;
        for (size_t i = 0; i < n; i++) {
            double own = 0.0, wide, middle = ((double)n - 1.0) / 2.0;

            for (size_t k = 0; k < n_trials; k++)
                own += (phi(((double)i + 0.5 - cells[k]) / sigma) -
                        phi(((double)i - 0.5 - cells[k]) / sigma)) /
                       (phi(((double)n - 0.5 - cells[k]) / sigma) - phi((-0.5 - cells[k]) / sigma));
            wide = (phi(((double)i + 0.5 - middle) / (double)n) -
                    phi(((double)i - 0.5 - middle) / (double)n)) /
                   (phi(((double)n - 0.5 - middle) / (double)n) - phi((-0.5 - middle) / (double)n));
            assert_near(density[i], (own + wide) / ((double)n_trials + 1.0), 1e-9);
        }
    }
}

static void
test_choice_density(void **state ASSAY_UNUSED)
{
    static const double counts[3] = {4.0, 1.0, 0.0};
    double density[3], sum = 0.0;

    assay_ped_choice_density(counts, 3, density);
    for (size_t i = 0; i < 3; i++)
        sum += density[i];
    assert_near(sum, 1.0, 1e-12);
    /* Kernels 1{own} + 1/6 over their sum 1.5, weight 1/6 each, and 1/3 by the even one. */
    assert_near(density[0], (4.0 * (7.0 / 6.0) + 1.0 / 6.0) / 1.5 / 6.0 + 1.0 / 18.0, 1e-12);
    assert_near(density[2], (5.0 / 6.0) / 1.5 / 6.0 + 1.0 / 18.0, 1e-12);
}

static void
test_steps(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *parameter;
        size_t steps;
    } rows[] = {
        {"[{'name':'x','type':'double','min':0,'max':1}]", 50},
        {"[{'name':'x','type':'double','min':0,'max':1,'step':0.1}]", 11},
        {"[{'name':'x','type':'int','min':1,'max':20}]", 20},
        {"[{'name':'x','type':'int','min':1,'max':1000}]", 50},
        {"[{'name':'x','type':'int','min':8,'max':512,'scale':'log'}]", 10},
        {"[{'name':'x','type':'discrete','values':[16,32,64]}]", 3},
        {"[{'name':'x','type':'int','min':3,'max':3}]", 1},
    };

    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        struct study study;

        study_init(&study, rows[i].parameter, 1, 0);
        assert_int_equal(assay_ped_steps(study.trials.space->parameters[0]), rows[i].steps);
        study_done(&study);
    }
}

#define FOUR                                                                                       \
    "[{'name':'a','type':'double','min':0,'max':1},"                                               \
    "{'name':'b','type':'double','min':1e-4,'max':1,'scale':'log'},"                               \
    "{'name':'c','type':'int','min':0,'max':100},"                                                 \
    "{'name':'nothing','type':'double','min':-5,'max':5}]"

/* 3a + 2b' + c' on the unit scales: shares of the variance 9, 4 and 1 of 14. */
static double
additive(const double *point)
{
    return 3.0 * point[0] + 2.0 * (log10(point[1]) + 4.0) / 4.0 + point[2] / 100.0;
}

static void
test_ped_order(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct assay_importance importance;
        struct study study;

        study_init(&study, FOUR, 1, 0);
        add_random(&study, 1000, seed, additive);
        assay_ped_anova(&study.trials, &importance);
        assert_shares(&importance);
        assert_true(importance.shares[0] > importance.shares[1]);
        assert_true(importance.shares[1] > importance.shares[2]);
        assert_true(importance.shares[3] < 0.05);
        assert_true(importance.shares[0] > 0.5);
        assert_int_equal(importance.n_trials, 1000);
        assay_importance_done(&importance);
        study_done(&study);
    }
}

#define CONDITIONAL                                                                                \
    "[{'name':'kind','type':'categorical','values':['plain','tilted','odd']},"                     \
    "{'name':'x','type':'double','min':0,'max':1},"                                                \
    "{'name':'tilt','type':'double','min':0,'max':1,'when':{'kind':['tilted']}}]"

/* tilt matters where there is one; x hardly. */
static double
conditional(const double *point)
{
    double x = point[1];

    return 0.1 * x + (point[0] == 1.0 ? 2.0 * fabs(point[2] - 0.3) : point[0] == 0.0 ? 1.0 : 1.2);
}

/* The inactive child takes no part, its parent none of its credit. */
static double
only_kind(const double *point)
{
    return point[0];
}

static void
test_conditional(void **state ASSAY_UNUSED)
{
    for (int method = 0; method < 2; method++) {
        struct assay_importance importance;
        struct study study;

        study_init(&study, CONDITIONAL, 1, 0);
        add_random(&study, 900, 3, conditional);
        if (method == 0)
            assay_ped_anova(&study.trials, &importance);
        else
            assay_fanova(&study.trials, false, &importance);
        assert_shares(&importance);
        if (method == 0) { /* tilt decides who is among the best */
            assert_true(importance.shares[2] > 0.3);
            assert_true(importance.shares[0] > 0.2);
        } else { /* over the whole space: 0.0668, 0.0174 and 0.0008 of variance */
            assert_near(importance.shares[0], 0.786, 0.05);
            assert_near(importance.shares[2], 0.205, 0.05);
        }
        assert_true(importance.shares[1] < 0.1);
        assay_importance_done(&importance);
        study_done(&study);

        study_init(&study, CONDITIONAL, 1, 0);
        add_random(&study, 900, 4, only_kind);
        if (method == 0)
            assay_ped_anova(&study.trials, &importance);
        else
            assay_fanova(&study.trials, false, &importance);
        assert_shares(&importance);
        assert_true(importance.shares[0] > 0.8);
        assert_true(importance.shares[2] < 0.05);
        assay_importance_done(&importance);
        study_done(&study);
    }
}

/* Two objectives, of a and of b alone: the front trades them, c is in neither. */
static void
test_ped_objectives(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(9);
    struct assay_importance importance;
    struct study study;
    double point[4];

    study_init(&study, FOUR, 2, 0);
    for (int i = 0; i < 1000; i++) {
        double values[2];

        draw(&study, &random, point);
        values[0] = point[0] + point[2] / 100.0;
        values[1] = 1.0 - point[0] + point[2] / 100.0;
        assay_analysis_trials_add(&study.trials, point, values, true);
    }
    assay_ped_anova(&study.trials, &importance);
    assert_shares(&importance);
    assert_true(importance.shares[2] > 0.8); /* off the front; a moves along it */
    assay_importance_done(&importance);
    study_done(&study);
}

/* What is not allowed is never among the best, whatever its value. */
static void
test_ped_constraints(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(10);
    struct assay_importance importance;
    struct study study;
    double point[4];

    study_init(&study, FOUR, 1, 0);
    for (int i = 0; i < 600; i++) {
        double value, none = NAN;
        bool feasible;

        draw(&study, &random, point);
        value = 0.01 * point[0];
        feasible = point[2] > 60.0;
        assay_analysis_trials_add(&study.trials, point, i % 3 == 0 && !feasible ? &none : &value,
                                  feasible);
    }
    assay_ped_anova(&study.trials, &importance);
    assert_shares(&importance);
    assert_true(importance.shares[2] > 0.2); /* of value it has nothing, only of being allowed */
    assert_true(importance.shares[0] + importance.shares[2] > 0.9);
    assert_int_equal(importance.n_trials, 600);
    assay_importance_done(&importance);
    assay_fanova(&study.trials, false, &importance);
    assert_true(importance.shares[0] > 0.9);
    assay_importance_done(&importance);
    study_done(&study);
}

/* --- fANOVA */

static double
leaf_at(const struct assay_forest_tree *tree, const struct assay_fanova_shape *shape,
        const double *at)
{
    double value = NAN;
    int found = 0;

    for (size_t l = 0; l < tree->n_leaves; l++) {
        bool inside = true;

        for (size_t i = 0; i < tree->leaves[l].n_sides && inside; i++) {
            const struct assay_forest_side *side = &tree->sides[tree->leaves[l].first_side + i];
            double x = at[side->feature];

            if (shape->features[side->feature].n_choices > 0)
                inside = (side->members >> (unsigned)x & 1) != 0;
            else
                inside = x >= side->low && x < side->high;
        }
        if (inside) {
            value = tree->leaves[l].value;
            found++;
        }
    }
    assert_int_equal(found, 1); /* the leaves part the space */
    return value;
}

#define CELLS 40
static float grid_columns[3][40];

/* One tree of few rows on a coarse grid, integrated cell by cell. */
static void
test_marginals(void **state ASSAY_UNUSED)
{
    static const double even[4] = {0.4, 0.3, 0.2, 0.1};
    const double *weights[3] = {NULL, even, NULL};
    struct assay_forest_feature features[3] = {
        {0, grid_columns[0]}, {4, grid_columns[1]}, {0, grid_columns[2]}};
    const struct assay_fanova_shape shape = {3, features, weights};
    static const uint32_t pairs[3][2] = {{0, 1}, {0, 2}, {1, 2}};

    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct assay_random random = test_random(seed);
        double targets[40], main[3], apart[3], total;
        size_t n = 2 + (size_t)assay_random_below(&random, 38);
        struct assay_forest_tree tree;
        double mean = 0.0, squares = 0.0, by_x[CELLS] = {0}, by_c[4] = {0}, by_y[CELLS] = {0};
        double by_xc[CELLS][4] = {{0}}, by_xy[CELLS][CELLS] = {{0}}, by_cy[4][CELLS] = {{0}};
        double expected[3] = {0}, expected_pairs[3] = {0};

        for (size_t i = 0; i < n; i++) {
            /* Thresholds fall on edges of the cells. */
            grid_columns[0][i] = (float)((double)assay_random_below(&random, 21) * 2.0 / CELLS);
            grid_columns[1][i] = (float)assay_random_below(&random, 4);
            grid_columns[2][i] = (float)((double)assay_random_below(&random, 21) * 2.0 / CELLS);
            targets[i] = assay_random_normal(&random);
        }
        assay_forest_grow(&(struct assay_forest_rows){n, 3, features, targets}, &random, &tree);
        assay_fanova_tree(&shape, &tree, &total, main, pairs, 3, apart);
        for (int x = 0; x < CELLS; x++) {
            for (int c = 0; c < 4; c++) {
                for (int y = 0; y < CELLS; y++) {
                    const double at[3] = {(x + 0.5) / CELLS, c, (y + 0.5) / CELLS};
                    double value = leaf_at(&tree, &shape, at);

                    mean += even[c] / CELLS / CELLS * value;
                    squares += even[c] / CELLS / CELLS * value * value;
                    by_x[x] += even[c] / CELLS * value;
                    by_c[c] += value / CELLS / CELLS;
                    by_y[y] += even[c] / CELLS * value;
                    by_xc[x][c] += value / CELLS;
                    by_xy[x][y] += even[c] * value;
                    by_cy[c][y] += value / CELLS;
                }
            }
        }
        for (int x = 0; x < CELLS; x++) {
            expected[0] += pow(by_x[x] - mean, 2) / CELLS;
            expected[2] += pow(by_y[x] - mean, 2) / CELLS;
            for (int c = 0; c < 4; c++) {
                expected[1] += pow(by_c[c] - mean, 2) * even[c] / CELLS;
                expected_pairs[0] += pow(by_xc[x][c] - mean, 2) * even[c] / CELLS;
                expected_pairs[2] += pow(by_cy[c][x] - mean, 2) * even[c] / CELLS;
            }
            for (int y = 0; y < CELLS; y++)
                expected_pairs[1] += pow(by_xy[x][y] - mean, 2) / CELLS / CELLS;
        }
        assert_near(total, squares - mean * mean, 1e-6);
        for (int k = 0; k < 3; k++) {
            assert_near(main[k], expected[k], 1e-6);
            assert_near(apart[k], expected_pairs[k] - expected[pairs[k][0]] - expected[pairs[k][1]],
                        1e-6);
        }
        assay_forest_tree_done(&tree);
    }
}

static void
test_fanova_additive(void **state ASSAY_UNUSED)
{
    struct assay_importance importance;
    struct study study;

    study_init(&study, FOUR, 1, 0);
    add_random(&study, 1000, 7, additive);
    assay_fanova(&study.trials, true, &importance);
    assert_shares(&importance);
    assert_near(importance.shares[0], 9.0 / 14.0, 0.04);
    assert_near(importance.shares[1], 4.0 / 14.0, 0.04);
    assert_near(importance.shares[2], 1.0 / 14.0, 0.04);
    assert_true(importance.shares[3] < 0.01);
    assert_true(importance.explained > 0.9);
    assert_int_equal(importance.n_interactions, 6);
    for (size_t i = 0; i < importance.n_interactions; i++)
        assert_true(importance.interactions[i].share < 0.03);
    assay_importance_done(&importance);
    study_done(&study);
}

static double
ishigami(const double *x)
{
    return sin(x[0]) + 7.0 * sin(x[1]) * sin(x[1]) + 0.1 * pow(x[2], 4) * sin(x[0]);
}

/* T. Ishigami, T. Homma, 1990: first-order shares 0.314, 0.442, 0, and 0.244 of the first
 * and third together. */
static void
test_fanova_ishigami(void **state ASSAY_UNUSED)
{
    struct assay_importance importance;
    struct study study;

    study_init(&study,
               "[{'name':'x1','type':'double','min':-3.14159265,'max':3.14159265},"
               "{'name':'x2','type':'double','min':-3.14159265,'max':3.14159265},"
               "{'name':'x3','type':'double','min':-3.14159265,'max':3.14159265}]",
               1, 0);
    add_random(&study, 1000, 11, ishigami);
    assay_fanova(&study.trials, true, &importance);
    assert_shares(&importance);
    print_message(
        "# Ishigami: main %.3f %.3f %.3f of explained %.3f, pairs 12 %.3f 13 %.3f 23 %.3f\n",
        importance.shares[0], importance.shares[1], importance.shares[2], importance.explained,
        interaction_of(&importance, 0, 1), interaction_of(&importance, 0, 2),
        interaction_of(&importance, 1, 2));
    /* Of the narrow ridges of sin^2 a forest sees less than there is. */
    assert_near(importance.shares[0] * importance.explained, 0.314, 0.06);
    assert_near(importance.shares[1] * importance.explained, 0.442, 0.13);
    assert_true(importance.shares[2] * importance.explained < 0.03);
    assert_near(interaction_of(&importance, 0, 2), 0.244, 0.06);
    assert_true(importance.interactions[0].a == 0 && importance.interactions[0].b == 2);
    assay_importance_done(&importance);
    study_done(&study);
}

static double
by_choice(const double *point)
{
    static const double worth[3] = {0.0, 1.0, 3.0};

    return worth[(int)point[0]] + point[1];
}

/* Variance of the choice 14/9, of the number 1/12. */
static void
test_fanova_choice(void **state ASSAY_UNUSED)
{
    struct assay_importance importance;
    struct study study;

    study_init(&study,
               "[{'name':'c','type':'categorical','values':['p','q','r']},"
               "{'name':'x','type':'double','min':0,'max':1},"
               "{'name':'flag','type':'bool'}]",
               1, 0);
    add_random(&study, 1000, 12, by_choice);
    assay_fanova(&study.trials, false, &importance);
    assert_shares(&importance);
    assert_near(importance.shares[0], 14.0 / 9.0 / (14.0 / 9.0 + 1.0 / 12.0), 0.01);
    assert_true(importance.shares[2] < 0.002);
    assay_importance_done(&importance);
    study_done(&study);
}

/* --- what studies are like */

static double
constant(const double *point ASSAY_UNUSED)
{
    return 0.1;
}

static void
both(const struct study *study, struct assay_importance results[2])
{
    assay_ped_anova(&study->trials, &results[0]);
    assay_fanova(&study->trials, true, &results[1]);
}

static void
test_nothing_to_say(void **state ASSAY_UNUSED)
{
    struct assay_importance results[2];
    struct study study;

    for (size_t n = 0; n < ASSAY_ANALYSIS_TRIALS_MIN; n++) {
        study_init(&study, FOUR, 1, 0);
        add_random(&study, n, 1, additive);
        both(&study, results);
        for (int k = 0; k < 2; k++) {
            assert_non_null(strstr(results[k].message, "At least 10"));
            assert_true(results[k].shares[0] == 0.0);
            assay_importance_done(&results[k]);
        }
        study_done(&study);
    }
    study_init(&study, FOUR, 1, 0);
    add_random(&study, 100, 1, constant);
    both(&study, results);
    for (int k = 0; k < 2; k++) {
        assert_non_null(strstr(results[k].message, "equally good"));
        assay_importance_done(&results[k]);
    }
    study_done(&study);

    study_init(&study, "[{'name':'x','type':'int','min':3,'max':3}]", 1, 0);
    add_random(&study, 50, 1, additive);
    for (int i = 0; i < 20; i++)
        assay_analysis_trials_add(&study.trials, (double[]){3.0}, (double[]){i}, true);
    both(&study, results);
    for (int k = 0; k < 2; k++) {
        assert_string_not_equal(results[k].message, "");
        assay_importance_done(&results[k]);
    }
    study_done(&study);

    study_init(&study, FOUR, 1, 0);
    for (int i = 0; i < 40; i++) {
        const double point[4] = {0.5, 0.5, i, 0};

        assay_analysis_trials_add(&study.trials, point, (double[]){NAN}, false);
    }
    both(&study, results);
    assert_non_null(strstr(results[0].message, "feasible"));
    assert_non_null(strstr(results[1].message, "finite"));
    assay_importance_done(&results[0]);
    assay_importance_done(&results[1]);
    study_done(&study);
}

static double
wild(const double *point)
{
    return point[2] > 50.0 ? INFINITY : point[0] * 1e300 * (point[3] < 0 ? -1.0 : 1.0);
}

static void
test_wild_values(void **state ASSAY_UNUSED)
{
    struct assay_importance results[2];
    struct study study;

    study_init(&study, FOUR, 1, 0);
    add_random(&study, 400, 5, wild);
    assay_analysis_trials_add(&study.trials, (double[]){0, 1, 0, 0}, (double[]){NAN}, true);
    assert_int_equal(study.trials.n, 400); /* NaN tells nothing */
    both(&study, results);
    for (int k = 0; k < 2; k++) {
        assert_shares(&results[k]);
        assert_true(results[k].shares[3] > 0.2);
        assay_importance_done(&results[k]);
    }
    study_done(&study);
}

/* Far more choices than a set of the forest holds. */
static void
test_many_choices(void **state ASSAY_UNUSED)
{
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_random random = test_random(6);
    struct assay_importance results[2];
    struct study study;

    assay_buffer_puts(&text, "[{'name':'c','type':'categorical','values':[0");
    for (int i = 1; i < 2000; i++)
        assay_buffer_printf(&text, ",%d", i);
    assay_buffer_puts(&text, "]},{'name':'x','type':'double','min':0,'max':1}]");
    study_init(&study, text.data, 1, 0);
    for (int i = 0; i < 500; i++) {
        double point[2] = {(double)assay_random_below(&random, 2000), assay_random_unit(&random)};
        double value = point[1];

        assay_analysis_trials_add(&study.trials, point, &value, true);
    }
    both(&study, results);
    assert_shares(&results[0]);
    assert_shares(&results[1]);
    assert_true(results[1].shares[1] > 0.9);
    assay_importance_done(&results[0]);
    assay_importance_done(&results[1]);
    study_done(&study);
}

/* A set has a bound; what does not fit is a fair sample, always the same. */
static void
test_bounds(void **state ASSAY_UNUSED)
{
    struct assay_importance first, again;
    struct study study;

    for (int round = 0; round < 2; round++) {
        study_init(&study, FOUR, 1, 300);
        add_random(&study, 5000, 8, additive);
        assert_int_equal(study.trials.n, 300);
        assert_int_equal(study.trials.n_seen, 5000);
        assay_ped_anova(&study.trials, round == 0 ? &first : &again);
        study_done(&study);
    }
    assert_string_equal(first.message, "From a sample of 300 of the 5000 ended trials.");
    assert_memory_equal(first.shares, again.shares, 4 * sizeof(double));
    assert_true(first.shares[0] > first.shares[2]);
    assay_importance_done(&first);
    assay_importance_done(&again);

    study_init(&study, FOUR, 1, 0);
    add_random(&study, 3000, 8, additive);
    assay_fanova(&study.trials, false, &first);
    assay_fanova(&study.trials, false, &again);
    assert_string_equal(first.message, "From a sample of 1000 of the 3000 ended trials.");
    assert_memory_equal(first.shares, again.shares, 4 * sizeof(double));
    assay_importance_done(&first);
    assay_importance_done(&again);
    study_done(&study);
}

/* --- what it costs: 20 mixed parameters */

static double
mixed(const double *point)
{
    return point[0] + point[5] * point[6] + 0.1 * point[12];
}

static void
test_cost(void **state ASSAY_UNUSED)
{
    static const char *const shapes[4] = {
        "'double','min':0,'max':1",
        "'double','min':0.001,'max':1,'scale':'log'",
        "'int','min':1,'max':64",
        "'categorical','values':['a','b','c','d']",
    };
    static const size_t sizes[3] = {1000, 10000, 100000};
    assay_auto_buffer struct assay_buffer text = {0};

    for (int i = 0; i < 20; i++)
        assay_buffer_printf(&text, "%s{'name':'p%d','type':%s}", i > 0 ? "," : "[", i,
                            shapes[i % 4]);
    assay_buffer_puts(&text, "]");
    for (size_t k = 0; k < ASSAY_COUNT(sizes); k++) {
        struct assay_importance importance;
        struct study study;
        int64_t begin;

        study_init(&study, text.data, 1, 0);
        add_random(&study, sizes[k], 2, mixed);
        begin = assay_monotonic_us();
        assay_ped_anova(&study.trials, &importance);
        print_message("# ped_anova, %zu trials of 20 parameters: %.2f ms\n", sizes[k],
                      (double)(assay_monotonic_us() - begin) / 1e3);
        assay_importance_done(&importance);
        if (k == 0) {
            for (int pairs = 0; pairs < 2; pairs++) {
                begin = assay_monotonic_us();
                assay_fanova(&study.trials, pairs != 0, &importance);
                print_message("# fanova%s, 1000 trials of 20 parameters: %.0f ms\n",
                              pairs != 0 ? " with 190 pairs" : "",
                              (double)(assay_monotonic_us() - begin) / 1e3);
                assay_importance_done(&importance);
            }
        }
        study_done(&study);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_density),         cmocka_unit_test(test_choice_density),
        cmocka_unit_test(test_steps),           cmocka_unit_test(test_ped_order),
        cmocka_unit_test(test_conditional),     cmocka_unit_test(test_ped_objectives),
        cmocka_unit_test(test_ped_constraints), cmocka_unit_test(test_marginals),
        cmocka_unit_test(test_fanova_additive), cmocka_unit_test(test_fanova_ishigami),
        cmocka_unit_test(test_fanova_choice),   cmocka_unit_test(test_nothing_to_say),
        cmocka_unit_test(test_wild_values),     cmocka_unit_test(test_many_choices),
        cmocka_unit_test(test_bounds),          cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
