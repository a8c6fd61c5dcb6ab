#include "cli/follow.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>

#include "cli/text.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/states.h"

/* How long a lost server may take to come back before following ends. */
#define FOLLOW_PATIENCE_MS 120000
/* Standard error that is no terminal gets a line at most this often. */
#define PLAIN_PERIOD_US (5 * ASSAY_SECOND_US)
/* Pause between two answers, so that a fast study does not mean a fast poll. */
#define POLL_PAUSE_MS 200

#define STUDY_FIELDS                                                                               \
    "name,project,state,reason,message,objectives,limits,trials,best,created_at,started_at,"       \
    "finished_at"

int64_t
assay_study_done(const json_t *study)
{
    static const char *const final[] = {"succeeded", "stopped", "infeasible", "failed",
                                        "cancelled"};
    const json_t *trials = json_object_get(study, "trials");
    int64_t done = 0;

    for (size_t i = 0; i < ASSAY_COUNT(final); i++)
        done += assay_member_int(trials, final[i]);
    return done;
}

int64_t
assay_study_limit(const json_t *study)
{
    return assay_member_int(json_object_get(study, "limits"), "trials");
}

bool
assay_study_is_final(const json_t *study)
{
    enum assay_study_state state;

    return assay_study_state_parse(assay_member_text(study, "state"), &state) &&
           assay_study_state_is_final(state);
}

/* Since the start, or since the creation; -1 when neither is known. */
static int64_t
elapsed_us(const json_t *study, int64_t now_us)
{
    int64_t start = assay_member_time(study, "started_at");
    int64_t end = assay_member_time(study, "finished_at");

    if (start == ASSAY_TIME_NONE)
        start = assay_member_time(study, "created_at");
    if (start == ASSAY_TIME_NONE)
        return -1;
    return ASSAY_MAX((end != ASSAY_TIME_NONE ? end : now_us) - start, 0);
}

static int64_t
eta_us(const json_t *study, int64_t now_us)
{
    int64_t elapsed = elapsed_us(study, now_us);
    int64_t limit = assay_member_duration_us(json_object_get(study, "limits"), "time");
    int64_t left = limit > 0 && elapsed >= 0 ? ASSAY_MAX(limit - elapsed, 0) : -1;

    return assay_text_eta_us(assay_study_done(study), assay_study_limit(study), elapsed, left);
}

/* "best loss 0.31 (trial 5)", or NULL without a best. */
static char *
best_text(const json_t *study)
{
    const json_t *best = json_object_get(study, "best");
    assay_auto_free char *value = NULL;
    assay_auto_free char *metric = NULL;

    if (!json_is_object(best))
        return NULL;
    value = assay_text_value(json_object_get(best, "value"));
    metric = assay_text_clean(assay_member_text(best, "metric"));
    return assay_format("best %s %s (trial %" PRId64 ")", metric, value,
                        assay_member_int(best, "number"));
}

/* Adds "separator + part" when the line stays within the columns. */
static void
add_part(struct assay_buffer *line, size_t columns, const char *separator, const char *part)
{
    size_t used = line->data != NULL ? assay_text_width(line->data) : 0;

    if (part == NULL || part[0] == '\0' ||
        used + assay_text_width(separator) + assay_text_width(part) > columns)
        return;
    assay_buffer_puts(line, used > 0 ? separator : "");
    assay_buffer_puts(line, part);
}

static void
add_count(struct assay_buffer *line, size_t columns, const char *separator, const json_t *trials,
          const char *key, const char *word)
{
    int64_t count = assay_member_int(trials, key);
    assay_auto_free char *part = NULL;

    if (count > 0) {
        part = assay_format("%" PRId64 " %s", count, word);
        add_part(line, columns, separator, part);
    }
}

