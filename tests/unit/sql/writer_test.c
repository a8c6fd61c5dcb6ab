/* The writer: one bad set in a batch, ownership, and the database killed under it. */
#include "tests/unit/sql/database.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/memory.h"
#include "common/random.h"
#include "sql/migrations.h"

static void
add_trial(struct assay_changes *changes, int64_t study, int64_t number)
{
    struct assay_trial trial = harness_trial(study, number);

    assay_changes_trial_insert(changes, &trial, true);
    assay_trial_done(&trial);
}

static void
add_event(struct assay_changes *changes, int64_t study, int64_t trial)
{
    assay_changes_event(changes, &(struct assay_event){.study_id = study,
                                                       .time_us = 1,
                                                       .type = "trial_created",
                                                       .trial_number = trial});
}

struct outcome {
    struct outcomes *all;
    int index;
};

struct outcomes {
    atomic_int count;
    int order[200];
    assay_status statuses[200];
    struct outcome each[200];
};

static void
note_outcome(void *arg, assay_status status, const struct assay_error *err)
{
    struct outcome *outcome = arg;
    struct outcomes *all = outcome->all;

    assert_true((status == ASSAY_OK) == (err == NULL));
    all->statuses[outcome->index] = status;
    all->order[all->count] = outcome->index;
    all->count++;
}

static void
note_number(void *arg, const struct assay_trial *trial)
{
    char *seen = arg;

    seen[trial->number]++;
}

/* Every seventh set of 200, given at once, inserts a trial and then takes one
 * that is taken: it alone fails, leaves nothing, and the order of answers stays. */
static void
a_bad_set_harms_itself_only(void **state)
{
    static struct outcomes all;
    struct assay_error err = {0};
    struct assay_trial_query query = {0};
    char seen[1000] = {0};
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "mixed", false);
    for (int i = 0; i < 200; i++) {
        struct assay_changes *changes = assay_changes_new();

        add_trial(changes, study, i + 1);
        if (i % 7 == 6)
            add_trial(changes, study, i);
        all.each[i] = (struct outcome){&all, i};
        assay_writer_submit(h->writer, changes, note_outcome, &all.each[i]);
    }
    assert_ok(harness_commit(h->writer, assay_changes_new(), &err), &err);
    assert_int_equal(all.count, 200);
    query.study_id = study;
    assert_ok(assay_store_trials(h->store, &query, note_number, seen, NULL, &err), &err);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(all.order[i], i);
        assert_int_equal(all.statuses[i], i % 7 == 6 ? ASSAY_E_CONFLICT : ASSAY_OK);
        assert_int_equal(seen[i + 1], i % 7 != 6);
    }
}

/* What the study's record says of its trials, against the trials themselves. */
static void
count_trial(void *arg, const struct assay_trial *trial)
{
    ((int64_t *)arg)[trial->state]++;
}

static void
check_counts(const char *name)
{
    int64_t counted[ASSAY_TRIAL_STATE_MAX_] = {0};
    struct assay_trial_query query = {0};
    struct assay_study_record record;
    struct assay_error err = {0};

    assert_ok(assay_store_study(h->store, "default", name, &record, &err), &err);
    query.study_id = record.id;
    assert_ok(assay_store_trials(h->store, &query, count_trial, counted, NULL, &err), &err);
    for (int i = 0; i < ASSAY_TRIAL_STATE_MAX_; i++)
        assert_int_equal(record.trials[i], counted[i]);
    assay_study_record_done(&record);
}

#define COUNTED_STUDIES 3
#define COUNTED_TRIALS 40

/* Random sets of random changes to the trials of several studies; some are refused, as
 * the state is not what they expect, and take the whole set with them. */
