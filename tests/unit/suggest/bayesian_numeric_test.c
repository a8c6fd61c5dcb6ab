/* The mathematics of the algorithm `bayesian`, piece by piece. */
#include "tests/unit/suggest/support.h"

#include "suggest/algorithms/bayesian/acquisition.h"
#include "suggest/algorithms/bayesian/fit.h"
#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/algorithms/bayesian/lbfgs.h"
#include "suggest/algorithms/bayesian/minimum.h"
#include "suggest/host.h"
#include "suggest/algorithms/bayesian/likelihood.h"
#include "suggest/algorithms/bayesian/posterior.h"
#include "suggest/algorithms/bayesian/warp.h"
#include "suggest/view.h"

static const char mixed_space[] =
    "[{'name':'lr','type':'double','min':1e-5,'max':1,'scale':'log'},"
    "{'name':'x','type':'double','min':-3,'max':5},"
    "{'name':'units','type':'int','min':1,'max':300,'scale':'log'},"
    "{'name':'drop','type':'double','min':0,'max':0.6,'step':0.1},"
    "{'name':'batch','type':'discrete','values':[16,32,64,128]},"
    "{'name':'opt','type':'categorical','values':['sgd','adam','rms']},"
    "{'name':'momentum','type':'double','min':0,'max':0.99,'when':{'opt':['sgd','rms']}},"
    "{'name':'nesterov','type':'bool','when':{'opt':['sgd']}},"
    "{'name':'damp','type':'categorical','values':['a','b','c','d'],'when':{'nesterov':[true]}},"
    "{'name':'near','type':'double','min':0.1,'max':0.999,'scale':'reverse_log',"
    "'when':{'x':{'min':0,'max':2}}}]";

/* A space with rows of random points. */
struct bed {
    struct assay_space *space;
    struct assay_view *view;
    struct assay_transform transform;
    struct assay_gp_features features;
    size_t n;
    double *units, *points, *rows, *z;
};

static void
bed_init(struct bed *bed, const char *parameters, size_t n, uint64_t seed)
{
    struct assay_random random = test_random(seed);
    size_t d, p;

    assay_gp_prepare();
    *bed = (struct bed){.n = n};
    bed->space = space_of(parameters);
    bed->view = assay_view_new(bed->space);
    assay_transform_init(&bed->transform, assay_view_space(bed->view));
    assay_gp_features_init(&bed->features, &bed->transform);
    d = bed->transform.n_dimensions;
    p = bed->space->n_parameters;
    bed->units = assay_alloc(n * d + 1, sizeof(double));
    bed->points = assay_alloc(n * p + 1, sizeof(double));
    bed->rows = assay_alloc(n * bed->features.n_columns + 1, sizeof(double));
    bed->z = assay_alloc(n + 1, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < d; k++)
            bed->units[i * d + k] = assay_random_unit(&random);
        assay_transform_decode(&bed->transform, &bed->units[i * d], &bed->points[i * p]);
        assay_gp_features_of_point(&bed->features, &bed->points[i * p],
                                   &bed->rows[i * bed->features.n_columns]);
        bed->z[i] = sin(7.0 * bed->units[i * d]) + bed->units[i * d + d - 1] +
                    0.1 * assay_random_normal(&random);
    }
}

static void
bed_done(struct bed *bed)
{
    free(bed->units);
    free(bed->points);
    free(bed->rows);
    free(bed->z);
    assay_gp_features_done(&bed->features);
    assay_transform_done(&bed->transform);
    assay_view_free(bed->view);
    assay_space_free(bed->space);
}

static double *
random_theta(const struct assay_gp_features *features, struct assay_random *random)
{
    double *theta = assay_alloc(features->n_groups + 2, sizeof *theta);

    for (size_t k = 0; k < features->n_groups; k++)
        theta[k] = 3.0 * assay_random_normal(random);
    theta[features->n_groups] = 0.5 * assay_random_normal(random);
    theta[features->n_groups + 1] = -3.0 + assay_random_normal(random);
    return theta;
}

/* --- features --- */

