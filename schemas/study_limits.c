#include <stdlib.h>
#include <string.h>

#include "schemas/decode.h"
#include "schemas/study_internal.h"

#define TRIALS_MAX 100000000.0
#define PARALLEL_MAX 1000000.0
#define AHEAD_MAX 1000.0

static const struct assay_field limit_fields[] = {
    {.key = "trials", .kind = ASSAY_FIELD_INT, .min = 1.0, .max = TRIALS_MAX,
     .offset = offsetof(struct assay_limits, trials)},
    {.key = "parallel", .kind = ASSAY_FIELD_INT, .min = 1.0, .max = PARALLEL_MAX,
     .offset = offsetof(struct assay_limits, parallel)},
    {.key = "ahead", .kind = ASSAY_FIELD_INT, .max = AHEAD_MAX,
     .offset = offsetof(struct assay_limits, ahead)},
    {.key = "failed_trials", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = TRIALS_MAX,
     .offset = offsetof(struct assay_limits, failed_trials)},
    {.key = "time", .kind = ASSAY_FIELD_DURATION, .flags = ASSAY_FIELD_ABOVE_MIN,
     .offset = offsetof(struct assay_limits, time_us)},
    {.key = "gpu_hours", .kind = ASSAY_FIELD_REAL, .flags = ASSAY_FIELD_ABOVE_MIN,
     .offset = offsetof(struct assay_limits, gpu_hours)},
};

static struct assay_limits
default_limits(bool runs_trials)
{
    return (struct assay_limits){.parallel = runs_trials ? 1 : 0, .failed_trials = -1};
}

void
assay__limits_decode(const json_t *limits, const char *pointer, bool runs_trials,
                     struct assay_limits *ret_limits, struct assay_faults *faults)
{
    *ret_limits = default_limits(runs_trials);
    if (limits != NULL)
        assay_decode_object(limits, pointer, limit_fields, ASSAY_COUNT(limit_fields), ret_limits,
                            faults);
}

struct patch_file {
    const json_t *limits;
};

static const struct assay_field patch_fields[] = {
    {.key = "limits", .kind = ASSAY_FIELD_OBJECT, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct patch_file, limits)},
};

bool
assay_limits_patch(const struct assay_limits *old, const json_t *patch, bool runs_trials,
                   struct assay_faults *faults, struct assay_limits *ret_limits)
{
    const struct assay_limits defaults = default_limits(runs_trials);
    struct assay_limits limits = *old;
    struct patch_file file = {0};

    if (!assay_decode_object(patch, "", patch_fields, ASSAY_COUNT(patch_fields), &file, faults))
        return false;
    for (size_t i = 0; i < ASSAY_COUNT(limit_fields); i++) {
        const struct assay_field *field = &limit_fields[i];

        /* null takes a limit away; the decoder would leave the old one. */
        if (json_is_null(json_object_get(file.limits, field->key)))
            memcpy((char *)&limits + field->offset, (const char *)&defaults + field->offset,
                   sizeof(int64_t));
    }
    if (!assay_decode_object(file.limits, "/limits", limit_fields, ASSAY_COUNT(limit_fields),
                             &limits, faults))
        return false;
    *ret_limits = limits;
    return true;
}
_Static_assert(sizeof(double) == sizeof(int64_t), "all limits have one size");

json_t *
assay_limits_encode(const struct assay_limits *limits, bool runs_trials)
{
    json_t *json = json_object();

    json_object_set_new(json, "trials",
                        limits->trials > 0 ? json_integer(limits->trials) : json_null());
    json_object_set_new(json, "parallel",
                        limits->parallel > 0 ? json_integer(limits->parallel) : json_null());
    if (limits->ahead > 0)
        json_object_set_new(json, "ahead", json_integer(limits->ahead));
    json_object_set_new(json, "failed_trials", limits->failed_trials >= 0
                                                   ? json_integer(limits->failed_trials)
                                                   : json_null());
    json_object_set_new(json, "time", limits->time_us > 0 ? assay_json_duration(limits->time_us)
                                                          : json_null());
    json_object_set_new(json, "gpu_hours",
                        limits->gpu_hours > 0.0 ? json_real(limits->gpu_hours) : json_null());
    ASSAY_ASSERT(!runs_trials || limits->parallel > 0);
    return json;
}
