"""What a rollout at rest costs, and how fast drift is put back all the same."""

import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster.handle import Cluster
from tests.e2e import kubectl
from tests.e2e.audit import requests
from tests.e2e.fleet import Fleet, backend

REST_S: Final = 60.0
_SETTLED_S: Final = 5.0


def measured(cluster: Cluster) -> dict[str, Any]:
    """Requests and queries in a minute of rest, and seconds until drift is put back."""
    with kubectl.new_namespace("bench") as name:
        ml = Fleet(name)
        ml.serving()
        time.sleep(_SETTLED_S)
        since = datetime.now(UTC)
        time.sleep(REST_S)
        calls = [one for one in requests(cluster) if _counts(one, since)]
        queries = _queries(cluster, name, since)
        hand = [{"op": "add", "path": "/spec/rules/0/backendRefs", "value": [backend("v2", 1)]}]
        began = time.monotonic()
        ml.kubectl("patch", "httproute", "fraud-rollout", "--type=json", "-p", json.dumps(hand))
        path = "jsonpath={.spec.rules[0].backendRefs[0].name}=fraud-v1"
        ml.kubectl("wait", "httproute/fraud-rollout", f"--for={path}", "--timeout=10s")
        return {
            "rest_s": REST_S,
            "calls": len(calls),
            "queries": queries,
            "put_back_s": time.monotonic() - began,
        }


def _counts(request: dict[str, Any], since: datetime) -> bool:
    at = datetime.fromisoformat(request["requestReceivedTimestamp"])
    there = request.get("objectRef", {}).get("resource")
    return at >= since and there != "leases" and request["verb"] != "watch"


def _queries(cluster: Cluster, namespace: str, since: datetime) -> int:
    assert cluster.query_log is not None
    found = (json.loads(line) for line in cluster.query_log.read_text().splitlines() if line)
    return sum(
        1
        for one in found
        if namespace in json.dumps(one) and datetime.fromisoformat(one["ts"]) >= since
    )
