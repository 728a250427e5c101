"""`plan`: everything that follows from what is wanted, remembered and seen, at one instant.

The order of a pass: believe the status or not, follow deletion, check what the resource refers to,
find out who serves, follow target and revisions, advance the clocks, confirm the routes, then let
the phase act. The outcome is one value; the edge persists its status first and acts afterwards.
"""

from modelrollout.api import scalars
from modelrollout.api.spec import Margin, ModelRolloutSpec
from modelrollout.api.status import (
    SCHEMA_VERSION,
    Condition,
    Effective,
    ModelRolloutStatus,
    VersionStatus,
)
from modelrollout.domain import (
    answering,
    conditions,
    describing,
    ending,
    guarding,
    programming,
    questions,
    stepping,
    steps,
    targeting,
    ticking,
    weighing,
)
from modelrollout.domain.observed import Observed
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.planned import Event, EventType, Plan
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase

TERMINATION_S = 120.0
"""How long a deletion waits for its traffic to return at most."""
_POLL_S = 2.0
_SLOW_POLL_S = 10.0


def plan(
    now: float, spec: ModelRolloutSpec, status: ModelRolloutStatus, observed: Observed
) -> Plan:
    """Decides everything for one rollout at one instant. Pure: no clock, no randomness, no I/O.

    Args:
        now: seconds since the epoch.
        spec: what is wanted, its preset already merged into its metrics.
        status: what is remembered, as stored.
        observed: what is seen.

    Returns:
        The new status, the desired split, what to tell and when to look again.
    """
    if status.schema_version > SCHEMA_VERSION:
        return _newer(status)
    turn = Pass(now, spec, observed, status)
    targeting.restore(turn)
    if observed.deleting:
        return _terminate(turn)
    refused = _unacceptable(turn)
    if refused is None:
        _pursue(turn)
    return _planned(turn, refused=refused)


def refuse(now: float, status: ModelRolloutStatus, reason: Reason, observed: Observed) -> Plan:
    """The plan for a resource that cannot be understood: it says so, and traffic stays.

    Args:
        now: seconds since the epoch.
        status: what is remembered.
        reason: what is wrong and what to change.
        observed: what is seen.
    """
    if status.schema_version > SCHEMA_VERSION:
        return _newer(status)
    condition = {"status": "False", "reason": reason.code, "message": reason.sentence[:1024]}
    kept = [c for c in status.conditions if c.type not in {"Ready", "Accepted", "Stalled"}]
    stamped = {"last_transition_time": conditions.stamp(now)}
    known = {c.type: c for c in status.conditions}
    new = []
    for kind, truth in (("Ready", "False"), ("Accepted", "False"), ("Stalled", "True")):
        fields = {**condition, "type": kind, "status": truth, **stamped}
        old = known.get(kind)
        if old is not None and old.status == truth:
            fields["last_transition_time"] = old.last_transition_time
        new.append(Condition(**fields, observed_generation=observed.generation))
    told = known.get("Accepted")
    events = (
        ()
        if told is not None and told.message == reason.sentence[:1024]
        else (Event(EventType.WARNING, reason),)
    )
    after = status.model_copy(
        update={
            "uid": status.uid or observed.uid,
            "conditions": [*new, *kept],
            "message": reason.sentence[:1024],
            "observed_generation": observed.generation,
        }
    )
    return Plan(status=after, events=events, finalizer=status.rollout is not None)


def _newer(status: ModelRolloutStatus) -> Plan:
    reason = Reason(
        Code.NEWER_SCHEMA,
        f"the status was written by a newer operator (schema {status.schema_version}, this one "
        f"knows {SCHEMA_VERSION}): upgrade the operator; traffic stays as it is",
    )
    return Plan(status=status, events=(Event(EventType.WARNING, reason),))


def _unacceptable(turn: Pass) -> Reason | None:
    if turn.observed.problem is not None:
        return turn.observed.problem
    try:
        turn.steps()
    except steps.UnusableStrategyError as problem:
        return Reason(Code.INVALID_SPEC, str(problem))
    target = turn.written(turn.spec.target)
    if target is None:
        names = ", ".join(version.name for version in turn.spec.versions)
        return Reason(Code.INVALID_SPEC, f"target {turn.spec.target} is none of: {names}")
    stable = turn.status.stable
    if stable is not None and turn.written(stable.name) is None:
        return Reason(
            Code.INVALID_SPEC, f"{stable.name} serves and must stay among the versions of the spec"
        )
    return _backend(turn) if _at_the_door(turn) else None


def _at_the_door(turn: Pass) -> bool:
    """The target is about to get traffic for the first time."""
    stable = turn.status.stable
    if stable is None:
        return True
    at_rest = phase_of(turn.status) in {Phase.SERVING, Phase.ROLLED_BACK}
    return at_rest and stable.name != turn.spec.target


