#include "suggest/remote/remote.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/point.h"
#include "suggest/host.h"
#include "suggest/remote/http.h"
#include "suggest/remote_policy.h"

#define TELLS_PER_REQUEST 500
#define PAUSE_MIN_US (100 * INT64_C(1000))
#define PAUSE_MAX_US (2 * ASSAY_SECOND_US)
#define TRY_MIN_US (500 * INT64_C(1000))
#define CLOSE_US (500 * INT64_C(1000))
#define WHY_BYTES_MAX 2048
/* Settings that a study leaves out. */
#define TIMEOUT_S 10.0

struct remote {
    struct assay_remote_http *http;
    struct assay_space *space;
    char *url;
    char id[33];     /* the service's name for this conversation */
    json_t *opening; /* the open message */
    json_t *tells;   /* those from `told` on are not sent yet */
    size_t told;
    double budget_min, budget_max; /* NaN without one */
    int64_t timeout_us;
    bool opened;
};

static int64_t daemon_deadline_us = 30 * ASSAY_SECOND_US;

/* --- opening --- */

/* 128 bits nobody else has: two daemons may have studies of the same number. */
static void
make_id(char ret_id[33])
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        abort(); /* the kernel keeps that promise for so few */
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
}

static json_t *
message_of(const struct remote *remote, const char *op)
{
    return json_pack("{s:i, s:s, s:s}", "protocol", 1, "op", op, "study", remote->id);
}

/* What a service hears of a study: what an algorithm needs and nothing else (commands
 * and environments of trials stay here). */
static json_t *
opening_of(const struct remote *remote, const json_t *spec, const json_t *sources)
{
    static const char *const keys[] = {"name",   "parameters", "objectives", "constraints",
                                       "budget", "limits",     "seed"};
    json_t *message = message_of(remote, "open"), *study = json_object();
    const json_t *settings = json_object_get(json_object_get(spec, "algorithm"), "settings");
    json_t *options = json_object_get(settings, "options");

    for (size_t i = 0; i < ASSAY_COUNT(keys); i++) {
        json_t *value = json_object_get(spec, keys[i]);

        if (value != NULL)
            json_object_set(study, keys[i], value);
    }
    json_object_set_new(study, "options", options != NULL ? json_incref(options) : json_object());
    json_object_set_new(message, "spec", study);
    if (json_array_size(sources) > 0)
        json_object_set(message, "sources", (json_t *)(uintptr_t)sources);
    return message;
}

/* The variable holds the token, or "ORIGIN TOKEN": then it goes to addresses that begin
 * with that origin only.  Caller frees; NULL without a token. */
static assay_status
find_token(const json_t *settings, const char *url, char **ret_token, struct assay_error *err)
{
    const char *name = json_string_value(json_object_get(settings, "token_variable"));
    const char *value, *blank;
    size_t origin;

    *ret_token = NULL;
    if (name == NULL)
        return ASSAY_OK;
    if (assay_remote_check_variable(name, err) != ASSAY_OK)
        return err != NULL ? err->status : ASSAY_E_INVALID_STUDY;
    value = getenv(name);
    if (value == NULL || *value == '\0')
        return assay_fail(err, ASSAY_E_INVALID_STUDY,
                          "the environment of the daemon has no variable %s", name);
    if (strpbrk(value, "\r\n") != NULL)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "the variable %s has a line end in it",
                          name);
    blank = strchr(value, ' ');
    origin = blank != NULL ? (size_t)(blank - value) : 0;
    while (origin > 0 && value[origin - 1] == '/')
        origin--;
    if (origin > 0 && (strncmp(url, value, origin) != 0 ||
                       (url[origin] != '\0' && strchr("/?", url[origin]) == NULL)))
        return assay_fail(err, ASSAY_E_INVALID_STUDY,
                          "the token of %s is for another address than %s", name, url);
    *ret_token = assay_strdup(blank != NULL ? blank + 1 : value);
    return ASSAY_OK;
}

static void
remote_free(void *instance)
{
    struct remote *remote = instance;

    if (remote->opened) {
        json_auto_t *message = message_of(remote, "close");
        struct assay_remote_answer answer;

        /* A kindness: services forget studies by themselves as well. */
        if (assay_remote_http_post(remote->http, message, CLOSE_US, &answer, NULL) != ASSAY_OK)
            assay_log(ASSAY_LOG_DEBUG, "remote algorithm at %s: close was not heard", remote->url);
        json_decref(answer.json);
    }
    assay_remote_http_free(remote->http);
    assay_space_free(remote->space);
    json_decref(remote->opening);
    json_decref(remote->tells);
    free(remote->url);
    free(remote);
}

static double
number_in(const json_t *object, const char *key, double standard)
{
    const json_t *value = json_object_get(object, key);

    return json_is_number(value) ? json_number_value(value) : standard;
}

static assay_status
remote_open(const json_t *spec, const json_t *sources, void **ret_instance,
            struct assay_error *err)
{
    const json_t *settings = json_object_get(json_object_get(spec, "algorithm"), "settings");
    const json_t *budget = json_object_get(spec, "budget");
    const char *url = json_string_value(json_object_get(settings, "url"));
    assay_auto_free char *token = NULL;
    struct assay_faults faults = {0};
    struct remote *remote;
    struct assay_space *space;
    assay_status status;

