"""A study: its progress, its results, and asking and telling."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from . import errors
from ._place import Place
from ._records import FINAL_STUDY_STATES, Advice, Best, Importance, TrialRecord
from ._values import Metrics, Number, encode_number
from .trial import Infeasible, Trial, heartbeats

_LONG_POLL_S = 30
_POLL_GAP_S = 0.1  # a study that changes all the time is looked at no more often
_LOG = logging.getLogger("assay")

Objective = Callable[[Trial], Union[Number, Metrics, None]]


class Suggestions(List[Trial]):
    """The trials that were handed out.  When there are none, the rest tells why."""

    def __init__(self, trials: Sequence[Trial], study_state: str, reason: Optional[str],
                 retry_after: Optional[float]) -> None:
        super().__init__(trials)
        self.study_state = study_state
        self.reason = reason
        self.retry_after = retry_after  # seconds after which asking again makes sense

    @property
    def finished(self) -> bool:
        """Nothing more will ever be handed out."""
        return self.study_state in FINAL_STUDY_STATES or self.study_state == "stopping"


class Study:
    """A study on the server.  What it says of itself is from the last refresh()."""

    def __init__(self, place: Place, data: Mapping[str, Any]) -> None:
        self._place = place
        self.name: str = data["name"]
        self.project: str = data["project"]
        self.raw: Dict[str, Any] = dict(data)

    def __repr__(self) -> str:
        return f"<assay.Study {self.name}: {self.state}>"

    # ---- what it is ----

    @property
    def state(self) -> str:
        """running, paused, stopping, succeeded, failed or cancelled."""
        return str(self.raw.get("state", ""))

    @property
    def reason(self) -> Optional[str]:
        return self.raw.get("reason")

    @property
    def message(self) -> Optional[str]:
        return self.raw.get("message")

    @property
    def finished(self) -> bool:
        return self.state in FINAL_STUDY_STATES

    @property
    def counts(self) -> Dict[str, int]:
        """How many trials there are in each state, and in `total`."""
        return dict(self.raw.get("trials") or {})

    @property
    def spec(self) -> Dict[str, Any]:
        """The study file as the server understands it."""
        if "spec" not in self.raw:  # lists leave it out
            self.refresh()
        return dict(self.raw["spec"])

    def refresh(self) -> Study:
        self.raw = self._place.get()
        return self

    def wait(self, timeout: Optional[float] = None,
             progress: Optional[Callable[[Study], None]] = None) -> Study:
        """Waits until the study has ended; look at `state` then.

        `progress` is called whenever something has changed.  Raises TimedOutError when `timeout`
        seconds are over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        tag: Optional[str] = None
        seconds = 0
        while True:
            asked = time.monotonic()
            answer = self._place.request(
                "GET", wait=seconds, headers={"If-None-Match": tag} if tag else None,
                query={"wait": f"{seconds}s", "until": None if progress is not None else "final"}
                if seconds else None)
            if answer.status != 304:  # else it is as it was
                self.raw = answer.json()
                tag = answer.headers.get("etag")
                if progress is not None:
                    progress(self)
            if self.finished:
                return self
            seconds = _LONG_POLL_S
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise errors.TimedOutError(
                        f"study {self.name} is still {self.state} after {timeout:g} s")
                seconds = max(1, min(seconds, round(left)))
            time.sleep(max(0.0, asked + _POLL_GAP_S - time.monotonic()))

    # ---- results ----

    def best(self) -> Optional[Best]:
        """The best trial so far; None if no trial has succeeded yet."""
        data = self._place.get("best")["best"]
        return Best.from_json(data) if data else None

    def pareto(self) -> List[TrialRecord]:
        """With several objectives: the trials that no other trial beats in all of them."""
        return [TrialRecord.from_json(one) for one in self._place.get("pareto")["trials"]]

    def importance(self, method: Optional[str] = None, *, interactions: bool = False,
                   metric: Optional[str] = None) -> Importance:
        """How much each parameter mattered for the objective, or for another metric.

        `method` is "ped_anova" (where the best trials lie; the default) or "fanova" (the variance of
        the whole space); `interactions`, of pairs of parameters, come with "fanova"."""
        query = {"method": method, "interactions": "true" if interactions else None,
                 "metric": metric}
        return Importance.from_json(self._place.get("importance", query=query))

    def advice(self) -> Advice:
        """Whether going on is worth it, from the trials so far.  Nothing stops by it."""
        return Advice.from_json(self._place.get("advice"))

    def trials(self, *, state: Union[str, List[str], None] = None, sort: Optional[str] = None,
               page_size: int = 500) -> Iterator[TrialRecord]:
        """All trials, fetched page by page; `sort` is number, value, …, or one with a -."""
        query = {"state": ",".join(state) if isinstance(state, list) else state, "sort": sort,
                 "page_size": page_size}
        for one in self._place.pages("trials", query):
            yield TrialRecord.from_json(one)

    def trial(self, number: int) -> Trial:
        """One trial, to look at (record(), measurements(), logs()) or to stop."""
        return self._trial(self._place.get("trials", number))

    def events(self, *, after: Union[int, str, None] = None) -> Iterator[Dict[str, Any]]:
        """What has happened so far, oldest first."""
        yield from self._place.pages("events", {"after": after})

    # ---- steering ----

    def pause(self, *, requeue: bool = False) -> Study:
        """Starts no new trial; running ones go on, or with `requeue` are ended and queued again."""
        return self._verb("pause", query={"requeue": "true" if requeue else None})

    def resume(self) -> Study:
        return self._verb("resume")

    def cancel(self) -> Study:
        """Ends the study and its running trials."""
        return self._verb("cancel")

    def update(self, *, limits: Mapping[str, Any]) -> Study:
        """Changes limits while the study runs, such as trials or parallel."""
        self.raw = self._place.request("PATCH", body={"limits": dict(limits)}).json()
        return self

    def delete(self, *, force: bool = False) -> None:
        """Removes the study and its trials; with `force` also
        while it runs: as soon as its last process has ended."""
        self._place.request("DELETE", query={"force": "true" if force else None})

    def add(self, trials: Sequence[Mapping[str, Any]]) -> List[int]:
        """Adds trials, all or none; returns their numbers.

        {"parameters": {…}} is a point to be tried soon; with "state" and "metrics" too, it is a
        finished trial to learn from."""
        body = [dict(one) for one in trials]
        for one in body:
            if "metrics" in one:
                one["metrics"] = {name: encode_number(v) for name, v in one["metrics"].items()}
        answer = self._place.post("trials", body={"trials": body})
        return [one["number"] for one in answer["trials"]]

    # ---- ask and tell ----

    def ask(self, count: int = 1, *, client: Optional[str] = None) -> Suggestions:
        """Asks for parameter sets to try.  The list is shorter than `count`, or empty, when no
        more may be tried now.

        `client` names the asker: one that asks again under the same name, after a crash say, is
        first given the trials that it still holds.  Left out, every call has a name of its own."""
        name = client if client is not None else _client_name()
        answer = self._place.post("suggestions", body={"count": count, "client": name})
        pause_ms = answer.get("retry_after_ms")
        return Suggestions([self._trial(one) for one in answer["trials"]],
                           str(answer.get("study_state", "")), answer.get("reason"),
                           None if pause_ms is None else pause_ms / 1000)

    def optimize(self, function: Objective, n: Optional[int] = None, *, workers: int = 1,
                 client: Optional[str] = None) -> Optional[Best]:
        """Tries `n` parameter sets, or as many as the study allows; returns the best trial.

        `function(trial)` returns the objective's value, or a dictionary of metrics, or nothing if
        it reported them.  An exception makes the trial failed and the loop goes on; Infeasible
        makes it infeasible.  Leases are renewed meanwhile.  `workers` threads try at once.  With a
        `client` name, trials that a crashed process of that name held are taken up first."""
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        loop = _Loop(self, function, n)
        names = [client if workers == 1 or client is None else f"{client}-{i}"
                 for i in range(workers)]
        if workers == 1:
            loop.run(names[0])
            return self.best()
        with ThreadPoolExecutor(workers) as pool:
            running: List[Future[None]] = [pool.submit(loop.run, name) for name in names]
            try:
                while running:
                    done, rest = wait(running, return_when=FIRST_COMPLETED)
                    running = list(rest)
                    for one in done:
                        one.result()
            except BaseException:
                loop.stop()
                raise
        return self.best()

    # ---- for this package ----

    def _trial(self, data: Mapping[str, Any]) -> Trial:
        return Trial(self._place.below("trials", data["number"]), self.name, data)

    def _verb(self, verb: str, query: Optional[Mapping[str, Any]] = None) -> Study:
        self.raw = self._place.post(verb, query=query)
        return self

    def _objective_metric(self) -> str:
        return str(self.raw["objectives"][0]["metric"])


