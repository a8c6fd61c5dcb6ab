/* Studies from the store: at the start, after a refused write, for a fresh worker. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "controller/engine/internal.h"
#include "schemas/point.h"

/* A database that could not be read is asked again after this. */
#define ABSENT_AGAIN_US ASSAY_SECOND_US

struct loading {
    struct assay__study *study;
    uint8_t *states; /* per trial number: enum assay_trial_state + 1 */
    size_t n_states;
    int objective;     /* metric id of the first objective; -1 = never measured */
    int64_t at;        /* trial whose values are being read */
    int64_t started;   /* the last that the rule was told the point of */
    bool wants_points; /* the rule does */
    double **points;   /* per trial number, as many as states; NULL = not known */
};

static void
load_metric(void *arg, int metric_id, const char *name)
{
    struct loading *loading = arg;
    struct assay__study *study = loading->study;

    while (study->n_metrics <= (size_t)metric_id) {
        ASSAY_GROW(study->metrics, study->n_metrics, study->metrics_capacity);
        study->metrics[study->n_metrics++] = assay_strdup("");
    }
    free(study->metrics[metric_id]);
    study->metrics[metric_id] = assay_strdup(name);
    if (strcmp(name, study->spec->objectives[0].metric) == 0)
        loading->objective = metric_id;
}

static double
gpu_time(const struct assay_attempt *attempt)
{
    if (attempt->finished_us == ASSAY_TIME_NONE)
        return 0.0;
    return (double)json_array_size(attempt->gpus) *
           (double)(attempt->finished_us - attempt->started_us);
}

/* Retries already used, from the attempts that ended. */
static void
load_attempts(struct assay__trial *trial, const struct assay_trial *row)
{
    const struct assay_attempt *last = &row->attempts[row->n_attempts - 1];

    for (size_t i = 0; i < row->n_attempts; i++) {
        if (row->attempts[i].interrupted)
            continue;
        if (row->attempts[i].state == ASSAY_ATTEMPT_LOST)
            trial->losses++;
        else if (row->attempts[i].state == ASSAY_ATTEMPT_EXITED &&
                 row->attempts[i].reason != ASSAY_TRIAL_REASON_NONE)
            trial->failures++;
    }
    trial->begun = last->state == ASSAY_ATTEMPT_RUNNING || row->last_step >= 0;
    trial->attempt = *last;
    trial->attempt.message = assay_strdup(last->message);
    trial->attempt.gpus = json_incref(last->gpus);
}

static void
load_point(struct loading *loading, const struct assay_trial *row)
{
    const struct assay_space *space = loading->study->spec->space;
    struct assay_faults faults = {0};
    double *point;

    if (!loading->wants_points)
        return;
    point = assay_alloc(space->n_parameters + 1, sizeof *point);
    if (assay_point_decode(space, row->parameters, "", true, &faults, point)) {
        loading->points[row->number] = point;
    } else {
        free(point);
    }
    assay_faults_done(&faults);
}

static void
load_trial(void *arg, const struct assay_trial *row)
{
    struct loading *loading = arg;
    struct assay__study *study = loading->study;
    const char *by = json_string_value(json_object_get(row->why, "proposed_by"));

    study->trials_in[row->state]++;
    if (by != NULL && strcmp(by, "import") == 0)
        study->imported++;
    study->next_number = ASSAY_MAX(study->next_number, row->number + 1);
    if ((size_t)row->number >= loading->n_states) {
        size_t n = ASSAY_MAX((size_t)row->number + 1, loading->n_states * 2);

        loading->states = assay_realloc(loading->states, n, 1);
        memset(loading->states + loading->n_states, 0, n - loading->n_states);
        loading->points = assay_realloc(loading->points, n, sizeof *loading->points);
        for (size_t i = loading->n_states; i < n; i++)
            loading->points[i] = NULL;
        loading->n_states = n;
    }
    loading->states[row->number] = (uint8_t)((int)row->state + 1);
    load_point(loading, row);
    for (size_t i = 0; i < row->n_attempts; i++)
        study->gpu_us += gpu_time(&row->attempts[i]);
    if (!assay_trial_state_is_final(row->state)) {
        struct assay_trial copy;
        struct assay__trial *trial;

        assay__trial_copy(row, &copy);
        trial = assay__trial_new(study, &copy);
        if (row->n_attempts > 0)
            load_attempts(trial, row);
        /* Workers could not renew while the daemon was away. */
        if (trial->row.lease_expires_us != ASSAY_TIME_NONE)
            trial->row.lease_expires_us =
                ASSAY_MAX(trial->row.lease_expires_us, assay_now_us() + study->spec->lease_us);
    }
}

