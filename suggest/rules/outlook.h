/* What parameters foretell of a trial before it has measured anything: a normal
 * distribution of its final normal score, learned from the ended trials of the study.
 *
 * A Gaussian process over the space (rows, kernel, prior and likelihood of
 * suggest/algorithms/bayesian) is fitted to the scores.  What is said is made honest in
 * two ways.  Its noise is at least NOISE_MIN and at least the variance that ties hide: where
 * most trials end alike, their scores say little.  And all variances are raised
 * until the best tenth of the trials is no surprise: what each of them would have been
 * told beforehand (leave-one-out) is compared with what it reached, for it is the like of
 * them that must not be given up.
 *
 * At most ASSAY_OUTLOOK_TRIALS trials are learned from, with more those of the lowest marks
 * (drawn by their numbers); hyperparameters are fitted to FIT_MAX of them, and only
 * while their number grows.  It is learned again when their set has grown by a thirtieth, so
 * what is foretold depends, if little, on when it was asked for.
 *
 * Memory: 1.5 MiB once there are ASSAY_OUTLOOK_TRIALS_MIN trials.  Learning: O(n^3), 2 ms for
 * 192 trials, and at most some tens of ms for the few fits.  One thread at a time. */
#ifndef ASSAY_SUGGEST_RULES_OUTLOOK_H
#define ASSAY_SUGGEST_RULES_OUTLOOK_H

#include "suggest/plugin.h"

#include "common/base.h"

#define ASSAY_OUTLOOK_TRIALS 192
#define ASSAY_OUTLOOK_TRIALS_MIN 16

/* Of a trial's final normal score; mean 0, variance 1: nothing is known. */
struct assay_outlook {
    double mean, variance;
};

/* An ended trial, as far as the rule needs it to give it a score. */
struct assay_outlook_trial {
    int64_t number, last_step;
    double best; /* of its values; smaller is better */
    bool completed;
};

struct assay_outlooks;

/* `space` is borrowed until freed.  NULL when nothing can be learned there: it is NULL, has
 * no parameter of more than one value, or too many. */
struct assay_outlooks *assay_outlooks_new(const struct assay_plugin_space *space);
struct assay_outlooks *assay_outlooks_free(struct assay_outlooks *outlooks); /* returns NULL */

/* A point as a row of numbers, and how many bytes that is. */
size_t assay_outlook_row_size(const struct assay_outlooks *outlooks);
void assay_outlook_row(const struct assay_outlooks *outlooks, const double *point, double *ret_row);

/* An ended trial, once; its row is copied. */
void assay_outlooks_add(struct assay_outlooks *outlooks, const struct assay_outlook_trial *trial,
                        const double *row);

/* Learns anew if there is reason to.  `score` tells the normal score of a trial, greater is
 * better, and the variance of it that ties hide.  Whether anything is foretold now. */
typedef void assay_outlook_score(void *context, const struct assay_outlook_trial *trial,
                                 double *ret_mean, double *ret_variance);
bool assay_outlooks_learn(struct assay_outlooks *outlooks, assay_outlook_score *score,
                          void *context);

/* Counts what was learned: an outlook holds as long as it is the same. */
uint64_t assay_outlooks_version(const struct assay_outlooks *outlooks);

/* The hyperparameters (likelihood.h), for tests; NULL before anything was learned. */
const double *assay_outlooks_theta(const struct assay_outlooks *outlooks);

/* Of a trial that is not among those learned from.  O(n^2). */
struct assay_outlook assay_outlook_at(struct assay_outlooks *outlooks, const double *row);
/* Of an ended trial, as the others foretell it. */
struct assay_outlook assay_outlook_without(struct assay_outlooks *outlooks, int64_t number,
                                           const double *row);

#endif
