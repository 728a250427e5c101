"""One process in namespaces of its own: started, signalled, awaited, entered.

The command is process 1 of its namespace, as in a real container: when it ends, the kernel ends
every process it left behind, and SIGTERM reaches it only if it handles it.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import layout
from tests.cluster.agent import boot


class StartError(Exception):
    """The command could not be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of this machine, and where the container sees it."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """All it takes to start a container."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    hostname: str
    mounts: Sequence[Mount]
    network: Path  # the file that holds the pod's network namespace
    folder: Path  # scratch space of this container
    log: Path


class Container:
    """A started container."""

    def __init__(self, process: asyncio.subprocess.Process, plan: Plan) -> None:
        self._process = process
        self._plan = plan

    @classmethod
    async def start(cls, plan: Plan) -> "Container":
        """Start the command; returns when it runs. Raises `StartError`, e.g. if there is none."""
        report, end = os.pipe()
        try:
            process = await _spawn(plan, end)
        finally:
            os.close(end)
        try:
            said = await asyncio.to_thread(_read_once, report)
        except asyncio.CancelledError:
            process.kill()
            raise
        if said != boot.RUNS:
            await process.wait()
            raise StartError(said.decode(errors="replace") or f"see {plan.log}")
        return cls(process, plan)

    async def wait(self) -> int:
        """The exit code, 128 + n after signal n."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def end(self, *, grace_s: float) -> int:
        """SIGTERM, after the grace period SIGKILL; gives the exit code."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(self.wait(), grace_s)
        # Its parent, with which the kernel kills it: killed alone, the parent would complain of it
        # in the container's log.
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        return await self.wait()

    async def execute(self, command: Sequence[str]) -> int:
        """Run a command in the container; gives its exit code."""
        first = self._first()
        if not first:
            return 1
        namespaces = ("--mount", "--net", "--pid", "--ipc", "--uts", "--root", "--wd")
        process = await asyncio.create_subprocess_exec(
            *("nsenter", f"--target={first}", *namespaces, "--", *command),
            env=dict(self._plan.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        # Our child waits for the container's first process; signals are meant for the latter.
        if first := self._first():
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, number)

    def _first(self) -> int | None:
        pid = self._process.pid
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return int(children[0]) if children else None


async def _spawn(plan: Plan, report: int) -> asyncio.subprocess.Process:
    root = plan.folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    spec = plan.folder / "spec.json"
    spec.write_text(_spec(plan, root))
    own = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=SIGKILL")
    python = (sys.executable, "-I", "-S", str(boot.__file__), str(spec), str(report))
    plan.log.parent.mkdir(parents=True, exist_ok=True)
    with plan.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *("nsenter", f"--net={plan.network}", "unshare", *own, *python),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(report,),
            start_new_session=True,
        )


def _spec(plan: Plan, root: Path) -> str:
    kept = {layout.CHECKOUT, layout.cache_dir(), Path(sys.prefix), Path(sys.base_prefix)}
    return json.dumps(
        {
            "argv": list(plan.argv),
            "env": dict(plan.env),
            "cwd": plan.cwd,
            "hostname": plan.hostname,
            "root": str(root),
            "private": layout.PRIVATE,
            "kept": sorted(map(str, kept)),
            "mounts": [
                {"source": str(m.source), "target": m.target, "read_only": m.read_only}
                for m in plan.mounts
            ],
        }
    )


def _read_once(pipe: int) -> bytes:
    try:
        return os.read(pipe, 4096)
    finally:
        os.close(pipe)
