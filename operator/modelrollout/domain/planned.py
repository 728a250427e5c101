"""What a pass decided: the output of `plan`. Everything the edge does follows from this value."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelrollout.api.shadow import Shadowing
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain.reasons import Reason
from modelrollout.domain.transitions import Phase, Trigger


class EventType(StrEnum):
    """The two types of Kubernetes events."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Event:
    """A transition worth telling: an event on the object, and one log line."""

    type: EventType
    reason: Reason


@dataclass(frozen=True, slots=True)
class Move:
    """A move of the state machine: from where, and by what."""

    phase: Phase
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Window:
    """A look that is due: counters from `start` to `end`, seconds since the epoch."""

    start: float
    end: float
    candidate: str
    stable: str
    others: tuple[str, ...] = ()
    """Further arms of an A/B test, each compared with stable, too."""

    @property
    def versions(self) -> tuple[str, ...]:
        """All that are looked at, stable last."""
        return (self.candidate, *self.others, self.stable)


@dataclass(frozen=True, slots=True)
class Job:
    """A Job to make from a suspended CronJob, if it is not there.

    Attributes:
        name: of the Job; the same plan always gives the same name.
        template: name of the CronJob.
        timeout_s: after which the Job is ended.
        environment: variables for each of its containers, beside the template's own.
        version: the candidate, whose Service the Job is told, too.
    """

    name: str
    template: str
    timeout_s: float
    environment: Mapping[str, str]
    version: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The workload of a version is to have this many replicas."""

    version: str
    replicas: int


@dataclass(frozen=True, slots=True)
class Minimum:
    """An autoscaler is to have this minimum.

    Attributes:
        autoscaler: its name.
        version: whose workload it scales.
        minimum: replicas.
        original: what it was, to be noted on it; None: put back, and nothing is noted any more.
        edition: of the autoscaler as it was seen.
    """

    autoscaler: str
    version: str
    minimum: int
    original: int | None
    edition: str


@dataclass(frozen=True, slots=True)
class Observing:
    """The observer that must stand now.

    Attributes:
        run: tells this shadow's counters from those of any other.
        version: that gets copies.
        stable: that it is compared with.
        asked: as written.
    """

    run: str
    version: str
    stable: str
    asked: Shadowing


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one pass.

    Attributes:
        status: the whole new status; persisted (with the resourceVersion read) before anything
            else is done. It is the very object that was passed in when there is nothing to write.
        shares: desired parts of ten thousand per version, summing to `PARTS`; None leaves the
            routes as they are.
        stable: the version that the routes name as stable, "" when there is none yet.
        preview: the version that the preview host leads to, "" for none.
        tee: who gets copies of how many of ten thousand requests; None for nobody.
        observing: the observer that must stand now; None for none.
        observer_gone: what is left of an observer is to be deleted.
        jobs: to make, unless they exist.
        scales: workloads to scale.
        minimums: of autoscalers to change.
        finalizer: whether the object must carry our finalizer.
        delete_route: the generated route is to be deleted (deletionPolicy Delete, at the end).
        events: what to tell, in order.
        moves: what the state machine did, in order.
        wake_at: when to look again at the latest, seconds since the epoch; None for the sweep.
    """

    status: ModelRolloutStatus
    shares: Mapping[str, int] | None = None
    stable: str = ""
    preview: str = ""
    tee: tuple[str, int] | None = None
    observing: Observing | None = None
    observer_gone: bool = False
    jobs: tuple[Job, ...] = ()
    scales: tuple[Scale, ...] = ()
    minimums: tuple[Minimum, ...] = ()
    finalizer: bool = False
    delete_route: bool = False
    events: tuple[Event, ...] = ()
    moves: tuple[Move, ...] = ()
    wake_at: float | None = None

    def __str__(self) -> str:
        told = "; ".join(str(event.reason) for event in self.events) or "nothing new"
        return f"{self.status.phase} {self.status.step} {self.status.weight}: {told}"
