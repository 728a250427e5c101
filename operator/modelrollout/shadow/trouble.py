"""Why an answer cannot be compared: every cause has a class of its own, none is a "mismatch".

The core is fed by fronts; what a front alone can see (late, no answer at all) is classed here too,
so that one list names everything that is counted.
"""

from dataclasses import dataclass
from enum import StrEnum


class Trouble(StrEnum):
    """The class of an answer that holds no prediction."""

    UNPARSEABLE = "unparseable"
    """Not the format that was declared."""
    SCHEMA = "schema_mismatch"
    """The format, but not the declared shape: a path, a type, a tensor's size."""
    ERROR = "error"
    """The server says that it failed: by status, or by an error object in a good status."""
    TOO_LARGE = "too_large"
    """Above a bound of the reader, before or after unpacking."""
    ENCODING = "wrong_encoding"
    """A content encoding or charset that is not spoken here, or that the bytes do not have."""
    UTF8 = "invalid_utf8"
    """Text that is no UTF-8, lone surrogates in JSON included."""
    NAN = "nan"
    """A number is asked for, and NaN or an infinity was given."""
    TIMEOUT = "timeout"
    """No complete answer when the front stopped waiting. Seen by fronts alone."""
    LATE = "late"
    """Complete, but after the deadline. Seen by fronts alone."""
    UNREACHABLE = "unreachable"
    """No connection, or one that broke. Seen by fronts alone."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer's trouble.

    Attributes:
        kind: its class.
        detail: expected and seen, in a sentence. Never quotes the answer: it goes to logs.
    """

    kind: Trouble
    detail: str


class UnreadableError(ValueError):
    """How readers of the core leave early; the faces of the core turn it into a `Problem`."""

    def __init__(self, kind: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(kind, detail)
