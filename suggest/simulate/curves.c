#include "suggest/simulate/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"
#include "schemas/point.h"
#include "suggest/transform.h"
#include "suggest/view.h"

/* Of a random stream; algorithms have those below. */
#define PURPOSE_PRIOR 0x1000u

struct assay_replay_curves {
    const struct assay_space *space;
    struct assay_view *view;
    struct assay_transform transform;
    size_t n;
    struct assay_replay_curve *curves;
    double *units; /* n x dimensions; NaN: inactive */
};

struct assay_replay_curves *
assay_replay_curves_free(struct assay_replay_curves *curves)
{
    if (curves == NULL)
        return NULL;
    for (size_t i = 0; i < curves->n; i++)
        assay_replay_curve_done(&curves->curves[i]);
    free(curves->curves);
    free(curves->units);
    assay_transform_done(&curves->transform);
    assay_view_free(curves->view);
    free(curves);
    return NULL;
}

void
assay_replay_curve_done(struct assay_replay_curve *curve)
{
    free(curve->steps);
    free(curve->values);
    *curve = (struct assay_replay_curve){0};
}

/* --- reading --- */

static assay_status
read_steps(const json_t *steps, struct assay_replay_curve *curve, struct assay_error *err)
{
    if (steps != NULL && json_array_size(steps) != curve->n)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "there are %zu steps for %zu values",
                          json_array_size(steps), curve->n);
    for (size_t i = 0; i < curve->n; i++) {
        double before = i > 0 ? curve->steps[i - 1] : 0.0;

        curve->steps[i] = (double)(i + 1);
        if (steps != NULL && !assay_json_get_real(json_array_get(steps, i), &curve->steps[i]))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "step %zu is not a number", i);
        if (!(curve->steps[i] > before) || !isfinite(curve->steps[i]))
            return assay_fail(err, ASSAY_E_INVALID_VALUE,
                              "steps are not above 0 and increasing at item %zu", i);
    }
    return ASSAY_OK;
}

static assay_status
read_record(const json_t *record, struct assay_replay_curve *curve, struct assay_error *err)
{
    const json_t *values = json_object_get(record, "values");
    const json_t *seconds = json_object_get(record, "seconds");
    const char *state = json_string_value(json_object_get(record, "state"));
    size_t n = json_array_size(values);

    if (n == 0 || n > ASSAY_CURVE_STEPS_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "values is not an array of 1 to %d items",
                          ASSAY_CURVE_STEPS_MAX);
    curve->n = n;
    curve->steps = assay_alloc(n, sizeof *curve->steps);
    curve->values = assay_alloc(n, sizeof *curve->values);
    curve->seconds_per_step = NAN;
    curve->fails = state != NULL && strcmp(state, "failed") == 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(values, i);

        curve->values[i] = NAN;
        if (!json_is_null(value) && !assay_json_get_real(value, &curve->values[i]))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "value %zu is not a number or null", i);
    }
    if (json_is_number(seconds) && json_number_value(seconds) >= 0.0)
        curve->seconds_per_step = json_number_value(seconds);
    else if (seconds != NULL && !json_is_null(seconds))
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "seconds is not a number of at least 0");
    assay_status status = read_steps(json_object_get(record, "steps"), curve, err);

    if (status == ASSAY_OK)
        curve->seconds_per_step /= curve->steps[n - 1];
    return status;
}

static assay_status
read_parameters(struct assay_replay_curves *curves, const json_t *record, size_t i,
                struct assay_error *err)
{
    const struct assay_transform *transform = &curves->transform;
    assay_auto_free double *point = assay_alloc(curves->space->n_parameters + 1, sizeof *point);
    double *unit = &curves->units[i * transform->n_dimensions];
    struct assay_faults faults = {0};
    assay_status status = ASSAY_OK;

    if (!assay_point_decode(curves->space, json_object_get(record, "parameters"), "/parameters",
                            true, &faults, point)) {
        status = assay_fail_at(err, ASSAY_E_INVALID_VALUE, faults.items[0].pointer, "%s",
                               faults.items[0].message);
    } else {
        assay_transform_encode(transform, point, unit);
        for (size_t d = 0; d < transform->n_dimensions; d++) {
            if (isnan(point[transform->dimensions[d].parameter]))
                unit[d] = NAN;
        }
    }
    assay_faults_done(&faults);
    return status;
}

