"""Two models and an observer between them, for each test anew."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl

from tests.shadow import models, observer

Json = dict[str, Any]
Start = Callable[..., Awaitable[observer.Observer]]


@pytest.fixture
async def stable() -> AsyncIterator[models.Model]:
    """What users get."""
    async with models.serving(models.saying(1)) as model:
        yield model


@pytest.fixture
async def candidate() -> AsyncIterator[models.Model]:
    """What is compared with it."""
    async with models.serving(models.saying(1)) as model:
        yield model


@pytest.fixture
async def start(
    stable: models.Model, candidate: models.Model, tmp_path: Path
) -> AsyncIterator[Start]:
    """Starts an observer between both models; parts of its configuration may be replaced."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(**replaced: Json) -> observer.Observer:
            config = {
                "labels": {"rollout": "fraud"},
                "models": {"candidate": candidate.url, "stable": stable.url},
                "fronts": {"host": "127.0.0.1", "mirror": 0, "extProc": 0, "operations": 0},
                "protocol": {"openInference": {}},
                "task": {"classification": {"labels": ["0", "1"]}},
            } | replaced
            return await stack.enter_async_context(observer.running(tmp_path, config))

        yield started


Send = Callable[..., Awaitable[int]]


@pytest.fixture
async def send() -> AsyncIterator[Send]:
    """Sends copies to a mirror's front, as a gateway would; gives the status of the last."""
    async with aiohttp.ClientSession() as session:

        async def sent(
            to: observer.Observer,
            *ids: str,
            path: str = models.PATH,
            body: bytes = b'{"inputs": []}',
            **headers: str,
        ) -> int:
            async def one(name: str) -> int:
                named = {"Content-Type": "application/json", "X-Request-Id": name}
                extra = {key.replace("_", "-"): value for key, value in headers.items()}
                # As written: a client that tidies a path up would hide what it may do to a server.
                url = yarl.URL(to.url(path=path), encoded=True)
                async with session.post(url, data=body, headers=named | extra) as answer:
                    return answer.status

            return (await asyncio.gather(*(one(name) for name in ids)))[-1]

        yield sent
