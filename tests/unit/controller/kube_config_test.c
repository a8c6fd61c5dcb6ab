/* Kubeconfig files, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/memory.h"
#include "controller/kube_api/config.h"

static char folder[] = "/tmp/kube-config-XXXXXX";

static char *
path_of(const char *name)
{
    return assay_format("%s/%s", folder, name);
}

static void
write_file(const char *name, const char *text)
{
    assay_auto_free char *path = path_of(name);
    struct assay_error err = {0};

    assert_int_equal(assay_file_write(path, text, strlen(text), 0600, &err), ASSAY_OK);
}

static int
setup(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    struct assay_error err = {0};

    (void)state;
    return assay_remove_tree(folder, &err);
}

#define CLUSTER "clusters: [{name: c, cluster: {server: 'https://h:6443/', " \
                "certificate-authority: ca.crt}}]\n"
#define CONTEXTS "contexts: [{name: one, context: {cluster: c, user: u, namespace: tuning}}, " \
                 "{name: two, context: {cluster: c, user: v}}]\n"
#define USERS "users: [{name: u, user: {token: abc}}, {name: v, user: {tokenFile: token}}]\n"

static void
contexts(void **state)
{
    assay_auto_free char *path = path_of("config"), *token = NULL, *fresh = NULL;
    struct assay_kube_config *config;
    struct assay_error err = {0};

    (void)state;
    write_file("ca.crt", "-----BEGIN CERTIFICATE-----\n");
    write_file("token", "first\n");
    write_file("config", "current-context: one\n" CLUSTER CONTEXTS USERS);
    assert_int_equal(assay_kube_config_read(path, NULL, &config, &err), ASSAY_OK);
    assert_string_equal(config->server, "https://h:6443");
    assert_string_equal(config->namespace_, "tuning");
    assert_string_equal(config->token, "abc");
    assert_string_equal(config->ca, "-----BEGIN CERTIFICATE-----\n"); /* beside the file */
    assay_kube_config_free(config);

    assert_int_equal(assay_kube_config_read(path, "two", &config, &err), ASSAY_OK);
    assert_string_equal(config->namespace_, "default");
    assert_int_equal(assay_kube_config_token(config, &token, &err), ASSAY_OK);
    assert_string_equal(token, "first");
    write_file("token", "second\n"); /* it rotates */
    assert_int_equal(assay_kube_config_token(config, &fresh, &err), ASSAY_OK);
    assert_string_equal(fresh, "second");
    assay_kube_config_free(config);
}

static void
inline_data(void **state)
{
    assay_auto_free char *path = path_of("inline");
    struct assay_kube_config *config;
    struct assay_error err = {0};

    (void)state;
    write_file("inline",
               "current-context: one\nclusters: [{name: c, cluster: {server: 'http://h', "
               "certificate-authority-data: aGVsbG8=}}]\n" CONTEXTS
               "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, "
               "command: get-token, args: [--cluster, x], env: [{name: A, value: b}]}}}]\n");
    assert_int_equal(assay_kube_config_read(path, NULL, &config, &err), ASSAY_OK);
    assert_string_equal(config->ca, "hello");
    assert_string_equal(config->exec[0], "get-token");
    assert_string_equal(config->exec[2], "x");
    assert_null(config->exec[3]);
    assert_string_equal(config->exec_environment[0], "A=b");
    assay_kube_config_free(config);
}

