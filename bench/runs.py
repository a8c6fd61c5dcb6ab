"""Many runs, some at a time, each kept in a CSV file as soon as it has ended."""

import collections
import concurrent.futures
import csv
import gzip
import os
import sys
import time


def read(paths):
    """The rows of CSV files, also gzipped ones; files that are not there have none."""
    rows = []
    for path in paths:
        if os.path.exists(path):
            opener = gzip.open if path.endswith(".gz") else open
            with opener(path, "rt", newline="") as file:
                rows += csv.DictReader(file)
    return rows


class Progress:
    """A line on standard error now and then: how far, and how long it will take."""

    def __init__(self, jobs, at_once):
        self.left = collections.Counter(job.kind for job in jobs)
        self.total, self.at_once = len(jobs), at_once
        self.seconds = {}  # of each kind, a list
        self.begin = self.said = time.monotonic()

    def ended(self, job, seconds):
        self.left[job.kind] -= 1
        self.seconds.setdefault(job.kind, []).append(seconds)
        now = time.monotonic()
        if now - self.said >= 30 or (sys.stderr.isatty() and now - self.said >= 1):
            self.said = now
            print(f"{self.total - self.left.total()}/{self.total} runs, "
                  f"{(now - self.begin) / 60:.1f} min, about {self.remaining() / 60:.1f} min left  ",
                  end="\r" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    def remaining(self):
        means = {kind: sum(some) / len(some) for kind, some in self.seconds.items()}
        usual = sum(means.values()) / len(means)
        return sum(n * means.get(kind, usual) for kind, n in self.left.items()) / self.at_once


def timed(work, job):
    begin = time.monotonic()
    return work(job), time.monotonic() - begin


def run_all(jobs, work, fields, path, at_once, initializer=None, initargs=()):
    """Adds the rows of all jobs to the CSV file.  `work(job)` gives a job's rows, in a
    process of its own; job.kind says which take about as long.  Returns a sentence for
    each job that failed."""
    failures, pending, waiting = [], {}, collections.deque(jobs)
    progress = Progress(jobs, at_once)
    new = not os.path.exists(path) or os.path.getsize(path) == 0
    with open(path, "a", newline="") as file, concurrent.futures.ProcessPoolExecutor(
            at_once, initializer=initializer, initargs=initargs) as pool:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        if new:
            writer.writeheader()
        while waiting or pending:
            while waiting and len(pending) <= at_once:
                job = waiting.popleft()
                pending[pool.submit(timed, work, job)] = job
            done, _ = concurrent.futures.wait(
                pending, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                job = pending.pop(future)
                error = future.exception()
                if isinstance(error, concurrent.futures.process.BrokenProcessPool):
                    raise error
                if error is None:
                    rows, seconds = future.result()
                    writer.writerows(rows)
                    file.flush()
                    progress.ended(job, seconds)
                else:  # the others go on
                    failures.append(f"{job}: {type(error).__name__}: {error}")
                    print("failed:", failures[-1], file=sys.stderr, flush=True)
                    progress.ended(job, 0.0)
    return failures
