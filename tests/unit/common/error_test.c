/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>

#include "common/error.h"
#include "common/memory.h"

static void
errors_are_filled(void **state)
{
    struct assay_error err = {0};

    (void)state;
    assert_int_equal(assay_fail(&err, ASSAY_E_CONFLICT, "trial %d is %s", 3, "done"),
                     ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "trial 3 is done");
    assert_string_equal(err.pointer, "");
    assert_int_equal(assay_wrap(&err, "asking for %d", 4), ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "asking for 4: trial 3 is done");
    assert_int_equal(assay_fail_at(&err, ASSAY_E_INVALID_VALUE, "/a/0", "bad"),
                     ASSAY_E_INVALID_VALUE);
    assert_string_equal(err.pointer, "/a/0");
    assert_int_equal(assay_fail_errno(&err, ENOENT, "opening %s", "x"), ASSAY_E_IO);
    assert_string_equal(err.message, "opening x: No such file or directory");
    assert_int_equal(err.os_errno, ENOENT);
    assert_int_equal(assay_fail(NULL, ASSAY_E_TIMEOUT, "x"), ASSAY_E_TIMEOUT);
    assert_int_equal(assay_fail_errno(NULL, ENOENT, "x"), ASSAY_E_IO);
}

static void
long_messages_are_cut_between_characters(void **state)
{
    for (size_t lead = 0; lead < 8; lead++) {
        struct assay_error err = {0};
        char text[2 * ASSAY_ERROR_MESSAGE_BYTES];
        json_t *json;
        size_t at = 0;

        (void)state;
        for (; at < lead; at++)
            text[at] = 'x';
        while (at + 3 < sizeof text) {
            memcpy(text + at, "\xE2\x82\xAC", 3);
            at += 3;
        }
        text[at] = '\0';
        assay_fail(&err, ASSAY_E_INTERNAL, "%s", text);
        assert_true(strlen(err.message) < sizeof err.message);
        assert_string_equal(err.message + strlen(err.message) - 3, "...");
        json = json_string(err.message); /* NULL if it were no valid UTF-8 */
        assert_non_null(json);
        json_decref(json);
        assay_wrap(&err, "%s", text);
        assert_true(strlen(err.message) < sizeof err.message);
        json = json_string(err.message);
        assert_non_null(json);
        json_decref(json);
    }
}

static void
codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(assay_status_name(ASSAY_E_STUDY_EXISTS), "study_exists");
    assert_int_equal(assay_status_http(ASSAY_E_STUDY_EXISTS), 409);
    assert_int_equal(assay_status_exit(ASSAY_E_STUDY_EXISTS), 2);
    assert_true(assay_status_retry(ASSAY_E_UNAVAILABLE));
    assert_false(assay_status_retry(ASSAY_E_NOT_FOUND));
    assert_string_equal(assay_status_name(ASSAY_OK), "ok");
    assert_int_equal(assay_status_http(ASSAY_OK), 200);
    assert_int_equal(assay_status_from_name("not_found"), ASSAY_E_NOT_FOUND);
    assert_int_equal(assay_status_from_name("no such code"), ASSAY_E_INTERNAL);
    assert_int_equal(assay_status_from_name(NULL), ASSAY_E_INTERNAL);
    for (int i = 1; i <= 24; i++) {
        assay_status status = (assay_status)-i;

        assert_int_equal(assay_status_from_name(assay_status_name(status)), status);
        assert_true(assay_status_http(status) >= 400 && assay_status_http(status) < 600);
        assert_true(strlen(assay_status_text(status)) > 0);
    }
}

static void
pointers_are_escaped(void **state)
{
    assay_auto_free char *key = assay_pointer_key("/a", "b/c~d");
    assay_auto_free char *empty = assay_pointer_key("", "");
    assay_auto_free char *index = assay_pointer_index("/a", 12);

    (void)state;
    assert_string_equal(key, "/a/b~1c~0d");
    assert_string_equal(empty, "/");
    assert_string_equal(index, "/a/12");
}

static void
faults_become_json(void **state)
{
    struct assay_faults faults = {0};
    json_t *found = json_integer(3), *list;
    char long_text[400];
    json_t *long_json;

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    long_json = json_string(long_text);
    assay_fault_add(&faults, "/a", found, "less than 3", "%s is %d", "a", 3);
    assay_fault_add(&faults, "", NULL, NULL, "b");
    assay_fault_add(&faults, "/c", long_json, NULL, "c");
    faults.items[1].line = 7;
    list = assay_faults_to_json(&faults);
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "message")),
                        "a is 3");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "found")), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "allowed")),
                        "less than 3");
    assert_null(json_object_get(json_array_get(list, 0), "line"));
    assert_null(json_object_get(json_array_get(list, 1), "found"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "line")), 7);
    assert_true(json_string_length(json_object_get(json_array_get(list, 2), "found")) < 200);
    json_decref(list);
    json_decref(found);
    json_decref(long_json);
    for (int i = 0; i < 500; i++)
        assay_fault_add(&faults, "/x", NULL, NULL, "more");
    assert_int_equal(faults.count, 503);
    list = assay_faults_to_json(&faults);
    assert_int_equal(json_array_size(list), ASSAY_FAULTS_MAX);
    json_decref(list);
    assay_faults_done(&faults);
    assert_int_equal(faults.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_filled),
        cmocka_unit_test(long_messages_are_cut_between_characters),
        cmocka_unit_test(codes_have_names),
        cmocka_unit_test(pointers_are_escaped),
        cmocka_unit_test(faults_become_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
