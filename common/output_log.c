#include "common/output_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"

#define TAIL_BYTES 2048
/* Below this the parts would be too small to be of use. */
#define LIMIT_BYTES_MIN 4096

struct assay_output_log {
    char *path, *older_path, *new_path;
    int fd;
    int64_t length;      /* of output.log */
    int64_t head_bytes;  /* kept at the front */
    int64_t part_bytes;  /* of output.log before it is moved; 0 = no limit */
    int64_t dropped;     /* bytes left out so far */
    int64_t line_length; /* of our line behind the head in output.log.1; 0 = none */
    int trouble;
    char tail[TAIL_BYTES]; /* ring of the last bytes */
    size_t tail_at, tail_length;
};

static int
open_part(const char *path, int flags)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
}

assay_status
assay_output_log_open(const char *directory, int64_t limit_bytes, struct assay_output_log **ret_log,
                      struct assay_error *err)
{
    struct assay_output_log *log = ASSAY_NEW(struct assay_output_log);
    struct stat info;

    log->path = assay_format("%s/output.log", directory);
    log->older_path = assay_format("%s/output.log.1", directory);
    log->new_path = assay_format("%s/output.log.new", directory);
    if (limit_bytes > 0) {
        limit_bytes = ASSAY_MAX(limit_bytes, LIMIT_BYTES_MIN);
        log->head_bytes = limit_bytes / 4;
        log->part_bytes = limit_bytes / 8 * 3;
    }
    log->fd = open_part(log->path, 0);
    if (log->fd < 0) {
        assay_status rc = assay_fail_errno(err, errno, "opening %s", log->path);

        assay_output_log_close(log);
        return rc;
    }
    if (fstat(log->fd, &info) == 0)
        log->length = info.st_size;
    *ret_log = log;
    return ASSAY_OK;
}

struct assay_output_log *
assay_output_log_close(struct assay_output_log *log)
{
    if (log != NULL) {
        assay_close(&log->fd);
        free(log->path);
        free(log->older_path);
        free(log->new_path);
        free(log);
    }
    return NULL;
}

static bool
write_all(struct assay_output_log *log, int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (log->trouble == 0)
                log->trouble = errno;
            return false;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* Copies up to `limit` bytes (all when < 0); the number copied. */
static int64_t
copy_file(struct assay_output_log *log, const char *from, int to, int64_t limit)
{
    assay_auto_close int fd = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int64_t copied = 0;
    char block[16384];

    while (fd >= 0 && (limit < 0 || copied < limit)) {
        size_t want = sizeof block;
        ssize_t n;

        if (limit >= 0)
            want = (size_t)ASSAY_MIN((int64_t)want, limit - copied);
        n = read(fd, block, want);
        if (n <= 0 || !write_all(log, to, block, (size_t)n))
            break;
        copied += n;
    }
    return copied;
}

/* output.log.1 := its head, a line about what is left out, output.log. */
static void
merge_older(struct assay_output_log *log)
{
    assay_auto_close int fd = open_part(log->new_path, O_TRUNC);
    assay_auto_free char *line = NULL;
    struct stat info;

    if (fd < 0 || stat(log->older_path, &info) != 0)
        return;
    /* All after the head and our own line is a former output.log. */
    log->dropped += ASSAY_MAX(info.st_size - log->head_bytes - log->line_length, 0);
    copy_file(log, log->older_path, fd, log->head_bytes);
    line = assay_format("\n[assay: %" PRId64 " bytes of output are left out here]\n", log->dropped);
    log->line_length = (int64_t)strlen(line);
    write_all(log, fd, line, strlen(line));
    copy_file(log, log->path, fd, -1);
    if (rename(log->new_path, log->older_path) == 0)
        unlink(log->path);
}

/* False when no new part could be begun; the open one goes on. */
static bool
rotate(struct assay_output_log *log)
{
    int fd;

    if (access(log->older_path, F_OK) != 0) {
        if (rename(log->path, log->older_path) != 0)
            return false;
    } else {
        merge_older(log);
    }
    fd = open_part(log->path, 0);
    if (fd < 0)
        return false;
    close(log->fd);
    log->fd = fd;
    log->length = 0;
    return true;
}

static void
keep_tail(struct assay_output_log *log, const char *bytes, size_t length)
{
    if (length > TAIL_BYTES) {
        bytes += length - TAIL_BYTES;
        length = TAIL_BYTES;
    }
    for (size_t i = 0; i < length; i++) {
        log->tail[log->tail_at] = bytes[i];
        log->tail_at = (log->tail_at + 1) % TAIL_BYTES;
    }
    log->tail_length = ASSAY_MIN(log->tail_length + length, (size_t)TAIL_BYTES);
}

/* How much of the bytes goes into the part that is open: all, or up to the last
 * line end that fits. */
static size_t
fitting(const struct assay_output_log *log, const char *bytes, size_t length)
{
    size_t room = (size_t)ASSAY_MAX(log->part_bytes - log->length, 0);
    const char *newline;

    if (log->part_bytes == 0 || length <= room)
        return length;
    newline = room > 0 ? memrchr(bytes, '\n', room) : NULL;
    if (newline != NULL)
        return (size_t)(newline + 1 - bytes);
    /* Rather a line in the next part than one cut in two, unless it fits in none. */
    return log->length == 0 ? room : 0;
}

void
assay_output_log_write(struct assay_output_log *log, const char *bytes, size_t length)
{
    keep_tail(log, bytes, length);
    while (length > 0) {
        size_t n = fitting(log, bytes, length);

        if (n == 0) {
            if (!rotate(log))
                n = length; /* better too long than lost */
            else
                continue;
        }
        if (write_all(log, log->fd, bytes, n))
            log->length += (int64_t)n;
        bytes += n;
        length -= n;
    }
}

int
assay_output_log_trouble(const struct assay_output_log *log)
{
    return log->trouble;
}

/* Length of the valid UTF-8 character at `p`, 0 when there is none; control
 * characters count as invalid. */
static size_t
utf8_length(const unsigned char *p, size_t left)
{
    size_t n = p[0] < 0x20 || p[0] == 0x7f   ? 0
               : p[0] < 0x80                 ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;

    if (n > left)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if ((n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))) ||
        (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))))
        return 0;
    return n;
}

char *
assay_output_log_last_lines(const struct assay_output_log *log, size_t n_lines)
{
    struct assay_buffer text = {0};
    unsigned char bytes[TAIL_BYTES];
    size_t length = log->tail_length, start, lines = 0;

    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)log->tail[(log->tail_at + TAIL_BYTES - length + i) % TAIL_BYTES];
    while (length > 0 && (bytes[length - 1] == '\n' || bytes[length - 1] == '\r'))
        length--;
    for (start = length; start > 0; start--) {
        if ((bytes[start - 1] == '\n' || bytes[start - 1] == '\r') && ++lines == n_lines)
            break;
    }
    /* A character cut in two by the ring's end. */
    while (start < length && (bytes[start] & 0xc0) == 0x80)
        start++;
    for (size_t i = start; i < length;) {
        size_t n = utf8_length(bytes + i, length - i);

        if (bytes[i] == '\n')
            assay_buffer_puts(&text, " | ");
        else if (bytes[i] == '\t')
            assay_buffer_puts(&text, " ");
        else if (n > 0)
            assay_buffer_add(&text, bytes + i, n);
        else if (bytes[i] != '\r')
            assay_buffer_puts(&text, "?");
        i += ASSAY_MAX(n, 1);
    }
    return assay_buffer_steal(&text);
}
