"""The chart: what it installs, with which rights, and which values it refuses."""

from typing import Any

import helm_python as helm
import pytest
import yaml

from modelrollout.api import crd, intents
from modelrollout.controller.config import Config
from tests.unit.chart import rendering
from tests.unit.chart.rendering import of_kind, only, render

Json = dict[str, Any]

SOURCES = [{"name": "default", "url": "http://prometheus:9090", "matchers": {"cluster": "eu1"}}]
TWO = {"scope": "namespace", "namespaces": ["team-a", "team-b"]}

NEEDED = {
    ("modelrollout.dev", "modelrollouts"): {"get", "list", "watch", "patch"},
    ("modelrollout.dev", "modelrollouts/status"): {"patch"},
    ("gateway.networking.k8s.io", "httproutes"): {
        *("get", "list", "watch", "create", "patch", "delete")
    },
    ("gateway.networking.k8s.io", "grpcroutes"): {"get", "list", "watch", "patch"},
    ("", "services"): {"get", "list", "watch"},
    ("", "pods"): {"get", "list", "watch"},
    ("discovery.k8s.io", "endpointslices"): {"get", "list", "watch"},
    ("apps", "deployments"): {"get", "list", "watch"},
    ("apps", "statefulsets"): {"get", "list", "watch"},
    ("apps", "deployments/scale"): {"patch"},
    ("apps", "statefulsets/scale"): {"patch"},
    ("autoscaling", "horizontalpodautoscalers"): {"list", "patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
    ("gateway.networking.k8s.io", "gateways"): {"get"},
    ("gateway.networking.k8s.io", "gatewayclasses"): {"get"},
    ("inference.networking.k8s.io", "inferencepools"): {"get", "list", "watch"},
}
WRITES = {"get", "list", "watch", "create", "patch", "delete"}
OF_PROVIDERS = {
    "service": {("", "services"): WRITES},
    "traefik": {("traefik.io", "traefikservices"): WRITES},
    "istio": {("networking.istio.io", "virtualservices"): WRITES},
    "router": {
        ("apps", "deployments"): WRITES,
        ("", "services"): WRITES,
        ("", "configmaps"): {"get", "create", "patch", "delete"},
        ("policy", "poddisruptionbudgets"): {"get", "create", "patch", "delete"},
        # Tokens are written; Secrets of tenants are never read.
        ("", "secrets"): {"create", "patch", "delete"},
    },
}
OF_GATEWAY_API = {key for key in NEEDED if key[0].endswith(".networking.k8s.io")}


def granted(role: Json) -> dict[tuple[str, str], set[str]]:
    """The verbs by (group, resource); rules bound to names are left out."""
    rights: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                rights.setdefault((group, resource), set()).update(rule["verbs"])
    return rights


def named(objects: list[Json], kind: str, name: str) -> Json:
    (found,) = (one for one in of_kind(objects, kind) if one["metadata"]["name"] == name)
    return found


def configuration(objects: list[Json]) -> Json:
    loaded: Json = yaml.safe_load(only(objects, "ConfigMap")["data"]["config.yaml"])
    return loaded


def test_helm_finds_nothing_to_complain_about() -> None:
    assert helm.lint(str(rendering.CHART))["errors"] == []


def test_the_operator_has_the_rights_it_needs_and_no_others() -> None:
    role = named(render(), "ClusterRole", "modelrollout")
    assert granted(role) == NEEDED


@pytest.mark.parametrize("provider", OF_PROVIDERS)
def test_a_provider_brings_its_own_rights_and_no_others(provider: str) -> None:
    objects = render({"providers": {provider: True}})
    assert granted(named(objects, "ClusterRole", "modelrollout")) == {
        **NEEDED,
        **OF_PROVIDERS[provider],
    }
    assert configuration(objects)["providers"][provider] is True
    assert configuration(render())["providers"][provider] is False


def test_without_the_gateway_api_its_rights_are_gone() -> None:
    role = named(render({"providers": {"gatewayAPI": False}}), "ClusterRole", "modelrollout")
    assert granted(role).keys() == NEEDED.keys() - OF_GATEWAY_API


def test_jobs_are_made_only_where_smoke_tests_are_switched_on() -> None:
    objects = render({"smokeTests": {"enabled": True}})
    jobs = {("batch", "cronjobs"): {"get"}, ("batch", "jobs"): {"get", "create"}}
    assert granted(named(objects, "ClusterRole", "modelrollout")) == NEEDED | jobs
    assert configuration(objects)["smokeTests"] is True
    assert configuration(render())["smokeTests"] is False


def test_replicas_and_autoscalers_are_left_alone_where_that_is_switched_off() -> None:
    objects = render({"capacity": {"parkOld": False, "holdAutoscalers": False}})
    rights = granted(named(objects, "ClusterRole", "modelrollout"))
    assert rights["autoscaling", "horizontalpodautoscalers"] == {"list"}
    assert not any(resource.endswith("/scale") for _, resource in rights)
    written = configuration(objects)
    assert (written["parkOld"], written["holdAutoscalers"]) == (False, False)


def test_with_scope_namespace_the_same_rights_hold_in_each_namespace_only() -> None:
    objects = render({**TWO, "rbac": {"aggregate": False}})
    assert of_kind(objects, "ClusterRole") == []
    assert of_kind(objects, "ClusterRoleBinding") == []
    watching = [role for role in of_kind(objects, "Role") if granted(role) == NEEDED]
    assert [role["metadata"]["namespace"] for role in watching] == ["team-a", "team-b"]


def test_leases_are_written_in_the_own_namespace_and_by_name() -> None:
    role = named(render(TWO), "Role", "modelrollout-lease")
    create, use = role["rules"]
    assert role["metadata"]["namespace"] == rendering.NAMESPACE
    assert create["verbs"] == ["create"]
    assert use["resourceNames"] == ["modelrollout"]


@pytest.mark.parametrize("values", [{}, TWO], ids=["cluster", "namespace"])
def test_no_role_grants_everything_or_reads_secrets(values: Json) -> None:
    objects = render(values)
    for role in [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]:
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "secrets", "escalate", "bind", "impersonate"}


