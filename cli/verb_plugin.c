/* plugin check, plugin list: algorithms and stopping rules of users.  The code of a
 * plugin never runs in this process: assay-suggest loads it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/suggest_program.h"
#include "cli/text.h"
#include "common/memory.h"

/* What a worker of the daemon may use unless told otherwise. */
#define MEMORY_LIMIT "4Gi"

/* --- assay-suggest */

struct child {
    pid_t pid;
    FILE *out;
};

static assay_status
start(const char *plugin, const char *mode, struct child *ret_child, struct assay_error *err)
{
    assay_auto_free char *program = assay_suggest_program();
    const char *const arguments[] = {program,      "--memory-limit", MEMORY_LIMIT, "--plugin",
                                     plugin,       mode,             NULL};
    posix_spawn_file_actions_t files;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return assay_fail_errno(err, errno, "a pipe");
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    /* It takes char *const[] for history's sake and writes nothing. */
    rc = posix_spawnp(&ret_child->pid, program, &files, NULL,
                      (char *const *)(uintptr_t)arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    close(ends[1]);
    if (rc == 0)
        ret_child->out = fdopen(ends[0], "r");
    else
        close(ends[0]);
    return rc == 0 ? ASSAY_OK : assay_fail_errno(err, rc, "%s can not be started", program);
}

/* The exit code; for a signal a sentence. */
static assay_status
finish(struct child *child, int *ret_code, struct assay_error *err)
{
    int status;

    fclose(child->out);
    while (waitpid(child->pid, &status, 0) < 0) {
        if (errno != EINTR)
            return assay_fail_errno(err, errno, "assay-suggest");
    }
    if (WIFSIGNALED(status))
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "loading it ended the process by signal %d (%s)", WTERMSIG(status),
                          strsignal(WTERMSIG(status)));
    *ret_code = WEXITSTATUS(status);
    return ASSAY_OK;
}

/* What the plugin brings; ASSAY_E_BAD_REQUEST when it can not be loaded. */
static assay_status
describe(const char *plugin, json_t **ret_description, struct assay_error *err)
{
    json_t *answer;
    struct child child;
    assay_status rc = start(plugin, "--describe", &child, err);
    int code = 0;

    if (rc < 0)
        return rc;
    answer = json_loadf(child.out, 0, NULL);
    rc = finish(&child, &code, err);
    if (rc == ASSAY_OK && json_object_get(answer, "error") != NULL)
        rc = assay_fail(err, ASSAY_E_BAD_REQUEST, "%s", assay_member_text(answer, "error"));
    else if (rc == ASSAY_OK && (code != 0 || !json_is_object(answer)))
        rc = assay_fail(err, ASSAY_E_BAD_REQUEST,
                        "loading it ended the process with exit code %d", code);
    if (rc == ASSAY_OK)
        *ret_description = answer;
    else
        json_decref(answer);
    return rc;
}

/* --- check */

struct tally {
    json_t *checks;
    int passed, failed, refused;
    char *last; /* name of the algorithm or rule whose checks are printed */
};

static void
count(struct tally *tally, const char *outcome)
{
    tally->passed += strcmp(outcome, "passed") == 0;
    tally->failed += strcmp(outcome, "failed") == 0;
    tally->refused += strcmp(outcome, "refused") == 0;
}

/* "failed" stands out; the sentence follows. */
static void
print_check(const struct assay_cli *cli, const json_t *check, struct tally *tally)
{
    const char *name = assay_member_text(check, "name");
    const char *outcome = assay_member_text(check, "outcome");
    assay_auto_free char *message = assay_text_clean(assay_member_text(check, "message"));
    assay_auto_buffer struct assay_buffer line = {0};
    double ask_us = assay_member_number(check, "ask_us");
    enum assay_style style = strcmp(outcome, "failed") == 0    ? ASSAY_STYLE_BAD
                             : strcmp(outcome, "refused") == 0 ? ASSAY_STYLE_DIM
                                                               : ASSAY_STYLE_GOOD;

    if (tally->last == NULL || strcmp(tally->last, name) != 0) {
        assay_buffer_printf(&line, "%s%s%s (%s)\n", assay_style(cli->colour_out, ASSAY_STYLE_BOLD),
                            name, assay_style_end(cli->colour_out),
                            strcmp(assay_member_text(check, "kind"), "algorithm") == 0
                                ? "algorithm"
                                : "stopping rule");
        free(tally->last);
        tally->last = assay_strdup(name);
    }
    assay_buffer_printf(&line, "  %-28s  %s%-7s%s  %7.2f s", assay_member_text(check, "check"),
                        assay_style(cli->colour_out, style), outcome,
                        assay_style_end(cli->colour_out), assay_member_number(check, "seconds"));
    if (!isnan(ask_us))
        assay_buffer_printf(&line, "  %.3g us each", ask_us);
    if (message[0] != '\0')
        assay_buffer_printf(&line, "  %s", message);
    assay_buffer_puts(&line, "\n");
    assay_cli_print(&line);
}

static void
read_checks(const struct assay_cli *cli, FILE *in, struct tally *tally)
{
    char *line = NULL;
    size_t size = 0;

    while (getline(&line, &size, in) > 0) {
        json_t *check = json_loads(line, 0, NULL);

        if (!json_is_object(check)) {
            json_decref(check);
            continue;
        }
        count(tally, assay_member_text(check, "outcome"));
        if (!cli->json)
            print_check(cli, check, tally);
        json_array_append_new(tally->checks, check);
    }
    free(line);
}

