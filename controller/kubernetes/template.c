#include "controller/kubernetes/template.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"
#include "controller/kubernetes/pod_manifest.h"
#include "controller/launch.h"
#include "schemas/decode.h"
#include "schemas/kubernetes_kind.h"

#define SECTION "/trial/kubernetes"
#define CHECKPOINT_VOLUME "assay-checkpoint"
#define COPIES_MAX 1000000

/* The object there; made when there is none. */
static json_t *
section(json_t *object, const char *key)
{
    json_t *found = json_object_get(object, key);

    if (!json_is_object(found)) {
        found = json_object();
        json_object_set_new(object, key, found);
    }
    return found;
}

static json_t *
list(json_t *object, const char *key)
{
    json_t *found = json_object_get(object, key);

    if (!json_is_array(found)) {
        found = json_array();
        json_object_set_new(object, key, found);
    }
    return found;
}

/* --- what ${…} stands for --- */

/* ${trialSpec.Labels[key]} and the like: texts of the template itself. */
static assay_status
add_meta_values(json_t *values, const json_t *template, const char *member, const char *word,
                struct assay_error *err)
{
    const json_t *texts = json_object_get(json_object_get(template, "metadata"), member);
    const char *key;
    json_t *value, *replaced;

    assay_json_each (texts, key, value) {
        assay_auto_free char *name = assay_format("trialSpec.%s[%s]", word, key);
        assay_auto_free char *at = assay_format(SECTION "/template/metadata/%s/%s", member, key);
        assay_status rc;

        if (!json_is_string(value))
            continue;
        rc = assay_launch_substitute(json_string_value(value), values, at, &replaced, err);
        if (rc < 0)
            return rc;
        json_object_set_new(values, name, replaced);
    }
    return ASSAY_OK;
}

/* New reference, NULL with an error. */
static json_t *
values_of(const struct assay_launch *launch, const char *name, const char *namespace_,
          struct assay_error *err)
{
    const json_t *template = json_object_get(launch->spec->trial->kubernetes, "template");
    json_t *own = assay_launch_values(launch), *values = json_copy(own), *value;
    const char *key;

    json_object_foreach (own, key, value) {
        assay_auto_free char *katibs = assay_format("trialParameters.%s", key);

        json_object_set(values, katibs, value);
    }
    json_decref(own);
    json_object_set_new(values, "trialSpec.Name", json_string(name));
    json_object_set_new(values, "trialSpec.Namespace", json_string(namespace_));
    json_object_set_new(values, "trialSpec.Kind",
                        json_string(assay_json_text_at(template, "kind")));
    json_object_set_new(values, "trialSpec.APIVersion",
                        json_string(assay_json_text_at(template, "apiVersion")));
    if (add_meta_values(values, template, "labels", "Labels", err) == ASSAY_OK &&
        add_meta_values(values, template, "annotations", "Annotations", err) == ASSAY_OK)
        return values;
    json_decref(values);
    return NULL;
}

/* --- pod templates in a manifest --- */

struct making {
    const struct assay_launch *launch;
    const struct assay_kube_template_options *options;
    const struct assay_kubernetes_spec *spec;
    const struct assay_kube_template *template;
    const char *container; /* NULL = each pod's first */
    json_t *env;
    int64_t gpus;
    bool has_master; /* a group of pods that is more than workers */
    size_t sidecars;
    assay_status rc; /* of the first thing that went wrong, */
    struct assay_error *err;
};

/* A pod's part of a manifest wherever it stands: what has spec.containers. */
static json_t *
containers_of(const json_t *json)
{
    json_t *containers = json_object_get(json_object_get(json, "spec"), "containers");

    return json_is_array(containers) ? containers : NULL;
}

static void
add_environment(json_t *object, const json_t *env)
{
    json_t *own = list(object, "env"), *variable;
    size_t i;

    json_array_foreach (env, i, variable) {
        if (assay_json_named(own, assay_json_text_at(variable, "name")) == NULL)
            json_array_append(own, variable);
    }
}

