"""A shadow alone and as a step: no user meets the candidate, and what is compared decides."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.stories.shadowed import COMPARED, Shadowed, in_shadow, shadow_then_canary
from tests.stories.world import START, World, spec


def alone(**changes: Any) -> Shadowed:
    shadow = COMPARED | {"version": "v2"} | changes
    return Shadowed(spec(traffic={"router": {}}, strategy={"shadow": shadow}))


def reported(world: World) -> bool:
    return world.condition("Ready") == ("True", "ShadowReported")


def shares_of(world: World, version: str) -> set[int]:
    """All shares that a version ever had by the routes."""
    return {shares.get(version, 0) for _, shares in world.served}


def test_a_report_ends_ready_and_leaves_the_target_alone() -> None:
    world = alone()
    world.differs = 0.03
    world.run(until=reported)

    assert world.condition("Ready") == ("True", "ShadowReported")
    assert 1_800.0 <= world.now - START < 2_000.0
    assert world.status.shadow is not None
    assert "97.0" in world.status.shadow.message
    assert [shares for _, shares in world.served] == [{"v1": 10_000}]
    world.run(60.0)
    assert (world.tee, world.observer) == (None, None)

    world.run(4 * 3600.0)
    assert reported(world)
    assert world.codes.count("Shadowing") == 1
    assert world.written["target"] == "v1"


def test_a_report_of_disagreement_warns_and_takes_nobody_back() -> None:
    world = alone(agreement={"atLeast": "98%"})
    world.differs = 0.2
    world.run(until=reported)

    assert reported(world)
    (told,) = (
        event
        for made in world.plans
        for event in made.events
        if event.reason.code == "ShadowReported"
    )
    assert told.type == "Warning"
    assert "disagreement is at least" in told.reason.sentence
    assert world.status.rejected == []
    assert world.route == {"v1": 10_000}


def test_agreement_lets_the_canary_go_on() -> None:
    world = in_shadow()
    world.run(until=lambda w: w.share("v2") > 0)
    assert world.share("v2") == 25
    assert 1_800.0 <= world.clock_s < 1_900.0
    assert world.tee is None

    world.phase("Baking")
    assert world.observer is None
    world.phase("Serving")
    assert world.status.stable is not None
    assert world.status.stable.name == "v2"
    assert len(world.runs) == 1


def test_disagreement_above_noise_takes_the_candidate_back_before_anybody_meets_it() -> None:
    world = in_shadow()
    world.differs, world.noisy = 0.12, 0.02
    world.phase("RolledBack")

    assert "ShadowDisagrees" in world.codes
    assert world.clock_s < 1_800.0
    assert shares_of(world, "v2") == {0}
    assert [one.name for one in world.status.rejected] == ["v2"]
    world.run(60.0)
    assert (world.tee, world.observer) == (None, None)
    assert world.condition("Ready")[0] == "False"


def test_what_stable_shows_against_itself_is_not_held_against_the_candidate() -> None:
    world = in_shadow()
    world.differs = world.noisy = 0.12
    world.phase("Baking")
    assert "ShadowDisagrees" not in world.codes


def test_without_a_noise_floor_the_same_disagreement_is_too_much() -> None:
    world = in_shadow(agreement={"atLeast": "98%"})
    world.differs = world.noisy = 0.12
    world.phase("RolledBack")
    assert shares_of(world, "v2") == {0}


def test_too_little_coverage_holds_until_there_is_enough() -> None:
    world = in_shadow()
    world.lost = 0.5
    world.run(3600.0)
    assert world.status.phase == "Waiting"
    assert "could be compared, and 80% are asked for" in told(world)
    assert shares_of(world, "v2") == {0}

    world.lost = 0.0
    world.run(8 * 3600.0, until=lambda w: w.share("v2") == 25)
    assert world.share("v2") == 25


def told(world: World) -> str:
    """The sentences of all conditions."""
    return "; ".join(one.message for one in world.status.conditions)


def test_an_observer_that_never_comes_holds_and_no_copies_are_made() -> None:
    world = Shadowed(shadow_then_canary())
    world.schedulable = False
    world.run(600.0)
    world.edit(target="v2")
    world.run(1800.0)

    assert world.status.phase == "Waiting"
    assert "the observer is not ready yet" in told(world)
    assert {made.tee for made in world.plans} == {None}
    assert world.clock_s == 0.0

    world.schedulable = True
    world.phase("Baking")


def test_an_observer_that_goes_away_stops_the_clock_and_what_it_counted_stays() -> None:
    world = in_shadow()
    world.run(600.0)
    clock_s, pairs = world.clock_s, world.counted["match"]
    world.schedulable = False
    world.run(600.0)
    assert world.clock_s - clock_s <= 1.5 * world.spec.analysis.interval
    assert world.status.phase == "Waiting"

    world.restart_observer()
    world.schedulable = True
    world.run(600.0)
    assert world.counted["match"] > pairs + 4_000
    assert world.clock_s > clock_s + 500.0


def test_counters_that_cannot_be_read_hold_and_say_why() -> None:
    world = in_shadow()
    world.problem_of_counters = "source default does not answer"
    clock_s = world.clock_s
    world.run(3600.0)
    assert world.status.phase == "Waiting"
    assert "source default does not answer" in told(world)
    assert world.clock_s == clock_s

    world.problem_of_counters = ""
    world.phase("Baking")


def test_a_pause_stops_the_clock_and_a_resume_lets_it_run() -> None:
    world = in_shadow()
    world.say("pause", "id-1")
    world.step()
    clock_s = world.clock_s
    world.run(2 * 3600.0)
    assert world.clock_s == clock_s
    assert world.condition("Paused") == ("True", "PausedByUser")

    world.say("resume", "id-2")
    world.phase("Baking")
    assert 1_800.0 <= world.clock_s < 1_900.0


def test_a_pause_keeps_nobody_from_taking_a_disagreeing_candidate_back() -> None:
    world = in_shadow()
    world.say("pause", "id-1")
    world.differs = 0.3
    world.phase("RolledBack")
    assert shares_of(world, "v2") == {0}


def abort(world: Shadowed) -> None:
    world.say("abort", "id-1")


def return_to_stable(world: Shadowed) -> None:
    world.edit(target="v1")


@pytest.mark.parametrize(
    ("act", "phase"),
    [(abort, "RolledBack"), (return_to_stable, "Serving")],
    ids=["abort", "target back"],
)
def test_who_ends_the_rollout_ends_the_shadow(act: Callable[[Shadowed], None], phase: str) -> None:
    world = in_shadow()
    act(world)
    world.phase(phase).run(60.0)

    assert (world.tee, world.observer) == (None, None)
    assert world.status.shadow is None or not world.status.shadow.running
    assert world.route == {"v1": 10_000}
    assert shares_of(world, "v2") == {0}


def test_a_new_target_is_compared_from_the_beginning() -> None:
    world = in_shadow()
    world.run(600.0)
    world.edit(target="v3")
    world.run(until=lambda w: w.plans[-1].tee == ("v3", 1_000))

    assert len(set(world.runs)) == 2
    assert world.clock_s == 0.0
    assert world.counted == {}
    assert shares_of(world, "v2") == shares_of(world, "v3") == {0}
    world.phase("Baking")
    assert world.status.stable is not None
    assert world.status.stable.name == "v3"


def test_another_revision_is_compared_from_the_beginning() -> None:
    world = in_shadow()
    world.run(600.0)
    world.versions["v2"].revision = "r2"
    world.run(until=lambda _: len(set(world.runs)) == 2)
    assert world.counted == {}
    world.phase("Baking")


def test_a_deletion_ends_the_shadow_and_goes() -> None:
    world = in_shadow()
    world.deleting = True
    world.run(60.0)
    assert world.gone
    assert world.tee is None
    assert world.route == {"v1": 10_000}
