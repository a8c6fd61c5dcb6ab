/* The local executor with real runners and commands: starts, ends, stops, losses,
 * and a daemon that comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/file.h"
#include "common/number.h"
#include "controller/executor.h"
#include "controller/local/process.h"
#include "tests/unit/trial-runner/fake_daemon.h"

#define TRIALS_MAX 256

static char *data_dir, *runner;
static struct fake_daemon daemon_;

/* What was heard of one trial (attempt 1). */
struct heard {
    int started, ended;
    int64_t asked_us, started_us, ended_us;
    int64_t pid;
    struct assay_attempt_end end;
    char message[512];
    json_t *gpus;
};

/* A daemon's life: loop, executor, what was heard. */
struct life {
    uv_loop_t loop;
    struct assay_executor *executor;
    struct heard heard[TRIALS_MAX];
    int live;
};

static const struct assay_executor_type *const type = &assay_executor_local;

static void
on_started(void *arg, const struct assay_attempt_key *key, int64_t pid, const json_t *gpus)
{
    struct life *life = arg;
    struct heard *heard = &life->heard[key->trial_number];

    assert_int_equal(heard->ended, key->attempt - 1);
    heard->started++;
    heard->started_us = assay_monotonic_us();
    heard->pid = pid;
    json_decref(heard->gpus);
    heard->gpus = json_deep_copy(gpus);
}

static void
on_ended(void *arg, const struct assay_attempt_key *key, const struct assay_attempt_end *end)
{
    struct life *life = arg;
    struct heard *heard = &life->heard[key->trial_number];

    heard->ended++;
    heard->ended_us = assay_monotonic_us();
    heard->end = *end;
    heard->end.message = NULL;
    snprintf(heard->message, sizeof heard->message, "%s", end->message != NULL ? end->message : "");
    life->live--;
}

static struct life *
be_born(int pretend_gpus)
{
    struct life *life = ASSAY_NEW(struct life);
    struct assay_executor_options options = {
        .loop = &life->loop,
        .events = {.started = on_started, .ended = on_ended, .arg = life},
        .data_dir = data_dir,
        .runner = runner,
        .pretend_gpus = pretend_gpus,
        .trial_log_bytes = 1 << 20};

    uv_loop_init(&life->loop);
    assert_int_equal(type->open(&options, &life->executor, NULL), ASSAY_OK);
    return life;
}

/* Runs the loop until the condition holds; fails after a minute. */
#define RUN_UNTIL(life, condition)                                                                 \
    do {                                                                                           \
        uv_timer_t timer_;                                                                         \
        int64_t until_ = assay_monotonic_us() + 60 * ASSAY_SECOND_US;                              \
        uv_timer_init(&(life)->loop, &timer_);                                                     \
        uv_timer_start(&timer_, on_nothing, 5, 5);                                                 \
        while (!(condition)) {                                                                     \
            if (assay_monotonic_us() > until_)                                                     \
                fail_msg("never came: %s", #condition);                                            \
            uv_run(&(life)->loop, UV_RUN_ONCE);                                                    \
        }                                                                                          \
        uv_close((uv_handle_t *)&timer_, NULL);                                                    \
        uv_run(&(life)->loop, UV_RUN_NOWAIT);                                                      \
    } while (0)

static void
on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

/* The daemon ends (its runners do not). */
static void
die(struct life *life)
{
    type->close(life->executor);
    uv_run(&life->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&life->loop), 0);
    for (int i = 0; i < TRIALS_MAX; i++)
        json_decref(life->heard[i].gpus);
    free(life);
}

/* Children of a daemon that died are this process's: reaps those that have ended. */
static void
reap_orphans(void)
{
    int64_t until_us = assay_monotonic_us() + 60 * ASSAY_SECOND_US;
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
        if (assay_monotonic_us() > until_us)
            fail_msg("a process of a dead daemon does not end");
        if (pid == 0)
            usleep(5000);
    }
}

static int
set_up(void **state)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    assay_auto_free char *trials_url = NULL;

    (void)state;
    assert_true(n > 0);
    program[n] = '\0';
    *strstr(program, "/tests/") = '\0';
    runner = assay_format("%s/bin/assay-runner", program);
    data_dir = assay_strdup("/tmp/assay-executor-test-XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    fake_start(&daemon_, data_dir);
    trials_url = assay_format("%s/" ASSAY_TRIALS_URL_FILE, data_dir);
    assert_int_equal(symlink("url", trials_url), 0);
    if (access(runner, X_OK) != 0) {
        fprintf(stderr, "%s is not built\n", runner);
        return -1;
    }
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    fake_stop(&daemon_);
    fake_done(&daemon_);
    assert_int_equal(assay_remove_tree(data_dir, NULL), ASSAY_OK);
    free(data_dir);
    free(runner);
    return 0;
}

