"""A/B tests: several versions at once, each for users of its own, and a report at the end."""

import json
from typing import Any

import pytest

from modelrollout.api.status import AbReport
from modelrollout.assignment import assigning, hashing
from modelrollout.domain.ab_testing import users
from modelrollout.domain.observed import AutoscalerSeen
from modelrollout.domain.plan import plan
from tests.stories.world import Version, World, at_rest, spec

ERRORS: dict[str, Any] = {
    "name": "errors",
    "rate": {"events": "e_total", "total": "x_total"},
    "margin": {"relative": "50%", "absolute": 0.01},
}
RATING: dict[str, Any] = {
    "name": "rating",
    "role": "goal",
    "better": "higher",
    "buckets": {"label": "bucket"},
    "mean": {"sum": "r_sum", "count": "r_count"},
}
USERS = [f"user-{n}" for n in range(5000)]


def ab_test(**changes: Any) -> dict[str, Any]:
    test = {
        "unit": {"header": "x-user-id"},
        "arms": [{"version": "v2", "weight": 20}, {"version": "v3", "weight": 20}],
        "duration": "50m",
        "goal": "rating",
    }
    return {"abTest": test | changes}


def written(strategy: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    analysis = {"interval": "30s", "metrics": [ERRORS, RATING]}
    return spec(strategy=strategy or ab_test(), analysis=analysis, **changes)


def under_test(
    strategy: dict[str, Any] | None = None, *, v2: float = 3.0, v3: float = 3.0
) -> World:
    """An A/B test under way, in which the versions are rated as given, and stable 3.0."""
    world = World(written(strategy))
    for name, value in (("v1", 3.0), ("v2", v2), ("v3", v3)):
        world.versions[name].rates = {"errors": 0.005, "rating": value}
    world.phase("Testing")
    return world


def reported(world: World) -> AbReport:
    assert world.status.ab_test is not None
    assert world.status.ab_test.report is not None
    return world.status.ab_test.report


def assigned(world: World) -> dict[str, str]:
    """Which version each user gets."""
    status = world.status
    found = assigning.of(
        world.spec,
        status.decision,
        stable=str(status.stable and status.stable.name),
        namespace="ml",
        name="fraud",
    )
    return {user: found.version_of(user) for user in USERS}


def moves(before: dict[str, str], after: dict[str, str]) -> set[tuple[str, str]]:
    return {(before[user], after[user]) for user in USERS if before[user] != after[user]}


def test_the_arms_get_their_users_and_stable_the_rest_while_the_target_stays() -> None:
    world = under_test().run(120)

    assert world.route == {"v2": 2000, "v3": 2000, "v1": 6000}
    assert str(world.status.stable) == "v1@r1"
    assert world.condition("Ready") == ("True", "ABTesting")
    assert "v2 running at 20%; v3 running at 20%" in world.status.message
    found = assigned(world)
    drawn = {user: hashing.bucket(user, salt="ml/fraud/v1") for user in USERS}
    assert all((drawn[user] < 2000) == (found[user] == "v2") for user in USERS)


def test_at_the_end_the_report_says_which_version_won_and_by_how_much() -> None:
    world = under_test(v3=3.2).phase("Serving").settle()
    report = reported(world)

    assert (report.outcome, report.winner) == ("Reported", "v3")
    assert report.message.startswith("v3 won after 50m")
    assert "+6." in report.message
    assert [(arm.version, arm.verdict) for arm in report.arms] == [
        ("v2", "Undecided"),
        ("v3", "Better"),
    ]
    assert report.arms[1].guardrails == "errors NotWorse"
    assert world.condition("Ready") == ("True", "ABTestReported")
    assert "v3 won" in world.status.message
    assert world.route == {"v1": 10_000}
    assert world.status.history[-1].outcome == "Reported"


def test_the_same_test_does_not_run_twice_and_another_one_does() -> None:
    world = under_test().phase("Serving").run(600)
    assert world.status.phase == "Serving"

    world.edit(strategy=ab_test(arms=[{"version": "v2", "weight": 50}]))
    world.phase("Testing").settle()
    assert world.route == {"v2": 5000, "v1": 5000}


def test_row_28_an_arm_that_is_harmful_gives_its_users_to_stable_and_nobody_else_moves() -> None:
    world = under_test().run(120)
    before = assigned(world)
    world.versions["v2"].rates["errors"] = 0.05
    world.run(1800, until=lambda w: "v2" not in (w.route or {}))

    assert moves(before, assigned(world)) == {("v2", "v1")}
    assert world.route == {"v3": 2000, "v1": 8000}
    assert world.status.rejected[-1].name == "v2"
    assert world.status.rejected[-1].reason == "Harm"
    assert "ArmStopped" in world.codes
    world.phase("Serving")
    report = reported(world)
    assert report.arms[0].verdict == "Stopped"


def test_row_29_a_hotfix_ends_the_test_as_superseded_and_its_report_stays() -> None:
    world = under_test(v3=3.2).run(1800)
    hotfix = [*written()["versions"], {"name": "v4", "service": {"name": "fraud-v4", "port": 8080}}]
    world.versions["v4"] = world.versions["v1"]
    world.edit(versions=hotfix, target="v4")
    world.step()

    assert world.route == {"v1": 10_000}
    report = reported(world)
    assert (report.outcome, report.winner) == ("Superseded", "")
    assert "superseded by the new target v4" in report.message
    assert report.arms[1].verdict == "Better"
    world.phase("Stepping").say("promote", "id-1")
    world.phase("Baking").phase("Serving")
    assert str(world.status.stable) == "v4@r1"
    assert world.status.ab_test is not None
    assert world.status.ab_test.report == report
    assert [entry.outcome for entry in world.status.history] == ["Superseded", "Promoted"]
    world.run(300)
    assert world.status.phase == "Serving", "the same test begins again by itself"


def test_requests_that_lean_to_one_arm_are_said_in_the_report() -> None:
    world = under_test(v3=3.2).run(120)
    world.skew = {"v2": 1.8}
    world.phase("Serving")

    told = {arm.version: arm.message for arm in reported(world).arms}
    assert "gets too many requests" in told["v2"]
    assert told["v3"] == ""
    assert reported(world).winner == "v3"


def test_raising_a_weight_in_mid_test_moves_nobody_but_those_who_join() -> None:
    world = under_test().run(120)
    before = assigned(world)
    arms = [{"version": "v2", "weight": 30}, {"version": "v3", "weight": 40}]
    world.edit(strategy=ab_test(arms=arms))
    world.settle()

    assert world.route == {"v2": 3000, "v3": 4000, "v1": 3000}
    assert moves(before, assigned(world)) == {("v1", "v2"), ("v1", "v3")}


def test_an_arm_that_is_taken_out_gives_its_users_back_and_the_others_keep_their_evidence() -> None:
    world = under_test().run(600)
    before = assigned(world)
    world.edit(strategy=ab_test(arms=[{"version": "v3", "weight": 20}]))
    world.step()

    assert moves(before, assigned(world)) == {("v2", "v1")}
    assert world.status.phase == "Testing"
    world.phase("Serving")
    report = reported(world)
    assert [arm.version for arm in report.arms] == ["v3"]


def test_another_salt_is_another_test_and_draws_the_users_anew() -> None:
    world = under_test().run(600)
    before = assigned(world)
    world.edit(strategy=ab_test(salt="second"))
    world.phase("Testing").settle()

    assert "was rewritten" in " ".join(world.transcript)
    assert ("v2", "v3") in moves(before, assigned(world))


def test_an_abort_ends_the_test() -> None:
    world = under_test().run(600)
    world.say("abort", "id-1")
    world.phase("Serving")

    assert world.route == {"v1": 10_000}
    assert world.status.history[-1].outcome == "Aborted"
    world.run(300)
    assert world.status.phase == "Serving"


def test_an_arm_that_is_not_ready_yet_waits_and_the_others_do_not() -> None:
    world = World(written())
    world.versions["v3"].ready = 0
    world.phase("Testing").settle()
    assert world.route == {"v2": 2000, "v1": 8000}

    world.versions["v3"].ready = 2
    world.settle()
    assert world.route == {"v2": 2000, "v3": 2000, "v1": 6000}


def test_an_arm_that_never_gets_ready_is_stopped() -> None:
    world = World(written())
    world.versions["v3"].ready = 0
    world.phase("Testing").run(900)

    assert world.status.rejected[-1].reason == "ProgressDeadline"


def test_an_arm_that_loses_its_endpoints_gets_its_users_back_with_them() -> None:
    world = under_test().run(120)
    before = assigned(world)
    world.versions["v3"].ready = 0
    world.step()
    assert world.route == {"v2": 2000, "v1": 8000}

    world.versions["v3"].ready = 2
    world.settle()
    assert assigned(world) == before


def test_a_goal_that_is_far_worse_by_user_stops_its_arm_before_the_end() -> None:
    world = under_test(v2=2.0)
    world.run(3600, until=lambda w: "v2" not in (w.route or {}) and "ArmStopped" in w.codes)

    assert world.status.rejected[-1].name == "v2"
    assert "by user" in world.status.rejected[-1].message


def test_a_better_arm_whose_guardrail_is_undecided_does_not_win() -> None:
    metrics = [ERRORS | {"margin": {"absolute": 0.00001}}, RATING]
    world = under_test(v3=3.2)
    world.edit(analysis={"interval": "30s", "metrics": metrics})
    world.phase("Serving")

    report = reported(world)
    assert report.winner == ""
    assert report.message.startswith("better in the goal, but not shown to be harmless")


def test_without_users_to_tell_apart_nobody_wins() -> None:
    world = under_test(v3=3.2)
    world.missing |= {("rating", "v2"), ("rating", "v3")}
    world.stored = {}
    world.phase("Testing").run(300)
    assert world.condition("MetricsAvailable") == ("False", "NoSeries")
    assert "no series of v2 and of stable with the label bucket" in world.status.message
    assert world.condition("Ready")[0] == "True"
    world.phase("Serving")

    report = reported(world)
    assert report.winner == ""
    assert {arm.verdict for arm in report.arms} == {"NoData"}


def test_a_winner_that_is_to_be_promoted_serves_and_says_what_git_must_say() -> None:
    world = under_test(ab_test(onWinner="Promote"), v3=3.2).phase("Baking")

    assert str(world.status.stable) == "v3@r1"
    assert world.share("v3") == 95
    world.phase("Serving").settle()
    assert world.route == {"v3": 10_000}
    assert world.condition("Ready") == ("True", "ABTestPromoted")
    assert "Git still says target: v1. Write target: v3" in world.status.message
    world.run(1200)
    assert world.route == {"v3": 10_000}

    world.edit(target="v3", strategy={"canary": {}})
    world.run(600)
    assert world.condition("Ready") == ("True", "Promoted")
    assert world.route == {"v3": 10_000}


def test_after_a_winner_served_a_target_chosen_anew_is_followed() -> None:
    world = under_test(ab_test(onWinner="Promote"), v3=3.2).phase("Baking").phase("Serving")
    world.edit(target="v3", strategy={"canary": {}})
    world.settle()
    world.edit(target="v1")
    world.phase("Stepping")
    assert str(world.status.candidate) == "v1@r1"


def test_harm_in_the_bake_of_a_winner_returns_to_the_target() -> None:
    world = under_test(ab_test(onWinner="Promote"), v3=3.2).phase("Baking")
    world.versions["v3"].rates["errors"] = 0.2
    world.phase("Serving")

    assert str(world.status.stable) == "v1@r1"
    assert world.route == {"v1": 10_000}
    assert world.status.rejected[-1].name == "v3"


def test_a_pause_stops_the_clock_of_the_test() -> None:
    world = under_test().run(600)
    world.say("pause", "id-1")
    world.step()
    before = world.status.ab_test
    world.run(3600)

    assert before is not None
    assert world.status.ab_test is not None
    assert world.status.ab_test.clock_s == pytest.approx(before.clock_s, abs=46)


def test_deleting_a_rollout_under_test_returns_its_users_first() -> None:
    world = under_test().run(120)
    world.deleting = True
    world.run(60)

    assert world.gone
    assert world.route == {"v1": 10_000}


def test_a_new_revision_of_an_arm_begins_anew() -> None:
    world = under_test().run(1200)
    world.versions["v2"].revision = "r2"
    changed_at = world.now
    world.settle()

    assert world.status.look is not None
    assert world.status.look.at >= changed_at + 30.0, "old pods are counted for the new revision"

    assert "NewRevision" in world.codes
    test = world.status.ab_test
    assert test is not None
    assert str(test.arms[0].version) == "v2@r2"
    assert world.route == {"v2": 2000, "v3": 2000, "v1": 6000}


def test_a_revision_that_was_not_known_yet_is_no_change() -> None:
    world = World(written())
    world.versions["v3"].revision, world.versions["v3"].ready = "", 0
    world.phase("Testing").settle()
    world.versions["v3"].revision, world.versions["v3"].ready = "r1", 2
    world.run(120)

    assert "NewRevision" not in world.codes
    assert world.status.ab_test is not None
    assert str(world.status.ab_test.arms[1].version) == "v3@r1"
    assert world.route == {"v2": 2000, "v3": 2000, "v1": 6000}


def test_an_arm_cannot_be_what_the_arms_are_compared_with() -> None:
    arms = [{"version": "v1", "weight": 20}, {"version": "v2", "weight": 20}]
    world = World(written(ab_test(arms=arms))).settle()

    assert world.condition("Accepted") == ("False", "InvalidSpec")
    assert world.status.ab_test is None


def test_the_status_of_a_long_test_stays_small() -> None:
    world = under_test(ab_test(duration="2d")).run(6 * 3600)

    assert len(json.dumps(world.stored)) < 24_000


def test_the_status_of_the_largest_test_stays_under_64_kib() -> None:
    names = [f"v{n}" for n in range(1, 6)]
    listed = [
        {"name": name, "service": {"name": f"f-{name}", "port": 8080}, "workload": {"name": name}}
        for name in names
    ]
    arms = [{"version": name, "weight": 20} for name in names[1:]]
    metrics = [RATING, *(ERRORS | {"name": f"errors{n}"} for n in range(5))]
    analysis = {"interval": "30s", "metrics": metrics}
    strategy = ab_test(arms=arms, duration="14d")
    world = World(spec(versions=listed, strategy=strategy, analysis=analysis), rps=100_000)
    for name in names:
        rates = {m["name"]: 0.005 if "rate" in m else 1234567.0 for m in metrics}
        world.versions[name] = Version(rates=rates)
    world.phase("Testing").run(600)

    assert len(json.dumps(world.stored)) < 64 * 1024


def test_a_rejected_version_is_no_arm() -> None:
    world = at_rest(written(strategy={"canary": {"weights": [5, 25], "minDuration": "2m"}}))
    for name in ("v1", "v2", "v3"):
        world.versions[name].rates = {"errors": 0.005, "rating": 3.0}
    world.edit(target="v2")
    world.phase("Stepping")
    world.say("abort", "id-1")
    world.phase("RolledBack")
    world.edit(target="v1", strategy=ab_test())
    world.phase("Testing").settle()

    assert world.route == {"v3": 2000, "v1": 8000}


def test_a_harmful_arm_is_not_returned_to_a_stable_that_cannot_take_its_users() -> None:
    world = under_test().run(120)
    world.versions["v1"].ready = 0
    world.versions["v2"].rates["errors"] = 0.2
    world.run(600)
    assert "v2" in (world.route or {})
    assert world.condition("Ready") == ("False", "StableUnhealthy")

    world.versions["v1"].ready = 2
    world.run(60)
    assert world.route == {"v3": 2000, "v1": 8000}


def test_a_look_that_comes_once_more_after_a_crash_counts_once() -> None:
    world = under_test().run(300)
    before = world.status
    assert world.last_window is not None
    again = plan(world.now, world.spec, before, world.observed(world.last_window)).status

    assert before.ab_test is not None
    assert again.ab_test is not None
    assert again.ab_test.users == before.ab_test.users != ""
    assert [arm.evidence for arm in again.ab_test.arms] == [
        arm.evidence for arm in before.ab_test.arms
    ]


def test_while_the_source_is_away_the_clock_stands_and_the_next_look_spans_the_gap() -> None:
    world = under_test().run(300)
    world.source_up = False
    world.run(120)
    before = world.status.ab_test
    assert before is not None
    world.run(600)
    assert world.status.ab_test is not None
    assert world.status.ab_test.clock_s == before.clock_s
    assert "has not answered" in world.status.message

    world.source_up = True
    world.run(120)
    kept = users.opened(world.status.ab_test.users)["v2", "rating"]
    counted = sum(count for _, count in kept.candidate.values())
    assert counted == pytest.approx(world.requests("v2", world.now), rel=0.15)


def test_a_parked_version_comes_back_as_an_arm_before_it_gets_users() -> None:
    world = at_rest(written({"canary": {"weights": [50], "minDuration": "1m"}}, capacity="ParkOld"))
    for name, rating in (("v1", 3.0), ("v2", 3.5), ("v3", 3.0)):
        world.versions[name].rates = {"errors": 0.005, "rating": rating}
    world.edit(target="v2")
    world.phase("Baking").phase("Serving")
    world.run(600.0, until=lambda w: w.versions["v1"].wanted == 0)

    world.edit(strategy=ab_test(arms=[{"version": "v1", "weight": 20}]))
    world.step()
    assert world.versions["v1"].wanted == 2
    world.settle()
    assert world.route == {"v1": 2000, "v2": 8000}


def test_row_35_the_minimum_of_stables_autoscaler_is_held_in_a_test_and_put_back() -> None:
    world = World(written(ab_test(onWinner="Promote"), bake={"duration": "5m"}))
    for name, value in (("v1", 3.0), ("v2", 3.0), ("v3", 3.3)):
        world.versions[name].rates = {"errors": 0.005, "rating": value}
    world.versions["v1"].wanted = world.versions["v1"].ready = 4
    world.autoscalers["v1"] = AutoscalerSeen("fraud-v1", 1, 10)
    world.phase("Testing").run(120.0)
    assert world.autoscalers["v1"].minimum == 4
    world.phase("Baking").run(60.0)
    assert world.autoscalers["v1"].minimum == 4
    world.phase("Serving").run(10.0)
    assert (world.autoscalers["v1"].minimum, world.autoscalers["v1"].original) == (1, None)
