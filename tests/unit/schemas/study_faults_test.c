/* Each fault a study file can have: where it is told and in which words. */

#include "tests/unit/schemas/help.h"

/* A part of a study file and the fault it must have.  The rest of the file is
 * filled in where the part leaves it out. */
struct row {
    const char *yaml;
    const char *pointer, *message;
    const char *allowed; /* NULL: not looked at */
};

#define OBJECTIVE "objective: {metric: loss, goal: minimize}\n"
#define PARAMETERS "parameters: [{name: lr, type: double, min: 0, max: 1}]\n"
#define ONE(parameter) OBJECTIVE "parameters: [" parameter "]\n"
#define TWO(a, b) OBJECTIVE "parameters: [" a ", " b "]\n"
#define BASE OBJECTIVE PARAMETERS
#define TRIAL(members) BASE "trial: {command: [a], " members "}\n"
#define JOB(members) BASE "trial: {kubernetes: {template: {apiVersion: batch/v1, kind: Job" members "}}\n"
#define OF_KIND(kind, members) \
    BASE "trial: {kubernetes: {template: {apiVersion: a/v1, kind: " kind "}" members "}}\n"

static const struct row rows[] = {
    /* the whole */
    {"[]", "", "must be an object, not an array", "an object"},
    {BASE "algoritm: {}", "/algoritm", "unknown key \"algoritm\"; did you mean \"algorithm\"?",
     NULL},
    {BASE "qqqqqq: 1", "/qqqqqq", "unknown key \"qqqqqq\"", NULL},
    {BASE "a/b~c: 1", "/a~1b~0c", "unknown key \"a/b~c\"", NULL},
    {BASE "name: Upper", "/name", "name is not a valid name", NULL},
    {BASE "name: 7", "/name", "name must be a string, not a number", NULL},
    {BASE "name: -x", "/name", "name is not a valid name", NULL},
    {BASE "project: other", "/project", "the study is submitted to project default", "default"},
    {BASE "seed: -1", "/seed", "seed is out of range", NULL},
    {BASE "seed: 1.5", "/seed", "seed must be a whole number", NULL},
    {BASE "seed: x", "/seed", "seed must be an integer, not a string", NULL},
    {BASE "lease: 10ms", "/lease", "lease is out of range", NULL},

    /* objectives */
    {PARAMETERS, "/objective", "objective is missing", NULL},
    {BASE "objectives: []", "/objectives", "both objective and objectives are given",
     "either objective or objectives"},
    {PARAMETERS "objectives: []", "/objectives", "there are no objectives", "1 to 16 objectives"},
    {PARAMETERS "objectives: 1", "/objectives", "must be an array of objectives, not a number",
     NULL},
    {PARAMETERS "objective: loss", "/objective", "must be an object, not a string", NULL},
    {PARAMETERS "objective: {goal: minimize}", "/objective/metric", "metric is missing", NULL},
    {PARAMETERS "objective: {metric: loss}", "/objective/goal", "goal is missing",
     "minimize or maximize"},
    {PARAMETERS "objective: {metric: loss, goal: minimise}", "/objective/goal",
     "unknown goal \"minimise\"; did you mean \"minimize\"?", "minimize, maximize"},
    {PARAMETERS "objective: {metric: loss, goal: minimize, target: low}", "/objective/target",
     "target must be a number, not a string", "a number"},
    {PARAMETERS "objective: {metric: loss, goal: minimize, target: .nan}", "/objective/target",
     "target must be a number, not a string", NULL},
    {PARAMETERS "objective: {metric: \" x\", goal: minimize}", "/objective/metric",
     "metric is not a valid metric name", NULL},
    {PARAMETERS "objectives: [{metric: a, goal: minimize}, {metric: a, goal: maximize}]",
     "/objectives/1/metric", "objective 0 has this metric already", NULL},
    {BASE "constraints: [{metric: a}]", "/constraints/0", "a constraint needs a bound",
     "min, max or both"},
    {BASE "constraints: [{metric: a, min: 2, max: 1}]", "/constraints/0",
     "min must not be greater than max", NULL},
    {BASE "constraints: [{max: 1}]", "/constraints/0/metric", "metric is missing", NULL},
    {BASE "constraints: {}", "/constraints", "constraints must be an array, not an object", NULL},

    /* parameters */
    {OBJECTIVE, "/parameters", "parameters is missing", "an array"},
    {OBJECTIVE "parameters: []", "/parameters", "there are no parameters", "1 to 1000 parameters"},
    {OBJECTIVE "parameters: {}", "/parameters", "parameters must be an array, not an object", NULL},
    {ONE("3"), "/parameters/0", "must be an object, not a number", NULL},
    {ONE("{type: bool}"), "/parameters/0/name", "name is missing", NULL},
    {ONE("{name: \"a b\", type: bool}"), "/parameters/0/name", "not a valid parameter name", NULL},
    {ONE("{name: a}"), "/parameters/0/type", "type is missing", NULL},
    {ONE("{name: a, type: float}"), "/parameters/0/type", "unknown type \"float\"",
     "double, int, discrete, categorical, bool"},
    {ONE("{name: a, type: bool, typ: 1}"), "/parameters/0/typ",
     "unknown key \"typ\"; did you mean \"type\"?", NULL},
    {ONE("{name: a, type: double, min: 3, max: 1}"), "/parameters/0/min",
     "min must be less than max", "a number less than max (1)"},
    {ONE("{name: a, type: double, max: 1}"), "/parameters/0/min", "min is missing", "a number"},
    {ONE("{name: a, type: double, min: 1}"), "/parameters/0/max", "max is missing", "a number"},
    {ONE("{name: a, type: double, min: \"1\", max: 2}"), "/parameters/0/min",
     "min must be a number, not a string", "a number"},
    {ONE("{name: a, type: double, min: 0, max: 1, scale: log}"), "/parameters/0/min",
     "a logarithmic scale needs min greater than 0", "a number greater than 0"},
    {ONE("{name: a, type: int, min: 0, max: 9, scale: reverse_log}"), "/parameters/0/min",
     "a logarithmic scale needs min greater than 0", NULL},
    {ONE("{name: a, type: double, min: 0, max: 1, scale: logg}"), "/parameters/0/scale",
     "unknown scale \"logg\"; did you mean \"log\"?", NULL},
    {ONE("{name: a, type: double, min: 0, max: 1, step: 0}"), "/parameters/0/step",
     "step must be greater than 0", "a number greater than 0"},
    {ONE("{name: a, type: int, min: 0, max: 5, step: -1}"), "/parameters/0/step",
     "step must be greater than 0", NULL},
    {ONE("{name: a, type: double, min: 0, max: 1, step: 2}"), "/parameters/0/step",
     "step is wider than the range", "at most max - min"},
    {ONE("{name: a, type: double, min: 1, max: 2, step: 1e-16}"), "/parameters/0/step",
     "step is too small to tell the values apart", NULL},
    {ONE("{name: a, type: double, min: -1e308, max: 1e308}"), "/parameters/0/max",
     "the range is too wide", NULL},
    {ONE("{name: a, type: int, min: 0.5, max: 3}"), "/parameters/0/min",
     "must be a whole number for an int parameter", NULL},
    {ONE("{name: a, type: int, min: 0, max: 3, step: 0.5}"), "/parameters/0/step",
     "must be a whole number for an int parameter", NULL},
    {ONE("{name: a, type: int, min: 0, max: 3, values: [1]}"), "/parameters/0/values",
     "a int parameter has no values", NULL},
    {ONE("{name: a, type: bool, min: 0}"), "/parameters/0/min", "a bool parameter has no min",
     NULL},
    {ONE("{name: a, type: categorical, values: [x], scale: log}"), "/parameters/0/scale",
     "a categorical parameter has no scale", NULL},
    {ONE("{name: a, type: categorical}"), "/parameters/0/values", "values is missing",
     "an array of values"},
    {ONE("{name: a, type: categorical, values: []}"), "/parameters/0/values", "values is empty",
     "at least one value"},
    {ONE("{name: a, type: categorical, values: [x, y, x]}"), "/parameters/0/values/2",
     "this value is given twice", NULL},
    {ONE("{name: a, type: discrete, values: [1, 2, 1.0]}"), "/parameters/0/values/2",
     "this value is given twice", NULL},
    {ONE("{name: a, type: discrete, values: [1, x]}"), "/parameters/0/values/1",
     "must be a number, not a string", NULL},
    {ONE("{name: a, type: categorical, values: [[x]]}"), "/parameters/0/values/0",
     "must be a string, number or boolean, not an array", NULL},
    {ONE("{name: a, type: double, min: 0, max: 1, default: 2}"), "/parameters/0/default",
     "out of the range of \"a\"", "0 to 1"},
    {ONE("{name: a, type: int, min: 0, max: 9, default: 0.5}"), "/parameters/0/default",
     "\"a\" is an int parameter", "a whole number"},
    {ONE("{name: a, type: double, min: 0, max: 1, step: 0.25, default: 0.3}"),
     "/parameters/0/default", "not on the step of \"a\"", "0.25 or 0.5"},
    {ONE("{name: a, type: categorical, values: [x, y], default: z}"), "/parameters/0/default",
     "not a value of \"a\"", "one of \"x\", \"y\""},
    {ONE("{name: a, type: bool, default: 1}"), "/parameters/0/default", "not a value of \"a\"",
     "one of false, true"},
    {TWO("{name: a, type: bool}", "{name: a, type: bool}"), "/parameters/1/name",
     "parameter 0 has this name already", NULL},

    /* conditions */
    {ONE("{name: a, type: bool, when: [x]}"), "/parameters/0/when",
     "when must be an object, not an array", NULL},
    {TWO("{name: opt, type: bool}", "{name: b, type: bool, when: {op: [true]}}"),
     "/parameters/1/when/op", "unknown parameter \"op\"; did you mean \"opt\"?", "opt, b"},
    {ONE("{name: a, type: bool, when: {a: [true]}}"), "/parameters/0/when/a",
     "\"a\" can not depend on itself", NULL},
    {TWO("{name: a, type: categorical, values: [x, y]}", "{name: b, type: bool, when: {a: [z]}}"),
     "/parameters/1/when/a/0", "not a value of \"a\"", "one of \"x\", \"y\""},
    {TWO("{name: a, type: categorical, values: [x, y]}", "{name: b, type: bool, when: {a: z}}"),
     "/parameters/1/when/a", "not a value of \"a\"", NULL},
    {TWO("{name: a, type: int, min: 1, max: 3}", "{name: b, type: bool, when: {a: [4]}}"),
     "/parameters/1/when/a/0", "out of the range of \"a\"", "1 to 3"},
    {TWO("{name: a, type: int, min: 1, max: 3}", "{name: b, type: bool, when: {a: {min: 4}}}"),
     "/parameters/1/when/a", "\"a\" has no value in this range", NULL},
    {TWO("{name: a, type: double, min: 0, max: 1, step: 0.5}",
         "{name: b, type: bool, when: {a: {min: 0.1, max: 0.4}}}"),
     "/parameters/1/when/a", "\"a\" has no value in this range", NULL},
    {TWO("{name: a, type: int, min: 1, max: 3}", "{name: b, type: bool, when: {a: {mn: 4}}}"),
     "/parameters/1/when/a/mn", "unknown key \"mn\"; did you mean \"min\"?", NULL},
    {TWO("{name: a, type: bool}", "{name: b, type: bool, when: {a: {min: 1}}}"),
     "/parameters/1/when/a", "must be an array of values, not an object", NULL},
    {TWO("{name: a, type: bool}", "{name: b, type: bool, when: {a: []}}"), "/parameters/1/when/a",
     "the list of values is empty", NULL},
    {TWO("{name: a, type: bool, when: {b: [true]}}", "{name: b, type: bool, when: {a: [true]}}"),
     "/parameters/0/when", "the conditions form a cycle: a -> b -> a", NULL},

    /* algorithm, early_stopping, budget */
    {BASE "algorithm: tpe", "/algorithm", "algorithm must be an object, not a string", NULL},
    {BASE "algorithm: {settings: {}}", "/algorithm/name", "name is missing", NULL},
    {BASE "algorithm: {name: tpe, settings: 3}", "/algorithm/settings",
     "settings must be an object, not a number", NULL},
    {BASE "early_stopping: {nam: median}", "/early_stopping/nam",
     "unknown key \"nam\"; did you mean \"name\"?", NULL},
    {BASE "early_stopping: {name: median, rules: [{name: asha}]}", "/early_stopping/rules",
     "median is one rule and takes no others", "rules only with the name any or all"},
    {BASE "early_stopping: {name: any}", "/early_stopping/rules", "any needs rules to join",
     "1 to 8 rules, 3 deep"},
    {BASE "early_stopping: {name: all, rules: []}", "/early_stopping/rules",
     "all needs rules to join", NULL},
    {BASE "early_stopping: {name: all, settings: {p: 1}, rules: [{name: asha}]}",
     "/early_stopping/settings", "all takes no settings", NULL},
    {BASE "early_stopping: {name: any, rules: [{name: asha}, {name: x, checks: 2}]}",
     "/early_stopping/rules/1/checks", "unknown key \"checks\"", NULL},
    {BASE "early_stopping: {name: any, rules: [{name: asha}, 3]}", "/early_stopping/rules/1",
     "must be an object, not a number", NULL},
    {BASE "early_stopping: {name: any, rules: [{name: a}, {name: a}, {name: a}, {name: a}, "
          "{name: a}, {name: a}, {name: a}, {name: a}, {name: a}]}",
     "/early_stopping/rules", "any joins too many rules", NULL},
    {BASE "early_stopping: {name: any, rules: [{name: all, rules: [{name: any, rules: "
          "[{name: a}]}]}]}",
     "/early_stopping/rules/0/rules/0/rules", "any is too deep", NULL},
    {BASE "early_stopping: {name: median, protect_best: -1}", "/early_stopping/protect_best",
     "protect_best is out of range", NULL},
    {BASE "early_stopping: {name: median, checks: 0}", "/early_stopping/checks",
     "checks is out of range", NULL},
    {BASE "early_stopping: {name: median, warmup_share: 1.5}", "/early_stopping/warmup_share",
     "warmup_share is out of range", NULL},
    {BASE "budget: {max: 9}", "/budget/name", "name is missing", NULL},
    {BASE "budget: {name: epochs}", "/budget/max", "max is missing",
     "a number greater than 0 and at most 1000000000000000"},
    {BASE "budget: {name: epochs, min: 10, max: 9}", "/budget/min", "min must be less than max",
     "at most max (9)"},
    {BASE "budget: {name: epochs, min: 0, max: 9}", "/budget/min", "min is out of range", NULL},
    {BASE "budget: {name: epochs, max: 9, eta: 1}", "/budget/eta", "eta is out of range",
     "a number greater than 1 and at most 1000"},

    /* limits */
    {BASE "limits: {trials: 0}", "/limits/trials", "trials is out of range",
     "an integer from 1 to 100000000"},
    {BASE "limits: {trials: many}", "/limits/trials", "trials must be an integer, not a string",
     NULL},
    {BASE "limits: {parallel: 0}", "/limits/parallel", "parallel is out of range", NULL},
    {BASE "limits: {failed_trials: -1}", "/limits/failed_trials", "failed_trials is out of range",
     NULL},
    {BASE "limits: {time: 2x}", "/limits/time", "time is malformed",
     "a duration such as 90s, 30m or 1h30m greater than 0s"},
    {BASE "limits: {time: 0}", "/limits/time", "time is out of range", NULL},
    {BASE "limits: {time: [1h]}", "/limits/time", "time must be a duration, not an array", NULL},
    {BASE "limits: {gpu_hours: 0}", "/limits/gpu_hours", "gpu_hours is out of range", NULL},
    {BASE "limits: {trial: 5}", "/limits/trial", "unknown key \"trial\"; did you mean \"trials\"?",
     NULL},
    {ONE("{name: a, type: int, min: 1, max: 30}")
     "algorithm: {name: grid}\nlimits: {trials: 20}",
     "/limits/trials", "the grid has 30 points, more than limits.trials",
     "at least 30, or no limit"},

    /* start_with, warm_start */
    {BASE "start_with: [{lr: 2}]", "/start_with/0/lr", "out of the range of \"lr\"", "0 to 1"},
    {BASE "start_with: [{l: 0.5}]", "/start_with/0/l",
     "unknown parameter \"l\"; did you mean \"lr\"?", "lr"},
    {BASE "start_with: [{}, 3]", "/start_with/1",
     "must be an object of parameter values, not a number", NULL},
    {TWO("{name: a, type: bool}", "{name: b, type: bool, when: {a: [true]}}")
     "start_with: [{a: false, b: true}]",
     "/start_with/0/b", "\"b\" is not active here: its condition does not hold", NULL},
    {BASE "warm_start: [{}]", "/warm_start/0/study", "study is missing", NULL},
    {BASE "warm_start: [{study: A}]", "/warm_start/0/study", "study is not a valid name", NULL},

    /* trial */
    {BASE "trial: {}", "/trial/command", "command is missing", NULL},
    {BASE "trial: {command: []}", "/trial/command", "the command is empty", NULL},
    {BASE "trial: {command: python3 train.py}", "/trial/command",
     "must be an array: the program and its arguments, not a string", NULL},
    {BASE "trial: {command: [\"\"]}", "/trial/command/0", "the program's name is empty", NULL},
    {BASE "trial: {command: [a, [b]]}", "/trial/command/1", "must be a string, not an array", NULL},
    {BASE "trial: {command: [a, \"${ls}\"]}", "/trial/command/1",
     "unknown reference ${…} \"ls\"; did you mean \"lr\"?", NULL},
    {BASE "trial: {command: [a, \"${budget}\"]}", "/trial/command/1",
     "unknown reference ${…} \"budget\"", NULL},
    {BASE "trial: {command: [a, \"x${lr\"]}", "/trial/command/1", "\"${\" without \"}\"",
     "\"${name}\", or \"$${\" for a literal \"${\""},
    {TRIAL("environment: {X: \"${y}\"}"), "/trial/environment/X", "unknown reference ${…} \"y\"",
     NULL},
    {TRIAL("environment: {1X: a}"), "/trial/environment/1X",
     "not a valid name of an environment variable", NULL},
    {TRIAL("environment: {A=B: a}"), "/trial/environment/A=B",
     "not a valid name of an environment variable", NULL},
    {TRIAL("environment: {ASSAY_URL: a}"), "/trial/environment/ASSAY_URL",
     "the names ASSAY_… are set by Assay", NULL},
    {TRIAL("environment: {X: [a]}"), "/trial/environment/X", "must be a string, not an array",
     NULL},
    {TRIAL("environment: [a]"), "/trial/environment",
     "must be an object of names and texts, not an array", NULL},
    {TRIAL("code: {}"), "/trial/code", "git or directory is missing", "git or directory"},
    {TRIAL("code: {git: u, directory: /d}"), "/trial/code", "both git and directory are given",
     NULL},
    {TRIAL("code: {directory: d}"), "/trial/code/directory", "directory must be absolute", NULL},
    {TRIAL("code: {directory: /d, revision: r}"), "/trial/code/revision", "a revision needs git",
     NULL},
    {TRIAL("code: {git: --upload-pack=x}"), "/trial/code/git", "git must not begin with \"-\"",
     NULL},
    {TRIAL("code: {git: u, revision: -x}"), "/trial/code/revision",
     "revision must not begin with \"-\"", NULL},
    {TRIAL("metrics: {from: stdoutt}"), "/trial/metrics/from",
     "unknown from \"stdoutt\"; did you mean \"stdout\"?",
     "stdout, file, tensorboard, prometheus, push"},
    {TRIAL("metrics: {from: file}"), "/trial/metrics/path", "metrics from file need path", NULL},
    {TRIAL("metrics: {from: stdout, path: x}"), "/trial/metrics/path",
     "metrics from stdout have no path", NULL},
    {TRIAL("metrics: {from: prometheus}"), "/trial/metrics/url", "metrics from prometheus need url",
     NULL},
    {TRIAL("metrics: {from: prometheus, url: \"localhost:80\"}"), "/trial/metrics/url", "not a URL",
     NULL},
    {TRIAL("metrics: {filter: a}"), "/trial/metrics/filter",
     "the pattern needs groups: (name) and (value)", NULL},
    {TRIAL("metrics: {filter: \"(a)(b\"}"), "/trial/metrics/filter", NULL, NULL},
    {TRIAL("metrics: {from: push, filter: \"(a)(b)\"}"), "/trial/metrics/filter",
     "metrics from push have no filter", NULL},
    {TRIAL("resources: {gpus: -1}"), "/trial/resources/gpus", "gpus is out of range", NULL},
    {TRIAL("resources: {gpus: 0.5}"), "/trial/resources/gpus", "gpus must be a whole number", NULL},
    {TRIAL("resources: {cpus: 0}"), "/trial/resources/cpus", "cpus is out of range", NULL},
    {TRIAL("resources: {memory: 4Gx}"), "/trial/resources/memory", "memory is malformed", NULL},
    {TRIAL("resources: {memory: 0}"), "/trial/resources/memory", "memory is out of range", NULL},
    {TRIAL("resources: {gpu: 1}"), "/trial/resources/gpu",
     "unknown key \"gpu\"; did you mean \"gpus\"?", NULL},
    {TRIAL("retries: -1"), "/trial/retries", "retries is out of range",
     "an integer from 0 to 1000"},
    {TRIAL("timeout: soon"), "/trial/timeout", "timeout is malformed", NULL},
    {TRIAL("timeout: 0s"), "/trial/timeout", "timeout is out of range", NULL},
    {TRIAL("grace: -1"), "/trial/grace", "grace must be a duration, not a number", NULL},
    {TRIAL("metrics: {from: push, steps: counted}"), "/trial/metrics/steps",
     "metrics from push have no steps", NULL},
    {TRIAL("metrics: {names: [loss, 3]}"), "/trial/metrics/names/1",
     "must be the name of a metric, not a number", NULL},
    {TRIAL("kubernetes: x"), "/trial/kubernetes", "must be an object, not a string", NULL},
    {TRIAL("kubernetes: {}"), "/trial/kubernetes", "there is neither an image nor a template", NULL},
    {TRIAL("kubernetes: {image: a, imge: b}"), "/trial/kubernetes/imge", NULL, NULL},
    {TRIAL("kubernetes: {image: a, namespace: A_b}"), "/trial/kubernetes/namespace",
     "not the name of a namespace", NULL},
    {TRIAL("kubernetes: {image: a, volumes: [{path: data, claim: x}]}"),
     "/trial/kubernetes/volumes/0/path", "where a volume is mounted must be absolute", NULL},
    {TRIAL("kubernetes: {image: a, volumes: [{path: /data}]}"), "/trial/kubernetes/volumes/0",
     "the volume has no source", NULL},
    {TRIAL("kubernetes: {image: a, volumes: [{path: /data, claim: x, secret: y}]}"),
     "/trial/kubernetes/volumes/0", "the volume has two sources", NULL},
    {TRIAL("kubernetes: {image: a, secrets: {KEY: abc}}"), "/trial/kubernetes/secrets/KEY",
     "a secret is given by reference", NULL},
    {TRIAL("kubernetes: {image: a, gpu: {memory: 0}}"), "/trial/kubernetes/gpu/memory", NULL, NULL},
    {TRIAL("kubernetes: {image: a, node_selector: {a: 1}}"), "/trial/kubernetes/node_selector/a",
     "must be a string, not a number", NULL},
    {TRIAL("kubernetes: {image: a, retain: true}"), "/trial/kubernetes/retain",
     "this belongs to a template, and there is none", NULL},
    {TRIAL("kubernetes: {template: {apiVersion: v1, kind: Pod}}"), "/trial/command",
     "a template says itself what its containers run", NULL},
    {JOB(", a: [\"${x}\"]}"), "/trial/kubernetes/template/a/0", "unknown reference ${…} \"x\"",
     NULL},
    {JOB(", a: [\"${x\"]}"), "/trial/kubernetes/template/a/0", "\"${\" without \"}\"", NULL},
    {JOB(", a: {\"${lr}\": 1}}"), "/trial/kubernetes/template/a/${lr}",
     "a key can not have a reference", NULL},
    {JOB(", a: \"${trialSpec.Labels[x]}\"}"), "/trial/kubernetes/template/a",
     "unknown reference ${…} \"trialSpec.Labels[x]\"", NULL},
    {JOB(", metadata: {name: x}}"), "/trial/kubernetes/template/metadata/name",
     "each trial has a name of its own; leave it out", NULL},
    {JOB(", metadata: {namespace: x}}"), "/trial/kubernetes/template/metadata/namespace",
     "the namespace is said beside the template", NULL},
    {JOB(", metadata: x}"), "/trial/kubernetes/template/metadata", "must be an object, not a string",
     NULL},
    {JOB("}, image: a"), "/trial/kubernetes", "there are both an image and a template", NULL},
    {JOB("}, node_selector: {a: b}"), "/trial/kubernetes/node_selector",
     "a template says this itself, where its pods are described", NULL},
    {JOB("}, success: \"a.#(b\""), "/trial/kubernetes/success",
     "not a condition: no comparison at \"\"", NULL},
    {OF_KIND("\"${lr}\"", ""), "/trial/kubernetes/template/kind",
     "this must be the same for every trial", NULL},
    {OF_KIND("Farm", ", success: status.ok"), "/trial/kubernetes/failure",
     "nothing is known of this kind: say when such an object has failed", NULL},
    {BASE "trial: {kubernetes: {template: {kind: Job}}}\n", "/trial/kubernetes/template/apiVersion",
     "the template does not say it", "such as batch/v1"},
    {ONE("{name: trial, type: bool}") "trial: {command: [a]}", "/parameters/0/name",
     "${trial} has a meaning of its own", NULL},
};

