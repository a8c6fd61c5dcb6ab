"""Idempotency-Key: the same request again answers as the first time."""

import threading
import uuid

from service import ApiTest, Client, study_file


def key():
    return {"Idempotency-Key": uuid.uuid4().hex}


class Idempotency(ApiTest):
    def test_create(self):
        for study in (study_file(), study_file(name=None, seed=None)):
            headers = key()
            first = self.api.post(self.api.studies, study, headers=headers)
            self.assertEqual(first.status, 201)
            self.assertIsNone(first.headers["Idempotency-Replayed"])
            again = self.api.post(self.api.studies, study, headers=headers)
            self.assertEqual(again.status, 201)
            self.assertEqual(again.headers["Idempotency-Replayed"], "true")
            self.assertEqual(again.json, first.json)
            self.assertEqual(again.headers["Location"], first.headers["Location"])
            stored = self.api.get(self.api.path(first.json["name"])).json
            self.assertEqual(stored["created_at"], first.json["created_at"])
            self.assertEqual(stored["spec"], first.json["spec"])

    def test_other_body(self):
        headers = key()
        self.assertEqual(self.api.post(self.api.studies, study_file(), headers=headers).status, 201)
        answer = self.api.post(self.api.studies, study_file(), headers=headers)
        self.refused(answer, 409, "idempotency_mismatch")

    def test_other_path(self):
        headers, one, two = key(), self.api.create(), self.api.create()
        self.assertEqual(self.api.post(self.api.path(one, "/suggestions"), {},
                                       headers=headers).status, 200)
        self.refused(self.api.post(self.api.path(two, "/suggestions"), {}, headers=headers), 409,
                     "idempotency_mismatch")

    def test_failures_are_not_remembered(self):
        headers = key()
        bad = study_file(limits={"trials": -1})
        self.refused(self.api.post(self.api.studies, bad, headers=headers), 422, "invalid_study")
        self.refused(self.api.post(self.api.studies, bad, headers=headers), 422, "invalid_study")
        good = self.api.post(self.api.studies, study_file(), headers=headers)
        self.assertEqual(good.status, 201)

    def test_taken_name_with_a_key(self):
        name = self.api.create()
        answer = self.api.post(self.api.studies, study_file(name=name), headers=key())
        self.refused(answer, 409, "study_exists")

    def test_ask(self):
        name, headers = self.api.create(), key()
        target, body = self.api.path(name, "/suggestions"), {"count": 2}
        first = self.api.post(target, body, headers=headers)
        again = self.api.post(target, body, headers=headers)
        self.assertEqual(again.json, first.json)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        other = self.api.post(target, body, headers=key())
        self.assertNotEqual(other.json["trials"], first.json["trials"])
        self.assertEqual(len(self.api.get(self.api.path(name, "/trials")).json["trials"]), 4)

    def test_add(self):
        name, headers = self.api.create(), key()
        body = {"trials": [{"parameters": {"x": 0.5}}]}
        for _ in range(3):
            answer = self.api.post(self.api.path(name, "/trials"), body, headers=headers)
            self.assertEqual((answer.status, answer.json["trials"][0]["number"]), (201, 1))
        self.assertEqual(len(self.api.get(self.api.path(name, "/trials")).json["trials"]), 1)

    def test_malformed_keys(self):
        name = self.api.create()
        for bad in ("", "x" * 256, "caf\u00e9"):
            answer = self.api.post(self.api.path(name, "/suggestions"), {},
                                   headers={"Idempotency-Key": bad})
            self.refused(answer, 400, "bad_request")

    def test_at_the_same_time(self):
        headers, study, answers = key(), study_file(), []
        barrier = threading.Barrier(12)

        def post():
            api = Client()
            barrier.wait()
            answers.append(api.post(api.studies, study, headers=headers))
            api.close()
        threads = [threading.Thread(target=post) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({a.status for a in answers}, {201})
        self.assertEqual(len({a.body for a in answers}), 1)
        self.assertEqual(sum(a.headers["Idempotency-Replayed"] is None for a in answers), 1)

    def test_keys_belong_to_projects(self):
        project, headers = "p-" + uuid.uuid4().hex[:8], key()
        self.api.post("/v1/projects", {"name": project})
        other = self.client(project=project)
        self.assertEqual(self.api.post(self.api.studies, study_file(), headers=headers).status, 201)
        self.assertEqual(other.post(other.studies, study_file(), headers=headers).status, 201)
