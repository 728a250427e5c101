"""How an A/B test ends: its arms lose their users to stable, and its report stays."""

from modelrollout.api.status import HistoryEntry, Identity
from modelrollout.domain.ab_testing import reporting
from modelrollout.domain.passing import KEPT, Pass
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Trigger

SUPERSEDED, REPORTED, ABORTED = "Superseded", "Reported", "Aborted"


def close(turn: Pass, outcome: str, *, code: Code, sentence: str = "") -> None:
    """Ends the test under way.

    Args:
        turn: the pass.
        outcome: Reported, Superseded or Aborted.
        code: why.
        sentence: likewise, in words; the report's own when left out.
    """
    report = reporting.report(turn, outcome=outcome, because=sentence)
    turn.move(Trigger.TEST_OVER)
    turn.put_test(running=False, report=report, users="", arms=[])
    turn.put(look=None, metrics=[])
    entry = HistoryEntry(
        candidate=_subject(turn, report.winner, [arm.version for arm in report.arms]),
        outcome=outcome,
        reason=code.value,
        message=report.message,
        started_at=report.started_at,
        ended_at=report.ended_at,
    )
    turn.put(history=[*turn.status.history, entry][-KEPT:])
    turn.tell(code, report.message)


def _subject(turn: Pass, winner: str, arms: list[str]) -> Identity:
    return turn.identity(winner or (arms[0] if arms else turn.target))
