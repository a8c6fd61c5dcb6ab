/* list, trials: tables of studies and of trials. */
#include <inttypes.h>

#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/result.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"

/* Adds a member's text to the query when the option was given. */
static void
pass_option(const struct assay_cli *cli, struct assay_buffer *query, const char *option,
            const char *key)
{
    const char *value = assay_args_get(&cli->args, option);

    if (value != NULL)
        assay_http_query_add(query, key, value);
}

static void
add_age(struct assay_table *table, const json_t *object, const char *key)
{
    int64_t time_us = assay_member_time(object, key);
    assay_auto_free char *text = NULL;

    if (time_us != ASSAY_TIME_NONE)
        text = assay_text_duration(ASSAY_MAX(assay_now_us() - time_us, 0));
    assay_table_add(table, text);
}

static void
add_value(struct assay_table *table, const json_t *value)
{
    assay_auto_free char *text = assay_text_value(value);

    assay_table_add(table, text);
}

static void
add_study(void *arg, json_t *study)
{
    struct assay_table *table = arg;
    const json_t *trials = json_object_get(study, "trials");
    const json_t *best = json_object_get(study, "best");
    int64_t limit = assay_study_limit(study);

    assay_table_add(table, assay_member_text(study, "name"));
    assay_table_add(table, assay_member_text(study, "state"));
    if (limit > 0)
        assay_table_printf(table, "%" PRId64 "/%" PRId64, assay_study_done(study), limit);
    else
        assay_table_printf(table, "%" PRId64, assay_study_done(study));
    assay_table_printf(table, "%" PRId64, assay_member_int(trials, "running"));
    assay_table_printf(table, "%" PRId64, assay_member_int(trials, "failed"));
    if (json_is_object(best)) {
        assay_auto_free char *value = assay_text_value(json_object_get(best, "value"));

        assay_table_printf(table, "%s=%s", assay_member_text(best, "metric"), value);
    } else {
        assay_table_add(table, NULL);
    }
    add_age(table, study, "created_at");
}

static void
add_name(void *arg, json_t *study)
{
    assay_buffer_printf(arg, "%s\n", assay_member_text(study, "name"));
}

/* {KEY: […]}, whole. */
static int
print_json(struct assay_cli *cli, const char *path, const char *query, const char *key,
           int64_t limit)
{
    json_t *items = NULL;
    int code = assay_cli_all(cli, path, query, key, limit, &items);

    if (code == ASSAY_EXIT_DONE) {
        json_auto_t *document = json_pack("{s:o}", key, items);

        assay_cli_print_json(document);
    }
    return code;
}

