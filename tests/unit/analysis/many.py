"""Many rollouts at once: traffic to draw, and the evidence of a rate or a mean as arrays.

Error rates need thousands of rollouts, and one at a time would take minutes. What is here follows
the published formulas without the Chebyshev table, the branches and the state of the engine,
and is itself held to the real evidence look by look (test_many): so a calibration that is kept
here is kept there. All arrays have the shape (looks, runs).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from modelrollout.analysis import bets, dispersion, limits, means, mixtures, projected, rates, ratio
from modelrollout.analysis.questions import Better, Question, RollBackWhen

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

LOOKS = 60
RAMP: Floats = np.minimum(0.05 * (1 + np.arange(LOOKS) // 6), 0.5)[:, None]
"""Six looks of a minute at 5 %, six at 10 %, and so on to 50 %: the usual schedule."""


@dataclass(frozen=True, slots=True)
class RateLooks:
    """Trials and events of candidate and stable."""

    n_c: Whole
    x_c: Whole
    n_s: Whole
    x_s: Whole


@dataclass(frozen=True, slots=True)
class LogEs:
    """What the engine would say after each look; None where it was not asked."""

    harm: Floats
    better: Floats
    not_worse: Floats | None
    limit: Floats | None = None


def rates_drawn(
    rng: np.random.Generator,
    *,
    runs: int,
    rps: float,
    p_c: float | Floats,
    p_s: float | Floats,
    weight: Floats = RAMP,
) -> RateLooks:
    """Independent requests of looks of a minute. Rates broadcast against (looks, runs)."""
    shape = (len(weight), runs)
    n_c = rng.poisson(np.broadcast_to(60 * rps * weight, shape))
    n_s = rng.poisson(np.broadcast_to(60 * rps * (1 - weight), shape))
    return RateLooks(
        n_c, rng.binomial(n_c, np.minimum(p_c, 1.0)), n_s, rng.binomial(n_s, np.minimum(p_s, 1.0))
    )


def rates_steered(
    rng: np.random.Generator,
    steer: Callable[[Floats], Floats],
    *,
    runs: int,
    rps: float,
    p: float,
    looks: int = LOOKS,
) -> RateLooks:
    """A/A traffic whose weight `steer` chooses from the z-score of all earlier looks."""
    rows = []
    excess, variance = np.zeros(runs), np.full(runs, 1e-9)
    for _ in range(looks):
        weight = steer(excess / np.sqrt(variance))
        n_c, n_s = rng.poisson(60 * rps * weight), rng.poisson(60 * rps * (1 - weight))
        x_c, x_s = rng.binomial(n_c, p), rng.binomial(n_s, p)
        share = n_c / np.maximum(n_c + n_s, 1)
        excess = excess + x_c - (x_c + x_s) * share
        variance = variance + (x_c + x_s) * share * (1 - share)
        rows.append((n_c, x_c, n_s, x_s))
    return RateLooks(*(np.array(column) for column in zip(*rows, strict=True)))


def crossed(log_e: Floats, *, alpha: float) -> Floats:
    """Share of the runs whose e-value ever reached 1 / alpha."""
    return np.asarray((log_e >= np.log(1.0 / alpha)).any(axis=0).mean())


def first_crossing(log_e: Floats, *, alpha: float) -> Floats:
    """The look, from 1, at which each run first reached 1 / alpha; infinite for the others."""
    hit = log_e >= np.log(1.0 / alpha)
    return np.where(hit.any(axis=0), hit.argmax(axis=0) + 1.0, np.inf)


def most(alpha: float, *, runs: int) -> float:
    """What a true error rate of `alpha` shows in `runs` runs, but for one time in 700."""
    return alpha + 3.0 * float(np.sqrt(alpha * (1 - alpha) / runs))


def judged_rates(drawn: RateLooks, question: Question) -> LogEs:
    """The e-values of a rate after each look of each run."""
    noise = _dispersions(drawn)
    information = rates.fresh(question).information
    points, weights = mixtures.effects(information=information, alpha=question.false_rollback)
    worse = 1 if question.better is Better.LOWER else -1
    beyond = question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
    bad = _oriented(drawn, question)
    return LogEs(
        harm=_beyond(bad, question, noise)
        if beyond
        else _ratio(drawn, worse * points, weights, noise),
        better=_ratio(drawn, -worse * points, weights, noise),
        not_worse=_within(bad, question, noise) if question.margin.given else None,
        limit=_limit(drawn, question, noise),
    )


def _oriented(drawn: RateLooks, question: Question) -> RateLooks:
    if question.better is Better.LOWER:
        return drawn
    return RateLooks(drawn.n_c, drawn.n_c - drawn.x_c, drawn.n_s, drawn.n_s - drawn.x_s)


def _both(drawn: RateLooks) -> NDArray[np.bool_]:
    return (drawn.n_c > 0) & (drawn.n_s > 0)


def _mixed(logs: Floats, log_weights: Floats) -> Floats:
    # The last axis holds the alternatives.
    terms = logs + log_weights
    top = terms.max(axis=-1)
    return np.asarray(top + np.log(np.exp(terms - top[..., None]).sum(axis=-1)))


def _ratio(drawn: RateLooks, points: Floats, log_weights: Floats, noise: Floats) -> Floats:
    up, down = np.expm1(points), np.expm1(-points)
    total = np.zeros((drawn.n_c.shape[1], len(points)))
    out = np.empty(drawn.n_c.shape)
    for look in range(len(out)):
        n_c, x_c, n_s, x_s = (
            column[look].astype(float) for column in (drawn.n_c, drawn.x_c, drawn.n_s, drawn.x_s)
        )
        trials, events = np.maximum(n_c + n_s, 1.0), x_c + x_s
        others = trials - events
        conditioned = np.minimum(events, others) <= np.maximum(
            ratio.RARE * trials, np.minimum(n_c, n_s)
        )
        cases = [
            (conditioned & (events <= others), x_c, events, n_c / trials, up),
            (conditioned & (events > others), x_c - n_c, others, n_c / trials, down),
            (~conditioned & (n_c <= n_s), x_c, n_c, events / trials, up),
            (~conditioned & (n_c > n_s), -x_s, n_s, events / trials, down),
        ]
        compares = (n_c > 0) & (n_s > 0)
        for chosen, tilt, times, share, shifts in cases:
            gain = tilt[:, None] * points - times[:, None] * np.log1p(share[:, None] * shifts)
            total += np.where((chosen & compares)[:, None], gain, 0.0)
        out[look] = _mixed(total / noise[look][:, None], log_weights)
    return out


def _dispersions(drawn: RateLooks) -> Floats:
    n_c, x_c, n_s, x_s = (
        column.astype(float) for column in (drawn.n_c, drawn.x_c, drawn.n_s, drawn.x_s)
    )
    trials, events = np.maximum(n_c + n_s, 1.0), x_c + x_s
    others = trials - events
    fitted = (np.cumsum(x_c * n_s / trials, axis=0) + 0.5) / (
        np.cumsum(x_s * n_c / trials, axis=0) + 0.5
    )
    variance = events * n_c * n_s * others / (trials * trials * np.maximum(trials - 1, 1.0))
    used = _both(drawn) & (variance >= dispersion.SMALLEST_VARIANCE)
    scale = np.where(used, (trials - 1) / np.where(used, others * events, 1.0), 0.0)
    odds = np.where(used, n_c / np.maximum(n_s, 1.0), 1.0)
    cc = np.cumsum(scale * x_c * x_c / odds, axis=0)
    ss = np.cumsum(scale * x_s * x_s * odds, axis=0)
    cs = np.cumsum(scale * x_c * x_s, axis=0)
    looks = np.cumsum(used, axis=0)
    pearson = np.maximum(0.0, cc / fitted + ss * fitted - 2.0 * cs)
    prior = dispersion.PRIOR_LOOKS
    running = np.maximum(1.0, (pearson + prior) / (looks - 1 + prior))
    return np.where(looks < dispersion.FEWEST_LOOKS, 1.0, running)


@dataclass(frozen=True, slots=True)
class _Seen:
    """Bad outcomes and trials before a look, of shape (runs, 1)."""

    trials_c: Floats
    bad_c: Floats
    trials_s: Floats
    bad_s: Floats

    def rate(self, held: bets.Beliefs) -> Floats:
        """Of both arms together, as the bets believe it."""
        bad = self.bad_c + self.bad_s + held.bad
        return np.asarray(bad / (self.trials_c + self.trials_s + held.trials))


def _seen(bad: RateLooks, *, keep: float) -> list[_Seen]:
    """What earlier looks held before each look, each look forgetting all but `keep` of it."""
    held, seen = np.zeros((4, bad.n_c.shape[1])), []
    for look, counts in enumerate(_both(bad)):
        seen.append(_Seen(*held[..., None]))
        now = np.array([column[look] for column in (bad.n_c, bad.x_c, bad.n_s, bad.x_s)])
        held = np.where(counts, keep * held + now, held)
    return seen


def _gains(
    bad: RateLooks,
    look: int,
    alternatives: tuple[Floats, Floats],
    project: Callable[..., tuple[Floats, Floats]],
) -> Floats:
    n_c, x_c, n_s, x_s = (
        column[look].astype(float)[:, None] for column in (bad.n_c, bad.x_c, bad.n_s, bad.x_s)
    )
    alt_c, alt_s = alternatives
    null = project(alt_c=alt_c, alt_s=alt_s, n_c=np.maximum(n_c, 1.0), n_s=np.maximum(n_s, 1.0))
    gained = projected.log_factor(alt=(alt_c, alt_s), null=null, n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s)
    return np.where(_both(bad)[look][:, None], gained, 0.0)


def _within(bad: RateLooks, question: Question, noise: Floats) -> Floats:
    held, lines = bets.beliefs(question.better, usual=question.usual_rate), bets.lines(question)
    out, total = np.empty(bad.n_c.shape), np.zeros((bad.n_c.shape[1], len(held.weights)))
    for look, seen in enumerate(zip(_seen(bad, keep=1.0), _seen(bad, keep=bets.FADE), strict=True)):
        plugged = [totals.rate(held) for totals in seen]
        fixed = np.broadcast_to(np.array(held.grid), (len(total), len(held.grid)))
        equal = np.concatenate([*plugged, fixed], axis=1)
        total += _gains(bad, look, (equal, equal), partial(projected.project_on_all, lines))
        out[look] = _mixed(total / noise[look][:, None], np.log(held.weights))
    return out


def _beyond(bad: RateLooks, question: Question, noise: Floats) -> Floats:
    held, lines = bets.beliefs(question.better, usual=question.usual_rate), bets.lines(question)
    out, total = np.empty(bad.n_c.shape), np.zeros((bad.n_c.shape[1], len(bets.HARM_WEIGHTS)))
    for look, (past, fading) in enumerate(
        zip(_seen(bad, keep=1.0), _seen(bad, keep=bets.FADE), strict=True)
    ):
        stable = np.asarray((fading.bad_s + held.bad) / (fading.trials_s + held.trials))
        edge = np.max([line.at(stable) for line in lines], axis=0)
        edge = np.minimum(edge, 1.0 - 1e-6)
        odds = edge / (1.0 - edge) * np.exp(bets.HARM_LOG_ODDS)
        own = (past.bad_c + held.bad) / (past.trials_c + held.trials)
        candidate = np.concatenate([odds / (1.0 + odds), np.maximum(own, edge)], axis=1)
        both = (candidate, np.broadcast_to(stable, candidate.shape))
        total += np.min([_gains(bad, look, both, partial(_onto, line)) for line in lines], axis=0)
        out[look] = _mixed(total / noise[look][:, None], np.log(bets.HARM_WEIGHTS))
    return out


def _onto(line: projected.Line, **given: Floats) -> tuple[Floats, Floats]:
    stable = projected.project(line, **given)
    return line.at(stable), stable


def _limit(drawn: RateLooks, question: Question, noise: Floats) -> Floats | None:
    limit = question.limit
    if limit is None:
        return None
    trials, events = np.cumsum(drawn.n_c, axis=0), np.cumsum(drawn.x_c, axis=0)
    bad = events if limit.at_most is not None else trials - events
    edge = limit.at_most if limit.at_most is not None else 1.0 - (limit.at_least or 0.0)
    points, weights = mixtures.effects(
        information=limits.PLANNED_EVENTS * max(edge, 1.0 - edge), alpha=question.false_rollback
    )
    odds = edge / (1.0 - edge) * np.exp(points)
    beyond = odds / (1.0 + odds)
    logs = bad[..., None] * np.log(beyond / edge) + (trials - bad)[..., None] * np.log(
        (1.0 - beyond) / (1.0 - edge)
    )
    return _mixed(logs / noise[..., None], weights)


@dataclass(frozen=True, slots=True)
class MeanLooks:
    """Counts, totals and sums of squares of candidate and stable."""

    n_c: Whole
    t_c: Floats
    q_c: Floats
    n_s: Whole
    t_s: Floats
    q_s: Floats


def means_drawn(
    rng: np.random.Generator,
    values: Callable[[np.random.Generator, int], Floats],
    *,
    runs: int,
    rps: float,
    scale_c: float | Floats = 1.0,
    scale_s: float | Floats = 1.0,
    weight: Floats = RAMP,
) -> MeanLooks:
    """Independent values of looks of a minute, each arm's times its scale."""

    def arm(part: Floats, scale: float | Floats) -> tuple[Whole, Floats, Floats]:
        counts = rng.poisson(np.broadcast_to(60 * rps * part, (len(weight), runs)))
        drawn = values(rng, int(counts.sum()))
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        total = np.bincount(cell, drawn, counts.size).reshape(counts.shape)
        squares = np.bincount(cell, drawn * drawn, counts.size).reshape(counts.shape)
        return (
            counts,
            np.asarray(total * scale),
            np.asarray(squares * np.square(scale, dtype=float)),
        )

    return MeanLooks(*arm(weight, scale_c), *arm(1 - weight, scale_s))


