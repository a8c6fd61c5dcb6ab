"""The command line as its users meet it.

ASSAY_BUILD names the build folder (default: build).  The tests of `Server` need a
running assayd told by ASSAY_URL and ASSAY_TOKEN, those of `PrivateDaemon` an assayd
beside the program; they are skipped where there is none.
"""

import csv
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve() / "bin"
ASSAY = str(BIN / "assay")
URL, TOKEN = os.environ.get("ASSAY_URL"), os.environ.get("ASSAY_TOKEN")

VERBS = ["run", "submit", "validate", "convert", "list", "show", "best", "pareto", "importance", "trials", "watch", "logs", "pause",
         "resume", "cancel", "limits", "stop", "delete", "export", "simulate", "ask", "report", "tell", "server start",
         "server status", "server stop", "project create", "project list", "token create", "token list", "token delete",
         "completion", "version", "help"]

STUDY = """\
name: NAME
objective: {metric: loss, goal: minimize}
parameters:
  - {name: x, type: double, min: -2, max: 2}
  - {name: kind, type: categorical, values: [a, "b, c"]}
algorithm: {name: random}
limits: {trials: 6, parallel: 2}
seed: 7
"""

# The trial's own file shows that it runs in the folder of the study file.
TRIAL = """\
trial:
  command: [/usr/bin/python3, trial.py, "${x}"]
"""

SCRIPT = """\
import sys, time
x = float(sys.argv[1])
for step in range(3):
    print(f"step={step} loss={x * x + 1 / (step + 1)}", flush=True)
    time.sleep(float(open("pace").read()))
"""

# Each trial waits for its number to be let through.
GATED_TRIAL = """\
trial:
  command: [/usr/bin/python3, gated.py, "${x}"]
"""

GATED_SCRIPT = """\
import os, sys, time
while int(os.environ["ASSAY_TRIAL"]) > int(open("open").read()):
    time.sleep(0.02)
print(f"loss={float(sys.argv[1]) ** 2}")
"""


