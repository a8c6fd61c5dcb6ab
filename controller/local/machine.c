#include "controller/local/machine.h"

#include <sched.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"

int
assay__local_machine_cpus(void)
{
    cpu_set_t set;
    long online;

    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return ASSAY_MAX(CPU_COUNT(&set), 1);
    online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

int64_t
assay__local_machine_memory_bytes(void)
{
    /* The root of our control group name space, second and first version.  "max" and
     * the first version's huge "no limit" are no limits. */
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    int64_t least = pages > 0 && page_bytes > 0 ? (int64_t)pages * page_bytes : INT64_MAX;

    for (size_t i = 0; i < ASSAY_COUNT(limits); i++) {
        assay_auto_free char *text = NULL;
        int64_t bytes;

        if (assay_file_read_line(limits[i], &text, NULL) == ASSAY_OK &&
            assay_parse_int(text, 1, INT64_MAX, &bytes))
            least = ASSAY_MIN(least, bytes);
    }
    return least;
}
