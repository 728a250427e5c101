"""SEMANTICS, rows 44 to 48: how a rollout goes away without a failed request."""

from tests.stories.world import World, at_rest, spec


def test_row_44_deleted_in_mid_rollout_traffic_to_stable_first() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    assert world.plans[-1].finalizer
    world.deleting = True
    made = world.step()
    assert world.route == {"v1": 10_000}
    assert made.finalizer

    world.run(60)
    assert world.gone
    assert world.route == {"v1": 10_000}


def test_row_44_a_route_that_never_follows_holds_a_deletion_for_two_minutes_at_most() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.route_obeys = False
    world.deleting = True
    began = world.now
    world.run(600)

    assert world.gone
    assert 110 <= world.now - began <= 130


def test_row_45_deleted_at_rest_nothing_in_the_traffic_path_is_deleted() -> None:
    world = at_rest()
    assert not world.plans[-1].finalizer
    world.deleting = True
    made = world.step()

    assert not made.delete_route
    assert world.route == {"v1": 10_000}


def test_row_45_deletion_policy_delete_takes_the_generated_route_along() -> None:
    world = at_rest(spec(deletionPolicy="Delete"))
    assert world.plans[-1].finalizer
    world.deleting = True
    made = world.step()

    assert made.delete_route


def test_row_46_the_crd_is_deleted_with_a_whole_fleet_at_rest() -> None:
    """Nothing holds the deletion up, and nothing in the traffic path goes with it."""
    for target in ("v1", "v2"):
        world = at_rest(spec(target=target))
        assert not world.plans[-1].finalizer
        world.deleting = True
        made = world.step()
        assert not made.delete_route
        assert world.route == {target: 10_000}


def test_row_47_the_operator_is_uninstalled_and_comes_back_a_day_later() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.run(35)
    step = world.status.step
    world.now += 86_400.0
    assert world.route == {"v1": 7500, "v2": 2500}

    world.step()
    assert world.status.step == step
    assert world.share("v2") == 25
    world.phase("Baking")


def test_row_44_deleted_although_another_writer_has_just_moved_the_weights() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.versions["v2"].ready = 0
    world.run(400)
    world.turn_route({"v1": 5000, "v2": 5000})
    world.deleting = True
    made = world.step()

    assert made.finalizer
    assert world.route == {"v1": 10_000}


def test_row_48_the_losing_versions_pods_are_left_alone() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.phase("Serving")
    assert world.spec.capacity == "Leave"
    assert world.versions["v1"].wanted == 2


def test_the_rows_of_a_rollback_are_those_that_it_was_decided_by() -> None:
    world = at_rest()
    world.versions["v2"].rates["errors"] = 0.05
    world.edit(target="v2")
    world.phase("RolledBack")

    (row,) = world.status.metrics
    assert row.verdict == "Worse"
    assert row.message == world.status.rejected[-1].message


def test_the_rows_of_a_promotion_are_those_that_it_was_decided_by() -> None:
    written = spec(strategy={"canary": {"weights": [50], "minDuration": "30s"}})
    world = at_rest({key: value for key, value in written.items() if key != "bake"}, rps=20.0)
    world.edit(target="v2")
    world.run(until=lambda w: "Promoted" in w.codes)

    (row,) = world.status.metrics
    assert row.verdict in {"NotWorse", "Better"}, row.message


def test_deleted_before_any_version_served() -> None:
    world = World()
    world.versions["v1"].exists = False
    world.settle()
    world.deleting = True
    world.run(10)
    assert world.gone
    assert world.transcript[-1].endswith("deleted before any version served: nothing is moved")
