/* The embedded cluster: killed, adopted, half-made, stale, deep. */
#include "tests/unit/sql/harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *folder;    /* of the whole program */
static char *directory; /* of the cluster that most tests share */
static bool missing;    /* PostgreSQL is */

static assay_status
start_at(const char *path, struct assay_cluster **ret_cluster, struct assay_error *err)
{
    struct assay_cluster_options options = {
        .directory = path, .connections = 20, .shared_buffers_mib = 16};

    return assay_cluster_start(&options, ret_cluster, err);
}

static int
set_up(void **state)
{
    struct assay_cluster *cluster;
    struct assay_error err = {0};

    (void)state;
    folder = harness_folder();
    directory = assay_format("%s/database", folder);
    if (start_at(directory, &cluster, &err) == ASSAY_OK)
        assay_cluster_stop(cluster);
    else if (harness_postgres_missing(&err))
        missing = true;
    else
        fail_msg("%s", err.message);
    return 0;
}

static int
tear_down(void **state)
{
    struct assay_error err = {0};

    (void)state;
    assert_ok(assay_remove_tree(folder, &err), &err);
    free(folder);
    free(directory);
    return 0;
}

#define NEED_POSTGRES()                                                                            \
    do {                                                                                           \
        (void)state;                                                                               \
        if (missing)                                                                               \
            skip();                                                                                \
    } while (0)

static void
check_answers(const struct assay_cluster *cluster)
{
    struct assay_store *store = assay_store_new(assay_cluster_url(cluster), "test");
    struct assay_error err = {0};

    assert_ok(assay_store_ping(store, &err), &err);
    assay_store_free(store);
}

static void
starts_and_stops(void **state)
{
    struct assay_cluster *cluster, *second;
    struct assay_error err = {0};
    pid_t pid;

    NEED_POSTGRES();
    for (int i = 0; i < 2; i++) {
        assert_ok(start_at(directory, &cluster, &err), &err);
        check_answers(cluster);
        pid = assay_cluster_pid(cluster);
        assert_int_equal(getsid(pid), pid);
        if (i == 0) { /* nobody else uses it meanwhile, which takes a while to be sure of */
            assert_int_equal(start_at(directory, &second, &err), ASSAY_E_CONFLICT);
            assert_non_null(strstr(err.message, "another daemon"));
        }
        assay_cluster_stop(cluster);
        assert_int_not_equal(kill(pid, 0), 0);
    }
}

static void
a_killed_postmaster_comes_back(void **state)
{
    struct assay_store *store;
    struct assay_cluster *cluster;
    struct assay_error err = {0};

    NEED_POSTGRES();
    assert_ok(start_at(directory, &cluster, &err), &err);
    store = assay_store_new(assay_cluster_url(cluster), "test");
    for (int i = 0; i < 3; i++) {
        int64_t start_us;

        assert_ok(assay_store_ping(store, &err), &err);
        assert_ok(assay_cluster_restart(cluster, &err), &err); /* alive: nothing happens */
        harness_kill(cluster);
        start_us = assay_monotonic_us();
        assert_ok(assay_cluster_restart(cluster, &err), &err);
        print_message("restart took %lld ms\n",
                      (long long)(assay_monotonic_us() - start_us) / 1000);
    }
    assert_ok(assay_store_ping(store, &err), &err);
    assay_store_free(store);
    assay_cluster_stop(cluster);
}

/* In a child process that ends without stopping its cluster, as a killed daemon
 * does.  Returns the postmaster's pid. */
