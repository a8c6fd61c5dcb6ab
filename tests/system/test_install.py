"""make install runs from where it was put, with no further setting."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from base import BUILD, ROOT


class InstallTest(unittest.TestCase):
    def test_runs_from_the_prefix(self):
        with tempfile.TemporaryDirectory(prefix="assay-install-") as folder:
            prefix = pathlib.Path(folder) / "prefix"
            # As it was built: another spelling of the folder would build all of it anew.
            subprocess.run(["make", "-s", "install", f"BUILD={os.path.relpath(BUILD, ROOT)}",
                            f"PREFIX={prefix}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            study = pathlib.Path(folder) / "study.json"
            study.write_text(json.dumps({
                "name": "installed", "objective": {"metric": "loss", "goal": "minimize"},
                "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
                "limits": {"trials": 4, "parallel": 2},
                "trial": {"command": ["awk", "BEGIN { print \"loss=\" ${x} }"]}}))
            data = pathlib.Path(folder) / "data"
            environment = {"PATH": os.environ["PATH"], "HOME": folder}
            assay = str(prefix / "bin" / "assay")
            done = subprocess.run([assay, "--data", str(data), "run", str(study), "--json"],
                                  env=environment, cwd=folder, capture_output=True, text=True,
                                  timeout=600)
            try:
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(json.loads(done.stdout)["study"]["trials"]["succeeded"], 4)
                page = subprocess.run(["curl", "-sS", (data / "url").read_text().strip() + "/"],
                                      capture_output=True, text=True, timeout=120, check=True)
                self.assertIn("<title>", page.stdout)
            finally:
                subprocess.run([assay, "--data", str(data), "server", "stop", "--wait", "180s"], env=environment,
                               timeout=240, check=False, capture_output=True)
