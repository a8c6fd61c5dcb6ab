#include "suggest/worker_end.h"

#include <signal.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "suggest/worker.h"

char *
assay_worker_describe_end(int64_t exit_code, int signal, int64_t memory_bytes)
{
    if (signal == 0 && exit_code == ASSAY_WORKER_EXIT_MEMORY) {
        json_auto_t *limit = assay_json_bytes(memory_bytes);

        return memory_bytes > 0 ? assay_format("it needed more memory than its limit of %s",
                                               json_string_value(limit))
                                : assay_strdup("it needed more memory than it may use");
    }
    if (signal == SIGKILL)
        return assay_format("its process was killed (signal 9), by hand or because the machine "
                            "ran out of memory");
    if (signal != 0)
        return assay_format("its process was ended by signal %d (%s)", signal, strsignal(signal));
    return assay_format("its process ended with exit code %d", (int)exit_code);
}
