/* Output of a command: cut into lines, each read for metrics, every value entered
 * into the book.  The first byte chooses the pattern. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "trial-runner/line_feed.h"
#include "schemas/metric_book.h"
#include "schemas/metric_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct metric_line_fuzz {
    struct assay_metric_pattern *pattern;
    struct assay_metric_book *book;
    struct assay_metric_line line;
};

static void
metric_line_fuzz_line(void *arg, const char *bytes, size_t length)
{
    struct metric_line_fuzz *fuzz = arg;

    ASSAY_ASSERT(length <= ASSAY_METRIC_LINE_BYTES_MAX);
    assay_metric_line_read(fuzz->pattern, bytes, length, &fuzz->line);
    ASSAY_ASSERT(fuzz->line.step >= -1);
    for (size_t i = 0; i < fuzz->line.count; i++) {
        const char *name = assay_metric_line_name(&fuzz->line, i), *kept;
        int64_t step = -1;

        ASSAY_ASSERT(strlen(name) > 0 && strlen(name) <= ASSAY_METRIC_NAME_LENGTH_MAX);
        kept = assay_metric_book_enter(fuzz->book, name, fuzz->line.step, fuzz->line.pairs[i].value,
                                       &step);
        ASSAY_ASSERT(kept == NULL || (step >= 0 && strcmp(kept, name) == 0));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"loss", "val/acc", "valid_1 auc", "a|b-c"};
    static const char *const filters[] = {
        NULL, "([\\w|-]+)\\s*=\\s*(\\S+)",
        "{metricName: ([\\w|-]+), metricValue: ((-?\\d+)(\\.\\d+)?)}"};
    struct metric_line_fuzz fuzz = {0};
    struct assay_line_feed feed = {.on_line = metric_line_fuzz_line, .arg = &fuzz};
    assay_status rc;

    if (size == 0)
        return 0;
    rc = assay_metric_pattern_new(names, ASSAY_COUNT(names),
                                  filters[data[0] % ASSAY_COUNT(filters)], &fuzz.pattern, NULL);
    ASSAY_ASSERT(rc == ASSAY_OK);
    fuzz.book = assay_metric_book_new(names, ASSAY_COUNT(names), 1);
    assay_line_feed_add(&feed, (const char *)data + 1, size - 1);
    assay_line_feed_end(&feed);
    assay_line_feed_done(&feed);
    json_decref(assay_metric_book_last(fuzz.book));
    assay_metric_book_free(fuzz.book);
    assay_metric_line_done(&fuzz.line);
    assay_metric_pattern_free(fuzz.pattern);
    return 0;
}
