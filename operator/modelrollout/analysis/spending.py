"""Exact conditional spending: when the candidate's events alone are too many, by computation.

Given requests and events of both arms in each look, chance decides only how many of the events fall
to the candidate, and the law of their running sum S is known: one convolution per look. A budget of
error is spent over the looks; the boundary is the smallest count that the budget of the look pays
for. There is no simulation, no normal approximation and no planned information, so that a shared
incident cannot break it; what was spent is a number, not a promise.

Source: notes A.1 to A.5; Lan and DeMets (1983) on spending, here on the exact conditional law as in
Jennison and Turnbull (2000), chapter 12. It assumes independent requests, looks fixed beforehand,
and weights that do not follow the outcome (simulated: at most 1.25 times the stated error if they
do; multiply `alpha` by `GATED` then).
"""

import base64
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import special

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.mixtures import Array

GATED = 0.8
"""Part of alpha that is left where the weights follow the outcome (2 % becomes 1.6 %)."""
RESERVE = 0.1
"""Part of alpha that is kept for looks after the deadline, where asked for."""
COMMON = 0.02
"""From this share of events on a ratio other than 1 is not what Binomial increments test."""

WIDEST = 1024
"""Numbers that are kept of the law. Where it grows wider, its lowest counts are taken together at
the highest of them: that can only raise the boundary."""
MOST_INFORMATION = 10_000.0
"""Planned sum of m w (1 - w) up to which the law of S stays within WIDEST; beyond it the e-process
is the better test."""
NEGLIGIBLE = 1e-9
"""So much of the law, at its low end, is always taken together."""
BROADEST = 8_192
"""Counts that may fall to the candidate in one look: the law has a number for each."""
_OCTAVE = 1 << 18
"""Steps per factor of two in which probabilities are kept, 24 bits each, always rounded up."""
_LEAST = -64.0


class SpendingError(ValueError):
    """The question or the looks are not of the kind that can be spent on."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is spent, and when.

    Attributes:
        alpha: probability, over all looks, of an alarm if the ratio is at most `ratio`.
        looks: planned until the deadline.
        ratio: of the rates, candidate's over stable's, that is still harmless.
        after_deadline: keep a reserve, so that looks after the deadline can raise an alarm, too.
    """

    alpha: float
    looks: int
    ratio: float = 1.0
    after_deadline: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 1.0:
            raise SpendingError(f"alpha is a probability above 0 and below 1, found {self.alpha}")
        if self.looks < 1:
            raise SpendingError(f"a plan has at least one look, found {self.looks}")
        if not 0.0 < self.ratio < math.inf:
            raise SpendingError(f"the harmless ratio is above 0 and finite, found {self.ratio}")

    def budget(self, look: int) -> float:
        """Error that may be spent up to and including `look`, counted from 1; at most alpha."""
        part = look / self.looks
        if not self.after_deadline:
            return self.alpha * shape(part)
        late = max(0.0, 1.0 - 1.0 / part)
        return self.alpha * ((1.0 - RESERVE) * shape(part) + RESERVE * late)


def shape(part: float) -> float:
    """Which part of alpha is spent after `part` of the looks; 1 from the deadline on.

    Severe harm is to be caught in the first looks, small harm at the end: chosen by simulation
    among 311 mixtures of nine shapes (notes A.2).
    """
    u = min(max(part, 0.0), 1.0)
    return 0.5 * math.sqrt(u) + 0.35 * min(u / 0.45, 1.0) + 0.15 * u * u


@dataclass(frozen=True, slots=True)
class Spent:
    """State after some looks: the law of S among rollouts that raised no alarm yet.

    Attributes:
        looks: counted, from 0.
        events: of the candidate so far, S.
        expected: of them, if the ratio is the harmless one.
        boundary: the count at which the last look raises an alarm.
        alarm: raised in this or an earlier look.
        error: spent so far, the exact probability of an alarm if the ratio is the harmless one.
        law: probability of each count from `least` on, without alarm so far; sums to 1 - error,
            but for rounding, which is upwards.
        least: the count that `law` begins with.
    """

    looks: int = 0
    events: int = 0
    expected: float = 0.0
    boundary: int = 1
    alarm: bool = False
    error: float = 0.0
    law: tuple[float, ...] = (1.0,)
    least: int = 0

    @property
    def has_ended(self) -> bool:
        """No count is possible any more without an alarm, or the law was given up."""
        return not self.law

    def end(self) -> Self:
        """The state after a look that the law cannot take: the e-process has what is left."""
        return replace(self, looks=self.looks + 1, law=())

    def to_json(self) -> list[float | bool | str]:
        """Seven numbers, and the law as text: about half a letter for each of its counts."""
        return [
            self.looks,
            self.events,
            self.expected,
            self.boundary,
            self.alarm,
            self.error,
            self.least,
            _packed(self.law),
        ]

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> Self:
        """What `to_json` wrote, without loss. Raises ValueError on anything else."""
        looks, events, expected, boundary, alarm, error, least, law = stored
        return cls(
            looks=int(looks),
            events=int(events),
            expected=float(expected),
            boundary=int(boundary),
            alarm=bool(alarm),
            error=float(error),
            law=_unpacked(law),
            least=int(least),
        )


