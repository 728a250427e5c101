"""SEMANTICS, rows 16 to 27: a rollout under way, and people."""

from tests.stories.world import World, at_rest, spec

STEPS = {
    "steps": [
        {"weight": 5, "minDuration": "2m"},
        {"pause": {}},
        {"weight": 50, "minDuration": "2m"},
    ]
}


def at_share(percent: int, written: dict[str, object] | None = None) -> World:
    world = at_rest(written)
    world.edit(target="v2")
    return world.run(
        until=lambda w: w.share("v2") == percent and w.status.decision.confirmed_at is not None
    )


def test_row_16_new_target_in_mid_rollout() -> None:
    world = at_share(25)
    world.edit(target="v3")
    world.step()
    began = world.now
    assert world.route == {"v1": 10_000}
    assert world.status.phase == "Draining"

    world.phase("Stepping")
    assert world.now - began >= 30
    assert world.share("v3") == 5
    assert [entry.outcome for entry in world.status.history] == ["Superseded"]
    assert world.status.rejected == []


def test_row_17_new_target_in_the_bake() -> None:
    world = at_share(25)
    world.phase("Baking")
    world.edit(target="v3")
    world.phase("Stepping")

    assert world.status.stable is not None
    assert world.status.stable.name == "v2"
    assert world.route == {"v2": 9500, "v3": 500}
    assert [entry.outcome for entry in world.status.history] == ["Promoted"]


def test_the_target_set_back_in_the_bake_returns_at_once_to_the_version_still_warm() -> None:
    world = at_share(25)
    world.phase("Baking")
    world.edit(target="v1")
    world.step()

    assert world.route == {"v1": 10_000}
    world.phase("Serving")
    assert world.status.stable is not None
    assert world.status.stable.name == "v1"


def test_row_18_target_set_back_to_stable_also_while_paused() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.run(60)
    world.edit(target="v1")
    world.step()

    assert world.route == {"v1": 10_000}
    world.phase("Serving")
    assert [entry.outcome for entry in world.status.history] == ["Returned"]


def test_row_19_when_stable_swaps() -> None:
    world = at_share(50)
    world.phase("Baking")
    assert world.status.stable is not None
    assert world.status.previous is not None
    assert (world.status.stable.name, world.status.previous.name) == ("v2", "v1")
    assert world.route == {"v1": 500, "v2": 9500}
    assert world.condition("Promoted")[0] == "True"
    assert world.condition("Ready")[0] == "False"

    world.phase("Serving")
    world.run(30)
    assert world.condition("Ready") == ("True", "Promoted")
    assert world.route == {"v2": 10_000}


def test_row_20_pause_freezes_weight_and_clocks_while_looks_go_on() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.step()
    assert world.status.rollout is not None
    before, looks = world.status.rollout, world.status.look
    world.run(1800)

    after = world.status.rollout
    assert after is not None
    assert looks is not None
    assert world.status.look is not None
    assert world.share("v2") == 25
    assert (after.step_clock_s, after.clock_s) == (before.step_clock_s, before.clock_s)
    assert world.status.look.number > looks.number + 40
    assert world.condition("Paused") == ("True", "PausedByUser")

    world.say("resume", "id-2")
    world.phase("Baking")


def test_row_20_harm_rolls_back_while_paused() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.versions["v2"].rates["errors"] = 0.1
    world.phase("RolledBack")


def test_row_20_a_new_target_waits_at_zero_while_paused() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.edit(target="v3")
    world.run(1200)

    assert world.status.phase == "Starting"
    assert world.route == {"v1": 10_000}
    world.say("resume", "id-2")
    world.phase("Stepping")


def test_row_21_promote_by_a_person_skips_steps() -> None:
    world = at_share(5)
    world.say("promote", "id-1")
    world.step()

    assert world.share("v2") == 95
    assert world.status.phase == "Baking"
    assert "PromotedByPerson" in world.codes
    assert "ann" in world.transcript[-1]


def test_row_21_promote_is_refused_while_harm_evidence_stands_unless_despite() -> None:
    world = at_share(25)
    world.versions["v2"].rates["errors"] = 0.0085
    world.run(
        until=lambda w: "may be harmful" in w.status.message or w.status.phase == "RolledBack"
    )
    assert world.status.phase == "Stepping"
    world.say("promote", "id-1")
    world.step()
    assert world.codes[-1] == "PromotionRefused"
    assert world.status.phase == "Stepping"

    world.say("promote", "id-2 despite='known and accepted'")
    world.step()
    assert world.status.phase == "Baking"
    assert "known and accepted" in world.transcript[-1]


