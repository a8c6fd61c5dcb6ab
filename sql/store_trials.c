/* Pages of trials, in every order; and all of them. */
#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"
#include "sql/store_internal.h"

#define PAGE_MAX 1000

/* $1 study, $2 states, $3 number of the row before the page, $4 rows. */
#define BY_NUMBER(suffix, compare, direction)                                                      \
    {                                                                                              \
        .name = "trials_number_" suffix,                                                           \
        .sql = "SELECT " ASSAY__TRIAL_COLUMNS " FROM trial t WHERE t.study_id = $1"                \
               " AND ($2::text[] IS NULL OR t.state = ANY ($2)) AND t.number " compare " $3"       \
               " ORDER BY t.number " direction " LIMIT $4",                                        \
        .in = "qTqq", .out = ASSAY__TRIAL_COLUMN_TYPES, .repeat = true,                            \
    }

/* $1 study, $2 states, $3 key and $4 number of the row before the page ($4 NULL:
 * the first page; $3 NULL: among the rows without a key), $5 rows.  Rows without
 * a key come last in both directions; equal keys in order of number. */
#define BY_KEY(suffix, key, key_type, letter, compare, direction)                                  \
    {                                                                                              \
        .name = "trials_" key "_" suffix,                                                          \
        .sql = "SELECT " ASSAY__TRIAL_COLUMNS " FROM trial t WHERE t.study_id = $1"                \
               " AND ($2::text[] IS NULL OR t.state = ANY ($2))"                                   \
               " AND ($4::bigint IS NULL OR CASE WHEN $3::" key_type " IS NULL"                    \
               "   THEN t." key " IS NULL AND t.number > $4"                                       \
               "   ELSE t." key " IS NULL OR t." key " " compare " $3"                             \
               "     OR (t." key " = $3 AND t.number > $4) END)"                                   \
               " ORDER BY t." key " " direction " NULLS LAST, t.number LIMIT $5",                  \
        .in = "qT" letter "qq", .out = ASSAY__TRIAL_COLUMN_TYPES, .repeat = true,                  \
    }

static const struct assay__pg_statement statements[4][2] = {
    [ASSAY_TRIAL_BY_NUMBER] = {BY_NUMBER("up", ">", "ASC"), BY_NUMBER("down", "<", "DESC")},
    [ASSAY_TRIAL_BY_VALUE] = {BY_KEY("up", "value", "float8", "d", ">", "ASC"),
                              BY_KEY("down", "value", "float8", "d", "<", "DESC")},
    [ASSAY_TRIAL_BY_STARTED] = {BY_KEY("up", "started_at", "timestamptz", "z", ">", "ASC"),
                                BY_KEY("down", "started_at", "timestamptz", "z", "<", "DESC")},
    [ASSAY_TRIAL_BY_FINISHED] = {BY_KEY("up", "finished_at", "timestamptz", "z", ">", "ASC"),
                                 BY_KEY("down", "finished_at", "timestamptz", "z", "<", "DESC")},
};

/* The row before the page, as a token holds it. */
struct position {
    bool set;
    double value;    /* NaN: no key */
    int64_t time_us; /* ASSAY_TIME_NONE: no key */
    int64_t number;
};

static void
set_position(struct position *position, enum assay_trial_sort sort, const struct assay_trial *trial)
{
    *position = (struct position){true, trial->value, ASSAY_TIME_NONE, trial->number};
    if (sort == ASSAY_TRIAL_BY_STARTED)
        position->time_us = trial->started_us;
    else if (sort == ASSAY_TRIAL_BY_FINISHED)
        position->time_us = trial->finished_us;
}

static char *
write_position(const struct position *position, enum assay_trial_sort sort, const char *kind)
{
    assay_auto_free char *key = NULL;

    if (sort == ASSAY_TRIAL_BY_VALUE && !isnan(position->value))
        key = assay_format("%.17g", position->value);
    else if (position->time_us != ASSAY_TIME_NONE)
        key = assay_format("%lld", (long long)position->time_us);
    return assay__page_make(kind, key != NULL ? key : "", position->number);
}

