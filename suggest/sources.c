#include "suggest/sources.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "suggest/transform.h"

/* Thinned out to half of it when so many have gathered. */
#define GATHERED_MAX 8192
/* Values of parameters kept of one source. */
#define CELLS_MAX 30000
/* The best of each source that may be tried first. */
#define CANDIDATES_PER_SOURCE 50
#define NEIGHBOURS 3
/* A smaller gain of the mean normalised value is none. */
#define GAIN_MIN 1e-3
/* Closer points are near: root mean square over the dimensions of the unit cube. */
#define NEAR 0.1

/* A trial that carries over. */
struct carried {
    int64_t number;
    enum assay_trial_state state;
    double *point;       /* n_parameters */
    double *unit;        /* n_dimensions, NaN where inactive; NULL until its source is ended */
    double *values;      /* n_objectives, as measured */
    double forecast;     /* of the first, if it was stopped; NaN = none */
    double *constraints; /* n_constraints, as measured; NaN = not */
    double budget;
    int64_t steps;
    double rank; /* of its values among all; the lower the better */
};

struct source {
    char *name;
    bool try_best;
    struct carried *trials; /* by number; once ended, at most kept_max of them */
    size_t n_trials, capacity;
    size_t n_ended, n_valued; /* trials that ended well; those of them with values */
    size_t n_carried;         /* also those thinned out */
    bool *has;                /* per parameter: some trial gives it */
    size_t *refused;          /* per parameter: trials whose value is not allowed */
    size_t n_shared;
};

struct assay_sources {
    const struct assay_study_spec *spec;
    struct assay_view *view;
    struct assay_transform transform;
    struct source *items;
    size_t n, capacity;
};

struct assay_sources *
assay_sources_new(const struct assay_study_spec *spec)
{
    struct assay_sources *sources = ASSAY_NEW(struct assay_sources);

    sources->spec = spec;
    sources->view = assay_view_new(spec->space);
    assay_transform_init(&sources->transform, assay_view_space(sources->view));
    return sources;
}

static void
carried_done(struct carried *trial)
{
    free(trial->point);
    free(trial->unit);
    free(trial->values);
    free(trial->constraints);
}

struct assay_sources *
assay_sources_free(struct assay_sources *sources)
{
    if (sources == NULL)
        return NULL;
    for (size_t i = 0; i < sources->n; i++) {
        struct source *source = &sources->items[i];

        for (size_t k = 0; k < source->n_trials; k++)
            carried_done(&source->trials[k]);
        free(source->trials);
        free(source->name);
        free(source->has);
        free(source->refused);
    }
    free(sources->items);
    assay_transform_done(&sources->transform);
    assay_view_free(sources->view);
    free(sources);
    return NULL;
}

void
assay_sources_begin(struct assay_sources *sources, const char *name, bool try_best)
{
    size_t n_parameters = sources->spec->space->n_parameters;
    struct source *source;

    ASSAY_GROW(sources->items, sources->n, sources->capacity);
    source = &sources->items[sources->n++];
    *source = (struct source){
        .name = assay_strdup(name),
        .try_best = try_best,
        .has = assay_zalloc(n_parameters, sizeof *source->has),
        .refused = assay_zalloc(n_parameters, sizeof *source->refused),
    };
}

/* --- carrying over --- */

/* False when a value has no place in the space: `refused` counts which. */
static bool
translate(const struct assay_space *space, const json_t *parameters, size_t *refused,
          double *ret_point)
{
    bool fits = true;

    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_parameter *parameter = &space->parameters[i];
        const json_t *value = json_object_get(parameters, parameter->name);
        struct assay_faults faults = {0};

        ret_point[i] = NAN;
        if (!assay_point_active(space, ret_point, i))
            continue;
        if (value == NULL) {
            ret_point[i] = assay_parameter_middle(parameter);
        } else if (!assay_parameter_decode(parameter, value, "", &faults, &ret_point[i])) {
            refused[i]++;
            fits = false;
            ret_point[i] = assay_parameter_middle(parameter); /* its children are looked at too */
        }
        assay_faults_done(&faults);
    }
    return fits;
}

