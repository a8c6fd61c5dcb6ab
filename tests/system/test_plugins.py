"""Algorithms of users: plugins that work, and plugins that crash, loop, eat memory or lie,
while another study of the same service goes on asking."""

import pathlib
import subprocess
import tempfile
import threading
import time
import unittest

from base import (BUILD, STUDIES, DaemonTest, ask_tell_study, call, kill_all, wait_final,
                  wait_for)

PLUGIN = str(BUILD / "examples" / "plugin-random.so")
MISCHIEF = str(BUILD / "tests" / "system" / "misbehaving.so")
CRASH_ON_LOAD = str(BUILD / "tests" / "system" / "crash_on_load.so")
DEADLINE_S = 2.0


def workers_of(daemon):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text() == "assay-suggest\n":
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == daemon.process.pid and fields[0] != "Z":
                    found.append(int(entry.name))
        except OSError:
            pass
    return found


def bad_study(name, how, after=0, **more):
    return ask_tell_study(name, algorithm={"name": "misbehaving",
                                           "settings": {"how": how, "after": after}}, **more)


class Bystander(threading.Thread):
    """Another study: asks and tells all the time, and keeps how long it took."""

    def __init__(self, daemon, name, algorithm="tpe"):
        super().__init__()
        self.daemon_under_test, self.study_name, self.stopped = daemon, name, threading.Event()
        self.asks, self.reads, self.fault = [], [], None
        call(daemon, "POST", STUDIES, ask_tell_study(name, algorithm={"name": algorithm}))

    def run(self):
        path = f"{STUDIES}/{self.study_name}"
        try:
            while not self.stopped.is_set():
                start = time.monotonic()
                trials = call(self.daemon_under_test, "POST", path + "/suggestions", {"count": 1})["trials"]
                asked = time.monotonic()
                call(self.daemon_under_test, "GET", path)
                self.asks.append(asked - start)
                self.reads.append(time.monotonic() - asked)
                call(self.daemon_under_test, "POST", f"{path}/trials/{trials[0]['number']}/complete",
                     {"state": "succeeded", "metrics": {"loss": trials[0]["parameters"]["x"]}})
                time.sleep(0.005)
        except Exception as error:  # told by finish()
            self.fault = error

    def check(self, deadline=DEADLINE_S):
        """It never waited for a deadline of the others: not one request after the other did.  (A
        busy machine may stall by itself, now and then.)"""
        for times in (self.asks, self.reads):
            slow = [i for i, took in enumerate(times) if took >= deadline]
            if len(slow) > 1 and slow[-1] - slow[0] < 10 * len(slow):
                raise AssertionError(f"requests beside it waited: {[times[i] for i in slow]} s")

    def finish(self):
        wait_for(lambda: len(self.asks) >= 10 or not self.is_alive(), "asks beside it")
        self.stopped.set()
        self.join()
        if self.fault:
            raise self.fault
        return (f"{len(self.asks)} asks beside it, the slowest {1000 * max(self.asks):.0f} ms; "
                f"reads at most {1000 * max(self.reads):.0f} ms")


class GoodPluginTest(DaemonTest):
    options = ("--plugin", PLUGIN)

    def test_it_is_listed_and_used(self):
        listed = {a["name"]: a for a in self.call("GET", "/v1/algorithms")["algorithms"]}
        self.assertEqual(listed["example-random"]["origin"],
                         {"kind": "plugin", "name": "plugin-random", "version": "1.1"})
        self.assertEqual(listed["tpe"]["origin"], {"kind": "built_in"})
        rules = self.call("GET", "/v1/stopping_rules")["stopping_rules"]
        self.assertIn("median", [rule["name"] for rule in rules])
        self.submit(ask_tell_study("own", algorithm={"name": "example-random"}))
        trials = self.call("POST", f"{STUDIES}/own/suggestions", {"count": 3})["trials"]
        self.assertEqual(len({trial["parameters"]["x"] for trial in trials}), 3)
        why = self.call("GET", f"{STUDIES}/own/trials/1")["why"]
        self.assertEqual(why["proposed_by"], "example-random")

    def test_the_word_plugin_is_explained(self):
        refused = self.refused("POST", STUDIES, ask_tell_study("p", algorithm={"name": "plugin"}))
        fault = refused.problem["errors"][0]
        self.assertEqual(fault["pointer"], "/algorithm/name")
        self.assertIn("loaded are: example-random", fault["message"])

    def test_a_study_whose_plugin_is_gone_fails_and_says_so(self):
        self.submit(ask_tell_study("orphan", algorithm={"name": "example-random"}))
        self.call("POST", f"{STUDIES}/orphan/suggestions", {"count": 1})
        self.assertEqual(self.daemon.stop(), "")
        self.daemon.options = []
        self.daemon.start()
        self.call("POST", f"{STUDIES}/orphan/trials/1/complete",
                  {"state": "succeeded", "metrics": {"loss": 1}})
        self.call("POST", f"{STUDIES}/orphan/suggestions", {"count": 1})
        found = wait_final(self.daemon, "orphan")
        self.assertEqual((found["state"], found["reason"]), ("failed", "suggestion_failed"))
        self.assertIn("there is no algorithm example-random", found["message"])


