"""What a user writes: `ModelRollout.spec`.

The models are the source of the CRD's schema (`crds/` is generated from them), so names, bounds
and descriptions here are what `kubectl explain` shows. Rules across fields stand beside the
models as CEL (`RULES` in `api.rules`); what only code can see becomes `Accepted=False`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelrollout.api import scalars
from modelrollout.api.scalars import Duration, Percent, Weight

Name = Annotated[str, Field(pattern=scalars.NAME, min_length=1, max_length=63)]
Selector = Annotated[str, Field(min_length=1, max_length=1024)]
Share = Annotated[float, Field(gt=0, lt=1)]
Hostname = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    ),
]


class Part(BaseModel):
    """A part of the resource: camelCase outside, nothing unknown, nothing changed once read."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )


class ServiceBackend(Part):
    """A Service of the rollout's namespace that fronts one version and nothing else."""

    name: Annotated[Name, Field(description="Name of the Service.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the Service.")]


class Workload(Part):
    """The workload behind a version: tells its revision, its readiness and its crashes."""

    kind: Annotated[
        Literal["Deployment", "StatefulSet"], Field(description="Left out: Deployment.")
    ] = "Deployment"
    name: Annotated[Name, Field(description="Name of the workload.")]


class Version(Part):
    """One model deployment that can take traffic."""

    name: Annotated[Name, Field(description="How this version is called everywhere.")]
    service: ServiceBackend
    workload: Annotated[
        Workload | None,
        Field(description="The workload behind it: revision, readiness, crashes, capacity."),
    ] = None
    info: Annotated[
        dict[str, Annotated[str, Field(max_length=512)]],
        Field(
            max_length=16,
            description="Free provenance (model URI, commit, data), shown in events and reports.",
        ),
    ] = Field(default_factory=dict)


class ParentRef(Part):
    """A Gateway that the generated route attaches to."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the Gateway.")]
    namespace: Annotated[
        Name | None, Field(description="Left out: the namespace of the rollout.")
    ] = None
    section_name: Annotated[
        str | None, Field(max_length=253, description="One listener of the Gateway. Left out: all.")
    ] = None
    port: Annotated[
        int | None, Field(ge=1, le=65535, description="Listeners of this port. Left out: all.")
    ] = None


class Match(Part):
    """Requests of the host that belong to this rollout."""

    path: Annotated[str, Field(pattern="^/", max_length=1024, description="A path prefix.")] = "/"
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=512)]],
        Field(max_length=8, description="Exact values of headers."),
    ] = Field(default_factory=dict)


class Timeouts(Part):
    """Timeouts of the generated route, as the Gateway API defines them."""

    request: Annotated[
        Duration | None, Field(description="For the whole request, retries included.")
    ] = None
    backend_request: Annotated[
        Duration | None, Field(description="For one try; at most `request`.")
    ] = None


class RouteRef(Part):
    """A route of the user's own, whose weights the operator moves."""

    kind: Annotated[
        Literal["HTTPRoute", "GRPCRoute"], Field(description="Left out: HTTPRoute.")
    ] = "HTTPRoute"
    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the route.")]


class GatewayAPI(Part):
    """Traffic by Gateway API routes: one that the operator generates, or the user's own."""

    parent_refs: Annotated[
        list[ParentRef],
        Field(
            max_length=8,
            description="Gateways to attach to: the operator generates the HTTPRoute. Write this "
            "or `routes`.",
        ),
    ] = Field(default_factory=list)
    hostnames: Annotated[
        list[Hostname],
        Field(
            max_length=16,
            description="Hosts of the generated route. Left out: those of the Gateway's listeners.",
        ),
    ] = Field(default_factory=list)
    matches: Annotated[
        list[Match],
        Field(
            max_length=8,
            description="Which requests of the hosts the generated route takes; any of them is "
            "enough. Left out: all.",
        ),
    ] = Field(default_factory=list)
    timeouts: Timeouts | None = None
    routes: Annotated[
        list[RouteRef],
        Field(
            max_length=8,
            description="Routes that you own: the operator moves only the weights in rules that "
            "refer to two or more of the versions. Write this or `parentRefs`.",
        ),
    ] = Field(default_factory=list)


class Traffic(Part):
    """How traffic is split: exactly one provider."""

    gateway_api: Annotated[
        GatewayAPI | None, Field(alias="gatewayAPI", description="Routes of the Gateway API.")
    ] = None


def _budget(share: float) -> float:
    if not 0 < share <= 1:
        raise ValueError(f'expected a share above 0% and at most 100%, such as "0.1%", saw {share}')
    return share


class Ramp(Part):
    """The evidence chooses the speed: fast with much traffic, slow with little."""

    risk_budget: Annotated[
        Percent,
        AfterValidator(_budget),
        Field(
            description='Share of all requests, such as "0.1%", that the candidate may harm: the '
            "next weight is taken once that weight, times the largest worsening that the evidence "
            "still allows, is at most this."
        ),
    ]


