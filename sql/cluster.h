/* The embedded database: a private PostgreSQL cluster in the daemon's data
 * directory, made once, started, watched and stopped by the daemon.
 *
 * It listens on a Unix socket in its own data folder (0700) and nowhere else, and
 * lets in the daemon's user only (peer authentication).  The connection string
 * is good in this process: where the path is too long for a socket address it
 * goes through a descriptor (/proc/self/fd/N).
 *
 * Started as root it runs as an unprivileged user (`postgres` if there is one,
 * else `nobody`) through setpriv(1); when that user can not reach the directory
 * (a parent is closed to it) the process keeps the one capability to search
 * directories (CAP_DAC_READ_SEARCH), so that any data directory works without
 * changing anybody's permissions.
 *
 * A killed daemon leaves the cluster running, for the next one to adopt.  A killed
 * postmaster is replaced when its last backend is gone (a lock that every process
 * of the server inherits tells), busy ones are ended after a second.
 *
 * Settings are durable (fsync, synchronous_commit, full_page_writes on): an
 * acknowledged commit survives a power cut.  One thread; blocking calls. */
#ifndef ASSAY_SQL_CLUSTER_H
#define ASSAY_SQL_CLUSTER_H

#include <sys/types.h>

#include "common/error.h"

struct assay_cluster;

struct assay_cluster_options {
    const char *directory;  /* made if missing; the cluster's own */
    const char *bin;        /* folder of initdb and postgres; NULL: the newest found in
                               /usr/lib/postgresql and PATH */
    int connections;        /* max_connections */
    int shared_buffers_mib;
};

/* Makes the cluster if the directory is empty (initdb goes to a temporary folder
 * that is renamed, so a kill in between leaves nothing half-made), starts it or
 * adopts the one that already runs (left behind by a killed daemon), waits until
 * it answers.  Errors say what failed with the last lines of its log;
 * ASSAY_E_CONFLICT: another daemon has the directory. */
ASSAY_MUST_CHECK assay_status assay_cluster_start(const struct assay_cluster_options *options,
                                                  struct assay_cluster **ret_cluster,
                                                  struct assay_error *err);
/* libpq connection string; borrowed. */
const char *assay_cluster_url(const struct assay_cluster *cluster);
/* The postmaster's pid, and a pidfd that becomes readable when it ends (borrowed;
 * changes at every restart). */
pid_t assay_cluster_pid(const struct assay_cluster *cluster);
int assay_cluster_pidfd(const struct assay_cluster *cluster);
/* After its death: starts it again (waits out the old backends). */
ASSAY_MUST_CHECK assay_status assay_cluster_restart(struct assay_cluster *cluster,
                                                    struct assay_error *err);
/* Fast shutdown, waits, frees. */
struct assay_cluster *assay_cluster_stop(struct assay_cluster *cluster);

#endif