static void
each_fault_is_told(void **state)
{
    size_t bad = 0;

    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = yaml_of(rows[i].yaml, NULL);
        struct assay_faults faults = {0};
        struct assay_study_spec *spec = assay_study_decode(json, "default", NULL, &faults);
        const struct assay_fault *fault =
            find_fault(&faults, rows[i].pointer, rows[i].message);

        if (spec != NULL || fault == NULL ||
            (rows[i].allowed != NULL &&
             (fault->allowed == NULL || strcmp(fault->allowed, rows[i].allowed) != 0))) {
            print_error("row %zu: %s\n wanted %s: %s [%s]\n", i, rows[i].yaml, rows[i].pointer,
                        rows[i].message, rows[i].allowed != NULL ? rows[i].allowed : "");
            print_faults(&faults);
            bad++;
        }
        assay_study_free(spec);
        assay_faults_done(&faults);
    }
    assert_int_equal(bad, 0);
}

/* One fault, not a chain of faults that follow from it. */
static void
a_fault_is_told_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ASSAY_COUNT(rows); i++) {
        json_auto_t *json = yaml_of(rows[i].yaml, NULL);
        struct assay_faults faults = {0};

        assay_study_free(assay_study_decode(json, "default", NULL, &faults));
        if (faults.count > 2) {
            print_faults(&faults);
            fail_msg("%s: %zu faults", rows[i].yaml, faults.count);
        }
        assay_faults_done(&faults);
    }
}

