#include "schemas/katib/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/katib/katib_internal.h"

/* Katib's states of a trial, in the order in which they stand in a status. */
enum trial_list { RUNNING, PENDING, FAILED, SUCCEEDED, KILLED, EARLY_STOPPED, UNAVAILABLE, LISTS };

static const char *const list_keys[] = {
    "runningTrialList",   "pendingTrialList",     "failedTrialList",
    "succeededTrialList", "killedTrialList",      "earlyStoppedTrialList",
    "metricsUnavailableTrialList"};
static const char *const count_keys[] = {
    "trialsRunning", "trialsPending",      "trialsFailed",           "trialsSucceeded",
    "trialsKilled",  "trialsEarlyStopped", "trialMetricsUnavailable"};

/* Seconds, as the objects of Kubernetes have them. */
#define TIME_TEXT sizeof "2026-01-02T03:04:05Z"


struct assay_katib_view {
    const struct assay_study_record *record;
    json_t *lists[LISTS];
    int64_t best;
    json_t *summaries; /* metric -> [min, max, latest] of the best trial */
    int64_t last_us;   /* the latest time seen */
};

struct assay_katib_view *
assay_katib_view_new(const struct assay_study_record *record)
{
    struct assay_katib_view *view = ASSAY_NEW(struct assay_katib_view);

    view->record = record;
    for (size_t i = 0; i < LISTS; i++)
        view->lists[i] = json_array();
    view->best = json_integer_value(json_object_get(record->best, "number"));
    view->summaries = json_object();
    view->last_us = ASSAY_MAX(record->created_us, ASSAY_MAX(record->started_us,
                                                            record->finished_us));
    return view;
}

static enum trial_list
list_of(const struct assay_trial *trial)
{
    switch (trial->state) {
    case ASSAY_TRIAL_QUEUED:
        return PENDING;
    case ASSAY_TRIAL_RUNNING:
    case ASSAY_TRIAL_PAUSED:
    case ASSAY_TRIAL_STOPPING:
        return RUNNING;
    case ASSAY_TRIAL_SUCCEEDED:
        return SUCCEEDED;
    case ASSAY_TRIAL_STOPPED:
        return EARLY_STOPPED;
    case ASSAY_TRIAL_CANCELLED:
        return KILLED;
    default:
        return trial->reason == ASSAY_TRIAL_REASON_NO_OBJECTIVE ||
                       trial->reason == ASSAY_TRIAL_REASON_NON_FINITE_OBJECTIVE
                   ? UNAVAILABLE
                   : FAILED;
    }
}

void
assay_katib_view_add_trial(struct assay_katib_view *view, const struct assay_trial *trial)
{
    assay_auto_free char *name =
        assay_format("%s-%lld", view->record->name, (long long)trial->number);

    json_array_append_new(view->lists[list_of(trial)], json_string(name));
    view->last_us = ASSAY_MAX(view->last_us, ASSAY_MAX(trial->created_us,
                                                       ASSAY_MAX(trial->started_us,
                                                                 trial->finished_us)));
}

int64_t
assay_katib_view_best(const struct assay_katib_view *view)
{
    return view->best;
}

void
assay_katib_view_add_measurement(struct assay_katib_view *view, const json_t *metrics)
{
    const char *name;
    json_t *value;

    assay_json_each (metrics, name, value) {
        json_t *summary = json_object_get(view->summaries, name);
        double number, min, max;

        if (!assay_json_get_real(value, &number))
            continue;
        if (summary == NULL) {
            json_object_set_new(view->summaries, name,
                                json_pack("[o, o, o]", assay_json_real(number),
                                          assay_json_real(number), assay_json_real(number)));
            continue;
        }
        if (!assay_json_get_real(json_array_get(summary, 0), &min) || !isfinite(min) ||
            number < min)
            json_array_set_new(summary, 0, assay_json_real(number));
        if (!assay_json_get_real(json_array_get(summary, 1), &max) || !isfinite(max) ||
            number > max)
            json_array_set_new(summary, 1, assay_json_real(number));
        json_array_set_new(summary, 2, assay_json_real(number));
    }
}

/* --- the spec */

static const json_t *
origin_of(const struct assay_study_record *record)
{
    return json_object_get(json_object_get(record->document, "origin"), "document");
}

static json_t *
text_of(const json_t *value)
{
    assay_auto_free char *text = assay_json_scalar_text(value);

    return json_string(text != NULL ? text : "");
}

static void
copy_text(json_t *to, const char *key, const json_t *from)
{
    const json_t *value = json_object_get(from, key);

    if (value != NULL)
        json_object_set_new(to, key, text_of(value));
}

