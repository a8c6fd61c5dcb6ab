"""Stopping rules in a running daemon: joined rules, the record of a decision, restarts."""

import math

from base import STUDIES, DaemonTest, ask_tell_study


class StoppingTest(DaemonTest):
    def tell_curve(self, path, values):
        """Reports the curve one step at a time until a stop; the step, or None."""
        number = self.call("POST", path + "/suggestions", {"count": 1})["trials"][0]["number"]
        for step, value in enumerate(values, 1):
            answer = self.call("POST", f"{path}/trials/{number}/measurements", {
                "measurements": [{"step": step, "metrics": {"loss": value}}]})
            if answer["stop"]:
                break
        self.call("POST", f"{path}/trials/{number}/complete",
                  {"state": "succeeded", "metrics": {"loss": value}})
        return step if answer["stop"] else None

    def test_rules_are_listed(self):
        listed = {rule["name"]: rule for rule in self.call("GET", "/v1/stopping_rules")[
            "stopping_rules"]}
        for name in ("asha", "auto", "best_median", "curve", "median", "patience", "percentile",
                     "threshold", "wilcoxon"):
            self.assertIn("properties", listed[name]["settings_schema"])

    def test_joined_rules_and_their_record(self):
        self.submit(ask_tell_study("joined", early_stopping={
            "name": "any", "checks": 2, "rules": [
                {"name": "patience", "settings": {"patience": 4}},
                {"name": "threshold", "settings": {"max": 50}}]}))
        path = f"{STUDIES}/joined"
        self.assertEqual(self.call("GET", path)["early_stopping"]["rules"][1]["name"], "threshold")
        self.assertIsNone(self.tell_curve(path, [5, 4, 3, 2, 1]))
        self.assertEqual(self.tell_curve(path, [60, 61, 62]), 2)
        self.assertEqual(self.tell_curve(path, [5] * 20), 6)
        trial = self.call("GET", path + "/trials/2")
        self.assertEqual((trial["state"], trial["reason"]), ("stopped", "stopped_by_rule"))
        self.assertEqual(trial["why"]["stop"], {
            "rule": "threshold", "metric": "loss", "value": 61.0, "threshold": 50.0, "step": 2,
            "compared": 0})
        events = self.call("GET", path + "/events?page_size=1000")["events"]
        decided = [event for event in events if event["type"] == "trial_stop_decided"]
        self.assertEqual([event["trial"] for event in decided], [2, 3])
        self.assertEqual(decided[0]["data"], trial["why"]["stop"])
        self.assertIn("above 50", decided[0]["message"])

    def test_wrong_sections_are_refused(self):
        refused = self.refused("POST", STUDIES, ask_tell_study("bad", early_stopping={
            "name": "any", "rules": [{"name": "asha", "settings": {"eta": 0}}, {"name": "mean"}]}))
        self.assertEqual({fault["pointer"] for fault in refused.problem["errors"]},
                         {"/early_stopping/rules/0/settings/eta", "/early_stopping/rules/1/name"})

    def test_decisions_are_timed(self):
        self.submit(ask_tell_study("timed", early_stopping={"name": "auto"}))
        self.submit(ask_tell_study("unjudged"))
        for name in ("timed", "unjudged"):
            self.tell_curve(f"{STUDIES}/{name}", [3, 2, 1])
        read = dict(line.rsplit(" ", 1) for line in self.call("GET", "/metrics").splitlines()
                    if not line.startswith("#"))
        buckets = [int(value) for name, value in read.items()
                   if name.startswith("assay_decision_seconds_bucket")]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual((buckets[-1], read["assay_decision_seconds_count"]), (3, "3"))
        self.assertGreater(float(read["assay_decision_seconds_sum"]), 0)
        self.assertGreaterEqual(float(read["assay_decision_seconds_sum"]),
                                float(read["assay_decision_greatest_seconds"]))

    def test_stopped_trials_teach_what_is_foretold(self):
        """The curves fall alike from where their parameter x puts them, also across a crash."""
        study = ask_tell_study("foretold", early_stopping={"name": "auto"},
                               algorithm={"name": "random"}, seed=5)
        study["parameters"] = [{"name": name, "type": "double", "min": 0, "max": 1}
                               for name in ("x", "y")]
        self.submit(study)
        path = f"{STUDIES}/foretold"
        fall = [3 * math.exp(-step / 4) for step in range(1, 25)]
        for count in range(40):
            if count == 25:
                self.daemon.kill()
                self.daemon.start()
            asked = self.call("POST", path + "/suggestions", {"count": 1})["trials"][0]
            trial = f"{path}/trials/{asked['number']}"
            for step, fallen in enumerate(fall, 1):
                metrics = {"loss": asked["parameters"]["x"] + fallen}
                answer = self.call("POST", trial + "/measurements", {
                    "measurements": [{"step": step, "metrics": metrics}]})
                if answer["stop"]:
                    break
            self.call("POST", trial + "/complete", {"state": "succeeded", "metrics": metrics})
        trials = self.call("GET", path + "/trials?page_size=100")["trials"]
        best = min(trial["value"] for trial in trials)
        stopped = [trial for trial in trials if trial["state"] == "stopped"]
        self.assertGreater(len(stopped), 8)
        for trial in stopped:
            forecast = trial["why"]["forecast"]
            self.assertEqual(forecast["metric"], "loss")
            self.assertGreaterEqual(forecast["trials"], 3)
            self.assertAlmostEqual(forecast["value"],
                                   max(trial["parameters"]["x"] + fall[-1], best), places=9)
            self.assertGreater(trial["value"], forecast["value"])
        for trial in trials:
            self.assertEqual("forecast" in trial["why"], trial["state"] == "stopped")
        # By the last values, which depend on when a trial was stopped, it would not be so plain.
        importance = self.call("GET", path + "/importance?method=fanova")["importance"]
        self.assertEqual(importance[0]["parameter"], "x")
        self.assertGreater(importance[0]["importance"], 0.9)

    def test_auto_decides_the_same_after_a_crash(self):
        stops = {}
        for name, crashes in (("steady", ()), ("crashing", (8, 15))):
            self.submit(ask_tell_study(name, early_stopping={"name": "auto"}))
            stops[name] = []
            for trial in range(24):
                if trial in crashes:
                    self.daemon.kill()
                    self.daemon.start()
                level = (trial * 7 % 24) / 24
                stops[name].append(self.tell_curve(f"{STUDIES}/{name}", [
                    level + math.exp(-step / 6) for step in range(1, 31)]))
        self.assertEqual(stops["steady"], stops["crashing"])
        self.assertGreater(sum(stop is not None for stop in stops["steady"]), 8)
        stopped = self.call("GET", f"{STUDIES}/crashing/trials?state=stopped")["trials"][-1]
        self.assertEqual(stopped["why"]["stop"]["rule"], "auto")
        self.assertGreater(stopped["why"]["stop"]["value"], stopped["why"]["stop"]["threshold"])
        self.assertIn("chance to become the best", stopped["message"])

