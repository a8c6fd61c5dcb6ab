/* The table of routes and how a request finds its row.  Immutable; any thread. */
#ifndef ASSAY_API_ROUTE_H
#define ASSAY_API_ROUTE_H

#include "api/auth.h"
#include "api/query.h"
#include "api/uri.h"

struct assay_request;

/* A handler puts an answer into the request and says so, or has begun something
 * whose callback will finish the request. */
enum assay_step { ASSAY_ANSWERED, ASSAY_PENDING };
typedef enum assay_step (*assay_handler_fn)(struct assay_request *request);

enum assay_route_kind {
    ASSAY_ROUTE_AT_ONCE, /* on the HTTP thread: computes, does not block */
    ASSAY_ROUTE_CALL,    /* on any thread: calls the engine */
    ASSAY_ROUTE_READ,    /* on a read thread: request->store is there */
};

enum {
    ASSAY_ROUTE_TRIAL_TOKEN = 1 << 0, /* the trial's own token will do */
    ASSAY_ROUTE_KEY = 1 << 1,         /* takes Idempotency-Key */
    ASSAY_ROUTE_BODY = 1 << 2,        /* needs a JSON body */
    ASSAY_ROUTE_YAML = 1 << 3,        /* the body may be YAML */
    ASSAY_ROUTE_STORE = 1 << 4,       /* CALL that needs the store first */
    ASSAY_ROUTE_ALWAYS = 1 << 5,      /* answers also while the daemon is not ready */
    ASSAY_ROUTE_EVENTS = 1 << 6,      /* can answer text/event-stream */
    ASSAY_ROUTE_TEXT = 1 << 7,        /* answers text/plain, not JSON */
    ASSAY_ROUTE_FILE = 1 << 8,        /* answers whatever its file is */
};

struct assay_route {
    const char *method;   /* GET also serves HEAD */
    const char *path;     /* "/v1/projects/{project}/studies"; also its name in metrics */
    enum assay_route_kind kind;
    enum assay_role role;
    unsigned flags;
    const struct assay_query_field *query; /* NULL = none */
    const char *list;     /* member that holds the items `fields` trims; NULL = the answer itself */
    assay_handler_fn handler;
};

extern const struct assay_route assay_routes[];
extern const size_t assay_n_routes;

enum assay_route_match {
    ASSAY_ROUTE_FOUND,
    ASSAY_ROUTE_NO_PATH,
    ASSAY_ROUTE_NO_METHOD, /* the path is there, with other methods */
};

/* What the placeholders of the path were; borrowed from the URI, NULL = not in it. */
struct assay_route_values {
    const char *project, *study, *id;
    int64_t number;
};

/* {number} matches 1 to INT64_MAX without leading zeros; the others any text that
 * is not empty. */
enum assay_route_match assay_route_find(const char *method, const struct assay_uri *uri,
                                        const struct assay_route **ret_route,
                                        struct assay_route_values *ret_values);
/* "GET, HEAD, OPTIONS, PATCH": the methods of the path.  Caller frees. */
char *assay_route_allow(const struct assay_uri *uri);

#endif
