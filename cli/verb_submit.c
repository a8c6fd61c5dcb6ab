/* submit, validate, convert. */
#include <limits.h>

#include "cli/commands.h"
#include "cli/submit.h"
#include "cli/text.h"
#include "common/json.h"
#include "common/memory.h"
#include "schemas/decode.h"

/* The absolute folder of the file as its path names it (a link to a file elsewhere
 * stays here); NULL when it is not there.  Caller frees. */
static char *
study_folder(const struct assay_study_file *file)
{
    const char *slash = strrchr(file->path, '/');
    assay_auto_free char *folder =
        strcmp(file->path, "-") == 0 || slash == NULL
            ? assay_strdup(".")
            : assay_strndup(file->path, ASSAY_MAX((size_t)(slash - file->path), (size_t)1));

    return realpath(folder, NULL);
}

void
assay_submit_place(const struct assay_cli *cli, struct assay_study_file *file)
{
    assay_auto_free char *folder = study_folder(file);

    if (folder != NULL && !file->foreign &&
        (cli->target.data != NULL || assay_http_is_loopback(cli->target.url)))
        assay_study_place(file->document, folder);
}

int
assay_submit_check(struct assay_cli *cli, const struct assay_study_file *file)
{
    const char *project = json_string_value(json_object_get(file->document, "project"));
    struct assay_faults faults = {0};
    assay_auto_free char *folder = study_folder(file);
    struct assay_study_spec *spec;
    int code = ASSAY_EXIT_DONE;
    json_t *document, *list;

    if (file->foreign || file->refers)
        return ASSAY_EXIT_DONE;
    /* As it will be submitted to a daemon of this machine. */
    document = json_deep_copy(file->document);
    if (folder != NULL)
        assay_study_place(document, folder);
    if (project == NULL || !assay_name_valid(project))
        project = assay_cli_project(cli);
    spec = assay_study_decode(document, project, NULL, &faults);
    json_decref(document);
    if (spec == NULL) {
        list = assay_faults_to_json(&faults);
        code = assay_study_file_fail(cli, file, list);
        json_decref(list);
    }
    assay_study_free(spec);
    assay_faults_done(&faults);
    return code;
}

char *
assay_study_title(const json_t *study)
{
    return assay_format("%s/%s", assay_member_text(study, "project"),
                        assay_member_text(study, "name"));
}

char *
assay_study_url_path(const json_t *study)
{
    assay_auto_free char *project = assay_http_escape(assay_member_text(study, "project"));
    assay_auto_free char *name = assay_http_escape(assay_member_text(study, "name"));

    return assay_format("/v1/projects/%s/studies/%s", project, name);
}

char *
assay_server_options(const struct assay_cli *cli)
{
    static const char *const names[] = {"data", "url"};
    struct assay_buffer text = {0};

    for (size_t i = 0; i < ASSAY_COUNT(names); i++) {
        const char *value = assay_args_get(&cli->args, names[i]);

        if (value == NULL)
            continue;
        assay_buffer_printf(&text, " --%s ", names[i]);
        assay_text_shell(&text, value);
    }
    return assay_buffer_steal(&text);
}

