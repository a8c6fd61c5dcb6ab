/* What a request is answered with: JSON, problems, entity tags. */
#include <ctype.h>
#include <stdarg.h>

#include "common/json.h"
#include "api/server_internal.h"
#include "common/log.h"
#include "common/memory.h"
#include "schemas/study.h"

#define PROBLEM_TYPE "application/problem+json"

enum assay_step
assay_answer_json(struct assay_request *request, int status, json_t *json)
{
    ASSAY_ASSERT(json != NULL);
    request->answer.status = status;
    request->answer.json = json;
    request->answer.content_type = "application/json";
    return ASSAY_ANSWERED;
}

char *
assay_sentence(const char *message)
{
    size_t length = strlen(message);
    bool ended = length > 0 && strchr(".?!", message[length - 1]) != NULL;
    char *sentence = assay_format("%s%s", message, ended || length == 0 ? "" : ".");

    /* "lr must …" starts with somebody's name: only words of the language get a capital. */
    if (isalpha((unsigned char)sentence[0]) && isalpha((unsigned char)sentence[1]))
        sentence[0] = (char)toupper((unsigned char)sentence[0]);
    else if (sentence[0] == 'a' && sentence[1] == ' ')
        sentence[0] = 'A';
    return sentence;
}

/* Jansson takes UTF-8 only; a message may quote what is not. */
static json_t *
text_or_mask(const char *text)
{
    json_t *json = json_string(text);

    if (json == NULL) {
        assay_auto_free char *masked = assay_strdup(text);

        for (char *p = masked; *p != '\0'; p++) {
            if ((unsigned char)*p >= 0x80)
                *p = '?';
        }
        json = json_string(masked);
    }
    return json;
}

json_t *
assay_problem(assay_status status, const char *detail, const struct assay_faults *faults)
{
    assay_auto_free char *title = assay_strdup(assay_status_text(status));
    assay_auto_free char *sentence = assay_sentence(detail);
    size_t length = strlen(title);
    json_t *problem;

    if (length > 0 && title[length - 1] == '.')
        title[length - 1] = '\0';
    problem = json_pack("{s:s, s:s, s:i, s:s, s:o}", "type", "about:blank", "title", title,
                        "status", assay_status_http(status), "code", assay_status_name(status),
                        "detail", text_or_mask(sentence));
    if (faults != NULL && faults->count > 0)
        json_object_set_new(problem, "errors", assay_faults_to_json(faults));
    return problem;
}

static enum assay_step
answer_problem(struct assay_request *request, assay_status status, json_t *problem)
{
    struct assay_answer *answer = &request->answer;

    json_decref(answer->json);
    answer->json = NULL;
    assay_answer_json(request, assay_status_http(status), problem);
    answer->content_type = PROBLEM_TYPE;
    answer->etag[0] = '\0';
    if (status == ASSAY_E_UNAVAILABLE || status == ASSAY_E_TOO_MANY_REQUESTS)
        answer->retry_after_s = 1;
    return ASSAY_ANSWERED;
}

enum assay_step
assay_answer_error(struct assay_request *request, assay_status status,
                   const struct assay_error *err)
{
    if (status == ASSAY_E_INTERNAL || status == ASSAY_E_IO || status == ASSAY_E_PLUGIN) {
        assay_log(ASSAY_LOG_ERROR, "req=%s %s %s: %s", request->id, request->method,
                  request->target, err->message);
        return answer_problem(request, status,
                              assay_problem(status, "the daemon's log says more under this "
                                                    "answer's X-Request-Id", NULL));
    }
    if (err->pointer[0] != '\0') {
        struct assay_faults faults = {0};

        assay_fault_add(&faults, err->pointer, NULL, NULL, "%s", err->message);
        return assay_answer_faults(request, status, &faults);
    }
    return answer_problem(request, status,
                          assay_problem(status, err->message[0] != '\0' ? err->message
                                                : assay_status_text(status), NULL));
}

enum assay_step
assay_answer_problem(struct assay_request *request, assay_status status, const char *format, ...)
{
    assay_auto_free char *detail = NULL;
    va_list args;

    va_start(args, format);
    detail = assay_vformat(format, args);
    va_end(args);
    return answer_problem(request, status, assay_problem(status, detail, NULL));
}

enum assay_step
assay_answer_faults(struct assay_request *request, assay_status status,
                    struct assay_faults *faults)
{
    const struct assay_fault *first = &faults->items[0];
    assay_auto_free char *detail = NULL;
    const char *place = first->pointer[0] != '\0' ? first->pointer : "the whole";

    if (request->lines != NULL)
        assay_faults_add_lines(faults, request->lines);
    if (faults->count == 1)
        detail = assay_format("%s: %s", place, first->message);
    else
        detail = assay_format("%zu faults, the first one %s: %s", faults->count, place,
                              first->message);
    answer_problem(request, status, assay_problem(status, detail, faults));
    assay_faults_done(faults);
    return ASSAY_ANSWERED;
}

/* Drops the members that ?fields= does not name. */
static void
trim_object(json_t *object, const char *const *names, uint64_t fields)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if ((fields & UINT64_C(1) << i) == 0)
            json_object_del(object, names[i]);
    }
}

static const char *const *
field_names(const struct assay_route *route)
{
    for (const struct assay_query_field *field = route->query; field != NULL && field->key != NULL;
         field++) {
        if (field->kind == ASSAY_QUERY_WORDS)
            return field->names;
    }
    return NULL;
}

static void
trim(struct assay_request *request)
{
    const char *const *names = field_names(request->route);
    json_t *json = request->answer.json;

    if (names == NULL || request->query.fields == 0 || request->answer.status != 200)
        return;
    if (request->route->list == NULL) {
        trim_object(json, names, request->query.fields);
    } else {
        json_t *list = json_object_get(json, request->route->list);

        for (size_t i = 0; i < json_array_size(list); i++)
            trim_object(json_array_get(list, i), names, request->query.fields);
    }
}

void
assay__answer_print(struct assay_request *request)
{
    struct assay_answer *answer = &request->answer;

    if (answer->json == NULL)
        return;
    if (request->route != NULL)
        trim(request);
    assay_buffer_clear(&answer->text);
    assay_json_print(answer->json, 0, &answer->text);
    assay_buffer_add(&answer->text, "\n", 1);
    json_decref(answer->json);
    answer->json = NULL;
    if (answer->status == 200 && strcmp(request->route->method, "GET") == 0)
        assay_etag(answer->text.data, answer->text.length, answer->etag);
}
