#include "suggest/simulate/simulation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"
#include "schemas/point.h"
#include "suggest/needed_rule.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"
#include "suggest/rungs.h"
#include "suggest/stopping.h"

#define PURPOSE_SPEED 0x1001u
#define PRIOR_STEPS_MAX 1000
#define PROGRESS_MAX 10000
#define NEARLY (1.0 - 1e-9)

struct sim_trial {
    int64_t number;
    enum assay_trial_state state;
    json_t *parameters;
    const struct assay_replay_curve *curve;
    struct assay_replay_curve *own; /* when drawn */
    double seconds_per_step;
    double budget;  /* that it may use now */
    double reached; /* steps done in this process, or before it where it went on */
    size_t next;    /* record of the curve to come */
    double value;   /* the last; NaN: none */
    double forecast; /* of a stopped one; NaN: not known */
    double rungs[ASSAY_RUNGS_MAX];
    int64_t parent, resumed; /* 0: none; how often */
    size_t worker;
};

struct event {
    double time;
    uint64_t order; /* of equal times the first */
    size_t trial;   /* index */
};

struct worker {
    double since;      /* that it is busy, or free */
    double busy_time;  /* before that */
    double idle;       /* before the last new trial was begun */
    double idle_since; /* what may have come after it, up to `last_idle` */
    double last_idle;
    bool busy;
};

struct simulation {
    const struct assay_study_spec *spec;
    const struct assay_replay_curves *curves;
    const struct assay_simulation_options *options;
    struct assay_proposer *proposer;
    struct assay_stopping *stopping; /* NULL: none */
    const char *rule;                /* its name */
    bool decides_on_budgets, resumable, maximize;
    double rungs[ASSAY_RUNGS_MAX];
    size_t n_rungs;
    double whole;   /* budget; NaN: each curve has its own length */
    uint32_t *uses; /* of each recorded curve */
    double *prior_steps;
    size_t n_prior_steps;
    struct sim_trial *trials;
    size_t n_trials, trials_capacity;
    struct event *events; /* a heap, the first on top */
    size_t n_events, events_capacity;
    uint64_t order;
    struct worker *workers;
    size_t *free_workers; /* a ring: who waits longest goes first */
    size_t first_free, n_free;
    json_t *news;   /* trials to tell */
    bool exhausted; /* no new trial any more */
    double now, last_begun, used, whole_steps;
    double best;
    size_t best_trial; /* SIZE_MAX: none */
    double best_step;
    json_t *progress;
};

/* --- events --- */

static bool
is_before(const struct event *a, const struct event *b)
{
    return a->time < b->time || (a->time <= b->time && a->order < b->order);
}

static void
push_event(struct simulation *sim, double time, size_t trial)
{
    struct event event = {.time = time, .order = sim->order++, .trial = trial};
    size_t at = sim->n_events;

    ASSAY_GROW(sim->events, sim->n_events, sim->events_capacity);
    sim->n_events++;
    while (at > 0 && is_before(&event, &sim->events[(at - 1) / 2])) {
        sim->events[at] = sim->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->events[at] = event;
}

static struct event
pop_event(struct simulation *sim)
{
    struct event first = sim->events[0], last = sim->events[--sim->n_events];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < sim->n_events && is_before(&sim->events[child + 1], &sim->events[child]))
            child++;
        if (child >= sim->n_events || !is_before(&sim->events[child], &last))
            break;
        sim->events[at] = sim->events[child];
        at = child;
    }
    sim->events[at] = last;
    return first;
}

/* --- telling --- */

static json_t *
real_or_null(double value)
{
    return isnan(value) ? json_null() : assay_json_real(value);
}

static void
tell_later(struct simulation *sim, const struct sim_trial *trial)
{
    json_t *values = json_array(), *rungs = json_array(), *news;

    json_array_append_new(values, real_or_null(trial->value));
    for (size_t k = 0; k < sim->n_rungs; k++)
        json_array_append_new(rungs, real_or_null(trial->rungs[k]));
    news = json_pack("{s:I, s:s, s:O, s:o, s:o, s:f, s:I}", "number", (json_int_t)trial->number,
                     "state", assay_trial_state_name(trial->state), "parameters",
                     trial->parameters, "values", values, "rungs", rungs, "budget", trial->budget,
                     "steps",
                     trial->reached > 0.0 ? (json_int_t)floor(trial->reached) : (json_int_t)-1);
    if (!isnan(trial->forecast))
        json_object_set_new(news, "forecast", json_real(trial->forecast));
    json_array_append_new(sim->news, news);
}