char *
assay_progress_line(const json_t *study, const struct assay_progress *progress)
{
    const json_t *trials = json_object_get(study, "trials");
    int64_t done = assay_study_done(study), limit = assay_study_limit(study);
    int64_t eta = eta_us(study, progress->now_us);
    size_t columns = progress->columns;
    const char *state = assay_member_text(study, "state");
    struct assay_buffer line = {0};
    assay_auto_free char *best = best_text(study);
    assay_auto_free char *count = NULL, *bar = NULL, *spark = NULL, *time = NULL;

    add_part(&line, columns, "", assay_member_text(study, "name"));
    if (limit > 0) {
        bar = assay_text_bar((double)done / (double)limit, 16, progress->unicode);
        count = assay_format("%" PRId64 "/%" PRId64, done, limit);
    } else {
        count = assay_format("%" PRId64 " done", done);
    }
    /* The bar only where what matters more fits beside it. */
    if (bar != NULL && columns >= 90)
        add_part(&line, columns, "  ", bar);
    add_part(&line, columns, "  ", count);
    add_part(&line, columns, "  ", best);
    if (strcmp(state, "running") != 0)
        add_part(&line, columns, "  ", state);
    add_count(&line, columns, "  ", trials, "running", "running");
    add_count(&line, columns, "  ", trials, "paused", "paused");
    add_count(&line, columns, "  ", trials, "failed", "failed");
    add_count(&line, columns, "  ", trials, "stopped", "stopped early");
    if (eta >= 0 && !assay_study_is_final(study)) {
        assay_auto_free char *text = assay_text_duration(eta);

        time = assay_format("ETA %s", text);
        add_part(&line, columns, "  ", time);
    }
    if (progress->n_history > 1) {
        spark = assay_text_sparkline(progress->history, progress->n_history, 12, progress->unicode);
        add_part(&line, columns, "  ", spark);
    }
    return assay_buffer_steal(&line);
}

char *
assay_progress_plain(const json_t *study, int64_t now_us)
{
    const json_t *trials = json_object_get(study, "trials");
    assay_auto_free char *elapsed = assay_text_duration(elapsed_us(study, now_us));
    assay_auto_free char *best = best_text(study);
    const char *state = assay_member_text(study, "state");
    struct assay_buffer line = {0};
    int64_t limit = assay_study_limit(study), eta = eta_us(study, now_us);

    assay_buffer_printf(&line, "[%s] %" PRId64, elapsed, assay_study_done(study));
    if (limit > 0)
        assay_buffer_printf(&line, "/%" PRId64, limit);
    assay_buffer_puts(&line, " done");
    if (strcmp(state, "running") != 0)
        assay_buffer_printf(&line, ", %s", state);
    add_count(&line, SIZE_MAX, ", ", trials, "running", "running");
    add_count(&line, SIZE_MAX, ", ", trials, "paused", "paused");
    add_count(&line, SIZE_MAX, ", ", trials, "failed", "failed");
    add_count(&line, SIZE_MAX, ", ", trials, "stopped", "stopped early");
    if (best != NULL)
        assay_buffer_printf(&line, ", %s", best);
    if (eta > 0 && !assay_study_is_final(study)) {
        assay_auto_free char *text = assay_text_duration(eta);

        assay_buffer_printf(&line, ", ETA %s", text);
    }
    return assay_buffer_steal(&line);
}

int
assay_study_exit(const json_t *study)
{
    const char *state = assay_member_text(study, "state");
    const char *reason = assay_member_text(study, "reason");
    const json_t *objective = json_array_get(json_object_get(study, "objectives"), 0);
    bool has_target = json_is_number(json_object_get(objective, "target"));

    if (strcmp(state, "succeeded") != 0)
        return ASSAY_EXIT_FAILED;
    if (has_target && strcmp(reason, "target_reached") != 0)
        return ASSAY_EXIT_LIMIT;
    return json_is_object(json_object_get(study, "best")) ? ASSAY_EXIT_DONE : ASSAY_EXIT_FAILED;
}

/* --- the loop */

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    (void)number;
    interrupted = 1;
    /* A second one ends the program at once, whatever it waits for. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
}

static bool
is_interrupted(void *arg)
{
    (void)arg;
    return interrupted != 0;
}

struct follow {
    struct assay_cli *cli;
    bool quiet;
    json_t *study;
    char *etag;
    double *history;
    size_t n_history, history_capacity;
    char *last_key; /* what the last plain line said, without its times */
    int64_t last_plain_us;
};

static void
remember_best(struct follow *follow)
{
    double value = assay_member_number(json_object_get(follow->study, "best"), "value");

    if (isnan(value) ||
        (follow->n_history > 0 && !(fabs(follow->history[follow->n_history - 1] - value) > 0)))
        return;
    ASSAY_GROW(follow->history, follow->n_history, follow->history_capacity);
    follow->history[follow->n_history++] = value;
}

