"""Blue/green: preview, check, approval, one switch, a bake with the old version warm, and back."""

from typing import Any

import pytest

from modelrollout.domain.observed import JobState
from tests.stories.world import World, at_rest, spec

HOST = "fraud-preview.example.com"
WHOLE: dict[str, Any] = {
    "previewHost": HOST,
    "smokeTest": {"cronJob": "fraud-smoke", "timeout": "5m"},
    "approval": True,
}


def written(**changes: Any) -> dict[str, Any]:
    """A blue/green rollout; `changes` replace parts of the strategy, None leaves one out."""
    strategy = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    return spec(strategy={"blueGreen": strategy}, bake={"duration": "5m"})


def released(**changes: Any) -> World:
    """v1 at rest, then v2 is the target."""
    world = at_rest(written(**changes))
    world.edit(target="v2")
    return world


def at_the_test(**changes: Any) -> World:
    """The smoke test runs and does not end by itself."""
    world = released(**changes)
    world.smoke_test = JobState.RUNNING
    return world.run(60.0, until=lambda w: bool(w.jobs))


def at_the_approval(**changes: Any) -> World:
    return released(**changes).run(until=lambda w: w.condition("Paused")[1] == "AwaitingApproval")


def approve(world: World) -> World:
    candidate = world.status.candidate
    assert candidate is not None
    step = world.status.step.split("/")[0]
    world.say("approve", f"yes step={step} revision={candidate.revision}")
    return world


def users_of(world: World, version: str) -> int:
    return world.requests(version, world.now)


def test_preview_check_approval_one_switch_and_a_warm_bake() -> None:
    world = at_the_approval()
    assert world.status.step == "3/3"
    assert world.preview == "v2"
    assert list(world.jobs.values()) == [JobState.SUCCEEDED]
    assert users_of(world, "v2") == 0
    assert f"http://{HOST}" in world.status.message
    assert world.status.preview == f"http://{HOST}"

    approve(world).phase("Baking")
    world.run(20.0)
    assert world.share("v2") == 100
    assert world.preview == ""
    assert world.status.preview == ""
    assert world.status.previous is not None
    assert world.status.previous.name == "v1"
    assert "observational" in world.status.message
    world.phase("Serving")
    assert [code for code in world.codes if code in {"Switched", "Promoted"}] == [
        "Switched",
        "Promoted",
    ]


def test_status_and_events_say_that_nothing_was_compared() -> None:
    world = approve(at_the_approval()).phase("Baking")
    assert world.status.effective is not None
    assert world.status.effective.comparison == "observational"
    assert any("observational" in line for line in world.transcript)


def test_an_overlap_compares_both_versions_before_the_switch() -> None:
    world = released(smokeTest=None, approval=None, overlap="10m").phase("Stepping")
    world.run(60.0)
    assert world.share("v2") == 50
    assert world.status.effective is not None
    assert world.status.effective.comparison == "concurrent"
    world.phase("Baking")
    assert "EvidenceComplete" in world.codes


def test_harm_in_the_overlap_rolls_back() -> None:
    world = released(smokeTest=None, approval=None, overlap="10m")
    world.versions["v2"].rates = {"errors": 0.2}
    world.phase("RolledBack")
    assert "Harm" in world.codes


@pytest.mark.parametrize("given", [{}, {"previewHost": HOST}, {"overlap": "1m"}])
def test_every_part_may_be_left_out(given: dict[str, Any]) -> None:
    world = at_rest(spec(strategy={"blueGreen": given}, bake={"duration": "1m"}))
    world.edit(target="v2")
    world.run(3600.0, until=lambda w: w.status.stable is not None and w.status.stable.name == "v2")
    world.phase("Serving")
    assert world.share("v2") == 100


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (JobState.FAILED, "BackoffLimitExceeded"),
        (JobState.RUNNING, "did not succeed within 5m"),
    ],
)
def test_no_user_meets_a_version_whose_smoke_test_did_not_succeed(
    state: JobState, sentence: str
) -> None:
    world = released()
    world.smoke_test = state
    world.phase("RolledBack")
    assert "SmokeTestFailed" in world.codes
    assert sentence in world.status.message
    assert "no user met it" in world.status.message
    assert users_of(world, "v2") == 0
    assert world.preview == ""
    assert len(world.jobs) == 1


