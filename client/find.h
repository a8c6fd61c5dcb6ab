/* Where the server is and which token opens it: from options, the environment
 * or a daemon's data directory.
 *
 * Reads the environment (getenv), so call before threads start. */
#ifndef ASSAY_CLIENT_FIND_H
#define ASSAY_CLIENT_FIND_H

#include "common/error.h"

/* What the command line says; each may be NULL.  Borrowed. */
struct assay_find_options {
    const char *url;
    const char *token;
    const char *data;
    const char *ca_file;
};

struct assay_target {
    char *url;     /* NULL: a data directory, but no daemon has written its address there */
    char *token;   /* NULL = none */
    char *ca_file; /* NULL = the system's authorities */
    char *data;    /* the data directory looked at; NULL when the URL was given outright */
};

/* Finds the target, the first of: --url, --data, ASSAY_URL, ASSAY_DATA, the
 * default data directory.  A token is --token, then DIR/token when the address
 * is a data directory's, then ASSAY_TOKEN; ASSAY_CA_FILE stands in for --ca-file.
 * A data directory without an address is no error (`url` is NULL); one that can
 * not be read is ASSAY_E_IO.  Empty variables count as not set. */
ASSAY_MUST_CHECK assay_status assay_find_target(const struct assay_find_options *options,
                                                struct assay_target *ret_target,
                                                struct assay_error *err);
void assay_target_done(struct assay_target *target);

/* ${XDG_DATA_HOME:-~/.local/share}/assay, absolute.  Caller frees. */
char *assay_find_default_data(void);

#endif
