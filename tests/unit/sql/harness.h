/* A private cluster in a temporary folder for the tests of this room.  Where
 * PostgreSQL is not installed the tests are skipped. */
#ifndef ASSAY_TESTS_UNIT_SQL_HARNESS_H
#define ASSAY_TESTS_UNIT_SQL_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "sql/cluster.h"
#include "sql/store.h"
#include "sql/writer.h"

struct harness {
    char *folder; /* temporary, removed at the end */
    struct assay_cluster *cluster;
    struct assay_store *store;
    struct assay_writer *writer;
};

#define assert_ok(call, err)                                                                       \
    do {                                                                                           \
        assay_status status_ = (call);                                                             \
        if (status_ != ASSAY_OK)                                                                   \
            fail_msg("%s: %s", #call, (err)->message);                                             \
    } while (0)

ASSAY_UNUSED static char *
harness_folder(void)
{
    const char *parent = getenv("TMPDIR");
    char *folder = assay_format("%s/assay-sql-XXXXXX", parent != NULL ? parent : "/tmp");

    if (mkdtemp(folder) == NULL)
        fail_msg("mkdtemp %s", folder);
    return folder;
}

ASSAY_UNUSED static bool
harness_postgres_missing(const struct assay_error *err)
{
    return strstr(err->message, "apt install") != NULL;
}

/* Cluster, migrated store and writer in one; NULL: PostgreSQL is missing. */
ASSAY_UNUSED static struct harness *
harness_start(void)
{
    struct harness *h = ASSAY_NEW(struct harness);
    assay_auto_free char *directory = NULL;
    struct assay_cluster_options options = {.connections = 30, .shared_buffers_mib = 32};
    struct assay_writer_options writing = {.patience_us = 30 * ASSAY_SECOND_US};
    struct assay_error err = {0};

    h->folder = harness_folder();
    directory = assay_format("%s/database", h->folder);
    options.directory = directory;
    if (assay_cluster_start(&options, &h->cluster, &err) != ASSAY_OK) {
        if (!harness_postgres_missing(&err))
            fail_msg("cluster: %s", err.message);
        assert_ok(assay_remove_tree(h->folder, &err), &err);
        free(h->folder);
        free(h);
        return NULL;
    }
    h->store = assay_store_new(assay_cluster_url(h->cluster), "test");
    assert_ok(assay_store_migrate(h->store, &err), &err);
    writing.url = assay_cluster_url(h->cluster);
    assert_ok(assay_writer_start(&writing, 0, &h->writer, &err), &err);
    return h;
}

ASSAY_UNUSED static void
harness_stop(struct harness *h)
{
    struct assay_error err = {0};

    if (h == NULL)
        return;
    assay_writer_stop(h->writer);
    assay_store_free(h->store);
    assay_cluster_stop(h->cluster);
    assert_ok(assay_remove_tree(h->folder, &err), &err);
    free(h->folder);
    free(h);
}

/* Kills the postmaster and waits for its end. */
ASSAY_UNUSED static void
harness_kill(const struct assay_cluster *cluster)
{
    struct pollfd ended = {.fd = assay_cluster_pidfd(cluster), .events = POLLIN};

    kill(assay_cluster_pid(cluster), SIGKILL);
    assert_int_equal(poll(&ended, 1, 60000), 1);
}

/* --- committing one set and waiting for it */

struct harness_wait {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool done;
    assay_status status;
    struct assay_error err;
};

ASSAY_UNUSED static void
harness_written(void *arg, assay_status status, const struct assay_error *err)
{
    struct harness_wait *wait = arg;

    pthread_mutex_lock(&wait->mutex);
    wait->done = true;
    wait->status = status;
    if (err != NULL)
        wait->err = *err;
    pthread_cond_signal(&wait->changed);
    pthread_mutex_unlock(&wait->mutex);
}

ASSAY_UNUSED static assay_status
harness_commit(struct assay_writer *writer, struct assay_changes *changes, struct assay_error *err)
{
    struct harness_wait wait = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                                .changed = PTHREAD_COND_INITIALIZER};

    assay_writer_submit(writer, changes, harness_written, &wait);
    pthread_mutex_lock(&wait.mutex);
    while (!wait.done)
        pthread_cond_wait(&wait.changed, &wait.mutex);
    pthread_mutex_unlock(&wait.mutex);
    if (err != NULL)
        *err = wait.err;
    return wait.status;
}

/* --- records */

ASSAY_UNUSED static json_t *
harness_document(bool maximize)
{
    return json_pack("{s:{s:s, s:s}, s:[{s:s, s:s, s:f, s:f}], s:I}", "objective", "metric", "loss",
                     "goal", maximize ? "maximize" : "minimize", "parameters", "name", "lr", "type",
                     "double", "min", 0.001, "max", 1.0, "seed", (json_int_t)7);
}

/* Commits a running study and gives its id. */
ASSAY_UNUSED static int64_t
harness_study(struct harness *h, const char *name, bool maximize)
{
    struct assay_changes *changes = assay_changes_new();
    char project[] = "default";
    assay_auto_free char *copy = assay_strdup(name);
    struct assay_study_record study = {.project = project,
                                       .name = copy,
                                       .state = ASSAY_STUDY_RUNNING,
                                       .document = harness_document(maximize),
                                       .created_us = assay_now_us(),
                                       .started_us = ASSAY_TIME_NONE,
                                       .finished_us = ASSAY_TIME_NONE};
    struct assay_error err = {0};

    assert_ok(assay_store_next_study_id(h->store, &study.id, &err), &err);
    assay_changes_study_insert(changes, &study);
    json_decref(study.document);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    return study.id;
}

/* A queued trial; free with assay_trial_done. */
ASSAY_UNUSED static struct assay_trial
harness_trial(int64_t study_id, int64_t number)
{
    return (struct assay_trial){.study_id = study_id,
                                .number = number,
                                .state = ASSAY_TRIAL_QUEUED,
                                .parameters = json_pack("{s:f}", "lr", 0.1 * (double)number),
                                .metrics = json_object(),
                                .value = NAN,
                                .budget = NAN,
                                .why = json_pack("{s:s}", "proposed_by", "sobol"),
                                .lease_expires_us = ASSAY_TIME_NONE,
                                .last_step = -1,
                                .created_us = assay_now_us(),
                                .started_us = ASSAY_TIME_NONE,
                                .finished_us = ASSAY_TIME_NONE};
}

#endif
