"""The main job through every door: CLI, curl, limits, verbs, early stopping."""

import collections
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from base import (BUILD, QUICK, ROOT, STUDIES, DaemonTest, all_trials, ask_tell_study, quick_study,
                  trial_processes_of, wait_final, wait_for)

ASSAY = str(BUILD / "bin" / "assay")

# Reports a falling loss whose level is x, slowly; notes SIGTERM in its output.
CURVE = """
import os, signal, sys, time
x, steps, pause = float(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
def ended(signum, frame):
    os.write(1, b"got SIGTERM\\n")  # print may be what was interrupted
    sys.exit(0)
signal.signal(signal.SIGTERM, ended)
for step in range(1, steps + 1):
    print(f"step={step} loss={x + 1.0 / step}", flush=True)
    time.sleep(pause)
"""


def python_trial(code, *arguments, **more):
    return {"command": [sys.executable, "-c", code, *arguments], **more}


class CommandLineTest(DaemonTest):
    def assay(self, *arguments, expect=0):
        done = subprocess.run([ASSAY, *arguments], cwd=ROOT, capture_output=True, text=True,
                              timeout=600, stdin=subprocess.DEVNULL,
                              env=dict(os.environ, **self.daemon.client_environment))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def test_digits_same_seed_same_parameters(self):
        """parallel: 1 twice with one seed: the same parameters, trial for trial."""
        runs = []
        for _ in range(2):
            text = self.assay("run", "examples/digits/study.yaml", "--json",
                              "--set", "limits.parallel=1", "--set", "limits.trials=8")
            runs.append(json.loads(text))
        first, second = ([(t["number"], t["parameters"]) for t in run["trials"]] for run in runs)
        self.assertEqual(len(first), 8)
        self.assertEqual(first, second)
        self.assertNotEqual(runs[0]["study"]["name"], runs[1]["study"]["name"])

    def test_digits_in_c_reaches_097(self):
        run = json.loads(self.assay("run", "examples/digits/study-c.yaml", "--json",
                                    "--set", "limits.trials=60"))
        self.assertEqual(run["study"]["state"], "succeeded")
        self.assertGreaterEqual(run["best"]["value"], 0.97)
        # Conditional parameters are there only where they apply.
        for trial in run["trials"]:
            self.assertEqual("momentum" in trial["parameters"],
                             trial["parameters"]["optimizer"] == "sgd")

    def test_exit_codes(self):
        folder = pathlib.Path(self.daemon.folder)
        (folder / "bad.json").write_text(json.dumps(
            quick_study("bad", parameters=[{"name": "x", "type": "double", "min": 2, "max": 1}])))
        self.assay("run", str(folder / "bad.json"), expect=2)
        (folder / "failing.json").write_text(json.dumps(
            quick_study("failing", trial={"command": ["/bin/false"]})))
        self.assay("run", str(folder / "failing.json"), expect=1)
        missed = quick_study("missed", trials=2)
        missed["objective"]["target"] = -1
        (folder / "missed.json").write_text(json.dumps(missed))
        self.assay("run", str(folder / "missed.json"), expect=3)


class CurlTest(DaemonTest):
    def test_script_in_the_docs(self):
        done = subprocess.run(["sh", "docs/curl.sh"], cwd=ROOT, capture_output=True, text=True,
                              timeout=600, env=dict(os.environ, **self.daemon.client_environment))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line]
        self.assertEqual(lines[0]["state"], "succeeded")
        self.assertEqual(set(lines[1]["best"]["parameters"]), {"x", "y"})
        self.assertIn("x", lines[2]["best"]["parameters"])
        rows = all_trials(self.daemon, self.call("GET", STUDIES + "?sort=created_at")
                          ["studies"][0]["name"])
        self.assertEqual(collections.Counter(r["state"] for r in rows), {"succeeded": 20})

    def test_sixteen_concurrent_workers(self):
        """curl processes asking and telling: no number twice, every value there."""
        self.submit(ask_tell_study("many"))
        base = f"{self.daemon.url}{STUDIES}/many"
        headers = ["-H", f"Authorization: Bearer {self.daemon.token}",
                   "-H", "Content-Type: application/json"]

        def curl(path, body):
            done = subprocess.run(["curl", "-sS", "--fail-with-body", *headers, "-d",
                                   json.dumps(body), base + path], capture_output=True, text=True,
                                  timeout=240)
            if done.returncode:
                raise RuntimeError(done.stdout + done.stderr)
            return json.loads(done.stdout)

        def worker(name):
            told = []
            for i in range(10):
                number = curl("/suggestions", {"count": 1, "client": name})["trials"][0]["number"]
                value = number * 1000 + i
                curl(f"/trials/{number}/complete",
                     {"state": "succeeded", "metrics": {"loss": value}})
                told.append((number, value))
            return told

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            told = [pair for worker_told in pool.map(worker, [f"w{i}" for i in range(16)])
                    for pair in worker_told]
        self.assertEqual(len({number for number, _ in told}), 160)
        stored = {row["number"]: row["metrics"]["loss"] for row in all_trials(self.daemon, "many")}
        self.assertEqual(stored, dict(told))


