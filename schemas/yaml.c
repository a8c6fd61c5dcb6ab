/* YAML to JSON over libyaml's events: the JSON schema of YAML 1.2's core, with
 * bounds on depth, nodes and what aliases unfold to. */

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/study.h"

#define BYTES_MAX ((size_t)8 << 20)
#define DEPTH_MAX 64
#define NODES_MAX 200000
#define KEY_BYTES_MAX 1024
/* Lines are kept for what people write by hand, not for data. */
#define LINES_MAX 20000
#define LINE_POINTER_BYTES_MAX 256

struct reader {
    yaml_parser_t parser;
    size_t n_nodes; /* aliases unfolded */
    json_t *anchors; /* name -> {"node": …, "size": n} */
    json_t *lines;   /* NULL: not asked for */
    struct assay_error *err;
};

static assay_status
refuse(struct reader *reader, const yaml_mark_t *mark, const char *what)
{
    return assay_fail(reader->err, ASSAY_E_INVALID_YAML, "line %zu, column %zu: %s",
                      mark->line + 1, mark->column + 1, what);
}

static assay_status
next_event(struct reader *reader, yaml_event_t *ret_event)
{
    const yaml_parser_t *parser = &reader->parser;

    if (yaml_parser_parse(&reader->parser, ret_event))
        return ASSAY_OK;
    if (parser->error == YAML_READER_ERROR)
        return assay_fail(reader->err, ASSAY_E_INVALID_YAML, "byte %zu: %s",
                          parser->problem_offset,
                          parser->problem != NULL ? parser->problem : "not valid UTF-8");
    return refuse(reader, &parser->problem_mark,
                  parser->problem != NULL ? parser->problem : "not valid YAML");
}

static assay_status
count_nodes(struct reader *reader, size_t n, const yaml_mark_t *mark)
{
    reader->n_nodes += n;
    if (reader->n_nodes > NODES_MAX)
        return refuse(reader, mark, "the document has too many nodes (aliases unfolded)");
    return ASSAY_OK;
}

static void
note_line(struct reader *reader, const char *pointer, const yaml_mark_t *mark)
{
    if (reader->lines != NULL && strlen(pointer) <= LINE_POINTER_BYTES_MAX &&
        json_object_size(reader->lines) < LINES_MAX)
        json_object_set_new(reader->lines, pointer, json_integer((json_int_t)mark->line + 1));
}

/* --- scalars --- */

static bool
one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* 0o17 and 0x1F; the rest is decimal. */
static bool
parse_based(const char *text, int64_t *ret_value)
{
    int base = strncmp(text, "0o", 2) == 0 ? 8 : strncmp(text, "0x", 2) == 0 ? 16 : 0;
    uint64_t value = 0;

    if (base == 0 || text[2] == '\0' || strlen(text) > 18)
        return false;
    for (text += 2; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        unsigned digit = isdigit(c) ? c - (unsigned)'0' : (unsigned)tolower(c) - 'a' + 10;

        if (!isxdigit(c) || digit >= (unsigned)base)
            return false;
        value = value * (unsigned)base + digit;
    }
    *ret_value = (int64_t)(value & INT64_MAX);
    return value <= INT64_MAX;
}

/* The core schema's float: the words for nan and inf have a point before them. */
static bool
parse_float(const char *text, double *ret_value)
{
    static const char *const infinities[] = {".inf",  ".Inf",  ".INF", "+.inf",
                                             "+.Inf", "+.INF", NULL};
    static const char *const negatives[] = {"-.inf", "-.Inf", "-.INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};

    if (one_of(text, infinities))
        *ret_value = INFINITY;
    else if (one_of(text, negatives))
        *ret_value = -INFINITY;
    else if (one_of(text, nans))
        *ret_value = NAN;
    else
        return strpbrk(text, "0123456789") != NULL && assay_parse_double(text, ret_value);
    return true;
}

/* What an untagged plain scalar is. */
static json_t *
resolve_plain(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    int64_t integer;
    double real;

    if (one_of(text, nulls))
        return json_null();
    if (one_of(text, trues))
        return json_true();
    if (one_of(text, falses))
        return json_false();
    if (assay_parse_int(text, INT64_MIN, INT64_MAX, &integer) || parse_based(text, &integer))
        return json_integer(integer);
    if (parse_float(text, &real))
        return assay_json_real(real);
    return json_string(text);
}

/* A tag of the core schema ("str"), NULL when it is none. */
static const char *
core_tag(const yaml_char_t *tag)
{
    static const char prefix[] = "tag:yaml.org,2002:";
    const char *text = (const char *)tag;

    return strncmp(text, prefix, sizeof prefix - 1) == 0 ? text + sizeof prefix - 1 : NULL;
}

static assay_status
read_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret_json)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    static const char *const tags[] = {"str", "int", "float", "bool", "null", NULL};
    const char *tag = NULL;
    json_t *json;

    if (memchr(text, '\0', length) != NULL)
        return refuse(reader, &event->start_mark, "a string contains a NUL character");
    if (event->data.scalar.tag != NULL && strcmp((char *)event->data.scalar.tag, "!") != 0) {
        tag = core_tag(event->data.scalar.tag);
        if (tag == NULL || !one_of(tag, tags))
            return refuse(reader, &event->start_mark, "unknown tag");
    }
    if (tag == NULL ? event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                          event->data.scalar.tag != NULL
                    : strcmp(tag, "str") == 0)
        json = json_stringn(text, length);
    else
        json = resolve_plain(text);
    if (json == NULL)
        return refuse(reader, &event->start_mark, "a string is not valid UTF-8");
    if (tag != NULL && strcmp(tag, "str") != 0 &&
        !(strcmp(tag, "int") == 0 && json_is_integer(json)) &&
        !(strcmp(tag, "float") == 0 && (json_is_number(json) || json_is_string(json))) &&
        !(strcmp(tag, "bool") == 0 && json_is_boolean(json)) &&
        !(strcmp(tag, "null") == 0 && json_is_null(json))) {
        json_decref(json);
        return refuse(reader, &event->start_mark, "the value does not fit its tag");
    }
    *ret_json = json;
    return ASSAY_OK;
}

