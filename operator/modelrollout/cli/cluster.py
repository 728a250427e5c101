"""The apiserver as the command line sees it: one rollout, read, watched and annotated.

The only module of the command line that knows the Kubernetes client, and it loads it when first
needed, so that `plan` and `release` start at once and work without any cluster.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import yaml

from modelrollout.api import crd, intents
from modelrollout.cli.failing import ExpiredError, Failure, LostError

Json = dict[str, Any]

PLURAL = "modelrollouts"
CONNECT_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 15.0
_GRACE_S = 10.0
"""How much longer than agreed a silent watch may last before it counts as dropped."""
_NOT_FOUND, _UNAUTHORIZED, _TOO_MANY, _SERVER_ERROR = 404, 401, 429, 500


class AbsentError(Failure):
    """There is no such rollout."""


class ConflictError(Failure):
    """The rollout has changed since it was read."""


_EXPECTED: Final = "expected a kubeconfig (KUBECONFIG or ~/.kube/config) that names a cluster"
# What the client raises on a kubeconfig that is none: it does not check the file's form.
_MALFORMED: Final = (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError)
_UNTRUSTED: Final = "CERTIFICATE_VERIFY_FAILED"
_REFUSALS: Final[Mapping[int, type[Failure]]] = {409: ConflictError, 410: ExpiredError}


@dataclass(frozen=True, slots=True)
class Event:
    """A change seen by a watch: the rollout as it is now, None when it was deleted."""

    rollout: Json | None


class Cluster:
    """One namespace of the cluster that the kubeconfig (or the pod's own account) names."""

    def __init__(self, transport: Any, *, namespace: str) -> None:
        from kubernetes import client

        self.namespace = namespace
        self._objects = client.CustomObjectsApi(transport)
        self._people = client.AuthenticationV1Api(transport)

    @classmethod
    def connect(cls, *, namespace: str | None, context: str | None) -> Self:
        """Logs in as kubectl does; the namespace is the context's unless given.

        Raises:
            Failure: when there is neither a usable kubeconfig nor a pod's account.
        """
        from kubernetes import client, config

        settings = client.Configuration()
        settings.retries = False
        try:
            found = _log_in(settings, context=context)
        except (config.ConfigException, *_MALFORMED) as problem:
            raise Failure(f"{_EXPECTED}: {_one_line(problem)}") from None
        if not str(settings.host).startswith(("https://", "http://")):
            raise Failure(f"{_EXPECTED}: its server is {settings.host!r}, which is no address")
        return cls(client.ApiClient(settings), namespace=namespace or found)

    def read(self, name: str) -> Json:
        """The rollout as it is now.

        Raises:
            AbsentError: when there is none of that name.
            LostError: when the apiserver does not answer.
            Failure: when it refuses.
        """
        found: Json = self._called(
            self._objects.get_namespaced_custom_object, name, **self._at(), name=name
        )
        return found

    def watch(self, name: str, *, since: str, length_s: int) -> Iterator[Event]:
        """Changes of the rollout after the resourceVersion `since`, for `length_s` at most.

        Raises:
            ExpiredError: when the apiserver no longer knows `since`.
            LostError: when the connection drops.
            Failure: when the apiserver refuses.
        """
        from kubernetes import client, watch

        timeouts = (CONNECT_TIMEOUT_S, length_s + _GRACE_S)
        try:
            yield from (
                Event(None if seen["type"] == "DELETED" else seen["raw_object"])
                for seen in watch.Watch().stream(
                    self._objects.list_namespaced_custom_object,
                    **self._at(),
                    field_selector=f"metadata.name={name}",
                    resource_version=since,
                    timeout_seconds=length_s,
                    _request_timeout=timeouts,
                )
                if seen["type"] in {"ADDED", "MODIFIED", "DELETED"}
            )
        except client.ApiException as problem:
            raise self._failure(problem, name) from None
        except _transport_errors() as problem:
            raise _lost(_one_line(problem), "the watch was dropped") from None

    def annotate(self, name: str, annotations: Mapping[str, str], *, version: str) -> None:
        """Sets annotations on the rollout that was read at the resourceVersion `version`.

        Raises:
            Failure: when the apiserver refuses, in its own words, or the rollout has changed.
        """
        body = {"metadata": {"annotations": dict(annotations), "resourceVersion": version}}
        self._called(
            self._objects.patch_namespaced_custom_object,
            name,
            **self._at(),
            name=name,
            body=body,
            field_manager="modelrollout-cli",
            _content_type="application/merge-patch+json",
        )

    def user(self) -> str:
        """Who the apiserver takes us for.

        Raises:
            Failure: when it does not say.
        """
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = self._called(
            self._people.create_self_subject_review, "", body=body, _preload_content=False
        )
        found = json.loads(answer.data)
        return str(found.get("status", {}).get("userInfo", {}).get("username", ""))

    def _at(self) -> Json:
        place = {"group": intents.GROUP, "version": crd.VERSION, "namespace": self.namespace}
        return {**place, "plural": PLURAL}

    def _called(self, call: Any, subject: str, **arguments: Any) -> Any:
        from kubernetes import client

        timeouts = (CONNECT_TIMEOUT_S, CALL_TIMEOUT_S)
        try:
            return call(**arguments, _request_timeout=timeouts)
        except client.ApiException as problem:
            raise self._failure(problem, subject) from None
        except _transport_errors() as problem:
            raise _lost(_one_line(problem), "the apiserver does not answer") from None

    def _failure(self, problem: Any, name: str) -> Failure:
        words, status = _said(problem), int(problem.status or 0)
        if status == _NOT_FOUND:
            place = f"ModelRollout {name} in namespace {self.namespace}"
            return AbsentError(f"expected {place}, found none ({words})")
        if status == _UNAUTHORIZED:
            return Failure(f"the apiserver does not know you: {words}; log in again")
        if status in {0, _TOO_MANY} or status >= _SERVER_ERROR:
            return _lost(words, "the apiserver does not answer")
        return _REFUSALS.get(status, Failure)(words)


def _log_in(settings: Any, *, context: str | None) -> str:
    from kubernetes import config
    from kubernetes.config import incluster_config

    try:
        config.load_kube_config(client_configuration=settings, context=context)
    except config.ConfigException:
        if context is not None:
            raise
        token = incluster_config.SERVICE_TOKEN_FILENAME
        try:
            config.load_incluster_config(client_configuration=settings)
            with open(token.replace("token", "namespace"), encoding="utf-8") as own:  # noqa: PTH123
                return own.read().strip()
        except config.ConfigException:
            pass
        raise
    contexts, active = config.list_kube_config_contexts()
    chosen = next((one for one in contexts if one["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")


def _transport_errors() -> tuple[type[Exception], ...]:
    import urllib3

    # A watch that ends in the middle of a line leaves text that is no JSON.
    return (urllib3.exceptions.HTTPError, OSError, json.JSONDecodeError)


def _lost(words: str, what: str) -> Failure:
    """A certificate that is not trusted does not become so by waiting; all else may pass."""
    if _UNTRUSTED in words:
        return Failure(f"the apiserver's certificate is not trusted: {words}")
    return LostError(f"{what}: {words}")


def _said(problem: Any) -> str:
    """The message of the apiserver's Status, or whatever else came."""
    try:
        return _one_line(json.loads(problem.body)["message"])
    except (ValueError, TypeError, KeyError):
        return _one_line(problem.reason or problem.body or problem)


def _one_line(problem: object) -> str:
    return " ".join(str(problem).split())[:400]
