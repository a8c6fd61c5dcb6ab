/* Query parameters by tables: each route names those it takes, everything else
 * is a fault, and all faults are told at once with pointers "?name".
 *
 * Pure; any thread. */
#ifndef ASSAY_API_QUERY_H
#define ASSAY_API_QUERY_H

#include "api/uri.h"
#include "common/error.h"

/* All that any route can be asked; see the route's table for what it takes. */
struct assay_query {
    uint32_t states;       /* bit per state; 0 = any */
    int64_t sort;          /* index in the table's names */
    const char *name;      /* prefix; borrowed from the URI as all texts here */
    const char *metric;
    const char *page_token;
    int64_t page_size;
    int64_t points;        /* 0 = not asked for */
    int64_t after;
    int64_t tail;          /* -1 = all */
    int64_t wait_us;
    int64_t until;         /* 1: final */
    int64_t view;          /* 1: katib */
    int64_t method;        /* index in the table's names; 0 = not said */
    uint64_t fields;       /* bit per name of the table; 0 = all */
    bool dry_run, force, requeue, follow, interactions;
};

enum assay_query_kind {
    ASSAY_QUERY_TEXT,         /* const char *, 1 to 1024 bytes */
    ASSAY_QUERY_INT,          /* int64_t in min..max */
    ASSAY_QUERY_BOOL,         /* true or false; without a value true */
    ASSAY_QUERY_DURATION,     /* int64_t microseconds in min..max */
    ASSAY_QUERY_WORD,         /* int64_t, index in `names` */
    ASSAY_QUERY_WORDS,        /* uint64_t, bits by index in `names`; comma-separated */
    ASSAY_QUERY_STUDY_STATES, /* uint32_t */
    ASSAY_QUERY_TRIAL_STATES, /* uint32_t */
};

struct assay_query_field {
    const char *key; /* NULL ends a table */
    enum assay_query_kind kind;
    size_t offset;
    int64_t min, max;
    const char *const *names; /* NULL-terminated, at most 64 */
};

/* The defaults: page_size 100, tail -1, all else 0. */
void assay_query_init(struct assay_query *query);
/* Reads the parameters of `uri` by the tables (each may be NULL); false with faults. */
bool assay_query_read(const struct assay_uri *uri, const struct assay_query_field *const *tables,
                      size_t n_tables, struct assay_query *query, struct assay_faults *faults);

#endif
