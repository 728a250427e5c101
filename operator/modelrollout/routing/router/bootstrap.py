"""What an Envoy starts with: where its configuration is asked for, and what it shows of itself.

The administration port is on loopback. What others may see of it, metrics and the editions in
force, is let through by a listener of its own.
"""

from collections.abc import Sequence
from typing import Any, Final

from modelrollout.routing.router import clusters, listeners, routes
from modelrollout.routing.router.naming import ADMIN_PORT, STATS_PORT
from modelrollout.routing.router.wanted import Wanted

Json = dict[str, Any]

EDITIONS: Final = "/editions"
"""What this Envoy has taken over, and how often it refused."""
METRICS: Final = "/metrics"
_ASKED: Final = (
    "/stats?format=json&filter=^(listener_manager.lds|cluster_manager.cds|http.traffic.rds.traffic)"
    ".(version_text|update_rejected)$"
)
BUCKETS_MS: Final = (
    *(1, 2, 5, 10, 20, 25, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750),
    *(1000, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10_000, 15_000, 20_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000),
)
"""Bounds of the latency histograms, milliseconds: thresholds of metrics must be among them."""


def following(xds: str) -> Json:
    """The bootstrap of an Envoy that follows the operator.

    Args:
        xds: where it asks, as host:port.
    """
    return {
        **_common(),
        "dynamic_resources": {
            "lds_config": listeners.source(),
            "cds_config": listeners.source(),
        },
        "static_resources": {
            "listeners": [_stats()],
            "clusters": [_admin(), _asking(xds)],
        },
    }


def frozen(wanted: Wanted) -> Json:
    """The bootstrap of an Envoy that nobody will tell anything any more: a rollout was deleted.

    What served goes on serving, also in Envoys that start later.
    """
    configuration = {"route_config": _static(routes.route_configuration(wanted))}
    return {
        **_common(),
        "static_resources": {
            "listeners": [_stats(), _static(listeners.listener(wanted, configuration))],
            "clusters": [_admin(), *(_static(one) for one in clusters.clusters(wanted))],
        },
    }


def _static(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "@type"}


def _common() -> Json:
    return {
        "admin": {"address": _loopback(ADMIN_PORT)},
        "stats_flush_interval": "1s",
        "stats_config": {
            "histogram_bucket_settings": [
                {"match": {"prefix": "cluster."}, "buckets": list(BUCKETS_MS)}
            ]
        },
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3"
                    ".InternalListener"
                },
            }
        ],
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {
                        # The process is bounded by its memory, not by a number of connections.
                        "overload.global_downstream_max_connections": 1_000_000
                    },
                }
            ]
        },
    }


def _loopback(port: int) -> Json:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _admin() -> Json:
    endpoint = {"endpoint": {"address": _loopback(ADMIN_PORT)}}
    assigned = {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {
        "name": "admin",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": assigned,
    }


def _asking(xds: str) -> Json:
    host, _, port = xds.rpartition(":")
    where = {"socket_address": {"address": host, "port_value": int(port)}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
    return {
        "name": "xds",
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_refresh_rate": "1s",
        "respect_dns_ttl": False,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "xds", "endpoints": endpoints},
    }


def _stats() -> Json:
    connection: Json = {
        "stat_prefix": "stats",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
        "route_config": {
            "name": "stats",
            "virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": _shown()}],
        },
    }
    kind = (
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager"
    )
    filters = [
        {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {"@type": kind, **connection},
        }
    ]
    return {
        "name": "stats",
        "address": {
            "socket_address": {"address": "0.0.0.0", "port_value": STATS_PORT}  # noqa: S104
        },
        "filter_chains": [{"filters": filters}],
        # Draining is about users; metrics are read to the end.
        "drain_type": "MODIFY_ONLY",
    }


def _shown() -> Sequence[Json]:
    return [
        _let_through(METRICS, "/stats/prometheus?usedonly"),
        _let_through(EDITIONS, _ASKED),
    ]


def _let_through(path: str, to: str) -> Json:
    return {"match": {"path": path}, "route": {"cluster": "admin", "prefix_rewrite": to}}