static void
test_features_of_units_are_those_of_points(void **state ASSAY_UNUSED)
{
    struct bed bed;
    assay_auto_free double *point = NULL, *row = NULL;
    size_t d;

    bed_init(&bed, mixed_space, 500, 1);
    d = bed.transform.n_dimensions;
    point = assay_alloc(bed.space->n_parameters, sizeof *point);
    row = assay_alloc(bed.features.n_columns, sizeof *row);
    for (size_t i = 0; i < bed.n; i++) {
        assay_gp_features_of_unit(&bed.features, &bed.units[i * d], point, row);
        for (size_t c = 0; c < bed.features.n_columns; c++)
            assert_near(row[c], bed.rows[i * bed.features.n_columns + c], 1e-9);
        for (size_t p = 0; p < bed.space->n_parameters; p++)
            assert_int_equal(isnan(point[p]), isnan(bed.points[i * bed.space->n_parameters + p]));
    }
    /* 6 of 10 always active, momentum 2/3, nesterov 1/3, damp 1/6, near 1/4. */
    assert_near(bed.features.typical, 6.0 + 2.0 / 3 + 1.0 / 3 + 1.0 / 6 + 0.25, 0.5);
    assert_int_equal(bed.features.n_sets, 4);
    bed_done(&bed);
}

static void
test_choices_are_at_hamming_distance(void **state ASSAY_UNUSED)
{
    struct bed bed;
    double a[16], b[16], theta[4] = {0.0, 0.0};

    bed_init(&bed,
             "[{'name':'a','type':'categorical','values':['p','q','r','s','t']},"
             "{'name':'b','type':'bool'}]",
             1, 1);
    for (double v = 0.0; v < 5.0; v++) {
        for (double w = 0.0; w < 5.0; w++) {
            double square = 0.0;

            assay_gp_features_of_point(&bed.features, (double[]){v, 0.0}, a);
            assay_gp_features_of_point(&bed.features, (double[]){w, 1.0}, b);
            assay_gp_scale(&bed.features, theta, a, 1, a);
            for (size_t c = 0; c < bed.features.n_columns; c++)
                square += (a[c] - b[c]) * (a[c] - b[c]);
            assert_near(square, (1.0 + (v != w)) / 3.0, 1e-12);
        }
    }
    bed_done(&bed);
}

/* Beyond 64 choices about that distance, from any to any. */
static void
test_very_many_choices(void **state ASSAY_UNUSED)
{
    json_t *values = json_array(), *parameters;
    assay_auto_free char *text = NULL;
    struct bed bed;
    double sum = 0.0;

    for (json_int_t v = 0; v < 3000; v++)
        json_array_append_new(values, json_integer(v));
    parameters = json_pack("[{s:s,s:s,s:o}]", "name", "a", "type", "categorical", "values", values);
    text = json_dumps(parameters, 0);
    bed_init(&bed, text, 300, 3);
    assert_int_equal(bed.features.n_columns, 64);
    for (size_t i = 0; i + 1 < bed.n; i++) {
        const double *a = &bed.rows[64 * i], *b = a + 64;
        double square = 0.0;

        for (size_t c = 0; c < 64; c++)
            square += (a[c] - b[c]) * (a[c] - b[c]);
        assert_int_equal(square == 0.0, bed.points[i] == bed.points[i + 1]);
        sum += square;
    }
    assert_near(sum / 299.0, 1.0 / 3.0, 0.01);
    json_decref(parameters);
    bed_done(&bed);
}

/* --- kernel --- */

static void
test_kernel_is_positive_definite(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct assay_random random = test_random(seed);
        struct assay_gp_factor factor = {0};
        assay_auto_free double *theta = NULL, *scaled = NULL, *norms = NULL;
        struct bed bed;
        size_t n = 120;

        bed_init(&bed, mixed_space, n, seed);
        theta = random_theta(&bed.features, &random);
        scaled = assay_alloc(n * bed.features.n_columns, sizeof *scaled);
        norms = assay_alloc(2 * n, sizeof *norms);
        assay_gp_scale(&bed.features, theta, bed.rows, n, scaled);
        assay_gp_factor_reserve(&factor, n);
        assay_gp_squares(scaled, n, scaled, n, bed.features.n_columns, norms, norms + n,
                         factor.upper, factor.ld);
        for (size_t j = 0; j < n; j++) {
            assay_gp_matern(&factor.upper[j * factor.ld], n, NULL);
            assert_near(factor.upper[j + j * factor.ld], 1.0, 1e-6);
            for (size_t i = 0; i < j; i++) {
                double one = assay_gp_correlation(&scaled[i * bed.features.n_columns],
                                                  &scaled[j * bed.features.n_columns],
                                                  bed.features.n_columns);

                assert_near(factor.upper[i + j * factor.ld], one, 1e-9);
            }
            factor.upper[j + j * factor.ld] = 1.0 + 1e-9; /* rounding only */
        }
        assert_true(assay_gp_factor_make(&factor, n));
        assay_gp_factor_done(&factor);
        bed_done(&bed);
    }
}

