"""The small values of the resource: durations, weights and percentages.

Users write them as people do (`5m`, `25`, `"0.1%"`); inside the package they are numbers with one
unit each: seconds, parts of ten thousand, ratios. They are parsed here once, at the door.
"""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

PARTS: Final = 10_000
"""A whole route in parts: the unit of every weight inside the package (0.01 %)."""

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = r"^([0-9]{1,5}(ms|s|m|h|d)){1,4}$"
_WEIGHT: Final = r"^(100|[0-9]{1,2}(\.[0-9]{1,2})?)%$"
_PERCENT: Final = r"^[0-9]{1,4}(\.[0-9]{1,3})?%$"
NAME: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""A DNS label, as Kubernetes names are."""


def seconds(text: object) -> float:
    """Seconds of a duration such as `30s`, `1h30m` or `2d`.

    Raises:
        ValueError: when the text is not a duration.
    """
    if isinstance(text, bool) or not isinstance(text, int | float | str):
        # TRY004: pydantic turns a ValueError into its own error, and no other.
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, saw {text!r}")  # noqa: TRY004
    if isinstance(text, int | float):
        return float(text)
    if not re.fullmatch(_DURATION, text):
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, saw {text!r}")
    parts = re.findall(r"([0-9]+)(ms|s|m|h|d)", text)
    return sum(int(number) * _UNITS_S[unit] for number, unit in parts)


def duration(length_s: float) -> str:
    """A duration in the words of the resource: 90.0 -> `1m30s`, rounded to whole milliseconds."""
    if 0 < length_s < 1:
        return f"{round(length_s * 1000)}ms"
    left, words = round(length_s), ""
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS_S[unit]))
        words += f"{count}{unit}" if count else ""
    return words or "0s"


def parts(weight: object) -> int:
    """Parts of ten thousand of a weight such as 25 or `"0.1%"`.

    Raises:
        ValueError: when it is not a percentage from 0 to 100 with at most two decimals.
    """
    if isinstance(weight, int) and not isinstance(weight, bool) and 0 <= weight <= 100:  # noqa: PLR2004
        return weight * 100
    if isinstance(weight, str) and re.fullmatch(_WEIGHT, weight):
        return round(float(weight[:-1]) * 100)
    raise ValueError(f'expected a weight such as 25 or "0.1%", saw {weight!r}')


def percent(share: int) -> str:
    """A share in parts of ten thousand, as people read it: 2500 -> `25%`, 10 -> `0.1%`."""
    return f"{share / 100:.2f}".rstrip("0").rstrip(".") + "%"


def ratio(text: object) -> float:
    """The ratio of a percentage: `"50%"` -> 0.5.

    Raises:
        ValueError: when it is not a percentage.
    """
    if isinstance(text, str) and re.fullmatch(_PERCENT, text):
        return float(text[:-1]) / 100
    raise ValueError(f'expected a percentage such as "50%", saw {text!r}')


def _weight_as_written(share: int) -> int | str:
    return share // 100 if share % 100 == 0 else percent(share)


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION, "maxLength": 24}),
]
"""Seconds; written as `30s`, `5m`, `1h30m`, `2d`."""

Weight = Annotated[
    int,
    BeforeValidator(parts),
    PlainSerializer(_weight_as_written),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": _WEIGHT,
            "maxLength": 8,
            "minimum": 0,
            "maximum": 100,
        }
    ),
]
"""Parts of ten thousand; written as whole percent or like `"0.1%"`."""

Percent = Annotated[
    float,
    BeforeValidator(ratio),
    PlainSerializer(lambda value: f"{value * 100:g}%"),
    WithJsonSchema({"type": "string", "pattern": _PERCENT, "maxLength": 10}),
]
"""A ratio; written as `"50%"`."""
