#include "sql/store_curve.h"

#include <stdlib.h>

/* Beyond so many holes in the summary the points themselves are read. */
#define HOLES_MAX 64

bool
assay__curve_from_segments(int64_t segments, size_t points)
{
    return segments * ASSAY__SEGMENT_GIVES >= 2 * (int64_t)ASSAY_MIN(points, (size_t)INT32_MAX);
}

static const struct assay__pg_statement segments = {
    .name = "curve_segments",
    .sql = "SELECT after_step, first_step, last_step, min_step, max_step,"
           " first_value, last_value, min_value, max_value FROM curve_segment"
           " WHERE study_id = $1 AND trial = $2 AND metric = $3 ORDER BY last_step",
    .in = "qqq",
    .out = "qqqqqdddd",
    .repeat = true,
};

static const struct assay__pg_statement points_between = {
    .name = "curve_points",
    .sql = "SELECT step, value FROM measurement WHERE study_id = $1 AND trial = $2"
           " AND metric = $3 AND step > $4 AND step <= $5 ORDER BY step",
    .in = "qqqqq",
    .out = "qd",
    .repeat = true,
};

struct reading {
    struct assay_store *store;
    int64_t study_id, trial, metric_id;
    struct assay__curve *curve;
    struct assay_error *err;
};

static void
add_point(void *arg, const PGresult *result, int row)
{
    assay__curve_add(arg, assay__pg_get_int(result, row, 0), assay__pg_get_double(result, row, 1));
}

static void
add_key(struct assay__pg_args *args, const struct reading *reading)
{
    assay__pg_add_int64(args, reading->study_id);
    assay__pg_add_int64(args, reading->trial);
    assay__pg_add_int64(args, reading->metric_id);
}

/* The points themselves, steps in (after, last]. */
static assay_status
read_points(const struct reading *reading, int64_t after, int64_t last)
{
    assay__auto_pg_args struct assay__pg_args args = {0};

    add_key(&args, reading);
    assay__pg_add_int64(&args, after);
    assay__pg_add_int64(&args, last);
    return assay__pg_each(reading->store->pg, &points_between, &args, add_point, reading->curve,
                          reading->err);
}

/* The two extremes are in either order; equal steps are dropped by the curve. */
static void
add_segment(struct assay__curve *curve, const PGresult *rows, int row)
{
    assay__curve_add(curve, assay__pg_get_int(rows, row, 1), assay__pg_get_double(rows, row, 5));
    if (!assay__pg_null(rows, row, 3)) {
        int64_t low = assay__pg_get_int(rows, row, 3), high = assay__pg_get_int(rows, row, 4);
        double low_value = assay__pg_get_double(rows, row, 7);
        double high_value = assay__pg_get_double(rows, row, 8);

        assay__curve_add(curve, ASSAY_MIN(low, high), low < high ? low_value : high_value);
        assay__curve_add(curve, ASSAY_MAX(low, high), low < high ? high_value : low_value);
    }
    assay__curve_add(curve, assay__pg_get_int(rows, row, 2), assay__pg_get_double(rows, row, 6));
}

static int
count_holes(const PGresult *rows)
{
    int64_t position = -1;
    int holes = 0;

    for (int row = 0; row < PQntuples(rows); row++) {
        holes += assay__pg_get_int(rows, row, 0) > position;
        position = assay__pg_get_int(rows, row, 2);
    }
    return holes;
}

/* Each segment joins the one before it, unless a late value has removed some in
 * between; there, and after the last, the points are read themselves. */
static assay_status
read_summary(const struct reading *reading, const PGresult *rows)
{
    int64_t position = -1;
    assay_status status;

    for (int row = 0; row < PQntuples(rows); row++) {
        int64_t after = assay__pg_get_int(rows, row, 0);

        if (after > position) {
            status = read_points(reading, position, after);
            if (status != ASSAY_OK)
                return status;
        }
        add_segment(reading->curve, rows, row);
        position = assay__pg_get_int(rows, row, 2);
    }
    return read_points(reading, position, INT64_MAX);
}

assay_status
assay__curve_read(struct assay_store *store, int64_t study_id, int64_t trial, int64_t metric_id,
                  size_t points, struct assay__curve *curve, struct assay_error *err)
{
    struct reading reading = {store, study_id, trial, metric_id, curve, err};
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *rows = NULL;
    assay_status status;

    assay__curve_clear(curve);
    add_key(&args, &reading);
    status = assay__pg_query(store->pg, &segments, &args, &rows, err);
    if (status != ASSAY_OK)
        return status;
    if (assay__curve_from_segments(PQntuples(rows), points) && count_holes(rows) <= HOLES_MAX)
        status = read_summary(&reading, rows);
    else
        status = read_points(&reading, -1, INT64_MAX);
    if (status == ASSAY_OK)
        assay__curve_thin(curve, points);
    return status;
}
