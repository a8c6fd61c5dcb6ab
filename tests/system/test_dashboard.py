"""The dashboard in a real browser against a real daemon."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

from base import BUILD, ROOT, STUDIES, DaemonTest, quick_study, wait_for
from test_job import CURVE

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@unittest.skipUnless(os.path.exists(CHROMIUM) and shutil.which("node"),
                     "needs chromium and node")
class DashboardTest(DaemonTest):
    def test_journey(self):
        self.submit(quick_study(
            "digits-live", trials=5000, parallel=2,
            parameters=[{"name": "x", "type": "double", "min": 0, "max": 1},
                        {"name": "kind", "type": "categorical", "values": ["a", "b"]},
                        {"name": "depth", "type": "int", "min": 1, "max": 9, "when": {"kind": ["b"]}}],
            early_stopping={"name": "median", "settings": {"min_trials": 5, "warmup_steps": 3}},
            trial={"command": [sys.executable, "-c", CURVE, "${x}", "12", "0.05"]}))
        wait_for(lambda: self.call("GET", f"{STUDIES}/digits-live")["trials"]["succeeded"] >= 8,
                 "finished trials")
        picture = pathlib.Path(os.environ.get("SCREENSHOT", self.daemon.folder / "study.png"))
        done = subprocess.run(
            ["node", "--test", "dashboard/test/journey.test.mjs"], cwd=ROOT, timeout=900,
            capture_output=True, text=True,
            env=dict(os.environ, **self.daemon.client_environment, ASSAY_STUDY="digits-live",
                     DASHBOARD=str(BUILD / "dashboard"), SCREENSHOT=str(picture)))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertGreater(picture.stat().st_size, 20000)