def judged_means(drawn: MeanLooks, question: Question, *, squares: bool = True) -> LogEs:
    """The e-values of a mean after each look of each run, as F7* on stratified differences."""
    both = (drawn.n_c > 0) & (drawn.n_s > 0)
    sums = _Contrasts.of(drawn, both, squares=squares)
    pairs = means.fresh(question).pairs * means.EARLY
    enough = np.minimum(np.cumsum(drawn.n_c, 0), np.cumsum(drawn.n_s, 0)) >= means.FEWEST_VALUES
    worse = 1.0 if question.better is Better.LOWER else -1.0

    def log_e(factor: float | Floats, distance: Callable[[Floats], Floats], alpha: float) -> Floats:
        value, variance, unit = sums.contrast(factor)
        known = enough & (variance > 0) & (unit > 0)
        error = np.where(known, np.sqrt(np.maximum(variance, 1e-300)) / sums.overlap, 1.0)
        clock = np.where(known, variance / np.where(known, unit, 1.0), 0.0)
        time = clock / pairs * mixtures.information_scale(alpha)
        return np.where(known, _normal_mixture(distance(value) / error, time), 0.0)

    margin, stable = question.margin, sums.mean_s
    gone = 1.0 + worse * np.copysign(margin.relative or 0.0, stable)

    def edges(alpha: float, sign: float) -> list[Floats]:
        found = []
        if margin.absolute is not None:
            room = margin.absolute
            found.append(log_e(1.0, lambda value: sign * (room - worse * value), alpha))
        if margin.relative is not None:
            found.append(log_e(gone, lambda value: -sign * worse * value, alpha))
        return found

    beyond = question.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN
    rollback, promotion = question.false_rollback, question.false_promotion
    if beyond and margin.absolute is not None and margin.relative is not None:
        steepest = np.maximum(1.0, gone)
        over = worse * _over_the_larger(drawn, both, question)
        harm = log_e(steepest, lambda _value: over, rollback)
    elif beyond:
        harm = edges(rollback, -1.0)[0]
    else:
        harm = log_e(1.0, lambda value: worse * value, rollback)
    within = _averaged(edges(promotion, 1.0)) if margin.given else None
    better = log_e(1.0, lambda value: -worse * value, promotion)
    limit = None
    if question.limit is not None:
        limit = np.where(enough, _mean_limit(drawn, sums, question), 0.0)
    return LogEs(harm=harm, better=better, not_worse=within, limit=limit)


