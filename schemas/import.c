#include "schemas/import.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/import_translation.h"

void
assay_import_done(struct assay_import *import)
{
    json_decref(import->document);
    json_decref(import->places);
    json_decref(import->notes);
    *import = (struct assay_import){0};
}

/* The sections in the order in which people write them. */
static void
put_in_order(json_t *study)
{
    static const char *const order[] = {"name",           "objective", "parameters", "algorithm",
                                        "early_stopping", "budget",    "limits",     "seed",
                                        "trial",          "origin"};
    json_auto_t *all = json_copy(study);

    json_object_clear(study);
    for (size_t i = 0; i < ASSAY_COUNT(order); i++)
        json_object_set(study, order[i], json_object_get(all, order[i]));
    ASSAY_ASSERT(json_object_size(study) == json_object_size(all));
}

void
assay_import_translate(const json_t *file, struct assay_import *ret_import,
                       struct assay_faults *faults)
{
    struct assay_translation t = {.import = ret_import, .faults = faults};

    *ret_import = (struct assay_import){
        .kind = assay_import_recognise(file),
        .document = json_object(),
        .places = json_object(),
        .notes = json_array(),
    };
    t.study = ret_import->document;
    switch (ret_import->kind) {
    case ASSAY_IMPORT_KATIB:
        assay__import_katib(file, &t);
        break;
    case ASSAY_IMPORT_WANDB:
        assay__import_wandb(file, &t);
        break;
    case ASSAY_IMPORT_DETERMINED:
        assay__import_determined(file, &t);
        break;
    case ASSAY_IMPORT_NONE:
        ASSAY_BUG("a file of no system is translated");
    }
    put_in_order(t.study);
}

/* --- faults of the translated study --- */

char *
assay_import_place(const json_t *places, const char *pointer)
{
    assay_auto_free char *at = assay_strdup(pointer);

    for (;;) {
        const char *place = json_string_value(json_object_get(places, at));
        char *slash = strrchr(at, '/');

        if (place != NULL) {
            size_t length = strlen(place);

            if (length >= 2 && strcmp(place + length - 2, "/*") == 0)
                return assay_format("%.*s%s", (int)length - 2, place, pointer + strlen(at));
            return assay_strdup(place);
        }
        if (slash == NULL)
            return assay_strdup("");
        *slash = '\0';
    }
}

struct assay_study_spec *
assay_import_decode(const json_t *file, const char *project,
                    const struct assay_study_checks *checks, struct assay_import *ret_import,
                    struct assay_faults *faults)
{
    struct assay_faults more = {0};
    struct assay_study_spec *spec;
    size_t n;

    assay_import_translate(file, ret_import, faults);
    n = faults->count;
    spec = assay_study_decode(ret_import->document, project, checks, &more);
    for (size_t i = 0; i < ASSAY_MIN(more.count, (size_t)ASSAY_FAULTS_MAX); i++) {
        const struct assay_fault *fault = &more.items[i];
        assay_auto_free char *at = assay_import_place(ret_import->places, fault->pointer);

        /* What is wrong with a translation that has faults at or around the same place is
         * but another name for those. */
        if (!assay__told(faults, n, at))
            assay_fault_add(faults, at, fault->found, fault->allowed, "%s", fault->message);
    }
    assay_faults_done(&more);
    return faults->count > 0 ? assay_study_free(spec) : spec;
}