static void
test_matern_and_its_slope(void **state ASSAY_UNUSED)
{
    double at_zero = 0.0, slope;

    assay_gp_matern(&at_zero, 1, &slope);
    assert_near(at_zero, 1.0, 0.0);
    assert_near(slope, -5.0 / 6.0, 1e-15);
    for (double square = 1e-4; square < 30.0; square *= 1.7) {
        double h = 1e-5 * square, low = square - h, high = square + h, middle = square;

        assay_gp_matern(&low, 1, NULL);
        assay_gp_matern(&high, 1, NULL);
        assay_gp_matern(&middle, 1, &slope);
        assert_near(slope, (high - low) / (2.0 * h), 1e-6 * fabs(slope) + 1e-10);
    }
}

/* --- factor --- */

static void
test_append_equals_refactoring(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(3);
    struct assay_gp_posterior whole, grown, again;
    assay_auto_free double *theta = NULL;
    struct bed bed;

    bed_init(&bed, mixed_space, 150, 2);
    theta = random_theta(&bed.features, &random);
    assay_gp_posterior_init(&whole, &bed.features);
    assay_gp_posterior_init(&grown, &bed.features);
    assay_gp_posterior_init(&again, &bed.features);
    assay_gp_posterior_make(&whole, theta, bed.rows, 150, 150);
    assay_gp_posterior_make(&grown, theta, bed.rows, 60, 150);
    assay_gp_posterior_make(&again, theta, bed.rows, 60, 400);
    for (size_t i = 60; i < 150; i++) {
        const double *row = &bed.rows[i * bed.features.n_columns];

        assay_gp_posterior_append(&grown, row);
        assay_gp_posterior_append(&again, row);
        if (i % 7 == 0) { /* there and back */
            assay_gp_posterior_append(&again, bed.rows);
            assay_gp_posterior_truncate(&again, i + 1);
        }
    }
    for (size_t j = 0; j < 150; j++) {
        for (size_t i = 0; i <= j; i++) {
            double a = grown.factor.upper[i + j * grown.factor.ld];

            assert_near(whole.factor.upper[i + j * whole.factor.ld], a, 1e-9);
            /* To the bit, whatever the room and the way there. */
            assert_true(again.factor.upper[i + j * again.factor.ld] == a);
        }
    }
    assay_gp_posterior_done(&whole);
    assay_gp_posterior_done(&grown);
    assay_gp_posterior_done(&again);
    bed_done(&bed);
}

/* --- likelihood --- */

static void
test_likelihood_gradient(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct assay_random random = test_random(seed);
        struct assay_gp_likelihood likelihood;
        assay_auto_free double *theta = NULL, *gradient = NULL;
        struct bed bed;

        bed_init(&bed, mixed_space, 40, seed);
        theta = random_theta(&bed.features, &random);
        assay_gp_likelihood_init(&likelihood, &bed.features, bed.n);
        likelihood.rows = bed.rows;
        likelihood.z = bed.z;
        likelihood.n = bed.n;
        gradient = assay_alloc(likelihood.n_theta, sizeof *gradient);
        assert_true(isfinite(assay_gp_likelihood_at(&likelihood, theta, gradient)));
        for (size_t k = 0; k < likelihood.n_theta; k++) {
            double h = 1e-5, middle = theta[k], low, high;

            theta[k] = middle - h;
            low = assay_gp_likelihood_at(&likelihood, theta, NULL);
            theta[k] = middle + h;
            high = assay_gp_likelihood_at(&likelihood, theta, NULL);
            theta[k] = middle;
            assert_near(gradient[k], (high - low) / (2.0 * h), 1e-5 * (1.0 + fabs(gradient[k])));
        }
        assay_gp_likelihood_done(&likelihood);
        bed_done(&bed);
    }
}

