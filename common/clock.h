/* Time: microseconds since 1970 UTC for what is stored, monotonic microseconds
 * for deadlines.  Algorithms do not include this. */
#ifndef ASSAY_COMMON_CLOCK_H
#define ASSAY_COMMON_CLOCK_H

#include "common/base.h"

#define ASSAY_SECOND_US INT64_C(1000000)
#define ASSAY_TIME_NONE INT64_MIN /* "no time": SQL NULL, JSON null */

int64_t assay_now_us(void);
int64_t assay_monotonic_us(void);
/* What this process has computed, its threads together: no load of the machine shows in it. */
int64_t assay_processor_us(void);
int64_t assay_monotonic_ns(void); /* for what takes microseconds */

#define ASSAY_TIME_TEXT 32
/* "2026-01-02T03:04:05.123456Z". */
void assay_print_time(int64_t time_us, char text[ASSAY_TIME_TEXT]);
/* RFC 3339 with zone ("Z" or +hh:mm), up to nine digits of a second. */
ASSAY_MUST_CHECK bool assay_parse_time(const char *text, int64_t *ret_us);

#endif
