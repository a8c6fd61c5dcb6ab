"""Client, Study and Trial against a scripted server; values; where the server is found."""

from __future__ import annotations

import math
import os
import pathlib
import tempfile
import unittest
from typing import Any, Dict, List
from unittest import mock

import assay
from assay._values import decode_metrics, decode_number, encode_metrics, encode_number, to_json
from assay.trial import _heartbeat_interval

from .fake_server import FakeServer, Reply, Request, problem

STUDY: Dict[str, Any] = {
    "name": "s", "project": "default", "state": "running", "reason": None, "message": None,
    "objectives": [{"metric": "loss", "goal": "minimize", "target": None}],
    "trials": {"total": 0}, "best": None, "spec": {"name": "s"}}


class ValuesTest(unittest.TestCase):
    def test_non_finite_numbers_travel_as_strings(self) -> None:
        self.assertEqual(encode_metrics({"a": math.nan}, {"b": math.inf, "c": -math.inf, "d": 1}),
                         {"a": "nan", "b": "inf", "c": "-inf", "d": 1.0})
        for text in ("nan", "NaN"):
            self.assertTrue(math.isnan(decode_number(text) or 0))
        for text in ("inf", "Infinity", "INF"):
            self.assertEqual(decode_number(text), math.inf)
        self.assertEqual(decode_number("-inf"), -math.inf)
        self.assertEqual(decode_metrics({"x": 1, "y": None, "z": "-Infinity"}),
                         {"x": 1.0, "z": -math.inf})

    def test_only_numbers_are_metrics(self) -> None:
        class Scalar:
            def __float__(self) -> float:
                return 0.5

        self.assertEqual(encode_number(Scalar()), 0.5)
        self.assertEqual(encode_number(True), 1.0)
        bad: Any = "high"
        with self.assertRaisesRegex(TypeError, "metric 'loss' must be a number, not 'high'"):
            encode_metrics(None, {"loss": bad})

    def test_foreign_scalars_become_json(self) -> None:
        class Scalar:
            def tolist(self) -> int:
                return 7

        self.assertEqual(to_json({"n": Scalar(), "p": pathlib.Path("/x")}), b'{"n":7,"p":"/x"}')
        with self.assertRaises(TypeError):
            to_json({"x": object()})
        with self.assertRaises(ValueError):
            to_json({"x": math.nan})


class FindingTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = pathlib.Path(directory.name)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ASSAY_")}
        clean["XDG_DATA_HOME"] = str(self.home)
        patch = mock.patch.dict(os.environ, clean, clear=True)
        patch.start()
        self.addCleanup(patch.stop)

    def data(self, name: str, url: str) -> pathlib.Path:
        path = self.home / name
        path.mkdir()
        (path / "url").write_text(url + "\n")
        (path / "token").write_text(f"token-of-{name}\n")
        return path

    def found(self, **arguments: Any) -> List[Any]:
        client = assay.Client(**arguments)
        return [client.url, client._transport._token]

    def test_the_ways_in_their_order(self) -> None:
        with self.assertRaisesRegex(assay.ConnectionFailedError, "start assayd"):
            assay.Client()
        self.data("assay", "http://127.0.0.1:1")
        self.assertEqual(self.found(), ["http://127.0.0.1:1", "token-of-assay"])
        os.environ["ASSAY_DATA"] = str(self.data("other", "http://127.0.0.1:2"))
        self.assertEqual(self.found(), ["http://127.0.0.1:2", "token-of-other"])
        os.environ.update(ASSAY_URL="http://127.0.0.1:3", ASSAY_TOKEN="t3")
        self.assertEqual(self.found(), ["http://127.0.0.1:3", "t3"])
        self.assertEqual(self.found(data=self.home / "assay"),
                         ["http://127.0.0.1:1", "token-of-assay"])
        self.assertEqual(self.found(url="http://127.0.0.1:4", token="t4"),
                         ["http://127.0.0.1:4", "t4"])

    def test_a_token_is_not_shown_to_another_server(self) -> None:
        self.data("assay", "http://127.0.0.1:1")
        os.environ.update(ASSAY_URL="http://127.0.0.1:3", ASSAY_TOKEN="t3")
        self.assertEqual(self.found(url="http://127.0.0.1:9"), ["http://127.0.0.1:9", None])
        self.assertEqual(self.found(url="http://127.0.0.1:1"),
                         ["http://127.0.0.1:1", "token-of-assay"])


