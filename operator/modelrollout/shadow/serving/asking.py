"""Asks a model, within its time and its bytes: an answer or a class of trouble comes back."""

import functools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import yarl

from modelrollout.shadow import answers, trouble

Headers = Sequence[tuple[str, str]]
_KEPT_ALIVE_S = 3.0
"""Below the 5 s after which common servers close: a POST on a closed connection is an error that is
ours, not the model's."""


@dataclass(frozen=True, slots=True)
class Said:
    """What one side said, and how long that took.

    Attributes:
        answer: complete, or why there is none.
        duration_s: None where it was not seen.
    """

    answer: answers.Answer | trouble.Problem
    duration_s: float | None


def session(*, connections: int, timeout_s: float) -> aiohttp.ClientSession:
    """A pool of its own for each model: a hanging one takes no connection of another.

    Args:
        connections: at once.
        timeout_s: for one whole answer.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=_KEPT_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=timeout_s),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("user-agent", "content-type"),
    )


@dataclass(slots=True)
class Model:
    """One model that is asked.

    Attributes:
        base: scheme and authority.
        session: its own.
        late_s: from there on a complete answer is late.
        most_bytes: of one answer.
    """

    base: str
    session: aiohttp.ClientSession
    late_s: float | None
    most_bytes: int

    async def ask(self, path: str, *, headers: Headers, body: bytes) -> Said:
        """One request; raises nothing but cancellation.

        Args:
            path: as sent, with its query.
            headers: as `forwarding.headers` gives them.
            body: unchanged.
        """
        began_s = time.perf_counter()
        try:
            answer = await self._ask(path, headers, body)
        except TimeoutError:
            return Said(_problem(trouble.Trouble.TIMEOUT, "the whole answer in time"), float("inf"))
        except (aiohttp.ClientError, OSError, ValueError) as broken:
            what = f"an answer, met {type(broken).__name__}"
            return Said(_problem(trouble.Trouble.UNREACHABLE, what), None)
        took_s = time.perf_counter() - began_s
        if self.late_s is not None and took_s > self.late_s:
            return Said(_problem(trouble.Trouble.LATE, f"it within {self.late_s:g} s"), took_s)
        return Said(answer, took_s)

    async def _ask(
        self, path: str, headers: Headers, body: bytes
    ) -> answers.Answer | trouble.Problem:
        async with self.session.post(
            _url(self.base, path), data=body, headers=headers, allow_redirects=False
        ) as response:
            chunks: list[bytes] = []
            size = 0
            while chunk := await response.content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > self.most_bytes:
                    response.close()
                    return _problem(trouble.Trouble.TOO_LARGE, f"at most {self.most_bytes} bytes")
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            return answers.Answer.of(response.status, headers=response.headers, body=body)


@functools.lru_cache(maxsize=256)
def _url(base: str, path: str) -> yarl.URL:
    """As sent: spelled anew, another server might read another path from it."""
    return yarl.URL(base + path, encoded=True)


def _problem(kind: trouble.Trouble, expected: str) -> trouble.Problem:
    return trouble.Problem(kind, f"expected {expected}")
