/* An attempt's log: metrics, and the output that is kept. */
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"
#include "schemas/decode.h"

#define LAST_LINES 5

static void
on_line(void *arg, int64_t time_us, const char *bytes, size_t length)
{
    struct assay_kube_attempt *attempt = arg;
    struct assay_metric_line *line = &attempt->executor->line;

    if (attempt->output != NULL) {
        assay_output_log_write(attempt->output, bytes, length);
        assay_output_log_write(attempt->output, "\n", 1);
    }
    if (attempt->pattern == NULL)
        return;
    assay_metric_line_read(attempt->pattern, bytes, length, line);
    for (size_t i = 0; i < line->count; i++) {
        int64_t step;
        const char *name = assay_metric_book_enter(attempt->book, assay_metric_line_name(line, i),
                                                   line->step, line->pairs[i].value, &step);

        if (name != NULL && assay_metric_name_valid(name))
            assay_measurements_add(&attempt->measured, step,
                                   time_us != ASSAY_TIME_NONE ? time_us : assay_now_us(), name,
                                   line->pairs[i].value);
    }
}

static void
on_pause(void *arg)
{
    struct assay_kube_attempt *attempt = arg;
    struct assay_executor_events *events = &attempt->executor->events;
    struct assay_measurements list = attempt->measured;

    if (list.count == 0)
        return;
    attempt->measured = (struct assay_measurements){0};
    events->measured(events->arg, &attempt->key, &list);
    assay_measurements_done(&list);
}

static void
on_log_ended(void *arg, const char *fault)
{
    struct assay_kube_attempt *attempt = arg;

    attempt->log_over = true;
    attempt->log_missing = fault != NULL;
    attempt->on_log_over(attempt);
}

static void
open_output(struct assay_kube_attempt *attempt)
{
    struct assay_kube_executor *executor = attempt->executor;
    assay_auto_free char *directory = assay_attempt_directory(executor->data_dir, &attempt->key);
    assay_auto_free char *now = assay_format("%s/output.log", directory);
    assay_auto_free char *before = assay_format("%s/output.log.1", directory);
    struct assay_error err = {0};

    /* The log is read from its beginning. */
    unlink(now);
    unlink(before);
    if (assay_make_directories(directory, 0700, &err) < 0 ||
        assay_output_log_open(directory, executor->log_bytes, &attempt->output, &err) < 0)
        assay_log(ASSAY_LOG_WARNING, "the output of %s is not kept: %s", attempt->name,
                  err.message);
}

void
assay__kube_follow_log(struct assay_kube_attempt *attempt, const char *pod, const char *container,
                       void (*over)(struct assay_kube_attempt *attempt))
{
    struct assay_kube_executor *executor = attempt->executor;
    assay_auto_free char *path = NULL;

    if (attempt->log != NULL)
        return;
    attempt->on_log_over = over;
    open_output(attempt);
    path = assay_format("/api/v1/namespaces/%s/pods/%s/log?container=%s", attempt->namespace_, pod,
                        container);
    attempt->log = assay_kube_log_new(&(struct assay_kube_log_options){
        .client = executor->client,
        .loop = executor->loop,
        .path = path,
        .line = on_line,
        .pause = on_pause,
        .ended = on_log_ended,
        .arg = attempt,
    });
}

void
assay__kube_reading_restart(struct assay_kube_attempt *attempt)
{
    on_pause(attempt);
    attempt->log = assay_kube_log_end(attempt->log);
    attempt->output = assay_output_log_close(attempt->output);
    attempt->log_over = attempt->log_missing = false;
    if (attempt->book != NULL)
        assay_metric_book_restart(attempt->book);
}

assay_status
assay__kube_reading_prepare(struct assay_kube_attempt *attempt, const struct assay_study_spec *spec,
                            struct assay_error *err)
{
    const struct assay_trial_spec *trial = spec->trial;
    size_t n = 0, more = json_array_size(trial->metrics_names);
    assay_auto_free const char **names =
        assay_zalloc(spec->n_objectives + spec->n_constraints + more + 1, sizeof *names);
    assay_status rc;

    if (trial->metrics_from != ASSAY_METRICS_STDOUT || attempt->reports)
        return ASSAY_OK;
    for (size_t i = 0; i < spec->n_objectives; i++)
        names[n++] = spec->objectives[i].metric;
    for (size_t i = 0; i < spec->n_constraints; i++)
        names[n++] = spec->constraints[i].metric;
    for (size_t i = 0; i < more; i++)
        names[n++] = json_string_value(json_array_get(trial->metrics_names, i));
    attempt->book = assay_metric_book_new(names, n, spec->n_objectives);
    rc = assay_metric_pattern_new(names, n, trial->metrics_filter, &attempt->pattern, err);
    if (rc == ASSAY_OK && trial->metrics_count_steps)
        assay_metric_pattern_count_steps(attempt->pattern);
    return rc;
}

/* What it printed last, where that helps to understand the end. */
char *
assay__kube_reading_message(const struct assay_kube_attempt *attempt)
{
    const struct assay_kube_pod_status *end = &attempt->end;
    assay_auto_free char *lines = NULL;
    bool silent = end->state == ASSAY_TRIAL_SUCCEEDED && attempt->book != NULL &&
                  !assay_metric_book_has_objectives(attempt->book);

    if (attempt->output != NULL && (silent || end->state == ASSAY_TRIAL_FAILED))
        lines = assay_output_log_last_lines(attempt->output, LAST_LINES);
    if (lines == NULL || *lines == '\0')
        return assay_strdup(end->sentence);
    return assay_format("%s%slast lines: %s", end->sentence != NULL ? end->sentence : "",
                        end->sentence != NULL ? "; " : "", lines);
}

/* What is needed only while it runs. */
void
assay__kube_reading_drop(struct assay_kube_attempt *attempt)
{
    attempt->log = assay_kube_log_end(attempt->log);
    attempt->pattern = assay_metric_pattern_free(attempt->pattern);
    attempt->book = assay_metric_book_free(attempt->book);
    attempt->output = assay_output_log_close(attempt->output);
    assay_measurements_done(&attempt->measured);
}
