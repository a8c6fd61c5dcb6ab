/* assay: the command line of Assay.  Finds the verb, parses its options, runs it. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/help.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "common/memory.h"

static int
unknown_command(const struct assay_cli *cli, int argc, char *const *argv)
{
    const char **names = assay_zalloc(assay_n_verbs, sizeof *names);
    assay_auto_free char *word = NULL;
    const char *nearest;
    int code;

    if (assay_verb_is_group(argv[0]) && argc > 1)
        word = assay_format("%s %s", argv[0], argv[1]);
    else
        word = assay_strdup(argv[0]);
    for (size_t i = 0; i < assay_n_verbs; i++)
        names[i] = assay_verbs[i]->name;
    nearest = assay_text_nearest(word, names, assay_n_verbs);
    if (nearest != NULL)
        code = assay_cli_fail_usage(cli, "there is no command \"%s\"; did you mean \"%s\"?", word,
                                    nearest);
    else
        code = assay_cli_fail_usage(
            cli, "there is no command \"%s\"; \"assay help\" lists the commands", word);
    free(names);
    return code;
}

/* assay, assay --help, assay --version, assay server [--help] */
static bool
answer_without_verb(int argc, char *const *argv, int *ret_code)
{
    assay_auto_buffer struct assay_buffer text = {0};
    const char *word = argc > 0 ? argv[0] : NULL;
    bool wants_help = word == NULL || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;

    *ret_code = word == NULL ? ASSAY_EXIT_INPUT : ASSAY_EXIT_DONE;
    if (wants_help) {
        assay_help_overview(&text);
    } else if (strcmp(word, "--version") == 0) {
        assay_buffer_puts(&text, "assay " ASSAY_CLI_VERSION "\n");
    } else if (assay_verb_is_group(word) &&
               (argc == 1 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        assay_help_group(word, &text);
        *ret_code = argc == 1 ? ASSAY_EXIT_INPUT : ASSAY_EXIT_DONE;
    } else {
        return false;
    }
    if (*ret_code == ASSAY_EXIT_DONE)
        assay_cli_print(&text);
    else
        fputs(text.data, stderr);
    return true;
}

/* How many words at the front are options that any verb may have (--data DIR). */
static int
count_leading_options(int argc, char *const *argv)
{
    const struct assay_option *tables[] = {assay_options_server, assay_options_all};
    int n = 0;

    while (n < argc && strncmp(argv[n], "--", 2) == 0) {
        size_t length = strcspn(argv[n] + 2, "=");
        const struct assay_option *option = NULL;

        for (size_t i = 0; i < ASSAY_COUNT(tables) && option == NULL; i++) {
            option = tables[i];
            while (option->name != NULL && (strlen(option->name) != length ||
                                            strncmp(option->name, argv[n] + 2, length) != 0))
                option++;
            option = option->name != NULL ? option : NULL;
        }
        if (option == NULL)
            return n;
        n += option->value != NULL && argv[n][2 + length] != '=' ? 2 : 1;
    }
    return ASSAY_MIN(n, argc);
}

/* "assay --data DIR run FILE" is "assay run --data DIR FILE". */
static void
put_verb_first(int argc, char **argv)
{
    int leading = count_leading_options(argc, argv);
    int words = 1;

    if (leading == 0 || leading >= argc)
        return;
    if (assay_verb_is_group(argv[leading]) && leading + 1 < argc)
        words = 2;
    for (int i = 0; i < words; i++) {
        char *word = argv[leading + i];

        memmove(argv + i + 1, argv + i, (size_t)leading * sizeof *argv);
        argv[i] = word;
    }
}

int
main(int argc, char **argv)
{
    struct assay_cli cli;
    struct assay_error err = {0};
    const struct assay_verb *verb;
    int used = 0, code;

    argc--;
    argv++;
    put_verb_first(argc, argv);
    if (answer_without_verb(argc, argv, &code))
        return code;
    verb = assay_verb_find(argc, argv, &used);
    assay_cli_init(&cli, verb);
    /* Known before parsing, so that a mistake in the options is told as asked. */
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        cli.json = cli.json || strcmp(argv[i], "--json") == 0;

    if (verb == NULL) {
        code = unknown_command(&cli, argc, argv);
    } else if (assay_args_parse(verb, argc - used, argv + used, &cli.args, &err) < 0) {
        code = assay_cli_fail(&cli, NULL, &err);
    } else if (assay_args_has(&cli.args, "help")) {
        assay_auto_buffer struct assay_buffer text = {0};

        assay_help_verb(verb, &text);
        assay_cli_print(&text);
        code = ASSAY_EXIT_DONE;
    } else {
        cli.json = assay_args_has(&cli.args, "json");
        code = verb->run(&cli);
    }
    assay_cli_done(&cli);
    return code;
}
