"""SEMANTICS, rows 30 to 43: what goes wrong, and what traffic does meanwhile."""

from dataclasses import replace

from modelrollout.domain.plan import plan
from modelrollout.domain.reasons import Code, Reason
from tests.stories.world import World, at_rest, spec


def at_share(percent: int, **options: object) -> World:
    world = at_rest(**options)  # type: ignore[arg-type]
    world.edit(target="v2")
    return world.run(
        until=lambda w: w.share("v2") == percent and w.status.decision.confirmed_at is not None
    )


def test_row_30_candidate_loses_all_endpoints_and_is_back_in_time() -> None:
    world = at_share(25)
    world.versions["v2"].ready = 0
    world.step()
    assert world.route == {"v1": 10_000}
    assert world.codes[-1] == "NoEndpoints"
    world.run(120)
    assert world.status.phase == "Stepping"

    world.versions["v2"].ready = 2
    world.step()
    assert world.share("v2") == 25
    world.phase("Baking")


def test_row_30_candidate_loses_all_endpoints_for_too_long() -> None:
    world = at_share(25)
    world.versions["v2"].ready = 0
    world.versions["v2"].trouble = "2 pods wait with ImagePullBackOff"
    world.phase("RolledBack")

    assert "ImagePullBackOff" in world.status.message
    assert world.status.rejected[-1].reason == "NoEndpoints"


def test_row_31_candidate_crash_loops_more_than_stable() -> None:
    world = at_share(5)
    world.versions["v2"].crash_looping = frozenset({"fraud-v2-x"})
    world.step()

    assert world.route == {"v1": 10_000}
    assert world.codes[-1] == "Crashing"


def test_row_31_candidate_is_oom_killed_more_than_stable() -> None:
    world = at_share(5)
    world.versions["v2"].oom_killed = frozenset({"fraud-v2-x"})
    world.step()
    assert "memory" in world.status.rejected[-1].message


def test_row_31_a_node_that_restarts_pods_of_both_is_no_crash() -> None:
    world = at_share(5)
    for name in ("v1", "v2"):
        world.versions[name].restarts = 3
    world.step()
    assert world.share("v2") == 5


def test_row_32_candidate_never_ready() -> None:
    world = at_rest()
    world.versions["v2"].ready = 0
    world.versions["v2"].trouble = "fraud-v2-x: container model waits with CrashLoopBackOff"
    world.edit(target="v2")
    began = world.now
    world.phase("RolledBack")

    assert 600 <= world.now - began <= 660
    assert "CrashLoopBackOff" in world.status.message
    assert all(shares.get("v2", 0) == 0 for _, shares in world.served)


def test_row_33_stable_unhealthy_candidate_fine_no_blind_return() -> None:
    world = at_share(25)
    world.versions["v1"].ready = 0
    world.versions["v2"].rates["errors"] = 0.2
    world.run(600)
    assert world.share("v2") == 25
    assert "StableUnhealthy" in world.codes
    assert world.condition("Ready") == ("False", "StableUnhealthy")

    world.say("promote", "id-1 despite='stable is down'")
    world.step()
    assert world.status.stable is not None
    assert world.status.stable.name == "v2"


def test_row_34_candidate_has_fewer_ready_pods_than_the_weight_needs() -> None:
    world = at_rest()
    world.versions["v2"].wanted, world.versions["v2"].ready = 10, 4
    world.edit(target="v2")
    world.run(until=lambda w: w.status.step == "3/3")
    world.run(600)
    assert world.share("v2") == 40
    assert world.condition("Reconciling") == ("True", "Capacity")
    assert "4 of 10" in world.status.message

    world.versions["v2"].ready = 10
    world.step()
    assert world.share("v2") == 50


def test_row_36_version_scaled_to_zero_on_purpose() -> None:
    world = at_rest()
    world.versions["v2"].wanted = world.versions["v2"].ready = 0
    world.edit(target="v2")
    world.run(60)

    assert world.condition("Accepted") == ("False", "ScaledToZero")
    assert "set a minimum of 1" in world.status.message


def test_row_38_prometheus_away_the_next_look_spans_the_gap() -> None:
    world = at_share(25)
    world.source_up = False
    world.run(900)
    assert world.share("v2") == 25
    assert world.condition("MetricsAvailable") == ("False", "SourceDown")
    assert {metric.verdict for metric in world.status.metrics} == {"SourceDown"}
    gap_began = world.status.look

    world.source_up = True
    assert gap_began is not None
    world.run(until=lambda w: w.status.look is not None and w.status.look.failures == 0)
    assert world.last_window is not None
    assert world.last_window.start == gap_began.at
    assert world.last_window.end - world.last_window.start > 800
    world.phase("Baking")