static int
run_submit(struct assay_cli *cli)
{
    assay_auto_study_file struct assay_study_file file = {0};
    assay_auto_buffer struct assay_buffer text = {0};
    assay_auto_free char *title = NULL, *dashboard = NULL;
    struct assay_error err = {0};
    json_t *study = NULL;
    int code = assay_study_file_read(cli, cli->args.arguments[0], &file);

    if (code != ASSAY_EXIT_DONE)
        return code;
    if (assay_cli_connect(cli, &err) < 0)
        return assay_cli_fail(cli, NULL, &err);
    code = assay_study_file_complete(cli, &file);
    if (code != ASSAY_EXIT_DONE)
        return code;
    assay_submit_place(cli, &file);
    assay_study_file_note(cli, &file);
    code = assay_study_submit(cli, &file, false, &study);
    if (code != ASSAY_EXIT_DONE)
        return code;
    if (cli->json) {
        assay_cli_print_json(study);
    } else {
        title = assay_study_title(study);
        dashboard = assay_cli_dashboard(cli);
        assay_buffer_printf(&text, "%s\n", title);
        assay_cli_print(&text);
        assay_cli_note(cli, "dashboard: %s", dashboard);
    }
    json_decref(study);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option submit_options[] = {
    ASSAY_OPTIONS_STUDY_FILE,
    {0},
};

const struct assay_verb assay_verb_submit = {
    .name = "submit",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Submit a study and return at once",
    .text = "FILE is a study in YAML or JSON, a Katib Experiment, a sweep of W&B or an experiment\n"
            "of Determined; \"-\" is standard input. Prints PROJECT/NAME of\n"
            "the new study. As with \"assay run\", trials on this machine run in the file's\n"
            "folder unless the file says where.",
    .options = submit_options,
    .examples = "assay submit study.yaml\n"
                "assay submit study.yaml --name nightly --set limits.trials=200\n"
                "study=$(assay submit study.yaml) && assay watch \"$study\"",
    .run = run_submit,
};

/* Whether the server can be asked; says why not. */
static bool
can_ask(struct assay_cli *cli, const char **ret_why)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    struct assay_http_request request = {.path = "/healthz", .timeout_ms = 3000};
    struct assay_error err = {0};

    if (assay_args_has(&cli->args, "offline")) {
        *ret_why = "--offline was given";
        return false;
    }
    *ret_why = "no server answers";
    return assay_cli_connect(cli, &err) == ASSAY_OK &&
           assay_http_send(cli->http, &request, &answer, &err) == ASSAY_OK;
}

static bool
has_note(const json_t *notes, const json_t *note)
{
    const json_t *other;
    size_t i;

    json_array_foreach(notes, i, other)
    {
        if (json_equal(assay_json_unconst(other), assay_json_unconst(note)))
            return true;
    }
    return false;
}

/* The server's notes after those of reading the file, where it may have said some already. */
static void
add_notes(struct assay_study_file *file, const json_t *notes)
{
    json_t *note;
    size_t i;

    if (file->notes == NULL)
        file->notes = json_array();
    json_array_foreach(notes, i, note)
    {
        if (!has_note(file->notes, note))
            json_array_append(file->notes, note);
    }
}