def environment(**changes):
    """The caller's, without what points to a server, in plain English."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "NO_COLOR"))}
    base.update(LC_ALL="C.UTF-8", TERM="xterm")
    base.update(changes)
    return base


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-cli-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = environment(ASSAY_DATA=str(self.folder / "none"))

    def assay(self, *words, code=0, input=None, timeout=120, **changes):
        done = subprocess.run([ASSAY, *map(str, words)], input=input, text=True, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
                              env=dict(self.environment, **changes))
        self.assertEqual(done.returncode, code,
                         f"assay {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *words, **more):
        return json.loads(self.assay(*words, "--json", **more).stdout)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def put(self, name, text):
        """As write, for who reads it at any moment: finds the old text or the new."""
        self.write(name + ".new", text).rename(self.folder / name)


class Help(Case):
    def test_every_verb_has_help(self):
        overview = self.assay("--help").stdout
        for verb in VERBS:
            with self.subTest(verb=verb):
                done = self.assay(*verb.split(), "--help")
                self.assertIn(f"usage: assay {verb} ", done.stdout)
                self.assertIn("Exit codes\n", done.stdout)
                self.assertEqual(done.stdout, self.assay("help", *verb.split()).stdout)
                self.assertIn(f"  {verb} ", overview)
                self.assertLess(max(map(len, done.stdout.splitlines())), 100)

    def test_groups_list_their_verbs(self):
        for group in ("server", "project", "token"):
            self.assertIn(f"{group} ", self.assay(group, "--help").stdout)
            self.assertIn("usage:", self.assay(group, code=2).stderr)

    def test_version(self):
        self.assertRegex(self.assay("version").stdout, r"^assay \d+\.\d+\.\d+\n$")
        self.assertEqual(self.assay("--version").stdout, self.assay("version").stdout)
        self.assertIn("version", self.json("version"))

    def test_the_reference_page_is_current(self):
        self.assertEqual(self.assay("help", "--markdown").stdout,
                         (ROOT / "docs/reference/cli.md").read_text())

    def test_completions_are_scripts(self):
        script = self.write("c.bash", self.assay("completion", "bash").stdout)
        subprocess.run(["bash", "-n", script], check=True)
        done = subprocess.run(
            ["bash", "-c", f"source {script}; complete_as() {{ COMP_WORDS=(\"$@\"); "
             "COMP_CWORD=$(($# - 1)); _assay; echo \"${COMPREPLY[*]}\"; }; complete_as assay va; "
             "complete_as assay server st; complete_as assay export --form"],
            stdout=subprocess.PIPE, text=True, check=True, env=self.environment)
        self.assertEqual(done.stdout.split("\n"),
                         ["validate", "start status stop", "--format", ""])
        for shell in ("zsh", "fish"):
            self.assertIn("validate", self.assay("completion", shell).stdout)
            if shutil.which(shell):
                path = self.write(f"c.{shell}", self.assay("completion", shell).stdout)
                subprocess.run([shell, "-n", path], check=True)
        self.assertIn("bash, zsh", self.assay("completion", "tcsh", code=2).stderr)


class BadCommandLines(Case):
    def test_each_is_told_and_exits_2(self):
        for words, part in [
            ([], "usage: assay COMMAND"),
            (["lsit"], 'did you mean "list"?'),
            (["frobnicate"], '"assay help" lists'),
            (["server", "strat"], 'did you mean "server start"?'),
            (["list", "--limt", "3"], "did you mean --limit?"),
            (["list", "--stat"], "did you mean --state?"),
            (["list", "--limit", "0"], "must be an integer from 1"),
            (["list", "--limit"], "needs a value"),
            (["list", "--json=1"], "takes no value"),
            (["list", "extra"], "takes no arguments"),
            (["run"], "too few arguments"),
            (["run", "a", "b"], "too many arguments"),
            (["run", "a", "--seed", "1", "--seed", "2"], "given twice"),
            (["show", "Bad Name"], "not a study's name"),
            (["show", "a/b/c"], "not a study's name"),
            (["logs", "a", "x"], "not a trial's number"),
            (["logs", "-f", "--json", "a", "1"], "can not --follow"),
            (["list", "--url", "nonsense"], "not a server's address"),
            (["list", "--url", "http://x", "--data", "y"], "two servers"),
            (["export", "a", "--format", "xml"], "must be csv or jsonl"),
            (["tell", "a", "1", "loss=high"], "must be a number"),
            (["tell", "a"], "too few arguments"),
            (["report", "a", "1", "loss=1", "loss=2"], "given twice"),
        ]:
            with self.subTest(words=words):
                done = self.assay(*words, code=2)
                self.assertIn(part, done.stderr)
                if "--json" not in words:
                    self.assertEqual(done.stdout, "")

    def test_with_json_the_problem_is_on_standard_output(self):
        problem = self.json("list", "--limit", "0", code=2)
        self.assertEqual(problem["code"], "bad_request")
        self.assertIn("--limit", problem["detail"])

    def test_no_server_is_told(self):
        self.assertIn("no server", self.assay("list", code=1).stderr)
        done = self.assay("list", "--url", "http://127.0.0.1:1", code=1)
        self.assertIn("can not be reached", done.stderr)
        self.assertEqual(self.json("server", "status", code=1)["state"], "stopped")

    def test_colours_are_for_terminals(self):
        self.assertNotIn("\033", self.assay("nope", code=2).stderr)


class Validate(Case):
    def test_a_good_file(self):
        path = self.write("s.yaml", STUDY.replace("NAME", "demo") + TRIAL)
        self.assertIn("no faults", self.assay("validate", path).stdout)
        self.assertTrue(self.json("validate", path)["valid"])
        self.assertIn("no faults",
                      self.assay("validate", "-", input=path.read_text()).stdout)

    def test_every_fault_with_line_found_and_allowed(self):
        path = self.write("bad.yaml", "name: demo\n"
                          "objective: {metric: loss, goal: minimise}\n"
                          "parameters:\n"
                          "  - {name: x, type: double, min: 3, max: 1}\n"
                          "  - {name: x, type: int, min: 1, max: 2}\n"
                          "limits: {trials: 0}\n"
                          "speed: 3\n"
                          "trial:\n"
                          "  command: [run, '${y}']\n")
        done = self.assay("validate", path, code=2)
        for part in ["bad.yaml:2: /objective/goal\n", "bad.yaml:4: /parameters/0/min\n",
                     "bad.yaml:5: /parameters/1/name\n", "bad.yaml:6: /limits/trials\n",
                     "bad.yaml:7: /speed\n", "bad.yaml:9: /trial/command/1\n",
                     "  found:   3\n", "  allowed: ", "6 faults in"]:
            self.assertIn(part, done.stderr)
        problem = self.json("validate", path, code=2)
        self.assertEqual(problem["code"], "invalid_study")
        self.assertEqual([e["line"] for e in problem["errors"] if e["pointer"] == "/limits/trials"],
                         [6])

    def test_what_is_no_study_file(self):
        for name, text, part in [
            ("a.yaml", "name: [1, 2", "a.yaml"),
            ("b.yaml", "- 1\n- 2\n", "mapping"),
            ("c.yaml", "a: 1\na: 2\n", "c.yaml"),
            ("d.yaml", "", "d.yaml"),
        ]:
            with self.subTest(name=name):
                self.assertIn(part, self.assay("validate", self.write(name, text), code=2).stderr)
        self.assertIn("no file", self.assay("validate", "missing.yaml", code=2).stderr)
        self.assay("run", "missing.yaml", code=2)

    def test_options_change_the_file(self):
        path = self.write("s.yaml", STUDY.replace("NAME", "demo"))
        self.assay("validate", path, "--set", "limits.trials=3", "--set", "parameters.x.max=9")
        done = self.assay("validate", path, "--set", "limits.trials=-3", code=2)
        self.assertIn("/limits/trials", done.stderr)
        self.assertIn("/parameters/0", self.assay("validate", path, "--set", "parameters.x.max=-9",
                                                  code=2).stderr)
        self.assertIn("/name", self.assay("validate", path, "--name", "No!", code=2).stderr)
        self.assertIn("PATH=VALUE", self.assay("validate", path, "--set", "x", code=2).stderr)

    def test_a_file_of_nobody_needs_a_server(self):
        path = self.write("k.yaml", "apiVersion: example.org/v1\nkind: Other\n")
        self.assertIn("only a server", self.assay("validate", path, code=2).stderr)


class OtherSystems(Case):
    KATIB = pathlib.Path(__file__).resolve().parents[1] / "katib"
    SWEEP = """\
