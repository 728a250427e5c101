"""Routes that the user owns: only weights move, only in rules of ours, and their sum stays.

A rule is ours when it refers to two or more of our versions. A change is a JSON patch whose `test`
operations name the backends and weights that were read, so that an edit in between is never undone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import generated
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb

Json = Mapping[str, Any]

COARSEST: Final = 50
"""Parts of ten thousand by which the weights of a rule may miss the split."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of ours.

    Attributes:
        index: its place in the route.
        places: per version, the places of its backends among `backendRefs`.
        weights: of all backends, by place.
        foreign: places of backends that are none of our versions.
    """

    index: int
    places: Mapping[str, tuple[int, ...]]
    weights: tuple[int, ...]
    foreign: tuple[int, ...]

    @property
    def shares(self) -> dict[str, int]:
        """Parts of ten thousand per version, foreign backends left out."""
        sums = {
            name: sum(self.weights[place] for place in places)
            for name, places in self.places.items()
        }
        return generated.parts(sums)


def split(rollout: Rollout, routes: Sequence[Json]) -> tuple[dict[str, int] | None, Reason | None]:
    """The split on which all rules of all routes agree; why it cannot be read, if so."""
    found: list[dict[str, int]] = []
    for route in routes:
        rules = rules_of(rollout, route)
        problem = _unusable(rollout, route, rules)
        if problem is not None:
            return None, problem
        found.extend(rule.shares for rule in rules)
    if all(_alike(shares, found[0], within=2 * COARSEST) for shares in found):
        return found[0], None
    return None, None


def render(rollout: Rollout, desired: Desired, target: Reference, live: Json) -> Sequence[Change]:
    """One patch of all weights that differ; none when the rules cannot carry the split."""
    rules = rules_of(rollout, live)
    if _unusable(rollout, live, rules) is not None:
        return ()
    operations: list[dict[str, Any]] = []
    for rule in rules:
        if any(share > 0 and name not in rule.places for name, share in desired.shares.items()):
            return ()
        operations += _operations(live, rule, weights_for(rule, desired.shares))
    return (Change(Verb.JSON_PATCH, target, operations),) if operations else ()


def weights_for(rule: Rule, shares: Mapping[str, int]) -> list[int]:
    """The weights of a rule for a split, by place.

    The sum of ours stays, unless it is too small to say the split: then all weights of the rule,
    foreign ones too, grow by one factor, which changes no proportion between them.
    """
    ours = sum(rule.weights[place] for places in rule.places.values() for place in places)
    asked = {name: shares.get(name, 0) for name in rule.places}
    factor, spread = 1, _spread(max(ours, 1), asked)
    if not _alike(generated.parts(spread), asked, within=COARSEST):
        factor = -(-scalars.PARTS // max(ours, 1))
        spread = _spread(max(ours, 1) * factor, asked)
    weights = [weight * factor for weight in rule.weights]
    for name, weight in spread.items():
        first, *rest = rule.places[name]
        weights[first] = weight
        for place in rest:
            weights[place] = 0
    return weights


def _spread(total: int, shares: Mapping[str, int]) -> dict[str, int]:
    """`total` in the proportion of shares; who has a share at all keeps at least one."""
    whole = sum(shares.values())
    if whole <= 0:
        return dict.fromkeys(shares, 0)
    exact = {name: total * share / whole for name, share in shares.items()}
    weights = {name: int(value) for name, value in exact.items()}
    order = sorted(exact, key=lambda name: (weights[name] - exact[name], name))
    for name in order[: total - sum(weights.values())]:
        weights[name] += 1
    for name in (name for name, share in shares.items() if share > 0 and weights[name] == 0):
        largest = max(weights, key=lambda other: weights[other])
        if weights[largest] > 1:
            weights[largest], weights[name] = weights[largest] - 1, 1
    return weights


def rules_of(rollout: Rollout, route: Json) -> list[Rule]:
    """The rules that refer to two or more of our versions."""
    names = {
        (version.service.name, version.service.port): version.name
        for version in rollout.spec.versions
    }
    found = []
    for index, rule in enumerate((route.get("spec") or {}).get("rules") or ()):
        made = _rule(index, rule, names, namespace=rollout.namespace)
        if len(made.places) > 1:
            found.append(made)
    return found


def _rule(index: int, rule: Json, names: Mapping[tuple[str, int], str], *, namespace: str) -> Rule:
    places: dict[str, tuple[int, ...]] = {}
    foreign, weights = [], []
    for place, backend in enumerate(rule.get("backendRefs") or ()):
        weights.append(int(backend.get("weight", 1)))
        here = (backend.get("namespace") or namespace) == namespace
        is_service = (backend.get("kind") or "Service") == "Service" and not backend.get("group")
        version = names.get((backend["name"], backend.get("port", 0)))
        if version is None or not here or not is_service:
            foreign.append(place)
        else:
            places[version] = (*places.get(version, ()), place)
    return Rule(index, places, tuple(weights), tuple(foreign))


def _unusable(rollout: Rollout, route: Json, rules: Sequence[Rule]) -> Reason | None:
    name = f"{route.get('kind', 'HTTPRoute')} {route['metadata']['name']}"
    if not rules:
        return Reason(Code.NO_MATCHING_RULE, _no_rule(rollout, route, name))
    for rule in rules:
        if route["spec"]["rules"][rule.index].get("sessionPersistence"):
            return Reason(
                Code.SESSION_PERSISTENCE,
                f"rule {rule.index + 1} of {name} keeps sessions on one backend, which outranks "
                "weights: remove `sessionPersistence` for the rollout",
            )
        if rollout.spec.target not in rule.places:
            return Reason(
                Code.NO_MATCHING_RULE,
                f"rule {rule.index + 1} of {name} refers to {', '.join(sorted(rule.places))} but "
                f"not to the target {rollout.spec.target}: add its Service with weight 0",
            )
    return None


def _no_rule(rollout: Rollout, route: Json, name: str) -> str:
    backends = sorted(
        {
            f"{backend['name']}:{backend.get('port', '?')}"
            for rule in (route.get("spec") or {}).get("rules") or ()
            for backend in rule.get("backendRefs") or ()
        }
    )
    wanted = ", ".join(
        f"{version.service.name}:{version.service.port}" for version in rollout.spec.versions
    )
    return (
        f"no rule of {name} refers to two or more of the versions ({wanted}); found "
        f"{', '.join(backends) or 'no backends'}: list both versions in one rule, the new one with "
        "weight 0"
    )


def _alike(one: Mapping[str, int], two: Mapping[str, int], *, within: int) -> bool:
    """Whether two splits are the same, but for rounding."""
    return all(abs(one.get(name, 0) - two.get(name, 0)) <= within for name in {*one, *two})


def _operations(live: Json, rule: Rule, weights: Sequence[int]) -> Iterable[dict[str, Any]]:
    backends = live["spec"]["rules"][rule.index]["backendRefs"]
    root = f"/spec/rules/{rule.index}/backendRefs"
    for place, (backend, weight) in enumerate(zip(backends, weights, strict=True)):
        if int(backend.get("weight", 1)) == weight:
            continue
        yield {"op": "test", "path": f"{root}/{place}/name", "value": backend["name"]}
        if "weight" in backend:
            yield {"op": "test", "path": f"{root}/{place}/weight", "value": backend["weight"]}
        yield {"op": "add", "path": f"{root}/{place}/weight", "value": weight}
