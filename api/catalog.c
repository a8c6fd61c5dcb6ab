#include "api/handlers.h"
#include "suggest/registry.h"

enum assay_step
assay_handle_algorithms(struct assay_request *request)
{
    return assay_answer_json(request, 200, json_pack("{s:o}", "algorithms",
                                                     assay_registry_algorithms_encode()));
}

enum assay_step
assay_handle_stopping_rules(struct assay_request *request)
{
    return assay_answer_json(request, 200, json_pack("{s:o}", "stopping_rules",
                                                     assay_registry_rules_encode()));
}
