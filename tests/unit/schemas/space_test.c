#include "tests/unit/schemas/help.h"

#include "common/random.h"
#include "schemas/point.h"

static double
count(const char *text)
{
    struct assay_space *space = space_of(text);
    double points = assay_space_cardinality(space);

    assay_space_free(space);
    return points;
}

static void
points_are_counted(void **state)
{
    static const struct {
        const char *space;
        double points;
    } rows[] = {
        {"[{'name':'a','type':'bool'}]", 2},
        {"[{'name':'a','type':'int','min':-3,'max':3}]", 7},
        {"[{'name':'a','type':'int','min':0,'max':10,'step':3}]", 4},
        {"[{'name':'a','type':'int','min':5,'max':5}]", 1},
        {"[{'name':'a','type':'double','min':0,'max':0.6,'step':0.1}]", 7},
        {"[{'name':'a','type':'double','min':0,'max':0.65,'step':0.1}]", 7},
        {"[{'name':'a','type':'double','min':2,'max':2}]", 1},
        {"[{'name':'a','type':'double','min':0,'max':1}]", INFINITY},
        {"[{'name':'a','type':'discrete','values':[1,2,3]},{'name':'b','type':'bool'}]", 6},
        /* Two categories with children of their own. */
        {"[{'name':'a','type':'categorical','values':['x','y','z']},"
         "{'name':'b','type':'int','min':1,'max':5,'when':{'a':'x'}},"
         "{'name':'c','type':'int','min':1,'max':7,'when':{'a':['x','y']}}]",
         5 * 7 + 7 + 1},
        /* A grandchild, and a parent of two. */
        {"[{'name':'a','type':'bool'},{'name':'b','type':'bool','when':{'a':true}},"
         "{'name':'c','type':'int','min':1,'max':9,'when':{'b':true}}]",
         1 + 1 + 9},
        {"[{'name':'a','type':'bool'},{'name':'b','type':'bool'},"
         "{'name':'c','type':'int','min':1,'max':9,'when':{'a':true,'b':true}}]",
         3 + 9},
        /* A numeric parent: 3 of its 10 values have the child. */
        {"[{'name':'a','type':'int','min':1,'max':10},"
         "{'name':'b','type':'bool','when':{'a':{'min':8}}}]",
         7 + 3 * 2},
        {"[{'name':'a','type':'int','min':0,'max':1000000000},"
         "{'name':'b','type':'bool','when':{'a':[3,5]}}]",
         999999999.0 + 4},
        /* Continuous, but never reached: x and y can not both be. */
        {"[{'name':'a','type':'categorical','values':['x','y']},"
         "{'name':'b','type':'bool','when':{'a':'x'}},"
         "{'name':'c','type':'double','min':0,'max':1,'when':{'a':'y','b':true}},"
         "{'name':'d','type':'bool','when':{'c':{'min':0.5}}}]",
         3},
        {"[{'name':'a','type':'bool'},{'name':'b','type':'double','min':0,'max':1,'when':{'a':"
         "true}}]",
         INFINITY},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        double points = count(rows[i].space);

        if (points != rows[i].points)
            fail_msg("%s: %g, not %g", rows[i].space, points, rows[i].points);
    }
}

/* A forest of many trees is counted fast, whatever order the file has. */
static void
wide_forests_are_counted(void **state)
{
    json_auto_t *list = json_array();
    struct assay_faults faults = {0};
    struct assay_space *space;
    double points;

    (void)state;
    for (int i = 0; i < 30; i++)
        json_array_append_new(list, json_pack("{s:o, s:s, s:[s,s,s]}", "name",
                                              json_sprintf("p%d", i), "type", "categorical",
                                              "values", "x", "y", "z"));
    for (int i = 0; i < 300; i++)
        json_array_append_new(list, json_pack("{s:o, s:s, s:{s:s}}", "name",
                                              json_sprintf("c%d", i), "type", "bool", "when",
                                              i % 30 < 10   ? "p1"
                                              : i % 30 < 20 ? "p12"
                                                            : "p29",
                                              i % 2 == 0 ? "x" : "y"));
    space = assay_space_decode(list, "", &faults);
    assert_non_null(space);
    /* 27 free parents; each of three has 50 children for x, 50 for y, none for z. */
    points = pow(3.0, 27) * pow(pow(2.0, 50) + pow(2.0, 50) + 1.0, 3);
    assert_true(fabs(assay_space_cardinality(space) / points - 1.0) < 1e-12);
    assay_space_free(space);
}

