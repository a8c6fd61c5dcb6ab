/* Trials of earlier studies in the space of a new one, and what to try first. */
#include "support.h"

#include "suggest/proposer.h"
#include "suggest/sources.h"

static const char space[] =
    "[{'name': 'lr', 'type': 'double', 'min': 0.001, 'max': 1, 'scale': 'log', 'default': 0.1},"
    " {'name': 'units', 'type': 'int', 'min': 8, 'max': 64},"
    " {'name': 'optimizer', 'type': 'categorical', 'values': ['sgd', 'adam']},"
    " {'name': 'momentum', 'type': 'double', 'min': 0, 'max': 1,"
    "  'when': {'optimizer': ['sgd']}}]";

static struct assay_study_spec *
make_spec(const char *parameters, const char *more)
{
    assay_auto_free char *text = assay_format(
        "{'name': 'new', 'seed': 1, 'parameters': %s, 'objective': {'metric': 'loss', 'goal': "
        "'minimize'}%s}",
        parameters, more);
    json_t *file = json_of(text);
    struct assay_faults faults = {0};
    struct assay_study_spec *spec = assay_study_decode(file, "default", NULL, &faults);

    if (spec == NULL)
        fail_msg("%s %s", faults.items[0].pointer, faults.items[0].message);
    json_decref(file);
    assay_faults_done(&faults);
    return spec;
}

static void
add_in(struct assay_sources *sources, int64_t number, enum assay_trial_state state,
       const char *parameters, const char *metrics)
{
    struct assay_trial trial = {
        .number = number,
        .state = state,
        .parameters = json_of(parameters),
        .metrics = json_of(metrics),
        .value = NAN,
        .budget = NAN,
        .last_step = -1,
    };

    assay_sources_add(sources, &trial);
    json_decref(trial.parameters);
    json_decref(trial.metrics);
}

static void
add(struct assay_sources *sources, int64_t number, const char *parameters, const char *metrics)
{
    add_in(sources, number, ASSAY_TRIAL_SUCCEEDED, parameters, metrics);
}

/* A trial at lr, units, adam with the loss. */
static void
add_at(struct assay_sources *sources, int64_t number, double lr, int units, double loss)
{
    assay_auto_free char *parameters =
        assay_format("{'lr': %.17g, 'units': %d, 'optimizer': 'adam'}", lr, units);
    assay_auto_free char *metrics = assay_format("{'loss': %.17g}", loss);

    add(sources, number, parameters, metrics);
}

static json_t *
trials_of(const json_t *encoded, size_t source)
{
    return json_object_get(json_array_get(encoded, source), "trials");
}

static json_int_t
number_at(const json_t *trials, size_t i)
{
    return json_integer_value(json_object_get(json_array_get(trials, i), "number"));
}

static void
test_translation(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    static const char *const expected[] = {
        /* as it is; what is unknown here is dropped */
        "{'lr': 0.5, 'units': 16, 'optimizer': 'adam'}",
        /* what is missing takes default or middle */
        "{'lr': 0.1, 'units': 36, 'optimizer': 'sgd', 'momentum': 0.25}",
        /* what is not active here is dropped */
        "{'lr': 0.2, 'units': 8, 'optimizer': 'adam'}",
        /* a child without a value of its own */
        "{'lr': 0.2, 'units': 8, 'optimizer': 'sgd', 'momentum': 0.5}",
    };
    json_t *encoded, *trials;

    assay_sources_begin(sources, "old", true);
    add(sources, 1, "{'lr': 0.5, 'units': 16, 'optimizer': 'adam', 'extra': 3}",
        "{'loss': 0.25, 'error': 9}");
    add(sources, 2, "{'momentum': 0.25, 'optimizer': 'sgd'}", "{'loss': 1}");
    add(sources, 3, "{'lr': 0.2, 'units': 8, 'optimizer': 'adam', 'momentum': 0.9}", "{'loss': 2}");
    add_in(sources, 4, ASSAY_TRIAL_STOPPED, "{'lr': 0.2, 'units': 8}", "{'loss': 3}");
    /* outside, of another type, without a value, not ended well */
    add(sources, 5, "{'lr': 2, 'units': 8, 'optimizer': 'adam'}", "{'loss': 1}");
    add(sources, 6, "{'lr': 0.2, 'units': 8.5, 'optimizer': 'adam'}", "{'loss': 1}");
    add(sources, 7, "{'lr': 0.2, 'units': 8, 'optimizer': 'lion'}", "{'loss': 1}");
    add(sources, 8, "{'lr': 0.2, 'units': 8, 'optimizer': 'adam'}", "{'loss': 'nan'}");
    add(sources, 9, "{'lr': 0.2, 'units': 8, 'optimizer': 'adam'}", "{}");
    add_in(sources, 10, ASSAY_TRIAL_FAILED, "{'lr': 0.2, 'units': 8}", "{'loss': 1}");
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);

    encoded = assay_sources_encode(sources);
    assert_int_equal(json_array_size(encoded), 1);
    trials = trials_of(encoded, 0);
    assert_int_equal(json_array_size(trials), ASSAY_COUNT(expected));
    for (size_t i = 0; i < ASSAY_COUNT(expected); i++) {
        json_t *wanted = json_of(expected[i]);
        json_t *trial = json_array_get(trials, i);

        assert_int_equal(number_at(trials, i), i + 1);
        if (!json_equal(json_object_get(trial, "parameters"), wanted))
            fail_msg("%zu: %s", i, json_dumps(trial, 0));
        json_decref(wanted);
    }
    assert_string_equal(json_string_value(json_object_get(json_array_get(trials, 3), "state")),
                        "stopped");
    assert_null(json_object_get(json_array_get(trials, 3), "forecast"));
    json_decref(encoded);
    assay_sources_free(sources);
    assay_study_free(spec);
}

