"""Lists of claims: Benjamini-Hochberg and e-BH."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import multitest

from modelrollout.analysis import combining, multiplicity

THROMBOLYSIS = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
    0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
)  # fmt: skip
"""Benjamini and Hochberg (1995), section 3.2."""


def test_rejects_the_four_of_the_paper() -> None:
    found = multiplicity.benjamini_hochberg(THROMBOLYSIS, alpha=0.05)
    assert found == (True,) * 4 + (False,) * 11


@given(
    p_values=st.lists(st.floats(min_value=0.0, max_value=1.0), min_size=1, max_size=30),
    alpha=st.sampled_from([0.01, 0.05, 0.2]),
)
def test_agrees_with_statsmodels(p_values: list[float], alpha: float) -> None:
    expected = multitest.multipletests(p_values, alpha=alpha, method="fdr_bh")[0]
    assert multiplicity.benjamini_hochberg(p_values, alpha=alpha) == tuple(map(bool, expected))


def test_e_bh_needs_less_for_each_further_claim() -> None:
    # Wang and Ramdas (2022): with n = 4, alpha = 0.1 the bars are 40, 20, 13.3, 10.
    log_es = [math.log(e) for e in (45.0, 14.0, 2.0, 21.0)]
    assert multiplicity.e_bh(log_es, alpha=0.1) == (True, True, False, True)
    assert multiplicity.e_bh(log_es[1:3], alpha=0.1) == (False, False)


@given(log_es=st.lists(st.floats(min_value=-50, max_value=50), max_size=12))
def test_e_bh_claims_at_least_what_holm_does(log_es: list[float]) -> None:
    loose = multiplicity.e_bh(log_es, alpha=0.05)
    for shown, claimed in zip(combining.holm(log_es, alpha=0.05), loose, strict=True):
        assert claimed or not shown


def test_the_share_of_false_claims_stays_below_alpha() -> None:
    # 15 of 20 nulls true, all tests share one noise: only e-BH is promised to hold.
    rng, shares, n = np.random.default_rng(51), [], 400
    truly = np.array([3.5] * 5 + [0.0] * 15)
    for _ in range(n):
        z = truly + 0.7 * rng.normal() + math.sqrt(1 - 0.49) * rng.normal(size=20)
        log_es = [3.0 * float(score) - 4.5 for score in z]
        claimed = np.array(multiplicity.e_bh(log_es, alpha=0.1))
        shares.append(np.sum(claimed & (truly == 0)) / max(1, np.sum(claimed)))
    assert np.mean(shares) <= 0.1 + 2.0 * np.std(shares) / math.sqrt(n)


def test_refuses_what_is_no_evidence() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        multiplicity.benjamini_hochberg([1.2], alpha=0.05)
    with pytest.raises(ValueError, match="NaN"):
        multiplicity.e_bh([math.nan], alpha=0.05)
    with pytest.raises(ValueError, match="alpha"):
        multiplicity.e_bh([1.0], alpha=0.0)
    assert multiplicity.e_bh([], alpha=0.05) == ()
