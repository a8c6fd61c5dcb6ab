#include "api/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include "api/auth.h"
#include "common/file.h"
#include "common/memory.h"

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

static assay_status
take_lock(struct assay_data_dir *dir, struct assay_error *err)
{
    assay_auto_free char *path = assay_data_dir_file(dir, "assayd.lock");
    assay_auto_free char *pid = NULL;
    assay_auto_free char *pid_path = assay_data_dir_file(dir, "pid");
    assay_auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return assay_fail_errno(err, errno, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return assay_fail_errno(err, errno, "locking %s", path);
        if (assay_file_read_line(pid_path, &pid, NULL) != ASSAY_OK)
            return assay_fail(err, ASSAY_E_CONFLICT, "another assayd uses the data directory %s",
                              dir->path);
        return assay_fail(err, ASSAY_E_CONFLICT,
                          "another assayd (process %s) uses the data directory %s", pid,
                          dir->path);
    }
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
