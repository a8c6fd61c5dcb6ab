/* ask, report, tell: trials run by shell scripts. */
#include <inttypes.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/result.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"

/* How often a server that has nothing to hand out is asked again. */
#define ASK_AGAIN_MS 1000

/* --client, $ASSAY_CLIENT, or this machine and the calling script: the same script
 * gets its open trials back, two scripts never share one.  Caller frees. */
static char *
client_name(const struct assay_cli *cli)
{
    const char *option = assay_args_get(&cli->args, "client");
    const char *variable = getenv("ASSAY_CLIENT");
    char host[256] = "localhost";

    if (option != NULL)
        return assay_strdup(option);
    if (variable != NULL && variable[0] != '\0')
        return assay_strdup(variable);
    (void)!gethostname(host, sizeof host - 1);
    return assay_format("%s-%d", host, (int)getppid());
}

static void
add_lines(const json_t *trials, bool shell, struct assay_buffer *text)
{
    const json_t *trial;
    const char *name;
    json_t *value;
    size_t i;

    json_array_foreach(trials, i, trial)
    {
        const json_t *budget = json_object_get(trial, "budget");

        assay_buffer_printf(text, "%s%" PRId64, shell ? "ASSAY_TRIAL=" : "",
                            assay_member_int(trial, "number"));
        if (shell) {
            assay_auto_free char *plain = assay_text_csv_value(budget);

            assay_buffer_printf(text, " ASSAY_BUDGET=%s ", plain);
            assay_result_shell(json_object_get(trial, "parameters"), ' ', text);
        } else {
            json_object_foreach(json_object_get(trial, "parameters"), name, value)
            {
                assay_auto_free char *plain = assay_text_csv_value(value);

                assay_buffer_printf(text, " %s=", name);
                assay_text_shell(text, plain);
            }
        }
        assay_buffer_puts(text, "\n");
    }
}

static bool
state_is_final(const json_t *answer)
{
    json_t *study = json_pack("{s:s}", "state", assay_member_text(answer, "study_state"));
    bool result = assay_study_is_final(study);

    json_decref(study);
    return result;
}

/* Asks until something is handed out, the study has ended, or the wait is over. */
static int
ask(struct assay_cli *cli, const char *path, const json_t *body, int64_t wait_us,
    json_t **ret_answer)
{
    int64_t end_us = assay_monotonic_us() + wait_us;

    for (;;) {
        json_t *answer = NULL;
        int code = assay_cli_call(cli, "POST", path, NULL, body, &answer);
        int64_t pause_ms, left_ms = (end_us - assay_monotonic_us()) / 1000;
        struct timespec time;

        if (code != ASSAY_EXIT_DONE)
            return code;
        if (json_array_size(json_object_get(answer, "trials")) > 0 || left_ms <= 0 ||
            state_is_final(answer)) {
            *ret_answer = answer;
            return ASSAY_EXIT_DONE;
        }
        pause_ms = assay_member_int(answer, "retry_after_ms");
        pause_ms = ASSAY_MIN(pause_ms > 0 ? pause_ms : ASK_AGAIN_MS, left_ms);
        time = (struct timespec){pause_ms / 1000, (long)(pause_ms % 1000) * 1000000};
        nanosleep(&time, NULL);
        json_decref(answer);
    }
}

