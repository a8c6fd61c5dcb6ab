"""Serve an algorithm of your own to Assay: `algorithm: {name: remote, settings: {url: …}}`.

    import assay.remote

    class Halving:
        def suggest(self, study, trials, n):
            best = study.best(trials)
            return [study.near(best.parameters, 0.1, study.random(k)) if best
                    else study.sample(study.random(k)) for k in range(n)]

    assay.remote.serve(Halving, port=8000)

One object of the class is made per study.  `suggest` gets the study, every trial told so far
(by number) and how many points are wanted, and returns up to as many dictionaries of
parameters; fewer mean "ask again when running trials have ended", Exhausted(points) means that
there are no more.  The same history must give the same answer: draw random numbers from
study.random(k), and keep nothing that could not be rebuilt from the trials.

The messages are described in docs/plugin-abi.md, "Remote algorithms".  Standard library only.
"""

from __future__ import annotations

import collections
import hmac
import http.server
import json
import math
import sys
import threading
import traceback
from random import Random
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ._values import decode_number

__all__ = ["Exhausted", "Server", "Study", "Trial", "serve"]

Parameters = Dict[str, Any]

BODY_BYTES_MAX = 64 << 20
STUDIES_MAX = 1000  # those not spoken of for longest are forgotten, and told again when needed


class Exhausted(List[Parameters]):
    """A list of points after which there are no others: the study ends when they are done."""


class Trial:
    """A trial as the algorithm is told of it."""

    number: int
    state: str
    """running (also queued, paused), succeeded, stopped, infeasible, failed or cancelled."""
    parameters: Parameters
    values: List[Optional[float]]
    """One per objective as measured; None where there is none. May be nan or infinite."""
    constraints: List[Optional[float]]
    forecast: Optional[float]
    """Of a stopped trial: what the first objective would probably have ended with; else None."""
    budget: Optional[float]
    steps: Optional[int]

    def __init__(self, data: Mapping[str, Any]):
        self.number = data["number"]
        self.state = data["state"]
        self.parameters = dict(data["parameters"])
        self.values = [decode_number(value) for value in data.get("values") or []]
        self.constraints = [decode_number(value) for value in data.get("constraints") or []]
        self.forecast = data.get("forecast")
        self.budget = data.get("budget")
        self.steps = data.get("steps")

    @property
    def value(self) -> Optional[float]:
        """The first objective as measured, or None."""
        return self.values[0] if self.values else None

    def __repr__(self) -> str:
        return f"Trial({self.number}, {self.state}, {self.parameters}, {self.values})"


