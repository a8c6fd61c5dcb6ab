/* Why a trial has the parameters it has, in words. */
#ifndef ASSAY_CLI_WHY_H
#define ASSAY_CLI_WHY_H

#include <jansson.h>

#include "common/buffer.h"

struct assay_why_study {
    const char *metric; /* of the only objective; NULL when there are several */
    bool maximize;
    bool unicode; /* the text may hold more than ASCII */
};

/* Lines behind two blanks, each one fact: who proposed it, what it expected and how that
 * compares with the trial's value, the best then; what an algorithm says beyond what is
 * known here, as "name: value".  Stops are not mentioned. */
void assay_why_text(const json_t *trial, const struct assay_why_study *study,
                    struct assay_buffer *text);

#endif
