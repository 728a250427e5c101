"""What the shadow costs users, and what the observer carries.

`python -m tests.bench.shadow` prints its page, and with `--write` writes it.

Processes on loopback: users in this one, Envoy, the observer, and a model that answers at once.
The observer's capacity is told per second of its own CPU time, since on few cores everything else
competes with it.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench import shadow_page
from tests.cluster import layout
from tests.shadow import envoy, fast, models, observer

Json = dict[str, Any]
BODY = json.dumps(models.REQUEST).encode()
_ROUNDS = int(os.environ.get("ROUNDS", "5"))
_FOR_S = float(os.environ.get("FOR_S", "4"))


@contextlib.asynccontextmanager
async def _model(delay_ms: float = 0.0) -> AsyncIterator[int]:
    port = envoy.free_port()
    process = await asyncio.create_subprocess_exec(
        *(observer.python(), "-m", "tests.shadow.fast", str(port), str(delay_ms)),
        env={"PYTHONPATH": str(layout.CHECKOUT)},
    )
    try:
        await _listening(port)
        yield port
    finally:
        process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


def _config(candidate: int, stable: int, **replaced: Json) -> Json:
    return {
        "models": {
            "candidate": f"http://127.0.0.1:{candidate}",
            "stable": f"http://127.0.0.1:{stable}",
        },
        "fronts": {"host": "127.0.0.1", "mirror": 0, "extProc": 0, "operations": 0},
        "protocol": {"openInference": {}},
        "task": {"classification": {"labels": ["0", "1"]}},
    } | replaced


def _users(port: int, *, expected: bytes = b"HTTP/1.1 200") -> fast.Users:
    return fast.Users(port, path=models.PATH, body=BODY, expected=expected)


async def user_path(folder: Path) -> Json:
    """Median and 99th percentile with and without a tee, in turns, 500 requests a second."""
    met: dict[str, list[fast.Result]] = {"none": [], "10 %": [], "100 %": []}
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(_model())
        running = await stack.enter_async_context(observer.running(folder, _config(model, model)))
        fronts = {
            name: await stack.enter_async_context(
                envoy.running(folder, stable=model, observer=running.ports["extProc"], parts=parts)
            )
            for name, parts in (("none", 0), ("10 %", 1_000), ("100 %", 10_000))
        }
        for _ in range(_ROUNDS):
            for name, front in fronts.items():
                users = _users(front.port)
                met[name].append(await users.run(connections=8, for_s=_FOR_S, rate=500.0))
        counts = await running.settled(1)
    return {
        name: {
            "p50_ms": median(one.quantile_ms(0.5) for one in results),
            "p99_ms": median(one.quantile_ms(0.99) for one in results),
            "failed": sum(one.failed for one in results),
            "requests": sum(len(one.latencies_s) for one in results),
        }
        for name, results in met.items()
    } | {"counts": counts.outcomes()}


async def in_trouble(folder: Path) -> Json:
    """Failed requests while the observer is well, slow, frozen and down; 500 a second, all teed."""
    found: Json = {}
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(_model())
        slow = await stack.enter_async_context(_model(delay_ms=2_000.0))
        for state in ("well", "slow", "frozen", "down"):
            config = _config(slow if state == "slow" else model, model)
            running = await stack.enter_async_context(observer.running(folder, config))
            front = await stack.enter_async_context(
                envoy.running(folder, stable=model, observer=running.ports["extProc"])
            )
            users = _users(front.port)
            await users.run(connections=8, for_s=0.5, rate=500.0)
            with _state(running, state):
                result = await users.run(connections=8, for_s=_FOR_S, rate=500.0)
            found[state] = {
                "requests": len(result.latencies_s),
                "failed": result.failed,
                "p50_ms": result.quantile_ms(0.5),
                "p99_ms": result.quantile_ms(0.99),
            }
    return found


@contextlib.contextmanager
def _state(running: observer.Observer, state: str) -> Iterator[None]:
    if state == "down":
        running.process.kill()
    if state == "frozen":
        os.kill(running.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if state == "frozen":
            os.kill(running.process.pid, signal.SIGCONT)


@contextlib.contextmanager
def _apart() -> Iterator[int]:
    """What starts meanwhile is kept off one core, whose number is given."""
    allowed = os.sched_getaffinity(0)
    own = max(allowed)
    os.sched_setaffinity(0, allowed - {own} or allowed)
    try:
        yield own
    finally:
        os.sched_setaffinity(0, allowed)


async def capacity(folder: Path, *, front: str, rate: float) -> Json:
    """Pairs per second of the observer's CPU time, the observer on a core of its own."""
    with _apart() as core:
        return await _capacity(folder, front=front, rate=rate, core=core)


