"""Starts the observer in its own environment, and reads what it counted."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from prometheus_client import parser

from tests.cluster import layout
from tests.cluster.build import environments

Json = dict[str, Any]
_PREFIX = "modelrollout_shadow_"


@dataclass(frozen=True, slots=True)
class Counts:
    """One scrape.

    Attributes:
        samples: values by name, without the prefix, and labels, without those of the rollout.
    """

    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def of(self, name: str, **labels: str) -> float:
        """The sum of all series of this name that have these labels."""
        asked = frozenset(labels.items())
        found = (value for (of, has), value in self.samples.items() if of == name and asked <= has)
        return sum(found)

    def outcomes(self, pair: str = "candidate") -> dict[str, int]:
        """How many requests ended how, without what never happened."""
        found: dict[str, int] = {}
        for (name, labels), value in self.samples.items():
            named = dict(labels)
            if name == "requests_total" and named["pair"] == pair and value:
                found[named["outcome"]] = found.get(named["outcome"], 0) + int(value)
        return found

    @property
    def in_hand(self) -> int:
        """Seen, and not ended yet."""
        return int(self.of("seen_total")) - sum(self.outcomes().values())


@dataclass(slots=True)
class Observer:
    """A running observer."""

    process: asyncio.subprocess.Process
    ports: Mapping[str, int]
    session: aiohttp.ClientSession

    def url(self, port: str = "mirror", path: str = "") -> str:
        """Of one of its doors."""
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    async def counts(self) -> Counts:
        """What it counted until now."""
        async with self.session.get(self.url("operations", "/metrics")) as answer:
            text = await answer.text()
        samples = {}
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name.removeprefix(_PREFIX), frozenset(sample.labels.items()))
                samples[key] = sample.value
        return Counts(samples)

    async def seen(self, least: int, *, within_s: float = 20.0) -> Counts:
        """What it counted once so many requests were seen."""
        async with asyncio.timeout(within_s):
            while (counts := await self.counts()).of("seen_total") < least:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return counts

    async def settled(self, seen: int, *, within_s: float = 20.0) -> Counts:
        """What it counted once so many requests were seen and all of them have ended."""
        async with asyncio.timeout(within_s):
            while (counts := await self.seen(seen)).in_hand:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)
        return counts

    def memory_mib(self) -> float:
        """What the process holds now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024

    def keep_on(self, core: int) -> None:
        """Keep all of its threads on one core."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})

    def cpu_s(self) -> float:
        """What the process has spent."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def python() -> Path:
    """The interpreter of the observer's environment, built if it is missing."""
    return environments.ensure("observer") / "bin" / "python"


def configured(folder: Path, config: Json) -> Path:
    """The file of a configuration."""
    file = folder / "observer.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


@contextlib.asynccontextmanager
async def running(folder: Path, config: Json) -> AsyncIterator[Observer]:
    """An observer with this configuration, ended and waited for afterwards."""
    process = await asyncio.create_subprocess_exec(
        *(python(), "-m", "modelrollout.shadow.serving", "--config", configured(folder, config)),
        env={"PYTHONPATH": str(layout.CHECKOUT / "operator"), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None:
        raise RuntimeError("expected a pipe")
    try:
        said = json.loads(await asyncio.wait_for(process.stdout.readline(), 20) or b"{}")
        ports = {name: port for name, port in said.items() if isinstance(port, int)}
        async with aiohttp.ClientSession() as session:
            yield Observer(process, ports, session)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 20)
