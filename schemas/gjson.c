#include "schemas/gjson.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

/* Paths within paths, and values within values. */
#define DEPTH_MAX 20

enum step_kind { MEMBER, LENGTH, QUERY, ALTERNATIVES, THIS, FLATTEN };
enum operator { EXISTS, EQUAL, UNEQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, LIKE, UNLIKE };

struct step {
    enum step_kind kind;
    bool piped; /* reached over '|' */
    char *key;  /* MEMBER */
    bool wild;
    bool all;                  /* QUERY: #(…)# */
    struct assay_gjson *left;  /* of a query; NULL: the element itself */
    enum operator op;
    bool loose;                /* ~true, ~false, ~null, ~* */
    char *right;               /* its text, without quotes */
    struct assay_gjson **parts; /* of ALTERNATIVES */
    size_t n_parts;
};

struct assay_gjson {
    struct step *steps;
    size_t n, capacity;
};

/* --- reading a path --- */

struct reader {
    const char *text, *at;
    int depth;
    struct assay_error *err;
};

static assay_status
refuse(struct reader *r, const char *what)
{
    return assay_fail(r->err, ASSAY_E_INVALID_VALUE, "%s at \"%.40s\"", what, r->at);
}

static assay_status read_path(struct reader *r, const char *ends, struct assay_gjson **ret);

static struct step *
add_step(struct assay_gjson *path, enum step_kind kind, bool piped)
{
    struct step *step;

    ASSAY_GROW(path->steps, path->n, path->capacity);
    step = &path->steps[path->n++];
    *step = (struct step){.kind = kind, .piped = piped};
    return step;
}

static void
skip_blanks(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
}

/* A text in quotes; `at` is behind the first one. */
static assay_status
read_quoted(struct reader *r, char **ret)
{
    assay_auto_buffer struct assay_buffer text = {0};

    for (; *r->at != '"'; r->at++) {
        if (*r->at == '\\')
            r->at++;
        if (*r->at == '\0')
            return refuse(r, "a text without its closing quote");
        assay_buffer_add(&text, r->at, 1);
    }
    r->at++;
    *ret = assay_strdup(text.data != NULL ? text.data : "");
    return ASSAY_OK;
}

/* The right side of a comparison, up to the closing bracket. */
static assay_status
read_right(struct reader *r, struct step *step, char close)
{
    const char *from, *to;

    skip_blanks(r);
    if (*r->at == '~') {
        step->loose = true;
        r->at++;
    }
    if (*r->at == '"') {
        r->at++;
        return read_quoted(r, &step->right);
    }
    for (from = r->at; *r->at != close; r->at++) {
        if (*r->at == '\0')
            return refuse(r, "a bracket is not closed");
    }
    for (to = r->at; to > from && to[-1] == ' ';)
        to--;
    step->right = assay_strndup(from, (size_t)(to - from));
    return ASSAY_OK;
}

static assay_status
read_operator(struct reader *r, struct step *step)
{
    static const struct {
        const char *sign;
        enum operator op;
    } signs[] = {{"==", EQUAL},        {"!=", UNEQUAL}, {"<=", LESS_EQUAL}, {">=", GREATER_EQUAL},
                 {"!%", UNLIKE},       {"=", EQUAL},    {"<", LESS},        {">", GREATER},
                 {"%", LIKE}};

    for (size_t i = 0; i < ASSAY_COUNT(signs); i++) {
        size_t length = strlen(signs[i].sign);

        if (strncmp(r->at, signs[i].sign, length) == 0) {
            r->at += length;
            step->op = signs[i].op;
            return ASSAY_OK;
        }
    }
    return refuse(r, "no comparison");
}

/* What stands in #(…) or #[…]; `at` is behind the bracket. */
static assay_status
read_query(struct reader *r, struct step *step, char close)
{
    assay_status rc;

    skip_blanks(r);
    if (strchr("=!<>%", *r->at) == NULL || *r->at == '\0') {
        rc = read_path(r, close == ')' ? "=!<>%) " : "=!<>%] ", &step->left);
        if (rc < 0)
            return rc;
    }
    skip_blanks(r);
    if (*r->at != close) {
        rc = read_operator(r, step);
        if (rc == ASSAY_OK)
            rc = read_right(r, step, close);
        if (rc < 0)
            return rc;
        skip_blanks(r);
    }
    if (*r->at != close)
        return refuse(r, "a bracket is not closed");
    r->at++;
    if (*r->at == '#') {
        step->all = true;
        r->at++;
    }
    if (step->loose && strcmp(step->right, "true") != 0 && strcmp(step->right, "false") != 0 &&
        strcmp(step->right, "null") != 0 && strcmp(step->right, "*") != 0)
        return refuse(r, "after \"~\" comes true, false, null or *, not what stands before this");
    return ASSAY_OK;
}

