/* Overrides, placing, progress lines, exit codes and reports. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/follow.h"
#include "cli/result.h"
#include "cli/study_file.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"

static json_t *
load(const char *source)
{
    json_error_t where;
    json_t *value = json_loads(source, 0, &where);

    if (value == NULL)
        fail_msg("%s", where.text);
    return value;
}

static void
assert_document(const json_t *document, const char *wanted)
{
    json_t *expected = load(wanted);

    assert_true(json_equal(document, expected));
    json_decref(expected);
}

/* The document after one override, as text; "!" and the message when refused. */
static void
assert_override(const char *source, const char *setting, const char *wanted)
{
    json_t *document = load(source);
    struct assay_error err = {0};
    struct assay_buffer text = {0};

    if (assay_override(document, setting, &err) < 0)
        assay_buffer_printf(&text, "!%s", err.message);
    if (wanted[0] == '!')
        assert_non_null(strstr(text.data, wanted + 1));
    else
        assert_document(document, wanted);
    assay_buffer_done(&text);
    json_decref(document);
}

static void
overrides_find_their_place(void **state)
{
    const char *space = "{\"parameters\": [{\"name\": \"lr\", \"max\": 1}]}";

    (void)state;
    assert_override("{}", "limits.trials=20", "{\"limits\": {\"trials\": 20}}");
    assert_override("{\"limits\": null}", "limits.time=2h", "{\"limits\": {\"time\": \"2h\"}}");
    assert_override("{\"a\": 1}", "a={\"b\": [0.5]}", "{\"a\": {\"b\": [0.5]}}");
    assert_override("{}", "/a~1b/c=x", "{\"a/b\": {\"c\": \"x\"}}");
    assert_override("{}", "name=a=b", "{\"name\": \"a=b\"}");
    assert_override("{}", "name=", "{\"name\": \"\"}");
    assert_override(space, "parameters.lr.max=0.1",
                    "{\"parameters\": [{\"name\": \"lr\", \"max\": 0.1}]}");
    assert_override(space, "parameters.0.max=2",
                    "{\"parameters\": [{\"name\": \"lr\", \"max\": 2}]}");
    assert_override(space, "parameters.mu.max=2", "!\"mu\" is neither");
    assert_override(space, "parameters.7=2", "!no place \"7\"");
    assert_override(space, "parameters.lr.max.x=2", "!\"max\" is neither");
    assert_override("{}", "limits", "!PATH=VALUE");
    assert_override("{}", "=5", "!PATH=VALUE");
}

static void
assert_placed(const char *source, const char *wanted)
{
    json_t *document = load(source);

    assay_study_place(document, "/home/me");
    assert_document(document, wanted);
    json_decref(document);
}

static void
studies_get_their_folder(void **state)
{
    (void)state;
    assert_placed("{}", "{}");
    assert_placed("{\"trial\": {}}", "{\"trial\": {\"code\": {\"directory\": \"/home/me\"}}}");
    assert_placed("{\"trial\": {\"code\": {\"directory\": \"src\"}}}",
                  "{\"trial\": {\"code\": {\"directory\": \"/home/me/src\"}}}");
    assert_placed("{\"trial\": {\"code\": {\"directory\": \"/abs\"}}}",
                  "{\"trial\": {\"code\": {\"directory\": \"/abs\"}}}");
    assert_placed("{\"trial\": {\"code\": {\"git\": \"x\"}}}",
                  "{\"trial\": {\"code\": {\"git\": \"x\"}}}");
    assert_placed("{\"trial\": {\"kubernetes\": {}}}", "{\"trial\": {\"kubernetes\": {}}}");
}

