"""What the operator asked of the apiserver, by the apiserver's own audit log."""

import json
from typing import Any, Final

from tests.cluster.handle import Cluster

USER: Final = "system:serviceaccount:modelrollout:modelrollout"


def requests(cluster: Cluster) -> list[dict[str, Any]]:
    """What the operator asked of the apiserver so far."""
    assert cluster.audit_log is not None
    lines = cluster.audit_log.read_text().splitlines()
    found = (json.loads(line) for line in lines if USER in line)
    return [one for one in found if one["user"]["username"] == USER]
