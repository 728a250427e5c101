"""What a plan can see: the chance to catch a regression of a given size, before anything is moved.

By formula, for the whole plan: shares differ by step, looks are many, and the rule that decides
harm is the one in force. Where the question carries a plan of exact conditional spending, its
boundary comes from `analysis.spending` itself, at the expected totals, and the candidate's events
follow the noncentral hypergeometric law there. All other questions are decided by e-processes,
whose logarithm is taken as normal with the mean and variance that one request brings.

Source: notes F15 for the sample size; Jennison and Turnbull (2000), chapters 2 and 12, for power
along a boundary; Fisher (1935) for the noncentral law. Held to simulated rollouts in the tests.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from modelrollout.analysis import (
    bets,
    combining,
    dispersion,
    means,
    mixtures,
    normal_mixture,
    projected,
    rates,
    spending,
)
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.questions import Better, Kind, Question, RollBackWhen
from modelrollout.planning import duration
from modelrollout.planning.schedule import Piece, Schedule, Service

SURELY = 0.8
MOST_EVENTS = 1000.0
"""Beyond so many a regression is made larger and the requests fewer, so that the information, on
which alone power depends then, stays the same."""
COARSER = 16.0
"""Looks that have seen less than this part of the events are computed at a finer scale."""
CERTAIN = 0.9999
LEARNING = 2.0
"""Log evidence that the bets on harm cost: the right one holds a quarter of the capital, and the
rate that it bets on has to be learnt."""
RAREST = 1e-9
_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
_EFFECTS: Array = np.geomspace(0.005, 7.0, 36)
"""Regressions looked at: log odds of a rate, standard deviations of a mean."""


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to a candidate that is worse by a given amount.

    Attributes:
        by_step: chance to be rolled back until the least duration of each step is over.
        by_deadline: likewise until the deadline.
        harmed_requests: expected number that the candidate serves until then.
    """

    by_step: tuple[float, ...]
    by_deadline: float
    harmed_requests: float


@dataclass(frozen=True, slots=True)
class Smallest:
    """The smallest worsening, in the metric's own unit, that is caught in four of five rollouts.

    Attributes:
        by_step: until the least duration of each step is over; None where no worsening is.
        by_deadline: until the deadline, likewise.
    """

    by_step: tuple[float | None, ...]
    by_deadline: float | None


def course(question: Question, schedule: Schedule, service: Service, *, worse_by: float) -> Course:
    """What happens if the candidate is worse by `worse_by`, in the metric's own unit.

    Args:
        question: with `false_rollback` as this metric's part of the whole rollout's.
        schedule: of the rollout.
        service: the stable version.
        worse_by: absolute, at least 0, in the direction that is bad; a rate ends at 0 or 1.

    Raises:
        ValueError: on a negative worsening, or a service without the rate or mean asked about.
    """
    if not 0 <= worse_by < math.inf:
        raise ValueError(f"expected a worsening of at least 0, found {worse_by}")
    pieces = schedule.pieces()
    caught = _caught(question, schedule, service, pieces, worse_by=worse_by)
    before = np.concatenate([[0.0], caught[:-1]])
    served = np.array([piece.served_s * piece.share for piece in pieces]) * service.requests_per_s
    return Course(
        by_step=tuple(_at(caught, pieces, end_s) for end_s in schedule.ends_s),
        by_deadline=float(caught[-1]),
        harmed_requests=float(np.sum(served * (1.0 - (before + caught) / 2.0))),
    )


def smallest(question: Question, schedule: Schedule, service: Service) -> Smallest:
    """The smallest worsening that is caught in four of five rollouts, by step.

    Raises:
        ValueError: as `course`.
    """
    sizes = _sizes(question, service)
    courses = [course(question, schedule, service, worse_by=size) for size in sizes]
    return Smallest(
        by_step=tuple(
            _first(sizes, [one.by_step[step] for one in courses])
            for step in range(len(schedule.steps))
        ),
        by_deadline=_first(sizes, [one.by_deadline for one in courses]),
    )