/* What a stopped trial would have ended with carries over where the metric is the same. */
static void
test_forecasts_carry_over(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    static const char *const whys[] = {
        "{'forecast':{'metric':'loss','value':1.5,'trials':4}}",
        "{'forecast':{'metric':'error','value':1.5,'trials':4}}",
    };
    json_t *encoded, *trials;

    assay_sources_begin(sources, "old", true);
    for (size_t i = 0; i < 4; i++) {
        struct assay_trial trial = {
            .number = (int64_t)i + 1,
            .state = i < 2 ? ASSAY_TRIAL_STOPPED : ASSAY_TRIAL_SUCCEEDED,
            .parameters = json_of("{'lr': 0.2, 'units': 8}"),
            .metrics = json_of("{'loss': 3}"),
            .why = json_of(whys[i % 2]),
            .value = 3.0,
            .budget = NAN,
        };

        assay_sources_add(sources, &trial);
        assay_trial_done(&trial);
    }
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    encoded = assay_sources_encode(sources);
    trials = trials_of(encoded, 0);
    assert_int_equal(json_array_size(trials), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *forecast = json_object_get(json_array_get(trials, i), "forecast");

        assert_int_equal(json_is_real(forecast), i == 0);
        assert_true(i > 0 || json_real_value(forecast) == 1.5);
    }
    json_decref(encoded);
    assay_sources_free(sources);
    assay_study_free(spec);
}

static void
expect_refusal(const char *parameters, const char *metrics, const char *words)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    struct assay_error err = {0};

    assay_sources_begin(sources, "old", true);
    if (parameters != NULL)
        add(sources, 1, parameters, metrics);
    assert_int_equal(assay_sources_end(sources, &err), ASSAY_E_INVALID_VALUE);
    if (strstr(err.message, words) == NULL)
        fail_msg("no \"%s\" in: %s", words, err.message);
    assay_sources_free(sources);
    assay_study_free(spec);
}

static void
test_refusals(void **state ASSAY_UNUSED)
{
    expect_refusal(NULL, NULL, "no trial yet");
    expect_refusal("{'lr': 0.1}", "{'error': 1}", "finite value of loss");
    expect_refusal("{'x': 0.1}", "{'loss': 1}", "none of this study's parameters");
    expect_refusal("{'lr': 7}", "{'loss': 1}", "the value of lr is not allowed here in 1");
}

