"""Metric sources: one guarded request per look, answers kept whole, failures told apart.

The library's session retries, follows redirects, obeys hours of `Retry-After`, reads without limit
and drops warnings; `Guarded` takes all of that away. Only an answer that is complete counts.
"""

import asyncio
import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from urllib3.util.retry import Retry

from modelrollout.api.scalars import Duration
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain.observed import Distribution, Look, Pair
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics import answers, diagnosing, parts, queries, reading
from modelrollout.metrics.answers import AnswerError, Table
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.queries import Question
from modelrollout.metrics.reading import Read

Json = dict[str, Any]

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer at most."""
_THREADS: Final = 8
"""Per source, so that one that hangs holds up nobody else's looks."""
_CONNECT_S: Final = 2.0
_DIAGNOSIS_S: Final = 15.0
"""How long an explanation stands: a series may appear with the next scrape."""
_PIECE: Final = 65536
_LONGEST: Final = 200


class SourceConfig(BaseModel):
    """A source as the administrator declares it.

    Attributes:
        name: by which rollouts refer to it.
        url: of a Prometheus, or of anything that speaks its API.
        matchers: added to every selector; no tenant can replace them.
        allow_raw_queries: whether rollouts may write expressions.
        scrape_interval: how often series get a value.
        timeout: of one request.
        bearer_token_file: file with the token to send, read anew for each request.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, extra="forbid", frozen=True
    )

    name: str = Field(min_length=1, max_length=63)
    url: str = Field(pattern=r"^https?://[^@\s]+$")
    matchers: dict[str, str] = Field(default_factory=dict)
    allow_raw_queries: bool = False
    scrape_interval: Duration = 30.0
    timeout: Duration = 10.0
    bearer_token_file: Path | None = None

    @property
    def facts(self) -> SourceFacts:
        """What the pure rooms know of it."""
        return SourceFacts(
            self.name, self.matchers, self.allow_raw_queries, float(self.scrape_interval)
        )


class SourceError(Exception):
    """A source that gave no whole answer; the message says what was seen, without the body."""


class RefusedError(SourceError):
    """A source that works, and refuses this query as wrong."""


class Guarded(requests.Session):
    """A session for one thread: no redirects, no proxies, no endless bodies, nothing dropped."""

    def __init__(self, *, deadline_s: float) -> None:
        super().__init__()
        self.trust_env = False
        self.envelope: Json = {}
        self._deadline_s = deadline_s

    # The library names every argument; here they only pass through.
    def request(  # type: ignore[override]
        self, method: Any, url: Any, **given: Any
    ) -> requests.Response:
        """One request; a POST carries its parameters in its body."""
        if str(method).upper() == "POST":
            given["data"], given["params"] = given.get("params"), None
        given.update(allow_redirects=False, stream=True)
        began = time.monotonic()
        with super().request(method, url, **given) as answer:
            body = bytearray()
            for piece in answer.iter_content(_PIECE):
                body += piece
                if len(body) > LARGEST:
                    raise SourceError(f"the answer is larger than {LARGEST >> 20} MiB")
                if time.monotonic() - began > self._deadline_s:
                    raise SourceError(f"the answer took longer than {self._deadline_s:g} s")
        self.envelope = _envelope(bytes(body))
        answer._content = bytes(body)  # noqa: SLF001 - what `content` would have read
        return answer


def _envelope(body: bytes) -> Json:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class Source:
    """One source, asked by threads of its own."""

    def __init__(self, config: SourceConfig) -> None:
        self.facts, self._config = config.facts, config
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"source-{config.name}")
        self._own = threading.local()

    def close(self) -> None:
        """Ends the threads; requests under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, query: str, *, at: float) -> Sequence[Json]:
        """The result of an instant query.

        Raises:
            SourceError: when there is no whole answer in time.
        """
        timeout_s = float(self._config.timeout)
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, self._ask, query, at)
        try:
            return await asyncio.wait_for(asked, timeout_s + _CONNECT_S)
        except TimeoutError:
            raise SourceError(f"no answer within {timeout_s:g} s") from None

    def _ask(self, query: str, at: float) -> Sequence[Json]:
        timeout_s = float(self._config.timeout)
        connection, session = self._connection()
        try:
            self._authorize(session)
            result = connection.custom_query(
                query,
                params={"time": f"{at:.3f}", "timeout": f"{timeout_s:g}s"},
                timeout=(_CONNECT_S, timeout_s),
            )
        except PrometheusApiClientException:
            is_wrong = session.envelope.get("errorType") == "bad_data"
            refused = RefusedError if is_wrong else SourceError
            raise refused(_refusal(session.envelope)) from None
        except (KeyError, TypeError, ValueError, RecursionError) as problem:
            # The library's own error for broken JSON is a ValueError, too.
            raise SourceError("the answer is not that of a Prometheus") from problem
        except (requests.RequestException, OSError) as problem:
            raise SourceError(f"it does not answer: {type(problem).__name__}") from problem
        if session.envelope.get("warnings"):
            raise SourceError(f"partial answer: {_cut(session.envelope['warnings'])}")
        if session.envelope.get("status") != "success" or not isinstance(result, list):
            raise SourceError(_refusal(session.envelope))
        for series in result:
            _expect_series(series)
        return result

    def _authorize(self, session: Guarded) -> None:
        # Tokens of service accounts are replaced every hour or so, under the same name.
        path = self._config.bearer_token_file
        if path is None:
            return
        try:
            session.headers["Authorization"] = f"Bearer {path.read_text().strip()}"
        except (OSError, UnicodeDecodeError) as problem:
            raise SourceError(f"its token cannot be read: {type(problem).__name__}") from problem

    def _connection(self) -> tuple[PrometheusConnect, Guarded]:
        if not hasattr(self._own, "connection"):
            session = Guarded(deadline_s=float(self._config.timeout))
            self._own.session = session
            self._own.connection = PrometheusConnect(
                url=self._config.url.rstrip("/"), session=session, retry=Retry(0), method="POST"
            )
        return self._own.connection, self._own.session