def test_row_39_another_writer_changes_weights() -> None:
    world = at_share(25)
    world.run(100)
    number = world.status.look.number if world.status.look else 0
    world.writer = "kubectl-edit"
    world.turn_route({"v1": 1000, "v2": 9000})
    world.step()

    assert world.route == {"v1": 7500, "v2": 2500}
    assert world.codes[-1] == "WeightsPutBack"
    assert "kubectl-edit" in world.transcript[-1]
    assert world.status.look is not None
    assert world.status.look.number == number


def test_row_39_on_and_on_is_a_conflicting_writer_and_slows_down() -> None:
    world = at_share(25)
    world.writer = "argocd"
    for _ in range(3):
        world.turn_route({"v1": 10_000})
        world.step()
        world.run(6)
    world.turn_route({"v1": 10_000})
    world.step()

    assert world.condition("TrafficProgrammed") == ("False", "ConflictingWriter")
    assert "argocd" in world.status.writer.name if world.status.writer else False
    assert world.plans[-1].shares is None
    world.run(70)
    assert world.route == {"v1": 7500, "v2": 2500}


def test_row_40_one_of_several_parents_does_not_accept_the_route() -> None:
    world = at_share(25)
    world.route_accepted = False
    world.traffic_problem = None
    step = world.status.step
    world.run(600)

    assert world.status.step == step
    assert world.condition("TrafficProgrammed") == ("False", "NotProgrammed")


def test_row_41_crash_between_look_and_write_never_counts_a_look_twice() -> None:
    world = at_share(25)
    world.run(until=lambda w: w.status.look is not None and w.status.look.number == 2)
    window, after = world.last_window, world.status
    assert window is not None
    replayed = plan(world.now, world.spec, after, world.observed(window))

    assert replayed.status.evidence == after.evidence
    assert replayed.status.look == after.look


def test_row_42_a_jump_of_the_clock_never_shortens_a_soak() -> None:
    world = at_share(25)
    step = world.status.step
    observed = world.observed(None)
    jumped = plan(world.now + 3600, world.spec, world.status, observed)
    assert jumped.status.step == step

    back = plan(world.now - 3600, world.spec, world.status, observed)
    assert back.status.step == step
    assert back.status.rollout is not None


def test_missing_data_of_one_version_holds_and_then_goes_on() -> None:
    # Another seed: by the usual one this healthy candidate is the one in fifty rolled back.
    world = at_share(25, seed=8)
    world.missing = {("errors", "v2")}
    step = world.status.step
    world.run(900)
    assert world.status.step == step
    assert world.condition("MetricsAvailable") == ("False", "NoSeries")
    assert world.status.metrics[0].verdict == "NoData"

    world.missing = set()
    world.phase("Baking")


def test_nothing_starts_while_stable_has_no_series() -> None:
    world = at_rest()
    world.missing = {("errors", "v1"), ("errors", "v2")}
    world.edit(target="v2")
    world.run(600)
    assert world.route == {"v1": 10_000}
    assert world.condition("MetricsAvailable") == ("False", "NoSeries")

    world.missing = set()
    world.phase("Stepping")


def test_a_bad_threshold_is_said_and_nothing_moves() -> None:
    world = at_rest()
    world.edit(target="v2")
    bad = Reason(Code.NOT_A_BUCKET, "slow: 0.3 is no bucket bound; the nearest are 0.25 and 0.5")
    window = world.run(until=lambda w: w.status.phase == "Starting").observed(None)
    made = world.plans[-1]
    assert made.status.rollout is not None
    from modelrollout.domain import looking

    due = looking.due(world.now, world.spec, world.status, scrape_interval_s=2.0)
    assert due is not None
    look = replace(world.look(due), problems={"errors": bad})
    refused = plan(world.now, world.spec, world.status, replace(window, look=look))

    assert refused.status.phase == "Starting"
    assert "0.25 and 0.5" in refused.status.message


def test_a_rollout_without_metrics_is_never_promoted_by_itself() -> None:
    world = at_rest(spec(analysis={"interval": "30s"}, deadline="1h"))
    world.edit(target="v2")
    world.run(2 * 3600)

    assert world.status.phase == "Undecided"
    assert world.condition("MetricsAvailable") == ("False", "NoMetrics")
    world.say("promote", "id-1")
    world.phase("Serving")


