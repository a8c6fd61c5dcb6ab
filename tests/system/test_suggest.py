"""The suggestion host: many studies over few workers, killed workers, prepared answers."""

import math
import random
import threading
import time

from base import (STUDIES, DaemonTest, all_trials, ask_tell_study, kill_all, quick_study,
                  suggest_workers_of, wait_final, wait_for)

SPACE = [{"name": f"x{i}", "type": "double", "min": 0, "max": 1} for i in range(8)]


def loss(parameters):
    return sum((value - 0.3 - 0.05 * i) ** 2 + 0.1 * math.sin(9 * value)
               for i, value in enumerate(parameters.values()))


class SuggestTest(DaemonTest):
    def ask(self, study, count=1):
        """The trials and how long the answer took."""
        start = time.monotonic()
        trials = self.call("POST", f"{STUDIES}/{study}/suggestions", {"count": count})["trials"]
        return trials, time.monotonic() - start

    def tell(self, study, trial):
        self.call("POST", f"{STUDIES}/{study}/trials/{trial['number']}/complete",
                  {"state": "succeeded", "metrics": {"loss": loss(trial["parameters"])}})

    def make(self, name, algorithm, history=0, **more):
        """A study with so many finished trials, the same for every name."""
        self.submit(ask_tell_study(name, parameters=SPACE, algorithm={"name": algorithm}, **more))
        chance = random.Random(5)
        points = [{p["name"]: chance.random() for p in SPACE} for _ in range(history)]
        for at in range(0, history, 500):
            self.call("POST", f"{STUDIES}/{name}/trials", {"trials": [
                {"parameters": point, "state": "succeeded", "metrics": {"loss": loss(point)}}
                for point in points[at:at + 500]]})

    def metric(self, name):
        for line in self.call("GET", "/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def settled(self, name):
        """What it is when all is counted, which happens now and then."""
        value, seen = self.metric(name), time.monotonic()
        while time.monotonic() < seen + 2:
            time.sleep(0.1)
            if self.metric(name) != value:
                value, seen = self.metric(name), time.monotonic()
        return value

    def test_fifty_studies_over_two_workers(self):
        self.make("slow", "bayesian", history=1000)
        names = [f"quick-{i}" for i in range(49)]
        for name in names:
            self.make(name, "random")
        stop, slow, quick, faults = threading.Event(), [], [], []

        def work(studies, times):
            chance = random.Random(len(studies))
            try:
                while not stop.is_set():
                    study = chance.choice(studies)
                    trials, took = self.ask(study)
                    times.append(took)
                    self.tell(study, trials[0])
            except Exception as error:  # told to the test's own thread
                faults.append(error)

        threads = [threading.Thread(target=work, args=(["slow"], slow))]
        threads += [threading.Thread(target=work, args=(names, quick)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(5)
        wait_for(lambda: len(slow) > 10 or faults, "slow asks")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        quick.sort()
        slow.sort()
        print(f"\n{len(slow)} slow asks, median {slow[len(slow) // 2] * 1e3:.0f} ms; {len(quick)} "
              f"quick ones, median {quick[len(quick) // 2] * 1e3:.1f} ms, 99 % within "
              f"{quick[len(quick) * 99 // 100] * 1e3:.0f} ms, worst {quick[-1] * 1e3:.0f} ms; "
              f"{self.metric('assay_suggest_moves_total'):.0f} moves")
        self.assertLess(quick[len(quick) // 2], slow[len(slow) // 2])
        self.assertGreater(len(quick), 5 * len(slow))

    def test_short_asks_beside_long_ones_everywhere(self):
        """As many long asks as workers: the short ones still do not wait for them."""
        for name in ("slow-0", "slow-1", "slow-2"):
            self.make(name, "bayesian", history=700)
        self.make("quick", "random")
        stop, faults, times, long = threading.Event(), [], [], []

        def work(study):
            try:
                while not stop.is_set():
                    trials, took = self.ask(study)
                    long.append(took)
                    self.tell(study, trials[0])
            except Exception as error:
                faults.append(error)

        threads = [threading.Thread(target=work, args=(f"slow-{i}",)) for i in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(2)
        for _ in range(100):
            trials, took = self.ask("quick")
            times.append(took)
            self.tell("quick", trials[0])
            time.sleep(0.03)
        wait_for(lambda: len(long) > 5 or faults, "long asks")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(faults, [])
        times.sort()
        print(f"\nbeside three slow studies: median {times[50] * 1e3:.1f} ms, "
              f"worst {times[-1] * 1e3:.0f} ms")
        self.assertLess(times[50], sorted(long)[len(long) // 2])

    def test_worker_killed_in_mid_ask(self):
        for name in ("calm", "rough"):
            self.make(name, "bayesian", history=400)
        undisturbed, disturbed = [], []
        for kill in range(6):
            trials, calm = self.ask("calm")
            result = []
            thread = threading.Thread(target=lambda: result.append(self.ask("rough")))
            thread.start()
            time.sleep(0.005 + 0.01 * kill)
            kill_all(suggest_workers_of(self.daemon))
            thread.join()
            undisturbed.append(calm)
            disturbed.append(result[0][1])
            self.assertEqual(result[0][0][0]["parameters"], trials[0]["parameters"])
            self.tell("calm", trials[0])
            self.tell("rough", result[0][0][0])
        print(f"\nundisturbed {max(undisturbed):.2f} s at most, its worker killed "
              f"{max(disturbed):.2f} s at most")
        self.assertLess(max(disturbed), 30 + 1)  # the deadline and a second
        wait_for(lambda: self.metric("assay_suggest_respawns_total") >= 3, "counted")

    def test_prepared_answers_are_the_same_and_there(self):
        # What takes long to prepare is not: a history for which even a busy machine is quick.
        for name in ("hasty", "patient"):
            self.make(name, "bayesian", history=100)
        hasty, patient, waited, ready = [], [], [], []
        for _ in range(30):
            trials, took = self.ask("hasty")
            hasty.append(trials[0]["parameters"])
            waited.append(took)
            self.tell("hasty", trials[0])
        before = self.settled("assay_suggest_ready_total")
        while len(patient) < 30 and self.metric("assay_suggest_ready_total") < before + 6:
            trials, took = self.ask("patient")
            ready.append(took)
            patient.append(trials[0]["parameters"])
            self.tell("patient", trials[0])
            time.sleep(max(0.2, 3 * sorted(waited)[15]))
        self.assertEqual(hasty[:len(patient)], patient)
        prepared = int(self.settled("assay_suggest_ready_total") - before)
        self.assertGreaterEqual(prepared, 6)
        typical = sorted(ready)[prepared // 2]  # of those, the quickest
        print(f"\nasked at once: median {sorted(waited)[15] * 1e3:.1f} ms; after a pause "
              f"({prepared} of {len(patient)} prepared): {typical * 1e3:.1f} ms")
        self.assertLess(typical, sorted(waited)[15])

    def test_idle_worker_is_ready_again_before_it_is_asked(self):
        self.make("study", "random", history=10)
        trials, _ = self.ask("study")
        self.tell("study", trials[0])
        old = wait_for(lambda: suggest_workers_of(self.daemon), "a worker")
        time.sleep(0.3)
        kill_all(old)
        wait_for(lambda: set(suggest_workers_of(self.daemon)) - set(old), "a fresh worker")

    def test_ahead(self):
        study = quick_study("ahead", trials=30, parallel=2, work_ms=60)
        study["limits"]["ahead"] = 2
        self.submit(study)
        found = wait_final(self.daemon, "ahead")
        self.assertEqual((found["state"], found["reason"]), ("succeeded", "trials_done"))
        rows = all_trials(self.daemon, "ahead")
        self.assertEqual(len(rows), 30)
        self.assertTrue(all(row["state"] == "succeeded" for row in rows))
        self.assertGreater(sum("ahead" in row["why"] for row in rows), 10)

        self.submit(ask_tell_study("told", parameters=SPACE, limits={"ahead": 3}))
        wait_for(lambda: self.call("GET", f"{STUDIES}/told")["trials"]["queued"] == 3, "3 ready")
        first, _ = self.ask("told", 2)
        self.assertEqual([trial["number"] for trial in first], [1, 2])
        wait_for(lambda: self.call("GET", f"{STUDIES}/told")["trials"]["queued"] == 3, "3 again")
        self.call("PATCH", f"{STUDIES}/told", {"limits": {"ahead": None}})
        self.assertNotIn("ahead", self.call("GET", f"{STUDIES}/told")["spec"]["limits"])
