/* An attempt's Secret: created when the attempt's object is there to own it, so that the
 * cluster removes the one with the other.  The kubelet waits for it. */
#include <string.h>

#include "common/clock.h"
#include "common/memory.h"
#include "controller/kubernetes/internal.h"

#define AGAIN_US (3 * ASSAY_SECOND_US)
#define AGAIN_US_MAX (60 * ASSAY_SECOND_US)

void
assay__kube_secret_drop(struct assay_kube_attempt *attempt)
{
    assay_kube_cancel(attempt->secret_call);
    attempt->secret_call = NULL;
    json_decref(attempt->secret);
    attempt->secret = NULL;
    attempt->secret_at_us = 0;
}

static void
again(struct assay_kube_attempt *attempt)
{
    attempt->secret_wait_us = attempt->secret_wait_us == 0
                                  ? AGAIN_US
                                  : ASSAY_MIN(2 * attempt->secret_wait_us, AGAIN_US_MAX);
    attempt->secret_at_us = assay_monotonic_us() + attempt->secret_wait_us;
}

static void
on_created(void *arg, const struct assay_kube_answer *answer)
{
    struct assay_kube_attempt *attempt = arg;
    bool quota = answer->code == 403 && strstr(answer->message, "exceeded quota") != NULL;
    assay_auto_free char *text = NULL;

    attempt->secret_call = NULL;
    if (answer->code == 200 || answer->code == 201) {
        assay__kube_secret_drop(attempt);
        return;
    }
    if (answer->code == 409) {
        /* It is there.  If it belonged to a former object of this name, it is about to be
         * removed with that one: then a later try succeeds. */
        again(attempt);
        return;
    }
    text = assay_kube_answer_text(answer);
    if (answer->code == 0 || answer->code == 429 || answer->code >= 500 || quota) {
        assay__kube_set_waits(attempt, text, false);
        again(attempt);
    } else if (!attempt->ending && !attempt->done) {
        assay__kube_end_soon(attempt, false, ASSAY_TRIAL_REASON_START_FAILED,
                             assay_format("the Secret with the trial's token: %s", text));
    }
}

static void
send_secret(struct assay_kube_attempt *attempt)
{
    assay_auto_free char *path =
        assay_format("/api/v1/namespaces/%s/secrets", attempt->namespace_);

    attempt->secret_at_us = 0;
    attempt->secret_call = assay_kube_send(attempt->executor->client,
                                           &(struct assay_kube_request){
                                               .method = "POST",
                                               .path = path,
                                               .body = json_incref(attempt->secret),
                                               .timeout_us = ASSAY__KUBE_REQUEST_US,
                                               .done = on_created,
                                               .arg = attempt,
                                           });
}

void
assay__kube_secret_wanted(struct assay_kube_attempt *attempt, const char *api_version,
                          const char *kind, const json_t *object)
{
    if (attempt->secret == NULL || attempt->secret_call != NULL || attempt->secret_at_us > 0)
        return;
    assay_kube_runner_set_owner(attempt->secret, api_version, kind, object);
    send_secret(attempt);
}

void
assay__kube_secret_look_at(struct assay_kube_attempt *attempt, int64_t now_us)
{
    if (attempt->secret_at_us > 0 && attempt->secret_at_us <= now_us &&
        attempt->secret_call == NULL)
        send_secret(attempt);
}
