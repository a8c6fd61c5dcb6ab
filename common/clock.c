#include "common/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t
read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * ASSAY_SECOND_US + now.tv_nsec / 1000;
}

int64_t
assay_now_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t
assay_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t
assay_processor_us(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t
assay_monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

void
assay_print_time(int64_t time_us, char text[ASSAY_TIME_TEXT])
{
    time_t seconds = (time_t)(time_us / ASSAY_SECOND_US);
    int64_t rest = time_us % ASSAY_SECOND_US;
    struct tm tm;
    size_t used;

    if (rest < 0) {
        rest += ASSAY_SECOND_US;
        seconds--;
    }
    gmtime_r(&seconds, &tm);
    /* RFC 3339 has four digits; glibc's width is the way to say so. */
    used = strftime(text, ASSAY_TIME_TEXT, "%4Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + used, ASSAY_TIME_TEXT - used, ".%06dZ", (int)rest);
}

/* Reads exactly `digits` digits; NULL when they are not there or above `max`. */
static const char *
parse_digits(const char *text, int digits, int max, int *ret_value)
{
    int value = 0;

    if (text == NULL)
        return NULL;
    for (int i = 0; i < digits; i++) {
        if (!isdigit((unsigned char)text[i]))
            return NULL;
        value = value * 10 + (text[i] - '0');
    }
    *ret_value = value;
    return value <= max ? text + digits : NULL;
}

static const char *
skip_one_of(const char *text, const char *allowed)
{
    return text != NULL && *text != '\0' && strchr(allowed, *text) != NULL ? text + 1 : NULL;
}

/* ".5" up to nine digits, those below a microsecond dropped; none at all is 0. */
static const char *
parse_fraction(const char *text, int64_t *ret_us)
{
    int64_t unit = 100000;
    const char *first;

    *ret_us = 0;
    if (text == NULL || *text != '.')
        return text;
    for (first = ++text; isdigit((unsigned char)*text) && text - first < 9; text++) {
        *ret_us += (*text - '0') * unit;
        unit /= 10;
    }
    return text > first ? text : NULL;
}

/* "Z", "+hh:mm", "-hh:mm". */
static const char *
parse_zone(const char *text, int64_t *ret_s)
{
    int hours = 0, minutes = 0;
    bool west = text != NULL && *text == '-';

    *ret_s = 0;
    if (text == NULL || *text == 'Z' || *text == 'z')
        return text != NULL ? text + 1 : NULL;
    text = parse_digits(skip_one_of(text, "+-"), 2, 23, &hours);
    text = parse_digits(skip_one_of(text, ":"), 2, 59, &minutes);
    *ret_s = (west ? -1 : 1) * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return text;
}

bool
assay_parse_time(const char *text, int64_t *ret_us)
{
    int64_t fraction_us, zone_s, seconds;
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    struct tm midnight;

    text = parse_digits(text, 4, 9999, &year);
    text = parse_digits(skip_one_of(text, "-"), 2, 12, &month);
    text = parse_digits(skip_one_of(text, "-"), 2, 31, &day);
    text = parse_digits(skip_one_of(text, "Tt "), 2, 23, &hour);
    text = parse_digits(skip_one_of(text, ":"), 2, 59, &minute);
    text = parse_digits(skip_one_of(text, ":"), 2, 60, &second); /* a leap second */
    text = parse_fraction(text, &fraction_us);
    text = parse_zone(text, &zone_s);
    if (text == NULL || *text != '\0')
        return false;
    /* timegm takes 30 February for 2 March. */
    midnight = (struct tm){.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    seconds = (int64_t)timegm(&midnight) + hour * 3600 + minute * 60 + second;
    if (midnight.tm_mon != month - 1 || midnight.tm_mday != day)
        return false;
    *ret_us = (seconds - zone_s) * ASSAY_SECOND_US + fraction_us;
    return true;
}
