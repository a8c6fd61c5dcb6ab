#include "controller/kube_api/watch.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"

/* Objects of a list at a time: all of one are in memory at once, some 50 KiB each. */
#define PAGE 200
#define LIST_US (60 * ASSAY_SECOND_US)
/* The server ends a watch after so long; drawn, so that many do not end at once. */
#define WATCH_MIN_S 240
#define WATCH_MAX_S 480
/* An object of the API has at most about 1.5 MiB. */
#define LINE_BYTES_MAX ((size_t)8 << 20)
#define AGAIN_FIRST_US (50 * INT64_C(1000))
#define AGAIN_MAX_US (30 * ASSAY_SECOND_US)
/* A watch that told something, or held so long, has not failed when it is cut. */
#define HELD_US ASSAY_SECOND_US

/* An object that is there. */
struct known {
    char *name;
    uint64_t list; /* number of the list that last had it, or that was the last when it came */
    UT_hash_handle hh;
};

struct assay_kube_watch {
    struct assay_kube_watch_options options;
    char *path, *selector;
    uv_timer_t timer;
    struct assay_random random;
    struct assay_kube_call *call;
    char *version; /* to watch from; NULL = a list is needed */
    char *next_page;
    uint64_t lists; /* begun so far */
    struct known *objects;
    struct assay_buffer line;
    size_t searched;       /* bytes of `line` in which there is no line end */
    int64_t began_us;      /* the watch; monotonic */
    int64_t not_before_us; /* what the server asked to wait, from now */
    long code;             /* of the last list that failed */
    int failures;          /* in a row */
    bool told;             /* the watch brought something */
};

static void start_list(struct assay_kube_watch *watch);
static void start_watch(struct assay_kube_watch *watch);

static void
on_timer(uv_timer_t *timer)
{
    struct assay_kube_watch *watch = timer->data;

    if (watch->version != NULL)
        start_watch(watch);
    else
        start_list(watch);
}

/* List or watch again, the later the more often it failed in a row. */
static void
again(struct assay_kube_watch *watch, bool failed)
{
    int shift;
    int64_t wait_us;

    watch->failures = failed ? watch->failures + 1 : 0;
    shift = ASSAY_MIN(watch->failures, 16);
    wait_us = (int64_t)((double)ASSAY_MIN(AGAIN_FIRST_US << shift, AGAIN_MAX_US) *
                        (0.5 + 0.5 * assay_random_unit(&watch->random)));
    wait_us = ASSAY_MAX(wait_us, watch->not_before_us);
    watch->not_before_us = 0;
    /* From now, and not from when the loop last looked at its clock; no part of it less. */
    uv_update_time(watch->timer.loop);
    uv_timer_start(&watch->timer, on_timer, (uint64_t)(wait_us / 1000) + 1, 0);
}

static void
forget_version(struct assay_kube_watch *watch)
{
    free(watch->version);
    watch->version = NULL;
}

static void
set_version(struct assay_kube_watch *watch, const json_t *meta)
{
    const char *version = json_string_value(json_object_get(meta, "resourceVersion"));

    if (version == NULL || *version == '\0')
        return;
    free(watch->version);
    watch->version = assay_strdup(version);
}

/* --- objects --- */

static const char *
name_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

void
assay_kube_watch_know(struct assay_kube_watch *watch, const char *name)
{
    struct known *known;

    HASH_FIND_STR(watch->objects, name, known);
    if (known == NULL) {
        known = ASSAY_NEW(struct known);
        known->name = assay_strdup(name);
        HASH_ADD_KEYPTR(hh, watch->objects, known->name, strlen(known->name), known);
    }
    known->list = watch->lists;
}

static void
put(struct assay_kube_watch *watch, const json_t *object)
{
    const char *name = name_of(object);

    if (name == NULL)
        return;
    assay_kube_watch_know(watch, name);
    watch->options.events.put(watch->options.events.arg, object);
}

