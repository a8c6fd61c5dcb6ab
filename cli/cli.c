#include "cli/cli.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/text.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"

static bool
wants_colour(int fd)
{
    const char *off = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return isatty(fd) && (off == NULL || off[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

void
assay_cli_init(struct assay_cli *cli, const struct assay_verb *verb)
{
    const char *term = getenv("TERM");

    *cli = (struct assay_cli){.verb = verb};
    /* Characters only: numbers keep their point in every country. */
    setlocale(LC_CTYPE, "");
    cli->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    cli->colour_out = wants_colour(STDOUT_FILENO);
    cli->colour_err = wants_colour(STDERR_FILENO);
    cli->terminal_err = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

void
assay_cli_done(struct assay_cli *cli)
{
    cli->http = assay_http_close(cli->http);
    assay_target_done(&cli->target);
    assay_args_done(&cli->args);
}

const char *
assay_style(bool colour, enum assay_style style)
{
    static const char *const starts[] = {
        [ASSAY_STYLE_BOLD] = "\033[1m",  [ASSAY_STYLE_DIM] = "\033[2m",
        [ASSAY_STYLE_GOOD] = "\033[32m", [ASSAY_STYLE_BAD] = "\033[31m",
        [ASSAY_STYLE_WARN] = "\033[33m", [ASSAY_STYLE_NONE] = "",
    };

    return colour ? starts[style] : "";
}

const char *
assay_style_end(bool colour)
{
    return colour ? "\033[0m" : "";
}

enum assay_style
assay_style_of_state(const char *state)
{
    if (strcmp(state, "succeeded") == 0)
        return ASSAY_STYLE_GOOD;
    if (strcmp(state, "failed") == 0)
        return ASSAY_STYLE_BAD;
    if (strcmp(state, "running") == 0)
        return ASSAY_STYLE_BOLD;
    if (strcmp(state, "queued") == 0 || strcmp(state, "cancelled") == 0)
        return ASSAY_STYLE_DIM;
    return ASSAY_STYLE_WARN;
}

size_t
assay_cli_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

void
assay_cli_note(const struct assay_cli *cli, const char *format, ...)
{
    assay_auto_free char *text = NULL;
    va_list args;

    (void)cli;
    va_start(args, format);
    text = assay_vformat(format, args);
    va_end(args);
    fprintf(stderr, "%s\n", text);
}

void
assay_cli_print(const struct assay_buffer *text)
{
    if ((text->length > 0 && fwrite(text->data, 1, text->length, stdout) != text->length) ||
        fflush(stdout) != 0) {
        if (errno != EPIPE)
            fprintf(stderr, "assay: standard output can not be written: %s\n", strerror(errno));
        exit(ASSAY_EXIT_FAILED);
    }
}

void
assay_cli_print_json(const json_t *document)
{
    assay_auto_buffer struct assay_buffer text = {0};

    assay_json_print(document, 2, &text);
    assay_buffer_puts(&text, "\n");
    assay_cli_print(&text);
}

/* --- errors */

static json_t *
make_problem(const struct assay_error *err)
{
    json_t *problem =
        json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title",
                  assay_status_text(err->status), "status", assay_status_http(err->status), "code",
                  assay_status_name(err->status), "detail", err->message);

    if (err->pointer[0] != '\0')
        json_object_set_new(
            problem, "errors",
            json_pack("[{s:s, s:s}]", "pointer", err->pointer, "message", err->message));
    return problem;
}

static void
print_sentence(const struct assay_cli *cli, const char *text)
{
    assay_auto_free char *clean = assay_text_clean(text);

    fprintf(stderr, "%sassay: %s%s\n", assay_style(cli->colour_err, ASSAY_STYLE_BAD), clean,
            assay_style_end(cli->colour_err));
}

/* What a person might do about it; NULL when nothing comes to mind. */
static const char *
hint_for(const struct assay_cli *cli, assay_status status)
{
    switch (status) {
    case ASSAY_E_UNAUTHORIZED:
        return "give the token with --token or ASSAY_TOKEN; a private daemon's is in DIR/token";
    case ASSAY_E_STUDY_EXISTS:
        return "choose another name with --name, or follow it with: assay watch NAME";
    case ASSAY_E_UNAVAILABLE:
        return cli->target.data != NULL ? "start a daemon with: assay server start" : NULL;
    default:
        return NULL;
    }
}

/* One fault: where, what, found, allowed. */
static void
print_fault(const struct assay_cli *cli, const char *file, const json_t *fault)
{
    const char *pointer = assay_member_text(fault, "pointer");
    assay_auto_free char *message = assay_text_clean(assay_member_text(fault, "message"));
    const json_t *found = json_object_get(fault, "found");
    const char *allowed = json_string_value(json_object_get(fault, "allowed"));
    int64_t line = assay_member_int(fault, "line");
    assay_auto_free char *where = assay_text_clean(pointer);

    fputs(assay_style(cli->colour_err, ASSAY_STYLE_BOLD), stderr);
    if (file != NULL)
        fprintf(stderr, "%s:", file);
    if (file != NULL && line > 0)
        fprintf(stderr, "%lld:", (long long)line);
    fprintf(stderr, "%s%s%s\n", file != NULL ? " " : "",
            where[0] != '\0' ? where : "(the whole document)", assay_style_end(cli->colour_err));
    fprintf(stderr, "  %s%s%s\n", assay_style(cli->colour_err, ASSAY_STYLE_BAD), message,
            assay_style_end(cli->colour_err));
    if (found != NULL) {
        assay_auto_buffer struct assay_buffer text = {0};

        assay_json_print(found, 0, &text);
        fprintf(stderr, "  found:   %s\n", text.data);
    }
    if (allowed != NULL) {
        assay_auto_free char *clean = assay_text_clean(allowed);

        fprintf(stderr, "  allowed: %s\n", clean);
    }
    fputs("\n", stderr);
}

int
assay_cli_fail(const struct assay_cli *cli, const json_t *problem, const struct assay_error *err)
{
    const json_t *faults = json_object_get(problem, "errors");
    const char *hint = hint_for(cli, err->status);
    const json_t *fault;
    size_t i;

    if (cli->json) {
        json_t *own = problem != NULL ? NULL : make_problem(err);

        assay_cli_print_json(problem != NULL ? problem : own);
        json_decref(own);
    } else {
        json_array_foreach(faults, i, fault) print_fault(cli, NULL, fault);
    }
    print_sentence(cli, err->message);
    if (hint != NULL)
        fprintf(stderr, "hint: %s\n", hint);
    return assay_status_exit(err->status);
}

int
assay_cli_fail_faults(const struct assay_cli *cli, const char *file, const json_t *faults)
{
    assay_auto_free char *sentence = assay_format("%zu fault%s in %s", json_array_size(faults),
                                                  json_array_size(faults) == 1 ? "" : "s", file);
    const json_t *fault;
    size_t i;

    if (cli->json) {
        json_t *problem = json_pack("{s:s, s:s, s:i, s:s, s:s, s:O}", "type", "about:blank",
                                    "title", assay_status_text(ASSAY_E_INVALID_STUDY), "status",
                                    assay_status_http(ASSAY_E_INVALID_STUDY), "code",
                                    assay_status_name(ASSAY_E_INVALID_STUDY), "detail", sentence,
                                    "errors", faults);

        assay_cli_print_json(problem);
        json_decref(problem);
    } else {
        json_array_foreach(faults, i, fault) print_fault(cli, file, fault);
    }
    print_sentence(cli, sentence);
    return ASSAY_EXIT_INPUT;
}

int
assay_cli_fail_usage(const struct assay_cli *cli, const char *format, ...)
{
    assay_auto_free char *text = NULL;
    struct assay_error err = {0};
    va_list args;

    va_start(args, format);
    text = assay_vformat(format, args);
    va_end(args);
    (void)assay_fail(&err, ASSAY_E_BAD_REQUEST, "%s", text);
    return assay_cli_fail(cli, NULL, &err);
}

/* --- server */

assay_status
assay_cli_find(struct assay_cli *cli, struct assay_error *err)
{
    struct assay_find_options options = {
        .url = assay_args_get(&cli->args, "url"),
        .token = assay_args_get(&cli->args, "token"),
        .data = assay_args_get(&cli->args, "data"),
        .ca_file = assay_args_get(&cli->args, "ca-file"),
    };

    if (options.url != NULL && options.data != NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--url and --data name two servers; give one of them");
    assay_target_done(&cli->target);
    return assay_find_target(&options, &cli->target, err);
}

assay_status
assay_cli_connect(struct assay_cli *cli, struct assay_error *err)
{
    assay_status rc = assay_cli_find(cli, err);

    if (rc < 0)
        return rc;
    if (cli->target.url == NULL)
        return assay_fail(err, ASSAY_E_UNAVAILABLE,
                          "no server: neither --url nor ASSAY_URL is set, and no daemon has "
                          "started in %s",
                          cli->target.data);
    cli->http = assay_http_close(cli->http);
    rc = assay_http_open(cli->target.url, cli->target.token, cli->target.ca_file, &cli->http, err);
    if (rc == ASSAY_OK)
        assay_http_set_cancelled(cli->http, cli->cancelled, NULL);
    return rc;
}

void
assay_cli_set_cancelled(struct assay_cli *cli, bool (*cancelled)(void *arg))
{
    cli->cancelled = cancelled;
    if (cli->http != NULL)
        assay_http_set_cancelled(cli->http, cancelled, NULL);
}

/* A private daemon that was restarted listens on another port: follow it.  While it starts there
 * is no address. */
static bool
has_moved(struct assay_cli *cli)
{
    assay_auto_free char *old = assay_strdup(cli->target.url);
    struct assay_error ignored = {0};

    if (cli->target.data == NULL || assay_cli_connect(cli, &ignored) < 0)
        return false;
    return old == NULL || strcmp(old, cli->target.url) != 0;
}

assay_status
assay_cli_send(struct assay_cli *cli, const struct assay_http_request *request, int64_t patience_ms,
               struct assay_http_answer *answer, struct assay_error *err)
{
    int64_t end_us = assay_monotonic_us() + patience_ms * 1000;
    assay_status rc;

    if (cli->http == NULL) {
        rc = assay_cli_connect(cli, err);
        if (rc < 0)
            return rc;
    }
    for (;;) {
        int64_t left_ms = (end_us - assay_monotonic_us()) / 1000;
        /* Short rounds, so that a new address is noticed soon. */
        struct assay_http_retry retry = {.deadline_ms = ASSAY_MIN(left_ms, 1000), .cap_ms = 1000};

        rc = assay_http_send_retry(cli->http, request, &retry, answer, err);
        if (!assay_http_may_retry(answer, rc) || left_ms <= 0)
            return rc;
        if (has_moved(cli))
            continue;
        if (cli->http == NULL)
            return rc;
    }
}

static int
call(struct assay_cli *cli, int64_t patience_ms, const char *method, const char *path,
     const char *query, const json_t *body, json_t **ret_json)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    struct assay_http_request request = {
        .method = method, .path = path, .query = query, .json = body};
    struct assay_error err = {0};
    assay_status rc = assay_cli_send(cli, &request, patience_ms, &answer, &err);

    if (rc < 0)
        return assay_cli_fail(cli, answer.json, &err);
    if (ret_json != NULL)
        *ret_json = json_incref(answer.json);
    return ASSAY_EXIT_DONE;
}

int
assay_cli_call(struct assay_cli *cli, const char *method, const char *path, const char *query,
               const json_t *body, json_t **ret_json)
{
    return call(cli, ASSAY_CLI_PATIENCE_MS, method, path, query, body, ret_json);
}

int
assay_cli_call_once(struct assay_cli *cli, const char *method, const char *path, const char *query,
                    const json_t *body, json_t **ret_json)
{
    return call(cli, 0, method, path, query, body, ret_json);
}

int
assay_cli_each(struct assay_cli *cli, const char *path, const char *query, const char *member,
               int64_t limit, void (*each)(void *arg, json_t *item), void *arg)
{
    assay_auto_free char *token = NULL;

    while (limit != 0) {
        assay_auto_buffer struct assay_buffer full = {0};
        char size[24];
        json_t *page = NULL;
        json_t *item;
        size_t i;
        int code;

        snprintf(size, sizeof size, "%lld", (long long)(limit < 0 ? 1000 : ASSAY_MIN(limit, 1000)));
        if (query != NULL)
            assay_buffer_puts(&full, query);
        assay_http_query_add(&full, "page_size", size);
        if (token != NULL)
            assay_http_query_add(&full, "page_token", token);
        code = assay_cli_call(cli, "GET", path, full.data, NULL, &page);
        if (code != ASSAY_EXIT_DONE)
            return code;
        json_array_foreach(json_object_get(page, member), i, item)
        {
            if (limit == 0)
                break;
            each(arg, item);
            limit -= limit > 0;
        }
        free(token);
        token = assay_strdup(json_string_value(json_object_get(page, "next_page_token")));
        json_decref(page);
        if (token == NULL)
            break;
    }
    return ASSAY_EXIT_DONE;
}

static void
append(void *arg, json_t *item)
{
    json_array_append(arg, item);
}

int
assay_cli_all(struct assay_cli *cli, const char *path, const char *query, const char *member,
              int64_t limit, json_t **ret_array)
{
    json_t *array = json_array();
    int code = assay_cli_each(cli, path, query, member, limit, append, array);

    if (code != ASSAY_EXIT_DONE)
        json_decref(array);
    else
        *ret_array = array;
    return code;
}

/* --- arguments */

const char *
assay_cli_project(const struct assay_cli *cli)
{
    const char *option = assay_args_get(&cli->args, "project");
    const char *variable = getenv("ASSAY_PROJECT");

    if (option != NULL)
        return option;
    return variable != NULL && variable[0] != '\0' ? variable : "default";
}

static assay_status
check_name(const char *what, const char *name, struct assay_error *err)
{
    if (assay_name_valid(name))
        return ASSAY_OK;
    return assay_fail(err, ASSAY_E_BAD_REQUEST,
                      "\"%s\" is not a %s's name; names are up to 63 lower-case letters, digits, "
                      "\".\", \"_\" and \"-\" and start with a letter or digit",
                      name, what);
}

assay_status
assay_cli_study_path(const char *argument, char **ret_path, struct assay_error *err)
{
    const char *slash = strchr(argument, '/');
    const char *variable = getenv("ASSAY_PROJECT");
    const char *name = slash != NULL ? slash + 1 : argument;
    assay_auto_free char *project = NULL;
    assay_status rc;

    if (slash != NULL)
        project = assay_strndup(argument, (size_t)(slash - argument));
    else
        project = assay_strdup(variable != NULL && variable[0] != '\0' ? variable : "default");
    rc = check_name("project", project, err);
    if (rc == ASSAY_OK)
        rc = check_name("study", name, err);
    if (rc == ASSAY_OK)
        *ret_path = assay_format("/v1/projects/%s/studies/%s", project, name);
    return rc;
}

assay_status
assay_cli_project_path(const struct assay_cli *cli, const char *resource, char **ret_path,
                       struct assay_error *err)
{
    const char *project = assay_cli_project(cli);
    assay_status rc = check_name("project", project, err);

    if (rc == ASSAY_OK)
        *ret_path = assay_format("/v1/projects/%s/%s", project, resource);
    return rc;
}

char *
assay_cli_dashboard(const struct assay_cli *cli)
{
    if (cli->target.token == NULL)
        return assay_format("%s/", assay_http_url(cli->http));
    return assay_format("%s/#token=%s", assay_http_url(cli->http), cli->target.token);
}

/* --- JSON members */

const char *
assay_member_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

int64_t
assay_member_int(const json_t *object, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(object, key));
}

double
assay_member_number(const json_t *object, const char *key)
{
    double value = NAN;

    if (!assay_json_get_real(json_object_get(object, key), &value))
        return NAN;
    return value;
}

int64_t
assay_member_time(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    int64_t us;

    return text != NULL && assay_parse_time(text, &us) ? us : ASSAY_TIME_NONE;
}

int64_t
assay_member_duration_us(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    int64_t us;

    if (json_is_string(value) && assay_parse_duration(json_string_value(value), &us))
        return us;
    if (json_is_number(value) && json_number_value(value) >= 0 && json_number_value(value) < 1e10)
        return (int64_t)(json_number_value(value) * 1e6);
    return -1;
}
