"""Ask, report, tell; adding trials; reading them; batches; many workers at once."""

import threading
import time

from service import ApiTest, Client


class AskTell(ApiTest):
    def test_round(self):
        name = self.api.create()
        trial = self.api.ask(name)[0]
        self.assertGreaterEqual(trial["parameters"]["x"], 0)
        self.assertEqual(self.api.report(name, trial["number"], 0.9, 0.5), {"stop": False})
        told = self.api.tell(name, trial["number"], 0.25)
        self.assertEqual((told["state"], told["value"], told["steps"]), ("succeeded", 0.25, 2))
        self.assertEqual(self.api.get(self.api.path(name, "/trials/1")).json, told)
        best = self.api.get(self.api.path(name, "/best")).json["best"]
        self.assertEqual((best["number"], best["value"]), (1, 0.25))

    def test_best_of_nothing(self):
        name = self.api.create()
        self.assertEqual(self.api.get(self.api.path(name, "/best")).json, {"best": None})
        self.assertEqual(self.api.get(self.api.path(name, "/pareto")).json, {"trials": []})

    def test_same_client_gets_its_trials_back(self):
        name = self.api.create()
        first = self.api.ask(name, 3, "w1")
        self.assertEqual([t["number"] for t in self.api.ask(name, 2, "w1")],
                         [t["number"] for t in first[:2]])
        others = self.api.ask(name, 2, "w2")
        self.assertTrue({t["number"] for t in others}.isdisjoint(t["number"] for t in first))

    def test_tell_again(self):
        name = self.api.create()
        self.api.ask(name)
        first = self.api.tell(name, 1, 0.5)
        self.assertEqual(self.api.tell(name, 1, 0.5), first)
        answer = self.api.post(self.api.path(name, "/trials/1/complete"),
                               {"state": "succeeded", "metrics": {"loss": 0.75}})
        self.refused(answer, 409, "trial_finished")
        answer = self.api.post(self.api.path(name, "/trials/1/complete"), {"state": "failed"})
        self.refused(answer, 409, "trial_finished")

    def test_failed_and_infeasible(self):
        name = self.api.create()
        self.api.ask(name, 2)
        answer = self.api.post(self.api.path(name, "/trials/1/complete"),
                               {"state": "failed", "reason": "exit_code", "exit_code": 3,
                                "message": "it broke"})
        self.assertEqual((answer.json["state"], answer.json["reason"], answer.json["message"]),
                         ("failed", "exit_code", "it broke"))
        answer = self.api.post(self.api.path(name, "/trials/2/complete"), {"state": "infeasible"})
        self.assertEqual(answer.json["state"], "infeasible")

    def test_non_finite(self):
        name = self.api.create()
        self.api.ask(name, 3)
        self.api.report(name, 1, "nan", "Infinity", "-inf")
        rows = self.api.get(self.api.path(name, "/trials/1/measurements")).json["measurements"]
        self.assertEqual([row["metrics"]["loss"] for row in rows], ["nan", "inf", "-inf"])
        answer = self.api.post(self.api.path(name, "/trials/1/complete"),
                               {"state": "succeeded", "metrics": {"loss": "NaN"}})
        self.assertEqual((answer.json["state"], answer.json["reason"]),
                         ("failed", "non_finite_objective"))
        self.assertIsNone(self.api.get(self.api.path(name, "/best")).json["best"])

    def test_succeeded_without_a_value(self):
        name = self.api.create()
        self.api.ask(name)
        answer = self.api.post(self.api.path(name, "/trials/1/complete"), {"state": "succeeded"})
        self.refused(answer, 422, "invalid_value", "/metrics")
        self.assertEqual(self.api.get(self.api.path(name, "/trials/1")).json["state"], "running")

    def test_faults(self):
        name = self.api.create()
        self.api.ask(name)
        ask, trial = self.api.path(name, "/suggestions"), self.api.path(name, "/trials/1")
        table = [
            (ask, {"count": 0}, "/count"), (ask, {"count": 1001}, "/count"),
            (ask, {"count": 1.5}, "/count"), (ask, {"count": "1"}, "/count"),
            (ask, {"client": ""}, "/client"), (ask, {"client": "w" * 256}, "/client"),
            (ask, {"clinet": "w"}, "/clinet"), (ask, [], ""),
            (trial + "/measurements", {}, "/measurements"),
            (trial + "/measurements", {"measurements": {}}, "/measurements"),
            (trial + "/measurements", {"measurements": [7]}, "/measurements/0"),
            (trial + "/measurements", {"measurements": [{"step": -1, "metrics": {"l": 1}}]},
             "/measurements/0/step"),
            (trial + "/measurements", {"measurements": [{"metrics": {"l": "high"}}]},
             "/measurements/0/metrics/l"),
            (trial + "/measurements", {"measurements": [{"metrics": {"l": 1}, "tme": 1}]},
             "/measurements/0/tme"),
            (trial + "/measurements", {"measurements": [{"metrics": {"l": 1}, "time": "noon"}]},
             "/measurements/0/time"),
            (trial + "/measurements",
             {"measurements": [{"metrics": {"l": 1}} for _ in range(10001)]}, "/measurements"),
            (trial + "/complete", {}, "/state"),
            (trial + "/complete", {"state": "running"}, "/state"),
            (trial + "/complete", {"state": "failed", "reason": "bad_luck"}, "/reason"),
            (trial + "/complete", {"state": "succeeded", "metrics": {"loss": None}},
             "/metrics/loss"),
            (trial + "/complete", {"state": "succeeded", "metrics": [1]}, "/metrics"),
            (trial + "/complete", {"state": "succeeded", "metrics": {"loss": 1}, "value": 1},
             "/value"),
            (self.api.path(name, "/trials"), {}, "/trials"),
            (self.api.path(name, "/trials"), {"trials": []}, "/trials"),
            (self.api.path(name, "/trials"), {"trials": [{"parameters": {"x": 2}}]},
             "/trials/0/parameters/x"),
            (self.api.path(name, "/trials"), {"trials": [{"parameters": {"x": 0.5, "y": 1}}]},
             "/trials/0/parameters/y"),
            (self.api.path(name, "/trials"),
             {"trials": [{"parameters": {"x": 0.5}, "state": "succeeded"}]}, "/trials/0/metrics"),
            (self.api.path(name, "/trials"),
             {"trials": [{"parameters": {"x": 0.5}}] * 1001}, "/trials"),
            (self.api.path(name, "/batch"), {"tell": [{"number": 1}]}, "/tell/0/state"),
            (self.api.path(name, "/batch"), {"tell": [{"state": "failed"}]}, "/tell/0/number"),
            (self.api.path(name, "/batch"), {"report": [{"number": 1}]}, "/report/0/measurements"),
            (self.api.path(name, "/batch"), {"ask": {"count": -1}}, "/ask/count"),
            (self.api.path(name, "/batch"), {"aks": {}}, "/aks"),
        ]
        for target, body, pointer in table:
            with self.subTest(target=target, pointer=pointer):
                self.refused(self.api.post(target, body), 422, "invalid_value", pointer)

    def test_absent(self):
        name = self.api.create()
        for target in ("/trials/1", "/trials/99999999999"):
            self.refused(self.api.get(self.api.path(name, target)), 404, "not_found")
            self.refused(self.api.post(self.api.path(name, target + "/complete"),
                                       {"state": "failed"}), 404, "not_found")
            self.refused(self.api.post(self.api.path(name, target + "/measurements"),
                                       {"measurements": []}), 404, "not_found")
            self.refused(self.api.post(self.api.path(name, target + "/stop")), 404, "not_found")
            self.refused(self.api.get(self.api.path(name, target + "/measurements")), 404,
                         "not_found")
            self.refused(self.api.get(self.api.path(name, target + "/logs")), 404, "not_found")
        for target in ("/trials/0", "/trials/01", "/trials/-1", "/trials/x",
                       "/trials/99999999999999999999"):
            self.assertEqual(self.api.get(self.api.path(name, target)).status, 404)

    def test_a_study_that_runs_its_trials_refuses_asks(self):
        name = self.api.create(trial={"command": ["sleep", "300"]}, limits={"trials": 1})
        answer = self.api.post(self.api.path(name, "/suggestions"), {})
        self.assertEqual(answer.status, 409)
        self.api.request("DELETE", self.api.path(name) + "?force=true")

    def test_asking_an_ended_study(self):
        name = self.api.create(limits={"trials": 1})
        self.api.tell(name, self.api.ask(name)[0]["number"], 0.5)
        self.api.get(self.api.path(name) + "?until=final&wait=60s")
        # At once, and when nothing of it is in memory any more.
        for pause in (0, 1):
            time.sleep(pause)
            answer = self.api.post(self.api.path(name, "/suggestions"), {})
            self.assertEqual(answer.status, 200, answer.body)
            batch = self.api.post(self.api.path(name, "/batch"), {"ask": {}})
            for asked in (answer.json, batch.json["ask"]):
                self.assertEqual(asked["trials"], [])
                self.assertEqual((asked["study_state"], asked["reason"]),
                                 ("succeeded", "trials_done"))


