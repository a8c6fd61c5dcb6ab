/* The bounded log of an attempt's output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/output_log.h"

static char folder[] = "/tmp/assay-log-test-XXXXXX";

static int
set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int
tear_down(void **state)
{
    (void)state;
    return assay_remove_tree(folder, NULL);
}

static char *
content(const char *name)
{
    assay_auto_free char *path = assay_format("%s/%s", folder, name);
    char *text = NULL;

    return assay_file_read(path, 64 << 20, &text, NULL, NULL) == ASSAY_OK ? text : assay_strdup("");
}

static struct assay_output_log *
fresh(int64_t limit)
{
    struct assay_output_log *log;

    assert_int_equal(assay_remove_tree(folder, NULL), ASSAY_OK);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(assay_output_log_open(folder, limit, &log, NULL), ASSAY_OK);
    return log;
}

static void
what_fits_is_kept_whole(void **state)
{
    struct assay_output_log *log = fresh(8000);
    assay_auto_free char *text = NULL;

    (void)state;
    assay_output_log_write(log, "one\n", 4);
    assay_output_log_write(log, "two", 3);
    text = content("output.log");
    assert_string_equal(text, "one\ntwo");
    assay_output_log_close(log);
}

static void
head_and_tail_are_kept(void **state)
{
    /* In all sizes of writes the same: bounded, chronological, every byte either
     * there or counted. */
    static const size_t pieces[] = {1, 7, 100, 4096, 200000};

    (void)state;
    for (size_t k = 0; k < ASSAY_COUNT(pieces); k++) {
        struct assay_output_log *log = fresh(8000);
        struct assay_buffer all = {0};
        assay_auto_free char *older = NULL;
        assay_auto_free char *newer = NULL;
        const char *line;
        long long dropped;

        for (int i = 0; i < 10000; i++)
            assay_buffer_printf(&all, "line %d\n", i);
        for (size_t at = 0; at < all.length; at += pieces[k])
            assay_output_log_write(log, all.data + at, ASSAY_MIN(pieces[k], all.length - at));
        assay_output_log_close(log);
        older = content("output.log.1");
        newer = content("output.log");
        assert_true(strlen(older) + strlen(newer) <= 8100);
        assert_true(strlen(newer) > 0);
        line = strstr(older, "\n[assay: ");
        assert_non_null(line);
        assert_int_equal(sscanf(line, "\n[assay: %lld bytes", &dropped), 1);
        assert_int_equal((long long)strlen(older) + (long long)strlen(newer) + dropped -
                             (long long)(strchr(line + 1, '\n') + 1 - line),
                         (long long)all.length);
        assert_int_equal(line - older, 2000);
        assert_memory_equal(older, all.data, 2000);
        line = strchr(line + 1, '\n') + 1;
        assert_memory_equal(newer, all.data + all.length - strlen(newer), strlen(newer));
        assert_memory_equal(line, all.data + all.length - strlen(newer) - strlen(line),
                            strlen(line));
        assay_buffer_done(&all);
    }
}

static void
a_line_that_fits_nowhere_is_cut(void **state)
{
    struct assay_output_log *log = fresh(8000);
    char *block = assay_alloc(50000, 1);
    assay_auto_free char *newer = NULL;

    (void)state;
    memset(block, 'x', 50000);
    assay_output_log_write(log, "start\n", 6);
    assay_output_log_write(log, block, 50000);
    assay_output_log_write(log, "\nend\n", 5);
    assay_output_log_close(log);
    newer = content("output.log");
    assert_true(strlen(newer) <= 3000);
    assert_non_null(strstr(newer, "\nend\n"));
    free(block);
}

static void
last_lines_are_readable(void **state)
{
    static const char lines[] = "a\nb\nc\xff \x1b[1m\xc3\xa9\td\ne\n\n";
    struct assay_output_log *log = fresh(0);
    assay_auto_free char *none = assay_output_log_last_lines(log, 3);
    assay_auto_free char *three = NULL;
    assay_auto_free char *much = NULL;
    char *block = assay_alloc(10000, 1);

    (void)state;
    assert_string_equal(none, "");
    assay_output_log_write(log, lines, strlen(lines));
    three = assay_output_log_last_lines(log, 3);
    assert_string_equal(three, "b | c? ?[1m\xc3\xa9 d | e");
    for (size_t i = 0; i < 10000; i += 2)
        memcpy(block + i, "\xc3\xa9", 2);
    assay_output_log_write(log, block + 1, 9999);
    much = assay_output_log_last_lines(log, 3);
    assert_true(strlen(much) <= 2048 && (unsigned char)much[0] == 0xc3);
    assay_output_log_close(log);
    free(block);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_kept_whole),
        cmocka_unit_test(head_and_tail_are_kept),
        cmocka_unit_test(a_line_that_fits_nowhere_is_cut),
        cmocka_unit_test(last_lines_are_readable),
    };

    return cmocka_run_group_tests_name("output log", tests, set_up, tear_down);
}
