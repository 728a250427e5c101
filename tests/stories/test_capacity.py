"""Replicas: the old version is parked and comes back, and no autoscaler shrinks the way back."""

from typing import Any

import pytest

from modelrollout.domain.observed import AutoscalerSeen
from tests.stories.world import World, at_rest, spec

QUICK: dict[str, Any] = {
    "strategy": {"canary": {"weights": [50], "minDuration": "1m"}},
    "bake": {"duration": "5m", "holdback": 5},
}


def released(**changes: Any) -> World:
    world = at_rest(spec(**(QUICK | changes)))
    world.edit(target="v2")
    return world


def parked() -> World:
    """v2 serves; v1, which had two replicas, has none."""
    world = released(capacity="ParkOld").phase("Baking").phase("Serving")
    return world.run(600.0, until=lambda w: w.versions["v1"].wanted == 0)


def test_row_48_the_old_version_is_parked_after_bake_and_drain() -> None:
    world = released(capacity="ParkOld").phase("Baking")
    world.run(290.0)
    assert world.versions["v1"].wanted == 2
    world.phase("Serving")
    left_at = world.now
    world.run(600.0)
    ((at, name, replicas),) = world.scaled
    assert (name, replicas) == ("v1", 0)
    assert left_at + 30.0 <= at < left_at + 40.0
    assert "Parked" in world.codes
    assert world.condition("Ready")[0] == "True"


def test_it_is_not_parked_while_the_routes_do_not_follow() -> None:
    world = released(capacity="ParkOld").phase("Baking")
    world.route_obeys = False
    world.run(900.0)
    assert world.share("v1") > 0
    assert world.scaled == []


def test_a_target_set_back_brings_the_replicas_back_before_any_traffic() -> None:
    world = parked()
    world.edit(target="v1")
    world.step()
    assert world.versions["v1"].wanted == 2
    assert world.share("v1") == 0
    world.phase("Baking")
    assert world.status.stable is not None
    assert world.status.stable.name == "v1"
    assert "Unparked" in world.codes
    assert "ScaledToZero" not in world.codes


def test_what_somebody_scales_up_is_let_be() -> None:
    world = parked()
    world.run(30.0)
    world.versions["v1"].wanted = world.versions["v1"].ready = 1
    world.run(900.0)
    assert len(world.scaled) == 1
    assert world.versions["v1"].wanted == 1


def test_a_foreign_weight_on_a_parked_version_brings_its_pods_back() -> None:
    world = parked()
    world.turn_route({"v1": 5_000, "v2": 5_000})
    world.step()
    assert world.versions["v1"].wanted == 2


def test_leave_instead_of_park_old_brings_it_back() -> None:
    world = parked()
    world.edit(capacity="Leave")
    world.run(600.0)
    assert world.versions["v1"].wanted == 2
    assert world.status.parked == []


def test_a_rolled_back_candidate_is_not_parked() -> None:
    world = released(capacity="ParkOld")
    world.versions["v2"].rates = {"errors": 0.2}
    world.phase("RolledBack").run(600.0)
    assert world.scaled == []


def test_a_return_within_the_bake_finds_the_old_version_warm() -> None:
    world = released(capacity="ParkOld").phase("Baking")
    world.edit(target="v1")
    world.phase("Serving").run(600.0)
    assert world.scaled == []


def test_a_new_target_in_the_drain_of_the_old_version_still_parks_it() -> None:
    world = released(capacity="ParkOld").phase("Baking").phase("Serving")
    world.edit(target="v3")
    world.run(60.0)
    assert world.scaled[0][1:] == ("v1", 0)


def test_stored_replicas_survive_a_crash_before_the_scale_is_written() -> None:
    world = released(capacity="ParkOld").phase("Baking").phase("Serving")
    world.run(600.0, until=lambda w: any(one.state == "Parking" for one in w.status.parked))
    world.versions["v1"].wanted = 2
    world.run(10.0)
    assert world.versions["v1"].wanted == 0
    world.edit(target="v1")
    world.run(10.0)
    assert world.versions["v1"].wanted == 2


@pytest.mark.parametrize("owner", ["argocd-controller", "autoscaler"])
def test_park_old_is_refused_where_somebody_else_sets_the_replicas(owner: str) -> None:
    world = at_rest(spec(**QUICK))
    if owner == "autoscaler":
        world.autoscalers["v2"] = AutoscalerSeen("fraud-v2", 1, 5)
    else:
        world.versions["v2"].replicas_owner = owner
    world.edit(capacity="ParkOld", target="v2")
    world.run(60.0)
    assert world.condition("Accepted") == ("False", "ReplicasOwned")
    assert world.share("v2") == 0
    assert "kubectl scale" in world.status.message