static assay_status
tell(struct simulation *sim, struct assay_error *err)
{
    assay_status status;

    if (json_array_size(sim->news) == 0)
        return ASSAY_OK;
    status = assay_proposer_tell(sim->proposer, sim->news, err);
    json_array_clear(sim->news);
    return status;
}

/* --- a trial's way --- */

/* The next thing that happens to it: a record, or the end of its budget. */
static double
next_stop(const struct sim_trial *trial)
{
    if (trial->next < trial->curve->n && trial->curve->steps[trial->next] * NEARLY <= trial->budget)
        return fmin(trial->curve->steps[trial->next], trial->budget);
    return trial->curve->fails ? trial->reached : trial->budget;
}

static void
schedule(struct simulation *sim, size_t i, double delay)
{
    struct sim_trial *trial = &sim->trials[i];
    double stop = next_stop(trial);

    push_event(sim, sim->now + delay + (stop - trial->reached) * trial->seconds_per_step, i);
}

/* What a worker waited counts once a trial is begun after that: past the last one there
 * is nothing to do for all. */
static void
settle_idle(const struct simulation *sim, struct worker *worker)
{
    if (sim->last_begun >= worker->last_idle) {
        worker->idle += worker->idle_since;
        worker->idle_since = 0.0;
    }
}

static void
occupy(struct simulation *sim, struct worker *worker)
{
    settle_idle(sim, worker);
    worker->idle_since += sim->now - worker->since;
    worker->last_idle = sim->now;
    worker->since = sim->now;
    worker->busy = true;
}

static void
start(struct simulation *sim, size_t i)
{
    struct sim_trial *trial = &sim->trials[i];
    size_t worker = sim->free_workers[sim->first_free];

    sim->first_free = (sim->first_free + 1) % sim->options->workers;
    sim->n_free--;
    occupy(sim, &sim->workers[worker]);
    trial->worker = worker;
    trial->state = ASSAY_TRIAL_RUNNING;
    tell_later(sim, trial);
    schedule(sim, i, sim->options->start_seconds);
}

static void
release(struct simulation *sim, size_t worker)
{
    sim->free_workers[(sim->first_free + sim->n_free++) % sim->options->workers] = worker;
    sim->workers[worker].busy_time += sim->now - sim->workers[worker].since;
    sim->workers[worker].since = sim->now;
    sim->workers[worker].busy = false;
}

static void
note_best(struct simulation *sim, size_t i)
{
    const struct sim_trial *trial = &sim->trials[i];

    if (!isfinite(trial->value) ||
        (sim->best_trial != SIZE_MAX &&
         !(sim->maximize ? trial->value > sim->best : trial->value < sim->best)))
        return;
    sim->best = trial->value;
    sim->best_trial = i;
    sim->best_step = trial->reached;
    if (json_array_size(sim->progress) >= PROGRESS_MAX)
        json_array_remove(sim->progress, PROGRESS_MAX - 1);
    json_array_append_new(sim->progress,
                          json_pack("{s:f, s:f, s:I, s:f}", "seconds", sim->now, "steps", sim->used,
                                    "trials", (json_int_t)sim->n_trials, "value", trial->value));
}

static void
end(struct simulation *sim, size_t i, enum assay_trial_state state)
{
    struct sim_trial *trial = &sim->trials[i];
    size_t learned_from;

    trial->state = state;
    if (state == ASSAY_TRIAL_STOPPED)
        trial->forecast = assay_stopping_forecast(sim->stopping, trial->number, &learned_from);
    if (sim->stopping != NULL && state != ASSAY_TRIAL_PAUSED)
        assay_stopping_finish(sim->stopping, trial->number, state);
    tell_later(sim, trial);
    release(sim, trial->worker);
}

