/* assay-runner as a whole: real processes, a daemon that answers as the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/file.h"
#include "fake_daemon.h"

extern char **environ;

static char *data_dir, *runner;
static int next_trial = 1;

/* One run of the runner. */
struct run {
    struct fake_daemon daemon;
    json_t *job;
    char *folder; /* of the attempt */
    int trial;
    pid_t pid;
    int exit_code;
    json_t *result;
    json_t *told; /* body of complete */
};

static int
set_up(void **state)
{
    char program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    (void)state;
    assert_true(n > 0);
    program[n] = '\0';
    *strstr(program, "/tests/") = '\0';
    runner = assay_format("%s/bin/assay-runner", program);
    data_dir = assay_strdup("/tmp/assay-runner-test-XXXXXX");
    assert_non_null(mkdtemp(data_dir));
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
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
    assert_int_equal(assay_remove_tree(data_dir, NULL), ASSAY_OK);
    free(data_dir);
    free(runner);
    return 0;
}

static char *
in_folder(const struct run *run, const char *name)
{
    return assay_format("%s/%s", run->folder, name);
}

static char *
read_file(const char *path)
{
    char *text = NULL;

    return assay_file_read(path, 64 << 20, &text, NULL, NULL) == ASSAY_OK ? text : NULL;
}

