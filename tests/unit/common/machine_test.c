/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "common/machine.h"
#include "common/memory.h"

enum { IDLE, BUSY, DONE, N_STATES };
enum { START, FINISH, N_EVENTS };

static const char *
state_name(int state)
{
    static const char *const names[] = {"idle", "busy", "done"};

    return names[state];
}

static const char *
event_name(int event)
{
    static const char *const names[] = {"start", "finish"};

    return names[event];
}

static bool
is_final(int state)
{
    return state == DONE;
}

static const struct assay_machine_row good[] = {
    {IDLE, START, BUSY, "started"},
    {BUSY, FINISH, DONE, "finished"},
};

static struct assay_machine
machine_of(const struct assay_machine_row *rows, size_t n)
{
    return (struct assay_machine){.name = "job",
                                  .rows = rows,
                                  .n_rows = n,
                                  .n_states = N_STATES,
                                  .n_events = N_EVENTS,
                                  .state_name = state_name,
                                  .event_name = event_name,
                                  .is_final = is_final};
}

static void
rows_are_found(void **state)
{
    struct assay_machine machine = machine_of(good, ASSAY_COUNT(good));
    const struct assay_machine_row *row = NULL;
    struct assay_error err = {0};

    (void)state;
    assert_int_equal(assay_machine_check(&machine, IDLE, &err), ASSAY_OK);
    assert_int_equal(assay_machine_find(&machine, IDLE, START, &row, &err), ASSAY_OK);
    assert_int_equal(row->to, BUSY);
    row = NULL;
    assert_int_equal(assay_machine_find(&machine, DONE, START, &row, &err), ASSAY_E_CONFLICT);
    assert_string_equal(err.message, "a job that is done can not take \"start\"");
    assert_null(row);
}

static void
bad_tables_are_found_out(void **state)
{
    static const struct {
        struct assay_machine_row rows[4];
        size_t n;
        const char *message;
    } tables[] = {
        {{{IDLE, START, BUSY, ""}, {BUSY, FINISH, DONE, ""}, {IDLE, START, DONE, ""}}, 3,
         "job table: rows 0 and 2 are for idle, start"},
        {{{IDLE, START, BUSY, ""}, {BUSY, FINISH, 7, ""}}, 2, "job table: row 1 is out of range"},
        {{{IDLE, START, BUSY, ""}, {BUSY, 9, DONE, ""}}, 2, "job table: row 1 is out of range"},
        {{{-1, START, BUSY, ""}}, 1, "job table: row 0 is out of range"},
        {{{IDLE, START, BUSY, ""}, {BUSY, FINISH, DONE, ""}, {DONE, START, IDLE, ""}}, 3,
         "job table: row 2 leaves the final state done"},
        {{{IDLE, START, BUSY, ""}, {BUSY, START, DONE, ""}}, 2,
         "job table: the event \"finish\" is never used"},
        {{{IDLE, START, DONE, ""}, {BUSY, FINISH, DONE, ""}}, 2,
         "job table: busy can not be reached"},
        {{{IDLE, START, BUSY, ""}, {IDLE, FINISH, DONE, ""}}, 2,
         "job table: busy has no way to an end"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(tables); i++) {
        struct assay_machine machine = machine_of(tables[i].rows, tables[i].n);
        struct assay_error err = {0};

        assert_int_equal(assay_machine_check(&machine, IDLE, &err), ASSAY_E_INTERNAL);
        assert_string_equal(err.message, tables[i].message);
    }
}

static void
the_diagram_has_every_row(void **state)
{
    struct assay_machine machine = machine_of(good, ASSAY_COUNT(good));
    assay_auto_free char *text = assay_machine_diagram(&machine);

    (void)state;
    assert_string_equal(text, "stateDiagram-v2\n    idle --> busy: start\n"
                              "    busy --> done: finish\n    done --> [*]\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(bad_tables_are_found_out),
        cmocka_unit_test(the_diagram_has_every_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
