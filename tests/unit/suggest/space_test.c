/* The plugin's view of a space, the transform, the history, the lattice and the
 * search for untried points. */
#include "tests/unit/suggest/support.h"

#include "suggest/history.h"
#include "suggest/lattice.h"
#include "suggest/transform.h"
#include "suggest/untried.h"

static const char *const spaces[] = {
    "[{'name':'x','type':'double','min':-1,'max':3}]",
    "[{'name':'x','type':'double','min':1e-5,'max':1,'scale':'log'}]",
    "[{'name':'x','type':'double','min':0.1,'max':0.9,'scale':'reverse_log'}]",
    "[{'name':'x','type':'double','min':-8e307,'max':8e307}]",
    "[{'name':'x','type':'double','min':0,'max':0.6,'step':0.1}]",
    "[{'name':'x','type':'double','min':0.05,'max':1,'step':0.25,'scale':'log'}]",
    "[{'name':'x','type':'int','min':1,'max':512,'scale':'log'}]",
    "[{'name':'x','type':'int','min':1,'max':20,'step':4,'scale':'log'}]",
    "[{'name':'x','type':'int','min':1,'max':100,'scale':'reverse_log'}]",
    "[{'name':'x','type':'int','min':-9007199254740000,'max':9007199254740000}]",
    "[{'name':'x','type':'discrete','values':[16,32,64,128]}]",
    "[{'name':'x','type':'categorical','values':['a','b','c']}]",
    "[{'name':'x','type':'bool'}]",
};

static void
test_transform_round_trip(void **state ASSAY_UNUSED)
{
    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        struct assay_space *space = space_of(spaces[s]);
        struct assay_view *view = assay_view_new(space);
        struct assay_transform transform;
        double last = -INFINITY;

        assay_transform_init(&transform, assay_view_space(view));
        assert_int_equal(transform.n_dimensions, 1);
        for (int k = 0; k <= 1000; k++) {
            double unit = k / 1000.0, point, back, again;

            assay_transform_decode(&transform, &unit, &point);
            assert_int_equal(assay_view_check(assay_view_space(view), &point, NULL), ASSAY_OK);
            assert_true(point >= last); /* monotone */
            last = point;
            assay_transform_encode(&transform, &point, &back);
            assert_true(back >= 0.0 && back <= 1.0);
            if (isinf(assay_view_space(view)->cardinality))
                assert_near(back, unit, 1e-9);
            assay_transform_decode(&transform, &back, &again);
            /* Of 2^54 values not each has a unit of its own. */
            if (isinf(assay_view_space(view)->cardinality))
                assert_true(fabs(again - point) <= 1e-9 * fabs(point) + 1e-12);
            else
                assert_true(again == point || assay_view_space(view)->cardinality > 1e15);
        }
        assay_transform_done(&transform);
        assay_view_free(view);
        assay_space_free(space);
    }
}

/* Every value of a linear grid gets the same share of the unit interval. */
static void
test_transform_even_shares(void **state ASSAY_UNUSED)
{
    static const char *const even[] = {
        "[{'name':'x','type':'int','min':-3,'max':6}]",
        "[{'name':'x','type':'double','min':0,'max':0.9,'step':0.1}]",
        "[{'name':'x','type':'categorical','values':[0,1,2,3,4,5,6,7,8,9]}]",
    };

    for (size_t s = 0; s < ASSAY_COUNT(even); s++) {
        struct assay_space *space = space_of(even[s]);
        struct assay_view *view = assay_view_new(space);
        struct assay_transform transform;
        int shares[10] = {0};

        assay_transform_init(&transform, assay_view_space(view));
        for (int k = 0; k < 10000; k++) {
            double value = assay_transform_value(&transform, 0, (k + 0.5) / 10000.0);

            shares[(int)lround((value - space->parameters[0].min * (s < 2)) /
                               (s == 1 ? 0.1 : 1))]++;
        }
        for (int i = 0; i < 10; i++)
            assert_in_range(shares[i], 999, 1001);
        assay_transform_done(&transform);
        assay_view_free(view);
        assay_space_free(space);
    }
}

