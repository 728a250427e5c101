"""What holds for all counts: splitting, swapping, empty looks, storage, order, and any size."""

import json
import math
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.analysis import evidence, ratio, storing
from modelrollout.analysis.counts import CountsError, MeanCounts, RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.questions import (
    Better,
    Kind,
    Limit,
    Margin,
    Question,
    QuestionError,
    RollBackWhen,
)
from modelrollout.analysis.rates import RateEvidence
from modelrollout.analysis.ratio import RatioSums
from modelrollout.analysis.verdicts import Bounds, Judgement

LARGEST = 10**12


@st.composite
def rate_counts(draw: st.DrawFn, most: int = 3000) -> RateCounts:
    trials = draw(st.integers(0, most))
    return RateCounts(trials=trials, events=draw(st.integers(0, trials)))


@st.composite
def mean_counts(draw: st.DrawFn) -> MeanCounts:
    values = draw(st.lists(st.floats(-50.0, 50.0, width=32), max_size=30))
    squares = float(np.sum(np.square(values))) if values else 0.0
    given_ = draw(st.booleans())
    return MeanCounts(
        count=len(values), total=float(np.sum(values)), squares=squares * 1.0001 if given_ else None
    )


MARGINS = st.sampled_from(
    [Margin(), Margin(relative=0.3), Margin(absolute=0.01), Margin(relative=0.3, absolute=0.01)]
)


@st.composite
def questions_of(draw: st.DrawFn, kind: Kind) -> Question:
    margin = draw(MARGINS)
    beyond = draw(st.booleans()) and margin.given
    return Question(
        kind=kind,
        better=draw(st.sampled_from(Better)),
        margin=margin,
        limit=draw(st.sampled_from([None, Limit(at_most=0.3), Limit(at_least=0.3)])),
        roll_back_when=RollBackWhen.WORSE_THAN_MARGIN if beyond else RollBackWhen.WORSE,
        planned_events=draw(st.sampled_from([None, 50.0, 1e6])),
        usual_rate=draw(st.sampled_from([None, 0.0, 0.02])) if kind is Kind.RATE else None,
    )


RATE_LOOKS = st.lists(st.tuples(rate_counts(), rate_counts()), max_size=8)
MEAN_LOOKS = st.lists(st.tuples(mean_counts(), mean_counts()), max_size=8)


def numbers(judgement: Judgement) -> list[float]:
    """All numbers of a judgement."""
    found: list[float] = []
    for field in fields(judgement):
        value = getattr(judgement, field.name)
        if isinstance(value, Bounds):
            found += [v for v in (value.estimate, value.low, value.high) if v is not None]
        elif isinstance(value, int | float):
            found.append(float(value))
    return found


def stored(state: Evidence) -> Evidence:
    return Evidence.from_json(json.loads(json.dumps(state.to_json())))


@given(asked=questions_of(Kind.RATE), looks=RATE_LOOKS)
@settings(max_examples=150, deadline=None)
def test_storage_changes_nothing_at_any_look(
    asked: Question, looks: list[tuple[RateCounts, RateCounts]]
) -> None:
    state = evidence.fresh(asked)
    for candidate, stable in looks:
        assert stored(state) == state
        state = evidence.advance(state, asked, candidate=candidate, stable=stable)
        judged = evidence.judge(state, asked)
        assert evidence.judge(stored(state), asked) == judged
        assert not any(math.isnan(number) for number in numbers(judged))
    assert stored(state) == state


@given(asked=questions_of(Kind.MEAN), looks=MEAN_LOOKS)
@settings(max_examples=150, deadline=None)
def test_storage_changes_nothing_for_means(
    asked: Question, looks: list[tuple[MeanCounts, MeanCounts]]
) -> None:
    state = evidence.fresh(asked)
    for candidate, stable in looks:
        state = evidence.advance(state, asked, candidate=candidate, stable=stable)
        judged = evidence.judge(state, asked)
        assert stored(state) == state
        assert evidence.judge(stored(state), asked) == judged
        assert not any(math.isnan(number) for number in numbers(judged))


@given(asked=questions_of(Kind.RATE), looks=RATE_LOOKS, only=rate_counts())
@settings(max_examples=80, deadline=None)
def test_a_look_in_which_one_arm_is_empty_compares_nothing(
    asked: Question, looks: list[tuple[RateCounts, RateCounts]], only: RateCounts
) -> None:
    asked = replace(asked, limit=None)
    state = evidence.fresh(asked)
    for candidate, stable in looks:
        state = evidence.advance(state, asked, candidate=candidate, stable=stable)
    before = evidence.judge(state, asked)
    for empty in (
        {"candidate": RateCounts(), "stable": only},
        {"candidate": only, "stable": RateCounts()},
    ):
        after = evidence.judge(evidence.advance(state, asked, **empty), asked)
        assert (after.log_e_harm, after.log_e_not_worse, after.log_e_better, after.looks) == (
            before.log_e_harm,
            before.log_e_not_worse,
            before.log_e_better,
            before.looks,
        )