/* Conditions that can not be counted in reasonable time end in +inf, soon. */
static void
entangled_conditions_have_a_bound(void **state)
{
    json_auto_t *list = json_array();
    struct assay_faults faults = {0};
    struct assay_space *space;

    (void)state;
    for (int i = 0; i < 60; i++)
        json_array_append_new(list, json_pack("{s:o, s:s}", "name", json_sprintf("p%d", i), "type",
                                              "bool"));
    for (int i = 0; i < 900; i++) {
        assay_auto_free char *a = assay_format("p%d", i % 60);
        assay_auto_free char *b = assay_format("p%d", (i * 7 + 1) % 60);
        json_t *when = json_pack("{s:b}", a, 1);

        json_object_set_new(when, b, json_true());
        json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "name", json_sprintf("c%d", i),
                                              "type", "bool", "when", when));
    }
    space = assay_space_decode(list, "", &faults);
    assert_non_null(space);
    assert_true(isinf(assay_space_cardinality(space)));
    assay_space_free(space);
}

static void
parents_come_before_children(void **state)
{
    struct assay_space *space = space_of(
        "[{'name':'c','type':'bool','when':{'b':true,'a':true}},"
        "{'name':'b','type':'bool','when':{'a':true}},{'name':'x','type':'bool'},"
        "{'name':'a','type':'bool'}]");
    size_t place[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        place[space->order[i]] = i;
    for (size_t i = 0; i < space->n_parameters; i++) {
        for (size_t j = 0; j < space->parameters[i].n_conditions; j++)
            assert_true(place[space->parameters[i].conditions[j].parent] < place[i]);
    }
    assay_space_free(space);
}

static void
values_snap_to_the_grid(void **state)
{
    struct assay_space *space = space_of(
        "[{'name':'d','type':'double','min':0,'max':0.65,'step':0.1},"
        "{'name':'i','type':'int','min':-3,'max':8,'step':4},"
        "{'name':'c','type':'double','min':0,'max':1},"
        "{'name':'s','type':'categorical','values':['x','y','z']}]");
    const struct assay_parameter *p = space->parameters;

    (void)state;
    assert_true(assay_parameter_snap(&p[0], 0.1 + 0.2) == 0.3);
    assert_true(assay_parameter_snap(&p[0], 0.65) == 0.6);
    assert_true(assay_parameter_snap(&p[0], 5.0) == 0.6);
    assert_true(assay_parameter_snap(&p[0], -1.0) == 0.0);
    assert_true(assay_parameter_snap(&p[1], 8.0) == 5.0);
    assert_true(assay_parameter_snap(&p[1], -2.0) == -3.0);
    assert_true(assay_parameter_snap(&p[2], 2.0) == 1.0);
    assert_false(signbit(assay_parameter_snap(&p[2], -0.0)));
    assert_true(assay_parameter_snap(&p[3], 1.4) == 1.0);
    assert_true(assay_parameter_snap(&p[3], 9.0) == 2.0);
    assay_space_free(space);
}

static void
the_middle_follows_the_scale(void **state)
{
    struct assay_space *space = space_of(
        "[{'name':'a','type':'double','min':0,'max':1},"
        "{'name':'b','type':'double','min':0.01,'max':1,'scale':'log'},"
        "{'name':'c','type':'double','min':0.01,'max':1,'scale':'reverse_log'},"
        "{'name':'d','type':'int','min':1,'max':100,'scale':'log'},"
        "{'name':'e','type':'int','min':1,'max':4,'default':4},"
        "{'name':'f','type':'categorical','values':['x','y']}]");
    const struct assay_parameter *p = space->parameters;

    (void)state;
    assert_true(assay_parameter_middle(&p[0]) == 0.5);
    assert_true(fabs(assay_parameter_middle(&p[1]) - 0.1) < 1e-12);
    assert_true(fabs(assay_parameter_middle(&p[2]) - 0.91) < 1e-12);
    assert_true(assay_parameter_middle(&p[3]) == 10.0);
    assert_true(assay_parameter_middle(&p[4]) == 4.0);
    assert_true(assay_parameter_middle(&p[5]) == 0.0);
    assay_space_free(space);
}

static void
priors_are_read_and_written(void **state)
{
    struct assay_space *space = space_of(
        "[{'name':'a','type':'double','min':0,'max':1,'prior':{'value':0.25}},"
        "{'name':'b','type':'categorical','values':['x','y'],"
        "'prior':{'value':'y','confidence':'high'}},{'name':'c','type':'bool'}]");
    json_auto_t *written = assay_space_encode(space);
    json_auto_t *wanted = json_of("[{'value':0.25,'confidence':'medium'},"
                                  "{'value':'y','confidence':'high'}]");

    (void)state;
    assert_true(space->parameters[0].prior_value == 0.25);
    assert_int_equal(space->parameters[0].prior_confidence, ASSAY_CONFIDENCE_MEDIUM);
    assert_true(space->parameters[1].prior_value == 1.0);
    assert_true(isnan(space->parameters[2].prior_value));
    for (size_t i = 0; i < 2; i++)
        assert_true(json_equal(json_object_get(json_array_get(written, i), "prior"),
                               json_array_get(wanted, i)));
    assert_null(json_object_get(json_array_get(written, 2), "prior"));
    assay_space_free(space);
}

static void
faults_of_priors_are_named(void **state)
{
    static const struct {
        const char *prior, *pointer;
    } cases[] = {
        {"{'value':7}", "/0/prior/value"},
        {"{'confidence':'high'}", "/0/prior/value"},
        {"{'value':0.5,'confidence':'sure'}", "/0/prior/confidence"},
        {"{'value':0.5,'sd':1}", "/0/prior/sd"},
        {"0.5", "/0/prior"},
    };

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(cases); i++) {
        json_auto_t *prior = json_of(cases[i].prior);
        json_auto_t *list = json_pack("[{s:s, s:s, s:i, s:i, s:O}]", "name", "a", "type", "double",
                                      "min", 0, "max", 1, "prior", prior);
        struct assay_faults faults = {0};

        assert_null(assay_space_decode(list, "", &faults));
        assert_int_equal(faults.count, 1);
        assert_string_equal(faults.items[0].pointer, cases[i].pointer);
        assay_faults_done(&faults);
    }
}

