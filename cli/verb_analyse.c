/* importance, pareto: what the trials of a study say together. */
#include <inttypes.h>
#include <math.h>

#include "cli/analyse.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "common/memory.h"

#define BAR_COLUMNS 30

/* --- importance */

static double
longest_of(const json_t *rows)
{
    const json_t *row;
    double most = 0.0;
    size_t i;

    json_array_foreach(rows, i, row) most = fmax(most, assay_member_number(row, "importance"));
    return most;
}

/* The full width is `most`. */
static void
add_bars(const struct assay_cli *cli, const json_t *rows, double most,
         const char *(*name_of)(const json_t *row), struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 3, .right = 0x4};
    const json_t *row;
    size_t i;

    json_array_foreach(rows, i, row)
    {
        double share = assay_member_number(row, "importance");
        assay_auto_free char *bar =
            assay_text_bar(most > 0.0 ? share / most : 0.0, BAR_COLUMNS, cli->unicode);

        assay_table_add(&table, name_of(row));
        assay_table_add(&table, bar);
        assay_table_printf(&table, "%.1f %%", 100.0 * share);
    }
    assay_table_print(&table, 2, text);
}

static const char *
parameter_of(const json_t *row)
{
    return assay_member_text(row, "parameter");
}

/* The name of a pair is put into the row first. */
static const char *
pair_of(const json_t *row)
{
    return assay_member_text(row, "name");
}

static void
add_interactions(const struct assay_cli *cli, const json_t *answer, struct assay_buffer *text)
{
    json_t *pairs = json_object_get(answer, "interactions"), *shown, *row;
    size_t i;

    if (json_array_size(pairs) == 0)
        return;
    shown = json_array();
    json_array_foreach(pairs, i, row)
    {
        const json_t *names = json_object_get(row, "parameters");
        assay_auto_free char *name =
            assay_format("%s, %s", json_string_value(json_array_get(names, 0)),
                         json_string_value(json_array_get(names, 1)));

        if (i == 10)
            break;
        json_array_append_new(shown, json_pack("{s:s, s:O}", "name", name, "importance",
                                               json_object_get(row, "importance")));
    }
    assay_buffer_puts(text, "\ntogether, beyond each alone (share of the whole variance)\n");
    /* On the scale of the bars above, which are shares of what is explained. */
    add_bars(cli, shown,
             fmax(longest_of(shown), longest_of(json_object_get(answer, "importance")) *
                                         assay_member_number(answer, "explained")),
             pair_of, text);
    json_decref(shown);
}

static void
add_importance(const struct assay_cli *cli, const json_t *answer, struct assay_buffer *text)
{
    assay_auto_free char *metric = assay_text_clean(assay_member_text(answer, "metric"));
    assay_auto_free char *message = assay_text_clean(assay_member_text(answer, "message"));
    double explained = assay_member_number(answer, "explained");

    if (json_array_size(json_object_get(answer, "importance")) > 0) {
        assay_buffer_printf(
            text, "importance for %s, %s, from %" PRId64 " trials\n",
            metric[0] != '\0' ? metric : "all objectives together",
            strcmp(assay_member_text(answer, "method"), "fanova") == 0 ? "fANOVA" : "PED-ANOVA",
            assay_member_int(answer, "trials"));
        add_bars(cli, json_object_get(answer, "importance"),
                 longest_of(json_object_get(answer, "importance")), parameter_of, text);
        if (isfinite(explained))
            assay_buffer_printf(
                text, "  each for itself, together they explain %.0f %% of the variance\n",
                100.0 * explained);
        add_interactions(cli, answer, text);
    }
    if (message[0] != '\0')
        assay_buffer_printf(text, "%s\n", message);
}

static const char *const methods[] = {"ped_anova", "fanova"};

