"""Margins: evidence of "not worse" from rare, common and absent events."""

import pytest

from modelrollout.analysis import evidence
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Margin, Question
from modelrollout.analysis.verdicts import Verdict

NONE = RateCounts(trials=1, events=0)


def requests_until_shown(question: Question) -> int:
    """Candidate requests without any event, equal traffic, until "not worse" is shown."""
    state = evidence.fresh(question)
    for requests in range(1, 5000):
        state = evidence.advance(state, question, candidate=NONE, stable=NONE)
        if evidence.judge(state, question).verdict is Verdict.NOT_WORSE:
            return requests
    raise AssertionError("never shown")


@pytest.mark.parametrize(
    ("margin", "usual", "least", "most"),
    [
        # Turner-Gruenwald e-process, d = 0.01: 306 warm, 363 cold; the fixed-sample bound is 300.
        pytest.param(Margin(absolute=0.01), 0.0, 300, 310, id="absolute-warm"),
        pytest.param(Margin(absolute=0.01), None, 345, 370, id="absolute-cold"),
        pytest.param(Margin(relative=0.5, absolute=0.01), 0.0, 300, 310, id="both-warm"),
        pytest.param(Margin(relative=0.5, absolute=0.01), None, 345, 370, id="both-cold"),
    ],
)
def test_no_events_in_either_version_are_enough_after_little_more_than_3_over_d(
    margin: Margin, usual: float | None, least: int, most: int
) -> None:
    assert least <= requests_until_shown(Question(margin=margin, usual_rate=usual)) <= most
