"""Where requests can go: one cluster of Envoy per version, whatever its share.

All versions of the spec have their cluster all the time, so that a change of weights is a change
of routes alone. Names resolve by DNS, in the Envoy: pods come and go without the operator.
"""

from collections.abc import Sequence
from typing import Any, Final

from modelrollout.api.spec import Version
from modelrollout.routing.router.wanted import Wanted, duration

Json = dict[str, Any]

TYPE: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
OBSERVER: Final = "observer"
_HTTP: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_MOST: Final = 1_000_000
"""Of connections and requests: the breakers of Envoy's defaults (1024) would refuse users."""
_TEE_MOST: Final = 64
"""The breaker of the observer bounds what a slow one can cost."""


def name_of(namespace: str, version: Version) -> str:
    """The name of a version's cluster; its Service belongs to it alone, so it is unique.

    Raises:
        ValueError: for a version without a Service, which the provider refuses.
    """
    front = version.front
    if front is None:
        raise ValueError(f"expected version {version.name} to have a Service, found none")
    return f"{namespace}/{front.name}/{front.port}"


def host_of(namespace: str, version: Version) -> str:
    """Where a version answers: names are completed by the search path of the pod."""
    front = version.front
    return f"{front.name}.{namespace}.svc" if front else ""


def clusters(wanted: Wanted) -> Sequence[Json]:
    """One per version, behind its fault if there is one, and the observer's for copies."""
    made = [_of_version(wanted, version) for version in wanted.spec.versions]
    made += [
        behind(wanted, version) for version in wanted.spec.versions if version.name in wanted.faults
    ]
    return [*made, _observer(wanted.observer)] if wanted.tee and wanted.observer else made


def _of_version(wanted: Wanted, version: Version) -> Json:
    name = name_of(wanted.namespace, version)
    if version.name not in wanted.faults:
        return _dns(wanted, version, name=name)
    inside = {"address": {"envoy_internal_address": {"server_listener_name": f"fault/{name}"}}}
    return {**_common(wanted, name=name), "type": "STATIC", **_assigned(name, inside)}


def behind(wanted: Wanted, version: Version) -> Json:
    """The real endpoints of a version that stands behind a fault."""
    return _dns(wanted, version, name=f"behind/{name_of(wanted.namespace, version)}")


def _dns(wanted: Wanted, version: Version, *, name: str) -> Json:
    front = version.front
    where = _socket(host_of(wanted.namespace, version), front.port if front else 0)
    return {
        **_common(wanted, name=name),
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": "1s",
        # An answer with a long life must not keep pods that are gone.
        "respect_dns_ttl": False,
        **_assigned(name, where),
    }


def _common(wanted: Wanted, *, name: str) -> Json:
    breakers = ("max_connections", "max_pending_requests", "max_requests")
    return {
        "@type": TYPE,
        "name": name,
        "connect_timeout": duration(wanted.router.timeouts.connect),
        "circuit_breakers": {"thresholds": [dict.fromkeys(breakers, _MOST)]},
        # gRPC in, gRPC out; HTTP/1 stays HTTP/1.
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": f"type.googleapis.com/{_HTTP}",
                "use_downstream_protocol_config": {
                    "http_protocol_options": {},
                    "http2_protocol_options": {},
                },
            }
        },
    }


def _observer(address: str) -> Json:
    host, _, port = address.rpartition(":")
    breakers = ("max_connections", "max_pending_requests", "max_requests")
    return {
        "@type": TYPE,
        "name": OBSERVER,
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "dns_lookup_family": "V4_PREFERRED",
        "circuit_breakers": {"thresholds": [dict.fromkeys(breakers, _TEE_MOST)]},
        "typed_extension_protocol_options": {
            _HTTP: {
                "@type": f"type.googleapis.com/{_HTTP}",
                "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        **_assigned(OBSERVER, _socket(host, int(port))),
    }


def _socket(host: str, port: int) -> Json:
    return {"address": {"socket_address": {"address": host, "port_value": port}}}


def _assigned(name: str, endpoint: Json) -> Json:
    endpoints = [{"lb_endpoints": [{"endpoint": endpoint}]}]
    return {"load_assignment": {"cluster_name": name, "endpoints": endpoints}}
