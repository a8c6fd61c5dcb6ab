#include "schemas/trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

void
assay_attempt_done(struct assay_attempt *attempt)
{
    free(attempt->message);
    json_decref(attempt->gpus);
    *attempt = (struct assay_attempt){0};
}

void
assay_trial_done(struct assay_trial *trial)
{
    free(trial->message);
    json_decref(trial->parameters);
    json_decref(trial->metrics);
    json_decref(trial->why);
    free(trial->client);
    for (size_t i = 0; i < trial->n_attempts; i++)
        assay_attempt_done(&trial->attempts[i]);
    free(trial->attempts);
    *trial = (struct assay_trial){0};
}

double
assay_trial_forecast(const struct assay_trial *trial, const char *metric)
{
    const json_t *forecast = json_object_get(trial->why, "forecast");
    const char *of = json_string_value(json_object_get(forecast, "metric"));
    double value;

    if (trial->state != ASSAY_TRIAL_STOPPED || of == NULL || strcmp(of, metric) != 0 ||
        !assay_json_get_real(json_object_get(forecast, "value"), &value))
        return NAN;
    return value;
}

/* --- members that may be null --- */

static json_t *
real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *
integer_unless(int64_t value, int64_t none)
{
    return value != none ? json_integer(value) : json_null();
}

static json_t *
copy_or(const json_t *json, json_t *otherwise)
{
    if (json == NULL)
        return otherwise;
    json_decref(otherwise);
    return json_deep_copy(json);
}

static json_t *
attempt_encode(const struct assay_attempt *attempt)
{
    json_t *json = json_object();

    json_object_set_new(json, "number", json_integer(attempt->number));
    json_object_set_new(json, "state", json_string(assay_attempt_state_name(attempt->state)));
    json_object_set_new(json, "exit_code", integer_unless(attempt->exit_code, -1));
    json_object_set_new(json, "signal", integer_unless(attempt->signal, 0));
    json_object_set_new(json, "reason", assay_json_text(assay_trial_reason_name(attempt->reason)));
    json_object_set_new(json, "message", assay_json_text(attempt->message));
    json_object_set_new(json, "pid", integer_unless(attempt->pid, 0));
    json_object_set_new(json, "gpus", copy_or(attempt->gpus, json_array()));
    json_object_set_new(json, "started_at", assay_json_time(attempt->started_us));
    json_object_set_new(json, "finished_at", assay_json_time(attempt->finished_us));
    return json;
}

json_t *
assay_trial_encode(const struct assay_trial *trial, const char *project, const char *study)
{
    json_t *json = json_object(), *attempts = json_array();

    for (size_t i = 0; i < trial->n_attempts; i++)
        json_array_append_new(attempts, attempt_encode(&trial->attempts[i]));
    json_object_set_new(json, "number", json_integer(trial->number));
    json_object_set_new(json, "study", json_string(study));
    json_object_set_new(json, "project", json_string(project));
    json_object_set_new(json, "state", json_string(assay_trial_state_name(trial->state)));
    json_object_set_new(json, "reason", assay_json_text(assay_trial_reason_name(trial->reason)));
    json_object_set_new(json, "message", assay_json_text(trial->message));
    json_object_set_new(json, "parameters", copy_or(trial->parameters, json_object()));
    json_object_set_new(json, "metrics", copy_or(trial->metrics, json_object()));
    json_object_set_new(json, "value", real_or_null(trial->value));
    json_object_set_new(json, "budget", real_or_null(trial->budget));
    json_object_set_new(json, "attempts", attempts);
    json_object_set_new(json, "why", copy_or(trial->why, json_object()));
    json_object_set_new(json, "client", assay_json_text(trial->client));
    json_object_set_new(json, "lease_expires", assay_json_time(trial->lease_expires_us));
    json_object_set_new(json, "steps", integer_unless(trial->last_step, -1));
    json_object_set_new(json, "created_at", assay_json_time(trial->created_us));
    json_object_set_new(json, "started_at", assay_json_time(trial->started_us));
    json_object_set_new(json, "finished_at", assay_json_time(trial->finished_us));
    return json;
}

json_t *
assay_event_encode(const struct assay_event *event)
{
    json_t *json = json_object();

    json_object_set_new(json, "id", json_integer(event->id));
    json_object_set_new(json, "time", assay_json_time(event->time_us));
    json_object_set_new(json, "type", json_string(event->type));
    json_object_set_new(json, "trial", integer_unless(event->trial_number, 0));
    json_object_set_new(json, "message", json_string(event->message != NULL ? event->message : ""));
    json_object_set_new(json, "data", copy_or(event->data, json_object()));
    return json;
}
