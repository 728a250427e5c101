"""One metric source over HTTP: a guarded session, and whole answers or an error, never less.

The library's session retries, follows redirects, obeys hours of `Retry-After`, reads without limit
and drops warnings; `Guarded` takes all of that away. Only an answer that is complete counts.
"""

import asyncio
import json
import threading
import time
from collections.abc import Mapping, Sequence
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
from modelrollout.metrics.facts import SourceFacts

Json = dict[str, Any]

LARGEST: Final = 8 * 1024 * 1024
"""Bytes of an answer at most."""
_THREADS: Final = 8
"""Per source, so that one that hangs holds up nobody else's looks."""
_CONNECT_S: Final = 2.0
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