program: train.py
method: bayes
metric: {name: loss}
project: elsewhere
parameters:
  lr: {distribution: log_uniform_values, min: 0.001, max: 0.1}
"""
    DETERMINED = """\
name: search
entrypoint: [python3, train.py]
searcher: {name: random, metric: loss, max_trials: 4}
hyperparameters:
  lr: {type: log, minval: -3, maxval: -1}
"""

    def test_an_experiment_is_valid(self):
        done = self.assay("validate", str(self.KATIB / "08-hyperband.yaml"))
        self.assertIn("no faults", done.stdout)
        self.assertIn("note: /spec/algorithm: num-epochs is the budget", done.stderr)
        self.assertIn("Katib", done.stderr)
        done = self.assay("validate", str(self.KATIB / "12-random.yaml"), "--json")
        answer = json.loads(done.stdout)
        self.assertEqual(answer["spec"]["trial"]["kubernetes"]["primary_container"],
                         "training-container")

    def test_faults_have_the_files_lines(self):
        path = str(self.KATIB / "32b-trial-template-broken.yaml")
        done = self.assay("validate", path, "--offline", code=2)
        self.assertIn("32b-trial-template-broken.yaml:61: /spec/trialTemplate/trialSpec/",
                      done.stderr)
        self.assertIn("${trialParameters.momentum} is not declared", done.stderr)
        self.assertIn("3 faults", done.stderr)
        text = (self.KATIB / "12-random.yaml").read_text().replace('max: "0.9"', 'max: "1e999"')
        done = self.assay("validate", self.write("k.yaml", text), "--offline", code=2)
        self.assertIn("/spec/parameters/1/feasibleSpace/max", done.stderr)

    def test_convert(self):
        for text in ((self.KATIB / "33-trial-metadata-substitution.yaml").read_text(),
                     self.SWEEP, self.DETERMINED):
            path = self.write("other.yaml", text)
            study = self.assay("convert", path).stdout
            self.assertTrue(study.startswith("# Translated from"), study)
            again = self.write("study.yaml", study)
            self.assertIn("no faults", self.assay("validate", again, "--offline").stdout)
            document = json.loads(self.assay("convert", path, "--json").stdout)
            self.assertIn("parameters", document)
            self.assertNotIn("origin", document)

    def test_the_examples(self):
        folder = ROOT / "examples" / "katib"
        study = self.assay("convert", str(folder / "experiment.yaml")).stdout
        self.assertEqual(study, (folder / "study.yaml").read_text())
        for name in ("experiment.yaml", "study.yaml", "sweep.yaml", "determined.yaml"):
            self.assay("validate", str(folder / name))

    def test_options_change_the_translation(self):
        path = self.write("sweep.yaml", self.SWEEP)
        done = self.assay("convert", path, "--set", "limits.trials=9", "--seed", "3", "--json")
        self.assertEqual(json.loads(done.stdout)["limits"]["trials"], 9)
        done = self.assay("validate", path, "--set", "limits.trials=-9", "--offline", code=2)
        self.assertIn("/run_cap", done.stderr)

    def test_convert_is_for_others(self):
        path = self.write("s.yaml", STUDY)
        self.assertIn("is not a file of Katib", self.assay("convert", path, code=2).stderr)


class Simulate(Case):
    BUDGET = "budget: {name: epochs, min: 1, max: 27, eta: 3}\n"

    def study(self):
        return self.write("s.yaml", STUDY.replace("NAME", "sim") + self.BUDGET + TRIAL)

    def test_costs_before_a_run(self):
        done = self.assay("simulate", self.study(), "--trials", "30", "--seconds-per-step", "60")
        self.assertRegex(done.stdout, r"random\n  trials +30: 30 succeeded\n")
        self.assertIn("epochs          810 of 810 (0.0 % saved)", done.stdout)
        self.assertIn("worker-hours", done.stdout)
        self.assertNotIn("best", done.stdout)
        self.assertIn("prior", done.stderr)

    def test_another_algorithm_on_recorded_curves(self):
        lines = [json.dumps({"parameters": {"x": x / 10, "kind": "a"}, "seconds": 27,
                             "values": [abs(x) + 27 - step for step in range(27)]})
                 for x in range(-20, 21)]
        curves = self.write("curves.jsonl", "\n".join(lines) + "\n\n")
        arguments = ["simulate", self.study(), "--curves", curves, "--workers", "4", "--trials",
                     "40", "--algorithm", 'asha{"type": "promotion", "sampler": "random"}']
        done = self.assay(*arguments)
        self.assertIn("asha, 41 recorded curves", done.stdout)
        self.assertRegex(done.stdout, r"best +1, trial \d+ at step 27; its curve ends at 1\n")
        document = self.json(*arguments, "--runs", "3", "--list")
        self.assertEqual(len(document["runs"]), 3)
        self.assertEqual(len(document["runs"][0]["list"]), 40)
        self.assertEqual(document["curves"], {"source": "recorded", "count": 41})

    def test_what_is_wrong_is_told(self):
        path = self.study()
        for arguments, part in [
            (["--workers", "0"], "workers"),
            (["--workers", "many"], "--workers many is not a number"),
            (["--algorithm", "nope"], "there is no algorithm nope"),
            (["--algorithm", "asha{"], "not JSON"),
            (["--algorithm", "pbt"], "trial.checkpoints"),
            (["--curves", "missing.jsonl"], "missing.jsonl can not be read"),
            (["--curves", self.write("bad.jsonl", "{}\n[]\n")], "line 2"),
            (["--curves", self.write("odd.jsonl", "{}\n")], "curve 1"),
        ]:
            with self.subTest(arguments=arguments):
                self.assertIn(part, self.assay("simulate", path, *arguments, code=2).stderr)


class PluginCheck(Case):
    EXAMPLE = str(BIN.parent / "examples" / "plugin-random.so")
    FLAWED = str(BIN.parent / "tests" / "system" / "misbehaving.so")

    def test_the_example_passes(self):
        done = self.assay("plugin", "check", self.EXAMPLE)
        self.assertIn("example-random (algorithm)", done.stdout)
        self.assertRegex(done.stdout, r"deep conditions +passed")
        self.assertRegex(done.stdout, r"\d+ passed, 0 failed, 0 refused\n$")

    def test_json_is_one_document(self):
        done = self.assay("plugin", "check", self.EXAMPLE, "--json")
        document = json.loads(done.stdout)
        self.assertEqual((document["failed"], document["refused"]), (0, 0))
        self.assertEqual(len(document["checks"]), document["passed"])
        self.assertEqual(document["algorithms"][0]["name"], "example-random")

    def test_a_flawed_one_fails_and_says_where(self):
        done = self.assay("plugin", "check", self.FLAWED, code=1)
        self.assertRegex(done.stdout, r"all categorical +failed.*proposed twice")

    def test_what_can_not_be_loaded_exits_2(self):
        for path, sentence in (("/nowhere.so", "No such file"), (__file__, "invalid ELF header"),
                               (str(BIN.parent / "tests/system/crash_on_load.so"), "signal 11")):
            done = self.assay("plugin", "check", path, code=2)
            self.assertIn(sentence, done.stderr)


class WithStudies(Case):
    """Study files that can be run."""

    pace = 0.02

    def study(self, trial=TRIAL, **changes):
        name = f"cli-{uuid.uuid4().hex[:10]}"
        text = STUDY.replace("NAME", name) + trial
        for old, new in changes.items():
            text = re.sub(rf"^{old}: .*$", f"{old}: {new}", text, flags=re.M)
        self.write("trial.py", SCRIPT)
        self.write("pace", str(self.pace))
        return name, self.write(f"{name}.yaml", text)


@unittest.skipUnless(URL and TOKEN, "ASSAY_URL and ASSAY_TOKEN name no server")
class Server(WithStudies):
    def setUp(self):
        super().setUp()
        self.environment = environment(ASSAY_URL=URL, ASSAY_TOKEN=TOKEN)

    def test_run_prints_the_best(self):
        name, path = self.study()
        done = self.assay("run", path, "--junit", "report.xml")
        self.assertIn(f"{name} succeeded", done.stdout)
        self.assertRegex(done.stdout, r"best loss [-0-9.e]+ \(trial \d+\)\n  x +-?[0-9.]+")
        self.assertIn(f"dashboard: {URL}/#token={TOKEN}", done.stdout)
        self.assertIn(f"default/{name} submitted", done.stderr)
        self.assertIn("6/6 done", done.stderr)
        suite = xml.etree.ElementTree.parse(self.folder / "report.xml").getroot()[0]
        self.assertEqual(suite.get("tests"), "7")
        self.assertEqual(suite.get("failures"), "0")
        # The name is taken now: the file run again is another study, unless it is named.
        again = self.assay("run", path)
        self.assertIn(f"{name}-2 succeeded", again.stdout)
        taken = self.assay("run", path, "--name", name, code=2)
        self.assertIn("--name", taken.stderr)

    def test_run_json_is_one_document(self):
        name, path = self.study()
        document = self.json("run", path, "--name", name + "-j", "--seed", "3", "--set",
                             "limits.trials=4")
        self.assertEqual(set(document), {"study", "best", "trials", "dashboard"})
        self.assertEqual(document["study"]["name"], name + "-j")
        self.assertEqual(document["study"]["seed"], 3)
        self.assertEqual([t["number"] for t in document["trials"]], [1, 2, 3, 4])
        values = [t["metrics"]["loss"] for t in document["trials"]]
        self.assertEqual(document["best"]["value"], min(values))
        for trial in document["trials"]:
            self.assertEqual(trial["state"], "succeeded")
            self.assertEqual(set(trial["parameters"]), {"x", "kind"})

    def test_exit_codes_tell_the_end(self):
        name, path = self.study(objective="{metric: loss, goal: minimize, target: -1}")
        self.assay("run", path, "-q", code=3)
        name, path = self.study(objective="{metric: loss, goal: minimize, target: 100}")
        self.assay("run", path, "-q", code=0)
        name, path = self.study(trial="trial:\n  command: [/bin/false]\n",
                                limits="{trials: 6, parallel: 2, failed_trials: 1}")
        done = self.assay("run", path, "-q", code=1)
        self.assertIn(f"{name} failed", done.stdout)
        self.assertRegex(done.stdout, r"trial \d+: .+")

    def test_looking_at_a_study(self):
        name, path = self.study()
        self.assertEqual(self.assay("submit", path).stdout, f"default/{name}\n")
        self.assay("watch", name, "-q")
        self.assertIn(name, self.assay("list", "--prefix", name).stdout)
        self.assertEqual(self.assay("list", "--prefix", name, "--names").stdout, name + "\n")
        self.assertEqual(self.json("list", "--prefix", name)["studies"][0]["name"], name)
        self.assertIn("algorithm", self.assay("show", f"default/{name}").stdout)
        self.assertEqual(self.json("show", name)["spec"]["name"], name)
        bounded, file = self.study(trial="constraints: [{metric: loss, min: 0, max: 2.5}]\n"
                                         "budget: {name: epochs, min: 2, max: 9}\n")
        self.assay("submit", file)
        shown = self.assay("show", bounded).stdout
        self.assertRegex(shown, r"constraint +loss at least 0, at most 2.5\n")
        self.assertRegex(shown, r"budget +epochs 2 to 9\n")
        best = self.json("best", name)["best"]
        self.assertIn(f"trial {best['number']}", self.assay("best", name).stdout)
        shell = subprocess.run(["sh", "-c", f'eval "$({ASSAY} best {name} --shell)"; '
                                            'echo "$ASSAY_PARAM_X|$ASSAY_PARAM_KIND"'],
                               env=self.environment, stdout=subprocess.PIPE, text=True).stdout
        x, kind = shell.rstrip("\n").split("|")
        self.assertEqual((float(x), kind), (best["parameters"]["x"], best["parameters"]["kind"]))

        lines = self.assay("trials", name, "--sort", "value", "--limit", "3").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["TRIAL", "STATE", "loss", "x", "kind", "TIME",
                                            "REASON"])
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[1].split()[0] == str(best["number"]))
        self.assertEqual(len(self.json("trials", name)["trials"]), 6)

        shown = self.assay("show", name, "--trial", 1).stdout
        for part in ("trial 1 succeeded", "proposed by", "random", "curves", "ATTEMPT"):
            self.assertIn(part, shown)
        self.assertEqual(self.json("show", name, "-t", 1)["number"], 1)
        self.assertIn("step=2 loss=", self.assay("logs", name, 1).stdout)
        self.assertEqual(self.assay("logs", name, 1, "--tail", 1).stdout.count("\n"), 1)
        self.assertIn("step=0", self.json("logs", name, 1)["log"])
        self.delete(name)
        done = self.assay("show", name, code=2)
        self.assertIn(name, done.stderr)

    def delete(self, name):
        """A study that has ended; its last processes may take a moment longer."""
        deadline = time.monotonic() + 90
        while True:
            done = subprocess.run([ASSAY, "delete", name], env=self.environment, text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
            if "still ending" not in done.stderr:
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(done.returncode, 0, done.stderr)

    def told(self, n, objective="objective: {metric: loss, goal: minimize}", metrics=None):
        """A study without trials of its own, with n finished ones."""
        name, path = self.study(trial="", limits="{trials: 500}")
        text = path.read_text().replace("objective: {metric: loss, goal: minimize}", objective)
        path.write_text(text)
        self.assay("submit", path)
        for i in range(n):
            asked = self.json("ask", name)["trials"][0]
            x = asked["parameters"]["x"]
            told = metrics(x) if metrics else {"loss": x * x}
            self.assay("tell", name, asked["number"],
                       *[f"{key}={value}" for key, value in told.items()])
        return name

    def test_what_mattered(self):
        name = self.told(12)
        shown = self.assay("importance", name).stdout
        self.assertRegex(shown, r"importance for loss, PED-ANOVA, from 12 trials\n"
                                r"  x +[━╌]+ +\d+\.\d %\n  kind ")
        self.assertRegex(self.assay("importance", name, LC_ALL="C").stdout, r"x +\[#+-*\] ")
        shown = self.assay("importance", name, "--interactions").stdout
        for part in ("fANOVA", "of the variance", "together, beyond each alone", "x, kind"):
            self.assertIn(part, shown)
        answer = self.json("importance", name, "--method", "fanova")
        self.assertEqual((answer["method"], answer["interactions"]), ("fanova", None))
        self.assertIn("At least 10", self.assay("importance", name, "--metric", "a b&c").stdout)
        self.assay("importance", name, "--method", "guess", code=2)
        shown = self.assay("show", name).stdout
        self.assertRegex(shown, r"what mattered most: x \d+ %, kind \d+ %\n")
        self.assertRegex(shown, r"(Going on|Consider stopping).*In the next 10 trials loss is expected")

    def test_front(self):
        name = self.told(6, "objectives: [{metric: a, goal: minimize}, {metric: b, goal: maximize}]",
                         lambda x: {"a": x, "b": x})
        shown = self.assay("pareto", name).stdout
        self.assertIn("6 trials on the Pareto front", shown)
        self.assertRegex(shown, r"TRIAL +a \(minimize\) +b \(maximize\) +PARAMETERS\n")
        self.assertEqual(sum(line.count("o") for line in shown.splitlines() if "|" in line), 6)
        self.assertEqual(len(self.json("pareto", name)["trials"]), 6)
        self.assertIn("on the Pareto front", self.assay("show", name).stdout)
        empty, path = self.study(trial="")
        self.assay("submit", path)
        self.assertIn("no trial", self.assay("pareto", empty).stdout)

    def test_why_in_words(self):
        name, path = self.study(trial="", algorithm="{name: bayesian}", limits="{trials: 40}")
        self.assay("submit", path)
        for i in range(14):
            asked = self.json("ask", name)["trials"][0]
            self.assay("tell", name, asked["number"], f"loss={asked['parameters']['x'] ** 2}")
        first = self.assay("show", name, "--trial", 1).stdout
        self.assertIn("proposed by bayesian\n  initial design: the middle of the space", first)
        last = self.assay("show", name, "--trial", 14).stdout
        self.assertRegex(last, r"  expected loss \S+ ± \S+; measured \S+, "
                               r"(as expected|\d+\.\d standard deviations (better|worse))\n"
                               r"  acquisition: [a-z ]+, \S+ here\n"
                               r"  the best then was trial \d+ with \S+\n"
                               r"  learned from 13 trials\n")

    def test_export(self):
        name, path = self.study()
        self.assay("run", path, "-q")
        rows = list(csv.DictReader(io.StringIO(self.assay("export", name).stdout)))
        trials = self.json("trials", name)["trials"]
        self.assertEqual([int(r["number"]) for r in rows], [1, 2, 3, 4, 5, 6])
        for row, trial in zip(rows, trials):
            self.assertEqual(float(row["parameters.x"]), trial["parameters"]["x"])
            self.assertEqual(row["parameters.kind"], trial["parameters"]["kind"])
            self.assertEqual(float(row["metrics.loss"]), trial["metrics"]["loss"])
        lines = self.assay("export", name, "--format", "jsonl").stdout.splitlines()
        self.assertEqual([json.loads(line)["number"] for line in lines], [1, 2, 3, 4, 5, 6])
        curves = list(csv.DictReader(
            io.StringIO(self.assay("export", name, "--measurements").stdout)))
        self.assertEqual(len(curves), 18)
        self.assertEqual({row["metric"] for row in curves}, {"loss"})

    def test_a_study_replayed(self):
        name, path = self.study()
        self.assay("run", path, "-q")
        document = self.json("simulate", name, "--workers", "3")
        self.assertEqual(document["curves"], {"source": "recorded", "count": 6})
        self.assertEqual(document["runs"][0]["trials"]["succeeded"], 6)
        self.assertEqual(document["runs"][0]["steps"]["used"], 18)
        best = self.json("best", name)["best"]["value"]
        self.assertAlmostEqual(document["runs"][0]["best"]["value"], best)

    def running(self, name):
        """The number of the trial started last."""
        deadline = time.monotonic() + 90
        while not (trials := self.json("trials", name, "--state", "running")["trials"]):
            self.assertLess(time.monotonic(), deadline)
        return trials[-1]["number"]

    def test_steering(self):
        self.pace = 0.3
        name, path = self.study(limits="{trials: 200, parallel: 2}")
        self.assay("submit", path)
        self.assertIn("paused", self.assay("pause", name).stdout)
        self.assertIn("paused", self.assay("pause", name).stdout)
        self.assertEqual(self.json("resume", name)["state"], "running")
        number = self.running(name)
        log = self.assay("logs", "-f", name, number).stdout
        self.assertEqual([line.split()[0] for line in log.splitlines()],
                         ["step=0", "step=1", "step=2"])
        self.assertEqual(self.json("show", name, "-t", number)["state"], "succeeded")
        self.assertIn("parallel=3\n", self.assay("limits", name, "parallel=3").stdout)
        self.assertEqual(self.json("limits", name)["limits"]["parallel"], 3)
        self.assay("limits", name, "parallel=0", code=2)
        self.assay("limits", name, "speed=1", code=2)
        self.assay("delete", name, code=1)
        self.assay("cancel", name)
        self.assay("watch", name, "-q", code=1)
        self.assertEqual(self.json("show", name)["state"], "cancelled")
        self.assay("resume", name, code=1)

    def test_stopping_a_trial(self):
        self.pace = 900  # it does not end by itself
        name, path = self.study(limits="{trials: 1}")
        self.assay("submit", path)
        number = self.running(name)
        self.assertRegex(self.assay("stop", name, number).stdout, rf"trial {number}: stop")
        self.assay("logs", "-f", name, number)
        self.assertEqual(self.json("show", name, "-t", number)["state"], "stopped")
        self.assertIn("stopped_by_user", self.assay("show", name, "-t", number).stdout)

    def test_ask_report_tell(self):
        name, path = self.study(trial="")
        self.assay("submit", path)
        line = self.assay("ask", name, "--client", "w1").stdout
        number, rest = line.split(" ", 1)
        self.assertRegex(rest, r"x=\S+ kind=|kind=.* x=")
        # The same client gets the same trial again.
        self.assertEqual(self.assay("ask", name, "--client", "w1").stdout, line)
        self.assertEqual(self.assay("report", name, number, "loss=0.5", "--step", 1).stdout,
                         "continue\n")
        self.assay("report", name, number)
        done = self.assay("tell", name, number, "loss=0.25")
        self.assertEqual(done.stdout, f"trial {number}: succeeded\n")
        self.assay("tell", name, number, "loss=0.25")
        self.assay("tell", name, number, "loss=9", code=1)
        for _ in range(5):
            trial = self.json("ask", name, "--client", "w1")["trials"][0]
            self.assay("tell", "--state", "failed", "--message", "no luck",
                       ASSAY_STUDY=name, ASSAY_TRIAL=str(trial["number"]))
        done = self.assay("ask", name, code=3)
        self.assertIn("nothing to try now", done.stderr)
        self.assertEqual(self.json("best", name)["best"]["value"], 0.25)

    def test_a_shell_loop_tunes(self):
        name, path = self.study(trial="")
        self.assay("submit", path)
        loop = (f'while line=$({ASSAY} ask {name} --shell); do eval "$line"; '
                f'{ASSAY} tell {name} "$ASSAY_TRIAL" loss="$ASSAY_PARAM_X" || exit 1; done')
        subprocess.run(["sh", "-c", loop], check=True, env=self.environment, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        study = self.json("show", name)
        self.assertEqual((study["state"], study["trials"]["succeeded"]), ("succeeded", 6))

    def test_faults_of_the_server_have_lines(self):
        name, path = self.study(algorithm="{name: no-such-algorithm}")
        done = self.assay("validate", path, code=2)
        self.assertRegex(done.stderr, rf"{path}:6: /algorithm")
        self.assertIn("no-such-algorithm", self.assay("run", path, code=2).stderr)
        self.assertNotIn(name, self.assay("list", "--names").stdout)

    def test_tokens(self):
        name = "t" + uuid.uuid4().hex[:8]
        token = self.assay("token", "create", name, "--role", "viewer").stdout.strip()
        self.assertIn(name, self.assay("token", "list").stdout)
        self.assay("list", ASSAY_TOKEN=token)
        _, path = self.study()
        self.assay("submit", path, code=2, ASSAY_TOKEN=token)
        row = [t for t in self.json("token", "list")["tokens"] if t["name"] == name][0]
        self.assay("token", "delete", row["id"])
        self.assay("list", code=2, ASSAY_TOKEN=token)
        done = self.assay("list", code=2, ASSAY_TOKEN="wrong")
        self.assertIn("hint: give the token", done.stderr)

    def test_plugins_are_listed(self):
        done = self.assay("plugin", "list")
        self.assertRegex(done.stdout, r"tpe +algorithm +built in")
        self.assertRegex(done.stdout, r"median +stopping rule +built in")

    def test_projects(self):
        name = "p" + uuid.uuid4().hex[:8]
        self.assay("project", "create", name)
        self.assertIn(name, self.assay("project", "list").stdout.split())
        study, path = self.study()
        self.assay("run", path, "-q", "--project", name)
        self.assertEqual(self.assay("list", "--project", name, "--names").stdout, study + "\n")
        self.assertEqual(self.json("show", f"{name}/{study}")["project"], name)
        self.assay("show", study, code=2)

    def test_unknown_studies(self):
        for words in (["show"], ["best"], ["watch"], ["pause"], ["delete"], ["export"], ["ask"]):
            self.assay(*words, "no-such-study", code=2)
        self.assertEqual(self.json("show", "no-such-study", code=2)["code"], "not_found")

    def terminal(self, *words, interrupt_at=None, then=()):
        """Runs on a terminal; returns exit code and all that was drawn.  `then`: pairs of a
        text and what to call once that has been drawn, in their order."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(ASSAY, [ASSAY, *map(str, words)], self.environment)
        drawn, sent, then, end = "", False, list(then), time.monotonic() + 120
        while time.monotonic() < end:
            ready, _, _ = select.select([fd], [], [], 0.1)
            try:
                piece = os.read(fd, 65536) if ready else None
            except OSError:
                break
            if piece == b"":
                break
            drawn += (piece or b"").decode(errors="replace")
            while then and then[0][0] in drawn:
                then.pop(0)[1]()
            if interrupt_at and not sent and interrupt_at in drawn:
                os.write(fd, b"\x03")
                sent = True
        os.close(fd)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), drawn

    def test_a_terminal_shows_live_progress(self):
        name, path = self.study(GATED_TRIAL)
        self.write("gated.py", GATED_SCRIPT)
        self.write("open", "0")
        code, drawn = self.terminal("run", path, then=[
            (f" {done}/6 ", lambda done=done: self.put("open", str(done + 2))) for done in (0, 2, 4)])
        self.assertEqual(code, 0)
        self.assertGreater(drawn.count(f"\r{name}"), 2)
        self.assertIn("6/6", drawn)
        self.assertIn("\033[32m", drawn)

    def test_ctrl_c_detaches(self):
        self.pace = 0.2
        name, path = self.study(limits="{trials: 500, parallel: 1}")
        code, drawn = self.terminal("run", path, interrupt_at="running")
        self.assertEqual(code, 130)
        self.assertIn(f"assay watch default/{name}", drawn)
        self.assertEqual(self.json("show", name)["state"], "running")
        code, drawn = self.terminal("watch", name, "--on-interrupt", "cancel",
                                    interrupt_at="running")
        self.assertEqual(code, 130)
        self.assertEqual(self.json("show", name)["state"], "cancelled")

    def test_sigterm_can_cancel(self):
        self.pace = 0.2
        name, path = self.study(limits="{trials: 500, parallel: 1}")
        process = subprocess.Popen([ASSAY, "run", path, "--json", "--on-interrupt", "cancel"],
                                   env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "done" in line:
                break
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(out)["study"]["state"], "cancelled")


