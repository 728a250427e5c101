"""Evidence in words: the sentences and rows that people read, and the reasons decisions give."""

import math

from modelrollout.analysis.verdicts import Because, Bounds, Judgement, SpreadFrom, Verdict
from modelrollout.api import scalars
from modelrollout.api.spec import Metric, ModelRolloutSpec, Role
from modelrollout.api.status import MetricStatus, ModelRolloutStatus, Rollout
from modelrollout.domain import questions
from modelrollout.domain.book import Book
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.weighing import Weighed
from modelrollout.planning import duration


def number(value: float, *, is_share: bool) -> str:
    """A value as people read it: shares in percent, others with four significant digits."""
    if not math.isfinite(value):
        return "unbounded"
    if is_share:
        digits = 3 if 0 < abs(value) < 0.0001 else 2  # noqa: PLR2004 - 0.01 % in two digits
        return f"{100 * value:.{digits}f} %"
    return f"{value:.4g}"


def row(
    metric: Metric,
    judgement: Judgement,
    *,
    problem: Reason | None,
    down: bool,
    rollout: Rollout,
    calibration: str = "",
    distribution: str = "",
) -> MetricStatus:
    """One metric as a row of the status."""
    is_share = metric.mean is None
    verdict = "SourceDown" if down else str(judgement.verdict)
    if problem is not None and not down:
        verdict = str(Verdict.NO_DATA)
    effect, name = _effect(judgement, is_share=is_share)
    return MetricStatus(
        name=metric.name,
        role=metric.role,
        verdict=verdict,
        candidate=_value(judgement.candidate, is_share=is_share),
        stable=_value(judgement.stable, is_share=is_share),
        estimate=f"{name} {effect.estimate:.2f}"
        if effect is not None and effect.estimate is not None
        else "",
        interval=_interval(effect, name),
        samples=f"{judgement.candidate_trials:,} / {judgement.stable_trials:,}",
        threshold=_threshold(metric, judgement),
        noise=(calibration or _spread(metric, judgement))[:256],
        distribution=distribution[:256],
        message=sentence(metric, judgement, problem=problem, rollout=rollout)[:1024],
    )


def _spread(metric: Metric, judgement: Judgement) -> str:
    """Where the spread of a mean is known from, which its error rates rest on."""
    match judgement.spread_from:
        case None:
            return ""
        case SpreadFrom.LOOKS:
            return "spread known from look to look only: it takes twenty looks"
        case SpreadFrom.SQUARES:
            is_binned = metric.mean is not None and metric.mean.squares is None
            return f"spread known from {'buckets of a histogram' if is_binned else 'squares'}"


def _value(value: float | None, *, is_share: bool) -> str:
    return "" if value is None else number(value, is_share=is_share)


def _effect(judgement: Judgement, *, is_share: bool) -> tuple[Bounds | None, str]:
    """The ratio where it says anything, else the difference."""
    ratio, difference = judgement.ratio, judgement.difference
    if is_share and ratio is not None and ratio.estimate is not None:
        return ratio, "ratio"
    return (difference, "difference") if difference is not None else (ratio, "ratio")


def _interval(effect: Bounds | None, name: str) -> str:
    if effect is None:
        return ""
    return f"{_bound(effect.low, name)} to {_bound(effect.high, name)}"


def _bound(value: float, name: str) -> str:
    if not math.isfinite(value):
        return "unbounded"
    is_short = name == "ratio" and value < 10  # noqa: PLR2004 - 0.71 to 1.52, but 1.24 to 14.8
    return f"{value:.2f}" if is_short else f"{value:.3g}"


def _threshold(metric: Metric, judgement: Judgement) -> str:
    if metric.role is Role.GOAL:
        return "better than stable"
    if metric.role is Role.WATCH:
        return ""
    if judgement.margin_in_force is None:
        return "within the margin"
    margin = number(judgement.margin_in_force, is_share=metric.mean is None)
    return f"worse by less than {margin}"


def sentence(
    metric: Metric, judgement: Judgement, *, problem: Reason | None, rollout: Rollout
) -> str:
    """What a metric says, to be read aloud to the engineer on call."""
    if problem is not None:
        return f"{metric.name}: {problem.sentence}"
    if judgement.candidate is None or judgement.stable is None:
        return f"{metric.name}: no data of both versions yet"
    is_share = metric.mean is None
    effect, name = _effect(judgement, is_share=is_share)
    numbers = [
        f"{name} {effect.estimate:.2f}" if effect and effect.estimate is not None else "",
        f"interval {_interval(effect, name)}" if effect else "",
        f"{judgement.candidate_trials:,} {'requests' if is_share else 'observations'}",
    ]
    found = ", ".join(part for part in numbers if part)
    return (
        f"{metric.name} {number(judgement.candidate, is_share=is_share)} against "
        f"{number(judgement.stable, is_share=is_share)} ({found}): "
        f"{_saying(metric, judgement, rollout=rollout)}"
    )


def _saying(metric: Metric, judgement: Judgement, *, rollout: Rollout) -> str:
    match judgement.verdict:
        case Verdict.BETTER:
            return "better than stable"
        case Verdict.NOT_WORSE:
            return "shown to be within the margin"
        case Verdict.WORSE:
            return _worse(metric, judgement)
        case Verdict.NO_DATA:
            return "no data yet"
        case Verdict.UNDECIDED:
            goal = metric.role is Role.GOAL
            missing = "not yet shown to be better" if goal else "not yet shown within the margin"
            claimed = _claimed(judgement, is_share=metric.mean is None)
            return missing + claimed + _why(judgement) + time_left(judgement, rollout=rollout)