    if (url == NULL)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "the algorithm remote needs a url");
    status = assay_remote_check_url(url, err);
    if (status == ASSAY_OK)
        status = find_token(settings, url, &token, err);
    if (status != ASSAY_OK)
        return status;
    space = assay_space_decode(json_object_get(spec, "parameters"), "/parameters", &faults);
    if (space == NULL)
        status = assay_fail_at(err, ASSAY_E_INVALID_STUDY, faults.items[0].pointer, "%s",
                               faults.items[0].message);
    assay_faults_done(&faults);
    if (space == NULL)
        return status;
    remote = ASSAY_NEW(struct remote);
    *remote = (struct remote){
        .http = assay_remote_http_new(url, token),
        .space = space,
        .url = assay_strdup(url),
        .tells = json_array(),
        .budget_min = number_in(budget, "min", NAN),
        .budget_max = number_in(budget, "max", NAN),
        .timeout_us =
            (int64_t)(number_in(settings, "timeout", TIMEOUT_S) * (double)ASSAY_SECOND_US),
    };
    make_id(remote->id);
    remote->opening = opening_of(remote, spec, sources);
    *ret_instance = remote;
    return ASSAY_OK;
}

/* --- telling --- */

static assay_status
remote_tell(void *instance, const json_t *trials, struct assay_error *err)
{
    struct remote *remote = instance;

    if (!json_is_array(trials))
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "the trials are not an array");
    json_array_extend(remote->tells, (json_t *)(uintptr_t)trials);
    return ASSAY_OK;
}

/* --- one request, as often as the time allows --- */

static void
pause_us(int64_t us)
{
    struct timespec time = {.tv_sec = us / ASSAY_SECOND_US,
                            .tv_nsec = (long)(us % ASSAY_SECOND_US) * 1000};

    nanosleep(&time, NULL); /* a signal cuts it short, and should_stop() knows */
}

/* What became of a request that is not tried again. */
static assay_status
give_up(const struct remote *remote, const struct assay_remote_answer *answer,
        const struct assay_error *fault, int tries, int64_t spent_us, struct assay_error *err)
{
    const char *code = json_string_value(json_object_get(answer->json, "code"));

    if (code != NULL && strcmp(code, "unknown_study") == 0)
        return assay_fail(err, ASSAY_E_NOT_FOUND,
                          "the remote algorithm at %s says that it does not know the study",
                          remote->url);
    if (tries > 1)
        return assay_fail(err, fault->status, "the remote algorithm at %s %s (%d tries in %.1f s)",
                          remote->url, fault->message, tries,
                          (double)spent_us / ASSAY_SECOND_US);
    return assay_fail(err, fault->status, "the remote algorithm at %s %s", remote->url,
                      fault->message);
}

static assay_status
post(struct remote *remote, const json_t *message, int64_t end_us, json_t **ret_json,
     struct assay_error *err)
{
    int64_t wait_us = PAUSE_MIN_US, start_us = assay_monotonic_us();
    /* A try that is cut off sooner than this says nothing. */
    int64_t try_us = ASSAY_MIN(remote->timeout_us, TRY_MIN_US);

    for (int tries = 1;; tries++) {
        struct assay_error fault = {0};
        struct assay_remote_answer answer;
        int64_t left_us = ASSAY_MAX(end_us - assay_monotonic_us(), try_us);

        if (assay_remote_http_post(remote->http, message, ASSAY_MIN(remote->timeout_us, left_us),
                                   &answer, &fault) == ASSAY_OK) {
            *ret_json = answer.json;
            return ASSAY_OK;
        }
        if (!answer.again || assay_host_table()->should_stop() ||
            assay_monotonic_us() + wait_us + try_us >= end_us) {
            assay_status status = give_up(remote, &answer, &fault, tries,
                                          assay_monotonic_us() - start_us, err);

            json_decref(answer.json);
            return status;
        }
        json_decref(answer.json);
        if (tries == 1)
            assay_log(ASSAY_LOG_WARNING, "the remote algorithm at %s %s; trying again",
                      remote->url, fault.message);
        pause_us(wait_us);
        wait_us = ASSAY_MIN(2 * wait_us, PAUSE_MAX_US);
    }
}

/* --- asking --- */

static assay_status
bad_answer(const struct remote *remote, struct assay_error *err, const char *what)
{
    return assay_fail(err, ASSAY_E_PLUGIN, "the remote algorithm at %s answered with %s",
                      remote->url, what);
}

static json_t *
decode_why(const json_t *why)
{
    assay_auto_free char *text = json_is_object(why) ? json_dumps(why, JSON_COMPACT) : NULL;
    json_t *copy = text != NULL && strlen(text) < WHY_BYTES_MAX ? json_deep_copy(why)
                                                                : json_object();

    if (!json_is_string(json_object_get(copy, "proposed_by")))
        json_object_set_new(copy, "proposed_by", json_string(ASSAY_REMOTE_NAME));
    return copy;
}

