/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <jansson.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"

/* What one call writes to standard error. */
static char *
logged(enum assay_log_level level, const char *message)
{
    char path[] = "/tmp/assay-log-XXXXXX", *text;
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);

    dup2(fd, STDERR_FILENO);
    assay_log(level, "study=%s: %s", "digits", message);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(assay_file_read(path, 100000, &text, NULL, NULL), ASSAY_OK);
    unlink(path);
    return text;
}

static void
lines_have_time_level_and_component(void **state)
{
    assay_auto_free char *text = NULL;

    (void)state;
    assay_log_init("assayd", ASSAY_LOG_INFO, false);
    text = logged(ASSAY_LOG_WARNING, "two\nlines");
    assert_int_equal(strlen(text), strlen("2026-01-02T03:04:05.123456Z ") +
                                       strlen("warning assayd: study=digits: two lines\n"));
    assert_string_equal(text + 28, "warning assayd: study=digits: two lines\n");
}

static void
json_lines_are_json(void **state)
{
    assay_auto_free char *text = NULL;
    json_t *json;

    (void)state;
    assay_log_init("assayd", ASSAY_LOG_DEBUG, true);
    text = logged(ASSAY_LOG_DEBUG, "two\n\"lines\"");
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "message")),
                        "study=digits: two\n\"lines\"");
    assert_string_equal(json_string_value(json_object_get(json, "level")), "debug");
    json_decref(json);
}

static void
lesser_levels_are_left_out(void **state)
{
    assay_auto_free char *text = NULL;

    (void)state;
    assay_log_init("assayd", ASSAY_LOG_WARNING, false);
    text = logged(ASSAY_LOG_INFO, "x");
    assert_string_equal(text, "");
}

static void
levels_have_names(void **state)
{
    enum assay_log_level level;

    (void)state;
    assert_true(assay_log_level_parse("error", &level) && level == ASSAY_LOG_ERROR);
    assert_false(assay_log_level_parse("loud", &level));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_time_level_and_component),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(lesser_levels_are_left_out),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
