/* show, best: one study, one trial, the best parameters. */
#include <inttypes.h>
#include <math.h>

#include "cli/analyse.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/result.h"
#include "cli/text.h"
#include "cli/why.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#define HISTORY_TRIALS_MAX 20000
#define FRONT_ROWS_MAX 12

static void
add_row(struct assay_table *table, const char *name, const json_t *value)
{
    assay_auto_free char *text = NULL;

    if (value == NULL || json_is_null(value))
        return;
    text = assay_text_value(value);
    assay_table_add(table, name);
    assay_table_add(table, text);
}

static void
add_members(const char *title, const json_t *object, struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 2};
    json_t *mutable = (json_t *)(uintptr_t)object; /* only read */
    const char *name;
    json_t *value;

    if (json_object_size(object) == 0)
        return;
    json_object_foreach(mutable, name, value) add_row(&table, name, value);
    if (table.count == 0)
        return;
    assay_buffer_printf(text, "\n%s\n", title);
    assay_table_print(&table, 2, text);
}

static void
add_objectives(struct assay_table *table, const json_t *study)
{
    const json_t *objective;
    size_t i;

    json_array_foreach(json_object_get(study, "objectives"), i, objective)
    {
        assay_auto_free char *target = assay_text_value(json_object_get(objective, "target"));

        assay_table_add(table, i == 0 ? "objective" : "");
        assay_table_printf(table, "%s %s%s%s", assay_member_text(objective, "goal"),
                           assay_member_text(objective, "metric"),
                           strcmp(target, "-") != 0 ? ", target " : "",
                           strcmp(target, "-") != 0 ? target : "");
    }
}

/* "metric at least 1, at most 2", as the study's specification bounds it. */
static void
add_constraints(struct assay_table *table, const json_t *spec)
{
    const json_t *constraint;
    size_t i;

    json_array_foreach(json_object_get(spec, "constraints"), i, constraint)
    {
        const json_t *min = json_object_get(constraint, "min");
        const json_t *max = json_object_get(constraint, "max");
        assay_auto_free char *low = assay_text_value(min), *high = assay_text_value(max);

        assay_table_add(table, i == 0 ? "constraint" : "");
        assay_table_printf(table, "%s %s%s%s%s", assay_member_text(constraint, "metric"),
                           min != NULL ? "at least " : "", min != NULL ? low : "",
                           min != NULL && max != NULL ? ", at most " : max != NULL ? "at most " : "",
                           max != NULL ? high : "");
    }
}

static void
add_budget(struct assay_table *table, const json_t *budget)
{
    assay_auto_free char *min = assay_text_value(json_object_get(budget, "min"));
    assay_auto_free char *max = assay_text_value(json_object_get(budget, "max"));

    if (!json_is_object(budget))
        return;
    assay_table_add(table, "budget");
    assay_table_printf(table, "%s %s to %s", assay_member_text(budget, "name"), min, max);
}

/* An algorithm or rule with its settings: "tpe {"n_startup": 5}"; of joined rules, "any of
 * asha, threshold {"max": 9}". */
static void
put_choice(struct assay_buffer *text, const json_t *choice)
{
    const json_t *settings = json_object_get(choice, "settings"), *rule;
    size_t i;

    assay_buffer_puts(text, assay_member_text(choice, "name"));
    if (json_object_size(settings) > 0) {
        assay_buffer_puts(text, " ");
        assay_json_print(settings, 0, text);
    }
    json_array_foreach(json_object_get(choice, "rules"), i, rule)
    {
        assay_buffer_puts(text, i == 0 ? " of " : ", ");
        put_choice(text, rule);
    }
}

static void
add_choice(struct assay_table *table, const char *title, const json_t *choice)
{
    static const char *const held_back[] = {"protect_best", "checks", "warmup_steps",
                                            "warmup_share"};
    assay_auto_buffer struct assay_buffer text = {0};

    if (!json_is_object(choice))
        return;
    put_choice(&text, choice);
    for (size_t i = 0; i < ASSAY_COUNT(held_back); i++) {
        const json_t *value = json_object_get(choice, held_back[i]);

        if (value != NULL)
            assay_buffer_printf(&text, ", %s %g", held_back[i], json_number_value(value));
    }
    assay_table_add(table, title);
    assay_table_add(table, text.data);
}

