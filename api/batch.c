/* Many tells and reports and one ask in one request.  All of them are handed to
 * the engine at once, which takes them in this order and commits them together. */
#include <pthread.h>

#include "api/handlers.h"
#include "api/server_internal.h"
#include "common/memory.h"
#include "schemas/decode.h"

#define ITEMS_MAX 1000

enum part { TELL, REPORT, ASK };

struct item {
    struct batch *batch;
    enum part part;
    int64_t number;
    struct assay_completion completion; /* TELL, until it is handed on */
    json_t *measurements;               /* REPORT, until it is handed on */
    json_t *answer;
};

struct batch {
    struct assay_request *request;
    pthread_mutex_t lock; /* callbacks come on the engine's and the writer's thread */
    size_t waiting;       /* items not answered, and one while they are handed on */
    size_t absent;        /* items refused because the study is not there or over */
    struct item *items;   /* tells, reports, the ask */
    size_t n_items, n_tells, n_reports;
    bool has_ask;
    bool ask_of_ended; /* refused because the study has ended */
    struct assay_ask ask;
};

static void
free_batch(void *data)
{
    struct batch *batch = data;

    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->n_items; i++) {
        assay_completion_done(&batch->items[i].completion);
        json_decref(batch->items[i].measurements);
        json_decref(batch->items[i].answer);
    }
    free(batch->items);
    free(batch->ask.client);
    pthread_mutex_destroy(&batch->lock);
    free(batch);
}

/* --- answers */

static json_t *
encode_list(const struct batch *batch, size_t from, size_t n)
{
    json_t *list = json_array();

    for (size_t i = from; i < from + n; i++)
        json_array_append(list, batch->items[i].answer);
    return list;
}

static enum assay_step
answer(struct assay_request *request)
{
    const struct batch *batch = request->handler_data;
    json_t *json =
        json_pack("{s:o, s:o}", "tell", encode_list(batch, 0, batch->n_tells), "report",
                  encode_list(batch, batch->n_tells, batch->n_reports));

    if (batch->has_ask)
        json_object_set(json, "ask", batch->items[batch->n_items - 1].answer);
    return assay_answer_json(request, 200, json);
}

/* An ask of a study that has ended is answered, not refused. */
static enum assay_step
answer_with_ended(struct assay_request *request)
{
    const struct batch *batch = request->handler_data;
    struct item *ask = &batch->items[batch->n_items - 1];
    json_t *json;

    if (assay_suggestions_of_ended(request, &json, NULL) == ASSAY_OK) {
        json_decref(ask->answer);
        ask->answer = json;
    }
    return answer(request);
}

static void
finish(struct batch *batch)
{
    struct assay_request *request = batch->request;

    /* A remembered study id may be out of date; then nothing has been done yet. */
    if (batch->n_items > 0 && batch->absent == batch->n_items && request->study_remembered) {
        assay_study_names_forget(request->server->names, request->path.project,
                                 request->path.study);
        assay_request_continue(request, assay_request_run);
        return;
    }
    if (batch->ask_of_ended) {
        assay_request_continue(request, answer_with_ended);
        return;
    }
    answer(request);
    assay_request_finish(request);
}

static void
one_less(struct batch *batch)
{
    bool last;

    pthread_mutex_lock(&batch->lock);
    last = --batch->waiting == 0;
    pthread_mutex_unlock(&batch->lock);
    if (last)
        finish(batch);
}

static json_t *
encode_failure(const struct item *item, assay_status status, const struct assay_error *err,
               const struct assay_faults *faults)
{
    json_t *problem =
        assay_problem(status, err != NULL && err->message[0] != '\0' ? err->message
                                                                     : assay_status_text(status),
                      faults);

    if (item->part == ASK)
        return json_pack("{s:o}", "error", problem);
    return json_pack("{s:I, s:o}", "number", (json_int_t)item->number, "error", problem);
}

static json_t *
encode_success(const struct item *item, const struct assay_engine_answer *said)
{
    json_t *json;

    switch (item->part) {
    case TELL:
        return json_pack("{s:I, s:s}", "number", (json_int_t)item->number, "state",
                         assay_trial_state_name(said->trials[0].state));
    case REPORT:
        json = assay_stop_encode(said);
        json_object_set_new(json, "number", json_integer(item->number));
        return json;
    case ASK:
        return assay_suggestions_encode(said);
    }
    ASSAY_BUG("a part of no known kind");
}