static void
test_transform_drops_fixed_values(void **state ASSAY_UNUSED)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'double','min':2,'max':2},"
                 "{'name':'b','type':'categorical','values':['only']},"
                 "{'name':'c','type':'double','min':0,'max':1,'when':{'b':['only']}},"
                 "{'name':'d','type':'bool','when':{'c':{'min':0.5,'max':1}}}]");
    struct assay_view *view = assay_view_new(space);
    struct assay_transform transform;
    double unit[2] = {0.25, 0.9}, point[4];

    assay_transform_init(&transform, assay_view_space(view));
    assert_int_equal(transform.n_dimensions, 2);
    assay_transform_decode(&transform, unit, point);
    assert_true(point[0] == 2.0 && point[1] == 0.0 && point[2] == 0.25 && isnan(point[3]));
    unit[0] = 0.75;
    assay_transform_decode(&transform, unit, point);
    assert_true(point[2] == 0.75 && point[3] == 1.0);
    assay_transform_done(&transform);
    assay_view_free(view);
    assay_space_free(space);
}

/* The view's check and the decoder of schemas agree on what a valid point is. */
static void
test_view_check_agrees_with_decode(void **state ASSAY_UNUSED)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'int','min':0,'max':3},"
                 "{'name':'b','type':'double','min':0,'max':1,'step':0.3,'when':{'a':[1,2]}},"
                 "{'name':'c','type':'categorical','values':['p','q'],'when':{'b':[0.3]}}]");
    struct assay_view *view = assay_view_new(space);
    static const double candidates[] = {NAN, 0, 1, 2, 0.3, 0.6, 0.9, 0.5, -1, 4, 1.5};
    size_t n = ASSAY_COUNT(candidates), valid = 0;

    for (size_t k = 0; k < n * n * n; k++) {
        double point[3] = {candidates[k % n], candidates[k / n % n], candidates[k / n / n]};
        double decoded[3];
        struct assay_faults faults = {0};
        json_t *json = json_object();
        bool ok = assay_view_check(assay_view_space(view), point, NULL) == ASSAY_OK;

        for (size_t i = 0; i < 3; i++) {
            const struct assay_parameter *parameter = &space->parameters[i];

            if (isnan(point[i]))
                continue;
            if (parameter->type == ASSAY_PARAMETER_CATEGORICAL)
                json_object_set_new(json, parameter->name,
                                    point[i] == 0.0   ? json_string("p")
                                    : point[i] == 1.0 ? json_string("q")
                                                      : json_real(point[i]));
            else
                json_object_set_new(json, parameter->name, json_real(point[i]));
        }
        assert_int_equal(assay_point_decode(space, json, "", false, &faults, decoded), ok);
        valid += ok;
        json_decref(json);
        assay_faults_done(&faults);
    }
    assert_int_equal(valid, 1 + 2 * (3 + 2)); /* a is 0, or 1 or 2 */
    assay_view_free(view);
    assay_space_free(space);
}

static struct assay_plugin_trial
trial_of(int64_t number, uint32_t trial_state, const double *point, const double *values)
{
    return (struct assay_plugin_trial){.number = number,
                                       .state = trial_state,
                                       .point = point,
                                       .values = values,
                                       .budget = NAN,
                                       .steps = -1};
}

static void
test_history(void **state ASSAY_UNUSED)
{
    struct assay_space *space = space_of("[{'name':'x','type':'int','min':0,'max':100000}]");
    struct assay_view *view = assay_view_new(space);
    struct assay_history *history = assay_history_new(assay_view_space(view), 1, 0, 0);
    double none = NAN, finite = 0.5, infinite = INFINITY, point;
    struct assay_plugin_trial trial;

    for (int64_t n = 1; n <= 5000; n++) {
        point = (double)(n / 2);
        trial = trial_of(n, ASSAY_PLUGIN_PENDING, &point, &none);
        assay_history_tell(history, &trial);
    }
    assert_int_equal(assay_history_count(history), 5000);
    assert_int_equal(assay_history_distinct(history), 2501);
    point = 2500;
    assert_true(assay_history_tried(history, &point));
    point = 2501;
    assert_false(assay_history_tried(history, &point));
    assert_false(assay_history_find(history, 7)->usable);

    point = 3; /* number 7's own point */
    trial = trial_of(7, ASSAY_PLUGIN_SUCCEEDED, &point, &finite);
    assay_history_tell(history, &trial);
    assert_true(assay_history_find(history, 7)->usable);
    trial = trial_of(7, ASSAY_PLUGIN_SUCCEEDED, &point, &infinite);
    assay_history_tell(history, &trial);
    assert_false(assay_history_find(history, 7)->usable);
    trial = trial_of(7, ASSAY_PLUGIN_FAILED, &point, &finite);
    assay_history_tell(history, &trial);
    assert_false(assay_history_find(history, 7)->usable);
    assert_int_equal(assay_history_count(history), 5000);

    point = 99999; /* a number that changes its point */
    trial = trial_of(5000, ASSAY_PLUGIN_PENDING, &point, &none);
    assay_history_tell(history, &trial);
    assert_true(assay_history_tried(history, &point));
    point = 2500;
    assert_false(assay_history_tried(history, &point));

    assert_int_equal(assay_history_count_before(history, 5001), 5000);
    assert_int_equal(assay_history_count_before(history, 10), 9);
    point = 12345;
    trial = trial_of(6000, ASSAY_PLUGIN_PENDING, &point, &none);
    assay_history_tell(history, &trial);
    assert_int_equal(assay_history_count_before(history, 5500), 5000);
    assert_int_equal(assay_history_count_before(history, 7000), 5001);
    assert_null(assay_history_find(history, 5500));
    assay_history_free(history);
    assay_view_free(view);
    assay_space_free(space);
}