static void
drop(struct assay_kube_watch *watch, struct known *known)
{
    HASH_DEL(watch->objects, known);
    watch->options.events.gone(watch->options.events.arg, known->name);
    free(known->name);
    free(known);
}

/* --- the list --- */

static void
list_complete(struct assay_kube_watch *watch)
{
    struct known *known, *next;

    HASH_ITER(hh, watch->objects, known, next)
    {
        if (known->list != watch->lists)
            drop(watch, known);
    }
    watch->options.events.synced(watch->options.events.arg);
    start_watch(watch);
}

static void
list_failed(struct assay_kube_watch *watch, const struct assay_kube_answer *answer)
{
    assay_auto_free char *text = assay_kube_answer_text(answer);
    bool expired = answer->code == 410 && watch->next_page != NULL;

    free(watch->next_page);
    watch->next_page = NULL;
    watch->not_before_us = answer->retry_after_us;
    watch->code = answer->code;
    again(watch, true);
    if (!expired) /* a page that came too late is nobody's fault: from the start */
        watch->options.events.failed(watch->options.events.arg, text);
}

static void
on_listed(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_watch *watch = arg;
    const json_t *meta = json_object_get(answer->json, "metadata");
    const char *page = json_string_value(json_object_get(meta, "continue"));
    json_t *item;
    size_t i;

    watch->call = NULL;
    if (answer->code != 200 || !json_is_array(json_object_get(answer->json, "items"))) {
        list_failed(watch, answer);
        return;
    }
    json_array_foreach(json_object_get(answer->json, "items"), i, item) put(watch, item);
    free(watch->next_page);
    watch->next_page = page != NULL && *page != '\0' ? assay_strdup(page) : NULL;
    if (watch->next_page != NULL) {
        start_list(watch);
        return;
    }
    set_version(watch, meta);
    list_complete(watch);
}

static void
start_list(struct assay_kube_watch *watch)
{
    assay_auto_free char *path = assay_format("%s?limit=%d%s%s%s%s", watch->path, PAGE,
                                              watch->selector != NULL ? "&labelSelector=" : "",
                                              watch->selector != NULL ? watch->selector : "",
                                              watch->next_page != NULL ? "&continue=" : "",
                                              watch->next_page != NULL ? watch->next_page : "");

    if (watch->next_page == NULL)
        watch->lists++;
    watch->call = assay_kube_send(watch->options.client, &(struct assay_kube_request){
                                                             .path = path,
                                                             .timeout_us = LIST_US,
                                                             .done = on_listed,
                                                             .arg = watch,
                                                         });
}

/* --- the watch --- */

/* What it brings can not be trusted: a new list. */
static void
give_up_stream(struct assay_kube_watch *watch)
{
    assay_kube_cancel(watch->call);
    watch->call = NULL;
    assay_buffer_clear(&watch->line);
    forget_version(watch);
    again(watch, !watch->told);
}

/* False: the stream was given up. */
static bool
take_event(struct assay_kube_watch *watch, const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    const json_t *object = json_object_get(event, "object");
    const char *name = name_of(object);
    struct known *known = NULL;

    if (type == NULL || strcmp(type, "ERROR") == 0) {
        const char *message = json_string_value(json_object_get(object, "message"));

        if (json_integer_value(json_object_get(object, "code")) != 410)
            assay_log(ASSAY_LOG_WARNING, "watching %s: %s", watch->path,
                      type == NULL      ? "what came is no event"
                      : message != NULL ? message
                                        : "an error that does not say which");
        give_up_stream(watch);
        return false;
    }
    watch->told = true;
    set_version(watch, json_object_get(object, "metadata"));
    if (strcmp(type, "DELETED") == 0) {
        if (name != NULL)
            HASH_FIND_STR(watch->objects, name, known);
        if (known != NULL)
            drop(watch, known);
    } else if (strcmp(type, "BOOKMARK") != 0) {
        put(watch, object);
    }
    return true;
}

