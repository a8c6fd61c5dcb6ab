/* The tables of studies and trials keep the engine's promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/file.h"
#include "common/memory.h"
#include "controller/machines.h"

static void
tables_are_well_formed(void **state)
{
    struct assay_error err = {0};

    (void)state;
    if (assay_machine_check(&assay_study_machine, ASSAY_STUDY_RUNNING, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    if (assay_machine_check(&assay_trial_machine, ASSAY_TRIAL_QUEUED, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
}

static bool
takes(enum assay_trial_state from, enum assay_trial_event event, enum assay_trial_state to)
{
    const struct assay_machine_row *row;

    return assay_machine_find(&assay_trial_machine, (int)from, (int)event, &row, NULL) ==
               ASSAY_OK &&
           row->to == (int)to;
}

/* Whatever a trial is doing, the end of its study ends it. */
static void
every_live_trial_can_be_cancelled(void **state)
{
    (void)state;
    for (int from = 0; from < ASSAY_TRIAL_STATE_MAX_; from++) {
        bool live = !assay_trial_state_is_final((enum assay_trial_state)from);

        assert_int_equal(takes((enum assay_trial_state)from, ASSAY_TRIAL_EVENT_CANCEL,
                               ASSAY_TRIAL_CANCELLED),
                         live);
    }
}

static void
a_stopping_trial_never_succeeds(void **state)
{
    const struct assay_machine_row *row;
    struct assay_error err = {0};

    (void)state;
    assert_int_equal(assay_machine_find(&assay_trial_machine, ASSAY_TRIAL_STOPPING,
                                        ASSAY_TRIAL_EVENT_SUCCEED, &row, &err),
                     ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "a trial that is stopping can not take \"succeed\"");
    assert_true(takes(ASSAY_TRIAL_STOPPING, ASSAY_TRIAL_EVENT_END_STOPPED, ASSAY_TRIAL_STOPPED));
}

static void
every_reason_ends_a_study(void **state)
{
    (void)state;
    for (int reason = 1; reason < ASSAY_STUDY_REASON_MAX_; reason++) {
        const struct assay_machine_row *row;

        assert_int_equal(
            assay_machine_find(&assay_study_machine, ASSAY_STUDY_STOPPING,
                               (int)assay_study_event_for((enum assay_study_reason)reason), &row,
                               NULL),
            ASSAY_OK);
        assert_true(assay_study_state_is_final((enum assay_study_state)row->to));
    }
}

static void
diagram_draws_every_row(void **state)
{
    char *text = assay_machine_diagram(&assay_trial_machine);

    (void)state;
    assert_non_null(strstr(text, "running --> stopping: stop"));
    assert_non_null(strstr(text, "cancelled --> [*]"));
    free(text);
}

/* docs/state-machines.md is these tables, drawn; ASSAY_UPDATE_DOCS=1 writes it. */
static void
page_shows_the_tables(void **state)
{
    static const char path[] = "docs/state-machines.md";
    char *study = assay_machine_diagram(&assay_study_machine);
    char *trial = assay_machine_diagram(&assay_trial_machine);
    char *page = assay_format("# State machines\n\n"
                              "Drawn from controller/machines.c. A state changes along one of "
                              "these arrows or not at all.\n\n"
                              "## Studies\n\n```mermaid\n%s```\n\n"
                              "## Trials\n\n```mermaid\n%s```\n",
                              study, trial);
    char *found = NULL;

    (void)state;
    if (getenv("ASSAY_UPDATE_DOCS") != NULL)
        assert_int_equal(assay_file_write(path, page, strlen(page), 0644, NULL), ASSAY_OK);
    assert_int_equal(assay_file_read(path, 1 << 20, &found, NULL, NULL), ASSAY_OK);
    assert_string_equal(found, page);
    free(found);
    free(page);
    free(study);
    free(trial);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_well_formed),
        cmocka_unit_test(every_live_trial_can_be_cancelled),
        cmocka_unit_test(a_stopping_trial_never_succeeds),
        cmocka_unit_test(every_reason_ends_a_study),
        cmocka_unit_test(diagram_draws_every_row),
        cmocka_unit_test(page_shows_the_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
