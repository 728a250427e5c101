"""`modelrollout wait`: by a watch, until the target is promoted, rejected or undecided.

The watch may drop, and the apiserver may be away for a while: the object is read again, and only
the time given by the user ends the waiting.
"""

import random
import sys
import time
from dataclasses import dataclass

from modelrollout.api import scalars
from modelrollout.cli import outcome
from modelrollout.cli.cluster import AbsentError, Cluster, Json
from modelrollout.cli.failing import Exit, ExpiredError, Failure, LostError

_RENEWED_S = 60
"""A watch lasts no longer, so that a connection that died in silence is noticed."""
_TOO_SHORT_S = 0.5
"""A watch that ends sooner is trouble: the next try waits, each time longer."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


@dataclass(slots=True)
class Waiting:
    """One wait: for whom, until when, and what was said of it last.

    Attributes:
        name: of the rollout.
        awaited: the version to be promoted; "" for whichever is the target at first sight.
        until: end of the time, of the monotonic clock.
    """

    name: str
    awaited: str
    until: float
    met: bool = False
    last: str = ""
    lost: str = ""
    pause_s: float = _FIRST_PAUSE_S

    @property
    def left_s(self) -> float:
        """Seconds left, 0 when the time is up."""
        return max(0.0, self.until - time.monotonic())

    def judge(self, rollout: Json) -> outcome.Outcome | None:
        """Tells the change, if there is one, and gives the outcome once there is one."""
        seen = outcome.seen(rollout)
        self.awaited = self.awaited or seen.target
        if seen.target != self.awaited:
            self.tell(f"{self.name}: waiting for {self.awaited}: the target is {seen.target}")
            return outcome.withdrawn(seen, awaited=self.awaited) if self.met else None
        self.met = True
        found = outcome.of(seen, awaited=self.awaited)
        if found is None:
            self.tell(outcome.line(seen))
        return found

    def tell(self, line: str) -> None:
        """One line on stderr, once."""
        if line != self.last:
            self.last = line
            _say(line)

    def endure(self, problem: LostError) -> None:
        """Tells a trouble, once until a watch has lasted again, and waits a little."""
        if str(problem) != self.lost:
            self.lost = str(problem)
            _say(f"{self.name}: {problem}; trying again")
        time.sleep(min(self.left_s, self.pause_s * random.uniform(0.5, 1.5)))  # noqa: S311
        self.pause_s = min(_LONGEST_PAUSE_S, 2.0 * self.pause_s)

    def recovered(self) -> None:
        """A watch has lasted: the next trouble is a new one."""
        self.pause_s, self.lost = _FIRST_PAUSE_S, ""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def wait(cluster: Cluster, name: str, *, for_target: str, timeout_s: float) -> Exit:
    """Waits for the outcome of a rollout, prints it on stdout and gives the exit status.

    Args:
        cluster: with the namespace of the rollout.
        name: of the rollout.
        for_target: the version that is to be promoted, which may become the target only while we
            wait; "" for the present target.
        timeout_s: longest time.

    Raises:
        Failure: when there is no such rollout, it is deleted meanwhile, or access is refused.
    """
    waiting = Waiting(name, for_target, time.monotonic() + timeout_s)
    found = _settled(cluster, waiting)
    if found is None:
        spoken = scalars.duration(timeout_s)
        because = waiting.lost or waiting.last or "nothing was seen"
        found = outcome.Outcome(Exit.TIMEOUT, f"{name}: timeout after {spoken}: {because}")
    print(found.sentence, flush=True)
    return found.code


def _settled(cluster: Cluster, waiting: Waiting) -> outcome.Outcome | None:
    known = ""
    while True:
        try:
            rollout = _read(cluster, waiting, known=known)
            known = str(rollout["metadata"]["uid"])
            found = waiting.judge(rollout) or _watched(cluster, waiting, rollout)
        except LostError as problem:
            waiting.endure(problem)
            found = None
        if found is not None or waiting.left_s <= 0:
            return found


def _read(cluster: Cluster, waiting: Waiting, *, known: str) -> Json:
    try:
        rollout = cluster.read(waiting.name)
    except AbsentError:
        if not known:
            raise
        raise _deleted(waiting) from None
    if known and rollout["metadata"]["uid"] != known:
        raise _deleted(waiting)
    return rollout


def _watched(cluster: Cluster, waiting: Waiting, rollout: Json) -> outcome.Outcome | None:
    """The outcome, or None when this watch is over: expired, or as long as was agreed."""
    if waiting.left_s <= 0:
        return None
    length_s, begun = max(1, min(_RENEWED_S, round(waiting.left_s))), time.monotonic()
    since = str(rollout["metadata"]["resourceVersion"])
    try:
        for event in cluster.watch(waiting.name, since=since, length_s=length_s):
            if event.rollout is None:
                raise _deleted(waiting)
            if (found := waiting.judge(event.rollout)) is not None:
                return found
            if waiting.left_s <= 0:
                return None
    except ExpiredError:
        pass
    if time.monotonic() - begun < _TOO_SHORT_S:
        raise LostError("the watch ended at once")
    waiting.recovered()
    return None


def _deleted(waiting: Waiting) -> Failure:
    return Failure(f"{waiting.name} was deleted while it was waited for; last seen: {waiting.last}")