/* A study of one command; `script` is run by sh. */
struct study {
    struct assay_study_spec spec;
    struct assay_trial_spec trial;
    struct assay_objective objective;
    char *command[4];
    int64_t id;
};

static int64_t next_study = 1;

static struct study *
make_study(const char *script)
{
    struct study *study = ASSAY_NEW(struct study);
    json_t *parameters =
        json_loads("[{\"name\":\"lr\",\"type\":\"double\",\"min\":0,\"max\":1}]", 0, NULL);
    struct assay_faults faults = {0};

    study->id = next_study++;
    study->spec.space = assay_space_decode(parameters, "/parameters", &faults);
    assert_non_null(study->spec.space);
    json_decref(parameters);
    study->objective = (struct assay_objective){.metric = assay_strdup("loss"), .target = NAN};
    study->spec.objectives = &study->objective;
    study->spec.n_objectives = 1;
    study->spec.trial = &study->trial;
    study->command[0] = assay_strdup("sh");
    study->command[1] = assay_strdup("-c");
    study->command[2] = assay_strdup(script);
    study->trial.command = study->command;
    study->trial.n_command = 3;
    study->trial.environment = json_pack("{s:s}", "RATE", "rate ${lr} of trial ${trial}");
    study->trial.grace_us = 2 * ASSAY_SECOND_US;
    return study;
}

static void
free_study(struct study *study)
{
    assay_space_free(study->spec.space);
    free(study->objective.metric);
    for (int i = 0; i < 3; i++)
        free(study->command[i]);
    json_decref(study->trial.environment);
    free(study);
}

static void
launch(struct life *life, const struct study *study, int trial, bool adopt, const json_t *gpus)
{
    json_t *parameters = json_pack("{s:f}", "lr", 0.1);
    struct assay_launch launch = {
        .key = {.study_id = study->id, .trial_number = trial, .attempt = 1},
        .project = "default",
        .study = "digits",
        .spec = &study->spec,
        .parameters = parameters,
        .budget = NAN,
        .token = "secret"};

    life->live++;
    life->heard[trial].asked_us = assay_monotonic_us();
    if (adopt)
        type->adopt(life->executor, &launch, gpus);
    else
        type->start(life->executor, &launch);
    json_decref(parameters);
}

static struct assay_attempt_key
key_of(const struct study *study, int trial)
{
    return (struct assay_attempt_key){study->id, trial, 1};
}

static char *
attempt_file(const struct study *study, int trial, const char *name)
{
    struct assay_attempt_key key = key_of(study, trial);
    assay_auto_free char *folder = assay_attempt_directory(data_dir, &key);

    return assay_format("%s/%s", folder, name);
}

static bool
has(const struct study *study, int trial, const char *name, const char *text)
{
    assay_auto_free char *path = attempt_file(study, trial, name);
    assay_auto_free char *content = NULL;

    return assay_file_read(path, 1 << 20, &content, NULL, NULL) == ASSAY_OK &&
           strstr(content, text) != NULL;
}

static bool
count_it(void *arg, const struct assay_attempt_key *key)
{
    (void)key;
    (*(int *)arg)++;
    return false;
}

/* Processes that carry our mark. */
static int
count_marked(void)
{
    char owner[ASSAY__LOCAL_OWNER_TEXT];
    int n = 0;

    assay__local_owner(data_dir, owner);
    assay__local_kill_marked(owner, count_it, &n);
    return n;
}

static bool
fits(struct life *life, const struct assay_trial_spec *trial)
{
    struct assay_promised nothing = {0};

    return type->fits(life->executor, trial, &nothing);
}

/* Children of this process, zombies included. */
static int
count_children(void)
{
    FILE *file = fopen("/proc/thread-self/children", "re");
    int n = 0, pid;

    while (file != NULL && fscanf(file, "%d", &pid) == 1)
        n++;
    if (file != NULL)
        fclose(file);
    return n;
}

/* --- tests ------------------------------------------------------------------------------- */