def test_a_smoke_test_that_is_deleted_under_way_counts_as_failed() -> None:
    world = at_the_test()
    world.run(10.0)
    world.jobs.clear()
    world.phase("RolledBack")
    assert "was deleted before its end" in world.status.message
    assert not world.jobs


def test_without_a_usable_template_nothing_starts() -> None:
    world = released()
    world.smoke_test_problem = "the CronJob fraud-smoke does not exist: create it, suspended"
    world.run(900.0)
    assert world.status.phase == "Starting"
    assert "fraud-smoke does not exist" in world.status.message
    world.smoke_test_problem = ""
    world.run(60.0)
    assert world.jobs


def test_a_retry_tests_anew() -> None:
    world = released()
    world.smoke_test = JobState.FAILED
    world.phase("RolledBack")
    world.smoke_test = JobState.SUCCEEDED
    world.say("retry", "id-1")
    world.run(60.0)
    assert len(world.jobs) == 2
    assert "AwaitingApproval" in world.condition("Paused")[1]


def test_the_preview_must_stand_before_anything_is_tested() -> None:
    world = released()
    world.preview_obeys = False
    world.run(300.0)
    assert world.status.step == "1/3"
    assert not world.jobs
    assert HOST in world.condition("TrafficProgrammed")[1] + world.status.message
    world.preview_obeys = True
    world.run(60.0)
    assert world.jobs


def test_a_preview_that_somebody_removes_is_put_back() -> None:
    world = at_the_approval()
    world.preview = ""
    world.run(10.0)
    assert world.preview == "v2"
    assert "WeightsPutBack" not in world.codes


def test_requests_to_the_preview_are_no_evidence() -> None:
    world = at_the_approval()
    before = world.status.evidence
    world.versions["v2"].rates = {"errors": 0.9}
    world.run(300.0)
    assert world.status.evidence == before
    assert world.status.phase == "Waiting"


def test_the_switch_waits_until_the_candidate_can_take_all_traffic() -> None:
    world = at_the_approval()
    world.versions["v2"].ready = 1
    approve(world).run(300.0)
    assert world.share("v2") == 0
    assert "1 of 2 pods ready" in world.status.message
    world.versions["v2"].ready = 2
    world.phase("Baking")
    world.run(10.0)
    assert world.share("v2") == 100


def test_a_pause_stops_the_time_of_the_smoke_test_and_its_failure_still_counts() -> None:
    world = at_the_test()
    world.say("pause", "id-1")
    world.run(1200.0)
    assert world.status.phase == "Waiting"
    (name,) = world.jobs
    world.jobs[name] = JobState.FAILED
    world.phase("RolledBack")


def test_a_pause_holds_the_switch() -> None:
    world = at_the_approval()
    world.say("pause", "id-1")
    approve(world).run(300.0)
    assert world.share("v2") == 0
    world.say("resume", "id-2")
    world.phase("Baking")


@pytest.mark.parametrize("reach", [at_the_test, at_the_approval], ids=["check", "approval"])
@pytest.mark.parametrize("how", ["abort", "back", "other", "revision"])
def test_every_way_back_removes_the_preview_and_no_user_met_it(reach: Any, how: str) -> None:
    world: World = reach()
    if how == "abort":
        world.say("abort", "id-9")
    elif how == "revision":
        world.versions["v2"].revision = "r2"
    else:
        world.edit(target="v1" if how == "back" else "v3")
    world.step()
    assert world.preview == ""
    world.run(20.0)
    ends = {"abort": "Aborted", "back": "Returned", "other": "Superseded"}
    assert world.status.history[-1].outcome == ends.get(how, "NewRevision")
    assert users_of(world, "v2") == 0