static bool
read_values(const struct assay_study_spec *spec, const json_t *metrics, double *ret_values)
{
    for (size_t k = 0; k < spec->n_objectives; k++) {
        if (!assay_json_get_real(json_object_get(metrics, spec->objectives[k].metric),
                                 &ret_values[k]) ||
            !isfinite(ret_values[k]))
            return false;
    }
    return true;
}

static double
measured(const json_t *metrics, const char *metric)
{
    double value;

    return assay_json_get_real(json_object_get(metrics, metric), &value) ? value : NAN;
}

static void
note_parameters(const struct assay_space *space, const json_t *parameters, struct source *source)
{
    for (size_t i = 0; i < space->n_parameters; i++) {
        if (!source->has[i] && json_object_get(parameters, space->parameters[i].name) != NULL) {
            source->has[i] = true;
            source->n_shared++;
        }
    }
}

/* --- ranking and thinning out --- */

struct keyed {
    double key;
    int64_t number; /* decides between equals */
    size_t index;
};

static int
compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static double
sign_of(const struct assay_study_spec *spec, size_t objective)
{
    return spec->objectives[objective].goal == ASSAY_GOAL_MAXIMIZE ? -1.0 : 1.0;
}

/* Trials in order of one objective, the best first. */
static struct keyed *
order_by_objective(const struct assay_study_spec *spec, const struct source *source, size_t k)
{
    struct keyed *order = assay_alloc(source->n_trials + 1, sizeof *order);

    for (size_t i = 0; i < source->n_trials; i++)
        order[i] = (struct keyed){sign_of(spec, k) * source->trials[i].values[k],
                                  source->trials[i].number, i};
    qsort(order, source->n_trials, sizeof *order, compare_keyed);
    return order;
}

/* The sum over the objectives of a trial's place. */
static void
rank_trials(const struct assay_study_spec *spec, struct source *source)
{
    for (size_t i = 0; i < source->n_trials; i++)
        source->trials[i].rank = 0.0;
    for (size_t k = 0; k < spec->n_objectives; k++) {
        struct keyed *order = order_by_objective(spec, source, k);

        for (size_t i = 0; i < source->n_trials; i++)
            source->trials[order[i].index].rank += (double)i;
        free(order);
    }
}

static struct keyed *
order_by_rank(const struct source *source)
{
    struct keyed *order = assay_alloc(source->n_trials + 1, sizeof *order);

    for (size_t i = 0; i < source->n_trials; i++)
        order[i] = (struct keyed){source->trials[i].rank, source->trials[i].number, i};
    qsort(order, source->n_trials, sizeof *order, compare_keyed);
    return order;
}

/* Keeps at most `max` (>= 2): the best half of that, and of the others every so
 * many in order of rank, the last included. */
static void
thin_out(const struct assay_study_spec *spec, struct source *source, size_t max)
{
    size_t best = max / 2, spread = max - best, rest, kept = 0;
    struct keyed *order;
    bool *keep;

    if (source->n_trials <= max)
        return;
    rank_trials(spec, source);
    order = order_by_rank(source);
    keep = assay_zalloc(source->n_trials, sizeof *keep);
    rest = source->n_trials - best;
    for (size_t i = 0; i < best; i++)
        keep[order[i].index] = true;
    for (size_t i = 1; i <= spread; i++)
        keep[order[best + i * rest / spread - 1].index] = true;
    for (size_t i = 0; i < source->n_trials; i++) {
        if (keep[i])
            source->trials[kept++] = source->trials[i];
        else
            carried_done(&source->trials[i]);
    }
    source->n_trials = kept;
    free(order);
    free(keep);
}

static size_t
kept_max(const struct assay_study_spec *spec)
{
    return ASSAY_MAX(ASSAY_MIN(ASSAY_SOURCE_TRIALS_MAX, CELLS_MAX / spec->space->n_parameters), 2);
}

