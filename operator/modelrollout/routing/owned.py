"""Objects that the user owns: only weights move, only in rules of ours, and their sum stays.

A rule is ours when it refers to two or more of our versions. A change is a JSON patch whose `test`
operations name the backends and weights that were read, so that an edit in between is never undone.
A rule that lacks a version which is to serve stays as it is, and so does one in which all our
versions were switched off while others serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import backends, shapes
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb
from modelrollout.routing.shapes import Shape

Json = Mapping[str, Any]

COARSEST: Final = 50
"""Parts of ten thousand by which the weight of a version may miss its share, and"""
CLOSEST: Final = 10
"""the share of itself, one in this many: a step of 0.1 % must not become one of 0.5 %."""
MOST: Final = 1_000_000
"""The largest weight that the Gateway API knows."""
_FINE_ENOUGH: Final = 100
_TOLD: Final = 4


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of ours.

    Attributes:
        index: its place in the object.
        pointer: JSON pointer of the list of its backends.
        listed: its backends as they are written.
        places: per version, the places of its backends among these.
        weights: of all backends, by place.
        sticky: it keeps users on one backend.
    """

    index: int
    pointer: str
    listed: tuple[Json, ...]
    places: Mapping[str, tuple[int, ...]]
    weights: tuple[int, ...]
    sticky: bool = False

    @property
    def sums(self) -> dict[str, int]:
        """The weight of each version, foreign backends left out."""
        return {
            name: sum(self.weights[place] for place in places)
            for name, places in self.places.items()
        }

    @property
    def is_off(self) -> bool:
        """Whether others serve here and none of our versions does."""
        return not any(self.sums.values()) and any(self.weights)


def split(
    rollout: Rollout, routes: Sequence[Json], *, shape: Shape = shapes.GATEWAY_API
) -> tuple[dict[str, int] | None, Reason | None]:
    """The split on which all rules of all routes agree; why it cannot be read, if so."""
    found: list[tuple[str, dict[str, int]]] = []
    for route in routes:
        rules = rules_of(rollout, route, shape=shape)
        problem = _unusable(rollout, route, rules, shape)
        if problem is not None:
            return None, problem
        found += [(_place(route, rule), backends.parts(rule.sums)) for rule in rules]
    first = found[0][1]
    if any(not _alike(shares, first) for _, shares in found):
        return None, _contradict(found)
    return first, None


def render(
    rollout: Rollout,
    desired: Desired,
    target: Reference,
    live: Json,
    *,
    shape: Shape = shapes.GATEWAY_API,
) -> Sequence[Change]:
    """One patch of all weights that differ, in every rule that can carry the split."""
    serving = {name for name, share in desired.shares.items() if share > 0}
    operations = [
        operation
        for rule in rules_of(rollout, live, shape=shape)
        if serving <= rule.places.keys()
        for operation in _operations(rule, weights_for(rule, desired.shares), shape)
    ]
    return (Change(Verb.JSON_PATCH, target, operations),) if operations else ()


def weights_for(rule: Rule, shares: Mapping[str, int]) -> list[int]:
    """The weights of a rule for a split, by place.

    The sum of ours stays, unless it is too small to say the split: then all weights of the rule,
    foreign ones too, grow by one factor, which changes no proportion between them. Where foreign
    weights leave no room for that, the rule stays as it is: a small step must not become large.
    """
    asked = {name: shares.get(name, 0) for name in rule.places}
    ours, factor = max(sum(rule.sums.values()), 1), 1
    spread = backends.apportioned(ours, asked)
    if not _expresses(spread, asked):
        factor = _factor(rule)
        spread = backends.apportioned(ours * factor, asked)
        if ours * factor < scalars.PARTS and not _expresses(spread, asked):
            return list(rule.weights)
    weights = [weight * factor for weight in rule.weights]
    for name, weight in spread.items():
        first, *rest = rule.places[name]
        weights[first] = weight
        for place in rest:
            weights[place] = 0
    return weights


