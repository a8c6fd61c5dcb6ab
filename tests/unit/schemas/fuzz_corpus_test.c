/* Replays the seed corpora of tests/fuzz without a fuzzer.  Skips when it is not
 * run from the top of the tree. */

#include "tests/unit/schemas/help.h"

#include "tests/unit/corpus.h"

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
