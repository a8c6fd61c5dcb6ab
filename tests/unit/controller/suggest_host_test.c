/* The suggestion host with real workers: answers, prepared answers, workers that die,
 * histories that can not be read, many studies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/host/host.h"
#include "tests/unit/free_port.h"

#define STUDIES_MAX 400
#define PATIENCE_US (150 * ASSAY_SECOND_US) /* longer than the host's */

static char *program;

/* A study as the engine would hold it. */
struct study {
    json_t *document;
    json_t *history; /* array of trials as they are told */
    int64_t next_number;
    json_t *answer;  /* of the last ask; NULL: none yet */
    char *failure;
    char *waits; /* why it waits, as heard last */
    int replays;
    int unreadable; /* replays that will fail */
};

struct life {
    uv_loop_t loop;
    struct assay_suggest_host *host;
    struct study studies[STUDIES_MAX]; /* by id */
};

static void
on_suggested(void *arg, int64_t id, const json_t *trials, bool exhausted)
{
    struct life *life = arg;

    (void)exhausted;
    assert_null(life->studies[id].answer);
    life->studies[id].answer = json_deep_copy(trials);
}

static void
on_failed(void *arg, int64_t id, const char *sentence)
{
    struct life *life = arg;

    assert_null(life->studies[id].failure);
    life->studies[id].failure = assay_strdup(sentence);
}

static void
on_waits(void *arg, int64_t id, const char *sentence)
{
    struct life *life = arg;

    free(life->studies[id].waits);
    life->studies[id].waits = assay_strdup(sentence);
}

static bool
on_sources(void *arg, int64_t id, json_t **ret_sources)
{
    (void)arg;
    (void)id;
    *ret_sources = NULL;
    return true;
}

static bool
on_replay(void *arg, int64_t id)
{
    struct life *life = arg;
    struct study *study = &life->studies[id];
    size_t i;
    json_t *trial;

    study->replays++;
    if (study->unreadable > 0) {
        study->unreadable--;
        return false;
    }
    json_array_foreach(study->history, i, trial)
        assay_suggest_host_tell(life->host, id, json_deep_copy(trial));
    return true;
}

static void
begin_with(struct life *life, int workers, const char *const *relay_arguments, int64_t renew_us)
{
    struct assay_suggest_host_options options = {
        .loop = &life->loop,
        .events = {on_suggested, on_failed, on_waits, on_sources, on_replay, life},
        .program = program,
        .workers = workers,
        .memory_bytes = INT64_C(4) << 30,
        .deadline_us = 120 * ASSAY_SECOND_US,
        .relay_arguments = relay_arguments,
        .renew_us = renew_us,
    };

    *life = (struct life){0};
    assert_int_equal(uv_loop_init(&life->loop), 0);
    life->host = assay_suggest_host_new(&options);
}

static void
begin(struct life *life, int workers)
{
    begin_with(life, workers, NULL, 0);
}

static void
end(struct life *life)
{
    assay_suggest_host_close(life->host);
    uv_run(&life->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&life->loop), 0);
    assay_suggest_host_free(life->host);
    for (size_t i = 0; i < STUDIES_MAX; i++) {
        json_decref(life->studies[i].document);
        json_decref(life->studies[i].history);
        json_decref(life->studies[i].answer);
        free(life->studies[i].failure);
        free(life->studies[i].waits);
    }
}

static void
add_study(struct life *life, int64_t id, const char *algorithm)
{
    struct study *study = &life->studies[id];

    study->document = json_pack(
        "{s:{s:s, s:s}, s:[{s:s, s:s, s:i, s:i}, {s:s, s:s, s:i, s:i}], s:{s:s}, s:i}", "objective",
        "metric", "loss", "goal", "minimize", "parameters", "name", "x", "type", "double", "min", 0,
        "max", 1, "name", "y", "type", "double", "min", 0, "max", 1, "algorithm", "name", algorithm,
        "seed", 7);
    study->history = json_array();
    study->next_number = 1;
    assay_suggest_host_open(life->host, id, study->document);
}

