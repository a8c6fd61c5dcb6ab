/* libcurl on demand.
 *
 * client/http.c calls libcurl by its ordinary names.  In assay-runner these names
 * are ours (curl_loader.c) and pass the calls on to the library, which is loaded
 * here: a runner that talks to a daemon on its own machine never pays for it (3 ms
 * at the start, 7 MB, 30 libraries). */
#ifndef ASSAY_TRIAL_RUNNER_CURL_LOADER_H
#define ASSAY_TRIAL_RUNNER_CURL_LOADER_H

#include "common/error.h"

/* To be called before the first assay_http_open; any thread, again at will.
 * ASSAY_E_UNAVAILABLE when the library is not installed. */
ASSAY_MUST_CHECK assay_status assay_curl_load(struct assay_error *err);

#endif
