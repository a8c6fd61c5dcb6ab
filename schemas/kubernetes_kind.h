/* What is known of the kinds that templates are made of: how such an object says that it has
 * ended, and which of its pods is the one to read.  Any other kind can be used too; its study
 * says these itself.  Pure, static; any thread. */
#ifndef ASSAY_SCHEMAS_KUBERNETES_KIND_H
#define ASSAY_SCHEMAS_KUBERNETES_KIND_H

#include <stdbool.h>

struct assay_kubernetes_kind {
    const char *group;              /* of the apiVersion; "" = the core's */
    const char *kind;
    const char *success, *failure;  /* see schemas/gjson.h */
    /* Of the primary pod: name, value, name, value; NULL = none.  ${trialSpec.Name} is the
     * object's name. */
    const char *labels[4];
    /* A label that its pods get, with the object's name as its value; NULL: they get the
     * labels of the template's own pod templates. */
    const char *pod_label;
    const char *container; /* of the primary pod, where there is a custom; NULL = none */
    bool katib;            /* Katib takes success, failure and labels too when left out */
};

/* NULL: nothing is known of it. */
const struct assay_kubernetes_kind *assay_kubernetes_kind(const char *api_version,
                                                          const char *kind);

#endif
