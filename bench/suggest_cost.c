/* What a suggestion costs: drives algorithms as the suggestion worker does, for
 * bench/suggest.
 *
 *   suggest_cost --list          names of the algorithms
 *   suggest_cost FILE wall|cpu   FILE is {"parameters":[…],"history":[[{…},value],…]},
 *                                the history being points with their losses; times by
 *                                the clock on the wall, or the processor's on this process
 *
 * With a file, each line of standard input asks for one round:
 *   ALGORITHM TRIALS ASKS SECONDS table|json
 * a fresh instance is told the first TRIALS of the history, asked once, and then
 * asked and told ASKS times more, or until SECONDS have passed, but five times at
 * least.  `table` calls the algorithm's own table, `json` goes through
 * assay_proposer.  The answer is a line
 *   {"load_us":…,"first_us":…,"ask_us":[…],"tell_us":[…]}
 * or {"error":"…"}.  A told trial comes in the two states that a daemon tells,
 * pending and ended, in one call.  One thread. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/json.h"
#include "common/memory.h"
#include "schemas/point.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"
#include "suggest/settings.h"
#include "suggest/view.h"

#define NAME_BYTES 64
#define ASKS_MIN 5
#define SEED 1

struct bench {
    json_t *parameters;
    struct assay_space *space;
    struct assay_view *view;
    size_t n_parameters, n_trials;
    double *points, *values; /* the history */
    json_t *told;            /* the history as assay_proposer_tell takes it */
};

