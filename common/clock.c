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
    used = strftime(text, ASSAY_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + used, ASSAY_TIME_TEXT - used, ".%06dZ", (int)rest);
}

bool
assay_parse_time(const char *text, int64_t *ret_us)
{
    struct tm tm = {0};
    const char *p = strptime(text, "%Y-%m-%d", &tm);
    int64_t fraction_us = 0, zone_s = 0, unit = 100000;

    if (p == NULL || (*p != 'T' && *p != 't' && *p != ' '))
        return false;
    p = strptime(p + 1, "%H:%M:%S", &tm);
    if (p == NULL)
        return false;
    if (*p == '.') {
        const char *first = ++p;

        for (; isdigit((unsigned char)*p) && p - first < 9; p++) {
            fraction_us += (*p - '0') * unit;
            unit /= 10;
        }
        if (p == first)
            return false;
    }
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else if (*p == '+' || *p == '-') {
        int hours, minutes, used = 0;

        if (sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5)
            return false;
        zone_s = (*p == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        p += 6;
    } else {
        return false;
    }
    if (*p != '\0')
        return false;
    *ret_us = ((int64_t)timegm(&tm) - zone_s) * ASSAY_SECOND_US + fraction_us;
    return true;
}
