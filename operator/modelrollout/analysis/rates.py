"""The evidence of a rate: every sum that its e-values, intervals and estimates need.

Advanced once per look, from four integers; its size does not depend on age. Looks in which one
arm had no trials compare nothing: they count for the samples and for absolute limits only.
"""

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from modelrollout.analysis import bets, noise, projected, spending
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.dispersion import NoiseSums
from modelrollout.analysis.questions import Better, Question, RollBackWhen
from modelrollout.analysis.ratio import RatioSums
from modelrollout.analysis.spending import Spent

DEFAULT_INFORMATION = 20.0
"""Planned information when nothing is known: an hour at 10 requests/s and 0.5 % errors."""
RAMP_SPREAD = 0.18
"""Mean of w (1 - w) over a ramp from 5 to 50 %: planned events times this is information."""

MILD = 0.5
"""Part of the variance of independent requests up to which known noise leaves spending in place:
the excess counts for less by its square root, simulated to keep the stated error."""
LASTING = 0.1
"""The same for lasting differences between pods, which no number of looks averages out."""
SLIGHT = 0.1
"""Known noise up to this part of that variance is passed over: history's estimate is a careful one,
and a quiet service is hardly ever found quieter than that. Simulated to keep the stated error."""


@dataclass(frozen=True, slots=True)
class Standardised:
    """Mantel-Haenszel sums: both arms weighted alike, by n_c n_s / N of each look."""

    overlap: float = 0.0
    candidate: float = 0.0
    stable: float = 0.0
    noise_c: float = 0.0
    noise_s: float = 0.0
    square_c: float = 0.0
    square_s: float = 0.0

    def plus(self, *, n_c: int, x_c: int, n_s: int, x_s: int) -> Self:
        """Add one look; both arms have trials."""
        trials = n_c + n_s
        share_c, share_s = n_c / trials, n_s / trials
        return type(self)(
            overlap=self.overlap + n_c * share_s,
            candidate=self.candidate + x_c * share_s,
            stable=self.stable + x_s * share_c,
            noise_c=self.noise_c + x_c * share_s * share_s,
            noise_s=self.noise_s + x_s * share_c * share_c,
            square_c=self.square_c + n_c * share_s * share_s,
            square_s=self.square_s + n_s * share_c * share_c,
        )


@dataclass(frozen=True, slots=True)
class RateEvidence:
    """Evidence of one rate against stable.

    Attributes:
        information: planned sum of m w (1 - w), frozen at the beginning.
        usual: stable's rate before the rollout, frozen at the beginning.
        looks: in which both arms had trials.
        candidate: all its counts.
        stable: all its counts.
        share: of the candidate, in the last look.
        ratio: sums of F1.
        standardised: sums of the estimates.
        noise: sums of the dispersion.
        fading: recent bad outcomes and trials.
        compared: all bad outcomes and trials of looks that compare.
        within: log capital of each bet on "within the margin".
        beyond: log capital of each bet on "beyond the margin".
        widened: sum of n_c n_s / N times the tempering of each look by known noise.
        spent: state of the exact conditional spending; None where the e-process decides.
    """

    information: float
    usual: float | None = None
    looks: int = 0
    candidate: RateCounts = field(default_factory=RateCounts)
    stable: RateCounts = field(default_factory=RateCounts)
    share: float = 0.0
    ratio: RatioSums = field(default_factory=RatioSums)
    standardised: Standardised = Standardised()
    noise: NoiseSums = field(default_factory=NoiseSums)
    fading: bets.Past = field(default_factory=bets.Past)
    compared: bets.Past = field(default_factory=bets.Past)
    within: tuple[float, ...] = ()
    beyond: tuple[float, ...] = ()
    widened: float = 0.0
    spent: Spent | None = None


def fresh(question: Question) -> RateEvidence:
    """Before the first look. The planned information is frozen here, as validity asks."""
    planned = question.planned_events
    information = DEFAULT_INFORMATION if planned is None else max(1.0, planned * RAMP_SPREAD)
    bare = RateEvidence(
        information=float(f"{information:.2g}"),
        usual=question.usual_rate,
        spent=None if question.spending is None else Spent(),
    )
    return prepared(bare, question)


def is_noisy(known: noise.ArmNoise, *, per_look: float, looks: int) -> bool:
    """Whether known noise widens looks by more than a little, or pods differ for good.

    Spending rests on the law of independent requests, and is left where they are far from that.

    Args:
        known: noise of the rollout.
        per_look: information of one look, m w (1 - w).
        looks: planned.
    """
    return known.tau2 * per_look > MILD or known.omega2 * per_look * looks > LASTING


def held(evidence: RateEvidence, question: Question) -> bets.Beliefs:
    """The beliefs that the bets of this evidence began with."""
    return bets.beliefs(question.better, usual=evidence.usual)


def prepared(evidence: RateEvidence, question: Question) -> RateEvidence:
    """The evidence with bets for the margins asked about; those that came new begin at 0."""
    lines = bets.lines(question)
    bets_within = len(held(evidence, question).weights) if lines else 0
    asked_beyond = lines and question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
    bets_beyond = len(bets.HARM_WEIGHTS) if asked_beyond else 0
    if len(evidence.within) != bets_within:
        evidence = replace(evidence, within=(0.0,) * bets_within)
    if len(evidence.beyond) != bets_beyond:
        evidence = replace(evidence, beyond=(0.0,) * bets_beyond)
    return evidence