void
assay_sources_add(struct assay_sources *sources, const struct assay_trial *trial)
{
    const struct assay_study_spec *spec = sources->spec;
    struct source *source = &sources->items[sources->n - 1];
    struct carried carried = {
        .number = trial->number,
        .state = trial->state,
        .budget = trial->budget,
        .steps = trial->last_step,
        .forecast = assay_trial_forecast(trial, spec->objectives[0].metric),
    };

    if (trial->state != ASSAY_TRIAL_SUCCEEDED && trial->state != ASSAY_TRIAL_STOPPED)
        return;
    source->n_ended++;
    note_parameters(spec->space, trial->parameters, source);
    carried.values = assay_alloc(spec->n_objectives, sizeof *carried.values);
    carried.point = assay_alloc(spec->space->n_parameters, sizeof *carried.point);
    if (!read_values(spec, trial->metrics, carried.values)) {
        carried_done(&carried);
        return;
    }
    source->n_valued++;
    if (!translate(spec->space, trial->parameters, source->refused, carried.point)) {
        carried_done(&carried);
        return;
    }
    source->n_carried++;
    carried.constraints = assay_alloc(spec->n_constraints + 1, sizeof *carried.constraints);
    for (size_t k = 0; k < spec->n_constraints; k++)
        carried.constraints[k] = measured(trial->metrics, spec->constraints[k].metric);
    ASSAY_GROW(source->trials, source->n_trials, source->capacity);
    source->trials[source->n_trials++] = carried;
    if (source->n_trials >= GATHERED_MAX)
        thin_out(spec, source, GATHERED_MAX / 2);
}

static assay_status
fail_parameters(const struct assay_study_spec *spec, const struct source *source,
                struct assay_error *err)
{
    const struct assay_space *space = spec->space;
    size_t worst = 0;

    if (source->n_shared == 0)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "its trials have none of this study's parameters");
    for (size_t i = 1; i < space->n_parameters; i++) {
        if (source->refused[i] > source->refused[worst])
            worst = i;
    }
    return assay_fail(err, ASSAY_E_INVALID_VALUE,
                      "none of its %zu trials lies in the space of this study: the value of %s is "
                      "not allowed here in %zu of them",
                      source->n_valued, space->parameters[worst].name, source->refused[worst]);
}

/* Where the point lies in the unit cube. */
static double *
unit_of(const struct assay_transform *transform, const double *point)
{
    double *unit = assay_alloc(transform->n_dimensions + 1, sizeof *unit);

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        double value = point[transform->dimensions[d].parameter];

        unit[d] = isnan(value) ? NAN : assay_transform_unit(transform, d, value);
    }
    return unit;
}

assay_status
assay_sources_end(struct assay_sources *sources, struct assay_error *err)
{
    const struct assay_study_spec *spec = sources->spec;
    struct source *source = &sources->items[sources->n - 1];

    if (source->n_ended == 0)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "it has no trial yet that succeeded or was stopped early");
    if (source->n_valued == 0)
        return assay_fail(err, ASSAY_E_INVALID_VALUE,
                          "none of its %zu ended trials has a finite value of %s%s",
                          source->n_ended, spec->objectives[0].metric,
                          spec->n_objectives > 1 ? " and the other objectives" : "");
    if (source->n_shared == 0 || source->n_carried == 0)
        return fail_parameters(spec, source, err);
    thin_out(spec, source, kept_max(spec));
    rank_trials(spec, source);
    for (size_t i = 0; i < source->n_trials; i++)
        source->trials[i].unit = unit_of(&sources->transform, source->trials[i].point);
    return ASSAY_OK;
}

/* --- which sources --- */

static bool
better_source(const struct source *a, const struct source *b)
{
    if (a->n_shared != b->n_shared)
        return a->n_shared > b->n_shared;
    return a->n_carried > b->n_carried;
}