static void
tell(struct life *life, int64_t id, int64_t number, const json_t *parameters)
{
    struct study *study = &life->studies[id];
    double x = json_number_value(json_object_get(parameters, "x"));
    double y = json_number_value(json_object_get(parameters, "y"));
    json_t *trial = json_pack("{s:I, s:s, s:O, s:[f]}", "number", (json_int_t)number, "state",
                              "succeeded", "parameters", (json_t *)(uintptr_t)parameters, "values",
                              (x - 0.3) * (x - 0.3) + (y - 0.6) * (y - 0.6));

    json_array_append(study->history, trial);
    assay_suggest_host_tell(life->host, id, trial);
    study->next_number = ASSAY_MAX(study->next_number, number + 1);
}

/* Trials at points that have nothing to do with the algorithm. */
static void
tell_many(struct life *life, int64_t id, int n)
{
    for (int i = 1; i <= n; i++) {
        json_t *parameters =
            json_pack("{s:f, s:f}", "x", fmod(i * 0.618, 1.0), "y", fmod(i * 0.414, 1.0));

        tell(life, id, i, parameters);
        json_decref(parameters);
    }
}

/* Runs the loop for `us` or until the study has heard something. */
static void
run_for(struct life *life, const struct study *until, int64_t us)
{
    int64_t end_us = assay_monotonic_us() + us;

    while (assay_monotonic_us() < end_us &&
           (until == NULL || (until->answer == NULL && until->failure == NULL))) {
        uv_run(&life->loop, UV_RUN_NOWAIT);
        usleep(200);
    }
}

static void
ask_only(struct life *life, int64_t id)
{
    struct study *study = &life->studies[id];

    json_decref(study->answer);
    study->answer = NULL;
    assay_suggest_host_ask(life->host, id, &study->next_number, 1);
    assert_null(study->answer); /* never within the call */
}

/* Nothing is heard of a study that is forgotten; what came before is none of this. */
static void
forget(struct life *life, int64_t id)
{
    json_decref(life->studies[id].answer);
    life->studies[id].answer = NULL;
    assay_suggest_host_forget(life->host, id);
}

/* The parameters proposed next (borrowed until the next ask). */
static const json_t *
ask(struct life *life, int64_t id)
{
    struct study *study = &life->studies[id];

    ask_only(life, id);
    run_for(life, study, PATIENCE_US);
    if (study->failure != NULL)
        fail_msg("%s", study->failure);
    assert_non_null(study->answer);
    assert_int_equal(json_array_size(study->answer), 1);
    return json_object_get(json_array_get(study->answer, 0), "parameters");
}

static struct assay_suggest_host_stats
stats_of(const struct life *life)
{
    struct assay_suggest_host_stats stats;

    assay_suggest_host_get_stats(life->host, &stats);
    return stats;
}

/* Kills the workers, which are this process's only children. */
static int
kill_workers(void)
{
    assay_auto_free char *path = assay_format("/proc/self/task/%d/children", (int)getpid());
    FILE *file = fopen(path, "r");
    int pid, n = 0;

    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1)
        n += kill(pid, SIGKILL) == 0;
    fclose(file);
    return n;
}

/* What is asked ahead is what is asked at once.  A worker that is slow for a moment is not
 * asked ahead, so that only of all asks together it is known that some were. */
static void
test_prepared(void **state ASSAY_UNUSED)
{
    static const char *const algorithms[] = {"bayesian", "tpe"};
    struct life *life = ASSAY_NEW(struct life);
    int64_t ready;

    begin(life, 1);
    for (int64_t k = 0; k < 2; k++) {
        json_t *expected = json_array();
        int64_t at_once = 3 * k + 1, ahead = 3 * k + 2, news = 3 * k + 3;

        add_study(life, at_once, algorithms[k]);
        add_study(life, ahead, algorithms[k]);
        add_study(life, news, algorithms[k]); /* prepared, and then something is told */
        ready = stats_of(life).ready;
        for (int i = 0; i < 12; i++) {
            const json_t *parameters = ask(life, at_once);

            json_array_append_new(expected, json_deep_copy(parameters));
            tell(life, at_once, i + 1, parameters);
        }
        assert_int_equal(stats_of(life).ready, ready);
        for (size_t i = 0; i < 12; i++) {
            assay_suggest_host_prepare(life->host, ahead, life->studies[ahead].next_number, 1,
                                       true);
            run_for(life, NULL, 100000);
            assert_true(json_equal(ask(life, ahead), json_array_get(expected, i)));
            tell(life, ahead, (int64_t)i + 1, json_array_get(expected, i));
        }
        ready = stats_of(life).ready;
        for (size_t i = 0; i < 12; i++) {
            assay_suggest_host_prepare(life->host, news, life->studies[news].next_number, 1,
                                       true);
            run_for(life, NULL, 30000);
            if (i > 0) /* news: the last result again */
                tell(life, news, (int64_t)i, json_array_get(expected, i - 1));
            assert_true(json_equal(ask(life, news), json_array_get(expected, i)));
            tell(life, news, (int64_t)i + 1, json_array_get(expected, i));
        }
        assert_in_range(stats_of(life).ready, ready, ready + 1); /* but for the first */
        json_decref(expected);
    }
    print_message("%lld of 24 were ready, %lld were stale\n", (long long)ready,
                  (long long)stats_of(life).stale);
    assert_in_range(ready, 1, 26);
    assert_true(stats_of(life).stale > 0);
    end(life);
    free(life);
}

