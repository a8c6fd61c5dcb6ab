/* Follows the objects of one kind in one namespace: a list, then a watch from its
 * resource version, as the API's documentation has it.
 *
 * Bookmarks keep the version fresh; a cut stream goes on from the last version; one
 * that is too old (410) means a new list, after which what has vanished meanwhile is
 * told as gone.  So `put` may come again for an object that has not changed, and steps
 * in between may be missed: look at what is there, not at what happened.
 *
 * One thread (the client's loop), callbacks included. */
#ifndef ASSAY_CONTROLLER_KUBE_API_WATCH_H
#define ASSAY_CONTROLLER_KUBE_API_WATCH_H

#include "controller/kube_api/client.h"

struct assay_kube_watch;

struct assay_kube_watch_events {
    void (*put)(void *arg, const json_t *object);
    void (*gone)(void *arg, const char *name);
    /* A list is complete: everything there is has been put. */
    void (*synced)(void *arg);
    /* Lists fail; tried again all the time.  The sentence is the server's own. */
    void (*failed)(void *arg, const char *sentence);
    void *arg;
};

struct assay_kube_watch_options {
    struct assay_kube_client *client;
    uv_loop_t *loop;
    const char *path;     /* of the list: "/api/v1/namespaces/x/pods" (copied) */
    const char *selector; /* label selector, escaped; NULL = none (copied) */
    struct assay_kube_watch_events events;
};

struct assay_kube_watch *assay_kube_watch_new(const struct assay_kube_watch_options *options);
/* An object is there by another answer than this watch's: a list begun from now on that lacks it
 * tells it as gone, though it was never put. */
void assay_kube_watch_know(struct assay_kube_watch *watch, const char *name);
/* What the last list that failed was answered with (HTTP); 0 = no answer, or none failed. */
long assay_kube_watch_code(const struct assay_kube_watch *watch);
/* No callback comes any more; frees itself on the loop.  NULL allowed; returns NULL.
 * Before the client is closed. */
struct assay_kube_watch *assay_kube_watch_end(struct assay_kube_watch *watch);

#endif
