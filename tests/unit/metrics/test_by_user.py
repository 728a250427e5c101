"""Sums by hash bucket: of the same series as any look, kept apart by one label."""

from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import UserPair
from modelrollout.domain.planned import Window
from modelrollout.metrics import answers, by_user, queries
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts

WINDOW = Window(1000.0, 1030.0, "v2", "v1", others=("v3",))
MEAN = {"name": "rating", "mean": {"sum": "s", "count": "n"}}
RATE = {"name": "clicks", "rate": {"events": "e", "total": "t"}}
APART = {"name": "clicks", "rate": {"events": "e", "others": "o"}}
SLOW = {"name": "slow", "latency": {"histogram": "d", "threshold": "250ms"}}


def value(mark: str, number: float, bucket: str = "", **labels: str) -> dict[str, Any]:
    where = {"instance": "10.0.0.1:80", "job": "fraud", **labels}
    named = where | ({"bucket": bucket} if bucket else {})
    return {"metric": {"__part__": mark, **named}, "value": [1030.0, str(number)]}


def pair(metric: dict[str, Any], *vector: dict[str, Any]) -> UserPair | None:
    """Of v2 against v1; parts 0 and 1 are those of v2, 2 and 3 of v3, 4 and 5 of v1."""
    names = ("v1", "v2", "v3")
    spec = ModelRolloutSpec.model_validate(
        {
            "versions": [{"name": v, "service": {"name": f"f-{v}", "port": 80}} for v in names],
            "target": "v1",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": [{"buckets": {}, **metric}]},
        }
    )
    question = queries.asked(
        spec,
        spec.analysis.metrics,
        namespace="ml",
        window=WINDOW,
        seen={v: ArmSeen(f"f-{v}", 80) for v in names},
        facts=SourceFacts("default", {}, scrape_interval_s=2.0),
    )
    found = answers.table(question, vector)
    return by_user.pair(found, spec.analysis.metrics[0], candidate="v2", stable="v1", began={})


def grown(part: int, number: float, bucket: str = "", **labels: str) -> list[dict[str, Any]]:
    """A series that grew by a number from ten."""
    return [
        value(f"{part}s", 10, bucket, **labels),
        value(f"{part}e", 10 + number, bucket, **labels),
    ]


def test_a_mean_is_its_sum_and_count_by_bucket_of_each_arm() -> None:
    found = pair(
        MEAN,
        *grown(0, 7.5, "1"),
        *grown(1, 3, "1"),
        *grown(2, 99, "1"),
        *grown(3, 99, "1"),
        *grown(4, 4, "1"),
        *grown(5, 2, "1"),
        *grown(4, 1, "2"),
        *grown(5, 1, "2"),
    )

    assert found == UserPair({"1": (7.5, 3.0)}, {"1": (4.0, 2.0), "2": (1.0, 1.0)})


def test_several_pods_of_a_bucket_are_added_and_requests_without_a_user_left_out() -> None:
    found = pair(
        MEAN,
        *grown(0, 1, "1"),
        *grown(1, 1, "1"),
        *grown(0, 2, "1", instance="10.0.0.2:80"),
        *grown(1, 2, "1", instance="10.0.0.2:80"),
        *grown(0, 50),
        *grown(1, 50),
    )

    assert found is not None
    assert found.candidate == {"1": (3.0, 3.0)}


def test_a_rate_of_a_bucket_without_events_is_nought_of_its_trials() -> None:
    found = pair(RATE, *grown(0, 1, "1"), *grown(1, 5, "1"), *grown(1, 4, "2"))

    assert found is not None
    assert found.candidate == {"1": (1.0, 5.0), "2": (0.0, 4.0)}


def test_events_and_others_are_the_trials_together() -> None:
    found = pair(APART, *grown(0, 1, "1"), *grown(1, 5, "1"), *grown(1, 4, "2"))

    assert found is not None
    assert found.candidate == {"1": (1.0, 6.0), "2": (0.0, 4.0)}


def test_slow_requests_are_those_that_the_bucket_of_the_histogram_leaves() -> None:
    found = pair(SLOW, *grown(0, 3, "1"), *grown(1, 5, "1"))

    assert found is not None
    assert found.candidate == {"1": (2.0, 5.0)}


def test_a_label_that_holds_users_themselves_is_refused_with_what_to_export() -> None:
    users = [one for n in range(1001) for one in grown(1, 1, f"user-{n}")]

    with pytest.raises(by_user.TooManyBucketsError, match="export the bucket of the user"):
        pair(MEAN, *users)


def test_a_metric_without_buckets_has_no_sums_by_user() -> None:
    assert pair({**MEAN, "buckets": None}, *grown(0, 7.5, "1"), *grown(1, 3, "1")) is None
