"""The operator as a process: every part made, started and stopped in its order."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Final

import kopf

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver
from modelrollout.adapters.gate import Gate, GateClosedError
from modelrollout.adapters.informed import Informed
from modelrollout.adapters.observers import Observers
from modelrollout.adapters.prometheus import Sources
from modelrollout.controller import watching
from modelrollout.controller.clock import Clock
from modelrollout.controller.config import Config
from modelrollout.controller.elector import Elector
from modelrollout.controller.health import Health
from modelrollout.controller.instruments import Instruments
from modelrollout.controller.observing import Observer
from modelrollout.controller.queue import Key, Queue
from modelrollout.controller.reconciling import Reconciler
from modelrollout.controller.recorder import Recorder
from modelrollout.controller.rights import Rights
from modelrollout.controller.routers import Routers

log = logging.getLogger(__name__)

WORKERS: Final = 12
SWEEP_S: Final = 600.0
_DRAIN_S: Final = 10.0
_STUCK_S: Final = 120.0
"""A pass longer than this means that the process is not well."""


class Service:
    """One replica of the operator."""

    def __init__(self, config: Config, apiserver: Apiserver, *, gate: Gate, identity: str) -> None:
        clock = Clock()
        self._config, self._apiserver, self._now = config, apiserver, clock.now
        self._queue = Queue(now=clock.now)
        self._instruments = Instruments()
        self._sources = Sources(config.sources)
        self._recorder = Recorder(apiserver, instance=identity)
        self._instruments.events_dropped.set_function(lambda: self._recorder.dropped)
        self._elector = Elector(
            apiserver,
            gate=gate,
            namespace=config.lease.namespace,
            name=config.lease.name,
            identity=identity,
        )
        self._informed = Informed(apiserver)
        self._routers = Routers(config, apiserver, self._informed, took_over=self._queue.add)
        asked = config.shadow
        observers = Observers(asked.image, asked.pull_secrets) if asked else Observers()
        self._observer = Observer(
            apiserver,
            self._sources,
            informed=self._informed,
            routers=self._routers,
            namespaces=config.namespaces,
            verified_intents=config.verified_intents,
            may_hold=config.hold_autoscalers,
            observers=observers,
        )
        self._reconciler = Reconciler(
            apiserver,
            observer=self._observer,
            sources=self._sources,
            recorder=self._recorder,
            queue=self._queue,
            instruments=self._instruments,
            routers=self._routers,
            providers_off=config.providers_off,
            rights=Rights(
                smoke_tests=config.smoke_tests,
                park_old=config.park_old,
                shadow=config.shadow is not None,
            ),
            observers=observers,
            now=clock.now,
        )
        self._health = Health(self._instruments, live=self._live, ready=self._ready)
        self._leading, self._stop, self._watches = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._passes: dict[Key, float] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._lost = False

    async def run(self) -> int:
        """Runs until a signal comes, the Lease is lost or a watch fails for good.

        Returns:
            The exit status: 0 after a signal, 1 otherwise.
        """
        await self._health.start(self._config.port)
        await self._routers.start()
        # kopf cancels at its end what was started after it, so our tasks come first.
        tasks = [
            asyncio.create_task(self._lead(), name="lead"),
            asyncio.create_task(self._recorder.run(), name="record"),
            asyncio.create_task(self._sweep(), name="sweep"),
            *(asyncio.create_task(self._work(), name=f"work-{n}") for n in range(WORKERS)),
        ]
        try:
            await kopf.operator(
                registry=watching.registry(
                    self._queue,
                    self._reconciler.index,
                    known=self._informed,
                    route_changed=self._observer.route_changed,
                    routers=self._routers.shelf,
                    providers_off=self._config.providers_off,
                ),
                settings=watching.settings(),
                stop_flag=self._stop,
                ready_flag=self._watches,
                standalone=True,
                clusterwide=not self._config.namespaces,
                namespaces=self._config.namespaces,
            )
        finally:
            await self._drain(tasks)
        return 1 if self._lost else 0

    async def _drain(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Lets passes end, writes the last events, gives the Lease back."""
        self._leading.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), _DRAIN_S)
        await self._recorder.flush(within_s=2.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._elector.release()
        await self._routers.stop()
        await self._sources.close()
        await self._health.stop()
        await self._apiserver.close()

    async def _lead(self) -> None:
        await self._elector.acquire()
        await self._know_all()
        self._instruments.leads.set(1)
        self._leading.set()
        await self._elector.hold()
        self._leading.clear()
        self._instruments.leads.set(0)
        # What this process knows may be old by now: a fresh one starts in a second.
        self._lost = True
        self._stop.set()

    async def _know_all(self) -> None:
        """Every rollout is understood before the first is acted on, so that claims are in order."""
        while True:
            try:
                found = await self._all()
                break
            except ApiError as problem:
                log.warning("the rollouts cannot be listed: %s", problem)
                await asyncio.sleep(1.0)
        for key, live in found.items():
            self._reconciler.understand(key, live)
            self._queue.add(key)
        for key in self._reconciler.index.keys - found.keys():
            self._queue.add(key)
        self._instruments.rollouts.set(len(found))

    async def _all(self) -> dict[Key, dict[str, object]]:
        found = await self._apiserver.everywhere(kinds.ROLLOUT, self._config.namespaces)
        return {(live["metadata"]["namespace"], live["metadata"]["name"]): live for live in found}

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            if self._leading.is_set():
                await self._know_all()

    async def _work(self) -> None:
        while True:
            await self._leading.wait()
            key = await self._queue.take()
            if not self._leading.is_set():
                self._queue.done(key)
                self._queue.add(key)
                continue
            if (due := self._queue.due.pop(key, None)) is not None:
                self._instruments.lateness_seconds.observe(max(0.0, self._now() - due))
            self._passes[key] = time.monotonic()
            self._idle.clear()
            outcome = await self._pass(key)
            self._passes.pop(key, None)
            if not self._passes:
                self._idle.set()
            self._instruments.passes.labels(outcome).inc()
            self._instruments.queued.set(len(self._queue))

    async def _pass(self, key: Key) -> str:
        try:
            await self._reconciler.reconcile(key)
        except GateClosedError:
            self._queue.done(key)
            return "not leading"
        except ApiError as problem:
            pause_s = self._queue.failed(key)
            if not problem.is_conflict:
                log.warning(
                    "%s", problem, extra={"rollout": "/".join(key), "againInS": round(pause_s, 2)}
                )
            return "conflict" if problem.is_conflict else "refused"
        except Exception:
            self._queue.failed(key)
            log.exception("a pass failed", extra={"rollout": "/".join(key)})
            return "failed"
        self._queue.done(key)
        return "done"

    def _live(self) -> str:
        now = time.monotonic()
        stuck = ["/".join(key) for key, since in self._passes.items() if now - since > _STUCK_S]
        return f"passes take too long: {', '.join(stuck)}" if stuck else ""

    def _ready(self) -> str:
        return "" if self._watches.is_set() else "the watches have not been established yet"
