"""Why there is nothing: the nearest bounds, the wrong unit, the labels that do exist."""

from typing import Any

import pytest

from modelrollout.api.spec import Metric
from modelrollout.domain.reasons import Code
from modelrollout.metrics import diagnosing, parts
from modelrollout.metrics.queries import Wanted
from modelrollout.metrics.selectors import Matcher


def metric(threshold: str, unit: str = "s") -> Metric:
    latency = {"histogram": "d", "threshold": threshold, "unit": unit}
    return Metric.model_validate({"name": "slow", "latency": latency})


def buckets(*bounds: str) -> list[dict[str, Any]]:
    return [{"metric": {"le": bound}, "value": [0, "1"]} for bound in (*bounds, "+Inf")]


@pytest.mark.parametrize(
    ("threshold", "unit", "told"),
    [
        ("300ms", "s", "0.3s is no bucket bound of d; the nearest are 0.25s and 0.5s"),
        ("20s", "s", "the nearest are 0.5s and 1s"),
        (
            "250ms",
            "ms",
            (
                "250ms is no bucket bound of d; the nearest are 0.5ms and 1ms; the histogram "
                "seems to be in s: write `unit: s`"
            ),
        ),
    ],
)
def test_a_threshold_between_bounds(threshold: str, unit: str, told: str) -> None:
    written = metric(threshold, unit)
    assert written.latency is not None
    reason = diagnosing.no_bucket(written, written.latency, buckets("0.1", "0.25", "0.5", "1.0"))
    assert reason is not None
    assert reason.code is Code.NOT_A_BUCKET
    assert told in reason.sentence


def test_a_bound_that_exists_is_no_problem() -> None:
    written = metric("250ms")
    assert written.latency is not None
    assert diagnosing.no_bucket(written, written.latency, buckets("0.25")) is None


def test_labels_that_exist_are_shown() -> None:
    written = Metric.model_validate({"name": "errors", "rate": {"events": "e", "total": "t"}})
    total = parts.of(written)[1]
    wanted = Wanted(total, "v2", (Matcher("service", "=", "fraud-v2"),))
    vector = [{"metric": {"service": "fraud-v1", "pod": "p"}, "value": [0, "1"]}]
    reason = diagnosing.no_series(written, wanted, namespace="ml", vector=vector)
    assert reason.sentence == (
        'errors: no series of v2; try t{service="fraud-v2"}; t exists with '
        '{service="fraud-v1",pod="p"}: does `arm` name the label that tells the versions apart?'
    )
    nothing = diagnosing.no_series(written, wanted, namespace="ml", vector=())
    assert "and none elsewhere whose service fits the pattern" in nothing.sentence
    bound = Wanted(total, "v2", (Matcher("namespace", "=", "ml"),))
    nothing = diagnosing.no_series(written, bound, namespace="ml", vector=())
    assert nothing.sentence.endswith(
        "no series named t in namespace ml: is it scraped, and named so?"
    )
