/* Checks that every ${name} of the section `trial` is declared. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "schemas/decode.h"
#include "schemas/study_internal.h"

/* Deeper templates than this are refused before anybody follows them. */
#define TEMPLATE_DEPTH_MAX 100

struct check {
    const json_t *names;
    const char *pointer;
    const json_t *found;
    struct assay_faults *faults;
};

static const char **
known_names(const json_t *names)
{
    const char **known = assay_zalloc(json_object_size(names) + 1, sizeof *known);
    const char *name;
    json_t *value;
    size_t n = 0;

    assay_json_each (names, name, value)
        known[n++] = name;
    return known;
}

static void
check_reference(void *arg, const char *name, size_t length)
{
    const struct check *check = arg;
    assay_auto_free char *key = assay_strndup(name, length);
    const char **known;

    if (json_object_get(check->names, key) != NULL)
        return;
    if (check->faults->count >= ASSAY_FAULTS_MAX) {
        check->faults->count++;
        return;
    }
    known = known_names(check->names);
    assay_fault_unknown(check->faults, check->pointer, check->found, "reference ${…}", key, known);
    free(known);
}

static void
check_text(const char *text, const char *pointer, const json_t *names, struct assay_faults *faults)
{
    json_auto_t *found = json_string(text);
    struct check check = {names, pointer, found, faults};

    if (!assay__each_reference(text, check_reference, &check))
        assay_fault_add(faults, pointer, found, "\"${name}\", or \"$${\" for a literal \"${\"",
                        "\"${\" without \"}\"");
}

static void
check_tree(const json_t *json, const char *pointer, size_t depth, const json_t *names,
           struct assay_faults *faults)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_string(json)) {
        assay_auto_free char *bare = assay_bare_reference(json_string_value(json));

        if (bare != NULL)
            check_reference(&(struct check){names, pointer, json, faults}, bare, strlen(bare));
        else
            check_text(json_string_value(json), pointer, names, faults);
    } else if (depth >= TEMPLATE_DEPTH_MAX) {
        assay_fault_add(faults, "/trial/kubernetes", NULL, "at most 100 levels",
                        "the template is nested too deeply");
    } else if (json_is_object(json)) {
        assay_json_each (json, key, value) {
            assay_auto_free char *at = assay_pointer_key(pointer, key);

            if (strstr(key, "${") != NULL)
                assay_fault_add(faults, at, NULL, "references in values",
                                "a key can not have a reference");
            check_tree(value, at, depth + 1, names, faults);
        }
    } else if (json_is_array(json)) {
        json_array_foreach (json, i, value) {
            assay_auto_free char *at = assay_pointer_index(pointer, i);

            check_tree(value, at, depth + 1, names, faults);
        }
    }
}

static void
add_meta_of(json_t *all, const json_t *template, const char *member, const char *word)
{
    const json_t *texts = json_object_get(json_object_get(template, "metadata"), member);
    const char *key;
    json_t *value;

    assay_json_each (texts, key, value) {
        assay_auto_free char *name = assay_format("trialSpec.%s[%s]", word, key);

        if (json_is_string(value))
            json_object_set_new(all, name, json_true());
    }
}

/* What an object of Kubernetes can refer to besides: itself, and parameters in Katib's
 * notation.  New reference. */
static json_t *
names_in_template(const json_t *names, const json_t *template)
{
    static const char *const own[] = {"trialSpec.Name", "trialSpec.Namespace", "trialSpec.Kind",
                                      "trialSpec.APIVersion"};
    json_t *all = json_object();
    const char *name;
    json_t *value;

    assay_json_each (names, name, value) {
        assay_auto_free char *katibs = assay_format("trialParameters.%s", name);

        json_object_set(all, name, value);
        json_object_set(all, katibs, value);
    }
    for (size_t i = 0; i < ASSAY_COUNT(own); i++)
        json_object_set_new(all, own[i], json_true());
    add_meta_of(all, template, "labels", "Labels");
    add_meta_of(all, template, "annotations", "Annotations");
    return all;
}

void
assay__trial_spec_check_references(const struct assay_trial_spec *trial, const json_t *names,
                                   struct assay_faults *faults)
{
    json_auto_t *in_template = NULL;

    for (size_t i = 0; i < trial->n_command; i++) {
        assay_auto_free char *at = assay_pointer_index("/trial/command", i);

        check_text(trial->command[i], at, names, faults);
    }
    check_tree(trial->environment, "/trial/environment", 0, names, faults);
    in_template = names_in_template(names, json_object_get(trial->kubernetes, "template"));
    check_tree(trial->kubernetes, "/trial/kubernetes", 0, in_template, faults);
}

/* As in the name of a variable: letters large, everything but letters and digits "_". */
static bool
same_variable(const char *a, const char *b)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        int x = isalnum((unsigned char)*a) ? toupper((unsigned char)*a) : '_';
        int y = isalnum((unsigned char)*b) ? toupper((unsigned char)*b) : '_';

        if (x != y)
            return false;
    }
    return *a == *b;
}

void
assay__check_variables(const struct assay_space *space, struct assay_faults *faults)
{
    for (size_t i = 1; i < space->n_parameters; i++) {
        const char *name = space->parameters[i].name;

        for (size_t k = 0; k < i; k++) {
            const char *other = space->parameters[k].name;
            assay_auto_free char *at = assay_format("/parameters/%zu/name", i);
            json_auto_t *found = json_string(name);

            if (strcmp(name, other) != 0 && same_variable(name, other))
                assay_fault_add(faults, at, found, "names that differ in letters or digits",
                                "a trial could not tell %s from %s: both would be the same "
                                "variable ASSAY_PARAM_…",
                                name, other);
        }
    }
}
