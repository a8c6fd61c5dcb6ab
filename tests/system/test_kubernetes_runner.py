#!/usr/bin/env python3
"""Pods with assay-runner, whose containers are real processes: metrics that are not printed,
stops, checkpoints that move from node to node, code from git, daemons that go away.

Against the API double; against a real API server when ASSAY_TEST_KUBECONFIG is set (see
test_kubernetes.py).
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

import yaml

import base
from harness.assayd import ROOT, Assayd
from harness.kube.cluster import PODS, SECRETS, Cluster
from harness.kube.double import Double
from harness.kube.real import Real
from harness.ports import free_port

REAL = os.environ.get("ASSAY_TEST_KUBECONFIG")
BUNDLE = base.BUILD / "bundle" / "assay-runner"
IMAGE = "registry.example/assay:1"

# Trains: a number goes from where the checkpoint has it to `budget`, a step each.  Writes its
# metrics where argv[1] says: to a file, or as TensorBoard events.
TRAIN = r'''
import json, os, pathlib, signal, struct, sys, time

how, where, x, epochs, pause = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:6])
kept = pathlib.Path(os.environ["ASSAY_CHECKPOINT_DIR"]) / "epoch"
done = int(kept.read_text()) if kept.exists() else 0
print("parameters", json.load(open(os.environ["ASSAY_PARAMETERS_FILE"])), "from", done, flush=True)

def stop(*_):
    print("saved at", done, flush=True)
    sys.exit(0 if how == "file" else 9)
signal.signal(signal.SIGTERM, stop)

def crc(data):
    value = 0xffffffff
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82f63b78 if value & 1 else 0)
    value ^= 0xffffffff
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xa282ead8) & 0xffffffff)

def event(step, loss):
    scalar = b"\x0a\x04loss" + b"\x15" + struct.pack("<f", loss)
    summary = b"\x0a" + bytes([len(scalar)]) + scalar
    record = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + bytes([step]) + \
        b"\x2a" + bytes([len(summary)]) + summary
    size = struct.pack("<Q", len(record))
    return size + crc(size) + record + crc(record)

path = pathlib.Path(where)
if how == "tensorboard":
    path.mkdir(parents=True, exist_ok=True)
    path = path / "events.out.tfevents.1"
out = open(path, "ab", buffering=0)
hold = pathlib.Path(__file__).with_name("hold")
while done < epochs:
    while done >= 4 and hold.exists():
        time.sleep(0.02)
    done += 1
    loss = x + 1 / done
    out.write(event(done, loss) if how == "tensorboard" else b"epoch=%d loss=%r\n" % (done, loss))
    kept.with_name("new").write_text(str(done))
    kept.with_name("new").rename(kept)  # whole, whenever it is killed
    time.sleep(pause)
'''


@unittest.skipUnless(BUNDLE.exists(), "there is no static runner here (make runner-static)")
class Runner(unittest.TestCase):
    nodes = {f"node-{n}": {"cpu": "64", "memory": "256Gi", "pods": "100"} for n in (1, 2, 4)}
    with_runner = with_image = True
    rights = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "train.py").write_text(TRAIN)
        image = self.folder / "image"
        image.mkdir()
        os.link(BUNDLE, image / "assay-runner") if os.stat(BUNDLE).st_dev == os.stat(image).st_dev \
            else (image / "assay-runner").write_bytes(BUNDLE.read_bytes())
        (image / "assay-runner").chmod(0o755)
        self.double = Real(REAL, self.folder) if REAL else \
            Double(rights=self.rights and {"assayd": self.rights})
        self.double.__enter__()
        self.addCleanup(self.double.__exit__, None, None, None)
        self.cluster = Cluster(self.double, self.folder / "cluster", self.nodes)
        self.cluster.image_folders[IMAGE] = {"/usr/local/libexec/assay": image}
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        config = self.double.write_kubeconfig(self.folder / "kubeconfig",
                                              self.rights and "assayd")
        listen = f"127.0.0.1:{free_port()}"
        options = ["--kube-url", f"http://{listen}"]
        options += ["--kube-runner-image", IMAGE] if self.with_image else []
        self.daemon = Assayd(base.BUILD, "--kubeconfig", str(config), "--kube-qps", "2000",
                             *(options if self.with_runner else []), listen=listen)
        self.addCleanup(self.finish)

    def finish(self):
        fault = self.daemon.stop()
        tail = self.daemon.tail()
        self.daemon.remove()
        self.assertFalse(fault, f"{fault}\n{tail}")

    def study(self, name, how, where, epochs="3", pause=0, trials=3, **more):
        study = {"name": name, "objective": {"metric": "loss", "goal": "minimize"},
                 "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
                 "algorithm": {"name": "random"}, "seed": 7,
                 "limits": {"trials": trials, "parallel": 3},
                 "trial": {"command": [sys.executable, str(self.folder / "train.py"), how, where,
                                       "${x}", epochs, str(pause)],
                           "metrics": {"from": how, "path": where},
                           "kubernetes": {"image": "user/image"}, "grace": "20s"}}
        study["trial"].update(more.pop("trial", {}))
        study["trial"]["kubernetes"].update(more.pop("kubernetes", {}))
        study.update(more)
        return study

    def run_study(self, study, timeout=240):
        base.call(self.daemon, "POST", base.STUDIES, study)
        found = base.wait_final(self.daemon, study["name"], timeout)
        rows = base.all_trials(self.daemon, study["name"])
        return found, rows

    def curve(self, study, number):
        points = base.call(self.daemon, "GET", f"{base.STUDIES}/{study}/trials/{number}"
                           "/measurements?page_size=1000")["measurements"]
        return {p["step"]: p["metrics"]["loss"] for p in points}

    def log(self, study, number):
        return base.call(self.daemon, "GET", f"{base.STUDIES}/{study}/trials/{number}/logs")

    def wait_log(self, study, number, text):
        """The runner tells a trial's end sooner than its last lines have come from the cluster."""
        base.wait_for(lambda: re.search(text, self.log(study, number)),
                      f"{text!r} in the log of trial {number}")

    def wait_nothing_left(self):
        base.wait_for(lambda: not self.cluster.pods() and
                      not self.double.store.list(SECRETS, None,
                                                 lambda o: o["type"] == "Opaque")[0],
                      "neither pod nor Secret left")


