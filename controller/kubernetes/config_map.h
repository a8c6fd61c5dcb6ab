/* A text out of a ConfigMap, for a study file that refers to it.
 *
 * The service asks with rights of its own for somebody who need not have them, so a text is only
 * given out of a ConfigMap that says by its label that it is meant for this.  Pure; any thread. */
#ifndef ASSAY_CONTROLLER_KUBERNETES_CONFIG_MAP_H
#define ASSAY_CONTROLLER_KUBERNETES_CONFIG_MAP_H

#include "controller/kube_api/client.h"
#include "schemas/import.h"

/* A ConfigMap has at most 1 MiB, escaped and with its metadata more. */
#define ASSAY_KUBE_CONFIG_MAP_BYTES_MAX ((size_t)8 << 20)

/* Of the API.  The names are valid ones.  Caller frees. */
char *assay_kube_config_map_path(const struct assay_import_source *source);

/* The text, and the version of the ConfigMap it is from; caller frees both.  With a fault:
 * ASSAY_E_INVALID_STUDY when there is no such text or it may not be read, ASSAY_E_UNAVAILABLE
 * when the cluster is in trouble. */
ASSAY_MUST_CHECK assay_status assay_kube_config_map_text(const struct assay_import_source *source,
                                                         const struct assay_kube_answer *answer,
                                                         char **ret_text, char **ret_version,
                                                         struct assay_faults *faults);

#endif
