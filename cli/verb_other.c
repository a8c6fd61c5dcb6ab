/* completion, version, help. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "common/memory.h"

static int
run_completion(struct assay_cli *cli)
{
    static const struct {
        const char *shell;
        void (*write)(struct assay_buffer *text);
    } shells[] = {
        {"bash", assay_completion_bash},
        {"zsh", assay_completion_zsh},
        {"fish", assay_completion_fish},
    };
    const char *shell = cli->args.arguments[0];
    assay_auto_buffer struct assay_buffer text = {0};

    for (size_t i = 0; i < ASSAY_COUNT(shells); i++) {
        if (strcmp(shell, shells[i].shell) != 0)
            continue;
        shells[i].write(&text);
        if (cli->json) {
            json_t *document = json_pack("{s:s, s:s}", "shell", shell, "script", text.data);

            assay_cli_print_json(document);
            json_decref(document);
        } else {
            assay_cli_print(&text);
        }
        return ASSAY_EXIT_DONE;
    }
    return assay_cli_fail_usage(cli,
                                "no completion for \"%s\"; there is one for bash, zsh and "
                                "fish",
                                shell);
}

const struct assay_verb assay_verb_completion = {
    .name = "completion",
    .arguments = "SHELL",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Print a completion script for bash, zsh or fish",
    .examples = "source <(assay completion bash)\n"
                "assay completion fish > ~/.config/fish/completions/assay.fish",
    .local = true,
    .run = run_completion,
};

static int
run_version(struct assay_cli *cli)
{
    assay_auto_buffer struct assay_buffer text = {0};

    if (cli->json) {
        json_t *document = json_pack("{s:s}", "version", ASSAY_CLI_VERSION);

        assay_cli_print_json(document);
        json_decref(document);
        return ASSAY_EXIT_DONE;
    }
    assay_buffer_puts(&text, "assay " ASSAY_CLI_VERSION "\n");
    assay_cli_print(&text);
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version",
    .local = true,
    .run = run_version,
};

static int
run_help(struct assay_cli *cli)
{
    assay_auto_buffer struct assay_buffer text = {0};
    const char *words[2] = {0};
    const struct assay_verb *verb;
    int used, n = (int)cli->args.n_arguments;

    for (int i = 0; i < n; i++)
        words[i] = cli->args.arguments[i];
    verb = assay_verb_find(n, (char *const *)(uintptr_t)words, &used);
    if (assay_args_has(&cli->args, "markdown"))
        assay_help_markdown(&text);
    else if (n == 0)
        assay_help_overview(&text);
    else if (verb != NULL)
        assay_help_verb(verb, &text);
    else if (n == 1 && assay_verb_is_group(words[0]))
        assay_help_group(words[0], &text);
    else
        return assay_cli_fail_usage(cli, "there is no command \"%s%s%s\"", words[0],
                                    n > 1 ? " " : "", n > 1 ? words[1] : "");
    assay_cli_print(&text);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option help_options[] = {
    {"markdown", 0, NULL, "print the whole reference as Markdown", false},
    {0},
};

const struct assay_verb assay_verb_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .max_arguments = 2,
    .summary = "Show the help of a command",
    .options = help_options,
    .examples = "assay help run",
    .local = true,
    .run = run_help,
};
