"""Multi-fidelity studies with real training: pause, promotion, going on from a checkpoint."""

import json
import time

from base import (BUILD, STUDIES, DaemonTest, Refused, all_events, all_trials, persistent_call,
                  wait_final, wait_for)

RUNGS = [1, 3, 9, 27]


def digits_study(name, trials=16, **more):
    """The C digits trainer, which saves after each epoch and goes on from there."""
    program = str(BUILD / "examples" / "digits")
    return {"name": name, "objective": {"metric": "val_accuracy", "goal": "maximize"},
            "parameters": [
                {"name": "lr", "type": "double", "min": 1e-4, "max": 1.0, "scale": "log"},
                {"name": "units", "type": "int", "min": 8, "max": 64, "scale": "log"},
                {"name": "dropout", "type": "double", "min": 0, "max": 0.6, "step": 0.1}],
            "algorithm": {"name": "asha"}, "seed": 7,
            "budget": {"name": "epochs", "min": 1, "max": 27, "eta": 3},
            "limits": {"trials": trials, "parallel": 2},
            "trial": {"command": [program, "--lr=${lr}", "--units=${units}",
                                  "--dropout=${dropout}", "--epochs=${budget}"],
                      "checkpoints": True, "infrastructure_retries": 100}, **more}


def slowly(study):
    """Each attempt lasts a while, so that the study does not end before it is looked at."""
    trial = study["trial"]
    return {**study, "trial": {**trial, "command": ["/bin/sh", "-c", 'sleep 0.4; exec "$@"', "sh",
                                                    *trial["command"]]}}


