"""`capacity: ParkOld`: the old workload goes to zero after bake and drain, and comes back.

How many replicas it had is stored before it is scaled. It is never scaled down while it has weight,
is a way back, or drains; and it is scaled up before anything may return to it, as its own readiness
gates every step.
"""

from modelrollout.api.status import ArmState, Identity, Parked
from modelrollout.domain.passing import Pass
from modelrollout.domain.planned import Scale
from modelrollout.domain.reasons import Code, Reason

WAITING, PARKING, PARKED, RETURNING = "Waiting", "Parking", "Parked", "Returning"
_ASSERTED_S = 30.0
"""How long a return is written in every pass, whatever is seen: what is seen may be old."""
_WATCHED_S = 300.0
"""How long a return is watched, longer than anything seen may be old."""


def foreign(turn: Pass) -> Reason | None:
    """Why `capacity: ParkOld` cannot be had, None when it can or is not asked for."""
    if turn.spec.capacity != "ParkOld":
        return None
    for version in turn.spec.versions:
        workload, owner = version.workload, turn.seen(version.name).replicas_owner
        autoscaler = (turn.observed.autoscalers or {}).get(version.name)
        if workload is None:
            sentence = f"{version.name} names no workload that could be scaled: add `workload`"
            return Reason(Code.REPLICAS_OWNED, f"capacity is ParkOld, and {sentence}")
        if autoscaler is not None:
            owner = f"the HorizontalPodAutoscaler {autoscaler.name}"
        if owner:
            return Reason(
                Code.REPLICAS_OWNED,
                f"capacity is ParkOld, and {owner} sets the replicas of {workload.kind} "
                f"{workload.name}: leave `replicas` to the operator (no field in the manifest, no "
                "autoscaler; the number is set by `kubectl scale`), or write `capacity: Leave`",
            )
    return None


def remember(turn: Pass, old: Identity | None) -> None:
    """The bake is over: what has served until now may be parked once it has drained."""
    if old is None or turn.spec.capacity != "ParkOld":
        return
    seen = turn.seen(old.name)
    others = [entry for entry in turn.status.parked if entry.name != old.name]
    if seen.wanted:
        entry = Parked(name=old.name, replicas=seen.wanted, state=WAITING, since=turn.now)
        turn.put(parked=[*others, entry])


def follow(turn: Pass) -> None:
    """Moves every entry on: parked when it may be, returned when it must be, forgotten after."""
    moved = [_followed(turn, entry) for entry in turn.status.parked]
    kept = [entry for entry in moved if entry is not None]
    if kept != turn.status.parked:
        turn.put(parked=kept)


def _followed(turn: Pass, entry: Parked) -> Parked | None:
    if turn.written(entry.name) is None or turn.seen(entry.name).workload_exists is False:
        return None
    is_needed = _has_a_part(turn, entry.name) or turn.spec.capacity != "ParkOld"
    match entry.state:
        case "Waiting":
            return _waiting(turn, entry, is_needed=is_needed)
        case "Parking" | "Parked" if is_needed or _has_requests(turn, entry.name):
            return _returned(turn, entry)
        case "Parking" | "Parked":
            return _at_zero(turn, entry)
        case _:
            is_over = turn.seen(entry.name).wanted and turn.now - entry.since > _WATCHED_S
            return None if is_over else entry


def _at_zero(turn: Pass, entry: Parked) -> Parked | None:
    wanted = turn.seen(entry.name).wanted
    if entry.state == PARKING:
        return _state(turn, entry, PARKED) if wanted == 0 else entry
    if wanted:
        sentence = f"somebody scaled {entry.name} up while it was parked: it is let be"
        turn.tell(Code.UNPARKED, sentence)
        return None
    return entry


def _has_a_part(turn: Pass, name: str) -> bool:
    """Whether a version serves, is on its way, is a way back, or is wanted."""
    status = turn.status
    roles = (status.stable, status.candidate, status.previous)
    return (
        name == turn.spec.target
        or any(one is not None and one.name == name for one in roles)
        or status.decision.shares.get(name, 0) > 0
        or _is_arm(turn, name)
        or _is_shadowed(turn, name)
    )


def _is_shadowed(turn: Pass, name: str) -> bool:
    asked = turn.spec.strategy.shadow
    return asked is not None and asked.version == name


def _is_arm(turn: Pass, name: str) -> bool:
    test = turn.status.ab_test
    arms = test.arms if test is not None and test.running else []
    return any(one.version.name == name and one.state is not ArmState.STOPPED for one in arms)


def _has_requests(turn: Pass, name: str) -> bool:
    return (turn.observed.traffic.shares or {}).get(name, 0) > 0


def _waiting(turn: Pass, entry: Parked, *, is_needed: bool) -> Parked | None:
    if is_needed:
        return None
    if turn.now < parks_at(turn, entry) or turn.refused is not None:
        return entry
    sentence = f"{entry.name} has drained: its {entry.replicas} replicas are scaled to 0"
    turn.tell(Code.PARKED, f"{sentence}, and come back before anything returns to it")
    return _state(turn, entry, PARKING)


def parks_at(turn: Pass, entry: Parked) -> float:
    """When a version that waits has drained; infinite while the routes do not follow."""
    confirmed_at = turn.status.decision.confirmed_at
    if confirmed_at is None or _has_requests(turn, entry.name):
        return float("inf")
    return max(confirmed_at, entry.since) + turn.spec.drain


def _returned(turn: Pass, entry: Parked) -> Parked:
    turn.tell(Code.UNPARKED, f"{entry.name} is needed again: back to {entry.replicas} replicas")
    return _state(turn, entry, RETURNING)


def _state(turn: Pass, entry: Parked, state: str) -> Parked:
    return entry.model_copy(update={"state": state, "since": turn.now})


def returns(turn: Pass, name: str) -> bool:
    """Whether a version that is at zero is there by our hand, and so comes back by it."""
    return any(entry.name == name and entry.state != WAITING for entry in turn.status.parked)


def scales(turn: Pass) -> tuple[Scale, ...]:
    """What is to be scaled now, by the stored entries alone."""
    return tuple(
        Scale(entry.name, 0 if entry.state == PARKING else entry.replicas)
        for entry in turn.status.parked
        if entry.state == PARKING or (entry.state == RETURNING and _is_written(turn, entry))
    )


def _is_written(turn: Pass, entry: Parked) -> bool:
    return not turn.seen(entry.name).wanted or turn.now - entry.since < _ASSERTED_S


def due(turn: Pass, *, poll_s: float) -> list[float]:
    """When an entry moves on by itself, seconds since the epoch."""
    at = [parks_at(turn, entry) for entry in turn.status.parked if entry.state == WAITING]
    found = [instant for instant in at if instant != float("inf")]
    if any(entry.state == PARKING for entry in turn.status.parked):
        found.append(turn.now + poll_s)
    if any(e.state == RETURNING and _is_written(turn, e) for e in turn.status.parked):
        found.append(turn.now + poll_s)
    return found