class LoadTest(unittest.TestCase):
    def start(self, *options):
        with tempfile.TemporaryDirectory() as data:
            return subprocess.run([str(BUILD / "bin" / "assayd"), "--data", data, "--listen",
                                   "127.0.0.1:0", *options], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=240)

    def test_faulty_files_keep_the_daemon_from_starting(self):
        cases = [("/nowhere/x.so", "No such file"), ("x.so", "absolute"),
                 (str(BUILD / "tests/suggest/bad_plugin_1.so"), "version 2 of the plugin ABI"),
                 (CRASH_ON_LOAD, "ended by signal 11")]
        for path, sentence in cases:
            done = self.start("--plugin", path)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(sentence, done.stderr)
            self.assertIn(path, done.stderr)

    def test_the_same_twice(self):
        done = self.start("--plugin", PLUGIN, "--plugin", PLUGIN)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("there is a example-random already", done.stderr)


class MischiefBase(DaemonTest):
    deadline = 10  # less than the 30 s of an ask, more than a request takes

    def play(self, how, *expected):
        """A study that misbehaves from its fourth trial on; what a bystander felt."""
        bystander = Bystander(self.daemon, "beside-" + how.replace("_", "-"))
        bystander.start()
        name = how.replace("_", "-")
        path = f"{STUDIES}/{name}"
        self.submit(bad_study(name, how, after=3))
        start = time.monotonic()
        for number in range(1, 5):
            trials = self.call("POST", path + "/suggestions", {"count": 1})["trials"]
            if not trials:
                break
            self.call("POST", f"{path}/trials/{trials[0]['number']}/complete",
                      {"state": "succeeded", "metrics": {"loss": number}})
        found = wait_final(self.daemon, name)
        took = time.monotonic() - start
        time.sleep(0.3)
        told = bystander.finish()
        print(f"\n{how}: failed after {took:.2f} s ({found['message']}); {told}")
        self.assertEqual((found["state"], found["reason"]), ("failed", "suggestion_failed"))
        for part in expected:
            self.assertIn(part, found["message"])
        bystander.check(self.deadline)


class MischiefTest(MischiefBase):
    options = ("--plugin", MISCHIEF, "--workers", "1", "--suggest-memory", "512Mi")

    def test_crash(self):
        self.play("crash", "algorithm misbehaving of the plugin mischief 0.3",
                  "3 times", "signal 11")

    def test_abort(self):
        self.play("abort", "algorithm misbehaving of the plugin mischief 0.3", "signal 6")

    def test_exit(self):
        self.play("exit", "algorithm misbehaving of the plugin mischief 0.3", "exit code 3")

    def test_memory(self):
        self.play("memory", "algorithm misbehaving of the plugin mischief 0.3",
                  "more memory than its limit of 512Mi")

    def test_rubbish(self):
        self.play("rubbish", "plugin mischief 0.3", "misbehaving proposed a point outside")

    def test_nan(self):
        self.play("nan", "plugin mischief 0.3", "misbehaving proposed a point outside")

    def test_too_many(self):
        self.play("too_many", "plugin mischief 0.3", "misbehaving proposed 1000001 trials of 1")

    def test_fail(self):
        self.play("fail", "plugin mischief 0.3", "misbehaving failed to propose: no luck today")

    def test_create_fails(self):
        self.submit(bad_study("create", "create_fail"))
        self.call("POST", f"{STUDIES}/create/suggestions", {"count": 1})
        found = wait_final(self.daemon, "create")
        self.assertIn("plugin mischief 0.3: ", found["message"])
        self.assertIn("the moon is in the wrong place", found["message"])

    def test_what_is_printed_or_garbled_does_no_harm(self):
        for how in ("print", "why"):
            self.submit(bad_study(how, how))
            trial = self.call("POST", f"{STUDIES}/{how}/suggestions", {"count": 1})["trials"][0]
            self.assertEqual(trial["number"], 1)
            why = self.call("GET", f"{STUDIES}/{how}/trials/1")["why"]
            self.assertEqual(why["proposed_by"], "misbehaving")

    def test_workers_apart_end_with_their_studies(self):
        self.submit(bad_study("short", "not"))
        self.call("POST", f"{STUDIES}/short/suggestions", {"count": 1})
        self.assertEqual(len(workers_of(self.daemon)), 1)
        self.call("POST", f"{STUDIES}/short/cancel")
        wait_final(self.daemon, "short")
        wait_for(lambda: not workers_of(self.daemon), "the end of its worker")


