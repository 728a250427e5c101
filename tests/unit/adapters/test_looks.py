"""Whole looks over HTTP: no answer raises, and the trouble of one metric stays its own."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from modelrollout.adapters.prometheus import Sources
from modelrollout.adapters.source import SourceConfig
from modelrollout.analysis.counts import RateCounts
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import Look, Pair, UserPair
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code
from modelrollout.metrics.arms import ArmSeen
from tests.unit.adapters import served

Json = dict[str, Any]
WINDOW = Window(1000.0, 1030.0, "v2", "v1")
ARMS = {name: ArmSeen(f"fraud-{name}", 80) for name in ("v1", "v2")}
ERRORS = {"name": "errors", "rate": {"events": "e", "total": "t"}}
OTHER = {"name": "other", "rate": {"events": "e2", "total": "t2"}}


def spec(*metrics: Json) -> ModelRolloutSpec:
    versions = [{"name": v, "service": {"name": f"fraud-{v}", "port": 80}} for v in ("v1", "v2")]
    return ModelRolloutSpec.model_validate(
        {
            "versions": versions,
            "target": "v2",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": {"metrics": list(metrics)},
        }
    )


class FakePrometheus:
    """Answers looks with `vector`, other queries by their first word; `text` replaces it all."""

    def __init__(self) -> None:
        self.vector: list[Json] = []
        self.others: dict[str, list[Json] | int] = {}
        self.text: str | None = None
        self.status = 200
        self.queries: list[str] = []
        self.tokens: list[str | None] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        query = str(form["query"])
        self.queries.append(query)
        self.tokens.append(request.headers.get("Authorization"))
        if self.text is not None:
            return web.Response(text=self.text, status=self.status, content_type="application/json")
        found: list[Json] | int = self.vector
        if "__part__" not in query:
            found = next((a for word, a in self.others.items() if query.startswith(word)), [])
        if isinstance(found, int):
            return web.json_response({"status": "error", "error": "no"}, status=found)
        return web.json_response(
            {"status": "success", "data": {"resultType": "vector", "result": found}}
        )

    async def look(self, *metrics: Json, sources: Sources | None = None, **config: Any) -> Look:
        made = sources or Sources([SourceConfig(name="default", url=self.url, **config)])
        try:
            return await made.look(spec(*metrics), namespace="ml", window=WINDOW, arms=ARMS)
        finally:
            if sources is None:
                await made.close()


@pytest.fixture
async def source() -> AsyncIterator[FakePrometheus]:
    fake = FakePrometheus()
    async with served.source(fake.answer) as fake.url:
        yield fake


def value(mark: str, number: str, **labels: str) -> Json:
    where = {"instance": "10.0.0.1:80", "job": "fraud", **labels}
    return {"metric": {"__part__": mark, **where}, "value": [1030.0, number]}


def counted(first: int, *, trials: tuple[str, str]) -> list[Json]:
    """One version's part of an answer: part `first` is its events, the next its trials."""
    before, after = trials
    return [
        value(f"{first}s", "0"),
        value(f"{first}e", "3"),
        value(f"{first + 1}s", before),
        value(f"{first + 1}e", after),
    ]


BOTH = [*counted(0, trials=("10", "50")), *counted(2, trials=("100", "400"))]
PAIR = Pair(candidate=RateCounts(40, 3), stable=RateCounts(300, 3))


async def test_a_look_at_several_arms_is_one_request_and_tells_them_apart(
    source: FakePrometheus,
) -> None:
    versions = ("v1", "v2", "v3")
    source.vector = [
        one | {"metric": one["metric"] | {"bucket": "7"}}
        for first, trials in ((0, ("10", "50")), (2, ("10", "30")), (4, ("100", "400")))
        for one in counted(first, trials=trials)
    ]
    made = Sources([SourceConfig(name="default", url=source.url)])
    look = await made.look(
        spec(ERRORS | {"buckets": {}}),
        namespace="ml",
        window=Window(1000.0, 1030.0, "v2", "v1", others=("v3",)),
        arms={name: ArmSeen(f"fraud-{name}", 80) for name in versions},
    )
    await made.close()

    assert len(source.queries) == 1
    assert look.pairs["errors"] == PAIR
    assert look.others["v3"].pairs["errors"] == Pair(RateCounts(20, 3), RateCounts(300, 3))
    assert look.users["errors"] == UserPair({"7": (3.0, 40.0)}, {"7": (3.0, 300.0)})
    assert look.others["v3"].users["errors"].candidate == {"7": (3.0, 20.0)}


async def test_a_look_is_one_request(source: FakePrometheus) -> None:
    source.vector = BOTH
    look = await source.look(ERRORS)
    assert look == Look(1000.0, 1030.0, {"errors": PAIR})
    assert len(source.queries) == 1


