#include "suggest/analysis/importance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/memory.h"

void
assay_importance_init(struct assay_importance *importance,
                      const struct assay_analysis_trials *trials)
{
    *importance = (struct assay_importance){
        .n_parameters = trials->space->n_parameters,
        .shares = assay_zalloc(trials->space->n_parameters + 1, sizeof(double)),
        .explained = NAN,
        .n_trials = trials->n,
    };
}

void
assay_importance_done(struct assay_importance *importance)
{
    free(importance->shares);
    free(importance->interactions);
    *importance = (struct assay_importance){0};
}

bool
assay_importance_set(struct assay_importance *importance, const double *raw)
{
    double sum = 0.0;

    for (size_t i = 0; i < importance->n_parameters; i++)
        sum += raw[i];
    if (!(sum > 1e-9)) {
        snprintf(importance->message, sizeof importance->message,
                 "No parameter stands out: good and bad trials lie in the same places.");
        return false;
    }
    for (size_t i = 0; i < importance->n_parameters; i++)
        importance->shares[i] = raw[i] / sum;
    return true;
}