class Metrics(Runner):
    def test_file_and_tensorboard(self):
        seen = []
        secrets = self.double.store.watch(SECRETS, None, lambda o: True, None)
        pods = self.double.store.watch(PODS, None, lambda o: True, None)
        for how, where in (("file", "metrics.log"), ("tensorboard", "runs/a")):
            found, rows = self.run_study(self.study(how, how, where))
            self.assertEqual(found["state"], "succeeded", rows)
            for row in rows:
                x = row["parameters"]["x"]
                self.assertEqual(row["state"], "succeeded", row)
                self.assertEqual(len(row["attempts"]), 1)
                self.assertEqual(row["attempts"][0]["exit_code"], 0)
                curve = self.curve(how, row["number"])
                self.assertEqual(sorted(curve), [1, 2, 3])
                self.assertAlmostEqual(curve[3], x + 1 / 3, 5)
                self.assertAlmostEqual(row["metrics"]["loss"], x + 1 / 3, 5)
                self.wait_log(how, row["number"], "from 0")
        while (event := secrets.take(0)) is not None:
            if event[0] == "ADDED" and event[1]["type"] == "Opaque":
                owner = event[1]["metadata"]["ownerReferences"][0]
                self.assertEqual((owner["kind"], owner["name"]),
                                 ("Pod", event[1]["metadata"]["name"]))
                seen.append(event[1]["metadata"]["name"])
        self.assertEqual(len(seen), 6)
        while (event := pods.take(0)) is not None:
            self.assertNotIn("assay_trial_", json.dumps(event[1]))  # no token in clear
        self.wait_nothing_left()

    def test_push_and_prometheus(self):
        port = free_port()
        ways = {
            "push": ({"from": "push"},
                     "import assay; [assay.report(step=s, loss=1 / s) for s in (1, 2, 3)]"),
            "prometheus": ({"from": "prometheus", "url": f"http://127.0.0.1:{port}/metrics"}, f"""
                import http.server, os
                class Metrics(http.server.BaseHTTPRequestHandler):
                    def do_GET(self):
                        self.send_response(200)
                        self.end_headers()
                        self.wfile.write(b"step 3\\nloss 0.25\\n")
                server = http.server.HTTPServer(("127.0.0.1", {port}), Metrics)
                server.timeout = 0.1
                while not os.path.exists("{self.folder}/prometheus"):
                    server.handle_request()"""),
        }
        for name, (metrics, command) in ways.items():
            study = self.study(name, "file", "m", trials=1, trial={
                "metrics": metrics, "environment": {"PYTHONPATH": str(ROOT / "python")},
                "command": [sys.executable, "-c", textwrap.dedent(command).strip()]})
            base.call(self.daemon, "POST", base.STUDIES, study)
            base.wait_for(lambda: [row for row in base.all_trials(self.daemon, name)
                                   if row["steps"] == 3], "its metrics")
            (self.folder / name).touch()  # until then there is somebody to ask
            base.wait_final(self.daemon, name)
            row = base.all_trials(self.daemon, name)[0]
            self.assertEqual(row["state"], "succeeded", row)
            self.assertEqual(self.curve(name, 1)[3], 0.25 if name == "prometheus" else 1 / 3)

    def test_stops(self):
        """By a rule and by a user: the command gets SIGTERM at once and its grace."""
        study = self.study("rule", "file", "metrics.log", "${epochs}", 0.05, trials=4,
                           early_stopping={"name": "median",
                                           "settings": {"min_trials": 2, "warmup_steps": 3}})
        study["parameters"].append({"name": "epochs", "type": "int", "min": 5, "max": 10_000})
        study["start_with"] = [{"x": 0.25, "epochs": 5}] * 2 + [{"x": 0.75, "epochs": 10_000}] * 2
        study["limits"]["parallel"] = 2
        found, rows = self.run_study(study)
        self.assertEqual(found["state"], "succeeded", rows)
        self.assertEqual([row["state"] for row in rows], ["succeeded"] * 2 + ["stopped"] * 2)
        for row in rows[2:]:
            self.assertEqual(row["reason"], "stopped_by_rule")
            self.wait_log("rule", row["number"], "saved at")

        base.call(self.daemon, "POST", base.STUDIES,
                  self.study("user", "file", "metrics.log", "10000", 0.05, trials=1))
        base.wait_for(lambda: (base.all_trials(self.daemon, "user") or [{}])[0].get("steps"),
                      "the first step")
        base.call(self.daemon, "POST", f"{base.STUDIES}/user/trials/1/stop")
        base.wait_final(self.daemon, "user")
        row = base.all_trials(self.daemon, "user")[0]
        self.assertEqual((row["state"], row["reason"]), ("stopped", "stopped_by_user"))
        self.wait_log("user", 1, "saved at")
        self.wait_nothing_left()

    def test_how_commands_end(self):
        def ended(name, command, **trial):
            study = self.study(name, "file", "m", trials=1, trial={
                "command": [sys.executable, "-c", textwrap.dedent(command)], **trial})
            return self.run_study(study)[1][0]
        row = ended("code", "import sys; print('no data'); sys.exit(3)")
        self.assertEqual((row["reason"], row["attempts"][0]["exit_code"]), ("exit_code", 3), row)
        self.assertIn("no data", row["message"])
        row = ended("silent", "print('fine')")
        self.assertEqual(row["reason"], "no_objective", row)
        row = ended("long", "import time; time.sleep(60)", timeout="1s")
        self.assertEqual(row["reason"], "timeout", row)
        study = self.study("missing", "file", "m", trials=1, trial={"command": ["/no/such"]})
        row = self.run_study(study)[1][0]
        self.assertEqual(row["reason"], "start_failed", row)
        self.assertIn("there is no program /no/such", row["message"])


