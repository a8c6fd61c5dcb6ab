/* The runner and its daemon: one that misbehaves, is away, or is elsewhere. */
#include "tests/unit/trial-runner/runner_support.h"

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
    /* All at once: while the first is being told. */
    prepare(&run, "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo loss=$i; done", "{}");
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
    assert_true(assay_monotonic_us() - start_us < 30 * ASSAY_SECOND_US);
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

/* Addresses other than loopback's go through libcurl, which is loaded then.  This
 * one is the same machine to the kernel, and not to us. */
static void
other_addresses_go_through_libcurl(void **state)
{
    struct run run;
    assay_auto_free char *path = assay_format("%s/url", data_dir);
    assay_auto_free char *status_path = NULL;
    assay_auto_free char *status = NULL;
    FILE *file;
    long kib = 0;

    (void)state;
    prepare(&run, "echo step=1 loss=1; " WAIT_FOR("go") "echo nothing else", "{}");
    fake_start(&run.daemon, data_dir);
    file = fopen(path, "we");
    fprintf(file, "http://0.0.0.0:%d\n", run.daemon.port);
    fclose(file);
    begin(&run);
    wait_until_heard(&run, "\"step\":1,");
    status_path = assay_format("/proc/%ld/status", (long)run.pid);
    status = read_file(status_path);
    assert_int_equal(sscanf(strstr(status, "VmHWM:"), "VmHWM: %ld", &kib), 1);
    go(&run, "go");
    finish(&run);
    end(&run);
    printf("largest resident size with libcurl: %ld KiB\n", kib);
    assert_string_equal(text_of(run.told, "state"), "succeeded");
    check_curve(&run, 1);
    done(&run);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_daemon_that_comes_back_elsewhere_gets_everything),
        cmocka_unit_test(errors_of_the_daemon_are_waited_out),
        cmocka_unit_test(a_slow_daemon_gets_them_in_batches),
        cmocka_unit_test(only_the_measurement_that_is_refused_is_dropped),
        cmocka_unit_test(a_trial_that_is_over_ends_the_command),
        cmocka_unit_test(asked_to_end_it_does_not_wait_for_a_daemon_that_is_away),
        cmocka_unit_test(many_measurements_wait_on_disk),
        cmocka_unit_test(other_addresses_go_through_libcurl),
    };

    return cmocka_run_group_tests_name("runner and daemon", tests, set_up, tear_down);
}
