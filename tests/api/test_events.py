"""Events in pages and as a stream; logs of running trials."""

import http.client
import json
import pathlib
import shutil
import sys
import tempfile
import time

from service import ApiTest, address, fresh_name


class Stream:
    """A server-sent event stream, read as it comes."""

    def __init__(self, api, study, **headers):
        self.connection = http.client.HTTPConnection(*address(api.daemon), timeout=90)
        self.connection.request("GET", api.path(study, "/events"), headers={
            "Authorization": f"Bearer {api.token}", "Accept": "text/event-stream",
            **{name.replace("_", "-"): value for name, value in headers.items()}})
        self.response = self.connection.getresponse()

    def next(self, patience=90):
        """The next event, or None at the end of the stream."""
        fields, deadline = {}, time.monotonic() + patience
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError("no event came")
            line = self.response.readline().decode()
            if line == "":
                return None
            line = line.rstrip("\n")
            if line == "":
                if fields:
                    return fields
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value

    def close(self):
        self.connection.close()


class Events(ApiTest):
    def test_pages(self):
        name = self.api.create()
        self.api.ask(name, 3)
        self.api.tell(name, 1, 0.5)
        events = self.api.get(self.api.path(name, "/events")).json["events"]
        self.assertEqual([e["type"] for e in events],
                         ["study_created"] + ["trial_created"] * 3 + ["trial_state"])
        got, token = [], None
        while True:
            page = self.api.get(self.api.path(name, "/events") + "?page_size=2" +
                                (f"&page_token={token}" if token else "")).json
            got += page["events"]
            token = page["next_page_token"]
            if token is None:
                break
        self.assertEqual(got, events)
        after = self.api.get(self.api.path(name, "/events") + f"?after={events[3]['id']}").json
        self.assertEqual(after["events"], events[4:])
        self.refused(self.api.get(self.api.path(name, "/events") + "?page_token=x"), 400,
                     "bad_request")

    def test_wait(self):
        name = self.api.create()
        last = self.api.get(self.api.path(name, "/events")).json["events"][-1]["id"]
        with self.meanwhile(lambda api: api.ask(name, 1, fresh_name("w"))):
            answer = self.api.get(self.api.path(name, "/events") + f"?after={last}&wait=60s").json
        self.assertEqual(answer["events"][0]["type"], "trial_created")

    def test_stream(self):
        name = self.api.create()
        stream = Stream(self.api, name)
        self.addCleanup(stream.close)
        self.assertEqual(stream.response.status, 200)
        self.assertEqual(stream.response.headers["Content-Type"], "text/event-stream")
        self.assertEqual(stream.next()["event"], "study_created")
        took = []
        for number in range(1, 4):
            start = time.monotonic()
            self.api.ask(name, 1, f"w{number}")
            event = stream.next()
            took.append(time.monotonic() - start)
            data = json.loads(event["data"])
            self.assertEqual((event["event"], data["trial"]), ("trial_created", number))
            self.assertEqual(int(event["id"]), data["id"])
        # They come as they happen, not with the sign of life every 15 s.
        self.assertLess(min(took), 10)
        again = Stream(self.api, name, Last_Event_ID=event["id"])
        self.addCleanup(again.close)
        self.api.tell(name, 1, 0.5)
        self.assertEqual(json.loads(again.next()["data"])["type"], "trial_state")

    def test_a_long_history(self):
        name = self.api.create()
        self.api.ask(name, 1000)
        stream = Stream(self.api, name)
        self.addCleanup(stream.close)
        ids = [int(stream.next()["id"]) for _ in range(1001)]
        self.assertEqual(ids, sorted(set(ids)))

    def test_stream_of_a_deleted_study_ends(self):
        name = self.api.create()
        stream = Stream(self.api, name)
        self.addCleanup(stream.close)
        self.api.request("DELETE", self.api.path(name) + "?force=true")
        while stream.next() is not None:
            pass

    def test_bad_last_event_id(self):
        name = self.api.create()
        answer = self.api.get(self.api.path(name, "/events"), headers={
            "Accept": "text/event-stream", "Last-Event-ID": "seven"})
        self.refused(answer, 400, "bad_request")

    def test_clients_that_go_away(self):
        name = self.api.create()
        for _ in range(30):
            stream = Stream(self.api, name)
            stream.next()
            stream.close()
        self.api.ask(name)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            text = self.api.get("/metrics").body.decode()
            if "assay_http_streams 0\n" in text:
                return
            self.api.ask(name, 1, f"c{time.monotonic()}")  # gives the streams something to send
            time.sleep(0.2)
        self.fail("streams stay: " + text)


