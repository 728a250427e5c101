"""The generated CRD: up to date, within the structural dialect, bounded everywhere."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field

from modelrollout.api import crd, rules
from modelrollout.api.scalars import Duration, Weight

Json = dict[str, Any]


def nodes(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if isinstance(values := schema.get("additionalProperties"), dict):
        yield from nodes(values, f"{path}{{}}")


def root() -> Json:
    schema: Json = crd.crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def written() -> dict[str, Json]:
    """Every node of spec and status, by its path."""
    return dict(nodes(root()))


def test_the_checked_in_files_are_up_to_date() -> None:
    assert crd.stale() == [], "run `python -m modelrollout.api.crd --write`"


def test_the_chart_carries_the_same_crd() -> None:
    guard, *body, end = crd.CHART_FILE.read_text(encoding="utf-8").splitlines()
    copied = yaml.safe_load("\n".join(body))
    kept = copied["metadata"].pop("annotations")
    assert (guard, end) == ("{{- if .Values.crds.install }}", "{{- end }}")
    assert kept == {"helm.sh/resource-policy": "keep"}
    assert copied == yaml.safe_load(crd.CRD_FILE.read_text(encoding="utf-8"))
    assert "{{" not in "\n".join(body), "the chart would take it for a template"


def test_every_string_list_and_map_is_bounded() -> None:
    bounds = {"string": ("maxLength", "enum"), "array": ("maxItems",)}
    for path, node in written().items():
        kind = node.get("type", "int-or-string")
        if needed := bounds.get(kind):
            assert any(bound in node for bound in needed), path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_nothing_stands_outside_the_structural_dialect() -> None:
    refused = {"$ref", "title", "const", "oneOf", "allOf", "nullable", "discriminator", "$defs"}
    for path, node in written().items():
        assert not refused & node.keys(), path
        assert "x-kubernetes-preserve-unknown-fields" not in node, path
        if node.get("x-kubernetes-int-or-string"):
            assert node["anyOf"] == [{"type": "integer"}, {"type": "string"}], path
        else:
            assert "anyOf" not in node, path
            assert isinstance(node["type"], str), path


def test_defaults_are_scalars_of_the_spec_outside_lists() -> None:
    every = {path: node["default"] for path, node in written().items() if "default" in node}
    assert all(isinstance(value, str | int | float | bool) for value in every.values())
    given = {path: value for path, value in every.items() if ".strategy.shadow." not in path}
    assert given == {
        ".spec.analysis.errorRate.falsePromotion": 0.05,
        ".spec.analysis.errorRate.falseRollback": 0.02,
        ".spec.analysis.harmTest": "Auto",
        ".spec.analysis.interval": "30s",
        ".spec.analysis.source": "default",
        ".spec.analysis.warmUp": "30s",
        ".spec.bake.holdback": 0,
        ".spec.capacity": "Leave",
        ".spec.deadline": "1d",
        ".spec.deletionPolicy": "Retain",
        ".spec.drain": "30s",
        ".spec.onInconclusive": "Hold",
        ".spec.progressDeadline": "10m",
        ".spec.strategy.abTest.onWinner": "Report",
        ".spec.strategy.blueGreen.approval": False,
        ".spec.strategy.blueGreen.smokeTest.timeout": "10m",
        ".spec.traffic.router.replicas": 2,
        ".spec.traffic.router.timeouts.connect": "2s",
        ".spec.traffic.router.timeouts.idle": "10m",
    }


def test_everything_a_user_may_write_is_described() -> None:
    spec = {path: node for path, node in written().items() if path.startswith(".spec")}
    silent = [path for path, node in spec.items() if "description" not in node]
    assert [path for path in silent if not path.endswith(("[]", "{}"))] == []


def test_each_list_says_how_it_is_owned() -> None:
    kinds = {
        path: node["x-kubernetes-list-type"]
        for path, node in written().items()
        if node.get("type") == "array"
    }
    keyed = {path for path, kind in kinds.items() if kind == "map"}
    assert keyed == {".spec.versions", ".spec.analysis.metrics", ".status.conditions"}
    assert kinds[".spec.strategy.steps"] == "atomic"


def test_every_rule_stands_in_the_schema() -> None:
    placed = {
        entry["rule"]
        for node in written().values()
        for entry in node.get("x-kubernetes-validations", [])
    }
    assert placed == {rule.expression for found in rules.RULES.values() for rule in found}


def test_the_rule_over_steps_reaches_the_last_step() -> None:
    assert written()[".spec.strategy.steps"]["maxItems"] == rules.MAX_STEPS


class Leaf(BaseModel):
    """A leaf.

    More about it that nobody needs in a terminal.
    """

    kind: Literal["Only"] = "Only"
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Tree(BaseModel):
    """A tree."""

    wait: Duration = 90.0
    weight: Weight = 25
    leaf: Leaf = Leaf()
    other: Annotated[Leaf | None, Field(description="Told here.")] = None
    leaves: Annotated[list[Leaf], Field(max_length=3)] = Field(default_factory=list)
    tags: Annotated[dict[str, int], Field(max_length=2)] = Field(default_factory=dict)


def test_a_model_becomes_a_structural_schema() -> None:
    share = {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 1,
        "exclusiveMaximum": True,
    }
    kind = {"type": "string", "enum": ["Only"]}
    leaf = {
        "type": "object",
        "description": "A leaf.",
        "properties": {
            "kind": {**kind, "default": "Only"},
            "share": {**share, "default": 0.5},
        },
    }
    schema = crd.structural(Tree, defaults=True)
    assert schema["properties"]["wait"]["default"] == "1m30s"
    assert schema["properties"]["weight"]["default"] == "0.25%"
    assert schema["properties"]["leaf"] == leaf
    assert schema["properties"]["other"] == {**leaf, "description": "Told here."}
    assert schema["properties"]["leaves"] == {
        "type": "array",
        "maxItems": 3,
        "x-kubernetes-list-type": "atomic",
        "items": {**leaf, "properties": {"kind": kind, "share": share}},
    }
    assert schema["properties"]["tags"] == {
        "type": "object",
        "maxProperties": 2,
        "additionalProperties": {"type": "integer"},
    }
    assert "required" not in schema


class Loop(BaseModel):
    """Contains itself."""

    inner: "Loop | None" = None


class Either(BaseModel):
    """A choice that a structural schema cannot say."""

    value: int | str


def test_a_recursive_model_is_refused() -> None:
    with pytest.raises(ValueError, match="saw Loop inside itself"):
        crd.structural(Loop, defaults=True)


def test_a_choice_of_types_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one type"):
        crd.structural(Either, defaults=True)
