/* Measurements and final metrics as workers send them. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "schemas/trial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_auto_t *json =
        json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    struct assay_measurements list = {0};
    struct assay_faults faults = {0};
    json_t *metrics = NULL;
    bool good = assay_measurements_decode(json, "/measurements", 0, 0, &faults, &list);

    ASSAY_ASSERT(good == (faults.count == 0));
    ASSAY_ASSERT(good || list.count == 0);
    for (size_t i = 0; i < list.count; i++)
        ASSAY_ASSERT(list.items[i].step >= 0 && list.items[i].metric[0] != '\0');
    assay_measurements_done(&list);
    json_decref(assay_faults_to_json(&faults));
    assay_faults_done(&faults);
    if (assay_metrics_decode(json, "/metrics", &faults, &metrics)) {
        json_t *again = NULL;

        ASSAY_ASSERT(assay_metrics_decode(metrics, "/metrics", &faults, &again));
        ASSAY_ASSERT(json_equal(metrics, again));
        json_decref(again);
        json_decref(metrics);
    }
    assay_faults_done(&faults);
    return 0;
}
