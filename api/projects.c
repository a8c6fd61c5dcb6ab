/* Projects and their tokens. */
#include "api/handlers.h"
#include "api/server_internal.h"
#include "common/memory.h"
#include "common/number.h"
#include "schemas/decode.h"
#include "schemas/study.h"

enum assay_step
assay_handle_projects_list(struct assay_request *request)
{
    const char *own = request->principal.project;
    struct assay_error err = {0};
    json_t *all, *shown = json_array();
    assay_status status = assay_store_projects(request->store, &all, &err);

    if (status != ASSAY_OK) {
        json_decref(shown);
        return assay_answer_error(request, status, &err);
    }
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *project = json_array_get(all, i);
        const char *name = json_string_value(json_object_get(project, "name"));

        if (own[0] == '\0' || strcmp(own, name) == 0)
            json_array_append(shown, project);
    }
    json_decref(all);
    return assay_answer_json(request, 200, json_pack("{s:o}", "projects", shown));
}

/* The project as the list shows it. */
static json_t *
find_project(json_t *all, const char *name)
{
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *project = json_array_get(all, i);

        if (strcmp(json_string_value(json_object_get(project, "name")), name) == 0)
            return json_incref(project);
    }
    return NULL;
}

static enum assay_step
create_project(struct assay_request *request, const char *name)
{
    struct assay_error err = {0};
    json_t *all, *project;
    assay_status status = assay_store_project_insert(request->store, name, &err);

    if (status == ASSAY_OK)
        status = assay_store_projects(request->store, &all, &err);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    project = find_project(all, name);
    json_decref(all);
    return assay_answer_json(request, 201,
                             project != NULL ? project : json_pack("{s:s}", "name", name));
}

enum assay_step
assay_handle_projects_create(struct assay_request *request)
{
    struct body {
        char *name;
    } body = {NULL};
    static const struct assay_field fields[] = {
        {.key = "name", .kind = ASSAY_FIELD_NAME, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct body, name)},
    };
    struct assay_faults faults = {0};

    if (assay_decode_object(request->json, "", fields, ASSAY_COUNT(fields), &body, &faults))
        create_project(request, body.name);
    else
        assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    free(body.name);
    return ASSAY_ANSWERED;
}

/* --- tokens */

enum assay_step
assay_check_project(struct assay_request *request)
{
    struct assay_error err = {0};
    bool exists;
    assay_status status =
        assay_store_project_exists(request->store, request->path.project, &exists, &err);

    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    if (!exists)
        return assay_answer_problem(request, ASSAY_E_NOT_FOUND, "there is no project %s",
                                    request->path.project);
    return ASSAY_PENDING;
}

enum assay_step
assay_handle_tokens_list(struct assay_request *request)
{
    struct assay_error err = {0};
    json_t *list;
    assay_status status;

    if (assay_check_project(request) == ASSAY_ANSWERED)
        return ASSAY_ANSWERED;
    status = assay_store_tokens(request->store, request->path.project, &list, &err);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    return assay_answer_json(request, 200, json_pack("{s:o}", "tokens", list));
}

struct new_token {
    char *name;
    int role;
};

static enum assay_step
create_token(struct assay_request *request, const struct new_token *wanted)
{
    const char *role = assay_role_name((enum assay_role)(wanted->role + ASSAY_ROLE_VIEWER));
    assay_auto_free char *token = assay_auth_new_token();
    char hash[ASSAY_SHA256_TEXT];
    struct assay_error err = {0};
    int64_t id;
    assay_status status;

    assay_sha256_hex(token, strlen(token), hash);
    status = assay_store_token_insert(request->store, request->path.project, wanted->name, role,
                                      hash, &id, &err);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    return assay_answer_json(request, 201,
                             json_pack("{s:I, s:s, s:s, s:s}", "id", (json_int_t)id, "name",
                                       wanted->name, "role", role, "token", token));
}

enum assay_step
assay_handle_tokens_create(struct assay_request *request)
{
    static const char *const roles[] = {"viewer", "editor", "admin", NULL};
    static const struct assay_field fields[] = {
        {.key = "name", .kind = ASSAY_FIELD_STRING, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct new_token, name), .min = 1, .max = 255},
        {.key = "role", .kind = ASSAY_FIELD_ENUM, .flags = ASSAY_FIELD_REQUIRED,
         .offset = offsetof(struct new_token, role), .names = roles},
    };
    struct new_token wanted = {NULL, 0};
    struct assay_faults faults = {0};

    if (assay_decode_object(request->json, "", fields, ASSAY_COUNT(fields), &wanted, &faults))
        create_token(request, &wanted);
    else
        assay_answer_faults(request, ASSAY_E_INVALID_VALUE, &faults);
    free(wanted.name);
    return ASSAY_ANSWERED;
}

enum assay_step
assay_handle_token_delete(struct assay_request *request)
{
    struct assay_error err = {0};
    int64_t id;
    assay_status status;

    if (!assay_parse_int(request->path.id, 1, INT64_MAX, &id))
        return assay_answer_problem(request, ASSAY_E_NOT_FOUND, "there is no token %s",
                                    request->path.id);
    status = assay_store_token_delete(request->store, request->path.project, id, &err);
    if (status != ASSAY_OK)
        return assay_answer_error(request, status, &err);
    assay_auth_forget(request->server->auth);
    request->answer.status = 204;
    return ASSAY_ANSWERED;
}