class Add(ApiTest):
    def test_queue_and_import(self):
        name = self.api.create()
        answer = self.api.post(self.api.path(name, "/trials"), {"trials": [
            {"parameters": {"x": 0.5}},
            {"parameters": {"x": 0.25}, "state": "succeeded", "metrics": {"loss": 0.1}},
            {"parameters": {"x": 0.75}, "state": "failed"}]})
        self.assertEqual(answer.status, 201, answer.body)
        self.assertEqual([t["number"] for t in answer.json["trials"]], [1, 2, 3])
        self.assertEqual(self.api.ask(name)[0]["parameters"], {"x": 0.5})
        states = [t["state"] for t in self.api.get(self.api.path(name, "/trials")).json["trials"]]
        self.assertEqual(states, ["running", "succeeded", "failed"])
        self.assertEqual(self.api.get(self.api.path(name, "/best")).json["best"]["number"], 2)

    def test_all_or_nothing(self):
        name = self.api.create()
        answer = self.api.post(self.api.path(name, "/trials"), {"trials": [
            {"parameters": {"x": 0.5}}, {"parameters": {"x": 7}}]})
        self.refused(answer, 422, "invalid_value", "/trials/1/parameters/x")
        self.assertEqual(self.api.get(self.api.path(name, "/trials")).json["trials"], [])