static const struct {
    const char *text, *context, *sentence;
} bad[] = {
    {"current-context: [", NULL, "bad"},
    {"{}", NULL, "has no current-context"},
    {"current-context: x\n" CLUSTER CONTEXTS, NULL, "has no context \"x\""},
    {"current-context: one\n" CLUSTER CONTEXTS, "three", "has no context \"three\""},
    {"current-context: one\n" CONTEXTS, NULL, "names the cluster \"c\", which is not there"},
    {"current-context: one\n" CLUSTER CONTEXTS
     "users: [{name: u, user: {client-certificate-data: aGVsbG8=}}]\n",
     NULL, "client-certificate and client-key go together"},
    {"current-context: one\n" CLUSTER CONTEXTS "users: [{name: u, user: {auth-provider: {}}}]\n",
     NULL, "use an exec plug-in"},
    {"current-context: one\n" CLUSTER CONTEXTS
     "users: [{name: u, user: {exec: {command: x, apiVersion: v0}}}]\n",
     NULL, "exec has the apiVersion v0"},
    {"current-context: one\nclusters: [{name: c, cluster: {server: 'http://h', "
     "certificate-authority: nowhere.crt}}]\n" CONTEXTS,
     NULL, "nowhere.crt"},
};

static void
faults(void **state)
{
    assay_auto_free char *path = path_of("bad"), *missing = path_of("missing");
    struct assay_kube_config *config = NULL;

    (void)state;
    write_file("ca.crt", "-----BEGIN CERTIFICATE-----\n");
    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        struct assay_error err = {0};

        write_file("bad", bad[i].text);
        if (assay_kube_config_read(path, bad[i].context, &config, &err) !=
                ASSAY_E_INVALID_VALUE &&
            err.message[0] == '\0')
            fail_msg("row %zu was taken", i);
        if (strstr(err.message, bad[i].sentence) == NULL)
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, err.message, bad[i].sentence);
    }
    assert_int_equal(assay_kube_config_read(missing, NULL, &config, &(struct assay_error){0}),
                     ASSAY_E_NOT_FOUND);
}

/* --- in a pod --- */

#define ACCOUNT "/run/secrets/kubernetes.io/serviceaccount"

/* /run as a pod has it, of this process alone.  False when that is not allowed here. */
static bool
make_pods_run(void)
{
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/run", "tmpfs", 0, NULL) == 0;
}

static bool
write_account(const char *name, const char *text)
{
    assay_auto_free char *path = assay_format(ACCOUNT "/%s", name);

    return assay_file_write(path, text, strlen(text), 0600, NULL) == ASSAY_OK;
}

/* What is wrong, as a number; 0 = nothing. */
static int
look_from_a_pod(void)
{
    assay_auto_free char *first = NULL, *second = NULL;
    struct assay_kube_config *config;

    if (assay_kube_config_read(NULL, NULL, &config, NULL) != ASSAY_E_NOT_FOUND)
        return 1; /* not said to be a pod yet */
    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    if (mkdir("/run/secrets", 0700) != 0 || mkdir("/run/secrets/kubernetes.io", 0700) != 0 ||
        mkdir(ACCOUNT, 0700) != 0 || !write_account("ca.crt", "authority") ||
        !write_account("namespace", "tune\n") || !write_account("token", "one\n"))
        return 2;
    if (assay_kube_config_read(NULL, NULL, &config, NULL) != ASSAY_OK)
        return 3;
    if (strcmp(config->server, "https://[fd00::1]:443") != 0 ||
        strcmp(config->namespace_, "tune") != 0 || strcmp(config->ca, "authority") != 0 ||
        strcmp(config->origin, "the service account") != 0)
        return 4;
    if (assay_kube_config_token(config, &first, NULL) != ASSAY_OK || strcmp(first, "one") != 0)
        return 5;
    if (!write_account("token", "two\n") || /* rotated */
        assay_kube_config_token(config, &second, NULL) != ASSAY_OK || strcmp(second, "two") != 0)
        return 6;
    assay_kube_config_free(config);
    return 0;
}

#define NOT_ALLOWED 77

static void
in_a_pod(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        setenv("KUBECONFIG", "/nonexistent/config", 1);
        unsetenv("KUBERNETES_SERVICE_HOST");
        _exit(make_pods_run() ? look_from_a_pod() : NOT_ALLOWED);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_ALLOWED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contexts),
        cmocka_unit_test(inline_data),
        cmocka_unit_test(faults),
        cmocka_unit_test(in_a_pod),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
