"""One trial: the parameters to try, and telling how it went."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Mapping, Optional

from . import errors
from ._place import Place
from ._records import Measurement, StopDecision, TrialRecord
from ._values import Metrics, Number, encode_metrics

_HEARTBEAT_MIN_S, _HEARTBEAT_MAX_S = 1.0, 30.0


class Infeasible(Exception):
    """Raise it from the function given to Study.optimize(): these parameters can't be tried."""


class Trial:
    """A trial, either handed out by Study.ask() or looked up by Study.trial()."""

    def __init__(self, place: Place, study: str, data: Mapping[str, Any]) -> None:
        self._place = place
        self._study = study
        self.number: int = data["number"]
        self.parameters: Dict[str, Any] = dict(data.get("parameters") or {})
        self.budget: Optional[float] = data.get("budget")
        self.lease_expires: Optional[str] = data.get("lease_expires")
        self._decision = StopDecision(False)

    def __repr__(self) -> str:
        return f"<assay.Trial {self.number} of {self._study}: {self.parameters}>"

    # ---- telling ----

    def report(self, step: Optional[int] = None, metrics: Optional[Metrics] = None,
               **named: Number) -> StopDecision:
        """Reports metric values, as in report(step=3, loss=0.4); the answer tells whether to stop.

        `metrics` takes names that are no Python words.  `step` left out is the next one."""
        encoded = encode_metrics(metrics, named)
        return self.report_many([{"step": step, "metrics": encoded} if step is not None
                                 else {"metrics": encoded}])

    def report_many(self, measurements: List[Dict[str, Any]], *,
                    retry_for: Optional[float] = None) -> StopDecision:
        """Reports as JSON: [{"step": 3, "metrics": {"loss": 0.4}}, …].  An empty list only renews
        the lease.  `retry_for` is the client's if left out."""
        answer = self._place.post("measurements", body={"measurements": measurements},
                                  retry_for=retry_for)
        return self._decide(StopDecision.from_json(answer))

    def heartbeat(self) -> StopDecision:
        """Renews the lease of a trial that has nothing to report yet."""
        return self.report_many([])

    @property
    def should_stop(self) -> bool:
        """What the last report or heartbeat was answered."""
        return self._decision.stop

    def complete(self, metrics: Optional[Metrics] = None, **named: Number) -> TrialRecord:
        """The trial went well.  Metrics that were reported before need not be given again."""
        encoded = encode_metrics(metrics, named)
        return self._end({"state": "succeeded", **({"metrics": encoded} if encoded else {})})

    def fail(self, message: Optional[str] = None) -> TrialRecord:
        """The trial went wrong."""
        return self._end({"state": "failed", **({"message": message} if message else {})})

    def infeasible(self, message: Optional[str] = None) -> TrialRecord:
        """These parameters can't be tried."""
        return self._end({"state": "infeasible", **({"message": message} if message else {})})

    def _decide(self, decision: StopDecision) -> StopDecision:
        # Once told to stop, a late answer to an earlier report changes nothing.
        if decision.stop or not self._decision.stop:
            self._decision = decision
        return self._decision

    def _end(self, body: Dict[str, Any]) -> TrialRecord:
        try:
            return TrialRecord.from_json(self._place.post("complete", body=body))
        except errors.TrialFinishedError:
            if not self._decision.stop:
                raise
            return self.record()  # it had ended when it was told to stop

    # ---- looking ----

    def record(self) -> TrialRecord:
        """The trial as the server has it now."""
        return TrialRecord.from_json(self._place.get())

    def measurements(self, metric: Optional[str] = None) -> Iterator[Measurement]:
        """All that was reported, in the order of steps."""
        for one in self._place.pages("measurements", {"metric": metric}):
            yield Measurement.from_json(one)

    def logs(self, tail: Optional[int] = None) -> str:
        """What the trial's command has printed; `tail` only the last lines."""
        answer = self._place.request("GET", "logs", query={"tail": tail},
                                     headers={"Accept": "text/plain"})
        return answer.body.decode("utf-8", "replace")

    def stop(self) -> TrialRecord:
        """Stops it early; what it has measured counts."""
        return TrialRecord.from_json(self._place.post("stop"))


@contextlib.contextmanager
def heartbeats(trial: Trial) -> Iterator[None]:
    """Renews the trial's lease in the background."""
    ended = threading.Event()
    interval = _heartbeat_interval(trial.lease_expires)

    def beat() -> None:
        while not ended.wait(interval):
            try:
                trial.heartbeat()
            except errors.TemporaryError:
                continue
            except errors.Error:
                return  # the trial is no longer ours; telling its result will say why

    thread = threading.Thread(target=beat, name=f"assay-heartbeat-{trial.number}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(1.0)


def _heartbeat_interval(lease_expires: Optional[str]) -> float:
    if lease_expires is None:
        return _HEARTBEAT_MAX_S
    # Python before 3.11 reads neither Z nor fractions of other than 3 or 6 digits.
    end = datetime.strptime(lease_expires[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    left = (end - datetime.now(timezone.utc)).total_seconds()
    return min(max(left / 3, _HEARTBEAT_MIN_S), _HEARTBEAT_MAX_S)