static void
add_study(struct assay_cli *cli, const json_t *study, const json_t *trials,
          struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 2};

    assay_result_text(cli, study, trials, text);
    add_objectives(&table, study);
    add_constraints(&table, json_object_get(study, "spec"));
    add_budget(&table, json_object_get(json_object_get(study, "spec"), "budget"));
    add_choice(&table, "algorithm", json_object_get(study, "algorithm"));
    add_choice(&table, "early stopping", json_object_get(study, "early_stopping"));
    add_row(&table, "seed", json_object_get(study, "seed"));
    add_row(&table, "created", json_object_get(study, "created_at"));
    add_row(&table, "started", json_object_get(study, "started_at"));
    add_row(&table, "finished", json_object_get(study, "finished_at"));
    assay_buffer_puts(text, "\nstudy\n");
    assay_table_print(&table, 2, text);
    add_members("limits", json_object_get(study, "limits"), text);
}

/* What the trials say together; not of so many that the server would have to look long. */
static int
add_analyses(struct assay_cli *cli, const char *path, const json_t *study,
             struct assay_buffer *text)
{
    int64_t total = assay_member_int(json_object_get(study, "trials"), "total");
    int code = ASSAY_EXIT_DONE;

    if (total > 0 && total <= HISTORY_TRIALS_MAX)
        code = assay_analyse_short(cli, path, study, text);
    if (code == ASSAY_EXIT_DONE && total > 0 &&
        json_array_size(json_object_get(study, "objectives")) > 1) {
        assay_buffer_puts(text, "\n");
        code = assay_analyse_pareto(cli, path, study, FRONT_ROWS_MAX, text);
    }
    return code;
}

static int
show_study(struct assay_cli *cli, const char *path)
{
    assay_auto_free char *list = assay_format("%s/trials", path);
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *study = NULL, *trials = NULL;
    int code = assay_cli_call(cli, "GET", path, NULL, NULL, &study);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(study);
    } else {
        code = assay_cli_all(cli, list, "sort=number&fields=number,state,value", "trials",
                             HISTORY_TRIALS_MAX, &trials);
        if (code == ASSAY_EXIT_DONE) {
            add_study(cli, study, trials, &text);
            json_decref(trials);
            code = add_analyses(cli, path, study, &text);
        }
        if (code == ASSAY_EXIT_DONE)
            assay_cli_print(&text);
    }
    json_decref(study);
    return code;
}

/* --- one trial */

static void
add_why(const struct assay_cli *cli, const json_t *study, const json_t *trial,
        struct assay_buffer *text)
{
    const json_t *objectives = json_object_get(study, "objectives");
    const json_t *objective = json_array_get(objectives, 0);
    const json_t *why = json_object_get(trial, "why");
    const struct assay_why_study told = {
        .metric = json_array_size(objectives) == 1 ? assay_member_text(objective, "metric") : NULL,
        .maximize = strcmp(assay_member_text(objective, "goal"), "maximize") == 0,
        .unicode = cli->unicode,
    };

    assay_buffer_puts(text, "\nwhy\n");
    assay_why_text(trial, &told, text);
    add_members("stopped early", json_object_get(why, "stop"), text);
    add_members("what it would have ended with", json_object_get(why, "forecast"), text);
}

