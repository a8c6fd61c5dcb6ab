/* A study file in YAML: read, checked, and if good, normalised and read again. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "schemas/study.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assay_auto_free char *text = assay_memdup(data, size);
    json_auto_t *json = NULL;
    json_auto_t *lines = NULL;
    struct assay_faults faults = {0};
    struct assay_error err = {0};
    struct assay_study_spec *spec, *again;

    if (assay_yaml_read(text, size, &json, &lines, &err) < 0) {
        ASSAY_ASSERT(err.message[0] != '\0');
        return 0;
    }
    spec = assay_study_decode(json, "default", NULL, &faults);
    assay_faults_add_lines(&faults, lines);
    ASSAY_ASSERT((spec == NULL) == (faults.count > 0));
    json_decref(assay_faults_to_json(&faults));
    assay_faults_done(&faults);
    if (spec != NULL) {
        again = assay_study_decode(spec->document, "default", NULL, &faults);
        ASSAY_ASSERT(again != NULL);
        ASSAY_ASSERT(json_equal(spec->document, again->document));
        assay_study_free(again);
    }
    assay_study_free(spec);
    return 0;
}
