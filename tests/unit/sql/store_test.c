/* The store's calls on a real cluster. */
#include "tests/unit/sql/database.h"

#include <stdlib.h>
#include <string.h>

static void
migrating_twice_changes_nothing(void **state)
{
    struct assay_error err = {0};

    NEED_DATABASE();
    assert_ok(assay_store_migrate(h->store, &err), &err);
    assert_ok(assay_store_ping(h->store, &err), &err);
}

static void
settings_keep_their_first_value(void **state)
{
    struct assay_error err = {0};
    assay_auto_free char *first = NULL;
    assay_auto_free char *second = NULL;

    NEED_DATABASE();
    assert_ok(assay_store_setting(h->store, "key", "abc", &first, &err), &err);
    assert_ok(assay_store_setting(h->store, "key", "def", &second, &err), &err);
    assert_string_equal(first, "abc");
    assert_string_equal(second, "abc");
}

static void
projects_and_tokens(void **state)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct assay_error err = {0};
    json_t *list;
    char *project, *role;
    int64_t id;
    bool exists;

    NEED_DATABASE();
    assert_ok(assay_store_project_exists(h->store, "default", &exists, &err), &err);
    assert_true(exists);
    assert_ok(assay_store_project_insert(h->store, "vision", &err), &err);
    assert_int_equal(assay_store_project_insert(h->store, "vision", &err), ASSAY_E_CONFLICT);
    assert_int_equal(assay_store_project_insert(h->store, "No Name", &err), ASSAY_E_INVALID_VALUE);
    assert_ok(assay_store_projects(h->store, &list, &err), &err);
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 1), "name")),
                        "vision");
    json_decref(list);

    assert_int_equal(assay_store_token_find(h->store, hash, &project, &role, &err),
                     ASSAY_E_UNAUTHORIZED);
    assert_int_equal(assay_store_token_insert(h->store, "nowhere", "ci", "editor", hash, &id, &err),
                     ASSAY_E_NOT_FOUND);
    assert_ok(assay_store_token_insert(h->store, "vision", "ci", "editor", hash, &id, &err), &err);
    assert_int_equal(assay_store_token_insert(h->store, "vision", "ci", "editor", hash, &id, &err),
                     ASSAY_E_CONFLICT);
    assert_ok(assay_store_token_find(h->store, hash, &project, &role, &err), &err);
    assert_string_equal(project, "vision");
    assert_string_equal(role, "editor");
    free(project);
    free(role);
    assert_ok(assay_store_tokens(h->store, "vision", &list, &err), &err);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_int_equal(assay_store_token_delete(h->store, "default", id, &err), ASSAY_E_NOT_FOUND);
    assert_ok(assay_store_token_delete(h->store, "vision", id, &err), &err);

    assert_ok(assay_store_token_insert(h->store, NULL, "root", "admin", hash, &id, &err), &err);
    assert_ok(assay_store_token_find(h->store, hash, &project, &role, &err), &err);
    assert_null(project);
    free(role);
    assert_ok(assay_store_token_delete(h->store, NULL, id, &err), &err);
}

static void
answers_are_remembered_once(void **state)
{
    json_t *answer = json_pack("{s:i}", "number", 1);
    json_t *found;
    struct assay_changes *changes;
    struct assay_error err = {0};
    char *hash;
    int http;

    NEED_DATABASE();
    assert_int_equal(
        assay_store_idempotency_find(h->store, "default", "k1", &hash, &http, &found, &err),
        ASSAY_E_NOT_FOUND);
    changes = assay_changes_new();
    assay_changes_idempotency(changes, "default", "k1", "aa", 201, answer);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    changes = assay_changes_new();
    assay_changes_idempotency(changes, "default", "k1", "bb", 201, answer);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_CONFLICT);
    assert_ok(assay_store_idempotency_find(h->store, "default", "k1", &hash, &http, &found, &err),
              &err);
    assert_string_equal(hash, "aa");
    assert_int_equal(http, 201);
    assert_true(json_equal(answer, found));
    free(hash);
    json_decref(found);
    json_decref(answer);
    assert_ok(assay_store_idempotency_expire(h->store, ASSAY_SECOND_US * 3600, &err), &err);
    assert_ok(assay_store_idempotency_find(h->store, "default", "k1", &hash, &http, &found, &err),
              &err);
    free(hash);
    json_decref(found);
    assert_ok(assay_store_idempotency_expire(h->store, 0, &err), &err);
    assert_int_equal(
        assay_store_idempotency_find(h->store, "default", "k1", &hash, &http, &found, &err),
        ASSAY_E_NOT_FOUND);
}