static void
discrete_values_are_sorted(void **state)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'discrete','values':[128,16,0.5,64],'default':16}]");
    json_auto_t *wanted = json_of("[0.5,16,64,128]");

    (void)state;
    assert_true(json_equal(space->parameters[0].choices, wanted));
    assert_true(space->parameters[0].numbers[0] == 0.5);
    assert_true(space->parameters[0].default_value == 1.0);
    assay_space_free(space);
}

static void
ranges_of_conditions_are_taken_to_the_grid(void **state)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'double','min':0,'max':1,'step':0.25},"
                 "{'name':'b','type':'bool','when':{'a':{'min':0.3,'max':0.9}}},"
                 "{'name':'c','type':'bool','when':{'a':{'max':0.5}}}]");
    const struct assay_condition *b = space->parameters[1].conditions;
    const struct assay_condition *c = space->parameters[2].conditions;

    (void)state;
    assert_true(b->min == 0.5 && b->max == 0.75 && b->n_values == 0);
    assert_true(c->min == 0.0 && c->max == 0.5);
    assay_space_free(space);
}

static void
texts_for_substitution(void **state)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'categorical','values':['x y',true,1]},"
                 "{'name':'lr','type':'double','min':0,'max':1},"
                 "{'name':'b','type':'bool','when':{'a':'x y'}}]");
    json_auto_t *parameters = json_of("{'a': true, 'lr': 0.1}");
    json_auto_t *texts = assay_space_texts(space, parameters);
    json_auto_t *wanted = json_of("{'a': 'true', 'lr': '0.1', 'b': ''}");

    (void)state;
    assert_true(json_equal(texts, wanted));
    assay_space_free(space);
}

/* Every parameter depends on every other: one sentence, not one for each cycle. */
static void
a_knot_of_cycles_is_told_once(void **state)
{
    json_auto_t *list = json_array();
    struct assay_faults faults = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        json_t *when = json_object();

        for (int k = 0; k < 100; k++) {
            assay_auto_free char *name = assay_format("p%d", k);

            if (k != i)
                json_object_set_new(when, name, json_true());
        }
        json_array_append_new(list, json_pack("{s:o, s:s, s:o}", "name", json_sprintf("p%d", i),
                                              "type", "bool", "when", when));
    }
    assert_null(assay_space_decode(list, "", &faults));
    assert_true(faults.count <= 50);
    assay_faults_done(&faults);
}

static void
faults_leave_other_faults_alone(void **state)
{
    json_auto_t *json = json_of("[]");
    struct assay_faults faults = {0};

    (void)state;
    assay_fault_add(&faults, "/x", NULL, NULL, "an earlier one");
    assert_null(assay_space_decode(json, "/parameters", &faults));
    assert_int_equal(faults.count, 2);
    json_decref(json);
    json = json_of("[{'name':'a','type':'bool'}]");
    assay_space_free(assay_space_decode(json, "/parameters", &faults));
    assert_int_equal(faults.count, 2);
    assay_faults_done(&faults);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_are_counted),
        cmocka_unit_test(wide_forests_are_counted),
        cmocka_unit_test(entangled_conditions_have_a_bound),
        cmocka_unit_test(parents_come_before_children),
        cmocka_unit_test(values_snap_to_the_grid),
        cmocka_unit_test(the_middle_follows_the_scale),
        cmocka_unit_test(priors_are_read_and_written),
        cmocka_unit_test(faults_of_priors_are_named),
        cmocka_unit_test(discrete_values_are_sorted),
        cmocka_unit_test(ranges_of_conditions_are_taken_to_the_grid),
        cmocka_unit_test(texts_for_substitution),
        cmocka_unit_test(a_knot_of_cycles_is_told_once),
        cmocka_unit_test(faults_leave_other_faults_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
