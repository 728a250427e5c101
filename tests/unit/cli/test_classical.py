"""Textbook figures beside those that decide: the right ones, and never without the warning."""

from typing import Any

from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.cli import classical
from modelrollout.domain import book
from modelrollout.domain.observed import Look, Pair

RATE = {
    "name": "errors",
    "rate": {"events": "bad", "total": "all"},
    "margin": {"relative": "50%"},
}
MEAN = {
    "name": "rating",
    "better": "higher",
    "mean": {"sum": "s", "count": "n", "squares": "q"},
    "margin": {"absolute": 0.5},
}


def spec(*metrics: dict[str, Any]) -> ModelRolloutSpec:
    versions = [{"name": v, "service": {"name": f"fraud-{v}", "port": 80}} for v in ("v1", "v2")]
    return ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "v2",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": list(metrics)},
        }
    )


def shown(metric: dict[str, Any], candidate: Counts, stable: Counts) -> str:
    written = spec(metric)
    look = Look(0.0, 60.0, {str(metric["name"]): Pair(candidate, stable)})
    taken = book.counted(book.fresh(written), look, spec=written, share=5000, confirmed_at=0.0)
    return classical.text(written, book.closed(taken))


def test_a_rate_shows_the_figures_of_the_textbook() -> None:
    # The example of Newcombe (1998), table II (a): 56/70 against 48/80, 0.0524 to 0.3339.
    told = shown(RATE, RateCounts(70, 56), RateCounts(80, 48))
    assert "+20 points (+5.24 to +33.4)" in told
    assert "0.0080" in told  # pooled z = 0.2 / sqrt(0.69333 * 0.30667 * (1/70 + 1/80)) = 2.650
    assert classical.CAVEAT in told


def test_a_mean_shows_welch() -> None:
    # Ten values each, variance 2.5 * 4/3 and so on: difference 1, standard error 1 by hand.
    told = shown(MEAN, MeanCounts(10, 60.0, 405.0), MeanCounts(10, 50.0, 295.0))
    assert "1 (-1.1 to 3.1)" in told
    assert "0.3306" in told  # two-sided t = 1 at 18 degrees of freedom


def test_without_counts_of_both_versions_it_says_so() -> None:
    assert "No rollout is in progress" in classical.text(spec(RATE), "")
