#!/usr/bin/env python3
"""Trials as objects of any kind, against the API double and its controllers; against a real API
server when ASSAY_TEST_KUBECONFIG is set (see harness/kube/real.py), whose controllers are those
of Jobs and of what is deleted."""

import json
import os
import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

import yaml

import base
from harness.assayd import ROOT, Assayd
from harness.kube.cluster import Cluster, Killed
from harness.kube.double import Double
from harness.kube.real import Real
from harness.kube.store import KINDS, ApiError
from test_kubernetes import stoppable

REAL = os.environ.get("ASSAY_TEST_KUBECONFIG")
NODES = {"gpu-1": {"cpu": "640", "memory": "2560Gi", "nvidia.com/gpu": "8", "pods": "5000"}}
OURS = [k for k in KINDS if k.kind in ("Pod", "Job", "PyTorchJob", "TFJob", "RayJob", "Secret")]


JOBS = next(k for k in KINDS if k.kind == "Job")


def is_of(item, study):
    return (item["metadata"].get("annotations") or {}).get("assay.dev/study-name") == study


def loss(container):
    """A command whose last word is x: prints its loss once."""
    x = float(container.spec["command"][-1])
    container.print(f"loss={(x - 0.3) ** 2}")


def pod(image, name="main", command=("train", "${x}"), **more):
    return {"spec": {"restartPolicy": "Never", "securityContext": {
        "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, "containers": [
            {"name": name, "image": image, "command": list(command), "securityContext": {
                "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, **more}]}}


def job(image, **spec):
    return {"apiVersion": "batch/v1", "kind": "Job",
            "spec": {"backoffLimit": 0, "template": pod(image), **spec}}


def study(name, template, trials=2, parallel=2, kubernetes=None, **more):
    return {"name": name, "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
            "algorithm": {"name": "random"}, "seed": 7,
            "limits": {"trials": trials, "parallel": parallel},
            "trial": {"kubernetes": {"template": template, **(kubernetes or {})}, "grace": "1s",
                      **more}}


def pods(name, kubernetes=None, **more):
    """A study whose trials are pods of the plain form."""
    text = study(name, None, kubernetes={"image": "quick", **(kubernetes or {})}, **more)
    del text["trial"]["kubernetes"]["template"]
    return {**text, "trial": {**text["trial"], "command": ["train", "${x}"]}}


class Shared(unittest.TestCase):
    """One cluster and one daemon for all tests of a class, which leave nothing behind."""

    rights = None
    token = None
    # Of a real server: the rights for which there are, None = all; what the namespace asks of pods.
    kinds, standard = None, "restricted"

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.double = Real(REAL, cls.folder, cls.kinds, cls.standard) if REAL else \
            Double(rights=cls.rights)
        cls.double.__enter__()
        cls.addClassCleanup(cls.double.__exit__, None, None, None)
        cls.cluster = Cluster(cls.double, cls.folder, NODES, {"quick": loss})
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        config = cls.double.write_kubeconfig(cls.folder / "kubeconfig", cls.token)
        cls.token_into_a_file(config)
        cls.daemon = Assayd(base.BUILD, "--kubeconfig", str(config), "--kube-qps", "2000",
                            "--kube-burst", "500")
        cls.addClassCleanup(cls.finish)

    @classmethod
    def token_into_a_file(cls, config):
        """As in a pod: there it is read again when it changes."""
        text = json.loads(config.read_text())
        for user in text["users"]:
            if "token" in user["user"]:
                cls.token_file = cls.folder / "token"
                cls.token_file.write_text(user["user"]["token"])
                user["user"] = {"tokenFile": str(cls.token_file)}
        config.write_text(json.dumps(text))

    @classmethod
    def finish(cls):
        end = time.monotonic() + 180
        while cls.left() and time.monotonic() < end:
            time.sleep(0.1)
        fault = cls.daemon.stop() or (cls.left() and f"left in the cluster: {cls.left()}")
        tail = cls.daemon.tail()
        cls.daemon.remove()
        if fault:
            raise AssertionError(f"{fault}\n{tail}")

    def image(self, name, function):
        self.cluster.images[name] = function

    def call(self, method, path, body=None):
        return base.call(self.daemon, method, f"{base.STUDIES}{path}", body)

    def trials(self, name):
        return base.all_trials(self.daemon, name)

    def run_study(self, *arguments, **more):
        """The trials of a study that has run to its end."""
        return self.run_text(study(*arguments, **more))

    def run_text(self, text):
        self.call("POST", "", text)
        found = base.wait_final(self.daemon, text["name"])
        return found, self.trials(text["name"])

    def run_one(self, name, template, make=study, **more):
        more.setdefault("infrastructure_retries", 0)
        _, rows = self.run_text(make(name, template, trials=1, parallel=1, **more))
        return rows[0]

    def message_of(self, name):
        """Why the first attempt waits, as soon as that is told."""
        def told():
            rows = self.trials(name)
            return rows and rows[0]["attempts"] and rows[0]["attempts"][0]["message"]
        return base.wait_for(told, "why it waits")

    def objects(self, kind, name):
        """The objects of a study."""
        return [o for o in self.cluster.objects(kind) if is_of(o, name)]

    def pods(self, name):
        """The pods of a study's Jobs."""
        owners = {o["metadata"]["uid"] for o in self.objects("Job", name)}
        return [p for p in self.cluster.pods()
                if p["metadata"]["ownerReferences"][0]["uid"] in owners]

    @classmethod
    def left(cls):
        return [f"{k.kind} {o['metadata']['name']}" for k in OURS
                for o in cls.double.store.list(k, "assay", lambda o: True)[0]
                if "assay.dev/retained" not in (o["metadata"].get("labels") or {})]


class Kinds(Shared):
    def test_job(self):
        template = job("quick")
        template["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "limits": {"nvidia.com/gpu": "2"}}
        made = self.double.store.watch(JOBS, None, lambda o: True, None)
        found, rows = self.run_study("job", template, trials=6, parallel=3,
                                     kubernetes={"labels": {"team": "x"}})
        self.assertEqual(found["state"], "succeeded")
        self.assertTrue(found["runs_trials"])
        self.assertEqual(len(rows), 6)
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            self.assertAlmostEqual(row["metrics"]["loss"], (row["parameters"]["x"] - 0.3) ** 2)
            self.assertEqual(len(row["attempts"]), 1)
            self.assertEqual(len(row["attempts"][0]["gpus"]), 2)
        jobs = []
        while (event := made.take(5 if len(jobs) < 6 else 0)) is not None:
            if event[0] == "ADDED" and is_of(event[1], "job"):
                jobs.append(event[1])
        self.double.store.unwatch(made)
        self.assertEqual([o["metadata"]["labels"]["team"] for o in jobs], ["x"] * 6)
        log = self.call("GET", "/job/trials/1/logs")
        self.assertEqual(log, f"loss={rows[0]['metrics']['loss']}\n")

    def test_replicas(self):
        """The master's log counts, what the workers print does not."""
        self.image("noisy", lambda c: (c.print("loss=1000"), c.stopped.wait(300))[0])
        template = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {
            "pytorchReplicaSpecs": {
                "Master": {"replicas": 1, "template": pod("quick", "pytorch", resources={
                    "limits": {"nvidia.com/gpu": 1}})},
                "Worker": {"replicas": 2, "template": pod("noisy", "pytorch", resources={
                    "limits": {"nvidia.com/gpu": 1}})}}}}
        _, rows = self.run_study("replicas", template)
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            self.assertAlmostEqual(row["metrics"]["loss"], (row["parameters"]["x"] - 0.3) ** 2)
            self.assertEqual(len(row["attempts"][0]["gpus"]), 3)

    def test_ray(self):
        self.image("ray", lambda c: loss(c) if c.spec["name"] == "ray-job-submitter" else
                   c.stopped.wait(300) and None)
        _, rows = self.run_study("ray", {
            "apiVersion": "ray.io/v1", "kind": "RayJob", "spec": {
                "entrypoint": "python train.py ${x}",
                "rayClusterSpec": {"headGroupSpec": {"template": pod("ray", "ray-head")}}}})
        self.assertEqual([row["state"] for row in rows], ["succeeded"] * 2, rows)

    def test_a_pod_is_a_template_too(self):
        _, rows = self.run_study("pod", {"apiVersion": "v1", "kind": "Pod", **pod("quick")})
        self.assertEqual([row["state"] for row in rows], ["succeeded"] * 2, rows)

    def test_retain(self):
        template = {**job("quick"), "metadata": {"labels": {"assay.dev/retained": "test"}}}
        template["spec"]["template"]["metadata"] = template["metadata"]
        _, rows = self.run_study("retain", template, kubernetes={"retain": True})
        self.assertEqual([row["state"] for row in rows], ["succeeded"] * 2, rows)
        time.sleep(6)  # longer than what ended is kept
        self.daemon.kill()
        self.daemon.start()
        time.sleep(1)
        self.assertEqual(len(self.objects("Job", "retain")), 2)


class Examples(Shared):
    standard = "privileged"  # as simple as people write them

    def test_examples(self):
        """examples/kubernetes, with an image that prints what is asked for."""
        self.image("registry.example/digits:1", lambda c: c.print("epoch=1 val_accuracy=0.9"))
        stop = threading.Event()

        def queue():
            while not stop.wait(0.05):
                for item in self.cluster.objects("Job"):
                    if item["spec"].get("suspend"):
                        try:
                            self.cluster.admit(item)
                        except ApiError:
                            pass  # it went meanwhile
        thread = threading.Thread(target=queue, daemon=True)
        thread.start()
        names = []
        for path in sorted((ROOT / "examples/kubernetes").glob("*.yaml")):
            text = yaml.safe_load(path.read_text())
            text["limits"]["trials"], text["limits"]["parallel"] = 2, 1
            text["trial"]["kubernetes"].pop("gpu", None)  # the node has no such label
            self.call("POST", "", text)
            names.append(text["name"])
        for name in names:
            found = base.wait_final(self.daemon, name)
            self.assertEqual((found["state"], found["best"]["value"]), ("succeeded", 0.9), found)
        self.assertEqual(len(self.trials("digits-distributed")[0]["attempts"][0]["gpus"]), 4)
        stop.set()
        thread.join()

    @unittest.skipIf(REAL, "the processes of a pod are this machine's, whoever the user")
    def test_the_first_study(self):
        """Of docs/kubernetes.md."""
        text = (ROOT / "docs/kubernetes.md").read_text()
        study = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
        self.call("POST", "", study)
        found = base.wait_final(self.daemon, "first")
        self.assertEqual((found["state"], found["trials"]["succeeded"]), ("succeeded", 10), found)


class Bring(unittest.TestCase):
    def test_bring(self):
        """The init container that takes a checkpoint over: whole, and once."""
        with tempfile.TemporaryDirectory() as name:
            one, two = pathlib.Path(name) / "one", pathlib.Path(name) / "two"
            (one / "deep").mkdir(parents=True)
            (one / "deep" / "epoch").write_text("3")
            two.mkdir()
            for _ in range(2):
                done = subprocess.run([base.BUILD / "bin" / "assay-runner", "--bring", one, two],
                                      capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual((two / "deep" / "epoch").read_text(), "3")
                (one / "deep" / "epoch").write_text("4")
            done = subprocess.run([base.BUILD / "bin" / "assay-runner", "--bring", one / "x", two],
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("is gone", done.stderr)


class Ends(Shared):
    def test_exit_code(self):
        def fails(container):
            container.print("no such file: data.npz")
            return 3
        self.image("fails", fails)
        row = self.run_one("exit", job("fails", backoffLimit=1))
        self.assertEqual((row["state"], row["reason"]), ("failed", "exit_code"))
        self.assertEqual(row["attempts"][0]["exit_code"], 3)
        for words in ("the Job failed: BackoffLimitExceeded", "no such file: data.npz",
                      'container "main" ended with exit code 3'):
            self.assertIn(words, row["message"])

    def test_second_pod(self):
        """A Job that tries again is read again, from the new pod's beginning."""
        runs = []

        def second(container):
            runs.append(container.pod["metadata"]["name"])
            for step in range(1, 4):
                container.print(f"loss={10 * len(runs) + step}")
            return 1 if len(runs) == 1 else 0
        self.image("second", second)
        row = self.run_one("second", job("second", backoffLimit=2))
        self.assertEqual(row["state"], "succeeded", row)
        self.assertEqual(len(set(runs)), 2)
        curve = self.call("GET", "/second/trials/1/measurements")["measurements"]
        self.assertEqual([(m["step"], m["metrics"]["loss"]) for m in curve],
                         [(1, 21.0), (2, 22.0), (3, 23.0)])
        self.assertEqual(self.call("GET", "/second/trials/1/logs"), "loss=21\nloss=22\nloss=23\n")

    def test_out_of_memory(self):
        def grows(_container):
            raise Killed("OOMKilled")
        self.image("grows", grows)
        row = self.run_one("memory", job("grows"))
        self.assertEqual((row["state"], row["reason"]), ("failed", "out_of_memory"), row)

    def test_eviction_is_retried_apart(self):
        seen = []

        def once(container):
            seen.append(container.pod["metadata"]["name"])
            if len(seen) == 1:
                threading.Thread(target=self.cluster.evict, args=(container.pod,)).start()
                container.stopped.wait(300)
                return 1
            container.print("loss=0.5")
            return 0
        self.image("once", once)
        row = self.run_one("evicted", job("once"), infrastructure_retries=2)
        self.assertEqual(row["state"], "succeeded", row)
        self.assertEqual([a["state"] for a in row["attempts"]], ["lost", "exited"])
        self.assertIn("Evicted: The node was low on resource", row["attempts"][0]["message"])

    def test_timeout(self):
        self.image("endless", lambda c: c.stopped.wait(300) and None)
        row = self.run_one("late", job("endless"), timeout="1s")
        self.assertEqual((row["state"], row["reason"]), ("failed", "timeout"), row)

    def test_own_deadline(self):
        self.image("endless", lambda c: c.stopped.wait(300) and None)
        template = job("endless")
        template["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 1
        row = self.run_one("deadline", template)
        self.assertEqual((row["state"], row["reason"]), ("failed", "timeout"), row)

    def test_no_metric(self):
        self.image("silent", lambda c: c.print("all fine but silent"))
        row = self.run_one("silent", job("silent"))
        self.assertEqual((row["state"], row["reason"]), ("failed", "no_objective"))
        self.assertIn("all fine but silent", row["message"])

    def test_no_such_pod(self):
        row = self.run_one("labels", job("quick"),
                           kubernetes={"primary_pod_labels": {"role": "chief"}})
        self.assertEqual((row["state"], row["reason"]), ("failed", "no_objective"))
        self.assertIn('MetricsUnavailable: of the Job\'s pods none was there to be read with the '
                      'labels {"role": "chief"}', row["message"])

    def test_early_stop(self):
        self.image("curve", stoppable)
        text = study("stopped", job("curve"), trials=12, parallel=4)
        text["early_stopping"] = {"name": "median", "settings": {"min_trials": 3,
                                                                 "warmup_steps": 3}}
        self.call("POST", "", text)
        self.assertEqual(base.wait_final(self.daemon, "stopped")["state"], "succeeded")
        self.assertEqual([row["state"] for row in self.trials("stopped")],
                         ["succeeded"] * 4 + ["stopped"] * 8)

    def test_cancel_waits_for_the_pods(self):
        """The object goes after its pods, so that nothing runs when the trial is over."""
        ended = []

        def slow(container):
            container.print("loss=1")
            container.stopped.wait(300)
            time.sleep(0.3)
            ended.append(container)
            return 143
        self.image("slow", slow)
        self.call("POST", "", study("cancelled", job("slow"), trials=3, parallel=3))
        base.wait_for(lambda: sum(p["status"]["phase"] == "Running"
                                  for p in self.pods("cancelled")) == 3, "its pods run")
        self.call("POST", "/cancelled/cancel")
        self.assertEqual(base.wait_final(self.daemon, "cancelled")["state"], "cancelled")
        self.assertEqual(len(ended), 3)


class Waits(Shared):
    def test_suspended(self):
        template = {**job("quick", suspend=True),
                    "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "small"}}}
        self.call("POST", "", study("queued", template, trials=1, parallel=1))
        self.assertRegex(self.message_of("queued"), "^Suspended: the Job waits in the queue small")
        self.assertEqual(self.pods("queued"), [])
        self.cluster.admit(self.objects("Job", "queued")[0])
        self.assertEqual(base.wait_final(self.daemon, "queued")["state"], "succeeded")

    def test_no_pod(self):
        """Why a Job makes none is said by its events."""
        template, wanted = job("none"), "FailedCreate: Error creating: pods "
        if REAL:  # against the namespace's standard
            template["spec"]["template"]["spec"]["hostNetwork"] = True
        self.cluster.refused_images.add("none")
        self.call("POST", "", study("none", template, trials=1, parallel=1))
        self.assertIn(wanted, self.message_of("none"))
        self.call("POST", "/none/cancel")
        base.wait_final(self.daemon, "none")

    def test_preempted_by_its_queue(self):
        """Suspended while it runs: its pods go, and come again when it is admitted."""
        runs, go = [], threading.Event()

        def run(container):
            runs.append(container.pod["metadata"]["name"])
            container.print(f"loss={len(runs)}")
            while len(runs) == 1 and not container.stopped.wait(0.05):
                pass
            go.wait(300)
            return 143 if len(runs) == 1 else 0
        self.image("run", run)
        self.call("POST", "", study("preempted", job("run", suspend=False), trials=1, parallel=1))
        base.wait_for(lambda: runs, "it runs")
        item = self.objects("Job", "preempted")[0]
        meta = item["metadata"]

        def suspend(fresh):
            fresh["spec"]["suspend"] = True
            return fresh
        self.double.store.update(JOBS, meta["namespace"], meta["name"], suspend)
        go.set()
        base.wait_for(lambda: not self.pods("preempted"), "its pod is gone")
        self.cluster.admit(item)
        self.assertEqual(base.wait_final(self.daemon, "preempted")["state"], "succeeded")
        row = self.trials("preempted")[0]
        self.assertEqual((len(row["attempts"]), row["metrics"]["loss"]), (1, 2.0), row)

    def test_unschedulable(self):
        template = job("quick")
        template["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "limits": {"nvidia.com/gpu": "80"}}
        self.call("POST", "", study("big", template, trials=1))
        self.assertIn("Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
                      self.message_of("big"))
        self.call("POST", "/big/cancel")
        base.wait_final(self.daemon, "big")

    def test_restart(self):
        """A daemon that is killed finds its objects again, and what it left behind."""
        runs, go = [], threading.Event()

        def held(container):
            runs.append(container.pod["metadata"]["name"])
            container.print("loss=3")
            go.wait(300)
            container.print("loss=0.25")
        self.image("held", held)
        self.call("POST", "", study("restarted", job("held")))
        self.call("POST", "", study("before", job("quick")))
        base.wait_final(self.daemon, "before")
        base.wait_for(lambda: len(runs) == 2, "two pods run")
        self.daemon.kill()
        left = self.objects("Job", "before")
        self.daemon.start()
        go.set()
        self.assertEqual(base.wait_final(self.daemon, "restarted")["state"], "succeeded")
        self.assertEqual(len(runs), 2)
        for row in self.trials("restarted"):
            self.assertEqual((row["state"], len(row["attempts"])), ("succeeded", 1), row)
            curve = self.call("GET", f"/restarted/trials/{row['number']}/measurements")
            self.assertEqual([m["metrics"]["loss"] for m in curve["measurements"]], [3.0, 0.25])
        print(f"{len(left)} objects of a study that had ended were left by the kill")


def may(verb, resource, group, namespace):
    """What deploy/ gives for trials and for Jobs, in one namespace."""
    return namespace == "assay" and any(
        verb in rule["verbs"] and resource in rule["resources"] and group in rule["apiGroups"]
        for rule in RULES)


RULES = [rule for file in ("kubernetes/trials-role.yaml", "kinds/jobs/role.yaml")
         for role in yaml.safe_load_all((ROOT / "deploy" / file).read_text())
         for rule in role.get("rules", [])]


class Refusals(Shared):
    rights = {"good": may}
    kinds = ("jobs",)
    token = "good"

    def test_rights_are_enough(self):
        found, rows = self.run_study("enough", job("quick"))
        self.assertEqual(found["state"], "succeeded", rows)

    def refused(self, name, template, **more):
        """What the trial says of an object that never was."""
        row = self.run_one(name, template, **more)
        self.assertEqual((row["state"], row["reason"]), ("failed", "start_failed"), row)
        return row["message"]

    def invalid(self, text):
        with self.assertRaises(base.Refused) as caught:
            self.call("POST", "", text)
        self.assertEqual(caught.exception.status, 422)
        return caught.exception.problem["errors"]

    def test_rejected_by_the_server(self):
        template = job("quick")
        del template["spec"]["template"]["spec"]["restartPolicy"]
        message = self.refused("rejected", template)
        self.assertIn("spec.template.spec.restartPolicy", message)
        self.assertRegex(message, 'Job(.batch)? "assay-')

    def test_rejected_pod(self):
        message = self.refused("rejected-pod", {"labels": {"team": "not a label!"}}, make=pods)
        self.assertRegex(message, 'Pod "assay-[^"]*" is invalid: metadata.labels')

    def test_pod_against_the_namespaces_standard(self):
        """What admission refuses is said with the namespace's own words."""
        if not REAL:
            def standard(kind, item):
                if kind.kind == "Pod" and item["spec"].get("securityContext", {}).get(
                        "runAsNonRoot") is False:
                    raise ApiError(403, "Forbidden", f'pods "{item["metadata"]["name"]}" is '
                                   'forbidden: violates PodSecurity "restricted:latest": '
                                   'runAsNonRoot != true')
            self.double.webhooks.append(standard)
            self.addCleanup(self.double.webhooks.clear)
        message = self.refused("root", {"pod_security_context": {"runAsNonRoot": False}},
                               make=pods)
        self.assertRegex(message, 'pods "assay-[^"]*" is forbidden: violates PodSecurity '
                         '"restricted:latest": .*runAsNonRoot != true')

    def test_pods_in_a_forbidden_namespace(self):
        message = self.refused("away-pods", {"namespace": "kube-system"}, make=pods)
        self.assertRegex(message, r'cannot (list|create) resource "pods" in API group "" in the '
                         'namespace "kube-system"')

    def test_pods_in_no_namespace(self):
        """Nobody may look there, so it is forbidden, as everywhere but at home."""
        message = self.refused("nowhere", {"namespace": "nowhere"}, make=pods)
        self.assertIn('in the namespace "nowhere"', message)

    def test_unknown_kind(self):
        message = self.refused("farm", {"apiVersion": "farm.example/v1", "kind": "Farm",
                                        "spec": {"template": pod("quick")}},
                               kubernetes={"success": "status.ok", "failure": "status.bad"})
        self.assertEqual(message, "the cluster has no kind Farm: it does not serve "
                         "farm.example/v1: 404 page not found (404)")

    def test_unknown_kind_of_a_known_group(self):
        message = self.refused("jobs", {"apiVersion": "batch/v1", "kind": "Jobs",
                                        "spec": {"template": pod("quick")}},
                               kubernetes={"success": "status.ok", "failure": "status.bad"})
        self.assertEqual(message, "the cluster has no kind Jobs in batch/v1")

    def test_forbidden_namespace(self):
        message = self.refused("away", job("quick"), kubernetes={"namespace": "kube-system"})
        self.assertRegex(message, r'cannot list resource "(pods|jobs)" in API group "(batch)?" in '
                         'the namespace "kube-system"')
        for what in ("pods", "jobs.batch"):  # nobody needs them any more
            base.wait_for(lambda: f"{what} of namespace kube-system are not asked for any more" in
                          self.daemon.log.read_text(), f"{what} are given up")

    def test_forbidden_kind(self):
        message = self.refused("forbidden", {
            "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": {
                "pytorchReplicaSpecs": {"Master": {"template": pod("quick", "pytorch")}}}})
        self.assertIn('cannot list resource "pytorchjobs" in API group "kubeflow.org"', message)

    def test_left_over_substitution(self):
        text = study("left", job("quick"))
        text["trial"]["kubernetes"]["template"]["spec"]["template"]["spec"]["containers"][0][
            "args"] = ["${y}", "${trialParameters.z}", "${open"]
        at = "/trial/kubernetes/template/spec/template/spec/containers/0/args/"
        self.assertEqual([e["pointer"] for e in self.invalid(text)],
                         [at + "0", at + "1", at + "2"])

    def test_expired_token(self):
        """The server takes it no more; a fresh one in its file is taken up."""
        kept = self.token_file.read_text()

        def write(token):  # at once, as a kubelet does
            fresh = self.token_file.with_name("fresh")
            fresh.write_text(token)
            fresh.rename(self.token_file)
        try:
            write("expired")
            self.call("POST", "", study("expired", job("quick"), trials=1))
            self.call("POST", "", pods("expired-pods", trials=1))
            for name in ("expired", "expired-pods"):
                self.assertIn("Unauthorized (401)", self.message_of(name))
        finally:
            write(kept)
        for name in ("expired", "expired-pods"):
            self.assertEqual(base.wait_final(self.daemon, name)["state"], "succeeded")

    def test_metrics_without_pods(self):
        errors = self.invalid(study("blind", {"apiVersion": "batch/v1", "kind": "Job",
                                              "spec": {"x": "${x}"}}))
        self.assertEqual(errors[0]["pointer"], "/trial/kubernetes/template")

    def test_unreadable_kubeconfig(self):
        config = self.folder / "broken"
        config.write_text("clusters: [}")
        daemon = Assayd(base.BUILD, "--kubeconfig", str(config))
        try:
            for form in (study("none", job("quick")),
                         study("none", {"apiVersion": "v1", "kind": "Pod", **pod("quick")})):
                with self.assertRaises(base.Refused) as caught:
                    base.call(daemon, "POST", base.STUDIES, form)
                error = caught.exception.problem["errors"][0]
                self.assertEqual(error["pointer"], "/trial/kubernetes")
                self.assertIn(str(config), error["message"])
        finally:
            self.assertFalse(daemon.stop())
            daemon.remove()


if __name__ == "__main__":
    unittest.main()