/* [a,b]; `at` is behind the bracket. */
static assay_status
read_alternatives(struct reader *r, struct step *step)
{
    size_t capacity = 0;

    for (;;) {
        assay_status rc;

        ASSAY_GROW(step->parts, step->n_parts, capacity);
        step->parts[step->n_parts] = NULL;
        rc = read_path(r, ",]", &step->parts[step->n_parts++]);
        if (rc < 0)
            return rc;
        if (*r->at++ == ']')
            return ASSAY_OK;
        if (r->at[-1] == '\0') {
            r->at--;
            return refuse(r, "a bracket is not closed");
        }
    }
}

static assay_status
read_modifier(struct reader *r, struct assay_gjson *path, bool piped)
{
    size_t length = strcspn(r->at, ".|,)] ");

    if (length == strlen("@this") && strncmp(r->at, "@this", length) == 0)
        add_step(path, THIS, piped);
    else if (length == strlen("@flatten") && strncmp(r->at, "@flatten", length) == 0)
        add_step(path, FLATTEN, piped);
    else
        return refuse(r, "a modifier other than @this and @flatten");
    r->at += length;
    return ASSAY_OK;
}

static assay_status
read_member(struct reader *r, struct assay_gjson *path, bool piped, const char *ends)
{
    assay_auto_buffer struct assay_buffer key = {0};
    bool wild = false;
    struct step *step;

    for (; *r->at != '\0' && *r->at != '.' && *r->at != '|' && strchr(ends, *r->at) == NULL;
         r->at++) {
        if (*r->at == '\\' && r->at[1] != '\0') {
            /* Kept where it hides a wildcard; the key is matched as a pattern then. */
            r->at++;
            if (*r->at == '*' || *r->at == '?')
                assay_buffer_puts(&key, "\\");
        } else if (*r->at == '*' || *r->at == '?') {
            wild = true;
        }
        assay_buffer_add(&key, r->at, 1);
    }
    if (key.length == 0)
        return refuse(r, "an empty name");
    step = add_step(path, MEMBER, piped);
    step->wild = wild || strchr(key.data, '\\') != NULL;
    step->key = assay_strdup(key.data);
    return ASSAY_OK;
}

static assay_status
read_step(struct reader *r, struct assay_gjson *path, bool piped, const char *ends)
{
    struct step *step;

    switch (*r->at) {
    case '#':
        if (r->at[1] == '(' || r->at[1] == '[') {
            char close = r->at[1] == '(' ? ')' : ']';

            step = add_step(path, QUERY, piped);
            r->at += 2;
            return read_query(r, step, close);
        }
        if (r->at[1] != '\0' && r->at[1] != '.' && r->at[1] != '|' &&
            strchr(ends, r->at[1]) == NULL)
            return refuse(r, "neither #, #.name nor #(…)");
        add_step(path, LENGTH, piped);
        r->at++;
        return ASSAY_OK;
    case '[':
        step = add_step(path, ALTERNATIVES, piped);
        r->at++;
        return read_alternatives(r, step);
    case '@':
        return read_modifier(r, path, piped);
    case '{':
    case '!':
        return refuse(r, "objects {…} and literals !… are not understood");
    default:
        return read_member(r, path, piped, ends);
    }
}

/* Up to one of `ends` or the end of the text, which stays. */
static assay_status
read_steps(struct reader *r, const char *ends, struct assay_gjson *path)
{
    bool piped = false;

    for (;;) {
        assay_status rc = read_step(r, path, piped, ends);

        if (rc < 0 || *r->at == '\0' || strchr(ends, *r->at) != NULL)
            return rc;
        if (*r->at != '.' && *r->at != '|')
            return refuse(r, "\".\" or \"|\" is missing");
        piped = *r->at++ == '|';
    }
}