def _active(parameter: Mapping[str, Any], point: Mapping[str, Any]) -> bool:
    for parent, wanted in (parameter.get("when") or {}).items():
        if parent not in point:
            return False
        if isinstance(wanted, Mapping):
            if not wanted.get("min", -math.inf) <= point[parent] <= wanted.get("max", math.inf):
                return False
        elif point[parent] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _parents_first(parameters: Sequence[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    placed: Dict[str, Mapping[str, Any]] = {}
    left = list(parameters)
    while left:
        ready = [p for p in left if all(parent in placed for parent in p.get("when") or {})]
        placed.update((p["name"], p) for p in ready)
        left = [p for p in left if p["name"] not in placed]
    return list(placed.values())


class _Scale:
    """The values of one parameter as numbers in [0, 1], on the parameter's own scale."""

    def __init__(self, parameter: Mapping[str, Any]):
        self.kind = parameter["type"]
        self.values: Optional[List[Any]] = parameter.get("values")
        if self.kind == "bool":
            self.values = [False, True]
        self.low, self.high = parameter.get("min", 0), parameter.get("max", 0)
        self.step = parameter.get("step")
        self.scale = parameter.get("scale", "linear")

    def _warp(self, value: float) -> float:
        if self.scale == "log":
            return math.log(value)
        if self.scale == "reverse_log":
            return -math.log(self.low + self.high - value)
        return value

    def value(self, unit: float) -> Any:
        unit = min(max(unit, 0.0), 1.0)
        if self.values is not None:
            return self.values[min(int(unit * len(self.values)), len(self.values) - 1)]
        a, b = self._warp(self.low), self._warp(self.high)
        x = (1 - unit) * a + unit * b
        if self.scale == "log":
            x = math.exp(x)
        elif self.scale == "reverse_log":
            x = self.low + self.high - math.exp(-x)
        if self.kind == "int":
            step = self.step or 1
            x = self.low + step * round((x - self.low) / step)
            return int(min(max(x, self.low), self.low + step * ((self.high - self.low) // step)))
        if self.step:
            last = math.floor((self.high - self.low) / self.step * (1 + 1e-12))
            x = self.low + self.step * min(max(round((x - self.low) / self.step), 0), last)
        return min(max(x, float(self.low)), float(self.high))

    def unit(self, value: Any) -> float:
        if self.values is not None:
            return (self.values.index(value) + 0.5) / len(self.values)
        a, b = self._warp(self.low), self._warp(self.high)
        return (self._warp(value) - a) / (b - a) if b > a else 0.5


class Study:
    """What the algorithm knows of the study, as in the study file."""

    name: str
    parameters: List[Dict[str, Any]]
    objectives: List[Dict[str, Any]]
    constraints: List[Dict[str, Any]]
    budget: Optional[Dict[str, Any]]
    limits: Dict[str, Any]
    seed: int
    options: Dict[str, Any]
    """`settings.options` of the study file."""
    sources: List[Dict[str, Any]]
    """Earlier studies to learn from: {"name", "trials"}."""
    numbers: List[int]
    """Numbers of the trials that are asked for."""

    def __init__(self, spec: Mapping[str, Any], sources: Sequence[Dict[str, Any]] = ()):
        self.name = spec.get("name", "")
        self.parameters = list(spec["parameters"])
        self.objectives = list(spec["objectives"])
        self.constraints = list(spec.get("constraints") or [])
        self.budget = spec.get("budget")
        self.limits = dict(spec.get("limits") or {})
        self.seed = spec.get("seed", 0)
        self.options = dict(spec.get("options") or {})
        self.sources = list(sources)
        self.numbers = []
        self._order = _parents_first(self.parameters)
        self._scales = {p["name"]: _Scale(p) for p in self.parameters}

    def random(self, k: int = 0) -> Random:
        """Random numbers for the k-th point asked for: by seed and trial number alone."""
        number = self.numbers[k] if k < len(self.numbers) else -k
        return Random(f"{self.seed}/{number}")

    def sample(self, rng: Random) -> Parameters:
        """A point of the space, each parameter uniform on its scale; conditions are kept."""
        point: Parameters = {}
        for parameter in self._order:
            unit = rng.random()
            if _active(parameter, point):
                point[parameter["name"]] = self._scales[parameter["name"]].value(unit)
        return point

    def near(self, point: Mapping[str, Any], width: float, rng: Random) -> Parameters:
        """A point near another one: numbers move by a normal of so much of their scale, choices
        change with that probability."""
        moved: Parameters = {}
        for parameter in self._order:
            name, scale = parameter["name"], self._scales[parameter["name"]]
            unit, step = rng.random(), rng.gauss(0.0, width)
            if not _active(parameter, moved):
                continue
            if name not in point:
                moved[name] = scale.value(unit)
            elif parameter["type"] in ("categorical", "bool"):
                moved[name] = scale.value(rng.random()) if unit < width else point[name]
            else:
                moved[name] = scale.value(scale.unit(point[name]) + step)
        return moved

    def best(self, trials: Sequence[Trial]) -> Optional[Trial]:
        """The trial with the best finite first objective, or None."""
        sign = -1.0 if self.objectives[0]["goal"] == "maximize" else 1.0
        best: Optional[Tuple[float, int, Trial]] = None
        for trial in trials:
            value = trial.value
            if trial.state in ("succeeded", "stopped") and value is not None and math.isfinite(value):
                if best is None or (sign * value, trial.number) < best[:2]:
                    best = (sign * value, trial.number, trial)
        return best[2] if best else None


class _Conversation:
    """One study as this server knows it."""

    def __init__(self, algorithm: Any, study: Study):
        self.algorithm, self.study = algorithm, study
        self.trials: Dict[int, Trial] = {}
        self.lock = threading.Lock()

    def tell(self, trials: Sequence[Mapping[str, Any]]) -> None:
        for data in trials:
            self.trials[data["number"]] = Trial(data)

    def ask(self, numbers: List[int]) -> Dict[str, Any]:
        self.study.numbers = list(numbers)
        trials = [self.trials[number] for number in sorted(self.trials)]
        points = self.algorithm.suggest(self.study, trials, len(numbers))
        if len(points) > len(numbers):
            raise ValueError(f"{len(points)} points for {len(numbers)} trials")
        return {"trials": [{"number": number, "parameters": dict(point)}
                           for number, point in zip(numbers, points)],
                "exhausted": isinstance(points, Exhausted)}


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code = status, code


class Server(http.server.ThreadingHTTPServer):
    """The HTTP server of one algorithm; serve_forever() and shutdown() are those of http.server."""

    daemon_threads = True

    def __init__(self, algorithm: Callable[[], Any], address: Tuple[str, int],
                 token: Optional[str] = None):
        self.algorithm, self.token = algorithm, token
        self._conversations: "collections.OrderedDict[str, _Conversation]" = collections.OrderedDict()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end early are nothing to speak of."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def answer(self, message: Mapping[str, Any]) -> Dict[str, Any]:
        """What one message is answered with."""
        op, study = message.get("op"), message.get("study")
        if not isinstance(study, str) or op not in ("open", "tell", "ask", "close"):
            raise _Refused(400, "bad_request", "op or study is missing")
        if op == "open":
            self._open(study, message)
            return {}
        with self._lock:
            conversation = self._conversations.get(study)
            if conversation is not None:
                self._conversations.move_to_end(study)
            if op == "close":
                self._conversations.pop(study, None)
                return {}
        if conversation is None:
            raise _Refused(404, "unknown_study", "this study is not open here")
        with conversation.lock:
            if op == "ask":
                return conversation.ask(message["numbers"])
            conversation.tell(message["trials"])
            return {}

    def _open(self, study: str, message: Mapping[str, Any]) -> None:
        fresh = _Conversation(self.algorithm(), Study(message["spec"], message.get("sources") or []))
        with self._lock:
            self._conversations[study] = fresh
            self._conversations.move_to_end(study)
            while len(self._conversations) > STUDIES_MAX:
                self._conversations.popitem(last=False)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        try:
            self._reply(200, self.server.answer(self._message()))
        except _Refused as error:
            self._reply(error.status, {"code": error.code, "message": str(error)})
        except Exception as error:
            traceback.print_exc()
            self._reply(500, {"code": "algorithm_failed",
                              "message": f"{type(error).__name__}: {error}"})

    def _message(self) -> Dict[str, Any]:
        length = int(self.headers.get("Content-Length") or -1)
        if not 0 <= length <= BODY_BYTES_MAX:
            self.close_connection = True
            raise _Refused(413, "too_large", f"a body needs a length of at most {BODY_BYTES_MAX}")
        body = self.rfile.read(length)
        given = (self.headers.get("Authorization") or "").encode()
        if self.server.token and not hmac.compare_digest(
                given, b"Bearer " + self.server.token.encode()):
            raise _Refused(401, "unauthorized", "the token is missing or wrong")
        # A page in a browser can not send this without asking first.
        if self.headers.get_content_type() != "application/json":
            raise _Refused(415, "unsupported_media_type", "send application/json")
        try:
            message = json.loads(body)
        except ValueError as error:
            raise _Refused(400, "invalid_json", str(error)) from None
        if not isinstance(message, dict):
            raise _Refused(400, "bad_request", "a message is an object")
        return message

    def _reply(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer, allow_nan=False, default=_plain).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not worth a line; faults are printed with their traceback."""


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):  # numpy's scalars
        return value.item()
    raise TypeError(f"{value!r} has no form in JSON")


def serve(algorithm: Callable[[], Any], port: int = 8000, host: str = "127.0.0.1",
          token: Optional[str] = None) -> None:
    """Serves the algorithm until interrupted.  Beyond loopback give a token, and TLS in front."""
    with Server(algorithm, (host, port), token) as server:
        print(f"serving {getattr(algorithm, '__name__', algorithm)} at {server.url}",
              file=sys.stderr, flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