def test_target_back_in_the_bake_is_one_switch_back() -> None:
    world = approve(at_the_approval()).phase("Baking")
    world.run(60.0)
    world.edit(target="v1")
    world.step()
    assert world.share("v1") == 100
    world.phase("Serving")
    assert world.status.history[-1].outcome == "Returned"


def test_an_absolute_limit_rolls_back_in_the_bake() -> None:
    given = written(approval=None)
    given["analysis"]["metrics"][0]["limit"] = {"atMost": 0.05}
    world = at_rest(given)
    world.versions["v2"].rates = {"errors": 0.3}
    world.edit(target="v2")
    world.phase("Baking")
    world.phase("RolledBack")
    assert "LimitBroken" in world.codes
    assert world.share("v1") == 100


def test_a_crash_loop_at_the_preview_rolls_back() -> None:
    world = at_the_approval()
    world.versions["v2"].crash_looping = frozenset({"v2-a"})
    world.phase("RolledBack")
    assert "Crashing" in world.codes
    assert users_of(world, "v2") == 0


def test_an_approval_given_early_approves_nothing() -> None:
    world = at_the_test()
    world.say("approve", "early step=3 revision=r1")
    world.run(10.0)
    assert "ApprovalRefused" in world.codes
    (name,) = world.jobs
    world.jobs[name] = JobState.SUCCEEDED
    world.run(300.0)
    assert world.share("v2") == 0


def test_deletion_at_the_preview_takes_it_away_first() -> None:
    world = at_the_approval()
    world.deleting = True
    world.run(60.0)
    assert world.gone
    assert world.preview == ""


def test_an_edit_of_the_strategy_at_the_preview_sends_nobody_over() -> None:
    world = at_the_test()
    world.edit(strategy={"blueGreen": {"approval": True}})
    world.run(120.0)
    assert users_of(world, "v2") == 0
    assert "AwaitingApproval" in world.condition("Paused")[1]


def test_a_way_back_is_not_over_before_the_preview_is_gone() -> None:
    world = at_the_approval()
    world.preview_obeys = False
    world.say("abort", "id-1")
    world.run(120.0)
    assert world.status.phase == "Draining"
    world.preview_obeys = True
    world.phase("RolledBack")
    assert world.preview == ""


def test_a_smoke_test_is_never_made_again_while_a_way_back_is_barred() -> None:
    world = at_the_test()
    world.run(10.0)
    world.versions["v1"].ready = 0
    world.jobs.clear()
    world.run(60.0)
    assert world.status.phase == "Waiting"
    assert not world.jobs


def test_a_step_that_an_edit_makes_a_smoke_test_gets_its_job() -> None:
    world = released(approval=None)
    world.preview_obeys = False
    world.run(60.0)
    assert world.status.step == "1/2"
    world.edit(strategy={"blueGreen": {"smokeTest": {"cronJob": "fraud-smoke", "timeout": "5m"}}})
    world.phase("Baking")
    assert len(world.jobs) == 1


@pytest.mark.parametrize("old", [JobState.FAILED, JobState.SUCCEEDED, JobState.RUNNING])
def test_another_template_in_mid_test_is_a_test_of_its_own(old: JobState) -> None:
    world = at_the_test(approval=None)
    world.jobs = dict.fromkeys(world.jobs, old)
    world.edit(
        strategy={
            "blueGreen": WHOLE
            | {"approval": False, "smokeTest": {"cronJob": "other-smoke", "timeout": "5m"}}
        }
    )
    world.run(60.0)
    assert [name.rpartition("-")[0] for name in world.jobs] == ["fraud-smoke", "other-smoke"]
    assert world.status.phase == "Waiting"
    world.jobs = dict.fromkeys(world.jobs, JobState.SUCCEEDED)
    world.phase("Baking")
