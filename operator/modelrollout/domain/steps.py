"""Strategies compiled to steps: the engine knows only these."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from modelrollout.api import scalars
from modelrollout.api.blue_green import BlueGreen, SmokeTest
from modelrollout.api.shadow import Shadowing
from modelrollout.api.spec import Canary, ModelRolloutSpec, Pause
from modelrollout.api.spec import Step as WrittenStep

DEFAULT_MIN_DURATION_S = 300.0


@dataclass(frozen=True, slots=True)
class WeightStep:
    """A share of the candidate, held for `min_duration_s` at least.

    Attributes:
        share: parts of ten thousand, above 0 and below `PARTS`.
    """

    share: int
    min_duration_s: float

    def __str__(self) -> str:
        lasts = f" for {scalars.duration(self.min_duration_s)}" if self.min_duration_s else ""
        return f"weight {scalars.percent(self.share)}{lasts}"


@dataclass(frozen=True, slots=True)
class PauseStep:
    """A wait at the share of the step before: for a time, for a person, or both."""

    share: int
    duration_s: float
    approval: bool

    def __str__(self) -> str:
        lasts = f" for {scalars.duration(self.duration_s)}" if self.duration_s else ""
        return f"pause{lasts}" + (" until approved" if self.approval else "")


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """Until a host of the candidate's own leads to it; the host stays until the switch."""

    share: int
    host: str

    def __str__(self) -> str:
        return f"preview at {self.host}" if self.host else "preview"


@dataclass(frozen=True, slots=True)
class CheckStep:
    """A Job made from the CronJob `cron_job`, which must succeed within `timeout_s`."""

    share: int
    cron_job: str
    timeout_s: float

    def __str__(self) -> str:
        return f"smoke test {self.cron_job} within {scalars.duration(self.timeout_s)}"


@dataclass(frozen=True, slots=True)
class ShadowStep:
    """Copies of requests go to the candidate, and its answers are compared with what users got."""

    share: int
    asked: Shadowing

    def __str__(self) -> str:
        sample, lasts = scalars.percent(self.asked.sample), scalars.duration(self.asked.duration)
        return f"shadow of {sample} for {lasts}"


Step = WeightStep | PauseStep | PreviewStep | CheckStep | ShadowStep


class UnusableStrategyError(ValueError):
    """A strategy that no rollout can follow; the message says what to change."""


def compiled(spec: ModelRolloutSpec, *, chosen: Sequence[int] = ()) -> tuple[Step, ...]:
    """The steps of the spec's strategy.

    Args:
        spec: of the rollout.
        chosen: weights chosen from the traffic seen, in parts of ten thousand; used by a canary
            that names none.

    Raises:
        UnusableStrategyError: when the strategy names no weight, or weights that do not ascend.
    """
    strategy = spec.strategy
    if strategy.blue_green is not None:
        # A switch of a Service shows the preview by a Service beside it: no host is needed.
        shows = strategy.blue_green.preview_host is not None or spec.traffic.service is not None
        return _of_blue_green(strategy.blue_green, shows=shows)
    steps = (
        _of_written(strategy.steps)
        if strategy.steps is not None
        else _of_canary(strategy.canary or Canary(), chosen=chosen)
    )
    _check(steps)
    return steps


def compares(steps: Sequence[Step]) -> bool:
    """Whether both versions have users at one time before the switch.

    Without such a time nothing is compared: what is seen after the switch is observational.
    """
    return any(isinstance(step, WeightStep) for step in steps)


def least_s(step: Step) -> float:
    """The shortest time that a step takes by the plan, seconds."""
    match step:
        case WeightStep():
            return step.min_duration_s
        case PauseStep():
            return step.duration_s
        case ShadowStep():
            return step.asked.duration
        case PreviewStep() | CheckStep():
            return 0.0


def weights_over_time(steps: Sequence[Step]) -> list[tuple[float, float]]:
    """(candidate's share between 0 and 1, least duration in seconds) of each step with a weight."""
    return [
        (step.share / scalars.PARTS, step.min_duration_s)
        for step in steps
        if isinstance(step, WeightStep)
    ]