/* Against leaving each out in earnest, with the mean that all have. */
static void
test_leave_one_out(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(8);
    struct assay_gp_likelihood likelihood;
    struct assay_gp_posterior all, rest;
    assay_auto_free double *theta = NULL, *densities = NULL, *rows = NULL, *shares = NULL;
    struct bed bed;
    double means[25], sum = 0.0;

    bed_init(&bed, mixed_space, 25, 4);
    theta = random_theta(&bed.features, &random);
    densities = assay_alloc(bed.n, sizeof *densities);
    shares = assay_alloc(bed.n, sizeof *shares);
    rows = assay_alloc(bed.n * bed.features.n_columns, sizeof *rows);
    assay_gp_likelihood_init(&likelihood, &bed.features, bed.n);
    likelihood.rows = bed.rows;
    likelihood.z = bed.z;
    likelihood.n = bed.n;
    assert_true(assay_gp_likelihood_leave_one_out(&likelihood, theta, densities));
    assay_gp_posterior_init(&all, &bed.features);
    assay_gp_posterior_init(&rest, &bed.features);
    assay_gp_posterior_make(&all, theta, bed.rows, bed.n, bed.n);
    assay_gp_posterior_learn(&all, bed.z, bed.n, NULL, 0, means);
    for (size_t out = 0; out < bed.n; out++) {
        size_t columns = bed.features.n_columns, bytes = columns * sizeof(double);
        double z[25], ones[25], alpha[25], mean = all.mean, variance = all.signal + all.noise;
        struct assay_gp_posterior *gp = &rest;

        memcpy(rows, bed.rows, out * bytes);
        memcpy(rows + out * columns, bed.rows + (out + 1) * columns, (bed.n - 1 - out) * bytes);
        for (size_t i = 0; i + 1 < bed.n; i++)
            z[i] = bed.z[i < out ? i : i + 1] - all.mean;
        assay_gp_posterior_make(gp, theta, rows, bed.n - 1, bed.n);
        for (size_t i = 0; i + 1 < bed.n; i++)
            ones[i] = gp->signal * assay_gp_correlation(&gp->scaled[i * columns],
                                                        &all.scaled[out * columns], columns);
        memcpy(alpha, z, sizeof alpha);
        assay_gp_factor_forward(&gp->factor, alpha, 1);
        assay_gp_factor_forward(&gp->factor, ones, 1);
        for (size_t i = 0; i + 1 < bed.n; i++) {
            mean += ones[i] * alpha[i];
            variance -= ones[i] * ones[i];
        }
        assert_near(densities[out],
                    -0.5 * log(2.0 * M_PI * variance) -
                        0.5 * (bed.z[out] - mean) * (bed.z[out] - mean) / variance,
                    1e-8);
    }
    assay_gp_likelihood_shares(&likelihood, shares);
    for (size_t i = 0; i < bed.n; i++) {
        assert_true(shares[i] > 0.0);
        sum += shares[i];
    }
    assert_near(sum, 1.0, 1e-12);
    assay_gp_posterior_done(&all);
    assay_gp_posterior_done(&rest);
    assay_gp_likelihood_done(&likelihood);
    bed_done(&bed);
}

/* --- acquisition --- */

/* From 2,000 digits of phi(u) + u Phi(u). */
static void
test_log_ei_against_reference(void **state ASSAY_UNUSED)
{
    static const double known[][2] = {
        {5.0, 1.6094379231264313851},      {1.0, 0.080026218849306940029},
        {0.0, -0.91893853320467274178},    {-0.5, -1.6205162643873199193},
        {-1.0, -2.4851210257126413368},    {-3.0, -7.8696860596030285171},
        {-5.0, -16.744301162660990143},    {-10.0, -55.553122036122355927},
        {-20.0, -206.91783850942509785},   {-24.9, -317.35848574266737912},
        {-25.0, -319.86146358149595433},   {-25.1, -322.37440987246403072},
        {-30.0, -457.72465376059800405},   {-60.0, -1809.1084601822721794},
        {-1000.0, -500014.73445209115845},
    };

    for (size_t i = 0; i < ASSAY_COUNT(known); i++)
        assert_near(assay_gp_log_h(known[i][0]), known[i][1], 2e-12 * fmax(1.0, fabs(known[i][1])));
    assert_true(isfinite(assay_gp_log_h(-1e7)));
    for (double u = -40.0; u < 10.0; u += 0.01)
        assert_true(assay_gp_log_h(u) < assay_gp_log_h(u + 0.01));
}