class FidelityTest(DaemonTest):
    def check(self, name, trials):
        """Every trial ended at a rung, and its epochs are there once each, in order."""
        rows = all_trials(self.daemon, name)
        self.assertEqual(sorted(row["number"] for row in rows), list(range(1, trials + 1)))
        promoted = 0
        for row in rows:
            self.assertIn(row["state"], ("succeeded", "stopped"), row)
            if row["state"] == "stopped":
                self.assertEqual(row["reason"], "not_promoted")
            rungs = [rung["budget"] for rung in row["why"]["rungs"]]
            self.assertEqual(rungs, RUNGS[:len(rungs)])
            self.assertEqual(rungs[-1], row["budget"])
            self.assertEqual(row["state"] == "succeeded", row["budget"] == RUNGS[-1])
            promotions = len(row["why"].get("promotions", []))
            begun_at = len(rungs) - 1 - promotions
            # The first eight tell what the lowest rung says of the next; then one is chosen.
            self.assertIn(begun_at, (1,) if row["number"] <= 8 else (0, 1, 2), row)
            promoted += promotions
            self.check_curve(name, row)
        self.assertGreater(promoted, 0)
        return rows

    def check_curve(self, name, row):
        """An epoch that a checkpoint holds is not trained again: no step comes twice, and a
        promoted trial's loss goes on from where it was."""
        points = self.call("GET", f"{STUDIES}/{name}/trials/{row['number']}/measurements"
                           "?page_size=1000")["measurements"]
        steps = [p["step"] for p in points]
        self.assertEqual(steps, list(range(1, int(row["budget"]) + 1)), row["number"])
        for before, after in zip(points, points[1:]):
            # Epochs of a small net can reach the runner in one read: they have one time then.
            self.assertLessEqual(before["time"], after["time"])
        by_budget = {rung["budget"]: rung["value"] for rung in row["why"]["rungs"]}
        for point in points:
            if point["step"] in by_budget:
                self.assertEqual(point["metrics"]["val_accuracy"], by_budget[point["step"]])

    def log_of(self, name, number):
        return self.call("GET", f"{STUDIES}/{name}/trials/{number}/logs")

    def test_promotion_resumes(self):
        self.submit(digits_study("steps"))
        found = wait_final(self.daemon, "steps")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        rows = self.check("steps", 16)
        self.assertGreater(found["best"]["value"], 0.9)
        best = max((row for row in rows if row["state"] == "succeeded"),
                   key=lambda row: row["value"])
        whole = self.call("GET", f"{STUDIES}/steps/trials/{best['number']}")
        self.assertEqual(len(whole["attempts"]), 1 + len(whole["why"]["promotions"]))
        # What it would have been in one go: the same numbers, epoch for epoch.
        again = digits_study("whole", trials=1, algorithm={"name": "random"},
                             start_with=[best["parameters"]])
        again["limits"]["parallel"] = 1
        self.submit(again)
        wait_final(self.daemon, "whole")
        paths = [f"{STUDIES}/steps/trials/{best['number']}/measurements?page_size=1000",
                 f"{STUDIES}/whole/trials/1/measurements?page_size=1000"]
        curves = [[p["metrics"] for p in self.call("GET", path)["measurements"]] for path in paths]
        self.assertEqual(curves[0], curves[1])

    def test_promotion_resumes_across_kills(self):
        self.submit(slowly(digits_study("killed")))
        kills = 0
        while persistent_call(self.daemon, "GET", f"{STUDIES}/killed?fields=state")["state"] == "running":
            time.sleep(1.5)
            self.daemon.kill()
            kills += 1
            self.daemon.start()
        found = wait_final(self.daemon, "killed")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        self.assertGreaterEqual(kills, 1)
        self.check("killed", 16)

    def test_paused_trials_stopped_by_the_user(self):
        """Also while the algorithm's answer, which may promote them, is on its way."""
        self.submit(slowly(digits_study("picked", trials=20)))
        stopped = set()
        while self.call("GET", f"{STUDIES}/picked?fields=state")["state"] == "running":
            rows = self.call("GET", f"{STUDIES}/picked/trials?state=paused")["trials"]
            for row in rows[:1] if len(stopped) < 6 else []:
                # Since the list was read it may have been promoted and have had the whole budget, or
                # the study may have ended it, as not promoted.
                try:
                    told = self.call("POST", f"{STUDIES}/picked/trials/{row['number']}/stop")
                except Refused as refused:
                    self.assertEqual(refused.problem["code"], "trial_finished")
                    continue
                if (told["state"], told["reason"]) == ("stopped", "stopped_by_user"):
                    stopped.add(row["number"])
            time.sleep(0.05)
        found = wait_final(self.daemon, "picked")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        self.assertTrue(stopped)
        for row in all_trials(self.daemon, "picked"):
            if row["number"] in stopped:
                self.assertEqual((row["state"], row["reason"]), ("stopped", "stopped_by_user"))

    def test_cancelled_while_paused(self):
        study = digits_study("cancelled", trials=50)
        self.submit(study)
        wait_for(lambda: self.call("GET", f"{STUDIES}/cancelled")["trials"]["paused"] >= 3,
                 "three trials are paused")
        self.call("POST", f"{STUDIES}/cancelled/cancel")
        found = wait_final(self.daemon, "cancelled")
        self.assertEqual(found["state"], "cancelled")
        self.assertEqual(found["trials"]["paused"], 0)
        # Some may have been promoted before the cancel came; those that paused then were not.
        left = [(event["data"]["to"], event["data"]["reason"])
                for event in all_events(self.daemon, "cancelled")
                if event["type"] == "trial_state" and event["data"]["from"] == "paused"]
        self.assertIn(("stopped", "not_promoted"), left)
        self.assertLessEqual(set(left), {("stopped", "not_promoted"), ("queued", None)})
        self.assertEqual(found["trials"]["stopped"], left.count(("stopped", "not_promoted")))
        self.assertIsNotNone(found["best"])

    def test_ask_and_tell(self):
        """Workers without a trial section: the same number comes back with a larger budget."""
        study = digits_study("told", trials=9,
                             algorithm={"name": "asha", "settings": {"type": "promotion"}})
        del study["trial"]
        study["budget"] = {"name": "epochs", "min": 1, "max": 9, "eta": 3}
        self.submit(study)
        budgets = {}
        while True:
            asked = self.call("POST", f"{STUDIES}/told/suggestions", {"count": 1, "client": "w"})
            if not asked["trials"]:
                self.assertIn(asked["study_state"], ("running", "succeeded"))
                if asked["study_state"] == "succeeded":
                    break
                time.sleep(0.05)
                continue
            trial = asked["trials"][0]
            budgets.setdefault(trial["number"], []).append(trial["budget"])
            told = self.call("POST", f"{STUDIES}/told/trials/{trial['number']}/complete",
                             {"state": "succeeded",
                              "metrics": {"val_accuracy": -abs(trial["parameters"]["dropout"] - 0.3)
                                          + trial["budget"] / 1000}})
            self.assertEqual(told["state"], "succeeded" if trial["budget"] == 9 else "paused")
        self.assertEqual(sorted(budgets), list(range(1, 10)))
        self.assertTrue(all(b in ([1], [1, 3], [1, 3, 9], [3], [3, 9]) for b in budgets.values()),
                        budgets)
        self.assertIn([3, 9], budgets.values(), json.dumps(budgets))
        found = self.call("GET", f"{STUDIES}/told")
        self.assertEqual(found["trials"]["paused"], 0)


if __name__ == "__main__":
    import unittest

    unittest.main(verbosity=2)
