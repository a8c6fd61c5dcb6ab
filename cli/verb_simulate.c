/* simulate: what a study would do under another algorithm, rule or number of workers, or
 * what it would cost, in simulated time.  assay-suggest does the work. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/submit.h"
#include "cli/suggest_program.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"

#define CURVE_POINTS 1000

/* --- curves */

/* A file of records, one JSON object to a line. */
static int
read_curves(const struct assay_cli *cli, const char *path, json_t **ret_curves)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    json_t *curves = json_array();
    struct assay_error err = {0};
    assay_status status = ASSAY_OK;
    char *line = NULL;
    size_t size = 0;
    int64_t number = 0;

    if (file == NULL)
        status =
            assay_fail(&err, ASSAY_E_BAD_REQUEST, "%s can not be read: %s", path, strerror(errno));
    while (status == ASSAY_OK && getline(&line, &size, file) >= 0) {
        json_error_t fault;
        json_t *record;

        number++;
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        record = json_loads(line, 0, &fault);
        if (json_is_object(record))
            json_array_append_new(curves, record);
        else
            status = assay_fail(&err, ASSAY_E_BAD_REQUEST, "%s, line %" PRId64 ": %s", path, number,
                                record == NULL ? fault.text : "not a JSON object");
    }
    free(line);
    if (file != NULL && file != stdin)
        fclose(file);
    if (status != ASSAY_OK) {
        json_decref(curves);
        return assay_cli_fail(cli, NULL, &err);
    }
    *ret_curves = curves;
    return ASSAY_EXIT_DONE;
}

struct trials_by_number {
    json_t *trials; /* number as text -> trial */
};

static void
keep_trial(void *arg, json_t *trial)
{
    assay_auto_free char *key = assay_format("%" PRId64, assay_member_int(trial, "number"));

    json_object_set(((struct trials_by_number *)arg)->trials, key, trial);
}

/* Steps that begin at 0 are moved on by one: step n is the end of the n-th. */
static json_t *
shifted_steps(json_t *steps)
{
    json_t *shifted = json_array(), *step;
    size_t i;

    if (json_number_value(json_array_get(steps, 0)) >= 1.0) {
        json_decref(shifted);
        return json_incref(steps);
    }
    json_array_foreach(steps, i, step)
        json_array_append_new(shifted, json_real(json_number_value(step) + 1.0));
    return shifted;
}

static double
seconds_between(const json_t *object)
{
    int64_t from = assay_member_time(object, "started_at");
    int64_t to = assay_member_time(object, "finished_at");

    return from != ASSAY_TIME_NONE && to != ASSAY_TIME_NONE ? (double)(to - from) / 1e6 : 0.0;
}

/* What its processes took, without the pauses between them. */
static double
seconds_of(const json_t *trial)
{
    double seconds = 0.0;
    json_t *attempt;
    size_t i;

    json_array_foreach(json_object_get(trial, "attempts"), i, attempt) seconds +=
        seconds_between(attempt);
    return seconds > 0.0 ? seconds : seconds_between(trial);
}

static json_t *
record_of(const json_t *curve, const json_t *trial)
{
    double seconds = seconds_of(trial);
    json_t *record = json_object();

    json_object_set(record, "parameters", json_object_get(trial, "parameters"));
    json_object_set(record, "values", json_object_get(curve, "values"));
    json_object_set_new(record, "steps", shifted_steps(json_object_get(curve, "steps")));
    if (seconds > 0.0)
        json_object_set_new(record, "seconds", json_real(seconds));
    if (strcmp(assay_member_text(trial, "state"), "failed") == 0)
        json_object_set_new(record, "state", json_string("failed"));
    return record;
}

