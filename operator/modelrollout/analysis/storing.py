"""Evidence as plain JSON for status, and back without loss.

Field names are short because status is; numbers keep all their digits, because a look must give
the same result after a restart.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from modelrollout.analysis.bets import Past
from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.analysis.dispersion import NoiseSums
from modelrollout.analysis.means import MeanEvidence, Moments, Spread
from modelrollout.analysis.questions import Kind
from modelrollout.analysis.rates import RateEvidence, Standardised
from modelrollout.analysis.ratio import RatioSums
from modelrollout.analysis.spending import Spent


class EvidenceError(ValueError):
    """Stored evidence cannot be read; starting anew is the remedy."""


def to_json(sums: RateEvidence | MeanEvidence) -> dict[str, Any]:
    """The sums as dictionaries, lists and numbers."""
    match sums:
        case RateEvidence():
            return _rate_to_json(sums)
        case MeanEvidence():
            return _mean_to_json(sums)
        case _:
            assert_never(sums)


def from_json(stored: Mapping[str, Any]) -> RateEvidence | MeanEvidence:
    """The sums that `to_json` wrote. Raises EvidenceError."""
    try:
        match Kind(stored["kind"]):
            case Kind.RATE:
                return _rate_from_json(stored)
            case Kind.MEAN:
                return _mean_from_json(stored)
    except (KeyError, TypeError, ValueError) as problem:
        raise EvidenceError(
            f"stored evidence is not readable ({problem!r}); it was edited or written by another "
            f"version: begin with fresh evidence"
        ) from problem


def _row(sums: RateCounts | Standardised | NoiseSums | Past | Moments | Spread) -> list[float]:
    # Not dataclasses.astuple, which copies deeply: a third of the cost of a look went there.
    return [getattr(sums, name) for name in sums.__slots__]


def _rate_to_json(sums: RateEvidence) -> dict[str, Any]:
    return {
        "kind": str(Kind.RATE),
        "information": sums.information,
        "usual": sums.usual,
        "looks": sums.looks,
        "candidate": _row(sums.candidate),
        "stable": _row(sums.stable),
        "share": sums.share,
        "tilt": sums.ratio.tilt,
        "table": list(sums.ratio.table),
        "standardised": _row(sums.standardised),
        "noise": _row(sums.noise),
        "fading": _row(sums.fading),
        "compared": _row(sums.compared),
        "within": list(sums.within),
        "beyond": list(sums.beyond),
        "widened": sums.widened,
        "spent": None if sums.spent is None else sums.spent.to_json(),
    }


def _rate_from_json(stored: Mapping[str, Any]) -> RateEvidence:
    table = tuple(map(float, stored["table"]))
    if len(table) != len(RatioSums().table):
        raise ValueError(f"expected {len(RatioSums().table)} sums in the table, found {len(table)}")
    return RateEvidence(
        information=float(stored["information"]),
        usual=None if stored["usual"] is None else float(stored["usual"]),
        looks=int(stored["looks"]),
        candidate=RateCounts(*stored["candidate"]),
        stable=RateCounts(*stored["stable"]),
        share=float(stored["share"]),
        ratio=RatioSums(float(stored["tilt"]), table),
        standardised=Standardised(*stored["standardised"]),
        noise=NoiseSums(*stored["noise"]),
        fading=Past(*stored["fading"]),
        compared=Past(*stored["compared"]),
        within=tuple(map(float, stored["within"])),
        beyond=tuple(map(float, stored["beyond"])),
        widened=float(stored.get("widened", 0.0)),
        # Evidence from before there was spending goes on as it began.
        spent=Spent.from_json(stored["spent"]) if stored.get("spent") is not None else None,
    )


def _mean_to_json(sums: MeanEvidence) -> dict[str, Any]:
    return {
        "kind": str(Kind.MEAN),
        "pairs": sums.pairs,
        "looks": sums.looks,
        "bare": sums.bare,
        "share": sums.share,
        "candidate": [sums.candidate.count, sums.candidate.total],
        "stable": [sums.stable.count, sums.stable.total],
        "moments": _row(sums.moments),
        "tolerated": _row(sums.tolerated),
        "spreads": [_row(sums.spread_c), _row(sums.spread_s)],
    }


def _mean_from_json(stored: Mapping[str, Any]) -> MeanEvidence:
    spread_c, spread_s = stored["spreads"]
    return MeanEvidence(
        pairs=float(stored["pairs"]),
        looks=int(stored["looks"]),
        bare=int(stored["bare"]),
        share=float(stored["share"]),
        candidate=MeanCounts(*stored["candidate"]),
        stable=MeanCounts(*stored["stable"]),
        moments=Moments(*stored["moments"]),
        spread_c=Spread(*spread_c),
        spread_s=Spread(*spread_s),
        tolerated=Moments(*stored["tolerated"]),
    )
