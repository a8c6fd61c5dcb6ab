#include "suggest/plugin_check.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"
#include "suggest/conformance.h"
#include "suggest/registry.h"
#include "suggest/worker.h"

/* One of them is NULL. */
struct subject {
    const struct assay_plugin_algorithm *algorithm;
    const struct assay_plugin_rule *rule;
};

/* In the child: the check, and its result through the pipe. */
static void ASSAY_NORETURN
run_check(const struct subject *subject, size_t check, int out)
{
    struct assay_conformance_result result;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (subject->algorithm != NULL)
        assay_conformance_run(subject->algorithm, check, &assay_conformance_standard, &result);
    else
        assay_conformance_rule_run(subject->rule, check, &result);
    if (write(out, &result, sizeof result) != (ssize_t)sizeof result)
        _exit(1);
    _exit(0);
}

/* How the child ended without a result. */
static void
describe_end(int status, struct assay_conformance_result *ret_result)
{
    char *sentence = ret_result->sentence;

    ret_result->outcome = ASSAY_CONFORMANCE_FAILED;
    if (WIFSIGNALED(status))
        snprintf(sentence, sizeof ret_result->sentence,
                 "it crashed: its process was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == ASSAY_WORKER_EXIT_MEMORY)
        snprintf(sentence, sizeof ret_result->sentence, "it needed more memory than allowed");
    else
        snprintf(sentence, sizeof ret_result->sentence,
                 "it ended its process with exit code %d", WEXITSTATUS(status));
}

/* The result of the child, which is killed once its time is over. */
static void
await_result(pid_t child, int in, int64_t timeout_us, struct assay_conformance_result *ret_result)
{
    int64_t end_us = assay_monotonic_us() + timeout_us;
    struct pollfd entry = {.fd = in, .events = POLLIN};
    size_t have = 0;
    bool late = false;
    int status;

    *ret_result = (struct assay_conformance_result){.ask_us = NAN};
    while (have < sizeof *ret_result && !late) {
        int64_t left_ms = (end_us - assay_monotonic_us()) / 1000;
        int ready = poll(&entry, 1, (int)ASSAY_MAX(left_ms, INT64_C(0)));
        ssize_t n = ready > 0 ? read(in, (char *)ret_result + have, sizeof *ret_result - have) : 1;

        if (ready == 0)
            late = true;
        else if (ready > 0 && n > 0)
            have += (size_t)n;
        else if (n <= 0 && errno != EINTR)
            break;
    }
    if (late)
        kill(child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (have == sizeof *ret_result)
        return;
    *ret_result = (struct assay_conformance_result){.ask_us = NAN};
    describe_end(status, ret_result);
    if (late)
        snprintf(ret_result->sentence, sizeof ret_result->sentence,
                 "no answer within %.3g s: does it loop?", (double)timeout_us / ASSAY_SECOND_US);
}

static json_t *
encode(const struct subject *subject, size_t check, const struct assay_conformance_result *result,
       int64_t took_us)
{
    static const char *const outcomes[] = {"passed", "failed", "refused"};
    bool is_rule = subject->rule != NULL;
    bool measured = isfinite(result->ask_us);
    bool asked = isfinite(result->ask_max_us) && result->ask_max_us > 0.0;

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:o, s:o}", "kind",
                     is_rule ? "stopping_rule" : "algorithm", "name",
                     is_rule ? subject->rule->name : subject->algorithm->name, "check",
                     is_rule ? assay_conformance_rule_name(check) : assay_conformance_name(check),
                     "outcome", outcomes[result->outcome], "message", result->sentence, "trials",
                     (json_int_t)result->trials, "seconds", (double)took_us / ASSAY_SECOND_US,
                     "ask_us", measured ? json_real(result->ask_us) : json_null(), "ask_max_us",
                     asked ? json_real(result->ask_max_us) : json_null());
}

static bool
check_one(const struct subject *subject, size_t check, int out, int64_t timeout_us)
{
    struct assay_conformance_result result = {.outcome = ASSAY_CONFORMANCE_FAILED, .ask_us = NAN};
    int64_t start_us = assay_monotonic_us();
    assay_auto_buffer struct assay_buffer line = {0};
    json_auto_t *json = NULL;
    int ends[2];
    pid_t child = -1;

    if (pipe2(ends, O_CLOEXEC) == 0) {
        child = fork();
        if (child == 0)
            run_check(subject, check, ends[1]);
        close(ends[1]);
        if (child > 0)
            await_result(child, ends[0], timeout_us, &result);
        close(ends[0]);
    }
    if (child < 0)
        snprintf(result.sentence, sizeof result.sentence, "no process for it: %s",
                 strerror(errno));
    json = encode(subject, check, &result, assay_monotonic_us() - start_us);
    assay_json_print(json, 0, &line);
    assay_buffer_puts(&line, "\n");
    if (write(out, line.data, line.length) != (ssize_t)line.length)
        return false; /* nobody listens any more */
    return result.outcome != ASSAY_CONFORMANCE_FAILED;
}

bool
assay_plugin_check(int out, int64_t check_timeout_us)
{
    bool fine = true;

    for (size_t i = 0; assay_registry_algorithm_at(i) != NULL; i++) {
        const struct subject subject = {.algorithm = assay_registry_algorithm_at(i)};

        if (assay_registry_plugin_of(subject.algorithm->name) == NULL)
            continue;
        for (size_t c = 0; c < assay_conformance_count(); c++)
            fine = check_one(&subject, c, out, check_timeout_us) && fine;
    }
    for (size_t i = 0; assay_registry_rule_at(i) != NULL; i++) {
        const struct subject subject = {.rule = assay_registry_rule_at(i)};

        if (assay_registry_plugin_of_rule(subject.rule->name) == NULL)
            continue;
        for (size_t c = 0; c < assay_conformance_rule_count(); c++)
            fine = check_one(&subject, c, out, check_timeout_us) && fine;
    }
    return fine;
}