@unittest.skipUnless((BIN / "assayd").exists(), "there is no assayd beside assay")
class PrivateDaemon(WithStudies):
    def test_run_starts_one_that_outlives_it(self):
        data = self.folder / "data"
        self.environment = environment(ASSAY_DATA=str(data))
        self.addCleanup(subprocess.run, [ASSAY, "server", "stop", "--data", str(data)],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        name, path = self.study()
        done = self.assay("run", path)
        self.assertIn("started a private daemon", done.stderr)
        status = self.json("server", "status")
        self.assertEqual(status["state"], "running")
        self.assertTrue(os.path.exists(f"/proc/{status['pid']}"))
        self.assertEqual(self.json("server", "start")["pid"], status["pid"])
        # A restart takes the studies along, and the address may change meanwhile.
        self.assay("server", "stop")
        self.assertEqual(self.json("server", "status", code=1)["state"], "stopped")
        self.assertIn("no daemon", self.assay("server", "stop").stderr)
        self.assertEqual(self.json("server", "start")["state"], "started")
        self.assertEqual(self.json("show", name)["state"], "succeeded")

    def test_run_lives_through_a_crash_of_the_daemon(self):
        self.pace = 0.1
        self.environment = environment(ASSAY_DATA=str(self.folder / "data"))
        name, path = self.study(limits="{trials: 12, parallel: 2}")
        self.json("server", "start")
        self.addCleanup(subprocess.run, [ASSAY, "server", "stop"], env=self.environment,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = subprocess.Popen([ASSAY, "run", path, "--json"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "done" in line:
                break
        os.kill(self.json("server", "status")["pid"], signal.SIGKILL)
        with open(self.folder / "data" / "assayd.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # all of its threads have ended
        # No address, as while one starts, for longer than "assay run" takes between two looks.
        (self.folder / "data" / "url").unlink()
        time.sleep(2.5)
        # It comes back at another address.
        self.assertEqual(self.json("server", "start")["state"], "started")
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)["study"]["trials"]["succeeded"], 12)

    def test_what_ends_at_once_is_told(self):
        data = self.folder / "data"
        done = self.assay("server", "start", "--data", data, "--", "--no-such-option", code=1)
        self.assertIn("ended at once", done.stderr)
        self.assertIn(str(data / "assayd.log"), done.stderr)


if __name__ == "__main__":
    unittest.main()
