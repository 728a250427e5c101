"""An A/B test from its beginning to its end, one pass at a time."""

from hashlib import sha256

from modelrollout.api import scalars
from modelrollout.api.ab_test import AbTest, OnWinner
from modelrollout.api.status import (
    AbTestStatus,
    ArmState,
    ArmStatus,
    LookStatus,
    ModelRolloutStatus,
    Rollout,
)
from modelrollout.domain import blocking, ending, guarding, programming
from modelrollout.domain.ab_testing import arms, closing, users
from modelrollout.domain.observed import Look
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase, Trigger


def follow(turn: Pass) -> None:
    """Starts the test that is written, and ends one that is written no more; before the target."""
    test = turn.status.ab_test
    if test is not None and test.overrules and turn.spec.target != test.overrules:
        turn.put_test(overrules="")  # somebody has chosen anew
    if turn.phase is Phase.TESTING:
        _superseded(turn)
    asked = turn.spec.strategy.ab_test
    if turn.phase is not Phase.SERVING or asked is None or turn.refused is not None:
        return
    stable = turn.status.stable
    if stable is not None and turn.target == stable.name and not _has_run(turn, asked):
        _start(turn, asked)


def key_of(asked: AbTest, *, stable: str) -> str:
    """Which test it is: the same one, against the same version, never runs twice by itself."""
    names = sorted(arm.version for arm in asked.arms)
    text = "\n".join([stable, asked.salt, asked.goal, asked.unit.model_dump_json(), *names])
    return sha256(text.encode()).hexdigest()[:12]


def _has_run(turn: Pass, asked: AbTest) -> bool:
    test, stable = turn.status.ab_test, turn.status.stable
    if test is None or stable is None:
        return False
    # After a hotfix the same arms would be compared with another version: that is another test, and
    # it is for people to say that they want it.
    old = (test.report.stable if test.report else "") or stable.name
    return test.key in {key_of(asked, stable=old), key_of(asked, stable=stable.name)}


def _start(turn: Pass, asked: AbTest) -> None:
    stable = turn.status.stable
    turn.move(Trigger.TEST)
    turn.put(look=None, metrics=[])
    turn.drop_book()
    test = AbTestStatus(
        key=key_of(asked, stable=stable.name if stable else ""),
        started_at=turn.now,
        clock_at=turn.now,
    )
    turn.put(ab_test=test)
    turn.put_test(arms=[arms.fresh(turn, arm) for arm in asked.arms])
    split = ", ".join(f"{arm.version} {scalars.percent(arm.weight)}" for arm in asked.arms)
    turn.tell(
        Code.AB_TESTING,
        f"an A/B test of {split} of the users against {stable} begins and takes "
        f"{scalars.duration(asked.duration)}",
    )


def _superseded(turn: Pass) -> None:
    asked, stable = turn.spec.strategy.ab_test, turn.status.stable
    is_known = turn.written(turn.spec.target) is not None
    if turn.refused is None and is_known and stable and turn.target != stable.name:
        sentence = f"the A/B test is superseded by the new target {turn.target}"
    elif asked is None:
        sentence = "the strategy names no A/B test any more"
    elif _is_another(turn, asked):
        sentence = "the A/B test was rewritten: its goal, unit or salt is another"
    else:
        return
    closing.close(turn, closing.SUPERSEDED, code=Code.SUPERSEDED, sentence=sentence)


def _is_another(turn: Pass, asked: AbTest) -> bool:
    """Arms may come and go; who compares what, and how users are drawn, may not change."""
    names = [arm.version.name for arm in turn.test.arms]
    kept = [arm for arm in asked.arms if arm.version in names]
    stable = turn.status.stable
    before = asked.model_copy(
        update={"arms": [asked.arms[0].model_copy(update={"version": name}) for name in names]}
    )
    return not kept or key_of(before, stable=stable.name if stable else "") != turn.test.key


def under_way(turn: Pass) -> None:
    """TESTING: follow the arms as written, look, guard, and end when the time is up."""
    asked = turn.spec.strategy.ab_test
    if asked is None:
        return
    _follow_arms(turn, asked)
    _tick(turn)
    _look(turn)
    _guard(turn)
    turn.waiting = _progress(turn, asked)
    if all(arm.state is ArmState.STOPPED for arm in turn.test.arms):
        sentence = "every arm was stopped"
        closing.close(turn, closing.REPORTED, code=Code.AB_TEST_REPORTED, sentence=sentence)
    elif turn.test.clock_s >= asked.duration and turn.refused is None:
        _finish(turn, asked)


def _follow_arms(turn: Pass, asked: AbTest) -> None:
    if turn.refused is not None:
        return
    known = {arm.version.name: arm for arm in turn.test.arms}
    made = []
    for wanted in asked.arms:
        arm = known.get(wanted.version)
        if arm is None or _revised(turn, arm):
            if arm is not None:
                _tell_revised(turn, arm)
            arm = arms.fresh(turn, wanted)
        rollout = arm.rollout.model_copy(update={"share": wanted.weight})
        made.append(arm.model_copy(update={"share": wanted.weight, "rollout": rollout}))
    if made != turn.test.arms:
        _note_weights(turn, made)
        turn.put_test(arms=made, key=_key_with(turn, asked, made))


def _key_with(turn: Pass, asked: AbTest, made: list[ArmStatus]) -> str:
    if {arm.version.name for arm in made} == {arm.version.name for arm in turn.test.arms}:
        return turn.test.key
    stable = turn.status.stable
    return key_of(asked, stable=stable.name if stable else "")


def _note_weights(turn: Pass, made: list[ArmStatus]) -> None:
    before = {arm.version.name: arm.share for arm in turn.test.arms}
    after = {arm.version.name: arm.share for arm in made}
    if before != after:
        words = ", ".join(f"{name} {scalars.percent(share)}" for name, share in after.items())
        turn.tell(Code.AB_TESTING, f"the arms are now {words}; nobody else moves")


def _revised(turn: Pass, arm: ArmStatus) -> bool:
    seen = turn.seen(arm.version.name).revision
    return bool(seen) and seen != arm.version.revision


def _tell_revised(turn: Pass, arm: ArmStatus) -> None:
    turn.put_test(users=users.closed(users.without(users.opened(turn.test.users), _name(arm))))
    seen = turn.seen(_name(arm)).revision
    sentence = f"{_name(arm)} changed from {arm.version.revision or 'unknown'} to {seen}"
    turn.tell(Code.NEW_REVISION, f"{sentence}: a new arm, judged from now on")


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
    book = users.added(users.opened(turn.test.users), _name(arm), look, part_of_time=part)
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
                arm = arms.kept(arm, own)
                is_safe = why is None or trouble is not None
                made.append(arm if is_safe or why is None else arms.stopped(turn, arm, why))
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
        if arm.state is ArmState.RUNNING and arm.rollout.unready_since is None
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
    look = turn.observed.look
    if look is not None and look.down is not None:
        return look.down
    waits = [_name(arm) for arm in turn.test.arms if arm.state is ArmState.WAITING]
    late = f"; {', '.join(waits)} is not ready yet" if waits else ""
    left_s = max(asked.duration - turn.test.clock_s, 1.0)
    stands = "; ".join(
        f"{_name(arm)} {arm.state.lower()} at {scalars.percent(arm.share)}"
        for arm in turn.test.arms
    )
    return Reason(
        Code.AB_TESTING,
        f"users are observed for another {scalars.duration(left_s)}: {stands}{late}",
    )


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


def is_running(status: ModelRolloutStatus) -> bool:
    """Whether an A/B test is under way."""
    return status.ab_test is not None and status.ab_test.running
