"""Looks at the metric sources: one request per look, answers kept whole, failures told apart."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from modelrollout.adapters.source import RefusedError, Source, SourceConfig, SourceError
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain.observed import Distribution, Look, Pair
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics import answers, by_user, diagnosing, parts, queries, reading
from modelrollout.metrics.answers import AnswerError, Table
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.queries import Question
from modelrollout.metrics.reading import Read

Json = dict[str, Any]

_DIAGNOSIS_S: Final = 15.0
"""How long an explanation stands: a series may appear with the next scrape."""


def _together(window: Window, looks: Sequence[Look]) -> Look:
    """One look of what several sources brought of one candidate."""
    return Look(
        window.start,
        window.end,
        {name: pair for look in looks for name, pair in look.pairs.items()},
        {name: why for look in looks for name, why in look.problems.items()},
        users={name: pair for look in looks for name, pair in look.users.items()},
    )


class Sources:
    """All declared sources."""

    def __init__(self, configs: Iterable[SourceConfig]) -> None:
        self._sources = {config.name: Source(config) for config in configs}
        self._told: dict[tuple[str, ...], tuple[float, Reason]] = {}

    @property
    def by_name(self) -> Mapping[str, Source]:
        """Each source."""
        return self._sources

    def facts(self) -> Mapping[str, SourceFacts]:
        """What is known of each source, by name."""
        return {name: source.facts for name, source in self._sources.items()}

    async def close(self) -> None:
        """Ends the threads; requests under way are not waited for."""
        for source in self._sources.values():
            source.close()

    async def look(
        self,
        spec: ModelRolloutSpec,
        *,
        namespace: str,
        window: Window,
        arms: Mapping[str, ArmSeen],
    ) -> Look:
        """Counts of all metrics for both arms of a window. Never raises.

        Args:
            spec: its preset merged, its metrics checked.
            namespace: of the rollout.
            window: the look.
            arms: what is known of both versions, by name.
        """
        by_source: dict[str, list[Metric]] = {}
        for metric in spec.analysis.metrics:
            by_source.setdefault(metric.source or spec.analysis.source, []).append(metric)
        looks = await asyncio.gather(
            *(
                self._look_at(name, metrics, spec, namespace=namespace, window=window, arms=arms)
                for name, metrics in by_source.items()
            )
        )
        down = next((look.down for look in looks if look.down is not None), None)
        if down is not None:
            return Look(window.start, window.end, down=down)
        others = {
            arm: _together(window, [look.others[arm] for look in looks]) for arm in window.others
        }
        return replace(_together(window, looks), others=others)

    async def distributions(
        self,
        spec: ModelRolloutSpec,
        *,
        namespace: str,
        window: Window,
        arms: Mapping[str, ArmSeen],
    ) -> dict[str, Distribution]:
        """All buckets of the latency metrics for both arms of a window. Never raises.

        What cannot be read is left out: nothing is decided by it.
        """
        found, began = dict[str, Distribution](), _began(arms)
        for metric in spec.analysis.metrics:
            source = self._sources.get(metric.source or spec.analysis.source)
            if metric.latency is None or source is None:
                continue
            question = queries.asked(
                spec,
                [metric],
                namespace=namespace,
                window=window,
                seen=arms,
                facts=source.facts,
                of=parts.shape,
            )
            try:
                table = await self._table(source, question, began)
                both = [
                    reading.histogram(table, number, began=began)
                    for number in (0, len(question.wanted) - 1)
                ]
            except (SourceError, ValueError, KeyError, TypeError):
                continue
            if both[0] is not None and both[1] is not None:
                found[metric.name] = Distribution(both[0], both[1], metric.latency.unit)
        return found

    async def _look_at(
        self,
        name: str,
        metrics: Sequence[Metric],
        spec: ModelRolloutSpec,
        *,
        namespace: str,
        window: Window,
        arms: Mapping[str, ArmSeen],
    ) -> Look:
        source = self._sources.get(name)
        if source is None:
            reason = Reason(Code.UNKNOWN_SOURCE, f"source {name} is not declared")
            return Look(window.start, window.end, down=reason)
        question = queries.asked(
            spec, metrics, namespace=namespace, window=window, seen=arms, facts=source.facts
        )
        began = _began(arms)
        try:
            found = await self._table(source, question, began)
            first, *others = [
                await self._arm(source, found, metrics, arm, namespace=namespace, began=began)
                for arm in window.versions[:-1]
            ]
        except (SourceError, AnswerError, ValueError) as problem:
            is_wrong = isinstance(problem, RefusedError)
            code = Code.BAD_SELECTOR if is_wrong else Code.SOURCE_DOWN
            down = Reason(code, f"source {name}: {problem}")
            return Look(window.start, window.end, down=down)
        return replace(first, others=dict(zip(window.others, others, strict=True)))

    async def _arm(
        self,
        source: Source,
        found: Table,
        metrics: Sequence[Metric],
        candidate: str,
        *,
        namespace: str,
        began: Mapping[str, float],
    ) -> Look:
        """What a look brought of one candidate, beside stable."""
        window, pairs, problems, users = found.question.window, {}, {}, {}
        for metric in metrics:
            both = [
                reading.read(found, metric, version, began=began)
                for version in (candidate, window.stable)
            ]
            pairs[metric.name] = Pair(both[0].counts, both[1].counts)
            wrong = await self._problem(source, metric, both, namespace=namespace, window=window)
            if wrong is not None:
                problems[metric.name] = wrong
            by_bucket = by_user.pair(
                found, metric, candidate=candidate, stable=window.stable, began=began
            )
            if by_bucket is not None:
                users[metric.name] = by_bucket
        return Look(window.start, window.end, pairs, problems, users=users)

    async def _table(self, source: Source, question: Question, began: Mapping[str, float]) -> Table:
        at = question.window.end
        found = answers.table(question, await source.ask(question.text, at=at))
        if found.history is not None:
            found.add_history(await source.ask(found.history, at=at))
        doubtful = found.doubtful(began)
        if doubtful:
            fixed = source.facts.matchers
            query = queries.scraped(doubtful, at=question.window.start, fixed=fixed)
            for one in await source.ask(query, at=at):
                labels = one["metric"]
                if float(one["value"][1]) == 1.0:
                    found.scraped.add((labels.get("instance", ""), labels.get("job", "")))
        return found

    async def _problem(
        self,
        source: Source,
        metric: Metric,
        both: Sequence[Read],
        *,
        namespace: str,
        window: Window,
    ) -> Reason | None:
        # Stable first: a candidate without traffic may have no series yet.
        for read in reversed(both):
            if read.problem is None:
                continue
            if read.silent is None:
                return read.problem
            key = (source.facts.name, namespace, metric.name, read.silent.example)
            now = time.monotonic()
            self._told = {k: v for k, v in self._told.items() if now - v[0] < _DIAGNOSIS_S}
            if key in self._told:
                return self._told[key][1]
            try:
                told = await self._diagnosis(
                    source, metric, read, namespace=namespace, window=window
                )
            except SourceError:
                # The look itself is whole; only the explanation has to be the short one.
                told = read.problem
            self._told[key] = (now, told)
            return told
        return None

    async def _diagnosis(
        self, source: Source, metric: Metric, read: Read, *, namespace: str, window: Window
    ) -> Reason:
        wanted, problem = read.silent, read.problem
        if wanted is None or problem is None:
            raise ValueError("expected a part without series")
        if metric.latency is not None and diagnosing.is_bucket(wanted.part):
            query = diagnosing.bounds(wanted)
            vector = await source.ask(query, at=window.end) if query else ()
            reason = diagnosing.no_bucket(metric, metric.latency, vector)
            if reason is not None:
                return reason
        query = diagnosing.label_sets(wanted, namespace=namespace, fixed=source.facts.matchers)
        if query is None:
            return problem
        vector = await source.ask(query, at=window.end)
        return diagnosing.no_series(metric, wanted, namespace=namespace, vector=vector)


def _began(arms: Mapping[str, ArmSeen]) -> dict[str, float]:
    """When the pods of all arms started, by name; seconds since the epoch."""
    return {pod: at for arm in arms.values() for pod, at in arm.pods.items()}