static void
test_log_cdf(void **state ASSAY_UNUSED)
{
    static const double known[][2] = {
        {40.0, 0.0},
        {6.0, -9.8658764552437573e-10},
        {0.0, -0.69314718055994530942},
        {-1.0, -1.8410216450092636},
        {-5.0, -15.064998393988725},
        {-10.0, -53.231285150512470578},
        {-37.0, -689.0305855768905936},
        {-100.0, -5005.5242086942050},
    };
    double slope, unused;

    for (size_t i = 0; i < ASSAY_COUNT(known); i++)
        assert_near(assay_gp_log_cdf(known[i][0], &slope), known[i][1],
                    1e-12 * fmax(1e-2, fabs(known[i][1])));
    for (double u = -60.0; u < 12.0; u += 0.37) {
        double low = assay_gp_log_cdf(u - 1e-5, &unused),
               high = assay_gp_log_cdf(u + 1e-5, &unused);

        (void)assay_gp_log_cdf(u, &slope);
        assert_near(slope, (high - low) / 2e-5, 1e-6 * (1.0 + fabs(slope)));
    }
    assert_true(isfinite(assay_gp_log_cdf(-1e6, &slope)) && isfinite(slope));
    assert_near(assay_gp_log_cdf(1e300, &slope), 0.0, 0.0);
}

static void
test_acquisition_slopes(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(5);

    for (int round = 0; round < 200; round++) {
        struct assay_gp_acquisition acquisition = {
            .rule = (enum assay_gp_rule)(round % 3),
            .n_means = round % 3 == 0 ? 8 : 1,
        };
        double means[8], by_means[8], sd = exp(assay_random_normal(&random) - 2.0), by_sd, h = 1e-6;

        for (size_t s = 0; s < 8; s++) {
            means[s] = assay_random_normal(&random);
            acquisition.thresholds[s] = -2.0 + assay_random_normal(&random);
        }
        (void)assay_gp_acquisition_at(&acquisition, means, sd, by_means, &by_sd);
        for (size_t s = 0; s <= acquisition.n_means; s++) {
            double *at = s < acquisition.n_means ? &means[s] : &sd, middle = *at, low, high;
            double slope = s < acquisition.n_means ? by_means[s] : by_sd;

            *at = middle - h * sd;
            low = assay_gp_acquisition_at(&acquisition, means, sd, NULL, NULL);
            *at = middle + h * (s < acquisition.n_means ? sd : middle);
            if (s == acquisition.n_means) {
                sd = middle;
                *at = middle * (1.0 - h);
                low = assay_gp_acquisition_at(&acquisition, means, sd, NULL, NULL);
                *at = middle * (1.0 + h);
            }
            high = assay_gp_acquisition_at(&acquisition, means, sd, NULL, NULL);
            *at = middle;
            assert_near(slope, (high - low) / (2.0 * h * sd), 1e-4 * (1.0 + fabs(slope)));
        }
    }
}

/* The means averaged. */
static void
predict_one(struct assay_gp_posterior *posterior, const double *scaled, double *ret_mean,
            double *ret_sd)
{
    struct assay_gp_moments moments;

    assay_gp_posterior_predict(posterior, scaled, 1, ASSAY_GP_MOMENTS, &moments);
    *ret_mean = 0.0;
    for (size_t s = 0; s < moments.n_means; s++)
        *ret_mean += moments.means[s] / (double)moments.n_means;
    *ret_sd = moments.sds[0];
}

