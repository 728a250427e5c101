"""Bearer tokens from files: who may feed the observer, and who may look at its examples."""

import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_READ_ANEW_S = 1.0
"""Secrets are rotated, but not between two streams."""


@dataclass(slots=True)
class Token:
    """A token that is to be shown.

    Attributes:
        file: that holds it; without it, and while it is empty, nobody is known.
        clock: monotonic seconds.
    """

    file: Path
    clock: Callable[[], float] = time.monotonic
    _expected: bytes = b""
    _until_s: float = float("-inf")

    def is_shown(self, header: str | bytes) -> bool:
        """Whether the value of an `authorization` header shows it."""
        now_s = self.clock()
        if now_s >= self._until_s:
            self._expected, self._until_s = self._read(), now_s + _READ_ANEW_S
        shown = header if isinstance(header, bytes) else header.encode(errors="replace")
        return bool(self._expected) and hmac.compare_digest(shown, self._expected)

    def _read(self) -> bytes:
        try:
            text = self.file.read_text().strip()
        except (OSError, ValueError):
            return b""
        return f"Bearer {text}".encode() if text else b""
