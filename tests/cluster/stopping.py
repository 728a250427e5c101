"""How the cluster learns that it shall end: a signal, a word from outside, or outside is gone."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import TypeVar

from tests.cluster import isolation, processes

_T = TypeVar("_T")


class StoppedError(Exception):
    """The cluster was asked to end before its work was done."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.number = number


class Stop:
    """Listens for the wish to end, from now on; must be made inside the event loop."""

    def __init__(self, lifeline: int) -> None:
        self._asked: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        self._lifeline = lifeline
        loop = asyncio.get_running_loop()
        loop.add_reader(lifeline, self._hear)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._ask, number)

    async def asked(self) -> None:
        """Never return, but raise `StoppedError` when the wish comes."""
        raise StoppedError(await asyncio.shield(self._asked))

    def _hear(self) -> None:
        word = os.read(self._lifeline, 1)
        if not word:
            asyncio.get_running_loop().remove_reader(self._lifeline)
        self._ask(signal.SIGINT if word == isolation.INTERRUPT else signal.SIGTERM)

    def _ask(self, number: signal.Signals) -> None:
        if not self._asked.done():
            self._asked.set_result(number)


async def unless_stopped(
    work: Coroutine[None, None, _T], *, stop: Stop, running: processes.Processes
) -> _T:
    """The result of `work`; cancels it and raises when asked to stop or when a process dies."""
    task = asyncio.create_task(work)
    alarms = [asyncio.create_task(stop.asked()), asyncio.create_task(running.failed())]
    done, pending = await asyncio.wait([task, *alarms], return_when=asyncio.FIRST_COMPLETED)
    for other in pending:
        other.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if task in done:
        return task.result()
    for alarm in alarms:
        if alarm in done:
            alarm.result()
    raise AssertionError("an alarm ends only by raising")
