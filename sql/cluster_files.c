/* The cluster's directory: who owns what, the locks, initdb, settings, log. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "sql/cluster_internal.h"

#define LOG_BYTES_MAX (4 << 20)
#define LOG_TAIL_BYTES 1024
#define LOCK_WAIT_US (60 * ASSAY_SECOND_US)
/* A program that a killed daemon was about to start holds what that held until it is started. */
#define OWNER_WAIT_US (5 * ASSAY_SECOND_US)
#define PAUSE_US 20000
#define SOCKET_NAME "/.s.PGSQL.5432"

assay_status
assay__cluster_open_directory(struct assay_cluster *cluster, const char *path,
                              struct assay_error *err)
{
    assay_status status = assay_make_directories(path, 0700, err);

    if (status != ASSAY_OK)
        return status;
    cluster->directory = realpath(path, NULL);
    if (cluster->directory == NULL)
        return assay_fail_errno(err, errno, "opening %s", path);
    cluster->data = assay_format("%s/data", cluster->directory);
    return ASSAY_OK;
}

/* Moves a descriptor above those a child is given. */
static int
move_up(int fd)
{
    int moved = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 10) : -1;

    assay_close(&fd);
    return moved;
}

static int
open_file(const struct assay_cluster *cluster, const char *name, int flags)
{
    assay_auto_free char *path = assay_format("%s/%s", cluster->directory, name);

    return move_up(open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
}

/* Root keeps the directory, so that the server, an ordinary user, can not plant
 * a link where root writes next time; its group lets it pass through. */
static assay_status
set_rights(const struct assay_cluster *cluster, struct assay_error *err)
{
    if (cluster->setpriv == NULL) {
        if (chmod(cluster->directory, 0700) != 0)
            return assay_fail_errno(err, errno, "closing %s to others", cluster->directory);
        return ASSAY_OK;
    }
    if (chown(cluster->directory, 0, cluster->gid) != 0 || chmod(cluster->directory, 0710) != 0)
        return assay_fail_errno(err, errno, "opening %s to the database", cluster->directory);
    return ASSAY_OK;
}

assay_status
assay__cluster_claim(struct assay_cluster *cluster, struct assay_error *err)
{
    assay_status status = set_rights(cluster, err);
    int64_t deadline_us = assay_monotonic_us() + OWNER_WAIT_US;

    if (status != ASSAY_OK)
        return status;
    cluster->owner_fd = open_file(cluster, "owner", O_RDWR);
    if (cluster->owner_fd < 0)
        return assay_fail_errno(err, errno, "opening %s/owner", cluster->directory);
    while (flock(cluster->owner_fd, LOCK_EX | LOCK_NB) != 0) {
        if (assay_monotonic_us() > deadline_us)
            return assay_fail(err, ASSAY_E_CONFLICT, "another daemon uses the database in %s",
                              cluster->directory);
        usleep(PAUSE_US);
    }
    cluster->search = cluster->setpriv != NULL &&
                      !assay__cluster_can_enter(cluster->directory, cluster->uid, cluster->gid);
    return ASSAY_OK;
}

assay_status
assay__cluster_try_lock(const struct assay_cluster *cluster, int *ret_fd, struct assay_error *err)
{
    int fd = open_file(cluster, "lock", O_RDWR);

    if (fd < 0)
        return assay_fail_errno(err, errno, "opening %s/lock", cluster->directory);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        assay_close(&fd);
    *ret_fd = fd;
    return ASSAY_OK;
}

/* --- log */

assay_status
assay__cluster_open_log(struct assay_cluster *cluster, int *ret_fd, struct assay_error *err)
{
    assay_auto_free char *path = assay_format("%s/log", cluster->directory);
    assay_auto_free char *old = assay_format("%s/log.1", cluster->directory);
    struct stat info;
    int fd;

    if (lstat(path, &info) == 0 && info.st_size > LOG_BYTES_MAX && rename(path, old) != 0)
        return assay_fail_errno(err, errno, "renaming %s to %s", path, old);
    fd = open_file(cluster, "log", O_WRONLY | O_APPEND);
    if (fd < 0)
        return assay_fail_errno(err, errno, "opening %s", path);
    cluster->log_start = fstat(fd, &info) == 0 ? info.st_size : 0;
    *ret_fd = fd;
    return ASSAY_OK;
}

assay_status
assay__cluster_fail(const struct assay_cluster *cluster, const char *what, struct assay_error *err)
{
    assay_auto_close int fd = open_file(cluster, "log", O_RDONLY);
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : -1;
    char tail[LOG_TAIL_BYTES + 1] = "";
    const char *last = tail;
    ssize_t n;

    if (size > cluster->log_start) {
        off_t from = ASSAY_MAX(cluster->log_start, size - LOG_TAIL_BYTES);

        n = pread(fd, tail, LOG_TAIL_BYTES, from);
        tail[n > 0 ? n : 0] = '\0';
        /* What fits into the message, from the beginning of a line. */
        if (n > 300) {
            last = strchr(tail + n - 300, '\n');
            last = last != NULL && last[1] != '\0' ? last + 1 : tail + n - 300;
        }
        for (char *p = tail; *p != '\0'; p++) {
            if (*p == '\n')
                *p = p[1] != '\0' ? '|' : '\0';
        }
    }
    return assay_fail(err, ASSAY_E_UNAVAILABLE, "%s; %s/log: %s", what, cluster->directory,
                      *last != '\0' ? last : "(nothing)");
}

/* --- making */

char *
assay__cluster_version(const struct assay_cluster *cluster)
{
    assay_auto_free char *path = assay_format("%s/PG_VERSION", cluster->data);
    char *version;

    return assay_file_read_line(path, &version, NULL) == ASSAY_OK ? version : NULL;
}

/* C collation and UTF-8: the order of names and the indexes depend on no locale
 * of the machine, which may change under them.  Its own pg_hba.conf lets nobody
 * in; ours, outside the server's reach, is given on the command line. */
static assay_status
run_initdb(struct assay_cluster *cluster, const char *folder, int lock_fd, struct assay_error *err)
{
    assay_auto_free char *initdb = assay_format("%s/initdb", cluster->bin);
    const char *const arguments[] = {initdb,
                                     "-D",
                                     folder,
                                     "-U",
                                     "assay",
                                     "--encoding=UTF8",
                                     "--no-locale",
                                     "--auth-local=reject",
                                     "--auth-host=reject",
                                     "--no-instructions",
                                     NULL};
    assay_auto_close int log_fd = -1;
    assay_status status = assay__cluster_open_log(cluster, &log_fd, err);
    int result = 0;
    pid_t pid;

    if (status == ASSAY_OK)
        status = assay__cluster_spawn(cluster, arguments, log_fd, lock_fd, &pid, err);
    if (status != ASSAY_OK)
        return status;
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
        return assay__cluster_fail(cluster, "the database could not be made", err);
    return ASSAY_OK;
}

static assay_status
sync_directory(const char *path, struct assay_error *err)
{
    assay_auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0)
        return assay_fail_errno(err, errno, "writing %s to disk", path);
    return ASSAY_OK;
}