/* Moves the trial on to where it was scheduled to be; false when that ended its process. */
static bool
advance(struct simulation *sim, size_t i)
{
    struct sim_trial *trial = &sim->trials[i];
    bool recorded =
        trial->next < trial->curve->n && trial->curve->steps[trial->next] * NEARLY <= trial->budget;
    double stop = next_stop(trial);

    sim->used += stop - trial->reached;
    trial->reached = stop;
    if (recorded)
        trial->value = trial->curve->values[trial->next++];
    for (size_t k = 0; k < sim->n_rungs; k++) {
        if (stop >= sim->rungs[k] * NEARLY)
            trial->rungs[k] = assay_replay_curve_at(trial->curve, sim->rungs[k]);
    }
    note_best(sim, i);
    if (trial->curve->fails && trial->next >= trial->curve->n) {
        end(sim, i, ASSAY_TRIAL_FAILED);
        return false;
    }
    if (recorded && sim->stopping != NULL) {
        struct assay_decision decision;

        assay_stopping_report(sim->stopping, trial->number, (int64_t)llround(stop), trial->value,
                              &decision);
        if (decision.stop) {
            end(sim, i, ASSAY_TRIAL_STOPPED);
            return false;
        }
    }
    if (stop < trial->budget * NEARLY) {
        schedule(sim, i, 0.0);
        return true;
    }
    if (sim->decides_on_budgets && trial->budget < sim->whole * NEARLY)
        end(sim, i, ASSAY_TRIAL_PAUSED);
    else
        end(sim, i, isfinite(trial->value) ? ASSAY_TRIAL_SUCCEEDED : ASSAY_TRIAL_FAILED);
    return false;
}

/* --- asking --- */

static struct sim_trial *
find_trial(struct simulation *sim, json_int_t number)
{
    return number >= 1 && number <= (json_int_t)sim->n_trials ? &sim->trials[number - 1] : NULL;
}

static void
set_curve(struct simulation *sim, struct sim_trial *trial, const double *point)
{
    const struct assay_simulation_options *options = sim->options;
    struct assay_random random;

    if (sim->curves != NULL) {
        trial->curve = assay_replay_curves_find(sim->curves, point, sim->uses);
    } else {
        trial->own = ASSAY_NEW(struct assay_replay_curve);
        assay_replay_curve_draw(trial->own, sim->spec->seed, trial->number, sim->prior_steps,
                                sim->n_prior_steps, sim->prior_steps[sim->n_prior_steps - 1],
                                sim->maximize);
        trial->curve = trial->own;
    }
    trial->seconds_per_step = trial->curve->seconds_per_step;
    if (isnan(trial->seconds_per_step)) {
        assay_random_init(&random, sim->spec->seed, (uint64_t)trial->number, PURPOSE_SPEED);
        trial->seconds_per_step =
            options->seconds_per_step * exp(options->seconds_spread * assay_random_normal(&random));
    }
}

/* The records from which a process goes on that starts after `reached`. */
static size_t
record_after(const struct assay_replay_curve *curve, double reached)
{
    size_t next = 0;

    while (next < curve->n && curve->steps[next] * NEARLY <= reached)
        next++;
    return next;
}