/* The chosen ones in the order given; returns how many. */
static size_t
choose_sources(const struct assay_sources *sources, const struct source *ret_chosen[])
{
    size_t n = 0;

    for (size_t i = 0; i < sources->n; i++) {
        size_t better = 0;

        if (sources->items[i].n_trials == 0)
            continue;
        for (size_t k = 0; k < sources->n; k++)
            better += better_source(&sources->items[k], &sources->items[i]) ||
                      (k < i && !better_source(&sources->items[i], &sources->items[k]));
        if (better < ASSAY_SOURCES_MAX)
            ret_chosen[n++] = &sources->items[i];
    }
    return n;
}

static json_t *
encode_numbers(const double *numbers, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, isnan(numbers[i]) ? json_null() : assay_json_real(numbers[i]));
    return list;
}

static json_t *
encode_trial(const struct assay_study_spec *spec, const struct carried *trial)
{
    json_t *json =
        json_pack("{s:I, s:s, s:o, s:o, s:o, s:o, s:I}", "number", (json_int_t)trial->number,
                  "state", assay_trial_state_name(trial->state), "parameters",
                  assay_point_encode(spec->space, trial->point), "values",
                  encode_numbers(trial->values, spec->n_objectives), "constraints",
                  encode_numbers(trial->constraints, spec->n_constraints), "budget",
                  isnan(trial->budget) ? json_null() : json_real(trial->budget), "steps",
                  (json_int_t)trial->steps);

    if (!isnan(trial->forecast))
        json_object_set_new(json, "forecast", json_real(trial->forecast));
    return json;
}

json_t *
assay_sources_encode(const struct assay_sources *sources)
{
    const struct source *chosen[ASSAY_SOURCES_MAX];
    size_t n = choose_sources(sources, chosen);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *trials = json_array();

        for (size_t k = 0; k < chosen[i]->n_trials; k++)
            json_array_append_new(trials, encode_trial(sources->spec, &chosen[i]->trials[k]));
        json_array_append_new(list,
                              json_pack("{s:s, s:o}", "name", chosen[i]->name, "trials", trials));
    }
    return list;
}

/* --- what to try first --- */

/* One objective of one source. */
struct task {
    const struct source *source;
    double *badness; /* per trial: 0 the best, 1 the median or worse */
};

struct candidate {
    const struct source *source;
    size_t trial;
    double *badness; /* per task */
    double mean, own; /* over all tasks, and over those of its source */
    bool out; /* chosen, or not to be chosen */
};

struct choosing {
    const struct assay_study_spec *spec;
    const struct assay_transform *transform;
    struct task *tasks;
    size_t n_tasks;
    struct candidate *candidates;
    size_t n_candidates;
    double *best; /* per task: of what was chosen */
    size_t chosen[ASSAY_SOURCES_FIRST_MAX], n_chosen;
};

static bool
violates(const struct assay_study_spec *spec, const struct carried *trial)
{
    for (size_t k = 0; k < spec->n_constraints; k++) {
        if (trial->constraints[k] < spec->constraints[k].min ||
            trial->constraints[k] > spec->constraints[k].max)
            return true;
    }
    return false;
}

static struct task
make_task(const struct assay_study_spec *spec, const struct source *source, size_t k)
{
    struct task task = {source, assay_alloc(source->n_trials, sizeof(double))};
    struct keyed *order = order_by_objective(spec, source, k);
    double best = order[0].key, width = order[source->n_trials / 2].key - best;

    for (size_t i = 0; i < source->n_trials; i++) {
        const struct carried *trial = &source->trials[i];
        double above = sign_of(spec, k) * trial->values[k] - best;

        task.badness[i] = above <= 0.0 ? 0.0 : width > 0.0 ? ASSAY_MIN(above / width, 1.0) : 1.0;
        if (violates(spec, trial))
            task.badness[i] = 1.0;
    }
    free(order);
    return task;
}

/* Of two places in the unit cube.  Mean square over the dimensions; choices that differ, and active against not,
 * are 1 apart. */