static const char *
checkpoint_path(const struct assay_kubernetes_spec *spec)
{
    return spec->checkpoint_path != NULL ? spec->checkpoint_path : ASSAY_KUBE_CHECKPOINT_PATH;
}

static void
mount_checkpoints(const struct making *m, json_t *pod_spec, json_t *container)
{
    assay_auto_free char *folder = assay_kube_checkpoint_folder(m->options->owner, m->launch,
                                                                m->launch->key.trial_number);

    if (m->spec->checkpoint_claim == NULL ||
        assay_json_named(list(pod_spec, "volumes"), CHECKPOINT_VOLUME) != NULL)
        return;
    json_array_append_new(list(pod_spec, "volumes"),
                          json_pack("{s:s, s:{s:s}}", "name", CHECKPOINT_VOLUME,
                                    "persistentVolumeClaim", "claimName",
                                    m->spec->checkpoint_claim));
    json_array_append_new(list(container, "volumeMounts"),
                          json_pack("{s:s, s:s, s:s}", "name", CHECKPOINT_VOLUME, "mountPath",
                                    checkpoint_path(m->spec), "subPath", folder));
}

static int64_t
gpus_of(const json_t *limits, const char *resource)
{
    assay_auto_free char *text = assay_json_scalar_text(json_object_get(limits, resource));
    int64_t n = 0;

    return text != NULL && assay_parse_int(text, 0, COPIES_MAX, &n) ? n : 0;
}

static bool
is_master(const char *role)
{
    return strcasecmp(role, "Master") == 0 || strcasecmp(role, "Chief") == 0 ||
           strcasecmp(role, "Launcher") == 0;
}

/* Whether the operator will give this pod, described in a group called `role`, the labels of
 * the primary one; labels that nobody here knows are taken to fit. */
static bool
will_be_primary(const struct making *m, const json_t *pod, const char *role)
{
    const json_t *labels = json_object_get(json_object_get(pod, "metadata"), "labels");
    const char *key;
    json_t *value;

    json_object_foreach (m->template->primary_labels, key, value) {
        const char *wanted = json_string_value(value), *slash = strrchr(key, '/');
        const char *word = slash != NULL ? slash + 1 : key;
        const json_t *own = json_object_get(labels, key);

        if (json_is_string(own) && strcmp(json_string_value(own), wanted) != 0)
            return false;
        if (own != NULL || role == NULL)
            continue;
        if (strcmp(word, "job-role") == 0 && strcmp(wanted, "master") == 0) {
            if (m->has_master && !is_master(role))
                return false;
        } else if ((strcmp(word, "replica-type") == 0 || strcmp(word, "mpi-job-role") == 0 ||
                    strcmp(word, "replicatedjob-name") == 0) &&
                   strcasecmp(role, wanted) != 0) {
            return false;
        }
    }
    return true;
}

static void
add_sidecar(struct making *m, json_t *pod, const char *role)
{
    json_t *pod_spec = json_object_get(pod, "spec");

    if (m->rc < 0 || !assay_kube_runner_watches(m->launch->spec->trial) ||
        !will_be_primary(m, pod, role) ||
        (m->container != NULL && assay_json_named(containers_of(pod), m->container) == NULL))
        return;
    m->sidecars++;
    m->rc = assay_kube_runner_add_sidecar(m->launch, m->options->reach.runner_image,
                                          m->template->name, pod_spec, m->container, m->err);
}

/* The checkpoint of the trial that this one goes on from. */
static void
bring_checkpoint(struct making *m, json_t *pod, const json_t *container, const char *role)
{
    assay_auto_free char *from =
        assay_kube_checkpoint_folder(m->options->owner, m->launch, m->launch->parent);

    if (m->rc == ASSAY_OK && m->launch->parent != 0 && m->spec->checkpoint_claim != NULL &&
        will_be_primary(m, pod, role))
        m->rc = assay_kube_runner_bring(json_object_get(pod, "spec"), container,
                                        m->options->reach.runner_image, checkpoint_path(m->spec),
                                        from, m->err);
}

