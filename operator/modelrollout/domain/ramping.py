"""The risk-limited ramp: the next weight is taken when the evidence says what it can cost at most.

At a share w a candidate that is worse by d harms w d of all requests. The largest d that the
evidence still allows shrinks with traffic, so that steps are short where there is much of it.
"""

import math

from modelrollout.analysis import risk
from modelrollout.analysis.questions import Question
from modelrollout.analysis.rates import RateEvidence
from modelrollout.api import scalars
from modelrollout.domain import describing, questions
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import WeightStep
from modelrollout.domain.transitions import Phase


def held(turn: Pass) -> Reason | None:
    """Why the next weight would risk more than the budget; None when it may be taken."""
    canary = turn.spec.strategy.canary
    following = _following(turn)
    if canary is None or canary.ramp is None or following is None:
        return None
    budget = canary.ramp.risk_budget
    allowed = budget * scalars.PARTS / following.share
    said = turn.judgements()
    bounds = {
        name: risk.upper_bound(evidence, asked, dispersion=said[name].dispersion)
        for name, (evidence, asked) in _judged_rates(turn).items()
    }
    if not bounds:
        return None
    worst = max(bounds, key=lambda name: bounds[name])
    if bounds[worst] <= allowed:
        return None
    return Reason(Code.RISK_BUDGET, _sentence(turn, worst, bounds[worst], following, budget))


def _following(turn: Pass) -> WeightStep | None:
    later = turn.position() + 1
    known = turn.steps()
    if turn.phase is not Phase.STEPPING or not 0 < later < len(known):
        return None
    step = known[later]
    return step if isinstance(step, WeightStep) else None


def _judged_rates(turn: Pass) -> dict[str, tuple[RateEvidence, Question]]:
    book = turn.book()
    return {
        name: (sums, book.asked[name])
        for name in questions.judged(turn.spec)
        if isinstance(sums := book.entries[name].state.sums, RateEvidence)
    }


def _sentence(turn: Pass, name: str, bound: float, following: WeightStep, budget: float) -> str:
    weight, cost = scalars.percent(following.share), bound * following.share / scalars.PARTS
    return (
        f"{name} may be worse by up to {describing.number(bound, is_share=True)}: at {weight} that "
        f"is {describing.number(cost, is_share=True)} of all requests, the budget is "
        f"{describing.number(budget, is_share=True)}{_left(turn, name, following, budget)}"
    )


def _left(turn: Pass, name: str, following: WeightStep, budget: float) -> str:
    evidence, asked = _judged_rates(turn)[name]
    allowed = budget * scalars.PARTS / following.share
    trials = risk.trials_left(
        evidence, asked, at_most=allowed, dispersion=turn.judgements()[name].dispersion
    )
    per_s = turn.rollout.requests_per_s * turn.rollout.share / scalars.PARTS
    if not (per_s > 0 and math.isfinite(trials)):
        return ""
    return f"; {describing.about(trials / per_s)} more at this traffic if both are equal"
