/* Metrics from a growing file, as `tail -F` reads it: the file may come later, be
 * truncated, or be moved away and begun anew.  Read from its start. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/line_feed.h"
#include "trial-runner/metric_source_internal.h"

#define READ_BYTES 65536
/* Of one look, so that a huge file does not keep the runner from its other work. */
#define LOOK_BYTES_MAX (8 << 20)

struct tail {
    char *path;
    int fd; /* -1 = not there yet */
    int64_t offset;
    struct stat info; /* of fd */
    struct assay_line_feed feed;
    char *block;
};

static void *
tail_open(const char *path, const struct assay_metric_sink *sink,
          const struct assay_metric_pattern *known)
{
    struct tail *tail = ASSAY_NEW(struct tail);

    (void)known; /* the sink's reader of lines knows them */
    tail->path = assay_strdup(path);
    tail->fd = -1;
    tail->feed = (struct assay_line_feed){.on_line = sink->on_line, .arg = sink->arg};
    tail->block = assay_alloc(READ_BYTES, 1);
    return tail;
}

static void
tail_close(void *state)
{
    struct tail *tail = state;

    assay_close(&tail->fd);
    assay_line_feed_done(&tail->feed);
    free(tail->block);
    free(tail->path);
    free(tail);
}

static void
read_new(struct tail *tail, bool all)
{
    struct stat now;

    if (fstat(tail->fd, &now) == 0 && now.st_size < tail->offset) {
        assay_line_feed_end(&tail->feed); /* truncated: begin again */
        tail->offset = 0;
    }
    for (int64_t done = 0; all || done < LOOK_BYTES_MAX;) {
        ssize_t n = pread(tail->fd, tail->block, READ_BYTES, tail->offset);

        if (n <= 0)
            return;
        assay_line_feed_add(&tail->feed, tail->block, (size_t)n);
        tail->offset += n;
        done += n;
    }
}

/* Opens the file under the name when it is another than the one that is open. */
static bool
open_new(struct tail *tail)
{
    struct stat info;
    int fd;

    if (stat(tail->path, &info) != 0 || !S_ISREG(info.st_mode) ||
        (tail->fd >= 0 && info.st_dev == tail->info.st_dev && info.st_ino == tail->info.st_ino))
        return false;
    fd = open(tail->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    assay_line_feed_end(&tail->feed);
    assay_close(&tail->fd);
    tail->fd = fd;
    tail->offset = 0;
    return fstat(fd, &tail->info) == 0;
}

static void
tail_poll(void *state, bool last)
{
    struct tail *tail = state;

    if (tail->fd >= 0)
        read_new(tail, last);
    if (open_new(tail))
        read_new(tail, last);
    if (last)
        assay_line_feed_end(&tail->feed);
}

const struct assay__metric_source_type assay__metric_source_file = {
    .is_path = true, .open = tail_open, .poll = tail_poll, .close = tail_close};