static void
trials_are_counted(void **state)
{
    static const char *const names[COUNTED_STUDIES] = {"counted-a", "counted-b", "counted-c"};
    int64_t studies[COUNTED_STUDIES];
    enum assay_trial_state states[COUNTED_STUDIES][COUNTED_TRIALS + 1];
    int64_t made[COUNTED_STUDIES] = {0};
    struct assay_random random;
    struct assay_error err = {0};

    NEED_DATABASE();
    assay_random_init(&random, 1, 2, 3);
    for (int i = 0; i < COUNTED_STUDIES; i++)
        studies[i] = harness_study(h, names[i], false);
    for (int set = 0; set < 300; set++) {
        struct assay_changes *changes = assay_changes_new();
        bool bad = assay_random_below(&random, 10) == 0;

        for (int op = 0; op < 4; op++) {
            size_t i = (size_t)assay_random_below(&random, COUNTED_STUDIES);
            struct assay_trial trial;

            if (made[i] == 0 || (made[i] < COUNTED_TRIALS && !bad &&
                                 assay_random_below(&random, 3) == 0)) {
                if (bad)
                    continue;
                trial = harness_trial(studies[i], ++made[i]);
                states[i][made[i]] = trial.state;
                assay_changes_trial_insert(changes, &trial, true);
            } else {
                int64_t number = 1 + (int64_t)assay_random_below(&random, (uint64_t)made[i]);
                enum assay_trial_state from = states[i][number];

                trial = harness_trial(studies[i], number);
                trial.state = (enum assay_trial_state)assay_random_below(&random,
                                                                         ASSAY_TRIAL_STATE_MAX_);
                if (assay_trial_state_is_final(from) && !bad) {
                    assay_trial_done(&trial);
                    continue;
                }
                assay_changes_trial_update(changes, from, &trial, true);
                if (!bad)
                    states[i][number] = trial.state;
            }
            assay_trial_done(&trial);
        }
        if (bad) {
            struct assay_trial trial = harness_trial(studies[0], COUNTED_TRIALS + 1);

            assay_changes_trial_update(changes, ASSAY_TRIAL_RUNNING, &trial, true);
            assay_trial_done(&trial);
        }
        assay_writer_submit(h->writer, changes, NULL, NULL);
    }
    assert_ok(harness_commit(h->writer, assay_changes_new(), &err), &err);
    for (int i = 0; i < COUNTED_STUDIES; i++) {
        assert_true(made[i] > COUNTED_TRIALS / 2);
        check_counts(names[i]);
    }
}

static void
a_large_set_passes(void **state)
{
    struct assay_changes *changes = assay_changes_new();
    struct assay_error err = {0};
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "large", false);
    add_trial(changes, study, 1);
    for (int i = 0; i < 20; i++) {
        char *message = assay_alloc(1 << 20, 1);

        memset(message, 'x', 1 << 20);
        message[(1 << 20) - 1] = '\0';
        assay_changes_event(changes, &(struct assay_event){.study_id = study,
                                                           .time_us = 1,
                                                           .type = "study_changed",
                                                           .message = message});
        free(message);
    }
    assert_ok(harness_commit(h->writer, changes, &err), &err);
}

/* --- ownership */

static void
note_lost(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Runs SQL in a session of its own; returns the process. */
static pid_t
start_psql(const char *sql)
{
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 1);
        execlp("psql", "psql", "-qAt", assay_cluster_url(h->cluster), "-c", sql, (char *)NULL);
        _exit(127);
    }
    assert_true(pid > 0);
    return pid;
}

