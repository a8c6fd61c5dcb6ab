/* Command lines: what a verb takes, and what was given.
 *
 * Strict: option names are whole ("--fol" is not "--follow"), a value that is
 * missing or too much is an error, "--" ends the options.  Options and arguments
 * may be mixed.  Pure; any thread. */
#ifndef ASSAY_CLI_ARGS_H
#define ASSAY_CLI_ARGS_H

#include "common/error.h"

struct assay_option {
    const char *name;  /* without "--" */
    char letter;       /* 0 = none */
    const char *value; /* "FILE": what the value is; NULL = a switch */
    const char *help;  /* one line, no full stop */
    bool many;         /* may be given more than once */
};

/* One exit code and what it means for this verb. */
struct assay_exit {
    int code;
    const char *meaning;
};

struct assay_cli;

/* A verb of `assay`; ends its lists with an empty item. */
struct assay_verb {
    const char *name;                   /* "run", "server start" */
    const char *arguments;              /* "FILE", "STUDY TRIAL"; "" = none */
    int min_arguments, max_arguments;   /* max < 0 = any number */
    const char *summary;                /* one line, no full stop */
    const char *text;                   /* paragraphs; lines are at most 78 columns; may be NULL */
    const struct assay_option *options; /* besides the common ones; NULL = none */
    const struct assay_exit *exits;     /* besides 0 and 2; NULL = 1 only */
    const char *examples;               /* lines of commands */
    bool local;                         /* never talks to a server: no --url and the like */
    bool hidden;
    int (*run)(struct assay_cli *cli); /* returns the exit code */
};

/* Options that every verb takes / every verb that talks to a server. */
extern const struct assay_option assay_options_all[];
extern const struct assay_option assay_options_server[];

struct assay_given {
    const struct assay_option *option;
    const char *value; /* NULL for a switch */
};

/* What was given; borrows from argv.  Initialise with {0}. */
struct assay_args {
    struct assay_given *given;
    size_t n_given, given_capacity;
    const char **arguments;
    size_t n_arguments, arguments_capacity;
};

/* Parses argv[0..argc) (the words behind the verb).  ASSAY_E_BAD_REQUEST with a
 * sentence, and with a guess where a name is misspelt.  The number of arguments
 * is not checked when --help is given. */
ASSAY_MUST_CHECK assay_status assay_args_parse(const struct assay_verb *verb, int argc,
                                               char *const *argv, struct assay_args *ret_args,
                                               struct assay_error *err);
void assay_args_done(struct assay_args *args);

bool assay_args_has(const struct assay_args *args, const char *name);
/* Value of the option, or NULL. */
const char *assay_args_get(const struct assay_args *args, const char *name);
/* Value as an integer in [min, max]; *ret_value keeps what it has when the option
 * was not given. */
ASSAY_MUST_CHECK assay_status assay_args_get_int(const struct assay_args *args, const char *name,
                                                 int64_t min, int64_t max, int64_t *ret_value,
                                                 struct assay_error *err);
/* Value as a duration ("30s", "2h"). */
ASSAY_MUST_CHECK assay_status assay_args_get_duration(const struct assay_args *args,
                                                      const char *name, int64_t *ret_us,
                                                      struct assay_error *err);
/* Value as one of `words`; index in *ret_index, which is kept when not given. */
ASSAY_MUST_CHECK assay_status assay_args_get_word(const struct assay_args *args, const char *name,
                                                  const char *const *words, size_t n,
                                                  size_t *ret_index, struct assay_error *err);

#endif
