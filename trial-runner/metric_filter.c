#include "trial-runner/metric_filter.h"

#include <ctype.h>
#include <regex.h>

#include "common/buffer.h"
#include "common/memory.h"

#define GROUPS_MAX 20
#define PATTERN_BYTES_MAX 1000

struct assay_metric_filter {
    regex_t regex;
    size_t name_group, value_group; /* name 0 = none */
};

/* Translation of one pattern into a POSIX extended expression. */
struct translation {
    const char *from; /* rest of the pattern */
    struct assay_buffer to;
    size_t groups;            /* opened in `to` */
    size_t captures[2];       /* groups of `to` that capture in `from` */
    size_t n_captures;
    bool can_repeat; /* something stands before that a quantifier applies to */
    bool ignore_case;
};

static assay_status
unsupported(struct assay_error *err, const char *what)
{
    return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter: %s are not supported", what);
}

static const char *
class_of(char letter)
{
    switch (letter) {
    case 'w':
        return "[:alnum:]_";
    case 'd':
        return "0-9";
    case 's':
        return "[:space:]";
    default:
        return NULL;
    }
}

/* What stands in a bracket, one piece at a time. */
struct bracket {
    struct assay_buffer body;
    bool dash, close, caret, open; /* characters that are safe only in a certain place */
};

/* Reads one member at `*p`: a class (into the body) or a character.  False when it
 * is malformed. */
static bool
read_member(struct bracket *bracket, const char **p, bool *ret_is_class, char *ret_char)
{
    const char *end;

    *ret_is_class = false;
    if (**p == '[' && (*p)[1] == ':' && (end = strstr(*p, ":]")) != NULL) {
        assay_buffer_add(&bracket->body, *p, (size_t)(end + 2 - *p));
        *p = end + 2;
        *ret_is_class = true;
        return true;
    }
    if (**p != '\\') {
        *ret_char = *(*p)++;
        return *ret_char != '\0';
    }
    *ret_char = (*p)[1];
    *p += *ret_char != '\0' ? 2 : 1;
    if (class_of(*ret_char) != NULL) {
        assay_buffer_puts(&bracket->body, class_of(*ret_char));
        *ret_is_class = true;
    } else if (*ret_char == 't') {
        *ret_char = '\t';
    } else if (*ret_char == '\0' || isalnum((unsigned char)*ret_char)) {
        return false;
    }
    return true;
}

static void
add_member(struct bracket *bracket, char c)
{
    if (c == '-')
        bracket->dash = true;
    else if (c == ']')
        bracket->close = true;
    else if (c == '^')
        bracket->caret = true;
    else if (c == '[')
        bracket->open = true;
    else
        assay_buffer_add(&bracket->body, &c, 1);
}

/* A member and, where it is one, the range it begins. */
static bool
read_members(struct bracket *bracket, const char **p)
{
    bool is_class, end_is_class;
    char c, end;

    if (!read_member(bracket, p, &is_class, &c))
        return false;
    if (is_class)
        return true;
    if (**p != '-' || (*p)[1] == ']' || (*p)[1] == '\0') {
        add_member(bracket, c);
        return true;
    }
    (*p)++;
    if (!read_member(bracket, p, &end_is_class, &end))
        return false;
    if (end_is_class) {
        add_member(bracket, c);
        bracket->dash = true;
        return true;
    }
    assay_buffer_printf(&bracket->body, "%c-%c", c, end);
    return isalnum((unsigned char)c) && isalnum((unsigned char)end) && c <= end;
}

/* In POSIX a backslash inside brackets is itself, "]" may only come first, "-" and
 * "^" are safe only at the end. */
