#include "cli/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

char *
assay_text_duration(int64_t us)
{
    int64_t s = us / ASSAY_SECOND_US;

    if (us < 0)
        return assay_strdup("-");
    if (us < 10 * ASSAY_SECOND_US)
        return assay_format("%.1fs", (double)us / 1e6);
    if (s < 60)
        return assay_format("%" PRId64 "s", s);
    if (s < 3600)
        return assay_format("%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    if (s < 86400)
        return assay_format("%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    return assay_format("%" PRId64 "d%02" PRId64 "h", s / 86400, s / 3600 % 24);
}

char *
assay_text_number(double value)
{
    if (isnan(value))
        return assay_strdup("nan");
    if (isinf(value))
        return assay_strdup(value > 0 ? "inf" : "-inf");
    if (value == 0)
        return assay_strdup("0"); /* also -0 */
    return assay_format("%.6g", value);
}

char *
assay_text_clean(const char *text)
{
    char *copy = assay_strdup(text);

    for (char *p = copy; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;

        /* 0xC2 0x80..0x9F are the control characters of Latin-1, CSI among them. */
        if (c < 0x20 || c == 0x7F)
            *p = '?';
        else if (c == 0xC2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xA0)
            p[0] = p[1] = '?';
    }
    return copy;
}

char *
assay_text_value(const json_t *value)
{
    struct assay_buffer buffer = {0};

    if (value == NULL || json_is_null(value))
        return assay_strdup("-");
    if (json_is_string(value))
        return assay_text_clean(json_string_value(value));
    if (json_is_real(value))
        return assay_text_number(json_real_value(value));
    assay_json_print(value, 0, &buffer);
    return assay_buffer_steal(&buffer);
}

size_t
assay_text_width(const char *text)
{
    size_t width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

void
assay_text_cut(char *text, size_t width)
{
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xC0) == 0x80)
            continue;
        if (width-- == 0) {
            *text = '\0';
            return;
        }
    }
}

int64_t
assay_text_eta_us(int64_t done, int64_t total, int64_t elapsed_us, int64_t left_us)
{
    double eta;

    if (total <= 0 || elapsed_us < 0)
        return left_us >= 0 ? left_us : -1;
    if (done <= 0)
        return -1;
    if (done >= total)
        return 0;
    eta = (double)elapsed_us / (double)done * (double)(total - done);
    if (left_us >= 0 && eta > (double)left_us)
        return left_us;
    return eta < 1e18 ? (int64_t)eta : -1;
}

/* Mean of the finite values; NaN when there is none. */
static double
mean(const double *values, size_t n)
{
    double sum = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (isfinite(values[i])) {
            sum += values[i];
            count++;
        }
    }
    return count > 0 ? sum / (double)count : NAN;
}

char *
assay_text_sparkline(const double *values, size_t n, size_t width, bool unicode)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {"_", ".", "-", "=", "+", "*", "#", "%"};
    const char *const *levels = unicode ? blocks : plain;
    size_t columns = ASSAY_MIN(n, width);
    double low = INFINITY, high = -INFINITY;
    struct assay_buffer buffer = {0};

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < columns; i++) {
            size_t from = i * n / columns, to = (i + 1) * n / columns;
            double value = mean(values + from, to - from);

            if (pass == 0) {
                low = fmin(low, value);
                high = fmax(high, value);
            } else if (isnan(value)) {
                assay_buffer_puts(&buffer, " ");
            } else {
                double at = high > low ? (value - low) / (high - low) : 0.5;

                assay_buffer_puts(&buffer, levels[(size_t)lround(at * 7)]);
            }
        }
    }
    return assay_buffer_steal(&buffer);
}

char *
assay_text_bar(double frac, size_t width, bool unicode)
{
    struct assay_buffer buffer = {0};
    double clamped = isfinite(frac) ? fmin(fmax(frac, 0), 1) : 0;
    size_t full;

    if (width < 3)
        return assay_strdup("");
    full = (size_t)(clamped * (double)(unicode ? width : width - 2));
    if (!unicode)
        assay_buffer_puts(&buffer, "[");
    for (size_t i = 0; i < (unicode ? width : width - 2); i++) {
        if (unicode)
            assay_buffer_puts(&buffer, i < full ? "━" : "╌");
        else
            assay_buffer_puts(&buffer, i < full ? "#" : "-");
    }
    if (!unicode)
        assay_buffer_puts(&buffer, "]");
    return assay_buffer_steal(&buffer);
}

