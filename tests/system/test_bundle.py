#!/usr/bin/env python3
"""The static assay-runner of pods: in an empty root, in a musl root, over names and TLS."""

import http.server
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest

import base

BUNDLE = base.BUILD / "bundle" / "assay-runner"
MUSL_LOADER = pathlib.Path("/lib/ld-musl-x86_64.so.1")
PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    char block[8];
    printf("stdin %ld\nargument %s\n", (long)read(0, block, 8), argc > 1 ? argv[1] : "");
    printf("checkpoint %s\nparameters %s\n", getenv("ASSAY_CHECKPOINT_DIR"),
           getenv("ASSAY_PARAMETERS_FILE"));
    for (int step = 1; step <= 3; step++)
        printf("step=%d loss=%g\n", step, 1.0 / step);
    fflush(stdout);
    if (argc > 2 && strcmp(argv[2], "waits") == 0)
        for (;;) sleep(1);
    return argc > 2 ? atoi(argv[2]) : 0;
}
"""


def compiled(folder, compiler, *options):
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    subprocess.run([compiler, *options, "-o", str(program), str(source)], check=True)
    source.unlink()


def certificates(folder):
    """An authority and a server certificate for localhost: ca.crt, server.crt, server.key."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    folder.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=ca")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.crt", "-extfile", "names")
    return folder


def way_into_a_root():
    """The command that makes a folder the root, as root or in a user's namespace; else None."""
    chroot = shutil.which("chroot", path=os.environ["PATH"] + ":/usr/sbin:/sbin") or "chroot"
    unshare = shutil.which("unshare") or "unshare"
    for way in ([chroot], [unshare, "-r", chroot]):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(BUNDLE, folder)
            try:
                if subprocess.run([*way, folder, "/assay-runner", "--help"],
                                  capture_output=True).returncode == 0:
                    return way
            except OSError:
                pass
    return None


