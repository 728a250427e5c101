"""The evidence of a pass: this pass's look taken in, once, and all of it weighed."""

from modelrollout.domain import book as books
from modelrollout.domain import weighing
from modelrollout.domain.observed import Look
from modelrollout.domain.passing import Pass
from modelrollout.domain.weighing import Weighed


def weighed(turn: Pass) -> Weighed:
    """All evidence as it stands now, weighed together."""
    return weighing.weighed(
        turn.book(), turn.judgements(), spec=turn.spec, tries=turn.rollout.number
    )


def look(turn: Pass) -> None:
    """Takes the look of this pass into the evidence.

    It counts when it begins where the last one ended: a replay after a crash does not, nor does a
    look that was read before the weights changed.
    """
    seen, status = turn.observed.look, turn.status.look
    if seen is None or status is None or seen.start != status.at or seen.end <= seen.start:
        return
    if seen.down is not None:
        missed = int((seen.end - status.at) // turn.spec.analysis.interval)
        failures = max(status.failures + 1, missed)
        turn.put(look=status.model_copy(update={"failures": failures}))
    elif turn.status.decision.confirmed_at is not None:
        _count(turn, seen)


def _count(turn: Pass, seen: Look) -> None:
    status, candidate, decision = turn.status.look, turn.status.candidate, turn.status.decision
    if status is None or candidate is None:
        return
    share = decision.shares.get(candidate.name, 0)
    if share > 0 or not (decision.preview or decision.tee):
        # Requests to a preview are tests, and copies are judged by their answers: neither is
        # evidence of what users met.
        turn.put_book(
            books.counted(
                turn.book(),
                seen,
                spec=turn.spec,
                share=share,
                confirmed_at=decision.confirmed_at or 0.0,
            )
        )
    requests = dict(
        zip(("candidate", "stable"), books.request_counts(seen, spec=turn.spec), strict=True)
    )
    total = {arm: status.counted.get(arm, 0) + count for arm, count in requests.items()}
    after = {"at": seen.end, "number": status.number + 1, "failures": 0, "counted": total}
    turn.put(look=status.model_copy(update=after))
    turn.put_rollout(requests_per_s=sum(requests.values()) / (seen.end - seen.start))