/* The mean of the fantasies is the mean without them, and they narrow the deviation. */
static void
test_fantasies(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(7);
    double draws[2 * 16], means[16 * 41], mean, sd, drawn, narrowed;
    struct assay_gp_posterior posterior;
    assay_auto_free double *theta = NULL, *scaled = NULL;
    struct bed bed;
    size_t columns;

    bed_init(&bed, mixed_space, 41, 10);
    columns = bed.features.n_columns;
    theta = random_theta(&bed.features, &random);
    scaled = assay_alloc(columns, sizeof *scaled);
    assay_gp_posterior_init(&posterior, &bed.features);
    for (size_t i = 0; i < ASSAY_COUNT(draws); i += 2) {
        draws[i] = assay_random_normal(&random);
        draws[i + 1] = -draws[i];
    }
    assay_gp_posterior_make(&posterior, theta, bed.rows, 39, 64);
    assay_gp_posterior_learn(&posterior, bed.z, 39, NULL, 0, means);
    assay_gp_scale(&bed.features, theta, &bed.rows[40 * columns], 1, scaled);
    predict_one(&posterior, scaled, &mean, &sd);
    assay_gp_posterior_append(&posterior, &bed.rows[39 * columns]);
    assay_gp_posterior_learn(&posterior, bed.z, 39, draws, 16, means);
    predict_one(&posterior, scaled, &drawn, &narrowed);
    assert_near(drawn, mean, 1e-9);
    assert_true(narrowed <= sd + 1e-9);
    /* At the pending point itself hardly any doubt is left. */
    assay_gp_scale(&bed.features, theta, &bed.rows[39 * columns], 1, scaled);
    predict_one(&posterior, scaled, &drawn, &narrowed);
    assert_true(narrowed * narrowed <= posterior.noise);
    assay_gp_posterior_done(&posterior);
    bed_done(&bed);
}

/* --- warp --- */

static void
test_warp_is_monotone_and_invertible(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(11);
    double y[50];

    for (size_t i = 0; i < 50; i++)
        y[i] = 3.0 + exp(2.0 * assay_random_normal(&random));
    for (size_t index = 0; index < ASSAY_GP_WARPS; index++) {
        struct assay_gp_warp warp;
        double before = -INFINITY, sum = 0.0, squares = 0.0;

        assay_gp_warp_init(&warp, ASSAY_GP_OBJECTIVE, index,
                           assay_gp_warp_middle(ASSAY_GP_OBJECTIVE, y, 50), y, 50);
        for (size_t i = 0; i < 50; i++) {
            double z = assay_gp_warp_apply(&warp, y[i]);

            sum += z;
            squares += z * z;
        }
        assert_near(sum, 0.0, 1e-9);
        assert_near(squares, 50.0, 1e-6);
        for (double v = -5.0; v < 500.0; v += 0.3) {
            double z = assay_gp_warp_apply(&warp, v), h = 1e-6 * (1.0 + fabs(v));
            double slope =
                (assay_gp_warp_apply(&warp, v + h) - assay_gp_warp_apply(&warp, v - h)) / (2.0 * h);

            assert_true(z > before);
            before = z;
            assert_near(assay_gp_warp_invert(&warp, z), v, 1e-9 * (1.0 + fabs(v)));
            if (fabs(v - warp.best) > 0.01)
                assert_near(assay_gp_warp_log_slope(&warp, v), log(slope), 1e-4);
        }
    }
}

/* Of bounds: the zero stays, both sides bend alike. */
static void
test_warp_of_bounds(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(12);
    double y[40];

    for (size_t i = 0; i < 40; i++)
        y[i] = -1.0 + 3.0 * assay_random_normal(&random);
    for (size_t index = 0; index < assay_gp_warp_count(ASSAY_GP_BOUND); index++) {
        struct assay_gp_warp warp;
        double zero;

        assay_gp_warp_init(&warp, ASSAY_GP_BOUND, index,
                           assay_gp_warp_middle(ASSAY_GP_BOUND, y, 40), y, 40);
        zero = assay_gp_warp_apply(&warp, 0.0);
        for (double v = 0.05; v < 200.0; v *= 1.3) {
            double up = assay_gp_warp_apply(&warp, v), down = assay_gp_warp_apply(&warp, -v);
            double h = 1e-6 * v,
                   slope = (assay_gp_warp_apply(&warp, v + h) - assay_gp_warp_apply(&warp, v - h)) /
                           (2.0 * h);

            assert_true(down < zero && zero < up);
            assert_near(up - zero, zero - down, 1e-9 * (1.0 + fabs(up)));
            assert_near(assay_gp_warp_invert(&warp, up), v, 1e-9 * (1.0 + v));
            assert_near(assay_gp_warp_invert(&warp, down), -v, 1e-9 * (1.0 + v));
            assert_near(assay_gp_warp_log_slope(&warp, v), log(slope), 1e-4);
            assert_near(assay_gp_warp_log_slope(&warp, -v), log(slope), 1e-4);
        }
    }
}

