"""Stopping rules as other systems ship them, for bench/stopping.

Each is written from what its system documents or does; values are minimised, `step` counts
measurements from 1, and settings are the shipped defaults unless said otherwise.  report()
answers whether the trial is stopped."""

import bisect
import math
import zlib


class Rule:
    def __init__(self, length):
        self.length = length  # measurements of a whole trial

    def start(self, number):
        pass

    def report(self, number, step, value):
        raise NotImplementedError

    def finish(self, number, stopped):
        pass


class NoRule(Rule):
    def report(self, number, step, value):
        return False


def finite_best(values):
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def quantile(ordered, share):
    """Of an ordered list, interpolated as numpy does."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


class BestSoFar:
    """By trial; NaN while nothing but NaN was measured."""

    def __init__(self):
        self.best = {}

    def add(self, number, value):
        known = self.best.get(number, math.nan)
        self.best[number] = known if math.isnan(value) or known <= value else value
        return self.best[number]


class KatibMedianStop(Rule):
    """medianstop: the mean (not median) over succeeded trials of the mean of their first
    start_step values, frozen when a trial is created and applied once, at that step."""
    MIN_TRIALS, START_STEP = 3, 4

    def __init__(self, length):
        super().__init__(length)
        self.averages, self.rules, self.values = [], {}, {}

    def start(self, number):
        if len(self.averages) >= self.MIN_TRIALS:
            self.rules[number] = sum(self.averages) / len(self.averages)

    def report(self, number, step, value):
        values = self.values.setdefault(number, [])
        values.append(value)
        return (len(values) == self.START_STEP and number in self.rules
                and finite_best(values) > self.rules[number])

    def finish(self, number, stopped):
        values = self.values.pop(number)
        if not stopped:
            first = values[:self.START_STEP]
            self.averages.append(sum(first) / len(first))


class OptunaPercentile(Rule):
    """PercentilePruner: the best value so far against the percentile of the completed trials'
    values at exactly this step; 5 trials at first."""
    STARTUP = 5

    def __init__(self, length, percentile):
        super().__init__(length)
        self.share, self.completed = percentile / 100, 0
        self.values, self.at, self.best = {}, {}, BestSoFar()

    def report(self, number, step, value):
        self.values.setdefault(number, []).append(value)
        best = self.best.add(number, value)
        others = self.at.get(step)
        if self.completed < self.STARTUP or not others:
            return False
        return math.isnan(best) or best > quantile(others, self.share)

    def finish(self, number, stopped):
        values = self.values.pop(number)
        if not stopped:
            self.completed += 1
            for step, value in enumerate(values, 1):
                if not math.isnan(value):
                    bisect.insort(self.at.setdefault(step, []), value)


class OptunaHalving(Rule):
    """SuccessiveHalvingPruner: at rung k (min_resource * eta^(k + early)) a trial goes on when
    its value is among the best n // eta there, its own counted; the best one always."""

    def __init__(self, length, eta=4, early=0):
        super().__init__(length)
        self.eta, self.early, self.rungs, self.at = eta, early, {}, {}

    def report(self, number, step, value):
        while True:
            rung = self.at.get(number, 0)
            if step < self.eta ** (rung + self.early):
                return False
            if math.isnan(value):
                return True
            values = self.rungs.setdefault(rung, [])
            bisect.insort(values, value)
            self.at[number] = rung + 1
            if value > values[max(len(values) // self.eta, 1) - 1]:
                return True


class OptunaHyperband(Rule):
    """HyperbandPruner, eta 3: brackets of the above, a trial's drawn by the hash of study and
    number in proportion to the brackets' budgets."""
    ETA = 3

    def __init__(self, length):
        super().__init__(length)
        n = int(math.log(length, self.ETA) + 1e-9) + 1
        self.brackets = [OptunaHalving(length, self.ETA, k) for k in range(n)]
        self.shares = [math.ceil(n * self.ETA ** (n - 1 - k) / (n - k)) for k in range(n)]

    def report(self, number, step, value):
        place = zlib.crc32(f"study_{number}".encode()) % sum(self.shares)
        for bracket, share in zip(self.brackets, self.shares):
            place -= share
            if place < 0:
                return bracket.report(number, step, value)
        raise AssertionError


def grown(start, factor, end):
    rungs = []
    while start < end:
        rungs.append(start)
        start *= factor
    return rungs


class SyneAsha(Rule):
    """ASHA, type stopping, grace 1, eta 3: on when not worse than the 1/eta quantile of the
    rung, its own counted; below 2 entries always."""
    ETA = 3

    def __init__(self, length):
        super().__init__(length)
        self.rungs = {step: [] for step in grown(1, self.ETA, length)}

    def report(self, number, step, value):
        if step not in self.rungs:
            return False
        values = self.rungs[step]
        value = 1e300 if math.isnan(value) else min(value, 1e300)
        bisect.insort(values, value)
        return len(values) >= 2 and value > quantile(values, 1 / self.ETA)


class RayAsha(SyneAsha):
    """AsyncHyperBand, grace 1, factor 4, one bracket: against the values recorded before."""
    ETA = 4

    def report(self, number, step, value):
        if step not in self.rungs:
            return False
        values = self.rungs[step]
        value = 1e300 if math.isnan(value) else min(value, 1e300)
        stop = bool(values) and value > quantile(values, 1 / self.ETA)
        bisect.insort(values, value)
        return stop


class DeterminedAsha(Rule):
    """Stopping ASHA, 5 rungs, divisor 4: on while the index in the sorted rung is below
    max(n // divisor, 1)."""
    RUNGS, DIVISOR = 5, 4

    def __init__(self, length):
        super().__init__(length)
        self.rungs = [(max(1, length // self.DIVISOR ** (self.RUNGS - 1 - k)), [])
                      for k in range(self.RUNGS)]
        self.at = {}

    def report(self, number, step, value):
        value = math.inf if math.isnan(value) else value
        while self.at.get(number, 0) < self.RUNGS:
            units, values = self.rungs[self.at.get(number, 0)]
            if step < units:
                return False
            self.at[number] = self.at.get(number, 0) + 1
            index = bisect.bisect_left(values, value)
            values.insert(index, value)
            if index >= max(len(values) // self.DIVISOR, 1):
                return True
        return False


class WandbHyperband(Rule):
    """Hyperband of sweeps, eta 3, min_iter 1: at bands min_iter * eta^k against the 1/eta
    quantile of the others' best values there; strict."""
    ETA = 3

    def __init__(self, length):
        super().__init__(length)
        self.bands = {step: [] for step in grown(1, self.ETA, length)}
        self.best = {}

    def report(self, number, step, value):
        value = math.inf if math.isnan(value) else value
        self.best[number] = min(self.best.get(number, math.inf), value)
        if step not in self.bands:
            return False
        others = self.bands[step]
        stop = bool(others) and self.best[number] > quantile(others, 1 / self.ETA)
        bisect.insort(others, min(self.best[number], 1e300))
        return stop


class SyneMedian(Rule):
    """MedianStoppingRule: the running average, ranked among those of all trials that reached
    the step; grace 1, 5 values at least, stopped past the median."""

    def __init__(self, length):
        super().__init__(length)
        self.sums, self.averages = {}, {}

    def report(self, number, step, value):
        self.sums[number] = self.sums.get(number, 0.0) + value
        average = self.sums[number] / step
        average = math.inf if math.isnan(average) else average
        averages = self.averages.setdefault(step, [])
        bisect.insort(averages, average)
        return (step > 1 and len(averages) >= 5
                and bisect.bisect_left(averages, average) / len(averages) > 0.5)


class RayMedian(Rule):
    """MedianStoppingRule: the best value against the median of the other trials' running
    averages at this step, live ones too; grace 1 measurement (its default is 60 s), 3 samples."""

    def __init__(self, length):
        super().__init__(length)
        self.sums, self.averages, self.best = {}, {}, BestSoFar()

    def report(self, number, step, value):
        self.sums[number] = self.sums.get(number, 0.0) + value
        best = self.best.add(number, value)
        others = self.averages.setdefault(step, [])
        stop = len(others) >= 3 and best > quantile(others, 0.5)
        if not math.isnan(self.sums[number]):
            bisect.insort(others, self.sums[number] / step)
        return stop


class NniMedian(Rule):
    """Medianstop assessor: the best value against the median of the completed trials' running
    averages at this step."""

    def __init__(self, length):
        super().__init__(length)
        self.values, self.averages, self.best = {}, {}, BestSoFar()

    def report(self, number, step, value):
        self.values.setdefault(number, []).append(value)
        best = self.best.add(number, value)
        others = self.averages.get(step)
        return bool(others) and best > quantile(others, 0.5)

    def finish(self, number, stopped):
        total = 0.0
        for step, value in enumerate(self.values.pop(number), 1):
            total += value
            if not stopped and not math.isnan(total):
                bisect.insort(self.averages.setdefault(step, []), total / step)


class AxPercentile(Rule):
    """PercentileEarlyStoppingStrategy: the value at this step against the 50th percentile of
    all curves that reached it, from a fifth to nine tenths of the length; 3 complete curves at
    least, the best 3 trials go on."""
    MIN_CURVES, KEEP = 3, 3

    def __init__(self, length):
        super().__init__(length)
        self.at, self.completed = {}, 0

    def report(self, number, step, value):
        value = math.inf if math.isnan(value) else value
        others = self.at.setdefault(step, [])
        bisect.insort(others, min(value, 1e300))
        progress = step / self.length
        if self.completed < self.MIN_CURVES or not 0.2 <= progress <= 0.9:
            return False
        return (bisect.bisect_left(others, value) >= self.KEEP
                and value > quantile(others, 0.5))

    def finish(self, number, stopped):
        self.completed += not stopped


PEERS = {
    "katib medianstop": KatibMedianStop,
    "optuna median": lambda length: OptunaPercentile(length, 50),
    "optuna percentile 25": lambda length: OptunaPercentile(length, 25),
    "optuna halving": OptunaHalving,
    "optuna hyperband": OptunaHyperband,
    "syne tune asha": SyneAsha,
    "syne tune median": SyneMedian,
    "ray asha": RayAsha,
    "ray median": RayMedian,
    "determined asha": DeterminedAsha,
    "wandb hyperband": WandbHyperband,
    "nni median": NniMedian,
    "ax percentile": AxPercentile,
}
