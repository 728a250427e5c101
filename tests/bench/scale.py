"""Memory, CPU and punctuality of the operator with 1, 100 and 1,000 rollouts in progress.

A real apiserver; Services and EndpointSlices made by hand instead of pods, a script that accepts
routes as a gateway does, and a source that answers in 20 ms.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

import yaml

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.adapters.gate import Bucket, Gate
from modelrollout.api import crd
from tests.bench.source import Source
from tests.e2e import kubectl

COUNTS: Final = (1, 100, 1000)
WINDOW_S: Final = 60.0
NAMESPACE: Final = "scale"
_PORT: Final = 18080
_AT_ONCE: Final = 24
_TICKS: Final = os.sysconf("SC_CLK_TCK")
Json = dict[str, Any]


async def measured() -> list[Json]:
    """One row per number of rollouts."""
    gate = Gate()
    gate.open_until(time.monotonic() + 3600)
    apiserver = await Apiserver.connect(gate=gate, bucket=Bucket(per_s=2000, burst=2000))
    source = Source()
    kubectl.must("apply", "--server-side", "-f", str(crd.CRD_FILE))
    kubectl.must("wait", "--for=condition=Established", "crd", "modelrollouts.modelrollout.dev")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await apiserver.create("/api/v1/namespaces", namespace)
    operator = await _start(await source.start())
    accepting = asyncio.create_task(_accept(apiserver))
    rows, made = [], 0
    try:
        for count in COUNTS:
            await _all(_make(apiserver, number) for number in range(made, count))
            await _until(apiserver, count, lambda s: (s.get("stable") or {}).get("name") == "v1")
            await _all(_release(apiserver, number) for number in range(made, count))
            made = count
            await _until(apiserver, count, lambda s: (s.get("look") or {}).get("number", 0) >= 1)
            rows.append(await _window(operator.pid, count, source))
    finally:
        operator.terminate()
        await operator.wait()
        accepting.cancel()
        await source.stop()
        await apiserver.close()
    return rows


async def _start(url: str) -> asyncio.subprocess.Process:
    config = {
        "port": _PORT,
        "lease": {"namespace": NAMESPACE, "name": "bench"},
        "sources": [{"name": "default", "url": url, "scrapeInterval": "5s"}],
    }
    file = Path(tempfile.mkdtemp(prefix="modelrollout-bench-")) / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    log = file.with_suffix(".log").open("wb")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "modelrollout.controller", "--config", str(file)),
        stdout=log,
        stderr=log,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
    )


async def _window(pid: int, count: int, source: Source) -> Json:
    asked, cpu_s, late, began = source.asked, _cpu_s(pid), _lateness(), time.monotonic()
    await asyncio.sleep(WINDOW_S)
    took_s = time.monotonic() - began
    return {
        "rollouts": count,
        "cores": (_cpu_s(pid) - cpu_s) / took_s,
        "rss_mb": _rss_mb(pid),
        "looks_per_s": (source.asked - asked) / took_s,
        "late_p99_s": _quantile(late, _lateness(), 0.99),
    }


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) / 1024 if found else 0.0


def _lateness() -> dict[float, float]:
    """Passes by the upper bound of their lateness, cumulative."""
    with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'modelrollout_lateness_seconds_bucket\{le="([^"]+)"\} ([0-9.e+]+)', text)
    return {float(bound.replace("+Inf", "inf")): float(value) for bound, value in found}


def _quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """The smallest bucket bound under which that share of the passes of the window lies."""
    grown = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = grown.get(float("inf"), 0.0)
    return next((b for b, value in grown.items() if value >= share * total), float("inf"))


async def _all(calls: Any) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(call: Any) -> None:
        async with turn:
            await call

    await asyncio.gather(*(one(call) for call in calls))


async def _until(apiserver: Apiserver, count: int, holds: Any) -> None:
    deadline = time.monotonic() + 420
    while True:
        found = await apiserver.cached(path_of(kinds.ROLLOUT, NAMESPACE))
        done = sum(1 for one in found if holds(one.get("status") or {}))
        if done >= count:
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {done} of {count} rollouts got so far within seven minutes")
        await asyncio.sleep(5.0)


async def _make(apiserver: Apiserver, number: int) -> None:
    for version in ("v1", "v2"):
        name = f"m{number}-{version}"
        labels = {"app": name}
        metadata = {"name": name, "namespace": NAMESPACE}
        await apiserver.create(
            path_of(kinds.SERVICE, NAMESPACE),
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"selector": labels, "clusterIP": "None", "ports": [{"port": 8080}]},
            },
        )
        owner = {"kubernetes.io/service-name": name}
        await apiserver.create(
            path_of(kinds.SLICE, NAMESPACE),
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "name": f"{name}-hand", "labels": owner},
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}}],
                "ports": [{"port": 8080}],
            },
        )
    await apiserver.create(path_of(kinds.ROLLOUT, NAMESPACE), _rollout(number))


def _rollout(number: int) -> Json:
    rate = {"events": "errors_total", "total": "requests_total"}
    metrics = [
        {"name": f"errors-{n}", "rate": rate, "margin": {"absolute": 0.000001}} for n in range(5)
    ]
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": f"m{number}", "namespace": NAMESPACE},
        "spec": {
            "versions": [
                {"name": v, "service": {"name": f"m{number}-{v}", "port": 8080}}
                for v in ("v1", "v2")
            ],
            "target": "v1",
            "traffic": {
                "gatewayAPI": {
                    "parentRefs": [{"name": "nobodys"}],
                    "hostnames": [f"m{number}.example.com"],
                }
            },
            "strategy": {"canary": {"weights": [50], "minDuration": "7d"}},
            "analysis": {"interval": "30s", "warmUp": "5s", "metrics": metrics},
            "deadline": "30d",
        },
    }


async def _release(apiserver: Apiserver, number: int) -> None:
    path = path_of(kinds.ROLLOUT, NAMESPACE, f"m{number}")
    await apiserver.merge(path, {"spec": {"target": "v2"}})


async def _accept(apiserver: Apiserver) -> None:
    """Accepts every route at its present generation, as a gateway would."""
    while True:
        # From the cache, as a gateway watches: the bench is not to load what it measures.
        routes = await apiserver.cached(path_of(kinds.HTTP_ROUTE, NAMESPACE))
        await _all(_accepted(apiserver, one) for one in routes if not _is_accepted(one))
        await asyncio.sleep(2.0)


def _is_accepted(route: Json) -> bool:
    parents = (route.get("status") or {}).get("parents") or []
    generation = route["metadata"]["generation"]
    return any(c["observedGeneration"] == generation for p in parents for c in p["conditions"])


async def _accepted(apiserver: Apiserver, route: Json) -> None:
    metadata = route["metadata"]
    condition = {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "",
        "observedGeneration": metadata["generation"],
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    parent = {
        "parentRef": route["spec"]["parentRefs"][0],
        "controllerName": "bench.example.com/gateway",
        "conditions": [condition],
    }
    path = path_of(kinds.HTTP_ROUTE, NAMESPACE, metadata["name"]) + "/status"
    try:
        await apiserver.merge(path, {"status": {"parents": [parent]}})
    except ApiError as problem:
        if not problem.is_conflict:
            raise


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(measured())))