/* The rule hears the trials in number order: parameters, values, then the end. */
static void
rule_start(struct loading *loading, int64_t number)
{
    if (number == loading->started || (size_t)number >= loading->n_states)
        return;
    loading->started = number;
    if (loading->points[number] != NULL)
        assay_stopping_start(loading->study->stopping, number, loading->points[number]);
    free(loading->points[number]);
    loading->points[number] = NULL;
}

static void
rule_finish_until(struct loading *loading, int64_t number)
{
    struct assay__study *study = loading->study;

    for (; loading->at < number; loading->at++) {
        int state = loading->states[loading->at] - 1;

        if (state >= 0 && assay_trial_state_is_final((enum assay_trial_state)state))
            assay_stopping_finish(study->stopping, loading->at, (enum assay_trial_state)state);
    }
}

static void
load_value(void *arg, int64_t number, int metric_id, int64_t step, double value)
{
    struct loading *loading = arg;
    struct assay__study *study = loading->study;
    struct assay__trial *trial = assay__trial_find(study, number);

    if (trial != NULL)
        assay__trial_measured(trial, metric_id, step, value);
    if (study->stopping != NULL && metric_id == loading->objective) {
        struct assay_decision ignored;

        rule_finish_until(loading, number);
        rule_start(loading, number);
        assay_stopping_report(study->stopping, number, step, value, &ignored);
    }
}

static assay_status
load_rows(struct assay__study *study, struct assay_error *err)
{
    struct assay_store *store = study->engine->store;
    struct loading loading = {.study = study, .objective = -1, .at = 1};
    struct assay_trial_query query = {.study_id = study->id, .with_attempts = true};
    assay_status status;

    loading.wants_points = study->stopping != NULL && assay_stopping_wants_points(study->stopping);
    loading.states = assay_zalloc(64, 1);
    loading.points = assay_zalloc(64, sizeof *loading.points);
    loading.n_states = 64;
    status = assay_store_metrics(store, study->id, load_metric, &loading, err);
    if (status == ASSAY_OK)
        status = assay_store_trials(store, &query, load_trial, &loading, NULL, err);
    if (status == ASSAY_OK)
        status = assay_store_values(store, study->id, load_value, &loading, err);
    if (status == ASSAY_OK && study->stopping != NULL)
        rule_finish_until(&loading, study->next_number);
    for (size_t i = 0; i < loading.n_states; i++)
        free(loading.points[i]);
    free(loading.points);
    free(loading.states);
    return status;
}

/* Puts the loaded trials back to work. */
static void
wake_trials(struct assay__study *study)
{
    struct assay__trial *trial, *next;

    HASH_ITER(hh, study->trials, trial, next)
    {
        bool held =
            trial->row.state == ASSAY_TRIAL_RUNNING || trial->row.state == ASSAY_TRIAL_STOPPING;

        if (held) {
            trial->slot = true;
            study->slots++;
        }
        if (held && study->spec->trial != NULL && trial->attempt.number > 0)
            assay__adopt(trial);
    }
}

/* `id`: the one that is meant, should the name be another's by now; 0 = any. */
static assay_status
load_study(struct assay_engine *engine, const char *project, const char *name, int64_t id,
           struct assay_error *err)
{
    struct assay_study_record record = {0};
    struct assay_faults faults = {0};
    struct assay_study_spec *spec;
    struct assay__study *study;
    assay_status status = assay_store_study(engine->store, project, name, &record, err);

