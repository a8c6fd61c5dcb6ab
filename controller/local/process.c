#include "controller/local/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"

#define MARKER "ASSAY_ATTEMPT_KEY="
/* The kernel's own bound of one environment string is 128 KiB; a whole
 * environment that is longer than this is read in part, and the marker is put
 * first by the runner. */
#define ENVIRON_BYTES_MAX 65536

extern char **environ;

char *
assay_trial_directory(const char *data_dir, int64_t study_id, int64_t trial_number)
{
    return assay_format("%s/trials/%" PRId64 "/%" PRId64, data_dir, study_id, trial_number);
}

char *
assay_attempt_directory(const char *data_dir, const struct assay_attempt_key *key)
{
    return assay_format("%s/trials/%" PRId64 "/%" PRId64 "/%" PRId64, data_dir, key->study_id,
                        key->trial_number, key->attempt);
}

void
assay__local_owner(const char *data_dir, char owner[ASSAY__LOCAL_OWNER_TEXT])
{
    assay_auto_free char *real = realpath(data_dir, NULL);
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

    for (const char *p = real != NULL ? real : data_dir; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    snprintf(owner, ASSAY__LOCAL_OWNER_TEXT, "%016" PRIx64, hash);
}

char *
assay__local_marker(const char *owner, const struct assay_attempt_key *key)
{
    return assay_format("%s.%" PRId64 ".%" PRId64 ".%" PRId64, owner, key->study_id,
                        key->trial_number, key->attempt);
}

assay_status
assay__local_make_folders(const char *data_dir, const struct assay_attempt_key *key,
                          struct assay_error *err)
{
    assay_auto_free char *trial = assay_trial_directory(data_dir, key->study_id, key->trial_number);
    assay_auto_free char *attempt = assay_attempt_directory(data_dir, key);
    assay_auto_free char *checkpoint = assay_format("%s/checkpoint", trial);
    assay_auto_free char *output = assay_format("%s/output", trial);
    assay_status rc;

    /* Usually only the last folder is missing. */
    if (mkdir(attempt, 0700) != 0 && errno == ENOENT) {
        rc = assay_make_directories(attempt, 0700, err);
        if (rc < 0)
            return rc;
    } else if (access(attempt, F_OK) != 0) {
        return assay_fail_errno(err, errno, "making the directory %s", attempt);
    }
    if (mkdir(checkpoint, 0700) != 0 && errno != EEXIST)
        return assay_fail_errno(err, errno, "making the directory %s", checkpoint);
    if (mkdir(output, 0700) != 0 && errno != EEXIST)
        return assay_fail_errno(err, errno, "making the directory %s", output);
    return ASSAY_OK;
}

assay_status
assay__local_write(const char *path, const void *bytes, size_t length, struct assay_error *err)
{
    assay_auto_close int fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    const char *at = bytes;

    if (fd < 0)
        return assay_fail_errno(err, errno, "creating %s", path);
    while (length > 0) {
        ssize_t n = write(fd, at, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return assay_fail_errno(err, errno, "writing %s", path);
        at += n;
        length -= (size_t)n;
    }
    return ASSAY_OK;
}

static char *
lock_path(const char *data_dir, int64_t study_id, int64_t trial_number)
{
    return assay_format("%s/trials/%" PRId64 "/%" PRId64 "/trial.lock", data_dir, study_id,
                        trial_number);
}

assay_status
assay__local_lock(const char *data_dir, int64_t study_id, int64_t trial_number, int *ret_fd,
                  struct assay_error *err)
{
    assay_auto_free char *path = lock_path(data_dir, study_id, trial_number);
    assay_auto_close int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return assay_fail_errno(err, errno, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return assay_fail_errno(err, errno, "locking %s", path);
        *ret_fd = -1;
        return ASSAY_OK;
    }
    /* The pid in it is a former holder's. */
    if (ftruncate(fd, 0) != 0)
        return assay_fail_errno(err, errno, "emptying %s", path);
    *ret_fd = fd;
    fd = -1;
    return ASSAY_OK;
}

int
assay__local_lock_holder(const char *data_dir, int64_t study_id, int64_t trial_number,
                         pid_t *ret_pid)
{
    assay_auto_free char *path = lock_path(data_dir, study_id, trial_number);
    assay_auto_free char *before = NULL;
    assay_auto_free char *after = NULL;
    int64_t pid;
    int fd;

    if (assay_file_read_line(path, &before, NULL) < 0 ||
        !assay_parse_int(before, 2, INT32_MAX, &pid))
        return -1;
    fd = pidfd_open((pid_t)pid, 0);
    if (fd < 0)
        return -1;
    /* Still the same holder: then the pid was alive and its when we opened it. */
    if (assay_file_read_line(path, &after, NULL) < 0 || strcmp(before, after) != 0) {
        close(fd);
        return -1;
    }
    *ret_pid = (pid_t)pid;
    return fd;
}

/* What the daemon was told and no trial should know. */
static bool
is_private(const char *entry)
{
    static const char *const prefixes[] = {"ASSAYD_",     "ASSAY_",         "PGPASSWORD=",
                                           "PGPASSFILE=", "NOTIFY_SOCKET=", "LISTEN_",
                                           "WATCHDOG_"};

    for (size_t i = 0; i < ASSAY_COUNT(prefixes); i++) {
        if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return false;
}

char **
assay__local_environment(void)
{
    size_t n = 0, kept = 0;
    char **copy;

    while (environ[n] != NULL)
        n++;
    copy = assay_zalloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        if (!is_private(environ[i]))
            copy[kept++] = assay_strdup(environ[i]);
    }
    return copy;
}

void
assay__local_environment_free(char **environment)
{
    for (char **p = environment; p != NULL && *p != NULL; p++)
        free(*p);
    free(environment);
}

/* Descriptors of the runner. */
enum { RUNNER_LOCK_FD = 3, RUNNER_START_FD = 4 };

static void
add_files(posix_spawn_file_actions_t *files, const struct assay__local_spawn *spawn, int lock_fd,
          int start_fd)
{
    posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(files, 1, spawn->log_path,
                                     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);
    posix_spawn_file_actions_adddup2(files, 1, 2);
    posix_spawn_file_actions_adddup2(files, lock_fd, RUNNER_LOCK_FD);
    if (start_fd >= 0)
        posix_spawn_file_actions_adddup2(files, start_fd, RUNNER_START_FD);
    posix_spawn_file_actions_addclosefrom_np(files, RUNNER_START_FD + (start_fd >= 0));
}

assay_status
assay__local_spawn(const struct assay__local_spawn *spawn, pid_t *ret_pid, int *ret_pidfd,
                   struct assay_error *err)
{
    /* Out of the way of the numbers they get in the runner. */
    assay_auto_close int lock_fd = fcntl(spawn->lock_fd, F_DUPFD_CLOEXEC, 10);
    assay_auto_close int start_fd =
        spawn->start_fd >= 0 ? fcntl(spawn->start_fd, F_DUPFD_CLOEXEC, 10) : -1;
    char *const argv[] = {assay_strdup(spawn->runner),
                          assay_strdup("--job"),
                          assay_strdup(spawn->job_path),
                          assay_strdup("--lock-fd=3"),
                          start_fd >= 0 ? assay_strdup("--start-fd=4") : NULL,
                          NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    assay_status rc = ASSAY_OK;
    pid_t pid;
    int error;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    add_files(&files, spawn, lock_fd, start_fd);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    error = posix_spawn(&pid, spawn->runner, &files, &attributes, argv, spawn->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    for (size_t i = 0; argv[i] != NULL; i++)
        free(argv[i]);
    if (error != 0) {
        rc = assay_fail_errno(err, error, "starting %s", spawn->runner);
    } else {
        /* Can not fail but for descriptors: the child is ours until it is waited for. */
        int pidfd = pidfd_open(pid, 0);

        if (pidfd < 0) {
            rc = assay_fail_errno(err, errno, "watching process %ld", (long)pid);
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        } else {
            *ret_pid = pid;
            *ret_pidfd = pidfd;
        }
    }
    return rc;
}

void
assay__local_ask_to_end(int pidfd, int64_t grace_us)
{
    int64_t grace_ms = grace_us < 0 ? 0 : grace_us / 1000;
    siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};

    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = (int)ASSAY_MIN(grace_ms, INT32_MAX);
    pidfd_send_signal(pidfd, SIGTERM, &info, 0);
}

void
assay__local_kill(int pidfd)
{
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

/* The attempt a process is marked with; false when it is none of this owner's. */
static bool
read_marker(const char *pid_name, const char *owner, char *buffer,
            struct assay_attempt_key *ret_key)
{
    char path[64];
    size_t length = 0;
    int fd;

    snprintf(path, sizeof path, "/proc/%.20s/environ", pid_name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* gone, or another user's */
    for (;;) {
        ssize_t n = read(fd, buffer + length, ENVIRON_BYTES_MAX - 1 - length);

        if (n <= 0)
            break;
        length += (size_t)n;
    }
    close(fd);
    buffer[length] = '\0';
    for (const char *p = buffer; p < buffer + length; p += strlen(p) + 1) {
        size_t n = strlen(owner);

        if (strncmp(p, MARKER, strlen(MARKER)) == 0) {
            p += strlen(MARKER);
            return strncmp(p, owner, n) == 0 &&
                   sscanf(p + n, ".%" SCNd64 ".%" SCNd64 ".%" SCNd64, &ret_key->study_id,
                          &ret_key->trial_number, &ret_key->attempt) == 3;
        }
    }
    return false;
}

size_t
assay__local_kill_marked(const char *owner,
                         bool (*doomed)(void *arg, const struct assay_attempt_key *key), void *arg)
{
    DIR *proc = opendir("/proc");
    char *buffer = assay_alloc(ENVIRON_BYTES_MAX, 1);
    struct assay_attempt_key key;
    size_t found = 0;

    for (struct dirent *entry; proc != NULL && (entry = readdir(proc)) != NULL;) {
        int64_t pid;
        int fd;

        if (!assay_parse_int(entry->d_name, 2, INT32_MAX, &pid) || pid == getpid() ||
            !read_marker(entry->d_name, owner, buffer, &key) || !doomed(arg, &key))
            continue;
        /* Once more through a pidfd: the number may have been given to another process. */
        fd = pidfd_open((pid_t)pid, 0);
        if (fd >= 0 && read_marker(entry->d_name, owner, buffer, &key)) {
            assay__local_kill(fd);
            found++;
        }
        if (fd >= 0)
            close(fd);
    }
    if (proc != NULL)
        closedir(proc);
    free(buffer);
    return found;
}
