/* Studies and their asks, as data. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/host/internal.h"
#include "suggest/registry.h"

struct assay__hosted *
assay__host_find(struct assay_suggest_host *host, int64_t id)
{
    struct assay__hosted *study;

    HASH_FIND(hh, host->studies, &id, sizeof id, study);
    return study;
}

const char *
assay__host_algorithm(const struct assay__hosted *study)
{
    const char *name = json_string_value(
        json_object_get(json_object_get(study->document, "algorithm"), "name"));

    return name != NULL ? name : "auto";
}

bool
assay__host_is_foreign(const struct assay__hosted *study)
{
    return assay_registry_is_foreign(assay__host_algorithm(study));
}

char *
assay__host_describe_algorithm(const struct assay__hosted *study)
{
    const char *name = assay__host_algorithm(study);
    const struct assay_plugin *plugin = assay_registry_plugin_of(name);

    if (plugin == NULL)
        return assay_format("the algorithm %s", name);
    return assay_format("the algorithm %s of the plugin %s %s", name, plugin->name,
                        plugin->version);
}

/* --- asks --- */

struct assay__host_ask *
assay__host_ask_new(struct assay__hosted *study, const int64_t *numbers, size_t n)
{
    struct assay__host_ask *ask = ASSAY_NEW(struct assay__host_ask);

    ask->study_id = study->id;
    ask->study = study;
    ask->request = ++study->last_request;
    ask->numbers = assay_memdup(numbers, n * sizeof *numbers);
    ask->n_numbers = n;
    ask->asked_us = assay_monotonic_us();
    return ask;
}

void
assay__host_ask_free(struct assay__host_ask *ask)
{
    json_decref(ask->trials);
    free(ask->numbers);
    free(ask);
}

void
assay__host_asks_free(struct assay__host_asks *asks)
{
    struct assay__host_ask *ask;

    while ((ask = TAILQ_FIRST(asks)) != NULL) {
        TAILQ_REMOVE(asks, ask, link);
        assay__host_ask_free(ask);
    }
}

void
assay__host_fail(struct assay_suggest_host *host, struct assay__host_ask *ask,
                 const char *sentence)
{
    int64_t id = ask->study_id;
    bool ahead = ask->ahead;

    *(ahead ? &ask->study->ahead : &ask->study->ask) = NULL;
    assay__host_ask_free(ask);
    if (ahead)
        return; /* nobody waits for it */
    host->options.events.failed(host->options.events.arg, id, sentence);
}
