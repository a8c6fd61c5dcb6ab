/* run, watch: a study followed to its end. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/follow.h"
#include "cli/result.h"
#include "cli/submit.h"
#include "cli/text.h"
#include "common/file.h"
#include "common/memory.h"
#include "schemas/decode.h"

/* The history that a summary draws needs no more trials than this. */
#define SUMMARY_TRIALS_MAX 20000
/* Failed trials named in a summary. */
#define SUMMARY_FAILED_MAX 3

static int
get_trials(struct assay_cli *cli, const char *path, bool whole, json_t **ret_trials)
{
    assay_auto_free char *list = assay_format("%s/trials", path);

    if (whole)
        return assay_cli_all(cli, list, "sort=number", "trials", -1, ret_trials);
    return assay_cli_all(cli, list, "sort=number&fields=number,state,value", "trials",
                         SUMMARY_TRIALS_MAX, ret_trials);
}

static void
add_failed(void *arg, json_t *trial)
{
    struct assay_buffer *text = arg;
    assay_auto_free char *message = assay_text_clean(assay_member_text(trial, "message"));

    assay_buffer_printf(text, "  trial %lld: %s\n", (long long)assay_member_int(trial, "number"),
                        message[0] != '\0' ? message : assay_member_text(trial, "reason"));
}

static int
print_summary(struct assay_cli *cli, const char *path, const json_t *study, const json_t *trials)
{
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_free char *list = assay_format("%s/trials", path);
    assay_auto_free char *dashboard = assay_cli_dashboard(cli);
    int64_t failed = assay_member_int(json_object_get(study, "trials"), "failed");
    int code;

    assay_result_text(cli, study, trials, &text);
    if (failed > 0) {
        assay_buffer_puts(&text, "\nfailed\n");
        code = assay_cli_each(cli, list, "state=failed&sort=number&fields=number,reason,message",
                              "trials", SUMMARY_FAILED_MAX, add_failed, &text);
        if (code != ASSAY_EXIT_DONE)
            return code;
        if (failed > SUMMARY_FAILED_MAX)
            assay_buffer_printf(&text, "  and %lld more: assay trials %s --state failed\n",
                                (long long)(failed - SUMMARY_FAILED_MAX),
                                assay_member_text(study, "name"));
    }
    assay_buffer_printf(&text, "\ndashboard: %s\n", dashboard);
    assay_cli_print(&text);
    return ASSAY_EXIT_DONE;
}

/* What is printed and written at the end, also after a detach.  `code` is what the
 * study's end means. */
static int
report(struct assay_cli *cli, const char *path, json_t *study, int code)
{
    const char *junit = assay_args_get(&cli->args, "junit");
    json_t *trials = NULL;
    int failed = get_trials(cli, path, cli->json || junit != NULL, &trials);

    if (failed != ASSAY_EXIT_DONE)
        return failed;
    if (junit != NULL) {
        assay_auto_buffer struct assay_buffer xml = {0};
        struct assay_error err = {0};

        assay_result_junit(study, trials, code, &xml);
        if (assay_file_write(junit, xml.data, xml.length, 0644, &err) < 0) {
            json_decref(trials);
            return assay_cli_fail(cli, NULL, &err);
        }
    }
    if (cli->json) {
        assay_auto_free char *dashboard = assay_cli_dashboard(cli);
        json_t *document = assay_result_json(study, trials, dashboard);

        assay_cli_print_json(document);
        json_decref(document); /* and the trials */
        return code;
    }
    failed = print_summary(cli, path, study, trials);
    json_decref(trials);
    return failed != ASSAY_EXIT_DONE ? failed : code;
}

/* After Ctrl-C or SIGTERM: leaves the study alone, or cancels it as asked. */
static int
interrupted(struct assay_cli *cli, const char *path, const char *title, bool cancels)
{
    assay_auto_free char *verb = assay_format("%s/cancel", path);
    assay_auto_free char *options = assay_server_options(cli);
    int code;

    if (!cancels) {
        assay_cli_note(cli,
                       "detached; the study goes on.\n"
                       "  follow it: assay watch%s %s\n"
                       "  cancel it: assay cancel%s %s",
                       options, title, options, title);
        return ASSAY_EXIT_INTERRUPTED;
    }
    assay_cli_note(cli, "cancelling %s (once more to leave it at once)", title);
    code = assay_cli_call(cli, "POST", verb, NULL, NULL, NULL);
    return code != ASSAY_EXIT_DONE ? code : ASSAY_EXIT_INTERRUPTED;
}