/* --- anchors and aliases --- */

static void
set_anchor(struct reader *reader, const yaml_char_t *anchor, json_t *node, size_t size)
{
    if (anchor != NULL)
        json_object_set_new(reader->anchors, (const char *)anchor,
                            json_pack("{s:O, s:I}", "node", node, "size", (json_int_t)size));
}

static assay_status
read_alias(struct reader *reader, const yaml_event_t *event, json_t **ret_json)
{
    const json_t *anchor =
        json_object_get(reader->anchors, (const char *)event->data.alias.anchor);
    assay_status rc;

    /* An anchor is known only once its node is complete, so none holds itself. */
    if (anchor == NULL)
        return refuse(reader, &event->start_mark, "unknown alias");
    rc = count_nodes(reader, (size_t)json_integer_value(json_object_get(anchor, "size")),
                     &event->start_mark);
    if (rc < 0)
        return rc;
    *ret_json = json_deep_copy(json_object_get(anchor, "node"));
    return ASSAY_OK;
}

/* --- collections --- */

static assay_status read_node(struct reader *reader, const yaml_event_t *event,
                              const char *pointer, size_t depth, json_t **ret_json);

static assay_status
read_sequence(struct reader *reader, const char *pointer, size_t depth, json_t *list)
{
    for (;;) {
        assay_auto_free char *at = assay_pointer_index(pointer, json_array_size(list));
        yaml_event_t event;
        json_t *item;
        assay_status rc = next_event(reader, &event);

        if (rc < 0)
            return rc;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return ASSAY_OK;
        }
        note_line(reader, at, &event.start_mark);
        rc = read_node(reader, &event, at, depth, &item);
        yaml_event_delete(&event);
        if (rc < 0)
            return rc;
        json_array_append_new(list, item);
    }
}

/* The text of a key; a number or boolean as key is its text. */
static assay_status
read_key(struct reader *reader, const yaml_event_t *event, const json_t *object, char **ret_key)
{
    const char *text = (const char *)event->data.scalar.value;
    json_auto_t *json = NULL;

    if (event->type != YAML_SCALAR_EVENT)
        return refuse(reader, &event->start_mark, "a key must be a string");
    if (event->data.scalar.length > KEY_BYTES_MAX)
        return refuse(reader, &event->start_mark, "a key is too long");
    if (strlen(text) != event->data.scalar.length || (json = json_string(text)) == NULL)
        return refuse(reader, &event->start_mark, "a key is not valid text");
    if (json_object_get(object, text) != NULL)
        return assay_fail(reader->err, ASSAY_E_INVALID_YAML,
                          "line %zu, column %zu: the key \"%.100s\" is given twice",
                          event->start_mark.line + 1, event->start_mark.column + 1, text);
    *ret_key = assay_strdup(text);
    return ASSAY_OK;
}

static assay_status
read_member(struct reader *reader, const yaml_event_t *key_event, const char *pointer,
            size_t depth, json_t *object)
{
    assay_auto_free char *key = NULL;
    assay_auto_free char *at = NULL;
    assay_status rc = read_key(reader, key_event, object, &key);
    yaml_event_t event;
    json_t *value;

    if (rc < 0)
        return rc;
    at = assay_pointer_key(pointer, key);
    note_line(reader, at, &key_event->start_mark);
    rc = next_event(reader, &event);
    if (rc < 0)
        return rc;
    rc = read_node(reader, &event, at, depth, &value);
    yaml_event_delete(&event);
    if (rc == ASSAY_OK)
        json_object_set_new(object, key, value);
    return rc;
}

static assay_status
read_mapping(struct reader *reader, const char *pointer, size_t depth, json_t *object)
{
    for (;;) {
        yaml_event_t event;
        assay_status rc = next_event(reader, &event);

        if (rc < 0)
            return rc;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return ASSAY_OK;
        }
        rc = read_member(reader, &event, pointer, depth, object);
        yaml_event_delete(&event);
        if (rc < 0)
            return rc;
    }
}

