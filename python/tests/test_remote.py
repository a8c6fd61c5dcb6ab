"""assay.remote: the space on the server's side, and the conversation without a daemon."""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import unittest
from typing import Any, Dict, List, Optional, Sequence, Tuple

from assay import remote

PARAMETERS: List[Dict[str, Any]] = [
    {"name": "tilt", "type": "double", "min": 0, "max": 1, "when": {"kind": ["tilted"]}},
    {"name": "rate", "type": "double", "min": 1e-5, "max": 1, "scale": "log"},
    {"name": "late", "type": "double", "min": 0.1, "max": 0.999, "scale": "reverse_log"},
    {"name": "drop", "type": "double", "min": 0, "max": 0.6, "step": 0.1},
    {"name": "units", "type": "int", "min": -5, "max": 5, "step": 4},
    {"name": "batch", "type": "discrete", "values": [16, 32, 64]},
    {"name": "kind", "type": "categorical", "values": ["plain", "tilted"]},
    {"name": "flag", "type": "bool", "when": {"tilt": {"min": 0.5}}},
]
SPEC: Dict[str, Any] = {"name": "s", "seed": 5, "parameters": PARAMETERS,
                        "objectives": [{"metric": "loss", "goal": "minimize"}]}


class StudyTest(unittest.TestCase):
    def check(self, point: Dict[str, Any]) -> None:
        self.assertEqual("tilt" in point, point["kind"] == "tilted")
        self.assertEqual("flag" in point, point.get("tilt", 0) >= 0.5)
        self.assertTrue(1e-5 <= point["rate"] <= 1 and 0.1 <= point["late"] <= 0.999)
        self.assertTrue(0 <= point["drop"] <= 0.6)
        self.assertAlmostEqual(point["drop"] * 10, round(point["drop"] * 10))
        self.assertIn(point["units"], (-5, -1, 3))
        self.assertIn(point["batch"], (16, 32, 64))

    def test_points_are_in_the_space(self) -> None:
        study, seen = remote.Study(SPEC), []
        for seed in range(300):
            rng = random.Random(seed)
            point = study.sample(rng)
            self.check(point)
            near = study.near(point, 0.1, rng)
            self.check(near)
            seen.append((point["units"], point["drop"] == 0.6))
        self.assertEqual({units for units, _ in seen}, {-5, -1, 3})
        self.assertIn(True, {last for _, last in seen})

    def test_random_numbers_hang_on_seed_and_trial(self) -> None:
        study = remote.Study(SPEC)
        study.numbers = [7, 8]
        first = [study.random(k).random() for k in (0, 1, 0)]
        self.assertEqual(first[0], first[2])
        self.assertNotEqual(first[0], first[1])
        study.numbers = [8]
        self.assertEqual(study.random(0).random(), first[1])

    def test_the_best_trial(self) -> None:
        trials = [remote.Trial({"number": n, "state": state, "parameters": {}, "values": values})
                  for n, state, values in [(1, "succeeded", [3]), (2, "failed", None),
                                           (3, "stopped", [1.5]), (4, "succeeded", ["nan"]),
                                           (5, "running", [0]), (6, "succeeded", ["-inf"])]]
        best = remote.Study(SPEC).best(trials)
        self.assertEqual(best.number if best else None, 3)
        most = remote.Study(dict(SPEC, objectives=[{"goal": "maximize"}])).best(trials)
        self.assertEqual(most.number if most else None, 1)
        self.assertIsNone(remote.Study(SPEC).best([]))


class Counting:
    """Proposes how many trials it knows, as a share."""

    def suggest(self, study: remote.Study, trials: Sequence[remote.Trial],
                n: int) -> List[Dict[str, Any]]:
        if study.options.get("broken"):
            raise ValueError("broken on demand")
        points = [{"x": len(trials) / 100} for _ in range(n)]
        return remote.Exhausted(points[:1]) if len(trials) >= 2 else points


