"""A version as the cluster has it: behind a Service, a KServe predictor or an InferencePool."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from modelrollout.adapters import versions
from modelrollout.api.spec import Version

Json = dict[str, Any]

LABELS = {"app": "fraud", "version": "v2"}


class Store:
    """Objects by path; collections by path and selector, as a real apiserver filters them."""

    def __init__(self, objects: Mapping[str, Json], pods: list[Json]) -> None:
        self._objects, self._pods = objects, pods
        self.asked: list[str] = []

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        del query
        self.asked.append(path)
        return self._objects.get(path)

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        self.asked.append(path)
        wanted = dict(one.split("=") for one in (query or {})["labelSelector"].split(","))
        return [one for one in self._pods if wanted.items() <= one["metadata"]["labels"].items()]


def pod(name: str, *, ready: bool = True, **metadata: Any) -> Json:
    return {
        "metadata": {
            "name": name,
            "labels": LABELS,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


POOL = "/apis/inference.networking.k8s.io/v1/namespaces/ml/inferencepools/pool"
PREDICTOR = "/api/v1/namespaces/ml/services/fraud-predictor"


def sight(version: Json, store: Store) -> versions.Sighting:
    read = Version.model_validate({"name": "v2", **version})
    return asyncio.run(versions.sight(store, read, namespace="ml", with_pods=False))


def test_ready_endpoints_of_a_pool_are_the_ready_pods_of_its_selector() -> None:
    pods = [
        pod("a"),
        pod("b", ready=False),
        pod("leaving", deletionTimestamp="2026-01-01T00:00:00Z"),
        pod("other", labels={"app": "fraud", "version": "v1"}),
    ]
    store = Store({POOL: {"spec": {"selector": {"matchLabels": LABELS}}}}, pods)
    found = sight({"inferencePool": {"name": "pool"}}, store)
    assert found.seen.backend_exists
    assert found.seen.ready == 1
    assert found.seen.revision
    assert not [path for path in store.asked if "endpointslices" in path]


def test_a_pool_that_does_not_exist_has_no_endpoints() -> None:
    found = sight({"inferencePool": {"name": "pool"}}, Store({}, [pod("a")]))
    assert not found.seen.backend_exists
    assert found.seen.ready == 0


@pytest.mark.parametrize("selector", [{}, {"matchLabels": {}}], ids=["none", "empty"])
def test_a_pool_that_selects_nothing_is_not_taken_to_select_everything(selector: Json) -> None:
    found = sight(
        {"inferencePool": {"name": "pool"}},
        Store({POOL: {"spec": {"selector": selector}}}, [pod("a")]),
    )
    assert found.seen.ready == 0


def test_an_inference_service_is_reached_by_its_predictors_service() -> None:
    store = Store({PREDICTOR: {"spec": {"selector": LABELS}}}, [])
    found = sight({"inferenceService": {"name": "fraud"}}, store)
    assert found.seen.backend_exists
    assert PREDICTOR in store.asked
