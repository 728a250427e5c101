"""Who may intervene, as the apiserver itself sees it: the chart's policy on intents."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml

from modelrollout.api import intents
from tests.e2e import kubectl
from tests.unit.chart import rendering

Json = dict[str, Any]

EDITOR: Final = "erik"
APPROVER: Final = "anna"
ROLLOUT: Final = """
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud}
spec:
  versions: [{name: v1, service: {name: fraud-v1, port: 8080}}]
  target: v1
  traffic: {gatewayAPI: {parentRefs: [{name: public}]}}
"""


def rollout(**annotations: str) -> Json:
    loaded: Json = yaml.safe_load(ROLLOUT)
    loaded["metadata"]["annotations"] = {
        f"modelrollout.dev/{key}": value for key, value in annotations.items()
    }
    return loaded


@pytest.fixture(scope="module")
def guarded(operator: None) -> Iterator[str]:
    """A namespace that a release with scope namespace watches, with an editor and an approver."""
    with kubectl.new_namespace("admission") as namespace:
        values = {"scope": "namespace", "crds": {"install": False}}
        kinds = ("ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        objects = [
            one for one in rendering.render(values, namespace=namespace) if one["kind"] in kinds
        ]
        bundle = {"apiVersion": "v1", "kind": "List", "items": objects}
        kubectl.must("apply", "--server-side", "-f", "-", stdin=bundle)
        for user, role in ((EDITOR, "view"), (EDITOR, "edit"), (APPROVER, "approver")):
            bind(user, role, namespace=namespace)
        try:
            yield namespace
        finally:
            kubectl.run("delete", "-f", "-", "--wait=false", stdin=bundle)


def bind(user: str, role: str, *, namespace: str) -> None:
    """Give a user one of the chart's roles for people."""
    name = f"{user.rpartition(':')[2]}-{role}"
    kubectl.must(
        *("create", "rolebinding", name, "-n", namespace, f"--user={user}"),
        f"--clusterrole=modelrollout-{namespace}-{role}",
    )


@pytest.fixture
def namespace(guarded: str) -> Iterator[str]:
    """The guarded namespace, holding one rollout, with the policy in force."""
    kubectl.must("create", "-n", guarded, "-f", "-", stdin=rollout())
    _wait_until_the_policy_is_in_force(guarded)
    yield guarded
    kubectl.must("delete", "mr", "--all", "-n", guarded)


def _wait_until_the_policy_is_in_force(namespace: str) -> None:
    for _ in range(300):
        answer = annotate("by=mallory", namespace=namespace, user="", dry_run=True)
        if not answer.ok:
            return
    raise TimeoutError("expected the admission policy to be in force after 300 tries, saw none")


def annotate(*pairs: str, namespace: str, user: str, dry_run: bool = False) -> kubectl.Answer:
    words = [f"modelrollout.dev/{pair}" for pair in pairs]
    options = ["--dry-run=server"] if dry_run else []
    command = ("annotate", "mr", "fraud", "--overwrite", "-n", namespace, *options, *words)
    return kubectl.run(*command, user=user)


def given(namespace: str) -> dict[str, str]:
    metadata = kubectl.get("mr", "fraud", namespace=namespace)["metadata"]
    return {
        key.removeprefix("modelrollout.dev/"): value
        for key, value in metadata.get("annotations", {}).items()
    }


@pytest.mark.parametrize("kind", list(intents.Kind))
def test_an_editor_is_refused(namespace: str, kind: intents.Kind) -> None:
    answer = annotate(f"{kind}=7f3a", f"by={EDITOR}", namespace=namespace, user=EDITOR)
    assert not answer.ok
    assert f"erik may not change modelrollout.dev/{kind}" in answer.err
    assert "-approver grants" in answer.err
    assert given(namespace) == {}


@pytest.mark.parametrize("kind", list(intents.Kind))
def test_an_approver_passes(namespace: str, kind: intents.Kind) -> None:
    answer = annotate(f"{kind}=7f3a", f"by={APPROVER}", namespace=namespace, user=APPROVER)
    assert answer.ok, answer.err
    assert given(namespace) == {kind: "7f3a", "by": APPROVER}


def test_a_forged_name_is_refused(namespace: str) -> None:
    answer = annotate("approve=7f3a", "by=boss", namespace=namespace, user=APPROVER)
    assert "expected the annotation modelrollout.dev/by to be anna, saw boss" in answer.err
    assert given(namespace) == {}


def test_an_intent_without_a_name_is_refused(namespace: str) -> None:
    answer = annotate("approve=7f3a", namespace=namespace, user=APPROVER)
    assert "expected the annotation modelrollout.dev/by to be anna, saw none" in answer.err


@pytest.mark.parametrize("user", [EDITOR, APPROVER])
def test_the_name_alone_cannot_be_changed(namespace: str, user: str) -> None:
    first = annotate("pause=7f3a", f"by={APPROVER}", namespace=namespace, user=APPROVER)
    assert first.ok, first.err
    for pair in ("by=boss", "by-"):
        answer = annotate(pair, namespace=namespace, user=user)
        assert "changes only together with one" in answer.err
    assert given(namespace)["by"] == APPROVER


def test_an_editor_cannot_withdraw_an_intent(namespace: str) -> None:
    annotate("abort=7f3a", f"by={APPROVER}", namespace=namespace, user=APPROVER)
    answer = annotate("abort-", namespace=namespace, user=EDITOR)
    assert "erik may not change modelrollout.dev/abort" in answer.err


def test_an_approver_withdraws_an_intent_with_its_name(namespace: str) -> None:
    annotate("pause=7f3a", f"by={APPROVER}", namespace=namespace, user=APPROVER)
    answer = annotate("pause-", "by-", namespace=namespace, user=APPROVER)
    assert answer.ok, answer.err
    assert given(namespace) == {}


def test_an_editor_edits_on_while_an_intent_stands(namespace: str) -> None:
    annotate("pause=7f3a", f"by={APPROVER}", namespace=namespace, user=APPROVER)
    answer = kubectl.run(
        *("patch", "mr", "fraud", "-n", namespace, "--type=merge"),
        *("-p", '{"spec": {"deadline": "2h"}}'),
        user=EDITOR,
    )
    assert answer.ok, answer.err


def test_a_rollout_created_with_an_intent_needs_the_permission_too(namespace: str) -> None:
    forged = rollout(promote="7f3a", by=EDITOR)
    forged["metadata"]["name"] = "other"
    answer = kubectl.run("create", "-n", namespace, "-f", "-", stdin=forged, user=EDITOR)
    assert "erik may not change modelrollout.dev/promote" in answer.err


def test_nothing_gets_in_through_the_status(namespace: str) -> None:
    kubectl.must(
        *("patch", "mr", "fraud", "-n", namespace, "--type=merge", "--subresource=status", "-p"),
        '{"metadata": {"annotations": {"modelrollout.dev/approve": "7f3a"}}}',
    )
    assert given(namespace) == {}


def test_the_operators_own_account_is_nothing_special(namespace: str) -> None:
    account = f"system:serviceaccount:{namespace}:modelrollout"
    for role in ("view", "edit"):
        bind(account, role, namespace=namespace)
    answer = annotate("approve=7f3a", f"by={account}", namespace=namespace, user=account)
    assert "may not change modelrollout.dev/approve" in answer.err