/* Bytes of the stream: one event a line. */
static void
on_data(void *arg, const char *bytes, size_t length)
{
    struct assay_kube_watch *watch = arg;
    const char *end;
    bool goes_on = true;

    assay_buffer_add(&watch->line, bytes, length);
    while (goes_on && watch->line.length > watch->searched &&
           (end = memchr(watch->line.data + watch->searched, '\n',
                         watch->line.length - watch->searched)) != NULL) {
        size_t n = (size_t)(end - watch->line.data) + 1;
        json_t *event = json_loadb(watch->line.data, n, 0, NULL);

        assay_buffer_consume(&watch->line, n);
        watch->searched = 0;
        goes_on = take_event(watch, event);
        json_decref(event);
    }
    watch->searched = watch->line.length;
    if (goes_on && watch->line.length > LINE_BYTES_MAX) {
        assay_log(ASSAY_LOG_WARNING, "watching %s: an event of more than %zu bytes", watch->path,
                  LINE_BYTES_MAX);
        give_up_stream(watch);
    }
}

static void
on_watch_ended(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_watch *watch = arg;
    bool held = watch->told || assay_monotonic_us() - watch->began_us > HELD_US;
    assay_auto_free char *text = NULL;

    watch->call = NULL;
    assay_buffer_clear(&watch->line);
    if (answer->code == 410 || answer->code == 400 || answer->code == 404)
        forget_version(watch);
    watch->not_before_us = answer->retry_after_us;
    again(watch, answer->code != 200 || !held);
    if (answer->code == 401 || answer->code == 403) {
        text = assay_kube_answer_text(answer);
        watch->options.events.failed(watch->options.events.arg, text);
    }
}

static void
start_watch(struct assay_kube_watch *watch)
{
    int seconds = WATCH_MIN_S +
                  (int)(assay_random_unit(&watch->random) * (double)(WATCH_MAX_S - WATCH_MIN_S));
    assay_auto_free char *path = assay_format(
        "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%d&resourceVersion=%s%s%s", watch->path,
        seconds, watch->version, watch->selector != NULL ? "&labelSelector=" : "",
        watch->selector != NULL ? watch->selector : "");

    watch->told = false;
    watch->searched = 0;
    watch->began_us = assay_monotonic_us();
    watch->call = assay_kube_send(watch->options.client, &(struct assay_kube_request){
                                                             .path = path,
                                                             .timeout_us = LIST_US,
                                                             .data = on_data,
                                                             .done = on_watch_ended,
                                                             .arg = watch,
                                                         });
}

/* --- life --- */

struct assay_kube_watch *
assay_kube_watch_new(const struct assay_kube_watch_options *options)
{
    struct assay_kube_watch *watch = ASSAY_NEW(struct assay_kube_watch);

    watch->options = *options;
    watch->path = assay_strdup(options->path);
    watch->selector = assay_strdup(options->selector);
    assay_random_init(&watch->random, assay_random_seed(), 0, 0);
    uv_timer_init(options->loop, &watch->timer);
    watch->timer.data = watch;
    start_list(watch);
    return watch;
}

static void
timer_closed(uv_handle_t *handle)
{
    struct assay_kube_watch *watch = handle->data;
    struct known *known, *next;

    HASH_ITER(hh, watch->objects, known, next)
    {
        HASH_DEL(watch->objects, known);
        free(known->name);
        free(known);
    }
    assay_buffer_done(&watch->line);
    free(watch->version);
    free(watch->next_page);
    free(watch->path);
    free(watch->selector);
    free(watch);
}

long
assay_kube_watch_code(const struct assay_kube_watch *watch)
{
    return watch->code;
}

struct assay_kube_watch *
assay_kube_watch_end(struct assay_kube_watch *watch)
{
    if (watch == NULL)
        return NULL;
    assay_kube_cancel(watch->call);
    uv_close((uv_handle_t *)&watch->timer, timer_closed);
    return NULL;
}
