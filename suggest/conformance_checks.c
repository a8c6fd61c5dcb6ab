/* Checks of algorithms other than playing one study to its end. */
#include "common/number.h"
#include "suggest/conformance_internal.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/host.h"
#include "suggest/registry.h"

#define TIMED_ASKS 41
/* Telling an algorithm to stop must help within this. */
#define STOP_US (2 * ASSAY_SECOND_US)
/* Small enough to be caches that fill up once. */
#define LEAK_BYTES (INT64_C(1) << 20)

static const struct assay__scenario small_space = {
    .parameters = "[{'name':'a','type':'int','min':1,'max':4},"
                  "{'name':'b','type':'categorical','values':['p','q','r']}]"};

/* Points that a user queued or imported are not proposed again; numbers have gaps, and
 * one point several trials. */
bool
assay__check_users_points(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &small_space, 9);
    json_auto_t *users = assay__check_json(
        "[{'number':1,'state':'queued','parameters':{'a':1,'b':'p'}},"
        "{'number':2,'state':'succeeded','parameters':{'a':2,'b':'q'},'values':[0.5]},"
        "{'number':3,'state':'queued','parameters':{'a':1,'b':'p'}},"
        "{'number':7,'state':'succeeded','parameters':{'a':2,'b':'q'},'values':[0.25]},"
        "{'number':9,'state':'running','parameters':{'a':4,'b':'r'},'values':[null]}]");
    json_auto_t *seen = assay__check_json("{'{\\\"a\\\": 1, \\\"b\\\": \\\"p\\\"}':true,"
                                          "'{\\\"a\\\": 2, \\\"b\\\": \\\"q\\\"}':true,"
                                          "'{\\\"a\\\": 4, \\\"b\\\": \\\"r\\\"}':true}");
    struct assay_proposer *proposer = assay__check_open(check, spec);
    bool exhausted, fine = proposer != NULL && assay__check_tell(check, proposer, users);
    json_auto_t *trials = fine ? assay__check_ask(check, proposer, 10, 12, &exhausted) : NULL;

    fine = trials != NULL;
    for (size_t i = 0; fine && i < json_array_size(trials); i++)
        fine = assay__check_unseen(check, seen,
                                   json_object_get(json_array_get(trials, i), "parameters"));
    if (fine && !assay__check_may_wait(check) && (json_array_size(trials) != 9 || !exhausted))
        fine = assay__check_fail(check, "%zu points for 12 trials where 9 were left%s",
                                 json_array_size(trials),
                                 exhausted ? "" : ", and no word that the space is used up");
    assay_proposer_free(proposer);
    return fine;
}

/* Asks for many at once, before anything is told, get different points. */
bool
assay__check_batches(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &small_space, 4), *seen = json_object();
    struct assay_proposer *proposer = assay__check_open(check, spec);
    bool exhausted, fine = proposer != NULL;
    json_auto_t *trials = fine ? assay__check_ask(check, proposer, 1, 12, &exhausted) : NULL;
    json_auto_t *more =
        trials != NULL ? assay__check_ask(check, proposer, 1, 13, &exhausted) : NULL;

    fine = more != NULL;
    if (fine && !assay__check_may_wait(check) && json_array_size(trials) != 12)
        fine = assay__check_fail(check, "%zu points for 12 trials in a space of 12",
                                 json_array_size(trials));
    for (size_t i = 0; fine && i < json_array_size(trials); i++)
        fine = assay__check_unseen(check, seen,
                                   json_object_get(json_array_get(trials, i), "parameters"));
    if (fine && !assay__check_may_wait(check) && (json_array_size(more) != 12 || !exhausted))
        fine = assay__check_fail(check, "%zu points for 13 trials in a space of 12%s",
                                 json_array_size(more),
                                 exhausted ? "" : ", and no word that it is used up");
    assay_proposer_free(proposer);
    return fine;
}

static const struct assay__scenario ordinary = {.parameters = ASSAY__MIXED_SPACE,
                                                .outcomes = ASSAY__OUTCOMES_SMOOTH};

