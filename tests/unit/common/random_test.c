/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <math.h>

#include "common/random.h"

/* Known answers for philox4x32-10 that the authors of the paper publish with
 * their implementation (Random123): counter, key, output. */
static void
philox_has_the_published_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], block[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        struct assay_random random = {.used = 4};

        for (int k = 0; k < 4; k++)
            random.counter[k] = rows[i].counter[k];
        random.key[0] = rows[i].key[0];
        random.key[1] = rows[i].key[1];
        for (int k = 0; k < 4; k++)
            assert_int_equal(assay_random_u32(&random), rows[i].block[k]);
    }
}

static void
streams_are_named_by_all_three(void **state)
{
    struct assay_random a, b;

    (void)state;
    assay_random_init(&a, 7, 3, 1);
    assay_random_init(&b, 7, 3, 1);
    for (int i = 0; i < 100; i++)
        assert_true(assay_random_u64(&a) == assay_random_u64(&b));
    for (int which = 0; which < 5; which++) {
        static const struct {
            uint64_t seed, subject;
            uint32_t purpose;
        } others[] = {{8, 3, 1}, {7, 4, 1}, {7, 3, 2}, {7 + (UINT64_C(1) << 32), 3, 1},
                      {7, 3 + (UINT64_C(1) << 32), 1}};
        int same = 0;

        assay_random_init(&a, 7, 3, 1);
        assay_random_init(&b, others[which].seed, others[which].subject, others[which].purpose);
        for (int i = 0; i < 100; i++)
            same += assay_random_u32(&a) == assay_random_u32(&b);
        assert_true(same < 3);
    }
}

static void
units_and_bounds(void **state)
{
    struct assay_random random;
    double sum = 0.0, squares = 0.0;
    size_t counts[7] = {0};
    const int n = 70000;

    (void)state;
    assay_random_init(&random, 11, 0, 0);
    for (int i = 0; i < n; i++) {
        double u = assay_random_unit(&random);

        assert_true(u >= 0.0 && u < 1.0);
        sum += u;
        counts[assay_random_below(&random, 7)]++;
    }
    assert_true(fabs(sum / n - 0.5) < 0.005);
    for (int i = 0; i < 7; i++)
        assert_true(fabs((double)counts[i] - n / 7.0) < 5.0 * sqrt(n / 7.0));
    sum = 0.0;
    for (int i = 0; i < n; i++) {
        double z = assay_random_normal(&random);

        assert_true(isfinite(z));
        sum += z;
        squares += z * z;
    }
    assert_true(fabs(sum / n) < 0.02);
    assert_true(fabs(squares / n - 1.0) < 0.03);
    assert_int_equal(assay_random_below(&random, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(assay_random_below(&random, UINT64_C(1) << 63) < UINT64_C(1) << 63);
}

static void
seeds_differ(void **state)
{
    (void)state;
    assert_true(assay_random_seed() != assay_random_seed());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_has_the_published_answers),
        cmocka_unit_test(streams_are_named_by_all_three),
        cmocka_unit_test(units_and_bounds),
        cmocka_unit_test(seeds_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
