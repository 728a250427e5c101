"""The route that takes requests away from the generated one: it is named, since nobody sees it.

The Gateway API gives a request to the most specific host, path, method, headers and query, in this
order; among equals to the route that was created first, then to the first by name. A route with a
longer path, with more headers or for one page stands beside ours on purpose (a preview, a health
check) and is no shadow. Hosts that a listener lends to a route without any are not known here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import acceptance, backends
from modelrollout.routing.contract import Rollout

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Match:
    """What a rule asks of a request, but for the method."""

    kind: str
    path: str
    headers: frozenset[tuple[str, str, str]]
    query: frozenset[tuple[str, str, str]]


def shadow(rollout: Rollout, live: Json, others: Sequence[Json]) -> Reason | None:
    """Why requests of the generated route `live` go to another one; None when they do not."""
    ours = {match for rule in _rules(live) for match, _ in _matches(rule)}
    for other in others:
        if _identity(other) == _identity(live) or _is_refused(other):
            continue
        hosts = _hosts(other) & _hosts(live)
        if not hosts or not _shares_parent(other, live):
            continue
        for rule in _rules(other):
            for match, method in _matches(rule):
                if match in ours and _takes(rollout, other, live, rule, method=method):
                    where = f"host {min(hosts)}, path {match.path}"
                    return _shadowed(other, live, f"{method or 'the'} requests for {where}")
    return None


def _takes(rollout: Rollout, other: Json, live: Json, rule: Json, *, method: str) -> bool:
    """Whether a rule with a match like ours is preferred to ours.

    One for a single method always is. It matters where it leads to our versions, past the split.
    """
    if not method:
        return _precedes(other, live)
    return any(
        backends.version_of(
            rollout, {**backend, "namespace": backend.get("namespace") or _identity(other)[0]}
        )
        for backend in rule.get("backendRefs") or ()
    )


def _shadowed(other: Json, live: Json, requests: str) -> Reason:
    namespace, name = _identity(other)
    return Reason(
        Code.SHADOWED_BY_ROUTE,
        f"the HTTPRoute {namespace}/{name} takes {requests} on the same gateway before "
        f"{_identity(live)[1]} does: delete that route, or give it to the operator by naming it "
        "under `traffic.gatewayAPI.routes`",
    )


def _identity(route: Json) -> tuple[str, str]:
    return route["metadata"]["namespace"], route["metadata"]["name"]


def _precedes(other: Json, live: Json) -> bool:
    mine = (live["metadata"].get("creationTimestamp", ""), *_identity(live))
    return (other["metadata"].get("creationTimestamp", ""), *_identity(other)) < mine


def _is_refused(route: Json) -> bool:
    """Whether no gateway takes the route."""
    accepted = [
        condition["status"]
        for parent in (route.get("status") or {}).get("parents") or ()
        for condition in parent.get("conditions") or ()
        if condition["type"] == "Accepted"
    ]
    return bool(accepted) and set(accepted) == {"False"}


def _shares_parent(one: Json, two: Json) -> bool:
    return any(
        first[:3] == second[:3] and _meets(first[3], second[3]) and _meets(first[4], second[4])
        for first in _parents(one)
        for second in _parents(two)
    )


def _meets(one: str, two: str) -> bool:
    return one == two or not one or not two


def _parents(route: Json) -> list[tuple[str, str, str, str, str]]:
    return [
        acceptance.identity(parent, route["metadata"]["namespace"])
        for parent in (route.get("spec") or {}).get("parentRefs") or ()
    ]


def _hosts(route: Json) -> set[str]:
    return {host.lower() for host in (route.get("spec") or {}).get("hostnames") or ("*",)}


def _rules(route: Json) -> Sequence[Json]:
    return (route.get("spec") or {}).get("rules") or ()


def _matches(rule: Json) -> Iterable[tuple[_Match, str]]:
    """What a rule asks of a request, and of which method, "" for any."""
    listed: Sequence[Json] = rule.get("matches") or ({},)
    for match in listed:
        path = match.get("path") or {}
        kind, value = path.get("type") or "PathPrefix", path.get("value") or "/"
        asked = _Match(
            kind,
            (value.rstrip("/") or "/") if kind == "PathPrefix" else value,
            _asked(match.get("headers"), lower=True),
            _asked(match.get("queryParams"), lower=False),
        )
        yield asked, match.get("method") or ""


def _asked(entries: Sequence[Json] | None, *, lower: bool) -> frozenset[tuple[str, str, str]]:
    return frozenset(
        (
            entry.get("type") or "Exact",
            entry["name"].lower() if lower else entry["name"],
            entry["value"],
        )
        for entry in entries or ()
    )
