"""A place on the server, such as a project, a study or a trial, and asking there."""

from __future__ import annotations

import urllib.parse
from typing import Any, Dict, Iterator, Mapping, Optional, Union

from ._transport import Answer, Query, Transport

Part = Union[str, int]


class Place:
    """What stands at a path and below it; each `parts` is the way on from here."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self._path = path

    def below(self, *parts: Part) -> Place:
        return Place(self._transport, "/".join(
            [self._path, *(urllib.parse.quote(str(part), safe="") for part in parts)]))

    def request(self, method: str, *parts: Part, query: Optional[Query] = None, body: Any = None,
                content_type: str = "application/json",
                headers: Optional[Mapping[str, str]] = None, wait: float = 0,
                retry_for: Optional[float] = None) -> Answer:
        """As Transport.request."""
        return self._transport.request(
            method, self.below(*parts)._path, query=query, body=body, content_type=content_type,
            headers=headers, wait=wait, retry_for=retry_for)

    def get(self, *parts: Part, query: Optional[Query] = None) -> Dict[str, Any]:
        answer: Dict[str, Any] = self.request("GET", *parts, query=query).json()
        return answer

    def post(self, *parts: Part, body: Any = None, query: Optional[Query] = None,
             retry_for: Optional[float] = None) -> Dict[str, Any]:
        answer: Dict[str, Any] = self.request(
            "POST", *parts, body=body, query=query, retry_for=retry_for).json()
        return answer

    def pages(self, key: str, query: Query) -> Iterator[Dict[str, Any]]:
        """The list right below that is called `key`, page by page."""
        page: Optional[str] = None
        while True:
            answer = self.get(key, query={**query, "page_token": page})
            yield from answer[key]
            page = answer.get("next_page_token")
            if not page:
                return