/* A parameter of the study in Katib's words. */
static json_t *
parameter_of(const json_t *parameter)
{
    const char *type = json_string_value(json_object_get(parameter, "type"));
    const char *scale = json_string_value(json_object_get(parameter, "scale"));
    const json_t *values = json_object_get(parameter, "values");
    json_t *space = json_object();
    bool range = type != NULL && (strcmp(type, "double") == 0 || strcmp(type, "int") == 0);

    copy_text(space, "max", parameter);
    copy_text(space, "min", parameter);
    copy_text(space, "step", parameter);
    if (range)
        json_object_set_new(space, "distribution",
                            json_string(scale != NULL && strcmp(scale, "log") == 0 ? "logUniform"
                                                                                   : "uniform"));
    if (type != NULL && strcmp(type, "bool") == 0) {
        json_object_set_new(space, "list", json_pack("[s, s]", "false", "true"));
        type = "categorical";
    } else if (values != NULL) {
        json_t *list = json_array();

        for (size_t i = 0; i < json_array_size(values); i++)
            json_array_append_new(list, text_of(json_array_get(values, i)));
        json_object_set_new(space, "list", list);
    }
    return json_pack("{s:O?, s:s, s:o}", "name", json_object_get(parameter, "name"),
                     "parameterType", type != NULL ? type : "unknown", "feasibleSpace", space);
}

static json_t *
settings_of(const json_t *settings)
{
    json_t *list = json_array();
    const char *name;
    json_t *value;

    assay_json_each (settings, name, value)
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", name, "value", text_of(value)));
    return list;
}

/* The spec of a study that was no Experiment. */
static json_t *
own_spec(const json_t *document)
{
    const json_t *objective = json_array_get(json_object_get(document, "objectives"), 0);
    const json_t *algorithm = json_object_get(document, "algorithm");
    const json_t *parameters = json_object_get(document, "parameters");
    const json_t *kubernetes =
        json_object_get(json_object_get(document, "trial"), "kubernetes");
    json_t *list = json_array(), *spec, *shown;

    for (size_t i = 0; i < json_array_size(parameters); i++)
        json_array_append_new(list, parameter_of(json_array_get(parameters, i)));
    spec = json_pack("{s:o, s:{s:O?, s:O?}, s:{s:O?, s:o}, s:s}", "parameters", list, "objective",
                     "type", json_object_get(objective, "goal"), "objectiveMetricName",
                     json_object_get(objective, "metric"), "algorithm", "algorithmName",
                     json_object_get(algorithm, "name"), "algorithmSettings",
                     settings_of(json_object_get(algorithm, "settings")), "resumePolicy",
                     "LongRunning");
    if (json_object_get(objective, "target") != NULL)
        json_object_set(json_object_get(spec, "objective"), "goal",
                        json_object_get(objective, "target"));
    if (json_object_get(kubernetes, "template") != NULL) {
        shown = json_pack("{s:O}", "trialSpec", json_object_get(kubernetes, "template"));
        if (json_object_get(kubernetes, "primary_container") != NULL)
            json_object_set(shown, "primaryContainerName",
                            json_object_get(kubernetes, "primary_container"));
        json_object_set_new(spec, "trialTemplate", shown);
    }
    return spec;
}

/* What Katib's webhook would have filled in. */
static void
add_defaults(json_t *spec)
{
    json_t *objective = json_object_get(spec, "objective");
    json_t *template = json_object_get(spec, "trialTemplate");
    json_t *trial_spec = json_object_get(template, "trialSpec");
    const char *type = json_string_value(json_object_get(objective, "type"));
    const char *version = json_string_value(json_object_get(trial_spec, "apiVersion"));
    const char *kind = json_string_value(json_object_get(trial_spec, "kind"));
    const char *best = type != NULL && strcmp(type, "maximize") == 0 ? "max" : "min";
    const json_t *additional = json_object_get(objective, "additionalMetricNames");
    const struct assay_kubernetes_kind *known =
        assay__katib_kind(version, kind);

    if (json_object_get(objective, "metricStrategies") == NULL &&
        json_object_get(objective, "objectiveMetricName") != NULL) {
        json_t *list = json_array();

        json_array_append_new(list, json_pack("{s:O, s:s}", "name",
                                              json_object_get(objective, "objectiveMetricName"),
                                              "value", best));
        for (size_t i = 0; i < json_array_size(additional); i++)
            json_array_append_new(list, json_pack("{s:O, s:s}", "name",
                                                  json_array_get(additional, i), "value", best));
        json_object_set_new(objective, "metricStrategies", list);
    }
    if (json_object_get(spec, "resumePolicy") == NULL)
        json_object_set_new(spec, "resumePolicy", json_string("Never"));
    if (json_object_get(spec, "metricsCollectorSpec") == NULL && template != NULL)
        json_object_set_new(spec, "metricsCollectorSpec",
                            json_pack("{s:{s:s}}", "collector", "kind", "StdOut"));
    if (known == NULL)
        return;
    if (json_object_get(template, "successCondition") == NULL)
        json_object_set_new(template, "successCondition", json_string(known->success));
    if (json_object_get(template, "failureCondition") == NULL)
        json_object_set_new(template, "failureCondition", json_string(known->failure));
}