def answer(*series: object, kind: str = "vector") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": series}})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "not that of a Prometheus"),
        ("[]", "not that of a Prometheus"),
        ('{"status": "success", "data": null}', "not that of a Prometheus"),
        (answer(1030.0, "1", kind="scalar"), "not that of a Prometheus"),
        (answer({"value": [1, "1"]}), "not that of a Prometheus"),
        (answer({"metric": {}, "value": [1, 1]}), "not that of a Prometheus"),
        (answer({"metric": {}, "value": None}), "not that of a Prometheus"),
        (answer({"metric": {"__part__": "0e"}, "histogram": [1, {}]}), "a native histogram"),
        (answer(value("0e", "one")), "could not convert"),
        (answer(value("0e", "NaN")), "expected numbers, found NaN"),
        (answer(value("9e", "1")), "expected the parts that were asked for"),
        (answer(value("²e", "1")), "expected the parts that were asked for"),
        (answer(value("", "1")), "expected the parts that were asked for"),
    ],
)
async def test_no_answer_raises_or_counts(source: FakePrometheus, text: str, told: str) -> None:
    source.text = text
    look = await source.look(ERRORS)
    assert look.pairs == {}
    assert look.down is not None
    assert look.down.code is Code.SOURCE_DOWN
    assert told in look.down.sentence


async def test_a_refused_query_is_the_rollouts_fault_and_not_the_sources(
    source: FakePrometheus,
) -> None:
    refused = {"status": "error", "errorType": "bad_data", "error": "bad regex"}
    source.text, source.status = json.dumps(refused), 400
    look = await source.look(ERRORS)
    assert look.down is not None
    assert look.down.code is Code.BAD_SELECTOR
    assert "it refuses the query: bad regex" in look.down.sentence


async def test_a_source_that_is_not_there_is_down(source: FakePrometheus) -> None:
    source.url = "http://127.0.0.1:1"
    look = await source.look(ERRORS)
    assert look.down is not None
    assert "it does not answer: ConnectionError" in look.down.sentence


async def test_a_negative_counter_spoils_its_own_metric_alone(source: FakePrometheus) -> None:
    gauge = [value("5s", "2"), value("5e", "-1"), value("7s", "1"), value("7e", "1")]
    source.vector = [*BOTH, *gauge]
    look = await source.look(ERRORS, OTHER)
    assert look.pairs == {"errors": PAIR, "other": Pair(None, RateCounts(0, 0))}
    assert look.problems["other"].code is Code.BAD_SELECTOR
    assert "at least 0, found -1" in look.problems["other"].sentence


async def test_what_is_missing_is_asked_after_once_a_minute(source: FakePrometheus) -> None:
    source.vector = BOTH
    source.others = {"count by": [{"metric": {"service": "fraud"}, "value": [1, "1"]}]}
    sources = Sources([SourceConfig(name="default", url=source.url)])
    for _ in range(3):
        look = await source.look(ERRORS, OTHER, sources=sources)
        assert look.pairs["errors"] == PAIR
        assert 't2 exists with {service="fraud"}' in look.problems["other"].sentence
    await sources.close()
    assert [query.startswith("count by") for query in source.queries].count(True) == 1


async def test_an_explanation_that_fails_does_not_spoil_the_look(source: FakePrometheus) -> None:
    source.vector, source.others = BOTH, {"count by": 500}
    look = await source.look(ERRORS, OTHER)
    assert look.down is None
    assert look.pairs["errors"] == PAIR
    assert look.problems["other"].code is Code.NO_SERIES


async def test_a_reset_costs_one_more_request(source: FakePrometheus) -> None:
    samples = [[990.0, "10"], [1010.0, "20"], [1020.0, "5"], [1030.0, "50"]]
    labels = {"__name__": "t", "instance": "10.0.0.1:80", "job": "fraud"}
    source.vector = [*BOTH, value("1r", "1")]
    source.others = {"{__name__": [{"metric": labels, "values": samples}]}
    look = await source.look(ERRORS)
    assert look.pairs["errors"].candidate == RateCounts(10 + 5 + 45, 3)
    assert len(source.queries) == 2


async def test_a_reset_whose_samples_do_not_come_spoils_the_look(source: FakePrometheus) -> None:
    source.vector, source.others = [*BOTH, value("1r", "1")], {"{__name__": 503}
    look = await source.look(ERRORS)
    assert (look.down is not None, look.pairs) == (True, {})


async def test_a_new_target_is_asked_after_within_the_sources_own_bounds(
    source: FakePrometheus,
) -> None:
    born = {"instance": "10.0.0.7:80"}
    source.vector = [*BOTH, value("1e", "7", **born)]
    up = {"__name__": "up", "job": "fraud", **born}
    source.others = {"last_over_time(up": [{"metric": up, "value": [1, "1"]}]}
    look = await source.look(ERRORS, matchers={"cluster": "eu"})
    assert look.pairs["errors"].candidate == RateCounts(47, 3)
    assert 'up{cluster="eu",instance="10.0.0.7:80",job="fraud"}' in source.queries[1]


async def test_a_token_that_was_replaced_is_used(source: FakePrometheus, tmp_path: Path) -> None:
    token, source.vector = tmp_path / "token", BOTH
    sources = Sources([SourceConfig(name="default", url=source.url, bearer_token_file=token)])
    look = await source.look(ERRORS, sources=sources)
    assert look.down is not None
    assert "its token cannot be read: FileNotFoundError" in look.down.sentence
    for text in ("one\n", "two\n"):
        token.write_text(text)
        assert (await source.look(ERRORS, sources=sources)).down is None
    await sources.close()
    assert [word for word in source.tokens if word] == ["Bearer one", "Bearer two"]