static void
an_attempt_starts_and_ends(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("echo $RATE; echo loss=0.5");

    (void)state;
    assert_true(fits(life, &study->trial));
    launch(life, study, 1, false, NULL);
    assert_int_equal(life->heard[1].started, 0); /* never from inside the call */
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(life->heard[1].started, 1);
    assert_int_equal(life->heard[1].ended, 1);
    assert_false(life->heard[1].end.lost);
    assert_int_equal(life->heard[1].end.state, ASSAY_TRIAL_SUCCEEDED);
    assert_int_equal(life->heard[1].end.exit_code, 0);
    assert_true(has(study, 1, "output.log", "rate 0.1 of trial 1\n"));
    assert_true(has(study, 1, "delivered", ""));
    assert_int_equal(count_children(), 0);
    die(life);
    free_study(study);
}

static void
failures_come_with_reasons(void **state)
{
    struct life *life = be_born(0);
    struct study *fails = make_study("echo so sad; exit 3"), *bad = make_study("true ${nothing}");

    (void)state;
    launch(life, fails, 1, false, NULL);
    launch(life, bad, 2, false, NULL);
    assert_int_equal(life->heard[2].ended, 0);
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(life->heard[1].end.state, ASSAY_TRIAL_FAILED);
    assert_int_equal(life->heard[1].end.reason, ASSAY_TRIAL_REASON_EXIT_CODE);
    assert_int_equal(life->heard[1].end.exit_code, 3);
    assert_string_equal(life->heard[1].message, "exit code 3; last lines: so sad");
    assert_false(life->heard[2].end.lost);
    assert_int_equal(life->heard[2].end.reason, ASSAY_TRIAL_REASON_START_FAILED);
    assert_non_null(strstr(life->heard[2].message, "nothing"));
    die(life);
    free_study(fails);
    free_study(bad);
}

static void
starting_is_quick(void **state)
{
    enum { N = 60 };
    struct life *life = be_born(0);
    struct study *study = make_study("echo loss=1");
    int64_t took[N];

    (void)state;
    for (int i = 0; i < N; i++) {
        launch(life, study, i + 1, false, NULL);
        while (life->heard[i + 1].started == 0 && life->heard[i + 1].ended == 0)
            uv_run(&life->loop, UV_RUN_ONCE);
        assert_int_equal(life->heard[i + 1].started, 1);
        took[i] = life->heard[i + 1].started_us - life->heard[i + 1].asked_us;
        RUN_UNTIL(life, life->live == 0);
        for (int j = i; j > 0 && took[j - 1] > took[j]; j--) {
            int64_t swap = took[j];

            took[j] = took[j - 1];
            took[j - 1] = swap;
        }
    }
    printf("start() to the command's exec told: p50 %.2f ms, p90 %.2f ms, max %.2f ms\n",
           (double)took[N / 2] / 1000, (double)took[N * 9 / 10] / 1000, (double)took[N - 1] / 1000);
    die(life);
    free_study(study);
}

static void
gpus_are_slots(void **state)
{
    struct life *life = be_born(3);
    struct study *two = make_study("echo see $CUDA_VISIBLE_DEVICES; echo loss=1; sleep 0.5");
    struct study *none = make_study("echo \"see <$CUDA_VISIBLE_DEVICES>\"; echo loss=1");
    struct assay_attempt_key key = key_of(two, 1);

    (void)state;
    two->trial.gpus = 2;
    assert_true(fits(life, &two->trial));
    launch(life, two, 1, false, NULL);
    assert_false(fits(life, &two->trial));
    assert_true(fits(life, &none->trial));
    launch(life, none, 2, false, NULL);
    launch(life, two, 3, false, NULL); /* a caller that did not ask */
    RUN_UNTIL(life, life->heard[1].started == 1);
    assert_int_equal(json_array_size(life->heard[1].gpus), 2);
    /* Told over HTTP that it has ended: another may use them. */
    type->release(life->executor, &key);
    assert_true(fits(life, &two->trial));
    type->release(life->executor, &key);
    RUN_UNTIL(life, life->live == 0);
    assert_true(life->heard[3].end.lost);
    assert_string_equal(life->heard[3].message, "there were not enough free GPUs");
    assert_true(has(two, 1, "output.log", "see PRETEND-0,PRETEND-1\n"));
    assert_true(has(none, 2, "output.log", "see <>\n"));
    assert_true(fits(life, &two->trial));
    die(life);
    free_study(two);
    free_study(none);
}

