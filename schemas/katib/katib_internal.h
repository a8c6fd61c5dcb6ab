/* What the files of the Katib translation share.  Other rooms do not include this. */
#ifndef ASSAY_SCHEMAS_KATIB_INTERNAL_H
#define ASSAY_SCHEMAS_KATIB_INTERNAL_H

#include "schemas/import_translation.h"
#include "schemas/kubernetes_kind.h"

#define ASSAY_KATIB_VERSION "kubeflow.org/v1beta1"
#define ASSAY_KATIB_PARALLEL 3 /* parallelTrialCount when left out */

/* The sections of spec; NULL: not given. */
struct assay_katib_spec {
    const json_t *parameters, *objective, *algorithm, *early_stopping, *collector, *template,
        *nas;
    char *resume_policy;
    int64_t parallel, trials, failed_trials; /* -1: not given */
};

/* What one section must know of another. */
struct assay_katib {
    struct assay_translation *t;
    struct assay_katib_spec spec;
    const char *algorithm; /* its name in Katib; NULL when there is none */
    char *resource;        /* hyperband: the parameter that is the budget; NULL otherwise */
    bool priors;           /* the algorithm leans towards where a distribution has its middle */
    bool grid;             /* doubles need a step */
};

/* spec.algorithm and spec.earlyStopping.  First, as it fills in the members above. */
void assay__katib_algorithm(struct assay_katib *k);
void assay__katib_early_stopping(struct assay_katib *k);
/* spec.parameters. */
void assay__katib_parameters(struct assay_katib *k);
/* spec.metricsCollectorSpec. */
void assay__katib_collector(struct assay_katib *k);
/* spec.trialTemplate. */
void assay__katib_template(struct assay_katib *k);

/* trialTemplate.configMap; false with faults. */
bool assay__katib_source(const json_t *config_map, struct assay_import_source *ret_source,
                         struct assay_faults *faults);

/* A template as a text, which Katib replaces references in before it reads it: one that is the
 * whole of a value, without quotes, comes out as ${{trialParameters.NAME}}.  The rest as of
 * assay_yaml_read. */
ASSAY_MUST_CHECK assay_status assay__katib_read_text(const char *text, json_t **ret_json,
                                                     json_t **ret_lines, struct assay_error *err);

/* What Katib takes for a kind when the template does not say; NULL: nothing.  The names may
 * be NULL. */
const struct assay_kubernetes_kind *assay__katib_kind(const char *api_version, const char *kind);

#endif