class _Loop:
    """Asks, calls, tells, from several threads until `n` trials have been taken."""

    def __init__(self, study: Study, function: Objective, n: Optional[int]) -> None:
        self._study = study
        self._function = function
        self._left = n
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self, client: Optional[str]) -> None:
        while not self._stopped.is_set() and self._claim():
            asked = self._study.ask(1, client=client)
            if asked:
                self._try(asked[0])
                continue
            self._unclaim()
            if asked.finished:
                return
            self._stopped.wait(asked.retry_after if asked.retry_after is not None else 1.0)

    def _claim(self) -> bool:
        with self._lock:
            if self._left is None:
                return True
            if self._left <= 0:
                return False
            self._left -= 1
            return True

    def _unclaim(self) -> None:
        with self._lock:
            if self._left is not None:
                self._left += 1

    def _try(self, trial: Trial) -> None:
        try:
            with heartbeats(trial):
                value = self._function(trial)
        except Infeasible as problem:
            trial.infeasible(str(problem))
        except Exception as problem:
            _LOG.warning("trial %d of study %s failed", trial.number, self._study.name,
                         exc_info=True)
            trial.fail(f"{type(problem).__name__}: {problem}")
        except BaseException as problem:  # Ctrl-C: let the trial end before the program does
            trial.fail(f"interrupted by {type(problem).__name__}")
            raise
        else:
            if value is None:
                trial.complete()
            elif isinstance(value, Mapping):
                trial.complete(value)
            else:
                trial.complete({self._study._objective_metric(): value})


def _client_name() -> str:
    host = re.sub(r"[^a-z0-9-]", "-", socket.gethostname().lower())[:30].strip("-") or "client"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