    if (status != ASSAY_OK)
        return status;
    if (id > 0 && record.id != id) {
        assay_study_record_done(&record);
        return ASSAY_E_NOT_FOUND;
    }
    spec = assay_study_decode(record.document, project, NULL, &faults);
    if (spec == NULL) {
        assay_study_record_done(&record);
        status = assay_fail(err, ASSAY_E_INTERNAL, "the stored study %s/%s can not be read: %s: %s",
                            project, name, faults.items[0].pointer, faults.items[0].message);
        assay_faults_done(&faults);
        return status;
    }
    study = assay__study_new(engine, record.id, spec, &record);
    study->loaded = true;
    status = load_rows(study, err);
    if (status != ASSAY_OK) {
        assay__study_drop(study, "the study could not be loaded");
        return status;
    }
    wake_trials(study);
    return ASSAY_OK;
}

struct names {
    char **project, **name;
    size_t count, project_capacity, name_capacity;
};

static void
collect_name(void *arg, const struct assay_study_record *record)
{
    struct names *names = arg;

    ASSAY_GROW(names->project, names->count, names->project_capacity);
    ASSAY_GROW(names->name, names->count, names->name_capacity);
    names->project[names->count] = assay_strdup(record->project);
    names->name[names->count++] = assay_strdup(record->name);
}

/* One study that can not be read must not keep the others from running; only a database that is
 * away is an error, as the study would not run before the daemon's next start. */
static assay_status
load_one(struct assay_engine *engine, const char *project, const char *name,
         struct assay_error *err)
{
    struct assay_error local = {0};
    assay_status status = load_study(engine, project, name, 0, &local);

    if (status == ASSAY_E_UNAVAILABLE) {
        status = assay_store_ping(engine->store, err);
        if (status != ASSAY_OK)
            return status;
        status = load_study(engine, project, name, 0, &local);
    }
    if (status != ASSAY_OK)
        assay_log(ASSAY_LOG_ERROR, "study=%s/%s: not loaded: %s", project, name, local.message);
    return ASSAY_OK;
}

assay_status
assay__studies_load(struct assay_engine *engine, struct assay_error *err)
{
    struct assay_study_query query = {
        .states = 1u << ASSAY_STUDY_RUNNING | 1u << ASSAY_STUDY_PAUSED | 1u << ASSAY_STUDY_STOPPING,
        .limit = 1000,
    };
    struct names names = {0};
    assay_auto_free char *page = NULL;
    assay_status status;

    do {
        assay_auto_free char *after = page;

        page = NULL;
        query.after = after;
        status = assay_store_studies(engine->store, &query, collect_name, &names, &page, err);
    } while (status == ASSAY_OK && page != NULL);

    for (size_t i = 0; i < names.count; i++) {
        if (status == ASSAY_OK)
            status = load_one(engine, names.project[i], names.name[i], err);
        free(names.project[i]);
        free(names.name[i]);
    }
    free(names.project);
    free(names.name);
    return status;
}

/* --- afresh --- */

static void
absent_free(struct assay__absent *absent)
{
    HASH_DEL(absent->engine->absent, absent);
    free(absent->project);
    free(absent->name);
    free(absent);
}

/* The executors, too, may have told something while the study was not there: its attempts
 * are adopted as after a restart. */
static void
database_answered(struct assay_engine *engine, struct assay__command *command)
{
    struct assay__absent *absent = (struct assay__absent *)command;
    assay_status status = absent->status;
    struct assay_error err = {0};

    engine->commits--;
    absent->asking = false;
    absent->ask_us = assay_monotonic_us() + ABSENT_AGAIN_US;
    if (engine->stopping)
        return;
    if (status == ASSAY_OK)
        status = load_study(engine, absent->project, absent->name, absent->study_id, &err);
    if (status == ASSAY_E_UNAVAILABLE)
        return; /* asked again at a later tick */
    if (status == ASSAY_OK) {
        struct assay__study *study = assay__study_find(engine, absent->study_id);

        assay_log(ASSAY_LOG_INFO, "study=%s/%s: loaded afresh", absent->project, absent->name);
        study->delete_when_ended = absent->delete_when_ended;
        assay__study_due(study);
    } else if (status == ASSAY_E_NOT_FOUND) { /* its creation was not stored, or its deletion was */
        if (absent->delete_when_ended)
            assay__attempts_forget(engine, absent->study_id);
    } else {
        assay_log(ASSAY_LOG_ERROR, "study=%s/%s: loading it afresh: %s", absent->project,
                  absent->name, err.message);
    }
    absent_free(absent);
}

