#include "suggest/proposer.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/point.h"
#include "schemas/states.h"
#include "suggest/registry.h"
#include "suggest/rungs.h"
#include "suggest/settings.h"
#include "suggest/stopping.h"
#include "suggest/view.h"

#define REASON_BYTES 256

/* One side of a constraint. */
struct bound {
    size_t constraint; /* index in the file */
    double sign;       /* 1: at most `value`, -1: at least */
    double value;
};

struct assay_proposer {
    struct assay_space *space;
    struct assay_view *view;
    const struct assay_plugin_algorithm *algorithm;
    void *instance;
    double *signs; /* per objective: 1 minimised, -1 maximised */
    size_t n_objectives;
    struct bound *bounds;
    size_t n_bounds, n_constraints;
    double rungs[ASSAY_RUNGS_MAX];
    size_t n_rungs;
};

/* --- opening --- */

static assay_status
take_objectives(struct assay_proposer *proposer, const json_t *spec, struct assay_error *err)
{
    const json_t *list = json_object_get(spec, "objectives");
    const json_t *one = json_object_get(spec, "objective");
    size_t n = list != NULL ? json_array_size(list) : one != NULL;

    if (n == 0)
        return assay_fail(err, ASSAY_E_INVALID_STUDY, "the specification has no objective");
    proposer->n_objectives = n;
    proposer->signs = assay_alloc(n, sizeof *proposer->signs);
    for (size_t i = 0; i < n; i++) {
        const json_t *objective = list != NULL ? json_array_get(list, i) : one;
        const char *goal = json_string_value(json_object_get(objective, "goal"));

        if (goal == NULL || (strcmp(goal, "minimize") != 0 && strcmp(goal, "maximize") != 0))
            return assay_fail(err, ASSAY_E_INVALID_STUDY,
                              "objective %zu has the goal %s, not minimize or maximize", i,
                              goal != NULL ? goal : "none");
        proposer->signs[i] = strcmp(goal, "maximize") == 0 ? -1.0 : 1.0;
    }
    return ASSAY_OK;
}

static assay_status
take_constraints(struct assay_proposer *proposer, const json_t *spec, struct assay_error *err)
{
    static const struct {
        const char *key;
        double sign;
    } sides[] = {{"max", 1.0}, {"min", -1.0}};
    const json_t *list = json_object_get(spec, "constraints");

    proposer->n_constraints = json_array_size(list);
    proposer->bounds = assay_alloc(2 * proposer->n_constraints + 1, sizeof *proposer->bounds);
    for (size_t i = 0; i < proposer->n_constraints; i++) {
        size_t before = proposer->n_bounds;

        for (size_t side = 0; side < ASSAY_COUNT(sides); side++) {
            const json_t *value = json_object_get(json_array_get(list, i), sides[side].key);

            if (json_is_number(value))
                proposer->bounds[proposer->n_bounds++] = (struct bound){
                    .constraint = i, .sign = sides[side].sign, .value = json_number_value(value)};
        }
        if (proposer->n_bounds == before)
            return assay_fail(err, ASSAY_E_INVALID_STUDY, "constraint %zu has neither min nor max",
                              i);
    }
    return ASSAY_OK;
}

static assay_status
take_space(struct assay_proposer *proposer, const json_t *spec, struct assay_error *err)
{
    struct assay_faults faults = {0};
    assay_status status = ASSAY_OK;

    proposer->space =
        assay_space_decode(json_object_get(spec, "parameters"), "/parameters", &faults);
    if (proposer->space == NULL)
        status = assay_fail_at(err, ASSAY_E_INVALID_STUDY, faults.items[0].pointer, "%s",
                               faults.items[0].message);
    else
        proposer->view = assay_view_new(proposer->space);
    assay_faults_done(&faults);
    return status;
}

