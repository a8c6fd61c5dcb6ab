/* assayd: the daemon.  Opens its data directory, starts the private database
 * unless it is given one, takes the database, starts the engine, serves HTTP, and
 * then watches over the database until it is told to end.
 *
 * Killed at any point it leaves nothing that the next start can not continue. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "api/data_dir.h"
#include "api/server.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/memory.h"
#include "controller/host/apart.h"
#include "schemas/config.h"
#include "sql/cluster.h"
#include "suggest/registry.h"
#include "suggest/remote_policy.h"

#define VERSION "0.1.0"

#define HTTP_THREADS 2
#define CONNECTIONS_MAX 2048u
#define IDLE_S 60u
#define FILES_WANTED 65536
/* Connections besides those of the read threads: writer, engine, this thread, psql. */
#define CONNECTIONS_OTHER 8
#define SHARED_BUFFERS_MIB 128
/* How long a change waits for a database that is away. */
#define WRITER_PATIENCE_US (10 * ASSAY_SECOND_US)
#define LOCK_WAIT_US (2 * ASSAY_SECOND_US)
#define DRAIN_US (15 * ASSAY_SECOND_US)
#define RETRY_MS 1000
#define RETRY_US (RETRY_MS * INT64_C(1000))
#define DOWN_LOOK_MS 50
#define RESTART_PAUSE_MAX_US (30 * ASSAY_SECOND_US)
/* A database that ran so long is started again at once. */
#define STEADY_US (60 * ASSAY_SECOND_US)
#define PEM_BYTES_MAX ((size_t)1 << 20)
#define SWEEP_MS 1000
#define ANSWERS_KEPT_US (24 * 3600 * ASSAY_SECOND_US)
#define EXPIRE_EVERY_US (3600 * ASSAY_SECOND_US)
/* Loading a plugin, once, in a process of its own. */
#define PLUGIN_LOAD_US (20 * ASSAY_SECOND_US)
/* A plugin's word on a study that is submitted; on a busy machine its process takes a while. */
#define PLUGIN_CHECK_US (10 * ASSAY_SECOND_US)

struct daemon {
    struct assay_config config;
    struct assay_data_dir dir;
    char *program_dir;
    char *suggest_program;
    const char **suggest_arguments; /* for each assay-suggest, NULL-terminated */
    const char *relay_arguments[7]; /* for those that are relays; [0] NULL = none are */
    char *token;
    int signals; /* signalfd */
    int lost;    /* eventfd: another daemon has the database */

    struct assay_cluster *cluster; /* NULL with --database */
    char *database_url;
    int64_t cluster_started_us;
    int64_t restart_pause_us, restart_at_us; /* restart_at_us: 0 = it runs */

    struct assay_server *server;
    struct assay_store *store; /* this thread's */
    char *trial_token_key;
    struct assay_writer *writer;
    struct assay_notifier *notifier;
    struct assay_engine *engine;
    struct assay_service service;
    int64_t expire_at_us;
};

/* --- preparations */

