/* The conformance checks: every built-in algorithm and rule passes them, and each flaw
 * of a flawed one is found by the check that is for it. */
#include "tests/unit/suggest/support.h"

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suggest/conformance.h"
#include "suggest/plugin_check.h"
#include "suggest/registry.h"

/* A sanitizer ends a crashing check in its own way and has another heap. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Takes milliseconds for an ask, not microseconds: fewer trials have to do. */
static bool
is_quick(const char *algorithm)
{
    static const char *const quick[] = {"random", "grid", "sobol",     "tpe", "cmaes",
                                        "nsga2",  "asha", "hyperband", "pbt"};

    for (size_t i = 0; i < ASSAY_COUNT(quick); i++) {
        if (strcmp(algorithm, quick[i]) == 0)
            return true;
    }
    return false;
}

/* What an algorithm may refuse, and says so. */
static bool
may_refuse(const struct assay_plugin_algorithm *algorithm, const char *check)
{
    static const struct {
        const char *check;
        uint64_t cap;
    } by_cap[] = {
        {"deep conditions", ASSAY_PLUGIN_CAP_CONDITIONS},
        {"finite branch", ASSAY_PLUGIN_CAP_CONDITIONS},
        {"two objectives", ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
        {"four objectives", ASSAY_PLUGIN_CAP_MULTI_OBJECTIVE},
        {"constraints", ASSAY_PLUGIN_CAP_CONSTRAINTS},
    };

    for (size_t i = 0; i < ASSAY_COUNT(by_cap); i++) {
        if (strcmp(by_cap[i].check, check) == 0 && !(algorithm->caps & by_cap[i].cap))
            return true;
    }
    /* More points than a grid takes on. */
    return strcmp(algorithm->name, "grid") == 0 &&
           (strcmp(check, "200 parameters") == 0 || strcmp(check, "told to stop") == 0 ||
            strncmp(check, "time per ask", 12) == 0);
}

static void
run_built_in(const struct assay_plugin_algorithm *algorithm)
{
    bool quick = is_quick(algorithm->name);
    const struct assay_conformance_limits limits = {
        .trials = quick ? 150 : 50,
        .long_trials = quick ? 1000 : 80,
        .time_us = (quick ? 5 : 1) * ASSAY_SECOND_US,
        .own_lattice = strcmp(algorithm->name, "grid") == 0,
    };

    for (size_t c = 0; c < assay_conformance_count(); c++) {
        struct assay_conformance_result result;
        const char *check = assay_conformance_name(c);

        assay_conformance_run(algorithm, c, &limits, &result);
        if (result.outcome == ASSAY_CONFORMANCE_FAILED ||
            (result.outcome == ASSAY_CONFORMANCE_REFUSED && !may_refuse(algorithm, check)))
            fail_msg("%s on %s: %s", algorithm->name, check, result.sentence);
        if (!isnan(result.ask_us))
            print_message("%s: %.0f us per ask with 1,000 trials, the slowest %.0f us\n",
                          algorithm->name, result.ask_us, result.ask_max_us);
    }
}

static void
test_built_in_algorithms(void **state ASSAY_UNUSED)
{
    for (size_t a = 0; assay_registry_algorithm_at(a) != NULL; a++)
        run_built_in(assay_registry_algorithm_at(a));
}

static void
test_built_in_rules(void **state ASSAY_UNUSED)
{
    for (size_t r = 0; assay_registry_rule_at(r) != NULL; r++) {
        for (size_t c = 0; c < assay_conformance_rule_count(); c++) {
            struct assay_conformance_result result;

            assay_conformance_rule_run(assay_registry_rule_at(r), c, &result);
            if (result.outcome != ASSAY_CONFORMANCE_PASSED)
                fail_msg("%s on %s: %s", assay_registry_rule_at(r)->name,
                         assay_conformance_rule_name(c), result.sentence);
        }
    }
}

/* --- plugins --- */

static json_t *
check_plugins(void)
{
    int file = memfd_create("results", MFD_CLOEXEC);
    json_t *results = json_array();
    struct stat found;
    char *text, *line, *rest;

    assert_true(file >= 0);
    /* cmocka's own handlers would end a crashing check in their way. */
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    /* Every plugin that is loaded: here the flawed one, so some fail. */
    assert_false(assay_plugin_check(file, 20 * ASSAY_SECOND_US));
    assert_int_equal(fstat(file, &found), 0);
    text = assay_zalloc((size_t)found.st_size + 1, 1);
    assert_int_equal(pread(file, text, (size_t)found.st_size, 0), found.st_size);
    for (line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        json_t *result = json_loads(line, 0, NULL);

        assert_non_null(result);
        json_array_append_new(results, result);
    }
    free(text);
    close(file);
    return results;
}

static const char *
text_of(const json_t *result, const char *key)
{
    return json_string_value(json_object_get(result, key));
}

/* The result of one check; NULL when there is none. */
static const json_t *
result_of(const json_t *results, const char *name, const char *check)
{
    const json_t *result;
    size_t i;

    json_array_foreach(results, i, result)
    {
        if (strcmp(text_of(result, "name"), name) == 0 &&
            strcmp(text_of(result, "check"), check) == 0)
            return result;
    }
    return NULL;
}

static void
test_flaws_are_found(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *name, *check, *sentence, *passes;
    } cases[] = {
        {"repeats", "one int", "proposed twice", "huge range"},
        {"again", "one double", "asked again it answers otherwise", "single value"},
        {"calls", "one double", "told the history again", "batches"},
        {"order", "trials end in any order", "told the history again", "batches"},
        {"shared", "two studies at once", "another study beside it", "batches"},
        {"endless", "one int", "no word that the space is used up", "huge range"},
        {"few", "one int", "used up after 10 of 13 points", "batches"},
        {"outside", "scales", "proposed a point outside of the space", "single value"},
        {"deaf", "told to stop", "went on for", "batches"},
        {"crashing", "values nan and infinite", "ended by signal 11", "one double"},
        {"looping", "a constant objective", "no answer within 20 s", "batches"},
        {"leaking", "memory", "left", "batches"},
        {"silent", "learning curves", "without a sentence", NULL},
        {"growing", "time and memory, 6,000 trials", "memory grows", "learning curves"},
        {"overflowing", "learning curves", "past the end of the sentence", NULL},
    };
    char self[PATH_MAX] = "";
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    json_t *results;

    if (SANITIZED)
        skip();
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    path = assay_format("%s/flawed_plugin.so", dirname(self));
    if (assay_registry_load(path, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    results = check_plugins();
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        assay_auto_free char *name = assay_format("flawed-%s", cases[i].name);
        const json_t *result = result_of(results, name, cases[i].check);

        assert_non_null(result);
        if (strcmp(text_of(result, "outcome"), "failed") != 0 ||
            strstr(text_of(result, "message"), cases[i].sentence) == NULL)
            fail_msg("%s on %s: %s, \"%s\"", name, cases[i].check, text_of(result, "outcome"),
                     text_of(result, "message"));
        if (cases[i].passes == NULL)
            continue;
        result = result_of(results, name, cases[i].passes);
        if (strcmp(text_of(result, "outcome"), "passed") != 0)
            fail_msg("%s on %s: %s, \"%s\"", name, cases[i].passes, text_of(result, "outcome"),
                     text_of(result, "message"));
    }
    json_decref(results);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_in_algorithms),
        cmocka_unit_test(test_built_in_rules),
        cmocka_unit_test(test_flaws_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
