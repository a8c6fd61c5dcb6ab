"""Suggestion workers elsewhere: assayd with relays, assay-suggest --listen over TLS with an
authority of its own, and what strangers, kills and outages do to them."""

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from base import (BUILD, STUDIES, Assayd, DaemonTest, all_events, all_trials, ask_tell_study, call,
                  is_alive, kill_all, quick_study, suggest_workers_of, wait_final, wait_for)
from harness.place import TOKEN, Place, children_of, make_authority, make_certificate

SUGGEST = BUILD / "bin" / "assay-suggest"
PLUGIN = str(BUILD / "examples" / "plugin-random.so")
SPACE = [{"name": f"x{i}", "type": "double", "min": 0, "max": 1} for i in range(6)]
PATIENCE = 240
GREETING = b"assay-s1" + hashlib.sha256(TOKEN.encode()).digest()
DEADLINE = 30  # of an ask, as assayd has it


def loss(parameters):
    return sum((value - 0.3) ** 2 for value in parameters.values())


class RelayedTest(DaemonTest):
    place_options = ()

    def setUp(self):
        self.place = Place(SUGGEST, *self.place_options)
        self.addCleanup(self.place.remove)
        mine = self.place.file("token of assayd", TOKEN)
        self.options = [*self.options, *self.place.assayd_options(mine)]
        super().setUp()

    def make(self, name, algorithm, history=0, daemon=None, **more):
        """A study with so many finished trials, the same for every name and daemon."""
        daemon = daemon or self.daemon
        call(daemon, "POST", STUDIES,
             ask_tell_study(name, parameters=SPACE, algorithm={"name": algorithm}, **more))
        self.add(name, 0, history, daemon)

    def add(self, name, first, end, daemon=None):
        """Of a row of finished trials, those."""
        chance = random.Random(5)
        points = [{p["name"]: chance.random() for p in SPACE} for _ in range(end)]
        for at in range(first, end, 1000):
            call(daemon or self.daemon, "POST", f"{STUDIES}/{name}/trials", {"trials": [
                {"parameters": point, "state": "succeeded", "metrics": {"loss": loss(point)}}
                for point in points[at:at + 1000]]})

    def ask(self, study, daemon=None):
        """One trial; asked again while there is none."""
        daemon, end = daemon or self.daemon, time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = call(daemon, "POST", f"{STUDIES}/{study}/suggestions", {"count": 1})
            if answer["trials"]:
                return answer["trials"][0]
            self.assertEqual(answer["study_state"], "running", self.daemon.tail())
            time.sleep(0.05)
        raise AssertionError("no suggestion\n" + self.daemon.tail() + self.place.log.read_text())

    def tell(self, study, trial, daemon=None):
        call(daemon or self.daemon, "POST", f"{STUDIES}/{study}/trials/{trial['number']}/complete",
             {"state": "succeeded", "metrics": {"loss": loss(trial["parameters"])}})

    def message(self, study):
        return self.call("GET", f"{STUDIES}/{study}")["message"]

    def metric(self, name):
        for line in self.call("GET", "/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


class Same(RelayedTest):
    def test_the_same_suggestions_as_here(self):
        """Also with 10,000 trials told, and after the workers were killed."""
        with Assayd(BUILD) as here:
            for daemon in (self.daemon, here):
                self.make("long", "tpe", history=10_000, daemon=daemon)
                self.make("short", "bayesian", history=20, daemon=daemon)
            for i in range(6):
                if i == 3:
                    kill_all(self.place.workers())
                for study in ("long", "short"):
                    there, beside = self.ask(study), self.ask(study, here)
                    self.assertEqual(there["parameters"], beside["parameters"])
                    self.tell(study, there)
                    self.tell(study, beside, here)
        self.assertGreater(len(self.place.workers()), 0)


class Killed(RelayedTest):
    def test_in_mid_ask(self):
        """The worker there, its gate, the relay: the same suggestion in time."""
        for name in ("calm", "rough"):
            self.make(name, "bayesian", history=300)
        took = []
        victims = {
            "worker": self.place.workers,
            "gate": self.place.gates,
            "relay": lambda: suggest_workers_of(self.daemon),
        }
        for i, find in enumerate([*victims.values()] * 2):
            calm, answers = self.ask("calm"), []
            before = time.monotonic()
            thread = threading.Thread(target=lambda: answers.append(self.ask("rough")))
            thread.start()
            time.sleep(0.01 * i)
            kill_all(find())
            thread.join()
            took.append(time.monotonic() - before)
            self.assertEqual(answers[0]["parameters"], calm["parameters"])
            self.tell("calm", calm)
            self.tell("rough", answers[0])
        print(f"\nits worker, gate or relay killed: {max(took):.2f} s at most")
        self.assertLess(max(took), DEADLINE + 1)
        wait_for(lambda: self.metric("assay_suggest_respawns_total") >= 3, "counted", PATIENCE)

    def test_one_that_takes_the_place_with_it(self):
        """An ask under which the connection is cut again and again is given up in the end; the
        kills of a moment, as above, are not its fault."""
        self.make("doomed", "bayesian", history=200)
        thread, end = None, time.monotonic() + 2 * PATIENCE
        while self.call("GET", f"{STUDIES}/doomed")["state"] == "running":
            self.assertLess(time.monotonic(), end, self.daemon.tail())
            if thread is None or not thread.is_alive():  # one may have been prepared, or put off
                thread = threading.Thread(target=lambda: self.call(
                    "POST", f"{STUDIES}/doomed/suggestions", {"count": 1}))
                thread.start()
            for gate in self.place.gates():
                for pid in children_of(gate):
                    with contextlib.suppress(ProcessLookupError):  # ended by itself: once more
                        os.kill(pid, signal.SIGSTOP)  # it will not answer, and not end by itself
                        time.sleep(0.1)  # most likely it is being asked by then; if not, once more
                        os.kill(gate, signal.SIGKILL)
                        os.kill(pid, signal.SIGKILL)  # it may have been stopped before it tied
                        # itself to its gate's life
            time.sleep(0.005)
        thread.join(PATIENCE)
        found = self.call("GET", f"{STUDIES}/doomed")
        self.assertEqual(found["reason"], "suggestion_failed")
        self.assertIn("the algorithm bayesian lost its worker 10 times in a row", found["message"])
        self.assertIn(self.place.address, found["message"])


class Silent(RelayedTest):
    options = ("--suggest-deadline", "4s")

    def test_a_worker_that_hangs(self):
        """It is killed there when the deadline has passed here."""
        self.make("study", "tpe", history=50)
        self.make("other", "tpe", history=50)
        first = self.ask("study")
        hung = self.place.workers()
        for pid in hung:
            os.kill(pid, signal.SIGSTOP)
        self.tell("study", first)
        again = self.ask("study")
        self.tell("other", self.ask("other"))
        self.assertEqual(again["parameters"], self.ask("other")["parameters"])
        wait_for(lambda: not all(map(is_alive, hung)), "the hung one killed", PATIENCE)
        wait_for(lambda: self.metric("assay_suggest_respawns_total") >= 1, "counted", PATIENCE)


class Away(RelayedTest):
    options = ("--plugin", PLUGIN)

    def said_by(self, study, sentence):
        """The study waits, says why, and whoever asks is told to come again."""
        wait_for(lambda: sentence in (self.message(study) or ""), f"{study}: {sentence}", PATIENCE)
        self.assertEqual(self.call("GET", f"{STUDIES}/{study}")["state"], "running")

    def asked_in_vain(self, study):
        answer = self.call("POST", f"{STUDIES}/{study}/suggestions", {"count": 1})
        self.assertEqual((answer["trials"], answer["study_state"]), ([], "running"))
        self.assertGreater(answer["retry_after_ms"], 0)

    def test_down_and_back(self):
        self.submit(quick_study("runs", trials=100_000, parallel=2, work_ms=10))
        self.make("asks", "tpe", history=30)
        self.make("twin", "tpe", history=31)
        twin = self.ask("twin")

        def done():
            return self.call("GET", f"{STUDIES}/runs")["trials"]["succeeded"]
        wait_for(lambda: done() >= 5, "some done", PATIENCE)
        self.assertEqual(self.place.stop(), 0)
        self.add("asks", 30, 31)  # nothing was prepared for this history
        self.asked_in_vain("asks")
        for study in ("asks", "runs"):
            self.said_by(study, f"{self.place.address} can not be reached: Connection refused")
        kinds = [event["type"] for event in all_events(self.daemon, "runs")]
        self.assertEqual(kinds.count("suggestions_wait"), 1)
        wait_for(lambda: self.metric("assay_suggest_unreached_total") >= 1, "counted")

        # Nor does it say so where it is no longer true.
        self.call("POST", f"{STUDIES}/asks/pause")
        self.assertIsNone(self.message("asks"))
        self.call("POST", f"{STUDIES}/asks/resume")
        self.said_by("asks", "can not be reached")

        # What is served beside the daemon goes on meanwhile.
        self.make("plugin", "example-random")
        self.ask("plugin")

        # It is back, but takes another token; then both: the files are read each time.
        self.place.file("token", "another token, just as long\n")
        self.place.start()
        self.said_by("asks", "does not take the token")
        self.place.file("token", f"another token, just as long\n{TOKEN}\n")
        self.assertEqual(self.ask("asks")["parameters"], twin["parameters"])
        self.assertIsNone(self.message("asks"))

        for end in (self.place.kill, self.place.stop, self.place.kill):
            before = done()
            wait_for(lambda before=before: done() >= before + 10, "more done", PATIENCE)
            end()
            self.place.start()
        self.call("POST", f"{STUDIES}/runs/pause")  # so that the number stands
        trials = self.call("GET", f"{STUDIES}/runs")["trials"]["total"] + 20
        self.call("PATCH", f"{STUDIES}/runs", {"limits": {"trials": trials}})
        self.call("POST", f"{STUDIES}/runs/resume")
        found = wait_final(self.daemon, "runs")
        self.assertEqual((found["state"], found["reason"], found["message"]),
                         ("succeeded", "trials_done", None))
        self.assertEqual([row["state"] for row in all_trials(self.daemon, "runs")],
                         ["succeeded"] * trials)


class Relay:
    """assay-suggest --connect as assayd starts it."""

    def __init__(self, place, *options, address=None):
        trust = ["--ca", str(place.folder / "ca.crt")] if place.tls else []
        self.process = subprocess.Popen(
            [str(SUGGEST), "--connect", address or place.address, "--token-file",
             str(place.token), *trust, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        assert self.process.wait(PATIENCE) == 0

    def send(self, message):
        data = json.dumps(message).encode()
        self.process.stdin.write(struct.pack("<I", len(data)) + data)
        self.process.stdin.flush()

    def read(self):
        length = struct.unpack("<I", self.process.stdout.read(4))[0]
        return json.loads(self.process.stdout.read(length))

    def parameters(self, number=1):
        self.send({"op": "open", "study": 1, "spec": ask_tell_study("x")})
        self.send({"op": "ask", "study": 1, "request": 1, "numbers": [number]})
        return self.read()["trials"][0]["parameters"]


class Strangers(unittest.TestCase):
    """The listener alone."""

    def begin(self, *options, **more):
        place = Place(SUGGEST, *options, **more)
        self.addCleanup(place.remove)
        self.addCleanup(lambda: self.assertFalse(place.heard("Sanitizer"), place.log.read_text()))
        return place

    def refused(self, place, *options, **more):
        with Relay(place, *options, **more) as relay:
            said = relay.read()
        self.assertEqual((said["op"], said["away"]), ("gone", True))
        return said["message"]

    def works(self, place, **more):
        with Relay(place, **more) as relay:
            self.assertEqual(relay.read(), {"op": "ready"})
            self.assertIn("x", relay.parameters())

    def tls(self, place):
        context = ssl.create_default_context(cafile=str(place.folder / "ca.crt"))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", place.port), PATIENCE),
                                   server_hostname="127.0.0.1")

    def closed(self, connection):
        """Whether the other side has closed it."""
        connection.settimeout(PATIENCE)
        try:
            while connection.recv(4096):
                pass
        except ConnectionError:
            pass
        connection.close()
        return True

    def test_wrong_ones(self):
        place = self.begin()
        bad = place.file("bad", "this is not the token of the place\n")
        self.assertIn("does not take the token", self.refused(place, "--token-file", str(bad)))
        make_authority(place.folder, "other")
        self.assertIn("of an authority that is not trusted",
                      self.refused(place, "--ca", str(place.folder / "other.crt")))
        self.assertIn("is for another name",
                      self.refused(place, address=f"localhost:{place.port}"))
        self.assertIn("is of another version", self.greeted(place, b"?" * 40))
        self.assertIn("/nowhere", self.refused(place, "--token-file", "/nowhere"))
        self.assertIn("does not answer the greeting",
                      self.refused(place, address=f"tcp://127.0.0.1:{place.port}"))
        self.assertEqual(place.workers(), [])
        self.works(place)

    def greeted(self, place, greeting):
        """What the relay says of such an answer, the answer being the place's."""
        with self.tls(place) as connection:
            connection.sendall(greeting)
            self.assertEqual(connection.recv(1), b"p")
        return "is of another version"

    def test_bytes_that_are_none_of_it(self):
        place = self.begin("--handshake", "6s")
        chance = random.Random(3)
        for data in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(64), chance.randbytes(4096),
                     b"\x16\x03\x01\x02\x00\x01" + chance.randbytes(600)):
            with socket.create_connection(("127.0.0.1", place.port), PATIENCE) as connection:
                connection.sendall(data)
                self.assertTrue(self.closed(connection))
        # With the token, but no records after it: its worker hears none of it.
        for data in (b"\xff" * 64, struct.pack("<I", 0xffffff01), b"\x01\x08\x00\x00" + b"\xff" * 8):
            with self.tls(place) as connection:
                connection.sendall(GREETING)
                self.assertEqual(connection.recv(1), b"y")
                connection.sendall(data)
                self.assertTrue(self.closed(connection))
        wait_for(lambda: not place.gates(), "no gate left", PATIENCE)
        self.works(place)

    def test_slow_ones_keep_nobody_out(self):
        """More connections that say nothing, or a byte now and then, than are waited for."""
        place = self.begin("--handshake", "6s", "--connections", "2")
        silent = [socket.create_connection(("127.0.0.1", place.port), PATIENCE) for _ in range(90)]
        for connection in silent[::2]:
            connection.sendall(b"\x16\x03\x01")
        self.works(place)
        for connection in silent:
            self.assertTrue(self.closed(connection))
        wait_for(lambda: not place.gates(), "no gate left", PATIENCE)

    def test_a_bound_on_workers(self):
        place = self.begin("--connections", "1")
        with Relay(place) as relay:
            self.assertEqual(relay.read(), {"op": "ready"})
            self.assertIn("has no place left", self.refused(place))
            self.assertIn("x", relay.parameters())
        wait_for(lambda: not place.gates(), "the place free again", PATIENCE)
        self.works(place)

    def test_silence_is_death(self):
        """A peer that vanished without a word is noticed; who has nothing to say says so."""
        place = self.begin("--silence", "5s")
        with Relay(place) as vanished:
            vanished.read()
            vanished.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: place.heard("nothing came for 5 s"), "the end of it noticed", PATIENCE)
            vanished.process.send_signal(signal.SIGCONT)
            self.assertEqual(vanished.read()["op"], "gone")
        place = self.begin("--silence", "8s")
        with self.tls(place) as connection:
            connection.sendall(GREETING)
            self.assertEqual(connection.recv(1), b"y")
            self.assertEqual(connection.recv(4), b"\x02\0\0\0")

    def test_a_place_that_vanishes(self):
        place = self.begin()
        with Relay(place, "--silence", "5s") as relay:
            relay.read()
            gates = place.gates()
            for pid in gates:
                os.kill(pid, signal.SIGSTOP)
            said = relay.read()
            self.assertEqual((said["op"], said["away"]), ("gone", True))
            self.assertIn("nothing came for 5 s", said["message"])
            for pid in gates:
                os.kill(pid, signal.SIGCONT)

    def test_the_end_of_a_worker_is_told(self):
        place = self.begin()
        with Relay(place) as relay:
            relay.read()
            os.kill(place.workers()[0], signal.SIGSEGV)
            said = relay.read()
        self.assertEqual((said["op"], said["away"]), ("gone", False))
        self.assertIn(f"its process was ended by signal 11 (Segmentation fault) (at {place.address})",
                      said["message"])

    def test_nothing_is_left_of_a_killed_place(self):
        place = self.begin()
        with Relay(place) as relay:
            relay.read()
            pids = place.gates() + place.workers()
            self.assertEqual(len(pids), 2)
            place.kill()
            self.assertEqual(relay.read()["op"], "gone")
        wait_for(lambda: not any(map(is_alive, pids)), "gate and worker gone", PATIENCE)

    def test_terminated(self):
        place = self.begin()
        with Relay(place) as relay:
            relay.read()
            pids = place.gates() + place.workers()
            self.assertEqual(place.stop(), 0)
            said = relay.read()
        self.assertEqual((said["op"], said["away"]), ("gone", True))
        self.assertIn("has ended the connection: it is being stopped", said["message"])
        self.assertFalse(any(map(is_alive, pids)))

    def test_more_than_fits_into_any_buffer(self):
        """Neither side reads for a while; nothing is lost or reordered."""
        place = self.begin()
        with Relay(place) as relay:
            relay.read()
            relay.send({"op": "open", "study": 1, "spec": ask_tell_study("x")})
            asks = 400
            blob = "y" * 20_000

            def send():
                for i in range(asks):
                    relay.send({"op": "ask", "study": 1, "request": i, "numbers": [1], "blob": blob})
            thread = threading.Thread(target=send)
            thread.start()
            self.assertEqual([relay.read()["request"] for _ in range(asks)], list(range(asks)))
            thread.join(PATIENCE)
            # Answers that nobody reads yet stop the worker, not the relay's memory.
            for i in range(60):
                relay.send({"op": "ask", "study": 1, "request": i, "numbers": list(range(1000))})
            self.assertEqual([relay.read()["request"] for _ in range(60)], list(range(60)))

    def test_a_renewed_certificate(self):
        place = self.begin()
        self.works(place)
        make_authority(place.folder)  # another one of that name
        self.assertIn("not trusted", self.refused(place))
        make_certificate(place.folder, "server", "IP:127.0.0.1")
        self.works(place)
        self.assertTrue(place.heard("the certificate was read again"))
        place.file("server.crt", "nonsense")
        self.works(place)  # with the one from before
        self.assertTrue(place.heard("the certificate from before is used"))

    def test_plain_is_for_loopback(self):
        self.works(self.begin(tls=False))
        place = self.begin()
        self.assertIn("is for addresses of this machine alone",
                      self.refused(place, address="tcp://192.0.2.1:7451"))
        for options, why in (
                (["--listen", "0.0.0.0:0", "--token-file", "token"], "other machines"),
                (["--listen", "127.0.0.1:0"], "--token-file is needed"),
                (["--listen", "127.0.0.1:0", "--token-file", "short"], "16 to 1024"),
                (["--listen", "here", "--token-file", "token"], "is not HOST:PORT"),
                (["--listen", "127.0.0.1:0", "--token-file", "token", "--tls-cert", "server.crt"],
                 "need each other"),
                (["--listen", "127.0.0.1:0", "--token-file", "token", "--tls-cert", "server.crt",
                  "--tls-key", "ca.key"], "server.crt with ca.key"),
                (["--listen", "127.0.0.1:0", "--token-file", "token", "--plugin", PLUGIN],
                 "beside the daemon")):
            place.file("short", "short\n")
            done = subprocess.run([str(SUGGEST), *options], cwd=place.folder, timeout=PATIENCE,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(why, done.stderr)


if __name__ == "__main__":
    unittest.main()