/* The best half and a spread, whatever the goal; the proposer takes them. */
static void
test_thinning(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    struct assay_proposer *proposer;
    json_t *encoded, *trials, *suggestions;
    bool exhausted;
    int best = 0;

    assay_sources_begin(sources, "old", true);
    for (int i = 1; i <= 20000; i++)
        add_at(sources, i, 0.001 + 0.999 * i / 20001.0, 8 + i % 57, (i * 7919) % 20000);
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    encoded = assay_sources_encode(sources);
    trials = trials_of(encoded, 0);
    assert_int_equal(json_array_size(trials), ASSAY_SOURCE_TRIALS_MAX);
    for (size_t i = 0; i < ASSAY_SOURCE_TRIALS_MAX; i++) {
        assert_true(i == 0 || number_at(trials, i) > number_at(trials, i - 1));
        best += number_at(trials, i) * 7919 % 20000 < ASSAY_SOURCE_TRIALS_MAX / 2;
    }
    assert_int_equal(best, ASSAY_SOURCE_TRIALS_MAX / 2);
    assert_int_equal(assay_proposer_new(spec->document, encoded, &proposer, NULL), ASSAY_OK);
    assert_int_equal(
        assay_proposer_ask(proposer, (int64_t[]){1}, 1, &suggestions, &exhausted, NULL), ASSAY_OK);
    json_decref(suggestions);
    assay_proposer_free(proposer);
    json_decref(encoded);
    assay_sources_free(sources);
    assay_study_free(spec);
}

/* Of seven studies those with most in common; in the order given. */
static void
test_choice_of_sources(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    json_t *encoded;

    for (int i = 0; i < 7; i++) {
        char name[] = {'s', (char)('0' + i), '\0'};

        assay_sources_begin(sources, name, true);
        if (i == 0 || i == 3) {
            add(sources, 1, "{'lr': 0.1}", "{'loss': 1}");
            if (i == 3)
                add(sources, 2, "{'lr': 0.2}", "{'loss': 1}");
        } else {
            add_at(sources, 1, 0.1, 8, 1.0);
        }
        assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    }
    encoded = assay_sources_encode(sources);
    assert_int_equal(json_array_size(encoded), ASSAY_SOURCES_MAX);
    for (size_t i = 0; i < ASSAY_SOURCES_MAX; i++) {
        static const char *const names[] = {"s1", "s2", "s4", "s5", "s6"};

        assert_string_equal(json_string_value(json_object_get(json_array_get(encoded, i), "name")),
                            names[i]);
    }
    json_decref(encoded);
    assay_sources_free(sources);
    assay_study_free(spec);
}

static json_int_t
first_trial(const json_t *first, size_t i, const char *source)
{
    const json_t *why = json_object_get(json_array_get(first, i), "why");

    assert_string_equal(json_string_value(json_object_get(why, "proposed_by")), "warm_start");
    if (source != NULL)
        assert_string_equal(json_string_value(json_object_get(why, "source")), source);
    return json_integer_value(json_object_get(why, "trial"));
}

/* Two sources that disagree: what is fair for both goes first, then the best of each. */
static void
test_first_of_two(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    json_t *first;

    assay_sources_begin(sources, "low", true); /* best at lr 0.002, fair at 0.03 */
    add_at(sources, 1, 0.002, 32, 0.0);
    add_at(sources, 2, 0.03, 32, 0.3);
    add_at(sources, 3, 0.5, 32, 5.0);
    add_at(sources, 4, 0.6, 32, 6.0);
    add_at(sources, 5, 0.7, 32, 1.0);
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    assay_sources_begin(sources, "high", true); /* best at lr 0.5, fair at 0.03 */
    add_at(sources, 1, 0.5, 32, 0.0);
    add_at(sources, 2, 0.03, 32, 30.0);
    add_at(sources, 3, 0.002, 32, 500.0);
    add_at(sources, 4, 0.003, 32, 600.0);
    add_at(sources, 5, 0.004, 32, 100.0);
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    first = assay_sources_first(sources);
    assert_true(json_array_size(first) >= 3);
    assert_int_equal(first_trial(first, 0, NULL), 2);
    assert_int_equal(first_trial(first, 1, NULL) + first_trial(first, 2, NULL), 2);
    json_decref(first);
    assay_sources_free(sources);
    assay_study_free(spec);
}

/* One source: its best, then good ones that are not near; never a point of
 * start_with, never more than a quarter of the trials, none when switched off, none
 * that breaks a constraint. */
