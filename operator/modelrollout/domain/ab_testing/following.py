"""Which A/B test is under way: the one that is written starts, one that is no longer so ends."""

from hashlib import sha256

from modelrollout.api import scalars
from modelrollout.api.ab_test import AbArm, AbTest
from modelrollout.api.status import AbTestStatus, ArmStatus
from modelrollout.domain.ab_testing import arms, closing, users
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code
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
    if stable is None or turn.target != stable.name or _has_run(turn, asked):
        return
    if all(arm.version != stable.name for arm in asked.arms):  # the winner of the last one may be
        _start(turn, asked)


def key_of(asked: AbTest, *, stable: str) -> str:
    """Which test it is: the same one, against the same version, never runs twice by itself."""
    names = sorted(arm.version for arm in asked.arms)
    text = "\n".join([stable, asked.salt or "", asked.goal, asked.unit.model_dump_json(), *names])
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


def follow_arms(turn: Pass, asked: AbTest) -> None:
    """Arms may come, go and change their weight in mid-test; a new revision begins anew."""
    if turn.refused is not None:
        return
    known = {arm.version.name: arm for arm in turn.test.arms}
    made = []
    for wanted in asked.arms:
        arm = _as_seen(turn, known.get(wanted.version), wanted)
        rollout = arm.rollout.model_copy(update={"share": wanted.weight})
        made.append(arm.model_copy(update={"share": wanted.weight, "rollout": rollout}))
    if made != turn.test.arms:
        _note_weights(turn, made)
        turn.put_test(arms=made, key=_key_with(turn, asked, made))


def _as_seen(turn: Pass, arm: ArmStatus | None, wanted: AbArm) -> ArmStatus:
    """The arm at the revision that is seen; one that was not known before is no change."""
    if arm is None:
        return arms.fresh(turn, wanted)
    seen = turn.seen(wanted.version).revision
    if not seen or seen == arm.version.revision:
        return arm
    if not arm.version.revision:
        return arm.model_copy(update={"version": turn.identity(wanted.version)})
    _begin_anew(turn, arm, revision=seen)
    return arms.fresh(turn, wanted)


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


def _begin_anew(turn: Pass, arm: ArmStatus, *, revision: str) -> None:
    name = arm.version.name
    turn.put_test(users=users.closed(users.without(users.opened(turn.test.users), name)))
    turn.forget_look()  # what the old pods answered does not count for the new ones
    sentence = f"{name} changed from {arm.version.revision} to {revision}"
    turn.tell(Code.NEW_REVISION, f"{sentence}: a new arm, judged from now on")
