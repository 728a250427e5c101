"""Rankings, boxes, texts and documents: worked values, oracles, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from modelrollout.shadow import comparison, increments, paths, tallying, trouble
from modelrollout.shadow.tasks import (
    alignment,
    detection,
    differing,
    inversions,
    ranking,
    structured,
    text,
)

Metric = increments.Metric
ITEMS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)
WORDS = st.text(alphabet="abc ", max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


def distances(compared: comparison.Comparison) -> dict[str, float]:
    return {
        step.labels[0]: step.value
        for step in compared.counted
        if isinstance(step, increments.Observation)
    }


def counted(compared: comparison.Comparison) -> tallying.Tally:
    return tallying.Tally.of(compared.counted)


# Ranking


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("abcde", "abcde", 1.0),
        ("abcde", "fghij", 0.0),
        # A prefix: what follows is extrapolated as agreeing.
        ("abcde", "abcdefg", 1.0),
        # By hand, p = 0.9: X = 0, 2; (0.1/0.9) x 0.81 + 0.81.
        ("ab", "ba", 0.9),
        # Equation 32 by hand: X = 1, 1, 2; s = 2, l = 3;
        # (1/9)(0.9 + (1/2) 0.81 + (2/3) 0.729 + (1 x 1 / (2 x 3)) 0.729) + (1/3 + 1/2) 0.729.
        ("ac", "abc", (0.9 + 0.405 + 0.486 + 0.1215) / 9 + 5 / 6 * 0.729),
        ("", "abc", 0.0),
        ("", "", 1.0),
    ],
)
def test_rank_biased_overlap(a: str, b: str, expected: float) -> None:
    assert ranking.rank_biased_overlap(a, b, p=0.9) == pytest.approx(expected, abs=1e-12)
    assert ranking.rank_biased_overlap(b, a, p=0.9) == pytest.approx(expected, abs=1e-12)


def test_nine_tenths_put_about_86_percent_of_the_weight_on_the_first_ten() -> None:
    # Webber et al. 2010, section 4.2: two lists that agree on ten and on nothing afterwards.
    head = [f"common-{number}" for number in range(10)]
    ours = [*head, *(f"ours-{number}" for number in range(200))]
    theirs = [*head, *(f"theirs-{number}" for number in range(200))]
    assert ranking.rank_biased_overlap(ours, theirs, p=0.9) == pytest.approx(0.8556, abs=1e-4)


@given(ITEMS, ITEMS)
def test_measures_of_rankings_are_within_zero_and_one(a: list[str], b: list[str]) -> None:
    task = ranking.Ranking(depth=3)
    compared = task.compare(task.read(a), task.read(b))
    assert all(-1e-12 <= value <= 1.0 + 1e-12 for value in distances(compared).values())
    itself = task.compare(task.read(a), task.read(a))
    assert set(distances(itself).values()) <= {0.0}
    assert itself.verdict is increments.Verdict.MATCH


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_tau_is_that_of_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    found = inversions.tau_b([(float(a), float(b)) for a, b in pairs])
    if len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        assert found is None
        return
    expected = stats.kendalltau(*zip(*pairs, strict=True), variant="b").statistic
    assert found == pytest.approx(expected, abs=1e-12)


def test_ndcg_is_that_of_scikit_learn_with_the_primarys_gains() -> None:
    primary, candidate = list("abcdefgh"), list("bacfhdeg")
    gains = [max(0, 5 - primary.index(item)) for item in primary]
    scores = [-candidate.index(item) for item in primary]
    expected = metrics.ndcg_score([gains], [scores], k=5)
    assert ranking.ndcg(primary, candidate, depth=5) == pytest.approx(expected, rel=1e-12)


def test_overlap_and_head() -> None:
    task = ranking.Ranking(depth=2)
    compared = task.compare(task.read(["a", "b", "c"]), task.read(["b", "d", "a"]))
    assert distances(compared)["overlap"] == pytest.approx(0.5)
    assert counted(compared).count(Metric.MARKS, "both", "head_differs") == 1


def test_ties_of_scores_are_no_disagreement_in_order() -> None:
    task = ranking.Ranking()
    rows = [{"item": "a", "score": 2.0}, {"item": "b", "score": 1.0}, {"item": "c", "score": 1.0}]
    swapped = [rows[0], rows[2], rows[1]]
    compared = task.compare(task.read(rows), task.read(swapped))
    assert distances(compared)["kendall"] == 0.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "a"], trouble.Trouble.SCHEMA),
        (["a", None], trouble.Trouble.SCHEMA),
        ([{"name": "a"}], trouble.Trouble.SCHEMA),
        ("abc", trouble.Trouble.SCHEMA),
        ([{"item": "a", "score": math.nan}], trouble.Trouble.NAN),
        (list(range(1001)), trouble.Trouble.TOO_LARGE),
    ],
)
def test_what_is_no_ranking_is_classed(value: object, expected: trouble.Trouble) -> None:
    with pytest.raises(trouble.UnreadableError) as raised:
        ranking.Ranking().read(value)
    assert raised.value.problem.kind is expected


# Detection


def boxes(*corners: tuple[float, float, float, float, str]) -> list[dict[str, object]]:
    return [{"box": list(corner[:4]), "label": corner[4], "score": 0.9} for corner in corners]


def test_boxes_are_matched_by_overlap_whatever_their_order() -> None:
    task = detection.Detection()
    ours = boxes((0, 0, 10, 10, "cat"), (20, 0, 30, 10, "dog"), (50, 0, 60, 10, "cow"))
    # The first is moved by 2: 80 of 120; the second is another animal; the third is not found.
    theirs = boxes((20, 0, 30, 10, "fox"), (2, 0, 12, 10, "cat"))
    compared = task.compare(task.read(ours), task.read(theirs))
    ious = sorted(
        step.value
        for step in compared.counted
        if isinstance(step, increments.Observation) and step.labels == ("iou",)
    )
    assert ious == pytest.approx([0.0, 1 / 3])
    assert compared.distance == pytest.approx(1 / 5)
    tally = counted(compared)
    assert tally.count(Metric.MARKS, "both", "label_differs") == 1
    assert tally.count(Metric.SHIFT_BELOW, "boxes") == 1
    again = task.compare(task.read(ours[::-1]), task.read(theirs[::-1]))
    assert again == compared


def test_columns_of_a_detector_are_read_as_rows_are() -> None:
    task = detection.Detection(least_score=0.5)
    columns = {"boxes": [[0, 0, 1, 1], [5, 5, 6, 6]], "labels": [1, 2], "scores": [0.9, 0.1]}
    rows = [{"box": [0, 0, 1, 1], "label": 1, "score": 0.9}]
    assert task.read(columns) == task.read(rows)
    sized = detection.Detection(sized=True).read([{"box": [2, 3, 4, 5]}])
    assert sized.found == (detection.Box(2, 3, 6, 8),)


def test_classes_are_told_apart_in_every_digit() -> None:
    found = detection.Detection().read([{"box": [0, 0, 1, 1], "label": 1234567}])
    assert found.found[0].label == "1234567"


def test_the_best_overlap_is_matched_first() -> None:
    a = (detection.Box(0, 0, 10, 10), detection.Box(1, 0, 11, 10))
    b = (detection.Box(1, 0, 11, 10),)
    assert detection.matched(a, b, least=0.5) == [(a[1], b[0], 1.0)]


def test_half_an_overlap_is_a_match() -> None:
    # 10 x 10 against its lower half: 50 of 100.
    a, b = (detection.Box(0, 0, 10, 10),), (detection.Box(0, 0, 10, 5),)
    assert detection.matched(a, b, least=0.5) == [(a[0], b[0], 0.5)]
    assert detection.matched(a, b, least=0.51) == []


def test_boxes_without_an_area_match_themselves_alone() -> None:
    point = (detection.Box(1, 1, 1, 1),)
    assert detection.matched(point, point, least=0.5) == [(point[0], point[0], 1.0)]
    assert detection.matched(point, (detection.Box(2, 2, 2, 2),), least=0.5) == []


def test_nothing_found_on_both_sides_is_a_match() -> None:
    task = detection.Detection()
    assert task.compare(task.read([]), task.read([])).verdict is increments.Verdict.MATCH
    assert task.compare(task.read([]), task.read(boxes((0, 0, 1, 1, "a")))).distance == 1.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"box": [1, 1, 0, 0]}], trouble.Trouble.SCHEMA),
        ([{"box": [1, 1, 2]}], trouble.Trouble.SCHEMA),
        ([{"box": [1, 1, 2, math.nan]}], trouble.Trouble.NAN),
        ({"boxes": [[0, 0, 1, 1]], "labels": []}, trouble.Trouble.SCHEMA),
        ({"labels": []}, trouble.Trouble.SCHEMA),
        ([1], trouble.Trouble.SCHEMA),
        ([{"box": [0, 0, 1, 1]}] * 301, trouble.Trouble.TOO_LARGE),
    ],
)
def test_what_is_no_box_is_classed(value: object, expected: trouble.Trouble) -> None:
    with pytest.raises(trouble.UnreadableError) as raised:
        detection.Detection().read(value)
    assert raised.value.problem.kind is expected


# Text


def slow_edit_distance(a: str, b: str) -> int:
    # Wagner and Fischer 1974, the definition.
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        left, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (x != y))
    return row[-1]


def slow_common(a: str, b: str) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        left = 0
        for j, y in enumerate(b, start=1):
            left, row[j] = row[j], left + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("kitten", "sitting", 3), ("intention", "execution", 5), ("", "abc", 3), ("flaw", "lawn", 2)],
)
def test_edit_distances_of_the_textbooks(a: str, b: str, expected: int) -> None:
    # Levenshtein's kitten; Jurafsky and Martin's intention (with replacement at cost 1).
    assert alignment.edit_distance(a, b) == alignment.edit_distance(b, a) == expected


@given(WORDS, WORDS)
def test_bits_count_what_the_table_counts(a: str, b: str) -> None:
    assert alignment.edit_distance(a, b) == slow_edit_distance(a, b)
    assert alignment.common_length(a, b) == slow_common(a, b)


def test_rouge_l_of_the_papers_sentences() -> None:
    # Lin 2004, section 3.1: "police killed the gunman" against two candidates; LCS 3 and 2 of 4.
    reference = "police killed the gunman"
    assert text.rouge_l(reference, "police kill the gunman") == pytest.approx(3 / 4)
    assert text.rouge_l(reference, "the gunman kill police") == pytest.approx(2 / 4)


def test_texts_are_the_same_after_normalisation() -> None:
    task = text.Text(fold_case=True)
    compared = task.compare(task.read("  Caf\u00e9\n ole"), task.read("cafe\u0301 OLE"))
    assert compared.verdict is increments.Verdict.MATCH
    assert distances(compared) == {"edit": 0.0, "rouge_l": 0.0, "length": 0.0}


def test_refusals_and_validity_are_counted_per_side() -> None:
    task = text.Text(expect_json=True)
    ours = task.read('{"a": 1}')
    theirs = task.read({"text": "I\u2019m sorry, but no.", "refusal": "", "finish_reason": "stop"})
    tally = counted(task.compare(ours, theirs))
    marks = {labels for metric, labels in tally.counters if metric is Metric.MARKS}
    assert marks == {
        ("primary", "valid_json"),
        ("candidate", "refused"),
        ("candidate", "invalid_json"),
        ("both", "finish_differs"),
    }


def test_a_servers_own_refusal_is_one_and_its_text_is_compared() -> None:
    task = text.Text()
    refused = task.read({"text": "", "refusal": "Not this.", "finish_reason": "stop"})
    assert refused.refused
    assert refused.text == "Not this."


def test_calls_of_tools_are_part_of_the_answer_however_they_are_spaced() -> None:
    task = text.Text()

    def called(arguments: str) -> text.Passage:
        return task.read({"text": "", "tool_calls": [{"name": "find", "arguments": arguments}]})

    same = task.compare(called('{"a": 1, "b": 2}'), called('{"b":2,"a":1}'))
    assert same.verdict is increments.Verdict.MATCH
    other = task.compare(called('{"a": 1}'), called('{"a": 2}'))
    assert other.verdict is increments.Verdict.MISMATCH
    assert counted(other).count(Metric.MARKS, "both", "tool_calls_differ") == 1


def test_marks_without_end_on_one_letter_are_compared_as_they_are() -> None:
    # Normalising them is quadratic: this text would take minutes.
    piled = "a" + "\u0300" * 100_000 + "\u0316" * 100_000
    task = text.Text(most_characters=100)
    assert task.read(piled).text == piled
    with pytest.raises(trouble.UnreadableError):
        task.read("x" * 500_001)


def test_only_a_part_of_long_texts_is_measured_and_the_rest_is_not_called_identical() -> None:
    task = text.Text(most_characters=10)
    compared = task.compare(task.read("x" * 30 + "a"), task.read("x" * 30 + "b"))
    assert compared.verdict is increments.Verdict.MISMATCH
    assert compared.distance == pytest.approx(1 / 31)
    assert counted(compared).count(Metric.MARKS, "both", "measured_in_part") == 1


@given(WORDS, WORDS)
def test_text_measures_are_symmetric_and_within_zero_and_one(a: str, b: str) -> None:
    task = text.Text()
    there = distances(task.compare(task.read(a), task.read(b)))
    back = distances(task.compare(task.read(b), task.read(a)))
    assert there == pytest.approx(back)
    assert all(0.0 <= value <= 1.0 for value in there.values())


# Structured JSON


def fields(compared: comparison.Comparison) -> set[tuple[str, str]]:
    return {(each.field, each.kind) for each in compared.differences}


def test_differences_are_typed_and_placed() -> None:
    task = structured.Structured(fields=(paths.Path.of("/a"), paths.Path.of("/rows/[]/x")))
    ours = {"a": 1, "rows": [{"x": 1, "y": 1}, {"x": 2}], "gone": 0, "same": [1, 2]}
    theirs = {"a": "1", "rows": [{"x": 1, "y": 2}, {"x": 3}, {"x": 4}], "new": 0, "same": [1, 2]}
    compared = task.compare(task.read(ours), task.read(theirs))
    assert fields(compared) == {
        ("/a", "type"),
        ("/rows/[]/x", "value"),
        ("other", "value"),
        ("other", "length"),
        ("other", "missing"),
        ("other", "extra"),
    }
    # Six differences; the candidate has 8 leaves.
    assert compared.distance == pytest.approx(6 / 8)


def test_ignored_differences_are_a_verdict_of_their_own_and_counted_by_rule() -> None:
    rule = structured.Ignore("clock", paths.Path.of("/meta/at"))
    task = structured.Structured(ignore=(rule,))
    compared = task.compare(
        task.read({"y": 1, "meta": {"at": 5}}), task.read({"y": 1, "meta": {"at": 6}})
    )
    assert compared.verdict is increments.Verdict.IGNORED
    assert not compared.disagrees
    assert counted(compared).count(Metric.IGNORED, "clock") == 1
    both = task.compare(
        task.read({"y": 1, "meta": {"at": 5}}), task.read({"y": 2, "meta": {"at": 6}})
    )
    assert both.verdict is increments.Verdict.MISMATCH


@given(st.permutations([{"id": 1, "v": 1}, {"id": 2, "v": 2}, {"id": 3, "v": 3}]))
def test_the_order_of_a_declared_array_is_noise(rows: list[object]) -> None:
    rule = differing.Unordered(paths.Path.of("/rows"), paths.Path.of("/id"))
    task = structured.Structured(unordered=(rule,))
    ours = task.read({"rows": [{"id": 1, "v": 1}, {"id": 2, "v": 2}, {"id": 3, "v": 3}]})
    assert task.compare(ours, task.read({"rows": rows})).verdict is increments.Verdict.MATCH
    fewer = task.compare(ours, task.read({"rows": [*rows[1:], {"id": 9}]}))
    assert {kind for _, kind in fields(fewer)} == {"missing", "extra"}


def test_items_of_one_identity_are_counted_one_by_one() -> None:
    rule = differing.Unordered(paths.Path(), paths.Path())
    task = structured.Structured(unordered=(rule,))
    ours = task.read(["a", "b", "a"])
    assert task.compare(ours, task.read(["a", "a", "b"])).verdict is increments.Verdict.MATCH
    assert fields(task.compare(ours, task.read(["a", "b"]))) == {("other", "missing")}


@pytest.mark.parametrize(
    ("required", "candidate", "broken"),
    [
        ("/a/b", {"a": {}}, True),
        ("/a/b", {}, True),
        ("/a/b", {"a": {"b": "text"}}, True),
        ("/a/b", {"a": {"b": 2}}, False),
        ("/c", {"a": {}}, False),
    ],
)
def test_a_required_field_is_broken_by_type_or_absence(
    required: str, candidate: object, *, broken: bool
) -> None:
    task = structured.Structured(required=(paths.Path.of(required),))
    compared = task.compare(task.read({"a": {"b": 1}}), task.read(candidate))
    assert counted(compared).count(Metric.MARKS, "both", "required_broken") == broken


def test_json_in_text_is_compared_as_json() -> None:
    task = structured.Structured(in_text=True)
    ours = task.read({"text": '{"a": 1.0, "b": [true]}', "tool_calls": []})
    theirs = task.read('{"b":[true],"a":1}')
    assert task.compare(ours, theirs).verdict is increments.Verdict.MATCH
    with pytest.raises(trouble.UnreadableError) as raised:
        task.read("Sure! Here is your JSON: {}")
    assert raised.value.problem.kind is trouble.Trouble.UNPARSEABLE


def test_booleans_are_no_numbers_and_nan_equals_nan_and_is_counted() -> None:
    task = structured.Structured()
    assert fields(task.compare(task.read([1]), task.read([True]))) == {("other", "type")}
    same = task.compare(task.read([math.nan]), task.read([math.nan]))
    assert same.verdict is increments.Verdict.MATCH
    assert counted(same).count(Metric.MARKS, "candidate", "holds_nan") == 1


@given(JSON)
def test_a_document_does_not_differ_from_itself(value: object) -> None:
    task = structured.Structured()
    compared = task.compare(task.read(value), task.read(value))
    assert compared.verdict is increments.Verdict.MATCH
    assert compared.distance == 0.0


@given(JSON, JSON)
def test_what_differs_one_way_differs_the_other(a: object, b: object) -> None:
    task = structured.Structured()
    there = task.compare(task.read(a), task.read(b))
    back = task.compare(task.read(b), task.read(a))
    assert there.verdict is back.verdict
    assert there.distance == pytest.approx(back.distance)
    assert 0.0 <= there.distance <= 1.0


def test_a_document_of_very_many_values_is_too_large() -> None:
    with pytest.raises(trouble.UnreadableError) as raised:
        structured.Structured().read(np.zeros(5_001).tolist())
    assert raised.value.problem.kind is trouble.Trouble.TOO_LARGE
