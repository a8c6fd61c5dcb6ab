/* A study as Katib shows an Experiment: its spec, as it was given or as the study says it,
 * and the status with Katib's conditions, reasons, counts and lists.
 *
 * Trials are added one by one, so that those of a large study need not be held.  One thread. */
#ifndef ASSAY_SCHEMAS_KATIB_VIEW_H
#define ASSAY_SCHEMAS_KATIB_VIEW_H

#include "schemas/study_record.h"
#include "schemas/trial.h"

struct assay_katib_view;

/* `record` is borrowed until the end. */
struct assay_katib_view *assay_katib_view_new(const struct assay_study_record *record);
/* Any order; the lists come out in the order in which they are added. */
void assay_katib_view_add_trial(struct assay_katib_view *view, const struct assay_trial *trial);
/* Number of the trial that is currentOptimalTrial; 0 = none. */
int64_t assay_katib_view_best(const struct assay_katib_view *view);
/* What the best trial measured at one step, {"loss": 0.3}, in order of steps. */
void assay_katib_view_add_measurement(struct assay_katib_view *view, const json_t *metrics);
/* The Experiment; frees the view.  New reference. */
json_t *assay_katib_view_finish(struct assay_katib_view *view);

#endif
