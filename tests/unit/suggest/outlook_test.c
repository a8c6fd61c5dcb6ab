/* What parameters foretell: against the plainest algebra, and on what it must keep. */
#include "tests/unit/suggest/support.h"

#include <malloc.h>
#include <stdlib.h>

#include "suggest/algorithms/bayesian/kernel.h"
#include "suggest/rules/outlook.h"
#include "suggest/view.h"

struct study {
    struct assay_space *space;
    struct assay_view *view;
    struct assay_outlooks *outlooks;
};

static struct study
study_of(const char *parameters)
{
    struct study study = {.space = space_of(parameters)};

    study.view = assay_view_new(study.space);
    study.outlooks = assay_outlooks_new(assay_view_space(study.view));
    return study;
}

static void
drop(struct study *study)
{
    assay_outlooks_free(study->outlooks);
    assay_view_free(study->view);
    assay_space_free(study->space);
}

static const char two_numbers[] = "[{'name':'x','type':'double','min':0,'max':1},"
                                  "{'name':'y','type':'double','min':0.001,'max':1,'scale':'log'}]";

/* Its score stands in the trial itself. */
static void
given_score(void *context, const struct assay_outlook_trial *trial, double *ret_mean,
            double *ret_variance)
{
    *ret_mean = -trial->best;
    *ret_variance = context != NULL ? *(const double *)context : 0.0;
}

static void
add(struct study *study, int64_t number, const double *point, double score)
{
    const struct assay_outlook_trial trial = {.number = number, .last_step = 1, .best = -score};
    assay_auto_free double *row = assay_zalloc(1, assay_outlook_row_size(study->outlooks));

    assay_outlook_row(study->outlooks, point, row);
    assay_outlooks_add(study->outlooks, &trial, row);
}

static struct assay_outlook
at(struct study *study, const double *point)
{
    assay_auto_free double *row = assay_zalloc(1, assay_outlook_row_size(study->outlooks));

    assay_outlook_row(study->outlooks, point, row);
    return assay_outlook_at(study->outlooks, row);
}

/* A point and its score: x matters, y does not; some noise. */
static double
draw(struct assay_random *random, double point[2])
{
    point[0] = assay_random_unit(random);
    point[1] = pow(10.0, -3.0 * assay_random_unit(random));
    return 3.0 * (point[0] - 0.5) + 0.4 * (assay_random_unit(random) - 0.5);
}

/* In place, by Gauss and Jordan with pivots. */
static void
invert(double *a, size_t n, double *ret_inverse)
{
    for (size_t i = 0; i < n * n; i++)
        ret_inverse[i] = i % (n + 1) == 0 ? 1.0 : 0.0;
    for (size_t c = 0; c < n; c++) {
        size_t pivot = c;

        for (size_t i = c + 1; i < n; i++) {
            if (fabs(a[i * n + c]) > fabs(a[pivot * n + c]))
                pivot = i;
        }
        for (size_t j = 0; j < n; j++) {
            double one = a[c * n + j], other = ret_inverse[c * n + j];

            a[c * n + j] = a[pivot * n + j];
            a[pivot * n + j] = one;
            ret_inverse[c * n + j] = ret_inverse[pivot * n + j];
            ret_inverse[pivot * n + j] = other;
        }
        for (size_t i = 0; i < n; i++) {
            double factor = i == c ? 1.0 - 1.0 / a[c * n + c] : a[i * n + c] / a[c * n + c];

            for (size_t j = 0; j < n; j++) {
                a[i * n + j] -= factor * a[c * n + j];
                ret_inverse[i * n + j] -= factor * ret_inverse[c * n + j];
            }
        }
    }
}

struct reference {
    size_t n;
    double rows[64][2], z[64], weights[2], signal, noise, mean;
};

static double
kernel(const struct reference *r, const double *a, const double *b)
{
    double squares = r->weights[0] * pow(a[0] - b[0], 2) + r->weights[1] * pow(a[1] - b[1], 2);
    double root = sqrt(5.0 * squares);

    return r->signal * (1.0 + root + root * root / 3.0) * exp(-root);
}

/* By all but one (`left_out` >= n: by all), the mean as it is. */
static struct assay_outlook
conditional(const struct reference *r, const double *row, size_t left_out)
{
    double *a = calloc(r->n * r->n, sizeof *a), *inverse = calloc(r->n * r->n, sizeof *a);
    size_t used[64], n = 0;
    struct assay_outlook outlook = {r->mean, r->signal + r->noise};

    for (size_t i = 0; i < r->n; i++) {
        if (i != left_out)
            used[n++] = i;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            a[i * n + j] =
                kernel(r, r->rows[used[i]], r->rows[used[j]]) + (i == j ? r->noise : 0.0);
    }
    invert(a, n, inverse);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double k = kernel(r, row, r->rows[used[i]]) * inverse[i * n + j];

            outlook.mean += k * (r->z[used[j]] - r->mean);
            outlook.variance -= k * kernel(r, row, r->rows[used[j]]);
        }
    }
    free(a);
    free(inverse);
    return outlook;
}

