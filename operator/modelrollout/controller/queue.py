"""The work queue: each key at most once in it, each key by one worker at a time.

Keys come from watches (`add`), from due times (`wake_at`) and from failures (`failed`, with
exponential back-off and jitter). A key that is added while a worker has it comes again afterwards.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Final

Key = tuple[str, str]
"""Namespace and name of a rollout."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 120.0


class Queue:
    """Which rollouts are to be looked at, and when."""

    def __init__(self, *, now: Callable[[], float]) -> None:
        self._now = now
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._held: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._arrived = asyncio.Event()
        self.due: dict[Key, float] = {}
        """When a key that a timer woke was due, until a worker takes it."""

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """This rollout is to be looked at now."""
        if key in self._held:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._arrived.set()

    def wake_at(self, key: Key, instant: float | None) -> None:
        """This rollout is to be looked at at an instant, in place of any instant given before."""
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        if instant is not None:
            loop = asyncio.get_running_loop()
            delay_s = max(0.0, instant - self._now())
            self._timers[key] = loop.call_later(delay_s, self._ring, key, instant)

    def forget(self, key: Key) -> None:
        """This rollout is gone."""
        self.wake_at(key, None)
        self._failures.pop(key, None)
        self._again.discard(key)

    async def take(self) -> Key:
        """The next rollout; the worker says `done` or `failed` afterwards."""
        while not self._ready:
            self._arrived.clear()
            await self._arrived.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._held.add(key)
        return key

    def done(self, key: Key) -> None:
        """The worker is through with it."""
        self._failures.pop(key, None)
        self._let_go(key)

    def failed(self, key: Key) -> float:
        """The worker failed: again after a pause, which is returned (seconds)."""
        times = self._failures.get(key, 0)
        self._failures[key] = times + 1
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**times)
        pause_s *= random.uniform(0.75, 1.25)  # noqa: S311 - jitter
        self.wake_at(key, self._now() + pause_s)
        self._again.discard(key)
        self._let_go(key)
        return pause_s

    def _let_go(self, key: Key) -> None:
        self._held.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _ring(self, key: Key, instant: float) -> None:
        self._timers.pop(key, None)
        self.due.setdefault(key, instant)
        self.add(key)
