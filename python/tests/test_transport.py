"""Connections, retries and errors, against a scripted server."""

from __future__ import annotations

import os
import pathlib
import re
import socket
import threading
import unittest
from typing import Any, List

import assay
from assay import errors
from assay._transport import Transport

from .fake_server import FakeServer, Reply, problem

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"


def refusing_port(case: unittest.TestCase) -> int:
    """A port where nobody listens, and that nobody else is given until the test has ended."""
    holder = socket.socket()
    case.addCleanup(holder.close)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    return port


class TransportTest(unittest.TestCase):
    def transport(self, server: FakeServer, retry_for: float = 30.0) -> Transport:
        self.pauses: List[float] = []
        made = Transport(server.url, "secret", 60.0, retry_for, sleep=self.pauses.append)
        self.addCleanup(made.close)
        return made

    def test_sends_token_query_and_json(self) -> None:
        with FakeServer(Reply({"ok": True})) as server:
            answer = self.transport(server).request(
                "POST", "/v1/x", query={"a": "b c", "none": None}, body={"n": 1.5, "s": "é"})
            request = server.requests[0]
        self.assertEqual(answer.json(), {"ok": True})
        self.assertEqual(request.path, "/v1/x?a=b+c")
        self.assertEqual(request.headers["authorization"], "Bearer secret")
        self.assertEqual(request.headers["content-type"], "application/json")
        self.assertEqual(request.body, '{"n":1.5,"s":"é"}'.encode())

    def test_tries_again_with_the_same_idempotency_key(self) -> None:
        with FakeServer(problem("unavailable", 503), problem("too_many_requests", 429),
                        Reply(drop=True), Reply({"ok": True})) as server:
            answer = self.transport(server).request("POST", "/", body={})
        self.assertEqual(answer.json(), {"ok": True})
        self.assertEqual(len({one.headers["idempotency-key"] for one in server.requests}), 1)
        self.assertGreaterEqual(len(self.pauses), 2)
        self.assertTrue(all(0 <= pause <= 5 for pause in self.pauses))

    def test_each_post_has_its_own_key_and_a_get_has_none(self) -> None:
        with FakeServer(Reply({})) as server:
            transport = self.transport(server)
            for method in ("POST", "POST", "GET"):
                transport.request(method, "/")
        first, second, third = (one.headers.get("idempotency-key") for one in server.requests)
        self.assertNotEqual(first, second)
        self.assertIsNone(third)

    def test_waits_as_long_as_told(self) -> None:
        with FakeServer(problem("too_many_requests", 429, Retry_After="2"), Reply({})) as server:
            self.transport(server).request("GET", "/")
        self.assertEqual(len(self.pauses), 1)
        self.assertTrue(2 <= self.pauses[0] <= 2.2, self.pauses)

    def test_gives_up_after_its_time(self) -> None:
        with FakeServer(problem("unavailable", 503, "the database is away")) as server:
            with self.assertRaises(assay.UnavailableError) as caught:
                self.transport(server, retry_for=0).request("GET", "/")
        self.assertEqual(caught.exception.status, 503)
        self.assertEqual(len(server.requests), 1)

    def test_refused_connection(self) -> None:
        transport = Transport(f"http://127.0.0.1:{refusing_port(self)}", None, 60.0, 0.3)
        with self.assertRaises(assay.ConnectionFailedError) as caught:
            transport.request("GET", "/v1/x")
        self.assertIsInstance(caught.exception, assay.TemporaryError)
        self.assertIn("GET /v1/x", str(caught.exception))

    def test_a_server_that_never_answers_runs_into_the_time_limit(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}", None, 0.1, 0)
            with self.assertRaises(assay.ConnectionFailedError):
                transport.request("GET", "/")

    def test_what_is_wrong_is_not_tried_again(self) -> None:
        for status, code in ((400, "bad_request"), (404, "not_found"), (409, "conflict"),
                             (422, "invalid_value"), (500, "internal")):
            with FakeServer(problem(code, status)) as server:
                with self.assertRaises(errors.BY_CODE[code]):
                    self.transport(server).request("POST", "/")
                self.assertEqual(len(server.requests), 1)

    def test_keeps_the_connection(self) -> None:
        with FakeServer(Reply({})) as server:
            transport = self.transport(server)
            for _ in range(5):
                transport.request("GET", "/")
            self.assertEqual(server.connections, 1)

    def test_a_closed_idle_connection_is_no_failure(self) -> None:
        with FakeServer(Reply({}, then_close=True), Reply({"second": True})) as server:
            transport = self.transport(server, retry_for=0)
            transport.request("GET", "/")
            self.assertEqual(transport.request("POST", "/").json(), {"second": True})
        self.assertEqual(self.pauses, [])

    def test_threads_share_it(self) -> None:
        with FakeServer(lambda request: Reply({"path": request.path})) as server:
            transport = self.transport(server)
            wrong: List[Any] = []

            def work(me: int) -> None:
                for i in range(20):
                    path = f"/{me}/{i}"
                    answer = transport.request("GET", path).json()
                    if answer != {"path": path}:
                        wrong.append(answer)

            threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertEqual(len(server.requests), 160)
            self.assertLessEqual(server.connections, 8)

    def test_a_child_process_has_connections_of_its_own(self) -> None:
        with FakeServer(Reply({})) as server:
            transport = self.transport(server)
            transport.request("GET", "/")
            child = os.fork()
            if child == 0:
                try:
                    transport.request("GET", "/child")
                    os._exit(0)
                finally:
                    os._exit(1)
            self.assertEqual(os.waitpid(child, 0)[1], 0)
            transport.request("GET", "/parent")
            by_path = {one.path: one.connection for one in server.requests}
        self.assertEqual(by_path["/parent"], by_path["/"])
        self.assertNotEqual(by_path["/child"], by_path["/"])

    def test_refuses_what_is_no_address(self) -> None:
        for url in ("localhost:8080", "ftp://x", "http://", ""):
            with self.assertRaises(ValueError):
                Transport(url, None, 1, 0)


