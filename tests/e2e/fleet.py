"""What an end-to-end test deploys (versions, Services, a rollout) and how it looks at them."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.e2e import kubectl

Json = dict[str, Any]
SELECTOR = 'http_requests_total{code=~"5.."}'


def deployment(name: str, *, replicas: int = 1, revision: str = "1") -> list[Json]:
    """A Deployment and its Service that serve one version."""
    labels = {"app": "fraud", "version": name}
    container = {
        "name": "model",
        "image": "python:test",
        "command": ["python", "-m", "tests.e2e.served"],
        "env": [{"name": "VERSION", "value": name}, {"name": "REVISION", "value": revision}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
    }
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"fraud-{name}", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 10},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"fraud-{name}",
            "annotations": {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"},
        },
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 8080}]},
    }
    return [workload, service]


ERRORS: Json = {
    "name": "errors",
    "rate": {"events": SELECTOR, "total": "http_requests_total"},
    "margin": {"relative": "50%", "absolute": 0.05},
}
SLOW: Json = {
    "name": "slow",
    "latency": {"histogram": "http_request_duration_seconds", "threshold": "250ms"},
    "margin": {"absolute": 0.05},
}
RATING: Json = {
    "name": "rating",
    "better": "higher",
    "mean": {
        "sum": "rating_sum_total",
        "count": "rating_count_total",
        "squares": "rating_squares_total",
    },
    "margin": {"absolute": 0.5},
}


def versions(*names: str, app: str = "fraud") -> list[Json]:
    """Versions as a rollout lists them."""
    return [
        {
            "name": name,
            "service": {"name": f"{app}-{name}", "port": 8080},
            "workload": {"name": f"{app}-{name}"},
        }
        for name in names
    ]


def backend(name: str, weight: int) -> Json:
    """A version as a route lists it."""
    return {"name": f"fraud-{name}", "port": 8080, "weight": weight}


def route(host: str, *rules: Json, name: str = "fraud") -> Json:
    """A route of the user's own."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [host],
            "rules": list(rules),
        },
    }


def condition(status: Json, kind: str) -> Json:
    """A condition of a status, {} when it is absent."""
    found = (one for one in status.get("conditions", []) if one["type"] == kind)
    return next(found, {})


def rollout(host: str, **changes: Any) -> Json:
    """A rollout as a user writes it, quick enough for a test; `changes` replace fields of spec."""
    spec: Json = {
        "versions": versions("v1", "v2"),
        "target": "v1",
        "traffic": {
            "gatewayAPI": {
                "parentRefs": [{"name": "public", "namespace": "gateways"}],
                "hostnames": [host],
            }
        },
        "strategy": {"canary": {"weights": [20, 50], "minDuration": "4s"}},
        "analysis": {"interval": "4s", "warmUp": "2s", "metrics": [ERRORS]},
        "drain": "2s",
    }
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "fraud"},
        "spec": spec | changes,
    }


