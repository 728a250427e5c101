"""Evidence as plain JSON for status, and back without loss.

Field names are short because status is; numbers keep all their digits, because a look must give
the same result after a restart.
"""

from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from modelrollout.analysis.bets import Past
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.dispersion import NoiseSums
from modelrollout.analysis.rates import RateEvidence, Standardised
from modelrollout.analysis.ratio import RatioSums


class EvidenceError(ValueError):
    """Stored evidence cannot be read; starting anew is the remedy."""


def to_json(sums: RateEvidence) -> dict[str, Any]:
    """The sums as dictionaries, lists and numbers."""
    return {
        "kind": "rate",
        "information": sums.information,
        "usual": sums.usual,
        "looks": sums.looks,
        "candidate": list(astuple(sums.candidate)),
        "stable": list(astuple(sums.stable)),
        "share": sums.share,
        "tilt": sums.ratio.tilt,
        "table": list(sums.ratio.table),
        "standardised": list(astuple(sums.standardised)),
        "noise": list(astuple(sums.noise)),
        "fading": list(astuple(sums.fading)),
        "compared": list(astuple(sums.compared)),
        "within": list(sums.within),
        "beyond": [list(logs) for logs in sums.beyond],
    }


def from_json(stored: Mapping[str, Any]) -> RateEvidence:
    """The sums that `to_json` wrote. Raises EvidenceError."""
    try:
        return RateEvidence(
            information=float(stored["information"]),
            usual=None if stored["usual"] is None else float(stored["usual"]),
            looks=int(stored["looks"]),
            candidate=RateCounts(*stored["candidate"]),
            stable=RateCounts(*stored["stable"]),
            share=float(stored["share"]),
            ratio=RatioSums(int(stored["tilt"]), tuple(map(float, stored["table"]))),
            standardised=Standardised(*stored["standardised"]),
            noise=NoiseSums(*stored["noise"]),
            fading=Past(*stored["fading"]),
            compared=Past(*stored["compared"]),
            within=tuple(map(float, stored["within"])),
            beyond=tuple(tuple(map(float, logs)) for logs in stored["beyond"]),
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise EvidenceError(
            f"stored evidence is not readable ({problem!r}); it was edited or written by another "
            f"version: begin with fresh evidence"
        ) from problem