class Preparation(Runner):
    def test_promoted_on_another_node(self):
        """Each budget has a node of its own; what a trial saved on one it finds on the next."""
        study = self.study("asha", "file", "metrics.log", "${budget}", trials=6,
                           algorithm={"name": "asha", "settings": {"sampler": "random"}},
                           budget={"name": "epochs", "min": 1, "max": 4, "eta": 2},
                           trial={"checkpoints": True},
                           kubernetes={"checkpoint_claim": "kept", "node_selector": {
                               "kubernetes.io/hostname": "node-${budget}"}})
        found, rows = self.run_study(study)
        self.assertEqual(found["state"], "succeeded", rows)
        promoted = [row for row in rows if row["budget"] > 1]
        self.assertTrue(promoted)
        for row in promoted:
            last = int(row["budget"])
            self.assertEqual(sorted(self.curve("asha", row["number"])), list(range(1, last + 1)))
            self.wait_log("asha", row["number"], f"from {last // 2}\n")

    def test_goes_on_from_another_trials_checkpoint(self):
        study = self.study("pbt", "file", "metrics.log", "${budget}", trials=30,
                           algorithm={"name": "pbt", "settings": {"population": 4, "interval": 3}},
                           budget={"name": "epochs", "min": 1, "max": 12},
                           trial={"checkpoints": True}, kubernetes={"checkpoint_claim": "kept"})
        found, rows = self.run_study(study)
        self.assertEqual(found["state"], "succeeded", rows)
        copies = [row for row in rows if "parent" in row["why"]]
        self.assertTrue(copies, rows)
        for row in copies:
            self.wait_log("pbt", row["number"], f"from {int(row['why']['from_budget'])}\n")

    def test_code_from_git(self):
        repository = self.folder / "repository"
        repository.mkdir()
        (repository / "main.py").write_text("print('loss=0.125')\nopen('new', 'w')\n")
        git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x.test"]
        for arguments in (["init", "-q"], ["add", "main.py"], ["commit", "-qm", "one"]):
            subprocess.run(git + arguments, check=True, capture_output=True)
        study = self.study("git", "file", "m", trials=1, trial={
            "command": [sys.executable, "main.py"], "metrics": {"from": "stdout"},
            "code": {"git": f"file://{repository}"}})
        row = self.run_study(study)[1][0]
        self.assertEqual((row["state"], row["metrics"]), ("succeeded", {"loss": 0.125}), row)
        study["name"], study["trial"]["code"]["git"] = "nogit", "file:///no/such/repository"
        row = self.run_study(study)[1][0]
        self.assertEqual(row["reason"], "start_failed", row)
        self.assertIn("/no/such/repository", row["message"])


