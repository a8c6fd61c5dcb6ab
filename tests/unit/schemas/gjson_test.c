#include "schemas/gjson.h"
#include "tests/unit/schemas/help.h"

#include "common/json.h"

static const char object[] =
    "{'status': {'phase': 'Succeeded', 'failed': 0, 'succeeded': 2, 'ready': true, 'none': null,"
    "  'empty': [], 'a.b': 'dotted', 'star*': 'starred',"
    "  'conditions': [{'type': 'Created', 'status': 'True'},"
    "                 {'type': 'Running', 'status': 'False', 'n': 1},"
    "                 {'type': 'Complete', 'status': 'True', 'n': 2}],"
    "  'nodes': [{'pods': ['x', 'y']}, {'pods': ['z']}],"
    "  'numbers': [3, 5, 8]}}";

static void
paths_are_found(void **state)
{
    static const struct {
        const char *path, *wanted; /* NULL: does not exist */
    } rows[] = {
        {"status.phase", "'Succeeded'"},
        {"status.nothing", NULL},
        {"status.phase.deeper", NULL},
        {"status|phase", "'Succeeded'"},
        {"status.pha*", "'Succeeded'"},
        {"status.p?ase", "'Succeeded'"},
        {"status.a\\.b", "'dotted'"},
        {"status.star\\*", "'starred'"},
        {"status.pha\\*", NULL},
        {"status.numbers.1", "5"},
        {"status.numbers.3", NULL},
        {"status.numbers.#", "3"},
        {"status.phase.#", NULL},
        {"status.conditions.#.n", "[1,2]"},
        {"status.conditions.#.n|0", "1"},
        {"status.conditions.#.n.0", "[]"},
        {"status.nodes.#.pods", "[['x','y'],['z']]"},
        {"status.nodes.#.pods.#", "[2,1]"},
        {"status.nodes.#.pods|@flatten", "['x','y','z']"},
        {"status.conditions.#(type==\"Complete\").status", "'True'"},
        {"status.conditions.#(type==Complete).n", "2"},
        {"status.conditions.#[type==\"Complete\"].n", "2"},
        {"status.conditions.#( type == \"Complete\" ).n", "2"},
        {"status.conditions.#(type==\"None\")", NULL},
        {"status.conditions.#(type==\"None\")#", "[]"},
        {"status.conditions.#(status==\"True\")#.type", "['Created','Complete']"},
        {"status.conditions.#(status==\"True\")#|1.type", "'Complete'"},
        {"status.conditions.#(status==\"True\")#|#", "2"},
        {"status.conditions.#(n>1)#.type", "['Complete']"},
        {"status.conditions.#(n>=1)#.n", "[1,2]"},
        {"status.conditions.#(n<2)#.n", "[1]"},
        {"status.conditions.#(n<=2)#.n", "[1,2]"},
        {"status.conditions.#(n!=1)#.n", "[2]"},
        {"status.conditions.#(n)#.n", "[1,2]"},
        {"status.conditions.#(type%\"C*\")#.type", "['Created','Complete']"},
        {"status.conditions.#(type!%\"C*\")#.type", "['Running']"},
        {"status.numbers.#(>4)#", "[5,8]"},
        {"status.numbers.#(==5)", "5"},
        {"status.nodes.#(pods.#(==\"z\")).pods.0", "'z'"},
        {"status.[@this].#(phase==\"Succeeded\")#.failed", "[0]"},
        {"[status.phase,status.nothing,status.failed]", "['Succeeded',0]"},
        {"[status.conditions.#(type==\"None\")#,status.numbers].@flatten", "[3,5,8]"},
        {"status.[@this].#(ready==true)#.phase", "['Succeeded']"},
        {"status.[@this].#(ready!=true)#.phase", "[]"},
        {"status.[@this].#(nothing==~null)#.phase", "['Succeeded']"},
        {"status.[@this].#(none==~false)#.phase", "['Succeeded']"},
        {"status.[@this].#(phase!=~*)#.phase", "[]"},
        {"@this.status.failed", "0"},
    };
    json_auto_t *json = json_of(object);

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *wanted = rows[i].wanted != NULL ? json_of(rows[i].wanted) : NULL;
        json_auto_t *found = NULL;
        struct assay_gjson *gjson = NULL;
        struct assay_error err = {0};

        if (assay_gjson_new(rows[i].path, &gjson, &err) < 0)
            fail_msg("%s: %s", rows[i].path, err.message);
        found = assay_gjson_get(gjson, json);
        if ((found == NULL) != (wanted == NULL) || (found != NULL && !json_equal(found, wanted))) {
            char *text = found != NULL ? json_dumps(found, JSON_ENCODE_ANY) : NULL;

            fail_msg("%s: %s", rows[i].path, text != NULL ? text : "nothing");
        }
        assay_gjson_free(gjson);
    }
}

static void
conditions_hold(void **state)
{
    static const struct {
        const char *path;
        bool wanted;
    } rows[] = {
        {"status.conditions.#(type==\"Complete\")#|#(status==\"True\")#", true},
        {"status.conditions.#(type==\"Running\")#|#(status==\"True\")#", false},
        {"status.conditions.#(type==\"Failed\")#|#(status==\"True\")#", false},
        {"status.[@this].#(phase==\"Succeeded\")#", true},
        {"status.[@this].#(phase==\"Failed\")#", false},
        {"status.succeeded", true},
        {"status.failed", false},
        {"status.ready", true},
        {"status.none", false},
        {"status.empty", false},
        {"nothing.at.all", false},
    };
    json_auto_t *json = json_of(object);

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        struct assay_gjson *gjson = NULL;

        assert_int_equal(assay_gjson_new(rows[i].path, &gjson, NULL), ASSAY_OK);
        if (assay_gjson_holds(gjson, json) != rows[i].wanted)
            fail_msg("%s", rows[i].path);
        assay_gjson_free(gjson);
    }
}

static void
faults_say_where(void **state)
{
    static const struct {
        const char *path, *words;
    } rows[] = {
        {"", "an empty name"},
        {"status.", "an empty name"},
        {"status..phase", "an empty name"},
        {"a.#(b==\"c\"", "a bracket is not closed"},
        {"a.#(b==\"c", "a text without its closing quote"},
        {"a.#(b==c", "a bracket is not closed"},
        {"a.#(b", "no comparison"},
        {"a.#(b c)", "no comparison at \"c)\""},
        {"a.#(b==~maybe)", "after \"~\" comes"},
        {"a.#b", "neither #"},
        {"a.#(b)c", "is missing"},
        {"[a,b", "a bracket is not closed"},
        {"a.@reverse", "a modifier other than"},
        {"{a,b}", "are not understood"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]]]]]]]", "too many brackets"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        struct assay_gjson *gjson = NULL;
        struct assay_error err = {0};

        assert_int_equal(assay_gjson_new(rows[i].path, &gjson, &err), ASSAY_E_INVALID_VALUE);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].path, err.message);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_found),
        cmocka_unit_test(conditions_hold),
        cmocka_unit_test(faults_say_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
