"""HTTP for the client: kept-alive connections, time limits, retries, errors as exceptions."""

from __future__ import annotations

import http.client
import json
import os
import random
import ssl
import threading
import time
import urllib.parse
import uuid
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from . import errors
from ._values import to_json

_RETRY_STATUS = frozenset({429, 502, 503, 504})
_BACK_OFF_FIRST_S = 0.1
_BACK_OFF_MAX_S = 5.0
_IDLE_CONNECTIONS_MAX = 16

# TimeoutError, refused and reset connections, and failed name look-ups are OSErrors.
_CONNECTION_TROUBLE = (OSError, http.client.HTTPException)

Query = Mapping[str, Union[str, int, None]]


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body) if self.body else None
        except ValueError as problem:
            raise errors.InternalError(
                f"the answer is not valid JSON: {problem}", status=self.status) from None


class Transport:
    """Requests to one server.  Any number of threads may use it, also after a fork."""

    def __init__(self, url: str, token: Optional[str], timeout: float, retry_for: float,
                 sleep: Callable[[float], None] = time.sleep) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address")
        self._https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._retry_for = retry_for
        self._sleep = sleep
        # ASSAY_CA_FILE: authorities instead of the system's, as a pod's are told to a trial.
        self._tls = (ssl.create_default_context(cafile=os.environ.get("ASSAY_CA_FILE") or None)
                     if self._https else None)
        self._lock = threading.Lock()
        self._idle: List[http.client.HTTPConnection] = []
        self._pid = os.getpid()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def request(self, method: str, path: str, *, query: Optional[Query] = None, body: Any = None,
                content_type: str = "application/json",
                headers: Optional[Mapping[str, str]] = None, wait: float = 0,
                retry_for: Optional[float] = None) -> Answer:
        """Sends a request and returns the answer, or raises errors.Error.

        `body` is sent as JSON unless it is bytes already.  `wait` is how long the server was asked
        to hold the answer back, in seconds.  What can pass is tried again for `retry_for` seconds.
        A POST carries an Idempotency-Key, the same in each try, so that it is done once."""
        target = self._prefix + path
        values = {name: str(value) for name, value in (query or {}).items() if value is not None}
        if values:
            target += "?" + urllib.parse.urlencode(values)
        sent = {"Accept": "application/json", "User-Agent": "assay-python/0.1"}
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        if method == "POST":
            sent["Idempotency-Key"] = uuid.uuid4().hex
        data: Optional[bytes] = None
        if body is not None:
            data = body if isinstance(body, bytes) else to_json(body)
            sent["Content-Type"] = content_type
        sent.update(headers or {})

        deadline = time.monotonic() + (self._retry_for if retry_for is None else retry_for)
        attempt = 0
        while True:
            retry_after: Optional[float] = None
            try:
                answer = self._exchange(method, target, sent, data, self._timeout + wait)
            except _CONNECTION_TROUBLE as problem:
                failure: errors.Error = errors.ConnectionFailedError(
                    f"no answer from {self._host}:{self._port or ''} to {method} {path}: "
                    f"{str(problem) or type(problem).__name__}")
                failure.__cause__ = problem
            else:
                if answer.status < 400:
                    return answer
                failure = _failure(answer)
                if answer.status not in _RETRY_STATUS:
                    raise failure
                retry_after = _retry_after(answer)
            # Full jitter: many workers that lost the same server do not return all at once.
            pause = random.uniform(0, min(_BACK_OFF_MAX_S, _BACK_OFF_FIRST_S * 2 ** attempt))
            if retry_after is not None:
                pause += retry_after
            if time.monotonic() + pause > deadline:
                raise failure
            self._sleep(pause)
            attempt = min(attempt + 1, 16)

    def _exchange(self, method: str, target: str, headers: Dict[str, str],
                  body: Optional[bytes], timeout: float) -> Answer:
        while True:
            connection, reused = self._take(timeout)
            try:
                connection.request(method, target, body=body, headers=headers)
                response = connection.getresponse()
                content = response.read()
            except (ConnectionError, http.client.BadStatusLine):
                connection.close()
                if reused:  # the server had closed the idle connection: no sign of trouble
                    continue
                raise
            except BaseException:
                connection.close()
                raise
            if response.will_close:
                connection.close()
            else:
                self._give(connection)
            return Answer(response.status,
                          {name.lower(): value for name, value in response.getheaders()}, content)

    def _take(self, timeout: float) -> Tuple[http.client.HTTPConnection, bool]:
        """A connection and whether it was used before."""
        with self._lock:
            if self._pid != os.getpid():  # the parent process goes on using its own
                for one in self._idle:
                    one.close()
                self._idle, self._pid = [], os.getpid()
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            connection.timeout = timeout
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            return connection, True
        if self._https:
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout,
                                               context=self._tls), False
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout), False

    def _give(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if self._pid == os.getpid() and len(self._idle) < _IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
                return
        connection.close()


def _failure(answer: Answer) -> errors.Error:
    text = answer.body.decode("utf-8", "replace")
    try:
        problem = json.loads(text)
    except ValueError:
        problem = None
    return errors.from_answer(answer.status, problem if isinstance(problem, dict) else {}, text)


def _retry_after(answer: Answer) -> Optional[float]:
    """The header's seconds; its other form, a date, is no better than the usual pause."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), 60.0) if text.isdigit() else None