def _worse(metric: Metric, judgement: Judgement) -> str:
    limit = judgement.log_e_limit
    if limit is not None and limit >= math.log(judgement.threshold):
        return "outside its limit"
    if questions.roll_back_when(metric) == "WorseThanMargin":
        return "worse than its margin tolerates"
    chance, spending = "", judgement.spending
    if spending is not None and spending.boundary is not None:
        chance = f" ({spending.events:,} bad outcomes, chance ends at {spending.boundary - 1:,})"
    within = ", within its margin" if _within(judgement) else ""
    return f"worse than stable{within}{chance}"


def _within(judgement: Judgement) -> bool:
    """The estimate of the worsening is smaller than the margin."""
    difference, margin = judgement.difference, judgement.margin_in_force
    if difference is None or difference.estimate is None or margin is None:
        return False
    return abs(difference.estimate) < margin


def _claimed(judgement: Judgement, *, is_share: bool) -> str:
    """What can be said already, though it is not what was asked."""
    margin = judgement.claimable_margin
    if margin is None or not math.isfinite(margin) or (is_share and margin >= 1.0):
        return ""
    return f" (so far: worse by less than {number(margin, is_share=is_share)})"


def _why(judgement: Judgement) -> str:
    match judgement.because:
        case Because.GREY_ZONE:
            return ", worse than stable within its margin"
        case Because.NOISE:
            return ", the looks vary more than independent requests would"
        case Because.SPREAD_UNKNOWN:
            return ", its spread is not known yet"
        case Because.TOO_FEW:
            return ", too few observations yet"
        case Because.NO_MARGIN:
            return ", it has no margin to be shown within"
        case Because.NO_TRAFFIC | Because.TRAFFIC | None:
            return ""


def time_left(judgement: Judgement, *, rollout: Rollout) -> str:
    """How much longer it takes at the present traffic, "" where it cannot be said."""
    candidate_per_s = rollout.requests_per_s * rollout.share / scalars.PARTS
    left_s = duration.remaining_s(judgement, candidate_requests_per_s=candidate_per_s)
    if left_s is None or candidate_per_s <= 0 or not math.isfinite(left_s):
        return ""
    return f"; {about(left_s)} more at this traffic"


def about(length_s: float) -> str:
    """A length of time in round words: `about 11 minutes`."""
    for unit, unit_s in (("day", 86400.0), ("hour", 3600.0), ("minute", 60.0)):
        if length_s >= 1.5 * unit_s:
            count = round(length_s / unit_s)
            return f"about {count} {unit}{'s' if count != 1 else ''}"
    return "about a minute" if length_s >= 45 else "less than a minute"  # noqa: PLR2004


def harm(spec: ModelRolloutSpec, weighed: Weighed, status: ModelRolloutStatus) -> Reason:
    """Why the evidence of harm rolls the candidate back."""
    metric = _metric(spec, weighed.culprit)
    judgement = weighed.judgements[weighed.culprit]
    words = sentence(metric, judgement, problem=None, rollout=_none_left(status))
    limit = judgement.log_e_limit
    code = Code.HARM
    if limit is not None and limit > judgement.log_e_harm:
        code = Code.LIMIT_BROKEN
    if judgement.verdict is not Verdict.WORSE:
        words += "; together with the other metrics this is harm"
    return Reason(code, words)


def _none_left(status: ModelRolloutStatus) -> Rollout:
    if status.rollout is None:
        raise RuntimeError("harm without a rollout")
    return status.rollout


def _metric(spec: ModelRolloutSpec, name: str) -> Metric:
    return next(metric for metric in spec.analysis.metrics if metric.name == name)


def harm_stands(weighed: Weighed) -> str:
    """Evidence of harm that a person's promotion must answer, "" when there is none."""
    if weighed.quiet:
        return ""
    return f"{weighed.culprit}, e-value {math.exp(min(weighed.log_e_harm, 50.0)):.3g}"


def loud(weighed: Weighed) -> Reason | None:
    """Evidence of harm that is too loud for a step to advance."""
    if weighed.quiet:
        return None
    name = weighed.culprit
    return Reason(Code.UNDECIDED, f"{name} may be harmful: {_evidence_of_harm(weighed)}")


def _evidence_of_harm(weighed: Weighed) -> str:
    spending = weighed.judgements[weighed.culprit].spending
    if spending is not None and spending.boundary is not None:
        return f"{spending.events:,} bad outcomes, a rollback needs {spending.boundary:,} by now"
    needed = math.exp(weighed.threshold)
    found = math.exp(min(weighed.log_e_harm, 50.0))
    return f"e-value {found:.3g}, a rollback needs {needed:.3g}"


def missing(book: Book, weighed: Weighed) -> Reason | None:
    """The first judged metric that has no data, with its problem."""
    for name in weighed.missing:
        problem = book.entries[name].problem
        return problem or Reason(Code.NO_DATA, f"{name}: no data of both versions yet")
    return None


def unproven(spec: ModelRolloutSpec, weighed: Weighed, *, rollout: Rollout) -> Reason | None:
    """What is still missing for a promotion, None when nothing is."""
    if not questions.judged(spec):
        return Reason(
            Code.NO_METRICS,
            "there is no guardrail or goal to judge by: add metrics, or promote by hand",
        )
    for name in weighed.unproven:
        words = sentence(
            _metric(spec, name), weighed.judgements[name], problem=None, rollout=rollout
        )
        return Reason(Code.UNDECIDED, words)
    return None
