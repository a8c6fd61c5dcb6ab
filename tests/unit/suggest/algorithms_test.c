/* What every algorithm must keep, over a matrix of spaces and histories: points of
 * the space, none twice, the same answer whatever way the history came, an end when
 * a finite space is used up. */
#include "tests/unit/suggest/support.h"

#include "suggest/proposer.h"
#include "suggest/registry.h"

static const struct {
    const char *name;
    const char *parameters;
    double points; /* of the grid's default lattice; INFINITY: too many to try here */
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

/* What an ask may cost on average with 10,000 trials; sanitizers take their time. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define ASK_US_MAX 50000
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASK_US_MAX 50000
#endif
#endif
#ifndef ASK_US_MAX
#define ASK_US_MAX 1000
#endif

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

/* A point of the space by the decoder of schemas, and the same after encoding. */
static void
check_point(const struct assay_space *space, const json_t *parameters, const char *where)
{
    struct assay_faults faults = {0};
    assay_auto_free double *point = assay_alloc(space->n_parameters, sizeof *point);
    json_t *again;

    if (!assay_point_decode(space, parameters, "", false, &faults, point))
        fail_msg("%s: %s %s", where, faults.items[0].pointer, faults.items[0].message);
    again = assay_point_encode(space, point);
    assert_true(json_equal(again, parameters));
    json_decref(again);
    assay_faults_done(&faults);
}

static void
check_new(json_t *seen, const json_t *parameters, const char *where)
{
    assay_auto_free char *text = json_dumps(parameters, JSON_SORT_KEYS);

    if (json_object_get(seen, text) != NULL)
        fail_msg("%s: %s was proposed twice", where, text);
    json_object_set_new(seen, text, json_true());
}

/* Tells the history of `trials` (numbers from 1) in pieces of another size to a new
 * proposer, which must then answer like the one that has lived through it. */
static void
check_replay(const json_t *spec, const json_t *trials, int64_t number, const json_t *expected,
             size_t piece)
{
    struct assay_proposer *fresh = proposer_of_json(spec);
    size_t count = json_array_size(trials);
    bool exhausted;
    json_t *answer;

    for (size_t i = 0; i < count; i += piece) {
        json_t *part = json_array();

        for (size_t k = i; k < ASSAY_MIN(count, i + piece); k++)
            json_array_append(part, json_array_get(trials, k));
        tell(fresh, part);
        json_decref(part);
    }
    answer = ask(fresh, number, 1, &exhausted);
    assert_true(json_equal(answer, expected));
    json_decref(answer);
    assay_proposer_free(fresh);
}

static const char *const states[] = {"succeeded", "stopped", "infeasible", "failed", "cancelled"};

static void
run_study(const char *algorithm, size_t s, uint64_t seed, size_t limit)
{
    json_t *spec = spec_of(algorithm, spaces[s].parameters, seed);
    struct assay_proposer *proposer = proposer_of_json(spec);
    struct assay_space *space = space_of(spaces[s].parameters);
    bool is_grid = strcmp(algorithm, "grid") == 0, exhausted = false;
    double points = is_grid ? spaces[s].points : assay_space_cardinality(space);
    json_t *seen = json_object(), *history = json_array();
    assay_auto_free char *where = assay_format("%s on %s", algorithm, spaces[s].name);
    size_t made = 0;

    while (made < limit) {
        int64_t number = (int64_t)made + 1;
        json_t *trials = ask(proposer, number, 1, &exhausted), *again, *trial;
        const char *state = states[made % ASSAY_COUNT(states)];
        double value = made % 3 == 0 ? NAN : (double)made;

        if (json_array_size(trials) == 0) {
            json_decref(trials);
            break;
        }
        again = ask(proposer, number, 1, &exhausted); /* asking changes nothing */
        assert_true(json_equal(trials, again));
        json_decref(again);
        if (made % (limit < 1000 ? 37 : 499) == 11)
            check_replay(spec, history, number, trials, made % 2 == 0 ? 1 : 10);
        trial = json_array_get(trials, 0);
        check_point(space, json_object_get(trial, "parameters"), where);
        check_new(seen, json_object_get(trial, "parameters"), where);
        assert_true(json_is_string(json_object_get(json_object_get(trial, "why"), "proposed_by")));
        tell_one(proposer, number, json_object_get(trial, "parameters"), "pending", NAN);
        if (made % 4 != 3) { /* the others stay pending */
            tell_one(proposer, number, json_object_get(trial, "parameters"), state, value);
            json_object_set_new(trial, "state", json_string(state));
            if (!isnan(value))
                json_object_set_new(trial, "values", json_pack("[f]", value));
        } else {
            json_object_set_new(trial, "state", json_string("running"));
        }
        json_array_append(history, trial);
        json_decref(trials);
        made++;
    }
    if (points <= (double)limit) { /* the space is used up, and not before its end */
        if ((double)made != points)
            fail_msg("%s: %zu points, not %g", where, made, points);
        assert_true(exhausted || made == limit);
    } else if (made < limit) {
        fail_msg("%s: gave up after %zu points", where, made);
    }
    json_decref(seen);
    json_decref(history);
    json_decref(spec);
    assay_space_free(space);
    assay_proposer_free(proposer);
}

static void
test_every_algorithm_on_every_space(void **state ASSAY_UNUSED)
{
    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        for (size_t s = 0; s < ASSAY_COUNT(spaces); s++) {
            for (uint64_t seed = 1; seed <= (is_slow(algorithms[a]) ? 1 : 3); seed++)
                run_study(algorithms[a], s, seed, is_slow(algorithms[a]) ? 100 : 150);
        }
    }
}

