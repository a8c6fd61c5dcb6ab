/* Which HTTP services the algorithm `remote` may call, and its entry in the registry
 * (docs/adr/0010-remote-algorithms.md).
 *
 * No HTTP here: the daemon checks studies with it, the worker speaks HTTP
 * (suggest/remote/).  Set the policy before threads start. */
#ifndef ASSAY_SUGGEST_REMOTE_POLICY_H
#define ASSAY_SUGGEST_REMOTE_POLICY_H

#include "common/error.h"
#include "suggest/plugin.h"

#define ASSAY_REMOTE_NAME "remote"
#define ASSAY_REMOTE_URL_BYTES_MAX 2048
/* A study names a variable of the daemon's environment that holds a token; only such. */
#define ASSAY_REMOTE_TOKEN_PREFIX "ASSAY_REMOTE_TOKEN"

enum assay_remote_policy {
    ASSAY_REMOTE_NONE,     /* there is no such algorithm */
    ASSAY_REMOTE_LOOPBACK, /* services on this machine */
    ASSAY_REMOTE_ANY,      /* all but link-local addresses (those of a cloud's metadata) */
};

/* Adds the algorithm to the registry unless the policy is NONE.  Once. */
void assay_remote_set_policy(enum assay_remote_policy policy);
enum assay_remote_policy assay_remote_policy(void);
/* "none", "loopback", "any". */
ASSAY_MUST_CHECK bool assay_remote_policy_parse(const char *text,
                                                enum assay_remote_policy *ret_policy);

/* Whether the text is an address that the policy allows, as far as its letters tell
 * (the worker looks at the address behind a name as well): ASSAY_E_INVALID_STUDY. */
ASSAY_MUST_CHECK assay_status assay_remote_check_url(const char *url, struct assay_error *err);
/* Whether the text may name the variable with the token: ASSAY_E_INVALID_STUDY. */
ASSAY_MUST_CHECK assay_status assay_remote_check_variable(const char *name,
                                                          struct assay_error *err);

#endif
