#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/memory.h"

void
assay_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

assay_status
assay_file_read(const char *path, size_t max_bytes, char **ret_text, size_t *ret_length,
                struct assay_error *err)
{
    assay_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    assay_auto_free char *text = NULL;
    size_t length = 0, capacity = 4096;

    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return assay_fail(err, ASSAY_E_NOT_FOUND, "there is no file %s", path);
        return assay_fail_errno(err, errno, "opening %s", path);
    }
    text = assay_alloc(capacity, 1);
    for (;;) {
        ssize_t n = read(fd, text + length, capacity - 1 - length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return assay_fail_errno(err, errno, "reading %s", path);
        if (n == 0)
            break;
        length += (size_t)n;
        if (length > max_bytes)
            return assay_fail(err, ASSAY_E_TOO_LARGE, "%s is larger than %zu bytes", path,
                              max_bytes);
        if (length == capacity - 1)
            text = assay_realloc(text, capacity *= 2, 1);
    }
    text[length] = '\0';
    *ret_text = text;
    text = NULL;
    if (ret_length != NULL)
        *ret_length = length;
    return ASSAY_OK;
}

assay_status
assay_file_read_line(const char *path, char **ret_text, struct assay_error *err)
{
    char *text;
    size_t length;
    assay_status status = assay_file_read(path, 65536, &text, &length, err);

    if (status != ASSAY_OK)
        return status;
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r'))
        text[--length] = '\0';
    *ret_text = text;
    return ASSAY_OK;
}

static assay_status
write_all(int fd, const char *bytes, size_t length, const char *path, struct assay_error *err)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return assay_fail_errno(err, errno, "writing %s", path);
        bytes += n;
        length -= (size_t)n;
    }
    return ASSAY_OK;
}

static assay_status
replace(const char *path, const void *bytes, size_t length, mode_t mode, bool durable,
        struct assay_error *err)
{
    assay_auto_free char *temporary = assay_format("%s.%ld.new", path, (long)getpid());
    assay_auto_close int fd =
        open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
    assay_status status;

    if (fd < 0)
        return assay_fail_errno(err, errno, "creating %s", temporary);
    status = write_all(fd, bytes, length, temporary, err);
    if (status == ASSAY_OK && durable && fsync(fd) != 0)
        status = assay_fail_errno(err, errno, "writing %s to disk", temporary);
    if (status == ASSAY_OK && rename(temporary, path) != 0)
        status = assay_fail_errno(err, errno, "renaming %s to %s", temporary, path);
    if (status != ASSAY_OK)
        unlink(temporary);
    return status;
}

assay_status
assay_file_write(const char *path, const void *bytes, size_t length, mode_t mode,
                 struct assay_error *err)
{
    return replace(path, bytes, length, mode, true, err);
}

assay_status
assay_file_replace(const char *path, const void *bytes, size_t length, mode_t mode,
                   struct assay_error *err)
{
    return replace(path, bytes, length, mode, false, err);
}

assay_status
assay_make_directories(const char *path, mode_t mode, struct assay_error *err)
{
    assay_auto_free char *part = assay_strdup(path);

    for (char *p = part + 1;; p++) {
        if (*p == '/' || *p == '\0') {
            char stop = *p;

            *p = '\0';
            if (mkdir(part, mode) != 0 && errno != EEXIST)
                return assay_fail_errno(err, errno, "making the directory %s", part);
            *p = stop;
            if (stop == '\0')
                return ASSAY_OK;
        }
    }
}

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

assay_status
assay_remove_tree(const char *path, struct assay_error *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
        return assay_fail_errno(err, errno, "removing %s", path);
    return ASSAY_OK;
}
