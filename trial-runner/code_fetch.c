#include "trial-runner/code_fetch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"

struct fetch {
    const char *url, *revision;
    const char *data_dir, *directory;
    mode_t mode; /* of folders */
};

/* Runs git with the arguments and our output; true when it exits with 0.
 * `quiet`: nothing of what it says is shown. */
static bool
run_git(const char *const *arguments, bool quiet)
{
    const char *argv[16] = {"git"};
    size_t n = 1;
    int status;
    pid_t pid;

    for (; *arguments != NULL; arguments++) {
        ASSAY_ASSERT(n + 1 < ASSAY_COUNT(argv));
        argv[n++] = *arguments;
    }
    pid = fork();
    if (pid == 0) {
        char **copy = assay_memdup(argv, sizeof argv);
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (quiet && (dup2(null, 1) < 0 || dup2(null, 2) < 0))
            _exit(127);
        execvp("git", copy);
        fprintf(stderr, "git can not be started: %s\n", strerror(errno));
        fflush(stderr);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

#define GIT(...) run_git((const char *const[]){__VA_ARGS__, NULL}, false)
#define GIT_QUIET(...) run_git((const char *const[]){__VA_ARGS__, NULL}, true)

static bool
is_commit_id(const char *revision)
{
    size_t n = strlen(revision);

    for (const char *p = revision; *p != '\0'; p++) {
        if (!isxdigit((unsigned char)*p))
            return false;
    }
    return n == 40 || n == 64;
}

/* Never a question to a terminal nobody sees, never a transport that runs programs. */
static void
set_git_environment(const char *index)
{
    setenv("GIT_TERMINAL_PROMPT", "0", 1);
    setenv("GIT_SSH_COMMAND", "ssh -oBatchMode=yes", 0);
    setenv("GIT_ALLOW_PROTOCOL", "https:http:ssh:git:file", 1);
    setenv("GIT_INDEX_FILE", index, 1);
    setenv("LC_ALL", "C", 1);
    unsetenv("GIT_DIR");
    unsetenv("GIT_WORK_TREE");
}

/* The commit to check out, by a name git knows in the cache: fetched where needed. */
static const char *
bring(const struct fetch *fetch, const char *git_dir)
{
    const char *revision = fetch->revision != NULL ? fetch->revision : "HEAD";
    bool by_id = is_commit_id(revision);
    assay_auto_free char *commit = assay_format("%s^{commit}", revision);

    if (by_id && GIT_QUIET(git_dir, "cat-file", "-e", commit))
        return revision;
    /* One commit is enough; servers that give out no single commits are asked for
     * all branches and tags. */
    if (GIT_QUIET(git_dir, "fetch", "--quiet", "--depth=1", "--no-tags", "--", fetch->url,
                  revision))
        return "FETCH_HEAD";
    if (!GIT(git_dir, "fetch", "--quiet", "--force", "--", fetch->url, "+refs/heads/*:refs/heads/*",
             "+refs/tags/*:refs/tags/*"))
        return NULL;
    if (!GIT(git_dir, "rev-parse", "--verify", "--quiet", commit)) {
        fprintf(stderr, "there is no revision \"%s\"\n", revision);
        return NULL;
    }
    return revision;
}

static bool
check_out(const struct fetch *fetch, const char *cache)
{
    assay_auto_free char *git_dir = assay_format("--git-dir=%s", cache);
    assay_auto_free char *work_tree = assay_format("--work-tree=%s", fetch->directory);
    const char *commit;

    if (access(cache, F_OK) != 0 && !GIT("init", "--quiet", "--bare", "--", cache))
        return false;
    commit = bring(fetch, git_dir);
    return commit != NULL && GIT("-c", "core.bare=false", git_dir, work_tree, "checkout", "--force",
                                 "--quiet", commit, "--", ".");
}

bool
assay_code_fetch(const struct assay_job *job, const char *directory)
{
    const struct fetch request = {.url = job->git_url,
                                  .revision = job->git_revision,
                                  .data_dir = job->data_dir,
                                  .directory = directory,
                                  .mode = job->pod ? 0777 : 0700};
    const struct fetch *fetch = &request;
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    assay_auto_free char *cache = NULL;
    assay_auto_free char *lock = NULL;
    assay_auto_free char *index = assay_format("%s.index", fetch->directory);
    assay_auto_free char *folder = assay_format("%s/code", fetch->data_dir);
    assay_auto_close int fd = -1;
    struct assay_error err = {0};
    bool fine;

    for (const char *p = fetch->url; *p != '\0'; p++)
        hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    cache = assay_format("%s/%016" PRIx64, folder, hash);
    lock = assay_format("%s.lock", cache);
    if (fetch->url[0] == '-' || (fetch->revision != NULL && fetch->revision[0] == '-')) {
        fprintf(stderr, "an address or revision can not begin with \"-\"\n");
        return false;
    }
    if (assay_make_directories(folder, fetch->mode, &err) < 0 ||
        assay_make_directories(fetch->directory, fetch->mode, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return false;
    }
    fd = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        fprintf(stderr, "%s: %s\n", lock, strerror(errno));
        return false;
    }
    set_git_environment(index);
    fine = check_out(fetch, cache);
    unlink(index);
    return fine;
}
