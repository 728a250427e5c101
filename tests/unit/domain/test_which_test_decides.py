"""Which test decides about harm, when, and with which part of the stated error."""

import math
from dataclasses import replace
from typing import Any

import pytest

from modelrollout.analysis import concluding, evidence
from modelrollout.analysis.concluding import LogEs
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.noise import ArmNoise
from modelrollout.analysis.verdicts import Judgement, Spending, Verdict
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import book, questions, weighing
from modelrollout.domain.questions import Known
from tests.stories import world

Json = dict[str, Any]

ERRORS: Json = {"name": "errors", "rate": {"events": "e_total", "total": "x_total"}}
SLOW: Json = {"name": "slow", "latency": {"histogram": "seconds", "threshold": "250ms"}}
COST: Json = {"name": "cost", "mean": {"sum": "a", "count": "b", "squares": "c"}}
SURVEYED = Known(usual={"errors": 0.005, "slow": 0.02}, requests=600.0, looks=60)
LOUD = ArmNoise(1.0, 0.0)
QUIET = ArmNoise(0.001)


def written(*metrics: Json, **changes: Any) -> ModelRolloutSpec:
    analysis = {"metrics": list(metrics)} | changes.pop("analysis", {})
    return ModelRolloutSpec.model_validate(
        world.spec(analysis=analysis, bake=None, onInconclusive="RollBack") | changes
    )


def known(**changes: Any) -> Known:
    named = {name: getattr(SURVEYED, name) for name in ("usual", "requests", "looks")}
    return Known(**(named | changes))


def plan_of(spec: ModelRolloutSpec, given: Known = SURVEYED, *, metric: str = "errors") -> Any:
    return questions.asked(spec, given)[metric].spending


@pytest.mark.parametrize(
    ("metric", "given", "spends"),
    [
        pytest.param(ERRORS, SURVEYED, True, id="any-worsening-of-a-rate-is-harm"),
        pytest.param(SLOW, SURVEYED, False, id="a-latency-beyond-its-margin-is-harm"),
        pytest.param(SLOW | {"rollBackWhen": "Worse"}, SURVEYED, True, id="any-worsening-of-it"),
        pytest.param(ERRORS | {"rollBackWhen": "WorseThanMargin"}, SURVEYED, False, id="margin"),
        pytest.param(COST, SURVEYED, False, id="a-mean"),
        pytest.param(ERRORS | {"role": "watch"}, SURVEYED, False, id="watched-only"),
        pytest.param(ERRORS, Known(), False, id="no-survey-no-plan"),
        pytest.param(ERRORS, known(noise={"errors": QUIET}), True, id="calibrated-and-quiet"),
        pytest.param(
            ERRORS, known(noise={"errors": ArmNoise(0.5)}), True, id="calibrated-and-mild"
        ),
        pytest.param(ERRORS, known(noise={"errors": LOUD}), False, id="calibrated-and-noisy"),
        pytest.param(
            ERRORS, known(noise={"errors": ArmNoise(0.0, 0.04)}), False, id="pods-differ-for-good"
        ),
        pytest.param(ERRORS, known(requests=6e6), False, id="more-events-than-a-law-can-hold"),
    ],
)
def test_auto_spends_exactly_where_requests_are_independent_and_the_plan_is_known(
    metric: Json, given: Known, *, spends: bool
) -> None:
    assert (plan_of(written(metric), given, metric=metric["name"]) is not None) is spends


def test_the_user_can_fix_the_test() -> None:
    noisy = known(noise={"errors": LOUD})
    assert plan_of(written(ERRORS, analysis={"harmTest": "Spending"}), noisy) is not None
    assert plan_of(written(ERRORS, analysis={"harmTest": "EProcess"})) is None
    # What is no question of equality cannot be spent on, whatever is written.
    fixed = written(COST, analysis={"harmTest": "Spending"})
    assert plan_of(fixed, metric="cost") is None


def test_each_judged_metric_has_an_equal_part_of_the_error() -> None:
    watched = SLOW | {"name": "watched", "role": "watch"}
    spec = written(ERRORS, ERRORS | {"name": "more"}, COST, SLOW, watched)
    assert questions.part_of_error(spec, tries=1) == pytest.approx(0.02 / 4)
    assert plan_of(spec).alpha == pytest.approx(0.02 / 4)


def test_the_third_try_has_a_third_of_the_error() -> None:
    assert plan_of(written(ERRORS), known(tries=3)).alpha == pytest.approx(
        plan_of(written(ERRORS)).alpha / 3
    )