/* The learning curves of a study on the server; none: NULL. */
static int
fetch_curves(struct assay_cli *cli, const char *path, const json_t *spec, json_t **ret_curves)
{
    const json_t *objectives = json_object_get(spec, "objectives");
    const json_t *objective =
        objectives != NULL ? json_array_get(objectives, 0) : json_object_get(spec, "objective");
    assay_auto_free char *metric = assay_http_escape(assay_member_text(objective, "metric"));
    assay_auto_free char *list = assay_format("%s/trials", path);
    assay_auto_free char *curves_path = assay_format("%s/curves", path);
    assay_auto_free char *query = assay_format("metric=%s&points=%d", metric, CURVE_POINTS);
    struct trials_by_number kept = {.trials = json_object()};
    json_t *answer = NULL, *curves = json_array(), *curve;
    size_t i;
    int code = assay_cli_each(cli, list, "sort=number", "trials", -1, keep_trial, &kept);

    if (code == ASSAY_EXIT_DONE)
        code = assay_cli_call(cli, "GET", curves_path, query, NULL, &answer);
    json_array_foreach(json_object_get(answer, "curves"), i, curve)
    {
        assay_auto_free char *key = assay_format("%" PRId64, assay_member_int(curve, "number"));
        const json_t *trial = json_object_get(kept.trials, key);

        if (trial != NULL && json_array_size(json_object_get(curve, "values")) > 0)
            json_array_append_new(curves, record_of(curve, trial));
    }
    json_decref(answer);
    json_decref(kept.trials);
    if (code == ASSAY_EXIT_DONE && json_array_size(curves) > 0)
        *ret_curves = json_incref(curves);
    json_decref(curves);
    return code;
}

/* --- the request */

