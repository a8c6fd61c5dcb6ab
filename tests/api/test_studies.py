"""Studies: submit, list, show, change, end, delete."""

import pathlib
import shutil
import tempfile
import threading
import time

from service import ApiTest, fresh_name, study_file

YAML = """\
name: NAME
objective: {metric: loss, goal: minimize}
parameters:
  - {name: x, type: double, min: 0, max: 1}
algorithm: {name: random}
limits: {trials: 5}
"""


class Create(ApiTest):
    def test_create_and_show(self):
        study = study_file(limits={"trials": 3})
        answer = self.api.post(self.api.studies, study)
        self.assertEqual(answer.status, 201)
        self.assertEqual(answer.headers["Location"], self.api.path(study["name"]))
        made = answer.json
        self.assertEqual(made["state"], "running")
        self.assertEqual(made["runs_trials"], False)
        self.assertEqual(made["spec"]["limits"]["trials"], 3)
        shown = self.api.get(answer.headers["Location"])
        self.assertEqual(shown.json, made)

    def test_yaml(self):
        name = fresh_name()
        for kind in ("application/yaml", "text/yaml; charset=utf-8", "application/x-yaml"):
            answer = self.api.post(self.api.studies + "?dry_run=true",
                                   YAML.replace("NAME", name).encode(), kind=kind)
            self.assertEqual(answer.status, 200, answer.body)
            self.assertTrue(answer.json["valid"])
        self.assertEqual(self.api.get(self.api.path(name)).status, 404)

    def test_what_becomes_of_a_budget_is_noted(self):
        for algorithm, said in (("auto", "auto does as asha does"), ("tpe", "all 9 epochs")):
            answer = self.api.post(self.api.studies + "?dry_run=true", study_file(
                algorithm={"name": algorithm}, budget={"name": "epochs", "max": 9}))
            self.assertEqual(answer.status, 200, answer.body)
            self.assertEqual(answer.json["notes"][0]["pointer"], "/budget")
            self.assertIn(said, answer.json["notes"][0]["message"])

    def test_yaml_faults_have_lines(self):
        text = YAML.replace("NAME", fresh_name()).replace("min: 0", "min: 3").encode()
        answer = self.api.post(self.api.studies, text, kind="application/yaml")
        self.refused(answer, 422, "invalid_study")
        self.assertEqual(answer.json["errors"][0]["line"], 4)

    def test_broken_yaml(self):
        answer = self.api.post(self.api.studies, b"a: [1, 2\nb: {", kind="application/yaml")
        self.refused(answer, 400, "invalid_yaml")

    def test_name_is_generated(self):
        answer = self.api.post(self.api.studies, study_file(name=None))
        self.assertEqual(answer.status, 201)
        self.assertRegex(answer.json["name"], "^[a-z0-9][a-z0-9._-]{0,62}$")

    def test_taken_name(self):
        name = self.api.create()
        self.refused(self.api.post(self.api.studies, study_file(name=name)), 409, "study_exists")

    def test_unknown_project(self):
        api = self.client(project="nowhere")
        self.refused(api.post(api.studies, study_file()), 404, "not_found")
        self.refused(api.get(api.studies), 404, "not_found")

    def test_other_project_in_the_file(self):
        answer = self.api.post(self.api.studies, study_file(project="elsewhere"))
        self.refused(answer, 422, "invalid_study", "/project")


