/* Where PostgreSQL's programs are, who runs them, and how they are started. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/number.h"
#include "sql/cluster_internal.h"

#define DEBIAN_FOLDER "/usr/lib/postgresql"
/* The first with recovery_init_sync_method, which makes a restart after a crash
 * take tenths of a second in place of seconds. */
#define VERSION_MIN 14

static bool
has_programs(const char *folder)
{
    assay_auto_free char *initdb = assay_format("%s/initdb", folder);
    assay_auto_free char *postgres = assay_format("%s/postgres", folder);

    return access(initdb, X_OK) == 0 && access(postgres, X_OK) == 0;
}

/* Debian and its like: one folder for each major version. */
static char *
find_in_versions(const char *version)
{
    DIR *folder = opendir(DEBIAN_FOLDER);
    char *best = NULL;
    int64_t best_version = 0;
    struct dirent *entry;

    if (folder == NULL)
        return NULL;
    while ((entry = readdir(folder)) != NULL) {
        int64_t number;
        char *path;

        if (!assay_parse_int(entry->d_name, VERSION_MIN, 1000, &number) || number <= best_version ||
            (version != NULL && strcmp(version, entry->d_name) != 0))
            continue;
        path = assay_format(DEBIAN_FOLDER "/%s/bin", entry->d_name);
        if (has_programs(path)) {
            free(best);
            best = path;
            best_version = number;
        } else {
            free(path);
        }
    }
    closedir(folder);
    return best;
}

static char *
find_in_path(void)
{
    const char *path = getenv("PATH");

    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        char *folder = assay_strndup(path, length);

        if (length > 0 && *folder == '/' && has_programs(folder))
            return folder;
        free(folder);
        path += length + (path[length] == ':');
    }
    return NULL;
}

/* Whether who runs this can add packages: in a container mostly not. */
static bool
can_install(void)
{
    bool is_read_only = access("/usr", W_OK) != 0 && errno == EROFS;
    bool may_be_root = geteuid() == 0 || access("/usr/bin/sudo", X_OK) == 0;

    return !is_read_only && may_be_root && access("/usr/bin/apt", X_OK) == 0;
}

static assay_status
fail_not_installed(const char *version, struct assay_error *err)
{
    assay_auto_free char *install = assay_format(
        "apt install postgresql%s%s", version != NULL ? "-" : "", version != NULL ? version : "");
    assay_auto_free char *advice =
        version != NULL || can_install()
            ? assay_format("install it (Debian: %s) or give --database URL", install)
            : assay_format("give --database URL, that of a PostgreSQL elsewhere, or "
                           "install it (Debian: %s)",
                           install);

    return assay_fail(
        err, ASSAY_E_UNAVAILABLE,
        "PostgreSQL%s%s is not installed: there is no initdb and postgres in " DEBIAN_FOLDER
        "/%s/bin or in PATH; %s",
        version != NULL ? " " : "", version != NULL ? version : "", version != NULL ? version : "*",
        advice);
}

assay_status
assay__cluster_find_bin(const char *wanted, const char *version, char **ret_bin,
                        struct assay_error *err)
{
    char *bin;

    if (wanted != NULL) {
        if (!has_programs(wanted))
            return assay_fail(err, ASSAY_E_UNAVAILABLE, "there is no initdb and postgres in %s",
                              wanted);
        *ret_bin = assay_strdup(wanted);
        return ASSAY_OK;
    }
    bin = find_in_versions(version);
    if (bin == NULL)
        bin = find_in_path();
    if (bin == NULL)
        return fail_not_installed(version, err);
    *ret_bin = bin;
    return ASSAY_OK;
}

/* --- the user */

/* Asked from the kernel by a child that becomes that user; between fork and
 * _exit only system calls, as other threads may hold locks. */
