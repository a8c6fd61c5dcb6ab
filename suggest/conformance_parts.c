#include "suggest/conformance_internal.h"

#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"
#include "schemas/point.h"

bool
assay__check_fail(struct assay__check *check, const char *format, ...)
{
    va_list args;

    if (check->result->outcome == ASSAY_CONFORMANCE_FAILED)
        return false; /* the first fault counts */
    check->result->outcome = ASSAY_CONFORMANCE_FAILED;
    va_start(args, format);
    vsnprintf(check->result->sentence, sizeof check->result->sentence, format, args);
    va_end(args);
    return false;
}

bool
assay__check_refuse(struct assay__check *check, const char *format, ...)
{
    va_list args;

    check->result->outcome = ASSAY_CONFORMANCE_REFUSED;
    va_start(args, format);
    vsnprintf(check->result->sentence, sizeof check->result->sentence, format, args);
    va_end(args);
    return false;
}

bool
assay__check_is_late(const struct assay__check *check)
{
    return check->limits->time_us > 0 &&
           assay_monotonic_us() - check->start_us > check->limits->time_us;
}

/* --- specifications --- */

json_t *
assay__check_json(const char *text)
{
    assay_auto_free char *copy = assay_strdup(text);
    json_t *json;

    for (char *c = copy; *c != '\0'; c++) {
        if (*c == '\'')
            *c = '"';
    }
    json = json_loads(copy, 0, NULL);
    ASSAY_ASSERT(json != NULL);
    return json;
}

/* Mixed parameters by the hundred, some of them conditional. */
static json_t *
wide_space(size_t n)
{
    static const char *const kinds[] = {
        "{'type':'double','min':0,'max':1}",
        "{'type':'double','min':1e-6,'max':1,'scale':'log'}",
        "{'type':'int','min':1,'max':100}",
        "{'type':'categorical','values':['a','b','c']}",
        "{'type':'bool'}",
    };
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *parameter = assay__check_json(kinds[i % ASSAY_COUNT(kinds)]);
        assay_auto_free char *name = assay_format("p%zu", i);

        json_object_set_new(parameter, "name", json_string(name));
        if (i % 10 == 9 && n > 20) {
            assay_auto_free char *parent = assay_format("p%zu", i - 1);

            json_object_set_new(parameter, "when", json_pack("{s:[s,s]}", parent, "a", "b"));
        }
        json_array_append_new(list, parameter);
    }
    return list;
}

json_t *
assay__check_spec(const struct assay__check *check, const struct assay__scenario *scenario,
                  uint64_t seed)
{
    json_t *objectives = json_array();
    json_t *spec = json_pack("{s:o, s:o, s:{s:s, s:{}}, s:I}", "parameters",
                             scenario->parameters != NULL ? assay__check_json(scenario->parameters)
                                                          : wide_space(scenario->wide),
                             "objectives", objectives, "algorithm", "name", check->algorithm->name,
                             "settings", "seed", (json_int_t)seed);

    for (size_t i = 0; i < ASSAY_MAX(scenario->objectives, (size_t)1); i++)
        json_array_append_new(
            objectives, i % 2 == 0 ? assay__check_json("{'metric':'loss','goal':'minimize'}")
                                   : assay__check_json("{'metric':'gain','goal':'maximize'}"));
    if (scenario->constraints > 0) {
        json_t *constraints = json_array();

        for (size_t i = 0; i < scenario->constraints; i++)
            json_array_append_new(constraints,
                                  i % 2 == 0 ? assay__check_json("{'metric':'ms','max':0.8}")
                                             : assay__check_json("{'metric':'acc','min':0.1}"));
        json_object_set_new(spec, "constraints", constraints);
    }
    return spec;
}

struct assay_proposer *
assay__check_open(struct assay__check *check, json_t *spec)
{
    struct assay_error err = {0};
    struct assay_proposer *proposer;

    if (assay_proposer_new(spec, NULL, &proposer, &err) == ASSAY_OK)
        return proposer;
    /* One that decides on budgets may need some, and trials that keep checkpoints. */
    for (int more = 0; (check->algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) && more < 2; more++) {
        if (more == 0)
            json_object_set_new(spec, "budget",
                                assay__check_json("{'name':'epochs','min':1,'max':9,'eta':3}"));
        else
            json_object_set_new(spec, "trial", assay__check_json("{'checkpoints':true}"));
        err = (struct assay_error){0};
        if (assay_proposer_new(spec, NULL, &proposer, &err) == ASSAY_OK)
            return proposer;
    }
    (void)assay__check_refuse(check, "%s", err.message);
    return NULL;
}