/* One suggestion of the service, checked and written anew. */
static assay_status
decode_trial(const struct remote *remote, const json_t *given, int64_t number,
             json_t **ret_trial, struct assay_error *err)
{
    static const char *const links[] = {"resume", "parent"};
    const json_t *its_number = json_object_get(given, "number");
    const json_t *budget = json_object_get(given, "budget");
    assay_auto_free double *point = assay_alloc(remote->space->n_parameters, sizeof *point);
    struct assay_faults faults = {0};
    json_t *trial;

    if (!json_is_object(given))
        return bad_answer(remote, err, "a trial that is no object");
    if (its_number != NULL && json_integer_value(its_number) != number)
        return bad_answer(remote, err, "a trial of another number than was asked for");
    if (!assay_point_decode(remote->space, json_object_get(given, "parameters"), "/parameters",
                            false, &faults, point)) {
        (void)assay_fail(err, ASSAY_E_PLUGIN,
                         "the remote algorithm at %s proposed a point outside of the space: %s: %s",
                         remote->url, faults.items[0].pointer, faults.items[0].message);
        assay_faults_done(&faults);
        return ASSAY_E_PLUGIN;
    }
    assay_faults_done(&faults);
    if (budget != NULL && !json_is_null(budget) &&
        !(json_is_number(budget) && json_number_value(budget) >= remote->budget_min &&
          json_number_value(budget) <= remote->budget_max))
        return bad_answer(remote, err, "a budget outside of the study's");
    trial = json_pack("{s:I, s:o, s:o}", "number", (json_int_t)number, "parameters",
                      assay_point_encode(remote->space, point), "why",
                      decode_why(json_object_get(given, "why")));
    if (json_is_number(budget))
        json_object_set_new(trial, "budget", json_real(json_number_value(budget)));
    for (size_t i = 0; i < ASSAY_COUNT(links); i++) {
        json_t *link = json_object_get(given, links[i]);

        if (json_is_integer(link))
            json_object_set(trial, links[i], link);
    }
    *ret_trial = trial;
    return ASSAY_OK;
}

static assay_status
decode_suggestions(const struct remote *remote, const json_t *answer, const int64_t *numbers,
                   size_t n, json_t **ret_trials, bool *ret_exhausted, struct assay_error *err)
{
    const json_t *list = json_object_get(answer, "trials");
    json_t *trials;

    if (!json_is_array(list))
        return bad_answer(remote, err, "no array of trials");
    if (json_array_size(list) > n)
        return bad_answer(remote, err, "more trials than were asked for");
    trials = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *trial = NULL;
        assay_status status =
            decode_trial(remote, json_array_get(list, i), numbers[i], &trial, err);

        if (status != ASSAY_OK) {
            json_decref(trials);
            return status;
        }
        json_array_append_new(trials, trial);
    }
    *ret_trials = trials;
    *ret_exhausted = json_is_true(json_object_get(answer, "exhausted"));
    return ASSAY_OK;
}

/* Opens the study unless it is open, and sends what is to be told. */
static assay_status
catch_up(struct remote *remote, int64_t end_us, struct assay_error *err)
{
    json_t *answer;
    assay_status status;

    if (!remote->opened) {
        status = post(remote, remote->opening, end_us, &answer, err);
        if (status != ASSAY_OK)
            return status;
        json_decref(answer);
        remote->opened = true;
    }
    while (remote->told < json_array_size(remote->tells)) {
        size_t end = ASSAY_MIN(json_array_size(remote->tells), remote->told + TELLS_PER_REQUEST);
        json_auto_t *message = message_of(remote, "tell"), *part = json_array();

        for (size_t i = remote->told; i < end; i++)
            json_array_append(part, json_array_get(remote->tells, i));
        json_object_set(message, "trials", part);
        status = post(remote, message, end_us, &answer, err);
        if (status != ASSAY_OK)
            return status;
        json_decref(answer);
        remote->told = end;
    }
    json_array_clear(remote->tells);
    remote->told = 0;
    return ASSAY_OK;
}

static assay_status
remote_ask(void *instance, const int64_t *numbers, size_t n, json_t **ret_trials,
           bool *ret_exhausted, struct assay_error *err)
{
    struct remote *remote = instance;
    int64_t end_us = assay_monotonic_us() + daemon_deadline_us * 4 / 5;
    json_auto_t *message = message_of(remote, "ask"), *answer = NULL;
    json_t *list = json_array();
    assay_status status = catch_up(remote, end_us, err);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    json_object_set_new(message, "numbers", list);
    if (status == ASSAY_OK)
        status = post(remote, message, end_us, &answer, err);
    if (status == ASSAY_OK)
        status = decode_suggestions(remote, answer, numbers, n, ret_trials, ret_exhausted, err);
    return status;
}

const struct assay_worker_server *
assay_remote_server(int64_t deadline_us)
{
    static const struct assay_worker_server server = {
        .algorithm = ASSAY_REMOTE_NAME,
        .open = remote_open,
        .tell = remote_tell,
        .ask = remote_ask,
        .free = remote_free,
    };

    daemon_deadline_us = deadline_us;
    return &server;
}