class LimitsTest(DaemonTest):
    def test_trials_and_parallel(self):
        self.submit(quick_study("limits", trials=12, parallel=3, work_ms=120))
        most = 0
        while True:
            study = self.call("GET", f"{STUDIES}/limits")
            most = max(most, study["trials"]["running"])
            if study["state"] != "running":
                break
        self.assertEqual(study["trials"]["succeeded"], 12)
        self.assertLessEqual(most, 3)

    def test_target_ends_the_study_and_the_others(self):
        study = quick_study("target", trials=100, parallel=2, work_ms=50)
        study["objective"]["target"] = 0.5
        self.submit(study)
        found = wait_final(self.daemon, "target")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "target_reached"))
        self.assertLess(found["trials"]["total"], 100)
        self.assertEqual(found["trials"]["running"] + found["trials"]["stopping"], 0)

    def test_failed_trials(self):
        self.submit(quick_study("failing", trials=50,
                                limits={"trials": 50, "parallel": 2, "failed_trials": 3},
                                trial={"command": ["/bin/sh", "-c", "echo oops >&2; exit 3"]}))
        found = wait_final(self.daemon, "failing")
        self.assertEqual((found["state"], found["reason"]), ("failed", "failed_trials_limit"))
        rows = all_trials(self.daemon, "failing")
        failed = [row for row in rows if row["state"] == "failed"]
        self.assertGreaterEqual(len(failed), 4, rows)  # one more than are allowed
        self.assertLess(len(rows), 50)
        for trial in failed:
            self.assertEqual(trial["reason"], "exit_code")
            self.assertEqual(trial["attempts"][0]["exit_code"], 3)
            self.assertIn("oops", trial["message"])
            self.assertIn("oops", self.call(
                "GET", f"{STUDIES}/failing/trials/{trial['number']}/logs"))

    def test_time(self):
        self.submit(quick_study("slow", work_ms=60000,
                                limits={"parallel": 2, "time": "1s"},
                                trial={"command": [QUICK, "${x}", "60000"], "grace": "1s"}))
        found = wait_final(self.daemon, "slow")
        self.assertEqual(found["reason"], "time_limit")
        wait_for(lambda: not trial_processes_of(self.daemon), "the processes' end")

    def test_retries_then_success(self):
        marker = self.daemon.folder / "tries"
        code = ("import sys, pathlib; p = pathlib.Path(sys.argv[1]); n = len(p.read_text()) if "
                "p.exists() else 0; p.write_text('x' * (n + 1)); print('loss=1'); "
                "sys.exit(0 if n == 2 else 4)")
        self.submit(quick_study("retries", trials=1, parallel=1,
                                trial=python_trial(code, str(marker), retries=2)))
        found = wait_final(self.daemon, "retries")
        self.assertEqual(found["trials"]["succeeded"], 1, found)
        trial = self.call("GET", f"{STUDIES}/retries/trials/1")
        self.assertEqual([a["exit_code"] for a in trial["attempts"]], [4, 4, 0])

    def test_reasons_are_told_apart(self):
        cases = {
            "no-objective": (["/bin/echo", "hello"], "no_objective"),
            "signal": (["/bin/sh", "-c", "kill -SEGV $$"], "signal"),
            "start": (["/no/such/program"], "start_failed"),
            "nan": (["/bin/echo", "loss=nan"], "non_finite_objective"),
        }
        for name, (command, reason) in cases.items():
            self.submit(quick_study(name, trials=1, parallel=1, trial={"command": command}))
        self.submit(quick_study("timeout", trials=1, parallel=1,
                                trial={"command": ["/bin/sleep", "60"], "timeout": "300ms"}))
        for name in [*cases, "timeout"]:
            wait_final(self.daemon, name)
            trial = self.call("GET", f"{STUDIES}/{name}/trials/1")
            expected = cases[name][1] if name in cases else "timeout"
            self.assertEqual((trial["state"], trial["reason"]), ("failed", expected), trial)
            self.assertIsNone(self.call("GET", f"{STUDIES}/{name}/best")["best"])

    def test_a_daemon_grandchild_does_not_outlive_its_trial(self):
        self.submit(quick_study("daemon", trials=1, parallel=1, trial={
            "command": ["/bin/sh", "-c", "setsid sleep 300 & echo loss=1"]}))
        self.assertEqual(wait_final(self.daemon, "daemon")["trials"]["succeeded"], 1)
        wait_for(lambda: not trial_processes_of(self.daemon), "the grandchild's end")

    def test_finite_space_ends_as_exhausted(self):
        study = quick_study("grid", parameters=[
            {"name": "x", "type": "discrete", "values": [0.1, 0.3, 0.5]}],
            algorithm={"name": "grid"}, limits={"parallel": 2})
        self.submit(study)
        found = wait_final(self.daemon, "grid")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "space_exhausted"))
        self.assertEqual(sorted(r["parameters"]["x"] for r in all_trials(self.daemon, "grid")),
                         [0.1, 0.3, 0.5])