static void
add_attempts(const json_t *attempts, struct assay_buffer *text)
{
    static const char *const heads[] = {"ATTEMPT", "STATE", "TIME",         "EXIT",
                                        "SIGNAL",  "PID",   "WHAT HAPPENED"};
    assay_auto_table struct assay_table table = {.columns = ASSAY_COUNT(heads), .right = 0x1};
    const json_t *attempt;
    size_t i;

    if (json_array_size(attempts) == 0)
        return;
    for (i = 0; i < ASSAY_COUNT(heads); i++)
        assay_table_add(&table, heads[i]);
    json_array_foreach(attempts, i, attempt)
    {
        static const char *const members[] = {"exit_code", "signal", "pid"};
        int64_t start = assay_member_time(attempt, "started_at");
        int64_t end = assay_member_time(attempt, "finished_at");
        assay_auto_free char *time = NULL;
        assay_auto_free char *message = assay_text_clean(assay_member_text(attempt, "message"));

        if (start != ASSAY_TIME_NONE)
            time = assay_text_duration((end != ASSAY_TIME_NONE ? end : assay_now_us()) - start);
        assay_table_printf(&table, "%" PRId64, assay_member_int(attempt, "number"));
        assay_table_add(&table, assay_member_text(attempt, "state"));
        assay_table_add(&table, time);
        for (size_t j = 0; j < ASSAY_COUNT(members); j++) {
            assay_auto_free char *value = assay_text_value(json_object_get(attempt, members[j]));

            assay_table_add(&table, value);
        }
        assay_table_add(&table, message[0] != '\0'
                                    ? message
                                    : json_string_value(json_object_get(attempt, "reason")));
    }
    assay_buffer_puts(text, "\n");
    assay_table_print(&table, 0, text);
}

static void
add_trial(struct assay_cli *cli, const json_t *study, const json_t *trial,
          struct assay_buffer *text)
{
    const char *state = assay_member_text(trial, "state");
    assay_auto_free char *message = assay_text_clean(assay_member_text(trial, "message"));
    assay_auto_table struct assay_table table = {.columns = 2};

    assay_buffer_printf(text, "%strial %" PRId64 " %s%s%s%s\n",
                        assay_style(cli->colour_out, assay_style_of_state(state)),
                        assay_member_int(trial, "number"), state, assay_style_end(cli->colour_out),
                        message[0] != '\0' ? ": " : "", message);
    add_row(&table, "value", json_object_get(trial, "value"));
    add_row(&table, "reason", json_object_get(trial, "reason"));
    add_row(&table, "budget", json_object_get(trial, "budget"));
    add_row(&table, "last step", json_object_get(trial, "steps"));
    add_row(&table, "client", json_object_get(trial, "client"));
    add_row(&table, "lease expires", json_object_get(trial, "lease_expires"));
    add_row(&table, "created", json_object_get(trial, "created_at"));
    add_row(&table, "started", json_object_get(trial, "started_at"));
    add_row(&table, "finished", json_object_get(trial, "finished_at"));
    assay_table_print(&table, 2, text);
    add_members("parameters", json_object_get(trial, "parameters"), text);
    add_members("metrics", json_object_get(trial, "metrics"), text);
    add_why(cli, study, trial, text);
    add_attempts(json_object_get(trial, "attempts"), text);
}

/* One line per metric that has a course: "loss  0.9 -> 0.31  (sparkline)". */
static void
add_curves(struct assay_cli *cli, const json_t *measurements, struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 3};
    size_t n = json_array_size(measurements);
    assay_auto_free double *values = assay_zalloc(ASSAY_MAX(n, (size_t)1), sizeof *values);
    json_t *names = json_object();
    const char *name;
    json_t *ignored, *row;
    size_t i;

    json_array_foreach(measurements, i, row)
        json_object_update(names, json_object_get(row, "metrics"));
    json_object_foreach(names, name, ignored)
    {
        size_t count = 0;
        assay_auto_free char *first = NULL, *last = NULL, *spark = NULL;

        json_array_foreach(measurements, i, row)
        {
            double value = assay_member_number(json_object_get(row, "metrics"), name);

            if (json_object_get(json_object_get(row, "metrics"), name) != NULL)
                values[count++] = value;
        }
        if (count < 2)
            continue;
        first = assay_text_number(values[0]);
        last = assay_text_number(values[count - 1]);
        spark = assay_text_sparkline(values, count, 50, cli->unicode);
        assay_table_add(&table, name);
        assay_table_printf(&table, "%s -> %s", first, last);
        assay_table_add(&table, spark);
    }
    json_decref(names);
    if (table.count > 0) {
        assay_buffer_puts(text, "\ncurves\n");
        assay_table_print(&table, 2, text);
    }
}