/* --- the lattice against plain enumeration --- */

struct enumeration {
    const struct assay_space *space;
    double points[20000][8];
    size_t count;
};

static void
enumerate(struct enumeration *all, double *point, size_t k)
{
    const struct assay_space *space = all->space;
    size_t i;

    if (k == space->n_parameters) {
        memcpy(all->points[all->count++], point, space->n_parameters * sizeof *point);
        return;
    }
    i = space->order[k];
    if (!assay_point_active(space, point, i)) {
        point[i] = NAN;
        enumerate(all, point, k + 1);
        return;
    }
    for (double level = 0; level < assay_parameter_cardinality(&space->parameters[i]); level++) {
        const struct assay_parameter *parameter = &space->parameters[i];
        double step = parameter->step > 0 ? parameter->step : 1.0;

        point[i] = parameter->n_choices > 0
                       ? level
                       : assay_parameter_snap(parameter, parameter->min + level * step);
        enumerate(all, point, k + 1);
    }
}

/* A random small space in which conditions go every way: several parents, ranges,
 * lists, chains. */
static json_t *
random_space(struct assay_random *random)
{
    size_t n = 1 + assay_random_below(random, 6);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        char name[2] = {(char)('a' + i), '\0'};
        json_t *parameter = json_object(), *when = json_object();

        json_object_set_new(parameter, "name", json_string(name));
        json_object_set_new(parameter, "type", json_string("int"));
        json_object_set_new(parameter, "min", json_integer(0));
        json_object_set_new(parameter, "max",
                            json_integer((json_int_t)assay_random_below(random, 4)));
        for (size_t j = 0; j < i; j++) {
            char parent[2] = {(char)('a' + j), '\0'};
            json_int_t max = json_integer_value(json_object_get(json_array_get(list, j), "max"));
            json_int_t low = (json_int_t)assay_random_below(random, (uint64_t)max + 1);
            json_int_t high =
                low + (json_int_t)assay_random_below(random, (uint64_t)(max - low) + 1);

            if (assay_random_below(random, 3) > 0)
                continue;
            if (assay_random_below(random, 2) == 0)
                json_object_set_new(when, parent, json_pack("{s:I,s:I}", "min", low, "max", high));
            else if (low < high)
                json_object_set_new(when, parent, json_pack("[I,I]", low, high));
            else
                json_object_set_new(when, parent, json_pack("[I]", low));
        }
        if (json_object_size(when) > 0)
            json_object_set(parameter, "when", when);
        json_decref(when);
        json_array_append_new(list, parameter);
    }
    return list;
}