class Read(ApiTest):
    def setUp(self):
        super().setUp()
        self.name = self.api.create()
        values = [0.5, 0.1, 0.9, 0.3, 0.7]
        for trial, value in zip(self.api.ask(self.name, 5), values):
            self.api.report(self.name, trial["number"], value + 1, value)
            self.api.tell(self.name, trial["number"], value)
        self.api.ask(self.name, 2)

    def numbers(self, query):
        answer = self.api.get(self.api.path(self.name, "/trials") + query)
        self.assertEqual(answer.status, 200, answer.body)
        return [t["number"] for t in answer.json["trials"]]

    def test_sorts_and_filters(self):
        self.assertEqual(self.numbers(""), [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual(self.numbers("?sort=-number"), [7, 6, 5, 4, 3, 2, 1])
        self.assertEqual(self.numbers("?sort=value"), [2, 4, 1, 5, 3, 6, 7])
        self.assertEqual(self.numbers("?sort=-value&state=succeeded"), [3, 5, 1, 4, 2])
        self.assertEqual(self.numbers("?state=running"), [6, 7])
        for sort in ("created_at", "-created_at", "started_at", "-started_at", "finished_at",
                     "-finished_at"):
            self.assertEqual(sorted(self.numbers("?sort=" + sort)), [1, 2, 3, 4, 5, 6, 7])

    def test_pages(self):
        for sort in ("number", "-number", "value", "-value", "finished_at", "-started_at"):
            whole, got, token = self.numbers("?sort=" + sort), [], None
            while True:
                page = self.api.get(self.api.path(self.name, "/trials") +
                                    f"?sort={sort}&page_size=3" +
                                    (f"&page_token={token}" if token else "")).json
                got += [t["number"] for t in page["trials"]]
                token = page["next_page_token"]
                if token is None:
                    break
            self.assertEqual(got, whole, sort)

    def test_token_of_another_list(self):
        token = self.api.get(self.api.path(self.name, "/trials") + "?page_size=1").json[
            "next_page_token"]
        answer = self.api.get(self.api.path(self.name, "/trials") +
                              f"?sort=-value&page_token={token}")
        self.refused(answer, 400, "bad_request")

    def test_fields(self):
        page = self.api.get(self.api.path(self.name, "/trials") + "?fields=number,value",
                            trimmed=True).json
        self.assertEqual(page["trials"][0], {"number": 1, "value": 0.5})

    def test_measurements(self):
        target = self.api.path(self.name, "/trials/1/measurements")
        page = self.api.get(target).json
        self.assertEqual([row["step"] for row in page["measurements"]], [1, 2])
        first = self.api.get(target + "?page_size=1&metric=loss").json
        second = self.api.get(target + f"?page_size=1&metric=loss&page_token={first['next_page_token']}").json
        self.assertEqual(first["measurements"] + second["measurements"], page["measurements"])
        self.api.post(self.api.path(self.name, "/trials/6/measurements"), {
            "measurements": [{"step": i, "metrics": {"loss": i % 10}} for i in range(1000)]})
        thin = self.api.get(self.api.path(self.name, "/trials/6/measurements") + "?points=50").json
        self.assertLessEqual(len(thin["measurements"]), 50)
        self.assertGreater(len(thin["measurements"]), 10)

    def test_same_step_again(self):
        self.api.report(self.name, 6, 1.0, 2.0)
        self.api.report(self.name, 6, 5.0)
        rows = self.api.get(self.api.path(self.name, "/trials/6/measurements")).json
        self.assertEqual([row["metrics"]["loss"] for row in rows["measurements"]], [5.0, 2.0])

    def test_measurements_with_the_result(self):
        name = self.api.create()
        number = self.api.ask(name)[0]["number"]
        path = self.api.path(name, f"/trials/{number}")
        points = [{"step": 1, "metrics": {"loss": 3.0}}, {"step": 2, "metrics": {"loss": 2.0}}]
        done = self.api.post(path + "/complete", {"state": "succeeded", "measurements": points})
        self.assertEqual((done.status, done.json["metrics"]), (200, {"loss": 2.0}), done.body)
        rows = self.api.get(path + "/measurements").json["measurements"]
        self.assertEqual([(r["step"], r["metrics"]["loss"]) for r in rows], [(1, 3.0), (2, 2.0)])
        # Told again after the answer was lost: the same result, nothing twice.
        again = self.api.post(path + "/complete", {"state": "succeeded", "measurements": points})
        self.assertEqual((again.status, again.json["metrics"]), (200, {"loss": 2.0}))
        bad = self.api.post(self.api.path(name, f"/trials/{self.api.ask(name)[0]['number']}/complete"),
                            {"state": "succeeded", "measurements": [{"step": -1, "metrics": {}}]})
        self.refused(bad, 422, "invalid_value", "/measurements/0/step")

    def test_curves(self):
        answer = self.api.get(self.api.path(self.name, "/curves") + "?metric=loss&state=succeeded")
        self.assertEqual([c["number"] for c in answer.json["curves"]], [1, 2, 3, 4, 5])
        self.assertEqual(answer.json["curves"][0]["values"], [1.5, 0.5])
        self.refused(self.api.get(self.api.path(self.name, "/curves")), 400, "bad_request",
                     "?metric")

    def test_pareto_of_one_objective(self):
        trials = self.api.get(self.api.path(self.name, "/pareto")).json["trials"]
        self.assertEqual([t["number"] for t in trials], [2])

    def test_pareto_of_two(self):
        name = self.api.create(objective=None, algorithm={"name": "random"}, objectives=[
            {"metric": "a", "goal": "minimize"}, {"metric": "b", "goal": "maximize"}],
            constraints=[{"metric": "c", "max": 1}])
        points = [(1, 1, 0), (2, 2, 0), (2, 1, 0), (3, 2, 0), (0, 9, 2), (4, 3, 1)]
        self.assertEqual(self.api.post(self.api.path(name, "/trials"), {"trials": [
            {"parameters": {"x": 0.1 * i}, "state": "succeeded",
             "metrics": {"a": a, "b": b, "c": c}} for i, (a, b, c) in enumerate(points)]}).status,
            201)
        trials = self.api.get(self.api.path(name, "/pareto")).json["trials"]
        self.assertEqual([t["number"] for t in trials], [1, 2, 6])

    def test_stop(self):
        answer = self.api.post(self.api.path(self.name, "/trials/6/stop"))
        self.assertIn(answer.json["state"], ("stopping", "stopped"))
        answer = self.api.post(self.api.path(self.name, "/trials/6/stop"))
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.api.report(self.name, 6, 0.4)["stop"], True)

    def test_logs_of_a_trial_without_attempts(self):
        for query in ("", "?tail=5"):
            answer = self.api.get(self.api.path(self.name, "/trials/1/logs") + query)
            self.assertEqual((answer.status, answer.body), (200, b""))


class Batch(ApiTest):
    def test_all_parts(self):
        name = self.api.create()
        self.api.ask(name, 3, "w")
        answer = self.api.post(self.api.path(name, "/batch"), {
            "tell": [{"number": 1, "state": "succeeded", "metrics": {"loss": 0.5}},
                     {"number": 77, "state": "failed"}],
            "report": [{"number": 2, "measurements": [{"step": 1, "metrics": {"loss": 0.7}}]},
                       {"number": 78, "measurements": []}],
            "ask": {"count": 4, "client": "w"}})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["tell"][0], {"number": 1, "state": "succeeded"})
        self.assertEqual(answer.json["tell"][1]["error"]["code"], "not_found")
        self.assertEqual(answer.json["report"][0], {"number": 2, "stop": False})
        self.assertEqual(answer.json["report"][1]["error"]["code"], "not_found")
        asked = [t["number"] for t in answer.json["ask"]["trials"]]
        self.assertEqual(asked[:2], [2, 3])
        self.assertEqual(len(set(asked)), 4)

    def test_empty(self):
        name = self.api.create()
        answer = self.api.post(self.api.path(name, "/batch"), {})
        self.assertEqual((answer.status, answer.json), (200, {"tell": [], "report": []}))

    def test_ask_that_is_refused(self):
        name = self.api.create(trial={"command": ["sleep", "300"]}, limits={"trials": 1})
        answer = self.api.post(self.api.path(name, "/batch"), {"ask": {}})
        self.assertIn("error", answer.json["ask"])
        self.api.request("DELETE", self.api.path(name) + "?force=true")


