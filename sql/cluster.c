#include "sql/cluster.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "sql/cluster_internal.h"

/* Backends of a dead postmaster notice at once unless they are busy. */
#define ORPHANS_GRACE_US ASSAY_SECOND_US
#define ORPHANS_MAX_US (30 * ASSAY_SECOND_US)
/* Crash recovery reads at most max_wal_size of log. */
#define READY_MAX_US (600 * ASSAY_SECOND_US)
#define STOP_FAST_US (60 * ASSAY_SECOND_US)
#define STOP_HARD_US (10 * ASSAY_SECOND_US)
#define PAUSE_US 5000
/* Starts of a server that somebody kills before it is ready. */
#define STARTS_MAX 3

/* The server as it is always started.  Errors of statements come to us over the
 * connection, so the log holds only what the server itself has to say and stays
 * short. */
static assay_status
spawn_postmaster(struct assay_cluster *cluster, int lock_fd, struct assay_error *err)
{
    assay_auto_free char *postgres = assay_format("%s/postgres", cluster->bin);
    assay_auto_free char *hba = assay_format("hba_file=%s/pg_hba.conf", cluster->directory);
    assay_auto_free char *ident = assay_format("ident_file=%s/pg_ident.conf", cluster->directory);
    assay_auto_free char *connections = assay_format("max_connections=%d", cluster->connections);
    assay_auto_free char *buffers =
        assay_format("shared_buffers=%dMB", cluster->shared_buffers_mib);
    const char *const arguments[] = {postgres,
                                     "-D",
                                     cluster->data,
                                     "-c",
                                     hba,
                                     "-c",
                                     ident,
                                     "-c",
                                     connections,
                                     "-c",
                                     buffers,
                                     "-c",
                                     "listen_addresses=",
                                     "-c",
                                     "port=5432",
                                     "-c",
                                     "unix_socket_directories=.",
                                     "-c",
                                     "unix_socket_permissions=0700",
                                     "-c",
                                     "fsync=on",
                                     "-c",
                                     "synchronous_commit=on",
                                     "-c",
                                     "full_page_writes=on",
                                     "-c",
                                     "log_min_messages=log",
                                     "-c",
                                     "log_checkpoints=off",
                                     "-c",
                                     "max_parallel_workers_per_gather=0",
                                     "-c",
                                     "checkpoint_timeout=15min",
                                     "-c",
                                     "recovery_init_sync_method=syncfs",
                                     NULL};
    assay_auto_close int log_fd = -1;
    assay_status status = assay__cluster_open_log(cluster, &log_fd, err);

    if (status == ASSAY_OK)
        status = assay__cluster_spawn(cluster, arguments, log_fd, lock_fd, &cluster->pid, err);
    if (status != ASSAY_OK)
        return status;
    /* Ours and not reaped: the number can not mean another process yet. */
    cluster->child = true;
    cluster->pidfd = assay__cluster_pidfd_open(cluster->pid);
    ASSAY_ASSERT(cluster->pidfd >= 0);
    return ASSAY_OK;
}

/* With DIR/lock in our hand no process of this cluster is left, whatever the lock
 * files in its directory say: their number may by now, after a reboot, belong to
 * anybody, or to a process nobody has reaped, and the server would refuse to
 * start.  A server that somebody else started here without the lock is left to
 * PostgreSQL's own checks. */
static void
remove_stale_locks(const struct assay_cluster *cluster)
{
    static const char *const names[] = {ASSAY__CLUSTER_PID_FILE, ".s.PGSQL.5432.lock"};

    for (size_t i = 0; i < ASSAY_COUNT(names); i++) {
        assay_auto_free char *path = assay_format("%s/%s", cluster->data, names[i]);
        pid_t pid = assay__cluster_pid_in_file(cluster, names[i]);

        if (pid > 0 && !assay__cluster_is_server(cluster, pid))
            unlink(path);
    }
}

/* Adopts the postmaster that runs, or waits until every process of a dead one is
 * gone and starts a new one. */
static assay_status
adopt_or_spawn(struct assay_cluster *cluster, struct assay_error *err)
{
    int64_t start_us = assay_monotonic_us(), kill_us = start_us + ORPHANS_GRACE_US;

    for (;;) {
        int64_t now_us = assay_monotonic_us();
        assay_auto_close int lock_fd = -1;
        assay_status status;

        assay__cluster_find_postmaster(cluster, &cluster->pid, &cluster->pidfd);
        if (cluster->pid > 0)
            return ASSAY_OK;
        status = assay__cluster_try_lock(cluster, &lock_fd, err);
        if (status != ASSAY_OK)
            return status;
        if (lock_fd >= 0) {
            remove_stale_locks(cluster);
            return spawn_postmaster(cluster, lock_fd, err);
        }
        if (now_us - start_us > ORPHANS_MAX_US)
            return assay_fail(err, ASSAY_E_UNAVAILABLE,
                              "processes of a dead PostgreSQL still use %s", cluster->data);
        if (now_us > kill_us) {
            assay__cluster_kill_orphans(cluster);
            kill_us = now_us + ORPHANS_GRACE_US;
        }
        usleep(PAUSE_US);
    }
}

