/* Text for people and for other programs: numbers, durations, tables, spark
 * lines, and the quoting of CSV, XML, shell and JSON.
 *
 * Pure: no terminal, no files, no clock.  Any thread. */
#ifndef ASSAY_CLI_TEXT_H
#define ASSAY_CLI_TEXT_H

#include <jansson.h>

#include "common/buffer.h"

/* "0.4s", "12s", "3m05s", "2h10m", "3d04h"; "-" below zero.  Caller frees. */
char *assay_text_duration(int64_t us);

/* Six significant digits, for people; nan, inf.  Caller frees. */
char *assay_text_number(double value);

/* A JSON value for people: strings bare and without control characters, numbers
 * by assay_text_number, null as "-", others as JSON.  Caller frees. */
char *assay_text_value(const json_t *value);

/* A copy in which each control character (also ESC) is a "?", so that text from
 * elsewhere can not steer the terminal.  Caller frees. */
char *assay_text_clean(const char *text);

/* Columns that valid UTF-8 takes, one per code point. */
size_t assay_text_width(const char *text);
/* Cuts to at most `width` columns in place. */
void assay_text_cut(char *text, size_t width);

/* Time left when `done` of `total` took `elapsed_us`, but not more than `left_us`
 * (< 0 = no limit); -1 when nothing can be said.  Without a total it is
 * `left_us`. */
int64_t assay_text_eta_us(int64_t done, int64_t total, int64_t elapsed_us, int64_t left_us);

/* A line of at most `width` columns that draws the values from low to high:
 * eight Unicode blocks, or "_.-=+*#%" in ASCII.  Longer series are averaged in
 * equal pieces; a piece without finite values is a blank.  Caller frees. */
char *assay_text_sparkline(const double *values, size_t n, size_t width, bool unicode);
/* "[####----]" or Unicode, `width` columns; frac in [0, 1] (clamped).  Caller frees. */
char *assay_text_bar(double frac, size_t width, bool unicode);

/* Append the text as one CSV field (RFC 4180), as XML character data or attribute
 * value (characters that XML 1.0 can not carry become "?"), as one shell word. */
void assay_text_csv(struct assay_buffer *buffer, const char *text);
void assay_text_xml(struct assay_buffer *buffer, const char *text);
void assay_text_shell(struct assay_buffer *buffer, const char *text);
/* A JSON value as one CSV field's text: scalars bare (null is empty), numbers in
 * their shortest exact form, others as JSON.  Caller frees. */
char *assay_text_csv_value(const json_t *value);

/* Columns filled row by row; initialise with {.columns = n}. */
struct assay_table {
    size_t columns;
    uint64_t right; /* bit i: column i is aligned right */
    char **cells;
    size_t count, capacity;
};
/* Adds the next cell; a NULL text is "-". */
void assay_table_add(struct assay_table *table, const char *text);
void assay_table_printf(struct assay_table *table, const char *format, ...) ASSAY_PRINTF(2, 3);
/* Lines with two blanks between columns, each line behind `indent` blanks;
 * blanks at the ends of lines are left out. */
void assay_table_print(const struct assay_table *table, unsigned indent,
                       struct assay_buffer *buffer);
void assay_table_done(struct assay_table *table);
#define assay_auto_table ASSAY_CLEANUP(assay_table_done)

/* Edits (insert, delete, replace, swap of neighbours) from one word to the other. */
size_t assay_text_distance(const char *a, const char *b);
/* The word of the list nearest to `word`, when near enough to be a slip; else NULL. */
const char *assay_text_nearest(const char *word, const char *const *words, size_t n);

#endif
