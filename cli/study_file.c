#include "cli/study_file.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "common/number.h"
#include "common/random.h"
#include "schemas/decode.h"

void
assay_study_file_done(struct assay_study_file *file)
{
    json_decref(file->document);
    json_decref(file->lines);
    json_decref(file->places);
    json_decref(file->notes);
    *file = (struct assay_study_file){0};
}

static assay_status
read_input(char **ret_text, size_t *ret_length, struct assay_error *err)
{
    struct assay_buffer text = {0};
    char piece[65536];
    size_t n;

    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0) {
        if (text.length + n > ASSAY_STUDY_FILE_BYTES_MAX) {
            assay_buffer_done(&text);
            return assay_fail(err, ASSAY_E_TOO_LARGE, "standard input is longer than %zu bytes",
                              ASSAY_STUDY_FILE_BYTES_MAX);
        }
        assay_buffer_add(&text, piece, n);
    }
    *ret_length = text.length;
    *ret_text = assay_buffer_steal(&text);
    return ASSAY_OK;
}

/* --- overrides */

static json_t *
find_named(const json_t *array, const char *name)
{
    json_t *item;
    size_t i;

    json_array_foreach(array, i, item)
    {
        const char *found = json_string_value(json_object_get(item, "name"));

        if (found != NULL && strcmp(found, name) == 0)
            return item;
    }
    return NULL;
}

/* The next part of "a.b.c" or "/a/b/c"; moves *at behind it.  Caller frees. */
static char *
next_part(const char **at, char separator)
{
    size_t length = strcspn(*at, (char[]){separator, '\0'});
    char *part = assay_strndup(*at, length);
    char *to = part;

    for (const char *from = part; *from != '\0'; from++) {
        if (separator == '/' && *from == '~' && (from[1] == '0' || from[1] == '1'))
            *to++ = *++from == '0' ? '~' : '/';
        else
            *to++ = *from;
    }
    *to = '\0';
    *at += length + ((*at)[length] != '\0');
    return part;
}

/* The child that `part` names, or NULL; an object gets a missing one as {}. */
static json_t *
step_into(json_t *parent, const char *part)
{
    json_t *child;
    int64_t index;

    if (json_is_array(parent)) {
        if (assay_parse_int(part, 0, INT64_MAX, &index))
            return json_array_get(parent, (size_t)index);
        return find_named(parent, part);
    }
    child = json_object_get(parent, part);
    if (json_is_object(parent) && (child == NULL || json_is_null(child))) {
        child = json_object();
        json_object_set_new(parent, part, child);
    }
    return child;
}

static bool
put(json_t *parent, const char *part, json_t *value)
{
    int64_t index;

    if (json_is_object(parent))
        return json_object_set(parent, part, value) == 0;
    return json_is_array(parent) && assay_parse_int(part, 0, INT64_MAX, &index) &&
           json_array_set(parent, (size_t)index, value) == 0;
}

assay_status
assay_override(json_t *document, const char *setting, struct assay_error *err)
{
    const char *equals = strchr(setting, '=');
    const char separator = setting[0] == '/' ? '/' : '.';
    assay_auto_free char *path = NULL;
    assay_status rc = ASSAY_OK;
    json_t *value, *at = document;
    const char *rest;

    if (equals == NULL || equals == setting)
        return assay_fail(err, ASSAY_E_BAD_REQUEST,
                          "--set is \"%s\", but must be PATH=VALUE, as in limits.trials=20",
                          setting);
    path = assay_strndup(setting, (size_t)(equals - setting));
    rest = separator == '/' ? path + 1 : path;
    value = json_loads(equals + 1, JSON_DECODE_ANY, NULL);
    if (value == NULL)
        value = json_string(equals + 1);
    if (value == NULL)
        return assay_fail(err, ASSAY_E_BAD_REQUEST, "--set %s: the value is not UTF-8", path);

    while (rc == ASSAY_OK) {
        assay_auto_free char *part = next_part(&rest, separator);

        if (*rest == '\0') {
            if (!put(at, part, value))
                rc = assay_fail(err, ASSAY_E_BAD_REQUEST,
                                "--set %s: there is no place \"%s\" to set", path, part);
            break;
        }
        at = step_into(at, part);
        if (!json_is_object(at) && !json_is_array(at))
            rc = assay_fail(err, ASSAY_E_BAD_REQUEST,
                            "--set %s: \"%s\" is neither an object nor an item of a list", path,
                            part);
    }
    json_decref(value);
    return rc;
}