static int
follow_and_report(struct assay_cli *cli, const char *path, const char *title)
{
    static const char *const words[] = {"detach", "cancel"};
    size_t on_interrupt = 0;
    bool quiet = assay_args_has(&cli->args, "quiet");
    struct assay_error err = {0};
    json_t *study = NULL;
    int code;

    if (assay_args_get_word(&cli->args, "on-interrupt", words, ASSAY_COUNT(words), &on_interrupt,
                            &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    code = assay_cli_follow(cli, path, quiet, &study);
    if (code == ASSAY_EXIT_INTERRUPTED) {
        code = interrupted(cli, path, title, on_interrupt == 1);
        if (code == ASSAY_EXIT_INTERRUPTED && on_interrupt == 1) {
            /* Its processes are given their grace; then the study is final. */
            json_decref(study);
            study = NULL;
            code = assay_cli_follow(cli, path, quiet, &study);
            if (code == ASSAY_EXIT_DONE)
                code = ASSAY_EXIT_INTERRUPTED;
        }
        if (code == ASSAY_EXIT_INTERRUPTED && study != NULL && cli->json)
            code = report(cli, path, study, ASSAY_EXIT_INTERRUPTED);
        json_decref(study);
        return code;
    }
    if (code == ASSAY_EXIT_DONE) {
        if (!quiet && !cli->json)
            fputs("\n", stderr);
        code = report(cli, path, study, assay_study_exit(study));
        json_decref(study);
    }
    return code;
}

/* A server that answers: the one named, else the private daemon. */
static int
need_server(struct assay_cli *cli)
{
    struct assay_error err = {0};
    bool started = false;
    assay_status rc = assay_cli_find(cli, &err);

    if (rc == ASSAY_OK && cli->target.data != NULL && !assay_args_has(&cli->args, "no-start"))
        rc = assay_daemon_ensure(cli, NULL, &started, &err);
    else if (rc == ASSAY_OK)
        rc = assay_cli_connect(cli, &err);
    if (rc < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (started && !assay_args_has(&cli->args, "quiet")) {
        assay_auto_free char *options = assay_server_options(cli);

        assay_cli_note(cli,
                       "started a private daemon at %s, data in %s (end it with: assay server "
                       "stop%s)",
                       cli->target.url, cli->target.data, options);
    }
    return ASSAY_EXIT_DONE;
}

static bool
has_name(const json_t *studies, const char *name)
{
    json_t *study;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)studies, i, study)
    {
        if (strcmp(assay_member_text(study, "name"), name) == 0)
            return true;
    }
    return false;
}

/* A file run again is a new study: NAME-2, NAME-3, … unless --name was given.  When
 * somebody takes the name in between, submitting says so. */
static void
choose_free_name(struct assay_cli *cli, struct assay_study_file *file)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    const char *name = json_string_value(json_object_get(file->document, "name"));
    const char *project = json_string_value(json_object_get(file->document, "project"));
    assay_auto_free char *path = NULL, *query = NULL, *fresh = NULL;
    struct assay_http_request request = {.method = "GET"};
    struct assay_error err = {0};
    const json_t *studies;

    if (file->foreign || name == NULL || assay_args_has(&cli->args, "name"))
        return;
    path = assay_format("/v1/projects/%s/studies",
                        project != NULL ? project : assay_cli_project(cli));
    query = assay_format("name=%s&fields=name&page_size=1000&sort=-created_at", name);
    request.path = path;
    request.query = query;
    if (!assay_name_valid(name) ||
        assay_cli_send(cli, &request, ASSAY_CLI_PATIENCE_MS, &answer, &err) < 0)
        return;
    studies = json_object_get(answer.json, "studies");
    if (!has_name(studies, name))
        return;
    for (size_t i = 2; fresh == NULL || has_name(studies, fresh); i++) {
        free(fresh);
        fresh = assay_format("%s-%zu", name, i);
    }
    json_object_set_new(file->document, "name", json_string(fresh));
}

