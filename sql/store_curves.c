/* Curves of one metric of many trials. */
#include <stdlib.h>

#include "common/memory.h"
#include "sql/store_curve.h"

/* Trials whose points are fetched by one statement. */
#define GROUP_MAX 100

/* The newest $4 trials that have the metric, in order of number, with the number
 * of segments of the curve of each. */
static const struct assay__pg_statement trials = {
    .name = "curve_trials",
    .sql = "SELECT * FROM (SELECT t.number, t.state, m.id,"
           "  (SELECT count(*) FROM curve_segment s WHERE s.study_id = t.study_id"
           "   AND s.trial = t.number AND s.metric = m.id)"
           "  FROM metric m JOIN trial t USING (study_id) WHERE m.study_id = $1 AND m.name = $2"
           "  AND ($3::text[] IS NULL OR t.state = ANY ($3))"
           "  AND EXISTS (SELECT FROM measurement v WHERE v.study_id = t.study_id"
           "   AND v.trial = t.number AND v.metric = m.id)"
           "  ORDER BY t.number DESC LIMIT $4) x ORDER BY number",
    .in = "qtTq",
    .out = "itsq",
    .repeat = true,
};

/* OFFSET 0 keeps it one range of the index for each trial. */
static const struct assay__pg_statement points_of = {
    .name = "curve_points_of",
    .sql = "SELECT m.trial, m.step, m.value FROM unnest($2::bigint[]) u (trial)"
           " CROSS JOIN LATERAL (SELECT v.trial, v.step, v.value FROM measurement v"
           "  WHERE v.study_id = $1 AND v.trial = u.trial AND v.metric = $3 OFFSET 0) m"
           " ORDER BY m.trial, m.step",
    .in = "qQq",
    .out = "iqd",
    .repeat = true,
};

struct drawing {
    struct assay_store *store;
    int64_t study_id;
    size_t points;
    assay_curve_fn row;
    void *arg;
    const PGresult *trials;
    struct assay__curve curve;
    int at; /* row of `trials` whose points are in `curve` */
};

static int64_t
number_at(const struct drawing *drawing, int i)
{
    return assay__pg_get_int(drawing->trials, i, 0);
}

static void
give_curve(struct drawing *drawing, int i)
{
    enum assay_trial_state state;

    if (drawing->curve.n == 0)
        return;
    if (!assay_trial_state_parse(assay__pg_get_text(drawing->trials, i, 1), &state))
        ASSAY_BUG("a trial state that the schema does not allow");
    assay__curve_thin(&drawing->curve, drawing->points);
    drawing->row(drawing->arg, number_at(drawing, i), state, drawing->curve.n, drawing->curve.steps,
                 drawing->curve.values);
    assay__curve_clear(&drawing->curve);
}

static void
add_row(void *arg, const PGresult *result, int row)
{
    struct drawing *drawing = arg;
    int64_t number = assay__pg_get_int(result, row, 0);

    while (number_at(drawing, drawing->at) != number)
        give_curve(drawing, drawing->at++);
    assay__curve_add(&drawing->curve, assay__pg_get_int(result, row, 1),
                     assay__pg_get_double(result, row, 2));
}

/* Short curves [first, end): all their points in one statement. */
static assay_status
draw_short(struct drawing *drawing, int first, int end, struct assay_error *err)
{
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay_status status;

    assay__pg_add_int64(&args, drawing->study_id);
    assay__pg_add_array(&args, 'q', (size_t)(end - first));
    for (int i = first; i < end; i++)
        assay__pg_item_int64(&args, number_at(drawing, i));
    assay__pg_end_array(&args);
    assay__pg_add_int64(&args, assay__pg_get_int(drawing->trials, first, 2));
    drawing->at = first;
    status = assay__pg_each(drawing->store->pg, &points_of, &args, add_row, drawing, err);
    if (status == ASSAY_OK)
        give_curve(drawing, drawing->at);
    return status;
}

static assay_status
draw_long(struct drawing *drawing, int i, struct assay_error *err)
{
    assay_status status = assay__curve_read(
        drawing->store, drawing->study_id, number_at(drawing, i),
        assay__pg_get_int(drawing->trials, i, 2), drawing->points, &drawing->curve, err);

    if (status == ASSAY_OK)
        give_curve(drawing, i);
    return status;
}

static bool
is_long(const struct drawing *drawing, int i)
{
    return assay__curve_from_segments(assay__pg_get_int(drawing->trials, i, 3), drawing->points);
}

static assay_status
draw_all(struct drawing *drawing, struct assay_error *err)
{
    int count = PQntuples(drawing->trials), i = 0;
    assay_status status = ASSAY_OK;

    while (i < count && status == ASSAY_OK) {
        int first = i;

        if (is_long(drawing, i)) {
            status = draw_long(drawing, i++, err);
            continue;
        }
        while (i < count && i - first < GROUP_MAX && !is_long(drawing, i))
            i++;
        status = draw_short(drawing, first, i, err);
    }
    return status;
}

assay_status
assay_store_curves(struct assay_store *store, int64_t study_id, const char *metric, uint32_t states,
                   size_t points, size_t trials_max, assay_curve_fn row, void *arg,
                   struct assay_error *err)
{
    struct drawing drawing = {
        .store = store, .study_id = study_id, .points = points, .row = row, .arg = arg};
    assay__auto_pg_args struct assay__pg_args args = {0};
    assay__auto_pg_result PGresult *result = NULL;
    assay_status status;

    ASSAY_ASSERT(points >= 1);
    assay__pg_add_int64(&args, study_id);
    assay__pg_add_text(&args, metric);
    assay__add_trial_states(&args, states);
    assay__pg_add_int64(&args, (int64_t)ASSAY_MIN(trials_max, (size_t)INT32_MAX));
    status = assay__pg_query(store->pg, &trials, &args, &result, err);
    if (status != ASSAY_OK)
        return status;
    drawing.trials = result;
    status = draw_all(&drawing, err);
    assay__curve_done(&drawing.curve);
    return status;
}
