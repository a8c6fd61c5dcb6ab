/* logs: what a trial's command has written. */
#include <errno.h>
#include <inttypes.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "common/memory.h"
#include "common/number.h"

/* A daemon that restarts is waited for; the stream goes on where it broke. */
#define LOGS_PATIENCE_MS 30000

struct stream {
    uint64_t seen; /* bytes printed over all connections */
    uint64_t skip; /* bytes of this connection that were printed before */
};

static bool
print_piece(void *arg, const char *bytes, size_t length)
{
    struct stream *stream = arg;
    size_t skipped = (size_t)ASSAY_MIN((uint64_t)length, stream->skip);

    stream->skip -= skipped;
    bytes += skipped;
    length -= skipped;
    stream->seen += length;
    return fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0;
}

static int
print_stream(struct assay_cli *cli, const char *path, const char *query, bool resumes)
{
    struct stream stream = {0};

    for (;;) {
        assay_auto_http_answer struct assay_http_answer answer = {0};
        struct assay_http_request request = {
            .path = path,
            .query = query,
            .accept = "text/plain",
            .timeout_ms = -1,
            .on_data = print_piece,
            .arg = &stream,
        };
        struct assay_error err = {0};
        uint64_t before = stream.seen;
        assay_status rc;

        stream.skip = stream.seen;
        rc = assay_cli_send(cli, &request, LOGS_PATIENCE_MS, &answer, &err);
        if (rc == ASSAY_OK)
            return ferror(stdout) ? ASSAY_EXIT_FAILED : ASSAY_EXIT_DONE;
        if (!resumes || answer.status != 0 || stream.seen == before)
            return assay_cli_fail(cli, answer.json, &err);
    }
}

/* The log as a JSON string; bytes that are not UTF-8 become "?". */
static json_t *
log_to_json(struct assay_buffer *body)
{
    json_t *text = json_stringn(body->data != NULL ? body->data : "", body->length);

    if (text != NULL)
        return text;
    for (size_t i = 0; i < body->length; i++) {
        if ((unsigned char)body->data[i] >= 0x80)
            body->data[i] = '?';
    }
    return json_stringn(body->data, body->length);
}

static int
print_document(struct assay_cli *cli, const char *path, const char *query, int64_t number)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    struct assay_http_request request = {.path = path, .query = query, .accept = "text/plain"};
    struct assay_error err = {0};
    json_t *document;

    if (assay_cli_send(cli, &request, ASSAY_CLI_PATIENCE_MS, &answer, &err) < 0)
        return assay_cli_fail(cli, answer.json, &err);
    document =
        json_pack("{s:I, s:o}", "trial", (json_int_t)number, "log", log_to_json(&answer.body));
    assay_cli_print_json(document);
    json_decref(document);
    return ASSAY_EXIT_DONE;
}

static int
run_logs(struct assay_cli *cli)
{
    assay_auto_free char *path = NULL, *route = NULL;
    assay_auto_buffer struct assay_buffer query = {0};
    struct assay_error err = {0};
    bool follows = assay_args_has(&cli->args, "follow");
    bool has_tail = assay_args_has(&cli->args, "tail");
    int64_t number, tail = 0;

    if (assay_cli_study_path(cli->args.arguments[0], &path, &err) < 0 ||
        assay_args_get_int(&cli->args, "tail", 0, 1000000, &tail, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (!assay_parse_int(cli->args.arguments[1], 1, INT64_MAX, &number))
        return assay_cli_fail_usage(cli, "\"%s\" is not a trial's number", cli->args.arguments[1]);
    if (follows && cli->json)
        return assay_cli_fail_usage(cli, "--json prints one document and can not --follow");
    route = assay_format("%s/trials/%" PRId64 "/logs", path, number);
    if (has_tail)
        assay_http_query_add(&query, "tail", assay_args_get(&cli->args, "tail"));
    if (follows)
        assay_http_query_add(&query, "follow", "true");
    return cli->json ? print_document(cli, route, query.data, number)
                     : print_stream(cli, route, query.data, follows && !has_tail);
}

static const struct assay_option logs_options[] = {
    {"follow", 'f', NULL, "go on printing until the trial ends", false},
    {"tail", 'n', "N", "only the last N lines", false},
    {0},
};

const struct assay_verb assay_verb_logs = {
    .name = "logs",
    .arguments = "STUDY TRIAL",
    .min_arguments = 2,
    .max_arguments = 2,
    .summary = "Print what a trial's command has written",
    .options = logs_options,
    .examples = "assay logs digits-mlp 17 --tail 20\n"
                "assay logs -f digits-mlp 17",
    .run = run_logs,
};