bool
assay__cluster_can_enter(const char *path, uid_t uid, gid_t gid)
{
    int status = 0;
    pid_t pid = fork();

    if (pid < 0)
        return false;
    if (pid == 0) {
        bool good = syscall(SYS_setgroups, 0, NULL) == 0 &&
                    syscall(SYS_setresgid, gid, gid, gid) == 0 &&
                    syscall(SYS_setresuid, uid, uid, uid) == 0 && access(path, X_OK) == 0;

        _exit(good ? 0 : 1);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The owner of an existing cluster, else the account made for PostgreSQL, else
 * the one that owns nothing. */
static assay_status
choose_account(struct assay_cluster *cluster, struct assay_error *err)
{
    struct stat info;
    struct passwd account, *found = NULL;
    char buffer[4096];

    if (lstat(cluster->data, &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid != 0) {
        cluster->uid = info.st_uid;
        cluster->gid = info.st_gid;
        return ASSAY_OK;
    }
    if (getpwnam_r("postgres", &account, buffer, sizeof buffer, &found) != 0 || found == NULL)
        getpwnam_r("nobody", &account, buffer, sizeof buffer, &found);
    if (found == NULL || account.pw_uid == 0)
        return assay_fail(err, ASSAY_E_UNAVAILABLE,
                          "PostgreSQL does not run as root, and there is no user postgres or "
                          "nobody to run it");
    cluster->uid = account.pw_uid;
    cluster->gid = account.pw_gid;
    return ASSAY_OK;
}

static char *
find_setpriv(void)
{
    static const char *const places[] = {"/usr/bin/setpriv", "/bin/setpriv",
                                         "/usr/local/bin/setpriv"};

    for (size_t i = 0; i < ASSAY_COUNT(places); i++) {
        if (access(places[i], X_OK) == 0)
            return assay_strdup(places[i]);
    }
    return NULL;
}

assay_status
assay__cluster_find_user(struct assay_cluster *cluster, struct assay_error *err)
{
    cluster->uid = geteuid();
    cluster->gid = getegid();
    if (cluster->uid != 0)
        return ASSAY_OK;
    cluster->setpriv = find_setpriv();
    if (cluster->setpriv == NULL)
        return assay_fail(err, ASSAY_E_UNAVAILABLE,
                          "setpriv is not installed; started as root, it is needed to run "
                          "PostgreSQL as another user (Debian: apt install util-linux)");
    return choose_account(cluster, err);
}

/* --- starting */

#define ARGUMENTS_MAX 48

struct command {
    const char *arguments[ARGUMENTS_MAX];
    size_t count;
    char uid[32], gid[32];
};

static void
push(struct command *command, const char *argument)
{
    ASSAY_ASSERT(command->count + 1 < ARGUMENTS_MAX);
    command->arguments[command->count++] = argument;
    command->arguments[command->count] = NULL;
}

/* Puts setpriv before the program when started as root. */
static void
build_command(const struct assay_cluster *cluster, const char *const *arguments,
              struct command *ret_command)
{
    *ret_command = (struct command){0};
    if (cluster->setpriv != NULL) {
        snprintf(ret_command->uid, sizeof ret_command->uid, "--reuid=%u", cluster->uid);
        snprintf(ret_command->gid, sizeof ret_command->gid, "--regid=%u", cluster->gid);
        push(ret_command, cluster->setpriv);
        push(ret_command, ret_command->uid);
        push(ret_command, ret_command->gid);
        push(ret_command, "--clear-groups");
        push(ret_command, "--no-new-privs");
        if (cluster->search) {
            push(ret_command, "--inh-caps=-all,+dac_read_search");
            push(ret_command, "--ambient-caps=-all,+dac_read_search");
        } else {
            push(ret_command, "--inh-caps=-all");
        }
        push(ret_command, "--");
    }
    for (; *arguments != NULL; arguments++)
        push(ret_command, *arguments);
}

static int
spawn(const struct command *command, int log_fd, int lock_fd, pid_t *ret_pid)
{
    static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int rc;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addchdir_np(&files, "/"); /* ours may be closed to the server */
    posix_spawn_file_actions_adddup2(&files, log_fd, 1);
    posix_spawn_file_actions_adddup2(&files, log_fd, 2);
    if (lock_fd >= 0)
        posix_spawn_file_actions_adddup2(&files, lock_fd, 3);
    posix_spawn_file_actions_addclosefrom_np(&files, lock_fd >= 0 ? 4 : 3);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    rc = posix_spawn(ret_pid, command->arguments[0], &files, &attributes,
                     (char *const *)(uintptr_t)command->arguments,
                     (char *const *)(uintptr_t)environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

assay_status
assay__cluster_spawn(const struct assay_cluster *cluster, const char *const *arguments, int log_fd,
                     int lock_fd, pid_t *ret_pid, struct assay_error *err)
{
    struct command command;
    int rc;

    build_command(cluster, arguments, &command);
    /* Descriptors that the actions overwrite before they are used would be lost. */
    ASSAY_ASSERT(log_fd > 3 && (lock_fd < 0 || lock_fd > 3));
    rc = spawn(&command, log_fd, lock_fd, ret_pid);
    if (rc != 0)
        return assay_fail_errno(err, rc, "starting %s", command.arguments[0]);
    return ASSAY_OK;
}
