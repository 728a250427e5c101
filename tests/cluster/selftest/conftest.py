"""Vocabulary of the cluster's own tests: a namespace each, pods in it, and talking to them."""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from tests.cluster import handle
from tests.cluster.selftest import puppet

Json = dict[str, Any]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace of its own for one test."""

    cluster: handle.Cluster
    name: str

    def kubectl(self, *arguments: str) -> str:
        """Call kubectl in this namespace."""
        return self.cluster.kubectl("-n", self.name, *arguments)

    def apply(self, *manifests: Json) -> None:
        """Create these objects here."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.cluster.apply(json.dumps(items), namespace=self.name)

    def wait_for(self, condition: str, what: str, *, timeout_s: float = 30) -> None:
        """Until kubectl sees it."""
        self.cluster.wait_for(condition, what, namespace=self.name, timeout_s=timeout_s)

    def status(self, pod: str) -> Json:
        """A pod's status."""
        found: Json = self.cluster.get("pod", pod, "-n", self.name)["status"]
        return found

    def container(self, pod: str) -> Json:
        """The status of a pod's first container."""
        found: Json = self.status(pod)["containerStatuses"][0]
        return found

    def logs(self, pod: str, container: str = "main") -> str:
        """All that a container has printed."""
        return self.cluster.logs(self.name, pod, container)

    def ask(self, pod: str, path: str, *, method: str = "GET") -> str:
        """What the puppet in a pod answers."""
        return talk(self.status(pod)["podIP"], path, method=method)

    def tell(self, pod: str, path: str) -> None:
        """Have the puppet in a pod do something."""
        eventually(lambda: self._heard(pod, path, method="POST"))

    def await_awake(self, pod: str) -> None:
        """Until the puppet in a pod listens, and so obeys signals in its own way."""
        eventually(lambda: self._heard(pod, "/ready", method="GET"))

    def _heard(self, pod: str, path: str, *, method: str) -> bool:
        # A pod that runs need not listen yet.
        try:
            self.ask(pod, path, method=method)
        except ConnectionRefusedError:
            return False
        return True


@pytest.fixture(scope="session")
def cluster() -> handle.Cluster:
    """The cluster we run in."""
    return handle.Cluster.from_environment()


@pytest.fixture
def namespace(cluster: handle.Cluster) -> Iterator[Namespace]:
    """A fresh namespace; deleted afterwards, without waiting for it."""
    made = Namespace(cluster, f"selftest-{uuid.uuid4().hex[:8]}")
    cluster.kubectl("create", "namespace", made.name)
    made.wait_for("create", "serviceaccount/default")
    yield made
    cluster.kubectl("delete", "namespace", made.name, "--wait=false")


def pod(name: str, *, spec: Json | None = None, **container: Any) -> Json:
    """A pod with one container, by default a puppet, labelled `app: <name>`."""
    main = {
        "name": "main",
        "image": "python:3.11",
        "command": ["python", "-m", puppet.__name__],
        **container,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [main], **(spec or {})},
    }


def script(name: str, text: str, *, spec: Json | None = None, **container: Any) -> Json:
    """A pod that runs some Python once."""
    once = {"restartPolicy": "Never", **(spec or {})}
    return pod(name, spec=once, command=["python", "-c", text], **container)


def service(name: str, *, app: str, annotations: Json | None = None, **spec: Any) -> Json:
    """A headless Service of the pods labelled `app`."""
    ports = [{"name": "http", "port": puppet.PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"clusterIP": "None", "selector": {"app": app}, "ports": ports, **spec},
    }


def http_probe(path: str, **settings: int) -> Json:
    """A probe of the puppet, every second unless said otherwise."""
    return {
        "httpGet": {"path": path, "port": puppet.PORT},
        "periodSeconds": 1,
        "failureThreshold": 1,
        **settings,
    }


def talk(host: str, path: str, *, method: str = "GET", port: int = puppet.PORT) -> str:
    """One request to a pod; raises OSError or HTTPException when there is no answer."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request(method, path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def eventually(look: Callable[[], _T], *, within_s: float = 30) -> _T:
    """The first truthy result of `look`, for what nobody announces; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within_s} s; last seen: {seen!r}"
        time.sleep(0.2)
    return seen