static assay_status
read_path(struct reader *r, const char *ends, struct assay_gjson **ret)
{
    if (++r->depth > DEPTH_MAX)
        return refuse(r, "too many brackets");
    *ret = ASSAY_NEW(struct assay_gjson); /* also on failure: freed with what it is part of */
    {
        assay_status rc = read_steps(r, ends, *ret);

        r->depth--;
        return rc;
    }
}

assay_status
assay_gjson_new(const char *path, struct assay_gjson **ret_gjson, struct assay_error *err)
{
    struct reader r = {.text = path, .at = path, .err = err};
    struct assay_gjson *gjson = NULL;
    assay_status rc;

    if (strlen(path) > ASSAY_GJSON_BYTES_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "longer than %d bytes",
                          ASSAY_GJSON_BYTES_MAX);
    rc = read_path(&r, "", &gjson);
    if (rc < 0) {
        assay_gjson_free(gjson);
        return rc;
    }
    *ret_gjson = gjson;
    return ASSAY_OK;
}

struct assay_gjson *
assay_gjson_free(struct assay_gjson *gjson)
{
    if (gjson == NULL)
        return NULL;
    for (size_t i = 0; i < gjson->n; i++) {
        struct step *step = &gjson->steps[i];

        for (size_t k = 0; k < step->n_parts; k++)
            assay_gjson_free(step->parts[k]);
        free(step->parts);
        assay_gjson_free(step->left);
        free(step->key);
        free(step->right);
    }
    free(gjson->steps);
    free(gjson);
    return NULL;
}

/* --- matching --- */

