#include "suggest/host.h"

#include <signal.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "suggest/view.h"

static volatile sig_atomic_t stop_requested;

void
assay_host_set_stop(bool stop)
{
    stop_requested = stop;
}

static void
host_log(uint32_t level, const char *text)
{
    assay_log((enum assay_log_level)ASSAY_MIN(level, (uint32_t)ASSAY_LOG_ERROR), "%s", text);
}

static void *
host_alloc(uint64_t bytes)
{
    return assay_zalloc(1, (size_t)bytes);
}

static void
host_random(uint64_t seed, uint64_t subject, uint32_t purpose, uint64_t first, uint64_t n,
            double *ret_unit)
{
    struct assay_random random;

    assay_random_init(&random, seed, subject, purpose);
    /* A block of the stream holds two numbers. */
    random.counter[0] = (uint32_t)(first / 2);
    if (first % 2 == 1)
        (void)assay_random_unit(&random);
    for (uint64_t i = 0; i < n; i++)
        ret_unit[i] = assay_random_unit(&random);
}

static int32_t
host_should_stop(void)
{
    return stop_requested != 0;
}

static double
host_snap(const struct assay_plugin_space *space, uint64_t parameter, double value)
{
    return assay_view_snap(space, (size_t)parameter, value);
}

static int32_t
host_active(const struct assay_plugin_space *space, const double *point, uint64_t parameter)
{
    return assay_view_active(space, point, (size_t)parameter);
}

const struct assay_plugin_host *
assay_host_table(void)
{
    static const struct assay_plugin_host table = {
        .abi_major = ASSAY_PLUGIN_ABI_MAJOR,
        .abi_minor = ASSAY_PLUGIN_ABI_MINOR,
        .struct_size = sizeof table,
        .log = host_log,
        .alloc = host_alloc,
        .free = free,
        .random = host_random,
        .should_stop = host_should_stop,
        .snap = host_snap,
        .active = host_active,
    };

    return &table;
}
