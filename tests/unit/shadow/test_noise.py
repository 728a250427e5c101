"""The noise floor: worked numbers, the simulations of the design, and the bound."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelrollout.analysis import paired
from modelrollout.shadow import comparison, increments, noise, outcomes, settling, tallying

Metric = increments.Metric


def compared(*, disagrees: bool, distance: float = 0.0) -> comparison.Comparison:
    return comparison.Comparison(comparison.verdict_of(same=not disagrees), distance)


def settled(*rows: comparison.Comparison | None) -> settling.Settled:
    return settling.Settled(outcomes.Outcome.BOTH_OK, rows, ())


@pytest.mark.parametrize(
    ("candidate", "control", "expected"),
    [
        (True, False, "candidate_only"),
        (False, True, "control_only"),
        (True, True, "both"),
        (False, False, "neither"),
    ],
)
def test_each_request_has_one_sign(*, candidate: bool, control: bool, expected: str) -> None:
    counts = noise.excess(
        settled(compared(disagrees=candidate)), settled(compared(disagrees=control))
    )
    assert tallying.Tally.of(counts).counters == {(Metric.EXCESS, (expected,)): 1.0}


def test_only_rows_that_both_were_compared_on_count() -> None:
    counts = noise.excess(
        settled(compared(disagrees=True), None, compared(disagrees=False)),
        settled(None, compared(disagrees=True), compared(disagrees=False)),
    )
    assert tallying.Tally.of(counts).counters == {(Metric.EXCESS, ("neither",)): 1.0}


def test_differences_of_distances_give_their_mean_and_squares() -> None:
    rows = [(0.5, 0.25), (0.0, 0.5), (0.25, 0.25)]
    tally = tallying.Tally()
    for ours, control in rows:
        tally += tallying.Tally.of(
            noise.excess(
                settled(compared(disagrees=True, distance=ours)),
                settled(compared(disagrees=True, distance=control)),
            )
        )
    above, below = tally.count(Metric.EXCESS_ABOVE), tally.count(Metric.EXCESS_BELOW)
    differences = paired.Differences(3, above - below, tally.count(Metric.EXCESS_SQUARES))
    assert differences.mean == pytest.approx((0.25 - 0.5) / 3)
    assert differences.squares == pytest.approx(0.25**2 + 0.5**2)


def test_the_counts_are_what_the_paired_evidence_asks_for() -> None:
    found = noise.Excess(candidate_only=30, control_only=10, both=25, neither=935)
    pairs = paired.noise_cancelled(**found.disagreements())
    assert pairs == paired.Discordant(worse=30, better=10)
    assert paired.log_e_worse(pairs) > math.log(20)
    # (30 - 10) / 1000, and sqrt((40 / 1000 - 0.02^2) / 1000).
    assert found.mean == pytest.approx(0.02)
    assert found.standard_error == pytest.approx(math.sqrt((0.04 - 0.0004) / 1000))


def test_shared_noise_alone_is_no_excess() -> None:
    found = noise.Excess(both=500, neither=500)
    assert found.mean == 0.0
    assert paired.log_e_worse(paired.noise_cancelled(**found.disagreements())) <= 0.0


@given(st.lists(st.sampled_from(list(noise.Sign)), max_size=30), st.integers(0, 30))
def test_replicas_add_up(signs: list[noise.Sign], cut: int) -> None:
    def of(some: list[noise.Sign]) -> noise.Excess:
        return noise.Excess(**{sign.value: some.count(sign) for sign in noise.Sign})

    assert of(signs[:cut]) + of(signs[cut:]) == of(signs)
    assert of(signs).pairs == len(signs)


def test_stable_against_itself_raises_few_alarms() -> None:
    # The design's bound: under 7 % of 1,000 A/A runs at one look, one-sided 95 %; noise of 20 %.
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(1_000):
        candidate, control = rng.random(1_000) < 0.2, rng.random(1_000) < 0.2
        found = noise.Excess(
            candidate_only=int((candidate & ~control).sum()),
            control_only=int((control & ~candidate).sum()),
            both=int((candidate & control).sum()),
            neither=int((~candidate & ~control).sum()),
        )
        alarms += found.mean > 1.645 * found.standard_error
    assert alarms / 1_000 < 0.07


def test_a_true_excess_is_seen_through_noise() -> None:
    # The design's table: 5,000 pairs, 20 % noise of which half is shared, 2 points more: 0.87.
    rng = np.random.default_rng(6)
    seen = 0
    for _ in range(200):
        shared = rng.random(5_000) < 0.1
        candidate = shared | (rng.random(5_000) < 0.1 / 0.9) | (rng.random(5_000) < 0.025)
        control = shared | (rng.random(5_000) < 0.1 / 0.9)
        found = noise.Excess(
            candidate_only=int((candidate & ~control).sum()),
            control_only=int((control & ~candidate).sum()),
            both=int((candidate & control).sum()),
            neither=int((~candidate & ~control).sum()),
        )
        seen += found.mean > 1.645 * found.standard_error
    assert seen / 200 > 0.75


def test_without_a_disagreement_the_floor_is_the_rule_of_three() -> None:
    # 600 pairs certify below half a percent; exact is 1 - 0.05^(1/600) (Hanley and others 1983).
    upper = noise.Floor(pairs=600, disagreements=0).upper()
    assert upper == pytest.approx(1 - 0.05 ** (1 / 600), rel=1e-9)
    assert upper < 0.005


@pytest.mark.parametrize(("pairs", "disagreements"), [(100, 3), (1_000, 200), (10_000, 1), (5, 4)])
def test_the_bound_is_never_below_the_exact_one(pairs: int, disagreements: int) -> None:
    exact = stats.binomtest(disagreements, pairs).proportion_ci(0.90, method="exact").high
    assert noise.Floor(pairs, disagreements).upper() >= exact


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_floor_lies_between_the_share_and_one(a: int, b: int) -> None:
    pairs, disagreements = max(a, b), min(a, b)
    upper = noise.Floor(pairs, disagreements).upper()
    assert (disagreements / pairs if pairs else 0.0) <= upper <= 1.0


@pytest.mark.parametrize("broken", [{"both": -1}, {"both": True}, {"neither": 1.5}])
def test_counts_that_cannot_be_are_refused(broken: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected whole numbers"):
        noise.Excess(**broken)
