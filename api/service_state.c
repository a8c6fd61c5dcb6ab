/* How the daemon is: health, readiness, metrics, the contract, the page. */
#include <inttypes.h>

#include "api/handlers.h"
#include "api/server_internal.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/openapi_json.h"

enum assay_step
assay_handle_healthz(struct assay_request *request)
{
    return assay_answer_json(request, 200, json_pack("{s:s}", "status", "ok"));
}

static enum assay_step
answer_readiness(struct assay_request *request, bool ready, const char *database)
{
    assay_answer_json(request, ready ? 200 : 503,
                      json_pack("{s:s, s:s}", "status", ready ? "ready" : "unavailable",
                                "database", database));
    request->answer.retry_after_s = ready ? 0 : 1;
    return ASSAY_ANSWERED;
}

static enum assay_step
ping(struct assay_request *request)
{
    struct assay_error err = {0};

    if (assay_store_ping(request->store, &err) == ASSAY_OK)
        return answer_readiness(request, true, "ok");
    return answer_readiness(request, false, err.message);
}

enum assay_step
assay_handle_readyz(struct assay_request *request)
{
    assay_auto_free char *cause = NULL;

    if (request->service != NULL)
        return assay_request_continue(request, ping);
    pthread_mutex_lock(&request->server->lock);
    cause = assay_strdup(request->server->cause);
    pthread_mutex_unlock(&request->server->lock);
    return answer_readiness(request, false, cause);
}

enum assay_step
assay_handle_openapi(struct assay_request *request)
{
    struct assay_answer *answer = &request->answer;

    answer->status = 200;
    answer->content_type = "application/json";
    answer->fixed = assay_openapi_json;
    answer->fixed_length = assay_openapi_json_length;
    assay_etag(assay_openapi_json, assay_openapi_json_length, answer->etag);
    return ASSAY_ANSWERED;
}

enum assay_step
assay_handle_whoami(struct assay_request *request)
{
    const struct assay_principal *principal = &request->principal;

    return assay_answer_json(
        request, 200,
        json_pack("{s:s, s:[s]}", "role", assay_role_name(principal->role), "projects",
                  principal->project[0] != '\0' ? principal->project : "*"));
}

enum assay_step
assay_handle_dashboard(struct assay_request *request)
{
    const char *name = request->uri.n_segments > 0 ? request->uri.segments[0] : "";
    const struct assay_dashboard_file *file =
        assay_dashboard_find(request->server->dashboard, name);
    struct assay_answer *answer = &request->answer;

    if (file == NULL)
        return assay_answer_problem(request, ASSAY_E_NOT_FOUND,
                                    "this daemon has no dashboard; the API is at /v1");
    answer->status = 200;
    answer->content_type = file->content_type;
    answer->fixed = file->bytes;
    answer->fixed_length = file->length;
    answer->cache_control = "no-cache";
    answer->page = true;
    snprintf(answer->etag, sizeof(answer->etag), "%s", file->etag);
    return ASSAY_ANSWERED;
}

/* --- /metrics */

static void
print_value(struct assay_buffer *text, const char *name, const char *type, const char *help,
            double value)
{
    char number[ASSAY_DOUBLE_TEXT];

    assay_print_double(value, number);
    assay_buffer_printf(text, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", name, help, name, type, name,
                        number);
}

static double
resident_bytes(void)
{
    assay_auto_free char *line = NULL;
    const char *pages;
    int64_t n;

    if (assay_file_read_line("/proc/self/statm", &line, NULL) != ASSAY_OK)
        return 0;
    pages = strchr(line, ' ');
    if (pages == NULL)
        return 0;
    *strchrnul(pages + 1, ' ') = '\0';
    return assay_parse_int(pages + 1, 0, INT64_MAX, &n) ? (double)n * 4096 : 0;
}

static double
seconds(int64_t time_us)
{
    return (double)time_us / (double)ASSAY_SECOND_US;
}

static void
print_decisions(const struct assay_decision_times *times, struct assay_buffer *text)
{
    int64_t below = 0;

    assay_buffer_puts(text, "# HELP assay_decision_seconds Time that stopping rules took to judge "
                            "a measurement.\n# TYPE assay_decision_seconds histogram\n");
    for (size_t i = 0; i < ASSAY_DECISION_BUCKETS - 1; i++) {
        below += times->buckets[i];
        assay_buffer_printf(text, "assay_decision_seconds_bucket{le=\"%g\"} %" PRId64 "\n",
                            1e-9 * (double)assay_decision_bounds_ns[i], below);
    }
    assay_buffer_printf(text,
                        "assay_decision_seconds_bucket{le=\"+Inf\"} %" PRId64 "\n"
                        "assay_decision_seconds_sum %.9f\n"
                        "assay_decision_seconds_count %" PRId64 "\n",
                        times->count, 1e-9 * (double)times->total_ns, times->count);
    print_value(text, "assay_decision_greatest_seconds", "gauge",
                "The longest that a stopping rule took.", 1e-9 * (double)times->greatest_ns);
}

