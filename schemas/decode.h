/* Reading JSON objects by tables of fields: every unknown key, missing member,
 * wrong type and value out of range becomes a fault with a JSON pointer, and
 * reading goes on, so that all faults of a document are told at once.
 *
 * Not for parsing text; the JSON is there already.  Any thread. */
#ifndef ASSAY_SCHEMAS_DECODE_H
#define ASSAY_SCHEMAS_DECODE_H

#include <jansson.h>

#include "common/error.h"
#include "common/json.h"

/* What a member is and what it is stored as, at `offset` of the target. */
enum assay_field_kind {
    ASSAY_FIELD_STRING,   /* char *, a copy; min..max bytes (0, 0: 1 to 4096) */
    ASSAY_FIELD_NAME,     /* char *, a copy; as assay_name_valid */
    ASSAY_FIELD_METRIC,   /* char *, a copy; as assay_metric_name_valid */
    ASSAY_FIELD_INT,      /* int64_t in min..max; 3.0 is an integer too */
    ASSAY_FIELD_REAL,     /* double, finite, in min..max */
    ASSAY_FIELD_BOOL,     /* bool */
    ASSAY_FIELD_ENUM,     /* int, index in `names` */
    ASSAY_FIELD_DURATION, /* int64_t microseconds in min..max; "2h" or seconds */
    ASSAY_FIELD_BYTES,    /* int64_t in min..max; "4Gi" or a number */
    ASSAY_FIELD_OBJECT,   /* const json_t *, borrowed, an object */
    ASSAY_FIELD_ARRAY,    /* const json_t *, borrowed, an array */
    ASSAY_FIELD_ANY,      /* const json_t *, borrowed */
    ASSAY_FIELD_CALL,     /* `call` reads it into the target */
};

enum {
    ASSAY_FIELD_REQUIRED = 1,
    ASSAY_FIELD_ABOVE_MIN = 2, /* min itself is not allowed */
};

typedef void (*assay_field_fn)(void *target, const json_t *value, const char *pointer,
                               struct assay_faults *faults);

struct assay_field {
    const char *key;
    enum assay_field_kind kind;
    unsigned flags;
    size_t offset;
    double min, max;          /* both 0: no bounds */
    const char *const *names; /* ENUM: NULL-terminated */
    assay_field_fn call;      /* CALL */
};

/* Reads `json` into `target`.  A member that is absent or null keeps what the
 * target holds, its default; strings there must be NULL, because they are
 * replaced without being freed.  Returns false if there were faults; members
 * without faults are stored all the same. */
bool assay_decode_object(const json_t *json, const char *pointer, const struct assay_field *fields,
                         size_t n_fields, void *target, struct assay_faults *faults);

/* Reads one value; `field->key` is its name in messages.  False with a fault. */
bool assay_decode_value(const json_t *value, const char *pointer, const struct assay_field *field,
                        void *target, struct assay_faults *faults);

/* Adds the fault "must be <what>, not <type of json>"; json may be NULL. */
void assay_fault_type(struct assay_faults *faults, const char *pointer, const json_t *json,
                      const char *what);
/* Adds the fault for a key or word that is none of `known` (NULL-terminated),
 * with the nearest one if there is one near.  `found` may be NULL. */
void assay_fault_unknown(struct assay_faults *faults, const char *pointer, const json_t *found,
                         const char *what, const char *key, const char *const *known);

/* "an object", "a number", … */
const char *assay_json_type_name(const json_t *json);
/* A boolean or number as it stands in JSON, a string as it is.  NULL for others.
 * Caller frees. */
char *assay_json_scalar_text(const json_t *json);
/* A whole number as JSON integer while that is exact, any other as real
 * (non-finite: string).  New reference. */
json_t *assay_json_number(double value);
/* "1h30m", "250ms"; reads back as the same time.  New reference. */
json_t *assay_json_duration(int64_t time_us);
/* "4Gi", "1500000"; reads back as the same size.  New reference. */
json_t *assay_json_bytes(int64_t bytes);

/* A study or project name: [a-z0-9]([a-z0-9._-]{0,62}). */
#define ASSAY_NAME_BYTES_MAX 63
bool assay_name_valid(const char *name);

/* No control characters, no blank at either end. */
#define ASSAY_METRIC_NAME_BYTES_MAX 255
bool assay_metric_name_valid(const char *name);

#endif
