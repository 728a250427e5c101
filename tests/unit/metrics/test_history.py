"""A version's past: what its processes counted, minute by minute, and what is left out."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from modelrollout.analysis import calibrating
from modelrollout.analysis.calibrating import History
from modelrollout.analysis.noise import Noise, Uncalibrated
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.metrics import history
from modelrollout.metrics.answers import AnswerError
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.history import DAY, Day, Grown
from tests.unit.analysis import histories

UNTIL = 1_764_000_000.0
LAST = int(UNTIL // 60)
START = LAST - DAY
RATE = {"rate": {"events": 'e{code=~"5.."}', "total": "t"}}
APART = {"rate": {"events": "bad", "others": "good"}}
SLOW = {"latency": {"histogram": "d", "threshold": "250ms"}}
PODS = {"v1-a": 0.0, "v1-b": 0.0}
Step = Callable[[int], float | None]


def asked(
    metric: Mapping[str, Any] = RATE,
    *,
    arm: Any = None,
    pods: Mapping[str, float] = PODS,
    scrape_interval_s: float = 30.0,
    days: int = 3,
) -> Sequence[Day] | Uncalibrated:
    versions = [{"name": v, "service": {"name": f"fraud-{v}", "port": 80}} for v in ("v1", "v2")]
    analysis = {"metrics": [{"name": "m", **metric}], **({"arm": arm} if arm else {})}
    spec = ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "v2",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": analysis,
        }
    )
    return history.asked(
        spec,
        spec.analysis.metrics[0],
        namespace="ml",
        version="v1",
        seen=ArmSeen("fraud-v1", 80, pods=pods),
        facts=SourceFacts("default", {"cluster": "eu"}, scrape_interval_s=scrape_interval_s),
        until=UNTIL + 42.0,
        days=days,
    )


def day(metric: Mapping[str, Any] = RATE, **more: Any) -> Day:
    questions = asked(metric, **more)
    assert not isinstance(questions, Uncalibrated), questions
    return questions[0]


def series(mark: int, pod: str, value: Step, **labels: str) -> dict[str, Any]:
    """As Prometheus writes it: no value where there is none, numbers as texts."""
    there = [(minute, value(minute)) for minute in range(DAY + 1)]
    values = [[(START + minute) * 60, f"{one:.17g}"] for minute, one in there if one is not None]
    where = {"pod": pod, "instance": f"{pod}:80", "job": "fraud", "__part__": str(mark), **labels}
    return {"metric": where, "values": values}


def steady(per_minute: float, *, before: float = 1000.0) -> Step:
    return lambda minute: before + per_minute * minute


def parsed(
    *matrix: Any, metric: Mapping[str, Any] = RATE, began: Mapping[str, float] = PODS, **more: Any
) -> Grown:
    return history.parsed(day(metric, **more), matrix, began=began)


def halved(*days: Grown) -> History:
    found = history.halved(days)
    assert not isinstance(found, Uncalibrated), found
    return found


def uncalibrated(found: object) -> str:
    assert isinstance(found, Uncalibrated), found
    return found.reason


def test_a_day_is_one_query_of_raw_counters_by_process() -> None:
    assert day().text == (
        '(label_replace(sum by (pod, instance, job) (e{code=~"5..",namespace="ml",'
        'service="fraud-v1",cluster="eu"}),"__part__","0","","") or '
        'label_replace(sum by (pod, instance, job) (t{namespace="ml",service="fraud-v1",'
        'cluster="eu"}),"__part__","1","",""))[86400001ms:60s] @ 1764000000.000'
    )


def test_days_follow_each_other_back_from_the_last_whole_minute() -> None:
    questions = asked(days=3)
    assert not isinstance(questions, Uncalibrated)
    assert [one.end for one in questions] == [UNTIL, UNTIL - 86400, UNTIL - 2 * 86400]
    assert [one.start for one in questions] == [START, START - DAY, START - 2 * DAY]


def test_of_many_pods_those_of_some_letters_are_asked_for() -> None:
    letters = "bcdfghjklmnpqrstvwxz2456789"
    pods = {f"v1-{number:03}{letters[number % 27]}": 0.0 for number in range(270)}
    text = day(pods=pods).text
    assert 'pod=~".*(?:2|4|5|6)"' in text
    assert "pod=~" not in day(pods=dict(list(pods.items())[: history.MOST_PODS])).text


@pytest.mark.parametrize(
    ("metric", "more", "reason"),
    [
        ({"mean": {"sum": "s", "count": "n"}}, {}, "not for means"),
        (RATE, {"pods": {"v1-a": 0.0}}, "stable had 1 at once"),
        (RATE, {"scrape_interval_s": 120.0}, "a value every 120 s"),
    ],
    ids=["mean", "one-pod", "seldom-scraped"],
)
def test_what_cannot_tell_is_not_asked(
    metric: Mapping[str, Any], more: dict[str, Any], reason: str
) -> None:
    assert reason in uncalibrated(asked(metric, **more))


def test_counters_grow_by_differences() -> None:
    found = parsed(series(0, "v1-a", steady(3)), series(1, "v1-a", steady(60))).pods["v1-a"]
    assert (found.trials == 60).all()
    assert (found.events == 3).all()
    assert not found.fresh.any()


def test_no_series_of_events_means_none() -> None:
    found = parsed(series(1, "v1-a", steady(60))).pods["v1-a"]
    assert (found.events == 0).all()


def test_the_first_event_of_a_running_pod_counts() -> None:
    found = parsed(
        series(0, "v1-a", lambda minute: 2.0 if minute >= 700 else None),
        series(1, "v1-a", steady(60)),
    ).pods["v1-a"]
    assert found.events[699] == 2.0
    assert found.events.sum() == 2.0


def test_after_a_restart_it_counts_from_zero() -> None:
    found = parsed(
        series(0, "v1-a", lambda minute: 5.0 if minute < 700 else 1.0),
        series(1, "v1-a", lambda m: 1000.0 + 60 * m if m < 700 else 20.0 + 60 * (m - 700)),
    ).pods["v1-a"]
    assert (found.trials[699], found.events[699]) == (20.0, 1.0)
    assert found.trials[700] == 60.0
    assert np.flatnonzero(found.fresh).tolist() == [699]


def test_a_restart_is_seen_though_the_first_scrape_shows_no_errors() -> None:
    found = parsed(
        series(0, "v1-a", lambda minute: 5.0 if minute < 700 else 7.0 if minute > 700 else None),
        series(1, "v1-a", lambda m: 1000.0 + 60 * m if m < 700 else 20.0 + 60 * (m - 700)),
    ).pods["v1-a"]
    assert found.events[[698, 699, 700]].tolist() == [0.0, 0.0, 7.0]


def test_a_process_that_lost_one_of_many_series_is_not_taken_for_a_new_one() -> None:
    found = parsed(
        series(0, "v1-a", lambda _: 0.0),
        series(1, "v1-a", lambda m: 90_000.0 + 60 * m - (10_000.0 if m >= 700 else 0.0)),
    ).pods["v1-a"]
    assert math.isnan(found.trials[699])
    assert found.trials[700] == 60.0


def test_a_pod_born_inside_the_day_counts_from_its_first_value() -> None:
    began = (START + 700) * 60.0 + 5.0

    def young(rate: float) -> Step:
        return lambda minute: rate * (minute - 700) if minute > 700 else None

    matrix = (series(0, "v1-a", young(3)), series(1, "v1-a", young(60)))
    found = parsed(*matrix, began={"v1-a": began}).pods["v1-a"]
    assert np.isnan(found.trials[:700]).all()
    assert (found.trials[700], found.events[700]) == (60.0, 3.0)
    unknown = parsed(*matrix, began={}).pods["v1-a"]
    assert math.isnan(unknown.trials[700])


def test_what_grew_over_a_gap_belongs_to_no_minute() -> None:
    found = parsed(
        series(1, "v1-a", lambda minute: None if 700 <= minute < 710 else 1000.0 + 60 * minute)
    ).pods["v1-a"]
    assert np.flatnonzero(np.isnan(found.trials)).tolist() == list(range(699, 710))
    assert not found.fresh.any()


def test_two_processes_of_a_pod_are_added_and_restart_apart() -> None:
    found = parsed(
        series(1, "v1-a", steady(60)),
        series(
            1,
            "v1-a",
            lambda m: 1000.0 + 30 * m if m < 700 else 10.0 + 30 * (m - 700),
            instance="v1-a:81",
        ),
    ).pods["v1-a"]
    assert found.trials[698] == 90.0
    assert found.trials[699] == 70.0


def test_events_and_others_make_trials() -> None:
    found = parsed(
        series(0, "v1-a", lambda minute: 3.0 * (minute - 10) if minute > 10 else None),
        series(1, "v1-a", steady(57)),
        metric=APART,
    ).pods["v1-a"]
    assert (found.trials[500], found.events[500]) == (60.0, 3.0)
    assert (found.trials[5], found.events[5]) == (57.0, 0.0)


def test_slow_requests_are_those_that_were_not_fast() -> None:
    found = parsed(series(0, "v1-a", steady(50)), series(1, "v1-a", steady(60)), metric=SLOW).pods[
        "v1-a"
    ]
    assert (found.trials[500], found.events[500]) == (60.0, 10.0)


def test_without_the_bucket_nothing_is_slow_and_nothing_is_counted() -> None:
    found = parsed(series(1, "v1-a", steady(60)), metric=SLOW).pods["v1-a"]
    assert np.isnan(found.trials).all()


def test_an_error_counted_before_its_request_is_still_one_request() -> None:
    found = parsed(
        series(0, "v1-a", lambda minute: float(minute >= 10)), series(1, "v1-a", lambda _: 9.0)
    ).pods["v1-a"]
    assert (found.trials[9], found.events[9]) == (1.0, 1.0)


@pytest.mark.parametrize("text", ["NaN", "+Inf"])
def test_values_that_are_no_numbers_are_gaps(text: str) -> None:
    broken = series(1, "v1-a", steady(60))
    broken["values"][700][1] = text
    found = parsed(broken).pods["v1-a"]
    assert np.flatnonzero(np.isnan(found.trials)).tolist() == [699, 700]


@pytest.mark.parametrize("mark", ["", "2", "x", "²"])
def test_a_part_that_was_not_asked_for_is_refused(mark: str) -> None:
    with pytest.raises(AnswerError, match="the parts that were asked for"):
        parsed(series(0, "v1-a", steady(1), __part__=mark))


def test_a_counter_below_zero_is_refused() -> None:
    with pytest.raises(AnswerError, match="at least 0, found -1"):
        parsed(series(1, "v1-a", lambda _: -1.0))


def test_more_pods_than_a_service_can_have_are_refused() -> None:
    few = [series(1, f"v1-{n}", lambda m: 1.0 if m == 5 else None) for n in range(501)]
    with pytest.raises(AnswerError, match="at most 500 pods in a day"):
        parsed(*few)


def test_series_of_a_gateway_have_no_pods_of_the_version() -> None:
    arm = {"label": "service", "pattern": "{namespace}-{service}-{port}@.*"}
    grown = parsed(series(1, "traefik-0", steady(60)), series(1, "v1-a", steady(60)), arm=arm)
    assert list(grown.pods) == ["v1-a"]
    only = parsed(series(1, "traefik-0", steady(60)), arm=arm)
    assert "no series" in uncalibrated(history.halved([only]))


def test_without_a_label_pod_the_instance_tells_processes_apart() -> None:
    found = parsed(series(1, "", steady(60), instance="10.0.0.1:80"))
    assert list(found.pods) == ["10.0.0.1:80"]


def test_both_halves_are_added_up_minute_by_minute() -> None:
    pods = [f"v1-{letter}" for letter in "abcd"]
    rates = dict(zip(pods, (10, 20, 40, 80), strict=True))
    found = halved(parsed(*(series(1, pod, steady(rate)) for pod, rate in rates.items())))
    assert len(found.minutes) == DAY
    assert set(found.trials_a) == {50}
    assert set(found.trials_b) == {100}
    assert found.pods == 4.0
    assert len(found.lives) == 4


def test_uneven_halves_count_as_fewer_pods() -> None:
    found = halved(parsed(*(series(1, f"v1-{letter}", steady(10)) for letter in "abc")))
    assert found.pods == pytest.approx(4.0 / (1 / 2 + 1 / 1))


def test_one_pod_has_no_other_half() -> None:
    found = halved(parsed(series(1, "v1-a", steady(60))))
    assert len(found.minutes) == 0
    assert "stable had 1 at once" in uncalibrated(calibrating.calibrate(found))


def test_a_deploy_is_cut_out_until_both_halves_have_settled() -> None:
    def old(minute: int) -> float | None:
        return 60.0 * minute if minute <= 700 else None

    def new(minute: int) -> float | None:
        return 60.0 * (minute - 690) if minute > 690 else None

    found = halved(
        parsed(
            *(series(1, f"v1-old-{letter}", old) for letter in "ab"),
            *(series(1, f"v1-new-{letter}", new) for letter in "cd"),
        )
    )
    # The new ones come at minute 690 and count, their settling left out, from 695 on.
    assert len(found.minutes) == DAY
    late = halved(
        parsed(
            *(series(1, f"v1-old-{letter}", old) for letter in "ab"),
            *(
                series(1, f"v1-new-{letter}", lambda m: 60.0 * m if m > 710 else None)
                for letter in "cd"
            ),
        )
    )
    gone = sorted(set(range(DAY)) - set((late.minutes - START).tolist()))
    assert gone == list(range(700, 711))


def test_a_restarted_pod_is_left_out_while_it_settles() -> None:
    restarting = series(1, "v1-b", lambda m: 60.0 * m + 60 if m < 700 else 60.0 * (m - 700))
    found = halved(parsed(series(1, "v1-a", steady(60)), restarting))
    gone = sorted(set(range(DAY)) - set((found.minutes - START).tolist()))
    assert gone == list(range(699, 699 + history.SETTLING))


def until(end: int) -> Step:
    return lambda minute: 60.0 * minute if minute <= end else None


def since(start: int) -> Step:
    return lambda minute: 60.0 * minute if minute > start else None


def test_a_new_pod_is_left_out_while_it_settles() -> None:
    found = halved(
        parsed(
            *(series(1, pod, steady(60)) for pod in PODS),
            series(1, "v1-c", since(700)),
        )
    )
    both = found.trials_a + found.trials_b
    # The first value of a pod that nobody knows to be new is where its counting begins.
    assert both[: 700 + history.SETTLING].tolist() == [120] * (700 + history.SETTLING)
    assert set(both[700 + history.SETTLING :]) == {180}


def test_a_pod_joins_the_half_that_has_fewer_then() -> None:
    lasting = [series(1, pod, steady(60)) for pod in ("v1-a", "v1-c")]
    ending = [series(1, pod, until(600)) for pod in ("v1-b", "v1-d")]
    found = halved(parsed(*lasting, *ending, series(1, "v1-e", since(600))))
    assert len(found.minutes) == DAY - history.SETTLING


def test_minutes_without_requests_of_one_half_compare_nothing() -> None:
    found = halved(
        parsed(series(1, "v1-a", steady(60)), series(1, "v1-b", lambda m: 60.0 * min(m, 700)))
    )
    assert found.minutes[-1] == START + 699


def test_the_rarer_outcome_is_what_is_counted() -> None:
    found = halved(
        parsed(
            *(series(0, pod, steady(57)) for pod in PODS),
            *(series(1, pod, steady(60)) for pod in PODS),
        )
    )
    assert set(found.events_a) == {3}


def test_days_are_put_together_and_pods_keep_their_half() -> None:
    questions = asked()
    assert not isinstance(questions, Uncalibrated)
    days = []
    for number, one in enumerate(questions):
        matrix = [series(1, pod, steady(rate)) for pod, rate in (("v1-a", 60), ("v1-b", 30))]
        for each in matrix:
            each["values"] = [[at - 86400 * number, text] for at, text in each["values"]]
        days.append(history.parsed(one, matrix, began=PODS))
    found = halved(*days)
    assert len(found.minutes) == 3 * DAY
    assert set(found.trials_a) == {60}
    without_yesterday = halved(days[0], days[2])
    assert len(without_yesterday.minutes) == 2 * DAY
    assert len(found.lives) == 2


def test_a_life_is_compared_with_the_pods_beside_it() -> None:
    found = halved(
        parsed(
            series(0, "v1-a", steady(2)),
            series(0, "v1-b", steady(4)),
            *(series(1, pod, steady(300)) for pod in PODS),
        )
    )
    first, second = found.lives
    assert (first.events, second.events) == (2 * DAY, 4 * DAY)
    assert first.expected == second.expected == pytest.approx(3 * DAY)
    assert first.own == pytest.approx(0.5)


def test_nothing_is_a_history_of_nothing() -> None:
    assert "no series" in uncalibrated(history.halved([]))
    assert "no series" in uncalibrated(history.halved([parsed()]))


def test_the_whole_way_finds_the_noise_that_is_there() -> None:
    rng = np.random.default_rng(91)
    pods = {f"v1-{letter}": 0.0 for letter in "abcdefgh"}
    trials = rng.poisson(60 * 100 / 8, (8, DAY))
    noisy = histories.BASE * histories.factors("cv0.5", DAY, 8, rng).T
    events = rng.binomial(trials, np.minimum(noisy, 1.0))
    matrix = []
    for row, pod in enumerate(pods):
        for mark, grown in ((0, events[row]), (1, trials[row])):
            total = np.concatenate([[500], 500 + np.cumsum(grown)])
            matrix.append(series(mark, pod, lambda m, of=total: float(of[m])))  # type: ignore[misc]
    grown = history.parsed(day(pods=pods), json.loads(json.dumps(matrix)), began=pods)
    found = calibrating.calibrate(halved(grown))
    assert isinstance(found, Noise), found
    # A gamma of CV 0.5 in each of eight pods: 0.25 * (1/4 + 1/4).
    assert found.tau2 == pytest.approx(0.125, abs=0.05)
    assert found.pods == 8.0
    assert found.omega2 < 0.002
