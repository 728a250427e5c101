# ruff: noqa: E501 - lines of a page
"""What the router costs users, and how soon it follows: `python -m tests.bench.router [--write]`.

Our configured Envoy (a sticky split, as in the middle of a canary) stands beside a plain Envoy with
one route, in turns, behind the same clients and before the same backend. Needs wrk in the PATH.
"""

import asyncio
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from tests.cluster import layout
from tests.dataplane import envoys
from tests.dataplane.envoys import Envoy, Plane

PAGE: Final = layout.CHECKOUT / "docs" / "benchmarks" / "router.md"
ROUNDS: Final = 7
ROUND_S: Final = 4
CHANGES: Final = 20
WEIGHTS: Final = 200
USERS: Final = 10_000
RAMP: Final = (100, 500, 1_000, 2_500, 5_000, 10_000)
STICKY: Final = {"sticky": {"header": "x-user-id"}}
_USERS: Final = """
local n = 0
request = function()
  n = (n * 1103515245 + 12345) % 2147483648
  return wrk.format("POST", "/predict", {["x-user-id"] = "user-" .. (n % 10000)}, '{"x": 1}')
end
"""


@dataclass
class Round:
    """One run of wrk."""

    per_s: float
    p50_ms: float
    p99_ms: float
    failed: int
    cpu_us: float = 0.0


@dataclass
class Figures:
    """Everything that is measured."""

    plain: list[Round] = field(default_factory=list)
    ours: list[Round] = field(default_factory=list)
    calm_plain: list[Round] = field(default_factory=list)
    calm_ours: list[Round] = field(default_factory=list)
    follows_ms: list[float] = field(default_factory=list)
    asked: int = 0
    failed: int = 0
    flips: int = 0
    lost: int = 0
    shares: dict[int, int] = field(default_factory=dict)


async def wrk(url: str, script: Path, *, connections: int) -> Round:
    """One run."""
    process = await asyncio.create_subprocess_exec(
        *("taskset", "-c", _clients(), "wrk", "-t1", f"-c{connections}", f"-d{ROUND_S}s"),
        *("--latency", "-s", str(script), url),
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[0].decode()
    errors = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return Round(
        per_s=float(_found(r"Requests/sec:\s+([\d.]+)", said)[0]),
        p50_ms=_ms(*_found(r"50%\s+([\d.]+)(us|ms|s)", said)),
        p99_ms=_ms(*_found(r"99%\s+([\d.]+)(us|ms|s)", said)),
        failed=sum(map(int, errors.groups() if errors else ()))
        + (int(refused.group(1)) if refused else 0),
    )


def _found(pattern: str, said: str) -> Sequence[str]:
    found = re.search(pattern, said)
    if found is None:
        raise ValueError(f"expected {pattern!r} in what wrk says, found {said[-300:]!r}")
    return found.groups()


def _ms(number: str, unit: str) -> float:
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def _clients() -> str:
    """The last core is for clients and backends, the first for the Envoy under test."""
    return str(max((os.cpu_count() or 2) - 1, 0))


def static(port: int, route: Mapping[str, Any], clusters: Sequence[Mapping[str, Any]] = ()) -> Any:
    """A plain Envoy with one route."""
    kind = (
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager"
    )
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}
    connection = {
        "@type": kind,
        "stat_prefix": "plain",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    manager = "envoy.filters.network.http_connection_manager"
    filters = [{"name": manager, "typed_config": connection}]
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "static_resources": {
            "listeners": [
                {"name": "plain", "address": address, "filter_chains": [{"filters": filters}]}
            ],
            "clusters": list(clusters),
        }
    }


def to(port: int) -> dict[str, Any]:
    """A cluster with one endpoint."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": "backend",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "backend", "endpoints": endpoints},
    }


async def _plain(plane: Plane, name: str, config: Any, core: str) -> asyncio.subprocess.Process:
    path = plane.folder / f"{name}.json"
    path.write_text(json.dumps(config))
    process = await envoys.start(path, plane.folder / f"{name}.log")
    await asyncio.sleep(0.5)
    _pin(process.pid, int(core))

    async def end() -> None:
        process.kill()
        await process.wait()

    plane.stack.push_async_callback(end)
    return process


def _pin(pid: int, core: int) -> None:
    """All threads of a process to one core: the mask of a process is that of its first thread."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


