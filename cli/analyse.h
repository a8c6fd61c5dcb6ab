/* What several verbs show of a study's trials together. */
#ifndef ASSAY_CLI_ANALYSE_H
#define ASSAY_CLI_ANALYSE_H

#include "cli/cli.h"
#include "common/buffer.h"

/* Two lines: the three most important parameters (left out while there is nothing to say),
 * and the advice whether to go on.  Prints errors; exit code. */
ASSAY_MUST_CHECK int assay_analyse_short(struct assay_cli *cli, const char *path,
                                         const json_t *study, struct assay_buffer *text);

/* The Pareto front as a table of at most `rows_max` trials and a plot.  Prints errors; exit
 * code. */
ASSAY_MUST_CHECK int assay_analyse_pareto(struct assay_cli *cli, const char *path,
                                          const json_t *study, size_t rows_max,
                                          struct assay_buffer *text);

#endif