def advance(
    spent: Spent,
    plan: Plan,
    *,
    candidate: RateCounts,
    stable: RateCounts,
    dispersion: float = 1.0,
) -> Spent:
    """The state after one more look within one step.

    A look in which an arm had no requests, or nobody an event, moves nothing but the budget. With
    a dispersion above 1 the excess over what is expected counts for less, by its square root: the
    stopgap where looks vary more than independent requests would, not an exact rule.

    Raises:
        SpendingError: for a look with more than BROADEST possible counts, and for a ratio other
            than 1 where events are common: Binomial increments are the law of rare events, so
            state the margin in absolute terms there.
    """
    if spent.has_ended:
        return replace(spent, looks=spent.looks + 1)
    least, increments = increment(plan, candidate=candidate, stable=stable)
    compares = candidate.trials > 0 and stable.trials > 0
    law = np.convolve(np.asarray(spent.law), increments)
    start = spent.least + least
    allowed = plan.budget(spent.looks + 1) - spent.error
    # Tail sums from the far end keep small probabilities exact: tails[i] = P(S >= start + i).
    tails = np.append(np.cumsum(law[::-1])[::-1], 0.0)
    cut = int(np.argmax(tails <= max(allowed, 0.0)))
    events = spent.events + (candidate.events if compares else 0)
    expected = spent.expected + least + float(increments @ np.arange(len(increments)))
    excess = (events - expected) / math.sqrt(max(1.0, dispersion))
    kept, start_kept = _kept(law[:cut], start)
    return Spent(
        looks=spent.looks + 1,
        events=events,
        expected=expected,
        boundary=start + cut,
        alarm=spent.alarm or expected + excess >= start + cut - _TIE,
        error=spent.error + float(tails[cut]),
        law=kept,
        least=start_kept,
    )


_TIE = 1e-9
_SHORT = 64
"""Laws of so many counts are taken whole."""


def _kept(law: Array, start: int) -> tuple[tuple[float, ...], int]:
    if len(law) == 0:
        return (), start
    first = int(np.searchsorted(np.cumsum(law), NEGLIGIBLE * float(law.sum())))
    first = max(min(first, len(law) - 1), len(law) - WIDEST)
    merged = law[first:].copy()
    merged[0] += float(law[:first].sum())
    return tuple(np.exp2(-_codes(merged) / _OCTAVE).tolist()), start + first


def _codes(law: Array) -> Array:
    logs = np.log2(np.maximum(law, 2.0**_LEAST))
    codes: Array = np.clip(np.floor(-logs * _OCTAVE), 0, (1 << 24) - 1)
    return codes


def _packed(law: Sequence[float]) -> str:
    # Rounding to the nearest code: these are probabilities that were already rounded to one. The
    # law is smooth, so that second differences of its codes are small: a seventh of the letters.
    codes = np.rint(-np.log2(np.asarray(law, dtype=np.float64)) * _OCTAVE).astype(np.int64)
    bends = np.diff(codes, n=2, prepend=[0, 0])
    unsigned = np.where(bends < 0, -2 * bends - 1, 2 * bends).astype(">u4")
    planes = unsigned.view(np.uint8).reshape(-1, 4).T.tobytes()
    return base64.b64encode(zlib.compress(planes)).decode()


