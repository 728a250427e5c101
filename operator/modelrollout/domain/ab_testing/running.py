"""An A/B test under way, one pass at a time, and its end."""

from modelrollout.api import scalars
from modelrollout.api.ab_test import AbTest, OnWinner
from modelrollout.api.status import ArmState, ArmStatus, LookStatus, Rollout
from modelrollout.domain import blocking, describing, ending, guarding, programming
from modelrollout.domain.ab_testing import arms, closing, following, users
from modelrollout.domain.observed import Look
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase, Trigger

_EARLY = 3.0
"""Intervals after which the sums by user should have begun."""


def under_way(turn: Pass) -> None:
    """TESTING: follow the arms as written, look, guard, and end when the time is up."""
    asked = turn.spec.strategy.ab_test
    if asked is None:
        return
    following.follow_arms(turn, asked)
    _tick(turn)
    _look(turn)
    _guard(turn)
    turn.waiting = _progress(turn, asked)
    if all(arm.state is ArmState.STOPPED for arm in turn.test.arms):
        sentence = "every arm was stopped"
        closing.close(turn, closing.REPORTED, code=Code.AB_TEST_REPORTED, sentence=sentence)
    elif turn.test.clock_s >= asked.duration and turn.refused is None:
        _finish(turn, asked)


def _name(arm: ArmStatus) -> str:
    return arm.version.name


def _tick(turn: Pass) -> None:
    """The clock runs while users are observed; it is written once an interval."""
    interval_s = turn.spec.analysis.interval
    gap_s = turn.now - turn.test.clock_at
    if 0.0 <= gap_s < interval_s:
        return
    passed_s = min(max(gap_s, 0.0), 1.5 * interval_s) if _observes(turn) else 0.0
    turn.put_test(clock_at=turn.now, clock_s=turn.test.clock_s + passed_s)


def _observes(turn: Pass) -> bool:
    look = turn.status.look
    is_down = look is not None and look.failures > 0
    has_users = any(arm.state is ArmState.RUNNING for arm in turn.test.arms)
    is_held = turn.status.paused or turn.refused is not None or is_down
    return has_users and not is_held and turn.status.decision.confirmed_at is not None


def _look(turn: Pass) -> None:
    seen, before = turn.observed.look, turn.status.look
    looked: list[ArmStatus] = []
    after: LookStatus | None = before
    for arm in turn.test.arms:
        if arm.state is not ArmState.RUNNING:
            looked.append(arm)
            continue
        own = arms.view(turn, arm)
        arms.looked(own)
        _count_users(turn, arm, own.observed.look)
        looked.append(arms.kept(arm, own))
    if seen is not None and before is not None and seen.start == before.at:
        after = _looked(turn, seen, before)
    turn.put(look=after)
    turn.put_test(arms=looked)


