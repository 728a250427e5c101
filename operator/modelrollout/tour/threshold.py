"""The rule that most controllers know: roll back after so many checks below a fixed success rate.

Stands here only to be compared with. Each minute the success rate of the new version is checked
against a limit; a passed check raises the weight by 5 points, a failed one does not; after the
fifth failed check the version is rolled back, after ten passed ones it is promoted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

CHECK_S: Final = 60.0
STEP_WEIGHT: Final = 0.05
MAX_WEIGHT: Final = 0.50
MOST_FAILED: Final = 5


@dataclass(frozen=True, slots=True)
class Check:
    """The rule after one check.

    Attributes:
        at_s: seconds since the beginning.
        weight: share of the new version from now on.
        seen: share of errors in the minute that was checked.
        failed: failed checks so far.
        outcome: `Promoted` or `RolledBack`, "" while it goes on.
    """

    at_s: float
    weight: float
    seen: float
    failed: int
    outcome: str = ""


def checks(
    *, requests_per_s: float, errors: float, most_errors: float, random: np.random.Generator
) -> Iterator[Check]:
    """A rollout by the rule.

    Args:
        requests_per_s: of the whole service.
        errors: true share of errors of the new version.
        most_errors: share of errors from which on a check fails.
        random: source of arrivals and errors.
    """
    at_s, weight, failed = 0.0, STEP_WEIGHT, 0
    while True:
        at_s += CHECK_S
        trials = int(random.poisson(requests_per_s * CHECK_S * weight))
        seen = int(random.binomial(trials, errors)) / trials if trials else 0.0
        failed += seen > most_errors
        if failed >= MOST_FAILED:
            yield Check(at_s, 0.0, seen, failed, "RolledBack")
            return
        if seen <= most_errors and weight + STEP_WEIGHT > MAX_WEIGHT + 1e-9:
            yield Check(at_s, 1.0, seen, failed, "Promoted")
            return
        weight += STEP_WEIGHT * (seen <= most_errors)
        yield Check(at_s, weight, seen, failed)
