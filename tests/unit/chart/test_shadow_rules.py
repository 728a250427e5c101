"""The chart's recording rules of shadow comparisons are the package's own."""

from importlib import resources

import yaml

from tests.unit.chart import rendering
from tests.unit.chart.rendering import of_kind, only, render

RULES = resources.files("modelrollout.presets") / "rules" / "shadow.yaml"


def test_the_rules_are_installed_where_they_are_asked_for() -> None:
    assert not of_kind(render(), "PrometheusRule")
    values = {"metrics": {"prometheusRule": {"enabled": True, "labels": {"release": "kps"}}}}
    rule = only(render(values), "PrometheusRule")
    assert rule["metadata"]["labels"]["release"] == "kps"
    assert rule["spec"] == yaml.safe_load(RULES.read_text())


def test_the_charts_copy_is_the_packages() -> None:
    copy = rendering.CHART / "files" / "shadow-rules.yaml"
    assert copy.read_text() == RULES.read_text()
