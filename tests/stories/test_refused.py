"""A resource that is not accepted: nothing goes forward, every way back stays open."""

import pytest

from modelrollout.domain.plan import refuse
from modelrollout.domain.reasons import Code, Reason
from tests.stories.world import World, at_rest

WRONG = Reason(Code.UNKNOWN_SOURCE, "source 'prod' is not declared; declared: default")


def refused_at(percent: int) -> World:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == percent)
    world.run(60)
    world.problem = WRONG
    world.step()
    assert world.condition("Accepted") == ("False", "UnknownSource")
    assert world.condition("Stalled") == ("True", "UnknownSource")
    return world


def test_the_weight_is_held_the_clocks_stand_still_and_it_is_told_once() -> None:
    world = refused_at(25)
    before = world.status.rollout
    world.run(3600)

    after = world.status.rollout
    assert before is not None
    assert after is not None
    assert world.share("v2") == 25
    assert (after.step_clock_s, after.clock_s) == (before.step_clock_s, before.clock_s)
    assert world.codes.count("UnknownSource") == 1
    world.problem = None
    world.phase("Baking")


@pytest.mark.parametrize("how", ["target", "abort", "crash", "harm"])
def test_every_way_back_stays_open(how: str) -> None:
    world = refused_at(25)
    if how == "target":
        world.edit(target="v1")
    if how == "abort":
        world.say("abort", "id-1")
    if how == "crash":
        world.versions["v2"].crash_looping = frozenset({"fraud-v2-x"})
    if how == "harm":
        world.versions["v2"].rates["errors"] = 0.2
    world.run(120)

    assert world.route == {"v1": 10_000}


def test_a_person_cannot_promote_what_is_not_accepted() -> None:
    world = refused_at(25)
    world.say("promote", "id-1")
    world.step()

    assert world.codes[-1] == "PromotionRefused"
    assert world.share("v2") == 25


def test_a_target_that_is_not_there_yet_does_not_stop_the_care_for_stable() -> None:
    world = at_rest()
    world.versions["v2"].exists = False
    world.edit(target="v2")
    world.run(60)
    world.turn_route({"v1": 5000, "v3": 5000})
    world.step()

    assert world.route == {"v1": 10_000}
    assert world.codes[-1] == "WeightsPutBack"
    assert world.condition("Accepted") == ("False", "BackendMissing")


def test_an_unreadable_spec_is_said_once_and_traffic_stays() -> None:
    world = refused_at(25)
    reason = Reason(Code.INVALID_SPEC, "spec.target: expected a text, saw 7")
    made = refuse(world.now, world.status, reason, world.observed(None))
    again = refuse(world.now + 30, made.status, reason, world.observed(None))

    assert made.shares is None
    assert made.finalizer
    assert [event.reason.code for event in made.events] == ["InvalidSpec"]
    assert again.events == ()
    assert again.status is made.status


def test_an_unreadable_spec_does_not_hold_up_a_deletion() -> None:
    world = refused_at(25)
    world.deleting = True
    reason = Reason(Code.INVALID_SPEC, "spec.target: expected a text, saw 7")
    made = refuse(world.now, world.status, reason, world.observed(None))
    assert made.shares == {"v1": 10_000}
    assert made.finalizer

    late = refuse(world.now + 130, made.status, reason, world.observed(None))
    world.turn_route({"v1": 10_000})
    done = refuse(world.now + 5, made.status, reason, world.observed(None))
    assert not late.finalizer
    assert not done.finalizer
