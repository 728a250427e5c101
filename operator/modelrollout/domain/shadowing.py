"""The shadow: copies of requests go to a version, and what it answers is compared.

It moves no user. As a step it can take the candidate back before anybody meets it; alone it ends
with a report, and the target stays. Its clock runs only while an observer compares. What the
observer counted is read once an interval, and added up here, so that neither a restart of the
observer nor a pass that is made twice counts anything twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from modelrollout.api import scalars
from modelrollout.api.shadow import Shadowing
from modelrollout.api.status import Identity, ShadowStatus
from modelrollout.domain import agreeing
from modelrollout.domain.observed import ShadowSeen
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.planned import Observing
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import ShadowStep
from modelrollout.domain.transitions import Phase

_POLL_S = 2.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The shadow that should be under way."""

    key: str
    version: Identity
    asked: Shadowing
    is_step: bool


def _wanted(turn: Pass) -> _Wanted | None:
    """Of the present step, else the one that stands alone."""
    rollout, candidate = turn.status.rollout, turn.status.candidate
    if rollout is not None and candidate is not None:
        step = turn.step() if phase_of(turn.status) is Phase.WAITING else None
        if not isinstance(step, ShadowStep):
            return None
        key = _hashed(turn.observed.uid, rollout.id, str(rollout.step_index), str(candidate))
        return _Wanted(key, candidate, step.asked, is_step=True)
    return _alone(turn)


def _alone(turn: Pass) -> _Wanted | None:
    asked, stable = turn.spec.strategy.shadow, turn.status.stable
    if asked is None or stable is None or phase_of(turn.status) is not Phase.SERVING:
        return None
    if turn.target != stable.name or asked.version == stable.name:
        return None
    if turn.written(asked.version) is None or turn.seen(asked.version).ready == 0:
        return None
    version = turn.identity(asked.version)
    how = asked.model_dump_json(exclude={"sample", "duration"})
    key = _hashed(turn.observed.uid, str(version), str(stable), how)
    return _Wanted(key, version, asked, is_step=False)


def _hashed(*parts: str) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def follow(turn: Pass) -> None:
    """Begins what should be under way, ends what should not, and takes in what was counted."""
    if turn.refused is not None:
        return
    wanted, shadow = _wanted(turn), turn.status.shadow
    if shadow is not None and shadow.running and (wanted is None or wanted.key != shadow.key):
        _put(turn, running=False)
    seen = turn.observed.shadow
    if shadow is not None and not shadow.running and shadow.standing and seen and not seen.exists:
        _put(turn, standing=False)
    if wanted is None:
        return
    if shadow is None or shadow.key != wanted.key:
        _begin(turn, wanted)
    elif shadow.running:
        _take_in(turn, wanted)


def _begin(turn: Pass, wanted: _Wanted) -> None:
    turn.put(
        shadow=ShadowStatus(
            key=wanted.key, version=wanted.version, started_at=turn.now, clock_at=turn.now
        )
    )
    turn.tell(
        Code.SHADOWING,
        f"{scalars.percent(wanted.asked.sample)} of the requests are copied to {wanted.version} "
        f"for {scalars.duration(wanted.asked.duration)}; no user gets its answers",
    )


def _take_in(turn: Pass, wanted: _Wanted) -> None:
    shadow, seen = _shadow(turn), turn.observed.shadow or ShadowSeen()
    gap_s, interval_s = turn.now - shadow.clock_at, turn.spec.analysis.interval
    if seen.totals is None and 0.0 <= gap_s < interval_s:
        return
    compares = seen.ready and not seen.problem and turn.status.decision.tee == shadow.version.name
    runs = compares and not turn.status.paused and turn.status.decision.confirmed_at is not None
    passed_s = min(max(gap_s, 0.0), 1.5 * interval_s) if runs else 0.0
    _put(turn, clock_at=turn.now, clock_s=shadow.clock_s + passed_s)
    if seen.totals is not None:
        _put(turn, seen={**shadow.seen, **seen.totals}, counted=added(shadow, seen.totals))
    if not wanted.is_step:
        _report(turn, wanted)


def added(shadow: ShadowStatus, totals: Mapping[str, int]) -> dict[str, int]:
    """What was counted by now; a counter that fell began anew."""
    grown = {
        name: total - shadow.seen.get(name, 0) if total >= shadow.seen.get(name, 0) else total
        for name, total in totals.items()
    }
    names = {**shadow.counted, **grown}
    return {name: shadow.counted.get(name, 0) + grown.get(name, 0) for name in names}