/* `pattern` with * and ?; "\" before one of them takes it as it is. */
static bool
is_like(const char *text, const char *pattern)
{
    const char *star = NULL, *retry = NULL;

    while (*text != '\0') {
        bool literal = *pattern == '\\' && pattern[1] != '\0';

        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (literal ? pattern[1] == *text : *pattern == '?' || *pattern == *text) {
            pattern += literal ? 2 : 1;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool
holds_order(int order, enum operator op)
{
    switch (op) {
    case EQUAL:
        return order == 0;
    case UNEQUAL:
        return order != 0;
    case LESS:
        return order < 0;
    case LESS_EQUAL:
        return order <= 0;
    case GREATER:
        return order > 0;
    case GREATER_EQUAL:
        return order >= 0;
    default:
        return false;
    }
}

/* As truth goes: true, a number but 0, "true" and "1" are true. */
static bool
holds_loose(const struct step *step, const json_t *value)
{
    const char *text = json_string_value(value);
    bool truth = json_is_true(value) || json_number_value(value) != 0.0 ||
                 (text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0));
    bool same;

    if (strcmp(step->right, "true") == 0)
        same = truth;
    else if (strcmp(step->right, "false") == 0)
        same = !truth;
    else if (strcmp(step->right, "null") == 0)
        same = value == NULL || json_is_null(value);
    else
        same = value != NULL;
    return step->op == UNEQUAL || step->op == UNLIKE ? !same : same;
}

static bool
holds(const struct step *step, const json_t *value)
{
    if (step->loose)
        return holds_loose(step, value);
    if (step->op == EXISTS || value == NULL)
        return value != NULL;
    if (json_is_string(value)) {
        if (step->op == LIKE || step->op == UNLIKE)
            return is_like(json_string_value(value), step->right) == (step->op == LIKE);
        return holds_order(strcmp(json_string_value(value), step->right), step->op);
    }
    if (json_is_number(value)) {
        double number, own = json_number_value(value);

        if (!assay_parse_double(step->right, &number))
            return false;
        return holds_order((own > number) - (own < number), step->op);
    }
    if (json_is_boolean(value)) {
        int right = strcmp(step->right, "true") == 0    ? 1
                    : strcmp(step->right, "false") == 0 ? 0
                                                        : -1;

        return right >= 0 && holds_order((json_is_true(value) ? 1 : 0) - right, step->op);
    }
    return json_is_null(value) && strcmp(step->right, "null") == 0 && step->op == EQUAL;
}

static json_t *get(const struct assay_gjson *path, size_t i, size_t end, const json_t *json);

static bool
query_holds(const struct step *step, const json_t *element)
{
    json_auto_t *left = NULL;

    if (step->left == NULL)
        return holds(step, element);
    left = get(step->left, 0, step->left->n, element);
    return holds(step, left);
}

static const json_t *
member(const struct step *step, const json_t *json)
{
    const char *key;
    json_t *value;
    int64_t index;

    if (json_is_array(json))
        return assay_parse_int(step->key, 0, INT64_C(1) << 30, &index)
                   ? json_array_get(json, (size_t)index)
                   : NULL;
    if (!step->wild)
        return json_object_get(json, step->key);
    assay_json_each (json, key, value) {
        if (is_like(key, step->key))
            return value;
    }
    return NULL;
}

/* The steps behind # and #(…)# up to the next '|' go into every element. */
static json_t *
get_of_each(const struct assay_gjson *path, size_t i, size_t end, json_t *list_taken)
{
    size_t to = i, k;
    json_t *element, *found, *all;

    while (to < end && !path->steps[to].piped)
        to++;
    if (to == i) {
        found = get(path, i, end, list_taken);
        json_decref(list_taken);
        return found;
    }
    all = json_array();
    json_array_foreach (list_taken, k, element) {
        found = get(path, i, to, element);
        if (found != NULL)
            json_array_append_new(all, found);
    }
    json_decref(list_taken);
    found = get(path, to, end, all);
    json_decref(all);
    return found;
}

static json_t *
get_query(const struct assay_gjson *path, size_t i, size_t end, const json_t *json)
{
    const struct step *step = &path->steps[i];
    json_t *element, *all;
    size_t k;

    if (!json_is_array(json))
        return NULL;
    all = step->all ? json_array() : NULL;
    json_array_foreach (json, k, element) {
        if (!query_holds(step, element))
            continue;
        if (!step->all)
            return get(path, i + 1, end, element);
        json_array_append(all, element);
    }
    return step->all ? get_of_each(path, i + 1, end, all) : NULL;
}

static json_t *
alternatives(const struct step *step, const json_t *json)
{
    json_t *all = json_array();

    for (size_t k = 0; k < step->n_parts; k++) {
        json_t *found = get(step->parts[k], 0, step->parts[k]->n, json);

        if (found != NULL)
            json_array_append_new(all, found);
    }
    return all;
}

static json_t *
flattened(const json_t *json)
{
    json_t *all = json_array(), *element;
    size_t k;

    json_array_foreach (json, k, element) {
        if (json_is_array(element))
            json_array_extend(all, element);
        else
            json_array_append(all, element);
    }
    return all;
}

/* Steps i up to `end` from `json` on.  New reference. */
static json_t *
get(const struct assay_gjson *path, size_t i, size_t end, const json_t *json)
{
    json_t *made, *found;

    if (json == NULL)
        return NULL;
    if (i == end)
        return json_incref(assay_json_unconst(json));
    switch (path->steps[i].kind) {
    case MEMBER:
        return get(path, i + 1, end, member(&path->steps[i], json));
    case THIS:
        return get(path, i + 1, end, json);
    case QUERY:
        return get_query(path, i, end, json);
    case LENGTH:
        if (!json_is_array(json))
            return NULL;
        if (i + 1 < end && !path->steps[i + 1].piped)
            return get_of_each(path, i + 1, end, json_incref(assay_json_unconst(json)));
        made = json_integer((json_int_t)json_array_size(json));
        break;
    case FLATTEN:
        if (!json_is_array(json))
            return get(path, i + 1, end, json);
        made = flattened(json);
        break;
    default:
        made = alternatives(&path->steps[i], json);
        break;
    }
    found = get(path, i + 1, end, made);
    json_decref(made);
    return found;
}

json_t *
assay_gjson_get(const struct assay_gjson *gjson, const json_t *json)
{
    return get(gjson, 0, gjson->n, json);
}

bool
assay_gjson_holds(const struct assay_gjson *gjson, const json_t *json)
{
    json_auto_t *found = assay_gjson_get(gjson, json);

    if (found == NULL)
        return false;
    switch (json_typeof(found)) {
    case JSON_STRING:
        return json_string_length(found) > 0;
    case JSON_ARRAY:
        return json_array_size(found) > 0;
    case JSON_OBJECT:
        return json_object_size(found) > 0;
    case JSON_INTEGER:
    case JSON_REAL:
        return json_number_value(found) != 0.0;
    default:
        return json_is_true(found);
    }
}
