#include "controller/engine/call.h"

#include <stdlib.h>

#include "common/memory.h"

static void
run_call(struct assay_engine *engine, struct assay__command *command)
{
    struct assay__call *call = (struct assay__call *)command;
    struct assay__study *study = assay__study_find(engine, call->study_id);

    if (assay__study_is_absent(engine, call->study_id))
        assay__reply_fail(call->reply, ASSAY_E_UNAVAILABLE,
                          "the database was away; the study is loaded afresh once it is back");
    else
        call->handle(engine, call, study);
    free((void *)(uintptr_t)call->key.key);
    free((void *)(uintptr_t)call->key.request_hash);
    assay_study_free(call->spec);
    free(call->project);
    assay_import_source_done(&call->source);
    assay_warm_start_done(&call->warm_start);
    free(call->client);
    json_decref(call->json);
    assay_completion_done(&call->completion);
    free(call);
}

struct assay__call *
assay__call_new(int64_t study_id,
         void (*handle)(struct assay_engine *, struct assay__call *, struct assay__study *),
         assay_engine_fn done, void *arg)
{
    struct assay__call *call = ASSAY_NEW(struct assay__call);

    call->command.run = run_call;
    call->handle = handle;
    call->study_id = study_id;
    call->reply = assay__reply_new(done, arg);
    return call;
}

void
assay__call_key(struct assay__call *call, const struct assay_engine_key *key)
{
    if (key == NULL || key->key == NULL)
        return;
    call->key = *key;
    call->key.key = assay_strdup(key->key);
    call->key.request_hash = assay_strdup(key->request_hash);
}

bool
assay__refuse_not_held(const struct assay__study *study, struct assay__reply *reply)
{
    if (study != NULL)
        return false;
    assay__reply_fail(reply, ASSAY_E_STUDY_FINISHED, "the study has ended");
    return true;
}

void
assay__answer_state(const struct assay__study *study, struct assay__reply *reply)
{
    reply->answer.study_state = study->record.state;
    reply->answer.study_reason = study->record.reason;
}
