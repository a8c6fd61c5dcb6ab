/* server start, status, stop: the private daemon. */
#include "cli/commands.h"
#include "cli/daemon.h"
#include "common/clock.h"
#include "common/memory.h"

static void
print_server(struct assay_cli *cli, const char *state, pid_t pid)
{
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_free char *dashboard = cli->http != NULL ? assay_cli_dashboard(cli) : NULL;

    if (cli->json) {
        json_t *document =
            json_pack("{s:s, s:s?, s:s?, s:s?, s:o}", "state", state, "url",
                      cli->http != NULL ? cli->target.url : NULL, "data", cli->target.data,
                      "dashboard", dashboard, "pid", pid > 0 ? json_integer(pid) : json_null());

        assay_cli_print_json(document);
        json_decref(document);
        return;
    }
    assay_buffer_printf(&text, "%s", state);
    if (pid > 0)
        assay_buffer_printf(&text, " (process %d)", (int)pid);
    assay_buffer_puts(&text, "\n");
    if (cli->http != NULL)
        assay_buffer_printf(&text, "url:       %s\ndashboard: %s\n", cli->target.url, dashboard);
    if (cli->target.data != NULL)
        assay_buffer_printf(&text, "data:      %s\n", cli->target.data);
    assay_cli_print(&text);
}

static pid_t
process_of(const struct assay_cli *cli)
{
    return cli->target.data != NULL ? assay_daemon_find(cli->target.data) : 0;
}

static int
run_start(struct assay_cli *cli)
{
    const char **extra = assay_zalloc(cli->args.n_arguments + 1, sizeof *extra);
    struct assay_error err = {0};
    bool started = false;
    assay_status rc;

    for (size_t i = 0; i < cli->args.n_arguments; i++)
        extra[i] = cli->args.arguments[i];
    rc = assay_daemon_ensure(cli, extra, &started, &err);
    free(extra);
    if (rc < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (!started && cli->args.n_arguments > 0)
        assay_cli_note(cli, "a daemon runs already; its options stay as they are");
    print_server(cli, started ? "started" : "running", process_of(cli));
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_server_start = {
    .name = "server start",
    .arguments = "[-- OPTIONS OF ASSAYD]",
    .max_arguments = -1,
    .summary = "Start the private daemon, unless it runs",
    .text = "It listens on this machine only, on a port of its own choice, keeps everything in\n"
            "the data directory, writes its log to DIR/assayd.log and goes on after this\n"
            "command. \"assay run\" starts it too. Paths among its options must be absolute.",
    .examples = "assay server start\n"
                "assay server start --data /srv/assay -- --pretend-gpus 2",
    .run = run_start,
};

static int
run_status(struct assay_cli *cli)
{
    struct assay_error err = {0};
    bool ready;
    pid_t pid;

    if (assay_cli_find(cli, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    ready = assay_daemon_ready(cli);
    pid = process_of(cli);
    if (!ready)
        cli->http = assay_http_close(cli->http); /* a stale address is not shown */
    print_server(cli, ready ? "running" : pid > 0 ? "starting" : "stopped", pid);
    return ready ? ASSAY_EXIT_DONE : ASSAY_EXIT_FAILED;
}

static const struct assay_exit status_exits[] = {
    {ASSAY_EXIT_DONE, "it runs and is ready"},
    {ASSAY_EXIT_FAILED, "it does not run, or is not ready yet"},
    {0, NULL},
};

const struct assay_verb assay_verb_server_status = {
    .name = "server status",
    .arguments = "",
    .summary = "Tell whether the server runs, and where",
    .exits = status_exits,
    .examples = "assay server status --json",
    .run = run_status,
};

static int
run_stop(struct assay_cli *cli)
{
    struct assay_error err = {0};
    int64_t patience_us = 60 * ASSAY_SECOND_US;
    bool stopped = false;

    if (assay_cli_find(cli, &err) < 0 ||
        assay_args_get_duration(&cli->args, "wait", &patience_us, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (cli->target.data == NULL)
        return assay_cli_fail_usage(cli, "a server's address is given; only a private daemon, "
                                         "known by its data directory, can be stopped");
    if (assay_daemon_stop(cli->target.data, patience_us / 1000, &stopped, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    if (!stopped)
        assay_cli_note(cli, "no daemon serves %s", cli->target.data);
    print_server(cli, "stopped", 0);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option stop_options[] = {
    {"wait", 'w', "TIME", "how long to wait for its end [60s]", false},
    {0},
};

const struct assay_verb assay_verb_server_stop = {
    .name = "server stop",
    .arguments = "",
    .summary = "Stop the private daemon",
    .text = "Its studies stay in the data directory; they go on when it starts again.",
    .options = stop_options,
    .examples = "assay server stop",
    .run = run_stop,
};