static double
distance2(const struct choosing *choosing, const double *a, const double *b)
{
    const struct assay_transform *transform = choosing->transform;
    double sum = 0.0;

    for (size_t d = 0; d < transform->n_dimensions; d++) {
        uint32_t type = transform->space->parameters[transform->dimensions[d].parameter]->type;
        double apart = a[d] - b[d];

        if (a[d] == b[d] || (isnan(a[d]) && isnan(b[d])))
            continue;
        if (isnan(apart) || type == ASSAY_PLUGIN_CATEGORICAL || type == ASSAY_PLUGIN_BOOL)
            apart = 1.0;
        sum += apart * apart;
    }
    return transform->n_dimensions > 0 ? sum / (double)transform->n_dimensions : 0.0;
}

/* What the task says of a point: the nearest three, by inverse square distance, or
 * the mean of those at the very place. */
static double
interpolate(const struct choosing *choosing, const struct task *task, const double *unit)
{
    double nearest[NEIGHBOURS], badness[NEIGHBOURS];
    double sum = 0.0, weights = 0.0, here = 0.0;
    size_t n = 0, n_here = 0;

    for (size_t i = 0; i < task->source->n_trials; i++) {
        double distance = distance2(choosing, unit, task->source->trials[i].unit);
        size_t at;

        if (distance <= 0.0) {
            here += task->badness[i];
            n_here++;
            continue;
        }
        if (n == NEIGHBOURS && distance >= nearest[n - 1])
            continue;
        at = n < NEIGHBOURS ? n++ : n - 1;
        for (; at > 0 && nearest[at - 1] > distance; at--) {
            nearest[at] = nearest[at - 1];
            badness[at] = badness[at - 1];
        }
        nearest[at] = distance;
        badness[at] = task->badness[i];
    }
    if (n_here > 0)
        return here / (double)n_here;
    for (size_t i = 0; i < n; i++) {
        sum += badness[i] / nearest[i];
        weights += 1.0 / nearest[i];
    }
    return n > 0 ? sum / weights : 1.0;
}

static bool
starts_with(const struct assay_study_spec *spec, const double *point)
{
    for (size_t i = 0; i < spec->n_start_with; i++) {
        if (assay_point_equal(spec->space, spec->start_with[i], point))
            return true;
    }
    return false;
}

static void
add_candidate(struct choosing *choosing, const struct source *source, size_t trial)
{
    struct candidate *candidate = &choosing->candidates[choosing->n_candidates++];

    *candidate = (struct candidate){
        .source = source,
        .trial = trial,
        .badness = assay_alloc(choosing->n_tasks, sizeof(double)),
    };
    for (size_t t = 0; t < choosing->n_tasks; t++) {
        const struct task *task = &choosing->tasks[t];

        candidate->badness[t] =
            task->source == source
                ? task->badness[trial]
                : interpolate(choosing, task, source->trials[trial].unit);
        candidate->mean += candidate->badness[t] / (double)choosing->n_tasks;
        if (task->source == source)
            candidate->own += candidate->badness[t];
    }
}

static void
add_candidates(struct choosing *choosing, const struct source *source)
{
    struct keyed *order = order_by_rank(source);
    size_t n = 0;

    for (size_t i = 0; i < source->n_trials && n < CANDIDATES_PER_SOURCE; i++) {
        const struct carried *trial = &source->trials[order[i].index];

        if (violates(choosing->spec, trial) || starts_with(choosing->spec, trial->point))
            continue;
        add_candidate(choosing, source, order[i].index);
        n++;
    }
    free(order);
}

static double
gain_of(const struct choosing *choosing, const struct candidate *candidate)
{
    double gain = 0.0;

    for (size_t t = 0; t < choosing->n_tasks; t++)
        gain += ASSAY_MAX(choosing->best[t] - candidate->badness[t], 0.0);
    return gain / (double)choosing->n_tasks;
}

static bool
near_chosen(const struct choosing *choosing, const struct candidate *candidate)
{
    const double *unit = candidate->source->trials[candidate->trial].unit;

    for (size_t i = 0; i < choosing->n_chosen; i++) {
        const struct candidate *other = &choosing->candidates[choosing->chosen[i]];

        if (distance2(choosing, unit, other->source->trials[other->trial].unit) < NEAR * NEAR)
            return true;
    }
    return false;
}

