"""The stated error rates of rates are kept, whatever the ramp and whatever befalls both versions.

Each bound is what a true rate of the stated size would show, but for one time in 700; observed
rates are about a third of what is stated, the price of answering at any look. Seeds are fixed.
"""

from collections.abc import Callable

import numpy as np
import pytest

from modelrollout.analysis import bets
from modelrollout.analysis.questions import Better, Limit, Margin, Question, RollBackWhen
from tests.unit.analysis import many

LOOK = np.arange(many.LOOKS)[:, None]
FLAT = np.ones((many.LOOKS, 1))
LATE = np.where(LOOK >= 30, 3.0, 1.0)
EARLY = np.where(LOOK < 30, 5.0, 1.0)
WAVES = 1.0 + 0.9 * np.sin(2.0 * np.pi * LOOK / 50)
SWITCHING = np.where(LOOK % 20 < 10, 0.1, 3.0)
"""Changes which of two margins is the larger one."""
PATHS = {"flat": FLAT, "late": LATE, "early": EARLY, "waves": WAVES, "switching": SWITCHING}

ALPHA_ROLLBACK, ALPHA_PROMOTION = 0.02, 0.05
MARGINS = {
    "relative": Margin(relative=0.5),
    "absolute": Margin(absolute=0.01),
    "both": Margin(relative=0.5, absolute=0.01),
}


def at_the_margin(margin: Margin, p_s: many.Floats) -> many.Floats:
    """The candidate's rate that stands exactly on the margin in every look."""
    edges = [p_s * (1.0 + margin.relative)] if margin.relative else []
    edges += [p_s + margin.absolute] if margin.absolute else []
    return np.asarray(np.max(edges, axis=0))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("rps", "runs"), [(1.0, 3000), (10.0, 3000), (100.0, 2000)])
def test_equal_versions_are_rarely_rolled_back(path: str, rps: float, runs: int) -> None:
    p = 0.005 * PATHS[path]
    drawn = many.rates_drawn(np.random.default_rng(11), runs=runs, rps=rps, p_c=p, p_s=p)
    said = many.judged_rates(drawn, Question(planned_events=rps * 3600 * 0.005))
    assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)
    assert many.crossed(said.better, alpha=ALPHA_PROMOTION) <= many.most(ALPHA_PROMOTION, runs=runs)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.95])
def test_equal_versions_with_common_events_are_rarely_rolled_back(p: float) -> None:
    runs = 2000
    drawn = many.rates_drawn(np.random.default_rng(12), runs=runs, rps=2.0, p_c=p, p_s=p)
    for better in Better:
        said = many.judged_rates(drawn, Question(better=better))
        assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize(
    "steer",
    [
        pytest.param(lambda z: np.where(z > 1.0, 0.05, 0.5), id="retreats-when-it-looks-bad"),
        pytest.param(lambda z: np.where(z > 1.0, 0.5, 0.05), id="advances-when-it-looks-bad"),
    ],
)
def test_weights_that_follow_the_outcome_do_not_raise_the_error(
    steer: Callable[[many.Floats], many.Floats],
) -> None:
    runs = 4000
    drawn = many.rates_steered(np.random.default_rng(13), steer, runs=runs, rps=10.0, p=0.005)
    said = many.judged_rates(drawn, Question())
    assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize("path", ["flat", "early", "switching"])
@pytest.mark.parametrize("p_s", [1e-9, 0.005, 0.02])
@pytest.mark.parametrize("margin", MARGINS)
def test_at_the_margin_neither_promotion_nor_rollback_exceeds_its_rate(
    margin: str, p_s: float, path: str
) -> None:
    runs, stable = 1000, p_s * PATHS[path]
    candidate = at_the_margin(MARGINS[margin], stable)
    rng = np.random.default_rng(14)
    drawn = many.rates_drawn(rng, runs=runs, rps=10.0, p_c=candidate, p_s=stable)
    for usual in (None, p_s):
        asked = Question(
            margin=MARGINS[margin],
            usual_rate=usual,
            roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
        )
        said = many.judged_rates(drawn, asked)
        assert said.not_worse is not None
        assert many.crossed(said.not_worse, alpha=ALPHA_PROMOTION) <= many.most(
            ALPHA_PROMOTION, runs=runs
        )
        assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize("margin", ["relative", "absolute"])