class ClientTest(unittest.TestCase):
    def client(self, server: FakeServer) -> assay.Client:
        client = assay.Client(server.url, token="t", retry_for=0)
        self.addCleanup(client.close)
        return client

    def test_submits_a_dictionary(self) -> None:
        with FakeServer(Reply(STUDY, 201)) as server:
            study = self.client(server).submit({"objective": {"metric": "loss"}}, name="s")
            request = server.requests[0]
        self.assertEqual((request.method, request.path),
                         ("POST", "/v1/projects/default/studies"))
        self.assertEqual(request.json(), {"objective": {"metric": "loss"}, "name": "s"})
        self.assertEqual((study.name, study.state), ("s", "running"))

    def test_submits_a_file_with_its_directory(self) -> None:
        spec = {"name": "s", "trial": {"command": ["x"], "code": {"directory": "../.."}}}
        with tempfile.TemporaryDirectory() as name, \
                FakeServer(Reply({"valid": True, "spec": spec}), Reply(STUDY, 201)) as server:
            path = pathlib.Path(name).resolve() / "a" / "b" / "study.yaml"
            path.parent.mkdir(parents=True)
            path.write_text("name: s\n")
            self.client(server).submit(path)
            check, submission = server.requests
            self.assertEqual(check.path, "/v1/projects/default/studies?dry_run=true")
            self.assertEqual(check.headers["content-type"], "application/yaml")
            self.assertEqual(check.body, b"name: s\n")
            self.assertEqual(submission.json()["trial"]["code"]["directory"],
                             str(path.parents[2]))

    def test_submits_a_file_whose_code_is_at_a_relative_place(self) -> None:
        def serve(request: Request) -> Reply:
            if request.headers["content-type"] == "application/json":
                return Reply(STUDY, 201)
            lines = request.body.decode().splitlines()
            given = lines[3].partition("directory: ")[2].strip(" }").strip("\"'")
            if not given.startswith("/"):
                return problem("invalid_study", 422, "one fault", [
                    {"pointer": "/trial/code/directory", "line": 4, "found": given,
                     "message": "directory must be absolute"}])
            return Reply({"valid": True, "spec": {"trial": {"code": {"directory": given}}}})

        for written in ("../..", "'../..'", '"../.."'):
            with tempfile.TemporaryDirectory() as name, FakeServer(serve) as server:
                path = pathlib.Path(name).resolve() / "a" / "b" / "study.yaml"
                path.parent.mkdir(parents=True)
                path.write_text("# directory: ../..\ntrial:\n  command: [../../x]\n"
                                f"  code: {{directory: {written}}}\n")
                self.client(server).submit(path)
                self.assertEqual(server.requests[2].json()["trial"]["code"]["directory"],
                                 str(path.parents[2]))
                self.assertEqual(server.requests[1].body.decode().splitlines()[:3],
                                 path.read_text().splitlines()[:3])

    def test_submits_a_json_file(self) -> None:
        with tempfile.TemporaryDirectory() as name, FakeServer(Reply(STUDY, 201)) as server:
            path = pathlib.Path(name).resolve() / "study.json"
            path.write_text('{"trial": {"command": ["x"], "code": {"directory": "src"}}}')
            self.client(server).submit(path)
            self.assertEqual(server.requests[0].json()["trial"]["code"]["directory"],
                             str(path.parent / "src"))
            path.write_text('{"trial": ')
            with self.assertRaisesRegex(assay.InvalidJsonError, "study.json: Expecting value"):
                self.client(server).submit(path)
            path.write_text("[]")
            with self.assertRaisesRegex(assay.InvalidStudyError, "is an object"):
                self.client(server).submit(path)

    def test_code_directory_of_other_studies(self) -> None:
        for code, expected in ((None, {"directory": os.getcwd()}),
                               ({"directory": "/abs"}, {"directory": "/abs"}),
                               ({"git": "https://x/y"}, {"git": "https://x/y"})):
            trial: Dict[str, Any] = {"command": ["x"], **({"code": code} if code else {})}
            with FakeServer(Reply(STUDY, 201)) as server:
                self.client(server).submit({"trial": trial})
                self.assertEqual(server.requests[0].json()["trial"]["code"], expected)
        with FakeServer(Reply(STUDY, 201)) as server:
            self.client(server).submit({"trial": {"kubernetes": {"image": "i"}}})
            self.assertEqual(server.requests[0].json(), {"trial": {"kubernetes": {"image": "i"}}})

    def test_names_are_quoted(self) -> None:
        with FakeServer(problem("not_found", 404, "there is no study 'a/b'")) as server:
            with self.assertRaises(assay.NotFoundError):
                self.client(server).study("a/b")
            self.assertEqual(server.requests[0].path, "/v1/projects/default/studies/a%2Fb")

    def test_trials_come_page_by_page(self) -> None:
        def page(request: Request) -> Reply:
            first = "page_token" not in request.path
            numbers = (1, 2) if first else (3,)
            return Reply({"trials": [{"number": n, "state": "succeeded", "value": "nan",
                                      "metrics": {"loss": 0.5}} for n in numbers],
                          "next_page_token": "a b" if first else None})

        with FakeServer(Reply(STUDY), page) as server:
            study = self.client(server).study("s")
            records = list(study.trials(state=["succeeded", "stopped"], sort="-value"))
            self.assertEqual([one.number for one in records], [1, 2, 3])
            self.assertTrue(math.isnan(records[0].value or 0))
            self.assertEqual(records[0].metrics, {"loss": 0.5})
            self.assertTrue(records[0].finished)
            self.assertEqual(len(server.requests), 3)
            self.assertIn("state=succeeded%2Cstopped&sort=-value&page_size=500",
                          server.requests[1].path)
            self.assertIn("page_token=a+b", server.requests[2].path)

    def test_wait_uses_the_etag_and_reports_progress(self) -> None:
        done = {**STUDY, "state": "succeeded", "reason": "trials_done"}
        with FakeServer(Reply(STUDY), Reply(STUDY, headers={"ETag": '"1"'}), Reply(b"", 304),
                        Reply(done)) as server:
            seen: List[str] = []
            study = self.client(server).study("s").wait(
                timeout=600, progress=lambda one: seen.append(one.state))
            self.assertEqual(seen, ["running", "succeeded"])
            self.assertEqual(study.reason, "trials_done")
            self.assertEqual(server.requests[2].headers["if-none-match"], '"1"')
            self.assertIn("wait=30s", server.requests[2].path)

    def test_wait_has_a_time_limit(self) -> None:
        with FakeServer(Reply(STUDY)) as server:
            with self.assertRaisesRegex(assay.TimedOutError, "still running after 0.3 s"):
                self.client(server).study("s").wait(timeout=0.3)

    def test_best_and_verbs(self) -> None:
        best = {"number": 4, "value": 0.25, "metric": "loss", "goal": "minimize",
                "parameters": {"lr": 0.1}, "metrics": {"loss": 0.25, "gap": "inf"}}
        with FakeServer(Reply(STUDY), Reply({"best": None}), Reply({"best": best}),
                        Reply({**STUDY, "state": "paused"}), Reply({**STUDY}), Reply(STUDY),
                        Reply(b"", 204)) as server:
            study = self.client(server).study("s")
            self.assertIsNone(study.best())
            found = study.best()
            assert found is not None
            self.assertEqual((found.number, found.metrics["gap"]), (4, math.inf))
            self.assertEqual(study.pause().state, "paused")
            study.resume()
            study.update(limits={"trials": 9})
            study.delete(force=True)
            self.assertEqual([(one.method, one.path.rpartition("/studies/")[2])
                              for one in server.requests[3:]],
                             [("POST", "s/pause"), ("POST", "s/resume"), ("PATCH", "s"),
                              ("DELETE", "s?force=true")])

    def test_ask_and_tell(self) -> None:
        asked = {"trials": [{"number": 7, "parameters": {"lr": 0.1}, "budget": 3,
                             "lease_expires": "2026-01-02T03:04:05.123456Z"}],
                 "study_state": "running", "reason": None}
        empty = {"trials": [], "study_state": "paused", "reason": None, "retry_after_ms": 1500}
        with FakeServer(Reply(STUDY), Reply(asked), Reply(empty), Reply({"stop": False}),
                        Reply({"stop": True, "reason": "stopped_by_rule", "message": "median"}),
                        Reply({"stop": False}), problem("trial_finished", 409),
                        Reply({"number": 7, "state": "stopped"})) as server:
            study = self.client(server).study("s")
            trial = study.ask(2)[0]
            nothing = study.ask(client="w1")
            self.assertEqual((list(nothing), nothing.retry_after, nothing.finished),
                             ([], 1.5, False))
            self.assertEqual((trial.number, trial.parameters, trial.budget), (7, {"lr": 0.1}, 3))
            self.assertFalse(trial.report(step=1, loss=0.5))
            decision = trial.report(2, {"val-loss": math.nan})
            self.assertTrue(decision)
            self.assertEqual(decision.message, "median")
            trial.heartbeat()
            self.assertTrue(trial.should_stop)
            self.assertEqual(trial.complete(loss=0.5).state, "stopped")
            bodies = [one.json() for one in server.requests[1:7]]
        self.assertEqual(bodies[0]["count"], 2)
        self.assertRegex(bodies[0]["client"], r"^[a-z0-9][a-z0-9-]{0,62}$")
        self.assertEqual(bodies[1], {"count": 1, "client": "w1"})
        self.assertEqual(bodies[2], {"measurements": [{"step": 1, "metrics": {"loss": 0.5}}]})
        self.assertEqual(bodies[3]["measurements"][0]["metrics"], {"val-loss": "nan"})
        self.assertEqual(bodies[4], {"measurements": []})
        self.assertEqual(bodies[5], {"state": "succeeded", "metrics": {"loss": 0.5}})

    def test_two_asks_have_two_names(self) -> None:
        reply = Reply({"trials": [], "study_state": "running"})
        with FakeServer(Reply(STUDY), reply) as server:
            study = self.client(server).study("s")
            study.ask()
            study.ask()
            self.assertNotEqual(server.requests[1].json()["client"],
                                server.requests[2].json()["client"])

    def test_optimize_tells_every_kind_of_end(self) -> None:
        numbers = iter(range(1, 6))
        told: Dict[int, Any] = {}

        def serve(request: Request) -> Reply:
            tail = request.path.rpartition("/studies/s")[2]
            if tail == "/suggestions":
                number = next(numbers, None)
                if number is None:
                    return Reply({"trials": [], "study_state": "succeeded",
                                  "reason": "trials_done"})
                return Reply({"trials": [{"number": number, "parameters": {"x": number}}],
                              "study_state": "running"})
            if tail.endswith("/complete"):
                number = int(tail.split("/")[2])
                told[number] = request.json()
                return Reply({"number": number, "state": told[number]["state"]})
            return Reply({"best": None} if tail == "/best" else STUDY)

        def function(trial: assay.Trial) -> Any:
            x = trial.parameters["x"]
            if x == 3:
                raise assay.Infeasible("too large")
            if x == 4:
                raise ZeroDivisionError("by zero")
            return {1: 0.5, 2: {"loss": 1.0, "time": 2}, 5: None}[x]

        with FakeServer(serve) as server, self.assertLogs("assay", "WARNING"):
            self.client(server).study("s").optimize(function, workers=2)
        self.assertEqual(told, {
            1: {"state": "succeeded", "metrics": {"loss": 0.5}},
            2: {"state": "succeeded", "metrics": {"loss": 1.0, "time": 2.0}},
            3: {"state": "infeasible", "message": "too large"},
            4: {"state": "failed", "message": "ZeroDivisionError: by zero"},
            5: {"state": "succeeded"}})

    def test_optimize_stops_at_n_and_when_interrupted(self) -> None:
        told: List[Any] = []

        def serve(request: Request) -> Reply:
            if request.path.endswith("/suggestions"):
                return Reply({"trials": [{"number": len(told) + 1, "parameters": {}}],
                              "study_state": "running"})
            if request.path.endswith("/complete"):
                told.append(request.json()["state"])
                return Reply({"number": len(told), "state": told[-1]})
            return Reply({"best": None} if request.path.endswith("/best") else STUDY)

        def interrupted(trial: assay.Trial) -> float:
            raise KeyboardInterrupt

        with FakeServer(serve) as server:
            study = self.client(server).study("s")
            study.optimize(lambda trial: 1.0, n=3)
            self.assertEqual(told, ["succeeded"] * 3)
            with self.assertRaises(KeyboardInterrupt):
                study.optimize(interrupted, n=3)
            self.assertEqual(told[3:], ["failed"])

    def test_heartbeat_interval(self) -> None:
        self.assertEqual(_heartbeat_interval(None), 30.0)
        self.assertEqual(_heartbeat_interval("2020-01-01T00:00:00.123456Z"), 1.0)
        self.assertEqual(_heartbeat_interval("2999-01-01T00:00:00Z"), 30.0)


if __name__ == "__main__":
    unittest.main()