def test_row_22_abort_and_promote_at_once() -> None:
    world = at_share(25)
    world.say("promote", "id-1")
    world.say("abort", "id-2")
    world.step()

    assert world.route == {"v1": 10_000}
    world.phase("RolledBack")
    assert world.condition("Stalled") == ("True", "Aborted")
    outcomes = {entry.intent: entry.outcome for entry in world.status.intents}
    assert outcomes["abort"] == "aborted"
    assert outcomes["promote"].startswith("ignored")


def test_row_23_approval_given_early_or_for_another_candidate() -> None:
    world = at_share(5, spec(strategy=STEPS))
    world.say("approve", "id-1 step=2 revision=r1")
    world.step()
    assert world.codes[-1] == "ApprovalRefused"

    world.phase("Waiting")
    world.run(60)
    assert world.condition("Reconciling") == ("True", "AwaitingApproval")
    world.say("approve", "id-2 step=2 revision=r0")
    world.step()
    assert world.codes[-1] == "ApprovalRefused"
    assert "expected 'step=2 revision=r1'" in world.transcript[-1]

    world.say("approve", "id-3 step=2 revision=r1")
    world.step()
    assert world.share("v2") == 50


def test_a_pause_with_a_duration_ends_by_itself() -> None:
    steps = {
        "steps": [
            {"weight": 5, "minDuration": "1m"},
            {"pause": {"duration": "10m"}},
            {"weight": 50, "minDuration": "1m"},
        ]
    }
    world = at_share(5, spec(strategy=steps)).phase("Waiting")
    began = world.now
    world.run(until=lambda w: w.share("v2") == 50)
    assert 600 <= world.now - began < 640


def test_row_24_metrics_edited_new_evidence_for_the_changed_metric_only() -> None:
    base = spec()
    slow = {
        "name": "slow",
        "latency": {"histogram": "seconds", "threshold": "250ms"},
    }
    analysis = base["analysis"] | {"metrics": [*base["analysis"]["metrics"], slow]}
    world = at_share(25, spec(analysis=analysis))
    world.run(90)
    samples = {metric.name: metric.samples for metric in world.status.metrics}
    changed = slow | {"margin": {"absolute": 0.02}}
    world.edit(analysis=analysis | {"metrics": [analysis["metrics"][0], changed]})
    world.step()

    after = {metric.name: metric.samples for metric in world.status.metrics}
    assert after["errors"] == samples["errors"]
    assert after["slow"] == "0 / 0"


def test_row_25_weights_edited_the_present_weight_stays() -> None:
    world = at_share(25)
    world.edit(strategy={"canary": {"weights": [10, 40, 60], "minDuration": "2m"}})
    world.step()
    assert world.share("v2") == 25
    seen = [25.0]
    world.run(
        until=lambda w: seen.append(w.share("v2")) or w.status.phase == "Baking"  # type: ignore[func-returns-value]
    )
    assert sorted(set(seen)) == [25, 40, 60, 95]


def test_row_26_deadline_reached_undecided_hold() -> None:
    world = at_rest(spec(deadline="10m"), rps=0.2)
    world.edit(target="v2")
    world.run(900)

    assert world.status.phase == "Undecided"
    share = world.share("v2")
    assert share > 0
    assert world.condition("Stalled") == ("True", "Inconclusive")
    looks = world.status.look
    world.run(600)
    assert looks is not None
    assert world.status.look is not None
    assert world.status.look.number > looks.number
    assert world.share("v2") == share


def test_row_26_deadline_reached_undecided_roll_back() -> None:
    world = at_rest(spec(deadline="10m", onInconclusive="RollBack"), rps=0.2)
    world.edit(target="v2")
    world.phase("RolledBack")
    assert world.condition("Stalled") == ("True", "Inconclusive")
    assert world.status.history[-1].outcome == "Inconclusive"


def test_row_26_promote_only_while_the_bound_is_under_twice_the_margin() -> None:
    world = at_rest(spec(deadline="10m", onInconclusive="Promote"), rps=0.2)
    world.edit(target="v2")
    world.run(900)
    assert world.status.phase == "Undecided"


def test_row_26_pauses_do_not_count_as_time() -> None:
    world = at_share(5, spec(strategy=STEPS, deadline="30m")).phase("Waiting")
    world.run(3 * 3600)
    assert world.status.phase == "Waiting"