/* Limits can have been changed since. */
static void
set_limits(json_t *spec, const json_t *document, bool given)
{
    const json_t *limits = json_object_get(document, "limits");
    const json_t *failed = json_object_get(limits, "failed_trials");
    const json_t *before = json_object_get(spec, "maxFailedTrialCount");

    json_object_set(spec, "parallelTrialCount", json_object_get(limits, "parallel"));
    if (json_is_integer(json_object_get(limits, "trials")))
        json_object_set(spec, "maxTrialCount", json_object_get(limits, "trials"));
    else
        json_object_del(spec, "maxTrialCount");
    /* 0 and 1 are the same to Katib; what was given stands. */
    if (!json_is_integer(failed))
        json_object_del(spec, "maxFailedTrialCount");
    else if (!given || !json_is_integer(before) ||
             ASSAY_MAX(json_integer_value(before) - 1, (json_int_t)0) !=
                 json_integer_value(failed))
        json_object_set_new(spec, "maxFailedTrialCount",
                            json_integer(json_integer_value(failed) + 1));
}

/* --- the status */

static json_t *
time_of(int64_t time_us)
{
    char text[ASSAY_TIME_TEXT];

    if (time_us == ASSAY_TIME_NONE)
        return json_null();
    assay_print_time(time_us, text);
    text[TIME_TEXT - 2] = 'Z';
    text[TIME_TEXT - 1] = '\0';
    return json_string(text);
}

static void
add_condition(json_t *conditions, const char *type, bool status, const char *reason,
              const char *message, int64_t time_us)
{
    json_array_append_new(conditions,
                          json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "type", type, "status",
                                    status ? "True" : "False", "reason", reason, "message", message,
                                    "lastUpdateTime", time_of(time_us), "lastTransitionTime",
                                    time_of(time_us)));
}

static const char *
succeeded_reason(enum assay_study_reason reason)
{
    switch (reason) {
    case ASSAY_STUDY_REASON_TARGET_REACHED:
        return "ExperimentGoalReached";
    case ASSAY_STUDY_REASON_SPACE_EXHAUSTED:
        return "ExperimentSuggestionEndReached";
    default:
        return "ExperimentMaxTrialsReached";
    }
}

static const char *
succeeded_message(enum assay_study_reason reason)
{
    switch (reason) {
    case ASSAY_STUDY_REASON_TARGET_REACHED:
        return "Experiment has succeeded because Objective goal has reached";
    case ASSAY_STUDY_REASON_SPACE_EXHAUSTED:
        return "Experiment has succeeded because suggestion service has reached the end";
    case ASSAY_STUDY_REASON_TRIALS_DONE:
        return "Experiment has succeeded because max trial count has reached";
    default:
        return NULL;
    }
}

static json_t *
conditions_of(const struct assay_study_record *record)
{
    const char *message = record->message != NULL ? record->message : "";
    bool over = assay_study_state_is_final(record->state);
    json_t *conditions = json_array();

    add_condition(conditions, "Created", true, "ExperimentCreated", "Experiment is created",
                  record->created_us);
    if (record->started_us != ASSAY_TIME_NONE || over)
        add_condition(conditions, "Running", !over, "ExperimentRunning", "Experiment is running",
                      over ? record->finished_us : record->started_us);
    switch (record->state) {
    case ASSAY_STUDY_SUCCEEDED:
        add_condition(conditions, "Succeeded", true, succeeded_reason(record->reason),
                      succeeded_message(record->reason) != NULL ? succeeded_message(record->reason)
                                                                : message,
                      record->finished_us);
        break;
    case ASSAY_STUDY_FAILED:
        add_condition(conditions, "Failed", true, "ExperimentFailed",
                      record->reason == ASSAY_STUDY_REASON_FAILED_TRIALS_LIMIT
                          ? "Experiment has failed because max failed count has reached"
                          : message,
                      record->finished_us);
        break;
    case ASSAY_STUDY_CANCELLED:
        add_condition(conditions, "Failed", true, "ExperimentKilled", message,
                      record->finished_us);
        break;
    default:
        break;
    }
    return conditions;
}

