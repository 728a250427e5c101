"""The route that the operator generates: written whole, read back, and watched for shadows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.api.spec import GatewayAPI, Match, Timeouts
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb

Json = Mapping[str, Any]

STABLE: Final = "modelrollout.dev/stable"
UID: Final = "modelrollout.dev/uid"
DECISION: Final = "modelrollout.dev/decision"
ROLLOUT: Final = "modelrollout.dev/rollout"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OURS: Final = "modelrollout"
_ANYWHERE: Final = "/"


def name_of(rollout: Rollout) -> str:
    """The name of the generated route."""
    return f"{rollout.name}-rollout"


def render(
    rollout: Rollout, desired: Desired, target: Reference, live: Json | None
) -> Sequence[Change]:
    """The whole route, unless it is there as wanted already, or belongs to somebody else."""
    body = _body(rollout, desired, target)
    if live is not None and (not _is_ours(rollout, live) or _holds(live, body)):
        return ()
    return (Change(Verb.APPLY, target, body),)


def remove(rollout: Rollout, target: Reference, live: Json | None) -> Sequence[Change]:
    """Deletes the route that was read, if it is ours, and no other of that name."""
    if live is None or not _is_ours(rollout, live):
        return ()
    precondition = {"preconditions": {"uid": live["metadata"]["uid"]}}
    return (Change(Verb.DELETE, target, precondition),)


def split(rollout: Rollout, live: Json) -> tuple[dict[str, int] | None, Reason | None]:
    """Parts of ten thousand per version; why the route cannot be ours, if so."""
    if not _is_ours(rollout, live):
        sentence = (
            f"the HTTPRoute {name_of(rollout)} exists and was not generated for this rollout: "
            "delete or rename it, or name it under `routes`"
        )
        return None, Reason(Code.ROUTE_MISSING, sentence)
    names = {
        (version.service.name, version.service.port): version.name
        for version in rollout.spec.versions
    }
    found: list[dict[str, int]] = []
    for rule in (live.get("spec") or {}).get("rules") or ():
        weights: dict[str, int] = {}
        for backend in rule.get("backendRefs") or ():
            version = names.get((backend["name"], backend.get("port")))
            if version is None:
                return None, None
            weights[version] = weights.get(version, 0) + int(backend.get("weight", 1))
        found.append(parts(weights))
    if not found or any(weights != found[0] for weights in found):
        return None, None
    return found[0], None


def parts(weights: Mapping[str, int]) -> dict[str, int]:
    """Weights of any sum as parts of ten thousand, by the largest remainder."""
    total = sum(weights.values())
    if total <= 0:
        return {}
    exact = {name: weight * scalars.PARTS / total for name, weight in weights.items()}
    whole = {name: int(value) for name, value in exact.items()}
    missing = scalars.PARTS - sum(whole.values())
    by_remainder = sorted(exact, key=lambda name: (whole[name] - exact[name], name))
    for name in by_remainder[:missing]:
        whole[name] += 1
    return {name: value for name, value in whole.items() if value > 0}


def shadow(rollout: Rollout, live: Json, others: Sequence[Json]) -> Reason | None:
    """The older route that takes the same host and path on the same gateway, if there is one.

    The Gateway API gives a match to the route that was created first, then to the first by name.
    """
    for other in others:
        if _identity(other) == _identity(live) or not _precedes(other, live):
            continue
        if not _shares_parent(other, live) or not _shares_host(other, live):
            continue
        both = _paths(other) & _paths(live)
        if both:
            return _shadowed(rollout, other, min(both))
    return None


def _shadowed(rollout: Rollout, other: Json, match: tuple[str, ...]) -> Reason:
    namespace, name = _identity(other)
    return Reason(
        Code.SHADOWED_BY_ROUTE,
        f"the older HTTPRoute {namespace}/{name} takes the same host and path ({match[0]}) on the "
        f"same gateway, so that {name_of(rollout)} gets no requests: delete that route, or give "
        "it to the operator by naming it under `traffic.gatewayAPI.routes`",
    )


def _identity(route: Json) -> tuple[str, str]:
    return route["metadata"]["namespace"], route["metadata"]["name"]


def _precedes(other: Json, live: Json) -> bool:
    mine = (live["metadata"].get("creationTimestamp", ""), *_identity(live))
    return (other["metadata"].get("creationTimestamp", ""), *_identity(other)) < mine


def _parents(route: Json) -> set[tuple[str, str, str]]:
    namespace = route["metadata"]["namespace"]
    return {
        (parent.get("namespace") or namespace, parent["name"], parent.get("sectionName") or "")
        for parent in (route.get("spec") or {}).get("parentRefs") or ()
    }


def _shares_parent(one: Json, two: Json) -> bool:
    return any(
        (namespace, name) == (n, m) and (section == other or not section or not other)
        for namespace, name, section in _parents(one)
        for n, m, other in _parents(two)
    )


def _shares_host(one: Json, two: Json) -> bool:
    first = set((one.get("spec") or {}).get("hostnames") or ["*"])
    second = set((two.get("spec") or {}).get("hostnames") or ["*"])
    return bool(first & second)


def _paths(route: Json) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    for rule in (route.get("spec") or {}).get("rules") or ():
        matches: Sequence[Json] = rule.get("matches") or ({},)
        for match in matches:
            path = match.get("path") or {}
            headers = sorted(f"{h['name']}={h['value']}" for h in match.get("headers") or ())
            kind = path.get("type", "PathPrefix")
            found.add((path.get("value", _ANYWHERE), kind, *headers))
    return found


def is_generated(route: Json) -> bool:
    """Whether some rollout generated a route."""
    return (route["metadata"].get("labels") or {}).get(MANAGED_BY) == OURS


def _is_ours(rollout: Rollout, live: Json) -> bool:
    labels = live["metadata"].get("labels") or {}
    return labels.get(MANAGED_BY) == OURS and labels.get(ROLLOUT) == rollout.name


def _holds(live: Json, body: Json) -> bool:
    """Whether the live route says all that ours says; what the apiserver adds does not count."""
    return all(
        _says(live["metadata"].get(field) or {}, body["metadata"][field])
        for field in ("labels", "annotations")
    ) and _says(live.get("spec") or {}, body["spec"])


def _says(live: object, wanted: object) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(
            _says(live.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(_says(one, two) for one, two in zip(live, wanted, strict=True))
        )
    return live == wanted


def _body(rollout: Rollout, desired: Desired, target: Reference) -> dict[str, Any]:
    asked = rollout.spec.traffic.gateway_api
    if asked is None:
        raise ValueError("expected spec.traffic.gatewayAPI, found another provider")
    spec: dict[str, Any] = {
        "parentRefs": [
            parent.model_dump(mode="json", by_alias=True, exclude_none=True)
            for parent in asked.parent_refs
        ],
        "rules": [_rule(rollout, asked, desired)],
    }
    if asked.hostnames:
        spec["hostnames"] = list(asked.hostnames)
    return {
        "apiVersion": f"{target.kind.group}/{target.kind.version}",
        "kind": target.kind.kind,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": {MANAGED_BY: OURS, ROLLOUT: rollout.name},
            "annotations": {
                STABLE: desired.stable,
                UID: rollout.uid,
                DECISION: str(desired.sequence),
            },
        },
        "spec": spec,
    }


def _rule(rollout: Rollout, asked: GatewayAPI, desired: Desired) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "backendRefs": [
            {
                "name": version.service.name,
                "port": version.service.port,
                "weight": desired.shares[version.name],
            }
            for version in rollout.spec.versions
            if desired.shares.get(version.name, 0) > 0
        ]
    }
    if asked.matches:
        rule["matches"] = [_match(match) for match in asked.matches]
    if asked.timeouts is not None:
        rule["timeouts"] = _timeouts(asked.timeouts)
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
    return {name: scalars.duration(value) for name, value in given.items() if value is not None}
