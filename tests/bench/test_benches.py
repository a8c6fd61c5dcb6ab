"""The benchmarks run, print what the contract names, and measure what users get."""

import json
import os
import pathlib
import struct
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "bench"))
import asktell  # noqa: E402
import lib  # noqa: E402

SPEC = {"objective": {"metric": "loss", "goal": "minimize"}, "seed": 11, "parameters": [
    {"name": "lr", "type": "double", "min": 1e-5, "max": 1.0, "scale": "log"},
    {"name": "layers", "type": "int", "min": 1, "max": 8},
    {"name": "optimizer", "type": "categorical", "values": ["sgd", "adam"]},
    {"name": "momentum", "type": "double", "min": 0, "max": 0.99, "when": {"optimizer": ["sgd"]}}]}


def loss(parameters, index=0):
    return {"loss": abs(parameters["lr"] - 0.01) + 0.1 * parameters["layers"]
            + parameters.get("momentum", 0.5)}


class Worker:
    """An assay-suggest without a daemon: one study, sequentially."""

    def __init__(self, spec):
        self.process = subprocess.Popen([str(BUILD / "bin" / "assay-suggest")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send({"op": "open", "study": 1, "spec": spec})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def send(self, message):
        text = json.dumps(message).encode()
        self.process.stdin.write(struct.pack("<I", len(text)) + text)
        self.process.stdin.flush()

    def ask(self, number):
        self.send({"op": "ask", "study": 1, "request": number, "numbers": [number]})
        size, = struct.unpack("<I", self.process.stdout.read(4))
        return json.loads(self.process.stdout.read(size))["trials"][0]["parameters"]

    def tell(self, number, parameters, value):
        self.send({"op": "tell", "study": 1, "trials": [
            {"number": number, "state": "succeeded", "parameters": parameters,
             "values": [value]}]})


class Honest(unittest.TestCase):
    def test_http_gives_what_the_algorithm_gives(self):
        """What the quality benchmark measures is the algorithm, not the road to it."""
        with lib.Assayd(BUILD) as daemon:
            client = lib.Client(daemon)
            for algorithm in ("random", "tpe", "cmaes", "bayesian", "auto"):
                spec = dict(SPEC, algorithm={"name": algorithm})
                with self.subTest(algorithm), asktell.Study(client, spec) as study, \
                        Worker(spec) as worker:
                    for one in asktell.play(study, loss, 30):
                        self.assertEqual(worker.ask(one.index), one.parameters)
                        worker.tell(one.index, one.parameters, one.metrics["loss"])
            client.close()

    def test_simulated_workers_are_the_same_each_time(self):
        with lib.Assayd(BUILD) as daemon:
            client = lib.Client(daemon)
            runs = []
            for _ in range(2):
                with asktell.Study(client, dict(SPEC, algorithm={"name": "tpe"})) as study:
                    runs.append([(one.index, one.parameters)
                                 for one in asktell.play(study, loss, 30, workers=4, seed=3)])
            client.close()
        self.assertEqual(runs[0], runs[1])
        self.assertEqual(sorted(index for index, _ in runs[0]), list(range(1, 31)))
        self.assertNotEqual([index for index, _ in runs[0]], list(range(1, 31)))


if __name__ == "__main__":
    unittest.main()
