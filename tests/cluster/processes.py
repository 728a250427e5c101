"""Long-running processes of the cluster: each with a log file, and all of them watched.

They get sessions of their own, so that Ctrl-C on the terminal reaches the user's command only.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path


class ProcessDiedError(Exception):
    """A part of the cluster ended though it should not; the message ends with its last words."""


class Processes:
    """Starts processes and notices when one ends; must be made inside the event loop."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._watchers: set[asyncio.Task[None]] = set()
        self._failure: asyncio.Future[ProcessDiedError] = asyncio.get_running_loop().create_future()

    async def start(
        self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None
    ) -> None:
        """Start `command`, with its output in `<name>.log`."""
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._watchers.add(asyncio.create_task(self._watch(name, process, log)))

    async def failed(self) -> None:
        """Never return, but raise `ProcessDiedError` as soon as any of them has ended."""
        raise await asyncio.shield(self._failure)

    async def _watch(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        status = await process.wait()
        tail = await asyncio.to_thread(_last_words, log)
        if not self._failure.done():
            self._failure.set_result(
                ProcessDiedError(f"{name} ended with status {status}; its last words:\n{tail}")
            )


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
