#include "suggest/registry.h"

#include <stddef.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "suggest/algorithms/algorithms.h"
#include "suggest/host.h"
#include "suggest/remote_policy.h"
#include "suggest/rules/rules.h"
#include "suggest/settings.h"
#include "suggest/view.h"

#define EACH_MAX 64

static const struct assay_plugin_algorithm *algorithms[EACH_MAX] = {
    &assay_algorithm_asha,
    &assay_algorithm_auto,
    &assay_algorithm_bayesian,
    &assay_algorithm_bohb,
    &assay_algorithm_cmaes,
    &assay_algorithm_grid,
    &assay_algorithm_hyperband,
    &assay_algorithm_nsga2,
    &assay_algorithm_pbt,
    &assay_algorithm_random,
    &assay_algorithm_sobol,
    &assay_algorithm_tpe,
};
static const struct assay_plugin_rule *rules[EACH_MAX] = {
    &assay_rule_asha,
    &assay_rule_auto,
    &assay_rule_best_median,
    &assay_rule_curve,
    &assay_rule_median,
    &assay_rule_patience,
    &assay_rule_percentile,
    &assay_rule_threshold,
    &assay_rule_wilcoxon,
};

/* By the same index: where the entry comes from; NULL: built in. */
static const struct assay_plugin *algorithm_plugins[EACH_MAX], *rule_plugins[EACH_MAX];

const struct assay_plugin_algorithm *
assay_registry_algorithm_at(size_t i)
{
    return i < EACH_MAX ? algorithms[i] : NULL;
}

const struct assay_plugin_rule *
assay_registry_rule_at(size_t i)
{
    return i < EACH_MAX ? rules[i] : NULL;
}

/* Where it stands or would stand. */
static size_t
find_algorithm(const char *name)
{
    size_t i = 0;

    while (i < EACH_MAX && algorithms[i] != NULL && strcmp(algorithms[i]->name, name) != 0)
        i++;
    return i;
}

static size_t
find_rule(const char *name)
{
    size_t i = 0;

    while (i < EACH_MAX && rules[i] != NULL && strcmp(rules[i]->name, name) != 0)
        i++;
    return i;
}

const struct assay_plugin_algorithm *
assay_registry_algorithm(const char *name)
{
    return assay_registry_algorithm_at(find_algorithm(name));
}

const struct assay_plugin_rule *
assay_registry_rule(const char *name)
{
    return assay_registry_rule_at(find_rule(name));
}

const struct assay_plugin *
assay_registry_plugin_of(const char *algorithm)
{
    size_t i = find_algorithm(algorithm);

    return i < EACH_MAX ? algorithm_plugins[i] : NULL;
}

const struct assay_plugin *
assay_registry_plugin_of_rule(const char *rule)
{
    size_t i = find_rule(rule);

    return i < EACH_MAX ? rule_plugins[i] : NULL;
}

bool
assay_registry_is_foreign(const char *algorithm)
{
    return assay_registry_algorithm(algorithm) == NULL ||
           assay_registry_plugin_of(algorithm) != NULL ||
           strcmp(algorithm, ASSAY_REMOTE_NAME) == 0;
}

void
assay_registry_add(const struct assay_plugin_algorithm *algorithm)
{
    size_t i = find_algorithm(algorithm->name);

    ASSAY_ASSERT(i < EACH_MAX);
    algorithms[i] = algorithm;
}

/* --- lists for the HTTP contract --- */

static json_t *
encode_caps(uint64_t caps)
{
    static const struct {
        uint64_t cap;
        const char *name;
    } names[] = {
        {ASSAY_PLUGIN_CAP_CONDITIONS, "conditions"},
        {ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE, "multi_objective"},
        {ASSAY_PLUGIN_CAP_BUDGET, "budget"},
        {ASSAY_PLUGIN_CAP_CONSTRAINTS, "constraints"},
        {ASSAY_PLUGIN_CAP_PARALLEL, "parallel"},
    };
    json_t *list = json_array();

    for (size_t i = 0; i < ASSAY_COUNT(names); i++) {
        if (caps & names[i].cap)
            json_array_append_new(list, json_string(names[i].name));
    }
    return list;
}

