/* A Katib Experiment (kubeflow.org/v1beta1) as a study file.
 *
 * The rules are those of Katib's own webhook and defaults, and some that it lacks; the
 * checks of the study file itself come after and are told at the Experiment's places. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/random.h"
#include "schemas/katib/katib_internal.h"

#define NAME_BYTES_MAX 40
#define METRICS_MAX 1000

/* --- metadata */

struct metadata_file {
    char *name, *generate_name, *namespace;
    const json_t *labels, *annotations, *ignored;
};

#define IGNORED(name) \
    {.key = (name), .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct metadata_file, ignored)}

/* The last ones are what an API server writes there. */
static const struct assay_field metadata_fields[] = {
    {.key = "name", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 253.0,
     .offset = offsetof(struct metadata_file, name)},
    {.key = "generateName", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 253.0,
     .offset = offsetof(struct metadata_file, generate_name)},
    {.key = "namespace", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 63.0,
     .offset = offsetof(struct metadata_file, namespace)},
    {.key = "labels", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct metadata_file, labels)},
    {.key = "annotations", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct metadata_file, annotations)},
    IGNORED("uid"), IGNORED("resourceVersion"), IGNORED("generation"),
    IGNORED("creationTimestamp"), IGNORED("managedFields"), IGNORED("finalizers"),
    IGNORED("ownerReferences"), IGNORED("selfLink"), IGNORED("deletionTimestamp"),
    IGNORED("deletionGracePeriodSeconds"),
};

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
static const char name_bytes[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

static bool
name_valid(const char *name, bool prefix)
{
    size_t length = strlen(name);

    return length >= 1 && length <= NAME_BYTES_MAX && strchr(letters, name[0]) != NULL &&
           strspn(name, name_bytes) == length && (prefix || name[length - 1] != '-');
}

static void
check_texts(struct assay_translation *t, const json_t *map, const char *pointer)
{
    const char *key;
    json_t *value;

    assay_json_each (map, key, value) {
        if (!json_is_string(value)) {
            assay_auto_free char *at = assay_pointer_key(pointer, key);

            assay_fault_type(t->faults, at, value, "a string");
        }
    }
}

/* "prefix-" and five letters and digits, as an API server would. */
static char *
generated(const char *prefix)
{
    static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
    uint64_t seed = assay_random_seed();
    char tail[6] = {0};

    for (size_t i = 0; i < sizeof tail - 1; i++) {
        tail[i] = alphabet[seed % (sizeof alphabet - 1)];
        seed /= sizeof alphabet - 1;
    }
    return assay_format("%.35s%s", prefix, tail);
}

static void
translate_name(struct assay_translation *t, const json_t *json, const struct metadata_file *file)
{
    const char *key = file->name != NULL ? "name" : "generateName";
    const char *name = file->name != NULL ? file->name : file->generate_name;
    assay_auto_free char *whole = NULL;

    if (name == NULL) {
        assay_fault_add(t->faults, "/metadata/name", NULL, "name or generateName",
                        "the experiment has no name");
        return;
    }
    if (!name_valid(name, file->name == NULL)) {
        assay__fault_at(t, "/metadata", key, json_object_get(json, key),
                        "at most 40 of a-z, 0-9 and '-', with a letter first",
                        "not a valid name of an Experiment");
        return;
    }
    whole = file->name != NULL ? assay_strdup(name) : generated(name);
    json_object_set_new(t->study, "name", json_string(whole));
    assay__place_key(t, "", "name", "/metadata", key);
}

static void
translate_metadata(struct assay_translation *t, const json_t *json)
{
    struct metadata_file file = {0};

    if (json == NULL) {
        assay_fault_add(t->faults, "/metadata", NULL, "an object with a name",
                        "metadata is missing");
        return;
    }
    if (assay_decode_object(json, "/metadata", metadata_fields, ASSAY_COUNT(metadata_fields),
                            &file, t->faults))
        translate_name(t, json, &file);
    if (file.namespace != NULL) {
        json_t *kubernetes = assay__section(assay__section(t->study, "trial"), "kubernetes");

        if (strspn(file.namespace, name_bytes) != strlen(file.namespace) ||
            file.namespace[0] == '-')
            assay__fault_at(t, "/metadata", "namespace", json_object_get(json, "namespace"),
                            "a-z, 0-9 and '-'", "not a valid name of a namespace");
        json_object_set_new(kubernetes, "namespace", json_string(file.namespace));
        assay__place(t, "/trial/kubernetes/namespace", "/metadata/namespace");
    }
    check_texts(t, file.labels, "/metadata/labels");
    check_texts(t, file.annotations, "/metadata/annotations");
    free(file.name);
    free(file.generate_name);
    free(file.namespace);
}

/* --- objective */

struct objective_file {
    int type; /* -1: not given */
    double goal;
    char *metric;
    const json_t *additional, *strategies;
};

static const char *const objective_types[] = {"minimize", "maximize", NULL};

static const struct assay_field objective_fields[] = {
    {.key = "type", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
     .names = objective_types, .offset = offsetof(struct objective_file, type)},
    {.key = "goal", .kind = ASSAY_FIELD_REAL, .offset = offsetof(struct objective_file, goal)},
    {.key = "objectiveMetricName", .kind = ASSAY_FIELD_METRIC, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct objective_file, metric)},
    {.key = "additionalMetricNames", .kind = ASSAY_FIELD_ARRAY,
     .offset = offsetof(struct objective_file, additional)},
    {.key = "metricStrategies", .kind = ASSAY_FIELD_ARRAY,
     .offset = offsetof(struct objective_file, strategies)},
};

