"""Recorded learning curves of a folder of problems, as the benchmarks of stopping rules
use them: NAME -> Task.

The folder (--problems, ASSAY_BENCH_PROBLEMS) holds hpobench/ and hpo/data/; nothing of it is
copied into the project.  Evaluating surrogates takes a minute, so all curves are kept in the
build folder."""

import dataclasses
import gzip
import hashlib
import importlib.util
import json
import os
import pathlib
import pickle
import sys

import numpy

POOL = 1000  # random configurations drawn where a task is a surrogate


@dataclasses.dataclass
class Task:
    """curves[replicate][configuration] is an array of values, one for each of `steps` up to
    the end of the training; NaN where it diverged."""
    name: str
    maximize: bool
    steps: list
    curves: list
    parameters: list  # by configuration; None where the folder has none

    def __post_init__(self):
        sign = -1.0 if self.maximize else 1.0
        best = numpy.array([lowest(sign * numpy.asarray(curve))
                            for replicate in self.curves for curve in replicate])
        finite = best[numpy.isfinite(best)]
        self.best = float(finite.min())
        self.median = float(numpy.median(best))
        # What is 5 % from the bottom stands for the worst: some tasks diverge to 1e7.
        self.range = float(numpy.quantile(finite, 0.95)) - self.best
        self.narrow_range = self.median - self.best


def lowest(values):
    finite = values[numpy.isfinite(values)]
    return float(finite.min()) if len(finite) else numpy.inf


def _surrogate(problem, identifier, metric):
    random = numpy.random.default_rng(12345)
    drawn = [problem.sample(random, full=False) for _ in range(POOL)]
    fidelity = problem.n.j["fid"][0]
    bounds = problem.hp[fidelity]
    steps = list(range(int(bounds["lower"]), int(bounds["upper"]) + 1))
    column = problem.space()["metrics"].index(metric)
    minimize = problem.space()["minimize"][column]
    values = [problem.eval_many([dict(one, **{fidelity: step}) for step in steps])[:, column]
              for one in drawn]
    return Task(identifier, not minimize, steps, [values], drawn)


def _table(folder, identifier):
    family, rest = identifier.split(":")
    data = numpy.load(folder / f"{family}_{rest}.npz")
    names = [str(name) for name in data["names"]]
    parameters = [dict(zip(names, map(float, row))) for row in data["hp"]]
    if family == "taskset":
        values = data["valid"]
        return Task(identifier, False, list(range(values.shape[1])), [list(values)], parameters)
    values = data["perf"]
    return Task(identifier, True, [int(step) for step in data["budget"]],
                [list(values[:, seed]) for seed in range(values.shape[1])], parameters)


def _translation(folder, identifier):
    rows = json.load(gzip.open(folder / f"nmtlc_{identifier.split(':')[1]}.json.gz", "rt"))
    curves = [numpy.array([numpy.nan if value is None else value for value in row["ppl"]])
              for row in rows]
    return Task(identifier, False, list(range(1, max(map(len, curves)) + 1)), [curves],
                [row["hp"] for row in rows])


def _module(folder):
    path = folder / "hpobench" / "hpobench.py"
    os.environ["HPOBENCH_DATA"] = str(path.parent)
    spec = importlib.util.spec_from_file_location("hpobench", path)
    hpobench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hpobench)
    return hpobench


def _load_all(folder):
    path = folder / "hpobench" / "hpobench.py"
    hpobench = _module(folder)
    tasks = []
    for identifier in json.loads((path.parent / "sets.json").read_text())["sets"]["public_curve"]:
        family = identifier.split(":")[0]
        if family == "lcbench":
            tasks.append(_surrogate(hpobench.make(identifier), identifier, "val_accuracy"))
        elif family == "nmt":
            tasks.append(_translation(path.parent / "converted", identifier))
        else:
            tasks.append(_table(path.parent / "converted", identifier))
    for path in sorted((folder / "hpo" / "data").glob("*/curve_*.npz")):
        with numpy.load(path) as data:
            values = data["curves"].astype(float)
            parameters = json.loads(bytes(data["configs"]).decode())
        tasks.append(Task("hpo:" + path.stem.removeprefix("curve_"), False,
                          list(range(1, values.shape[1] + 1)), [list(values)], parameters))
    return tasks


def _load_others(folder):
    """Tasks of the folder that are in no set: other data sets of lcbench, by cross-entropy."""
    hpobench = _module(folder)
    listed = json.loads((folder / "hpobench" / "sets.json").read_text())["sets"]["public_curve"]
    network = hpobench.Net("lcbench.v1").j
    data_sets = next(one for one in network["hyperparameters"]
                     if one["name"] == network["inst"])["choices"]
    names = [name for name in map("lcbench:{}".format, data_sets) if name not in listed]
    return [_surrogate(hpobench.make(name), name, "val_cross_entropy") for name in names[::3]]


def folder_of(option):
    """The folder of problems, or the end of the program with a sentence."""
    found = option or os.environ.get("ASSAY_BENCH_PROBLEMS")
    if not found:
        sys.exit("name the folder of problems with --problems or ASSAY_BENCH_PROBLEMS")
    folder = pathlib.Path(found).resolve()
    if not (folder / "hpobench" / "hpobench.py").exists():
        sys.exit(f"{folder} has no hpobench/hpobench.py")
    return folder


def load(folder, build, others=False):
    """All tasks, or the others, from the build folder when they are there."""
    mark = hashlib.sha256(f"{folder} {others} {pathlib.Path(__file__).read_text()}".encode())
    for path in sorted(folder.rglob("*.npz")):
        mark.update(f"{path.name} {path.stat().st_size}".encode())
    kept = pathlib.Path(build) / "bench" / f"curves-{mark.hexdigest()[:12]}.pickle"
    if kept.exists():
        with kept.open("rb") as file:
            return pickle.load(file)
    tasks = _load_others(folder) if others else _load_all(folder)
    kept.parent.mkdir(parents=True, exist_ok=True)
    part = kept.with_suffix(f".{os.getpid()}")
    part.write_bytes(pickle.dumps(tasks))
    part.rename(kept)
    return tasks
