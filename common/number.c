#include "common/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/memory.h"

bool
assay_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    const char *digits = text + (*text == '-' || *text == '+');
    long long value;
    char *end;

    if (!isdigit((unsigned char)*digits))
        return false;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0' || value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool
parse_word(const char *text, size_t length, double *ret_value)
{
    bool negative = *text == '-';

    if (*text == '-' || *text == '+') {
        text++;
        length--;
    }
    if (length == 3 && strncasecmp(text, "nan", 3) == 0)
        *ret_value = NAN;
    else if ((length == 3 && strncasecmp(text, "inf", 3) == 0) ||
             (length == 8 && strncasecmp(text, "infinity", 8) == 0))
        *ret_value = negative ? -INFINITY : INFINITY;
    else
        return false;
    return true;
}

/* Sign, digits with at most one point and at least one digit, exponent. */
static bool
looks_decimal(const char *text, size_t length)
{
    size_t i = 0, digits = 0;

    if (i < length && (text[i] == '-' || text[i] == '+'))
        i++;
    for (; i < length && isdigit((unsigned char)text[i]); i++)
        digits++;
    if (i < length && text[i] == '.') {
        for (i++; i < length && isdigit((unsigned char)text[i]); i++)
            digits++;
    }
    if (digits == 0)
        return false;
    if (i < length && (text[i] == 'e' || text[i] == 'E')) {
        size_t first;

        i++;
        if (i < length && (text[i] == '-' || text[i] == '+'))
            i++;
        first = i;
        while (i < length && isdigit((unsigned char)text[i]))
            i++;
        if (i == first)
            return false;
    }
    return i == length;
}

/* strtod in the C locale, whatever the process's locale is: the decimal point
 * of the text is a point, so a locale with a comma needs it replaced. */
static double
decimal_value(const char *text)
{
    char *end;
    double value = strtod(text, &end);

    if (*end == '.') {
        assay_auto_free char *copy = assay_strdup(text);

        copy[end - text] = ',';
        value = strtod(copy, &end);
    }
    return value;
}

bool
assay_parse_double_n(const char *text, size_t length, double *ret_value)
{
    char small[64];

    if (length == 0)
        return false;
    if (parse_word(text, length, ret_value))
        return true;
    if (!looks_decimal(text, length))
        return false;
    if (length < sizeof small) {
        memcpy(small, text, length);
        small[length] = '\0';
        *ret_value = decimal_value(small);
    } else {
        assay_auto_free char *copy = assay_strndup(text, length);

        *ret_value = decimal_value(copy);
    }
    return true;
}

bool
assay_parse_double(const char *text, double *ret_value)
{
    return assay_parse_double_n(text, strlen(text), ret_value);
}

/* Reads the leading decimal of `text`; returns what follows, NULL if there is none. */
static const char *
leading_decimal(const char *text, double *ret_value)
{
    size_t length = strspn(text, "0123456789.");

    if (length == 0 || !assay_parse_double_n(text, length, ret_value))
        return NULL;
    return text + length;
}

bool
assay_parse_duration(const char *text, int64_t *ret_us)
{
    static const struct {
        const char *unit;
        double us;
    } units[] = {{"ms", 1e3},    {"us", 1.0},    {"s", 1e6},
                 {"m", 60e6},    {"h", 3600e6},  {"d", 86400e6}};
    double total = 0.0;

    if (*text == '\0')
        return false;
    while (*text != '\0') {
        double value;
        size_t length, i;

        text = leading_decimal(text, &value);
        if (text == NULL)
            return false;
        length = strspn(text, "abcdefghijklmnopqrstuvwxyz");
        if (length == 0) {
            total += value * 1e6;
            if (*text != '\0')
                return false;
            break;
        }
        for (i = 0; i < ASSAY_COUNT(units); i++) {
            if (strlen(units[i].unit) == length && strncmp(units[i].unit, text, length) == 0)
                break;
        }
        if (i == ASSAY_COUNT(units))
            return false;
        total += value * units[i].us;
        text += length;
    }
    if (!(total <= 100.0 * 366 * 86400e6))
        return false;
    *ret_us = (int64_t)llround(total);
    return true;
}

bool
assay_parse_bytes(const char *text, int64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1.0},          {"k", 1e3},          {"K", 1e3},
                 {"M", 1e6},         {"G", 1e9},          {"T", 1e12},
                 {"Ki", 1024.0},     {"Mi", 1048576.0},   {"Gi", 1073741824.0},
                 {"Ti", 1099511627776.0}};
    double value;

    text = leading_decimal(text, &value);
    if (text == NULL)
        return false;
    for (size_t i = 0; i < ASSAY_COUNT(units); i++) {
        if (strcmp(units[i].unit, text) == 0) {
            value *= units[i].bytes;
            if (!(value <= ASSAY_INT_EXACT))
                return false;
            *ret_bytes = (int64_t)value;
            return true;
        }
    }
    return false;
}

int
assay_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void
assay_print_double(double value, char text[ASSAY_DOUBLE_TEXT])
{
    if (isnan(value)) {
        memcpy(text, "nan", 4);
        return;
    }
    if (isinf(value)) {
        memcpy(text, value > 0 ? "inf" : "-inf", value > 0 ? 4 : 5);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        char *comma;
        double back;

        snprintf(text, ASSAY_DOUBLE_TEXT, "%.*g", digits, value);
        comma = strchr(text, ',');
        if (comma != NULL)
            *comma = '.';
        if (assay_parse_double(text, &back) && back == value)
            return;
    }
}

json_t *
assay_json_real(double value)
{
    if (isnan(value))
        return json_string("nan");
    if (isinf(value))
        return json_string(value > 0 ? "inf" : "-inf");
    return json_real(value);
}

bool
assay_json_get_real(const json_t *json, double *ret_value)
{
    if (json_is_number(json)) {
        *ret_value = json_number_value(json);
        return true;
    }
    return json_is_string(json) &&
           parse_word(json_string_value(json), json_string_length(json), ret_value);
}