static void
test_two_thousand_trials(void **state ASSAY_UNUSED)
{
    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++)
        run_study(algorithms[a], 7, 4, is_slow(algorithms[a]) ? 250 : 2000); /* "scales" */
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

static void
test_two_hundred_parameters(void **state ASSAY_UNUSED)
{
    json_t *parameters = wide_space(200);
    struct assay_space *space = space_of_json(parameters);

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        json_t *spec = spec_of(algorithms[a], "[]", 1), *trials;
        struct assay_proposer *proposer;
        struct assay_error err = {0};
        bool exhausted;

        json_object_set(spec, "parameters", parameters);
        if (strcmp(algorithms[a], "grid") == 0) { /* says so rather than try */
            assert_int_equal(assay_proposer_new(spec, NULL, &proposer, &err), ASSAY_E_PLUGIN);
            assert_non_null(strstr(err.message, "too many points"));
            json_decref(spec);
            continue;
        }
        proposer = proposer_of_json(spec);
        trials = ask(proposer, 1, 50, &exhausted);
        assert_int_equal(json_array_size(trials), 50);
        for (size_t i = 0; i < 50; i++)
            check_point(space, json_object_get(json_array_get(trials, i), "parameters"),
                        algorithms[a]);
        json_decref(trials);
        json_decref(spec);
        assay_proposer_free(proposer);
    }
    assay_space_free(space);
    json_decref(parameters);
}

/* Points that a user queued or imported are not proposed again. */
static void
test_points_of_users_are_left_out(void **state ASSAY_UNUSED)
{
    const char *parameters = "[{'name':'a','type':'int','min':1,'max':4},"
                             "{'name':'b','type':'bool','when':{'a':[2,3]}}]";

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        struct assay_proposer *proposer = proposer_of(algorithms[a], parameters, 9);
        json_t *users = json_of(
            "[{'number':1,'state':'queued','parameters':{'a':1}},"
            "{'number':2,'state':'succeeded','parameters':{'a':2,'b':false},'values':[0.5]},"
            "{'number':3,'state':'queued','parameters':{'a':1}},"
            "{'number':9,'state':'running','parameters':{'a':4},'values':[null]}]");
        json_t *seen = json_of("{'{\\\"a\\\": 1}':true,'{\\\"a\\\": 4}':true,"
                               "'{\\\"a\\\": 2, \\\"b\\\": false}':true}");
        json_t *trials;
        bool exhausted;

        tell(proposer, users);
        trials = ask(proposer, 10, 5, &exhausted);
        assert_int_equal(json_array_size(trials), 3);
        assert_true(exhausted);
        for (size_t i = 0; i < 3; i++)
            check_new(seen, json_object_get(json_array_get(trials, i), "parameters"),
                      algorithms[a]);
        json_decref(trials);
        json_decref(users);
        json_decref(seen);
        assay_proposer_free(proposer);
    }
}

/* Workers that ask at once, before anything of the others has been told, get
 * different points; a batch is like single asks. */
static void
test_batches_and_late_tells(void **state ASSAY_UNUSED)
{
    const char *parameters = "[{'name':'a','type':'int','min':1,'max':6},"
                             "{'name':'b','type':'categorical','values':['p','q','r']}]";

    for (size_t a = 0; a < ASSAY_COUNT(algorithms); a++) {
        struct assay_proposer *proposer = proposer_of(algorithms[a], parameters, 4);
        json_t *seen = json_object(), *trials;
        bool exhausted;

        trials = ask(proposer, 1, 18, &exhausted);
        assert_int_equal(json_array_size(trials), 18);
        for (size_t i = 0; i < 18; i++)
            check_new(seen, json_object_get(json_array_get(trials, i), "parameters"),
                      algorithms[a]);
        json_decref(trials);
        json_decref(seen);
        trials = ask(proposer, 1, 19, &exhausted);
        assert_int_equal(json_array_size(trials), 18);
        assert_true(exhausted);
        json_decref(trials);
        assay_proposer_free(proposer);
    }
    /* The grid also without any tell, one number at a time. */
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
static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double
distance_from_uniform(double *u, size_t n)
{
    double worst = 0.0;

    qsort(u, n, sizeof *u, compare_doubles);
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
            int64_t start = assay_monotonic_us(), took;
            json_t *trials = ask(proposer, number, 1, &exhausted);

            took = assay_monotonic_us() - start;
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
        cmocka_unit_test(test_every_algorithm_on_every_space),
        cmocka_unit_test(test_two_thousand_trials),
        cmocka_unit_test(test_two_hundred_parameters),
        cmocka_unit_test(test_points_of_users_are_left_out),
        cmocka_unit_test(test_batches_and_late_tells),
        cmocka_unit_test(test_grid_order),
        cmocka_unit_test(test_centre_comes_first),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_cost_per_ask),
        cmocka_unit_test(test_bad_specifications),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
