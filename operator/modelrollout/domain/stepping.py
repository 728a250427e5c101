"""A rollout under way, one pass: get ready, take looks, decide, and do what was decided."""

from dataclasses import dataclass, replace

from modelrollout.analysis.verdicts import Judgement
from modelrollout.api import scalars
from modelrollout.domain import (
    answering,
    deciding,
    describing,
    ending,
    guarding,
    programming,
    steps,
    surveying,
    targeting,
    weighing,
)
from modelrollout.domain.deciding import Case, Verb
from modelrollout.domain.ending import Ending
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import PauseStep, WeightStep
from modelrollout.domain.transitions import Phase, Trigger
from modelrollout.domain.weighing import Book, Weighed

NEAR = 2.0
"""`onInconclusive: Promote` needs every bound under this many margins."""


def start(turn: Pass) -> None:
    """STARTING: wait until the candidate, the routes and the metrics are ready; then go."""
    if (late := guarding.never_ready(turn)) is not None:
        ending.end(turn, Ending.ROLLED_BACK, code=late.code, sentence=late.sentence)
        return
    surveying.survey(turn)
    turn.waiting = _not_startable(turn)
    if turn.waiting is None:
        guarding.remember_restarts(turn)
        go_to(turn, 0)


def _not_startable(turn: Pass) -> Reason | None:
    if turn.status.paused:
        return _paused()
    return (
        guarding.not_ready(turn)
        or guarding.stable_trouble(turn)
        or programming.trouble(turn)
        or surveying.missing(turn)
    )


def _paused() -> Reason:
    return Reason(Code.PAUSED_BY_USER, "paused by a person; resume to go on")


def go_to(turn: Pass, index: int) -> None:
    """Goes to a step: its share is decided, its clock starts when the routes follow."""
    known = turn.steps()
    step = known[index]
    changed = step.share != turn.rollout.share
    starting = turn.phase is Phase.STARTING
    if isinstance(step, PauseStep):
        turn.move(Trigger.PAUSE_STEP)
    else:
        turn.move(Trigger.READY if starting else Trigger.ADVANCE)
    turn.put_rollout(step_index=index, share=step.share, step_clock_s=0.0, approved=False)
    if changed:
        book = weighing.opened(turn.spec, turn.status.evidence)
        turn.put(evidence=weighing.closed(weighing.new_step(book)))
    where = f"step {index + 1} of {len(known)}: {step}"
    turn.tell(Code.STEP_ADVANCED, where)


@dataclass(frozen=True, slots=True)
class Standing:
    """The evidence of this pass, as far as every phase needs it."""

    book: Book
    weighed: Weighed


def look(turn: Pass) -> Standing:
    """Takes the look of this pass into the evidence, once, and weighs all of it."""
    book = weighing.opened(turn.spec, turn.status.evidence)
    seen, status = turn.observed.look, turn.status.look
    if (
        seen is not None
        and status is not None
        and seen.start == status.at
        and seen.end > seen.start
    ):
        if seen.down is not None:
            turn.put(look=status.model_copy(update={"failures": status.failures + 1}))
        elif turn.status.decision.confirmed_at is not None:
            book = _counted(turn, book)
    tries = turn.rollout.number
    return Standing(book, weighing.weighed(book, spec=turn.spec, tries=tries))


def _counted(turn: Pass, book: Book) -> Book:
    seen, status, candidate = turn.observed.look, turn.status.look, turn.status.candidate
    if seen is None or status is None or candidate is None:
        return book
    shares = turn.status.decision.shares
    confirmed_at = turn.status.decision.confirmed_at or 0.0
    after = weighing.counted(
        book,
        seen,
        spec=turn.spec,
        share=shares.get(candidate.name, 0),
        confirmed_at=confirmed_at,
    )
    requests = dict(
        zip(("candidate", "stable"), weighing.request_counts(seen, spec=turn.spec), strict=True)
    )
    total = {arm: status.counted.get(arm, 0) + count for arm, count in requests.items()}
    turn.put(
        look=status.model_copy(
            update={
                "at": seen.end,
                "number": status.number + 1,
                "failures": 0,
                "counted": total,
            }
        ),
        evidence=weighing.closed(after),
    )
    turn.put_rollout(requests_per_s=sum(requests.values()) / (seen.end - seen.start))
    return after


def under_way(turn: Pass) -> None:
    """STEPPING, WAITING, UNDECIDED, BAKING: look, answer people, decide, act."""
    late = guarding.endpoints(turn)
    standing = look(turn)
    answering.answer(turn, harm_stands=describing.harm_stands(standing.weighed))
    if turn.phase in {Phase.DRAINING, Phase.SERVING}:
        return
    crash = guarding.crash(turn) or late
    case = _case(turn, standing, crash=crash)
    decision = deciding.decide(case)
    turn.waiting = decision.reason
    match decision.verb:
        case Verb.ROLL_BACK:
            kind = Ending.ROLLED_BACK
            if decision.reason.code is Code.INCONCLUSIVE:
                kind = Ending.INCONCLUSIVE
            ending.end(turn, kind, code=decision.reason.code, sentence=decision.reason.sentence)
        case Verb.PROMOTE:
            ending.promote(turn, code=decision.reason.code, sentence=decision.reason.sentence)
        case Verb.ADVANCE:
            go_to(turn, turn.position() + 1)
        case Verb.HOLD:
            _hold(turn, decision.reason, case=case)


