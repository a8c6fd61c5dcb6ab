/* How many CPUs and how much memory this machine (or the container we are in)
 * lets us use. */
#ifndef ASSAY_CONTROLLER_LOCAL_MACHINE_H
#define ASSAY_CONTROLLER_LOCAL_MACHINE_H

#include "common/base.h"

/* CPUs in our affinity mask, >= 1. */
int assay__local_machine_cpus(void);
/* The machine's memory or the control group's limit, whichever is less; INT64_MAX
 * when neither can be read. */
int64_t assay__local_machine_memory_bytes(void);

#endif
