"""The noise of a version from its source: up to three days, one question a day, one after another.

A rollout never waits for it and never fails by it: whatever goes wrong becomes the reason why the
noise is not known.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from modelrollout.adapters.source import RefusedError, Source, SourceError
from modelrollout.analysis import calibrating
from modelrollout.analysis.noise import HOUR, Noise, Uncalibrated
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.metrics import history
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.history import Grown

LONGEST_S: Final = 30.0


async def noises(
    sources: Mapping[str, Source],
    spec: ModelRolloutSpec,
    *,
    namespace: str,
    version: str,
    seen: ArmSeen,
    until: float,
    horizon_looks: int = HOUR,
    within_s: float = LONGEST_S,
) -> dict[str, Noise | Uncalibrated]:
    """The noise of every rate of a rollout, one metric after another. Never raises.

    All together have `within_s`: a source that is slow with long questions must not keep a rollout
    waiting, nor look like an operator that is stuck.

    Args:
        sources: by name.
        spec: of the rollout, its preset merged, its metrics checked.
        namespace: of the rollout.
        version: its name, stable's.
        seen: what is known of it.
        until: the histories end here; seconds since the epoch.
        horizon_looks: length of the rollout, in minutes.
        within_s: time for all of them.
    """
    found: dict[str, Noise | Uncalibrated] = {}
    ends = asyncio.get_running_loop().time() + within_s
    for metric in spec.analysis.metrics:
        source = sources.get(metric.source or spec.analysis.source)
        if source is None or metric.mean is not None:
            continue
        try:
            async with asyncio.timeout_at(ends):
                found[metric.name] = await noise_of(
                    source,
                    spec,
                    metric,
                    namespace=namespace,
                    version=version,
                    seen=seen,
                    until=until,
                    horizon_looks=horizon_looks,
                )
        except TimeoutError:
            sentence = f"source {source.facts.name} did not tell the past within {within_s:g} s"
            found[metric.name] = Uncalibrated(sentence)
    return found


async def noise_of(
    source: Source,
    spec: ModelRolloutSpec,
    metric: Metric,
    *,
    namespace: str,
    version: str,
    seen: ArmSeen,
    until: float,
    horizon_looks: int = HOUR,
    days: int = history.DAYS,
) -> Noise | Uncalibrated:
    """The noise of one metric. Never raises.

    Days that fail are left out; what is left may be too little.

    Args:
        source: of the metric.
        spec: of the rollout, its preset merged, its metrics checked.
        metric: of which the noise is.
        namespace: of the rollout.
        version: its name, stable's.
        seen: what is known of it.
        until: the history ends here, before anything is moved; seconds since the epoch.
        horizon_looks: length of the rollout, in minutes.
        days: how many, at least 1.
    """
    questions = history.asked(
        spec,
        metric,
        namespace=namespace,
        version=version,
        seen=seen,
        facts=source.facts,
        until=until,
        days=days,
    )
    if isinstance(questions, Uncalibrated):
        return questions
    found: list[Grown] = []
    failure: Exception | None = None
    for day in questions:
        try:
            matrix = await source.ask(day.text, at=day.end)
            # A hundred thousand numbers are read: other rollouts need not wait for that.
            found.append(await asyncio.to_thread(history.parsed, day, matrix, began=seen.pods))
        except RefusedError as problem:
            failure = problem
            break
        except (SourceError, ValueError, KeyError, TypeError) as problem:
            failure = problem
    if not found:
        return Uncalibrated(f"source {source.facts.name}: {failure}")
    return await asyncio.to_thread(_calibrated, found, horizon_looks)


def _calibrated(days: list[Grown], horizon_looks: int) -> Noise | Uncalibrated:
    found = history.halved(days)
    if isinstance(found, Uncalibrated):
        return found
    return calibrating.calibrate(found, horizon_looks=horizon_looks)
