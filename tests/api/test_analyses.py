"""Importance of parameters and advice whether to go on."""

import math
import random
import shutil
import subprocess
import threading
import time
import unittest

from service import ApiTest

PARAMETERS = [
    {"name": "much", "type": "double", "min": 0, "max": 1},
    {"name": "some", "type": "int", "min": 1, "max": 64, "scale": "log"},
    {"name": "nothing", "type": "categorical", "values": ["a", "b", "c"]},
    {"name": "child", "type": "double", "min": 0, "max": 1, "when": {"nothing": ["b"]}},
]


class Analyses(ApiTest):
    def study(self, n, value=None, **changes):
        """A study with n told trials; value(parameters) gives their metrics."""
        value = value or (lambda p: {"loss": 3 * p["much"] + math.log2(p["some"]) / 6})
        name = self.api.create(parameters=PARAMETERS, algorithm={"name": "random"}, **changes)
        draw = random.Random(7)
        trials = []
        for _ in range(n):
            point = {"much": draw.random(), "some": draw.randint(1, 64),
                     "nothing": draw.choice("abc")}
            if point["nothing"] == "b":
                point["child"] = draw.random()
            trials.append({"parameters": point, "state": "succeeded", "metrics": value(point)})
        for start in range(0, n, 1000):
            answer = self.api.post(self.api.path(name, "/trials"),
                                   {"trials": trials[start:start + 1000]})
            self.assertEqual(answer.status, 201, answer.json)
        return name

    def importance(self, name, query=""):
        answer = self.api.get(self.api.path(name, "/importance") + query)
        self.assertEqual(answer.status, 200, answer.json)
        return answer.json

    def test_both_methods(self):
        name = self.study(200)
        for query in ("", "?method=ped_anova", "?method=fanova", "?interactions=true"):
            answer = self.importance(name, query)
            self.assertEqual(answer["method"],
                             "fanova" if "fanova" in query or "inter" in query else "ped_anova")
            self.assertEqual((answer["metric"], answer["trials"], answer["message"]),
                             ("loss", 200, None))
            shares = [row["importance"] for row in answer["importance"]]
            self.assertAlmostEqual(sum(shares), 1)
            self.assertEqual(shares, sorted(shares, reverse=True))
            self.assertEqual(answer["importance"][0]["parameter"], "much")
            self.assertEqual({row["parameter"] for row in answer["importance"]},
                             {p["name"] for p in PARAMETERS})
            self.assertEqual(answer["interactions"] is None, "inter" not in query)
        self.assertEqual(len(answer["interactions"]), 6)
        self.assertGreater(answer["explained"], 0.7)

    def test_nothing_yet(self):
        name = self.study(3)
        for query in ("", "?method=fanova&interactions=true"):
            answer = self.importance(name, query)
            self.assertEqual(answer["importance"], [])
            self.assertIn("At least 10", answer["message"])
        constant = self.study(30, lambda p: {"loss": 1})
        self.assertIn("equally good", self.importance(constant)["message"])

    def test_metric_of_ones_own(self):
        name = self.study(100, lambda p: {"loss": p["much"], "seconds": -math.log(p["some"])})
        for method in ("ped_anova", "fanova"):
            answer = self.importance(name, f"?metric=seconds&method={method}")
            self.assertEqual((answer["metric"], answer["importance"][0]["parameter"]),
                             ("seconds", "some"))
        answer = self.importance(name, "?metric=unheard")
        self.assertEqual((answer["importance"], answer["trials"]), ([], 0))

    def test_maximized(self):
        name = self.study(200, lambda p: {"score": 1 - p["much"] ** 8},
                          objective={"metric": "score", "goal": "maximize"})
        self.assertEqual(self.importance(name)["importance"][0]["parameter"], "much")

    def test_several_objectives(self):
        name = self.study(200, lambda p: {"a": p["much"] + p["some"], "b": p["some"] - p["much"]},
                          objective=None, objectives=[{"metric": "a", "goal": "minimize"},
                                                      {"metric": "b", "goal": "minimize"}])
        answer = self.importance(name)
        self.assertEqual((answer["metric"], answer["importance"][0]["parameter"]), (None, "some"))
        self.assertEqual(self.importance(name, "?method=fanova")["metric"], "a")
        advice = self.api.get(self.api.path(name, "/advice")).json
        self.assertEqual((advice["metric"], advice["expected_improvement"]), (None, None))
        self.assertIn("Pareto front", advice["sentence"])

    def test_constraints(self):
        name = self.study(300, lambda p: {"loss": p["much"], "size": p["some"]},
                          constraints=[{"metric": "size", "max": 8}])
        shares = {row["parameter"]: row["importance"]
                  for row in self.importance(name)["importance"]}
        self.assertGreater(shares["some"], 0.2)

    def test_bad_questions(self):
        name = self.study(0)
        path = self.api.path(name, "/importance")
        self.refused(self.api.get(path + "?method=guess"), 400, "bad_request", "?method")
        self.refused(self.api.get(path + "?interactions=true&method=ped_anova"), 422,
                     "invalid_value", "?interactions")
        self.refused(self.api.get(self.api.path("nobody", "/importance")), 404, "not_found")
        self.refused(self.api.get(self.api.path("nobody", "/advice")), 404, "not_found")
        self.refused(self.api.get(self.api.path(name, "/advice?metric=x")), 400, "bad_request")

    def test_advice(self):
        name = self.study(5)
        advice = self.api.get(self.api.path(name, "/advice")).json
        self.assertEqual((advice["advice"], advice["trials"], advice["method"],
                          advice["expected_best_after"]), ("too_early", 5, None, None))
        self.assertIn("5 trials have", advice["sentence"])
        name = self.study(120)
        answer = self.api.get(self.api.path(name, "/advice"))
        advice = answer.json
        self.assertIn(advice["advice"], ("go_on", "consider_stopping"))
        self.assertEqual((advice["metric"], advice["trials"], advice["method"]),
                         ("loss", 120, "records"))
        ahead = advice["expected_best_after"]
        self.assertEqual([row["trials"] for row in ahead], [10, 20, 50])
        values = [advice["best"]] + [row["value"] for row in ahead]
        self.assertEqual(values, sorted(values, reverse=True))
        self.assertGreater(advice["expected_improvement"], 0)
        again = self.api.get(self.api.path(name, "/advice"),
                             headers={"If-None-Match": answer.headers["ETag"]})
        self.assertEqual(again.status, 304)

    def test_advice_upwards(self):
        name = self.study(60, lambda p: {"score": -p["much"]},
                          objective={"metric": "score", "goal": "maximize"})
        advice = self.api.get(self.api.path(name, "/advice")).json
        values = [advice["best"]] + [row["value"] for row in advice["expected_best_after"]]
        self.assertEqual(values, sorted(values))

    def test_new_trials_count(self):
        """At once, unless the answer before took long to work out, be it only that somebody
        else had the processor: then it is good for some seconds."""
        name = self.study(20)
        before = self.importance(name)
        self.assertEqual(before["trials"], 20)
        trial = self.api.ask(name)[0]
        self.api.tell(name, trial["number"], 0.5)
        deadline = time.monotonic() + 60
        while (after := self.importance(name)["trials"]) == 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(after, 21)
        self.assertEqual(self.importance(name), self.importance(name))

    def test_waits_for_a_change(self):
        name = self.study(20)
        path = self.api.path(name, "/importance")
        tag = self.api.get(path).headers["ETag"]
        trial = self.api.ask(name)[0]
        timer = threading.Timer(0.3, self.client().tell, (name, trial["number"], 0.5))
        timer.start()
        answer = self.api.get(path + "?wait=60s", headers={"If-None-Match": tag})
        timer.join()
        self.assertEqual((answer.status, answer.json["trials"]), (200, 21))

    def look_slowly(self, path):
        """An answer that took long enough to be given again for a while: its trials can not be
        read for a moment.  Not a matter of chance."""
        if shutil.which("psql") is None:
            self.skipTest("there is no psql")
        session = subprocess.Popen(
            ["psql", "-qAtX", "-h", str(self.daemon.data / "database" / "data"), "-U", "assay",
             "postgres"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        found = []

        def say(line):
            session.stdin.write(line + "\n")
            session.stdin.flush()
            return session.stdout.readline().strip()
        looker = threading.Thread(target=lambda client: found.append(client.get(path)),
                                  args=(self.client(),))
        with session:
            self.assertEqual(say("BEGIN; LOCK TABLE trial; SELECT 'held';"), "held")
            looker.start()
            deadline = time.monotonic() + 60
            while say("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = "
                      "'AccessShareLock' AND relation = 'trial'::regclass;") == "0":
                self.assertLess(time.monotonic(), deadline)
            time.sleep(0.06)
            session.stdin.close()
        looker.join()
        self.assertEqual(found[0].status, 200)
        return found[0].etag

    def test_waits_though_the_answer_is_kept(self):
        """Changed before the question, while it waits, and not at all."""
        name = self.study(20, limits={"trials": 2})
        path = self.api.path(name, "/importance")
        tag = self.look_slowly(path)
        numbers = [trial["number"] for trial in self.api.ask(name, 2)]
        self.api.tell(name, numbers[0], 0.5)
        start = time.monotonic()
        answer = self.api.get(path + "?wait=60s", headers={"If-None-Match": tag})
        self.assertEqual((answer.status, answer.json["trials"]), (200, 21))
        self.assertLess(time.monotonic() - start, 59)
        timer = threading.Timer(0.3, self.client().tell, (name, numbers[1], 0.5))
        timer.start()
        start = time.monotonic()
        answer = self.api.get(path + "?wait=60s", headers={"If-None-Match": answer.etag})
        timer.join()
        self.assertEqual((answer.status, answer.json["trials"]), (200, 22))
        self.assertLess(time.monotonic() - start, 59)
        start = time.monotonic()
        again = self.api.get(path + "?wait=300ms", headers={"If-None-Match": answer.etag})
        self.assertEqual(again.status, 304)
        self.assertGreaterEqual(time.monotonic() - start, 0.29)
        self.assertEqual(self.api.get(path + "?wait=60s&until=final").json["trials"], 22)

    def test_many_at_once(self):
        name = self.study(1000)
        found = []

        def look(i, client):
            query = ("", "?method=fanova", "?interactions=true", "?metric=loss")[i % 4]
            answer = client.get(client.path(name, "/importance") + query)
            found.append((i % 4, answer.json))

        threads = [threading.Thread(target=look, args=(i, self.client())) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 16)
        for kind in range(4):
            same = [answer for k, answer in found if k == kind]
            self.assertTrue(all(answer == same[0] for answer in same))


if __name__ == "__main__":
    unittest.main()
