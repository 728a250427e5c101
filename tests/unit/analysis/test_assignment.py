"""The sharp guard of hash assignment: exact at any time, in any number of arms, up to 10^12."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from modelrollout.analysis import assignment, dirichlet
from modelrollout.analysis.assignment import Step

USERS = st.integers(min_value=0, max_value=10**12)


def two(candidate: int, stable: int, *, share: float = 0.5) -> Step:
    return Step(("candidate", "stable"), (share, 1.0 - share), (candidate, stable))


def test_a_uniform_prior_gives_the_number_done_by_hand() -> None:
    # Ten heads in a row: the integral of q^10 is 1/11, the fair coin gives 2^-10.
    found = dirichlet.log_ratio((10, 0), law=(0.5, 0.5), prior=(1.0, 1.0))
    assert math.exp(found) == pytest.approx(1024 / 11, rel=1e-12)


def test_three_categories_agree_with_log_gammas() -> None:
    # Lindon and Malek (2011.03567), the Bayes factor before rearrangement.
    counts, prior, law = (3, 5, 9), (1.0, 2.0, 0.5), (0.2, 0.3, 0.5)
    after = np.add(counts, prior)
    gained = np.sum(special.gammaln(after)) - special.gammaln(np.sum(after))
    before = np.sum(special.gammaln(prior)) - special.gammaln(np.sum(prior))
    expected = gained - before - np.dot(counts, np.log(law))
    assert dirichlet.log_ratio(counts, law=law, prior=prior) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("half", [10**3, 10**6, 10**9, 10**12])
def test_even_counts_keep_all_digits(half: int) -> None:
    # 4^n n!^2/(2n+1)! = sqrt(pi n)/(2n+1) (1 + 1/(8n) + ...), Wallis.
    expected = 0.5 * math.log(math.pi * half) - math.log1p(2 * half) + 1 / (8 * half)
    found = dirichlet.log_ratio((half, half), law=(0.5, 0.5), prior=(1.0, 1.0))
    assert found == pytest.approx(expected, abs=1e-9 + 1 / half**2)


def test_the_expected_e_value_of_fair_assignment_is_one() -> None:
    # Exact, by summing over all outcomes: no simulation.
    users, share = 40, 0.3
    chance = [math.comb(users, k) * share**k * (1 - share) ** (users - k) for k in range(users + 1)]
    values = [
        math.exp(assignment.step_log_e(two(k, users - k, share=share))) for k in range(users + 1)
    ]
    assert math.fsum(np.multiply(chance, values)) == pytest.approx(1.0, abs=1e-9)


def alarms(rng: np.random.Generator, *, given_shares: tuple[float, ...], looks: int = 30) -> bool:
    """Is 1/0.05 ever reached, in two steps of three arms, watched at each look?"""
    names = ("a", "b", "stable")
    steps: list[Step] = []
    for asked in ((0.05, 0.05, 0.9), (0.2, 0.2, 0.6)):
        users = np.zeros(3, dtype=np.int64)
        for _ in range(looks):
            shares = np.multiply(asked, given_shares)
            users += rng.multinomial(2_000, shares / shares.sum())
            now = Step(names, asked, tuple(int(count) for count in users))
            if assignment.log_e([*steps, now]) >= math.log(20.0):
                return True
        steps.append(now)
    return False


def test_fair_assignment_hardly_ever_raises_the_alarm() -> None:
    rng = np.random.default_rng(41)
    runs = [alarms(rng, given_shares=(1.0, 1.0, 1.0)) for _ in range(150)]
    assert np.mean(runs) <= 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / 150)


def test_an_arm_that_loses_a_twentieth_of_its_users_is_found() -> None:
    rng = np.random.default_rng(42)
    assert np.mean([alarms(rng, given_shares=(0.9, 1.0, 1.0)) for _ in range(20)]) >= 0.9


@given(candidate=USERS, stable=USERS, share=st.floats(min_value=0.001, max_value=0.999))
def test_swapping_arms_changes_nothing(candidate: int, stable: int, share: float) -> None:
    one = assignment.step_log_e(two(candidate, stable, share=share))
    other = assignment.step_log_e(two(stable, candidate, share=1.0 - share))
    assert math.isfinite(one)
    assert one == pytest.approx(other, rel=1e-6, abs=1e-6)


@given(first=USERS, second=USERS)
def test_evidence_of_steps_multiplies(first: int, second: int) -> None:
    steps = [two(first, second), two(second, second)]
    assert assignment.log_e(steps) == math.fsum(assignment.step_log_e(step) for step in steps)


def test_says_which_way_it_leans() -> None:
    assert assignment.leaning([two(5_000, 5_400)]) == (
        "candidate gets too few users: 5,000 where 5,200 were expected, 3.9 standard errors away"
    )
    assert assignment.leaning([two(100, 100)]).startswith("users came exactly")
    assert assignment.leaning([two(0, 0)]) == "no users were counted yet"


@pytest.mark.parametrize(
    ("names", "shares", "users", "sentence"),
    [
        pytest.param(("a", "b"), (0.5, 0.5), (-1, 2), "at least 0, found -1", id="negative"),
        pytest.param(("a", "b"), (5.0, 95.0), (1, 2), "sum to 1", id="percent"),
        pytest.param(("a", "b"), (math.nan, 0.5), (1, 2), "sum to 1", id="nan"),
        pytest.param(("a",), (1.0,), (1,), "at least two", id="one-arm"),
        pytest.param(("a", "b", "c"), (0.5, 0.5), (1, 2), "3 arms and 2 shares", id="arms"),
    ],
)
def test_refuses_what_cannot_have_been_asked(
    names: tuple[str, ...], shares: tuple[float, ...], users: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Step(names, shares, users)
