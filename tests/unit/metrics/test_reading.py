"""What an answer means: exact counts, and what is missing told apart."""

from typing import Any

import pytest

from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code
from modelrollout.metrics import answers, queries, reading
from modelrollout.metrics.answers import AnswerError, Table
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.reading import Read

WINDOW = Window(1000.0, 1030.0, "v2", "v1")
RATE = {"name": "errors", "rate": {"events": 'e{code=~"5.."}', "total": "t"}}
APART = {"name": "errors", "rate": {"events": "bad", "others": "good"}}
SLOW = {"name": "slow", "latency": {"histogram": "d", "threshold": "250ms"}}
MEAN = {"name": "rating", "mean": {"sum": "s", "count": "n", "squares": "q"}}


def asked(metric: dict[str, Any]) -> tuple[queries.Question, Metric]:
    versions = [{"name": v, "service": {"name": f"fraud-{v}", "port": 80}} for v in ("v1", "v2")]
    spec = ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "v2",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": [metric]},
        }
    )
    seen = {v: ArmSeen(f"fraud-{v}", 80) for v in ("v1", "v2")}
    facts = SourceFacts("default", {"cluster": "eu"}, scrape_interval_s=2.0)
    question = queries.asked(
        spec, spec.analysis.metrics, namespace="ml", window=WINDOW, seen=seen, facts=facts
    )
    return question, spec.analysis.metrics[0]


def value(mark: str, number: str, **labels: str) -> dict[str, Any]:
    where = {"instance": "10.0.0.1:80", "job": "fraud", **labels}
    return {"metric": {"__part__": mark, **where}, "value": [1030.0, number]}


def read(
    metric: dict[str, Any], *vector: dict[str, Any], began: dict[str, float] | None = None
) -> Read:
    question, spec = asked(metric)
    return reading.read(answers.table(question, vector), spec, "v2", began=began or {})


def test_a_rate_is_two_differences() -> None:
    found = read(
        RATE,
        value("0s", "3", code="500"),
        value("0e", "5", code="500"),
        value("1s", "100"),
        value("1e", "160"),
    )
    assert found.counts == RateCounts(60, 2)


def test_an_error_that_never_happened_before_counts_from_zero() -> None:
    found = read(RATE, value("0e", "1", code="503"), value("1s", "100"), value("1e", "160"))
    assert found.counts == RateCounts(60, 1)


def test_no_series_of_errors_means_no_errors() -> None:
    assert read(RATE, value("1s", "100"), value("1e", "160")).counts == RateCounts(60, 0)


def test_no_series_of_trials_is_a_problem_that_names_the_query() -> None:
    found = read(RATE, value("0s", "3"), value("0e", "5"))
    assert found.counts is None
    assert found.problem is not None
    assert found.problem.code is Code.NO_SERIES
    assert found.silent is not None
    assert found.silent.example == 't{namespace="ml",service="fraud-v2",cluster="eu"}'


def test_without_a_fresh_value_nothing_is_counted() -> None:
    found = read(RATE, value("0s", "3"), value("1s", "100"))
    assert found.counts is None
    assert found.problem is not None
    assert found.problem.code is Code.NO_DATA


def test_a_pod_that_went_away_counts_what_it_counted() -> None:
    found = read(
        RATE,
        value("1s", "100"),
        value("1e", "110"),
        value("1s", "7", instance="10.0.0.2:80"),
    )
    assert found.counts == RateCounts(10, 0)


def test_a_new_pod_counts_whole_when_it_started_inside_the_window() -> None:
    fresh = value("1e", "40", instance="10.0.0.9:80", pod="new")
    vector = (value("1s", "100"), value("1e", "110"), fresh)
    assert read(RATE, *vector, began={"new": 1005.0}).counts == RateCounts(50, 0)
    assert read(RATE, *vector, began={"new": 500.0}).counts == RateCounts(10, 0)


def test_success_and_failure_counted_apart() -> None:
    found = read(APART, value("1s", "10"), value("1e", "50"))
    assert found.counts == RateCounts(40, 0)
    both = read(APART, value("0s", "1"), value("0e", "3"), value("1s", "10"), value("1e", "50"))
    assert both.counts == RateCounts(42, 2)


def test_neither_success_nor_failure_is_no_series() -> None:
    found = read(APART)
    assert found.problem is not None
    assert found.problem.code is Code.NO_SERIES


