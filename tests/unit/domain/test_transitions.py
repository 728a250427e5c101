"""The table of moves: every legal one is made by a rollout, every other is refused."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from modelrollout.domain import transitions
from modelrollout.domain.planned import Move
from modelrollout.domain.transitions import TABLE, IllegalMoveError, Phase, Trigger, moved
from tests.stories.world import World, at_rest, spec

PAUSES = {
    "steps": [
        {"pause": {"duration": "1m"}},
        {"pause": {"duration": "1m"}},
        {"weight": 5, "minDuration": "1m"},
        {"pause": {"duration": "1m"}},
        {"weight": 50, "minDuration": "1m"},
    ]
}


def made(world: World) -> set[tuple[Phase, Trigger]]:
    return {(move.phase, move.trigger) for plan in world.plans for move in plan.moves}


def pending() -> World:
    return World()


def serving() -> World:
    return at_rest()


def in_a_test() -> World:
    arms = [{"version": "v2", "weight": 20}, {"version": "v3", "weight": 20}]
    unit = {"header": "x-user-id"}
    test = {"unit": unit, "arms": arms, "duration": "10m", "goal": "rating"}
    return World(spec(strategy={"abTest": test})).phase("Testing")


def starting() -> World:
    world = at_rest()
    world.versions["v2"].ready = 0
    world.edit(target="v2")
    return world.phase("Starting")


def stepping() -> World:
    world = at_rest()
    world.edit(target="v2")
    return world.phase("Stepping")


def waiting() -> World:
    world = at_rest(spec(strategy=PAUSES))
    world.edit(target="v2")
    return world.phase("Stepping").phase("Waiting")


def undecided() -> World:
    world = at_rest(spec(deadline="10m"), rps=0.2)
    world.edit(target="v2")
    return world.phase("Undecided")


def baking() -> World:
    return stepping().phase("Baking")


def draining() -> World:
    world = stepping()
    world.edit(target="v3")
    return world.phase("Draining")


def rolled_back() -> World:
    world = stepping()
    world.say("abort", "id-1")
    return world.phase("RolledBack")


AT: dict[str, Callable[[], World]] = {
    "Pending": pending,
    "Serving": serving,
    "Testing": in_a_test,
    "Starting": starting,
    "Stepping": stepping,
    "Waiting": waiting,
    "Undecided": undecided,
    "Baking": baking,
    "Draining": draining,
    "RolledBack": rolled_back,
}


def ended(world: World, *, by: str) -> World:
    """The world after one more thing has happened in its present phase."""
    if by == "deletion":
        world.deleting = True
        world.step()
    elif by == "promote":
        for version in world.versions.values():
            version.ready = version.wanted
        world.say("promote", "id-p")
        world.step()
    elif by == "abort":
        world.say("abort", "id-a")
        world.step()
    return world.run(120)


def used_up(world: World) -> World:
    """The last rejection has had all its tries."""
    rejected = world.stored["rejected"]
    rejected[-1]["tries"] = 5
    return world


def given_more_time() -> World:
    world = undecided()
    world.edit(deadline="24h")
    return world.run(60)


def to_and_fro() -> list[World]:
    """Back to stable from a rejection, a retry, a bad second candidate, tries that are used up."""
    back = rolled_back()
    back.edit(target="v1")
    back.phase("Serving")
    at_end = used_up(deepcopy(back))
    at_end.edit(target="v2")
    at_end.phase("RolledBack")
    other = used_up(rolled_back())
    other.edit(target="v3")
    other.phase("Stepping").say("abort", "id-2")
    other.phase("RolledBack")
    other.edit(target="v2")
    other.run(60)
    again = rolled_back()
    again.say("retry", "id-2")
    return [back, at_end, other, again.phase("Stepping")]


def test_every_legal_move_is_made_by_a_rollout() -> None:
    worlds = [draining().phase("Serving"), baking().phase("Serving"), waiting().phase("Baking")]
    worlds += [*to_and_fro(), given_more_time(), in_a_test().phase("Serving")]
    for phase, reach in AT.items():
        world = reach()
        worlds += [ended(deepcopy(world), by="deletion"), world]
        if phase in {"Starting", "Stepping", "Waiting", "Undecided", "Baking"}:
            worlds += [ended(deepcopy(world), by="abort"), ended(world, by="promote")]

    assert set().union(*map(made, worlds)) == set(TABLE)


@pytest.mark.parametrize("phase", Phase)
def test_every_other_move_is_refused(phase: Phase) -> None:
    for trigger in Trigger:
        if (phase, trigger) in TABLE:
            assert moved(phase, trigger) is TABLE[phase, trigger]
        else:
            with pytest.raises(IllegalMoveError, match=str(phase)):
                moved(phase, trigger)


def test_the_document_is_the_table_in_words() -> None:
    assert transitions.FILE.read_text() == transitions.document()
    assert set(transitions.PHASES) == set(Phase)
    assert set(transitions.TRIGGERS) == set(Trigger)


def test_a_plan_names_its_moves() -> None:
    world = World()
    assert world.step().moves == (Move(Phase.PENDING, Trigger.ADOPT),)
