"""When a look is due, and over which time.

A look counts from the end of the last one to a scrape interval ago, so that every series had its
scrape; nothing is counted between a change of weight and the end of the warm-up.
"""

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ArmState, LookStatus, ModelRolloutStatus
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
    at = next_at(spec, status, scrape_interval_s=scrape_interval_s)
    if at is not None and now >= at and status.look is not None and (arms := _arms(status)):
        end = now - scrape_interval_s
        return Window(status.look.at, end, arms[0], baseline(status), others=arms[1:])
    if at is None or now < at or status.rollout is None or status.candidate is None:
        return None
    end = now - scrape_interval_s
    is_survey = status.rollout.phase == Phase.STARTING
    start = end - SURVEY_S if is_survey or status.look is None else status.look.at
    return Window(start, end, status.candidate.name, baseline(status))


def next_at(
    spec: ModelRolloutSpec, status: ModelRolloutStatus, *, scrape_interval_s: float
) -> float | None:
    """When the next look is due, seconds since the epoch; None when none is to come.

    A look that failed is tried again an interval later, and spans the gap.
    """
    rollout, look = status.rollout, status.look
    if _arms(status) and spec.analysis.metrics:
        return _after(look, spec, status, scrape_interval_s=scrape_interval_s)
    if rollout is None or status.candidate is None or not spec.analysis.metrics:
        return None
    if rollout.phase == Phase.STARTING:
        if rollout.surveyed:
            return None
        return rollout.started_at if look is None else look.at + spec.analysis.interval
    if rollout.phase not in _LOOKED_AT:
        return None
    return _after(look, spec, status, scrape_interval_s=scrape_interval_s)


def _after(
    look: LookStatus | None,
    spec: ModelRolloutSpec,
    status: ModelRolloutStatus,
    *,
    scrape_interval_s: float,
) -> float | None:
    if look is None or status.decision.confirmed_at is None:
        return None
    return look.at + spec.analysis.interval * (look.failures + 1) + scrape_interval_s


def _arms(status: ModelRolloutStatus) -> tuple[str, ...]:
    """The arms of an A/B test that have users."""
    test = status.ab_test
    if test is None or not test.running or status.rollout is not None:
        return ()
    return tuple(arm.version.name for arm in test.arms if arm.state is ArmState.RUNNING)


def baseline(status: ModelRolloutStatus) -> str:
    """The version that the candidate is compared with: stable, or the held-back one in a bake."""
    if status.previous is not None:
        return status.previous.name
    return status.stable.name if status.stable else ""
