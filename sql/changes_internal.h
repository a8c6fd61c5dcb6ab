/* Inside of a change set, for the writer. */
#ifndef ASSAY_SQL_CHANGES_INTERNAL_H
#define ASSAY_SQL_CHANGES_INTERNAL_H

#include "sql/changes.h"
#include "sql/pg.h"

/* Points that a statement adds to one curve. */
struct assay__growth {
    int64_t study_id, trial;
    int metric_id;
    int64_t count, min_step, max_step;
};

/* Trials of one study that come into a state, less those that leave it. */
struct assay__moves {
    int64_t study_id;
    int64_t by[ASSAY_TRIAL_STATE_MAX_];
};
struct assay__all_moves {
    struct assay__moves *studies; /* each study once */
    size_t n, capacity;
};

struct assay_changes {
    struct assay__pg_args args; /* of all operations, one after the other */
    struct assay__op {
        const struct assay__pg_statement *statement;
        size_t first;            /* of its parameters in args */
        size_t growth, n_growth; /* measurements: the curves it adds to, in growth below */
    } * ops;
    size_t n_ops, ops_capacity;
    struct assay__growth *growth;
    size_t n_growth, growth_capacity;
    struct assay__all_moves moves;
    bool deletes_study;
};

/* Appends a statement whose parameters the caller adds next. */
struct assay__pg_args *assay__changes_add(struct assay_changes *changes,
                                          const struct assay__pg_statement *statement);

/* --- trial_count.c */
/* Those of the study, none at first; valid until the next call. */
struct assay__moves *assay__moves_of(struct assay__all_moves *all, int64_t study_id);
void assay__moves_add(struct assay__all_moves *all, const struct assay__all_moves *more);
bool assay__moves_none(const struct assay__moves *moves);
/* The parameters of assay__trial_count. */
void assay__moves_args(struct assay__pg_args *args, const struct assay__moves *moves);
extern const struct assay__pg_statement assay__trial_count;

/* Every statement that a set can hold. */
extern const struct assay__pg_statement *const assay__changes_statements[];
extern const size_t assay__changes_statements_count;

/* What the writer sends in place of assay__measurements_put, same parameters,
 * when every step is known to be new and the last of its curve. */
extern const struct assay__pg_statement assay__measurements_append;

extern const struct assay__pg_statement assay__study_insert, assay__study_sources_insert,
    assay__study_state, assay__study_document, assay__study_delete, assay__insert_trial, assay__trial_update,
    assay__trial_lease, assay__attempt_put, assay__metric_insert, assay__measurements_put,
    assay__event_insert, assay__idempotency_insert;

#endif
