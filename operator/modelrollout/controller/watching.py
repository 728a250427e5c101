"""kopf as informer, login and process shell: its handlers put keys on our queue, and nothing else.

Events are hints. Every pass reads the objects it decides on; a sweep repairs what no event told.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import kopf

from modelrollout.adapters import informed, kinds
from modelrollout.adapters.informed import Informed
from modelrollout.controller.index import Index
from modelrollout.controller.queue import Queue
from modelrollout.routing import generated, ownership, providers
from modelrollout.routing.contract import Kind
from modelrollout.xds.shelf import Shelf

Json = dict[str, Any]

_LONGEST_PAUSE_S: Final = 30.0
_DELETED: Final = "DELETED"
_WATCHED: Final = (kinds.SERVICE, *kinds.WORKLOADS.values())


class Backoffs:
    """Pauses between tries that never end; kopf iterates anew for each request."""

    def __iter__(self) -> Iterator[float]:
        pause_s = 1.0
        while True:
            yield pause_s
            pause_s = min(_LONGEST_PAUSE_S, 2.0 * pause_s)


def settings() -> kopf.OperatorSettings:
    """Settings of kopf: no events, peering or scanning of its own; patient with the apiserver."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.scanning.disabled = True
    made.networking.error_backoffs = Backoffs()
    made.networking.request_timeout = 30.0
    made.networking.connect_timeout = 5.0
    made.watching.server_timeout = 300
    made.watching.client_timeout = 310.0
    made.watching.chunk_size = 500
    made.queueing.idle_timeout = 1.0
    made.process.ultimate_exiting_timeout = 25.0
    return made


def registry(
    queue: Queue,
    index: Index,
    *,
    known: Informed,
    routers: Shelf,
    route_changed: Callable[[], None],
    providers_off: Collection[str],
) -> kopf.OperatorRegistry:
    """The handlers: each turns a changed object into keys.

    Args:
        queue: gets the keys.
        index: knows which rollouts an object concerns.
        known: keeps what the watches bring.
        routers: keeps the rollouts, for their Envoys.
        route_changed: called when a route changed that no rollout of ours generated.
        providers_off: fields of `spec.traffic` that the operator has no rights for. A kind that is
            not installed is passed over until the next start.
    """
    made = kopf.OperatorRegistry()
    kopf.on.login(registry=made)(_login)

    async def rollout(namespace: str, name: str, body: Json, event: Json, **_: object) -> None:
        key = (namespace, name)
        if event["type"] == _DELETED:
            routers.drop(key)
        else:
            routers.put(event["object"])
        if body["metadata"].get("resourceVersion") != index.written.get(key):
            queue.add(key)

    async def endpoints(namespace: str, event: Json, **_: object) -> None:
        known.saw(kinds.SLICE, event["object"], deleted=event["type"] == _DELETED)
        labels = event["object"]["metadata"].get("labels") or {}
        service = labels.get(informed.SERVICE_OF_SLICE, "")
        for key in index.concerned((kinds.SLICE.kind, namespace, service)):
            queue.add(key)

    async def foreign(body: Json, **_: object) -> None:
        if not generated.is_generated(body):
            route_changed()

    if "gateway_api" not in providers_off:
        _on(kinds.HTTP_ROUTE, made, "foreign")(foreign)

    _on(kinds.WORKLOADS["Deployment"], made, "router")(_router(queue, index))
    _on(kinds.ROLLOUT, made)(rollout)
    _on(kinds.SLICE, made)(endpoints)
    routed = (
        kind
        for name, provider in providers.PROVIDERS.items()
        if name not in providers_off
        for kind in provider.watched
    )
    for kind in (*_WATCHED, *routed):
        _on(kind, made)(_named(kind, queue, index, known))
    return made


def _router(queue: Queue, index: Index) -> Any:
    """Notes which rollouts have a router, since one may have another provider by now."""

    async def seen(namespace: str, event: Json, **_: object) -> None:
        labels = event["object"]["metadata"].get("labels") or {}
        key = (namespace, labels.get(ownership.ROLLOUT, ""))
        if not generated.is_generated(event["object"]):
            return
        if event["type"] == _DELETED:
            index.routers.discard(key)
        elif key not in index.routers:
            index.routers.add(key)
            queue.add(key)

    return seen


def _named(kind: Kind, queue: Queue, index: Index, known: Informed) -> Any:
    async def changed(namespace: str, name: str, event: Json, **_: object) -> None:
        known.saw(kind, event["object"], deleted=event["type"] == _DELETED)
        for key in index.concerned((kind.kind, namespace, name)):
            queue.add(key)

    return changed


def _on(kind: Kind, registry: kopf.OperatorRegistry, what: str = "changed") -> Any:
    return kopf.on.event(
        group=kind.group,
        version=kind.version,
        plural=kind.plural,
        id=f"{kind.plural}-{what}",
        registry=registry,
    )


async def _login(**given: Any) -> kopf.ConnectionInfo | None:
    return kopf.login_with_service_account(**given) or kopf.login_with_kubeconfig(**given)
