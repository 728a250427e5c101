"""Exact conditional spending: its laws, what it spends, and what it catches."""

import base64
import json
import math
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelrollout.analysis import spending
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.spending import Plan, SpendingError, Spent
from tests.unit.analysis import many

Looks = list[tuple[RateCounts, RateCounts]]


def looks_of(drawn: many.RateLooks, run: int) -> Looks:
    return [
        (
            RateCounts(int(drawn.n_c[k, run]), int(drawn.x_c[k, run])),
            RateCounts(int(drawn.n_s[k, run]), int(drawn.x_s[k, run])),
        )
        for k in range(len(drawn.n_c))
    ]


def test_one_look_is_fishers_exact_test() -> None:
    # Fisher's tea tasting (The Design of Experiments, 1935): 4 of 4 cups right has probability
    # 1 / 70, at least 3 of 4 has 17 / 70.
    cups = RateCounts(4, 4), RateCounts(4, 0)
    sure = spending.advance(Spent(), Plan(alpha=0.05, looks=1), candidate=cups[0], stable=cups[1])
    assert sure.alarm
    assert sure.boundary == 4
    assert sure.error == pytest.approx(1 / 70)
    assert spending.p_value(Plan(alpha=0.05, looks=1), [cups]) == pytest.approx(1 / 70, rel=2e-3)
    most = spending.advance(
        Spent(), Plan(alpha=0.25, looks=1), candidate=RateCounts(4, 3), stable=RateCounts(4, 1)
    )
    assert (most.boundary, most.alarm) == (3, True)
    assert most.error == pytest.approx(17 / 70)


@pytest.mark.parametrize(
    ("n_c", "n_s", "events"), [(10, 30, 7), (1000, 19_000, 95), (3, 5, 6), (60_000, 60_000, 600)]
)
def test_the_increments_are_hypergeometric(n_c: int, n_s: int, events: int) -> None:
    x_c = min(events, n_c)
    least, law = spending.increment(
        Plan(alpha=0.02, looks=60),
        candidate=RateCounts(n_c, x_c),
        stable=RateCounts(n_s, events - x_c),
    )
    expected = stats.hypergeom(n_c + n_s, events, n_c).pmf(least + np.arange(len(law)))
    assert law == pytest.approx(expected, rel=1e-6, abs=1e-13)


def test_the_increments_of_another_ratio_are_binomial() -> None:
    # Half as much traffic and a harmless ratio of 1.5: each event falls to the candidate with
    # probability 0.75 / 1.75.
    _, law = spending.increment(
        Plan(alpha=0.02, looks=1, ratio=1.5),
        candidate=RateCounts(1000, 3),
        stable=RateCounts(2000, 4),
    )
    assert law == pytest.approx(stats.binom(7, 0.75 / 1.75).pmf(range(8)), rel=1e-9)


def test_crossing_probabilities_against_the_sequential_package() -> None:
    # R package Sequential, Performance.Binomial(N = 30, M = 1, cv = 2, z = 1, RR = 2): power
    # 0.658732. One event per look, alarm when the log likelihood ratio against 1/2 reaches 2.
    # The recursion of `advance` with that boundary and increments of probability 2/3.
    law, power = np.ones(1), 0.0
    plan = Plan(alpha=0.5, looks=1, ratio=2.0)
    for total in range(1, 31):
        _, step = spending.increment(
            plan, candidate=RateCounts(1000, 1), stable=RateCounts(1000, 0)
        )
        law = np.convolve(law, step)
        counts = np.arange(len(law))
        share = np.maximum(counts / total, 0.5)
        with np.errstate(divide="ignore", invalid="ignore"):
            others = np.where(share < 1, (total - counts) * np.log(2 * (1 - share)), 0.0)
        crossed = counts * np.log(2 * share) + others >= 2.0
        power += float(law[crossed].sum())
        law = np.where(crossed, 0.0, law)
    assert power == pytest.approx(0.658732, abs=1e-6)


