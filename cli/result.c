#include "cli/result.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>

#include "cli/follow.h"
#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/states.h"

static int64_t
span_us(const json_t *object)
{
    int64_t start = assay_member_time(object, "started_at");
    int64_t end = assay_member_time(object, "finished_at");

    return start != ASSAY_TIME_NONE && end != ASSAY_TIME_NONE ? ASSAY_MAX(end - start, 0) : -1;
}

static bool
is_maximized(const json_t *study)
{
    const json_t *objective = json_array_get(json_object_get(study, "objectives"), 0);

    return strcmp(assay_member_text(objective, "goal"), "maximize") == 0;
}

double *
assay_result_history(const json_t *study, const json_t *trials, size_t *ret_n)
{
    double *history = assay_zalloc(ASSAY_MAX(json_array_size(trials), (size_t)1), sizeof *history);
    bool up = is_maximized(study);
    const json_t *trial;
    double best = NAN;
    size_t i, n = 0;

    json_array_foreach(trials, i, trial)
    {
        double value = assay_member_number(trial, "value");

        if (isnan(value))
            continue;
        if (isnan(best) || (up ? value > best : value < best))
            best = value;
        history[n++] = best;
    }
    *ret_n = n;
    return history;
}

void
assay_result_best(const struct assay_cli *cli, const json_t *best, struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 2};
    assay_auto_free char *value = assay_text_value(json_object_get(best, "value"));
    assay_auto_free char *metric = assay_text_clean(assay_member_text(best, "metric"));
    json_t *parameter;
    const char *name;

    assay_buffer_printf(text, "%sbest %s %s%s (trial %" PRId64 ")\n",
                        assay_style(cli->colour_out, ASSAY_STYLE_BOLD), metric, value,
                        assay_style_end(cli->colour_out), assay_member_int(best, "number"));
    json_object_foreach(json_object_get(best, "parameters"), name, parameter)
    {
        assay_auto_free char *shown = assay_text_value(parameter);

        assay_table_add(&table, name);
        assay_table_add(&table, shown);
    }
    assay_table_print(&table, 2, text);
}

void
assay_result_shell(const json_t *parameters, char separator, struct assay_buffer *text)
{
    json_t *mutable = (json_t *)(uintptr_t)parameters; /* only read */
    bool first = true;
    const char *name;
    json_t *value;

    json_object_foreach(mutable, name, value)
    {
        assay_auto_free char *plain = assay_text_csv_value(value);
        assay_auto_free char *variable = assay_strdup(name);

        for (char *p = variable; *p != '\0'; p++)
            *p = isalnum((unsigned char)*p) && (unsigned char)*p < 0x80
                     ? (char)toupper((unsigned char)*p)
                     : '_';
        assay_buffer_printf(text, "%sASSAY_PARAM_%s=", first ? "" : (char[]){separator, '\0'},
                            variable);
        assay_text_shell(text, plain);
        first = false;
    }
}

static void
add_counts(const json_t *study, struct assay_buffer *text)
{
    static const struct {
        const char *key, *word;
    } rows[] = {
        {"succeeded", "succeeded"}, {"stopped", "stopped early"}, {"infeasible", "infeasible"},
        {"failed", "failed"},       {"cancelled", "cancelled"},   {"running", "running"},
        {"queued", "queued"},       {"paused", "paused"},         {"stopping", "stopping"},
    };
    const json_t *trials = json_object_get(study, "trials");
    const char *separator = ": ";

    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        int64_t count = assay_member_int(trials, rows[i].key);

        if (count == 0)
            continue;
        assay_buffer_printf(text, "%s%" PRId64 " %s", separator, count, rows[i].word);
        separator = ", ";
    }
}

void
assay_result_text(const struct assay_cli *cli, const json_t *study, const json_t *trials,
                  struct assay_buffer *text)
{
    const char *state = assay_member_text(study, "state");
    const json_t *best = json_object_get(study, "best");
    int64_t total = assay_member_int(json_object_get(study, "trials"), "total");
    int64_t span = span_us(study);
    enum assay_study_reason reason = ASSAY_STUDY_REASON_NONE;
    assay_auto_free char *message = assay_text_clean(assay_member_text(study, "message"));

    (void)!assay_study_reason_parse(assay_member_text(study, "reason"), &reason);
    assay_buffer_printf(text, "%s%s %s%s",
                        assay_style(cli->colour_out, assay_style_of_state(state)),
                        assay_member_text(study, "name"), state, assay_style_end(cli->colour_out));
    if (message[0] != '\0' || reason != ASSAY_STUDY_REASON_NONE)
        assay_buffer_printf(text, ": %s",
                            message[0] != '\0' ? message : assay_study_reason_text(reason));
    assay_buffer_printf(text, "\n%" PRId64 " trial%s", total, total == 1 ? "" : "s");
    if (span >= 0) {
        assay_auto_free char *time = assay_text_duration(span);

        assay_buffer_printf(text, " in %s", time);
    }
    add_counts(study, text);
    assay_buffer_puts(text, "\n\n");
    if (json_is_object(best)) {
        size_t n = 0;
        assay_auto_free double *history = assay_result_history(study, trials, &n);

        assay_result_best(cli, best, text);
        if (n > 1) {
            assay_auto_free char *spark = assay_text_sparkline(history, n, 60, cli->unicode);

            assay_buffer_printf(text, "  %s\n", spark);
        }
    } else {
        assay_buffer_puts(text, "no trial has a value of the objective\n");
    }
}