static int
show_trial(struct assay_cli *cli, const char *path, int64_t number)
{
    assay_auto_free char *one = assay_format("%s/trials/%" PRId64, path, number);
    assay_auto_free char *curves = assay_format("%s/measurements", one);
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *trial = NULL, *study = NULL, *answer = NULL;
    int code = assay_cli_call(cli, "GET", one, NULL, NULL, &trial);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(trial);
    } else {
        code = assay_cli_call(cli, "GET", path, "fields=objectives", NULL, &study);
        if (code == ASSAY_EXIT_DONE)
            code = assay_cli_call(cli, "GET", curves, "points=200", NULL, &answer);
        if (code == ASSAY_EXIT_DONE) {
            add_trial(cli, study, trial, &text);
            add_curves(cli, json_object_get(answer, "measurements"), &text);
            assay_cli_print(&text);
        }
    }
    json_decref(answer);
    json_decref(study);
    json_decref(trial);
    return code;
}

static int
run_show(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    int64_t number = 0;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_int(&cli->args, "trial", 1, INT64_MAX, &number, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    return number > 0 ? show_trial(cli, path, number) : show_study(cli, path);
}

static const struct assay_option show_options[] = {
    {"trial", 't', "N", "show trial N: parameters, metrics, attempts and why", false},
    {0},
};

const struct assay_verb assay_verb_show = {
    .name = "show",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Show a study, or one of its trials",
    .text =
        "A study is shown with what mattered most and whether going on is worth it. A trial is\n"
        "shown with why it is as it is: what proposed its parameters and what it expected, and,\n"
        "if it was stopped early, the rule, the metric's value, the threshold and the step.",
    .options = show_options,
    .examples = "assay show digits-mlp\n"
                "assay show digits-mlp --trial 17",
    .run = run_show,
};

/* --- best */

static int
print_pareto(struct assay_cli *cli, const char *path)
{
    assay_auto_free char *pareto = assay_format("%s/pareto", path);
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *answer = NULL;
    const json_t *trial;
    size_t i;
    int code = assay_cli_call(cli, "GET", pareto, NULL, NULL, &answer);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        json_array_foreach(json_object_get(answer, "trials"), i, trial)
        {
            assay_buffer_printf(&text, "%strial %" PRId64 "\n", i > 0 ? "\n" : "",
                                assay_member_int(trial, "number"));
            add_members("metrics", json_object_get(trial, "metrics"), &text);
            add_members("parameters", json_object_get(trial, "parameters"), &text);
        }
        assay_cli_print(&text);
    }
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

static int
run_best(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL;
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_error err = {0};
    json_t *answer = NULL;
    const json_t *best;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (assay_args_has(&cli->args, "pareto"))
        return print_pareto(cli, path);
    route = assay_format("%s/best", path);
    code = assay_cli_call(cli, "GET", route, NULL, NULL, &answer);
    if (code != ASSAY_EXIT_DONE)
        return code;
    best = json_object_get(answer, "best");
    if (cli->json) {
        assay_cli_print_json(answer);
    } else if (!json_is_object(best)) {
        assay_cli_note(cli, "no trial has a value of the objective yet");
    } else if (assay_args_has(&cli->args, "shell")) {
        assay_result_shell(json_object_get(best, "parameters"), '\n', &text);
        assay_buffer_puts(&text, "\n");
        assay_cli_print(&text);
    } else {
        assay_result_best(cli, best, &text);
        assay_cli_print(&text);
    }
    code = json_is_object(best) ? ASSAY_EXIT_DONE : ASSAY_EXIT_FAILED;
    json_decref(answer);
    return code;
}

static const struct assay_option best_options[] = {
    {"pareto", 0, NULL, "the trials that no other beats in every objective", false},
    {"shell", 0, NULL, "print ASSAY_PARAM_NAME=value lines, for eval", false},
    {0},
};

static const struct assay_exit best_exits[] = {
    {ASSAY_EXIT_FAILED, "there is no best yet, or the server could not be reached"},
    {0, NULL},
};

const struct assay_verb assay_verb_best = {
    .name = "best",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Print the best parameters found",
    .options = best_options,
    .exits = best_exits,
    .examples =
        "assay best digits-mlp\n"
        "assay best digits-mlp --json | jq .best.parameters\n"
        "eval \"$(assay best digits-mlp --shell)\" && python3 train.py --lr \"$ASSAY_PARAM_LR\"",
    .run = run_best,
};