def test_the_error_is_that_of_all_paths() -> None:
    # Three looks small enough to enumerate every path.
    sizes = [(5, 15, 4), (8, 12, 3), (10, 10, 5)]
    plan = Plan(alpha=0.2, looks=3)
    spent, boundaries = Spent(), []
    for n_c, n_s, events in sizes:
        spent = spending.advance(
            spent, plan, candidate=RateCounts(n_c, 0), stable=RateCounts(n_s, events)
        )
        boundaries.append(spent.boundary)
    alarmed, paths = 0.0, {0: 1.0}
    for (n_c, n_s, events), boundary in zip(sizes, boundaries, strict=True):
        following: dict[int, float] = {}
        for total, chance in paths.items():
            for x_c in range(min(n_c, events) + 1):
                reached = chance * stats.hypergeom(n_c + n_s, events, n_c).pmf(x_c)
                if total + x_c >= boundary:
                    alarmed += reached
                else:
                    following[total + x_c] = following.get(total + x_c, 0.0) + reached
        paths = following
    assert alarmed <= spent.error <= alarmed * 1.00001
    assert 0.1 < spent.error <= 0.2


def test_the_shape_ends_at_1_and_never_falls() -> None:
    parts = np.linspace(0.0, 2.0, 400)
    spent = [spending.shape(float(part)) for part in parts]
    assert spent[0] == 0.0
    assert spending.shape(1.0) == pytest.approx(1.0)
    assert np.all(np.diff(spent) >= 0)


@st.composite
def counted(draw: st.DrawFn) -> tuple[RateCounts, RateCounts]:
    arms = []
    for _ in range(2):
        trials = draw(st.integers(0, 400))
        arms.append(RateCounts(trials, draw(st.integers(0, min(trials, 30)))))
    return arms[0], arms[1]


