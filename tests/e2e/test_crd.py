"""The CRD on a real apiserver: what it takes, what it refuses and with which words."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import yaml

from modelrollout.api import spec
from tests.e2e import kubectl

Json = dict[str, Any]
Edit = Callable[[Json], None]

TWENTY_LINES: Final = """
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud}
spec:
  versions:
    - {name: v1, service: {name: fraud-v1, port: 8080}, workload: {name: fraud-v1}}
    - {name: v2, service: {name: fraud-v2, port: 8080}, workload: {name: fraud-v2}}
  target: v2
  traffic:
    gatewayAPI:
      parentRefs: [{name: public, namespace: gateways}]
      hostnames: [fraud.example.com]
  analysis:
    metrics:
      - name: errors
        rate: {events: 'http_requests_total{code=~"5.."}', total: http_requests_total}
        margin: {relative: 50%, absolute: 0.001}
      - name: slow
        latency: {histogram: http_request_duration_seconds, threshold: 250ms}
        margin: {absolute: 0.01}
  bake: {duration: 30m, holdback: 5}
"""


pytestmark = pytest.mark.usefixtures("operator")  # its chart brings the CRD


@pytest.fixture
def namespace() -> Iterator[str]:
    with kubectl.new_namespace("crd") as name:
        yield name


def good() -> Json:
    rollout: Json = yaml.safe_load(TWENTY_LINES)
    return rollout


def tried(edit: Edit) -> kubectl.Answer:
    """What the apiserver says to the edited rollout; nothing is stored."""
    rollout = good()
    edit(rollout)
    rollout["metadata"] = {"generateName": "fraud-", "namespace": "default"}
    return kubectl.run("create", "--dry-run=server", "-f", "-", stdin=rollout)


def put(path: str, value: object) -> Edit:
    """An edit that sets one field of the spec; numbers in the path are indices."""

    def edit(rollout: Json) -> None:
        *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        node: Any = rollout["spec"]
        for key in parents:
            node = node[key]
        node[last] = value

    return edit


def also(*edits: Edit) -> Edit:
    def edit(rollout: Json) -> None:
        for one in edits:
            one(rollout)

    return edit


LABEL: Final = {"label": "exported_service", "pattern": ".*-{service}-.*"}
REFUSED: Final[dict[str, tuple[Edit, str]]] = {
    "target names no version": (
        put("target", "v9"),
        "spec.target: Invalid value: target v9 names no version: write the name of one of",
    ),
    "two versions of one name": (
        also(put("versions.1.name", "v1"), put("target", "v1")),
        "two versions have the same name: give each a name of its own",
    ),
    "two versions behind one Service": (
        put("versions.1.service.name", "fraud-v1"),
        "two versions share one Service: give each version one of its own",
    ),
    "no provider": (put("traffic", {}), "write exactly one of these in traffic: gatewayAPI"),
    "two providers": (
        put("traffic.traefik", {}),
        "write exactly one of these in traffic: gatewayAPI",
    ),
    "a provider that does not exist": (
        put("traffic.nginx", {}),
        'unknown field "spec.traffic.nginx"',
    ),
    "no backend": (
        put("versions.1", {"name": "v2"}),
        "write exactly one of these in a version: service, inferencePool, inferenceService",
    ),
    "two backends": (
        put("versions.1.inferencePool", {"name": "pool"}),
        "write exactly one of these in a version: service, inferencePool, inferenceService",
    ),
    "two versions behind one InferencePool": (
        also(
            put("versions.0", {"name": "v1", "inferencePool": {"name": "pool"}}),
            put("versions.1", {"name": "v2", "inferencePool": {"name": "pool"}}),
        ),
        "two versions share one InferencePool: give each version one of its own",
    ),
    "a Service of a version as the one that clients call": (
        put("traffic", {"service": {"name": "fraud-v1"}}),
        "beside the one that clients call",
    ),
    "a switched Service without Services behind it": (
        also(
            put("traffic", {"service": {"name": "fraud"}}),
            put("versions.1", {"name": "v2", "inferenceService": {"name": "fraud"}}),
        ),
        "every version has a Service of its own",
    ),
    "neither hosts nor VirtualServices": (
        put("traffic", {"istio": {}}),
        "istio takes exactly one of: hosts",
    ),
    "gateways with the user's VirtualServices": (
        put("traffic", {"istio": {"virtualServices": ["mine"], "gateways": ["a/b"]}}),
        "gateways belong to the VirtualService that the operator makes",
    ),
    "a generated route and one of the user's": (
        put("traffic.gatewayAPI", {"parentRefs": [{"name": "g"}], "routes": [{"name": "r"}]}),
        "gatewayAPI takes exactly one of: parentRefs",
    ),
    "neither parents nor routes": (
        put("traffic.gatewayAPI", {}),
        "gatewayAPI takes exactly one of: parentRefs",
    ),
    "hostnames with the user's routes": (
        put("traffic.gatewayAPI", {"routes": [{"name": "r"}], "hostnames": ["a.example.com"]}),
        "write them with parentRefs, or in your own route",
    ),
    "hostname with a port": (
        put("traffic.gatewayAPI.hostnames", ["fraud.example.com:80"]),
        "should match '^(\\*\\.)?[a-z0-9]",
    ),
    "two strategies": (
        put("strategy", {"canary": {}, "steps": [{"weight": 5}]}),
        "write exactly one of these in strategy: canary, blueGreen, steps",
    ),
    "a budget of risk that is none": (
        put("strategy", {"canary": {"ramp": {"riskBudget": "0%"}}}),
        "riskBudget is a share of all requests above 0% and at most 100%",
    ),
    "weights not ascending": (
        put("strategy", {"canary": {"weights": [1, 25, 5]}}),
        "the weights must ascend: write for example [1, 5, 25, 50]",
    ),
    "one weight in two forms": (
        put("strategy", {"canary": {"weights": [5, "5%"]}}),
        "the weights must ascend",
    ),
    "weight of 100 in a canary": (
        put("strategy", {"canary": {"weights": [5, 100]}}),
        "each weight must be above 0 and below 100",
    ),
    "weight that is a word": (
        put("strategy", {"canary": {"weights": ["five"]}}),
        "write for example [1, 5, 25, 50]",
    ),
    "weights of steps not ascending, with a pause between": (
        put("strategy", {"steps": [{"weight": 10}, {"pause": {}}, {"weight": "2.5%"}]}),
        "the weights of the steps must ascend",
    ),
    "no steps": (put("strategy", {"steps": []}), "should have at least 1 items"),
    "step of two kinds": (
        put("strategy", {"steps": [{"weight": 10, "pause": {}}]}),
        "spec.strategy.steps[0]: Invalid value: write exactly one of these in a step",
    ),
    "empty step": (put("strategy", {"steps": [{}]}), "write exactly one of these in a step"),
    "step to nobody": (put("strategy", {"steps": [{"weight": 0}]}), "start with a weight above 0"),
    "minimum duration of a pause": (
        put("strategy", {"steps": [{"pause": {}, "minDuration": "5m"}]}),
        "the length of a pause is pause.duration",
    ),
    "pause for nothing": (
        put("strategy", {"steps": [{"pause": {"approval": False}}]}),
        "write {duration: 10m}, or {} to wait for a person",
    ),
    "metric of two kinds": (
        put("analysis.metrics.0.mean", {"sum": "a", "count": "b"}),
        "spec.analysis.metrics[0]: Invalid value: write exactly one of these in a metric",
    ),
    "two metrics of one name": (
        put("analysis.metrics.1.name", "errors"),
        "two metrics have the same name: give each a name of its own",
    ),
    "rate of total and others": (
        put("analysis.metrics.0.rate.others", "x_total"),
        "write exactly one of these in a rate: total, others",
    ),
    "limit on both sides": (
        put("analysis.metrics.0.limit", {"atMost": 1, "atLeast": 0}),
        "write exactly one of these in a limit: atMost, atLeast",
    ),
    "margin of nothing": (
        put("analysis.metrics.0.margin", {}),
        'write for example {relative: "50%"}',
    ),
    "label without pattern": (
        put("analysis.arm", {"label": "exported_service"}),
        "label and pattern go together",
    ),
    "pods by label": (
        put("analysis.arm", {"kind": "Pods", **LABEL}),
        "leave out kind, or leave out label and pattern",
    ),
    "kind Label without a label": (
        put("analysis.metrics.0.arm", {"kind": "Label"}),
        "spec.analysis.metrics[0].arm: Invalid value: label and pattern belong to kind Label",
    ),
    "holdback of everybody": (put("bake.holdback", 100), "write less than 100, for example 5"),
    "duration in words": (put("deadline", "5 minutes"), "spec.deadline in body should match"),
    "misspelt field": (put("analysis.intervall", "30s"), 'unknown field "spec.analysis.intervall"'),
}


@pytest.mark.parametrize(("edit", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_and_says_what_to_write(edit: Edit, words: str) -> None:
    answer = tried(edit)
    assert not answer.ok
    assert words in answer.err


ACCEPTED: Final[dict[str, Edit]] = {
    "the twenty lines": lambda _rollout: None,
    "canary with weights": put("strategy", {"canary": {"weights": ["0.1%", 1, "7.5%", 25]}}),
    "canary that chooses": put("strategy", {"canary": {}}),
    "steps with pauses up to a switch": put(
        "strategy",
        {"steps": [{"weight": 5}, {"pause": {"duration": "1h"}}, {"pause": {}}, {"weight": 100}]},
    ),
    "routes of the user's own": put(
        "traffic.gatewayAPI", {"routes": [{"name": "a"}, {"kind": "GRPCRoute", "name": "b"}]}
    ),
    "arm by label": put("analysis.arm", LABEL),
    "arm by label, said twice": put("analysis.arm", {"kind": "Label", **LABEL}),
    "arm by pods": put("analysis.arm", {"kind": "Pods"}),
    "one version": also(
        put("versions", [{"name": "v1", "service": {"name": "a", "port": 80}}]),
        put("target", "v1"),
    ),
    "the most versions": also(
        put(
            "versions",
            [{"name": f"v{n}", "service": {"name": f"s{n}", "port": 80}} for n in range(10)],
        ),
        put("target", "v9"),
    ),
    "the most steps": put("strategy", {"steps": [{"weight": 3 * n} for n in range(1, 31)]}),
}


@pytest.mark.parametrize("edit", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepts_what_the_types_accept(edit: Edit) -> None:
    rollout = good()
    edit(rollout)
    spec.ModelRolloutSpec.model_validate(rollout["spec"])
    answer = tried(edit)
    assert answer.ok, answer.err


def serving(rollout: Json, *, stable: str, namespace: str) -> None:
    """The rollout as it is while `stable` serves.

    An operator that runs beside these tests leaves a status of a newer schema as it is.
    """
    kubectl.must("apply", "--server-side", "-n", namespace, "-f", "-", stdin=rollout)
    status = {"stable": {"name": stable}, "phase": "Progressing", "schemaVersion": 1000}
    patch = yaml.safe_dump({"status": status})
    kubectl.must(
        *("patch", "mr", "fraud", "-n", namespace, "--subresource=status"),
        *("--type=merge", "-p", patch),
    )


def without(version: str, rollout: Json) -> Json:
    left = copy.deepcopy(rollout)
    left["spec"]["versions"] = [v for v in left["spec"]["versions"] if v["name"] != version]
    return left


def test_serving_version_removed_from_the_list_is_refused(namespace: str) -> None:
    serving(good(), stable="v1", namespace=namespace)
    dropped = without("v1", good())
    answer = kubectl.run("apply", "--server-side", "-n", namespace, "-f", "-", stdin=dropped)
    assert "version v1 serves and must stay in spec.versions" in answer.err
    assert "drop v1 when that one is promoted" in answer.err


def test_the_provider_is_exchanged_at_rest_and_not_under_way(namespace: str) -> None:
    serving(good(), stable="v1", namespace=namespace)
    other = good()
    other["spec"]["traffic"] = {"traefik": {}}
    other["spec"].pop("bake", None)
    under_way = {
        "id": "1",
        "phase": "Stepping",
        "startedAt": 0,
        "clockAt": 0,
        "stepIndex": 0,
        "number": 1,
    }
    for rollout, refused in ((under_way, True), (None, False)):
        patch = yaml.safe_dump({"status": {"rollout": rollout}})
        kubectl.must(
            *("patch", "mr", "fraud", "-n", namespace, "--subresource=status"),
            *("--type=merge", "-p", patch),
        )
        answer = kubectl.run("apply", "--server-side", "-n", namespace, "-f", "-", stdin=other)
        assert answer.ok is not refused, answer.err
        assert ("exchanged at rest only" in answer.err) is refused


def test_a_version_that_does_not_serve_may_be_dropped(namespace: str) -> None:
    back = good()
    back["spec"]["target"] = "v1"
    serving(back, stable="v1", namespace=namespace)
    kubectl.must("apply", "--server-side", "-n", namespace, "-f", "-", stdin=without("v2", back))


@pytest.mark.parametrize("way", [("--server-side",), ()], ids=["server-side", "client-side"])
def test_one_strategy_replaces_another_by_apply(namespace: str, way: tuple[str, ...]) -> None:
    rollout = good()
    rollout["spec"]["strategy"] = {"canary": {"weights": [1, 5]}}
    kubectl.must("apply", *way, "-n", namespace, "-f", "-", stdin=rollout)
    rollout["spec"]["strategy"] = {"steps": [{"weight": 5}]}
    del rollout["spec"]["bake"]
    kubectl.must("apply", *way, "-n", namespace, "-f", "-", stdin=rollout)
    live = kubectl.get("mr", "fraud", namespace=namespace)["spec"]
    assert live["strategy"] == {"steps": [{"weight": 5}]}
    assert "bake" not in live


def test_a_second_apply_of_the_same_changes_nothing(namespace: str) -> None:
    first = kubectl.must("apply", "-n", namespace, "-f", "-", stdin=good())
    second = kubectl.must("apply", "-n", namespace, "-f", "-", stdin=good())
    assert first.strip().endswith("created")
    assert second.strip().endswith("unchanged")


def test_a_person_sees_where_it_stands(namespace: str) -> None:
    serving(good(), stable="v1", namespace=namespace)
    header, row = kubectl.must("get", "mr", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "TARGET", "STABLE", "PHASE", "STEP", "WEIGHT", "READY", "AGE"]
    assert row.split()[:4] == ["fraud", "v2", "v1", "Progressing"]
    wide = kubectl.must("get", "ml", "-n", namespace, "-o", "wide").splitlines()[0]
    assert "CANDIDATE" in wide
    assert "MESSAGE" in wide


def test_rollouts_are_selected_by_target_and_phase(namespace: str) -> None:
    serving(good(), stable="v1", namespace=namespace)
    for selector, found in (("status.phase=Progressing", 1), ("spec.target=v1", 0)):
        names = kubectl.must("get", "mr", "-n", namespace, "-o=name", "--field-selector", selector)
        assert len(names.splitlines()) == found


def test_explain_reads_well() -> None:
    text = kubectl.must("explain", "mr.spec.analysis.metrics")
    assert "guardrail (default): must not get worse. goal: must get better." in " ".join(
        text.split()
    )
    assert "<no description>" not in text
