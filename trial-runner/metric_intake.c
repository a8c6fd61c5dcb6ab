#include "trial-runner/metric_intake.h"

#include "common/clock.h"
#include "common/memory.h"
#include "schemas/metric_book.h"

#define REPORTS_MAX 4096

struct assay_metric_intake {
    const struct assay_job *job;
    struct assay_metric_pattern *pattern;
    struct assay_metric_book *book;
    struct assay_metric_line line;
    struct assay_reporter *reporter;
    struct assay_report reports[REPORTS_MAX]; /* of this turn */
    size_t n_reports;
};

assay_status
assay_metric_intake_new(const struct assay_job *job, struct assay_metric_intake **ret_intake,
                        struct assay_error *err)
{
    struct assay_metric_intake *intake = ASSAY_NEW(struct assay_metric_intake);
    assay_status rc;

    intake->job = job;
    intake->book = assay_metric_book_new(job->metrics, job->n_metrics, job->n_objectives);
    rc = assay_metric_pattern_new(job->metrics, job->n_metrics, job->metrics_filter,
                                  &intake->pattern, err);
    if (rc < 0) {
        assay_metric_intake_free(intake);
        return rc;
    }
    if (job->count_steps)
        assay_metric_pattern_count_steps(intake->pattern);
    *ret_intake = intake;
    return ASSAY_OK;
}

struct assay_metric_intake *
assay_metric_intake_free(struct assay_metric_intake *intake)
{
    if (intake != NULL) {
        assay_metric_line_done(&intake->line);
        assay_metric_book_free(intake->book);
        assay_metric_pattern_free(intake->pattern);
        free(intake);
    }
    return NULL;
}

void
assay_metric_intake_set_reporter(struct assay_metric_intake *intake,
                                 struct assay_reporter *reporter)
{
    intake->reporter = reporter;
}

void
assay_metric_intake_flush(struct assay_metric_intake *intake)
{
    if (intake->n_reports > 0)
        assay_reporter_push(intake->reporter, intake->reports, intake->n_reports);
    intake->n_reports = 0;
}

static void
take_value(void *arg, const char *name, int64_t step, int64_t time_us, double value)
{
    struct assay_metric_intake *intake = arg;
    struct assay_report report = {.time_us = time_us == ASSAY_TIME_NONE ? assay_now_us() : time_us,
                                  .value = value};

    report.name = assay_metric_book_enter(intake->book, name, step, value, &report.step);
    if (report.name == NULL)
        return;
    if (intake->n_reports == REPORTS_MAX)
        assay_metric_intake_flush(intake);
    intake->reports[intake->n_reports++] = report;
}

static void
take_line(void *arg, const char *bytes, size_t length)
{
    struct assay_metric_intake *intake = arg;
    int64_t now_us = assay_now_us();

    assay_metric_line_read(intake->pattern, bytes, length, &intake->line);
    for (size_t i = 0; i < intake->line.count; i++) {
        const char *name = assay_metric_line_name(&intake->line, i);

        /* Commands print what they were given: a parameter is no metric, unless it was
         * declared one. */
        if (json_object_get(intake->job->parameters, name) == NULL ||
            assay_metric_pattern_find(intake->pattern, name, strlen(name)) >= 0)
            take_value(intake, name, intake->line.step, now_us, intake->line.pairs[i].value);
    }
}

void
assay_metric_intake_line(struct assay_metric_intake *intake, const char *bytes, size_t length)
{
    take_line(intake, bytes, length);
}

struct assay_metric_source *
assay_metric_intake_source(struct assay_metric_intake *intake, const char *directory)
{
    struct assay_metric_sink sink = {.on_line = take_line, .on_value = take_value, .arg = intake};

    return assay_metric_source_new(intake->job, directory, &sink, intake->pattern);
}

bool
assay_metric_intake_has_objectives(const struct assay_metric_intake *intake)
{
    return assay_metric_book_has_objectives(intake->book);
}

json_t *
assay_metric_intake_last(const struct assay_metric_intake *intake)
{
    return assay_metric_book_last(intake->book);
}
