"""The way in: a Client for one server, and from it the studies."""

from __future__ import annotations

import os
import pathlib
import urllib.parse
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from ._transport import Query, Transport
from .errors import ConnectionFailedError
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
        return self._study(self._transport.request(
            "POST", self._path("studies"), body=self._read(study, name)).json())

    def validate(self, study: Union[Mapping[str, Any], StudyFile]) -> Dict[str, Any]:
        """Checks a study without making it; returns it as the server understands it."""
        if isinstance(study, Mapping):
            return self._validate(study, "application/json")
        path = pathlib.Path(study)
        return self._validate(path.read_bytes(), _content_type(path))

    def study(self, name: str) -> Study:
        """A study that exists.  Raises NotFoundError."""
        return self._study(self._transport.request("GET", self._path("studies", name)).json())

    def studies(self, *, state: Union[str, List[str], None] = None, prefix: Optional[str] = None,
                sort: Optional[str] = None) -> Iterator[Study]:
        """All studies of the project, page by page; `sort` is created_at, name, or one with a -."""
        query: Query = {"state": _joined(state), "name": prefix, "sort": sort}
        for one in self._pages(self._path("studies"), "studies", query):
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

    def _study(self, data: Mapping[str, Any]) -> Study:
        return Study(self, data)

    def _path(self, *parts: Union[str, int]) -> str:
        return "/".join([f"/v1/projects/{urllib.parse.quote(self.project, safe='')}",
                         *(urllib.parse.quote(str(part), safe="") for part in parts)])

    def _pages(self, path: str, key: str, query: Query) -> Iterator[Dict[str, Any]]:
        page: Optional[str] = None
        while True:
            answer = self._transport.request(
                "GET", path, query={**query, "page_token": page}).json()
            yield from answer[key]
            page = answer.get("next_page_token")
            if not page:
                return

    def _validate(self, study: Union[Mapping[str, Any], bytes], kind: str) -> Dict[str, Any]:
        answer: Dict[str, Any] = self._transport.request(
            "POST", self._path("studies"), query={"dry_run": "true"}, body=study,
            content_type=kind).json()["spec"]
        return answer

    def _read(self, study: Union[Mapping[str, Any], StudyFile], name: Optional[str],
              ) -> Dict[str, Any]:
        if isinstance(study, Mapping):
            spec = _placed(study, pathlib.Path.cwd())
        else:
            # The server reads the file, so that YAML means one thing whoever submits it.
            spec = _placed(self.validate(study), pathlib.Path(study).resolve().parent)
        if name is not None:
            spec["name"] = name
        return spec


def _placed(spec: Mapping[str, Any], here: pathlib.Path) -> Dict[str, Any]:
    """The study with its code's directory made absolute; without one, it is `here`.  On Kubernetes
    the code is elsewhere."""
    trial = spec.get("trial")
    if not isinstance(trial, Mapping) or trial.get("kubernetes") is not None:
        return dict(spec)
    code = trial.get("code")
    if code is None:
        code = {"directory": str(here)}
    elif isinstance(code, Mapping) and isinstance(code.get("directory"), str):
        code = {**code, "directory": os.path.normpath(here / code["directory"])}
    return {**spec, "trial": {**trial, "code": code}}


def _joined(values: Union[str, List[str], None]) -> Optional[str]:
    return ",".join(values) if isinstance(values, list) else values


def _content_type(path: pathlib.Path) -> str:
    return "application/json" if path.suffix.lower() == ".json" else "application/yaml"


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