static int
run_shell(const char *script)
{
    char *const argv[] = {assay_strdup("sh"), assay_strdup("-c"), assay_strdup(script), NULL};
    int status;
    pid_t pid;

    assert_int_equal(posix_spawnp(&pid, "sh", NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    for (int i = 0; i < 3; i++)
        free(argv[i]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
write_script(const struct run *run, const char *name, const char *text)
{
    assay_auto_free char *path = in_folder(run, name);
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
}

/* A job of `sh -c script`; members of `more` (a JSON text) replace those of the job. */
static void
prepare(struct run *run, const char *script, const char *more)
{
    json_t *extra = json_loads(more, 0, NULL);

    memset(run, 0, sizeof *run);
    run->trial = next_trial++;
    run->folder = assay_format("%s/trials/1/%d/1", data_dir, run->trial);
    assert_int_equal(assay_make_directories(run->folder, 0700, NULL), ASSAY_OK);
    for (int i = 0; i < 2; i++) {
        assay_auto_free char *path =
            assay_format("%s/../%s", run->folder, i == 0 ? "checkpoint" : "output");

        assert_int_equal(mkdir(path, 0700), 0);
    }
    run->job = json_pack(
        "{s:s, s:{s:i,s:i,s:i}, s:s, s:s, s:s, s:[s,s,s], s:{s:s}, s:n, s:n,"
        " s:{s:s, s:n, s:n, s:[s], s:[]}, s:{s:f,s:i,s:s,s:b}, s:f, s:s, s:n,"
        " s:i, s:i, s:i, s:i}",
        "data_dir", data_dir, "key", "study_id", 1, "trial", run->trial, "attempt", 1, "marker",
        "0123456789abcdef.1.1.1", "project", "default", "study", "digits", "command", "sh", "-c",
        script, "environment", "GREETING", "hello", "directory", "git", "metrics", "from", "stdout",
        "path", "filter", "objectives", "loss", "constraints", "parameters", "lr", 0.1, "units", 64,
        "optimizer", "sgd", "nesterov", 1, "budget", 9.0, "token", "secret", "gpus", "grace_us",
        2000000, "timeout_us", 0, "memory_bytes", 0, "log_bytes", 1 << 20);
    assert_non_null(run->job);
    assert_non_null(extra);
    json_object_update(run->job, extra);
    json_decref(extra);
}

static void
begin(struct run *run)
{
    assay_auto_free char *job_path = in_folder(run, "job.json");
    assay_auto_free char *log_path = in_folder(run, "runner.log");
    char *const argv[] = {runner, assay_strdup("--job"), job_path, NULL};
    posix_spawn_file_actions_t files;

    assert_int_equal(json_dump_file(run->job, job_path, 0), 0);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    assert_int_equal(posix_spawn(&run->pid, runner, &files, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&files);
    free(argv[1]);
}

static void
finish(struct run *run)
{
    assay_auto_free char *path = in_folder(run, "result.json");
    int status;

    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    run->result = json_load_file(path, 0, NULL);
}

static void
end(struct run *run)
{
    fake_stop(&run->daemon);
    run->told = fake_completion(&run->daemon);
}

/* The usual run: a daemon that is there all the time. */
static void
run_all(struct run *run)
{
    fake_start(&run->daemon, data_dir);
    begin(run);
    finish(run);
    end(run);
    assert_int_equal(run->exit_code, 0);
    assert_non_null(run->result);
}

static void
done(struct run *run)
{
    fake_done(&run->daemon);
    json_decref(run->job);
    json_decref(run->result);
    json_decref(run->told);
    free(run->folder);
}

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static double
value_at(const json_t *curve, const char *step)
{
    const json_t *value = json_object_get(curve, step);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Processes with the mark of these tests. */
static int
count_marked(void)
{
    DIR *proc = opendir("/proc");
    int n = 0;

    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        char path[300], text[8192];
        ssize_t length;
        int fd;

        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        length = read(fd, text, sizeof text);
        close(fd);
        n += length > 0 && memmem(text, (size_t)length, "=0123456789abcdef.", 18) != NULL;
    }
    closedir(proc);
    return n;
}

static void
wait_for_text(const char *path, const char *text)
{
    for (int i = 0; i < 1000; i++) {
        assay_auto_free char *now = read_file(path);

        if (now != NULL && strstr(now, text) != NULL)
            return;
        usleep(10000);
    }
    fail_msg("%s never held \"%s\"", path, text);
}

/* --- endings ----------------------------------------------------------------------------- */

static void
success_is_told_with_the_last_values(void **state)
{
    struct run run;
    json_t *curve;

    (void)state;
    prepare(&run, "echo step=1 loss=0.5 acc=0.1; echo step=2 loss=0.25 acc=0.2", "{}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_null(json_object_get(run.told, "reason"));
    assert_int_equal(json_integer_value(json_object_get(run.told, "exit_code")), 0);
    json_object_del(run.told, "measurements"); /* travel with the result, are no part of it */
    assert_true(json_equal(run.told, run.result));
    assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"), "loss")) ==
                0.25);
    curve = fake_curve(&run.daemon, "loss");
    assert_int_equal(json_object_size(curve), 2);
    assert_true(value_at(curve, "1") == 0.5);
    assert_true(value_at(curve, "2") == 0.25);
    json_decref(curve);
    done(&run);
}

static void
the_environment_is_as_promised(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;
    assay_auto_free char *output = NULL;
    const char *const wanted[] = {
        "\nASSAY_PARAM_LR=0.1\n",
        "\nASSAY_PARAM_UNITS=64\n",
        "\nASSAY_PARAM_OPTIMIZER=sgd\n",
        "\nASSAY_PARAM_NESTEROV=true\n",
        "\nASSAY_BUDGET=9\n",
        "\nASSAY_TOKEN=secret\n",
        "\nASSAY_PROJECT=default\n",
        "\nASSAY_STUDY=digits\n",
        "\nASSAY_PARAMETERS={\"lr\":0.1,",
        "\nASSAY_ATTEMPT=1\n",
        "\nPYTHONUNBUFFERED=1\n",
        "\nGREETING=hello\n",
        "\nASSAY_ATTEMPT_KEY=0123456789abcdef.1.1.1\n",
        "\nCUDA_VISIBLE_DEVICES=GPU-a,GPU-b\n",
        "\"optimizer\":\"sgd\",\"nesterov\":true}\n",
    };

    (void)state;
    prepare(&run,
            "echo; env; cat $ASSAY_PARAMETERS_FILE; test -d $ASSAY_CHECKPOINT_DIR && "
            "test -d $ASSAY_OUTPUT_DIR && echo loss=1",
            "{\"gpus\":[\"GPU-a\",\"GPU-b\"]}");
    setenv("ASSAYD_SECRET", "1", 1);
    run_all(&run);
    unsetenv("ASSAYD_SECRET");
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    path = in_folder(&run, "output.log");
    output = read_file(path);
    for (size_t i = 0; i < ASSAY_COUNT(wanted); i++) {
        if (strstr(output, wanted[i]) == NULL)
            fail_msg("missing %s", wanted[i]);
    }
    assert_null(strstr(output, "ASSAYD_"));
    assert_non_null(strstr(output, "\nASSAY_URL=http://127.0.0.1:"));
    done(&run);
}

static void
gpus_are_hidden_unless_the_study_says_otherwise(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, "test \"${CUDA_VISIBLE_DEVICES-unset}\" = '' && echo loss=1", "{\"gpus\":[]}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    done(&run);
    prepare(&run, "test \"$CUDA_VISIBLE_DEVICES\" = 3 && echo loss=1",
            "{\"gpus\":[],\"environment\":{\"CUDA_VISIBLE_DEVICES\":\"3\"}}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    done(&run);
}

static void
bad_endings_are_told_apart(void **state)
{
    static const struct {
        const char *script, *reason, *message;
    } cases[] = {
        {"echo one; echo two; exit 3", "exit_code", "exit code 3; last lines: one | two"},
        {"echo loss=1; kill -SEGV $$", "signal",
         "ended by signal 11 (Segmentation fault); last lines: loss=1"},
        {"echo nothing here", "no_objective", "last lines: nothing here"},
        {"true", "no_objective", "there was no output"},
        {"kill -KILL $$", "signal", "ended by signal 9"},
        {"printf 'bad \\377 byte\\n'; exit 1", "exit_code", "last lines: bad ? byte"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct run run;

        prepare(&run, cases[i].script, "{}");
        run_all(&run);
        assert_string_equal(text_of(run.told, "state"), "failed");
        assert_string_equal(text_of(run.told, "reason"), cases[i].reason);
        if (strstr(text_of(run.told, "message"), cases[i].message) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", cases[i].message, text_of(run.told, "message"));
        done(&run);
    }
}

static void
failures_to_start_say_why(void **state)
{
    static const struct {
        const char *more, *message;
    } cases[] = {
        {"{\"command\":[\"no-such-program\"]}", "there is no program \"no-such-program\" in PATH"},
        {"{\"command\":[\"./train.sh\"]}", "there is no program "},
        {"{\"directory\":\"/no/such/folder\"}",
         "the working directory /no/such/folder can not be entered: No such file"},
        {"{\"command\":[\"/etc/passwd\"]}", "/etc/passwd can not be started: Permission denied"},
        {"{\"command\":[\"./no-interpreter\"]}", "the interpreter in its first line"},
        {"{\"command\":[\"./no-program\"]}", "it is no program and has no \"#!\" line"},
        {"{\"metrics\":{\"from\":\"stdout\",\"filter\":\"(a)(b)\\\\1\",\"objectives\":[\"x\"],"
         "\"constraints\":[]}}",
         "metrics.filter: "},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct run run;

        prepare(&run, "true", cases[i].more);
        write_script(&run, "no-interpreter", "#!/no/such/interpreter\n");
        write_script(&run, "no-program", "echo a shell would run this\n");
        run_all(&run);
        assert_string_equal(text_of(run.told, "state"), "failed");
        assert_string_equal(text_of(run.told, "reason"), "start_failed");
        if (strstr(text_of(run.told, "message"), cases[i].message) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", cases[i].message, text_of(run.told, "message"));
        done(&run);
    }
}

static void
an_objective_somebody_else_told_is_enough(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, "echo it reports by itself", "{}");
    run.daemon.objective_known = true;
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_string_equal(text_of(run.result, "reason"), "no_objective");
    done(&run);
}

static void
a_timeout_ends_it(void **state)
{
    struct run run;
    int64_t start_us = assay_monotonic_us();

    (void)state;
    prepare(&run, "echo loss=1; trap '' TERM; sleep 60 & wait; sleep 60",
            "{\"timeout_us\":200000,\"grace_us\":200000}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "reason"), "timeout");
    assert_non_null(strstr(text_of(run.told, "message"), "timeout of 0.2 s; last lines: loss=1"));
    assert_true(assay_monotonic_us() - start_us < 5 * ASSAY_SECOND_US);
    assert_int_equal(count_marked(), 0);
    done(&run);
}

static void
too_much_memory_ends_it(void **state)
{
    struct run run;

    (void)state;
    prepare(
        &run,
        "echo loss=1; exec /usr/bin/python3 -c 'x=bytearray(200<<20); import time; time.sleep(30)'",
        "{\"memory_bytes\":104857600}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "reason"), "out_of_memory");
    assert_non_null(strstr(text_of(run.told, "message"), "its limit is 100 MiB"));
    done(&run);
}

/* --- what is left behind ------------------------------------------------------------------ */

static void
nothing_is_left_behind(void **state)
{
    struct run run;
    int64_t start_us = assay_monotonic_us();

    (void)state;
    /* A grandchild with our output open; one in a session of its own; one whose
     * parents are gone and whose environment was cleared. */
    prepare(&run,
            "sleep 7230 & setsid sleep 7231 & (env -i setsid sh -c 'sleep 7232 & sleep 7233' &)\n"
            "sleep 0.2; echo loss=1",
            "{}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_true(assay_monotonic_us() - start_us < 5 * ASSAY_SECOND_US);
    assert_int_equal(count_marked(), 0);
    assert_int_equal(run_shell("pgrep -f '^sleep 723[0-3]$' >/dev/null"), 1);
    done(&run);
}

static void
a_bounded_fork_bomb_is_cleared_away(void **state)
{
    struct run run;

    (void)state;
    prepare(&run,
            "f() { if [ $1 -gt 0 ]; then (f $(($1-1))) & (f $(($1-1))) & fi; exec sleep 300; }\n"
            "(f 5) & (setsid sh -c 'for i in 1 2 3 4 5 6 7 8; do setsid sleep 300 & done') &\n"
            "sleep 0.5; echo loss=1",
            "{}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_int_equal(count_marked(), 0);
    done(&run);
}

static void
a_killed_runner_takes_its_command_along(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;

    (void)state;
    prepare(&run, "echo loss=1; exec sleep 304", "{}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    path = in_folder(&run, "output.log");
    wait_for_text(path, "loss=1");
    kill(run.pid, SIGKILL);
    finish(&run);
    end(&run);
    assert_int_equal(run.exit_code, -SIGKILL);
    assert_null(run.result);
    for (int i = 0; i < 200 && count_marked() > 0; i++)
        usleep(10000);
    assert_int_equal(count_marked(), 0);
    done(&run);
}

/* --- stops ------------------------------------------------------------------------------- */

static void
a_stop_answer_ends_the_command_at_once(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;
    assay_auto_free char *output = NULL;
    int64_t latencies[21];

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(latencies); i++) {
        long long term_us, line_us;

        prepare(&run,
                "exec /usr/bin/python3 -c '\n"
                "import signal, time, sys\n"
                "def on_term(s, f):\n"
                "    print(\"term\", int(time.time() * 1e6)); sys.exit(0)\n"
                "signal.signal(signal.SIGTERM, on_term)\n"
                "for step in range(1, 100):\n"
                "    print(f\"step={step} loss={step} at {int(time.time() * 1e6)}\"); "
                "time.sleep(0.01)\n"
                "time.sleep(60)'",
                "{}");
        run.daemon.stop_text = "\"step\":5,";
        run_all(&run);
        /* It ended well, with a value. */
        assert_string_equal(text_of(run.told, "state"), "succeeded");
        free(path);
        path = in_folder(&run, "output.log");
        free(output);
        output = read_file(path);
        assert_non_null(strstr(output, "term "));
        assert_int_equal(sscanf(strstr(output, "term "), "term %lld", &term_us), 1);
        assert_int_equal(sscanf(strstr(output, "step=5 "), "step=5 loss=5 at %lld", &line_us), 1);
        assert_true(run.daemon.stopped_us > line_us);
        latencies[i] = term_us - line_us;
        for (size_t j = i; j > 0 && latencies[j - 1] > latencies[j]; j--) {
            int64_t swap = latencies[j];

            latencies[j] = latencies[j - 1];
            latencies[j - 1] = swap;
        }
        done(&run);
    }
    printf("line printed, reported, stop answered, SIGTERM handled: p50 %.2f ms, max %.2f ms\n",
           (double)latencies[10] / 1000, (double)latencies[20] / 1000);
    assert_true(latencies[10] < 20000);
}

static void
a_stopped_command_that_fails_says_who_stopped_it(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, "echo loss=1; exec sleep 60", "{}");
    run.daemon.stop_text = "\"step\":1,";
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "failed");
    assert_string_equal(text_of(run.told, "reason"), "stopped_by_rule");
    assert_string_equal(text_of(run.told, "message"), "worse than the median");
    assert_int_equal(json_integer_value(json_object_get(run.told, "signal")), SIGTERM);
    done(&run);
}

static void
sigterm_gives_the_grace_time_it_carries(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;
    int64_t start_us;

    (void)state;
    prepare(&run, "trap '' TERM; echo loss=1; while :; do sleep 1; done",
            "{\"grace_us\":60000000}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    path = in_folder(&run, "output.log");
    wait_for_text(path, "loss=1");
    start_us = assay_monotonic_us();
    sigqueue(run.pid, SIGTERM, (union sigval){.sival_int = 300});
    finish(&run);
    end(&run);
    assert_int_equal(run.exit_code, 0);
    assert_in_range(assay_monotonic_us() - start_us, 290000, 3000000);
    assert_string_equal(text_of(run.told, "reason"), "signal");
    assert_string_equal(text_of(run.told, "message"), "asked to end; ended by signal 9 (Killed)");
    assert_int_equal(count_marked(), 0);
    done(&run);
}

/* --- a daemon that misbehaves ------------------------------------------------------------- */

static void
check_curve(struct run *run, int n)
{
    json_t *curve = fake_curve(&run->daemon, "loss");

    assert_int_equal(json_object_size(curve), n);
    for (int i = 1; i <= n; i++) {
        char step[16];

        snprintf(step, sizeof step, "%d", i);
        assert_true(value_at(curve, step) == i);
    }
    json_decref(curve);
}

static const char counting[] = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo loss=$i; "
                               "sleep 0.01; done";

static void
a_daemon_that_comes_back_elsewhere_gets_everything(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, counting, "{}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    usleep(200000);
    fake_stop(&run.daemon); /* in the middle */
    usleep(1000000);        /* the command has ended meanwhile */
    fake_start(&run.daemon, data_dir);
    finish(&run);
    end(&run);
    assert_int_equal(run.exit_code, 0);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    check_curve(&run, 60);
    done(&run);
}

static void
errors_of_the_daemon_are_waited_out(void **state)
{
    static const struct {
        int code;
        const char *problem;
    } cases[] = {
        {500, "{\"code\":\"internal\",\"detail\":\"a bug\"}"},
        {503, NULL},
        {401, "{\"code\":\"unauthorized\",\"detail\":\"who?\"}"},
        {404, NULL}, /* somebody else at the address */
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct run run;

        prepare(&run, counting, "{}");
        run.daemon.code = cases[i].code;
        run.daemon.problem = cases[i].problem;
        fake_start(&run.daemon, data_dir);
        begin(&run);
        usleep(400000);
        pthread_mutex_lock(&run.daemon.mutex);
        run.daemon.code = 0;
        pthread_mutex_unlock(&run.daemon.mutex);
        finish(&run);
        end(&run);
        assert_string_equal(text_of(run.told, "state"), "succeeded");
        check_curve(&run, 60);
        done(&run);
    }
}

static void
a_slow_daemon_gets_them_in_batches(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, counting, "{}");
    run.daemon.delay_us = 200000;
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_true(fake_count(&run.daemon, "/measurements") < 12);
    check_curve(&run, 60);
    done(&run);
}

static void
only_the_measurement_that_is_refused_is_dropped(void **state)
{
    struct run run;
    json_t *curve;

    (void)state;
    prepare(&run, "for i in 1 2 3 4 5 6 7 8 9; do echo loss=$i poison$i=1; done", "{}");
    run.daemon.refuse_text = "poison4";
    run.daemon.delay_us = 50000;
    run_all(&run);
    assert_string_equal(text_of(run.result, "state"), "succeeded");
    curve = fake_curve(&run.daemon, "poison9");
    assert_int_equal(json_object_size(curve), 1);
    json_decref(curve);
    done(&run);
}

static void
a_trial_that_is_over_ends_the_command(void **state)
{
    struct run run;

    (void)state;
    prepare(&run, "echo loss=1; exec sleep 60", "{}");
    run.daemon.code = 409;
    run.daemon.problem = "{\"code\":\"conflict\",\"detail\":\"attempt 2 runs\"}";
    run_all(&run);
    assert_string_equal(text_of(run.result, "reason"), "signal");
    done(&run);
}

static void
asked_to_end_it_does_not_wait_for_a_daemon_that_is_away(void **state)
{
    struct run run;
    assay_auto_free char *log = NULL;
    assay_auto_free char *unsent = NULL;
    assay_auto_free char *delivered = NULL;
    int64_t start_us;

    (void)state;
    prepare(&run, "echo loss=1; exec sleep 60", "{}");
    fake_start(&run.daemon, data_dir);
    fake_stop(&run.daemon);
    begin(&run);
    log = in_folder(&run, "output.log");
    wait_for_text(log, "loss=1");
    start_us = assay_monotonic_us();
    kill(run.pid, SIGTERM);
    finish(&run);
    assert_int_equal(run.exit_code, 0);
    assert_true(assay_monotonic_us() - start_us < 4 * ASSAY_SECOND_US);
    assert_string_equal(text_of(run.result, "reason"), "signal");
    unsent = in_folder(&run, "unsent");
    assert_int_equal(access(unsent, F_OK), 0);
    delivered = in_folder(&run, "delivered");
    assert_int_not_equal(access(delivered, F_OK), 0);
    /* Another runner delivers it all, and does not run the command again. */
    json_decref(run.result);
    fake_start(&run.daemon, data_dir);
    begin(&run);
    finish(&run);
    end(&run);
    assert_int_equal(run.exit_code, 0);
    assert_string_equal(text_of(run.told, "reason"), "signal");
    check_curve(&run, 1);
    assert_int_equal(access(delivered, F_OK), 0);
    assert_int_not_equal(access(unsent, F_OK), 0);
    done(&run);
}

static void
many_measurements_wait_on_disk(void **state)
{
    struct run run;
    json_t *curve;

    (void)state;
    prepare(&run,
            "exec /usr/bin/python3 -c 'for i in range(1, 60001): print(f\"step={i} loss={i}\")'",
            "{}");
    fake_start(&run.daemon, data_dir);
    fake_stop(&run.daemon);
    begin(&run);
    usleep(1500000);
    fake_start(&run.daemon, data_dir);
    finish(&run);
    end(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    curve = fake_curve(&run.daemon, "loss");
    assert_int_equal(json_object_size(curve), 60000);
    assert_true(value_at(curve, "60000") == 60000);
    json_decref(curve);
    done(&run);
}

/* --- locks, logs, sizes ------------------------------------------------------------------- */

static void
two_runners_of_a_trial_can_not_be(void **state)
{
    struct run run, other;
    assay_auto_free char *log = NULL;
    assay_auto_free char *complaint = NULL;

    (void)state;
    prepare(&run, "echo loss=1; sleep 1", "{}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    log = in_folder(&run, "output.log");
    wait_for_text(log, "loss=1");
    other = (struct run){.job = run.job, .folder = run.folder, .trial = run.trial};
    begin(&other);
    finish(&other);
    assert_int_equal(other.exit_code, 75);
    json_decref(other.result);
    finish(&run);
    end(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    complaint = in_folder(&run, "runner.log");
    wait_for_text(complaint, "another runner of this trial holds");
    done(&run);
}

static void
the_log_keeps_head_and_tail(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;
    assay_auto_free char *older_path = NULL;
    assay_auto_free char *newer = NULL;
    assay_auto_free char *older = NULL;

    (void)state;
    prepare(
        &run,
        "exec /usr/bin/python3 -c 'for i in range(100000): print(\"line\", i)\nprint(\"loss=1\")'",
        "{\"log_bytes\":100000}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    path = in_folder(&run, "output.log");
    older_path = in_folder(&run, "output.log.1");
    newer = read_file(path);
    older = read_file(older_path);
    assert_non_null(newer);
    assert_non_null(older);
    assert_true(strlen(newer) + strlen(older) <= 100100); /* our own line comes on top */
    assert_int_equal(strncmp(older, "line 0\nline 1\n", 14), 0);
    assert_non_null(strstr(older, "bytes of output are left out here]\n"));
    assert_non_null(strstr(newer, "line 99999\nloss=1\n"));
    done(&run);
}

static void
long_lines_and_binary_output_do_no_harm(void **state)
{
    struct run run;

    (void)state;
    prepare(&run,
            "head -c 3000000 /dev/urandom; head -c 300000 /dev/zero | tr '\\0' x; echo; "
            "echo loss=0.5; printf 'no line end: loss=0.25'",
            "{}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"), "loss")) ==
                0.25);
    done(&run);
}

static bool
is_instrumented(void)
{
    assay_auto_free char *script = assay_format(
        "ldd %s 2>/dev/null | grep -q san || grep -aq '__[at]san_init' %s", runner, runner);

    return getenv("ASSAY_UNDER_VALGRIND") != NULL || run_shell(script) == 0;
}

static void
the_runner_is_small(void **state)
{
    struct run run;
    assay_auto_free char *path = NULL;
    assay_auto_free char *status = NULL;
    assay_auto_free char *log = NULL;
    long kib = 0;

    (void)state;
    prepare(&run, "for i in 1 2 3 4 5; do echo loss=$i; sleep 0.05; done; echo ready; sleep 0.5",
            "{}");
    fake_start(&run.daemon, data_dir);
    begin(&run);
    log = in_folder(&run, "output.log");
    wait_for_text(log, "ready");
    path = assay_format("/proc/%ld/status", (long)run.pid);
    status = read_file(path);
    assert_int_equal(sscanf(strstr(status, "VmHWM:"), "VmHWM: %ld", &kib), 1);
    finish(&run);
    end(&run);
    printf("largest resident size: %ld KiB\n", kib);
    /* A sanitizer's or valgrind's own memory is not the runner's. */
    if (!is_instrumented())
        assert_true(kib <= 10 * 1024);
    done(&run);
}

/* Addresses other than loopback's go through libcurl, which is loaded then.  This
 * one is the same machine to the kernel, and not to us. */
static void
other_addresses_go_through_libcurl(void **state)
{
    struct run run;
    assay_auto_free char *path = assay_format("%s/url", data_dir);
    assay_auto_free char *status_path = NULL;
    assay_auto_free char *status = NULL;
    assay_auto_free char *log = NULL;
    FILE *file;
    long kib = 0;

    (void)state;
    prepare(&run, "echo step=1 loss=1; sleep 0.3; echo ready; sleep 0.2; echo nothing else", "{}");
    fake_start(&run.daemon, data_dir);
    file = fopen(path, "we");
    fprintf(file, "http://0.0.0.0:%d\n", run.daemon.port);
    fclose(file);
    begin(&run);
    log = in_folder(&run, "output.log");
    wait_for_text(log, "ready");
    status_path = assay_format("/proc/%ld/status", (long)run.pid);
    status = read_file(status_path);
    assert_int_equal(sscanf(strstr(status, "VmHWM:"), "VmHWM: %ld", &kib), 1);
    finish(&run);
    end(&run);
    printf("largest resident size with libcurl: %ld KiB\n", kib);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    check_curve(&run, 1);
    done(&run);
}

/* --- code and metric sources -------------------------------------------------------------- */

static void
code_comes_from_git(void **state)
{
    assay_auto_free char *script = assay_format(
        "cd %s && git init -q -b main repo && cd repo && git config user.email t@example.org && "
        "git config user.name t && printf '#!/bin/sh\\necho loss=$1\\n' >train.sh && "
        "chmod +x train.sh && git add . && git commit -qm one && git tag one && "
        "printf '#!/bin/sh\\necho loss=2\\n' >train.sh && git commit -qam two",
        data_dir);
    static const struct {
        const char *revision;
        double loss;
    } cases[] = {{"one", 5}, {"main", 2}, {"HEAD", 2}, {"one", 5}};
    struct run run;

    (void)state;
    assert_int_equal(run_shell(script), 0);
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        assay_auto_free char *more =
            assay_format("{\"git\":{\"url\":\"%s/repo\",\"revision\":\"%s\"},"
                         "\"command\":[\"./train.sh\",\"5\"]}",
                         data_dir, cases[i].revision);

        prepare(&run, "", more);
        run_all(&run);
        if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
            fail_msg("%s: %s", cases[i].revision, text_of(run.told, "message"));
        assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"),
                                                      "loss")) == cases[i].loss);
        done(&run);
    }
}

/* The copy is there before the command; a checkpoint of its own is not overwritten. */
static void
checkpoint_comes_from_a_parent(void **state)
{
    assay_auto_free char *parent = assay_format("%s/trials/1/900/checkpoint", data_dir);
    assay_auto_free char *more = assay_format("{\"checkpoint_from\":\"%s\"}", parent);
    assay_auto_free char *script =
        assay_format("mkdir -p %s/deep && echo 7 >%s/deep/epoch", parent, parent);
    struct run run;

    (void)state;
    assert_int_equal(run_shell(script), 0);
    prepare(&run, "echo loss=$(cat $ASSAY_CHECKPOINT_DIR/deep/epoch)", more);
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    assert_true(json_number_value(
                    json_object_get(json_object_get(run.told, "metrics"), "loss")) == 7.0);
    done(&run);

    prepare(&run, "echo loss=$(cat $ASSAY_CHECKPOINT_DIR/own)", more);
    {
        assay_auto_free char *write =
            assay_format("echo 9 >%s/../checkpoint/own", run.folder);

        assert_int_equal(run_shell(write), 0);
    }
    run_all(&run);
    assert_true(json_number_value(
                    json_object_get(json_object_get(run.told, "metrics"), "loss")) == 9.0);
    done(&run);

    prepare(&run, "echo loss=1", "{\"checkpoint_from\":\"/nowhere/checkpoint\"}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "reason"), "start_failed");
    assert_non_null(strstr(text_of(run.told, "message"), "/nowhere/checkpoint to go on from is gone"));
    done(&run);
}

static void
code_that_can_not_be_had_is_a_failed_start(void **state)
{
    assay_auto_free char *nowhere =
        assay_format("{\"git\":{\"url\":\"%s/nowhere\",\"revision\":\"main\"}}", data_dir);
    assay_auto_free char *nothing =
        assay_format("{\"git\":{\"url\":\"%s/repo\",\"revision\":\"nothing\"}}", data_dir);
    const char *const cases[] = {nowhere, nothing,
                                 "{\"git\":{\"url\":\"--upload-pack=touch x\",\"revision\":\"m\"}}",
                                 "{\"git\":{\"url\":\"ext::sh -c true\",\"revision\":\"m\"}}"};
    const char *const messages[] = {"nowhere' does not appear to be a git repository",
                                    "there is no revision \"nothing\"", "can not begin with",
                                    "transport 'ext' not allowed"};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct run run;
        assay_auto_free char *path = NULL;
        assay_auto_free char *output = NULL;

        prepare(&run, "echo loss=1", cases[i]);
        run_all(&run);
        assert_string_equal(text_of(run.told, "reason"), "start_failed");
        path = in_folder(&run, "output.log");
        output = read_file(path);
        if (strstr(output, messages[i]) == NULL)
            fail_msg("\"%s\" is not in \"%s\"", messages[i], output);
        done(&run);
    }
}

static void
a_file_is_followed(void **state)
{
    struct run run;
    json_t *curve;

    (void)state;
    prepare(&run,
            "sleep 0.3; echo loss=1 >log.txt; sleep 0.3; printf 'loss=2\\nloss=' >>log.txt; "
            "sleep 0.3; echo 3 >>log.txt; sleep 0.3; mv log.txt log.old; echo loss=4 >log.txt; "
            "sleep 0.3; echo s=5 >log.txt; echo loss=5 >log.txt; sleep 0.3; "
            "printf loss=6 >>log.txt; echo loss=99",
            "{\"metrics\":{\"from\":\"file\",\"path\":\"log.txt\",\"filter\":null,"
            "\"objectives\":[\"loss\"],\"constraints\":[]}}");
    run_all(&run);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    curve = fake_curve(&run.daemon, "loss");
    /* The truncation to a file of the same length can not be seen: 5 may be missing. */
    assert_true(value_at(curve, "1") == 1);
    assert_true(value_at(curve, "2") == 2);
    assert_true(value_at(curve, "3") == 3);
    assert_true(value_at(curve, "4") == 4);
    assert_true(json_number_value(json_object_get(json_object_get(run.told, "metrics"), "loss")) ==
                6);
    json_decref(curve);
    done(&run);
}

/* Writes event files as TensorBoard's own writer does. */
static const char tensorboard_writer[] =
    "import os, struct, sys, time\n"
    "def crc(data):\n"
    "    c = 0xffffffff\n"
    "    for b in data:\n"
    "        c ^= b\n"
    "        for _ in range(8): c = (c >> 1) ^ (0x82f63b78 if c & 1 else 0)\n"
    "    c ^= 0xffffffff\n"
    "    return struct.pack('<I', (((c >> 15) | (c << 17)) + 0xa282ead8) & 0xffffffff)\n"
    "def varint(n):\n"
    "    out = b''\n"
    "    while n > 127: out += bytes([n & 127 | 128]); n >>= 7\n"
    "    return out + bytes([n])\n"
    "def field(n, data): return varint(n << 3 | 2) + varint(len(data)) + data\n"
    "def record(data):\n"
    "    n = struct.pack('<Q', len(data))\n"
    "    return n + crc(n) + data + crc(data)\n"
    "def event(step, value):\n"
    "    return record(b'\\x09' + struct.pack('<d', time.time()) + b'\\x10' + varint(step)\n"
    "                  + field(5, field(1, value)))\n"
    "def simple(tag, x): return field(1, tag) + b'\\x15' + struct.pack('<f', x)\n"
    "def tensor(tag, x): return (field(1, tag) + field(8, b'\\x08\\x01' +\n"
    "                            field(4, struct.pack('<f', x))))\n"
    "def double(tag, x): return (field(1, tag) + field(8, b'\\x08\\x02' +\n"
    "                            field(6, struct.pack('<d', x))))\n"
    "os.makedirs('logs/train'); os.makedirs('logs/version_0')\n"
    "f = open('logs/train/events.out.tfevents.1', 'wb', buffering=0)\n"
    "f.write(record(b'\\x1a\\x0dbrain.Event:2'))\n"
    "f.write(event(1, simple(b'acc', 0.5)))\n"
    "f.write(event(2, field(1, b'picture') + field(4, b'x' * 3000000)))\n"
    "whole = event(2, simple(b'acc', 0.75)); f.write(whole[:20]); time.sleep(0.5)\n"
    "f.write(whole[20:])\n"
    "g = open('logs/version_0/events.out.tfevents.2', 'wb', buffering=0)\n"
    "g.write(event(300, tensor(b'loss', 0.25)) + event(301, double(b'loss', 0.125)))\n";

static void
tensorboard_files_are_read(void **state)
{
    struct run run;
    json_t *loss, *acc;

    (void)state;
    prepare(&run, "",
            "{\"metrics\":{\"from\":\"tensorboard\",\"path\":\"logs\",\"filter\":null,"
            "\"objectives\":[\"loss\"],\"constraints\":[]}}");
    json_object_set_new(run.job, "command",
                        json_pack("[s,s,s]", "/usr/bin/python3", "-c", tensorboard_writer));
    run_all(&run);
    if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
        fail_msg("%s", text_of(run.told, "message"));
    loss = fake_curve(&run.daemon, "loss");
    acc = fake_curve(&run.daemon, "train/acc");
    assert_int_equal(json_object_size(loss), 2);
    assert_true(value_at(loss, "300") == 0.25);
    assert_true(value_at(loss, "301") == 0.125);
    assert_int_equal(json_object_size(acc), 2);
    assert_true(value_at(acc, "1") == 0.5);
    assert_true(value_at(acc, "2") == 0.75);
    json_decref(loss);
    json_decref(acc);
    done(&run);
}

static void
a_prometheus_endpoint_is_asked(void **state)
{
    static const char server[] =
        "import http.server, threading, time\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        assert 'Authorization' not in self.headers\n"
        "        n = int(time.time() - start) + 1\n"
        "        body = (f'# HELP loss x\\nother 3\\nstep {n}\\nloss{{a=\"}} 9\"}} {1/n} 123\\n'\n"
        "                f'loss{{a=\"2\"}} 99\\n').encode()\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(body)\n"
        "    def log_message(self, *a): pass\n"
        "start = time.time()\n"
        "s = http.server.HTTPServer(('127.0.0.1', %d), H)\n"
        "threading.Thread(target=s.serve_forever, daemon=True).start()\n"
        "time.sleep(5)\n";
    struct run run;
    struct fake_daemon port_finder = {0};
    assay_auto_free char *script = NULL;
    assay_auto_free char *more = NULL;
    json_t *curve;

    (void)state;
    fake_start(&port_finder, data_dir);
    fake_stop(&port_finder);
    script = assay_format(server, port_finder.port);
    more = assay_format("{\"metrics\":{\"from\":\"prometheus\",\"path\":\"http://127.0.0.1:%d/"
                        "metrics\",\"filter\":null,\"objectives\":[\"loss\"],\"constraints\":[]}}",
                        port_finder.port);
    prepare(&run, "", more);
    json_object_set_new(run.job, "command", json_pack("[s,s,s]", "/usr/bin/python3", "-c", script));
    run_all(&run);
    if (strcmp(text_of(run.told, "state"), "succeeded") != 0)
        fail_msg("%s", text_of(run.told, "message"));
    curve = fake_curve(&run.daemon, "loss");
    assert_in_range(json_object_size(curve), 1, 4);
    json_decref(curve);
    done(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_told_with_the_last_values),
        cmocka_unit_test(the_environment_is_as_promised),
        cmocka_unit_test(gpus_are_hidden_unless_the_study_says_otherwise),
        cmocka_unit_test(bad_endings_are_told_apart),
        cmocka_unit_test(failures_to_start_say_why),
        cmocka_unit_test(an_objective_somebody_else_told_is_enough),
        cmocka_unit_test(a_timeout_ends_it),
        cmocka_unit_test(too_much_memory_ends_it),
        cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(a_bounded_fork_bomb_is_cleared_away),
        cmocka_unit_test(a_killed_runner_takes_its_command_along),
        cmocka_unit_test(a_stop_answer_ends_the_command_at_once),
        cmocka_unit_test(a_stopped_command_that_fails_says_who_stopped_it),
        cmocka_unit_test(sigterm_gives_the_grace_time_it_carries),
        cmocka_unit_test(a_daemon_that_comes_back_elsewhere_gets_everything),
        cmocka_unit_test(errors_of_the_daemon_are_waited_out),
        cmocka_unit_test(a_slow_daemon_gets_them_in_batches),
        cmocka_unit_test(only_the_measurement_that_is_refused_is_dropped),
        cmocka_unit_test(a_trial_that_is_over_ends_the_command),
        cmocka_unit_test(asked_to_end_it_does_not_wait_for_a_daemon_that_is_away),
        cmocka_unit_test(many_measurements_wait_on_disk),
        cmocka_unit_test(two_runners_of_a_trial_can_not_be),
        cmocka_unit_test(the_log_keeps_head_and_tail),
        cmocka_unit_test(long_lines_and_binary_output_do_no_harm),
        cmocka_unit_test(the_runner_is_small),
        cmocka_unit_test(other_addresses_go_through_libcurl),
        cmocka_unit_test(code_comes_from_git),
        cmocka_unit_test(checkpoint_comes_from_a_parent),
        cmocka_unit_test(code_that_can_not_be_had_is_a_failed_start),
        cmocka_unit_test(a_file_is_followed),
        cmocka_unit_test(tensorboard_files_are_read),
        cmocka_unit_test(a_prometheus_endpoint_is_asked),
    };

    return cmocka_run_group_tests_name("runner", tests, set_up, tear_down);
}
