"""For training code: what the trial that this process belongs to is given, and reporting from it.

Started by Assay, these functions use the environment of the trial.  Started by hand they do
something sensible: parameters are the defaults, reports are printed."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import pathlib
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Dict, List, Mapping, Optional, Union

from . import errors
from ._records import StopDecision
from ._values import Metrics, Number, encode_metrics
from .client import Client
from .trial import Trial

_PENDING_MAX = 10_000  # measurements in one request
_TIMEOUT_S = 10.0
_RETRY_FOR_S = 10.0  # how long training may be held up the first time
_SILENCE_S = 5.0  # then it isn't tried again for so long


def in_trial() -> bool:
    """Was this process started for a trial?"""
    return bool(os.environ.get("ASSAY_TRIAL"))


def parameters(defaults: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
    """The trial's parameters; `defaults` stand in for those that do not apply, and for all of
    them outside of a trial."""
    found: Dict[str, Any] = dict(defaults or {})
    text = os.environ.get("ASSAY_PARAMETERS")
    path = os.environ.get("ASSAY_PARAMETERS_FILE")
    if text:
        found.update(json.loads(text))
    elif path:
        found.update(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
    return found


def budget(default: Union[int, float, None] = None) -> Union[int, float, None]:
    """How long to train, in the unit of the study's budget (epochs, say), counted from the very
    beginning; `default` if nothing limits it."""
    text = os.environ.get("ASSAY_BUDGET")
    if not text:
        return default
    value = float(text)
    return int(value) if value == math.floor(value) and math.isfinite(value) else value


def checkpoint_dir(default: Union[str, "os.PathLike[str]"] = "checkpoints") -> pathlib.Path:
    """Where to save what a later attempt of this trial goes on from; exists when returned."""
    return _directory("ASSAY_CHECKPOINT_DIR", default)


def output_dir(default: Union[str, "os.PathLike[str]"] = "output") -> pathlib.Path:
    """Where to put what the trial makes, such as the model; exists when returned."""
    return _directory("ASSAY_OUTPUT_DIR", default)


def _directory(variable: str, default: Union[str, "os.PathLike[str]"]) -> pathlib.Path:
    path = pathlib.Path(os.environ.get(variable) or default)
    path.mkdir(parents=True, exist_ok=True)
    return path


def report(step: Optional[int] = None, metrics: Optional[Metrics] = None,
           **named: Number) -> StopDecision:
    """Reports metric values, as in report(step=3, loss=0.4); the answer tells whether to stop.

    Outside of a trial, or one without a server to report to, it prints `step=3 loss=0.4`.  While
    the server does not answer, training goes on: the values are kept and sent with the next."""
    return _reporter.report(step, encode_metrics(metrics, named))


def should_stop() -> bool:
    """Should this trial end now?  True once a report was answered so or, in a trial, SIGTERM came.

    The first call in a trial takes over SIGTERM, unless the program handles it itself: from then
    on, ending in time is up to the program."""
    return _reporter.should_stop()


class _Reporter:
    """The process's one way of reporting; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: Optional[Client] = None
        self._trial: Optional[Trial] = None
        self._pending: List[Dict[str, Any]] = []
        self._silent_until = 0.0  # monotonic; not 0 while the server does not answer
        self._decision = StopDecision(False)
        self._terminated = False
        self._listening = False

    def report(self, step: Optional[int], metrics: Mapping[str, Any]) -> StopDecision:
        with self._lock:
            trial = self._find_trial()
            if trial is None:
                _print(step, metrics)
                return self._decision
            self._pending.append({"metrics": dict(metrics)} if step is None
                                 else {"step": step, "metrics": dict(metrics)})
            del self._pending[:-_PENDING_MAX]
            if time.monotonic() >= self._silent_until:
                self._send(trial)
            return self._decision

    def finish(self) -> None:
        """A last try for what is still kept; printed if that fails too."""
        with self._lock:
            if self._pending and self._trial is not None:
                with contextlib.suppress(errors.Error):
                    self._send(self._trial)
            for one in self._pending:
                _print(one.get("step"), one["metrics"])
            self._pending.clear()
            if self._client is not None:
                self._client.close()

    def _send(self, trial: Trial) -> None:
        try:
            self._decision = trial.report_many(
                self._pending, retry_for=0.0 if self._silent_until else _RETRY_FOR_S)
        except errors.TemporaryError as problem:
            if not self._silent_until:
                print(f"assay: reporting is delayed: {problem}", file=sys.stderr, flush=True)
            self._silent_until = time.monotonic() + _SILENCE_S
            return
        except errors.ConflictError as problem:  # the trial has ended without this process
            self._decision = StopDecision(True, problem.code, problem.detail)
        self._pending.clear()
        self._silent_until = 0.0

    def should_stop(self) -> bool:
        if in_trial() and not self._listening:
            self._listening = True
            if (threading.current_thread() is threading.main_thread()
                    and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL):
                signal.signal(signal.SIGTERM, self._note_signal)
        return self._terminated or self._decision.stop

    def _note_signal(self, number: int, frame: Optional[FrameType]) -> None:
        self._terminated = True

    def _find_trial(self) -> Optional[Trial]:
        if self._trial is None and in_trial() and os.environ.get("ASSAY_URL"):
            self._client = Client(project=os.environ.get("ASSAY_PROJECT") or "default",
                                  timeout=_TIMEOUT_S, retry_for=_RETRY_FOR_S)
            study, number = os.environ["ASSAY_STUDY"], int(os.environ["ASSAY_TRIAL"])
            self._trial = Trial(self._client._place.below("studies", study, "trials", number),
                                study, {"number": number})
        return self._trial


def _print(step: Optional[int], metrics: Mapping[str, Any]) -> None:
    words = ([f"step={step}"] if step is not None else []) + [
        f"{name}={value}" for name, value in metrics.items()]
    print(" ".join(words), flush=True)


_reporter = _Reporter()
atexit.register(_reporter.finish)