static void
print_engine(const struct assay_service *service, struct assay_buffer *text)
{
    struct assay_engine_stats stats = {0};

    assay_engine_get_stats(service->engine, &stats);
    print_value(text, "assay_studies", "gauge", "Live studies.", (double)stats.studies);
    print_value(text, "assay_trials_live", "gauge", "Trials that have not ended.",
                (double)stats.trials_live);
    print_value(text, "assay_attempts_started_total", "counter", "Attempts started.",
                (double)stats.attempts_started);
    print_value(text, "assay_attempts_lost_total", "counter",
                "Attempts whose runner or machine disappeared.", (double)stats.attempts_lost);
    print_value(text, "assay_suggestions_total", "counter", "Trials proposed.",
                (double)stats.suggestions);
    print_value(text, "assay_suggest_seconds_total", "counter", "Time spent proposing them.",
                seconds(stats.suggest_us_total));
    print_value(text, "assay_suggest_respawns_total", "counter",
                "Suggestion processes started again.", (double)stats.suggest_respawns);
    print_value(text, "assay_suggest_unreached_total", "counter",
                "Times the place of the suggestion workers could not be reached.",
                (double)stats.suggest_unreached);
    print_value(text, "assay_suggest_ready_total", "counter",
                "Asks that were answered, or under way, before they came.",
                (double)stats.suggest_ready);
    print_value(text, "assay_suggest_stale_total", "counter",
                "Suggestions prepared that nobody took.", (double)stats.suggest_stale);
    print_value(text, "assay_suggest_moves_total", "counter",
                "Studies that went to another suggestion process.", (double)stats.suggest_moves);
    print_value(text, "assay_reports_total", "counter", "Reports of measurements taken.",
                (double)stats.reports);
    print_value(text, "assay_stops_decided_total", "counter", "Trials that a rule stopped.",
                (double)stats.stops_decided);
    print_decisions(&stats.decisions, text);
    print_value(text, "assay_turnover_seconds_total", "counter",
                "Time from slots falling free to the next processes.",
                seconds(stats.turnover_us_total));
    print_value(text, "assay_turnover_total", "counter", "Slots filled again.",
                (double)stats.turnover_count);
}

static void
print_writer(const struct assay_service *service, struct assay_buffer *text)
{
    struct assay_writer_stats stats = {0};

    assay_writer_get_stats(service->writer, &stats);
    print_value(text, "assay_writer_sets_total", "counter", "Change sets committed.",
                (double)stats.sets);
    print_value(text, "assay_writer_batches_total", "counter", "Transactions they took.",
                (double)stats.batches);
    print_value(text, "assay_writer_failed_sets_total", "counter", "Change sets refused.",
                (double)stats.failed_sets);
    print_value(text, "assay_writer_reconnects_total", "counter", "Connections made again.",
                (double)stats.reconnects);
    print_value(text, "assay_writer_waiting", "gauge", "Change sets not committed yet.",
                (double)stats.waiting);
    print_value(text, "assay_writer_commit_seconds_total", "counter", "Time spent committing.",
                seconds(stats.commit_us_total));
}

static void
print_server(struct assay_server *server, struct assay_buffer *text)
{
    size_t connections;

    pthread_mutex_lock(&server->lock);
    connections = server->n_clients;
    pthread_mutex_unlock(&server->lock);
    print_value(text, "assay_uptime_seconds", "gauge", "Time since the start.",
                seconds(assay_monotonic_us() - server->started_us));
    print_value(text, "assay_resident_bytes", "gauge", "Resident memory of the daemon.",
                resident_bytes());
    print_value(text, "assay_http_connections", "gauge", "Open connections.",
                (double)connections);
    print_value(text, "assay_http_suspended", "gauge",
                "Requests that wait for the engine, the database or a change.",
                (double)atomic_load(&server->suspended));
    print_value(text, "assay_http_streams", "gauge", "Event and log streams.",
                (double)atomic_load(&server->streams));
    print_value(text, "assay_read_queue", "gauge", "Requests that wait for a read thread.",
                (double)assay_read_pool_waiting(server->pool));
}

enum assay_step
assay_handle_metrics(struct assay_request *request)
{
    struct assay_answer *answer = &request->answer;
    struct assay_buffer *text = &answer->text;

    print_server(request->server, text);
    print_value(text, "assay_notifier_waiting", "gauge", "Requests that wait for a change.",
                (double)assay_notifier_waiting(request->service->notifier));
    print_engine(request->service, text);
    print_writer(request->service, text);
    assay_http_metrics_print(request->server->metrics, text);
    answer->status = 200;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    return ASSAY_ANSWERED;
}
