#include "tests/unit/schemas/help.h"

#include <unistd.h>

#include "common/file.h"
#include "schemas/config.h"

/* Loads from words separated by single blanks. */
static assay_status
load(const char *words, struct assay_config *config, struct assay_error *err)
{
    assay_auto_free char *copy = assay_format("assayd %s", words);
    enum assay_config_request request;
    char *argv[32];
    int argc = 0;

    for (char *at = copy; at != NULL && *at != '\0';) {
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL)
            *at++ = '\0';
    }
    return assay_config_load(argc, argv, config, &request, err);
}

static void
load_well(const char *words, struct assay_config *config)
{
    struct assay_error err = {0};

    if (load(words, config, &err) < 0)
        fail_msg("%s: %s", words, err.message);
}

static void
defaults_hold(void **state)
{
    struct assay_config config;

    (void)state;
    load_well("", &config);
    assert_null(config.data);
    assert_string_equal(config.listen, "127.0.0.1:7450");
    assert_int_equal(config.log_level, ASSAY_CONFIG_LOG_LEVEL_INFO);
    assert_int_equal(config.pretend_gpus, -1);
    assert_int_equal(config.max_body_bytes, 16 << 20);
    assert_int_equal(config.suggest_deadline_us, 30000000);
    assert_false(config.no_dashboard);
    assay_config_done(&config);
}

static void
the_command_line_is_read(void **state)
{
    struct assay_config config;

    (void)state;
    load_well("--data /x --listen=127.0.0.1:0 --pretend-gpus 4 --no-dashboard --log-format json "
              "--suggest-memory=1Gi --suggest-deadline 1m --insecure-listen=false --data /y",
              &config);
    assert_string_equal(config.data, "/y");
    assert_string_equal(config.listen, "127.0.0.1:0");
    assert_int_equal(config.pretend_gpus, 4);
    assert_true(config.no_dashboard);
    assert_false(config.insecure_listen);
    assert_int_equal(config.log_format, ASSAY_CONFIG_LOG_FORMAT_JSON);
    assert_int_equal(config.suggest_memory_bytes, 1 << 30);
    assert_int_equal(config.suggest_deadline_us, 60000000);
    assay_config_done(&config);
}

static void
lists_come_from_one_source(void **state)
{
    char path[] = "/tmp/assay-config-XXXXXX";
    assay_auto_close int fd = mkstemp(path);
    static const char text[] = "plugins: [/file/a.so, /file/b.so]\nremote_algorithms: none\n";
    assay_auto_free char *words = assay_format("--config %s", path);
    assay_auto_free char *more = assay_format("--config %s --plugin /w/a.so --plugin=/w/b.so", path);
    struct assay_config config;

    (void)state;
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    load_well("", &config);
    assert_null(config.plugins.items);
    assert_int_equal(config.remote_algorithms, ASSAY_CONFIG_REMOTE_ALGORITHMS_LOOPBACK);
    assay_config_done(&config);
    load_well(words, &config);
    assert_int_equal(config.plugins.count, 2);
    assert_string_equal(config.plugins.items[1], "/file/b.so");
    assert_int_equal(config.remote_algorithms, ASSAY_CONFIG_REMOTE_ALGORITHMS_NONE);
    assay_config_done(&config);
    setenv("ASSAYD_PLUGINS", "/e/a.so:/e/b.so:/e/c.so", 1);
    load_well(words, &config);
    assert_int_equal(config.plugins.count, 3);
    assert_string_equal(config.plugins.items[2], "/e/c.so");
    assert_null(config.plugins.items[3]);
    assay_config_done(&config);
    load_well(more, &config);
    assert_int_equal(config.plugins.count, 2);
    assert_string_equal(config.plugins.items[0], "/w/a.so");
    assay_config_done(&config);
    unsetenv("ASSAYD_PLUGINS");
    unlink(path);
}

static void
sources_have_an_order(void **state)
{
    char path[] = "/tmp/assay-config-XXXXXX";
    assay_auto_close int fd = mkstemp(path);
    static const char text[] = "data: /file\nworkers: 3\nlog_level: error\nno_dashboard: true\n"
                               "database:\n";
    assay_auto_free char *words = assay_format("--config %s --data /words", path);
    struct assay_config config;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(assay_file_write(path, text, sizeof text - 1, 0600, NULL), ASSAY_OK);
    setenv("ASSAYD_DATA", "/environment", 1);
    setenv("ASSAYD_WORKERS", "5", 1);
    load_well(words, &config);
    assert_string_equal(config.data, "/words");
    assert_int_equal(config.workers, 5);
    assert_int_equal(config.log_level, ASSAY_CONFIG_LOG_LEVEL_ERROR);
    assert_true(config.no_dashboard);
    assert_null(config.database);
    assay_config_done(&config);
    unsetenv("ASSAYD_DATA");
    unsetenv("ASSAYD_WORKERS");
    setenv("ASSAYD_CONFIG", path, 1);
    load_well("", &config);
    assert_string_equal(config.data, "/file");
    assay_config_done(&config);
    unsetenv("ASSAYD_CONFIG");
    unlink(path);
}