static void
faults_get_the_nearest_line(void **state)
{
    json_t *faults = load("[{\"pointer\": \"/a/b/c\"}, {\"pointer\": \"/x/y\"}, {\"pointer\": "
                          "\"/a\", \"line\": 9}, {\"pointer\": \"\"}]");
    json_t *lines = load("{\"\": 1, \"/a/b\": 4}");

    (void)state;
    assay_faults_locate(faults, lines);
    assert_int_equal(assay_member_int(json_array_get(faults, 0), "line"), 4);
    assert_null(json_object_get(json_array_get(faults, 1), "line"));
    assert_int_equal(assay_member_int(json_array_get(faults, 2), "line"), 9);
    assert_int_equal(assay_member_int(json_array_get(faults, 3), "line"), 1);
    json_decref(faults);
    json_decref(lines);
}

#define STUDY                                                                                      \
    "{\"name\": \"demo\", \"project\": \"default\", \"state\": \"running\", \"reason\": null,"     \
    "\"objectives\": [{\"metric\": \"loss\", \"goal\": \"minimize\", \"target\": null}],"          \
    "\"limits\": {\"trials\": 50, \"time\": null},"                                                \
    "\"trials\": {\"running\": 4, \"succeeded\": 6, \"stopped\": 3, \"failed\": 1, \"total\": "    \
    "14},"                                                                                         \
    "\"best\": {\"number\": 5, \"value\": 0.3125, \"metric\": \"loss\","                           \
    "           \"parameters\": {\"lr\": 0.1}},"                                                   \
    "\"started_at\": \"2026-01-02T03:04:05Z\", \"finished_at\": null}"

static void
progress_fits_the_terminal(void **state)
{
    const double history[] = {1, 0.5, 0.3125};
    json_t *study = load(STUDY);
    struct assay_progress progress = {.columns = 200, .history = history, .n_history = 3};
    char *line;

    (void)state;
    assert_true(assay_parse_time("2026-01-02T03:04:15Z", &progress.now_us));
    line = assay_progress_line(study, &progress);
    assert_string_equal(line,
                        "demo  [##------------]  10/50  best loss 0.3125 (trial 5)  4 running "
                        " 1 failed  3 stopped early  ETA 40s  %-_");
    free(line);
    for (progress.columns = 0; progress.columns < 130; progress.columns++) {
        line = assay_progress_line(study, &progress);
        assert_true(assay_text_width(line) <= progress.columns);
        free(line);
    }
    line = assay_progress_plain(study, progress.now_us);
    assert_string_equal(line, "[10s] 10/50 done, 4 running, 1 failed, 3 stopped early, best loss "
                              "0.3125 (trial 5), ETA 40s");
    free(line);
    json_decref(study);
}

static void
assert_exit(const char *state, const char *reason, json_t *target, bool has_best, int wanted)
{
    json_t *study = load(STUDY);
    json_t *objective = json_array_get(json_object_get(study, "objectives"), 0);

    json_object_set_new(study, "state", json_string(state));
    json_object_set_new(study, "reason", json_string(reason));
    json_object_set_new(objective, "target", target);
    if (!has_best)
        json_object_set_new(study, "best", json_null());
    assert_int_equal(assay_study_exit(study), wanted);
    json_decref(study);
}

static void
the_end_decides_the_exit_code(void **state)
{
    (void)state;
    assert_exit("succeeded", "trials_done", json_null(), true, 0);
    assert_exit("succeeded", "target_reached", json_real(0.4), true, 0);
    assert_exit("succeeded", "trials_done", json_real(0.1), true, 3);
    assert_exit("succeeded", "time_limit", json_integer(0), true, 3);
    assert_exit("succeeded", "trials_done", json_null(), false, 1);
    assert_exit("failed", "failed_trials_limit", json_null(), true, 1);
    assert_exit("cancelled", "cancelled_by_user", json_null(), true, 1);
}

