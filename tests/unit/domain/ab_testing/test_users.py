"""Sums by user: what is kept, folded and judged."""

import json

import numpy as np
import pytest

from modelrollout.api.spec import Better, ModelRolloutSpec
from modelrollout.domain.ab_testing import users
from modelrollout.domain.ab_testing.users import Kept
from modelrollout.domain.observed import Look, UserPair

Sums = dict[str, tuple[float, float]]


def sums(draw: np.random.Generator, *, value: float, buckets: int = 100) -> Sums:
    """Each bucket with some hundred observations of its own mean."""
    counts = draw.integers(80, 120, buckets)
    means = draw.normal(value, 0.2, buckets)
    return {str(n): (float(counts[n] * means[n]), float(counts[n])) for n in range(buckets)}


def look(candidate: Sums, stable: Sums) -> Look:
    return Look(0.0, 30.0, users={"rating": UserPair(candidate, stable)})


def spec(*, by_user: int = 1, **metric: object) -> ModelRolloutSpec:
    goal = {"role": "goal", "better": "higher", "buckets": {}, "mean": {"sum": "s", "count": "n"}}
    metrics = [goal | {"name": f"rating{n or ''}"} | metric for n in range(by_user)]
    return ModelRolloutSpec.model_validate(
        {
            "versions": [{"name": v, "service": {"name": v, "port": 80}} for v in ("v1", "v2")],
            "target": "v1",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": metrics},
        }
    )


def test_sums_survive_being_stored() -> None:
    kept = Kept({"1": (2.5, 3.0)}, {"1": (1.0, 1.0), "7": (0.0, 2.0)}, planned=0.125)
    book = {("v2", "rating"): kept}

    assert users.opened(users.closed(book)) == book
    assert users.opened("") == {}


def test_looks_add_up_and_arms_have_stables_sums_of_their_own_time() -> None:
    book = users.added({}, "v2", look({"1": (2, 1)}, {"1": (3, 1)}), part_of_time=0.1, among=100)
    book = users.added(book, "v3", look({"1": (9, 1)}, {"1": (9, 1)}), part_of_time=0.1, among=100)
    book = users.added(book, "v2", look({"1": (2, 1)}, {"2": (4, 1)}), part_of_time=0.2, among=100)

    assert book["v2", "rating"].candidate == {"1": (4, 2)}
    assert book["v2", "rating"].stable == {"1": (3, 1), "2": (4, 1)}
    assert book["v3", "rating"].stable == {"1": (9, 1)}
    assert ("v2", "rating") not in users.without(book, "v2")


def test_more_metrics_by_user_are_folded_into_fewer_clusters() -> None:
    assert users.clusters_of(spec()) == 100
    assert users.clusters_of(spec(by_user=4)) == 31
    many = {str(n): (1.0, 1.0) for n in range(100)}
    book = users.added({}, "v2", look(many, many), part_of_time=0.1, among=31)

    assert len(book["v2", "rating"].candidate) == 31
    assert sum(count for _, count in book["v2", "rating"].candidate.values()) == 100


def test_labels_that_are_no_numbers_are_folded_as_well() -> None:
    many = {f"bucket-{n}": (1.0, 1.0) for n in range(300)}
    book = users.added({}, "v2", look(many, many), part_of_time=0.1, among=50)

    assert 40 <= len(book["v2", "rating"].candidate) <= 50


def test_what_a_status_has_room_for_is_never_exceeded() -> None:
    wide = {str(n): (-1.23456789e15 - n, 123456789.0) for n in range(1000)}
    for metrics in (1, 2, 5, 10):
        among = users.clusters_of(spec(by_user=metrics))
        pairs = {f"m{n}": UserPair(wide, wide) for n in range(metrics)}
        book: users.Book = {}
        for arm in ("v2", "v3", "v4", "v5"):
            seen = Look(0.0, 30.0, users=pairs)
            book = users.added(book, arm, seen, part_of_time=0.5, among=among)
        assert len(users.closed(book)) <= 40_960


def test_too_few_buckets_say_nothing() -> None:
    few = {str(n): (1.0, 1.0) for n in range(9)}

    assert users.comparison(Kept(few, few)) is None
    assert users.value({}) is None


def test_the_p_value_is_one_sided_in_the_direction_that_is_better() -> None:
    draw = np.random.default_rng(3)
    compared = users.comparison(Kept(sums(draw, value=4.5), sums(draw, value=4.0)))

    assert compared is not None
    assert users.p_better(compared, better=Better.HIGHER) < 1e-6
    assert users.p_better(compared, better=Better.LOWER) > 1 - 1e-6


def test_equal_arms_are_called_better_as_seldom_as_stated() -> None:
    draw, alpha, runs = np.random.default_rng(11), 0.05, 2000
    false = 0
    for _ in range(runs):
        compared = users.comparison(Kept(sums(draw, value=4.0), sums(draw, value=4.0)))
        assert compared is not None
        false += users.p_better(compared, better=Better.HIGHER) <= alpha

    # 5 % of 2,000 is 100, give or take 10.
    assert 65 <= false <= 135


def test_users_who_ask_unequally_often_fool_a_count_of_requests_and_not_one_of_users() -> None:
    draw, people, runs = np.random.default_rng(1), 2000, 400
    by_user = by_request = 0
    for _ in range(runs):
        sides, moments = [], []
        for _ in ("v2", "v1"):
            asked = np.maximum(1, draw.lognormal(2.0, 1.0, people).astype(int))
            liking = draw.normal(3.0, 0.5, people)
            total = asked * liking + draw.normal(0.0, 1.0, people) * np.sqrt(asked)
            bucket = draw.integers(0, 100, people)
            pairs = zip(np.bincount(bucket, total), np.bincount(bucket, asked), strict=True)
            sides.append({str(n): (float(a), float(b)) for n, (a, b) in enumerate(pairs)})
            mean = total.sum() / asked.sum()
            spread = (asked * ((liking - mean) ** 2 + 1.0)).sum() / asked.sum()
            moments.append((mean, spread / asked.sum()))
        compared = users.comparison(Kept(sides[0], sides[1]))
        assert compared is not None
        p = users.p_better(compared, better=Better.HIGHER)
        by_user += min(p, 1.0 - p) <= 0.025
        (mine, mine_error), (theirs, their_error) = moments
        by_request += abs(mine - theirs) >= 1.96 * (mine_error + their_error) ** 0.5

    # Stated are 5 %, give or take 1.1.
    assert by_user / runs < 0.085
    assert by_request / runs > 0.4


@pytest.mark.parametrize(
    ("value", "stops"), [(4.0, False), (3.99, False), (3.5, True)], ids=["equal", "within", "worse"]
)
def test_harm_by_user_stops_an_arm_beyond_its_margin_only(value: float, *, stops: bool) -> None:
    draw = np.random.default_rng(5)
    seen = look(sums(draw, value=value), sums(draw, value=4.0))
    book = users.added({}, "v2", seen, part_of_time=0.5, among=100)

    reason = users.harm(spec(), book, "v2")
    assert (reason is not None) == stops
    assert reason is None or "by user" in reason.sentence


def test_harm_needs_buckets_enough() -> None:
    draw = np.random.default_rng(5)
    seen = look(sums(draw, value=3.0, buckets=15), sums(draw, value=4.0, buckets=15))
    book = users.added({}, "v2", seen, part_of_time=0.5, among=100)

    assert users.harm(spec(), book, "v2") is None
    assert json.loads(users.closed(book))["v2"]["rating"]["p"] > 0