static void
bad_words_are_refused(void **state)
{
    static const struct {
        const char *words, *message;
    } rows[] = {
        {"--dat /x", "unknown option \"--dat\"; assayd --help lists them"},
        {"x", "\"x\" is not an option"},
        {"--", "\"--\" is not an option"},
        {"--data", "--data needs a value"},
        {"--data=", "command line: --data must be a text that is not empty, not \"\""},
        {"--pretend-gpus x",
         "command line: --pretend-gpus must be an integer from -1 to 1024, not \"x\""},
        {"--workers 0", "command line: --workers must be an integer from 1 to 256, not \"0\""},
        {"--max-body 1",
         "command line: --max-body must be a size from 64Ki to 1Gi, not \"1\""},
        {"--suggest-deadline 2h",
         "command line: --suggest-deadline must be a duration from 100ms to 1h, not \"2h\""},
        {"--log-level loud",
         "command line: --log-level must be one of debug|info|warning|error, not \"loud\""},
        {"--no-dashboard=maybe",
         "command line: --no-dashboard must be true or false, not \"maybe\""},
        {"--tls-cert c", "--tls-cert needs --tls-key"},
        {"--tls-key k", "--tls-key needs --tls-cert"},
        {"--listen 80", "--listen 80: ADDRESS:PORT is needed"},
        {"--listen 0.0.0.0:80", "--listen 0.0.0.0:80 can be reached by other machines: give "
                                "--tls-cert and --tls-key, or --insecure-listen"},
        {"--suggest-connect h:1", "--suggest-connect needs --suggest-token-file"},
        {"--suggest-connect h --suggest-token-file f",
         "--suggest-connect h: HOST:PORT is needed"},
        {"--suggest-token-file f", "--suggest-token-file needs --suggest-connect"},
        {"--suggest-ca f", "--suggest-ca needs --suggest-connect"},
        {"--config /does/not/exist", "--config: there is no file /does/not/exist"},
        {"--config", "--config needs a value"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        struct assay_config config;
        struct assay_error err = {0};

        if (load(rows[i].words, &config, &err) == ASSAY_OK)
            fail_msg("%s is taken", rows[i].words);
        assert_string_equal(err.message, rows[i].message);
    }
}

static void
bad_files_are_refused(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"[1]", ": not a list of options and values"},
        {"dat: 1", ": unknown option \"dat\""},
        {"log-level: info", ": unknown option \"log-level\""},
        {"listen: [a]", ": listen must be a single value"},
        {"workers: many", ": --workers must be an integer from 1 to 256, not \"many\""},
        {"a: [", ": line 2, column 1: did not find expected node content"},
    };
    char path[] = "/tmp/assay-config-XXXXXX";
    assay_auto_close int fd = mkstemp(path);
    assay_auto_free char *words = assay_format("--config %s", path);

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        assay_auto_free char *text = assay_format("%s\n", rows[i].text);
        struct assay_config config;
        struct assay_error err = {0};

        assert_int_equal(assay_file_write(path, text, strlen(text), 0600, NULL), ASSAY_OK);
        assert_true(load(words, &config, &err) < 0);
        assert_memory_equal(err.message, path, strlen(path));
        assert_string_equal(err.message + strlen(path), rows[i].message);
    }
    unlink(path);
}

static void
loopback_is_told_apart(void **state)
{
    (void)state;
    assert_true(assay_config_is_loopback("127.0.0.1:80"));
    assert_true(assay_config_is_loopback("127.1.2.3:0"));
    assert_true(assay_config_is_loopback("[::1]:80"));
    assert_true(assay_config_is_loopback("localhost:80"));
    assert_false(assay_config_is_loopback("0.0.0.0:80"));
    assert_false(assay_config_is_loopback("[::]:80"));
    assert_false(assay_config_is_loopback("192.168.0.1:80"));
    assert_false(assay_config_is_loopback("example:80"));
}

static void
help_names_every_option(void **state)
{
    assay_auto_free char *help = assay_config_help();
    struct assay_config config;
    enum assay_config_request request;
    char name[] = "assayd", word[] = "--help", version[] = "--version";
    char *argv[] = {name, word, NULL}, *versions[] = {name, version, NULL};

    (void)state;
    for (size_t i = 0; i < assay_config_options_count; i++) {
        assay_auto_free char *option = assay_format("--%s", assay_config_options[i].name);

        assert_non_null(strstr(help, option));
        assert_non_null(strstr(help, assay_config_options[i].environment));
    }
    for (const char *line = help; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        assert_true(length <= 90);
        line += length + (line[length] == '\n');
    }
    assert_int_equal(assay_config_load(2, argv, &config, &request, NULL), ASSAY_OK);
    assert_int_equal(request, ASSAY_CONFIG_HELP);
    assay_config_done(&config);
    assert_int_equal(assay_config_load(2, versions, &config, &request, NULL), ASSAY_OK);
    assert_int_equal(request, ASSAY_CONFIG_VERSION);
    assay_config_done(&config);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),         cmocka_unit_test(the_command_line_is_read),
        cmocka_unit_test(lists_come_from_one_source),
        cmocka_unit_test(sources_have_an_order), cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(bad_files_are_refused), cmocka_unit_test(loopback_is_told_apart),
        cmocka_unit_test(help_names_every_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