static void
test_first_of_one(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *more;
        bool try_best;
        size_t count;
        json_int_t trial;
    } rows[] = {
        {"", true, 3, 1},
        {", 'limits': {'trials': 5}", true, 2, 1},
        {", 'limits': {'trials': 4}", true, 1, 1},
        {", 'start_with': [{'lr': 0.01, 'units': 32, 'optimizer': 'adam'}]", true, 3, 2},
        {", 'constraints': [{'metric': 'size', 'max': 2}]", true, 2, 3},
        {"", false, 0, 0},
    };

    for (size_t r = 0; r < ASSAY_COUNT(rows); r++) {
        struct assay_study_spec *spec = make_spec(space, rows[r].more);
        struct assay_sources *sources = assay_sources_new(spec);
        json_t *first;

        assay_sources_begin(sources, "old", rows[r].try_best);
        add(sources, 1, "{'lr': 0.01, 'units': 32, 'optimizer': 'adam'}",
            "{'loss': 0.1, 'size': 3}");
        add(sources, 2, "{'lr': 0.011, 'units': 32, 'optimizer': 'adam'}",
            "{'loss': 0.11, 'size': 3}"); /* near the first */
        add(sources, 3, "{'lr': 0.2, 'units': 32, 'optimizer': 'adam'}",
            "{'loss': 0.2, 'size': 1}");
        add(sources, 4, "{'lr': 0.01, 'units': 60, 'optimizer': 'adam'}",
            "{'loss': 0.3, 'size': 1}");
        for (int i = 5; i < 10; i++)
            add_at(sources, i, 0.9, i + 3, 1.0 + i);
        assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
        first = assay_sources_first(sources);
        if (json_array_size(first) != rows[r].count)
            fail_msg("row %zu: %s", r, json_dumps(first, 0));
        if (rows[r].count > 0)
            assert_int_equal(first_trial(first, 0, "old"), rows[r].trial);
        json_decref(first);
        assay_sources_free(sources);
        assay_study_free(spec);
    }
}

/* The goal is the new study's own; with several objectives each counts. */
static void
test_goals(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec =
        make_spec("[{'name': 'x', 'type': 'double', 'min': 0, 'max': 1}]", "");
    json_t *file = json_of("{'name': 'new', 'seed': 1, 'parameters': [{'name': 'x', 'type': "
                           "'double', 'min': 0, 'max': 1}], 'objectives': [{'metric': 'loss', "
                           "'goal': 'maximize'}, {'metric': 'size', 'goal': 'minimize'}]}");
    struct assay_faults faults = {0};
    struct assay_study_spec *both = assay_study_decode(file, "default", NULL, &faults);
    struct assay_sources *sources = assay_sources_new(both);
    json_t *first;
    bool ends[2] = {false, false};

    assay_sources_begin(sources, "old", true);
    for (int i = 0; i <= 10; i++) {
        assay_auto_free char *parameters = assay_format("{'x': %g}", i / 10.0);
        assay_auto_free char *metrics = assay_format("{'loss': %d, 'size': %d}", i, i);

        add(sources, i + 1, parameters, metrics);
    }
    assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    first = assay_sources_first(sources);
    for (size_t i = 0; i < json_array_size(first); i++) {
        ends[0] = ends[0] || first_trial(first, i, "old") == 1;
        ends[1] = ends[1] || first_trial(first, i, "old") == 11;
    }
    assert_true(ends[0] && ends[1]);
    json_decref(first);
    assay_sources_free(sources);
    assay_study_free(spec);
    assay_study_free(both);
    json_decref(file);
}

/* The largest case allowed, for its time. */
static void
test_cost(void **state ASSAY_UNUSED)
{
    struct assay_study_spec *spec = make_spec(space, "");
    struct assay_sources *sources = assay_sources_new(spec);
    int64_t start_us;
    json_t *first;

    for (int s = 0; s < 5; s++) {
        assay_sources_begin(sources, "old", true);
        for (int i = 1; i <= 1000; i++)
            add_at(sources, i, 0.001 + 0.999 * ((i * 37 + s * 11) % 1000) / 1001.0, 8 + i % 57,
                   (i * 7919 + s * 613) % 1000);
        assert_int_equal(assay_sources_end(sources, NULL), ASSAY_OK);
    }
    start_us = assay_monotonic_us();
    first = assay_sources_first(sources);
    print_message("the first of 5 x 300 trials chosen in %.1f ms\n",
                  (double)(assay_monotonic_us() - start_us) / 1e3);
    assert_int_equal(json_array_size(first), ASSAY_SOURCES_FIRST_MAX);
    json_decref(first);
    assay_sources_free(sources);
    assay_study_free(spec);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_translation),
        cmocka_unit_test(test_forecasts_carry_over),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_thinning),
        cmocka_unit_test(test_choice_of_sources),
        cmocka_unit_test(test_first_of_two),
        cmocka_unit_test(test_first_of_one),
        cmocka_unit_test(test_goals),
        cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
