#!/usr/bin/env python3
"""Several clusters, several contexts of one cluster, and a namespace for each project."""

import json
import pathlib
import tempfile
import threading
import unittest

import base
from harness.assayd import Assayd
from harness.kube.cluster import PODS, Cluster
from harness.kube.double import Double
from harness.kube.store import KINDS
from test_kubernetes import GPUS, REAL, loss, pod_study


@unittest.skipIf(REAL, "needs the API double")
class Contexts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.doubles, self.clusters, self.go = [], [], threading.Event()
        for name in ("one", "two"):
            (self.folder / name).mkdir()
            double = Double(self.folder / name if name == "two" else None)
            double.__enter__()
            self.addCleanup(double.__exit__, None, None, None)
            cluster = Cluster(double, self.folder / name, GPUS,
                              {"quick": loss, "waits": self.waits})
            cluster.__enter__()
            self.addCleanup(cluster.__exit__, None, None, None)
            self.doubles.append(double)
            self.clusters.append(cluster)

    def waits(self, container):
        self.go.wait(600)
        return loss(container)

    def start(self, *options):
        """A service whose kubeconfig has the contexts one, two, and one-too (of cluster one)."""
        two = {"server": self.doubles[1].url,
               "certificate-authority": str(self.folder / "two" / "ca.crt")}
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps({
            "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": self.doubles[0].url}},
                         {"name": "two", "cluster": two}],
            "users": [{"name": "me", "user": {"token": "x"}}],
            "contexts": [{"name": name, "context": {"cluster": cluster, "user": "me",
                                                    "namespace": "assay"}}
                         for name, cluster in (("one", "one"), ("two", "two"),
                                               ("one-too", "one"))]}))
        self.daemon = Assayd(base.BUILD, "--kubeconfig", str(path), *options)
        self.addCleanup(self.finish)

    def finish(self):
        self.go.set()
        fault = self.daemon.stop()
        tail = self.daemon.tail()
        self.daemon.remove()
        self.assertFalse(fault, f"{fault}\n{tail}")

    def submit(self, name, context=None, image="quick", namespace=None, project="default"):
        study = pod_study(name, image, trials=2, parallel=2)
        study["trial"]["kubernetes"].update(
            {k: v for k, v in (("context", context), ("namespace", namespace)) if v})
        return base.call(self.daemon, "POST", f"/v1/projects/{project}/studies", study)

    def test_contexts(self):
        self.start()
        self.submit("here", image="waits")
        self.submit("there", "two", "waits")
        self.submit("too", "one-too", "waits")
        for cluster, n in zip(self.clusters, (4, 2)):
            base.wait_for(lambda cluster=cluster, n=n: len(
                [p for p in cluster.pods() if p["status"]["phase"] == "Running"]) == n,
                f"{n} pods run")
        self.daemon.kill()  # the next one finds all of them
        self.daemon.start()
        self.go.set()
        for name in ("here", "there", "too"):
            found = base.wait_final(self.daemon, name)
            self.assertEqual(found["state"], "succeeded", found)
            for row in base.all_trials(self.daemon, name):
                self.assertEqual(len(row["attempts"]), 1, row)
        for cluster in self.clusters:
            base.wait_for(lambda cluster=cluster: not cluster.pods(), "no pod left")
        with self.assertRaises(base.Refused) as caught:
            self.submit("nowhere", "three")
        self.assertEqual(caught.exception.status, 422)
        fault = caught.exception.problem["errors"][0]
        self.assertEqual(fault["pointer"], "/trial/kubernetes/context")
        self.assertIn('has no context "three"', fault["message"])

    def test_leftovers_in_another_context(self):
        self.start()
        self.submit("there", "two", "waits")
        base.wait_for(lambda: len(self.clusters[1].pods()) == 2, "two pods")
        kept = {pod["metadata"]["name"] for pod in self.clusters[1].pods()}
        self.daemon.kill()
        owner = (self.daemon.data / "kubernetes-owner").read_text().strip()
        left = {"metadata": {"name": f"assay-{owner}-99-1-1",
                             "labels": {"assay.dev/daemon": owner}},
                "spec": {"containers": [{"name": "trial", "image": "quick", "command": ["x", "1"]}]},
                "status": {"phase": "Pending"}}
        self.doubles[1].store.create(PODS, "assay", left)
        self.daemon.start()
        base.wait_for(lambda: {pod["metadata"]["name"] for pod in self.clusters[1].pods()} == kept,
                      "the leftover is gone, and it alone")

    def test_namespace_for_each_project(self):
        for name in ("tune-default", "tune-team-b-2"):
            self.doubles[0].store.create(KINDS[0], None, {"metadata": {"name": name}})
        self.start("--kube-namespace", "tune-${project}")
        base.call(self.daemon, "POST", "/v1/projects", {"name": "team_b.2"})
        self.submit("a", image="waits")
        self.submit("b", image="waits", project="team_b.2", namespace="tune-team-b-2")
        base.wait_for(lambda: len(self.clusters[0].pods()) == 4, "four pods")
        self.assertEqual(sorted(p["metadata"]["namespace"] for p in self.clusters[0].pods()),
                         ["tune-default"] * 2 + ["tune-team-b-2"] * 2)
        for namespace in ("tune-team-b-2", "assay"):
            with self.assertRaises(base.Refused) as caught:
                self.submit("c", namespace=namespace)
            self.assertEqual(caught.exception.problem["errors"][0]["pointer"],
                             "/trial/kubernetes/namespace")
        self.go.set()
        self.assertEqual(base.wait_final(self.daemon, "a")["state"], "succeeded")


if __name__ == "__main__":
    unittest.main()
