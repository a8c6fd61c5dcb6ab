/* A pattern for metric lines and a line: the first line of the input is the
 * pattern, the rest is searched; then ${…} in the rest. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "schemas/filter.h"
#include "schemas/study.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    assay_auto_free char *pattern = assay_alloc(size + 1, 1);
    assay_auto_free char *text = NULL;
    json_auto_t *values = json_pack("{s:s, s:s}", "a", "b", "", "c");
    struct assay_filter *filter = NULL;
    struct assay_filter_match match;
    struct assay_error err = {0};
    size_t from = 0, length;
    char *line;

    memcpy(pattern, data, size);
    pattern[size] = '\0';
    line = strchr(pattern, '\n');
    if (line == NULL)
        return 0;
    *line++ = '\0';
    length = strlen(line);
    if (assay_substitute(line, values, &text, &err) < 0)
        ASSAY_ASSERT(err.message[0] != '\0');
    if (assay_filter_new(pattern, &filter, &err) < 0) {
        ASSAY_ASSERT(err.message[0] != '\0');
        return 0;
    }
    while (assay_filter_find(filter, line, from, &match)) {
        ASSAY_ASSERT(match.end > from && match.end <= length + 1);
        ASSAY_ASSERT(match.name + match.name_length <= length);
        ASSAY_ASSERT(match.value + match.value_length <= length);
        from = match.end;
    }
    assay_filter_free(filter);
    return 0;
}