static void
check_additional(struct assay_translation *t, const struct objective_file *file)
{
    json_auto_t *seen = json_object();

    for (size_t i = 0; i < json_array_size(file->additional); i++) {
        assay_auto_free char *at =
            assay_pointer_index("/spec/objective/additionalMetricNames", i);
        const json_t *json = json_array_get(file->additional, i);
        const char *name = json_string_value(json);

        if (name == NULL || !assay_metric_name_valid(name))
            assay_fault_type(t->faults, at, json, "the name of a metric");
        else if (file->metric != NULL && strcmp(name, file->metric) == 0)
            assay_fault_add(t->faults, at, json, NULL,
                            "%s is the objective; it can not be an additional metric too", name);
        else if (json_object_get(seen, name) != NULL)
            assay_fault_add(t->faults, at, json, NULL, "%s is given twice", name);
        else
            json_object_set_new(seen, name, json_true());
    }
}

static bool
is_metric(const struct objective_file *file, const char *name)
{
    if (file->metric == NULL || strcmp(file->metric, name) == 0)
        return true;
    for (size_t i = 0; i < json_array_size(file->additional); i++) {
        const char *other = json_string_value(json_array_get(file->additional, i));

        if (other != NULL && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

struct strategy_file {
    char *name;
    int value;
};

/* The strategy of the objective: index of last, min, max. */
static int
check_strategies(struct assay_translation *t, const struct objective_file *file)
{
    static const char *const values[] = {"latest", "min", "max", NULL};
    static const struct assay_field fields[] = {
        {.key = "name", .kind = ASSAY_FIELD_METRIC, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct strategy_file, name)},
        {.key = "value", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
         .names = values, .offset = offsetof(struct strategy_file, value)},
    };
    json_auto_t *seen = json_object();
    int objective = file->type == 1 ? 2 : 1; /* Katib's default: the best value */

    for (size_t i = 0; i < json_array_size(file->strategies); i++) {
        assay_auto_free char *at = assay_pointer_index("/spec/objective/metricStrategies", i);
        const json_t *json = json_array_get(file->strategies, i);
        struct strategy_file strategy = {0};

        if (assay_decode_object(json, at, fields, ASSAY_COUNT(fields), &strategy, t->faults)) {
            if (!is_metric(file, strategy.name))
                assay__fault_at(t, at, "name", json_object_get(json, "name"),
                                "the objective or an additional metric",
                                "%s is no metric of this experiment", strategy.name);
            else if (json_object_get(seen, strategy.name) != NULL)
                assay__fault_at(t, at, "name", json_object_get(json, "name"), NULL,
                                "%s has a strategy already", strategy.name);
            else if (file->metric != NULL && strcmp(strategy.name, file->metric) == 0)
                objective = strategy.value;
            json_object_set_new(seen, strategy.name, json_true());
        }
        free(strategy.name);
    }
    return objective;
}

static void
translate_objective(struct assay_katib *k)
{
    static const char *const summaries[] = {"last", "min", "max"};
    struct assay_translation *t = k->t;
    struct objective_file file = {.type = -1, .goal = 0.0};
    const json_t *json = k->spec.objective;
    json_t *objective = json_object();
    int summary;

    json_object_set_new(t->study, "objective", objective);
    assay__place(t, "/objective", "/spec/objective");
    if (json == NULL) {
        assay_fault_add(t->faults, "/spec/objective", NULL,
                        "an object with type and objectiveMetricName", "objective is missing");
        return;
    }
    assay_decode_object(json, "/spec/objective", objective_fields, ASSAY_COUNT(objective_fields),
                        &file, t->faults);
    if (file.metric != NULL)
        json_object_set_new(objective, "metric", json_string(file.metric));
    if (file.type >= 0)
        json_object_set_new(objective, "goal", json_string(objective_types[file.type]));
    if (json_array_size(file.additional) > METRICS_MAX ||
        json_array_size(file.strategies) > METRICS_MAX) {
        assay_fault_add(t->faults, "/spec/objective", NULL, "at most 1000",
                        "there are too many metrics");
    } else {
        check_additional(t, &file);
        summary = check_strategies(t, &file);
        json_object_set_new(objective, "summary", json_string(summaries[summary]));
    }
    if (json_is_number(json_object_get(json, "goal"))) {
        json_object_set(objective, "target", json_object_get(json, "goal"));
        assay__place_key(t, "/objective", "target", "/spec/objective", "goal");
    }
    assay__place_key(t, "/objective", "metric", "/spec/objective", "objectiveMetricName");
    assay__place_key(t, "/objective", "goal", "/spec/objective", "type");
    free(file.metric);
}

/* --- counts */

static void
translate_limits(struct assay_katib *k)
{
    const struct assay_katib_spec *spec = &k->spec;
    struct assay_translation *t = k->t;
    int64_t parallel = spec->parallel;

    if (parallel < 0)
        parallel = spec->trials > 0 ? ASSAY_MIN(spec->trials, (int64_t)ASSAY_KATIB_PARALLEL)
                                    : ASSAY_KATIB_PARALLEL;
    if (spec->trials > 0 && spec->parallel > spec->trials) {
        json_auto_t *found = json_integer(spec->parallel);

        assay_fault_add(t->faults, "/spec/parallelTrialCount", found, "at most maxTrialCount",
                        "parallelTrialCount is greater than maxTrialCount (%lld)",
                        (long long)spec->trials);
    }
    /* Katib's webhook refuses this, and one of its own examples has it. */
    if (spec->trials > 0 && spec->failed_trials > spec->trials)
        assay__note(t, "/spec/maxFailedTrialCount",
                    "maxFailedTrialCount is greater than maxTrialCount (%lld): it is never reached",
                    (long long)spec->trials);
    if (spec->trials > 0)
        assay__set(t, "limits", "trials", json_integer(spec->trials));
    assay__set(t, "limits", "parallel", json_integer(parallel));
    /* Katib fails with so many failures, Assay with more than; both need one. */
    if (spec->failed_trials >= 0)
        assay__set(t, "limits", "failed_trials",
                   json_integer(ASSAY_MAX(spec->failed_trials - 1, (int64_t)0)));
    assay__place(t, "/limits/trials", "/spec/maxTrialCount");
    assay__place(t, "/limits/parallel", "/spec/parallelTrialCount");
    assay__place(t, "/limits/failed_trials", "/spec/maxFailedTrialCount");
}

static void
check_resume_policy(struct assay_katib *k)
{
    static const char *const policies[] = {"Never", "LongRunning", "FromVolume", NULL};
    const char *policy = k->spec.resume_policy;
    json_auto_t *found = json_string(policy != NULL ? policy : "");
    size_t i = 0;

    if (policy == NULL || *policy == '\0')
        return;
    while (policies[i] != NULL && strcmp(policies[i], policy) != 0)
        i++;
    if (policies[i] == NULL)
        assay_fault_unknown(k->t->faults, "/spec/resumePolicy", found, "resumePolicy", policy,
                            policies);
    else if (i > 0)
        assay__note(k->t, "/spec/resumePolicy",
                    "the state of a study is always kept, and maxTrialCount can be raised while it "
                    "runs (assay limits); one that has ended is gone on with by a new study with "
                    "warm_start");
}

/* --- the whole file */

struct file {
    char *api_version, *kind;
    const json_t *metadata, *spec, *status;
};

static const struct assay_field file_fields[] = {
    {.key = "apiVersion", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct file, api_version)},
    {.key = "kind", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct file, kind)},
    {.key = "metadata", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct file, metadata)},
    {.key = "spec", .kind = ASSAY_FIELD_OBJECT, .flags = ASSAY_FIELD_REQUIRED,
     .offset = offsetof(struct file, spec)},
    {.key = "status", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct file, status)},
};

