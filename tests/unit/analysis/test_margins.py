"""Margins without any event: the most common service is promoted on real evidence, and soon."""

import json
from itertools import count

import pytest

from modelrollout.analysis import evidence
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.questions import Margin, Question
from modelrollout.analysis.verdicts import Verdict


def requests_until_shown(question: Question, *, candidate: int = 1, stable: int = 1) -> int:
    """Candidate requests until "not worse" is shown, in looks without any event, stored between."""
    state = evidence.fresh(question)
    for looks in count(1):
        state = evidence.advance(
            state,
            question,
            candidate=RateCounts(trials=candidate),
            stable=RateCounts(trials=stable),
        )
        state = Evidence.from_json(json.loads(json.dumps(state.to_json())))
        if evidence.judge(state, question).verdict is Verdict.NOT_WORSE:
            return looks * candidate
        if looks * candidate > 20_000:
            break
    raise AssertionError("never shown")


@pytest.mark.parametrize(
    ("candidate", "stable"),
    [
        pytest.param(1, 1, id="request-by-request"),
        pytest.param(10, 10, id="ten-a-look"),
        pytest.param(5, 95, id="a-twentieth"),
    ],
)
@pytest.mark.parametrize(
    "margin", [Margin(absolute=0.01), Margin(relative=0.5, absolute=0.01)], ids=["one", "both"]
)
@pytest.mark.parametrize(
    ("usual", "least", "most"),
    [
        # Turner-Gruenwald e-process, d = 0.01: 306 warm, 363 cold (notes B.2, weight 50 %) and
        # 334 at a weight of 10 %; the fixed-sample bound 3 / d is 300.
        pytest.param(0.0, 300, 310, id="rate-known"),
        pytest.param(None, 320, 370, id="rate-unknown"),
    ],
)
def test_no_events_in_either_version_are_enough_after_little_more_than_3_over_d(
    *, usual: float | None, least: int, most: int, margin: Margin, candidate: int, stable: int
) -> None:
    asked = Question(margin=margin, usual_rate=usual)
    assert least <= requests_until_shown(asked, candidate=candidate, stable=stable) <= most


def test_the_default_margin_of_a_tenth_of_a_percent_needs_ten_times_as_many() -> None:
    asked = Question(margin=Margin(relative=0.5, absolute=0.001), usual_rate=0.0)
    assert 3000 <= requests_until_shown(asked, candidate=30, stable=30) <= 1.15 * 3000


def test_what_is_left_without_events_is_told_within_a_fifth() -> None:
    asked = Question(margin=Margin(absolute=0.01))
    needed = requests_until_shown(asked)
    for seen in (60, 180, 300):
        state = evidence.fresh(asked)
        for _ in range(seen):
            state = evidence.advance(
                state, asked, candidate=RateCounts(trials=1), stable=RateCounts(trials=1)
            )
        told = evidence.judge(state, asked).remaining_candidate_trials
        assert told == pytest.approx(needed - seen, rel=0.2)


def test_a_relative_margin_alone_is_never_shown_without_events() -> None:
    asked = Question(margin=Margin(relative=0.5))
    with pytest.raises(AssertionError, match="never shown"):
        requests_until_shown(asked, candidate=1000, stable=1000)
