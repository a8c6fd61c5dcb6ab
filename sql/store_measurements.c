/* Measurements of one trial, step by step: a page, all, or thinned out. */
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"
#include "sql/store_curve.h"

#define PAGE_MAX 1000
#define KIND "measurements"

/* Every metric of the page from its own range of the index: $4 is the step
 * before the page, $5 the number of steps.  The first $5 steps of all metrics are
 * among the first $5 of each. */
static const struct assay__pg_statement page = {
    .name = "measurements",
    .sql = "SELECT x.step, x.measured_at, m.name, x.value FROM metric m CROSS JOIN LATERAL"
           "  (SELECT v.step, v.measured_at, v.value FROM measurement v WHERE v.study_id = $1"
           "   AND v.trial = $2 AND v.metric = m.id AND v.step > $4 ORDER BY v.step LIMIT $5) x"
           " WHERE m.study_id = $1 AND ($3::text IS NULL OR m.name = $3)"
           " ORDER BY x.step, m.id",
    .in = "qqtqq",
    .out = "qztd",
    .repeat = true,
};

/* Rows [first, return) have the same step. */
static int
step_end(const PGresult *result, int first)
{
    int64_t step = assay__pg_get_int(result, first, 0);
    int end = first + 1;

    while (end < PQntuples(result) && assay__pg_get_int(result, end, 0) == step)
        end++;
    return end;
}

static void
give_step(const PGresult *result, int first, int end, assay_measurement_fn row, void *arg)
{
    json_t *metrics = json_object();
    int64_t time_us = assay__pg_get_time(result, first, 1);

    for (int i = first; i < end; i++) {
        json_object_set_new(metrics, assay__pg_get_text(result, i, 2),
                            assay_json_real(assay__pg_get_double(result, i, 3)));
        time_us = ASSAY_MAX(time_us, assay__pg_get_time(result, i, 1));
    }
    row(arg, assay__pg_get_int(result, first, 0), time_us, metrics);
    json_decref(metrics);
}