static json_t *
encode_origin(const struct assay_plugin *plugin)
{
    return plugin == NULL ? json_pack("{s:s}", "kind", "built_in")
                          : json_pack("{s:s, s:s, s:s}", "kind", "plugin", "name", plugin->name,
                                      "version", plugin->version);
}

static json_t *
encode_entry(const char *name, const char *description, const char *schema, uint64_t caps,
             const struct assay_plugin *plugin)
{
    json_t *entry = json_object();

    json_object_set_new(entry, "name", json_string(name));
    json_object_set_new(entry, "description", json_string(description));
    json_object_set_new(entry, "settings_schema", json_loads(schema, 0, NULL));
    json_object_set_new(entry, "capabilities", encode_caps(caps));
    json_object_set_new(entry, "origin", encode_origin(plugin));
    return entry;
}

json_t *
assay_registry_algorithms_encode(void)
{
    json_t *list = json_array();

    for (size_t i = 0; assay_registry_algorithm_at(i) != NULL; i++)
        json_array_append_new(list,
                              encode_entry(algorithms[i]->name, algorithms[i]->description,
                                           algorithms[i]->settings_schema, algorithms[i]->caps,
                                           algorithm_plugins[i]));
    return list;
}

json_t *
assay_registry_rules_encode(void)
{
    json_t *list = json_array();

    for (size_t i = 0; assay_registry_rule_at(i) != NULL; i++)
        json_array_append_new(list, encode_entry(rules[i]->name, rules[i]->description,
                                                 rules[i]->settings_schema, 0, rule_plugins[i]));
    return list;
}

/* --- checks of a study file --- */

static void
add_unknown_name(struct assay_faults *faults, const char *pointer, const char *kind,
                 const char *name, bool of_rule)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "name");
    struct assay_buffer allowed = {0};
    json_t *found = json_string(name);

    for (size_t i = 0; i < EACH_MAX; i++) {
        const char *known = of_rule ? (rules[i] != NULL ? rules[i]->name : NULL)
                                    : (algorithms[i] != NULL ? algorithms[i]->name : NULL);

        if (known != NULL)
            assay_buffer_printf(&allowed, "%s%s", i > 0 ? ", " : "one of ", known);
    }
    assay_fault_add(faults, at, found, allowed.data, "there is no %s %s", kind, name);
    json_decref(found);
    assay_buffer_done(&allowed);
}

/* Adds faults and answers whether there were none; `ret_settings` are filled in. */
static bool
check_settings(const char *schema_text, const json_t *settings, const char *pointer,
               struct assay_faults *faults, char **ret_settings)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "settings");
    size_t before = faults->count;
    json_t *schema = json_loads(schema_text, 0, NULL), *filled;

    assay_settings_check(schema, settings, at, faults);
    filled = assay_settings_fill(schema, settings);
    *ret_settings = json_dumps(filled, 0);
    json_decref(filled);
    json_decref(schema);
    return faults->count == before;
}

static void
check_caps(const struct assay_plugin_algorithm *algorithm, const struct assay_study_spec *spec,
           const char *pointer, struct assay_faults *faults)
{
    bool conditions = false;

    for (size_t i = 0; i < spec->space->n_parameters; i++)
        conditions = conditions || spec->space->parameters[i].n_conditions > 0;
    if (conditions && !(algorithm->caps & ASSAY_PLUGIN_CAP_CONDITIONS))
        assay_fault_add(faults, pointer, NULL, NULL,
                        "the algorithm %s can not serve a space with conditions", algorithm->name);
    if (spec->n_objectives > 1 && !(algorithm->caps & ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE))
        assay_fault_add(faults, pointer, NULL, NULL,
                        "the algorithm %s can not serve more than one objective", algorithm->name);
    if (spec->n_constraints > 0 && !(algorithm->caps & ASSAY_PLUGIN_CAP_CONSTRAINTS))
        assay_fault_add(faults, pointer, NULL, NULL, "the algorithm %s can not serve constraints",
                        algorithm->name);
}

static assay_registry_ask *ask_apart;
static void *ask_apart_arg;

void
assay_registry_set_apart(assay_registry_ask *ask, void *arg)
{
    ask_apart = ask;
    ask_apart_arg = arg;
}