@given(looks=RATE_LOOKS)
@settings(max_examples=100, deadline=None)
def test_swapping_the_arms_swaps_harm_and_better(
    looks: list[tuple[RateCounts, RateCounts]],
) -> None:
    one = other = evidence.fresh(Question())
    for candidate, stable in looks:
        one = evidence.advance(one, Question(), candidate=candidate, stable=stable)
        other = evidence.advance(other, Question(), candidate=stable, stable=candidate)
    here, there = evidence.judge(one, Question()), evidence.judge(other, Question())
    # The dispersion is around a ratio with half an event added to both arms, and swaps too.
    assert here.log_e_harm == pytest.approx(there.log_e_better, abs=1e-6, rel=1e-6)
    assert here.log_e_better == pytest.approx(there.log_e_harm, abs=1e-6, rel=1e-6)


@given(looks=RATE_LOOKS)
@settings(max_examples=100, deadline=None)
def test_counting_successes_is_counting_failures_upside_down(
    looks: list[tuple[RateCounts, RateCounts]],
) -> None:
    fewer = Question(margin=Margin(absolute=0.02), usual_rate=0.02)
    more = Question(margin=Margin(absolute=0.02), usual_rate=0.98, better=Better.HIGHER)
    bad, good = evidence.fresh(fewer), evidence.fresh(more)
    for candidate, stable in looks:
        turned = [RateCounts(c.trials, c.trials - c.events) for c in (candidate, stable)]
        bad = evidence.advance(bad, fewer, candidate=candidate, stable=stable)
        good = evidence.advance(good, more, candidate=turned[0], stable=turned[1])
    assert isinstance(bad.sums, RateEvidence)
    assert isinstance(good.sums, RateEvidence)
    assert bad.sums.within == pytest.approx(good.sums.within, rel=1e-6, abs=1e-6)


@given(n_c=st.integers(1, 2000), n_s=st.integers(1, 2000), parts=st.integers(2, 6), data=st.data())
@settings(max_examples=100, deadline=None)
def test_splitting_a_look_of_unchanged_weight_changes_nothing(
    n_c: int, n_s: int, parts: int, data: st.DataObject
) -> None:
    # Rare events: what counts is how many fall to the candidate, not in how many looks.
    most = max(1, int(ratio.RARE * min(n_c, n_s)))
    drawn = [
        (data.draw(st.integers(0, most)), data.draw(st.integers(0, most))) for _ in range(parts)
    ]
    rare = [(x, y) for x, y in drawn if x + y <= ratio.RARE * (n_c + n_s)]
    apart = RatioSums()
    for x_c, x_s in rare:
        apart = apart.plus(n_c=n_c, x_c=min(x_c, n_c), n_s=n_s, x_s=min(x_s, n_s))
    x_c, x_s = (sum(column) for column in zip(*rare, strict=True)) if rare else (0, 0)
    k = max(len(rare), 1)
    whole = RatioSums().plus(n_c=k * n_c, x_c=x_c, n_s=k * n_s, x_s=x_s)
    assert whole.tilt == apart.tilt
    assert whole.table == pytest.approx(apart.table, rel=1e-9, abs=1e-9)


