"""Do both versions say the same? What an observer counted, judged with stated error rates.

A prediction that the candidate could not give counts as a disagreement: it is no agreement, and
left out it would flatter. With a noise floor, only what the candidate does beyond stable's own
disagreement counts, within the same request.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.analysis import paired
from modelrollout.api.shadow import Shadowing

_PLANNED = 1_000


@dataclass(frozen=True, slots=True)
class Judged:
    """What the counts say.

    Attributes:
        sentence: in words, for people.
        failed: why the candidate disagrees too much, shown beyond chance; "" otherwise.
        lacking: what is not shown yet; "" when everything is.
    """

    sentence: str
    failed: str = ""
    lacking: str = ""


def judged(
    counted: Mapping[str, int], asked: Shadowing, *, false_rollback: float, false_promotion: float
) -> Judged:
    """The verdict at any time: the intervals hold however often it is asked.

    Args:
        counted: `match`, `mismatch`, `trouble` of the candidate; `control_match`,
            `control_mismatch` of stable against itself; `candidate_only`, `control_only`, `both`,
            `neither` of pairs with a control; `compared` and `eligible` requests.
        asked: as written.
        false_rollback: how often a candidate that agrees enough may be taken back.
        false_promotion: how often one that does not may pass.
    """
    sentence = _told(counted)
    lacking = _coverage(counted, asked)
    if asked.agreement is None:
        return Judged(sentence, lacking=lacking)
    above_noise = asked.agreement.above_noise
    allowed = 1.0 - asked.agreement.at_least
    low, _ = interval(counted, above_noise=above_noise, alpha=false_rollback)
    _, high = interval(counted, above_noise=above_noise, alpha=false_promotion)
    what = "disagreement beyond the noise" if above_noise else "disagreement"
    if low > allowed:
        return Judged(
            sentence, failed=f"{what} is at least {low:.2%}, and at most {allowed:.2%} is allowed"
        )
    if high > allowed and not lacking:
        lacking = f"{what} may still be {min(high, 1.0):.2%}, and at most {allowed:.2%} is allowed"
    return Judged(sentence, lacking=lacking)


def interval(counted: Mapping[str, int], *, above_noise: bool, alpha: float) -> tuple[float, float]:
    """Time-uniform bounds of the share of disagreements; -1 to 1 where nothing is known.

    Args:
        counted: see `judged`.
        above_noise: beyond what a control shows within the same request.
        alpha: how often a bound may be wrong, at any time.
    """
    trouble, same = counted.get("trouble", 0), counted.get("match", 0)
    other = counted.get("mismatch", 0)
    if not above_noise:
        return _share(other + trouble, of_all=same + other + trouble, alpha=alpha)
    worse, better = counted.get("candidate_only", 0), counted.get("control_only", 0)
    pairs = worse + better + counted.get("both", 0) + counted.get("neither", 0)
    beyond = _excess(worse, better, of_pairs=pairs, alpha=alpha)
    missing = _share(trouble, of_all=same + other + trouble, alpha=alpha)
    return max(beyond[0], missing[0]), max(beyond[1], missing[1])


# Asked again in every pass, and counters are read once an interval.
@functools.lru_cache(maxsize=256)
def _share(bad: int, *, of_all: int, alpha: float) -> tuple[float, float]:
    shares = paired.Discordant(worse=bad, better=of_all - bad)
    return paired.share_interval(shares, alpha=alpha)


@functools.lru_cache(maxsize=256)
def _excess(worse: int, better: int, *, of_pairs: int, alpha: float) -> tuple[float, float]:
    if better == 0:
        # The noise has not shown itself: all that differs is the candidate's.
        return _share(worse, of_all=of_pairs, alpha=alpha)
    discordant = paired.Discordant(worse=worse, better=better)
    differences = paired.Differences.of(discordant, of_pairs=of_pairs)
    low, high = paired.mean_interval(differences, planned=_PLANNED, alpha=alpha)
    return max(low, -1.0), min(high, 1.0)


def _coverage(counted: Mapping[str, int], asked: Shadowing) -> str:
    eligible, compared = counted.get("eligible", 0), counted.get("compared", 0)
    if not eligible:
        return "nothing was compared yet"
    share = compared / eligible
    if share >= asked.coverage:
        return ""
    return (
        f"only {share:.1%} of {eligible} requests could be compared, and {asked.coverage:.0%} are "
        "asked for"
    )


def _told(counted: Mapping[str, int]) -> str:
    same, other = counted.get("match", 0), counted.get("mismatch", 0)
    trouble = counted.get("trouble", 0)
    whole = same + other + trouble
    agreed = f"{same / whole:.2%} of {whole} predictions agree" if whole else "nothing was compared"
    control = counted.get("control_match", 0) + counted.get("control_mismatch", 0)
    floor = (
        f"stable disagrees with itself on {counted.get('control_mismatch', 0) / control:.2%} of "
        f"{control}"
        if control
        else "noise floor unknown"
    )
    failed = f", {trouble} answers were none" if trouble else ""
    return f"{agreed}{failed}; {floor}"
