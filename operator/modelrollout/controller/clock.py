"""The operator's clock: the wall clock at the start, counted on by the monotonic one.

A step of the wall clock (a correction, a leap) neither shortens a soak nor ages a deadline.
"""

import time


class Clock:
    """Seconds since the epoch, never going back and never jumping."""

    def __init__(self) -> None:
        self._wall, self._monotonic = time.time(), time.monotonic()

    def now(self) -> float:
        """The present instant, seconds since the epoch."""
        return self._wall + time.monotonic() - self._monotonic