static pid_t
leave_running(void)
{
    struct assay_cluster *cluster;
    int pipe_ends[2], status;
    pid_t child, pid = 0;

    assert_int_equal(pipe(pipe_ends), 0);
    child = fork();
    if (child == 0) {
        bool good = start_at(directory, &cluster, NULL) == ASSAY_OK;

        pid = good ? assay_cluster_pid(cluster) : 0;
        good = write(pipe_ends[1], &pid, sizeof pid) == sizeof pid;
        kill(getpid(), good ? SIGKILL : SIGTERM);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(read(pipe_ends[0], &pid, sizeof pid), sizeof pid);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    return pid;
}

static void
a_running_one_is_adopted(void **state)
{
    struct assay_cluster *cluster;
    struct assay_error err = {0};
    pid_t pid;

    NEED_POSTGRES();
    pid = leave_running();
    assert_true(pid > 0);
    assert_ok(start_at(directory, &cluster, &err), &err);
    assert_int_equal(assay_cluster_pid(cluster), pid);
    check_answers(cluster);
    /* Not our child, yet watched and replaced the same. */
    harness_kill(cluster);
    assert_ok(assay_cluster_restart(cluster, &err), &err);
    assert_int_not_equal(assay_cluster_pid(cluster), pid);
    check_answers(cluster);
    assay_cluster_stop(cluster);

    pid = leave_running();
    assert_ok(start_at(directory, &cluster, &err), &err);
    assert_int_equal(assay_cluster_pid(cluster), pid);
    assay_cluster_stop(cluster);
}

/* After a reboot the number in postmaster.pid may be anybody's. */
static void
a_stale_pid_file_is_no_obstacle(void **state)
{
    assay_auto_free char *path = NULL;
    struct assay_cluster *cluster;
    struct assay_error err = {0};
    const pid_t pids[] = {getpid(), getppid(), 4194303};
    struct stat info;

    NEED_POSTGRES();
    path = assay_format("%s/data", directory);
    assert_int_equal(stat(path, &info), 0);
    free(path);
    path = assay_format("%s/data/postmaster.pid", directory);
    for (size_t i = 0; i < ASSAY_COUNT(pids); i++) {
        assay_auto_free char *text =
            assay_format("%ld\n%s/data\n1700000000\n5432\n.\n\n  5432001    32768\nready   \n",
                         (long)pids[i], directory);

        assert_ok(assay_file_write(path, text, strlen(text), 0600, &err), &err);
        assert_int_equal(chown(path, info.st_uid, info.st_gid), 0);
        assert_ok(start_at(directory, &cluster, &err), &err);
        check_answers(cluster);
        assay_cluster_stop(cluster);
    }
}

/* It may be a server's, but of another cluster. */
static void
a_pid_file_that_names_another_server_is_no_obstacle(void **state)
{
    assay_auto_free char *path = NULL;
    assay_auto_free char *pid_file = NULL;
    assay_auto_free char *text = NULL;
    struct assay_cluster *other, *cluster;
    struct assay_error err = {0};
    struct stat info;

    NEED_POSTGRES();
    path = assay_format("%s/other", folder);
    assert_ok(start_at(path, &other, &err), &err);
    free(path);
    path = assay_format("%s/data", directory);
    assert_int_equal(stat(path, &info), 0);
    pid_file = assay_format("%s/postmaster.pid", path);
    text = assay_format("%ld\n%s\n1700000000\n5432\n.\n\n  5432001    32768\nready   \n",
                        (long)assay_cluster_pid(other), path);
    assert_ok(assay_file_write(pid_file, text, strlen(text), 0600, &err), &err);
    assert_int_equal(chown(pid_file, info.st_uid, info.st_gid), 0);
    assert_ok(start_at(directory, &cluster, &err), &err);
    check_answers(cluster);
    check_answers(other);
    assay_cluster_stop(cluster);
    assay_cluster_stop(other);
}

/* What a killed daemon was about to start has its descriptors until it is started. */
static void
a_lock_that_is_about_to_go_is_awaited(void **state)
{
    assay_auto_free char *path = NULL;
    struct assay_cluster *cluster;
    struct assay_error err = {0};
    int pipe_ends[2];
    char byte = 0;
    pid_t holder;

    NEED_POSTGRES();
    path = assay_format("%s/owner", directory);
    assert_int_equal(pipe(pipe_ends), 0);
    holder = fork();
    if (holder == 0) {
        int fd = open(path, O_RDWR | O_CLOEXEC);
        bool good = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;

        good = good && write(pipe_ends[1], &byte, 1) == 1;
        usleep(300000);
        _exit(good ? 0 : 1);
    }
    close(pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    close(pipe_ends[0]);
    assert_ok(start_at(directory, &cluster, &err), &err);
    assay_cluster_stop(cluster);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void
a_half_made_one_is_made_again(void **state)
{
    assay_auto_free char *path = NULL;
    assay_auto_free char *half = NULL;
    assay_auto_free char *file = NULL;
    struct assay_cluster *cluster;
    struct assay_error err = {0};
    pid_t child;

    NEED_POSTGRES();
    path = assay_format("%s/half", folder);
    half = assay_format("%s/data.new/base", path);
    file = assay_format("%s/data.new/PG_VERSION", path);
    assert_ok(assay_make_directories(half, 0700, &err), &err);
    assert_ok(assay_file_write(file, "15\n", 3, 0600, &err), &err);
    assert_ok(start_at(path, &cluster, &err), &err);
    check_answers(cluster);
    assay_cluster_stop(cluster);

    /* Killed in the middle: its initdb is waited for, and what it made thrown away. */
    free(path);
    path = assay_format("%s/killed", folder);
    child = fork();
    if (child == 0) {
        (void)!start_at(path, &cluster, NULL);
        _exit(0);
    }
    usleep(150000);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(start_at(path, &cluster, &err), &err);
    check_answers(cluster);
    assay_cluster_stop(cluster);

    /* Something else in the place of the cluster is not touched. */
    free(path);
    path = assay_format("%s/foreign", folder);
    free(file);
    file = assay_format("%s/data/keep", path);
    free(half);
    half = assay_format("%s/data", path);
    assert_ok(assay_make_directories(half, 0700, &err), &err);
    assert_ok(assay_file_write(file, "x", 1, 0600, &err), &err);
    assert_int_equal(start_at(path, &cluster, &err), ASSAY_E_CONFLICT);
    assert_int_equal(access(file, F_OK), 0);
}

/* Longer than a socket address, with what breaks connection strings, below a
 * folder that only we can enter. */
static void
any_directory_works(void **state)
{
    assay_auto_free char *closed = NULL;
    assay_auto_free char *path = NULL;
    struct assay_cluster *cluster;
    struct assay_error err = {0};

    NEED_POSTGRES();
    closed = assay_format("%s/closed", folder);
    path = assay_format("%s/it's a, \\ \"%0100d\"/database", closed, 7);
    assert_ok(assay_make_directories(closed, 0700, &err), &err);
    assert_ok(start_at(path, &cluster, &err), &err);
    check_answers(cluster);
    harness_kill(cluster);
    assert_ok(assay_cluster_restart(cluster, &err), &err);
    check_answers(cluster);
    assay_cluster_stop(cluster);
}

static void
errors_say_what_is_wrong(void **state)
{
    struct assay_cluster_options options = {.connections = 20, .shared_buffers_mib = 16};
    assay_auto_free char *log = NULL;
    struct assay_cluster *cluster;
    struct assay_error err = {0};
    assay_auto_free char *old = NULL;

    NEED_POSTGRES();
    options.directory = directory;
    options.bin = folder;
    assert_int_equal(assay_cluster_start(&options, &cluster, &err), ASSAY_E_UNAVAILABLE);
    assert_non_null(strstr(err.message, "no initdb"));
    /* The server refuses its settings: its own words are in the message. */
    options.bin = NULL;
    options.connections = -5;
    assert_int_equal(assay_cluster_start(&options, &cluster, &err), ASSAY_E_UNAVAILABLE);
    assert_non_null(strstr(err.message, "max_connections"));

    /* A long log is put aside. */
    log = assay_format("%s/log", directory);
    old = assay_format("%s/log.1", directory);
    assert_int_equal(truncate(log, 5 << 20), 0);
    assert_ok(start_at(directory, &cluster, &err), &err);
    assert_int_equal(access(old, F_OK), 0);
    assay_cluster_stop(cluster);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_and_stops),
        cmocka_unit_test(a_killed_postmaster_comes_back),
        cmocka_unit_test(a_running_one_is_adopted),
        cmocka_unit_test(a_stale_pid_file_is_no_obstacle),
        cmocka_unit_test(a_pid_file_that_names_another_server_is_no_obstacle),
        cmocka_unit_test(a_lock_that_is_about_to_go_is_awaited),
        cmocka_unit_test(a_half_made_one_is_made_again),
        cmocka_unit_test(any_directory_works),
        cmocka_unit_test(errors_say_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
