/* The dashboard's files, read once at the start: a request chooses among them by
 * name and never reaches the file system.  Immutable; any thread. */
#ifndef ASSAY_API_DASHBOARD_H
#define ASSAY_API_DASHBOARD_H

#include "common/error.h"

struct assay_dashboard_file {
    const char *name;         /* "app.js" */
    const char *content_type;
    char *bytes;              /* NULL: the file was not there */
    size_t length;
    char etag[36];
};

struct assay_dashboard;

/* Files that are missing are answered with 404, so an API without a dashboard
 * works.  `directory` may be NULL. */
struct assay_dashboard *assay_dashboard_read(const char *directory);
struct assay_dashboard *assay_dashboard_free(struct assay_dashboard *dashboard);
/* NULL when there is none of that name; "" is index.html. */
const struct assay_dashboard_file *assay_dashboard_find(const struct assay_dashboard *dashboard,
                                                        const char *name);

#endif
