/* A study file in JSON, and its search space with a point of it. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "schemas/point.h"
#include "schemas/study.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The middle of a good space is a point of it. */
static void
try_middle(const struct assay_space *space)
{
    double *point = assay_alloc(space->n_parameters, sizeof *point);
    double *back = assay_alloc(space->n_parameters, sizeof *back);
    json_auto_t *empty = json_object();
    json_auto_t *json = NULL;
    json_auto_t *texts = NULL;
    struct assay_faults faults = {0};

    ASSAY_ASSERT(assay_point_decode_part(space, empty, "", &faults, point));
    json = assay_point_encode(space, point);
    texts = assay_space_texts(space, json);
    ASSAY_ASSERT(json_object_size(texts) == space->n_parameters);
    ASSAY_ASSERT(assay_point_decode(space, json, "", false, &faults, back));
    ASSAY_ASSERT(assay_point_equal(space, point, back));
    ASSAY_ASSERT(assay_point_hash(space, point) == assay_point_hash(space, back));
    ASSAY_ASSERT(assay_space_cardinality(space) >= 1.0);
    free(point);
    free(back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *json = json_loadb((const char *)data, size,
                                   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    struct assay_faults faults = {0};
    struct assay_study_spec *spec = assay_study_decode(json, "default", NULL, &faults);
    struct assay_limits limits = {.parallel = 1, .failed_trials = -1};

    ASSAY_ASSERT((spec == NULL) == (faults.count > 0));
    json_decref(assay_faults_to_json(&faults));
    assay_faults_done(&faults);
    if (spec != NULL)
        try_middle(spec->space);
    assay_study_free(spec);
    if (assay_limits_patch(&limits, json, true, &faults, &limits))
        json_decref(assay_limits_encode(&limits, true));
    assay_faults_done(&faults);
    return 0;
}