@given(
    looks=st.lists(counted(), max_size=25),
    alpha=st.sampled_from([0.001, 0.02, 0.3]),
    after=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_never_more_is_spent_than_the_budget(looks: Looks, alpha: float, *, after: bool) -> None:
    plan, spent = Plan(alpha=alpha, looks=10, after_deadline=after), Spent()
    for candidate, stable in looks:
        before = spent
        spent = spending.advance(spent, plan, candidate=candidate, stable=stable)
        assert before.error <= spent.error <= plan.budget(spent.looks) * (1 + 1e-9) + 1e-15
        assert spent.error <= alpha * (1 + 1e-9)
        # Rounded up by at most 2.7 parts in a million at each look.
        assert (
            1.0 - spent.error - 1e-9
            <= sum(spent.law)
            <= (1.0 - spent.error) * (1.0 + 2.7e-6) ** spent.looks + 1e-9
        )
        assert spent.boundary >= before.least


@given(looks=st.lists(counted(), max_size=15))
@settings(max_examples=60, deadline=None)
def test_a_look_of_one_empty_arm_spends_nothing_and_blames_nobody(looks: Looks) -> None:
    plan = Plan(alpha=0.02, looks=20)
    spent = spending.all_looks(plan, looks)
    after = spending.advance(spent, plan, candidate=RateCounts(50, 50), stable=RateCounts())
    assert after.events == spent.events


@pytest.mark.parametrize(
    ("rps", "runs", "least"), [(1.0, 400, 0.016), (10.0, 300, 0.019), (100.0, 40, 0.0195)]
)
@pytest.mark.parametrize("incident", [1.0, 3.0], ids=["flat", "incident"])
def test_the_spent_error_is_what_the_notes_computed(
    rps: float, runs: int, least: float, incident: float
) -> None:
    # Notes A.3, exact mean spent alpha at 2 %: 1.82, 1.98, 1.99 %; incident 1.94, 1.99, 2.00 %.
    p = np.where(np.arange(60) >= 30, incident, 1.0)[:, None] * 0.005
    drawn = many.rates_drawn(np.random.default_rng(61), runs=runs, rps=rps, p_c=p, p_s=p)
    plan = Plan(alpha=0.02, looks=60)
    ends = [spending.all_looks(plan, looks_of(drawn, run)) for run in range(min(runs, 40))]
    errors = [spent.error for spent in ends]
    assert least <= np.mean(errors) <= 0.02
    assert max(errors) <= 0.02 * (1 + 1e-9)


@pytest.mark.long
@pytest.mark.parametrize(("rps", "runs"), [(1.0, 10_000), (10.0, 6000)])
def test_false_alarms_by_simulation(rps: float, runs: int) -> None:
    drawn = many.rates_drawn(np.random.default_rng(62), runs=runs, rps=rps, p_c=0.005, p_s=0.005)
    plan = Plan(alpha=0.02, looks=60)
    alarms = [spending.all_looks(plan, looks_of(drawn, run)).alarm for run in range(runs)]
    assert 0.012 <= np.mean(alarms) <= many.most(0.02, runs=runs)


@pytest.mark.parametrize(
    ("rps", "p_c", "median"),
    [
        # The medians of notes A.3, and one look for chance.
        pytest.param(1.0, 0.05, 15, id="ten-times-at-1-rps"),
        pytest.param(10.0, 0.02, 10, id="four-times-at-10-rps"),
        pytest.param(10.0, 0.01, 29, id="twice-at-10-rps"),
        pytest.param(100.0, 0.01, 8, id="twice-at-100-rps"),
        pytest.param(100.0, 0.02, 2, id="four-times-at-100-rps"),
    ],
)
def test_harm_is_caught_as_early_as_the_notes_say(rps: float, p_c: float, median: int) -> None:
    runs = 150
    drawn = many.rates_drawn(np.random.default_rng(63), runs=runs, rps=rps, p_c=p_c, p_s=0.005)
    plan, found = Plan(alpha=0.02, looks=60), []
    for run in range(runs):
        spent = Spent()
        for candidate, stable in looks_of(drawn, run):
            spent = spending.advance(spent, plan, candidate=candidate, stable=stable)
            if spent.alarm:
                break
        found.append(spent.looks if spent.alarm else math.inf)
    assert np.median(found) <= median


def test_after_the_deadline_only_the_reserve_is_left() -> None:
    plan, bare = Plan(0.02, 10, after_deadline=True), Plan(0.02, 10)
    assert plan.budget(10) == pytest.approx(0.018)
    assert plan.budget(20) == pytest.approx(0.019)
    assert plan.budget(10**9) == pytest.approx(0.02)
    assert bare.budget(10) == bare.budget(1000) == pytest.approx(0.02)


def test_a_late_alarm_has_a_larger_p_value_than_an_early_one() -> None:
    quiet = (RateCounts(500, 2), RateCounts(500, 2))
    harmful = (RateCounts(500, 14), RateCounts(500, 2))
    plan = Plan(alpha=0.02, looks=10)
    values = [spending.p_value(plan, [quiet] * before + [harmful] * 2) for before in (0, 6)]
    assert values[0] < values[1]
    assert spending.p_value(plan, [quiet] * 5) > 0.02
    assert spending.all_looks(plan, [harmful] * 2).alarm == (values[0] <= 0.02)


@pytest.mark.parametrize("size", [10**3, 10**6, 10**9, 10**12])
def test_any_number_of_requests_gives_probabilities(size: int) -> None:
    least, law = spending.increment(
        Plan(alpha=0.02, looks=1), candidate=RateCounts(size, 5), stable=RateCounts(3 * size, 15)
    )
    assert least == 0
    # Far more requests than events: Binomial with a quarter.
    if size >= 10**6:
        assert law == pytest.approx(stats.binom(20, 0.25).pmf(range(21)), rel=1e-3)
    assert law.sum() == pytest.approx(1.0)


def test_a_look_is_cheap() -> None:
    # Notes A.5: a tenth of a millisecond at 100 requests/s; ten times that is a fault.
    drawn = many.rates_drawn(np.random.default_rng(64), runs=1, rps=100.0, p_c=0.005, p_s=0.005)
    looks, plan = looks_of(drawn, 0), Plan(alpha=0.02, looks=60)
    spending.all_looks(plan, looks)
    began_s = time.process_time()
    spending.all_looks(plan, looks)
    assert (time.process_time() - began_s) / 60 < 1e-3


@pytest.mark.parametrize(
    ("alpha", "looks", "ratio", "says"),
    [
        (0.0, 10, 1.0, "probability"),
        (0.02, 0, 1.0, "at least one look"),
        (0.02, 10, 0.0, "above 0 and finite"),
        (0.02, 10, math.nan, "above 0 and finite"),
    ],
)
def test_plans_that_cannot_be_are_refused(
    alpha: float, looks: int, ratio: float, says: str
) -> None:
    with pytest.raises(SpendingError, match=says):
        Plan(alpha, looks, ratio=ratio)


def test_too_many_events_for_a_law_of_each_count_are_refused() -> None:
    many_events = RateCounts(10**12, 10**9)
    with pytest.raises(SpendingError, match="at most 8,192 counts"):
        spending.advance(Spent(), Plan(0.02, 10), candidate=many_events, stable=many_events)


def test_a_ratio_of_common_events_is_refused() -> None:
    with pytest.raises(SpendingError, match="absolute terms"):
        spending.advance(
            Spent(),
            Plan(0.02, 10, ratio=1.5),
            candidate=RateCounts(100, 10),
            stable=RateCounts(100, 10),
        )


@given(looks=st.lists(counted(), max_size=15))
@settings(max_examples=60, deadline=None)
def test_what_is_stored_is_read_back_without_loss(looks: Looks) -> None:
    spent = spending.all_looks(Plan(alpha=0.02, looks=20), looks)
    assert Spent.from_json(json.loads(json.dumps(spent.to_json()))) == spent


def test_a_wide_law_is_stored_in_less_than_a_letter_for_each_of_its_counts() -> None:
    plan, spent, random = Plan(alpha=0.004, looks=210), Spent(), np.random.default_rng(6)
    for _ in range(200):
        events = [int(random.binomial(1500, 0.05)) for _ in range(2)]
        candidate, stable = (RateCounts(1500, one) for one in events)
        spent = spending.advance(spent, plan, candidate=candidate, stable=stable)
    law = spent.to_json()[-1]
    assert isinstance(law, str)
    assert len(spent.law) > 700
    assert len(law) < len(spent.law)
    assert Spent.from_json(json.loads(json.dumps(spent.to_json()))) == spent


@pytest.mark.parametrize(
    "law",
    [
        pytest.param("AAAA", id="not compressed"),
        pytest.param(base64.b64encode(zlib.compress(bytes(6))).decode(), id="not of four bytes"),
        pytest.param(base64.b64encode(zlib.compress(bytes(8))[:-3]).decode(), id="a part of it"),
        pytest.param(base64.b64encode(zlib.compress(bytes(10**7))).decode(), id="far too much"),
        pytest.param("!", id="not base 64"),
    ],
)
def test_a_law_that_was_not_stored_so_is_refused(law: str) -> None:
    stored = [*Spent(looks=1, law=(1.0,)).to_json()[:-1], law]
    with pytest.raises(ValueError, match=r"expected|base64"):
        Spent.from_json(stored)


def test_a_law_that_grows_wide_is_kept_short_and_never_spends_more() -> None:
    # 200 looks of 20,000 events each: the exact law would have a standard deviation of 1,000.
    plan, spent, random = Plan(alpha=0.02, looks=200), Spent(), np.random.default_rng(5)
    for _ in range(200):
        x_c = int(random.hypergeometric(20_000, 180_000, 100_000))
        spent = spending.advance(
            spent,
            plan,
            candidate=RateCounts(100_000, x_c),
            stable=RateCounts(100_000, 20_000 - x_c),
        )
        assert len(spent.law) <= spending.WIDEST
        assert spent.error <= plan.budget(spent.looks)
    assert len(json.dumps(spent.to_json())) < 4_300
    # Conservative by now, as it must be: 2.05 standard deviations are the quantile of 2 %.
    assert 2.05 < (spent.boundary - spent.expected) / 1000.0 / math.sqrt(0.9) < 5.0


def test_a_dispersion_counts_the_excess_for_less() -> None:
    candidate, stable = RateCounts(1000, 30), RateCounts(1000, 10)
    plan = Plan(alpha=0.02, looks=1)
    alone = spending.advance(Spent(), plan, candidate=candidate, stable=stable)
    noisy = spending.advance(Spent(), plan, candidate=candidate, stable=stable, dispersion=9.0)
    assert (alone.alarm, noisy.alarm) == (True, False)
    assert noisy.boundary == alone.boundary