void
assay_text_csv(struct assay_buffer *buffer, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        assay_buffer_puts(buffer, text);
        return;
    }
    assay_buffer_puts(buffer, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"')
            assay_buffer_puts(buffer, "\"");
        assay_buffer_add(buffer, text, 1);
    }
    assay_buffer_puts(buffer, "\"");
}

void
assay_text_xml(struct assay_buffer *buffer, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '&')
            assay_buffer_puts(buffer, "&amp;");
        else if (c == '<')
            assay_buffer_puts(buffer, "&lt;");
        else if (c == '>')
            assay_buffer_puts(buffer, "&gt;");
        else if (c == '"')
            assay_buffer_puts(buffer, "&quot;");
        else if (c == '\n' || c == '\t' || c == '\r')
            assay_buffer_printf(buffer, "&#%d;", c);
        else if (c < 0x20)
            assay_buffer_puts(buffer, "?");
        else
            assay_buffer_add(buffer, text, 1);
    }
}

void
assay_text_shell(struct assay_buffer *buffer, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_@%+=:,./-";

    if (*text != '\0' && strspn(text, plain) == strlen(text)) {
        assay_buffer_puts(buffer, text);
        return;
    }
    assay_buffer_puts(buffer, "'");
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            assay_buffer_puts(buffer, "'\\''");
        else
            assay_buffer_add(buffer, text, 1);
    }
    assay_buffer_puts(buffer, "'");
}

char *
assay_text_csv_value(const json_t *value)
{
    struct assay_buffer buffer = {0};

    if (value == NULL || json_is_null(value))
        return assay_strdup("");
    if (json_is_string(value))
        return assay_strdup(json_string_value(value));
    assay_json_print(value, 0, &buffer);
    return assay_buffer_steal(&buffer);
}

void
assay_table_add(struct assay_table *table, const char *text)
{
    ASSAY_GROW(table->cells, table->count, table->capacity);
    table->cells[table->count++] = assay_strdup(text != NULL ? text : "-");
}

void
assay_table_printf(struct assay_table *table, const char *format, ...)
{
    assay_auto_free char *text = NULL;
    va_list args;

    va_start(args, format);
    text = assay_vformat(format, args);
    va_end(args);
    assay_table_add(table, text);
}

void
assay_table_print(const struct assay_table *table, unsigned indent, struct assay_buffer *buffer)
{
    assay_auto_free size_t *widths =
        assay_zalloc(ASSAY_MAX(table->columns, (size_t)1), sizeof *widths);

    for (size_t i = 0; i < table->count; i++) {
        size_t *width = &widths[i % table->columns];

        *width = ASSAY_MAX(*width, assay_text_width(table->cells[i]));
    }
    for (size_t i = 0; i < table->count; i++) {
        size_t column = i % table->columns;
        bool right = column < 64 && (table->right >> column & 1) != 0;
        bool last = column == table->columns - 1 || i == table->count - 1;
        size_t pad = widths[column] - assay_text_width(table->cells[i]);

        if (column == 0)
            assay_buffer_printf(buffer, "%*s", (int)indent, "");
        if (right)
            assay_buffer_printf(buffer, "%*s", (int)pad, "");
        assay_buffer_puts(buffer, table->cells[i]);
        if (!last)
            assay_buffer_printf(buffer, "%*s  ", right ? 0 : (int)pad, "");
        else
            assay_buffer_puts(buffer, "\n");
    }
}

void
assay_table_done(struct assay_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct assay_table){0};
}

/* Optimal string alignment: the three last rows of the table are enough. */
size_t
assay_text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    assay_auto_free size_t *rows = assay_zalloc(3 * (m + 1), sizeof *rows);
    size_t *before = rows, *last = rows + m + 1, *row = rows + 2 * (m + 1);

    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t same = last[j - 1] + (a[i - 1] != b[j - 1]);

            row[j] = ASSAY_MIN(same, ASSAY_MIN(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = ASSAY_MIN(row[j], before[j - 2] + 1);
        }
        before = last;
        last = row;
        row = oldest;
    }
    return last[m];
}

const char *
assay_text_nearest(const char *word, const char *const *words, size_t n)
{
    size_t length = strlen(word);
    size_t least = length <= 2 ? 2 : length <= 5 ? 3 : 4; /* one more than a slip may have */
    const char *nearest = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t distance;

        if (length >= 3 && strncmp(word, words[i], length) == 0)
            return words[i]; /* the start of one */
        distance = assay_text_distance(word, words[i]);
        if (distance < least && distance < strlen(words[i])) {
            least = distance;
            nearest = words[i];
        }
    }
    return nearest;
}
