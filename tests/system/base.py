"""What the system tests share: a daemon per test, HTTP calls, process hunting."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness.assayd import ROOT, Assayd  # noqa: E402

BUILD = pathlib.Path(os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve()
STUDIES = "/v1/projects/default/studies"
QUICK = str(BUILD / "bench" / "turnover_trial")  # prints loss = (x - 0.3)^2


class Refused(Exception):
    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


def call(daemon, method, path, body=None, token=None, timeout=240, headers=None):
    url = urllib.parse.urlparse(daemon.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=timeout)
    try:
        connection.request(method, path, None if body is None else json.dumps(body),
                           {"Authorization": "Bearer " + (token or daemon.token),
                            "Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    value = json.loads(data) if data[:1] in (b"{", b"[") else data.decode()
    if answer.status >= 300:
        raise Refused(answer.status, value)
    return value


def persistent_call(daemon, method, path, body=None, deadline=180):
    """As call, through a daemon that is away for a while."""
    end = time.monotonic() + deadline
    while True:
        try:
            return call(daemon, method, path, body)
        except (OSError, ValueError, http.client.HTTPException, Refused) as error:
            if isinstance(error, Refused) and error.status != 503:
                raise
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def all_trials(daemon, study):
    rows, token = [], ""
    while token is not None:
        page = persistent_call(daemon, "GET", f"{STUDIES}/{study}/trials?page_size=1000"
                               + (f"&page_token={token}" if token else ""))
        rows += page["trials"]
        token = page["next_page_token"]
    return rows


def all_events(daemon, study):
    events, after = [], 0
    while True:
        page = persistent_call(daemon, "GET",
                               f"{STUDIES}/{study}/events?after={after}&page_size=1000")["events"]
        if not page:
            return events
        events += page
        after = page[-1]["id"]


def wait_final(daemon, study, timeout=300):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        found = persistent_call(daemon, "GET", f"{STUDIES}/{study}?wait=2s&until=final")
        if found["state"] in ("succeeded", "failed", "cancelled"):
            return found
    raise AssertionError(f"the study did not end in {timeout} s: {found}")


def wait_for(condition, what, timeout=120):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout} s: {what}")


def processes_of(daemon):
    """Pids whose environment or arguments name the daemon's data directory."""
    needle, found = str(daemon.data).encode(), []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if needle in (entry / "environ").read_bytes() or needle in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def suggest_workers_of(daemon):
    """Pids of the suggestion workers: nothing but their parent tells whose they are."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            name, state = (entry / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue
        if name.endswith("(assay-suggest") and int(state.split()[1]) == daemon.process.pid \
                and state.split()[0] != "Z":
            found.append(int(entry.name))
    return found


def is_alive(pid):
    """A zombie is not; whoever reaps it takes his time."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_all(pids):
    """Those of them that have not ended by themselves meanwhile."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def trial_processes_of(daemon):
    """Those of them that belong to trials: runners and their commands."""
    found = []
    for pid in processes_of(daemon):
        try:
            arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if b"assay-runner" in arguments[0] or b"ASSAY_TRIAL=" in environment:
            found.append(pid)
    return found


def quick_study(name, trials=20, parallel=2, work_ms=20, **more):
    return {"name": name, "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
            "algorithm": {"name": "random"}, "seed": 7,
            "limits": {"trials": trials, "parallel": parallel},
            "trial": {"command": [QUICK, "${x}", str(work_ms)]}, **more}


def ask_tell_study(name, **more):
    return {"name": name, "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
            "algorithm": {"name": "random"}, "seed": 7, **more}


class DaemonTest(unittest.TestCase):
    """A fresh daemon per test; after it, nothing of the daemon may be left running."""

    options = ()

    def setUp(self):
        self.daemon = Assayd(BUILD, *self.options)
        self.addCleanup(self.finish)

    def finish(self):
        fault = self.daemon.stop()
        tail = self.daemon.tail()
        try:
            left = wait_for(lambda: not processes_of(self.daemon), "no process left", 60)
        except AssertionError:
            left = False
        pids = processes_of(self.daemon)
        self.daemon.remove()
        self.assertFalse(fault, fault)
        self.assertTrue(left, f"processes left behind: {pids}\n{tail}")

    def call(self, method, path, body=None, **more):
        return call(self.daemon, method, path, body, **more)

    def submit(self, study):
        return self.call("POST", STUDIES, study)

    def refused(self, method, path, body=None, **more):
        with self.assertRaises(Refused) as caught:
            self.call(method, path, body, **more)
        return caught.exception
