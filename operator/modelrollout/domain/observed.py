"""What was seen of the world in one pass: the input of `plan`, beside spec and status."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from modelrollout.analysis.counts import Counts
from modelrollout.analysis.histograms import Histogram
from modelrollout.analysis.noise import Noise, Uncalibrated
from modelrollout.api.intents import Intent
from modelrollout.domain.reasons import Reason


@dataclass(frozen=True, slots=True)
class VersionSeen:
    """One version as the cluster has it.

    Attributes:
        backend_exists: its Service exists.
        workload_exists: its workload exists; None when the spec names none.
        revision: hash of the pod template (or of the Service's selector, without a workload).
        ready: endpoints that are ready to serve.
        wanted: pods that the workload wants; None when unknown.
        restarts: container restarts per pod, by pod name.
        oom_killed: pods whose last termination was an OOM kill.
        crash_looping: pods that wait in CrashLoopBackOff.
        replicas_owner: who else sets the workload's replicas, "" for nobody.
        trouble: one sentence about pods that are not ready, "" when all are.
    """

    backend_exists: bool = True
    workload_exists: bool | None = None
    revision: str = ""
    ready: int = 0
    wanted: int | None = None
    restarts: Mapping[str, int] = field(default_factory=dict)
    oom_killed: frozenset[str] = frozenset()
    crash_looping: frozenset[str] = frozenset()
    replicas_owner: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class TrafficSeen:
    """How requests are sent, as the cluster has it.

    Attributes:
        exists: every object that splits traffic exists (made by us, or the user's own).
        shares: parts of ten thousand per version, None when the routes cannot be read as a split
            (missing, no rule of ours, or rules that disagree).
        programmed: what sends requests has taken over the objects as they are now.
        problem: why the traffic cannot be, or is not, as it should.
        blocking: the problem makes the rollout impossible until somebody acts (not just "not yet").
        writer: field manager that last changed our weights, when it was not us.
        written_at: when `writer` did, seconds since the epoch (0.0 when unknown).
        preview: the version that the preview host leads to; "" for none.
        preview_at: where the preview is reached, as a URL, where it has no host of its own.
        recorded_stable: the stable version that the generated route carries as an annotation.
        recorded_uid: uid of the rollout that wrote the annotations.
        sequence: of the latest decision that the data plane knows, where it knows decisions; a
            status that was lost must not begin below it.
    """

    exists: bool = False
    shares: Mapping[str, int] | None = None
    programmed: bool = False
    problem: Reason | None = None
    blocking: bool = False
    writer: str = ""
    written_at: float = 0.0
    preview: str = ""
    preview_at: str = ""
    recorded_stable: str = ""
    recorded_uid: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class AutoscalerSeen:
    """A HorizontalPodAutoscaler of a version's workload.

    Attributes:
        name: of the autoscaler.
        minimum, maximum: replicas, as it has them now.
        original: the minimum that it had before it was held, None where it is not held.
        held: the minimum that we gave it, None where it is not held.
        edition: changes whenever the autoscaler does.
    """

    name: str
    minimum: int
    maximum: int
    original: int | None = None
    held: int | None = None
    edition: str = ""


class JobState(StrEnum):
    """How far a Job has come."""

    ABSENT = "absent"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CheckSeen:
    """The smoke test's template and Job as the cluster has them.

    Attributes:
        problem: why no Job can be made from a template of the plan, "" when one can.
        state: of the Job that the status names.
        why: the reason that the Job's condition gives for its failure; never its output.
    """

    problem: str = ""
    state: JobState = JobState.ABSENT
    why: str = ""


@dataclass(frozen=True, slots=True)
class ShadowSeen:
    """The observer of a shadow as the cluster and the metric source have it.

    Attributes:
        exists: anything of it is there.
        ready: it takes copies, for the shadow that is under way.
        problem: why it cannot be made, or its counters cannot be read; "" for nothing.
        totals: its counters for this shadow, by name; None where they were not read.
    """

    exists: bool = False
    ready: bool = False
    problem: str = ""
    totals: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The counts of one metric in one look, of both arms; None where an arm has no data."""

    candidate: Counts | None
    stable: Counts | None


UserSums = Mapping[str, tuple[float, float]]
"""By hash bucket of users: how much numerator and denominator of a metric grew."""


@dataclass(frozen=True, slots=True)
class UserPair:
    """The sums of one metric in one look by bucket, of both arms."""

    candidate: UserSums
    stable: UserSums


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the metric sources brought.

    Attributes:
        start: instant from which counters are counted, seconds since the epoch.
        end: instant up to which they are counted.
        pairs: per metric name, the counts of both arms.
        problems: per metric name, why it has no usable counts (no series, no such bucket, ...).
        down: why the whole look failed (source away, partial answer); nothing counts then.
        users: per metric name, sums by bucket, of metrics that have them.
        others: in an A/B test, what the same look brought of each further arm, by version.
    """

    start: float
    end: float
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    problems: Mapping[str, Reason] = field(default_factory=dict)
    down: Reason | None = None
    users: Mapping[str, UserPair] = field(default_factory=dict)
    others: Mapping[str, "Look"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One latency metric of both arms, at one traffic weight; for people, decisions rest on none.

    Attributes:
        candidate: its values.
        stable: its values.
        unit: of their bounds.
    """

    candidate: Histogram
    stable: Histogram
    unit: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was seen in one pass.

    Attributes:
        namespace, name, uid, generation: of the rollout.
        deleting: somebody asked for its deletion.
        intents: what people ask for; `by` is already "unverified" where nothing vouches for it.
        versions: by version name; every version of the spec, and those that status still knows.
        traffic: the routes.
        look: the look that was due, None when none was.
        problem: what only code can see and what makes the resource unacceptable.
        autoscalers: by version name; None where nothing needs them now.
        may_hold: the operator may change autoscalers.
        check: the smoke test, None where the plan has none or nothing needs it now.
        shadow: the observer, None where nothing needs it.
        scrape_interval_s: of the slowest source in use; the next look is timed by it.
        noise: per metric, what stable's history says of its noise; read with the survey.
        distributions: per latency metric, both arms; read every few looks.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    deleting: bool = False
    intents: tuple[Intent, ...] = ()
    versions: Mapping[str, VersionSeen] = field(default_factory=dict)
    traffic: TrafficSeen = TrafficSeen()
    look: Look | None = None
    problem: Reason | None = None
    autoscalers: Mapping[str, AutoscalerSeen] | None = None
    may_hold: bool = False
    check: CheckSeen | None = None
    shadow: ShadowSeen | None = None
    scrape_interval_s: float = 0.0
    noise: Mapping[str, Noise | Uncalibrated] = field(default_factory=dict)
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
