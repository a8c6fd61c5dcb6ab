/* A file of another system: its translation, and that into YAML and back. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is printed as YAML is the same when it is read. */
static void
try_yaml(const json_t *document)
{
    struct assay_buffer yaml = {0};
    json_t *back = NULL;

    assay_yaml_write(document, &yaml);
    if (assay_yaml_read(yaml.data, yaml.length, &back, NULL, NULL) == ASSAY_OK)
        ASSAY_ASSERT(json_is_object(back));
    json_decref(back);
    assay_buffer_done(&yaml);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct assay_import import = {0};
    struct assay_faults faults = {0};
    struct assay_study_spec *spec;
    json_t *file = NULL;

    if (assay_yaml_read((const char *)data, size, &file, NULL, NULL) < 0)
        return 0;
    if (json_is_object(file) && assay_import_recognise(file) != ASSAY_IMPORT_NONE) {
        spec = assay_import_decode(file, "default", NULL, &import, &faults);
        ASSAY_ASSERT((spec == NULL) == (faults.count > 0));
        for (size_t i = 0; i < ASSAY_MIN(faults.count, (size_t)ASSAY_FAULTS_MAX); i++)
            ASSAY_ASSERT(faults.items[i].pointer[0] == '\0' || faults.items[i].pointer[0] == '/');
        try_yaml(import.document);
        assay_study_free(spec);
        assay_import_done(&import);
        assay_faults_done(&faults);
    }
    json_decref(file);
    return 0;
}
