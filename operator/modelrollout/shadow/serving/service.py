"""The observer put together: built from its configuration, started, and ended on a signal."""

import asyncio
import json
import signal
import sys
import time
from dataclasses import dataclass

import aiohttp

from modelrollout.shadow import examples, redacting
from modelrollout.shadow.serving import (
    asking,
    budget,
    comparing,
    config,
    declaring,
    ext_proc,
    ledger,
    mirror,
    operations,
    showing,
    taking,
)


@dataclass(slots=True)
class Core:
    """What all fronts share."""

    book: ledger.Ledger
    door: taking.Door
    shown: showing.Shown
    comparer: comparing.Comparer
    sessions: tuple[aiohttp.ClientSession, ...]


def built(chosen: config.Config) -> Core:
    """Everything but the fronts; a loop must be running.

    Raises:
        ValueError: on paths and tasks that are none.
    """
    book = ledger.Ledger(
        labels=chosen.labels,
        most_series=chosen.budget.series,
        slices=() if chosen.slices is None else tuple(chosen.slices.values),
    )
    room = budget.Budget(chosen.budget.requests, chosen.budget.bytes)
    door = taking.Door(chosen, book, room, time.monotonic)
    shown = showing.Shown(
        examples.Ring(most=chosen.examples.most, keep_s=chosen.examples.keep),
        redacting.Redaction(declaring.places(chosen.examples.fields), chosen.examples.keep_text),
    )
    candidate, stable, control = (
        _model(chosen, base)
        for base in (chosen.models.candidate, chosen.models.stable, chosen.control)
    )
    if candidate is None:
        raise ValueError("expected a candidate")
    comparer = comparing.Comparer(
        how=_how(chosen),
        models=comparing.Models(candidate, stable, control),
        door=door,
        book=book,
        shown=shown,
    )
    models = (candidate, stable, control)
    return Core(book, door, shown, comparer, tuple(model.session for model in models if model))


def _model(chosen: config.Config, base: str | None) -> asking.Model | None:
    if base is None:
        return None
    return asking.Model(
        base=base,
        session=asking.session(
            connections=chosen.budget.concurrency, timeout_s=chosen.timeouts.total
        ),
        late_s=chosen.timeouts.late,
        most_bytes=chosen.budget.answer_bytes,
    )


def _how(chosen: config.Config) -> comparing.Comparing:
    return comparing.Comparing(
        protocol=declaring.protocol(chosen.protocol),
        task=declaring.task(chosen.task),
        most_bytes=chosen.budget.answer_bytes,
        limits_s=tuple(chosen.timeouts.limits),
        allowed=frozenset(chosen.eligible.credentials),
        staleness_s=chosen.budget.staleness,
    )


async def run(chosen: config.Config) -> None:
    """Listen until SIGTERM or SIGINT.

    Raises:
        OSError: when a port is taken.
        ValueError: see `built`.
    """
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    core = built(chosen)
    fronts, ports = await _started(chosen, core, ended)
    _say("listening", **ports)
    try:
        await ended.wait()
    finally:
        core.door.closed = True
        for front in reversed(fronts):
            await front.stop()
        await core.comparer.stop()
        for session in core.sessions:
            await session.close()
        _say("ended", seen=core.book.seen, settled=core.book.ended())


Front = mirror.Mirror | operations.Operations | ext_proc.ExtProc


async def _started(
    chosen: config.Config, core: Core, ended: asyncio.Event
) -> tuple[list[Front], dict[str, int]]:
    host, where = chosen.fronts.host, chosen.fronts
    core.comparer.start(chosen.budget.concurrency)
    doors = operations.Operations(
        core.book,
        core.shown,
        token_file=chosen.examples.token_file,
        ready=lambda: not ended.is_set(),
    )
    fronts: list[Front] = [doors]
    ports = {"operations": await doors.start(host, where.operations)}
    if where.mirror is not None:
        front = mirror.Mirror(core.door, core.comparer)
        fronts.append(front)
        ports["mirror"] = await front.start(host, where.mirror)
    if where.ext_proc is not None:
        tee = ext_proc.ExtProc(
            core.door,
            core.comparer,
            most_answer_bytes=chosen.budget.answer_bytes,
            overheard_s=chosen.timeouts.overheard,
            token_file=where.token_file,
        )
        fronts.append(tee)
        ports["extProc"] = await tee.start(host, where.ext_proc)
    return fronts, ports


def _say(message: str, **facts: object) -> None:
    line = {"level": "info", "message": message, **facts}
    print(json.dumps(line), file=sys.stdout, flush=True)  # noqa: T201 - its log