class VerbsTest(DaemonTest):
    def test_pause_resume_cancel(self):
        self.submit(quick_study("verbs", trials=1000, work_ms=50))
        path = f"{STUDIES}/verbs"
        wait_for(lambda: self.call("GET", path)["trials"]["succeeded"] >= 2, "two trials")
        self.assertEqual(self.call("POST", path + "/pause")["state"], "paused")
        self.assertEqual(self.call("POST", path + "/pause")["state"], "paused")
        wait_for(lambda: self.call("GET", path)["trials"]["running"] == 0, "nothing running")
        before = self.call("GET", path)["trials"]["total"]
        time.sleep(0.5)
        self.assertEqual(self.call("GET", path)["trials"]["total"], before)
        self.assertEqual(self.call("POST", path + "/resume")["state"], "running")
        wait_for(lambda: self.call("GET", path)["trials"]["total"] > before, "new trials")
        self.assertIn(self.call("POST", path + "/cancel")["state"], ("stopping", "cancelled"))
        found = wait_final(self.daemon, "verbs")
        self.assertEqual((found["state"], found["reason"]), ("cancelled", "cancelled_by_user"))
        self.assertEqual(self.call("POST", path + "/cancel")["state"], "cancelled")
        self.assertEqual(self.refused("POST", path + "/resume").status, 409)
        wait_for(lambda: not trial_processes_of(self.daemon), "the processes' end")

    def test_pause_ends_what_runs(self):
        """However it ends, its trial is queued, costs no retry and goes on from its checkpoint."""
        code = """
import os, pathlib, signal, sys, time
kept = pathlib.Path(os.environ["ASSAY_CHECKPOINT_DIR"]) / "kept"
if kept.exists():
    print("loss=0.25", flush=True)
    sys.exit(0)
def stop(*_):
    kept.write_text("here")
    sys.exit(int(os.environ["ASSAY_TRIAL"]) - 1)
signal.signal(signal.SIGTERM, stop)
print("loss=1", flush=True)
time.sleep(6000)
"""
        self.submit(quick_study("held", trials=2, trial=python_trial(code)))
        path = f"{STUDIES}/held"
        wait_for(lambda: sum(bool(r["steps"]) for r in all_trials(self.daemon, "held")) == 2,
                 "two trials have begun")
        self.assertEqual(self.call("POST", path + "/pause?requeue=true")["state"], "paused")
        wait_for(lambda: self.call("GET", path)["trials"]["queued"] == 2, "both are queued")
        wait_for(lambda: not trial_processes_of(self.daemon), "the processes' end")
        self.call("POST", path + "/resume")
        self.assertEqual(wait_final(self.daemon, "held")["state"], "succeeded")
        for row in all_trials(self.daemon, "held"):
            self.assertEqual((row["state"], row["metrics"], len(row["attempts"])),
                             ("succeeded", {"loss": 0.25}, 2), row)

    def test_limits_change_live(self):
        gate = self.daemon.folder / "changed"
        code = f"while ! test -e {gate}; do sleep 0.05; done; echo loss=1"
        self.submit(quick_study("live", trials=3, trial={"command": ["/bin/sh", "-c", code]}))
        path = f"{STUDIES}/live"
        self.call("PATCH", path, {"limits": {"trials": 9}})
        gate.touch()
        found = wait_final(self.daemon, "live")
        self.assertEqual((found["trials"]["succeeded"], found["limits"]["trials"]), (9, 9))

    def test_stop_one_trial_ends_its_process(self):
        self.submit(quick_study("stop", trials=1, parallel=1,
                                trial=python_trial(CURVE, "${x}", "100000", "0.05")))
        path = f"{STUDIES}/stop/trials/1"
        wait_for(lambda: self.call("GET", f"{STUDIES}/stop")["trials"]["running"], "the trial")
        wait_for(lambda: len(self.call("GET", path + "/measurements")["measurements"]) > 2,
                 "measurements")
        self.assertIn(self.call("POST", path + "/stop")["state"], ("stopping", "stopped"))
        wait_final(self.daemon, "stop")
        trial = self.call("GET", path)
        self.assertEqual((trial["state"], trial["reason"]), ("stopped", "stopped_by_user"))
        self.assertIn("got SIGTERM", self.call("GET", path + "/logs"))
        self.assertIn("loss", trial["metrics"])

    def test_orderly_stop_requeues_and_goes_on(self):
        self.submit(quick_study("orderly", trials=4, work_ms=1500))
        wait_for(lambda: trial_processes_of(self.daemon), "a trial's process")
        time.sleep(0.3)  # most likely its command works by then
        self.assertEqual(self.daemon.stop(), "")
        self.assertEqual(trial_processes_of(self.daemon), [])
        self.daemon.start()
        found = wait_final(self.daemon, "orderly")
        self.assertEqual(found["trials"]["succeeded"], 4)


