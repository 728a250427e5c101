"""Traffic by the Gateway API: a route that the operator generates, or routes that the user owns.

The generated route is written whole and never has an owner reference: it goes on serving when the
rollout, or the CRD, is deleted. In a user's route only weights are touched, and only in rules that
refer to two or more of our versions; their sum stays what it was.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api.spec import GatewayAPI
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import (
    acceptance,
    backends,
    gateway_features,
    generated,
    marks,
    owned,
    preview_route,
    shadows,
)
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout

Json = Mapping[str, Any]

GROUP: Final = "gateway.networking.k8s.io"
HTTP_ROUTE: Final = Kind(GROUP, "v1", "httproutes", "HTTPRoute")
GRPC_ROUTE: Final = Kind(GROUP, "v1", "grpcroutes", "GRPCRoute")
_KINDS: Final = {"HTTPRoute": HTTP_ROUTE, "GRPCRoute": GRPC_ROUTE}


class GatewayApi:
    """Moves weights in HTTPRoutes and GRPCRoutes."""

    name = "gatewayAPI"
    capabilities = frozenset({"weights", "switch", "preview", "mirror", "inferencePool"})
    watched: tuple[Kind, ...] = (HTTP_ROUTE, GRPC_ROUTE, backends.INFERENCE_POOL)

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The routes: the generated one, or those that the user named, and that of a preview."""
        shows = rollout.previewed or bool(rollout.spec.strategy.preview_host)
        return (*_routes(rollout), *((_preview(rollout),) if shows else ()))

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """What the routes say now; rules that disagree block nothing, since `render` mends them."""
        wanted = _routes(rollout)
        absent = [reference for reference in wanted if reference not in live]
        if absent:
            return _absent(rollout, absent[0])
        routes = [live[reference] for reference in wanted]
        if _asked(rollout).routes:
            split, problem = owned.split(rollout, routes)
        else:
            split, problem = generated.split(rollout, routes[0])
            problem = problem or shadows.shadow(rollout, routes[0], others)
        shown = [live[_preview(rollout)]] if _preview(rollout) in live else []
        accepted = acceptance.of([*routes, *shown])
        problem = gateway_features.refusal(rollout, live) or problem
        writer, written_at = acceptance.last_writer(routes)
        notes = _notes(rollout, routes[0])
        return TrafficSeen(
            exists=True,
            preview=marks.previewed(rollout, live),
            shares=split,
            programmed=accepted.programmed and problem is None,
            problem=problem or accepted.problem,
            blocking=problem is not None and problem.code is not Code.SPLIT_CONTRADICTS,
            writer=writer,
            written_at=written_at,
            recorded_stable=str(notes.get(generated.STABLE, "")),
            recorded_uid=str(notes.get(generated.UID, "")),
        )

    def facts(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Reference]:
        """Gateways and their classes, where what they can do matters."""
        return gateway_features.facts(rollout, live)

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The writes that lead to the desired split; none when it holds."""
        wanted, shown = _routes(rollout), _previewed(rollout, desired, live)
        if not _asked(rollout).routes:
            made = generated.render(rollout, desired, wanted[0], live.get(wanted[0]))
            return (*made, *shown)
        changes: list[Change] = []
        for reference in wanted:
            if reference in live:
                changes += owned.render(rollout, desired, reference, live[reference])
        return [*changes, *shown]

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """Deletes the generated route and the preview; a user's route stays."""
        made = [_preview(rollout)]
        if not _asked(rollout).routes:
            made.append(_generated(rollout))
        return tuple(
            change for one in made for change in generated.remove(rollout, one, live.get(one))
        )


def _asked(rollout: Rollout) -> GatewayAPI:
    asked = rollout.spec.traffic.gateway_api
    if asked is None:
        raise ValueError("expected spec.traffic.gatewayAPI, found another provider")
    return asked


def _routes(rollout: Rollout) -> Sequence[Reference]:
    named = _asked(rollout).routes
    if not named:
        return (_generated(rollout),)
    return tuple(Reference(_KINDS[route.kind], rollout.namespace, route.name) for route in named)


def _preview(rollout: Rollout) -> Reference:
    return Reference(HTTP_ROUTE, rollout.namespace, marks.preview(rollout))


def _previewed(
    rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
) -> Sequence[Change]:
    """The preview's route, on the gateways of the rollout's own or of the user's first."""
    asked, target = _asked(rollout), _preview(rollout)
    first = live.get(_routes(rollout)[0]) or {}
    parents: Sequence[Json] = [
        parent.model_dump(mode="json", by_alias=True, exclude_none=True)
        for parent in asked.parent_refs
    ] or (first.get("spec") or {}).get("parentRefs", ())
    return preview_route.render(
        rollout, desired, target, live.get(target), asked=asked, parents=parents
    )


def _generated(rollout: Rollout) -> Reference:
    return Reference(HTTP_ROUTE, rollout.namespace, generated.name_of(rollout))


def _notes(rollout: Rollout, route: Json) -> Mapping[str, str]:
    """What we noted on the route, if it is ours: a user's route may carry notes of long ago."""
    if _asked(rollout).routes or not generated.is_of(rollout, route):
        return {}
    return route["metadata"].get("annotations") or {}


def _absent(rollout: Rollout, reference: Reference) -> TrafficSeen:
    if not _asked(rollout).routes:
        return TrafficSeen()
    sentence = (
        f"the {reference.kind.kind} {reference.namespace}/{reference.name} does not exist: create "
        "it with a rule that refers to two or more of the versions, or name another one"
    )
    return TrafficSeen(problem=Reason(Code.ROUTE_MISSING, sentence), blocking=True)