/* The study itself: a file, or one that the server has, whose curves come with it. */
static int
take_study(struct assay_cli *cli, json_t *request)
{
    const char *argument = cli->args.arguments[0];
    assay_auto_study_file struct assay_study_file file = {0};
    assay_auto_free char *path = NULL;
    json_t *study = NULL, *curves = NULL;
    struct assay_error err = {0};
    int code;

    if (strcmp(argument, "-") == 0 || access(argument, F_OK) == 0) {
        code = assay_study_file_read(cli, argument, &file);
        if (code == ASSAY_EXIT_DONE)
            code = assay_study_file_complete(cli, &file);
        if (code == ASSAY_EXIT_DONE)
            code = assay_submit_check(cli, &file);
        if (code == ASSAY_EXIT_DONE)
            json_object_set(request, "study", file.document);
        return code;
    }
    if (assay_cli_study_path(argument, &path, &err) < 0 || assay_cli_connect(cli, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    code = assay_cli_call(cli, "GET", path, NULL, NULL, &study);
    if (code == ASSAY_EXIT_DONE && !assay_args_has(&cli->args, "curves"))
        code = fetch_curves(cli, path, json_object_get(study, "spec"), &curves);
    if (code == ASSAY_EXIT_DONE)
        json_object_set(request, "study", json_object_get(study, "spec"));
    if (curves != NULL)
        json_object_set_new(request, "curves", curves);
    json_decref(study);
    return code;
}

/* NAME, or NAME and its settings as JSON: asha{"brackets":2}. */
static assay_status
parse_choice(const char *text, json_t **ret_choice, struct assay_error *err)
{
    const char *brace = strchr(text, '{');
    json_t *settings = brace != NULL ? json_loads(brace, 0, NULL) : json_object();
    assay_auto_free char *name =
        assay_strndup(text, brace != NULL ? (size_t)(brace - text) : strlen(text));

    if (settings == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "the settings in %s are not JSON", text);
    *ret_choice = json_pack("{s:s, s:o}", "name", name, "settings", settings);
    return ASSAY_OK;
}

static assay_status
override_choices(const struct assay_cli *cli, json_t *study, struct assay_error *err)
{
    const char *algorithm = assay_args_get(&cli->args, "algorithm");
    const char *rule = assay_args_get(&cli->args, "early-stopping");
    assay_status status = ASSAY_OK;
    json_t *choice;

    if (algorithm != NULL) {
        status = parse_choice(algorithm, &choice, err);
        if (status == ASSAY_OK)
            json_object_set_new(study, "algorithm", choice);
    }
    if (rule != NULL && strcmp(rule, "none") == 0) {
        json_object_del(study, "early_stopping");
    } else if (rule != NULL && status == ASSAY_OK) {
        status = parse_choice(rule, &choice, err);
        if (status == ASSAY_OK)
            json_object_set_new(study, "early_stopping", choice);
    }
    return status;
}

static assay_status
take_numbers(const struct assay_cli *cli, json_t *request, struct assay_error *err)
{
    static const struct {
        const char *option, *member;
    } numbers[] = {
        {"workers", "workers"},
        {"trials", "trials"},
        {"runs", "runs"},
        {"max-steps", "max_steps"},
        {"seconds-per-step", "seconds_per_step"},
        {"start-seconds", "start_seconds"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(numbers); i++) {
        const char *text = assay_args_get(&cli->args, numbers[i].option);
        char *end;
        double value;

        if (text == NULL)
            continue;
        value = strtod(text, &end);
        if (*text == '\0' || *end != '\0' || !isfinite(value))
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "--%s %s is not a number",
                              numbers[i].option, text);
        json_object_set_new(request, numbers[i].member, json_real(value));
    }
    return ASSAY_OK;
}

/* --- the answer */

/* The mean over runs of a member of a section. */
static double
mean_of(const json_t *runs, const char *section, const char *member)
{
    double sum = 0.0;
    json_t *run;
    size_t i;

    json_array_foreach(runs, i, run) sum +=
        assay_member_number(json_object_get(run, section), member);
    return sum / (double)json_array_size(runs);
}

static void
add_line(struct assay_buffer *text, const char *name, const char *value)
{
    assay_buffer_printf(text, "  %-16s%s\n", name, value);
}

static void
add_counts(struct assay_buffer *text, const json_t *runs)
{
    static const char *const states[] = {"succeeded", "stopped", "paused", "failed", "resumed"};
    assay_auto_buffer struct assay_buffer line = {0};
    assay_auto_free char *begun = assay_text_number(mean_of(runs, "trials", "begun"));
    const char *between = ": ";

    assay_buffer_puts(&line, begun);
    for (size_t i = 0; i < ASSAY_COUNT(states); i++) {
        double n = mean_of(runs, "trials", states[i]);
        assay_auto_free char *number = assay_text_number(n);

        if (n > 0.0) {
            assay_buffer_printf(&line, "%s%s %s", between, number, states[i]);
            between = ", ";
        }
    }
    add_line(text, "trials", line.data);
}

static void
add_costs(struct assay_buffer *text, const json_t *runs, const char *unit)
{
    assay_auto_free char *used = assay_text_number(mean_of(runs, "steps", "used"));
    assay_auto_free char *whole = assay_text_number(mean_of(runs, "steps", "whole"));
    assay_auto_free char *steps =
        assay_format("%s of %s (%.1f %% saved)", used, whole,
                     100.0 * (1.0 - mean_of(runs, "steps", "used") /
                                        fmax(mean_of(runs, "steps", "whole"), 1e-300)));
    assay_auto_free char *span =
        assay_text_duration((int64_t)(1e6 * fmin(mean_of(runs, "time", "seconds"), 1e12)));
    double hours = mean_of(runs, "time", "gpu_hours");
    assay_auto_free char *time = assay_format("%s; workers idle %.2f %%, the worst %.2f %%", span,
                                              mean_of(runs, "time", "idle_percent"),
                                              mean_of(runs, "time", "idle_percent_worst"));
    assay_auto_free char *work = assay_format(
        "%.3g", isnan(hours) ? mean_of(runs, "time", "worker_seconds") / 3600.0 : hours);

    add_line(text, unit, steps);
    add_line(text, "time", time);
    add_line(text, isnan(hours) ? "worker-hours" : "GPU-hours", work);
}

static void
add_best(struct assay_buffer *text, const json_t *runs)
{
    const json_t *best = json_object_get(json_array_get(runs, 0), "best");
    assay_auto_free char *value = NULL, *step = NULL, *whole = NULL, *line = NULL;

    if (!json_is_object(best)) {
        add_line(text, "best", "none");
        return;
    }
    if (json_array_size(runs) > 1) {
        value = assay_text_number(mean_of(runs, "best", "value"));
        line = assay_format("%s on average", value);
        add_line(text, "best", line);
        return;
    }
    value = assay_text_number(assay_member_number(best, "value"));
    step = assay_text_number(assay_member_number(best, "at_step"));
    whole = assay_text_number(assay_member_number(best, "whole_value"));
    line = assay_format("%s, trial %" PRId64 " at step %s; its curve ends at %s", value,
                        assay_member_int(best, "number"), step, whole);
    add_line(text, "best", line);
}

static void
print_answer(const struct assay_cli *cli, const json_t *request, const json_t *answer)
{
    const json_t *runs = json_object_get(answer, "runs"), *run = json_array_get(runs, 0);
    const json_t *curves = json_object_get(answer, "curves");
    const char *rule = assay_member_text(run, "rule");
    const char *unit =
        assay_member_text(json_object_get(json_object_get(request, "study"), "budget"), "name");
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *warning;
    size_t i;

    assay_buffer_printf(&text, "%s%s%s", assay_style(cli->colour_out, ASSAY_STYLE_BOLD),
                        assay_member_text(run, "algorithm"), assay_style_end(cli->colour_out));
    if (rule[0] != '\0')
        assay_buffer_printf(&text, " with the rule %s", rule);
    if (strcmp(assay_member_text(curves, "source"), "recorded") == 0)
        assay_buffer_printf(&text, ", %" PRId64 " recorded curves",
                            assay_member_int(curves, "count"));
    if (json_array_size(runs) > 1)
        assay_buffer_printf(&text, ", mean of %zu runs", json_array_size(runs));
    assay_buffer_puts(&text, "\n");
    add_counts(&text, runs);
    add_costs(&text, runs, unit[0] != '\0' ? unit : "steps");
    if (strcmp(assay_member_text(curves, "source"), "recorded") == 0)
        add_best(&text, runs);
    assay_cli_print(&text);
    json_array_foreach(json_object_get(answer, "warnings"), i, warning)
        assay_cli_note(cli, "note: %s", json_string_value(warning));
}

static int
report_error(const struct assay_cli *cli, const json_t *answer)
{
    const json_t *faults = json_object_get(answer, "faults");
    struct assay_error err = {0};

    if (faults != NULL)
        return assay_cli_fail_faults(cli, cli->args.arguments[0], faults);
    (void)assay_fail(&err, ASSAY_E_BAD_REQUEST, "%s", assay_member_text(answer, "error"));
    return assay_cli_fail(cli, NULL, &err);
}

static int
run_simulate(struct assay_cli *cli)
{
    const char *curves_path = assay_args_get(&cli->args, "curves");
    json_auto_t *request = json_object(), *answer = NULL, *curves = NULL;
    struct assay_error err = {0};
    int code = take_study(cli, request);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (override_choices(cli, json_object_get(request, "study"), &err) < 0 ||
        take_numbers(cli, request, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (curves_path != NULL) {
        code = read_curves(cli, curves_path, &curves);
        if (code != ASSAY_EXIT_DONE)
            return code;
        json_object_set(request, "curves", curves);
    }
    if (assay_args_has(&cli->args, "list"))
        json_object_set_new(request, "list", json_true());
    if (assay_suggest_ask("--simulate", request, &answer, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (json_object_get(answer, "error") != NULL)
        return report_error(cli, answer);
    if (cli->json)
        assay_cli_print_json(answer);
    else
        print_answer(cli, request, answer);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option simulate_options[] = {
    {"algorithm", 0, "NAME",
     "another algorithm; its settings as JSON may follow: asha{\"brackets\":2}", false},
    {"early-stopping", 0, "NAME", "another stopping rule, likewise; \"none\" for none", false},
    {"workers", 0, "N", "trials at once (limits.parallel)", false},
    {"trials", 0, "N", "trials to begin (limits.trials, or 100)", false},
    {"curves", 0, "FILE", "recorded curves, one JSON object to a line", false},
    {"seconds-per-step", 0, "X", "where the curves do not say (1)", false},
    {"start-seconds", 0, "X", "what each start of a process takes (0)", false},
    {"max-steps", 0, "N", "end the study when as many steps have been used", false},
    {"runs", 0, "N", "as many runs with other seeds, and their mean (1)", false},
    {"list", 0, NULL, "with --json, list every trial", false},
    ASSAY_OPTIONS_STUDY_FILE,
    {0},
};

const struct assay_verb assay_verb_simulate = {
    .name = "simulate",
    .arguments = "FILE|STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Run a study in simulated time: other algorithms, rules, workers, and costs",
    .text = "A study of the server is replayed on the learning curves that its trials measured:\n"
            "each simulated trial has the curve of the recorded trial with the nearest\n"
            "parameters that was not used before. A study file is replayed on the curves of\n"
            "--curves, or, without, on curves drawn from a prior: good for what the study will\n"
            "cost, not for what it will find. Nothing is run and nothing is changed.\n"
            "\n"
            "A line of a file of curves:\n"
            "  {\"parameters\": {\"lr\": 0.1}, \"values\": [0.9, 0.5, null], \"seconds\": 40.5}\n"
            "\"values\" are those of the objective, \"steps\" (1, 2, 3 …), \"seconds\" for the\n"
            "whole curve and \"state\": \"failed\" may be given; null is no finite number.",
    .options = simulate_options,
    .examples = "assay simulate study.yaml --workers 16 --seconds-per-step 40\n"
                "assay simulate digits-mlp --algorithm asha --early-stopping none\n"
                "assay simulate study.yaml --curves curves.jsonl --runs 20 --json",
    .run = run_simulate,
};
