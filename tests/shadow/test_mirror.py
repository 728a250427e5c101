"""A mirror feeds the observer, which asks both models: what is compared, dropped and shown."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.shadow import models
from tests.shadow.conftest import Send, Start


async def test_pairs_are_compared_and_counted(
    start: Start, send: Send, candidate: models.Model
) -> None:
    running = await start()
    await send(running, *(f"same-{n}" for n in range(20)))
    await running.settled(20)
    candidate.answer = models.saying(0)
    assert await send(running, *(f"other-{n}" for n in range(5))) == 204
    counts = await running.settled(25)
    assert counts.outcomes() == {"both_ok": 25}
    assert counts.of("comparisons_total", pair="candidate", verdict="match") == 20
    assert counts.of("comparisons_total", pair="candidate", verdict="mismatch") == 5
    assert counts.of("confusion_total", primary="1", candidate="0") == 5


async def test_every_copy_ends_once_with_its_reason(start: Start, send: Send) -> None:
    running = await start(eligible={"mostBytes": 1000})
    await send(running, "twice")
    await running.settled(1)
    await send(running, "twice")
    await send(running, "a", path="/v2/repository/models/fraud/load")
    await send(running, "b", path="/v2/models/x/../fraud/infer")
    await send(running, "c", Content_Type="text/html")
    await send(running, "d", body=b" " * 1001)
    await send(running, "e", X_Model_Shadow="off")
    await send(running, "")
    counts = await running.settled(8)
    assert counts.outcomes() == {
        "both_ok": 1,
        "duplicate": 1,
        "method_not_safe": 2,
        "content_type": 1,
        "too_large": 1,
        "opted_out": 1,
        "no_id": 1,
    }


async def test_sampling_takes_the_same_ids_again(start: Start, send: Send) -> None:
    ids = [f"request-{n}" for n in range(300)]
    asked = []
    for _ in range(2):
        running = await start(sampling={"share": 0.3, "salt": "fraud/1"})
        await send(running, *ids)
        counts = await running.settled(300)
        asked.append(counts.outcomes()["both_ok"])
    assert asked[0] == asked[1]
    assert 60 <= asked[0] <= 120


async def test_credentials_stay_behind_and_ids_go_along(
    start: Start, send: Send, candidate: models.Model, stable: models.Model
) -> None:
    running = await start(eligible={"credentials": ["x-api-key"]})
    secrets = {"Authorization": "Bearer s", "Cookie": "c=1", "X_Auth_Token": "t", "X_Api_Key": "k"}
    await send(running, "r-1", body=b'{"inputs": [1]}', Traceparent="00-a-b-01", **secrets)
    await running.settled(1)
    headers, body = candidate.asked[-1]
    assert body == b'{"inputs": [1]}'
    assert headers["x-request-id"] == "r-1"
    assert headers["traceparent"] == "00-a-b-01"
    assert headers["x-api-key"] == "k"
    assert headers["x-model-shadow"] == "candidate"
    assert not {"authorization", "cookie", "x-auth-token"} & set(headers)
    assert stable.asked[-1][0]["x-model-shadow"] == "control"


async def test_noise_is_measured_in_pairs_and_taken_off(
    start: Start, send: Send, stable: models.Model, candidate: models.Model
) -> None:
    flips = iter(range(10_000))

    async def noisy(request: web.Request, body: bytes) -> web.StreamResponse:
        return await models.saying(next(flips) % 2)(request, body)

    stable.answer = noisy
    candidate.answer = models.saying(1)
    running = await start(noise={"mode": "Paired", "share": 1.0})
    await send(running, *(f"r{n}" for n in range(60)))
    counts = await running.settled(60)
    assert counts.outcomes("control") == {"both_ok": 60}
    assert len(stable.asked) == 120
    assert counts.of("excess_total") == 60
    # A control that differs says that the noise floor is high: users themselves get either.
    assert counts.of("comparisons_total", pair="control", verdict="mismatch") > 20


async def test_calibration_asks_stable_twice_at_first_alone(
    start: Start, send: Send, stable: models.Model
) -> None:
    running = await start(noise={"mode": "Calibrate", "pairs": 10})
    await send(running, *(f"r{n}" for n in range(30)))
    counts = await running.settled(30)
    assert counts.outcomes("control") == {"both_ok": 10}
    assert len(stable.asked) == 40


async def test_slices_are_declared_ones_or_other(start: Start, send: Send) -> None:
    running = await start(slices={"header": "x-country", "values": ["de", "fr"]})
    await send(running, "a", X_Country="de")
    await send(running, "b", X_Country='evil"label')
    counts = await running.settled(2)
    assert counts.of("comparisons_total", slice="de") == 1
    assert counts.of("comparisons_total", slice="other") == 1


async def test_examples_are_redacted_and_for_those_with_the_token(
    start: Start, send: Send, candidate: models.Model, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    candidate.answer = models.saying(0)
    running = await start(examples={"tokenFile": str(token), "fields": [""]})
    await send(running, "r-1", body=json.dumps({"inputs": ["card 4711"]}).encode())
    await running.settled(1)
    url = running.url("operations", "/examples")
    for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer \xff"}):
        async with running.session.get(url, headers=shown) as answer:
            assert answer.status == 401
    async with running.session.get(url, headers={"Authorization": "Bearer s3cret"}) as answer:
        text = await answer.text()
    example = json.loads(text)["examples"][0]
    assert (example["request"], example["primary"], example["candidate"]) == (
        "r-1",
        {"": "1"},
        {"": "0"},
    )
    assert "4711" not in text


async def test_without_a_token_nobody_sees_examples(start: Start, send: Send) -> None:
    running = await start()
    async with running.session.get(running.url("operations", "/examples")) as answer:
        assert answer.status == 404


async def test_it_says_that_it_is_alive_and_ready(start: Start) -> None:
    running = await start()
    for path in ("/livez", "/readyz"):
        async with running.session.get(running.url("operations", path)) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("at", ["mirror", "operations"])
async def test_a_stranger_at_the_door_does_no_harm(start: Start, send: Send, at: str) -> None:
    running = await start()
    for method, path in (("GET", "/"), ("DELETE", models.PATH), ("POST", "/%00%ff//..;/x")):
        async with running.session.request(method, running.url(at, path)) as answer:
            assert answer.status in {204, 404, 405}
    await send(running, "after")
    assert (await running.settled(1)).outcomes()["both_ok"] == 1
