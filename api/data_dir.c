#include "api/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api/auth.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"

#define PROC_BYTES_MAX ((size_t)1 << 20)
/* Fields of /proc/PID/stat. */
#define STAT_NAME 2
#define STAT_START 22
/* How long one that holds the lock is waited for: a daemon on its way out, and one that seems to
 * live, as a daemon does for a moment after it was killed. */
#define LEAVING_US (60 * ASSAY_SECOND_US)
#define LIVING_US ASSAY_SECOND_US
#define LOOK_US 5000

static char *
default_path(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    const struct passwd *user;

    if (data != NULL && data[0] == '/')
        return assay_format("%s/assay", data);
    if (home == NULL || home[0] != '/') {
        user = getpwuid(geteuid());
        home = user != NULL ? user->pw_dir : "/";
    }
    return assay_format("%s/.local/share/assay", home);
}

/* What tells a process from a later one of its number: "PID START", as they stand in
 * assayd.lock; START is when it began, in ticks since the machine did.  NULL: it is gone.  Caller
 * frees. */
static char *
identify(pid_t pid)
{
    assay_auto_free char *path = assay_format("/proc/%ld/stat", (long)pid);
    assay_auto_free char *text = NULL;
    const char *field;

    if (assay_file_read(path, PROC_BYTES_MAX, &text, NULL, NULL) != ASSAY_OK)
        return NULL;
    field = strrchr(text, ')'); /* the name in brackets may hold anything */
    for (int i = 0; field != NULL && i < STAT_START - STAT_NAME; i++)
        field = strchr(field + 1, ' ');
    if (field == NULL)
        return NULL;
    return assay_format("%ld%.*s", (long)pid, (int)strcspn(field + 1, " ") + 1, field);
}

static pid_t
pid_of(const char *identity)
{
    return identity != NULL ? (pid_t)strtol(identity, NULL, 10) : 0;
}

/* A descriptor of the process that becomes readable when all of it is gone; -1: it is. */
static int
open_process(const char *identity)
{
    int fd = identity != NULL ? (int)syscall(SYS_pidfd_open, pid_of(identity), 0) : -1;
    assay_auto_free char *found = fd >= 0 ? identify(pid_of(identity)) : NULL;

    if (found == NULL || strcmp(found, identity) != 0)
        assay_close(&fd);
    return fd;
}

/* Whether it still has what it was started with; a process on its way out has not. */
static bool
lives(const char *identity)
{
    assay_auto_close int fd = open_process(identity);
    assay_auto_free char *path = assay_format("/proc/%ld/cmdline", (long)pid_of(identity));
    assay_auto_free char *text = NULL;
    size_t length = 0;

    return fd >= 0 && assay_file_read(path, PROC_BYTES_MAX, &text, &length, NULL) == ASSAY_OK &&
           length > 0;
}

static assay_status
fail_taken(const struct assay_data_dir *dir, const char *holder, struct assay_error *err)
{
    assay_auto_free char *pid_path = assay_data_dir_file(dir, "pid");
    assay_auto_free char *pid = NULL;

    if (holder != NULL && !lives(holder))
        return assay_fail(err, ASSAY_E_CONFLICT,
                          "the data directory %s is still held after %lld s: by what is left of "
                          "an assayd that was killed (process %ld), or by one of another machine "
                          "or container",
                          dir->path, (long long)(LEAVING_US / ASSAY_SECOND_US),
                          (long)pid_of(holder));
    if (holder != NULL)
        return assay_fail(err, ASSAY_E_CONFLICT,
                          "another assayd (process %ld) uses the data directory %s",
                          (long)pid_of(holder), dir->path);
    if (assay_file_read_line(pid_path, &pid, NULL) != ASSAY_OK)
        return assay_fail(err, ASSAY_E_CONFLICT, "another assayd uses the data directory %s",
                          dir->path);
    return assay_fail(err, ASSAY_E_CONFLICT,
                      "another assayd (process %s) uses the data directory %s", pid, dir->path);
}

/* Nor may the one before hold anything else any more: its port, the lock of the database. */
static assay_status
await_former(const struct assay_data_dir *dir, const char *former, struct assay_error *err)
{
    struct pollfd gone = {.fd = open_process(former), .events = POLLIN};
    int64_t end_us = assay_monotonic_us() + LEAVING_US;
    int64_t left_us = LEAVING_US;
    int rc = 1;

    if (gone.fd < 0)
        return ASSAY_OK;
    do {
        rc = poll(&gone, 1, (int)(left_us / 1000) + 1);
        left_us = end_us - assay_monotonic_us();
    } while (rc <= 0 && left_us > 0);
    assay_close(&gone.fd);
    if (rc > 0)
        return ASSAY_OK;
    return assay_fail(err, ASSAY_E_CONFLICT,
                      "the assayd that was here before (process %ld) is ending, but not gone from "
                      "the data directory %s after %lld s",
                      (long)pid_of(former), dir->path, (long long)(LEAVING_US / ASSAY_SECOND_US));
}

