/* The host's side of the plugin ABI: the table that plugins get. */
#ifndef ASSAY_SUGGEST_HOST_H
#define ASSAY_SUGGEST_HOST_H

#include "common/base.h"
#include "suggest/plugin.h"

const struct assay_plugin_host *assay_host_table(void);

/* What should_stop() answers from now on.  Any thread, also a signal handler. */
void assay_host_set_stop(bool stop);

#endif
