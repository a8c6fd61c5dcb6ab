/* assay-runner: the program wrapped round the command of one attempt. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/number.h"
#include "trial-runner/install.h"
#include "trial-runner/preparation.h"
#include "trial-runner/runner.h"
#include "trial-runner/watch.h"

#define EXIT_USAGE 2
#define EXIT_LOCKED 75 /* EX_TEMPFAIL of sysexits.h */

static const char usage[] =
    "usage: assay-runner --job PATH [--lock-fd=N] [--start-fd=N] [-- COMMAND...]\n"
    "       assay-runner --watch --job PATH\n"
    "       assay-runner --install DIR [--job PATH]\n"
    "       assay-runner --bring FROM TO\n"
    "\n"
    "Runs one attempt of a trial as its job.json says, and reports to the daemon.\n"
    "The daemon starts it; there is no need to call it by hand.\n"
    "\n"
    "  --lock-fd=N    trial.lock is open as N and locked by the caller\n"
    "  --start-fd=N   gets a line when the command runs\n"
    "  -- COMMAND...  what to run, instead of the job's command\n"
    "  --watch        only reads metrics, of a command that runs beside it\n"
    "  --install DIR  copies this program to DIR, fetches the job's code, and ends\n"
    "  --bring FROM TO  copies a checkpoint into the empty folder TO, and ends\n";

struct options {
    const char *job, *install, *bring_from, *bring_to;
    char *const *command; /* NULL = the job's */
    bool watch;
    int lock_fd, start_fd;
};

static bool
parse_fd(const char *text, int *ret_fd)
{
    int64_t fd;

    if (!assay_parse_int(text, 3, INT32_MAX, &fd))
        return false;
    *ret_fd = (int)fd;
    return fcntl(*ret_fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool
parse_options(int argc, char **argv, struct options *ret_options)
{
    struct options options = {.lock_fd = -1, .start_fd = -1};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--job") == 0 && i + 1 < argc)
            options.job = argv[++i];
        else if (strncmp(argv[i], "--job=", 6) == 0)
            options.job = argv[i] + 6;
        else if (strcmp(argv[i], "--install") == 0 && i + 1 < argc)
            options.install = argv[++i];
        else if (strcmp(argv[i], "--bring") == 0 && i + 2 < argc) {
            options.bring_from = argv[++i];
            options.bring_to = argv[++i];
        } else if (strcmp(argv[i], "--watch") == 0)
            options.watch = true;
        else if (strcmp(argv[i], "--") == 0 && i + 1 < argc) {
            options.command = argv + i + 1;
            break;
        } else if (strncmp(argv[i], "--lock-fd=", 10) == 0) {
            if (!parse_fd(argv[i] + 10, &options.lock_fd))
                return false;
        } else if (strncmp(argv[i], "--start-fd=", 11) == 0) {
            if (!parse_fd(argv[i] + 11, &options.start_fd))
                return false;
        } else {
            return false;
        }
    }
    *ret_options = options;
    if (options.bring_from != NULL)
        return argc == 4;
    return options.install != NULL ? !options.watch && options.command == NULL
                                   : options.job != NULL;
}

/* Takes trial.lock, which lies two folders above the job, and writes our pid into
 * it.  The lock is held until we are gone, by whatever end. */
static int
take_lock(const struct options *options)
{
    assay_auto_free char *real = realpath(options->job, NULL);
    assay_auto_free char *path = NULL;
    int fd = options->lock_fd;
    char *slash = real != NULL ? strrchr(real, '/') : NULL;

    if (slash == NULL) {
        fprintf(stderr, "assay-runner: %s: %s\n", options->job, strerror(errno));
        return EXIT_USAGE;
    }
    *slash = '\0';
    path = assay_format("%s/../trial.lock", real);
    if (fd < 0)
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "assay-runner: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fprintf(stderr, "assay-runner: another runner of this trial holds %s\n", path);
        return EXIT_LOCKED;
    }
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0) {
        fprintf(stderr, "assay-runner: %s: %s\n", path, strerror(errno));
        return EXIT_FAILURE;
    }
    return 0;
}

static int
run(const struct options *options, const struct assay_job *job)
{
    int code;

    if (options->watch)
        return assay_watch_run(job);
    if (job->command[0] == NULL) {
        assay_log(ASSAY_LOG_ERROR, "%s names no command", options->job);
        return EXIT_FAILURE;
    }
    /* A pod is one by its name. */
    code = job->pod ? 0 : take_lock(options);
    return code != 0 ? code : assay_runner_run(job, options->start_fd);
}

int
main(int argc, char **argv)
{
    struct assay_error err = {0};
    struct options options;
    struct assay_job *job = NULL;
    int code;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (options.bring_from != NULL)
        return assay_preparation_bring(options.bring_from, options.bring_to) ? 0 : EXIT_FAILURE;
    assay_log_init("runner", ASSAY_LOG_INFO, false);
    if (options.job != NULL && assay_job_read(options.job, options.command, &job, &err) < 0) {
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
        return EXIT_FAILURE;
    }
    code = options.install != NULL ? assay_install_run(options.install, argv[0], job)
                                   : run(&options, job);
    assay_job_free(job);
    return code;
}
