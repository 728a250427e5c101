"""Which version is stable, which is the candidate: adoption, a new target, a new revision."""

from modelrollout.api.status import Decision, Identity, ModelRolloutStatus, Rollout
from modelrollout.domain import book as books
from modelrollout.domain import ending
from modelrollout.domain.answering import MOST_TRIES
from modelrollout.domain.ending import Ending
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Phase, Trigger


def restore(turn: Pass) -> None:
    """Believes only `stable` and the history of a status that belongs to another object.

    Which intents were answered is kept, too: a restored annotation must not act a second time.
    """
    status = turn.status
    if status.uid and status.uid != turn.observed.uid:
        known = {version.name for version in turn.spec.versions}
        stable = status.stable if status.stable and status.stable.name in known else None
        turn.status = ModelRolloutStatus(
            stable=stable, history=status.history, intents=status.intents
        )
    if turn.status.uid != turn.observed.uid:
        turn.put(uid=turn.observed.uid)


def adopt(turn: Pass) -> None:
    """Finds out who serves, on a resource that has no stable version yet.

    Routes that cannot be read as a split say nothing: to take the target for stable then would send
    all users to it at once, without any evidence.
    """
    traffic = turn.observed.traffic
    unreadable = traffic.problem is not None and traffic.shares is None
    if turn.status.stable is not None or (unreadable and not traffic.recorded_stable):
        return
    name, code, sentence = _serving(turn)
    turn.move(Trigger.ADOPT)
    turn.put(stable=turn.identity(name), decision=Decision())
    turn.tell(code, sentence)


def _serving(turn: Pass) -> tuple[str, Code, str]:
    names = {version.name for version in turn.spec.versions}
    traffic = turn.observed.traffic
    if traffic.recorded_stable in names:
        name = traffic.recorded_stable
        return name, Code.ADOPTED, f"{name} is stable: the route says so, its status was lost"
    shares = {name: share for name, share in (traffic.shares or {}).items() if name in names}
    if shares and max(shares.values()) > 0:
        name = max(shares, key=lambda version: (shares[version], version != turn.target))
        return name, Code.ADOPTED, f"{name} is stable: the route serves it already"
    target = turn.target
    return target, Code.INITIAL_DEPLOYMENT, f"{target} serves: nothing served before"


def follow(turn: Pass) -> None:
    """Follows the target and the revisions: starts, returns, supersedes, notices changes."""
    learn_revisions(turn)
    notice_stable(turn)
    match phase_of(turn.status):
        case Phase.SERVING:
            _from_rest(turn)
        case Phase.ROLLED_BACK:
            _from_rejection(turn)
        case Phase.BAKING:
            _in_bake(turn)
        case Phase.STARTING | Phase.STEPPING | Phase.WAITING | Phase.UNDECIDED:
            _under_way(turn)
        case Phase.PENDING | Phase.TESTING | Phase.DRAINING | Phase.TERMINATING:
            pass


def learn_revisions(turn: Pass) -> None:
    """A revision that was not known yet is no change of revision, also where it was rejected."""
    candidate = turn.status.candidate
    if candidate is None or candidate.revision or not turn.seen(candidate.name).revision:
        return
    known, entry = turn.identity(candidate.name), turn.rejection(candidate)
    turn.put(candidate=known)
    if entry is not None:
        named = entry.model_copy(update={"revision": known.revision})
        turn.put(rejected=[named if old is entry else old for old in turn.status.rejected])


def notice_stable(turn: Pass) -> None:
    """A changed revision of stable is told, never silent; the present stratum ends."""
    stable = turn.status.stable
    if stable is None:
        return
    seen = turn.seen(stable.name).revision
    if not seen or seen == stable.revision:
        return
    turn.put(stable=Identity(name=stable.name, revision=seen))
    if not stable.revision:
        return
    turn.tell(
        Code.STABLE_CHANGED,
        f"the pod template of {stable.name}, which serves, changed outside any rollout "
        f"({stable.revision} -> {seen}): nothing has judged it",
        warning=True,
    )
    if turn.status.rollout is not None or turn.phase is Phase.TESTING:
        turn.forget_look()
    if turn.phase is Phase.BAKING:  # evidence and rejection belong to the revision that serves now
        turn.put(candidate=turn.status.stable)
        turn.put_book(books.restarted(turn.book(), turn.spec))


