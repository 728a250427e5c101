"""A rollout under everything that can happen to it at once: no order of events breaks a promise.

Hypothesis draws what happens; `watched` holds every pass against the safety invariants. Which
moves of the table were reached is reported as hypothesis events (`--hypothesis-show-statistics`);
that all of them can be reached is the business of `test_transitions`.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from modelrollout.domain.observed import AutoscalerSeen, JobState
from modelrollout.domain.reasons import Code, Reason
from tests.stories.world import spec
from tests.unit.domain.watched import Watched

STRATEGIES: tuple[dict[str, Any], ...] = (
    {"canary": {"weights": [5, 25, 50], "minDuration": "1m"}},
    {"canary": {"weights": [10, 40], "minDuration": "30s"}},
    {"canary": {"minDuration": "1m"}},
    {"steps": [{"weight": 5, "minDuration": "1m"}, {"pause": {}}, {"weight": 50}]},
    {
        "steps": [
            {"pause": {"duration": "1m"}},
            {"weight": 25, "minDuration": "0s"},
            {"pause": {"duration": "1m"}},
            {"pause": {"duration": "1m", "approval": True}},
            {"weight": 60, "minDuration": "1m"},
        ]
    },
    {"blueGreen": {}},
    {
        "blueGreen": {
            "previewHost": "preview.example.com",
            "smokeTest": {"cronJob": "fraud-smoke", "timeout": "3m"},
            "approval": True,
        }
    },
    {"blueGreen": {"previewHost": "preview.example.com", "overlap": "2m"}},
    {
        "steps": [
            {"weight": 5, "minDuration": "1m"},
            {"preview": {"host": "preview.example.com"}},
            {"check": {"cronJob": "fraud-smoke", "timeout": "3m"}},
            {"weight": 50, "minDuration": "1m"},
        ]
    },
    {
        "abTest": {
            "unit": {"header": "x-user-id"},
            "arms": [{"version": "v2", "weight": 20}, {"version": "v3", "weight": 30}],
            "duration": "4m",
            "goal": "liking",
            "onWinner": "Promote",
        }
    },
)
BAKES: tuple[dict[str, Any] | None, ...] = (
    None,
    {"duration": "3m"},
    {"duration": "3m", "holdback": 5},
)
METRICS: tuple[dict[str, Any], ...] = (
    {
        "name": "errors",
        "rate": {"events": "e_total", "total": "x_total"},
        "margin": {"relative": "50%", "absolute": 0.01},
        "limit": {"atMost": 0.2},
    },
    {"name": "rating", "role": "watch", "mean": {"sum": "a", "count": "b", "squares": "c"}},
    {"name": "slow", "latency": {"histogram": "s", "threshold": "250ms"}},
    {
        "name": "liking",
        "role": "goal",
        "better": "higher",
        "buckets": {},
        "mean": {"sum": "l", "count": "m"},
    },
)
NAMES = st.sampled_from(["v1", "v2", "v3"])
CHALLENGERS = st.sampled_from(["v2", "v3"])


def written(strategy: int, bake: int, metrics: int, inconclusive: str) -> dict[str, Any]:
    """A spec of the choices given, with times short enough for everything to happen."""
    changes: dict[str, Any] = {
        "strategy": STRATEGIES[strategy],
        "analysis": {"interval": "30s", "metrics": list(METRICS[:metrics])},
        "onInconclusive": inconclusive,
        "deadline": "15m",
        "progressDeadline": "3m",
        "deletionPolicy": "Delete" if bake == 1 else "Retain",
    }
    whole = spec(**changes) | {"bake": BAKES[bake]}
    return {key: value for key, value in whole.items() if value is not None}


class Rollouts(RuleBasedStateMachine):
    """One rollout, and what people, pods, gateways, sources and clocks do to it."""

    world: Watched
    said = 0

    @initialize(
        strategy=st.integers(0, len(STRATEGIES) - 1),
        bake=st.integers(0, len(BAKES) - 1),
        metrics=st.integers(0, len(METRICS)),
        inconclusive=st.sampled_from(["Hold", "RollBack", "Promote"]),
        rps=st.sampled_from([0.1, 5.0, 200.0]),
        seed=st.integers(0, 1000),
        replicas=st.sampled_from(["Leave", "ParkOld", "Autoscaled"]),
        lead=st.sampled_from(["", "Stepping", "Baking", "RolledBack", "Promoted"]),
    )
    def begin(
        self,
        *,
        strategy: int,
        bake: int,
        metrics: int,
        inconclusive: str,
        rps: float,
        seed: int,
        replicas: str,
        lead: str,
    ) -> None:
        self.world = Watched(written(strategy, bake, metrics, inconclusive), rps=rps, seed=seed)
        if replicas == "ParkOld":
            self.world.edit(capacity="ParkOld")
        elif replicas == "Autoscaled":
            self.world.autoscalers = {
                name: AutoscalerSeen(f"fraud-{name}", 1, 5) for name in ("v1", "v2")
            }
        if seed % 2:
            self.world.turn_route({"v1": 10_000})
        self.world.pass_by(30.0)
        self.world.edit(target="v2")
        self.world.pass_by(30.0)
        if lead in {"RolledBack", "Baking", "Promoted"}:
            self.said += 1
            self.world.say("abort" if lead == "RolledBack" else "promote", "id-1")
        if lead:
            self.world.pass_by(400.0 if lead == "Promoted" else 70.0)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0, 60.0, 150.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_by(seconds)

    @rule()
    def a_pass_for_no_reason(self) -> None:
        self.world.attempt()

    @rule(persists=st.booleans())
    def the_operator_dies_before_it_acts(self, *, persists: bool) -> None:
        self.world.attempt(persists=persists, acts=False)

    @rule(seconds=st.sampled_from([50.0, 700.0, 7200.0]))
    def the_operator_is_away(self, seconds: float) -> None:
        self.world.let_pass(seconds)

    @rule(seconds=st.sampled_from([-3600.0, -40.0, 40.0, 3600.0]))
    def the_clock_is_set(self, seconds: float) -> None:
        self.world.jump(seconds)

    @rule()
    def the_last_look_is_replayed(self) -> None:
        self.world.replay()

    @rule(name=NAMES, rate=st.sampled_from([0.0, 0.005, 0.02, 0.3]))
    def a_version_behaves(self, name: str, rate: float) -> None:
        rates = {"errors": rate, "slow": rate, "rating": rate, "liking": 3.0 + 5.0 * rate}
        self.world.versions[name].rates = rates

    @rule(is_up=st.booleans(), missing=st.sets(st.tuples(st.just("errors"), NAMES), max_size=2))
    def the_source_answers(self, *, is_up: bool, missing: set[tuple[str, str]]) -> None:
        self.world.source_up, self.world.missing = is_up, missing

    @rule(name=NAMES)
    def the_target_is_set(self, name: str) -> None:
        if any(version["name"] == name for version in self.world.written["versions"]):
            self.world.edit(target=name)

    @rule(strategy=st.integers(0, len(STRATEGIES) - 1))
    def the_strategy_is_edited(self, strategy: int) -> None:
        self.world.is_edited = True
        self.world.edit(strategy=STRATEGIES[strategy])

    @rule(deadline=st.sampled_from(["1m", "15m", "24h"]))
    def the_deadline_is_edited(self, deadline: str) -> None:
        self.world.edit(deadline=deadline)

    @rule(bake=st.integers(0, len(BAKES) - 1), metrics=st.integers(0, len(METRICS)))
    def analysis_and_bake_are_edited(self, bake: int, metrics: int) -> None:
        analysis = {"interval": "30s", "metrics": list(METRICS[:metrics])}
        whole = self.world.written | {"bake": BAKES[bake], "analysis": analysis}
        self.world.written = {key: value for key, value in whole.items() if value is not None}
        self.world.generation += 1

    @rule(name=CHALLENGERS, is_listed=st.booleans())
    def a_version_is_listed_or_not(self, name: str, *, is_listed: bool) -> None:
        status, target = self.world.status, self.world.written["target"]
        serving = status.stable.name if status.stable else ""
        others = [v for v in self.world.written["versions"] if v["name"] != name]
        mine = [v for v in spec()["versions"] if v["name"] == name]
        if is_listed or name not in {serving, target}:
            self.world.edit(versions=[*others, *mine] if is_listed else others)

    @rule(name=NAMES, revision=st.sampled_from(["r1", "r2", "r3"]))
    def a_pod_template_changes(self, name: str, revision: str) -> None:
        self.world.versions[name].revision = revision

    @rule(name=NAMES, ready=st.integers(0, 4), wanted=st.integers(1, 4))
    def pods_come_and_go(self, name: str, ready: int, wanted: int) -> None:
        version = self.world.versions[name]
        version.wanted, version.ready = wanted, min(ready, wanted)

    @rule(name=NAMES, restarts=st.integers(0, 3), is_looping=st.booleans(), is_killed=st.booleans())
    def pods_crash(self, name: str, restarts: int, *, is_looping: bool, is_killed: bool) -> None:
        version, pods = self.world.versions[name], frozenset({f"fraud-{name}-x"})
        version.restarts += restarts
        version.crash_looping = pods if is_looping else frozenset()
        version.oom_killed = pods if is_killed else frozenset()

    @rule(name=NAMES, exists=st.booleans())
    def a_workload_is_deleted_or_made(self, name: str, *, exists: bool) -> None:
        version = self.world.versions[name]
        version.exists = version.workload_exists = exists
        version.ready = version.wanted if exists else 0

    @rule(name=NAMES, share=st.sampled_from([0, 100, 5000, 10_000]))
    def somebody_else_writes_the_route(self, name: str, share: int) -> None:
        other = "v1" if name != "v1" else "v2"
        shares = {other: 10_000 - share, name: share}
        self.world.writer = "argocd"
        self.world.turn_route({name: share for name, share in shares.items() if share})

    @rule()
    def the_route_is_deleted(self) -> None:
        self.world.turn_route(None)

    @rule(is_accepted=st.booleans(), obeys=st.booleans())
    def the_gateway_answers(self, *, is_accepted: bool, obeys: bool) -> None:
        self.world.route_accepted, self.world.route_obeys = is_accepted, obeys

    @rule(obeys=st.booleans(), is_gone=st.booleans())
    def the_preview_stands_or_not(self, *, obeys: bool, is_gone: bool) -> None:
        self.world.preview_obeys = obeys
        if is_gone:
            self.world.preview = ""

    @rule(state=st.sampled_from(JobState), usable=st.booleans())
    def smoke_tests_end(self, state: JobState, *, usable: bool) -> None:
        world = self.world
        world.smoke_test_problem = "" if usable else "the CronJob fraud-smoke does not exist"
        world.smoke_test = JobState.RUNNING if state is JobState.ABSENT else state
        world.jobs = {name: state for name in world.jobs if state is not JobState.ABSENT}

    @rule(name=NAMES, minimum=st.integers(1, 4))
    def somebody_changes_an_autoscaler(self, name: str, minimum: int) -> None:
        if (seen := self.world.autoscalers.get(name)) is not None:
            self.world.autoscalers[name] = replace(seen, minimum=minimum)

    @rule(may_hold=st.booleans(), owner=st.sampled_from(["", "argocd"]))
    def rights_and_owners_change(self, *, may_hold: bool, owner: str) -> None:
        self.world.may_hold, self.world.versions["v2"].replicas_owner = may_hold, owner

    @rule(capacity=st.sampled_from(["Leave", "ParkOld"]))
    def capacity_is_edited(self, capacity: str) -> None:
        self.world.edit(capacity=capacity)

    @rule(is_wrong=st.booleans())
    def the_resource_is_refused_or_not(self, *, is_wrong: bool) -> None:
        claimed = Reason(Code.CLAIMED, "the Service fraud-v2 is claimed by ml/other")
        self.world.problem = claimed if is_wrong else None

    @rule(
        kind=st.sampled_from(["abort", "pause", "resume", "approve", "promote", "retry"]),
        words=st.sampled_from(["", " despite='checked'", " step=2 revision=r1", " x='"]),
    )
    def a_person_says(self, kind: str, words: str) -> None:
        self.said += 1
        self.world.say(kind, f"id-{self.said}{words}")

    @rule()
    def the_awaited_approval_is_given(self) -> None:
        status = self.world.status
        if status.rollout is not None and status.candidate is not None:
            self.said += 1
            step, revision = status.rollout.step_index + 1, status.candidate.revision
            self.world.say("approve", f"id-{self.said} step={step} revision={revision}")

    @rule()
    def everything_is_well_again(self) -> None:
        world = self.world
        for version in world.versions.values():
            version.exists = version.workload_exists = True
            version.ready = version.wanted
            version.crash_looping = version.oom_killed = frozenset()
            version.rates = {"errors": 0.005, "slow": 0.01, "rating": 3.0, "liking": 3.0}
        world.route_accepted = world.route_obeys = world.source_up = True
        world.problem, world.missing = None, set()
        world.preview_obeys, world.smoke_test_problem = True, ""
        world.smoke_test, world.may_hold = JobState.SUCCEEDED, True
        world.jobs = dict.fromkeys(world.jobs, JobState.SUCCEEDED)
        world.versions["v2"].replicas_owner = ""
        world.pass_by(240.0)

    @precondition(lambda self: not self.world.deleting)
    @rule(uid=st.sampled_from(["uid-1", "uid-2"]))
    def the_status_is_of_another_object(self, uid: str) -> None:
        self.world.uid = uid

    @precondition(lambda self: len(self.world.plans) > 25 and not self.world.deleting)
    @rule()
    def the_rollout_is_deleted(self) -> None:
        self.world.deleting = True
        self.world.pass_by(130.0)
        if self.world.gone:
            self.world.gone = self.world.deleting = False
            self.world.stored = {}

    def teardown(self) -> None:
        for plan in self.world.plans if hasattr(self, "world") else ():
            for move in plan.moves:
                event(f"{move.phase}, by {move.trigger}")


def ill_treat(*, examples: int, steps: int, is_fixed: bool) -> None:
    """Runs the machine; a failure prints the shortest order of events that breaks a promise."""
    run_state_machine_as_test(
        Rollouts,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=is_fixed,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )


def test_no_order_of_events_breaks_a_promise() -> None:
    ill_treat(examples=300, steps=40, is_fixed=True)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_no_order_of_events_breaks_a_promise_with_new_seeds() -> None:
    for _ in range(8):  # in parts, for hypothesis remembers every example of a run
        ill_treat(examples=300, steps=50, is_fixed=False)
