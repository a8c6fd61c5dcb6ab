#include "suggest/algorithms/auto/policy.h"

#include <math.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/random.h"
#include "suggest/algorithms/algorithms.h"

/* Shares stay as they are for so many numbers, so that what is asked for while others
 * run seldom depends on which of those have ended. */
#define BLOCK 10
/* An arm's own trials that are looked back on; at most the bits of `improved`. */
#define WINDOW 32
/* As many trials of an arm count as improving as often as those of all do. */
#define PRIOR_TRIALS 10.0
/* What bayesian and tpe need before they learn. */
#define STARTUP_MIN 8
#define STARTUP_MAX 20
/* Past this an ask has to stay below a millisecond, and there is enough for the others
 * to learn from. */
#define BAYESIAN_TRIALS 1000
/* With several objectives each costs a model; past this nsga2 and tpe have caught up. */
#define BAYESIAN_TRIALS_FRONT 250
#define BAYESIAN_OBJECTIVES 4
/* As many trials side by side are as varied as other arms would make them. */
#define CROWD 8

struct record {
    uint32_t improved; /* one bit per trial, the last the lowest */
    uint32_t trials;   /* at most WINDOW */
};

struct standing {
    double best;      /* value within the bounds */
    double violation; /* the least, as long as none is within the bounds */
    struct record arms[ASSAY_AUTO_ARMS];
};

struct assay_auto_ended {
    int64_t number;
    bool usable;           /* has values that count */
    double violation;      /* of the bounds; NaN: not known, or the trial failed */
    double *values;        /* owned */
    struct standing after; /* this trial and all with lower numbers */
};

/* Shares in the order of enum assay_auto_arm; README.md has what others came to. */
static const struct assay_auto_regime numeric = {
    .name = "numeric", .first = ASSAY_AUTO_BAYESIAN, .shares = {0.78, 0.09, 0.13}};
static const struct assay_auto_regime branching = {
    .name = "branching", .first = ASSAY_AUTO_BAYESIAN, .shares = {0.72, 0.14, 0.14}};
static const struct assay_auto_regime numeric_crowded = {
    .name = "numeric, many at once", .first = ASSAY_AUTO_BAYESIAN, .shares = {0.9, 0.05, 0.05}};
static const struct assay_auto_regime many_numeric = {
    .name = "many trials", .first = ASSAY_AUTO_TPE, .shares = {0.0, 0.4, 0.6}};
static const struct assay_auto_regime many_branching = {
    .name = "many trials", .first = ASSAY_AUTO_TPE, .shares = {0.0, 0.8, 0.2}};
static const struct assay_auto_regime front = {
    .name = "several objectives", .first = ASSAY_AUTO_BAYESIAN, .shares = {0.94, 0.06, 0.0, 0.0}};
static const struct assay_auto_regime branching_front = {
    .name = "several objectives", .first = ASSAY_AUTO_BAYESIAN, .shares = {0.88, 0.12, 0.0, 0.0}};
static const struct assay_auto_regime many_front = {.name = "several objectives, many trials",
                                                    .first = ASSAY_AUTO_TPE,
                                                    .shares = {0.0, 0.4, 0.0, 0.6}};
static const struct assay_auto_regime many_branching_front = {
    .name = "several objectives, many trials",
    .first = ASSAY_AUTO_TPE,
    .shares = {0.0, 0.6, 0.0, 0.4}};

/* Conditions, or more choices without an order than numbers. */
static bool
is_branching(const struct assay_plugin_space *space)
{
    size_t choices = 0, numbers = 0;

    for (size_t i = 0; i < space->n_parameters; i++) {
        const struct assay_plugin_parameter *parameter = space->parameters[i];

        if (parameter->n_conditions > 0)
            return true;
        if (parameter->cardinality <= 1.0)
            continue;
        if (parameter->type == ASSAY_PLUGIN_CATEGORICAL || parameter->type == ASSAY_PLUGIN_BOOL)
            choices++;
        else
            numbers++;
    }
    return choices > numbers;
}

