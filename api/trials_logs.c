/* The output of a trial: of each attempt output.log.1, if there is one, and
 * output.log (common/output_log.h), one attempt after the other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/stream.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/memory.h"
#include "controller/executor.h"

#define PIECE_BYTES ((size_t)64 << 10)
/* A file that grows is looked at so often; one that rests less and less. */
#define PAUSE_MIN_US (100 * INT64_C(1000))
#define PAUSE_MAX_US ASSAY_SECOND_US
#define TAIL_BYTES_MAX ((size_t)4 << 20)

/* Where in the output a reader is. */
struct cursor {
    int64_t attempt;  /* 0 = before the first */
    bool old_done;    /* output.log.1 has been read, or was not there */
    int fd;           /* -1 = no file open */
    int64_t pause_us;
    bool follow;
};

static void
free_cursor(void *data)
{
    struct cursor *cursor = data;

    assay_close(&cursor->fd);
    free(cursor);
}

static int
open_log(const struct assay_request *request, int64_t attempt, const char *name)
{
    const struct assay_attempt_key key = {request->study_id, request->path.number, attempt};
    assay_auto_free char *directory =
        assay_attempt_directory(request->service->data_dir, &key);
    assay_auto_free char *path = assay_format("%s/%s", directory, name);

    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Output is bytes of any kind; what goes out is UTF-8 as it comes. */
static size_t
read_piece(int fd, struct assay_buffer *buffer)
{
    assay_auto_free char *piece = assay_alloc(PIECE_BYTES, 1);
    ssize_t n;

    do
        n = read(fd, piece, PIECE_BYTES);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        assay_buffer_add(buffer, piece, (size_t)n);
    return n > 0 ? (size_t)n : 0;
}

/* Whether the runner has moved the open file away and begun a new one. */
static bool
was_rotated(const struct assay_request *request, const struct cursor *cursor)
{
    assay_auto_close int fd = open_log(request, cursor->attempt, "output.log");
    struct stat open_now, by_name;

    return fd >= 0 && fstat(cursor->fd, &open_now) == 0 && fstat(fd, &by_name) == 0 &&
           open_now.st_ino != by_name.st_ino;
}

/* Reads on within the attempt; false when there is nothing more for now. */
static bool
read_on(struct assay_request *request, struct cursor *cursor, struct assay_buffer *buffer)
{
    if (!cursor->old_done) {
        if (cursor->fd < 0)
            cursor->fd = open_log(request, cursor->attempt, "output.log.1");
        if (cursor->fd >= 0 && read_piece(cursor->fd, buffer) > 0)
            return true;
        assay_close(&cursor->fd);
        cursor->old_done = true;
    }
    if (cursor->fd < 0)
        cursor->fd = open_log(request, cursor->attempt, "output.log");
    if (cursor->fd < 0)
        return false;
    if (read_piece(cursor->fd, buffer) > 0)
        return true;
    if (!was_rotated(request, cursor) || read_piece(cursor->fd, buffer) > 0)
        return buffer->length > 0;
    assay_close(&cursor->fd);
    return read_on(request, cursor, buffer);
}

static void
next_attempt(struct cursor *cursor, const struct assay_trial *trial, struct assay_buffer *buffer)
{
    assay_close(&cursor->fd);
    cursor->attempt++;
    cursor->old_done = false;
    if (trial->n_attempts > 1)
        assay_buffer_printf(buffer, "==> attempt %" PRId64 " <==\n", cursor->attempt);
}

static enum assay_fill
fill(struct assay_request *request, struct assay_buffer *buffer)
{
    struct cursor *cursor = request->handler_data;
    struct assay_trial trial = {0};
    bool more_attempts, is_over;

    if (cursor->attempt > 0 && read_on(request, cursor, buffer)) {
        cursor->pause_us = PAUSE_MIN_US;
        assay_stream_set_pause(request, cursor->pause_us);
        return ASSAY_FILL_OPEN;
    }
    /* The trial's state is read before the last look at its file: what was written
     * before it ended is not missed. */
    if (assay_store_trial(request->store, request->study_id, request->path.number, &trial, NULL) !=
        ASSAY_OK)
        return ASSAY_FILL_END;
    more_attempts = cursor->attempt < (int64_t)trial.n_attempts;
    is_over = assay_trial_state_is_final(trial.state) || !cursor->follow;
    if (cursor->attempt > 0 && (more_attempts || is_over) && read_on(request, cursor, buffer)) {
        assay_trial_done(&trial);
        return ASSAY_FILL_OPEN;
    }
    if (more_attempts) {
        next_attempt(cursor, &trial, buffer);
        assay_trial_done(&trial);
        if (!read_on(request, cursor, buffer) && buffer->length == 0)
            assay_stream_set_pause(request, PAUSE_MIN_US);
        return ASSAY_FILL_OPEN;
    }
    assay_trial_done(&trial);
    if (is_over)
        return ASSAY_FILL_END;
    cursor->pause_us = ASSAY_MIN(cursor->pause_us * 2, PAUSE_MAX_US);
    assay_stream_set_pause(request, cursor->pause_us);
    return ASSAY_FILL_OPEN;
}

/* --- the last lines: read from the end of the last attempt's files */

/* Puts the last TAIL_BYTES_MAX of the file before `end` in front of what is there. */
static void
read_end(int fd, off_t end, struct assay_buffer *buffer)
{
    off_t from = end - ASSAY_MIN(end, (off_t)TAIL_BYTES_MAX);
    struct assay_buffer whole = {0};

    if (fd < 0 || lseek(fd, from, SEEK_SET) < 0)
        return;
    while (whole.length < (size_t)(end - from) && read_piece(fd, &whole) > 0) {
    }
    if (whole.length > (size_t)(end - from))
        whole.length = (size_t)(end - from);
    assay_buffer_add(&whole, buffer->data, buffer->length);
    assay_buffer_done(buffer);
    *buffer = whole;
}

/* Drops all but the last `lines` lines; false when there are fewer. */
static bool
keep_lines(struct assay_buffer *buffer, int64_t lines)
{
    size_t from = buffer->length;

    if (from > 0 && buffer->data[from - 1] == '\n')
        from--;
    while (from > 0 && (buffer->data[from - 1] != '\n' || --lines > 0))
        from--;
    if (lines <= 0 && from > 0) {
        assay_buffer_consume(buffer, from);
        return true;
    }
    return false;
}

/* The last lines of the attempt as it is now; returns where output.log ended. */
static off_t
read_tail(struct assay_request *request, int64_t attempt, int64_t lines,
          struct assay_buffer *buffer)
{
    assay_auto_close int new_fd = open_log(request, attempt, "output.log");
    assay_auto_close int old_fd = open_log(request, attempt, "output.log.1");
    off_t end = new_fd >= 0 ? lseek(new_fd, 0, SEEK_END) : 0;

    if (lines == 0)
        return end;
    read_end(new_fd, end, buffer);
    if (!keep_lines(buffer, lines) && old_fd >= 0) {
        read_end(old_fd, lseek(old_fd, 0, SEEK_END), buffer);
        keep_lines(buffer, lines);
    }
    return end;
}

static enum assay_step
answer_tail(struct assay_request *request, int64_t attempt)
{
    struct assay_answer *answer = &request->answer;

    if (attempt > 0)
        read_tail(request, attempt, request->query.tail, &answer->text);
    answer->status = 200;
    answer->content_type = "text/plain; charset=utf-8";
    return ASSAY_ANSWERED;
}

/* The tail now, and then on from there. */
static void
start_at_end(struct assay_request *request, struct cursor *cursor, int64_t attempt,
             struct assay_buffer *text)
{
    off_t end = read_tail(request, attempt, request->query.tail, text);

    cursor->attempt = attempt;
    cursor->old_done = true;
    cursor->fd = open_log(request, attempt, "output.log");
    if (cursor->fd >= 0)
        lseek(cursor->fd, end, SEEK_SET);
}

enum assay_step
assay_handle_trial_logs(struct assay_request *request)
{
    const struct assay_stream_options options = {
        .fill = fill,
        .content_type = "text/plain; charset=utf-8",
        .pause_us = PAUSE_MIN_US,
    };
    struct assay_trial trial = {0};
    struct assay_error err = {0};
    struct assay_buffer text = {0};
    struct cursor *cursor;
    int64_t last;
    assay_status status = assay_store_trial(request->store, request->study_id,
                                            request->path.number, &trial, &err);

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    last = (int64_t)trial.n_attempts;
    assay_trial_done(&trial);
    if (request->query.tail >= 0 && !request->query.follow)
        return answer_tail(request, last);
    cursor = ASSAY_NEW(struct cursor);
    cursor->fd = -1;
    cursor->pause_us = PAUSE_MIN_US;
    cursor->follow = request->query.follow;
    if (request->query.tail >= 0 && last > 0)
        start_at_end(request, cursor, last, &text);
    request->handler_data = cursor;
    request->handler_free = free_cursor;
    assay_answer_stream(request, &options);
    assay_stream_put(request, &text);
    return ASSAY_ANSWERED;
}