static int
run_list(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL;
    assay_auto_buffer struct assay_buffer query = {0};
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_table struct assay_table table = {.columns = 7, .right = 0x5C};
    static const char *const heads[] = {"NAME",   "STATE", "DONE", "RUNNING",
                                        "FAILED", "BEST",  "AGE"};
    struct assay_error err = {0};
    int64_t limit = -1;
    int code;

    if (assay_cli_project_path(cli, "studies", &path, &err) < 0 ||
        assay_args_get_int(&cli->args, "limit", 1, INT64_MAX, &limit, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    pass_option(cli, &query, "state", "state");
    pass_option(cli, &query, "prefix", "name");
    assay_http_query_add(&query, "sort",
                         assay_args_has(&cli->args, "sort") ? assay_args_get(&cli->args, "sort")
                                                            : "-created_at");
    if (cli->json)
        return print_json(cli, path, query.data, "studies", limit);
    if (assay_args_has(&cli->args, "names")) {
        code = assay_cli_each(cli, path, query.data, "studies", limit, add_name, &text);
    } else {
        for (size_t i = 0; i < ASSAY_COUNT(heads); i++)
            assay_table_add(&table, heads[i]);
        code = assay_cli_each(cli, path, query.data, "studies", limit, add_study, &table);
        if (table.count > table.columns)
            assay_table_print(&table, 0, &text);
        else if (code == ASSAY_EXIT_DONE)
            assay_cli_note(cli, "no studies in project %s", assay_cli_project(cli));
    }
    if (code == ASSAY_EXIT_DONE)
        assay_cli_print(&text);
    return code;
}

static const struct assay_option list_options[] = {
    {"project", 0, "PROJECT", "the project [ASSAY_PROJECT, default]", false},
    {"state", 0, "STATES", "only these, as in running,paused", false},
    {"prefix", 0, "TEXT", "only names that start so", false},
    {"sort", 0, "KEY", "created_at, name, or with \"-\" in front backwards [-created_at]", false},
    {"limit", 0, "N", "at most N studies", false},
    {"names", 0, NULL, "print names only, one to a line", false},
    {0},
};

const struct assay_verb assay_verb_list = {
    .name = "list",
    .arguments = "",
    .summary = "List the studies of a project",
    .options = list_options,
    .examples = "assay list\n"
                "assay list --state running --json",
    .run = run_list,
};

/* --- trials */

struct trial_table {
    struct assay_table table;
    const json_t *names; /* array of parameter names, in the study's order */
};

static void
add_duration(struct assay_table *table, const json_t *trial)
{
    int64_t start = assay_member_time(trial, "started_at");
    int64_t end = assay_member_time(trial, "finished_at");
    assay_auto_free char *text = NULL;

    if (start != ASSAY_TIME_NONE)
        text = assay_text_duration(
            ASSAY_MAX((end != ASSAY_TIME_NONE ? end : assay_now_us()) - start, 0));
    assay_table_add(table, text);
}

static void
add_trial(void *arg, json_t *trial)
{
    struct trial_table *list = arg;
    const json_t *parameters = json_object_get(trial, "parameters");
    const json_t *name;
    size_t i;

    assay_table_printf(&list->table, "%" PRId64, assay_member_int(trial, "number"));
    assay_table_add(&list->table, assay_member_text(trial, "state"));
    add_value(&list->table, json_object_get(trial, "value"));
    json_array_foreach(list->names, i, name)
        add_value(&list->table, json_object_get(parameters, json_string_value(name)));
    add_duration(&list->table, trial);
    assay_table_add(&list->table, json_string_value(json_object_get(trial, "reason")));
}

/* Names of the parameters of the study. */
static json_t *
parameter_names(const json_t *study)
{
    const json_t *parameters = json_object_get(json_object_get(study, "spec"), "parameters");
    json_t *names = json_array();
    const json_t *parameter;
    size_t i;

    json_array_foreach(parameters, i, parameter)
        json_array_append_new(names, json_string(assay_member_text(parameter, "name")));
    return names;
}

static int
print_trials(struct assay_cli *cli, const char *path, const char *list, const char *query,
             int64_t limit)
{
    struct trial_table rows = {0};
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *study = NULL, *names;
    const json_t *name, *objective;
    size_t i;
    int code = assay_cli_call(cli, "GET", path, NULL, NULL, &study);

    if (code != ASSAY_EXIT_DONE)
        return code;
    names = parameter_names(study);
    objective = json_array_get(json_object_get(study, "objectives"), 0);
    rows.names = names;
    rows.table.columns = json_array_size(names) + 5;
    rows.table.right = 0x5;
    assay_table_add(&rows.table, "TRIAL");
    assay_table_add(&rows.table, "STATE");
    assay_table_add(&rows.table, assay_member_text(objective, "metric"));
    json_array_foreach(names, i, name) assay_table_add(&rows.table, json_string_value(name));
    assay_table_add(&rows.table, "TIME");
    assay_table_add(&rows.table, "REASON");
    code = assay_cli_each(cli, list, query, "trials", limit, add_trial, &rows);
    if (code == ASSAY_EXIT_DONE && rows.table.count > rows.table.columns) {
        assay_table_print(&rows.table, 0, &text);
        assay_cli_print(&text);
    } else if (code == ASSAY_EXIT_DONE) {
        assay_cli_note(cli, "no trials");
    }
    assay_table_done(&rows.table);
    json_decref(names);
    json_decref(study);
    return code;
}

static int
run_trials(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *list = NULL;
    assay_auto_buffer struct assay_buffer query = {0};
    struct assay_error err = {0};
    int64_t limit = -1;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_int(&cli->args, "limit", 1, INT64_MAX, &limit, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    list = assay_format("%s/trials", path);
    pass_option(cli, &query, "state", "state");
    assay_http_query_add(&query, "sort",
                         assay_args_has(&cli->args, "sort") ? assay_args_get(&cli->args, "sort")
                                                            : "number");
    if (cli->json)
        return print_json(cli, list, query.data, "trials", limit);
    return print_trials(cli, path, list, query.data, limit);
}

static const struct assay_option trials_options[] = {
    {"state", 0, "STATES", "only these, as in running,failed", false},
    {"sort", 0, "KEY", "number, value, started_at, or with \"-\" in front backwards [number]",
     false},
    {"limit", 0, "N", "at most N trials", false},
    {0},
};

const struct assay_verb assay_verb_trials = {
    .name = "trials",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "List the trials of a study",
    .options = trials_options,
    .examples = "assay trials digits-mlp --sort -value --limit 10\n"
                "assay trials digits-mlp --state failed",
    .run = run_trials,
};
