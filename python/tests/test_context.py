"""What training code uses, in processes of its own: inside and outside of a trial."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Dict, Tuple

from .fake_server import FakeServer, Reply, problem
from .test_transport import refusing_port

PACKAGE = str(pathlib.Path(__file__).resolve().parents[1])


def start(code: str, directory: str, environment: Dict[str, str]) -> "subprocess.Popen[str]":
    clean = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    return subprocess.Popen([sys.executable, "-c", "import assay\n" + code], cwd=directory,
                            env={**clean, "PYTHONPATH": PACKAGE, **environment}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


class ContextTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name

    def run_code(self, code: str, **environment: str) -> Tuple[str, str]:
        process = start(code, self.directory, environment)
        output, complaints = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, complaints)
        return output, complaints

    def trial(self, url: str) -> Dict[str, str]:
        return {"ASSAY_URL": url, "ASSAY_TOKEN": "trial-token", "ASSAY_STUDY": "digits",
                "ASSAY_TRIAL": "12", "ASSAY_ATTEMPT": "1"}

    def test_outside_of_a_trial(self) -> None:
        output, _ = self.run_code("""
print(assay.in_trial(), assay.parameters(), assay.parameters({"lr": 0.1}), assay.budget(9))
print(bool(assay.report(step=3, loss=0.25, accuracy=float("nan"))), assay.should_stop())
print(assay.checkpoint_dir().is_dir(), assay.output_dir("out").is_dir())
""")
        self.assertEqual(output, "False {} {'lr': 0.1} 9\nstep=3 loss=0.25 accuracy=nan\n"
                                 "False False\nTrue True\n")
        self.assertEqual(sorted(os.listdir(self.directory)), ["checkpoints", "out"])

    def test_what_a_trial_is_given(self) -> None:
        code = "print(assay.parameters({'lr': 1, 'momentum': 0}), assay.budget(), " \
               "assay.checkpoint_dir())"
        where = os.path.join(self.directory, "deep", "checkpoint")
        given = {"ASSAY_TRIAL": "1", "ASSAY_BUDGET": "27", "ASSAY_CHECKPOINT_DIR": where}
        expected = f"{{'lr': 0.5, 'momentum': 0, 'opt': 'adam'}} 27 {where}\n"
        values = {"lr": 0.5, "opt": "adam"}
        self.assertEqual(self.run_code(code, ASSAY_PARAMETERS=json.dumps(values), **given)[0],
                         expected)
        file = pathlib.Path(self.directory, "parameters.json")
        file.write_text(json.dumps(values))
        self.assertEqual(self.run_code(code, ASSAY_PARAMETERS_FILE=str(file), **given)[0],
                         expected)
        self.assertEqual(self.run_code("print(assay.budget())", ASSAY_BUDGET="0.5")[0], "0.5\n")

    def test_reports_to_the_server(self) -> None:
        with FakeServer(Reply({"stop": False}),
                        Reply({"stop": True, "reason": "stopped_by_rule"})) as server:
            output, _ = self.run_code("""
print(bool(assay.report(step=1, loss=0.5)), assay.should_stop())
decision = assay.report(metrics={"val-loss": float("-inf")})
print(bool(decision), decision.reason, assay.should_stop())
""", **self.trial(server.url))
            self.assertEqual(output, "False False\nTrue stopped_by_rule True\n")
            first, second = server.requests
            self.assertEqual(first.path,
                             "/v1/projects/default/studies/digits/trials/12/measurements")
            self.assertEqual(first.headers["authorization"], "Bearer trial-token")
            self.assertEqual(first.json(),
                             {"measurements": [{"step": 1, "metrics": {"loss": 0.5}}]})
            self.assertEqual(second.json(), {"measurements": [{"metrics": {"val-loss": "-inf"}}]})

    def test_a_trial_that_ended_elsewhere_should_stop(self) -> None:
        with FakeServer(problem("trial_finished", 409, "trial 12 is cancelled")) as server:
            output, _ = self.run_code("print(assay.report(step=1, loss=1))",
                                      **self.trial(server.url))
        self.assertIn("stop=True", output)
        self.assertIn("trial 12 is cancelled", output)

    def test_values_wait_for_a_server_that_is_away(self) -> None:
        with FakeServer(problem("unavailable", 503), problem("unavailable", 503),
                        Reply({"stop": False})) as server:
            _, complaints = self.run_code("""
import assay.context
assay.context._RETRY_FOR_S = 0.0
assay.context._SILENCE_S = 0.0
for step in range(3):
    assay.report(step=step, loss=1.0)
""", **self.trial(server.url))
            steps = [[one["step"] for one in request.json()["measurements"]]
                     for request in server.requests]
        self.assertEqual(steps, [[0], [0, 1], [0, 1, 2]])
        self.assertEqual(complaints.count("reporting is delayed"), 1)

    def test_values_that_never_arrived_are_printed_at_the_end(self) -> None:
        output, complaints = self.run_code("""
import assay.context
assay.context._RETRY_FOR_S = 0.0
print("step", bool(assay.report(step=1, loss=2.0)), bool(assay.report(step=2, loss=1.5)))
""", **self.trial(f"http://127.0.0.1:{refusing_port(self)}"))
        self.assertEqual(output, "step False False\nstep=1 loss=2.0\nstep=2 loss=1.5\n")
        self.assertEqual(complaints.count("reporting is delayed"), 1)

    def test_sigterm_is_noticed(self) -> None:
        process = start("""
import time
assay.should_stop()
print("ready", flush=True)
while not assay.should_stop():
    time.sleep(0.01)
print("saved")
""", self.directory, {"ASSAY_TRIAL": "1"})
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        output, complaints = process.communicate(timeout=60)
        self.assertEqual((process.returncode, output), (0, "saved\n"), complaints)


if __name__ == "__main__":
    unittest.main()
