"""The demo's model server, asked over loopback."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from examples.demo import server, training

Client = TestClient[Any, Any]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = server.application(training.train("v2"))
    async with TestClient(TestServer(app)) as client:
        yield client


def image(row: int = 0) -> list[float]:
    return [float(pixel) for pixel in training.data().held_out_images[row]]


async def sample(client: Client, name: str, **labels: str) -> float:
    text = await (await client.get("/metrics")).text()
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)


async def test_kserve_v1_answers_one_digit_for_each_row_and_names_the_version(
    client: Client,
) -> None:
    body = {"instances": [image(0), image(1)]}
    answer = await client.post("/v1/models/digits:predict", json=body)
    expected = [int(digit) for digit in training.data().held_out_digits[:2]]
    assert await answer.json() == {"predictions": expected, "model_version": "v2"}
    assert answer.headers["x-model-version"] == "v2"


@pytest.mark.parametrize("nested", [True, False], ids=["nested data", "flat data"])
async def test_open_inference_v2_answers_with_one_tensor(client: Client, *, nested: bool) -> None:
    data = [image(0), image(1)] if nested else image(0) + image(1)
    tensor = {"name": "image", "shape": [2, 64], "datatype": "FP64", "data": data}
    answer = await client.post("/v2/models/digits/infer", json={"id": "r1", "inputs": [tensor]})
    body = await answer.json()
    assert (body["id"], body["model_version"]) == ("r1", "v2")
    assert body["outputs"][0]["data"] == [int(d) for d in training.data().held_out_digits[:2]]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(b"{", "expected a JSON object", id="no JSON"),
        pytest.param(b"[1]", "saw a list", id="no object"),
        pytest.param(b"{}", "saw shape []", id="nothing in it"),
        pytest.param(b'{"instances": [[1, 2]]}', "saw shape [1, 2]", id="too few pixels"),
        pytest.param(b'{"instances": [["a"]]}', "saw something else", id="no numbers"),
    ],
)
async def test_bad_input_is_refused_with_a_sentence_and_is_no_error_of_the_server(
    client: Client, body: bytes, sentence: str
) -> None:
    answer = await client.post("/v1/models/digits:predict", data=body)
    assert answer.status == 400
    assert sentence in (await answer.json())["error"]
    assert await sample(client, "http_requests_total", code="500") == 0


async def test_every_request_is_counted_once_by_its_code(client: Client) -> None:
    for _ in range(3):
        await client.post("/v1/models/digits:predict", json={"instances": [image()]})
    await client.post("/v1/models/digits:predict", json={})
    await client.get("/v2/health/ready")
    assert await sample(client, "http_requests_total", code="200") == 3
    assert await sample(client, "http_requests_total", code="400") == 1
    assert await sample(client, "http_request_duration_seconds_count") == 4
    assert await sample(client, "predictions_total", model_version="v2") == 3


async def test_no_error_is_a_zero_and_not_an_absent_series(client: Client) -> None:
    text = await (await client.get("/metrics")).text()
    assert 'http_requests_total{code="500"} 0.0' in text


async def test_a_server_that_ends_says_so_but_goes_on_answering(client: Client) -> None:
    client.app[server.STATE_KEY]["ending"] = True
    assert (await client.get("/v2/health/ready")).status == 503
    answer = await client.post("/v1/models/digits:predict", json={"instances": [image()]})
    assert answer.status == 200
    assert answer.headers["Connection"] == "close"


def test_a_server_without_the_fault_keeps_nothing() -> None:
    leak = server.Leak()
    leak.grow()
    assert not leak.kept