class EarlyStoppingTest(DaemonTest):
    def test_median_stops_the_hopeless_and_says_why(self):
        # The hopeless one lasts until it is told to stop.
        points = [{"x": x, "steps": 30} for x in (0.1, 0.2, 0.15, 0.12, 0.18)]
        points += [{"x": 0.99, "steps": 100_000}]
        self.submit(quick_study(
            "early", trials=6, parallel=1, start_with=points,
            parameters=[{"name": "x", "type": "double", "min": 0, "max": 1},
                        {"name": "steps", "type": "int", "min": 1, "max": 100_000}],
            early_stopping={"name": "median", "settings": {"min_trials": 5, "warmup_steps": 2}},
            trial=python_trial(CURVE, "${x}", "${steps}", "0.03")))
        found = wait_final(self.daemon, "early")
        self.assertEqual(found["trials"]["stopped"], 1, found)
        trial = self.call("GET", f"{STUDIES}/early/trials/6")
        self.assertEqual((trial["state"], trial["reason"]), ("stopped", "stopped_by_rule"))
        stop = trial["why"]["stop"]
        self.assertEqual((stop["rule"], stop["metric"]), ("median", "loss"))
        self.assertGreater(stop["value"], stop["threshold"])
        self.assertGreaterEqual(stop["compared"], 5)
        self.assertIn("got SIGTERM", self.call("GET", f"{STUDIES}/early/trials/6/logs"))
        events = self.call("GET", f"{STUDIES}/early/events?page_size=1000")["events"]
        self.assertIn("trial_stop_decided", {event["type"] for event in events})

    def test_ask_tell_worker_hears_it(self):
        self.submit(ask_tell_study("told", early_stopping={
            "name": "median", "settings": {"min_trials": 3, "warmup_steps": 0}}))
        path = f"{STUDIES}/told"
        for value in (1.0, 1.1, 1.2, 9.0):
            number = self.call("POST", path + "/suggestions", {"count": 1})["trials"][0]["number"]
            for step in range(1, 6):
                answer = self.call("POST", f"{path}/trials/{number}/measurements", {
                    "measurements": [{"step": step, "metrics": {"loss": value}}]})
                if answer["stop"]:
                    break
            self.assertEqual(answer["stop"], value == 9.0)
            state = self.call("POST", f"{path}/trials/{number}/complete",
                              {"state": "succeeded", "metrics": {"loss": value}})["state"]
            self.assertEqual(state, "stopped" if value == 9.0 else "succeeded")

    def test_the_rule_remembers_across_a_crash(self):
        self.submit(ask_tell_study("memory", early_stopping={
            "name": "median", "settings": {"min_trials": 3, "warmup_steps": 0}}))
        path = f"{STUDIES}/memory"

        def trial(value):
            number = self.call("POST", path + "/suggestions", {"count": 1})["trials"][0]["number"]
            answer = self.call("POST", f"{path}/trials/{number}/measurements", {
                "measurements": [{"step": s, "metrics": {"loss": value}} for s in (1, 2, 3)]})
            self.call("POST", f"{path}/trials/{number}/complete",
                      {"state": "succeeded", "metrics": {"loss": value}})
            return answer["stop"]

        self.assertEqual([trial(v) for v in (1.0, 1.1, 1.2)], [False] * 3)
        self.daemon.kill()
        self.daemon.start()
        self.assertTrue(trial(9.0))


