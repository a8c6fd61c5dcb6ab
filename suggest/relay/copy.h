/* Copies a conversation between a pair of local descriptors and a link, both ways, until it
 * ends: what the relay does at one end of the link and the gate at the other.
 *
 * What one side does not take is not read from the other, so a slow reader is waited for
 * with a few hundred KiB in hand.  Who has nothing to send says every few seconds that it is
 * there; a link on which nothing comes for the time of `silence_us` is dead.  One thread;
 * blocks. */
#ifndef ASSAY_SUGGEST_RELAY_COPY_H
#define ASSAY_SUGGEST_RELAY_COPY_H

#include "suggest/relay/link.h"

enum assay_copy_end {
    ASSAY_COPY_LINK,   /* the link is dead, or makes no sense: the error says why */
    ASSAY_COPY_LOCAL,  /* the local side has closed */
    ASSAY_COPY_TOLD,   /* `stop_fd` has become readable */
    ASSAY_COPY_ENDED,  /* a record said that the worker has ended: the sentence */
    ASSAY_COPY_LEAVES, /* a record said that the place ends the conversation: the sentence */
};

struct assay_copy {
    struct assay_link *link;
    int in, out;          /* from and to the local side; never block */
    int stop_fd;          /* -1 = none */
    int64_t silence_us;
    bool whole_frames;    /* hands on whole frames only, so that there is one that ends well */
    bool ends_with_link;  /* the other side's close ends it at once, bytes on their way or not */
    /* The rest is assay_copy_run's. */
    struct assay_buffer received; /* records */
    struct assay_buffer local;    /* to be written to `out` */
    size_t whole;                 /* of them, may be written */
    int64_t heard_us, sent_us;
};

/* What ended it; `err` holds the sentence of ASSAY_COPY_LINK, _ENDED and _LEAVES.  What was
 * taken from the local side before it closed is on its way or in the link's buffer, what had
 * come whole from the link is written. */
enum assay_copy_end assay_copy_run(struct assay_copy *copy, struct assay_error *err);
void assay_copy_done(struct assay_copy *copy);

#endif
