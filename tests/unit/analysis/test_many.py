"""The arrays of `many` say what the real evidence says, look by look, stored and read back."""

import json

import numpy as np
import pytest

from modelrollout.analysis import evidence
from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.questions import Better, Kind, Limit, Margin, Question, RollBackWhen
from modelrollout.analysis.verdicts import Judgement
from tests.unit.analysis import many

WORSE_THAN_MARGIN = RollBackWhen.WORSE_THAN_MARGIN


def real_rate(drawn: many.RateLooks, run: int, question: Question) -> list[Judgement]:
    state, said = evidence.fresh(question), []
    for look in range(len(drawn.n_c)):
        arms = [
            RateCounts(trials=int(n[look, run]), events=int(x[look, run]))
            for n, x in ((drawn.n_c, drawn.x_c), (drawn.n_s, drawn.x_s))
        ]
        state = Evidence.from_json(json.loads(json.dumps(state.to_json())))
        state = evidence.advance(state, question, candidate=arms[0], stable=arms[1])
        said.append(evidence.judge(state, question))
    return said


def real_mean(
    drawn: many.MeanLooks, run: int, question: Question, *, squares: bool
) -> list[Judgement]:
    state, said = evidence.fresh(question), []
    columns = ((drawn.n_c, drawn.t_c, drawn.q_c), (drawn.n_s, drawn.t_s, drawn.q_s))
    for look in range(len(drawn.n_c)):
        arms = [
            MeanCounts(
                count=int(n[look, run]),
                total=float(t[look, run]),
                squares=float(q[look, run]) if squares else None,
            )
            for n, t, q in columns
        ]
        state = Evidence.from_json(json.loads(json.dumps(state.to_json())))
        state = evidence.advance(state, question, candidate=arms[0], stable=arms[1])
        said.append(evidence.judge(state, question))
    return said


def agree(said: list[Judgement], twin: many.LogEs, run: int, *, within: float) -> None:
    pairs: list[tuple[list[float | None], many.Floats | None]] = [
        ([judgement.log_e_harm for judgement in said], twin.harm),
        ([judgement.log_e_better for judgement in said], twin.better),
        ([judgement.log_e_not_worse for judgement in said], twin.not_worse),
        ([judgement.log_e_limit for judgement in said], twin.limit),
    ]
    for real, expected in pairs:
        if expected is None:
            assert real == [None] * len(said)
        else:
            found = np.array(real, dtype=np.float64)
            np.testing.assert_allclose(found, expected[:, run], rtol=within, atol=within)


@pytest.mark.parametrize(
    ("question", "rps", "p_c", "p_s"),
    [
        pytest.param(Question(), 1.0, 0.02, 0.005, id="worse-at-little-traffic"),
        pytest.param(
            Question(margin=Margin(absolute=0.01), usual_rate=0.005, planned_events=300),
            10.0,
            0.005,
            0.005,
            id="absolute-warm",
        ),
        pytest.param(
            Question(margin=Margin(relative=0.5, absolute=0.01), roll_back_when=WORSE_THAN_MARGIN),
            10.0,
            0.06,
            0.03,
            id="both-margins-beyond",
        ),
        pytest.param(
            Question(
                margin=Margin(relative=0.1),
                better=Better.HIGHER,
                limit=Limit(at_least=0.85),
                roll_back_when=WORSE_THAN_MARGIN,
            ),
            1.0,
            0.8,
            0.9,
            id="higher-is-better-with-a-limit",
        ),
        pytest.param(
            Question(margin=Margin(relative=0.5), limit=Limit(at_most=0.4)),
            1.0,
            0.45,
            0.4,
            id="common-events",
        ),
    ],
)
def test_rates_as_arrays_are_the_evidence(
    question: Question, rps: float, p_c: float, p_s: float
) -> None:
    rng = np.random.default_rng(3)
    drawn = many.rates_drawn(rng, runs=2, rps=rps, p_c=p_c, p_s=p_s)
    twin = many.judged_rates(drawn, question)
    for run in range(2):
        agree(real_rate(drawn, run, question), twin, run, within=1e-7)


@pytest.mark.parametrize("squares", [True, False], ids=["squares", "no-squares"])
@pytest.mark.parametrize(
    "question",
    [
        pytest.param(
            Question(kind=Kind.MEAN, margin=Margin(relative=0.1), limit=Limit(at_most=1.1)),
            id="relative-with-a-limit",
        ),
        pytest.param(
            Question(
                kind=Kind.MEAN,
                better=Better.HIGHER,
                margin=Margin(relative=0.1, absolute=0.05),
                limit=Limit(at_least=1.3),
                roll_back_when=WORSE_THAN_MARGIN,
                planned_events=2000,
            ),
            id="both-margins-beyond",
        ),
    ],
)
def test_means_as_arrays_are_the_evidence(question: Question, *, squares: bool) -> None:
    rng = np.random.default_rng(4)
    drawn = many.means_drawn(
        rng, lambda draws, size: draws.exponential(size=size), runs=2, rps=1.0, scale_c=1.2
    )
    twin = many.judged_means(drawn, question, squares=squares)
    for run in range(2):
        agree(real_mean(drawn, run, question, squares=squares), twin, run, within=1e-6)
