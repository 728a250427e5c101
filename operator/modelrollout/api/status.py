"""What the operator answers: `ModelRollout.status`.

It is the only memory the operator has. People read `phase`, `step`, `message`, `metrics` and the
conditions; machines wait for the conditions; the operator itself resumes from `rollout`,
`decision`, `look` and `evidence` after any crash. Fields unknown to this version are ignored when
read; `schemaVersion` makes an older operator refuse instead of misread.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

SCHEMA_VERSION = 1

Text = Annotated[str, Field(max_length=1024)]
Short = Annotated[str, Field(max_length=128)]
Instant = Annotated[
    float, Field(ge=0, description="Seconds since 1970-01-01T00:00:00Z, with fractions.")
]


class Record(BaseModel):
    """A part of the status."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="ignore", frozen=True
    )


class Identity(Record):
    """A version at one revision: evidence and rejection belong to the pair."""

    name: Annotated[str, Field(max_length=63)]
    revision: Short = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


class Condition(Record):
    """A condition as Kubernetes knows it."""

    type: Short
    status: Literal["True", "False", "Unknown"]
    reason: Short
    message: Text = ""
    last_transition_time: Annotated[str, Field(max_length=40)]
    observed_generation: int = 0


class VersionStatus(Record):
    """What is seen of one version."""

    name: Annotated[str, Field(max_length=63)]
    revision: Short = ""
    ready: Annotated[str, Field(max_length=32, description="Ready of wanted pods, as 3/3.")] = ""
    weight: Annotated[str, Field(max_length=8, description="Desired share.")] = "0%"
    observed_weight: Annotated[str, Field(max_length=8, description="Share the route has.")] = ""


class MetricStatus(Record):
    """What one metric says now."""

    name: Annotated[str, Field(max_length=63)]
    role: Annotated[str, Field(max_length=16)] = "guardrail"
    verdict: Annotated[str, Field(max_length=16)]
    candidate: Annotated[str, Field(max_length=32, description="The candidate's value.")] = ""
    stable: Annotated[str, Field(max_length=32, description="The stable version's value.")] = ""
    estimate: Annotated[str, Field(max_length=48, description="Ratio or difference.")] = ""
    interval: Annotated[str, Field(max_length=48)] = ""
    samples: Annotated[str, Field(max_length=48, description="Candidate / stable.")] = ""
    threshold: Annotated[str, Field(max_length=64, description="What must be shown.")] = ""
    noise: Annotated[
        str, Field(max_length=256, description="What the service's own history says of its noise.")
    ] = ""
    distribution: Annotated[
        str,
        Field(
            max_length=256,
            description="Quantiles of a latency at this weight, with intervals; for people.",
        ),
    ] = ""
    message: Text = ""


class Check(Record):
    """The smoke test of the present step."""

    job: Annotated[str, Field(max_length=63, description="The Job: made once, by this name.")]
    seen: Annotated[bool, Field(description="The Job was there.")] = False


class Parked(Record):
    """An old version that is, or is to be, scaled to zero."""

    name: Annotated[str, Field(max_length=63)]
    replicas: Annotated[int, Field(description="That it had, and gets back.")]
    state: Literal["Waiting", "Parking", "Parked", "Returning"]
    since: Instant


class Rollout(Record):
    """The rollout in progress: the operator's own memory of it."""

    id: Short
    phase: Annotated[str, Field(max_length=16, description="State of the machine.")]
    number: Annotated[int, Field(description="Which try of this candidate it is.")] = 1
    started_at: Instant
    step_index: Annotated[int, Field(description="-1 until the candidate is ready.")] = -1
    share: Annotated[int, Field(description="Share of the step, in parts of ten thousand.")] = 0
    clock_at: Annotated[Instant, Field(description="When the two clocks below were last set.")]
    clock_s: Annotated[float, Field(description="Seconds that count towards the deadline.")] = 0.0
    step_clock_s: Annotated[float, Field(description="Seconds served at this step.")] = 0.0
    surveyed: Annotated[bool, Field(description="Stable was looked at before the start.")] = False
    approved: Annotated[bool, Field(description="The present pause is approved.")] = False
    minimum: Annotated[int, Field(description="Ready pods of stable at the start.")] = 0
    checks: Annotated[int, Field(description="Smoke tests begun.")] = 0
    check: Check | None = None
    promoted_at: Instant | None = None
    unready_since: Instant | None = None
    drain_until: Instant | None = None
    ending: Annotated[
        str | None, Field(max_length=32, description="Outcome that follows the drain.")
    ] = None
    ending_reason: Short = ""
    ending_message: Text = ""
    restarts: Annotated[
        dict[str, int],
        Field(max_length=10, description="Restarts per version when the candidate got traffic."),
    ] = Field(default_factory=dict)
    weights: Annotated[
        list[int], Field(max_length=20, description="Chosen weights, in parts of ten thousand.")
    ] = Field(default_factory=list)
    requests_per_s: Annotated[float, Field(description="Traffic seen before the start.")] = 0.0
    forecast: Annotated[Text, Field(description="How long it takes at this traffic.")] = ""


