#include "cli/completion.h"

#include "cli/text.h"
#include "cli/verbs.h"
#include "common/memory.h"

/* First words of the verbs, each once. */
static void
each_first_word(struct assay_buffer *text,
                void (*each)(struct assay_buffer *text, const char *word, const char *summary))
{
    const char *last = "";
    size_t last_length = 0;

    for (size_t i = 0; i < assay_n_verbs; i++) {
        const struct assay_verb *verb = assay_verbs[i];
        size_t length = strcspn(verb->name, " ");
        assay_auto_free char *word = assay_strndup(verb->name, length);

        if (verb->hidden || (length == last_length && strncmp(verb->name, last, length) == 0))
            continue;
        last = verb->name;
        last_length = length;
        each(text, word, assay_verb_is_group(word) ? "More commands" : verb->summary);
    }
}

static void
each_option(struct assay_buffer *text, const struct assay_verb *verb,
            void (*each)(struct assay_buffer *text, const struct assay_verb *verb,
                         const struct assay_option *option))
{
    const struct assay_option *tables[] = {verb->options, verb->local ? NULL : assay_options_server,
                                           assay_options_all};

    for (size_t t = 0; t < ASSAY_COUNT(tables); t++) {
        for (const struct assay_option *o = tables[t]; o != NULL && o->name != NULL; o++)
            each(text, verb, o);
    }
}

static bool
takes_file(const struct assay_verb *verb)
{
    return strncmp(verb->arguments, "FILE", 4) == 0;
}

static bool
takes_study(const struct assay_verb *verb)
{
    return strstr(verb->arguments, "STUDY") != NULL;
}

/* Names of studies for the shells: the first column of the list. */
#define STUDIES "assay list --names 2>/dev/null"

/* --- bash */

static void
bash_word(struct assay_buffer *text, const char *word, const char *summary)
{
    (void)summary;
    assay_buffer_printf(text, " %s", word);
}

static void
bash_option(struct assay_buffer *text, const struct assay_verb *verb,
            const struct assay_option *option)
{
    (void)verb;
    assay_buffer_printf(text, " --%s", option->name);
}

static void
sub_words(struct assay_buffer *text, const char *group, const char *separator)
{
    size_t length = strlen(group);

    for (size_t i = 0; i < assay_n_verbs; i++) {
        const char *name = assay_verbs[i]->name;

        if (strncmp(name, group, length) == 0 && name[length] == ' ')
            assay_buffer_printf(text, "%s%s", separator, name + length + 1);
    }
}

static void
bash_group(struct assay_buffer *text, const char *word, const char *summary)
{
    (void)summary;
    if (!assay_verb_is_group(word))
        return;
    assay_buffer_printf(text, "    %s) words=\"", word);
    sub_words(text, word, " ");
    assay_buffer_puts(text, "\" ;;\n");
}

