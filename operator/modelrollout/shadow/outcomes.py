"""How one shadowed request ended: each way a value of its own, none folded into "mismatch".

The core is fed by fronts.
"""

from enum import StrEnum
from typing import assert_never

from modelrollout.shadow import trouble

Kind = trouble.Trouble


class Outcome(StrEnum):
    """Of one request that was sent to the shadow."""

    BOTH_OK = "both_ok"
    PRIMARY_ERROR = "primary_error"
    PRIMARY_UNREADABLE = "primary_unreadable"
    """What users got cannot be read: the declared protocol, path or task is wrong."""
    BOTH_ERROR = "both_error"
    BOTH_NAN = "both_nan"
    CANDIDATE_ERROR = "candidate_error"
    CANDIDATE_TIMEOUT = "candidate_timeout"
    CANDIDATE_LATE = "candidate_late"
    CANDIDATE_UNPARSEABLE = "candidate_unparseable"
    CANDIDATE_TOO_LARGE = "candidate_too_large"
    CANDIDATE_WRONG_ENCODING = "candidate_wrong_encoding"
    CANDIDATE_INVALID_UTF8 = "candidate_invalid_utf8"
    CANDIDATE_NAN = "candidate_nan"
    SCHEMA_MISMATCH = "schema_mismatch"


_FAILED = (Kind.ERROR, Kind.TIMEOUT, Kind.LATE, Kind.UNREACHABLE)


def of(*, primary: trouble.Trouble | None, candidate: trouble.Trouble | None) -> Outcome:
    """The outcome by what is wrong on each side; None is nothing."""
    if primary is None:
        return Outcome.BOTH_OK if candidate is None else of_candidate(candidate)
    if primary is Kind.NAN and candidate is Kind.NAN:
        return Outcome.BOTH_NAN
    if primary not in _FAILED:
        return Outcome.PRIMARY_UNREADABLE
    return Outcome.BOTH_ERROR if candidate in _FAILED else Outcome.PRIMARY_ERROR


def of_candidate(kind: trouble.Trouble) -> Outcome:
    """The outcome where the primary is fine."""
    match kind:
        case Kind.ERROR | Kind.UNREACHABLE:
            return Outcome.CANDIDATE_ERROR
        case Kind.TIMEOUT:
            return Outcome.CANDIDATE_TIMEOUT
        case Kind.LATE:
            return Outcome.CANDIDATE_LATE
        case Kind.UNPARSEABLE:
            return Outcome.CANDIDATE_UNPARSEABLE
        case Kind.TOO_LARGE:
            return Outcome.CANDIDATE_TOO_LARGE
        case Kind.ENCODING:
            return Outcome.CANDIDATE_WRONG_ENCODING
        case Kind.UTF8:
            return Outcome.CANDIDATE_INVALID_UTF8
        case Kind.NAN:
            return Outcome.CANDIDATE_NAN
        case Kind.SCHEMA:
            return Outcome.SCHEMA_MISMATCH
        case _:
            assert_never(kind)
