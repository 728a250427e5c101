"""Metrics that cannot be read are refused before they are read, and presets are merged."""

from typing import Any

import pytest

from modelrollout import metrics
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code
from modelrollout.metrics import presets
from modelrollout.metrics.facts import SourceFacts

PLAIN = {"default": SourceFacts("default")}
RAW = {"default": SourceFacts("default", allow_raw_queries=True)}


def spec(*written: dict[str, Any], **analysis: Any) -> ModelRolloutSpec:
    versions = [{"name": v, "service": {"name": f"fraud-{v}", "port": 80}} for v in ("v1", "v2")]
    return ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "v2",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": list(written), **analysis},
        }
    )


def rate(events: str, **more: Any) -> dict[str, Any]:
    return {"name": "errors", "rate": {"events": events, "total": "t"}, **more}


@pytest.mark.parametrize(
    ("written", "sources", "code", "told"),
    [
        (rate("e", source="other"), PLAIN, Code.UNKNOWN_SOURCE, "other is none of those declared"),
        (rate("e"), {}, Code.UNKNOWN_SOURCE, "none; the administrator declares them"),
        (rate("e{"), PLAIN, Code.BAD_SELECTOR, "no plain selector (expected a label"),
        (rate("sum(e)"), PLAIN, Code.RAW_QUERY_REFUSED, "does not allow raw queries"),
        (rate("sum(e)"), RAW, Code.BAD_SELECTOR, "must contain {arm}"),
        (
            {"name": "slow", "latency": {"histogram": "sum(h)", "threshold": "1s"}},
            RAW,
            Code.BAD_SELECTOR,
            "is no selector",
        ),
        (
            {"name": "slow", "latency": {"histogram": 'h{le="1"}', "threshold": "1s"}},
            PLAIN,
            Code.BAD_SELECTOR,
            "leave `le` out",
        ),
        (
            rate("e", arm={"label": "x", "pattern": "{what}"}),
            PLAIN,
            Code.BAD_SELECTOR,
            "unknown placeholder {what}",
        ),
    ],
)
def test_what_is_refused(
    written: dict[str, Any], sources: dict[str, SourceFacts], code: Code, told: str
) -> None:
    reason = metrics.check(spec(written), sources)
    assert reason is not None
    assert reason.code is code
    assert told in reason.sentence


def test_what_is_allowed() -> None:
    assert metrics.check(spec(rate('e{code=~"5.."}')), PLAIN) is None
    assert metrics.check(spec(rate("sum by (pod) (e{ {arm} })")), RAW) is None


def test_own_metrics_win_over_those_of_a_preset() -> None:
    merged = metrics.resolve(spec(rate("mine"), preset="mlserver"))
    assert [metric.name for metric in merged.analysis.metrics] == ["errors", "slow"]
    assert merged.analysis.metrics[0].rate is not None
    assert merged.analysis.metrics[0].rate.events == "mine"


def test_a_preset_brings_its_arm_unless_the_rollout_has_one() -> None:
    assert metrics.resolve(spec(preset="traefik")).analysis.arm.label == "exported_service"
    own = spec(preset="traefik", arm={"kind": "Service"})
    assert metrics.resolve(own).analysis.arm.label is None


def test_an_unknown_preset_is_named_with_the_known_ones() -> None:
    with pytest.raises(metrics.MetricError, match="nothing is none of: kserve, mlserver"):
        metrics.resolve(spec(preset="nothing"))


@pytest.mark.parametrize("name", sorted(presets.known()))
def test_every_preset_can_be_read(name: str) -> None:
    assert metrics.check(metrics.resolve(spec(preset=name)), PLAIN) is None


POOLED = [
    {"name": "v1", "service": {"name": "fraud-v1", "port": 80}},
    {"name": "v2", "inferencePool": {"name": "pool-v2"}},
]
BY_PORT = {"label": "upstream", "pattern": "{namespace}-{service}-{port}"}
BY_VERSION = {"label": "model", "pattern": "fraud-{version}"}


@pytest.mark.parametrize(
    ("arm", "refused"),
    [({}, True), (BY_PORT, True), ({"kind": "Pods"}, False), (BY_VERSION, False)],
    ids=["by service", "by port", "by pods", "by version"],
)
def test_series_by_service_are_refused_where_a_version_has_none(
    arm: dict[str, Any], *, refused: bool
) -> None:
    written = spec(rate("e"), arm=arm).model_dump(mode="json", by_alias=True, exclude_none=True)
    pooled = ModelRolloutSpec.model_validate({**written, "versions": POOLED})
    reason = metrics.check(pooled, PLAIN)
    assert (reason is not None) is refused
    if reason is not None:
        assert "InferencePool pool-v2" in reason.sentence
        assert "arm: {kind: Pods}" in reason.sentence
