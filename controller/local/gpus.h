/* The GPUs of this machine as slots, each held by one attempt or free.
 *
 * NVML is opened at run time (libnvidia-ml.so.1), so that the program needs no
 * NVIDIA package to build or start; a machine without it simply has no GPUs.  A
 * GPU in MIG mode counts as its instances.  One thread, but the number of slots
 * never changes and may be read from any. */
#ifndef ASSAY_CONTROLLER_LOCAL_GPUS_H
#define ASSAY_CONTROLLER_LOCAL_GPUS_H

#include <jansson.h>

#include "common/error.h"

struct assay__local_gpus;

/* `pretend` >= 0: that many slots PRETEND-0, PRETEND-1, … and no look at the
 * machine; -1: the machine's, restricted to `visible` (the daemon's own
 * CUDA_VISIBLE_DEVICES: numbers or UUIDs; NULL = all). */
struct assay__local_gpus *assay__local_gpus_new(int pretend, const char *visible);
struct assay__local_gpus *assay__local_gpus_free(struct assay__local_gpus *gpus);

size_t assay__local_gpus_total(const struct assay__local_gpus *gpus);
size_t assay__local_gpus_idle(const struct assay__local_gpus *gpus);
/* Why there is none, for messages: "NVML is not installed"; "" when there are. */
const char *assay__local_gpus_trouble(const struct assay__local_gpus *gpus);
/* Name of slot i: a UUID ("GPU-…", "MIG-…") or "PRETEND-i". */
const char *assay__local_gpus_name(const struct assay__local_gpus *gpus, size_t i);

/* Takes `count` free slots, which must be there; an array of names, new reference. */
json_t *assay__local_gpus_take(struct assay__local_gpus *gpus, size_t count);
/* Marks the named slots as taken (an adopted attempt's); unknown names are skipped.
 * An array of those that were free and are its now. */
json_t *assay__local_gpus_take_named(struct assay__local_gpus *gpus, const json_t *names);
/* Frees the slots of such an array. */
void assay__local_gpus_put(struct assay__local_gpus *gpus, const json_t *names);

#endif
