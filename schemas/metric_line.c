#include "schemas/metric_line.h"

#include <ctype.h>
#include <math.h>
#include <strings.h>

#include <jansson.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/filter.h"

#define STEP_MAX ASSAY_INT_EXACT
#define NUMBER_LENGTH_MAX 400
#define UNIT_LENGTH_MAX 8
/* Longer lines are cut before a user's pattern sees them: matching may take time
 * that grows with the square of the length. */
#define FILTERED_BYTES_MAX 8192

struct assay_metric_pattern {
    char **names;
    size_t *lengths;
    size_t n_names;
    struct assay_filter *filter; /* NULL = the formats of the header */
    bool counts_steps;
};

static const char *const step_keys[] = {"step", "epoch", "global_step"};

assay_status
assay_metric_pattern_new(const char *const *names, size_t n_names, const char *filter,
                         struct assay_metric_pattern **ret_pattern, struct assay_error *err)
{
    struct assay_metric_pattern *pattern = ASSAY_NEW(struct assay_metric_pattern);

    if (filter != NULL) {
        assay_status rc = assay_filter_new(filter, &pattern->filter, err);

        if (rc < 0) {
            free(pattern);
            return assay_wrap(err, "metrics.filter");
        }
    }
    pattern->names = assay_zalloc(n_names, sizeof *pattern->names);
    pattern->lengths = assay_zalloc(n_names, sizeof *pattern->lengths);
    for (size_t i = 0; i < n_names; i++) {
        pattern->names[i] = assay_strdup(names[i]);
        pattern->lengths[i] = strlen(names[i]);
    }
    pattern->n_names = n_names;
    *ret_pattern = pattern;
    return ASSAY_OK;
}

void
assay_metric_pattern_count_steps(struct assay_metric_pattern *pattern)
{
    pattern->counts_steps = true;
}

struct assay_metric_pattern *
assay_metric_pattern_free(struct assay_metric_pattern *pattern)
{
    if (pattern != NULL) {
        for (size_t i = 0; i < pattern->n_names; i++)
            free(pattern->names[i]);
        free(pattern->names);
        free(pattern->lengths);
        assay_filter_free(pattern->filter);
        free(pattern);
    }
    return NULL;
}

ptrdiff_t
assay_metric_pattern_find(const struct assay_metric_pattern *pattern, const char *name,
                          size_t length)
{
    for (size_t i = 0; i < pattern->n_names; i++) {
        if (pattern->lengths[i] == length && memcmp(pattern->names[i], name, length) == 0)
            return (ptrdiff_t)i;
    }
    return -1;
}

const char *
assay_metric_pattern_name(const struct assay_metric_pattern *pattern, size_t i)
{
    ASSAY_ASSERT(i < pattern->n_names);
    return pattern->names[i];
}

void
assay_metric_line_done(struct assay_metric_line *line)
{
    assay_buffer_done(&line->names);
    assay_buffer_done(&line->text);
    line->count = 0;
}

static void
add_pair(struct assay_metric_line *line, const char *name, size_t length, double value)
{
    if (line->count == ASSAY_METRIC_LINE_PAIRS_MAX || length == 0 ||
        length > ASSAY_METRIC_NAME_LENGTH_MAX)
        return;
    line->pairs[line->count++] =
        (struct assay_metric_pair){.name = line->names.length, .value = value};
    assay_buffer_add(&line->names, name, length);
    assay_buffer_add(&line->names, "", 1);
}

/* --- characters -------------------------------------------------------------------------- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* [A-Za-z0-9_], whatever the locale. */
static bool
is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool
is_letter(char c)
{
    return is_word(c) && c != '_' && !(c >= '0' && c <= '9');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Katib's [\w|-]. */
static bool
is_katib(char c)
{
    return is_word(c) || c == '|' || c == '-';
}

/* What a name of ours may hold, known or not. */
static bool
is_name(char c)
{
    return is_katib(c) || c == '.' || c == '/';
}

/* Copies the line without terminal control sequences (ESC [ … letter); a NUL, or
 * any other control character, becomes a blank. */
static void
clean_line(const char *bytes, size_t length, struct assay_buffer *text)
{
    size_t from = 0;

    assay_buffer_clear(text);
    length = ASSAY_MIN(length, (size_t)ASSAY_METRIC_LINE_BYTES_MAX);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];

        if (c >= 0x20 && c != 0x7f)
            continue;
        assay_buffer_add(text, bytes + from, i - from);
        if (c == 0x1b && i + 1 < length && bytes[i + 1] == '[') {
            i += 2;
            while (i < length && (unsigned char)bytes[i] >= 0x20 && (unsigned char)bytes[i] < 0x40)
                i++;
        } else {
            assay_buffer_add(text, c == '\t' ? "\t" : " ", 1);
        }
        from = i + 1;
    }
    if (from < length)
        assay_buffer_add(text, bytes + from, length - from);
    if (text->data == NULL)
        assay_buffer_puts(text, "");
}

