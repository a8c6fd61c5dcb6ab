#!/usr/bin/env python3
"""Trials as objects of any kind, against the API double and its controllers."""

import pathlib
import tempfile
import threading
import time
import unittest

import base
from harness.assayd import Assayd
from harness.kube.cluster import Cluster, Killed
from harness.kube.double import Double
from harness.kube.store import KINDS

NODES = {"gpu-1": {"cpu": "640", "memory": "2560Gi", "nvidia.com/gpu": "8", "pods": "5000"}}
OURS = [k for k in KINDS if k.kind in ("Pod", "Job", "PyTorchJob", "TFJob", "RayJob", "Secret")]


def loss(container):
    """A command whose last word is x: prints its loss once."""
    x = float(container.spec["command"][-1])
    container.print(f"loss={(x - 0.3) ** 2}")


def pod(image, name="main", command=("train", "${x}"), **more):
    return {"spec": {"restartPolicy": "Never", "containers": [
        {"name": name, "image": image, "command": list(command), **more}]}}


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


class Shared(unittest.TestCase):
    """One cluster and one daemon for all tests of a class; each leaves nothing behind."""

    rights = None
    token = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.double = Double(rights=cls.rights)
        cls.double.__enter__()
        cls.addClassCleanup(cls.double.__exit__, None, None, None)
        cls.cluster = Cluster(cls.double, cls.folder, NODES, {"quick": loss})
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        config = cls.double.write_kubeconfig(cls.folder / "kubeconfig", cls.token)
        cls.daemon = Assayd(base.BUILD, "--kubeconfig", str(config), "--kube-qps", "2000",
                            "--kube-burst", "500")
        cls.addClassCleanup(cls.finish)

    @classmethod
    def finish(cls):
        fault = cls.daemon.stop()
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
        self.call("POST", "", study(*arguments, **more))
        found = base.wait_final(self.daemon, arguments[0], 90)
        return found, self.trials(arguments[0])

    def run_one(self, name, template, **more):
        more.setdefault("infrastructure_retries", 0)
        _, rows = self.run_study(name, template, trials=1, parallel=1, **more)
        return rows[0]

    def message_of(self, name):
        """Why the first attempt waits, as soon as that is told."""
        def told():
            rows = self.trials(name)
            return rows and rows[0]["attempts"] and rows[0]["attempts"][0]["message"]
        return base.wait_for(told, "why it waits", 40)

    def objects(self, kind, name):
        """The objects of a study."""
        return [o for o in self.cluster.objects(kind) if
                (o["metadata"].get("annotations") or {}).get("assay.dev/study-name") == name]

    def tearDown(self):
        def left():
            return [f"{k.kind} {o['metadata']['name']}" for k in OURS
                    for o in self.double.store.list(k, None, lambda o: True)[0]
                    if "assay.dev/retained" not in (o["metadata"].get("labels") or {})]
        end = time.monotonic() + 60
        while left():
            if time.monotonic() > end:
                self.fail(f"left in the cluster: {left()}")
            time.sleep(0.1)


class Kinds(Shared):
    def test_job(self):
        template = job("quick")
        template["spec"]["template"]["spec"]["containers"][0]["resources"] = {
            "limits": {"nvidia.com/gpu": "2"}}
        found, rows = self.run_study("job", template, trials=6, parallel=3,
                                     kubernetes={"labels": {"team": "x"}})
        self.assertEqual(found["state"], "succeeded")
        self.assertTrue(found["runs_trials"])
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            self.assertAlmostEqual(row["metrics"]["loss"], (row["parameters"]["x"] - 0.3) ** 2)
            self.assertEqual(len(row["attempts"]), 1)
            self.assertEqual(len(row["attempts"][0]["gpus"]), 2)
        made = self.objects("Job", "job")
        self.assertEqual({o["metadata"]["labels"]["team"] for o in made}, {"x"})
        log = self.call("GET", "/job/trials/1/logs")
        self.assertEqual(log, f"loss={rows[0]['metrics']['loss']}\n")


if __name__ == "__main__":
    unittest.main()
