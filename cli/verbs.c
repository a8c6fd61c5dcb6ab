#include "cli/verbs.h"

#include "cli/commands.h"

const struct assay_verb *const assay_verbs[] = {
    &assay_verb_run,
    &assay_verb_submit,
    &assay_verb_validate,
    &assay_verb_convert,
    &assay_verb_list,
    &assay_verb_show,
    &assay_verb_best,
    &assay_verb_pareto,
    &assay_verb_importance,
    &assay_verb_trials,
    &assay_verb_watch,
    &assay_verb_logs,
    &assay_verb_pause,
    &assay_verb_resume,
    &assay_verb_cancel,
    &assay_verb_limits,
    &assay_verb_stop,
    &assay_verb_delete,
    &assay_verb_export,
    &assay_verb_simulate,
    &assay_verb_ask,
    &assay_verb_report,
    &assay_verb_tell,
    &assay_verb_server_start,
    &assay_verb_server_status,
    &assay_verb_server_stop,
    &assay_verb_project_create,
    &assay_verb_project_list,
    &assay_verb_token_create,
    &assay_verb_token_list,
    &assay_verb_token_delete,
    &assay_verb_plugin_check,
    &assay_verb_plugin_list,
    &assay_verb_completion,
    &assay_verb_version,
    &assay_verb_help,
};
const size_t assay_n_verbs = ASSAY_COUNT(assay_verbs);

const struct assay_verb *
assay_verb_find(int argc, char *const *argv, int *ret_words)
{
    for (size_t i = 0; argc > 0 && i < assay_n_verbs; i++) {
        const char *name = assay_verbs[i]->name;
        const char *blank = strchr(name, ' ');

        if (blank == NULL && strcmp(name, argv[0]) == 0) {
            *ret_words = 1;
            return assay_verbs[i];
        }
        if (blank != NULL && argc > 1 && strlen(argv[0]) == (size_t)(blank - name) &&
            strncmp(name, argv[0], (size_t)(blank - name)) == 0 &&
            strcmp(blank + 1, argv[1]) == 0) {
            *ret_words = 2;
            return assay_verbs[i];
        }
    }
    return NULL;
}

bool
assay_verb_is_group(const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; i < assay_n_verbs; i++) {
        const char *name = assay_verbs[i]->name;

        if (strncmp(name, word, length) == 0 && name[length] == ' ')
            return true;
    }
    return false;
}
