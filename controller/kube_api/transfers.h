/* libcurl's transfers (its "multi" interface) on a libuv loop.
 *
 * One thread, callbacks included. */
#ifndef ASSAY_CONTROLLER_KUBE_API_TRANSFERS_H
#define ASSAY_CONTROLLER_KUBE_API_TRANSFERS_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct assay_kube_transfers {
    CURLM *multi; /* transfers are added to it, and removed */
    bool inside;  /* curl is calling back: no transfer may be removed */
    uv_loop_t *loop;
    uv_timer_t timer; /* curl's own time-outs */
    void (*worked)(void *arg);
    void *arg;
    bool closed;
};

/* `worked`: curl has done something, some transfers may have ended. */
void assay_kube_transfers_init(struct assay_kube_transfers *transfers, uv_loop_t *loop,
                               long connections_max, void (*worked)(void *arg), void *arg);
/* The next transfer that has ended, and how; NULL: no more. */
CURL *assay_kube_transfers_take(struct assay_kube_transfers *transfers, CURLcode *ret_result);
/* None may be under way.  The loop must run until the handles are closed. */
void assay_kube_transfers_close(struct assay_kube_transfers *transfers);

#endif