void
assay_auto_policy_init(struct assay_auto_policy *policy, const struct assay_transform *transform,
                       size_t n_objectives, uint64_t seed)
{
    bool branches = is_branching(transform->space);
    int64_t startup = (int64_t)transform->n_dimensions + 1;
    struct assay_random random;

    assay_random_init(&random, seed, 0, ASSAY_PURPOSE_AUTO);
    *policy = (struct assay_auto_policy){
        .offset = assay_random_unit(&random),
        .startup = ASSAY_MIN(ASSAY_MAX(startup, (int64_t)STARTUP_MIN), (int64_t)STARTUP_MAX),
        .n_objectives = n_objectives,
        .alone = branches ? &branching : &numeric,
        .crowded = branches ? &branching : &numeric_crowded,
        .many = branches ? &many_branching : &many_numeric,
        .few_most = BAYESIAN_TRIALS,
    };
    if (n_objectives > 1) {
        policy->alone = policy->crowded = branches ? &branching_front : &front;
        policy->many = branches ? &many_branching_front : &many_front;
        policy->few_most = BAYESIAN_TRIALS_FRONT;
    }
    if (n_objectives > BAYESIAN_OBJECTIVES)
        policy->alone = policy->crowded = policy->many;
    policy->few = policy->alone;
}

void
assay_auto_policy_done(struct assay_auto_policy *policy)
{
    for (size_t i = 0; i < policy->n_ended; i++)
        free(policy->ended[i].values);
    free(policy->ended);
}

/* --- taking trials in --- */

