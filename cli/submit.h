/* From a study file to a submitted study; shared by run, submit and validate. */
#ifndef ASSAY_CLI_SUBMIT_H
#define ASSAY_CLI_SUBMIT_H

#include "cli/study_file.h"

/* Options of a study file, for the verbs' tables. */
#define ASSAY_OPTIONS_STUDY_FILE                                                                   \
    {"name", 0, "NAME", "submit under this name", false},                                          \
        {"project", 0, "PROJECT", "submit into this project [ASSAY_PROJECT]", false},              \
        {"seed", 0, "N", "the study's seed", false},                                               \
    {                                                                                              \
        "set", 0, "PATH=VALUE", "change the file, as in limits.trials=20", true                    \
    }

/* Gives the study its folder (assay_study_place) when the server is this machine. */
void assay_submit_place(const struct assay_cli *cli, struct assay_study_file *file);

/* Checks the file as far as that goes without a server: everything but what only
 * an algorithm or a stopping rule knows.  Prints the faults; exit code. */
ASSAY_MUST_CHECK int assay_submit_check(struct assay_cli *cli, const struct assay_study_file *file);

/* "PROJECT/NAME" of a study object.  Caller frees. */
char *assay_study_title(const json_t *study);
/* "/v1/projects/P/studies/NAME" of a study object.  Caller frees. */
char *assay_study_url_path(const json_t *study);
/* " --data DIR" / " --url URL" as given on this command line, for hints.  Caller frees. */
char *assay_server_options(const struct assay_cli *cli);

#endif
