"""How long harm lives: from damning counters in Prometheus to 0 % as a client sees it."""

import json
import time
from statistics import median
from typing import Any, Final

from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet, backend, route
from tests.e2e.load import Load

RUNS: Final = 3
INTERVAL_S: Final = 4.0
SCRAPE_S: Final = 2.0
_QUIET_S: Final = 3.0
_DAMNING: Final = 10
"""Errors that condemn alone: of 10 at an even split all are the candidate's once in 1,024."""


def measured(cluster: Cluster) -> dict[str, Any]:
    """Seconds of each run, and the gateway's own delay, measured without the operator."""
    reactions, delays = [], []
    for _ in range(RUNS):
        with kubectl.new_namespace("bench") as name:
            ml = Fleet(name)
            ml.deploy("v1", "v2")
            reactions.append(_reaction(cluster, ml))
            delays.append(_delay(cluster, ml))
    return {
        "reactions_s": reactions,
        "gateway_s": delays,
        "interval_s": INTERVAL_S,
        "scrape_s": SCRAPE_S,
        "bound_s": INTERVAL_S + SCRAPE_S + median(delays),
    }


def _reaction(cluster: Cluster, ml: Fleet) -> float:
    ml.rollout(
        strategy={"canary": {"weights": [50], "minDuration": "10m"}},
        analysis={"interval": "4s", "warmUp": "2s", "metrics": [fleet.ERRORS]},
    )
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s.get("look", {}).get("number", 0) >= 2)
        ml.behave("v2", errors=1.0)
        readable = _condemned(cluster, ml.namespace)
        ml.phase("RolledBack", "Draining")
        _quiet(load)
        last = max(at for at, version, _ in load.log if version == "v2")
    ml.kubectl("delete", "mr", "fraud")
    ml.kubectl("delete", "httproute", "fraud-rollout")
    return last - readable


def _condemned(cluster: Cluster, namespace: str) -> float:
    """When Prometheus first answers with errors enough to condemn (monotonic seconds)."""
    errors = f'http_requests_total{{namespace="{namespace}",service="fraud-v2",code="500"}}'
    query = f"sum({errors}) >= {_DAMNING}"
    while not cluster.query(query):
        time.sleep(0.02)
    return time.monotonic()


def _quiet(load: Load) -> None:
    """Waits until the candidate has not answered for a while."""
    while True:
        last = max((at for at, version, _ in load.log if version == "v2"), default=0.0)
        if time.monotonic() - last > _QUIET_S:
            return
        time.sleep(0.1)


def _delay(cluster: Cluster, ml: Fleet) -> float:
    """From the answer to a patch by hand to the last answer of the version that lost its weight."""
    ml.apply(route(ml.host, {"backendRefs": [backend("v1", 1), backend("v2", 1)]}))
    with Load(cluster.gateway_url, ml.host) as load:
        while load.answered["v2"] == 0:
            time.sleep(0.05)
        gone = [{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 0}]
        ml.kubectl("patch", "httproute", "fraud", "--type=json", "-p", json.dumps(gone))
        patched = time.monotonic()
        _quiet(load)
        last = max(at for at, version, _ in load.log if version == "v2")
    ml.kubectl("delete", "httproute", "fraud")
    return max(0.0, last - patched)