/* --- numbers ----------------------------------------------------------------------------- */

/* Length of nan, inf or infinity at `p`, 0 when it is none of them as a whole word. */
static size_t
word_number_length(const char *p)
{
    static const char *const words[] = {"infinity", "inf", "nan"};

    for (size_t i = 0; i < ASSAY_COUNT(words); i++) {
        size_t n = strlen(words[i]);

        if (strncasecmp(p, words[i], n) == 0 && !is_word(p[n]))
            return n;
    }
    return 0;
}

static size_t
digits_length(const char *p)
{
    size_t n = 0;

    while (is_digit(p[n]))
        n++;
    return n;
}

/* Length of the number at `p` (the longest prefix that is one), 0 when there is none. */
static size_t
number_length(const char *p)
{
    const char *start = p;
    size_t whole, fraction = 0, n;

    if (*p == '+' || *p == '-')
        p++;
    n = word_number_length(p);
    if (n > 0)
        return (size_t)(p - start) + n;
    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && isxdigit((unsigned char)p[2]))
        return 0;
    whole = digits_length(p);
    p += whole;
    if (*p == '.') {
        fraction = digits_length(p + 1);
        if (whole + fraction > 0)
            p += 1 + fraction;
    }
    if (whole + fraction == 0)
        return 0;
    if (*p == 'e' || *p == 'E') {
        size_t sign = p[1] == '+' || p[1] == '-';

        n = digits_length(p + 1 + sign);
        if (n > 0)
            p += 1 + sign + n;
    }
    return (size_t)(p - start);
}

static bool
read_number(const char *p, double *ret_value, size_t *ret_length)
{
    size_t n = number_length(p);

    if (n == 0 || n > NUMBER_LENGTH_MAX || !assay_parse_double_n(p, n, ret_value))
        return false;
    *ret_length = n;
    return true;
}

/* Whether what follows a number ends it, after a unit at most: not "1.2.3",
 * "2026-01-01", "10:30" or "3x4". */
static bool
ends_well(const char *p)
{
    size_t unit = 0;

    while (is_letter(p[unit]) || p[unit] == '/' || p[unit] == '%' || (p[unit] & 0x80) != 0) {
        if (++unit > UNIT_LENGTH_MAX)
            return false;
    }
    p += unit;
    /* A full stop may end the sentence. */
    if (*p == '.')
        p++;
    return *p == '\0' || is_blank(*p) || strchr(",;|)]}\"'", *p) != NULL;
}

/* --- steps ------------------------------------------------------------------------------- */

/* Preference of a step key, lowest best; -1 when it is none. */
static int
step_rank(const char *name, size_t length)
{
    for (size_t i = 0; i < ASSAY_COUNT(step_keys); i++) {
        if (strlen(step_keys[i]) == length && strncasecmp(name, step_keys[i], length) == 0)
            return (int)i;
    }
    return -1;
}

struct step {
    int rank; /* of the best key so far; -1 = none */
    int64_t value;
};

static void
take_step(struct step *step, int rank, double value)
{
    if (!(value >= 0 && value <= STEP_MAX && floor(value) == value))
        return;
    if (step->rank < 0 || rank < step->rank) {
        step->rank = rank;
        step->value = (int64_t)value;
    }
}

/* --- pairs in text ----------------------------------------------------------------------- */

/* One candidate: a separator with a number behind it and something before it. */
struct candidate {
    const char *line; /* start of the line */
    const char *end;  /* behind the name, blanks and a quote already stepped over */
    const char *name; /* start of the longest run of name characters before `end` */
    bool equals;      /* "=", else ":" */
    bool apart;       /* blanks or a quote around the separator */
    double value;
    const char *rest; /* behind the number */
};

static bool
read_candidate(const char *line, const char *separator, struct candidate *ret_candidate)
{
    struct candidate c = {.line = line, .equals = *separator == '='};
    const char *p = separator + 1;
    size_t length;

    while (is_blank(*p))
        p++;
    c.apart = p != separator + 1;
    if (!read_number(p, &c.value, &length))
        return false;
    c.rest = p + length;
    p = separator;
    while (p > line && is_blank(p[-1]))
        p--;
    if (p > line && (p[-1] == '\'' || p[-1] == '"'))
        p--;
    if (p != separator)
        c.apart = true;
    c.end = c.name = p;
    while (c.name > line && is_name(c.name[-1]))
        c.name--;
    *ret_candidate = c;
    return c.end > line;
}