/* Ends the writer's session, as a network that breaks would. */
static void
cut_connection(void)
{
    pid_t pid = start_psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE application_name LIKE 'assay-writer%'");

    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Waits until the query's only value is true. */
static void
wait_for_true(const char *sql)
{
    PGconn *connection = PQconnectdb(assay_cluster_url(h->cluster));
    bool holds = false;

    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    for (int i = 0; i < 6000 && !holds; i++) {
        PGresult *result = PQexec(connection, sql);

        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        holds = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
        PQclear(result);
        if (!holds)
            usleep(10000);
    }
    PQfinish(connection);
    if (!holds)
        fail_msg("never true: %s", sql);
}

/* Migration 9 counts what it finds. */
static void
older_databases_are_counted(void **state)
{
    const char *begin, *end;
    assay_auto_free char *sql = NULL;
    int status;
    pid_t pid;

    NEED_DATABASE();
    begin = strstr(assay__migrations[8].sql, "INSERT INTO trial_count");
    assert_non_null(begin);
    end = strchr(begin, ';');
    assert_non_null(end);
    sql = assay_format("TRUNCATE trial_count; %.*s", (int)(end - begin), begin);
    pid = start_psql(sql);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        skip(); /* there is no psql */
    assert_int_equal(status, 0);
    /* Made by the tests before. */
    check_counts("counted-a");
    check_counts("counted-b");
    check_counts("mixed");
}

/* A process that writes until it is killed: "another daemon". */
static pid_t
start_other_daemon(const struct assay_writer_options *options)
{
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct assay_writer *writer;

        /* The session of the one before it ends a moment after it. */
        if (assay_writer_start(options, 60 * ASSAY_SECOND_US, &writer, NULL) == ASSAY_OK &&
            write(ends[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

static void
one_writer_at_a_time(void **state)
{
    atomic_int lost = 0;
    struct assay_writer_options options = {
        .patience_us = 60 * ASSAY_SECOND_US, .lost = note_lost, .lost_arg = &lost};
    struct assay_writer *second = NULL;
    struct assay_writer_stats stats;
    struct assay_error err = {0};
    int64_t study, start_us = assay_monotonic_us();
    pid_t other;

    NEED_DATABASE();
    options.url = assay_cluster_url(h->cluster);
    assert_int_equal(assay_writer_start(&options, ASSAY_SECOND_US / 5, &second, &err),
                     ASSAY_E_CONFLICT);
    assert_non_null(strstr(err.message, "another daemon"));
    assert_true(assay_monotonic_us() - start_us >= ASSAY_SECOND_US / 5);

    /* The first one's connection is cut: it comes back by itself. */
    study = harness_study(h, "owned", false);
    cut_connection();
    {
        struct assay_changes *changes = assay_changes_new();

        add_trial(changes, study, 1);
        assert_ok(harness_commit(h->writer, changes, &err), &err);
    }
    assay_writer_get_stats(h->writer, &stats);
    assert_true(stats.reconnects >= 1);

    /* It ends: another takes over; that one is killed: a third does. */
    h->writer = assay_writer_stop(h->writer);
    other = start_other_daemon(&options);
    assert_int_equal(assay_writer_start(&options, 0, &second, &err), ASSAY_E_CONFLICT);
    kill(other, SIGKILL);
    assert_int_equal(waitpid(other, NULL, 0), other);
    assert_ok(assay_writer_start(&options, 60 * ASSAY_SECOND_US, &h->writer, &err), &err);
    {
        struct assay_changes *changes = assay_changes_new();

        add_trial(changes, study, 2);
        assert_ok(harness_commit(h->writer, changes, &err), &err);
    }
    assert_int_equal(lost, 0);
}

/* While the connection is cut somebody else gets the lock. */
static void
a_lost_writer_says_so(void **state)
{
    atomic_int lost = 0;
    struct assay_writer_options options = {
        .patience_us = 60 * ASSAY_SECOND_US, .lost = note_lost, .lost_arg = &lost};
    struct assay_changes *changes;
    struct assay_error err = {0};
    int64_t study;
    pid_t other;

    NEED_DATABASE();
    study = harness_study(h, "lost", false);
    h->writer = assay_writer_stop(h->writer);
    options.url = assay_cluster_url(h->cluster);
    assert_ok(assay_writer_start(&options, 60 * ASSAY_SECOND_US, &h->writer, &err), &err);
    other = start_psql("SELECT pg_advisory_lock(7020310931501002), pg_sleep(60)");
    wait_for_true("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT "
                  "granted)");
    cut_connection();
    for (int i = 0; i < 2; i++) {
        changes = assay_changes_new();
        add_trial(changes, study, 1);
        assert_int_equal(harness_commit(h->writer, changes, &err), ASSAY_E_UNAVAILABLE);
    }
    assert_int_equal(lost, 1);
    h->writer = assay_writer_stop(h->writer);
    kill(other, SIGKILL);
    assert_int_equal(waitpid(other, NULL, 0), other);
    other = start_psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       " WHERE application_name = 'psql' AND pid <> pg_backend_pid()");
    assert_int_equal(waitpid(other, NULL, 0), other);
    options.lost = NULL;
    assert_ok(assay_writer_start(&options, 60 * ASSAY_SECOND_US, &h->writer, &err), &err);
}

/* --- killed */

#define THREADS 6
#define KILLS 6

struct submitter {
    pthread_t thread;
    struct assay_writer *writer;
    atomic_bool *stop;
    int64_t study, first; /* trial numbers first, first + 1, … */
    int64_t submitted;
    char *acknowledged;
    atomic_int *progress; /* sets acknowledged, of all threads */
};

#define NUMBERS_PER_THREAD 100000

/* Each set inserts a trial with two measurements and an event. */
static void *
submit_many(void *arg)
{
    struct submitter *me = arg;

    while (!atomic_load(me->stop) && me->submitted < NUMBERS_PER_THREAD) {
        struct assay_changes *changes = assay_changes_new();
        int64_t number = me->first + me->submitted;
        struct assay_metric_value values[] = {{0, 1, 1, (double)number}, {0, 2, 1, 0}};

        add_trial(changes, me->study, number);
        assay_changes_measurements(changes, me->study, number, values, 2);
        add_event(changes, me->study, number);
        me->acknowledged[me->submitted] = harness_commit(me->writer, changes, NULL) == ASSAY_OK;
        atomic_fetch_add(me->progress, me->acknowledged[me->submitted]);
        me->submitted++;
    }
    return NULL;
}

struct found {
    char *trials, *events, *values;
    size_t count;
};

static void
found_trial(void *arg, const struct assay_trial *trial)
{
    ((struct found *)arg)->trials[trial->number]++;
}

static int64_t last_event;

static void
found_event(void *arg, const struct assay_event *event)
{
    struct found *found = arg;

    assert_true(event->id > last_event);
    last_event = event->id;
    found->events[event->trial_number]++;
    found->count++;
}

static void
found_value(void *arg, int64_t trial_number, int metric_id, int64_t step, double value)
{
    (void)metric_id;
    (void)step;
    (void)value;
    ((struct found *)arg)->values[trial_number]++;
}

static void
read_back(int64_t study, struct found *found)
{
    struct assay_trial_query query = {.study_id = study};
    struct assay_error err = {0};
    size_t before;

    assert_ok(assay_store_trials(h->store, &query, found_trial, found, NULL, &err), &err);
    assert_ok(assay_store_values(h->store, study, found_value, found, &err), &err);
    last_event = 0;
    do {
        before = found->count;
        assert_ok(assay_store_events(h->store, study, last_event, 1000, found_event, found, &err),
                  &err);
    } while (found->count > before);
}

/* An acknowledged set is there exactly once; any other whole or not at all. */
static void
check_found(const struct submitter *submitters, const struct found *found)
{
    for (int i = 0; i < THREADS; i++) {
        for (int64_t k = 0; k < submitters[i].submitted; k++) {
            int64_t number = submitters[i].first + k;

            if (submitters[i].acknowledged[k])
                assert_int_equal(found->trials[number], 1);
            assert_int_equal(found->events[number], found->trials[number]);
            assert_int_equal(found->values[number], 2 * found->trials[number]);
        }
    }
}

/* Some sets of every thread, or most: it works again. */
static void
wait_for_progress(atomic_int *progress)
{
    int until = atomic_load(progress) + 2 * THREADS;

    for (int i = 0; i < 60000 && atomic_load(progress) < until; i++)
        usleep(1000);
    assert_true(atomic_load(progress) >= until);
}

static void
the_database_is_killed(void **state)
{
    static struct submitter submitters[THREADS];
    const size_t numbers = THREADS * NUMBERS_PER_THREAD + 1;
    struct found found = {0};
    struct assay_changes *changes;
    struct assay_error err = {0};
    atomic_bool stop = false;
    atomic_int progress = 0;
    int64_t study, acknowledged = 0, worst_us = 0;

    NEED_DATABASE();
    study = harness_study(h, "killed", false);
    changes = assay_changes_new();
    assay_changes_metric_insert(changes, study, 0, "loss");
    assert_ok(harness_commit(h->writer, changes, &err), &err);
    for (int i = 0; i < THREADS; i++) {
        submitters[i] = (struct submitter){.writer = h->writer,
                                           .stop = &stop,
                                           .progress = &progress,
                                           .study = study,
                                           .first = 1 + (int64_t)i * NUMBERS_PER_THREAD,
                                           .acknowledged = assay_zalloc(NUMBERS_PER_THREAD, 1)};
        pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
    }
    for (int i = 0; i < KILLS; i++) {
        int64_t start_us;

        wait_for_progress(&progress);
        usleep(50000 + 70000 * (useconds_t)i);
        if (i % 3 == 2)
            cut_connection();
        start_us = assay_monotonic_us();
        harness_kill(h->cluster);
        assert_ok(assay_cluster_restart(h->cluster, &err), &err);
        worst_us = ASSAY_MAX(worst_us, assay_monotonic_us() - start_us);
    }
    wait_for_progress(&progress);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        pthread_join(submitters[i].thread, NULL);

    found.trials = assay_zalloc(numbers, 1);
    found.events = assay_zalloc(numbers, 1);
    found.values = assay_zalloc(numbers, 1);
    read_back(study, &found);
    check_found(submitters, &found);
    check_counts("killed");
    for (int i = 0; i < THREADS; i++) {
        for (int64_t k = 0; k < submitters[i].submitted; k++)
            acknowledged += submitters[i].acknowledged[k];
        free(submitters[i].acknowledged);
    }
    print_message("%lld sets acknowledged, %d kills, slowest restart %lld ms\n",
                  (long long)acknowledged, KILLS, (long long)(worst_us / 1000));
    assert_int_equal(acknowledged, progress);
    free(found.trials);
    free(found.events);
    free(found.values);
}

/* Nobody restarts it: sets fail when the patience is over, and not before. */
static void
patience_ends(void **state)
{
    struct assay_writer_options options = {.patience_us = ASSAY_SECOND_US / 2};
    struct assay_writer *writer;
    struct assay_error err = {0};
    int64_t study;

    NEED_DATABASE();
    study = harness_study(h, "patience", false);
    h->writer = assay_writer_stop(h->writer);
    options.url = assay_cluster_url(h->cluster);
    assert_ok(assay_writer_start(&options, 60 * ASSAY_SECOND_US, &writer, &err), &err);
    harness_kill(h->cluster);
    for (int failed = 0, i = 1; failed < 2; i++) {
        struct assay_changes *changes = assay_changes_new();
        int64_t start_us = assay_monotonic_us();
        assay_status rc;

        add_trial(changes, study, i);
        rc = harness_commit(writer, changes, &err);
        if (rc == ASSAY_OK && failed == 0 && i < 6000) {
            usleep(10000); /* a backend serves on until it notices */
            continue;
        }
        assert_int_equal(rc, ASSAY_E_UNAVAILABLE);
        assert_true(assay_monotonic_us() - start_us >= options.patience_us);
        failed++;
    }
    assert_ok(assay_cluster_restart(h->cluster, &err), &err);
    assay_writer_stop(writer);
    assert_ok(assay_store_ping(h->store, &err), &err);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_set_harms_itself_only), cmocka_unit_test(trials_are_counted),
        cmocka_unit_test(older_databases_are_counted), cmocka_unit_test(a_large_set_passes),
        cmocka_unit_test(one_writer_at_a_time),        cmocka_unit_test(a_lost_writer_says_so),
        cmocka_unit_test(the_database_is_killed),      cmocka_unit_test(patience_ends),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