static void
check_lattice(const struct assay_space *space)
{
    static struct enumeration all;
    struct assay_view *view = assay_view_new(space);
    struct assay_lattice *lattice = assay_lattice_new(assay_view_space(view), 5);
    struct assay_history *seen = assay_history_new(assay_view_space(view), 1, 0, 0);
    double point[8], none = NAN;

    all = (struct enumeration){.space = space};
    enumerate(&all, point, 0);
    assert_int_equal(assay_lattice_count(lattice), all.count);
    assert_true(assay_view_space(view)->cardinality == (double)all.count);
    for (uint64_t cell = 0; cell < assay_lattice_count(lattice); cell++) {
        struct assay_plugin_trial trial;

        assay_lattice_at(lattice, cell, point);
        assert_int_equal(assay_view_check(assay_view_space(view), point, NULL), ASSAY_OK);
        trial = trial_of((int64_t)cell + 1, ASSAY_PLUGIN_PENDING, point, &none);
        assay_history_tell(seen, &trial);
    }
    assert_int_equal(assay_history_distinct(seen), all.count);
    for (size_t k = 0; k < all.count; k++)
        assert_true(assay_history_tried(seen, all.points[k]));
    assay_history_free(seen);
    assay_lattice_free(lattice);
    assay_view_free(view);
}

static void
test_lattice_of_random_spaces(void **state ASSAY_UNUSED)
{
    struct assay_random random = test_random(11);

    for (int k = 0; k < 500; k++) {
        json_t *parameters = random_space(&random);
        struct assay_space *space = space_of_json(parameters);

        check_lattice(space);
        assay_space_free(space);
        json_decref(parameters);
    }
}

static uint64_t
lattice_count_of(const char *parameters, uint64_t points)
{
    struct assay_space *space = space_of(parameters);
    struct assay_view *view = assay_view_new(space);
    struct assay_lattice *lattice = assay_lattice_new(assay_view_space(view), points);
    uint64_t count = assay_lattice_count(lattice);

    assay_lattice_free(lattice);
    assay_view_free(view);
    assay_space_free(space);
    return count;
}

static void
test_lattice_counts(void **state ASSAY_UNUSED)
{
    /* The corpus of Katib's grid example: 9 values times 5. */
    assert_int_equal(
        lattice_count_of("[{'name':'lr','type':'double','min':0.01,'max':0.05,'step':0.005},"
                         "{'name':'momentum','type':'double','min':0.5,'max':0.9,'step':0.1}]",
                         5),
        45);
    assert_int_equal(lattice_count_of("[{'name':'x','type':'double','min':0,'max':1}]", 7), 7);
    assert_int_equal(
        lattice_count_of("[{'name':'x','type':'int','min':1,'max':1000000,'scale':'log'}]", 7), 7);
    assert_int_equal(
        lattice_count_of("[{'name':'x','type':'int','min':1,'max':6,'scale':'log'}]", 5), 4);
    assert_int_equal(lattice_count_of("[{'name':'x','type':'int','min':1,'max':1000000}]", 5),
                     1000000);
    /* More than 2^63 cells. */
    assert_int_equal(lattice_count_of("[{'name':'x','type':'int','min':0,'max':4000000000},"
                                      "{'name':'y','type':'int','min':0,'max':4000000000},"
                                      "{'name':'z','type':'int','min':0,'max':4000000000}]",
                                      5),
                     0);
}

/* A chain of 300 conditions counts in no time and without deep trouble. */
static void
test_lattice_long_chain(void **state ASSAY_UNUSED)
{
    json_t *list = json_array();
    struct assay_space *space;
    struct assay_view *view;
    struct assay_lattice *lattice;
    double *point;

    for (int i = 0; i < 300; i++) {
        char name[16], parent[16];
        json_t *parameter;

        snprintf(name, sizeof name, "p%d", i);
        snprintf(parent, sizeof parent, "p%d", i - 1);
        parameter = json_pack("{s:s,s:s}", "name", name, "type", "bool");
        if (i > 0)
            json_object_set_new(parameter, "when", json_pack("{s:[b]}", parent, 1));
        json_array_append_new(list, parameter);
    }
    space = space_of_json(list);
    view = assay_view_new(space);
    lattice = assay_lattice_new(assay_view_space(view), 5);
    assert_int_equal(assay_lattice_count(lattice), 301);
    point = assay_alloc(300, sizeof *point);
    assay_lattice_at(lattice, 300, point);
    assert_true(point[299] == 1.0);
    assay_lattice_at(lattice, 0, point);
    assert_true(point[0] == 0.0 && isnan(point[1]) && isnan(point[299]));
    free(point);
    assay_lattice_free(lattice);
    assay_view_free(view);
    assay_space_free(space);
    json_decref(list);
}

