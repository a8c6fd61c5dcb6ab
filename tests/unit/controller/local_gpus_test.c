/* GPU slots: pretended ones, and this machine's where NVML finds any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/memory.h"
#include "controller/local/gpus.h"

static void
pretended_slots_are_taken_and_put_back(void **state)
{
    struct assay__local_gpus *gpus = assay__local_gpus_new(3, NULL);
    json_t *two, *one, *again, *unknown = json_pack("[s,s]", "PRETEND-0", "GPU-of-another-machine");

    (void)state;
    assert_int_equal(assay__local_gpus_total(gpus), 3);
    assert_string_equal(assay__local_gpus_trouble(gpus), "");
    two = assay__local_gpus_take(gpus, 2);
    one = assay__local_gpus_take(gpus, 1);
    assert_int_equal(assay__local_gpus_idle(gpus), 0);
    assert_string_equal(json_string_value(json_array_get(one, 0)), "PRETEND-2");
    assay__local_gpus_put(gpus, two);
    assert_int_equal(assay__local_gpus_idle(gpus), 2);
    again = assay__local_gpus_take_named(gpus, unknown);
    assert_int_equal(json_array_size(again), 1);
    assert_int_equal(assay__local_gpus_idle(gpus), 1);
    json_decref(two);
    json_decref(one);
    json_decref(again);
    json_decref(unknown);
    assay__local_gpus_free(gpus);
}

static void
no_gpus_is_explained(void **state)
{
    struct assay__local_gpus *gpus = assay__local_gpus_new(-1, NULL);

    (void)state;
    if (assay__local_gpus_total(gpus) == 0) {
        assert_true(strlen(assay__local_gpus_trouble(gpus)) > 0);
        printf("SKIPPED, no GPU here: %s\n", assay__local_gpus_trouble(gpus));
        assay__local_gpus_free(gpus);
        skip();
    }
    assert_string_equal(assay__local_gpus_trouble(gpus), "");
    assay__local_gpus_free(gpus);
}

static void
the_machines_gpus_are_found_by_uuid(void **state)
{
    struct assay__local_gpus *gpus = assay__local_gpus_new(-1, NULL), *same;
    size_t n = assay__local_gpus_total(gpus);
    json_t *all;

    (void)state;
    if (n == 0) {
        printf("SKIPPED, no GPU here: %s\n", assay__local_gpus_trouble(gpus));
        assay__local_gpus_free(gpus);
        skip();
    }
    for (size_t i = 0; i < n; i++) {
        const char *name = assay__local_gpus_name(gpus, i);

        printf("GPU slot %zu: %s\n", i, name);
        assert_true(strncmp(name, "GPU-", 4) == 0 || strncmp(name, "MIG-", 4) == 0);
        /* As the daemon's CUDA_VISIBLE_DEVICES: whole and shortened. */
        for (size_t cut = 0; cut < 2; cut++) {
            assay_auto_free char *visible = assay_strndup(name, strlen(name) - 4 * cut);

            same = assay__local_gpus_new(-1, visible);
            assert_int_equal(assay__local_gpus_total(same), 1);
            assert_string_equal(assay__local_gpus_name(same, 0), name);
            assay__local_gpus_free(same);
        }
    }
    all = assay__local_gpus_take(gpus, n);
    assert_int_equal(json_array_size(all), n);
    json_decref(all);
    same = assay__local_gpus_new(-1, "");
    assert_int_equal(assay__local_gpus_total(same), 0);
    assert_string_equal(assay__local_gpus_trouble(same),
                        "CUDA_VISIBLE_DEVICES of the daemon hides every GPU");
    assay__local_gpus_free(same);
    assay__local_gpus_free(gpus);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pretended_slots_are_taken_and_put_back),
        cmocka_unit_test(no_gpus_is_explained),
        cmocka_unit_test(the_machines_gpus_are_found_by_uuid),
    };

    return cmocka_run_group_tests_name("local gpus", tests, NULL, NULL);
}