def _backend(turn: Pass) -> Reason | None:
    name, seen, version = turn.spec.target, turn.seen(turn.spec.target), None
    version = turn.written(name)
    if version is None:
        return None
    if not seen.backend_exists:
        return Reason(
            Code.BACKEND_MISSING,
            f"target {name}: the Service {version.service.name} does not exist yet; deploy it",
        )
    if seen.workload_exists is False and version.workload is not None:
        kind = version.workload.kind
        return Reason(
            Code.BACKEND_MISSING,
            f"target {name}: the {kind} {version.workload.name} does not exist yet; deploy it",
        )
    if seen.wanted == 0:
        return Reason(
            Code.SCALED_TO_ZERO,
            f"target {name} is scaled to zero: set a minimum of 1 for the rollout",
        )
    return None


def _pursue(turn: Pass) -> None:
    targeting.adopt(turn)
    ticking.tick(turn)
    targeting.follow(turn)
    programming.follow(turn)
    guarding.alert_stable(turn)
    match phase_of(turn.status):
        case Phase.STARTING:
            answering.answer(turn)
            if phase_of(turn.status) is Phase.STARTING:
                stepping.start(turn)
        case Phase.STEPPING | Phase.WAITING | Phase.UNDECIDED | Phase.BAKING:
            stepping.under_way(turn)
        case Phase.DRAINING:
            answering.answer(turn)
            _drain(turn)
        case Phase.SERVING | Phase.ROLLED_BACK | Phase.PENDING | Phase.TERMINATING:
            answering.answer(turn)
    if turn.phase is Phase.BAKING and turn.spec.bake is None:
        ending.finish(turn)
    turn.decide_shares(targeting.shares(turn))


def _drain(turn: Pass) -> None:
    until = turn.rollout.drain_until or 0.0
    if turn.now >= until and turn.status.decision.confirmed_at is not None:
        ending.drained(turn)


def _terminate(turn: Pass) -> Plan:
    """Traffic to stable first, bounded in time; then the object may go."""
    if turn.status.phase != Phase.TERMINATING:
        turn.put(phase=Phase.TERMINATING.value, message="traffic returns to stable")
        turn.tell(Code.DELETING, f"deleted: traffic returns to {turn.status.stable}")
        if turn.status.stable is not None:
            turn.decide_shares({turn.status.stable.name: scalars.PARTS})
        turn.put(previous=None)
    decision, seen = turn.status.decision, turn.observed.traffic
    returned = (
        not decision.shares
        or not seen.exists
        or (programming.agrees(seen.shares, decision.shares) and seen.programmed)
    )
    gone = returned or turn.now - decision.at > TERMINATION_S
    conditions.renew(turn)
    return Plan(
        status=turn.status,
        shares=decision.shares or None,
        stable=turn.status.stable.name if turn.status.stable else "",
        finalizer=not gone,
        delete_route=gone and turn.spec.deletion_policy == "Delete",
        events=tuple(turn.events),
        wake_at=turn.now + _POLL_S,
    )


def _planned(turn: Pass, *, refused: Reason | None) -> Plan:
    _describe(turn, refused=refused)
    conditions.renew(turn, refused=refused)
    _tell_refusal(turn, refused)
    decision = turn.status.decision
    leave = refused is not None or not decision.shares or _between_fights(turn)
    return Plan(
        status=turn.status,
        shares=None if leave else decision.shares,
        stable=turn.status.stable.name if turn.status.stable else "",
        finalizer=turn.status.rollout is not None or turn.spec.deletion_policy == "Delete",
        events=tuple(turn.events),
        wake_at=_wake_at(turn, refused=refused),
    )


def _between_fights(turn: Pass) -> bool:
    writer = turn.status.writer
    if writer is None or programming.fight(turn) is None:
        return False
    return turn.now - writer.last_at < programming.FIGHT_PAUSE_S


def _tell_refusal(turn: Pass, refused: Reason | None) -> None:
    known = {c.type: c for c in turn.status.conditions}
    accepted = known.get("Accepted")
    if refused is not None and accepted is not None and turn.status.message != refused.sentence:
        turn.tell(refused.code, refused.sentence, warning=True)
        turn.put(message=refused.sentence[:1024])