/* Katib's observation has all numbers as strings. */
static json_t *
metric_of(const struct assay_katib_view *view, const char *name)
{
    const json_t *summary = json_object_get(view->summaries, name);
    json_t *last = json_object_get(json_object_get(view->record->best, "metrics"), name);

    if (summary == NULL && last == NULL)
        return NULL;
    return json_pack("{s:s, s:o, s:o, s:o}", "name", name, "min",
                     text_of(summary != NULL ? json_array_get(summary, 0) : last), "max",
                     text_of(summary != NULL ? json_array_get(summary, 1) : last), "latest",
                     text_of(summary != NULL ? json_array_get(summary, 2) : last));
}

static json_t *
observation_of(const struct assay_katib_view *view)
{
    const json_t *document = view->record->document;
    const json_t *objectives = json_object_get(document, "objectives");
    const json_t *additional = json_object_get(
        json_object_get(json_object_get(origin_of(view->record), "spec"), "objective"),
        "additionalMetricNames");
    const json_t *lists[] = {objectives, additional};
    json_t *metrics = json_array();

    for (size_t k = 0; k < ASSAY_COUNT(lists); k++) {
        for (size_t i = 0; i < json_array_size(lists[k]); i++) {
            const json_t *item = json_array_get(lists[k], i);
            const char *name = json_string_value(
                json_is_object(item) ? json_object_get(item, "metric") : item);
            json_t *metric = name != NULL ? metric_of(view, name) : NULL;

            if (metric != NULL)
                json_array_append_new(metrics, metric);
        }
    }
    return json_pack("{s:o}", "metrics", metrics);
}

static json_t *
optimal_of(const struct assay_katib_view *view)
{
    const struct assay_study_record *record = view->record;
    assay_auto_free char *name = NULL;
    json_t *assignments;
    const char *key;
    json_t *value;

    if (view->best == 0)
        return json_pack("{s:s, s:n, s:{s:n}}", "bestTrialName", "", "parameterAssignments",
                         "observation", "metrics");
    name = assay_format("%s-%lld", record->name, (long long)view->best);
    assignments = json_array();
    assay_json_each (json_object_get(record->best, "parameters"), key, value)
        json_array_append_new(assignments,
                              json_pack("{s:s, s:o}", "name", key, "value", text_of(value)));
    return json_pack("{s:s, s:o, s:o}", "bestTrialName", name, "parameterAssignments", assignments,
                     "observation", observation_of(view));
}

static json_t *
status_of(struct assay_katib_view *view)
{
    const struct assay_study_record *record = view->record;
    size_t total = 0;
    json_t *status =
        json_pack("{s:o, s:o, s:o}", "startTime", time_of(record->created_us), "lastReconcileTime",
                  time_of(view->last_us), "conditions", conditions_of(record));

    if (record->finished_us != ASSAY_TIME_NONE)
        json_object_set_new(status, "completionTime", time_of(record->finished_us));
    json_object_set_new(status, "currentOptimalTrial", optimal_of(view));
    for (size_t i = 0; i < LISTS; i++) {
        size_t n = json_array_size(view->lists[i]);

        if (n > 0) {
            json_object_set(status, list_keys[i], view->lists[i]);
            json_object_set_new(status, count_keys[i], json_integer((json_int_t)n));
        }
        total += n;
    }
    if (total > 0)
        json_object_set_new(status, "trials", json_integer((json_int_t)total));
    return status;
}

json_t *
assay_katib_view_finish(struct assay_katib_view *view)
{
    const struct assay_study_record *record = view->record;
    const json_t *origin = origin_of(record);
    json_t *metadata = json_deep_copy(json_object_get(origin, "metadata"));
    json_t *spec = origin != NULL ? json_deep_copy(json_object_get(origin, "spec"))
                                  : own_spec(record->document);
    json_t *experiment;

    if (metadata == NULL)
        metadata = json_object();
    json_object_set_new(metadata, "name", json_string(record->name));
    json_object_del(metadata, "generateName");
    json_object_set_new(metadata, "creationTimestamp", time_of(record->created_us));
    set_limits(spec, record->document, origin != NULL);
    add_defaults(spec);
    experiment = json_pack("{s:s, s:s, s:o, s:o, s:o}", "apiVersion", ASSAY_KATIB_VERSION, "kind",
                           "Experiment", "metadata", metadata, "spec", spec, "status",
                           status_of(view));
    for (size_t i = 0; i < LISTS; i++)
        json_decref(view->lists[i]);
    json_decref(view->summaries);
    free(view);
    return experiment;
}
