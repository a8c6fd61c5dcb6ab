#include "tests/unit/schemas/help.h"

static void
references_are_replaced(void **state)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"", ""},
        {"plain", "plain"},
        {"${lr}", "0.1"},
        {"--lr=${lr} --n=${n}!", "--lr=0.1 --n=3!"},
        {"${lr}${lr}", "0.10.1"},
        {"${empty}", ""},
        {"$lr $ $$ $", "$lr $ $$ $"},
        {"$${lr}", "${lr}"},
        {"$${HOME}/${n}", "${HOME}/3"},
        {"$$${lr}", "$${lr}"},
        {"$(lr)", "$(lr)"},
        {"${a/b.c-d}", "deep"},
        /* What was put in is not looked at again. */
        {"${tricky}", "${lr}"},
    };
    json_auto_t *values = json_of("{'lr': '0.1', 'n': '3', 'empty': '', 'a/b.c-d': 'deep', "
                                  "'tricky': '${lr}'}");

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_auto_free char *text = NULL;
        struct assay_error err = {0};

        if (assay_substitute(rows[i].text, values, &text, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.message);
        assert_string_equal(text, rows[i].wanted);
    }
}

static void
unknown_references_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"x ${lrr}", "${lrr} is not declared"},
        {"${}", "${} is not declared"},
        {"${ lr}", "${ lr} is not declared"},
        {"${lr", "\"${\" without \"}\""},
        {"${number}", "${number} is not declared"},
    };
    json_auto_t *values = json_of("{'lr': '0.1', 'number': 3}");

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        char *text = NULL;
        struct assay_error err = {0};

        assert_int_equal(assay_substitute(rows[i].text, values, &text, &err),
                         ASSAY_E_INVALID_VALUE);
        assert_string_equal(err.message, rows[i].message);
        assert_null(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_are_replaced),
        cmocka_unit_test(unknown_references_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