static assay_status
make_settings(const struct assay_plugin_algorithm *algorithm, const json_t *given,
              char **ret_settings, struct assay_error *err)
{
    struct assay_faults faults = {0};
    json_t *schema = json_loads(algorithm->settings_schema, 0, NULL);
    json_t *filled = assay_settings_fill(schema, given);
    assay_status status = ASSAY_OK;

    if (given != NULL && !json_is_null(given))
        assay_settings_check(schema, given, "/algorithm/settings", &faults);
    if (faults.count > 0)
        status = assay_fail_at(err, ASSAY_E_INVALID_STUDY, faults.items[0].pointer, "%s",
                               faults.items[0].message);
    else
        *ret_settings = json_dumps(filled, 0);
    json_decref(filled);
    json_decref(schema);
    assay_faults_done(&faults);
    return status;
}

static double
budget_member(const json_t *spec, const char *name)
{
    const json_t *value = json_object_get(json_object_get(spec, "budget"), name);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void
take_rungs(struct assay_proposer *proposer, const json_t *spec)
{
    double min = budget_member(spec, "min"), max = budget_member(spec, "max");
    double eta = budget_member(spec, "eta");

    if (min > 0.0 && min <= max && isfinite(max) && eta > 1.0)
        proposer->n_rungs = assay_rungs(min, max, eta, proposer->rungs);
}

static uint64_t
limit_member(const json_t *spec, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(json_object_get(spec, "limits"), name));

    return value > 0 ? (uint64_t)value : 0;
}

static assay_status
plugin_failure(struct assay_error *err, const struct assay_plugin_algorithm *algorithm,
               const char *what, int32_t result, char reason[REASON_BYTES])
{
    reason[REASON_BYTES - 1] = '\0';
    if (result == ASSAY_PLUGIN_INTERRUPTED)
        return assay_fail(err, ASSAY_E_UNAVAILABLE, "algorithm %s gave up %s when told to stop",
                          algorithm->name, what);
    return assay_fail(err, ASSAY_E_PLUGIN, "algorithm %s failed %s: %s", algorithm->name, what,
                      reason[0] != '\0' ? reason : "it gave no reason");
}

/* --- trials as they come --- */

/* Trials of one call, decoded; everything in six allocations. */
struct told {
    size_t n;
    struct assay_plugin_trial *trials;
    const struct assay_plugin_trial **pointers;
    double *points, *values, *constraints, *rung_values;
};

static void
told_done(struct told *told)
{
    free(told->trials);
    free(told->pointers);
    free(told->points);
    free(told->values);
    free(told->constraints);
    free(told->rung_values);
}

static assay_status
decode_values(const struct assay_proposer *proposer, const json_t *list, double *ret_values,
              struct assay_error *err)
{
    for (size_t k = 0; k < proposer->n_objectives; k++)
        ret_values[k] = NAN;
    if (list == NULL || json_is_null(list))
        return ASSAY_OK;
    if (!json_is_array(list) || json_array_size(list) != proposer->n_objectives)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "values is not an array of %zu items",
                          proposer->n_objectives);
    for (size_t k = 0; k < proposer->n_objectives; k++) {
        const json_t *item = json_array_get(list, k);

        if (json_is_null(item))
            continue;
        if (!assay_json_get_real(item, &ret_values[k]))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "value %zu is not a number", k);
        ret_values[k] *= proposer->signs[k];
    }
    return ASSAY_OK;
}

/* By how much each bound is passed, as a share of its size. */
static assay_status
decode_constraints(const struct assay_proposer *proposer, const json_t *list,
                   double *ret_constraints, struct assay_error *err)
{
    if (list == NULL || json_is_null(list)) {
        for (size_t k = 0; k < proposer->n_bounds; k++)
            ret_constraints[k] = NAN;
        return ASSAY_OK;
    }
    if (!json_is_array(list) || json_array_size(list) != proposer->n_constraints)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "constraints is not an array of %zu items",
                          proposer->n_constraints);
    for (size_t k = 0; k < proposer->n_bounds; k++) {
        const struct bound *bound = &proposer->bounds[k];
        const json_t *item = json_array_get(list, bound->constraint);
        double value = NAN;

        if (!json_is_null(item) && !assay_json_get_real(item, &value))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "constraint %zu is not a number",
                              bound->constraint);
        ret_constraints[k] = bound->sign * (value - bound->value) /
                             (fabs(bound->value) > 0.0 ? fabs(bound->value) : 1.0);
    }
    return ASSAY_OK;
}

