"""How long the steps of a risk-limited ramp last, if both versions are equal."""

from collections.abc import Sequence
from itertools import pairwise

from modelrollout.analysis import rates, risk
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Question
from modelrollout.planning.schedule import Service


def lengths_s(
    asked: Sequence[tuple[Question, Service]],
    shares: Sequence[float],
    *,
    budget: float,
    interval_s: float,
    deadline_s: float,
) -> list[float]:
    """Seconds at each share until the next may be taken; of the last one look.

    The evidence sees expected counts, look by look; the slowest of the rates decides.

    Args:
        asked: judged rates, each with the stable version as it is known.
        shares: of the candidate, ascending, between 0 and 1.
        budget: share of all requests that may be harmed.
        interval_s: between looks.
        deadline_s: the lengths together are at most about this.

    Raises:
        ValueError: on a service without a rate.
    """
    evidences = [rates.fresh(question) for question, _ in asked]
    found, looks_left = list[float](), int(deadline_s / interval_s)
    for share, following in pairwise(shares):
        looks = 0
        while looks_left > 0:
            looks, looks_left = looks + 1, looks_left - 1
            evidences = [
                rates.advance(evidence, one[0], **_expected(evidence, one[1], share, interval_s))
                for evidence, one in zip(evidences, asked, strict=True)
            ]
            bounds = [
                risk.upper_bound(evidence, one[0])
                for evidence, one in zip(evidences, asked, strict=True)
            ]
            if max(bounds, default=0.0) * following <= budget:
                break
        found.append(looks * interval_s)
    return [*found, interval_s]


def _expected(
    evidence: rates.RateEvidence, service: Service, share: float, interval_s: float
) -> dict[str, RateCounts]:
    if service.rate is None:
        raise ValueError("expected a service with a rate, found none")
    requests = service.requests_per_s * interval_s
    arms = {"candidate": (evidence.candidate, share), "stable": (evidence.stable, 1.0 - share)}
    found = {}
    for arm, (past, part) in arms.items():
        trials = round(requests * part)
        # Of the running sum, so that rare events come now and then and not never.
        events = round((past.trials + trials) * service.rate) - past.events
        found[arm] = RateCounts(trials, min(max(events, 0), trials))
    return found