static void
draw_live(const struct follow *follow)
{
    struct assay_progress progress = {
        .columns = assay_cli_columns() - 1,
        .unicode = follow->cli->unicode,
        .now_us = assay_now_us(),
        .history = follow->history,
        .n_history = follow->n_history,
    };
    assay_auto_free char *line = assay_progress_line(follow->study, &progress);

    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

/* Lines for logs: when something has ended or a better value was found, not more
 * often than the period, and the end. */
static void
draw_plain(struct follow *follow)
{
    int64_t now_us = assay_monotonic_us();
    assay_auto_free char *key =
        assay_format("%s %" PRId64 " %" PRId64, assay_member_text(follow->study, "state"),
                     assay_study_done(follow->study),
                     assay_member_int(json_object_get(follow->study, "best"), "number"));
    assay_auto_free char *line = NULL;

    if (follow->last_key != NULL && strcmp(key, follow->last_key) == 0)
        return;
    if (follow->last_key != NULL && now_us - follow->last_plain_us < PLAIN_PERIOD_US &&
        !assay_study_is_final(follow->study))
        return;
    free(follow->last_key);
    follow->last_key = assay_strdup(key);
    follow->last_plain_us = now_us;
    line = assay_progress_plain(follow->study, assay_now_us());
    fprintf(stderr, "%s\n", line);
}

static void
draw(struct follow *follow)
{
    if (follow->quiet || follow->study == NULL)
        return;
    if (follow->cli->terminal_err)
        draw_live(follow);
    else
        draw_plain(follow);
}

/* One long poll; the study is replaced when it has changed. */
static assay_status
poll_once(struct follow *follow, const char *path, struct assay_http_answer *answer,
          struct assay_error *err)
{
    struct assay_cli *cli = follow->cli;
    /* A terminal's clock moves every second; a log need not. */
    const char *wait = cli->terminal_err && !follow->quiet ? "1s" : "20s";
    assay_auto_buffer struct assay_buffer query = {0};
    struct assay_http_request request = {.path = path, .if_none_match = follow->etag};
    assay_status rc;

    assay_http_query_add(&query, "fields", STUDY_FIELDS);
    if (follow->etag != NULL)
        assay_http_query_add(&query, "wait", wait);
    request.query = query.data;
    rc = assay_cli_send(cli, &request, FOLLOW_PATIENCE_MS, answer, err);
    if (rc == ASSAY_OK && answer->status == 200) {
        json_decref(follow->study);
        follow->study = json_incref(answer->json);
        free(follow->etag);
        follow->etag = assay_strdup(answer->etag);
        remember_best(follow);
    }
    return rc;
}

static void
pause_ms(int64_t ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

static int
follow_loop(struct follow *follow, const char *path)
{
    for (;;) {
        assay_auto_http_answer struct assay_http_answer answer = {0};
        struct assay_error err = {0};
        assay_status rc = poll_once(follow, path, &answer, &err);

        draw(follow);
        if (interrupted != 0)
            return ASSAY_EXIT_INTERRUPTED;
        if (rc < 0) {
            if (!follow->quiet && follow->cli->terminal_err)
                fputs("\n", stderr);
            return assay_cli_fail(follow->cli, answer.json, &err);
        }
        if (assay_study_is_final(follow->study))
            return ASSAY_EXIT_DONE;
        pause_ms(POLL_PAUSE_MS);
        if (interrupted != 0)
            return ASSAY_EXIT_INTERRUPTED;
    }
}

int
assay_cli_follow(struct assay_cli *cli, const char *path, bool quiet, json_t **ret_study)
{
    struct follow follow = {.cli = cli, .quiet = quiet};
    struct sigaction action = {.sa_handler = on_signal}, old_int, old_term;
    struct assay_error err = {0};
    int code;

    if (cli->http == NULL && assay_cli_connect(cli, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    interrupted = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &old_int);
    sigaction(SIGTERM, &action, &old_term);
    assay_cli_set_cancelled(cli, is_interrupted);

    code = follow_loop(&follow, path);
    if (!quiet && cli->terminal_err && follow.study != NULL)
        fputs("\n", stderr);
    assay_cli_set_cancelled(cli, NULL);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);

    if (code == ASSAY_EXIT_DONE) {
        json_decref(follow.study);
        follow.study = NULL;
        code = assay_cli_call(cli, "GET", path, NULL, NULL, &follow.study);
    }
    if (code == ASSAY_EXIT_DONE || code == ASSAY_EXIT_INTERRUPTED)
        *ret_study = follow.study;
    else
        json_decref(follow.study);
    free(follow.etag);
    free(follow.history);
    free(follow.last_key);
    return code;
}
