/* Replays the corpora of the runner's fuzz drivers.  Skips when it is not started
 * from the top of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/corpus.h"

#define LLVMFuzzerTestOneInput fuzz_metric_line
#include "tests/fuzz/metric_line_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tensorboard
#include "tests/fuzz/tensorboard_fuzz.c"
#undef LLVMFuzzerTestOneInput

static void
metric_line(void **state)
{
    (void)state;
    replay("metric_line", fuzz_metric_line);
}

static void
tensorboard(void **state)
{
    (void)state;
    replay("tensorboard", fuzz_tensorboard);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(metric_line),
                                       cmocka_unit_test(tensorboard)};

    return cmocka_run_group_tests_name("runner's fuzz corpora", tests, NULL, NULL);
}
