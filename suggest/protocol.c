#include "suggest/protocol.h"

#include <stdlib.h>

#define HEADER_BYTES 4

/* Writes go straight into the buffer: a large history is not copied twice. */
static int
append(const char *bytes, size_t length, void *arg)
{
    struct assay_buffer *out = arg;

    assay_buffer_add(out, bytes, length);
    return 0;
}

assay_status
assay_protocol_frame_add(struct assay_buffer *out, const json_t *message, struct assay_error *err)
{
    size_t before = out->length, length;

    assay_buffer_add(out, "\0\0\0", HEADER_BYTES);
    if (json_dump_callback(message, append, out, JSON_COMPACT) < 0) {
        out->length = before;
        return assay_fail(err, ASSAY_E_INVALID_JSON, "the message can not be written as JSON");
    }
    length = out->length - before - HEADER_BYTES;
    if (length > ASSAY_PROTOCOL_FRAME_BYTES_MAX) {
        out->length = before;
        return assay_fail(err, ASSAY_E_TOO_LARGE, "the message has %zu bytes, more than %u", length,
                          ASSAY_PROTOCOL_FRAME_BYTES_MAX);
    }
    for (size_t i = 0; i < HEADER_BYTES; i++)
        out->data[before + i] = (char)(unsigned char)(length >> 8 * i);
    return ASSAY_OK;
}

assay_status
assay_protocol_frame_take(struct assay_buffer *in, json_t **ret_message, struct assay_error *err)
{
    size_t length = 0;
    json_error_t fault;
    json_t *message;

    *ret_message = NULL;
    if (in->length < HEADER_BYTES)
        return ASSAY_OK;
    for (size_t i = 0; i < HEADER_BYTES; i++)
        length |= (size_t)(unsigned char)in->data[i] << 8 * i;
    if (length > ASSAY_PROTOCOL_FRAME_BYTES_MAX)
        return assay_fail(err, ASSAY_E_TOO_LARGE, "a frame announces %zu bytes, more than %u",
                          length, ASSAY_PROTOCOL_FRAME_BYTES_MAX);
    if (in->length - HEADER_BYTES < length)
        return ASSAY_OK;
    message = json_loadb(in->data + HEADER_BYTES, length, JSON_REJECT_DUPLICATES, &fault);
    if (message == NULL)
        return assay_fail(err, ASSAY_E_INVALID_JSON, "a frame is not valid JSON: %s at byte %d",
                          fault.text, fault.position);
    if (!json_is_object(message)) {
        json_decref(message);
        return assay_fail(err, ASSAY_E_INVALID_JSON, "a frame is not a JSON object");
    }
    assay_buffer_consume(in, HEADER_BYTES + length);
    *ret_message = message;
    return ASSAY_OK;
}

/* --- the host's messages --- */

static json_t *
request_message(const char *op, int64_t study)
{
    json_t *message = json_object();

    json_object_set_new(message, "op", json_string(op));
    json_object_set_new(message, "study", json_integer(study));
    return message;
}

/* jansson takes a reference, which is no change that a borrower would see. */
static void
set_borrowed(json_t *object, const char *key, const json_t *value)
{
    json_object_set(object, key, (json_t *)(uintptr_t)value);
}

json_t *
assay_protocol_open(int64_t study, const json_t *spec, const json_t *sources)
{
    json_t *message = request_message("open", study);

    set_borrowed(message, "spec", spec);
    if (sources != NULL)
        set_borrowed(message, "sources", sources);
    return message;
}

json_t *
assay_protocol_tell(int64_t study, const json_t *trials)
{
    json_t *message = request_message("tell", study);

    set_borrowed(message, "trials", trials);
    return message;
}

json_t *
assay_protocol_ask(int64_t study, int64_t request, const int64_t *numbers, size_t n)
{
    json_t *message = request_message("ask", study), *list = json_array();

    json_object_set_new(message, "request", json_integer(request));
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    json_object_set_new(message, "numbers", list);
    return message;
}

json_t *
assay_protocol_close(int64_t study)
{
    return request_message("close", study);
}

/* --- replies --- */

json_t *
assay_protocol_suggestions(json_t *study, json_t *request, json_t *trials, bool exhausted)
{
    json_t *message = json_object();

    json_object_set_new(message, "op", json_string("suggestions"));
    json_object_set_new(message, "study", study != NULL ? json_incref(study) : json_null());
    json_object_set_new(message, "request", request != NULL ? json_incref(request) : json_null());
    json_object_set(message, "trials", trials);
    json_object_set_new(message, "exhausted", json_boolean(exhausted));
    return message;
}

json_t *
assay_protocol_error(json_t *study, json_t *request, const char *code, const char *text)
{
    json_t *message = json_object();

    json_object_set_new(message, "op", json_string("error"));
    json_object_set_new(message, "study", study != NULL ? json_incref(study) : json_null());
    json_object_set_new(message, "request", request != NULL ? json_incref(request) : json_null());
    json_object_set_new(message, "code", json_string(code));
    json_object_set_new(message, "message", json_string(text));
    return message;
}

json_t *
assay_protocol_ready(void)
{
    return json_pack("{s:s}", "op", "ready");
}

json_t *
assay_protocol_gone(bool away, const char *text)
{
    json_t *message = json_pack("{s:s, s:b}", "op", "gone", "away", away);

    /* Words of another machine: they may not be text. */
    if (json_object_set_new(message, "message", json_string(text)) != 0)
        json_object_set_new(message, "message", json_string("its last words are no text"));
    return message;
}

assay_status
assay_protocol_reply_decode(const json_t *message, struct assay_protocol_reply *ret_reply,
                            struct assay_error *err)
{
    const char *op = json_string_value(json_object_get(message, "op"));
    const json_t *request = json_object_get(message, "request");
    struct assay_protocol_reply reply = {
        .study = json_integer_value(json_object_get(message, "study")),
        .request = json_is_integer(request) ? json_integer_value(request) : -1,
    };

    if (op != NULL && strcmp(op, "suggestions") == 0) {
        reply.trials = json_object_get(message, "trials");
        reply.exhausted = json_is_true(json_object_get(message, "exhausted"));
        if (!json_is_array(reply.trials) || reply.request < 0)
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "suggestions of a worker lack trials or request");
    } else if (op != NULL && strcmp(op, "error") == 0) {
        reply.code = json_string_value(json_object_get(message, "code"));
        reply.message = json_string_value(json_object_get(message, "message"));
        if (reply.code == NULL || reply.message == NULL)
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "an error of a worker lacks code or message");
    } else if (op != NULL && strcmp(op, "ready") == 0) {
        reply.kind = ASSAY_PROTOCOL_READY;
    } else if (op != NULL && strcmp(op, "gone") == 0) {
        reply.kind = ASSAY_PROTOCOL_GONE;
        reply.away = json_is_true(json_object_get(message, "away"));
        reply.message = json_string_value(json_object_get(message, "message"));
        if (reply.message == NULL)
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "the end of a worker lacks message");
    } else {
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "a worker replied with \"%s\"",
                          op != NULL ? op : "no op");
    }
    *ret_reply = reply;
    return ASSAY_OK;
}
