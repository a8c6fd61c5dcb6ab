/* Checks of stopping rules. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/conformance_internal.h"
#include "suggest/settings.h"
#include "suggest/view.h"

/* On average.  A report runs on the thread that serves everyone, and 99 % are promised within a
 * millisecond; `auto` takes 36 us, on a slow or busy machine several times that. */
#define REPORT_US_MAX (ASSAY_SANITIZED ? 2000.0 : 200.0) /* a sanitizer's work is not the rule's */
/* Of memory, for each report. */
#define GROWTH_BYTES_MAX 28
/* Of a study whose cost is looked at: long trials first, so many that what a rule keeps is
 * full, then short ones, and long ones again, which count. */
#define COST_TRIALS 6000
#define COST_FIRST_TRIALS 1200
#define COST_LAST_TRIALS 600
#define COST_LONG_STEPS 100
#define COST_SHORT_STEPS 5

struct check {
    const struct assay_plugin_rule *rule;
    const struct assay_plugin_space *space; /* of two numbers */
    struct assay_conformance_result *result;
};

/* Always false; the first fault counts. */
static bool ASSAY_PRINTF(2, 3) fail(struct check *check, const char *format, ...)
{
    va_list args;

    if (check->result->outcome == ASSAY_CONFORMANCE_FAILED)
        return false;
    check->result->outcome = ASSAY_CONFORMANCE_FAILED;
    va_start(args, format);
    vsnprintf(check->result->sentence, sizeof check->result->sentence, format, args);
    va_end(args);
    return false;
}

static bool
start(struct check *check, bool maximize, void **ret_instance)
{
    json_auto_t *schema = json_loads(check->rule->settings_schema, 0, NULL);
    json_auto_t *nothing = json_object(), *filled = assay_settings_fill(schema, nothing);
    assay_auto_free char *settings = json_dumps(filled, 0);
    char error[256] = "";
    const struct assay_plugin_rule_study study = {.metric = "loss",
                                                  .maximize = maximize,
                                                  .settings = settings,
                                                  .seed = 7,
                                                  .space = check->space};

    if (check->rule->create(&study, ret_instance, error, sizeof error) == ASSAY_PLUGIN_OK)
        return true;
    error[sizeof error - 1] = '\0';
    return fail(check, "it does not start with its default settings: %s", error);
}

/* Where the rule wants to know, what the trial tries. */
static void
tell_point(struct check *check, void *instance, int64_t number)
{
    const struct assay_plugin_rule *rule = check->rule;
    double point[] = {fmod(0.618 * (double)number, 1.0),
                      pow(10.0, -3.0 * fmod(0.755 * (double)number, 1.0))};

    if (rule->struct_size >= offsetof(struct assay_plugin_rule, start) + sizeof rule->start &&
        rule->start != NULL)
        rule->start(instance, number, point);
}

/* One report; whether the decision makes sense. */
static bool
report(struct check *check, void *instance, int64_t number, int64_t step, double value,
       bool *ret_stop)
{
    char sentence[ASSAY_PLUGIN_SENTENCE_BYTES + 16];
    struct assay_plugin_decision decision = {
        .value = NAN,
        .threshold = NAN,
        .step = step,
        .sentence = sentence,
        .sentence_size = ASSAY_PLUGIN_SENTENCE_BYTES,
    };

    memset(sentence, '\x5A', sizeof sentence);
    sentence[0] = '\0';
    check->rule->report(instance, number, step, value, &decision);
    *ret_stop = decision.stop != 0;
    for (size_t i = ASSAY_PLUGIN_SENTENCE_BYTES; i < sizeof sentence; i++) {
        if (sentence[i] != '\x5A')
            return fail(check, "it wrote past the end of the sentence");
    }
    if (!*ret_stop)
        return true;
    if (memchr(sentence, '\0', ASSAY_PLUGIN_SENTENCE_BYTES) == NULL || sentence[0] == '\0')
        return fail(check, "it stopped trial %lld at step %lld without a sentence",
                    (long long)number, (long long)step);
    return true;
}

/* A learning curve that falls towards a level of the trial's own. */
static double
curve(int64_t number, int64_t step)
{
    double level = 0.5 + 0.5 * sin(12.9898 * (double)number);

    return level + exp(-0.1 * (double)step) + 0.01 * sin(78.233 * (double)(number + step));
}

/* `trials` curves of `steps` reports; a stopped trial ends.  `ret_stops` (one bit a
 * trial, by its number modulo 64) tells runs apart. */
static bool
play(struct check *check, int64_t trials, int64_t steps, uint64_t *ret_stops)
{
    void *instance;
    bool fine = start(check, false, &instance);

    *ret_stops = 0;
    if (!fine)
        return false;
    for (int64_t number = 1; fine && number <= trials; number++) {
        bool stop = false;

        tell_point(check, instance, number);
        for (int64_t step = 1; fine && !stop && step <= steps; step++)
            fine = report(check, instance, number, step, curve(number, step), &stop);
        if (stop)
            *ret_stops = *ret_stops * 31 + (uint64_t)number;
        check->rule->finish(instance, number, stop ? ASSAY_PLUGIN_STOPPED : ASSAY_PLUGIN_SUCCEEDED);
        check->result->trials++;
    }
    check->rule->destroy(instance);
    return fine;
}

static bool
check_curves(struct check *check)
{
    uint64_t one, other;

    return play(check, 200, 30, &one) && play(check, 200, 30, &other) &&
           (one == other || fail(check, "the same curves again are judged otherwise"));
}

