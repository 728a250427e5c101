"""The evidence of a mean: stratified differences between the arms, and how much they vary.

Each look contributes the difference of the arms' means with weight n_c n_s / N, so that neither
ramps nor shared incidents bias it. The spread comes from sums of squares within looks; where the
metric exports none, from the scatter of the differences between looks.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Self

from modelrollout.analysis.counts import MeanCounts
from modelrollout.analysis.questions import Better, Question, RollBackWhen
from modelrollout.analysis.rates import RAMP_SPREAD

DEFAULT_PAIRS = 5000.0
"""Planned sum of n_c n_s / N when nothing is known."""
EARLY = 0.25
"""The mixture is tightest at this part of the plan: early enough to matter, not at the end."""
FEWEST_VALUES = 100
"""Before this many values of each arm the central limit theorem is not believed."""
FEWEST_LOOKS = 20
"""Looks needed to learn the spread from differences between looks."""
FEWEST_FREEDOM = 30
"""Degrees of freedom of each arm needed to learn the spread within looks."""
PRIOR_LOOKS = 5.0
"""Weight, in looks, of the belief that values are independent."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Within-look squares of one arm: sum of squared deviations, degrees of freedom, o^2 / n."""

    squares: float = 0.0
    freedom: int = 0
    leverage: float = 0.0

    def plus(self, counts: MeanCounts, *, overlap: float) -> Self:
        """Add one look; without squares only the leverage grows."""
        leverage = self.leverage + overlap * overlap / counts.count
        if counts.squares is None:
            return replace(self, leverage=leverage)
        deviations = max(0.0, counts.squares - counts.total * counts.total / counts.count)
        return type(self)(self.squares + deviations, self.freedom + counts.count - 1, leverage)

    @property
    def variance(self) -> float:
        """Of one value, within looks."""
        return self.squares / self.freedom if self.freedom > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Moments:
    """Weighted means of both arms' look means and their second moments around them."""

    overlap: float = 0.0
    candidate: float = 0.0
    stable: float = 0.0
    cc: float = 0.0
    cs: float = 0.0
    ss: float = 0.0

    def plus(self, *, overlap: float, candidate: float, stable: float) -> Self:
        """Add one look. Running updates keep all digits where means dwarf their differences."""
        total = self.overlap + overlap
        off_c, off_s = candidate - self.candidate, stable - self.stable
        part, weight = overlap / total, self.overlap * overlap / total
        return type(self)(
            overlap=total,
            candidate=self.candidate + part * off_c,
            stable=self.stable + part * off_s,
            cc=self.cc + weight * off_c * off_c,
            cs=self.cs + weight * off_c * off_s,
            ss=self.ss + weight * off_s * off_s,
        )

    def scatter(self, factor: float) -> float:
        """Weighted squares between looks of mean_c - factor mean_s."""
        return max(0.0, self.cc - 2.0 * factor * self.cs + factor * factor * self.ss)


@dataclass(frozen=True, slots=True)
class MeanEvidence:
    """Evidence of one mean against stable.

    Attributes:
        pairs: planned sum of n_c n_s / N, frozen at the beginning.
        looks: in which both arms had values.
        bare: of these, looks without sums of squares.
        share: of the candidate, in the last look.
        candidate: number and total of all its values.
        stable: number and total of all its values.
        moments: of the look means.
        spread_c: within looks, of the candidate.
        spread_s: within looks, of stable.
        tolerated: of the candidate's look means beside what the larger of both margins tolerates
            at stable's; kept only where both are given and harm is "worse than the margin".
    """

    pairs: float
    looks: int = 0
    bare: int = 0
    share: float = 0.0
    candidate: MeanCounts = field(default_factory=MeanCounts)
    stable: MeanCounts = field(default_factory=MeanCounts)
    moments: Moments = field(default_factory=Moments)
    spread_c: Spread = field(default_factory=Spread)
    spread_s: Spread = field(default_factory=Spread)
    tolerated: Moments = field(default_factory=Moments)


def fresh(question: Question) -> MeanEvidence:
    """Before the first look."""
    planned = question.planned_events
    pairs = DEFAULT_PAIRS if planned is None else max(100.0, planned * RAMP_SPREAD)
    return MeanEvidence(pairs=float(f"{pairs:.2g}"))


