"""How long a plan takes to show "not worse", by formula, before anything is moved.

Evidence is summed over the steps, because shares differ: its expected growth per second and the
spread of that growth, if both versions are equal. The answer is there, in four of five rollouts,
when what the unluckiest fifth falls short of reaches what promotion needs. Held to simulated
rollouts: within a quarter of the time that four of five, and half of them, really take.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from modelrollout.analysis import bets, combining, means, normal_mixture, projected
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.questions import Better, Kind, Question
from modelrollout.analysis.verdicts import Judgement

SURELY = 0.8
"""How surely the answer is there at the time given."""
TYPICALLY = 0.5
LEARNING = 0.5
"""Log evidence spent on learning the base rate; with a known one a tenth of that."""
RAREST = 1e-9
LONGEST_S = 10 * 365 * 86400.0
"""Beyond ten years the answer is "never"."""

PRECISION_S = 0.5
CHANCE_PRECISION = 1e-4


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the question will be answered.

    Attributes:
        seconds: from the first step on, in four of five rollouts; None when never.
        typical_s: likewise in half of them.
        candidate_requests: that the candidate serves until then, None when never.
        answerable: within the deadline.
        sentence: the same for people.
    """

    seconds: float | None
    typical_s: float | None
    candidate_requests: float | None
    answerable: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class _Information:
    """What accumulates per second at a share of the candidate, and when it is enough."""

    per_s: Callable[[float], Array]
    enough: Callable[[Array, float], bool]
    """Of what has grown: is it enough in this share of the rollouts?"""


@dataclass(frozen=True, slots=True)
class _Stage:
    share: float
    least_s: float


def time_to_answer(
    question: Question,
    *,
    stable_rate: float | None = None,
    stable_mean: float | None = None,
    stable_sd: float | None = None,
    requests_per_s: float,
    steps: Sequence[tuple[float, float]],
    deadline_s: float,
) -> Forecast:
    """When "not worse" will be shown if both versions are equal, in four of five rollouts.

    A goal is forecast as a guardrail: how soon "better" shows depends on how much better it is.

    Args:
        question: with its margin.
        stable_rate: share of events of the stable version, for a rate.
        stable_mean: mean of the stable version, for a mean.
        stable_sd: standard deviation of one value, for a mean.
        requests_per_s: of both versions together; for a mean, values per second.
        steps: (candidate's share between 0 and 1, least duration in seconds), in order. The last
            one goes on until the answer is there; no step ends before its least duration.
        deadline_s: of the whole plan.

    Raises:
        ValueError: on a share outside [0, 1], a negative rate or duration, or a missing value.
    """
    stages = [_Stage(share, least_s) for share, least_s in steps]
    _check(stages, requests_per_s=requests_per_s)
    if not question.margin.given:
        return Forecast(None, None, None, False, 'without a margin "not worse" is never shown')
    information = _information(
        question, rate=stable_rate, mean=stable_mean, sd=stable_sd, per_s=requests_per_s
    )
    return _forecast(
        _first_time(stages, information, chance=SURELY),
        _first_time(stages, information, chance=TYPICALLY),
        stages,
        requests_per_s=requests_per_s,
        deadline_s=deadline_s,
    )


def chance_of_answer(
    question: Question,
    *,
    stable_rate: float | None = None,
    stable_mean: float | None = None,
    stable_sd: float | None = None,
    requests_per_s: float,
    steps: Sequence[tuple[float, float]],
    by_s: float,
) -> float:
    """The chance that "not worse" is shown within `by_s` seconds, if both versions are equal.

    Arguments as for `time_to_answer`. 0 where the steps alone take longer.

    Raises:
        ValueError: as `time_to_answer`.
    """
    stages = [_Stage(share, least_s) for share, least_s in steps]
    _check(stages, requests_per_s=requests_per_s)
    least_s = sum(stage.least_s for stage in stages)
    if not question.margin.given or by_s < least_s:
        return 0.0
    information = _information(
        question, rate=stable_rate, mean=stable_mean, sd=stable_sd, per_s=requests_per_s
    )
    grown = information.per_s(stages[-1].share) * (by_s - least_s)
    for stage in stages:
        grown = grown + information.per_s(stage.share) * stage.least_s
    low, high = 0.0, 1.0
    while high - low > CHANCE_PRECISION:
        middle = (low + high) / 2.0
        low, high = (middle, high) if information.enough(grown, middle) else (low, middle)
    return (low + high) / 2.0


def remaining_s(judgement: Judgement, *, candidate_requests_per_s: float) -> float | None:
    """How much longer "not worse" takes at this traffic; None where it cannot be said."""
    trials = judgement.remaining_candidate_trials
    if trials is None:
        return None
    if trials > 0 and not candidate_requests_per_s > 0:
        return None
    return trials / candidate_requests_per_s if trials > 0 else 0.0


def _check(stages: Sequence[_Stage], *, requests_per_s: float) -> None:
    if not stages:
        raise ValueError("expected at least one step")
    for stage in stages:
        if not 0 <= stage.share <= 1 or not 0 <= stage.least_s < math.inf:
            raise ValueError(
                f"expected a share between 0 and 1 and a duration of at least 0 s, found "
                f"{stage.share} and {stage.least_s} s"
            )
    if not 0 <= requests_per_s < math.inf:
        raise ValueError(f"expected requests per second of at least 0, found {requests_per_s}")


