#include "cli/help.h"

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "common/memory.h"

/* Headings of the overview: each stands before the verb named. */
static const struct {
    const char *verb;
    const char *title;
} groups[] = {
    {"run", "Tune"},
    {"list", "Look"},
    {"pause", "Steer"},
    {"export", "Take out"},
    {"ask", "Ask and tell, from shell scripts"},
    {"server start", "Serve"},
    {"completion", "Other"},
};

static void
add_verb_rows(struct assay_table *table, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (assay_verbs[i]->hidden)
            continue;
        assay_table_add(table, assay_verbs[i]->name);
        assay_table_add(table, assay_verbs[i]->summary);
    }
}

static size_t
index_of(const char *name)
{
    for (size_t i = 0; i < assay_n_verbs; i++) {
        if (strcmp(assay_verbs[i]->name, name) == 0)
            return i;
    }
    return assay_n_verbs;
}

void
assay_help_overview(struct assay_buffer *text)
{
    assay_buffer_puts(text, "assay tunes hyperparameters: it proposes parameters, runs the trials "
                            "and keeps\nthe best.\n\n"
                            "usage: assay COMMAND [OPTIONS] [ARGUMENTS]\n");
    for (size_t g = 0; g < ASSAY_COUNT(groups); g++) {
        assay_auto_table struct assay_table table = {.columns = 2};
        size_t to = g + 1 < ASSAY_COUNT(groups) ? index_of(groups[g + 1].verb) : assay_n_verbs;

        assay_buffer_printf(text, "\n%s\n", groups[g].title);
        add_verb_rows(&table, index_of(groups[g].verb), to);
        assay_table_print(&table, 2, text);
    }
    assay_buffer_puts(text,
                      "\nSTUDY is NAME or PROJECT/NAME. \"assay COMMAND --help\" tells more.\n"
                      "Start with: assay run FILE\n");
}

void
assay_help_group(const char *group, struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 2};
    size_t length = strlen(group);

    assay_buffer_printf(text, "usage: assay %s COMMAND [OPTIONS]\n\n", group);
    for (size_t i = 0; i < assay_n_verbs; i++) {
        if (strncmp(assay_verbs[i]->name, group, length) == 0 &&
            assay_verbs[i]->name[length] == ' ')
            add_verb_rows(&table, i, i + 1);
    }
    assay_table_print(&table, 2, text);
}

/* "-f, --follow" / "    --url URL". */
static void
add_options(struct assay_table *table, const struct assay_option *options)
{
    for (const struct assay_option *o = options; o != NULL && o->name != NULL; o++) {
        char letter[5] = {'-', o->letter, ',', ' ', '\0'};

        assay_table_printf(table, "%s--%s%s%s", o->letter != 0 ? letter : "    ", o->name,
                           o->value != NULL ? " " : "", o->value != NULL ? o->value : "");
        assay_table_printf(table, "%s%s", o->help, o->many ? " (may be repeated)" : "");
    }
}

void
assay_help_exits(const struct assay_verb *verb,
                 void (*each)(struct assay_buffer *text, int code, const char *meaning),
                 struct assay_buffer *text)
{
    static const struct assay_exit usual[] = {
        {ASSAY_EXIT_DONE, "done"},
        {ASSAY_EXIT_FAILED, "it failed, or the server could not be reached"},
        {ASSAY_EXIT_INPUT, "the command line, a file or a name is wrong"},
    };

    for (size_t i = 0; i < ASSAY_COUNT(usual); i++) {
        const char *meaning = usual[i].meaning;

        for (const struct assay_exit *e = verb->exits; e != NULL && e->meaning != NULL; e++) {
            if (e->code == usual[i].code)
                meaning = e->meaning;
        }
        if (verb->local && meaning == usual[ASSAY_EXIT_FAILED].meaning)
            meaning = "it failed";
        each(text, usual[i].code, meaning);
    }
    for (const struct assay_exit *e = verb->exits; e != NULL && e->meaning != NULL; e++) {
        if (e->code > ASSAY_EXIT_INPUT)
            each(text, e->code, e->meaning);
    }
}

static void
add_exit_line(struct assay_buffer *text, int code, const char *meaning)
{
    assay_buffer_printf(text, "  %-3d  %s\n", code, meaning);
}

static void
add_indented(struct assay_buffer *text, const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\n");

        assay_buffer_puts(text, "  ");
        assay_buffer_add(text, lines, length);
        assay_buffer_puts(text, "\n");
        lines += length + (lines[length] == '\n');
    }
}

