#include "schemas/kubernetes_kind.h"

#include <string.h>

#include "common/memory.h"

#define WHEN(type) "status.conditions.#(type==\"" type "\")#|#(status==\"True\")#"
#define PHASE(member, value) "status.[@this].#(" member "==\"" value "\")#"
#define EITHER(a, b) "[" a "," b "].@flatten"
/* Its name, see schemas/study_references.c. */
#define OBJECT "${trialSpec.Name}"
#define KUBEFLOW_KIND(name, main, of_katib)                                 \
    {.group = "kubeflow.org",                                               \
     .kind = (name),                                                        \
     .success = WHEN("Succeeded"),                                          \
     .failure = WHEN("Failed"),                                             \
     .labels = {"training.kubeflow.org/job-role", "master", NULL, NULL},    \
     .container = (main),                                                   \
     .katib = (of_katib)}

static const struct assay_kubernetes_kind kinds[] = {
    {.group = "", .kind = "Pod", .success = PHASE("phase", "Succeeded"),
     .failure = PHASE("phase", "Failed")},
    {.group = "batch", .kind = "Job", .success = WHEN("Complete"), .failure = WHEN("Failed"),
     .katib = true},
    KUBEFLOW_KIND("TFJob", "tensorflow", true),
    KUBEFLOW_KIND("PyTorchJob", "pytorch", true),
    KUBEFLOW_KIND("XGBoostJob", "xgboost", true),
    KUBEFLOW_KIND("MPIJob", NULL, true),
    KUBEFLOW_KIND("PaddleJob", "paddle", false),
    KUBEFLOW_KIND("JAXJob", "jax", false),
    {.group = "trainer.kubeflow.org", .kind = "TrainJob", .success = WHEN("Complete"),
     .failure = WHEN("Failed"),
     .labels = {"jobset.sigs.k8s.io/replicatedjob-name", "node",
                "batch.kubernetes.io/job-completion-index", "0"},
     .pod_label = "jobset.sigs.k8s.io/jobset-name", .container = "node", .katib = true},
    {.group = "jobset.x-k8s.io", .kind = "JobSet", .success = WHEN("Completed"),
     .failure = WHEN("Failed"),
     .labels = {"batch.kubernetes.io/job-completion-index", "0", NULL, NULL}},
    /* The pod that submits prints what the driver prints. */
    {.group = "ray.io", .kind = "RayJob", .success = PHASE("jobStatus", "SUCCEEDED"),
     .failure = EITHER("status.[@this].#(jobDeploymentStatus%\"*Failed\")#",
                       PHASE("jobStatus", "STOPPED")),
     .labels = {"batch.kubernetes.io/job-name", OBJECT, NULL, NULL},
     .pod_label = "batch.kubernetes.io/job-name", .container = "ray-job-submitter"},
    {.group = "argoproj.io", .kind = "Workflow", .success = PHASE("phase", "Succeeded"),
     .failure = EITHER(PHASE("phase", "Failed"), PHASE("phase", "Error")),
     .pod_label = "workflows.argoproj.io/workflow", .container = "main"},
    {.group = "tekton.dev", .kind = "PipelineRun", .success = WHEN("Succeeded"),
     .failure = "status.conditions.#(type==\"Succeeded\")#|#(status==\"False\")#",
     .pod_label = "tekton.dev/pipelineRun"},
    {.group = "tekton.dev", .kind = "TaskRun", .success = WHEN("Succeeded"),
     .failure = "status.conditions.#(type==\"Succeeded\")#|#(status==\"False\")#",
     .pod_label = "tekton.dev/taskRun"},
    {.group = "batch.volcano.sh", .kind = "Job",
     .success = "status.state.[@this].#(phase==\"Completed\")#",
     .failure = "status.state.[@this].#(phase%\"*ed\")#|#(phase!=\"Completed\")#"},
};

const struct assay_kubernetes_kind *
assay_kubernetes_kind(const char *api_version, const char *kind)
{
    const char *slash = strchr(api_version, '/');
    size_t length = slash != NULL ? (size_t)(slash - api_version) : 0;

    for (size_t i = 0; i < ASSAY_COUNT(kinds); i++) {
        if (strlen(kinds[i].group) == length && strncmp(kinds[i].group, api_version, length) == 0 &&
            strcmp(kinds[i].kind, kind) == 0)
            return &kinds[i];
    }
    return NULL;
}
