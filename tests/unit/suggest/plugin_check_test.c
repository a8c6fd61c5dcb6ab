/* Plugins are checked each check in a process of its own: every flaw of a flawed one is found
 * by the check that is for it. */
#include "tests/unit/suggest/support.h"

#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suggest/plugin_check.h"
#include "suggest/registry.h"

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
    /* Every plugin that is loaded: here the flawed one, so some fail.  The time is long for
     * "deaf", which works for seconds, on a machine where many do. */
    assert_false(assay_plugin_check(file, 40 * ASSAY_SECOND_US));
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
        {"looping", "a constant objective", "no answer within 40 s", "batches"},
        {"leaking", "memory", "left", "batches"},
        {"silent", "learning curves", "without a sentence", NULL},
        {"growing", "time and memory, 6,000 trials", "memory grows", "learning curves"},
        {"overflowing", "learning curves", "past the end of the sentence", NULL},
    };
    char self[PATH_MAX] = "";
    assay_auto_free char *path = NULL;
    struct assay_error err = {0};
    json_t *results;

    /* A sanitizer ends a crashing check in its own way and has another heap. */
    if (ASSAY_SANITIZED)
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
        cmocka_unit_test(test_flaws_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
