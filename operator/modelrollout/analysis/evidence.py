"""The face of the evidence: begin, advance once per look, judge, keep in status.

`fresh` and `advance` return values that do not grow with age; `judge` is a pure function of them.
Which metrics are combined how is in `combining`; what the operator does about it is not decided
here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, assert_never

from modelrollout.analysis import mean_reading, means, rate_reading, rates, storing
from modelrollout.analysis.counts import Counts, CountsError, MeanCounts, RateCounts
from modelrollout.analysis.means import MeanEvidence
from modelrollout.analysis.questions import Kind, Question
from modelrollout.analysis.rates import RateEvidence
from modelrollout.analysis.verdicts import Judgement

__all__ = ["Evidence", "advance", "fresh", "judge"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is remembered of one metric in one rollout: some 50 numbers, flat in age."""

    sums: RateEvidence | MeanEvidence

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` returns an equal object."""
        return storing.to_json(self.sums)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Raises storing.EvidenceError where `stored` was not written by `to_json`."""
        return cls(storing.from_json(stored))


def fresh(question: Question) -> Evidence:
    """Evidence before the first look. What depends on plans is frozen here."""
    match question.kind:
        case Kind.RATE:
            return Evidence(rates.fresh(question))
        case Kind.MEAN:
            return Evidence(means.fresh(question))
        case _:
            assert_never(question.kind)


def advance(
    evidence: Evidence, question: Question, *, candidate: Counts, stable: Counts
) -> Evidence:
    """The evidence after one look within one step: one stratum, counted exactly once.

    Raises CountsError where the counts are not of the kind of the evidence.
    """
    match evidence.sums, candidate, stable:
        case RateEvidence() as sums, RateCounts(), RateCounts():
            return Evidence(rates.advance(sums, question, candidate=candidate, stable=stable))
        case MeanEvidence() as sums, MeanCounts(), MeanCounts():
            return Evidence(means.advance(sums, question, candidate=candidate, stable=stable))
        case _:
            raise CountsError(
                f"expected counts of a {question.kind} for both arms, found "
                f"{type(candidate).__name__} and {type(stable).__name__}"
            )


def judge(evidence: Evidence, question: Question, *, tries: int = 1) -> Judgement:
    """What the evidence says now; `tries` counts the attempts of this revision from 1."""
    match evidence.sums:
        case RateEvidence() as sums:
            return rate_reading.judge(sums, question, tries=tries)
        case MeanEvidence() as sums:
            return mean_reading.judge(sums, question, tries=tries)
        case _:
            assert_never(evidence.sums)
