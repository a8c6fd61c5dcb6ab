"""A database on another machine that can not be reached for longer than a change waits for it:
nothing is lost, no trial is ended, and the daemon goes on when it is back."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

import base
from base import STUDIES, all_trials, wait_final, wait_for
from harness.assayd import Assayd
from harness.kube.cluster import Cluster
from harness.kube.double import Double

# Measures until GATE is there; trial 1 until GATE-first is.
COMMAND = """
import os, pathlib, sys, time
gate = pathlib.Path(sys.argv[1] + ("-first" if os.environ["ASSAY_TRIAL"] == "1" else ""))
step = 0
while not gate.exists() or step < 3:
    step += 1
    print(f"step={step} loss={1 / step}", flush=True)
    time.sleep(0.1)
pathlib.Path(sys.argv[1] + "-steps-" + os.environ["ASSAY_TRIAL"]).write_text(str(step))
"""


class Road:
    """To a socket of this machine, by TCP; it can be closed."""

    def __init__(self, to):
        self.to, self.pairs, self.lock, self.open = str(to), [], threading.Lock(), True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                here = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                if not self.open:
                    here.close()
                    continue
                there = socket.socket(socket.AF_UNIX)
                there.connect(self.to)
                self.pairs.append((here, there))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
        one.close()

    def close(self):
        with self.lock:
            self.open = False
            for pair in self.pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self.pairs = []

    def reopen(self):
        with self.lock:
            self.open = True


class AwayTest(base.DaemonTest):
    """Trials of this machine."""

    more_options, trial = (), {}

    def setUp(self):
        owner = Assayd(base.BUILD)  # of the database's server
        self.addCleanup(self.end, owner)
        folder = owner.data / "database" / "data"
        subprocess.run(["psql", "-qAtX", "-h", str(folder), "-U", "assay", "-d", "postgres", "-c",
                        "CREATE DATABASE elsewhere"], check=True, capture_output=True)
        self.road = Road(next(folder.glob(".s.PGSQL.*[0-9]")))
        self.addCleanup(self.road.listener.close)
        self.options = ("--database", f"host=127.0.0.1 port={self.road.port} user=assay "
                                      "dbname=elsewhere sslmode=disable", *self.more_options)
        super().setUp()

    def end(self, daemon):
        fault = daemon.stop()
        daemon.remove()
        self.assertFalse(fault)

    def still_away(self):
        pass

    def test_longer_than_changes_wait(self):
        gate = self.daemon.folder / "gate"
        first = pathlib.Path(f"{gate}-first")
        for path in (gate, first):
            self.addCleanup(path.touch)
        path = f"{STUDIES}/away"
        self.submit({"name": "away", "objective": {"metric": "loss", "goal": "minimize"},
                     "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
                     "algorithm": {"name": "random"}, "limits": {"trials": 5, "parallel": 2},
                     "trial": {"command": [sys.executable, "-c", COMMAND, str(gate)],
                               "infrastructure_retries": 0, **self.trial}})
        wait_for(lambda: sum(bool(row["steps"]) for row in all_trials(self.daemon, "away")) == 2,
                 "two trials measure")
        self.road.close()
        wait_for(lambda: "loading it afresh" in self.daemon.tail(), "a change is given up")
        self.assertEqual(self.refused("POST", path + "/trials/2/stop").status, 503)
        self.assertEqual(self.refused("POST", STUDIES, base.ask_tell_study("other")).status, 503)
        first.touch()  # this one ends while nobody can write it down
        wait_for(pathlib.Path(f"{gate}-steps-1").exists, "the end of the first command")
        self.assertFalse(pathlib.Path(f"{gate}-steps-2").exists())
        self.still_away()
        self.road.reopen()
        wait_for(lambda: self.call("GET", path + "/trials/1")["state"] == "succeeded",
                 "the first trial's end is known")
        gate.touch()
        found = wait_final(self.daemon, "away")
        self.assertEqual((found["state"], found["trials"]["succeeded"]), ("succeeded", 5), found)
        for row in all_trials(self.daemon, "away"):
            self.assertEqual([a["state"] for a in row["attempts"]], ["exited"], row)
        for number in (1, 2):
            steps = int(pathlib.Path(f"{gate}-steps-{number}").read_text())
            told = self.call("GET", f"{path}/trials/{number}/measurements?page_size=1000")
            self.assertEqual([point["step"] for point in told["measurements"]],
                             list(range(1, steps + 1)))
        self.assertIsNone(self.daemon.process.poll())
        self.submit(base.ask_tell_study("other"))
        self.assertEqual(len(self.call("POST", f"{STUDIES}/other/suggestions",
                                       {"count": 1})["trials"]), 1)


class AwayFromPodsTest(AwayTest):
    """Pods are all that tells of their end: they stay until it is written down."""

    trial = {"kubernetes": {"image": "user/image"}}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        double = Double()
        double.__enter__()
        self.addCleanup(double.__exit__, None, None, None)
        self.cluster = Cluster(double, pathlib.Path(folder.name) / "cluster",
                               {"node-1": {"cpu": "64", "memory": "256Gi", "pods": "100"}})
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        config = double.write_kubeconfig(pathlib.Path(folder.name) / "kubeconfig", None)
        self.more_options = ("--kubeconfig", str(config), "--kube-qps", "2000")
        super().setUp()

    def still_away(self):
        """Longer than pods are kept when all is well."""
        wait_for(lambda: "Succeeded" in [pod["status"].get("phase") for pod in self.cluster.pods()],
                 "a pod has ended")
        time.sleep(7)

    def test_longer_than_changes_wait(self):
        super().test_longer_than_changes_wait()
        wait_for(lambda: not self.cluster.pods(), "no pod is left")


if __name__ == "__main__":
    import unittest

    unittest.main(verbosity=2)
