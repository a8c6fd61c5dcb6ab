/* Metric values in one line of output: pure, no files, no clock.
 *
 * What counts (docs/reference/metrics.md has examples):
 *  - known names (objectives and constraints): `name=value` and `name: value`,
 *    blanks allowed, the name quoted or not.  With "=" exactly what Katib's default
 *    filter ([\w|-]+)\s*=\s*(number) finds, so `x.loss=1` is a value of `loss` as
 *    long as `x.loss` is no known name itself;
 *  - other names: `name=value` without blanks, where what surrounds it shows that a
 *    pair was meant (not a part of a path, a URL, a date or an option); and
 *    `name: value` when the line is nothing but such pairs;
 *  - a JSON object with numbers, or texts that are numbers, also below "metrics";
 *  - the step: `step`, `epoch` or `global_step` (in this order of preference, any
 *    case) with a whole number, in the same line.
 * Values: decimal numbers ("1.", ".98", "-7.5e-05"), nan, inf, infinity with sign
 * and in any case; a unit behind a number is not part of it.  A hexadecimal number
 * is none.  A user's filter replaces all of this but the step. */
#ifndef ASSAY_SCHEMAS_METRIC_LINE_H
#define ASSAY_SCHEMAS_METRIC_LINE_H

#include "common/buffer.h"
#include "common/error.h"

/* Longer lines are cut here. */
#define ASSAY_METRIC_LINE_BYTES_MAX 65536
/* Pairs of one line; the rest is ignored. */
#define ASSAY_METRIC_LINE_PAIRS_MAX 256
#define ASSAY_METRIC_NAME_LENGTH_MAX 255

/* What is looked for; immutable, any thread. */
struct assay_metric_pattern;

/* `names` (copied) are the known ones, the first objective first; `filter` may be
 * NULL.  ASSAY_E_INVALID_VALUE when it can not be compiled. */
ASSAY_MUST_CHECK assay_status assay_metric_pattern_new(const char *const *names, size_t n_names,
                                                       const char *filter,
                                                       struct assay_metric_pattern **ret_pattern,
                                                       struct assay_error *err);
/* Steps that stand in a line are not taken: each value is the next one of its metric.
 * Before the first line is read. */
void assay_metric_pattern_count_steps(struct assay_metric_pattern *pattern);
struct assay_metric_pattern *assay_metric_pattern_free(struct assay_metric_pattern *pattern);
/* Index of a known name, or -1. */
ptrdiff_t assay_metric_pattern_find(const struct assay_metric_pattern *pattern, const char *name,
                                    size_t length);

/* The known name of an index; borrowed. */
const char *assay_metric_pattern_name(const struct assay_metric_pattern *pattern, size_t i);

struct assay_metric_pair {
    size_t name; /* offset of the NUL-terminated name in `names` */
    double value;
};

/* What a line held; initialise with {0} and use again for the next line. */
struct assay_metric_line {
    struct assay_metric_pair pairs[ASSAY_METRIC_LINE_PAIRS_MAX];
    size_t count;
    int64_t step; /* -1 = none in the line, or not taken */
    struct assay_buffer names;
    struct assay_buffer text; /* the line without control sequences */
};
void assay_metric_line_done(struct assay_metric_line *line);
static inline const char *
assay_metric_line_name(const struct assay_metric_line *line, size_t i)
{
    return line->names.data + line->pairs[i].name;
}

/* Reads one line (any bytes, without its end). */
void assay_metric_line_read(const struct assay_metric_pattern *pattern, const char *bytes,
                            size_t length, struct assay_metric_line *ret_line);

#endif
