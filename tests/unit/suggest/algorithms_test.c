/* What the simple algorithms are for (the grid's order and lattice, Sobol's evenness),
 * what an ask costs with a long history, and what a proposer refuses.  What every
 * algorithm must keep is in conformance_test.c. */
#include "tests/unit/suggest/support.h"

#include "common/number.h"
#include "suggest/proposer.h"
#include "suggest/registry.h"

static const struct {
    const char *name;
    const char *parameters;
    double points; /* of the grid's default lattice */
} spaces[] = {
    {"one double", "[{'name':'x','type':'double','min':0,'max':1}]", 5},
    {"one int", "[{'name':'x','type':'int','min':-3,'max':9}]", 13},
    {"all categorical",
     "[{'name':'a','type':'categorical','values':['p','q','r']},{'name':'b','type':'bool'},"
     "{'name':'c','type':'categorical','values':[1,'one',true,2.5]}]",
     24},
    {"deep conditions",
     "[{'name':'g','type':'int','min':1,'max':3,'when':{'f':[2]}},"
     "{'name':'a','type':'bool'},"
     "{'name':'b','type':'categorical','values':['p','q'],'when':{'a':[true]}},"
     "{'name':'c','type':'int','min':0,'max':4,'when':{'b':['q']}},"
     "{'name':'d','type':'double','min':0,'max':0.6,'step':0.1,'when':{'c':{'min':2,'max':3}}},"
     "{'name':'e','type':'discrete','values':[16,32,64],'when':{'d':[0.3,0.6]}},"
     "{'name':'f','type':'int','min':1,'max':2,'when':{'e':[32],'a':[true]}}]",
     /* b=p, c of 0,1,4, and c of 2,3 with d: five of one, two of 2 + (1 + 3) */
     1 + 1 + 3 + 2 * (5 + 2 * (2 + 1 + 3))},
    {"single value", "[{'name':'x','type':'double','min':3,'max':3}]", 1},
    {"several fixed",
     "[{'name':'x','type':'int','min':3,'max':3},{'name':'y','type':'categorical','values':['z']}]",
     1},
    {"huge range",
     "[{'name':'a','type':'double','min':-8e307,'max':8e307},"
     "{'name':'b','type':'double','min':1e-300,'max':1e300,'scale':'log'},"
     "{'name':'c','type':'int','min':1,'max':9007199254740000,'scale':'log'}]",
     125},
    {"scales",
     "[{'name':'a','type':'double','min':1e-5,'max':1,'scale':'log'},"
     "{'name':'b','type':'double','min':0.1,'max':0.999,'scale':'reverse_log'},"
     "{'name':'c','type':'int','min':8,'max':512,'scale':'log'},"
     "{'name':'d','type':'double','min':0.05,'max':1,'step':0.05,'scale':'log'}]",
     125 * 20},
    {"finite branch",
     "[{'name':'a','type':'categorical','values':['s','t']},"
     "{'name':'x','type':'double','min':0,'max':1,'when':{'a':['s']}}]",
     6},
    {"steps that do not divide",
     "[{'name':'x','type':'double','min':0.1,'max':1.05,'step':0.3},"
     "{'name':'y','type':'int','min':-5,'max':5,'step':4}]",
     12},
};

/* What an ask may cost on average with 10,000 trials: tpe takes 200, and more on a slow processor
 * or one that two share.  Sanitizers take their time. */
#define ASK_US_MAX (ASSAY_SANITIZED ? 50000 : 5000)

static const char *const algorithms[] = {"random", "grid",     "nsga2", "sobol", "tpe",
                                         "cmaes",  "bayesian", "auto"};

/* Takes milliseconds for an ask, not microseconds: fewer asks have to do. */
static bool
is_slow(const char *algorithm)
{
    return strcmp(algorithm, "bayesian") == 0 || strcmp(algorithm, "auto") == 0;
}