static int
run_run(struct assay_cli *cli)
{
    assay_auto_study_file struct assay_study_file file = {0};
    assay_auto_free char *title = NULL, *path = NULL, *dashboard = NULL;
    json_t *study = NULL;
    int code = assay_study_file_read(cli, cli->args.arguments[0], &file);

    /* Faults are told before a daemon is started for them. */
    if (code == ASSAY_EXIT_DONE)
        code = assay_submit_check(cli, &file);
    if (code == ASSAY_EXIT_DONE)
        code = need_server(cli);
    if (code == ASSAY_EXIT_DONE)
        code = assay_study_file_complete(cli, &file);
    if (code != ASSAY_EXIT_DONE)
        return code;
    assay_submit_place(cli, &file);
    choose_free_name(cli, &file);
    assay_study_file_note(cli, &file);
    code = assay_study_submit(cli, &file, false, &study);
    if (code != ASSAY_EXIT_DONE)
        return code;
    title = assay_study_title(study);
    path = assay_study_url_path(study);
    dashboard = assay_cli_dashboard(cli);
    if (!assay_args_has(&cli->args, "quiet"))
        assay_cli_note(cli, "%s submitted; dashboard: %s", title, dashboard);
    if (json_is_false(json_object_get(study, "runs_trials")))
        assay_cli_note(cli, "the study has no command: its trials wait for workers (assay ask, or "
                            "the Python client)");
    json_decref(study);
    return follow_and_report(cli, path, title);
}

static const struct assay_exit follow_exits[] = {
    {ASSAY_EXIT_DONE, "the study succeeded (and reached its target, if it has one)"},
    {ASSAY_EXIT_FAILED, "the study failed, was cancelled, or has no best; or the server was lost"},
    {ASSAY_EXIT_INPUT, "the command line, the file or a name is wrong"},
    {ASSAY_EXIT_LIMIT, "a limit was hit before the target"},
    {ASSAY_EXIT_INTERRUPTED, "interrupted (Ctrl-C, SIGTERM); see --on-interrupt"},
    {0, NULL},
};

#define OPTIONS_FOLLOW                                                                             \
    {"quiet", 'q', NULL, "no progress", false},                                                    \
        {"junit", 0, "FILE", "write a JUnit report at the end", false},                            \
    {                                                                                              \
        "on-interrupt", 0, "detach|cancel", "what Ctrl-C and SIGTERM do to the study [detach]",    \
            false                                                                                  \
    }

static const struct assay_option run_options[] = {
    ASSAY_OPTIONS_STUDY_FILE,
    OPTIONS_FOLLOW,
    {"no-start", 0, NULL, "do not start a private daemon", false},
    {0},
};

const struct assay_verb assay_verb_run = {
    .name = "run",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Submit a study, follow it to its end and print the best parameters",
    .text = "FILE is a study in YAML or JSON; \"-\" is standard input. With no server named, a\n"
            "private daemon is used, and started when none runs; it goes on after this\n"
            "command. Trials on this machine run in the folder of FILE, unless the file has\n"
            "trial.code; a relative trial.code.directory is taken from there too.\n"
            "A name that is taken gets a number (digits-2), unless --name gives it.\n"
            "\n"
            "Progress goes to standard error: one live line on a terminal, else a line at\n"
            "most every five seconds. The first Ctrl-C detaches: the study goes on, and a\n"
            "sentence says how to follow or cancel it. With --on-interrupt cancel it is\n"
            "cancelled instead, and a second Ctrl-C leaves without waiting for that.\n"
            "\n"
            "With --json standard output is one document at the end:\n"
            "{\"study\":{...},\"best\":{...},\"trials\":[...],\"dashboard\":\"...\"}.",
    .options = run_options,
    .exits = follow_exits,
    .examples = "assay run study.yaml\n"
                "assay run study.yaml --name try-2 --seed 7 --set limits.trials=20\n"
                "assay run study.yaml --json > result.json\n"
                "assay run study.yaml --on-interrupt cancel --junit report.xml",
    .run = run_run,
};

static int
run_watch(struct assay_cli *cli)
{
    struct assay_error err = {0};
    assay_auto_free char *path = NULL;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    return follow_and_report(cli, path, cli->args.arguments[0]);
}

static const struct assay_option watch_options[] = {
    OPTIONS_FOLLOW,
    {0},
};

const struct assay_verb assay_verb_watch = {
    .name = "watch",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Follow a study to its end and print the best parameters",
    .text = "Says, waits and ends as \"assay run\" does.",
    .options = watch_options,
    .exits = follow_exits,
    .examples = "assay watch digits-mlp",
    .run = run_watch,
};
