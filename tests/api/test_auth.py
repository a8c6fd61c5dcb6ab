"""Who may do what."""

import sys
import time

from service import ApiTest, contract, fresh_name


class Tokens(ApiTest):
    def setUp(self):
        super().setUp()
        self.project = fresh_name("p")
        self.api.post("/v1/projects", {"name": self.project})
        self.tokens = {}
        for role in ("viewer", "editor", "admin"):
            answer = self.api.post(f"/v1/projects/{self.project}/tokens",
                                   {"name": role, "role": role})
            self.assertEqual(answer.status, 201)
            self.tokens[role] = answer.json

    def as_role(self, role):
        return self.client(token=self.tokens[role]["token"], project=self.project)

    def test_whoami(self):
        self.assertEqual(self.api.get("/v1/whoami").json, {"role": "admin", "projects": ["*"]})
        for role in self.tokens:
            self.assertEqual(self.as_role(role).get("/v1/whoami").json,
                             {"role": role, "projects": [self.project]})

    def test_no_token_or_a_wrong_one(self):
        for headers in ({"Authorization": ""}, {"Authorization": "Basic eDp5"},
                        {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
                        {"Authorization": "Bearer nope"}, {"Authorization": "Bearer a b"},
                        {"Authorization": "Bearer " + "x" * 5000},
                        {"Authorization": "Bearer assay_trial_1.1.1." + "0" * 64},
                        {"Authorization": "Bearer caf\u00e9"}):
            with self.subTest(headers=str(headers)[:60]):
                answer = self.api.get("/v1/whoami", headers=headers)
                self.refused(answer, 401, "unauthorized")
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"))
        answer = self.client(token="").get(self.api.studies)
        self.refused(answer, 401, "unauthorized")

    def test_every_route_wants_a_token(self):
        client = self.client(token="")
        for path, item in contract().document["paths"].items():
            for method, operation in item.items():
                if method not in ("get", "post", "patch", "delete") or "security" in operation:
                    continue
                target = path.replace("{number}", "1").replace("{project}", "default").replace(
                    "{study}", "s").replace("{token_id}", "1")
                answer = client.request(method.upper(), target)
                self.refused(answer, 401, "unauthorized")

    def test_roles(self):
        viewer, editor, admin = (self.as_role(r) for r in ("viewer", "editor", "admin"))
        name = editor.create()
        editor.ask(name)
        for client in (viewer, editor, admin):
            self.assertEqual(client.get(client.path(name)).status, 200)
            self.assertEqual(client.get(client.path(name, "/events")).status, 200)
        for method, rest, body in (("POST", "/suggestions", {}), ("POST", "/pause", None),
                                   ("PATCH", "", {"limits": {"trials": 3}}),
                                   ("DELETE", "", None), ("POST", "/batch", {}),
                                   ("POST", "/trials", {"trials": []}),
                                   ("POST", "/trials/1/stop", None),
                                   ("POST", "/trials/1/measurements", {"measurements": []}),
                                   ("POST", "/trials/1/complete", {"state": "failed"})):
            answer = viewer.request(method, viewer.path(name, rest), body)
            self.refused(answer, 403, "forbidden")
        self.refused(viewer.post(viewer.studies, {}), 403, "forbidden")
        tokens = f"/v1/projects/{self.project}/tokens"
        for client in (viewer, editor):
            self.refused(client.get(tokens), 403, "forbidden")
            self.refused(client.post(tokens, {"name": "x", "role": "admin"}), 403, "forbidden")
        self.assertEqual(admin.get(tokens).status, 200)
        self.refused(admin.post("/v1/projects", {"name": fresh_name("p")}), 403, "forbidden")

    def test_other_project(self):
        for role in self.tokens:
            client = self.as_role(role)
            self.refused(client.get("/v1/projects/default/studies"), 403, "forbidden")
            self.refused(client.get("/v1/projects/nowhere/studies"), 403, "forbidden")
            names = [p["name"] for p in client.get("/v1/projects").json["projects"]]
            self.assertEqual(names, [self.project])

    def test_list_and_delete(self):
        target = f"/v1/projects/{self.project}/tokens"
        listed = self.api.get(target).json["tokens"]
        self.assertEqual([t["name"] for t in listed], ["viewer", "editor", "admin"])
        self.assertNotIn("token", listed[0])
        viewer = self.as_role("viewer")
        self.assertEqual(viewer.get("/v1/whoami").status, 200)
        self.assertEqual(self.api.request(
            "DELETE", f"{target}/{self.tokens['viewer']['id']}").status, 204)
        self.refused(viewer.get("/v1/whoami"), 401, "unauthorized")
        self.refused(self.api.request("DELETE", f"{target}/{self.tokens['viewer']['id']}"),
                     404, "not_found")
        self.refused(self.api.request("DELETE", f"{target}/x"), 404, "not_found")
        self.refused(self.api.request("DELETE", f"/v1/projects/default/tokens/"
                                      f"{self.tokens['editor']['id']}"), 404, "not_found")
        self.assertEqual(self.as_role("editor").get("/v1/whoami").status, 200)

    def test_faults(self):
        target = f"/v1/projects/{self.project}/tokens"
        for body, pointer in (({}, "/name"), ({"name": "x"}, "/role"),
                              ({"name": "x", "role": "owner"}, "/role"),
                              ({"name": "", "role": "viewer"}, "/name"),
                              ({"name": "x", "role": "viewer", "scope": 1}, "/scope")):
            self.refused(self.api.post(target, body), 422, "invalid_value", pointer)
        self.assertEqual(self.api.post(target, {"name": "viewer", "role": "admin"}).status, 409)
        self.refused(self.api.post("/v1/projects/nowhere/tokens", {"name": "x", "role": "admin"}),
                     404, "not_found")
        self.refused(self.api.get("/v1/projects/nowhere/tokens"), 404, "not_found")

    def test_projects(self):
        self.assertEqual(self.api.post("/v1/projects", {"name": self.project}).status, 409)
        for body, pointer in (({}, "/name"), ({"name": "Big"}, "/name"), ({"name": 7}, "/name"),
                              ({"name": "x" * 64}, "/name"), ({"nam": "x"}, "/nam")):
            self.refused(self.api.post("/v1/projects", body), 422, "invalid_value", pointer)

    def test_token_hidden_by_case(self):
        answer = self.client(token="").get(
            "/v1/whoami", headers={"Authorization": "bearer " + self.tokens["viewer"]["token"]})
        self.assertEqual(answer.status, 200)


class TrialTokens(ApiTest):
    """A trial's own token, as its command finds it."""

    SCRIPT = "import os, time\nprint(os.environ['ASSAY_TOKEN'], flush=True)\ntime.sleep(900)\n"

    def setUp(self):
        super().setUp()
        self.name = self.api.create(limits={"trials": 2, "parallel": 2}, trial={
            "command": [sys.executable, "-c", self.SCRIPT], "resources": {"cpus": 0.1}})
        self.addCleanup(self.api.request, "DELETE", self.api.path(self.name) + "?force=true")
        self.token = self.read_token(1)
        self.read_token(2)

    def read_token(self, number):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            answer = self.api.get(self.api.path(self.name, f"/trials/{number}/logs"))
            if answer.status == 200 and answer.body.endswith(b"\n"):
                return answer.body.decode().strip()
            time.sleep(0.02)
        self.fail("the trial did not start")

    def test_only_its_trial(self):
        client = self.client(token=self.token)
        own = client.path(self.name, "/trials/1")
        self.assertEqual(client.get(own).status, 200)
        self.assertEqual(client.get(own + "/measurements").status, 200)
        self.assertEqual(client.get(own + "/logs").status, 200)
        self.assertEqual(client.report(self.name, 1, 0.5), {"stop": False})
        for method, rest, body in (
                ("GET", "", None), ("GET", "/trials", None), ("GET", "/trials/2", None),
                ("GET", "/best", None), ("GET", "/events", None), ("POST", "/suggestions", {}),
                ("POST", "/trials/2/complete", {"state": "failed"}),
                ("POST", "/trials/2/measurements", {"measurements": []}),
                ("POST", "/trials/1/stop", None), ("POST", "/batch", {}), ("DELETE", "", None)):
            with self.subTest(method=method, rest=rest):
                answer = client.request(method, client.path(self.name, rest), body)
                self.refused(answer, 403, "forbidden")
        for target in ("/v1/projects", "/v1/whoami", "/v1/algorithms", "/metrics",
                       "/v1/projects/default/studies"):
            self.refused(client.get(target), 403, "forbidden")
        other = self.api.create()
        self.api.ask(other)
        self.refused(client.get(client.path(other, "/trials/1")), 403, "forbidden")
        self.refused(client.post(client.path(other, "/trials/1/measurements"),
                                 {"measurements": []}), 403, "forbidden")
        done = client.post(client.path(self.name, "/trials/1/complete"),
                           {"state": "succeeded", "metrics": {"loss": 0.25}})
        self.assertEqual(done.status, 200, done.body)

    def test_forged(self):
        good = self.token
        text, mac = good.rsplit(".", 1)
        prefix, trial, attempt = text.rsplit(".", 2)
        for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), f"{prefix}.2.{attempt}.{mac}",
                    f"{prefix}.{trial}.2.{mac}", good + "0", text + ".", good.upper()):
            answer = self.client(token=bad).get(self.api.path(self.name, "/trials/1"))
            self.refused(answer, 401, "unauthorized")
