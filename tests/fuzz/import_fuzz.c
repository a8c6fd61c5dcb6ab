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

/* A file that refers to a text, with itself as the text. */
static void
try_reference(const json_t *file)
{
    struct assay_import_source source;
    struct assay_import import = {0};
    struct assay_faults faults = {0};
    json_t *whole, *lines = NULL;
    struct assay_buffer text = {0};

    if (!assay_import_refers(file, &source))
        return;
    assay_yaml_write(file, &text);
    whole = assay_import_include(file, &source, text.data, "1", &lines, &faults);
    ASSAY_ASSERT((whole == NULL) == (faults.count > 0));
    if (whole != NULL) {
        assay_study_free(assay_import_decode(whole, "default", NULL, &import, &faults));
        assay_import_faults_outside(&faults, &source, lines);
        assay_import_done(&import);
    }
    json_decref(whole);
    json_decref(lines);
    assay_buffer_done(&text);
    assay_faults_done(&faults);
    assay_import_source_done(&source);
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
        try_reference(file);
        assay_study_free(spec);
        assay_import_done(&import);
        assay_faults_done(&faults);
    }
    json_decref(file);
    return 0;
}