def _information(
    question: Question,
    *,
    rate: float | None,
    mean: float | None,
    sd: float | None,
    per_s: float,
) -> _Information:
    if question.kind is Kind.RATE:
        if rate is None or not 0 <= rate <= 1:
            raise ValueError(f"expected stable_rate between 0 and 1, found {rate}")
        return _rate_evidence(question, rate=rate, per_s=per_s)
    if mean is None or sd is None or sd < 0:
        raise ValueError(
            f"expected stable_mean, and stable_sd of at least 0, found {mean} and {sd}"
        )
    return _mean_evidence(question, mean=mean, sd=sd, per_s=per_s)


def _rate_evidence(question: Question, *, rate: float, per_s: float) -> _Information:
    bad = rate if question.better is Better.LOWER else 1.0 - rate
    equal = np.array([min(max(bad, RAREST), 1.0 - RAREST)])
    lines = bets.lines(question)
    learning = LEARNING if question.usual_rate is None else LEARNING / 10.0
    needed = combining.log_threshold(question.false_promotion) + learning

    def growth(share: float) -> Array:
        if not 0 < share < 1:
            return np.zeros(4)
        weights = (share, 1.0 - share)
        null = projected.project_on_all(
            lines, alt_c=equal, alt_s=equal, n_c=weights[0], n_s=weights[1]
        )
        p = float(equal[0])
        jumps = [
            float((np.log(equal / edge) - np.log1p(-equal) + np.log1p(-edge))[0]) for edge in null
        ]
        quiet = [float((np.log1p(-equal) - np.log1p(-edge))[0]) for edge in null]
        mean = sum(
            w * (p * jump + rest) for w, jump, rest in zip(weights, jumps, quiet, strict=True)
        )
        return per_s * np.array(
            [
                mean,
                weights[1] * p * (1.0 - p) * jumps[1] ** 2,
                weights[0] * p * (1.0 - p),
                -weights[0] * p * (1.0 - p) * jumps[0],
            ]
        )

    def enough(grown: Array, chance: float) -> bool:
        mean, variance_s, events_c, loss = (float(part) for part in grown)
        if events_c <= 0:
            return mean >= needed
        setback = loss / events_c * (_most_events(events_c, chance) - events_c)
        lost = math.copysign(math.hypot(setback, _z(chance) * math.sqrt(variance_s)), setback)
        return mean - lost >= needed

    return _Information(growth, enough)


def _mean_evidence(question: Question, *, mean: float, sd: float, per_s: float) -> _Information:
    margin = question.margin
    tolerances = [
        tolerance
        for tolerance in (margin.absolute, (margin.relative or 0.0) * abs(mean))
        if tolerance
    ]
    alpha, pairs = question.false_promotion, means.fresh(question).pairs * means.EARLY

    def growth(share: float) -> Array:
        return per_s * np.array([share * (1.0 - share), share, 1.0 - share])

    def enough(grown: Array, chance: float) -> bool:
        overlap, *values = grown
        if min(values) < means.FEWEST_VALUES or not tolerances:
            return False
        if sd == 0:
            return True
        time = normal_mixture.clock(overlap, planned=pairs, alpha=alpha)
        error = sd / math.sqrt(overlap)
        logs = [
            normal_mixture.one_sided_log_e(tolerance / error - _z(chance), time)
            for tolerance in tolerances
        ]
        return combining.average_log_e(logs) >= combining.log_threshold(alpha)

    return _Information(growth, enough)


def _z(chance: float) -> float:
    return float(special.ndtri(chance))


def _most_events(expected: float, chance: float) -> float:
    # The quantile of a Poisson count, made continuous so that time can be searched. For a handful
    # of events the normal law is off by half of the time: most rollouts see none at all.
    above = max(0.0, float(special.pdtrik(chance, expected)))
    return above + 0.5 * min(1.0, above)


def _first_time(
    stages: Sequence[_Stage], information: _Information, *, chance: float
) -> float | None:
    total_s, grown, is_enough = 0.0, np.zeros(1), False
    for stage in stages:
        grown = grown + information.per_s(stage.share) * stage.least_s
        total_s += stage.least_s
        is_enough = is_enough or information.enough(grown, chance)
    if is_enough:
        return total_s
    per_s = information.per_s(stages[-1].share)
    more_s = _bisect(lambda extra_s: information.enough(grown + per_s * extra_s, chance))
    return None if more_s is None else total_s + more_s


def _bisect(enough: Callable[[float], bool]) -> float | None:
    high = 1.0
    while not enough(high):
        high *= 2.0
        if high > LONGEST_S:
            return None
    low = 0.0 if high == 1.0 else high / 2.0
    while high - low > PRECISION_S:
        middle = (low + high) / 2.0
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _forecast(
    seconds: float | None,
    typical_s: float | None,
    stages: Sequence[_Stage],
    *,
    requests_per_s: float,
    deadline_s: float,
) -> Forecast:
    if seconds is None:
        never = "the question is never answered at this traffic and these shares"
        return Forecast(None, typical_s, None, False, never)
    least_s = sum(stage.least_s for stage in stages)
    shared_s = sum(stage.share * stage.least_s for stage in stages)
    candidate = requests_per_s * (shared_s + stages[-1].share * (seconds - least_s))
    answerable = seconds <= deadline_s
    sentence = (
        f"about {_spoken(seconds)} at {requests_per_s:g} requests/s, {candidate:,.0f} of them to "
        f"the candidate, if both versions are equal"
    )
    if not answerable:
        sentence += (
            f"; that is longer than the {_spoken(deadline_s)} allowed: tolerate a larger margin, "
            f"give the candidate a larger share, or allow more time"
        )
    return Forecast(seconds, typical_s, candidate, answerable, sentence)


def _spoken(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2.0 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