/* Gives at most `limit` steps after *step, moves it to the last one. */
static assay_status
read_page(struct assay_store *store, const struct assay_measurement_query *query, size_t limit,
          assay_measurement_fn row, void *arg, int64_t *step, bool *ret_more,
          struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    size_t given = 0;
    int first = 0;
    assay_status status;

    assay__pg_add_int64(&args, query->study_id);
    assay__pg_add_int64(&args, query->trial_number);
    assay__pg_add_text(&args, query->metric);
    assay__pg_add_int64(&args, *step);
    assay__pg_add_int64(&args, (int64_t)limit + 1);
    status = assay__pg_query(store->pg, &page, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    while (first < PQntuples(result) && given < limit) {
        int end = step_end(result, first);

        give_step(result, first, end, row, arg);
        *step = assay__pg_get_int(result, first, 0);
        given++;
        first = end;
    }
    *ret_more = first < PQntuples(result);
    return ASSAY_OK;
}

static assay_status
read_pages(struct assay_store *store, const struct assay_measurement_query *query,
           assay_measurement_fn row, void *arg, char **ret_next, struct assay_error *err)
{
    assay_auto_free char *key = NULL;
    int64_t step = -1;
    bool more = false;
    assay_status status = ASSAY_OK;

    ASSAY_ASSERT(query->limit <= PAGE_MAX);
    if (query->after != NULL)
        status = assay__page_read(query->after, KIND, &key, &step, err);
    do {
        if (status == ASSAY_OK)
            status = read_page(store, query, query->limit > 0 ? query->limit : PAGE_MAX, row, arg,
                               &step, &more, err);
    } while (status == ASSAY_OK && more && query->limit == 0);
    if (status == ASSAY_OK && ret_next != NULL)
        *ret_next = more ? assay__page_make(KIND, "", step) : NULL;
    return status;
}

/* --- thinned out */

static const struct assay__pg_statement names = {
    .name = "measurement_metrics",
    .sql = "SELECT id, name FROM metric WHERE study_id = $1"
           " AND ($2::text IS NULL OR name = $2) ORDER BY id",
    .in = "qt",
    .out = "st",
    .repeat = true,
};

/* LATERAL with a LIMIT: one look into the index for each step, whatever the
 * planner believes about the size of the table. */
static const struct assay__pg_statement times = {
    .name = "measurement_times",
    .sql = "SELECT m.* FROM unnest($4::bigint[]) u (step) CROSS JOIN LATERAL"
           "  (SELECT v.step, v.measured_at, v.value FROM measurement v WHERE v.study_id = $1"
           "   AND v.trial = $2 AND v.metric = $3 AND v.step = u.step LIMIT 1) m",
    .in = "qqqQ",
    .out = "qzd",
    .repeat = true,
};

struct point {
    int64_t step, time_us;
    double value;
    int metric; /* row of `names` */
};

struct points {
    struct point *items;
    size_t n, capacity;
};

/* Adds the points of one metric that are left after thinning, with their times. */
static assay_status
add_thinned(struct assay_store *store, const struct assay_measurement_query *query,
            const PGresult *metrics, int metric, struct assay__curve *curve, struct points *points,
            struct assay_error *err)
{
    int64_t metric_id = assay__pg_get_int(metrics, metric, 0);
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status = assay__curve_read(store, query->study_id, query->trial_number, metric_id,
                                            query->points, curve, err);

    if (status != ASSAY_OK || curve->n == 0)
        return status;
    assay__pg_add_int64(&args, query->study_id);
    assay__pg_add_int64(&args, query->trial_number);
    assay__pg_add_int64(&args, metric_id);
    assay__pg_add_array(&args, 'q', curve->n);
    for (size_t i = 0; i < curve->n; i++)
        assay__pg_item_int64(&args, curve->steps[i]);
    assay__pg_end_array(&args);
    status = assay__pg_query(store->pg, &times, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    for (int i = 0; i < PQntuples(result); i++) {
        ASSAY_GROW(points->items, points->n, points->capacity);
        points->items[points->n++] =
            (struct point){assay__pg_get_int(result, i, 0), assay__pg_get_time(result, i, 1),
                           assay__pg_get_double(result, i, 2), metric};
    }
    return ASSAY_OK;
}

static int
compare_points(const void *a, const void *b)
{
    const struct point *x = a, *y = b;

    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return x->metric - y->metric;
}

static void
give_points(const struct points *points, const PGresult *metrics, assay_measurement_fn row,
            void *arg)
{
    size_t i = 0;

    while (i < points->n) {
        int64_t step = points->items[i].step, time_us = points->items[i].time_us;
        json_t *object = json_object();

        for (; i < points->n && points->items[i].step == step; i++) {
            const struct point *point = &points->items[i];

            json_object_set_new(object, assay__pg_get_text(metrics, point->metric, 1),
                                assay_json_real(point->value));
            time_us = ASSAY_MAX(time_us, point->time_us);
        }
        row(arg, step, time_us, object);
        json_decref(object);
    }
}

static assay_status
read_thinned(struct assay_store *store, const struct assay_measurement_query *query,
             assay_measurement_fn row, void *arg, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *metrics = NULL;
    struct assay__curve curve = {0};
    struct points points = {0};
    assay_status status;

    assay__pg_add_int64(&args, query->study_id);
    assay__pg_add_text(&args, query->metric);
    status = assay__pg_query(store->pg, &names, &args, &metrics, err);
    for (int i = 0; status == ASSAY_OK && i < PQntuples(metrics); i++)
        status = add_thinned(store, query, metrics, i, &curve, &points, err);
    if (status == ASSAY_OK && points.n > 0) {
        qsort(points.items, points.n, sizeof *points.items, compare_points);
        give_points(&points, metrics, row, arg);
    }
    assay__curve_done(&curve);
    free(points.items);
    return status;
}

assay_status
assay_store_measurements(struct assay_store *store, const struct assay_measurement_query *query,
                         assay_measurement_fn row, void *arg, char **ret_next,
                         struct assay_error *err)
{
    assay_status status;

    if (query->points == 0)
        return read_pages(store, query, row, arg, ret_next, err);
    status = read_thinned(store, query, row, arg, err);
    if (status == ASSAY_OK && ret_next != NULL)
        *ret_next = NULL;
    return status;
}
