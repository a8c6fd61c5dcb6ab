/* A user's own line pattern (metrics.filter): a regular expression in the
 * everyday dialect of RE2 and Python, matched by the C library's POSIX engine.
 *
 * Understood: classes \w \d \s \W \D \S (also inside brackets), \b, \t, (?:…),
 * (?P<name>…), a leading (?i), quantifiers, "{" as itself where it is no count.
 * Refused with a sentence: back references, look-around, lazy quantifiers.  The
 * first group is the metric's name and the second its value; a pattern with one
 * group gives the value of the first objective.  Immutable after compiling. */
#ifndef ASSAY_TRIAL_RUNNER_METRIC_FILTER_H
#define ASSAY_TRIAL_RUNNER_METRIC_FILTER_H

#include "common/error.h"

struct assay_metric_filter;

/* Longer lines are cut before they are matched: the engine's time may grow with
 * the square of the length. */
#define ASSAY_METRIC_FILTER_LINE_BYTES_MAX 8192

ASSAY_MUST_CHECK assay_status assay_metric_filter_compile(const char *pattern,
                                                          struct assay_metric_filter **ret_filter,
                                                          struct assay_error *err);
struct assay_metric_filter *assay_metric_filter_free(struct assay_metric_filter *filter);

/* Finds the next match at or after `*at` in the NUL-terminated line and moves `*at`
 * behind it.  The name is empty for a pattern with one group.  False at the end. */
bool assay_metric_filter_next(const struct assay_metric_filter *filter, const char *line,
                              size_t *at, const char **ret_name, size_t *ret_name_length,
                              const char **ret_value, size_t *ret_value_length);

#endif
