"""Runs the Python blocks of docs/tutorial-python.md, in their order, against a real server.

A block whose first line is `# file: NAME` is written to that file instead."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
import unittest
from typing import Any, Dict

TUTORIAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "tutorial-python.md"


class TutorialTest(unittest.TestCase):
    def setUp(self) -> None:
        text = TUTORIAL.read_text(encoding="utf-8")
        self.blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    def test_every_block_is_python(self) -> None:
        self.assertGreaterEqual(len(self.blocks), 6)
        for block in self.blocks:
            compile(block, str(TUTORIAL), "exec")

    @unittest.skipUnless(os.environ.get("ASSAY_URL") and os.environ.get("ASSAY_TOKEN"),
                         "needs a server: set ASSAY_URL and ASSAY_TOKEN")
    def test_every_block_runs(self) -> None:
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        names: Dict[str, Any] = {"__name__": "tutorial"}
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            for block in self.blocks:
                file = re.match(r"# file: (\S+)\n", block)
                if file:
                    pathlib.Path(file[1]).write_text(block, encoding="utf-8")
                    continue
                with self.subTest(block=block.splitlines()[0]):
                    exec(compile(block, str(TUTORIAL), "exec"), names)
            names["client"].close()
            os.chdir(before)


if __name__ == "__main__":
    unittest.main()
