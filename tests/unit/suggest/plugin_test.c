/* Settings against their schemas, the registry, and plugins that are loaded: the
 * example, and one for each thing that can be wrong. */
#include "tests/unit/suggest/support.h"

#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suggest/host.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"
#include "suggest/settings.h"

/* A file below the build directory, which this program lies in (tests/suggest). */
static char *
built(const char *name)
{
    char self[PATH_MAX] = "";

    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    return assay_format("%s/../../%s", dirname(self), name);
}

static const char schema_text[] = "{'type':'object','additionalProperties':false,'properties':{"
                                  "'n':{'type':'integer','minimum':1,'maximum':10,'default':3},"
                                  "'x':{'type':'number','minimum':0.5},"
                                  "'s':{'type':'string','enum':['a','b'],'default':'a'},"
                                  "'b':{'type':'boolean','default':true}}}";

static void
test_settings(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *settings;
        size_t faults;
        const char *pointer, *allowed;
    } cases[] = {
        {"{}", 0, NULL, NULL},
        {"{'n':10,'x':0.5,'s':'b','b':false}", 0, NULL, NULL},
        {"{'n':3.0}", 0, NULL, NULL},
        {"{'n':11}", 1, "/s/n", "integer from 1 to 10"},
        {"{'n':2.5}", 1, "/s/n", "integer from 1 to 10"},
        {"{'n':true}", 1, "/s/n", "integer from 1 to 10"},
        {"{'x':0.4}", 1, "/s/x", "number of at least 0.5"},
        {"{'s':'c'}", 1, "/s/s", "one of \"a\", \"b\""},
        {"{'b':1}", 1, "/s/b", "boolean"},
        {"{'y/z':1}", 1, "/s/y~1z", "one of n, x, s, b"},
        {"{'n':0,'x':'one','s':7,'q':null}", 4, "/s/n", "integer from 1 to 10"},
        {"[]", 1, "/s", "an object"},
    };
    json_t *schema = json_of(schema_text), *filled, *given, *expected;

    assert_int_equal(assay_settings_check_schema(schema, NULL), ASSAY_OK);
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        struct assay_faults faults = {0};
        json_t *settings = json_of(cases[i].settings);

        assay_settings_check(schema, settings, "/s", &faults);
        assert_int_equal(faults.count, cases[i].faults);
        if (faults.count > 0) {
            assert_string_equal(faults.items[0].pointer, cases[i].pointer);
            assert_string_equal(faults.items[0].allowed, cases[i].allowed);
        }
        assay_faults_done(&faults);
        json_decref(settings);
    }
    given = json_of("{'n':7}");
    expected = json_of("{'n':7,'s':'a','b':true}");
    filled = assay_settings_fill(schema, given);
    assert_true(json_equal(filled, expected));
    json_decref(filled);
    json_decref(given);
    json_decref(expected);
    json_decref(schema);
}

static void
test_bad_schemas(void **state ASSAY_UNUSED)
{
    static const char *const bad[] = {
        "7",
        "{'type':'object'}",
        "{'type':'object','properties':{}}",
        "{'type':'array','properties':{},'additionalProperties':false}",
        "{'type':'object','properties':{'x':{}},'additionalProperties':false}",
        "{'type':'object','properties':{'x':{'type':'array'}},'additionalProperties':false}",
        "{'type':'object','properties':{'x':{'type':'number','pattern':'.'}},"
        "'additionalProperties':false}",
        "{'type':'object','properties':{'x':{'type':'number','maximum':1,'default':2}},"
        "'additionalProperties':false}",
        "{'type':'object','properties':{'x':{'type':'number','maximum':'1'}},"
        "'additionalProperties':false}",
    };

    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        json_t *schema = json_of(bad[i]);
        struct assay_error err = {0};

        assert_int_equal(assay_settings_check_schema(schema, &err), ASSAY_E_PLUGIN);
        assert_int_not_equal(err.message[0], '\0');
        json_decref(schema);
    }
}

/* The built-in tables keep what is asked of anyone's. */
static void
test_built_in_tables(void **state ASSAY_UNUSED)
{
    json_t *algorithms = assay_registry_algorithms_encode();
    json_t *rules = assay_registry_rules_encode(), *entry;
    size_t i;

    assert_true(json_array_size(algorithms) >= 4);
    json_array_foreach(algorithms, i, entry)
    {
        assert_int_equal(
            assay_settings_check_schema(json_object_get(entry, "settings_schema"), NULL), ASSAY_OK);
        assert_true(json_string_length(json_object_get(entry, "description")) > 20);
        assert_true(json_array_size(json_object_get(entry, "capabilities")) > 0);
    }
    json_array_foreach(rules, i, entry) assert_int_equal(
        assay_settings_check_schema(json_object_get(entry, "settings_schema"), NULL), ASSAY_OK);
    assert_non_null(assay_registry_algorithm("sobol"));
    assert_null(assay_registry_algorithm("Sobol"));
    assert_non_null(assay_registry_rule("median"));
    assert_null(assay_registry_rule("mean"));
    assert_null(assay_registry_plugin_of("sobol"));
    assert_false(assay_registry_is_foreign("sobol"));
    assert_true(assay_registry_is_foreign("magic"));
    json_decref(algorithms);
    json_decref(rules);
}

