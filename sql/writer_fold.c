/* What the writer remembers of the curves it adds to: how far each has grown since
 * it was summed up in the table curve_segment (128 points to a row, so that a curve
 * of a million points is drawn from some thousand rows), and its last step, so that
 * points which come after it are written without looking for old ones.
 *
 * The memory is a table of fixed size that may forget: a forgotten curve is summed
 * up later, from all its points that are not yet, and its last step is asked again.
 * What was rolled back leaves a last step that is too high, which only costs the
 * look. */
#include "common/memory.h"
#include "sql/writer_internal.h"

#define SEGMENT_POINTS "128"
#define FOLD_AFTER 128
#define SLOTS 16384 /* a power of two */

struct slot {
    int64_t study_id;
    int32_t trial, metric_id;
    int64_t count;     /* points since it was last summed up */
    int64_t last_step; /* no point is above it, if `known` */
    bool known;
};

struct assay__growing {
    struct slot slots[SLOTS];
};

struct assay__growing *
assay__growing_new(void)
{
    return ASSAY_NEW(struct assay__growing);
}

static size_t
slot_of(const struct assay__growth *growth)
{
    uint64_t hash = (uint64_t)growth->study_id * UINT64_C(0x9E3779B97F4A7C15) +
                    (uint64_t)growth->trial * UINT64_C(0xBF58476D1CE4E5B9) +
                    (uint64_t)growth->metric_id * UINT64_C(0x94D049BB133111EB);

    return (size_t)(hash >> 40) & (SLOTS - 1);
}

void
assay__growing_clear(struct assay__growing *growing)
{
    *growing = (struct assay__growing){0};
}

static bool
holds(const struct slot *slot, const struct assay__growth *growth)
{
    return slot->study_id == growth->study_id && slot->trial == growth->trial &&
           slot->metric_id == growth->metric_id;
}

bool
assay__growing_appends(const struct assay__growing *growing, const struct assay__growth *growth,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct slot *slot = &growing->slots[slot_of(&growth[i])];

        if (!holds(slot, &growth[i]) || !slot->known || growth[i].min_step <= slot->last_step)
            return false;
    }
    return n > 0;
}

enum assay__growing_next
assay__growing_add(struct assay__growing *growing, const struct assay__growth *growth)
{
    struct slot *slot = &growing->slots[slot_of(growth)];

    if (!holds(slot, growth))
        *slot = (struct slot){
            growth->study_id, (int32_t)growth->trial, growth->metric_id, 0, -1, false};
    slot->count += growth->count;
    slot->last_step = ASSAY_MAX(slot->last_step, growth->max_step);
    if (!slot->known)
        return ASSAY__GROWING_ASK;
    if (slot->count < FOLD_AFTER)
        return ASSAY__GROWING_NOTHING;
    slot->count %= FOLD_AFTER;
    return ASSAY__GROWING_FOLD;
}

void
assay__growing_learn(struct assay__growing *growing, const struct assay__growth *growth,
                     int64_t last_step)
{
    struct slot *slot = &growing->slots[slot_of(growth)];

    if (!holds(slot, growth))
        return;
    slot->last_step = ASSAY_MAX(slot->last_step, last_step);
    slot->known = true;
}

const struct assay__pg_statement assay__curve_last = {
    .name = "curve_last",
    .sql = "SELECT max(step) FROM measurement WHERE study_id = $1 AND trial = $2 AND metric = $3",
    .in = "qqq",
    .out = "q",
};

/* Full segments of the points after the last segment; the rest stays for later. */
const struct assay__pg_statement assay__fold = {
    .name = "curve_fold",
    .sql = "WITH last AS (SELECT coalesce(max(last_step), -1) AS step FROM curve_segment"
           "  WHERE study_id = $1 AND trial = $2 AND metric = $3),"
           " points AS (SELECT m.step, m.value,"
           "   (row_number() OVER (ORDER BY m.step) - 1) / " SEGMENT_POINTS " AS part"
           "  FROM measurement m WHERE m.study_id = $1 AND m.trial = $2 AND m.metric = $3"
           "   AND m.step > (SELECT step FROM last)),"
           " parts AS (SELECT part, min(step) AS first_step, max(step) AS last_step,"
           "   (array_agg(value ORDER BY step))[1] AS first_value,"
           "   (array_agg(value ORDER BY step))[" SEGMENT_POINTS "] AS last_value,"
           "   (array_agg(step ORDER BY value, step) FILTER (WHERE value <> 'NaN'))[1] AS min_step,"
           "   (array_agg(step ORDER BY value DESC, step) FILTER (WHERE value <> 'NaN'))[1]"
           "    AS max_step,"
           "   min(value) FILTER (WHERE value <> 'NaN') AS min_value,"
           "   max(value) FILTER (WHERE value <> 'NaN') AS max_value"
           "  FROM points GROUP BY part HAVING count(*) = " SEGMENT_POINTS ")"
           " INSERT INTO curve_segment (study_id, trial, metric, after_step, first_step, last_step,"
           "  min_step, max_step, first_value, last_value, min_value, max_value)"
           " SELECT $1, $2, $3,"
           "  coalesce(lag(last_step) OVER (ORDER BY part), (SELECT step FROM last)),"
           "  first_step, last_step, min_step, max_step, first_value, last_value, min_value,"
           "  max_value FROM parts",
    .in = "qqq",
};

void
assay__curve_args(struct assay__pg_args *args, const struct assay__growth *growth)
{
    assay__pg_add_int64(args, growth->study_id);
    assay__pg_add_int64(args, growth->trial);
    assay__pg_add_int64(args, growth->metric_id);
}