/* Also while it works, and while it is asked ahead. */
static void
test_killed_worker(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);
    json_t *expected;

    begin(life, 2);
    add_study(life, 1, "bayesian");
    tell_many(life, 1, 200);
    expected = json_deep_copy(ask(life, 1));
    for (int i = 0; i < 4; i++) {
        assert_true(kill_workers() > 0);
        run_for(life, NULL, i * 2000);
        assert_true(json_equal(ask(life, 1), expected));
    }
    for (int i = 0; i < 2; i++) {
        ask_only(life, 1);
        run_for(life, NULL, 3000);
        kill_workers();
        run_for(life, &life->studies[1], PATIENCE_US);
        assert_null(life->studies[1].failure);
        assert_true(json_equal(
            json_object_get(json_array_get(life->studies[1].answer, 0), "parameters"), expected));
    }
    assay_suggest_host_prepare(life->host, 1, life->studies[1].next_number + 5, 1, true);
    run_for(life, NULL, 8000);
    kill_workers();
    assert_true(json_equal(ask(life, 1), expected));
    assert_true(stats_of(life).respawns >= 4);
    end(life);
    json_decref(expected);
    free(life);
}

static void
test_unreadable_history(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);

    begin(life, 1);
    add_study(life, 1, "tpe");
    add_study(life, 2, "random");
    tell_many(life, 1, 30);
    life->studies[1].unreadable = 2;
    ask_only(life, 1);
    ask(life, 2); /* is not held up */
    run_for(life, &life->studies[1], PATIENCE_US);
    assert_non_null(life->studies[1].answer);
    assert_int_equal(life->studies[1].replays, 3);
    end(life);
    free(life);
}

static void
test_forgotten(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);

    begin(life, 1);
    for (int64_t id = 1; id <= 4; id++) {
        add_study(life, id, "bayesian");
        tell_many(life, id, 150);
    }
    ask_only(life, 1); /* the worker is at it */
    ask_only(life, 2); /* waits */
    forget(life, 2);
    run_for(life, NULL, 5000);
    forget(life, 1);
    ask(life, 3);
    assert_null(life->studies[1].answer);
    assert_null(life->studies[2].answer);
    assay_suggest_host_prepare(life->host, 4, 151, 1, true); /* at it, there, taken */
    run_for(life, NULL, 7000);
    forget(life, 4);
    assay_suggest_host_prepare(life->host, 3, 151, 1, true);
    run_for(life, NULL, 300000);
    ask_only(life, 3);
    forget(life, 3);
    run_for(life, NULL, 20000);
    assert_null(life->studies[3].answer);
    end(life);
    free(life);
}

/* More studies than a worker keeps open: closed ones answer as before. */
static void
test_many_studies(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);
    json_t *first[STUDIES_MAX];

    begin(life, 1);
    for (int64_t id = 0; id < STUDIES_MAX; id++) {
        add_study(life, id, "tpe");
        tell_many(life, id, 20 + (int)id % 7);
        first[id] = json_deep_copy(ask(life, id));
    }
    assert_true(stats_of(life).closed >= STUDIES_MAX - 300);
    for (int64_t id = 0; id < STUDIES_MAX; id++) {
        assert_true(json_equal(ask(life, id), first[id]));
        json_decref(first[id]);
    }
    assert_true(life->studies[0].replays >= 2);
    end(life);
    free(life);
}

