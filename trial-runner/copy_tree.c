#include "trial-runner/copy_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"

#define DEPTH_MAX 64
#define BLOCK_BYTES ((size_t)256 * 1024)

static assay_status
fail_at(const char *path, struct assay_error *err)
{
    return assay_fail_errno(err, errno, "copying %s", path);
}

/* Copies the bytes [from, to) of both files. */
static bool
copy_range(int in, int out, off_t from, off_t to, char *block)
{
    while (from < to) {
        size_t size = (size_t)ASSAY_MIN((off_t)BLOCK_BYTES, to - from);
        ssize_t n = pread(in, block, size, from);

        if (n == 0)
            return true; /* it has become shorter */
        if (n > 0)
            n = pwrite(out, block, (size_t)n, from);
        if (n < 0 && errno != EINTR)
            return false;
        from += ASSAY_MAX(n, 0);
    }
    return true;
}

static bool
copy_bytes(int in, int out, off_t size)
{
    assay_auto_free char *block = NULL;
    off_t data = 0, hole;

    if (ioctl(out, FICLONE, in) == 0)
        return true;
    block = assay_alloc(BLOCK_BYTES, 1);
    while (data < size) {
        data = lseek(in, data, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break; /* nothing but a hole is left */
        if (data < 0)
            data = 0; /* the file system does not know */
        hole = lseek(in, data, SEEK_HOLE);
        if (hole <= data)
            hole = size;
        if (!copy_range(in, out, data, hole, block))
            return false;
        data = hole;
    }
    return ftruncate(out, size) == 0;
}

static assay_status
copy_file(const char *from, const char *to, const struct stat *info, struct assay_error *err)
{
    const struct timespec times[] = {info->st_atim, info->st_mtim};
    assay_auto_close int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    assay_auto_close int out = -1;

    if (in < 0)
        return fail_at(from, err);
    out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return fail_at(to, err);
    if (!copy_bytes(in, out, info->st_size) || fchmod(out, info->st_mode & 07777) != 0 ||
        futimens(out, times) != 0)
        return fail_at(to, err);
    return ASSAY_OK;
}

static assay_status
copy_link(const char *from, const char *to, struct assay_error *err)
{
    char target[4096];
    ssize_t n = readlink(from, target, sizeof target - 1);

    if (n < 0)
        return fail_at(from, err);
    target[n] = '\0';
    return symlink(target, to) == 0 ? ASSAY_OK : fail_at(to, err);
}

static assay_status copy_folder(const char *from, const char *to, const struct stat *info,
                                int depth, struct assay_error *err);

static assay_status
copy_entry(const char *from, const char *to, int depth, struct assay_error *err)
{
    struct stat info;

    if (lstat(from, &info) != 0)
        return fail_at(from, err);
    if (S_ISDIR(info.st_mode))
        return copy_folder(from, to, &info, depth + 1, err);
    if (S_ISLNK(info.st_mode))
        return copy_link(from, to, err);
    if (S_ISREG(info.st_mode))
        return copy_file(from, to, &info, err);
    return ASSAY_OK; /* a socket or the like means nothing to somebody else */
}

static assay_status
copy_folder(const char *from, const char *to, const struct stat *info, int depth,
            struct assay_error *err)
{
    const struct timespec times[] = {info->st_atim, info->st_mtim};
    assay_status rc = ASSAY_OK;
    DIR *folder;

    if (depth > DEPTH_MAX)
        return assay_fail(err, ASSAY_E_IO, "copying %s: too many folders in each other", from);
    if (mkdir(to, 0700) != 0)
        return fail_at(to, err);
    folder = opendir(from);
    if (folder == NULL)
        return fail_at(from, err);
    for (struct dirent *entry; rc == ASSAY_OK && (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assay_auto_free char *from_entry = assay_format("%s/%s", from, entry->d_name);
            assay_auto_free char *to_entry = assay_format("%s/%s", to, entry->d_name);

            rc = copy_entry(from_entry, to_entry, depth, err);
        }
    }
    closedir(folder);
    if (rc == ASSAY_OK && (chmod(to, info->st_mode & 07777) != 0 ||
                           utimensat(AT_FDCWD, to, times, 0) != 0))
        rc = fail_at(to, err);
    return rc;
}

assay_status
assay_copy_tree(const char *from, const char *to, struct assay_error *err)
{
    struct stat info;

    if (stat(from, &info) != 0)
        return fail_at(from, err);
    return copy_folder(from, to, &info, 0, err);
}
