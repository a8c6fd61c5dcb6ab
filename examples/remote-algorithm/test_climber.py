"""The example as a process of its own, tuning a function through a real server."""

import os
import pathlib
import socket
import subprocess
import sys
import unittest
import uuid

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = HERE.parents[1] / "python"
sys.path.insert(0, str(PYTHON))

import assay  # noqa: E402


def loss(trial):
    p = trial.parameters
    return (p["x"] - 1) ** 2 + p["rate"] + p.get("tilt", 0.5)


@unittest.skipUnless(os.environ.get("ASSAY_URL"), "needs a server: set ASSAY_URL and ASSAY_TOKEN")
class ClimberTest(unittest.TestCase):
    def start(self, port):
        process = subprocess.Popen([sys.executable, str(HERE / "climber.py"), "--port", str(port)],
                                   env=dict(os.environ, PYTHONPATH=str(PYTHON)),
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        return process, process.stderr.readline().split()[-1]

    @staticmethod
    def end(process):
        process.kill()
        process.wait()
        process.stderr.close()

    def test_it_climbs_and_survives_a_restart(self):
        kept = socket.socket()  # the port stays ours while nobody listens there
        self.addCleanup(kept.close)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        process, url = self.start(port)
        study = {"objective": {"metric": "loss", "goal": "minimize"}, "seed": 7,
                 "parameters": [
                     {"name": "x", "type": "double", "min": -5, "max": 5},
                     {"name": "rate", "type": "double", "min": 1e-5, "max": 1, "scale": "log"},
                     {"name": "kind", "type": "categorical", "values": ["plain", "tilted"]},
                     {"name": "tilt", "type": "double", "min": 0, "max": 1,
                      "when": {"kind": ["tilted"]}}],
                 "algorithm": {"name": "remote", "settings": {"url": url, "options": {"first": 8}}}}
        with assay.Client() as client:
            found = []
            for restart in (False, True):
                submitted = client.submit(dict(study, name=f"climb-{uuid.uuid4().hex[:8]}"))
                for number in range(60):
                    if restart and number == 25:  # it comes back knowing nothing
                        self.end(process)
                        process, again = self.start(port)
                        self.assertEqual(again, url)
                    trial = submitted.ask()[0]
                    trial.complete(loss=loss(trial))
                best = submitted.best()
                found.append([t.parameters for t in submitted.trials()])
                self.assertLess(best.value, 0.6)
                submitted.cancel()
            self.assertEqual(found[0], found[1])


if __name__ == "__main__":
    unittest.main()
