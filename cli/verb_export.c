/* export: all trials, or all measurements, as CSV or JSON lines. */
#include <inttypes.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "common/json.h"
#include "common/memory.h"

enum format { FORMAT_CSV, FORMAT_JSONL };

/* Members of a trial that get a column of their own. */
static const char *const plain_columns[] = {"number", "state",      "reason",     "value",
                                            "budget", "created_at", "started_at", "finished_at"};
/* And of why.stop: what a stopping rule decided. */
static const char *const stop_columns[] = {"rule", "value", "threshold", "step", "compared"};

struct export
{
    struct assay_cli *cli;
    enum format format;
    const char *list;         /* path of the trials */
    json_t *parameters;       /* names, in the study's order */
    json_t *metrics;          /* set of names, in the order found */
    bool met_new_metric;      /* one that came up after the columns were fixed */
    int64_t trial;            /* whose measurements are being written */
    struct assay_buffer text; /* not yet printed */
    int code;
};

static void
flush(struct export *export)
{
    assay_cli_print(&export->text);
    assay_buffer_clear(&export->text);
}

static void
add_line(struct export *export, const json_t *object)
{
    assay_json_print(object, 0, &export->text);
    assay_buffer_puts(&export->text, "\n");
}

static void
add_field(struct export *export, bool first, const json_t *value)
{
    assay_auto_free char *text = assay_text_csv_value(value);

    assay_buffer_puts(&export->text, first ? "" : ",");
    assay_text_csv(&export->text, text);
}

static void
add_head(struct export *export, const char *group, const char *name)
{
    assay_auto_free char *whole = assay_format("%s.%s", group, name);

    assay_buffer_puts(&export->text, ",");
    assay_text_csv(&export->text, whole);
}

/* --- trials */

static void
collect_metrics(void *arg, json_t *trial)
{
    struct export *export = arg;
    const char *name;
    json_t *value;

    json_object_foreach(json_object_get(trial, "metrics"), name, value)
    {
        if (json_object_get(export->metrics, name) == NULL)
            json_object_set_new(export->metrics, name, json_null());
    }
}

static void
write_head(struct export *export)
{
    const json_t *name;
    const char *metric;
    json_t *ignored;
    size_t i;

    for (i = 0; i < ASSAY_COUNT(plain_columns); i++)
        assay_buffer_printf(&export->text, "%s%s", i > 0 ? "," : "", plain_columns[i]);
    json_array_foreach(export->parameters, i, name)
        add_head(export, "parameters", json_string_value(name));
    json_object_foreach(export->metrics, metric, ignored) add_head(export, "metrics", metric);
    for (i = 0; i < ASSAY_COUNT(stop_columns); i++)
        add_head(export, "stop", stop_columns[i]);
    assay_buffer_puts(&export->text, "\r\n");
}

static void
write_trial(void *arg, json_t *trial)
{
    struct export *export = arg;
    const json_t *parameters = json_object_get(trial, "parameters");
    const json_t *stop = json_object_get(json_object_get(trial, "why"), "stop");
    json_t *metrics = json_object_get(trial, "metrics");
    const json_t *name;
    const char *metric;
    json_t *value;
    size_t i;

    if (export->format == FORMAT_JSONL) {
        add_line(export, trial);
    } else {
        for (i = 0; i < ASSAY_COUNT(plain_columns); i++)
            add_field(export, i == 0, json_object_get(trial, plain_columns[i]));
        json_array_foreach(export->parameters, i, name)
            add_field(export, false, json_object_get(parameters, json_string_value(name)));
        json_object_foreach(export->metrics, metric, value)
            add_field(export, false, json_object_get(metrics, metric));
        for (i = 0; i < ASSAY_COUNT(stop_columns); i++)
            add_field(export, false, json_object_get(stop, stop_columns[i]));
        json_object_foreach(metrics, metric, value)
        {
            if (json_object_get(export->metrics, metric) == NULL)
                export->met_new_metric = true;
        }
        assay_buffer_puts(&export->text, "\r\n");
    }
    if (export->text.length > 65536)
        flush(export);
}