class Faults(ApiTest):
    """Every fault of a study file that the design names, each at its place."""

    def test_each_fault(self):
        x = {"name": "x", "type": "double", "min": 0, "max": 1}
        table = [
            ({"algoritm": {"name": "random"}}, "/algoritm"),
            ({"parameters": [dict(x, min=3)]}, "/parameters/0/min"),
            ({"parameters": [dict(x, scale="log")]}, "/parameters/0/min"),
            ({"parameters": [dict(x, step=0)]}, "/parameters/0/step"),
            ({"parameters": [dict(x, step=-1)]}, "/parameters/0/step"),
            ({"parameters": [x, x]}, "/parameters/1/name"),
            ({"parameters": [dict(x, type="dubble")]}, "/parameters/0/type"),
            ({"parameters": [dict(x, min="a")]}, "/parameters/0/min"),
            ({"parameters": [dict(x, default=7)]}, "/parameters/0/default"),
            ({"parameters": []}, "/parameters"),
            ({"parameters": None}, "/parameters"),
            ({"parameters": [x, {"name": "y", "type": "bool", "when": {"z": [1]}}]},
             "/parameters/1/when/z"),
            ({"parameters": [{"name": "o", "type": "categorical", "values": ["a", "b"]},
                             {"name": "y", "type": "bool", "when": {"o": ["c"]}}]},
             "/parameters/1/when/o/0"),
            ({"parameters": [{"name": "o", "type": "categorical", "values": []}]},
             "/parameters/0/values"),
            ({"objective": {"metric": "loss", "goal": "shrink"}}, "/objective/goal"),
            ({"objective": None}, "/objective"),
            ({"algorithm": {"name": "rondom"}}, "/algorithm/name"),
            ({"algorithm": {"name": "random", "settings": {"no_such": 1}}},
             "/algorithm/settings/no_such"),
            ({"limits": {"trials": -1}}, "/limits/trials"),
            ({"limits": {"time": "soon"}}, "/limits/time"),
            ({"start_with": [{"x": 7}]}, "/start_with/0/x"),
            ({"name": "Not A Name"}, "/name"),
            ({"seed": -1}, "/seed"),
            ({"trial": {"command": ["echo", "${nope}"]}}, "/trial/command/1"),
            ({"trial": {"command": []}}, "/trial/command"),
        ]
        for change, pointer in table:
            with self.subTest(pointer=pointer, change=str(change)[:100]):
                answer = self.api.post(self.api.studies, study_file(**change))
                self.refused(answer, 422, "invalid_study", pointer)

    def test_cycle(self):
        answer = self.api.post(self.api.studies, study_file(parameters=[
            {"name": "a", "type": "bool", "when": {"b": [True]}},
            {"name": "b", "type": "bool", "when": {"a": [True]}}]))
        self.refused(answer, 422, "invalid_study")

    def test_all_faults_at_once_and_nothing_is_made(self):
        name = fresh_name()
        answer = self.api.post(self.api.studies, study_file(
            name=name, algoritm=1, limits={"trials": -1},
            parameters=[{"name": "x", "type": "double", "min": 3, "max": 1}]))
        self.refused(answer, 422, "invalid_study", "/algoritm", "/limits/trials",
                     "/parameters/0/min")
        self.assertIn("did you mean", answer.body.decode())
        self.assertEqual(self.api.get(self.api.path(name)).status, 404)

    def test_a_study_that_is_no_object(self):
        for body in (b"[]", b"7", b'"x"', b"null", b"true"):
            self.refused(self.api.post(self.api.studies, body), 422, "invalid_study")


