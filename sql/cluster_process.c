/* Which process is the postmaster, and whether it lives.  Everything goes through
 * a pidfd that was opened before the process was looked at: a number alone may
 * mean another process by the time it is used. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "sql/cluster_internal.h"

int
assay__cluster_pidfd_open(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

void
assay__cluster_signal(int pidfd, int signal_number)
{
    /* Fails only when the process has ended, which is what signals are for here. */
    (void)syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0);
}

static char *
read_proc(pid_t pid, const char *name, size_t *ret_length)
{
    assay_auto_free char *path = assay_format("/proc/%ld/%s", (long)pid, name);
    char *text;

    if (assay_file_read(path, 1 << 20, &text, ret_length, NULL) != ASSAY_OK)
        return NULL;
    return text;
}

static bool
runs_as(pid_t pid, uid_t uid)
{
    assay_auto_free char *text = read_proc(pid, "status", NULL);
    const char *line = text != NULL ? strstr(text, "\nUid:") : NULL;
    unsigned real, effective;

    return line != NULL && sscanf(line, "\nUid: %u %u", &real, &effective) == 2 && effective == uid;
}

/* Its command line, which everybody may read, has "-D" and our data directory.
 * Only the postmaster's has: its children write their role there. */
static bool
is_postmaster(const struct assay_cluster *cluster, pid_t pid)
{
    size_t length = 0;
    assay_auto_free char *arguments = read_proc(pid, "cmdline", &length);
    const char *end;

    if (arguments == NULL || !runs_as(pid, cluster->uid))
        return false;
    end = arguments + length;
    for (const char *p = arguments; p < end; p += strlen(p) + 1) {
        const char *next = p + strlen(p) + 1;

        if (strcmp(p, "-D") == 0 && next < end && strcmp(next, cluster->data) == 0)
            return true;
    }
    return false;
}

/* Line `number` (from 1) of a lock file; NULL: not there. */
static char *
file_line(const struct assay_cluster *cluster, const char *name, int number)
{
    assay_auto_free char *path = assay_format("%s/%s", cluster->data, name);
    assay_auto_free char *text = NULL;
    const char *line;

    if (assay_file_read(path, 65536, &text, NULL, NULL) != ASSAY_OK)
        return NULL;
    line = text;
    for (int i = 1; i < number; i++) {
        line = strchr(line, '\n');
        if (line == NULL)
            return NULL;
        line++;
    }
    return assay_strndup(line, strcspn(line, "\n"));
}

pid_t
assay__cluster_pid_in_file(const struct assay_cluster *cluster, const char *name)
{
    assay_auto_free char *line = file_line(cluster, name, 1);
    int64_t pid;

    return line != NULL && assay_parse_int(line, 2, INT32_MAX, &pid) ? (pid_t)pid : 0;
}

void
assay__cluster_find_postmaster(const struct assay_cluster *cluster, pid_t *ret_pid, int *ret_pidfd)
{
    pid_t pid = assay__cluster_pid_in_file(cluster, ASSAY__CLUSTER_PID_FILE);
    int pidfd = pid > 0 ? assay__cluster_pidfd_open(pid) : -1;
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};

    if (pidfd >= 0 && (!is_postmaster(cluster, pid) || poll(&ended, 1, 0) != 0))
        assay_close(&pidfd);
    *ret_pidfd = pidfd;
    *ret_pid = pidfd >= 0 ? pid : 0;
}

static bool
is_named_postgres(pid_t pid)
{
    assay_auto_free char *name = read_proc(pid, "comm", NULL);

    return name != NULL && strncmp(name, "postgres", 8) == 0;
}

/* Where it works; false when that can not be seen. */
static bool
find_folder(pid_t pid, struct stat *ret_folder)
{
    assay_auto_free char *path = assay_format("/proc/%ld/cwd", (long)pid);

    return stat(path, ret_folder) == 0;
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* One that has ended but was not reaped, by an init that does not care, counts as
 * gone, though its number still answers; and so does a server of another cluster that has the
 * number now. */
bool
assay__cluster_is_server(const struct assay_cluster *cluster, pid_t pid)
{
    assay_auto_close int pidfd = assay__cluster_pidfd_open(pid);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    struct stat data, folder;

    return pidfd >= 0 && is_named_postgres(pid) &&
           (stat(cluster->data, &data) != 0 || !find_folder(pid, &folder) ||
            is_same(&folder, &data)) &&
           poll(&ended, 1, 0) == 0;
}

bool
assay__cluster_ready(const struct assay_cluster *cluster)
{
    assay_auto_free char *state = file_line(cluster, ASSAY__CLUSTER_PID_FILE, 8);

    return state != NULL && strncmp(state, "ready", 5) == 0 &&
           assay__cluster_pid_in_file(cluster, ASSAY__CLUSTER_PID_FILE) == cluster->pid;
}

/* Works in our data directory, as every process of the server does. */
static bool
works_in(pid_t pid, const struct stat *data)
{
    struct stat folder;

    return find_folder(pid, &folder) && is_same(&folder, data);
}

void
assay__cluster_kill_orphans(const struct assay_cluster *cluster)
{
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    struct stat data;

    if (folder == NULL || stat(cluster->data, &data) != 0) {
        if (folder != NULL)
            closedir(folder);
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        int64_t pid;
        int pidfd;

        if (!assay_parse_int(entry->d_name, 2, INT32_MAX, &pid) || (pid_t)pid == getpid())
            continue;
        pidfd = assay__cluster_pidfd_open((pid_t)pid);
        if (pidfd >= 0 && is_named_postgres((pid_t)pid) && runs_as((pid_t)pid, cluster->uid) &&
            works_in((pid_t)pid, &data))
            assay__cluster_signal(pidfd, SIGKILL);
        assay_close(&pidfd);
    }
    closedir(folder);
}

bool
assay__cluster_wait_end(struct assay_cluster *cluster, int64_t time_us)
{
    int64_t deadline_us = assay_monotonic_us() + time_us;
    struct pollfd ended = {.fd = cluster->pidfd, .events = POLLIN};

    for (;;) {
        int64_t left_us = deadline_us - assay_monotonic_us();
        int rc = poll(&ended, 1, left_us > 0 ? (int)((left_us + 999) / 1000) : 0);

        if (rc > 0)
            break;
        if (rc == 0 && left_us <= 0)
            return false;
    }
    cluster->killed = false;
    if (cluster->child) {
        int result = 0;

        while (waitpid(cluster->pid, &result, 0) < 0 && errno == EINTR)
            ;
        cluster->killed = WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL;
    }
    assay_close(&cluster->pidfd);
    cluster->pid = 0;
    cluster->child = false;
    return true;
}