static void
check_faults(struct assay_study_spec *spec, const char *settings, const char *pointer,
             const char *message)
{
    struct assay_faults faults = {0};

    spec->algorithm.settings = json_of(settings);
    assay_registry_checks()->algorithm(spec, "/algorithm", &faults);
    if (pointer == NULL) {
        assert_int_equal(faults.count, 0);
    } else {
        assert_true(faults.count >= 1);
        assert_string_equal(faults.items[0].pointer, pointer);
        assert_non_null(strstr(faults.items[0].message, message));
    }
    json_decref(spec->algorithm.settings);
    assay_faults_done(&faults);
}

static void
test_checks_of_a_study(void **state ASSAY_UNUSED)
{
    struct assay_space *space = space_of("[{'name':'x','type':'int','min':0,'max':2000000000}]");
    struct assay_study_spec spec = {.space = space, .n_objectives = 1};
    struct assay_faults faults = {0};

    spec.algorithm.name = (char[]){"magic"};
    check_faults(&spec, "{}", "/algorithm/name", "there is no algorithm magic");
    spec.algorithm.name = (char[]){"plugin"};
    check_faults(&spec, "{}", "/algorithm/name", "no plugin is loaded");
    spec.algorithm.name = (char[]){"remote"};
    check_faults(&spec, "{}", "/algorithm/name", "calls no remote algorithms");
    spec.algorithm.name = (char[]){"grid"};
    check_faults(&spec, "{}", "/algorithm", "2000000001 points");
    check_faults(&spec, "{'order':1}", "/algorithm/settings/order", "order must be one of");
    spec.algorithm.name = (char[]){"random"};
    check_faults(&spec, "{}", NULL, NULL);
    check_faults(&spec, "{'a':1}", "/algorithm/settings/a", "no setting a");

    assay_registry_checks()->stopping_rule(&spec, "/early_stopping", &faults);
    assert_int_equal(faults.count, 0);
    spec.early_stopping.name = (char[]){"mean"};
    spec.early_stopping.settings = json_of("{'min_trials':0}");
    assay_registry_checks()->stopping_rule(&spec, "/early_stopping", &faults);
    assert_string_equal(faults.items[0].pointer, "/early_stopping/name");
    spec.early_stopping.name = (char[]){"median"};
    assay_registry_checks()->stopping_rule(&spec, "/early_stopping", &faults);
    assert_string_equal(faults.items[1].pointer, "/early_stopping/settings/min_trials");
    json_decref(spec.early_stopping.settings);
    assay_faults_done(&faults);
    assay_space_free(space);
}

static void
expect_refused(const char *path, const char *message)
{
    struct assay_error err = {0};

    assert_int_equal(assay_registry_load(path, &err), ASSAY_E_PLUGIN);
    if (strstr(err.message, message) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, message);
}

static void
expect_bad_plugin(int fault, const char *message)
{
    assay_auto_free char *name = assay_format("tests/suggest/bad_plugin_%d.so", fault);
    assay_auto_free char *path = built(name);

    expect_refused(path, message);
    assert_null(assay_registry_algorithm("bad"));
}

static void
test_files_that_are_not_loaded(void **state ASSAY_UNUSED)
{
    assay_auto_free char *good = built("tests/suggest/bad_plugin_0.so");
    struct stat found;

    expect_refused("plugin.so", "absolute");
    expect_refused("/nowhere/plugin.so", "No such file");
    expect_refused("/tmp", "not a regular file");
    assert_int_equal(stat(good, &found), 0);
    assert_int_equal(chmod(good, found.st_mode | S_IWOTH), 0);
    expect_refused(good, "written by others");
    assert_int_equal(chmod(good, found.st_mode & ~(mode_t)(S_IWOTH | S_IWGRP)), 0);
}

static void
test_tables_that_are_refused(void **state ASSAY_UNUSED)
{
    static const char *const messages[] = {
        NULL,
        "built for version 2 of the plugin ABI, this is version 1",
        "its table has 16 bytes",
        "lacks create, update, suggest or destroy",
        "x needs a type",
        "there is a random already",
        "can not work with this version",
    };

    for (int fault = 1; fault < (int)ASSAY_COUNT(messages); fault++)
        expect_bad_plugin(fault, messages[fault]);
}