class Interval(Record):
    """The next `parts` of the ten thousand buckets of users belong to `version`."""

    version: Annotated[str, Field(max_length=63)]
    parts: int


class Decision(Record):
    """The persisted decision: every output of the operator follows from it."""

    sequence: int = 0
    shares: Annotated[
        dict[str, int], Field(max_length=10, description="Parts of ten thousand per version.")
    ] = Field(default_factory=dict)
    intervals: Annotated[
        list[Interval],
        Field(max_length=100, description="Which buckets of users belong to which version."),
    ] = Field(default_factory=list)
    preview: Annotated[
        str, Field(max_length=63, description="The version that the preview host leads to.")
    ] = ""
    tee: Annotated[
        str, Field(max_length=63, description="The version that gets copies of requests.")
    ] = ""
    tee_parts: Annotated[
        int, Field(description="Of ten thousand requests, those that are copied.")
    ] = 0
    at: Instant = 0.0
    confirmed_at: Annotated[
        Instant | None, Field(description="When the routes were seen to follow.")
    ] = None


class LookStatus(Record):
    """The last look: its key is (uid, rollout, instant), so that it never counts twice."""

    at: Annotated[Instant, Field(description="The instant up to which counters are counted.")]
    number: Annotated[int, Field(description="Looks counted in this rollout.")] = 0
    failures: Annotated[int, Field(description="Looks failed since the last that counted.")] = 0
    counted: Annotated[
        dict[str, int], Field(max_length=10, description="Requests counted per version.")
    ] = Field(default_factory=dict)


class Rejection(Record):
    """A candidate that gets no traffic again, but by `retry` or a new revision."""

    name: Annotated[str, Field(max_length=63)]
    revision: Short = ""
    reason: Short = ""
    message: Text = ""
    at: Instant
    tries: int = 1
    lifted: bool = False


class Acknowledged(Record):
    """A person's intent and what became of it."""

    intent: Annotated[str, Field(max_length=16)]
    id: Short
    by: Annotated[str, Field(max_length=253)] = "unverified"
    at: Instant
    outcome: Text = ""


class HistoryEntry(Record):
    """One rollout that ended."""

    candidate: Identity
    outcome: Annotated[str, Field(max_length=32)]
    reason: Short = ""
    message: Text = ""
    started_at: Instant
    ended_at: Instant


class ArmState(StrEnum):
    """Where one arm of an A/B test stands."""

    WAITING = "Waiting"
    RUNNING = "Running"
    STOPPED = "Stopped"


class ArmStatus(Record):
    """One arm of an A/B test: a candidate with evidence of its own."""

    version: Identity
    share: Annotated[int, Field(description="As asked for, in parts of ten thousand.")]
    state: ArmState = ArmState.WAITING
    message: Text = ""
    rollout: Annotated[Rollout, Field(description="The operator's own memory of it.")]
    evidence: Annotated[str, Field(max_length=32768)] = ""
    metrics: Annotated[list[MetricStatus], Field(max_length=20)] = Field(default_factory=list)


class ArmResult(Record):
    """What an A/B test says of one arm."""

    version: Annotated[str, Field(max_length=63)]
    revision: Short = ""
    verdict: Annotated[
        str, Field(max_length=16, description="Better, Worse, Undecided, Stopped or NoData.")
    ]
    goal: Annotated[str, Field(max_length=32, description="Its value of the goal.")] = ""
    stable: Annotated[str, Field(max_length=32, description="Stable's, of the same time.")] = ""
    difference: Annotated[str, Field(max_length=96, description="With its interval.")] = ""
    lift: Annotated[str, Field(max_length=96, description="In percent, with its interval.")] = ""
    guardrails: Text = ""
    message: Text = ""


