#include "cli/args.h"

#include <inttypes.h>

#include "cli/text.h"
#include "common/memory.h"
#include "common/number.h"

const struct assay_option assay_options_all[] = {
    {"json", 0, NULL, "print one JSON document instead of text", false},
    {"help", 'h', NULL, "show this help", false},
    {0},
};

const struct assay_option assay_options_server[] = {
    {"url", 0, "URL", "the server's address [ASSAY_URL]", false},
    {"token", 0, "TOKEN", "the token to show it [ASSAY_TOKEN]", false},
    {"data", 0, "DIR", "data directory of a private daemon [ASSAY_DATA]", false},
    {"ca-file", 0, "FILE", "certificates to trust, PEM [ASSAY_CA_FILE]", false},
    {0},
};

#define OPTIONS_MAX 64

/* All options of the verb in one list; returns their number. */
static size_t
collect(const struct assay_verb *verb, const struct assay_option **list)
{
    const struct assay_option *tables[] = {
        verb->options,
        verb->local ? NULL : assay_options_server,
        assay_options_all,
    };
    size_t n = 0;

    for (size_t i = 0; i < ASSAY_COUNT(tables); i++) {
        for (const struct assay_option *o = tables[i]; o != NULL && o->name != NULL; o++) {
            ASSAY_ASSERT(n < OPTIONS_MAX);
            list[n++] = o;
        }
    }
    return n;
}

static const struct assay_option *
find_long(const struct assay_option *const *list, size_t n, const char *name, size_t length)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(list[i]->name) == length && strncmp(list[i]->name, name, length) == 0)
            return list[i];
    }
    return NULL;
}

static const struct assay_option *
find_letter(const struct assay_option *const *list, size_t n, char letter)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i]->letter != 0 && list[i]->letter == letter)
            return list[i];
    }
    return NULL;
}

static assay_status
unknown_option(const struct assay_verb *verb, const struct assay_option *const *list, size_t n,
               const char *name, size_t length, struct assay_error *err)
{
    assay_auto_free char *word = assay_strndup(name, length);
    const char *names[OPTIONS_MAX];
    const char *nearest;

    for (size_t i = 0; i < n; i++)
        names[i] = list[i]->name;
    nearest = assay_text_nearest(word, names, n);
    if (nearest != NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "unknown option --%s of \"assay %s\"; did you mean --%s?", word,
                          verb->name, nearest);
    return assay_fail(err, ASSAY_E_BAD_REQUEST,
                      "unknown option --%s; \"assay %s --help\" lists the options", word,
                      verb->name);
}

static assay_status
take(struct assay_args *args, const struct assay_option *option, const char *value,
     struct assay_error *err)
{
    if (!option->many && assay_args_has(args, option->name))
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "option --%s is given twice", option->name);
    ASSAY_GROW(args->given, args->n_given, args->given_capacity);
    args->given[args->n_given++] = (struct assay_given){option, value};
    return ASSAY_OK;
}

/* argv[*at] is "--name" or "--name=value". */
static assay_status
parse_long(const struct assay_verb *verb, const struct assay_option *const *list, size_t n,
           int argc, char *const *argv, int *at, struct assay_args *args, struct assay_error *err)
{
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct assay_option *option = find_long(list, n, name, length);
    const char *value = equals != NULL ? equals + 1 : NULL;

    if (option == NULL)
        return unknown_option(verb, list, n, name, length, err);
    if (option->value == NULL && value != NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "option --%s takes no value, found \"%s\"",
                          option->name, value);
    if (option->value != NULL && value == NULL) {
        if (*at + 1 >= argc)
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "option --%s needs a value: --%s %s",
                              option->name, option->name, option->value);
        value = argv[++*at];
    }
    return take(args, option, value, err);
}

/* argv[*at] is "-x", "-xy" or "-xVALUE". */
static assay_status
parse_letters(const struct assay_verb *verb, const struct assay_option *const *list, size_t n,
              int argc, char *const *argv, int *at, struct assay_args *args,
              struct assay_error *err)
{
    for (const char *p = argv[*at] + 1; *p != '\0'; p++) {
        const struct assay_option *option = find_letter(list, n, *p);
        assay_status rc;

        if (option == NULL)
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "unknown option -%c; \"assay %s --help\" lists the options", *p,
                              verb->name);
        if (option->value == NULL) {
            rc = take(args, option, NULL, err);
            if (rc < 0)
                return rc;
            continue;
        }
        if (p[1] != '\0')
            return take(args, option, p + 1, err);
        if (*at + 1 >= argc)
            return assay_fail(err, ASSAY_E_BAD_REQUEST, "option -%c needs a value: -%c %s", *p, *p,
                              option->value);
        return take(args, option, argv[++*at], err);
    }
    return ASSAY_OK;
}

