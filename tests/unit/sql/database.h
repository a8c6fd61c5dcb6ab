/* One cluster for all the tests of a file. */
#ifndef ASSAY_TESTS_UNIT_SQL_DATABASE_H
#define ASSAY_TESTS_UNIT_SQL_DATABASE_H

#include "tests/unit/sql/harness.h"

static struct harness *h;

static int
set_up(void **state)
{
    (void)state;
    h = harness_start();
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    harness_stop(h);
    return 0;
}

#define NEED_DATABASE()                                                                            \
    do {                                                                                           \
        (void)state;                                                                               \
        if (h == NULL)                                                                             \
            skip();                                                                                \
    } while (0)

#endif
