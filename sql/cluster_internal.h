/* What the files of the embedded cluster share. */
#ifndef ASSAY_SQL_CLUSTER_INTERNAL_H
#define ASSAY_SQL_CLUSTER_INTERNAL_H

#include "sql/cluster.h"

/* DIR/               made by the daemon, 0700 (started as root: 0710, group of the server)
 *   data/            the cluster (PGDATA), the server's own, 0700; its socket is in it
 *   pg_hba.conf …    written at every start, not writable by the server
 *   log, log.1       what the server says
 *   lock             held by every process of the server: free = none is left
 *   owner            held by the daemon: one daemon a directory */
struct assay_cluster {
    char *directory; /* absolute */
    char *data;
    char *bin;     /* folder of initdb and postgres */
    char *setpriv; /* path; NULL: not root */
    uid_t uid;     /* of the server */
    gid_t gid;
    bool search; /* the server can not reach its directory by itself */
    int connections, shared_buffers_mib;
    int owner_fd;
    int data_fd; /* O_PATH of data/, for a path too long for a socket; -1: not needed */
    char *url;
    off_t log_start; /* where the log of the present start begins */
    pid_t pid;       /* of the postmaster; 0: none */
    bool child;      /* it is ours to reap */
    bool killed;     /* the last of our own that ended got SIGKILL */
    int pidfd;       /* -1: none */
};

/* --- cluster_programs.c */
/* Finds initdb and postgres; `version` is the major number an existing cluster
 * needs, NULL for a new one. */
ASSAY_MUST_CHECK assay_status assay__cluster_find_bin(const char *wanted, const char *version,
                                                      char **ret_bin, struct assay_error *err);
/* Who runs the server, and with what. */
ASSAY_MUST_CHECK assay_status assay__cluster_find_user(struct assay_cluster *cluster,
                                                       struct assay_error *err);
/* Whether a process of that user can enter the folder `path`. */
bool assay__cluster_can_enter(const char *path, uid_t uid, gid_t gid);
/* Starts a program of the server with a clean environment, its own session, no
 * open file but standard ones: input from /dev/null, output to `log_fd`, and
 * `lock_fd` (-1: none) as descriptor 3.  `arguments` end in NULL; the first is
 * the program's path. */
ASSAY_MUST_CHECK assay_status assay__cluster_spawn(const struct assay_cluster *cluster,
                                                   const char *const *arguments, int log_fd,
                                                   int lock_fd, pid_t *ret_pid,
                                                   struct assay_error *err);

/* --- cluster_process.c */
int assay__cluster_pidfd_open(pid_t pid);
void assay__cluster_signal(int pidfd, int signal_number);
/* The number in a lock file of data/, whoever has it now; 0: none. */
#define ASSAY__CLUSTER_PID_FILE "postmaster.pid"
pid_t assay__cluster_pid_in_file(const struct assay_cluster *cluster, const char *name);
/* Whether a process of that number lives and is a PostgreSQL server that works, as far as can be
 * seen, in this cluster. */
bool assay__cluster_is_server(const struct assay_cluster *cluster, pid_t pid);
/* The postmaster that postmaster.pid names, when it is alive and really that of
 * this cluster: pid and pidfd; 0 and -1 when there is none. */
void assay__cluster_find_postmaster(const struct assay_cluster *cluster, pid_t *ret_pid,
                                    int *ret_pidfd);
/* Ends the processes that work in the data directory: backends of a dead postmaster. */
void assay__cluster_kill_orphans(const struct assay_cluster *cluster);
/* Whether the process of the pidfd ends within the time; reaps a child. */
bool assay__cluster_wait_end(struct assay_cluster *cluster, int64_t time_us);
/* Whether postmaster.pid says that connections are welcome. */
bool assay__cluster_ready(const struct assay_cluster *cluster);

/* --- cluster_files.c */
/* Makes the directory if it is missing and sets its path in the cluster. */
ASSAY_MUST_CHECK assay_status assay__cluster_open_directory(struct assay_cluster *cluster,
                                                            const char *path,
                                                            struct assay_error *err);
/* Claims the directory for this daemon, with the rights the server needs. */
ASSAY_MUST_CHECK assay_status assay__cluster_claim(struct assay_cluster *cluster,
                                                   struct assay_error *err);
/* The major version of the cluster that is there; NULL: none is.  Caller frees. */
char *assay__cluster_version(const struct assay_cluster *cluster);
/* initdb, all or nothing. */
ASSAY_MUST_CHECK assay_status assay__cluster_make(struct assay_cluster *cluster,
                                                  struct assay_error *err);
/* Who may connect, and the connection string. */
ASSAY_MUST_CHECK assay_status assay__cluster_write_settings(struct assay_cluster *cluster,
                                                            struct assay_error *err);
/* Opens the log for appending; a long one becomes log.1 first. */
ASSAY_MUST_CHECK assay_status assay__cluster_open_log(struct assay_cluster *cluster, int *ret_fd,
                                                      struct assay_error *err);
/* Fails with the message and the last lines of the log. */
assay_status assay__cluster_fail(const struct assay_cluster *cluster, const char *what,
                                 struct assay_error *err);
/* Takes DIR/lock if nobody has it.  `*ret_fd` is -1 when somebody has. */
ASSAY_MUST_CHECK assay_status assay__cluster_try_lock(const struct assay_cluster *cluster,
                                                      int *ret_fd, struct assay_error *err);

#endif
