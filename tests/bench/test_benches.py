"""The benchmarks run, print what the contract names, and measure what users get."""

import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("ASSAY_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "bench"))
import asktell  # noqa: E402
import biobjective  # noqa: E402
import lib  # noqa: E402
import pareto  # noqa: E402

SPEC = {"objective": {"metric": "loss", "goal": "minimize"}, "seed": 11, "parameters": [
    {"name": "lr", "type": "double", "min": 1e-5, "max": 1.0, "scale": "log"},
    {"name": "layers", "type": "int", "min": 1, "max": 8},
    {"name": "optimizer", "type": "categorical", "values": ["sgd", "adam"]},
    {"name": "momentum", "type": "double", "min": 0, "max": 0.99, "when": {"optimizer": ["sgd"]}}]}


def loss(parameters, index=0):
    return {"loss": abs(parameters["lr"] - 0.01) + 0.1 * parameters["layers"]
            + parameters.get("momentum", 0.5)}


class Worker:
    """An assay-suggest without a daemon: one study, sequentially."""

    def __init__(self, spec):
        self.process = subprocess.Popen([str(BUILD / "bin" / "assay-suggest")],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.send({"op": "open", "study": 1, "spec": spec})

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(120)

    def send(self, message):
        text = json.dumps(message).encode()
        self.process.stdin.write(struct.pack("<I", len(text)) + text)
        self.process.stdin.flush()

    def ask(self, number):
        self.send({"op": "ask", "study": 1, "request": number, "numbers": [number]})
        size, = struct.unpack("<I", self.process.stdout.read(4))
        return json.loads(self.process.stdout.read(size))["trials"][0]["parameters"]

    def tell(self, number, parameters, value):
        self.send({"op": "tell", "study": 1, "trials": [
            {"number": number, "state": "succeeded", "parameters": parameters,
             "values": [value]}]})


class Honest(unittest.TestCase):
    def test_http_gives_what_the_algorithm_gives(self):
        """What the quality benchmark measures is the algorithm, not the road to it."""
        with lib.Assayd(BUILD) as daemon:
            client = lib.Client(daemon)
            for algorithm in ("random", "tpe", "cmaes", "bayesian", "auto"):
                spec = dict(SPEC, algorithm={"name": algorithm})
                with self.subTest(algorithm), asktell.Study(client, spec) as study, \
                        Worker(spec) as worker:
                    for one in asktell.play(study, loss, 30):
                        self.assertEqual(worker.ask(one.index), one.parameters)
                        worker.tell(one.index, one.parameters, one.metrics["loss"])
            client.close()

    def test_simulated_workers_are_the_same_each_time(self):
        with lib.Assayd(BUILD) as daemon:
            client = lib.Client(daemon)
            runs = []
            for _ in range(2):
                with asktell.Study(client, dict(SPEC, algorithm={"name": "tpe"})) as study:
                    runs.append([(one.index, one.parameters)
                                 for one in asktell.play(study, loss, 30, workers=4, seed=3)])
            client.close()
        self.assertEqual(runs[0], runs[1])
        self.assertEqual(sorted(index for index, _ in runs[0]), list(range(1, 31)))
        self.assertNotEqual([index for index, _ in runs[0]], list(range(1, 31)))


def bench(*command):
    return subprocess.run([str(ROOT / "bench" / command[0]), "--build", str(BUILD), *command[1:]],
                          capture_output=True, text=True, timeout=600)


class Figures(unittest.TestCase):
    def figures(self, *command):
        """{name: figure} of a benchmark that must succeed."""
        done = bench(*command, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["bench"], command[0])
        for row in answer["figures"]:
            self.assertEqual(set(row), {"name", "value", "unit", "goal", "better"})
            self.assertIn(row["better"], ("lower", "higher"))
            self.assertIsInstance(row["value"], (int, float))
        return {row["name"]: row for row in answer["figures"]}

    def test_kubernetes(self):
        found = self.figures("kubernetes", "--trials", "60", "--parallel", "20", "--work-ms", "300")
        for name, value in (("creates_per_trial", 1), ("deletes_per_trial", 1),
                            ("watch_streams", 1)):
            self.assertEqual(found[name]["value"], value, name)
        # The first may end before the last begins, on a busy machine.
        self.assertIn(found["pods_at_once"]["value"], range(2, 21))

    def test_turnover(self):
        self.assertIn("turnover_p50_ms", self.figures("turnover", "--trials", "6"))

    def test_suggest(self):
        found = self.figures("suggest", "--quick", "--no-optuna", "--algorithms", "tpe,cmaes",
                             "--rounds", "1", "--asks", "5", "--seconds", "0.1")
        for name in ("tpe_ms_1000", "cmaes_ms", "tpe_json_ms_1000", "tpe_conditional_ms_1000"):
            self.assertGreater(found[name]["value"], 0, name)
        self.assertEqual(found["tpe_ms_1000"]["goal"], 0.2)

    def test_suggest_names_what_can_not_take_part(self):
        done = bench("suggest", "--quick", "--no-optuna", "--algorithms", "grid,nobody")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("grid does not take part", done.stdout)
        self.assertIn("there is no algorithm nobody", done.stdout)

    def test_fidelity(self):
        common = ["fidelity", "--trials", "400", "--algorithms", "asha,hyperband"]
        if "ASSAY_BENCH_PROBLEMS" in os.environ:
            common += ["--only", "four_rooms", "--seeds", "1", "--random", "5"]
        found = self.figures(*common)
        for name in ("asha", "hyperband"):
            self.assertLessEqual(found[f"idle_worst_{name}"]["value"], 1)
            self.assertGreater(found[f"trials_per_second_{name}"]["value"], 0)
        self.assertEqual("epochs_ratio_asha" in found, "ASSAY_BENCH_PROBLEMS" in os.environ)

    def test_warmstart(self):
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "page.md")
            found = self.figures("warmstart", "--algorithms", "tpe", "--kinds", "same,several",
                                 "--only", "network", "--seeds", "1", "--earlier", "12",
                                 "--budget", "12", "--target", "6", "--markdown", page)
            self.assertEqual(set(found), {"needed_tpe_same", "needed_tpe_several"})
            self.assertIn("network, tpe", pathlib.Path(page).read_text())

    def test_reports(self):
        found = self.figures("reports", "--trials", "30", "--steps", "8", "--clients", "2",
                             "--hold", "4")
        self.assertEqual(found["reports"]["value"], 240)
        self.assertLessEqual(found["decision_p50_us"]["value"], found["decision_p99_us"]["value"])
        self.assertGreater(found["rss_end_mib"]["value"], 0)

    def test_relay(self):
        found = self.figures("relay", "--trials", "40", "--asks", "5")
        self.assertEqual(set(found), {"connect_ms", *(
            f"ask_{what}_{study}" for what in ("child_us", "relay_us", "ratio")
            for study in ("random_0", "tpe_40")), "replay_ratio_tpe_40"})

    def test_pareto_goes_on_where_it_stopped(self):
        with tempfile.TemporaryDirectory() as folder:
            table, page = os.path.join(folder, "runs.csv"), os.path.join(folder, "page.md")
            pathlib.Path(page).write_text("# Quality\n")
            common = ["quality", "--mode", "pareto", "--only", "zdt1", "--algorithms", "random",
                      "--budget", "6", "--out", table]
            self.figures(*common, "--seeds", "1")
            before = pathlib.Path(table).read_text()
            found = self.figures(*common, "--seeds", "2", "--markdown", page)
            self.assertTrue(pathlib.Path(table).read_text().startswith(before))
            self.assertLess(0, found["hypervolume_zdt1_random"]["value"])
            self.figures(*common, "--report-only", "--markdown", page)  # replaces its section
            text = pathlib.Path(page).read_text()
            self.assertEqual(text.count("## Two objectives"), 1)
            self.assertTrue(text.startswith("# Quality\n"))

    def test_pareto_plays_what_needs_nothing_more(self):
        with lib.Assayd(BUILD) as running:
            client = lib.Client(running)
            self.addCleanup(client.close)
            algorithms, notes = pareto.able(client, None)
            self.assertEqual(notes, [])
            self.assertLessEqual({"auto", "bayesian", "tpe", "nsga2", "random"}, set(algorithms))
            self.assertNotIn("remote", algorithms)
            algorithms, notes = pareto.able(client, "cmaes,nsga2,nobody")
            self.assertEqual(list(algorithms), ["nsga2"])
            self.assertEqual(notes, ["cmaes takes one objective only",
                                     "there is no algorithm nobody"])

    def test_quality_says_what_it_needs(self):
        done = subprocess.run([str(ROOT / "bench" / "quality"), "--build", str(BUILD)],
                              capture_output=True, text=True, timeout=180,
                              env={name: value for name, value in os.environ.items()
                                   if name != "ASSAY_BENCH_PROBLEMS"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("ASSAY_BENCH_PROBLEMS", done.stderr)

    @unittest.skipUnless("ASSAY_BENCH_PROBLEMS" in os.environ,
                         "ASSAY_BENCH_PROBLEMS does not name a benchmark folder")
    def test_quality(self):
        common = ["quality", "--algorithms", "random", "--only", "branin", "--seeds", "1"]
        found = self.figures(*common, "--budget", "100")
        self.assertLess(0, found["mean_regret_random"]["value"])
        self.assertIn("mean_rank_optuna-tpe", found)
        found = self.figures(*common, "--mode", "parallel", "--budget", "20")
        self.assertEqual(found["duplicates_random"]["value"], 0)


class Numbers(unittest.TestCase):
    def test_hypervolume(self):
        area = biobjective.hypervolume
        self.assertEqual(area([], (1, 1)), 0)
        self.assertEqual(area([(0, 0)], (2, 3)), 6)
        self.assertEqual(area([(0, 2), (1, 1), (1, 2), (5, 0), (0, 5)], (3, 3)), 5)

    def test_no_point_beats_the_best_front(self):
        generator = random.Random(1)
        for problem in biobjective.problems().values():
            reached = []
            for _ in range(2000):
                point = {p["name"]: self.value(p, generator) for p in problem.parameters}
                found = problem.objectives(problem.evaluate(point))
                if found is not None:
                    reached.append(found)
            area = biobjective.hypervolume(reached, problem.reference)
            self.assertLess(0, area, problem.name)
            self.assertLess(area, problem.best, problem.name)

    @staticmethod
    def value(p, generator):
        if "values" in p:
            return generator.choice(p["values"])
        if p["type"] == "bool":
            return generator.random() < 0.5
        if p["type"] == "int":
            return generator.randint(p["min"], p["max"])
        return generator.uniform(p["min"], p["max"])


if __name__ == "__main__":
    unittest.main()
