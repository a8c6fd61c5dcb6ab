/* Warm start: what earlier studies found, put into the space of a new one, and the
 * points of it that are worth trying first.
 *
 * Pure: trials go in, JSON comes out, and the same trials in the same order give
 * the same JSON.  One thread at a time.
 *
 * A trial carries over when it has ended by succeeding or being stopped, has a
 * finite value of every objective of the new study (metrics are matched by name;
 * the new study's own goal says which way is better), and each of its values that
 * the new space has a place for is allowed there.  Parameters match by name.  One
 * that the trial lacks takes its default, or else the middle of its range; one that
 * is not active in the new space is dropped.
 *
 * Of many trials the best and a spread over the rest are kept; of many sources the
 * ASSAY_SOURCES_MAX that share the most parameters, then those that carry over the
 * most trials, then the first given. */
#ifndef ASSAY_SUGGEST_SOURCES_H
#define ASSAY_SUGGEST_SOURCES_H

#include "schemas/study.h"
#include "schemas/trial.h"

#define ASSAY_SOURCES_MAX 5
/* Of one source; in spaces of more than 100 parameters 30,000 / parameters. */
#define ASSAY_SOURCE_TRIALS_MAX 300
#define ASSAY_SOURCES_FIRST_MAX 5

struct assay_sources;

/* `spec` is borrowed for the life of the object. */
struct assay_sources *assay_sources_new(const struct assay_study_spec *spec);
struct assay_sources *assay_sources_free(struct assay_sources *sources); /* NULL allowed */

/* Opens the next source; `name` (copied) is how it is called in `why`.  `try_best`:
 * points of it may be tried first. */
void assay_sources_begin(struct assay_sources *sources, const char *name, bool try_best);
/* A trial of the source opened last, in order of number; passed over when it does
 * not carry over.  Memory is bounded: past 8,192 that do, they are thinned out. */
void assay_sources_add(struct assay_sources *sources, const struct assay_trial *trial);
/* ASSAY_E_INVALID_VALUE when nothing of the source opened last carries over; the
 * sentence says why. */
ASSAY_MUST_CHECK assay_status assay_sources_end(struct assay_sources *sources,
                                                struct assay_error *err);

/* What assay_proposer_new takes as `sources`.  New reference. */
json_t *assay_sources_encode(const struct assay_sources *sources);

/* Up to ASSAY_SOURCES_FIRST_MAX points to try first, and at most a quarter of
 * limits.trials (rounded up):
 *   [{"parameters": {…}, "why": {"proposed_by": "warm_start", "source": "digits-v1",
 *     "trial": 17, "value": 0.031}}]
 * Chosen greedily: each is the one that lowers the mean over the sources (and the
 * objectives) of the best normalised value most; 0 is a source's best, 1 its median
 * or worse, and a source that has not tried the point is asked for its three
 * nearest.  Where nothing lowers it any more: the best that is not near one chosen.
 * Points of `start_with` are left out.  New reference. */
json_t *assay_sources_first(const struct assay_sources *sources);

#endif