def _looked(turn: Pass, seen: Look, before: LookStatus) -> LookStatus:
    if seen.down is not None:
        missed = int((seen.end - before.at) // turn.spec.analysis.interval)
        return before.model_copy(update={"failures": max(before.failures + 1, missed)})
    if turn.status.decision.confirmed_at is None or seen.end <= seen.start:
        return before
    return before.model_copy(update={"at": seen.end, "number": before.number + 1, "failures": 0})


def _count_users(turn: Pass, arm: ArmStatus, look: Look | None) -> None:
    before, asked = turn.status.look, turn.spec.strategy.ab_test
    if look is None or look.down is not None or before is None or asked is None:
        return
    is_next = look.start == before.at and look.end > look.start
    if not is_next or turn.status.decision.confirmed_at is None or not look.users:
        return
    part = min(1.0, max(turn.test.clock_s, turn.spec.analysis.interval) / asked.duration)
    book = users.added(
        users.opened(turn.test.users),
        _name(arm),
        look,
        part_of_time=part,
        among=users.clusters_of(turn.spec),
    )
    turn.put_test(users=users.closed(book))


def _guard(turn: Pass) -> None:
    """Arms that are ready get their users, unless held; those that do harm lose them."""
    trouble = guarding.stable_trouble(turn)
    book = users.opened(turn.test.users)
    made = []
    for arm in turn.test.arms:
        match arm.state:
            case ArmState.STOPPED:
                made.append(arm)
            case ArmState.WAITING:
                made.append(_waiting(turn, arm, is_held=trouble is not None or _is_held(turn)))
            case ArmState.RUNNING:
                own = arms.view(turn, arm)
                why = arms.danger(own) or users.harm(turn.spec, book, _name(arm))
                turn.events += own.events
                seen = arms.kept(arm, own)
                # Stable that cannot take users back: no blind return.
                stops = why is not None and trouble is None
                made.append(arms.stopped(turn, seen, why) if why and stops else seen)
    turn.put_test(arms=made)


def _is_held(turn: Pass) -> bool:
    return turn.status.paused or turn.refused is not None


def _waiting(turn: Pass, arm: ArmStatus, *, is_held: bool) -> ArmStatus:
    if arms.is_ready(turn, arm):
        return arm if is_held else arms.begins(turn, arm)
    late = arms.is_late(turn, arm)
    return arms.stopped(turn, arm, late) if late else arm


def shares(turn: Pass) -> dict[str, int]:
    """The split of the test: stable takes all who are in no arm."""
    mine = {
        _name(arm): arm.share
        for arm in turn.test.arms
        if arm.state is ArmState.RUNNING
        and arm.rollout.unready_since is None
        and turn.written(_name(arm)) is not None
    }
    stable = turn.status.stable
    rest = {stable.name: scalars.PARTS - sum(mine.values())} if stable else {}
    return {**mine, **rest}


def _progress(turn: Pass, asked: AbTest) -> Reason:
    if turn.refused is not None:
        return turn.refused
    if (held := blocking.paused(turn)) is not None:
        return held
    if (trouble := guarding.stable_trouble(turn) or programming.trouble(turn)) is not None:
        return trouble
    if (unread := blocking.source(turn) or _unlabelled(turn, asked)) is not None:
        return unread
    waits = [_name(arm) for arm in turn.test.arms if arm.state is ArmState.WAITING]
    late = f"; {', '.join(waits)} is not ready yet" if waits else ""
    left_s = max(asked.duration - turn.test.clock_s, 1.0)
    stands = "; ".join(
        f"{_name(arm)} {arm.state.lower()} at {scalars.percent(arm.share)}"
        for arm in turn.test.arms
    )
    return Reason(
        Code.AB_TESTING,
        f"users are observed for {describing.about(left_s)} more: {stands}{late}",
    )


def _unlabelled(turn: Pass, asked: AbTest) -> Reason | None:
    """Why nobody could win, however long the test takes: users cannot be told apart."""
    analysis = turn.spec.analysis
    goal = next((metric for metric in analysis.metrics if metric.name == asked.goal), None)
    is_early = turn.test.clock_s < _EARLY * analysis.interval
    if goal is None or goal.buckets is None or is_early:
        return None
    book = users.opened(turn.test.users)
    for arm in turn.test.arms:
        kept = book.get((_name(arm), goal.name))
        has_any = kept is not None and kept.candidate and kept.stable
        if arm.state is ArmState.RUNNING and not has_any:
            return Reason(
                Code.NO_SERIES,
                f"{goal.name}: no series of {_name(arm)} and of stable with the label "
                f"{goal.buckets.label} grew yet: expected a hash bucket of the user there, as "
                "docs/ab-testing.md shows; without it nobody can win",
            )
    return None


def _finish(turn: Pass, asked: AbTest) -> None:
    test, stable = turn.test, turn.status.stable
    closing.close(turn, closing.REPORTED, code=Code.AB_TEST_REPORTED)
    report = turn.test.report
    if report is None or not report.winner or stable is None:
        return
    if asked.on_winner is OnWinner.PROMOTE:
        arm = next(one for one in test.arms if _name(one) == report.winner)
        _promote(turn, arm, overruled=stable.name)


def _promote(turn: Pass, arm: ArmStatus, *, overruled: str) -> None:
    """The winner serves, by the same door and with the same bake as any promotion."""
    winner = _name(arm)
    turn.put_test(overrules=overruled)
    turn.move(Trigger.START)
    rollout = Rollout.model_validate(
        arm.rollout.model_dump() | {"phase": Phase.STARTING.value, "clock_at": turn.now}
    )
    turn.put(candidate=arm.version, rollout=rollout, look=None)
    turn.drop_book()
    sentence = (
        f"it won the A/B test and was to be promoted; Git still says target: {overruled}. Write "
        f"target: {winner} and replace abTest by the next strategy: until then, a rollout made "
        f"anew from Git would serve {overruled}"
    )
    ending.promote(turn, code=Code.AB_TEST_PROMOTED, sentence=sentence)