class Templates(Runner):
    """A sidecar reads what the containers of a template write."""

    def job(self, name, how, where, epochs="3", image="user/image", **more):
        study = self.study(name, how, where, **more)
        command = [sys.executable, str(self.folder / "train.py"), how, where, "${x}", epochs, "0"]
        restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container = {"name": "main", "image": image, "command": command, "volumeMounts": [
            {"name": "kept", "mountPath": "/kept"}], "env": [
                {"name": "ASSAY_CHECKPOINT_DIR", "value": "/kept/c"},
                {"name": "ASSAY_PARAMETERS_FILE", "value": str(self.folder / "parameters")}],
            "securityContext": restricted}
        del study["trial"]["command"]
        study["trial"]["kubernetes"] = {"template": {
            "apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": {
                "spec": {"restartPolicy": "Never", "containers": [container], "initContainers": [
                    {"name": "make", "image": "user/image", "command": ["mkdir", "/kept/c"],
                     "volumeMounts": container["volumeMounts"], "securityContext": restricted}],
                    "securityContext": {"runAsNonRoot": True,
                                        "seccompProfile": {"type": "RuntimeDefault"}},
                    "volumes": [{"name": "kept", "emptyDir": {}}]}}}}}
        return study

    def setUp(self):
        super().setUp()
        (self.folder / "parameters").write_text("{}")

    def test_file_and_tensorboard(self):
        for how, where in (("file", "/var/log/out/metrics.log"), ("tensorboard", "/kept/c/runs")):
            found, rows = self.run_study(self.job(how, how, where))
            self.assertEqual(found["state"], "succeeded", rows)
            for row in rows:
                self.assertEqual((row["state"], len(row["attempts"])), ("succeeded", 1), row)
                curve = self.curve(how, row["number"])
                self.assertEqual(sorted(curve), [1, 2, 3])
                self.assertAlmostEqual(row["metrics"]["loss"], row["parameters"]["x"] + 1 / 3, 5)
                self.wait_log(how, row["number"], "from 0")
        self.wait_nothing_left()

    def test_goes_on_from_another_trials_checkpoint(self):
        """A whole population: an init container brings each copy what its parent has saved."""
        study = self.job("pbt", "file", "/var/log/out/metrics.log", "${budget}", trials=20,
                         algorithm={"name": "pbt", "settings": {"population": 4, "interval": 3}},
                         budget={"name": "epochs", "min": 1, "max": 12},
                         trial={"checkpoints": True})
        kubernetes = study["trial"]["kubernetes"]
        kubernetes["checkpoint_claim"] = "kept"
        spec = kubernetes["template"]["spec"]["template"]["spec"]
        del spec["initContainers"], spec["containers"][0]["env"][0]  # the folder is the claim's
        found, rows = self.run_study(study)
        self.assertEqual(found["state"], "succeeded", rows)
        copies = [row for row in rows if "parent" in row["why"]]
        self.assertTrue(copies, rows)
        for row in rows:
            first = int(row["why"].get("from_budget", 0))
            self.assertIn(row["state"], ("succeeded", "stopped"), row)
            self.assertEqual({a["state"] for a in row["attempts"]}, {"exited"}, row)
            self.assertEqual(sorted(self.curve("pbt", row["number"])),
                             list(range(first + 1, int(row["budget"]) + 1)), row)
            self.wait_log("pbt", row["number"], f"from {first}\n")
        self.wait_nothing_left()

    def test_metrics_unavailable(self):
        """The command ends well, what reads its metrics does not: another attempt."""
        broken = self.folder / "broken"
        broken.mkdir()
        (broken / "assay-runner").write_text("#!/bin/sh\ntrap 'exit 3' TERM\n"
                                            "while :; do sleep 0.05; done\n")
        (broken / "assay-runner").chmod(0o755)
        good = self.cluster.image_folders[IMAGE]["/usr/local/libexec/assay"]
        self.cluster.image_folders[IMAGE] = {"/usr/local/libexec/assay": broken}
        base.call(self.daemon, "POST", base.STUDIES, self.job(
            "u", "file", "/var/log/out/metrics.log", trials=1, trial={"infrastructure_retries": 50}))
        base.wait_for(lambda: any(a["state"] == "lost" for row in base.all_trials(self.daemon, "u")
                                  for a in row["attempts"]), "a lost attempt")
        self.cluster.image_folders[IMAGE] = {"/usr/local/libexec/assay": good}
        self.assertEqual(base.wait_final(self.daemon, "u")["state"], "succeeded")
        row = base.all_trials(self.daemon, "u")[0]
        self.assertEqual(row["state"], "succeeded", row)
        self.assertIn("MetricsUnavailable", row["attempts"][0]["message"])


