"""How others decide, as short rules on the same counts: own code after what their docs and code do.

Each rule answers with the look (from 1) at which it rolls each rollout back, infinite for never.
They are models of the rules alone: nothing of those projects is run here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tests.bench.statistics import ranks
from tests.bench.statistics.noise import Floats
from tests.bench.statistics.scenarios import WEIGHTS, Counted, Rates, Traffic

LEAST_SUCCESS: Final = 0.99
FLAGGER_FAILURES: Final = 5
FLAGGER_LONGEST: Final = 60

Truths = NDArray[np.bool_]
Rule = Callable[[Traffic], Floats]


def first(alarms: Truths) -> Floats:
    """The look, from 1, of each run's first alarm; infinite where there is none."""
    return np.where(alarms.any(axis=1), alarms.argmax(axis=1) + 1.0, np.inf)


def _too_many_errors(n_c: Counted, x_c: Counted) -> Truths:
    return (n_c > 0) & (n_c - x_c < LEAST_SUCCESS * n_c)


def flagger(traffic: Traffic) -> Floats:
    """Success below 99 % or no traffic fails a check; back one tick after the fifth failure."""
    failed = _too_many_errors(traffic.n_c, traffic.x_c) | (traffic.n_c == 0)
    alarms = np.cumsum(failed, axis=1) >= FLAGGER_FAILURES
    return first(np.pad(alarms, ((0, 0), (1, 0)))[:, :-1])


def argo(traffic: Traffic, *, failure_limit: int) -> Floats:
    """More than `failureLimit` measurements below 99 % success; empty ones are no measurement."""
    failed = _too_many_errors(traffic.n_c, traffic.x_c)
    return first(np.cumsum(failed, axis=1) > failure_limit)


def repeated_z(traffic: Traffic, *, critical: float) -> Floats:
    """A pooled two-proportion z-test on all requests so far, read at every look as if once."""
    n_c, x_c, n_s, x_s = (
        np.cumsum(counts, axis=1).astype(float)
        for counts in (traffic.n_c, traffic.x_c, traffic.n_s, traffic.x_s)
    )
    known = (n_c > 0) & (n_s > 0) & (x_c + x_s > 0)
    n_c, n_s = np.maximum(n_c, 1.0), np.maximum(n_s, 1.0)
    pooled = (x_c + x_s) / (n_c + n_s)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / n_c + 1.0 / n_s))
    z = (x_c / n_c - x_s / n_s) / np.where(known & (error > 0), error, np.inf)
    return first(z > critical)


def kayenta(traffic: Traffic, *, every: int) -> Floats:
    """The Mann-Whitney judge on error rates per minute, all minutes since the beginning.

    Control is a baseline of the candidate's size, thinned from stable. A failed judgement rolls
    back; judged every `every` looks.
    """
    control = _baseline(traffic)
    candidate = _per_minute(traffic.n_c, traffic.x_c)
    found = np.full(traffic.runs, np.inf)
    for look in range(every, traffic.looks + 1, every):
        open_ = np.isinf(found)
        high = ranks.is_high(candidate[open_, :look], control[open_, :look])
        found[np.flatnonzero(open_)[high]] = look
    return found


def _per_minute(n: Counted, x: Counted) -> Floats:
    return np.where(n > 0, x / np.maximum(n, 1), np.nan)


def _baseline(traffic: Traffic) -> Floats:
    # The seed follows from the counts, so that a rule is a function of the traffic alone.
    random = np.random.default_rng(int(traffic.n_s.sum()))
    expected_c, expected_s = traffic.n_c.mean(axis=0), traffic.n_s.mean(axis=0)
    share = np.minimum(expected_c / np.maximum(expected_s, 1e-9), 1.0)
    good = random.binomial(traffic.n_s - traffic.x_s, share)
    bad = random.binomial(traffic.x_s, share)
    return _per_minute(good + bad, bad)


Z_ONE_SIDED: Final = float(special.ndtri(0.95))
Z_TWO_SIDED: Final = float(special.ndtri(0.975))

RULES: Final[Mapping[str, Rule]] = {
    "Flagger's rule": flagger,
    "Argo's rule, failureLimit 0": partial(argo, failure_limit=0),
    "Argo's rule, failureLimit 3": partial(argo, failure_limit=3),
    "Kayenta's judge every 10 min": partial(kayenta, every=10),
    "Kayenta's judge once, at 60 min": partial(kayenta, every=60),
    "z-test at every look, one-sided 5 %": partial(repeated_z, critical=Z_ONE_SIDED),
    "z-test at every look, two-sided 5 %": partial(repeated_z, critical=Z_TWO_SIDED),
}
SLOW_RULES: Final = frozenset(name for name in RULES if name.startswith("Kayenta"))
"""They sort at every judgement: some hundred runs are enough to place them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Looks at which each run was rolled back and promoted; infinite for never."""

    rollback: Floats
    promotion: Floats


def flagger_alone(rates: Rates, random: np.random.Generator, *, rps: float) -> Ended:
    """Flagger on its own schedule: a failed check holds the weight, ten passed ones promote.

    The first tick only sets the first weight; a rollback follows one tick after the fifth failure.
    """
    runs = len(rates.candidate)
    passed, failed = np.zeros(runs, dtype=np.int64), np.zeros(runs, dtype=np.int64)
    rollback, promotion = np.full(runs, np.inf), np.full(runs, np.inf)
    for look in range(min(FLAGGER_LONGEST, rates.candidate.shape[1])):
        over = np.isfinite(rollback) | np.isfinite(promotion)
        rollback[~over & (failed >= FLAGGER_FAILURES)] = look + 2
        promotion[~over & (passed >= len(WEIGHTS))] = look + 1
        weight = np.asarray(WEIGHTS)[np.minimum(passed, len(WEIGHTS) - 1)]
        n_c, x_c, _, _ = rates.draw(random, rps=rps, look=look, weight=weight)
        bad = _too_many_errors(n_c, x_c) | (n_c == 0)
        failed += bad
        passed += ~bad
    return Ended(rollback, promotion)
