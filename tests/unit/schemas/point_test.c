/* Points: properties over random spaces, and the words of refusal. */

#include "tests/unit/schemas/help.h"

#include "common/random.h"
#include "schemas/point.h"

/* --- random spaces and points --- */

static json_t *
random_value_of(struct assay_random *random, const json_t *parameter)
{
    const char *type = json_string_value(json_object_get(parameter, "type"));
    const json_t *values = json_object_get(parameter, "values");

    if (strcmp(type, "bool") == 0)
        return json_boolean(assay_random_below(random, 2));
    if (values != NULL)
        return json_incref(
            json_array_get(values, assay_random_below(random, json_array_size(values))));
    return json_incref(json_object_get(parameter, "min"));
}

static json_t *
random_parameter(struct assay_random *random, size_t i, const json_t *earlier)
{
    static const char *const types[] = {"double", "int", "discrete", "categorical", "bool"};
    const char *type = types[assay_random_below(random, 5)];
    json_t *json = json_pack("{s:o, s:s}", "name", json_sprintf("p%zu", i), "type", type);
    double min = floor(assay_random_unit(random) * 100.0) / 8.0 + 0.125;

    if (strcmp(type, "double") == 0 || strcmp(type, "int") == 0) {
        bool whole = type[0] == 'i';
        double width = 1.0 + floor(assay_random_unit(random) * 1000.0);

        min = whole ? ceil(min) : min;
        json_object_set_new(json, "min", json_real(min));
        json_object_set_new(json, "max", json_real(min + width));
        if (assay_random_below(random, 2) == 0)
            json_object_set_new(json, "scale",
                                json_string(assay_random_below(random, 2) ? "log" : "reverse_log"));
        if (assay_random_below(random, 2) == 0)
            json_object_set_new(
                json, "step",
                json_real(whole ? 1.0 + (double)assay_random_below(random, (uint64_t)width)
                                : width / (double)(1 + assay_random_below(random, 1000))));
    } else if (strcmp(type, "bool") != 0) {
        json_t *values = json_array();

        for (uint64_t n = 1 + assay_random_below(random, 6), k = 0; k < n; k++)
            json_array_append_new(values, type[0] == 'd' ? json_real((double)(k * 7 % 5) + 0.1 * (double)k)
                                                         : json_sprintf("v%d", (int)k));
        json_object_set_new(json, "values", values);
    }
    if (json_array_size(earlier) > 0 && assay_random_below(random, 3) == 0) {
        const json_t *parent = json_array_get(
            earlier, assay_random_below(random, json_array_size(earlier)));

        json_object_set_new(json, "when",
                            json_pack("{s:[o]}", json_string_value(json_object_get(parent, "name")),
                                      random_value_of(random, parent)));
    }
    return json;
}

static struct assay_space *
random_space(struct assay_random *random)
{
    json_auto_t *list = json_array();
    struct assay_faults faults = {0};
    struct assay_space *space;

    for (uint64_t n = 1 + assay_random_below(random, 12), i = 0; i < n; i++)
        json_array_append_new(list, random_parameter(random, i, list));
    space = assay_space_decode(list, "", &faults);
    if (space == NULL) {
        print_faults(&faults);
        fail_msg("%s", json_dumps(list, 0));
    }
    return space;
}

static void
random_point(struct assay_random *random, const struct assay_space *space, double *point)
{
    for (size_t k = 0; k < space->n_parameters; k++) {
        size_t i = space->order[k];
        const struct assay_parameter *p = &space->parameters[i];
        double unit = assay_random_unit(random);

        if (!assay_point_active(space, point, i))
            point[i] = NAN;
        else if (p->n_choices > 0)
            point[i] = floor(unit * (double)p->n_choices);
        else
            point[i] = assay_parameter_snap(p, p->min + unit * (p->max - p->min));
    }
}

