"""One arm as a pass of its own: the arm is its candidate, and the look is what it brought of it."""

from dataclasses import replace

from modelrollout.api import scalars
from modelrollout.api.ab_test import AbArm
from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ArmState, ArmStatus, Decision, Rollout
from modelrollout.domain import book as books
from modelrollout.domain import describing, guarding, standing, summarising
from modelrollout.domain.observed import Look
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase


def fresh(turn: Pass, asked: AbArm) -> ArmStatus:
    """An arm that nobody has met yet; one that is rejected stays out."""
    identity = turn.identity(asked.version)
    entry = turn.rejection(identity)
    is_out = entry is not None and not entry.lifted
    return ArmStatus(
        version=identity,
        share=asked.weight,
        state=ArmState.STOPPED if is_out else ArmState.WAITING,
        message=f"{identity} is rejected: {entry.message}"[:1024] if is_out and entry else "",
        rollout=Rollout(
            id=f"{identity.name}-{int(turn.now * 1000)}",
            phase=Phase.STEPPING.value,
            number=entry.tries if entry is not None else 1,
            started_at=turn.now,
            clock_at=turn.now,
            surveyed=True,
            minimum=turn.seen(turn.status.stable.name).ready if turn.status.stable else 0,
            share=asked.weight,
        ),
    )


def by_request(spec: ModelRolloutSpec) -> ModelRolloutSpec:
    """The spec with the metrics that are judged with requests as units."""
    kept = [metric for metric in spec.analysis.metrics if metric.buckets is None]
    analysis = spec.analysis.model_copy(update={"metrics": kept})
    return spec.model_copy(update={"analysis": analysis})


def view(turn: Pass, arm: ArmStatus) -> Pass:
    """A pass in which this arm is the candidate."""
    status = turn.status.model_copy(
        update={
            "candidate": arm.version,
            "rollout": arm.rollout,
            "evidence": arm.evidence,
            "metrics": arm.metrics,
            "decision": _between_two(turn, arm),
        }
    )
    observed = replace(turn.observed, look=look_of(turn.observed.look, arm.version.name))
    return Pass(turn.now, by_request(turn.spec), observed, status, refused=turn.refused)


def look_of(look: Look | None, version: str) -> Look | None:
    """What a look brought of one arm; a look that failed failed for all."""
    if look is None or look.down is not None:
        return look
    return look.others.get(version, look)


def _between_two(turn: Pass, arm: ArmStatus) -> Decision:
    """The split between this arm and stable alone, as the guard of the split compares them."""
    decision, stable = turn.status.decision, turn.status.stable
    mine = decision.shares.get(arm.version.name, 0)
    theirs = decision.shares.get(stable.name, 0) if stable else 0
    part = round(PARTS * mine / (mine + theirs)) if mine + theirs else 0
    shares = {arm.version.name: part, stable.name: PARTS - part} if stable else {}
    return decision.model_copy(update={"shares": shares})


def looked(seen: Pass) -> None:
    """Takes the look into the evidence of the arm, once."""
    if seen.status.decision.shares.get(_name(seen), 0) > 0 and seen.spec.analysis.metrics:
        standing.look(seen)
        summarising.rows(seen)
    seen.close_book()


def danger(seen: Pass) -> Reason | None:
    """Why the arm must be stopped; notices, too, when it loses its endpoints or has them again."""
    return guarding.endpoints(seen) or guarding.crash(seen) or _harm(seen)


def _harm(seen: Pass) -> Reason | None:
    weighed = standing.weighed(seen)
    return describing.harm(seen.spec, weighed, seen.status) if weighed.harmful else None


def is_ready(turn: Pass, arm: ArmStatus) -> bool:
    """Its ready pods carry its share."""
    seen = turn.seen(arm.version.name)
    wanted = max(seen.wanted or 0, seen.ready)
    return seen.ready > 0 and PARTS * seen.ready >= arm.share * wanted


def is_late(turn: Pass, arm: ArmStatus) -> Reason | None:
    """Why an arm that is not ready in time must be given up."""
    allowed_s = turn.spec.progress_deadline
    if turn.now - arm.rollout.started_at < allowed_s:
        return None
    seen, name = turn.seen(arm.version.name), arm.version.name
    why = f": {seen.trouble}" if seen.trouble else ""
    sentence = f"{name} did not get ready within {scalars.duration(allowed_s)}{why}"
    return Reason(Code.PROGRESS_DEADLINE, sentence)


def _name(seen: Pass) -> str:
    return seen.status.candidate.name if seen.status.candidate else ""


def kept(arm: ArmStatus, seen: Pass) -> ArmStatus:
    """The arm as its pass has left it."""
    return arm.model_copy(
        update={
            "rollout": seen.status.rollout or arm.rollout,
            "evidence": seen.status.evidence,
            "metrics": seen.status.metrics,
        }
    )


def begins(turn: Pass, arm: ArmStatus) -> ArmStatus:
    """The arm gets its users: what happened to its pods before is not held against it."""
    seen = view(turn, arm)
    guarding.remember_restarts(seen)
    seen.put_rollout(step_index=0)
    seen.put_book(books.new_step(seen.book()))
    seen.close_book()
    return kept(arm, seen).model_copy(update={"state": ArmState.RUNNING, "message": ""})


def stopped(turn: Pass, arm: ArmStatus, why: Reason) -> ArmStatus:
    """The arm loses its users to stable, and is rejected as any candidate is."""
    seen = view(turn, arm)
    seen.reject(arm.version, reason=why.code.value, message=why.sentence)
    turn.put(rejected=seen.status.rejected)
    words = f"{arm.version} is stopped, its users go to stable: {why.sentence}"
    turn.tell(Code.ARM_STOPPED, words, warning=True)
    return arm.model_copy(update={"state": ArmState.STOPPED, "message": why.sentence[:1024]})