class LeaseTest(DaemonTest):
    def test_same_client_gets_its_trial_back(self):
        self.submit(ask_tell_study("lease"))
        path = f"{STUDIES}/lease/suggestions"
        first = self.call("POST", path, {"count": 1, "client": "a"})["trials"]
        again = self.call("POST", path, {"count": 1, "client": "a"})["trials"]
        other = self.call("POST", path, {"count": 1, "client": "b"})["trials"]
        self.assertEqual(first[0]["number"], again[0]["number"])
        self.assertEqual(first[0]["parameters"], again[0]["parameters"])
        self.assertNotEqual(first[0]["number"], other[0]["number"])

    def test_silent_worker_loses_its_trial_to_the_next(self):
        self.submit(ask_tell_study("silent", lease="1s"))
        path = f"{STUDIES}/silent"
        first = self.call("POST", path + "/suggestions", {"count": 1, "client": "a"})["trials"][0]
        wait_for(lambda: self.call("GET", f"{path}/trials/1")["state"] == "queued",
                 "the lease's end")
        other = self.call("POST", path + "/suggestions", {"count": 1, "client": "b"})["trials"][0]
        self.assertEqual(first["number"], other["number"])


class GpuTest(DaemonTest):
    options = ("--pretend-gpus", "2")

    def test_slots_are_never_shared(self):
        code = ("import os, time; print('gpu', os.environ['CUDA_VISIBLE_DEVICES']); "
                "time.sleep(0.2); print('loss=1')")
        self.submit(quick_study("gpu", trials=8, parallel=8,
                                trial=python_trial(code, resources={"gpus": 1})))
        most = 0
        while True:
            study = self.call("GET", f"{STUDIES}/gpu")
            most = max(most, study["trials"]["running"])
            if study["state"] != "running":
                break
        self.assertEqual(study["trials"]["succeeded"], 8)
        self.assertLessEqual(most, 2)
        names = set()
        for number in range(1, 9):
            trial = self.call("GET", f"{STUDIES}/gpu/trials/{number}")
            names.add(tuple(trial["attempts"][0]["gpus"]))
            log = self.call("GET", f"{STUDIES}/gpu/trials/{number}/logs")
            self.assertIn("gpu " + trial["attempts"][0]["gpus"][0], log)
        self.assertEqual(len(names), 2)

    def test_more_than_the_machine_has_is_refused(self):
        refused = self.refused("POST", STUDIES, quick_study(
            "toomany", trial={"command": [QUICK, "${x}"], "resources": {"gpus": 3}}))
        self.assertEqual((refused.status, refused.problem["code"]), (422, "invalid_study"))
        self.assertEqual([e["pointer"] for e in refused.problem["errors"]],
                         ["/trial/resources/gpus"])
        self.assertEqual(refused.problem["errors"][0]["found"], 3)
        self.assertEqual(self.call("GET", STUDIES)["studies"], [])
