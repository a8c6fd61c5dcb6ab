/* The events of a study, in pages or as they happen. */
#include <inttypes.h>

#include "api/handlers.h"
#include "common/json.h"
#include "api/stream.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/number.h"

#define EVENTS_PER_FILL 200
#define HEARTBEAT_US (15 * ASSAY_SECOND_US)

struct page {
    json_t *events;
    int64_t last_id;
};

static void
add_event(void *arg, const struct assay_event *event)
{
    struct page *page = arg;

    json_array_append_new(page->events, assay_event_encode(event));
    page->last_id = event->id;
}

static enum assay_step
answer_page(struct assay_request *request, int64_t after)
{
    size_t limit = (size_t)request->query.page_size;
    struct page page = {json_array(), after};
    struct assay_error err = {0};
    json_t *next = NULL;
    assay_status status = assay_store_events(request->store, request->study_id, after, limit,
                                             add_event, &page, &err);

    if (status != ASSAY_OK) {
        json_decref(page.events);
        return assay_answer_error(request, status, &err);
    }
    if (json_array_size(page.events) == limit)
        next = json_sprintf("%" PRId64, page.last_id);
    return assay_answer_json(request, 200, json_pack("{s:o, s:o}", "events", page.events,
                                                     "next_page_token",
                                                     next != NULL ? next : json_null()));
}

/* --- text/event-stream */

struct cursor {
    int64_t last_id;
};

struct output {
    struct assay_buffer *buffer;
    struct cursor *cursor;
};

static void
print_event(void *arg, const struct assay_event *event)
{
    struct output *output = arg;
    json_t *json = assay_event_encode(event);

    assay_buffer_printf(output->buffer, "id: %" PRId64 "\nevent: %s\ndata: ", event->id,
                        event->type);
    assay_json_print(json, 0, output->buffer);
    assay_buffer_puts(output->buffer, "\n\n");
    output->cursor->last_id = event->id;
    json_decref(json);
}

static enum assay_fill
fill(struct assay_request *request, struct assay_buffer *buffer)
{
    struct cursor *cursor = request->handler_data;
    struct output output = {buffer, cursor};
    struct assay_error err = {0};
    int64_t id;
    enum assay_study_state state;
    assay_status status =
        assay_store_events(request->store, request->study_id, cursor->last_id, EVENTS_PER_FILL,
                           print_event, &output, &err);

    /* A client whose stream ends comes back with Last-Event-ID. */
    if (status != ASSAY_OK)
        return ASSAY_FILL_END;
    if (buffer->length > 0)
        return ASSAY_FILL_OPEN;
    status = assay_store_study_find(request->store, request->path.project, request->path.study,
                                    &id, &state, &err);
    return status == ASSAY_OK && id == request->study_id ? ASSAY_FILL_OPEN : ASSAY_FILL_END;
}

static enum assay_step
answer_stream(struct assay_request *request, int64_t after)
{
    static const struct assay_stream_options options = {
        .fill = fill,
        .content_type = "text/event-stream",
        .pause_us = HEARTBEAT_US,
        .idle_text = ": still here\n\n",
    };
    struct cursor *cursor = ASSAY_NEW(struct cursor);

    cursor->last_id = after;
    request->handler_data = cursor;
    request->handler_free = free;
    return assay_answer_stream(request, &options);
}

enum assay_step
assay_handle_events(struct assay_request *request)
{
    int64_t after = request->query.after;

    if (request->query.page_token != NULL &&
        !assay_parse_int(request->query.page_token, 0, INT64_MAX, &after))
        return assay_answer_problem(request, ASSAY_E_BAD_REQUEST, "the page token is malformed");
    if (!assay_header_names(request->accept, "text/event-stream"))
        return answer_page(request, after);
    if (request->last_event_id != NULL && request->last_event_id[0] != '\0' &&
        !assay_parse_int(request->last_event_id, 0, INT64_MAX, &after))
        return assay_answer_problem(request, ASSAY_E_BAD_REQUEST,
                                    "the Last-Event-ID is not the id of an event");
    return answer_stream(request, after);
}
