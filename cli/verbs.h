/* The table of commands: dispatch, help, completion and the reference page all
 * read it. */
#ifndef ASSAY_CLI_VERBS_H
#define ASSAY_CLI_VERBS_H

#include "cli/args.h"

/* In the order of the help; assay_n_verbs items. */
extern const struct assay_verb *const assay_verbs[];
extern const size_t assay_n_verbs;

/* Finds the verb that the words name ("server start" takes two); NULL when there
 * is none.  *ret_words is the number of words used. */
const struct assay_verb *assay_verb_find(int argc, char *const *argv, int *ret_words);
/* Whether `word` is the first word of verbs of two ("server"). */
bool assay_verb_is_group(const char *word);

#endif
