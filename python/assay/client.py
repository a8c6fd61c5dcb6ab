"""The way in: a Client for one server, and from it the studies."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from ._place import Place
from ._transport import Query, Transport
from .errors import ConnectionFailedError, InvalidJsonError, InvalidStudyError
from .study import Study

StudyFile = Union[str, "os.PathLike[str]"]


class Client:
    """Talks to one Assay server.  Any number of threads may share it.

    Which server: `url` (and `token`); or the environment's ASSAY_URL and ASSAY_TOKEN; or the files
    `url` and `token` that a server wrote into its data directory: `data`, else ASSAY_DATA, else
    ${XDG_DATA_HOME:-~/.local/share}/assay.

    `timeout` is the time limit of one request in seconds.  Lost connections, and answers that say
    "later", are tried again for `retry_for` seconds before an error is raised."""

    def __init__(self, url: Optional[str] = None, token: Optional[str] = None,
                 project: str = "default", *, data: Optional[StudyFile] = None,
                 timeout: float = 30.0, retry_for: float = 60.0) -> None:
        self.url, found = _find_server(url, data)
        self.project = project
        self._transport = Transport(self.url, token if token is not None else found,
                                    timeout, retry_for)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes idle connections.  The client may be used again afterwards."""
        self._transport.close()

    def submit(self, study: Union[Mapping[str, Any], StudyFile], *,
               name: Optional[str] = None) -> Study:
        """Submits a study, given as a dictionary or as the path of a YAML or JSON file.

        Safe when the connection is lost halfway: the study is made once.  In a file, the
        directory of the trial's code is taken relative to the file.  Raises InvalidStudyError,
        whose `errors` name every fault, or StudyExistsError."""
        spec = self._read(study)
        if name is not None:
            spec["name"] = name
        return self._study(self._place.post("studies", body=spec))

    def validate(self, study: Union[Mapping[str, Any], StudyFile]) -> Dict[str, Any]:
        """Checks a study without making it; returns it as the server understands it."""
        return self._dry_run(self._read(study), "application/json")

    def study(self, name: str) -> Study:
        """A study that exists.  Raises NotFoundError."""
        return self._study(self._place.get("studies", name))

    def studies(self, *, state: Union[str, List[str], None] = None, prefix: Optional[str] = None,
                sort: Optional[str] = None) -> Iterator[Study]:
        """All studies of the project, page by page; `sort` is created_at, name, or one with a -."""
        query: Query = {"state": _joined(state), "name": prefix, "sort": sort}
        for one in self._place.pages("studies", query):
            yield self._study(one)

    def whoami(self) -> Dict[str, Any]:
        """The token's role and projects."""
        answer: Dict[str, Any] = self._transport.request("GET", "/v1/whoami").json()
        return answer

    def algorithms(self) -> List[Dict[str, Any]]:
        """The algorithms that can be named in a study, with the JSON Schema of their settings."""
        answer: List[Dict[str, Any]] = self._transport.request(
            "GET", "/v1/algorithms").json()["algorithms"]
        return answer

    def stopping_rules(self) -> List[Dict[str, Any]]:
        """Likewise the stopping rules."""
        answer: List[Dict[str, Any]] = self._transport.request(
            "GET", "/v1/stopping_rules").json()["stopping_rules"]
        return answer

    # ---- for this package ----

    @property
    def _place(self) -> Place:
        return Place(self._transport, "/v1/projects").below(self.project)

    def _study(self, data: Mapping[str, Any]) -> Study:
        return Study(self._place.below("studies", data["name"]), {"project": self.project, **data})

    def _dry_run(self, study: Union[Mapping[str, Any], bytes], kind: str) -> Dict[str, Any]:
        answer: Dict[str, Any] = self._place.request(
            "POST", "studies", query={"dry_run": "true"}, body=study,
            content_type=kind).json()["spec"]
        return answer

    def _read(self, study: Union[Mapping[str, Any], StudyFile]) -> Dict[str, Any]:
        """The study with the place of its code made absolute."""
        if isinstance(study, Mapping):
            return _placed(study, pathlib.Path.cwd())
        path = pathlib.Path(study)
        here = path.resolve().parent
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".json":
            try:
                spec = json.loads(text)
            except ValueError as problem:
                raise InvalidJsonError(f"{path}: {problem}") from None
            if not isinstance(spec, dict):
                raise InvalidStudyError(f"{path}: a study file is an object")
            return _placed(spec, here)
        # The server reads YAML, so that it means one thing whoever submits it.
        try:
            spec = self._dry_run(text.encode(), "application/yaml")
        except InvalidStudyError as error:
            changed = _placed_text(text, error, here)
            if changed is None:
                raise
            spec = self._dry_run(changed.encode(), "application/yaml")
        return _placed(spec, here)


def _placed_text(text: str, error: InvalidStudyError, here: pathlib.Path) -> Optional[str]:
    """The YAML text with its code's directory made absolute, if that is what the server refused,
    at the line that it named."""
    lines = text.splitlines(keepends=True)
    for fault in error.errors:
        if (fault.pointer == "/trial/code/directory" and isinstance(fault.found, str)
                and fault.line is not None and 1 <= fault.line <= len(lines)):
            absolute = json.dumps(os.path.normpath(here / fault.found), ensure_ascii=False)
            written = re.compile(r"""(\bdirectory["']?\s*:\s*)(["']?)%s\2(?=[\s,}]|$)"""
                                 % re.escape(fault.found))
            lines[fault.line - 1], count = written.subn(
                lambda match: str(match[1]) + absolute, lines[fault.line - 1], count=1)
            return "".join(lines) if count else None
    return None


def _placed(spec: Mapping[str, Any], here: pathlib.Path) -> Dict[str, Any]:
    """The study with its code's directory made absolute; without one, it is `here`.  On Kubernetes
    the code is elsewhere."""
    trial = spec.get("trial")
    if not isinstance(trial, Mapping) or trial.get("kubernetes") is not None:
        return dict(spec)
    code = trial.get("code")
    if not code:
        code = {"directory": str(here)}
    elif isinstance(code, Mapping) and isinstance(code.get("directory"), str):
        code = {**code, "directory": os.path.normpath(here / code["directory"])}
    return {**spec, "trial": {**trial, "code": code}}


def _joined(values: Union[str, List[str], None]) -> Optional[str]:
    return ",".join(values) if isinstance(values, list) else values


def _read_line(path: pathlib.Path) -> Optional[str]:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _find_server(url: Optional[str], data: Optional[StudyFile]) -> Tuple[str, Optional[str]]:
    """The address of the server and a token known for it, if there is one."""
    environment_url = os.environ.get("ASSAY_URL")
    if environment_url and (url == environment_url or (url is None and data is None)):
        return environment_url, os.environ.get("ASSAY_TOKEN")
    if data is not None:
        directory = pathlib.Path(data).expanduser()
    elif os.environ.get("ASSAY_DATA"):
        directory = pathlib.Path(os.environ["ASSAY_DATA"])
    else:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        directory = pathlib.Path(base, "assay")
    local_url = _read_line(directory / "url")
    if url is not None:
        if url == local_url:
            return url, _read_line(directory / "token")
        # A token of the environment that belongs to no other address is meant for this one.
        return url, None if environment_url else os.environ.get("ASSAY_TOKEN")
    if local_url is None:
        raise ConnectionFailedError(
            "no Assay server is known: give url=…, set ASSAY_URL and ASSAY_TOKEN, or start "
            f"assayd ({directory / 'url'} does not exist)")
    return local_url, _read_line(directory / "token")