/* Long asks and short ones on one worker: the short ones leave. */
static void
test_short_beside_long(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);
    int64_t worst_us = 0, long_us;

    begin(life, 1);
    add_study(life, 0, "bayesian");
    tell_many(life, 0, 900);
    for (int64_t id = 1; id <= 20; id++) {
        add_study(life, id, "random");
        ask(life, id);
    }
    ask(life, 0);
    tell_many(life, 0, 1); /* told again: the model is made again */
    long_us = assay_monotonic_us();
    ask(life, 0);
    long_us = assay_monotonic_us() - long_us;
    for (int round = 0; round < 3; round++) {
        ask_only(life, 0);
        for (int64_t id = 1; id <= 20; id++) {
            int64_t start_us = assay_monotonic_us();

            ask(life, id);
            if (round > 0)
                worst_us = ASSAY_MAX(worst_us, assay_monotonic_us() - start_us);
        }
        run_for(life, &life->studies[0], PATIENCE_US);
    }
    print_message("a long ask %.1f ms; the worst short one beside it %.1f ms, %lld moves\n",
                  (double)long_us / 1e3, (double)worst_us / 1e3, (long long)stats_of(life).moves);
    end(life);
    free(life);
}

/* A changed file is heard of. */
static void
test_changed_file(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);
    json_t *before, *document;

    begin(life, 1);
    add_study(life, 1, "random");
    before = json_deep_copy(ask(life, 1));
    document = json_deep_copy(life->studies[1].document);
    json_object_set_new(document, "seed", json_integer(8));
    assay_suggest_host_prepare(life->host, 1, 1, 1, true);
    run_for(life, NULL, 50000);
    assay_suggest_host_open(life->host, 1, document);
    assert_false(json_equal(ask(life, 1), before));
    json_decref(document);
    json_decref(before);
    end(life);
    free(life);
}

/* An algorithm that is not there fails with its sentence, beside others that go on. */
static void
test_failure(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life);

    begin(life, 1);
    add_study(life, 1, "nonsense");
    add_study(life, 2, "random");
    ask_only(life, 1);
    run_for(life, &life->studies[1], PATIENCE_US);
    assert_non_null(life->studies[1].failure);
    assert_non_null(strstr(life->studies[1].failure, "nonsense"));
    ask(life, 2);
    end(life);
    free(life);
}

/* The place of the workers is away, comes, and ends under an ask: the study hears why it
 * waits, and nothing of it shows in what is suggested. */
static void
test_place_away(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life), *here = ASSAY_NEW(struct life);
    assay_auto_free char *address = assay_format("127.0.0.1:%d", free_port());
    assay_auto_free char *plain = assay_format("tcp://%s", address);
    char token[] = "/tmp/assay-token-XXXXXX";
    const char *relay[] = {"--connect", plain, "--token-file", token, NULL};
    const char *listener[] = {program, "--listen", address, "--token-file", token, NULL};
    const json_t *expected;
    int fd = mkstemp(token);
    pid_t place;

    assert_int_equal(write(fd, "sixteen-or-more-characters", 26), 26);
    close(fd);
    begin(here, 1);
    add_study(here, 1, "bayesian");
    tell_many(here, 1, 150);
    expected = ask(here, 1);
    begin_with(life, 2, relay, 0);
    add_study(life, 1, "bayesian");
    tell_many(life, 1, 150);
    ask_only(life, 1);
    while (life->studies[1].waits == NULL)
        run_for(life, &life->studies[1], 20000);
    assert_null(life->studies[1].failure);
    assert_non_null(strstr(life->studies[1].waits, "can not be reached: Connection refused"));
    assert_non_null(strstr(life->studies[1].waits, address));
    assert_int_equal(life->studies[1].replays, 0); /* nobody there to tell */
    assert_true(stats_of(life).unreached > 0);
    assert_int_equal(stats_of(life).respawns, 0);

    assert_int_equal(posix_spawn(&place, program, NULL, NULL,
                                 (char *const *)(uintptr_t)listener, environ), 0);
    run_for(life, &life->studies[1], PATIENCE_US);
    assert_true(json_equal(
        json_object_get(json_array_get(life->studies[1].answer, 0), "parameters"), expected));
    for (int i = 0; i < 3; i++) {
        ask_only(life, 1);
        run_for(life, NULL, i * 4000);
        kill(place, i % 2 == 0 ? SIGTERM : SIGKILL);
        waitpid(place, NULL, 0);
        assert_int_equal(posix_spawn(&place, program, NULL, NULL,
                                     (char *const *)(uintptr_t)listener, environ), 0);
        run_for(life, &life->studies[1], PATIENCE_US);
        assert_null(life->studies[1].failure);
        assert_true(json_equal(
            json_object_get(json_array_get(life->studies[1].answer, 0), "parameters"), expected));
    }
    end(life);
    end(here);
    kill(place, SIGTERM);
    waitpid(place, NULL, 0);
    unlink(token);
    free(life);
    free(here);
}

