"""A real assayd on a private data directory, for tests and benchmarks."""

import http.client
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Assayd:
    """Starts on construction (unless start=False); a context manager that stops and cleans up.

    The data directory survives kill() and start(), so that crashes can be played.
    """

    def __init__(self, build=None, *options, start=True, environment=None,
                 listen="127.0.0.1:0"):
        self.bin = pathlib.Path(build or os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve() / "bin"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-"))
        self.data = self.folder / "data"
        self.log = self.folder / "assayd.log"
        self.options, self.listen = list(options), listen
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        fault = self.stop()
        self.remove()
        if fault and exception[0] is None:
            raise RuntimeError(fault)

    def start(self, timeout=180):
        """Returns the seconds until /readyz answered."""
        begin = time.monotonic()
        (self.data / "url").unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "assayd"), "--data", str(self.data), "--listen", self.listen,
                 *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment, start_new_session=True)
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"assayd ended with {self.process.returncode}:\n{self.tail()}")
            if time.monotonic() - begin > timeout:
                raise RuntimeError("assayd did not get ready:\n" + self.tail())
            time.sleep(0.01)
        return time.monotonic() - begin

    def ready(self):
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=30) as answer:
                return answer.status == 200
        except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError):
            return False

    @property
    def url(self):
        return (self.data / "url").read_text().strip()

    @property
    def token(self):
        return (self.data / "token").read_text().strip()

    @property
    def client_environment(self):
        return {"ASSAY_URL": self.url, "ASSAY_TOKEN": self.token, "ASSAY_DATA": str(self.data)}

    def tail(self, size=6000):
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def kill(self):
        """kill -9, as a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=180):
        """SIGTERM and wait; returns what is wrong with how it ended, or an empty text."""
        if self.process is None:
            return ""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            code = f"a kill, {timeout} s after SIGTERM"
        self.process = None
        return "" if code == 0 else f"assayd ended with {code}:\n{self.tail()}"

    def postmaster(self):
        """Pid of the embedded database; ValueError or OSError while it is being started."""
        return int((self.data / "database" / "data" / "postmaster.pid").read_text().partition("\n")[0])

    def remove(self):
        """The folder with all in it; a database left by a kill is ended first."""
        try:
            os.kill(self.postmaster(), signal.SIGINT)
            for _ in range(200):
                os.kill(self.postmaster(), 0)
                time.sleep(0.05)
        except (OSError, ValueError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)