static void
limit_memory(void)
{
    /* Few arenas and a fixed threshold: what a burst of requests took goes back to
     * the system. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 << 10);
    mallopt(M_TRIM_THRESHOLD, 512 << 10);
}

static void
raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= FILES_WANTED)
        return;
    limit.rlim_cur = ASSAY_MIN(limit.rlim_max, (rlim_t)FILES_WANTED);
    setrlimit(RLIMIT_NOFILE, &limit);
}

static char *
program_directory(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    char *slash = path != NULL ? strrchr(path, '/') : NULL;

    if (slash == NULL)
        return assay_strdup("/usr/bin");
    *slash = '\0';
    return path;
}

/* Installed beside the programs, or in the build tree; NULL when there is none. */
static char *
dashboard_directory(const struct daemon *daemon)
{
    static const char *const places[] = {"../share/assay/dashboard", "../dashboard"};

    if (daemon->config.no_dashboard)
        return NULL;
    for (size_t i = 0; i < ASSAY_COUNT(places); i++) {
        char *path = assay_format("%s/%s", daemon->program_dir, places[i]);
        assay_auto_free char *index = assay_format("%s/index.html", path);

        if (access(index, R_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* Signals come through a descriptor, on this thread only. */
static assay_status
catch_signals(struct daemon *daemon, struct assay_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    daemon->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    daemon->lost = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (daemon->signals < 0 || daemon->lost < 0)
        return assay_fail_errno(err, errno, "preparing for signals");
    return ASSAY_OK;
}

/* Whether the daemon was told to end (SIGHUP has nothing to reload and is no end). */
static bool
told_to_end(struct daemon *daemon)
{
    struct signalfd_siginfo signal_info;

    while (read(daemon->signals, &signal_info, sizeof(signal_info)) ==
           (ssize_t)sizeof(signal_info)) {
        if (signal_info.ssi_signo == SIGHUP)
            continue;
        assay_log(ASSAY_LOG_INFO, "ending: %s",
                  signal_info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
        return true;
    }
    return false;
}

/* --- plugins */

/* Asked on a thread that may block (a study is checked where it is stored). */
static char *
ask_plugin(void *arg, const json_t *study)
{
    const struct daemon *daemon = arg;
    const struct assay_suggest_apart apart = {
        .program = daemon->suggest_program,
        .arguments = daemon->suggest_arguments,
        .timeout_us = PLUGIN_CHECK_US,
    };
    struct assay_error err = {0};
    json_auto_t *answer = NULL;
    const json_t *fault;

    if (assay_suggest_apart_ask(&apart, "--check-study", study, &answer, &err) != ASSAY_OK)
        return assay_format("the plugin could not say whether it can serve this study: %s",
                            err.message);
    fault = json_object_get(answer, "error");
    if (fault == NULL)
        fault = json_object_get(answer, "fault");
    return assay_strdup(json_string_value(fault));
}

/* First in a process of its own: what crashes there must not crash here. */
static assay_status
load_plugin(const struct daemon *daemon, const char *path, struct assay_error *err)
{
    const char *const arguments[] = {"--plugin", path, NULL};
    const struct assay_suggest_apart apart = {
        .program = daemon->suggest_program, .arguments = arguments, .timeout_us = PLUGIN_LOAD_US};
    json_auto_t *answer = NULL;
    const char *fault;

    if (assay_suggest_apart_ask(&apart, "--describe", NULL, &answer, err) != ASSAY_OK)
        return assay_wrap(err, "plugin %s", path);
    fault = json_string_value(json_object_get(answer, "error"));
    if (fault != NULL)
        return assay_fail(err, ASSAY_E_PLUGIN, "%s", fault);
    return assay_registry_load(path, err);
}

/* What users bring: plugins, and the right to call remote algorithms. */
static assay_status
load_plugins(struct daemon *daemon, struct assay_error *err)
{
    static const char *const remote_policies[] = {
        [ASSAY_CONFIG_REMOTE_ALGORITHMS_NONE] = "none",
        [ASSAY_CONFIG_REMOTE_ALGORITHMS_LOOPBACK] = "loopback",
        [ASSAY_CONFIG_REMOTE_ALGORITHMS_ANY] = "any",
    };
    const struct assay_config_list *plugins = &daemon->config.plugins;
    size_t n = 0;

    daemon->suggest_program = assay_format("%s/assay-suggest", daemon->program_dir);
    daemon->suggest_arguments =
        assay_zalloc(2 * plugins->count + 3, sizeof *daemon->suggest_arguments);
    daemon->suggest_arguments[n++] = "--remote-algorithms";
    daemon->suggest_arguments[n++] = remote_policies[daemon->config.remote_algorithms];
    assay_remote_set_policy((enum assay_remote_policy)daemon->config.remote_algorithms);
    for (size_t i = 0; i < plugins->count; i++) {
        assay_status status = load_plugin(daemon, plugins->items[i], err);

        if (status != ASSAY_OK)
            return status;
        assay_log(ASSAY_LOG_INFO, "loaded the plugin %s", plugins->items[i]);
        daemon->suggest_arguments[n++] = "--plugin";
        daemon->suggest_arguments[n++] = plugins->items[i];
    }
    assay_registry_set_apart(ask_plugin, daemon);
    return ASSAY_OK;
}

/* --- HTTP */

static assay_status
read_pem(const char *path, char **ret_text, struct assay_error *err)
{
    return path != NULL ? assay_file_read(path, PEM_BYTES_MAX, ret_text, NULL, err) : ASSAY_OK;
}

/* With --suggest-connect.  What can be wrong with its files is better said now than with each
 * connection. */
static assay_status
prepare_relays(struct daemon *daemon, struct assay_error *err)
{
    const struct assay_config *config = &daemon->config;
    assay_auto_free char *ca = NULL;
    assay_auto_free char *token = NULL;
    assay_status status = ASSAY_OK;
    size_t n = 0;

    if (config->suggest_connect == NULL)
        return ASSAY_OK;
    daemon->relay_arguments[n++] = "--connect";
    daemon->relay_arguments[n++] = config->suggest_connect;
    daemon->relay_arguments[n++] = "--token-file";
    daemon->relay_arguments[n++] = config->suggest_token_file;
    if (config->suggest_ca != NULL) {
        daemon->relay_arguments[n++] = "--ca";
        daemon->relay_arguments[n++] = config->suggest_ca;
        status = read_pem(config->suggest_ca, &ca, err);
    }
    if (status == ASSAY_OK)
        status = assay_file_read_line(config->suggest_token_file, &token, err);
    return status == ASSAY_OK ? status : assay_wrap(err, "--suggest-connect");
}

static assay_status
start_server(struct daemon *daemon, struct assay_error *err)
{
    assay_auto_free char *dashboard = dashboard_directory(daemon);
    assay_auto_free char *certificate = NULL;
    assay_auto_free char *key = NULL;
    struct assay_server_options options = {
        .listen = daemon->config.listen,
        .admin_token = daemon->token,
        .dashboard_dir = dashboard,
        .threads = HTTP_THREADS,
        .read_threads = (int)daemon->config.read_threads,
        .connections_max = CONNECTIONS_MAX,
        .body_bytes_max = (size_t)daemon->config.max_body_bytes,
        .idle_s = IDLE_S,
    };
    assay_status status = read_pem(daemon->config.tls_cert, &certificate, err);

    if (status == ASSAY_OK)
        status = read_pem(daemon->config.tls_key, &key, err);
    if (status != ASSAY_OK)
        return status;
    options.certificate_pem = certificate;
    options.key_pem = key;
    return assay_server_start(&options, &daemon->server, err);
}

/* --- the database */

static assay_status
start_database(struct daemon *daemon, struct assay_error *err)
{
    assay_auto_free char *directory = assay_data_dir_file(&daemon->dir, "database");
    struct assay_cluster_options options = {
        .directory = directory,
        .bin = daemon->config.postgres_bin,
        .connections = (int)daemon->config.read_threads + CONNECTIONS_OTHER,
        .shared_buffers_mib = SHARED_BUFFERS_MIB,
    };
    assay_status status;

    if (daemon->config.database != NULL) {
        daemon->database_url = assay_strdup(daemon->config.database);
        return ASSAY_OK;
    }
    assay_server_set_cause(daemon->server, "the database is starting");
    status = assay_cluster_start(&options, &daemon->cluster, err);
    if (status != ASSAY_OK)
        return status;
    daemon->cluster_started_us = assay_monotonic_us();
    daemon->database_url = assay_strdup(assay_cluster_url(daemon->cluster));
    return ASSAY_OK;
}

static void
on_lost(void *arg)
{
    struct daemon *daemon = arg;
    uint64_t one = 1;

    if (write(daemon->lost, &one, sizeof(one)) < 0)
        assay_log(ASSAY_LOG_ERROR, "the main thread can not be woken: %s", strerror(errno));
}

static bool
is_lost(const struct daemon *daemon)
{
    struct pollfd lost = {.fd = daemon->lost, .events = POLLIN};

    return poll(&lost, 1, 0) > 0;
}

static assay_status
take_database(struct daemon *daemon, struct assay_error *err)
{
    const struct assay_writer_options options = {
        .url = daemon->database_url,
        .patience_us = WRITER_PATIENCE_US,
        .lost = on_lost,
        .lost_arg = daemon,
    };
    assay_auto_free char *fresh = assay_auth_new_token();
    assay_status status = assay_store_migrate(daemon->store, err);

    if (status == ASSAY_E_CONFLICT) {
        /* A newer schema stays so however long one waits. */
        err->status = ASSAY_E_INVALID_VALUE;
        return ASSAY_E_INVALID_VALUE;
    }
    if (status == ASSAY_OK && daemon->trial_token_key == NULL)
        status = assay_store_setting(daemon->store, "trial_token_key", fresh,
                                     &daemon->trial_token_key, err);
    if (status == ASSAY_OK && daemon->writer == NULL)
        status = assay_writer_start(&options, LOCK_WAIT_US, &daemon->writer, err);
    return status;
}

static void
restart_database(struct daemon *daemon)
{
    struct assay_error err = {0};

    if (assay_cluster_restart(daemon->cluster, &err) == ASSAY_OK) {
        assay_log(ASSAY_LOG_INFO, "the database runs again, process %ld",
                  (long)assay_cluster_pid(daemon->cluster));
        daemon->cluster_started_us = assay_monotonic_us();
        daemon->restart_at_us = 0;
        return;
    }
    daemon->restart_pause_us = ASSAY_MIN(ASSAY_MAX(daemon->restart_pause_us * 2, RETRY_US),
                                         RESTART_PAUSE_MAX_US);
    daemon->restart_at_us = assay_monotonic_us() + daemon->restart_pause_us;
    assay_log(ASSAY_LOG_ERROR, "the database can not be started, next try in %lld s: %s",
              (long long)(daemon->restart_pause_us / ASSAY_SECOND_US), err.message);
}

static void
on_database_end(struct daemon *daemon)
{
    int64_t now_us = assay_monotonic_us();

    assay_log(ASSAY_LOG_WARNING, "the database has ended, starting it again");
    if (now_us - daemon->cluster_started_us > STEADY_US)
        daemon->restart_pause_us = 0;
    daemon->restart_at_us = now_us + daemon->restart_pause_us;
    daemon->restart_pause_us = ASSAY_MIN(ASSAY_MAX(daemon->restart_pause_us * 2, RETRY_US),
                                         RESTART_PAUSE_MAX_US);
}

/* Waits for so long, and on the database, which is started again when it ends.  True: told to
 * end. */
static bool
tend_database(struct daemon *daemon, int time_ms)
{
    bool is_down = daemon->restart_at_us != 0;
    struct pollfd waits[] = {
        {.fd = daemon->signals, .events = POLLIN},
        {.fd = daemon->lost, .events = POLLIN},
        {.fd = daemon->cluster != NULL && !is_down ? assay_cluster_pidfd(daemon->cluster) : -1,
         .events = POLLIN},
    };

    if (poll(waits, ASSAY_COUNT(waits), is_down ? ASSAY_MIN(time_ms, DOWN_LOOK_MS) : time_ms) < 0 &&
        errno != EINTR)
        assay_log(ASSAY_LOG_ERROR, "waiting for events: %s", strerror(errno));
    if (told_to_end(daemon))
        return true;
    if (waits[2].revents != 0)
        on_database_end(daemon);
    if (daemon->restart_at_us != 0 && assay_monotonic_us() >= daemon->restart_at_us)
        restart_database(daemon);
    return false;
}

/* Waits for a database that is away or another daemon's, saying so on /readyz;
 * false when told to end meanwhile. */
static assay_status
await_database(struct daemon *daemon, bool *ret_ended, struct assay_error *err)
{
    char told[ASSAY_ERROR_MESSAGE_BYTES] = "";

    *ret_ended = false;
    if (daemon->store == NULL)
        daemon->store = assay_store_new(daemon->database_url, "assayd main");
    for (;;) {
        assay_status status = take_database(daemon, err);

        if (status != ASSAY_E_UNAVAILABLE && status != ASSAY_E_CONFLICT &&
            status != ASSAY_E_TIMEOUT)
            return status;
        assay_server_set_cause(daemon->server, err->message);
        if (strcmp(told, err->message) != 0)
            assay_log(ASSAY_LOG_WARNING, "waiting for the database: %s", err->message);
        snprintf(told, sizeof(told), "%s", err->message);
        *err = (struct assay_error){0};
        if (tend_database(daemon, RETRY_MS)) {
            *ret_ended = true;
            return ASSAY_OK;
        }
        if (is_lost(daemon))
            return assay_fail(err, ASSAY_E_CONFLICT, "another daemon has taken over the database");
    }
}

/* --- the engine */

static assay_status
start_engine(struct daemon *daemon, struct assay_error *err)
{
    const struct assay_engine_options options = {
        .database_url = daemon->database_url,
        .writer = daemon->writer,
        .notifier = daemon->notifier,
        .data_dir = daemon->dir.path,
        .program_dir = daemon->program_dir,
        .trial_token_key = daemon->trial_token_key,
        .suggest_workers = (int)daemon->config.workers,
        .suggest_memory_bytes = daemon->config.suggest_memory_bytes,
        .suggest_deadline_us = daemon->config.suggest_deadline_us,
        .suggest_arguments = daemon->suggest_arguments,
        .suggest_relay_arguments =
            daemon->relay_arguments[0] != NULL ? daemon->relay_arguments : NULL,
        .pretend_gpus = (int)daemon->config.pretend_gpus,
        .trial_log_bytes = daemon->config.trial_log_bytes,
        .kubernetes =
            {
                .kubeconfig = daemon->config.kubeconfig,
                .context = daemon->config.kube_context,
                .namespace_ = daemon->config.kube_namespace,
                .owner = daemon->config.kube_owner,
                .url = daemon->config.kube_url,
                .url_ca = daemon->config.kube_url_ca,
                .runner_image = daemon->config.kube_runner_image,
                .qps = daemon->config.kube_qps,
                .burst = daemon->config.kube_burst,
            },
    };

    return assay_engine_start(&options, &daemon->engine, err);
}

/* From here on the address is known: attempts that the engine starts need it, and
 * who finds it first waits the moment until the engine is there. */
static assay_status
open_service(struct daemon *daemon, struct assay_error *err)
{
    assay_auto_free char *pid = assay_format("%ld", (long)getpid());
    assay_status status;

    if (daemon->notifier == NULL)
        daemon->notifier = assay_notifier_new();
    assay_server_hold(daemon->server);
    status = assay_data_dir_write(&daemon->dir, "pid", pid, err);
    if (status == ASSAY_OK)
        status = assay_data_dir_write(&daemon->dir, "url", assay_server_url(daemon->server), err);
    if (status == ASSAY_OK)
        status = assay_data_dir_write(&daemon->dir, ASSAY_TRIALS_URL_FILE,
                                      assay_server_trials_url(daemon->server), err);
    if (status == ASSAY_OK)
        status = start_engine(daemon, err);
    if (status != ASSAY_OK)
        return status;
    daemon->service = (struct assay_service){
        .engine = daemon->engine,
        .writer = daemon->writer,
        .notifier = daemon->notifier,
        .database_url = daemon->database_url,
        .data_dir = daemon->dir.path,
        .trial_token_key = daemon->trial_token_key,
    };
    assay_server_serve(daemon->server, &daemon->service);
    return ASSAY_OK;
}

/* The database may go again before the engine has read all that it needs; as await_database. */
static assay_status
open_with_database(struct daemon *daemon, bool *ret_ended, struct assay_error *err)
{
    for (;;) {
        assay_status status = await_database(daemon, ret_ended, err);

        if (status != ASSAY_OK || *ret_ended)
            return status;
        status = open_service(daemon, err);
        if (status != ASSAY_E_UNAVAILABLE)
            return status;
        assay_log(ASSAY_LOG_WARNING, "the engine can not start, trying again: %s", err->message);
        *err = (struct assay_error){0};
        if (tend_database(daemon, RETRY_MS)) {
            *ret_ended = true;
            return ASSAY_OK;
        }
    }
}

/* --- watching */

static void
expire_answers(struct daemon *daemon)
{
    int64_t now_us = assay_monotonic_us();
    struct assay_error err = {0};

    if (now_us < daemon->expire_at_us)
        return;
    daemon->expire_at_us = now_us + EXPIRE_EVERY_US;
    if (assay_store_idempotency_expire(daemon->store, ANSWERS_KEPT_US, &err) !=
        ASSAY_OK)
        assay_log(ASSAY_LOG_WARNING, "old answers are not removed: %s", err.message);
}

/* Until told to end; the exit code. */
static int
watch(struct daemon *daemon)
{
    for (;;) {
        if (tend_database(daemon, SWEEP_MS))
            return 0;
        if (is_lost(daemon)) {
            assay_log(ASSAY_LOG_ERROR, "another daemon has taken over the database; ending");
            return 1;
        }
        assay_server_sweep(daemon->server);
        if (daemon->restart_at_us == 0)
            expire_answers(daemon);
    }
}

/* --- end */

static void
close_all(struct daemon *daemon)
{
    /* The runners tell their results over HTTP: it ends after them. */
    if (daemon->engine != NULL && !assay_engine_drain(daemon->engine, DRAIN_US))
        assay_log(ASSAY_LOG_INFO, "some trials go on; the next start takes them over");
    if (daemon->server != NULL) {
        assay_data_dir_remove(&daemon->dir, "url");
        assay_data_dir_remove(&daemon->dir, ASSAY_TRIALS_URL_FILE);
        assay_server_drain(daemon->server);
    }
    assay_server_stop(daemon->server);
    if (daemon->engine != NULL)
        assay_engine_stop(daemon->engine);
    if (daemon->writer != NULL)
        assay_writer_stop(daemon->writer);
    assay_notifier_free(daemon->notifier);
    assay_store_free(daemon->store);
    if (daemon->cluster != NULL)
        assay_cluster_stop(daemon->cluster);
    if (daemon->dir.path != NULL) {
        assay_data_dir_remove(&daemon->dir, "pid");
        assay_data_dir_close(&daemon->dir);
    }
    free(daemon->trial_token_key);
    free(daemon->database_url);
    free(daemon->token);
    free(daemon->suggest_program);
    free(daemon->suggest_arguments);
    free(daemon->program_dir);
    assay_close(&daemon->signals);
    assay_close(&daemon->lost);
}

static int
serve(struct daemon *daemon)
{
    int64_t start_us = assay_monotonic_us();
    struct assay_error err = {0};
    bool ended = false;
    assay_status status = catch_signals(daemon, &err);

    if (status == ASSAY_OK)
        status = assay_data_dir_open(daemon->config.data, &daemon->dir, &err);
    if (status == ASSAY_E_CONFLICT) {
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
        return ASSAY_DAEMON_EXIT_TAKEN;
    }
    if (status == ASSAY_OK) {
        /* What a killed daemon left behind points nowhere. */
        assay_data_dir_remove(&daemon->dir, "url");
        assay_data_dir_remove(&daemon->dir, ASSAY_TRIALS_URL_FILE);
        status = assay_data_dir_token(&daemon->dir, &daemon->token, &err);
    }
    if (status == ASSAY_OK)
        status = start_server(daemon, &err);
    if (status == ASSAY_OK)
        status = start_database(daemon, &err);
    if (status == ASSAY_OK)
        status = open_with_database(daemon, &ended, &err);
    if (status == ASSAY_OK && ended)
        return 0;
    if (status != ASSAY_OK) {
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
        return 1;
    }
    assay_log(ASSAY_LOG_INFO, "serving %s from %s, ready after %.3f s",
              assay_server_url(daemon->server), daemon->dir.path,
              (double)(assay_monotonic_us() - start_us) / (double)ASSAY_SECOND_US);
    return watch(daemon);
}

int
main(int argc, char **argv)
{
    struct daemon daemon = {.signals = -1, .lost = -1, .dir = {.lock_fd = -1}};
    enum assay_config_request request;
    struct assay_error err = {0};
    int code;

    limit_memory();
    if (assay_config_load(argc, argv, &daemon.config, &request, &err) != ASSAY_OK) {
        fprintf(stderr, "assayd: %s\n", err.message);
        return 2;
    }
    if (request == ASSAY_CONFIG_HELP) {
        assay_auto_free char *help = assay_config_help();

        fputs(help, stdout);
    } else if (request == ASSAY_CONFIG_VERSION) {
        puts("assayd " VERSION);
    }
    if (request != ASSAY_CONFIG_START) {
        assay_config_done(&daemon.config);
        return 0;
    }
    assay_log_init("assayd", (enum assay_log_level)daemon.config.log_level,
                   daemon.config.log_format == ASSAY_CONFIG_LOG_FORMAT_JSON);
    raise_file_limit();
    daemon.program_dir = program_directory();
    if (load_plugins(&daemon, &err) == ASSAY_OK && prepare_relays(&daemon, &err) == ASSAY_OK) {
        code = serve(&daemon);
    } else {
        assay_log(ASSAY_LOG_ERROR, "%s", err.message);
        code = 2;
    }
    close_all(&daemon);
    assay_config_done(&daemon.config);
    return code;
}