/* An initdb left behind by a killed daemon holds the lock, as the server does. */
static assay_status
wait_lock(const struct assay_cluster *cluster, int *ret_fd, struct assay_error *err)
{
    int64_t deadline_us = assay_monotonic_us() + LOCK_WAIT_US;

    for (;;) {
        assay_status status = assay__cluster_try_lock(cluster, ret_fd, err);

        if (status != ASSAY_OK || *ret_fd >= 0)
            return status;
        if (assay_monotonic_us() > deadline_us)
            return assay_fail(err, ASSAY_E_UNAVAILABLE,
                              "a process that makes the database in %s does not end",
                              cluster->directory);
        usleep(PAUSE_US);
    }
}

assay_status
assay__cluster_make(struct assay_cluster *cluster, struct assay_error *err)
{
    assay_auto_free char *fresh = assay_format("%s/data.new", cluster->directory);
    assay_auto_close int lock_fd = -1;
    assay_status status = wait_lock(cluster, &lock_fd, err);

    if (status == ASSAY_OK)
        status = assay_remove_tree(fresh, err);
    if (status != ASSAY_OK)
        return status;
    if (rmdir(cluster->data) != 0 && errno != ENOENT)
        return assay_fail(err, ASSAY_E_CONFLICT, "%s is no PostgreSQL cluster and not empty",
                          cluster->data);
    if (mkdir(fresh, 0700) != 0 ||
        (cluster->setpriv != NULL && chown(fresh, cluster->uid, cluster->gid) != 0))
        return assay_fail_errno(err, errno, "making %s", fresh);
    status = run_initdb(cluster, fresh, lock_fd, err);
    if (status == ASSAY_OK && rename(fresh, cluster->data) != 0)
        status = assay_fail_errno(err, errno, "renaming %s to %s", fresh, cluster->data);
    if (status == ASSAY_OK)
        return sync_directory(cluster->directory, err);
    if (assay_remove_tree(fresh, NULL) != ASSAY_OK)
        assay_wrap(err, "%s is left", fresh);
    return status;
}

