/* Errors: a status to branch on, a sentence to show, and for input a list of
 * faults with JSON pointers.
 *
 * Functions return assay_status (0 or negative) and take `struct assay_error *`
 * as last argument (may be NULL).  On success the error is untouched.
 * Messages start lower-case, have no final full stop, and name the object and
 * both values.  Not thread-safe: an error belongs to its caller. */
#ifndef ASSAY_COMMON_ERROR_H
#define ASSAY_COMMON_ERROR_H

#include <jansson.h>

#include "common/base.h"
#include "common/error_codes.h"

typedef enum assay_status assay_status;

#define ASSAY_ERROR_MESSAGE_BYTES 512

struct assay_error {
    assay_status status; /* ASSAY_OK when unused */
    int os_errno;        /* 0 when not from the system */
    char sqlstate[6];    /* "" when not from PostgreSQL */
    char pointer[128];   /* JSON pointer of the culprit, "" when none */
    char message[ASSAY_ERROR_MESSAGE_BYTES];
};

/* Fills the error (if not NULL) and returns `status`, for `return assay_fail(...)`. */
assay_status assay_fail(struct assay_error *err, assay_status status, const char *format, ...)
    ASSAY_PRINTF(3, 4);
/* As assay_fail with the JSON pointer of the culprit. */
assay_status assay_fail_at(struct assay_error *err, assay_status status, const char *pointer,
                           const char *format, ...) ASSAY_PRINTF(4, 5);
/* As assay_fail with ": " and the text of `os_errno` appended; keeps the number. */
assay_status assay_fail_errno(struct assay_error *err, int os_errno, const char *format, ...)
    ASSAY_PRINTF(3, 4);
/* Puts "<context>: " before the message; returns the error's status. */
assay_status assay_wrap(struct assay_error *err, const char *format, ...) ASSAY_PRINTF(2, 3);

/* One fault of an input document. */
struct assay_fault {
    char *pointer; /* JSON pointer, "" is the whole document */
    char *message; /* what is wrong */
    json_t *found; /* what stands there; NULL when nothing does */
    char *allowed; /* what would be right; may be NULL */
    int line;      /* 1-based line in the YAML source; 0 when unknown */
};

/* A growing list of faults, at most ASSAY_FAULTS_MAX kept (the count goes on).
 * Initialise with {0}. */
#define ASSAY_FAULTS_MAX 100
struct assay_faults {
    struct assay_fault *items;
    size_t count; /* faults found; items holds min(count, ASSAY_FAULTS_MAX) */
    size_t capacity;
};

/* Adds a fault.  `found` is borrowed and copied shallowly (may be NULL); long
 * values are cut.  `allowed` may be NULL. */
void assay_fault_add(struct assay_faults *faults, const char *pointer, const json_t *found,
                     const char *allowed, const char *format, ...) ASSAY_PRINTF(5, 6);
/* Adds those of another list. */
void assay_faults_copy(const struct assay_faults *from, struct assay_faults *to);
void assay_faults_done(struct assay_faults *faults);
/* The "errors" member of a problem: [{"pointer","message","found","allowed","line"}].
 * New reference. */
json_t *assay_faults_to_json(const struct assay_faults *faults);

/* Builds pointer + "/" + token with the token escaped (~0, ~1).  Caller frees. */
char *assay_pointer_key(const char *pointer, const char *key);
char *assay_pointer_index(const char *pointer, size_t index);

/* Name ("not_found"), HTTP status, exit code and standing sentence of a status. */
const char *assay_status_name(assay_status status);
int assay_status_http(assay_status status);
int assay_status_exit(assay_status status);
bool assay_status_retry(assay_status status);
const char *assay_status_text(assay_status status);
/* ASSAY_E_INTERNAL when the name is not known. */
assay_status assay_status_from_name(const char *name);

#endif