/* The place of the first ended trial whose number is not below. */
static size_t
place_of(const struct assay_auto_policy *policy, int64_t number)
{
    size_t low = 0, high = policy->n_ended;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (policy->ended[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void
assay_auto_policy_tell(struct assay_auto_policy *policy, const struct assay_history_trial *trial)
{
    size_t at = place_of(policy, trial->number);
    bool known = at < policy->n_ended && policy->ended[at].number == trial->number;
    bool ended = trial->state != ASSAY_PLUGIN_PENDING && trial->state != ASSAY_PLUGIN_CANCELLED;

    if (!known && !ended)
        return;
    policy->n_folded = ASSAY_MIN(policy->n_folded, at);
    if (known)
        free(policy->ended[at].values);
    if (!ended) {
        memmove(&policy->ended[at], &policy->ended[at + 1],
                (--policy->n_ended - at) * sizeof *policy->ended);
        return;
    }
    if (!known) {
        ASSAY_GROW(policy->ended, policy->n_ended, policy->capacity);
        memmove(&policy->ended[at + 1], &policy->ended[at],
                (policy->n_ended++ - at) * sizeof *policy->ended);
    }
    policy->ended[at] = (struct assay_auto_ended){
        .number = trial->number,
        .usable = trial->usable && trial->state == ASSAY_PLUGIN_SUCCEEDED,
        .violation = trial->measured ? trial->violation : NAN,
        .values = assay_memdup(trial->values, policy->n_objectives * sizeof *trial->values),
    };
}

/* --- choosing --- */

/* What an arm has above the floor counts by how often its trials improve, against how
 * often all do. */
static void
take_shares(const struct assay_auto_regime *regime, const struct standing *standing,
            double *ret_shares)
{
    double improved[ASSAY_AUTO_ARMS], all_improved = 1.0, all_trials = PRIOR_TRIALS;
    double total = 0.0, above = 1.0;

    for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
        improved[a] = (double)__builtin_popcount(standing->arms[a].improved);
        if (regime->shares[a] > 0.0) {
            above -= ASSAY_AUTO_FLOOR;
            all_improved += improved[a];
            all_trials += (double)standing->arms[a].trials;
        }
    }
    for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
        double rate = (improved[a] * all_trials / all_improved + PRIOR_TRIALS) /
                      ((double)standing->arms[a].trials + PRIOR_TRIALS);

        ret_shares[a] = fmax(regime->shares[a] - ASSAY_AUTO_FLOOR, 0.0) * rate;
        total += ret_shares[a];
    }
    for (size_t a = 0; a < ASSAY_AUTO_ARMS; a++) {
        if (regime->shares[a] > 0.0)
            ret_shares[a] = ASSAY_AUTO_FLOOR + above * ret_shares[a] / total;
    }
}

/* Where in [0, 1) a number falls: evenly spread, so that ten numbers in a row are
 * divided as the shares say. */
static double
position_of(const struct assay_auto_policy *policy, int64_t number)
{
    const double golden = 0.61803398874989485;
    double whole;

    return modf(policy->offset + golden * (double)number, &whole);
}

void
assay_auto_policy_crowd(struct assay_auto_policy *policy, size_t beside)
{
    const struct assay_auto_regime *few = beside >= CROWD ? policy->crowded : policy->alone;

    if (few != policy->few)
        policy->n_folded = 0; /* whose trial was whose, too */
    policy->few = few;
}

static const struct standing nothing = {.best = INFINITY, .violation = INFINITY};

/* The choice by the trials before the number's block, which have been folded. */
static struct assay_auto_choice
choose(const struct assay_auto_policy *policy, int64_t number)
{
    size_t before = place_of(policy, number - (number - 1) % BLOCK);
    const struct assay_auto_regime *regime =
        number <= policy->few_most ? policy->few : policy->many;
    struct assay_auto_choice choice = {.regime = regime, .starting = number <= policy->startup};
    double shares[ASSAY_AUTO_ARMS], below = 0.0, position = position_of(policy, number);

    take_shares(regime, before > 0 ? &policy->ended[before - 1].after : &nothing, shares);
    choice.arm = regime->first;
    for (size_t a = 0; a < ASSAY_AUTO_ARMS && !choice.starting; a++) {
        if (position >= below && position < below + shares[a])
            choice.arm = (enum assay_auto_arm)a;
        below += shares[a];
    }
    choice.share = shares[choice.arm];
    return choice;
}

/* Whether no trial before the i-th ended one is as good or better in every objective. */
static bool
extends_front(const struct assay_auto_policy *policy, size_t i)
{
    const double *values = policy->ended[i].values;

    /* The last ones are the likeliest to be in front of it. */
    for (size_t k = i; k-- > 0;) {
        bool beaten = policy->ended[k].usable;

        for (size_t m = 0; m < policy->n_objectives && beaten; m++)
            beaten = policy->ended[k].values[m] <= values[m];
        if (beaten)
            return false;
    }
    return true;
}

/* Whether the i-th ended trial is better than all before, and what is best with it. */
static bool
improve(const struct assay_auto_policy *policy, size_t i, struct standing *standing)
{
    const struct assay_auto_ended *trial = &policy->ended[i];
    bool improved;

    if (!trial->usable) {
        improved = trial->violation > 0.0 && trial->violation < standing->violation;
        if (improved)
            standing->violation = trial->violation;
        return improved;
    }
    improved = policy->n_objectives > 1 ? extends_front(policy, i)
                                        : trial->values[0] < standing->best;
    if (improved)
        standing->best = trial->values[0];
    standing->violation = 0.0;
    return improved;
}

/* Brings `after` up to date for the first n ended trials. */
static void
fold(struct assay_auto_policy *policy, size_t n)
{
    for (; policy->n_folded < n; policy->n_folded++) {
        struct assay_auto_ended *trial = &policy->ended[policy->n_folded];
        struct assay_auto_choice choice = choose(policy, trial->number);
        struct standing *after = &trial->after;
        bool improved;

        *after = policy->n_folded > 0 ? trial[-1].after : nothing;
        improved = improve(policy, policy->n_folded, after);
        if (!choice.starting) {
            struct record *record = &after->arms[choice.arm];

            record->improved = record->improved << 1 | improved;
            record->trials = ASSAY_MIN(record->trials + 1, (uint32_t)WINDOW);
        }
    }
}

struct assay_auto_choice
assay_auto_policy_choose(struct assay_auto_policy *policy, int64_t number)
{
    struct assay_auto_choice choice;

    fold(policy, place_of(policy, number));
    choice = choose(policy, number);
    if (policy->n_ended < STARTUP_MIN) {
        choice.starting = true;
        choice.arm = choice.regime->first;
    }
    return choice;
}

size_t
assay_auto_policy_improved(const struct assay_auto_policy *policy)
{
    size_t improved = 0;

    for (size_t a = 0; a < ASSAY_AUTO_ARMS && policy->n_folded > 0; a++)
        improved += (size_t)__builtin_popcount(
            policy->ended[policy->n_folded - 1].after.arms[a].improved);
    return improved;
}