static assay_status
decode_rungs(const struct assay_proposer *proposer, const json_t *list, double *ret_values,
             struct assay_error *err)
{
    for (size_t k = 0; k < proposer->n_rungs; k++)
        ret_values[k] = NAN;
    if (list == NULL || json_is_null(list))
        return ASSAY_OK;
    if (!json_is_array(list) || json_array_size(list) > proposer->n_rungs)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "rungs is not an array of at most %zu items",
                          proposer->n_rungs);
    for (size_t k = 0; k < json_array_size(list); k++) {
        const json_t *item = json_array_get(list, k);

        if (json_is_null(item))
            continue;
        if (!assay_json_get_real(item, &ret_values[k]))
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "the value at rung %zu is not a number",
                              k);
        ret_values[k] *= proposer->signs[0];
    }
    return ASSAY_OK;
}

static assay_status
decode_state(const json_t *json, uint32_t *ret_state, struct assay_error *err)
{
    const char *name = json_string_value(json);
    enum assay_trial_state state;

    *ret_state = ASSAY_PLUGIN_PENDING;
    if (name != NULL && strcmp(name, "pending") == 0)
        return ASSAY_OK;
    if (name == NULL || !assay_trial_state_parse(name, &state))
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%s is not a state of a trial",
                          name != NULL ? name : "nothing");
    *ret_state = state == ASSAY_TRIAL_PAUSED ? ASSAY_PLUGIN_PAUSED : assay_plugin_state(state);
    return ASSAY_OK;
}

static assay_status
decode_trial(const struct assay_proposer *proposer, const json_t *json, double *point,
             double *values, double *constraints, double *rung_values,
             struct assay_plugin_trial *ret_trial, struct assay_error *err)
{
    const json_t *budget = json_object_get(json, "budget"), *steps = json_object_get(json, "steps");
    const json_t *forecast = json_object_get(json, "forecast");
    struct assay_faults faults = {0};
    assay_status status;

    *ret_trial = (struct assay_plugin_trial){
        .number = json_integer_value(json_object_get(json, "number")),
        .point = point,
        .values = values,
        .constraints = constraints,
        .rung_values = rung_values,
        .budget = json_is_number(budget) ? json_number_value(budget) : NAN,
        .steps = json_is_integer(steps) ? json_integer_value(steps) : -1,
    };
    if (ret_trial->number < 1)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "a trial's number is not an integer above 0");
    status = decode_state(json_object_get(json, "state"), &ret_trial->state, err);
    if (status == ASSAY_OK)
        status = decode_values(proposer, json_object_get(json, "values"), values, err);
    if (status == ASSAY_OK && ret_trial->state == ASSAY_PLUGIN_STOPPED &&
        json_is_number(forecast)) {
        ret_trial->foretold = 1;
        values[0] = proposer->signs[0] * json_number_value(forecast);
    }
    if (status == ASSAY_OK)
        status =
            decode_constraints(proposer, json_object_get(json, "constraints"), constraints, err);
    if (status == ASSAY_OK)
        status = decode_rungs(proposer, json_object_get(json, "rungs"), rung_values, err);
    if (status == ASSAY_OK &&
        !assay_point_decode(proposer->space, json_object_get(json, "parameters"), "/parameters",
                            false, &faults, point))
        status = assay_fail_at(err, ASSAY_E_INVALID_VALUE, faults.items[0].pointer, "%s",
                               faults.items[0].message);
    assay_faults_done(&faults);
    return status == ASSAY_OK ? ASSAY_OK
                              : assay_wrap(err, "trial %lld", (long long)ret_trial->number);
}

/* `ret_told` is to be freed whether or not that worked. */
static assay_status
decode_trials(const struct assay_proposer *proposer, const json_t *trials, struct told *ret_told,
              struct assay_error *err)
{
    size_t n = json_array_size(trials), n_parameters = proposer->space->n_parameters;
    assay_status status = ASSAY_OK;
    struct told told;

