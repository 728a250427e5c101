"""What the evidence of one metric says: the judgement that status, events and people read."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a metric says now. Without its source nobody asks here, so that state is not ours."""

    BETTER = "Better"
    NOT_WORSE = "NotWorse"
    WORSE = "Worse"
    UNDECIDED = "Undecided"
    NO_DATA = "NoData"


class Because(StrEnum):
    """Why there is no conclusion yet."""

    NO_TRAFFIC = "NoTraffic"
    """One of the arms has seen no request."""
    TOO_FEW = "TooFew"
    """Too few values for a method that rests on the central limit theorem."""
    SPREAD_UNKNOWN = "SpreadUnknown"
    """No sum of squares, and too few looks to learn the spread from them."""
    GREY_ZONE = "GreyZone"
    """Worse than stable, within the margin: more traffic may end it either way."""
    NOISE = "Noise"
    """The looks vary much more than independent requests would."""
    TRAFFIC = "Traffic"
    """Nothing but more traffic is needed."""
    NO_MARGIN = "NoMargin"
    """Without a margin "not worse" cannot be shown."""


class SpreadFrom(StrEnum):
    """Where the spread of a mean's values was learnt, which its error rates rest on."""

    SQUARES = "Squares"
    """Sums of squares within looks: trustworthy after some dozen values."""
    LOOKS = "Looks"
    """No sums of squares; how much the arms' difference varies from look to look. It needs twenty
    looks, and with few and very skewed values per look promotes more often than stated."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """An estimate with its time-uniform interval; `high` may be infinite."""

    estimate: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Spending:
    """Where exact conditional spending of a metric stands.

    Attributes:
        alarm: it was raised, now or in an earlier look.
        events: bad outcomes of the candidate so far.
        boundary: how many of them raise the alarm at this look; None when the law has ended, and
            the e-process has what is left of alpha.
        error: spent so far.
        alpha: this metric's part of the stated error.
    """

    alarm: bool
    events: int
    boundary: int | None
    error: float
    alpha: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state of one metric after a look.

    Estimates are standardised over looks (the same weights for both arms), so that they compare
    like with like whatever the ramp did; `ratio` and `difference` are candidate against stable, in
    the metric as the user wrote it. `log_e_*` are natural logarithms of e-values, None where the
    question was not asked. `threshold` and `promotion_threshold` are the e-values needed.
    `margin_in_force`, `claimable_margin`: absolute units. `remaining_candidate_trials`: how many
    more candidate observations show "not worse" if both versions are equal, an estimate.
    `spread_from`: of a mean whose spread is known, None otherwise.
    `spending`: where exact conditional spending decides about harm, None where the e-process does.
    """

    verdict: Verdict
    because: Because | None
    candidate: float | None
    stable: float | None
    ratio: Bounds | None
    difference: Bounds | None
    candidate_trials: int
    stable_trials: int
    candidate_events: int | None
    stable_events: int | None
    looks: int
    log_e_harm: float
    log_e_not_worse: float | None
    log_e_better: float
    log_e_limit: float | None
    threshold: float
    promotion_threshold: float
    margin_in_force: float | None
    claimable_margin: float | None
    remaining_candidate_trials: float | None
    grey: bool
    dispersion: float
    spread_from: SpreadFrom | None = None
    spending: Spending | None = None