static void
what_can_never_run_is_a_fault(void **state)
{
    struct life *life = be_born(1);
    struct study *study = make_study("true");
    struct assay_faults faults = {0};

    (void)state;
    type->check(life->executor, "default", &study->trial, "/trial", &faults);
    assert_int_equal(faults.count, 0);
    study->trial.gpus = 2;
    study->trial.cpus = 100000;
    study->trial.memory_bytes = INT64_C(1) << 60;
    type->check(life->executor, "default", &study->trial, "/trial", &faults);
    assert_int_equal(faults.count, 3);
    assert_string_equal(faults.items[0].pointer, "/trial/resources/gpus");
    assert_string_equal(faults.items[0].allowed, "at most 1");
    assert_string_equal(faults.items[1].pointer, "/trial/resources/cpus");
    assert_string_equal(faults.items[2].pointer, "/trial/resources/memory");
    assay_faults_done(&faults);
    die(life);
    free_study(study);
}

static void
declared_cpus_are_counted(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("echo loss=1");
    int n = 0;

    (void)state;
    study->trial.cpus = 0.5;
    while (n < 200 && fits(life, &study->trial))
        launch(life, study, ++n, false, NULL);
    assert_true(n < 200);
    assert_int_equal(n % 2, 0);
    RUN_UNTIL(life, life->live == 0);
    assert_true(fits(life, &study->trial));
    die(life);
    free_study(study);
}

static void
a_stop_ends_it(void **state)
{
    struct life *life = be_born(0);
    struct study *polite = make_study("echo loss=1; exec sleep 60");
    struct study *stubborn = make_study("trap '' TERM; echo loss=1; while :; do sleep 1; done");
    struct assay_attempt_key first = key_of(polite, 1), second = key_of(stubborn, 2),
                             third = key_of(polite, 3);

    (void)state;
    launch(life, polite, 1, false, NULL);
    launch(life, stubborn, 2, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && life->heard[2].started == 1 &&
                        has(stubborn, 2, "output.log", "loss"));
    type->stop(life->executor, &first, 60 * ASSAY_SECOND_US);
    type->stop(life->executor, &first, 60 * ASSAY_SECOND_US);
    type->stop(life->executor, &second, 200000);
    launch(life, polite, 3, false, NULL);
    type->stop(life->executor, &third, 0); /* before it says that it has started */
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(life->heard[1].end.signal, SIGTERM);
    assert_int_equal(life->heard[2].end.signal, SIGKILL);
    assert_int_equal(life->heard[1].end.reason, ASSAY_TRIAL_REASON_SIGNAL);
    assert_int_equal(count_marked(), 0);
    assert_int_equal(count_children(), 0);
    die(life);
    free_study(polite);
    free_study(stubborn);
}

static void
a_retry_waits_for_the_attempt_before(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("echo loss=1; sleep 0.3");
    json_t *parameters = json_pack("{s:f}", "lr", 0.1);
    struct assay_launch second = {.key = {.study_id = study->id, .trial_number = 1, .attempt = 2},
                                  .project = "default",
                                  .study = "digits",
                                  .spec = &study->spec,
                                  .parameters = parameters,
                                  .budget = 3,
                                  .token = "secret"};

    (void)state;
    launch(life, study, 1, false, NULL);
    type->start(life->executor, &second);
    life->live++;
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(life->heard[1].started, 2);
    assert_int_equal(life->heard[1].ended, 2);
    assert_int_equal(life->heard[1].end.state, ASSAY_TRIAL_SUCCEEDED);
    /* The second began when the first's runner was gone, so after its sleep. */
    assert_true(life->heard[1].started_us - life->heard[1].asked_us > 300000);
    json_decref(parameters);
    die(life);
    free_study(study);
}

static void
a_lost_runner_leaves_nothing(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("sleep 300 & setsid sleep 300 & (setsid sh -c 'sleep 300 & "
                                     "sleep 300' &) ; echo loss=1; sleep 300");

    (void)state;
    launch(life, study, 1, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && has(study, 1, "output.log", "loss=1"));
    assert_true(count_marked() >= 3);
    kill((pid_t)life->heard[1].pid, SIGKILL);
    RUN_UNTIL(life, life->live == 0);
    assert_true(life->heard[1].end.lost);
    assert_int_equal(life->heard[1].end.reason, ASSAY_TRIAL_REASON_RUNNER_LOST);
    assert_int_equal(count_marked(), 0);
    assert_int_equal(count_children(), 0);
    die(life);
    free_study(study);
}