/* --- settings */

static assay_status
write_setting(const struct assay_cluster *cluster, const char *name, const char *text,
              struct assay_error *err)
{
    assay_auto_free char *path = assay_format("%s/%s", cluster->directory, name);
    assay_status status = assay_file_write(path, text, strlen(text), 0640, err);

    if (status != ASSAY_OK)
        return status;
    if (cluster->setpriv != NULL && (chown(path, 0, cluster->gid) != 0 || chmod(path, 0640) != 0))
        return assay_fail_errno(err, errno, "opening %s to the database", path);
    return ASSAY_OK;
}

/* A word of libpq's connection string, or of pg_ident.conf, in quotes. */
static char *
quote(const char *text, char mark)
{
    struct assay_buffer out = {0};

    for (; *text != '\0'; text++) {
        if (*text == mark)
            assay_buffer_add(&out, mark == '\'' ? "\\" : "\"", 1);
        else if (*text == '\\' && mark == '\'')
            assay_buffer_puts(&out, "\\");
        assay_buffer_add(&out, text, 1);
    }
    return assay_buffer_steal(&out);
}

/* The socket is in the data directory.  Where its path is too long for a socket
 * address (or has a comma, which libpq takes for a list), the server binds it
 * relative to its working directory and we reach it through a descriptor of the
 * folder: nothing lies outside the cluster's own directory. */
static assay_status
make_url(struct assay_cluster *cluster, struct assay_error *err)
{
    assay_auto_free char *host = assay_strdup(cluster->data);
    assay_auto_free char *quoted = NULL;

    if (strlen(host) + strlen(SOCKET_NAME) >= sizeof((struct sockaddr_un *)NULL)->sun_path ||
        strchr(host, ',') != NULL) {
        cluster->data_fd = move_up(open(cluster->data, O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (cluster->data_fd < 0)
            return assay_fail_errno(err, errno, "opening %s", cluster->data);
        free(host);
        host = assay_format("/proc/self/fd/%d", cluster->data_fd);
    }
    quoted = quote(host, '\'');
    cluster->url =
        assay_format("host='%s' port=5432 user=assay dbname=postgres sslmode=disable", quoted);
    return ASSAY_OK;
}

/* Authentication is `peer`: the kernel tells the server which user the other end
 * of the socket is, and only the daemon's is let in, so nothing depends on a
 * password file or on the rights of a folder alone. */
assay_status
assay__cluster_write_settings(struct assay_cluster *cluster, struct assay_error *err)
{
    static const char access_rules[] =
        "# Written by assayd at every start.\nlocal all assay peer map=assay\n";
    assay_auto_free char *user_rules = NULL;
    assay_auto_free char *name = NULL;
    struct passwd account, *found = NULL;
    char buffer[4096];
    assay_status status;

    if (getpwuid_r(geteuid(), &account, buffer, sizeof buffer, &found) != 0 || found == NULL)
        return assay_fail(err, ASSAY_E_UNAVAILABLE,
                          "user %u has no name (a line in /etc/passwd), which PostgreSQL needs",
                          (unsigned)geteuid());
    name = quote(found->pw_name, '"');
    user_rules = assay_format("# Written by assayd at every start.\nassay \"%s\" assay\n", name);
    status = write_setting(cluster, "pg_hba.conf", access_rules, err);
    if (status == ASSAY_OK)
        status = write_setting(cluster, "pg_ident.conf", user_rules, err);
    if (status == ASSAY_OK)
        status = make_url(cluster, err);
    return status;
}
