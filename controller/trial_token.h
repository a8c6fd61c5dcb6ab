/* Tokens good for one attempt of one trial: they can report on, complete and
 * read that trial, and nothing else.  Not stored: a token carries its subject
 * and an HMAC-SHA256 over it under a key of this database.  Any thread. */
#ifndef ASSAY_CONTROLLER_TRIAL_TOKEN_H
#define ASSAY_CONTROLLER_TRIAL_TOKEN_H

#include "common/base.h"

struct assay_trial_subject {
    int64_t study_id;
    int64_t trial_number;
    int64_t attempt;
};

/* "assay_trial_<study>.<trial>.<attempt>.<hmac hex>".  Caller frees. */
char *assay_trial_token_make(const char *key, const struct assay_trial_subject *subject);
/* True when `token` has the form of a trial token. */
bool assay_trial_token_is(const char *token);
/* Constant-time check; false for anything not made with this key. */
ASSAY_MUST_CHECK bool assay_trial_token_check(const char *key, const char *token,
                                              struct assay_trial_subject *ret_subject);

#endif