static int
run_validate(struct assay_cli *cli)
{
    assay_auto_study_file struct assay_study_file file = {0};
    assay_auto_buffer struct assay_buffer text = {0};
    const char *why = "";
    json_t *answer = NULL;
    bool asked;
    int code = assay_study_file_read(cli, cli->args.arguments[0], &file);

    if (code != ASSAY_EXIT_DONE)
        return code;
    code = assay_submit_check(cli, &file);
    if (code != ASSAY_EXIT_DONE)
        return code;
    asked = can_ask(cli, &why);
    if (file.refers) {
        code = asked ? assay_study_file_complete(cli, &file)
                     : assay_study_file_incomplete(cli, &file);
        if (code != ASSAY_EXIT_DONE)
            return code;
    }
    if (asked)
        assay_submit_place(cli, &file);
    if (asked)
        code = assay_study_submit(cli, &file, true, &answer);
    else if (file.foreign)
        code = assay_cli_fail_usage(cli,
                                    "%s is not an assay/v1 file; only a server can check it, "
                                    "and %s",
                                    file.path, why);
    if (code != ASSAY_EXIT_DONE)
        return code;
    add_notes(&file, json_object_get(answer, "notes"));
    if (cli->json) {
        json_t *document = json_pack("{s:b, s:b}", "valid", true, "checked_by_server", asked);

        if (json_object_get(answer, "spec") != NULL)
            json_object_set(document, "spec", json_object_get(answer, "spec"));
        else if (file.imported != ASSAY_IMPORT_NONE)
            json_object_set(document, "spec", file.document);
        if (file.imported != ASSAY_IMPORT_NONE || json_array_size(file.notes) > 0)
            json_object_set(document, "notes", file.notes);
        assay_cli_print_json(document);
        json_decref(document);
    } else {
        assay_buffer_printf(&text, "%s: no faults\n", file.path);
        assay_study_file_note(cli, &file);
        if (file.imported != ASSAY_IMPORT_NONE)
            assay_cli_note(cli, "(a file of %s; \"assay convert %s\" prints it as a study file)",
                           assay_import_name(file.imported), file.path);
        assay_cli_print(&text);
        if (!asked)
            assay_cli_note(cli,
                           "(names and settings of the algorithm and the stopping rule were "
                           "not checked: %s)",
                           why);
    }
    json_decref(answer);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option validate_options[] = {
    ASSAY_OPTIONS_STUDY_FILE,
    {"offline", 0, NULL, "ask no server", false},
    {0},
};

const struct assay_verb assay_verb_validate = {
    .name = "validate",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Check a study file without running it",
    .text = "Tells every fault at once, each with its line, what was found and what is\n"
            "allowed. Works without a server; when one answers, it also checks the settings of\n"
            "the algorithm and the stopping rule (nothing is submitted).",
    .options = validate_options,
    .examples = "assay validate study.yaml\n"
                "assay validate study.yaml --json | jq '.errors[].message'",
    .run = run_validate,
};

/* Notes as comments, each on its line. */
static void
print_notes(const struct assay_study_file *file, struct assay_buffer *text)
{
    json_t *note;
    size_t i;

    assay_buffer_printf(text, "# Translated from a file of %s.\n",
                        assay_import_name(file->imported));
    json_array_foreach(file->notes, i, note)
    {
        assay_auto_free char *clean = assay_text_clean(assay_member_text(note, "message"));
        assay_auto_free char *pointer = assay_text_clean(assay_member_text(note, "pointer"));

        assay_buffer_printf(text, "# %s: %s\n", pointer, clean);
    }
}

static int
run_convert(struct assay_cli *cli)
{
    assay_auto_study_file struct assay_study_file file = {0};
    assay_auto_buffer struct assay_buffer text = {0};
    int code = assay_study_file_read(cli, cli->args.arguments[0], &file);

    if (code == ASSAY_EXIT_DONE && file.imported == ASSAY_IMPORT_NONE)
        return assay_cli_fail_usage(cli,
                                    "%s is not a file of Katib, Weights & Biases or Determined",
                                    file.path);
    if (code == ASSAY_EXIT_DONE)
        code = assay_study_file_complete(cli, &file);
    if (code == ASSAY_EXIT_DONE)
        code = assay_submit_check(cli, &file);
    if (code != ASSAY_EXIT_DONE)
        return code;
    json_object_del(file.document, "origin");
    if (cli->json) {
        assay_cli_print_json(file.document);
        return ASSAY_EXIT_DONE;
    }
    print_notes(&file, &text);
    assay_yaml_write(file.document, &text);
    assay_cli_print(&text);
    return ASSAY_EXIT_DONE;
}

static const struct assay_option convert_options[] = {
    ASSAY_OPTIONS_STUDY_FILE,
    {0},
};

const struct assay_verb assay_verb_convert = {
    .name = "convert",
    .arguments = "FILE",
    .min_arguments = 1,
    .max_arguments = 1,
    .summary = "Print another system's file as a study file",
    .text = "FILE is a Katib Experiment, a sweep of Weights & Biases or an experiment of\n"
            "Determined. Prints the study in YAML (with --json as JSON); what has no\n"
            "counterpart is told in comments, what can not be translated is an error. Needs no\n"
            "server, unless the template is in a ConfigMap of its cluster. run, submit and\n"
            "validate take such files as they are.",
    .options = convert_options,
    .examples = "assay convert experiment.yaml > study.yaml\n"
                "assay convert sweep.yaml --set limits.trials=50",
    .run = run_convert,
};
