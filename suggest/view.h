/* The search space as the plugin ABI shows it, and what can be asked of a point
 * of it.
 *
 * Not for JSON: that is schemas/point.h.  A view is immutable once made and may
 * be read by any number of threads. */
#ifndef ASSAY_SUGGEST_VIEW_H
#define ASSAY_SUGGEST_VIEW_H

#include "common/error.h"
#include "schemas/space.h"
#include "suggest/plugin.h"

struct assay_view;

/* `space` is borrowed for the life of the view. */
struct assay_view *assay_view_new(const struct assay_space *space);
struct assay_view *assay_view_free(struct assay_view *view); /* NULL allowed; returns NULL */
const struct assay_plugin_space *assay_view_space(const struct assay_view *view);

/* The functions below take a space that a view has made. */

/* The allowed value of parameter i nearest to the finite `value`. */
double assay_view_snap(const struct assay_plugin_space *space, size_t i, double value);
/* Whether parameter i is active given its parents' values in `point`. */
bool assay_view_active(const struct assay_plugin_space *space, const double *point, size_t i);
/* Whether one condition holds for a value of its parent (NaN: it does not). */
bool assay_view_condition_holds(const struct assay_plugin_condition *condition,
                                double parent_value);

/* Same values, inactive equal to inactive.  Values must have been snapped. */
bool assay_view_equal(const struct assay_plugin_space *space, const double *a, const double *b);
/* Equal points have equal hashes. */
uint64_t assay_view_hash(const struct assay_plugin_space *space, const double *point);

/* ASSAY_E_INVALID_VALUE naming the parameter unless every active value is allowed
 * and every inactive one NaN. */
ASSAY_MUST_CHECK assay_status assay_view_check(const struct assay_plugin_space *space,
                                               const double *point, struct assay_error *err);

#endif
