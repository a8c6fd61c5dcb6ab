/* A request from one thread to the next. */
#include "api/server_internal.h"

void
assay__suspend(struct assay_server *server, struct MHD_Connection *connection)
{
    atomic_fetch_add(&server->suspended, 1);
    MHD_suspend_connection(connection);
}

void
assay__resume(struct assay_server *server, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    atomic_fetch_sub(&server->suspended, 1);
}

static void
run_on_read_thread(void *arg, struct assay_store *store)
{
    struct assay_request *request = arg;

    request->store = store;
    if (request->next(request) == ASSAY_ANSWERED)
        assay_request_finish(request);
}

bool
assay__request_submit(struct assay_request *request,
                      enum assay_step (*next)(struct assay_request *request), bool urgent)
{
    request->next = next;
    request->job = (struct assay_job){.run = run_on_read_thread, .arg = request};
    return assay_read_pool_submit(request->server->pool, &request->job, urgent);
}

enum assay_step
assay_request_continue(struct assay_request *request,
                       enum assay_step (*next)(struct assay_request *request))
{
    if (!assay__request_submit(request, next, true))
        ASSAY_BUG("an urgent job was refused");
    return ASSAY_PENDING;
}

void
assay_request_finish(struct assay_request *request)
{
    if (request->key_owned) {
        struct assay_request *waiting = assay_keys_leave(request->server->keys, request);

        request->key_owned = false;
        while (waiting != NULL) {
            struct assay_request *one = waiting;

            waiting = one->key_next;
            assay_request_continue(one, one->next);
        }
    }
    assay__resume(request->server, request->connection);
}
