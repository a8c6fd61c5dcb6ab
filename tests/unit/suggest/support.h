/* What the tests of this room share. */
#ifndef ASSAY_TESTS_SUGGEST_SUPPORT_H
#define ASSAY_TESTS_SUGGEST_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/memory.h"
#include "common/random.h"
#include "schemas/point.h"
#include "schemas/space.h"
#include "tests/unit/json_of.h"

static inline struct assay_space *
space_of_json(const json_t *parameters)
{
    struct assay_faults faults = {0};
    struct assay_space *space = assay_space_decode(parameters, "", &faults);

    if (space == NULL)
        fail_msg("%s %s", faults.items[0].pointer, faults.items[0].message);
    assay_faults_done(&faults);
    return space;
}

static inline struct assay_space *
space_of(const char *parameters)
{
    json_t *json = json_of(parameters);
    struct assay_space *space = space_of_json(json);

    json_decref(json);
    return space;
}

/* cmocka's own compares as float. */
#define assert_near(a, b, tolerance) assert_true(fabs((a) - (b)) <= (tolerance))

/* Independent stream for each test's own choices. */
static inline struct assay_random
test_random(uint64_t seed)
{
    struct assay_random random;

    assay_random_init(&random, seed, 0, 0xFFFF);
    return random;
}

#endif