def _report(turn: Pass, wanted: _Wanted) -> None:
    shadow = _shadow(turn)
    if shadow.clock_s < wanted.asked.duration:
        return
    judged = _judged(turn, wanted.asked)
    against = judged.failed or judged.lacking or ""
    ended = f"{shadow.version} in shadow: {judged.sentence}"
    _put(turn, running=False, message=f"{ended}; {against}" if against else ended)
    turn.tell(Code.SHADOW_REPORTED, _shadow(turn).message, warning=bool(judged.failed))


def _shadow(turn: Pass) -> ShadowStatus:
    if turn.status.shadow is None:
        raise RuntimeError("expected a shadow under way")
    return turn.status.shadow


def _put(turn: Pass, **changes: object) -> None:
    turn.put(shadow=_shadow(turn).model_copy(update=changes))


def _judged(turn: Pass, asked: Shadowing) -> agreeing.Judged:
    rates = turn.spec.analysis.error_rate
    return agreeing.judged(
        _shadow(turn).counted,
        asked,
        false_rollback=rates.false_rollback,
        false_promotion=rates.false_promotion,
    )


def failed(turn: Pass) -> Reason | None:
    """Why the shadow speaks against the candidate, None when it does not."""
    step = turn.step()
    if not isinstance(step, ShadowStep) or turn.status.shadow is None:
        return None
    judged = _judged(turn, step.asked)
    if not judged.failed:
        return None
    sentence = f"{turn.status.candidate}: {judged.failed}; {judged.sentence}; no user met it"
    return Reason(Code.SHADOW_DISAGREES, sentence)


def held(turn: Pass, step: ShadowStep) -> Reason | None:
    """Why the step is not served yet, None when the comparison is complete."""
    shadow, seen = turn.status.shadow, turn.observed.shadow or ShadowSeen()
    if shadow is None or not shadow.running:
        return Reason(Code.SHADOWING, "the shadow is about to begin")
    if seen.problem:
        return Reason(Code.OBSERVER_TROUBLE, seen.problem)
    if not seen.ready:
        return Reason(Code.OBSERVER_TROUBLE, "the observer is not ready yet")
    judged = _judged(turn, step.asked)
    left_s = step.asked.duration - shadow.clock_s
    if left_s > 0:
        left = scalars.duration(max(left_s, 1.0))
        return Reason(Code.SHADOWING, f"requests are compared for another {left}")
    if judged.lacking:
        return Reason(Code.SHADOWING, f"{judged.lacking}; {judged.sentence}")
    return None


def tee(turn: Pass) -> tuple[str, int]:
    """Who is to get copies of how many of ten thousand requests, once somebody compares them."""
    decision, shadow = turn.status.decision, turn.status.shadow
    if turn.refused is not None:
        return decision.tee, decision.tee_parts
    wanted = _wanted(turn)
    if wanted is None or shadow is None or not shadow.running or shadow.key != wanted.key:
        return "", 0
    seen = turn.observed.shadow
    begun = decision.tee == wanted.version.name
    if not begun and (seen is None or not seen.ready):
        return "", 0
    return wanted.version.name, wanted.asked.sample


def observing(turn: Pass) -> Observing | None:
    """The observer that must stand now."""
    wanted, shadow, stable = _wanted(turn), turn.status.shadow, turn.status.stable
    if wanted is None or shadow is None or stable is None or turn.refused is not None:
        return None
    if not shadow.running or shadow.key != wanted.key:
        return None
    return Observing(wanted.key, wanted.version.name, stable.name, wanted.asked)


def is_left_over(turn: Pass) -> bool:
    """An observer stands, and nothing is compared: after the tee is gone, it goes, too."""
    shadow, decision = turn.status.shadow, turn.status.decision
    if shadow is None or shadow.running or not shadow.standing:
        return False
    return not decision.tee and decision.confirmed_at is not None


def due(turn: Pass) -> list[float]:
    """When the shadow wants another pass."""
    shadow, seen = turn.status.shadow, turn.observed.shadow or ShadowSeen()
    if shadow is None or turn.refused is not None or not (shadow.running or shadow.standing):
        return []  # nothing of it moves while the resource is refused
    if not shadow.running or not seen.ready:
        return [turn.now + _POLL_S]
    return [max(shadow.clock_at + turn.spec.analysis.interval, turn.now + 0.1)]
