"""A split that is not in force holds every step and the promotion, and says which way it leans."""

from typing import Any

from tests.stories.world import World, spec


class Leaning(World):
    """A gateway that says yes and sends the candidate half of its share."""

    def requests(self, version: str, until: float) -> int:
        found = super().requests(version, until)
        return found // 2 if version == "v2" else found


def of_steps(length: str) -> dict[str, Any]:
    return spec(strategy={"canary": {"weights": [5, 25, 50], "minDuration": length}})


def test_a_failed_guard_holds_the_rollout_and_says_which_way_it_leans() -> None:
    world = Leaning(of_steps("5m")).settle()
    world.edit(target="v2")
    world.run(3600)

    assert world.share("v2") == 5
    assert world.condition("Reconciling") == ("True", "SplitContradicts")
    assert "the candidate gets too few requests" in world.status.message


def test_the_same_rollout_goes_on_where_the_split_is_in_force() -> None:
    world = World(of_steps("5m")).settle()
    world.edit(target="v2")
    world.phase("Baking")
    assert world.share("v2") > 50


def test_steps_of_fewer_than_four_looks_are_not_guarded() -> None:
    """As `docs/statistics.md` says: how much requests bunch is not known before."""
    world = Leaning(of_steps("90s")).settle()
    world.edit(target="v2")
    world.run(600)
    assert world.share("v2") > 5
