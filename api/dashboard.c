#include "api/dashboard.h"

#include "api/header.h"
#include "common/file.h"
#include "common/memory.h"

#define FILE_BYTES_MAX ((size_t)8 << 20)

static const struct assay_dashboard_file known[] = {
    {.name = "index.html", .content_type = "text/html; charset=utf-8"},
    {.name = "app.js", .content_type = "text/javascript; charset=utf-8"},
    {.name = "app.css", .content_type = "text/css; charset=utf-8"},
    {.name = "favicon.svg", .content_type = "image/svg+xml"},
};

struct assay_dashboard {
    struct assay_dashboard_file files[ASSAY_COUNT(known)];
};

struct assay_dashboard *
assay_dashboard_read(const char *directory)
{
    struct assay_dashboard *dashboard = ASSAY_NEW(struct assay_dashboard);

    for (size_t i = 0; i < ASSAY_COUNT(known); i++) {
        struct assay_dashboard_file *file = &dashboard->files[i];
        assay_auto_free char *path = NULL;

        *file = known[i];
        if (directory == NULL)
            continue;
        path = assay_format("%s/%s", directory, file->name);
        if (assay_file_read(path, FILE_BYTES_MAX, &file->bytes, &file->length, NULL) == ASSAY_OK)
            assay_etag(file->bytes, file->length, file->etag);
    }
    return dashboard;
}

struct assay_dashboard *
assay_dashboard_free(struct assay_dashboard *dashboard)
{
    if (dashboard == NULL)
        return NULL;
    for (size_t i = 0; i < ASSAY_COUNT(known); i++)
        free(dashboard->files[i].bytes);
    free(dashboard);
    return NULL;
}

const struct assay_dashboard_file *
assay_dashboard_find(const struct assay_dashboard *dashboard, const char *name)
{
    if (*name == '\0')
        name = "index.html";
    for (size_t i = 0; i < ASSAY_COUNT(known); i++) {
        if (strcmp(known[i].name, name) == 0)
            return dashboard->files[i].bytes != NULL ? &dashboard->files[i] : NULL;
    }
    return NULL;
}
