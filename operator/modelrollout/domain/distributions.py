"""Whole distributions of latency, for people: quantiles with intervals, and a band over them all.

No decision rests on them: a quantile between bucket bounds is a guess, and the share above a bound
is not. They tell where a candidate is slower when that share says that it is.
"""

from typing import Final

from modelrollout.analysis import bands, histograms
from modelrollout.analysis.histograms import Histogram, Looks
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain.observed import Distribution
from modelrollout.domain.planned import Window
from modelrollout.domain.transitions import Phase

EVERY: Final = 5
"""Looks from one reading to the next: all buckets are many series, and nobody reads faster."""
LONGEST_S: Final = 1800.0
SHOWN: Final = (0.5, 0.99)
ALPHA: Final = 0.05


def due(
    status: ModelRolloutStatus,
    end: float,
    *,
    candidate: str,
    stable: str,
    warm_up_s: float,
    interval_s: float,
) -> Window | None:
    """The stretch of the present step to read distributions of; None when none is due.

    Args:
        status: as stored, before the look counts.
        end: of the look that is due, seconds since the epoch.
        candidate: name of the version.
        stable: name of the version it is compared with.
        warm_up_s: not looked at after the weight changed.
        interval_s: between looks; a shorter stretch says nothing.
    """
    rollout, last, confirmed_at = status.rollout, status.look, status.decision.confirmed_at
    if rollout is None or last is None or confirmed_at is None:
        return None
    if rollout.phase == Phase.STARTING or (last.number + 1) % EVERY:
        return None
    start = max(confirmed_at + warm_up_s, end - LONGEST_S)
    return Window(start, end, candidate, stable) if end - start >= interval_s else None


def words(found: Distribution) -> str:
    """`p50 0.1 s (0.05 to 0.25) against 0.1 s (0.05 to 0.25), p99 ...; slower at no bound`.

    Args:
        found: of both arms.
    """
    if found.candidate.bounds != found.stable.bounds:
        return "the versions export different buckets"
    told = [
        f"p{100 * q:g} {_quantile(found.candidate, q, unit=found.unit)} against "
        f"{_quantile(found.stable, q, unit=found.unit)}"
        for q in SHOWN
    ]
    return f"{', '.join(told)}; {_band(found)}"


def _quantile(histogram: Histogram, q: float, *, unit: str) -> str:
    value = histograms.quantile(histogram, q)
    if value is None:
        return "unknown"
    around = histograms.quantile_interval(histogram, q, alpha=ALPHA, looks=Looks.ANY)
    return f"{value:.3g} {unit} ({around.low:.3g} to {around.high:.3g})"


def _band(found: Distribution) -> str:
    if min(found.candidate.total, found.stable.total) < bands.FIRST:
        return f"fewer than {bands.FIRST} requests of a version"
    slower = bands.slower(candidate=found.candidate, stable=found.stable, alpha=ALPHA)
    if slower is None:
        return "slower at no bound"
    bound = f"{slower.bound:.3g} {found.unit}"
    return f"{100 * slower.difference:.1f} % more of its requests take over {bound}"