def _factor(rule: Rule) -> int:
    """By how much the weights of a rule grow, so that its sum can say every split."""
    ours = max(sum(rule.sums.values()), 1)
    room = MOST // max(*rule.weights, ours)
    return max(min(-(-scalars.PARTS // ours), room), 1)


def _expresses(spread: Mapping[str, int], asked: Mapping[str, int]) -> bool:
    """Whether weights say a split, as closely as it matters."""
    said = backends.parts(spread)
    return all(
        abs(said.get(name, 0) - share) <= min(COARSEST, share / CLOSEST)
        for name, share in asked.items()
    )


def rules_of(rollout: Rollout, route: Json, *, shape: Shape = shapes.GATEWAY_API) -> list[Rule]:
    """The rules that refer to two or more of our versions, and in which they are not off."""
    made = [
        _rule(rollout, index, pointer, rule, shape)
        for index, (pointer, rule) in enumerate(shape.rules(route))
    ]
    return [rule for rule in made if len(rule.places) > 1 and not rule.is_off]


def _rule(rollout: Rollout, index: int, pointer: str, rule: Json, shape: Shape) -> Rule:
    places: dict[str, tuple[int, ...]] = {}
    listed = tuple(shape.backends(rule))
    for place, backend in enumerate(listed):
        version = shape.version_of(rollout, backend)
        if version is not None:
            places[version] = (*places.get(version, ()), place)
    return Rule(
        index,
        f"{pointer}/{shape.listed}",
        listed,
        places,
        tuple(shape.weight_of(backend, len(listed)) for backend in listed),
        sticky=bool(shape.sticky and rule.get(shape.sticky)),
    )


def _unusable(rollout: Rollout, route: Json, rules: Sequence[Rule], shape: Shape) -> Reason | None:
    if not rules:
        return Reason(Code.NO_MATCHING_RULE, _no_rule(rollout, route, shape))
    for rule in rules:
        if rule.sticky:
            return sticks(_place(route, rule), shape.sticky)
        if max(sum(rule.sums.values()), 1) * _factor(rule) < _FINE_ENOUGH:
            return Reason(
                Code.NO_MATCHING_RULE,
                f"{_place(route, rule)} gives other backends weights of up to {max(rule.weights)}, "
                "beside which those of the versions cannot say one percent: divide all its weights "
                "by a common factor, or give the versions larger ones",
            )
        if rollout.spec.target not in rule.places:
            return Reason(
                Code.NO_MATCHING_RULE,
                f"{_place(route, rule)} refers to {', '.join(sorted(rule.places))} but "
                f"not to the target {rollout.spec.target}: add its Service with weight 0",
            )
    return None


def sticks(where: str, field: str) -> Reason:
    """Why weights mean nothing where users are kept on one backend."""
    return Reason(
        Code.SESSION_PERSISTENCE,
        f"{where} keeps sessions on one backend, which outranks weights: remove `{field}` for the "
        "rollout",
    )


def _no_rule(rollout: Rollout, route: Json, shape: Shape) -> str:
    found = sorted(
        {
            shape.address(backend)
            for _, rule in shape.rules(route)
            for backend in shape.backends(rule)
        }
    )
    wanted = ", ".join(backends.expected(version) for version in rollout.spec.versions)
    return (
        f"no rule of {_name(route)} sends requests to two or more of the versions ({wanted}); "
        f"found {', '.join(found) or 'no backends'}: list both versions in one rule, the new one "
        "with weight 0"
    )


def _contradict(found: Sequence[tuple[str, Mapping[str, int]]]) -> Reason:
    said = "; ".join(f"{place}: {backends.told(shares)}" for place, shares in found[:_TOLD])
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return Reason(Code.SPLIT_CONTRADICTS, f"the rules disagree about the split: {said}{more}")


def _name(route: Json) -> str:
    return f"{route.get('kind', 'HTTPRoute')} {route['metadata']['name']}"


def _place(route: Json, rule: Rule) -> str:
    return f"rule {rule.index + 1} of {_name(route)}"


def _alike(one: Mapping[str, int], two: Mapping[str, int]) -> bool:
    """Whether two splits are the same, but for the rounding of either."""
    return all(abs(one.get(name, 0) - two.get(name, 0)) <= 2 * COARSEST for name in {*one, *two})


def _operations(rule: Rule, weights: Sequence[int], shape: Shape) -> list[dict[str, Any]]:
    """Tests of all our backends in the rule, then the weights that differ."""
    changed = [place for place, weight in enumerate(weights) if rule.weights[place] != weight]
    if not changed:
        return []
    ours = {place for places in rule.places.values() for place in places}
    return [
        {
            "op": "test",
            "path": f"{rule.pointer}/{place}/{field}",
            "value": rule.listed[place][field],
        }
        for place in sorted({*ours, *changed})
        for field in (*shape.named, "weight")
        if field in rule.listed[place]
    ] + [
        {"op": "add", "path": f"{rule.pointer}/{place}/weight", "value": weights[place]}
        for place in changed
    ]