class Canary(Part):
    """A growing share of users, step by step."""

    weights: Annotated[
        list[Weight],
        Field(
            max_length=20,
            description="Shares of the candidate, ascending, below 100. Left out: chosen from the "
            "traffic seen.",
        ),
    ] = Field(default_factory=list)
    min_duration: Annotated[
        Duration | None,
        Field(
            description="Shortest time at a step, once its split is confirmed. Left out: 5m, or "
            "with a ramp one look."
        ),
    ] = None
    ramp: Annotated[
        Ramp | None,
        Field(description="Lets the evidence choose the speed. Left out: minDuration does."),
    ] = None


class Pause(Part):
    """A wait between steps: for a person, for a time, or for both."""

    duration: Annotated[Duration | None, Field(description="Shortest length of the pause.")] = None
    approval: Annotated[
        bool | None,
        Field(description="A person must approve. Left out: yes, unless a duration is set."),
    ] = None


class Step(Part):
    """One entry of the plan: exactly one of `weight` and `pause`."""

    weight: Annotated[
        Weight | None,
        Field(description='The candidate\'s share in percent: 25 or "0.1%". 100 is a switch.'),
    ] = None
    min_duration: Annotated[
        Duration | None,
        Field(description="Shortest time at this weight, once confirmed. Left out: 5m."),
    ] = None
    pause: Pause | None = None


class Strategy(Part):
    """How the target gets to serve: exactly one of `canary` and `steps`."""

    canary: Canary | None = None
    steps: Annotated[
        list[Step] | None,
        Field(
            min_length=1,
            max_length=30,
            description="The plan written out: weights, ascending, and pauses between them.",
        ),
    ] = None


class Arm(Part):
    """Which series belong to a version: `{kind: Service}`, `{kind: Pods}` or `{label, pattern}`."""

    kind: Annotated[
        Literal["Service", "Pods", "Label"] | None,
        Field(
            description="Service (default): labels `namespace` and `service`. Pods: label `pod`, "
            "the pods behind the version's endpoints. Label: `label` matches `pattern`."
        ),
    ] = None
    label: Annotated[
        str | None,
        Field(
            pattern="^[a-zA-Z_][a-zA-Z0-9_]*$",
            max_length=128,
            description="The label that tells the versions apart, with `pattern`.",
        ),
    ] = None
    pattern: Annotated[
        str | None,
        Field(
            max_length=256,
            description="A regular expression over the label; {namespace}, {service}, {port}, "
            "{version} and {workload} are put in, quoted.",
        ),
    ] = None


class Role(StrEnum):
    """What a metric decides."""

    GUARDRAIL = "guardrail"
    GOAL = "goal"
    WATCH = "watch"


class Better(StrEnum):
    """Which direction is good."""

    LOWER = "lower"
    HIGHER = "higher"


class RollBackWhen(StrEnum):
    """Which evidence counts as harm."""

    WORSE = "Worse"
    WORSE_THAN_MARGIN = "WorseThanMargin"


class Rate(Part):
    """A share of trials: selectors of counters."""

    events: Annotated[Selector, Field(description="Counter of the events, as a selector.")]
    total: Annotated[Selector | None, Field(description="Counter of all trials.")] = None
    others: Annotated[
        Selector | None, Field(description="Counter of the trials that are not events.")
    ] = None


class Latency(Part):
    """A share of slow requests, by a histogram."""

    histogram: Annotated[Selector, Field(description="Name or selector of the histogram.")]
    threshold: Annotated[Duration, Field(description="Slower than this is slow: a bucket bound.")]
    unit: Annotated[Literal["s", "ms"], Field(description="Unit of the histogram's bounds.")] = "s"


class Mean(Part):
    """A mean of observations, by their sum and count."""

    sum: Annotated[Selector, Field(description="Counter of the sum.")]
    count: Annotated[Selector, Field(description="Counter of the observations.")]
    squares: Annotated[
        Selector | None,
        Field(description="Counter of the sum of squares; without it the test is slower."),
    ] = None


class Margin(Part):
    """How much worse is tolerated; with both, the larger."""

    relative: Annotated[
        Percent | None, Field(description='Of the stable version\'s value, such as "50%".')
    ] = None
    absolute: Annotated[
        float | None,
        Field(gt=0, description="In the metric's own unit; a share for rates and latency (0.01)."),
    ] = None


class Limit(Part):
    """An absolute limit (SLO): exactly one of the two."""

    at_most: Annotated[float | None, Field(description="The value may not exceed this.")] = None
    at_least: Annotated[float | None, Field(description="The value may not fall below this.")] = (
        None
    )


