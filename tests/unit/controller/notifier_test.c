#include "controller/notifier.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/memory.h"

/* No test lasts so long. */
#define LONG_US (3600 * ASSAY_SECOND_US)

struct seen {
    pthread_mutex_t lock;
    pthread_cond_t called;
    int changed, timed_out;
    int64_t at_us;
    struct assay_notifier *again; /* wait once more from within the callback */
};

static void
seen_init(struct seen *seen)
{
    *seen = (struct seen){0};
    pthread_mutex_init(&seen->lock, NULL);
    pthread_cond_init(&seen->called, NULL);
}

static void
note(void *arg, bool changed)
{
    struct seen *seen = arg;
    struct assay_notifier *again;

    pthread_mutex_lock(&seen->lock);
    seen->at_us = assay_monotonic_us();
    if (changed)
        seen->changed++;
    else
        seen->timed_out++;
    again = seen->again;
    seen->again = NULL;
    pthread_cond_signal(&seen->called);
    pthread_mutex_unlock(&seen->lock);
    if (again != NULL)
        assay_notifier_wait(again, 5, assay_notifier_version(again, 5), 5000, note, seen);
}

static void
await(struct seen *seen, int calls)
{
    pthread_mutex_lock(&seen->lock);
    while (seen->changed + seen->timed_out < calls)
        pthread_cond_wait(&seen->called, &seen->lock);
    pthread_mutex_unlock(&seen->lock);
}

static void
test_signal_wakes_the_study_and_any(void **state)
{
    struct assay_notifier *notifier = assay_notifier_new();
    struct seen mine, other, neighbour, any;

    (void)state;
    seen_init(&mine);
    seen_init(&other);
    seen_init(&neighbour);
    seen_init(&any);
    assay_notifier_wait(notifier, 5, assay_notifier_version(notifier, 5), LONG_US,
                        note, &mine);
    assay_notifier_wait(notifier, 6, assay_notifier_version(notifier, 6), LONG_US,
                        note, &other);
    /* 5 + 1024 shares the bucket of 5. */
    assay_notifier_wait(notifier, 1029, assay_notifier_version(notifier, 1029),
                        LONG_US, note, &neighbour);
    assay_notifier_wait(notifier, ASSAY_NOTIFIER_ANY,
                        assay_notifier_version(notifier, ASSAY_NOTIFIER_ANY), LONG_US,
                        note, &any);
    assay_notifier_signal(notifier, 5);
    assert_int_equal(mine.changed, 1);
    assert_int_equal(any.changed, 1);
    assert_int_equal(other.changed, 0);
    assert_int_equal(neighbour.changed, 0);
    assert_int_equal(assay_notifier_waiting(notifier), 2);
    assay_notifier_free(notifier);
    assert_int_equal(other.changed, 1);
    assert_int_equal(neighbour.changed, 1);
}

static void
test_change_before_the_wait_is_not_missed(void **state)
{
    struct assay_notifier *notifier = assay_notifier_new();
    uint64_t version = assay_notifier_version(notifier, 5);
    struct seen seen;

    (void)state;
    seen_init(&seen);
    assay_notifier_signal(notifier, 5);
    assert_null(assay_notifier_wait(notifier, 5, version, LONG_US, note, &seen));
    assert_int_equal(seen.changed, 1);
    assert_null(assay_notifier_wait(notifier, 5, version + 1, 0, note, &seen));
    assert_int_equal(seen.timed_out, 1);
    assay_notifier_free(notifier);
}

static void
test_timeouts_come_in_order_and_on_time(void **state)
{
    struct assay_notifier *notifier = assay_notifier_new();
    int64_t start_us = assay_monotonic_us();
    struct seen seen[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        seen_init(&seen[i]);
        assay_notifier_wait(notifier, i, assay_notifier_version(notifier, i),
                            (1 + (i * 7) % 20) * INT64_C(4000), note, &seen[i]);
    }
    for (int i = 0; i < 20; i++) {
        await(&seen[i], 1);
        assert_int_equal(seen[i].timed_out, 1);
        assert_true(seen[i].at_us - start_us >= (1 + (i * 7) % 20) * INT64_C(4000));
    }
    assay_notifier_free(notifier);
}

static void
test_cancel(void **state)
{
    struct assay_notifier *notifier = assay_notifier_new();
    struct assay_notifier_wait *waits[9];
    struct seen seen;

    (void)state;
    seen_init(&seen);
    for (int i = 0; i < 9; i++)
        waits[i] = assay_notifier_wait(notifier, i % 3 + 1, 0, LONG_US * (9 - i), note,
                                       &seen);
    for (int i = 0; i < 9; i += 2)
        assert_true(assay_notifier_cancel(notifier, waits[i]));
    assert_int_equal(assay_notifier_waiting(notifier), 4);
    assay_notifier_free(notifier);
    assert_int_equal(seen.changed, 4);
}

static void
test_callback_may_wait_again(void **state)
{
    struct assay_notifier *notifier = assay_notifier_new();
    struct seen seen;

    (void)state;
    seen_init(&seen);
    seen.again = notifier;
    assay_notifier_wait(notifier, 5, 0, 1000, note, &seen);
    await(&seen, 2);
    assert_int_equal(seen.timed_out, 2);
    assay_notifier_free(notifier);
}

struct race {
    struct assay_notifier *notifier;
    atomic_int calls, waits;
};

static void
count_call(void *arg, bool changed)
{
    (void)changed;
    atomic_fetch_add(&((struct race *)arg)->calls, 1);
}

static void *
race_main(void *arg)
{
    struct race *race = arg;

    for (int i = 0; i < 2000; i++) {
        uint64_t version = assay_notifier_version(race->notifier, i % 4);

        atomic_fetch_add(&race->waits, 1);
        assay_notifier_wait(race->notifier, i % 4, version, i % 5 * 100, count_call, race);
        if (i % 3 == 0)
            assay_notifier_signal(race->notifier, i % 4);
    }
    return NULL;
}

/* Every wait is called exactly once, whoever comes first. */
static void
test_many_threads(void **state)
{
    struct race race = {.notifier = assay_notifier_new()};
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, race_main, &race);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assay_notifier_free(race.notifier);
    assert_int_equal(race.calls, race.waits);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signal_wakes_the_study_and_any),
        cmocka_unit_test(test_change_before_the_wait_is_not_missed),
        cmocka_unit_test(test_timeouts_come_in_order_and_on_time),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_callback_may_wait_again),
        cmocka_unit_test(test_many_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