def test_a_limit_takes_half_of_its_metrics_part() -> None:
    limited = written(ERRORS | {"limit": {"atMost": 0.05}})
    assert plan_of(limited).alpha == pytest.approx(plan_of(written(ERRORS)).alpha / 2)


def test_a_reserve_is_kept_where_looks_go_on_after_the_plan() -> None:
    assert not plan_of(written(ERRORS)).after_deadline
    assert plan_of(written(ERRORS, bake={"duration": "5m", "holdback": 5})).after_deadline
    assert plan_of(written(ERRORS, onInconclusive="Hold")).after_deadline


def weighed(spec: ModelRolloutSpec, counts: RateCounts) -> weighing.Weighed:
    """One look of every metric: `counts` of the candidate against 50 of 10,000 of stable."""
    fresh = book.fresh(spec, SURVEYED)
    said: dict[str, Judgement] = {}
    for name, asked in fresh.asked.items():
        state = evidence.advance(
            evidence.fresh(asked), asked, candidate=counts, stable=RateCounts(10_000, 50)
        )
        said[name] = evidence.judge(state, asked)
    return weighing.weighed(fresh, said, spec=spec, tries=1)


def test_metrics_that_do_not_spend_share_what_is_left_by_their_average() -> None:
    margins = {"rollBackWhen": "WorseThanMargin", "margin": {"relative": "50%"}}
    spec = written(ERRORS, ERRORS | margins | {"name": "b"}, ERRORS | margins | {"name": "c"})
    # Two of three parts of 2 %.
    assert weighed(spec, RateCounts(1000, 5)).threshold == pytest.approx(math.log(1.5 / 0.02))


def test_one_metric_that_spends_is_enough_to_roll_back() -> None:
    spec = written(ERRORS, ERRORS | {"name": "same", "rollBackWhen": "WorseThanMargin"})
    said = weighed(spec, RateCounts(1000, 17))
    assert said.judgements["errors"].verdict is Verdict.WORSE
    assert said.judgements["same"].verdict is not Verdict.WORSE
    assert (said.harmful, said.culprit) == (True, "errors")
    assert not weighed(spec, RateCounts(1000, 6)).harmful


def test_a_law_that_ended_leaves_the_rest_to_the_e_process() -> None:
    ended = Spending(alarm=False, events=9, boundary=None, error=0.015, alpha=0.02)
    enough = LogEs(harm=math.log(1 / 0.005) + 1e-9)
    assert concluding.spent_alarm(ended, enough)
    assert not concluding.spent_alarm(ended, LogEs(harm=enough.harm - 1e-6))
    assert not concluding.spent_alarm(replace(ended, error=0.02), enough)
    assert not concluding.spent_alarm(replace(ended, boundary=10), enough)


@pytest.mark.parametrize("others", [0, 1, 2])
def test_several_goals_need_more_evidence_than_one(others: int) -> None:
    goals = [ERRORS | {"name": f"g{at}", "role": "goal"} for at in range(others + 1)]
    spec = written(*goals)
    fresh = book.fresh(spec, SURVEYED)
    said = {
        name: replace(one, log_e_better=0.0)
        for name, one in weighing.judgements(fresh, tries=1).items()
    }
    needed = math.log((others + 1) / 0.05)
    for log_e, missing in ((needed + 1e-9, others), (needed - 1e-9, others + 1)):
        shown = said | {"g0": replace(said["g0"], log_e_better=log_e)}
        assert len(weighing.weighed(fresh, shown, spec=spec, tries=1).unproven) == missing


@pytest.mark.parametrize(
    ("rps", "deadline", "looks"),
    [
        pytest.param(2000.0, "2h", 12 + 10, id="much-traffic-the-ramp-and-the-bake"),
        pytest.param(1.0, "30m", 60 + 10, id="little-traffic-the-deadline-and-the-bake"),
    ],
)
def test_the_plan_is_the_forecast(rps: float, deadline: str, looks: int) -> None:
    """Three steps of two minutes, a bake of five, a look each half minute."""
    started = world.at_rest(world.spec(deadline=deadline), rps=rps)
    started.edit(target="v2")
    started.run(300, until=lambda one: bool(one.status.rollout and one.status.rollout.surveyed))
    assert started.status.evidence
    assert book.opened(started.spec, started.status.evidence).known.looks == looks