def test_slow_is_what_no_bucket_below_the_threshold_holds() -> None:
    found = read(
        SLOW,
        value("0s", "80", le="0.25"),
        value("0e", "130", le="0.25"),
        value("1s", "100"),
        value("1e", "160"),
    )
    assert found.counts == RateCounts(60, 10)


def test_a_mean_is_three_differences() -> None:
    found = read(
        MEAN,
        value("0s", "10.5"),
        value("0e", "22.5"),
        value("1s", "4"),
        value("1e", "8"),
        value("2s", "30"),
        value("2e", "70"),
    )
    assert found.counts == MeanCounts(4, 12.0, 40.0)


def test_half_a_request_is_refused_with_a_sentence() -> None:
    for number in ("1.5", "10000000.5"):
        found = read(RATE, value("1s", "0"), value("1e", number))
        assert found.problem is not None
        assert "expected whole counts, found 1" in found.problem.sentence


@pytest.mark.parametrize("number", ["NaN", "+Inf"])
def test_what_is_no_number_spoils_the_whole_answer(number: str) -> None:
    with pytest.raises(AnswerError, match="expected numbers"):
        read(RATE, value("1s", number))


def history(name: str, *samples: tuple[float, str], **labels: str) -> dict[str, Any]:
    where = {"__name__": name, "instance": "10.0.0.1:80", "job": "fraud", **labels}
    return {"metric": where, "values": [list(one) for one in samples]}


def restarted(*more: dict[str, Any]) -> tuple[Table, Metric]:
    """A look in which trials fell, and errors, if any, did not."""
    question, metric = asked(RATE)
    fell = (value("1s", "100"), value("1e", "40"), value("1r", "1"))
    return answers.table(question, (*fell, *more)), metric


TRIALS = history("t", (990.0, "100"), (1010.0, "110"), (1020.0, "5"), (1030.0, "40"))
ERRORS = (value("0s", "3", code="500"), value("0e", "9", code="500"))


def test_a_reset_needs_the_single_samples() -> None:
    found, metric = restarted()
    assert found.history == (
        '{__name__=~"t",cluster=~"eu",namespace=~"ml",service=~"fraud\\\\-v2",'
        'instance=~"10\\\\.0\\\\.0\\\\.1:80"}[330000ms] @ 1030.000'
    )
    found.add_history([TRIALS])
    counts = reading.read(found, metric, "v2", began={}).counts
    assert counts == RateCounts(10 + 5 + 35, 0)


def test_without_a_reset_no_samples_are_needed() -> None:
    question, _ = asked(RATE)
    assert answers.table(question, (value("1s", "100"), value("1e", "130"))).history is None


def test_errors_after_a_restart_count_even_when_there_are_more_than_before() -> None:
    found, metric = restarted(*ERRORS)
    # The first scrape after the restart, at 1020, has no error yet, so no series of it.
    samples = ((990.0, "3"), (1010.0, "4"), (1030.0, "9"))
    found.add_history([TRIALS, history("e", *samples, code="500")])
    counts = reading.read(found, metric, "v2", began={}).counts
    assert counts == RateCounts(10 + 5 + 35, 1 + 9)


def test_errors_of_a_process_that_began_before_the_look_count_whole() -> None:
    question, metric = asked(RATE)
    grew = (value("1s", "5"), value("1e", "40"), value("1r", "1"))
    found = answers.table(question, (*grew, *ERRORS))
    trials = history("t", (970.0, "100"), (990.0, "5"), (1010.0, "20"), (1030.0, "40"))
    found.add_history([trials, history("e", (970.0, "3"), (1030.0, "9"), code="500")])
    assert reading.read(found, metric, "v2", began={}).counts == RateCounts(35, 9)


def test_a_series_that_is_there_at_the_restart_of_another_is_left_alone() -> None:
    found, metric = restarted(*ERRORS)
    samples = ((990.0, "3"), (1010.0, "4"), (1020.0, "6"), (1030.0, "9"))
    found.add_history([TRIALS, history("e", *samples, code="500")])
    counts = reading.read(found, metric, "v2", began={}).counts
    assert counts == RateCounts(10 + 5 + 35, 6)


def test_the_restart_of_one_pod_says_nothing_of_another() -> None:
    other = {"code": "500", "instance": "10.0.0.2:80"}
    found, metric = restarted(value("0s", "3", **other), value("0e", "9", **other))
    found.add_history([TRIALS, history("e", (990.0, "3"), (1030.0, "9"), **other)])
    counts = reading.read(found, metric, "v2", began={}).counts
    assert counts == RateCounts(10 + 5 + 35, 6)


