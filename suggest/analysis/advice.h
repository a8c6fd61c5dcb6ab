/* Whether going on with a study is worth it, from its history alone.  Advice: nothing
 * stops by it.
 *
 * Where the algorithm said beforehand what it expects (`why`: predicted mean and
 * standard deviation), the next trial is taken to be like the latest ones: their
 * expected improvement on the best now (J. Mockus 1978; D. Jones et al. 1998), after
 * mean and spread were set right by how earlier ones came out.  Else, and for all that
 * comes after the next trial, from the record values: how often there was a new best of
 * late against what equal draws would give (A. Renyi, 1962: 1 / t at trial t), and how
 * far the best values lie apart (the peaks over a threshold of J. Pickands, 1975, with
 * the estimator of J. Zhang and M. Stephens, Technometrics 51, 2009).  README.md has the
 * formulas and what they are worth.
 *
 * O(n log n).  Pure; any thread. */
#ifndef ASSAY_SUGGEST_ANALYSIS_ADVICE_H
#define ASSAY_SUGGEST_ANALYSIS_ADVICE_H

#include "common/base.h"

enum assay_advice_word {
    ASSAY_ADVICE_TOO_EARLY,
    ASSAY_ADVICE_GO_ON,
    ASSAY_ADVICE_CONSIDER_STOPPING,
};
/* As in JSON: "too_early", ... */
const char *assay_advice_name(enum assay_advice_word word);

/* An ended trial, smaller is better. */
struct assay_advice_trial {
    double value;    /* NaN = none; not feasible counts as none */
    double mean, sd; /* what was predicted of the value; NaN = nothing was */
};

#define ASSAY_ADVICE_AHEAD 3

struct assay_advice_ahead {
    int trials;
    double best;        /* expected by then */
    double probability; /* of any improvement by then */
};

struct assay_advice {
    enum assay_advice_word word;
    size_t n_values;    /* trials with a value */
    size_t stagnation;  /* trials with a value since the best one */
    double best;        /* NaN = none; then the rest is NaN too */
    double improvement; /* of the next trial, expected; >= 0; NaN too early */
    double probability; /* of the next trial being better than the best; NaN too early */
    double spread;      /* of the values: median less best */
    bool by_model;      /* improvement and probability come from predictions */
    struct assay_advice_ahead ahead[ASSAY_ADVICE_AHEAD]; /* valid unless too early */
};

/* `trials` in the order of their numbers. */
void assay_advice_give(const struct assay_advice_trial *trials, size_t n,
                       struct assay_advice *ret_advice);

/* With several objectives: `entered` says of each trial with values, in order, whether it
 * was on the front when it came.  Only stagnation, the probabilities and the word. */
void assay_advice_of_fronts(const bool *entered, size_t n, struct assay_advice *ret_advice);

/* --- for tests */

/* Generalised Pareto distribution of the excesses (n >= 1, >= 0, increasing): shape and
 * scale; shape <= 0 as nothing that is tuned gets better without end. */
void assay_advice_fit_tail(const double *excesses, size_t n, double *ret_shape, double *ret_scale);

#endif
