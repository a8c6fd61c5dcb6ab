/* The user's own pattern for metric lines (trial.metrics.filter): a regular
 * expression whose first group is the metric's name and whose second its value;
 * with one group only, that is the value of the first objective.  Several patterns, one a
 * line, are looked for together; of those that match, the one that begins first counts, and
 * the search goes on behind it.
 *
 * Written in the everyday dialect of RE2 and Python, as for Katib: \d \w \s \D
 * \W \S (also in brackets), \b, \t, (?:…), (?P<name>…), a leading (?i), "{" as
 * itself where it is no count.  Translated to a POSIX extended expression, which
 * takes the longest of several matches at a place.  Refused: lazy repetitions,
 * look-around, back references, and what would take too much memory.
 * Immutable once made; any thread may match with it. */
#ifndef ASSAY_SCHEMAS_FILTER_H
#define ASSAY_SCHEMAS_FILTER_H

#include "common/error.h"

/* Of one line. */
#define ASSAY_FILTER_BYTES_MAX 1000
/* The product of all counts {n} of a pattern. */
#define ASSAY_FILTER_REPEAT_MAX 1000

/* Katib's default: accepted like any other. */
#define ASSAY_FILTER_KATIB "([\\w|-]+)\\s*=\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)"

struct assay_filter;

/* ASSAY_E_INVALID_VALUE with a sentence.  Caller frees with assay_filter_free. */
ASSAY_MUST_CHECK assay_status assay_filter_new(const char *pattern,
                                               struct assay_filter **ret_filter,
                                               struct assay_error *err);
struct assay_filter *assay_filter_free(struct assay_filter *filter); /* returns NULL */

/* Offsets into the text that was searched. */
struct assay_filter_match {
    size_t name, name_length;   /* the name is empty when there is one group */
    size_t value, value_length; /* the value may be empty */
    size_t end;                 /* go on searching from here; behind the start of the match */
};

/* The first match at or after `from`; false when there is none, and when `from`
 * is past the end of the line. */
bool assay_filter_find(const struct assay_filter *filter, const char *line, size_t from,
                       struct assay_filter_match *ret_match);

#endif
