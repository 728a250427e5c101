"""The sharp guard of hash assignment: did users land in the arms exactly as was asked?

Where a hash of the user decides, the shares are exact and any deviation is a fault: lost events, a
crash before the log line, a bot in one arm. So the null is the asked share itself, with no
tolerance; `split` holds the tolerant guard for routing of single requests.

It assumes that each user is counted once, in the step in which the user was first seen: a user who
comes back is no second draw, and counting requests instead of users makes it alarm on nothing.
Source: Lindon and Malek, "Anytime-valid inference for multinomial count data" (2011.03567).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelrollout.analysis import dirichlet, mixtures

CONCENTRATIONS = (1e2, 1e4, 1e6)
"""Of the Dirichlet around the asked shares: faults of about 10, 1 and 0.1 points at even shares.
Their average is an e-value, too, and costs at most ln 3 against the best of them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step with constant shares: what was asked for, and new users that came, per arm.

    Attributes:
        names: of the arms, at least two.
        shares: asked for, above 0, sum 1 (weights of any scale are refused, not normalised).
        users: first seen in this step, so far.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    users: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.shares):
            raise ValueError(
                f"expected one share per arm, found {len(self.names)} arms and "
                f"{len(self.shares)} shares"
            )
        dirichlet.log_ratio(self.users, law=self.shares, prior=[1.0] * len(self.shares))


def step_log_e(step: Step) -> float:
    """Log of the e-value against "users follow exactly the asked shares" within one step.

    Exact at any stopping time, for any number of arms: it depends on the counts so far only.
    """
    each = [
        dirichlet.log_ratio(
            step.users, law=step.shares, prior=[scale * share for share in step.shares]
        )
        for scale in CONCENTRATIONS
    ]
    weights = np.full(len(each), -math.log(len(each)))
    return mixtures.log_mean_exp(np.asarray(each), weights)


def log_e(steps: Sequence[Step]) -> float:
    """Log of the product over steps: each step begins anew, with the users it was first to see."""
    return math.fsum(step_log_e(step) for step in steps)


def leaning(steps: Sequence[Step]) -> str:
    """Which way the assignment leans, in one sentence: the arm farthest from what was asked.

    Arms are compared by name over all steps, with the users expected under each step's shares.
    """
    found: dict[str, tuple[int, float, float]] = {}
    for step in steps:
        total = sum(step.users)
        for name, share, users in zip(step.names, step.shares, step.users, strict=True):
            came, expected, variance = found.get(name, (0, 0.0, 0.0))
            spread = total * share * (1.0 - share)
            found[name] = (came + users, expected + total * share, variance + spread)
    if not any(variance for _, _, variance in found.values()):
        return "no users were counted yet"
    name = max(found, key=lambda arm: _distance(found[arm]))
    came, expected, _ = found[name]
    if came == expected:
        return "users came exactly in the shares that were asked for"
    side = "too many" if came > expected else "too few"
    return (
        f"{name} gets {side} users: {came:,} where {expected:,.0f} were expected, "
        f"{_distance(found[name]):.1f} standard errors away"
    )


def _distance(arm: tuple[int, float, float]) -> float:
    came, expected, variance = arm
    return abs(came - expected) / math.sqrt(variance) if variance else 0.0