/* Trials that run side by side end in any order; a restart tells them by number. */
bool
assay__check_order(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &ordinary, 3), *history = json_array();
    struct assay_proposer *proposer = assay__check_open(check, spec);
    struct assay_random random;
    bool exhausted, fine = proposer != NULL;

    assay_random_init(&random, 5, 0, 1);
    for (int64_t number = 1; fine && number <= 60 && !assay__check_is_late(check); number++) {
        json_auto_t *trials = assay__check_ask(check, proposer, number, 1, &exhausted);
        json_t *trial = json_array_get(trials, 0);

        if (trials != NULL && assay__check_is_waiting(check, trial))
            break;
        fine = trial != NULL ||
               (trials != NULL &&
                assay__check_fail(check, "no point for trial %lld", (long long)number));
        if (fine && number % 10 == 5)
            fine = assay__check_replay(check, spec, history, number, trials, 10);
        if (!fine)
            break;
        assay__check_set_state(trial, "running");
        json_array_append(history, trial);
        fine = assay__check_tell_one(check, proposer, trial);
        if (fine && number > 6) { /* one of those that run ends */
            size_t i = (size_t)assay_random_below(&random, (uint64_t)number);
            json_t *ended = json_array_get(history, i);

            assay__check_end_trial(&ordinary, ended);
            fine = assay__check_tell_one(check, proposer, ended);
        }
        check->result->trials++;
    }
    assay_proposer_free(proposer);
    return fine;
}

/* Plays `n` trials of two instances in turns or one after the other. */
static bool
play_two(struct assay__check *check, bool in_turns, size_t n, json_t *points)
{
    struct assay_proposer *proposers[2] = {NULL, NULL};
    bool exhausted, fine = true;

    for (size_t p = 0; fine && p < 2; p++) {
        json_auto_t *spec = assay__check_spec(check, &ordinary, 20 + p);

        proposers[p] = assay__check_open(check, spec);
        fine = proposers[p] != NULL;
    }
    for (size_t k = 0; fine && k < 2 * n; k++) {
        size_t p = in_turns ? k % 2 : k / n, i = in_turns ? k / 2 : k % n;
        json_auto_t *trials = assay__check_ask(check, proposers[p], (int64_t)i + 1, 1, &exhausted);
        json_t *trial = json_array_get(trials, 0);
        assay_auto_free char *key = assay_format("%zu/%zu", p, i);

        if (trials != NULL && assay__check_is_waiting(check, trial))
            continue;
        fine = trial != NULL ||
               (trials != NULL && assay__check_fail(check, "no point for trial %zu", i + 1));
        if (fine) {
            json_object_set(points, key, json_object_get(trial, "parameters"));
            assay__check_end_trial(&ordinary, trial);
            fine = assay__check_tell_one(check, proposers[p], trial);
        }
    }
    for (size_t p = 0; p < 2; p++)
        assay_proposer_free(proposers[p]);
    return fine;
}

/* Nothing is shared between instances. */
bool
assay__check_two_studies(struct assay__check *check)
{
    json_auto_t *in_turns = json_object(), *in_a_row = json_object();

    return play_two(check, true, 30, in_turns) && play_two(check, false, 30, in_a_row) &&
           assay__check_same(check, json_incref(in_a_row), json_incref(in_turns),
                             "with another study beside it");
}

/* A history of so many ended trials at random points, as one array. */
static json_t *
random_history(const struct assay__scenario *scenario, const json_t *spec, size_t n)
{
    struct assay_proposer *proposer;
    json_auto_t *random = json_pack("{s:O, s:O, s:{s:s, s:{}}, s:i}", "parameters",
                                    json_object_get(spec, "parameters"), "objectives",
                                    json_object_get(spec, "objectives"), "algorithm", "name",
                                    "random", "settings", "seed", 99);
    json_t *history = json_array();
    bool exhausted;

    ASSAY_ASSERT(assay_proposer_new(random, NULL, &proposer, NULL) == ASSAY_OK);
    for (size_t i = 0; i < n; i++) {
        int64_t number = (int64_t)i + 1;
        json_t *trials;

        ASSAY_ASSERT(assay_proposer_ask(proposer, &number, 1, &trials, &exhausted, NULL) ==
                     ASSAY_OK);
        assay__check_end_trial(scenario, json_array_get(trials, 0));
        json_array_append(history, json_array_get(trials, 0));
        json_decref(trials);
    }
    assay_proposer_free(proposer);
    return history;
}

static const struct assay__scenario twenty = {.wide = 20, .outcomes = ASSAY__OUTCOMES_SMOOTH};

/* With the flag of should_stop() up, an ask must not go on for long.  Either answer
 * will do: a quick one has no need to look at the flag. */
