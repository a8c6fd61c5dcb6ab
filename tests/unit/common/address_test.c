/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "common/address.h"

static void
hosts_of_this_machine(void **state)
{
    static const char *const loopback[] = {
        "localhost", "LocalHost", "127.0.0.1",        "127.9.9.9",          "127.1",
        "::1",       "[::1]",     "::ffff:127.0.0.1", "[::ffff:127.1.2.3]", "0:0:0:0:0:0:0:1",
    };
    static const char *const other[] = {
        "",
        "[",
        "[]",
        "]",
        "localhost.example",
        "127.",
        "127.0.0.256",
        "127.example.org",
        "127.0.0.1 ",
        "128.0.0.1",
        "0.0.0.0",
        "::",
        "[::",
        "[::]",
        "::ffff:192.0.2.1",
        "[127.0.0.1]",
        "my-localhost",
        "10.0.0.127",
        "::127.0.0.1",
        "2001:db8::1",
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(loopback); i++)
        assert_true(assay_address_host_is_loopback(loopback[i]));
    for (size_t i = 0; i < ASSAY_COUNT(other); i++)
        assert_false(assay_address_host_is_loopback(other[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_of_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
