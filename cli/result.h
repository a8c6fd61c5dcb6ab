/* What is left when a study has ended: the summary, the JSON document, the JUnit
 * report. */
#ifndef ASSAY_CLI_RESULT_H
#define ASSAY_CLI_RESULT_H

#include "cli/cli.h"
#include "common/buffer.h"

/* "digits succeeded: ... 50 trials in 2m10s: 41 succeeded, 8 stopped early" and the
 * best parameters.  `trials` (may be NULL) draws the history. */
void assay_result_text(const struct assay_cli *cli, const json_t *study, const json_t *trials,
                       struct assay_buffer *text);
/* The best trial's value and its parameters, one to a line. */
void assay_result_best(const struct assay_cli *cli, const json_t *best, struct assay_buffer *text);

/* ASSAY_PARAM_NAME=value for each parameter, quoted for a shell and parted by
 * `separator`; letters of names that a variable can not have become "_". */
void assay_result_shell(const json_t *parameters, char separator, struct assay_buffer *text);

/* {"study","best","trials","dashboard"}; takes the reference to `trials`.  New reference. */
json_t *assay_result_json(json_t *study, json_t *trials, const char *dashboard);

/* The study as a JUnit report: one test case for the study, which fails when
 * `exit_code` is not 0, and one for each trial.  A failed trial fails its case only
 * when the study failed too; else it is skipped, as the study allows for it. */
void assay_result_junit(const json_t *study, const json_t *trials, int exit_code,
                        struct assay_buffer *xml);

/* Running best of the trials in the order of their numbers, one value per trial
 * that has one; *ret_n values, caller frees. */
double *assay_result_history(const json_t *study, const json_t *trials, size_t *ret_n);

#endif
