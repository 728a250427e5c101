"""When a look is due, and over which time.

A look counts from the end of the last one to a scrape interval ago, so that every series had its
scrape; nothing is counted between a change of weight and the end of the warm-up.
"""

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain.planned import Window
from modelrollout.domain.transitions import Phase

SURVEY_S = 300.0
"""How far back the survey of stable looks before anything is moved."""

_LOOKED_AT = frozenset({Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED, Phase.BAKING})


def due(
    now: float, spec: ModelRolloutSpec, status: ModelRolloutStatus, *, scrape_interval_s: float
) -> Window | None:
    """The look that is due now, or None.

    Args:
        now: seconds since the epoch.
        spec: of the rollout.
        status: as stored.
        scrape_interval_s: of the slowest source in use.
    """
    rollout = status.rollout
    if rollout is None or status.candidate is None or not spec.analysis.metrics:
        return None
    end = now - scrape_interval_s
    arms = status.candidate.name, baseline(status)
    if rollout.phase == Phase.STARTING and not rollout.surveyed:
        waited = status.look is None or now >= status.look.at + spec.analysis.interval
        return Window(end - SURVEY_S, end, *arms) if waited else None
    if rollout.phase not in _LOOKED_AT or status.look is None:
        return None
    if status.decision.confirmed_at is None:
        return None
    if rollout.phase == Phase.BAKING and status.previous is None:
        return None
    long_enough = end - status.look.at >= spec.analysis.interval
    return Window(status.look.at, end, *arms) if long_enough else None


def next_at(
    spec: ModelRolloutSpec, status: ModelRolloutStatus, *, scrape_interval_s: float
) -> float | None:
    """When the next look is due, seconds since the epoch; None when none is to come."""
    if status.rollout is None or status.look is None or not spec.analysis.metrics:
        return None
    delay_s = 0.0 if status.rollout.phase == Phase.STARTING else scrape_interval_s
    return status.look.at + spec.analysis.interval + delay_s


def baseline(status: ModelRolloutStatus) -> str:
    """The version that the candidate is compared with: stable, or the held-back one in a bake."""
    if status.previous is not None:
        return status.previous.name
    return status.stable.name if status.stable else ""
