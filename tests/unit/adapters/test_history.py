"""The noise of a version over HTTP: days that fail are left out, and nothing raises."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from modelrollout.adapters import history
from modelrollout.adapters.source import Source, SourceConfig
from modelrollout.analysis.noise import Noise, Uncalibrated
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.history import DAY
from tests.unit.adapters import served

UNTIL = 1_764_000_000.0
PODS = {"v1-a": 0.0, "v1-b": 0.0}
SPEC = ModelRolloutSpec.model_validate(
    {
        "versions": [{"name": v, "service": {"name": v, "port": 80}} for v in ("v1", "v2")],
        "target": "v2",
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
        "analysis": {"metrics": [{"name": "errors", "rate": {"events": "e", "total": "t"}}]},
    }
)
Answer = Callable[[float], web.StreamResponse]


class FakePrometheus:
    """Answers each question by the instant it is asked at."""

    def __init__(self) -> None:
        self.answer: Answer = quiet
        self.asked: list[float] = []
        self.url = ""
        self.answers = asyncio.Event()
        self.answers.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(float(str((await request.post())["time"])))
        await self.answers.wait()
        return self.answer(self.asked[-1])

    async def noise(self) -> Noise | Uncalibrated:
        source = Source(SourceConfig(name="s", url=self.url, timeout=5.0))
        try:
            return await history.noise_of(
                source,
                SPEC,
                SPEC.analysis.metrics[0],
                namespace="ml",
                version="v1",
                seen=ArmSeen("v1", 80, pods=PODS),
                until=UNTIL,
            )
        finally:
            source.close()


@pytest.fixture
async def source() -> AsyncIterator[FakePrometheus]:
    fake = FakePrometheus()
    async with served.source(fake.handle) as fake.url:
        yield fake


def matrix(end: float) -> list[Mapping[str, Any]]:
    """A day of two pods with 600 requests a minute each, and errors by chance."""
    rng = np.random.default_rng(int(end))
    found: list[Mapping[str, Any]] = []
    for pod in PODS:
        for mark, per_minute in (("0", rng.binomial(600, 0.01, DAY)), ("1", np.full(DAY, 600))):
            totals = np.concatenate([[0], np.cumsum(per_minute)])
            values = [
                [end - (DAY - minute) * 60, str(total)] for minute, total in enumerate(totals)
            ]
            labels = {"pod": pod, "instance": pod, "job": "ml", "__part__": mark}
            found.append({"metric": labels, "values": values})
    return found


def quiet(end: float) -> web.Response:
    return success(matrix(end))


def success(result: Any) -> web.Response:
    return web.json_response(
        {"status": "success", "data": {"resultType": "matrix", "result": result}}
    )


def refusal(status: int, kind: str) -> web.Response:
    body = {"status": "error", "errorType": kind, "error": "no"}
    return web.json_response(body, status=status)


async def test_three_days_are_three_questions(source: FakePrometheus) -> None:
    found = await source.noise()
    assert isinstance(found, Noise), found
    assert found.hours == 72.0
    assert found.pods == 2.0
    assert found.tau2 < 0.1
    assert source.asked == [UNTIL, UNTIL - 86400, UNTIL - 2 * 86400]


async def test_a_day_that_fails_is_left_out(source: FakePrometheus) -> None:
    source.answer = lambda end: refusal(503, "timeout") if end < UNTIL - 86400 else quiet(end)
    found = await source.noise()
    assert isinstance(found, Noise), found
    assert found.hours == 48.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(lambda _: refusal(503, "timeout"), "it refuses the query: no", id="down"),
        pytest.param(lambda _: success([]), "stable has no series", id="empty"),
        pytest.param(lambda _: web.Response(text="<html>"), "not that of a Prometheus", id="html"),
        pytest.param(
            lambda _: success([{"metric": {"__part__": "7"}, "values": []}]),
            "the parts that were asked for",
            id="foreign",
        ),
        pytest.param(
            lambda _: success([{"metric": {"__part__": "0"}, "values": [[1.0]]}]),
            "source s: ",
            id="broken-sample",
        ),
        pytest.param(
            lambda _: success([{"metric": {"__part__": "0"}, "value": [1.0, "1"]}]),
            "source s: ",
            id="vector",
        ),
        pytest.param(
            lambda _: success([{"metric": {"__part__": "0"}, "values": [[1.0, "1e999"], 7]}]),
            "source s: ",
            id="no-sample",
        ),
    ],
)
async def test_what_goes_wrong_becomes_the_reason(
    source: FakePrometheus, answer: Answer, reason: str
) -> None:
    source.answer = answer
    found = await source.noise()
    assert isinstance(found, Uncalibrated)
    assert reason in found.reason


async def test_a_query_that_is_refused_is_not_asked_again(source: FakePrometheus) -> None:
    source.answer = lambda _: refusal(400, "bad_data")
    assert isinstance(await source.noise(), Uncalibrated)
    assert len(source.asked) == 1


async def test_nothing_listening_is_a_reason_too(source: FakePrometheus) -> None:
    source.url = "http://127.0.0.1:1"
    found = await source.noise()
    assert isinstance(found, Uncalibrated)
    assert "it does not answer" in found.reason


async def test_a_source_that_never_answers_keeps_no_rollout_waiting(
    source: FakePrometheus,
) -> None:
    source.answers.clear()
    asked = Source(SourceConfig(name="s", url=source.url, timeout=5.0))
    try:
        found = await history.noises(
            {"default": asked},
            SPEC,
            namespace="ml",
            version="v1",
            seen=ArmSeen("v1", 80, pods=PODS),
            until=UNTIL,
            within_s=0.2,
        )
    finally:
        source.answers.set()
        asked.close()
    assert found == {"errors": Uncalibrated("source s did not tell the past within 0.2 s")}
