/* The configuration of assayd: from the command line, the environment, the file
 * of --config and the defaults, in this order of weight.
 *
 * The options themselves are in schemas/config.yaml.  Not thread-safe (reads the
 * environment); call it before threads start. */
#ifndef ASSAY_SCHEMAS_CONFIG_H
#define ASSAY_SCHEMAS_CONFIG_H

#include "common/error.h"
#include "schemas/config_options.h"

/* Exit code of an assayd that another one, or what is left of it, keeps from its data directory:
 * worth another try when that has gone. */
#define ASSAY_DAEMON_EXIT_TAKEN 3

/* What the command line asks for instead of a start. */
enum assay_config_request {
    ASSAY_CONFIG_START,
    ASSAY_CONFIG_HELP,    /* --help, -h: print assay_config_help */
    ASSAY_CONFIG_VERSION, /* --version */
};

/* Fills the whole configuration.  ASSAY_E_BAD_REQUEST with a sentence that names
 * the option and where it was given: unknown, malformed, out of range, given
 * without its companion, listening beyond loopback without TLS.  On success free
 * with assay_config_done; with HELP and VERSION it is filled with defaults. */
ASSAY_MUST_CHECK assay_status assay_config_load(int argc, char *const *argv,
                                                struct assay_config *ret_config,
                                                enum assay_config_request *ret_request,
                                                struct assay_error *err);
void assay_config_done(struct assay_config *config);

/* The text of --help.  Caller frees. */
char *assay_config_help(void);

/* Whether an address to listen on ("127.0.0.1:80", "[::1]:80", "localhost:80") is
 * reached from this machine only. */
bool assay_config_is_loopback(const char *listen);

#endif
