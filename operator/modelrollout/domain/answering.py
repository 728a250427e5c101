"""What becomes of people's intents: each id acts once, and its outcome stands in the status."""

from collections.abc import Callable, Mapping
from typing import Final

from modelrollout.api.intents import Intent, Kind
from modelrollout.api.status import Acknowledged
from modelrollout.domain import book as books
from modelrollout.domain import ending
from modelrollout.domain.ab_testing import closing
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Phase

MOST_TRIES = 5
KEPT = 12
_UNDER_WAY = frozenset({Phase.STARTING, Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED})


def answer(turn: Pass, *, harm_stands: str = "") -> None:
    """Acts on every intent that was not acknowledged yet, abort before all others.

    Args:
        turn: the pass.
        harm_stands: evidence of harm in one sentence, which a promotion needs a reason against.
    """
    known = {(entry.intent, entry.id) for entry in turn.status.intents}
    order = list(Kind)
    new = sorted(
        (intent for intent in turn.observed.intents if (intent.kind, intent.id) not in known),
        key=lambda intent: order.index(intent.kind),
    )
    aborts = any(intent.kind is Kind.ABORT for intent in new)
    for intent in new:
        outcome = _outcome(turn, intent, aborts=aborts, harm_stands=harm_stands)
        entry = Acknowledged(
            intent=intent.kind,
            id=intent.id,
            by=intent.by or "unverified",
            at=turn.now,
            outcome=outcome[:1024],
        )
        turn.put(intents=_kept([*turn.status.intents, entry]))


def _kept(entries: list[Acknowledged]) -> list[Acknowledged]:
    """The last entry of each kind stays for ever: an annotation left in Git acts once."""
    last = {entry.intent: entry for entry in entries}
    old = [entry for entry in entries if last[entry.intent] is not entry]
    gone = old[: max(0, len(entries) - KEPT)]
    return [entry for entry in entries if not any(entry is other for other in gone)]


def _outcome(turn: Pass, intent: Intent, *, aborts: bool, harm_stands: str) -> str:
    if intent.malformed:
        return _ignored(turn, intent, f"{intent.kind}: {intent.malformed}")
    if aborts and intent.kind is Kind.PROMOTE:
        return _ignored(turn, intent, "promote: an abort was given at the same time")
    if intent.kind is Kind.PROMOTE:
        return _promote(turn, intent, harm_stands=harm_stands)
    return _ACTIONS[intent.kind](turn, intent)


def _ignored(turn: Pass, intent: Intent, why: str) -> str:
    turn.tell(Code.INTENT_IGNORED, f"{why} (given by {_who(intent)})", warning=True)
    return f"ignored: {why}"


def _who(intent: Intent) -> str:
    return intent.by or "unverified"


def _abort(turn: Pass, intent: Intent) -> str:
    if turn.phase is Phase.TESTING:
        sentence = f"the A/B test was aborted by {_who(intent)}"
        closing.close(turn, closing.ABORTED, code=Code.ABORTED, sentence=sentence)
        return "aborted"
    if turn.phase not in {*_UNDER_WAY, Phase.BAKING}:
        return _ignored(turn, intent, "abort: no rollout is under way")
    back = turn.status.previous or turn.status.stable
    if back is not None and turn.written(back.name) is None:
        why = f"abort: {back.name} is no longer among the versions of the spec; list it again first"
        return _ignored(turn, intent, why)
    sentence = f"{turn.status.candidate} was aborted by {_who(intent)}"
    ending.end(turn, ending.Ending.ABORTED, code=Code.ABORTED, sentence=sentence)
    return "aborted"


def _pause(turn: Pass, intent: Intent) -> str:
    turn.put(paused=True)
    turn.tell(Code.PAUSED_BY_USER, f"paused by {_who(intent)}; looks go on, harm still rolls back")
    return "paused"


def _resume(turn: Pass, intent: Intent) -> str:
    if not turn.status.paused:
        return _ignored(turn, intent, "resume: nothing is paused")
    turn.put(paused=False)
    turn.tell(Code.RESUMED, f"resumed by {_who(intent)}")
    return "resumed"


def _approve(turn: Pass, intent: Intent) -> str:
    expected = expected_approval(turn)
    if not expected:
        return _refused(turn, Code.APPROVAL_REFUSED, "approve: no step waits for an approval")
    given = f"step={intent.words.get('step', '')} revision={intent.words.get('revision', '')}"
    if given != expected:
        return _refused(
            turn, Code.APPROVAL_REFUSED, f"approve: expected '{expected}', saw '{given}'"
        )
    turn.put_rollout(approved=True)
    turn.tell(Code.APPROVED, f"step {turn.rollout.step_index + 1} approved by {_who(intent)}")
    return "approved"


def expected_approval(turn: Pass) -> str:
    """The words that an approval must carry now, "" when none is awaited."""
    candidate = turn.status.candidate
    if turn.phase is not Phase.WAITING or turn.rollout.approved or candidate is None:
        return ""
    return f"step={turn.rollout.step_index + 1} revision={candidate.revision}"


def _refused(turn: Pass, code: Code, why: str) -> str:
    turn.tell(code, why, warning=True)
    return f"refused: {why}"


def _promote(turn: Pass, intent: Intent, *, harm_stands: str) -> str:
    if turn.phase not in _UNDER_WAY or turn.status.candidate is None:
        return _ignored(turn, intent, "promote: no candidate is on its way")
    if turn.refused is not None:
        why = f"promote: the resource is not accepted ({turn.refused.sentence})"
        return _refused(turn, Code.PROMOTION_REFUSED, why)
    despite = intent.words.get("despite", "")
    if turn.seen(turn.status.candidate.name).ready == 0:
        return _refused(
            turn, Code.PROMOTION_REFUSED, "promote: the candidate has no ready endpoint"
        )
    if harm_stands and not despite:
        return _refused(
            turn,
            Code.PROMOTION_REFUSED,
            f"promote: evidence of harm stands ({harm_stands}); give a reason with despite='...'",
        )
    because = f" despite {harm_stands}: {despite}" if harm_stands else ""
    if harm_stands:
        # The person has answered this evidence; in the bake only what comes from now on counts.
        turn.put_book(books.restarted(turn.book(), turn.spec))
    ending.promote(
        turn, code=Code.PROMOTED_BY_PERSON, sentence=f"promoted by {_who(intent)}{because}"
    )
    return "promoted"


def _retry(turn: Pass, intent: Intent) -> str:
    candidate = turn.status.candidate
    entry = turn.rejection(candidate) if candidate else None
    if turn.phase is not Phase.ROLLED_BACK or entry is None:
        return _ignored(turn, intent, "retry: the target is not rejected")
    if entry.tries >= MOST_TRIES:
        return _refused(
            turn,
            Code.RETRY_REFUSED,
            f"retry: {candidate} had {entry.tries} tries, the most there are; build a new revision",
        )
    lifted = entry.model_copy(update={"lifted": True, "tries": entry.tries + 1})
    turn.put(rejected=[lifted if old is entry else old for old in turn.status.rejected])
    turn.tell(
        Code.RETRIED,
        f"try {lifted.tries} of {candidate}, given by {_who(intent)}: "
        f"it needs {lifted.tries} times the evidence",
    )
    return f"try {lifted.tries}"


_ACTIONS: Final[Mapping[Kind, Callable[[Pass, Intent], str]]] = {
    Kind.ABORT: _abort,
    Kind.PAUSE: _pause,
    Kind.RESUME: _resume,
    Kind.APPROVE: _approve,
    Kind.RETRY: _retry,
}