static void
a_study_and_its_trials(void **state)
{
    struct assay_error err = {0};
    struct assay_study_record record;
    struct assay_trial trial, read;
    struct assay_changes *changes;
    struct assay_attempt attempt = {.number = 1,
                                    .state = ASSAY_ATTEMPT_RUNNING,
                                    .exit_code = -1,
                                    .pid = 77,
                                    .started_us = 5,
                                    .finished_us = ASSAY_TIME_NONE};
    enum assay_study_state study_state;
    int64_t study, id;

    NEED_DATABASE();
    study = harness_study(h, "one", false);
    assert_ok(assay_store_study_find(h->store, "default", "one", &id, &study_state, &err), &err);
    assert_int_equal(id, study);
    assert_int_equal(study_state, ASSAY_STUDY_RUNNING);
    assert_int_equal(assay_store_study_find(h->store, "default", "two", &id, &study_state, &err),
                     ASSAY_E_NOT_FOUND);
    assert_int_equal(assay_store_best(h->store, study, false, &read, &err), ASSAY_E_NOT_FOUND);

    trial = harness_trial(study, 1);
    changes = assay_changes_new();
    assay_changes_trial_insert(changes, &trial, true);
    attempt.gpus = json_pack("[s]", "gpu0");
    assay_changes_attempt_put(changes, study, 1, &attempt);
    attempt.state = ASSAY_ATTEMPT_EXITED;
    attempt.interrupted = true;
    attempt.exit_code = 0;
    attempt.finished_us = 9;
    assay_changes_attempt_put(changes, study, 1, &attempt);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    json_decref(attempt.gpus);

    /* Into a final state, after which nothing changes it. */
    trial.state = ASSAY_TRIAL_SUCCEEDED;
    trial.value = 0.25;
    trial.last_step = 12;
    trial.finished_us = assay_now_us();
    json_object_set_new(trial.metrics, "loss", json_real(0.25));
    changes = assay_changes_new();
    assay_changes_trial_update(changes, ASSAY_TRIAL_QUEUED, &trial, true);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    changes = assay_changes_new();
    assay_changes_trial_update(changes, ASSAY_TRIAL_QUEUED, &trial, true);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "trial 1 is succeeded, not queued");
    changes = assay_changes_new();
    assay_changes_trial_update(changes, ASSAY_TRIAL_SUCCEEDED, &trial, true);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_CONFLICT);
    changes = assay_changes_new();
    assay_changes_trial_lease(changes, study, 1, 99);
    assert_ok(harness_commit(h->writer, changes, &err), &err);

    assert_ok(assay_store_trial(h->store, study, 1, &read, &err), &err);
    assert_int_equal(read.state, ASSAY_TRIAL_SUCCEEDED);
    assert_true(json_equal(read.parameters, trial.parameters));
    assert_true(json_equal(read.metrics, trial.metrics));
    assert_true(json_equal(read.why, trial.why));
    assert_true(read.value == 0.25 && isnan(read.budget));
    assert_int_equal(read.last_step, 12);
    assert_true(read.lease_expires_us == ASSAY_TIME_NONE);
    assert_true(read.created_us == trial.created_us && read.finished_us == trial.finished_us);
    assert_int_equal(read.n_attempts, 1);
    assert_int_equal(read.attempts[0].state, ASSAY_ATTEMPT_EXITED);
    assert_int_equal(read.attempts[0].exit_code, 0);
    assert_int_equal(read.attempts[0].pid, 77);
    assert_true(read.attempts[0].interrupted);
    assert_int_equal(read.attempts[0].started_us, 5);
    assay_trial_done(&read);
    assert_int_equal(assay_store_trial(h->store, study, 2, &read, &err), ASSAY_E_NOT_FOUND);
    assay_trial_done(&trial);

    /* A better one that is not feasible does not count. */
    trial = harness_trial(study, 2);
    trial.state = ASSAY_TRIAL_SUCCEEDED;
    trial.value = 0.1;
    changes = assay_changes_new();
    assay_changes_trial_insert(changes, &trial, false);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    assay_trial_done(&trial);
    assert_ok(assay_store_best(h->store, study, false, &read, &err), &err);
    assert_int_equal(read.number, 1);
    assay_trial_done(&read);

    assert_ok(assay_store_study(h->store, "default", "one", &record, &err), &err);
    assert_int_equal(record.trials[ASSAY_TRIAL_SUCCEEDED], 2);
    assert_int_equal(record.trials[ASSAY_TRIAL_QUEUED], 0);
    assert_int_equal(json_integer_value(json_object_get(record.best, "number")), 1);
    assert_string_equal(json_string_value(json_object_get(record.best, "goal")), "minimize");
    assay_study_record_done(&record);
}

