#include "controller/trial_token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/memory.h"

static const struct assay_trial_subject subject = {7, 1234, 3};

static void
test_round_trip(void **state)
{
    assay_auto_free char *token = assay_trial_token_make("key", &subject);
    struct assay_trial_subject read = {0};

    (void)state;
    assert_true(strncmp(token, "assay_trial_7.1234.3.", 21) == 0);
    assert_int_equal(strlen(token), 21 + 64);
    assert_true(assay_trial_token_is(token));
    assert_true(assay_trial_token_check("key", token, &read));
    assert_int_equal(read.study_id, 7);
    assert_int_equal(read.trial_number, 1234);
    assert_int_equal(read.attempt, 3);
    assert_false(assay_trial_token_check("other key", token, &read));
}

/* RFC 4231 style: the code is HMAC-SHA256 and nothing of our own. */
static void
test_known_value(void **state)
{
    assay_auto_free char *token = assay_trial_token_make("key", &subject);

    (void)state;
    assert_string_equal(token + 21,
                        "d0ed8d2f398e9e258aece2cbc788d92a13dfe09533b0f666f262b7eced166ffe");
}

static void
test_every_changed_byte_is_refused(void **state)
{
    assay_auto_free char *token = assay_trial_token_make("key", &subject);
    struct assay_trial_subject read = {-1, -1, -1};

    (void)state;
    for (size_t i = 0; token[i] != '\0'; i++) {
        char kept = token[i];

        token[i] = kept == '1' ? '2' : '1';
        assert_false(assay_trial_token_check("key", token, &read));
        token[i] = '\0';
        assert_false(assay_trial_token_check("key", token, &read));
        token[i] = kept;
    }
    assert_int_equal(read.study_id, -1);
}

static void
test_malformed(void **state)
{
    static const char *const bad[] = {
        "",
        "assay_trial_",
        "assay_trial_7",
        "assay_trial_7.1234.3",
        "assay_trial_7.1234.3.",
        "assay_trial_-7.1234.3.00",
        "assay_trial_07.1234.3.00",
        "assay_trial_99999999999999999999.1.1.00",
        "assay_trial_...",
        "Bearer",
    };
    assay_auto_free char *token = assay_trial_token_make("key", &subject);
    assay_auto_free char *longer = assay_format("%s0", token);
    assay_auto_free char *huge = assay_zalloc(100001, 1);
    struct assay_trial_subject read;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++)
        assert_false(assay_trial_token_check("key", bad[i], &read));
    assert_false(assay_trial_token_check("key", longer, &read));
    memset(huge, '7', 100000);
    memcpy(huge, "assay_trial_", 12);
    assert_false(assay_trial_token_check("key", huge, &read));
    assert_false(assay_trial_token_is("assay_0123"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_known_value),
        cmocka_unit_test(test_every_changed_byte_is_refused),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
