"""What the Envoys themselves say to be in force: the only ones who know it.

A configuration that was sent is not one that was taken over, and the replica of the operator that
sent it may be another than the one that asks here. So the edge asks every ready Envoy (`/editions`)
and hands the answers in among the live objects, under a reference of this kind.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from modelrollout.routing.contract import Kind, Reference, Rollout
from modelrollout.routing.router import naming
from modelrollout.routing.router.edition import Edition

KIND: Final = Kind("", "", "", "EnvoyAnswers")
"""No object of the apiserver."""
_STATS: Final = {
    "listener_manager.lds": "listeners",
    "cluster_manager.cds": "clusters",
    "http.traffic.rds.traffic": "routes",
}
_STAT: Final = re.compile(r"(.+)\.(version_text|update_rejected)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one Envoy says.

    Attributes:
        name: of its pod.
        editions: in force, by type of resource; a type without one has none yet.
        refused: how often it refused an edition, by type of resource.
        problem: why it did not answer, "" when it did.
    """

    name: str
    editions: Mapping[str, Edition] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    def has(self, edition: Edition) -> bool:
        """Whether it routes by this decision of this rollout, or a later one."""
        routes = self.editions.get("routes")
        return routes is not None and (routes.created, routes.sequence) >= (
            edition.created,
            edition.sequence,
        )


def reference(rollout: Rollout) -> Reference:
    """Under which the answers stand among the live objects."""
    return Reference(KIND, rollout.namespace, naming.name_of(rollout))


def among(rollout: Rollout, live: Mapping[Reference, Mapping[str, Any]]) -> Sequence[Answer]:
    """The answers that the edge handed in; none where it asked nobody."""
    return tuple(live.get(reference(rollout), {}).get("answers", ()))


def parsed(name: str, text: str | bytes) -> Answer:
    """What an Envoy answered to `/editions`.

    Args:
        name: of its pod.
        text: the body, Envoy's statistics as JSON.
    """
    try:
        stats = json.loads(text)["stats"]
    except (ValueError, KeyError, TypeError):
        return Answer(name, problem="its answer is not Envoy's statistics")
    editions: dict[str, Edition] = {}
    refused: dict[str, int] = {}
    for stat in stats:
        found = _STAT.fullmatch(str(stat.get("name", "")))
        what = _STATS.get(found.group(1)) if found else None
        if found is None or what is None:
            continue
        if found.group(2) == "update_rejected":
            refused[what] = int(stat["value"])
        elif (edition := Edition.parsed(str(stat["value"]))) is not None:
            editions[what] = edition
    return Answer(name, editions, refused)
