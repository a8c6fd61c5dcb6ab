/* spec.metricsCollectorSpec of an Experiment as trial.metrics. */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/number.h"
#include "schemas/katib/katib_internal.h"

#define SPEC "/spec/metricsCollectorSpec"
#define SOURCE SPEC "/source"
#define PATH SOURCE "/fileSystemPath"
#define FILTERS SOURCE "/filter/metricsFormat"

#define FILE_DEFAULT "/var/log/katib/metrics.log"
#define FOLDER_DEFAULT "/var/log/katib/tfevent/"
#define PORT_DEFAULT 8080

static const char *const kinds[] = {"StdOut", "File", "TensorFlowEvent", "PrometheusMetric",
                                    "Custom", "Push", "None", NULL};
enum kind { STDOUT, IN_FILE, TENSORFLOW, PROMETHEUS, CUSTOM, PUSH, NONE };

struct collector_file {
    const json_t *collector, *source;
    int kind;
    const json_t *custom;
    const json_t *http, *path, *filter;
};

static const struct assay_field spec_fields[] = {
    {.key = "collector", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct collector_file, collector)},
    {.key = "source", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct collector_file, source)},
};
static const struct assay_field collector_fields[] = {
    {.key = "kind", .kind = ASSAY_FIELD_ENUM, .names = kinds,
     .offset = offsetof(struct collector_file, kind)},
    {.key = "customCollector", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct collector_file, custom)},
};
static const struct assay_field source_fields[] = {
    {.key = "httpGet", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct collector_file, http)},
    {.key = "fileSystemPath", .kind = ASSAY_FIELD_OBJECT,
     .offset = offsetof(struct collector_file, path)},
    {.key = "filter", .kind = ASSAY_FIELD_OBJECT, .offset = offsetof(struct collector_file, filter)},
};

/* --- files and folders */

struct path_file {
    char *path;
    int kind, format; /* -1: not given */
};

static const char *const path_kinds[] = {"File", "Directory", NULL};
static const char *const formats[] = {"TEXT", "JSON", NULL};

static const struct assay_field path_fields[] = {
    {.key = "path", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct path_file, path)},
    {.key = "kind", .kind = ASSAY_FIELD_ENUM, .names = path_kinds,
     .offset = offsetof(struct path_file, kind)},
    {.key = "format", .kind = ASSAY_FIELD_ENUM, .names = formats,
     .offset = offsetof(struct path_file, format)},
};

static void
translate_path(struct assay_translation *t, const struct collector_file *file, bool folder,
               json_t *metrics)
{
    struct path_file path = {.kind = -1, .format = -1};
    const char *text;

    if (file->path != NULL)
        assay_decode_object(file->path, PATH, path_fields, ASSAY_COUNT(path_fields), &path,
                            t->faults);
    text = path.path != NULL ? path.path : folder ? FOLDER_DEFAULT : FILE_DEFAULT;
    if (text[0] != '/')
        assay__fault_at(t, PATH, "path", json_object_get(file->path, "path"),
                        "a path that begins with /", "path is not absolute");
    if (path.kind >= 0 && path.kind != (folder ? 1 : 0))
        assay__fault_at(t, PATH, "kind", json_object_get(file->path, "kind"),
                        path_kinds[folder ? 1 : 0], "this collector reads a %s",
                        folder ? "Directory" : "File");
    if (folder && path.format >= 0)
        assay__fault_at(t, PATH, "format", json_object_get(file->path, "format"), NULL,
                        "event files have no format");
    if (path.format == 1 && json_array_size(json_object_get(file->filter, "metricsFormat")) > 0)
        assay_fault_add(t->faults, FILTERS, NULL, NULL, "the format JSON takes no filter");
    {
        assay_auto_free char *literal = assay__literal(text);

        json_object_set_new(metrics, "path", json_string(literal));
    }
    assay__place(t, "/trial/metrics/path", PATH "/path");
    free(path.path);
}