static const char everything_wrong[] = "name: Bad Name\n"
                                       "objective: {metric: loss, goal: down}\n"
                                       "parameters:\n"
                                       "  - {name: lr, type: double, min: 3, max: 1}\n"
                                       "  - name: units\n"
                                       "    type: int\n"
                                       "    min: 1\n"
                                       "    max: 9\n"
                                       "    when: {opt: [adam]}\n"
                                       "budget: {name: epochs, min: 9, max: 3}\n"
                                       "limits:\n"
                                       "  trials: none\n"
                                       "  time: 2 weeks\n"
                                       "warm_start: [3]\n"
                                       "trial:\n"
                                       "  command: [run, '${lrr}']\n"
                                       "  metrics: {from: nowhere}\n"
                                       "  resources: {memory: much}\n"
                                       "early_stoping: {}\n";

static void
all_faults_are_told_at_once_with_lines(void **state)
{
    static const struct {
        const char *pointer;
        int line;
    } wanted[] = {
        {"/name", 1},
        {"/objective/goal", 2},
        {"/parameters/0/min", 4},
        {"/parameters/1/when/opt", 9},
        {"/budget/min", 10},
        {"/limits/trials", 12},
        {"/limits/time", 13},
        {"/warm_start/0", 14},
        {"/trial/command/1", 16},
        {"/trial/metrics/from", 17},
        {"/trial/resources/memory", 18},
        {"/early_stoping", 19},
    };
    json_auto_t *lines = NULL;
    json_auto_t *json = yaml_of(everything_wrong, &lines);
    struct assay_faults faults = {0};

    (void)state;
    assert_null(assay_study_decode(json, "default", NULL, &faults));
    assay_faults_add_lines(&faults, lines);
    for (size_t i = 0; i < ASSAY_COUNT(wanted); i++) {
        const struct assay_fault *fault = find_fault(&faults, wanted[i].pointer, NULL);

        if (fault == NULL)
            print_faults(&faults);
        assert_non_null(fault);
        assert_int_equal(fault->line, wanted[i].line);
    }
    assert_int_equal(faults.count, ASSAY_COUNT(wanted));
    assay_faults_done(&faults);
}