def test_deletion_leaves_a_parked_version_parked() -> None:
    world = parked()
    world.deleting = True
    world.run(60.0)
    assert world.gone
    assert world.versions["v1"].wanted == 0


def scaled(minimum: int = 1, **changes: Any) -> World:
    """v1 has four ready pods, of which its autoscaler may take all but `minimum`."""
    world = at_rest(spec(**(QUICK | changes)))
    world.versions["v1"].wanted = world.versions["v1"].ready = 4
    world.autoscalers["v1"] = AutoscalerSeen("fraud-v1", minimum, 10)
    world.edit(target="v2")
    return world


def minimum(world: World, version: str = "v1") -> int:
    return world.autoscalers[version].minimum


def test_row_35_the_minimum_of_stables_autoscaler_is_held_and_put_back() -> None:
    world = scaled().phase("Stepping")
    assert minimum(world) == 4
    world.phase("Baking")
    assert minimum(world) == 4
    world.phase("Serving").run(10.0)
    assert minimum(world) == 1
    assert world.autoscalers["v1"].original is None
    assert world.status.held == []


def test_row_35_without_the_right_stable_may_shrink_and_it_is_said() -> None:
    world = at_rest(spec(**QUICK))
    world.versions["v1"].wanted = world.versions["v1"].ready = 4
    world.autoscalers["v1"] = AutoscalerSeen("fraud-v1", 1, 10)
    world.may_hold = False
    world.edit(target="v2")
    world.phase("Stepping").run(60.0)
    assert minimum(world) == 1
    assert world.condition("StableMayShrink") == ("True", "StableMayShrink")
    assert world.codes.count("StableMayShrink") == 1
    world.phase("Serving").run(60.0)
    assert world.condition("StableMayShrink") == ("", "")


@pytest.mark.parametrize("how", ["abort", "back", "deletion"])
def test_every_end_puts_the_minimum_back(how: str) -> None:
    world = scaled().phase("Stepping")
    if how == "abort":
        world.say("abort", "id-1")
    elif how == "back":
        world.edit(target="v1")
    else:
        world.deleting = True
    world.run(120.0)
    assert minimum(world) == 1
    assert world.autoscalers["v1"].original is None
    assert world.gone is (how == "deletion")


def test_the_count_is_bounded_by_the_autoscalers_maximum() -> None:
    world = at_rest(spec(**QUICK))
    world.versions["v1"].wanted = world.versions["v1"].ready = 4
    world.autoscalers["v1"] = AutoscalerSeen("fraud-v1", 1, 3)
    world.edit(target="v2")
    world.phase("Stepping")
    assert minimum(world) == 3


def test_a_minimum_that_is_high_enough_is_left_alone() -> None:
    world = scaled(minimum=6).phase("Stepping")
    assert minimum(world) == 6
    assert world.autoscalers["v1"].original is None


def test_what_its_owner_writes_meanwhile_is_what_is_put_back() -> None:
    world = scaled().phase("Stepping")
    world.autoscalers["v1"] = AutoscalerSeen("fraud-v1", 2, 10, original=1, held=4)
    world.run(40.0)
    assert minimum(world) == 4
    world.phase("Serving").run(10.0)
    assert minimum(world) == 2


def test_a_status_that_is_lost_puts_the_minimum_back_all_the_same() -> None:
    world = scaled().phase("Stepping")
    world.edit(target="v1")
    world.stored = {}
    world.run(60.0)
    assert minimum(world) == 1


def test_the_next_rollout_holds_its_own_stable() -> None:
    world = scaled()
    world.autoscalers["v2"] = AutoscalerSeen("fraud-v2", 1, 10)
    world.phase("Baking").edit(target="v3")
    world.run(60.0)
    assert minimum(world) == 1
    assert minimum(world, "v2") == 2


def test_a_parked_version_comes_back_for_a_shadow() -> None:
    world = parked()
    world.edit(
        strategy={
            "shadow": {
                "version": "v1",
                "protocol": {"openInference": {"outputs": ["label"]}},
                "task": {"classification": {}},
            }
        }
    )
    world.run(10.0)
    assert world.versions["v1"].wanted == 2
