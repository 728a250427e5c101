"""Which request goes where: one route configuration, in which intervals of users are weights.

Weights are parts of ten thousand and always drawn from a salted hash: of the user where there is
one, else of the request's id. Envoy takes the first cluster whose running total exceeds the hash
modulo the sum, so that intervals keep their meaning, and the draw is independent of sampling.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.assignment.assigning import Assignment
from modelrollout.routing.router import clusters
from modelrollout.routing.router.wanted import Wanted, duration, version_named

Json = dict[str, Any]

TYPE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
NAME: Final = "traffic"
READY: Final = "/.well-known/modelrollout/ready"
"""Answered by the router itself, on the port of users: that it is shows that it has its routes."""
EXT_PROC: Final = "envoy.filters.http.ext_proc"
_PER_ROUTE: Final = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
_ID: Final = "x-request-id"
_COOKIE_S: Final = 30 * 86_400


def route_configuration(wanted: Wanted) -> Json:
    """The whole route configuration.

    Raises:
        ValueError: when the decision gives requests to a version that the spec does not name.
    """
    hosts = [_preview(wanted)] if wanted.preview and wanted.preview_host else []
    everybody = {"name": "users", "domains": ["*"], "routes": [_ready(), *_routes(wanted)]}
    return {
        "@type": TYPE,
        "name": NAME,
        # A route to a cluster that is not there is refused, instead of failing every request.
        "validate_clusters": True,
        "virtual_hosts": [*hosts, everybody],
    }


def cluster_of(wanted: Wanted, name: str) -> str:
    """The cluster of a version.

    Raises:
        ValueError: when the spec does not name it.
    """
    version = version_named(wanted.spec, name)
    if version is None:
        raise ValueError(f"expected the decision to name versions of the spec, found {name}")
    return clusters.name_of(wanted.namespace, version)


def _ready() -> Json:
    return {"match": {"path": READY}, "direct_response": {"status": 200}}


def _preview(wanted: Wanted) -> Json:
    host = wanted.preview_host
    action = {"cluster": cluster_of(wanted, wanted.preview), **_patience(wanted)}
    return {
        "name": "preview",
        "domains": [host, f"{host}:*"],
        "routes": [{"match": {"prefix": "/"}, "route": action}],
    }


def _routes(wanted: Wanted) -> Sequence[Json]:
    """Testers first, then users by what they are known by; each also as a sampled twin."""
    plain = [*_overrides(wanted), *_by_user(wanted)]
    if wanted.tee is None or not wanted.observer:
        return plain
    return [route for one in plain for route in (_sampled(one, wanted.tee.parts), one)]


def _sampled(route: Json, parts: int) -> Json:
    fraction = {"default_value": {"numerator": parts, "denominator": "TEN_THOUSAND"}}
    return {
        **route,
        "match": {**route["match"], "runtime_fraction": fraction},
        "typed_per_filter_config": {EXT_PROC: {"@type": _PER_ROUTE, "overrides": {}}},
    }


def _overrides(wanted: Wanted) -> Sequence[Json]:
    header = wanted.assignment.override
    if not header:
        return ()
    return [
        {
            "match": {
                "prefix": "/",
                "headers": [{"name": header, "string_match": {"exact": version.name}}],
            },
            "route": {"cluster": clusters.name_of(wanted.namespace, version), **_patience(wanted)},
        }
        for version in wanted.spec.versions
        if version.name in wanted.serving
    ]


def _by_user(wanted: Wanted) -> Sequence[Json]:
    assigned, everything = wanted.assignment, {"prefix": "/"}
    if len(wanted.serving) == 1:
        (name,) = wanted.serving
        action = {"cluster": cluster_of(wanted, name), **_patience(wanted)}
        return [{"match": everything, "route": action}]
    sticky = wanted.router.sticky
    header = assigned.header or (sticky.header if sticky else None)
    cookie = assigned.cookie or (sticky.cookie if sticky else None)
    made = []
    if header:
        match = {"prefix": "/", "headers": [{"name": header, "present_match": True}]}
        made.append(_split(wanted, match, header=header))
    if cookie:
        here = rf"(?:.*;\s*)?{re.escape(cookie)}=[^;]+.*"
        match = {"prefix": "/", "headers": [_matches("cookie", here)]}
        taken = rf"^(?:.*;\s*)?{re.escape(cookie)}=([^;]+).*$"
        made.append(_split(wanted, match, header="cookie", pattern=taken))
    return [*made, _unknown_user(wanted, cookie=cookie)]


def _unknown_user(wanted: Wanted, *, cookie: str | None) -> Json:
    """Who names no user: in a test by user they are no part of it, else each request is drawn."""
    assigned = wanted.assignment
    if assigned.header or assigned.cookie:
        action = {"cluster": cluster_of(wanted, assigned.stable), **_patience(wanted)}
        return {"match": {"prefix": "/"}, "route": action}
    made = _split(wanted, {"prefix": "/"}, header=_ID)
    if cookie:
        text = f"{cookie}=%REQ({_ID})%; Path=/; Max-Age={_COOKIE_S}; HttpOnly; SameSite=Lax"
        made["response_headers_to_add"] = [
            {
                "header": {"key": "set-cookie", "value": text},
                "append_action": "APPEND_IF_EXISTS_OR_ADD",
            }
        ]
    return made


def _split(wanted: Wanted, match: Json, *, header: str, pattern: str = "^(.*)$") -> Json:
    return {
        "match": match,
        "route": {
            "weighted_clusters": {
                "use_hash_policy": True,
                "clusters": weights(wanted),
            },
            "hash_policy": [_hashed(wanted.assignment, header=header, pattern=pattern)],
            **_patience(wanted),
        },
    }


def weights(wanted: Wanted) -> Sequence[Json]:
    """The intervals, in their order; a version may come more than once.

    Raises:
        ValueError: when they do not sum to `PARTS`: another sum would move everybody.
    """
    found = [
        {"name": cluster_of(wanted, one.version), "weight": one.parts}
        for one in wanted.assignment.intervals
    ]
    total = sum(one.parts for one in wanted.assignment.intervals)
    if total != scalars.PARTS:
        raise ValueError(f"expected intervals that sum to {scalars.PARTS}, found {total}")
    return found


def _hashed(assigned: Assignment, *, header: str, pattern: str) -> Json:
    salted = {"pattern": {"regex": pattern}, "substitution": rf"{assigned.salt}:\1"}
    return {"header": {"header_name": header, "regex_rewrite": salted}, "terminal": True}


def _matches(header: str, pattern: str) -> Json:
    return {"name": header, "string_match": {"safe_regex": {"regex": pattern}}}


def _patience(wanted: Wanted) -> Json:
    """Timeouts; no retries, since a retried answer would hide the error that is to be counted."""
    timeouts = wanted.router.timeouts
    return {
        "timeout": duration(timeouts.request or 0.0),
        "idle_timeout": duration(timeouts.idle),
    }