static assay_status
check_collection_tag(struct reader *reader, const yaml_event_t *event, const yaml_char_t *tag,
                     const char *expected)
{
    const char *core = tag != NULL ? core_tag(tag) : NULL;

    if (tag == NULL || strcmp((const char *)tag, "!") == 0 ||
        (core != NULL && strcmp(core, expected) == 0))
        return ASSAY_OK;
    return refuse(reader, &event->start_mark, "unknown tag");
}

static assay_status
read_collection(struct reader *reader, const yaml_event_t *event, const char *pointer,
                size_t depth, json_t **ret_json)
{
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag =
        list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const yaml_char_t *anchor =
        list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    size_t before = reader->n_nodes;
    assay_status rc = check_collection_tag(reader, event, tag, list ? "seq" : "map");
    json_t *json;

    if (rc < 0)
        return rc;
    if (depth >= DEPTH_MAX)
        return refuse(reader, &event->start_mark, "the document is nested too deeply");
    json = list ? json_array() : json_object();
    rc = list ? read_sequence(reader, pointer, depth + 1, json)
              : read_mapping(reader, pointer, depth + 1, json);
    if (rc < 0) {
        json_decref(json);
        return rc;
    }
    set_anchor(reader, anchor, json, reader->n_nodes - before + 1);
    *ret_json = json;
    return ASSAY_OK;
}

static assay_status
read_node(struct reader *reader, const yaml_event_t *event, const char *pointer, size_t depth,
          json_t **ret_json)
{
    assay_status rc = count_nodes(reader, 1, &event->start_mark);

    if (rc < 0)
        return rc;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(reader, event, ret_json);
    case YAML_SCALAR_EVENT:
        rc = read_scalar(reader, event, ret_json);
        if (rc == ASSAY_OK)
            set_anchor(reader, event->data.scalar.anchor, *ret_json, 1);
        return rc;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return read_collection(reader, event, pointer, depth, ret_json);
    default:
        return refuse(reader, &event->start_mark, "not valid YAML");
    }
}

/* --- the document --- */

/* Reads events up to and with one of the type; anything else than the stream's
 * and document's frame is left in *ret_event for the caller to delete. */
static assay_status
read_frame(struct reader *reader, yaml_event_t *ret_event)
{
    for (;;) {
        assay_status rc = next_event(reader, ret_event);

        if (rc < 0)
            return rc;
        if (ret_event->type != YAML_STREAM_START_EVENT &&
            ret_event->type != YAML_DOCUMENT_START_EVENT &&
            ret_event->type != YAML_DOCUMENT_END_EVENT)
            return ASSAY_OK;
        yaml_event_delete(ret_event);
    }
}

static assay_status
read_document(struct reader *reader, json_t **ret_json)
{
    json_t *json = NULL;
    yaml_event_t event;
    assay_status rc = read_frame(reader, &event);

    if (rc < 0)
        return rc;
    if (event.type == YAML_STREAM_END_EVENT) {
        yaml_event_delete(&event);
        return assay_fail(reader->err, ASSAY_E_INVALID_YAML, "the document is empty");
    }
    note_line(reader, "", &event.start_mark);
    rc = read_node(reader, &event, "", 0, &json);
    yaml_event_delete(&event);
    if (rc < 0)
        return rc;
    rc = read_frame(reader, &event);
    if (rc == ASSAY_OK) {
        if (event.type != YAML_STREAM_END_EVENT)
            rc = refuse(reader, &event.start_mark, "there is more than one document");
        yaml_event_delete(&event);
    }
    if (rc < 0)
        json_decref(json);
    else
        *ret_json = json;
    return rc;
}

assay_status
assay_yaml_read(const char *text, size_t length, json_t **ret_json, json_t **ret_lines,
                struct assay_error *err)
{
    struct reader reader = {.err = err};
    assay_status rc;

    if (length > BYTES_MAX)
        return assay_fail(err, ASSAY_E_TOO_LARGE, "the document has %zu bytes, allowed are %zu",
                          length, BYTES_MAX);
    if (!yaml_parser_initialize(&reader.parser))
        return assay_fail(err, ASSAY_E_INTERNAL, "the YAML parser could not start");
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, length);
    reader.anchors = json_object();
    if (ret_lines != NULL)
        reader.lines = json_object();
    rc = read_document(&reader, ret_json);
    yaml_parser_delete(&reader.parser);
    json_decref(reader.anchors);
    if (rc == ASSAY_OK && ret_lines != NULL)
        *ret_lines = reader.lines;
    else
        json_decref(reader.lines);
    return rc;
}

void
assay_faults_add_lines(struct assay_faults *faults, const json_t *lines)
{
    for (size_t i = 0; i < ASSAY_MIN(faults->count, (size_t)ASSAY_FAULTS_MAX); i++) {
        assay_auto_free char *pointer = assay_strdup(faults->items[i].pointer);
        const json_t *line = json_object_get(lines, pointer);

        while (line == NULL && *pointer != '\0') {
            *strrchr(pointer, '/') = '\0';
            line = json_object_get(lines, pointer);
        }
        faults->items[i].line = (int)json_integer_value(line);
    }
}