class Daemon:
    """What a runner needs of one: takes reports and a result, says stop when told to."""

    def __init__(self, certificate=None):
        outer = self
        self.measurements, self.result, self.over = [], None, threading.Event()
        self.stop_at, self.tokens, self.connections = None, set(), 0
        counting = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self):
                with counting:
                    outer.connections += 1
                try:
                    super().handle()
                finally:
                    with counting:
                        outer.connections -= 1

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.tokens.add(self.headers["Authorization"])
                outer.measurements += body.get("measurements", [])
                if self.path.endswith("/complete"):
                    outer.result = body
                    outer.over.set()
                self.answer({"stop": outer.stop_at is not None and
                             len(outer.measurements) >= outer.stop_at,
                             "reason": "stopped_by_rule", "message": "enough"})

            def do_GET(self):
                self.answer({"measurements": []})

            def answer(self, value):
                data = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            scheme = "https"
        self.port = self.server.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def steps(self):
        return {m["step"]: m["metrics"].get("loss") for m in self.measurements}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class NameServer(threading.Thread):
    """Answers every question for an IPv4 address with 127.0.0.1, if the name is `name`."""

    def __init__(self, address, name):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.name, self.asked = name, []

    def run(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(2048)
            except OSError:
                return
            at, labels = 12, []
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += question[at] + 1
            name, (kind,) = ".".join(labels), struct.unpack("!H", question[at + 1:at + 3])
            self.asked.append(name)
            found = name == self.name and kind == 1
            answer = question[:2] + struct.pack("!HHHHH", 0x8180 | (0 if name == self.name else 3),
                                                1, int(found), 0, 0) + question[12:at + 5]
            if found:
                answer += struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + bytes([127, 0, 0, 1])
            self.socket.sendto(answer, peer)


@unittest.skipUnless(BUNDLE.exists(), "there is no static runner here (make runner-static)")
class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.way = way_into_a_root()
        cls.programs = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.programs.cleanup)
        compiled(pathlib.Path(cls.programs.name), os.environ.get("CC", "gcc"), "-static")

    def setUp(self):
        if self.way is None:
            self.skipTest("changing the root needs root or user namespaces")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "root"
        for name in ("run", "checkpoint", "output", "job"):
            (self.root / name).mkdir(parents=True)
        shutil.copy(BUNDLE, self.root)
        shutil.copy(pathlib.Path(self.programs.name) / "program", self.root)

    def start_daemon(self, certificate=None):
        daemon = Daemon(certificate)
        self.addCleanup(daemon.close)
        return daemon

    def write_job(self, url, metrics=None, **more):
        pod = {"attempt_dir": "/run", "checkpoint_dir": "/checkpoint", "output_dir": "/output",
               "url": url, **more.pop("pod", {})}
        job = {"data_dir": "/run/cache", "key": {"study_id": 1, "trial": 2, "attempt": 1},
               "marker": "m", "project": "default", "study": "s", "environment": {},
               "metrics": {"from": "stdout", "objectives": ["loss"], **(metrics or {})},
               "parameters": {"x": 0.5}, "token": "t0ken", "grace_us": 5000000,
               "log_bytes": 65536, "pod": pod, **more}
        (self.root / "job" / "job.json").write_text(json.dumps(job))

    def enter(self, *arguments, **more):
        process = subprocess.Popen([*self.way, str(self.root), *arguments],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={}, **more)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        self.addCleanup(process.stdout.close)
        return process

    def run_here(self, *arguments):
        process = self.enter(*arguments)
        return process.communicate(timeout=240)[0].decode(), process.returncode

    def run_command(self, *command):
        return self.run_here("/assay-runner", "--job", "/job/job.json", "--", *command)

    def test_is_static(self):
        text = subprocess.run(["readelf", "-ld", str(BUNDLE)], check=True, capture_output=True,
                              text=True).stdout
        self.assertNotIn("INTERP", text)
        self.assertNotIn("NEEDED", text)

    def test_in_an_empty_root(self):
        """Nothing but the runner and a static program: no /proc, no /dev, no /etc, no /tmp."""
        self.assertEqual(sorted(p.name for p in self.root.iterdir()),
                         ["assay-runner", "checkpoint", "job", "output", "program", "run"])
        daemon = self.start_daemon()
        self.write_job(daemon.url)
        output, code = self.run_command("/program", "$HOME; exit 1")
        self.assertEqual(code, 0, output)
        self.assertEqual(daemon.result["state"], "succeeded")
        self.assertEqual(daemon.steps(), {1: 1.0, 2: 0.5, 3: 0.333333})
        self.assertEqual(daemon.tokens, {"Bearer t0ken"})
        self.assertEqual(output.splitlines()[:4],
                         ["stdin 0", "argument $HOME; exit 1", "checkpoint /checkpoint",
                          "parameters /run/parameters.json"])
        self.assertEqual(json.loads((self.root / "run/parameters.json").read_text()), {"x": 0.5})

    def test_exit_code_and_missing_program(self):
        daemon = self.start_daemon()
        self.write_job(daemon.url)
        _, code = self.run_command("/program", "x", "3")
        self.assertEqual((code, daemon.result["reason"]), (3, "exit_code"))
        (self.root / "run/result.json").unlink()
        daemon.result = None
        _, code = self.run_command("/nothing")
        self.assertEqual((code, daemon.result["reason"]), (127, "start_failed"))
        self.assertIn("there is no program /nothing", daemon.result["message"])

    def test_stops_at_once(self):
        daemon = self.start_daemon()
        daemon.stop_at = 3
        self.write_job(daemon.url)
        output, code = self.run_command("/program", "x", "waits")
        self.assertEqual(code, 128 + signal.SIGTERM, output)
        self.assertEqual(daemon.result["reason"], "stopped_by_rule")

    def test_installs_itself(self):
        (self.root / "shared").mkdir()
        output, code = self.run_here("/assay-runner", "--install", "/shared")
        self.assertEqual(code, 0, output)
        self.assertEqual((self.root / "shared/assay-runner").read_bytes(), BUNDLE.read_bytes())
        output, code = self.run_here("/shared/assay-runner", "--help")
        self.assertEqual(code, 0, output)
        output, code = self.run_here("/assay-runner", "--install", "/nowhere")
        self.assertEqual(code, 1)
        self.assertIn("/nowhere", output)

    def test_checkpoint_of_another_trial(self):
        (self.root / "parent/deep").mkdir(parents=True)
        (self.root / "parent/deep/epoch").write_text("7")
        with open(self.root / "parent/sparse", "wb") as file:
            file.truncate(64 << 20)
            file.seek(1 << 20)
            file.write(b"weights")
        (self.root / "parent/link").symlink_to("deep/epoch")
        daemon = self.start_daemon()
        self.write_job(daemon.url, checkpoint_from="/parent")
        output, code = self.run_command("/program")
        self.assertEqual(code, 0, output)
        own = self.root / "checkpoint"
        self.assertEqual(sorted(p.name for p in own.iterdir()), ["deep", "link", "sparse"])
        self.assertEqual((own / "deep/epoch").read_text(), "7")
        self.assertEqual(os.readlink(own / "link"), "deep/epoch")
        self.assertEqual((own / "sparse").read_bytes(), (self.root / "parent/sparse").read_bytes())
        self.assertLess((own / "sparse").stat().st_blocks * 512, 8 << 20)
        # Its own, of an earlier attempt, stays.
        (own / "deep/epoch").write_text("9")
        (self.root / "run/result.json").unlink()
        self.assertEqual(self.run_command("/program")[1], 0)
        self.assertEqual((own / "deep/epoch").read_text(), "9")

    def test_watches_a_file(self):
        """As a sidecar: what another container writes is told while it grows, and to its end."""
        daemon = self.start_daemon()
        self.write_job(daemon.url, {"from": "file", "path": "/output/metrics.log"})
        process = self.enter("/assay-runner", "--watch", "--job", "/job/job.json")
        path = self.root / "output/metrics.log"
        path.write_text("step=1 loss=0.5\n")
        base.wait_for(lambda: daemon.steps() == {1: 0.5}, "the first step")
        base.wait_for(lambda: daemon.connections == 0, "no connection held for nothing")
        with open(path, "a") as file:
            file.write("step=2 loss=0.25")  # no line end
        process.terminate()
        output = process.communicate(timeout=240)[0]
        self.assertEqual(process.returncode, 0, output)
        self.assertEqual(daemon.steps(), {1: 0.5, 2: 0.25})
        self.assertIsNone(daemon.result)

    def test_small(self):
        daemon = self.start_daemon()
        self.write_job(daemon.url)
        process = self.enter("/assay-runner", "--job", "/job/job.json", "--", "/program", "x",
                             "waits")
        base.wait_for(lambda: daemon.steps().get(3), "its metrics")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        kib = int(status.split("VmHWM:")[1].split()[0])
        process.terminate()
        process.communicate(timeout=240)
        self.assertLess(kib, 10 * 1024)

    @unittest.skipUnless(MUSL_LOADER.exists() and shutil.which("musl-gcc"),
                         "needs the package musl-tools")
    def test_in_a_musl_root(self):
        (self.root / "lib").mkdir()
        shutil.copy(MUSL_LOADER, self.root / "lib")
        compiled(self.root, "musl-gcc")
        (self.root / "etc").mkdir()
        daemon = self.start_daemon()
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.0.1 x assayd.assay # y\n")
        self.write_job(f"http://assayd.assay:{daemon.port}")
        output, code = self.run_command("/program")
        self.assertEqual(code, 0, output)
        self.assertEqual(daemon.steps(), {1: 1.0, 2: 0.5, 3: 0.333333})

    def test_names_by_dns(self):
        try:
            server = NameServer("127.0.0.77", "assayd.assay.svc.cluster.local")
        except OSError as error:
            self.skipTest(f"no name server can be played here: {error}")
        self.addCleanup(server.socket.close)
        server.start()
        (self.root / "etc").mkdir()
        (self.root / "etc/resolv.conf").write_text(
            "nameserver 127.0.0.77\nsearch assay.svc.cluster.local svc.cluster.local\n"
            "options ndots:5\n")
        (self.root / "etc/nsswitch.conf").write_text("hosts: files nonsense dns\n")
        daemon = self.start_daemon()
        self.write_job(f"http://assayd:{daemon.port}")
        output, code = self.run_command("/program")
        self.assertEqual(code, 0, f"{output}\n{server.asked}")
        self.assertEqual(daemon.result["state"], "succeeded")

    def test_tls(self):
        made = certificates(self.folder / "made")
        daemon = self.start_daemon((made / "server.crt", made / "server.key"))
        self.write_job(f"https://localhost:{daemon.port}",
                       pod={"ca": (made / "ca.crt").read_text()})
        output, code = self.run_command("/program")
        self.assertEqual(code, 0, output)
        self.assertEqual(daemon.steps(), {1: 1.0, 2: 0.5, 3: 0.333333})
        # Somebody else's authority, and none at all.
        other = certificates(self.folder / "other")
        for number, (pod, word) in enumerate((
                ({"ca": (other / "ca.crt").read_text()},
                 "not correctly signed by the trusted CA"),
                ({}, "no authorities to trust"))):
            # The runner before may have been killed before it wrote one.
            (self.root / "run/result.json").unlink(missing_ok=True)
            (self.root / "run/ca.pem").unlink(missing_ok=True)
            daemon.result, daemon.measurements = None, []
            self.write_job(f"https://localhost:{daemon.port}", pod=pod)
            process = self.enter("/assay-runner", "--job", "/job/job.json", "--", "/program")
            said = b""
            while word.encode() not in said:
                line = process.stdout.readline()
                self.assertTrue(line, f"case {number}: {said}")
                said += line
            process.kill()
            process.communicate(timeout=240)
            self.assertEqual(daemon.measurements, [])


if __name__ == "__main__":
    unittest.main()
