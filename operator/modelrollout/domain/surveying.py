"""The survey: a look at stable alone, before anything is moved.

It tells whether the metrics can be read at all, how much traffic there is, which weights suit it,
and how long the answer will take; what cannot be answered in the time given is said at once.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.analysis.noise import LOOK_S, ArmNoise, Noise
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import LookStatus
from modelrollout.domain import book, guarding, questions, steps
from modelrollout.domain.observed import Look
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import Step
from modelrollout.planning import duration

_EXPECTED_NOW = frozenset({Code.NO_SERIES, Code.NO_DATA})
"""A candidate without traffic has no series: not a problem yet."""


def survey(turn: Pass) -> None:
    """Takes the survey's look, when this pass brought one."""
    look = turn.observed.look
    if look is None or turn.rollout.surveyed:
        return
    turn.put(look=LookStatus(at=turn.now, failures=1 if look.down else 0))
    if look.down is not None:
        return
    turn.put_book(_book(turn, look))
    if _problem(turn, look) is None:
        _learn(turn, look)


def missing(turn: Pass) -> Reason | None:
    """Why the survey does not let the rollout start, None when it does or is not needed."""
    if turn.rollout.surveyed or not turn.spec.analysis.metrics:
        return None
    look = turn.observed.look
    if look is not None and look.down is not None:
        return look.down
    if look is not None and (problem := _problem(turn, look)) is not None:
        return problem
    if turn.status.look is not None and turn.status.look.failures > 0:
        return Reason(Code.SOURCE_DOWN, "the metric source does not answer")
    entries = turn.book().entries.values()
    known = [entry.problem for entry in entries if entry.problem is not None]
    return known[0] if known else Reason(Code.NO_DATA, "stable is being looked at first")


def _problem(turn: Pass, look: Look) -> Reason | None:
    for name in questions.judged(turn.spec):
        pair, problem = look.pairs.get(name), look.problems.get(name)
        stable_known = pair is not None and pair.stable is not None
        if problem is not None and not (stable_known and problem.code in _EXPECTED_NOW):
            return problem
        if not stable_known:
            return Reason(Code.NO_DATA, f"{name}: no data of stable in the last minutes")
    return None


def _book(turn: Pass, look: Look) -> book.Book:
    fresh = book.fresh(turn.spec)
    entries = {
        name: replace(entry, problem=look.problems.get(name))
        for name, entry in fresh.entries.items()
    }
    return replace(fresh, entries=entries)


def _learn(turn: Pass, look: Look) -> None:
    _, stable_requests = book.request_counts(look, spec=turn.spec)
    rate = stable_requests / (look.end - look.start)
    turn.put(look=None)
    turn.put_rollout(surveyed=True, requests_per_s=rate)
    turn.choose_weights(steps.weights_for(rate))
    length_s = _forecast(turn, look, rate=rate) if turn.refused is None else 0.0
    known = questions.Known(
        usual=_usual(look),
        requests=rate * turn.spec.analysis.interval,
        looks=expected_looks(turn.spec, turn.steps(), length_s),
        tries=turn.rollout.number,
        noise=_noise(turn),
        calibration=_calibration(turn),
    )
    turn.put_book(book.fresh(turn.spec, known))


def _noise(turn: Pass) -> Mapping[str, ArmNoise]:
    """Noise of a look of this rollout, by metric: between its pods, and at its interval."""
    candidate, stable = guarding.arms(turn)
    pods_c, pods_s = max(1, candidate.ready), max(1, stable.ready)
    # Known per minute. A shorter look has less of the requests, and as much of the noise.
    looks = LOOK_S / turn.spec.analysis.interval
    found = {}
    for name, noise in turn.observed.noise.items():
        if isinstance(noise, Noise):
            during = noise.during(pods_c, pods_s)
            found[name] = ArmNoise(
                float(f"{during.tau2 * looks:.4g}"), float(f"{during.omega2:.4g}")
            )
    return found


def _calibration(turn: Pass) -> Mapping[str, str]:
    return {
        name: noise.sentence if isinstance(noise, Noise) else f"uncalibrated: {noise.reason}"
        for name, noise in turn.observed.noise.items()
    }


