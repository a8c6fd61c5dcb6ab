/* Files, buffers and memory. */

/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/memory.h"

static char directory[] = "/tmp/assay-file-XXXXXX";

static int
make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int
remove_directory(void **state)
{
    (void)state;
    return assay_remove_tree(directory, NULL);
}

static void
files_are_written_and_read(void **state)
{
    assay_auto_free char *path = assay_format("%s/a", directory);
    char bytes[10000], *text;
    size_t length;
    struct stat info;
    struct assay_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i % 251);
    assert_int_equal(assay_file_write(path, bytes, sizeof bytes, 0600, &err), ASSAY_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(assay_file_read(path, sizeof bytes, &text, &length, &err), ASSAY_OK);
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(text, bytes, sizeof bytes);
    assert_int_equal(text[length], 0);
    free(text);
    assert_int_equal(assay_file_read(path, sizeof bytes - 1, &text, &length, &err),
                     ASSAY_E_TOO_LARGE);
    assert_int_equal(assay_file_write(path, "x\r\n\n", 4, 0600, &err), ASSAY_OK);
    assert_int_equal(assay_file_read_line(path, &text, &err), ASSAY_OK);
    assert_string_equal(text, "x");
    free(text);
    assert_int_equal(assay_file_replace(path, "", 0, 0600, &err), ASSAY_OK);
    assert_int_equal(assay_file_read(path, 10, &text, NULL, &err), ASSAY_OK);
    assert_string_equal(text, "");
    free(text);
}

static void
what_is_not_there_is_told(void **state)
{
    assay_auto_free char *path = assay_format("%s/nothing/here", directory);
    char *text = NULL;
    struct assay_error err = {0};

    (void)state;
    assert_int_equal(assay_file_read(path, 10, &text, NULL, &err), ASSAY_E_NOT_FOUND);
    assert_null(text);
    assert_int_equal(assay_file_write(path, "x", 1, 0600, &err), ASSAY_E_IO);
    assert_int_equal(assay_file_replace(path, "x", 1, 0600, &err), ASSAY_E_IO);
    assert_int_equal(assay_file_read(directory, 10, &text, NULL, &err), ASSAY_E_IO);
    assert_int_equal(assay_remove_tree(path, &err), ASSAY_OK);
}

static void
folders_are_made_and_removed(void **state)
{
    assay_auto_free char *deep = assay_format("%s/x/y/z", directory);
    assay_auto_free char *top = assay_format("%s/x", directory);
    assay_auto_free char *file = assay_format("%s/x/y/z/f", directory);
    assay_auto_free char *below = assay_format("%s/x/y/z/f/g", directory);
    assay_auto_free char *kept = assay_format("%s/kept", directory);
    assay_auto_free char *link = assay_format("%s/x/link", directory);
    struct stat info;

    (void)state;
    assert_int_equal(assay_make_directories(deep, 0700, NULL), ASSAY_OK);
    assert_int_equal(assay_make_directories(deep, 0700, NULL), ASSAY_OK);
    assert_int_equal(assay_file_write(file, "x", 1, 0600, NULL), ASSAY_OK);
    assert_int_equal(assay_make_directories(below, 0700, NULL), ASSAY_E_IO);
    assert_int_equal(assay_file_write(kept, "x", 1, 0600, NULL), ASSAY_OK);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(assay_remove_tree(top, NULL), ASSAY_OK);
    assert_int_not_equal(stat(top, &info), 0);
    assert_int_equal(stat(kept, &info), 0);
}

static void
buffers_grow_and_shrink(void **state)
{
    struct assay_buffer buffer = {0};
    char *text;

    (void)state;
    text = assay_buffer_steal(&buffer);
    assert_string_equal(text, "");
    free(text);
    for (int i = 0; i < 1000; i++)
        assay_buffer_printf(&buffer, "%d,", i % 10);
    assert_int_equal(buffer.length, 2000);
    assert_int_equal(strlen(buffer.data), 2000);
    assay_buffer_consume(&buffer, 1996);
    assert_string_equal(buffer.data, "8,9,");
    assay_buffer_consume(&buffer, 100);
    assert_int_equal(buffer.length, 0);
    assay_buffer_add(&buffer, "a\0b", 3);
    assay_buffer_puts(&buffer, "c");
    assert_memory_equal(buffer.data, "a\0bc", 5);
    assay_buffer_clear(&buffer);
    assert_string_equal(buffer.data, "");
    assay_buffer_add(&buffer, NULL, 0);
    assay_buffer_done(&buffer);
    assert_null(buffer.data);
}

static void
memory_helpers(void **state)
{
    assay_auto_free char *cut = assay_strndup("abc", 2);
    assay_auto_free char *all = assay_strndup("abc", 10);
    assay_auto_free char *text = assay_format("%s-%d", "x", 7);
    assay_auto_free uint64_t *zeros = assay_zalloc(3, sizeof *zeros);
    assay_auto_free int *none = assay_alloc(0, sizeof *none);
    int *list = NULL;
    size_t capacity = 0;

    (void)state;
    assert_string_equal(cut, "ab");
    assert_string_equal(all, "abc");
    assert_string_equal(text, "x-7");
    assert_null(assay_strdup(NULL));
    assert_non_null(none);
    assert_true(zeros[0] == 0 && zeros[2] == 0);
    for (size_t i = 0; i < 1000; i++) {
        ASSAY_GROW(list, i, capacity);
        list[i] = (int)i;
    }
    assert_true(capacity >= 1000 && capacity <= 2048);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    free(list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_and_read),
        cmocka_unit_test(what_is_not_there_is_told),
        cmocka_unit_test(folders_are_made_and_removed),
        cmocka_unit_test(buffers_grow_and_shrink),
        cmocka_unit_test(memory_helpers),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
