"""Everything that the service can refuse, as exceptions: one class for each error code.

    Error
      TemporaryError      ConnectionFailedError UnavailableError TooManyRequestsError TimedOutError
      BadRequestError     InvalidJsonError InvalidYamlError MethodNotAllowedError
                          NotAcceptableError TooLargeError UnsupportedMediaTypeError
      InvalidError        InvalidStudyError InvalidValueError
      AccessError         UnauthorizedError ForbiddenError
      NotFoundError
      ConflictError       StudyExistsError StudyFinishedError TrialFinishedError
                          IdempotencyMismatchError PreconditionFailedError
      InternalError       IoError PluginError
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Type


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was sent."""

    message: str
    pointer: str = ""  # JSON pointer into what was sent; "" is the whole
    line: Optional[int] = None  # of the YAML text
    found: Any = None
    allowed: Optional[str] = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        return cls(message=str(data.get("message", "")), pointer=str(data.get("pointer", "")),
                   line=data.get("line"), found=data.get("found"), allowed=data.get("allowed"))

    def __str__(self) -> str:
        text = self.pointer or "/"
        if self.line is not None:
            text += f" (line {self.line})"
        text += f": {self.message}"
        if self.found is not None:
            text += f"; found {self.found!r}"
        if self.allowed is not None:
            text += f"; allowed: {self.allowed}"
        return text


class Error(Exception):
    """Any failure of a call to Assay."""

    code = "error"

    def __init__(self, detail: str, *, code: Optional[str] = None, status: Optional[int] = None,
                 title: Optional[str] = None, errors: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.status = status  # of HTTP; None if no answer came
        self.title = title
        self.errors: List[Fault] = list(errors)

    def __str__(self) -> str:
        head = f"{self.detail} ({self.code})" if self.detail else (self.title or self.code)
        return "\n".join([head, *(f"  {fault}" for fault in self.errors)])


class TemporaryError(Error):
    """Trying again later may help; the client did so for as long as it was allowed to."""


class ConnectionFailedError(TemporaryError):
    code = "connection_failed"  # the one code that the service does not send


class UnavailableError(TemporaryError):
    code = "unavailable"


class TooManyRequestsError(TemporaryError):
    code = "too_many_requests"


class TimedOutError(TemporaryError):
    code = "timeout"


class BadRequestError(Error):
    code = "bad_request"


class InvalidJsonError(BadRequestError):
    code = "invalid_json"


class InvalidYamlError(BadRequestError):
    code = "invalid_yaml"


class MethodNotAllowedError(BadRequestError):
    code = "method_not_allowed"


class NotAcceptableError(BadRequestError):
    code = "not_acceptable"


class TooLargeError(BadRequestError):
    code = "too_large"


class UnsupportedMediaTypeError(BadRequestError):
    code = "unsupported_media_type"


class InvalidError(Error):
    """What was sent is well formed but not allowed; `errors` names every fault."""


class InvalidStudyError(InvalidError):
    code = "invalid_study"


class InvalidValueError(InvalidError):
    code = "invalid_value"


class AccessError(Error):
    """The token is missing, unknown or not good for this."""


class UnauthorizedError(AccessError):
    code = "unauthorized"


class ForbiddenError(AccessError):
    code = "forbidden"


class NotFoundError(Error):
    code = "not_found"


class ConflictError(Error):
    code = "conflict"


class StudyExistsError(ConflictError):
    code = "study_exists"


class StudyFinishedError(ConflictError):
    code = "study_finished"


class TrialFinishedError(ConflictError):
    code = "trial_finished"


class IdempotencyMismatchError(ConflictError):
    code = "idempotency_mismatch"


class PreconditionFailedError(ConflictError):
    code = "precondition_failed"


class InternalError(Error):
    code = "internal"


class IoError(InternalError):
    code = "io"


class PluginError(InternalError):
    code = "plugin"


def _all_classes(cls: Type[Error]) -> List[Type[Error]]:
    return [cls] + [deeper for sub in cls.__subclasses__() for deeper in _all_classes(sub)]


BY_CODE: Dict[str, Type[Error]] = {
    cls.code: cls for cls in _all_classes(Error) if "code" in vars(cls)}

# For answers that do not come from Assay itself, such as those of a proxy.
_BY_STATUS: Dict[int, Type[Error]] = {
    400: BadRequestError, 401: UnauthorizedError, 403: ForbiddenError, 404: NotFoundError,
    405: MethodNotAllowedError, 409: ConflictError, 413: TooLargeError,
    429: TooManyRequestsError, 502: UnavailableError, 503: UnavailableError, 504: TimedOutError}


def from_answer(status: int, problem: Mapping[str, Any], text: str) -> Error:
    """The exception for an HTTP answer; `problem` is empty when the body was no JSON object."""
    code = problem.get("code")
    cls = BY_CODE.get(str(code)) if code else None
    if cls is None:
        cls = _BY_STATUS.get(status, InternalError if status >= 500 else Error)
    faults = [Fault.from_json(one) for one in problem.get("errors") or [] if isinstance(one, dict)]
    detail = str(problem.get("detail") or problem.get("title") or text.strip()[:200]
                 or f"the answer was HTTP status {status}")
    return cls(detail, code=str(code) if code else None, status=status,
               title=problem.get("title"), errors=faults)
