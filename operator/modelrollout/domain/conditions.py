"""Conditions, in the shape that kubectl, Flux, Argo CD and Helm wait for (kstatus)."""

from datetime import UTC, datetime
from typing import Literal

from modelrollout.api.status import Condition
from modelrollout.domain import guarding, holding, programming
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase

Truth = Literal["True", "False", "Unknown"]


def stamp(at: float) -> str:
    """An instant as Kubernetes writes it."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def renew(turn: Pass) -> None:
    """Sets every condition of interest; abnormal-true ones are absent when false."""
    refused = turn.refused
    wanted: list[tuple[str, Truth, Reason]] = [
        ("Ready", *_ready(turn)),
        ("Accepted", "False" if refused else "True", refused or _fine(Code.ACCEPTED)),
        ("TrafficProgrammed", *_programmed(turn)),
        ("MetricsAvailable", *_metrics(turn)),
        ("StableChanged", *_stable_changed(turn)),
        ("Promoted", *_promoted(turn)),
    ]
    reconciling, stalled = _reconciling(turn), _stalled(turn)
    if reconciling is not None:
        wanted.append(("Reconciling", "True", reconciling))
    if stalled is not None:
        wanted.append(("Stalled", "True", stalled))
    if (shrinks := holding.may_shrink(turn)) is not None:
        wanted.append((holding.SHRINKS, "True", shrinks))
    if (paused := _paused(turn)) is not None:
        wanted.append(("Paused", "True", paused))
    turn.put(conditions=[_condition(turn, *entry) for entry in wanted])


def _fine(code: Code, sentence: str = "") -> Reason:
    return Reason(code, sentence)


def _condition(turn: Pass, kind: str, truth: Truth, reason: Reason) -> Condition:
    old = next((c for c in turn.status.conditions if c.type == kind), None)
    kept = old is not None and old.status == truth
    return Condition(
        type=kind,
        status=truth,
        reason=reason.code,
        message=reason.sentence[:1024],
        last_transition_time=old.last_transition_time if old and kept else stamp(turn.now),
        observed_generation=turn.observed.generation,
    )


def _ready(turn: Pass) -> tuple[Truth, Reason]:
    phase = phase_of(turn.status)
    if phase is not Phase.TERMINATING and (trouble := guarding.stable_trouble(turn)) is not None:
        return "False", trouble
    if turn.refused is not None:
        return "False", turn.refused
    if phase is Phase.ROLLED_BACK:
        return "False", rejected(turn)
    if phase not in {Phase.SERVING, Phase.TESTING}:
        return "False", progress(turn)
    if (trouble := programming.trouble(turn)) is not None:
        return "False", trouble
    return "True", progress(turn) if phase is Phase.TESTING else _served(turn)


def ready(turn: Pass) -> str:
    """Whether the target serves, in words."""
    return _ready(turn)[1].sentence


def _served(turn: Pass) -> Reason:
    history, stable, test = turn.status.history, turn.status.stable, turn.status.ab_test
    if test is not None and test.overrules == turn.spec.target and history:
        return Reason(Code.AB_TEST_PROMOTED, f"{stable} serves: {history[-1].message}")
    if history and test is not None and test.report and history[-1].outcome == "Reported":
        return Reason(Code.AB_TEST_REPORTED, f"{stable} serves; {test.report.message}")
    shadow, asks = turn.status.shadow, turn.spec.strategy.shadow is not None
    if shadow is not None and asks and shadow.running:
        return Reason(Code.SHADOWING, f"{stable} serves; requests are copied to {shadow.version}")
    if shadow is not None and asks and shadow.message:
        return Reason(Code.SHADOW_REPORTED, f"{stable} serves; {shadow.message}")
    if history and stable and history[-1].outcome == "Promoted":
        return Reason(Code.PROMOTED, f"{stable} serves")
    return Reason(Code.INITIAL_DEPLOYMENT if not history else Code.RETURNED, f"{stable} serves")


def rejected(turn: Pass) -> Reason:
    """Why the target is rejected."""
    candidate = turn.status.candidate
    entry = turn.rejection(candidate) if candidate else None
    if entry is None:
        return Reason(Code.REJECTED, f"{candidate} is rejected")
    return Reason(_outcome(entry.reason), f"{entry.message}; {turn.status.stable} serves")


def _outcome(reason: str) -> Code:
    """The reason of a rejection as pipelines wait for it: rolled back, aborted, inconclusive."""
    return Code(reason) if reason in {Code.ABORTED, Code.INCONCLUSIVE} else Code.ROLLED_BACK


def progress(turn: Pass) -> Reason:
    """Where a rollout under way stands, in one reason."""
    if turn.waiting is not None:
        return turn.waiting
    phase = phase_of(turn.status)
    match phase:
        case Phase.PENDING:
            return Reason(Code.NOT_PROGRAMMED, "nothing serves yet")
        case Phase.DRAINING:
            return Reason(Code.DRAINING, turn.rollout.ending_message)
        case Phase.BAKING:
            return Reason(Code.BAKING, f"{turn.status.stable} is watched a little longer")
        case Phase.TERMINATING:
            return Reason(Code.DELETING, "traffic returns to stable")
        case _:
            return Reason(Code.STEP_RUNNING, f"step {turn.status.step}")


def _reconciling(turn: Pass) -> Reason | None:
    phase = phase_of(turn.status)
    if turn.refused is not None or phase in {Phase.ROLLED_BACK, Phase.UNDECIDED}:
        return None
    if phase in {Phase.SERVING, Phase.TESTING}:
        return programming.trouble(turn)
    return progress(turn)


def _stalled(turn: Pass) -> Reason | None:
    if turn.refused is not None:
        return turn.refused
    phase = phase_of(turn.status)
    if phase is Phase.ROLLED_BACK:
        return rejected(turn)
    if phase is Phase.UNDECIDED:
        waiting = turn.waiting.sentence if turn.waiting else ""
        return Reason(Code.INCONCLUSIVE, f"the deadline has passed; the weight is held: {waiting}")
    if turn.observed.traffic.blocking and turn.observed.traffic.problem is not None:
        return turn.observed.traffic.problem
    return None


def _programmed(turn: Pass) -> tuple[Truth, Reason]:
    if not turn.status.decision.shares:
        problem = turn.observed.traffic.problem
        return ("False", problem) if problem else ("Unknown", _fine(Code.NOT_PROGRAMMED))
    trouble = programming.trouble(turn)
    if trouble is None:
        return "True", _fine(Code.PROGRAMMED, programming.told(turn.status.decision.shares))
    return "False", trouble


def _metrics(turn: Pass) -> tuple[Truth, Reason]:
    if not turn.spec.analysis.metrics:
        return "False", Reason(Code.NO_METRICS, "the spec names no metric: nothing is judged")
    look = turn.observed.look
    if (unread := _unread(turn)) is not None:
        return "False", unread
    old = next((c for c in turn.status.conditions if c.type == "MetricsAvailable"), None)
    if turn.status.rollout is None and phase_of(turn.status) is not Phase.TESTING:
        return "Unknown", Reason(Code.NOT_LOOKING, "no rollout is under way")
    if look is not None:
        return _of_look(turn)
    if old is not None and old.reason != Code.NOT_LOOKING:
        return old.status, Reason(Code(old.reason), old.message)
    return "Unknown", Reason(Code.NOT_LOOKING, "no look has been taken yet")


def _unread(turn: Pass) -> Reason | None:
    """Why the last look as a whole, or the goal of an A/B test, could not be read."""
    look, waiting = turn.observed.look, turn.waiting
    if look is not None and look.down is not None:
        return look.down
    is_test = phase_of(turn.status) is Phase.TESTING
    return waiting if is_test and waiting and waiting.code is Code.NO_SERIES else None


def _of_look(turn: Pass) -> tuple[Truth, Reason]:
    look = turn.observed.look
    problems = list(look.problems.values()) if look is not None else []
    starting = phase_of(turn.status) is Phase.STARTING
    expected = {Code.NO_SERIES, Code.NO_DATA} if starting else set()
    real = [problem for problem in problems if problem.code not in expected]
    if turn.status.rollout is not None and not turn.rollout.surveyed and problems and not real:
        real = problems if turn.waiting in problems else []
    if real:
        return "False", real[0]
    return "True", _fine(Code.METRICS_AVAILABLE, "every metric was read at the last look")


def _stable_changed(turn: Pass) -> tuple[Truth, Reason]:
    told = [e.reason for e in turn.events if e.reason.code is Code.STABLE_CHANGED]
    if told:
        return "True", told[-1]
    promoted = any(e.reason.code is Code.PROMOTED for e in turn.events)
    old = next((c for c in turn.status.conditions if c.type == "StableChanged"), None)
    if old is not None and old.status == "True" and not promoted:
        return "True", Reason(Code.STABLE_CHANGED, old.message)
    return "False", _fine(Code.STABLE_UNCHANGED)


def _promoted(turn: Pass) -> tuple[Truth, Reason]:
    stable = turn.status.stable
    if stable is not None and stable.name == turn.target:
        return "True", _fine(Code.PROMOTED, f"{stable} is in service")
    return "False", _fine(Code.UNDECIDED, f"{stable} is in service, target is {turn.target}")


def _paused(turn: Pass) -> Reason | None:
    if turn.status.paused:
        return Reason(Code.PAUSED_BY_USER, "paused by a person; resume to go on")
    waiting = turn.waiting
    if waiting is not None and waiting.code is Code.AWAITING_APPROVAL:
        return waiting
    return None