static json_t *
spec_of(const char *algorithm, const char *parameters, uint64_t seed)
{
    json_t *spec = json_of("{'objectives':[{'metric':'loss','goal':'minimize'}]}");

    json_object_set_new(spec, "parameters", json_of(parameters));
    json_object_set_new(spec, "algorithm", json_pack("{s:s,s:{}}", "name", algorithm, "settings"));
    json_object_set_new(spec, "seed", json_integer((json_int_t)seed));
    return spec;
}

static struct assay_proposer *
proposer_of_json(const json_t *spec)
{
    struct assay_error err = {0};
    struct assay_proposer *proposer;

    if (assay_proposer_new(spec, NULL, &proposer, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    return proposer;
}

static struct assay_proposer *
proposer_of(const char *algorithm, const char *parameters, uint64_t seed)
{
    json_t *spec = spec_of(algorithm, parameters, seed);
    struct assay_proposer *proposer = proposer_of_json(spec);

    json_decref(spec);
    return proposer;
}

static void
tell(struct assay_proposer *proposer, const json_t *trials)
{
    struct assay_error err = {0};

    if (assay_proposer_tell(proposer, trials, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
}

static void
tell_one(struct assay_proposer *proposer, json_int_t number, json_t *parameters, const char *state,
         double value)
{
    json_t *trials = isnan(value) ? json_pack("[{s:I,s:s,s:O,s:n}]", "number", number, "state",
                                              state, "parameters", parameters, "values")
                                  : json_pack("[{s:I,s:s,s:O,s:[f]}]", "number", number, "state",
                                              state, "parameters", parameters, "values", value);

    tell(proposer, trials);
    json_decref(trials);
}

/* The suggestions; NULL and *ret_exhausted when there is none. */
static json_t *
ask(struct assay_proposer *proposer, int64_t first, size_t n, bool *ret_exhausted)
{
    struct assay_error err = {0};
    int64_t numbers[ASSAY_PROPOSER_ASK_MAX];
    json_t *trials;

    for (size_t i = 0; i < n; i++)
        numbers[i] = first + (int64_t)i;
    if (assay_proposer_ask(proposer, numbers, n, &trials, ret_exhausted, &err) != ASSAY_OK)
        fail_msg("%s", err.message);
    return trials;
}

static void
check_new(json_t *seen, const json_t *parameters, const char *where)
{
    assay_auto_free char *text = json_dumps(parameters, JSON_SORT_KEYS);

    if (json_object_get(seen, text) != NULL)
        fail_msg("%s: %s was proposed twice", where, text);
    json_object_set_new(seen, text, json_true());
}

/* The grid has each point of its lattice once, and says when it is through. */
static void
test_grid_lattice(void **state ASSAY_UNUSED)
{
    for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
        struct assay_proposer *proposer = proposer_of("grid", spaces[s].parameters, 1);
        json_t *seen = json_object(), *trials;
        size_t points = 0;
        bool exhausted;

        trials = ask(proposer, 1, ASSAY_PROPOSER_ASK_MAX, &exhausted);
        for (size_t i = 0; i < json_array_size(trials); i++)
            check_new(seen, json_object_get(json_array_get(trials, i), "parameters"),
                      spaces[s].name);
        points = json_array_size(trials);
        assert_int_equal(points, ASSAY_MIN(spaces[s].points, (double)ASSAY_PROPOSER_ASK_MAX));
        assert_true(exhausted == (spaces[s].points < ASSAY_PROPOSER_ASK_MAX));
        json_decref(trials);
        json_decref(seen);
        assay_proposer_free(proposer);
    }
}

/* Mixed parameters by the hundred, some of them conditional. */
static json_t *
wide_space(size_t n)
{
    static const char *const kinds[] = {
        "{'type':'double','min':0,'max':1}",
        "{'type':'double','min':1e-6,'max':1,'scale':'log'}",
        "{'type':'int','min':1,'max':100}",
        "{'type':'categorical','values':['a','b','c']}",
        "{'type':'bool'}",
    };
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *parameter = json_of(kinds[i % ASSAY_COUNT(kinds)]);
        assay_auto_free char *name = assay_format("p%zu", i);

        json_object_set_new(parameter, "name", json_string(name));
        if (i % 10 == 9) {
            assay_auto_free char *parent = assay_format("p%zu", i - 1);

            json_object_set_new(parameter, "when", json_pack("{s:[s,s]}", parent, "a", "b"));
        }
        json_array_append_new(list, parameter);
    }
    return list;
}

/* Workers that ask at once, before anything of the others has been told. */
static void
test_grid_without_tells(void **state ASSAY_UNUSED)
{
    const char *parameters = "[{'name':'a','type':'int','min':1,'max':6},"
                             "{'name':'b','type':'categorical','values':['p','q','r']}]";

    for (int shuffled = 0; shuffled < 2; shuffled++) {
        json_t *spec = spec_of("grid", parameters, 4), *seen = json_object();
        struct assay_proposer *proposer;

        json_object_set_new(json_object_get(json_object_get(spec, "algorithm"), "settings"),
                            "order", json_string(shuffled ? "shuffled" : "sequential"));
        proposer = proposer_of_json(spec);
        for (int64_t number = 1; number <= 18; number++) {
            bool exhausted;
            json_t *trials = ask(proposer, number, 1, &exhausted);

            check_new(seen, json_object_get(json_array_get(trials, 0), "parameters"), "grid");
            json_decref(trials);
        }
        json_decref(spec);
        json_decref(seen);
        assay_proposer_free(proposer);
    }
}

static void
test_grid_order(void **state ASSAY_UNUSED)
{
    const char *parameters = "[{'name':'a','type':'int','min':0,'max':9},"
                             "{'name':'b','type':'int','min':0,'max':9}]";
    json_t *spec = spec_of("grid", parameters, 7), *trials;
    struct assay_proposer *proposer = proposer_of_json(spec);
    int in_place = 0;
    bool exhausted;

    trials = ask(proposer, 1, 100, &exhausted);
    for (size_t i = 0; i < 100; i++) {
        const json_t *point = json_object_get(json_array_get(trials, i), "parameters");

        assert_int_equal(json_integer_value(json_object_get(point, "a")) * 10 +
                             json_integer_value(json_object_get(point, "b")),
                         i);
    }
    json_decref(trials);
    assay_proposer_free(proposer);
    json_object_set_new(json_object_get(json_object_get(spec, "algorithm"), "settings"), "order",
                        json_string("shuffled"));
    proposer = proposer_of_json(spec);
    trials = ask(proposer, 1, 100, &exhausted);
    assert_int_equal(json_array_size(trials), 100);
    for (size_t i = 0; i < 100; i++) {
        const json_t *point = json_object_get(json_array_get(trials, i), "parameters");

        in_place += json_integer_value(json_object_get(point, "a")) * 10 +
                        json_integer_value(json_object_get(point, "b")) ==
                    (json_int_t)i;
    }
    assert_in_range(in_place, 0, 8);
    json_decref(trials);
    assay_proposer_free(proposer);
    json_decref(spec);
}

static void
test_centre_comes_first(void **state ASSAY_UNUSED)
{
    struct assay_proposer *proposer =
        proposer_of("sobol",
                    "[{'name':'lr','type':'double','min':0.0001,'max':1,'scale':'log'},"
                    "{'name':'x','type':'double','min':-1,'max':3},"
                    "{'name':'o','type':'categorical','values':['sgd','adam']},"
                    "{'name':'m','type':'int','min':0,'max':10,'default':2,'when':{'o':['sgd']}}]",
                    1);
    bool exhausted;
    json_t *trials = ask(proposer, 1, 1, &exhausted);
    const json_t *point = json_object_get(json_array_get(trials, 0), "parameters");

    assert_near(json_real_value(json_object_get(point, "lr")), 0.01, 1e-12);
    assert_near(json_real_value(json_object_get(point, "x")), 1.0, 1e-12);
    assert_string_equal(json_string_value(json_object_get(point, "o")), "sgd");
    assert_int_equal(json_integer_value(json_object_get(point, "m")), 2);
    json_decref(trials);
    assay_proposer_free(proposer);
}

/* Kolmogorov-Smirnov distance of n sorted-in-place numbers from uniform. */
static double
distance_from_uniform(double *u, size_t n)
{
    double worst = 0.0;

    qsort(u, n, sizeof *u, assay_compare_doubles);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fmax(fabs(u[i] - (double)i / (double)n),
                                 fabs(u[i] - (double)(i + 1) / (double)n)));
    return worst;
}

/* Uniform where it should be: on the scale, over values, over choices. */
static void
test_statistics(void **state ASSAY_UNUSED)
{
    enum { N = 1000 };
    const char *parameters =
        "[{'name':'lin','type':'double','min':-2,'max':6},"
        "{'name':'log','type':'double','min':1e-6,'max':100,'scale':'log'},"
        "{'name':'rev','type':'double','min':0.001,'max':1,'scale':'reverse_log'},"
        "{'name':'cat','type':'categorical','values':[0,1,2,3]},"
        "{'name':'int','type':'int','min':1,'max':5}]";

    for (size_t a = 0; a < 2; a++) {
        const char *algorithm = a == 0 ? "random" : "sobol";
        struct assay_proposer *proposer = proposer_of(algorithm, parameters, 77);
        bool exhausted;
        json_t *trials = ask(proposer, 2, N, &exhausted);
        static double lin[N], logarithm[N], rev[N];
        int cats[4] = {0}, ints[5] = {0};
        /* Kolmogorov's 0.1 % point for random; the sequence is far more even. */
        double allowed = a == 0 ? 1.95 / sqrt(N) : 0.004;
        int slack = a == 0 ? 60 : 5;

        for (size_t i = 0; i < N; i++) {
            const json_t *point = json_object_get(json_array_get(trials, i), "parameters");

            lin[i] = (json_real_value(json_object_get(point, "lin")) + 2) / 8;
            logarithm[i] = log10(json_real_value(json_object_get(point, "log"))) / 8 + 0.75;
            rev[i] = -log10(1.001 - json_real_value(json_object_get(point, "rev"))) / 3;
            cats[json_integer_value(json_object_get(point, "cat"))]++;
            ints[json_integer_value(json_object_get(point, "int")) - 1]++;
        }
        assert_true(distance_from_uniform(lin, N) < allowed);
        assert_true(distance_from_uniform(logarithm, N) < allowed);
        assert_true(distance_from_uniform(rev, N) < allowed);
        for (int c = 0; c < 4; c++)
            assert_in_range(cats[c], N / 4 - slack, N / 4 + slack);
        for (int c = 0; c < 5; c++)
            assert_in_range(ints[c], N / 5 - slack, N / 5 + slack);
        json_decref(trials);
        assay_proposer_free(proposer);
    }
}

static void
test_seed_matters(void **state ASSAY_UNUSED)
{
    static const char *const seeded[] = {"random", "sobol", "auto"};

    for (size_t a = 0; a < ASSAY_COUNT(seeded); a++) {
        struct assay_proposer *one = proposer_of(seeded[a], spaces[7].parameters, 1);
        struct assay_proposer *two = proposer_of(seeded[a], spaces[7].parameters, 2);
        bool exhausted;
        json_t *first = ask(one, 2, 1, &exhausted), *second = ask(two, 2, 1, &exhausted);

        assert_false(json_equal(json_object_get(json_array_get(first, 0), "parameters"),
                                json_object_get(json_array_get(second, 0), "parameters")));
        json_decref(first);
        json_decref(second);
        assay_proposer_free(one);
        assay_proposer_free(two);
    }
}

/* 20 mixed parameters (DESIGN, section 6): asks stay cheap as the history grows. */
static void
test_cost_per_ask(void **state ASSAY_UNUSED)
{
    json_t *parameters = wide_space(20);

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        json_t *spec = spec_of(algorithms[a], spaces[1].parameters, 3);
        struct assay_proposer *proposer;
        int64_t spent = 0, slowest = 0;
        int asks = 0;

        if (is_slow(algorithms[a])) {
            json_decref(spec);
            continue;
        }
        if (strcmp(algorithms[a], "grid") == 0)
            json_object_set_new(spec, "parameters",
                                json_of("[{'name':'a','type':'int','min':1,'max':1000},"
                                        "{'name':'b','type':'int','min':1,'max':1000}]"));
        else
            json_object_set(spec, "parameters", parameters);
        proposer = proposer_of_json(spec);
        for (int64_t number = 1; number <= 10200; number++) {
            bool exhausted;
            int64_t start = assay_processor_us(), took;
            json_t *trials = ask(proposer, number, 1, &exhausted);

            took = assay_processor_us() - start;
            if (number > 10000) {
                spent += took;
                slowest = ASSAY_MAX(slowest, took);
                asks++;
            }
            tell_one(proposer, number, json_object_get(json_array_get(trials, 0), "parameters"),
                     "succeeded", 0.5);
            json_decref(trials);
        }
        print_message("%s: %.1f us per ask at 10,000 trials, the slowest %lld us\n", algorithms[a],
                      (double)spent / asks, (long long)slowest);
        assert_true(spent / asks < ASK_US_MAX);
        json_decref(spec);
        assay_proposer_free(proposer);
    }
    json_decref(parameters);
}