class ManyWorkers(ApiTest):
    WORKERS, TRIALS = 16, 20

    def test_no_trial_twice_and_none_lost(self):
        name = self.api.create(limits={"trials": self.WORKERS * self.TRIALS})
        told, faults, lock = {}, [], threading.Lock()

        def work(worker):
            api = Client()
            try:
                for _ in range(self.TRIALS):
                    trial = api.ask(name, 1, f"w{worker}")[0]
                    value = worker + trial["parameters"]["x"]
                    api.report(name, trial["number"], value + 1)
                    api.tell(name, trial["number"], value)
                    with lock:
                        if trial["number"] in told:
                            faults.append(f"trial {trial['number']} was handed out twice")
                        told[trial["number"]] = value
            except Exception as error:  # noqa: BLE001 - whatever it is, the test says it
                faults.append(repr(error))
            finally:
                api.close()

        threads = [threading.Thread(target=work, args=(i,)) for i in range(self.WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        self.assertEqual(len(told), self.WORKERS * self.TRIALS)
        stored, token = {}, None
        while True:
            page = self.api.get(self.api.path(name, "/trials") + "?page_size=1000" +
                                (f"&page_token={token}" if token else "")).json
            stored.update((t["number"], t["value"]) for t in page["trials"])
            token = page["next_page_token"]
            if token is None:
                break
        self.assertEqual(stored, told)
        done = self.api.get(self.api.path(name) + "?until=final&wait=60s").json
        self.assertEqual((done["state"], done["reason"]), ("succeeded", "trials_done"))
        self.assertEqual(done["best"]["value"], min(told.values()))
