#include "client/find.h"

#include <pwd.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"

static const char *
variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

char *
assay_find_default_data(void)
{
    const char *base = variable("XDG_DATA_HOME");
    const char *home = variable("HOME");
    struct passwd entry, *found = NULL;
    char names[4096];

    /* The XDG rules say: a relative path counts as not set. */
    if (base != NULL && base[0] == '/')
        return assay_format("%s/assay", base);
    if (home == NULL && getpwuid_r(getuid(), &entry, names, sizeof names, &found) == 0 &&
        found != NULL)
        home = found->pw_dir;
    return assay_format("%s/.local/share/assay", home != NULL ? home : "/");
}

/* Reads DIR/NAME; *ret_text is NULL when there is no such file. */
static assay_status
read_line(const char *directory, const char *name, char **ret_text, struct assay_error *err)
{
    assay_auto_free char *path = assay_format("%s/%s", directory, name);
    char *text = NULL;
    assay_status rc = assay_file_read_line(path, &text, err);

    if (rc == ASSAY_E_NOT_FOUND)
        text = NULL;
    else if (rc < 0)
        return rc;
    *ret_text = text;
    return ASSAY_OK;
}

assay_status
assay_find_target(const struct assay_find_options *options, struct assay_target *ret_target,
                  struct assay_error *err)
{
    struct assay_target target = {0};
    assay_status rc = ASSAY_OK;
    const char *ca_file = options->ca_file != NULL ? options->ca_file : variable("ASSAY_CA_FILE");

    if (options->url != NULL)
        target.url = assay_strdup(options->url);
    else if (options->data != NULL)
        target.data = assay_strdup(options->data);
    else if (variable("ASSAY_URL") != NULL)
        target.url = assay_strdup(variable("ASSAY_URL"));
    else if (variable("ASSAY_DATA") != NULL)
        target.data = assay_strdup(variable("ASSAY_DATA"));
    else
        target.data = assay_find_default_data();

    target.ca_file = assay_strdup(ca_file);
    target.token = assay_strdup(options->token);
    if (target.data != NULL) {
        rc = read_line(target.data, "url", &target.url, err);
        if (rc == ASSAY_OK && target.token == NULL)
            rc = read_line(target.data, "token", &target.token, err);
    }
    if (rc < 0) {
        assay_target_done(&target);
        return rc;
    }
    if (target.token == NULL)
        target.token = assay_strdup(variable("ASSAY_TOKEN"));
    *ret_target = target;
    return ASSAY_OK;
}

void
assay_target_done(struct assay_target *target)
{
    free(target->url);
    if (target->token != NULL)
        explicit_bzero(target->token, strlen(target->token));
    free(target->token);
    free(target->ca_file);
    free(target->data);
    *target = (struct assay_target){0};
}
