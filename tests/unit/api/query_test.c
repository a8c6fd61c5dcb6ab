#include "api/query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "common/memory.h"
#include "schemas/states.h"

#define AT(member) offsetof(struct assay_query, member)

static const char *const sorts[] = {"number", "-number", NULL};
static const char *const members[] = {"name", "state", "best", NULL};
static const struct assay_query_field table[] = {
    {.key = "state", .kind = ASSAY_QUERY_TRIAL_STATES, .offset = AT(states)},
    {.key = "sort", .kind = ASSAY_QUERY_WORD, .offset = AT(sort), .names = sorts},
    {.key = "fields", .kind = ASSAY_QUERY_WORDS, .offset = AT(fields), .names = members},
    {.key = "page_size", .kind = ASSAY_QUERY_INT, .offset = AT(page_size), .min = 1, .max = 1000},
    {.key = "wait", .kind = ASSAY_QUERY_DURATION, .offset = AT(wait_us), .max = 60000000},
    {.key = "force", .kind = ASSAY_QUERY_BOOL, .offset = AT(force)},
    {.key = "name", .kind = ASSAY_QUERY_TEXT, .offset = AT(name)},
    {.key = NULL},
};

static bool
read_text(const char *text, struct assay_uri *uri, struct assay_query *query,
          struct assay_faults *faults)
{
    const struct assay_query_field *const tables[] = {table};

    assert_int_equal(assay_uri_parse(text, uri, NULL), ASSAY_OK);
    assay_query_init(query);
    return assay_query_read(uri, tables, 1, query, faults);
}

static void
test_all_kinds(void **state)
{
    struct assay_uri uri;
    struct assay_query query;
    struct assay_faults faults = {0};

    (void)state;
    assert_true(read_text("/?state=running,failed&sort=-number&fields=best,name&page_size=7&"
                          "wait=1500ms&force&name=ab%20c",
                          &uri, &query, &faults));
    assert_int_equal(query.states, 1u << ASSAY_TRIAL_RUNNING | 1u << ASSAY_TRIAL_FAILED);
    assert_int_equal(query.sort, 1);
    assert_int_equal(query.fields, 5);
    assert_int_equal(query.page_size, 7);
    assert_int_equal(query.wait_us, 1500000);
    assert_true(query.force);
    assert_string_equal(query.name, "ab c");
    assay_uri_done(&uri);
}

static void
test_defaults(void **state)
{
    struct assay_uri uri;
    struct assay_query query;
    struct assay_faults faults = {0};

    (void)state;
    assert_true(read_text("/", &uri, &query, &faults));
    assert_int_equal(query.page_size, 100);
    assert_int_equal(query.tail, -1);
    assert_int_equal(query.states, 0);
    assay_uri_done(&uri);
}

static void
test_all_faults_at_once(void **state)
{
    static const char *const pointers[] = {"?sate", "?state", "?sort", "?page_size",
                                           "?wait", "?force", "?name", "?name"};
    struct assay_uri uri;
    struct assay_query query;
    struct assay_faults faults = {0};

    (void)state;
    assert_false(read_text("/?sate=running&state=runing&sort=size&page_size=1001&wait=61s&"
                           "force=maybe&name=&name=x",
                           &uri, &query, &faults));
    assert_int_equal(faults.count, ASSAY_COUNT(pointers));
    for (size_t i = 0; i < ASSAY_COUNT(pointers); i++)
        assert_string_equal(faults.items[i].pointer, pointers[i]);
    assert_non_null(strstr(faults.items[0].message, "\"state\""));
    assert_non_null(strstr(faults.items[1].message, "\"running\""));
    assert_int_equal(query.page_size, 100);
    assay_faults_done(&faults);
    assay_uri_done(&uri);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_faults_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
