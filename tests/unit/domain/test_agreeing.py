"""What the counts of an observer say: too much disagreement, enough agreement, or not yet."""

from typing import Any

import pytest

from modelrollout.api.shadow import Shadowing
from modelrollout.domain import agreeing

ASKED: dict[str, Any] = {
    "protocol": {"plain": {}},
    "task": {"classification": {}},
    "agreement": {"atLeast": "98%"},
}
COVERED = {"eligible": 1000, "compared": 1000}


def judged(counted: dict[str, int], **changes: Any) -> agreeing.Judged:
    asked = Shadowing.model_validate(ASKED | changes)
    return agreeing.judged(COVERED | counted, asked, false_rollback=0.02, false_promotion=0.05)


@pytest.mark.parametrize(
    ("counted", "failed", "lacking"),
    [
        ({"match": 1000, "mismatch": 0}, False, False),
        ({"match": 2000, "mismatch": 10}, False, False),
        ({"match": 20, "mismatch": 0}, False, True),
        ({"match": 980, "mismatch": 20}, False, True),
        ({"match": 900, "mismatch": 100}, True, False),
        ({"match": 1000, "mismatch": 0, "trouble": 100}, True, False),
        ({"match": 5, "mismatch": 1}, False, True),
    ],
    ids=["all", "nearly-all", "few", "at-the-edge", "too-much", "no-answers", "one-of-six"],
)
def test_disagreement_is_judged_against_what_is_allowed(
    counted: dict[str, int], *, failed: bool, lacking: bool
) -> None:
    found = judged(counted)
    assert (bool(found.failed), bool(found.lacking)) == (failed, lacking)


NOISY = {"match": 8000, "mismatch": 2000, "control_match": 8000, "control_mismatch": 2000}


@pytest.mark.parametrize(
    ("excess", "failed", "lacking"),
    [
        ({"candidate_only": 50, "control_only": 50, "both": 150, "neither": 750}, False, True),
        ({"candidate_only": 50, "control_only": 50, "both": 1950, "neither": 7950}, False, False),
        ({"candidate_only": 900, "control_only": 100, "both": 1500, "neither": 7500}, True, False),
        ({"candidate_only": 0, "control_only": 0, "both": 0, "neither": 2000}, False, False),
        ({}, False, True),
    ],
    ids=["wide", "no-more-than-noise", "beyond-noise", "no-noise", "no-control"],
)
def test_above_the_noise_only_the_excess_counts(
    excess: dict[str, int], *, failed: bool, lacking: bool
) -> None:
    agreement = {"atLeast": "98%", "aboveNoise": True}
    found = judged(NOISY | excess, agreement=agreement)
    assert (bool(found.failed), bool(found.lacking)) == (failed, lacking)


def test_coverage_is_a_gate() -> None:
    found = judged({"match": 700, "mismatch": 0, "compared": 700})
    assert "only 70.0% of 1000" in found.lacking


def test_without_an_agreement_asked_for_nothing_fails() -> None:
    found = judged({"match": 1, "mismatch": 999}, agreement=None)
    assert not found.failed
    assert not found.lacking
    assert "0.10% of 1000 predictions agree" in found.sentence


def test_what_is_not_measured_is_said() -> None:
    assert "noise floor unknown" in judged({"match": 10}).sentence
    assert "stable disagrees with itself on 20.00%" in judged(NOISY).sentence
