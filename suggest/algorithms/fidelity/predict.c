#include "suggest/algorithms/fidelity/predict.h"

#include <string.h>

#include "common/memory.h"

void
assay_predict(struct assay_gp_posterior *posterior, const double *rows, size_t k, double *ret_means,
              double *ret_sds)
{
    size_t columns = posterior->features->n_columns;
    assay_auto_free double *scaled = assay_alloc(ASSAY_GP_BATCH * columns + 1, sizeof *scaled);

    ASSAY_ASSERT(posterior->n_means == 1);
    for (size_t from = 0; from < k; from += ASSAY_GP_BATCH) {
        size_t part = ASSAY_MIN(k - from, (size_t)ASSAY_GP_BATCH);
        struct assay_gp_moments moments;

        for (size_t i = 0; i < part * columns; i++)
            scaled[i] = rows[from * columns + i] * posterior->roots[i % columns];
        assay_gp_posterior_predict(posterior, scaled, part,
                                   ret_sds != NULL ? ASSAY_GP_MOMENTS : ASSAY_GP_MEANS, &moments);
        memcpy(&ret_means[from], moments.means, part * sizeof *ret_means);
        if (ret_sds != NULL)
            memcpy(&ret_sds[from], moments.sds, part * sizeof *ret_sds);
    }
}