static void
make_pod(struct making *m, json_t *pod, const char *role, int64_t copies)
{
    json_t *metadata = section(pod, "metadata"), *pod_spec = json_object_get(pod, "spec");
    json_t *container;
    size_t i;

    assay_kube_add_labels(section(metadata, "labels"), m->launch, m->options->owner);
    if (json_object_get(pod_spec, "terminationGracePeriodSeconds") == NULL)
        json_object_set_new(pod_spec, "terminationGracePeriodSeconds",
                            json_integer((m->launch->spec->trial->grace_us + ASSAY_SECOND_US - 1) /
                                         ASSAY_SECOND_US));
    json_array_foreach (containers_of(pod), i, container) {
        const json_t *limits =
            json_object_get(json_object_get(container, "resources"), "limits");

        m->gpus += copies * gpus_of(limits, m->spec->gpu_resource);
        if (m->container != NULL ? strcmp(assay_json_text_at(container, "name"), m->container) != 0
                                 : i > 0)
            continue;
        if (json_is_object(container)) {
            add_environment(container, m->env);
            mount_checkpoints(m, pod_spec, container);
            bring_checkpoint(m, pod, container, role);
        }
    }
    add_sidecar(m, pod, role);
}

/* How many there are of what is described in this object. */
static int64_t
copies_in(const json_t *object)
{
    static const char *const keys[] = {"replicas", "parallelism"};

    for (size_t i = 0; i < ASSAY_COUNT(keys); i++) {
        const json_t *n = json_object_get(object, keys[i]);

        if (json_is_integer(n) && json_integer_value(n) > 0)
            return ASSAY_MIN(json_integer_value(n), COPIES_MAX);
    }
    return 1;
}

/* `role`: what the group is called that the pods are described in; NULL = nothing. */
static void
make_pods(struct making *m, json_t *json, const char *role, int64_t copies)
{
    const char *key, *name = json_string_value(json_object_get(json, "name"));
    json_t *value;
    size_t i;

    if (containers_of(json) != NULL) {
        make_pod(m, json, role, copies);
    } else if (json_is_object(json)) {
        copies = ASSAY_MIN(copies * copies_in(json), COPIES_MAX);
        json_object_foreach (json, key, value)
            m->has_master |= is_master(key) && json_is_object(value);
        json_object_foreach (json, key, value)
            make_pods(m, value,
                      strcmp(key, "template") != 0 && strcmp(key, "spec") != 0 ? key
                      : name != NULL                                           ? name
                                                                               : role,
                      copies);
    } else if (json_is_array(json)) {
        json_array_foreach (json, i, value)
            make_pods(m, value, role, copies);
    }
}

/* Kinds that describe their pods in another way. */
static void
make_special(struct making *m, const char *kind, json_t *manifest)
{
    json_t *spec = json_object_get(manifest, "spec"), *trainer = json_object_get(spec, "trainer");
    const json_t *nodes = json_object_get(trainer, "numNodes");

    if (strcmp(kind, "TrainJob") == 0 && json_is_object(trainer)) {
        add_environment(trainer, m->env);
        m->gpus += (json_is_integer(nodes) ? json_integer_value(nodes) : 1) *
                   gpus_of(json_object_get(json_object_get(trainer, "resourcesPerNode"), "limits"),
                           m->spec->gpu_resource);
    } else if (strcmp(kind, "Workflow") == 0 && json_is_object(spec)) {
        assay_kube_add_labels(section(section(spec, "podMetadata"), "labels"), m->launch,
                              m->options->owner);
    }
}

static void
add_texts(json_t *object, const json_t *texts)
{
    if (texts != NULL)
        json_object_update(object, assay_json_unconst(texts));
}

