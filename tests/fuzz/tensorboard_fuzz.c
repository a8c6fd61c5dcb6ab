/* A TensorBoard event file, and the same bytes as a bare record: damaged framing
 * stops before the record, so that must be tried by itself. */

#include <stddef.h>
#include <stdint.h>

#include "common/memory.h"
#include "trial-runner/tensorboard_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
tensorboard_fuzz_scalar(void *arg, const struct assay_tensorboard_scalar *scalar)
{
    uint64_t *sum = arg;

    ASSAY_ASSERT(scalar->tag_length > 0 && scalar->time_us >= 0);
    for (size_t i = 0; i < scalar->tag_length; i++)
        *sum += (unsigned char)scalar->tag[i];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = assay_memdup(data, size);
    uint64_t sum = 0, total;
    size_t at = 0, length;
    const unsigned char *record;

    while (assay_tensorboard_next(copy + at, size - at, &record, &length, &total) ==
           ASSAY_TENSORBOARD_RECORD) {
        ASSAY_ASSERT(total == length + 16 && record + length + 4 <= copy + size);
        if (!assay_tensorboard_read(record, length, tensorboard_fuzz_scalar, &sum))
            break;
        at += (size_t)total;
    }
    (void)assay_tensorboard_read(copy, size, tensorboard_fuzz_scalar, &sum);
    free(copy);
    return 0;
}
