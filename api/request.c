/* The steps of a request between its last byte and its answer. */
#include "api/request.h"

#include "api/body.h"
#include "api/server_internal.h"
#include "api/stream.h"
#include "common/clock.h"
#include "common/memory.h"
#include "schemas/study.h"

/* Bodies above this are parsed on a read thread. */
#define BODY_AT_ONCE_BYTES 65536
/* A request that waits for changes of a busy study looks no more often. */
#define REREAD_US (25 * INT64_C(1000))
/* No study has this id: waiting for its changes is a timer. */
#define NEVER INT64_MAX

/* The request needs a read thread before it can go on. */
static enum assay_step
queue(struct assay_request *request)
{
    if (assay__request_submit(request, assay_request_run, false))
        return ASSAY_PENDING;
    return assay_answer_problem(request, ASSAY_E_UNAVAILABLE,
                                "too many requests wait for the database");
}

/* --- the study's id */

static enum assay_step
find_study(struct assay_request *request)
{
    struct assay_server *server = request->server;
    struct assay_error err = {0};
    assay_status status;

    status = assay_store_study_find(request->store, request->path.project, request->path.study,
                                    &request->study_id, &request->study_state, &err);
    if (status == ASSAY_E_NOT_FOUND)
        assay_study_names_forget(server->names, request->path.project, request->path.study);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    request->study_remembered = false;
    assay_study_names_put(server->names, request->path.project, request->path.study,
                          request->study_id);
    return ASSAY_PENDING;
}

int64_t
assay_request_attempt(const struct assay_request *request)
{
    return request->principal.is_trial ? request->principal.trial.attempt : 0;
}

/* A trial's token is good for its trial alone. */
static bool
is_own_trial(const struct assay_request *request)
{
    const struct assay_trial_subject *trial = &request->principal.trial;

    return !request->principal.is_trial || (trial->study_id == request->study_id &&
                                            trial->trial_number == request->path.number);
}

/* --- the body */

static enum assay_step
read_json(struct assay_request *request)
{
    const struct assay_buffer *body = &request->body;
    struct assay_error err = {0};
    assay_status status;

    json_decref(request->lines);
    request->lines = NULL;
    if ((request->route->flags & ASSAY_ROUTE_YAML) != 0 &&
        assay_header_media(request->content_type) == ASSAY_MEDIA_YAML)
        status = assay_yaml_read(body->data != NULL ? body->data : "", body->length,
                                 &request->json, &request->lines, &err);
    else
        status = assay_body_json(body->data, body->length, &request->json, &err);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    return ASSAY_PENDING;
}

/* --- Idempotency-Key */

static enum assay_step
look_up_key(struct assay_request *request)
{
    assay_auto_free char *first_hash = NULL;
    struct assay_error err = {0};
    json_t *answer = NULL;
    int http_status;
    assay_status status;

    status = assay_store_idempotency_find(request->store, request->path.project,
                                          request->idempotency_key, &first_hash, &http_status,
                                          &answer, &err);
    if (status == ASSAY_E_NOT_FOUND)
        return ASSAY_PENDING;
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    if (strcmp(first_hash, request->request_hash) != 0) {
        json_decref(answer);
        return assay_answer_problem(request, ASSAY_E_IDEMPOTENCY_MISMATCH,
                                    "the Idempotency-Key \"%s\" was used for another request",
                                    request->idempotency_key);
    }
    request->answer.replayed = true;
    if (http_status == 201 && json_object_get(answer, "name") != NULL) /* a study */
        request->answer.location =
            assay_format("/v1/projects/%s/studies/%s", request->path.project,
                         json_string_value(json_object_get(answer, "name")));
    assay_http_metrics_replayed(request->server->metrics);
    return assay_answer_json(request, http_status, answer);
}