static void
study_states_and_deletion(void **state)
{
    struct assay_error err = {0};
    struct assay_study_record record, again;
    struct assay_trial trial;
    struct assay_changes *changes;
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "gone", true);
    assert_ok(assay_store_study(h->store, "default", "gone", &record, &err), &err);
    changes = assay_changes_new();
    again = record;
    again.id = study + 1000;
    assay_changes_study_insert(changes, &again);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_STUDY_EXISTS);
    changes = assay_changes_new();
    again.project = (char[]){"nowhere"};
    assay_changes_study_insert(changes, &again);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_NOT_FOUND);

    record.state = ASSAY_STUDY_CANCELLED;
    record.reason = ASSAY_STUDY_REASON_CANCELLED_BY_USER;
    record.finished_us = 123456;
    changes = assay_changes_new();
    assay_changes_study_state(changes, ASSAY_STUDY_PAUSED, &record);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "study \"gone\" is running, not paused");
    changes = assay_changes_new();
    assay_changes_study_state(changes, ASSAY_STUDY_RUNNING, &record);
    json_object_set_new(record.document, "seed", json_integer(8));
    assay_changes_study_document(changes, study, record.document);
    trial = harness_trial(study, 1);
    assay_changes_trial_insert(changes, &trial, true);
    assay_changes_metric_insert(changes, study, 0, "loss");
    assay_changes_measurements(changes, study, 1,
                               &(struct assay_metric_value){0, 1, assay_now_us(), 0.5}, 1);
    assay_changes_event(
        changes,
        &(struct assay_event){.study_id = study, .time_us = assay_now_us(), .type = "study_state"});
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    assay_trial_done(&trial);
    assay_study_record_done(&record);
    assert_ok(assay_store_study(h->store, "default", "gone", &record, &err), &err);
    assert_int_equal(record.state, ASSAY_STUDY_CANCELLED);
    assert_int_equal(record.reason, ASSAY_STUDY_REASON_CANCELLED_BY_USER);
    assert_int_equal(record.finished_us, 123456);
    assert_int_equal(json_integer_value(json_object_get(record.document, "seed")), 8);
    assay_study_record_done(&record);

    changes = assay_changes_new();
    assay_changes_study_delete(changes, study);
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    assert_int_equal(assay_store_study(h->store, "default", "gone", &record, &err),
                     ASSAY_E_NOT_FOUND);
    changes = assay_changes_new();
    assay_changes_study_delete(changes, study);
    assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_NOT_FOUND);
    /* The name is free at once; the rows go by themselves. */
    harness_study(h, "gone", true);
    for (int i = 0; i < 6000; i++) {
        if (assay_store_trial(h->store, study, 1, &trial, &err) == ASSAY_E_NOT_FOUND)
            return;
        assay_trial_done(&trial);
        usleep(10000);
    }
    fail_msg("the trial of a deleted study is still there");
}

/* --- pages */

struct numbers {
    int64_t items[64];
    size_t count;
};

static void
note_trial(void *arg, const struct assay_trial *trial)
{
    struct numbers *numbers = arg;

    numbers->items[numbers->count++] = trial->number;
}