async def _capacity(folder: Path, *, front: str, rate: float, core: int) -> Json:
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(_model())
        running = await stack.enter_async_context(observer.running(folder, _config(model, model)))
        running.keep_on(core)
        if front == "extProc":
            through = await stack.enter_async_context(
                envoy.running(folder, stable=model, observer=running.ports["extProc"])
            )
            users = _users(through.port)
        else:
            users = _users(running.ports["mirror"], expected=b"HTTP/1.1 204")
        await users.run(connections=16, for_s=0.5, rate=200.0)
        before, spent = await running.counts(), running.cpu_s()
        result = await users.run(connections=16, for_s=_FOR_S, rate=rate)
        after, now = await running.settled(1), running.cpu_s()
    seen = after.of("seen_total") - before.of("seen_total")
    pairs = after.outcomes()["both_ok"] - before.outcomes().get("both_ok", 0)
    return {
        "offered_per_s": len(result.latencies_s) / result.took_s,
        "seen": seen,
        "pairs": pairs,
        "complete": pairs / max(len(result.latencies_s), 1),
        "pairs_per_s": pairs / result.took_s,
        "pairs_per_cpu_s": pairs / max(now - spent, 0.01),
        "cpu_us_per_pair": 1e6 * (now - spent) / max(pairs, 1),
        "outcomes": after.outcomes(),
    }


async def overload(folder: Path) -> Json:
    """Ten times of what a slow candidate can take: memory, and drops to the last one."""
    budget = {"requests": 64, "concurrency": 4, "bytes": 4_000_000}
    async with contextlib.AsyncExitStack() as stack:
        model = await stack.enter_async_context(_model())
        slow = await stack.enter_async_context(_model(delay_ms=20.0))
        running = await stack.enter_async_context(
            observer.running(folder, _config(slow, model, budget=budget))
        )
        users = fast.Users(
            running.ports["mirror"],
            path=models.PATH,
            body=b'{"inputs": "' + b"x" * 50_000 + b'"}',
            expected=b"HTTP/1.1 204",
        )
        await users.run(connections=16, for_s=1.0, rate=100.0)
        before = running.memory_mib()
        result = await users.run(connections=16, for_s=2 * _FOR_S, rate=2_000.0)
        memory = running.memory_mib()
        counts = await running.settled(1)
    return {
        "sent": len(result.latencies_s),
        "failed": result.failed,
        "memory_mib": [before, memory],
        "seen": counts.of("seen_total"),
        "outcomes": counts.outcomes(),
        "unaccounted": counts.in_hand,
    }


async def measured() -> Json:
    """All of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "user_path": await user_path(folder),
            "in_trouble": await in_trouble(folder),
            "mirror": await capacity(folder, front="mirror", rate=0.0),
            "ext_proc_2000": await capacity(folder, front="extProc", rate=2_000.0),
            "ext_proc_1000": await capacity(folder, front="extProc", rate=1_000.0),
            "overload": await overload(folder),
        }


def main() -> None:
    """Measures; with `--write`, writes the page."""
    text = shadow_page.page(asyncio.run(measured()))
    print(text)  # noqa: T201 - what was asked for
    if "--write" in sys.argv[1:]:
        shadow_page.PAGE.write_text(text)


if __name__ == "__main__":
    main()
