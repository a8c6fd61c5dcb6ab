/* The private daemon: an assayd of one's own, found by its data directory,
 * started when needed, outliving the command that started it. */
#ifndef ASSAY_CLI_DAEMON_H
#define ASSAY_CLI_DAEMON_H

#include <sys/types.h>

#include "cli/cli.h"

/* The process that serves the data directory, or 0: an assayd of this machine
 * whose --data is this directory.  Reads /proc. */
pid_t assay_daemon_find(const char *data);

/* Whether the target answers and is ready; connects.  A refused connection or a
 * stranger at the address is false. */
bool assay_daemon_ready(struct assay_cli *cli);

/* Makes sure that a daemon answers for the target's data directory, starting one
 * with `extra` (NULL-terminated further options of assayd) if need be, and connects.
 * Waits until it is ready, and before for one that was killed or told to end to be gone.
 * ASSAY_E_IO with what it said when it ends first, ASSAY_E_TIMEOUT when it takes too
 * long. */
ASSAY_MUST_CHECK assay_status assay_daemon_ensure(struct assay_cli *cli, const char *const *extra,
                                                  bool *ret_started, struct assay_error *err);

/* Asks the daemon of the data directory to end and waits for it; *ret_stopped is
 * false when there was none. */
ASSAY_MUST_CHECK assay_status assay_daemon_stop(const char *data, int64_t patience_ms,
                                                bool *ret_stopped, struct assay_error *err);

#endif