/* Steps late, twice, far away; values that are none; trials nobody has heard of. */
static bool
check_odd(struct check *check)
{
    static const double values[] = {NAN, INFINITY, -INFINITY, 0.0, 1e308, -1e308, 5e-324, 1.0};
    static const int64_t steps[] = {0, 5, 5, 3, INT64_C(1) << 53, 1, 4, 100000};
    struct assay_random random;
    bool fine = true, stop;
    void *instance;

    for (int maximize = 0; fine && maximize < 2; maximize++) {
        fine = start(check, maximize == 1, &instance);
        if (!fine)
            break;
        assay_random_init(&random, 11, (uint64_t)maximize, 3);
        for (int k = 0; fine && k < 4000; k++) {
            int64_t number = 1 + (int64_t)assay_random_below(&random, 40);

            if (assay_random_below(&random, 50) == 0)
                check->rule->finish(instance, 100 + k, ASSAY_PLUGIN_FAILED);
            if (assay_random_below(&random, 3) == 0)
                tell_point(check, instance, 50 * (k / 500) + number);
            fine = report(check, instance, 50 * (k / 500) + number,
                          steps[assay_random_below(&random, ASSAY_COUNT(steps))],
                          values[assay_random_below(&random, ASSAY_COUNT(values))], &stop);
            if (k % 500 == 499) {
                for (int64_t n = 1; n <= 40; n++)
                    check->rule->finish(instance, 50 * (k / 500) + n, ASSAY_PLUGIN_SUCCEEDED);
            }
        }
        check->rule->destroy(instance);
    }
    return fine;
}

/* Nothing but values that are none is no reason to crash; it may be one to stop. */
static bool
check_nothing(struct check *check)
{
    void *instance;
    bool fine = start(check, false, &instance), stop;

    if (!fine)
        return false;
    for (int64_t number = 1; fine && number <= 50; number++) {
        for (int64_t step = 0; fine && step < 10; step++)
            fine = report(check, instance, number, step, NAN, &stop);
        check->rule->finish(instance, number, ASSAY_PLUGIN_SUCCEEDED);
    }
    check->rule->destroy(instance);
    return fine;
}

/* Memory has a bound and a report is quick, however many trials there were: as the last long
 * trials show. */
static bool
check_cost(struct check *check)
{
    const int64_t reports = COST_LAST_TRIALS * COST_LONG_STEPS;
    int64_t before = 0, spent_us = 0, grown;
    void *instance;
    bool fine = start(check, false, &instance), stop;

    if (!fine)
        return false;
    for (int64_t number = 1; fine && number <= COST_TRIALS; number++) {
        bool is_last = number > COST_TRIALS - COST_LAST_TRIALS;
        int64_t steps = is_last || number <= COST_FIRST_TRIALS ? COST_LONG_STEPS : COST_SHORT_STEPS;
        int64_t start_us = assay_processor_us(), took_us;

        if (number == COST_TRIALS - COST_LAST_TRIALS + 1)
            before = assay__check_heap_bytes();
        tell_point(check, instance, number);
        for (int64_t step = 1; fine && step <= steps; step++)
            fine = report(check, instance, number, step, curve(number, step), &stop);
        check->rule->finish(instance, number, ASSAY_PLUGIN_SUCCEEDED);
        took_us = assay_processor_us() - start_us;
        if (is_last)
            spent_us += took_us;
        check->result->ask_max_us =
            fmax(check->result->ask_max_us, (double)took_us / (double)steps);
        check->result->trials++;
    }
    grown = assay__check_heap_bytes() - before;
    check->rule->destroy(instance);
    if (!fine)
        return false;
    check->result->ask_us = (double)spent_us / (double)reports;
    if (check->result->ask_us > REPORT_US_MAX)
        return fail(check,
                    "a report takes %.0f us after %d trials; the daemon's own thread waits for it",
                    check->result->ask_us, COST_TRIALS - COST_LAST_TRIALS);
    if (grown > GROWTH_BYTES_MAX * reports)
        return fail(check, "its memory grows with the trials: %.1f MiB for the last %d",
                    (double)grown / (1 << 20), COST_LAST_TRIALS);
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct check *check);
} checks[] = {
    {"learning curves", check_curves},
    {"odd reports", check_odd},
    {"nothing but nan", check_nothing},
    {"time and memory, 6,000 trials", check_cost},
};

size_t
assay_conformance_rule_count(void)
{
    return ASSAY_COUNT(checks);
}

const char *
assay_conformance_rule_name(size_t check)
{
    return checks[check].name;
}

void
assay_conformance_rule_run(const struct assay_plugin_rule *rule, size_t index,
                           struct assay_conformance_result *ret_result)
{
    json_auto_t *parameters = json_pack("[{s:s, s:s, s:f, s:f}, {s:s, s:s, s:f, s:f, s:s}]", "name",
                                        "x", "type", "double", "min", 0.0, "max", 1.0, "name", "y",
                                        "type", "double", "min", 1e-3, "max", 1.0, "scale", "log");
    struct assay_faults faults = {0};
    struct assay_space *space = assay_space_decode(parameters, "", &faults);
    struct assay_view *view = assay_view_new(space);
    struct check check = {.rule = rule, .space = assay_view_space(view), .result = ret_result};

    *ret_result =
        (struct assay_conformance_result){.outcome = ASSAY_CONFORMANCE_PASSED, .ask_us = NAN};
    (void)checks[index].run(&check);
    assay_view_free(view);
    assay_space_free(space);
    assay_faults_done(&faults);
}
