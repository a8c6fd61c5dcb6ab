"""`assay server start` at once after the daemon, its database or both were killed."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from cases import ASSAY, BIN, WithStudies, environment

SLOW = """\
trial:
  command: [/bin/sh, -c, "for step in 1 2 3 4 5; do echo step=$step loss=$step; sleep 0.2; done"]
  infrastructure_retries: 100
"""
WRITER_LOCK = 7020310931501002  # key of the lock that a daemon writes under
GATE = 4242


def identity(pid):
    """As a daemon puts it into assayd.lock."""
    return f"{pid} {pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[19]}"


@unittest.skipUnless((BIN / "assayd").exists(), "there is no assayd beside assay")
class AfterACrash(WithStudies):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        self.environment = environment(ASSAY_DATA=str(self.data))
        self.addCleanup(subprocess.run, [ASSAY, "server", "stop"], env=self.environment,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        """Under way."""
        process = subprocess.Popen([ASSAY, "server", "start", "--json"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        return process

    def started(self, process):
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, err + self.log()[-3000:])
        answer = json.loads(out)
        self.assertEqual(answer["state"], "started")
        return answer

    def log(self):
        path = self.data / "assayd.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def postmaster(self):
        return int((self.data / "database/data/postmaster.pid").read_text().partition("\n")[0])

    def database_lives(self):
        """A zombie does not."""
        try:
            stat = pathlib.Path(f"/proc/{self.postmaster()}/stat").read_text()
        except (OSError, ValueError):  # it is being started
            return False
        return "(postgres" in stat and stat.rpartition(")")[2].split()[0] != "Z"

    def until(self, condition, what):
        deadline = time.monotonic() + 120
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def daemons(self):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/assayd") and str(self.data).encode() in words:
                    found.append(entry.name)
        return found

    def test_what_a_killed_one_still_holds_is_awaited(self):
        dead = subprocess.Popen(["sleep", "600"])
        known = identity(dead.pid)
        dead.kill()
        dead.wait()
        self.data.mkdir()
        (self.data / "url").write_text("http://127.0.0.1:1\n")
        (self.data / "pid").write_text(f"{dead.pid}\n")
        with open(self.data / "assayd.lock", "w", encoding="utf-8") as lock:
            lock.write(known)
            lock.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = self.start()
            self.until(lambda: self.daemons() or process.poll() is not None, "a daemon")
            time.sleep(1.5)  # longer than for one that lives
            self.assertIsNone(process.poll(), self.log())
            self.assertFalse((self.data / "database").exists())
        answer = self.started(process)
        self.assertEqual((self.data / "assayd.lock").read_text(), identity(answer["pid"]))

    def test_one_that_has_let_go_of_the_lock_is_awaited(self):
        """Its port and its database may be in its hands yet."""
        former = subprocess.Popen(["sleep", "600"])
        self.addCleanup(former.wait)
        self.addCleanup(former.kill)
        self.data.mkdir()
        (self.data / "assayd.lock").write_text(identity(former.pid))
        process = self.start()
        self.until(self.daemons, "a daemon")
        time.sleep(0.5)
        self.assertFalse((self.data / "database").exists())
        former.kill()
        self.started(process)

    def psql(self, sql, **more):
        return subprocess.Popen(
            ["psql", "-qAtX", "-h", str(self.data / "database" / "data"), "-U", "assay", "-c", sql,
             "postgres"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **more)

    def hold(self, sql):
        """Executes it and keeps what it locked."""
        holder = self.psql(f"{sql}; SELECT pg_sleep(600)")
        self.addCleanup(holder.communicate)
        self.addCleanup(holder.kill)

    def waits_for_lock(self, application):
        out, _ = self.psql("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) "
                           f"WHERE NOT granted AND application_name = '{application}'"
                           ).communicate(timeout=120)
        return out.strip() not in ("", "0")

    def holds_gate(self):
        out, _ = self.psql(f"SELECT count(*) FROM pg_locks WHERE granted AND objid = {GATE}"
                           ).communicate(timeout=120)
        return out.strip() == "1"

    def test_the_database_is_killed_while_a_daemon_starts(self):
        """Before it has taken the database, and while it reads from it."""
        if shutil.which("psql") is None:
            self.skipTest("there is no psql")
        name, path = self.study(trial=SLOW, limits="{trials: 1000, parallel: 3}")
        pid = self.json("server", "start")["pid"]
        self.assay("submit", path)

        # From when it gets what the first daemon has, it holds up the second one.
        self.hold(f"SELECT pg_advisory_lock({WRITER_LOCK})")
        self.until(lambda: self.waits_for_lock("psql"), "the lock is next to be psql's")
        os.kill(pid, signal.SIGKILL)
        process = self.start()
        self.until(lambda: "another daemon writes to this database" in self.log() or
                   process.poll() is not None, "the daemon waits for the database")
        os.kill(self.postmaster(), signal.SIGKILL)
        pid = self.started(process)["pid"]

        # Who reads a study waits for who holds the gate.
        self.psql("ALTER TABLE study RENAME TO study_row; CREATE FUNCTION gate() RETURNS bool "
                  f"LANGUAGE sql AS 'SELECT true FROM pg_advisory_xact_lock_shared({GATE})'; "
                  "CREATE VIEW study AS SELECT * FROM study_row WHERE gate()"
                  ).communicate(timeout=120)
        os.kill(pid, signal.SIGKILL)
        self.hold(f"SELECT pg_advisory_lock({GATE})")
        self.until(self.holds_gate, "the gate is shut")
        process = self.start()
        self.until(lambda: self.waits_for_lock("assayd engine") or process.poll() is not None,
                   "the engine reads")
        os.kill(self.postmaster(), signal.SIGKILL)
        self.started(process)
        self.assertIn("the engine can not start, trying again", self.log())
        before = self.json("show", name)["trials"]["succeeded"]
        self.until(lambda: self.json("show", name)["trials"]["succeeded"] > before, "it goes on")
        self.assay("cancel", name)

    def test_whatever_was_killed(self):
        """A few rounds beside two programs that take all there is of the processors."""
        name, path = self.study(trial=SLOW, limits="{trials: 1000, parallel: 3}")
        pid = self.json("server", "start")["pid"]
        self.assay("submit", path)
        for _ in range(2):
            busy = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
            self.addCleanup(busy.wait)
            self.addCleanup(busy.kill)
        for killed in ("daemon", "both", "database", "both backwards", "daemon", "daemon"):
            self.until(self.database_lives, "the database is there")
            pids = [pid, self.postmaster()]
            for victim in {"daemon": pids[:1], "database": pids[1:], "both": pids,
                           "both backwards": pids[::-1]}[killed]:
                os.kill(victim, signal.SIGKILL)
            with self.subTest(killed):
                answer = self.json("server", "start", timeout=300)
                self.assertEqual(answer["state"], "running" if killed == "database" else "started")
                self.assertEqual(answer["pid"] == pid, killed == "database")
                pid = answer["pid"]
        self.assertEqual(self.json("show", name)["state"], "running")
        self.assay("cancel", name)

    def test_the_message_is_what_went_wrong(self):
        self.data.mkdir()
        (self.data / "assayd.log").write_text("an error assayd: of yesterday\n")
        done = self.assay("server", "start", "--", "--postgres-bin", "/nowhere", code=1)
        self.assertIn("the daemon ended at once: there is no initdb and postgres in /nowhere (its",
                      done.stderr)
        done = self.assay("server", "start", "--", "--no-such-option", code=1)
        self.assertIn("--no-such-option", done.stderr)


if __name__ == "__main__":
    unittest.main()