static assay_status
begin(struct simulation *sim, const json_t *suggestion, struct assay_error *err)
{
    const json_t *budget = json_object_get(suggestion, "budget");
    const struct sim_trial *parent =
        find_trial(sim, json_integer_value(json_object_get(suggestion, "parent")));
    double reached = parent != NULL && sim->resumable ? parent->reached : 0.0;
    int64_t parent_number = parent != NULL ? parent->number : 0; /* the array may move */
    assay_auto_free double *point = assay_alloc(sim->spec->space->n_parameters + 1, sizeof *point);
    struct assay_faults faults = {0};
    struct sim_trial *trial;
    size_t i = sim->n_trials;

    if (!assay_point_decode(sim->spec->space, json_object_get(suggestion, "parameters"),
                            "/parameters", false, &faults, point)) {
        assay_status status = assay_fail(err, ASSAY_E_PLUGIN, "%s: %s", faults.items[0].pointer,
                                         faults.items[0].message);

        assay_faults_done(&faults);
        return status;
    }
    ASSAY_GROW(sim->trials, sim->n_trials, sim->trials_capacity);
    trial = &sim->trials[sim->n_trials++];
    *trial = (struct sim_trial){
        .number = (int64_t)i + 1,
        .parameters = json_incref(json_object_get(suggestion, "parameters")),
        .reached = reached,
        .value = NAN,
        .forecast = NAN,
        .parent = parent_number,
    };
    for (size_t k = 0; k < ASSAY_RUNGS_MAX; k++)
        trial->rungs[k] = NAN;
    set_curve(sim, trial, point);
    if (sim->stopping != NULL)
        assay_stopping_start(sim->stopping, trial->number, point);
    trial->next = record_after(trial->curve, reached);
    trial->budget = isnan(sim->whole) ? trial->curve->steps[trial->curve->n - 1] : sim->whole;
    sim->whole_steps += trial->budget;
    if (json_is_number(budget))
        trial->budget = fmin(json_number_value(budget), trial->budget);
    start(sim, i);
    sim->last_begun = sim->now;
    return ASSAY_OK;
}

static assay_status
go_on(struct simulation *sim, const json_t *suggestion, struct assay_error *err)
{
    json_int_t number = json_integer_value(json_object_get(suggestion, "resume"));
    struct sim_trial *trial = find_trial(sim, number);
    double budget = json_number_value(json_object_get(suggestion, "budget"));

    if (trial == NULL || trial->state != ASSAY_TRIAL_PAUSED || !(budget > trial->budget))
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "the algorithm resumed trial %lld, which can not go on",
                          (long long)number);
    trial->budget = budget;
    trial->resumed++;
    if (!sim->resumable) {
        trial->reached = 0.0;
        trial->next = 0;
    }
    start(sim, (size_t)number - 1);
    return ASSAY_OK;
}

/* Gives work to free workers as long as there is any. */
static assay_status
dispatch(struct simulation *sim, struct assay_error *err)
{
    bool may_begin = !sim->exhausted && (int64_t)sim->n_trials < sim->options->max_trials;
    assay_status status = ASSAY_OK;

    while (status == ASSAY_OK && sim->n_free > 0 && (may_begin || sim->decides_on_budgets)) {
        int64_t number = (int64_t)sim->n_trials + 1;
        const json_t *suggestion;
        bool exhausted = false;
        json_t *answer;

        status = tell(sim, err);
        if (status == ASSAY_OK)
            status = assay_proposer_ask(sim->proposer, &number, 1, &answer, &exhausted, err);
        if (status != ASSAY_OK)
            break;
        suggestion = json_array_get(answer, 0);
        /* That there is nothing now may change for paused trials, and for them alone. */
        sim->exhausted |= exhausted && !sim->decides_on_budgets;
        if (suggestion == NULL) {
            json_decref(answer);
            break;
        }
        if (json_object_get(suggestion, "resume") != NULL) {
            status = go_on(sim, suggestion, err);
        } else if (may_begin) {
            status = begin(sim, suggestion, err);
        } else { /* beyond the limit: dropped, as the daemon does */
            json_decref(answer);
            break;
        }
        json_decref(answer);
        may_begin = !sim->exhausted && (int64_t)sim->n_trials < sim->options->max_trials;
    }
    return status;
}

/* --- opening --- */

/* Even steps, and the rungs. */
static void
set_prior_steps(struct simulation *sim)
{
    double whole = isnan(sim->whole) ? (double)sim->options->prior_steps : sim->whole;
    size_t n = (size_t)fmin(fmax(floor(whole), 10.0), PRIOR_STEPS_MAX), kept = 0;
    double *steps = assay_alloc(n + sim->n_rungs, sizeof *steps);

    for (size_t i = 0; i < n; i++)
        steps[i] = whole * (double)(i + 1) / (double)n;
    memcpy(steps + n, sim->rungs, sim->n_rungs * sizeof *steps);
    n += sim->n_rungs;
    qsort(steps, n, sizeof *steps, assay_compare_doubles);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || steps[i] * NEARLY > steps[kept - 1])
            steps[kept++] = steps[i];
    }
    sim->prior_steps = steps;
    sim->n_prior_steps = kept;
}