static void
runners_killed_at_any_moment_end_once(void **state)
{
    enum { N = 60 };
    struct life *life = be_born(0);
    struct study *study = make_study("echo loss=1; setsid sleep 300 & sleep 0.01; echo loss=2");
    int lost = 0;

    (void)state;
    for (int i = 1; i <= N; i++) {
        int64_t until_us;

        launch(life, study, i, false, NULL);
        until_us = assay_monotonic_us() + (i * 1311) % 40000;
        while (assay_monotonic_us() < until_us)
            uv_run(&life->loop, UV_RUN_NOWAIT);
        /* The runner is our only child. */
        if (life->heard[i].ended == 0) {
            FILE *file = fopen("/proc/thread-self/children", "re");
            int pid;

            if (fscanf(file, "%d", &pid) == 1)
                kill(pid, SIGKILL);
            fclose(file);
        }
        RUN_UNTIL(life, life->live == 0);
        assert_int_equal(life->heard[i].ended, 1);
        lost += life->heard[i].end.lost;
        if (!life->heard[i].end.lost)
            assert_int_equal(life->heard[i].end.state, ASSAY_TRIAL_SUCCEEDED);
        assert_int_equal(count_marked(), 0);
        assert_int_equal(count_children(), 0);
    }
    printf("of %d runners killed %d were lost, the others had a result\n", N, lost);
    die(life);
    free_study(study);
}

static void
a_daemon_that_comes_back_adopts(void **state)
{
    struct life *life = be_born(2);
    /* It ends when the daemon has come back. */
    assay_auto_free char *go = assay_format("%s/go", data_dir);
    assay_auto_free char *script =
        assay_format("echo loss=1; until [ -e %s ]; do sleep 0.02; done; echo loss=2", go);
    struct study *study = make_study(script);
    struct study *slow = make_study("echo loss=1; setsid sleep 300 & sleep 300");
    struct study *quick = make_study("echo loss=3");
    struct assay_attempt_key key;
    json_t *gpus;
    pid_t slow_pid;

    (void)state;
    study->trial.gpus = 1;
    launch(life, study, 1, false, NULL);
    launch(life, slow, 2, false, NULL);
    launch(life, slow, 3, false, NULL);
    launch(life, quick, 4, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && life->heard[2].started == 1 &&
                        life->heard[3].started == 1 && has(slow, 2, "output.log", "loss=1") &&
                        has(quick, 4, "delivered", ""));
    slow_pid = (pid_t)life->heard[2].pid;
    gpus = json_incref(life->heard[1].gpus);
    die(life);
    kill(slow_pid, SIGKILL); /* while nobody looks */
    waitpid(slow_pid, NULL, 0);

    life = be_born(2);
    launch(life, study, 1, true, gpus);
    launch(life, slow, 2, true, NULL);
    launch(life, slow, 3, true, NULL);
    launch(life, quick, 4, true, NULL);
    launch(life, quick, 5, true, NULL); /* decided, never started */
    study->trial.gpus = 2;
    assert_false(fits(life, &study->trial));
    RUN_UNTIL(life, life->heard[3].started == 1);
    key = key_of(slow, 3);
    type->stop(life->executor, &key, 60 * ASSAY_SECOND_US);
    assert_int_equal(assay_file_write(go, "", 0, 0600, NULL), ASSAY_OK);
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(life->heard[1].started, 1);
    assert_int_equal(life->heard[1].end.state, ASSAY_TRIAL_SUCCEEDED);
    assert_false(life->heard[1].end.lost);
    assert_true(life->heard[2].end.lost);
    assert_false(life->heard[3].end.lost);
    assert_int_equal(life->heard[3].end.signal, SIGTERM);
    assert_int_equal(life->heard[4].end.state, ASSAY_TRIAL_SUCCEEDED);
    assert_int_equal(life->heard[5].end.state, ASSAY_TRIAL_SUCCEEDED);
    assert_int_equal(life->heard[5].started, 1);
    assert_true(fits(life, &study->trial));
    assert_int_equal(count_marked(), 0);
    json_decref(gpus);
    die(life);
    reap_orphans();
    free_study(study);
    free_study(slow);
    free_study(quick);
}