/* Every order, page sizes 1 to 5: the pages joined are the whole list. */
static void
check_order(int64_t study, enum assay_trial_sort sort, bool descending, const int64_t *wanted,
            size_t count)
{
    for (size_t limit = 1; limit <= 5; limit++) {
        struct assay_trial_query query = {.study_id = study,
                                          .sort = sort,
                                          .descending = descending,
                                          .limit = limit,
                                          .with_attempts = true};
        struct numbers found = {{0}, 0};
        struct assay_error err = {0};
        char *next = NULL, *token = NULL;

        do {
            query.after = token;
            assert_ok(assay_store_trials(h->store, &query, note_trial, &found, &next, &err), &err);
            free(token);
            token = next;
        } while (next != NULL);
        assert_int_equal(found.count, count);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(found.items[i], wanted[i]);
    }
}

static void
pages_in_every_order(void **state)
{
    /* Ties, infinities, no value; started in reverse, two not yet. */
    static const double values[] = {0.5, NAN, 0.1, 0.5, -INFINITY, NAN, 0.5, INFINITY};
    static const int64_t started[] = {80, 70, ASSAY_TIME_NONE, 50, 50, 50, ASSAY_TIME_NONE, 10};
    struct assay_changes *changes = assay_changes_new();
    struct assay_trial_query query = {.sort = ASSAY_TRIAL_BY_VALUE, .limit = 2};
    struct assay_error err = {0};
    struct numbers found = {{0}, 0};
    char *token, *none;
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "pages", false);
    for (int i = 0; i < 8; i++) {
        struct assay_trial trial = harness_trial(study, i + 1);

        trial.state = i == 7 ? ASSAY_TRIAL_RUNNING : ASSAY_TRIAL_SUCCEEDED;
        trial.value = values[i];
        trial.started_us = started[i];
        trial.finished_us = started[i];
        assay_changes_trial_insert(changes, &trial, true);
        assay_trial_done(&trial);
    }
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    check_order(study, ASSAY_TRIAL_BY_NUMBER, false, (int64_t[]){1, 2, 3, 4, 5, 6, 7, 8}, 8);
    check_order(study, ASSAY_TRIAL_BY_NUMBER, true, (int64_t[]){8, 7, 6, 5, 4, 3, 2, 1}, 8);
    check_order(study, ASSAY_TRIAL_BY_VALUE, false, (int64_t[]){5, 3, 1, 4, 7, 8, 2, 6}, 8);
    check_order(study, ASSAY_TRIAL_BY_VALUE, true, (int64_t[]){8, 1, 4, 7, 3, 5, 2, 6}, 8);
    check_order(study, ASSAY_TRIAL_BY_STARTED, false, (int64_t[]){8, 4, 5, 6, 2, 1, 3, 7}, 8);
    check_order(study, ASSAY_TRIAL_BY_STARTED, true, (int64_t[]){1, 2, 4, 5, 6, 8, 3, 7}, 8);
    check_order(study, ASSAY_TRIAL_BY_FINISHED, false, (int64_t[]){8, 4, 5, 6, 2, 1, 3, 7}, 8);
    check_order(study, ASSAY_TRIAL_BY_FINISHED, true, (int64_t[]){1, 2, 4, 5, 6, 8, 3, 7}, 8);

    /* By state; all at once; tokens of other orders and rubbish. */
    query.study_id = study;
    query.states = 1u << ASSAY_TRIAL_RUNNING;
    assert_ok(assay_store_trials(h->store, &query, note_trial, &found, &token, &err), &err);
    assert_null(token);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.items[0], 8);
    found.count = 0;
    query = (struct assay_trial_query){.study_id = study};
    assert_ok(assay_store_trials(h->store, &query, note_trial, &found, NULL, &err), &err);
    assert_int_equal(found.count, 8);
    query.limit = 3;
    found.count = 0;
    assert_ok(assay_store_trials(h->store, &query, note_trial, &found, &token, &err), &err);
    query.after = token;
    query.sort = ASSAY_TRIAL_BY_VALUE;
    assert_int_equal(assay_store_trials(h->store, &query, note_trial, &found, &none, &err),
                     ASSAY_E_BAD_REQUEST);
    free(token);
    query.after = "zz";
    assert_int_equal(assay_store_trials(h->store, &query, note_trial, &found, &none, &err),
                     ASSAY_E_BAD_REQUEST);
}

