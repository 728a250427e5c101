"""One request from both answers to its outcome and its counts."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.shadow import (
    answers,
    increments,
    outcomes,
    reading,
    settling,
    tallying,
    trouble,
)
from modelrollout.shadow.protocols import kserve_v1, open_inference
from modelrollout.shadow.tasks import classification, regression

Metric = increments.Metric
Kind = trouble.Trouble
LABELS = classification.Classification(labels=("0", "1"))
NUMBER = regression.Regression()


def said(body: object, *, status: int = 200) -> answers.Answer:
    return answers.Answer(status=status, body=json.dumps(body).encode())


def labels(body: object, *, status: int = 200) -> reading.Read[classification.Label]:
    return reading.predictions(
        said(body, status=status), protocol=kserve_v1.KServeV1(), task=LABELS
    )


def numbers(*values: object) -> reading.Read[float]:
    body = {"predictions": list(values)}
    return reading.predictions(said(body), protocol=kserve_v1.KServeV1(), task=NUMBER)


def test_a_batch_is_compared_row_by_row() -> None:
    settled = settling.settle(
        LABELS, primary=labels({"predictions": [0, 1, 1]}), other=labels({"predictions": [0, 1, 0]})
    )
    tally = tallying.Tally.of(settled.counted)
    assert settled.outcome is outcomes.Outcome.BOTH_OK
    assert tally.count(Metric.REQUESTS, "both_ok") == 1
    assert tally.count(Metric.COMPARISONS, "match") == 2
    assert tally.count(Metric.COMPARISONS, "mismatch") == 1
    assert [row is not None and row.disagrees for row in settled.rows] == [False, False, True]


def test_one_server_of_each_protocol_says_the_same() -> None:
    # The same model behind MLServer and behind KServe's own server.
    mlserver = b"""{"model_name":"cancer","model_version":"v1","id":"r1","parameters":{},"outputs":
      [{"name":"predict","shape":[2,1],"datatype":"INT64","parameters":{"content_type":"np"},
      "data":[0,1]}]}"""
    v2 = reading.predictions(
        answers.Answer(200, mlserver), protocol=open_inference.OpenInference(), task=LABELS
    )
    settled = settling.settle(LABELS, primary=v2, other=labels({"predictions": [0, 1]}))
    assert tallying.Tally.of(settled.counted).count(Metric.COMPARISONS, "match") == 2


@pytest.mark.parametrize(
    ("primary", "candidate", "expected"),
    [
        (labels({"predictions": [1]}), labels({"error": "x"}), "candidate_error"),
        (labels({"predictions": [1]}), labels({}, status=503), "candidate_error"),
        (labels({"predictions": [1]}), labels({"outputs": []}), "schema_mismatch"),
        (labels({"predictions": [1]}), labels({"predictions": [1, 1]}), "schema_mismatch"),
        (labels({"predictions": [1]}), labels({"predictions": [None]}), "schema_mismatch"),
        (labels({"predictions": [1]}), labels({"predictions": [math.nan]}), "candidate_nan"),
        (labels({"predictions": [None]}), labels({"predictions": [1]}), "primary_unreadable"),
        (labels({"label": 1}), labels({"label": 1}), "primary_unreadable"),
        (labels({}, status=500), labels({"predictions": [1]}), "primary_error"),
        (labels({}, status=500), labels({}, status=500), "both_error"),
        (labels({}, status=500), labels({"label": 1}), "primary_error"),
    ],
)
def test_each_end_has_an_outcome_of_its_own(
    primary: reading.Read[classification.Label],
    candidate: reading.Read[classification.Label],
    expected: str,
) -> None:
    settled = settling.settle(LABELS, primary=primary, other=candidate)
    tally = tallying.Tally.of(settled.counted)
    assert settled.outcome == expected
    assert tally.count(Metric.REQUESTS, expected) == 1
    assert tally.count(Metric.COMPARISONS, "mismatch") == 0
    assert settled.problems


def test_every_class_of_trouble_has_an_outcome() -> None:
    assert set(outcomes.OF_CANDIDATE) == set(Kind)
    for kind in Kind:
        problem = trouble.Problem(kind, "expected this, found that")
        settled = settling.settle(NUMBER, primary=numbers(1.0), other=problem)
        assert settled.outcome is outcomes.OF_CANDIDATE[kind]
        assert settled.rows == (None,)
        counted = tallying.Tally.of(settled.counted)
        assert counted.count(Metric.TROUBLES, "candidate", kind) == 1


def test_nan_on_both_sides_is_a_match_and_counted() -> None:
    settled = settling.settle(NUMBER, primary=numbers(math.nan), other=numbers(math.nan))
    tally = tallying.Tally.of(settled.counted)
    assert settled.outcome is outcomes.Outcome.BOTH_NAN
    assert tally.count(Metric.COMPARISONS, "match") == 1
    assert tally.count(Metric.TROUBLES, "primary", "nan") == 1


def test_a_row_in_trouble_leaves_the_others_compared() -> None:
    settled = settling.settle(NUMBER, primary=numbers(1, 2, 3), other=numbers(1, math.nan, 3))
    tally = tallying.Tally.of(settled.counted)
    assert settled.outcome is outcomes.Outcome.CANDIDATE_NAN
    assert tally.count(Metric.COMPARISONS, "match") == 2
    assert [row is None for row in settled.rows] == [False, True, False]


def test_what_can_be_read_but_not_compared_breaks_the_schema() -> None:
    names = classification.Classification()
    assert names.read("a").value == "a"
    from modelrollout.shadow.tasks import probabilities

    task = probabilities.Probabilities()
    settled = settling.settle(
        task, primary=(task.read([0.5, 0.5]),), other=(task.read([0.2, 0.3, 0.5]),)
    )
    assert settled.outcome is outcomes.Outcome.SCHEMA_MISMATCH


PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=20)


@given(PAIRS, st.randoms(use_true_random=False), st.integers(0, 20))
def test_neither_order_nor_replicas_change_the_counts(
    pairs: list[tuple[int, int]], rng: object, cut: int
) -> None:
    def tally(some: list[tuple[int, int]]) -> tallying.Tally:
        settled = (
            settling.settle(LABELS, primary=(LABELS.read(a),), other=(LABELS.read(b),))
            for a, b in some
        )
        return tallying.Tally.of(step for each in settled for step in each.counted)

    assert hasattr(rng, "shuffle")
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    whole = tally(pairs)
    assert tally(shuffled) == whole
    assert tally(pairs[:cut]) + tally(pairs[cut:]) == whole


def test_a_timeout_lies_in_the_last_bucket_and_makes_no_difference_infinite() -> None:
    tally = tallying.Tally.of(
        settling.durations(primary_s=0.2, candidate_s=math.inf, limits_s=(0.3,))
    )
    late = tally.histograms[Metric.DURATION, ("candidate",)]
    assert late.counts[-1] == 1
    assert 0.3 in late.edges
    assert tally.counters == {}


def test_durations_are_compared_within_the_pair() -> None:
    tally = tallying.Tally.of(settling.durations(primary_s=0.25, candidate_s=0.75))
    assert tally.count(Metric.SHIFT_ABOVE, "seconds") == 0.5
    alone = tallying.Tally.of(settling.durations(primary_s=0.25, candidate_s=-1.0))
    assert list(alone.histograms) == [(Metric.DURATION, ("primary",))]


def test_a_value_on_an_edge_belongs_below_it() -> None:
    one = tallying.Histogram.of(increments.distance("edit", 0.0))
    two = tallying.Histogram.of(increments.distance("edit", 0.001))
    beyond = tallying.Histogram.of(increments.distance("cosine", 1.5))
    assert one.counts[0] == 1
    assert two.counts[1] == 1
    assert beyond.counts[-1] == 1
    assert (one + two).count == 2


def test_histograms_with_other_edges_are_not_added() -> None:
    scaled = increments.Observation(Metric.ABSOLUTE_ERROR, (), 1.0, (0.0, 5.0))
    other = increments.Observation(Metric.ABSOLUTE_ERROR, (), 1.0, (0.0, 6.0))
    with pytest.raises(ValueError, match="same edges"):
        tallying.Tally.of((scaled, other))


def test_every_metric_says_which_labels_it_has() -> None:
    assert set(increments.LABELS) == set(Metric)
    settled = settling.settle(LABELS, primary=numbers_as_labels(0), other=numbers_as_labels(1))
    for step in settled.counted:
        assert len(step.labels) == len(increments.LABELS[step.metric])


def numbers_as_labels(value: int) -> reading.Read[classification.Label]:
    return (LABELS.read(value),)