static void
history_keeps_the_best_so_far(void **state)
{
    json_t *study = load(STUDY);
    json_t *trials = load("[{\"value\": 0.5}, {\"value\": \"nan\"}, {\"value\": null}, {\"value\": "
                          "0.7}, {\"value\": 0.2}]");
    size_t n = 0;
    double *history = assay_result_history(study, trials, &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_true(history[0] <= 0.5 && history[0] >= 0.5);
    assert_true(history[1] <= 0.5 && history[1] >= 0.5);
    assert_true(history[2] <= 0.2 && history[2] >= 0.2);
    free(history);
    json_decref(study);
    json_decref(trials);
}

static void
reports_are_junit(void **state)
{
    json_t *study = load(STUDY);
    json_t *trials =
        load("[{\"number\": 1, \"state\": \"succeeded\", \"parameters\": {\"a\": "
             "\"<x>\"}}, {\"number\": 2, \"state\": \"failed\", \"message\": \"boom\"}]");
    struct assay_buffer xml = {0};

    (void)state;
    json_object_set_new(study, "state", json_string("succeeded"));
    assay_result_junit(study, trials, 0, &xml);
    assert_non_null(strstr(xml.data, "tests=\"3\" failures=\"0\" errors=\"0\" skipped=\"1\""));
    assert_non_null(strstr(xml.data, "name=\"trial 1 (a=&lt;x&gt;)\""));
    assert_non_null(strstr(xml.data, "<skipped message=\"failed: boom\"/>"));
    assay_buffer_clear(&xml);
    json_object_set_new(study, "state", json_string("failed"));
    assay_result_junit(study, trials, 1, &xml);
    assert_non_null(strstr(xml.data, "tests=\"3\" failures=\"2\" errors=\"0\" skipped=\"0\""));
    assert_non_null(strstr(xml.data, "<failure message=\"failed: boom\"/>"));
    assay_buffer_done(&xml);
    json_decref(study);
    json_decref(trials);
}

static void
parameters_become_variables(void **state)
{
    json_t *parameters = load("{\"lr\": 0.1, \"a-b.c\": \"$(reboot)\", \"flag\": true}");
    struct assay_buffer text = {0};

    (void)state;
    assay_result_shell(parameters, ' ', &text);
    assert_string_equal(text.data, "ASSAY_PARAM_LR=0.1 ASSAY_PARAM_A_B_C='$(reboot)' "
                                   "ASSAY_PARAM_FLAG=true");
    assay_buffer_done(&text);
    json_decref(parameters);
}

static void
study_arguments_are_names(void **state)
{
    struct assay_error err = {0};
    char *path = NULL;

    (void)state;
    assert_int_equal(assay_cli_study_path("demo", &path, &err), ASSAY_OK);
    assert_string_equal(path, "/v1/projects/default/studies/demo");
    free(path);
    assert_int_equal(assay_cli_study_path("vision/demo", &path, &err), ASSAY_OK);
    assert_string_equal(path, "/v1/projects/vision/studies/demo");
    free(path);
    assert_int_equal(assay_cli_study_path("../demo", &path, &err), ASSAY_E_BAD_REQUEST);
    assert_int_equal(assay_cli_study_path("a/b/c", &path, &err), ASSAY_E_BAD_REQUEST);
    assert_int_equal(assay_cli_study_path("", &path, &err), ASSAY_E_BAD_REQUEST);
    assert_int_equal(assay_cli_study_path("Demo", &path, &err), ASSAY_E_BAD_REQUEST);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overrides_find_their_place),
        cmocka_unit_test(studies_get_their_folder),
        cmocka_unit_test(faults_get_the_nearest_line),
        cmocka_unit_test(progress_fits_the_terminal),
        cmocka_unit_test(the_end_decides_the_exit_code),
        cmocka_unit_test(history_keeps_the_best_so_far),
        cmocka_unit_test(reports_are_junit),
        cmocka_unit_test(parameters_become_variables),
        cmocka_unit_test(study_arguments_are_names),
    };

    unsetenv("ASSAY_PROJECT");
    return cmocka_run_group_tests_name("cli/study", tests, NULL, NULL);
}