static void
make_metadata(const struct making *m, json_t *manifest, const struct assay_kube_template *template,
              const char *success, const char *failure)
{
    json_t *metadata = section(manifest, "metadata");
    json_t *annotations = section(metadata, "annotations");

    json_object_set_new(metadata, "name", json_string(template->name));
    add_texts(section(metadata, "labels"), m->spec->labels);
    assay_kube_add_labels(section(metadata, "labels"), m->launch, m->options->owner);
    add_texts(annotations, m->spec->annotations);
    assay_kube_add_annotations(annotations, m->launch);
    if (template->retain) {
        json_object_set_new(annotations, ASSAY_KUBE_RETAIN_SUCCESS, json_string(success));
        json_object_set_new(annotations, ASSAY_KUBE_RETAIN_FAILURE, json_string(failure));
    }
}

static bool
describes_pods(const json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;

    if (containers_of(json) != NULL)
        return true;
    assay_json_each (json, key, value) {
        if (describes_pods(value))
            return true;
    }
    json_array_foreach (json, i, value) {
        if (describes_pods(value))
            return true;
    }
    return false;
}

bool
assay_kube_template_has_pods(const json_t *section, bool described)
{
    const json_t *template = json_object_get(section, "template");
    const struct assay_kubernetes_kind *known = assay_kubernetes_kind(
        assay_json_text_at(template, "apiVersion"), assay_json_text_at(template, "kind"));

    return (!described && known != NULL && known->pod_label != NULL) || describes_pods(template);
}

/* --- building --- */

static assay_status
compile(const char *text, const char *key, struct assay_gjson **ret, struct assay_error *err)
{
    assay_status rc = assay_gjson_new(text, ret, err);

    return rc < 0 ? assay_wrap(err, SECTION "/%s", key) : rc;
}

static void
set_primary(struct assay_kube_template *template, const struct assay_kubernetes_spec *spec,
            const struct assay_kubernetes_kind *known)
{
    if (spec->primary_pod_labels != NULL) {
        template->primary_labels = json_deep_copy(spec->primary_pod_labels);
    } else {
        template->primary_labels = json_object();
        for (size_t i = 0; known != NULL && i < ASSAY_COUNT(known->labels) &&
                           known->labels[i] != NULL;
             i += 2) {
            bool own = strcmp(known->labels[i + 1], "${trialSpec.Name}") == 0;

            json_object_set_new(template->primary_labels, known->labels[i],
                                json_string(own ? template->name : known->labels[i + 1]));
        }
    }
    template->pod_label = known != NULL ? known->pod_label : NULL;
    template->container = assay_strdup(spec->primary_container != NULL ? spec->primary_container
                                       : known != NULL                 ? known->container
                                                                       : NULL);
}

/* The manifest from the template's, where everything is replaced. */
static assay_status
make_manifest(struct making *m, struct assay_kube_template *template, const char *success,
              const char *failure)
{
    template->manifest = json_deep_copy(m->spec->template_);
    make_pods(m, template->manifest, NULL, 1);
    make_special(m, template->kind, template->manifest);
    make_metadata(m, template->manifest, template, success, failure);
    if (m->rc == ASSAY_OK && m->sidecars == 0 &&
        assay_kube_runner_watches(m->launch->spec->trial))
        return assay_fail(m->err, ASSAY_E_INVALID_VALUE,
                          SECTION "/template: of the pods described in it none is the primary one "
                                  "whose files are to be read");
    return m->rc;
}

static assay_status
make_secret(const struct making *m, const struct assay_kube_template *template,
            json_t **ret_secret, struct assay_error *err)
{
    json_auto_t *labels = json_object();

    *ret_secret = NULL;
    if (m->options->reach.url == NULL)
        return ASSAY_OK;
    assay_kube_add_labels(labels, m->launch, m->options->owner);
    return assay_kube_runner_secret(m->launch, template->name, labels, &m->options->reach,
                                    assay_kube_runner_watches(m->launch->spec->trial), ret_secret,
                                    err);
}