    told = (struct told){
        .n = n,
        .trials = assay_alloc(n + 1, sizeof *told.trials),
        .pointers = assay_alloc(n + 1, sizeof *told.pointers),
        .points = assay_alloc(n * n_parameters + 1, sizeof *told.points),
        .values = assay_alloc(n * proposer->n_objectives + 1, sizeof *told.values),
        .constraints = assay_alloc(n * proposer->n_bounds + 1, sizeof *told.constraints),
        .rung_values = assay_alloc(n * proposer->n_rungs + 1, sizeof *told.rung_values),
    };
    *ret_told = told;
    if (!json_is_array(trials))
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "the trials are not an array");
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        told.pointers[i] = &told.trials[i];
        status = decode_trial(proposer, json_array_get(trials, i), &told.points[i * n_parameters],
                              &told.values[i * proposer->n_objectives],
                              &told.constraints[i * proposer->n_bounds],
                              &told.rung_values[i * proposer->n_rungs], &told.trials[i], err);
    }
    return status;
}

/* The sources of a study, decoded. */
struct lent {
    size_t n;
    struct told *told; /* one per source */
    struct assay_plugin_source *sources;
    const struct assay_plugin_source **pointers;
};

static void
lent_done(struct lent *lent)
{
    for (size_t i = 0; i < lent->n; i++)
        told_done(&lent->told[i]);
    free(lent->told);
    free(lent->sources);
    free(lent->pointers);
}

/* `ret_lent` is to be freed whether or not that worked. */
static assay_status
decode_sources(const struct assay_proposer *proposer, const json_t *sources,
               struct lent *ret_lent, struct assay_error *err)
{
    size_t n = json_array_size(sources);
    assay_status status = ASSAY_OK;

    *ret_lent = (struct lent){
        .told = assay_zalloc(n + 1, sizeof *ret_lent->told),
        .sources = assay_zalloc(n + 1, sizeof *ret_lent->sources),
        .pointers = assay_zalloc(n + 1, sizeof *ret_lent->pointers),
    };
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        const json_t *source = json_array_get(sources, i);
        const char *name = json_string_value(json_object_get(source, "name"));
        struct told *told = &ret_lent->told[ret_lent->n++];

        status = decode_trials(proposer, json_object_get(source, "trials"), told, err);
        if (status == ASSAY_OK && (name == NULL || told->n == 0))
            status = assay_fail(err, ASSAY_E_INVALID_STUDY, "source %zu lacks name or trials", i);
        ret_lent->sources[i] = (struct assay_plugin_source){
            .name = name, .n_trials = told->n, .trials = told->pointers};
        ret_lent->pointers[i] = &ret_lent->sources[i];
    }
    return status;
}

static assay_status
make_instance(struct assay_proposer *proposer, const json_t *spec, const json_t *sources,
              struct assay_error *err)
{
    const json_t *choice = json_object_get(spec, "algorithm");
    const char *name = json_string_value(json_object_get(choice, "name"));
    assay_auto_free char *settings = NULL;
    char reason[REASON_BYTES] = "";
    const struct assay_plugin_algorithm *algorithm;
    struct lent lent;
    assay_status status;
    int32_t result;

    algorithm = assay_registry_algorithm(name != NULL ? name : "auto");
    if (algorithm == NULL)
        return assay_fail_at(err, ASSAY_E_INVALID_STUDY, "/algorithm/name",
                             "there is no algorithm %s", name);
    status = make_settings(algorithm, json_object_get(choice, "settings"), &settings, err);
    if (status != ASSAY_OK)
        return status;
    status = decode_sources(proposer, sources, &lent, err);
    if (status != ASSAY_OK) {
        lent_done(&lent);
        return status;
    }
    result = algorithm->create(
        &(struct assay_plugin_study){
            .space = assay_view_space(proposer->view),
            .n_objectives = proposer->n_objectives,
            .settings = settings,
            .seed = (uint64_t)json_integer_value(json_object_get(spec, "seed")),
            .budget_min = budget_member(spec, "min"),
            .budget_max = budget_member(spec, "max"),
            .budget_eta = budget_member(spec, "eta"),
            .trials = limit_member(spec, "trials"),
            .parallel = limit_member(spec, "parallel"),
            .signs = proposer->signs,
            .n_constraints = proposer->n_bounds,
            .n_sources = lent.n,
            .sources = lent.pointers,
            .n_rungs = proposer->n_rungs,
            .rungs = proposer->rungs,
            .resumable = json_is_true(
                json_object_get(json_object_get(spec, "trial"), "checkpoints")),
        },
        &proposer->instance, reason, sizeof reason);
    lent_done(&lent);
    if (result != ASSAY_PLUGIN_OK)
        return plugin_failure(err, algorithm, "to start", result, reason);
    proposer->algorithm = algorithm;
    return ASSAY_OK;
}

