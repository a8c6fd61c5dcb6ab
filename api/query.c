#include "api/query.h"

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/states.h"

#define TEXT_BYTES_MAX 1024

void
assay_query_init(struct assay_query *query)
{
    *query = (struct assay_query){.page_size = 100, .tail = -1};
}

static void
fault(struct assay_faults *faults, const char *pointer, const char *value, const char *allowed,
      const char *message)
{
    json_t *found = json_string(value);

    assay_fault_add(faults, pointer, found, allowed, "%s", message);
    json_decref(found);
}

static ptrdiff_t
find_word(const char *const *names, const char *word, size_t length)
{
    for (ptrdiff_t i = 0; names[i] != NULL; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0)
            return i;
    }
    return -1;
}

static void
unknown_word(struct assay_faults *faults, const char *pointer, const char *what, const char *word,
             size_t length, const char *const *names)
{
    assay_auto_free char *copy = assay_strndup(word, length);
    json_t *found = json_string(copy);

    assay_fault_unknown(faults, pointer, found, what, copy, names);
    json_decref(found);
}

/* Bits of a comma-separated list of names. */
static uint64_t
read_words(const char *value, const char *const *names, const char *what, const char *pointer,
           struct assay_faults *faults)
{
    uint64_t bits = 0;

    for (const char *p = value;; p++) {
        size_t length = strcspn(p, ",");
        ptrdiff_t index = find_word(names, p, length);

        if (index >= 0)
            bits |= UINT64_C(1) << index;
        else
            unknown_word(faults, pointer, what, p, length, names);
        p += length;
        if (*p == '\0')
            return bits;
    }
}

static void
read_int(const char *value, const struct assay_query_field *field, const char *pointer,
         int64_t *target, struct assay_faults *faults)
{
    if (!assay_parse_int(value, field->min, field->max, target)) {
        assay_auto_free char *allowed =
            assay_format("a whole number from %lld to %lld", (long long)field->min,
                         (long long)field->max);

        fault(faults, pointer, value, allowed, "must be a whole number in its range");
    }
}

static void
read_duration(const char *value, const struct assay_query_field *field, const char *pointer,
              int64_t *target, struct assay_faults *faults)
{
    int64_t time_us;

    if (!assay_parse_duration(value, &time_us) || time_us < field->min || time_us > field->max) {
        assay_auto_free char *allowed =
            assay_format("a time from %llds to %llds, such as 30s", (long long)(field->min / 1000000),
                         (long long)(field->max / 1000000));

        fault(faults, pointer, value, allowed, "must be a time in its range");
        return;
    }
    *target = time_us;
}

static void
read_field(const char *value, const struct assay_query_field *field, const char *pointer,
           struct assay_query *query, struct assay_faults *faults)
{
    const char *names[ASSAY_MAX((int)ASSAY_STUDY_STATE_MAX_, (int)ASSAY_TRIAL_STATE_MAX_) + 1] = {
        NULL};
    char *target = (char *)query + field->offset;

    switch (field->kind) {
    case ASSAY_QUERY_TEXT:
        if (*value == '\0' || strlen(value) > TEXT_BYTES_MAX)
            fault(faults, pointer, value, "1 to 1024 bytes", "must not be empty or too long");
        else
            *(const char **)(void *)target = value;
        return;
    case ASSAY_QUERY_INT:
        read_int(value, field, pointer, (int64_t *)(void *)target, faults);
        return;
    case ASSAY_QUERY_BOOL:
        if (*value == '\0' || strcmp(value, "true") == 0)
            *(bool *)target = true;
        else if (strcmp(value, "false") == 0)
            *(bool *)target = false;
        else
            fault(faults, pointer, value, "true or false", "must be true or false");
        return;
    case ASSAY_QUERY_DURATION:
        read_duration(value, field, pointer, (int64_t *)(void *)target, faults);
        return;
    case ASSAY_QUERY_WORD: {
        ptrdiff_t index = find_word(field->names, value, strlen(value));

        if (index >= 0)
            *(int64_t *)(void *)target = index;
        else
            unknown_word(faults, pointer, "value", value, strlen(value), field->names);
        return;
    }
    case ASSAY_QUERY_WORDS:
        *(uint64_t *)(void *)target = read_words(value, field->names, "field", pointer, faults);
        return;
    case ASSAY_QUERY_STUDY_STATES:
        for (int i = 0; i < ASSAY_STUDY_STATE_MAX_; i++)
            names[i] = assay_study_state_name((enum assay_study_state)i);
        *(uint32_t *)(void *)target = (uint32_t)read_words(value, names, "state", pointer, faults);
        return;
    case ASSAY_QUERY_TRIAL_STATES:
        for (int i = 0; i < ASSAY_TRIAL_STATE_MAX_; i++)
            names[i] = assay_trial_state_name((enum assay_trial_state)i);
        *(uint32_t *)(void *)target = (uint32_t)read_words(value, names, "state", pointer, faults);
        return;
    }
    ASSAY_BUG("a query field of no known kind");
}

static const struct assay_query_field *
find_field(const struct assay_query_field *const *tables, size_t n_tables, const char *key)
{
    for (size_t i = 0; i < n_tables; i++) {
        for (const struct assay_query_field *field = tables[i]; field != NULL && field->key != NULL;
             field++) {
            if (strcmp(field->key, key) == 0)
                return field;
        }
    }
    return NULL;
}

static void
unknown_parameter(const struct assay_query_field *const *tables, size_t n_tables,
                  const struct assay_uri_parameter *parameter, const char *pointer,
                  struct assay_faults *faults)
{
    const char *known[32] = {NULL};
    json_t *found = json_string(parameter->value);
    size_t n = 0;

    for (size_t i = 0; i < n_tables; i++) {
        for (const struct assay_query_field *field = tables[i];
             field != NULL && field->key != NULL && n + 1 < ASSAY_COUNT(known); field++)
            known[n++] = field->key;
    }
    assay_fault_unknown(faults, pointer, found, "query parameter", parameter->key, known);
    json_decref(found);
}

bool
assay_query_read(const struct assay_uri *uri, const struct assay_query_field *const *tables,
                 size_t n_tables, struct assay_query *query, struct assay_faults *faults)
{
    size_t before = faults->count;

    for (size_t i = 0; i < uri->n_parameters; i++) {
        const struct assay_uri_parameter *parameter = &uri->parameters[i];
        assay_auto_free char *pointer = assay_format("?%s", parameter->key);
        const struct assay_query_field *field = find_field(tables, n_tables, parameter->key);
        bool twice = false;

        for (size_t k = 0; k < i; k++)
            twice |= strcmp(uri->parameters[k].key, parameter->key) == 0;
        if (field == NULL)
            unknown_parameter(tables, n_tables, parameter, pointer, faults);
        else if (twice)
            fault(faults, pointer, parameter->value, NULL, "is given twice");
        else
            read_field(parameter->value, field, pointer, query, faults);
    }
    return faults->count == before;
}
