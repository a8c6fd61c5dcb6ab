/* pause, resume, cancel, limits, stop, delete. */
#include <inttypes.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/study_file.h"
#include "cli/text.h"
#include "common/memory.h"
#include "common/number.h"

static int
print_state(struct assay_cli *cli, const char *what, const json_t *answer)
{
    assay_auto_buffer struct assay_buffer text = {0};

    if (cli->json) {
        assay_cli_print_json(answer);
        return ASSAY_EXIT_DONE;
    }
    assay_buffer_printf(&text, "%s: %s\n", what, assay_member_text(answer, "state"));
    assay_cli_print(&text);
    return ASSAY_EXIT_DONE;
}

static int
do_verb(struct assay_cli *cli, const char *verb, const char *query)
{
    assay_auto_free char *path = NULL, *route = NULL;
    struct assay_error err = {0};
    json_t *study = NULL;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    route = assay_format("%s/%s", path, verb);
    code = assay_cli_call(cli, "POST", route, query, NULL, &study);
    if (code == ASSAY_EXIT_DONE)
        code = print_state(cli, cli->args.arguments[0], study);
    json_decref(study);
    return code;
}

static int
run_pause(struct assay_cli *cli)
{
    return do_verb(cli, "pause", assay_args_has(&cli->args, "requeue") ? "requeue=true" : NULL);
}

static int
run_resume(struct assay_cli *cli)
{
    return do_verb(cli, "resume", NULL);
}

static int
run_cancel(struct assay_cli *cli)
{
    return do_verb(cli, "cancel", NULL);
}

static const struct assay_exit state_exits[] = {
    {ASSAY_EXIT_FAILED, "the study has ended in another way, or the server could not be reached"},
    {0, NULL},
};

static const struct assay_option pause_options[] = {
    {"requeue", 0, NULL, "end the running ones, too; they start anew when it is resumed", false},
    {0},
};

const struct assay_verb assay_verb_pause = {
    .name = "pause",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Start no new trials; the running ones go on",
    .options = pause_options,
    .exits = state_exits,
    .examples = "assay pause digits-mlp\n"
                "assay pause digits-mlp --requeue",
    .run = run_pause,
};

const struct assay_verb assay_verb_resume = {
    .name = "resume",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Go on with a paused study",
    .exits = state_exits,
    .examples = "assay resume digits-mlp",
    .run = run_resume,
};

const struct assay_verb assay_verb_cancel = {
    .name = "cancel",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "End a study now; its results stay",
    .exits = state_exits,
    .examples = "assay cancel digits-mlp",
    .run = run_cancel,
};

/* --- limits */

/* {"limits": {…}} of the arguments NAME=VALUE. */
static assay_status
read_limits(const struct assay_cli *cli, json_t *patch, struct assay_error *err)
{
    for (size_t i = 1; i < cli->args.n_arguments; i++) {
        assay_auto_free char *setting = assay_format("limits.%s", cli->args.arguments[i]);
        assay_status rc;

        if (strchr(setting, '=') == NULL)
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "\"%s\" is not LIMIT=VALUE",
                              cli->args.arguments[i]);
        rc = assay_override(patch, setting, err);
        if (rc < 0)
            return rc;
    }
    return ASSAY_OK;
}

static void
print_limits(const json_t *study)
{
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *value;
    const char *name;

    json_object_foreach(json_object_get(study, "limits"), name, value)
    {
        assay_auto_free char *shown = assay_text_value(value);

        assay_buffer_printf(&text, "%s=%s\n", name, shown);
    }
    assay_cli_print(&text);
}

static int
run_limits(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    json_t *patch = json_object(), *study = NULL;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        read_limits(cli, patch, &err) < 0) {
        json_decref(patch);
        return assay_cli_fail(cli, NULL, &err);
    }
    if (json_object_size(patch) > 0)
        code = assay_cli_call(cli, "PATCH", path, NULL, patch, &study);
    else
        code = assay_cli_call(cli, "GET", path, NULL, NULL, &study);
    json_decref(patch);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json)
        assay_cli_print_json(study);
    else
        print_limits(study);
    json_decref(study);
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_limits = {
    .name = "limits",
    .arguments = "STUDY [LIMIT=VALUE...]",
    .min_arguments = 1,
    .max_arguments = -1,
    .summary = "Show the limits of a study, or change them while it runs",
    .text = "Limits are those of the study file: trials, parallel, failed_trials, time,\n"
            "gpu_hours. Those not named stay as they are; null takes one away.",
    .exits = state_exits,
    .examples = "assay limits digits-mlp\n"
                "assay limits digits-mlp trials=200 parallel=8 time=4h",
    .run = run_limits,
};

static int
run_stop(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL, *what = NULL;
    struct assay_error err = {0};
    json_t *trial = NULL;
    int64_t number;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (!assay_parse_int(cli->args.arguments[1], 1, INT64_MAX, &number))
        return assay_cli_fail_usage(cli, "\"%s\" is not a trial's number", cli->args.arguments[1]);
    route = assay_format("%s/trials/%" PRId64 "/stop", path, number);
    code = assay_cli_call(cli, "POST", route, NULL, NULL, &trial);
    what = assay_format("trial %" PRId64, number);
    if (code == ASSAY_EXIT_DONE)
        code = print_state(cli, what, trial);
    json_decref(trial);
    return code;
}

const struct assay_verb assay_verb_stop = {
    .name = "stop",
    .arguments = "STUDY TRIAL",
    .min_arguments = 2,
    .max_arguments = 2,
    .summary = "Stop one trial early; its measurements count",
    .examples = "assay stop digits-mlp 17",
    .run = run_stop,
};

/* Asks on the terminal; a script that pipes something in has decided. */
static bool
is_sure(const struct assay_cli *cli, const char *study)
{
    char answer[16];

    if (assay_args_has(&cli->args, "yes") || cli->json || !isatty(STDIN_FILENO))
        return true;
    fprintf(stderr, "Delete %s with all its trials and measurements? [y/N] ", study);
    return fgets(answer, sizeof answer, stdin) != NULL && (answer[0] == 'y' || answer[0] == 'Y');
}

static int
run_delete(struct assay_cli *cli)
{
    const char *study = cli->args.arguments[0];
    const char *query = assay_args_has(&cli->args, "force") ? "force=true" : NULL;
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    int code;

    if (assay_cli_study_path(study, &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (!is_sure(cli, study)) {
        assay_cli_note(cli, "nothing was deleted");
        return ASSAY_EXIT_FAILED;
    }
    code = assay_cli_call(cli, "DELETE", path, query, NULL, NULL);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        json_t *document = json_pack("{s:s}", "deleted", study);

        assay_cli_print_json(document);
        json_decref(document);
    } else {
        assay_cli_note(cli, "%s deleted%s", study,
                       query != NULL ? ", once its last process has ended" : "");
    }
    return ASSAY_EXIT_DONE;
}

static const struct assay_option delete_options[] = {
    {"force", 0, NULL, "cancel the study first; it goes when its last process has", false},
    {"yes", 'y', NULL, "do not ask on a terminal", false},
    {0},
};

const struct assay_verb assay_verb_delete = {
    .name = "delete",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Delete a study with its trials and measurements",
    .options = delete_options,
    .examples = "assay delete digits-mlp\n"
                "assay delete digits-mlp --force --yes",
    .run = run_delete,
};