static assay_status
translate_bracket(struct translation *t, struct assay_error *err)
{
    struct bracket bracket = {0};
    const char *p = t->from + 1;
    bool negated = *p == '^', fine = true;

    p += negated;
    for (bool first = true; fine && (first || *p != ']'); first = false)
        fine = read_members(&bracket, &p);
    /* "[^]" would negate nothing. */
    fine = fine && (negated || !bracket.caret || bracket.close || bracket.open ||
                    bracket.body.length > 0);
    if (fine) {
        assay_buffer_printf(&t->to, "[%s%s%s%s%s%s]", negated ? "^" : "", bracket.close ? "]" : "",
                            bracket.body.length > 0 ? bracket.body.data : "",
                            bracket.open ? "[" : "", bracket.caret ? "^" : "",
                            bracket.dash ? "-" : "");
        t->from = p + 1;
        t->can_repeat = true;
    }
    assay_buffer_done(&bracket.body);
    if (!fine)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "metrics.filter: the brackets at \"%.20s\" are not understood", t->from);
    return ASSAY_OK;
}

static assay_status
translate_escape(struct translation *t, struct assay_error *err)
{
    char letter = t->from[1];
    const char *class = class_of(letter);

    t->from += 2;
    t->can_repeat = true;
    if (letter == '\0')
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter ends in a backslash");
    if (class != NULL) {
        assay_buffer_printf(&t->to, "[%s]", class);
    } else if (letter == 'W' || letter == 'D' || letter == 'S') {
        assay_buffer_printf(&t->to, "[^%s]", class_of((char)tolower(letter)));
    } else if (letter == 'b') {
        assay_buffer_puts(&t->to, "\\b"); /* a GNU extension that means the same */
        t->can_repeat = false;
    } else if (letter == 't') {
        assay_buffer_puts(&t->to, "\t");
    } else if (isdigit((unsigned char)letter)) {
        return unsupported(err, "back references");
    } else if (isalpha((unsigned char)letter)) {
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter: \"\\%c\" is not known",
                          letter);
    } else {
        assay_buffer_puts(&t->to, strchr(".[]{}()*+?^$|\\", letter) != NULL ? "\\" : "");
        assay_buffer_add(&t->to, &letter, 1);
    }
    return ASSAY_OK;
}

static assay_status
translate_group(struct translation *t, struct assay_error *err)
{
    bool captures = true;

    t->from++;
    if (strncmp(t->from, "?:", 2) == 0) {
        captures = false;
        t->from += 2;
    } else if (strncmp(t->from, "?P<", 3) == 0 || (strncmp(t->from, "?<", 2) == 0 &&
                                                  t->from[2] != '=' && t->from[2] != '!')) {
        const char *end = strchr(t->from, '>');

        if (end == NULL)
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "metrics.filter: a group's name has no end");
        t->from = end + 1;
    } else if (*t->from == '?') {
        return unsupported(err, "look-around and flags inside the pattern");
    }
    t->groups++;
    if (captures && t->n_captures < ASSAY_COUNT(t->captures))
        t->captures[t->n_captures++] = t->groups;
    assay_buffer_puts(&t->to, "(");
    t->can_repeat = false;
    return ASSAY_OK;
}

/* Length of a count "{n}", "{n,}", "{n,m}" at `p`; 0 when the brace is itself. */
static size_t
count_length(const char *p)
{
    const char *q = p + 1;

    if (!isdigit((unsigned char)*q))
        return 0;
    while (isdigit((unsigned char)*q))
        q++;
    if (*q == ',')
        q++;
    while (isdigit((unsigned char)*q))
        q++;
    return *q == '}' ? (size_t)(q + 1 - p) : 0;
}

static assay_status
translate_quantifier(struct translation *t, size_t length, struct assay_error *err)
{
    if (!t->can_repeat)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter: nothing to repeat at \"%.20s\"",
                          t->from);
    assay_buffer_add(&t->to, t->from, length);
    t->from += length;
    if (*t->from == '?')
        return unsupported(err, "lazy quantifiers (\"*?\")");
    t->can_repeat = false;
    return ASSAY_OK;
}

