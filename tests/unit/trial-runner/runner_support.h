/* assay-runner as a whole: real processes, a daemon that answers as the test wants. */
#ifndef ASSAY_TESTS_RUNNER_SUPPORT_H
#define ASSAY_TESTS_RUNNER_SUPPORT_H

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
#include "tests/unit/trial-runner/fake_daemon.h"

extern char **environ;

static char *data_dir, *runner;
/* Of this program's attempts: others of these tests run beside it. */
static char marker[32];
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

static inline int
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
    snprintf(marker, sizeof marker, "%016lx.1.1.1", (long)getpid());
    setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    if (access(runner, X_OK) != 0) {
        fprintf(stderr, "%s is not built\n", runner);
        return -1;
    }
    return 0;
}

static inline int
tear_down(void **state)
{
    (void)state;
    assert_int_equal(assay_remove_tree(data_dir, NULL), ASSAY_OK);
    free(data_dir);
    free(runner);
    return 0;
}

static inline char *
in_folder(const struct run *run, const char *name)
{
    return assay_format("%s/%s", run->folder, name);
}

static inline char *
read_file(const char *path)
{
    char *text = NULL;

    return assay_file_read(path, 64 << 20, &text, NULL, NULL) == ASSAY_OK ? text : NULL;
}

static inline int
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

static inline void
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
static inline void
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
        marker, "project", "default", "study", "digits", "command", "sh", "-c",
        script, "environment", "GREETING", "hello", "directory", "git", "metrics", "from", "stdout",
        "path", "filter", "objectives", "loss", "constraints", "parameters", "lr", 0.1, "units", 64,
        "optimizer", "sgd", "nesterov", 1, "budget", 9.0, "token", "secret", "gpus", "grace_us",
        60000000, "timeout_us", 0, "memory_bytes", 0, "log_bytes", 1 << 20);
    assert_non_null(run->job);
    assert_non_null(extra);
    json_object_update(run->job, extra);
    json_decref(extra);
}

static inline void
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

static inline void
finish(struct run *run)
{
    assay_auto_free char *path = in_folder(run, "result.json");
    int status;

    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    run->result = json_load_file(path, 0, NULL);
}

static inline void
end(struct run *run)
{
    fake_stop(&run->daemon);
    run->told = fake_completion(&run->daemon);
}

/* The usual run: a daemon that is there all the time. */
static inline void
run_all(struct run *run)
{
    fake_start(&run->daemon, data_dir);
    begin(run);
    finish(run);
    end(run);
    assert_int_equal(run->exit_code, 0);
    assert_non_null(run->result);
}

static inline void
done(struct run *run)
{
    fake_done(&run->daemon);
    json_decref(run->job);
    json_decref(run->result);
    json_decref(run->told);
    free(run->folder);
}

static inline const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static inline double
value_at(const json_t *curve, const char *step)
{
    const json_t *value = json_object_get(curve, step);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Processes with the mark of these tests. */
static inline int
count_marked(void)
{
    assay_auto_free char *mark = assay_format("=%s", marker);
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
        n += length > 0 && memmem(text, (size_t)length, mark, strlen(mark)) != NULL;
    }
    closedir(proc);
    return n;
}

static inline void
wait_for_text(const char *path, const char *text)
{
    for (int i = 0; i < 6000; i++) {
        assay_auto_free char *now = read_file(path);

        if (now != NULL && strstr(now, text) != NULL)
            return;
        usleep(10000);
    }
    fail_msg("%s never held \"%s\"", path, text);
}

static inline void
wait_until_heard(struct run *run, const char *text)
{
    for (int i = 0; i < 6000; i++) {
        if (fake_heard(&run->daemon, text))
            return;
        usleep(10000);
    }
    fail_msg("the daemon never heard of \"%s\"", text);
}

/* A script's wait for `go`: the command goes on when the test says so. */
#define WAIT_FOR(name) "until [ -e $ASSAY_OUTPUT_DIR/" name " ]; do sleep 0.02; done; "

static inline void
go(const struct run *run, const char *name)
{
    assay_auto_free char *path = assay_format("%s/../output/%s", run->folder, name);

    assert_int_equal(assay_file_write(path, "", 0, 0600, NULL), ASSAY_OK);
}

static inline void
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

#endif