static void
test_warp_takes_anything_finite(void **state ASSAY_UNUSED)
{
    static const double hostile[][4] = {
        {1.0, 1.0, 1.0, 1.0},     {-1.7e308, 1.7e308, 0.0, 1.0}, {0.0, 1e-300, 5e-324, 0.0},
        {1.0, 1.0, 1.0, 1.7e308}, {-1e-310, 1e-310, 0.0, 1e300}, {1e300, 2e300, 3e300, 4e300},
    };

    for (size_t k = 0; k < ASSAY_COUNT(hostile); k++) {
        for (size_t index = 0; index < 2 * ASSAY_GP_WARPS; index++) {
            enum assay_gp_values kind = index % 2 == 0 ? ASSAY_GP_OBJECTIVE : ASSAY_GP_BOUND;
            struct assay_gp_warp warp;

            if (index / 2 >= assay_gp_warp_count(kind))
                continue;
            assay_gp_warp_init(&warp, kind, index / 2, assay_gp_warp_middle(kind, hostile[k], 4),
                               hostile[k], 4);
            for (size_t i = 0; i < 4; i++) {
                assert_true(isfinite(assay_gp_warp_apply(&warp, hostile[k][i])));
                assert_true(fabs(assay_gp_warp_apply(&warp, hostile[k][i])) < 1e9);
            }
        }
    }
}

/* --- minimiser --- */

static double
rosenbrock(const double *x, size_t n, double *ret_gradient)
{
    double value = 0.0;

    for (size_t i = 0; i < n; i++)
        ret_gradient[i] = 0.0;
    for (size_t i = 0; i + 1 < n; i++) {
        double a = x[i + 1] - x[i] * x[i], b = 1.0 - x[i];

        value += 100.0 * a * a + b * b;
        ret_gradient[i] += -400.0 * a * x[i] - 2.0 * b;
        ret_gradient[i + 1] += 200.0 * a;
    }
    return value;
}

static void
test_lbfgs(void **state ASSAY_UNUSED)
{
    static const double low[] = {-2, -2, -2, -2, -2}, high[] = {2, 2, 2, 2, 2},
                        tight[] = {0.5, 2, 2, 2, 2}, from[] = {-1.2, 1, -1, 1.5, -9};
    static const struct assay_lbfgs_limits limits = {1e-6, 0.0, 0.5, 500};

    for (int bounded = 0; bounded < 2; bounded++) {
        struct assay_lbfgs search;
        double gradient[5], value = 0.0;

        assay_lbfgs_init(&search, 5, from, low, bounded ? tight : high, &limits);
        while (!search.done) {
            for (size_t i = 0; i < 5; i++)
                assert_true(search.trial[i] >= -2.0 &&
                            search.trial[i] <= (bounded && i == 0 ? 0.5 : 2.0));
            value = rosenbrock(search.trial, 5, gradient);
            assay_lbfgs_tell(&search, value, gradient);
            assert_true(search.value <= value);
        }
        if (bounded) {
            assert_near(search.x[0], 0.5, 0.0);
            assert_near(search.x[1], 0.25, 0.02);
        } else {
            assert_near(search.value, 0.0, 1e-8);
        }
        assay_lbfgs_done(&search);
    }
}

struct bowl {
    double wall; /* the function is nowhere beyond it in the first coordinate */
    unsigned evaluated;
};

static double
walled_rosenbrock(void *context, const double *x, double *ret_gradient)
{
    struct bowl *bowl = context;
    double value = rosenbrock(x, 5, ret_gradient);

    bowl->evaluated++;
    for (size_t i = 0; i < 5; i++)
        assert_true(x[i] >= -2.0 && x[i] <= 2.0);
    return x[0] > bowl->wall ? NAN : value;
}

/* By NLopt: within bounds, round what is not finite, the best that was seen, the same each
 * time, and given up when the host says so. */
