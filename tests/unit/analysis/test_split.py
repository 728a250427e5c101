"""The guard of the traffic split: quiet on what is tolerated, loud on what is not."""

import json
import math

import numpy as np
import pytest

from modelrollout.analysis import split
from modelrollout.analysis.split import Split


def alarms(
    rng: np.random.Generator,
    *,
    asked: float,
    given: float,
    per_look: int,
    looks: int = 40,
    bunch: int = 1,
    alarm: float = split.ALARM,
) -> bool:
    """Does one step of `looks` looks ever raise the alarm? Requests arrive in bunches."""
    guard = split.fresh()
    for _ in range(looks):
        candidate = bunch * int(rng.binomial(per_look // bunch, given))
        guard = split.advance(guard, share=asked, candidate=candidate, stable=per_look - candidate)
        if split.log_e(guard) >= alarm:
            return True
    return False


@pytest.mark.parametrize("asked", [0.01, 0.05, 0.5])
@pytest.mark.parametrize("part", [0.9, 1.0, 1.1])
def test_a_tenth_more_or_less_raises_no_alarm(asked: float, part: float) -> None:
    # Tested at 1/20 and not at 1/1000, so that 200 runs can show a fault.
    given = asked * part
    rng = np.random.default_rng(31)
    runs = [
        alarms(rng, asked=asked, given=given, per_look=50_000, alarm=math.log(20.0))
        for _ in range(200)
    ]
    assert np.mean(runs) <= 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / 200)


def test_requests_that_come_in_bunches_hardly_ever_raise_the_alarm() -> None:
    rng = np.random.default_rng(32)
    runs = [alarms(rng, asked=0.05, given=0.05, per_look=600, bunch=20) for _ in range(200)]
    assert np.mean(runs) <= 0.02


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(0.05, 0.10, id="twice-as-much"),
        pytest.param(0.5, 0.35, id="sticky-sessions"),
        pytest.param(0.05, 0.0, id="nothing-arrives"),
        pytest.param(0.10, 1.0, id="everything-arrives"),
    ],
)
def test_a_wrong_split_raises_the_alarm(asked: float, given: float) -> None:
    rng = np.random.default_rng(33)
    assert all(alarms(rng, asked=asked, given=given, per_look=600) for _ in range(50))


@pytest.mark.parametrize("wrong_looks", [10, 200])
@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param(0.05, 0.10, id="twice-as-much"),
        pytest.param(0.5, 0.35, id="sticky-sessions"),
        pytest.param(0.20, 0.47, id="past-the-split"),
        pytest.param(0.20, 0.0, id="nothing-arrives"),
    ],
)
def test_a_split_that_is_put_right_is_believed_however_long_it_was_wrong(
    asked: float, given: float, wrong_looks: int
) -> None:
    rng, guard = np.random.default_rng(34), split.fresh()
    for _ in range(wrong_looks):
        candidate = int(rng.binomial(600, given))
        guard = split.advance(guard, share=asked, candidate=candidate, stable=600 - candidate)
    assert split.log_e(guard) >= split.ALARM
    looks = 0
    while split.log_e(guard) >= split.ALARM:
        candidate = int(rng.binomial(600, asked))
        guard = split.advance(guard, share=asked, candidate=candidate, stable=600 - candidate)
        looks += 1
    assert looks <= 25


def test_the_alarm_stands_as_long_as_the_split_is_wrong() -> None:
    rng, guard = np.random.default_rng(35), split.fresh()
    for look in range(300):
        candidate = int(rng.binomial(600, 0.10))
        guard = split.advance(guard, share=0.05, candidate=candidate, stable=600 - candidate)
        assert look < 10 or split.log_e(guard) >= split.ALARM


def test_it_says_which_way_the_split_leans() -> None:
    more = split.advance(split.fresh(), share=0.05, candidate=100, stable=900)
    assert split.leaning(more) == (
        "the candidate gets too many requests: 10.00% of 1,000 where 5.00% were asked for"
    )
    fewer = split.advance(split.fresh(), share=0.05, candidate=10, stable=990)
    assert "too few" in split.leaning(fewer)
    assert "no requests" in split.leaning(split.fresh())


def test_another_share_begins_anew() -> None:
    guard = split.fresh()
    for _ in range(split.FEWEST_LOOKS):
        assert split.log_e(guard) == 0.0
        guard = split.advance(guard, share=0.05, candidate=600, stable=400)
    assert split.log_e(guard) > split.ALARM
    assert split.advance(guard, share=0.1, candidate=10, stable=90).total == 100


def test_the_guard_survives_storage() -> None:
    guard = split.advance(split.fresh(), share=0.05, candidate=60, stable=940)
    assert Split.from_json(json.loads(json.dumps(guard.to_json()))) == guard
    assert Split.from_json("damaged") == split.fresh()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="expected a share between 0 and 1"):
        split.advance(split.fresh(), share=share, candidate=1, stable=1)


def test_negative_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="requests of at least 0"):
        split.advance(split.fresh(), share=0.5, candidate=-1, stable=1)


def test_a_look_without_requests_changes_nothing() -> None:
    guard = split.advance(split.fresh(), share=0.05, candidate=60, stable=940)
    assert split.advance(guard, share=0.05, candidate=0, stable=0) == guard


@pytest.mark.parametrize("size", [1, 10**6, 10**12])
def test_all_sizes_are_finite(size: int) -> None:
    guard = split.fresh()
    for candidate, stable in ((size, 0), (0, size), (size, size), (0, 0), (size, 1), (1, size)):
        guard = split.advance(guard, share=0.3, candidate=candidate, stable=stable)
        assert math.isfinite(split.log_e(guard))
