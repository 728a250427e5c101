"""The cluster, Istio on it, and the operator, which finds Istio's kinds when it starts."""

from collections.abc import Iterator

import pytest

from tests.cluster import handle
from tests.e2e import conftest as e2e
from tests.e2e import fleet, kubectl
from tests.istio import mesh


@pytest.fixture(scope="session")
def cluster() -> handle.Cluster:
    """The cluster that `python -m tests.cluster run` started."""
    return handle.Cluster.from_environment()


@pytest.fixture(scope="session")
def gateway(cluster: handle.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of Istio's gateway."""
    with mesh.running(cluster, tmp_path_factory.mktemp("istio")) as url:
        yield url


@pytest.fixture(scope="session")
def operator(cluster: handle.Cluster, gateway: str) -> None:
    """The operator, installed by its chart after Istio's resource definitions."""
    e2e.install(cluster)


@pytest.fixture
def ml(operator: None) -> Iterator[fleet.Fleet]:
    """A namespace of the test's own, with nothing in it yet."""
    with kubectl.new_namespace("ml") as name:
        yield fleet.Fleet(name)