/* --- Prometheus */

struct http_file {
    char *host, *path;
    int scheme;
    const json_t *port, *headers;
};

static void
translate_http(struct assay_translation *t, const struct collector_file *file, json_t *metrics)
{
    static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
    static const struct assay_field fields[] = {
        {.key = "host", .kind = ASSAY_FIELD_STRING, .min = 1.0, .max = 253.0,
         .offset = offsetof(struct http_file, host)},
        {.key = "path", .kind = ASSAY_FIELD_STRING, .offset = offsetof(struct http_file, path)},
        {.key = "port", .kind = ASSAY_FIELD_ANY, .offset = offsetof(struct http_file, port)},
        {.key = "scheme", .kind = ASSAY_FIELD_ENUM, .names = schemes,
         .offset = offsetof(struct http_file, scheme)},
        {.key = "httpHeaders", .kind = ASSAY_FIELD_ARRAY,
         .offset = offsetof(struct http_file, headers)},
    };
    struct http_file http = {0};
    assay_auto_free char *port = NULL, *url = NULL;
    int64_t number = PORT_DEFAULT;

    if (file->http != NULL)
        assay_decode_object(file->http, SOURCE "/httpGet", fields, ASSAY_COUNT(fields), &http,
                            t->faults);
    port = assay_json_scalar_text(http.port);
    if (http.port != NULL && (port == NULL || !assay_parse_int(port, 1, 65535, &number)))
        assay_fault_add(t->faults, SOURCE "/httpGet/port", http.port, "1 to 65535",
                        "port is not the number of a port");
    if (http.path != NULL && http.path[0] != '/')
        assay__fault_at(t, SOURCE "/httpGet", "path", json_object_get(file->http, "path"),
                        "a path that begins with /", "path does not begin with /");
    if (json_array_size(http.headers) > 0)
        assay_fault_add(t->faults, SOURCE "/httpGet/httpHeaders", NULL, "no headers",
                        "the endpoint is asked without headers of its own");
    url = assay_format("%s://%s:%lld%s", http.scheme == 1 ? "https" : "http",
                       http.host != NULL ? http.host : "localhost", (long long)number,
                       http.path != NULL ? http.path : "/metrics");
    {
        assay_auto_free char *literal = assay__literal(url);

        json_object_set_new(metrics, "url", json_string(literal));
    }
    assay__place(t, "/trial/metrics/url", SOURCE "/httpGet");
    free(http.host);
    free(http.path);
}

/* --- the filter */

static size_t
count_of(const char *text, char c)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

static void
translate_filter(struct assay_translation *t, const struct collector_file *file, json_t *metrics)
{
    const json_t *list = json_object_get(file->filter, "metricsFormat");
    static const char *const known[] = {"metricsFormat", NULL};
    assay_auto_buffer struct assay_buffer patterns = {0};
    const char *key;
    json_t *value;

    assay_json_each (file->filter, key, value) {
        assay_auto_free char *at = assay_pointer_key(SOURCE "/filter", key);

        if (strcmp(key, "metricsFormat") != 0)
            assay_fault_unknown(t->faults, at, NULL, "key", key, known);
    }
    if (list != NULL && !json_is_null(list) && !json_is_array(list))
        assay_fault_type(t->faults, FILTERS, list, "an array of regular expressions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        assay_auto_free char *at = assay_pointer_index(FILTERS, i);
        const json_t *json = json_array_get(list, i);
        const char *pattern = json_string_value(json);

        if (pattern == NULL || strlen(pattern) != json_string_length(json) ||
            strchr(pattern, '\n') != NULL)
            assay_fault_type(t->faults, at, json, "a regular expression");
        else if (count_of(pattern, '(') < 2 || count_of(pattern, ')') < 2)
            assay_fault_add(t->faults, at, json,
                            "a regular expression with the groups (name) and (value)",
                            "the expression has less than two groups");
        else
            assay_buffer_printf(&patterns, "%s%s", patterns.length > 0 ? "\n" : "", pattern);
    }
    if (patterns.length > 0)
        json_object_set_new(metrics, "filter", json_string(patterns.data));
    assay__place(t, "/trial/metrics/filter",
                 json_array_size(list) == 1 ? FILTERS "/0" : FILTERS);
}

