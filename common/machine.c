#include "common/machine.h"

#include <stdlib.h>

#include "common/buffer.h"
#include "common/memory.h"

assay_status
assay_machine_find(const struct assay_machine *machine, int from, int event,
                   const struct assay_machine_row **ret_row, struct assay_error *err)
{
    for (size_t i = 0; i < machine->n_rows; i++) {
        if (machine->rows[i].from == from && machine->rows[i].event == event) {
            *ret_row = &machine->rows[i];
            return ASSAY_OK;
        }
    }
    return assay_fail(err, ASSAY_E_CONFLICT, "a %s that is %s can not take \"%s\"", machine->name,
                      machine->state_name(from), machine->event_name(event));
}

/* Marks every state reachable along rows, forward from (or backward to) the marked ones. */
static void
spread(const struct assay_machine *machine, bool *marked, bool backward)
{
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < machine->n_rows; i++) {
            int a = backward ? machine->rows[i].to : machine->rows[i].from;
            int b = backward ? machine->rows[i].from : machine->rows[i].to;

            if (marked[a] && !marked[b]) {
                marked[b] = true;
                changed = true;
            }
        }
    }
}

static assay_status
check_rows(const struct assay_machine *machine, struct assay_error *err)
{
    for (size_t i = 0; i < machine->n_rows; i++) {
        const struct assay_machine_row *row = &machine->rows[i];

        if (row->from < 0 || row->from >= machine->n_states || row->to < 0 ||
            row->to >= machine->n_states || row->event < 0 || row->event >= machine->n_events)
            return assay_fail(err, ASSAY_E_INTERNAL, "%s table: row %zu is out of range",
                              machine->name, i);
        if (machine->is_final(row->from))
            return assay_fail(err, ASSAY_E_INTERNAL, "%s table: row %zu leaves the final state %s",
                              machine->name, i, machine->state_name(row->from));
        for (size_t k = 0; k < i; k++) {
            if (machine->rows[k].from == row->from && machine->rows[k].event == row->event)
                return assay_fail(err, ASSAY_E_INTERNAL, "%s table: rows %zu and %zu are for %s, %s",
                                  machine->name, k, i, machine->state_name(row->from),
                                  machine->event_name(row->event));
        }
    }
    return ASSAY_OK;
}

assay_status
assay_machine_check(const struct assay_machine *machine, int initial, struct assay_error *err)
{
    size_t n = (size_t)machine->n_states;
    assay_auto_free bool *reached = assay_zalloc(n, sizeof *reached);
    assay_auto_free bool *ends = assay_zalloc(n, sizeof *ends);
    assay_status status = check_rows(machine, err);

    if (status != ASSAY_OK)
        return status;
    for (int event = 0; event < machine->n_events; event++) {
        size_t i = 0;

        while (i < machine->n_rows && machine->rows[i].event != event)
            i++;
        if (i == machine->n_rows)
            return assay_fail(err, ASSAY_E_INTERNAL, "%s table: the event \"%s\" is never used",
                              machine->name, machine->event_name(event));
    }
    reached[initial] = true;
    spread(machine, reached, false);
    for (int state = 0; state < machine->n_states; state++)
        ends[state] = machine->is_final(state);
    spread(machine, ends, true);
    for (int state = 0; state < machine->n_states; state++) {
        if (!reached[state] || !ends[state])
            return assay_fail(err, ASSAY_E_INTERNAL, "%s table: %s %s", machine->name,
                              machine->state_name(state),
                              reached[state] ? "has no way to an end" : "can not be reached");
    }
    return ASSAY_OK;
}

char *
assay_machine_diagram(const struct assay_machine *machine)
{
    struct assay_buffer text = {0};

    assay_buffer_puts(&text, "stateDiagram-v2\n");
    for (size_t i = 0; i < machine->n_rows; i++)
        assay_buffer_printf(&text, "    %s --> %s: %s\n", machine->state_name(machine->rows[i].from),
                            machine->state_name(machine->rows[i].to),
                            machine->event_name(machine->rows[i].event));
    for (int state = 0; state < machine->n_states; state++) {
        if (machine->is_final(state))
            assay_buffer_printf(&text, "    %s --> [*]\n", machine->state_name(state));
    }
    return assay_buffer_steal(&text);
}
