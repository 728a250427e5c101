"""Judging a rate: from its sums to e-values, estimates, intervals, and what is still missing."""

import math
from dataclasses import dataclass

import numpy as np

from modelrollout.analysis import (
    bets,
    combining,
    concluding,
    limits,
    mixtures,
    normal_mixture,
    projected,
    rates,
    ratio,
)
from modelrollout.analysis.concluding import LogEs
from modelrollout.analysis.questions import Better, Question, RollBackWhen
from modelrollout.analysis.rates import RateEvidence
from modelrollout.analysis.verdicts import Because, Bounds, Judgement, Spending, Verdict

COMMON = 0.1
"""From this share on events are common: the ratio's interval is that of two normal means."""


def judge(evidence: RateEvidence, question: Question, *, tries: int = 1) -> Judgement:
    """The judgement of a rate; a pure function of evidence and question."""
    evidence = rates.prepared(evidence, question)
    sums = evidence.standardised
    dispersion = rates.dispersion(evidence, question)
    reading = _Reading(evidence, question, tries, dispersion)
    log_es = reading.log_es()
    verdict, because = reading.conclusion(log_es)
    seen = evidence.looks > 0
    return Judgement(
        verdict=verdict,
        because=because,
        candidate=sums.candidate / sums.overlap if seen else None,
        stable=sums.stable / sums.overlap if seen else None,
        ratio=reading.ratio() if seen else None,
        difference=reading.difference() if seen else None,
        candidate_trials=evidence.candidate.trials,
        stable_trials=evidence.stable.trials,
        candidate_events=evidence.candidate.events,
        stable_events=evidence.stable.events,
        looks=evidence.looks,
        log_e_harm=log_es.harm,
        log_e_not_worse=log_es.not_worse,
        log_e_better=log_es.better,
        log_e_limit=log_es.limit,
        threshold=tries / question.false_rollback,
        spending=reading.spending(),
        promotion_threshold=tries / question.false_promotion,
        margin_in_force=reading.margin(),
        claimable_margin=reading.claimable(log_es),
        remaining_candidate_trials=reading.remaining(log_es),
        grey=reading.is_grey(),
        dispersion=reading.dispersion,
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    evidence: RateEvidence
    question: Question
    tries: int
    dispersion: float

    @property
    def _tempering(self) -> float:
        # Known noise is in the sums of each look already; what is only seen is taken off here.
        return 1.0 if self.question.noise is not None else self.dispersion

    @property
    def _worse(self) -> int:
        return 1 if self.question.better is Better.LOWER else -1

    @property
    def _needed(self) -> float:
        return combining.log_threshold(self.question.false_promotion, tries=self.tries)

    def log_es(self) -> LogEs:
        asked = self.question
        against = self._against_equality(self._worse)
        beyond = asked.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
        limit = None
        if asked.limit is not None:
            limit = limits.rate_log_e(
                asked.limit,
                self.evidence.candidate,
                alpha=asked.false_rollback,
                dispersion=self.dispersion,
            )
        return LogEs(
            harm=self._beyond_margin() if beyond else against,
            not_worse=self._within_margin(),
            better=self._against_equality(-self._worse),
            limit=limit,
        )

    def _against_equality(self, toward: int) -> float:
        return ratio.log_e(
            self.evidence.ratio,
            toward=toward,
            information=self.evidence.information,
            alpha=self.question.false_rollback,
            dispersion=self._tempering,
            noise=self.question.noise,
        )

    def _within_margin(self) -> float | None:
        if not self.evidence.within:
            return None
        logs = np.asarray(self.evidence.within) / self._tempering
        return mixtures.log_mean_exp(logs, np.log(rates.held(self.evidence, self.question).weights))

    def _beyond_margin(self) -> float:
        logs = np.asarray(self.evidence.beyond) / self._tempering
        return mixtures.log_mean_exp(logs, np.log(bets.HARM_WEIGHTS))

    def spending(self) -> Spending | None:
        spent, plan = self.evidence.spent, self.question.spending
        if spent is None or plan is None:
            return None
        return Spending(
            alarm=spent.alarm,
            events=spent.events,
            boundary=None if spent.has_ended else spent.boundary,
            error=spent.error,
            alpha=plan.alpha,
        )

    def conclusion(self, log_es: LogEs) -> tuple[Verdict, Because | None]:
        verdict = concluding.verdict(
            log_es, self.question, tries=self.tries, spending=self.spending()
        )
        if verdict is not Verdict.UNDECIDED:
            return verdict, None
        if self.evidence.looks == 0:
            return Verdict.NO_DATA, Because.NO_TRAFFIC
        return verdict, concluding.because(
            self.question, grey=self.is_grey(), dispersion=self.dispersion
        )

    def _rates(self) -> tuple[float, float]:
        sums = self.evidence.standardised
        return sums.candidate / sums.overlap, sums.stable / sums.overlap

    def _variance(self, factor: float) -> float:
        # Of sum o_k (p_c - factor p_s). One event per arm is added: no events is not no noise.
        sums, (p_c, p_s) = self.evidence.standardised, self._rates()
        share = self.evidence.compared.trials_c / (
            self.evidence.compared.trials_c + self.evidence.compared.trials_s
        )
        noise_c = max(0.0, sums.noise_c - p_c * p_c * sums.square_c) + (1.0 - share) ** 2
        noise_s = max(0.0, sums.noise_s - p_s * p_s * sums.square_s) + share**2
        return self.dispersion * (noise_c + factor * factor * noise_s)

    def _radius(self, factor: float) -> float:
        variance = self._variance(factor)
        time = normal_mixture.clock(
            variance, planned=self.evidence.information, alpha=self.question.false_promotion
        )
        widths = normal_mixture.two_sided_radius(time, alpha=self.question.false_promotion)
        return widths * math.sqrt(variance)

    def difference(self) -> Bounds:
        overlap, (p_c, p_s) = self.evidence.standardised.overlap, self._rates()
        radius, found = self._radius(1.0) / overlap, p_c - p_s
        return Bounds(found, max(found - radius, -1.0), min(found + radius, 1.0))

    def ratio(self) -> Bounds:
        p_c, p_s = self._rates()
        estimate = p_c / p_s if p_s > 0 else None
        if p_s >= COMMON:
            return self._ratio_of_common(p_c / p_s)
        low, high = ratio.interval(
            self.evidence.ratio,
            information=self.evidence.information,
            alpha=self.question.false_promotion,
            dispersion=self._tempering,
        )
        return Bounds(estimate, low, high)

    def _ratio_of_common(self, estimate: float) -> Bounds:
        # Delta method in the logarithm: sd of ln ratio = sd of (p_c - ratio p_s) / p_c.
        overlap, (p_c, _) = self.evidence.standardised.overlap, self._rates()
        if p_c <= 0:
            return Bounds(estimate, 0.0, math.inf)
        spread = self._radius(estimate) / (overlap * p_c)
        if spread > mixtures.REACH:
            return Bounds(estimate, 0.0, math.inf)
        return Bounds(estimate, estimate * math.exp(-spread), estimate * math.exp(spread))

    def margin(self) -> float | None:
        margin = self.question.margin
        if not margin.given:
            return None
        if margin.relative is None or self.evidence.looks == 0:
            return margin.absolute
        return max(margin.absolute or 0.0, margin.relative * self._rates()[1])

    def is_grey(self) -> bool:
        margin = self.margin()
        if margin is None or self.evidence.looks == 0:
            return False
        found = self.difference()
        excluded = found.low > 0 if self._worse > 0 else found.high < 0
        return excluded and self._worse * (found.estimate or 0.0) <= margin

    def claimable(self, log_es: LogEs) -> float | None:
        margin = self.margin()
        if margin is None or log_es.not_worse is None or self.evidence.looks == 0:
            return None
        alpha = self.question.false_promotion
        p_c, p_s = self._rates()
        variance = self._variance(1.0)
        clock = normal_mixture.clock(variance, planned=self.evidence.information, alpha=alpha)
        widths = normal_mixture.one_sided_radius(max(clock, 1.0), alpha=alpha)
        reach = widths * math.sqrt(variance) / self.evidence.standardised.overlap
        bound = max(0.0, self._worse * (p_c - p_s) + reach)
        # The exact e-value has the last word on the margin that was asked about.
        return min(bound, margin) if log_es.not_worse >= self._needed else max(bound, margin)

    def remaining(self, log_es: LogEs) -> float | None:
        if log_es.not_worse is None or self.evidence.looks == 0:
            return None
        gap = self._needed - log_es.not_worse
        return 0.0 if gap <= 0 else gap * self.dispersion / self._growth()

    def _growth(self) -> float:
        # Expected gain of ln e per candidate request, both versions at the rate seen so far.
        past, share = self.evidence.compared, self.evidence.share
        # As seen, and not half an event more: that would nearly double what a service without
        # errors is told.
        rate = (past.bad_c + past.bad_s) / (past.trials_c + past.trials_s)
        rate = min(max(rate, bets.NEVER), 1.0 - bets.NEVER)
        equal, stable = np.array([rate]), (1.0 - share) / share
        null = projected.project_on_all(
            bets.lines(self.question), alt_c=equal, alt_s=equal, n_c=1.0, n_s=stable
        )
        gained = projected.log_factor(
            alt=(equal, equal), null=null, n_c=1.0, x_c=rate, n_s=stable, x_s=stable * rate
        )
        return float(gained[0])
