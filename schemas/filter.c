#include "schemas/filter.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"

#define GROUPS_MAX 20

struct assay_filter {
    regex_t regex;
    size_t name_group, value_group; /* name 0: there is one group */
    size_t n_groups; /* all groups of the expression, and the whole match */
    struct assay_filter *next; /* of the next line */
};

/* --- from RE2's notation to POSIX --- */

struct translation {
    const char *at; /* what is left of the pattern */
    struct assay_buffer out;
    size_t n_groups;    /* ( seen */
    size_t captures[2]; /* numbers of the first two capturing groups */
    size_t n_captures;
    long repeat;     /* product of the counts */
    bool can_repeat; /* something stands before that can be repeated */
    int flags;
    struct assay_error *err;
};

static assay_status
refuse(struct translation *t, const char *what)
{
    return assay_fail(t->err, ASSAY_E_INVALID_VALUE, "%s", what);
}

/* The members of the class of an escape such as \d, without brackets. */
static const char *
class_members(char letter)
{
    switch (tolower((unsigned char)letter)) {
    case 'd':
        return "0-9";
    case 'w':
        return "0-9A-Za-z_";
    case 's':
        return " \t\r\n\f\v";
    default:
        return NULL;
    }
}

static char
control_escape(char letter)
{
    static const char letters[] = "tnrfv", controls[] = "\t\n\r\f\v";
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;

    return found != NULL ? controls[found - letters] : '\0';
}

static assay_status
translate_escape(struct translation *t)
{
    char c = t->at[1];
    const char *members = class_members(c);

    if (members != NULL) {
        assay_buffer_printf(&t->out, "[%s%s]", isupper((unsigned char)c) ? "^" : "", members);
    } else if (control_escape(c) != '\0') {
        c = control_escape(c);
        assay_buffer_add(&t->out, &c, 1);
    } else if (c == 'b' || c == 'B') {
        assay_buffer_printf(&t->out, "\\%c", c);
    } else if (c == '\0' || isalnum((unsigned char)c)) {
        return refuse(t, c == '\0' ? "the pattern ends in a backslash"
                                   : "the pattern has an escape that is not supported "
                                     "(\\d \\w \\s \\D \\W \\S \\b \\B \\t and punctuation are)");
    } else if (strchr(".[]{}()*+?^$|\\", c) != NULL) {
        assay_buffer_printf(&t->out, "\\%c", c);
    } else {
        assay_buffer_add(&t->out, &c, 1);
    }
    t->at += 2;
    return ASSAY_OK;
}

/* What a bracket holds.  POSIX has no escapes there: ']' must come first, '^'
 * not first and '-' last. */
struct bracket {
    struct assay_buffer members;
    bool has_close, has_caret, has_dash;
};

static assay_status
translate_bracket_escape(struct translation *t, struct bracket *bracket)
{
    char c = t->at[1];
    const char *members = class_members(c);

    if (members != NULL && islower((unsigned char)c)) {
        assay_buffer_puts(&bracket->members, members);
        /* A dash after a class is no range. */
        if (t->at[2] == '-') {
            bracket->has_dash = true;
            t->at++;
        }
    } else if (control_escape(c) != '\0') {
        c = control_escape(c);
        assay_buffer_add(&bracket->members, &c, 1);
    } else if (c == '\0' || isalnum((unsigned char)c)) {
        return refuse(t, "a bracket of the pattern has an escape that is not supported");
    } else if (c == ']') {
        bracket->has_close = true;
    } else if (c == '^') {
        bracket->has_caret = true;
    } else if (c == '-') {
        bracket->has_dash = true;
    } else {
        assay_buffer_add(&bracket->members, &c, 1);
    }
    t->at += 2;
    return ASSAY_OK;
}

static assay_status
read_bracket(struct translation *t, struct bracket *bracket)
{
    bool first = true;

    for (; *t->at != ']' || first; first = false) {
        if (*t->at == '\0')
            return refuse(t, "the pattern has an open bracket");
        if (*t->at == '\\') {
            assay_status rc = translate_bracket_escape(t, bracket);

            if (rc < 0)
                return rc;
        } else if (t->at[0] == '[' && t->at[1] == ':') {
            const char *end = strstr(t->at + 2, ":]");

            if (end == NULL)
                return refuse(t, "the pattern has an open [:class:]");
            assay_buffer_add(&bracket->members, t->at, (size_t)(end + 2 - t->at));
            t->at = end + 2;
        } else if (t->at[0] == '[' && (t->at[1] == '.' || t->at[1] == '=')) {
            return refuse(t, "the pattern has a collating element");
        } else if (*t->at == ']') {
            bracket->has_close = true;
            t->at++;
        } else if (*t->at == '-' && (first || t->at[1] == ']')) {
            bracket->has_dash = true;
            t->at++;
        } else {
            assay_buffer_add(&bracket->members, t->at++, 1);
        }
    }
    t->at++;
    return ASSAY_OK;
}