static void
done(void *arg, assay_status status, const struct assay_error *err,
     const struct assay_engine_answer *said)
{
    struct item *item = arg;
    struct batch *batch = item->batch;

    if (status == ASSAY_OK) {
        item->answer = encode_success(item, said);
    } else {
        item->answer = encode_failure(item, status, err, said != NULL ? said->faults : NULL);
        pthread_mutex_lock(&batch->lock);
        batch->ask_of_ended |= item->part == ASK && status == ASSAY_E_STUDY_FINISHED;
        batch->absent += status == ASSAY_E_NOT_FOUND || status == ASSAY_E_STUDY_FINISHED;
        pthread_mutex_unlock(&batch->lock);
    }
    one_less(batch);
}

/* --- the request */

static void
check_size(const json_t *list, const char *pointer, struct assay_faults *faults)
{
    if (json_array_size(list) > ITEMS_MAX)
        assay_fault_add(faults, pointer, NULL, "at most 1000 items", "holds %zu",
                        json_array_size(list));
}

static void
decode_items(struct batch *batch, const json_t *list, enum part part, const char *pointer,
             struct assay_faults *faults)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        assay_auto_free char *inner = assay_pointer_index(pointer, i);
        struct item *item = &batch->items[batch->n_items++];
        const json_t *value = json_array_get(list, i);
        bool good;

        item->batch = batch;
        item->part = part;
        if (part == TELL)
            good = assay_completion_decode(value, inner, faults, &item->number, &item->completion);
        else
            good = assay_report_decode(value, inner, faults, &item->number, &item->measurements);
        if (good && part == REPORT)
            json_incref(item->measurements);
    }
}

static void
decode(struct batch *batch, const json_t *body, struct assay_faults *faults)
{
    struct parts {
        const json_t *tell, *report, *ask;
    } parts = {NULL, NULL, NULL};
    static const struct assay_field fields[] = {
        {.key = "tell", .kind = ASSAY_FIELD_ARRAY, .offset = offsetof(struct parts, tell)},
        {.key = "report", .kind = ASSAY_FIELD_ARRAY, .offset = offsetof(struct parts, report)},
        {.key = "ask", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct parts, ask)},
    };

    if (!assay_decode_object(body, "", fields, ASSAY_COUNT(fields), &parts, faults))
        return;
    check_size(parts.tell, "/tell", faults);
    check_size(parts.report, "/report", faults);
    if (faults->count > 0)
        return;
    batch->n_tells = json_array_size(parts.tell);
    batch->n_reports = json_array_size(parts.report);
    batch->has_ask = parts.ask != NULL;
    batch->items = assay_zalloc(batch->n_tells + batch->n_reports + 1, sizeof(struct item));
    decode_items(batch, parts.tell, TELL, "/tell", faults);
    decode_items(batch, parts.report, REPORT, "/report", faults);
    if (batch->has_ask) {
        struct item *item = &batch->items[batch->n_items++];

        item->batch = batch;
        item->part = ASK;
        if (!assay_ask_decode(parts.ask, "/ask", faults, &batch->ask))
            return;
    }
}

static void
hand_on(struct assay_request *request, struct item *item)
{
    struct assay_engine *engine = request->service->engine;
    json_t *measurements = item->measurements;

    switch (item->part) {
    case TELL: {
        struct assay_completion completion = item->completion;

        item->completion = (struct assay_completion){0};
        assay_engine_complete(engine, request->study_id, item->number, 0, &completion, done, item);
        return;
    }
    case REPORT:
        item->measurements = NULL;
        assay_engine_report(engine, request->study_id, item->number, 0, measurements, done, item);
        return;
    case ASK:
        assay_engine_ask(engine, request->study_id, item->batch->ask.count,
                         item->batch->ask.client, NULL, done, item);
        return;
    }
    ASSAY_BUG("a part of no known kind");
}

enum assay_step
assay_handle_batch(struct assay_request *request)
{
    struct assay_faults faults = {0};
    struct batch *batch = ASSAY_NEW(struct batch);

    free_batch(request->handler_data);
    request->handler_data = batch;
    request->handler_free = free_batch;
    batch->request = request;
    pthread_mutex_init(&batch->lock, NULL);
    decode(batch, request->json, &faults);
    if (faults.count > 0)
        return assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    assay_request_forget_json(request);
    batch->waiting = batch->n_items + 1;
    for (size_t i = 0; i < batch->n_items; i++)
        hand_on(request, &batch->items[i]);
    one_less(batch);
    return ASSAY_PENDING;
}