/* What `check` looks at, as a study file. */
static char *
ask_elsewhere(const struct assay_study_spec *spec)
{
    json_auto_t *study = json_pack(
        "{s:o, s:{s:s, s:O}, s:o, s:I}", "parameters", assay_space_encode(spec->space),
        "algorithm", "name", spec->algorithm.name, "settings", spec->algorithm.settings, "limits",
        assay_limits_encode(&spec->limits, spec->trial != NULL), "seed", (json_int_t)spec->seed);
    json_t *objectives = json_array();

    for (size_t i = 0; i < spec->n_objectives; i++)
        json_array_append_new(
            objectives, json_pack("{s:s, s:s}", "metric", spec->objectives[i].metric, "goal",
                                  spec->objectives[i].goal == ASSAY_GOAL_MAXIMIZE ? "maximize"
                                                                                  : "minimize"));
    json_object_set_new(study, "objectives", objectives);
    if (spec->budget.name != NULL)
        json_object_set_new(study, "budget",
                            json_pack("{s:s, s:f, s:f, s:f}", "name", spec->budget.name, "min",
                                      spec->budget.min, "max", spec->budget.max, "eta",
                                      spec->budget.eta));
    return ask_apart(ask_apart_arg, study);
}

/* Caller frees; NULL: it can. */
static char *
ask_here(const struct assay_plugin_algorithm *algorithm, const struct assay_study_spec *spec,
         const char *settings)
{
    struct assay_view *view = assay_view_new(spec->space);
    char reason[256] = "";
    int32_t result = algorithm->check(
        &(struct assay_plugin_study){
            .space = assay_view_space(view),
            .n_objectives = ASSAY_MAX(spec->n_objectives, (size_t)1),
            .settings = settings,
            .seed = spec->seed,
            .budget_min = spec->budget.min,
            .budget_max = spec->budget.max,
            .budget_eta = spec->budget.eta,
            .trials = (uint64_t)ASSAY_MAX(spec->limits.trials, INT64_C(0)),
            .parallel = (uint64_t)ASSAY_MAX(spec->limits.parallel, INT64_C(0)),
            .resumable = spec->trial != NULL && spec->trial->checkpoints,
        },
        reason, sizeof reason);

    assay_view_free(view);
    if (result >= 0)
        return NULL;
    reason[sizeof reason - 1] = '\0';
    return assay_strdup(reason[0] != '\0' ? reason : "the algorithm can not serve this study");
}

/* "plugin" is a kind of algorithm and no name of one. */
static void
explain_plugin(const char *pointer, struct assay_faults *faults)
{
    assay_auto_free char *at = assay_pointer_key(pointer, "name");
    struct assay_buffer names = {0};

    for (size_t i = 0; assay_registry_algorithm_at(i) != NULL; i++) {
        if (algorithm_plugins[i] != NULL)
            assay_buffer_printf(&names, "%s%s", names.length > 0 ? ", " : "", algorithms[i]->name);
    }
    if (names.length > 0)
        assay_fault_add(faults, at, NULL, names.data,
                        "name the algorithm that a plugin brought; loaded are: %s", names.data);
    else
        assay_fault_add(faults, at, NULL, NULL,
                        "name the algorithm that a plugin brought; no plugin is loaded (assayd "
                        "--plugin FILE loads one)");
    assay_buffer_done(&names);
}

static void
check_algorithm(const struct assay_study_spec *spec, const char *pointer,
                struct assay_faults *faults)
{
    const struct assay_plugin_algorithm *algorithm = assay_registry_algorithm(spec->algorithm.name);
    assay_auto_free char *settings = NULL, *reason = NULL;

    if (algorithm == NULL && strcmp(spec->algorithm.name, "plugin") == 0) {
        explain_plugin(pointer, faults);
        return;
    }
    if (algorithm == NULL && strcmp(spec->algorithm.name, ASSAY_REMOTE_NAME) == 0) {
        assay_auto_free char *at = assay_pointer_key(pointer, "name");

        assay_fault_add(faults, at, NULL, NULL,
                        "this service calls no remote algorithms (assayd --remote-algorithms)");
        return;
    }
    if (algorithm == NULL) {
        add_unknown_name(faults, pointer, "algorithm", spec->algorithm.name, false);
        return;
    }
    if (!check_settings(algorithm->settings_schema, spec->algorithm.settings, pointer, faults,
                        &settings) ||
        spec->space == NULL)
        return;
    check_caps(algorithm, spec, pointer, faults);
    if (algorithm->check == NULL || spec->n_objectives == 0)
        return;
    if (ask_apart != NULL && assay_registry_plugin_of(algorithm->name) != NULL)
        reason = ask_elsewhere(spec);
    else
        reason = ask_here(algorithm, spec, settings);
    if (reason != NULL)
        assay_fault_add(faults, pointer, NULL, NULL, "%s", reason);
}

