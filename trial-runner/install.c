#include "trial-runner/install.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "trial-runner/code_fetch.h"

#define PROGRAM_BYTES_MAX ((size_t)256 << 20)

int
assay_install_run(const char *directory, const char *self, const struct assay_job *job)
{
    const char *from = access("/proc/self/exe", R_OK) == 0 ? "/proc/self/exe" : self;
    assay_auto_free char *to = assay_format("%s/assay-runner", directory);
    assay_auto_free char *program = NULL;
    struct assay_error err = {0};
    size_t length;
    assay_status rc;

    umask(0);
    rc = assay_file_read(from, PROGRAM_BYTES_MAX, &program, &length, &err);
    if (rc == ASSAY_OK)
        rc = assay_file_replace(to, program, length, 0755, &err);
    if (rc < 0) {
        fprintf(stderr, "assay-runner: %s\n", err.message);
        return EXIT_FAILURE;
    }
    if (job != NULL && job->git_url != NULL) {
        assay_auto_free char *code = assay_job_file(job, "code");

        if (!assay_code_fetch(job, code))
            return EXIT_FAILURE;
    }
    return 0;
}