def test_samples_of_series_that_were_not_asked_for_are_left_out() -> None:
    found, metric = restarted()
    found.add_history([TRIALS, history("t", (1010.0, "7"), route="other"), history("x")])
    counts = reading.read(found, metric, "v2", began={}).counts
    assert counts == RateCounts(10 + 5 + 35, 0)


def test_samples_of_both_versions_are_one_query() -> None:
    question, _ = asked(RATE)
    both = [value(f"{n}{mark}", "1") for n in (0, 1, 2, 3) for mark in "ser"]
    text = answers.table(question, both).history
    assert text is not None
    assert '__name__=~"e|t"' in text
    assert r'service=~"fraud\\-v1|fraud\\-v2"' in text
    assert "code" not in text, "trials have all codes"


RAW = {"name": "errors", "rate": {"events": "sum(bad{ {arm} })", "total": "sum(t{ {arm} })"}}


def bare(mark: str, number: str, **labels: str) -> dict[str, Any]:
    return {"metric": {"__part__": mark, **labels}, "value": [1030.0, number]}


def test_a_raw_query_is_two_instants_of_an_expression() -> None:
    question, _ = asked(RAW)
    arm = 'namespace="ml",service="fraud-v2",cluster="eu"'
    for at in ("1000.000", "1030.000"):
        assert f"last_over_time((sum(bad{{ {arm} }}))[1ms:1ms] @ {at})" in question.text
    assert "resets" not in question.text
    found = read(RAW, bare("0s", "3"), bare("0e", "5"), bare("1s", "100"), bare("1e", "160"))
    assert found.counts == RateCounts(60, 2)


def test_a_sum_over_pods_that_fell_does_not_count() -> None:
    found = read(RAW, bare("0s", "3"), bare("0e", "5"), bare("1s", "1000"), bare("1e", "900"))
    assert found.counts is None
    assert found.problem is not None
    assert "the query fell from 1000 to 900; keep the label" in found.problem.sentence


def test_a_raw_query_by_pod_that_fell_was_restarted() -> None:
    pod = {"pod": "fraud-v2-a"}
    found = read(RAW, bare("1s", "1000", **pod), bare("1e", "9", **pod))
    assert found.counts == RateCounts(9, 0)


def test_a_born_series_is_doubtful_until_its_target_is_known() -> None:
    question, metric = asked(RATE)
    found: Table = answers.table(question, (value("1e", "30"),))
    assert found.doubtful({}) == [("10.0.0.1:80", "fraud")]
    assert reading.read(found, metric, "v2", began={}).counts == RateCounts(0, 0)
    found.scraped.add(("10.0.0.1:80", "fraud"))
    assert found.doubtful({}) == []
    assert reading.read(found, metric, "v2", began={}).counts == RateCounts(30, 0)


def test_one_look_is_one_query_with_every_part_marked() -> None:
    question, _ = asked(RATE)
    text = question.text
    assert text.count('"__part__"') == 2 * 2 * 3
    assert 't{namespace="ml",service="fraud-v2",cluster="eu"}[30000ms] @ 1030.000' in text
    assert 't{namespace="ml",service="fraud-v2",cluster="eu"}[300000ms] @ 1000.000' in text


BUCKETS = {"name": "rating", "mean": {"sum": "s", "count": "n", "histogram": "rating"}}


def test_where_nobody_exports_squares_buckets_tell_the_spread() -> None:
    vector = [value("0s", "0"), value("0e", "10"), value("1s", "0"), value("1e", "10")]
    for le, count in (("1", "5"), ("3.0", "10"), ("+Inf", "10")):
        vector += [value("2s", "0", le=le), value("2e", count, le=le)]
    counts = read(BUCKETS, *vector).counts
    # Five values in (0, 1], five in (1, 3], mean 1: middles 0.5 and 2, widths 1 and 2.
    variance = (0.25 + 1.0) / 2 + (1.0 / 12 + 4.0 / 12) / 2
    assert isinstance(counts, MeanCounts)
    assert counts.squares == pytest.approx(10 * (variance + 1.0))


def test_buckets_of_pods_that_do_not_fit_together_are_refused() -> None:
    vector = [value("0s", "0"), value("0e", "10"), value("1s", "0"), value("1e", "10")]
    for le, count in (("1", "5"), ("2", "3"), ("+Inf", "10")):
        vector += [value("2s", "0", le=le), value("2e", count, le=le)]
    problem = read(BUCKETS, *vector).problem
    assert problem is not None
    assert "cumulative" in problem.sentence
