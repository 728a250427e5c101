"""SEMANTICS, rows 9 to 15: evidence and rejection belong to a name and a revision."""

from tests.stories.world import World, at_rest


def rolled_back() -> World:
    world = at_rest()
    world.versions["v2"].rates["errors"] = 0.05
    world.edit(target="v2")
    return world.phase("RolledBack")


def test_row_09_candidates_pod_template_changes_in_mid_rollout() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.versions["v2"].revision = "r2"
    world.step()
    assert world.route == {"v1": 10_000}

    world.phase("Stepping")
    assert world.share("v2") == 5
    assert str(world.status.candidate) == "v2@r2"
    assert world.status.look is None or world.status.look.number == 0
    assert "NewRevision" in world.codes


def test_row_10_stables_pod_template_changes_in_mid_rollout() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.versions["v1"].revision = "r9"
    world.step()

    assert world.codes[-1] == "StableChanged"
    assert world.share("v2") == 25
    assert world.status.look is not None
    assert world.status.look.at >= world.now
    world.phase("Baking")


def test_row_11_stables_pod_template_changes_at_rest() -> None:
    world = at_rest()
    world.versions["v1"].revision = "r9"
    world.step()
    world.run(300)

    assert world.codes[-1] == "StableChanged"
    assert world.condition("StableChanged") == ("True", "StableChanged")
    assert world.plans[-1].shares == {"v1": 10_000}


def test_row_12_rejected_then_some_field_of_the_spec_is_edited() -> None:
    world = rolled_back()
    world.edit(deadline="12h")
    world.run(600)

    assert world.status.phase == "RolledBack"
    assert world.route == {"v1": 10_000}


def test_row_13_retry_lifts_a_rejection_and_needs_k_times_the_evidence() -> None:
    world = rolled_back()
    for number in range(2, 6):
        world.say("retry", f"id-{number}")
        world.phase("Stepping")
        assert world.status.rollout is not None
        assert world.status.rollout.number == number
        world.phase("RolledBack")
    world.say("retry", "id-6")
    world.run(120)

    assert world.status.phase == "RolledBack"
    assert world.codes[-1] == "RetryRefused"
    assert world.status.rejected[-1].tries == 5


def test_row_13_a_new_revision_is_a_new_candidate_and_pays_nothing() -> None:
    world = rolled_back()
    world.versions["v2"].revision = "r2"
    world.phase("Starting")

    assert world.status.rollout is not None
    assert world.status.rollout.number == 1


def test_row_13_target_away_and_back_lifts_a_rejection_and_pays() -> None:
    world = rolled_back()
    world.edit(target="v1")
    world.phase("Serving")
    world.edit(target="v2")
    world.phase("Starting")

    assert world.status.rollout is not None
    assert world.status.rollout.number == 2


def test_row_14_the_serving_version_removed_from_the_list_is_refused() -> None:
    """The apiserver refuses it by a rule (see the end-to-end tests); should it get by, we hold."""
    world = at_rest()
    world.edit(target="v2", versions=[v for v in world.written["versions"] if v["name"] != "v1"])
    world.run(120)

    assert world.condition("Accepted") == ("False", "InvalidSpec")
    assert "v1" in world.status.message
    assert world.route == {"v1": 10_000}


def test_row_15_the_serving_versions_workload_is_deleted_all_the_same() -> None:
    world = rolled_back()
    world.versions["v1"].workload_exists = False
    world.versions["v1"].ready = 0
    world.step()
    world.run(300)

    assert world.codes[-1] == "StableGone"
    assert world.codes.count("StableGone") == 1
    assert world.condition("Ready") == ("False", "StableGone")
    assert world.route == {"v1": 10_000}


def test_row_13_another_rejected_target_between_pays_as_well() -> None:
    world = rolled_back()
    world.versions["v3"].rates["errors"] = 0.05
    world.edit(target="v3")
    world.step()
    world.phase("RolledBack")
    world.edit(target="v2")
    world.step()
    world.phase("RolledBack")
    world.edit(target="v3")
    world.step()

    assert world.status.rollout is not None
    assert world.status.rollout.number == 2
    assert [(entry.name, entry.tries) for entry in world.status.rejected] == [("v3", 1), ("v2", 2)]


def test_row_13_going_to_and_fro_ends_with_the_fifth_try() -> None:
    world = rolled_back()
    for _ in range(4):
        world.edit(target="v1")
        world.phase("Serving")
        world.edit(target="v2")
        world.phase("Starting").phase("RolledBack")
    world.edit(target="v1")
    world.phase("Serving")
    world.edit(target="v2")
    world.run(60)

    assert world.status.phase == "RolledBack"
    assert world.codes[-1] == "Rejected"
    assert world.codes.count("Rejected") == 1


def test_a_revision_that_becomes_known_late_is_no_new_candidate() -> None:
    world = at_rest()
    world.versions["v2"].revision = ""
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.versions["v2"].revision = "r1"
    world.step()

    assert world.share("v2") == 25
    assert str(world.status.candidate) == "v2@r1"
