"""The trainers keep their promises: accuracy, determinism, resuming, signals, clear refusals."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest
from typing import Dict, List, Optional

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("BUILD", HERE.parents[1] / "build")).resolve() / "examples"
SETTINGS = ["--lr=0.05", "--optimizer=sgd", "--momentum=0.5", "--nesterov=true", "--dropout=0.3"]


def run(command: List[str], environment: Optional[Dict[str, str]] = None,
        ) -> "subprocess.CompletedProcess[str]":
    clean = {name: text for name, text in os.environ.items() if not name.startswith("ASSAY_")}
    clean.update(environment or {}, OMP_NUM_THREADS="1")
    return subprocess.run(command, env=clean, text=True, capture_output=True, timeout=600)


def epochs(output: str) -> List[str]:
    return [line for line in output.splitlines() if line.startswith("epoch=")]


class TrainerTest:
    """What holds for each trainer; `program` is its command."""

    program: List[str]

    def lines(self, *arguments: str, **environment: str) -> List[str]:
        done = run(self.program + list(arguments), environment)
        assert done.returncode == 0, done.stderr
        return epochs(done.stdout)

    def test_reads_digits_well(self) -> None:
        last = self.lines("--lr=0.01", "--units=64", "--epochs=15")[-1]
        match = re.fullmatch(r"epoch=15 val_accuracy=(0\.\d{4}) loss=(\d\.\d{4})", last)
        assert match is not None, last
        assert float(match[1]) >= 0.96, last

    def test_is_deterministic_and_depends_on_the_seed(self) -> None:
        first = self.lines(*SETTINGS, "--epochs=3", "--seed=5")
        assert len(first) == 3
        assert first == self.lines(*SETTINGS, "--epochs=3", "--seed=5")
        assert first != self.lines(*SETTINGS, "--epochs=3", "--seed=6")

    def test_resumes_where_it_was(self) -> None:
        whole = self.lines(*SETTINGS, "--epochs=6")
        with tempfile.TemporaryDirectory() as directory:
            self.lines(*SETTINGS, ASSAY_CHECKPOINT_DIR=directory, ASSAY_BUDGET="3")
            rest = self.lines(*SETTINGS, ASSAY_CHECKPOINT_DIR=directory, ASSAY_BUDGET="6")
            again = self.lines(*SETTINGS, ASSAY_CHECKPOINT_DIR=directory, ASSAY_BUDGET="6")
        assert rest == whole[2:]
        assert again == whole[5:]

    def test_empty_values_of_parameters_that_do_not_apply(self) -> None:
        plain = self.lines("--optimizer=adam", "--epochs=1")
        assert plain == self.lines("--optimizer=adam", "--momentum=", "--nesterov=", "--epochs=1")

    def test_divergence_is_told(self) -> None:
        done = run(self.program + ["--optimizer=sgd", "--lr=1e20", "--epochs=9"])
        assert done.returncode == 0
        assert re.search(r"loss=-?(nan|inf)", done.stdout), done.stdout
        assert len(epochs(done.stdout)) < 9

    def test_stops_when_told(self) -> None:
        process = subprocess.Popen(self.program + ["--epochs=100000"], stdout=subprocess.PIPE,
                                   text=True)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0
        assert output.splitlines()[-1].startswith("told to stop during epoch"), output[-200:]

    def test_refuses_nonsense(self) -> None:
        for argument in ("--lr=fast", "--units=1.5", "--units=0", "--dropout=1", "--momentum=-1",
                         "--optimizer=rms", "--nesterov=maybe", "--batch=", "--unknown=1", "word"):
            done = run(self.program + [argument])
            assert done.returncode == 2, argument
            assert done.stderr, argument


class PythonTest(TrainerTest, unittest.TestCase):
    program = [sys.executable, str(HERE / "train.py")]


class CTest(TrainerTest, unittest.TestCase):
    program = [str(BUILD / "digits")]

    def test_says_what_data_it_misses(self) -> None:
        done = run(self.program, {"ASSAY_DIGITS_DATA": "/nonexistent/digits.csv"})
        assert done.returncode == 1
        assert "/nonexistent/digits.csv" in done.stderr and "export_data.py" in done.stderr

    def test_refuses_broken_data(self) -> None:
        good = (BUILD / "digits.csv").read_text().splitlines(keepends=True)
        for text in ("", "train\n", good[0], good[0] + "x" * 2000, good[-1] + good[0],
                     good[0] + good[-1].replace(",", ",99,", 1), "train,5,1,2\n"):
            with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
                file.write(text)
                file.flush()
                done = run(self.program + ["--data", file.name])
                assert done.returncode == 1 and file.name in done.stderr, text[:50]

    def test_a_cut_checkpoint_is_not_taken_up(self) -> None:
        whole = self.lines(*SETTINGS, "--epochs=2")
        with tempfile.TemporaryDirectory() as directory:
            self.lines(*SETTINGS, "--epochs=1", ASSAY_CHECKPOINT_DIR=directory)
            path = pathlib.Path(directory, "digits.bin")
            path.write_bytes(path.read_bytes()[:-4])
            assert self.lines(*SETTINGS, "--epochs=2", ASSAY_CHECKPOINT_DIR=directory) == whole


class CudaTest(unittest.TestCase):
    def test_agrees_with_the_cpu_or_says_that_there_is_no_gpu(self) -> None:
        program = BUILD / "digits-cuda"
        if not program.exists():
            self.skipTest("not built: no nvcc")
        done = run([str(program), "--check", "--units=100"])
        if done.returncode == 3:
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertIn("no GPU", done.stderr)
            self.skipTest(done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("check passed", done.stdout)


if __name__ == "__main__":
    unittest.main()