/* `*ret_ended`: the process ended before it was ready. */
static assay_status
await_ready(struct assay_cluster *cluster, bool *ret_ended, struct assay_error *err)
{
    int64_t deadline_us = assay_monotonic_us() + READY_MAX_US;

    *ret_ended = false;
    while (!assay__cluster_ready(cluster) || PQping(cluster->url) != PQPING_OK) {
        if (assay__cluster_wait_end(cluster, PAUSE_US)) {
            *ret_ended = true;
            return assay__cluster_fail(cluster,
                                       cluster->killed
                                           ? "PostgreSQL was killed (SIGKILL) before it was ready"
                                           : "PostgreSQL did not start",
                                       err);
        }
        if (assay_monotonic_us() > deadline_us)
            return assay__cluster_fail(cluster, "PostgreSQL does not get ready", err);
    }
    return ASSAY_OK;
}

static assay_status
launch(struct assay_cluster *cluster, struct assay_error *err)
{
    bool adopted, ended;
    assay_status status;
    int starts = 0;

    do {
        status = adopt_or_spawn(cluster, err);
        if (status != ASSAY_OK)
            return status;
        adopted = !cluster->child;
        starts += !adopted;
        status = await_ready(cluster, &ended, err);
        /* One found in the middle of its shutdown is followed by a fresh one. */
    } while (status != ASSAY_OK && ended &&
             (adopted || (cluster->killed && starts < STARTS_MAX)));
    return status;
}

static struct assay_cluster *
cluster_free(struct assay_cluster *cluster)
{
    assay_close(&cluster->pidfd);
    assay_close(&cluster->data_fd);
    assay_close(&cluster->owner_fd);
    free(cluster->directory);
    free(cluster->data);
    free(cluster->bin);
    free(cluster->setpriv);
    free(cluster->url);
    free(cluster);
    return NULL;
}

static assay_status
start(struct assay_cluster *cluster, const struct assay_cluster_options *options,
      struct assay_error *err)
{
    assay_auto_free char *version = NULL;
    assay_status status = assay__cluster_open_directory(cluster, options->directory, err);

    if (status == ASSAY_OK)
        status = assay__cluster_find_user(cluster, err);
    if (status == ASSAY_OK)
        status = assay__cluster_claim(cluster, err);
    if (status != ASSAY_OK)
        return status;
    version = assay__cluster_version(cluster);
    status = assay__cluster_find_bin(options->bin, version, &cluster->bin, err);
    if (status == ASSAY_OK && version == NULL)
        status = assay__cluster_make(cluster, err);
    if (status == ASSAY_OK)
        status = assay__cluster_write_settings(cluster, err);
    if (status == ASSAY_OK)
        status = launch(cluster, err);
    return status;
}

assay_status
assay_cluster_start(const struct assay_cluster_options *options, struct assay_cluster **ret_cluster,
                    struct assay_error *err)
{
    struct assay_cluster *cluster = ASSAY_NEW(struct assay_cluster);
    assay_status status;

    cluster->owner_fd = cluster->data_fd = cluster->pidfd = -1;
    cluster->connections = options->connections;
    cluster->shared_buffers_mib = options->shared_buffers_mib;
    status = start(cluster, options, err);
    if (status != ASSAY_OK) {
        if (cluster->pid > 0)
            assay_cluster_stop(cluster);
        else
            cluster_free(cluster);
        return status;
    }
    *ret_cluster = cluster;
    return ASSAY_OK;
}

const char *
assay_cluster_url(const struct assay_cluster *cluster)
{
    return cluster->url;
}

pid_t
assay_cluster_pid(const struct assay_cluster *cluster)
{
    return cluster->pid;
}

int
assay_cluster_pidfd(const struct assay_cluster *cluster)
{
    return cluster->pidfd;
}

assay_status
assay_cluster_restart(struct assay_cluster *cluster, struct assay_error *err)
{
    if (cluster->pid > 0 && !assay__cluster_wait_end(cluster, 0))
        return ASSAY_OK; /* it lives */
    return launch(cluster, err);
}

struct assay_cluster *
assay_cluster_stop(struct assay_cluster *cluster)
{
    static const struct {
        int signal_number;
        int64_t wait_us;
    } steps[] = {{SIGINT, STOP_FAST_US}, {SIGQUIT, STOP_HARD_US}, {SIGKILL, STOP_HARD_US}};

    if (cluster == NULL)
        return NULL;
    for (size_t i = 0; cluster->pid > 0 && i < ASSAY_COUNT(steps); i++) {
        assay__cluster_signal(cluster->pidfd, steps[i].signal_number);
        if (assay__cluster_wait_end(cluster, steps[i].wait_us))
            break;
    }
    return cluster_free(cluster);
}