static void
check_choice(const struct assay_stopping_choice *choice, const char *pointer,
             struct assay_faults *faults)
{
    const struct assay_plugin_rule *rule;
    assay_auto_free char *settings = NULL, *list = assay_pointer_key(pointer, "rules");

    if (choice->name == NULL || strcmp(choice->name, "any") == 0 ||
        strcmp(choice->name, "all") == 0) {
        for (size_t i = 0; i < choice->n_rules; i++) {
            assay_auto_free char *item = assay_pointer_index(list, i);

            check_choice(&choice->rules[i], item, faults);
        }
        return;
    }
    rule = assay_registry_rule(choice->name);
    if (rule == NULL)
        add_unknown_name(faults, pointer, "stopping rule", choice->name, true);
    else
        (void)check_settings(rule->settings_schema, choice->settings, pointer, faults, &settings);
}

static void
check_rule(const struct assay_study_spec *spec, const char *pointer, struct assay_faults *faults)
{
    check_choice(&spec->early_stopping, pointer, faults);
}

const struct assay_study_checks *
assay_registry_checks(void)
{
    static const struct assay_study_checks checks = {
        .algorithm = check_algorithm,
        .stopping_rule = check_rule,
    };

    return &checks;
}

/* --- plugins --- */

static assay_status
check_file(const char *path, struct assay_error *err)
{
    struct stat found;

    if (path[0] != '/')
        return assay_fail(err, ASSAY_E_PLUGIN, "%s is not an absolute path", path);
    if (stat(path, &found) < 0)
        return assay_fail(err, ASSAY_E_PLUGIN, "%s: %s", path, strerror(errno));
    if (!S_ISREG(found.st_mode))
        return assay_fail(err, ASSAY_E_PLUGIN, "%s is not a regular file", path);
    if (found.st_uid != 0 && found.st_uid != geteuid())
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "%s belongs to user %u, neither to root nor to the user of this process",
                          path, (unsigned)found.st_uid);
    if (found.st_mode & (S_IWGRP | S_IWOTH))
        return assay_fail(err, ASSAY_E_PLUGIN, "%s can be written by others (mode %o)", path,
                          (unsigned)found.st_mode & 0777u);
    return ASSAY_OK;
}

static assay_status
check_entry(const char *name, const char *description, const char *schema_text, bool known,
            struct assay_error *err)
{
    json_t *schema;
    assay_status status;

    if (name == NULL || name[0] == '\0' || strlen(name) > 63 ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != '\0')
        return assay_fail(err, ASSAY_E_PLUGIN, "a name is not of the form [a-z0-9_-]{1,63}");
    if (known)
        return assay_fail(err, ASSAY_E_PLUGIN, "there is a %s already", name);
    if (description == NULL || schema_text == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "%s lacks a description or a settings schema", name);
    schema = json_loads(schema_text, 0, NULL);
    status = assay_settings_check_schema(schema, err);
    json_decref(schema);
    return status == ASSAY_OK ? ASSAY_OK : assay_wrap(err, "%s", name);
}

static assay_status
check_algorithm_table(const struct assay_plugin_algorithm *algorithm, struct assay_error *err)
{
    if (algorithm == NULL || algorithm->struct_size < sizeof *algorithm)
        return assay_fail(err, ASSAY_E_PLUGIN, "an algorithm's table is missing or too short");
    if (algorithm->create == NULL || algorithm->update == NULL || algorithm->suggest == NULL ||
        algorithm->destroy == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "an algorithm's table lacks create, update, suggest or destroy");
    return check_entry(algorithm->name, algorithm->description, algorithm->settings_schema,
                       algorithm->name != NULL && assay_registry_algorithm(algorithm->name) != NULL,
                       err);
}

