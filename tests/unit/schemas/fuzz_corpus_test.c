/* Replays the seed corpora of tests/fuzz without a fuzzer.  Skips when it is not
 * run from the top of the tree. */

#include "tests/unit/schemas/help.h"

#include <dirent.h>

#include "common/file.h"

#define LLVMFuzzerTestOneInput fuzz_study_yaml
#include "tests/fuzz/study_yaml_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_study_json
#include "tests/fuzz/study_json_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_measurements
#include "tests/fuzz/measurements_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_filter
#include "tests/fuzz/filter_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_config
#include "tests/fuzz/config_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_import
#include "tests/fuzz/import_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_gjson
#include "tests/fuzz/gjson_fuzz.c"
#undef LLVMFuzzerTestOneInput

static void
replay(const char *name, int (*target)(const uint8_t *data, size_t size))
{
    assay_auto_free char *folder = assay_format("tests/fuzz/corpus/%s", name);
    DIR *files = opendir(folder);
    const struct dirent *file;
    size_t n = 0;

    if (files == NULL) {
        print_message("%s is not here\n", folder);
        skip();
    }
    while ((file = readdir(files)) != NULL) {
        assay_auto_free char *path = assay_format("%s/%s", folder, file->d_name);
        assay_auto_free char *text = NULL;
        size_t length;

        if (file->d_name[0] == '.')
            continue;
        assert_int_equal(assay_file_read(path, 1 << 20, &text, &length, NULL), ASSAY_OK);
        target((const uint8_t *)text, length);
        n++;
    }
    closedir(files);
    assert_true(n > 0);
}

static void
study_yaml(void **state)
{
    (void)state;
    replay("study_yaml", fuzz_study_yaml);
}

static void
study_json(void **state)
{
    (void)state;
    replay("study_json", fuzz_study_json);
}

static void
measurements(void **state)
{
    (void)state;
    replay("measurements", fuzz_measurements);
}

static void
filters(void **state)
{
    (void)state;
    replay("filter", fuzz_filter);
}

static void
config(void **state)
{
    (void)state;
    replay("config", fuzz_config);
}

static void
imports(void **state)
{
    (void)state;
    replay("import", fuzz_import);
}

static void
conditions(void **state)
{
    (void)state;
    replay("gjson", fuzz_gjson);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(study_yaml), cmocka_unit_test(study_json), cmocka_unit_test(measurements),
        cmocka_unit_test(filters),    cmocka_unit_test(config),     cmocka_unit_test(imports),
        cmocka_unit_test(conditions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