static assay_status
build_from(const struct assay_launch *launch, const struct assay_kube_template_options *options,
           const struct assay_kubernetes_spec *spec, const json_t *values,
           struct assay_kube_template *template, json_t **ret_secret, struct assay_error *err)
{
    const struct assay_kubernetes_kind *known =
        assay_kubernetes_kind(template->api_version, template->kind);
    const char *success = spec->success != NULL ? spec->success : known->success;
    const char *failure = spec->failure != NULL ? spec->failure : known->failure;
    struct making m = {
        .launch = launch, .options = options, .spec = spec, .template = template, .err = err};
    struct assay_kube_places places = {.url = options->reach.url, .secret = template->name};
    assay_status rc = compile(success, "success", &template->success, err);

    if (rc == ASSAY_OK)
        rc = compile(failure, "failure", &template->failure, err);
    if (spec->checkpoint_claim != NULL)
        places.checkpoints = checkpoint_path(spec);
    if (rc == ASSAY_OK)
        rc = assay_kube_environment(launch, values, &places, &m.env, err);
    if (rc < 0)
        return rc;
    set_primary(template, spec, known);
    template->retain = spec->retain;
    m.container = template->container;
    rc = make_manifest(&m, template, success, failure);
    if (rc == ASSAY_OK)
        rc = make_secret(&m, template, ret_secret, err);
    template->gpus = launch->spec->trial->gpus > 0 ? launch->spec->trial->gpus : m.gpus;
    json_decref(m.env);
    return rc;
}

/* The section with everything replaced; it is read again, as what was put in may not fit. */
static assay_status
build_section(const struct assay_launch *launch, const struct assay_kube_template_options *options,
              const json_t *values, struct assay_kube_template *template, json_t **ret_secret,
              struct assay_error *err)
{
    struct assay_faults faults = {0};
    struct assay_kubernetes_spec *spec;
    json_t *json = NULL;
    assay_status rc = assay_launch_substitute_tree(launch->spec->trial->kubernetes, values, SECTION,
                                                   &json, err);

    if (rc < 0)
        return rc;
    spec = assay_kubernetes_spec_decode(json, SECTION, &faults);
    if (spec == NULL) {
        rc = assay_fail(err, ASSAY_E_INVALID_VALUE, "%s: %s", faults.items[0].pointer,
                        faults.items[0].message);
    } else {
        template->api_version = assay_strdup(assay_json_text_at(spec->template_, "apiVersion"));
        template->kind = assay_strdup(assay_json_text_at(spec->template_, "kind"));
        rc = build_from(launch, options, spec, values, template, ret_secret, err);
    }
    assay_faults_done(&faults);
    assay_kubernetes_spec_free(spec);
    json_decref(json);
    return rc;
}

assay_status
assay_kube_template_build(const struct assay_launch *launch,
                          const struct assay_kube_template_options *options,
                          struct assay_kube_template **ret_template, json_t **ret_secret,
                          struct assay_error *err)
{
    struct assay_kube_template *template = ASSAY_NEW(struct assay_kube_template);
    const char *own = assay_json_text_at(launch->spec->trial->kubernetes, "namespace");
    json_t *values, *secret = NULL;
    assay_status rc = ASSAY_E_INVALID_VALUE;

    template->name = assay_kube_pod_name(options->owner, &launch->key);
    values = values_of(launch, template->name, *own != '\0' ? own : options->namespace_, err);
    if (values != NULL)
        rc = build_section(launch, options, values, template, &secret, err);
    json_decref(values);
    if (rc < 0) {
        assay_kube_template_free(template);
        return rc;
    }
    *ret_template = template;
    *ret_secret = secret;
    return ASSAY_OK;
}

struct assay_kube_template *
assay_kube_template_free(struct assay_kube_template *template)
{
    if (template == NULL)
        return NULL;
    free(template->name);
    free(template->api_version);
    free(template->kind);
    free(template->container);
    json_decref(template->manifest);
    json_decref(template->primary_labels);
    assay_gjson_free(template->success);
    assay_gjson_free(template->failure);
    free(template);
    return NULL;
}