/* Writer's thread. */
static void
on_answer(void *arg, assay_status status, const struct assay_error *err ASSAY_UNUSED)
{
    struct assay__absent *absent = arg;

    absent->status = status;
    assay__post(absent->engine, &absent->command);
}

/* An empty set: it is committed when the database is there, after all sets before it. */
static void
ask_database(struct assay__absent *absent)
{
    absent->asking = true;
    absent->engine->commits++;
    assay_writer_submit(absent->engine->options.writer, assay_changes_new(), on_answer, absent);
}

void
assay__study_reload(struct assay__study *study)
{
    struct assay_engine *engine = study->engine;
    struct assay__absent *absent = ASSAY_NEW(struct assay__absent);

    absent->command.run = database_answered;
    absent->engine = engine;
    absent->study_id = study->id;
    absent->project = assay_strdup(study->record.project);
    absent->name = assay_strdup(study->record.name);
    absent->delete_when_ended = study->delete_when_ended;
    HASH_ADD(hh, engine->absent, study_id, sizeof absent->study_id, absent);
    assay__study_drop(study, "the study is being loaded afresh; ask again");
    ask_database(absent);
}

bool
assay__study_is_absent(const struct assay_engine *engine, int64_t study_id)
{
    const struct assay__absent *absent;

    HASH_FIND(hh, engine->absent, &study_id, sizeof study_id, absent);
    return absent != NULL;
}

void
assay__absent_tick(struct assay_engine *engine)
{
    int64_t now_us = assay_monotonic_us();

    if (engine->stopping)
        return;
    for (struct assay__absent *absent = engine->absent; absent != NULL; absent = absent->hh.next) {
        if (!absent->asking && now_us >= absent->ask_us)
            ask_database(absent);
    }
}

void
assay__absent_free(struct assay_engine *engine)
{
    struct assay__absent *absent, *next;

    HASH_ITER(hh, engine->absent, absent, next)
    {
        absent_free(absent);
    }
}

static void
replay_trial(void *arg, const struct assay_trial *row)
{
    struct assay__study *study = arg;
    struct assay__trial stored = {.study = study, .row = *row};

    /* What the cache holds is newer. */
    if (assay__trial_find(study, row->number) == NULL)
        assay__trial_tell_host(&stored);
}

bool
assay__study_sources(struct assay__study *study, json_t **ret_sources)
{
    struct assay_error err = {0};

    *ret_sources = NULL;
    if (json_array_size(study->spec->warm_start) == 0 ||
        assay_store_study_sources(study->engine->store, study->id, ret_sources, &err) == ASSAY_OK)
        return true;
    assay_log(ASSAY_LOG_ERROR, "study=%s/%s: reading what it took over: %s", study->record.project,
              study->record.name, err.message);
    return false;
}

bool
assay__study_replay(struct assay__study *study)
{
    struct assay_trial_query query = {.study_id = study->id};
    struct assay__trial *trial, *next;
    struct assay_error err = {0};

    if (study->loaded && assay_store_trials(study->engine->store, &query, replay_trial, study, NULL,
                                            &err) != ASSAY_OK) {
        assay_log(ASSAY_LOG_ERROR, "study=%s/%s: reading its history: %s", study->record.project,
                  study->record.name, err.message);
        return false;
    }
    HASH_ITER(hh, study->trials, trial, next)
    {
        assay__trial_tell_host(trial);
    }
    return true;
}
