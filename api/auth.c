#include "api/auth.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>

#include "api/header.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/memory.h"

#define REMEMBERED 256
#define REMEMBER_US (60 * ASSAY_SECOND_US)

struct remembered {
    char hash[ASSAY_SHA256_TEXT]; /* "" = free */
    int64_t until_us;             /* monotonic */
    struct assay_principal principal;
};

struct assay_auth {
    char admin_hash[ASSAY_SHA256_TEXT];
    pthread_mutex_t lock;
    uint64_t forgets; /* a look-up that was under way during one is not remembered */
    struct remembered slots[REMEMBERED];
};

static const char *const role_names[] = {"none", "viewer", "editor", "admin"};

const char *
assay_role_name(enum assay_role role)
{
    return role_names[role];
}

bool
assay_role_parse(const char *name, enum assay_role *ret_role)
{
    for (int i = ASSAY_ROLE_VIEWER; i < ASSAY_ROLE_MAX_; i++) {
        if (strcmp(name, role_names[i]) == 0) {
            *ret_role = (enum assay_role)i;
            return true;
        }
    }
    return false;
}

struct assay_auth *
assay_auth_new(const char *admin_token)
{
    struct assay_auth *auth = ASSAY_NEW(struct assay_auth);

    assay_sha256_hex(admin_token, strlen(admin_token), auth->admin_hash);
    pthread_mutex_init(&auth->lock, NULL);
    return auth;
}

struct assay_auth *
assay_auth_free(struct assay_auth *auth)
{
    if (auth == NULL)
        return NULL;
    pthread_mutex_destroy(&auth->lock);
    free(auth);
    return NULL;
}

/* The hash is uniform: any part of it chooses a slot evenly. */
static struct remembered *
slot_of(struct assay_auth *auth, const char *hash)
{
    unsigned index = 0;

    for (int i = 0; i < 4; i++)
        index = index * 31 + (unsigned char)hash[i];
    return &auth->slots[index % REMEMBERED];
}

/* Comparing hashes tells an attacker nothing about the token, but costs nothing
 * in constant time either. */
static bool
same_hash(const char *a, const char *b)
{
    return gnutls_memcmp(a, b, ASSAY_SHA256_TEXT) == 0;
}

bool
assay_auth_known(struct assay_auth *auth, const char *token, const char *trial_token_key,
                 struct assay_principal *ret_principal)
{
    char hash[ASSAY_SHA256_TEXT];
    struct remembered *slot;
    bool known;

    if (assay_trial_token_is(token)) {
        struct assay_principal principal = {.is_trial = true};

        if (trial_token_key == NULL ||
            !assay_trial_token_check(trial_token_key, token, &principal.trial))
            return false;
        *ret_principal = principal;
        return true;
    }
    assay_sha256_hex(token, strlen(token), hash);
    if (same_hash(hash, auth->admin_hash)) {
        *ret_principal = (struct assay_principal){.role = ASSAY_ROLE_ADMIN};
        return true;
    }
    slot = slot_of(auth, hash);
    pthread_mutex_lock(&auth->lock);
    known = same_hash(hash, slot->hash) && slot->until_us > assay_monotonic_us();
    if (known)
        *ret_principal = slot->principal;
    pthread_mutex_unlock(&auth->lock);
    return known;
}

assay_status
assay_auth_find(struct assay_auth *auth, const char *token, struct assay_store *store,
                struct assay_principal *ret_principal, struct assay_error *err)
{
    struct assay_principal principal = {0};
    assay_auto_free char *project = NULL;
    assay_auto_free char *role = NULL;
    char hash[ASSAY_SHA256_TEXT];
    uint64_t forgets;
    assay_status status;

    if (assay_trial_token_is(token))
        return assay_fail(err, ASSAY_E_UNAUTHORIZED, "the trial's token is not valid");
    assay_sha256_hex(token, strlen(token), hash);
    pthread_mutex_lock(&auth->lock);
    forgets = auth->forgets;
    pthread_mutex_unlock(&auth->lock);
    status = assay_store_token_find(store, hash, &project, &role, err);
    if (status != ASSAY_OK)
        return status;
    if (!assay_role_parse(role, &principal.role))
        return assay_fail(err, ASSAY_E_INTERNAL, "the token's role \"%s\" is not known", role);
    if (project != NULL)
        snprintf(principal.project, sizeof(principal.project), "%s", project);
    pthread_mutex_lock(&auth->lock);
    if (forgets == auth->forgets) {
        struct remembered *slot = slot_of(auth, hash);

        memcpy(slot->hash, hash, sizeof(hash));
        slot->until_us = assay_monotonic_us() + REMEMBER_US;
        slot->principal = principal;
    }
    pthread_mutex_unlock(&auth->lock);
    *ret_principal = principal;
    return ASSAY_OK;
}

void
assay_auth_forget(struct assay_auth *auth)
{
    pthread_mutex_lock(&auth->lock);
    auth->forgets++;
    memset(auth->slots, 0, sizeof(auth->slots));
    pthread_mutex_unlock(&auth->lock);
}

assay_status
assay_principal_check(const struct assay_principal *principal, enum assay_role role,
                      const char *project, struct assay_error *err)
{
    if (role == ASSAY_ROLE_NONE)
        return ASSAY_OK;
    if (principal->is_trial)
        return assay_fail(err, ASSAY_E_FORBIDDEN,
                          "a trial's token can only report on, complete and read its trial");
    if (principal->project[0] != '\0' && project != NULL &&
        strcmp(principal->project, project) != 0)
        return assay_fail(err, ASSAY_E_FORBIDDEN, "the token belongs to project %s, not to %s",
                          principal->project, project);
    if (principal->project[0] != '\0' && project == NULL && role == ASSAY_ROLE_ADMIN)
        return assay_fail(err, ASSAY_E_FORBIDDEN,
                          "this takes an administrator of all projects, the token is one of %s",
                          principal->project);
    if (principal->role < role)
        return assay_fail(err, ASSAY_E_FORBIDDEN, "this takes the role %s, the token has %s",
                          assay_role_name(role), assay_role_name(principal->role));
    return ASSAY_OK;
}

char *
assay_auth_new_token(void)
{
    struct assay_buffer token = {0};
    unsigned char secret[24];

    if (gnutls_rnd(GNUTLS_RND_KEY, secret, sizeof(secret)) != 0)
        ASSAY_BUG("the system gives no random bytes");
    assay_buffer_puts(&token, "assay_");
    for (size_t i = 0; i < sizeof(secret); i++)
        assay_buffer_printf(&token, "%02x", secret[i]);
    return assay_buffer_steal(&token);
}
