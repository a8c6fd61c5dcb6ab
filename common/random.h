/* Counter-based random streams: Philox4x32-10 (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 *
 * A stream is named by (seed, subject, purpose), so a suggestion depends on the
 * study's seed, its trial number and nothing else: not on which worker asked,
 * in which order, or what ran before.  No global state; a stream belongs to one
 * thread. */
#ifndef ASSAY_COMMON_RANDOM_H
#define ASSAY_COMMON_RANDOM_H

#include "common/base.h"

struct assay_random {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    unsigned used; /* words of `block` already given out */
};

/* Starts the stream.  `subject` is usually a trial number, `purpose` a small
 * constant of the caller.  Streams that differ in any of the three are
 * independent; each holds 2^34 words. */
void assay_random_init(struct assay_random *random, uint64_t seed, uint64_t subject,
                       uint32_t purpose);

uint32_t assay_random_u32(struct assay_random *random);
uint64_t assay_random_u64(struct assay_random *random);
/* Uniform in [0, 1), 53 bits. */
double assay_random_unit(struct assay_random *random);
/* Uniform integer in [0, bound), without bias; bound > 0. */
uint64_t assay_random_below(struct assay_random *random, uint64_t bound);
/* Standard normal (Box-Muller, one value per call). */
double assay_random_normal(struct assay_random *random);
/* A seed from the operating system: the only randomness not reproducible. */
uint64_t assay_random_seed(void);

#endif