struct assay_space *
assay__check_space(const json_t *spec)
{
    struct assay_faults faults = {0};
    struct assay_space *space =
        assay_space_decode(json_object_get(spec, "parameters"), "", &faults);

    ASSAY_ASSERT(space != NULL);
    assay_faults_done(&faults);
    return space;
}

/* --- asking and telling --- */

bool
assay__check_tell(struct assay__check *check, struct assay_proposer *proposer, const json_t *trials)
{
    struct assay_error err = {0};

    if (assay_proposer_tell(proposer, trials, &err) == ASSAY_OK)
        return true;
    return assay__check_fail(check, "%s", err.message);
}

bool
assay__check_tell_one(struct assay__check *check, struct assay_proposer *proposer, json_t *trial)
{
    json_auto_t *list = json_pack("[O]", trial);

    return assay__check_tell(check, proposer, list);
}

json_t *
assay__check_ask(struct assay__check *check, struct assay_proposer *proposer, int64_t first,
                 size_t n, bool *ret_exhausted)
{
    int64_t numbers[ASSAY__CHECK_BATCH_MAX], start_us = assay_monotonic_us(), took_us;
    struct assay_error err = {0};
    json_t *trials;

    for (size_t i = 0; i < n; i++)
        numbers[i] = first + (int64_t)i;
    if (assay_proposer_ask(proposer, numbers, n, &trials, ret_exhausted, &err) != ASSAY_OK) {
        (void)assay__check_fail(check, "%s", err.message);
        return NULL;
    }
    took_us = assay_monotonic_us() - start_us;
    check->result->ask_max_us = fmax(check->result->ask_max_us, (double)took_us);
    if (check->limits->ask_us > 0 && took_us > check->limits->ask_us) {
        (void)assay__check_fail(check, "the ask for trial %lld took %.3g s", (long long)first,
                                (double)took_us / ASSAY_SECOND_US);
        json_decref(trials);
        return NULL;
    }
    return trials;
}

bool
assay__check_same(struct assay__check *check, json_t *one, json_t *other, const char *when)
{
    bool same = one != NULL && other != NULL && json_equal(one, other);

    if (!same && one != NULL && other != NULL) {
        assay_auto_free char *a = json_dumps(one, JSON_SORT_KEYS | JSON_COMPACT);
        assay_auto_free char *b = json_dumps(other, JSON_SORT_KEYS | JSON_COMPACT);

        (void)assay__check_fail(check, "%s it answers otherwise: %.160s, and then %.160s", when, a,
                                b);
    }
    json_decref(one);
    json_decref(other);
    return same;
}

bool
assay__check_point(struct assay__check *check, const struct assay_space *space,
                   const json_t *parameters)
{
    assay_auto_free double *point = assay_alloc(space->n_parameters, sizeof *point);
    struct assay_faults faults = {0};
    bool fine = assay_point_decode(space, parameters, "", false, &faults, point);

    if (!fine) {
        (void)assay__check_fail(check, "a point outside of the space: %s %s",
                                faults.items[0].pointer, faults.items[0].message);
    } else {
        json_auto_t *again = assay_point_encode(space, point);

        fine = json_equal(again, parameters) ||
               assay__check_fail(check, "a point that is not written exactly");
    }
    assay_faults_done(&faults);
    return fine;
}

bool
assay__check_unseen(struct assay__check *check, json_t *seen, const json_t *parameters)
{
    assay_auto_free char *text = json_dumps(parameters, JSON_SORT_KEYS);

    if (json_object_get(seen, text) != NULL)
        return assay__check_fail(check, "%.300s was proposed twice while other points were left",
                                 text);
    json_object_set_new(seen, text, json_true());
    return true;
}

bool
assay__check_budget(struct assay__check *check, const json_t *spec, const json_t *trial)
{
    const json_t *budget = json_object_get(spec, "budget");
    const json_t *given = json_object_get(trial, "budget");
    double value = json_number_value(given);

    if (given == NULL)
        return true;
    if (budget == NULL)
        return assay__check_fail(check, "it gave a budget of %g in a study that has none", value);
    if (!(value >= json_number_value(json_object_get(budget, "min")) &&
          value <= json_number_value(json_object_get(budget, "max"))))
        return assay__check_fail(check, "it gave a budget of %g, outside of the study's", value);
    return true;
}

/* --- what becomes of a trial --- */