def promoted(question: Question, schedule: Schedule, service: Service) -> float:
    """The chance that "not worse" is shown by the deadline, if both versions are equal.

    Raises:
        ValueError: on a service without the rate or mean asked about.
    """
    return duration.chance_of_answer(
        question,
        stable_rate=service.rate,
        stable_mean=service.mean,
        stable_sd=service.deviation,
        requests_per_s=service.requests_per_s,
        steps=schedule.steps,
        by_s=schedule.deadline_s,
    )


def _at(caught: Array, pieces: Sequence[Piece], end_s: float) -> float:
    ended = [chance for chance, piece in zip(caught, pieces, strict=True) if piece.end_s <= end_s]
    return float(ended[-1]) if ended else 0.0


def _first(sizes: Array, chances: Sequence[float]) -> float | None:
    above = np.flatnonzero(np.asarray(chances) >= SURELY)
    if not len(above):
        return None
    at = int(above[0])
    if at == 0:
        return float(sizes[0])
    low, high = chances[at - 1], chances[at]
    part = (SURELY - low) / (high - low)
    return float(math.exp((1.0 - part) * math.log(sizes[at - 1]) + part * math.log(sizes[at])))


def _sizes(question: Question, service: Service) -> Array:
    if question.kind is Kind.MEAN:
        _, deviation = _mean(service)
        return np.asarray(_EFFECTS * max(deviation, RAREST), dtype=np.float64)
    bad = _bad(question, service)
    odds = bad / (1.0 - bad) * np.exp(_EFFECTS)
    # From no errors at all no odds ratio leads anywhere: there sizes are shares of requests.
    shares = np.geomspace(1e-6, 0.9, len(_EFFECTS)) * (1.0 - bad)
    found = odds / (1.0 + odds) - bad if bad > RAREST else shares
    return np.asarray(found, dtype=np.float64)


def _mean(service: Service) -> tuple[float, float]:
    if service.mean is None or service.deviation is None:
        raise ValueError("expected a service with a mean and a deviation, found none")
    return service.mean, service.deviation


def _bad(question: Question, service: Service) -> float:
    if service.rate is None:
        raise ValueError("expected a service with a rate, found none")
    bad = service.rate if question.better is Better.LOWER else 1.0 - service.rate
    return min(max(bad, RAREST), 1.0 - RAREST)


def _caught(
    question: Question,
    schedule: Schedule,
    service: Service,
    pieces: Sequence[Piece],
    *,
    worse_by: float,
) -> Array:
    """The chance of a rollback by the end of each piece."""
    if service.requests_per_s == 0:
        return np.zeros(len(pieces))
    if question.kind is Kind.MEAN:
        return _by_mean(question, service, pieces, worse_by=worse_by)
    stable = _bad(question, service)
    candidate = min(stable + worse_by, 1.0 - RAREST)
    if question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN:
        return _beyond_margin(question, service, pieces, candidate=candidate, stable=stable)
    if question.spending is None:
        return _by_ratio(question, service, pieces, rate_c=candidate, rate_s=stable)
    return _by_spending(question.spending, schedule, service, pieces, pair=(candidate, stable))


def _by_spending(
    plan: spending.Plan,
    schedule: Schedule,
    service: Service,
    pieces: Sequence[Piece],
    *,
    pair: tuple[float, float],
) -> Array:
    candidate, stable = pair
    lengths = np.array([piece.counted_s for piece in pieces]) * service.requests_per_s
    shares = np.array([piece.share for piece in pieces])
    n_c, n_s = lengths * shares, lengths * (1.0 - shares)
    events = n_c * candidate + n_s * stable
    looks = [max(1, round(piece.end_s / schedule.interval_s)) for piece in pieces]
    tilt = float(special.logit(candidate) - special.logit(stable))
    tilt /= math.sqrt(dispersion.by_chance(looks[-1]))
    so_far, chances, limit = np.cumsum(events), np.zeros(len(pieces)), MOST_EVENTS
    done = 0
    while done < len(pieces):
        end = max(done + 1, int(np.searchsorted(so_far, limit, side="right")))
        until = _until(plan, looks[:end], tilt=tilt, n_c=n_c[:end], n_s=n_s[:end], m=events[:end])
        chances[done:end] = until[done:]
        if until[-1] >= CERTAIN:
            chances[end:] = until[-1]
            break
        done, limit = end, COARSER * max(limit, float(so_far[end - 1]))
    return np.asarray(np.maximum.accumulate(chances), dtype=np.float64)