assay_status
assay_proposer_new(const json_t *spec, const json_t *sources,
                   struct assay_proposer **ret_proposer, struct assay_error *err)
{
    struct assay_proposer *proposer = ASSAY_NEW(struct assay_proposer);
    assay_status status = take_objectives(proposer, spec, err);

    if (status == ASSAY_OK)
        status = take_constraints(proposer, spec, err);
    if (status == ASSAY_OK)
        status = take_space(proposer, spec, err);
    take_rungs(proposer, spec);
    if (status == ASSAY_OK)
        status = make_instance(proposer, spec, sources, err);
    if (status == ASSAY_OK)
        *ret_proposer = proposer;
    else
        assay_proposer_free(proposer);
    return status;
}

struct assay_proposer *
assay_proposer_free(struct assay_proposer *proposer)
{
    if (proposer == NULL)
        return NULL;
    if (proposer->algorithm != NULL)
        proposer->algorithm->destroy(proposer->instance);
    assay_view_free(proposer->view);
    assay_space_free(proposer->space);
    free(proposer->signs);
    free(proposer->bounds);
    free(proposer);
    return NULL;
}

/* --- telling --- */

assay_status
assay_proposer_tell(struct assay_proposer *proposer, const json_t *trials, struct assay_error *err)
{
    char reason[REASON_BYTES] = "";
    struct told told;
    assay_status status = decode_trials(proposer, trials, &told, err);
    int32_t result;

    if (status == ASSAY_OK) {
        result = proposer->algorithm->update(proposer->instance, told.pointers, told.n, reason,
                                             sizeof reason);
        if (result < 0)
            status = plugin_failure(err, proposer->algorithm, "to take in trials", result, reason);
    }
    told_done(&told);
    return status;
}

/* --- asking --- */

/* Room for the suggestions of one call. */
struct room {
    struct assay_plugin_suggestion *suggestions;
    const struct assay_plugin_suggestion **pointers;
    double *points, *budgets;
    int64_t *numbers; /* to resume, and parents */
    char *whys;
};

static void
room_init(struct room *room, size_t n, size_t n_parameters)
{
    room->suggestions = assay_alloc(n, sizeof *room->suggestions);
    room->pointers = assay_alloc(n, sizeof *room->pointers);
    room->points = assay_alloc(n * n_parameters + 1, sizeof *room->points);
    room->budgets = assay_alloc(n, sizeof *room->budgets);
    room->numbers = assay_zalloc(2 * n, sizeof *room->numbers);
    room->whys = assay_alloc(n, ASSAY_PLUGIN_WHY_BYTES);
    for (size_t i = 0; i < n * n_parameters; i++)
        room->points[i] = NAN;
    for (size_t i = 0; i < n; i++) {
        room->suggestions[i] = (struct assay_plugin_suggestion){
            .point = &room->points[i * n_parameters],
            .budget = &room->budgets[i],
            .resume = &room->numbers[2 * i],
            .parent = &room->numbers[2 * i + 1],
            .why = &room->whys[i * ASSAY_PLUGIN_WHY_BYTES],
            .why_size = ASSAY_PLUGIN_WHY_BYTES,
        };
        room->budgets[i] = NAN;
        memcpy(room->suggestions[i].why, "{}", sizeof "{}");
        room->pointers[i] = &room->suggestions[i];
    }
}

