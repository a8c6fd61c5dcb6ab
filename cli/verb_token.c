/* token create, list, delete; project create, list. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "common/memory.h"

#define OPTION_PROJECT                                                                             \
    {                                                                                              \
        "project", 0, "PROJECT", "the project [ASSAY_PROJECT, default]", false                     \
    }

static int
run_create(struct assay_cli *cli)
{
    static const char *const roles[] = {"viewer", "editor", "admin"};
    assay_auto_free char *path = NULL;
    assay_auto_buffer struct assay_buffer text = {0};
    struct assay_error err = {0};
    json_t *body, *token = NULL;
    size_t role = 1;
    int code;

    if (assay_cli_project_path(cli, "tokens", &path, &err) < 0 ||
        assay_args_get_word(&cli->args, "role", roles, ASSAY_COUNT(roles), &role, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    body = json_pack("{s:s, s:s}", "name", cli->args.arguments[0], "role", roles[role]);
    if (body == NULL)
        return assay_cli_fail_usage(cli, "the name is not UTF-8");
    code = assay_cli_call_once(cli, "POST", path, NULL, body, &token);
    json_decref(body);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(token);
    } else {
        assay_buffer_printf(&text, "%s\n", assay_member_text(token, "token"));
        assay_cli_print(&text);
        assay_cli_note(cli, "(role %s; it is shown this once)", assay_member_text(token, "role"));
    }
    json_decref(token);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option create_options[] = {
    OPTION_PROJECT,
    {"role", 0, "ROLE", "viewer, editor or admin [editor]", false},
    {0},
};

const struct assay_verb assay_verb_token_create = {
    .name = "token create",
    .arguments = "NAME",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Make a token for a project and print it",
    .options = create_options,
    .examples = "assay token create ci --role editor\n"
                "assay token create board --role viewer --project vision",
    .run = run_create,
};

static int
run_list(struct assay_cli *cli)
{
    static const char *const members[] = {"id", "name", "role", "created_at"};
    assay_auto_free char *path = NULL;
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_table struct assay_table table = {.columns = ASSAY_COUNT(members)};
    struct assay_error err = {0};
    json_t *answer = NULL;
    const json_t *token;
    size_t i;
    int code;

    if (assay_cli_project_path(cli, "tokens", &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    code = assay_cli_call(cli, "GET", path, NULL, NULL, &answer);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        assay_table_add(&table, "ID");
        assay_table_add(&table, "NAME");
        assay_table_add(&table, "ROLE");
        assay_table_add(&table, "CREATED");
        json_array_foreach(json_object_get(answer, "tokens"), i, token)
        {
            for (size_t j = 0; j < ASSAY_COUNT(members); j++) {
                assay_auto_free char *value = assay_text_value(json_object_get(token, members[j]));

                assay_table_add(&table, value);
            }
        }
        assay_table_print(&table, 0, &text);
        assay_cli_print(&text);
    }
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option project_options[] = {
    OPTION_PROJECT,
    {0},
};

const struct assay_verb assay_verb_token_list = {
    .name = "token list",
    .arguments = "",
    .summary = "List the tokens of a project",
    .options = project_options,
    .examples = "assay token list",
    .run = run_list,
};

static int
run_delete(struct assay_cli *cli)
{
    const char *id = cli->args.arguments[0];
    assay_auto_free char *escaped = assay_http_escape(id);
    assay_auto_free char *resource = assay_format("tokens/%s", escaped);
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    int code;

    if (assay_cli_project_path(cli, resource, &path, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    code = assay_cli_call(cli, "DELETE", path, NULL, NULL, NULL);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        json_t *document = json_pack("{s:s}", "deleted", id);

        assay_cli_print_json(document);
        json_decref(document);
    } else {
        assay_cli_note(cli, "token %s deleted", id);
    }
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_token_delete = {
    .name = "token delete",
    .arguments = "ID",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Delete a token; it opens nothing from then on",
    .options = project_options,
    .examples = "assay token delete 3",
    .run = run_delete,
};

/* --- projects */

static int
run_project_create(struct assay_cli *cli)
{
    json_t *body = json_pack("{s:s}", "name", cli->args.arguments[0]), *project = NULL;
    int code;

    if (body == NULL)
        return assay_cli_fail_usage(cli, "the name is not UTF-8");
    code = assay_cli_call(cli, "POST", "/v1/projects", NULL, body, &project);
    json_decref(body);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json)
        assay_cli_print_json(project);
    else
        assay_cli_note(cli, "project %s", assay_member_text(project, "name"));
    json_decref(project);
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_project_create = {
    .name = "project create",
    .arguments = "NAME",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Make a project, a space of names with tokens of its own",
    .examples = "assay project create vision",
    .run = run_project_create,
};

static int
run_project_list(struct assay_cli *cli)
{
    assay_auto_buffer struct assay_buffer text = {0};
    json_t *answer = NULL;
    const json_t *project;
    size_t i;
    int code = assay_cli_call(cli, "GET", "/v1/projects", NULL, NULL, &answer);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(answer);
    } else {
        json_array_foreach(json_object_get(answer, "projects"), i, project)
            assay_buffer_printf(&text, "%s\n", assay_member_text(project, "name"));
        assay_cli_print(&text);
    }
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

const struct assay_verb assay_verb_project_list = {
    .name = "project list",
    .arguments = "",
    .summary = "List the projects that the token opens",
    .examples = "assay project list",
    .run = run_project_list,
};
