/* Tells the daemon: measurements, "still here", and in the end the result.
 *
 * A thread of its own does the talking, so that reading the command's output
 * never waits for the daemon.  While a request is on its way measurements are
 * collected and go with the next.  A daemon that is away, slow or failing is
 * asked again (at least every second) for ever; nothing is dropped but what the
 * daemon refuses as malformed. */
#ifndef ASSAY_TRIAL_RUNNER_REPORTER_H
#define ASSAY_TRIAL_RUNNER_REPORTER_H

#include <jansson.h>

#include "common/error.h"
#include "trial-runner/job.h"
#include "trial-runner/report_queue.h"

#define ASSAY_REPORTER_HEARTBEAT_US INT64_C(5000000) /* outside of pods */

struct assay_reporter;

/* Starts the thread.  `wake_fd` (an eventfd, borrowed) is written to whenever one
 * of the assay_reporter_get_… answers changes.  The job is borrowed. */
struct assay_reporter *assay_reporter_new(const struct assay_job *job, int wake_fd);
/* Ends the thread, waiting for a request under way, and frees. */
struct assay_reporter *assay_reporter_free(struct assay_reporter *reporter);

/* Queues measurements of one moment; see struct assay_report for the name. */
void assay_reporter_push(struct assay_reporter *reporter, const struct assay_report *reports,
                         size_t count);
/* Writes what is queued to disk (see assay_report_queue_save). */
void assay_reporter_save(struct assay_reporter *reporter);
/* The command has ended: after the measurements, tell `result` (taken; the body
 * of `complete`).  A failure with reason no_objective becomes a success when the
 * daemon knows the objectives from somebody else, e.g. from the command itself. */
void assay_reporter_finish(struct assay_reporter *reporter, json_t *result);

/* Whether the trial should end, as the daemon or its refusal of our reports says;
 * then reason and message (texts or NULL; they stay until _free). */
bool assay_reporter_get_stop(struct assay_reporter *reporter, const char **ret_reason,
                             const char **ret_message);
/* Whether the daemon has all measurements that were pushed. */
bool assay_reporter_get_idle(struct assay_reporter *reporter);
/* Whether the result was delivered, or refused for good. */
bool assay_reporter_get_delivered(struct assay_reporter *reporter);

#endif