class ErrorsTest(unittest.TestCase):
    def test_every_code_has_its_class_and_status(self) -> None:
        text = (SCHEMAS / "errors.yaml").read_text(encoding="utf-8")
        rows = re.findall(r"name: (\w+),.*?http: (\d+),.*?retry: (\w+)", text)
        self.assertGreater(len(rows), 20)
        for code, status, retry in rows:
            error = errors.from_answer(int(status), {"code": code, "detail": "what happened"}, "")
            self.assertIs(type(error), errors.BY_CODE[code])
            self.assertEqual(error.code, code)
            self.assertEqual(isinstance(error, assay.TemporaryError), retry == "true", code)
            self.assertIn(type(error).__name__, assay.__all__)
        self.assertEqual(set(errors.BY_CODE) - {code for code, _, _ in rows},
                         {"error", "connection_failed"})

    def test_faults_are_readable(self) -> None:
        with FakeServer(problem("invalid_study", 422, "the study has 2 faults", [
                {"pointer": "/parameters/0/min", "line": 7, "message": "min must be less than max",
                 "found": 3, "allowed": "a number less than max (1)"},
                {"pointer": "", "message": "objective is missing"}])) as server:
            with assay.Client(server.url) as client, \
                    self.assertRaises(assay.InvalidStudyError) as caught:
                client.submit({})
        error = caught.exception
        self.assertEqual([fault.pointer for fault in error.errors], ["/parameters/0/min", ""])
        self.assertEqual(str(error), "the study has 2 faults (invalid_study)\n"
                         "  /parameters/0/min (line 7): min must be less than max; found 3; "
                         "allowed: a number less than max (1)\n"
                         "  /: objective is missing")

    def test_answers_that_are_not_from_assay(self) -> None:
        error = errors.from_answer(502, {}, "<html>Bad gateway</html>")
        self.assertIsInstance(error, assay.UnavailableError)
        self.assertIn("Bad gateway", str(error))
        self.assertIsInstance(errors.from_answer(500, {}, ""), assay.InternalError)
        self.assertEqual(errors.from_answer(418, {}, "").status, 418)
        new = errors.from_answer(409, {"code": "not_known_yet", "detail": "x"}, "")
        self.assertIsInstance(new, assay.ConflictError)
        self.assertEqual(new.code, "not_known_yet")


if __name__ == "__main__":
    unittest.main()
