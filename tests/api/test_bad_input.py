"""Whatever comes over the wire: a clear answer, nothing lost, no crash."""

import json
import random
import socket
import threading
import time

from service import ApiTest, address, contract, raw

HEAD = "POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"


class Routing(ApiTest):
    def test_unknown_paths(self):
        for path in ("/v1", "/v1/", "/v2/projects", "/v1/projects/", "/v1//projects", "/nothing",
                     "/v1/projects/default/studies/", "/v1/projects/default/studies/a/b",
                     "/v1/projects/default/studies/a/importance", "/../etc/passwd", "/app.js/x",
                     "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/app.js%00",
                     "/.htaccess", "/index.html/", "//", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o"):
            with self.subTest(path):
                answer = self.api.get(path)
                self.assertIn(answer.status, (400, 404))
                self.assertEqual(answer.headers["Content-Type"], "application/problem+json")

    def test_methods(self):
        for path, item in contract().document["paths"].items():
            target = path.replace("{number}", "1").replace("{token_id}", "1").replace(
                "{project}", "default").replace("{study}", "s")
            allowed = {m.upper() for m in item if m in ("get", "post", "patch", "delete")}
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
                if method in allowed:
                    continue
                answer = self.api.request(method, target)
                self.refused(answer, 405, "method_not_allowed")
                self.assertEqual({m.strip() for m in answer.headers["Allow"].split(",")} -
                                 {"HEAD", "OPTIONS"}, allowed)
            answer = self.api.request("OPTIONS", target)
            self.assertEqual((answer.status, answer.body), (204, b""))
            self.assertIn("OPTIONS", answer.headers["Allow"])
        self.assertEqual(self.api.request("OPTIONS", "*").status, 204)
        self.assertEqual(self.api.request("OPTIONS", "/nothing").status, 404)

    def test_head(self):
        name = self.api.create()
        full = self.api.get(self.api.path(name))
        head = self.api.request("HEAD", self.api.path(name))
        self.assertEqual((head.status, head.body, head.etag), (200, b"", full.etag))
        self.assertEqual(head.headers["Content-Length"], str(len(full.body)))
        self.assertEqual(self.api.request("HEAD", "/nothing").status, 404)

    def test_accept(self):
        name = self.api.create()
        for accept in ("*/*", "application/json", "application/*", "text/html, */*;q=0.1", "",
                       "application/problem+json", "APPLICATION/JSON;q=0.5"):
            self.assertEqual(self.api.get(self.api.path(name), headers={"Accept": accept}).status,
                             200, accept)
        for accept in ("text/html", "application/xml", "application/json;q=0", "text/event-stream"):
            self.refused(self.api.get(self.api.path(name), headers={"Accept": accept}), 406,
                         "not_acceptable")

    def test_media_types(self):
        name = self.api.create()
        target = self.api.path(name, "/suggestions")
        for kind in ("application/x-www-form-urlencoded", "text/plain", "application/yaml",
                     "application/json; charset=latin-1", "multipart/form-data; boundary=x", ""):
            with self.subTest(kind):
                answer = self.api.post(target, b"{}", kind=kind)
                self.refused(answer, 415, "unsupported_media_type")
        self.assertEqual(self.api.post(target, b"{}", kind="application/json;charset=UTF-8").status,
                         200)
        self.refused(self.api.post(self.api.studies, b"{}", kind="text/xml"), 415,
                     "unsupported_media_type")

    def test_request_id(self):
        answer = self.api.get("/healthz", headers={"X-Request-Id": "my-id.7"})
        self.assertEqual(answer.headers["X-Request-Id"], "my-id.7")
        for bad in ("", "a b", "x" * 129, 'a"b', "caf\u00e9"):
            answer = self.api.get("/healthz", headers={"X-Request-Id": bad})
            self.assertRegex(answer.headers["X-Request-Id"], "^[0-9a-f]{16}$")


class Bodies(ApiTest):
    GARBAGE = [
        b"", b" ", b"{", b"}", b"[", b'{"a":1', b'{"a":1}}', b"{'a':1}", b'{"a":1,"a":2}',
        b'{"a":01}', b"nul", b"\x00", b"\xff\xfe", b'{"a":"\xff"}', b'{"a":"\xc3\x28"}',
        b'{"a":"\xed\xa0\x80"}', b'{"\\u0000":1}', b'{"a":"\\ud800"}', b"\xef\xbb\xbf{}",
        b"[" * 100000, b'{"a":' * 100000, b"[" * 65 + b"]" * 65, b'{"a":1e999999}',
        b'{"a":NaN}', b'{"a":Infinity}', b"1" * 100000, b'"' + b"a" * 100000,
        b"<?xml version='1.0'?>", b"\x1f\x8b\x08\x00garbage", b"%PDF-1.4",
    ]

    def bodied(self):
        """Every operation of the contract that takes a body."""
        name = self.api.create()
        self.api.ask(name)
        for path, item in contract().document["paths"].items():
            for method, operation in item.items():
                if isinstance(operation, dict) and "requestBody" in operation:
                    yield method.upper(), path.replace("{number}", "1").replace(
                        "{project}", "default").replace("{study}", name)

    def test_garbage_on_every_route(self):
        for method, target in self.bodied():
            for garbage in self.GARBAGE:
                with self.subTest(target=target, garbage=garbage[:20]):
                    answer = self.api.request(method, target, garbage)
                    self.assertIn(answer.status, (400, 422), answer.body)
                    self.assertIn("detail", answer.json)

    def test_random_bytes_on_every_route(self):
        chance = random.Random(7)
        for method, target in self.bodied():
            for _ in range(20):
                body = bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
                answer = self.api.request(method, target, body)
                self.assertIn(answer.status, (400, 422), (target, body, answer.body))

    def test_other_types_on_every_route(self):
        for method, target in self.bodied():
            for value in (None, True, 7, "x", [], [[]], {"": {}}, {"a" * 1000: 1}, [None] * 1000):
                answer = self.api.request(method, target, json.dumps(value).encode())
                self.assertIn(answer.status, (422,), (target, value, answer.body))

    def test_yaml_garbage(self):
        for body in (b"", b"\x00", b"a: &a [*a]", b"!!python/object:os.system x", b"a: b: c",
                     b"&a " * 1000, b"- " * 5000, b"{" * 10000, b"\xff\xfe\x00", b"a: 1\na: 2",
                     b"%YAML 9.9\n---\na", b"--- a\n--- b", b"a: |\n" + b"x" * 100000,
                     b"a: &x [1,1]\nb: &y [*x,*x]\nc: &z [*y,*y]\nd: [*z,*z]"):
            with self.subTest(body[:30]):
                answer = self.api.post(self.api.studies, body, kind="application/yaml")
                self.assertIn(answer.status, (400, 422), answer.body)

    def test_too_large(self):
        name = self.api.create()
        body = b'{"client":"' + b"x" * (16 << 20) + b'"}'
        answer = self.api.post(self.api.path(name, "/suggestions"), body)
        self.refused(answer, 413, "too_large")

    def test_too_large_in_chunks(self):
        name = self.api.create()
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        head = HEAD.format(target=self.api.path(name, "/suggestions"), token=self.api.token)
        received = raw(self.daemon, head.encode() + b"Content-Type: application/json\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n" + piece * 300 + b"0\r\n\r\n",
                       close=False, until=b"too_large")
        self.assertIn(b"413", received.split(b"\r\n")[0])

    def test_far_too_large_is_told_at_once(self):
        head = HEAD.format(target=self.api.studies, token=self.api.token)
        received = raw(self.daemon, head.encode() + b"Content-Length: 99999999999\r\n\r\n",
                       close=False)
        self.assertIn(b"413", received.split(b"\r\n")[0])
        received = raw(self.daemon, head.encode() + b"Expect: 100-continue\r\n"
                       b"Content-Length: 20000000\r\n\r\n", close=False)
        self.assertIn(b"413", received.split(b"\r\n")[0])

    def test_expect_continue(self):
        head = HEAD.format(target=self.api.path(self.api.create(), "/suggestions"),
                           token=self.api.token)
        with socket.create_connection(address(self.daemon), timeout=60) as connection:
            connection.sendall(head.encode() + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            self.assertIn(b"100 Continue", connection.recv(4096))
            connection.sendall(b"{}")
            self.assertIn(b"200 OK", connection.recv(4096))

    def test_truncated(self):
        head = HEAD.format(target=self.api.studies, token=self.api.token)
        for data in (head, head + "Content-Length: 100\r\n\r\n", head + "Content-Length: 100\r\n\r\n{",
                     head + "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "POST", "POST /"):
            start = time.monotonic()
            raw(self.daemon, data.encode())
            self.assertLess(time.monotonic() - start, 60, data)
        self.assertEqual(self.api.get("/healthz").status, 200)

    def test_found_values_are_cut(self):
        answer = self.api.post(self.api.studies, {"name": "X" * 1000000, "nonsense": ["y"] * 100000})
        self.assertEqual(answer.status, 422)
        self.assertLess(len(answer.body), 100000)

    def test_many_faults_are_cut(self):
        answer = self.api.post(self.api.studies, {f"k{i}": i for i in range(100000)})
        self.assertEqual(answer.status, 422)
        self.assertLessEqual(len(answer.json["errors"]), 100)


class Wire(ApiTest):
    def test_garbage_bytes(self):
        chance = random.Random(3)
        for i in range(200):
            length = chance.randrange(1, 400)
            data = bytes(chance.randrange(256) for _ in range(length))
            if i % 3 == 0:
                data = b"GET / HTTP/1.1\r\n" + data
            elif i % 3 == 1:
                data = b"POST /v1/projects HTTP/1.1\r\nContent-Length: 5\r\n" + data
            raw(self.daemon, data, timeout=0.05)
        self.assertEqual(self.api.get("/healthz").status, 200)

    def test_mutated_requests(self):
        chance = random.Random(5)
        name = self.api.create()
        good = (HEAD.format(target=self.api.path(name, "/batch?x=1&y=%41"), token=self.api.token) +
                "Content-Type: application/json\r\nIf-None-Match: \"a\", W/\"b\"\r\n"
                "Accept: application/json;q=0.3, */*\r\nContent-Length: 10\r\n\r\n"
                '{"ask":{}}').encode()
        for _ in range(300):
            data = bytearray(good)
            for _ in range(chance.randrange(1, 6)):
                kind, at = chance.randrange(3), chance.randrange(len(data))
                if kind == 0:
                    data[at] = chance.randrange(256)
                elif kind == 1:
                    del data[at:at + chance.randrange(1, 9)]
                else:
                    data[at:at] = bytes(chance.randrange(256) for _ in range(3))
            raw(self.daemon, bytes(data), timeout=0.05)
        self.api.close()  # the connection has been idle for as long as all that took
        self.assertEqual(self.api.get("/healthz").status, 200)

    def test_escapes(self):
        for target in ("/v1/projects/%", "/v1/projects/%4", "/v1/projects/%zz/studies",
                       "/v1/projects/%00/studies", "/v1/projects/%ff/studies",
                       "/v1/projects/a%0ab/studies", "/v1/projects/default/studies?name=%",
                       "/v1/projects/default/studies?name=%ff", "/healthz?%00"):
            with self.subTest(target):
                self.refused(self.api.get(target), 400, "bad_request")

    def test_other_spellings(self):
        self.assertEqual(self.api.get("/v1/projects/d%65fault/studies?pa%67e_size=1").status, 200)
        name = "caf%C3%A9"
        self.refused(self.api.get(self.api.path(name)), 404, "not_found")

    def test_huge_heads(self):
        for data in (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"b" * 100000 + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 10000 + b"\r\n",
                     b"GET /?" + b"a=b&" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"):
            received = raw(self.daemon, data, close=False)
            if received:
                self.assertRegex(received.split(b"\r\n")[0], rb"^HTTP/1.1 (400|413|414|431) ")
        self.refused(self.api.get("/healthz?" + "&".join(f"a{i}=1" for i in range(40))), 400,
                     "bad_request")

    def test_keep_alive_and_pipelining(self):
        one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        received = raw(self.daemon, one * 9 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
                       close=False)
        self.assertEqual(received.count(b"HTTP/1.1 200 OK"), 10)

    def test_http_1_0(self):
        received = raw(self.daemon, b"GET /healthz HTTP/1.0\r\n\r\n", close=False)
        self.assertIn(b"200 OK", received)
        self.assertTrue(received.endswith(b'{"status":"ok"}\n'))

    def test_refused_bodies_keep_the_connection(self):
        for _ in range(3):
            answer = self.api.post("/v1/whoami", b"x" * 100000)
            self.assertEqual(answer.status, 405)
            self.assertIsNotNone(self.api.connection)


class Slow(ApiTest):
    def test_slow_clients_are_closed(self):
        """A byte now and then keeps no connection for ever, and hinders nobody."""
        with socket.create_connection(address(self.daemon), timeout=100) as slow:
            slow.sendall(b"GET /healthz HTTP/1.1\r\n")
            closed = threading.Event()

            def drip():
                try:
                    while True:
                        slow.sendall(b"X")
                        time.sleep(2)
                except OSError:
                    closed.set()
            thread = threading.Thread(target=drip)
            thread.start()
            for _ in range(50):
                self.assertEqual(self.api.get("/healthz").status, 200)
            self.assertTrue(closed.wait(240))  # it takes a minute
            thread.join()

    def test_client_that_goes_while_it_waits(self):
        name = self.api.create()
        for _ in range(20):
            with socket.create_connection(address(self.daemon)) as connection:
                connection.sendall(
                    (f"GET {self.api.path(name)}?wait=2s&until=final HTTP/1.1\r\nHost: x\r\n"
                     f"Authorization: Bearer {self.api.token}\r\n\r\n").encode())
        self.assertEqual(self.api.get(self.api.path(name)).status, 200)