def test_row_27_worse_than_stable_within_the_margin() -> None:
    wide = spec()
    metric = wide["analysis"]["metrics"][0] | {"margin": {"absolute": 0.05}}
    world = at_share(5, spec(analysis=wide["analysis"] | {"metrics": [metric]}))
    world.versions["v2"].rates["errors"] = 0.03
    world.phase("RolledBack")
    assert "worse than stable, within its margin" in world.status.message

    tolerant = metric | {"rollBackWhen": "WorseThanMargin"}
    other = at_rest(spec(analysis=wide["analysis"] | {"metrics": [tolerant]}))
    other.versions["v2"].rates["errors"] = 0.03
    other.edit(target="v2")
    other.phase("Serving")
    other.run(3600, until=lambda w: w.status.stable.name == "v2" if w.status.stable else False)
    assert other.status.stable is not None
    assert other.status.stable.name == "v2"


def test_harm_in_the_bake_is_caught_by_the_holdback() -> None:
    world = at_share(50)
    world.phase("Baking")
    world.versions["v2"].rates["errors"] = 0.05
    world.phase("RolledBack")

    assert world.route == {"v1": 10_000}
    assert world.status.stable is not None
    assert world.status.stable.name == "v1"


def test_an_intent_left_in_git_acts_once() -> None:
    world = at_share(25)
    world.say("pause", "id-1")
    world.step()
    world.say("resume", "id-2")
    world.step()
    world.run(60)
    assert not world.status.paused
    assert len(world.status.intents) == 2


def test_a_malformed_intent_is_said_and_changes_nothing() -> None:
    world = at_share(25)
    world.say("promote", "id-1 despite='unclosed")
    world.step()
    assert world.codes[-1] == "IntentIgnored"
    assert world.status.phase == "Stepping"


def test_row_23_a_pause_that_an_edit_puts_at_the_present_weight_can_be_approved() -> None:
    world = at_share(25)
    steps = [{"weight": 25, "minDuration": "1m"}, {"pause": {}}, {"weight": 50}]
    world.edit(strategy={"steps": steps})
    world.phase("Waiting").run(60)
    world.say("approve", "id-1 step=2 revision=r1")
    world.step()

    assert world.share("v2") == 50


def test_row_25_a_plan_may_begin_with_a_pause_before_anybody_meets_the_candidate() -> None:
    steps = [{"pause": {"duration": "5m"}}, {"weight": 25, "minDuration": "2m"}]
    world = at_rest(spec(strategy={"steps": steps}))
    world.edit(target="v2")
    world.phase("Waiting").run(250)
    assert world.route == {"v1": 10_000}
    world.run(120)
    assert world.share("v2") == 25


def test_row_26_a_shorter_deadline_does_not_end_a_pause() -> None:
    world = at_share(5, spec(strategy=STEPS)).phase("Waiting")
    world.edit(deadline="1m")
    world.run(600)
    assert world.status.phase == "Waiting"

    world.say("approve", "id-1 step=2 revision=r1")
    world.step()
    assert world.share("v2") == 50


def test_row_26_roll_back_undecided_waits_until_stable_can_take_the_traffic() -> None:
    world = at_rest(spec(deadline="10m", onInconclusive="RollBack"), rps=0.2)
    world.edit(target="v2")
    world.run(300)
    world.versions["v1"].ready = 0
    world.run(900)
    assert world.share("v2") == 50

    world.versions["v1"].ready = 2
    world.phase("RolledBack")


def test_row_26_a_later_deadline_lets_an_undecided_rollout_go_on() -> None:
    world = at_rest(spec(deadline="10m"), rps=0.2)
    world.edit(target="v2")
    world.phase("Undecided").run(60)
    world.edit(deadline="24h")
    world.step()

    assert world.status.phase == "Stepping"
    assert world.condition("Stalled") == ("", "")
    before = world.status.rollout.clock_s if world.status.rollout else 0.0
    world.run(600)
    assert world.status.rollout is not None
    assert world.status.rollout.clock_s >= before + 540


def test_row_26_promote_undecided_when_the_bound_is_near_enough() -> None:
    analysis = spec()["analysis"]
    metric = analysis["metrics"][0] | {"margin": {"absolute": 0.01}}
    written = spec(analysis=analysis | {"metrics": [metric]}, onInconclusive="Promote")
    world = at_rest(written | {"deadline": "9m"}, rps=3.0)
    world.edit(target="v2")
    world.phase("Baking")

    assert "Inconclusive" in world.codes
    assert "the deadline has passed undecided" in "\n".join(world.transcript)


def test_an_intent_stays_known_however_many_others_follow() -> None:
    world = at_share(25)
    world.say("pause", "left-in-git")
    world.step()
    world.say("resume", "id-r")
    for number in range(20):
        world.say("approve", f"id-{number}")
        world.step()

    assert world.codes.count("PausedByUser") == 1
    assert len(world.status.intents) == 12