def advance(
    evidence: MeanEvidence, question: Question, *, candidate: MeanCounts, stable: MeanCounts
) -> MeanEvidence:
    """The evidence after one more look of one step."""
    evidence = replace(
        evidence,
        candidate=_sum(evidence.candidate, candidate),
        stable=_sum(evidence.stable, stable),
    )
    if candidate.count == 0 or stable.count == 0:
        return evidence
    overlap = candidate.count * stable.count / (candidate.count + stable.count)
    mean_c, mean_s = candidate.total / candidate.count, stable.total / stable.count
    has_squares = candidate.squares is not None and stable.squares is not None
    return replace(
        evidence,
        looks=evidence.looks + 1,
        bare=evidence.bare + (0 if has_squares else 1),
        share=candidate.count / (candidate.count + stable.count),
        moments=evidence.moments.plus(overlap=overlap, candidate=mean_c, stable=mean_s),
        tolerated=_tolerated(evidence.tolerated, question, overlap, mean_c, mean_s),
        spread_c=evidence.spread_c.plus(candidate, overlap=overlap),
        spread_s=evidence.spread_s.plus(stable, overlap=overlap),
    )


def _tolerated(
    before: Moments, question: Question, overlap: float, mean_c: float, mean_s: float
) -> Moments:
    margin = question.margin
    beyond = question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
    if not beyond or margin.absolute is None or margin.relative is None:
        return before
    room = max(margin.absolute, margin.relative * abs(mean_s))
    edge = mean_s + room if question.better is Better.LOWER else mean_s - room
    return before.plus(overlap=overlap, candidate=mean_c, stable=edge)


def _sum(before: MeanCounts, now: MeanCounts) -> MeanCounts:
    return MeanCounts(count=before.count + now.count, total=before.total + now.total)


@dataclass(frozen=True, slots=True)
class Contrast:
    """mean_c - factor mean_s, summed over looks with weights n_c n_s / N.

    Attributes:
        value: the weighted average of the contrast.
        variance: of the weighted sum.
        overlap: sum of weights.
        time: the sum's intrinsic time in values, the variance of one value taken out.
    """

    value: float
    variance: float
    overlap: float
    time: float

    @property
    def error(self) -> float:
        """Standard error of `value`."""
        return math.sqrt(self.variance) / self.overlap


def contrast(evidence: MeanEvidence, *, factor: float = 1.0) -> Contrast | None:
    """The contrast with its variance; None while the spread is not known.

    Within-look variances are pooled over looks (per-look ones mislead at few
    values per look) and inflated by the running dispersion between looks.
    """
    moments = evidence.moments
    value = moments.candidate - factor * moments.stable
    if not knows_spread_within(evidence):
        if evidence.looks < FEWEST_LOOKS:
            return None
        unit = moments.scatter(factor) / (evidence.looks - 1)
        variance = unit * moments.overlap
    else:
        variance = _within(evidence, factor) * dispersion(evidence)
        freedom = evidence.spread_c.freedom + evidence.spread_s.freedom
        unit = (evidence.spread_c.squares + evidence.spread_s.squares) / max(freedom, 1)
    if not variance > 0.0 or not unit > 0.0:
        return None
    return Contrast(value, variance, moments.overlap, variance / unit)


def knows_spread_within(evidence: MeanEvidence) -> bool:
    """Did every look bring squares, and enough values per look to learn from them?"""
    freedom = min(evidence.spread_c.freedom, evidence.spread_s.freedom)
    return not evidence.bare and freedom >= FEWEST_FREEDOM


def _within(evidence: MeanEvidence, factor: float) -> float:
    noise_c = evidence.spread_c.variance * evidence.spread_c.leverage
    noise_s = evidence.spread_s.variance * evidence.spread_s.leverage
    return noise_c + factor * factor * noise_s


def dispersion(evidence: MeanEvidence) -> float:
    """At least 1: scatter of the differences between looks, relative to that within."""
    within = _within(evidence, 1.0)
    if not knows_spread_within(evidence) or not within > 0.0:
        return 1.0
    moments = evidence.moments
    pearson = moments.scatter(1.0) * moments.overlap / within
    return max(1.0, (pearson + PRIOR_LOOKS) / (evidence.looks - 1 + PRIOR_LOOKS))