static void
points_and_spaces_survive_json(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 2000; round++) {
        struct assay_random random;
        struct assay_space *space;
        struct assay_faults faults = {0};
        double point[12], back[12];

        assay_random_init(&random, 7, round, 1);
        space = random_space(&random);
        random_point(&random, space, point);
        {
            json_auto_t *json = assay_point_encode(space, point);
            assay_auto_free char *text = json_dumps(json, 0);
            json_auto_t *parsed = json_loads(text, 0, NULL);
            json_auto_t *encoded = assay_space_encode(space);
            struct assay_space *again = assay_space_decode(encoded, "", &faults);
            json_auto_t *encoded_again = NULL;

            if (again == NULL ||
                !assay_point_decode(space, parsed, "", false, &faults, back)) {
                print_faults(&faults);
                fail_msg("round %d: %s", (int)round, text);
            }
            encoded_again = assay_space_encode(again);
            assert_true(json_equal(encoded, encoded_again));
            assert_true(assay_point_equal(space, point, back));
            assert_true(assay_point_equal(again, point, back));
            assert_true(assay_point_hash(space, point) == assay_point_hash(again, back));
            assert_int_equal(json_object_size(json), json_object_size(parsed));
            for (size_t i = 0; i < space->n_parameters; i++) {
                assert_int_equal(isnan(point[i]), !assay_point_active(space, point, i));
                assert_int_equal(isnan(point[i]) ? 0 : 1,
                                 json_object_get(json, space->parameters[i].name) != NULL);
            }
            assay_space_free(again);
        }
        assay_space_free(space);
    }
}

static void
different_points_have_different_hashes(void **state)
{
    struct assay_space *space = space_of("[{'name':'a','type':'int','min':0,'max':999},"
                                         "{'name':'b','type':'double','min':0,'max':1}]");
    uint64_t *seen = assay_zalloc(65536, sizeof *seen);
    size_t same = 0;

    (void)state;
    for (int a = 0; a < 100; a++) {
        for (int b = 0; b < 100; b++) {
            double point[2] = {a, b / 100.0};
            uint64_t hash = assay_point_hash(space, point);

            same += seen[hash % 65536] == hash;
            seen[hash % 65536] = hash;
        }
    }
    assert_int_equal(same, 0);
    free(seen);
    assay_space_free(space);
}

static void
equality_counts_steps(void **state)
{
    struct assay_space *space = space_of("[{'name':'a','type':'double','min':0,'max':1,'step':0.1},"
                                         "{'name':'b','type':'double','min':-1,'max':1}]");
    const double x[] = {0.1 + 0.2, 0.0}, y[] = {0.3, -0.0}, z[] = {0.4, 0.0};
    const double inactive[] = {0.3, NAN};

    (void)state;
    assert_true(assay_point_equal(space, x, y));
    assert_true(assay_point_hash(space, x) == assay_point_hash(space, y));
    assert_false(assay_point_equal(space, x, z));
    assert_false(assay_point_equal(space, y, inactive));
    assert_true(assay_point_equal(space, inactive, inactive));
    assay_space_free(space);
}

static const char tree[] =
    "[{'name':'opt','type':'categorical','values':['sgd','adam']},"
    "{'name':'momentum','type':'double','min':0,'max':1,'when':{'opt':['sgd']}},"
    "{'name':'lr','type':'double','min':0.001,'max':1,'scale':'log','default':0.01},"
    "{'name':'n','type':'int','min':2,'max':10,'step':2},"
    "{'name':'d','type':'double','min':0,'max':0.6,'step':0.1}]";