/* The known name that ends at the candidate's end, the longest; -1 when none.
 * After "=" Katib's rule decides where it may start, after ":" ours, which does not
 * see a name inside a longer one. */
static ptrdiff_t
find_known(const struct assay_metric_pattern *pattern, const struct candidate *c)
{
    ptrdiff_t found = -1;

    for (size_t i = 0; i < pattern->n_names; i++) {
        size_t n = pattern->lengths[i];
        const char *start;

        if (n == 0 || n > (size_t)(c->end - c->line) ||
            memcmp(c->end - n, pattern->names[i], n) != 0)
            continue;
        start = c->end - n;
        if (start > c->line && (c->equals ? is_katib(start[-1]) : is_name(start[-1])))
            continue;
        if (found < 0 || n > pattern->lengths[found])
            found = (ptrdiff_t)i;
    }
    return found;
}

/* Whether a name nobody declared is a metric here.  `only_pairs`: the line is. */
static bool
is_meant(const struct candidate *c, bool only_pairs)
{
    if (c->name == c->end || !(is_letter(*c->name) || *c->name == '_'))
        return false;
    if (only_pairs)
        return true;
    return c->equals && !c->apart && ends_well(c->rest) &&
           (c->name == c->line || is_blank(c->name[-1]) || strchr(",;([{", c->name[-1]) != NULL);
}

/* Whether the line holds nothing but `name=value` and `name: value` with blanks and
 * ",;|" or " - " between them. */
static bool
has_only_pairs(const char *line)
{
    const char *p = line;

    for (size_t pairs = 0;; pairs++) {
        const char *name;
        double value;
        size_t n;

        while (is_blank(*p) || *p == ',' || *p == ';' || *p == '|' ||
               (*p == '-' && pairs > 0 && is_blank(p[-1]) && is_blank(p[1])))
            p++;
        if (*p == '\0')
            return pairs > 0;
        name = p;
        while (is_name(*p) && *p != '|')
            p++;
        if (p == name || !(is_letter(*name) || *name == '_'))
            return false;
        while (is_blank(*p))
            p++;
        if (*p != '=' && *p != ':')
            return false;
        p++;
        while (is_blank(*p))
            p++;
        if (!read_number(p, &value, &n) || !ends_well(p + n))
            return false;
        p += n;
        while (*p != '\0' && !is_blank(*p) && strchr(",;|", *p) == NULL)
            p++; /* a unit */
    }
}

static void
read_text(const struct assay_metric_pattern *pattern, const char *text, struct step *step,
          struct assay_metric_line *line)
{
    bool only_pairs = pattern->filter == NULL && has_only_pairs(text);

    for (const char *p = strpbrk(text, "=:"); p != NULL; p = strpbrk(p, "=:")) {
        struct candidate c;
        ptrdiff_t known;
        int rank;

        if (!read_candidate(text, p++, &c))
            continue;
        rank = step_rank(c.name, (size_t)(c.end - c.name));
        if (rank >= 0)
            take_step(step, rank, c.value);
        if (pattern->filter != NULL)
            continue;
        known = find_known(pattern, &c);
        if (known >= 0)
            add_pair(line, pattern->names[known], pattern->lengths[known], c.value);
        else if (rank < 0 && is_meant(&c, only_pairs))
            add_pair(line, c.name, (size_t)(c.end - c.name), c.value);
        p = ASSAY_MAX(p, c.rest);
    }
}

static void
read_filtered(const struct assay_metric_pattern *pattern, char *text,
              struct assay_metric_line *line)
{
    struct assay_filter_match match;
    double number;

    if (strlen(text) > FILTERED_BYTES_MAX)
        text[FILTERED_BYTES_MAX] = '\0';
    for (size_t from = 0; line->count < ASSAY_METRIC_LINE_PAIRS_MAX &&
                          assay_filter_find(pattern->filter, text, from, &match);
         from = match.end) {
        const char *name = text + match.name, *value = text + match.value;

        if (match.name_length == 0 && pattern->n_names > 0) {
            name = pattern->names[0];
            match.name_length = pattern->lengths[0];
        }
        while (match.value_length > 0 && is_blank(*value)) {
            value++;
            match.value_length--;
        }
        while (match.value_length > 0 && is_blank(value[match.value_length - 1]))
            match.value_length--;
        if (match.value_length <= NUMBER_LENGTH_MAX &&
            assay_parse_double_n(value, match.value_length, &number))
            add_pair(line, name, match.name_length, number);
    }
}

