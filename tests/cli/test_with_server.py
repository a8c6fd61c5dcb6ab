"""The command line and a service.

The tests of `Server` need a running assayd told by ASSAY_URL and ASSAY_TOKEN, those of
`PrivateDaemon` an assayd beside the program; they are skipped where there is none.
"""

import csv
import fcntl
import io
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest
import uuid
import xml.etree.ElementTree

from cases import ASSAY, BIN, environment, TOKEN, URL, WithStudies

# Each trial waits for its number to be let through.
GATED_TRIAL = """\
trial:
  command: [/usr/bin/python3, gated.py, "${x}"]
"""

GATED_SCRIPT = """\
import os, sys, time
while int(os.environ["ASSAY_TRIAL"]) > int(open("open").read()):
    time.sleep(0.02)
print(f"loss={float(sys.argv[1]) ** 2}")
"""


@unittest.skipUnless(URL and TOKEN, "ASSAY_URL and ASSAY_TOKEN name no server")
class Server(WithStudies):
    def setUp(self):
        super().setUp()
        self.environment = environment(ASSAY_URL=URL, ASSAY_TOKEN=TOKEN)

    def test_run_prints_the_best(self):
        name, path = self.study()
        done = self.assay("run", path, "--junit", "report.xml")
        self.assertIn(f"{name} succeeded", done.stdout)
        self.assertRegex(done.stdout, r"best loss [-0-9.e]+ \(trial \d+\)\n  x +-?[0-9.]+")
        self.assertIn(f"dashboard: {URL}/#token={TOKEN}", done.stdout)
        self.assertIn(f"default/{name} submitted", done.stderr)
        self.assertIn("6/6 done", done.stderr)
        suite = xml.etree.ElementTree.parse(self.folder / "report.xml").getroot()[0]
        self.assertEqual(suite.get("tests"), "7")
        self.assertEqual(suite.get("failures"), "0")
        # The name is taken now: the file run again is another study, unless it is named.
        again = self.assay("run", path)
        self.assertIn(f"{name}-2 succeeded", again.stdout)
        taken = self.assay("run", path, "--name", name, code=2)
        self.assertIn("--name", taken.stderr)

    def test_run_json_is_one_document(self):
        name, path = self.study()
        document = self.json("run", path, "--name", name + "-j", "--seed", "3", "--set",
                             "limits.trials=4")
        self.assertEqual(set(document), {"study", "best", "trials", "dashboard"})
        self.assertEqual(document["study"]["name"], name + "-j")
        self.assertEqual(document["study"]["seed"], 3)
        self.assertEqual([t["number"] for t in document["trials"]], [1, 2, 3, 4])
        values = [t["metrics"]["loss"] for t in document["trials"]]
        self.assertEqual(document["best"]["value"], min(values))
        for trial in document["trials"]:
            self.assertEqual(trial["state"], "succeeded")
            self.assertEqual(set(trial["parameters"]), {"x", "kind"})

    def test_exit_codes_tell_the_end(self):
        name, path = self.study(objective="{metric: loss, goal: minimize, target: -1}")
        self.assay("run", path, "-q", code=3)
        name, path = self.study(objective="{metric: loss, goal: minimize, target: 100}")
        self.assay("run", path, "-q", code=0)
        name, path = self.study(trial="trial:\n  command: [/bin/false]\n",
                                limits="{trials: 6, parallel: 2, failed_trials: 1}")
        done = self.assay("run", path, "-q", code=1)
        self.assertIn(f"{name} failed", done.stdout)
        self.assertRegex(done.stdout, r"trial \d+: .+")

    def test_looking_at_a_study(self):
        name, path = self.study()
        self.assertEqual(self.assay("submit", path).stdout, f"default/{name}\n")
        self.assay("watch", name, "-q")
        self.assertIn(name, self.assay("list", "--prefix", name).stdout)
        self.assertEqual(self.assay("list", "--prefix", name, "--names").stdout, name + "\n")
        self.assertEqual(self.json("list", "--prefix", name)["studies"][0]["name"], name)
        self.assertIn("algorithm", self.assay("show", f"default/{name}").stdout)
        self.assertEqual(self.json("show", name)["spec"]["name"], name)
        bounded, file = self.study(trial="constraints: [{metric: loss, min: 0, max: 2.5}]\n"
                                         "budget: {name: epochs, min: 2, max: 9}\n")
        self.assay("submit", file)
        shown = self.assay("show", bounded).stdout
        self.assertRegex(shown, r"constraint +loss at least 0, at most 2.5\n")
        self.assertRegex(shown, r"budget +epochs 2 to 9\n")
        best = self.json("best", name)["best"]
        self.assertIn(f"trial {best['number']}", self.assay("best", name).stdout)
        shell = subprocess.run(["sh", "-c", f'eval "$({ASSAY} best {name} --shell)"; '
                                            'echo "$ASSAY_PARAM_X|$ASSAY_PARAM_KIND"'],
                               env=self.environment, stdout=subprocess.PIPE, text=True).stdout
        x, kind = shell.rstrip("\n").split("|")
        self.assertEqual((float(x), kind), (best["parameters"]["x"], best["parameters"]["kind"]))

        lines = self.assay("trials", name, "--sort", "value", "--limit", "3").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["TRIAL", "STATE", "loss", "x", "kind", "TIME",
                                            "REASON"])
        self.assertEqual(len(lines), 4)
        self.assertTrue(lines[1].split()[0] == str(best["number"]))
        self.assertEqual(len(self.json("trials", name)["trials"]), 6)

        shown = self.assay("show", name, "--trial", 1).stdout
        for part in ("trial 1 succeeded", "proposed by", "random", "curves", "ATTEMPT"):
            self.assertIn(part, shown)
        self.assertEqual(self.json("show", name, "-t", 1)["number"], 1)
        self.assertIn("step=2 loss=", self.assay("logs", name, 1).stdout)
        self.assertEqual(self.assay("logs", name, 1, "--tail", 1).stdout.count("\n"), 1)
        self.assertIn("step=0", self.json("logs", name, 1)["log"])
        self.delete(name)
        done = self.assay("show", name, code=2)
        self.assertIn(name, done.stderr)

    def delete(self, name):
        """A study that has ended; its last processes may take a moment longer."""
        deadline = time.monotonic() + 90
        while True:
            done = subprocess.run([ASSAY, "delete", name], env=self.environment, text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
            if "still ending" not in done.stderr:
                break
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(done.returncode, 0, done.stderr)

    def told(self, n, objective="objective: {metric: loss, goal: minimize}", metrics=None):
        """A study without trials of its own, with n finished ones."""
        name, path = self.study(trial="", limits="{trials: 500}")
        text = path.read_text().replace("objective: {metric: loss, goal: minimize}", objective)
        path.write_text(text)
        self.assay("submit", path)
        for i in range(n):
            asked = self.json("ask", name)["trials"][0]
            x = asked["parameters"]["x"]
            told = metrics(x) if metrics else {"loss": x * x}
            self.assay("tell", name, asked["number"],
                       *[f"{key}={value}" for key, value in told.items()])
        return name

    def test_what_mattered(self):
        name = self.told(12)
        shown = self.assay("importance", name).stdout
        self.assertRegex(shown, r"importance for loss, PED-ANOVA, from 12 trials\n"
                                r"  x +[━╌]+ +\d+\.\d %\n  kind ")
        self.assertRegex(self.assay("importance", name, LC_ALL="C").stdout, r"x +\[#+-*\] ")
        shown = self.assay("importance", name, "--interactions").stdout
        for part in ("fANOVA", "of the variance", "together, beyond each alone", "x, kind"):
            self.assertIn(part, shown)
        answer = self.json("importance", name, "--method", "fanova")
        self.assertEqual((answer["method"], answer["interactions"]), ("fanova", None))
        self.assertIn("At least 10", self.assay("importance", name, "--metric", "a b&c").stdout)
        self.assay("importance", name, "--method", "guess", code=2)
        shown = self.assay("show", name).stdout
        self.assertRegex(shown, r"what mattered most: x \d+ %, kind \d+ %\n")
        self.assertRegex(shown, r"(Going on|Consider stopping).*In the next 10 trials loss is expected")

    def test_front(self):
        name = self.told(6, "objectives: [{metric: a, goal: minimize}, {metric: b, goal: maximize}]",
                         lambda x: {"a": x, "b": x})
        shown = self.assay("pareto", name).stdout
        self.assertIn("6 trials on the Pareto front", shown)
        self.assertRegex(shown, r"TRIAL +a \(minimize\) +b \(maximize\) +PARAMETERS\n")
        self.assertEqual(sum(line.count("o") for line in shown.splitlines() if "|" in line), 6)
        self.assertEqual(len(self.json("pareto", name)["trials"]), 6)
        self.assertIn("on the Pareto front", self.assay("show", name).stdout)
        empty, path = self.study(trial="")
        self.assay("submit", path)
        self.assertIn("no trial", self.assay("pareto", empty).stdout)

    def test_why_in_words(self):
        name, path = self.study(trial="", algorithm="{name: bayesian}", limits="{trials: 40}")
        self.assay("submit", path)
        for i in range(14):
            asked = self.json("ask", name)["trials"][0]
            self.assay("tell", name, asked["number"], f"loss={asked['parameters']['x'] ** 2}")
        first = self.assay("show", name, "--trial", 1).stdout
        self.assertIn("proposed by bayesian\n  initial design: the middle of the space", first)
        last = self.assay("show", name, "--trial", 14).stdout
        self.assertRegex(last, r"  expected loss \S+ ± \S+; measured \S+, "
                               r"(as expected|\d+\.\d standard deviations (better|worse))\n"
                               r"  acquisition: [a-z ]+, \S+ here\n"
                               r"  the best then was trial \d+ with \S+\n"
                               r"  learned from 13 trials\n")

    def test_export(self):
        name, path = self.study()
        self.assay("run", path, "-q")
        rows = list(csv.DictReader(io.StringIO(self.assay("export", name).stdout)))
        trials = self.json("trials", name)["trials"]
        self.assertEqual([int(r["number"]) for r in rows], [1, 2, 3, 4, 5, 6])
        for row, trial in zip(rows, trials):
            self.assertEqual(float(row["parameters.x"]), trial["parameters"]["x"])
            self.assertEqual(row["parameters.kind"], trial["parameters"]["kind"])
            self.assertEqual(float(row["metrics.loss"]), trial["metrics"]["loss"])
        lines = self.assay("export", name, "--format", "jsonl").stdout.splitlines()
        self.assertEqual([json.loads(line)["number"] for line in lines], [1, 2, 3, 4, 5, 6])
        curves = list(csv.DictReader(
            io.StringIO(self.assay("export", name, "--measurements").stdout)))
        self.assertEqual(len(curves), 18)
        self.assertEqual({row["metric"] for row in curves}, {"loss"})

    def test_a_study_replayed(self):
        name, path = self.study()
        self.assay("run", path, "-q")
        document = self.json("simulate", name, "--workers", "3")
        self.assertEqual(document["curves"], {"source": "recorded", "count": 6})
        self.assertEqual(document["runs"][0]["trials"]["succeeded"], 6)
        self.assertEqual(document["runs"][0]["steps"]["used"], 18)
        best = self.json("best", name)["best"]["value"]
        self.assertAlmostEqual(document["runs"][0]["best"]["value"], best)

    def running(self, name):
        """The number of the trial started last."""
        deadline = time.monotonic() + 90
        while not (trials := self.json("trials", name, "--state", "running")["trials"]):
            self.assertLess(time.monotonic(), deadline)
        return trials[-1]["number"]

    def test_steering(self):
        self.pace = 0.3
        name, path = self.study(limits="{trials: 200, parallel: 2}")
        self.assay("submit", path)
        self.assertIn("paused", self.assay("pause", name).stdout)
        self.assertIn("paused", self.assay("pause", name).stdout)
        self.assertEqual(self.json("resume", name)["state"], "running")
        number = self.running(name)
        log = self.assay("logs", "-f", name, number).stdout
        self.assertEqual([line.split()[0] for line in log.splitlines()],
                         ["step=0", "step=1", "step=2"])
        self.assertEqual(self.json("show", name, "-t", number)["state"], "succeeded")
        self.assertIn("parallel=3\n", self.assay("limits", name, "parallel=3").stdout)
        self.assertEqual(self.json("limits", name)["limits"]["parallel"], 3)
        self.assay("limits", name, "parallel=0", code=2)
        self.assay("limits", name, "speed=1", code=2)
        self.assay("delete", name, code=1)
        self.assay("cancel", name)
        self.assay("watch", name, "-q", code=1)
        self.assertEqual(self.json("show", name)["state"], "cancelled")
        self.assay("resume", name, code=1)

    def test_stopping_a_trial(self):
        self.pace = 900  # it does not end by itself
        name, path = self.study(limits="{trials: 1}")
        self.assay("submit", path)
        number = self.running(name)
        self.assertRegex(self.assay("stop", name, number).stdout, rf"trial {number}: stop")
        self.assay("logs", "-f", name, number)
        self.assertEqual(self.json("show", name, "-t", number)["state"], "stopped")
        self.assertIn("stopped_by_user", self.assay("show", name, "-t", number).stdout)

    def test_ask_report_tell(self):
        name, path = self.study(trial="")
        self.assay("submit", path)
        line = self.assay("ask", name, "--client", "w1").stdout
        number, rest = line.split(" ", 1)
        self.assertRegex(rest, r"x=\S+ kind=|kind=.* x=")
        # The same client gets the same trial again.
        self.assertEqual(self.assay("ask", name, "--client", "w1").stdout, line)
        self.assertEqual(self.assay("report", name, number, "loss=0.5", "--step", 1).stdout,
                         "continue\n")
        self.assay("report", name, number)
        done = self.assay("tell", name, number, "loss=0.25")
        self.assertEqual(done.stdout, f"trial {number}: succeeded\n")
        self.assay("tell", name, number, "loss=0.25")
        self.assay("tell", name, number, "loss=9", code=1)
        for _ in range(5):
            trial = self.json("ask", name, "--client", "w1")["trials"][0]
            self.assay("tell", "--state", "failed", "--message", "no luck",
                       ASSAY_STUDY=name, ASSAY_TRIAL=str(trial["number"]))
        done = self.assay("ask", name, code=3)
        self.assertIn("nothing to try now", done.stderr)
        self.assertEqual(self.json("best", name)["best"]["value"], 0.25)

    def test_a_shell_loop_tunes(self):
        name, path = self.study(trial="")
        self.assay("submit", path)
        loop = (f'while line=$({ASSAY} ask {name} --shell); do eval "$line"; '
                f'{ASSAY} tell {name} "$ASSAY_TRIAL" loss="$ASSAY_PARAM_X" || exit 1; done')
        subprocess.run(["sh", "-c", loop], check=True, env=self.environment, timeout=300,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        study = self.json("show", name)
        self.assertEqual((study["state"], study["trials"]["succeeded"]), ("succeeded", 6))

    def test_faults_of_the_server_have_lines(self):
        name, path = self.study(algorithm="{name: no-such-algorithm}")
        done = self.assay("validate", path, code=2)
        self.assertRegex(done.stderr, rf"{path}:6: /algorithm")
        self.assertIn("no-such-algorithm", self.assay("run", path, code=2).stderr)
        self.assertNotIn(name, self.assay("list", "--names").stdout)

    def test_tokens(self):
        name = "t" + uuid.uuid4().hex[:8]
        token = self.assay("token", "create", name, "--role", "viewer").stdout.strip()
        self.assertIn(name, self.assay("token", "list").stdout)
        self.assay("list", ASSAY_TOKEN=token)
        _, path = self.study()
        self.assay("submit", path, code=2, ASSAY_TOKEN=token)
        row = [t for t in self.json("token", "list")["tokens"] if t["name"] == name][0]
        self.assay("token", "delete", row["id"])
        self.assay("list", code=2, ASSAY_TOKEN=token)
        done = self.assay("list", code=2, ASSAY_TOKEN="wrong")
        self.assertIn("hint: give the token", done.stderr)

    def test_plugins_are_listed(self):
        done = self.assay("plugin", "list")
        self.assertRegex(done.stdout, r"tpe +algorithm +built in")
        self.assertRegex(done.stdout, r"median +stopping rule +built in")

    def test_projects(self):
        name = "p" + uuid.uuid4().hex[:8]
        self.assay("project", "create", name)
        self.assertIn(name, self.assay("project", "list").stdout.split())
        study, path = self.study()
        self.assay("run", path, "-q", "--project", name)
        self.assertEqual(self.assay("list", "--project", name, "--names").stdout, study + "\n")
        self.assertEqual(self.json("show", f"{name}/{study}")["project"], name)
        self.assay("show", study, code=2)

    def test_unknown_studies(self):
        for words in (["show"], ["best"], ["watch"], ["pause"], ["delete"], ["export"], ["ask"]):
            self.assay(*words, "no-such-study", code=2)
        self.assertEqual(self.json("show", "no-such-study", code=2)["code"], "not_found")

    def terminal(self, *words, interrupt_at=None, then=()):
        """Runs on a terminal; returns exit code and all that was drawn.  `then`: pairs of a
        text and what to call once that has been drawn, in their order."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(ASSAY, [ASSAY, *map(str, words)], self.environment)
        drawn, sent, then, end = "", False, list(then), time.monotonic() + 120
        while time.monotonic() < end:
            ready, _, _ = select.select([fd], [], [], 0.1)
            try:
                piece = os.read(fd, 65536) if ready else None
            except OSError:
                break
            if piece == b"":
                break
            drawn += (piece or b"").decode(errors="replace")
            while then and then[0][0] in drawn:
                then.pop(0)[1]()
            if interrupt_at and not sent and interrupt_at in drawn:
                os.write(fd, b"\x03")
                sent = True
        os.close(fd)
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status), drawn

    def test_a_terminal_shows_live_progress(self):
        name, path = self.study(GATED_TRIAL)
        self.write("gated.py", GATED_SCRIPT)
        self.write("open", "0")
        code, drawn = self.terminal("run", path, then=[
            (f" {done}/6 ", lambda done=done: self.put("open", str(done + 2))) for done in (0, 2, 4)])
        self.assertEqual(code, 0)
        self.assertGreater(drawn.count(f"\r{name}"), 2)
        self.assertIn("6/6", drawn)
        self.assertIn("\033[32m", drawn)

    def test_ctrl_c_detaches(self):
        self.pace = 0.2
        name, path = self.study(limits="{trials: 500, parallel: 1}")
        code, drawn = self.terminal("run", path, interrupt_at="running")
        self.assertEqual(code, 130)
        self.assertIn(f"assay watch default/{name}", drawn)
        self.assertEqual(self.json("show", name)["state"], "running")
        code, drawn = self.terminal("watch", name, "--on-interrupt", "cancel",
                                    interrupt_at="running")
        self.assertEqual(code, 130)
        self.assertEqual(self.json("show", name)["state"], "cancelled")

    def test_sigterm_can_cancel(self):
        self.pace = 0.2
        name, path = self.study(limits="{trials: 500, parallel: 1}")
        process = subprocess.Popen([ASSAY, "run", path, "--json", "--on-interrupt", "cancel"],
                                   env=self.environment, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "done" in line:
                break
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(json.loads(out)["study"]["state"], "cancelled")


@unittest.skipUnless((BIN / "assayd").exists(), "there is no assayd beside assay")
class PrivateDaemon(WithStudies):
    def test_run_starts_one_that_outlives_it(self):
        data = self.folder / "data"
        self.environment = environment(ASSAY_DATA=str(data))
        self.addCleanup(subprocess.run, [ASSAY, "server", "stop", "--data", str(data)],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        name, path = self.study()
        done = self.assay("run", path)
        self.assertIn("started a private daemon", done.stderr)
        status = self.json("server", "status")
        self.assertEqual(status["state"], "running")
        self.assertTrue(os.path.exists(f"/proc/{status['pid']}"))
        self.assertEqual(self.json("server", "start")["pid"], status["pid"])
        # A restart takes the studies along, and the address may change meanwhile.
        self.assay("server", "stop")
        self.assertEqual(self.json("server", "status", code=1)["state"], "stopped")
        self.assertIn("no daemon", self.assay("server", "stop").stderr)
        self.assertEqual(self.json("server", "start")["state"], "started")
        self.assertEqual(self.json("show", name)["state"], "succeeded")

    def test_run_lives_through_a_crash_of_the_daemon(self):
        self.pace = 0.1
        self.environment = environment(ASSAY_DATA=str(self.folder / "data"))
        name, path = self.study(limits="{trials: 12, parallel: 2}")
        self.json("server", "start")
        self.addCleanup(subprocess.run, [ASSAY, "server", "stop"], env=self.environment,
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process = subprocess.Popen([ASSAY, "run", path, "--json"], env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "done" in line:
                break
        os.kill(self.json("server", "status")["pid"], signal.SIGKILL)
        with open(self.folder / "data" / "assayd.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # all of its threads have ended
        # No address, as while one starts, for longer than "assay run" takes between two looks.
        (self.folder / "data" / "url").unlink()
        time.sleep(2.5)
        # It comes back at another address.
        self.assertEqual(self.json("server", "start")["state"], "started")
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)["study"]["trials"]["succeeded"], 12)

    def test_what_ends_at_once_is_told(self):
        data = self.folder / "data"
        done = self.assay("server", "start", "--data", data, "--", "--no-such-option", code=1)
        self.assertIn("ended at once", done.stderr)
        self.assertIn(str(data / "assayd.log"), done.stderr)


if __name__ == "__main__":
    unittest.main()
