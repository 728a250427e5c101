"""What the apiserver itself refuses: rules across fields, as CEL, for the generated CRD.

Bounds of single fields stand with the fields in `spec`; here is what needs two of them. Each rule
says what to write. Expressions keep to what Kubernetes 1.30 knows. Nothing here runs in the
operator: only `crd` imports it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MAX_STEPS: Final = 30


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of one type.

    Attributes:
        expression: true for what is accepted.
        message: what to write, as one sentence.
        telling: a CEL expression that gives a better message, with the values seen in it.
        field: the field (of the type) that the message is shown at.
    """

    expression: str
    message: str
    telling: str = ""
    field: str = ""

    def schema(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        entry = {"rule": self.expression, "message": self.message}
        if self.telling:
            entry["messageExpression"] = self.telling
        if self.field:
            entry["fieldPath"] = f".{self.field}"
        return entry


def _exactly_one(*fields: str, of: str) -> Rule:
    given = ", ".join(f"has(self.{field})" for field in fields)
    expression = f"[{given}].exists_one(given, given)"
    return Rule(expression, f"write exactly one of these in {of}: {', '.join(fields)}")


def _unique(items: str, what: str) -> Rule:
    distinct = f"self.{items}.exists_one(other, other.name == one.name)"
    return Rule(
        f"!has(self.{items}) || self.{items}.all(one, {distinct})",
        f"two {what} have the same name: give each a name of its own",
        field=items,
    )


def _apart(backend: str, kind: str) -> Rule:
    same = f"has(w.{backend}) && w.{backend}.name == v.{backend}.name"
    return Rule(
        f"self.versions.all(v, !has(v.{backend}) || self.versions.exists_one(w, {same}))",
        f"two versions share one {kind}: give each version one of its own, whose "
        "selector picks the pods of that version only",
        field="versions",
    )


def _number(weight: str) -> str:
    """CEL for a weight as a number of percent: 25 and "25%" alike.

    What is no weight is -1: the pattern of the field has the word then, not a failed conversion.
    """
    text = f"string({weight})"
    return (
        f"(type({weight}) == int ? double({weight}) : "
        f"{text}.matches('^[0-9]+([.][0-9]+)?%$') ? double({text}.replace('%', '')) : -1.0)"
    )


def _ascending(weights: str) -> str:
    return f"{weights}.isSorted() && {weights}.all(w, {weights}.exists_one(other, other == w))"


_CANARY_WEIGHTS: Final = f"self.weights.map(w, {_number('w')})"


def _steps_ascend() -> str:
    """CEL over pairs of steps, by literal indices: the cost of a filtered list has no bound."""
    indices = str(list(range(MAX_STEPS)))
    here, later = "self.steps[i]", "self.steps[j]"
    return (
        f"{indices}.all(i, i >= size(self.steps) || !has({here}.weight) || "
        f"{indices}.all(j, j <= i || j >= size(self.steps) || !has({later}.weight) || "
        f"{_number(here + '.weight')} < {_number(later + '.weight')}))"
    )


SHADOWING: Final = (
    Rule(
        "!has(self.agreement) || !has(self.agreement.aboveNoise) || !self.agreement.aboveNoise"
        " || (has(self.noise) && has(self.noise.mode) && self.noise.mode != 'Off')",
        "aboveNoise needs to know the noise floor: write noise: {mode: Paired}",
        field="agreement",
    ),
)


_AB_TEST: Final = (
    Rule(
        "!has(self.strategy) || !has(self.strategy.abTest) || !has(self.analysis)"
        " || !has(self.analysis.metrics)"
        " || (size(self.strategy.abTest.arms) * size(self.analysis.metrics) <= 24"
        " && size(self.analysis.metrics.filter(m, has(m.buckets))) <= 10)",
        "an A/B test has room for 24 pairs of arm and metric, and for 10 metrics with buckets: "
        "leave out arms or metrics",
        field="strategy",
    ),
    Rule(
        "!has(self.strategy) || !has(self.strategy.abTest)"
        " || self.strategy.abTest.arms.all(a, self.versions.exists(v, v.name == a.version))",
        "every arm of the A/B test must name one of spec.versions",
        field="strategy",
    ),
    Rule(
        "!has(self.strategy) || !has(self.strategy.abTest)"
        " || self.strategy.abTest.arms.all(a, a.version != self.target)",
        "the target is what the arms of an A/B test are compared with and cannot be one of them: "
        "to release an arm, replace abTest by canary and make the arm the target",
        field="target",
    ),
    Rule(
        "!has(self.strategy) || !has(self.strategy.abTest) || (has(self.analysis)"
        " && has(self.analysis.metrics) && self.analysis.metrics.exists(m,"
        " m.name == self.strategy.abTest.goal && has(m.role) && m.role == 'goal'"
        " && has(m.buckets)))",
        "the goal of an A/B test must be one of analysis.metrics with role goal and buckets: users "
        "are its units, so its series need a label with a hash of the user",
        field="strategy",
    ),
)

PROVIDERS: Final = ("gatewayAPI", "router", "service", "traefik", "istio")

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "ModelRollout": (
        Rule(
            "!has(self.status) || !has(self.status.stable)"
            " || self.spec.versions.exists(v, v.name == self.status.stable.name)",
            "the version that serves (status.stable.name) must stay in spec.versions: set "
            "spec.target to another version, and drop this one when that one is promoted",
            telling="'version ' + self.status.stable.name + ' serves and must stay in "
            "spec.versions: set spec.target to another version, and drop ' + "
            "self.status.stable.name + ' when that one is promoted'",
            field="spec.versions",
        ),
        Rule(
            "!has(oldSelf.status) || !has(oldSelf.status.rollout) || ("
            + " && ".join(
                f"has(self.spec.traffic.{name}) == has(oldSelf.spec.traffic.{name})"
                for name in PROVIDERS
            )
            + ")",
            "the provider of the traffic is exchanged at rest only, since the old one would go on "
            "sending users to the candidate: set spec.target back to status.stable.name, wait for "
            "Ready, and then name the other provider",
            field="spec.traffic",
        ),
    ),
    "ModelRolloutSpec": (
        Rule(
            "self.versions.exists(v, v.name == self.target)",
            "target must be the name of one of spec.versions",
            telling="'target ' + self.target + ' names no version: write the name of one of "
            "spec.versions, or add ' + self.target + ' to them'",
            field="target",
        ),
        *_AB_TEST,
        Rule(
            "!has(self.capacity) || self.capacity != 'ParkOld'"
            " || self.versions.all(v, has(v.workload))",
            "capacity ParkOld scales workloads: name the workload of every version",
            field="versions",
        ),
        _unique("versions", "versions"),
        _apart("service", "Service"),
        _apart("inferencePool", "InferencePool"),
        _apart("inferenceService", "InferenceService"),
        Rule(
            "!has(self.traffic.service) || self.versions.all(v, has(v.service)"
            " && v.service.name != self.traffic.service.name)",
            "with traffic.service every version has a Service of its own that tells its pods, "
            "beside the one that clients call: name both",
            field="versions",
        ),
        Rule(
            "!has(self.traffic.router) || !has(self.traffic.router.service)"
            " || self.versions.all(v, !has(v.service)"
            " || v.service.name != self.traffic.router.service)",
            "the Service that the router takes over cannot be that of a version, or requests would "
            "go in circles: give each version a Service of its own beside it",
            field="versions",
        ),
    ),
    "Version": (_exactly_one("service", "inferencePool", "inferenceService", of="a version"),),
    "Traffic": (_exactly_one(*PROVIDERS, of="traffic"),),
    "Router": (
        Rule(
            "has(self.service) == has(oldSelf.service)"
            " && (!has(self.service) || self.service == oldSelf.service)",
            "the Service that the router has taken over cannot be exchanged under way: choose "
            "another provider, which gives it back, or delete the rollout with deletionPolicy "
            "Delete, and then name the other one",
            field="service",
        ),
        Rule(
            "!has(self.port) || !(self.port in [9901, 9902])",
            "ports 9901 and 9902 are the router's own, for administration and metrics: choose "
            "another one",
            field="port",
        ),
    ),
    "Istio": (
        Rule(
            "(has(self.hosts) && size(self.hosts) > 0)"
            " != (has(self.virtualServices) && size(self.virtualServices) > 0)",
            "istio takes exactly one of: hosts (the operator makes the VirtualService) or "
            "virtualServices (the operator moves the weights in those of yours)",
        ),
        Rule(
            "!has(self.gateways) || size(self.gateways) == 0"
            " || (has(self.hosts) && size(self.hosts) > 0)",
            "gateways belong to the VirtualService that the operator makes: write them with "
            "hosts, or in your own VirtualService",
            field="gateways",
        ),
    ),
    "GatewayAPI": (
        Rule(
            "(has(self.parentRefs) && size(self.parentRefs) > 0)"
            " != (has(self.routes) && size(self.routes) > 0)",
            "gatewayAPI takes exactly one of: parentRefs (the operator makes the route) or "
            "routes (the operator moves the weights in routes of yours)",
        ),
        Rule(
            "!has(self.routes) || size(self.routes) == 0"
            " || !(has(self.hostnames) || has(self.matches) || has(self.timeouts))",
            "hostnames, matches and timeouts describe the route that the operator makes: write "
            "them with parentRefs, or in your own route when you list it under routes",
        ),
    ),
    "Unit": (_exactly_one("header", "cookie", of="unit"),),
    "AbTest": (
        Rule(
            "self.arms.all(a, self.arms.exists_one(b, b.version == a.version))",
            "two arms name the same version: give each version one arm",
            field="arms",
        ),
        Rule(
            f"self.arms.all(a, {_number('a.weight')} > 0.0)"
            f" && self.arms.map(a, {_number('a.weight')}).sum() <= 100.0",
            "the weights of the arms are above 0 and sum to at most 100; the target takes the rest",
            field="arms",
        ),
    ),
    "Strategy": (
        _exactly_one("canary", "blueGreen", "steps", "abTest", "shadow", of="strategy"),
        Rule(
            "!has(self.steps) || self.steps.filter(s, has(s.preview)).size() <= 1",
            "one preview is enough: its host leads to the candidate until the switch",
            field="steps",
        ),
        Rule(
            f"!has(self.steps) || {_steps_ascend()}",
            "the weights of the steps must ascend: write for example 1, then 10, then 50",
            field="steps",
        ),
    ),
    "Canary": (
        Rule(
            f"!has(self.weights) || ({_ascending(_CANARY_WEIGHTS)})",
            "the weights must ascend: write for example [1, 5, 25, 50]",
            field="weights",
        ),
        Rule(
            f"!has(self.weights) || {_CANARY_WEIGHTS}.all(w, w > 0.0 && w < 100.0)",
            "each weight must be above 0 and below 100, since the promotion itself is the step "
            "to 100: write for example [1, 5, 25, 50]",
            field="weights",
        ),
    ),
    "Ramp": (
        Rule(
            "!self.riskBudget.matches('^[0-9]+([.][0-9]+)?%$')"
            " || (double(self.riskBudget.replace('%', '')) > 0.0"
            " && double(self.riskBudget.replace('%', '')) <= 100.0)",
            "riskBudget is a share of all requests above 0% and at most 100%: write for example "
            '"0.1%"',
            field="riskBudget",
        ),
    ),
    "Step": (
        _exactly_one("weight", "pause", "preview", "check", "shadow", of="a step"),
        Rule(
            "!has(self.minDuration) || has(self.weight)",
            "minDuration belongs to a weight; the length of a pause is pause.duration",
        ),
        Rule(
            f"!has(self.weight) || {_number('self.weight')} > 0.0",
            "a weight of 0 sends nobody to the candidate: start with a weight above 0",
            field="weight",
        ),
    ),
    "Pause": (
        Rule(
            "has(self.duration) || !has(self.approval) || self.approval",
            "a pause without duration and without approval waits for nothing: write "
            "{duration: 10m}, or {} to wait for a person",
        ),
    ),
    "Shadowing": SHADOWING,
    "Shadow": SHADOWING,
    "Protocol": (_exactly_one("openInference", "kserveV1", "openAI", "plain", of="protocol"),),
    "Task": (
        _exactly_one(
            *("classification", "probabilities", "regression", "ranking"),
            *("detection", "text", "structured", "embeddings"),
            of="task",
        ),
    ),
    "Metric": (_exactly_one("rate", "latency", "mean", of="a metric"),),
    "Rate": (_exactly_one("total", "others", of="a rate"),),
    "Limit": (_exactly_one("atMost", "atLeast", of="a limit"),),
    "Margin": (
        Rule(
            "has(self.relative) || has(self.absolute)",
            'a margin needs relative, absolute or both: write for example {relative: "50%"}',
        ),
    ),
    "Arm": (
        Rule(
            "has(self.label) == has(self.pattern)",
            "label and pattern go together: write for example "
            "{label: exported_service, pattern: '.*-{service}-.*'}",
        ),
        Rule(
            "!has(self.kind) || (self.kind == 'Label') == has(self.label)",
            "label and pattern belong to kind Label, and kind Label needs both: leave out kind, "
            "or leave out label and pattern",
        ),
    ),
    "Analysis": (_unique("metrics", "metrics"),),
    "Bake": (
        Rule(
            f"!has(self.holdback) || {_number('self.holdback')} < 100.0",
            "holdback is the share that stays on the old version: write less than 100, for "
            "example 5",
            field="holdback",
        ),
    ),
}
"""The rules by the name of the type they belong to."""