static assay_status
translate_bracket(struct translation *t)
{
    struct bracket bracket = {.members = {0}};
    bool negated = t->at[1] == '^';
    assay_status rc;

    t->at += negated ? 2 : 1;
    rc = read_bracket(t, &bracket);
    if (rc == ASSAY_OK) {
        const char *members = bracket.members.data != NULL ? bracket.members.data : "";

        if (bracket.has_caret && !negated && !bracket.has_close && *members == '\0')
            assay_buffer_puts(&t->out, bracket.has_dash ? "[-^]" : "\\^");
        else
            assay_buffer_printf(&t->out, "[%s%s%s%s%s]", negated ? "^" : "",
                                bracket.has_close ? "]" : "", members,
                                bracket.has_caret ? "^" : "", bracket.has_dash ? "-" : "");
    }
    assay_buffer_done(&bracket.members);
    return rc;
}

static assay_status
translate_group(struct translation *t)
{
    bool captures = true;

    t->n_groups++;
    t->at++;
    if (t->at[0] == '?') {
        bool named = strncmp(t->at, "?P<", 3) == 0 ||
                     (t->at[1] == '<' && t->at[2] != '=' && t->at[2] != '!');

        if (t->at[1] == ':') {
            captures = false;
            t->at += 2;
        } else if (named && strchr(t->at, '>') != NULL) {
            t->at = strchr(t->at, '>') + 1;
        } else {
            return refuse(t, "the pattern has a (?…) group that is not supported");
        }
    }
    if (t->n_groups >= GROUPS_MAX)
        return refuse(t, "the pattern has too many groups");
    if (captures && t->n_captures < ASSAY_COUNT(t->captures))
        t->captures[t->n_captures++] = t->n_groups;
    assay_buffer_puts(&t->out, "(");
    t->can_repeat = false;
    return ASSAY_OK;
}

/* Length of a count {n}, {n,}, {n,m}, and its largest number; 0 when the brace is
 * itself. */
static size_t
read_count(const char *text, long *ret_count)
{
    const char *at = text + 1;
    char *end;

    if (!isdigit((unsigned char)*at))
        return 0;
    *ret_count = strtol(at, &end, 10);
    at = end + (*end == ',');
    if (isdigit((unsigned char)*at)) {
        long most = strtol(at, &end, 10);

        *ret_count = ASSAY_MAX(*ret_count, most);
        at = end;
    }
    return *at == '}' ? (size_t)(at + 1 - text) : 0;
}

static assay_status
translate_repetition(struct translation *t, size_t length, long count)
{
    if (!t->can_repeat)
        return refuse(t, "the pattern has a repetition of nothing");
    /* Nested counts multiply the compiled size, so all are taken as if nested. */
    t->repeat *= ASSAY_MIN(ASSAY_MAX(count, 1), ASSAY_FILTER_REPEAT_MAX + 1);
    if (t->repeat > ASSAY_FILTER_REPEAT_MAX)
        return refuse(t, "the pattern repeats too often");
    assay_buffer_add(&t->out, t->at, length);
    t->at += length;
    if (*t->at == '?' || (*t->at == '{' && read_count(t->at, &count) > 0))
        return refuse(t, "the pattern has a lazy or doubled repetition");
    t->can_repeat = false;
    return ASSAY_OK;
}

static assay_status
translate_next(struct translation *t)
{
    char c = *t->at;
    long count = 0;
    size_t length;

    switch (c) {
    case '(':
        return translate_group(t);
    case '*':
    case '+':
    case '?':
        return translate_repetition(t, 1, 1);
    case '{':
        length = t->can_repeat ? read_count(t->at, &count) : 0;
        if (length > 0)
            return translate_repetition(t, length, count);
        assay_buffer_puts(&t->out, "\\{");
        t->at++;
        break;
    case '}':
        assay_buffer_puts(&t->out, "\\}");
        t->at++;
        break;
    case '\\':
        t->can_repeat = t->at[1] != 'b' && t->at[1] != 'B';
        return translate_escape(t);
    case '[':
        t->can_repeat = true;
        return translate_bracket(t);
    default:
        assay_buffer_add(&t->out, &c, 1);
        t->at++;
    }
    t->can_repeat = c != '|' && c != '^';
    return ASSAY_OK;
}

