"""What the end-to-end tests share: the cluster, the operator installed once, a namespace each."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import handle
from tests.e2e import faulty, fleet, kubectl

INSTALLED = "modelrollout-installed"


@pytest.fixture(scope="session")
def cluster() -> handle.Cluster:
    """The cluster that `python -m tests.cluster run` started."""
    return handle.Cluster.from_environment()


@pytest.fixture(scope="session")
def operator(cluster: handle.Cluster) -> None:
    """The operator, installed by its chart by whichever test process comes first."""
    lock = Path(cluster.kubeconfig).with_name("operator.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = lock.with_name(INSTALLED)
        if not done.exists():
            install(cluster)
            done.touch()


def install(cluster: handle.Cluster) -> None:
    """Installs CRD and operator with Helm and waits until the operator is ready."""
    kubectl.must("create", "namespace", faulty.NAMESPACE)
    sources = {"default": cluster.prometheus_url} | {
        faulty.source(mode): faulty.url(mode) for mode in faulty.MODES
    }
    named = [f"{name}={url}" for name, url in sources.items()]
    others = ("router", "service", "traefik", "istio")
    command = [sys.executable, "-m", "examples.demo.installing", *others, *named]
    made = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert made.returncode == 0, made.stderr
    kubectl.must(
        "-n",
        "modelrollout",
        "rollout",
        "status",
        "deployment",
        "--timeout=90s",
        "-l",
        "app.kubernetes.io/name=modelrollout",
    )


@pytest.fixture
def ml(operator: None) -> Iterator[fleet.Fleet]:
    """A namespace of the test's own, with nothing in it yet."""
    with kubectl.new_namespace("ml") as name:
        yield fleet.Fleet(name)
