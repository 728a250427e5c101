"""Which version a backend stands for: by Service and port, or by InferencePool."""

from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing import backends
from modelrollout.routing.contract import Rollout

Json = dict[str, Any]

WRITTEN = [
    {"name": "v1", "service": {"name": "fraud", "port": 8080}},
    {"name": "v2", "inferencePool": {"name": "fraud"}},
    {"name": "v3", "inferenceService": {"name": "fraud"}},
]
ROLLOUT = Rollout(
    "ml",
    "fraud",
    "uid",
    ModelRolloutSpec.model_validate(
        {
            "versions": WRITTEN,
            "target": "v1",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "public"}]}},
        }
    ),
)
POOL = {"group": backends.POOL_GROUP, "kind": "InferencePool"}


@pytest.mark.parametrize(
    ("backend", "version"),
    [
        ({"name": "fraud", "port": 8080}, "v1"),
        ({"group": "", "kind": "Service", "name": "fraud", "port": 8080}, "v1"),
        ({"name": "fraud", "port": 8081}, None),
        ({"name": "fraud", "port": 8080, "namespace": "ml"}, "v1"),
        ({"name": "fraud", "port": 8080, "namespace": "other"}, None),
        ({"name": "fraud", **POOL}, "v2"),
        ({"name": "fraud", "port": 9, **POOL}, "v2"),
        ({"name": "fraud", **POOL, "group": "inference.networking.x-k8s.io"}, None),
        ({"name": "fraud-predictor", "port": 80}, "v3"),
    ],
    ids=str,
)
def test_a_backend_stands_for_the_version_that_names_it(backend: Json, version: str | None) -> None:
    assert backends.version_of(ROLLOUT, backend) == version


def test_each_version_is_written_as_it_is_read() -> None:
    for one in ROLLOUT.spec.versions:
        assert backends.version_of(ROLLOUT, backends.ref(one)) == one.name


def test_a_backend_is_named_as_a_person_writes_it() -> None:
    told = [backends.expected(one) for one in ROLLOUT.spec.versions]
    assert told == ["fraud:8080", "InferencePool fraud", "fraud-predictor:80"]
    assert backends.address({"name": "fraud", **POOL}) == "InferencePool fraud"
