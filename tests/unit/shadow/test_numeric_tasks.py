"""Classes, probabilities, numbers and embeddings: worked values, oracles, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance as oracle
from sklearn import metrics

from modelrollout.shadow import comparison, increments, tallying, trouble
from modelrollout.shadow.tasks import classification, embeddings, probabilities, regression

Metric = increments.Metric
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)
WEIGHTS = st.lists(st.floats(min_value=0.0, max_value=1.0), min_size=2, max_size=6).filter(any)


def counted(compared: comparison.Comparison) -> tallying.Tally:
    return tallying.Tally.of(compared.counted)


def distances(compared: comparison.Comparison) -> dict[str, float]:
    return {
        step.labels[0]: step.value
        for step in compared.counted
        if isinstance(step, increments.Observation) and step.metric is Metric.DISTANCE
    }


def kind_raised(read: object, value: object) -> trouble.Trouble:
    assert callable(read)
    with pytest.raises(trouble.UnreadableError) as raised:
        read(value)
    return raised.value.problem.kind


# Classification


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("cat", "cat"), (1, "1"), (1.0, "1"), ([1], "1"), (True, "true"), (1.5, "1.5"),
        ({"label": "cat", "score": 0.9}, "cat"), ([0.1, 0.7, 0.2], "b"), ([0.5, 0.5, 0.0], "a"),
        ([{"label": "x", "score": 0.1}, {"label": "y", "score": 0.8}], "y"),
    ],
)  # fmt: skip
def test_labels_are_read_in_every_form(value: object, expected: str) -> None:
    assert classification.Classification(labels=("a", "b", "c")).read(value).value == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, trouble.Trouble.SCHEMA),
        ([], trouble.Trouble.SCHEMA),
        ([0.1, 0.9], trouble.Trouble.SCHEMA),
        ([0.1, float("nan"), 0.2], trouble.Trouble.NAN),
        (float("inf"), trouble.Trouble.NAN),
        ({"score": 1}, trouble.Trouble.SCHEMA),
        ([0.1, "x", 0.2], trouble.Trouble.SCHEMA),
    ],
)
def test_what_is_no_label_is_classed(value: object, expected: trouble.Trouble) -> None:
    task = classification.Classification(labels=("a", "b", "c"))
    assert kind_raised(task.read, value) is expected


def test_kappa_and_confusion_come_from_the_counters() -> None:
    # scikit-learn's cohen_kappa_score is the oracle; the formula is the one for PromQL.
    rng = np.random.default_rng(7)
    names = np.array(["a", "b", "c"])
    primary = names[rng.integers(0, 3, 400)]
    candidate = np.where(rng.random(400) < 0.8, primary, names[rng.integers(0, 3, 400)])
    task = classification.Classification(labels=("a", "b", "c"))
    tally = tallying.Tally()
    agreed = 0
    for ours, theirs in zip(primary.tolist(), candidate.tolist(), strict=True):
        compared = task.compare(task.read(ours), task.read(theirs))
        agreed += compared.verdict is increments.Verdict.MATCH
        tally += counted(compared)
    expected_share = sum(
        tally.count(Metric.LABELS, "primary", name) * tally.count(Metric.LABELS, "candidate", name)
        for name in names.tolist()
    ) / (400**2)
    kappa = (agreed / 400 - expected_share) / (1 - expected_share)
    assert kappa == pytest.approx(metrics.cohen_kappa_score(primary, candidate), rel=1e-12)
    table = metrics.confusion_matrix(primary, candidate, labels=names)
    cells = [[tally.count(Metric.CONFUSION, a, b) for b in "abc"] for a in "abc"]
    assert cells == table.tolist()


def test_labels_that_were_not_declared_make_no_series_of_their_own() -> None:
    task = classification.Classification(labels=("a",))
    tally = counted(task.compare(task.read("a"), task.read("surprise")))
    assert tally.count(Metric.LABELS, "candidate", "other") == 1
    assert tally.count(Metric.CONFUSION, "a", "other") == 1


def test_no_cells_of_confusion_for_many_labels() -> None:
    task = classification.Classification(labels=tuple(map(str, range(11))))
    tally = counted(task.compare(task.read("1"), task.read("2")))
    assert not any(metric is Metric.CONFUSION for metric, _ in tally.counters)
    assert tally.count(Metric.LABELS, "primary", "1") == 1


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (0.51, 0.49, "flip_near_threshold"),
        (0.9, 0.1, "flip_far_from_threshold"),
        (0.9, 0.8, None),
    ],
)
def test_flips_tell_how_near_the_threshold_they_are(
    ours: float, theirs: float, expected: str | None
) -> None:
    task = classification.Classification(threshold=0.5)
    tally = counted(task.compare(task.read(ours), task.read(theirs)))
    marks = [labels[1] for metric, labels in tally.counters if metric is Metric.MARKS]
    assert marks == ([expected] if expected else [])


def test_best_labels_are_compared_as_sets() -> None:
    task = classification.Classification(top=2)
    compared = task.compare(task.read([0.6, 0.3, 0.1]), task.read([0.3, 0.1, 0.6]))
    # {0, 1} and {2, 0}: one of two in common; only the primary's label is in the other's two.
    assert distances(compared)["top"] == pytest.approx(0.5)
    tally = counted(compared)
    assert tally.count(Metric.MARKS, "primary", "label_in_top_of_other") == 1
    assert tally.count(Metric.MARKS, "candidate", "label_in_top_of_other") == 0


# Probabilities


def test_distances_of_two_coins_done_by_hand() -> None:
    # p = (1/2, 1/2), q = (1, 0): TV 1/2; Hellinger sqrt(1 - 1/sqrt 2); JS: H(3/4, 1/4) - 1/2.
    task = probabilities.Probabilities()
    found = distances(task.compare(task.read([0.5, 0.5]), task.read([1.0, 0.0])))
    entropy = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))
    assert found["tv"] == pytest.approx(0.5)
    assert found["hellinger"] == pytest.approx(math.sqrt(1 - 1 / math.sqrt(2)))
    assert found["js"] == pytest.approx(entropy - 0.5)
    assert found["max"] == pytest.approx(0.5)


def test_disjoint_distributions_are_at_distance_one_in_every_measure() -> None:
    task = probabilities.Probabilities()
    found = distances(task.compare(task.read([1.0, 0.0]), task.read([0.0, 1.0])))
    assert found == pytest.approx(dict.fromkeys(("tv", "hellinger", "js", "max"), 1.0))


@given(WEIGHTS)
def test_divergence_is_the_square_of_scipys_distance(weights: list[float]) -> None:
    p = np.array(weights) / max(weights)
    q = np.array(weights[::-1]) / max(weights)
    p, q = p / p.sum(), q / q.sum()
    expected = oracle.jensenshannon(p, q, base=2) ** 2
    assert probabilities.jensen_shannon(p, q) == pytest.approx(expected, abs=1e-9)


@given(WEIGHTS)
def test_a_distribution_is_at_distance_zero_from_itself(weights: list[float]) -> None:
    task = probabilities.Probabilities(tolerance=0.0)
    compared = task.compare(task.read(weights), task.read(list(weights)))
    assert compared.verdict is increments.Verdict.MATCH
    assert set(distances(compared).values()) == {0.0}


@given(WEIGHTS)
def test_distances_are_symmetric_and_within_zero_and_one(weights: list[float]) -> None:
    task = probabilities.Probabilities()
    a, b = task.read(weights), task.read(sorted(weights))
    there, back = distances(task.compare(a, b)), distances(task.compare(b, a))
    assert there == pytest.approx(back, abs=1e-12)
    assert all(0.0 <= value <= 1.0 for value in there.values())


def test_sums_that_are_not_one_are_counted_and_scaled() -> None:
    task = probabilities.Probabilities()
    compared = task.compare(task.read([0.5, 0.5]), task.read([5.0, 5.0]))
    assert compared.verdict is increments.Verdict.MATCH
    tally = counted(compared)
    assert tally.count(Metric.MARKS, "candidate", "does_not_sum_to_one") == 1
    assert tally.count(Metric.MARKS, "primary", "does_not_sum_to_one") == 0


def test_one_probability_is_that_of_the_second_class() -> None:
    assert probabilities.Probabilities().read(0.25).values == (0.75, 0.25)
    assert probabilities.Probabilities().read([0.25]).values == (0.75, 0.25)


@pytest.mark.parametrize("value", [[-0.1, 1.1], [0.0, 0.0], 1.5, [], "x", [[0.1], [0.2]]])
def test_what_is_no_distribution_breaks_the_schema(value: object) -> None:
    assert kind_raised(probabilities.Probabilities().read, value) is trouble.Trouble.SCHEMA


def test_distributions_over_other_classes_cannot_be_compared() -> None:
    task = probabilities.Probabilities()
    with pytest.raises(trouble.UnreadableError):
        task.compare(task.read({"a": 0.5, "b": 0.5}), task.read({"a": 0.5, "c": 0.5}))
    with pytest.raises(trouble.UnreadableError):
        task.compare(task.read([0.5, 0.5]), task.read([0.2, 0.3, 0.5]))


# Regression


def test_bias_rmse_and_correlation_come_from_the_power_sums() -> None:
    rng = np.random.default_rng(3)
    primary = rng.uniform(0, 50, 200)
    candidate = primary + rng.normal(1.0, 2.0, 200)
    task = regression.Regression(lowest=-50.0, highest=150.0)
    tally = tallying.Tally()
    for a, b in zip(primary.tolist(), candidate.tolist(), strict=True):
        tally += counted(task.compare(task.read(a), task.read(b)))
    n, u, v, uu, vv, uv = (
        tally.count(Metric.MOMENT, term) for term in ("n", "u", "v", "uu", "vv", "uv")
    )
    bias = (v - u) / n * 200
    rmse = math.sqrt((uu - 2 * uv + vv) / n) * 200
    pearson = (n * uv - u * v) / math.sqrt((n * uu - u * u) * (n * vv - v * v))
    assert bias == pytest.approx((candidate - primary).mean(), rel=1e-9)
    assert rmse == pytest.approx(metrics.root_mean_squared_error(primary, candidate), rel=1e-9)
    assert pearson == pytest.approx(stats.pearsonr(primary, candidate).statistic, rel=1e-9)
    signed = tally.count(Metric.ERROR_ABOVE) - tally.count(Metric.ERROR_BELOW)
    assert signed / n == pytest.approx(bias, rel=1e-9)
    absolute = tally.histograms[Metric.ABSOLUTE_ERROR, ()]
    assert absolute.total / absolute.count == pytest.approx(
        metrics.mean_absolute_error(primary, candidate), rel=1e-9
    )


def test_values_outside_of_the_range_are_clamped_and_counted() -> None:
    task = regression.Regression(lowest=0.0, highest=10.0)
    tally = counted(task.compare(5.0, 25.0))
    assert tally.count(Metric.MOMENT, "v") == 1.0
    assert tally.count(Metric.MARKS, "candidate", "clamped") == 1
    assert tally.count(Metric.MARKS, "primary", "clamped") == 0
    assert tally.count(Metric.ERROR_ABOVE) == 20.0


@pytest.mark.parametrize(
    ("a", "b", "expected"), [(0, 0, 0), (1, 3, 1), (0, 5, 2), (-1, 1, 2), (2, 2, 0)]
)
def test_relative_error_is_symmetric(a: float, b: float, expected: float) -> None:
    assert regression.relative_error(a, b) == regression.relative_error(b, a) == expected


@pytest.mark.parametrize(
    ("primary", "candidate", "same"),
    [
        (100, 101, True), (100, 101.6, False), (0, 0.5, True), (-0.0, 0, True), (1, 1.0, True),
        (math.nan, math.nan, True), (math.nan, 1.0, False), (10**400, 10**400, True),
        (10**400, 1, False), (math.inf, math.inf, True), (math.inf, 1.0, False),
    ],
)  # fmt: skip
def test_numbers_are_equal_within_both_tolerances_together(
    primary: float, candidate: float, *, same: bool
) -> None:
    # 0.5 + 0.01 x 100 = 1.5.
    assert comparison.Tolerance(absolute=0.5, relative=0.01).equal(primary, candidate) is same


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e101, 10**400])
def test_numbers_that_cannot_be_summed_are_classed_as_nan(value: float) -> None:
    assert kind_raised(regression.Regression().read, value) is trouble.Trouble.NAN


@pytest.mark.parametrize("value", [True, "1", None, [1, 2], {}])
def test_what_is_no_number_breaks_the_schema(value: object) -> None:
    assert kind_raised(regression.Regression().read, value) is trouble.Trouble.SCHEMA


@given(NUMBERS)
def test_a_number_equals_itself_exactly(value: float) -> None:
    compared = regression.Regression().compare(value, value)
    assert compared.verdict is increments.Verdict.MATCH
    tally = counted(compared)
    assert tally.histograms[Metric.ABSOLUTE_ERROR, ()].counts[0] == 1
    assert tally.histograms[Metric.RELATIVE_ERROR, ()].counts[0] == 1


# Embeddings


def test_cosine_distance_of_vectors_done_by_hand() -> None:
    task = embeddings.Embeddings()
    compared = task.compare(task.read([3, 0]), task.read([3, 4]))
    # cosine 3/5, lengths 3 and 5.
    assert distances(compared) == pytest.approx({"norm": 0.4, "cosine": 0.4})
    assert compared.verdict is increments.Verdict.MISMATCH


def test_a_rotation_changes_the_cosine_but_no_neighbour() -> None:
    rng = np.random.default_rng(11)
    probes = rng.normal(size=(40, 6))
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    task = embeddings.Embeddings(
        probes=embeddings.Probes(primary=probes, candidate=probes @ rotation)
    )
    vector = rng.normal(size=6)
    turned = vector @ rotation
    compared = task.compare(task.read(vector.tolist()), task.read(turned.tolist()))
    found = distances(compared)
    assert found["cosine"] > 0.1
    assert found["neighbours"] == 0.0
    assert compared.verdict is increments.Verdict.MATCH


def test_neighbours_work_across_dimensions_and_cosine_does_not() -> None:
    rng = np.random.default_rng(12)
    small, large = rng.normal(size=(20, 3)), rng.normal(size=(20, 5))
    with_probes = embeddings.Embeddings(probes=embeddings.Probes(small, large), neighbours=5)
    a, b = with_probes.read([1.0, 2.0, 3.0]), with_probes.read([1.0, 2.0, 3.0, 4.0, 5.0])
    assert 0.0 <= with_probes.compare(a, b).distance <= 1.0
    with pytest.raises(trouble.UnreadableError):
        embeddings.Embeddings().compare(a, b)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([0, 0], [0, 0], 0.0), ([0, 0], [1, 0], 1.0), ([1e-300, 0], [2e-300, 0], 0.0)],
)
def test_vectors_without_a_direction_are_no_crash(
    a: list[float], b: list[float], expected: float
) -> None:
    task = embeddings.Embeddings()
    assert task.compare(task.read(a), task.read(b)).distance == expected


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_vector_is_at_distance_zero_from_itself(vector: list[float]) -> None:
    task = embeddings.Embeddings(tolerance=0.0)
    compared = task.compare(task.read(vector), task.read(list(vector)))
    assert set(distances(compared).values()) == {0.0}