def _hold(turn: Pass, reason: Reason, *, case: Case) -> None:
    if case.deadline_passed and turn.phase is Phase.STEPPING and reason.code is Code.INCONCLUSIVE:
        turn.move(Trigger.DEADLINE)
        turn.tell(Code.INCONCLUSIVE, f"{reason.sentence}; the weight is held", warning=True)
    if turn.phase is Phase.BAKING and bake_is_over(turn):
        ending.finish(turn)


def bake_is_over(turn: Pass) -> bool:
    """The bake has lasted its time, and nothing holds its end."""
    length_s = turn.spec.bake.duration if turn.spec.bake else 0.0
    settled = turn.status.decision.confirmed_at is not None or length_s == 0.0
    return settled and turn.rollout.step_clock_s >= length_s and turn.rollout.unready_since is None


def _case(turn: Pass, standing: Standing, *, crash: Reason | None) -> Case:
    weighed = standing.weighed
    last = turn.position() >= len(turn.steps()) - 1
    unproven = describing.unproven(turn.spec, weighed, rollout=turn.rollout)
    return Case(
        phase=turn.phase,
        crash=crash,
        harm=describing.harm(turn.spec, weighed, turn.status) if weighed.harmful else None,
        stable_trouble=guarding.stable_trouble(turn),
        blocked=tuple(_blocked(turn, standing)),
        last_step=last,
        unproven=unproven,
        deadline_passed=turn.rollout.clock_s >= turn.spec.deadline,
        on_inconclusive=turn.spec.on_inconclusive,
        near_enough=all(
            _near(weighed.judgements[name])
            for name in weighed.unproven
            if name in weighed.judgements
        ),
    )


def _near(judgement: Judgement) -> bool:
    claimable, margin = judgement.claimable_margin, judgement.margin_in_force
    return claimable is not None and margin is not None and claimable <= NEAR * margin


def _blocked(turn: Pass, standing: Standing) -> list[Reason]:
    weighed = standing.weighed
    reasons = [
        _paused() if turn.status.paused else None,
        guarding.stable_trouble(turn),
        _unready(turn),
        programming.trouble(turn),
        _capacity(turn),
        _source(turn),
        describing.missing(standing.book, weighed),
        Reason(Code.SPLIT_CONTRADICTS, weighed.split_leans) if weighed.split_leans else None,
        describing.loud(weighed),
        _time(turn),
    ]
    return [reason for reason in reasons if reason is not None]


def _unready(turn: Pass) -> Reason | None:
    if turn.rollout.unready_since is None:
        return None
    return Reason(Code.NO_ENDPOINTS, "the candidate has no ready endpoint; its weight is 0")


def _capacity(turn: Pass) -> Reason | None:
    if turn.phase is Phase.BAKING or targeting.ceiling(turn) >= turn.rollout.share:
        return None
    candidate, _ = guarding.arms(turn)
    return Reason(
        Code.CAPACITY,
        f"the candidate has {candidate.ready} of {candidate.wanted} pods ready, which allows "
        f"{scalars.percent(targeting.ceiling(turn))} of {scalars.percent(turn.rollout.share)}",
    )


def _source(turn: Pass) -> Reason | None:
    seen, status = turn.observed.look, turn.status.look
    if seen is not None and seen.down is not None:
        return seen.down
    if status is not None and status.failures > 0:
        return Reason(
            Code.SOURCE_DOWN,
            f"the metric source has not answered for {status.failures} looks; "
            "the next look covers the gap",
        )
    return None


def _time(turn: Pass) -> Reason | None:
    step = turn.step() or _between(turn)
    served_s = turn.rollout.step_clock_s
    match step:
        case PauseStep():
            if step.approval and not turn.rollout.approved:
                words = answering.expected_approval(turn)
                return Reason(Code.AWAITING_APPROVAL, f"waits for an approval with '{words}'")
            left_s = step.duration_s - served_s
            code, what = Code.PAUSED_BY_PLAN, "the pause"
        case WeightStep():
            left_s = step.min_duration_s - served_s
            code, what = Code.STEP_TIME, "the step"
    if turn.phase is Phase.UNDECIDED or left_s <= 0:
        return None
    return Reason(code, f"{what} needs another {scalars.duration(max(left_s, 1.0))}")


def _between(turn: Pass) -> steps.Step:
    """The step that an edit left behind: the present share, as long as its neighbour."""
    known = [step for step in turn.steps() if isinstance(step, WeightStep)]
    return replace(known[0], share=turn.rollout.share)
