/* Patterns for metric lines. */

#include "tests/unit/schemas/help.h"

#include "schemas/filter.h"

/* All matches as "name=value;". */
static char *
matches_of(const char *pattern, const char *line)
{
    struct assay_filter *filter;
    struct assay_filter_match match;
    struct assay_error err = {0};
    char *text = assay_strdup("");
    size_t from = 0;

    if (assay_filter_new(pattern, &filter, &err) < 0)
        fail_msg("%s: %s", pattern, err.message);
    while (assay_filter_find(filter, line, from, &match)) {
        char *more = assay_format("%s%.*s=%.*s;", text, (int)match.name_length, line + match.name,
                                  (int)match.value_length, line + match.value);

        assert_true(match.end > from || match.end > match.value);
        free(text);
        text = more;
        from = match.end;
    }
    assay_filter_free(filter);
    return text;
}

static void
patterns_match_as_in_katib(void **state)
{
    static const struct {
        const char *pattern, *line, *matches;
    } rows[] = {
        {ASSAY_FILTER_KATIB, "loss=0.3", "loss=0.3;"},
        {ASSAY_FILTER_KATIB, "epoch 1: accuracy = .98, Score=-7.53e-05 x=1E0",
         "accuracy=.98;Score=-7.53e-05;x=1E0;"},
        {ASSAY_FILTER_KATIB, "val-acc|top=+1", "val-acc|top=+1;"},
        {ASSAY_FILTER_KATIB, "loss=nan", "loss=;"},
        {ASSAY_FILTER_KATIB, "loss=1.", "loss=1;"},
        {ASSAY_FILTER_KATIB, "nothing here", ""},
        {"'([\\w|-]+)'\\s*:\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)", "{'loss': 0.25, 'x':3}",
         "loss=0.25;x=3;"},
        {"{metricName: ([\\w|-]+), metricValue: ((-?\\d+)(\\.\\d+)?)}",
         "{metricName: loss, metricValue: -1.5}", "loss=-1.5;"},
        {"loss: (\\S+)", "loss: 3 loss: 4", "=3;=4;"},
        {"(?<n>a)(?<v>b)", "ab", "a=b;"},
        {"(a{,2})(b{x})", "a{,2}b{x}", "a{,2}=b{x};"},
        {"(\\w+):(\\d+)", "a:1 b:22", "a=1;b=22;"},
        {"(?:x|y) (\\w+) (\\d+)", "x a 1 y b 2", "a=1;b=2;"},
        {"(?P<name>\\w+)=(?P<value>\\S+)", "a=1 b=inf", "a=1;b=inf;"},
        {"(?i)(LOSS) (\\d)", "loss 3", "loss=3;"},
        {"^(\\w+) (\\d+)", "a 1 b 2", "a=1;"},
        {"(\\w+)=(\\d+)\n(\\w+): (\\d+)\n", "a: 1 b=2 c: 3", "a=1;b=2;c=3;"},
        {"(ab)(c)\n(a)(b)", "xabc ab", "ab=c;a=b;"},
        {"([^=\\s]+)=([^\\s,]+)", "a=1, b=2", "a=1;b=2;"},
        {"([\\]a-c^-]+)=(.)", "a]^-=9", "a]^-=9;"},
        {"([\\w-.]+)=(.)", "a-b.c=9", "a-b.c=9;"},
        {"([[:alpha:]]+) ([\\^]+)", "abc ^^", "abc=^^;"},
        {"(a*)(b*)", "c", "=;=;"},
        {"(a{2,3}) (b)", "aaaa b", "aaa=b;"},
        {"(\\$) (\\/)\\-", "$ /-", "$=/;"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_auto_free char *matches = matches_of(rows[i].pattern, rows[i].line);

        if (strcmp(matches, rows[i].matches) != 0)
            fail_msg("%s on \"%s\": %s", rows[i].pattern, rows[i].line, matches);
    }
}

static void
bad_patterns_are_refused(void **state)
{
    static const char *const patterns[] = {
        "",
        "loss",
        "(?:loss)",
        "(loss=(\\d+)",
        "loss)=(x)(y",
        "(a)(b",
        "(a)([b",
        "(a)(b)\\",
        "(a)(b)\\1",
        "(a)(b)\\pL",
        "(a)(b)\\x41",
        "(a)([\\p])",
        "(a)(b*?)",
        "(a)(b++)",
        "(a)(b**)",
        "(a)(b)(?=c)",
        "(a)(b)(?<!c)",
        "(*a)(b)",
        "(a)(+b)",
        "(a)|*(b)",
        "(a)(^*b)",
        "(a)(b{2}{3})",
        "(a)(b{2000})",
        "(((a){100}){100})(b)",
        "(a)(b)[[.x.]]",
        "(a)(b)[[:no:]]",
        "(a)(b)[z-a]",
        "(((((((((((((((((((((a)))))))))))))))))))))",
    };
    char longest[1100];

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(patterns); i++) {
        struct assay_filter *filter = NULL;
        struct assay_error err = {0};

        if (assay_filter_new(patterns[i], &filter, &err) != ASSAY_E_INVALID_VALUE)
            fail_msg("%s is taken", patterns[i]);
        assert_true(strlen(err.message) > 10);
        assert_null(filter);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    {
        struct assay_filter *filter = NULL;

        assert_int_equal(assay_filter_new(longest, &filter, NULL), ASSAY_E_INVALID_VALUE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_in_katib),
        cmocka_unit_test(bad_patterns_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
