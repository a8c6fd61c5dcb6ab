"""Values between Python and JSON."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, Mapping, Optional, SupportsFloat, SupportsIndex, Union

Number = Union[float, SupportsFloat, SupportsIndex]
Metrics = Mapping[str, Number]

_NON_FINITE = {"nan": math.nan, "+nan": math.nan, "-nan": math.nan,
               "inf": math.inf, "+inf": math.inf, "-inf": -math.inf,
               "infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf}


def encode_number(value: Number) -> Union[float, str]:
    """A JSON number, or the strings "nan", "inf", "-inf", which JSON has no numbers for."""
    number = float(value)
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return number


def decode_number(value: Any) -> Optional[float]:
    """The reverse of encode_number(); None stays None."""
    if value is None:
        return None
    if isinstance(value, str):
        word = value.strip().lower()
        return _NON_FINITE[word] if word in _NON_FINITE else float(word)
    return float(value)


def encode_metrics(metrics: Optional[Metrics], named: Metrics) -> Dict[str, Union[float, str]]:
    merged: Dict[str, Number] = {**(metrics or {}), **named}
    encoded: Dict[str, Union[float, str]] = {}
    for name, value in merged.items():
        try:
            encoded[name] = encode_number(value)
        except (TypeError, ValueError):
            raise TypeError(f"metric {name!r} must be a number, not {value!r}") from None
    return encoded


def decode_metrics(data: Optional[Mapping[str, Any]]) -> Dict[str, float]:
    decoded = {name: decode_number(value) for name, value in (data or {}).items()}
    return {name: value for name, value in decoded.items() if value is not None}


def _plain(value: Any) -> Any:
    # numpy's scalars and arrays, paths and the like
    for method in ("tolist", "item", "__fspath__"):
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"{value!r} has no form in JSON")


def to_json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, default=_plain, separators=(",", ":"),
                      ensure_ascii=False).encode()
