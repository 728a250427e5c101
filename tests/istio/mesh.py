"""Istio's control plane and one Envoy that it configures, as processes beside the cluster.

The Envoy is the plain one, without Istio's own filters: those that need them are switched off, and
so is mutual TLS, which would leave clusters waiting for certificates for ever.
"""

import contextlib
import json
import os
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.cluster.build import recipes
from tests.cluster.handle import Cluster

PORT: Final = 18080
URL: Final = f"http://127.0.0.1:{PORT}"
ROUTES_PORT: Final = 18090
ROUTES_URL: Final = f"http://127.0.0.1:{ROUTES_PORT}"
"""Of the Gateway of the Gateway API: namespace istio-system, name routes."""
NAMESPACE: Final = "istio-system"
_XDS, _HTTP, _MONITORING, _ADMIN = 15010, 18081, 15014, 15000
_WITHIN_S: Final = 60.0

_MESH: Final = "enableAutoMtls: false\ndefaultConfig:\n  discoveryAddress: 127.0.0.1:15010\n"
_SETTINGS: Final = {
    "ENABLE_CA_SERVER": "false",
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "PILOT_CERT_PROVIDER": "none",
    "POD_NAME": "istiod",
    "POD_NAMESPACE": NAMESPACE,
}
_GATEWAY: Final = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: public, namespace: {NAMESPACE}}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: {PORT}, name: http, protocol: HTTP}}
      hosts: ["*"]
"""
# A Gateway of the Gateway API whose proxy runs already is found by the address of a Service.
_IP: Final = "10.244.255.250"
_ROUTES: Final = f"""
apiVersion: v1
kind: Service
metadata: {{name: gateway, namespace: {NAMESPACE}}}
spec:
  clusterIP: None
  # Istio knows by these labels that our Envoy stands behind it, though it is no pod.
  selector: {{istio: ingressgateway}}
  ports: [{{name: http, port: {ROUTES_PORT}}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: gateway-1
  namespace: {NAMESPACE}
  labels: {{kubernetes.io/service-name: gateway}}
addressType: IPv4
ports: [{{name: http, port: {ROUTES_PORT}, protocol: TCP}}]
endpoints: [{{addresses: ["{_IP}"], conditions: {{ready: true}}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: routes, namespace: {NAMESPACE}}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: gateway.{NAMESPACE}.svc.cluster.local}}]
  listeners:
    - name: http
      protocol: HTTP
      port: {ROUTES_PORT}
      allowedRoutes: {{namespaces: {{from: All}}}}
"""


class MeshError(Exception):
    """Istio did not come up; the message holds the last lines of its log."""


def _bootstrap() -> Mapping[str, object]:
    grpc = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": _XDS}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return {
        "node": {
            "id": f"router~{_IP}~gateway.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"gateway.{NAMESPACE}",
            "metadata": {"LABELS": {"istio": "ingressgateway"}, "NAMESPACE": NAMESPACE},
        },
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": _ADMIN}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "xds-grpc",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": grpc
                    },
                    "load_assignment": {"cluster_name": "xds-grpc", "endpoints": [endpoint]},
                }
            ]
        },
    }


@contextlib.contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[str]:
    """Istio with its resources, its control plane and the gateway; gives the gateway's URL.

    Raises:
        MeshError: when a part does not come up.
    """
    definitions, pilot = recipes.ISTIO.cached, recipes.PILOT.cached / "pilot-discovery"
    if not pilot.exists() or not definitions.exists():
        raise MeshError(f"expected {pilot}: build it with `python -m tests.istio`")
    cluster.kubectl("apply", "--server-side", "-f", str(definitions))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    cluster.apply(_GATEWAY)
    (folder / "mesh.yaml").write_text(_MESH)
    (folder / "envoy.json").write_text(json.dumps(_bootstrap()))
    discovery = [
        *(str(pilot), "discovery", "--kubeconfig", str(cluster.kubeconfig)),
        *("--meshConfig", str(folder / "mesh.yaml"), "--ctrlz_port=0"),
        *(f"--grpcAddr=127.0.0.1:{_XDS}", "--secureGRPCAddr=", "--httpsAddr="),
        *(f"--httpAddr=127.0.0.1:{_HTTP}", f"--monitoringAddr=127.0.0.1:{_MONITORING}"),
    ]
    envoy = [
        *(str(Path(sysconfig.get_path("scripts")) / "envoy"), "-c", str(folder / "envoy.json")),
        *("--concurrency", "1", "--log-level", "warning"),
    ]
    with (
        _process(discovery, folder / "pilot.log", _SETTINGS),
        contextlib.ExitStack() as after,
    ):
        _await(f"http://127.0.0.1:{_HTTP}/ready", folder / "pilot.log")
        cluster.apply(_ROUTES)
        after.enter_context(_process(envoy, folder / "envoy.log", {}))
        _await(f"http://127.0.0.1:{_ADMIN}/ready", folder / "envoy.log")
        yield URL


@contextlib.contextmanager
def _process(command: list[str], log: Path, settings: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env={**os.environ, **settings}
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(url: str, log: Path) -> None:
    """A process answers when it is ready; nothing tells, so it is asked."""
    until = time.monotonic() + _WITHIN_S
    while time.monotonic() < until:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=2),
        ):
            return
        time.sleep(0.1)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise MeshError(f"{url} did not answer within {_WITHIN_S:.0f} s:\n{last}")