static void
room_done(struct room *room)
{
    free(room->suggestions);
    free(room->pointers);
    free(room->points);
    free(room->budgets);
    free(room->numbers);
    free(room->whys);
}

static json_t *
decode_why(const struct assay_proposer *proposer, const struct assay_plugin_suggestion *suggestion)
{
    json_t *why;

    suggestion->why[suggestion->why_size - 1] = '\0';
    why = json_loads(suggestion->why, 0, NULL);
    if (!json_is_object(why)) {
        json_decref(why);
        why = json_object();
    }
    if (json_object_get(why, "proposed_by") == NULL)
        json_object_set_new(why, "proposed_by", json_string(proposer->algorithm->name));
    return why;
}

static assay_status
encode_suggestions(const struct assay_proposer *proposer, const int64_t *numbers,
                   const struct room *room, size_t n, json_t **ret_trials, struct assay_error *err)
{
    json_t *trials = json_array();

    for (size_t i = 0; i < n; i++) {
        const struct assay_plugin_suggestion *suggestion = &room->suggestions[i];
        json_t *trial = json_object();

        if (assay_view_check(assay_view_space(proposer->view), suggestion->point, err) !=
            ASSAY_OK) {
            if (err != NULL)
                err->status = ASSAY_E_PLUGIN;
            json_decref(trial);
            json_decref(trials);
            (void)assay_wrap(err, "algorithm %s proposed a point outside of the space",
                             proposer->algorithm->name);
            return ASSAY_E_PLUGIN;
        }
        json_object_set_new(trial, "number", json_integer(numbers[i]));
        json_object_set_new(trial, "parameters",
                            assay_point_encode(proposer->space, suggestion->point));
        if (isfinite(*suggestion->budget))
            json_object_set_new(trial, "budget", json_real(*suggestion->budget));
        if (*suggestion->resume > 0)
            json_object_set_new(trial, "resume", json_integer(*suggestion->resume));
        if (*suggestion->parent > 0)
            json_object_set_new(trial, "parent", json_integer(*suggestion->parent));
        json_object_set_new(trial, "why", decode_why(proposer, suggestion));
        json_array_append_new(trials, trial);
    }
    *ret_trials = trials;
    return ASSAY_OK;
}

static assay_status
check_numbers(const int64_t *numbers, size_t n, struct assay_error *err)
{
    if (n < 1 || n > ASSAY_PROPOSER_ASK_MAX)
        return assay_fail(err, ASSAY_E_INVALID_VALUE, "%zu trials were asked for, not 1 to %d", n,
                          ASSAY_PROPOSER_ASK_MAX);
    for (size_t i = 0; i < n; i++) {
        if (numbers[i] < 1)
            return assay_fail(err, ASSAY_E_INVALID_VALUE, "%lld is not the number of a trial",
                              (long long)numbers[i]);
    }
    return ASSAY_OK;
}

assay_status
assay_proposer_ask(struct assay_proposer *proposer, const int64_t *numbers, size_t n,
                   json_t **ret_trials, bool *ret_exhausted, struct assay_error *err)
{
    char reason[REASON_BYTES] = "";
    assay_status status = check_numbers(numbers, n, err);
    uint64_t count = 0;
    struct room room;
    int32_t result;

    if (status != ASSAY_OK)
        return status;
    room_init(&room, n, proposer->space->n_parameters);
    result = proposer->algorithm->suggest(proposer->instance, numbers, n, room.pointers, &count,
                                          reason, sizeof reason);
    if (result < 0)
        status = plugin_failure(err, proposer->algorithm, "to propose", result, reason);
    else if (count > n || (result == ASSAY_PLUGIN_OK && count < n))
        status = assay_fail(err, ASSAY_E_PLUGIN, "algorithm %s proposed %llu trials of %zu",
                            proposer->algorithm->name, (unsigned long long)count, n);
    else
        status = encode_suggestions(proposer, numbers, &room, (size_t)count, ret_trials, err);
    if (status == ASSAY_OK)
        *ret_exhausted = result == ASSAY_PLUGIN_EXHAUSTED;
    room_done(&room);
    return status;
}