/* The candidate of the largest gain, or else the best that is not near one chosen
 * and better than the sources' medians; n_candidates when there is none. */
static size_t
next_choice(struct choosing *choosing)
{
    size_t gaining = choosing->n_candidates, apart = choosing->n_candidates;
    double gain = GAIN_MIN, own = INFINITY, mean = 1.0;

    for (size_t i = 0; i < choosing->n_candidates; i++) {
        struct candidate *candidate = &choosing->candidates[i];
        double its_gain;

        if (candidate->out)
            continue;
        its_gain = gain_of(choosing, candidate);
        /* One place may stand in several sources: the one that thinks best of it. */
        if (its_gain > gain || (its_gain >= gain && candidate->own < own)) {
            gain = its_gain;
            own = candidate->own;
            gaining = i;
        }
        if (candidate->mean < mean && !near_chosen(choosing, candidate)) {
            mean = candidate->mean;
            apart = i;
        }
    }
    return gaining < choosing->n_candidates ? gaining : apart;
}

static void
choose(struct choosing *choosing, size_t count)
{
    while (choosing->n_chosen < count) {
        size_t next = next_choice(choosing);

        if (next == choosing->n_candidates)
            return;
        choosing->chosen[choosing->n_chosen++] = next;
        choosing->candidates[next].out = true;
        for (size_t t = 0; t < choosing->n_tasks; t++)
            choosing->best[t] =
                ASSAY_MIN(choosing->best[t], choosing->candidates[next].badness[t]);
    }
}

static json_t *
encode_first(const struct choosing *choosing)
{
    json_t *list = json_array();

    for (size_t i = 0; i < choosing->n_chosen; i++) {
        const struct candidate *candidate = &choosing->candidates[choosing->chosen[i]];
        const struct carried *trial = &candidate->source->trials[candidate->trial];
        json_t *why = json_pack("{s:s, s:s, s:I, s:o}", "proposed_by", "warm_start", "source",
                                candidate->source->name, "trial", (json_int_t)trial->number,
                                "value", assay_json_real(trial->values[0]));

        json_array_append_new(
            list, json_pack("{s:o, s:o}", "parameters",
                            assay_point_encode(choosing->spec->space, trial->point), "why", why));
    }
    return list;
}

json_t *
assay_sources_first(const struct assay_sources *sources)
{
    const struct assay_study_spec *spec = sources->spec;
    const struct source *chosen[ASSAY_SOURCES_MAX];
    size_t n = choose_sources(sources, chosen), count = ASSAY_SOURCES_FIRST_MAX;
    struct choosing choosing = {.spec = spec, .transform = &sources->transform};
    json_t *list;

    if (spec->limits.trials > 0)
        count = (size_t)ASSAY_MIN((spec->limits.trials + 3) / 4, (int64_t)count);
    choosing.tasks = assay_alloc(n * spec->n_objectives + 1, sizeof *choosing.tasks);
    choosing.best = assay_alloc(n * spec->n_objectives + 1, sizeof *choosing.best);
    choosing.candidates = assay_alloc(n * CANDIDATES_PER_SOURCE + 1, sizeof *choosing.candidates);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < spec->n_objectives; k++) {
            choosing.best[choosing.n_tasks] = 1.0;
            choosing.tasks[choosing.n_tasks++] = make_task(spec, chosen[i], k);
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (chosen[i]->try_best)
            add_candidates(&choosing, chosen[i]);
    }
    choose(&choosing, count);
    list = encode_first(&choosing);
    for (size_t i = 0; i < choosing.n_tasks; i++)
        free(choosing.tasks[i].badness);
    for (size_t i = 0; i < choosing.n_candidates; i++)
        free(choosing.candidates[i].badness);
    free(choosing.tasks);
    free(choosing.best);
    free(choosing.candidates);
    return list;
}
