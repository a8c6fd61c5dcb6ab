#!/usr/bin/env python3
"""Trials as pods: what ends how, what is read, what is left.

Against the API double; against a real API server (tests/harness/kube/real.py says what it
must be) when ASSAY_TEST_KUBECONFIG names its kubeconfig.
"""

import os
import pathlib
import tempfile
import threading
import time
import unittest

import yaml

import base
from harness.assayd import ROOT, Assayd
from harness.kube.cluster import PODS, Cluster, Killed
from harness.kube.double import Double
from harness.kube.real import Real

REAL = os.environ.get("ASSAY_TEST_KUBECONFIG")
GPUS = {"gpu-1": {"cpu": "64", "memory": "256Gi", "nvidia.com/gpu": "4", "pods": "5000"}}


def loss(container):
    """A command that prints loss = (x - 0.3)^2, once."""
    x = float(container.spec["command"][1])
    container.print("starting")
    container.print(f"loss={(x - 0.3) ** 2}")


def stoppable(container):
    """The first four trials are alike and end soon; the others are worse, and end when they are
    stopped."""
    good = int(container.pod["metadata"]["labels"]["assay.dev/trial"]) <= 4
    for step in range(1, 10 if good else 10_000):
        container.print(f"epoch={step} loss={1 / step if good else 10}")
        if container.stopped.wait(0.02):
            return 143
    return 0


def pod_study(name, image="quick", trials=5, parallel=2, gpus=1, command=None, **more):
    return {"name": name, "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
            "algorithm": {"name": "random"}, "seed": 7,
            "limits": {"trials": trials, "parallel": parallel},
            "trial": {"command": command or ["train", "${x}"], "resources": {"gpus": gpus},
                      "kubernetes": {"image": image}, **more}}


class Kube(unittest.TestCase):
    """A daemon and a cluster; after each test nothing may be left in the cluster."""

    nodes = GPUS
    token = None
    tls = False
    needs_double = False  # for trouble that no real server makes

    def rights(self):
        return None

    def setUp(self):
        if REAL and self.needs_double:
            self.skipTest("needs the API double")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.double = Real(REAL, self.folder) if REAL else \
            Double(self.folder if self.tls else None, self.rights())
        self.double.__enter__()
        self.addCleanup(self.double.__exit__, None, None, None)
        self.cluster = Cluster(self.double, self.folder, self.nodes, {"quick": loss})
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        config = self.double.write_kubeconfig(self.folder / "kubeconfig", self.token)
        self.daemon = Assayd(base.BUILD, "--kubeconfig", str(config), "--kube-qps", "2000",
                             "--kube-burst", "500")
        self.addCleanup(self.finish)

    def finish(self):
        fault = self.daemon.stop()
        tail = self.daemon.tail()
        self.daemon.remove()
        self.assertFalse(fault, f"{fault}\n{tail}")

    def submit(self, study):
        return base.call(self.daemon, "POST", base.STUDIES, study)

    def trials(self, study):
        return base.all_trials(self.daemon, study)

    def wait_no_pods(self, timeout=120):
        base.wait_for(lambda: not self.cluster.pods(), "no pod left", timeout)

    def image(self, name, function):
        self.cluster.images[name] = function