json_t *
assay_result_json(json_t *study, json_t *trials, const char *dashboard)
{
    json_t *best = json_object_get(study, "best");

    return json_pack("{s:O, s:O, s:o, s:s}", "study", study, "best",
                     best != NULL ? best : json_null(), "trials", trials, "dashboard", dashboard);
}

/* --- JUnit */

static void
add_attribute(struct assay_buffer *xml, const char *name, const char *value)
{
    assay_buffer_printf(xml, " %s=\"", name);
    assay_text_xml(xml, value);
    assay_buffer_puts(xml, "\"");
}

static void
add_seconds(struct assay_buffer *xml, int64_t us)
{
    assay_buffer_printf(xml, " time=\"%.3f\"", us > 0 ? (double)us / 1e6 : 0.0);
}

/* "trial 3 (lr=0.1, units=64)". */
static char *
trial_title(const json_t *trial)
{
    struct assay_buffer title = {0};
    const char *separator = " (";
    const char *name;
    json_t *value;

    assay_buffer_printf(&title, "trial %" PRId64, assay_member_int(trial, "number"));
    json_object_foreach(json_object_get(trial, "parameters"), name, value)
    {
        assay_auto_free char *text = assay_text_value(value);

        assay_buffer_printf(&title, "%s%s=%s", separator, name, text);
        separator = ", ";
    }
    if (separator[0] == ',')
        assay_buffer_puts(&title, ")");
    return assay_buffer_steal(&title);
}

static void
add_outcome(struct assay_buffer *xml, const char *element, const char *state, const char *message)
{
    assay_auto_free char *text =
        message[0] != '\0' ? assay_format("%s: %s", state, message) : assay_strdup(state);

    assay_buffer_printf(xml, "<%s", element);
    add_attribute(xml, "message", text);
    assay_buffer_puts(xml, "/>");
}

static void
add_trial_case(struct assay_buffer *xml, const char *suite, const json_t *trial, bool study_failed)
{
    const char *state = assay_member_text(trial, "state");
    assay_auto_free char *title = trial_title(trial);

    assay_buffer_puts(xml, "    <testcase");
    add_attribute(xml, "classname", suite);
    add_attribute(xml, "name", title);
    add_seconds(xml, span_us(trial));
    assay_buffer_puts(xml, ">");
    if (strcmp(state, "succeeded") != 0)
        add_outcome(xml, strcmp(state, "failed") == 0 && study_failed ? "failure" : "skipped",
                    state, assay_member_text(trial, "message"));
    assay_buffer_puts(xml, "</testcase>\n");
}

void
assay_result_junit(const json_t *study, const json_t *trials, int exit_code,
                   struct assay_buffer *xml)
{
    assay_auto_free char *suite = assay_format("%s/%s", assay_member_text(study, "project"),
                                               assay_member_text(study, "name"));
    bool failed = assay_study_exit(study) == ASSAY_EXIT_FAILED;
    size_t failures = exit_code != 0, skipped = 0, i;
    const json_t *trial;

    json_array_foreach(trials, i, trial)
    {
        const char *state = assay_member_text(trial, "state");

        if (strcmp(state, "failed") == 0 && failed)
            failures++;
        else if (strcmp(state, "succeeded") != 0)
            skipped++;
    }
    assay_buffer_puts(xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
                           "  <testsuite");
    add_attribute(xml, "name", suite);
    assay_buffer_printf(xml, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\"",
                        json_array_size(trials) + 1, failures, skipped);
    add_seconds(xml, span_us(study));
    assay_buffer_puts(xml, ">\n    <testcase");
    add_attribute(xml, "classname", suite);
    add_attribute(xml, "name", "study");
    add_seconds(xml, span_us(study));
    assay_buffer_puts(xml, ">");
    if (exit_code != 0) {
        const char *message = assay_member_text(study, "message");
        const char *reason = assay_member_text(study, "reason");

        add_outcome(xml, "failure",
                    exit_code == ASSAY_EXIT_LIMIT ? "a limit was hit before the target"
                                                  : assay_member_text(study, "state"),
                    message[0] != '\0' ? message : reason);
    }
    assay_buffer_puts(xml, "</testcase>\n");
    json_array_foreach(trials, i, trial) add_trial_case(xml, suite, trial, failed);
    assay_buffer_puts(xml, "  </testsuite>\n</testsuites>\n");
}