class Logs(ApiTest):
    SCRIPT = ("import sys, time\n"
              "for i in range(5):\n"
              "    print('line', i, flush=True)\n"
              "    time.sleep(0.2)\n"
              "print('loss=0.5')\n")
    # As that, once the file GATE is there; until then there is the first line.
    GATED = SCRIPT.replace("    time.sleep(0.2)\n", "    while not os.path.exists(GATE):\n"
                           "        time.sleep(0.02)\n").replace("import ", "import os, ")

    def start(self, script):
        return self.api.create(limits={"trials": 1}, trial={
            "command": [sys.executable, "-c", script], "resources": {"cpus": 0.1}})

    def wait_for_output(self, name):
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            answer = self.api.get(self.api.path(name, "/trials/1/logs"))
            if answer.status == 200 and answer.body:
                return
            time.sleep(0.02)
        self.fail("no output came")

    def test_follow(self):
        name = self.start(self.SCRIPT)
        self.wait_for_output(name)
        whole = self.api.get(self.api.path(name, "/trials/1/logs") + "?follow=true")
        lines = whole.body.decode().splitlines()
        self.assertEqual(lines[:5], [f"line {i}" for i in range(5)])
        self.assertEqual(lines[-1], "loss=0.5")
        trial = self.api.get(self.api.path(name, "/trials/1") + "?until=final&wait=60s").json
        self.assertEqual((trial["state"], trial["value"]), ("succeeded", 0.5))
        self.assertEqual(self.api.get(self.api.path(name, "/trials/1/logs")).body, whole.body)
        tail = self.api.get(self.api.path(name, "/trials/1/logs") + "?tail=2").body.decode()
        self.assertEqual(tail.splitlines(), ["line 4", "loss=0.5"])
        self.assertEqual(self.api.get(self.api.path(name, "/trials/1/logs") + "?tail=0").body, b"")
        tail = self.api.get(self.api.path(name, "/trials/1/logs") + "?tail=1&follow=true").body
        self.assertEqual(tail, b"loss=0.5\n")

    def test_tail_and_follow_of_a_running_trial(self):
        gate = pathlib.Path(tempfile.mkdtemp()) / "open"
        self.addCleanup(shutil.rmtree, gate.parent)
        name = self.start(self.GATED.replace("GATE", repr(str(gate))))
        self.wait_for_output(name)
        connection = http.client.HTTPConnection(*address(self.daemon), timeout=90)
        self.addCleanup(connection.close)
        connection.request("GET", self.api.path(name, "/trials/1/logs") + "?tail=1&follow=true",
                           headers={"Authorization": f"Bearer {self.api.token}"})
        response = connection.getresponse()
        lines = [response.readline().decode()]  # the tail is there, and the trial still runs
        gate.touch()
        lines += response.read().decode().splitlines(True)
        self.assertEqual(lines, [f"line {i}\n" for i in range(5)] + ["loss=0.5\n"])

    def test_attempts(self):
        script = "import os, sys\nprint('attempt', os.environ['ASSAY_ATTEMPT'])\nsys.exit(1)\n"
        name = self.api.create(limits={"trials": 1}, trial={
            "command": [sys.executable, "-c", script], "retries": 1})
        self.api.get(self.api.path(name) + "?until=final&wait=60s")
        text = self.api.get(self.api.path(name, "/trials/1/logs")).body.decode()
        self.assertEqual(text, "==> attempt 1 <==\nattempt 1\n==> attempt 2 <==\nattempt 2\n")