static void
test_minimum(void **state ASSAY_UNUSED)
{
    static const double low[] = {-2, -2, -2, -2, -2}, high[] = {2, 2, 2, 2, 2},
                        tight[] = {0.5, 2, 2, 2, 2}, from[] = {-1.2, 1, -1, 1.5, -2};
    static const struct assay_gp_limits limits = {1e-12, 2000};
    struct bowl bowl = {.wall = 1e9};
    double x[5], again[5], gradient[5];

    memcpy(x, from, sizeof x);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high, &limits, x));
    assert_near(rosenbrock(x, 5, gradient), 0.0, 1e-8);
    memcpy(again, from, sizeof again);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high, &limits, again));
    assert_memory_equal(x, again, sizeof x);

    memcpy(x, from, sizeof x);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, tight, &limits, x));
    assert_near(x[0], 0.5, 0.0);
    assert_near(x[1], 0.25, 0.02);

    bowl = (struct bowl){.wall = -0.5};
    memcpy(x, from, sizeof x);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high, &limits, x));
    assert_true(x[0] <= -0.5 && rosenbrock(x, 5, gradient) < rosenbrock(from, 5, gradient));
    bowl = (struct bowl){.wall = -3.0};
    memcpy(x, from, sizeof x);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high, &limits, x));
    assert_memory_equal(x, from, sizeof x);

    bowl = (struct bowl){.wall = 1e9};
    memcpy(x, from, sizeof x);
    assert_true(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high,
                                  &(struct assay_gp_limits){0.0, 7}, x));
    assert_true(bowl.evaluated <= 9);
    bowl.evaluated = 0;
    assay_host_set_stop(true);
    assert_false(assay_gp_minimise(walled_rosenbrock, &bowl, 5, low, high, &limits, x));
    assay_host_set_stop(false);
    assert_true(bowl.evaluated <= 2);
}

/* --- fit --- */

/* A function of one of two parameters: the other is found not to matter, and values
 * whose noise grows with them are warped. */
static void
test_fit_finds_what_matters(void **state ASSAY_UNUSED)
{
    double y[60], theta[4];
    struct assay_gp_fit fit = {.theta = theta}, plain = {.theta = theta};
    struct assay_gp_sample sample;
    struct assay_random random = test_random(13);
    struct bed bed;

    bed_init(&bed,
             "[{'name':'x','type':'double','min':0,'max':1},"
             "{'name':'y','type':'double','min':0,'max':1}]",
             60, 12);
    for (size_t i = 0; i < 60; i++) {
        y[i] = exp(3.0 * sin(9.0 * bed.rows[2 * i]) + 0.2 * assay_random_normal(&random));
    }
    sample = (struct assay_gp_sample){.features = &bed.features,
                                      .n = 60,
                                      .rows = bed.rows,
                                      .y = y,
                                      .middle = assay_gp_warp_middle(ASSAY_GP_OBJECTIVE, y, 60)};
    assert_true(assay_gp_fit_make(&sample, NULL, true, &fit));
    assert_true(fit.theta[0] - fit.theta[1] > 3.0);
    assert_true(fit.warp >= 3);
    for (size_t i = 0; i < 60; i++)
        y[i] = sin(6.0 * bed.rows[2 * i]) + 1e-3 * bed.z[i];
    sample.middle = assay_gp_warp_middle(ASSAY_GP_OBJECTIVE, y, 60);
    assert_true(assay_gp_fit_make(&sample, NULL, true, &plain));
    assert_true(plain.theta[0] - plain.theta[1] > 3.0);
    assert_true(plain.warp <= 1);
    bed_done(&bed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_of_units_are_those_of_points),
        cmocka_unit_test(test_choices_are_at_hamming_distance),
        cmocka_unit_test(test_very_many_choices),
        cmocka_unit_test(test_kernel_is_positive_definite),
        cmocka_unit_test(test_matern_and_its_slope),
        cmocka_unit_test(test_append_equals_refactoring),
        cmocka_unit_test(test_likelihood_gradient),
        cmocka_unit_test(test_leave_one_out),
        cmocka_unit_test(test_log_ei_against_reference),
        cmocka_unit_test(test_log_cdf),
        cmocka_unit_test(test_acquisition_slopes),
        cmocka_unit_test(test_fantasies),
        cmocka_unit_test(test_warp_is_monotone_and_invertible),
        cmocka_unit_test(test_warp_of_bounds),
        cmocka_unit_test(test_warp_takes_anything_finite),
        cmocka_unit_test(test_lbfgs),
        cmocka_unit_test(test_minimum),
        cmocka_unit_test(test_fit_finds_what_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
