/* What a set can say about metrics and their values. */
#include <stdlib.h>

#include "common/memory.h"
#include "sql/changes_internal.h"

const struct assay__pg_statement assay__metric_insert = {
    .name = "metric_insert",
    .sql = "INSERT INTO metric (study_id, id, name) VALUES ($1, $2, $3)",
    .in = "qqt",
};

void
assay_changes_metric_insert(struct assay_changes *changes, int64_t study_id, int metric_id,
                            const char *name)
{
    struct assay__pg_args *args = assay__changes_add(changes, &assay__metric_insert);

    assay__pg_add_int64(args, study_id);
    assay__pg_add_int64(args, metric_id);
    assay__pg_add_text(args, name);
}

#define NEW_POINTS                                                                                 \
    "INSERT INTO measurement (study_id, trial, metric, step, measured_at, value)"                  \
    " SELECT $1, $2, u.metric, u.step, u.measured_at, u.value"                                     \
    " FROM unnest($3::smallint[], $4::bigint[], $5::timestamptz[], $6::float8[])"                  \
    "  AS u (metric, step, measured_at, value)"

/* The trial is looked for once per call, in place of a foreign key.  Summaries
 * that a late value falls into go; $7 to $9: each metric's range of steps.  The
 * segments are disjoint, so those to look at end with the first that reaches the
 * range's end. */
const struct assay__pg_statement assay__measurements_put = {
    .name = "measurements_put",
    .sql = "WITH put AS (" NEW_POINTS " ON CONFLICT (study_id, trial, metric, step)"
           "  DO UPDATE SET measured_at = EXCLUDED.measured_at, value = EXCLUDED.value),"
           " stale AS (DELETE FROM curve_segment WHERE ctid = ANY (ARRAY("
           "  SELECT s.id FROM unnest($7::smallint[], $8::bigint[], $9::bigint[])"
           "   AS r (metric, low, high)"
           "  CROSS JOIN LATERAL (SELECT coalesce((SELECT min(e.last_step) FROM curve_segment e"
           "   WHERE e.study_id = $1 AND e.trial = $2 AND e.metric = r.metric"
           "   AND e.last_step >= r.high), r.high) AS last_step) stop"
           "  CROSS JOIN LATERAL (SELECT c.ctid AS id FROM curve_segment c WHERE c.study_id = $1"
           "   AND c.trial = $2 AND c.metric = r.metric AND c.last_step >= r.low"
           "   AND c.last_step <= stop.last_step AND c.after_step < r.high OFFSET 0) s)))"
           " SELECT assay_trial_conflict($1, $2, '')"
           "  WHERE NOT EXISTS (SELECT FROM trial WHERE study_id = $1 AND number = $2)",
    .in = "qqSQZDSQQ",
};

const struct assay__pg_statement assay__measurements_append = {
    .name = "measurements_append",
    .sql = NEW_POINTS,
    .in = "qqSQZDSQQ",
};

static int
compare_values(const void *a, const void *b)
{
    const struct assay_metric_value *const *x = a, *const *y = b;

    if ((*x)->metric_id != (*y)->metric_id)
        return (*x)->metric_id < (*y)->metric_id ? -1 : 1;
    if ((*x)->step != (*y)->step)
        return (*x)->step < (*y)->step ? -1 : 1;
    /* Both point into one array: the order of the call. */
    return *x < *y ? -1 : *x > *y;
}

/* Sorts by metric and step, so that rows of one curve go to neighbouring places
 * of the index, and keeps the last value of a step: one statement can not touch
 * a row twice.  Returns how many are left. */
static size_t
sort_unique(const struct assay_metric_value **sorted, size_t n)
{
    size_t kept = 0;

    qsort(sorted, n, sizeof *sorted, compare_values);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && sorted[i]->metric_id == sorted[i + 1]->metric_id &&
            sorted[i]->step == sorted[i + 1]->step)
            continue;
        sorted[kept++] = sorted[i];
    }
    return kept;
}

/* Notes how much each curve grows; values are sorted.  Returns how many curves. */
static size_t
note_growth(struct assay_changes *changes, int64_t study_id, int64_t trial,
            const struct assay_metric_value **sorted, size_t n)
{
    size_t curves = 0;

    for (size_t i = 0; i < n; i++) {
        struct assay__growth *last = i > 0 && sorted[i]->metric_id == sorted[i - 1]->metric_id
                                         ? &changes->growth[changes->n_growth - 1]
                                         : NULL;

        if (last == NULL) {
            ASSAY_GROW(changes->growth, changes->n_growth, changes->growth_capacity);
            last = &changes->growth[changes->n_growth++];
            *last = (struct assay__growth){study_id, trial,           sorted[i]->metric_id,
                                           0,        sorted[i]->step, 0};
            curves++;
        }
        last->count++;
        last->max_step = sorted[i]->step;
    }
    return curves;
}

static void
add_ranges(struct assay__pg_args *args, const struct assay__growth *growth, size_t n)
{
    assay__pg_add_array(args, 's', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_int16(args, growth[i].metric_id);
    assay__pg_end_array(args);
    assay__pg_add_array(args, 'q', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_int64(args, growth[i].min_step);
    assay__pg_end_array(args);
    assay__pg_add_array(args, 'q', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_int64(args, growth[i].max_step);
    assay__pg_end_array(args);
}

void
assay_changes_measurements(struct assay_changes *changes, int64_t study_id, int64_t trial_number,
                           const struct assay_metric_value *values, size_t n_values)
{
    assay_auto_free const struct assay_metric_value **sorted = NULL;
    struct assay__pg_args *args;
    size_t n, curves;

    if (n_values == 0)
        return;
    sorted = assay_alloc(n_values, sizeof *sorted);
    for (size_t i = 0; i < n_values; i++)
        sorted[i] = &values[i];
    n = sort_unique(sorted, n_values);

    args = assay__changes_add(changes, &assay__measurements_put);
    curves = note_growth(changes, study_id, trial_number, sorted, n);
    changes->ops[changes->n_ops - 1].n_growth = curves;
    assay__pg_add_int64(args, study_id);
    assay__pg_add_int64(args, trial_number);
    assay__pg_add_array(args, 's', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_int16(args, sorted[i]->metric_id);
    assay__pg_end_array(args);
    assay__pg_add_array(args, 'q', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_int64(args, sorted[i]->step);
    assay__pg_end_array(args);
    assay__pg_add_array(args, 'z', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_time(args, sorted[i]->time_us);
    assay__pg_end_array(args);
    assay__pg_add_array(args, 'd', n);
    for (size_t i = 0; i < n; i++)
        assay__pg_item_double(args, sorted[i]->value);
    assay__pg_end_array(args);
    add_ranges(args, changes->growth + changes->n_growth - curves, curves);
}
