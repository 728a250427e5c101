"""Paired answers: exact evidence from discordant pairs, asymptotic evidence from differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from modelrollout.analysis import paired
from modelrollout.analysis.paired import Differences, Discordant

PAIRS = st.integers(min_value=0, max_value=10**12)
ALARM = math.log(20.0)


def test_ten_pairs_that_all_got_worse_give_the_number_done_by_hand() -> None:
    # Uniform on (1/2, 1): 2 x 2^10 x (1 - 2^-11) / 11.
    expected = 2 * 2**10 * (1 - 2**-11) / 11
    found = paired.log_e_worse(Discordant(worse=10))
    assert math.exp(found) == pytest.approx(expected, rel=1e-12)


def test_a_textbook_table_is_judged_by_its_discordant_pairs() -> None:
    # Agresti, Categorical Data Analysis (2002), table 10.1, approval in two surveys: 150 and 86.
    ratings = Discordant(worse=150, better=86)

    def gain(share: float) -> float:
        return math.exp(150 * math.log(2 * share) + 86 * math.log(2 * (1 - share)))

    expected = 2 * integrate.quad(gain, 0.5, 1.0, points=[0.636])[0]
    assert math.exp(paired.log_e_worse(ratings)) == pytest.approx(expected, rel=1e-6)
    low, high = paired.share_interval(ratings)
    assert 0.5 < low < 150 / 236 < high < 0.75


def test_the_expected_e_value_at_the_edge_of_the_null_is_one() -> None:
    # Exact, over all outcomes of 30 pairs.
    for share in (0.5, 0.6):
        total = 0.0
        for worse in range(31):
            chance = math.comb(30, worse) * share**worse * (1 - share) ** (30 - worse)
            total += chance * math.exp(
                paired.log_e_worse(Discordant(worse, 30 - worse), share=share)
            )
        assert total == pytest.approx(1.0, abs=1e-9)


def ever(rng: np.random.Generator, *, share: float, margin: float) -> tuple[bool, bool, bool]:
    """Over 40 looks of 25 pairs: was harm claimed, was no harm claimed, did the interval miss?"""
    pairs, harm, fine, missed = Discordant(), False, False, False
    for look, worse in enumerate(rng.binomial(25, share, size=40).tolist()):
        pairs += Discordant(worse=worse, better=25 - worse)
        harm = harm or paired.log_e_worse(pairs) >= ALARM
        fine = fine or paired.log_e_better(pairs, share=margin) >= ALARM
        if look % 10 == 0:
            low, high = paired.share_interval(pairs)
            missed = missed or not low <= share <= high
    return harm, fine, missed


def test_error_rates_hold_at_every_look_and_true_effects_are_found() -> None:
    # Binomial errors of 150 runs: standard error 1.8 points at 5 %.
    slack = 2.0 * math.sqrt(0.05 * 0.95 / 150)
    rng = np.random.default_rng(61)
    null = np.mean([ever(rng, share=0.5, margin=0.6) for _ in range(150)], axis=0)
    edge = np.mean([ever(rng, share=0.6, margin=0.6) for _ in range(150)], axis=0)
    assert null[0] <= 0.05 + slack  # harm claimed of an equal candidate
    assert edge[1] <= 0.05 + slack  # non-inferiority claimed at the margin
    assert max(null[2], edge[2]) <= 0.05 + slack
    assert edge[0] >= 0.9  # power against 0.6 with 1000 discordant pairs
    assert null[1] >= 0.9


def test_noise_common_to_both_copies_is_no_difference() -> None:
    # A model that answers 30 % of requests at random: half of the noise hits both copies.
    rng, alarms = np.random.default_rng(62), []
    for _ in range(200):
        hard = rng.random(2_000) < 0.3
        candidate, secondary = hard & (rng.random(2_000) < 0.5), hard & (rng.random(2_000) < 0.5)
        pairs = paired.noise_cancelled(
            candidate=int(candidate.sum()),
            secondary=int(secondary.sum()),
            both=int((candidate & secondary).sum()),
        )
        alarms.append(paired.log_e_worse(pairs) >= ALARM)
    assert np.mean(alarms) <= 0.05


def summed(values: np.ndarray) -> Differences:
    return Differences(len(values), float(values.sum()), float((values * values).sum()))


def test_paired_means_keep_their_error_rate_and_find_shifts() -> None:
    rng, wrong, found, missed = np.random.default_rng(63), [], [], []
    for _ in range(200):
        noise = rng.exponential(size=2_000) - 1.0
        looks = [noise[:stop] for stop in range(100, 2_001, 100)]
        above = [
            [paired.mean_log_e_above(summed(v + shift), margin=0.0, planned=2_000) for v in looks]
            for shift in (0.0, 0.15)
        ]
        wrong.append(max(above[0]) >= ALARM)
        found.append(max(above[1]) >= ALARM)
        bounds = [paired.mean_interval(summed(v), planned=2_000) for v in looks]
        missed.append(any(not low <= 0.0 <= high for low, high in bounds))
    slack = 2.0 * math.sqrt(0.05 * 0.95 / 200)
    assert np.mean(wrong) <= 0.05 + slack
    assert np.mean(missed) <= 0.05 + slack
    assert np.mean(found) >= 0.95


def test_the_classical_standard_error_is_used() -> None:
    rng = np.random.default_rng(64)
    values = rng.normal(3.0, 2.0, size=500)
    found = summed(values)
    assert found.mean == pytest.approx(values.mean())
    assert found.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(500))


def test_binary_pairs_as_numbers_have_mcnemars_variance() -> None:
    # Agresti (2002), section 10.1.1: difference -0.04, standard error 0.0095 (150, 86 of 1600).
    found = Differences.of(Discordant(worse=86, better=150), of_pairs=1600)
    assert found.mean == pytest.approx(-0.04)
    assert found.standard_error == pytest.approx(0.0095, abs=1e-4)


def test_equal_differences_and_few_pairs_say_nothing() -> None:
    for few in (
        Differences(1_000, 0.0, 0.0),
        Differences(99, 50.0, 90.0),
        Differences(0, 0.0, 0.0),
    ):
        assert paired.mean_log_e_above(few, margin=0.0, planned=100) == 0.0
        assert paired.mean_interval(few, planned=100) == (-math.inf, math.inf)


@given(worse=PAIRS, better=PAIRS, share=st.floats(min_value=0.01, max_value=0.99))
def test_swapping_arms_mirrors_the_evidence(worse: int, better: int, share: float) -> None:
    pairs = Discordant(worse, better)
    harm = paired.log_e_worse(pairs, share=share)
    mirrored = paired.log_e_better(pairs.swapped(), share=1.0 - share)
    assert not math.isnan(harm)
    assert harm == pytest.approx(mirrored, rel=1e-6, abs=1e-6)
    low, high = paired.share_interval(pairs)
    other_low, other_high = paired.share_interval(pairs.swapped())
    assert (low, high) == pytest.approx((1.0 - other_high, 1.0 - other_low), abs=1e-6)
    assert 0.0 <= low <= high <= 1.0


@given(worse=PAIRS, better=PAIRS)
def test_one_more_bad_pair_is_never_evidence_of_good(worse: int, better: int) -> None:
    less, more = Discordant(worse, better), Discordant(worse + 1 + worse // 100, better)
    assert paired.log_e_worse(more) >= paired.log_e_worse(less) - 1e-6


@pytest.mark.parametrize("big", [10**6, 10**9, 10**12])
def test_the_interval_shrinks_to_the_share_at_any_size(big: int) -> None:
    low, high = paired.share_interval(Discordant(6 * big, 4 * big))
    assert (
        0.6 - 3e-3 / math.sqrt(big / 10**6) < low < 0.6 < high < 0.6 + 3e-3 / math.sqrt(big / 10**6)
    )


def test_splitting_looks_changes_nothing() -> None:
    whole, parts = Differences(300, 12.5, 90.25), [Differences(100, 4.5, 30.0)] * 2
    assert parts[0] + parts[1] + Differences(100, 3.5, 30.25) == whole
    assert Discordant(3, 4) + Discordant(5, 6) == Discordant(8, 10)


def test_refuses_what_cannot_have_been_counted() -> None:
    with pytest.raises(ValueError, match="worse pairs to be a whole number"):
        Discordant(worse=-1)
    with pytest.raises(ValueError, match="at most 3 requests"):
        paired.noise_cancelled(candidate=3, secondary=5, both=4)
    with pytest.raises(ValueError, match="share between 0 and 1"):
        paired.log_e_worse(Discordant(), share=1.0)
    with pytest.raises(ValueError, match="alpha"):
        paired.share_interval(Discordant(), alpha=0.0)
    with pytest.raises(ValueError, match="squares of at least 100"):
        Differences(1, 10.0, 1.0)
    with pytest.raises(ValueError, match="finite"):
        Differences(1, math.nan, 1.0)
    with pytest.raises(ValueError, match="at least 5 pairs"):
        Differences.of(Discordant(2, 3), of_pairs=4)
    with pytest.raises(ValueError, match="planned"):
        paired.mean_interval(Differences(1, 1.0, 1.0), planned=0)
    with pytest.raises(ValueError, match="margin"):
        paired.mean_log_e_below(Differences(1, 1.0, 1.0), margin=math.inf, planned=10)
