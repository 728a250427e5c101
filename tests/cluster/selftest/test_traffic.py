"""What traffic and metrics see: names, the gateway's split, and the labels of series."""

import collections
import http.client
import urllib.parse
from typing import Any

from tests.cluster.selftest import conftest, puppet

_RESOLVE = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(sorted({a[4][0] for a in socket.getaddrinfo(name, None)}))
    except socket.gaierror as error:
        print("unknown")
"""


def test_names_of_services_resolve_to_ready_pods(namespace: conftest.Namespace) -> None:
    ready = conftest.http_probe("/ready")
    off = [{"name": "READY", "value": "off"}]
    one, two, three = (conftest.pod(n, readinessProbe=ready) for n in ("one", "two", "three"))
    three["spec"]["containers"][0]["env"] = off
    for each in (one, two, three):
        each["metadata"]["labels"] = {"app": "web"}
    headless = conftest.service("headless", app="web")
    ordinary = conftest.service("ordinary", app="web")
    del ordinary["spec"]["clusterIP"]
    namespace.apply(one, two, three, headless, ordinary)
    namespace.wait_for("condition=Ready", "pod/one")
    namespace.wait_for("condition=Ready", "pod/two")
    # A ready pod is an endpoint a moment later.
    names = ("headless", "ordinary")
    conftest.eventually(lambda: all(_ready(namespace, name) == len(names) for name in names))

    full = f"headless.{namespace.name}.svc.cluster.local"
    args = ["headless", f"headless.{namespace.name}", full, "ordinary", "absent", "example.com"]
    namespace.apply(conftest.script("asking", _RESOLVE, args=args))
    namespace.wait_for("jsonpath={.status.phase}=Succeeded", "pod/asking")

    pods = str(sorted(namespace.status(name)["podIP"] for name in ("one", "two")))
    assert namespace.logs("asking").splitlines() == [pods, pods, pods, pods, "unknown", "unknown"]


def test_gateway_splits_exactly_by_weight(namespace: conftest.Namespace) -> None:
    host = f"{namespace.name}.example.com"
    for name in ("stable", "candidate"):
        env = [{"name": "NAME", "value": name}]
        namespace.apply(
            conftest.pod(name, env=env, readinessProbe=conftest.http_probe("/ready")),
            conftest.service(name, app=name),
        )
        namespace.wait_for("condition=Ready", f"pod/{name}")
    namespace.apply(_route(host, stable=90, candidate=10))
    accepted = "jsonpath={.status.parents[0].conditions[?(@.type=='ResolvedRefs')].status}=True"
    namespace.wait_for(accepted, "httproute/route")
    conftest.eventually(lambda: _answer(namespace, host) in ("stable", "candidate"))

    # Traefik's weighted round robin is exact: of ten requests in a row one is the candidate's. The
    # routes of other tests make it begin anew, but soon 200 in a row are undisturbed.
    conftest.eventually(lambda: _counted(namespace, host) == {"stable": 180, "candidate": 20})


def _ready(namespace: conftest.Namespace, service: str) -> int:
    path = "jsonpath={.items[*].endpoints[*].conditions.ready}"
    label = f"kubernetes.io/service-name={service}"
    return namespace.kubectl("get", "endpointslices", "-l", label, "-o", path).split().count("true")


def _counted(namespace: conftest.Namespace, host: str) -> collections.Counter[str]:
    return collections.Counter(_answer(namespace, host) for _ in range(200))


def test_series_carry_namespace_service_and_pod(namespace: conftest.Namespace) -> None:
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
    namespace.apply(
        conftest.pod(
            "metered",
            readinessProbe=conftest.http_probe("/ready"),
            ports=[{"name": "http", "containerPort": puppet.PORT}],
        ),
        conftest.service("metered", app="metered", annotations=scraped),
        conftest.service("unscraped", app="metered"),
    )
    query = f'puppet_answers_total{{namespace="{namespace.name}"}}'

    (series,) = conftest.eventually(lambda: _query(namespace, query))

    labels = series["metric"]
    assert labels.pop("instance") == f"{namespace.status('metered')['podIP']}:8080"
    assert labels == {
        "__name__": "puppet_answers_total",
        "namespace": namespace.name,
        "service": "metered",
        "job": "metered",
        "pod": "metered",
        "container": "main",
        "endpoint": "http",
    }


def test_gateway_counts_requests_by_service(namespace: conftest.Namespace) -> None:
    host = f"{namespace.name}.example.com"
    namespace.apply(
        conftest.pod(
            "counted",
            readinessProbe=conftest.http_probe("/ready"),
            env=[{"name": "NAME", "value": "counted"}],
        ),
        conftest.service("counted", app="counted"),
        _route(host, counted=1),
    )
    conftest.eventually(lambda: _answer(namespace, host) == "counted")
    query = (
        'traefik_service_requests_total{job="traefik",code="200",'
        f'exported_service=~".*-{namespace.name}-counted-.*"}}'
    )

    conftest.eventually(lambda: _query(namespace, query))


def _route(host: str, **weights: int) -> dict[str, Any]:
    backends = [{"name": n, "port": 8080, "weight": w} for n, w in weights.items()]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "route"},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [host],
            "rules": [{"backendRefs": backends}],
        },
    }


def _answer(namespace: conftest.Namespace, host: str) -> str:
    return _get(namespace.cluster.gateway_url, "/", host=host)


def _query(namespace: conftest.Namespace, query: str) -> list[Any]:
    return namespace.cluster.query(query)


def _get(url: str, path: str, *, host: str | None = None) -> str:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        return connection.getresponse().read().decode()
    finally:
        connection.close()
