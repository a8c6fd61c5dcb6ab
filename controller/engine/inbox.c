/* Commands: closures from any thread, run in order on the engine's. */
#include "controller/engine/internal.h"

void
assay__post(struct assay_engine *engine, struct assay__command *command)
{
    pthread_mutex_lock(&engine->lock);
    STAILQ_INSERT_TAIL(&engine->inbox, command, link);
    uv_async_send(&engine->wake); /* locked: what it leads to may free the engine */
    pthread_mutex_unlock(&engine->lock);
}

struct assay__command *
assay__inbox_take(struct assay_engine *engine)
{
    struct assay__command *command;

    pthread_mutex_lock(&engine->lock);
    command = STAILQ_FIRST(&engine->inbox);
    if (command != NULL)
        STAILQ_REMOVE_HEAD(&engine->inbox, link);
    pthread_mutex_unlock(&engine->lock);
    return command;
}
