"""What is reported about a pod, made from what is known of its containers: pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from tests.cluster.agent import restarting

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running, and why."""

    reason: str = "ContainerCreating"
    message: str = ""

    def to_json(self) -> Json:
        """The API's form."""
        shown = {"reason": self.reason} | ({"message": self.message} if self.message else {})
        return {"waiting": shown}


@dataclass(frozen=True, slots=True)
class Running:
    """Its process runs."""

    since: datetime

    def to_json(self) -> Json:
        """The API's form."""
        return {"running": {"startedAt": stamp(self.since)}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """Its process has ended."""

    exit_code: int
    started: datetime
    finished: datetime
    message: str = ""
    failed_to_start: bool = False

    @property
    def reason(self) -> str:
        """The kubelet's word for it."""
        if self.failed_to_start:
            return "StartError"
        return "Completed" if self.exit_code == 0 else "Error"

    def to_json(self) -> Json:
        """The API's form."""
        shown = {
            "exitCode": self.exit_code,
            "reason": self.reason,
            "startedAt": stamp(self.started),
            "finishedAt": stamp(self.finished),
        }
        return {"terminated": shown | ({"message": self.message} if self.message else {})}


@dataclass(frozen=True, slots=True)
class Container:
    """All that is known of one container of a pod."""

    name: str
    image: str
    state: Waiting | Running | Terminated = Waiting()
    last: Terminated | None = None
    restarts: int = 0
    started: bool = False  # the startup probe has passed, or there is none
    passing: bool = False  # the readiness probe passes, or there is none

    @property
    def ready(self) -> bool:
        """Whether traffic may go to it."""
        return isinstance(self.state, Running) and self.started and self.passing

    def but(self, **changes: Any) -> "Container":
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> Json:
        """One entry of `containerStatuses`."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "state": self.state.to_json(),
            "lastState": self.last.to_json() if self.last else {},
            "restartCount": self.restarts,
            "started": self.started and isinstance(self.state, Running),
            "ready": self.ready,
        }


@dataclass(frozen=True, slots=True)
class Pod:
    """All that is known of one pod."""

    policy: restarting.Policy
    containers: Sequence[Container]
    init: Sequence[Container] = ()
    address: str | None = None
    node_address: str = ""
    started: datetime | None = None

    @property
    def initialized(self) -> bool:
        """All init containers have succeeded."""
        return all(isinstance(c.state, Terminated) and c.state.exit_code == 0 for c in self.init)

    @property
    def phase(self) -> str:
        """The kubelet's rule for the phase."""
        if not self.initialized:
            return "Failed" if self._failed(self.init) else "Pending"
        if any(isinstance(c.state, Waiting) and not c.last for c in self.containers):
            return "Pending"
        ends = [self._end(c) for c in self.containers]
        if any(end is None or self.policy.restarts(end.exit_code) for end in ends):
            return "Running"
        return "Failed" if any(end and end.exit_code for end in ends) else "Succeeded"

    def _failed(self, containers: Sequence[Container]) -> bool:
        ends = [self._end(c) for c in containers]
        never = self.policy is restarting.Policy.NEVER
        return never and any(end and end.exit_code for end in ends)

    @staticmethod
    def _end(container: Container) -> Terminated | None:
        match container.state:
            case Terminated() as end:
                return end
            case Waiting():
                return container.last
            case Running():
                return None

    def conditions(self) -> dict[str, tuple[bool, str]]:
        """Whether each condition holds, with a reason where it does not."""
        finished = self.phase in ("Succeeded", "Failed")
        unready = [c.name for c in self.containers if not c.ready]
        ready = (
            not unready and self.initialized,
            "PodCompleted" if finished else "ContainersNotReady",
        )
        return {
            "PodScheduled": (True, ""),
            "Initialized": (self.initialized, "ContainersNotInitialized"),
            "ContainersReady": ready,
            "Ready": ready,
        }

    def to_json(self, *, previous: Json, now: datetime) -> Json:
        """The pod's `status`, keeping transition times of conditions that did not change."""
        status: Json = {
            "phase": self.phase,
            "hostIP": self.node_address,
            "conditions": self._condition_list(previous.get("conditions") or [], now),
            "containerStatuses": [c.to_json() for c in self.containers],
        }
        if self.init:
            status["initContainerStatuses"] = [c.to_json() for c in self.init]
        if self.started:
            status["startTime"] = stamp(self.started)
        if self.address:
            status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        return status

    def _condition_list(self, previous: Sequence[Json], now: datetime) -> list[Json]:
        known = {c["type"]: c for c in previous}
        return [
            _condition(kind, holds=holds, reason=reason, known=known.get(kind), now=now)
            for kind, (holds, reason) in self.conditions().items()
        ]


def _condition(kind: str, *, holds: bool, reason: str, known: Json | None, now: datetime) -> Json:
    value = "True" if holds else "False"
    since = known["lastTransitionTime"] if known and known["status"] == value else stamp(now)
    shown = {"type": kind, "status": value, "lastTransitionTime": since}
    return shown if holds else shown | {"reason": reason}


def stamp(moment: datetime) -> str:
    """A time of the API: UTC, in whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
