"""A place for suggestion workers (assay-suggest --listen) over TLS with an authority of its own."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from .ports import reserved_port

TOKEN = "a token of more than sixteen characters"


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if entry.name.isdigit() and int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def make_authority(folder, name="ca"):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}", "-days", "2")


def make_certificate(folder, name, names, authority="ca"):
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / f"{name}.ext").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-out", f"{name}.crt", "-days", "2",
            "-extfile", f"{name}.ext")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)



class Place:
    """Starts on construction; `port` stays the same from start to start."""

    def __init__(self, program, *options, tls=True, start=True):
        self.program, self.options, self.tls = str(program), options, tls
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-place-"))
        self.log = self.folder / "log"
        self.log.touch()
        self.token = self.file("token", TOKEN + "\n")
        self.kept, self.port = reserved_port()
        self.process = None
        if tls:
            make_authority(self.folder)
            make_certificate(self.folder, "server", "IP:127.0.0.1")
        if start:
            self.start()

    def file(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    @property
    def address(self):
        return f"{'' if self.tls else 'tcp://'}127.0.0.1:{self.port}"

    def assayd_options(self, token=None):
        trust = ["--suggest-ca", str(self.folder / "ca.crt")] if self.tls else []
        return ["--suggest-connect", self.address, "--suggest-token-file", str(token or self.token),
                *trust]

    def start(self):
        tls = ["--tls-cert", "server.crt", "--tls-key", "server.key"] if self.tls else []
        known = len(self.log.read_text())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--listen", f"127.0.0.1:{self.port}", *tls, "--token-file", "token",
                 *self.options], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 240
        while time.monotonic() < end:
            if re.search(r"listening on \S+:\d+ ", self.log.read_text()[known:]):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError("no place: " + self.log.read_text())

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(180)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def gates(self):
        return children_of(self.process.pid)

    def workers(self):
        return [pid for gate in self.gates() for pid in children_of(gate)]

    def heard(self, text):
        return text in self.log.read_text(errors="replace")

    def remove(self):
        for pid in [] if self.process.poll() is not None else [*self.workers(), *self.gates(),
                                                               self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.process.wait()
        self.kept.close()
        shutil.rmtree(self.folder, ignore_errors=True)