def _over_the_larger(drawn: MeanLooks, both: NDArray[np.bool_], question: Question) -> Floats:
    margin, n_c, n_s = question.margin, np.maximum(drawn.n_c, 1), np.maximum(drawn.n_s, 1)
    at_c, at_s = drawn.t_c / n_c, drawn.t_s / n_s
    room = np.maximum(margin.absolute or 0.0, (margin.relative or 0.0) * np.abs(at_s))
    edge = at_s + room if question.better is Better.LOWER else at_s - room
    weight = np.where(both, n_c * n_s / (n_c + n_s), 0.0)
    overlap = np.maximum(np.cumsum(weight, 0), 1e-300)
    return np.asarray(np.cumsum(weight * (at_c - edge), 0) / overlap)


def _mean_limit(drawn: MeanLooks, sums: "_Contrasts", question: Question) -> Floats:
    limit, count = question.limit, np.maximum(np.cumsum(drawn.n_c, 0), 1)
    if limit is None:
        raise ValueError("expected a question with a limit")
    found = np.cumsum(drawn.t_c, 0) / count
    beyond = found - limit.at_most if limit.at_most is not None else (limit.at_least or 0.0) - found
    variance = sums.variance_c(count)
    error = np.sqrt(np.where(variance > 0, variance, 1.0) / count)
    time = count / (means.fresh(question).pairs * means.EARLY)
    time *= mixtures.information_scale(question.false_rollback)
    return np.where(variance > 0, _normal_mixture(beyond / error, time), 0.0)