static assay_status
check_rule_table(const struct assay_plugin_rule *rule, struct assay_error *err)
{
    if (rule == NULL || rule->struct_size < offsetof(struct assay_plugin_rule, start))
        return assay_fail(err, ASSAY_E_PLUGIN, "a rule's table is missing or too short");
    if (rule->create == NULL || rule->report == NULL || rule->finish == NULL ||
        rule->destroy == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "a rule's table lacks create, report, finish or destroy");
    return check_entry(rule->name, rule->description, rule->settings_schema,
                       rule->name != NULL && assay_registry_rule(rule->name) != NULL, err);
}

/* Majors are equal; a table shorter than the first minor's is not ours.  What a
 * newer plugin appends is not looked at; what an older one lacks is absent. */
static assay_status
check_plugin_table(const struct assay_plugin *plugin, struct assay_error *err)
{
    if (plugin == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "it can not work with this version of Assay");
    if (plugin->abi_major != ASSAY_PLUGIN_ABI_MAJOR)
        return assay_fail(err, ASSAY_E_PLUGIN,
                          "it was built for version %u of the plugin ABI, this is version %u",
                          (unsigned)plugin->abi_major, ASSAY_PLUGIN_ABI_MAJOR);
    if (plugin->struct_size < sizeof *plugin)
        return assay_fail(err, ASSAY_E_PLUGIN, "its table has %llu bytes, %zu are needed",
                          (unsigned long long)plugin->struct_size, sizeof *plugin);
    if (plugin->name == NULL || plugin->version == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "it has no name or no version");
    if (plugin->n_algorithms > EACH_MAX || plugin->n_rules > EACH_MAX)
        return assay_fail(err, ASSAY_E_PLUGIN, "it has more than %d algorithms or rules", EACH_MAX);
    return ASSAY_OK;
}

static assay_status
add_all(const struct assay_plugin *plugin, struct assay_error *err)
{
    size_t n_algorithms = 0, n_rules = 0;
    assay_status status = check_plugin_table(plugin, err);

    if (status != ASSAY_OK)
        return status;
    while (n_algorithms < EACH_MAX && algorithms[n_algorithms] != NULL)
        n_algorithms++;
    while (n_rules < EACH_MAX && rules[n_rules] != NULL)
        n_rules++;
    if (n_algorithms + plugin->n_algorithms > EACH_MAX || n_rules + plugin->n_rules > EACH_MAX)
        return assay_fail(err, ASSAY_E_PLUGIN, "there are more than %d algorithms or rules",
                          EACH_MAX);
    for (size_t i = 0; i < plugin->n_algorithms && status == ASSAY_OK; i++) {
        status = check_algorithm_table(plugin->algorithms[i], err);
        if (status == ASSAY_OK) {
            algorithms[n_algorithms + i] = plugin->algorithms[i];
            algorithm_plugins[n_algorithms + i] = plugin;
        }
    }
    for (size_t i = 0; i < plugin->n_rules && status == ASSAY_OK; i++) {
        status = check_rule_table(plugin->rules[i], err);
        if (status == ASSAY_OK) {
            rules[n_rules + i] = plugin->rules[i];
            rule_plugins[n_rules + i] = plugin;
        }
    }
    if (status != ASSAY_OK) {
        for (size_t i = n_algorithms; i < EACH_MAX; i++) {
            algorithms[i] = NULL;
            algorithm_plugins[i] = NULL;
        }
        for (size_t i = n_rules; i < EACH_MAX; i++) {
            rules[i] = NULL;
            rule_plugins[i] = NULL;
        }
    }
    return status;
}

assay_status
assay_registry_load(const char *path, struct assay_error *err)
{
    const struct assay_plugin *(*entry)(const struct assay_plugin_host *);
    assay_status status = check_file(path, err);
    void *library;

    if (status != ASSAY_OK)
        return status;
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "%s", dlerror());
    /* POSIX has a function pointer come as an object pointer. */
    *(void **)(void *)&entry = dlsym(library, "assay_plugin_entry");
    if (entry == NULL)
        status = assay_fail(err, ASSAY_E_PLUGIN, "it exports no assay_plugin_entry");
    else
        status = add_all(entry(assay_host_table()), err);
    if (status == ASSAY_OK)
        return ASSAY_OK;
    dlclose(library);
    return assay_wrap(err, "plugin %s", path);
}
