"""A tiny HTTP server whose answers a test writes down beforehand."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Tuple, Type, Union


@dataclass
class Request:
    method: str
    path: str  # with the query
    headers: Dict[str, str]  # names in lower case
    body: bytes
    connection: int  # which of the client's connections, from 0

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    body: Any = field(default_factory=dict)  # bytes are sent as they are, the rest as JSON
    status: int = 200
    headers: Dict[str, str] = field(default_factory=dict)
    drop: bool = False  # close the connection instead of answering
    then_close: bool = False  # answer, then close the connection without having said so


Script = Union[Reply, Callable[[Request], Reply]]


class FakeServer:
    """Gives the replies in turn, the last one again and again.  Use it in a with statement."""

    def __init__(self, *script: Script) -> None:
        self.script: List[Script] = list(script)
        self.requests: List[Request] = []
        self._connections: List[Tuple[str, int]] = []
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                with fake._lock:
                    if self.client_address not in fake._connections:
                        fake._connections.append(self.client_address)
                    request = Request(self.command, self.path, headers, self.rfile.read(length),
                                      fake._connections.index(self.client_address))
                    fake.requests.append(request)
                    step = fake.script[0] if len(fake.script) == 1 else fake.script.pop(0)
                reply = step if isinstance(step, Reply) else step(request)
                if reply.drop:
                    self._cut()
                    return
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(
                    reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                if reply.then_close:
                    self._cut()

            def _cut(self) -> None:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> FakeServer:
        self._thread.start()
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def connections(self) -> int:
        return len(self._connections)


def problem(code: str, status: int, detail: str = "", errors: Optional[List[Any]] = None,
            **headers: str) -> Reply:
    """A problem+json answer."""
    return Reply({"type": "about:blank", "title": code, "status": status, "code": code,
                  "detail": detail, "errors": errors or []}, status,
                 {"Content-Type": "application/problem+json",
                  **{name.replace("_", "-"): value for name, value in headers.items()}})
