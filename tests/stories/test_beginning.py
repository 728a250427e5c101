"""SEMANTICS, rows 1 to 8: how a rollout finds out who serves."""

from modelrollout.api.status import ModelRolloutStatus, to_object
from modelrollout.domain.reasons import Code, Reason
from tests.stories.world import World, at_rest, spec


def test_row_01_first_apply_nothing_serves_the_target_becomes_stable_at_once() -> None:
    world = World(spec(target="v2")).settle()

    assert world.status.stable is not None
    assert world.status.stable.name == "v2"
    assert world.route == {"v2": 10_000}
    assert world.codes == ["InitialDeployment"]
    assert world.condition("Ready") == ("True", "InitialDeployment")


def test_row_02_first_apply_the_users_route_serves_a_version_of_the_list() -> None:
    world = World(spec(target="v2"))
    world.turn_route({"v1": 10_000})
    world.step()

    assert world.status.stable is not None
    assert world.status.stable.name == "v1"
    assert world.route == {"v1": 10_000}
    world.phase("Starting")
    assert world.status.candidate is not None
    assert world.status.candidate.name == "v2"


def test_row_03_cluster_rebuilt_from_git_never_back_from_a_retired_version() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.phase("Baking")
    rebuilt = World(world.written).settle()

    assert rebuilt.route == {"v2": 10_000}
    assert rebuilt.codes == ["InitialDeployment"]


def test_row_04_status_lost_our_route_alive_traffic_returns_to_stable() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.stored = {}
    world.step()

    assert world.status.stable is not None
    assert world.status.stable.name == "v1"
    assert world.route == {"v1": 10_000}
    assert world.status.look is None
    assert world.codes[-2:] == ["Adopted", "Started"]


def test_row_05_status_restored_from_a_backup_of_another_uid() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.say("pause", "id-1")
    world.step()
    world.say("resume", "id-2")
    world.step()
    world.uid = "uid-2"
    world.step()

    assert world.status.uid == "uid-2"
    assert [entry.id for entry in world.status.intents] == ["id-1", "id-2"]
    assert not world.status.paused
    assert world.status.stable is not None
    assert world.status.stable.name == "v1"
    assert world.status.look is None
    assert world.route == {"v1": 10_000}


def test_row_06_an_older_route_holds_the_same_host_and_path() -> None:
    world = World()
    world.traffic_problem = Reason(
        Code.SHADOWED_BY_ROUTE, "route ml/old is older and holds the host; use routes: to share it"
    )
    world.run(60)

    assert world.condition("TrafficProgrammed") == ("False", "ShadowedByRoute")
    assert world.condition("Ready")[0] == "False"
    assert world.condition("Stalled") == ("True", "ShadowedByRoute")


def test_row_07_two_rollouts_claim_one_service() -> None:
    world = at_rest()
    world.problem = Reason(Code.CLAIMED, "the Service fraud-v2 is claimed by ml/other")
    world.edit(target="v2")
    world.run(120)

    assert world.condition("Accepted") == ("False", "Claimed")
    assert world.route == {"v1": 10_000}
    assert world.plans[-1].shares is None


def test_row_08_targets_backend_absent_recovers_by_itself() -> None:
    world = at_rest()
    world.versions["v2"].exists = False
    world.edit(target="v2")
    world.run(120)
    assert world.condition("Accepted") == ("False", "BackendMissing")
    assert world.codes.count("BackendMissing") == 1
    assert world.route == {"v1": 10_000}

    world.versions["v2"].exists = True
    world.phase("Stepping")
    assert world.condition("Accepted") == ("True", "Accepted")


def test_row_43_an_operator_that_is_older_than_the_status_refuses() -> None:
    world = at_rest()
    newer = to_object(ModelRolloutStatus.model_validate(world.stored)) | {"schemaVersion": 2}
    world.stored = newer
    made = world.step()

    assert made.shares is None
    assert world.codes[-1] == "NewerSchema"
    assert world.stored == newer


def test_routes_that_cannot_be_read_make_nobody_stable() -> None:
    world = World(spec(target="v2"))
    contradiction = Reason(Code.SPLIT_CONTRADICTS, "the rules disagree about the split")
    world.traffic_problem, world.route = contradiction, None
    world.settle()
    assert world.status.stable is None
    assert world.status.decision.shares == {}
    assert world.condition("TrafficProgrammed") == ("False", "SplitContradicts")
    world.traffic_problem, world.route = None, {"v1": 10_000}
    world.settle()
    assert world.status.stable is not None
    assert world.status.stable.name == "v1"


def test_a_service_without_requests_is_told_that_nothing_can_be_forecast() -> None:
    world = at_rest(rps=0.0)
    world.idle_counters = True
    world.edit(target="v2")
    world.run(120.0)

    told = [line for line in world.transcript if Code.CANNOT_ANSWER_IN_TIME in line]
    assert len(told) == 1
    assert "v1@r1 had no requests in the last minutes" in told[0]
    assert world.status.rollout is not None
    assert "cannot be forecast" in world.status.rollout.forecast
