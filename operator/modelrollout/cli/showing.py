"""`modelrollout status`: what `kubectl describe` shows, in one screen, metrics as a table."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from modelrollout.api import scalars
from modelrollout.api.status import (
    AbTestStatus,
    ArmStatus,
    HistoryEntry,
    Identity,
    MetricStatus,
    VersionStatus,
)
from modelrollout.cli.outcome import Seen

_QUIET = frozenset({"Accepted", "TrafficProgrammed", "MetricsAvailable", "Ready"})
"""Conditions that are worth a line only while they are not true."""


def text(rollout: Seen) -> str:
    """The rollout for people, ending in a newline."""
    parts = [
        _head(rollout),
        table(("VERSION", "REVISION", "READY", "WEIGHT", "OBSERVED"), _versions(rollout)),
        table(
            ("METRIC", "ROLE", "VERDICT", "CANDIDATE", "STABLE", "ESTIMATE", "INTERVAL", "SAMPLES"),
            map(_metric, rollout.status.metrics),
        ),
        "\n".join(f"  {row.message}" for row in rollout.status.metrics if row.message),
        _compared(rollout.status.ab_test),
        "\n".join(_conditions(rollout)),
        _ended(rollout.status.history),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, those without any value left out; "" without rows."""
    cells = [[cell or "-" for cell in row] for row in rows]
    if not cells:
        return ""
    used = [at for at in range(len(head)) if any(row[at] != "-" for row in cells)]
    lines = [[row[at] for at in used] for row in (list(head), *cells)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(used))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _head(rollout: Seen) -> str:
    status = rollout.status
    where = [status.phase or "not seen by the operator yet"]
    where += [f"step {status.step}"] if status.step else []
    where += [f"{status.weight} on the candidate"] if status.weight else []
    where += ["paused by a person"] if status.paused else []
    lines = [f"{rollout.name}: {', '.join(where)}"]
    lines += [status.message] if status.message else []
    lines.append(
        f"target {rollout.target}, stable {_identity(status.stable)}, "
        f"candidate {_identity(status.candidate)}"
    )
    lines += [f"the candidate is at {status.preview}"] if status.preview else []
    if not rollout.fresh:
        lines.append("(the operator has not answered the last change or intent yet)")
    return "\n".join(lines)


def _identity(identity: Identity | None) -> str:
    return str(identity) if identity is not None else "none"


def _versions(rollout: Seen) -> list[Sequence[str]]:
    return [_version(one) for one in rollout.status.versions]


def _version(one: VersionStatus) -> Sequence[str]:
    return (one.name, one.revision, one.ready, one.weight, one.observed_weight)


def _metric(row: MetricStatus) -> Sequence[str]:
    numbers = (row.candidate, row.stable, row.estimate, row.interval, row.samples)
    return (row.name, row.role, row.verdict, *numbers)


def _compared(test: AbTestStatus | None) -> str:
    """The arms of an A/B test under way, or the report of the last one."""
    if test is None:
        return ""
    if test.report is None or test.running:
        return table(("ARM", "STATE", "USERS", "GUARDRAILS", "WHY"), map(_arm, test.arms))
    report = test.report
    results = [
        (arm.version, arm.verdict, arm.goal, arm.stable, arm.lift, arm.guardrails)
        for arm in report.arms
    ]
    head = ("ARM", "VERDICT", report.goal.upper(), report.stable.upper(), "LIFT", "GUARDRAILS")
    return f"{report.outcome}: {report.message}\n{table(head, results)}"


def _arm(arm: ArmStatus) -> Sequence[str]:
    said = ", ".join(f"{row.name} {row.verdict}" for row in arm.metrics)
    return (str(arm.version), arm.state, scalars.percent(arm.share), said, arm.message)


def _conditions(rollout: Seen) -> list[str]:
    """What is not as it should be, and not in the message already."""
    return [
        f"{one.type}={one.status} {one.reason}: {one.message}"
        for one in rollout.status.conditions
        if one.message != rollout.status.message
        and ((one.status == "False") if one.type in _QUIET else (one.status == "True"))
        and one.type not in {"Promoted", "Ready", "Reconciling"}
    ]


def _ended(history: Sequence[HistoryEntry]) -> str:
    if not history:
        return ""
    last = history[-1]
    at = datetime.fromtimestamp(last.ended_at, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    words = f": {last.message}" if last.message else ""
    return f"last ended {at}: {last.candidate} {last.outcome}{words}"
