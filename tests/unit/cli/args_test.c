/* The option parser and the table of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/args.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/verbs.h"

static const struct assay_option options[] = {
    {"follow", 'f', NULL, "follow", false},
    {"tail", 'n', "N", "tail", false},
    {"set", 0, "PATH=VALUE", "set", true},
    {0},
};
static const struct assay_verb verb = {
    .name = "logs",
    .arguments = "STUDY",
    .min_arguments = 1,
    .max_arguments = 1,
    .options = options,
};

static struct assay_args args;
static struct assay_error err;

/* Parses the words, which end with NULL. */
static assay_status
parse(const char *first, ...)
{
    char *argv[16];
    int argc = 0;
    va_list list;

    va_start(list, first);
    for (const char *word = first; word != NULL; word = va_arg(list, const char *))
        argv[argc++] = (char *)(uintptr_t)word;
    va_end(list);
    assay_args_done(&args);
    return assay_args_parse(&verb, argc, argv, &args, &err);
}

static void
options_and_arguments_mix(void **state)
{
    int64_t tail = 7;

    (void)state;
    assert_int_equal(parse("--tail", "5", "demo", "-f", NULL), ASSAY_OK);
    assert_true(assay_args_has(&args, "follow"));
    assert_int_equal(assay_args_get_int(&args, "tail", 1, 9, &tail, &err), ASSAY_OK);
    assert_int_equal(tail, 5);
    assert_int_equal(args.n_arguments, 1);
    assert_string_equal(args.arguments[0], "demo");

    assert_int_equal(parse("-fn3", "demo", NULL), ASSAY_OK);
    assert_string_equal(assay_args_get(&args, "tail"), "3");
    assert_int_equal(parse("--tail=", "demo", NULL), ASSAY_OK);
    assert_string_equal(assay_args_get(&args, "tail"), "");
    assert_int_equal(parse("--", "-f", NULL), ASSAY_OK);
    assert_string_equal(args.arguments[0], "-f");
    assert_int_equal(parse("-", NULL), ASSAY_OK);
    assert_string_equal(args.arguments[0], "-");
    assert_int_equal(parse("--set", "a=1", "--set=b=2", "demo", NULL), ASSAY_OK);
    assert_int_equal(args.n_given, 2);
}

#define assert_refused(part, ...)                                                                  \
    do {                                                                                           \
        assert_int_equal(parse(__VA_ARGS__, NULL), ASSAY_E_BAD_REQUEST);                           \
        assert_non_null(strstr(err.message, part));                                                \
    } while (0)

static void
mistakes_are_told(void **state)
{
    (void)state;
    assert_refused("did you mean --follow?", "--folow", "demo");
    assert_refused("did you mean --follow?", "--fol", "demo"); /* no abbreviations */
    assert_refused("unknown option -x", "-fx", "demo");
    assert_refused("needs a value", "demo", "--tail");
    assert_refused("needs a value", "demo", "-n");
    assert_refused("takes no value", "--follow=yes", "demo");
    assert_refused("given twice", "-f", "demo", "--follow");
    assert_refused("too few arguments", "-f");
    assert_refused("\"other\" is one too many", "demo", "other");
    assert_int_equal(parse("--help", NULL), ASSAY_OK);
}

static void
values_are_checked(void **state)
{
    static const char *const words[] = {"csv", "jsonl"};
    int64_t value = 3;
    size_t index = 1;

    (void)state;
    assert_int_equal(parse("--tail", "5x", "demo", NULL), ASSAY_OK);
    assert_int_equal(assay_args_get_int(&args, "tail", 1, 9, &value, &err), ASSAY_E_BAD_REQUEST);
    assert_string_equal(err.message, "--tail is \"5x\", but must be an integer from 1 to 9");
    assert_int_equal(value, 3);
    assert_int_equal(assay_args_get_duration(&args, "tail", &value, &err), ASSAY_E_BAD_REQUEST);
    assert_int_equal(assay_args_get_word(&args, "tail", words, 2, &index, &err),
                     ASSAY_E_BAD_REQUEST);
    assert_string_equal(err.message, "--tail is \"5x\", but must be csv or jsonl");
    assert_int_equal(parse("--tail", "2m", "demo", NULL), ASSAY_OK);
    assert_int_equal(assay_args_get_duration(&args, "tail", &value, &err), ASSAY_OK);
    assert_int_equal(value, 120000000);
    assert_int_equal(assay_args_get_word(&args, "set", words, 2, &index, &err), ASSAY_OK);
    assert_int_equal(index, 1);
}

static void
verbs_are_found(void **state)
{
    char *two[] = {(char[]){"server"}, (char[]){"start"}};
    char *one[] = {(char[]){"run"}};
    int used = 0;

    (void)state;
    assert_string_equal(assay_verb_find(2, two, &used)->name, "server start");
    assert_int_equal(used, 2);
    assert_string_equal(assay_verb_find(1, one, &used)->name, "run");
    assert_int_equal(used, 1);
    assert_null(assay_verb_find(1, two, &used));
    assert_null(assay_verb_find(0, NULL, &used));
    assert_true(assay_verb_is_group("server"));
    assert_false(assay_verb_is_group("serv"));
    assert_false(assay_verb_is_group("run"));
}

/* What the help, the completions and the reference page rely on. */
static void
the_table_is_sound(void **state)
{
    struct assay_buffer text = {0};

    (void)state;
    for (size_t i = 0; i < assay_n_verbs; i++) {
        const struct assay_verb *v = assay_verbs[i];
        char letters[64] = "h";

        assert_non_null(v->run);
        assert_non_null(v->summary);
        assert_true(v->max_arguments < 0 || v->min_arguments <= v->max_arguments);
        for (const struct assay_option *o = v->options; o != NULL && o->name != NULL; o++) {
            char letter[2] = {o->letter, '\0'};

            assert_null(o->letter != 0 ? strstr(letters, letter) : NULL);
            memcpy(letters + strlen(letters), letter, 2);
            assert_non_null(o->help);
        }
        assay_buffer_clear(&text);
        assay_help_verb(v, &text);
        assert_non_null(strstr(text.data, v->summary));
    }
    assay_buffer_clear(&text);
    assay_help_markdown(&text);
    assay_completion_bash(&text);
    assay_completion_zsh(&text);
    assay_completion_fish(&text);
    assert_true(text.length > 1000);
    assay_buffer_done(&text);
}

static int
tear_down(void **state)
{
    (void)state;
    assay_args_done(&args);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(options_and_arguments_mix, tear_down),
        cmocka_unit_test_teardown(mistakes_are_told, tear_down),
        cmocka_unit_test_teardown(values_are_checked, tear_down),
        cmocka_unit_test(verbs_are_found),
        cmocka_unit_test(the_table_is_sound),
    };

    return cmocka_run_group_tests_name("cli/args", tests, NULL, NULL);
}
