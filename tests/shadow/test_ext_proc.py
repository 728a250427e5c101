"""Envoy's tee feeds the observer: what users got is compared, and users feel none of it."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from modelrollout.routing.router import credentials
from tests.shadow import envoy, models, observer
from tests.shadow.conftest import Start

BODY = json.dumps(models.REQUEST).encode()
Tee = Callable[..., Awaitable[tuple[observer.Observer, envoy.Envoy]]]
Ask = Callable[..., Awaitable[tuple[int, bytes]]]


@pytest.fixture
async def tee(start: Start, stable: models.Model, tmp_path: Path) -> AsyncIterator[Tee]:
    """Starts an observer, and an Envoy whose tee feeds it."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(
            parts: int = 10_000, feed: str | None = None, **replaced: observer.Json
        ) -> tuple[observer.Observer, envoy.Envoy]:
            running = await start(**replaced)
            port = running.ports["extProc"]
            front = envoy.running(
                tmp_path, stable=stable.port, observer=port, parts=parts, feed=feed
            )
            return running, await stack.enter_async_context(front)

        yield started


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Asks as a user; gives status and body."""
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def asked(
            at: envoy.Envoy, *, body: bytes = BODY, **headers: str
        ) -> tuple[int, bytes]:
            async with session.post(at.url + models.PATH, data=body, headers=headers) as answer:
                return answer.status, await answer.read()

        yield asked


async def test_what_users_got_is_compared_and_stable_is_asked_once(
    tee: Tee, ask: Ask, stable: models.Model, candidate: models.Model
) -> None:
    running, front = await tee()
    for _ in range(40):
        assert (await ask(front, Authorization="Bearer secret"))[0] == 200
    await running.settled(40)
    candidate.answer = models.saying(0)
    await ask(front)
    counts = await running.settled(41)
    assert counts.outcomes() == {"both_ok": 41}
    assert counts.of("comparisons_total", pair="candidate", verdict="mismatch") == 1
    assert counts.of("duration_seconds_count", side="primary") == 41
    assert len(stable.asked) == len(candidate.asked) == 41
    headers, body = candidate.asked[0]
    assert body == BODY
    assert "authorization" not in headers
    assert headers["x-request-id"] == stable.asked[0][0]["x-request-id"]


async def test_large_requests_and_streamed_answers_arrive_whole(
    tee: Tee, ask: Ask, stable: models.Model, candidate: models.Model
) -> None:
    async def streamed(request: web.Request, _: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for word in ("Hel", "lo", "!"):
            chunk = {"choices": [{"index": 0, "delta": {"content": word}}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    stable.answer = candidate.answer = streamed
    running, front = await tee(protocol={"openAI": {}}, task={"text": {}})
    status, said = await ask(front, body=b'{"a": "' + b"x" * 900_000 + b'"}')
    assert (status, said.count(b"data:")) == (200, 4)
    counts = await running.settled(1)
    assert counts.outcomes() == {"both_ok": 1}
    assert counts.of("comparisons_total", verdict="match") == 1
    assert len(candidate.asked[0][1]) > 900_000


async def test_what_is_too_large_or_too_much_is_counted_and_users_get_it(
    tee: Tee, ask: Ask, stable: models.Model
) -> None:
    running, front = await tee(
        eligible={"mostBytes": 900_000}, budget={"bytes": 600_000, "answerBytes": 100_000}
    )
    assert (await ask(front, body=b" " * 900_001))[0] == 200
    assert (await ask(front, body=b" " * 500_000))[0] == 200
    await running.settled(2)
    assert (await ask(front, body=b" " * 700_000))[0] == 200
    stable.answer = models.sending(b" " * 200_000)
    _, said = await ask(front)
    assert len(said) == 200_000
    counts = await running.settled(4)
    expected = {"too_large": 1, "both_ok": 1, "bytes_full": 1, "primary_unreadable": 1}
    assert counts.outcomes() == expected


async def test_a_user_who_leaves_is_counted_as_cut_off(
    tee: Tee, ask: Ask, stable: models.Model
) -> None:
    stable.answer = models.hanging
    running, front = await tee()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ask(front), 0.3)
    assert (await running.settled(1)).outcomes() == {"cut_off": 1}


async def test_a_share_of_requests_is_teed(tee: Tee, ask: Ask, stable: models.Model) -> None:
    running, front = await tee(parts=1_000)
    for _ in range(20):
        await asyncio.gather(*(ask(front) for _ in range(20)))
    counts = await running.settled(16)
    assert len(stable.asked) == 400
    assert 16 <= counts.of("seen_total") <= 64  # 40, and four standard errors around


@pytest.mark.parametrize("state", ["down", "frozen", "slow"])
async def test_users_feel_nothing_of_an_observer_in_trouble(
    tee: Tee, ask: Ask, candidate: models.Model, state: str
) -> None:
    running, front = await tee(budget={"requests": 4, "concurrency": 1})
    candidate.answer = models.hanging
    await ask(front)
    with _troubled(running, state):
        async with asyncio.timeout(10):
            said = [await ask(front) for _ in range(300)]
    assert said == [(200, json.dumps(models.document(1)).encode())] * 300


@contextlib.contextmanager
def _troubled(running: observer.Observer, state: str) -> Iterator[None]:
    match state:
        case "down":
            running.process.kill()
        case "frozen":
            os.kill(running.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if state == "frozen":
            os.kill(running.process.pid, signal.SIGCONT)


SHOWN = credentials.feed("a" * 64)


def guarded(folder: Path) -> observer.Json:
    token = folder / "feed"
    token.write_text(SHOWN)
    return {"host": "127.0.0.1", "extProc": 0, "operations": 0, "tokenFile": str(token)}


@pytest.mark.parametrize("feed", [None, "", "guessed", SHOWN[:-1]])
async def test_strangers_without_the_token_feed_no_evidence(
    tee: Tee, ask: Ask, tmp_path: Path, feed: str | None
) -> None:
    running, front = await tee(feed=feed, fronts=guarded(tmp_path))
    for _ in range(5):
        assert (await ask(front))[0] == 200
    assert (await running.counts()).of("seen_total") == 0


async def test_the_rollouts_own_envoys_show_the_token_and_feed(
    tee: Tee, ask: Ask, tmp_path: Path, candidate: models.Model
) -> None:
    running, front = await tee(feed=SHOWN, fronts=guarded(tmp_path))
    for _ in range(5):
        assert (await ask(front))[0] == 200
    assert (await running.settled(5)).outcomes() == {"both_ok": 5}
    assert all(SHOWN not in str(headers) for headers, _ in candidate.asked)


async def test_a_token_that_is_rotated_is_read_anew(tee: Tee, ask: Ask, tmp_path: Path) -> None:
    fronts = guarded(tmp_path)
    (tmp_path / "feed").write_text("older")
    running, front = await tee(feed=SHOWN, fronts=fronts)
    assert (await ask(front))[0] == 200
    (tmp_path / "feed").write_text(SHOWN)
    async with asyncio.timeout(10):
        while (await running.counts()).of("seen_total") == 0:
            await ask(front)