async def cost(plane: Plane, figures: Figures, envoy: Envoy) -> None:
    """Throughput and latency of both, in turns."""
    backend, plain = envoys.free_port(), envoys.free_port()
    body = {"inline_string": json.dumps({"model_version": "v1"})}
    answer = {"direct_response": {"status": 200, "body": body}}
    await _plain(plane, "backend", static(backend, answer), _clients())
    route = {"route": {"cluster": "backend"}}
    plain_process = await _plain(plane, "plain", static(plain, route, [to(backend)]), "0")
    plane.shelf.ports = dict.fromkeys(plane.shelf.ports, backend)
    plane.store({"v1": 5_000, "v2": 5_000}, sequence=2, router=STICKY)
    _pin(envoy.process.pid, 0)
    await asyncio.sleep(1)
    script = plane.folder / "users.lua"
    script.write_text(_USERS)
    both = [
        (f"http://127.0.0.1:{plain}", figures.plain, figures.calm_plain),
        (envoy.url, figures.ours, figures.calm_ours),
    ]
    for number in range(ROUNDS):
        for url, busy, calm in both if number % 2 else reversed(both):
            process = plain_process if url.endswith(str(plain)) else envoy.process
            busy.append(await _costing(process.pid, wrk(url, script, connections=32)))
            calm.append(await wrk(url, script, connections=1))


async def _costing(pid: int, run: Awaitable[Round]) -> Round:
    """A run, with the CPU that a process took for each of its requests."""
    before = _cpu_s(pid)
    made = await run
    made.cpu_us = 1e6 * (_cpu_s(pid) - before) / max(made.per_s * ROUND_S, 1.0)
    return made


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def following(plane: Plane, figures: Figures, envoy: Envoy) -> None:
    """From a stored weight to the last of four busy connections that follows."""
    for number in range(CHANGES):
        version = ("v2", "v1")[number % 2]
        await asyncio.sleep(0.3)
        plane.store({version: 10_000}, sequence=100 + number, router=STICKY)
        began = time.monotonic()
        await asyncio.gather(*(_until(plane, envoy, version) for _ in range(4)))
        figures.follows_ms.append(1000 * (time.monotonic() - began))


async def _until(plane: Plane, envoy: Envoy, version: str) -> None:
    async with asyncio.timeout(10):
        while await plane.ask(envoy) != version:
            pass


async def changing(plane: Plane, figures: Figures, envoy: Envoy) -> None:
    """Weights that change under load: who was failed is counted."""
    done = asyncio.Event()
    codes: Counter[str] = Counter()

    async def user() -> None:
        while not done.is_set():
            try:
                codes[await plane.ask(envoy)] += 1
            except OSError as problem:
                codes[type(problem).__name__] += 1

    users = [asyncio.create_task(user()) for _ in range(8)]
    for number in range(WEIGHTS):
        share = 50 * (1 + number % 199)
        plane.store({"v1": 10_000 - share, "v2": share}, sequence=1_000 + number, router=STICKY)
        await asyncio.sleep(0.12)
    done.set()
    await asyncio.gather(*users)
    figures.asked = sum(codes.values())
    figures.failed = figures.asked - codes["v1"] - codes["v2"]


async def users(plane: Plane, figures: Figures, envoy: Envoy) -> None:
    """Ten thousand users on a ramp: each asked twice at every share."""
    before: dict[int, str] = {}
    for number, share in enumerate(RAMP):
        rest = {"v1": 10_000 - share} if share < 10_000 else {}
        plane.store({"v2": share, **rest}, sequence=2_000 + number, router=STICKY)
        await asyncio.sleep(1)
        told = await envoy.editions(plane.session)
        if told.editions["routes"].sequence != 2_000 + number:
            raise RuntimeError(f"expected decision {2_000 + number} in force, found {told}")
        once, twice = await _met(plane, envoy), await _met(plane, envoy)
        figures.flips += sum(once[user] != twice[user] for user in once)
        figures.lost += sum(before.get(user) == "v2" and once[user] != "v2" for user in once)
        figures.shares[share] = sum(version == "v2" for version in once.values())
        before = once


