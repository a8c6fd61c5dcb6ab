#!/usr/bin/env python3
"""A cluster in trouble and a daemon that is killed: every trial ends right, once."""

import collections
import random
import sys
import threading
import time
import unittest

import base
from harness.assayd import ROOT  # noqa: E402
from test_kubernetes import REAL, Kube, pod_study

TRIALS = 300
NODES = {f"gpu-{i}": {"cpu": "64", "memory": "256Gi", "nvidia.com/gpu": "4"} for i in range(1, 6)}


class Chaos(Kube):
    """On a real server what is lost are nodes and assayd; the rest of the trouble is the double's."""

    nodes = NODES
    tls = True

    def setUp(self):
        super().setUp()
        self.lock = threading.Lock()
        self.running, self.most, self.runs = collections.Counter(), 0, collections.Counter()

        def train(container):
            trial = container.pod["metadata"]["labels"]["assay.dev/trial"]
            with self.lock:
                self.running[trial] += 1
                self.runs[trial] += 1
                self.most = max(self.most, self.running[trial])
            try:
                x = float(container.spec["command"][-1])
                for step in range(1, 5):
                    container.print(f"epoch={step} loss={(x - 0.3) ** 2 + (4 - step)}")
                    if container.stopped.wait(0.25):
                        return 143
                return 0
            finally:
                with self.lock:
                    self.running[trial] -= 1
        self.image("train", train)

    def test_chaos(self):
        self.run_through(pod_study("chaos", "train", trials=TRIALS, parallel=20,
                                   infrastructure_retries=20))

    def test_chaos_of_jobs(self):
        study = pod_study("chaos", "train", trials=TRIALS // 2, parallel=20,
                          infrastructure_retries=20)
        study["trial"]["kubernetes"] = {"template": {
            "apiVersion": "batch/v1", "kind": "Job", "spec": {"backoffLimit": 0, "template": {
                "spec": {"restartPolicy": "Never", "securityContext": {
                    "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                    {"name": "main", "image": "train", "command": study["trial"].pop("command"),
                     "securityContext": {"allowPrivilegeEscalation": False,
                                         "capabilities": {"drop": ["ALL"]}},
                     "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}}}}
        self.run_through(study)
        self.assertEqual(self.cluster.objects("Job"), [])

    def run_through(self, study):
        trials = study["limits"]["trials"]
        drawn = random.Random(5)
        chaos = self.double.chaos
        chaos.errors, chaos.cut_every, chaos.delay, chaos.lose_answers = 0.05, 1.0, 0.05, 0.02
        chaos.reorder, self.double.qps = True, 60
        self.submit(study)
        kill_at, lose_at, compact_at = (time.monotonic() + s for s in (3, 4, 2))
        nodes = list(NODES)
        end = time.monotonic() + 400
        kills = 0
        while time.monotonic() < end:
            now = time.monotonic()
            if now > kill_at:
                self.assertIsNone(self.daemon.process.poll(), self.daemon.tail())
                self.daemon.kill()
                self.daemon.start()
                kills += 1  # a slow machine gets more and more time to do something
                kill_at = time.monotonic() + 3 + kills / 5
            if now > compact_at and not REAL:
                self.double.store.compact()
                compact_at = now + 2
            if now > lose_at and len(nodes) > 2:
                self.cluster.lose_node(nodes.pop(drawn.randrange(len(nodes))))
                lose_at = now + 5
            found = base.persistent_call(self.daemon, "GET", f"{base.STUDIES}/chaos")
            if found["state"] in ("succeeded", "failed", "cancelled"):
                break
            time.sleep(0.1)
        self.assertEqual(found["state"], "succeeded", found)
        chaos.errors = chaos.cut_every = chaos.delay = chaos.lose_answers = 0
        chaos.reorder, self.double.qps = False, None
        rows = self.trials("chaos")
        self.assertEqual([row["number"] for row in rows], list(range(1, trials + 1)))
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            want = (row["parameters"]["x"] - 0.3) ** 2
            self.assertAlmostEqual(row["metrics"]["loss"], want)
            curve = base.call(self.daemon, "GET", f"{base.STUDIES}/chaos/trials/{row['number']}"
                              "/measurements")["measurements"]
            self.assertEqual([m["step"] for m in curve], [1, 2, 3, 4])
        self.assertEqual(self.most, 1, "a trial ran twice at once")
        self.wait_no_pods()
        lost = sum(a["state"] == "lost" for row in rows for a in row["attempts"])
        throttled = 0 if REAL else self.double.throttled
        print(f"{kills} kills, {lost} attempts lost, {throttled} requests throttled, "
              f"{sum(self.runs.values())} runs of {trials} trials", file=sys.stderr)


class Log(Kube):
    needs_double = True

    def test_cut_log(self):
        """Every line once, in order, however often the connection breaks."""
        lines = 3000

        def chatty(container):
            for i in range(lines):
                container.print("same again" if i % 3 == 0 else f"loss={i}")
                if i % 10 == 0:
                    time.sleep(0.01)
                if i % 250 == 249:  # while it is read: whoever is slow is cut as often
                    self.double.cut()
            container.print("loss=0.5")
        self.image("chatty", chatty)
        self.submit(pod_study("log", "chatty", trials=2, parallel=2))
        found = base.wait_final(self.daemon, "log")
        self.assertEqual(found["state"], "succeeded", found)
        self.assertGreater(self.double.counts.of("get", "pods/log"), 4)
        wanted = [i for i in range(lines) if i % 3] + [0.5]
        for row in self.trials("log"):
            path = f"{base.STUDIES}/log/trials/{row['number']}"
            log = base.call(self.daemon, "GET", f"{path}/logs").splitlines()
            self.assertEqual(len(log), lines + 1)
            self.assertEqual([float(t[5:]) for t in log if t.startswith("loss=")], wanted)
            curve, token = [], ""
            while token is not None:
                page = base.call(self.daemon, "GET", f"{path}/measurements?page_size=1000" +
                                 (f"&page_token={token}" if token else ""))
                curve += page["measurements"]
                token = page["next_page_token"]
            self.assertEqual([m["metrics"]["loss"] for m in curve], wanted)
            self.assertEqual([m["step"] for m in curve], list(range(1, len(wanted) + 1)))


class Digits(Kube):
    def test_digits(self):
        """The digits example, as processes in place of pods, on four GPUs."""
        folder = ROOT / "examples" / "digits"
        study = base.call(self.daemon, "POST", base.STUDIES, {
            "name": "digits", "objective": {"metric": "val_accuracy", "goal": "maximize"},
            "parameters": [
                {"name": "lr", "type": "double", "min": 1e-4, "max": 1.0, "scale": "log"},
                {"name": "units", "type": "int", "min": 8, "max": 256, "scale": "log"},
                {"name": "dropout", "type": "double", "min": 0, "max": 0.6, "step": 0.1},
                {"name": "batch", "type": "discrete", "values": [16, 32, 64, 128]},
                {"name": "optimizer", "type": "categorical", "values": ["sgd", "adam"]},
                {"name": "momentum", "type": "double", "min": 0, "max": 0.99,
                 "when": {"optimizer": ["sgd"]}},
                {"name": "nesterov", "type": "bool", "when": {"optimizer": ["sgd"]}}],
            "algorithm": {"name": "auto"}, "seed": 7,
            "early_stopping": {"name": "median", "settings": {"min_trials": 5,
                                                              "warmup_steps": 5}},
            "limits": {"trials": 20, "parallel": 6, "failed_trials": 5},
            "trial": {"command": ["/usr/bin/python3", "train.py", "--lr=${lr}",
                                  "--units=${units}", "--dropout=${dropout}",
                                  "--batch=${batch}", "--optimizer=${optimizer}",
                                  "--momentum=${momentum}", "--nesterov=${nesterov}",
                                  "--epochs=30"],
                      "environment": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                      "code": {"directory": str(folder)}, "resources": {"gpus": 1}, "grace": "2s",
                      "kubernetes": {"image": "digits:1"}}})
        self.assertTrue(study["runs_trials"])
        found = base.wait_final(self.daemon, "digits", 400)
        self.assertEqual(found["state"], "succeeded", found)
        self.assertGreaterEqual(found["best"]["value"], 0.97)  # 0.98 or more in whatever order
        self.assertLessEqual(self.cluster.most_scheduled, 4)
        print(f"best {found['best']['value']:.4f}, at most {self.cluster.most_scheduled} pods "
              "scheduled", file=sys.stderr)
        self.wait_no_pods()


if __name__ == "__main__":
    unittest.main()