def advance(
    evidence: RateEvidence, question: Question, *, candidate: RateCounts, stable: RateCounts
) -> RateEvidence:
    """The evidence after one more look of one step."""
    evidence = replace(
        prepared(evidence, question),
        candidate=evidence.candidate + candidate,
        stable=evidence.stable + stable,
    )
    if candidate.trials == 0 or stable.trials == 0:
        return replace(evidence, spent=_spend(evidence, question, candidate, stable))
    n_c, x_c, n_s, x_s = candidate.trials, candidate.events, stable.trials, stable.events
    bad_c = bets.oriented(question, trials=n_c, events=x_c)
    bad_s = bets.oriented(question, trials=n_s, events=x_s)
    phi = tempering(evidence, question, n_c=n_c, n_s=n_s)
    after = replace(
        evidence,
        looks=evidence.looks + 1,
        share=n_c / (n_c + n_s),
        ratio=evidence.ratio.plus(n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s, phi=phi),
        widened=evidence.widened + phi * n_c * n_s / (n_c + n_s),
        standardised=evidence.standardised.plus(n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s),
        noise=evidence.noise.plus(n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s),
        within=_bet_within(evidence, question, n_c=n_c, x_c=bad_c, n_s=n_s, x_s=bad_s, phi=phi),
        beyond=_bet_beyond(evidence, question, n_c=n_c, x_c=bad_c, n_s=n_s, x_s=bad_s, phi=phi),
        compared=evidence.compared.then(n_c=n_c, x_c=bad_c, n_s=n_s, x_s=bad_s),
        fading=evidence.fading.then(n_c=n_c, x_c=bad_c, n_s=n_s, x_s=bad_s, keep=bets.FADE),
    )
    return replace(after, spent=_spend(after, question, candidate, stable))


def _spend(
    evidence: RateEvidence, question: Question, candidate: RateCounts, stable: RateCounts
) -> Spent | None:
    if evidence.spent is None or question.spending is None:
        return evidence.spent
    bad_c, bad_s = (
        RateCounts(one.trials, bets.oriented(question, trials=one.trials, events=one.events))
        for one in (candidate, stable)
    )
    try:
        return spending.advance(
            evidence.spent,
            question.spending,
            candidate=bad_c,
            stable=bad_s,
            dispersion=dispersion(evidence, question),
        )
    except spending.SpendingError:
        return evidence.spent.end()


def dispersion(evidence: RateEvidence, question: Question) -> float:
    """How much more the looks vary than independent requests would, at least 1.

    As the service's own history tells, or else as the looks so far do.
    """
    sums = evidence.standardised
    if question.noise is not None:
        known = evidence.widened / sums.overlap if sums.overlap > 0 else 1.0
        return known if known > 1.0 + SLIGHT else 1.0
    return evidence.noise.dispersion((sums.candidate + 0.5) / (sums.stable + 0.5))


def tempering(evidence: RateEvidence, question: Question, *, n_c: int, n_s: int) -> float:
    """What known noise adds to the variance of the coming look: the factor phi.

    It is known before the look's events are: the rate expected is that of earlier looks and of the
    time before the rollout.
    """
    if question.noise is None:
        return 1.0
    past = evidence.compared
    usual = evidence.usual or 0.0
    if question.better is Better.HIGHER:
        usual = 1.0 - usual
    rate = noise.usual_rate(
        usual,
        events=round(past.bad_c + past.bad_s),
        trials=round(past.trials_c + past.trials_s),
    )
    return noise.factor(question.noise, rate=rate, trials=n_c + n_s, share=n_c / (n_c + n_s))


def _bet_within(
    evidence: RateEvidence,
    question: Question,
    *,
    n_c: int,
    x_c: int,
    n_s: int,
    x_s: int,
    phi: float,
) -> tuple[float, ...]:
    if not evidence.within:
        return ()
    equal = bets.equal_rates(
        held(evidence, question), past=evidence.compared, fading=evidence.fading
    )
    null = projected.project_on_all(
        bets.lines(question), alt_c=equal, alt_s=equal, n_c=n_c, n_s=n_s
    )
    gained = projected.log_factor(alt=(equal, equal), null=null, n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s)
    return tuple((np.asarray(evidence.within) + gained / phi).tolist())


def _bet_beyond(
    evidence: RateEvidence,
    question: Question,
    *,
    n_c: int,
    x_c: int,
    n_s: int,
    x_s: int,
    phi: float,
) -> tuple[float, ...]:
    if not evidence.beyond:
        return ()
    lines = bets.lines(question)
    alt = bets.harmful_rates(
        held(evidence, question), lines, past=evidence.compared, fading=evidence.fading
    )
    # With both margins the larger one is tolerated, and which that is may change with stable's
    # rate. Each look pays the smaller of both factors: that is fair wherever the look stands.
    # Two e-values over all looks, of which the smaller decides, would both grow while it changes.
    gains = []
    for line in lines:
        null_s = projected.project(line, alt_c=alt[0], alt_s=alt[1], n_c=n_c, n_s=n_s)
        null = (line.at(null_s), null_s)
        gains.append(projected.log_factor(alt=alt, null=null, n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s))
    return tuple((np.asarray(evidence.beyond) + np.min(gains, axis=0) / phi).tolist())