void
assay_help_verb(const struct assay_verb *verb, struct assay_buffer *text)
{
    assay_auto_table struct assay_table table = {.columns = 2};

    assay_buffer_printf(text, "usage: assay %s [OPTIONS]%s%s\n\n%s.\n", verb->name,
                        verb->arguments[0] != '\0' ? " " : "", verb->arguments, verb->summary);
    if (verb->text != NULL)
        assay_buffer_printf(text, "\n%s\n", verb->text);
    assay_buffer_puts(text, "\nOptions\n");
    add_options(&table, verb->options);
    if (!verb->local)
        add_options(&table, assay_options_server);
    add_options(&table, assay_options_all);
    assay_table_print(&table, 2, text);
    assay_buffer_puts(text, "\nExit codes\n");
    assay_help_exits(verb, add_exit_line, text);
    if (verb->examples != NULL) {
        assay_buffer_puts(text, "\nExamples\n");
        add_indented(text, verb->examples);
    }
}

/* --- the reference page */

/* Text in which <, > and | could be taken for markup. */
static void
add_escaped(struct assay_buffer *text, const char *plain)
{
    for (; *plain != '\0'; plain++) {
        if (strchr("<>|*_`", *plain) != NULL)
            assay_buffer_puts(text, "\\");
        assay_buffer_add(text, plain, 1);
    }
}

static void
add_option_rows(struct assay_buffer *text, const struct assay_option *options)
{
    for (const struct assay_option *o = options; o != NULL && o->name != NULL; o++) {
        assay_buffer_puts(text, "| `");
        if (o->letter != 0)
            assay_buffer_printf(text, "-%c`, `", o->letter);
        assay_buffer_printf(text, "--%s%s", o->name, o->value != NULL ? " " : "");
        for (const char *p = o->value; p != NULL && *p != '\0'; p++)
            assay_buffer_printf(text, "%s%c", *p == '|' ? "\\" : "", *p);
        assay_buffer_puts(text, "` | ");
        add_escaped(text, o->help);
        assay_buffer_printf(text, "%s |\n", o->many ? " (may be repeated)" : "");
    }
}

static void
add_exit_row(struct assay_buffer *text, int code, const char *meaning)
{
    assay_buffer_printf(text, "| %d | ", code);
    add_escaped(text, meaning);
    assay_buffer_puts(text, " |\n");
}

static void
add_verb_section(struct assay_buffer *text, const struct assay_verb *verb)
{
    assay_buffer_printf(text, "\n## assay %s\n\n", verb->name);
    add_escaped(text, verb->summary);
    assay_buffer_printf(text, ".\n\n```\nassay %s [OPTIONS]%s%s\n```\n", verb->name,
                        verb->arguments[0] != '\0' ? " " : "", verb->arguments);
    if (verb->text != NULL) {
        assay_buffer_puts(text, "\n");
        add_escaped(text, verb->text);
        assay_buffer_puts(text, "\n");
    }
    if (verb->options != NULL) {
        assay_buffer_puts(text, "\n| option | meaning |\n| --- | --- |\n");
        add_option_rows(text, verb->options);
    }
    assay_buffer_puts(text, "\n| exit code | meaning |\n| --- | --- |\n");
    assay_help_exits(verb, add_exit_row, text);
    if (verb->examples != NULL)
        assay_buffer_printf(text, "\n```sh\n%s\n```\n", verb->examples);
}

void
assay_help_markdown(struct assay_buffer *text)
{
    assay_buffer_puts(
        text,
        "# The command line: `assay`\n\n"
        "<!-- Generated by `assay help --markdown`; do not edit. -->\n\n"
        "A study argument is `NAME` or `PROJECT/NAME`; without a project it is `default`, or\n"
        "what `ASSAY_PROJECT` says. Results go to standard output; progress, hints and errors\n"
        "to standard error. `NO_COLOR` turns colours off; they are used on terminals only.\n\n"
        "## Options of every command\n\n| option | meaning |\n| --- | --- |\n");
    add_option_rows(text, assay_options_all);
    assay_buffer_puts(text, "\n## Options of every command that talks to a server\n\n"
                            "| option | meaning |\n| --- | --- |\n");
    add_option_rows(text, assay_options_server);
    assay_buffer_puts(
        text,
        "\nThe server is the first of: `--url`, `--data`, `ASSAY_URL`, `ASSAY_DATA`, the\n"
        "default data directory `${XDG_DATA_HOME:-~/.local/share}/assay`. The token is\n"
        "`--token`, else the data directory's, else `ASSAY_TOKEN`.\n\n"
        "With `--json` standard output carries exactly one JSON document (one line each for\n"
        "`export`): the result, or the problem document\n"
        "(`{\"status\",\"code\",\"detail\",\"errors\"}`) when the exit code is 1 or 2 because\n"
        "of an error. The sentence for people goes to standard error in both cases.\n");
    for (size_t i = 0; i < assay_n_verbs; i++) {
        if (!assay_verbs[i]->hidden)
            add_verb_section(text, assay_verbs[i]);
    }
}
