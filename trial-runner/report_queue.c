#include "trial-runner/report_queue.h"

#include <inttypes.h>
#include <math.h>
#include <uthash.h>

#include "common/memory.h"
#include "common/number.h"

/* A name read from the file, kept for as long as the queue. */
struct kept_name {
    UT_hash_handle hh;
    char text[];
};

struct assay_report_queue {
    char *path;
    struct assay_report *items; /* ring */
    size_t first, count, capacity;
    FILE *file;           /* NULL = nothing is spooled; lines "step time value name" */
    int64_t read_offset;  /* of the first line not yet in memory */
    int64_t write_offset; /* end of the file */
    int64_t lost;
    struct kept_name *names;
};

struct assay_report_queue *
assay_report_queue_new(const char *path)
{
    struct assay_report_queue *queue = ASSAY_NEW(struct assay_report_queue);

    queue->path = assay_strdup(path);
    queue->file = fopen(path, "r+e");
    if (queue->file != NULL && fseek(queue->file, 0, SEEK_END) == 0)
        queue->write_offset = ftell(queue->file);
    return queue;
}

static void
close_file(struct assay_report_queue *queue)
{
    if (queue->file != NULL)
        fclose(queue->file);
    queue->file = NULL;
    queue->read_offset = queue->write_offset = 0;
}

struct assay_report_queue *
assay_report_queue_free(struct assay_report_queue *queue)
{
    struct kept_name *name, *next;

    if (queue == NULL)
        return NULL;
    HASH_ITER(hh, queue->names, name, next)
    {
        HASH_DEL(queue->names, name);
        free(name);
    }
    close_file(queue);
    free(queue->items);
    free(queue->path);
    free(queue);
    return NULL;
}

static bool
has_spooled(const struct assay_report_queue *queue)
{
    return queue->file != NULL && queue->read_offset < queue->write_offset;
}

static bool
write_line(FILE *file, const struct assay_report *report, int64_t *length)
{
    char value[ASSAY_DOUBLE_TEXT];
    int n;

    assay_print_double(report->value, value);
    n = fprintf(file, "%" PRId64 " %" PRId64 " %s %s\n", report->step, report->time_us, value,
                report->name);
    if (n > 0)
        *length += n;
    return n > 0;
}

static void
spool(struct assay_report_queue *queue, const struct assay_report *report)
{
    if (queue->file == NULL) {
        queue->file = fopen(queue->path, "w+e");
        queue->read_offset = queue->write_offset = 0;
    }
    if (queue->file == NULL || queue->write_offset >= ASSAY_REPORT_QUEUE_FILE_BYTES_MAX ||
        fseek(queue->file, queue->write_offset, SEEK_SET) != 0 ||
        !write_line(queue->file, report, &queue->write_offset))
        queue->lost++;
}

static void
grow(struct assay_report_queue *queue)
{
    size_t capacity = queue->capacity == 0 ? 64 : queue->capacity * 2;
    struct assay_report *items = assay_alloc(capacity, sizeof *items);

    for (size_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->first + i) % queue->capacity];
    free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
}

static void
append(struct assay_report_queue *queue, const struct assay_report *report)
{
    if (queue->count == queue->capacity)
        grow(queue);
    queue->items[(queue->first + queue->count++) % queue->capacity] = *report;
}

void
assay_report_queue_push(struct assay_report_queue *queue, const struct assay_report *report)
{
    if (has_spooled(queue) || queue->count >= ASSAY_REPORT_QUEUE_MEMORY)
        spool(queue, report);
    else
        append(queue, report);
}

static const char *
keep_name(struct assay_report_queue *queue, const char *text)
{
    size_t length = strlen(text);
    struct kept_name *name;

    HASH_FIND(hh, queue->names, text, length, name);
    if (name == NULL) {
        name = assay_zalloc(1, sizeof *name + length + 1);
        memcpy(name->text, text, length + 1);
        HASH_ADD_KEYPTR(hh, queue->names, name->text, length, name);
    }
    return name->text;
}

static bool
parse_line(struct assay_report_queue *queue, char *line, struct assay_report *ret_report)
{
    char *fields[3], *p = line;

    for (size_t i = 0; i < ASSAY_COUNT(fields); i++) {
        fields[i] = p;
        p = strchr(p, ' ');
        if (p == NULL)
            return false;
        *p++ = '\0';
    }
    p[strcspn(p, "\n")] = '\0';
    ret_report->name = keep_name(queue, p);
    return assay_parse_int(fields[0], 0, INT64_MAX, &ret_report->step) &&
           assay_parse_int(fields[1], INT64_MIN, INT64_MAX, &ret_report->time_us) &&
           assay_parse_double(fields[2], &ret_report->value);
}

/* Brings spooled lines into memory when that is empty. */
static void
refill(struct assay_report_queue *queue)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    if (queue->count > 0 || !has_spooled(queue) ||
        fseek(queue->file, queue->read_offset, SEEK_SET) != 0)
        return;
    while (queue->count < ASSAY_REPORT_QUEUE_MEMORY &&
           (n = getline(&line, &size, queue->file)) > 0) {
        struct assay_report report;

        queue->read_offset += n;
        if (parse_line(queue, line, &report))
            append(queue, &report);
        else
            queue->lost++;
    }
    free(line);
    if (ferror(queue->file) || feof(queue->file))
        queue->read_offset = queue->write_offset;
    if (!has_spooled(queue))
        close_file(queue); /* the next one that is spooled starts it afresh */
}

size_t
assay_report_queue_peek(struct assay_report_queue *queue, size_t max,
                        struct assay_report *ret_reports)
{
    size_t n;

    refill(queue);
    n = ASSAY_MIN(queue->count, max);
    for (size_t i = 0; i < n; i++)
        ret_reports[i] = queue->items[(queue->first + i) % queue->capacity];
    return n;
}

void
assay_report_queue_pop(struct assay_report_queue *queue, size_t count)
{
    ASSAY_ASSERT(count <= queue->count);
    queue->first = (queue->first + count) % ASSAY_MAX(queue->capacity, 1);
    queue->count -= count;
}

bool
assay_report_queue_is_empty(const struct assay_report_queue *queue)
{
    return queue->count == 0 && !has_spooled(queue);
}

bool
assay_report_queue_is_only(const struct assay_report_queue *queue, size_t count)
{
    return queue->count == count && !has_spooled(queue);
}

int64_t
assay_report_queue_lost(const struct assay_report_queue *queue)
{
    return queue->lost;
}

void
assay_report_queue_save(struct assay_report_queue *queue)
{
    assay_auto_free char *path = assay_format("%s.new", queue->path);
    int64_t length = 0;
    FILE *file;

    if (assay_report_queue_is_empty(queue)) {
        remove(queue->path);
        return;
    }
    file = fopen(path, "w+e");
    if (file == NULL)
        return;
    for (size_t i = 0; i < queue->count; i++)
        write_line(file, &queue->items[(queue->first + i) % queue->capacity], &length);
    if (has_spooled(queue) && fseek(queue->file, queue->read_offset, SEEK_SET) == 0) {
        char block[16384];
        size_t n;

        while ((n = fread(block, 1, sizeof block, queue->file)) > 0)
            fwrite(block, 1, n, file);
    }
    if (fclose(file) == 0)
        rename(path, queue->path);
}