class ServerTest(unittest.TestCase):
    token: Optional[str] = None

    def setUp(self) -> None:
        self.server = remote.Server(Counting, ("127.0.0.1", 0), self.token)
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def post(self, message: Any, headers: Optional[Dict[str, str]] = None,
             raw: Optional[bytes] = None) -> Tuple[int, Dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1])
        body = json.dumps(message).encode() if raw is None else raw
        connection.request("POST", "/", body, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        data = json.loads(answer.read())
        connection.close()
        return answer.status, data

    def open(self, study: str = "a", **options: Any) -> None:
        self.assertEqual(self.post({"op": "open", "study": study,
                                    "spec": dict(SPEC, options=options)}), (200, {}))


class ConversationTest(ServerTest):
    def test_open_tell_ask_close(self) -> None:
        self.open()
        self.assertEqual(self.post({"op": "ask", "study": "a", "numbers": [1, 2]}), (200, {
            "trials": [{"number": 1, "parameters": {"x": 0.0}},
                       {"number": 2, "parameters": {"x": 0.0}}], "exhausted": False}))
        told = {"op": "tell", "study": "a", "trials": [
            {"number": 2, "state": "succeeded", "parameters": {"x": 0}, "values": [1]},
            {"number": 1, "state": "running", "parameters": {"x": 0}}]}
        self.assertEqual(self.post(told), (200, {}))
        self.assertEqual(self.post(told), (200, {}))  # again is nothing new
        status, answer = self.post({"op": "ask", "study": "a", "numbers": [3, 4]})
        self.assertEqual(answer, {"trials": [{"number": 3, "parameters": {"x": 0.02}}],
                                  "exhausted": True})
        self.open()  # from the start
        self.assertEqual(self.post({"op": "ask", "study": "a", "numbers": [9]})[1]["trials"][0],
                         {"number": 9, "parameters": {"x": 0.0}})
        self.assertEqual(self.post({"op": "close", "study": "a"}), (200, {}))
        self.assertEqual(self.post({"op": "close", "study": "a"}), (200, {}))

    def test_studies_it_does_not_know(self) -> None:
        for op in ("ask", "tell"):
            status, answer = self.post({"op": op, "study": "b", "numbers": [1], "trials": []})
            self.assertEqual((status, answer["code"]), (404, "unknown_study"))

    def test_those_not_spoken_of_are_forgotten(self) -> None:
        limit, remote.STUDIES_MAX = remote.STUDIES_MAX, 3
        self.addCleanup(setattr, remote, "STUDIES_MAX", limit)
        for study in "abc":
            self.open(study)
        self.post({"op": "ask", "study": "a", "numbers": [1]})
        self.open("d")
        known = [study for study in "abcd"
                 if self.post({"op": "ask", "study": study, "numbers": [1]})[0] == 200]
        self.assertEqual(known, ["a", "c", "d"])

    def test_faults(self) -> None:
        self.open(broken=True)
        stderr, sys.stderr = sys.stderr, open("/dev/null", "w")
        try:
            status, answer = self.post({"op": "ask", "study": "a", "numbers": [1]})
        finally:
            sys.stderr.close()
            sys.stderr = stderr
        self.assertEqual((status, answer["code"]), (500, "algorithm_failed"))
        self.assertEqual(answer["message"], "ValueError: broken on demand")
        self.assertEqual(self.post({"op": "dance", "study": "a"})[0], 400)
        self.assertEqual(self.post([1])[0], 400)
        self.assertEqual(self.post(None, raw=b"{")[0], 400)
        self.assertEqual(self.post({}, {"Content-Type": "text/plain"})[0], 415)


class TokenTest(ServerTest):
    token = "s3cret"

    def test_only_with_the_token(self) -> None:
        message = {"op": "close", "study": "a"}
        self.assertEqual(self.post(message)[0], 401)
        self.assertEqual(self.post(message, {"Authorization": "Bearer other"})[0], 401)
        self.assertEqual(self.post(message, {"Authorization": "Bearer s3cret"})[0], 200)


if __name__ == "__main__":
    unittest.main()
