"""What tests of the command line share: how it is run, and study files for it.

ASSAY_BUILD names the build folder (default: build).
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve() / "bin"
ASSAY = str(BIN / "assay")
URL, TOKEN = os.environ.get("ASSAY_URL"), os.environ.get("ASSAY_TOKEN")

STUDY = """\
name: NAME
objective: {metric: loss, goal: minimize}
parameters:
  - {name: x, type: double, min: -2, max: 2}
  - {name: kind, type: categorical, values: [a, "b, c"]}
algorithm: {name: random}
limits: {trials: 6, parallel: 2}
seed: 7
"""

# The trial's own file shows that it runs in the folder of the study file.
TRIAL = """\
trial:
  command: [/usr/bin/python3, trial.py, "${x}"]
"""

SCRIPT = """\
import sys, time
x = float(sys.argv[1])
for step in range(3):
    print(f"step={step} loss={x * x + 1 / (step + 1)}", flush=True)
    time.sleep(float(open("pace").read()))
"""


def environment(**changes):
    """The caller's, without what points to a server, in plain English."""
    base = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "NO_COLOR"))}
    base.update(LC_ALL="C.UTF-8", TERM="xterm")
    base.update(changes)
    return base


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="assay-cli-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = environment(ASSAY_DATA=str(self.folder / "none"))

    def assay(self, *words, code=0, input=None, timeout=120, **changes):
        done = subprocess.run([ASSAY, *map(str, words)], input=input, text=True, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
                              env=dict(self.environment, **changes))
        self.assertEqual(done.returncode, code,
                         f"assay {' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *words, **more):
        return json.loads(self.assay(*words, "--json", **more).stdout)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def put(self, name, text):
        """As write, for who reads it at any moment: finds the old text or the new."""
        self.write(name + ".new", text).rename(self.folder / name)


class WithStudies(Case):
    """Study files that can be run."""

    pace = 0.02

    def study(self, trial=TRIAL, **changes):
        name = f"cli-{uuid.uuid4().hex[:10]}"
        text = STUDY.replace("NAME", name) + trial
        for old, new in changes.items():
            text = re.sub(rf"^{old}: .*$", f"{old}: {new}", text, flags=re.M)
        self.write("trial.py", SCRIPT)
        self.write("pace", str(self.pace))
        return name, self.write(f"{name}.yaml", text)
