"""Who may write, and how fast: the gate closes before the Lease can expire.

Kubernetes has no fencing tokens. A write that starts while the Lease is ours must end before
somebody else can hold it, so the gate closes one call's timeout before the Lease's end.
"""

import asyncio
import math
import time
from dataclasses import dataclass, field

CALL_TIMEOUT_S = 5.0
"""Longest time of one write to the apiserver."""


class GateClosedError(Exception):
    """A write was attempted by a replica that does not lead, or no longer surely does."""


@dataclass(slots=True)
class Gate:
    """Open while this replica leads.

    Attributes:
        valid_until: end of the Lease on this process's monotonic clock, seconds.
    """

    valid_until: float = -math.inf

    def open_until(self, instant: float) -> None:
        """The Lease was renewed: it is ours until `instant` (monotonic)."""
        self.valid_until = instant

    def close(self) -> None:
        """From now on nothing is written."""
        self.valid_until = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether a write that starts now ends in time."""
        return time.monotonic() < self.valid_until - CALL_TIMEOUT_S

    def check(self) -> None:
        """Passes when the gate is open.

        Raises:
            GateClosedError: when it is not.
        """
        if not self.is_open:
            raise GateClosedError("this replica does not lead: nothing is written")


@dataclass(slots=True)
class Bucket:
    """A token bucket: `burst` writes at once, `per_s` in the long run.

    A thousand rollouts in progress write about 40 times a second; the rest is for all that begin
    at once. The apiserver's own fairness protects it from more.
    """

    per_s: float = 200.0
    burst: float = 400.0
    _tokens: float = field(default=0.0, init=False)
    _at: float = field(default=-math.inf, init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def take(self) -> None:
        """Waits for a token; waiters are served in their order."""
        async with self._turn:
            self._refill()
            if self._tokens < 1.0:
                await asyncio.sleep((1.0 - self._tokens) / self.per_s)
                self._refill()
            self._tokens -= 1.0

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.per_s)
        self._at = now
