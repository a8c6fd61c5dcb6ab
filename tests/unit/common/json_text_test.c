/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "common/json_text.h"
#include "common/memory.h"
#include "common/random.h"

static void
texts_are_compact_and_short(void **state)
{
    static const char *const texts[] = {
        "{\"b\":0.1,\"a\":[1,-2,1.0,1e-05,1e+300,true,false,null,\"x\"],\"c\":{}}",
        "[]",
        "\"a\\\"b\\\\c\\n\\u0001\\u001fä€🍎\"",
        "0.30000000000000004",
        "{\"k\\\"\\n\":-0.0}",
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(texts); i++) {
        json_auto_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        assay_auto_free char *text = assay_json_text(json);

        assert_string_equal(text, texts[i]);
    }
}

static json_t *
random_json(struct assay_random *random, int depth)
{
    uint64_t kind = assay_random_below(random, depth > 4 ? 5 : 7);
    json_t *json;

    switch (kind) {
    case 0:
        return json_integer((json_int_t)assay_random_u64(random));
    case 1:
        return json_real(assay_random_normal(random) *
                         (double)assay_random_below(random, 1000000));
    case 2:
        return json_boolean(assay_random_below(random, 2));
    case 3:
        return json_null();
    case 4:
        return json_sprintf("%c%c\xC3\xA4", (int)assay_random_below(random, 126) + 1,
                            (int)assay_random_below(random, 126) + 1);
    case 5:
        json = json_array();
        for (uint64_t i = assay_random_below(random, 5); i > 0; i--)
            json_array_append_new(json, random_json(random, depth + 1));
        return json;
    default:
        json = json_object();
        for (uint64_t i = assay_random_below(random, 5); i > 0; i--) {
            assay_auto_free char *key =
                assay_format("%c%d", (int)assay_random_below(random, 126) + 1, (int)i);

            json_object_set_new(json, key, random_json(random, depth + 1));
        }
        return json;
    }
}

static void
texts_read_back_the_same(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        struct assay_random random;

        assay_random_init(&random, 1, i, 0);
        {
            json_auto_t *json = random_json(&random, 0);
            assay_auto_free char *text = assay_json_text(json);
            json_auto_t *again = json_loads(text, JSON_DECODE_ANY, NULL);

            if (again == NULL || !json_equal(json, again))
                fail_msg("%s", text);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_compact_and_short),
        cmocka_unit_test(texts_read_back_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
