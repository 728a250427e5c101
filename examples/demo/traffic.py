"""The users of the demo: held-out images sent through the gateway, every answer counted.

Requests start at random instants (Poisson, `--rate` a second) whether or not earlier ones were
answered, as real users' do; each carries the id of one of 500 users. Counted here, at the client,
is what people really met: answers by the version that the answer names, and every failure. Each
half second one line of JSON with the counts so far goes to standard output; on SIGTERM requests
under way are finished first.
"""

import argparse
import asyncio
import contextlib
import json
import random
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from examples.demo import training

USERS: Final = 500
_TIMEOUT_S: Final = 10.0
_REPORT_S: Final = 0.5
_UNDER_WAY_MAX: Final = 256
_LATENCIES_KEPT: Final = 4000


@dataclass(slots=True)
class Tally:
    """What the users met so far.

    Attributes:
        sent: requests started.
        answered: requests answered, by version.
        failed: requests that failed, by what was seen (`502`, `timeout`, `connection`).
        users: the users who met each version.
        first, last: instants of the first and the last answer of each version (epoch seconds).
        latencies_s: of the latest answers.
    """

    sent: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    users: dict[str, set[str]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=_LATENCIES_KEPT))

    def answer(self, version: str, *, user: str, at: float, took_s: float) -> None:
        """Count an answer."""
        self.answered[version] += 1
        self.users.setdefault(version, set()).add(user)
        self.first.setdefault(version, at)
        self.last[version] = at
        self.latencies_s.append(took_s)

    def report(self, *, at: float) -> dict[str, object]:
        """The counts so far, as JSON values."""
        return {
            "at": round(at, 3),
            "sent": self.sent,
            "answered": dict(self.answered),
            "failed": dict(self.failed),
            "users": {version: len(users) for version, users in self.users.items()},
            "first": {version: round(at, 3) for version, at in self.first.items()},
            "last": {version: round(at, 3) for version, at in self.last.items()},
            "p50_ms": round(1000 * quantile(self.latencies_s, 0.5), 1),
            "p99_ms": round(1000 * quantile(self.latencies_s, 0.99), 1),
        }


def quantile(values: deque[float], share: float) -> float:
    """The value below which `share` of the values lie; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go.

    Attributes:
        gateway: URL of the gateway, without a path.
        host: Host header of the models.
        labels_host: Host header of the process that knows the truth; "" for none.
    """

    gateway: str
    host: str
    labels_host: str = ""


class Load:
    """Sends the requests."""

    def __init__(
        self, session: aiohttp.ClientSession, target: Target, *, rate: float, seed: int
    ) -> None:
        self._session = session
        self._target = target
        self._rate = rate
        self._random = random.Random(seed)
        self._bodies = bodies()
        self._under_way: set[asyncio.Task[None]] = set()
        self._outbox: list[tuple[int, str, int]] = []
        self.tally = Tally()

    async def run(
        self,
        ended: asyncio.Event,
        *,
        report: Callable[[dict[str, object]], None],
        most: float = float("inf"),
    ) -> None:
        """Send requests until `ended`, `most` at most; then wait for the answers under way."""
        reporting = asyncio.create_task(self._reporting(report))
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not ended.is_set() and self.tally.sent < most:
            due += self._random.expovariate(self._rate)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), max(0.0, due - loop.time()))
                break
            self._start()
        if self._under_way:
            await asyncio.wait(self._under_way)
        reporting.cancel()
        await self._flush()
        report(self.tally.report(at=time.time()))

    def _start(self) -> None:
        self.tally.sent += 1
        if len(self._under_way) >= _UNDER_WAY_MAX:
            self.tally.failed["too many under way"] += 1
            return
        row = self._random.randrange(len(self._bodies))
        user = f"u{self._random.randrange(USERS):03d}"
        task = asyncio.create_task(self._ask(row, user))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _ask(self, row: int, user: str) -> None:
        started = time.perf_counter()
        headers = {"Host": self._target.host, "Content-Type": "application/json", "x-user-id": user}
        url = f"{self._target.gateway}/v2/models/digits/infer"
        try:
            async with self._session.post(url, data=self._bodies[row], headers=headers) as answer:
                text = await answer.read()
                status = answer.status
        except TimeoutError:
            self.tally.failed["timeout"] += 1
            return
        except aiohttp.ClientError:
            self.tally.failed["connection"] += 1
            return
        if status != 200:  # noqa: PLR2004 - HTTP's word for it
            self.tally.failed[str(status)] += 1
            return
        version, digit = parsed(json.loads(text))
        took_s = time.perf_counter() - started
        self.tally.answer(version, user=user, at=time.time(), took_s=took_s)
        self._outbox.append((row, version, digit))

    async def _reporting(self, report: Callable[[dict[str, object]], None]) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            await self._flush()
            report(self.tally.report(at=time.time()))

    async def _flush(self) -> None:
        """Tell the truth's process which version answered what."""
        batch, self._outbox = self._outbox, []
        if not batch or not self._target.labels_host:
            return
        url = f"{self._target.gateway}/predictions"
        headers = {"Host": self._target.labels_host}
        try:
            async with self._session.post(url, json=batch, headers=headers) as answer:
                delivered = answer.status < 400  # noqa: PLR2004 - HTTP's word for it
        except (TimeoutError, aiohttp.ClientError):
            delivered = False
        if not delivered:
            self._outbox = batch[-_LATENCIES_KEPT:] + self._outbox


def bodies() -> list[bytes]:
    """One request of the Open Inference Protocol for each held-out image."""
    return [
        json.dumps({"id": str(row), "inputs": [tensor([float(pixel) for pixel in image])]}).encode()
        for row, image in enumerate(training.data().held_out_images)
    ]


def tensor(image: list[float]) -> Mapping[str, object]:
    """One image as the protocol's tensor."""
    return {"name": "image", "shape": [1, len(image)], "datatype": "FP64", "data": image}


def parsed(body: Mapping[str, object]) -> tuple[str, int]:
    """The version that an answer names, and the digit it gives.

    Raises:
        ValueError: when it is not an answer of the protocol.
    """
    outputs = body.get("outputs")
    if not isinstance(outputs, list) or "model_version" not in body:
        raise ValueError(f"expected model_version and outputs, saw {sorted(body)}")
    return str(body["model_version"]), int(outputs[0]["data"][0])


async def _run(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    if options.seconds:
        loop.call_later(options.seconds, ended.set)
    target = Target(options.gateway, options.host, options.labels_host)
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=_UNDER_WAY_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        load = Load(session, target, rate=options.rate, seed=options.seed)
        await load.run(ended, report=lambda counts: print(json.dumps(counts), flush=True))


def main() -> None:
    """Send traffic until SIGTERM or for `--seconds`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gateway", required=True, help="URL of the gateway")
    parser.add_argument("--host", required=True, help="Host header of the models")
    parser.add_argument("--labels-host", default="", help="Host header of the labels' process")
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second")
    parser.add_argument("--seconds", type=float, default=0.0, help="0: until SIGTERM")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
