/* Measurements and curves on a real cluster, and thinning by itself. */
#include "tests/unit/sql/database.h"

#include <stdlib.h>

#include "common/number.h"
#include "sql/curve.h"

/* A study with running trials 1 … n and metrics 0 "loss", 1 "accuracy". */
static int64_t
make_study(const char *name, int n)
{
    int64_t study = harness_study(h, name, false);
    struct assay_changes *changes = assay_changes_new();
    struct assay_error err = {0};

    for (int i = 1; i <= n; i++) {
        struct assay_trial trial = harness_trial(study, i);

        trial.state = ASSAY_TRIAL_RUNNING;
        assay_changes_trial_insert(changes, &trial, true);
        assay_trial_done(&trial);
    }
    assay_changes_metric_insert(changes, study, 0, "loss");
    assay_changes_metric_insert(changes, study, 1, "accuracy");
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    return study;
}

static assay_status
put(int64_t study, int64_t trial, const struct assay_metric_value *values, size_t n,
    struct assay_error *err)
{
    struct assay_changes *changes = assay_changes_new();

    assay_changes_measurements(changes, study, trial, values, n);
    return harness_commit(h->writer, changes, err);
}

struct rows {
    struct {
        int64_t step, time_us;
        double loss, accuracy; /* NaN: missing */
    } items[5000];
    size_t count;
};

static double
member(const json_t *metrics, const char *name)
{
    const json_t *value = json_object_get(metrics, name);
    double number = -99;

    if (value != NULL && !assay_json_get_real(value, &number))
        fail_msg("%s is no number", name);
    return number;
}

static void
note_row(void *arg, int64_t step, int64_t time_us, const json_t *metrics)
{
    struct rows *rows = arg;

    assert_true(rows->count < ASSAY_COUNT(rows->items));
    rows->items[rows->count].step = step;
    rows->items[rows->count].time_us = time_us;
    rows->items[rows->count].loss = member(metrics, "loss");
    rows->items[rows->count++].accuracy = member(metrics, "accuracy");
}

static struct rows rows;

static void
read_all(struct assay_measurement_query query)
{
    struct assay_error err = {0};
    char *token = NULL, *next = NULL;

    rows.count = 0;
    do {
        query.after = token;
        assert_ok(assay_store_measurements(h->store, &query, note_row, &rows, &next, &err), &err);
        free(token);
        token = next;
    } while (next != NULL);
}

static void
the_last_value_of_a_step_holds(void **state)
{
    struct assay_error err = {0};
    int64_t study;

    NEED_DATABASE();
    study = make_study("values", 2);
    assert_ok(put(study, 1,
                  (struct assay_metric_value[]){{0, 2, 20, 0.2},
                                                {0, 1, 10, 0.5},
                                                {1, 2, 21, 7},
                                                {0, 2, 22, NAN},
                                                {0, 9, 90, -INFINITY}},
                  5, &err),
              &err);
    assert_ok(put(study, 1, (struct assay_metric_value[]){{0, 1, 11, 0.4}}, 1, &err), &err);
    assert_int_equal(put(study, 3, (struct assay_metric_value[]){{0, 1, 11, 0.4}}, 1, &err),
                     ASSAY_E_NOT_FOUND);
    for (size_t limit = 0; limit < 4; limit++) {
        read_all(
            (struct assay_measurement_query){.study_id = study, .trial_number = 1, .limit = limit});
        assert_int_equal(rows.count, 3);
        assert_true(rows.items[0].step == 1 && rows.items[0].loss == 0.4 &&
                    rows.items[0].time_us == 11 && rows.items[0].accuracy == -99);
        assert_true(rows.items[1].step == 2 && isnan(rows.items[1].loss) &&
                    rows.items[1].accuracy == 7 && rows.items[1].time_us == 22);
        assert_true(rows.items[2].step == 9 && rows.items[2].loss == -INFINITY);
    }
    read_all((struct assay_measurement_query){
        .study_id = study, .trial_number = 1, .metric = "accuracy", .limit = 1});
    assert_int_equal(rows.count, 1);
    read_all((struct assay_measurement_query){
        .study_id = study, .trial_number = 1, .metric = "other", .limit = 1});
    assert_int_equal(rows.count, 0);
    read_all((struct assay_measurement_query){.study_id = study, .trial_number = 1, .points = 100});
    assert_int_equal(rows.count, 3);
}

static double
curve_value(int64_t step)
{
    if (step == 70770)
        return 1000;
    if (step == 40010)
        return -1000;
    return step % 1000 == 0 ? NAN : sin((double)step / 5000);
}

static void
check_thinned(int64_t study, size_t points, double lowest, double highest)
{
    double low = INFINITY, high = -INFINITY;

    read_all((struct assay_measurement_query){
        .study_id = study, .trial_number = 1, .metric = "loss", .points = points});
    assert_true(rows.count <= points && rows.count >= points / 2);
    for (size_t i = 0; i < rows.count; i++) {
        low = fmin(low, rows.items[i].loss);
        high = fmax(high, rows.items[i].loss);
        assert_true(i == 0 || rows.items[i].step > rows.items[i - 1].step);
        assert_int_equal(rows.items[i].time_us, rows.items[i].step * 7);
    }
    assert_int_equal(rows.items[0].step, 0);
    assert_int_equal(rows.items[rows.count - 1].step, 99990);
    assert_true(low == lowest && high == highest);
}

/* 10,000 points in reports of different sizes: read from the summary and from
 * the points, also after late values broke the summary. */