class Ends(Kube):
    """How pods end and what the trial says of it."""

    def run_one(self, function=None, image="one", retries=0, infrastructure=0, **more):
        if function is not None:
            self.image(image, function)
        study = pod_study("one", image, trials=1, parallel=1, retries=retries,
                          infrastructure_retries=infrastructure, **more)
        self.submit(study)
        base.wait_final(self.daemon, "one")
        return self.trials("one")[0]

    def test_success(self):
        study = self.submit(pod_study("s", trials=12, parallel=6))
        self.assertTrue(study["runs_trials"])
        found = base.wait_final(self.daemon, "s")
        self.assertEqual(found["state"], "succeeded")
        rows = self.trials("s")
        self.assertEqual(len(rows), 12)
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            self.assertAlmostEqual(row["metrics"]["loss"], (row["parameters"]["x"] - 0.3) ** 2)
            self.assertEqual(len(row["attempts"]), 1)
            self.assertEqual(len(row["attempts"][0]["gpus"]), 1)
        self.assertLessEqual(self.cluster.most_scheduled, 4)
        log = base.call(self.daemon, "GET", f"{base.STUDIES}/s/trials/1/logs")
        self.assertIn("starting\nloss=", log)
        self.wait_no_pods()

    def test_exit_code(self):
        def fails(container):
            container.print("no such file: data.npz")
            return 3
        row = self.run_one(fails)
        self.assertEqual((row["state"], row["reason"]), ("failed", "exit_code"))
        self.assertEqual(row["attempts"][0]["exit_code"], 3)
        self.assertIn("no such file: data.npz", row["message"])

    def test_out_of_memory(self):
        def grows(_container):
            raise Killed("OOMKilled")
        row = self.run_one(grows)
        self.assertEqual((row["state"], row["reason"]), ("failed", "out_of_memory"))
        self.assertIn("OOMKilled", row["message"])

    def test_timeout(self):
        row = self.run_one(lambda c: c.stopped.wait(300), timeout="1s")
        self.assertEqual((row["state"], row["reason"]), ("failed", "timeout"))

    def test_no_metric(self):
        row = self.run_one(lambda c: c.print("all fine but silent"))
        self.assertEqual((row["state"], row["reason"]), ("failed", "no_objective"))
        self.assertIn("all fine but silent", row["message"])

    def test_eviction_is_retried_apart(self):
        seen = []

        def once_evicted(container):
            seen.append(container.pod["metadata"]["name"])
            if len(seen) == 1:
                threading.Thread(target=self.cluster.evict, args=(container.pod,)).start()
                container.stopped.wait(300)
                return 1
            container.print("loss=0.5")
            return 0
        row = self.run_one(once_evicted, infrastructure=2)
        self.assertEqual(row["state"], "succeeded", row)
        self.assertEqual([a["state"] for a in row["attempts"]], ["lost", "exited"])
        self.assertIn("Evicted: The node was low on resource: memory.",
                      row["attempts"][0]["message"])
        self.assertEqual(len(set(seen)), 2)

    def test_rejected_manifest(self):
        study = pod_study("bad", trials=1)
        study["trial"]["kubernetes"]["labels"] = {"team": "not a label!"}
        self.submit(study)
        base.wait_final(self.daemon, "bad")
        row = self.trials("bad")[0]
        self.assertEqual((row["state"], row["reason"]), ("failed", "start_failed"))
        self.assertIn("metadata.labels", row["message"])
        self.assertEqual(self.cluster.pods(), [])

    def test_unschedulable_says_why(self):
        self.submit(pod_study("big", trials=1, gpus=8))

        def waits():
            row = self.trials("big")
            return row and row[0]["attempts"] and row[0]["attempts"][0]["message"]
        message = base.wait_for(waits, "why it waits")
        self.assertIn("Unschedulable: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
                      message)
        base.call(self.daemon, "POST", f"{base.STUDIES}/big/cancel")
        found = base.wait_final(self.daemon, "big")
        self.assertEqual(found["state"], "cancelled")
        self.wait_no_pods()

    def test_cancel_leaves_nothing(self):
        self.image("long", lambda c: (c.print("loss=1"), c.stopped.wait(300))[0])
        self.submit(pod_study("c", "long", trials=8, parallel=4))
        base.wait_for(lambda: sum(p["status"]["phase"] == "Running"
                                  for p in self.cluster.pods()) == 4, "four pods run")
        base.call(self.daemon, "POST", f"{base.STUDIES}/c/cancel")
        self.assertEqual(base.wait_final(self.daemon, "c")["state"], "cancelled")
        self.wait_no_pods()

    def test_pause_leaves_nothing(self):
        """With `requeue`: what runs is ended, costs no retry, and comes again."""
        go = threading.Event()
        self.image("held", lambda c: (c.print("loss=1"), go.is_set() or c.stopped.wait(300))[0])
        self.submit(pod_study("p", "held", trials=4, parallel=2, grace="1s"))
        running = lambda: sum(p["status"]["phase"] == "Running" for p in self.cluster.pods()) == 2
        base.wait_for(running, "two pods run")
        found = base.call(self.daemon, "POST", f"{base.STUDIES}/p/pause")
        self.assertEqual(found["trials"]["running"], 2)  # without it they go on
        base.call(self.daemon, "POST", f"{base.STUDIES}/p/pause?requeue=true")
        base.wait_for(lambda: base.call(self.daemon, "GET", f"{base.STUDIES}/p")["trials"][
            "queued"] == 2, "two trials wait")
        self.wait_no_pods()
        go.set()
        base.call(self.daemon, "POST", f"{base.STUDIES}/p/resume")
        self.assertEqual(base.wait_final(self.daemon, "p")["state"], "succeeded")
        rows = self.trials("p")
        self.assertEqual([row["state"] for row in rows], ["succeeded"] * 4, rows)
        self.assertEqual([len(row["attempts"]) for row in rows], [2, 2, 1, 1])
        self.assertEqual(rows[0]["attempts"][0]["message"], "ended for the pause of its study")
        self.wait_no_pods()

    def test_killed_while_a_pause_ends_pods(self):
        go = threading.Event()
        self.image("deaf", lambda c: (c.print("loss=1"), go.wait(300))[0])
        self.submit(pod_study("k", "deaf", trials=2, parallel=2, grace="2s"))
        base.wait_for(lambda: sum(p["status"]["phase"] == "Running"
                                  for p in self.cluster.pods()) == 2, "two pods run")
        base.call(self.daemon, "POST", f"{base.STUDIES}/k/pause?requeue=true")
        self.daemon.kill()
        self.daemon.start()
        base.wait_for(lambda: base.call(self.daemon, "GET", f"{base.STUDIES}/k")["trials"][
            "queued"] == 2, "two trials wait")
        self.wait_no_pods()
        go.set()
        base.call(self.daemon, "POST", f"{base.STUDIES}/k/resume")
        self.assertEqual(base.wait_final(self.daemon, "k")["state"], "succeeded")
        for row in self.trials("k"):
            self.assertEqual([attempt["reason"] for attempt in row["attempts"]], [None, None], row)

    def test_early_stop(self):
        self.image("curve", stoppable)
        study = pod_study("e", "curve", trials=12, parallel=4, grace="20s")
        study["early_stopping"] = {"name": "median", "settings": {"min_trials": 3,
                                                                  "warmup_steps": 3}}
        self.submit(study)
        self.assertEqual(base.wait_final(self.daemon, "e")["state"], "succeeded")
        self.assertEqual([row["state"] for row in self.trials("e")],
                         ["succeeded"] * 4 + ["stopped"] * 8)
        self.wait_no_pods()

    def test_missing_image_waits_and_says_so(self):
        self.cluster.missing_images.add("nowhere/none:1")
        self.submit(pod_study("m", "nowhere/none:1", trials=1))
        message = base.wait_for(
            lambda: (self.trials("m") or [{"attempts": []}])[0]["attempts"] and
            self.trials("m")[0]["attempts"][0]["message"], "why it waits")
        self.assertRegex(message, "ImagePullBackOff|ErrImagePull")
        base.call(self.daemon, "POST", f"{base.STUDIES}/m/cancel")
        base.wait_final(self.daemon, "m")
        self.wait_no_pods()

    def test_command_beside_a_template(self):
        study = pod_study("t")
        study["trial"]["kubernetes"]["template"] = {"kind": "Job"}
        with self.assertRaises(base.Refused) as caught:
            self.submit(study)
        self.assertEqual(caught.exception.status, 422)