class Change(ApiTest):
    def test_patch(self):
        name = self.api.create()
        answer = self.api.request("PATCH", self.api.path(name), {"limits": {"trials": 7}})
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.json["limits"]["trials"], 7)
        self.assertEqual(self.api.get(self.api.path(name)).json["spec"]["limits"]["trials"], 7)

    def test_patch_faults(self):
        name = self.api.create()
        for body, pointer in (({"limits": {"trils": 7}}, "/limits/trils"),
                              ({"limits": {"trials": "many"}}, "/limits/trials"),
                              ({"algorithm": {"name": "tpe"}}, "/algorithm"), ([], "")):
            answer = self.api.request("PATCH", self.api.path(name), body)
            self.refused(answer, 422, "invalid_value", pointer)

    def test_pause_resume_cancel(self):
        name = self.api.create()
        self.assertEqual(len(self.api.ask(name)), 1)
        for verb, state in (("pause", "paused"), ("pause", "paused"), ("resume", "running"),
                            ("resume", "running"), ("pause", "paused")):
            answer = self.api.post(self.api.path(name, "/" + verb))
            self.assertEqual((answer.status, answer.json["state"]), (200, state))
        answer = self.api.post(self.api.path(name, "/suggestions"), {"client": "other"}).json
        self.assertEqual((answer["trials"], answer["study_state"]), ([], "paused"))
        self.assertIn(self.api.post(self.api.path(name, "/cancel")).status, (200,))
        done = self.api.get(self.api.path(name) + "?until=final&wait=60s").json
        self.assertEqual((done["state"], done["reason"]), ("cancelled", "cancelled_by_user"))
        self.assertEqual(done["trials"]["cancelled"], 1)
        self.assertEqual(self.api.post(self.api.path(name, "/cancel")).status, 200)
        for verb in ("pause", "resume"):
            self.refused(self.api.post(self.api.path(name, "/" + verb)), 409, "study_finished")
        self.refused(self.api.request("PATCH", self.api.path(name), {"limits": {"trials": 7}}),
                     409, "study_finished")

    def test_delete(self):
        name = self.api.create()
        self.api.ask(name)
        self.refused(self.api.request("DELETE", self.api.path(name)), 409, "conflict")
        self.assertEqual(
            self.api.request("DELETE", self.api.path(name) + "?force=true").status, 202)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.api.get(self.api.path(name)).status != 404:
            time.sleep(0.05)
        self.refused(self.api.get(self.api.path(name)), 404, "not_found")
        self.refused(self.api.get(self.api.path(name, "/trials")), 404, "not_found")
        self.refused(self.api.post(self.api.path(name, "/suggestions"), {}), 404, "not_found")
        self.refused(self.api.post(self.api.path(name, "/batch"), {"ask": {}}), 404, "not_found")

    def test_delete_of_an_ended_study_and_its_name_again(self):
        name = self.api.create(limits={"trials": 1})
        number = self.api.ask(name)[0]["number"]
        self.api.tell(name, number, 0.5)
        self.assertEqual(self.api.get(self.api.path(name) + "?until=final&wait=60s").json["state"],
                         "succeeded")
        self.assertEqual(self.api.request("DELETE", self.api.path(name)).status, 204)
        self.assertEqual(self.api.request("DELETE", self.api.path(name)).status, 404)
        self.api.create(name=name)
        self.assertEqual(self.api.ask(name)[0]["number"], 1)

    def until(self, condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def test_delete_waits_for_the_last_process(self):
        """Of a study that has ended and of one that lives: a process that takes its time to end
        is awaited, and without force told of."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-api-"))
        folder.chmod(0o777)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        trials = self.daemon.data.resolve() / "trials"
        for ended in (True, False):
            begun, asked, gate = (folder / f"{word}-{ended}" for word in ("begun", "asked", "gate"))
            name = self.api.create(limits={"trials": 1}, trial={"grace": "1h", "command": [
                "/bin/sh", "-c", f"trap 'touch {asked}' TERM; "
                f"echo $ASSAY_OUTPUT_DIR > {begun}.new; mv {begun}.new {begun}; until test -e {gate}; do sleep 0.05; done"]})
            self.addCleanup(gate.touch)
            path = self.api.path(name)
            self.until(begun.exists, "the trial has begun")
            kept = trials / pathlib.Path(begun.read_text().strip()).relative_to(trials).parts[0]
            self.assertTrue(kept.exists())
            if ended:  # somebody else has told its result; its process does not know
                self.api.tell(name, 1, 0.5)
                self.assertEqual(self.api.get(path + "?until=final&wait=60s").json["state"],
                                 "succeeded")
            answer = self.api.request("DELETE", path)
            self.refused(answer, 409, "conflict")
            self.assertIn("force=true", answer.json["detail"])
            if ended:
                self.assertIn("a process of trial 1 is still ending", answer.json["detail"])
            self.assertFalse(asked.exists())
            self.assertEqual(self.api.request("DELETE", path + "?force=true").status, 202)
            self.until(asked.exists, "the process is asked to end")
            self.assertEqual(self.api.request("DELETE", path + "?force=true").status, 202)
            self.refused(self.api.request("DELETE", path), 409, "conflict")
            self.assertEqual(self.api.get(path).json["state"],
                             "succeeded" if ended else "stopping")
            gate.touch()
            self.until(lambda: self.api.get(path).status == 404, "the study is deleted")
            self.until(lambda: not kept.exists(), "its folder is removed")
            self.assertEqual(self.api.request("DELETE", path + "?force=true").status, 404)
            self.api.create(name=name)

    def test_verbs_take_no_body(self):
        name = self.api.create()
        self.assertEqual(self.api.post(self.api.path(name, "/pause"), {}).status, 200)
        self.refused(self.api.post(self.api.path(name, "/pause"), {"force": 1}), 400, "bad_request")
        self.refused(self.api.post(self.api.path(name, "/pause"), b" " * 5000), 400, "bad_request")


class List(ApiTest):
    def setUp(self):
        super().setUp()
        project = fresh_name("p")
        self.assertEqual(self.api.post("/v1/projects", {"name": project}).status, 201)
        self.mine = self.client(project=project)
        self.names = [self.mine.create(name=f"{word}-{i}") for i, word in
                      enumerate(["delta", "alpha", "echo", "bravo", "charlie"])]

    def listed(self, query=""):
        answer = self.mine.get(self.mine.studies + query)
        self.assertEqual(answer.status, 200, answer.body)
        return [study["name"] for study in answer.json["studies"]]

    def test_sorts(self):
        self.assertEqual(self.listed(), self.names[::-1])
        self.assertEqual(self.listed("?sort=created_at"), self.names)
        self.assertEqual(self.listed("?sort=name"), sorted(self.names))
        self.assertEqual(self.listed("?sort=-name"), sorted(self.names, reverse=True))

    def test_pages(self):
        for sort in ("name", "-name", "created_at", "-created_at"):
            whole, got, token = self.listed("?sort=" + sort), [], None
            while True:
                page = self.mine.get(self.mine.studies + f"?sort={sort}&page_size=2" +
                                     (f"&page_token={token}" if token else "")).json
                got += [study["name"] for study in page["studies"]]
                token = page["next_page_token"]
                if token is None:
                    break
                self.assertEqual(len(page["studies"]), 2)
            self.assertEqual(got, whole)

    def test_filters(self):
        self.mine.post(self.mine.path(self.names[0], "/pause"))
        self.assertEqual(self.listed("?state=paused"), [self.names[0]])
        self.assertEqual(len(self.listed("?state=paused,running")), 5)
        self.assertEqual(self.listed("?name=br"), ["bravo-3"])
        self.assertEqual(self.listed("?name=b%25"), [])

    def test_fields(self):
        answer = self.mine.get(self.mine.studies + "?fields=name,state", trimmed=True).json
        self.assertEqual(set(answer["studies"][0]), {"name", "state"})
        answer = self.mine.get(self.mine.path(self.names[0]) + "?fields=state", trimmed=True).json
        self.assertEqual(answer, {"state": "running"})

    def test_bad_queries(self):
        for query, pointer in (("state=sleeping", "?state"), ("sort=size", "?sort"),
                               ("page_size=0", "?page_size"), ("page_size=1001", "?page_size"),
                               ("page_size=x", "?page_size"), ("fields=nam", "?fields"),
                               ("colour=red", "?colour"), ("wait=2h", "?wait"),
                               ("wait=soon", "?wait"), ("name=a&name=b", "?name")):
            with self.subTest(query):
                answer = self.mine.get(self.mine.studies + "?" + query)
                self.refused(answer, 400, "bad_request", pointer)
        self.refused(self.mine.get(self.mine.studies + "?page_token=zz"), 400, "bad_request")


class Wait(ApiTest):
    def test_etag(self):
        name = self.api.create()
        first = self.api.get(self.api.path(name))
        self.assertRegex(first.etag, '^"[0-9a-f]{32}"$')
        for tag in (first.etag, "*", f'"x", {first.etag}', "W/" + first.etag):
            again = self.api.get(self.api.path(name), headers={"If-None-Match": tag})
            self.assertEqual((again.status, again.etag, again.body), (304, first.etag, b""))
        self.api.ask(name)
        changed = self.api.get(self.api.path(name), headers={"If-None-Match": first.etag})
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.etag, first.etag)

    def later(self, seconds, *calls):
        """Each call, the name of a client's and its arguments, so long after the one before."""
        client = self.client()

        def run():
            for call, *arguments in calls:
                time.sleep(seconds)
                getattr(client, call)(*arguments)
        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)

    def test_wait_with_etag(self):
        name = self.api.create()
        tag = self.api.get(self.api.path(name)).etag
        start = time.monotonic()
        answer = self.api.get(self.api.path(name) + "?wait=300ms", headers={"If-None-Match": tag})
        self.assertEqual(answer.status, 304)
        self.assertGreaterEqual(time.monotonic() - start, 0.29)
        self.later(0.3, ("ask", name))
        start = time.monotonic()
        answer = self.api.get(self.api.path(name) + "?wait=60s", headers={"If-None-Match": tag})
        self.assertEqual(answer.status, 200)
        self.assertLess(time.monotonic() - start, 59)
        self.assertEqual(answer.json["trials"]["running"], 1)

    def test_wait_without_etag(self):
        name = self.api.create()
        start = time.monotonic()
        with self.meanwhile(lambda api: api.ask(name, 1, fresh_name("w"))):
            answer = self.api.get(self.api.path(name, "/trials") + "?wait=60s")
        self.assertGreater(len(answer.json["trials"]), 0)
        self.assertLess(time.monotonic() - start, 59)

    def test_wait_until_final(self):
        name = self.api.create(limits={"trials": 1})
        number = self.api.ask(name)[0]["number"]
        self.later(0.3, ("report", name, number, 0.7), ("tell", name, number, 0.5))
        answer = self.api.get(self.api.path(name) + "?wait=60s&until=final")
        self.assertEqual(answer.json["state"], "succeeded")
        start = time.monotonic()
        self.api.get(self.api.path(name) + "?wait=60s")
        self.api.get(self.api.path(name, "/best") + "?wait=60s&until=final")
        self.assertLess(time.monotonic() - start, 59)

    def test_wait_for_a_trial(self):
        name = self.api.create()
        number = self.api.ask(name)[0]["number"]
        self.later(0.3, ("tell", name, number, 0.5))
        answer = self.api.get(self.api.path(name, f"/trials/{number}") + "?wait=60s&until=final")
        self.assertEqual(answer.json["state"], "succeeded")

    def test_wait_on_the_list(self):
        tag = self.api.get(self.api.studies + "?name=waited").etag
        self.later(0.3, ("create",))
        answer = self.api.get(self.api.studies + "?name=waited&wait=500ms",
                              headers={"If-None-Match": tag})
        self.assertEqual(answer.status, 304)

    def test_study_deleted_while_waited_for(self):
        name = self.api.create()
        tag = self.api.get(self.api.path(name)).etag
        self.later(0.3, ("request", "DELETE", self.api.path(name) + "?force=true"))
        for _ in range(20):
            answer = self.api.get(self.api.path(name) + "?wait=5s",
                                  headers={"If-None-Match": tag})
            if answer.status == 404:
                return
            tag = answer.etag
        self.fail("the deletion was not seen")
