/* Scalars out of TensorBoard event files: TFRecord framing and the few fields of
 * the protocol buffers event.proto, summary.proto and tensor.proto that carry
 * them.  Pure; any bytes are safe. */
#ifndef ASSAY_TRIAL_RUNNER_TENSORBOARD_EVENT_H
#define ASSAY_TRIAL_RUNNER_TENSORBOARD_EVENT_H

#include "common/base.h"

/* Longer records (images, histograms) are stepped over unread. */
#define ASSAY_TENSORBOARD_RECORD_BYTES_MAX ((size_t)1 << 20)

enum assay_tensorboard_frame {
    ASSAY_TENSORBOARD_RECORD, /* a whole record at the front */
    ASSAY_TENSORBOARD_SKIP,   /* one that is too long: go on `ret_total` bytes later */
    ASSAY_TENSORBOARD_MORE,   /* not all of it is there yet */
    ASSAY_TENSORBOARD_BROKEN, /* no event file, or damaged: nothing behind can be trusted */
};
/* Looks at the front of `bytes`.  `ret_record` points into them; `ret_total` is the
 * length with framing. */
enum assay_tensorboard_frame assay_tensorboard_next(const unsigned char *bytes, size_t length,
                                                    const unsigned char **ret_record,
                                                    size_t *ret_length, uint64_t *ret_total);

struct assay_tensorboard_scalar {
    const char *tag; /* not NUL-terminated */
    size_t tag_length;
    int64_t step;
    int64_t time_us;
    double value;
};
/* Calls `on_scalar` for each scalar of one record (an Event); false when the
 * record is malformed, then some may have been handed over. */
bool assay_tensorboard_read(const unsigned char *record, size_t length,
                            void (*on_scalar)(void *arg,
                                              const struct assay_tensorboard_scalar *scalar),
                            void *arg);

#endif
