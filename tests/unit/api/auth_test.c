#include "api/auth.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "api/study_names.h"
#include "common/memory.h"

static void
test_admin_and_trial_tokens(void **state)
{
    const struct assay_trial_subject subject = {3, 4, 5};
    assay_auto_free char *trial = assay_trial_token_make("key", &subject);
    struct assay_auth *auth = assay_auth_new("the admin's token");
    struct assay_principal who;

    (void)state;
    assert_true(assay_auth_known(auth, "the admin's token", "key", &who));
    assert_int_equal(who.role, ASSAY_ROLE_ADMIN);
    assert_string_equal(who.project, "");
    assert_false(assay_auth_known(auth, "the admin's toke", "key", &who));
    assert_true(assay_auth_known(auth, trial, "key", &who));
    assert_true(who.is_trial);
    assert_int_equal(who.trial.trial_number, 4);
    assert_int_equal(who.role, ASSAY_ROLE_NONE);
    assert_false(assay_auth_known(auth, trial, "other", &who));
    assert_false(assay_auth_known(auth, trial, NULL, &who));
    /* The store is never asked about a trial's token. */
    assert_int_equal(assay_auth_find(auth, trial, NULL, &who, NULL), ASSAY_E_UNAUTHORIZED);
    assay_auth_free(auth);
}

static void
test_checks(void **state)
{
    const struct assay_principal admin = {.role = ASSAY_ROLE_ADMIN};
    const struct assay_principal owner = {.role = ASSAY_ROLE_ADMIN, .project = "p"};
    const struct assay_principal viewer = {.role = ASSAY_ROLE_VIEWER, .project = "p"};
    const struct assay_principal trial = {.is_trial = true};
    static const struct {
        int who; /* admin, owner, viewer, trial */
        enum assay_role role;
        const char *project;
        bool good;
    } table[] = {
        {0, ASSAY_ROLE_ADMIN, NULL, true},   {0, ASSAY_ROLE_ADMIN, "q", true},
        {1, ASSAY_ROLE_ADMIN, "p", true},    {1, ASSAY_ROLE_ADMIN, "q", false},
        {1, ASSAY_ROLE_ADMIN, NULL, false},  {1, ASSAY_ROLE_VIEWER, NULL, true},
        {2, ASSAY_ROLE_VIEWER, "p", true},   {2, ASSAY_ROLE_EDITOR, "p", false},
        {2, ASSAY_ROLE_VIEWER, "q", false},  {2, ASSAY_ROLE_VIEWER, NULL, true},
        {3, ASSAY_ROLE_VIEWER, "p", false},  {3, ASSAY_ROLE_NONE, NULL, true},
    };
    const struct assay_principal *const all[] = {&admin, &owner, &viewer, &trial};

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(table); i++)
        assert_int_equal(assay_principal_check(all[table[i].who], table[i].role, table[i].project,
                                               NULL),
                         table[i].good ? ASSAY_OK : ASSAY_E_FORBIDDEN);
}

static void
test_fresh_tokens(void **state)
{
    assay_auto_free char *one = assay_auth_new_token();
    assay_auto_free char *two = assay_auth_new_token();

    (void)state;
    assert_int_equal(strlen(one), 6 + 48);
    assert_string_not_equal(one, two);
    assert_false(assay_trial_token_is(one));
}

static void
test_study_names(void **state)
{
    struct assay_study_names *names = assay_study_names_new();
    assay_auto_free char *long_name = assay_zalloc(1001, 1);
    int64_t id = -1;

    (void)state;
    assert_false(assay_study_names_get(names, "p", "s", &id));
    assay_study_names_put(names, "p", "s", 7);
    assay_study_names_put(names, "q", "s", 8);
    assert_true(assay_study_names_get(names, "p", "s", &id));
    assert_int_equal(id, 7);
    assert_false(assay_study_names_get(names, "p", "t", &id));
    assay_study_names_forget(names, "p", "t");
    assay_study_names_forget(names, "p", "s");
    assert_false(assay_study_names_get(names, "p", "s", &id));
    assert_true(assay_study_names_get(names, "q", "s", &id));
    assert_int_equal(id, 8);
    memset(long_name, 'x', 1000);
    assay_study_names_put(names, "p", long_name, 9);
    assert_false(assay_study_names_get(names, "p", long_name, &id));
    assay_study_names_free(names);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin_and_trial_tokens),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_fresh_tokens),
        cmocka_unit_test(test_study_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