static void
print_tally(const struct assay_cli *cli, const char *file, json_t *description,
            const struct tally *tally)
{
    assay_auto_buffer struct assay_buffer text = {0};

    if (cli->json) {
        json_auto_t *document = json_pack(
            "{s:s, s:O, s:O, s:O, s:i, s:i, s:i}", "file", file, "algorithms",
            json_object_get(description, "algorithms"), "stopping_rules",
            json_object_get(description, "stopping_rules"), "checks", tally->checks, "passed",
            tally->passed, "failed", tally->failed, "refused", tally->refused);

        assay_cli_print_json(document);
        return;
    }
    assay_buffer_printf(&text, "%d passed, %d failed, %d refused\n", tally->passed, tally->failed,
                        tally->refused);
    assay_cli_print(&text);
}

static int
run_check(struct assay_cli *cli)
{
    const char *file = cli->args.arguments[0];
    struct tally tally = {.checks = json_array()};
    assay_auto_free char *path = realpath(file, NULL);
    json_auto_t *description = NULL;
    struct assay_error err = {0};
    struct child child;
    assay_status rc;
    int code = 0;

    if (path == NULL)
        rc = assay_fail(&err, ASSAY_E_BAD_REQUEST, "%s", strerror(errno));
    else
        rc = describe(path, &description, &err);
    if (rc == ASSAY_OK)
        rc = start(path, "--check-plugin", &child, &err);
    if (rc == ASSAY_OK) {
        read_checks(cli, child.out, &tally);
        rc = finish(&child, &code, &err);
    }
    if (rc == ASSAY_OK) {
        print_tally(cli, file, description, &tally);
        code = code == 0 && tally.failed == 0 ? ASSAY_EXIT_DONE : ASSAY_EXIT_FAILED;
    } else {
        if (strstr(err.message, path != NULL ? path : file) == NULL)
            (void)assay_wrap(&err, "%s", file);
        code = assay_cli_fail(cli, NULL, &err);
    }
    json_decref(tally.checks);
    free(tally.last);
    return code;
}

static const struct assay_exit check_exits[] = {
    {ASSAY_EXIT_DONE, "every check was passed, or refused with a sentence"},
    {ASSAY_EXIT_FAILED, "a check failed"},
    {ASSAY_EXIT_INPUT, "the file can not be loaded"},
    {0, NULL},
};

const struct assay_verb assay_verb_plugin_check = {
    .name = "plugin check",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Check a shared object with algorithms or stopping rules of your own",
    .text = "Runs every algorithm and rule in it through the checks that the built-in ones\n"
            "pass: points inside the space and none twice, the same answer to the same\n"
            "history however it was told, an end when a finite space is used up, odd values,\n"
            "being told to stop, time and memory. Each check has a process of its own, so a\n"
            "crash or a loop is a result. \"refused\": the algorithm says that it can not\n"
            "serve such studies.",
    .exits = check_exits,
    .examples = "assay plugin check ./my-plugin.so\n"
                "assay plugin check ./my-plugin.so --json",
    .local = true,
    .run = run_check,
};

/* --- list */

/* "built in", or the plugin's name and version.  Caller frees. */
static char *
origin_text(const json_t *entry)
{
    const json_t *origin = json_object_get(entry, "origin");

    if (strcmp(assay_member_text(origin, "kind"), "plugin") != 0)
        return assay_strdup("built in");
    return assay_format("%s %s", assay_member_text(origin, "name"),
                        assay_member_text(origin, "version"));
}

static void
add_rows(struct assay_table *table, const char *kind, const json_t *list)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        assay_auto_free char *name = assay_text_clean(assay_member_text(entry, "name"));
        assay_auto_free char *origin = origin_text(entry), *clean = assay_text_clean(origin);
        assay_auto_free char *about = assay_text_clean(assay_member_text(entry, "description"));

        assay_text_cut(about, 70);
        assay_table_add(table, name);
        assay_table_add(table, kind);
        assay_table_add(table, clean);
        assay_table_add(table, about);
    }
}

static int
run_list(struct assay_cli *cli)
{
    assay_auto_table struct assay_table table = {.columns = 4};
    assay_auto_buffer struct assay_buffer text = {0};
    json_auto_t *algorithms = NULL, *rules = NULL;
    int code = assay_cli_call(cli, "GET", "/v1/algorithms", NULL, NULL, &algorithms);

    if (code == ASSAY_EXIT_DONE)
        code = assay_cli_call(cli, "GET", "/v1/stopping_rules", NULL, NULL, &rules);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        json_object_update(algorithms, rules);
        assay_cli_print_json(algorithms);
        return code;
    }
    assay_table_add(&table, "NAME");
    assay_table_add(&table, "KIND");
    assay_table_add(&table, "FROM");
    assay_table_add(&table, "ABOUT");
    add_rows(&table, "algorithm", json_object_get(algorithms, "algorithms"));
    add_rows(&table, "stopping rule", json_object_get(rules, "stopping_rules"));
    assay_table_print(&table, 0, &text);
    assay_cli_print(&text);
    return code;
}

const struct assay_verb assay_verb_plugin_list = {
    .name = "plugin list",
    .arguments = "",
    .summary = "List the algorithms and stopping rules of the server, with their plugins",
    .examples = "assay plugin list",
    .run = run_list,
};