static int
run_importance(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL;
    assay_auto_buffer struct assay_buffer text = {0}, query = {0};
    struct assay_error err = {0};
    bool pairs = assay_args_has(&cli->args, "interactions");
    size_t method = pairs ? 1 : 0;
    const char *metric;
    json_t *answer = NULL;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_word(&cli->args, "method", methods, ASSAY_COUNT(methods), &method, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    metric = assay_args_get(&cli->args, "metric");
    route = assay_format("%s/importance", path);
    assay_http_query_add(&query, "method", methods[method]);
    if (pairs)
        assay_http_query_add(&query, "interactions", "true");
    if (metric != NULL)
        assay_http_query_add(&query, "metric", metric);
    code = assay_cli_call(cli, "GET", route, query.data, NULL, &answer);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        add_importance(cli, answer, &text);
        assay_cli_print(&text);
    }
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option importance_options[] = {
    {"method", 0, "METHOD", "ped_anova (where the best trials lie) or fanova (the whole space)",
     false},
    {"interactions", 0, NULL, "pairs of parameters too, by fanova", false},
    {"metric", 0, "NAME", "another metric than the objective", false},
    {0},
};

const struct assay_verb assay_verb_importance = {
    .name = "importance",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Show how much each parameter mattered",
    .options = importance_options,
    .examples = "assay importance digits-mlp\n"
                "assay importance digits-mlp --interactions\n"
                "assay importance digits-mlp --json | jq '.importance[0].parameter'",
    .run = run_importance,
};

int
assay_analyse_short(struct assay_cli *cli, const char *path, const json_t *study,
                    struct assay_buffer *text)
{
    /* Of the trials of a search, which crowd around the best, fANOVA is the fairer judge; of
     * several objectives it sees only the first. */
    bool one = json_array_size(json_object_get(study, "objectives")) == 1;
    assay_auto_free char *importance = assay_format("%s/importance", path);
    assay_auto_free char *advice = assay_format("%s/advice", path);
    assay_auto_free char *sentence = NULL;
    json_t *answer = NULL, *row;
    int code = assay_cli_call(cli, "GET", importance, one ? "method=fanova" : NULL, NULL, &answer);
    size_t i;

    if (code != ASSAY_EXIT_DONE)
        return code;
    json_array_foreach(json_object_get(answer, "importance"), i, row)
    {
        if (i == 3)
            break;
        assay_buffer_printf(text, "%s%s %.0f %%", i == 0 ? "\nwhat mattered most: " : ", ",
                            assay_member_text(row, "parameter"),
                            100.0 * assay_member_number(row, "importance"));
    }
    if (i > 0)
        assay_buffer_puts(text, "\n");
    json_decref(answer);
    code = assay_cli_call(cli, "GET", advice, NULL, NULL, &answer);
    if (code != ASSAY_EXIT_DONE)
        return code;
    sentence = assay_text_clean(assay_member_text(answer, "sentence"));
    assay_buffer_printf(text, "%s%s\n", i > 0 ? "" : "\n", sentence);
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

/* --- pareto */

#define PLOT_ROWS 14
#define PLOT_COLUMNS 56

struct plot {
    const json_t *trials;
    const char *metrics[2];
    double low[2], high[2];
};

static double
metric_of(const json_t *trial, const char *metric)
{
    return assay_member_number(json_object_get(trial, "metrics"), metric);
}

/* Cell of the value between the edges. */
static size_t
cell_of(const struct plot *plot, int axis, double value, size_t n)
{
    double width = plot->high[axis] - plot->low[axis];

    return width > 0.0 ? (size_t)lround((value - plot->low[axis]) / width * (double)(n - 1))
                       : n / 2;
}

static void
add_axis_label(const char *value, struct assay_buffer *text)
{
    assay_buffer_printf(text, "  %10s |", value);
}

/* The front in the plane of the first two objectives: their values as they are, the second
 * upwards. */
static void
add_plot(struct plot *plot, struct assay_buffer *text)
{
    char cells[PLOT_ROWS][PLOT_COLUMNS + 1];
    assay_auto_free char *edges[4] = {0};
    const json_t *trial;
    size_t i;

    for (int axis = 0; axis < 2; axis++) {
        plot->low[axis] = INFINITY;
        plot->high[axis] = -INFINITY;
        json_array_foreach(plot->trials, i, trial)
        {
            plot->low[axis] = fmin(plot->low[axis], metric_of(trial, plot->metrics[axis]));
            plot->high[axis] = fmax(plot->high[axis], metric_of(trial, plot->metrics[axis]));
        }
    }
    for (size_t row = 0; row < PLOT_ROWS; row++) {
        memset(cells[row], ' ', PLOT_COLUMNS);
        cells[row][PLOT_COLUMNS] = '\0';
    }
    json_array_foreach(plot->trials, i, trial)
    {
        size_t x = cell_of(plot, 0, metric_of(trial, plot->metrics[0]), PLOT_COLUMNS);
        size_t y = cell_of(plot, 1, metric_of(trial, plot->metrics[1]), PLOT_ROWS);

        cells[PLOT_ROWS - 1 - y][x] = 'o';
    }
    for (int e = 0; e < 4; e++)
        edges[e] = assay_text_number(e % 2 == 0 ? plot->low[e / 2] : plot->high[e / 2]);
    assay_buffer_printf(text, "\n  %10s\n", plot->metrics[1]);
    for (size_t row = 0; row < PLOT_ROWS; row++) {
        add_axis_label(row == 0 ? edges[3] : row == PLOT_ROWS - 1 ? edges[2] : "", text);
        for (size_t end = PLOT_COLUMNS; end > 0 && cells[row][end - 1] == ' '; end--)
            cells[row][end - 1] = '\0';
        assay_buffer_printf(text, "%s\n", cells[row]);
    }
    assay_buffer_printf(text, "  %10s +", "");
    for (i = 0; i < PLOT_COLUMNS; i++)
        assay_buffer_puts(text, "-");
    assay_buffer_printf(text, "\n  %10s  %-*s%s  %s\n", "",
                        PLOT_COLUMNS - (int)assay_text_width(edges[1]), edges[0], edges[1],
                        plot->metrics[0]);
}

static void
add_front(const json_t *study, const json_t *trials, size_t rows_max, struct assay_buffer *text)
{
    const json_t *objectives = json_object_get(study, "objectives"), *objective, *trial;
    size_t n = json_array_size(objectives), i, k;
    assay_auto_table struct assay_table table = {.columns = n + 2, .right = 0x1};

    assay_table_add(&table, "TRIAL");
    json_array_foreach(objectives, k, objective)
        assay_table_printf(&table, "%s (%s)", assay_member_text(objective, "metric"),
                           assay_member_text(objective, "goal"));
    assay_table_add(&table, "PARAMETERS");
    json_array_foreach(trials, i, trial)
    {
        assay_auto_buffer struct assay_buffer parameters = {0};
        const char *name;
        json_t *value;

        if (i == rows_max)
            break;
        assay_table_printf(&table, "%" PRId64, assay_member_int(trial, "number"));
        json_array_foreach(objectives, k, objective)
        {
            assay_auto_free char *number =
                assay_text_number(metric_of(trial, assay_member_text(objective, "metric")));

            assay_table_add(&table, number);
        }
        json_object_foreach(json_object_get(trial, "parameters"), name, value)
        {
            assay_auto_free char *shown = assay_text_value(value);

            assay_buffer_printf(&parameters, "%s%s=%s", parameters.length > 0 ? " " : "", name,
                                shown);
        }
        assay_table_add(&table, parameters.data);
    }
    assay_buffer_printf(text, "%zu trial%s on the Pareto front\n\n", json_array_size(trials),
                        json_array_size(trials) == 1 ? "" : "s");
    assay_table_print(&table, 2, text);
    if (json_array_size(trials) > rows_max)
        assay_buffer_printf(text, "  and %zu more: assay pareto %s\n",
                            json_array_size(trials) - rows_max, assay_member_text(study, "name"));
    if (n > 1 && json_array_size(trials) > 1)
        add_plot(
            &(struct plot){.trials = trials,
                           .metrics = {assay_member_text(json_array_get(objectives, 0), "metric"),
                                       assay_member_text(json_array_get(objectives, 1), "metric")}},
            text);
}

static json_t *
sorted_by_first(const json_t *study, json_t *trials)
{
    const char *metric =
        assay_member_text(json_array_get(json_object_get(study, "objectives"), 0), "metric");
    json_t *sorted = json_array(), *trial;
    size_t i;

    json_array_foreach(trials, i, trial)
    {
        size_t at = json_array_size(sorted);

        while (at > 0 &&
               metric_of(json_array_get(sorted, at - 1), metric) > metric_of(trial, metric))
            at--;
        json_array_insert(sorted, at, trial);
    }
    return sorted;
}

int
assay_analyse_pareto(struct assay_cli *cli, const char *path, const json_t *study, size_t rows_max,
                     struct assay_buffer *text)
{
    assay_auto_free char *route = assay_format("%s/pareto", path);
    json_t *answer = NULL, *sorted;
    int code = assay_cli_call(cli, "GET", route, NULL, NULL, &answer);

    if (code != ASSAY_EXIT_DONE)
        return code;
    sorted = sorted_by_first(study, json_object_get(answer, "trials"));
    if (json_array_size(sorted) > 0)
        add_front(study, sorted, rows_max, text);
    else
        assay_buffer_puts(text, "no trial has a value of every objective yet\n");
    json_decref(sorted);
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

static int
run_pareto(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL;
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_error err = {0};
    json_t *answer = NULL;
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    route = assay_format("%s/pareto", path);
    code = cli->json ? assay_cli_call(cli, "GET", route, NULL, NULL, &answer)
                     : assay_cli_call(cli, "GET", path, "fields=objectives", NULL, &answer);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        code = assay_analyse_pareto(cli, path, answer, SIZE_MAX, &text);
        if (code == ASSAY_EXIT_DONE)
            assay_cli_print(&text);
    }
    json_decref(answer);
    return code;
}

const struct assay_verb assay_verb_pareto = {
    .name = "pareto",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Show the trials that no other beats in every objective",
    .text = "A table, and a plot of the first two objectives.",
    .examples = "assay pareto digits-mlp\n"
                "assay pareto digits-mlp --json | jq '.trials[].parameters'",
    .run = run_pareto,
};
