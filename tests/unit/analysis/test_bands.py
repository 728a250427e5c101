"""The band over whole distributions: its width, its error, what it finds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.analysis import bands
from modelrollout.analysis.bands import Refuted
from modelrollout.analysis.histograms import Histogram

BOUNDS = (*np.geomspace(0.05, 8.0, 12).tolist(), math.inf)


def counted(inside: np.ndarray) -> Histogram:
    return Histogram(BOUNDS, tuple(int(count) for count in np.cumsum(inside)))


def test_the_radius_is_the_published_one() -> None:
    # confseq, the authors' own library: empirical_process_lil_bound(1000, 0.05, 100).
    assert bands.radius(1000, alpha=0.05, first=100) == pytest.approx(0.08204769, abs=2e-7)


def test_the_band_is_infinite_before_its_first_look_and_shrinks_after() -> None:
    assert bands.radius(99, alpha=0.05) == math.inf
    widths = [bands.radius(10**power, alpha=0.05) for power in range(2, 13)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(0.85 * math.sqrt(11.3 / 10**12), rel=0.01)


def shares(scale: float) -> np.ndarray:
    """Of an exponential law with this mean, per bucket."""
    return np.diff([0.0, *(1.0 - np.exp(-np.array(BOUNDS) / scale))])


def refutes(rng: np.random.Generator, *, scale: float, per_look: int = 100) -> bool:
    """Is "not slower" ever refuted in 40 looks at even weights?"""
    arms = [np.zeros(len(BOUNDS)), np.zeros(len(BOUNDS))]
    for _ in range(40):
        arms[0] += rng.multinomial(per_look, shares(scale))
        arms[1] += rng.multinomial(per_look, shares(1.0))
        if bands.slower(candidate=counted(arms[0]), stable=counted(arms[1])):
            return True
    return False


def test_error_rate_and_power() -> None:
    # 150 runs, standard error 1.8 points at 5 %. Seen: 0 false alarms, the price of all looks.
    rng = np.random.default_rng(81)
    assert np.mean([refutes(rng, scale=1.0) for _ in range(150)]) <= 0.05
    assert np.mean([refutes(rng, scale=0.8) for _ in range(50)]) == 0.0
    assert np.mean([refutes(rng, scale=1.5) for _ in range(50)]) >= 0.95


def numbers(found: Refuted) -> tuple[float, float, float]:
    return found.bound, found.difference, found.at_least


def test_names_the_bound_and_how_much() -> None:
    bounds = (1.0, 2.0, math.inf)
    stable = Histogram(bounds, (8_000, 9_500, 10_000))
    candidate = Histogram(bounds, (6_000, 9_000, 10_000))
    found = bands.slower(candidate=candidate, stable=stable)
    doubt = 2 * bands.radius(10_000, alpha=0.025)
    assert found is not None
    assert numbers(found) == pytest.approx((1.0, 0.2, 0.2 - doubt))
    tolerant = bands.slower(candidate=candidate, stable=stable, margin=0.1)
    assert tolerant is not None
    assert numbers(tolerant) == pytest.approx((1.0, 0.2, 0.1 - doubt))
    assert bands.slower(candidate=candidate, stable=stable, margin=0.15) is None
    assert bands.slower(candidate=stable, stable=candidate) is None


COUNTS = st.lists(st.integers(min_value=0, max_value=10**11), min_size=13, max_size=13)


@given(candidate=COUNTS, stable=COUNTS)
def test_swapping_arms_swaps_the_claim(candidate: list[int], stable: list[int]) -> None:
    one, other = counted(np.array(candidate)), counted(np.array(stable))
    worse = bands.slower(candidate=one, stable=other)
    better = bands.slower(candidate=other, stable=one)
    both = bands.different(candidate=one, stable=other)
    assert both == bands.different(candidate=other, stable=one)
    assert (both is None) == (worse is None and better is None)
    assert both is None or 0.0 < both.at_least < both.difference <= 1.0


def test_refuses_other_buckets_and_impossible_levels() -> None:
    few = Histogram((1.0, math.inf), (1, 2))
    with pytest.raises(ValueError, match="same buckets"):
        bands.slower(candidate=few, stable=Histogram((2.0, math.inf), (1, 2)))
    with pytest.raises(ValueError, match="margin"):
        bands.slower(candidate=few, stable=few, margin=1.0)
    with pytest.raises(ValueError, match="alpha"):
        bands.radius(1000, alpha=0.0)
    assert bands.slower(candidate=few, stable=few) is None