@dataclass
class Fleet:
    """One namespace with its versions and its rollout."""

    namespace: str
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = f"{self.namespace}.example.com"

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Kubectl in this namespace."""
        return kubectl.must("-n", self.namespace, *args, stdin=stdin)

    def apply(self, *objects: Json) -> None:
        """Server-side apply, strictly validated."""
        text = yaml.safe_dump_all(objects)
        self.kubectl(
            "apply",
            "--server-side",
            "--validate=strict",
            "--force-conflicts",
            "-f",
            "-",
            stdin=text,
        )

    def deploy(self, *names: str, replicas: int = 1) -> None:
        """Deploys versions and waits until they are available."""
        self.apply(*(part for name in names for part in deployment(name, replicas=replicas)))
        for name in names:
            self.kubectl("rollout", "status", f"deployment/fraud-{name}", "--timeout=60s")

    def rollout(self, **changes: Any) -> None:
        """Applies the rollout."""
        self.apply(rollout(self.host, **changes))

    def serving(self, **changes: Any) -> None:
        """Brings v1 into service, v2 deployed beside it."""
        self.deploy("v1", "v2")
        self.rollout(**changes)
        self.ready()

    def release(self, target: str) -> None:
        """The one-line change."""
        self.patch({"spec": {"target": target}})

    def patch(self, body: Json) -> None:
        """A merge patch of the rollout."""
        self.kubectl("patch", "mr", "fraud", "--type=merge", "-p", json.dumps(body))

    def say(self, intent: str, text: str) -> None:
        """An intent, by annotation, as the cluster's administrator."""
        who = json.loads(kubectl.must("auth", "whoami", "-o", "json"))
        user = who["status"]["userInfo"]["username"]
        self.kubectl(
            "annotate",
            "mr",
            "fraud",
            "--overwrite",
            f"modelrollout.dev/{intent}={text}",
            f"modelrollout.dev/by={user}",
        )

    def get(self) -> Json:
        """The rollout as it is."""
        return kubectl.get("mr", "fraud", namespace=self.namespace)

    def status(self) -> Json:
        """Its status, {} before the first."""
        found: Json = self.get().get("status", {})
        return found

    def condition(self, kind: str) -> Json:
        """A condition, {} when it is absent."""
        return condition(self.status(), kind)

    def until(self, holds: Callable[[Json], bool], *, timeout_s: float = 90.0) -> Json:
        """Waits until the rollout's status holds; every change is seen, nothing is polled.

        A list is watched, though of one: of a single object kubectl drops the first event of the
        watch as what it has printed already, and with it any change since it read the object.
        """
        deadline = time.monotonic() + timeout_s
        command = [
            "kubectl",
            "-n",
            self.namespace,
            "get",
            "mr",
            "--field-selector=metadata.name=fraud",
            "--watch",
            "-o",
            "json",
            f"--request-timeout={timeout_s:.0f}s",
        ]
        last: Json = {}
        seen, said = 0, ""
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                for found in _objects(process):
                    last, seen = found, seen + 1
                    if holds(found.get("status", {})):
                        return found
                    if time.monotonic() > deadline:
                        break
            finally:
                process.kill()
                said = process.communicate()[1]
        now = kubectl.run("get", "mr", "fraud", "-n", self.namespace, "-o", "json")
        raise AssertionError(
            f"not reached within {timeout_s:.0f} s; the watch showed {seen} states (kubectl said "
            f"{said!r}), the last was:\n{summary(last)}\nand the rollout is now:\n"
            f"{summary(json.loads(now.out)) if now.ok else now.err}"
        )

    def phase(self, *phases: str, timeout_s: float = 90.0) -> Json:
        """Waits for one of these phases."""
        return self.until(lambda status: status.get("phase") in phases, timeout_s=timeout_s)

    def ready(self, *, timeout_s: float = 60.0) -> None:
        """Waits as a pipeline does."""
        self.kubectl("wait", "mr/fraud", "--for=condition=Ready", f"--timeout={timeout_s:.0f}s")

    def behave(self, version: str, **how: object) -> None:
        """Tells every pod of a version how to behave."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"version={version}", "-o", "json"))
        for pod in found["items"]:
            url = f"http://{pod['status']['podIP']}:8080/behave"
            request = urllib.request.Request(url, json.dumps(how).encode(), method="POST")
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200

    def answered_with(self, code: str) -> int:
        """Answers with a status code, as the pods of all versions count them themselves."""
        found = json.loads(self.kubectl("get", "pods", "-l", "app=fraud", "-o", "json"))
        start, total = f'http_requests_total{{code="{code}"}} ', 0.0
        for pod in found["items"]:
            url = f"http://{pod['status']['podIP']}:8080/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            total += sum(float(line[len(start) :]) for line in lines if line.startswith(start))
        return int(total)

    def answered_by(self, version: str) -> int:
        """Answers of the pods of one version, as they count them themselves."""
        found = json.loads(self.kubectl("get", "pods", "-l", f"version={version}", "-o", "json"))
        return sum(_count(pod, "http_requests_total") for pod in found["items"])

    def events(self) -> list[str]:
        """Reasons of the events on the rollout, oldest first."""
        found = json.loads(self.kubectl("get", "events.events.k8s.io", "-o", "json"))
        mine = [e for e in found["items"] if e.get("regarding", {}).get("name") == "fraud"]
        return [e["reason"] for e in sorted(mine, key=lambda e: str(e.get("eventTime")))]

    def weights(self, route: str = "fraud") -> dict[str, int]:
        """Weights of the backends in the first rule of a route."""
        found = kubectl.get("httproute", route, namespace=self.namespace)
        backends = found["spec"]["rules"][0]["backendRefs"]
        return {backend["name"]: backend.get("weight", 1) for backend in backends}


def _count(pod: Json, counter: str) -> int:
    """The sum of a counter over its labels."""
    url = f"http://{pod['status']['podIP']}:8080/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(sum(float(one.rsplit(" ", 1)[1]) for one in lines if one.startswith(f"{counter}{{")))


def _objects(process: "subprocess.Popen[str]") -> Iterator[Json]:
    """Objects from a stream of pretty-printed JSON, one after the other."""
    decoder, text = json.JSONDecoder(), ""
    assert process.stdout is not None
    for line in process.stdout:
        text += line
        if not line.startswith("}"):
            continue
        found, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        yield found


def summary(found: Json) -> str:
    """A rollout in a few lines."""
    status = found.get("status", {})
    lines = [" ".join(str(status.get(field)) for field in ("phase", "step", "weight", "message"))]
    lines += [
        f"  {c['type']}={c['status']} {c['reason']}: {c['message']}"
        for c in status.get("conditions", [])
    ]
    lines += [f"  {m['message']}" for m in status.get("metrics", [])]
    return "\n".join(lines)
