"""Leads one container of a pod: start, probes, restarts with back-off, and the end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from tests.cluster import images
from tests.cluster.agent import container, probing, restarting, status, variables

Json = dict[str, Any]

_RETRY_CONFIG_S = 1.0


class Lifecycle:
    """One container's life. `shown` is what is known of it; `changed` is called when that changes.

    `plan()` says how to start it (raises `variables.ConfigError` or `images.UnknownImageError` when
    it cannot be started yet); `prober(process)` asks its probes.
    """

    def __init__(
        self,
        manifest: Json,
        *,
        policy: restarting.Policy,
        grace_s: float,
        plan: Callable[[], Awaitable[container.Plan]],
        prober: Callable[[container.Container], probing.Prober],
        changed: Callable[[], None],
    ) -> None:
        self.shown = status.Container(manifest["name"], manifest["image"])
        self._manifest = manifest
        self._policy = policy
        self._grace_s = grace_s
        self._plan = plan
        self._prober = prober
        self._changed = changed
        self._back_off = restarting.BackOff()
        self._process: container.Container | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended, and well."""
        return isinstance(self.shown.state, status.Terminated) and self.shown.state.exit_code == 0

    def wait_for(self, message: str) -> None:
        """Show what the container is waiting for before its first start."""
        self._show(state=status.Waiting("ContainerCreating", message))

    async def run(self) -> None:
        """Keep it running; returns when it has ended and is not to be started again."""
        while True:
            started = _now()
            end = await self._run_once()
            self._show(state=end, passing=False, started=False)
            if not self._policy.restarts(end.exit_code):
                return
            ran_for_s = (end.finished - started).total_seconds()
            await self._back_off_after(end, self._back_off.next_delay_s(ran_for_s=ran_for_s))

    async def end(self, *, grace_s: float) -> None:
        """End it in order: preStop hook, SIGTERM, after the grace period SIGKILL."""
        process = self._process
        if not process:
            return
        deadline = asyncio.get_running_loop().time() + grace_s
        await self._pre_stop(process, grace_s=grace_s)
        left_s = max(deadline - asyncio.get_running_loop().time(), 0.1)
        code = await process.end(grace_s=left_s)
        if isinstance(self.shown.state, status.Running):
            self._show(state=status.Terminated(code, self.shown.state.since, _now()))

    async def _run_once(self) -> status.Terminated:
        try:
            process = await container.Container.start(await self._plan_when_possible())
        except container.StartError as error:
            return status.Terminated(128, _now(), _now(), str(error), failed_to_start=True)
        self._process = process
        since = _now()
        self._show(
            state=status.Running(since),
            started="startupProbe" not in self._manifest,
            passing="readinessProbe" not in self._manifest,
        )
        code = await self._until_ended(process)
        self._process = None
        return status.Terminated(code, since, _now())

    async def _plan_when_possible(self) -> container.Plan:
        while True:
            try:
                return await self._plan()
            except variables.ConfigError as error:
                self._show(state=status.Waiting("CreateContainerConfigError", str(error)))
            except images.UnknownImageError as error:
                self._show(state=status.Waiting("ImagePullBackOff", str(error)))
            await asyncio.sleep(_RETRY_CONFIG_S)

    async def _until_ended(self, process: container.Container) -> int:
        ended = asyncio.create_task(process.wait())
        unhealthy = asyncio.create_task(self._watch_health(self._prober(process)))
        try:
            await asyncio.wait([ended, unhealthy], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                unhealthy.result()
                await process.end(grace_s=self._grace_s)
            return await ended
        finally:
            ended.cancel()
            unhealthy.cancel()

    async def _watch_health(self, prober: probing.Prober) -> None:
        """Return when the container is to be ended for a failed startup or liveness probe."""
        startup = probing.Probe.of(self._manifest, "startupProbe")
        if startup:
            async for passed in _verdicts(startup, prober):
                if not passed:
                    return
                self._show(started=True)
                break
        watches = [
            asyncio.create_task(self._watch_readiness(prober)),
            asyncio.create_task(self._watch_liveness(prober)),
        ]
        try:
            done, _ = await asyncio.wait(watches, return_when=asyncio.FIRST_COMPLETED)
            done.pop().result()
        finally:
            for watch in watches:
                watch.cancel()

    async def _watch_readiness(self, prober: probing.Prober) -> None:
        probe = probing.Probe.of(self._manifest, "readinessProbe")
        if not probe:
            await asyncio.Event().wait()
            return
        async for passed in _verdicts(probe, prober):
            self._show(passing=passed)

    async def _watch_liveness(self, prober: probing.Prober) -> None:
        probe = probing.Probe.of(self._manifest, "livenessProbe")
        if not probe:
            await asyncio.Event().wait()
            return
        async for passed in _verdicts(probe, prober):
            if not passed:
                return

    async def _back_off_after(self, end: status.Terminated, delay_s: float) -> None:
        if delay_s:
            reason = f"back-off {delay_s:.0f}s restarting failed container={self.shown.name}"
            self._show(state=status.Waiting("CrashLoopBackOff", reason), last=end)
            await asyncio.sleep(delay_s)
        self._show(last=end, restarts=self.shown.restarts + 1)

    async def _pre_stop(self, process: container.Container, *, grace_s: float) -> None:
        hook = self._manifest.get("lifecycle", {}).get("preStop")
        if not hook:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                if "sleep" in hook:
                    await asyncio.sleep(hook["sleep"]["seconds"])
                else:
                    await self._prober(process).run_hook(hook)

    def _show(self, **changes: Any) -> None:
        shown = self.shown.but(**changes)
        if shown != self.shown:
            self.shown = shown
            self._changed()


async def _verdicts(probe: probing.Probe, prober: probing.Prober) -> AsyncIterator[bool]:
    """Ask at the probe's period, for ever; gives each verdict its results bring."""
    tally = probing.Tally(probe)
    await asyncio.sleep(probe.initial_delay_s)
    while True:
        asked = asyncio.get_running_loop().time()
        verdict = tally.count(success=await prober.ask(probe))
        if verdict is not None:
            yield verdict
        took_s = asyncio.get_running_loop().time() - asked
        await asyncio.sleep(max(probe.period_s - took_s, 0))


def _now() -> datetime:
    return datetime.now(UTC)
