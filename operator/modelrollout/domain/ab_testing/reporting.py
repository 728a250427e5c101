"""The report of an A/B test: which version won, by how much, and how sure that is."""

import math
from dataclasses import dataclass

from modelrollout.analysis import clusters
from modelrollout.analysis.clusters import Comparison
from modelrollout.api import scalars
from modelrollout.api.spec import Better, Metric
from modelrollout.api.status import AbReport, ArmResult, ArmState, ArmStatus
from modelrollout.domain import describing, standing
from modelrollout.domain.ab_testing import arms as arms_of
from modelrollout.domain.ab_testing import users
from modelrollout.domain.ab_testing.users import Kept
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code

NO_GUARDRAILS = "no guardrail was given"


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of one arm at the end.

    Attributes:
        arm: as it stands.
        kept: its users' sums of the goal, None without any.
        compared: with stable.
        p: one-sided, against "not better".
        unproven: what its guardrails do not show; "" when they hold.
        leans: evidence that requests do not come in the shares of the users, "" without any. Few
            users with very many requests do that, too: it is said, and is no veto.
    """

    arm: ArmStatus
    kept: Kept | None
    compared: Comparison | None
    p: float
    unproven: str
    leans: str = ""

    @property
    def name(self) -> str:
        """Of the version."""
        return self.arm.version.name


def report(turn: Pass, *, outcome: str, because: str = "") -> AbReport:
    """The report as things stand now.

    Args:
        turn: the pass, the test still under way.
        outcome: Reported, Superseded or Aborted.
        because: why it ends, where not by its time.
    """
    goal = _goal(turn)
    told = [_told(turn, arm, goal) for arm in turn.test.arms]
    alpha = turn.spec.analysis.error_rate.false_promotion
    better = _better(told, alpha=alpha)
    winner = _winner(told, better, goal) if outcome == "Reported" else None
    sentence = _sentence(turn, told, better, winner, goal)
    return AbReport(
        outcome=outcome,
        winner=winner.name if winner else "",
        stable=turn.status.stable.name if turn.status.stable else "",
        goal=goal.name if goal else "",
        message=(f"{because}; so far: {sentence}" if because else sentence)[:1024],
        started_at=turn.test.started_at,
        ended_at=turn.now,
        arms=[_result(one, better, goal, alpha=alpha) for one in told],
    )


def _goal(turn: Pass) -> Metric | None:
    test = turn.spec.strategy.ab_test
    named = test.goal if test else (turn.test.report.goal if turn.test.report else "")
    return next((m for m in turn.spec.analysis.metrics if m.name == named), None)


def _told(turn: Pass, arm: ArmStatus, goal: Metric | None) -> Told:
    book = users.opened(turn.test.users)
    kept = book.get((arm.version.name, goal.name)) if goal else None
    compared = users.comparison(kept) if kept else None
    p = users.p_better(compared, better=goal.better) if goal and compared else 1.0
    seen = arms_of.view(turn, arm)
    weighed = standing.weighed(seen)
    reason = describing.unproven(seen.spec, weighed, rollout=arm.rollout)
    unproven = "" if reason is None or reason.code is Code.NO_METRICS else reason.sentence
    return Told(arm, kept, compared, p, unproven, leans=weighed.split_leans)


def _better(told: list[Told], *, alpha: float) -> frozenset[str]:
    """Arms that are shown to be better than stable: Holm over all arms that were not stopped."""
    running = sorted((one for one in told if _counts(one)), key=lambda one: one.p)
    shown: list[str] = []
    for left, one in zip(range(len(running), 0, -1), running, strict=True):
        # One-sided claims of a two-sided interval: half of alpha each, as the interval has it.
        if one.p > alpha / (2.0 * left):
            break
        shown.append(one.name)
    return frozenset(shown)


def _counts(one: Told) -> bool:
    return one.arm.state is not ArmState.STOPPED and one.compared is not None


def _winner(told: list[Told], better: frozenset[str], goal: Metric | None) -> Told | None:
    fit = [one for one in told if one.name in better and not one.unproven and one.compared]
    if not fit or goal is None:
        return None
    sign = 1.0 if goal.better is Better.HIGHER else -1.0
    return max(fit, key=lambda one: sign * one.compared.difference if one.compared else 0.0)


def _sentence(
    turn: Pass,
    told: list[Told],
    better: frozenset[str],
    winner: Told | None,
    goal: Metric | None,
) -> str:
    stable = turn.status.stable.name if turn.status.stable else ""
    alpha = turn.spec.analysis.error_rate.false_promotion
    after = scalars.duration(turn.test.clock_s)
    if winner is not None and winner.compared is not None and goal is not None:
        rest = _beside(told, better, winner, goal, alpha=alpha)
        return (
            f"{winner.name} won after {after}: {goal.name} {_values(winner, goal)}, "
            f"{_lift(winner.compared, alpha=alpha)}{rest}"
        )
    if better:
        held = [f"{one.name}: {one.unproven}" for one in told if one.name in better]
        return f"better in the goal, but not shown to be harmless after {after}: {'; '.join(held)}"
    return f"no version is shown to be better than {stable} after {after}{_said(told, alpha)}"


def _said(told: list[Told], alpha: float) -> str:
    parts = [
        f"{one.name} {_lift(one.compared, alpha=alpha)}"
        if one.compared is not None
        else f"{one.name} has too few users with data"
        for one in told
        if one.arm.state is not ArmState.STOPPED
    ]
    parts += [f"{one.name} was stopped" for one in told if one.arm.state is ArmState.STOPPED]
    return f" ({'; '.join(parts)})" if parts else ""


def _beside(
    told: list[Told], better: frozenset[str], winner: Told, goal: Metric, *, alpha: float
) -> str:
    """Whether the winner can be told apart from the other good ones."""
    close = []
    for one in told:
        if one is winner or one.name not in better or winner.kept is None or one.kept is None:
            continue
        compared = users.against(winner.kept, one.kept)
        if compared is None or users.p_better(compared, better=goal.better) > alpha / 2.0:
            close.append(one.name)
    return f"; not told apart from {', '.join(close)}, which is better, too" if close else ""


def _values(one: Told, goal: Metric) -> str:
    if one.kept is None:
        return ""
    mine, theirs = users.value(one.kept.candidate), users.value(one.kept.stable)
    return f"{_number(mine, goal)} against {_number(theirs, goal)}"


def _number(value: float | None, goal: Metric) -> str:
    return "" if value is None else describing.number(value, is_share=goal.mean is None)


def _lift(compared: Comparison, *, alpha: float) -> str:
    if math.isnan(compared.lift):
        return _difference(compared, alpha=alpha)
    factor = _reach(compared, alpha=alpha)
    low, high = compared.lift - factor, compared.lift + factor
    return f"{100 * compared.lift:+.1f} % ({100 * low:+.1f} % to {100 * high:+.1f} %)"


def _reach(compared: Comparison, *, alpha: float) -> float:
    if compared.standard_error == 0.0:
        return 0.0
    low, high = clusters.interval(compared, alpha=alpha)
    return (high - low) / 2.0 / compared.standard_error * compared.lift_error


def _difference(compared: Comparison, *, alpha: float) -> str:
    low, high = clusters.interval(compared, alpha=alpha)
    return f"{compared.difference:+.4g} ({low:+.4g} to {high:+.4g})"


def _result(one: Told, better: frozenset[str], goal: Metric | None, *, alpha: float) -> ArmResult:
    known = goal is not None and one.kept is not None
    return ArmResult(
        version=one.name,
        revision=one.arm.version.revision,
        verdict=_verdict(one, better, goal, alpha=alpha),
        goal=_number(users.value(one.kept.candidate), goal) if known and one.kept and goal else "",
        stable=_number(users.value(one.kept.stable), goal) if known and one.kept and goal else "",
        difference=_difference(one.compared, alpha=alpha) if one.compared else "",
        lift=_lift(one.compared, alpha=alpha) if one.compared else "",
        guardrails=_guardrails(one)[:1024],
        message=(one.arm.message or one.leans)[:1024],
    )


def _guardrails(one: Told) -> str:
    if not one.arm.metrics:
        return NO_GUARDRAILS
    return ", ".join(f"{row.name} {row.verdict}" for row in one.arm.metrics)


def _verdict(one: Told, better: frozenset[str], goal: Metric | None, *, alpha: float) -> str:
    if one.arm.state is ArmState.STOPPED:
        return "Stopped"
    if one.compared is None or goal is None:
        return "NoData"
    if one.name in better:
        return "Better"
    return "Worse" if 1.0 - one.p <= alpha / 2.0 else "Undecided"
