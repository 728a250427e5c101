"""A past for a service that was deployed a moment ago: blocks in the data of the real Prometheus.

Some pods of an earlier revision, each with rates of its own that wander from minute to minute, as
noisy neighbours make them; written with promtool into the folder of the cluster's Prometheus, which
takes up new blocks by itself within a minute.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.cluster.build import binaries
from tests.cluster.handle import Cluster
from tests.e2e import kubectl

Counts = NDArray[np.int64]
STEP_S: Final = 15
PER_MINUTE: Final = 60 // STEP_S
AGO_S: Final = 15 * 60
"""It ends so long ago: Prometheus is still writing what is younger."""


@dataclass(frozen=True, slots=True)
class Past:
    """What one version went through.

    Attributes:
        namespace: of the version.
        service: its Service.
        hours: long.
        pods: side by side all the time.
        requests_per_s: of each pod.
        rate: of errors, the median of all minutes.
        wandering: standard deviation of a pod's log rate from minute to minute.
        lasting: half of it from the wandering of the minute before.
        apart: standard deviation of the pods' log rates, for good.
        seed: of the draw.
    """

    namespace: str
    service: str
    hours: float = 13.2
    pods: int = 4
    requests_per_s: float = 15.0
    rate: float = 0.05
    wandering: float = 0.2
    lasting: float = 0.5
    apart: float = 0.05
    seed: int = 7

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pods."""
        return tuple(f"{self.service}-5d4f8c7b9-{letter * 5}" for letter in "bcdfghjk"[: self.pods])

    def counts(self) -> tuple[Counts, Counts]:
        """Answers without and with an error so far, of shape (pods, samples) each."""
        draw = np.random.default_rng(self.seed)
        minutes = round(self.hours * 60)
        logs = np.zeros((self.pods, minutes))
        fresh = self.wandering * (1.0 - self.lasting**2) ** 0.5
        logs[:, 0] = draw.normal(0.0, self.wandering, self.pods)
        for minute in range(1, minutes):
            logs[:, minute] = self.lasting * logs[:, minute - 1] + draw.normal(0, fresh, self.pods)
        logs += draw.normal(0.0, self.apart, (self.pods, 1))
        rates = np.repeat(self.rate * np.exp(logs), PER_MINUTE, axis=1)
        trials = draw.poisson(self.requests_per_s * STEP_S, rates.shape)
        errors = draw.binomial(trials, np.minimum(rates, 1.0))
        return np.cumsum(trials - errors, axis=1), np.cumsum(errors, axis=1)

    def openmetrics(self, *, until: float) -> Iterator[str]:
        """Its series, line by line; the last sample is at most a step before `until`."""
        good, bad = self.counts()
        last = int(until // 60) * 60
        at = last - STEP_S * np.arange(good.shape[1])[::-1]
        yield "# TYPE http_requests counter"
        for number, pod in enumerate(self.names):
            for code, counted in (("200", good[number]), ("500", bad[number])):
                labels = self._labels(pod, code=code, address=f"10.99.0.{number + 1}:8080")
                for instant, value in zip(at, counted, strict=True):
                    yield f"http_requests_total{{{labels}}} {value} {instant}"
        yield "# EOF"

    def _labels(self, pod: str, *, code: str, address: str) -> str:
        named = {
            "namespace": self.namespace,
            "service": self.service,
            "job": self.service,
            "pod": pod,
            "container": "model",
            "endpoint": "http",
            "instance": address,
            "code": code,
        }
        return ",".join(f'{name}="{value}"' for name, value in named.items())


def remember(cluster: Cluster, past: Past, *, folder: Path) -> None:
    """Gives it to the cluster's Prometheus and waits until that answers with all of it.

    Args:
        cluster: one of ours.
        past: what shall have been.
        folder: for the series as text and for the blocks, before they are moved.
    """
    until = time.time() - AGO_S
    text, blocks = folder / "past.txt", folder / "blocks"
    text.write_text("\n".join(past.openmetrics(until=until)) + "\n")
    promtool = binaries.ensure().promtool
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", text, blocks],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    data = data_folder(cluster)
    for block in blocks.iterdir():
        # In one step, so that Prometheus never meets a half of it.
        arriving = data / f"{block.name}.tmp-for-creation"
        subprocess.run(["cp", "-r", block, arriving], check=True)
        arriving.rename(data / block.name)
    _await(cluster, past)


def data_folder(cluster: Cluster) -> Path:
    """Where the cluster's Prometheus keeps its data."""
    found: dict[str, Any] = json.loads(
        kubectl.must("-n", "monitoring", "get", "pods", "-l", "app=prometheus", "-o", "json")
    )
    (pod,) = found["items"]
    uid = str(pod["metadata"]["uid"])
    return cluster.kubeconfig.with_name("pods") / uid / "volumes" / "data"


def _await(cluster: Cluster, past: Past) -> None:
    wanted = past.pods * 2 * round(past.hours * 60) * PER_MINUTE
    series = (
        f'http_requests_total{{namespace="{past.namespace}",pod=~"{past.service}-5d4f8c7b9-.*"}}'
    )
    deadline, found = time.monotonic() + 150, 0
    while time.monotonic() < deadline:
        answer = cluster.query(f"sum(count_over_time({series}[{past.hours + 1:.0f}h]))")
        found = int(answer[0]["value"][1]) if answer else 0
        if found >= wanted:
            return
        time.sleep(0.5)
    raise AssertionError(f"Prometheus has {found} of {wanted} samples of the past")