class Crashes(Runner):
    def test_the_daemon_goes_away(self):
        """Through a bad connection to the cluster, too.  The commands go on; what they measured
        meanwhile is told to the next daemon."""
        chaos = self.double.chaos
        chaos.errors = chaos.refuse = chaos.lose_answers = chaos.delay = 0.05
        chaos.cut_every = 1.0
        study = self.study("k", "file", "metrics.log", "20", 0.05, trials=12, trial={
            "infrastructure_retries": 50})
        study["limits"]["parallel"] = 4
        base.call(self.daemon, "POST", base.STUDIES, study)
        for n in (1, 4):
            base.wait_for(lambda: sum(bool(row["steps"])
                                      for row in base.all_trials(self.daemon, "k")) >= n,
                          "first steps")
            self.daemon.kill()
            self.daemon.start()
        self.assertEqual(base.wait_final(self.daemon, "k")["state"], "succeeded")
        for row in base.all_trials(self.daemon, "k"):
            self.assertEqual((row["state"], len(row["attempts"])), ("succeeded", 1), row)
            self.assertEqual(sorted(self.curve("k", row["number"])), list(range(1, 21)))
            self.wait_log("k", row["number"], "from 0")
            self.assertEqual(self.log("k", row["number"]).count("from 0"), 1)
        chaos.errors = chaos.refuse = chaos.lose_answers = chaos.cut_every = chaos.delay = 0
        self.wait_nothing_left()

    def test_a_node_goes_away(self):
        study = self.study("n", "file", "metrics.log", "40", 0, trials=1, kubernetes={
            "checkpoint_claim": "kept"}, trial={"infrastructure_retries": 3})
        hold = self.folder / "hold"
        hold.touch()  # so that the first attempt is under way when its node goes
        base.call(self.daemon, "POST", base.STUDIES, study)
        base.wait_for(lambda: [row for row in base.all_trials(self.daemon, "n")
                               if row["steps"] == 4], "what it does before it is held")
        self.cluster.lose_node(self.cluster.pods()[0]["spec"]["nodeName"])
        base.wait_for(lambda: len(base.all_trials(self.daemon, "n")[0]["attempts"]) == 2,
                      "another attempt")
        hold.unlink()
        self.assertEqual(base.wait_final(self.daemon, "n")["state"], "succeeded")
        row = base.all_trials(self.daemon, "n")[0]
        self.assertEqual([a["state"] for a in row["attempts"]], ["lost", "exited"], row)
        self.assertEqual(max(self.curve("n", 1)), 40)  # what was never told went with the node
        self.wait_log("n", 1, "from [1-9]")


