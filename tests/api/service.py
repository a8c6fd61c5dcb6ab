"""An assayd for the API's tests, and a client that holds every answer against /openapi.json.

One daemon serves all tests of a run; a test that needs its own makes one.  ASSAY_BUILD
names the build folder (default: build).
"""

import atexit
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import sys
import threading
import unittest
import urllib.parse
import uuid
import warnings

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness.assayd import Assayd  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("TSAN_OPTIONS", f"suppressions={ROOT}/tests/api/tsan.supp")
JSON = "application/json"
PROBLEM = "application/problem+json"

_shared = None


def shared():
    """The daemon of this run, started by the first test that asks."""
    global _shared
    if _shared is None:
        _shared = Assayd()
        atexit.register(_end)
    return _shared


def _end():
    fault = _shared.stop()
    _shared.remove()
    if fault:
        print(fault, file=sys.stderr)
        os._exit(1)


class Contract:
    """The OpenAPI document: finds the operation of an exchange and checks the answer."""

    def __init__(self, document):
        self.document = document
        self.seen = set()  # (method, path, status)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            self.resolver = jsonschema.RefResolver.from_schema(document)
        self.paths = []
        for path, item in document["paths"].items():
            pattern = "".join(f"/{re.escape(part)}" if not part.startswith("{") else
                              ("/[1-9][0-9]*" if part == "{number}" else "/[^/]+")
                              for part in path.strip("/").split("/"))
            self.paths.append((re.compile(pattern), path, item))
        self.lock = threading.Lock()

    def resolve(self, node):
        while "$ref" in node:
            node = self.resolver.resolve(node["$ref"])[1]
        return node

    def find(self, path):
        for pattern, template, item in self.paths:
            if pattern.fullmatch(path):
                return template, item
        return None, None

    def check(self, method, target, status, headers, body):
        path = urllib.parse.urlsplit(target).path
        template, item = self.find(path)
        operation = item.get("get" if method == "HEAD" else method.lower()) if item else None
        if operation is None:
            # What the contract does not have is refused, or a file of the dashboard.
            known = path in ("/index.html", "/app.js", "/app.css", "/favicon.svg")
            if not (known or method == "OPTIONS" or status in (400, 404, 405)):
                raise AssertionError(f"{method} {target}: {status}, but it is not in the contract")
            if status >= 400 and method != "HEAD":
                self.validate({"$ref": "#/components/schemas/Problem"}, body, f"{method} {target}")
            return
        responses = operation["responses"]
        response = responses.get(str(status), responses.get("default"))
        if response is None:
            raise AssertionError(f"{method} {template}: the status {status} is not in the contract")
        with self.lock:
            self.seen.add((method, template, status))
        response = self.resolve(response)
        if method == "HEAD" or status in (204, 304):
            if body:
                raise AssertionError(f"{method} {target}: a body with {status}")
            return
        self.check_body(method, template, status, headers, body, response)

    def check_body(self, method, template, status, headers, body, response):
        where = f"{method} {template} {status}"
        content = response.get("content")
        if content is None:
            if body:
                raise AssertionError(f"{where}: a body that is not in the contract")
            return
        kind = headers.get("Content-Type", "").split(";")[0].strip()
        if kind not in content:
            raise AssertionError(f"{where}: Content-Type {kind}, the contract has {list(content)}")
        if kind in (JSON, PROBLEM):
            # A list or object that ?fields= trims keeps its types, not its required members.
            self.validate(content[kind]["schema"], body, where)

    def validate(self, schema, body, where):
        value = json.loads(body)
        validator = jsonschema.Draft202012Validator(schema, resolver=self.resolver)
        errors = sorted(validator.iter_errors(value), key=lambda e: list(e.path))
        if errors:
            error = errors[0]
            raise AssertionError(f"{where}: {list(error.path)}: {error.message[:500]}")

    def unseen(self):
        hit = {(method, path) for method, path, _ in self.seen}
        return sorted(f"{method.upper()} {path}" for path, item in self.document["paths"].items()
                      for method in item
                      if method in ("get", "post", "patch", "delete", "put")
                      and (method.upper(), path) not in hit)


_contract = None


