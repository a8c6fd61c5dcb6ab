"""Remote algorithms: the conversation with a service, its faults, and where it may be."""

import http.server
import json
import os
import sys
import threading
import time
import types

from base import ROOT, STUDIES, DaemonTest, ask_tell_study, kill_all, wait_final
from harness.ports import reserved_port
from test_plugins import Bystander, workers_of

sys.path.insert(0, str(ROOT / "python"))
import assay.remote  # noqa: E402


class Halves:
    """Points that follow from the trial's number and the best value so far."""

    def suggest(self, study, trials, n):
        best = study.best(trials)
        shift = best.value if best else 0.0
        return [{"x": (number * 0.37 + shift) % 1.0} for number in study.numbers[:n]]


class Service:
    """assay.remote's server in a thread, with what it heard."""

    def __init__(self, algorithm=Halves, token=None, port=0):
        self.heard = []
        self.server = assay.remote.Server(algorithm, ("127.0.0.1", port), token)
        answer = self.server.answer

        self.stopped = False

        def listen(message):
            if self.stopped:
                raise SystemExit  # ends the thread of a connection that was kept
            self.heard.append(message)
            return answer(message)

        self.server.answer = listen
        self.url = self.server.url
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.stopped = True
        self.server.shutdown()
        self.server.server_close()


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Connections that end early are part of the play."""


class Scripted:
    """A service that answers every message with the same bytes, or worse."""

    def __init__(self, status=200, body=b"{}", headers=(), delay=0, cut=False, on=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mine = on is None or message["op"] == on
                if mine and cut:
                    self.close_connection = True
                    return
                if mine:
                    time.sleep(delay)
                text = body if mine else b"{}"
                try:
                    self.send_response(status if mine else 200)
                    for name, value in (headers if mine else ()):
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def remote_study(name, url, settings=None, **more):
    return ask_tell_study(name, algorithm={"name": "remote",
                                           "settings": {"url": url, **(settings or {})}}, **more)


class RemoteTest(DaemonTest):
    def address(self):
        """A port to come back to."""
        kept, port = reserved_port()
        self.addCleanup(kept.close)
        return port

    def service(self, *arguments, kind=Service, **more):
        service = kind(*arguments, **more)
        self.addCleanup(service.stop)
        return service

    def ask(self, name):
        return self.call("POST", f"{STUDIES}/{name}/suggestions", {"count": 1})["trials"]

    def tell(self, name, trial, loss):
        self.call("POST", f"{STUDIES}/{name}/trials/{trial['number']}/complete",
                  {"state": "succeeded", "metrics": {"loss": loss}})

    def run_trials(self, name, first, last):
        points = []
        for number in range(first, last + 1):
            trial = self.ask(name)[0]
            self.assertEqual(trial["number"], number)
            points.append(trial["parameters"]["x"])
            self.tell(name, trial, abs(trial["parameters"]["x"] - 0.5))
        return points


class ConversationTest(RemoteTest):
    def test_what_the_service_hears(self):
        service = self.service()
        self.submit(remote_study("heard", service.url, {"options": {"greed": 3}},
                                 early_stopping={"name": "median"}))
        self.run_trials("heard", 1, 3)
        ops = [message["op"] for message in service.heard]
        self.assertEqual(ops[:2], ["open", "ask"])
        spec = service.heard[0]["spec"]
        self.assertEqual(spec["options"], {"greed": 3})
        self.assertEqual((spec["name"], spec["seed"]), ("heard", 7))
        self.assertEqual(spec["parameters"][0]["name"], "x")
        self.assertEqual(spec["objectives"][0]["goal"], "minimize")
        for key in ("trial", "algorithm", "early_stopping", "project"):
            self.assertNotIn(key, spec)
        told = [t for message in service.heard if message["op"] == "tell"
                for t in message["trials"]]
        last = {t["number"]: t for t in told}
        self.assertEqual(last[2]["state"], "succeeded")
        self.assertEqual(len(last[2]["values"]), 1)
        why = self.call("GET", f"{STUDIES}/heard/trials/1")["why"]
        self.assertEqual(why["proposed_by"], "remote")

    def test_the_same_after_kills_of_worker_service_and_daemon(self):
        port = self.address()
        service = self.service(port=port)
        for name in ("calm", "rough"):
            self.submit(remote_study(name, service.url))
        calm = self.run_trials("calm", 1, 12)
        rough = self.run_trials("rough", 1, 3)
        kill_all(workers_of(self.daemon))
        rough += self.run_trials("rough", 4, 6)
        service.stop()  # comes back at the same address, knowing nothing
        again = self.service(port=port)
        rough += self.run_trials("rough", 7, 9)
        self.assertIn("open", [message["op"] for message in again.heard])
        self.daemon.kill()
        self.daemon.start()
        rough += self.run_trials("rough", 10, 12)
        self.assertEqual(calm, rough)

    def test_an_ask_waits_for_a_service_that_is_away(self):
        port = self.address()
        service = self.service(port=port)
        self.submit(remote_study("away", service.url))
        self.run_trials("away", 1, 1)
        service.stop()
        box = {}
        thread = threading.Thread(target=lambda: box.update(trials=self.ask("away")))
        thread.start()
        time.sleep(1.0)
        self.assertTrue(thread.is_alive())
        self.service(port=port)
        thread.join()
        self.assertEqual(box["trials"][0]["number"], 2)

    def test_exhausted_and_later(self):
        class Three:
            def suggest(self, study, trials, n):
                left = [x for x in (0.1, 0.2, 0.3)
                        if x not in [t.parameters["x"] for t in trials]]
                points = [{"x": x} for x in left[:n]]
                return assay.remote.Exhausted(points) if len(left) <= n else points

        service = self.service(Three)
        self.submit(remote_study("three", service.url))
        self.run_trials("three", 1, 3)
        self.assertEqual(self.ask("three"), [])
        found = wait_final(self.daemon, "three")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "space_exhausted"))

    def test_tokens_come_from_the_environment(self):
        service = self.service(token="s3cret")
        self.daemon.stop()
        self.daemon.environment.update(
            ASSAY_REMOTE_TOKEN_GOOD="s3cret", ASSAY_REMOTE_TOKEN_BAD="other",
            ASSAY_REMOTE_TOKEN_BOUND=f"{service.url.rstrip('/')} s3cret",
            ASSAY_REMOTE_TOKEN_ELSEWHERE="https://tuner.example s3cret")
        self.daemon.start()
        for name in ("good", "bound"):
            self.submit(remote_study(name, service.url,
                                     {"token_variable": f"ASSAY_REMOTE_TOKEN_{name.upper()}"}))
            self.assertTrue(self.ask(name))
        cases = {"bad": "answered 401: the token is missing or wrong",
                 "elsewhere": "is for another address",
                 "missing": "has no variable ASSAY_REMOTE_TOKEN_MISSING"}
        for name, sentence in cases.items():
            self.submit(remote_study(name, service.url,
                                     {"token_variable": f"ASSAY_REMOTE_TOKEN_{name.upper()}"}))
            self.ask(name)
            found = wait_final(self.daemon, name)
            self.assertIn(sentence, found["message"])
            self.assertNotIn("s3cret", json.dumps(found))
        refused = self.refused("POST", STUDIES, remote_study(
            "thief", service.url, {"token_variable": "AWS_SECRET_ACCESS_KEY"}))
        self.assertIn("begins with ASSAY_REMOTE_TOKEN", refused.problem["errors"][0]["message"])


class FaultyServiceTest(RemoteTest):
    options = ("--suggest-deadline", "4s")

    def check(self, name, service, sentence, settings=None):
        self.submit(remote_study(name, service.url, settings))
        start = time.monotonic()
        self.assertEqual(self.ask(name), [])
        found = wait_final(self.daemon, name)
        took = time.monotonic() - start
        self.assertEqual((found["state"], found["reason"]), ("failed", "suggestion_failed"))
        about = f"the remote algorithm at {service.url} "
        self.assertIn(about, found["message"])
        if "gave no answer" in found["message"]:  # the service stood still when it was asked last
            said = [line for line in self.daemon.log.read_text().splitlines() if about in line]
            self.assertTrue(any(sentence in line for line in said), said)
        else:
            self.assertIn(sentence, found["message"])
        print(f"\n{name}: after {took:.2f} s: {found['message']}")
        return took

    def test_answers_that_make_no_sense(self):
        bystander = Bystander(self.daemon, "beside")
        bystander.start()

        def asked(trials, **more):
            return json.dumps({"trials": trials, **more}).encode()

        cases = {
            "html": (dict(body=b"<html>hello</html>"), "answered 200 with a body that is no JSON"),
            "list": (dict(body=b"[]"), "answered 200 with a body that is no JSON"),
            "nothing": (dict(on="ask"), "answered with no array of trials"),
            "outside": (dict(on="ask", body=asked([{"parameters": {"x": 7}}])),
                        "proposed a point outside of the space: /parameters/x"),
            "unknown": (dict(on="ask", body=asked([{"parameters": {"x": 0.5, "y": 1}}])),
                        "proposed a point outside of the space: /parameters/y"),
            "missing": (dict(on="ask", body=asked([{"parameters": {}}])),
                        "proposed a point outside of the space"),
            "number": (dict(on="ask", body=asked([{"number": 9, "parameters": {"x": 0.5}}])),
                       "a trial of another number"),
            "many": (dict(on="ask", body=asked([{"parameters": {"x": 0.5}}] * 9)),
                     "more trials than were asked for"),
            "budget": (dict(on="ask", body=asked([{"parameters": {"x": 0.5}, "budget": 3}])),
                       "a budget outside of the study's"),
            "large": (dict(on="ask", body=b" " * (17 << 20)), "answered with more than 16 MiB"),
            "redirect": (dict(status=302, headers=[("Location", "http://127.0.0.1:1/")]),
                         "redirect (302), which is not followed"),
            "broken": (dict(status=500, body=b'{"message": "ZeroDivisionError: division"}'),
                       "answered 500: ZeroDivisionError: division"),
            "lost": (dict(status=404, body=b"not here"), "answered 404"),
            "amnesia": (dict(on="ask", status=404, body=b'{"code": "unknown_study"}'),
                        "says that it does not know the study"),
        }
        for name, (script, sentence) in cases.items():
            self.check(name, self.service(kind=Scripted, **script), sentence)
        print("\n" + bystander.finish())
        bystander.check()

    def test_services_that_do_not_answer(self):
        bystander = Bystander(self.daemon, "beside")
        bystander.start()
        hung = self.service(kind=Scripted, delay=40)
        took = self.check("hung", hung, "gave no answer within", {"timeout": 1})
        self.assertLess(took, 40)
        self.check("cut", self.service(kind=Scripted, cut=True), "can not be reached")
        gone = types.SimpleNamespace(url=f"http://127.0.0.1:{self.address()}/")
        self.check("gone", gone, "can not be reached")
        busy = self.service(kind=Scripted, status=503)
        self.check("busy", busy, "answered 503")
        print("\n" + bystander.finish())
        bystander.check()

    def test_an_exception_in_the_algorithm(self):
        class Broken:
            def suggest(self, study, trials, n):
                raise LookupError("no such luck")

        stderr, sys.stderr = sys.stderr, open(os.devnull, "w")
        self.addCleanup(setattr, sys, "stderr", stderr)
        self.addCleanup(sys.stderr.close)
        self.check("raises", self.service(Broken), "answered 500: LookupError: no such luck")


class PolicyTest(RemoteTest):
    def refusal(self, url):
        return self.refused("POST", STUDIES, remote_study("p", url)).problem["errors"][0]["message"]

    def test_only_this_machine_by_default(self):
        for url in ("http://192.0.2.1/", "https://tuner.example/", "http://127.0.0.1.evil.example/",
                    "http://[::2]/", "http://localhost.evil.example/"):
            self.assertIn("must name this machine", self.refusal(url))
        for url in ("ftp://127.0.0.1/", "file:///etc/passwd", "127.0.0.1", "http:///x", ""):
            self.assertIn("the url must look like", self.refusal(url))
        self.assertIn("user or password", self.refusal("http://me:secret@127.0.0.1/"))
        self.assertIn("blanks", self.refusal("http://127.0.0.1/a b"))
        refused = self.refused("POST", STUDIES, ask_tell_study("p", algorithm={"name": "remote"}))
        self.assertIn("needs settings: {url", refused.problem["errors"][0]["message"])
        self.assertIn("remote", [a["name"] for a in self.call("GET", "/v1/algorithms")["algorithms"]])

    def restart(self, policy):
        self.daemon.stop()
        self.daemon.options += ["--remote-algorithms", policy]
        self.daemon.start()

    def test_none(self):
        self.restart("none")
        self.assertIn("calls no remote algorithms", self.refusal("http://127.0.0.1/"))
        self.assertNotIn("remote",
                         [a["name"] for a in self.call("GET", "/v1/algorithms")["algorithms"]])

    def test_any_but_link_local(self):
        self.restart("any")
        self.submit(remote_study("meta", "http://169.254.169.254/latest/", {"timeout": 1}))
        self.ask("meta")
        found = wait_final(self.daemon, "meta")
        self.assertIn("does not allow", found["message"])
        service = self.service()
        self.submit(remote_study("near", service.url))
        self.assertTrue(self.ask("near"))
