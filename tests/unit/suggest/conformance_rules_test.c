/* The conformance checks: every built-in stopping rule passes them.  What they find:
 * plugin_check_test.c. */
#include "tests/unit/suggest/support.h"

#include "suggest/conformance.h"
#include "suggest/registry.h"

static void
test_built_in_rules(void **state ASSAY_UNUSED)
{
    for (size_t r = 0; assay_registry_rule_at(r) != NULL; r++) {
        for (size_t c = 0; c < assay_conformance_rule_count(); c++) {
            struct assay_conformance_result result;

            assay_conformance_rule_run(assay_registry_rule_at(r), c, &result);
            if (result.outcome != ASSAY_CONFORMANCE_PASSED)
                fail_msg("%s on %s: %s", assay_registry_rule_at(r)->name,
                         assay_conformance_rule_name(c), result.sentence);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
