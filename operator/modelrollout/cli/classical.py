"""`modelrollout status --classical`: the figures of a textbook, beside those that decide.

For people who want to see the test that they know. Nothing is decided by them, and the table says
why: they hold for one look at a time set beforehand, at one traffic weight.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.means import MeanEvidence
from modelrollout.analysis.questions import Better
from modelrollout.analysis.rates import RateEvidence
from modelrollout.analysis.readouts import bayesian, means, proportions, tables
from modelrollout.analysis.readouts.shown import Estimate
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.cli import showing

MOST_EXACT: Final = 10**8
"""Requests up to which Fisher's test takes milliseconds."""
CAVEAT: Final = (
    "For one look at a time set beforehand, all weights taken together: watched again and again, "
    "these intervals and p-values are wrong far more often than they say. Rollbacks and promotions "
    "rest on the sequential figures above."
)
HEAD: Final = (
    "METRIC",
    "DIFFERENCE (95 %)",
    "RISK RATIO (95 %)",
    "ODDS RATIO (95 %)",
    "P (Z, WELCH)",
    "P (FISHER)",
    "CHANCE TO BEAT",
    "EXPECTED LOSS",
)


def text(spec: ModelRolloutSpec, evidence: str) -> str:
    """The table for people, ending in a newline; a sentence where there is nothing to show.

    Args:
        spec: of the rollout.
        evidence: as status stores it.
    """
    stored = json.loads(evidence).get("metrics", {}) if evidence else {}
    rows = [
        row
        for metric in spec.analysis.metrics
        if metric.name in stored
        if (row := _row(metric.name, stored[metric.name]["state"], better=Better(metric.better)))
    ]
    if not rows:
        return "No rollout is in progress that has counts of both versions.\n"
    return f"{showing.table(HEAD, rows)}\n\n{CAVEAT}\n"


def _row(name: str, state: Mapping[str, Any], *, better: Better) -> Sequence[str] | None:
    match Evidence.from_json(state).sums:
        case RateEvidence() as sums if sums.candidate.trials and sums.stable.trials:
            return (name, *_of_rates(sums.candidate, sums.stable, better=better))
        case MeanEvidence() as sums if sums.candidate.count and sums.stable.count:
            return (name, *_of_means(sums, better=better))
        case _:
            return None


def _of_rates(candidate: RateCounts, stable: RateCounts, *, better: Better) -> Sequence[str]:
    exact = candidate.trials + stable.trials <= MOST_EXACT
    bayes = bayesian.rates(candidate, stable, better=better)
    return (
        _share(proportions.newcombe(candidate, stable)),
        _estimate(proportions.risk_ratio(candidate, stable)),
        _estimate(proportions.odds_ratio(candidate, stable)),
        _p(proportions.z_test(candidate, stable).p_value),
        _p(tables.fisher(candidate, stable).p_value) if exact else "",
        f"{100 * bayes.chance_to_beat:.1f} %",
        f"{100 * bayes.loss:.3g} points",
    )


def _of_means(sums: MeanEvidence, *, better: Better) -> Sequence[str]:
    both = _with_squares(sums)
    if both is None:
        return ("", "", "", "", "", "", "")
    candidate, stable = both
    found = means.difference(candidate, stable)
    law = bayesian.Normal(found.value, means.difference_error(candidate, stable))
    bayes = bayesian.normal(law, better=better)
    return (
        _estimate(found),
        "",
        "",
        _p(means.welch(candidate, stable).p_value),
        "",
        f"{100 * bayes.chance_to_beat:.1f} %",
        f"{bayes.loss:.3g}",
    )


def _with_squares(sums: MeanEvidence) -> tuple[MeanCounts, MeanCounts] | None:
    """Both arms with squares that have the spread within looks; None where it is not known."""
    spreads = (sums.spread_c, sums.spread_s)
    arms = (sums.candidate, sums.stable)
    if sums.bare or any(spread.freedom < 1 for spread in spreads):
        return None
    if any(arm.count < 2 for arm in arms):  # noqa: PLR2004 - a variance needs two values
        return None
    made = [
        MeanCounts(
            arm.count,
            arm.total,
            spread.squares / spread.freedom * (arm.count - 1) + arm.total * arm.total / arm.count,
        )
        for arm, spread in zip(arms, spreads, strict=True)
    ]
    return made[0], made[1]


def _share(found: Estimate) -> str:
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.value:+.3g} points ({low:+.3g} to {high:+.3g})"


def _estimate(found: Estimate) -> str:
    if not math.isfinite(found.value):
        return ""
    return f"{found.value:.3g} ({found.low:.3g} to {found.high:.3g})"


def _p(value: float) -> str:
    return "under 0.0001" if value < 0.0001 else f"{value:.4f}"  # noqa: PLR2004 - four digits