def test_row_30_the_time_to_come_back_is_not_shortened_by_a_jump_of_the_clock() -> None:
    """Row 42, too: nobody can be late because the clock was set."""
    world = at_share(25)
    world.versions["v2"].ready = 0
    world.step()
    world.now += 3600
    world.step()
    assert world.status.phase == "Stepping"

    world.versions["v2"].ready = 2
    world.step()
    assert world.share("v2") == 25


def test_row_31_kills_from_before_the_candidate_got_traffic_are_not_held_against_it() -> None:
    world = at_rest()
    world.versions["v2"].oom_killed = frozenset({"fraud-v2-x"})
    world.versions["v2"].restarts = 3
    world.edit(target="v2")
    world.phase("Baking")

    other = at_rest()
    other.versions["v2"].restarts = 3
    other.edit(target="v2")
    other.step()
    other.say("promote", "id-1")
    other.step()
    assert other.run(60).status.phase == "Baking"


def test_row_33_it_is_told_once_also_while_paused() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.step()
    world.versions["v1"].ready = 0
    world.run(600)

    assert world.codes.count("StableUnhealthy") == 1
    assert world.condition("Ready") == ("False", "StableUnhealthy")


def test_row_37_a_node_is_drained_in_mid_look() -> None:
    world = at_rest()
    for name in ("v1", "v2"):
        world.versions[name].ready = world.versions[name].wanted = 4
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25 and w.status.decision.confirmed_at is not None)
    world.run(35)
    number, told = world.status.look.number if world.status.look else 0, len(world.codes)
    for name in ("v1", "v2"):
        world.versions[name].ready = 3
    world.run(31)

    assert world.share("v2") == 25
    assert len(world.codes) == told
    assert world.status.look is not None
    assert world.status.look.number > number
    world.phase("Baking")


def test_row_38_a_look_that_failed_is_tried_again_an_interval_later() -> None:
    world = at_share(25)
    world.source_up = False
    world.now += 1200  # the operator was away; the gap is no reason to ask again and again
    for _ in range(5):
        world.step()
    assert world.status.look is not None
    failures = world.status.look.failures
    world.run(300)

    assert failures == 38
    assert world.status.look.failures == failures + 10


def test_row_39_a_writer_that_is_seen_at_rest_is_put_back_too() -> None:
    world = at_rest()
    world.writer = "kubectl-edit"
    world.turn_route({"v1": 5000, "v2": 5000})
    world.step()

    assert world.route == {"v1": 10_000}
    assert world.codes[-1] == "WeightsPutBack"


def test_row_42_a_drain_is_not_shortened_by_a_jump_of_the_clock() -> None:
    world = at_rest(spec(drain="5m"))
    world.edit(target="v2")
    world.run(until=lambda w: w.share("v2") == 25)
    world.edit(target="v3")
    world.step()
    world.now += 3600
    world.step()
    assert world.status.phase == "Draining"


def test_without_metrics_even_the_wish_to_promote_undecided_promotes_nothing() -> None:
    world = at_rest(spec(analysis={"interval": "30s"}, deadline="1h", onInconclusive="Promote"))
    world.edit(target="v2")
    world.run(2 * 3600)
    assert world.status.phase == "Undecided"


def test_row_42_a_clock_set_back_never_counts_a_request_twice() -> None:
    world = at_share(25)
    world.run(70)
    assert world.status.look is not None
    counted = world.status.look.at
    world.now -= 3600
    world.versions["v1"].revision = "r9"  # the stratum ends, and counting would start anew
    world.run(300)

    assert world.status.look is not None
    assert world.status.look.at >= counted


def test_no_step_advances_before_a_look_at_its_weight() -> None:
    strategy = {"canary": {"weights": [1, 5, 25, 50], "minDuration": "1s"}}
    world = at_rest(spec(strategy=strategy))
    world.edit(target="v2")
    looks = {}
    while world.status.phase != "Baking":
        world.run(until=lambda w: w.plans[-1].events != ())
        looks[world.share("v2")] = world.status.look.number if world.status.look else 0
        world.now += 0.5

    assert list(looks) == [0, 1, 5, 25, 50, 95]
    assert [looks[share] for share in (5, 25, 50)] == [1, 2, 3]


def test_row_42_time_counts_on_after_the_clock_was_set_back() -> None:
    world = at_share(25)
    world.run(40)
    assert world.status.rollout is not None
    before = world.status.rollout.step_clock_s
    world.now -= 3600
    world.run(70)
    assert world.status.rollout is not None
    assert world.status.rollout.step_clock_s >= before + 30
