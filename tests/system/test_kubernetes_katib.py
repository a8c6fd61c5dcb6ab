#!/usr/bin/env python3
"""Every form of Katib's examples, posted as it is, on the API double: its trials are the
objects of its template, and its status comes to the condition that Katib gives.  Also on a real
API server, when ASSAY_TEST_KUBECONFIG is set; operators but that of Jobs are the test's there, too."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

import yaml

import base
from harness.assayd import ROOT, Assayd
from harness.kube.cluster import Cluster
from harness.kube.double import Double
from harness.kube.real import Real
from harness.kube.store import KINDS, ApiError
from harness.ports import free_port
from test_kubernetes_runner import BUNDLE, IMAGE, TRAIN

FORMS = sorted(p.stem for p in (ROOT / "tests/katib").glob("*.yaml"))
# Refused, each with a word of the sentence.
REFUSED = {"27-nas": "nasConfig", "32b-trial-template-broken": "trialParameters"}
# What their programs print to get there; all others end with the last trial.
GOAL = {"09-hyperopt-distribution"}
TEMPLATES = ROOT / "tests/katib/templates/trial-templates.yaml"
CONFIG_MAP = next(k for k in KINDS if k.kind == "ConfigMap")
JOB = next(k for k in KINDS if (k.group, k.kind) == ("batch", "Job"))
REAL = os.environ.get("ASSAY_TEST_KUBECONFIG")
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
                text = " ".join(f"{n}={values['accuracy']}" for n in
                                [name, *objective.get("additionalMetricNames", [])])
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


# Where the forms are at home; a real server gives rights in one namespace alone.
HOME = "assay" if REAL else "team"


class Katib(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        # The forms' pods run as they please.
        cls.double = Real(REAL, cls.folder, standard="privileged") if REAL else Double()
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

    def replace_template(self, form, played):
        """What the form means that has its template in a ConfigMap."""
        text = TEMPLATES.read_text().replace("registry.example/", f"{form}/")
        manifest = yaml.safe_load(text)
        if REAL:
            manifest["metadata"]["namespace"] = HOME
        place = manifest["metadata"]["namespace"]
        self.double.store.create(CONFIG_MAP, place, manifest)
        self.addCleanup(self.double.store.remove, CONFIG_MAP, place, manifest["metadata"]["name"])
        for image in re.findall(rf"{form}/[\w:.-]+", text):
            self.cluster.images[image] = played

    def experiment(self, form, program=Program, name=None):
        """The file with its image replaced and as few trials as will do."""
        text = (ROOT / f"tests/katib/{form}.yaml").read_text()
        experiment = yaml.safe_load(text.replace("registry.example/", f"{name or form}/"))
        experiment["metadata"]["namespace"] = HOME
        spec = experiment["spec"]
        if REAL and "configMap" in spec["trialTemplate"]:
            spec["trialTemplate"]["configMap"]["configMapNamespace"] = HOME
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

    def reached(self, name, timeout=300):
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
                if "configMap" in experiment["spec"]["trialTemplate"]:
                    self.replace_template(form, program)
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
                             (HOME, "Job", "batch/v1", "from-a-label", "from-an-annotation"))
        with self.subTest("what is retained, and nothing else"):
            kept = {"03-median-stop": "Job", "01-argo-workflow": "Workflow",
                    "31-tekton-pipeline-run": "PipelineRun"}
            base.wait_for(lambda: not [o for o in self.cluster.objects("PyTorchJob") +
                                       self.cluster.objects("TrainJob")], "others are gone")
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
                                  env=environment, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0 if verb == "validate" else 3,
                             done.stdout + done.stderr)
        self.assertEqual(self.reached("by-hand")[0], ("Succeeded", "ExperimentMaxTrialsReached"))


def may(verb, resource, group, namespace):
    """What deploy/ gives for trials, for Jobs and for templates."""
    return namespace in ("assay", "tune-mine") and any(
        verb in rule["verbs"] and resource in rule["resources"] and group in rule["apiGroups"]
        for rule in RULES)


RULES = [rule for file in ("kubernetes/trials-role.yaml", "kinds/jobs/role.yaml",
                           "kinds/katib-templates/role.yaml")
         for role in yaml.safe_load_all((ROOT / "deploy" / file).read_text())
         for rule in role.get("rules", [])]
AT = "/spec/trialTemplate/configMap"
# What the restricted standard wants of pods.
POD_SECURITY = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


class Posted(threading.Thread):
    """A request that is made while other things happen."""

    def __init__(self, daemon, *arguments):
        super().__init__(daemon=True)
        self.arguments, self.refused = (daemon, *arguments), None
        self.start()

    def run(self):
        try:
            base.call(*self.arguments)
        except base.Refused as refused:
            self.refused = refused


class ConfigMaps(unittest.TestCase):
    """Templates in ConfigMaps, with the rights of deploy/ and no more."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.double = Real(REAL, cls.folder) if REAL else Double(rights={"good": may})
        cls.double.__enter__()
        cls.addClassCleanup(cls.double.__exit__, None, None, None)
        cls.double.chaos.silent = "configmaps/silent"
        cls.cluster = Cluster(cls.double, cls.folder, {
            "n": {"cpu": "640", "memory": "2560Gi", "pods": "5000"}})
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.config = cls.double.write_kubeconfig(cls.folder / "kubeconfig",
                                                 None if REAL else "good")
        cls.daemon = cls.start_daemon(cls, "--kubeconfig", str(cls.config))
        if not REAL:
            cls.unanswered = Posted(cls.daemon, "POST", base.STUDIES,
                                    cls.experiment(cls, "unanswered", configMapName="silent"))
            base.wait_for(lambda: cls.double.counts.of("get", "configmaps"), "it is asked")

    def start_daemon(self, *options):
        daemon = Assayd(base.BUILD, "--kube-qps", "2000", "--kube-burst", "500", *options)

        def finish():
            fault, tail = daemon.stop(), daemon.tail()
            daemon.remove()
            if fault:
                raise AssertionError(f"{fault}\n{tail}")
        (self.addClassCleanup if isinstance(self, type) else self.addCleanup)(finish)
        return daemon

    def experiment(self, name, **reference):
        """Form 32 with another reference."""
        text = (ROOT / "tests/katib/32-trial-configmap-source.yaml").read_text()
        experiment = yaml.safe_load(text)
        experiment["metadata"] = {"name": name}
        experiment["spec"]["maxTrialCount"] = 2
        experiment["spec"]["trialTemplate"]["configMap"].update(
            {"configMapNamespace": "assay", **reference})
        return experiment

    def put(self, name, data=None, namespace="assay", labels=None):
        """A ConfigMap, in the place of another if there is one."""
        found = yaml.safe_load(TEMPLATES.read_text())
        template = yaml.safe_load(found["data"]["defaultTrialTemplate.yaml"])
        pod = template["spec"]["template"]["spec"]
        pod["securityContext"] = POD_SECURITY
        pod["containers"][0].update(image=f"{name}:1", securityContext=CONTAINER_SECURITY)
        found["data"]["defaultTrialTemplate.yaml"] = yaml.safe_dump(template)
        found["metadata"].update(name=name, namespace=namespace)
        if labels is not None:
            found["metadata"]["labels"] = labels
        found["data"] = data if data is not None else found["data"]
        self.take_away(name, namespace)
        made = self.double.store.create(CONFIG_MAP, namespace, found)
        self.addCleanup(self.take_away, name, namespace)
        return made

    def take_away(self, name, namespace):
        try:
            self.double.store.remove(CONFIG_MAP, namespace, name)
        except ApiError:
            pass

    def post(self, experiment, query="", daemon=None, project="default"):
        return base.call(daemon or self.daemon, "POST",
                         f"/v1/projects/{project}/studies{query}", experiment)

    def refused(self, experiment, pointer, *words, status=422, query="?dry_run=true", **more):
        """The fault that there must be at the pointer."""
        with self.assertRaises(base.Refused) as caught:
            self.post(experiment, query, **more)
        problem = caught.exception.problem
        self.assertEqual(caught.exception.status, status, problem)
        found = [e for e in problem["errors"] if e["pointer"] == pointer]
        self.assertTrue(found, problem)
        for word in words:
            self.assertIn(word, " ".join(e["message"] for e in found))
        return problem["errors"]

    def test_a_study_keeps_what_was_read(self):
        made = self.put("kept")
        experiment = self.experiment("keeps", configMapName="kept")
        printed, going_on = [], threading.Event()

        def program(container):
            printed.append(container.spec["image"])
            going_on.wait(300)
            container.print("Validation-accuracy=0.5 Train-accuracy=0.6")
        self.cluster.images["kept:1"] = program
        experiment["spec"]["parallelTrialCount"] = 1
        checked = self.post(experiment, "?dry_run=true")
        self.assertIn({"pointer": AT, "message": "the template is defaultTrialTemplate.yaml as the "
                       "ConfigMap kept has it now (version "
                       f"{made['metadata']['resourceVersion']}): what becomes of it there changes "
                       "nothing in the study"}, checked["notes"])
        study = self.post(experiment)
        base.wait_for(lambda: printed, "the first trial runs")
        self.put("kept", {"other": ""})
        going_on.set()
        found = base.wait_final(self.daemon, "keeps")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        self.assertEqual(printed, ["kept:1"] * 2)
        self.assertEqual(found["spec"], study["spec"])
        self.assertEqual(found["spec"]["trial"]["kubernetes"]["template"]["kind"], "Job")
        view = base.call(self.daemon, "GET", f"{base.STUDIES}/keeps?view=katib")
        self.assertEqual(view["metadata"]["annotations"], {
            "assay.dev/trial-template": "assay/kept/defaultTrialTemplate.yaml@" +
            made["metadata"]["resourceVersion"]})
        self.assertEqual(view["spec"]["trialTemplate"]["trialSpec"]["kind"], "Job")
        self.assertNotIn("configMap", view["spec"]["trialTemplate"])
        self.refused(experiment, f"{AT}/templatePath", "its keys: other")

    def test_what_stands_without_quotes_is_a_value(self):
        """As Katib has it, which replaces in the text before it reads it."""
        data = yaml.safe_load(self.put("bare")["data"]["defaultTrialTemplate.yaml"])
        data["spec"]["backoffLimit"] = "LAYERS"
        pod = data["spec"]["template"]["spec"]
        pod["containers"][0]["image"] = "bare:1"
        pod["containers"][0]["command"] = "COMMAND"
        text = yaml.safe_dump(data).replace("LAYERS", "${trialParameters.numberLayers}")
        text = text.replace("COMMAND", "[run, --optimizer, ${trialParameters.optimizer}, "
                            "'${trialParameters.learningRate}', '--all', "
                            "\"${trialParameters.numberLayers}\"]  # or ${trialParameters.none}")
        self.put("bare", {"defaultTrialTemplate.yaml": text})
        made = []

        def program(container):
            owner = container.pod["metadata"]["ownerReferences"][0]["name"]
            job = self.double.store.get(JOB, "assay", owner)
            _, _, optimizer, rate, _, layers = container.spec["command"]
            made.append((optimizer, float(rate), layers, job["spec"]["backoffLimit"]))
            container.print("Validation-accuracy=0.5 Train-accuracy=0.6")
        self.cluster.images["bare:1"] = program
        study = self.post(self.experiment("bare", configMapName="bare"))
        template = study["spec"]["trial"]["kubernetes"]["template"]
        self.assertEqual(template["spec"]["backoffLimit"], "${{num-layers}}")
        found = base.wait_final(self.daemon, "bare")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        trials = base.call(self.daemon, "GET", f"{base.STUDIES}/bare/trials")["trials"]
        values = [t["parameters"] for t in trials]
        self.assertCountEqual(made, [(v["optimizer"], v["lr"], str(v["num-layers"]),
                                      v["num-layers"]) for v in values])

    def test_what_is_not_there(self):
        self.put("here")
        self.refused(self.experiment("a", configMapName="away"), f"{AT}/configMapName",
                     "there is no ConfigMap away in the namespace assay", "(404)")
        for query in ("", "?dry_run=true"):
            self.refused(self.experiment("a", configMapName="here", templatePath="x.yaml"),
                         f"{AT}/templatePath", "has no x.yaml", "defaultTrialTemplate.yaml",
                         query=query)

    def test_only_what_is_labelled(self):
        """Not even its keys are told."""
        for labels in ({}, {"katib.kubeflow.org/component": "ui"}):
            self.put("private", {"password": "hidden"}, labels=labels)
            errors = self.refused(self.experiment("a", configMapName="private"),
                                  f"{AT}/configMapName", "does not carry the label "
                                  "katib.kubeflow.org/component: trial-templates")
            self.assertNotRegex(json.dumps(errors), "password|hidden")

    def test_forbidden(self):
        self.refused(self.experiment("a", configMapNamespace="kube-system"), AT,
                     "may not read ConfigMaps in the namespace kube-system",
                     "deploy/kinds/katib-templates", "cannot get resource", "(403)")

    def test_all_faults_at_once(self):
        """What is wrong in the text with its line there, what is wrong in the file with its own."""
        self.put("faulty", yaml.safe_load(TEMPLATES.read_text())["data"])
        experiment = self.experiment("a", configMapName="faulty", templatePath="misspelt.yaml")
        experiment["spec"]["parameters"][0]["feasibleSpace"]["min"] = "x"
        errors = self.refused(experiment, f"{AT}/templatePath",
                              "misspelt.yaml, line 4, /spec/backofLimit: unknown key",
                              "misspelt.yaml, line 12, ", "optimiser} is not declared")
        self.assertIn("/spec/parameters/0/feasibleSpace/min", [e["pointer"] for e in errors])
        experiment["spec"]["trialTemplate"]["configMap"]["templatePath"] = "notYaml"
        errors = self.refused(experiment, f"{AT}/templatePath", "notYaml is not YAML: line 3")
        self.assertIn("/spec/parameters/0/feasibleSpace/min", [e["pointer"] for e in errors])
        self.assertEqual(len(errors), 2)
        experiment["spec"]["trialTemplate"]["configMap"]["templatePath"] = "aList"
        self.refused(experiment, f"{AT}/templatePath", "aList is an array")
        experiment["spec"]["trialTemplate"]["trialSpec"] = {}
        self.refused(experiment, "/spec/trialTemplate", "both trialSpec and configMap are given")
        del experiment["spec"]["trialTemplate"]["trialSpec"]
        del experiment["spec"]["trialTemplate"]["configMap"]["configMapName"]
        self.refused(experiment, f"{AT}/configMapName", "is missing")

    def test_command_line(self):
        self.put("typed")
        self.cluster.images["typed:1"] = lambda c: c.print(
            "Validation-accuracy=0.5 Train-accuracy=0.6")
        path = self.folder / "typed.yaml"
        path.write_text(yaml.safe_dump(self.experiment("typed", configMapName="typed")))

        def assay(*arguments, code=0):
            done = subprocess.run(
                [str(base.BUILD / "bin" / "assay"), *arguments], capture_output=True, text=True,
                env=dict(os.environ, **self.daemon.client_environment), timeout=300)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done
        done = assay("validate", str(path))
        self.assertIn("no faults", done.stdout)
        self.assertEqual(done.stderr.count("the template is defaultTrialTemplate.yaml as"), 1)
        study = yaml.safe_load(assay("convert", str(path), "--set", "limits.trials=1").stdout)
        self.assertEqual(study["limits"]["trials"], 1)
        self.assertEqual(study["trial"]["kubernetes"]["template"]["kind"], "Job")
        done = assay("run", str(path), "--set", "limits.trials=1", "--name", "shorter", code=3)
        found = base.call(self.daemon, "GET", f"{base.STUDIES}/shorter")
        self.assertEqual((found["state"], found["trials"]["total"]), ("succeeded", 1))
        self.assertEqual(assay("submit", str(path)).stdout.strip(), "default/typed")
        base.wait_final(self.daemon, "typed")
        offline = assay("validate", str(path), "--offline", code=2)
        self.assertIn("which only a service with that cluster can read", offline.stderr)
        path.write_text(path.read_text().replace("configMapName: typed", "configMapName: away"))
        line = path.read_text().splitlines().index("      configMapName: away") + 1
        self.assertIn(f"typed.yaml:{line}: {AT}/configMapName",
                      assay("submit", str(path), code=2).stderr)

    @unittest.skipIf(REAL, "needs the API double, which can be silent and has more namespaces")
    def test_a_namespace_for_each_project(self):
        daemon = self.start_daemon("--kubeconfig", str(self.config), "--kube-namespace",
                                   "tune-${project}")
        base.call(daemon, "POST", "/v1/projects", {"name": "mine"})
        self.put("own", namespace="tune-mine")
        self.put("own", namespace="assay")
        own = self.experiment("a", configMapName="own", configMapNamespace="tune-mine")
        checked = self.post(own, "?dry_run=true", daemon, "mine")
        self.assertEqual(checked["spec"]["trial"]["kubernetes"]["template"]["kind"], "Job")
        before = self.double.counts.of("get", "configmaps")
        self.refused(own, f"{AT}/configMapNamespace", "of this project", daemon=daemon)
        own["spec"]["trialTemplate"]["configMap"]["configMapNamespace"] = "assay"
        self.refused(own, f"{AT}/configMapNamespace", "of this project", '"tune-mine"',
                     daemon=daemon, project="mine")
        self.assertEqual(self.double.counts.of("get", "configmaps"), before)
        # Whoever waits for a silent server is answered when the service ends.
        own["spec"]["trialTemplate"]["configMap"].update(configMapNamespace="tune-mine",
                                                         configMapName="silent")
        waiting = Posted(daemon, "POST", "/v1/projects/mine/studies", own)
        base.wait_for(lambda: self.double.counts.of("get", "configmaps") > before, "it is asked")
        self.assertEqual(daemon.stop(), "")
        waiting.join(120)
        self.assertEqual(waiting.refused.status, 503)
        self.assertIn("the daemon is stopping", waiting.refused.problem["detail"])

    @unittest.skipIf(REAL, "needs the API double, which can be silent")
    def test_silent_server(self):
        """Asked first of all, while the other tests go on."""
        self.unanswered.join(120)
        problem = self.unanswered.refused.problem
        self.assertEqual((problem["status"], problem["code"]), (503, "unavailable"))
        self.assertEqual(problem["errors"][0]["pointer"], AT)
        self.assertIn("can not be read now", problem["detail"])


if __name__ == "__main__":
    unittest.main()