static void
hash_request(struct assay_request *request)
{
    assay_auto_buffer struct assay_buffer text = {0};

    assay_buffer_printf(&text, "%s %s\n", request->method, request->target);
    assay_buffer_add(&text, request->body.data, request->body.length);
    assay_sha256_hex(text.data, text.length, request->request_hash);
}

static json_t *
build_remembered(void *arg, const struct assay_engine_answer *answer)
{
    struct assay_request *request = arg;

    json_decref(request->remembered);
    request->remembered = request->build_remembered(request, answer);
    return json_deep_copy(request->remembered);
}

const struct assay_engine_key *
assay_request_key(struct assay_request *request, int http_status,
                  json_t *(*answer)(struct assay_request *request,
                                    const struct assay_engine_answer *answer))
{
    if (request->idempotency_key == NULL)
        return NULL;
    request->build_remembered = answer;
    request->key = (struct assay_engine_key){
        .key = request->idempotency_key,
        .request_hash = request->request_hash,
        .http_status = http_status,
        .answer = build_remembered,
        .arg = request,
    };
    return &request->key;
}

void
assay_request_forget_json(struct assay_request *request)
{
    json_decref(request->json);
    request->json = NULL;
}

bool
assay_request_call_failed(struct assay_request *request, assay_status status,
                          const struct assay_error *err, const struct assay_engine_answer *answer)
{
    static const struct assay_error nothing;

    if (status == ASSAY_OK)
        return false;
    if ((status == ASSAY_E_NOT_FOUND || status == ASSAY_E_STUDY_FINISHED) &&
        request->study_remembered) {
        assay_study_names_forget(request->server->names, request->path.project,
                                 request->path.study);
        assay_request_continue(request, assay_request_run);
        return true;
    }
    /* Another request may have used the key a moment ago. */
    if (status == ASSAY_E_CONFLICT && request->key_owned && !request->key_retried) {
        request->key_retried = true;
        assay_request_continue(request, assay_request_run);
        return true;
    }
    if (answer != NULL && answer->faults != NULL && answer->faults->count > 0) {
        struct assay_faults faults = {0};

        assay_faults_copy(answer->faults, &faults);
        assay_answer_faults(request, status, &faults);
    } else {
        assay_answer_error(request, status, err != NULL ? err : &nothing);
    }
    assay_request_finish(request);
    return true;
}

/* --- ?wait= */

static bool
is_settled(const struct assay_request *request)
{
    const struct assay_answer *answer = &request->answer;

    if (request->query.until != 0)
        return answer->final;
    if (request->if_none_match != NULL)
        return !assay_header_etag_matches(request->if_none_match, answer->etag);
    return answer->final || request->reads > 1;
}

static enum assay_step read_again(struct assay_request *request);

static void
pause_over(void *arg, bool changed)
{
    (void)changed;
    assay_request_continue(arg, read_again);
}

static void
wait_over(void *arg, bool changed)
{
    struct assay_request *request = arg;
    struct assay_notifier *notifier = request->service->notifier;
    int64_t early_us = request->last_read_us + REREAD_US - assay_monotonic_us();

    if (changed && early_us > 0 && !atomic_load(&request->server->stopping))
        assay_notifier_wait(notifier, NEVER, assay_notifier_version(notifier, NEVER), early_us,
                            pause_over, request);
    else
        assay_request_continue(request, read_again);
}

static void
drop_answer(struct assay_answer *answer)
{
    json_decref(answer->json);
    assay_buffer_done(&answer->text);
    free(answer->location);
    free(answer->allow);
    *answer = (struct assay_answer){0};
}

static int64_t
watched_study(const struct assay_request *request)
{
    return request->path.study != NULL ? request->study_id : ASSAY_NOTIFIER_ANY;
}