#define COUNT_MAX 100000000.0
#define SECTION(name, field_kind, member) \
    {.key = (name), .kind = (field_kind), .offset = offsetof(struct assay_katib_spec, member)}

static const struct assay_field spec_fields[] = {
    SECTION("parameters", ASSAY_FIELD_ARRAY, parameters),
    SECTION("objective", ASSAY_FIELD_OBJECT, objective),
    SECTION("algorithm", ASSAY_FIELD_OBJECT, algorithm),
    SECTION("earlyStopping", ASSAY_FIELD_OBJECT, early_stopping),
    SECTION("metricsCollectorSpec", ASSAY_FIELD_OBJECT, collector),
    SECTION("trialTemplate", ASSAY_FIELD_OBJECT, template),
    SECTION("nasConfig", ASSAY_FIELD_ANY, nas),
    {.key = "resumePolicy", .kind = ASSAY_FIELD_STRING, .min = 0.0, .max = 100.0,
     .offset = offsetof(struct assay_katib_spec, resume_policy)},
    {.key = "parallelTrialCount", .kind = ASSAY_FIELD_INT, .min = 1.0, .max = 1000000.0,
     .offset = offsetof(struct assay_katib_spec, parallel)},
    {.key = "maxTrialCount", .kind = ASSAY_FIELD_INT, .min = 1.0, .max = COUNT_MAX,
     .offset = offsetof(struct assay_katib_spec, trials)},
    {.key = "maxFailedTrialCount", .kind = ASSAY_FIELD_INT, .min = 0.0, .max = COUNT_MAX,
     .offset = offsetof(struct assay_katib_spec, failed_trials)},
};