static int
run_ask(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL, *client = client_name(cli);
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_error err = {0};
    int64_t count = 1, wait_us = 0;
    json_t *body, *answer = NULL;
    size_t n = 0;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_int(&cli->args, "count", 1, 1000, &count, &err) < 0 ||
        assay_args_get_duration(&cli->args, "wait", &wait_us, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    route = assay_format("%s/suggestions", path);
    body = json_pack("{s:I, s:s}", "count", (json_int_t)count, "client", client);
    if (body == NULL)
        return assay_cli_fail_usage(cli, "the client's name is not UTF-8");
    code = ask(cli, route, body, wait_us, &answer);
    json_decref(body);
    if (code != ASSAY_EXIT_DONE)
        return code;
    n = json_array_size(json_object_get(answer, "trials"));
    if (cli->json)
        assay_cli_print_json(answer);
    else
        add_lines(json_object_get(answer, "trials"), assay_args_has(&cli->args, "shell"), &text);
    assay_cli_print(&text);
    if (n == 0) {
        const char *reason = assay_member_text(answer, "reason");

        assay_cli_note(cli, "nothing to try now: the study is %s%s%s",
                       assay_member_text(answer, "study_state"), reason[0] != '\0' ? ", " : "",
                       reason);
    }
    json_decref(answer);
    return n > 0 ? ASSAY_EXIT_DONE : ASSAY_EXIT_LIMIT;
}

static const struct assay_option ask_options[] = {
    {"count", 'c', "N", "ask for N trials [1]", false},
    {"client", 0, "ID", "who asks [ASSAY_CLIENT, else machine and script]", false},
    {"wait", 'w', "TIME", "wait so long for a trial, as in 30s or 10m", false},
    {"shell", 0, NULL, "print ASSAY_TRIAL=, ASSAY_PARAM_NAME= and so on, for eval", false},
    {0},
};

static const struct assay_exit ask_exits[] = {
    {ASSAY_EXIT_DONE, "trials were handed out"},
    {ASSAY_EXIT_LIMIT, "nothing to try now: the study is paused or full, or has ended"},
    {0, NULL},
};

const struct assay_verb assay_verb_ask = {
    .name = "ask",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Ask for parameters to try",
    .text = "For studies without a command. Prints a line per trial: its number and its\n"
            "parameters. A client that asks again before it has told gets the same trials\n"
            "again, so a script that was killed goes on where it was.",
    .options = ask_options,
    .exits = ask_exits,
    .examples = "assay ask sweep\n"
                "while line=$(assay ask sweep --wait 1m --shell); do\n"
                "  eval \"$line\"\n"
                "  loss=$(./train --lr \"$ASSAY_PARAM_LR\")\n"
                "  assay tell sweep \"$ASSAY_TRIAL\" loss=\"$loss\"\n"
                "done",
    .run = run_ask,
};

/* --- STUDY TRIAL METRIC=VALUE... */

struct told {
    char *path; /* of the trial */
    json_t *metrics;
};

static void
told_done(struct told *told)
{
    free(told->path);
    json_decref(told->metrics);
}

static assay_status
add_metric(const char *argument, const char *equals, json_t *metrics, struct assay_error *err)
{
    assay_auto_free char *name = assay_strndup(argument, (size_t)(equals - argument));
    double value;

    if (!assay_parse_double(equals + 1, &value))
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "%s is \"%s\", but must be a number, nan, inf or -inf", name, equals + 1);
    if (json_object_get(metrics, name) != NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "metric %s is given twice", name);
    if (json_object_set_new(metrics, name, assay_json_real(value)) < 0)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "a metric's name is not UTF-8");
    return ASSAY_OK;
}

/* Sorts the arguments; within a trial STUDY TRIAL are in the environment. */
static assay_status
read_told(const struct assay_cli *cli, struct told *told, struct assay_error *err)
{
    const char *words[2] = {getenv("ASSAY_STUDY"), getenv("ASSAY_TRIAL")};
    assay_auto_free char *study = NULL;
    size_t n = 0;
    int64_t number;
    assay_status rc;

    for (size_t i = 0; i < cli->args.n_arguments; i++) {
        const char *argument = cli->args.arguments[i];
        const char *equals = strchr(argument, '=');

        if (equals != NULL && equals != argument) {
            rc = add_metric(argument, equals, told->metrics, err);
            if (rc < 0)
                return rc;
        } else if (n < 2) {
            words[n++] = argument;
        } else {
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "\"%s\" is not METRIC=VALUE", argument);
        }
    }
    if (n == 1 || words[0] == NULL || words[1] == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "too few arguments; usage: assay %s %s",
                          cli->verb->name, cli->verb->arguments);
    rc = assay_cli_study_path(words[0], &study, err);
    if (rc < 0)
        return rc;
    if (!assay_parse_int(words[1], 1, INT64_MAX, &number))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "\"%s\" is not a trial's number", words[1]);
    told->path = assay_format("%s/trials/%" PRId64, study, number);
    return ASSAY_OK;
}

static int
send_report(struct assay_cli *cli, const struct told *told, struct assay_error *err)
{
    assay_auto_free char *route = assay_format("%s/measurements", told->path);
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *list = json_array(), *body, *answer = NULL;
    int64_t step = -1;
    bool stop = false;
    int code;

    if (assay_args_get_int(&cli->args, "step", 0, INT64_MAX, &step, err) < 0) {
        json_decref(list);
        return assay_cli_fail(cli, NULL, err);
    }
    if (json_object_size(told->metrics) > 0) {
        json_t *row = json_pack("{s:O}", "metrics", told->metrics);

        if (step >= 0)
            json_object_set_new(row, "step", json_integer(step));
        json_array_append_new(list, row);
    }
    body = json_pack("{s:o}", "measurements", list);
    /* Without a step a repeated report would be a second one. */
    if (step >= 0 || json_array_size(list) == 0)
        code = assay_cli_call(cli, "POST", route, NULL, body, &answer);
    else
        code = assay_cli_call_once(cli, "POST", route, NULL, body, &answer);
    json_decref(body);
    if (code != ASSAY_EXIT_DONE)
        return code;
    stop = json_is_true(json_object_get(answer, "stop"));
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        assay_buffer_puts(&text, stop ? "stop\n" : "continue\n");
        assay_cli_print(&text);
        if (stop)
            assay_cli_note(cli, "stop: %s", assay_member_text(answer, "message"));
    }
    json_decref(answer);
    return stop ? ASSAY_EXIT_LIMIT : ASSAY_EXIT_DONE;
}