def contract():
    global _contract
    if _contract is None:
        host, port = address(shared())
        connection = http.client.HTTPConnection(host, port, timeout=30)
        connection.request("GET", "/openapi.json")
        _contract = Contract(json.loads(connection.getresponse().read()))
        connection.close()
        _contract.seen.add(("GET", "/openapi.json", 200))
    return _contract


def address(daemon):
    parts = urllib.parse.urlsplit(daemon.url)
    return parts.hostname, parts.port


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["code"]

    @property
    def pointers(self):
        return [error["pointer"] for error in self.json.get("errors", [])]

    @property
    def etag(self):
        return self.headers.get("ETag")


class Client:
    """One connection, kept open.  Not for two threads at a time."""

    def __init__(self, daemon=None, token=None, project="default", checked=True):
        self.daemon = daemon or shared()
        self.token = self.daemon.token if token is None else token
        self.project = project
        self.checked = checked
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def request(self, method, target, body=None, headers=None, kind=JSON, timeout=90, token=None,
                trimmed=False):
        """`body`: a JSON value or bytes."""
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        all_headers = {}
        if token or self.token:
            all_headers["Authorization"] = f"Bearer {token or self.token}"
        if body is not None:
            all_headers["Content-Type"] = kind
        all_headers.update(headers or {})
        if self.connection is None:
            host, port = address(self.daemon)
            self.connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            self.connection.request(method, target, body, all_headers)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if response.will_close:
            self.close()
        if self.checked and not trimmed:
            contract().check(method, target, answer.status, answer.headers, answer.body)
        return answer

    def get(self, target, **more):
        return self.request("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.request("POST", target, body, **more)

    # --- words of the contract

    @property
    def studies(self):
        return f"/v1/projects/{self.project}/studies"

    def path(self, study, rest=""):
        return f"{self.studies}/{study}{rest}"

    def create(self, **changes):
        """A fresh ask/tell study; returns its name."""
        study = study_file(**changes)
        answer = self.post(self.studies, study)
        assert answer.status == 201, (answer.status, answer.body)
        return answer.json["name"]

    def ask(self, study, count=1, client="w1"):
        answer = self.post(self.path(study, "/suggestions"), {"count": count, "client": client})
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json["trials"]

    def tell(self, study, number, value, state="succeeded"):
        answer = self.post(self.path(study, f"/trials/{number}/complete"),
                           {"state": state, "metrics": {"loss": value}})
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json

    def report(self, study, number, *values, first=1):
        answer = self.post(self.path(study, f"/trials/{number}/measurements"), {
            "measurements": [{"step": first + i, "metrics": {"loss": value}}
                             for i, value in enumerate(values)]})
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json


def fresh_name(word="s"):
    return f"{word}-{uuid.uuid4().hex[:10]}"


def study_file(**changes):
    study = {
        "name": fresh_name(),
        "objective": {"metric": "loss", "goal": "minimize"},
        "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
        "algorithm": {"name": "random"},
        "limits": {"trials": 1000},
        "seed": 1,
    }
    study.update(changes)
    return {key: value for key, value in study.items() if value is not None}


def raw(daemon, data, timeout=30, close=True, until=None):
    """Sends bytes as they are and returns what comes back until the end, `until` or the time."""
    with socket.create_connection(address(daemon), timeout=timeout) as connection:
        try:
            connection.sendall(data)
            if close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server may have heard enough
        received = b""
        while until is None or until not in received:
            try:
                piece = connection.recv(65536)
            except (ConnectionResetError, TimeoutError):
                break
            if not piece:
                break
            received += piece
        return received


class ApiTest(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.daemon = shared()
        self.api = Client()
        self.addCleanup(self.api.close)

    def client(self, **options):
        client = Client(**options)
        self.addCleanup(client.close)
        return client

    @contextlib.contextmanager
    def meanwhile(self, act):
        """act(client) again and again while the block runs: whoever waits for it in there can
        not have come too late."""
        over, client = threading.Event(), self.client()

        def run():
            while not over.wait(0.3):
                act(client)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def refused(self, answer, status, code, *pointers):
        """The answer is a problem of this kind, and its faults are at these places."""
        self.assertEqual((answer.status, answer.code), (status, code), answer.body)
        self.assertEqual(answer.headers["Content-Type"], PROBLEM)
        for pointer in pointers:
            self.assertIn(pointer, answer.pointers, answer.body)