static assay_status
apply_options(struct assay_cli *cli, struct assay_study_file *file, struct assay_error *err)
{
    const char *name = assay_args_get(&cli->args, "name");
    const char *project = assay_args_get(&cli->args, "project");
    int64_t seed = -1;
    assay_status rc;

    if (file->foreign) {
        if (name != NULL || assay_args_has(&cli->args, "seed") || assay_args_has(&cli->args, "set"))
            return assay_fail(err, ASSAY_E_BAD_REQUEST,
                              "%s is not an assay/v1 file; --name, --seed and --set can not "
                              "change it",
                              file->path);
        return ASSAY_OK;
    }
    for (size_t i = 0; i < cli->args.n_given; i++) {
        if (strcmp(cli->args.given[i].option->name, "set") != 0)
            continue;
        rc = assay_override(file->document, cli->args.given[i].value, err);
        if (rc < 0)
            return rc;
    }
    rc = assay_args_get_int(&cli->args, "seed", 0, INT64_MAX, &seed, err);
    if (rc < 0)
        return rc;
    if (seed >= 0)
        json_object_set_new(file->document, "seed", json_integer(seed));
    if (name != NULL)
        json_object_set_new(file->document, "name", json_string(name));
    if (project != NULL)
        json_object_set_new(file->document, "project", json_string(project));
    return ASSAY_OK;
}

/* All faults of a file that can not be translated. */
static int
fail_import(const struct assay_cli *cli, const struct assay_study_file *file)
{
    assay_auto_import struct assay_import import = {0};
    struct assay_faults faults = {0};
    struct assay_study_spec *spec =
        assay_import_decode(file->document, NULL, NULL, &import, &faults);
    json_t *list = assay_faults_to_json(&faults);
    int code;

    ASSAY_ASSERT(spec == NULL);
    assay_faults_locate(list, file->lines);
    code = assay_cli_fail_faults(cli, file->path, list);
    json_decref(list);
    assay_faults_done(&faults);
    return code;
}

/* Puts the translation in the place of another system's document, unless it refers to a text;
 * false when there are faults, which are printed then. */
static bool
translate(struct assay_cli *cli, struct assay_study_file *file)
{
    assay_auto_import_source struct assay_import_source source = {0};
    assay_auto_import struct assay_import import = {0};
    struct assay_faults faults = {0};

    file->imported = assay_import_recognise(file->document);
    if (file->imported == ASSAY_IMPORT_NONE)
        return true;
    file->foreign = false;
    file->refers = assay_import_refers(file->document, &source);
    if (file->refers)
        return true;
    assay_import_translate(file->document, &import, &faults);
    if (faults.count == 0) {
        json_decref(file->document);
        file->document = json_incref(import.document);
        file->places = json_incref(import.places);
        file->notes = json_incref(import.notes);
        return true;
    }
    assay_faults_done(&faults);
    (void)fail_import(cli, file);
    return false;
}

void
assay_study_file_note(const struct assay_cli *cli, const struct assay_study_file *file)
{
    json_t *note;
    size_t i;

    json_array_foreach(file->notes, i, note)
        assay_cli_note(cli, "%s: note: %s: %s", file->path, assay_member_text(note, "pointer"),
                       assay_member_text(note, "message"));
}

int
assay_study_file_fail(const struct assay_cli *cli, const struct assay_study_file *file,
                      json_t *faults)
{
    json_t *fault;
    size_t i;

    json_array_foreach(faults, i, fault)
    {
        if (file->places != NULL) {
            assay_auto_free char *place =
                assay_import_place(file->places, assay_member_text(fault, "pointer"));

            json_object_set_new(fault, "pointer", json_string(place));
        }
    }
    assay_faults_locate(faults, file->lines);
    return assay_cli_fail_faults(cli, file->path, faults);
}

int
assay_study_file_read(struct assay_cli *cli, const char *path, struct assay_study_file *ret_file)
{
    assay_auto_study_file struct assay_study_file file = {.path = path};
    assay_auto_free char *text = NULL;
    struct assay_error err = {0};
    size_t length = 0;
    assay_status rc;

    if (strcmp(path, "-") == 0)
        rc = read_input(&text, &length, &err);
    else
        rc = assay_file_read(path, ASSAY_STUDY_FILE_BYTES_MAX, &text, &length, &err);
    if (rc == ASSAY_OK) {
        rc = assay_yaml_read(text, length, &file.document, &file.lines, &err);
        if (rc < 0)
            (void)assay_wrap(&err, "%s", path);
    }
    if (rc == ASSAY_OK && !json_is_object(file.document))
        rc = assay_fail(&err, ASSAY_E_INVALID_STUDY, "%s: a study file is a mapping", path);
    if (rc == ASSAY_OK) {
        file.foreign = json_object_get(file.document, "apiVersion") != NULL;
        if (!translate(cli, &file))
            return ASSAY_EXIT_INPUT;
        if (!file.refers)
            rc = apply_options(cli, &file, &err);
    }
    if (rc < 0) {
        (void)assay_cli_fail(cli, NULL, &err);
        return ASSAY_EXIT_INPUT;
    }
    *ret_file = file;
    file = (struct assay_study_file){0};
    return ASSAY_EXIT_DONE;
}