def _until(
    plan: spending.Plan, looks: Sequence[int], *, tilt: float, n_c: Array, n_s: Array, m: Array
) -> Array:
    """The chance of an alarm by each of these looks, at the scale of what is seen by the last."""
    total = float(m.sum())
    crowded = max(1.0, total / MOST_EVENTS)
    chances = [
        _along_boundary(
            plan,
            looks,
            tilt=tilt * math.sqrt(crowded),
            n_c=_whole(n_c / crowded),
            n_s=_whole(n_s / crowded),
            events=_whole(m / crowded * factor),
        )
        for factor in (_scales(total) if crowded == 1.0 else (1.0,))
    ]
    return np.asarray(np.mean(chances, axis=0), dtype=np.float64)


def _scales(events: float) -> list[float]:
    """How many times the expected events a rollout may see, equally likely ones."""
    if events <= 0:
        return [1.0]
    return [max(0.0, float(special.pdtrik(q, events)) + 0.5) / events for q in _QUANTILES]


def _whole(parts: Array) -> list[int]:
    """Whole numbers whose running sum stays within a half of that of `parts`."""
    return [int(step) for step in np.diff(np.round(np.cumsum(parts)), prepend=0.0)]


def _along_boundary(
    plan: spending.Plan,
    looks: Sequence[int],
    *,
    tilt: float,
    n_c: Sequence[int],
    n_s: Sequence[int],
    events: Sequence[int],
) -> Array:
    """The chance of an alarm by each look, given totals, if the log odds ratio is `tilt`."""
    spent, chances = spending.Spent(), list[float]()
    law: Array = np.ones(1)
    least, caught = 0, 0.0
    for look, trials_c, trials_s, wanted in zip(looks, n_c, n_s, events, strict=True):
        count = min(wanted, trials_c + trials_s)
        own = max(0, count - trials_s)
        candidate = RateCounts(trials_c, own)
        stable = RateCounts(trials_s, count - own)
        spent = replace(spent, looks=look - 1)
        spent = spending.advance(spent, plan, candidate=candidate, stable=stable)
        first, null = spending.increment(plan, candidate=candidate, stable=stable)
        law, least = np.convolve(law, _tilted(null, tilt)), least + first
        alarmed = law[max(0, spent.boundary - least) :].sum()
        caught += float(alarmed)
        law = law[: max(1, spent.boundary - least)]
        chances.append(caught)
    return np.asarray(np.minimum(chances, 1.0), dtype=np.float64)


def _tilted(null: Array, tilt: float) -> Array:
    with np.errstate(divide="ignore"):
        logs = np.log(null) + tilt * np.arange(len(null))
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _by_ratio(
    question: Question,
    service: Service,
    pieces: Sequence[Piece],
    *,
    rate_c: float,
    rate_s: float,
) -> Array:
    """The e-process F1: half of its prior at small effects, half spread over large ones."""
    alpha, planned = question.false_rollback, rates.fresh(question).information
    large = combining.log_threshold(alpha) + math.log(2.0 * len(mixtures.WIDE_RATIOS))
    gain, information, found = 0.0, 0.0, []
    for piece in pieces:
        n = piece.counted_s * service.requests_per_s
        both = piece.share * rate_c + (1.0 - piece.share) * rate_s
        gain += n * piece.share * _divergence(rate_c, both)
        gain += n * (1.0 - piece.share) * _divergence(rate_s, both)
        information += n * both * (1.0 - both) * piece.share * (1.0 - piece.share)
        clock = normal_mixture.clock(information, planned=planned, alpha=alpha)
        radius = normal_mixture.one_sided_radius(clock, alpha=alpha / 2.0)
        small = float(special.ndtr(math.sqrt(2.0 * max(gain, 0.0)) - radius))
        found.append(max(small, _above(gain - large, 2.0 * gain)))
    return np.asarray(np.maximum.accumulate(np.array(found)), dtype=np.float64)