async def _met(plane: Plane, envoy: Envoy) -> dict[int, str]:
    found: dict[int, str] = {}

    async def some(first: int) -> None:
        for user in range(first, USERS, 8):
            found[user] = await plane.ask(envoy, **{"x-user-id": f"user-{user}"})

    await asyncio.gather(*(some(first) for first in range(8)))
    return found


async def measured() -> Figures:
    """Everything."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            plane = await stack.enter_async_context(envoys.plane(Path(folder)))
            plane.store({"v1": 10_000}, router=STICKY)
            envoy = await plane.envoy()
            await plane.ready(envoy)
            await following(plane, figures, envoy)
            await changing(plane, figures, envoy)
            await users(plane, figures, envoy)
        async with AsyncExitStack() as stack:
            plane = await stack.enter_async_context(envoys.plane(Path(folder)))
            plane.store({"v1": 10_000}, router=STICKY)
            envoy = await plane.envoy()
            await plane.ready(envoy)
            await cost(plane, figures, envoy)
    return figures


def page(figures: Figures) -> str:
    """The figures as Markdown."""
    plain, ours = figures.plain, figures.ours
    ratio = median(two.per_s / one.per_s for one, two in zip(plain, ours, strict=True))
    calm = zip(figures.calm_plain, figures.calm_ours, strict=True)
    more_ms = median(two.p50_ms - one.p50_ms for one, two in calm)
    rows = "\n".join(
        f"| {name} | {median(one.per_s for one in busy):,.0f} | "
        f"{median(one.cpu_us for one in busy):.0f} | "
        f"{median(one.p50_ms for one in slow):.2f} | {median(one.p99_ms for one in slow):.2f} | "
        f"{sum(one.failed for one in [*busy, *slow])} |"
        for name, busy, slow in (
            ("plain Envoy, one route", plain, figures.calm_plain),
            ("our router, a sticky split", ours, figures.calm_ours),
        )
    )
    ordered = sorted(figures.follows_ms)
    worst = max(
        abs(count - USERS * share / 10_000)
        / max((USERS * share / 10_000 * (1 - share / 10_000)) ** 0.5, 1e-9)
        for share, count in figures.shares.items()
        if share < 10_000
    )
    shares = ", ".join(f"{s / 100:g} %: {count:,}" for s, count in figures.shares.items())
    return f"""# The router, measured

By `python -m tests.bench.router`, one run; {os.cpu_count()} cores. Envoy under test alone on one core, clients
and backend on another; {ROUNDS} rounds of {ROUND_S} s each, in turns, each of both first in turn. Ratios are the
medians of rounds. Other work ran on the machine: ratios and CPU per request say something, rates do not.

| | requests/s, 32 connections | CPU per request, us | p50, ms, 1 connection | p99, ms, 1 connection | failed |
|---|---|---|---|---|---|
{rows}

| | | asked for |
|---|---|---|
| throughput against the plain Envoy | {ratio:.2f} | at least 0.9 |
| p50 more than the plain Envoy's, ms | {more_ms:+.3f} | at most 0.1 |
| a stored weight to the last busy connection that follows, ms: median, largest of {CHANGES} | {median(ordered):.0f}, {ordered[-1]:.0f} | under 100 |
| failed of {figures.asked:,} requests over {WEIGHTS} changes of weight | {figures.failed} | 0 |
| users of {USERS:,} that met two versions at one share, at {len(RAMP)} shares | {figures.flips} | 0 |
| users that lost the candidate on the ramp | {figures.lost} | 0 |
| largest distance of a share from what was decided, in standard errors | {worst:.2f} | 3 |

Users on the candidate: {shares}.
"""


def main() -> None:
    """Measures; with `--write`, writes the page."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not in the PATH: install it (Debian: apt-get install wrk)")
    text = page(asyncio.run(measured()))
    print(text)  # noqa: T201 - what was asked for
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
