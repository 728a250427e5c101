"""What is compared, candidate with stable, and how the evidence is read and weighed."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api import scalars
from modelrollout.api.part import Name, Part, Selector, Share
from modelrollout.api.scalars import Duration, Percent


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
    histogram: Annotated[
        Selector | None,
        Field(
            description="Where nobody exports the squares: a histogram of the same observations, "
            "whose buckets tell the spread."
        ),
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


class Buckets(Part):
    """Users as units: the exporter's sums carry a label with a hash of the user."""

    label: Annotated[
        str,
        Field(
            pattern="^[a-zA-Z_][a-zA-Z0-9_]*$",
            max_length=128,
            description="The label that holds the user's bucket.",
        ),
    ] = "bucket"


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
    buckets: Annotated[
        Buckets | None,
        Field(
            description="Its series carry a hash bucket of the user: an A/B test then judges it "
            "with users as units."
        ),
    ] = None
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