static assay_status
open_simulation(struct simulation *sim, struct assay_error *err)
{
    const struct assay_study_spec *spec = sim->spec;
    const struct assay_plugin_algorithm *algorithm = assay_registry_algorithm(spec->algorithm.name);
    json_t *document;
    assay_status status;

    if (algorithm == NULL)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "there is no algorithm %s",
                          spec->algorithm.name);
    sim->decides_on_budgets = (algorithm->caps & ASSAY_PLUGIN_CAP_BUDGET) != 0;
    sim->resumable = spec->trial != NULL && spec->trial->checkpoints;
    sim->maximize = spec->objectives[0].goal == ASSAY_GOAL_MAXIMIZE;
    sim->whole = spec->budget.name != NULL ? spec->budget.max : NAN;
    if (spec->budget.name != NULL)
        sim->n_rungs =
            assay_rungs(spec->budget.min, spec->budget.max, spec->budget.eta, sim->rungs);
    if (sim->curves == NULL)
        set_prior_steps(sim);
    else
        sim->uses = assay_zalloc(assay_replay_curves_count(sim->curves), sizeof *sim->uses);
    sim->workers = assay_zalloc(sim->options->workers, sizeof *sim->workers);
    sim->free_workers = assay_alloc(sim->options->workers, sizeof *sim->free_workers);
    for (size_t i = 0; i < sim->options->workers; i++)
        sim->free_workers[sim->n_free++] = i;
    status = assay_stopping_for(spec, &sim->stopping, err);
    if (status != ASSAY_OK)
        return status;
    if (sim->stopping != NULL)
        sim->rule = assay_stopping_name(sim->stopping);
    /* The algorithm plans with the limits of the simulation. */
    document = json_deep_copy(spec->document);
    json_object_set_new(document, "limits",
                        json_pack("{s:I, s:I}", "trials", (json_int_t)sim->options->max_trials,
                                  "parallel", (json_int_t)sim->options->workers));
    status = assay_proposer_new(document, NULL, &sim->proposer, err);
    json_decref(document);
    return status;
}

static void
close_simulation(struct simulation *sim)
{
    for (size_t i = 0; i < sim->n_trials; i++) {
        json_decref(sim->trials[i].parameters);
        if (sim->trials[i].own != NULL)
            assay_replay_curve_done(sim->trials[i].own);
        free(sim->trials[i].own);
    }
    free(sim->trials);
    free(sim->events);
    free(sim->workers);
    free(sim->free_workers);
    free(sim->uses);
    free(sim->prior_steps);
    json_decref(sim->news);
    json_decref(sim->progress);
    assay_stopping_free(sim->stopping);
    assay_proposer_free(sim->proposer);
}

/* --- the result --- */

static json_t *
encode_counts(const struct simulation *sim)
{
    json_int_t counts[ASSAY_TRIAL_STATE_MAX_] = {0}, resumed = 0;

    for (size_t i = 0; i < sim->n_trials; i++) {
        counts[sim->trials[i].state]++;
        resumed += sim->trials[i].resumed;
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "begun", (json_int_t)sim->n_trials,
                     "succeeded", counts[ASSAY_TRIAL_SUCCEEDED], "stopped",
                     counts[ASSAY_TRIAL_STOPPED], "paused", counts[ASSAY_TRIAL_PAUSED], "failed",
                     counts[ASSAY_TRIAL_FAILED], "running", counts[ASSAY_TRIAL_RUNNING], "resumed",
                     resumed);
}