/* One child of 40 parents makes 2^40 states: given up soon, and said so. */
static void
test_lattice_too_entangled(void **state ASSAY_UNUSED)
{
    json_t *list = json_array(), *when = json_object();
    struct assay_space *space;
    struct assay_view *view;
    struct assay_lattice *lattice;
    int64_t start = assay_monotonic_us();

    for (int i = 0; i < 40; i++) {
        assay_auto_free char *name = assay_format("p%d", i);

        json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "type", "bool"));
        json_object_set_new(when, name, json_pack("[b]", i % 2));
    }
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:o}", "name", "c", "type", "bool", "when", when));
    space = space_of_json(list);
    view = assay_view_new(space);
    lattice = assay_lattice_new(assay_view_space(view), 5);
    assert_int_equal(assay_lattice_count(lattice), 0);
    print_message("given up after %.1f ms\n", (double)(assay_monotonic_us() - start) / 1000.0);
    assay_lattice_free(lattice);
    assay_view_free(view);
    assay_space_free(space);
    json_decref(list);
}

/* Draws until the space is used up: as many points as it has, all different, even
 * where a draw nearly never meets the untried ones. */
static void
test_untried_uses_up_spaces(void **state ASSAY_UNUSED)
{
    static const struct {
        const char *parameters;
        size_t points;
    } cases[] = {
        {"[{'name':'x','type':'int','min':1,'max':3000,'scale':'log'}]", 3000},
        {"[{'name':'a','type':'bool'},{'name':'b','type':'int','min':1,'max':50,'when':{'a':[true]}"
         "}]",
         51},
        {"[{'name':'x','type':'double','min':4,'max':4}]", 1},
    };

    for (size_t c = 0; c < ASSAY_COUNT(cases); c++) {
        struct assay_space *space = space_of(cases[c].parameters);
        struct assay_view *view = assay_view_new(space);
        struct assay_history *history = assay_history_new(assay_view_space(view), 1, 0, 0);
        struct assay_random random = test_random(c);
        struct assay_batch batch = {.given = NULL};
        struct assay_transform transform;
        double point[2], none = NAN;
        size_t drawn = 0;

        assay_transform_init(&transform, assay_view_space(view));
        while (assay_untried_draw(&transform, history, &batch, &random, point)) {
            struct assay_plugin_trial trial =
                trial_of((int64_t)++drawn, ASSAY_PLUGIN_PENDING, point, &none);

            assert_false(assay_history_tried(history, point));
            assay_history_tell(history, &trial);
            assert_true(drawn <= cases[c].points);
        }
        assert_int_equal(drawn, cases[c].points);
        assay_transform_done(&transform);
        assay_history_free(history);
        assay_view_free(view);
        assay_space_free(space);
    }
}

/* An infinite space whose continuous part is one choice in a thousand: when the
 * others are used up, only that part is proposed, and nothing hangs. */
static void
test_untried_finds_the_continuous_branch(void **state ASSAY_UNUSED)
{
    struct assay_space *space =
        space_of("[{'name':'a','type':'int','min':1,'max':1000},"
                 "{'name':'x','type':'double','min':0,'max':1,'when':{'a':[777]}}]");
    struct assay_view *view = assay_view_new(space);
    struct assay_history *history = assay_history_new(assay_view_space(view), 1, 0, 0);
    struct assay_random random = test_random(5);
    struct assay_batch batch = {.given = NULL};
    struct assay_transform transform;
    double point[2], none = NAN;

    assay_transform_init(&transform, assay_view_space(view));
    for (int64_t n = 1; n <= 1500; n++) {
        struct assay_plugin_trial trial;

        assert_true(assay_untried_draw(&transform, history, &batch, &random, point));
        trial = trial_of(n, ASSAY_PLUGIN_PENDING, point, &none);
        assay_history_tell(history, &trial);
    }
    assert_int_equal(assay_history_distinct(history), 1500);
    assay_transform_done(&transform);
    assay_history_free(history);
    assay_view_free(view);
    assay_space_free(space);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transform_round_trip),
        cmocka_unit_test(test_transform_even_shares),
        cmocka_unit_test(test_transform_drops_fixed_values),
        cmocka_unit_test(test_view_check_agrees_with_decode),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_lattice_of_random_spaces),
        cmocka_unit_test(test_lattice_counts),
        cmocka_unit_test(test_lattice_long_chain),
        cmocka_unit_test(test_lattice_too_entangled),
        cmocka_unit_test(test_untried_uses_up_spaces),
        cmocka_unit_test(test_untried_finds_the_continuous_branch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