int
assay_study_file_incomplete(const struct assay_cli *cli, const struct assay_study_file *file)
{
    ASSAY_ASSERT(file->refers);
    return fail_import(cli, file);
}

int
assay_study_file_complete(struct assay_cli *cli, struct assay_study_file *file)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    assay_auto_free char *path = NULL;
    struct assay_http_request request = {
        .method = "POST", .query = "dry_run=true", .json = file->document};
    struct assay_error err = {0};
    json_t *faults, *notes;
    assay_status rc;

    if (!file->refers)
        return ASSAY_EXIT_DONE;
    rc = assay_cli_project_path(cli, "studies", &path, &err);
    request.path = path;
    if (rc == ASSAY_OK)
        rc = assay_cli_send(cli, &request, ASSAY_CLI_PATIENCE_MS, &answer, &err);
    faults = json_object_get(answer.json, "errors");
    if (rc == ASSAY_E_INVALID_STUDY && json_array_size(faults) > 0) {
        assay_faults_locate(faults, file->lines);
        return assay_cli_fail_faults(cli, file->path, faults);
    }
    if (rc == ASSAY_OK) {
        notes = json_object_get(answer.json, "notes");
        file->refers = false;
        json_decref(file->document);
        file->document = json_incref(json_object_get(answer.json, "spec"));
        json_decref(file->notes);
        file->notes = notes != NULL ? json_incref(notes) : json_array();
        rc = apply_options(cli, file, &err);
    } else if (answer.json == NULL) {
        (void)assay_wrap(&err, "%s has its template in a ConfigMap, which a server must read",
                         file->path);
    }
    return rc == ASSAY_OK ? ASSAY_EXIT_DONE : assay_cli_fail(cli, answer.json, &err);
}

void
assay_study_place(json_t *document, const char *directory)
{
    json_t *trial = json_object_get(document, "trial");
    json_t *code = json_object_get(trial, "code");
    const char *given = json_string_value(json_object_get(code, "directory"));
    assay_auto_free char *whole = NULL;

    if (!json_is_object(trial) || json_object_get(trial, "kubernetes") != NULL)
        return;
    if (code == NULL || json_is_null(code)) {
        json_object_set_new(trial, "code", json_pack("{s:s}", "directory", directory));
    } else if (given != NULL && given[0] != '/' && given[0] != '\0') {
        whole = assay_format("%s/%s", directory, given);
        json_object_set_new(code, "directory", json_string(whole));
    }
}

void
assay_faults_locate(json_t *faults, const json_t *lines)
{
    json_t *fault;
    size_t i;

    json_array_foreach(faults, i, fault)
    {
        assay_auto_free char *pointer = assay_strdup(assay_member_text(fault, "pointer"));

        if (json_object_get(fault, "line") != NULL)
            continue;
        do {
            const json_t *line = json_object_get(lines, pointer);
            char *slash = strrchr(pointer, '/');

            if (json_is_integer(line)) {
                json_object_set_new(fault, "line", json_integer(json_integer_value(line)));
                break;
            }
            if (slash != NULL)
                *slash = '\0';
        } while (pointer[0] != '\0');
    }
}

/* A key that lets a request be sent again when its answer was lost. */
static char *
make_key(void)
{
    return assay_format("assay-cli-%016" PRIx64 "%016" PRIx64, assay_random_seed(),
                        assay_random_seed());
}

int
assay_study_submit(struct assay_cli *cli, const struct assay_study_file *file, bool dry_run,
                   json_t **ret_study)
{
    assay_auto_http_answer struct assay_http_answer answer = {0};
    assay_auto_free char *key = make_key();
    assay_auto_free char *path = NULL;
    const char *project = json_string_value(json_object_get(file->document, "project"));
    struct assay_http_request request = {
        .method = "POST",
        .query = dry_run ? "dry_run=true" : NULL,
        .json = file->document,
        .idempotency_key = dry_run ? NULL : key,
    };
    struct assay_error err = {0};
    json_t *faults;
    assay_status rc = ASSAY_OK;

    if (project != NULL && assay_name_valid(project))
        path = assay_format("/v1/projects/%s/studies", project);
    else
        rc = assay_cli_project_path(cli, "studies", &path, &err);
    if (rc == ASSAY_OK) {
        request.path = path;
        rc = assay_cli_send(cli, &request, ASSAY_CLI_PATIENCE_MS, &answer, &err);
    }
    if (rc == ASSAY_OK) {
        *ret_study = json_incref(answer.json);
        return ASSAY_EXIT_DONE;
    }
    faults = json_object_get(answer.json, "errors");
    if (rc == ASSAY_E_INVALID_STUDY && json_array_size(faults) > 0)
        return assay_study_file_fail(cli, file, faults);
    return assay_cli_fail(cli, answer.json, &err);
}
