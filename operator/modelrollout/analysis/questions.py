"""What is asked of one metric, as a value: direction, role, margin, limit and error rates.

The answer depends on nothing but a `Question` and counts, so that a decision can be repeated from
what status shows. Everything here is checked once, when the question is made.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from modelrollout.analysis.noise import ArmNoise
from modelrollout.analysis.spending import Plan


class QuestionError(ValueError):
    """The question cannot be asked as written; the message says what to change."""


LARGEST_ERROR_RATE = 0.5


class Kind(StrEnum):
    """What the counts of a metric are: shares of trials, or sums of values."""

    RATE = "rate"
    MEAN = "mean"


class Better(StrEnum):
    """The direction in which the metric improves."""

    LOWER = "lower"
    HIGHER = "higher"


class Role(StrEnum):
    """Must not get worse, must get better, or is only shown."""

    GUARDRAIL = "guardrail"
    GOAL = "goal"
    WATCH = "watch"


class RollBackWhen(StrEnum):
    """Which evidence counts as harm: worse at all, or worse than the margin tolerates."""

    WORSE = "Worse"
    WORSE_THAN_MARGIN = "WorseThanMargin"


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse than stable is tolerated; with both, the larger of the two.

    `relative` is a fraction of stable's value (0.5: errors up to 1.5 times as frequent; with
    `better: higher`, at least half of stable's value). `absolute` is in the metric's own unit.
    """

    relative: float | None = None
    absolute: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("relative", self.relative), ("absolute", self.absolute)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise QuestionError(
                    f"a {name} margin is a number above 0, found {value}: without a tolerated "
                    f"worsening nothing could ever be shown to be within it"
                )

    @property
    def given(self) -> bool:
        """Is there any margin?"""
        return self.relative is not None or self.absolute is not None


@dataclass(frozen=True, slots=True)
class Limit:
    """An absolute limit on the candidate's own value (an SLO): exactly one of the two."""

    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        values = [value for value in (self.at_most, self.at_least) if value is not None]
        if len(values) != 1 or not math.isfinite(values[0]):
            raise QuestionError(
                f"a limit is one finite number, atMost or atLeast; found atMost={self.at_most} "
                f"and atLeast={self.at_least}"
            )


@dataclass(frozen=True, slots=True)
class Question:
    """One metric of one rollout.

    `planned_events` is how many events (for means: observations) both arms together are expected
    to see over the whole plan. It only tunes where the test is most sensitive, never its error
    rate, and is frozen when evidence begins. `usual_rate` is the stable version's share of events
    in the hours before the rollout, if known: bets then start from it. `spending`, of a rate whose
    harm is any worsening: exact conditional spending decides about harm, by this plan; its alpha is
    the metric's own part of the error. Without it the e-process decides. `noise` is that of the
    service's own history, of one look of this rollout and between its pods; None: uncalibrated.
    """

    kind: Kind = Kind.RATE
    better: Better = Better.LOWER
    role: Role = Role.GUARDRAIL
    margin: Margin = Margin()
    limit: Limit | None = None
    roll_back_when: RollBackWhen = RollBackWhen.WORSE
    false_rollback: float = 0.02
    false_promotion: float = 0.05
    planned_events: float | None = None
    usual_rate: float | None = None
    spending: Plan | None = None
    noise: ArmNoise | None = None

    def __post_init__(self) -> None:
        self._check_error_rates()
        self._check_margin()
        self._check_hints()
        if self.kind is Kind.RATE and self.limit is not None:
            _expect_share("a limit of a rate", self.limit.at_most, self.limit.at_least)

    def _check_error_rates(self) -> None:
        for name in ("false_rollback", "false_promotion"):
            value = getattr(self, name)
            if not 0 < value < LARGEST_ERROR_RATE:
                raise QuestionError(
                    f"{name} is a probability above 0 and below {LARGEST_ERROR_RATE}, found {value}"
                )

    def _check_margin(self) -> None:
        if self.roll_back_when is RollBackWhen.WORSE_THAN_MARGIN and not self.margin.given:
            raise QuestionError(
                "rollBackWhen: WorseThanMargin needs a margin; give one, or use Worse"
            )
        relative, absolute = self.margin.relative, self.margin.absolute
        if self.better is Better.HIGHER and relative is not None and relative >= 1:
            raise QuestionError(
                f"a relative margin of {relative:.0%} tolerates any loss where higher is better; "
                f"give less than 100%"
            )
        if self.kind is Kind.RATE and absolute is not None and absolute >= 1:
            raise QuestionError(
                f"an absolute margin of a rate is a share below 1, found {absolute}"
            )

    def _check_hints(self) -> None:
        planned, usual = self.planned_events, self.usual_rate
        if planned is not None and not (math.isfinite(planned) and planned > 0):
            raise QuestionError(f"planned_events is a positive number, found {planned}")
        if self.kind is Kind.RATE and usual is not None:
            _expect_share("usual_rate", usual)
        if self.spending is not None and (
            self.kind is not Kind.RATE or self.roll_back_when is not RollBackWhen.WORSE
        ):
            raise QuestionError(
                "error is spent exactly on rates of which any worsening is harm; means, and harm "
                "beyond a margin, are decided by their e-process"
            )


def _expect_share(what: str, *values: float | None) -> None:
    for value in values:
        if value is not None and not 0 <= value <= 1:
            raise QuestionError(f"{what} is a share between 0 and 1, found {value}")