void
assay_completion_bash(struct assay_buffer *text)
{
    assay_buffer_puts(text, "# bash completion for assay; to use it:\n"
                            "#   source <(assay completion bash)\n"
                            "_assay() {\n"
                            "  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}\n"
                            "  local words='' arguments=''\n"
                            "  COMPREPLY=()\n"
                            "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                            "    words=\"");
    each_first_word(text, bash_word);
    assay_buffer_puts(text, "\"\n"
                            "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                            "    return\n"
                            "  fi\n"
                            "  if [ \"$COMP_CWORD\" -eq 2 ]; then\n"
                            "    case $command in\n");
    each_first_word(text, bash_group);
    assay_buffer_puts(text, "    esac\n"
                            "    if [ -n \"$words\" ]; then\n"
                            "      COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                            "      return\n"
                            "    fi\n"
                            "  fi\n"
                            "  case \"$command ${COMP_WORDS[2]}\" in\n");
    for (size_t i = 0; i < assay_n_verbs; i++) {
        const struct assay_verb *verb = assay_verbs[i];

        if (verb->hidden)
            continue;
        assay_buffer_printf(text, "    \"%s%s\"*) words=\"", verb->name,
                            strchr(verb->name, ' ') != NULL ? "" : " ");
        each_option(text, verb, bash_option);
        assay_buffer_printf(text, "\" arguments=%s ;;\n",
                            takes_file(verb)    ? "files"
                            : takes_study(verb) ? "studies"
                                                : "none");
    }
    assay_buffer_puts(text, "  esac\n"
                            "  if [ \"${current#-}\" != \"$current\" ]; then\n"
                            "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                            "  elif [ \"$arguments\" = files ]; then\n"
                            "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
                            "  elif [ \"$arguments\" = studies ]; then\n"
                            "    COMPREPLY=($(compgen -W \"$(" STUDIES ")\" -- \"$current\"))\n"
                            "  fi\n"
                            "}\n"
                            "complete -o filenames -F _assay assay\n");
}

/* --- zsh */

/* In single quotes; ":" parts a word from its description, "[" and "]" hold one. */
static void
zsh_text(struct assay_buffer *text, const char *plain)
{
    for (; *plain != '\0'; plain++) {
        if (*plain == '\'')
            assay_buffer_puts(text, "'\\''");
        else if (strchr(":[]\\", *plain) != NULL)
            assay_buffer_printf(text, "\\%c", *plain);
        else
            assay_buffer_add(text, plain, 1);
    }
}

static void
zsh_word(struct assay_buffer *text, const char *word, const char *summary)
{
    assay_buffer_printf(text, "      '%s:", word);
    zsh_text(text, summary);
    assay_buffer_puts(text, "'\n");
}

static void
zsh_option(struct assay_buffer *text, const struct assay_verb *verb,
           const struct assay_option *option)
{
    (void)verb;
    assay_buffer_printf(text, " \\\n        '%s--%s[", option->many ? "*" : "", option->name);
    zsh_text(text, option->help);
    assay_buffer_puts(text, "]");
    if (option->value != NULL)
        assay_buffer_printf(text, ":%s:%s", option->value,
                            strcmp(option->value, "FILE") == 0  ? "_files"
                            : strcmp(option->value, "DIR") == 0 ? "_files -/"
                                                                : "");
    assay_buffer_puts(text, "'");
}

static void
zsh_group(struct assay_buffer *text, const char *word, const char *summary)
{
    (void)summary;
    if (!assay_verb_is_group(word))
        return;
    assay_buffer_printf(text, "      %s) compadd --", word);
    sub_words(text, word, " ");
    assay_buffer_puts(text, "; return ;;\n");
}

void
assay_completion_zsh(struct assay_buffer *text)
{
    assay_buffer_puts(text, "#compdef assay\n"
                            "# zsh completion for assay; to use it:\n"
                            "#   source <(assay completion zsh)\n"
                            "_assay_studies() { compadd -- $(" STUDIES ") }\n"
                            "_assay() {\n"
                            "  local -a verbs\n"
                            "  if (( CURRENT == 2 )); then\n"
                            "    verbs=(\n");
    each_first_word(text, zsh_word);
    assay_buffer_puts(text, "    )\n"
                            "    _describe command verbs\n"
                            "    return\n"
                            "  fi\n"
                            "  if (( CURRENT == 3 )); then\n"
                            "    case $words[2] in\n");
    each_first_word(text, zsh_group);
    assay_buffer_puts(text, "    esac\n"
                            "  fi\n"
                            "  local key=\"$words[2] $words[3]\"\n"
                            "  case $key in\n");
    for (size_t i = 0; i < assay_n_verbs; i++) {
        const struct assay_verb *verb = assay_verbs[i];

        if (verb->hidden)
            continue;
        assay_buffer_printf(text, "    \"%s%s\"*)\n      _arguments", verb->name,
                            strchr(verb->name, ' ') != NULL ? "" : " ");
        each_option(text, verb, zsh_option);
        assay_buffer_printf(text, " \\\n        '*:argument:%s' ;;\n",
                            takes_file(verb)    ? "_files"
                            : takes_study(verb) ? "_assay_studies"
                                                : "");
    }
    assay_buffer_puts(text, "  esac\n"
                            "}\n"
                            "compdef _assay assay\n");
}

/* --- fish */

static void
fish_word(struct assay_buffer *text, const char *word, const char *summary)
{
    assay_buffer_printf(text, "complete -c assay -n __fish_use_subcommand -f -a %s -d ", word);
    assay_text_shell(text, summary);
    assay_buffer_puts(text, "\n");
}

static void
fish_condition(struct assay_buffer *text, const struct assay_verb *verb)
{
    const char *blank = strchr(verb->name, ' ');

    if (blank == NULL)
        assay_buffer_printf(text, "complete -c assay -n '__fish_seen_subcommand_from %s'",
                            verb->name);
    else
        assay_buffer_printf(text,
                            "complete -c assay -n '__fish_seen_subcommand_from %.*s; and "
                            "__fish_seen_subcommand_from %s'",
                            (int)(blank - verb->name), verb->name, blank + 1);
}

static void
fish_option(struct assay_buffer *text, const struct assay_verb *verb,
            const struct assay_option *option)
{
    fish_condition(text, verb);
    assay_buffer_printf(text, " -l %s", option->name);
    if (option->letter != 0)
        assay_buffer_printf(text, " -s %c", option->letter);
    if (option->value != NULL)
        assay_buffer_puts(text, " -r");
    assay_buffer_puts(text, " -d ");
    assay_text_shell(text, option->help);
    assay_buffer_puts(text, "\n");
}

static void
fish_group(struct assay_buffer *text, const char *word, const char *summary)
{
    (void)summary;
    if (!assay_verb_is_group(word))
        return;
    assay_buffer_printf(text,
                        "complete -c assay -n '__fish_seen_subcommand_from %s; and not "
                        "__fish_seen_subcommand_from",
                        word);
    sub_words(text, word, " ");
    assay_buffer_puts(text, "' -f -a '");
    sub_words(text, word, " ");
    assay_buffer_puts(text, "'\n");
}

void
assay_completion_fish(struct assay_buffer *text)
{
    assay_buffer_puts(text, "# fish completion for assay; to use it:\n"
                            "#   assay completion fish | source\n");
    each_first_word(text, fish_word);
    each_first_word(text, fish_group);
    for (size_t i = 0; i < assay_n_verbs; i++) {
        const struct assay_verb *verb = assay_verbs[i];

        if (verb->hidden)
            continue;
        each_option(text, verb, fish_option);
        fish_condition(text, verb);
        if (takes_file(verb))
            assay_buffer_puts(text, " -F\n");
        else if (takes_study(verb))
            assay_buffer_puts(text, " -f -a '(" STUDIES ")'\n");
        else
            assay_buffer_puts(text, " -f\n");
    }
}
