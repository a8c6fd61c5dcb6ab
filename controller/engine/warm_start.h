/* What a study takes over from earlier ones when it is submitted: their trials are
 * read once and translated (suggest/sources.h).  The copy is stored with the study,
 * so that nothing that happens to those studies later changes a suggestion.
 *
 * Blocks on the store; the thread that owns it. */
#ifndef ASSAY_CONTROLLER_ENGINE_WARM_START_H
#define ASSAY_CONTROLLER_ENGINE_WARM_START_H

#include "schemas/study.h"
#include "sql/store.h"

struct assay_warm_start {
    json_t *sources; /* as assay_proposer_new takes them; NULL = none */
    json_t *first;   /* points to try first, as assay_sources_first gives them; NULL = none */
};
void assay_warm_start_done(struct assay_warm_start *warm_start);

/* Whether who submits the study may read studies of the project. */
typedef bool (*assay_may_read_fn)(void *arg, const char *project);

/* Reads the studies that spec->warm_start names.  Faults below /warm_start for those
 * that are not there, may not be read, are named twice or are the study itself, and
 * for those that offer nothing; then `ret_warm_start` is empty.  Other errors are
 * those of the store. */
ASSAY_MUST_CHECK assay_status assay_warm_start_read(struct assay_store *store,
                                                    const struct assay_study_spec *spec,
                                                    assay_may_read_fn may_read, void *arg,
                                                    struct assay_faults *faults,
                                                    struct assay_warm_start *ret_warm_start,
                                                    struct assay_error *err);

#endif