def _unpacked(text: str) -> tuple[float, ...]:
    planes = _inflated(base64.b64decode(text, validate=True))
    if len(planes) % 4:
        raise ValueError(f"expected four bytes for each probability, found {len(planes)} bytes")
    unsigned = np.frombuffer(planes, dtype=np.uint8).reshape(4, -1).T.astype(np.int64)
    found = unsigned @ np.array([1 << 24, 1 << 16, 1 << 8, 1])
    bends = np.where(found % 2 == 1, -(found + 1) // 2, found // 2)
    codes = np.cumsum(np.cumsum(bends))
    return tuple(np.exp2(-codes / _OCTAVE).tolist())


def _inflated(packed: bytes) -> bytes:
    reader = zlib.decompressobj()
    try:
        planes = reader.decompress(packed, 4 * WIDEST + 1)
    except zlib.error as problem:
        raise ValueError(f"expected a law as it was stored, found {problem}") from problem
    if not reader.eof:
        raise ValueError(f"expected a law of at most {WIDEST:,} counts, found more or a part of it")
    return planes


def all_looks(plan: Plan, looks: Sequence[tuple[RateCounts, RateCounts]]) -> Spent:
    """The state after (candidate, stable) of each look, anew from the counts."""
    spent = Spent()
    for candidate, stable in looks:
        spent = advance(spent, plan, candidate=candidate, stable=stable)
    return spent


def increment(plan: Plan, *, candidate: RateCounts, stable: RateCounts) -> tuple[int, Array]:
    """The law of the candidate's events in one look, given both arms' requests and all events.

    Hypergeometric at ratio 1, which is exact for any rate; else Binomial, the law of rare events.
    Returns the smallest possible count and the probabilities from there on.
    """
    trials, events = candidate.trials + stable.trials, candidate.events + stable.events
    if candidate.trials == 0 or stable.trials == 0 or events == 0:
        return 0, np.ones(1)
    if plan.ratio == 1.0:
        return _hypergeometric(candidate.trials, stable.trials, events)
    if events > COMMON * trials:
        raise SpendingError(
            f"a harmless ratio of {plan.ratio:g} is tested on rare events, at most {COMMON:.0%} of "
            f"requests; found {events} of {trials}. State the margin in absolute terms"
        )
    if events > BROADEST:
        raise SpendingError(f"expected at most {BROADEST:,} events in a look, found {events:,}")
    odds = plan.ratio * candidate.trials / stable.trials
    return 0, _binomial(events, odds / (1.0 + odds))


def _hypergeometric(n_c: int, n_s: int, events: int) -> tuple[int, Array]:
    least, most = max(0, events - n_s), min(events, n_c)
    if most - least > _SHORT:
        least, most = _around(n_c, n_s, events, least=least, most=most)
    counts = np.arange(least, most + 1, dtype=np.float64)
    return least, _normalised(_log_choose(n_c, counts) + _log_choose(n_s, events - counts))


def _around(n_c: int, n_s: int, events: int, *, least: int, most: int) -> tuple[int, int]:
    # Beyond 12 standard deviations, 1e-31, nothing is left that a double could show in a sum of 1.
    trials = n_c + n_s
    mean = events * (n_c / trials)
    deviation = math.sqrt(mean * (n_s / trials) * ((trials - events) / (trials - 1)))
    reach = 12.0 * deviation + 24.0
    least, most = max(least, math.floor(mean - reach)), min(most, math.ceil(mean + reach))
    if most - least > BROADEST:
        raise SpendingError(
            f"expected at most {BROADEST:,} counts that may fall to the candidate in one look, "
            f"found {most - least:,}; with so many the e-process decides as early, and its cost "
            f"does not grow with them"
        )
    return least, most


def _binomial(events: int, share: float) -> Array:
    counts = np.arange(events + 1, dtype=np.float64)
    tilt = math.log(share) * counts + math.log1p(-share) * (events - counts)
    return _normalised(_log_choose(events, counts) + tilt)


def _log_choose(n: int, k: Array) -> Array:
    # By Beta functions: differences of three large log-gammas would lose all digits at 10^12.
    return np.asarray(-np.log(n + 1.0) - special.betaln(n - k + 1.0, k + 1.0), dtype=np.float64)


def _normalised(logs: Array) -> Array:
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def p_value(plan: Plan, looks: Sequence[tuple[RateCounts, RateCounts]]) -> float:
    """The smallest alpha at which this plan would have raised an alarm by now, for display.

    To three digits; 1 when no alpha would have. Found by bisection, since boundaries fall as
    alpha grows.
    """
    low, high = 1e-12, 1.0 - 1e-9
    if not _alarms(plan, looks, alpha=high):
        return 1.0
    while high > low * 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _alarms(plan, looks, alpha=middle) else (middle, high)
    return high


def _alarms(plan: Plan, looks: Sequence[tuple[RateCounts, RateCounts]], *, alpha: float) -> bool:
    scaled = Plan(alpha, plan.looks, ratio=plan.ratio, after_deadline=plan.after_deadline)
    return all_looks(scaled, looks).alarm
