"""Asks the models about a copy, settles the pair, counts it: a fixed number of hands, one queue.

A hand that meets a bug counts and goes on: what breaks one comparison must not end the others.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelrollout.shadow import (
    answers,
    comparison,
    forwarding,
    increments,
    noise,
    reading,
    settling,
    trouble,
)
from modelrollout.shadow.protocols import reading as protocols
from modelrollout.shadow.serving import asking, ledger, showing, taking

Read = reading.Read[Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """One request to be compared.

    Attributes:
        taken: its claim, slice and id.
        path: as sent, with its query.
        headers: as they came.
        body: as it came.
        primary: what the user got; None where stable is to be asked.
    """

    taken: taking.Taken
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    primary: asking.Said | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """Who is asked; None where nobody is."""

    candidate: asking.Model
    stable: asking.Model | None
    control: asking.Model | None


@dataclass(frozen=True, slots=True)
class Comparing:
    """How answers are read and compared.

    Attributes:
        protocol, task: of both models.
        most_bytes: of one answer, packed or not.
        limits_s: edges of their own in the histogram of durations.
        allowed: credentials that go along, by name.
        staleness_s: how long a copy may wait.
    """

    protocol: protocols.Protocol
    task: comparison.Task[Any]
    most_bytes: int
    limits_s: tuple[float, ...] = ()
    allowed: frozenset[str] = frozenset()
    staleness_s: float = 10.0


@dataclass(slots=True)
class Comparer:
    """The hands.

    Attributes:
        how: see `Comparing`.
        models: who is asked.
        door: where copies come from, and are let go.
        book: where everything is counted.
        shown: where a few disagreements are kept.
        clock: monotonic seconds.
    """

    how: Comparing
    models: Models
    door: taking.Door
    book: ledger.Ledger
    shown: showing.Shown
    clock: Callable[[], float] = time.monotonic
    _queue: "asyncio.Queue[Copy]" = field(default_factory=asyncio.Queue)
    _hands: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self, hands: int) -> None:
        """So many pairs are asked at once."""
        self._hands = [asyncio.create_task(self._work()) for _ in range(hands)]

    async def stop(self) -> None:
        """What is in hand ends as stopped."""
        for hand in self._hands:
            hand.cancel()
        await asyncio.gather(*self._hands, return_exceptions=True)
        while not self._queue.empty():
            self.door.let_go(self._queue.get_nowait().taken, taking.Drop.STOPPED)

    def put(self, copy: Copy) -> None:
        """Hand a copy over; its claim on the budget bounds the queue."""
        self._queue.put_nowait(copy)

    async def _work(self) -> None:
        while True:
            copy = await self._queue.get()
            try:
                await self._one(copy)
            except asyncio.CancelledError:
                self.door.let_go(copy.taken, taking.Drop.STOPPED)
                raise
            except Exception as bug:  # noqa: BLE001 - see the module
                self.door.let_go(copy.taken, taking.Drop.BROKEN)
                line = {"level": "error", "message": "a comparison failed", "error": repr(bug)}
                print(json.dumps(line), file=sys.stderr, flush=True)  # noqa: T201
            finally:
                copy.taken.claim.release()

    async def _one(self, copy: Copy) -> None:
        if self.clock() - copy.taken.since_s > self.how.staleness_s:
            self.door.let_go(copy.taken, taking.Drop.STALE)
            return
        primary, candidate, control = await self._ask(copy)
        sides = _Sides(copy, primary, candidate)
        settled = self._settled(sides)
        counted = [*settled.counted, *self._durations(sides)]
        if control is not None:
            against = _Sides(copy, primary, control)
            floor = self._settled(against)
            counted += noise.excess(settled, floor)
            self._count(ledger.Pair.CONTROL, against, (*floor.counted, *self._durations(against)))
        self._count(ledger.Pair.CANDIDATE, sides, counted)
        copy.taken.claim.release()
        self._show(sides, settled)

    async def _ask(self, copy: Copy) -> tuple[asking.Said, asking.Said, asking.Said | None]:
        asked = [self._asked(copy, self.models.candidate, role=forwarding.Role.CANDIDATE)]
        if copy.primary is None:
            asked.append(self._asked(copy, self.models.stable, role=forwarding.Role.CONTROL))
        if copy.taken.with_control:
            asked.append(self._asked(copy, self.models.control, role=forwarding.Role.CONTROL))
        said = await _all(asked)
        candidate = said.pop(0)
        primary = said.pop(0) if copy.primary is None else copy.primary
        return primary, candidate, said.pop() if said else None

    async def _asked(
        self, copy: Copy, model: asking.Model | None, *, role: forwarding.Role
    ) -> asking.Said:
        if model is None:
            raise RuntimeError("expected a stable model, which the configuration makes sure of")
        headers = forwarding.headers(copy.headers, role=role, allowed=self.how.allowed)
        return await model.ask(copy.path, headers=headers, body=copy.body)

    def _settled(self, sides: "_Sides") -> settling.Settled:
        return settling.settle(
            self.how.task, primary=self._read(sides.primary), other=self._read(sides.other)
        )

    def _durations(self, sides: "_Sides") -> tuple[increments.Increment, ...]:
        return settling.durations(
            primary_s=sides.primary.duration_s,
            candidate_s=sides.other.duration_s,
            limits_s=self.how.limits_s,
        )

    def _count(
        self, pair: ledger.Pair, sides: "_Sides", counted: Sequence[increments.Increment]
    ) -> None:
        self.book.add(pair, counted, slice_name=sides.copy.taken.slice_name)

    def _read(self, said: asking.Said) -> Read:
        if isinstance(said.answer, trouble.Problem):
            return said.answer
        return reading.predictions(
            said.answer,
            protocol=self.how.protocol,
            task=self.how.task,
            most_bytes=self.how.most_bytes,
        )

    def _show(self, sides: "_Sides", settled: settling.Settled) -> None:
        differs = any(row is not None and row.disagrees for row in settled.rows)
        if not (differs or settled.problems) or not self.shown.wants():
            return
        self.shown.add(
            settled,
            taken=sides.copy.taken,
            primary=self._instances(sides.primary),
            candidate=self._instances(sides.other),
        )

    def _instances(self, said: asking.Said) -> tuple[object, ...]:
        if not isinstance(said.answer, answers.Answer):
            return ()
        found = protocols.instances_of(
            said.answer, self.how.protocol, most_bytes=self.how.most_bytes
        )
        return () if isinstance(found, trouble.Problem) else found


async def _all(asked: Sequence[Coroutine[None, None, asking.Said]]) -> list[asking.Said]:
    """What all say, asked at the same time: the first by this task, which `gather` would not."""
    first, *others = asked
    tasks = [asyncio.create_task(one) for one in others]
    try:
        return [await first, *[await task for task in tasks]]
    finally:
        for task in tasks:
            task.cancel()


@dataclass(frozen=True, slots=True)
class _Sides:
    """A copy, what users got, and what the other said."""

    copy: Copy
    primary: asking.Said
    other: asking.Said
