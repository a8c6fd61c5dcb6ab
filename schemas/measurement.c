/* Measurements and final metrics as workers send them. */

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/trial.h"

void
assay_measurements_add(struct assay_measurements *list, int64_t step, int64_t time_us,
                       const char *metric, double value)
{
    ASSAY_GROW(list->items, list->count, list->capacity);
    list->items[list->count++] = (struct assay_measurement){
        .step = step, .time_us = time_us, .metric = assay_strdup(metric), .value = value};
}

static void
forget_from(struct assay_measurements *list, size_t first)
{
    while (list->count > first)
        free(list->items[--list->count].metric);
}

void
assay_measurements_done(struct assay_measurements *list)
{
    forget_from(list, 0);
    free(list->items);
    *list = (struct assay_measurements){0};
}

/* One member of a `metrics` object; false with a fault. */
static bool
decode_metric(const char *name, const json_t *json, const char *pointer,
              struct assay_faults *faults, double *ret_value)
{
    assay_auto_free char *at = NULL;

    if (assay_metric_name_valid(name) && assay_json_get_real(json, ret_value))
        return true;
    at = assay_pointer_key(pointer, name);
    if (!assay_metric_name_valid(name))
        assay_fault_add(faults, at, NULL,
                        "1 to 255 bytes without control characters and without blanks at the ends",
                        "not a valid metric name");
    else
        assay_fault_add(faults, at, json, "a number, \"nan\", \"inf\" or \"-inf\"",
                        "the value of a metric must be a number");
    return false;
}

static bool
check_metrics_object(const json_t *object, const char *pointer, struct assay_faults *faults)
{
    if (!json_is_object(object)) {
        assay_fault_type(faults, pointer, object, "an object of metric values");
        return false;
    }
    if (json_object_size(object) > ASSAY_METRICS_PER_STUDY_MAX) {
        assay_fault_add(faults, pointer, NULL, "at most 1000 metrics", "there are too many metrics");
        return false;
    }
    return true;
}

bool
assay_metrics_decode(const json_t *object, const char *pointer, struct assay_faults *faults,
                     json_t **ret_metrics)
{
    size_t before = faults->count;
    json_t *metrics, *json;
    const char *name;
    double value;

    if (!check_metrics_object(object, pointer, faults))
        return false;
    metrics = json_object();
    assay_json_each (object, name, json) {
        if (decode_metric(name, json, pointer, faults, &value))
            json_object_set_new(metrics, name, assay_json_real(value));
    }
    if (faults->count != before) {
        json_decref(metrics);
        return false;
    }
    *ret_metrics = metrics;
    return true;
}

struct measurement_file {
    int64_t step, time_us;
    const json_t *metrics;
};

static void
decode_time(void *target, const json_t *value, const char *pointer, struct assay_faults *faults)
{
    struct measurement_file *file = target;

    if (!json_is_string(value) || !assay_parse_time(json_string_value(value), &file->time_us))
        assay_fault_add(faults, pointer, value, "a time such as 2026-01-02T03:04:05.123456Z",
                        "time is malformed");
}

static const struct assay_field measurement_fields[] = {
    {.key = "step", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = ASSAY_INT_EXACT,
     .offset = offsetof(struct measurement_file, step)},
    {.key = "time", .kind = ASSAY_FIELD_CALL, .call = decode_time},
    {.key = "metrics", .kind = ASSAY_FIELD_ANY, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct measurement_file, metrics)},
};

static void
decode_measurement(const json_t *json, const char *pointer, int64_t *next_step, int64_t now_us,
                   struct assay_faults *faults, struct assay_measurements *list)
{
    struct measurement_file file = {.step = *next_step, .time_us = now_us};
    assay_auto_free char *at = assay_pointer_key(pointer, "metrics");
    const char *name;
    json_t *value;
    double number;

    if (!assay_decode_object(json, pointer, measurement_fields, ASSAY_COUNT(measurement_fields),
                             &file, faults) ||
        !check_metrics_object(file.metrics, at, faults))
        return;
    assay_json_each (file.metrics, name, value) {
        if (decode_metric(name, value, at, faults, &number))
            assay_measurements_add(list, file.step, file.time_us, name, number);
    }
    *next_step = ASSAY_MAX(*next_step, file.step + 1);
}

bool
assay_measurements_decode(const json_t *array, const char *pointer, int64_t next_step,
                          int64_t now_us, struct assay_faults *faults,
                          struct assay_measurements *ret_list)
{
    size_t before = faults->count, first = ret_list->count;

    if (!json_is_array(array)) {
        assay_fault_type(faults, pointer, array, "an array of measurements");
        return false;
    }
    if (json_array_size(array) > ASSAY_MEASUREMENTS_PER_CALL_MAX) {
        assay_fault_add(faults, pointer, NULL, "at most 10000 measurements in one call",
                        "there are too many measurements");
        return false;
    }
    for (size_t i = 0; i < json_array_size(array); i++) {
        assay_auto_free char *at = assay_pointer_index(pointer, i);

        decode_measurement(json_array_get(array, i), at, &next_step, now_us, faults, ret_list);
    }
    if (faults->count == before)
        return true;
    forget_from(ret_list, first);
    return false;
}