static assay_status
read_position(const char *token, enum assay_trial_sort sort, const char *kind,
              struct position *ret_position, struct assay_error *err)
{
    struct position position = {true, NAN, ASSAY_TIME_NONE, 0};
    assay_auto_free char *key = NULL;
    assay_status status = assay__page_read(token, kind, &key, &position.number, err);
    bool good = true;

    if (status != ASSAY_OK)
        return status;
    if (*key != '\0') {
        if (sort == ASSAY_TRIAL_BY_VALUE)
            good = assay_parse_double(key, &position.value);
        else
            good = assay_parse_int(key, INT64_MIN + 1, INT64_MAX, &position.time_us);
    }
    if (!good)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "the page token is malformed");
    *ret_position = position;
    return ASSAY_OK;
}

static void
add_position(struct assay__pg_args *args, const struct assay_trial_query *query,
             const struct position *position)
{
    switch (query->sort) {
    case ASSAY_TRIAL_BY_NUMBER:
        if (position->set)
            assay__pg_add_int64(args, position->number);
        else
            assay__pg_add_int64(args, query->descending ? INT64_MAX : 0);
        return;
    case ASSAY_TRIAL_BY_VALUE:
        assay__pg_add_double_or_null(args, position->set ? position->value : NAN);
        break;
    case ASSAY_TRIAL_BY_STARTED:
    case ASSAY_TRIAL_BY_FINISHED:
        assay__pg_add_time(args, position->set ? position->time_us : ASSAY_TIME_NONE);
        break;
    }
    if (position->set)
        assay__pg_add_int64(args, position->number);
    else
        assay__pg_add_null(args, 'q');
}

/* Rows of one page, at most `limit` given to the caller; moves `position` to
 * the last one.  `ret_more`: there are further ones. */
static assay_status
read_page(struct assay_store *store, const struct assay_trial_query *query, size_t limit,
          assay_trial_fn row, void *arg, struct position *position, bool *ret_more,
          struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_auto_free struct assay_trial *trials = NULL;
    size_t count;
    assay_status status;

    assay__pg_add_int64(&args, query->study_id);
    assay__add_trial_states(&args, query->states);
    add_position(&args, query, position);
    /* One more than asked for tells whether there is a next page. */
    assay__pg_add_int64(&args, (int64_t)limit + 1);
    status = assay__pg_query(store->pg, &statements[query->sort][query->descending], &args, &result,
                             err);
    if (status != ASSAY_OK)
        return status;

    count = ASSAY_MIN((size_t)PQntuples(result), limit);
    *ret_more = (size_t)PQntuples(result) > limit;
    trials = assay_zalloc(count, sizeof *trials);
    for (size_t i = 0; i < count; i++)
        assay__read_trial(result, (int)i, query->study_id, &trials[i]);
    if (query->with_attempts && count > 0)
        status = assay__read_attempts(store, query->study_id, trials, count, err);
    for (size_t i = 0; i < count; i++) {
        if (status == ASSAY_OK)
            row(arg, &trials[i]);
        if (i + 1 == count)
            set_position(position, query->sort, &trials[i]);
        assay_trial_done(&trials[i]);
    }
    return status;
}

assay_status
assay_store_trials(struct assay_store *store, const struct assay_trial_query *query,
                   assay_trial_fn row, void *arg, char **ret_next, struct assay_error *err)
{
    const char *kind = statements[query->sort][query->descending].name;
    struct position position = {0};
    bool more = true;
    assay_status status;

    ASSAY_ASSERT(query->limit <= PAGE_MAX);
    ASSAY_ASSERT(query->limit > 0 || query->sort == ASSAY_TRIAL_BY_NUMBER);
    if (query->after != NULL) {
        status = read_position(query->after, query->sort, kind, &position, err);
        if (status != ASSAY_OK)
            return status;
    }
    do {
        status = read_page(store, query, query->limit > 0 ? query->limit : PAGE_MAX, row, arg,
                           &position, &more, err);
        if (status != ASSAY_OK)
            return status;
    } while (more && query->limit == 0);
    if (ret_next != NULL)
        *ret_next = more ? write_position(&position, query->sort, kind) : NULL;
    return ASSAY_OK;
}
