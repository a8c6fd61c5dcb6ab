"""The client against a real server: the one that ASSAY_URL and ASSAY_TOKEN name."""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest
import uuid
from typing import Any, Dict, List

import assay

PACKAGE = str(pathlib.Path(__file__).resolve().parents[1])
SPACE = [
    {"name": "x", "type": "double", "min": -5, "max": 5},
    {"name": "n", "type": "int", "min": 1, "max": 64, "scale": "log"},
    {"name": "kind", "type": "categorical", "values": ["a", "b"]},
    {"name": "tilt", "type": "double", "min": 0, "max": 1, "when": {"kind": ["b"]}},
]


def loss_of(parameters: Dict[str, Any]) -> float:
    return float((parameters["x"] - 1) ** 2 + parameters.get("tilt", 0.1))


@unittest.skipUnless(os.environ.get("ASSAY_URL") and os.environ.get("ASSAY_TOKEN"),
                     "needs a server: set ASSAY_URL and ASSAY_TOKEN")
class ContractTest(unittest.TestCase):
    def setUp(self) -> None:
        self.client = assay.Client(retry_for=60)
        self.addCleanup(self.client.close)

    def submit(self, **more: Any) -> assay.Study:
        spec: Dict[str, Any] = {
            "name": f"contract-{uuid.uuid4().hex[:12]}",
            "objective": {"metric": "loss", "goal": "minimize"}, "parameters": SPACE,
            "algorithm": {"name": "random"}, "limits": {"trials": 10, "parallel": 4}, "seed": 7}
        study = self.client.submit({**spec, **more})
        self.addCleanup(self.forget, study)
        return study

    @staticmethod
    def forget(study: assay.Study) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                study.delete(force=True)
            except assay.NotFoundError:
                pass
            except assay.ConflictError:  # it has ended, its last processes end yet
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
                continue
            return

    def trial(self, code: str) -> Dict[str, Any]:
        return {"command": [sys.executable, "-c", code],
                "environment": {"PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1"},
                "code": {"directory": PACKAGE}, "metrics": {"from": "stdout"}, "timeout": "10m"}

    # ---- studies whose trials the server runs ----

    def test_submit_and_wait(self) -> None:
        study = self.submit(limits={"trials": 4, "parallel": 2}, trial=self.trial(
            "import assay; p = assay.parameters()\n"
            "print('loss', (p['x'] - 1) ** 2 + p.get('tilt', 0.1), sep='=')"))
        seen: List[str] = []
        study.wait(timeout=180, progress=lambda one: seen.append(one.state))
        self.assertEqual((study.state, study.reason), ("succeeded", "trials_done"), study.raw)
        self.assertEqual(seen[-1], "succeeded")
        self.assertEqual((study.counts["succeeded"], study.counts["total"]), (4, 4))
        trials = list(study.trials(sort="number", page_size=3))
        self.assertEqual(len({one.number for one in trials}), 4)
        for one in trials:
            self.assertAlmostEqual(one.metrics["loss"], loss_of(one.parameters))
            self.assertEqual("tilt" in one.parameters, one.parameters["kind"] == "b")
        best = study.best()
        assert best is not None
        self.assertEqual(best.value, min(one.metrics["loss"] for one in trials))
        self.assertIn("loss=", study.trial(best.number).logs())
        with self.assertRaises(assay.StudyFinishedError):
            study.cancel()

    def test_report_and_should_stop_from_inside(self) -> None:
        study = self.submit(limits={"trials": 1, "parallel": 1}, trial=self.trial(
            "import assay, time\n"
            "step = 0\n"
            "while not assay.should_stop() and step < 20000:\n"
            "    step += 1; assay.report(step=step, loss=1 / step); time.sleep(0.02)\n"))
        deadline = time.monotonic() + 120
        trials: List[assay.TrialRecord] = []
        while time.monotonic() < deadline and not (trials and trials[0].raw.get("steps")):
            time.sleep(0.1)
            trials = list(study.trials())
        self.assertTrue(trials and trials[0].raw.get("steps"), trials)
        trial = study.trial(trials[0].number)
        trial.stop()
        study.wait(timeout=180)
        record = trial.record()
        self.assertEqual((record.state, record.reason), ("stopped", "stopped_by_user"))
        measured = list(trial.measurements("loss"))
        self.assertGreater(len(measured), 0)
        for one in measured:
            self.assertAlmostEqual(one.metrics["loss"], 1 / one.step)

    def test_submit_a_yaml_file(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            pathlib.Path(directory, "code").mkdir()
            pathlib.Path(directory, "code", "job.py").write_text("print('loss=0.5')\n")
            path = pathlib.Path(directory, "study.yaml")
            path.write_text(
                "objective: {metric: loss, goal: minimize}\n"
                "parameters: [{name: x, type: double, min: 1.0e-3, max: 1, scale: log}]\n"
                "algorithm: {name: random}\n"
                "limits: {trials: 2, parallel: 1}\n"
                "trial:\n"
                f"  command: [{sys.executable}, job.py]\n"
                "  code: {directory: code}\n")
            study = self.client.submit(path, name=f"contract-{uuid.uuid4().hex[:12]}")
            self.addCleanup(self.forget, study)
            study.wait(timeout=180)
            self.assertEqual((study.state, study.counts["succeeded"]), ("succeeded", 2), study.raw)

    # ---- studies whose trials we run ----

    def test_ask_and_tell(self) -> None:
        study = self.submit(limits={"trials": 4, "parallel": 4})
        first, second, third, fourth = study.ask(4)
        self.assertEqual(len({one.number for one in (first, second, third, fourth)}), 4)
        self.assertFalse(first.report(step=1, loss=3.0))
        self.assertFalse(first.report(step=2, loss=2.0, other=float("inf")))
        self.assertEqual(first.complete().metrics["loss"], 2.0)
        self.assertEqual(second.complete(loss=1.0).state, "succeeded")
        self.assertEqual(second.complete(loss=1.0).state, "succeeded")
        with self.assertRaises(assay.TrialFinishedError):
            second.fail("after all")
        record = third.fail("no luck")
        self.assertEqual((record.state, record.message), ("failed", "no luck"))
        self.assertEqual(fourth.infeasible("too large").state, "infeasible")
        best = study.wait(timeout=120).best()
        assert best is not None
        self.assertEqual((best.number, best.value), (second.number, 1.0))
        asked = study.ask()
        self.assertEqual((list(asked), asked.finished), ([], True))

    def test_the_same_client_gets_its_trials_back(self) -> None:
        study = self.submit()
        first = study.ask(2, client="worker-1")
        again = study.ask(2, client="worker-1")
        other = study.ask(1, client="worker-2")
        self.assertEqual([one.number for one in first], [one.number for one in again])
        self.assertEqual(first[0].parameters, again[0].parameters)
        self.assertNotIn(other[0].number, [one.number for one in first])

    def test_non_finite_values(self) -> None:
        study = self.submit()
        one, two = study.ask(2)
        one.report(step=1, loss=float("nan"), grad=float("-inf"))
        one.report(step=2, loss=0.5)
        measured = list(one.measurements())
        self.assertEqual([each.step for each in measured], [1, 2])
        self.assertNotEqual(measured[0].metrics["loss"], measured[0].metrics["loss"])
        self.assertEqual(measured[0].metrics["grad"], float("-inf"))
        self.assertEqual(two.complete(loss=float("nan")).reason, "non_finite_objective")
        one.complete()
        best = study.best()
        assert best is not None
        self.assertEqual(best.number, one.number)

    def test_optimize(self) -> None:
        study = self.submit(limits={"trials": 12, "parallel": 3}, algorithm={"name": "random"})

        def function(trial: assay.Trial) -> float:
            if trial.parameters["kind"] == "b" and trial.parameters["tilt"] > 0.9:
                raise assay.Infeasible("too steep")
            return loss_of(trial.parameters)

        best = study.optimize(function, workers=3)
        assert best is not None
        self.assertAlmostEqual(best.value, loss_of(best.parameters))
        self.assertEqual(study.wait(timeout=120).counts["total"], 12)

    def test_what_the_trials_say(self) -> None:
        study = self.submit(algorithm={"name": "random"}, limits={"trials": 30})
        early = study.advice()
        self.assertEqual((early.advice, early.best, early.expected_best_after),
                         ("too_early", None, []))
        nothing = study.importance()
        self.assertEqual((nothing.parameters, nothing.interactions, nothing.trials), ({}, {}, 0))
        self.assertIn("At least", nothing.message or "")
        best = study.optimize(lambda trial: loss_of(trial.parameters))
        assert best is not None
        for method in (None, "fanova"):
            found = study.importance(method)
            self.assertEqual((found.method, found.metric), (method or "ped_anova", "loss"))
            self.assertAlmostEqual(sum(found.parameters.values()), 1)
            self.assertEqual(set(found.parameters), {"x", "n", "kind", "tilt"})
        pairs = study.importance(interactions=True, metric="loss").interactions
        self.assertEqual(len(pairs), 6)
        self.assertIn(("x", "n"), pairs)
        with self.assertRaises(assay.InvalidValueError):
            study.importance("ped_anova", interactions=True)
        advice = study.advice()
        self.assertIn(advice.advice, ("go_on", "consider_stopping"))
        self.assertEqual((advice.best, advice.trials), (best.value, 30))
        assert advice.expected_improvement is not None
        self.assertGreaterEqual(advice.expected_improvement, 0)
        self.assertEqual([one.trials for one in advice.expected_best_after], [10, 20, 50])
        self.assertEqual([one.number for one in study.pareto()], [best.number])

    def test_points_of_our_own(self) -> None:
        study = self.submit()
        numbers = study.add([
            {"parameters": {"x": 1, "n": 2, "kind": "a"}},
            {"parameters": {"x": 2, "n": 2, "kind": "a"}, "state": "succeeded",
             "metrics": {"loss": 1.1}}])
        self.assertEqual(len(set(numbers)), 2)
        self.assertEqual(study.trial(numbers[1]).record().value, 1.1)
        asked = study.ask()[0]
        self.assertEqual(asked.number, numbers[0])
        self.assertEqual(asked.parameters, {"x": 1, "n": 2, "kind": "a"})

    def test_eight_threads_get_different_trials(self) -> None:
        study = self.submit(limits={"trials": 80, "parallel": 64})
        numbers: List[int] = []
        lock = threading.Lock()

        def work() -> None:
            while True:
                asked = study.ask(2)
                if not asked:
                    return
                for trial in asked:
                    trial.report(step=1, loss=loss_of(trial.parameters))
                    trial.complete()
                with lock:
                    numbers.extend(trial.number for trial in asked)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        self.assertEqual(len(numbers), 80)
        self.assertEqual(len(set(numbers)), 80)
        self.assertEqual(study.wait(timeout=120).counts["succeeded"], 80)

    # ---- steering and refusals ----

    def test_pause_resume_update_cancel_delete(self) -> None:
        study = self.submit()
        self.assertEqual(study.pause().state, "paused")
        self.assertEqual(study.pause().state, "paused")
        asked = study.ask()
        self.assertEqual((list(asked), asked.study_state), ([], "paused"))
        self.assertEqual(study.resume().state, "running")
        self.assertEqual(study.update(limits={"trials": 3}).spec["limits"]["trials"], 3)
        with self.assertRaises(assay.ConflictError):
            study.delete()
        study.cancel()
        self.assertEqual(study.wait(timeout=120).state, "cancelled")
        self.assertIn(study.name, [one.name for one in self.client.studies(prefix="contract-")])
        study.delete()
        with self.assertRaises(assay.NotFoundError):
            study.refresh()

    def test_faults_have_pointers(self) -> None:
        with self.assertRaises(assay.InvalidStudyError) as caught:
            self.submit(parameters=[{"name": "x", "type": "double", "min": 3, "max": 1},
                                    {"name": "y", "type": "int", "min": 0, "max": 9,
                                     "scale": "log"}], colour="blue")
        pointers = {fault.pointer for fault in caught.exception.errors}
        self.assertIn("/colour", pointers)
        self.assertTrue(any(one.startswith("/parameters/0") for one in pointers), pointers)
        self.assertTrue(any(one.startswith("/parameters/1") for one in pointers), pointers)
        self.assertIn("/colour", str(caught.exception))

    def test_wrong_values_and_names(self) -> None:
        study = self.submit()
        with self.assertRaises(assay.StudyExistsError):
            self.client.submit(study.spec)
        with self.assertRaises(assay.NotFoundError):
            self.client.study("no-such-study")
        with self.assertRaises(assay.NotFoundError):
            study.trial(4711)
        with self.assertRaises(assay.InvalidValueError) as caught:
            study.add([{"parameters": {"x": 99, "n": 1, "kind": "a"}}])
        self.assertTrue(caught.exception.errors[0].pointer.endswith("/parameters/x"),
                        caught.exception)
        with self.assertRaises(assay.InvalidValueError):
            study.ask()[0].complete()  # no value of the objective was ever told
        with assay.Client(self.client.url, token="wrong", retry_for=0) as stranger:
            with self.assertRaises(assay.UnauthorizedError):
                stranger.whoami()

    def test_validate(self) -> None:
        spec = self.client.validate({"objective": {"metric": "loss", "goal": "minimize"},
                                     "parameters": SPACE, "limits": {"trials": 3}})
        self.assertEqual(spec["limits"]["trials"], 3)
        self.assertIn("random", [one["name"] for one in self.client.algorithms()])


if __name__ == "__main__":
    unittest.main()
