"""Users of the end-to-end tests: a bounded stream of requests, answers counted at the client."""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp

Answer = aiohttp.ClientResponse
MOST = 60_000
"""Requests of one load at most; it stops by itself."""


class Load:
    """Sends `rate` requests a second through the gateway until it is left.

    Attributes:
        answered: answers by version.
        codes: answers by status code.
        failed: requests without an answer, by what was seen.
        log: (monotonic seconds, version, code) of every answer.
        met: per user, the versions that answered, in order; of `users` users, each named by the
            header x-user-id.
    """

    def __init__(
        self,
        gateway_url: str,
        host: str,
        *,
        rate: float = 60.0,
        path: str = "/predict",
        body: object = None,
        users: int = 0,
        reuse: bool = True,
    ) -> None:
        self.url, self.host, self.rate = f"{gateway_url}{path}", host, rate
        self.users, self.met = users, dict[str, list[str]]()
        self._reuse = reuse
        self._method, self._body = ("GET", None) if body is None else ("POST", body)
        self.answered: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.failed: Counter[str] = Counter()
        self.log: list[tuple[float, str, int]] = []
        self.began = 0.0
        self._begun, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(timeout=30), f"{self.host} is not answered by the gateway"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=30)

    def until(self, holds: Callable[[], bool], *, timeout_s: float = 30.0) -> None:
        """Waits until what users met holds; answers come on a thread of their own."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, f"not met within {timeout_s:.0f} s"
            time.sleep(0.05)

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=10)
        connector = aiohttp.TCPConnector(limit=64, force_close=not self._reuse)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            await self._first_answer(session)
            self._begun.set()
            self.began = time.monotonic()
            tasks: set[asyncio.Task[None]] = set()
            began, sent = self.began, 0
            while not self._ended.is_set() and sent < MOST:
                task = asyncio.create_task(self._one(session))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
                pause_s = began + sent / self.rate - time.monotonic()
                await asyncio.sleep(max(pause_s, 0))
            await asyncio.gather(*tasks)

    def _ask(
        self, session: aiohttp.ClientSession, user: str = ""
    ) -> AbstractAsyncContextManager[Answer]:
        headers = {"Host": self.host} | ({"x-user-id": user} if user else {})
        return session.request(self._method, self.url, headers=headers, json=self._body)

    async def _first_answer(self, session: aiohttp.ClientSession) -> None:
        """A new route is in the gateway a moment after its status says so; users come then."""
        while not self._ended.is_set():
            with contextlib.suppress(aiohttp.ClientError):
                async with self._ask(session) as answer:
                    if answer.status == HTTPStatus.OK:
                        return
            await asyncio.sleep(0.05)

    async def _one(self, session: aiohttp.ClientSession) -> None:
        sent_s = time.monotonic() - self.began
        user = f"user-{random.randrange(self.users)}" if self.users else ""
        try:
            async with self._ask(session, user) as answer:
                text = await answer.text()
                version = json.loads(text)["model_version"]
        except (aiohttp.ClientError, TimeoutError) as problem:
            self.failed[f"{type(problem).__name__} after {sent_s:.1f} s"] += 1
            return
        except (ValueError, KeyError):
            self.failed[f"{answer.status} {text[:40]!r} after {sent_s:.1f} s"] += 1
            return
        self.answered[version] += 1
        if user:
            self.met.setdefault(user, []).append(version)
        self.codes[answer.status] += 1
        self.log.append((time.monotonic(), version, answer.status))