def _describe(turn: Pass, *, refused: Reason | None) -> None:
    status, rollout, phase = turn.status, turn.status.rollout, phase_of(turn.status)
    known = turn.steps() if refused is None or refused.code is not Code.INVALID_SPEC else ()
    candidate = status.candidate
    share = status.decision.shares.get(candidate.name, 0) if candidate and rollout else 0
    at = f"{rollout.step_index + 1}/{len(known)}" if rollout is not None and known else ""
    turn.put(
        observed_generation=turn.observed.generation,
        phase=phase.value,
        step=at,
        weight=scalars.percent(share) if rollout is not None else "",
        versions=[_version(turn, version.name) for version in turn.spec.versions],
        effective=_effective(turn, known),
    )
    if rollout is not None and phase not in {Phase.STARTING, Phase.DRAINING}:
        _rows(turn)
    if refused is None:
        turn.put(message=_message(turn)[:1024])


def _message(turn: Pass) -> str:
    phase = phase_of(turn.status)
    if phase is Phase.SERVING:
        trouble = guarding.stable_trouble(turn) or programming.trouble(turn)
        return trouble.sentence if trouble else f"{turn.status.stable} serves"
    if phase is Phase.ROLLED_BACK:
        return conditions.rejected(turn).sentence
    if phase is Phase.STARTING and turn.rollout.forecast:
        return f"{conditions.progress(turn).sentence} ({turn.rollout.forecast})"
    return conditions.progress(turn).sentence


def _version(turn: Pass, name: str) -> VersionStatus:
    seen, shares = turn.seen(name), turn.observed.traffic.shares
    wanted = "" if seen.wanted is None else f"/{seen.wanted}"
    return VersionStatus(
        name=name,
        revision=seen.revision,
        ready=f"{seen.ready}{wanted}" if seen.backend_exists else "absent",
        weight=scalars.percent(turn.status.decision.shares.get(name, 0)),
        observed_weight="" if shares is None else scalars.percent(shares.get(name, 0)),
    )


def _effective(turn: Pass, known: tuple[steps.Step, ...]) -> Effective:
    rates = turn.spec.analysis.error_rate
    return Effective(
        steps=[str(step) for step in known],
        interval=scalars.duration(turn.spec.analysis.interval),
        false_rollback=rates.false_rollback,
        false_promotion=rates.false_promotion,
        metrics=[
            f"{metric.name}: {metric.role}, rolls back when {questions.roll_back_when(metric)}, "
            f"margin {_margin_words(questions.margin_of(metric))}"
            for metric in turn.spec.analysis.metrics
        ],
    )


def _margin_words(margin: Margin) -> str:
    words = []
    if margin.relative is not None:
        words.append(f"{100 * margin.relative:g}%")
    if margin.absolute is not None:
        words.append(f"{margin.absolute:g}")
    return " or ".join(words)


def _rows(turn: Pass) -> None:
    book = weighing.opened(turn.spec, turn.status.evidence)
    said = weighing.judgements(book, spec=turn.spec, tries=turn.rollout.number)
    look = turn.status.look
    down = look is not None and look.failures > 0
    turn.put(
        metrics=[
            describing.row(
                metric,
                said[metric.name],
                problem=book.entries[metric.name].problem,
                down=down,
                rollout=turn.rollout,
            )
            for metric in turn.spec.analysis.metrics
        ]
    )


def _wake_at(turn: Pass, *, refused: Reason | None) -> float | None:
    """When something is due at the latest; what the watches tell comes earlier by itself."""
    rollout = turn.status.rollout
    if refused is not None:
        return None
    if rollout is None:
        unfinished = turn.status.decision.confirmed_at is None and bool(turn.status.decision.shares)
        fights = turn.now + programming.FIGHT_PAUSE_S if programming.fight(turn) else None
        pending = _at_the_door(turn) and phase_of(turn.status) is Phase.SERVING
        if fights is not None:
            return fights
        return (
            turn.now + (_POLL_S if unfinished or pending else 0) if unfinished or pending else None
        )
    due = [turn.now + turn.spec.analysis.interval]
    if turn.status.decision.confirmed_at is None:
        due.append(turn.now + _POLL_S)
    if rollout.drain_until is not None:
        due.append(max(rollout.drain_until, turn.now + 0.05))
    if phase_of(turn.status) is Phase.STARTING:
        due.append(turn.now + _SLOW_POLL_S)
    due.extend(_clock_ends(turn))
    return min(due)


def _clock_ends(turn: Pass) -> list[float]:
    step, rollout = turn.step(), turn.rollout
    left = []
    if isinstance(step, steps.WeightStep):
        left.append(step.min_duration_s - rollout.step_clock_s)
    if isinstance(step, steps.PauseStep) and step.duration_s:
        left.append(step.duration_s - rollout.step_clock_s)
    if phase_of(turn.status) is Phase.BAKING and turn.spec.bake is not None:
        left.append(turn.spec.bake.duration - rollout.step_clock_s)
    return [turn.now + seconds + 0.01 for seconds in left if seconds > 0]
