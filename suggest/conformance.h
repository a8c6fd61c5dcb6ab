/* What every algorithm and stopping rule must keep, as checks that can be run on any
 * of the registry: the built-in ones in the tests, a user's plugin by `assay plugin
 * check`.
 *
 * A check plays studies of one kind (a space, outcomes, an order of events) and looks
 * at points, repetitions, determinism, the end of a finite space.  It does not
 * survive an algorithm that crashes: whoever checks a plugin runs each check in a
 * process of its own (suggest/plugin_check.h).  One thread. */
#ifndef ASSAY_SUGGEST_CONFORMANCE_H
#define ASSAY_SUGGEST_CONFORMANCE_H

#include "suggest/plugin.h"

#include "common/base.h"

enum assay_conformance_outcome {
    ASSAY_CONFORMANCE_PASSED,
    ASSAY_CONFORMANCE_FAILED,
    ASSAY_CONFORMANCE_REFUSED, /* the algorithm says that it can not serve such studies */
};

struct assay_conformance_limits {
    size_t trials;      /* of an ordinary study */
    size_t long_trials; /* of the long one */
    int64_t time_us;    /* a study goes on with fewer trials once it took so long; 0 = never */
    int64_t ask_us;     /* an ask that takes longer is a failure; 0 = none is */
    bool own_lattice;   /* ends a study of a continuous space when its own points are used up */
};
/* What a check of a plugin is run with. */
extern const struct assay_conformance_limits assay_conformance_standard;

#define ASSAY_CONFORMANCE_SENTENCE_BYTES 512

struct assay_conformance_result {
    enum assay_conformance_outcome outcome;
    char sentence[ASSAY_CONFORMANCE_SENTENCE_BYTES]; /* what was seen; "" = nothing to say */
    size_t trials;     /* played */
    double ask_us;     /* median; NaN = not measured.  Of a rule: mean time of a report */
    double ask_max_us;
};

/* The checks of algorithms, by index from 0.  The name says what is played ("deep
 * conditions"). */
size_t assay_conformance_count(void);
const char *assay_conformance_name(size_t check);
void assay_conformance_run(const struct assay_plugin_algorithm *algorithm, size_t check,
                           const struct assay_conformance_limits *limits,
                           struct assay_conformance_result *ret_result);

/* Those of stopping rules. */
size_t assay_conformance_rule_count(void);
const char *assay_conformance_rule_name(size_t check);
void assay_conformance_rule_run(const struct assay_plugin_rule *rule, size_t check,
                                struct assay_conformance_result *ret_result);

#endif
