#include "controller/engine/warm_start.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "suggest/sources.h"

/* Names that are there, shown beside one that is not. */
#define NAMES_MAX 100

void
assay_warm_start_done(struct assay_warm_start *warm_start)
{
    json_decref(warm_start->sources);
    json_decref(warm_start->first);
    *warm_start = (struct assay_warm_start){0};
}

/* One item of the list. */
struct named {
    const json_t *json; /* the item's `study` */
    const char *project, *study;
    char *at; /* pointer to `study` */
};

/* --- what is there, for the faults --- */

struct names {
    const char *list[NAMES_MAX + 1]; /* NULL-terminated; owned */
    size_t n;
};

static void
names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free((void *)(uintptr_t)names->list[i]);
}

static void
add_study_name(void *arg, const struct assay_study_record *record)
{
    struct names *names = arg;

    names->list[names->n++] = assay_strdup(record->name);
}

/* The newest studies of the project. */
static void
fault_no_study(struct assay_store *store, const struct named *named, struct assay_faults *faults)
{
    struct assay_study_query query = {
        .project = named->project, .descending = true, .limit = NAMES_MAX};
    struct names names = {0};
    char *next = NULL;

    if (assay_store_studies(store, &query, add_study_name, &names, &next, NULL) != ASSAY_OK ||
        names.n == 0)
        assay_fault_add(faults, named->at, named->json, "a study of the project",
                        "there is no study \"%s\" in project \"%s\"", named->study,
                        named->project);
    else
        assay_fault_unknown(faults, named->at, named->json, "study", named->study, names.list);
    free(next);
    names_done(&names);
}

/* --- reading --- */

static bool
check_named(const struct assay_study_spec *spec, const struct named *list, size_t i,
            assay_may_read_fn may_read, void *arg, struct assay_faults *faults)
{
    const struct named *named = &list[i];

    if (!may_read(arg, named->project)) {
        assay_fault_add(faults, named->at, named->json, "a study that the token may read",
                        "there is no project \"%s\", or its studies may not be read",
                        named->project);
        return false;
    }
    if (strcmp(named->project, spec->project) == 0 && strcmp(named->study, spec->name) == 0) {
        assay_fault_add(faults, named->at, named->json, "an earlier study",
                        "a study can not start from itself");
        return false;
    }
    for (size_t k = 0; k < i; k++) {
        if (strcmp(named->project, list[k].project) == 0 &&
            strcmp(named->study, list[k].study) == 0) {
            assay_fault_add(faults, named->at, named->json, "each study once",
                            "the study is named in item %zu already", k);
            return false;
        }
    }
    return true;
}

static void
add_trial(void *arg, const struct assay_trial *trial)
{
    assay_sources_add(arg, trial);
}

static assay_status
read_source(struct assay_store *store, const struct assay_study_spec *spec,
            const struct named *named, bool try_best, struct assay_sources *sources,
            struct assay_faults *faults, struct assay_error *err)
{
    struct assay_trial_query query = {
        .states = 1u << ASSAY_TRIAL_SUCCEEDED | 1u << ASSAY_TRIAL_STOPPED};
    assay_auto_free char *name = strcmp(named->project, spec->project) == 0
                                     ? assay_strdup(named->study)
                                     : assay_format("%s/%s", named->project, named->study);
    struct assay_error fault = {0};
    enum assay_study_state state;
    assay_status status =
        assay_store_study_find(store, named->project, named->study, &query.study_id, &state, err);

    if (status == ASSAY_E_NOT_FOUND) {
        fault_no_study(store, named, faults);
        return ASSAY_OK;
    }
    if (status != ASSAY_OK)
        return status;
    assay_sources_begin(sources, name, try_best);
    status = assay_store_trials(store, &query, add_trial, sources, NULL, err);
    if (status != ASSAY_OK)
        return status;
    if (assay_sources_end(sources, &fault) != ASSAY_OK)
        assay_fault_add(faults, named->at, named->json, NULL,
                        "nothing can be learned from %s: %s", name, fault.message);
    return ASSAY_OK;
}

assay_status
assay_warm_start_read(struct assay_store *store, const struct assay_study_spec *spec,
                      assay_may_read_fn may_read, void *arg, struct assay_faults *faults,
                      struct assay_warm_start *ret_warm_start, struct assay_error *err)
{
    size_t n = json_array_size(spec->warm_start), before = faults->count;
    struct assay_sources *sources = assay_sources_new(spec);
    struct named *list = assay_zalloc(n + 1, sizeof *list);
    assay_status status = ASSAY_OK;

    *ret_warm_start = (struct assay_warm_start){0};
    for (size_t i = 0; i < n && status == ASSAY_OK; i++) {
        const json_t *item = json_array_get(spec->warm_start, i);
        const char *project = json_string_value(json_object_get(item, "project"));

        list[i].json = json_object_get(item, "study");
        list[i].study = json_string_value(list[i].json);
        list[i].project = project != NULL ? project : spec->project;
        list[i].at = assay_format("/warm_start/%zu/study", i);
        if (check_named(spec, list, i, may_read, arg, faults))
            status = read_source(store, spec, &list[i],
                                 !json_is_false(json_object_get(item, "try_best")), sources,
                                 faults, err);
    }
    if (status == ASSAY_OK && n > 0 && faults->count == before) {
        ret_warm_start->sources = assay_sources_encode(sources);
        ret_warm_start->first = assay_sources_first(sources);
    }
    for (size_t i = 0; i < n; i++)
        free(list[i].at);
    free(list);
    assay_sources_free(sources);
    return status;
}
