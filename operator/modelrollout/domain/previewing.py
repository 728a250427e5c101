"""The preview: a host of the candidate's own, from its step until the switch or the way back.

It is part of the decision, with a sequence number like a split: it counts once the routes say so.
"""

from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import PreviewStep
from modelrollout.domain.transitions import Phase

_BEFORE_THE_SWITCH = frozenset({Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED})


def wanted(turn: Pass) -> str:
    """The version that the preview host is to lead to now, "" for none."""
    candidate, rollout = turn.status.candidate, turn.status.rollout
    if candidate is None or rollout is None or phase_of(turn.status) not in _BEFORE_THE_SWITCH:
        return ""
    if turn.refused is not None:
        return turn.status.decision.preview
    known = turn.steps()[: rollout.step_index + 1]
    return candidate.name if any(isinstance(step, PreviewStep) for step in known) else ""


def address(turn: Pass) -> str:
    """Where people find the candidate, as a URL; "" while they do not."""
    if not turn.status.decision.preview:
        return ""
    host = turn.spec.strategy.preview_host
    return turn.observed.traffic.preview_at or (f"http://{host}" if host else "")


def trouble(turn: Pass) -> Reason | None:
    """Why the preview host does not lead where it was decided, None when it does."""
    decided, seen = turn.status.decision.preview, turn.observed.traffic.preview
    if decided == seen:
        return None
    host = turn.spec.strategy.preview_host or "the preview"
    sentence = f"{host} does not lead to {decided} yet" if decided else "the preview still stands"
    return Reason(Code.NOT_PROGRAMMED, sentence)
