/* One request on its way through the server, as its handler sees it.
 *
 * A request is worked on by one thread at a time: the HTTP thread that reads it,
 * a read thread, or the engine's callback; each hands it on and does not touch
 * it afterwards.  While others work on it its connection is suspended. */
#ifndef ASSAY_API_REQUEST_H
#define ASSAY_API_REQUEST_H

#include <microhttpd.h>

#include "api/header.h"
#include "api/read_pool.h"
#include "api/route.h"
#include "common/buffer.h"
#include "controller/engine/engine.h"

struct assay_server;
struct assay_stream;

/* What the routes work on; complete once the daemon is ready. */
struct assay_service {
    struct assay_engine *engine;
    struct assay_writer *writer;
    struct assay_notifier *notifier;
    const char *database_url;
    const char *data_dir;
    const char *trial_token_key;
};

struct assay_answer {
    int status;               /* 0 = none yet */
    json_t *json;             /* the body, or else: */
    struct assay_buffer text; /* the body */
    const char *content_type; /* static */
    const void *fixed;        /* a body that lives as long as the server */
    size_t fixed_length;
    const char *cache_control; /* static; NULL = no-store, or no-cache with an entity tag */
    char etag[ASSAY_ETAG_TEXT]; /* "" = none */
    char *location;
    char *allow;
    int retry_after_s; /* 0 = none */
    bool replayed;     /* a remembered answer */
    bool final;        /* nothing will change any more: waiting is no use */
    bool page;         /* the dashboard's: with its security headers */
    struct assay_stream *stream; /* instead of a body */
};

enum assay_phase {
    ASSAY_PHASE_HEADERS,    /* nothing looked at yet */
    ASSAY_PHASE_HELD,       /* came while the daemon opened; goes on when it is ready */
    ASSAY_PHASE_IDENTIFIED, /* the store has said who it is */
    ASSAY_PHASE_BODY,       /* reading it, or reading past it to the answer */
    ASSAY_PHASE_WORK,       /* handed on; the answer comes */
    ASSAY_PHASE_SENT,
};

struct assay_request {
    struct assay_server *server;
    const struct assay_service *service;
    struct MHD_Connection *connection;
    enum assay_phase phase;
    char id[129];
    int64_t started_us; /* monotonic */

    /* From the head; header values are borrowed from the connection. */
    const char *method;
    char *target;
    struct assay_uri uri;
    const struct assay_route *route; /* NULL when there is none */
    struct assay_route_values path;
    struct assay_query query;
    const char *authorization, *accept, *content_type, *if_none_match, *idempotency_key,
        *last_event_id;
    struct assay_principal principal;

    /* The body. */
    struct assay_buffer body;
    uint64_t body_seen; /* bytes, also those read past */
    json_t *json;       /* ROUTE_BODY: what it says */
    json_t *lines;      /* of a YAML body */

    /* Routes with {study}. */
    int64_t study_id;
    enum assay_study_state study_state; /* only on read threads */
    bool study_remembered;              /* the id is not fresh from the store */

    /* Idempotency-Key. */
    struct assay_engine_key key;
    json_t *(*build_remembered)(struct assay_request *request,
                                const struct assay_engine_answer *answer);
    char request_hash[ASSAY_SHA256_TEXT];
    json_t *remembered; /* what was remembered under the key; becomes the answer */
    bool key_owned, key_retried;
    struct assay_request *key_next; /* in the list of those that wait for the key */
    struct assay_request *held_next;

    /* On a read thread. */
    struct assay_store *store; /* NULL until the first time on one */
    enum assay_step (*next)(struct assay_request *request);
    struct assay_job job;
    int64_t wait_until_us; /* monotonic; 0 = not waiting */
    int64_t last_read_us;
    uint64_t read_version; /* of what is watched; what was read is no older */
    unsigned reads;

    struct assay_answer answer;
    void *handler_data; /* the handler's, freed by handler_free (may be NULL) */
    void (*handler_free)(void *data);
};

/* --- answers; each takes what it is given and returns ASSAY_ANSWERED */
enum assay_step assay_answer_json(struct assay_request *request, int status, json_t *json);
/* A problem from the error; those of our own making are logged and not shown. */
enum assay_step assay_answer_error(struct assay_request *request, assay_status status,
                                   const struct assay_error *err);
enum assay_step assay_answer_problem(struct assay_request *request, assay_status status,
                                     const char *format, ...) ASSAY_PRINTF(3, 4);
/* A problem with its list of faults (at least one), which is emptied; lines of a YAML
 * body are added. */
enum assay_step assay_answer_faults(struct assay_request *request, assay_status status,
                                    struct assay_faults *faults);
/* The problem document of an error, for answers that hold several.  New reference. */
json_t *assay_problem(assay_status status, const char *detail, const struct assay_faults *faults);
/* "Capital letter … full stop."  Caller frees. */
char *assay_sentence(const char *message);

/* --- going on */
/* From another thread than an HTTP one: the answer is there, send it. */
void assay_request_finish(struct assay_request *request);
/* Any thread: `next` is called on a read thread, with request->store. */
enum assay_step assay_request_continue(struct assay_request *request,
                                       enum assay_step (*next)(struct assay_request *request));
/* For callbacks of the engine: true when the call failed; then the request is
 * answered or tried again, and not to be touched. */
ASSAY_MUST_CHECK bool assay_request_call_failed(struct assay_request *request, assay_status status,
                                                const struct assay_error *err,
                                                const struct assay_engine_answer *answer);
/* The key to hand to the engine, or NULL when the request has none.  `answer`
 * builds the body from what the engine says; it is called before the commit,
 * and what it built is left in request->remembered to be sent after it. */
const struct assay_engine_key *assay_request_key(
    struct assay_request *request, int http_status,
    json_t *(*answer)(struct assay_request *request, const struct assay_engine_answer *answer));
/* Lets the parsed body go, before parts of it (with references of their own) are
 * handed to the engine: a value belongs to one thread.  It is parsed again if the
 * call has to be made again. */
void assay_request_forget_json(struct assay_request *request);
/* Runs the route's handler and all that comes before it; the first `next`. */
enum assay_step assay_request_run(struct assay_request *request);

/* The attempt that a trial's token is for, 0 for other tokens. */
int64_t assay_request_attempt(const struct assay_request *request);

void assay_request_free(struct assay_request *request);

#endif