/* --- JSON -------------------------------------------------------------------------------- */

/* Python and others write NaN and Infinity, which JSON has not: puts them in
 * quotes.  Caller frees; NULL when there was nothing to change. */
static char *
quote_words(const char *text)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity", "-NaN"};
    struct assay_buffer to = {0};
    bool inside = false, changed = false;

    for (const char *p = text; *p != '\0';) {
        size_t n = 1;
        const char *quote = "";

        if (inside && *p == '\\' && p[1] != '\0') {
            n = 2;
        } else if (*p == '"') {
            inside = !inside;
        } else if (!inside) {
            for (size_t i = 0; i < ASSAY_COUNT(words); i++) {
                size_t length = strlen(words[i]);

                if (strncmp(p, words[i], length) == 0) {
                    n = length;
                    quote = "\"";
                    changed = true;
                }
            }
        }
        assay_buffer_puts(&to, quote);
        assay_buffer_add(&to, p, n);
        assay_buffer_puts(&to, quote);
        p += n;
    }
    if (!changed) {
        assay_buffer_done(&to);
        return NULL;
    }
    return assay_buffer_steal(&to);
}

/* Arrays and objects in a line of output go a few levels deep; one that is made
 * to exhaust the parser is text. */
static bool
is_too_deep(const char *text)
{
    size_t open = 0;

    for (const char *p = text; *p != '\0'; p++)
        open += *p == '[' || *p == '{';
    return open > 1000;
}

static json_t *
parse_object(const char *text)
{
    json_t *json;

    if (is_too_deep(text))
        return NULL;
    json = json_loads(text, 0, NULL);
    if (json == NULL) {
        assay_auto_free char *quoted = quote_words(text);

        if (quoted != NULL)
            json = json_loads(quoted, 0, NULL);
    }
    if (json != NULL && !json_is_object(json)) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

static bool
json_number(const json_t *value, double *ret_value)
{
    if (json_is_number(value)) {
        *ret_value = json_number_value(value);
        return true;
    }
    return json_is_string(value) && json_string_length(value) <= NUMBER_LENGTH_MAX &&
           assay_parse_double(json_string_value(value), ret_value);
}

/* A text is a value for a known name, or where a word stands for a number that
 * JSON has not; other texts that look like numbers are identifiers. */
static void
read_object(const struct assay_metric_pattern *pattern, json_t *object, struct step *step,
            struct assay_metric_line *line)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value)
    {
        size_t length = strlen(name);
        int rank = step_rank(name, length);
        bool known = assay_metric_pattern_find(pattern, name, length) >= 0;
        double number;

        if (!json_number(value, &number))
            continue;
        if (rank >= 0)
            take_step(step, rank, number);
        if (known || (rank < 0 && strcmp(name, "timestamp") != 0 &&
                      (json_is_number(value) || !isfinite(number))))
            add_pair(line, name, length, number);
    }
    value = json_object_get(object, "metrics");
    if (json_is_object(value)) {
        json_object_foreach(value, name, object)
        {
            double number;

            if (json_number(object, &number))
                add_pair(line, name, strlen(name), number);
        }
    }
}

static bool
read_json(const struct assay_metric_pattern *pattern, const char *text, struct step *step,
          struct assay_metric_line *line)
{
    size_t length = strlen(text);
    json_t *object;

    while (is_blank(*text)) {
        text++;
        length--;
    }
    while (length > 0 && is_blank(text[length - 1]))
        length--;
    if (length < 2 || text[0] != '{' || text[length - 1] != '}')
        return false;
    object = parse_object(text);
    if (object == NULL)
        return false;
    read_object(pattern, object, step, line);
    json_decref(object);
    return true;
}

void
assay_metric_line_read(const struct assay_metric_pattern *pattern, const char *bytes, size_t length,
                       struct assay_metric_line *ret_line)
{
    struct step step = {.rank = -1, .value = -1};

    ret_line->count = 0;
    assay_buffer_clear(&ret_line->names);
    clean_line(bytes, length, &ret_line->text);
    if (pattern->filter != NULL) {
        read_text(pattern, ret_line->text.data, &step, ret_line);
        read_filtered(pattern, ret_line->text.data, ret_line);
    } else if (!read_json(pattern, ret_line->text.data, &step, ret_line)) {
        read_text(pattern, ret_line->text.data, &step, ret_line);
    }
    ret_line->step = step.rank >= 0 && !pattern->counts_steps ? step.value : -1;
}
