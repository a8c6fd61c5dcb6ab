/* Replays the corpora of the runner's fuzz drivers.  Skips when it is not started
 * from the top of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>

#include "common/file.h"

#define LLVMFuzzerTestOneInput fuzz_metric_line
#include "tests/fuzz/metric_line_fuzz.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_tensorboard
#include "tests/fuzz/tensorboard_fuzz.c"
#undef LLVMFuzzerTestOneInput

static void
replay(const char *name, int (*target)(const uint8_t *data, size_t size))
{
    assay_auto_free char *folder = assay_format("tests/fuzz/corpus/%s", name);
    DIR *files = opendir(folder);
    size_t n = 0;

    if (files == NULL) {
        printf("SKIPPED: %s is not here\n", folder);
        skip();
    }
    for (const struct dirent *file; (file = readdir(files)) != NULL;) {
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
