#include "suggest/stopping.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "suggest/forecast.h"
#include "suggest/guard.h"
#include "suggest/registry.h"
#include "suggest/settings.h"
#include "suggest/view.h"

/* A rule, or several that any or all joins. */
struct node {
    const struct assay_plugin_rule *rule; /* NULL: joins */
    void *instance;
    bool all;
    struct node *nodes;
    size_t n_nodes;
};

struct assay_stopping {
    struct assay_space *space; /* its own: a specification need not live as long */
    struct assay_view *view;
    struct node root;
    struct assay_guard *guard; /* NULL: nothing holds trials back */
    struct assay_forecasts *forecasts;
    char *metric;
};

uint32_t
assay_plugin_state(enum assay_trial_state state)
{
    switch (state) {
    case ASSAY_TRIAL_SUCCEEDED:
        return ASSAY_PLUGIN_SUCCEEDED;
    case ASSAY_TRIAL_STOPPED:
        return ASSAY_PLUGIN_STOPPED;
    case ASSAY_TRIAL_INFEASIBLE:
        return ASSAY_PLUGIN_INFEASIBLE;
    case ASSAY_TRIAL_FAILED:
        return ASSAY_PLUGIN_FAILED;
    case ASSAY_TRIAL_CANCELLED:
        return ASSAY_PLUGIN_CANCELLED;
    default:
        return ASSAY_PLUGIN_PENDING;
    }
}

static assay_status
open_rule(const struct assay_stopping_choice *choice, const struct assay_study_spec *spec,
          const struct assay_view *view, struct node *node, struct assay_error *err)
{
    const struct assay_plugin_rule *rule = assay_registry_rule(choice->name);
    const struct assay_objective *objective = &spec->objectives[0];
    assay_auto_free char *settings = NULL;
    char reason[256] = "no reason given";
    json_t *schema, *filled;
    int32_t result;

    if (rule == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "there is no stopping rule %s", choice->name);
    schema = json_loads(rule->settings_schema, 0, NULL);
    filled = assay_settings_fill(schema, choice->settings);
    settings = json_dumps(filled, 0);
    json_decref(filled);
    json_decref(schema);
    result = rule->create(
        &(struct assay_plugin_rule_study){
            .metric = objective->metric,
            .maximize = objective->goal == ASSAY_GOAL_MAXIMIZE,
            .settings = settings,
            .seed = spec->seed,
            .space = view != NULL ? assay_view_space(view) : NULL,
        },
        &node->instance, reason, sizeof reason);
    if (result != ASSAY_PLUGIN_OK)
        return assay_fail(err, ASSAY_E_PLUGIN, "stopping rule %s: %s", rule->name, reason);
    node->rule = rule;
    return ASSAY_OK;
}

static assay_status
open_node(const struct assay_stopping_choice *choice, const struct assay_study_spec *spec,
          const struct assay_view *view, struct node *node, struct assay_error *err)
{
    assay_status status = ASSAY_OK;

    if (choice->n_rules == 0)
        return open_rule(choice, spec, view, node, err);
    node->all = strcmp(choice->name, "all") == 0;
    node->nodes = assay_zalloc(choice->n_rules, sizeof *node->nodes);
    for (size_t i = 0; i < choice->n_rules && status == ASSAY_OK; i++) {
        status = open_node(&choice->rules[i], spec, view, &node->nodes[i], err);
        node->n_nodes += status == ASSAY_OK;
    }
    return status;
}

static void
close_node(struct node *node)
{
    for (size_t i = 0; i < node->n_nodes; i++)
        close_node(&node->nodes[i]);
    free(node->nodes);
    if (node->rule != NULL)
        node->rule->destroy(node->instance);
}

/* A copy; NULL where the specification has none. */
static struct assay_space *
copy_space(const struct assay_space *space)
{
    struct assay_faults faults = {0};
    json_auto_t *document = space != NULL ? assay_space_encode(space) : NULL;
    struct assay_space *copy = document != NULL ? assay_space_decode(document, "", &faults) : NULL;

    assay_faults_done(&faults);
    return copy;
}

assay_status
assay_stopping_new(const struct assay_study_spec *spec, struct assay_stopping **ret_stopping,
                   struct assay_error *err)
{
    const struct assay_objective *objective = &spec->objectives[0];
    struct assay_space *space = copy_space(spec->space);
    struct assay_view *view = space != NULL ? assay_view_new(space) : NULL;
    struct node root = {0};
    assay_status status = open_node(&spec->early_stopping, spec, view, &root, err);

    if (status != ASSAY_OK) {
        close_node(&root);
        assay_view_free(view);
        assay_space_free(space);
        return status;
    }
    *ret_stopping = ASSAY_NEW(struct assay_stopping);
    **ret_stopping = (struct assay_stopping){
        .space = space,
        .view = view,
        .root = root,
        .guard = assay_guard_new(&spec->early_stopping, objective->goal == ASSAY_GOAL_MAXIMIZE),
        .forecasts = assay_forecasts_new(objective),
        .metric = assay_strdup(objective->metric),
    };
    return ASSAY_OK;
}

struct assay_stopping *
assay_stopping_free(struct assay_stopping *stopping)
{
    if (stopping == NULL)
        return NULL;
    close_node(&stopping->root);
    assay_view_free(stopping->view);
    assay_space_free(stopping->space);
    assay_guard_free(stopping->guard);
    assay_forecasts_free(stopping->forecasts);
    free(stopping->metric);
    free(stopping);
    return NULL;
}

