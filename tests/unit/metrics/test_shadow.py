"""An observer's counters by one question, and what its answer means."""

from typing import Any

import pytest

from modelrollout.metrics import shadow
from modelrollout.shadow import eligibility, increments, outcomes


def series(name: str, amount: float, **labels: str) -> dict[str, Any]:
    metric = {"__name__": f"modelrollout_shadow_{name}", **labels}
    return {"metric": metric, "value": [0.0, str(amount)]}


def test_the_question_is_of_one_shadow_and_keeps_to_the_source() -> None:
    asked = shadow.question(namespace="ml", run='a"b', mandatory={"cluster": "eu1"})
    assert 'namespace="ml"' in asked
    assert 'run="a\\"b"' in asked
    assert 'cluster="eu1"' in asked


def test_counters_get_the_names_that_are_judged() -> None:
    found = shadow.totals(
        [
            series("comparisons_total", 90, pair="candidate", verdict="match"),
            series("comparisons_total", 10, pair="candidate", verdict="mismatch"),
            series("comparisons_total", 5, pair="candidate", verdict="ignored"),
            series("comparisons_total", 40, pair="control", verdict="match"),
            series("excess_total", 3, pair="candidate", sign="candidate_only"),
            series("requests_total", 100, pair="candidate", outcome="both_ok"),
            series("requests_total", 7, pair="candidate", outcome="candidate_timeout"),
            series("requests_total", 20, pair="candidate", outcome="queue_full"),
            series("requests_total", 50, pair="candidate", outcome="not_sampled"),
            series("requests_total", 40, pair="control", outcome="both_ok"),
        ]
    )
    assert found == {
        "match": 90,
        "mismatch": 10,
        "control_match": 40,
        "candidate_only": 3,
        "eligible": 127,
        "compared": 107,
        "trouble": 7,
    }


@pytest.mark.parametrize(
    "outcome", [*outcomes.Outcome, *(set(eligibility.Eligibility) - {"eligible"})]
)
def test_every_way_a_request_ends_counts_for_coverage_or_is_no_part_of_it(outcome: str) -> None:
    found = shadow.totals([series("requests_total", 1, pair="candidate", outcome=outcome)])
    before = ("method_not_safe", "content_type", "opted_out", "no_id", "not_sampled", "duplicate")
    lost = outcome in {"too_large", "primary_unreadable"} or outcome in set(eligibility.Eligibility)
    assert found.get("eligible", 0) == (outcome not in before)
    assert found.get("compared", 0) == (outcome not in before and not lost)
    assert increments.PREFIX == "modelrollout_shadow_"