static void
a_missing_member_has_the_line_of_its_parent(void **state)
{
    json_auto_t *lines = NULL;
    json_auto_t *json = yaml_of("objective:\n  metric: x\n" PARAMETERS, &lines);
    struct assay_faults faults = {0};

    (void)state;
    assert_null(assay_study_decode(json, "default", NULL, &faults));
    assay_faults_add_lines(&faults, lines);
    assert_string_equal(faults.items[0].pointer, "/objective/goal");
    assert_int_equal(faults.items[0].line, 1);
    assay_faults_done(&faults);
}

static void
what_was_found_is_told(void **state)
{
    json_auto_t *json = yaml_of(BASE "limits: {trials: 0}", NULL);
    struct assay_faults faults = {0};

    (void)state;
    assert_null(assay_study_decode(json, "default", NULL, &faults));
    assert_int_equal(faults.count, 1);
    assert_int_equal(json_integer_value(faults.items[0].found), 0);
    assay_faults_done(&faults);
}

/* Only where trials get variables: an ask/tell study may name them as it likes. */
static void
names_that_become_one_variable(void **state)
{
    static const char text[] = "objective: {metric: x, goal: minimize}\n"
                               "parameters:\n"
                               "  - {name: a-b, type: bool}\n"
                               "  - {name: A_b, type: bool}\n";
    assay_auto_free char *with_trial = assay_format("%strial: {command: [x]}\n", text);
    json_auto_t *told = yaml_of(text, NULL), *run = yaml_of(with_trial, NULL);
    struct assay_faults faults = {0};
    struct assay_study_spec *spec = assay_study_decode(told, "default", NULL, &faults);

    (void)state;
    assert_non_null(spec);
    assay_study_free(spec);
    assert_null(assay_study_decode(run, "default", NULL, &faults));
    assert_int_equal(faults.count, 1);
    assert_string_equal(faults.items[0].pointer, "/parameters/1/name");
    assay_faults_done(&faults);
}

/* Thousands of faults cost no more than their counting. */
static void
many_faults_are_counted(void **state)
{
    json_auto_t *json = yaml_of(BASE, NULL);
    struct assay_faults faults = {0};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char key[32];

        snprintf(key, sizeof key, "key-%d", i);
        json_object_set_new(json, key, json_null());
    }
    assert_null(assay_study_decode(json, "default", NULL, &faults));
    assert_int_equal(faults.count, 20000);
    assay_faults_done(&faults);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_is_told),
        cmocka_unit_test(a_fault_is_told_once),
        cmocka_unit_test(all_faults_are_told_at_once_with_lines),
        cmocka_unit_test(a_missing_member_has_the_line_of_its_parent),
        cmocka_unit_test(what_was_found_is_told),
        cmocka_unit_test(names_that_become_one_variable),
        cmocka_unit_test(many_faults_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