/* A daemon that was killed holds the lock until the system has cleared it away, and so may, for
 * a moment, a program that it was about to start. */
static assay_status
take_lock(struct assay_data_dir *dir, struct assay_error *err)
{
    assay_auto_free char *path = assay_data_dir_file(dir, "assayd.lock");
    assay_auto_free char *self = identify(getpid());
    assay_auto_free char *former = NULL;
    assay_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int64_t start_us = assay_monotonic_us();
    assay_status status;

    if (fd < 0)
        return assay_fail_errno(err, errno, "opening %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        assay_auto_free char *holder = NULL;
        int64_t patience_us;

        if (errno != EWOULDBLOCK)
            return assay_fail_errno(err, errno, "locking %s", path);
        if (assay_file_read_line(path, &holder, NULL) != ASSAY_OK || pid_of(holder) <= 0) {
            free(holder);
            holder = NULL;
        }
        patience_us = holder != NULL && !lives(holder) ? LEAVING_US : LIVING_US;
        if (assay_monotonic_us() - start_us > patience_us)
            return fail_taken(dir, holder, err);
        usleep(LOOK_US);
    }
    if (assay_file_read_line(path, &former, NULL) == ASSAY_OK && self != NULL &&
        strcmp(former, self) != 0) {
        status = await_former(dir, former, err);
        if (status != ASSAY_OK)
            return status;
    }
    if (self != NULL && (ftruncate(fd, 0) != 0 || pwrite(fd, self, strlen(self), 0) < 0))
        return assay_fail_errno(err, errno, "writing %s", path);
    dir->lock_fd = fd;
    fd = -1;
    return ASSAY_OK;
}

assay_status
assay_data_dir_open(const char *path, struct assay_data_dir *ret_dir, struct assay_error *err)
{
    assay_auto_free char *wanted = path != NULL ? assay_strdup(path) : default_path();
    struct assay_data_dir dir = {.lock_fd = -1};
    assay_status status = assay_make_directories(wanted, 0700, err);

    if (status != ASSAY_OK)
        return assay_wrap(err, "the data directory");
    dir.path = realpath(wanted, NULL);
    if (dir.path == NULL)
        return assay_fail_errno(err, errno, "the data directory %s", wanted);
    status = take_lock(&dir, err);
    if (status != ASSAY_OK) {
        free(dir.path);
        return status;
    }
    *ret_dir = dir;
    return ASSAY_OK;
}

void
assay_data_dir_close(struct assay_data_dir *dir)
{
    assay_close(&dir->lock_fd);
    free(dir->path);
    dir->path = NULL;
}

char *
assay_data_dir_file(const struct assay_data_dir *dir, const char *name)
{
    return assay_format("%s/%s", dir->path, name);
}

assay_status
assay_data_dir_write(const struct assay_data_dir *dir, const char *name, const char *line,
                     struct assay_error *err)
{
    assay_auto_free char *path = assay_data_dir_file(dir, name);
    assay_auto_free char *text = assay_format("%s\n", line);

    return assay_file_write(path, text, strlen(text), 0600, err);
}

void
assay_data_dir_remove(const struct assay_data_dir *dir, const char *name)
{
    assay_auto_free char *path = assay_data_dir_file(dir, name);

    unlink(path);
}

assay_status
assay_data_dir_token(const struct assay_data_dir *dir, char **ret_token, struct assay_error *err)
{
    assay_auto_free char *path = assay_data_dir_file(dir, "token");
    assay_auto_free char *token = NULL;
    assay_status status = assay_file_read_line(path, &token, err);

    if (status == ASSAY_OK && strlen(token) < 16)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "the token in %s is shorter than 16 characters; remove the file to get "
                          "a fresh one",
                          path);
    if (status == ASSAY_E_NOT_FOUND) {
        token = assay_auth_new_token();
        status = assay_data_dir_write(dir, "token", token, err);
    }
    if (status != ASSAY_OK)
        return status;
    *ret_token = token;
    token = NULL;
    return ASSAY_OK;
}