static assay_status
translate_next(struct translation *t, struct assay_error *err)
{
    size_t count;

    switch (*t->from) {
    case '[':
        return translate_bracket(t, err);
    case '\\':
        return translate_escape(t, err);
    case '(':
        return translate_group(t, err);
    case '*':
    case '+':
    case '?':
        return translate_quantifier(t, 1, err);
    case '{':
        count = t->can_repeat ? count_length(t->from) : 0;
        if (count > 0)
            return translate_quantifier(t, count, err);
        assay_buffer_puts(&t->to, "\\{");
        break;
    case '}':
        assay_buffer_puts(&t->to, "\\}");
        break;
    default:
        assay_buffer_add(&t->to, t->from, 1);
        break;
    }
    t->can_repeat = *t->from != '|' && *t->from != '^';
    t->from++;
    return ASSAY_OK;
}

assay_status
assay_metric_filter_compile(const char *pattern, struct assay_metric_filter **ret_filter,
                            struct assay_error *err)
{
    struct translation t = {.from = pattern};
    struct assay_metric_filter *filter;
    assay_status rc = ASSAY_OK;
    char reason[128];
    int error;

    if (strlen(pattern) > PATTERN_BYTES_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter is longer than %d bytes",
                          PATTERN_BYTES_MAX);
    if (strncmp(t.from, "(?i)", 4) == 0) {
        t.ignore_case = true;
        t.from += 4;
    }
    while (rc == ASSAY_OK && *t.from != '\0')
        rc = translate_next(&t, err);
    if (rc == ASSAY_OK && (t.n_captures == 0 || t.groups >= GROUPS_MAX))
        rc = assay_fail(err, ASSAY_E_INVALID_VALUE,
                        "metrics.filter needs a group for the name and one for the value, and "
                        "may have up to %d in all",
                        GROUPS_MAX - 1);
    if (rc < 0) {
        assay_buffer_done(&t.to);
        return rc;
    }
    filter = ASSAY_NEW(struct assay_metric_filter);
    filter->name_group = t.n_captures == 2 ? t.captures[0] : 0;
    filter->value_group = t.captures[t.n_captures - 1];
    error = regcomp(&filter->regex, t.to.data, REG_EXTENDED | (t.ignore_case ? REG_ICASE : 0));
    assay_buffer_done(&t.to);
    if (error != 0) {
        regerror(error, &filter->regex, reason, sizeof reason);
        free(filter);
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "metrics.filter: %s", reason);
    }
    *ret_filter = filter;
    return ASSAY_OK;
}

struct assay_metric_filter *
assay_metric_filter_free(struct assay_metric_filter *filter)
{
    if (filter != NULL) {
        regfree(&filter->regex);
        free(filter);
    }
    return NULL;
}

bool
assay_metric_filter_next(const struct assay_metric_filter *filter, const char *line, size_t *at,
                         const char **ret_name, size_t *ret_name_length, const char **ret_value,
                         size_t *ret_value_length)
{
    regmatch_t match[GROUPS_MAX];
    const char *start = line + *at;
    const regmatch_t *name = &match[filter->name_group], *value = &match[filter->value_group];

    if (*start == '\0' ||
        regexec(&filter->regex, start, GROUPS_MAX, match, *at > 0 ? REG_NOTBOL : 0) != 0)
        return false;
    *at += (size_t)match[0].rm_eo;
    /* An empty match must not be found again. */
    if (match[0].rm_eo == match[0].rm_so && line[*at] != '\0')
        (*at)++;
    *ret_name = start;
    *ret_name_length = 0;
    if (filter->name_group != 0 && name->rm_so >= 0) {
        *ret_name = start + name->rm_so;
        *ret_name_length = (size_t)(name->rm_eo - name->rm_so);
    }
    *ret_value = start;
    *ret_value_length = 0;
    if (value->rm_so >= 0) {
        *ret_value = start + value->rm_so;
        *ret_value_length = (size_t)(value->rm_eo - value->rm_so);
    }
    return true;
}
