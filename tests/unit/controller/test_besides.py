"""Beside traffic: a refusal is told and holds nobody up, a passing failure is tried again."""

import asyncio
from typing import Any

import pytest

from modelrollout.adapters.apiserver import ApiError
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.controller import besides
from modelrollout.domain.planned import Event, Minimum, Plan, Scale
from tests.stories.world import World

Json = dict[str, Any]

PLAN = Plan(
    ModelRolloutStatus(),
    scales=(Scale("v1", 0),),
    minimums=(Minimum("fraud-v2", "v2", 4, 1, "7"),),
)
ROLLOUT: Json = {"metadata": {"name": "fraud", "namespace": "ml", "uid": "uid-1"}}


class Answering:
    """An apiserver that answers every scale with a status code."""

    def __init__(self, code: int) -> None:
        self.code, self.merged = code, list[Json]()

    async def patch(self, path: str, operations: list[Json]) -> Json:
        assert path.endswith("/deployments/fraud-v1/scale")
        assert operations == [{"op": "add", "path": "/spec/replicas", "value": 0}]
        raise ApiError(self.code, "Reason", "because")

    async def merge(self, path: str, body: Json) -> Json:
        assert path.endswith("/horizontalpodautoscalers/fraud-v2")
        self.merged.append(body)
        return body


def performed(apiserver: Answering) -> list[Event]:
    told: list[Event] = []
    asyncio.run(
        besides.perform(
            apiserver,  # type: ignore[arg-type]
            PLAN,
            rollout=ROLLOUT,
            spec=World().spec,
            tell=told.append,
            observed=asyncio.sleep(0),
        )
    )
    return told


@pytest.mark.parametrize("code", [403, 404, 422])
def test_a_refusal_is_told_and_the_rest_is_done(code: int) -> None:
    apiserver = Answering(code)
    (event,) = performed(apiserver)
    assert event.reason.code == "ReplicasOwned"
    assert "refuses to scale the old version" in event.reason.sentence
    assert apiserver.merged[0]["spec"] == {"minReplicas": 4}
    assert apiserver.merged[0]["metadata"]["resourceVersion"] == "7"
    assert set(apiserver.merged[0]["metadata"]["annotations"].values()) == {"1", "4"}


@pytest.mark.parametrize("code", [0, 409, 429, 503])
def test_what_may_succeed_later_is_tried_again_after_the_rest_was_done(code: int) -> None:
    apiserver = Answering(code)
    with pytest.raises(ApiError):
        performed(apiserver)
    assert len(apiserver.merged) == 1
