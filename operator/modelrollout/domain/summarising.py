"""The status as people read it: where the rollout stands, its versions, metrics and settings."""

from modelrollout.api import scalars
from modelrollout.api.spec import Margin
from modelrollout.api.status import Effective, VersionStatus
from modelrollout.domain import (
    conditions,
    describing,
    distributions,
    guarding,
    previewing,
    programming,
    questions,
    steps,
)
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.transitions import Phase


def renew(turn: Pass) -> None:
    """Brings everything in the status that is for people up to date."""
    status, rollout, phase = turn.status, turn.status.rollout, phase_of(turn.status)
    known = turn.steps()
    candidate = status.candidate
    share = status.decision.shares.get(candidate.name, 0) if candidate and rollout else 0
    at = f"{rollout.step_index + 1}/{len(known)}" if rollout is not None and known else ""
    turn.put(
        observed_generation=turn.observed.generation,
        phase=phase.value,
        step=at,
        weight=scalars.percent(share) if rollout is not None else "",
        preview=previewing.address(turn),
        versions=[_version(turn, version.name) for version in turn.spec.versions],
        effective=_effective(turn, known),
    )
    if rollout is not None and phase is not Phase.STARTING:
        rows(turn)
    if turn.refused is None:
        turn.put(message=_message(turn)[:1024])


def _message(turn: Pass) -> str:
    phase = phase_of(turn.status)
    if phase is Phase.SERVING and turn.status.ab_test and turn.status.ab_test.report:
        return conditions.ready(turn)
    if phase is Phase.SERVING:
        trouble = guarding.stable_trouble(turn) or programming.trouble(turn)
        return trouble.sentence if trouble else f"{turn.status.stable} serves"
    if phase is Phase.ROLLED_BACK:
        return conditions.rejected(turn).sentence
    if phase is Phase.STARTING and turn.rollout.forecast:
        return f"{conditions.progress(turn).sentence} ({turn.rollout.forecast})"
    return conditions.progress(turn).sentence


def _version(turn: Pass, name: str) -> VersionStatus:
    seen, shares = turn.seen(name), turn.observed.traffic.shares
    wanted = "" if seen.wanted is None else f"/{seen.wanted}"
    return VersionStatus(
        name=name,
        revision=seen.revision,
        ready=f"{seen.ready}{wanted}" if seen.backend_exists else "absent",
        weight=scalars.percent(turn.status.decision.shares.get(name, 0)),
        observed_weight="" if shares is None else scalars.percent(shares.get(name, 0)),
    )


def _effective(turn: Pass, known: tuple[steps.Step, ...]) -> Effective:
    rates = turn.spec.analysis.error_rate
    return Effective(
        steps=[str(step) for step in known],
        comparison="concurrent" if steps.compares(known) else "observational" if known else "",
        interval=scalars.duration(turn.spec.analysis.interval),
        false_rollback=rates.false_rollback,
        false_promotion=rates.false_promotion,
        metrics=[
            f"{metric.name}: {metric.role}, rolls back when {questions.roll_back_when(metric)}, "
            f"margin {_margin_words(questions.margin_of(metric))}"
            for metric in turn.spec.analysis.metrics
        ],
    )


def _margin_words(margin: Margin) -> str:
    words = []
    if margin.relative is not None:
        words.append(f"{100 * margin.relative:g}%")
    if margin.absolute is not None:
        words.append(f"{margin.absolute:g}")
    return " or ".join(words)


def rows(turn: Pass) -> None:
    """What each metric says now; called before a rollout is closed, for it takes the evidence."""
    book, said, look = turn.book(), turn.judgements(), turn.status.look
    down = look is not None and look.failures > 0
    shapes = _shapes(turn)
    turn.put(
        metrics=[
            describing.row(
                metric,
                said[metric.name],
                problem=book.entries[metric.name].problem,
                down=down,
                rollout=turn.rollout,
                calibration=book.known.calibration.get(metric.name, ""),
                distribution=shapes.get(metric.name, ""),
            )
            for metric in turn.spec.analysis.metrics
        ]
    )


def _shapes(turn: Pass) -> dict[str, str]:
    """Distributions in words: those read in this pass, else what was said of this weight."""
    if turn.status.decision.confirmed_at is None:
        return {}
    told = {row.name: row.distribution for row in turn.status.metrics if row.distribution}
    read = turn.observed.distributions.items()
    return told | {name: distributions.words(found) for name, found in read}