def _from_rest(turn: Pass) -> None:
    stable = turn.status.stable
    if stable is not None and turn.target != stable.name and turn.refused is None:
        _start_or_refuse(turn)


def _start_or_refuse(turn: Pass) -> None:
    """The target is new, or has come back: a rejected one pays for its next try, or had all."""
    candidate = turn.identity(turn.target)
    entry = turn.rejection(candidate)
    tries = entry.tries if entry else 1
    if entry is not None and not entry.lifted and tries >= MOST_TRIES:
        turn.move(Trigger.REJECTED)
        turn.put(candidate=candidate)
        turn.tell(Code.REJECTED, f"{candidate} had {tries} tries: {entry.message}", warning=True)
        return
    start(turn, candidate, number=tries if entry is None or entry.lifted else tries + 1)


def _from_rejection(turn: Pass) -> None:
    rejected = turn.status.candidate
    if rejected is None:
        return
    entry = turn.rejection(rejected)
    stable = turn.status.stable
    if stable is not None and turn.target == stable.name:
        turn.move(Trigger.TARGET_IS_STABLE)
        turn.put(candidate=None)
        turn.tell(Code.RETURNED, f"target is {stable.name} again, which serves")
        return
    changed = turn.target != rejected.name or _revised(turn, rejected)
    if turn.refused is None and (changed or (entry is not None and entry.lifted)):
        _start_or_refuse(turn)


def _under_way(turn: Pass) -> None:
    candidate, stable = turn.status.candidate, turn.status.stable
    if candidate is None or stable is None:
        return
    target = turn.target
    if target == stable.name:
        sentence = f"target is {stable.name} again: {candidate} returns its traffic"
        ending.end(turn, Ending.RETURNED, code=Code.RETURNED, sentence=sentence)
    elif turn.refused is not None:
        return
    elif target != candidate.name:
        sentence = f"{candidate} is superseded by {target}"
        ending.end(turn, Ending.SUPERSEDED, code=Code.SUPERSEDED, sentence=sentence)
    elif _revised(turn, candidate):
        seen = turn.identity(candidate.name)
        sentence = f"{candidate.name} changed from {candidate.revision} to {seen.revision}"
        ending.end(
            turn,
            Ending.NEW_REVISION,
            code=Code.NEW_REVISION,
            sentence=f"{sentence}: a new candidate, judged from the first step",
        )


def _revised(turn: Pass, identity: Identity) -> bool:
    seen = turn.seen(identity.name).revision
    return bool(seen) and seen != identity.revision


def _in_bake(turn: Pass) -> None:
    stable, previous = turn.status.stable, turn.status.previous
    if stable is None or turn.target == stable.name:
        return
    if previous is not None and turn.target == previous.name:
        sentence = f"target is {previous.name} again, still warm from the bake"
        ending.end(turn, Ending.RETURNED, code=Code.RETURNED, sentence=sentence)
        return
    if turn.refused is not None:
        return
    turn.tell(Code.SUPERSEDED, f"the bake of {stable} ends: the new target is {turn.target}")
    ending.finish(turn)
    _start_or_refuse(turn)


def start(turn: Pass, candidate: Identity, *, number: int) -> None:
    """Starts a rollout of `candidate` against stable, as its `number`-th try."""
    turn.move(Trigger.RESTART if turn.phase is Phase.ROLLED_BACK else Trigger.START)
    rollout = Rollout(
        id=f"{candidate.name}-{int(turn.now * 1000)}",
        phase=Phase.STARTING.value,
        number=number,
        minimum=turn.seen(turn.status.stable.name).ready if turn.status.stable else 0,
        started_at=turn.now,
        clock_at=turn.now,
    )
    turn.put(candidate=candidate, rollout=rollout, look=None, metrics=[])
    turn.drop_book()
    info = turn.written(candidate.name)
    provenance = ", ".join(f"{k}={v}" for k, v in info.info.items()) if info else ""
    turn.tell(
        Code.STARTED,
        f"{candidate} is to take over from {turn.status.stable}"
        + (f" (try {number})" if number > 1 else "")
        + (f"; {provenance}" if provenance else ""),
    )
