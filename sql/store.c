#include "sql/store_internal.h"

#include <stdlib.h>

#include "common/memory.h"

struct assay_store *
assay_store_new(const char *url, const char *application_name)
{
    struct assay_store *store = ASSAY_NEW(struct assay_store);

    store->url = assay_strdup(url);
    store->pg = assay__pg_new(url, application_name, ASSAY__STORE_TIMEOUT_MS);
    return store;
}

struct assay_store *
assay_store_free(struct assay_store *store)
{
    if (store == NULL)
        return NULL;
    assay__pg_free(store->pg);
    free(store->url);
    free(store);
    return NULL;
}

static const struct assay__pg_statement ping = {
    .name = "ping",
    .sql = "SELECT 1",
    .in = "",
    .out = "i",
    .repeat = true,
};

assay_status
assay_store_ping(struct assay_store *store, struct assay_error *err)
{
    return assay__pg_exec(store->pg, &ping, NULL, NULL, err);
}

void
assay__add_trial_states(struct assay__pg_args *args, uint32_t states)
{
    size_t count = 0;

    if (states == 0) {
        assay__pg_add_null(args, 'T');
        return;
    }
    for (int i = 0; i < ASSAY_TRIAL_STATE_MAX_; i++)
        count += states >> i & 1;
    assay__pg_add_array(args, 't', count);
    for (int i = 0; i < ASSAY_TRIAL_STATE_MAX_; i++) {
        if (states >> i & 1)
            assay__pg_item_text(args, assay_trial_state_name((enum assay_trial_state)i));
    }
    assay__pg_end_array(args);
}

void
assay__add_study_states(struct assay__pg_args *args, uint32_t states)
{
    size_t count = 0;

    if (states == 0) {
        assay__pg_add_null(args, 'T');
        return;
    }
    for (int i = 0; i < ASSAY_STUDY_STATE_MAX_; i++)
        count += states >> i & 1;
    assay__pg_add_array(args, 't', count);
    for (int i = 0; i < ASSAY_STUDY_STATE_MAX_; i++) {
        if (states >> i & 1)
            assay__pg_item_text(args, assay_study_state_name((enum assay_study_state)i));
    }
    assay__pg_end_array(args);
}
