"""The stated error rates of means, which are asymptotic: kept for the values that services export.

Without sums of squares the spread is learnt from looks; that holds for values of moderate skew, and
fails for very skewed ones at little traffic. The last test here shows by how much, so that nobody
promises more.
"""

import numpy as np
import pytest

from modelrollout.analysis.questions import Better, Kind, Limit, Margin, Question, RollBackWhen
from tests.unit.analysis import many

LOOK = np.arange(many.LOOKS)[:, None]
INCIDENT = np.where(LOOK >= 30, 1.5, 1.0)
ALPHA_ROLLBACK, ALPHA_PROMOTION = 0.02, 0.05


def exponential(rng: np.random.Generator, size: int) -> many.Floats:
    return rng.exponential(size=size)


def lognormal(rng: np.random.Generator, size: int) -> many.Floats:
    """Mean 1, skewness 6.2: latencies."""
    return rng.lognormal(-0.5, 1.0, size=size)


def normal(rng: np.random.Generator, size: int) -> many.Floats:
    return rng.normal(1.0, 0.2, size=size)


def spikes(rng: np.random.Generator, size: int) -> many.Floats:
    """Mean 1: fifty once in fifty times, else 0."""
    return np.asarray(50.0 * (rng.random(size) < 0.02))


SHAPES = {"exponential": exponential, "lognormal": lognormal, "normal": normal}
TRAFFIC = [pytest.param(1.0, 2000, id="1-rps"), pytest.param(10.0, 200, id="10-rps")]


@pytest.mark.parametrize("squares", [True, False], ids=["squares", "no-squares"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rps", "runs"), TRAFFIC)
def test_equal_means_are_rarely_rolled_back(
    rps: float, runs: int, shape: str, *, squares: bool
) -> None:
    for path in (1.0, INCIDENT):
        rng = np.random.default_rng(21)
        drawn = many.means_drawn(rng, SHAPES[shape], runs=runs, rps=rps, scale_c=path, scale_s=path)
        said = many.judged_means(drawn, Question(kind=Kind.MEAN), squares=squares)
        assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize("squares", [True, False], ids=["squares", "no-squares"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("rps", "runs"), TRAFFIC)
@pytest.mark.parametrize("better", Better)
def test_means_at_the_margin_are_rarely_promoted(
    better: Better, rps: float, runs: int, shape: str, *, squares: bool
) -> None:
    factor = 1.2 if better is Better.LOWER else 0.8
    for margin, path in (
        (Margin(relative=0.2), INCIDENT),
        (Margin(absolute=0.2), 1.0),
        (Margin(relative=0.2, absolute=0.2), 1.0),
    ):
        rng = np.random.default_rng(22)
        drawn = many.means_drawn(
            rng, SHAPES[shape], runs=runs, rps=rps, scale_c=factor * path, scale_s=path
        )
        asked = Question(
            kind=Kind.MEAN,
            better=better,
            margin=margin,
            roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
        )
        said = many.judged_means(drawn, asked, squares=squares)
        assert said.not_worse is not None
        assert many.crossed(said.not_worse, alpha=ALPHA_PROMOTION) <= many.most(
            ALPHA_PROMOTION, runs=runs
        )
        assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)


@pytest.mark.parametrize("better", Better)
def test_a_change_of_the_larger_margin_is_no_harm(better: Better) -> None:
    # Stable's mean moves between 0.3, where 0.2 is tolerated, and 3, where it is 0.6. Over seven
    # hours the averages of both arms differ by more than either margin tolerates.
    runs, looks = 200, 400
    stable = np.where(np.arange(looks)[:, None] % 20 < 10, 0.3, 3.0)
    room = np.maximum(0.2, 0.2 * stable)
    candidate = stable + room if better is Better.LOWER else stable - room
    drawn = many.means_drawn(
        np.random.default_rng(27),
        normal,
        runs=runs,
        rps=1.0,
        scale_c=candidate,
        scale_s=stable,
        weight=np.full((looks, 1), 0.5),
    )
    asked = Question(
        kind=Kind.MEAN,
        better=better,
        margin=Margin(relative=0.2, absolute=0.2),
        roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
    )
    said = many.judged_means(drawn, asked)
    assert said.not_worse is not None
    assert many.crossed(said.harm, alpha=ALPHA_ROLLBACK) <= many.most(ALPHA_ROLLBACK, runs=runs)
    assert many.crossed(said.not_worse, alpha=ALPHA_PROMOTION) <= many.most(
        ALPHA_PROMOTION, runs=runs
    )


@pytest.mark.parametrize("squares", [True, False], ids=["squares", "no-squares"])
@pytest.mark.parametrize(
    "limit",
    [
        pytest.param(Limit(at_most=1.0), id="at-most"),
        pytest.param(Limit(at_least=1.0), id="at-least"),
    ],
)
def test_a_mean_that_keeps_its_limit_rarely_breaks_it(limit: Limit, *, squares: bool) -> None:
    runs = 2000
    rng = np.random.default_rng(23)
    drawn = many.means_drawn(rng, exponential, runs=runs, rps=1.0)
    said = many.judged_means(drawn, Question(kind=Kind.MEAN, limit=limit), squares=squares)
    assert said.limit is not None
    # Skew makes "at least" the harder side: what is called asymptotic, within 1.5 times.
    allowed = ALPHA_ROLLBACK * (1.5 if limit.at_least is not None else 1.0)
    assert many.crossed(said.limit, alpha=ALPHA_ROLLBACK) <= many.most(allowed, runs=runs)


def test_a_mean_far_beyond_its_limit_is_found() -> None:
    drawn = many.means_drawn(np.random.default_rng(24), exponential, runs=300, rps=1.0)
    for limit in (Limit(at_most=0.7), Limit(at_least=1.3)):
        said = many.judged_means(drawn, Question(kind=Kind.MEAN, limit=limit))
        assert said.limit is not None
        assert many.crossed(said.limit, alpha=ALPHA_ROLLBACK) >= 0.99


def test_slower_means_are_found() -> None:
    # The notes' D.3 at alpha 5 %: x1.5 at 1 rps 100 % with median 19; here 2 % is spent.
    rng = np.random.default_rng(25)
    drawn = many.means_drawn(rng, lognormal, runs=500, rps=1.0, scale_c=1.5)
    said = many.judged_means(drawn, Question(kind=Kind.MEAN, planned_events=3600))
    found = many.first_crossing(said.harm, alpha=ALPHA_ROLLBACK)
    assert np.isfinite(found).mean() >= 0.97
    assert np.median(found) <= 24


def test_spikes_without_squares_are_where_the_promise_ends() -> None:
    runs = 2000
    rng = np.random.default_rng(26)
    drawn = many.means_drawn(rng, spikes, runs=runs, rps=1.0, scale_c=1.2)
    asked = Question(kind=Kind.MEAN, margin=Margin(relative=0.2))
    with_squares = many.judged_means(drawn, asked).not_worse
    without = many.judged_means(drawn, asked, squares=False).not_worse
    assert with_squares is not None
    assert without is not None
    assert many.crossed(with_squares, alpha=ALPHA_PROMOTION) <= many.most(
        ALPHA_PROMOTION, runs=runs
    )
    assert 0.06 < many.crossed(without, alpha=ALPHA_PROMOTION) < 0.15