static void
thinning_keeps_extremes(void **state)
{
    static struct assay_metric_value values[10000];
    struct assay_error err = {0};
    double second = 0; /* the highest but one */
    int64_t study;

    NEED_DATABASE();
    study = make_study("long", 1);
    for (int i = 0; i < 10000; i++) {
        values[i] = (struct assay_metric_value){0, i * 10, i * 70, curve_value(i * 10)};
        if (values[i].value < 1000)
            second = fmax(second, values[i].value);
    }
    for (size_t at = 0, n = 1; at < 10000; at += n, n = n * 3 % 700 + 1)
        assert_ok(put(study, 1, values + at, ASSAY_MIN(n, 10000 - at), &err), &err);
    for (size_t points = 4; points < 5000; points *= 5)
        check_thinned(study, points, -1000, 1000);
    values[0] = (struct assay_metric_value){0, 40015, 40015 * 7, -2000};
    values[1] = (struct assay_metric_value){0, 70770, 70770 * 7, 0};
    assert_ok(put(study, 1, values, 2, &err), &err);
    for (size_t points = 4; points < 5000; points *= 5)
        check_thinned(study, points, -2000, second);
}

struct curves {
    int64_t numbers[300];
    size_t points[300], count;
};

static void
note_curve(void *arg, int64_t trial_number, enum assay_trial_state state, size_t n,
           const int64_t *steps, const double *values)
{
    struct curves *curves = arg;

    assert_int_equal(state, ASSAY_TRIAL_RUNNING);
    assert_true(n > 0 && steps[0] == trial_number && values[0] == (double)trial_number);
    curves->numbers[curves->count] = trial_number;
    curves->points[curves->count++] = n;
}

static void
curves_of_many_trials(void **state)
{
    static struct curves found;
    static struct assay_metric_value values[4000];
    struct assay_error err = {0};
    int64_t study;

    NEED_DATABASE();
    study = make_study("many", 250);
    for (int64_t trial = 1; trial <= 250; trial++) {
        size_t n = trial % 100 == 7 ? 4000 : 3;

        if (trial % 50 == 0)
            continue; /* no points */
        for (size_t i = 0; i < n; i++)
            values[i] = (struct assay_metric_value){0, trial + (int64_t)i, 1, (double)trial};
        assert_ok(put(study, trial, values, n, &err), &err);
    }
    assert_ok(assay_store_curves(h->store, study, "loss", 0, 40, 1000, note_curve, &found, &err),
              &err);
    assert_int_equal(found.count, 245);
    for (size_t i = 0; i < found.count; i++) {
        assert_true(i == 0 || found.numbers[i] > found.numbers[i - 1]);
        if (found.numbers[i] % 100 == 7)
            assert_true(found.points[i] <= 40 && found.points[i] >= 20);
        else
            assert_int_equal(found.points[i], 3);
    }
    found.count = 0;
    assert_ok(assay_store_curves(h->store, study, "loss", 1u << ASSAY_TRIAL_RUNNING, 40, 3,
                                 note_curve, &found, &err),
              &err);
    assert_int_equal(found.count, 3);
    assert_int_equal(found.numbers[0], 247);
    found.count = 0;
    assert_ok(assay_store_curves(h->store, study, "loss", 1u << ASSAY_TRIAL_FAILED, 40, 3,
                                 note_curve, &found, &err),
              &err);
    assert_ok(assay_store_curves(h->store, study, "none", 0, 40, 3, note_curve, &found, &err),
              &err);
    assert_int_equal(found.count, 0);
}

static void
note_value(void *arg, int64_t trial_number, int metric_id, int64_t step, double value)
{
    int64_t *sum = arg;

    *sum = *sum * 31 + trial_number * 1000 + metric_id * 100 + step * 10 + (int64_t)value;
}

static void
note_metric(void *arg, int metric_id, const char *name)
{
    int *count = arg;

    assert_int_equal(metric_id, *count);
    assert_string_equal(name, metric_id == 0 ? "loss" : "accuracy");
    ++*count;
}

static void
every_value_in_order(void **state)
{
    struct assay_error err = {0};
    int64_t study, sum = 0, wanted = 0;
    int metrics = 0;

    NEED_DATABASE();
    study = make_study("every", 2);
    assert_ok(put(study, 2, (struct assay_metric_value[]){{1, 1, 1, 5}, {0, 1, 1, 4}, {0, 2, 1, 6}},
                  3, &err),
              &err);
    assert_ok(put(study, 1, (struct assay_metric_value[]){{1, 3, 1, 2}}, 1, &err), &err);
    note_value(&wanted, 1, 1, 3, 2);
    note_value(&wanted, 2, 0, 1, 4);
    note_value(&wanted, 2, 1, 1, 5);
    note_value(&wanted, 2, 0, 2, 6);
    assert_ok(assay_store_values(h->store, study, note_value, &sum, &err), &err);
    assert_int_equal(sum, wanted);
    assert_ok(assay_store_metrics(h->store, study, note_metric, &metrics, &err), &err);
    assert_int_equal(metrics, 2);
}

static void
thinning_alone(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += 7) {
        for (size_t points = 1; points < 40; points++) {
            struct assay__curve curve = {0};

            for (size_t i = 0; i < n; i++)
                assay__curve_add(&curve, (int64_t)i, i % 3 == 0 ? NAN : (double)(i * 37 % 101));
            assay__curve_thin(&curve, points);
            assert_true(curve.n <= points && curve.n >= ASSAY_MIN(n, (size_t)1));
            assert_true(n == 0 || curve.steps[curve.n - 1] == (int64_t)n - 1);
            assert_true(n == 0 || points == 1 || curve.steps[0] == 0);
            assay__curve_done(&curve);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thinning_alone),          cmocka_unit_test(the_last_value_of_a_step_holds),
        cmocka_unit_test(thinning_keeps_extremes), cmocka_unit_test(curves_of_many_trials),
        cmocka_unit_test(every_value_in_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
