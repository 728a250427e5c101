"""Hard guards: what needs no statistics. Crash loops, OOM kills, lost endpoints, a lost stable."""

from modelrollout.api import scalars
from modelrollout.domain.observed import VersionSeen
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason

MOST_RESTARTS = 2
"""Restarts under traffic from which on a candidate that restarts more than stable is crashing."""


def arms(turn: Pass) -> tuple[VersionSeen, VersionSeen]:
    """The candidate and the version that would take its traffic back."""
    candidate, back = turn.status.candidate, turn.status.previous or turn.status.stable
    return (
        turn.seen(candidate.name) if candidate else VersionSeen(),
        turn.seen(back.name) if back else VersionSeen(),
    )


def crash(turn: Pass) -> Reason | None:
    """Why the candidate crashes more than stable, None when it does not."""
    candidate, stable = arms(turn)
    name = turn.status.candidate.name if turn.status.candidate else ""
    if _killed(turn, candidate, "candidate") > _killed(turn, stable, "stable"):
        pods = ", ".join(sorted(candidate.oom_killed))
        return Reason(Code.CRASHING, f"{name} was killed for lack of memory (pods {pods})")
    if candidate.crash_looping and not stable.crash_looping:
        pods = ", ".join(sorted(candidate.crash_looping))
        return Reason(Code.CRASHING, f"{name} is in a crash loop (pods {pods})")
    mine, theirs = _restarts(turn, candidate, "candidate"), _restarts(turn, stable, "stable")
    if mine >= MOST_RESTARTS and mine > 2 * theirs:
        return Reason(
            Code.CRASHING,
            f"{name} restarted {mine} times since it got traffic, stable {theirs} times",
        )
    return None


def _restarts(turn: Pass, seen: VersionSeen, arm: str) -> int:
    before = turn.rollout.restarts.get(arm, 0)
    return max(0, sum(seen.restarts.values()) - before)


def _killed(turn: Pass, seen: VersionSeen, arm: str) -> int:
    return max(0, len(seen.oom_killed) - turn.rollout.restarts.get(f"{arm}Killed", 0))


def remember_restarts(turn: Pass) -> None:
    """Restarts and kills from before the candidate got traffic are not held against it."""
    candidate, stable = arms(turn)
    turn.put_rollout(
        restarts={
            "candidate": sum(candidate.restarts.values()),
            "stable": sum(stable.restarts.values()),
            "candidateKilled": len(candidate.oom_killed),
            "stableKilled": len(stable.oom_killed),
        }
    )


def endpoints(turn: Pass) -> Reason | None:
    """Notices that a candidate with weight lost all its endpoints, or has them again.

    Returns:
        Why it must be rolled back: it stayed away longer than `progressDeadline`.
    """
    candidate, _ = arms(turn)
    rollout, name = turn.rollout, turn.status.candidate.name if turn.status.candidate else ""
    if candidate.ready > 0:
        if rollout.unready_since is not None:
            turn.put_rollout(unready_since=None)
            turn.tell(Code.STEP_RUNNING, f"{name} has ready endpoints again: back to its step")
        return None
    if rollout.unready_since is None:
        turn.put_rollout(unready_since=turn.now)
        sentence = f"{name} has no ready endpoint: its weight is 0 until it has"
        turn.tell(Code.NO_ENDPOINTS, sentence, warning=True)
        return None
    if turn.now - rollout.unready_since < turn.spec.progress_deadline:
        return None
    allowed = scalars.duration(turn.spec.progress_deadline)
    sentence = f"{name} had no ready endpoint for {allowed}{_why(candidate)}"
    return Reason(Code.NO_ENDPOINTS, sentence)


def _why(seen: VersionSeen) -> str:
    return f": {seen.trouble}" if seen.trouble else ""


def never_ready(turn: Pass) -> Reason | None:
    """Why a candidate that is not ready in time must be given up."""
    candidate, _ = arms(turn)
    if not_ready(turn) is None:
        turn.put_rollout(step_clock_s=0.0)  # what else it waits for is not its own fault
        return None
    if turn.rollout.step_clock_s < turn.spec.progress_deadline:
        return None
    name = turn.status.candidate.name if turn.status.candidate else ""
    allowed = scalars.duration(turn.spec.progress_deadline)
    return Reason(
        Code.PROGRESS_DEADLINE, f"{name} did not get ready within {allowed}{_why(candidate)}"
    )


def not_ready(turn: Pass) -> Reason | None:
    """What the candidate still lacks before it may get traffic."""
    candidate, _ = arms(turn)
    name = turn.status.candidate.name if turn.status.candidate else ""
    if not candidate.backend_exists or candidate.workload_exists is False:
        return Reason(Code.WAITING_FOR_CANDIDATE, f"{name} is not deployed any more")
    if candidate.ready == 0:
        return Reason(
            Code.WAITING_FOR_CANDIDATE, f"{name} has no ready endpoint yet{_why(candidate)}"
        )
    first, wanted = turn.steps()[0].share, max(candidate.wanted or 0, candidate.ready)
    if scalars.PARTS * candidate.ready < first * wanted:
        return Reason(
            Code.CAPACITY,
            f"{name} has {candidate.ready} of {wanted} pods ready{_why(candidate)}",
        )
    return None


def stable_trouble(turn: Pass) -> Reason | None:
    """Why stable could not take all traffic, None when it can."""
    back = turn.status.previous or turn.status.stable
    if back is None:
        return None
    seen = turn.seen(back.name)
    if turn.written(back.name) is None:
        return Reason(
            Code.STABLE_GONE,
            f"{back.name}, which {_does(turn)}, is no longer among the versions of "
            "the spec: list it again, or go on without a way back",
        )
    if not seen.backend_exists or seen.workload_exists is False:
        return Reason(
            Code.STABLE_GONE,
            f"{back.name}, which {_does(turn)}, is not deployed any more: deploy it again; "
            "nothing is moved meanwhile",
        )
    if seen.ready == 0:
        return Reason(
            Code.STABLE_UNHEALTHY,
            f"{back.name} has no ready endpoint{_why(seen)}: nothing is returned to it blindly",
        )
    return None


def _does(turn: Pass) -> str:
    return "could take the traffic back" if turn.status.previous else "serves"


def alert_stable(turn: Pass) -> None:
    """Tells once that stable is gone or unhealthy while it should serve."""
    trouble = stable_trouble(turn)
    if trouble is None:
        return
    known = next((c for c in turn.status.conditions if c.type == "Ready"), None)
    if known is None or known.reason != trouble.code:
        turn.tell(trouble.code, trouble.sentence, warning=True)