@given(n_c=st.integers(50, 5000), n_s=st.integers(50, 5000), x_s=st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_more_bad_outcomes_of_the_candidate_are_more_evidence_of_harm(
    n_c: int, n_s: int, x_s: int
) -> None:
    asked = Question(margin=Margin(absolute=0.01), limit=Limit(at_most=0.02))
    said = [
        evidence.judge(
            evidence.advance(
                evidence.fresh(asked),
                asked,
                candidate=RateCounts(n_c, x_c),
                stable=RateCounts(n_s, min(x_s, n_s)),
            ),
            asked,
        )
        for x_c in range(0, min(n_c, 50), 5)
    ]
    for before, after in pairwise(said):
        # The totals grow, too; a likelihood ratio in S is monotone only where harm is likely.
        if after.log_e_harm > 0:
            assert after.log_e_harm >= before.log_e_harm
        assert (after.log_e_limit or 0.0) >= (before.log_e_limit or 0.0) or after.log_e_limit == 0
        assert (after.log_e_not_worse or 0.0) <= (before.log_e_not_worse or 0.0)


SIZES = [0, 1, 10**3, 10**6, 10**9, LARGEST]


@pytest.mark.parametrize(
    "asked",
    [
        Question(margin=Margin(relative=0.5, absolute=0.01), limit=Limit(at_most=0.01)),
        Question(
            margin=Margin(relative=0.1),
            better=Better.HIGHER,
            limit=Limit(at_least=0.9),
            roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
        ),
        Question(
            margin=Margin(relative=0.5, absolute=0.001),
            usual_rate=0.0,
            planned_events=1e12,
            roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
        ),
    ],
    ids=["both", "higher", "warm-beyond"],
)
@pytest.mark.parametrize("n_s", SIZES)
@pytest.mark.parametrize("n_c", SIZES)
def test_rates_of_any_size_give_numbers(asked: Question, n_c: int, n_s: int) -> None:
    for share in (0.0, 1e-9, 0.5, 1.0):
        state = evidence.fresh(asked)
        for turned in (share, share, 1.0 - share, 0.0):
            arms = [
                RateCounts(n, min(n, round(n * part))) for n, part in ((n_c, turned), (n_s, share))
            ]
            state = evidence.advance(state, asked, candidate=arms[0], stable=arms[1])
            judged = evidence.judge(stored(state), asked)
            assert not any(math.isnan(number) for number in numbers(judged))
            assert judged.log_e_harm < math.inf


@pytest.mark.parametrize("squares", [True, False])
@pytest.mark.parametrize("n_s", SIZES)
@pytest.mark.parametrize("n_c", SIZES)
def test_means_of_any_size_give_numbers(n_c: int, n_s: int, *, squares: bool) -> None:
    asked = Question(
        kind=Kind.MEAN, margin=Margin(relative=0.01, absolute=0.1), limit=Limit(at_most=3.0)
    )
    for value in (0.0, 1e-6, 1.0, -5.0, 1e9):
        state = evidence.fresh(asked)
        for look in range(25):
            arms = [
                MeanCounts(n, n * at, n * at * at * 1.01 if squares else None)
                if n
                else MeanCounts()
                for n, at in ((n_c, value * (1 + look % 3)), (n_s, value))
            ]
            state = evidence.advance(state, asked, candidate=arms[0], stable=arms[1])
            judged = evidence.judge(stored(state), asked)
            assert not any(math.isnan(number) for number in numbers(judged))


def test_evidence_stays_small_whatever_its_age() -> None:
    asked = Question(margin=Margin(relative=0.5, absolute=0.01))
    state = evidence.fresh(asked)
    sizes = []
    for look in range(300):
        arms = RateCounts(10**6 + look, 5000 + look), RateCounts(2 * 10**6, 10_000)
        state = evidence.advance(state, asked, candidate=arms[0], stable=arms[1])
        sizes.append(len(json.dumps(state.to_json())))
    assert max(sizes[100:]) < 2000
    assert max(sizes[100:]) <= max(sizes[:100]) + 100


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda: RateCounts(-1, 0), "reset", id="negative-trials"),
        pytest.param(lambda: RateCounts(5, 6), "at most as many events", id="events-above-trials"),
        pytest.param(lambda: RateCounts(5.0, 1), "whole number", id="fractions"),  # type: ignore[arg-type]
        pytest.param(lambda: RateCounts(True, 0), "whole number", id="truth-values"),
        pytest.param(lambda: MeanCounts(3, math.nan), "finite total", id="nan-total"),
        pytest.param(lambda: MeanCounts(0, 1.0), "total of 0", id="total-of-nothing"),
        pytest.param(lambda: MeanCounts(2, 4.0, 1.0), "sum of squares of at least", id="squares"),
        pytest.param(lambda: MeanCounts(2, 4.0, -1.0), "at least 0", id="negative-squares"),
    ],
)
def test_counts_that_cannot_be_are_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(CountsError, match=says):
        make()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda: Margin(relative=0.0), "above 0", id="no-margin"),
        pytest.param(lambda: Margin(absolute=math.nan), "above 0", id="nan-margin"),
        pytest.param(Limit, "one finite number", id="no-limit"),
        pytest.param(lambda: Limit(at_most=1, at_least=0), "one finite number", id="two-limits"),
        pytest.param(lambda: Question(limit=Limit(at_most=1.5)), "share", id="limit-above-1"),
        pytest.param(lambda: Question(false_rollback=0.0), "probability", id="no-error"),
        pytest.param(lambda: Question(false_promotion=0.5), "probability", id="all-error"),
        pytest.param(lambda: Question(usual_rate=1.1), "share", id="usual-above-1"),
        pytest.param(lambda: Question(planned_events=0), "positive", id="nothing-planned"),
        pytest.param(lambda: Question(margin=Margin(absolute=1.0)), "below 1", id="all-tolerated"),
        pytest.param(
            lambda: Question(margin=Margin(relative=1.0), better=Better.HIGHER),
            "less than 100%",
            id="any-loss",
        ),
        pytest.param(
            lambda: Question(roll_back_when=RollBackWhen.WORSE_THAN_MARGIN),
            "needs a margin",
            id="beyond-nothing",
        ),
    ],
)
def test_questions_that_cannot_be_asked_are_refused(make: object, says: str) -> None:
    assert callable(make)
    with pytest.raises(QuestionError, match=says):
        make()


def test_counts_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(CountsError, match="expected counts of a rate"):
        evidence.advance(
            evidence.fresh(Question()), Question(), candidate=MeanCounts(), stable=MeanCounts()
        )


@pytest.mark.parametrize("damage", [{}, {"kind": "odd"}, {"kind": "rate"}, {"kind": "mean"}])
def test_damaged_evidence_is_refused(damage: dict[str, str]) -> None:
    with pytest.raises(storing.EvidenceError, match="begin with fresh evidence"):
        Evidence.from_json(damage)