static int
run_report(struct assay_cli *cli)
{
    struct told told = {.metrics = json_object()};
    struct assay_error err = {0};
    int code;

    if (read_told(cli, &told, &err) < 0)
        code = assay_cli_fail(cli, NULL, &err);
    else
        code = send_report(cli, &told, &err);
    told_done(&told);
    return code;
}

static const struct assay_option report_options[] = {
    {"step", 's', "N", "the step measured [the next one]", false},
    {0},
};

static const struct assay_exit report_exits[] = {
    {ASSAY_EXIT_DONE, "recorded; go on"},
    {ASSAY_EXIT_LIMIT, "recorded; the trial should stop, then tell what it has"},
    {0, NULL},
};

const struct assay_verb assay_verb_report = {
    .name = "report",
    .arguments = "[STUDY TRIAL] [METRIC=VALUE...]",
    .max_arguments = -1,
    .summary = "Report a trial's metrics while it runs",
    .text =
        "Prints \"continue\" or \"stop\". Without metrics it only says that the trial is alive.\n"
        "Within a trial that Assay started, STUDY and TRIAL can be left out.",
    .options = report_options,
    .exits = report_exits,
    .examples = "assay report sweep 17 --step 3 loss=0.4 accuracy=0.9\n"
                "assay report loss=0.4 || break",
    .run = run_report,
};

static int
send_tell(struct assay_cli *cli, const struct told *told)
{
    static const char *const states[] = {"succeeded", "failed", "infeasible"};
    assay_auto_free char *route = assay_format("%s/complete", told->path);
    assay_auto_buffer struct assay_buffer text = {0};
    const char *message = assay_args_get(&cli->args, "message");
    struct assay_error err = {0};
    json_t *body, *trial = NULL;
    size_t state = 0;
    int code;

    if (assay_args_get_word(&cli->args, "state", states, ASSAY_COUNT(states), &state, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    body = json_pack("{s:s}", "state", states[state]);
    if (json_object_size(told->metrics) > 0)
        json_object_set(body, "metrics", told->metrics);
    if (message != NULL && json_object_set_new(body, "message", json_string(message)) < 0) {
        json_decref(body);
        return assay_cli_fail_usage(cli, "the message is not UTF-8");
    }
    code = assay_cli_call(cli, "POST", route, NULL, body, &trial);
    json_decref(body);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(trial);
    } else {
        assay_buffer_printf(&text, "trial %" PRId64 ": %s\n", assay_member_int(trial, "number"),
                            assay_member_text(trial, "state"));
        assay_cli_print(&text);
    }
    json_decref(trial);
    return ASSAY_EXIT_DONE;
}

static int
run_tell(struct assay_cli *cli)
{
    struct told told = {.metrics = json_object()};
    struct assay_error err = {0};
    int code;

    if (read_told(cli, &told, &err) < 0)
        code = assay_cli_fail(cli, NULL, &err);
    else
        code = send_tell(cli, &told);
    told_done(&told);
    return code;
}

static const struct assay_option tell_options[] = {
    {"state", 0, "STATE", "succeeded, failed or infeasible [succeeded]", false},
    {"message", 'm', "TEXT", "a sentence kept with the trial", false},
    {0},
};

static const struct assay_exit tell_exits[] = {
    {ASSAY_EXIT_FAILED, "the trial has ended with another result, or the server was lost"},
    {0, NULL},
};

const struct assay_verb assay_verb_tell = {
    .name = "tell",
    .arguments = "[STUDY TRIAL] [METRIC=VALUE...]",
    .max_arguments = -1,
    .summary = "Tell how a trial ended",
    .text = "Metrics that were reported need not be told again. Safe to repeat. Within a trial\n"
            "that Assay started, STUDY and TRIAL can be left out.",
    .options = tell_options,
    .exits = tell_exits,
    .examples = "assay tell sweep 17 loss=0.31\n"
                "assay tell sweep 17 --state failed --message \"out of memory\"",
    .run = run_tell,
};