@unittest.skipIf(REAL, "needs the API double, which counts; a real one grants no more either")
class Rights(Runner):
    """With the rights of deploy/kubernetes and no more; and none of them is for nothing."""

    role = yaml.safe_load((ROOT / "deploy/kubernetes/trials-role.yaml").read_text())

    def setUp(self):
        self.asked = set()
        super().setUp()

    def rights(self, verb, resource, group, namespace):
        asked = (verb, resource, group)
        granted = namespace == "assay" and asked in self.granted()
        self.asked.add(asked)
        return granted

    def granted(self):
        return {(verb, resource, group) for rule in self.role["rules"] for verb in rule["verbs"]
                for resource in rule["resources"] for group in rule["apiGroups"]}

    def test_what_is_used_is_what_is_granted(self):
        pods = {asked for asked in self.granted() if asked[2] == ""}
        base.call(self.daemon, "POST", base.STUDIES,
                  self.study("u", "file", "metrics.log", "10000", 0.05, trials=1))
        base.wait_for(lambda: (base.all_trials(self.daemon, "u") or [{}])[0].get("steps"),
                      "the first step")
        base.wait_for(lambda: ("get", "pods/log", "") in self.asked, "its log is read")
        self.daemon.kill()
        self.daemon.start()
        base.call(self.daemon, "POST", f"{base.STUDIES}/u/cancel")
        base.wait_final(self.daemon, "u")
        self.wait_nothing_left()
        self.assertLessEqual(pods - {("get", "pods", "")}, self.asked)  # a get only after a 409
        self.assertLessEqual(self.asked, self.granted())


class Push(Runner):
    """With an address and no runner: commands report for themselves."""

    with_image = False

    def test_push(self):
        study = self.study("p", "file", "m", trials=1, trial={
            "metrics": {"from": "push"}, "environment": {"PYTHONPATH": str(ROOT / "python")},
            "command": [sys.executable, "-c", "import assay; assay.report(step=1, loss=0.5)"]})
        row = self.run_study(study)[1][0]
        self.assertEqual((row["state"], row["metrics"]), ("succeeded", {"loss": 0.5}), row)
        self.wait_nothing_left()


class Without(Runner):
    with_runner = False

    def test_refused_with_a_sentence(self):
        for more, pointer in (
                ({}, "/trial/metrics"),
                ({"trial": {"metrics": {"from": "stdout"}, "code": {"git": "https://x.test"}}},
                 "/trial/code"),
                ({"trial": {"metrics": {"from": "stdout"}}, "kubernetes": {"runner": True}},
                 "/trial/kubernetes/runner")):
            with self.assertRaises(base.Refused) as caught:
                base.call(self.daemon, "POST", base.STUDIES, self.study("r", "file", "m", **more))
            error = caught.exception.problem["errors"][0]
            self.assertEqual(error["pointer"], pointer)
            self.assertIn("--kube-runner-image", error["message"])

    def test_parameters_as_a_file(self):
        study = self.study("p", "file", "m", trials=1, trial={
            "metrics": {"from": "stdout"}, "command": [
                sys.executable, "-c", "import json, os; print('loss=%r' % json.load(open("
                "os.environ['ASSAY_PARAMETERS_FILE']))['x'])"]})
        row = self.run_study(study)[1][0]
        self.assertEqual(row["metrics"]["loss"], row["parameters"]["x"], row)
        if not REAL:
            self.assertEqual(self.double.counts.of("create", "secrets"), 0)


if __name__ == "__main__":
    unittest.main()
