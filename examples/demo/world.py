"""What the driver sees: the rollout as the apiserver has it, its events, and what users met."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from modelrollout.api.status import ModelRolloutStatus

_RECENT_S: Final = 3.0
_EVENTS_KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Met:
    """What users met so far, as the load generator counted it.

    Attributes:
        at: when, seconds since the epoch.
        sent: requests started.
        answered, users: answers and distinct users, by version.
        failed: requests that failed, by what was seen.
        first, last: instants of a version's first and last answer.
        p50_ms, p99_ms: latency of the latest answers, at the client.
    """

    at: float = 0.0
    sent: int = 0
    answered: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    users: Mapping[str, int] = field(default_factory=dict)
    first: Mapping[str, float] = field(default_factory=dict)
    last: Mapping[str, float] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @classmethod
    def from_json(cls, counts: Mapping[str, Any]) -> Self:
        """From a line of the load generator."""
        return cls(**counts)

    @property
    def failures(self) -> int:
        """All failed requests."""
        return sum(self.failed.values())

    def answers(self, version: str) -> int:
        """Answers of a version."""
        return self.answered.get(version, 0)

    def lasted_s(self, version: str) -> float:
        """Seconds between a version's first and last answer."""
        return self.last.get(version, 0.0) - self.first.get(version, 0.0)


@dataclass(frozen=True, slots=True)
class Told:
    """An event on the rollout."""

    at: float
    warning: bool
    reason: str
    message: str


@dataclass(slots=True)
class World:
    """The latest of everything."""

    status: ModelRolloutStatus = field(default_factory=ModelRolloutStatus)
    target: str = ""
    generation: int = 0
    met: Met = field(default_factory=Met)
    events: deque[Told] = field(default_factory=lambda: deque(maxlen=_EVENTS_KEPT))
    _reports: deque[Met] = field(default_factory=deque)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def change(self) -> None:
        """Wait for the next thing that is seen."""
        self._changed.clear()
        await self._changed.wait()

    def see_rollout(self, rollout: Mapping[str, Any]) -> None:
        """Take a ModelRollout as the apiserver has it."""
        self.target = rollout["spec"]["target"]
        self.generation = rollout["metadata"]["generation"]
        self.status = ModelRolloutStatus.model_validate(rollout.get("status") or {})
        self._changed.set()

    def see_met(self, counts: Mapping[str, Any]) -> None:
        """Take a line of the load generator."""
        self.met = Met.from_json(counts)
        self._reports.append(self.met)
        while self.met.at - self._reports[0].at > _RECENT_S:
            self._reports.popleft()
        self._changed.set()

    def see_event(self, told: Told) -> None:
        """Take an event; a repetition of the last one only renews it."""
        if self.events and self.events[-1] == replace(told, at=self.events[-1].at):
            self.events.pop()
        self.events.append(told)
        self._changed.set()

    @property
    def answered_up_to_date(self) -> bool:
        """The operator has seen the spec as it is now."""
        return self.status.observed_generation >= self.generation > 0

    def recent_shares(self) -> dict[str, float]:
        """Each version's share of the answers of the last three seconds, seen at the client."""
        if not self._reports:
            return {}
        oldest, newest = self._reports[0], self._reports[-1]
        fresh = {v: newest.answers(v) - oldest.answers(v) for v in newest.answered}
        total = sum(fresh.values())
        return (
            {version: count / total for version, count in fresh.items() if count} if total else {}
        )

    def recent_rate(self) -> float:
        """Requests per second of the last three seconds."""
        if len(self._reports) < 2:  # noqa: PLR2004 - a rate needs two instants
            return 0.0
        oldest, newest = self._reports[0], self._reports[-1]
        return (newest.sent - oldest.sent) / max(newest.at - oldest.at, 1e-3)