struct names {
    char *items[64];
    size_t count;
};

static void
note_study(void *arg, const struct assay_study_record *study)
{
    struct names *names = arg;

    names->items[names->count++] = assay_strdup(study->name);
}

static void
check_studies(struct assay_study_query query, const char *const *wanted, size_t count)
{
    for (size_t limit = 1; limit <= 5; limit++) {
        struct names found = {{0}, 0};
        struct assay_error err = {0};
        char *next = NULL, *token = NULL;

        query.limit = limit;
        do {
            query.after = token;
            assert_ok(assay_store_studies(h->store, &query, note_study, &found, &next, &err), &err);
            free(token);
            token = next;
        } while (next != NULL);
        assert_int_equal(found.count, count);
        for (size_t i = 0; i < count; i++) {
            assert_string_equal(found.items[i], wanted[i]);
            free(found.items[i]);
        }
    }
}

static void
pages_of_studies(void **state)
{
    struct assay_study_query query = {.project = "default", .name_prefix = "list-"};

    NEED_DATABASE();
    harness_study(h, "list-b", false);
    harness_study(h, "list-c", false);
    harness_study(h, "list-a", false);
    check_studies(query, (const char *[]){"list-b", "list-c", "list-a"}, 3);
    query.descending = true;
    check_studies(query, (const char *[]){"list-a", "list-c", "list-b"}, 3);
    query.sort = ASSAY_STUDY_BY_NAME;
    check_studies(query, (const char *[]){"list-c", "list-b", "list-a"}, 3);
    query.descending = false;
    check_studies(query, (const char *[]){"list-a", "list-b", "list-c"}, 3);
    query.states = 1u << ASSAY_STUDY_FAILED;
    check_studies(query, NULL, 0);
    query = (struct assay_study_query){.project = NULL, .name_prefix = "list-%"};
    check_studies(query, NULL, 0);
}

static void
note_event(void *arg, const struct assay_event *event)
{
    struct numbers *numbers = arg;

    assert_string_equal(event->type, "trial_state");
    assert_int_equal(event->trial_number, 5);
    assert_string_equal(event->message, "it’s \"odd\"");
    assert_int_equal(json_integer_value(json_object_get(event->data, "n")),
                     (json_int_t)numbers->count);
    numbers->items[numbers->count++] = event->id;
}

static void
events_in_commit_order(void **state)
{
    struct numbers found = {{0}, 0};
    struct assay_error err = {0};
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "events", false);
    for (int i = 0; i < 5; i++) {
        struct assay_changes *changes = assay_changes_new();
        char message[] = "it’s \"odd\"";
        struct assay_event event = {.study_id = study,
                                    .time_us = 1,
                                    .type = "trial_state",
                                    .trial_number = 5,
                                    .message = message,
                                    .data = json_pack("{s:i}", "n", i)};

        assay_changes_event(changes, &event);
        json_decref(event.data);
        assert_ok(harness_commit(h->writer, changes, &err), &err);
    }
    assert_ok(assay_store_events(h->store, study, 0, 3, note_event, &found, &err), &err);
    assert_int_equal(found.count, 3);
    assert_ok(assay_store_events(h->store, study, found.items[2], 100, note_event, &found, &err),
              &err);
    assert_int_equal(found.count, 5);
    assert_true(found.items[4] > found.items[3]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(migrating_twice_changes_nothing),
        cmocka_unit_test(settings_keep_their_first_value),
        cmocka_unit_test(projects_and_tokens),
        cmocka_unit_test(answers_are_remembered_once),
        cmocka_unit_test(a_study_and_its_trials),
        cmocka_unit_test(study_states_and_deletion),
        cmocka_unit_test(pages_in_every_order),
        cmocka_unit_test(pages_of_studies),
        cmocka_unit_test(events_in_commit_order),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
