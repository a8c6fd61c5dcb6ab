"""kill -9 of each process at random moments: nothing lost, nothing run twice."""

import collections
import contextlib
import os
import random
import signal
import sys
import threading
import time

from base import (QUICK, STUDIES, DaemonTest, all_trials, is_alive, persistent_call, processes_of,
                  quick_study, suggest_workers_of, trial_processes_of, wait_final, wait_for)


def pids_named(daemon, word):
    """Not those that a process of the name has forked and that are yet to become something else."""
    parents = {}
    for pid in processes_of(daemon):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                named = word.encode() in file.read().split(b"\0")[0]
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if named:
            parents[pid] = parent
    return [pid for pid, parent in parents.items() if parent not in parents]


class CrashTest(DaemonTest):
    def check_results(self, name, trials):
        rows = all_trials(self.daemon, name)
        self.assertEqual([row["number"] for row in sorted(rows, key=lambda r: r["number"])],
                         list(range(1, trials + 1)))
        for row in rows:
            self.assertEqual(row["state"], "succeeded", row)
            expected = (row["parameters"]["x"] - 0.3) ** 2
            self.assertAlmostEqual(row["metrics"]["loss"], expected, places=12)
            self.assertAlmostEqual(row["value"], expected, places=12)
        return rows

    def check_intervals(self, name, rows):
        """No two attempts of one trial were alive at once, and the trials are counted."""
        self.assertEqual(
            {state: n for state, n in self.call("GET", f"{STUDIES}/{name}")["trials"].items() if n},
            collections.Counter([*(row["state"] for row in rows), *("total" for _ in rows)]))
        for row in rows:
            whole = self.call("GET", f"{STUDIES}/{name}/trials/{row['number']}")
            attempts = sorted(whole["attempts"], key=lambda a: a["number"])
            for one, other in zip(attempts, attempts[1:]):
                self.assertIsNotNone(one["finished_at"], whole)
                self.assertLessEqual(one["finished_at"], other["started_at"], whole)

    def test_daemon_killed_every_two_seconds(self):
        self.submit(quick_study("crash", trials=200, work_ms=100))
        kills, recoveries = 0, []
        while persistent_call(self.daemon, "GET", f"{STUDIES}/crash?fields=state")["state"] == "running":
            time.sleep(2)
            self.daemon.kill()
            kills += 1
            recoveries.append(self.daemon.start())
        found = wait_final(self.daemon, "crash")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        self.assertGreaterEqual(kills, 3)
        rows = self.check_results("crash", 200)
        self.check_intervals("crash", rows)
        wait_for(lambda: not trial_processes_of(self.daemon), "no trial's process left")
        print(f"\n{kills} kills, back after at most {max(recoveries):.2f} s")

    def test_everything_killed_at_random(self):
        self.submit(quick_study("chaos", trials=60, work_ms=60,
                                trial={"command": [QUICK, "${x}", "60"],
                                       "infrastructure_retries": 100}))
        chance = random.Random(11)
        end = time.monotonic() + 12
        while time.monotonic() < end:
            time.sleep(chance.uniform(0.1, 0.8))
            victim = chance.choice(["assayd", "postgres", "suggest", "runner"])
            if victim == "assayd":
                self.daemon.kill()
                self.daemon.start()
                continue
            pids = []
            if victim == "postgres":
                with contextlib.suppress(OSError, ValueError):  # it is being started
                    pids = [self.daemon.postmaster()]
            elif victim == "suggest":
                pids = suggest_workers_of(self.daemon)
            else:
                pids = pids_named(self.daemon, "assay-" + victim)
            if pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(pids), signal.SIGKILL)
        found = wait_final(self.daemon, "chaos")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"), found)
        self.check_intervals("chaos", self.check_results("chaos", 60))

    def test_killed_while_a_pause_ends_what_runs(self):
        """The trials that a pause queues again are queued, whoever is killed before they are."""
        code = """
import os, signal, sys, time
if os.environ["ASSAY_ATTEMPT"] != "1":
    print("loss=0.5", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "deaf" else signal.SIG_DFL)
print("loss=1", flush=True)
time.sleep(600)
"""
        # The deaf ones outlive every request; the others may end before the daemon does.
        for kind in ("deaf", "deaf", "meek"):
            name = f"pause-{kind}-{time.monotonic_ns()}"
            path = f"{STUDIES}/{name}"
            self.submit(quick_study(name, trials=3, parallel=3, trial={
                "command": [sys.executable, "-c", code, kind], "grace": "3s", "retries": 0}))
            wait_for(lambda: sum(bool(row["steps"]) for row in all_trials(self.daemon, name)) == 3,
                     "three trials have begun")
            self.assertEqual(self.call("POST", path + "/pause?requeue=true")["state"], "paused")
            self.daemon.kill()
            self.daemon.start()
            wait_for(lambda: self.call("GET", path)["trials"]["queued"] == 3, "all are queued")
            wait_for(lambda: not trial_processes_of(self.daemon), "no process is left")
            self.assertEqual(self.call("GET", path)["state"], "paused")
            self.call("POST", path + "/resume")
            self.assertEqual(wait_final(self.daemon, name)["trials"]["succeeded"], 3)
            for row in all_trials(self.daemon, name):
                first, second = sorted(row["attempts"], key=lambda attempt: attempt["number"])
                self.assertEqual((first["reason"], second["state"], second["exit_code"]),
                                 (None, "exited", 0), row)
                self.assertIsNotNone(first["finished_at"], row)

    def test_killed_while_a_deletion_waits_for_a_process(self):
        """The study is there, whole, and can be deleted again."""
        asked, gate = self.daemon.folder / "asked", self.daemon.folder / "gate"
        self.addCleanup(gate.touch)
        path = f"{STUDIES}/going"
        code = f"trap 'touch {asked}' TERM; echo loss=1; until test -e {gate}; do sleep 0.05; done"
        self.submit(quick_study("going", trials=1, trial={"command": ["/bin/sh", "-c", code],
                                                          "grace": "1h"}))
        wait_for(lambda: any(row["steps"] for row in all_trials(self.daemon, "going")),
                 "the trial has begun")
        self.call("POST", path + "/trials/1/complete", {"state": "succeeded"})
        self.assertEqual(wait_final(self.daemon, "going")["state"], "succeeded")
        self.call("DELETE", path + "?force=true")
        wait_for(asked.exists, "its process is asked to end")
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(self.call("GET", path)["state"], "succeeded")
        self.assertEqual([row["metrics"] for row in all_trials(self.daemon, "going")],
                         [{"loss": 1}])
        self.call("DELETE", path + "?force=true")
        gate.touch()
        wait_for(lambda: not self.call("GET", STUDIES)["studies"], "the study is deleted")
        wait_for(lambda: not trial_processes_of(self.daemon), "no process is left")
        self.submit(quick_study("going", trials=1))
        self.assertEqual(wait_final(self.daemon, "going")["trials"]["succeeded"], 1)

    def test_lost_runner_is_tried_again_and_its_command_ended(self):
        # Only the attempt that is lost lasts.
        code = "test $ASSAY_ATTEMPT != 1 || exec sleep 6000; echo loss=1"
        self.submit(quick_study("lost", trials=1, parallel=1,
                                trial={"command": ["/bin/sh", "-c", code]}))
        command = wait_for(lambda: pids_named(self.daemon, "sleep"), "the command")[0]
        runner = pids_named(self.daemon, "assay-runner")[0]
        os.kill(runner, signal.SIGKILL)
        wait_for(lambda: not is_alive(command), "the command's end")
        found = wait_final(self.daemon, "lost")
        self.assertEqual(found["state"], "succeeded", found)
        trial = self.call("GET", f"{STUDIES}/lost/trials/1")
        self.assertEqual([a["state"] for a in trial["attempts"]], ["lost", "exited"], trial)

    def test_acknowledged_reports_survive(self):
        """What was answered with 200 is there after kill -9 of daemon and database."""
        study = quick_study("durable")
        del study["trial"], study["limits"]
        self.submit(study)
        told, stop = {}, threading.Event()

        def worker(name):
            while not stop.is_set():
                trials = persistent_call(self.daemon, "POST", f"{STUDIES}/durable/suggestions",
                                         {"count": 1, "client": name})["trials"]
                if not trials:
                    continue
                number = trials[0]["number"]
                persistent_call(self.daemon, "POST",
                                f"{STUDIES}/durable/trials/{number}/measurements",
                                {"measurements": [{"step": 1, "metrics": {"loss": number}}]})
                persistent_call(self.daemon, "POST", f"{STUDIES}/durable/trials/{number}/complete",
                                {"state": "succeeded", "metrics": {"loss": number + 0.5}})
                told[number] = name

        threads = [threading.Thread(target=worker, args=(f"w{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for round in range(4):
            time.sleep(0.7)
            if round % 2:
                os.kill(self.daemon.postmaster(), signal.SIGKILL)
            else:
                self.daemon.kill()
                self.daemon.start()
        wait_for(lambda: len(told) > 20, "trials told")
        stop.set()
        for thread in threads:
            thread.join()
        rows = {row["number"]: row for row in all_trials(self.daemon, "durable")}
        for number in told:
            self.assertEqual(rows[number]["state"], "succeeded")
            self.assertEqual(rows[number]["metrics"]["loss"], number + 0.5)
        for number in random.Random(3).sample(sorted(told), 10):
            curve = self.call("GET", f"{STUDIES}/durable/trials/{number}/measurements")
            self.assertEqual([m["metrics"]["loss"] for m in curve["measurements"]], [number])
