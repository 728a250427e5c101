"""A rollout under way, one pass: get ready, take looks, decide, and do what was decided."""

from modelrollout.analysis.verdicts import Judgement
from modelrollout.api import scalars
from modelrollout.domain import (
    answering,
    blocking,
    checking,
    deciding,
    describing,
    ending,
    guarding,
    programming,
    shadowing,
    splitting,
    standing,
    steps,
    surveying,
)
from modelrollout.domain import book as books
from modelrollout.domain.deciding import Case, Verb
from modelrollout.domain.ending import Ending
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import CheckStep, WeightStep
from modelrollout.domain.transitions import Phase, Trigger
from modelrollout.domain.weighing import Weighed

_SWITCH = Reason(
    Code.SWITCHED,
    "every step before the switch was served; no users met both versions at one time, so nothing "
    "was compared: what is seen from now on is observational",
)
NEAR = 2.0
"""`onInconclusive: Promote` needs every bound under this many margins."""


def start(turn: Pass) -> None:
    """STARTING: wait until the candidate, the routes and the metrics are ready; then go."""
    if turn.refused is None and (late := guarding.never_ready(turn)) is not None:
        ending.end(turn, Ending.ROLLED_BACK, code=late.code, sentence=late.sentence)
        return
    surveying.survey(turn)
    turn.waiting = _not_startable(turn)
    if turn.waiting is None:
        guarding.remember_restarts(turn)
        go_to(turn, 0)


def _not_startable(turn: Pass) -> Reason | None:
    return (
        turn.refused
        or blocking.paused(turn)
        or guarding.not_ready(turn)
        or guarding.stable_trouble(turn)
        or programming.trouble(turn)
        or checking.unusable(turn)
        or surveying.missing(turn)
    )


def go_to(turn: Pass, index: int) -> None:
    """Goes to a step: its share is decided, its clock starts when the routes follow."""
    known = turn.steps()
    step = known[index]
    changed = step.share != turn.rollout.share
    starting = turn.phase is Phase.STARTING
    if isinstance(step, WeightStep):
        turn.move(Trigger.READY if starting else Trigger.ADVANCE)
    else:
        turn.move(Trigger.PAUSE_STEP)
    turn.put_rollout(
        step_index=index, share=step.share, step_clock_s=0.0, approved=False, check=None
    )
    if isinstance(step, CheckStep):
        checking.begin(turn, step)
    if changed:
        turn.put_book(books.new_step(turn.book()))
    where = f"step {index + 1} of {len(known)}: {step}"
    turn.tell(Code.STEP_ADVANCED, where)


def under_way(turn: Pass) -> None:
    """STEPPING, WAITING, UNDECIDED, BAKING: look, answer people, decide, act."""
    if turn.phase is Phase.UNDECIDED and turn.rollout.clock_s < turn.spec.deadline:
        turn.move(Trigger.MORE_TIME)
        turn.tell(Code.STEP_RUNNING, "the deadline was set later: the rollout goes on")
    late, before = guarding.endpoints(turn), turn.phase
    checking.note(turn)
    standing.look(turn)
    weighed = standing.weighed(turn)
    answering.answer(turn, harm_stands=describing.harm_stands(weighed))
    if turn.phase is not before:
        return
    case = _case(turn, weighed, crash=_danger(turn) or late)
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


def _danger(turn: Pass) -> Reason | None:
    return guarding.crash(turn) or checking.failed(turn) or shadowing.failed(turn)


def _hold(turn: Pass, reason: Reason, *, case: Case) -> None:
    if case.deadline_passed and turn.phase is Phase.STEPPING and reason.code is Code.INCONCLUSIVE:
        turn.move(Trigger.DEADLINE)
        turn.tell(Code.INCONCLUSIVE, f"{reason.sentence}; the weight is held", warning=True)


def bake_is_over(turn: Pass) -> bool:
    """The bake has lasted its time, and the promoted version can take all the traffic."""
    if turn.rollout.unready_since is not None or turn.refused is not None:
        return False
    can_take_all = splitting.ceiling(turn) >= scalars.PARTS or not splitting.can_hold_back(turn)
    if turn.spec.bake is None:
        return can_take_all
    served = turn.rollout.step_clock_s >= turn.spec.bake.duration
    return can_take_all and served and turn.status.decision.confirmed_at is not None


def _case(turn: Pass, weighed: Weighed, *, crash: Reason | None) -> Case:
    last = turn.position() >= len(turn.steps()) - 1
    switches = not steps.compares(turn.steps())
    unproven = None if switches else describing.unproven(turn.spec, weighed, rollout=turn.rollout)
    return Case(
        phase=turn.phase,
        crash=crash,
        harm=describing.harm(turn.spec, weighed, turn.status) if weighed.harmful else None,
        stable_trouble=guarding.stable_trouble(turn),
        blocked=blocking.blocked(turn, weighed),
        last_step=last,
        unproven=unproven,
        proven=_SWITCH if switches else deciding.COMPLETE,
        deadline_passed=turn.rollout.clock_s >= turn.spec.deadline,
        on_inconclusive=turn.spec.on_inconclusive,
        near_enough=unproven is None
        or (
            unproven.code is not Code.NO_METRICS
            and all(_near(weighed.judgements[name]) for name in weighed.unproven)
        ),
    )


def _near(judgement: Judgement) -> bool:
    claimable, margin = judgement.claimable_margin, judgement.margin_in_force
    return claimable is not None and margin is not None and claimable <= NEAR * margin
