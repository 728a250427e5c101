"""The tables of docs/benchmarks/statistics.md, as Markdown."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tests.bench.statistics import catalogue, rivals, targets
from tests.bench.statistics.catalogue import MORE_TRAFFIC, TRAFFIC, WORSE, named
from tests.bench.statistics.cells import Outcome
from tests.bench.statistics.figures import Median, Share
from tests.bench.statistics.noise import Floats
from tests.bench.statistics.running import Planned, Results
from tests.bench.statistics.scenarios import STABLE

OURS = "**modelrollout**"


def table(head: Sequence[str], body: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def asked_for(results: Results) -> str:
    """Targets and what was reached."""
    return table(
        ["", "asked for", "reached", ""],
        [
            [one.what, one.asked, one.reached, "met" if one.met else "**missed**"]
            for one in targets.every(results)
        ],
    )


def healthy(results: Results) -> str:
    """A/A: one table for each situation, with the rivals on the same counts."""
    parts = []
    for row in catalogue.rows("A/A", results.outcomes):
        found = [results.outcomes[named("A/A", row, rps)] for rps in TRAFFIC]
        head = [row, *(f"{rps:g} requests/s" for rps in TRAFFIC)]
        parts.append(table(head, _healthy_rows(found)))
    return "\n\n".join(parts)


def _healthy_rows(found: Sequence[Outcome]) -> Iterable[list[object]]:
    yield [OURS, *(targets.rolled_back(one) for one in found)]
    spent = [one.spent for one in found if one.spent is not None]
    if len(spent) == len(found):
        yield [
            "exact spending alone, requests independent",
            *(_share(one.rollback) for one in spent),
        ]
        yield [
            "the same, error computed and not counted",
            *(f"{100 * one.error.mean():.3f}" for one in spent),
        ]
    for rule in rivals.RULES if found[0].rivals else ():
        yield [rule, *(_share(one.rivals[rule]) for one in found)]


def _share(looks: Floats) -> Share:
    return Share.of(np.isfinite(looks))


def noisy(results: Results) -> str:
    """A/A under arm noise, with and without calibration."""
    head = ["noise of each arm"]
    for rps in MORE_TRAFFIC:
        head += [f"{rps:g} requests/s, uncalibrated", "calibrated", "services that could"]
    body = []
    for family in catalogue.FAMILIES:
        line: list[object] = [family]
        for rps in MORE_TRAFFIC:
            without = results.outcomes[named("noise", family, rps, "not")]
            learnt = results.outcomes[named("noise", family, rps, "calibrated")]
            line += [
                targets.rolled_back(without),
                targets.rolled_back(learnt),
                f"{learnt.learnt} of {learnt.services}",
            ]
        body.append(line)
    return table(head, body)


def pods(results: Results) -> str:
    """One pod of the candidate against eight of stable."""
    head = ["pods differ for good by"]
    for rps in MORE_TRAFFIC:
        head += [f"A/A, {rps:g} requests/s, uncalibrated", "calibrated"]
    head += [f"{100 * rate:g} % at 100 requests/s, calibrated" for rate in catalogue.POD_RATES]
    body = []
    for omega in catalogue.OMEGAS:
        healthy_ = [
            results.outcomes[named("pods", omega, rps, how)]
            for rps in MORE_TRAFFIC
            for how in ("not", "calibrated")
        ]
        worse_ = [
            results.outcomes[named("pods", omega, "worse", rate)] for rate in catalogue.POD_RATES
        ]
        shares = [targets.rolled_back(one) for one in healthy_]
        body.append([f"{omega:.0%}", *shares, *(_caught(one.rollback) for one in worse_)])
    return table(head, body)


def price(results: Results) -> str:
    """Power under noise, calibrated."""
    head = [
        "noise, calibrated",
        *(f"{100 * rate:g} % at {rps:g} requests/s" for rps, rate in catalogue.POWER_CELLS),
    ]
    return table(
        head,
        [
            [
                family,
                *(
                    _caught(results.outcomes[named("price", family, *cell)].rollback)
                    for cell in catalogue.POWER_CELLS
                ),
            ]
            for family in catalogue.POWER
        ],
    )


def _caught(looks: Floats) -> str:
    return f"{_share(looks)} % / {Median.of(looks)}"


def worse(results: Results) -> str:
    """Regressions: share rolled back and median minute, one table for each traffic."""
    parts = []
    for rps in TRAFFIC:
        found = [results.outcomes[named("worse", rps, rate)] for rate in WORSE]
        body = [[OURS, *(_caught(one.rollback) for one in found)]]
        body += [[rule, *(_caught(one.rivals[rule]) for one in found)] for rule in rivals.RULES]
        head = [f"{rps:g} requests/s", *(f"{100 * rate:g} %" for rate in WORSE)]
        parts.append(table(head, body))
    return "\n\n".join(parts)


def three_ways(results: Results) -> str:
    """Rolled back, shown to be within the margin, undecided; and Flagger on its own schedule."""
    head = ["candidate's errors"]
    for rps in TRAFFIC:
        head += [f"{rps:g} requests/s", "Flagger"]
    body = []
    for rate in (STABLE, *WORSE):
        line: list[object] = [f"{100 * rate:g} %" + (" (healthy)" if rate == STABLE else "")]
        for rps in TRAFFIC:
            line += [_three(of(results, rps, rate)), _two(results, rps, rate)]
        body.append(line)
    return table(head, body)


def of(results: Results, rps: float, rate: float) -> Outcome:
    """The cell of a rate, or of a healthy candidate."""
    if rate == STABLE:
        return results.outcomes[named("A/A", "nothing happens", rps)]
    return results.outcomes[named("worse", rps, rate)]


def _three(outcome: Outcome) -> str:
    shown = outcome.promotion < outcome.rollback
    back = ~shown & np.isfinite(outcome.rollback)
    parts = (back, shown, ~shown & ~back)
    error = max(Share.of(part).error for part in parts)
    return " / ".join(f"{100 * part.mean():.1f}" for part in parts) + f" (± {error:.1f})"


def _two(results: Results, rps: float, rate: float) -> str:
    ended = results.flagger[rps, rate]
    back, promoted = np.isfinite(ended.rollback), np.isfinite(ended.promotion)
    return f"{100 * back.mean():.0f} / {100 * promoted.mean():.0f}"


def at_margin(results: Results) -> str:
    """Promoted although exactly at the margin."""
    return _by_traffic(results, "margin", "promoted, margin", targets.promoted)


def _by_traffic(results: Results, kind: str, title: str, read: Callable[[Outcome], object]) -> str:
    return table(
        [title, *(f"{rps:g} requests/s" for rps in TRAFFIC)],
        [
            [row, *(read(results.outcomes[named(kind, row, rps)]) for rps in TRAFFIC)]
            for row in catalogue.rows(kind, results.outcomes)
        ],
    )


def no_events(results: Results) -> str:
    """Candidate requests to promote without any event."""
    return table(
        ["stable before the rollout", "candidate requests to promote: median", "most", "3/d"],
        [
            [row, Median.of(seen), f"{np.max(seen):g}", 300]
            for row in catalogue.rows("no events", results.outcomes)
            for seen in [results.outcomes[named("no events", row)].promoted_after]
        ],
    )


def where_minutes_go(results: Results) -> str:
    """The medians with targets: of the test alone, and of the operator with and without history."""
    head = ["median minute", "asked for", "all 2 % spent, nothing else", "operator, calibrated"]
    body = []
    for (rps, rate), asked in catalogue.MEDIANS.items():
        known = results.outcomes[named("known", rps, rate)]
        spent = known.spent
        body.append(
            [
                f"{100 * rate:g} % at {rps:g} requests/s",
                asked,
                Median.of(spent.rollback) if spent is not None else "",
                Median.of(known.rollback),
                f"{known.e_process} of {known.services}",
                Median.of(results.outcomes[named("worse", rps, rate)].rollback),
            ]
        )
    return table([*head, "services judged by the e-process", "operator, no history"], body)


def damage(results: Results) -> str:
    """Failed candidate requests served until the rollback."""
    body = []
    for rps in TRAFFIC:
        for rate in (0.01, 0.02, 0.05):
            served = results.outcomes[named("worse", rps, rate)].failed_until
            error = served.std() / np.sqrt(len(served))
            none = 60.0 * 60.0 * rps * 0.275 * rate
            body.append(
                [
                    f"{100 * rate:g} % at {rps:g} requests/s",
                    f"{none:.0f}",
                    f"{served.mean():.1f} ± {error:.1f}",
                ]
            )
    return table(["candidate", "without control", OURS], body)


def through_plan(results: Results) -> str:
    """The operator's own plan on some of it, and whether the engine alone agrees."""
    body = []
    for planned, runs in results.driven.items():
        body.append(
            [
                f"{100 * planned.rate:g} % at {planned.rps:g} requests/s{_with_noise(planned)}",
                len(runs),
                sum(one.agree for one in runs),
                sum(np.isfinite(one.rolled_back) for one in runs),
                sum(np.isfinite(one.promoted) for one in runs),
                f"{sum(len(one.looks) for one in runs):,}",
                f"{max(one.status_bytes for one in runs) / 1024:.1f} KiB",
            ]
        )
    head = ["candidate", "rollouts", "same decision at the same look", "rolled back"]
    return table([*head, "promoted at the end of the ramp", "looks", "largest status"], body)


def _with_noise(planned: Planned) -> str:
    return f", {planned.noise}, calibrated" if planned.calibrated else ""