def weights_for(requests_per_s: float) -> list[int]:
    """Weights for a canary that names none: the more traffic, the smaller the first share.

    The first share should meet at least about one request in two seconds, so that a harmful
    candidate shows itself, and no more users than that need meet it.

    Args:
        requests_per_s: of the whole service; 0 when unknown.

    Returns:
        Parts of ten thousand, ascending.
    """
    if requests_per_s >= 50:  # noqa: PLR2004 - 1 % of it is one request in two seconds
        return [100, 500, 2500, 5000]
    if requests_per_s >= 10 or requests_per_s <= 0:  # noqa: PLR2004 - likewise 5 %
        return [500, 2500, 5000]
    return [2500, 5000]


def _of_canary(canary: Canary, *, chosen: Sequence[int]) -> tuple[Step, ...]:
    shares = canary.weights or list(chosen) or weights_for(0.0)
    left_out_s = DEFAULT_MIN_DURATION_S if canary.ramp is None else 0.0
    length_s = left_out_s if canary.min_duration is None else canary.min_duration
    return tuple(WeightStep(share, length_s) for share in shares)


def _of_blue_green(asked: BlueGreen, *, shows: bool) -> tuple[Step, ...]:
    """Preview, check, approval, overlap: those that are asked for. The switch is the promotion."""
    made: list[Step] = []
    if shows:
        made.append(PreviewStep(0, asked.preview_host or ""))
    if asked.smoke_test is not None:
        made.append(_check_of(asked.smoke_test, share=0))
    if asked.approval or not (made or asked.overlap):
        # A plan without any step would have nothing to start: it pauses for no time at all.
        made.append(PauseStep(0, 0.0, asked.approval))
    if asked.overlap:
        made.append(WeightStep(scalars.PARTS // 2, asked.overlap))
    return tuple(made)


def _check_of(asked: SmokeTest, *, share: int) -> CheckStep:
    return CheckStep(share, asked.cron_job, asked.timeout)


def _of_written(written: Sequence[WrittenStep]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for entry in written:
        share = steps[-1].share if steps else 0
        if entry.pause is not None:
            steps.append(_pause(entry.pause, share=share))
        elif entry.preview is not None:
            steps.append(PreviewStep(share, entry.preview.host))
        elif entry.check is not None:
            steps.append(_check_of(entry.check, share=share))
        elif entry.shadow is not None:
            steps.append(ShadowStep(share, entry.shadow))
        elif entry.weight is not None:
            length_s = entry.min_duration
            steps.append(
                WeightStep(entry.weight, DEFAULT_MIN_DURATION_S if length_s is None else length_s)
            )
    if steps and isinstance(steps[-1], WeightStep) and steps[-1].share == scalars.PARTS:
        steps.pop()  # all of the traffic is the promotion itself
    return tuple(steps)


def _pause(pause: Pause, *, share: int) -> PauseStep:
    approval = pause.duration is None if pause.approval is None else pause.approval
    return PauseStep(share, pause.duration or 0.0, approval)


def _check(steps: Sequence[Step]) -> None:
    shares = [step.share for step in steps if isinstance(step, WeightStep)]
    if not shares:
        if any(isinstance(step, PreviewStep | CheckStep | ShadowStep) for step in steps):
            return  # blue/green, written out
        raise UnusableStrategyError(
            "the strategy has no weight below 100: expected at least one, such as weights: [5, 25]"
        )
    if shares[0] <= 0 or shares[-1] >= scalars.PARTS:
        raise UnusableStrategyError(
            "weights are above 0 and below 100; 100 may only be the last step (a bake follows it)"
        )
    for lower, upper in pairwise(shares):
        if upper <= lower:
            raise UnusableStrategyError(
                f"weights must ascend, saw {scalars.percent(upper)} after {scalars.percent(lower)}"
            )
