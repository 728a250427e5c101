"""The bake: what still watches a promoted version, and what ends it."""

from typing import Any

from tests.stories.world import World, at_rest, spec

LIMITED: dict[str, Any] = {
    "name": "errors",
    "rate": {"events": "e_total", "total": "x_total"},
    "margin": {"absolute": 0.05},
    "rollBackWhen": "WorseThanMargin",
    "limit": {"atMost": 0.02},
}


def baking(written: dict[str, Any] | None = None, **options: Any) -> World:
    world = at_rest(written, **options)
    world.edit(target="v2")
    return world.phase("Baking")


def without_holdback(**changes: Any) -> dict[str, Any]:
    analysis = {"interval": "30s", "metrics": [LIMITED]}
    return spec(bake={"duration": "20m"}, analysis=analysis) | changes


def test_without_a_holdback_a_bake_says_that_it_watches_limits_and_readiness_only() -> None:
    world = baking(without_holdback()).run(60)

    assert world.route == {"v2": 10_000}
    assert "only absolute limits and readiness are watched" in world.status.message


def test_without_a_holdback_an_absolute_limit_is_still_judged() -> None:
    world = baking(without_holdback())
    world.versions["v2"].rates["errors"] = 0.06
    world.phase("RolledBack")

    assert world.status.rejected[-1].reason == "LimitBroken"
    assert "outside its limit" in world.status.rejected[-1].message
    assert world.route == {"v1": 10_000}


def test_with_a_holdback_a_bake_names_its_control_and_the_time_left() -> None:
    world = baking().run(60)

    assert "v2@r1 is watched for another" in world.status.message
    assert "5% of the users stay on v1 as the control" in world.status.message


def test_promotion_waits_for_the_ready_pods_as_every_weight_does() -> None:
    world = at_rest()
    world.versions["v2"].wanted, world.versions["v2"].ready = 10, 6
    world.edit(target="v2")
    world.phase("Baking")
    assert world.share("v2") == 60

    world.run(1200)
    assert world.status.phase == "Baking"
    assert world.condition("Reconciling") == ("True", "Capacity")
    world.versions["v2"].ready = 10
    world.step()
    assert world.share("v2") == 95
    world.phase("Serving")
    assert world.route == {"v2": 10_000}


def test_without_a_bake_too_promotion_waits_for_the_ready_pods() -> None:
    world = at_rest({key: value for key, value in spec().items() if key != "bake"})
    world.versions["v2"].wanted, world.versions["v2"].ready = 10, 6
    world.edit(target="v2")
    world.phase("Baking").run(300)
    assert world.share("v2") == 60

    world.versions["v2"].ready = 10
    world.phase("Serving")


def test_the_holdback_ends_when_the_old_version_has_no_ready_pod() -> None:
    world = baking()
    world.versions["v1"].ready = 0
    world.step()

    assert world.route == {"v2": 10_000}
    assert world.codes[-1] == "StableUnhealthy"
    world.phase("Serving")


def test_the_holdback_ends_when_the_old_version_leaves_the_list() -> None:
    world = baking()
    world.edit(versions=[v for v in world.written["versions"] if v["name"] != "v1"])
    world.step()
    assert world.route == {"v2": 10_000}
    assert "no longer among the versions" in world.transcript[-1]

    world.say("abort", "id-1")
    world.step()
    assert world.route == {"v2": 10_000}


def test_a_revision_that_changes_in_the_bake_is_the_one_that_is_judged_and_rejected() -> None:
    world = baking()
    world.versions["v2"].revision = "r2"
    world.versions["v2"].rates["errors"] = 0.1
    world.step()
    assert world.codes[-1] == "StableChanged"
    assert world.status.metrics[0].samples == "0 / 0"

    world.phase("RolledBack").run(600)
    assert [str(e.name) + e.revision for e in world.status.rejected] == ["v2r2"]
    assert world.status.phase == "RolledBack"


def test_evidence_that_a_person_answered_does_not_end_the_bake_but_new_harm_does() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.versions["v2"].rates["errors"] = 0.0105
    world.run(until=lambda w: "may be harmful" in w.status.message)
    world.say("promote", "id-1 despite='known and accepted'")
    world.step()
    assert world.status.metrics[0].samples == "0 / 0"
    world.versions["v2"].rates["errors"] = 0.005
    world.phase("Serving")
    assert str(world.status.stable) == "v2@r1"


def test_the_finalizer_stays_until_the_last_change_of_weights_is_seen_in_the_routes() -> None:
    world = baking().phase("Serving")
    assert world.plans[-1].finalizer
    world.settle()
    assert not world.plans[-1].finalizer


def test_losing_all_endpoints_in_the_bake_moves_to_the_version_still_warm() -> None:
    world = baking()
    world.versions["v2"].ready = 0
    world.step()
    assert world.route == {"v1": 10_000}

    world.versions["v2"].ready = 2
    world.step()
    assert world.share("v2") == 95