static void
points_are_checked(void **state)
{
    static const struct {
        const char *point, *pointer, *message;
    } rows[] = {
        {"[]", "/p", "must be an object of parameter values, not an array"},
        {"{'opt':'adam','lr':0.1,'n':2}", "/p/d", "\"d\" is missing"},
        {"{'opt':'adam','lr':0.1,'n':2,'d':0,'momentum':0.1}", "/p/momentum",
         "\"momentum\" is not active here: its condition does not hold"},
        {"{'opt':'sgd','lr':0.1,'n':2,'d':0}", "/p/momentum", "\"momentum\" is missing"},
        {"{'opt':'rms','lr':0.1,'n':2,'d':0}", "/p/opt", "not a value of \"opt\""},
        {"{'opt':'adam','lr':2,'n':2,'d':0}", "/p/lr", "out of the range of \"lr\""},
        {"{'opt':'adam','lr':'0.1','n':2,'d':0}", "/p/lr", "must be a number, not a string"},
        {"{'opt':'adam','lr':0.1,'n':3,'d':0}", "/p/n", "not on the step of \"n\""},
        {"{'opt':'adam','lr':0.1,'n':2.5,'d':0}", "/p/n", "\"n\" is an int parameter"},
        {"{'opt':'adam','lr':0.1,'n':2,'d':0.15}", "/p/d", "not on the step of \"d\""},
        {"{'opt':'adam','lr':0.1,'n':2,'d':0,'nn':1}", "/p/nn", "unknown parameter \"nn\""},
        {"{'opt':'adam','n':2,'d':0}", "/p/lr", "\"lr\" is missing"},
    };
    struct assay_space *space = space_of(tree);

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = json_of(rows[i].point);
        struct assay_faults faults = {0};
        double point[5] = {42.0, 42.0, 42.0, 42.0, 42.0};

        assert_false(assay_point_decode(space, json, "/p", false, &faults, point));
        if (find_fault(&faults, rows[i].pointer, rows[i].message) == NULL) {
            print_faults(&faults);
            fail_msg("%s", rows[i].point);
        }
        for (size_t k = 0; k < 5; k++)
            assert_true(point[k] == 42.0);
        assay_faults_done(&faults);
    }
    assay_space_free(space);
}

static void
defaults_stand_in_where_allowed(void **state)
{
    struct assay_space *space = space_of(tree);
    json_auto_t *json = json_of("{'opt':'adam','n':4,'d':0.30000000000000004,'momentum':null}");
    struct assay_faults faults = {0};
    double point[5];

    (void)state;
    assert_true(assay_point_decode(space, json, "", true, &faults, point));
    assert_true(point[0] == 1.0 && isnan(point[1]) && point[2] == 0.01 && point[3] == 4.0);
    assert_true(point[4] == 0.3);
    assay_space_free(space);
}

static void
part_of_a_point_is_completed(void **state)
{
    struct assay_space *space = space_of(tree);
    json_auto_t *json = json_of("{'n':4}");
    json_auto_t *wanted =
        json_of("{'opt':'sgd','momentum':0.5,'lr':0.01,'n':4,'d':0.3}");
    json_auto_t *encoded = NULL;
    struct assay_faults faults = {0};
    double point[5];

    (void)state;
    assert_true(assay_point_decode_part(space, json, "", &faults, point));
    encoded = assay_point_encode(space, point);
    assert_true(json_equal(encoded, wanted));
    assay_space_free(space);
}

static void
single_values(void **state)
{
    struct assay_space *space = space_of(tree);
    const double point[] = {1.0, NAN, 0.01, 4.0, 0.3};
    json_auto_t *opt = assay_point_value(space, point, 0);
    json_auto_t *n = assay_point_value(space, point, 3);

    (void)state;
    assert_string_equal(json_string_value(opt), "adam");
    assert_true(json_is_integer(n));
    assert_null(assay_point_value(space, point, 1));
    assay_space_free(space);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_and_spaces_survive_json),
        cmocka_unit_test(different_points_have_different_hashes),
        cmocka_unit_test(equality_counts_steps),
        cmocka_unit_test(points_are_checked),
        cmocka_unit_test(defaults_stand_in_where_allowed),
        cmocka_unit_test(part_of_a_point_is_completed),
        cmocka_unit_test(single_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