def _averaged(log_es: list[Floats]) -> Floats:
    return _mixed(np.stack(log_es, axis=-1), np.full(len(log_es), -np.log(len(log_es))))


@dataclass(frozen=True, slots=True)
class _Contrasts:
    overlap: Floats
    mean_c: Floats
    mean_s: Floats
    cc: Floats
    cs: Floats
    ss: Floats
    within_c: Floats | None
    within_s: Floats | None
    unit: Floats
    value_c: Floats
    looks: Whole
    freedom: Whole

    @classmethod
    def of(cls, drawn: MeanLooks, both: NDArray[np.bool_], *, squares: bool) -> "_Contrasts":
        n_c, n_s = np.maximum(drawn.n_c, 1), np.maximum(drawn.n_s, 1)
        weight = np.where(both, n_c * n_s / (n_c + n_s), 0.0)
        at_c, at_s = drawn.t_c / n_c, drawn.t_s / n_s
        overlap = np.maximum(np.cumsum(weight, 0), 1e-300)
        mean_c, mean_s = (
            np.cumsum(weight * at_c, 0) / overlap,
            np.cumsum(weight * at_s, 0) / overlap,
        )

        def second(one: Floats, other: Floats, mean_1: Floats, mean_2: Floats) -> Floats:
            return np.asarray(np.cumsum(weight * one * other, 0) - overlap * mean_1 * mean_2)

        dev_c = np.cumsum(np.where(both, drawn.q_c - drawn.t_c**2 / n_c, 0.0), 0)
        dev_s = np.cumsum(np.where(both, drawn.q_s - drawn.t_s**2 / n_s, 0.0), 0)
        df_c = np.cumsum(np.where(both, n_c - 1, 0), 0)
        df_s = np.cumsum(np.where(both, n_s - 1, 0), 0)
        lever_c, lever_s = np.cumsum(weight**2 / n_c, 0), np.cumsum(weight**2 / n_s, 0)
        return cls(
            overlap=overlap,
            mean_c=mean_c,
            mean_s=mean_s,
            cc=second(at_c, at_c, mean_c, mean_c),
            cs=second(at_c, at_s, mean_c, mean_s),
            ss=second(at_s, at_s, mean_s, mean_s),
            within_c=dev_c / np.maximum(df_c, 1) * lever_c if squares else None,
            within_s=dev_s / np.maximum(df_s, 1) * lever_s if squares else None,
            unit=(dev_c + dev_s) / np.maximum(df_c + df_s, 1),
            value_c=dev_c / np.maximum(df_c, 1),
            looks=np.cumsum(both, 0),
            freedom=np.minimum(df_c, df_s),
        )

    def scatter(self, factor: float | Floats) -> Floats:
        return np.maximum(0.0, self.cc - 2.0 * factor * self.cs + np.square(factor) * self.ss)

    def noise(self) -> Floats:
        """The running dispersion; 1 where only looks tell the spread."""
        if self.within_c is None or self.within_s is None:
            return np.ones_like(self.overlap)
        plain = np.maximum(self.within_c + self.within_s, 1e-300)
        pearson = self.scatter(1.0) * self.overlap / plain
        prior = means.PRIOR_LOOKS
        noise = np.maximum(1.0, (pearson + prior) / (self.looks - 1 + prior))
        return np.where(self.freedom >= means.FEWEST_FREEDOM, noise, 1.0)

    def variance_c(self, count: Whole) -> Floats:
        """Of one value of the candidate; 0 while it is not known."""
        between = self.cc / np.maximum(self.looks - 1, 1) * count / self.overlap
        between = np.where(self.looks >= means.FEWEST_LOOKS, between, 0.0)
        if self.within_c is None:
            return between
        within = self.value_c * self.noise()
        return np.where(self.freedom >= means.FEWEST_FREEDOM, within, between)

    def contrast(self, factor: float | Floats) -> tuple[Floats, Floats, Floats]:
        value = self.mean_c - factor * self.mean_s
        unit = self.scatter(factor) / np.maximum(self.looks - 1, 1)
        unit = np.where(self.looks >= means.FEWEST_LOOKS, unit, 0.0)
        between = unit * self.overlap
        if self.within_c is None or self.within_s is None:
            return value, between, unit
        within = (self.within_c + np.square(factor) * self.within_s) * self.noise()
        enough = self.freedom >= means.FEWEST_FREEDOM
        return value, np.where(enough, within, between), np.where(enough, self.unit, unit)


def _normal_mixture(z: Floats, time: Floats) -> Floats:
    share = time / (1.0 + time)
    return np.asarray(
        np.log(2.0)
        - np.log1p(time) / 2.0
        + share * z * z / 2.0
        + special.log_ndtr(z * np.sqrt(share))
    )
