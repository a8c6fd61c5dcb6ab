/* Which algorithm proposes which trial of a study: its arm.
 *
 * A function of the space, the seed, the number, the ended trials with lower numbers, and
 * whether many run at once: however they were told, in whatever order, the answer is the
 * same.  Shares
 * change between blocks of ten numbers, by how often an arm's last trials were better
 * than all with lower numbers: smaller in value, or with several objectives dominated by
 * none; where bounds on other metrics hold, or, as long as they never did, nearer to
 * that.  Whose trial an ended one is follows from its number by
 * the same rule; for what users put in, or when earlier trials end after it was
 * proposed, that may be another arm than the one that proposed it.
 *
 * O(log n) per call while trials end more or less in order, with several objectives O(n).
 * One thread at a time. */
#ifndef ASSAY_SUGGEST_ALGORITHMS_AUTO_POLICY_H
#define ASSAY_SUGGEST_ALGORITHMS_AUTO_POLICY_H

#include "suggest/history.h"
#include "suggest/transform.h"

enum assay_auto_arm {
    ASSAY_AUTO_BAYESIAN,
    ASSAY_AUTO_TPE,
    ASSAY_AUTO_CMAES,
    ASSAY_AUTO_NSGA2,
    ASSAY_AUTO_ARMS,
};

/* No arm of a regime falls below this share. */
#define ASSAY_AUTO_FLOOR 0.05

struct assay_auto_regime {
    const char *name;
    enum assay_auto_arm first;      /* fills the space at the start */
    double shares[ASSAY_AUTO_ARMS]; /* before trials say otherwise; sum 1; 0: not an arm */
};

struct assay_auto_choice {
    enum assay_auto_arm arm;
    const struct assay_auto_regime *regime;
    double share;  /* of the arm for the time being */
    bool starting; /* too little is known for any arm */
};

struct assay_auto_policy {
    double offset;   /* by the seed: where in the shares number 0 would fall */
    int64_t startup; /* numbers up to this fill the space */
    size_t n_objectives;
    const struct assay_auto_regime *alone, *crowded; /* `few` is one of these */
    const struct assay_auto_regime *few, *many;
    int64_t few_most; /* the last number of `few` */
    struct assay_auto_ended *ended; /* by number */
    size_t n_ended, capacity;
    size_t n_folded; /* ended trials from the first on whose `after` holds */
};

void assay_auto_policy_init(struct assay_auto_policy *policy,
                            const struct assay_transform *transform, size_t n_objectives,
                            uint64_t seed);
void assay_auto_policy_done(struct assay_auto_policy *policy);

/* Takes in a trial as it is now, in place of what was told of its number. */
void assay_auto_policy_tell(struct assay_auto_policy *policy,
                            const struct assay_history_trial *trial);

/* How many trials run or are asked for beside the one that is chosen for next. */
void assay_auto_policy_crowd(struct assay_auto_policy *policy, size_t beside);

struct assay_auto_choice assay_auto_policy_choose(struct assay_auto_policy *policy, int64_t number);

/* --- for tests --- */

/* How many of the arms' last trials improved, of those that have been looked at. */
size_t assay_auto_policy_improved(const struct assay_auto_policy *policy);

#endif