/* The mean with a prior of variance 1/4. */
static double
mean_of(const struct reference *r)
{
    double *a = calloc(r->n * r->n, sizeof *a), *inverse = calloc(r->n * r->n, sizeof *a);
    double above = 0.0, below = 4.0;

    for (size_t i = 0; i < r->n; i++) {
        for (size_t j = 0; j < r->n; j++)
            a[i * r->n + j] = kernel(r, r->rows[i], r->rows[j]) + (i == j ? r->noise : 0.0);
    }
    invert(a, r->n, inverse);
    for (size_t i = 0; i < r->n; i++) {
        for (size_t j = 0; j < r->n; j++) {
            above += inverse[i * r->n + j] * r->z[j];
            below += inverse[i * r->n + j];
        }
    }
    free(a);
    free(inverse);
    return above / below;
}

static int
descending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x < *y) - (*x > *y);
}

static void
test_against_plain_algebra(void **state ASSAY_UNUSED)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct study study = study_of(two_numbers);
        struct reference r = {.n = 16 + 6 * seed};
        double surprises[64][2], points[64][2], surprise = 0.0;
        size_t top = (size_t)fmax(3.0, ceil(0.15 * (double)r.n));
        struct assay_random random;
        const double *theta;

        assay_random_init(&random, seed, 0, 0);
        for (size_t i = 0; i < r.n; i++) {
            r.z[i] = draw(&random, points[i]);
            add(&study, (int64_t)i + 1, points[i], r.z[i]);
            assay_outlook_row(study.outlooks, points[i], r.rows[i]);
        }
        assert_true(assay_outlooks_learn(study.outlooks, given_score, NULL));
        theta = assay_outlooks_theta(study.outlooks);
        r.weights[0] = exp(theta[0]);
        r.weights[1] = exp(theta[1]);
        r.signal = exp(theta[2]);
        r.noise = exp(theta[3]) + 1e-6;
        assert_true(r.noise > 0.149);
        r.mean = mean_of(&r);
        for (size_t i = 0; i < r.n; i++) {
            struct assay_outlook plain = conditional(&r, r.rows[i], i);

            surprises[i][0] = r.z[i];
            surprises[i][1] = pow(r.z[i] - plain.mean, 2) / plain.variance;
        }
        qsort(surprises, r.n, sizeof *surprises, descending);
        for (size_t k = 0; k < top; k++)
            surprise += surprises[k][1] / (double)top;
        surprise = fmax(0.6 * surprise, 1.0);
        for (size_t i = 0; i < r.n; i++) {
            struct assay_outlook plain = conditional(&r, r.rows[i], i);
            struct assay_outlook told =
                assay_outlook_without(study.outlooks, (int64_t)i + 1, r.rows[i]);

            assert_true(fabs(told.mean - plain.mean) < 1e-7);
            assert_true(fabs(told.variance / (surprise * plain.variance) - 1.0) < 1e-7);
        }
        for (int k = 0; k < 20; k++) {
            double point[2], row[2];
            struct assay_outlook plain, told;

            (void)draw(&random, point);
            assay_outlook_row(study.outlooks, point, row);
            plain = conditional(&r, row, r.n);
            told = at(&study, point);
            assert_true(fabs(told.mean - plain.mean) < 1e-7);
            assert_true(fabs(told.variance / (surprise * plain.variance) - 1.0) < 1e-7);
        }
        drop(&study);
    }
}

/* Scores that parameters explain are foretold; those they do not, are not. */
static void
test_what_can_be_foretold(void **state ASSAY_UNUSED)
{
    for (int sense = 0; sense < 2; sense++) {
        struct study study = study_of(two_numbers);
        struct assay_random random;
        double point[2] = {0.05, 0.1}, other[2] = {0.95, 0.1};

        assay_random_init(&random, 5, 0, 0);
        for (int64_t n = 1; n <= 60; n++) {
            double drawn[2], score = draw(&random, drawn);

            if (!sense)
                score = 3.4 * (assay_random_unit(&random) - 0.5);
            add(&study, n, drawn, score);
            if (n < ASSAY_OUTLOOK_TRIALS_MIN)
                assert_false(assay_outlooks_learn(study.outlooks, given_score, NULL));
        }
        assert_true(assay_outlooks_learn(study.outlooks, given_score, NULL));
        if (sense) {
            assert_true(at(&study, point).mean < -0.9 && at(&study, other).mean > 0.9);
            assert_true(at(&study, point).variance < 0.5);
        } else {
            assert_true(fabs(at(&study, point).mean) < 0.8);
            assert_true(at(&study, point).variance > 0.6);
        }
        drop(&study);
    }
}

