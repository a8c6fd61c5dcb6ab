/* A study as it is stored and shown: its state beside the specification.
 *
 * A record owns what it points to; assay_study_record_done frees it. */
#ifndef ASSAY_SCHEMAS_STUDY_RECORD_H
#define ASSAY_SCHEMAS_STUDY_RECORD_H

#include <jansson.h>

#include "common/clock.h"
#include "schemas/states.h"

struct assay_study_record {
    int64_t id;
    char *project;
    char *name;
    enum assay_study_state state;
    enum assay_study_reason reason;
    char *message;    /* NULL = none */
    json_t *document; /* the normalised study file, limits as they are now; NULL when not read */
    int64_t trials[ASSAY_TRIAL_STATE_MAX_]; /* how many are in each state */
    json_t *best; /* {"number","value","metric","goal","parameters","metrics"}; NULL = none */
    int64_t created_us, started_us, finished_us; /* ASSAY_TIME_NONE = not yet */
};

void assay_study_record_done(struct assay_study_record *record);

/* The study object of the contract; `with_spec` adds the study file.  New reference. */
json_t *assay_study_record_encode(const struct assay_study_record *record, bool with_spec);

#endif