/* A number in [0, 1) that depends on the point and `k` alone: a rough landscape. */
static double
landscape(const json_t *parameters, uint64_t k)
{
    const char *name;
    json_t *value;
    double sum = 0.0;

    json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
    {
        double x = json_is_number(value)              ? json_number_value(value)
                   : json_is_true(value)              ? 1.0
                   : json_string_value(value) != NULL ? (double)json_string_value(value)[0]
                                                      : 0.0;

        /* Bounded whatever the range: the arctangent of the size. */
        sum += sin((double)(k + 1) + 3.0 * atan(x)) + 0.1 * sin(40.0 * atan(x));
    }
    return 0.5 + 0.5 * sin(sum);
}

static json_t *
value_of(enum assay__outcomes outcomes, const json_t *parameters, int64_t number, size_t k)
{
    static const char *const odd[] = {"nan", "inf", "-inf"};

    if (outcomes == ASSAY__OUTCOMES_CONSTANT)
        return json_real(0.25);
    if (outcomes == ASSAY__OUTCOMES_NOT_FINITE && number % 4 != 0)
        return number % 4 == 3 && number % 8 == 3 ? json_real(1e308) : json_string(odd[number % 3]);
    if (outcomes == ASSAY__OUTCOMES_MIXED && number % 3 == 1)
        return json_null();
    return json_real(landscape(parameters, k));
}

static const char *
state_of(enum assay__outcomes outcomes, const json_t *parameters, int64_t number)
{
    static const char *const states[] = {"succeeded", "stopped", "infeasible", "failed",
                                         "cancelled"};

    if (outcomes == ASSAY__OUTCOMES_MIXED)
        return states[(size_t)number % ASSAY_COUNT(states)];
    if (outcomes == ASSAY__OUTCOMES_ALL_FAILED)
        return "failed";
    if (outcomes == ASSAY__OUTCOMES_REGIONS && landscape(parameters, 7) < 0.5)
        return "infeasible";
    return "succeeded";
}

void
assay__check_end_trial(const struct assay__scenario *scenario, json_t *trial)
{
    const json_t *parameters = json_object_get(trial, "parameters");
    int64_t number = json_integer_value(json_object_get(trial, "number"));
    const char *state = state_of(scenario->outcomes, parameters, number);

    json_object_set_new(trial, "state", json_string(state));
    if (strcmp(state, "succeeded") == 0 || strcmp(state, "stopped") == 0) {
        json_t *values = json_array();

        for (size_t k = 0; k < ASSAY_MAX(scenario->objectives, (size_t)1); k++)
            json_array_append_new(values, value_of(scenario->outcomes, parameters, number, k));
        json_object_set_new(trial, "values", values);
    }
    if (scenario->constraints > 0) {
        json_t *constraints = json_array();

        for (size_t k = 0; k < scenario->constraints; k++)
            json_array_append_new(constraints, number % 9 == 8
                                                   ? json_null()
                                                   : json_real(landscape(parameters, 20 + k)));
        json_object_set_new(trial, "constraints", constraints);
    }
}

void
assay__check_set_state(json_t *trial, const char *state)
{
    json_object_set_new(trial, "state", json_string(state));
}

bool
assay__check_replay(struct assay__check *check, json_t *spec, const json_t *history, int64_t number,
                    json_t *expected, size_t piece)
{
    struct assay_proposer *fresh = assay__check_open(check, spec);
    size_t count = json_array_size(history);
    bool exhausted,
        fine = fresh != NULL || assay__check_fail(check, "it started once, and then did not");

    for (size_t i = 0; fine && i < count; i += piece) {
        json_auto_t *part = json_array();

        for (size_t k = i; k < ASSAY_MIN(count, i + piece); k++)
            json_array_append(part, json_array_get(history, k));
        fine = assay__check_tell(check, fresh, part);
    }
    if (fine)
        fine = assay__check_same(check, json_incref(expected),
                                 assay__check_ask(check, fresh, number, 1, &exhausted),
                                 piece == 1 ? "told the history again, one trial at a time,"
                                            : "told the history again, ten trials at a time,");
    assay_proposer_free(fresh);
    return fine;
}

bool
assay__check_may_wait(const struct assay__check *check)
{
    return (check->algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) != 0;
}

bool
assay__check_is_waiting(const struct assay__check *check, const json_t *trial)
{
    return assay__check_may_wait(check) &&
           (trial == NULL || json_object_get(trial, "resume") != NULL);
}

int64_t
assay__check_heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();

    return (int64_t)(info.uordblks + info.hblkhd);
}