/* Where ties hide where trials stand, less is claimed. */
static void
test_ties(void **state ASSAY_UNUSED)
{
    double variances[2];

    for (int tied = 0; tied < 2; tied++) {
        struct study study = study_of(two_numbers);
        double hidden = tied ? 0.5 : 0.0, point[2] = {0.4, 0.1};
        struct assay_random random;

        assay_random_init(&random, 6, 0, 0);
        for (int64_t n = 1; n <= 40; n++) {
            double drawn[2], score = draw(&random, drawn);

            add(&study, n, drawn, score);
        }
        assert_true(assay_outlooks_learn(study.outlooks, given_score, &hidden));
        variances[tied] = at(&study, point).variance;
        drop(&study);
    }
    assert_true(variances[1] >= 0.5 && variances[1] > 2.0 * variances[0]);
}

/* Learned from the same trials, whatever the order they ended in. */
static void
test_order(void **state ASSAY_UNUSED)
{
    struct study forward = study_of(two_numbers), backward = study_of(two_numbers);
    double points[300][2], scores[300];
    struct assay_random random;

    assay_random_init(&random, 7, 0, 0);
    for (int64_t n = 0; n < 300; n++)
        scores[n] = draw(&random, points[n]);
    for (int64_t n = 0; n < 300; n++) {
        add(&forward, n + 1, points[n], scores[n]);
        add(&backward, 300 - n, points[299 - n], scores[299 - n]);
    }
    assert_true(assay_outlooks_learn(forward.outlooks, given_score, NULL));
    assert_true(assay_outlooks_learn(backward.outlooks, given_score, NULL));
    for (int k = 0; k < 20; k++) {
        double point[2];
        struct assay_outlook a, b;

        (void)draw(&random, point);
        a = at(&forward, point);
        b = at(&backward, point);
        assert_true(a.mean == b.mean && a.variance == b.variance);
    }
    drop(&forward);
    drop(&backward);
}

/* Nothing to learn from: no parameter, one of one value, far too many choices' columns. */
static void
test_spaces(void **state ASSAY_UNUSED)
{
    static const char single[] = "[{'name':'x','type':'int','min':3,'max':3}]";
    static const char mixed[] =
        "[{'name':'x','type':'int','min':1,'max':9},"
        "{'name':'kind','type':'categorical','values':['a','b','c']},"
        "{'name':'deep','type':'double','min':0,'max':1,'when':{'kind':['b']}}]";
    struct study study = study_of(single);
    double point[3] = {4.0, 2.0, NAN};

    assert_null(study.outlooks);
    drop(&study);
    assert_null(assay_outlooks_new(NULL));
    study = study_of(mixed);
    for (int64_t n = 1; n <= 30; n++) {
        double trial[3] = {(double)(n % 9 + 1), (double)(n % 3), n % 3 == 1 ? 0.5 : NAN};

        add(&study, n, trial, n % 3 == 2 ? 1.0 : -0.5);
    }
    assert_true(assay_outlooks_learn(study.outlooks, given_score, NULL));
    assert_true(at(&study, point).mean > 0.5);
    drop(&study);
}

/* Thousands of trials: memory and what learning costs have bounds. */
static void
test_bounds(void **state ASSAY_UNUSED)
{
    struct study study = study_of(two_numbers);
    struct assay_random random;
    uint64_t learned = 0;
    size_t before = 0;
    double point[2];

    assay_random_init(&random, 8, 0, 0);
    for (int64_t n = 1; n <= 5000; n++) {
        double score = draw(&random, point);

        add(&study, n, point, score);
        (void)assay_outlooks_learn(study.outlooks, given_score, NULL);
        if (n == 1000) {
            before = mallinfo2().uordblks;
            learned = assay_outlooks_version(study.outlooks);
        }
    }
    assert_true(mallinfo2().uordblks <= before + 65536);
    assert_true(learned < 160 && assay_outlooks_version(study.outlooks) < 220);
    drop(&study);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_plain_algebra),
        cmocka_unit_test(test_what_can_be_foretold),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
