/* Who a bearer token stands for, and what they may do.
 *
 * Three kinds of token: the one of the data directory (administrator of all),
 * tokens of projects (their SHA-256 is in the store) and tokens of trials, which
 * carry their own proof (controller/trial_token.h).  Tokens found in the store
 * are remembered for a minute; deleting one here forgets it at once.
 * Any thread. */
#ifndef ASSAY_API_AUTH_H
#define ASSAY_API_AUTH_H

#include "controller/trial_token.h"
#include "sql/store.h"

enum assay_role {
    ASSAY_ROLE_NONE, /* no token needed */
    ASSAY_ROLE_VIEWER,
    ASSAY_ROLE_EDITOR,
    ASSAY_ROLE_ADMIN,
    ASSAY_ROLE_MAX_,
};
const char *assay_role_name(enum assay_role role);
ASSAY_MUST_CHECK bool assay_role_parse(const char *name, enum assay_role *ret_role);

struct assay_principal {
    enum assay_role role;   /* NONE for a trial */
    bool is_trial;
    struct assay_trial_subject trial;
    char project[64]; /* "" = every project */
};

struct assay_auth;

/* `admin_token`: that of the data directory; copied. */
struct assay_auth *assay_auth_new(const char *admin_token);
struct assay_auth *assay_auth_free(struct assay_auth *auth);

/* Recognises the token without the store; false when it must be asked. */
ASSAY_MUST_CHECK bool assay_auth_known(struct assay_auth *auth, const char *token,
                                       const char *trial_token_key,
                                       struct assay_principal *ret_principal);
/* Asks the store.  ASSAY_E_UNAUTHORIZED when it does not know the token. */
ASSAY_MUST_CHECK assay_status assay_auth_find(struct assay_auth *auth, const char *token,
                                              struct assay_store *store,
                                              struct assay_principal *ret_principal,
                                              struct assay_error *err);
/* Forgets what was remembered: a token was deleted. */
void assay_auth_forget(struct assay_auth *auth);

/* ASSAY_E_FORBIDDEN unless the principal has at least `role` in `project` (NULL:
 * the route belongs to none). */
ASSAY_MUST_CHECK assay_status assay_principal_check(const struct assay_principal *principal,
                                                    enum assay_role role, const char *project,
                                                    struct assay_error *err);

/* A fresh secret "assay_" and 48 hex digits.  Caller frees. */
char *assay_auth_new_token(void);

#endif
