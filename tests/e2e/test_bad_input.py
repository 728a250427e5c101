"""Mistakes in a spec: each is told in words that say what to write, and nobody meets the candidate.

A wrong answer is worse than none: what cannot be read as written must hold the rollout where it is,
with one condition that a person can act on without reading the operator's log.
"""

import json
import time
from typing import Any, Final

import pytest

from tests.cluster.handle import Cluster
from tests.e2e import fleet
from tests.e2e.fleet import Fleet, Json, condition
from tests.e2e.load import Load

TOTAL: Final = "http_requests_total"
HISTOGRAM: Final = "http_request_duration_seconds"
SEEN_BEFORE: Final = 600
Case = tuple[Json, str, tuple[str, ...]]
"""A wrong analysis, the reason that it is given, and words of the message."""


def errors(**changes: Any) -> Json:
    """An analysis of the errors alone, with something changed."""
    rate = {"events": fleet.SELECTOR, "total": TOTAL} | changes.pop("rate", {})
    return analysis(fleet.ERRORS | {"rate": rate} | changes)


def slow(**changes: Any) -> Json:
    """An analysis of the latency alone, with something changed."""
    return analysis(fleet.SLOW | {"latency": {"histogram": HISTOGRAM} | changes})


def analysis(metric: Json) -> Json:
    return {"interval": "4s", "warmUp": "2s", "metrics": [metric]}


REFUSED: Final[dict[str, Case]] = {
    "a selector that is cut off": (
        errors(rate={"events": 'http_requests_total{code=~"5.."'}),
        "BadSelector",
        ("errors, events", "expected `,` or `}` at character 32, found 'the end'"),
    ),
    "a histogram that is no selector": (
        slow(histogram="http request seconds", threshold="250ms"),
        "BadSelector",
        ("slow: the histogram 'http request seconds' is no selector", "character 6"),
    ),
    "a source that nobody declared": (
        errors(source="thanos"),
        "UnknownSource",
        ("errors: source thanos is none of those declared: default, ",),
    ),
    "a raw query where none is allowed": (
        errors(rate={"total": "sum(http_requests_total{ {arm} })"}),
        "RawQueryRefused",
        ("errors, total", "source default does not allow raw queries: write a metric name with"),
    ),
    "a pattern that is the same for all versions": (
        errors(arm={"label": "pod", "pattern": "fraud-.*"}),
        "BadSelector",
        ("errors: pattern 'fraud-.*' is the same for all versions: use {service} or {version}",),
    ),
}

UNREADABLE: Final[dict[str, Case]] = {
    "a selector of no series": (
        errors(arm={"label": "container", "pattern": "{version}"}),
        "NoSeries",
        (
            "errors: no series of v",
            'try http_requests_total{container=~"v',
            "http_requests_total exists with {",
            'service="fraud-v1"',
            "does `arm` name the label that tells the versions apart?",
        ),
    ),
    "a metric that does not exist": (
        errors(rate={"total": "http_request_total"}),
        "NoSeries",
        ("errors: no series of v", "no series named http_request_total in namespace "),
    ),
    "a threshold between two buckets": (
        slow(threshold="300ms"),
        "NotABucket",
        ("slow: 0.3s is no bucket bound of", "the nearest are 0.25s and 0.5s"),
    ),
    "a threshold in the other unit": (
        slow(threshold="250ms", unit="ms"),
        "NotABucket",
        ("slow: 250ms is no bucket bound of", "seems to be in s: write `unit: s`"),
    ),
}


def notes(ml: Fleet, reason: str) -> list[str]:
    """What the events of this reason say."""
    found = json.loads(ml.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [event["note"] for event in found if event["reason"] == reason]


def served(ml: Fleet, cluster: Cluster) -> None:
    """Both versions deployed and scraped, v1 in service.

    An explanation stands for some seconds, and one from before the first scrape knows no series.
    """
    ml.serving()
    deadline = time.monotonic() + 30
    while scraped(ml, cluster) != {"fraud-v1", "fraud-v2"}:
        assert time.monotonic() < deadline, "expected both versions to be scraped within 30 s"
        time.sleep(0.2)


def scraped(ml: Fleet, cluster: Cluster) -> set[str]:
    """Services of which the histogram was there when a look of now would end: a scrape ago."""
    query = f'{HISTOGRAM}_count{{namespace="{ml.namespace}"}} offset 3s'
    return {one["metric"]["service"] for one in cluster.query(query)}


def told(ml: Fleet, cluster: Cluster, kind: str, case: Case) -> None:
    """A wrong analysis leads to this condition while users are served, all of them by v1."""
    wrong, reason, words = case

    def is_told(status: Json) -> bool:
        seen = condition(status, kind)
        in_words = all(word in seen.get("message", "") for word in words)
        return (seen.get("status"), seen.get("reason"), in_words) == ("False", reason, True)

    served(ml, cluster)
    with Load(cluster.gateway_url, ml.host, rate=20) as load:
        ml.rollout(target="v2", analysis=wrong)
        found = ml.until(is_told, timeout_s=30)
        assert ml.weights("fraud-rollout").get("fraud-v2", 0) == 0
    assert set(load.answered) == {"v1"}
    assert (set(load.codes), load.failed) == ({200}, {})
    status: Json = found["status"]
    assert condition(status, "Ready")["status"] == "False"
    assert status["stable"]["name"] == "v1"


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_as_written_is_refused(ml: Fleet, cluster: Cluster, case: str) -> None:
    told(ml, cluster, "Accepted", REFUSED[case])


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_no_series_answers_starts_nothing(ml: Fleet, cluster: Cluster, case: str) -> None:
    told(ml, cluster, "MetricsAvailable", UNREADABLE[case])


def test_a_mistake_that_is_mended_is_forgotten(ml: Fleet, cluster: Cluster) -> None:
    told(ml, cluster, "MetricsAvailable", UNREADABLE["a threshold between two buckets"])
    with Load(cluster.gateway_url, ml.host) as load:
        ml.rollout(target="v2", analysis=slow(threshold="250ms"))
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
    assert load.failed == {}


def test_a_question_that_the_deadline_is_too_short_for_is_told_at_once(
    ml: Fleet, cluster: Cluster
) -> None:
    served(ml, cluster)
    strict = errors(margin={"absolute": 0.00001})
    with Load(cluster.gateway_url, ml.host) as load:
        # The forecast is made of the traffic before; none is made of none.
        while load.answered["v1"] < SEEN_BEFORE:
            time.sleep(0.2)
        ml.rollout(target="v2", deadline="20s", analysis=strict)
        ml.until(lambda _: bool(notes(ml, "CannotAnswerInTime")))
        found = ml.phase("Undecided")
    (note,) = notes(ml, "CannotAnswerInTime")
    assert note.startswith("errors: ")
    assert condition(found["status"], "Promoted")["status"] == "False"
    assert found["status"]["stable"]["name"] == "v1"