class Queues(Kube):
    """What waits for room, or for a queue, does not fail."""

    def waiting(self, study, text, trials=1):
        """The numbers of those that say so, once they are so many."""
        def says():
            found = [r["number"] for r in self.trials(study) if r["attempts"] and
                     text in (r["attempts"][0]["message"] or "")]
            return len(found) >= trials and found
        return base.wait_for(says, f"{trials} trials say: {text}")

    def all_succeed(self, study, trials):
        found = base.wait_final(self.daemon, study)
        self.assertEqual(found["state"], "succeeded", found)
        rows = self.trials(study)
        self.assertEqual([len(r["attempts"]) for r in rows], [1] * trials)
        self.wait_no_pods()

    def test_quota(self):
        go = threading.Event()
        self.addCleanup(go.set)
        self.image("waits", lambda c: (go.wait(300), loss(c))[1])
        self.double.set_quota(2)
        self.submit(pod_study("q", "waits", trials=6, parallel=5))
        self.waiting("q", "exceeded quota: trials, requested: pods=1", 3)
        self.assertEqual(len(self.cluster.pods()), 2)
        go.set()
        self.all_succeed("q", 6)
        if not REAL:  # they were not tried again and again
            self.assertLess(self.double.counts.of("create", "pods"), 40)

    def test_quota_and_cancel(self):
        self.double.set_quota(0)
        self.submit(pod_study("n", trials=4, parallel=3))
        self.waiting("n", "exceeded quota")
        base.call(self.daemon, "POST", f"{base.STUDIES}/n/cancel")
        self.assertEqual(base.wait_final(self.daemon, "n")["state"], "cancelled")
        self.assertEqual(self.cluster.pods(), [])

    def test_scheduling_gate(self):
        """As Kueue does it: pods of a queue are gated until there is room."""
        if REAL:
            self.skipTest("needs the API double")

        def gate(kind, item):
            if kind is PODS and "kueue.x-k8s.io/queue-name" in item["metadata"]["labels"]:
                item["spec"]["schedulingGates"] = [{"name": "kueue.x-k8s.io/admission"}]
        self.double.webhooks.append(gate)
        study = pod_study("g", trials=4, parallel=4, timeout="1h")
        study["trial"]["kubernetes"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a"}
        self.submit(study)
        waiting = self.waiting(
            "g", 'held back by the scheduling gate "kueue.x-k8s.io/admission"', 4)
        self.assertEqual(base.call(self.daemon, "GET", f"{base.STUDIES}/g")["state"], "running")
        self.double.webhooks.clear()
        for pod in self.cluster.pods():
            self.double.store.update(PODS, "assay", pod["metadata"]["name"], lambda p: {
                **p, "spec": {k: v for k, v in p["spec"].items() if k != "schedulingGates"}})
        self.all_succeed("g", 4)
        events = base.call(self.daemon, "GET", f"{base.STUDIES}/g/events?page_size=1000")["events"]
        started = [e for e in events if e["type"] == "attempt_started"]
        self.assertEqual(sorted(e["trial"] for e in started), sorted(waiting))
        for event in started:
            self.assertIn("after it waited for", event["message"])
            self.assertGreater(event["data"]["waited_s"], 0)

    def test_another_scheduler(self):
        """As Volcano: nobody but it looks at the pod."""
        study = pod_study("v", trials=2, parallel=2)
        study["trial"]["kubernetes"]["scheduler"] = "volcano"
        self.submit(study)
        base.wait_for(lambda: len(self.cluster.pods()) == 2, "two pods")
        self.cluster.schedulers.add("volcano")
        self.cluster.wake.set()
        self.all_succeed("v", 2)


class Rights(Kube):
    """With the rights of deploy/kubernetes and no more."""

    token = "assayd"

    def rights(self):
        role = yaml.safe_load((ROOT / "deploy/kubernetes/trials-role.yaml").read_text())

        self.away = 0  # creations that are refused yet

        def may(verb, resource, group, namespace):
            if verb == "create" and self.away > 0:
                self.away -= 1
                return False
            return namespace == "assay" and any(
                verb in rule["verbs"] and resource in rule["resources"] and
                group in rule["apiGroups"] for rule in role["rules"])
        return {self.token: may}

    def test_enough(self):
        self.image("slow", lambda c: (c.print("loss=1"), c.stopped.wait(300))[0])
        self.submit(pod_study("a", trials=4))
        self.assertEqual(base.wait_final(self.daemon, "a")["state"], "succeeded")
        self.submit(pod_study("b", "slow", trials=2))
        base.wait_for(lambda: any(p["status"]["phase"] == "Running"
                                  for p in self.cluster.pods()), "a pod runs")
        self.daemon.kill()
        self.daemon.start()
        base.call(self.daemon, "POST", f"{base.STUDIES}/b/cancel")
        self.assertEqual(base.wait_final(self.daemon, "b")["state"], "cancelled")
        self.wait_no_pods()

    def test_away_for_a_moment(self):
        """A server that has just started knows no rights yet."""
        if REAL:
            self.skipTest("needs the API double")
        self.submit(pod_study("a", trials=2))
        base.wait_final(self.daemon, "a")
        self.away = 4  # two tries of each of two pods: they have waited for more than a second
        self.submit(pod_study("b", trials=2, parallel=2))
        found = base.wait_final(self.daemon, "b")
        self.assertEqual(found["state"], "succeeded", found)
        self.assertEqual(self.away, 0)
        self.assertEqual([len(r["attempts"]) for r in self.trials("b")], [1, 1])
        events = base.call(self.daemon, "GET", f"{base.STUDIES}/b/events?page_size=1000")["events"]
        self.assertEqual({e["trial"] for e in events if e["type"] == "attempt_waits" and
                          "cannot create resource" in e["message"]}, {1, 2})

    def test_forbidden_namespace(self):
        study = pod_study("f", trials=1)
        study["trial"]["kubernetes"]["namespace"] = "kube-system"
        self.submit(study)
        base.wait_final(self.daemon, "f")
        row = self.trials("f")[0]
        self.assertEqual((row["state"], row["reason"]), ("failed", "start_failed"))
        self.assertIn('cannot create resource "pods"', row["message"])


class Unheard(Kube):
    needs_double = True

    def test_deleted_before_the_watch_told_of_it(self):
        """Somebody deletes a pod while nobody is told of anything, and the server forgets it."""
        runs = []

        def first_waits(container):
            runs.append(container.pod["metadata"]["name"])
            if len(runs) == 1:
                container.stopped.wait(300)
                return 143
            container.print("loss=0.5")
            return 0
        self.image("first", first_waits)
        self.double.chaos.silent = "watch=1"
        self.double.cut()
        self.submit(pod_study("u", "first", trials=1, parallel=1, infrastructure_retries=1))
        base.wait_for(lambda: runs, "a pod runs")
        base.wait_for(lambda: self.trials("u")[0]["attempts"], "its creation was answered")
        self.double.store.remove(PODS, "assay", runs[0])
        self.double.store.compact()
        self.double.chaos.silent = ""  # the watch that waits is told that it is too old
        self.assertEqual(base.wait_final(self.daemon, "u")["state"], "succeeded")
        row = base.call(self.daemon, "GET", f"{base.STUDIES}/u/trials/1")
        self.assertEqual([a["state"] for a in row["attempts"]], ["lost", "exited"])
        self.assertEqual(row["attempts"][0]["message"], "its pod was deleted by somebody else")
        self.wait_no_pods()


class Restarts(Kube):
    def test_restart_adopts(self):
        """A daemon that is killed finds its pods again; none runs twice."""
        runs, go = [], threading.Event()

        def counted(container):
            runs.append(container.pod["metadata"]["name"])
            for step in range(1, 4):
                container.print(f"loss={4 - step}")
            go.wait(300)
            container.print("loss=0.25")
        self.image("counted", counted)
        self.submit(pod_study("r", "counted", trials=4, parallel=4))
        base.wait_for(lambda: len(runs) == 4, "four pods run")
        time.sleep(0.5)
        self.daemon.kill()
        self.daemon.start()
        time.sleep(0.5)
        go.set()
        self.assertEqual(base.wait_final(self.daemon, "r")["state"], "succeeded")
        self.assertEqual(len(runs), 4)
        for row in self.trials("r"):
            self.assertEqual(row["state"], "succeeded", row)
            self.assertEqual(len(row["attempts"]), 1)
            curve = base.call(self.daemon, "GET", f"{base.STUDIES}/r/trials/{row['number']}"
                              "/measurements")["measurements"]
            self.assertEqual([(m["step"], m["metrics"]["loss"]) for m in curve],
                             [(1, 3.0), (2, 2.0), (3, 1.0), (4, 0.25)])
        self.wait_no_pods()

    def test_orderly_stop_leaves_pods(self):
        go = threading.Event()

        def waits(container):
            go.wait(300)
            container.print("loss=1")
        self.image("waits", waits)
        self.submit(pod_study("o", "waits", trials=2, parallel=2))
        base.wait_for(lambda: sum(p["status"]["phase"] == "Running"
                                  for p in self.cluster.pods()) == 2, "two pods run")
        self.assertFalse(self.daemon.stop())
        self.assertEqual(len(self.cluster.pods()), 2)
        go.set()
        self.daemon.start()
        self.assertEqual(base.wait_final(self.daemon, "o")["state"], "succeeded")
        self.assertEqual([len(r["attempts"]) for r in self.trials("o")], [1, 1])
        self.wait_no_pods()

    def test_leftovers_are_swept(self):
        owner = (self.daemon.data / "kubernetes-owner").read_text().strip()
        self.double.store.create(
            PODS, "assay",
            {"metadata": {"name": f"assay-{owner}-99-1-1",
                          "labels": {"assay.dev/daemon": owner}},
             "spec": {"securityContext": {"runAsNonRoot": True,
                                          "seccompProfile": {"type": "RuntimeDefault"}},
                      "containers": [{"name": "trial", "image": "quick", "command": ["x", "1"],
                                      "securityContext": {"allowPrivilegeEscalation": False,
                                                          "capabilities": {"drop": ["ALL"]}}}]},
             "status": {"phase": "Pending"}})
        self.wait_no_pods()


if __name__ == "__main__":
    unittest.main()