def _expect_series(series: object) -> None:
    match series:
        case {"metric": dict(), "value": [_, str()]} | {"metric": dict(), "values": list()}:
            return
        case {"metric": dict(), "histogram": _} | {"metric": dict(), "histograms": _}:
            raise SourceError("expected counters, found a native histogram")
    raise SourceError("the answer is not that of a Prometheus")


def _refusal(envelope: Mapping[str, Any]) -> str:
    if envelope.get("error"):
        return f"it refuses the query: {_cut(envelope['error'])}"
    return "it answers with an error"


def _cut(value: object) -> str:
    return str(value).replace("\n", " ")[:_LONGEST]


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
        pairs = {name: pair for look in looks for name, pair in look.pairs.items()}
        problems = {name: why for look in looks for name, why in look.problems.items()}
        return Look(window.start, window.end, pairs, problems)

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
        found = {}
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
            began = {pod: at for arm in arms.values() for pod, at in arm.pods.items()}
            try:
                table = await self._table(source, question, began)
                both = [reading.histogram(table, number, began=began) for number in (0, 1)]
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
        began = {pod: at for arm in arms.values() for pod, at in arm.pods.items()}
        try:
            found = await self._table(source, question, began)
            pairs, problems = {}, {}
            for metric in metrics:
                both = [
                    reading.read(found, metric, version, began=began)
                    for version in (window.candidate, window.stable)
                ]
                pairs[metric.name] = Pair(both[0].counts, both[1].counts)
                wrong = await self._problem(
                    source, metric, both, namespace=namespace, window=window
                )
                if wrong is not None:
                    problems[metric.name] = wrong
        except (SourceError, AnswerError, ValueError) as problem:
            is_wrong = isinstance(problem, RefusedError)
            code = Code.BAD_SELECTOR if is_wrong else Code.SOURCE_DOWN
            down = Reason(code, f"source {name}: {problem}")
            return Look(window.start, window.end, down=down)
        return Look(window.start, window.end, pairs, problems)

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