def test_at_the_margin_where_higher_is_better(margin: str) -> None:
    asked = Question(
        better=Better.HIGHER,
        margin={"relative": Margin(relative=0.1), "absolute": Margin(absolute=0.05)}[margin],
        roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
    )
    runs, stable = 1500, 0.8 * np.where(LOOK < 30, 1.0, 0.5)
    candidate = 0.9 * stable if margin == "relative" else stable - 0.05
    rng = np.random.default_rng(15)
    drawn = many.rates_drawn(rng, runs=runs, rps=5.0, p_c=candidate, p_s=stable)
    said = many.judged_rates(drawn, asked)
    assert said.not_worse is not None
    assert many.crossed(said.not_worse, alpha=ALPHA_PROMOTION) <= many.most(
        ALPHA_PROMOTION, runs=runs
    )
    assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize(
    ("limit", "p"),
    [
        pytest.param(Limit(at_most=0.01), 0.01, id="at-most"),
        pytest.param(Limit(at_least=0.9), 0.9, id="at-least"),
    ],
)
def test_a_candidate_that_keeps_its_limit_rarely_breaks_it(limit: Limit, p: float) -> None:
    runs = 2000
    rng = np.random.default_rng(16)
    kept = np.where(LOOK % 7 == 0, p, p if limit.at_most is None else 0.5 * p)
    for path in (p, kept):
        drawn = many.rates_drawn(rng, runs=runs, rps=10.0, p_c=path, p_s=0.5)
        said = many.judged_rates(drawn, Question(limit=limit))
        assert said.limit is not None
        assert many.crossed(said.limit, alpha=ALPHA_ROLLBACK) <= many.most(
            ALPHA_ROLLBACK, runs=runs
        )


@pytest.mark.parametrize(
    ("rps", "p_c", "median"),
    [
        # Targets set at the error rate of 5 %; here 2 % is spent, which costs a look or
        # two: base rate 0.5 %, ramp from 5 to 50 %, minutes until half of the rollouts ended.
        pytest.param(1.0, 0.05, 16, id="ten-times-at-1-rps"),
        pytest.param(10.0, 0.02, 11, id="four-times-at-10-rps"),
        pytest.param(10.0, 0.01, 37, id="twice-at-10-rps"),
        pytest.param(100.0, 0.01, 10, id="twice-at-100-rps"),
        pytest.param(100.0, 0.02, 3, id="four-times-at-100-rps"),
    ],
)
def test_harm_is_caught_early(rps: float, p_c: float, median: int) -> None:
    rng = np.random.default_rng(17)
    drawn = many.rates_drawn(rng, runs=1000, rps=rps, p_c=p_c, p_s=0.005)
    said = many.judged_rates(drawn, Question(planned_events=rps * 3600 * 0.005))
    assert np.median(many.first_crossing(said.harm, alpha=ALPHA_ROLLBACK)) <= median


@pytest.mark.parametrize("rps", [1.0, 10.0, 100.0])
def test_twice_as_many_errors_are_hardly_ever_promoted(rps: float) -> None:
    runs = 2000
    rng = np.random.default_rng(18)
    drawn = many.rates_drawn(rng, runs=runs, rps=rps, p_c=0.01, p_s=0.005)
    said = many.judged_rates(drawn, Question(margin=Margin(relative=0.5, absolute=0.001)))
    assert said.not_worse is not None
    assert many.crossed(said.not_worse, alpha=ALPHA_PROMOTION) <= 0.005


def test_a_healthy_version_is_promoted_within_the_hour() -> None:
    rng = np.random.default_rng(19)
    drawn = many.rates_drawn(rng, runs=1000, rps=100.0, p_c=0.005, p_s=0.005)
    asked = Question(margin=Margin(relative=0.5), usual_rate=0.005, planned_events=1800)
    said = many.judged_rates(drawn, asked)
    assert said.not_worse is not None
    shown = many.first_crossing(said.not_worse, alpha=ALPHA_PROMOTION)
    assert np.isfinite(shown).mean() >= 0.99
    assert np.median(shown) <= 16


@pytest.mark.long
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("p_s", [1e-9, 0.0005, 0.005, 0.02, 0.1])
@pytest.mark.parametrize("margin", MARGINS)
@pytest.mark.parametrize(("rps", "runs"), [(1.0, 10_000), (100.0, 5_000)])
def test_at_the_margin_with_many_rollouts(
    margin: str, p_s: float, path: str, rps: float, runs: int
) -> None:
    stable = np.minimum(p_s * PATHS[path], 0.6)
    candidate = at_the_margin(MARGINS[margin], stable)
    rng = np.random.default_rng(20)
    asked = Question(margin=MARGINS[margin], roll_back_when=RollBackWhen.WORSE_THAN_MARGIN)
    promoted = rolled_back = 0.0
    parts = runs // 2500
    for _ in range(parts):
        drawn = many.rates_drawn(rng, runs=2500, rps=rps, p_c=candidate, p_s=stable)
        said = many.judged_rates(drawn, asked)
        assert said.not_worse is not None
        promoted += float(many.crossed(said.not_worse, alpha=ALPHA_PROMOTION)) / parts
        rolled_back += float(many.crossed(said.harm, alpha=ALPHA_ROLLBACK)) / parts
    assert promoted <= many.most(ALPHA_PROMOTION, runs=runs)
    assert rolled_back <= many.most(ALPHA_ROLLBACK, runs=runs)


def test_the_bets_of_a_look_do_not_see_the_look() -> None:
    # Predictability is what validity rests on: the same past gives the same bets.
    held = bets.beliefs(Better.LOWER, usual=None)
    past = bets.Past().then(n_c=100, x_c=1, n_s=100, x_s=2)
    one = bets.equal_rates(held, past=past, fading=past)
    grown = past.then(n_c=100, x_c=50, n_s=100, x_s=50)
    assert (one == bets.equal_rates(held, past=past, fading=past)).all()
    assert (one != bets.equal_rates(held, past=grown, fading=grown))[:2].all()
