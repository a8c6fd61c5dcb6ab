/* The metrics of one attempt: which names were seen, each one's next step and
 * last value.  Gives a measurement its step when the source had none, so that
 * sending it twice changes nothing.  One thread; names live as long as the book. */
#ifndef ASSAY_SCHEMAS_METRIC_BOOK_H
#define ASSAY_SCHEMAS_METRIC_BOOK_H

#include <jansson.h>

#include "common/base.h"

/* Names that nobody declared, beyond the known ones: the rest is noise. */
#define ASSAY_METRIC_BOOK_NAMES_MAX 100

struct assay_metric_book;

/* `names` are the known ones, copied; the first `n_objectives` of them decide
 * assay_metric_book_has_objectives. */
struct assay_metric_book *assay_metric_book_new(const char *const *names, size_t n_names,
                                                size_t n_objectives);
struct assay_metric_book *assay_metric_book_free(struct assay_metric_book *book);

/* Enters a value.  `step` < 0: the metric's next one (the first is 1).  NULL when
 * the name is refused (too many, or not printable UTF-8); else the name as the book keeps it,
 * and the step. */
const char *assay_metric_book_enter(struct assay_metric_book *book, const char *name, int64_t step,
                                    double value, int64_t *ret_step);

/* What was entered is forgotten, the names are not: the source begins anew. */
void assay_metric_book_restart(struct assay_metric_book *book);

bool assay_metric_book_has_objectives(const struct assay_metric_book *book);
/* Last value of every metric seen, {"loss": 0.3}; new reference. */
json_t *assay_metric_book_last(const struct assay_metric_book *book);

#endif
