/* Generated tables and the served OpenAPI document. */

#include "tests/unit/schemas/help.h"

#include "schemas/decode.h"
#include "schemas/openapi_json.h"
#include "schemas/states.h"

#define CHECK_NAMES(type, last)                                                                   \
    for (int i = 0; i < (int)(last); i++) {                                                       \
        const char *name = type##_name((enum type)i);                                             \
        enum type value;                                                                          \
                                                                                                  \
        if (name == NULL)                                                                         \
            continue;                                                                             \
        assert_true(type##_parse(name, &value));                                                  \
        assert_int_equal(value, i);                                                               \
    }

static void
names_are_read_back(void **state)
{
    enum assay_trial_state trial_state;

    (void)state;
    CHECK_NAMES(assay_study_state, ASSAY_STUDY_STATE_MAX_)
    CHECK_NAMES(assay_study_reason, ASSAY_STUDY_REASON_MAX_)
    CHECK_NAMES(assay_trial_state, ASSAY_TRIAL_STATE_MAX_)
    CHECK_NAMES(assay_trial_reason, ASSAY_TRIAL_REASON_MAX_)
    CHECK_NAMES(assay_attempt_state, ASSAY_ATTEMPT_STATE_MAX_)
    assert_false(assay_trial_state_parse("", &trial_state));
    assert_false(assay_trial_state_parse("Running", &trial_state));
    assert_null(assay_trial_reason_name(ASSAY_TRIAL_REASON_NONE));
    assert_string_equal(assay_trial_reason_text(ASSAY_TRIAL_REASON_NONE), "");
}

static void
check_refs(const json_t *root, const json_t *node)
{
    const char *key, *ref = json_string_value(json_object_get(node, "$ref"));
    json_t *value;
    size_t i;

    if (ref != NULL) {
        assay_auto_free char *path = assay_strdup(ref);
        const json_t *target = root;
        char *rest = path, *step = strsep(&rest, "/");

        assert_string_equal(step, "#");
        while ((step = strsep(&rest, "/")) != NULL)
            target = json_object_get(target, step);
        if (target == NULL)
            fail_msg("%s leads nowhere", ref);
    }
    assay_json_each (node, key, value)
        check_refs(root, value);
    json_array_foreach (node, i, value)
        check_refs(root, value);
}

static void
the_openapi_document_is_whole(void **state)
{
    json_error_t error;
    json_auto_t *root = json_loadb(assay_openapi_json, assay_openapi_json_length,
                                   JSON_REJECT_DUPLICATES, &error);
    const char *path;
    json_t *item;

    (void)state;
    if (root == NULL)
        fail_msg("%s", error.text);
    assert_int_equal(strlen(assay_openapi_json), assay_openapi_json_length);
    assert_string_equal(json_string_value(json_object_get(root, "openapi")), "3.1.0");
    check_refs(root, root);
    assay_json_each (json_object_get(root, "paths"), path, item)
        assert_int_equal(path[0], '/');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_back),
        cmocka_unit_test(the_openapi_document_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
