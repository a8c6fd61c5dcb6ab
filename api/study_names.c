#include "api/study_names.h"

#include <pthread.h>

#include "common/memory.h"

/* A power of two; a name has one place, and a newer one pushes it out. */
#define SLOTS 1024
#define NAME_BYTES 64

struct slot {
    int64_t id; /* 0 = free */
    char project[NAME_BYTES];
    char study[NAME_BYTES];
};

struct assay_study_names {
    pthread_mutex_t lock;
    struct slot *slots[SLOTS];
};

struct assay_study_names *
assay_study_names_new(void)
{
    struct assay_study_names *names = ASSAY_NEW(struct assay_study_names);

    pthread_mutex_init(&names->lock, NULL);
    return names;
}

struct assay_study_names *
assay_study_names_free(struct assay_study_names *names)
{
    if (names == NULL)
        return NULL;
    for (size_t i = 0; i < SLOTS; i++)
        free(names->slots[i]);
    pthread_mutex_destroy(&names->lock);
    free(names);
    return NULL;
}

static uint64_t
hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return (hash ^ '/') * UINT64_C(1099511628211);
}

static struct slot **
slot_of(struct assay_study_names *names, const char *project, const char *study)
{
    uint64_t hash = hash_text(hash_text(UINT64_C(14695981039346656037), project), study);

    return &names->slots[(hash ^ hash >> 32) % SLOTS];
}

static bool
is_for(const struct slot *slot, const char *project, const char *study)
{
    return slot != NULL && strcmp(slot->study, study) == 0 && strcmp(slot->project, project) == 0;
}

bool
assay_study_names_get(struct assay_study_names *names, const char *project, const char *study,
                      int64_t *ret_id)
{
    bool found;

    pthread_mutex_lock(&names->lock);
    {
        const struct slot *slot = *slot_of(names, project, study);

        found = is_for(slot, project, study);
        if (found)
            *ret_id = slot->id;
    }
    pthread_mutex_unlock(&names->lock);
    return found;
}

void
assay_study_names_put(struct assay_study_names *names, const char *project, const char *study,
                      int64_t id)
{
    struct slot **place;

    if (strlen(project) >= NAME_BYTES || strlen(study) >= NAME_BYTES)
        return;
    pthread_mutex_lock(&names->lock);
    place = slot_of(names, project, study);
    if (*place == NULL)
        *place = ASSAY_NEW(struct slot);
    (*place)->id = id;
    snprintf((*place)->project, NAME_BYTES, "%s", project);
    snprintf((*place)->study, NAME_BYTES, "%s", study);
    pthread_mutex_unlock(&names->lock);
}

void
assay_study_names_forget(struct assay_study_names *names, const char *project, const char *study)
{
    struct slot **place;

    pthread_mutex_lock(&names->lock);
    place = slot_of(names, project, study);
    if (is_for(*place, project, study)) {
        free(*place);
        *place = NULL;
    }
    pthread_mutex_unlock(&names->lock);
}
