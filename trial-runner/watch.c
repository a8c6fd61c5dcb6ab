#include "trial-runner/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "trial-runner/metric_intake.h"

/* How often it is looked whether all was told, once there is nothing more to read. */
#define LOOK_MS 20

static int
open_signals(void)
{
    sigset_t mask;
    int fd;

    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    signal(SIGPIPE, SIG_IGN);
    fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    ASSAY_ASSERT(fd >= 0);
    return fd;
}

/* Waits; true when a signal asks us to end. */
static bool
wait_ms(int signal_fd, int64_t time_ms)
{
    struct pollfd item = {.fd = signal_fd, .events = POLLIN};

    if (poll(&item, 1, (int)time_ms) < 0 && errno != EINTR)
        ASSAY_BUG("poll");
    return item.revents != 0;
}

int
assay_watch_run(const struct assay_job *job)
{
    assay_auto_close int signal_fd = open_signals();
    assay_auto_close int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assay_auto_free char *ca_path = assay_job_file(job, ASSAY_JOB_CA_FILE);
    struct assay_metric_intake *intake;
    struct assay_metric_source *source;
    struct assay_reporter *reporter;
    struct assay_error err = {0};

    ASSAY_ASSERT(wake_fd >= 0);
    if (assay_metric_intake_new(job, &intake, &err) < 0 ||
        (job->ca != NULL &&
         assay_file_replace(ca_path, job->ca, strlen(job->ca), 0644, &err) < 0)) {
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
        return EXIT_FAILURE;
    }
    reporter = assay_reporter_new(job, wake_fd);
    assay_metric_intake_set_reporter(intake, reporter);
    source = assay_metric_intake_source(intake, "/");
    while (source != NULL && !wait_ms(signal_fd, ASSAY_METRIC_SOURCE_POLL_US / 1000)) {
        assay_metric_source_poll(source, false);
        assay_metric_intake_flush(intake);
    }
    if (source != NULL)
        assay_metric_source_poll(source, true);
    assay_metric_intake_flush(intake);
    /* Whoever loses patience kills us, and finds that we did not end with 0. */
    while (!assay_reporter_get_idle(reporter))
        poll(NULL, 0, LOOK_MS);
    assay_reporter_free(reporter);
    assay_metric_source_free(source);
    assay_metric_intake_free(intake);
    return 0;
}
