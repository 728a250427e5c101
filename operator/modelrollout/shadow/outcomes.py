"""How one shadowed request ended: each way a value of its own, none folded into "mismatch".

The core is fed by fronts.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

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


OF_CANDIDATE: Mapping[trouble.Trouble, Outcome] = MappingProxyType(
    {
        Kind.ERROR: Outcome.CANDIDATE_ERROR,
        Kind.UNREACHABLE: Outcome.CANDIDATE_ERROR,
        Kind.TIMEOUT: Outcome.CANDIDATE_TIMEOUT,
        Kind.LATE: Outcome.CANDIDATE_LATE,
        Kind.UNPARSEABLE: Outcome.CANDIDATE_UNPARSEABLE,
        Kind.TOO_LARGE: Outcome.CANDIDATE_TOO_LARGE,
        Kind.ENCODING: Outcome.CANDIDATE_WRONG_ENCODING,
        Kind.UTF8: Outcome.CANDIDATE_INVALID_UTF8,
        Kind.NAN: Outcome.CANDIDATE_NAN,
        Kind.SCHEMA: Outcome.SCHEMA_MISMATCH,
    }
)
"""Where the primary is fine; every class of trouble has its row."""
_FAILED = (Kind.ERROR, Kind.TIMEOUT, Kind.LATE, Kind.UNREACHABLE)


def of(*, primary: trouble.Trouble | None, candidate: trouble.Trouble | None) -> Outcome:
    """The outcome by what is wrong on each side; None is nothing."""
    if primary is None:
        return Outcome.BOTH_OK if candidate is None else OF_CANDIDATE[candidate]
    if primary is Kind.NAN and candidate is Kind.NAN:
        return Outcome.BOTH_NAN
    if primary not in _FAILED:
        return Outcome.PRIMARY_UNREADABLE
    return Outcome.BOTH_ERROR if candidate in _FAILED else Outcome.PRIMARY_ERROR
