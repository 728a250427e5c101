"""A shadow beside the target: how it goes with a deletion, and what it costs while refused."""

from dataclasses import replace
from typing import Any

from modelrollout.domain.observed import Observed, ShadowSeen
from modelrollout.domain.planned import Window
from tests.stories.world import World, spec

SHADOW: dict[str, Any] = {
    "version": "v2",
    "protocol": {"openInference": {"outputs": ["label"]}},
    "task": {"classification": {}},
}


class Shadowed(World):
    """A world whose observer is ready as soon as it is asked for."""

    def observed(self, window: Window | None) -> Observed:
        """What the operator sees, an observer among it."""
        return replace(super().observed(window), shadow=ShadowSeen(exists=True, ready=True))


def under_way() -> World:
    world = Shadowed(spec(traffic={"router": {}}, strategy={"shadow": SHADOW}))
    world.run(60.0, until=lambda w: bool(w.plans and w.plans[-1].tee))
    assert world.plans[-1].tee is not None
    return world


def test_a_deletion_takes_the_copies_off_the_route_before_the_object_goes() -> None:
    world = under_way().run(60.0)
    assert world.plans[-1].finalizer
    world.deleting = True
    made = world.step()
    assert made.finalizer
    assert made.shares == {"v1": 10_000}
    assert made.tee is None
    assert made.status.decision.tee == ""
    world.run(10.0)
    assert world.gone


def test_a_refused_rollout_is_not_asked_for_its_shadow_again_and_again() -> None:
    world = under_way().run(60.0)
    world.versions["v3"].exists = False
    world.edit(target="v3")
    before = len(world.plans)
    world.run(300.0)
    assert world.condition("Accepted")[0] == "False"
    assert len(world.plans) - before < 40
