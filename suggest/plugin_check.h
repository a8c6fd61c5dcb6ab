/* The conformance checks on what loaded plugins bring, each in a process of its own
 * with a time limit, so that whatever a plugin does is a result. */
#ifndef ASSAY_SUGGEST_PLUGIN_CHECK_H
#define ASSAY_SUGGEST_PLUGIN_CHECK_H

#include <stdio.h>

#include "common/base.h"

/* Runs all checks and writes one JSON object a line as each is done:
 *   {"kind":"algorithm"|"stopping_rule","name","check","outcome":"passed"|"failed"|
 *    "refused","message","trials","seconds","ask_us","ask_max_us"}
 * with nulls where nothing was measured.  Whether none failed.  The process must have
 * one thread. */
bool assay_plugin_check(int out, int64_t check_timeout_us);

#endif
