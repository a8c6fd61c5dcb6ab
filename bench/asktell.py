"""Plays a study through the daemon's ask and tell, as one worker or as many."""

import collections
import hashlib
import heapq
import json
import random
import time
import uuid

STUDIES = "/v1/projects/default/studies"


class Study:
    """An ask/tell study of the daemon behind `client`; a context manager that ends it."""

    def __init__(self, client, spec):
        self.client, self.path = client, None
        name = "bench-" + uuid.uuid4().hex[:16]
        client.call("POST", STUDIES, {"name": name, **spec})
        self.path = f"{STUDIES}/{name}"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self.client.call("POST", self.path + "/cancel", {})
        except (OSError, RuntimeError):
            if exception[0] is None:
                raise

    def ask(self, worker):
        """(number, parameters), or None while the algorithm waits for running trials."""
        answer = self.client.call("POST", self.path + "/suggestions",
                                  {"count": 1, "client": f"worker-{worker}"})
        if answer["trials"]:
            return answer["trials"][0]["number"], answer["trials"][0]["parameters"]
        if answer["study_state"] == "running":
            return None
        raise RuntimeError(f"no suggestion: the study is {answer['study_state']} "
                           f"({answer['reason']})")

    def tell(self, number, metrics):
        self.client.call("POST", f"{self.path}/trials/{number}/complete",
                         {"state": "succeeded", "metrics": metrics})


class Evaluation:
    """One trial: which it was in the order of asking, and what it cost to have it."""

    def __init__(self, index, parameters, metrics, ask_ms, tell_ms):
        self.index, self.parameters, self.metrics = index, parameters, metrics
        self.ask_ms, self.tell_ms = ask_ms, tell_ms


def play(study, evaluate, budget, workers=1, seed=0):
    """The evaluations in the order in which they ended.

    `evaluate(parameters, index)` gives the metrics of the index-th point asked for,
    from 1.  Many workers are simulated: each asks, works for a time of 0.5 to 1.5 that
    seed and index fix, tells, and asks again, so what is pending at each ask is the same
    in every run.
    """
    idle, running, ended, asked, clock = collections.deque(range(workers)), [], [], 0, 0.0
    while asked < budget or running:
        while idle and asked < budget:
            begin = time.perf_counter()
            answer = study.ask(idle[0])
            ask_ms = 1e3 * (time.perf_counter() - begin)
            if answer is None:
                break
            asked += 1
            end = clock + random.Random(f"{seed}/{asked}").uniform(0.5, 1.5)
            heapq.heappush(running, (end, asked, idle.popleft(), *answer, ask_ms))
        if not running:
            raise RuntimeError("no suggestion, and no trial that it could wait for")
        clock, index, worker, number, parameters, ask_ms = heapq.heappop(running)
        metrics = evaluate(parameters, index)
        begin = time.perf_counter()
        study.tell(number, metrics)
        tell_ms = 1e3 * (time.perf_counter() - begin)
        ended.append(Evaluation(index, parameters, metrics, ask_ms, tell_ms))
        idle.append(worker)
    return ended


def point_mark(parameters):
    """Equal for equal points."""
    text = json.dumps(parameters, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