static int
export_trials(struct export *export, const char *path)
{
    json_t *study = NULL;
    const json_t *parameter;
    size_t i;
    int code;

    if (export->format == FORMAT_CSV) {
        code = assay_cli_call(export->cli, "GET", path, NULL, NULL, &study);
        if (code != ASSAY_EXIT_DONE)
            return code;
        json_array_foreach(json_object_get(json_object_get(study, "spec"), "parameters"), i,
                           parameter)
            json_array_append_new(export->parameters,
                                  json_string(assay_member_text(parameter, "name")));
        json_decref(study);
        /* The columns have to be known before the first row. */
        code = assay_cli_each(export->cli, export->list, "sort=number&fields=number,metrics",
                              "trials", -1, collect_metrics, export);
        if (code != ASSAY_EXIT_DONE)
            return code;
        write_head(export);
    }
    code =
        assay_cli_each(export->cli, export->list, "sort=number", "trials", -1, write_trial, export);
    if (code == ASSAY_EXIT_DONE)
        flush(export);
    if (export->met_new_metric)
        assay_cli_note(export->cli, "the study goes on, and a metric came up that has no column; "
                                    "export again for it");
    return code;
}

/* --- measurements */

static void
write_measurement(void *arg, json_t *measurement)
{
    struct export *export = arg;
    json_t *metrics = json_object_get(measurement, "metrics");
    json_t *number = json_integer(export->trial);
    const char *name;
    json_t *value;

    if (export->format == FORMAT_JSONL) {
        json_t *line = json_pack("{s:O}", "trial", number);

        json_object_update(line, measurement);
        add_line(export, line);
        json_decref(line);
    } else {
        json_object_foreach(metrics, name, value)
        {
            add_field(export, true, number);
            add_field(export, false, json_object_get(measurement, "step"));
            add_field(export, false, json_object_get(measurement, "time"));
            assay_buffer_puts(&export->text, ",");
            assay_text_csv(&export->text, name);
            add_field(export, false, value);
            assay_buffer_puts(&export->text, "\r\n");
        }
    }
    json_decref(number);
    if (export->text.length > 65536)
        flush(export);
}

static void
write_measurements_of(void *arg, json_t *trial)
{
    struct export *export = arg;
    assay_auto_free char *path = NULL;

    if (export->code != ASSAY_EXIT_DONE)
        return;
    export->trial = assay_member_int(trial, "number");
    path = assay_format("%s/%" PRId64 "/measurements", export->list, export->trial);
    export->code =
        assay_cli_each(export->cli, path, NULL, "measurements", -1, write_measurement, export);
}

static int
export_measurements(struct export *export)
{
    int code;

    if (export->format == FORMAT_CSV)
        assay_buffer_puts(&export->text, "trial,step,time,metric,value\r\n");
    code = assay_cli_each(export->cli, export->list, "sort=number&fields=number", "trials", -1,
                          write_measurements_of, export);
    if (code == ASSAY_EXIT_DONE)
        code = export->code;
    if (code == ASSAY_EXIT_DONE)
        flush(export);
    return code;
}

static int
run_export(struct assay_cli *cli)
{
    static const char *const formats[] = {"csv", "jsonl"};
    assay_auto_free char *path = NULL, *list = NULL;
    size_t format = cli->json ? FORMAT_JSONL : FORMAT_CSV;
    struct export export = {.cli = cli};
    struct assay_error err = {0};
    int code;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_word(&cli->args, "format", formats, ASSAY_COUNT(formats), &format, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    list = assay_format("%s/trials", path);
    export.list = list;
    export.format = (enum format)format;
    export.parameters = json_array();
    export.metrics = json_object();
    code = assay_args_has(&cli->args, "measurements") ? export_measurements(&export)
                                                      : export_trials(&export, path);
    json_decref(export.parameters);
    json_decref(export.metrics);
    assay_buffer_done(&export.text);
    return code;
}

static const struct assay_option export_options[] = {
    {"format", 0, "csv|jsonl", "what to write [csv; jsonl with --json]", false},
    {"measurements", 0, NULL, "the measurements of all trials instead of the trials", false},
    {0},
};

const struct assay_verb assay_verb_export = {
    .name = "export",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Write all trials, or all measurements, as CSV or JSON lines",
    .text = "CSV follows RFC 4180. A trial's row has number, state, reason, value, budget, times,\n"
            "then a column parameters.NAME for each parameter (empty where it is not active)\n"
            "and metrics.NAME for each metric. A measurement's row has trial, step, time,\n"
            "metric, value. Numbers are written in their shortest exact form.",
    .options = export_options,
    .examples = "assay export digits-mlp > trials.csv\n"
                "assay export digits-mlp --format jsonl | jq .metrics\n"
                "assay export digits-mlp --measurements > curves.csv",
    .run = run_export,
};
