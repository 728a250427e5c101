"""Judging a mean: the normal mixture on its contrasts, for margins in units and in percent.

Asymptotic throughout, so nothing is said before `means.FEWEST_VALUES` values of each arm.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from modelrollout.analysis import combining, concluding, limits, means, mixtures, normal_mixture
from modelrollout.analysis.concluding import LogEs
from modelrollout.analysis.means import Contrast, MeanEvidence
from modelrollout.analysis.questions import Better, Question, RollBackWhen
from modelrollout.analysis.verdicts import Because, Bounds, Judgement, SpreadFrom, Verdict

FURTHEST = 1e9
"""Overlaps beyond this multiple of what was seen count as "cannot be said"."""


def judge(evidence: MeanEvidence, question: Question, *, tries: int = 1) -> Judgement:
    """The judgement of a mean; a pure function of evidence and question."""
    reading = _Reading(evidence, question, tries)
    log_es = reading.log_es()
    verdict, because = reading.conclusion(log_es)
    seen = evidence.looks > 0
    return Judgement(
        verdict=verdict,
        because=because,
        candidate=evidence.moments.candidate if seen else None,
        stable=evidence.moments.stable if seen else None,
        ratio=reading.ratio() if seen else None,
        difference=reading.difference() if seen else None,
        candidate_trials=evidence.candidate.count,
        stable_trials=evidence.stable.count,
        candidate_events=None,
        stable_events=None,
        looks=evidence.looks,
        log_e_harm=log_es.harm,
        log_e_not_worse=log_es.not_worse,
        log_e_better=log_es.better,
        log_e_limit=log_es.limit,
        threshold=tries / question.false_rollback,
        promotion_threshold=tries / question.false_promotion,
        margin_in_force=reading.margin(),
        claimable_margin=reading.claimable(log_es),
        remaining_candidate_trials=reading.remaining(log_es),
        grey=reading.is_grey(),
        dispersion=means.dispersion(evidence),
        spread_from=reading.spread_from(),
    )


@dataclass(frozen=True, slots=True)
class _Edge:
    """One margin: the contrast that it compares, and how far that is from the margin.

    `room` is positive while the candidate is within the margin, in the metric's unit.
    """

    contrast: Contrast
    room: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class _Reading:
    evidence: MeanEvidence
    question: Question
    tries: int

    @property
    def _worse(self) -> int:
        return 1 if self.question.better is Better.LOWER else -1

    @property
    def _needed(self) -> float:
        return combining.log_threshold(self.question.false_promotion, tries=self.tries)

    @property
    def _enough(self) -> bool:
        counts = (self.evidence.candidate.count, self.evidence.stable.count)
        return min(counts) >= means.FEWEST_VALUES

    def _plain(self) -> Contrast | None:
        return means.contrast(self.evidence) if self._enough else None

    def _clock(self, time: float, alpha: float) -> float:
        return normal_mixture.clock(time, planned=self.evidence.pairs * means.EARLY, alpha=alpha)

    def _log_e(self, contrast: Contrast, distance: float, alpha: float) -> float:
        time = self._clock(contrast.time, alpha)
        return normal_mixture.one_sided_log_e(distance / contrast.error, time)

    def log_es(self) -> LogEs:
        plain, asked = self._plain(), self.question
        if plain is None:
            return LogEs(
                not_worse=0.0 if asked.margin.given else None,
                limit=None if asked.limit is None else 0.0,
            )
        beyond = asked.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
        worsening = self._worse * plain.value
        return LogEs(
            harm=self._beyond_margin()
            if beyond
            else self._log_e(plain, worsening, asked.false_rollback),
            not_worse=self._within_margin(),
            better=self._log_e(plain, -worsening, asked.false_promotion),
            limit=self._limit(),
        )

    def _edges(self) -> list[_Edge]:
        margin, stable = self.question.margin, self.evidence.moments.stable
        edges = []
        if margin.absolute is not None and (plain := means.contrast(self.evidence)) is not None:
            room = margin.absolute - self._worse * plain.value
            edges.append(_Edge(plain, room, margin.absolute))
        if margin.relative is not None:
            factor = 1.0 + self._worse * math.copysign(margin.relative, stable)
            shifted = means.contrast(self.evidence, factor=factor)
            if shifted is not None:
                tolerance = margin.relative * abs(stable)
                edges.append(_Edge(shifted, -self._worse * shifted.value, tolerance))
        return edges

    def _within_margin(self) -> float | None:
        # The larger margin is tolerated: the null is both, and the average is valid for either.
        edges, alpha = self._edges(), self.question.false_promotion
        if not edges:
            return None
        return combining.average_log_e(
            [self._log_e(edge.contrast, edge.room, alpha) for edge in edges]
        )

    def _beyond_margin(self) -> float:
        alpha, margin = self.question.false_rollback, self.question.margin
        if margin.absolute is None or margin.relative is None:
            logs = [self._log_e(edge.contrast, -edge.room, alpha) for edge in self._edges()]
            return logs[0] if logs else 0.0
        # Each look is compared with the margin that is the larger one in it: where a shared
        # incident changes which that is, averages over all looks lie beyond both.
        steepest = max(1.0, 1.0 + self._worse * math.copysign(margin.relative, self._stable))
        contrast, moments = means.contrast(self.evidence, factor=steepest), self.evidence.tolerated
        if contrast is None:
            return 0.0
        return self._log_e(contrast, self._worse * (moments.candidate - moments.stable), alpha)

    @property
    def _stable(self) -> float:
        return self.evidence.moments.stable

    def _limit(self) -> float | None:
        limit, evidence = self.question.limit, self.evidence
        if limit is None:
            return None
        variance = evidence.spread_c.variance
        if not means.knows_spread_within(evidence):
            weight = evidence.moments.overlap * max(evidence.looks - 1, 1)
            variance = evidence.moments.cc / weight * evidence.candidate.count
        if not variance > 0.0:
            return 0.0
        count = evidence.candidate.count
        return limits.mean_log_e(
            limit,
            mean=evidence.candidate.total / count,
            standard_error=math.sqrt(variance * means.dispersion(evidence) / count),
            time=self._clock(count, self.question.false_rollback),
        )

    def conclusion(self, log_es: LogEs) -> tuple[Verdict, Because | None]:
        if self.evidence.looks == 0:
            return Verdict.NO_DATA, Because.NO_TRAFFIC
        verdict = concluding.verdict(log_es, self.question, tries=self.tries)
        if verdict is not Verdict.UNDECIDED:
            return verdict, None
        if not self._enough:
            return verdict, Because.TOO_FEW
        if means.contrast(self.evidence) is None:
            return verdict, Because.SPREAD_UNKNOWN
        return verdict, concluding.because(
            self.question, grey=self.is_grey(), dispersion=means.dispersion(self.evidence)
        )

    def spread_from(self) -> SpreadFrom | None:
        if means.contrast(self.evidence) is None:
            return None
        within = means.knows_spread_within(self.evidence)
        return SpreadFrom.SQUARES if within else SpreadFrom.LOOKS

    def _radius(self, contrast: Contrast) -> float:
        alpha = self.question.false_promotion
        time = self._clock(contrast.time, alpha)
        return normal_mixture.two_sided_radius(time, alpha=alpha) * contrast.error

    def difference(self) -> Bounds:
        found = self.evidence.moments.candidate - self.evidence.moments.stable
        plain = self._plain()
        radius = math.inf if plain is None else self._radius(plain)
        return Bounds(found, found - radius, found + radius)

    def ratio(self) -> Bounds | None:
        moments = self.evidence.moments
        if not moments.candidate > 0.0 or not moments.stable > 0.0:
            return None
        found = moments.candidate / moments.stable
        plain = self._plain() and means.contrast(self.evidence, factor=found)
        # Delta method in the logarithm: sd of ln ratio = sd of (m_c - ratio m_s) / m_c.
        spread = math.inf if plain is None else self._radius(plain) / moments.candidate
        if spread > mixtures.REACH:
            return Bounds(found, 0.0, math.inf)
        return Bounds(found, found * math.exp(-spread), found * math.exp(spread))

    def margin(self) -> float | None:
        margin = self.question.margin
        if margin.relative is None or self.evidence.looks == 0:
            return margin.absolute
        relative = margin.relative * abs(self.evidence.moments.stable)
        return max(margin.absolute or 0.0, relative)

    def is_grey(self) -> bool:
        margin = self.margin()
        if margin is None or self.evidence.looks == 0:
            return False
        found = self.difference()
        excluded = found.low > 0 if self._worse > 0 else found.high < 0
        return excluded and self._worse * (found.estimate or 0.0) <= margin

    def claimable(self, log_es: LogEs) -> float | None:
        margin, plain = self.margin(), self._plain()
        if margin is None or plain is None or log_es.not_worse is None:
            return None
        alpha = self.question.false_promotion
        time = max(self._clock(plain.time, alpha), 1.0)
        reach = normal_mixture.one_sided_radius(time, alpha=alpha) * plain.error
        bound = max(0.0, self._worse * plain.value + reach)
        return min(bound, margin) if log_es.not_worse >= self._needed else max(bound, margin)

    def remaining(self, log_es: LogEs) -> float | None:
        if log_es.not_worse is None or self._plain() is None:
            return None
        if log_es.not_worse >= self._needed:
            return 0.0
        edges = self._edges()
        more = _first_reaching(
            lambda overlap: self._expected(edges, overlap),
            self._needed,
            start=self.evidence.moments.overlap,
        )
        return None if more is None else more / (1.0 - self.evidence.share)

    def _expected(self, edges: list[_Edge], more: float) -> float:
        # What "not worse" will say after `more` overlap in which both versions are equal.
        alpha = self.question.false_promotion
        logs = []
        for edge in edges:
            seen, growth = edge.contrast, 1.0 + more / edge.contrast.overlap
            room = (edge.room + edge.tolerance * (growth - 1.0)) / growth
            time = self._clock(seen.time * growth, alpha)
            error = seen.error / math.sqrt(growth)
            logs.append(normal_mixture.one_sided_log_e(room / error, time))
        return combining.average_log_e(logs)


def _first_reaching(value: Callable[[float], float], level: float, *, start: float) -> float | None:
    high = start / 16.0
    while value(high) < level:
        high *= 2.0
        if high > FURTHEST * start:
            return None
    low = 0.0
    for _ in range(10):
        middle = (low + high) / 2.0
        low, high = (middle, high) if value(middle) < level else (low, middle)
    return high
