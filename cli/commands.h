/* The verbs, each defined beside its code. */
#ifndef ASSAY_CLI_COMMANDS_H
#define ASSAY_CLI_COMMANDS_H

#include "cli/args.h"

extern const struct assay_verb assay_verb_run, assay_verb_watch;
extern const struct assay_verb assay_verb_submit, assay_verb_validate, assay_verb_convert;
extern const struct assay_verb assay_verb_list, assay_verb_show, assay_verb_best, assay_verb_trials;
extern const struct assay_verb assay_verb_pareto, assay_verb_importance;
extern const struct assay_verb assay_verb_logs;
extern const struct assay_verb assay_verb_pause, assay_verb_resume, assay_verb_cancel,
    assay_verb_stop, assay_verb_delete;
extern const struct assay_verb assay_verb_limits;
extern const struct assay_verb assay_verb_project_create, assay_verb_project_list;
extern const struct assay_verb assay_verb_export;
extern const struct assay_verb assay_verb_simulate;
extern const struct assay_verb assay_verb_ask, assay_verb_report, assay_verb_tell;
extern const struct assay_verb assay_verb_server_start, assay_verb_server_status,
    assay_verb_server_stop;
extern const struct assay_verb assay_verb_token_create, assay_verb_token_list,
    assay_verb_token_delete;
extern const struct assay_verb assay_verb_plugin_check, assay_verb_plugin_list;
extern const struct assay_verb assay_verb_completion, assay_verb_version, assay_verb_help;

#endif