/* --- the section */

static void
translate_kind(struct assay_translation *t, const struct collector_file *file, json_t *metrics)
{
    static const char *const froms[] = {"stdout", "file", "tensorboard", "prometheus",
                                        "file",   "push", "push"};
    bool filtered = json_array_size(json_object_get(file->filter, "metricsFormat")) > 0;

    json_object_set_new(metrics, "from", json_string(froms[file->kind]));
    switch (file->kind) {
    case CUSTOM:
        if (file->custom == NULL)
            assay_fault_add(t->faults, SPEC "/collector/customCollector", NULL, "a container",
                            "a collector of kind Custom needs customCollector");
        if (file->path == NULL)
            assay_fault_add(t->faults, PATH, NULL, "an object with path",
                            "Assay can not run a collector of yours; say which file it reads, and "
                            "Assay reads that");
        assay__note(t, SPEC "/collector/customCollector",
                    "the container is not run: it would report to Katib's database. Assay reads "
                    "the file itself");
        translate_path(t, file, false, metrics);
        break;
    case IN_FILE:
        translate_path(t, file, false, metrics);
        break;
    case TENSORFLOW:
        translate_path(t, file, true, metrics);
        break;
    case PROMETHEUS:
        translate_http(t, file, metrics);
        break;
    case PUSH:
    case NONE:
        assay__note(t, SPEC "/collector/kind",
                    "the trial pushes to Assay: by the Python module assay, or HTTP to ASSAY_URL "
                    "with ASSAY_TOKEN; report_metrics of Katib's SDK speaks to Katib only");
        break;
    default:
        break;
    }
    if (file->kind == STDOUT || file->kind == IN_FILE || file->kind == CUSTOM) {
        translate_filter(t, file, metrics);
        /* Katib knows no steps, and takes every value there is. */
        json_object_set_new(metrics, "steps", json_string("counted"));
    } else if (filtered) {
        assay_fault_add(t->faults, FILTERS, NULL, NULL, "this collector reads no lines to filter");
    }
}

/* The metrics that Katib asks its collector for besides the objective. */
static void
add_names(const struct assay_katib *k, json_t *metrics)
{
    const json_t *additional = json_object_get(k->spec.objective, "additionalMetricNames");
    json_t *names = json_array(), *name;
    size_t i;

    json_array_foreach (additional, i, name) { /* faults are told with the objective */
        if (json_is_string(name) && assay_metric_name_valid(json_string_value(name)))
            json_array_append(names, name);
    }
    if (json_array_size(names) > 0)
        json_object_set(metrics, "names", names);
    json_decref(names);
    assay__place(k->t, "/trial/metrics/names", "/spec/objective/additionalMetricNames");
}

void
assay__katib_collector(struct assay_katib *k)
{
    struct assay_translation *t = k->t;
    struct collector_file file = {.kind = STDOUT};
    json_t *metrics = assay__section(assay__section(t->study, "trial"), "metrics");
    bool fine = true;

    assay__place(t, "/trial/metrics", SPEC);
    if (k->spec.collector != NULL)
        fine &= assay_decode_object(k->spec.collector, SPEC, spec_fields, ASSAY_COUNT(spec_fields),
                                    &file, t->faults);
    if (file.collector != NULL)
        fine &= assay_decode_object(file.collector, SPEC "/collector", collector_fields,
                                    ASSAY_COUNT(collector_fields), &file, t->faults);
    if (file.source != NULL)
        fine &= assay_decode_object(file.source, SOURCE, source_fields, ASSAY_COUNT(source_fields),
                                    &file, t->faults);
    if (fine)
        translate_kind(t, &file, metrics);
    add_names(k, metrics);
}
