#!/usr/bin/env python3
"""Every form of Katib's examples, posted as it is, on the API double: its trials are the
objects of its template, and its status comes to the condition that Katib gives."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import yaml

import base
from harness.assayd import ROOT, Assayd
from harness.kube.cluster import Cluster
from harness.kube.double import Double
from test_kubernetes_runner import BUNDLE, IMAGE, TRAIN, free_port

FORMS = sorted(p.stem for p in (ROOT / "tests/katib").glob("*.yaml"))
# Refused, each with a word of the sentence.
REFUSED = {"27-nas": "nasConfig", "32-trial-configmap-source": "ConfigMap",
           "32b-trial-template-broken": "trialParameters"}
# What their programs print to get there; all others end with the last trial.
GOAL = {"09-hyperopt-distribution"}
TRIALS = 3  # of each; what Katib's own tests do too

# As Katib's example programs print.
LINES = {
    "loss": "2024-01-02T03:04:05Z INFO     Train Epoch: 1 [{step}/60000 (0%)]\tloss={loss}",
    "accuracy": "epoch 1:\n{{metricName: accuracy, metricValue: {accuracy}}};"
                "{{metricName: loss, metricValue: {loss}}}",
}


def assignment(container):
    """The value that the template has put into the command."""
    words = " ".join(container.spec.get("command", []) + container.spec.get("args", []))
    return float(re.search(r"(?:--lr|learning_rate|--eta)[= ]([-+.\de]+)", words)[1])


class Program:
    """Stands for the image of one form."""

    def __init__(self, form, experiment):
        self.form, self.experiment = form, experiment
        self.containers = []
        spec = experiment["spec"].get("metricsCollectorSpec") or {}
        self.path = ((spec.get("source") or {}).get("fileSystemPath") or {}).get("path")
        self.kind = (spec.get("collector") or {}).get("kind", "StdOut")

    def values(self, step, x):
        loss = 0.0001 if self.form in GOAL else round(0.5 + x - 0.1 * step, 4)
        return {"loss": loss, "accuracy": round(0.9 - loss / 10, 4)}

    def __call__(self, container):
        objective = self.experiment["spec"]["objective"]
        name = objective["objectiveMetricName"]
        self.containers.append(container.spec)
        if "worker" in container.spec["name"] or "prepare" in container.spec["image"]:
            return 0
        x = assignment(container)
        for step in (1, 2, 3):
            values = {**self.values(step, x), "time": step}
            if self.form.startswith("20-"):
                values = {"valid_1 auc": values["accuracy"], "training auc": values["accuracy"],
                          "valid_1 binary_logloss": values["loss"],
                          "training binary_logloss": values["loss"]}
                text = "\t".join(f"{k} : {v}" for k, v in values.items())
            elif self.form.startswith(("02-", "22-")):
                text = json.dumps({k: str(v) for k, v in values.items()})
            elif self.form.startswith("23-"):
                text = LINES["accuracy"].format(**values)
            elif name in ("loss", "accuracy"):
                text = LINES["loss"].format(step=step, **values) + \
                    f", accuracy={values['accuracy']} time={step}"
            else:
                text = f"{name}={values['accuracy']}"
            self.write(container, step, text, values)
        return 0

    def write(self, container, step, text, values):
        if self.kind == "StdOut":
            for line in text.splitlines():
                container.print(line)
            return
        mounts = {m["mountPath"].rstrip("/"): container.folders[m["name"]]
                  for m in container.spec["volumeMounts"]}
        mount = max((m for m in mounts if self.path.startswith(m)), key=len)
        path = pathlib.Path(str(mounts[mount]) + self.path[len(mount):])
        if self.kind == "TensorFlowEvent":
            write_event(path, step, values["accuracy"])
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as out:
            out.write(text + "\n")


def write_event(folder, step, accuracy):
    """By the writer of the runner's test, for another metric's name."""
    scope = {}
    helpers = TRAIN[TRAIN.index("def crc("):TRAIN.index("path = pathlib")]
    exec("import struct, time\n" + helpers.replace(
        r'b"\x0a\x04loss"', r'b"\x0a\x08accuracy"'), scope)  # noqa: S102
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "events.out.tfevents.1", "ab") as out:
        out.write(scope["event"](step, accuracy))


class Katib(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.double = Double()
        cls.double.__enter__()
        cls.addClassCleanup(cls.double.__exit__, None, None, None)
        cls.cluster = Cluster(cls.double, cls.folder, {
            "n": {"cpu": "640", "memory": "2560Gi", "nvidia.com/gpu": "64", "pods": "5000",
            "example.com/fpga": "1"}})
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        config = cls.double.write_kubeconfig(cls.folder / "kubeconfig")
        listen = f"127.0.0.1:{free_port()}"
        options = []
        if BUNDLE.exists():
            image = cls.folder / "image"
            image.mkdir()
            (image / "assay-runner").write_bytes(BUNDLE.read_bytes())
            (image / "assay-runner").chmod(0o755)
            cls.cluster.image_folders[IMAGE] = {"/usr/local/libexec/assay": image}
            options = ["--kube-url", f"http://{listen}", "--kube-runner-image", IMAGE]
        cls.daemon = Assayd(base.BUILD, "--kubeconfig", str(config), "--kube-qps", "2000",
                            "--kube-burst", "500", *options, listen=listen)
        cls.addClassCleanup(cls.finish)

    @classmethod
    def finish(cls):
        fault = cls.daemon.stop()
        tail = cls.daemon.tail()
        cls.daemon.remove()
        if fault:
            raise AssertionError(f"{fault}\n{tail}")

    def experiment(self, form, program=Program, name=None):
        """The file with its image replaced and as few trials as will do."""
        text = (ROOT / f"tests/katib/{form}.yaml").read_text()
        experiment = yaml.safe_load(text.replace("registry.example/", f"{name or form}/"))
        spec = experiment["spec"]
        if name:
            experiment["metadata"]["name"] = name
        if spec["algorithm"]["algorithmName"] not in ("hyperband", "pbt"):
            spec["maxTrialCount"] = min(TRIALS, spec.get("maxTrialCount", TRIALS))
        played = program(form, experiment)
        for image in re.findall(rf"{name or form}/[\w:.-]+", json.dumps(experiment)):
            self.cluster.images[image] = played
        return experiment, played

    def view(self, name):
        return base.call(self.daemon, "GET", f"{base.STUDIES}/{name}?view=katib")

    def reached(self, name, timeout=120):
        """(type, reason) of the condition that holds at the end, and the status."""
        base.wait_final(self.daemon, name, timeout)
        status = self.view(name)["status"]
        true = [(c["type"], c["reason"]) for c in status["conditions"]
                if c["status"] == "True" and c["type"] != "Created"]
        self.assertEqual(len(true), 1, status)
        return true[0], status

    def check(self, form, experiment, program):
        name, spec = experiment["metadata"]["name"], experiment["spec"]
        condition, status = self.reached(name)
        rows = base.all_trials(self.daemon, name)
        why = [(r["state"], r["reason"], r["message"]) for r in rows]
        self.assertEqual(condition, ("Succeeded", "ExperimentGoalReached" if form in GOAL else
                                     "ExperimentMaxTrialsReached"), why)
        self.assertNotIn("failedTrialList", status, why)
        if form not in GOAL:
            ended = status.get("trialsSucceeded", 0) + status.get("trialsEarlyStopped", 0)
            self.assertEqual(ended, spec["maxTrialCount"], why)
        best = status["currentOptimalTrial"]
        wanted = [spec["objective"]["objectiveMetricName"],
                  *spec["objective"].get("additionalMetricNames", [])]
        found = {m["name"]: m for m in best["observation"]["metrics"]}
        self.assertEqual(sorted(found), sorted(wanted))
        self.assertEqual({a["name"] for a in best["parameterAssignments"]},
                         {p["name"] for p in spec["parameters"]} -
                         ({"num-epochs"} if form.startswith("08-") else set()))
        if form not in GOAL and "accuracy" in found:
            last = float(found["accuracy"]["latest"])
            self.assertEqual(last, float(found["accuracy"]["max"]))
            self.assertLess(float(found["accuracy"]["min"]), last)

    def test_forms(self):
        started = {}
        for form in FORMS:
            if form in REFUSED:
                continue
            experiment, program = self.experiment(form)
            if not BUNDLE.exists() and program.kind != "StdOut":
                continue
            with self.subTest(form=form):
                base.call(self.daemon, "POST", base.STUDIES, experiment)
                started[form] = (experiment, program)
        for form, (experiment, program) in started.items():
            with self.subTest(form=form):
                self.check(form, experiment, program)
        with self.subTest("what a template may say of itself"):
            container = started["33-trial-metadata-substitution"][1].containers[0]
            env = {e["name"]: e.get("value") for e in container["env"]}
            self.assertRegex(env["TRIAL_NAME"], r"^assay-[\w-]+$")
            self.assertEqual((env["TRIAL_NAMESPACE"], env["JOB_KIND"], env["JOB_API_VERSION"],
                              env["LABEL_CUSTOM_KEY"], env["ANNOTATION_CUSTOM_KEY"]),
                             ("team", "Job", "batch/v1", "from-a-label", "from-an-annotation"))
        with self.subTest("what is retained, and nothing else"):
            kept = {"03-median-stop": "Job", "01-argo-workflow": "Workflow",
                    "31-tekton-pipeline-run": "PipelineRun"}
            base.wait_for(lambda: not [o for o in self.cluster.objects("PyTorchJob") +
                                       self.cluster.objects("TrainJob")], "others are gone", 60)
            for form, kind in kept.items():
                name = started[form][0]["metadata"]["name"]
                self.assertTrue([o for o in self.cluster.objects(kind) if o["metadata"][
                    "annotations"]["assay.dev/study-name"] == name], form)

    def test_refused(self):
        for form, word in REFUSED.items():
            with self.subTest(form=form), self.assertRaises(base.Refused) as caught:
                base.call(self.daemon, "POST", base.STUDIES, self.experiment(form)[0])
            self.assertEqual(caught.exception.status, 422)
            self.assertIn(word, json.dumps(caught.exception.problem["errors"]))

    def test_too_many_failures(self):
        class Fails(Program):
            def __call__(self, container):
                container.print("no data")
                return 1
        experiment, _ = self.experiment("12-random", Fails, "all-fail")
        base.call(self.daemon, "POST", base.STUDIES, experiment)
        condition, status = self.reached("all-fail")
        self.assertEqual(condition, ("Failed", "ExperimentFailed"))
        self.assertEqual(status["trialsFailed"], 3)

    def test_metrics_unavailable(self):
        class Silent(Program):
            def __call__(self, container):
                return 0
        experiment, _ = self.experiment("12-random", Silent, "silent")
        base.call(self.daemon, "POST", base.STUDIES, experiment)
        condition, status = self.reached("silent")
        self.assertEqual(condition, ("Failed", "ExperimentFailed"))
        self.assertEqual(status["trialMetricsUnavailable"], 3)

    def test_command_line(self):
        experiment, _ = self.experiment("12-random", name="by-hand")
        path = self.folder / "by-hand.json"
        path.write_text(json.dumps(experiment))
        environment = dict(os.environ, ASSAY_URL=self.daemon.url,
                           ASSAY_TOKEN=(self.daemon.data / "token").read_text().strip())
        for verb in ("validate", "run"):
            done = subprocess.run([str(base.BUILD / "bin" / "assay"), verb, str(path)],
                                  env=environment, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0 if verb == "validate" else 3,
                             done.stdout + done.stderr)
        self.assertEqual(self.reached("by-hand")[0], ("Succeeded", "ExperimentMaxTrialsReached"))


if __name__ == "__main__":
    unittest.main()