bool
assay__check_stop(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &twenty, 2);
    struct assay_proposer *proposer = assay__check_open(check, spec);
    json_auto_t *history = random_history(&twenty, spec, 300);
    bool exhausted, fine = proposer != NULL && assay__check_tell(check, proposer, history);
    int64_t numbers[ASSAY_PROPOSER_ASK_MAX], start_us, computed_us, took_us;
    struct assay_error err = {0};
    json_t *trials = NULL;

    if (!fine) {
        assay_proposer_free(proposer);
        return false;
    }
    for (size_t i = 0; i < ASSAY_COUNT(numbers); i++)
        numbers[i] = 301 + (int64_t)i;
    assay_host_set_stop(true);
    start_us = assay_monotonic_us();
    computed_us = assay_processor_us();
    if (assay_proposer_ask(proposer, numbers, ASSAY_COUNT(numbers), &trials, &exhausted, &err) !=
            ASSAY_OK &&
        err.status != ASSAY_E_UNAVAILABLE)
        fine = assay__check_fail(check, "told to stop it failed otherwise: %s", err.message);
    computed_us = assay_processor_us() - computed_us;
    took_us = assay_monotonic_us() - start_us;
    assay_host_set_stop(false);
    json_decref(trials);
    /* A busy machine makes nobody deaf; one that sleeps is given longer. */
    if (fine && (computed_us > STOP_US || took_us > 10 * STOP_US))
        fine = assay__check_fail(check, "it went on for %.3g s after should_stop() said to stop",
                                 (double)took_us / ASSAY_SECOND_US);
    assay_proposer_free(proposer);
    return fine;
}

/* What an ask costs with 20 mixed parameters and 1,000 trials. */
bool
assay__check_time(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &twenty, 2);
    struct assay_proposer *proposer = assay__check_open(check, spec);
    json_auto_t *history = random_history(&twenty, spec, 1000);
    bool exhausted, fine = proposer != NULL && assay__check_tell(check, proposer, history);
    double took[TIMED_ASKS];
    size_t n = 0;

    while (fine && n < TIMED_ASKS && !assay__check_is_late(check)) {
        int64_t start_us = assay_monotonic_us();
        json_auto_t *trials = assay__check_ask(check, proposer, 1001 + (int64_t)n, 1, &exhausted);

        took[n++] = (double)(assay_monotonic_us() - start_us);
        fine = trials != NULL;
        if (fine && json_array_size(trials) == 1) {
            assay__check_end_trial(&twenty, json_array_get(trials, 0));
            fine = assay__check_tell(check, proposer, trials);
        }
    }
    assay_proposer_free(proposer);
    if (!fine)
        return false;
    check->result->trials = 1000 + n;
    qsort(took, n, sizeof *took, assay_compare_doubles);
    check->result->ask_us = n > 0 ? took[n / 2] : NAN;
    return true;
}

/* One instance from birth to death, with a history and asks. */
static bool
live_and_die(struct assay__check *check, json_t *spec, const json_t *history, size_t asks)
{
    struct assay_proposer *proposer = assay__check_open(check, spec);
    bool exhausted, fine = proposer != NULL && assay__check_tell(check, proposer, history);

    for (size_t i = 0; fine && i < asks; i++) {
        json_auto_t *trials =
            assay__check_ask(check, proposer, 101 + (int64_t)(i % 4), 1, &exhausted);

        fine = trials != NULL;
    }
    assay_proposer_free(proposer);
    return fine;
}

/* Instances that are destroyed and asks that are repeated leave nothing behind. */
bool
assay__check_memory(struct assay__check *check)
{
    json_auto_t *spec = assay__check_spec(check, &ordinary, 2);
    json_auto_t *history = random_history(&ordinary, spec, 100);
    bool fine = true;
    size_t rounds = 0;
    int64_t before, grown;

    for (size_t i = 0; fine && i < 5; i++)
        fine = live_and_die(check, spec, history, 20);
    before = assay__check_heap_bytes();
    for (; fine && rounds < 100 && !assay__check_is_late(check); rounds++)
        fine = live_and_die(check, spec, history, 20);
    grown = assay__check_heap_bytes() - before;
    if (fine && grown > LEAK_BYTES)
        fine = assay__check_fail(check, "%zu instances that lived and died left %.1f MiB behind",
                                 rounds, (double)grown / (1 << 20));
    return fine;
}
