/* Strict, locale-proof numbers: the whole text is the number or it is refused. */
#ifndef ASSAY_COMMON_NUMBER_H
#define ASSAY_COMMON_NUMBER_H

#include <jansson.h>

#include "common/base.h"

/* The largest magnitude up to which every integer has its own double. */
#define ASSAY_INT_EXACT 9007199254740992.0

/* Decimal integer in [min, max], no blanks, optional sign. */
ASSAY_MUST_CHECK bool assay_parse_int(const char *text, int64_t min, int64_t max,
                                      int64_t *ret_value);
/* Decimal floating point ("1.", ".5", "-7.5e-05", "+1E0"), or nan, inf,
 * infinity in any case with a sign.  No hexadecimal, no blanks. */
ASSAY_MUST_CHECK bool assay_parse_double(const char *text, double *ret_value);
/* As assay_parse_double for `length` bytes that need not end in NUL. */
ASSAY_MUST_CHECK bool assay_parse_double_n(const char *text, size_t length, double *ret_value);

/* Duration "90", "90s", "30m", "2h", "1h30m", "1d", "250ms" (a bare number is
 * seconds) in microseconds, >= 0.  False when malformed or above 100 years. */
ASSAY_MUST_CHECK bool assay_parse_duration(const char *text, int64_t *ret_us);
/* Byte quantity as Kubernetes writes it: "512", "4Gi", "500M", "1.5Gi". */
ASSAY_MUST_CHECK bool assay_parse_bytes(const char *text, int64_t *ret_bytes);

/* Order of two doubles, none of them NaN, for qsort and bsearch. */
int assay_compare_doubles(const void *a, const void *b);

#define ASSAY_DOUBLE_TEXT 32
/* Shortest decimal text that reads back as the same double; nan, inf, -inf. */
void assay_print_double(double value, char text[ASSAY_DOUBLE_TEXT]);

/* JSON number, or the strings "nan", "inf", "-inf" for what JSON can not say.
 * New reference. */
json_t *assay_json_real(double value);
/* A JSON number or one of the strings assay_parse_double takes as non-finite. */
ASSAY_MUST_CHECK bool assay_json_get_real(const json_t *json, double *ret_value);

#endif