static struct assay_proposer *
open_with(const char *algorithm, const char *parameters)
{
    json_t *spec = json_of("{'objectives':[{'goal':'minimize'}],'seed':5}");
    struct assay_error err = {0};
    struct assay_proposer *proposer;

    json_object_set_new(spec, "parameters", json_of(parameters));
    json_object_set_new(spec, "algorithm", json_pack("{s:s}", "name", algorithm));
    if (assay_proposer_new(spec, NULL, &proposer, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    json_decref(spec);
    return proposer;
}

/* The registry has no way to unload, so each of these has its own process. */
static void
in_child(void (*check)(int), int fault)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        check(fault);
        _exit(0);
    }
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
ask_bad_plugin(int fault)
{
    static const char *const messages[] = {
        [7] = "algorithm bad proposed a point outside of the space: parameter x is 1e+09",
        [8] = "proposed 3 trials of 2",
        [10] = "algorithm bad failed to propose: no luck today",
    };
    assay_auto_free char *name = assay_format("tests/suggest/bad_plugin_%d.so", fault);
    assay_auto_free char *path = built(name);
    struct assay_error err = {0};
    struct assay_proposer *proposer;
    int64_t numbers[] = {1, 2};
    json_t *trials;
    bool exhausted, expect_ok = fault == 0 || fault == 9 || fault >= 12;

    if (assay_registry_load(path, &err) != ASSAY_OK)
        _exit(1);
    proposer = open_with("bad", "[{'name':'x','type':'double','min':0,'max':1}]");
    if (assay_proposer_ask(proposer, numbers, 2, &trials, &exhausted, &err) == ASSAY_OK) {
        const char *by = json_string_value(
            json_object_get(json_object_get(json_array_get(trials, 0), "why"), "proposed_by"));

        if (!expect_ok || strcmp(by, "bad") != 0)
            _exit(2);
        json_decref(trials);
    } else if (expect_ok || err.status != ASSAY_E_PLUGIN ||
               strstr(err.message, messages[fault]) == NULL) {
        fprintf(stderr, "%s\n", err.message);
        _exit(3);
    }
    assay_proposer_free(proposer);
}

static void
test_plugins_that_misbehave(void **state ASSAY_UNUSED)
{
    static const int faults[] = {0, 7, 8, 9, 10, 12, 13};

    for (size_t i = 0; i < ASSAY_COUNT(faults); i++)
        in_child(ask_bad_plugin, faults[i]);
}

static void
test_example_plugin(void **state ASSAY_UNUSED)
{
    assay_auto_free char *path = built("examples/plugin-random.so");
    const char *parameters = "[{'name':'lr','type':'double','min':0,'max':1,'step':0.1},"
                             "{'name':'o','type':'categorical','values':['sgd','adam']},"
                             "{'name':'m','type':'int','min':1,'max':9,'when':{'o':['sgd']}}]";
    struct assay_space *space = space_of(parameters);
    struct assay_error err = {0};
    struct assay_proposer *proposer;
    int64_t numbers[100];
    json_t *trials, *again;
    bool exhausted;

    if (assay_registry_load(path, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    expect_refused(path, "there is a example-random already");
    proposer = open_with("example-random", parameters);
    for (int i = 0; i < 100; i++)
        numbers[i] = i + 1;
    assert_int_equal(assay_proposer_ask(proposer, numbers, 100, &trials, &exhausted, &err),
                     ASSAY_OK);
    assert_int_equal(assay_proposer_ask(proposer, numbers, 100, &again, &exhausted, &err),
                     ASSAY_OK);
    assert_true(json_equal(trials, again));
    for (size_t i = 0; i < 100; i++) {
        struct assay_faults faults = {0};
        double point[3];

        assert_true(assay_point_decode(space,
                                       json_object_get(json_array_get(trials, i), "parameters"), "",
                                       false, &faults, point));
        assay_faults_done(&faults);
    }
    json_decref(trials);
    json_decref(again);
    assay_host_set_stop(true);
    assert_int_equal(assay_proposer_ask(proposer, numbers, 1, &trials, &exhausted, &err),
                     ASSAY_E_UNAVAILABLE);
    assay_host_set_stop(false);
    assay_proposer_free(proposer);
    assay_space_free(space);
}

/* The host's stream can be entered anywhere. */
static void
test_host_random(void **state ASSAY_UNUSED)
{
    double all[20], part[5];

    assay_host_table()->random(1, 2, 0x80000000u, 0, 20, all);
    for (uint64_t first = 0; first <= 15; first++) {
        assay_host_table()->random(1, 2, 0x80000000u, first, 5, part);
        assert_memory_equal(part, all + first, sizeof part);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_bad_schemas),
        cmocka_unit_test(test_built_in_tables),
        cmocka_unit_test(test_checks_of_a_study),
        cmocka_unit_test(test_files_that_are_not_loaded),
        cmocka_unit_test(test_tables_that_are_refused),
        cmocka_unit_test(test_plugins_that_misbehave),
        cmocka_unit_test(test_example_plugin),
        cmocka_unit_test(test_host_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
