"""The command line as its users meet it, without a server."""

import json
import pathlib
import shutil
import subprocess
import unittest

from cases import BIN, Case, ROOT, STUDY, TRIAL

VERBS = ["run", "submit", "validate", "convert", "list", "show", "best", "pareto", "importance", "trials", "watch", "logs", "pause",
         "resume", "cancel", "limits", "stop", "delete", "export", "simulate", "ask", "report", "tell", "server start",
         "server status", "server stop", "project create", "project list", "token create", "token list", "token delete",
         "completion", "version", "help"]


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


if __name__ == "__main__":
    unittest.main()
