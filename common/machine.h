/* The state-machine engine: one table per machine, one way to change a state.
 *
 * A table is rows {from, event, to, comment}; states and events are small
 * non-negative integers of the caller.  The comment is a sentence that goes to
 * the log and the event list.  Pure and thread-safe: the caller holds the state. */
#ifndef ASSAY_COMMON_MACHINE_H
#define ASSAY_COMMON_MACHINE_H

#include "common/error.h"

struct assay_machine_row {
    int from;
    int event;
    int to;
    const char *comment;
};

struct assay_machine {
    const char *name; /* "trial", for messages */
    const struct assay_machine_row *rows;
    size_t n_rows;
    int n_states;
    int n_events;
    const char *(*state_name)(int state);
    const char *(*event_name)(int event);
    bool (*is_final)(int state);
};

/* Finds the row for (from, event); ASSAY_E_CONFLICT with a sentence if the
 * table has none: the event does not fit the state. */
ASSAY_MUST_CHECK assay_status assay_machine_find(const struct assay_machine *machine, int from,
                                                 int event,
                                                 const struct assay_machine_row **ret_row,
                                                 struct assay_error *err);

/* Checks the table: no (from, event) twice, values in range, every state can be
 * reached from `initial`, no row leaves a final state, every other state has a
 * way to a final one, every event is used. */
ASSAY_MUST_CHECK assay_status assay_machine_check(const struct assay_machine *machine, int initial,
                                                  struct assay_error *err);

/* The table as a Mermaid state diagram (docs/state-machines.md).  Caller frees. */
char *assay_machine_diagram(const struct assay_machine *machine);

#endif
