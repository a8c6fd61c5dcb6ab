/* What the tests of stopping rules share: telling a rule, random studies, and a table of all
 * that was told, to compute everything anew from. */
#ifndef ASSAY_TESTS_RULES_SUPPORT_H
#define ASSAY_TESTS_RULES_SUPPORT_H

#include "tests/unit/suggest/support.h"

#include "common/number.h"
#include "suggest/registry.h"
#include "suggest/rules/rules.h"
#include "suggest/settings.h"

struct told {
    const struct assay_plugin_rule *rule;
    void *instance;
    char sentence[ASSAY_PLUGIN_SENTENCE_BYTES];
};

static inline struct told
rule_of(const char *name, const char *settings, bool maximize)
{
    struct told told = {.rule = assay_registry_rule(name)};
    json_t *schema = json_loads(told.rule->settings_schema, 0, NULL), *given = json_of(settings);
    json_t *filled = assay_settings_fill(schema, given);
    assay_auto_free char *text = json_dumps(filled, 0);
    char error[256] = "";

    if (told.rule->create(&(struct assay_plugin_rule_study){.metric = "loss",
                                                            .maximize = maximize,
                                                            .settings = text},
                          &told.instance, error, sizeof error) != ASSAY_PLUGIN_OK)
        fail_msg("%s", error);
    json_decref(schema);
    json_decref(given);
    json_decref(filled);
    return told;
}

static inline struct assay_plugin_decision
report(struct told *told, int64_t number, int64_t step, double value)
{
    struct assay_plugin_decision decision = {.value = NAN,
                                             .threshold = NAN,
                                             .step = step,
                                             .sentence = told->sentence,
                                             .sentence_size = sizeof told->sentence};

    told->sentence[0] = '\0';
    told->rule->report(told->instance, number, step, value, &decision);
    assert_int_equal(decision.stop != 0, told->sentence[0] != '\0');
    return decision;
}

static inline void
finish(struct told *told, int64_t number, uint32_t state)
{
    told->rule->finish(told->instance, number, state);
}

static inline void
drop(struct told *told)
{
    told->rule->destroy(told->instance);
}

static inline void
run_whole(struct told *told, int64_t number, const double *curve, int64_t n)
{
    for (int64_t s = 1; s <= n; s++)
        (void)report(told, number, s, curve[s - 1]);
    finish(told, number, ASSAY_PLUGIN_SUCCEEDED);
}

/* --- random studies: a few trials at a time, late and repeated steps, bad values --- */

#define TRIALS 60
#define STEPS 27

struct event {
    int64_t number, step;
    double value;      /* minimised */
    uint32_t finished; /* a state; 0: a report */
};

struct history {
    struct event *events;
    size_t n, capacity;
};

/* `tidy`: steps only grow and all values are finite. */
static inline struct history
make_history(uint64_t seed, bool tidy)
{
    struct assay_random random = test_random(seed);
    struct history history = {0};
    int64_t at[TRIALS] = {0};
    bool ended[TRIALS] = {false};
    double level[TRIALS], speed[TRIALS], noise = assay_random_unit(&random) * 0.3;
    size_t first = 0, workers = 1 + assay_random_below(&random, 8);

    for (size_t i = 0; i < TRIALS; i++) {
        level[i] = floor(20.0 * assay_random_unit(&random)) / 20.0;
        speed[i] = 1.0 + 10.0 * assay_random_unit(&random);
    }
    while (first + workers < TRIALS) {
        size_t i = first + assay_random_below(&random, workers);
        uint64_t what = assay_random_below(&random, 100);
        struct event event = {.number = (int64_t)i + 1};

        if (ended[first]) {
            first++;
            continue;
        }
        if (ended[i])
            continue;
        if (what < 3 || at[i] >= STEPS) {
            event.finished = what == 0   ? ASSAY_PLUGIN_FAILED
                             : what == 1 ? ASSAY_PLUGIN_STOPPED
                                         : ASSAY_PLUGIN_SUCCEEDED;
            ended[i] = true;
        } else {
            bool late = !tidy && what < 12 && at[i] > 0;

            event.step = late ? (int64_t)assay_random_below(&random, (uint64_t)at[i]) + 1
                              : at[i] + 1 + (what < 20 ? 2 : 0);
            at[i] = ASSAY_MAX(at[i], event.step);
            event.value = level[i] + exp(-(double)event.step / speed[i]) +
                          noise * assay_random_normal(&random);
            if (!tidy && what > 95)
                event.value = what > 97 ? NAN : INFINITY;
        }
        ASSAY_GROW(history.events, history.n, history.capacity);
        history.events[history.n++] = event;
    }
    return history;
}

static inline bool
same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* --- everything that was told, by trial and step --- */

struct table {
    bool measured[TRIALS + 1][STEPS + 4];
    double values[TRIALS + 1][STEPS + 4];
    bool completed[TRIALS + 1], ended[TRIALS + 1];
};

static inline void
put(struct table *table, const struct event *event)
{
    if (event->finished != 0) {
        table->ended[event->number] = true;
        table->completed[event->number] = event->finished == ASSAY_PLUGIN_SUCCEEDED;
        return;
    }
    table->measured[event->number][event->step] = true;
    table->values[event->number][event->step] = event->value;
}

static inline double
best_until(const struct table *table, size_t i, int64_t step)
{
    double best = INFINITY;

    for (int64_t s = 0; s <= step; s++) {
        if (table->measured[i][s] && isfinite(table->values[i][s]))
            best = fmin(best, table->values[i][s]);
    }
    return best;
}

static inline double
last_until(const struct table *table, size_t i, int64_t step)
{
    for (int64_t s = step; s >= 0; s--) {
        if (table->measured[i][s] && isfinite(table->values[i][s]))
            return table->values[i][s];
    }
    return INFINITY;
}

static inline int64_t
last_step(const struct table *table, size_t i)
{
    int64_t last = -1;

    for (int64_t s = 0; s < STEPS + 4; s++)
        last = table->measured[i][s] ? s : last;
    return last;
}

#endif