/* A connection that is due is made anew once nothing is under way, and what is suggested is
 * what it would have been. */
static void
test_renewed(void **state ASSAY_UNUSED)
{
    struct life *life = ASSAY_NEW(struct life), *here = ASSAY_NEW(struct life);
    assay_auto_free char *address = assay_format("127.0.0.1:%d", free_port());
    assay_auto_free char *plain = assay_format("tcp://%s", address);
    char token[] = "/tmp/assay-token-XXXXXX";
    const char *relay[] = {"--connect", plain, "--token-file", token, NULL};
    const char *listener[] = {program, "--listen", address, "--token-file", token, NULL};
    int fd = mkstemp(token);
    pid_t place;

    assert_int_equal(write(fd, "sixteen-or-more-characters", 26), 26);
    close(fd);
    assert_int_equal(posix_spawn(&place, program, NULL, NULL,
                                 (char *const *)(uintptr_t)listener, environ), 0);
    begin(here, 1);
    begin_with(life, 1, relay, 1);
    add_study(here, 1, "tpe");
    add_study(life, 1, "tpe");
    for (int i = 1; i <= 5; i++) {
        const json_t *expected = ask(here, 1);

        ask_only(life, 1);
        run_for(life, &life->studies[1], PATIENCE_US);
        assert_null(life->studies[1].failure);
        assert_true(json_equal(
            json_object_get(json_array_get(life->studies[1].answer, 0), "parameters"), expected));
        assert_int_equal(life->studies[1].replays, i);
        assert_int_equal(stats_of(life).renewed, i);
        tell(here, 1, i, expected);
        tell(life, 1, i, expected);
    }
    assert_int_equal(stats_of(life).respawns, 0);
    end(life);
    begin_with(life, 1, relay, ASSAY_SECOND_US / 4); /* nobody asks when it is due */
    add_study(life, 1, "tpe");
    ask_only(life, 1);
    run_for(life, &life->studies[1], PATIENCE_US);
    for (int64_t end_us = assay_monotonic_us() + PATIENCE_US;
         stats_of(life).renewed == 0 && assay_monotonic_us() < end_us;) {
        run_for(life, NULL, 1000);
        assay_suggest_host_sweep(life->host);
    }
    assert_int_equal(stats_of(life).renewed, 1);
    assert_int_equal(stats_of(life).respawns, 0);
    end(life);
    end(here);
    kill(place, SIGTERM);
    waitpid(place, NULL, 0);
    unlink(token);
    free(life);
    free(here);
}

static int
find_program(void **state ASSAY_UNUSED)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n < 0)
        return -1;
    path[n] = '\0';
    *strstr(path, "/tests/") = '\0';
    program = assay_format("%s/bin/assay-suggest", path);
    return 0;
}

static int
free_program(void **state ASSAY_UNUSED)
{
    free(program);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prepared),          cmocka_unit_test(test_killed_worker),
        cmocka_unit_test(test_unreadable_history), cmocka_unit_test(test_forgotten),
        cmocka_unit_test(test_many_studies),      cmocka_unit_test(test_short_beside_long),
        cmocka_unit_test(test_changed_file),      cmocka_unit_test(test_failure),
        cmocka_unit_test(test_place_away),        cmocka_unit_test(test_renewed),
    };

    signal(SIGPIPE, SIG_IGN); /* as in the daemon: workers are killed while they are written to */
    return cmocka_run_group_tests(tests, find_program, free_program);
}