class Metric(Part):
    """One measure of a version: exactly one of `rate`, `latency` and `mean`."""

    name: Annotated[Name, Field(description="How this metric is called in status and events.")]
    role: Annotated[
        Role,
        Field(
            description="guardrail (default): must not get worse. goal: must get better. "
            "watch: only shown."
        ),
    ] = Role.GUARDRAIL
    better: Annotated[Better, Field(description="Which direction is good. Left out: lower.")] = (
        Better.LOWER
    )
    rate: Annotated[
        Rate | None,
        Field(description="A share of trials, by counters: errors of requests, clicks of answers."),
    ] = None
    latency: Annotated[
        Latency | None,
        Field(description="The share of requests slower than a threshold, by a histogram."),
    ] = None
    mean: Annotated[
        Mean | None, Field(description="A mean of observations, by counters of sum and count.")
    ] = None
    margin: Annotated[
        Margin | None,
        Field(
            description="How much worse than stable is tolerated. Left out: for rates 50 % or one "
            "in a thousand, for latency one percentage point, for means 1 %."
        ),
    ] = None
    limit: Annotated[
        Limit | None,
        Field(description="An absolute limit (SLO) for the candidate, beside the comparison."),
    ] = None
    roll_back_when: Annotated[
        RollBackWhen | None,
        Field(
            description="Which evidence is harm: worse than stable at all, or by more than the "
            "margin. Left out: Worse for rates, WorseThanMargin for latency and means."
        ),
    ] = None
    source: Annotated[
        Name | None, Field(description="Another source than that of the analysis.")
    ] = None
    arm: Annotated[Arm | None, Field(description="Other labels than those of the analysis.")] = None
    warm_up: Annotated[
        Duration | None, Field(description="Another warm-up than that of the analysis.")
    ] = None


class ErrorRate(Part):
    """How often the operator may be wrong."""

    false_rollback: Annotated[Share, Field(description="Of a healthy model, per rollout.")] = 0.02
    false_promotion: Annotated[Share, Field(description="Of a model at its margin.")] = 0.05


class HarmTest(StrEnum):
    """Which test decides about harm in rates of which any worsening is harm."""

    AUTO = "Auto"
    SPENDING = "Spending"
    E_PROCESS = "EProcess"


class Analysis(Part):
    """How the evidence is read and weighed."""

    interval: Annotated[
        Duration, Field(description="Time between looks, each one evaluation of the evidence.")
    ] = 30.0
    warm_up: Annotated[
        Duration, Field(description="Not counted after a start or a change of weight.")
    ] = 30.0
    source: Annotated[Name, Field(description="A source that the administrator declared.")] = (
        "default"
    )
    arm: Arm = Arm()
    preset: Annotated[
        str | None,
        Field(pattern=scalars.NAME, max_length=63, description="Metrics of a known server."),
    ] = None
    error_rate: ErrorRate = ErrorRate()
    harm_test: Annotated[
        HarmTest,
        Field(
            description="Which test decides that a rate is worse. Spending: exact, the fastest "
            "until the plan ends. EProcess: open-ended. Auto: Spending, but EProcess where the "
            "service's own history shows noise that independent requests would not have."
        ),
    ] = HarmTest.AUTO
    metrics: Annotated[
        list[Metric], Field(max_length=20, description="What is compared, candidate with stable.")
    ] = Field(default_factory=list)


class Bake(Part):
    """Watching after the promotion, with some users left on the old version as the control."""

    duration: Annotated[Duration, Field(description="Length of the bake, such as 30m.")]
    holdback: Annotated[
        Weight, Field(description="Share that stays on the old version meanwhile; 0 for none.")
    ] = 0


class OnInconclusive(StrEnum):
    """What happens when the deadline passes undecided."""

    HOLD = "Hold"
    ROLL_BACK = "RollBack"
    PROMOTE = "Promote"


class ModelRolloutSpec(Part):
    """Which model should serve, and how it may come to serve."""

    versions: Annotated[
        list[Version],
        Field(min_length=1, max_length=10, description="All models that can take traffic."),
    ]
    target: Annotated[Name, Field(description="The version that should serve.")]
    traffic: Traffic
    strategy: Annotated[
        Strategy,
        Field(
            description="How the target gets to serve: exactly one of `canary` and `steps`. Left "
            "out: a canary whose weights are chosen from the traffic seen."
        ),
    ] = Strategy(canary=Canary())
    analysis: Analysis = Analysis()
    bake: Annotated[
        Bake | None,
        Field(
            description="Watching after the promotion, with some users left on the old version as "
            "the control. Left out: none."
        ),
    ] = None
    deadline: Annotated[
        Duration,
        Field(description="Longest time of a rollout; then `onInconclusive` decides."),
    ] = 86400.0
    progress_deadline: Annotated[
        Duration, Field(description="Longest time until a candidate is ready.")
    ] = 600.0
    drain: Annotated[
        Duration,
        Field(description="Time that requests under way get after a version's weight went to 0."),
    ] = 30.0
    on_inconclusive: Annotated[
        OnInconclusive,
        Field(
            description="What happens when the deadline passes undecided. Promote: only while the "
            "bound is under twice the margin."
        ),
    ] = OnInconclusive.HOLD
    capacity: Annotated[Literal["Leave"], Field(description="Replicas are never touched.")] = (
        "Leave"
    )
    deletion_policy: Annotated[
        Literal["Retain", "Delete"],
        Field(description="What becomes of the generated route when the rollout is deleted."),
    ] = "Retain"
