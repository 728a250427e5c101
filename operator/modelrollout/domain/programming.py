"""Whether traffic follows the decision, and who else changes it; the same for every provider."""

from collections.abc import Mapping

from modelrollout.api import scalars
from modelrollout.api.status import Writer
from modelrollout.domain import previewing
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase

FIGHT_AFTER = 3
"""Foreign writes within `FIGHT_WITHIN_S` from which on a writer is called conflicting."""
FIGHT_WITHIN_S = 600.0
FIGHT_PAUSE_S = 60.0
"""How seldom weights are put back while somebody keeps fighting."""
_COARSEST = 50
"""Parts by which a route with small weights may miss the split: half a percent."""
_COUNTED = frozenset({Phase.TESTING, Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED, Phase.BAKING})


def follow(turn: Pass) -> None:
    """Confirms a split that the routes have taken over; puts back one that was changed."""
    decision, seen = turn.status.decision, turn.observed.traffic
    if not decision.shares:
        return
    if agrees(seen.shares, decision.shares) and seen.preview == decision.preview:
        if decision.confirmed_at is None and seen.programmed:
            _confirm(turn)
        return
    if decision.confirmed_at is not None:
        turn.forget_look()
        differs = not agrees(seen.shares, decision.shares)
        if differs and seen.exists and seen.shares is not None:
            _put_back(turn)


def agrees(seen: Mapping[str, int] | None, wanted: Mapping[str, int]) -> bool:
    """Whether the shares seen are the wanted ones, as closely as a route can say them."""
    if seen is None:
        return False
    names = {*seen, *wanted}
    return all(
        abs(seen.get(name, 0) - wanted.get(name, 0)) <= _COARSEST
        and (seen.get(name, 0) > 0) == (wanted.get(name, 0) > 0)
        for name in names
    )


def _confirm(turn: Pass) -> None:
    confirmed = turn.status.decision.model_copy(update={"confirmed_at": turn.now})
    turn.put(decision=confirmed)
    if phase_of(turn.status) in _COUNTED:
        turn.restart_look(turn.now + turn.spec.analysis.warm_up)


def _put_back(turn: Pass) -> None:
    old, seen = turn.status.writer, turn.observed.traffic
    name = seen.writer or "another writer"
    recent = old is not None and turn.now - old.last_at < FIGHT_WITHIN_S
    times = old.times + 1 if old is not None and recent else 1
    turn.put(writer=Writer(name=name, times=times, last_at=turn.now))
    found = _listed(seen.shares or {})
    fights = times >= FIGHT_AFTER
    turn.tell(
        Code.CONFLICTING_WRITER if fights else Code.WEIGHTS_PUT_BACK,
        f"{name} changed the weights to {found}; they are put back and the look does not count"
        + (f" ({times} times by now: stop that writer, or name routes it leaves alone)" * fights),
        warning=True,
    )


def told(shares: Mapping[str, int]) -> str:
    """That traffic is as decided, in words that hold for every provider.

    Args:
        shares: parts of ten thousand per version, as decided.
    """
    return f"requests go as decided: {_listed({k: v for k, v in shares.items() if v > 0})}"


def _listed(shares: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {scalars.percent(parts)}" for name, parts in shares.items())


def fight(turn: Pass) -> Reason | None:
    """The writer that keeps changing our weights, if one does."""
    writer = turn.status.writer
    if writer is None or writer.times < FIGHT_AFTER or turn.now - writer.last_at > FIGHT_WITHIN_S:
        return None
    return Reason(
        Code.CONFLICTING_WRITER,
        f"{writer.name} changed our weights {writer.times} times within ten minutes; "
        "they are put back once a minute until it stops",
    )


def trouble(turn: Pass) -> Reason | None:
    """Why the traffic is not as decided, None when it is."""
    seen = turn.observed.traffic
    if (fighting := fight(turn)) is not None:
        return fighting
    if seen.problem is not None:
        return seen.problem
    if not seen.exists:
        return Reason(Code.NOT_PROGRAMMED, "nothing sends requests to the versions yet")
    if not seen.programmed:
        return Reason(Code.NOT_PROGRAMMED, "the split is written and not in force yet")
    if not agrees(seen.shares, turn.status.decision.shares):
        return Reason(Code.NOT_PROGRAMMED, "requests are not split as decided yet")
    return previewing.trouble(turn)
