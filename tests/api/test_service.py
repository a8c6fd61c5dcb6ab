"""The daemon itself: health, metrics, the page, starting, ending, being killed."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from service import ROOT, ApiTest, Assayd, Client, address, contract, fresh_name, shared


def resident_kib(daemon):
    for line in pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the daemon has gone")


class State(ApiTest):
    def test_health(self):
        client = self.client(token="")
        self.assertEqual(client.get("/healthz").json, {"status": "ok"})
        self.assertEqual(client.get("/readyz").json, {"status": "ready", "database": "ok"})

    def test_openapi(self):
        answer = self.client(token="").get("/openapi.json")
        self.assertEqual(answer.json, contract().document)
        again = self.api.get("/openapi.json", headers={"If-None-Match": answer.etag})
        self.assertEqual(again.status, 304)

    def test_metrics(self):
        self.api.create()
        text = self.api.get("/metrics").body.decode()
        names = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                names.add(line.split()[2])
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                float(value)
                base = name.split("{")[0]
                for end in ("_bucket", "_sum", "_count"):
                    base = base[:-len(end)] if base.endswith(end) and base not in names else base
                self.assertIn(base, names)
        self.assertIn('assay_http_requests_total{method="POST",'
                      'route="/v1/projects/{project}/studies",status="2xx"}', text)
        self.assertIn("assay_writer_sets_total", text)

    def test_catalogue(self):
        algorithms = self.api.get("/v1/algorithms").json["algorithms"]
        self.assertIn("random", [a["name"] for a in algorithms])
        rules = self.api.get("/v1/stopping_rules").json["stopping_rules"]
        self.assertIn("median", [r["name"] for r in rules])

    def test_page(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        answer = self.client(token="").get("/")
        self.assertIn(answer.status, (200, 404))
        if answer.status == 404:
            self.skipTest("the dashboard is not built")
        self.assertIn("default-src 'self'", answer.headers["Content-Security-Policy"])
        self.assertIn("frame-ancestors 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Referrer-Policy"], "no-referrer")
        again = self.api.get("/", headers={"If-None-Match": answer.etag})
        self.assertEqual(again.status, 304)
        script = self.api.get("/app.js")
        self.assertTrue(script.headers["Content-Type"].startswith("text/javascript"))

    def test_latency_of_a_small_get(self):
        """A delayed acknowledgement would show as 40 ms, in each round; others at work on the
        machine do not in all of them."""
        rounds = []
        while len(rounds) < 10 and min(rounds, default=1) >= 0.04:
            times = []
            for _ in range(200):
                start = time.perf_counter()
                self.api.get("/healthz")
                times.append(time.perf_counter() - start)
            rounds.append(sorted(times)[20])
        self.assertLess(min(rounds), 0.04)


class Life(unittest.TestCase):
    def daemon(self, *options, **more):
        daemon = Assayd(None, *options, **more)
        self.addCleanup(daemon.remove)
        self.addCleanup(lambda: self.assertEqual(daemon.stop(), ""))
        return daemon

    def refuses(self, *options, word):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        program = str(shared().bin / "assayd")
        done = subprocess.run([program, "--data", folder + "/data", *options], timeout=180,
                              capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(word, done.stderr)

    def test_files(self):
        daemon = self.daemon()
        self.assertEqual((daemon.data / "token").stat().st_mode & 0o777, 0o600)
        self.assertEqual(daemon.data.stat().st_mode & 0o777, 0o700)
        self.assertEqual(int((daemon.data / "pid").read_text()), daemon.process.pid)
        token = daemon.token
        self.assertEqual(daemon.stop(), "")
        self.assertFalse((daemon.data / "url").exists())
        daemon.start()
        self.assertEqual(daemon.token, token)

    def test_second_daemon_on_the_directory(self):
        daemon = self.daemon()
        done = subprocess.run([str(daemon.bin / "assayd"), "--data", str(daemon.data), "--listen",
                               "127.0.0.1:0"], capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"another assayd (process {daemon.process.pid})", done.stderr)
        self.assertEqual(Client(daemon).get("/healthz").status, 200)

    def test_killed_and_back(self):
        daemon = self.daemon()
        api = Client(daemon)
        name = api.create()
        api.tell(name, api.ask(name)[0]["number"], 0.5)
        for _ in range(3):
            before = api.get(api.path(name)).json
            daemon.kill()
            api.close()
            daemon.start()
            self.assertEqual(api.get(api.path(name)).json, before)
        api.ask(name, 2)

    @staticmethod
    def postmaster(daemon):
        """None while it writes its file."""
        try:
            return daemon.postmaster()
        except (OSError, ValueError, IndexError):
            return None

    def test_database_killed(self):
        daemon = self.daemon()
        api = Client(daemon, checked=False)
        name = api.create()
        now = daemon.postmaster()
        for _ in range(2):
            pid = now
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline:
                answer = api.post(api.path(name, "/trials"),
                                  {"trials": [{"parameters": {"x": 0.5}}]})
                # The old one's process for the connection may live a moment longer.
                now = self.postmaster(daemon)
                if answer.status == 201 and now not in (None, pid):
                    break
                if answer.status != 201:
                    self.assertEqual(answer.status, 503, answer.body)
                    self.assertIn("Retry-After", answer.headers)
                time.sleep(0.1)
            self.assertEqual(answer.status, 201, answer.body)
            self.assertNotIn(now, (None, pid))
        # Every read thread finds out for itself that its connection is gone.
        while api.get("/readyz").status != 200 and time.monotonic() < deadline:
            time.sleep(0.05)
        for _ in range(20):
            answer = api.get("/readyz")
            self.assertEqual(answer.status, 200, answer.body)

    def test_terminated_while_requests_wait(self):
        daemon = self.daemon()
        api = Client(daemon)
        name = api.create()

        def wait(query, accept="application/json"):
            client = Client(daemon, checked=False)
            try:
                return client.get(client.path(name, query), headers={"Accept": accept}).status
            except (OSError, http.client.HTTPException):
                return 0
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            waits = [pool.submit(wait, "?wait=60s&until=final") for _ in range(6)]
            waits += [pool.submit(wait, "/events", "text/event-stream") for _ in range(6)]
            deadline = time.monotonic() + 50
            while "assay_notifier_waiting 12\n" not in api.get("/metrics").body.decode():
                self.assertLess(time.monotonic(), deadline, "twelve requests wait")
                time.sleep(0.05)
            start = time.monotonic()
            self.assertEqual(daemon.stop(), "")
            self.assertLess(time.monotonic() - start, 55, "it waited for the waiting")
            self.assertEqual({w.result() for w in waits}, {200})

    def test_interrupt_and_hangup(self):
        daemon = self.daemon()
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        self.assertEqual(Client(daemon).get("/healthz").status, 200)
        daemon.process.send_signal(signal.SIGINT)
        self.assertEqual(daemon.process.wait(120), 0)

    def test_refusals(self):
        self.refuses("--listen", "0.0.0.0:0", word="tls-cert")
        self.refuses("--listen", "nowhere", word="nowhere")
        self.refuses("--lisen", "127.0.0.1:0", word="lisen")
        self.refuses("--listen", "127.0.0.1:0", "--tls-cert", "/nonexistent", word="tls")
        self.refuses("--listen", "127.0.0.1:0", "--tls-cert", "/dev/null", "--tls-key",
                     "/dev/null", word="certificate")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.refuses("--listen", f"127.0.0.1:{taken.getsockname()[1]}", word="in use")

    def test_tls(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        made = subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out",
             folder / "cert.pem"], capture_output=True)
        if made.returncode != 0:
            self.skipTest("openssl can not make a certificate")
        daemon = self.daemon("--tls-cert", str(folder / "cert.pem"), "--tls-key",
                             str(folder / "key.pem"), start=False)
        daemon.ready = lambda: (daemon.data / "url").exists()
        daemon.start()
        self.assertTrue(daemon.url.startswith("https://127.0.0.1:"))
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        connection = http.client.HTTPSConnection(*address(daemon), context=context, timeout=90)
        for _ in range(3):
            connection.request("GET", "/v1/whoami",
                               headers={"Authorization": f"Bearer {daemon.token}"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, json.loads(answer.read())["role"]), (200, "admin"))
        connection.close()

    def test_trials_of_a_daemon_with_a_private_certificate(self):
        """It names another host, and its authority is known to nobody: trials on the machine
        report all the same, and over their port nobody else is served."""
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=assayd", "-addext",
             "subjectAltName=DNS:assayd.assay.svc", "-keyout", folder / "key.pem", "-out",
             folder / "cert.pem"], check=True, capture_output=True)
        daemon = self.daemon("--tls-cert", str(folder / "cert.pem"), "--tls-key",
                             str(folder / "key.pem"), start=False)
        daemon.ready = lambda: (daemon.data / "trials-url").exists()
        daemon.start()
        context = ssl.create_default_context(cafile=str(folder / "cert.pem"))
        context.check_hostname = False
        connection = http.client.HTTPSConnection(*address(daemon), context=context, timeout=90)
        self.addCleanup(connection.close)

        def call(method, path, body=None, to=connection):
            to.request(method, path, json.dumps(body) if body else None, {
                "Authorization": f"Bearer {daemon.token}", "Content-Type": "application/json"})
            answer = to.getresponse()
            return answer.status, json.loads(answer.read())
        for name, metrics, command in (
                ("prints", "stdout", "print('loss=0.25')"),
                ("pushes", "push", "import assay; assay.report(step=1, loss=0.25)")):
            status, made = call("POST", "/v1/projects/default/studies", {
                "name": name, "objective": {"metric": "loss", "goal": "minimize"},
                "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
                "algorithm": {"name": "random"}, "limits": {"trials": 1},
                "trial": {"command": [sys.executable, "-c", command], "metrics": {"from": metrics},
                          "environment": {"PYTHONPATH": str(ROOT / "python")}}})
            self.assertEqual(status, 201, made)
            found = {"state": "running"}
            while found["state"] == "running":
                found = call("GET", f"/v1/projects/default/studies/{name}?wait=30s&until=final")[1]
            self.assertEqual((found["state"], found["best"]["value"]), ("succeeded", 0.25), found)
        near = http.client.HTTPConnection(
            (daemon.data / "trials-url").read_text().strip().removeprefix("http://"), timeout=90)
        self.addCleanup(near.close)
        status, problem = call("GET", "/v1/projects/default/studies", to=near)
        self.assertEqual((status, problem["code"]), (403, "forbidden"))
        self.assertEqual(daemon.stop(), "")
        self.assertFalse((daemon.data / "trials-url").exists())

    def test_requests_during_the_start(self):
        """Who finds the address is answered, if only a moment later."""
        daemon = self.daemon()
        api = Client(daemon)
        name = api.create()
        daemon.kill()
        api.close()
        (daemon.data / "url").unlink()
        ready, daemon.ready = daemon.ready, lambda: (daemon.data / "url").exists()
        daemon.start()
        self.assertEqual(api.get(api.path(name)).status, 200)
        daemon.ready = ready

    def test_many_connections(self):
        daemon = self.daemon()
        before = resident_kib(daemon)
        connections = []
        try:
            for _ in range(900):
                connection = socket.create_connection(address(daemon), timeout=90)
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                connections.append(connection)
            for connection in connections:
                self.assertIn(b"200 OK", connection.recv(4096))
            after = resident_kib(daemon)
            self.assertEqual(Client(daemon).get("/healthz").status, 200)
        finally:
            for connection in connections:
                connection.close()
        print(f"resident: {before} KiB, with 900 connections {after} KiB")
        if "asan" not in str(daemon.bin) and "tsan" not in str(daemon.bin):
            self.assertLess(after, 64 << 10)
