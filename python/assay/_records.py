"""What the service tells about trials, as plain typed records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ._values import decode_metrics, decode_number

FINAL_STUDY_STATES = frozenset({"succeeded", "failed", "cancelled"})
FINAL_TRIAL_STATES = frozenset({"succeeded", "stopped", "infeasible", "failed", "cancelled"})


@dataclass(frozen=True)
class Best:
    """The best trial so far."""

    number: int
    value: float
    metric: str
    goal: str  # "minimize" or "maximize"
    parameters: Dict[str, Any]
    metrics: Dict[str, float]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Best:
        return cls(number=data["number"], value=float(data["value"]), metric=data["metric"],
                   goal=data["goal"], parameters=dict(data["parameters"]),
                   metrics=decode_metrics(data.get("metrics")))


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it was when asked for; `raw` is the whole answer."""

    number: int
    state: str
    reason: Optional[str]
    message: Optional[str]
    parameters: Dict[str, Any]
    metrics: Dict[str, float]  # final values
    value: Optional[float]  # of the first objective
    budget: Optional[float]
    attempts: List[Dict[str, Any]]
    why: Dict[str, Any]  # what proposed it and, if so, what stopped it
    raw: Dict[str, Any] = field(repr=False)

    @property
    def finished(self) -> bool:
        return self.state in FINAL_TRIAL_STATES

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrialRecord:
        return cls(number=data["number"], state=str(data.get("state", "")),
                   reason=data.get("reason"), message=data.get("message"),
                   parameters=dict(data.get("parameters") or {}),
                   metrics=decode_metrics(data.get("metrics")),
                   value=decode_number(data.get("value")), budget=data.get("budget"),
                   attempts=list(data.get("attempts") or []), why=dict(data.get("why") or {}),
                   raw=dict(data))


@dataclass(frozen=True)
class Importance:
    """How much each parameter mattered."""

    parameters: Dict[str, float]  # the most important first; they sum to 1; {} if there is nothing
    interactions: Dict[Tuple[str, str], float]  # share of the whole variance; {} if not asked for
    explained: Optional[float]  # fanova: share that the parameters explain each for itself
    method: str
    metric: Optional[str]  # None: all objectives together
    trials: int  # the figures come from
    message: Optional[str]  # why there is nothing yet, or of what sample the figures are

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Importance:
        return cls(parameters={one["parameter"]: one["importance"] for one in data["importance"]},
                   interactions={(one["parameters"][0], one["parameters"][1]): one["importance"]
                                 for one in data["interactions"] or []},
                   explained=data["explained"], method=data["method"], metric=data["metric"],
                   trials=data["trials"], message=data["message"])


@dataclass(frozen=True)
class Ahead:
    """What is expected of so many more trials."""

    trials: int
    value: Optional[float]  # the best by then; None with several objectives
    probability: float  # of any improvement


@dataclass(frozen=True)
class Advice:
    """Whether going on is worth it."""

    advice: str  # "too_early", "go_on" or "consider_stopping"
    sentence: str
    metric: Optional[str]  # None with several objectives, and then no values either
    trials: int  # with a value
    stagnation: int  # of them since the best one
    best: Optional[float]
    expected_improvement: Optional[float]  # of the next trial
    probability_of_improvement: Optional[float]  # of the next trial
    expected_best_after: List[Ahead]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Advice:
        return cls(advice=data["advice"], sentence=data["sentence"], metric=data["metric"],
                   trials=data["trials"], stagnation=data["stagnation"], best=data["best"],
                   expected_improvement=data["expected_improvement"],
                   probability_of_improvement=data["probability_of_improvement"],
                   expected_best_after=[Ahead(one["trials"], one["value"], one["probability"])
                                        for one in data["expected_best_after"] or []])


@dataclass(frozen=True)
class Measurement:
    """Metric values at a step."""

    step: int
    metrics: Dict[str, float]
    time: Optional[str] = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        return cls(step=data["step"], metrics=decode_metrics(data.get("metrics")),
                   time=data.get("time"))


@dataclass(frozen=True)
class StopDecision:
    """The answer to a report.  True where a condition is expected if the trial should stop."""

    stop: bool
    reason: Optional[str] = None
    message: Optional[str] = None

    def __bool__(self) -> bool:
        return self.stop

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StopDecision:
        return cls(bool(data.get("stop")), data.get("reason"), data.get("message"))
