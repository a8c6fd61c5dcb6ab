"""Katib Experiments: submitted, refused at their own places, shown with Katib's status."""

import pathlib
import re

from service import ApiTest, fresh_name

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "katib"
REFUSED = ("27-nas", "32-trial-configmap-source", "32b-trial-template-broken")


class Submit(ApiTest):
    def post(self, text, query="?dry_run=true"):
        return self.api.post(self.api.studies + query, text.encode(), kind="application/yaml")

    def test_every_form(self):
        for path in sorted(FOLDER.glob("*.yaml")):
            with self.subTest(path.stem):
                answer = self.post(path.read_text())
                if path.stem in REFUSED:
                    self.refused(answer, 422, "invalid_study")
                    for fault in answer.json["errors"]:
                        self.assertTrue(fault["pointer"].startswith("/spec/"), fault)
                        self.assertGreater(fault["line"], 1)
                else:
                    self.assertEqual(answer.status, 200, answer.body)
                    self.assertIn("template", answer.json["spec"]["trial"]["kubernetes"])
                    self.assertEqual(answer.json["spec"]["origin"]["system"], "katib")

    def test_json_and_notes(self):
        experiment = {
            "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
            "metadata": {"name": fresh_name()[:30].replace(".", "-").replace("_", "-")},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {"algorithmName": "cmaes", "algorithmSettings": [
                    {"name": "sigma", "value": "0.3"}]},
                "parameters": [
                    {"name": name, "parameterType": "double",
                     "feasibleSpace": {"min": "0", "max": "1"}} for name in ("x", "y")],
                "trialTemplate": {
                    "primaryContainerName": "main", "trialParameters": [
                        {"name": "x", "reference": "x"}, {"name": "y", "reference": "y"}],
                    "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {
                        "spec": {"containers": [{"name": "main", "image": "i", "args": [
                            "${trialParameters.x}", "${trialParameters.y}"]}]}}}}}}}
        answer = self.api.post(self.api.studies + "?dry_run=true", experiment)
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["notes"][0]["pointer"],
                         "/spec/algorithm/algorithmSettings/0")

    def test_what_can_not_run_here_says_so(self):
        text = (FOLDER / "12-random.yaml").read_text()
        answer = self.post(text, "")
        self.refused(answer, 422, "invalid_study", "/spec/trialTemplate")
        self.assertIn("has no cluster to run trials on", answer.json["errors"][0]["message"])

    def test_a_template_in_a_config_map_needs_a_cluster(self):
        """All other faults are told with that."""
        text = (FOLDER / "32-trial-configmap-source.yaml").read_text()
        for query in ("", "?dry_run=true"):
            answer = self.post(text.replace('min: "0.01"', "min: no"), query)
            self.refused(answer, 422, "invalid_study", "/spec/trialTemplate/configMap")
            faults = {e["pointer"]: e for e in answer.json["errors"]}
            self.assertEqual(set(faults), {"/spec/trialTemplate/configMap",
                                           "/spec/parameters/0/feasibleSpace/min"})
            fault = faults["/spec/trialTemplate/configMap"]
            self.assertIn("has no cluster to read the ConfigMap trial-templates from",
                          fault["message"])
            self.assertEqual(fault["line"], 47)

    def test_faults_of_the_study_are_at_their_places(self):
        text = (FOLDER / "12-random.yaml").read_text()
        answer = self.post(re.sub(r"\blr\b", "learning rate", text))
        self.refused(answer, 422, "invalid_study", "/spec/parameters/0/name")

    def test_other_kinds(self):
        answer = self.post("apiVersion: kubeflow.org/v1beta1\nkind: Trial\n")
        self.refused(answer, 422, "invalid_study", "/kind")
        answer = self.post("apiVersion: kubeflow.org/v1\nkind: Experiment\n")
        self.refused(answer, 422, "invalid_study", "/apiVersion")

    def test_sweeps(self):
        answer = self.post("method: random\nmetric: {name: loss}\n"
                           "parameters: {x: {min: 0.0, max: 1.0}}\n")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["spec"]["parameters"][0]["type"], "double")