static void
test_bad_specifications(void **state ASSAY_UNUSED)
{
    static const char *const bad[] = {
        "{}",
        "{'objectives':[]}",
        "{'objectives':[{'goal':'best'}]}",
        "{'objectives':[{'goal':'minimize'}]}",
        "{'objectives':[{'goal':'minimize'}],'parameters':[{'name':'x'}]}",
        "{'objectives':[{'goal':'minimize'}],'parameters':[{'name':'x','type':'bool'}],"
        "'algorithm':{'name':'magic'}}",
        "{'objectives':[{'goal':'minimize'}],'parameters':[{'name':'x','type':'bool'}],"
        "'algorithm':{'name':'grid','settings':{'order':'backwards'}}}",
        "{'objectives':[{'goal':'minimize'}],'parameters':[{'name':'x','type':'bool'}],"
        "'algorithm':{'name':'random','settings':[]}}",
    };
    static const char *const bad_trials[] = {
        "7",
        "[7]",
        "[{'number':0,'state':'pending','parameters':{'x':1}}]",
        "[{'number':'1','state':'pending','parameters':{'x':1}}]",
        "[{'number':1,'state':'tired','parameters':{'x':1}}]",
        "[{'number':1,'parameters':{'x':1}}]",
        "[{'number':1,'state':'pending'}]",
        "[{'number':1,'state':'pending','parameters':{'x':7}}]",
        "[{'number':1,'state':'pending','parameters':{'x':1,'y':2}}]",
        "[{'number':1,'state':'succeeded','parameters':{'x':1},'values':[1,2]}]",
        "[{'number':1,'state':'succeeded','parameters':{'x':1},'values':['much']}]",
    };
    struct assay_proposer *proposer;
    json_t *trials;
    bool exhausted;

    for (size_t i = 0; i < ASSAY_COUNT(bad); i++) {
        struct assay_error err = {0};
        json_t *spec = json_of(bad[i]);

        assert_int_not_equal(assay_proposer_new(spec, NULL, &proposer, &err), ASSAY_OK);
        assert_int_not_equal(err.message[0], '\0');
        json_decref(spec);
    }
    proposer = proposer_of("random", "[{'name':'x','type':'int','min':1,'max':3}]", 1);
    for (size_t i = 0; i < ASSAY_COUNT(bad_trials); i++) {
        struct assay_error err = {0};
        json_t *list = json_of(bad_trials[i]);

        assert_int_not_equal(assay_proposer_tell(proposer, list, &err), ASSAY_OK);
        assert_int_not_equal(err.message[0], '\0');
        json_decref(list);
    }
    trials = ask(proposer, 1, 5, &exhausted); /* nothing of it was kept */
    assert_int_equal(json_array_size(trials), 3);
    json_decref(trials);
    assay_proposer_free(proposer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_lattice),
        cmocka_unit_test(test_grid_without_tells),
        cmocka_unit_test(test_grid_order),
        cmocka_unit_test(test_centre_comes_first),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_cost_per_ask),
        cmocka_unit_test(test_bad_specifications),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