assay_status
assay_replay_curves_new(const struct assay_space *space, const json_t *records,
                        struct assay_replay_curves **ret_curves, struct assay_error *err)
{
    size_t n = json_array_size(records);
    assay_status status = ASSAY_OK;
    struct assay_replay_curves *curves;

    if (n == 0 || n > ASSAY_CURVES_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "curves is not an array of 1 to %d records",
                          ASSAY_CURVES_MAX);
    curves = ASSAY_NEW(struct assay_replay_curves);
    curves->space = space;
    curves->view = assay_view_new(space);
    assay_transform_init(&curves->transform, assay_view_space(curves->view));
    curves->curves = assay_zalloc(n, sizeof *curves->curves);
    curves->units = assay_alloc(n * curves->transform.n_dimensions + 1, sizeof *curves->units);
    while (curves->n < n && status == ASSAY_OK) {
        size_t i = curves->n++;
        const json_t *record = json_array_get(records, i);

        status = read_record(record, &curves->curves[i], err);
        if (status == ASSAY_OK)
            status = read_parameters(curves, record, i, err);
        if (status != ASSAY_OK)
            (void)assay_wrap(err, "curve %zu", i + 1);
    }
    if (status == ASSAY_OK)
        *ret_curves = curves;
    else
        assay_replay_curves_free(curves);
    return status;
}

size_t
assay_replay_curves_count(const struct assay_replay_curves *curves)
{
    return curves->n;
}

/* --- finding --- */

static double
distance(const struct assay_replay_curves *curves, const double *point, const double *a,
         const double *b)
{
    const struct assay_transform *transform = &curves->transform;
    double sum = 0.0;

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        size_t i = transform->dimensions[d].parameter;
        uint32_t type = transform->space->parameters[i]->type;
        bool missing = isnan(point[i]), other_missing = isnan(b[d]);
        double apart = a[d] - b[d];

        if (missing || other_missing)
            sum += missing != other_missing ? 1.0 : 0.0;
        else if (type == ASSAY_PLUGIN_CATEGORICAL || type == ASSAY_PLUGIN_BOOL)
            sum += fabs(apart) > 1e-9 ? 1.0 : 0.0;
        else
            sum += apart * apart;
    }
    return sum;
}

const struct assay_replay_curve *
assay_replay_curves_find(const struct assay_replay_curves *curves, const double *point,
                         uint32_t *uses)
{
    size_t dimensions = curves->transform.n_dimensions, best = 0;
    assay_auto_free double *unit = assay_alloc(dimensions + 1, sizeof *unit);
    double nearest = INFINITY;

    assay_transform_encode(&curves->transform, point, unit);
    for (size_t i = 0; i < curves->n; i++) {
        double apart;

        if (uses[i] > uses[best])
            continue;
        apart = distance(curves, point, unit, &curves->units[i * dimensions]);
        if (uses[i] < uses[best] || apart < nearest) {
            nearest = apart;
            best = i;
        }
    }
    uses[best]++;
    return &curves->curves[best];
}

double
assay_replay_curve_at(const struct assay_replay_curve *curve, double step)
{
    size_t low = 0, high = curve->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (curve->steps[middle] <= step * (1.0 + 1e-12))
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? curve->values[low - 1] : NAN;
}

/* --- the prior --- */

void
assay_replay_curve_draw(struct assay_replay_curve *curve, uint64_t seed, int64_t number,
                        const double *steps, size_t n, double whole, bool maximize)
{
    struct assay_random random;
    double level, rate, shape;

    assay_random_init(&random, seed, (uint64_t)number, PURPOSE_PRIOR);
    level = assay_random_unit(&random);
    rate = exp(log(5.0) + assay_random_normal(&random));
    shape = exp(-0.5 + 0.3 * assay_random_normal(&random));
    *curve = (struct assay_replay_curve){
        .n = n,
        .steps = assay_memdup(steps, n * sizeof *steps),
        .values = assay_alloc(n, sizeof *curve->values),
        .seconds_per_step = NAN,
    };
    for (size_t i = 0; i < n; i++) {
        double value = level + (1.0 - level) * exp(-pow(rate * steps[i] / whole, shape)) +
                       0.01 * assay_random_normal(&random);

        curve->values[i] = maximize ? 1.0 - value : value;
    }
}