class View(ApiTest):
    def make(self, form, **change):
        """A study of an Experiment whose trials are asked for and told."""
        answer = self.api.post(self.api.studies + "?dry_run=true",
                               (FOLDER / f"{form}.yaml").read_bytes(), kind="application/yaml")
        spec = dict(answer.json["spec"], name=fresh_name(), **change)
        del spec["trial"]
        self.assertEqual(self.api.post(self.api.studies, spec).status, 201)
        return spec["name"]

    def view(self, name, final=False):
        answer = self.api.get(self.api.path(name) + "?view=katib" +
                              ("&wait=60s&until=final" if final else ""))
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json

    def tell(self, name, curves):
        for curve in curves:
            asked = self.api.post(self.api.path(name, "/suggestions"), {"count": 1})
            number = asked.json["trials"][0]["number"]
            trial = self.api.path(name, f"/trials/{number}")
            self.api.post(trial + "/measurements", {"measurements": [
                {"step": step, "metrics": {"loss": value}} for step, value in enumerate(curve, 1)]})
            done = self.api.post(trial + "/complete", {"state": "succeeded"})
            self.assertEqual(done.status, 200, done.body)

    def conditions(self, view):
        return {item["type"]: (item["status"], item["reason"])
                for item in view["status"]["conditions"]}

    def test_running_and_done(self):
        name = self.make("12-random", limits={"trials": 3, "parallel": 3})
        before = self.view(name)
        self.assertEqual(self.conditions(before), {"Created": ("True", "ExperimentCreated"),
                                                   "Running": ("True", "ExperimentRunning")})
        self.assertEqual(before["status"]["currentOptimalTrial"]["bestTrialName"], "")
        self.tell(name, [[0.9, 0.8], [0.5, 0.2, 0.7], [0.6, 0.4]])
        after = self.view(name, final=True)
        self.assertEqual(self.conditions(after)["Succeeded"],
                         ("True", "ExperimentMaxTrialsReached"))
        self.assertEqual(self.conditions(after)["Running"][0], "False")
        status = after["status"]
        self.assertEqual(status["trials"], 3)
        self.assertEqual(status["succeededTrialList"], [f"{name}-{i}" for i in (1, 2, 3)])
        best = status["currentOptimalTrial"]
        # Katib's strategy for what is minimised: the smallest value, not the last.
        self.assertEqual(best["bestTrialName"], f"{name}-2")
        self.assertEqual(best["observation"]["metrics"],
                         [{"name": "loss", "min": "0.2", "max": "0.7", "latest": "0.7"}])
        self.assertEqual({p["name"] for p in best["parameterAssignments"]}, {"lr", "momentum"})
        self.assertEqual(after["spec"]["maxTrialCount"], 3)
        self.assertEqual(after["spec"]["trialTemplate"]["primaryContainerName"],
                         "training-container")

    def test_goal(self):
        name = self.make("12-random")
        self.tell(name, [[0.5, 0.0001, 0.3]])
        self.assertEqual(self.conditions(self.view(name, final=True))["Succeeded"],
                         ("True", "ExperimentGoalReached"))

    def test_failures(self):
        name = self.make("12-random", limits={"trials": 9, "failed_trials": 0, "parallel": 1})
        number = self.api.post(self.api.path(name, "/suggestions"),
                               {"count": 1}).json["trials"][0]["number"]
        self.api.post(self.api.path(name, f"/trials/{number}/complete"), {"state": "failed"})
        view = self.view(name, final=True)
        self.assertEqual(self.conditions(view)["Failed"], ("True", "ExperimentFailed"))
        self.assertEqual(view["status"]["trialsFailed"], 1)
        self.assertEqual(view["spec"]["maxFailedTrialCount"], 1)

    def test_a_study_of_ours(self):
        name = self.api.create()
        view = self.view(name)
        self.assertEqual(view["kind"], "Experiment")
        self.assertEqual(view["spec"]["parameters"][0]["parameterType"], "double")

    def test_unknown_view(self):
        name = self.api.create()
        self.refused(self.api.get(self.api.path(name) + "?view=kubernetes"), 400, "bad_request")

    def test_the_value_told_last_need_not_count(self):
        name = self.make("12-random")
        number = self.api.post(self.api.path(name, "/suggestions"),
                               {"count": 1}).json["trials"][0]["number"]
        trial = self.api.path(name, f"/trials/{number}")
        self.api.post(trial + "/measurements", {"measurements": [
            {"step": 1, "metrics": {"loss": 0.2}}, {"step": 2, "metrics": {"loss": 0.6}}]})
        told = {"state": "succeeded", "metrics": {"loss": 0.6}}
        for _ in range(2):
            done = self.api.post(trial + "/complete", told)
            self.assertEqual(done.status, 200, done.body)
            self.assertEqual(done.json["value"], 0.2)
