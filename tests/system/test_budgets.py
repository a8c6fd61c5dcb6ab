"""Algorithms that decide on budgets, with real processes: copies of checkpoints, trials that
start over, the stopping rule that comes with asha."""

import pathlib
import tempfile

from base import STUDIES, DaemonTest, all_trials, wait_final

# Goes on from its checkpoint; the loss falls towards |x - 0.3|.
TRAINER = """\
import json, os, sys, time
x, budget = float(sys.argv[1]), float(sys.argv[2])
path = os.path.join(os.environ["ASSAY_CHECKPOINT_DIR"], "state.json")
epoch, loss = 0, 1.0
if "keep" in sys.argv and os.path.exists(path):
    epoch, loss = json.load(open(path))
while epoch < budget:
    epoch, loss = epoch + 1, 0.9 * loss + 0.1 * abs(x - 0.3)
    print(f"step={epoch} loss={loss}", flush=True)
    time.sleep(0.005)
for i in range(1000 if "much" in sys.argv else 0):
    open(os.path.join(os.environ["ASSAY_CHECKPOINT_DIR"], f"part-{i}"), "w").close()
with open(path + ".new", "w") as file:
    json.dump([epoch, loss], file)
os.replace(path + ".new", path)
# Who ends by itself is not stopped: the word of a rule may take a while.
time.sleep(2 if "judged" in sys.argv else 0)
"""


class BudgetTest(DaemonTest):
    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.script = pathlib.Path(folder.name) / "train.py"
        self.script.write_text(TRAINER)

    def run_study(self, name, algorithm, trials, *words, checkpoints=False):
        command = ["/usr/bin/python3", str(self.script), "${x}", "${budget}"]
        self.call("POST", STUDIES, {
            "name": name, "objective": {"metric": "loss", "goal": "minimize"},
            "parameters": [{"name": "x", "type": "double", "min": 0, "max": 1}],
            "algorithm": algorithm, "seed": 4,
            "budget": {"name": "epochs", "min": 1, "max": 27, "eta": 3},
            "limits": {"trials": trials, "parallel": 3},
            "trial": {"command": [*command, *words],
                      "checkpoints": checkpoints, "infrastructure_retries": 100}})
        study = wait_final(self.daemon, name)
        self.assertEqual(study["state"], "succeeded", study["message"])
        return {row["number"]: row for row in all_trials(self.daemon, name)}

    def steps(self, name, number):
        points = self.call("GET", f"{STUDIES}/{name}/trials/{number}/measurements?page_size=1000")
        return [point["step"] for point in points["measurements"]]

    def test_a_population_copies_checkpoints(self):
        """What the parent had when it was chosen, though it wants to go on at once and copying
        takes a while."""
        rows = self.run_study(
            "pbt", {"name": "pbt", "settings": {"population": 4, "interval": 3}}, 30, "keep",
            "much", checkpoints=True)
        copies = [row for row in rows.values() if "parent" in row["why"]]
        self.assertGreater(len(copies), 0)
        self.assertEqual(len(rows), 4 + len(copies))
        # One for each place, and those who were in their last interval when they were replaced.
        states = [row["state"] for row in rows.values()]
        self.assertGreaterEqual(states.count("succeeded"), 4)
        self.assertEqual(states.count("succeeded") + states.count("stopped"), len(rows))
        for row in copies:
            begun = row["why"]["from_budget"]
            self.assertNotEqual(row["parameters"], rows[row["why"]["parent"]]["parameters"])
            self.assertEqual(self.steps("pbt", row["number"]),
                             list(range(int(begun) + 1, int(row["budget"]) + 1)))

    def test_without_checkpoints_hyperband_starts_over(self):
        rows = self.run_study("hb", {"name": "hyperband"}, 15)
        promoted = [row for row in rows.values() if len(row["attempts"]) > 1]
        self.assertGreater(len(promoted), 0)
        self.assertIn(27, {row["budget"] for row in rows.values()})
        for row in rows.values():
            self.assertEqual(self.steps("hb", row["number"]),
                             list(range(1, int(row["budget"]) + 1)))

    def test_without_checkpoints_asha_brings_its_rule(self):
        rows = self.run_study("asha", {"name": "asha", "settings": {"sampler": "random"}}, 15,
                              "judged")
        stopped = [row for row in rows.values() if row["reason"] == "stopped_by_rule"]
        self.assertGreater(len(stopped), 3)
        for row in rows.values():
            self.assertEqual(len(row["attempts"]), 1)
        self.assertEqual({row["why"]["stop"]["rule"] for row in stopped}, {"asha"})


if __name__ == "__main__":
    import unittest

    unittest.main(verbosity=2)
