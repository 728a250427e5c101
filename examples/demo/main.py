"""`make demo`: four releases on a real control plane, with real models and users, in five minutes.

Run inside the local cluster (`python -m tests.cluster run -- python -m examples.demo.main`). Exits
0 only if every act ended as it should. `SEED` fixes the users' randomness; `KEEP=1` tells at the
end how to look around.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from rich.console import Console
from rich.live import Live

from examples.demo import acts, stage, streams, table
from examples.demo.acts import Act, Ended, Outcome
from examples.demo.streams import Users
from examples.demo.world import Met, World
from modelrollout.api.spec import ErrorRate
from tests.cluster.handle import Cluster

_FRAME_S: Final = 0.25
_AFTERMATH_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Played:
    """An act that was played.

    Attributes:
        act: which.
        ended: how it ended.
        took_s: from the change of `target` to the end.
        met: what users met in it alone.
    """

    act: Act
    ended: Ended
    took_s: float
    met: Met

    @property
    def well(self) -> bool:
        """It ended as it should."""
        return self.ended.as_it_should(self.act)


def during(before: Met, after: Met) -> Met:
    """What users met between two reports; users, first and last are those of the later one."""
    return Met(
        at=after.at,
        sent=after.sent - before.sent,
        answered={v: n - before.answers(v) for v, n in after.answered.items()},
        failed={k: n - before.failed.get(k, 0) for k, n in after.failed.items()},
        users=after.users,
        first=after.first,
        last=after.last,
        p50_ms=after.p50_ms,
        p99_ms=after.p99_ms,
    )


def main() -> int:
    """Play the demo; gives the exit status."""
    cluster = Cluster.from_environment()
    console = Console(highlight=False)
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1_000_000))
    try:
        return asyncio.run(Demo(cluster, console, seed=seed).play())
    except KeyboardInterrupt:
        console.print("\nstopped: the cluster goes down")
        return 130


class Demo:
    """The whole play."""

    def __init__(self, cluster: Cluster, console: Console, *, seed: int) -> None:
        self._cluster = cluster
        self._console = console
        self._seed = seed
        self._world = World()

    async def play(self) -> int:
        """From an empty cluster to the summary; gives the exit status."""
        self._console.rule("[bold]modelrollout: four releases")
        await self._build_stage()
        users = Users(rate=acts.RATE, seed=self._seed)
        async with (
            streams.watching(self._cluster, self._world),
            streams.traffic(self._cluster, self._world, users),
        ):
            await self._until(lambda: self._world.met.answers("v1") > 0, "the first answer")
            played = [await self._act(act, number=number) for number, act in enumerate(acts.ACTS)]
        self._summary(played)
        if os.environ.get("KEEP") == "1":
            self._console.print("\n" + self._cluster.usage())
        return 0 if all(act.well for act in played) else 1

    async def _build_stage(self) -> None:
        self._console.print(f"seed {self._seed} (repeat these users with SEED={self._seed})\n")
        self._console.print("the models, on handwritten digits they have never seen:")
        for line in await asyncio.to_thread(stage.measured):
            self._console.print("  " + line)
        self._console.print()
        together = (("CRD and operator, by its chart", stage.install_operator),)
        for what, build in (
            *together,
            ("models and labels", stage.deploy),
            ("rollout", stage.begin),
        ):
            await self._step(what, build)

    async def _step(self, what: str, build: Callable[[Cluster], None]) -> None:
        started = time.monotonic()
        self._console.print(f"  {what} …", end=" ")
        await asyncio.to_thread(build, self._cluster)
        self._console.print(f"ready after {time.monotonic() - started:.0f} s")

    async def _until(self, true: Callable[[], bool], what: str, *, timeout_s: float = 30) -> None:
        async def wait() -> None:
            while not true():
                await self._world.change()

        try:
            await asyncio.wait_for(wait(), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"expected {what} within {timeout_s:.0f} s, saw none") from None

    async def _act(self, act: Act, *, number: int) -> Played:
        world = self._world
        stable = world.status.stable.name if world.status.stable else "?"
        self._console.print()
        self._console.rule(f"[bold]act {number} · target: {act.target}[/] · {act.story}")
        self._console.print(f"in production: {stable}. kubectl patch … target: {act.target}\n")
        before, since = world.met, time.time()
        await asyncio.to_thread(stage.retarget, self._cluster, act.target)
        ended = await self._watch(act, since=since)
        took_s = time.time() - since
        await asyncio.sleep(_AFTERMATH_S)  # what is under way still belongs to the act
        played = Played(act, ended, took_s, during(before, world.met))
        self._console.print(self._verdict(played))
        return played

    async def _watch(self, act: Act, *, since: float) -> Ended:
        world, deadline = self._world, since + acts.LONGEST_S
        with _Screen(self._console, world, act, since=since) as screen:
            while time.time() < deadline:
                screen.draw()
                await asyncio.sleep(_FRAME_S)
                if world.answered_up_to_date:
                    ended = acts.ended(act, world.status, since=since)
                    if ended is not None:
                        screen.draw()
                        return ended
        return Ended(Outcome.UNDECIDED)

    def _verdict(self, played: Played) -> str:
        act, met = played.act, played.met
        mark = "[green]✓[/]" if played.well else "[red]✗[/]"
        how = f"[bold]{act.target} {played.ended.outcome}[/] after {played.took_s:.0f} s"
        lines = [f"\n{mark} {how}: {played.ended.reason}"]
        if act.expected is Outcome.ROLLED_BACK:
            lines.append(
                f"  {met.users.get(act.target, 0)} of 500 users met {act.target}, in "
                f"{met.answers(act.target)} answers over {met.lasted_s(act.target):.0f} s; "
                f"{met.failures} of {met.sent:,} requests failed meanwhile"
            )
        else:
            lines.append(f"  {met.sent:,} requests meanwhile, {met.failures} failed")
        if act.healthy and played.ended.outcome is Outcome.ROLLED_BACK:
            lines.append(luck())
        return "\n".join(lines)

    def _summary(self, played: list[Played]) -> None:
        self._console.print()
        self._console.rule("[bold]summary")
        for number, act in enumerate(played):
            mark = "[green]✓[/]" if act.well else "[red]✗[/]"
            wanted = "" if act.well else f" (should have been {act.act.expected})"
            self._console.print(
                f"{mark} act {number}: {act.act.target} {act.ended.outcome}{wanted} after "
                f"{act.took_s:.0f} s, met by {act.met.users.get(act.act.target, 0)} users, "
                f"{act.met.failures} requests failed"
            )


def luck() -> str:
    """What is to be said when a healthy model is rolled back."""
    rate = ErrorRate().false_rollback
    return (
        f"  nothing is wrong with this model: it was rolled back by chance, which happens in "
        f"{rate:.0%} of such rollouts at most, as stated (analysis.errorRate.falseRollback). "
        f"Run the demo again for another draw."
    )


class _Screen:
    """A live picture on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console, world: World, act: Act, *, since: float) -> None:
        self._console = console
        self._world, self._act, self._since = world, act, since
        self._lines = table.Lines(since)
        self._live = (
            Live(console=console, refresh_per_second=4, auto_refresh=False)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def draw(self) -> None:
        """Show what is known now."""
        now = time.time()
        if self._live:
            picture = table.picture(self._world, self._act, now=now, since=self._since)
            self._live.update(picture, refresh=True)
            return
        for line in self._lines.fresh(self._world, self._act, now=now):
            self._console.print(line)


if __name__ == "__main__":
    sys.exit(main())