static assay_status
check_count(const struct assay_verb *verb, const struct assay_args *args, struct assay_error *err)
{
    size_t n = args->n_arguments;

    if (n < (size_t)verb->min_arguments)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "too few arguments; usage: assay %s %s",
                          verb->name, verb->arguments);
    if (verb->max_arguments >= 0 && n > (size_t)verb->max_arguments) {
        const char *extra = args->arguments[verb->max_arguments];

        if (verb->max_arguments == 0)
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "\"assay %s\" takes no arguments, found \"%s\"", verb->name, extra);
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "too many arguments, \"%s\" is one too many; usage: assay %s %s", extra,
                          verb->name, verb->arguments);
    }
    return ASSAY_OK;
}

assay_status
assay_args_parse(const struct assay_verb *verb, int argc, char *const *argv,
                 struct assay_args *ret_args, struct assay_error *err)
{
    const struct assay_option *list[OPTIONS_MAX];
    size_t n = collect(verb, list);
    struct assay_args args = {0};
    assay_status rc = ASSAY_OK;
    bool ended = false;

    for (int at = 0; at < argc && rc == ASSAY_OK; at++) {
        const char *word = argv[at];

        if (!ended && strcmp(word, "--") == 0) {
            ended = true;
        } else if (!ended && word[0] == '-' && word[1] == '-') {
            rc = parse_long(verb, list, n, argc, argv, &at, &args, err);
        } else if (!ended && word[0] == '-' && word[1] != '\0') {
            rc = parse_letters(verb, list, n, argc, argv, &at, &args, err);
        } else {
            ASSAY_GROW(args.arguments, args.n_arguments, args.arguments_capacity);
            args.arguments[args.n_arguments++] = word;
        }
    }
    if (rc == ASSAY_OK && !assay_args_has(&args, "help"))
        rc = check_count(verb, &args, err);
    if (rc < 0) {
        assay_args_done(&args);
        return rc;
    }
    *ret_args = args;
    return ASSAY_OK;
}

void
assay_args_done(struct assay_args *args)
{
    free(args->given);
    free(args->arguments);
    *args = (struct assay_args){0};
}

static const struct assay_given *
find_given(const struct assay_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_given; i++) {
        if (strcmp(args->given[i].option->name, name) == 0)
            return &args->given[i];
    }
    return NULL;
}

bool
assay_args_has(const struct assay_args *args, const char *name)
{
    return find_given(args, name) != NULL;
}

const char *
assay_args_get(const struct assay_args *args, const char *name)
{
    const struct assay_given *given = find_given(args, name);

    return given != NULL ? given->value : NULL;
}

assay_status
assay_args_get_int(const struct assay_args *args, const char *name, int64_t min, int64_t max,
                   int64_t *ret_value, struct assay_error *err)
{
    const char *text = assay_args_get(args, name);

    if (text != NULL && !assay_parse_int(text, min, max, ret_value)) {
        if (max == INT64_MAX)
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "--%s is \"%s\", but must be an integer from %" PRId64 " up", name,
                              text, min);
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--%s is \"%s\", but must be an integer from %" PRId64 " to %" PRId64,
                          name, text, min, max);
    }
    return ASSAY_OK;
}

assay_status
assay_args_get_duration(const struct assay_args *args, const char *name, int64_t *ret_us,
                        struct assay_error *err)
{
    const char *text = assay_args_get(args, name);

    if (text != NULL && !assay_parse_duration(text, ret_us))
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--%s is \"%s\", but must be a duration such as 30s, 5m or 1h30m", name,
                          text);
    return ASSAY_OK;
}

assay_status
assay_args_get_word(const struct assay_args *args, const char *name, const char *const *words,
                    size_t n, size_t *ret_index, struct assay_error *err)
{
    const char *text = assay_args_get(args, name);
    struct assay_buffer list = {0};
    assay_status rc;

    if (text == NULL)
        return ASSAY_OK;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_index = i;
            return ASSAY_OK;
        }
    }
    for (size_t i = 0; i < n; i++)
        assay_buffer_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    rc = assay_fail(err, ASSAY_E_BAD_REQUEST, "--%s is \"%s\", but must be %s", name, text,
                    list.data);
    assay_buffer_done(&list);
    return rc;
}