const char *
assay_stopping_name(const struct assay_stopping *stopping)
{
    const struct node *root = &stopping->root;

    return root->rule != NULL ? root->rule->name : root->all ? "all" : "any";
}

static bool
hears_points(const struct assay_plugin_rule *rule)
{
    return rule->struct_size >= offsetof(struct assay_plugin_rule, start) + sizeof rule->start &&
           rule->start != NULL;
}

static bool
wants_points(const struct node *node)
{
    bool wanted = node->rule != NULL && hears_points(node->rule);

    for (size_t i = 0; i < node->n_nodes; i++)
        wanted = wanted || wants_points(&node->nodes[i]);
    return wanted;
}

bool
assay_stopping_wants_points(const struct assay_stopping *stopping)
{
    return stopping->space != NULL && wants_points(&stopping->root);
}

static void
start_node(const struct node *node, int64_t number, const double *point)
{
    for (size_t i = 0; i < node->n_nodes; i++)
        start_node(&node->nodes[i], number, point);
    if (node->rule != NULL && hears_points(node->rule))
        node->rule->start(node->instance, number, point);
}

void
assay_stopping_start(struct assay_stopping *stopping, int64_t number, const double *point)
{
    start_node(&stopping->root, number, point);
}

static void
ask_rule(const struct node *node, int64_t number, int64_t step, double value,
         struct assay_decision *ret_decision)
{
    struct assay_plugin_decision decision = {
        .value = NAN,
        .threshold = NAN,
        .step = step,
        .sentence = ret_decision->sentence,
        .sentence_size = sizeof ret_decision->sentence,
    };

    ret_decision->sentence[0] = '\0';
    node->rule->report(node->instance, number, step, value, &decision);
    ret_decision->sentence[sizeof ret_decision->sentence - 1] = '\0';
    ret_decision->stop = decision.stop != 0;
    ret_decision->rule = node->rule->name;
    ret_decision->value = decision.value;
    ret_decision->threshold = decision.threshold;
    ret_decision->step = decision.step;
    ret_decision->compared = decision.compared;
}

/* "…; and …", as much as fits. */
static void
add_sentence(char sentence[ASSAY_PLUGIN_SENTENCE_BYTES], const char *more)
{
    size_t length = strlen(sentence), left = ASSAY_PLUGIN_SENTENCE_BYTES - length;

    if (strlen(more) + sizeof "; and " <= left)
        snprintf(sentence + length, left, "; and %s", more);
}

/* Every rule hears the report.  Of any, the first that says stop decides; of all, the
 * first speaks for them. */
static void
ask_node(const struct node *node, int64_t number, int64_t step, double value,
         struct assay_decision *ret_decision)
{
    struct assay_decision one;
    bool stop = node->all;

    if (node->rule != NULL) {
        ask_rule(node, number, step, value, ret_decision);
        return;
    }
    for (size_t i = 0; i < node->n_nodes; i++) {
        ask_node(&node->nodes[i], number, step, value, &one);
        if (i == 0 || (!node->all && one.stop && !stop))
            *ret_decision = one;
        else if (node->all && one.stop)
            add_sentence(ret_decision->sentence, one.sentence);
        stop = node->all ? stop && one.stop : stop || one.stop;
    }
    ret_decision->stop = stop;
}

void
assay_stopping_report(struct assay_stopping *stopping, int64_t number, int64_t step, double value,
                      struct assay_decision *ret_decision)
{
    ask_node(&stopping->root, number, step, value, ret_decision);
    ret_decision->metric = stopping->metric;
    assay_forecasts_report(stopping->forecasts, number, step, value);
    if (stopping->guard != NULL)
        ret_decision->stop =
            assay_guard_allows(stopping->guard, number, step, value, ret_decision->stop);
}

double
assay_stopping_forecast(const struct assay_stopping *stopping, int64_t number, size_t *ret_trials)
{
    return assay_forecasts_end(stopping->forecasts, number, ret_trials);
}

static void
finish_node(const struct node *node, int64_t number, uint32_t state)
{
    for (size_t i = 0; i < node->n_nodes; i++)
        finish_node(&node->nodes[i], number, state);
    if (node->rule != NULL)
        node->rule->finish(node->instance, number, state);
}

void
assay_stopping_finish(struct assay_stopping *stopping, int64_t number, enum assay_trial_state state)
{
    finish_node(&stopping->root, number, assay_plugin_state(state));
    assay_forecasts_finish(stopping->forecasts, number, state == ASSAY_TRIAL_SUCCEEDED);
    if (stopping->guard != NULL)
        assay_guard_finish(stopping->guard, number, state == ASSAY_TRIAL_SUCCEEDED,
                           state == ASSAY_TRIAL_SUCCEEDED || state == ASSAY_TRIAL_STOPPED);
}

json_t *
assay_decision_encode(const struct assay_decision *decision)
{
    json_t *record = json_object();

    json_object_set_new(record, "rule", json_string(decision->rule));
    json_object_set_new(record, "metric", json_string(decision->metric));
    json_object_set_new(record, "value", assay_json_real(decision->value));
    json_object_set_new(record, "threshold", assay_json_real(decision->threshold));
    json_object_set_new(record, "step", json_integer(decision->step));
    json_object_set_new(record, "compared", json_integer((json_int_t)decision->compared));
    return record;
}