def _divergence(p: float, q: float) -> float:
    """Of two Bernoulli laws, in nats."""
    return p * math.log(p / q) + (1.0 - p) * (math.log1p(-p) - math.log1p(-q))


def _beyond_margin(
    question: Question,
    service: Service,
    pieces: Sequence[Piece],
    *,
    candidate: float,
    stable: float,
) -> Array:
    """Bets on "worse than the margin": the smaller of the gains of both margins counts."""
    alt = (np.array([candidate]), np.array([stable]))
    needed = combining.log_threshold(question.false_rollback) + LEARNING
    gained, spread, found = 0.0, 0.0, []
    for piece in pieces:
        requests = piece.counted_s * service.requests_per_s
        weights = (requests * piece.share, requests * (1.0 - piece.share))
        growth = [_growth(line, alt, weights) for line in bets.lines(question)]
        mean, variance = min(growth) if requests > 0 else (0.0, 0.0)
        gained, spread = gained + mean, spread + variance
        found.append(_above(gained - needed, spread))
    return np.asarray(np.maximum.accumulate(np.array(found)), dtype=np.float64)


def _growth(
    line: projected.Line, alt: tuple[Array, Array], weights: tuple[float, float]
) -> tuple[float, float]:
    if alt[0][0] <= float(line.at(alt[1])[0]):
        return 0.0, 0.0
    null_s = projected.project(line, alt_c=alt[0], alt_s=alt[1], n_c=weights[0], n_s=weights[1])
    mean, variance = 0.0, 0.0
    for n, p, q in zip(weights, alt, (line.at(null_s), null_s), strict=True):
        quiet = float((np.log1p(-p) - np.log1p(-q))[0])
        jump = float((np.log(p / q))[0]) - quiet
        rate = float(p[0])
        mean += n * (rate * jump + quiet)
        variance += n * rate * (1.0 - rate) * jump * jump
    return mean, variance


def _above(distance: float, variance: float) -> float:
    return float(special.ndtr(distance / math.sqrt(variance))) if variance > 0 else 0.0


def _by_mean(
    question: Question, service: Service, pieces: Sequence[Piece], *, worse_by: float
) -> Array:
    mean, deviation = _mean(service)
    margin, alpha = question.margin, question.false_rollback
    tolerated = 0.0
    if question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN:
        tolerated = max(margin.absolute or 0.0, (margin.relative or 0.0) * abs(mean))
    pairs = means.fresh(question).pairs * means.EARLY
    chance_at: Callable[[float], float] = lambda overlap: float(  # noqa: E731 - reads as a formula
        special.ndtr(
            (worse_by - tolerated) * math.sqrt(overlap) / max(deviation, RAREST)
            - normal_mixture.one_sided_radius(
                normal_mixture.clock(overlap, planned=pairs, alpha=alpha), alpha=alpha
            )
        )
    )
    overlap, least, found = 0.0, [0.0, 0.0], []
    for piece in pieces:
        values = piece.counted_s * service.requests_per_s
        overlap += values * piece.share * (1.0 - piece.share)
        least = [least[0] + values * piece.share, least[1] + values * (1.0 - piece.share)]
        found.append(chance_at(overlap) if min(least) >= means.FEWEST_VALUES else 0.0)
    return np.asarray(np.maximum.accumulate(np.array(found)), dtype=np.float64)
