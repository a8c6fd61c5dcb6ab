/* Metrics from TensorBoard event files: every file with "tfevents" in its name in
 * the folder and the folders below it (or one file), read as it grows.
 *
 * A scalar is named by its tag; below the folder by "sub/folder/tag", unless only
 * the tag alone is a known name: writers put their files in folders such as
 * version_0 that nobody wants to write into a study. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "schemas/metric_line.h"
#include "trial-runner/metric_source_internal.h"
#include "trial-runner/tensorboard_event.h"

#define FILES_MAX 256
#define DEPTH_MAX 4
#define READ_BYTES ((size_t)256 * 1024)
#define LOOK_BYTES_MAX ((int64_t)8 << 20)

struct event_file {
    char *path;
    char *prefix;   /* "sub/folder/" or "" */
    int64_t offset; /* of the first byte not yet read as part of a record */
    bool broken;
};

struct folder {
    char *path;
    struct assay_metric_sink sink;
    const struct assay_metric_pattern *known;
    struct event_file *files;
    size_t count, capacity;
    const struct event_file *reading; /* for on_scalar */
    unsigned char *block;             /* READ_BYTES and one longest record */
};

#define BLOCK_BYTES (READ_BYTES + ASSAY_TENSORBOARD_RECORD_BYTES_MAX + 16)

static void *
folder_open(const char *path, const struct assay_metric_sink *sink,
            const struct assay_metric_pattern *known)
{
    struct folder *folder = ASSAY_NEW(struct folder);

    folder->path = assay_strdup(path);
    folder->sink = *sink;
    folder->known = known;
    return folder;
}

static void
folder_close(void *state)
{
    struct folder *folder = state;

    for (size_t i = 0; i < folder->count; i++) {
        free(folder->files[i].path);
        free(folder->files[i].prefix);
    }
    free(folder->files);
    free(folder->block);
    free(folder->path);
    free(folder);
}

static void
add_file(struct folder *folder, const char *path, const char *prefix)
{
    for (size_t i = 0; i < folder->count; i++) {
        if (strcmp(folder->files[i].path, path) == 0)
            return;
    }
    if (folder->count == FILES_MAX)
        return;
    ASSAY_GROW(folder->files, folder->count, folder->capacity);
    folder->files[folder->count++] =
        (struct event_file){.path = assay_strdup(path), .prefix = assay_strdup(prefix)};
}

static void
find_files(struct folder *folder, const char *path, const char *prefix, int depth)
{
    DIR *directory = opendir(path);

    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        assay_auto_free char *full = assay_format("%s/%s", path, entry->d_name);
        assay_auto_free char *below = assay_format("%s%s/", prefix, entry->d_name);
        struct stat info;

        if (entry->d_name[0] == '.' || lstat(full, &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < DEPTH_MAX)
            find_files(folder, full, below, depth + 1);
        else if (S_ISREG(info.st_mode) && strstr(entry->d_name, "tfevents") != NULL)
            add_file(folder, full, prefix);
    }
    if (directory != NULL)
        closedir(directory);
}

static bool
is_known(const struct folder *folder, const char *name)
{
    return assay_metric_pattern_find(folder->known, name, strlen(name)) >= 0;
}

static void
on_scalar(void *arg, const struct assay_tensorboard_scalar *scalar)
{
    struct folder *folder = arg;
    assay_auto_free char *tag = NULL;
    assay_auto_free char *full = NULL;

    if (scalar->tag_length > ASSAY_METRIC_NAME_LENGTH_MAX ||
        memchr(scalar->tag, '\0', scalar->tag_length) != NULL)
        return;
    tag = assay_strndup(scalar->tag, scalar->tag_length);
    full = assay_format("%s%s", folder->reading->prefix, tag);
    if (strlen(full) > ASSAY_METRIC_NAME_LENGTH_MAX)
        return;
    folder->sink.on_value(folder->sink.arg,
                          is_known(folder, tag) && !is_known(folder, full) ? tag : full,
                          scalar->step >= 0 ? scalar->step : -1,
                          scalar->time_us > 0 ? scalar->time_us : ASSAY_TIME_NONE, scalar->value);
}

/* Reads the records in `length` bytes at the file's offset, and moves it. */
static bool
read_records(struct folder *folder, struct event_file *file, size_t length)
{
    size_t at = 0;

    for (;;) {
        const unsigned char *record;
        size_t record_length;
        uint64_t total;

        switch (assay_tensorboard_next(folder->block + at, length - at, &record, &record_length,
                                       &total)) {
        case ASSAY_TENSORBOARD_RECORD:
            if (!assay_tensorboard_read(record, record_length, on_scalar, folder)) {
                file->broken = true;
                return false;
            }
            at += (size_t)total;
            file->offset += (int64_t)total;
            break;
        case ASSAY_TENSORBOARD_SKIP:
            file->offset += (int64_t)total;
            return true;
        case ASSAY_TENSORBOARD_MORE:
            return at > 0;
        case ASSAY_TENSORBOARD_BROKEN:
            file->broken = true;
            return false;
        }
    }
}

static void
read_file(struct folder *folder, struct event_file *file, bool all)
{
    assay_auto_close int fd = -1;
    struct stat info;
    int64_t start = file->offset;

    if (file->broken || stat(file->path, &info) != 0 || info.st_size <= file->offset)
        return;
    fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    folder->reading = file;
    while (all || file->offset - start < LOOK_BYTES_MAX) {
        ssize_t n = pread(fd, folder->block, BLOCK_BYTES, file->offset);

        if (n <= 0 || !read_records(folder, file, (size_t)n))
            return;
    }
}

static void
folder_poll(void *state, bool last)
{
    struct folder *folder = state;
    struct stat info;

    if (stat(folder->path, &info) != 0)
        return;
    if (S_ISREG(info.st_mode))
        add_file(folder, folder->path, "");
    else
        find_files(folder, folder->path, "", 0);
    if (folder->count > 0 && folder->block == NULL)
        folder->block = assay_alloc(BLOCK_BYTES, 1);
    for (size_t i = 0; i < folder->count; i++)
        read_file(folder, &folder->files[i], last);
}

const struct assay__metric_source_type assay__metric_source_tensorboard = {
    .is_path = true, .open = folder_open, .poll = folder_poll, .close = folder_close};