@pytest.mark.parametrize("values", [{}, TWO], ids=["cluster", "namespace"])
def test_with_the_router_one_secret_is_read_and_it_is_the_operators_own(values: Json) -> None:
    objects = render({**values, "providers": {"router": True}})
    rules = [
        (role["metadata"]["namespace"] if role["kind"] == "Role" else "", rule)
        for role in [*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole")]
        for rule in role["rules"]
        if "secrets" in rule["resources"] and {"get", "list", "watch", "*"} & {*rule["verbs"]}
    ]
    ((namespace, rule),) = rules
    assert (namespace, rule["verbs"]) == (rendering.NAMESPACE, ["get"])
    assert rule["resourceNames"] == ["modelrollout-router"]


def test_the_router_has_its_port_its_image_and_its_address() -> None:
    values = {"providers": {"router": True}, "router": {"port": 19_000}}
    objects = render(values)
    assert configuration(objects)["router"] == {
        "image": "envoyproxy/envoy:v1.40.0",
        "xds": f"modelrollout.{rendering.NAMESPACE}.svc:19000",
        "port": 19_000,
        "pullSecrets": [],
    }
    assert Config.model_validate(configuration(objects)).providers_off >= {"istio"}
    ports = only(objects, "Service")["spec"]["ports"]
    assert {port["name"]: port["port"] for port in ports}["xds"] == 19_000
    (container,) = only(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"name": "xds", "containerPort": 19_000} in container["ports"]
    assert "router" not in configuration(render())
    assert "router" in Config.model_validate(configuration(render())).providers_off


def test_every_binding_is_for_the_operators_own_account() -> None:
    objects = render(TWO)
    bindings = [*of_kind(objects, "RoleBinding"), *of_kind(objects, "ClusterRoleBinding")]
    account = {"kind": "ServiceAccount", "name": "modelrollout", "namespace": "operators"}
    assert len(bindings) == 3
    assert all(binding["subjects"] == [account] for binding in bindings)


def test_only_the_approver_role_may_approve() -> None:
    holders = [
        role["metadata"]["name"]
        for role in of_kind(render(), "ClusterRole")
        if ("modelrollout.dev", "modelrollouts/approve") in granted(role)
    ]
    assert holders == ["modelrollout-approver"]
    approver = named(render(), "ClusterRole", "modelrollout-approver")
    assert not [label for label in approver["metadata"]["labels"] if "aggregate" in label]


def test_rights_of_people_join_view_edit_and_admin() -> None:
    labels = {
        role["metadata"]["name"].rpartition("-")[2]: {
            key.rpartition("-")[2] for key in role["metadata"]["labels"] if "aggregate-to" in key
        }
        for role in of_kind(render(), "ClusterRole")
    }
    assert labels["view"] == {"view", "edit", "admin"}
    assert labels["edit"] == {"edit", "admin"}


def test_the_policy_guards_every_intent() -> None:
    policy = only(render(), "ValidatingAdmissionPolicy")["spec"]
    (changed,) = (v["expression"] for v in policy["variables"] if v["name"] == "changed")
    assert all(f"'{kind}'" in changed for kind in intents.Kind)
    assert policy["failurePolicy"] == "Fail"
    assert set(policy["matchConstraints"]["resourceRules"][0]["operations"]) == {"CREATE", "UPDATE"}


def test_with_scope_namespace_the_policy_stays_in_the_watched_namespaces() -> None:
    binding = only(render(TWO), "ValidatingAdmissionPolicyBinding")["spec"]
    (expression,) = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression["values"] == ["team-a", "team-b"]


def test_without_the_policy_nobody_vouches_for_names() -> None:
    objects = render({"admission": {"enabled": False}})
    assert of_kind(objects, "ValidatingAdmissionPolicy") == []
    assert configuration(objects)["verifiedIntents"] is False
    assert configuration(render())["verifiedIntents"] is True


def test_the_configuration_carries_sources_and_namespaces() -> None:
    assert configuration(render({"sources": SOURCES}))["sources"] == SOURCES
    assert configuration(render())["namespaces"] == []
    assert configuration(render(TWO))["namespaces"] == ["team-a", "team-b"]
    alone = configuration(render({"scope": "namespace"}))
    assert alone["namespaces"] == [rendering.NAMESPACE]


def test_a_changed_configuration_restarts_the_pods() -> None:
    def template(values: Json) -> Json:
        found: Json = only(render(values), "Deployment")["spec"]["template"]
        return found

    assert template({}) == template({})
    assert template({}) != template({"sources": SOURCES})


def test_the_pod_keeps_to_restricted_pod_security() -> None:
    pod = only(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pod_starts_the_operator_with_its_configuration() -> None:
    pod = only(render(), "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"] == ["python", "-m", "modelrollout.controller"]
    assert container["args"] == ["--config", "/etc/modelrollout/config.yaml"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"configuration": "/etc/modelrollout", "tmp": "/tmp"}
    paths = {container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("liveness", "startup")}
    assert paths == {"/livez"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["resources"]["requests"]["memory"] == "192Mi"
    assert container["resources"]["limits"]["memory"] == "512Mi"


def test_an_image_is_pinned_by_digest_when_one_is_given() -> None:
    digest = "sha256:" + "0" * 64
    pod = only(render({"image": {"digest": digest}}), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"modelrollout@{digest}"


def test_one_replica_has_no_disruption_budget_that_blocks_drains() -> None:
    assert only(render(), "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert of_kind(render({"replicas": 1}), "PodDisruptionBudget") == []


def test_the_crd_is_installed_on_demand_and_kept_at_the_end() -> None:
    definition = only(render(), "CustomResourceDefinition")
    assert definition["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    del definition["metadata"]["annotations"]
    assert definition == crd.crd()
    assert of_kind(render({"crds": {"install": False}}), "CustomResourceDefinition") == []


def test_optional_parts_come_only_when_asked_for() -> None:
    assert of_kind(render(), "ServiceMonitor") + of_kind(render(), "NetworkPolicy") == []
    objects = render(
        {
            "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prom"}}},
            "networkPolicy": {"enabled": True, "egress": [{"ports": [{"port": 6443}]}]},
        }
    )
    assert only(objects, "ServiceMonitor")["metadata"]["labels"]["release"] == "prom"
    egress = only(objects, "NetworkPolicy")["spec"]["egress"]
    assert egress[0]["ports"][0] == {"port": 53, "protocol": "UDP"}
    assert egress[1] == {"ports": [{"port": 6443}]}


def test_two_namespaced_releases_share_no_name() -> None:
    def names(namespace: str) -> set[tuple[str, str, str]]:
        values = {"scope": "namespace", "crds": {"install": False}}
        return {
            (one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
            for one in render(values, namespace=namespace)
        }

    assert not names("team-a") & names("team-b")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scope": "everything"}, "scope"),
        ({"surces": []}, "surces"),
        ({"sources": [{"name": "default"}]}, "url"),
        ({"sources": [{"name": "d", "url": "http://user:secret@prometheus:9090"}]}, "pattern"),
        ({"sources": [{"name": "d", "url": "file:///etc/passwd"}]}, "pattern"),
        ({"replicas": 0}, "replicas"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"port": 80}, "port"),
        ({"providers": {"nginx": True}}, "nginx"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_values_are_refused_by_name(values: Json, words: str) -> None:
    with pytest.raises(helm.HelmError, match=words):
        render(values)


def test_the_notes_say_how_to_remove_it_in_which_order() -> None:
    text = rendering.notes()
    steps = ["kubectl delete mr", "helm uninstall", "kubectl delete crd"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "No metric source is set" in text
    assert "No metric source" not in rendering.notes({"sources": SOURCES})
