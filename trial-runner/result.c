#include "trial-runner/result.h"

#include <signal.h>
#include <sys/wait.h>

#include "common/file.h"
#include "common/json.h"
#include "common/memory.h"
#include "common/number.h"

#define LAST_LINES 5
#define RESULT_BYTES_MAX (1 << 20)

static json_t *
new_result(enum assay_trial_state state, enum assay_trial_reason reason, const char *message)
{
    json_t *result = json_object();
    const char *reason_name = assay_trial_reason_name(reason);

    json_object_set_new(result, "state", json_string(assay_trial_state_name(state)));
    if (reason_name != NULL)
        json_object_set_new(result, "reason", json_string(reason_name));
    if (message != NULL) {
        json_t *text = json_string(message);

        json_object_set_new(result, "message",
                            text != NULL ? text : json_string("(the message is not UTF-8)"));
    }
    return result;
}

/* "<what>; last lines: …".  Caller frees. */
static char *
with_last_lines(const struct assay_ending *ending, const char *what)
{
    assay_auto_free char *lines = assay_output_log_last_lines(ending->log, LAST_LINES);

    if (lines[0] == '\0')
        return assay_format("%s; there was no output", what);
    return assay_format("%s; last lines: %s", what, lines);
}

static char *
how_it_ended(int wait_status)
{
    if (WIFEXITED(wait_status))
        return assay_format("exit code %d", WEXITSTATUS(wait_status));
    return assay_format("ended by signal %d (%s)", WTERMSIG(wait_status),
                        strsignal(WTERMSIG(wait_status)));
}

/* SIGKILL that nobody here sent, or a shell's or launcher's word that its child
 * got it, while the kernel counted a kill. */
static bool
was_oom_killed(const struct assay_ending *ending)
{
    int status = ending->wait_status;

    return ending->oom_killed && !ending->killed_by_us &&
           ((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
            (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL));
}

static enum assay_trial_reason
own_reason(const struct assay_ending *ending)
{
    if (was_oom_killed(ending))
        return ASSAY_TRIAL_REASON_OUT_OF_MEMORY;
    if (WIFSIGNALED(ending->wait_status))
        return ASSAY_TRIAL_REASON_SIGNAL;
    if (WEXITSTATUS(ending->wait_status) != 0)
        return ASSAY_TRIAL_REASON_EXIT_CODE;
    return ending->has_objectives ? ASSAY_TRIAL_REASON_NONE : ASSAY_TRIAL_REASON_NO_OBJECTIVE;
}

static char *
own_message(const struct assay_ending *ending, enum assay_trial_reason reason)
{
    assay_auto_free char *how = how_it_ended(ending->wait_status);
    assay_auto_free char *what = NULL;

    switch (reason) {
    case ASSAY_TRIAL_REASON_NONE:
        return NULL;
    case ASSAY_TRIAL_REASON_NO_OBJECTIVE:
        return with_last_lines(ending, "the command ended well but printed no value of the "
                                       "objective");
    case ASSAY_TRIAL_REASON_OUT_OF_MEMORY:
        what = assay_format("%s by the kernel for lack of memory", how);
        return with_last_lines(ending, what);
    default:
        return with_last_lines(ending, how);
    }
}

json_t *
assay_result_of_ending(const struct assay_ending *ending)
{
    assay_auto_free char *message = NULL;
    enum assay_trial_reason reason = own_reason(ending);
    json_t *result;

    /* A command that was stopped and ended well with a value has succeeded; a time
     * limit or memory limit is a failure whatever it made of our SIGTERM. */
    if (ending->cause != ASSAY_TRIAL_REASON_NONE &&
        (!ending->asked || reason != ASSAY_TRIAL_REASON_NONE)) {
        reason = ending->cause;
        message = ending->asked ? assay_strdup(ending->cause_message)
                                : with_last_lines(ending, ending->cause_message != NULL
                                                              ? ending->cause_message
                                                              : assay_trial_reason_text(reason));
    } else if (ending->asked && reason != ASSAY_TRIAL_REASON_NONE) {
        assay_auto_free char *how = how_it_ended(ending->wait_status);

        message = assay_format("asked to end; %s", how);
    } else {
        message = own_message(ending, reason);
    }
    result =
        new_result(reason == ASSAY_TRIAL_REASON_NONE ? ASSAY_TRIAL_SUCCEEDED : ASSAY_TRIAL_FAILED,
                   reason, message);
    if (WIFEXITED(ending->wait_status))
        json_object_set_new(result, "exit_code", json_integer(WEXITSTATUS(ending->wait_status)));
    else
        json_object_set_new(result, "signal", json_integer(WTERMSIG(ending->wait_status)));
    if (json_object_size(ending->metrics) > 0)
        json_object_set(result, "metrics", ending->metrics);
    return result;
}

json_t *
assay_result_start_failed(const char *message)
{
    return new_result(ASSAY_TRIAL_FAILED, ASSAY_TRIAL_REASON_START_FAILED, message);
}

assay_status
assay_result_write(const char *path, const json_t *result, struct assay_error *err)
{
    assay_auto_buffer struct assay_buffer text = {0};

    assay_json_print(result, 0, &text);
    return assay_file_replace(path, text.data, text.length, 0600, err);
}

json_t *
assay_result_read(const char *path)
{
    assay_auto_free char *text = NULL;
    size_t length;
    json_t *result;

    if (assay_file_read(path, RESULT_BYTES_MAX, &text, &length, NULL) < 0)
        return NULL;
    result = json_loadb(text, length, 0, NULL);
    if (!json_is_string(json_object_get(result, "state"))) {
        json_decref(result);
        return NULL;
    }
    return result;
}

/* The number behind "\noom_kill " in a file of counters; -1 when there is none. */
static int64_t
read_counter(const char *path)
{
    assay_auto_free char *text = NULL;
    const char *line;
    int64_t value;

    if (assay_file_read(path, 65536, &text, NULL, NULL) < 0)
        return -1;
    line = strncmp(text, "oom_kill ", 9) == 0 ? text : strstr(text, "\noom_kill ");
    if (line == NULL)
        return -1;
    line += *line == '\n' ? 10 : 9;
    text[(size_t)(line - text) + strcspn(line, "\n")] = '\0';
    return assay_parse_int(line, 0, INT64_MAX, &value) ? value : -1;
}

/* The folder of our control group (second version): "0::/path". */
static char *
own_group_file(const char *name)
{
    assay_auto_free char *text = NULL;
    char *line;

    if (assay_file_read("/proc/self/cgroup", 65536, &text, NULL, NULL) < 0)
        return NULL;
    line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line == NULL)
        return NULL;
    line += *line == '\n' ? 4 : 3;
    line[strcspn(line, "\n")] = '\0';
    return assay_format("/sys/fs/cgroup%s/%s", strcmp(line, "/") == 0 ? "" : line, name);
}

int64_t
assay_result_oom_kills(void)
{
    assay_auto_free char *group = own_group_file("memory.events");
    int64_t count = group != NULL ? read_counter(group) : -1;

    if (count < 0)
        count = read_counter("/proc/vmstat");
    return ASSAY_MAX(count, 0);
}