struct round {
    char algorithm[NAME_BYTES], way[NAME_BYTES];
    size_t trials, asks;
    double seconds;
    double load_us, first_us;
    double *ask_us, *tell_us; /* n items */
    size_t n;
};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double
now_us(void)
{
    struct timespec time;

    clock_gettime(clock_used, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static _Noreturn void
give_up(const char *what)
{
    fprintf(stderr, "suggest_cost: %s\n", what);
    exit(1);
}

/* --- the study --- */

/* Where a value lies in [0, 1] on its scale. */
static double
position(const struct assay_plugin_parameter *parameter, double value)
{
    double min = parameter->min, max = parameter->max;

    if (parameter->scale == ASSAY_PLUGIN_LOG)
        return log(value / min) / log(max / min);
    return (value - min) / (max - min);
}

static double
loss(const struct assay_plugin_space *space, const double *point)
{
    double sum = 0.0;

    for (size_t i = 0; i < space->n_parameters; i++) {
        double away = isnan(point[i]) ? 0.3 : position(space->parameters[i], point[i]) - 0.3;

        sum += (double)(1 + i % 3) * away * away;
    }
    return sum;
}

static json_t *
trial_json(int64_t number, const char *state, json_t *parameters, json_t *values)
{
    return json_pack("{s:I, s:s, s:O, s:o}", "number", (json_int_t)number, "state", state,
                     "parameters", parameters, "values", values);
}

static void
bench_read(struct bench *bench, const char *path)
{
    struct assay_faults faults = {0};
    json_error_t fault;
    json_t *file = json_load_file(path, 0, &fault), *history, *pair;
    size_t i;

    if (file == NULL)
        give_up(fault.text);
    bench->parameters = json_incref(json_object_get(file, "parameters"));
    bench->space = assay_space_decode(bench->parameters, "", &faults);
    if (bench->space == NULL)
        give_up(faults.items[0].message);
    bench->view = assay_view_new(bench->space);
    bench->n_parameters = bench->space->n_parameters;
    history = json_object_get(file, "history");
    bench->n_trials = json_array_size(history);
    bench->points = assay_alloc(bench->n_trials * bench->n_parameters + 1, sizeof(double));
    bench->values = assay_alloc(bench->n_trials + 1, sizeof(double));
    bench->told = json_array();
    json_array_foreach(history, i, pair) {
        json_t *parameters = json_array_get(pair, 0);
        double *point = &bench->points[i * bench->n_parameters];

        if (!assay_point_decode(bench->space, parameters, "", false, &faults, point))
            give_up(faults.items[0].message);
        bench->values[i] = json_number_value(json_array_get(pair, 1));
        json_array_append_new(bench->told,
                              trial_json((int64_t)i + 1, "succeeded", parameters,
                                         json_pack("[f]", bench->values[i])));
    }
    json_decref(file);
}

/* --- a round by the algorithm's table --- */

static const struct assay_plugin_trial **
history_trials(const struct bench *bench, size_t n, struct assay_plugin_trial *trials)
{
    const struct assay_plugin_trial **pointers = assay_alloc(n + 1, sizeof *pointers);

    for (size_t i = 0; i < n; i++) {
        trials[i] = (struct assay_plugin_trial){
            .number = (int64_t)i + 1,
            .state = ASSAY_PLUGIN_SUCCEEDED,
            .point = &bench->points[i * bench->n_parameters],
            .values = &bench->values[i],
            .budget = NAN,
            .steps = -1,
        };
        pointers[i] = &trials[i];
    }
    return pointers;
}

static int32_t
tell_one(const struct assay_plugin_algorithm *algorithm, void *instance, int64_t number,
         const double *point, double value, char *error, size_t error_size)
{
    const double none = NAN;
    const struct assay_plugin_trial pending = {.number = number, .state = ASSAY_PLUGIN_PENDING,
                                               .point = point, .values = &none, .budget = NAN,
                                               .steps = -1};
    const struct assay_plugin_trial ended = {.number = number, .state = ASSAY_PLUGIN_SUCCEEDED,
                                             .point = point, .values = &value, .budget = NAN,
                                             .steps = -1};
    const struct assay_plugin_trial *both[] = {&pending, &ended};

    return algorithm->update(instance, both, 2, error, error_size);
}

static int32_t
ask_one(const struct assay_plugin_algorithm *algorithm, void *instance, int64_t number,
        double *point, char *error, size_t error_size)
{
    char why[ASSAY_PLUGIN_WHY_BYTES] = "{}";
    double budget = NAN;
    int64_t resume = 0, parent = 0;
    const struct assay_plugin_suggestion suggestion = {.point = point,
                                                       .budget = &budget,
                                                       .why = why,
                                                       .why_size = sizeof why,
                                                       .resume = &resume,
                                                       .parent = &parent};
    const struct assay_plugin_suggestion *pointer = &suggestion;
    uint64_t count = 0;
    int32_t result = algorithm->suggest(instance, &number, 1, &pointer, &count, error, error_size);

    if (result >= 0 && count != 1)
        return ASSAY_PLUGIN_ERROR;
    return result;
}

static int32_t
play_table(const struct bench *bench, const struct assay_plugin_algorithm *algorithm,
           void *instance, struct round *round, double *point, char *error, size_t error_size)
{
    const struct assay_plugin_space *space = assay_view_space(bench->view);
    struct assay_plugin_trial *trials = assay_alloc(round->trials + 1, sizeof *trials);
    const struct assay_plugin_trial **pointers = history_trials(bench, round->trials, trials);
    double begin = now_us(), end;
    int32_t result = algorithm->update(instance, pointers, round->trials, error, error_size);
    int64_t number = (int64_t)round->trials + 1;

    free(pointers);
    free(trials);
    round->load_us = now_us() - begin;
    for (size_t i = 0; i <= round->asks && result >= 0; i++, number++) {
        double asked = now_us(), answered, told;

        result = ask_one(algorithm, instance, number, point, error, error_size);
        answered = now_us();
        if (result < 0)
            break;
        end = loss(space, point);
        told = now_us();
        result = tell_one(algorithm, instance, number, point, end, error, error_size);
        if (i == 0) {
            round->first_us = answered - asked;
            begin = now_us();
            continue;
        }
        round->ask_us[round->n] = answered - asked;
        round->tell_us[round->n++] = now_us() - told;
        if (round->n >= ASKS_MIN && now_us() - begin > round->seconds * 1e6)
            break;
    }
    return result;
}

static bool
round_by_table(const struct bench *bench, struct round *round, char *error, size_t error_size)
{
    const struct assay_plugin_algorithm *algorithm = assay_registry_algorithm(round->algorithm);
    double *point = assay_alloc(bench->n_parameters, sizeof *point);
    assay_auto_free char *settings = NULL;
    json_t *schema, *filled;
    void *instance = NULL;
    int32_t result;
    const double sign = 1.0;

    schema = json_loads(algorithm->settings_schema, 0, NULL);
    filled = assay_settings_fill(schema, NULL);
    settings = json_dumps(filled, 0);
    json_decref(filled);
    json_decref(schema);
    result = algorithm->create(&(struct assay_plugin_study){.space = assay_view_space(bench->view),
                                                            .n_objectives = 1,
                                                            .settings = settings,
                                                            .seed = SEED,
                                                            .budget_min = NAN,
                                                            .budget_max = NAN,
                                                            .budget_eta = NAN,
                                                            .signs = &sign},
                               &instance, error, error_size);
    if (result >= 0) {
        result = play_table(bench, algorithm, instance, round, point, error, error_size);
        algorithm->destroy(instance);
    }
    free(point);
    return result >= 0;
}

/* --- a round with JSON at the edges --- */

static bool
play_json(const struct bench *bench, struct assay_proposer *proposer, struct round *round,
          double *point, struct assay_error *err)
{
    const struct assay_plugin_space *space = assay_view_space(bench->view);
    int64_t number = (int64_t)round->trials + 1;
    struct assay_faults faults = {0};
    json_t *first = json_array();
    double begin = now_us();
    assay_status status;

    for (size_t i = 0; i < round->trials; i++)
        json_array_append(first, json_array_get(bench->told, i));
    status = assay_proposer_tell(proposer, first, err);
    json_decref(first);
    round->load_us = now_us() - begin;
    for (size_t i = 0; i <= round->asks && status == ASSAY_OK; i++, number++) {
        double asked = now_us(), answered, told;
        json_t *answer, *parameters, *tells;
        bool exhausted;

        status = assay_proposer_ask(proposer, &number, 1, &answer, &exhausted, err);
        answered = now_us();
        if (status != ASSAY_OK)
            break;
        parameters = json_object_get(json_array_get(answer, 0), "parameters");
        if (!assay_point_decode(bench->space, parameters, "", false, &faults, point))
            give_up("a suggestion is no point of the space");
        tells = json_pack("[o, o]", trial_json(number, "pending", parameters, json_null()),
                          trial_json(number, "succeeded", parameters,
                                     json_pack("[f]", loss(space, point))));
        told = now_us();
        status = assay_proposer_tell(proposer, tells, err);
        json_decref(answer);
        json_decref(tells);
        if (i == 0) {
            round->first_us = answered - asked;
            begin = now_us();
            continue;
        }
        round->ask_us[round->n] = answered - asked;
        round->tell_us[round->n++] = now_us() - told;
        if (round->n >= ASKS_MIN && now_us() - begin > round->seconds * 1e6)
            break;
    }
    return status == ASSAY_OK;
}

static bool
round_by_json(const struct bench *bench, struct round *round, char *error, size_t error_size)
{
    json_t *spec = json_pack("{s:O, s:{s:s, s:s}, s:{s:s}, s:i}", "parameters", bench->parameters,
                             "objective", "metric", "loss", "goal", "minimize", "algorithm", "name",
                             round->algorithm, "seed", SEED);
    double *point = assay_alloc(bench->n_parameters, sizeof *point);
    struct assay_proposer *proposer = NULL;
    struct assay_error err = {0};
    bool ok = assay_proposer_new(spec, NULL, &proposer, &err) == ASSAY_OK &&
              play_json(bench, proposer, round, point, &err);

    snprintf(error, error_size, "%s", err.message);
    assay_proposer_free(proposer);
    free(point);
    json_decref(spec);
    return ok;
}

/* --- answering --- */

static json_t *
numbers_json(const double *numbers, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, json_real(numbers[i]));
    return array;
}

static void
answer(json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(json);
}

static void
play_round(const struct bench *bench, struct round *round)
{
    char error[ASSAY_ERROR_MESSAGE_BYTES] = "";
    bool ok = false;

    round->ask_us = assay_alloc(round->asks + 1, sizeof *round->ask_us);
    round->tell_us = assay_alloc(round->asks + 1, sizeof *round->tell_us);
    if (assay_registry_algorithm(round->algorithm) == NULL)
        snprintf(error, sizeof error, "there is no algorithm %s", round->algorithm);
    else if (round->trials > bench->n_trials)
        snprintf(error, sizeof error, "the history has %zu trials", bench->n_trials);
    else if (strcmp(round->way, "json") == 0)
        ok = round_by_json(bench, round, error, sizeof error);
    else
        ok = round_by_table(bench, round, error, sizeof error);
    if (ok)
        answer(json_pack("{s:f, s:f, s:o, s:o}", "load_us", round->load_us, "first_us",
                         round->first_us, "ask_us", numbers_json(round->ask_us, round->n),
                         "tell_us", numbers_json(round->tell_us, round->n)));
    else
        answer(json_pack("{s:s}", "error", error[0] != '\0' ? error : "it proposed nothing"));
    free(round->ask_us);
    free(round->tell_us);
}

int
main(int argc, char **argv)
{
    struct bench bench = {0};
    char line[512];

    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; assay_registry_algorithm_at(i) != NULL; i++)
            puts(assay_registry_algorithm_at(i)->name);
        return 0;
    }
    if (argc != 3)
        give_up("give --list, or the file with the space and its history, and a clock");
    if (strcmp(argv[2], "cpu") == 0)
        clock_used = CLOCK_PROCESS_CPUTIME_ID;
    bench_read(&bench, argv[1]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct round round = {0};

        if (sscanf(line, "%63s %zu %zu %lf %63s", round.algorithm, &round.trials, &round.asks,
                   &round.seconds, round.way) != 5)
            give_up("a round is ALGORITHM TRIALS ASKS SECONDS table|json");
        play_round(&bench, &round);
    }
    json_decref(bench.told);
    json_decref(bench.parameters);
    free(bench.points);
    free(bench.values);
    assay_view_free(bench.view);
    assay_space_free(bench.space);
    return 0;
}