class LoopTest(MischiefBase):
    options = ("--plugin", MISCHIEF, "--workers", "1", "--suggest-deadline", f"{DEADLINE_S:g}s")
    deadline = DEADLINE_S

    def test_loop(self):
        self.play("loop", "algorithm misbehaving of the plugin mischief 0.3",
                  f"no answer within {DEADLINE_S:g} s")

    def test_two_of_them_and_one_that_is_good(self):
        """Studies of one plugin do not pay for each other either."""
        self.submit(bad_study("good", "not"))
        self.submit(bad_study("worse", "loop"))
        hung = threading.Thread(target=lambda: self.call(
            "POST", f"{STUDIES}/worse/suggestions", {"count": 1}))
        hung.start()
        time.sleep(0.2)
        for _ in range(3):
            self.assertTrue(self.call("POST", f"{STUDIES}/good/suggestions", {"count": 1})["trials"])
        self.assertTrue(hung.is_alive(), "the good study's asks waited for the looping one")
        hung.join()
        self.assertEqual(wait_final(self.daemon, "worse")["state"], "failed")
        self.assertEqual(self.call("GET", f"{STUDIES}/good")["state"], "running")

    def test_its_word_on_a_study_comes_from_another_process(self):
        bystander = Bystander(self.daemon, "beside-check")
        bystander.start()
        for how, sentence in (("check_refuse", "not with 1 parameters"),
                              ("check_crash", "signal 11"),
                              ("check_loop", "no answer within 10 s")):
            refused = self.refused("POST", STUDIES, bad_study("c", how))
            self.assertEqual(refused.status, 422)
            self.assertIn(sentence, refused.problem["errors"][0]["message"])
        print("\ncheck: " + bystander.finish())
        self.assertLess(max(bystander.asks + bystander.reads), 9)


class PromotionTest(DaemonTest):
    """Trials that are to go on and can not."""

    options = ("--plugin", MISCHIEF)

    def begin(self, name, how, gate=""):
        """Three trials of the study are paused."""
        study = bad_study(name, how, after=3, budget={"name": "epochs", "min": 1, "max": 9,
                                                      "eta": 3})
        study["algorithm"]["settings"]["gate"] = gate
        self.submit(study)
        for number in (1, 2, 3):
            self.call("POST", f"{STUDIES}/{name}/suggestions", {"count": 1})
            told = self.call("POST", f"{STUDIES}/{name}/trials/{number}/complete",
                             {"state": "succeeded", "metrics": {"loss": number}})
            self.assertEqual((told["state"], told["budget"]), ("paused", 1))

    def test_stopped_while_the_algorithm_chose_them(self):
        """That is nobody's fault, however often it happens."""
        with tempfile.TemporaryDirectory() as gate:
            self.begin("late", "promote", gate)
            asked = pathlib.Path(gate) / "asked"
            box = []
            thread = threading.Thread(target=lambda: box.append(self.call(
                "POST", f"{STUDIES}/late/suggestions", {"count": 1})))
            thread.start()
            for number in (1, 2, 3):
                wait_for(asked.exists, "the algorithm's choice")
                asked.unlink()
                stopped = self.call("POST", f"{STUDIES}/late/trials/{number}/stop")
                self.assertEqual(stopped["state"], "stopped")
                (pathlib.Path(gate) / "go").touch()
            thread.join()
        self.assertEqual([trial["number"] for trial in box[0]["trials"]], [4])
        self.assertEqual(self.call("GET", f"{STUDIES}/late")["state"], "running")

    def test_never_paused(self):
        self.begin("stray", "stray")
        self.call("POST", f"{STUDIES}/stray/trials/1/stop")
        self.call("POST", f"{STUDIES}/stray/suggestions", {"count": 1})
        found = wait_final(self.daemon, "stray")
        self.assertEqual((found["state"], found["reason"]), ("failed", "suggestion_failed"))
        self.assertIn("misbehaving wanted trials to go on that are not paused, 3 times in a row; "
                      "the last was trial 1", found["message"])


class KilledWorkerTest(DaemonTest):
    options = ("--plugin", MISCHIEF)

    def test_slow_plugin(self):
        """Two studies alike; the second one's worker is killed while it computes, 1.5 s long."""
        algorithm = {"name": "misbehaving", "settings": {"how": "slow"}}
        for name in ("undisturbed", "disturbed"):
            self.submit(ask_tell_study(name, seed=11, algorithm=algorithm, parameters=[
                {"name": f"x{i}", "type": "double", "min": 0, "max": 1} for i in range(4)]))

        def ask(name, box):
            start = time.monotonic()
            trials = self.call("POST", f"{STUDIES}/{name}/suggestions", {"count": 1})["trials"]
            box.update(parameters=trials[0]["parameters"], took=time.monotonic() - start)

        in_time = False
        while not in_time:  # until the kill is not too late
            calm, rough = {}, {}
            ask("undisturbed", calm)
            thread = threading.Thread(target=ask, args=("disturbed", rough))
            thread.start()
            workers = wait_for(lambda: (found := workers_of(self.daemon))[1:] and found,
                               "the studies' workers")
            time.sleep(0.4)
            kill_all(workers)
            in_time = not rough
            thread.join()
            self.assertEqual(calm["parameters"], rough["parameters"])
        print(f"\nundisturbed {calm['took']:.3f} s, with its worker killed {rough['took']:.3f} s; "
              "the same suggestion")


if __name__ == "__main__":
    unittest.main()
