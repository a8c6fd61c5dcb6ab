"""A study that learns from an earlier one: its first trials, its copy, its faults."""

from base import STUDIES, DaemonTest, ask_tell_study, kill_all, suggest_workers_of

SPACE = [{"name": "lr", "type": "double", "min": 1e-5, "max": 1, "scale": "log"},
         {"name": "units", "type": "int", "min": 8, "max": 512, "scale": "log"},
         {"name": "kind", "type": "categorical", "values": ["a", "b", "c"]}]


def loss(parameters, shift=0.0):
    import math
    return ((math.log10(parameters["lr"]) + 3 + shift) ** 2 +
            (math.log2(parameters["units"]) - 6) ** 2 / 4 +
            {"a": 0.5, "b": 0.0, "c": 1.0}[parameters.get("kind", "b")])


class WarmStartTest(DaemonTest):
    def work(self, study, trials, shift=0.0):
        """Asks and tells `trials` times; the answers and the values."""
        asked, values = [], []
        for _ in range(trials):
            trial = self.call("POST", f"{STUDIES}/{study}/suggestions",
                              {"count": 1, "client": "w"})["trials"][0]
            value = loss(trial["parameters"], shift)
            self.call("POST", f"{STUDIES}/{study}/trials/{trial['number']}/complete",
                      {"state": "succeeded", "metrics": {"loss": value}})
            asked.append(trial["parameters"])
            values.append(value)
        return asked, values

    def make_source(self, name="old", trials=40, **more):
        self.submit(ask_tell_study(name, parameters=SPACE, algorithm={"name": "tpe"}, **more))
        return self.work(name, trials)[1]

    def faults(self, warm_start, **more):
        problem = self.refused("POST", STUDIES, ask_tell_study(
            "new", warm_start=warm_start, **{"parameters": SPACE, **more})).problem
        self.assertEqual(problem["code"], "invalid_study", problem)
        return problem["errors"]

    def test_better_start(self):
        source = self.make_source()
        for name, warm in (("cold", []), ("warm", [{"study": "old"}])):
            self.submit(ask_tell_study(name, parameters=SPACE, algorithm={"name": "tpe"},
                                       warm_start=warm))
        _, cold = self.work("cold", 8, shift=0.1)
        _, warm = self.work("warm", 8, shift=0.1)
        print(f"\nbest of the source {min(source):.3f}; best of the first five: "
              f"cold {min(cold[:5]):.3f}, warm {min(warm[:5]):.3f}")
        self.assertLess(min(warm[:5]), min(cold[:5]))
        rows = self.call("GET", f"{STUDIES}/warm/trials?sort=number")["trials"]
        first = [row for row in rows if row["why"]["proposed_by"] == "warm_start"]
        self.assertTrue(1 <= len(first) <= 5, rows)
        self.assertEqual([row["number"] for row in first], list(range(1, len(first) + 1)))
        best = self.call("GET", f"{STUDIES}/old/best")["best"]
        self.assertEqual((first[0]["why"]["source"], first[0]["why"]["trial"]),
                         ("old", best["number"]))
        self.assertEqual(first[0]["parameters"], best["parameters"])

    def test_after_start_with_and_switched_off(self):
        self.make_source()
        point = {"lr": 0.5, "units": 16, "kind": "c"}
        self.submit(ask_tell_study("warm", parameters=SPACE, warm_start=[{"study": "old"}],
                                   start_with=[point]))
        rows = self.call("GET", f"{STUDIES}/warm/trials?sort=number")["trials"]
        self.assertEqual([row["why"]["proposed_by"] for row in rows[:2]],
                         ["start_with", "warm_start"])
        self.submit(ask_tell_study("quiet", parameters=SPACE,
                                   warm_start=[{"study": "old", "try_best": False}]))
        self.assertEqual(self.call("GET", f"{STUDIES}/quiet/trials")["trials"], [])

    def test_source_deleted_and_worker_killed(self):
        """The copy is the study's own: the same seed and history, the same answers."""
        self.make_source()
        spec = {"parameters": SPACE, "algorithm": {"name": "bayesian"},
                "warm_start": [{"study": "old", "try_best": False}], "limits": {"trials": 100}}
        for name in ("calm", "rough"):
            self.submit(ask_tell_study(name, **spec))
        calm, _ = self.work("calm", 10)
        rough, _ = self.work("rough", 5)
        self.call("DELETE", f"{STUDIES}/old?force=true")
        workers = suggest_workers_of(self.daemon)
        self.assertTrue(workers)
        kill_all(workers)
        rough += self.work("rough", 2)[0]
        self.daemon.kill()
        self.daemon.start()
        rough += self.work("rough", 3)[0]
        self.assertEqual(calm, rough)

    def test_faults(self):
        self.make_source(trials=3)
        self.submit(ask_tell_study("empty", parameters=SPACE))
        faults = self.faults([{"study": "odl"}, {"study": "old"}, {"study": "old"},
                              {"study": "empty"}, {"study": "new"},
                              {"study": "old", "project": "elsewhere"}])
        told = {fault["pointer"]: fault for fault in faults}
        self.assertEqual(sorted(told), [f"/warm_start/{i}/study" for i in (0, 2, 3, 4, 5)], faults)
        self.assertIn('did you mean "old"', told["/warm_start/0/study"]["message"])
        self.assertEqual(told["/warm_start/0/study"]["found"], "odl")
        self.assertIn("old", told["/warm_start/0/study"]["allowed"])
        self.assertIn("no trial yet", told["/warm_start/3/study"]["message"])
        self.assertIn("itself", told["/warm_start/4/study"]["message"])
        self.assertIn("elsewhere", told["/warm_start/5/study"]["message"])
        fault, = self.faults([{"study": "old"}], objective={"metric": "error", "goal": "minimize"})
        self.assertIn("error", fault["message"])
        fault, = self.faults([{"study": "old"}],
                             parameters=[{"name": "x", "type": "double", "min": 0, "max": 1}])
        self.assertIn("none of this study's parameters", fault["message"])
        fault, = self.faults([{"study": "old"}],
                             parameters=[{"name": "lr", "type": "double", "min": 2, "max": 3}])
        self.assertIn("the value of lr is not allowed", fault["message"])

    def test_token_of_another_project(self):
        self.make_source(trials=2)
        self.call("POST", "/v1/projects", {"name": "team"})
        token = self.call("POST", "/v1/projects/team/tokens",
                          {"name": "t", "role": "editor"})["token"]
        study = ask_tell_study("new", parameters=SPACE,
                               warm_start=[{"study": "old", "project": "default"}])
        problem = self.refused("POST", "/v1/projects/team/studies", study, token=token).problem
        self.assertIn("may not be read", problem["errors"][0]["message"])
        self.call("POST", "/v1/projects/team/studies", study)
        rows = self.call("GET", "/v1/projects/team/studies/new/trials")["trials"]
        self.assertEqual(rows[0]["why"]["source"], "default/old")
