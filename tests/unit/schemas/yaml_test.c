#include "tests/unit/schemas/help.h"

#include "common/buffer.h"

static void
documents_become_json(void **state)
{
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        /* the core schema */
        {"[null, Null, NULL, ~, ]", "[null, null, null, null]"},
        {"a:\nb: ", "{'a': null, 'b': null}"},
        {"[true, True, TRUE, false, False, FALSE]", "[true, true, true, false, false, false]"},
        {"[yes, no, on, off, y, n, tRUE]", "['yes', 'no', 'on', 'off', 'y', 'n', 'tRUE']"},
        {"[0, -1, +12, 0o17, 0x1F, 007]", "[0, -1, 12, 15, 31, 7]"},
        {"[1.5, -.5, 1., 1e3, 1.0e-5, +2E+2]", "[1.5, -0.5, 1.0, 1000.0, 0.00001, 200.0]"},
        {"[.inf, -.Inf, +.INF, .nan, .NaN]", "['inf', '-inf', 'inf', 'nan', 'nan']"},
        {"[inf, nan, Infinity, .Nan, -, ., e5, 1e, 0x, 0o8, 0b1, 1_000, 12:30:45]",
         "['inf', 'nan', 'Infinity', '.Nan', '-', '.', 'e5', '1e', '0x', '0o8', '0b1', '1_000', "
         "'12:30:45']"},
        {"[9223372036854775807, 9223372036854775808]",
         "[9223372036854775807, 9223372036854775808.0]"},
        {"[1e999, -1e999]", "['inf', '-inf']"},
        {"['1', \"true\", '~', \"\"]", "['1', 'true', '~', '']"},
        {"2026-01-02", "'2026-01-02'"},
        /* tags of the core schema */
        {"[!!str 1, ! 1, !!int '7', !!float 1.5, !!bool 'true', !!null '']",
         "['1', '1', 7, 1.5, true, null]"},
        {"!!map {a: !!seq [1]}", "{'a': [1]}"},
        /* layout */
        {"a: {b: [1, {c: d}]}\ne:\n- f\n- - g\n  - h\n", "{'a':{'b':[1,{'c':'d'}]},'e':['f',['g','h']]}"},
        {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{'a': 'x\\ny\\n', 'b': 'x y'}"},
        {"# only\n---\na: 1 # comment\n...\n", "{'a': 1}"},
        {"%YAML 1.2\n---\na: 1\n", "{'a': 1}"},
        {"\xEF\xBB\xBF" "a: 1\n", "{'a': 1}"},
        {"a: \xC3\xA4\xE2\x82\xAC\xF0\x9F\x8D\x8E\n", "{'a': '\xC3\xA4\xE2\x82\xAC\xF0\x9F\x8D\x8E'}"},
        {"a: \"\\u00e4\\x41\\t\"", "{'a': '\xC3\xA4" "A\\t'}"},
        {"1: a\ntrue: b\n~: c\n? d\n: e\n", "{'1': 'a', 'true': 'b', '~': 'c', 'd': 'e'}"},
        {"{\"a\": 1, \"b\": [true, null]}", "{'a': 1, 'b': [true, null]}"},
        /* aliases */
        {"a: &x [1, 2]\nb: *x\nc: [*x, *x]\n", "{'a': [1,2], 'b': [1,2], 'c': [[1,2],[1,2]]}"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "{'a': 1, 'b': 2, 'c': 2}"},
        {"a: &x {y: 1}\n<<: *x\n", "{'a': {'y': 1}, '<<': {'y': 1}}"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = NULL;
        json_auto_t *wanted = json_of(rows[i].json);
        struct assay_error err = {0};
        size_t length = strlen(rows[i].yaml);

        if (assay_yaml_read(rows[i].yaml, length, &json, NULL, &err) < 0)
            fail_msg("%s: %s", rows[i].yaml, err.message);
        if (!json_equal(json, wanted))
            fail_msg("%s: %s", rows[i].yaml, json_dumps(json, JSON_ENCODE_ANY));
    }
}

static void
bad_documents_are_refused(void **state)
{
    static const struct {
        const char *yaml, *message;
    } rows[] = {
        {"", "the document is empty"},
        {"# nothing\n", "the document is empty"},
        {"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key \"a\" is given twice"},
        {"a: 1\n---\nb: 2\n", "line 3, column 1: there is more than one document"},
        {"a: [1, 2", NULL},
        {"a: b: c", NULL},
        {"\t- a", NULL},
        {"a: *x", "line 1, column 4: unknown alias"},
        {"a: &x [*x]", "line 1, column 8: unknown alias"},
        {"a: !!binary aGk=", "line 1, column 4: unknown tag"},
        {"a: !python/object:os.system x", "line 1, column 4: unknown tag"},
        {"a: !!set {x}", "line 1, column 4: unknown tag"},
        {"a: !!int x", "line 1, column 4: the value does not fit its tag"},
        {"? [a]\n: b", "line 1, column 3: a key must be a string"},
        {"a: \"x\\0y\"", "line 1, column 4: a string contains a NUL character"},
        {"\"x\\0y\": 1", "line 1, column 1: a key is not valid text"},
        {"a: \xFF", NULL},
        {"a: \xED\xA0\x80", NULL},
        {"a: \x01", NULL},
        {"a: \"\\ud800\"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = NULL;
        struct assay_error err = {0};

        if (assay_yaml_read(rows[i].yaml, strlen(rows[i].yaml), &json, NULL, &err) !=
            ASSAY_E_INVALID_YAML)
            fail_msg("%s: taken as %s", rows[i].yaml, json_dumps(json, JSON_ENCODE_ANY));
        if (rows[i].message != NULL)
            assert_string_equal(err.message, rows[i].message);
        assert_true(strlen(err.message) > 5);
    }
}

static assay_status
read_bytes(const char *text, size_t length)
{
    json_auto_t *json = NULL;

    return assay_yaml_read(text, length, &json, NULL, NULL);
}

static void
sizes_are_bounded(void **state)
{
    struct assay_buffer text = {0};

    (void)state;
    for (int i = 0; i < 63; i++)
        assay_buffer_puts(&text, "[");
    for (int i = 0; i < 63; i++)
        assay_buffer_puts(&text, "]");
    assert_int_equal(read_bytes(text.data, text.length), ASSAY_OK);
    assay_buffer_clear(&text);
    for (int i = 0; i < 100000; i++)
        assay_buffer_puts(&text, "[");
    assert_int_equal(read_bytes(text.data, text.length), ASSAY_E_INVALID_YAML);
    assay_buffer_clear(&text);
    for (int i = 0; i < 300000; i++)
        assay_buffer_puts(&text, "-\n");
    assert_int_equal(read_bytes(text.data, text.length), ASSAY_E_INVALID_YAML);
    assay_buffer_clear(&text);
    for (int i = 0; i < 10 << 20; i++)
        assay_buffer_add(&text, " ", 1);
    assert_int_equal(read_bytes(text.data, text.length), ASSAY_E_TOO_LARGE);
    assay_buffer_done(&text);
}

/* A billion laughs: each line is nine of the line before. */
static void
aliases_do_not_explode(void **state)
{
    struct assay_buffer text = {0};
    struct assay_error err = {0};
    json_t *json = NULL;

    (void)state;
    assay_buffer_puts(&text, "a0: &a0 [lol]\n");
    for (int i = 1; i < 12; i++) {
        assay_buffer_printf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 9; k++)
            assay_buffer_printf(&text, "%s*a%d", k > 0 ? ", " : "", i - 1);
        assay_buffer_puts(&text, "]\n");
    }
    assert_int_equal(assay_yaml_read(text.data, text.length, &json, NULL, &err),
                     ASSAY_E_INVALID_YAML);
    assert_non_null(strstr(err.message, "too many nodes"));
    assay_buffer_done(&text);
}

static void
lines_are_known(void **state)
{
    static const struct {
        const char *pointer;
        int line;
    } rows[] = {
        {"", 2},           {"/a", 2},      {"/limits", 3}, {"/limits/trials", 4},
        {"/list", 5},      {"/list/0", 6}, {"/list/1", 7}, {"/list/1/x", 8},
        {"/k~1e~0y", 9},   {"/flow", 10},  {"/flow/b", 11},
    };
    json_auto_t *lines = NULL;
    json_auto_t *json = yaml_of("# comment\na: 1\nlimits:\n  trials: 0\nlist:\n  - 1\n  - y: 1\n"
                                "    x: 2\nk/e~y: 3\nflow: {a: 1,\n  b: 2}\n",
                                &lines);

    (void)state;
    assert_int_equal(json_object_size(json), 5);
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        if (json_integer_value(json_object_get(lines, rows[i].pointer)) != rows[i].line)
            fail_msg("%s: %s", rows[i].pointer, json_dumps(lines, 0));
    }
}

static void
any_byte_anywhere(void **state)
{
    static const char base[] = "a: &x {b: [1, 'c', \"d\"], e: *x2}\nf: |\n  g\n";

    (void)state;
    for (size_t i = 0; i < sizeof base - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char text[sizeof base];

            memcpy(text, base, sizeof base);
            text[i] = (char)byte;
            (void)!read_bytes(text, sizeof base - 1);
            (void)!read_bytes(text, i + 1);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_become_json),  cmocka_unit_test(bad_documents_are_refused),
        cmocka_unit_test(sizes_are_bounded),      cmocka_unit_test(aliases_do_not_explode),
        cmocka_unit_test(lines_are_known),        cmocka_unit_test(any_byte_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
