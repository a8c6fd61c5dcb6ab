/* How an attempt ended: result.json, which is also the body of `complete`.
 *
 * {"state":"failed","reason":"exit_code","message":"…","exit_code":3,"metrics":{…}};
 * `reason`, `message`, `exit_code`, `signal` and `metrics` only where they apply.
 * Written before anybody is told, so that a result is never lost with its runner. */
#ifndef ASSAY_TRIAL_RUNNER_RESULT_H
#define ASSAY_TRIAL_RUNNER_RESULT_H

#include <jansson.h>

#include "common/error.h"
#include "schemas/states.h"
#include "common/output_log.h"

/* What is known about the end of a command. */
struct assay_ending {
    int wait_status;               /* of waitpid */
    bool has_objectives;           /* a value of each was seen, or somebody else tells them */
    bool killed_by_us;             /* we sent SIGKILL */
    bool oom_killed;               /* the kernel killed something for lack of memory meanwhile */
    enum assay_trial_reason cause; /* why we ended it: timeout, out_of_memory, or what the
                                      daemon said; NONE when we did not */
    const char *cause_message;     /* NULL = the reason's own sentence */
    bool asked;                    /* ended because we were asked to */
    json_t *metrics;               /* last values, borrowed; NULL = not ours to tell */
    const struct assay_output_log *log; /* for the last lines */
};

/* New reference. */
json_t *assay_result_of_ending(const struct assay_ending *ending);
/* The command could not be started. */
json_t *assay_result_start_failed(const char *message);

/* Atomic, not synced: the result must survive us, and after a crash of the machine
 * the attempt is run again. */
ASSAY_MUST_CHECK assay_status assay_result_write(const char *path, const json_t *result,
                                                 struct assay_error *err);
/* NULL when there is none that can be read. */
json_t *assay_result_read(const char *path);

/* Processes the kernel has killed for lack of memory so far, in our control group
 * where it counts them, else on this machine; 0 when it can not be read. */
int64_t assay_result_oom_kills(void);

#endif