static enum assay_step
run_read(struct assay_request *request)
{
    int64_t left_us;

    request->reads++;
    request->answer.final =
        request->path.study != NULL && assay_study_state_is_final(request->study_state);
    if (request->route->handler(request) == ASSAY_PENDING)
        return ASSAY_PENDING;
    if (request->answer.status != 200 || request->answer.stream != NULL)
        return ASSAY_ANSWERED;
    assay__answer_print(request);
    if (request->query.wait_us == 0 || is_settled(request))
        return ASSAY_ANSWERED;
    request->last_read_us = assay_monotonic_us();
    if (request->wait_until_us == 0)
        request->wait_until_us = request->last_read_us + request->query.wait_us;
    left_us = request->wait_until_us - request->last_read_us;
    if (left_us <= 0 || atomic_load(&request->server->stopping))
        return ASSAY_ANSWERED;
    /* Thousands may wait; none of them holds a page in memory meanwhile. */
    drop_answer(&request->answer);
    assay_notifier_wait(request->service->notifier, watched_study(request), request->read_version,
                        left_us, wait_over, request);
    return ASSAY_PENDING;
}

static void
take_version(struct assay_request *request)
{
    request->read_version =
        assay_notifier_version(request->service->notifier, watched_study(request));
}

/* The study may have ended or gone meanwhile.  The version before its state, too: an end that
 * comes between the two would be the last change, and nobody would wake for it. */
static enum assay_step
read_again(struct assay_request *request)
{
    int64_t watched;

    do {
        watched = watched_study(request);
        take_version(request);
        if (request->path.study != NULL && find_study(request) == ASSAY_ANSWERED)
            return ASSAY_ANSWERED;
    } while (watched_study(request) != watched); /* another has its name now */
    return run_read(request);
}

/* --- all of it */

enum assay_step
assay_request_run(struct assay_request *request)
{
    const struct assay_route *route = request->route;
    struct assay_server *server = request->server;

    if (request->store == NULL &&
        (route->kind == ASSAY_ROUTE_READ || (route->flags & ASSAY_ROUTE_STORE) != 0 ||
         request->idempotency_key != NULL || request->body.length > BODY_AT_ONCE_BYTES))
        return queue(request);
    if ((route->flags & ASSAY_ROUTE_BODY) != 0 && request->json == NULL &&
        read_json(request) == ASSAY_ANSWERED)
        return ASSAY_ANSWERED;
    if (request->path.study != NULL) {
        if (request->store == NULL) {
            if (!assay_study_names_get(server->names, request->path.project, request->path.study,
                                       &request->study_id))
                return queue(request);
            request->study_remembered = true;
        } else if (find_study(request) == ASSAY_ANSWERED) {
            return ASSAY_ANSWERED;
        }
    }
    if (!is_own_trial(request)) {
        if (request->study_remembered)
            return queue(request);
        return assay_answer_problem(request, ASSAY_E_FORBIDDEN,
                                    "the token belongs to another trial");
    }
    if (request->idempotency_key != NULL) {
        if (request->request_hash[0] == '\0')
            hash_request(request);
        if (!request->key_owned) {
            request->next = assay_request_run; /* when it is its turn */
            if (!assay_keys_enter(server->keys, request))
                return ASSAY_PENDING;
            request->key_owned = true;
        }
        if (look_up_key(request) == ASSAY_ANSWERED)
            return ASSAY_ANSWERED;
    }
    if (route->kind == ASSAY_ROUTE_READ && request->query.wait_us != 0)
        return read_again(request);
    if (route->kind == ASSAY_ROUTE_READ) {
        take_version(request);
        return run_read(request);
    }
    return route->handler(request);
}

void
assay_request_free(struct assay_request *request)
{
    if (request == NULL)
        return;
    if (request->handler_free != NULL)
        request->handler_free(request->handler_data);
    assay__stream_free(request->answer.stream);
    drop_answer(&request->answer);
    json_decref(request->remembered);
    json_decref(request->json);
    json_decref(request->lines);
    assay_buffer_done(&request->body);
    assay_uri_done(&request->uri);
    free(request->target);
    free(request);
}