static assay_status
translate(struct translation *t, const char *pattern)
{
    assay_status rc = ASSAY_OK;

    t->at = pattern;
    t->repeat = 1;
    t->flags = REG_EXTENDED;
    if (strlen(pattern) > ASSAY_FILTER_BYTES_MAX)
        return refuse(t, "the pattern is longer than 1000 bytes");
    if (strncmp(pattern, "(?i)", 4) == 0) {
        t->flags |= REG_ICASE;
        t->at += 4;
    }
    while (rc == ASSAY_OK && *t->at != '\0')
        rc = translate_next(t);
    if (rc == ASSAY_OK && t->n_captures == 0)
        return refuse(t, "the pattern needs groups: (name) and (value)");
    return rc;
}

/* --- the filter --- */

/* The filter of one line. */
static assay_status
new_of_line(const char *pattern, struct assay_filter **ret_filter, struct assay_error *err)
{
    struct translation t = {.err = err};
    struct assay_filter *filter;
    assay_status rc = translate(&t, pattern);
    char text[128];
    int code;

    if (rc == ASSAY_OK) {
        filter = ASSAY_NEW(struct assay_filter);
        code = regcomp(&filter->regex, t.out.data, t.flags);
        if (code != 0) {
            regerror(code, &filter->regex, text, sizeof text);
            free(filter);
            rc = assay_fail(err, ASSAY_E_INVALID_VALUE, "the pattern is malformed: %s", text);
        } else {
            filter->name_group = t.n_captures == 2 ? t.captures[0] : 0;
            filter->value_group = t.captures[t.n_captures - 1];
            filter->n_groups = t.n_groups + 1;
            *ret_filter = filter;
        }
    }
    assay_buffer_done(&t.out);
    return rc;
}

assay_status
assay_filter_new(const char *pattern, struct assay_filter **ret_filter, struct assay_error *err)
{
    struct assay_filter *first = NULL, **last = &first;
    assay_status rc;

    do {
        size_t length = strcspn(pattern, "\n");
        assay_auto_free char *line = assay_strndup(pattern, length);

        rc = new_of_line(line, last, err);
        if (rc == ASSAY_OK)
            last = &(*last)->next;
        pattern += length + (pattern[length] == '\n');
    } while (rc == ASSAY_OK && *pattern != '\0');
    if (rc == ASSAY_OK)
        *ret_filter = first;
    else
        assay_filter_free(first);
    return rc;
}

struct assay_filter *
assay_filter_free(struct assay_filter *filter)
{
    while (filter != NULL) {
        struct assay_filter *next = filter->next;

        regfree(&filter->regex);
        free(filter);
        filter = next;
    }
    return NULL;
}

/* The first match of one line's filter, and where it begins. */
static bool
find_of_line(const struct assay_filter *filter, const char *line, size_t length, size_t from,
             struct assay_filter_match *ret_match, size_t *ret_start)
{
    const regmatch_t *name, *value;
    regmatch_t groups[GROUPS_MAX];
    size_t end;

    name = &groups[filter->name_group];
    value = &groups[filter->value_group];
    for (; from <= length; from = end) {
        if (regexec(&filter->regex, line + from, filter->n_groups, groups,
                    from > 0 ? REG_NOTBOL : 0) != 0)
            return false;
        /* An empty match must not be found for ever. */
        end = from + (size_t)ASSAY_MAX(groups[0].rm_eo, groups[0].rm_so + 1);
        if (name->rm_so < 0 || value->rm_so < 0)
            continue;
        ret_match->name = from + (size_t)name->rm_so;
        ret_match->name_length =
            filter->name_group > 0 ? (size_t)(name->rm_eo - name->rm_so) : 0;
        ret_match->value = from + (size_t)value->rm_so;
        ret_match->value_length = (size_t)(value->rm_eo - value->rm_so);
        ret_match->end = end;
        *ret_start = from + (size_t)groups[0].rm_so;
        return true;
    }
    return false;
}

bool
assay_filter_find(const struct assay_filter *filter, const char *line, size_t from,
                  struct assay_filter_match *ret_match)
{
    size_t length = strlen(line), first = SIZE_MAX;

    for (; filter != NULL; filter = filter->next) {
        struct assay_filter_match match;
        size_t start;

        if (find_of_line(filter, line, length, from, &match, &start) && start < first) {
            first = start;
            *ret_match = match;
        }
    }
    return first != SIZE_MAX;
}
