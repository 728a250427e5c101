"""What cannot be followed is refused: it is said so, once, and traffic stays where it is."""

from modelrollout.api.status import SCHEMA_VERSION, Condition, ModelRolloutStatus
from modelrollout.domain import conditions, parking, steps
from modelrollout.domain.observed import Observed
from modelrollout.domain.passing import Pass
from modelrollout.domain.planned import Event, EventType, Plan
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase

LONGEST = 1024
"""Characters that a message in status may have."""
_CONDITIONS = (("Ready", "False"), ("Accepted", "False"), ("Stalled", "True"))


def newer(status: ModelRolloutStatus) -> Plan | None:
    """The plan for a status that a newer operator wrote: nothing is touched; None for others."""
    if status.schema_version <= SCHEMA_VERSION:
        return None
    reason = Reason(
        Code.NEWER_SCHEMA,
        f"the status was written by a newer operator (schema {status.schema_version}, this one "
        f"knows {SCHEMA_VERSION}): upgrade the operator; traffic stays as it is",
    )
    return Plan(status=status, events=(Event(EventType.WARNING, reason),))


def unreadable(now: float, status: ModelRolloutStatus, reason: Reason, observed: Observed) -> Plan:
    """The plan for a resource that cannot be understood."""
    sentence = reason.sentence[:LONGEST]
    known = {condition.type: condition for condition in status.conditions}
    kept = [known[kind] for kind in known if kind not in dict(_CONDITIONS)]
    new = [
        Condition(
            type=kind,
            status=truth,
            reason=reason.code,
            message=sentence,
            last_transition_time=known[kind].last_transition_time
            if kind in known and known[kind].status == truth
            else conditions.stamp(now),
            observed_generation=observed.generation,
        )
        for kind, truth in _CONDITIONS
    ]
    is_told = "Accepted" in known and known["Accepted"].message == sentence
    after = {
        "uid": status.uid or observed.uid,
        "conditions": [*new, *kept],
        "message": sentence,
        "observed_generation": observed.generation,
    }
    renewed = status.model_copy(update=after)
    return Plan(
        status=status if renewed == status else renewed,
        events=() if is_told else (Event(EventType.WARNING, reason),),
        finalizer=status.rollout is not None,
    )


def unacceptable(turn: Pass) -> Reason | None:
    """Why the spec, or what it refers to, cannot be followed; None when it can."""
    refused = turn.observed.problem or _misspelt(turn) or parking.foreign(turn)
    return refused or _at_the_door(turn)


def leaves_traffic(turn: Pass) -> bool:
    """Whether the refusal means that nothing at all may be done.

    A rollout under way keeps its ways back to stable; a target that is not there yet stops nothing
    but its own start.
    """
    if turn.refused is None:
        return False
    stable = turn.status.stable
    if stable is None or turn.written(stable.name) is None:
        return True
    under_way = turn.status.rollout is not None or turn.phase is Phase.TESTING
    return not under_way and turn.refused != _at_the_door(turn)


def _at_the_door(turn: Pass) -> Reason | None:
    return _backend(turn) if is_at_the_door(turn) else None


def _misspelt(turn: Pass) -> Reason | None:
    try:
        steps.compiled(turn.spec)
    except steps.UnusableStrategyError as problem:
        return Reason(Code.INVALID_SPEC, str(problem))
    if turn.written(turn.spec.target) is None:
        names = ", ".join(version.name for version in turn.spec.versions)
        return Reason(Code.INVALID_SPEC, f"target {turn.spec.target} is none of: {names}")
    if (wrong := _wrong_arm(turn)) is not None:
        return wrong
    stable = turn.status.stable
    if stable is not None and turn.written(stable.name) is None:
        sentence = f"{stable.name} serves and must stay among the versions of the spec"
        return Reason(Code.INVALID_SPEC, sentence)
    return None


def _wrong_arm(turn: Pass) -> Reason | None:
    test = turn.spec.strategy.ab_test
    for arm in test.arms if test is not None else ():
        if turn.written(arm.version) is None:
            sentence = f"arm {arm.version} of the A/B test is none of the versions"
            return Reason(Code.INVALID_SPEC, sentence)
        if arm.version == turn.spec.target:
            sentence = f"target {arm.version} is what the arms are compared with, and is one itself"
            return Reason(Code.INVALID_SPEC, f"{sentence}: take it out of abTest.arms")
    return None


def is_at_the_door(turn: Pass) -> bool:
    """The target is about to get traffic for the first time."""
    stable = turn.status.stable
    if stable is None:
        return True
    at_rest = turn.phase in {Phase.SERVING, Phase.TESTING, Phase.ROLLED_BACK}
    return at_rest and stable.name != turn.target


def _backend(turn: Pass) -> Reason | None:
    name, seen = turn.target, turn.seen(turn.target)
    version = turn.written(name)
    if version is None:
        return None
    if not seen.backend_exists:
        return Reason(
            Code.BACKEND_MISSING,
            f"target {name}: the {' '.join(version.backend)} does not exist yet; deploy it",
        )
    if seen.workload_exists is False and version.workload is not None:
        kind = version.workload.kind
        return Reason(
            Code.BACKEND_MISSING,
            f"target {name}: the {kind} {version.workload.name} does not exist yet; deploy it",
        )
    if seen.wanted == 0 and not parking.returns(turn, name):
        return Reason(
            Code.SCALED_TO_ZERO,
            f"target {name} is scaled to zero: set a minimum of 1 for the rollout",
        )
    return None


def tell(turn: Pass, refused: Reason) -> None:
    """Tells a refusal, once."""
    sentence = refused.sentence[:LONGEST]
    if turn.status.message != sentence:
        turn.tell(refused.code, refused.sentence, warning=True)
        turn.put(message=sentence)