static json_t *
encode_time(const struct simulation *sim)
{
    double idle = 0.0, worst = 0.0, busy = 0.0, span = sim->last_begun;
    int64_t gpus = sim->spec->trial != NULL ? sim->spec->trial->gpus : 0;

    for (size_t i = 0; i < sim->options->workers; i++) {
        struct worker *worker = &sim->workers[i];
        double waited;

        settle_idle(sim, worker);
        waited = worker->idle + (worker->busy ? 0.0 : fmax(span - worker->since, 0.0));
        busy += worker->busy_time + (worker->busy ? sim->now - worker->since : 0.0);
        idle += waited;
        worst = fmax(worst, waited);
    }
    return json_pack("{s:f, s:f, s:f, s:f, s:o}", "seconds", sim->now, "worker_seconds", busy,
                     "idle_percent",
                     span > 0.0 ? 100.0 * idle / (span * (double)sim->options->workers) : 0.0,
                     "idle_percent_worst", span > 0.0 ? 100.0 * worst / span : 0.0, "gpu_hours",
                     gpus > 0 ? json_real(busy * (double)gpus / 3600.0) : json_null());
}

static json_t *
encode_best(const struct simulation *sim)
{
    const struct sim_trial *trial;

    if (sim->best_trial == SIZE_MAX)
        return json_null();
    trial = &sim->trials[sim->best_trial];
    return json_pack("{s:I, s:f, s:o, s:f, s:O}", "number", (json_int_t)trial->number, "value",
                     sim->best, "whole_value",
                     real_or_null(assay_replay_curve_at(trial->curve,
                                                        isnan(sim->whole) ? INFINITY : sim->whole)),
                     "at_step", sim->best_step, "parameters", trial->parameters);
}

static json_t *
encode_trials(const struct simulation *sim)
{
    json_t *list = json_array();

    for (size_t i = 0; i < sim->n_trials; i++) {
        const struct sim_trial *trial = &sim->trials[i];

        json_array_append_new(
            list,
            json_pack("{s:I, s:s, s:f, s:o, s:O, s:I, s:o}", "number", (json_int_t)trial->number,
                      "state", assay_trial_state_name(trial->state), "steps", trial->reached,
                      "value", real_or_null(trial->value), "parameters", trial->parameters,
                      "resumed", (json_int_t)trial->resumed, "parent",
                      trial->parent > 0 ? json_integer(trial->parent) : json_null()));
    }
    return list;
}

static json_t *
encode_result(const struct simulation *sim)
{
    double saved = sim->whole_steps > 0.0 ? 100.0 * (1.0 - sim->used / sim->whole_steps) : 0.0;
    json_t *result = json_object();

    json_object_set_new(result, "algorithm", json_string(sim->spec->algorithm.name));
    json_object_set_new(result, "rule", sim->rule != NULL ? json_string(sim->rule) : json_null());
    json_object_set_new(result, "seed", json_integer((json_int_t)sim->spec->seed));
    json_object_set_new(result, "trials", encode_counts(sim));
    json_object_set_new(result, "steps",
                        json_pack("{s:f, s:f, s:f}", "used", sim->used, "whole", sim->whole_steps,
                                  "saved_percent", saved));
    json_object_set_new(result, "time", encode_time(sim));
    json_object_set_new(result, "best", encode_best(sim));
    json_object_set(result, "progress", sim->progress);
    if (sim->options->trials)
        json_object_set_new(result, "list", encode_trials(sim));
    return result;
}

static bool
is_reached(const struct simulation *sim)
{
    if (sim->best_trial == SIZE_MAX || isnan(sim->options->until))
        return false;
    return sim->maximize ? sim->best >= sim->options->until : sim->best <= sim->options->until;
}

assay_status
assay_simulation_run(const struct assay_study_spec *spec, const struct assay_replay_curves *curves,
                     const struct assay_simulation_options *options, json_t **ret_result,
                     struct assay_error *err)
{
    struct simulation sim = {
        .spec = spec,
        .curves = curves,
        .options = options,
        .news = json_array(),
        .progress = json_array(),
        .best_trial = SIZE_MAX,
    };
    assay_status status = open_simulation(&sim, err);

    if (status == ASSAY_OK)
        status = dispatch(&sim, err);
    while (status == ASSAY_OK && sim.n_events > 0 && sim.used < options->max_steps &&
           !is_reached(&sim)) {
        struct event event = pop_event(&sim);

        sim.now = event.time;
        if (!advance(&sim, event.trial))
            status = dispatch(&sim, err);
    }
    if (status == ASSAY_OK)
        *ret_result = encode_result(&sim);
    close_simulation(&sim);
    return status;
}