def expected_looks(spec: ModelRolloutSpec, plan: Sequence[Step], forecast_s: float) -> int:
    """Looks until the answer is expected: the ramp at least, the deadline at most, then the bake.

    It tells when error is best spent. A bake without a held-back control compares nothing.
    """
    ramp_s = sum(length_s for _, length_s in steps.weights_over_time(plan))
    until_s = min(max(ramp_s, forecast_s), max(spec.deadline, ramp_s))
    bake_s = spec.bake.duration if spec.bake is not None and spec.bake.holdback else 0.0
    return max(1, round((until_s + bake_s) / spec.analysis.interval))


def _usual(look: Look) -> Mapping[str, float]:
    values = {name: _value(pair.stable) for name, pair in look.pairs.items()}
    return {name: value for name, value in values.items() if value is not None}


def _value(counts: Counts | None) -> float | None:
    match counts:
        case RateCounts(trials=trials, events=events) if trials > 0:
            return events / trials
        case MeanCounts(count=count, total=total) if count > 0:
            return total / count
        case _:
            return None


def _forecast(turn: Pass, look: Look, *, rate: float) -> float:
    """Says how long the slowest metric takes at this traffic; warns when it takes too long.

    Returns:
        The length in seconds, infinite where there will be no answer, 0 where nothing can be said.
    """
    if not steps.compares(turn.steps()):
        turn.put_rollout(forecast="observational: both versions never have users at one time")
        return 0.0
    forecasts = {
        name: forecast
        for name in questions.judged(turn.spec)
        if (forecast := _of_metric(turn, look, name, rate=rate)) is not None
    }
    if not forecasts:
        _tell_nothing_known(turn, rate=rate)
        return 0.0
    slowest = max(forecasts, key=lambda name: _length(forecasts[name]))
    turn.put_rollout(forecast=f"{slowest}: {forecasts[slowest].sentence}"[:1024])
    if not forecasts[slowest].answerable:
        sentence = f"{slowest}: {forecasts[slowest].sentence}"
        turn.tell(Code.CANNOT_ANSWER_IN_TIME, sentence, warning=True)
    return _length(forecasts[slowest])


def _tell_nothing_known(turn: Pass, *, rate: float) -> None:
    if rate > 0 or not questions.judged(turn.spec):
        return
    sentence = (
        f"{turn.status.stable} had no requests in the last minutes: how long the answer takes "
        "cannot be forecast, and nothing is shown until requests come"
    )
    turn.put_rollout(forecast=sentence)
    turn.tell(Code.CANNOT_ANSWER_IN_TIME, sentence, warning=True)


def _length(forecast: duration.Forecast) -> float:
    return math.inf if forecast.seconds is None else forecast.seconds


def _of_metric(turn: Pass, look: Look, name: str, *, rate: float) -> duration.Forecast | None:
    pair = look.pairs.get(name)
    value = _value(pair.stable) if pair is not None else None
    if pair is None or value is None:
        return None
    plan = steps.weights_over_time(turn.steps())
    asked = questions.asked(turn.spec)[name]
    if isinstance(pair.stable, MeanCounts):
        spread = _spread(pair.stable)
        observations = pair.stable.count / (look.end - look.start)
        return (
            duration.time_to_answer(
                asked,
                stable_mean=value,
                stable_sd=spread,
                requests_per_s=observations,
                steps=plan,
                deadline_s=turn.spec.deadline,
            )
            if spread is not None
            else None
        )
    return duration.time_to_answer(
        asked, stable_rate=value, requests_per_s=rate, steps=plan, deadline_s=turn.spec.deadline
    )


def _spread(counts: MeanCounts) -> float | None:
    """Standard deviation of one observation, None where it cannot be told."""
    if counts.squares is None or counts.count < 2:  # noqa: PLR2004 - a spread needs two
        return None
    mean = counts.total / counts.count
    return math.sqrt(max(0.0, counts.squares / counts.count - mean * mean))
