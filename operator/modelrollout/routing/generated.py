"""The route that the operator generates: written whole, and read back."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api.spec import GatewayAPI, Match, Timeouts
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import backends, gateway_features, ownership
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb

Json = Mapping[str, Any]

STABLE: Final = "modelrollout.dev/stable"
UID: Final = "modelrollout.dev/uid"
DECISION: Final = "modelrollout.dev/decision"
PREVIEW: Final = "modelrollout.dev/preview"
_SHAPING: Final = frozenset(
    {
        *("filters", "sessionPersistence", "retry", "timeouts", "request", "backendRequest"),
        *("headers", "queryParams", "method", "namespace", "sectionName", "port"),
        *("match", "rewrite", "redirect", "directResponse", "delegate", "fault", "timeout"),
        *("mirror", "mirrors", "subset", "tcp", "tls"),
        *("weighted", "mirroring", "highestRandomWeight", "failover"),
    }
)
"""Fields that change the traffic and have no default: where we do not write them, nobody may."""


def name_of(rollout: Rollout) -> str:
    """The name of the generated route."""
    return f"{rollout.name}-rollout"


def render(
    rollout: Rollout, desired: Desired, target: Reference, live: Json | None
) -> Sequence[Change]:
    """The whole route, unless it is there as wanted already, or belongs to somebody else.

    Raises:
        ValueError: when no version has a share; a route without backends answers with errors.
    """
    body = _body(rollout, desired, target)
    if live is not None and (not is_of(rollout, live) or holds(live, body)):
        return ()
    return (Change(Verb.APPLY, target, body),)


def remove(rollout: Rollout, target: Reference, live: Json | None) -> Sequence[Change]:
    """Deletes the route that was read, if it is ours, and no other of that name."""
    if live is None or not is_of(rollout, live):
        return ()
    precondition = {"preconditions": {"uid": live["metadata"]["uid"]}}
    return (Change(Verb.DELETE, target, precondition),)


def split(rollout: Rollout, live: Json) -> tuple[dict[str, int] | None, Reason | None]:
    """Parts of ten thousand per version; why they cannot be read, if so."""
    if not is_of(rollout, live):
        sentence = (
            f"the HTTPRoute {name_of(rollout)} exists and was not generated for this rollout: "
            "delete or rename it, or name it under `routes`"
        )
        return None, Reason(Code.ROUTE_MISSING, sentence)
    found: list[dict[str, int]] = []
    for rule in (live.get("spec") or {}).get("rules") or ():
        weights: dict[str, int] = {}
        for backend in rule.get("backendRefs") or ():
            version = backends.version_of(rollout, backend)
            if version is not None:
                weights[version] = weights.get(version, 0) + backends.weight_of(backend)
            elif backends.weight_of(backend) > 0:
                return None, _contradicts(f"sends requests to {backends.address(backend)}, too")
        found.append(backends.parts(weights))
    if not found or any(weights != found[0] for weights in found):
        return None, _contradicts("has no rule, or rules that disagree")
    return found[0], None


def _contradicts(what: str) -> Reason:
    sentence = f"somebody changed the generated route: it {what}; it is put back"
    return Reason(Code.SPLIT_CONTRADICTS, sentence)


def is_generated(route: Json) -> bool:
    """Whether some rollout generated a route."""
    return (route["metadata"].get("labels") or {}).get(ownership.MANAGED_BY) == ownership.OURS


def is_of(rollout: Rollout, live: Json) -> bool:
    """Whether a route was generated for this rollout."""
    labels = live["metadata"].get("labels") or {}
    return is_generated(live) and labels.get(ownership.ROLLOUT) == rollout.name


def holds(live: Json, body: Json) -> bool:
    """Whether the live route says all that ours says; what the apiserver adds does not count."""
    noted = (
        (live["metadata"].get(field) or {}).get(key) == value
        for field in ("labels", "annotations")
        for key, value in body["metadata"][field].items()
    )
    return all(noted) and _says(live.get("spec") or {}, body["spec"])


def _says(live: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return (
            isinstance(live, Mapping)
            and not any(live[key] for key in _SHAPING & (live.keys() - wanted.keys()))
            and all(_says(live.get(key), value) for key, value in wanted.items())
        )
    if isinstance(wanted, list):
        there = live or []
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_says(one, two) for one, two in zip(there, wanted, strict=True))
        )
    return live == wanted


def _body(rollout: Rollout, desired: Desired, target: Reference) -> dict[str, Any]:
    asked = rollout.spec.traffic.gateway_api
    if asked is None:
        raise ValueError("expected spec.traffic.gatewayAPI, found another provider")
    # Hosts are written even when there are none, or those of another writer would stay.
    spec: dict[str, Any] = {
        "hostnames": list(asked.hostnames),
        "parentRefs": [
            parent.model_dump(mode="json", by_alias=True, exclude_none=True)
            for parent in asked.parent_refs
        ],
        "rules": [_rule(rollout, asked, desired)],
    }
    return {
        "apiVersion": f"{target.kind.group}/{target.kind.version}",
        "kind": target.kind.kind,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": {ownership.MANAGED_BY: ownership.OURS, ownership.ROLLOUT: rollout.name},
            "annotations": {
                STABLE: desired.stable,
                UID: rollout.uid,
                DECISION: str(desired.sequence),
            },
        },
        "spec": spec,
    }


def _rule(rollout: Rollout, asked: GatewayAPI, desired: Desired) -> dict[str, Any]:
    serving = [
        {**backends.ref(one), "weight": desired.shares[one.name]}
        for one in rollout.spec.versions
        if desired.shares.get(one.name, 0) > 0
    ]
    if not serving:
        raise ValueError(f"expected at least one version with a share, found {desired.shares}")
    copied = [gateway_features.mirror(rollout, desired.tee)] if desired.tee else []
    filters = {"filters": copied} if copied else {}
    return {**conditions(asked), **filters, "backendRefs": serving}


def conditions(asked: GatewayAPI) -> dict[str, Any]:
    """Which requests a rule takes, and how long they may last."""
    rule: dict[str, Any] = {"matches": [_match(match) for match in asked.matches or [Match()]]}
    if asked.timeouts is not None and (timeouts := _timeouts(asked.timeouts)):
        rule["timeouts"] = timeouts
    return rule


def _match(match: Match) -> dict[str, Any]:
    made: dict[str, Any] = {"path": {"type": "PathPrefix", "value": match.path}}
    if match.headers:
        made["headers"] = [
            {"type": "Exact", "name": name, "value": value}
            for name, value in sorted(match.headers.items())
        ]
    return made


def _timeouts(asked: Timeouts) -> dict[str, str]:
    given = {"request": asked.request, "backendRequest": asked.backend_request}
    return {name: _duration(value) for name, value in given.items() if value is not None}


def _duration(length_s: float) -> str:
    """A duration of the Gateway API (GEP-2257), which knows hours but no days."""
    left, words = round(length_s * 1000), ""
    for unit, length_ms in (("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, length_ms)
        words += f"{count}{unit}" if count else ""
    return words or "0s"