/* The file without what the API server or Katib has written into it. */
static json_t *
origin_of(const json_t *file)
{
    static const char *const kept[] = {"name", "generateName", "namespace", "labels",
                                       "annotations"};
    const json_t *metadata = json_object_get(file, "metadata");
    json_t *own = json_object(), *document = json_object();

    for (size_t i = 0; i < ASSAY_COUNT(kept); i++)
        json_object_set(own, kept[i], json_object_get(metadata, kept[i]));
    json_object_set(document, "apiVersion", json_object_get(file, "apiVersion"));
    json_object_set(document, "kind", json_object_get(file, "kind"));
    json_object_set_new(document, "metadata", own);
    json_object_set_new(document, "spec", json_deep_copy(json_object_get(file, "spec")));
    return json_pack("{s:s, s:o}", "system", "katib", "document", document);
}

/* False with a fault when the rest is not worth reading. */
static bool
check_version(struct assay_translation *t, const json_t *file)
{
    const json_t *version = json_object_get(file, "apiVersion");
    const json_t *kind = json_object_get(file, "kind");

    if (!json_is_string(version) || strcmp(json_string_value(version), ASSAY_KATIB_VERSION) != 0) {
        assay_fault_add(t->faults, "/apiVersion", version, ASSAY_KATIB_VERSION,
                        "this version of Katib's objects is not supported");
        return false;
    }
    if (!json_is_string(kind) || strcmp(json_string_value(kind), "Experiment") != 0) {
        assay_fault_add(t->faults, "/kind", kind, "Experiment",
                        "of Katib's objects only an Experiment can be submitted");
        return false;
    }
    return true;
}

static void
translate_spec(struct assay_katib *k, const json_t *json)
{
    struct assay_translation *t = k->t;

    assay_decode_object(json, "/spec", spec_fields, ASSAY_COUNT(spec_fields), &k->spec, t->faults);
    translate_objective(k);
    assay__katib_algorithm(k);
    if (k->spec.nas != NULL) {
        assay_fault_add(t->faults, "/spec/nasConfig", NULL, "parameters",
                        "neural architecture search is not supported: Assay tunes parameters only");
        /* There are no parameters then, which is no other fault. */
        json_object_set_new(t->study, "parameters", json_array());
        assay__placeholder(json_object_get(t->study, "parameters"), NULL);
    } else {
        assay__katib_parameters(k);
    }
    assay__katib_early_stopping(k);
    translate_limits(k);
    assay__katib_collector(k);
    assay__katib_template(k);
    check_resume_policy(k);
}

void
assay__import_katib(const json_t *json, struct assay_translation *t)
{
    struct assay_katib k = {.t = t,
                            .spec = {.parallel = -1, .trials = -1, .failed_trials = -1}};
    struct file file = {0};

    assay__place(t, "/trial", "/spec/trialTemplate");
    assay__place(t, "", "");
    if (!check_version(t, json))
        return;
    assay_decode_object(json, "", file_fields, ASSAY_COUNT(file_fields), &file, t->faults);
    translate_metadata(t, file.metadata);
    if (file.spec != NULL)
        translate_spec(&k, file.spec);
    if (file.status != NULL)
        assay__note(t, "/status", "the status is left out: the study starts afresh");
    if (t->faults->count == 0)
        json_object_set_new(t->study, "origin", origin_of(json));
    free(file.api_version);
    free(file.kind);
    free(k.spec.resume_policy);
    free(k.resource);
}
