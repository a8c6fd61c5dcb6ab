#include "controller/kube_api/transfers.h"

#include <stdlib.h>

#include "common/memory.h"

/* One socket curl wants to hear of. */
struct watched {
    uv_poll_t poll;
    struct assay_kube_transfers *transfers;
    curl_socket_t socket;
};

static void
act(struct assay_kube_transfers *transfers, curl_socket_t socket, int flags)
{
    int left;

    transfers->inside = true;
    curl_multi_socket_action(transfers->multi, socket, flags, &left);
    transfers->inside = false;
    transfers->worked(transfers->arg);
}

static void
on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int
set_timer(CURLM *multi ASSAY_UNUSED, long timeout_ms, void *arg)
{
    struct assay_kube_transfers *transfers = arg;

    if (transfers->closed)
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&transfers->timer);
    else /* 0 would let curl call itself */
        uv_timer_start(&transfers->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static void
on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = poll->data;
    int flags = 0;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if ((events & UV_READABLE) != 0)
        flags |= CURL_CSELECT_IN;
    if ((events & UV_WRITABLE) != 0)
        flags |= CURL_CSELECT_OUT;
    act(watched->transfers, watched->socket, flags);
}

static void
watched_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int
watch_socket(CURL *easy ASSAY_UNUSED, curl_socket_t socket, int what, void *arg, void *given)
{
    struct assay_kube_transfers *transfers = arg;
    struct watched *watched = given;
    int events = 0;

    if (what == CURL_POLL_REMOVE) {
        if (watched != NULL) {
            uv_poll_stop(&watched->poll);
            curl_multi_assign(transfers->multi, socket, NULL);
            uv_close((uv_handle_t *)&watched->poll, watched_closed);
        }
        return 0;
    }
    if (watched == NULL) {
        watched = ASSAY_NEW(struct watched);
        watched->transfers = transfers;
        watched->socket = socket;
        if (uv_poll_init_socket(transfers->loop, &watched->poll, socket) != 0) {
            free(watched);
            return -1;
        }
        watched->poll.data = watched;
        curl_multi_assign(transfers->multi, socket, watched);
    }
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= UV_READABLE;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= UV_WRITABLE;
    uv_poll_start(&watched->poll, events, on_socket_ready);
    return 0;
}

void
assay_kube_transfers_init(struct assay_kube_transfers *transfers, uv_loop_t *loop,
                          long connections_max, void (*worked)(void *arg), void *arg)
{
    *transfers = (struct assay_kube_transfers){
        .multi = curl_multi_init(), .loop = loop, .worked = worked, .arg = arg};
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    curl_multi_setopt(transfers->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections_max);
    uv_timer_init(loop, &transfers->timer);
    transfers->timer.data = transfers;
}

CURL *
assay_kube_transfers_take(struct assay_kube_transfers *transfers, CURLcode *ret_result)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(transfers->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *ret_result = message->data.result;
            return message->easy_handle;
        }
    }
    return NULL;
}

void
assay_kube_transfers_close(struct assay_kube_transfers *transfers)
{
    transfers->closed = true;
    curl_multi_cleanup(transfers->multi); /* tells every socket to be let go */
    transfers->multi = NULL;
    uv_close((uv_handle_t *)&transfers->timer, NULL);
}