class AbReport(Record):
    """The outcome of an A/B test."""

    outcome: Annotated[str, Field(max_length=32, description="Reported, Superseded or Aborted.")]
    winner: Annotated[str, Field(max_length=63, description="Empty: none.")] = ""
    stable: Annotated[str, Field(max_length=63, description="What it was compared with.")] = ""
    goal: Annotated[str, Field(max_length=63)] = ""
    message: Text = ""
    started_at: Instant
    ended_at: Instant
    arms: Annotated[list[ArmResult], Field(max_length=4)] = Field(default_factory=list)


class AbTestStatus(Record):
    """An A/B test, under way or ended; the report stays until the next one."""

    key: Annotated[Short, Field(description="Which test it is: the same never runs twice.")]
    running: bool = True
    started_at: Instant
    clock_at: Instant
    clock_s: Annotated[float, Field(description="Seconds in which users were observed.")] = 0.0
    arms: Annotated[list[ArmStatus], Field(max_length=4)] = Field(default_factory=list)
    users: Annotated[str, Field(max_length=40960, description="Sums by bucket, as JSON.")] = ""
    overrules: Annotated[
        str, Field(max_length=63, description="The target that the winner serves instead of.")
    ] = ""
    report: AbReport | None = None


class ShadowStatus(Record):
    """A shadow, under way or ended; the report stays until the next one."""

    key: Annotated[Short, Field(description="Which shadow it is: the same never runs twice.")]
    version: Identity
    running: bool = True
    standing: Annotated[bool, Field(description="The observer was made, and is not gone.")] = True
    started_at: Instant
    clock_at: Instant
    clock_s: Annotated[float, Field(description="Seconds in which requests were compared.")] = 0.0
    seen: Annotated[
        dict[str, int], Field(max_length=20, description="Counters as they were read last.")
    ] = Field(default_factory=dict)
    counted: Annotated[
        dict[str, int], Field(max_length=20, description="What was counted, restarts aside.")
    ] = Field(default_factory=dict)
    message: Text = ""


class Effective(Record):
    """Settings in force, with every default filled in."""

    steps: Annotated[list[Text], Field(max_length=40)] = Field(default_factory=list)
    comparison: Annotated[
        str, Field(max_length=16, description="concurrent, or observational after a switch.")
    ] = ""
    interval: Short = ""
    false_rollback: float = 0.0
    false_promotion: float = 0.0
    metrics: Annotated[list[Text], Field(max_length=20)] = Field(default_factory=list)


class Writer(Record):
    """Another writer of our weights."""

    name: Short = ""
    times: int = 0
    last_at: Instant = 0.0


class ModelRolloutStatus(Record):
    """Where a rollout stands, and why."""

    schema_version: int = SCHEMA_VERSION
    uid: Annotated[str, Field(max_length=64)] = ""
    observed_generation: int = 0
    phase: Annotated[str, Field(max_length=32, description="For people.")] = ""
    step: Annotated[str, Field(max_length=16, description="For people, as 2/5.")] = ""
    weight: Annotated[str, Field(max_length=8, description="The candidate's share.")] = ""
    message: Text = ""
    preview: Annotated[str, Field(max_length=270, description="Where the candidate is seen.")] = ""
    paused: Annotated[bool, Field(description="By a person.")] = False
    stable: Identity | None = None
    candidate: Identity | None = None
    previous: Annotated[
        Identity | None, Field(description="The old version, kept warm during the bake.")
    ] = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)
    versions: Annotated[list[VersionStatus], Field(max_length=10)] = Field(default_factory=list)
    metrics: Annotated[list[MetricStatus], Field(max_length=20)] = Field(default_factory=list)
    rollout: Rollout | None = None
    decision: Decision = Decision()
    look: LookStatus | None = None
    ab_test: AbTestStatus | None = None
    shadow: ShadowStatus | None = None
    evidence: Annotated[
        str,
        Field(max_length=32768, description="State of the evidence, as JSON."),
    ] = ""
    parked: Annotated[list[Parked], Field(max_length=10)] = Field(default_factory=list)
    held: Annotated[
        list[Annotated[str, Field(max_length=63)]],
        Field(max_length=10, description="Versions whose autoscaler has its minimum held."),
    ] = Field(default_factory=list)
    rejected: Annotated[list[Rejection], Field(max_length=10)] = Field(default_factory=list)
    intents: Annotated[list[Acknowledged], Field(max_length=12)] = Field(default_factory=list)
    effective: Effective | None = None
    history: Annotated[list[HistoryEntry], Field(max_length=10)] = Field(default_factory=list)
    writer: Annotated[Writer | None, Field(description="Who else changes our weights.")] = None


def to_object(status: ModelRolloutStatus) -> dict[str, object]:
    """The status as the apiserver stores it."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
