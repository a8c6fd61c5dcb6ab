/* A call of controller/engine/engine.h on its way: what study_calls.c and trial_calls.c share.
 *
 * Each call copies its arguments into a command, which runs on the engine's thread, changes
 * the cache and commits. */
#ifndef ASSAY_CONTROLLER_ENGINE_CALL_H
#define ASSAY_CONTROLLER_ENGINE_CALL_H

#include "controller/engine/internal.h"

/* Every call's arguments; each uses what it needs. */
struct assay__call {
    struct assay__command command;
    void (*handle)(struct assay_engine *engine, struct assay__call *call,
                   struct assay__study *study);
    int64_t study_id, number, attempt;
    struct assay__reply *reply;
    struct assay_engine_key key; /* strings owned */
    struct assay_study_spec *spec;
    char *project;
    struct assay_import_source source;
    struct assay_warm_start warm_start;
    enum assay_study_verb verb;
    bool force;
    int64_t count;
    char *client;
    json_t *json;
    struct assay_completion completion;
};

/* `handle` runs on the engine's thread, with the study if it is held; it answers, or hands
 * the reply on.  What the call still owns is freed after it. */
struct assay__call *
assay__call_new(int64_t study_id,
                void (*handle)(struct assay_engine *, struct assay__call *, struct assay__study *),
                assay_engine_fn done, void *arg);
/* Copies the key; NULL: none. */
void assay__call_key(struct assay__call *call, const struct assay_engine_key *key);
/* Answers a call on a study that is not held: it has ended, or never was. */
bool assay__refuse_not_held(const struct assay__study *study, struct assay__reply *reply);
/* Puts the study's state into the answer. */
void assay__answer_state(const struct assay__study *study, struct assay__reply *reply);

#endif
