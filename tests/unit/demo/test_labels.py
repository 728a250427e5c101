"""Labels come late and are attributed to the version that answered."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from examples.demo import labels

TRUTH = [7, 3, 3]


def outcomes(delay_s: tuple[float, float] = (2.0, 2.0)) -> labels.Outcomes:
    models = {"v1": "demo/digits-v1", "v2": "demo/digits-v2"}
    return labels.Outcomes(TRUTH, models=models, delay_s=delay_s, seed=1)


def value(counted: labels.Outcomes, model: str, outcome: str) -> float | None:
    name = "labelled_predictions_total"
    return counted.registry.get_sample_value(name, {"model": model, "outcome": outcome})


def test_nothing_is_counted_before_its_label_has_come() -> None:
    counted = outcomes()
    counted.add(row=0, version="v1", digit=7, now=10.0)
    counted.settle(11.9)
    assert (counted.pending, counted.tally["v1"]) == (1, {"right": 0, "wrong": 0})


def test_right_and_wrong_are_counted_for_the_version_that_answered() -> None:
    counted = outcomes()
    for row, version, digit in [(0, "v1", 7), (1, "v1", 8), (2, "v2", 3), (2, "v2", 3)]:
        counted.add(row=row, version=version, digit=digit, now=10.0)
    counted.settle(12.0)
    assert counted.tally == {"v1": {"right": 1, "wrong": 1}, "v2": {"right": 2, "wrong": 0}}
    assert value(counted, "demo/digits-v1", "wrong") == 1
    assert value(counted, "demo/digits-v2", "right") == 2


def test_labels_come_in_the_order_of_their_delays() -> None:
    counted = outcomes(delay_s=(1.0, 5.0))
    for _ in range(100):
        counted.add(row=0, version="v1", digit=7, now=0.0)
    counted.settle(3.0)
    assert 20 < counted.tally["v1"]["right"] < 80
    counted.settle(5.0)
    assert (counted.tally["v1"]["right"], counted.pending) == (100, 0)


@pytest.mark.parametrize(
    ("row", "version"), [(0, "v9"), (3, "v1"), (-1, "v1")], ids=["version", "row", "negative"]
)
def test_what_is_unknown_becomes_no_label_value(row: int, version: str) -> None:
    counted = outcomes()
    counted.add(row=row, version=version, digit=1, now=0.0)
    assert counted.pending == 0
    assert counted.registry.get_sample_value("unknown_predictions_total") == 1


def test_versions_without_labels_yet_are_zeros_and_not_absent() -> None:
    assert value(outcomes(), "demo/digits-v2", "wrong") == 0


async def test_batches_are_taken_and_their_outcome_is_told() -> None:
    app = labels.application(outcomes(delay_s=(0.0, 0.0)))
    async with TestClient(TestServer(app)) as client:
        taken = await client.post("/predictions", json=[[0, "v1", 7], [1, "v1", 1]])
        app[labels.OUTCOMES_KEY].settle(float("inf"))
        tally = await (await client.get("/tally")).json()
    assert taken.status == 202
    assert tally["versions"]["v1"] == {"right": 1, "wrong": 1}


async def test_a_malformed_batch_is_refused_with_a_sentence() -> None:
    async with TestClient(TestServer(labels.application(outcomes()))) as client:
        answer = await client.post("/predictions", json=[1])
        assert answer.status == 400
        assert "expected [[row, version, digit], ...]" in (await answer.json())["error"]
