/* Following a study until it ends: long polls, a progress line, Ctrl-C. */
#ifndef ASSAY_CLI_FOLLOW_H
#define ASSAY_CLI_FOLLOW_H

#include "cli/cli.h"

/* What the progress line is drawn from, besides the study. */
struct assay_progress {
    size_t columns; /* never drawn wider */
    bool unicode;
    int64_t now_us;        /* the clock, to be compared with the study's times */
    const double *history; /* best values seen so far, oldest first */
    size_t n_history;
};

/* Trials that have ended, by a study object. */
int64_t assay_study_done(const json_t *study);
/* limits.trials, 0 = none. */
int64_t assay_study_limit(const json_t *study);
bool assay_study_is_final(const json_t *study);

/* The line a terminal shows, without a line end: name, bar, done of limit, best,
 * running, failed, stopped, time left; parts that do not fit are left out.  Pure.
 * Caller frees. */
char *assay_progress_line(const json_t *study, const struct assay_progress *progress);
/* The line a log shows: "[1m05s] 7/50 done, 4 running, ..., best loss 0.31 (trial 5)". */
char *assay_progress_plain(const json_t *study, int64_t now_us);

/* Exit code that a study's end means: 0 succeeded, 1 failed, cancelled or without
 * a best, 3 when it has a target and ended by a limit before it. */
int assay_study_exit(const json_t *study);

/* Follows the study at `path` until it is final; draws on standard error unless
 * `quiet`.  *ret_study is the study as it was last (a new reference), complete when
 * final.  Returns 0, an exit code after printing an error, or
 * ASSAY_EXIT_INTERRUPTED after Ctrl-C or SIGTERM: the study goes on, and nothing
 * has been said about it yet. */
ASSAY_MUST_CHECK int assay_cli_follow(struct assay_cli *cli, const char *path, bool quiet,
                                      json_t **ret_study);

#endif
