"""Where users come in: the listener of the traffic port, and one inside the Envoy per fault."""

from collections.abc import Sequence
from typing import Any, Final

from modelrollout.api.router import in_bytes
from modelrollout.api.spec import Version
from modelrollout.routing.router import clusters, naming, routes
from modelrollout.routing.router.wanted import Fault, Wanted, duration, port_of

Json = dict[str, Any]

TYPE: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
_HTTP: Final = "type.googleapis.com/envoy.extensions.filters.http"
_HCM: Final = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
    ".HttpConnectionManager"
)
_SHOWN: Final = f"Bearer %ENVIRONMENT({naming.FEED_VARIABLE})%"
"""Strangers may reach the observer, and must not feed it."""


def source() -> Json:
    """Where resources are asked for: a request is held by the operator until there is news.

    An Envoy that starts waits for its configuration as long as it takes: one that gives up would
    open its port without routes.
    """
    return {
        "resource_api_version": "V3",
        "initial_fetch_timeout": "0s",
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": ["xds"],
            "refresh_delay": "0.1s",
            "request_timeout": "30s",
        },
    }


def listeners(wanted: Wanted) -> Sequence[Json]:
    """The listener of users, and those of faults."""
    rds = {"config_source": source(), "route_config_name": routes.NAME}
    users = listener(wanted, {"rds": rds})
    faulty = [
        _fault(wanted, version, wanted.faults[version.name])
        for version in wanted.spec.versions
        if version.name in wanted.faults
    ]
    return [users, *faulty]


def listener(wanted: Wanted, following: Json) -> Json:
    """The listener of users.

    Args:
        wanted: what the router does.
        following: `rds`, or a whole `route_config` where nobody will be asked.
    """
    port = port_of(wanted.router)
    connection = {
        "stat_prefix": "traffic",
        "codec_type": "AUTO",
        "use_remote_address": True,
        # Whoever retries a request under its id, or correlates by it, meets what was met before.
        "preserve_external_request_id": True,
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": duration(wanted.router.timeouts.idle),
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": _filters(wanted),
        **following,
    }
    return {
        "@type": TYPE,
        "name": "traffic",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": port}},  # noqa: S104
        "filter_chains": [_chain(connection)],
    }


def _filters(wanted: Wanted) -> Sequence[Json]:
    made = []
    if (limit := wanted.router.max_body) is not None:
        buffer = {"@type": f"{_HTTP}.buffer.v3.Buffer", "max_request_bytes": in_bytes(limit)}
        made.append({"name": "envoy.filters.http.buffer", "typed_config": buffer})
    if wanted.tee is not None and wanted.observer:
        made.append(_tee())
    return [*made, _router()]


def _tee() -> Json:
    """Copies of request and answer to the observer, off the user's path; on where a route says."""
    return {
        "name": routes.EXT_PROC,
        "disabled": True,
        "typed_config": {
            "@type": f"{_HTTP}.ext_proc.v3.ExternalProcessor",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": clusters.OBSERVER},
                "timeout": "1s",
                "initial_metadata": [{"key": "authorization", "value": _SHOWN}],
            },
            "observability_mode": True,
            "failure_mode_allow": True,
            "deferred_close_timeout": "0.2s",
            "processing_mode": {
                "request_header_mode": "SEND",
                "response_header_mode": "SEND",
                "request_body_mode": "STREAMED",
                "response_body_mode": "STREAMED",
                "request_trailer_mode": "SKIP",
                "response_trailer_mode": "SKIP",
            },
        },
    }


def _fault(wanted: Wanted, version: Version, fault: Fault) -> Json:
    """A fault behind the cluster of its version, so that the version's own metrics see it."""
    name = clusters.name_of(wanted.namespace, version)
    injected: Json = {"@type": f"{_HTTP}.fault.v3.HTTPFault"}
    if fault.delayed:
        injected["delay"] = {
            "fixed_delay": duration(fault.delay_s),
            "percentage": {"numerator": fault.delayed, "denominator": "HUNDRED"},
        }
    if fault.aborted:
        injected["abort"] = {
            "http_status": fault.abort_status,
            "percentage": {"numerator": fault.aborted, "denominator": "HUNDRED"},
        }
    to = {"cluster": f"behind/{name}", "timeout": "0s"}
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": to}]}
    connection = {
        "stat_prefix": "fault",
        "codec_type": "AUTO",
        "generate_request_id": False,
        "stream_idle_timeout": "0s",
        "http_filters": [
            {"name": "envoy.filters.http.fault", "typed_config": injected},
            _router(),
        ],
        "route_config": {"name": "fault", "virtual_hosts": [host]},
    }
    return {
        "@type": TYPE,
        "name": f"fault/{name}",
        "internal_listener": {},
        "filter_chains": [_chain(connection)],
    }


def _router() -> Json:
    config = {"@type": f"{_HTTP}.router.v3.Router", "suppress_envoy_headers": True}
    return {"name": "envoy.filters.http.router", "typed_config": config}


def _chain(connection: Json) -> Json:
    config = {"@type": _HCM, **connection}
    name = "envoy.filters.network.http_connection_manager"
    return {"filters": [{"name": name, "typed_config": config}]}