static void
a_result_nobody_heard_of_is_delivered(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("echo loss=1");
    assay_auto_free char *delivered = attempt_file(study, 1, "delivered");
    size_t before;
    int64_t pid;

    (void)state;
    /* A daemon that answers nothing: the runner waits with its result. */
    pthread_mutex_lock(&daemon_.mutex);
    daemon_.code = 503;
    pthread_mutex_unlock(&daemon_.mutex);
    launch(life, study, 1, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && has(study, 1, "result.json", "succeeded"));
    pid = life->heard[1].pid;
    kill((pid_t)pid, SIGKILL); /* before it can tell by itself */
    before = fake_count(&daemon_, "/complete");
    pthread_mutex_lock(&daemon_.mutex);
    daemon_.code = 0;
    pthread_mutex_unlock(&daemon_.mutex);
    RUN_UNTIL(life, life->live == 0);
    assert_false(life->heard[1].end.lost);
    assert_int_equal(life->heard[1].end.state, ASSAY_TRIAL_SUCCEEDED);
    assert_int_equal(access(delivered, F_OK), 0);
    assert_true(fake_count(&daemon_, "/complete") > before);
    die(life);
    free_study(study);
}

static void
leftovers_of_a_dead_runner_are_swept(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("setsid sleep 300 & echo loss=1; sleep 300");
    int64_t pid;

    (void)state;
    launch(life, study, 1, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && has(study, 1, "output.log", "loss=1"));
    pid = life->heard[1].pid;
    die(life);
    kill((pid_t)pid, SIGKILL);
    waitpid((pid_t)pid, NULL, 0);
    assert_true(count_marked() >= 1);
    /* A daemon that knows nothing of the attempt (its study is another's now). */
    life = be_born(0);
    RUN_UNTIL(life, count_marked() == 0);
    die(life);
    free_study(study);
}

static void
the_sweep_spares_those_with_a_runner(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("setsid sleep 300 & echo loss=1; sleep 300");
    struct assay_attempt_key key = key_of(study, 1);
    int marked;

    (void)state;
    launch(life, study, 1, false, NULL);
    RUN_UNTIL(life, life->heard[1].started == 1 && has(study, 1, "output.log", "loss=1"));
    marked = count_marked(); /* its last one may be yet to come */
    die(life);
    life = be_born(0);
    for (int i = 0; i < 10; i++) {
        uv_run(&life->loop, UV_RUN_NOWAIT);
        usleep(10000);
    }
    assert_true(count_marked() >= marked);
    launch(life, study, 1, true, NULL);
    type->stop(life->executor, &key, 60 * ASSAY_SECOND_US);
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(count_marked(), 0);
    die(life);
    reap_orphans();
    free_study(study);
}

static void
a_deleted_study_leaves_no_folder(void **state)
{
    struct life *life = be_born(0);
    struct study *study = make_study("echo x >$ASSAY_CHECKPOINT_DIR/model; echo loss=1");
    assay_auto_free char *folder = assay_format("%s/trials/%ld", data_dir, (long)study->id);

    (void)state;
    launch(life, study, 1, false, NULL);
    RUN_UNTIL(life, life->live == 0);
    assert_int_equal(access(folder, F_OK), 0);
    type->forget(life->executor, study->id);
    RUN_UNTIL(life, access(folder, F_OK) != 0);
    type->forget(life->executor, study->id);
    die(life); /* with a removal under way */
    free_study(study);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attempt_starts_and_ends),
        cmocka_unit_test(failures_come_with_reasons),
        cmocka_unit_test(starting_is_quick),
        cmocka_unit_test(gpus_are_slots),
        cmocka_unit_test(what_can_never_run_is_a_fault),
        cmocka_unit_test(declared_cpus_are_counted),
        cmocka_unit_test(a_stop_ends_it),
        cmocka_unit_test(a_retry_waits_for_the_attempt_before),
        cmocka_unit_test(a_lost_runner_leaves_nothing),
        cmocka_unit_test(runners_killed_at_any_moment_end_once),
        cmocka_unit_test(a_daemon_that_comes_back_adopts),
        cmocka_unit_test(a_result_nobody_heard_of_is_delivered),
        cmocka_unit_test(leftovers_of_a_dead_runner_are_swept),
        cmocka_unit_test(the_sweep_spares_those_with_a_runner),
        cmocka_unit_test(a_deleted_study_leaves_no_folder),
    };

    return cmocka_run_group_tests_name("local executor", tests, set_up, tear_down);
}
