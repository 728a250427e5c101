"""How objects of the user's own list their backends: where, under which names, with what weights.

`owned` moves weights in any object whose shape stands here or beside its provider.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from modelrollout.routing import backends
from modelrollout.routing.contract import Rollout

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a kind of object.

    Attributes:
        rules: JSON pointers of the rules of an object, with the rules.
        listed: the field of a rule that lists its backends.
        named: fields of a backend that say which one it is; a patch tests them.
        version_of: the version that a backend leads to.
        weight_of: the weight of a backend among so many.
        address: a backend as a person writes it.
        sticky: the field of a rule that keeps users on one backend whatever the weights.
    """

    rules: Callable[[Json], Sequence[tuple[str, Json]]]
    listed: str
    named: tuple[str, ...]
    version_of: Callable[[Rollout, Json], str | None]
    weight_of: Callable[[Json, int], int]
    address: Callable[[Json], str]
    sticky: str = ""

    def backends(self, rule: Json) -> Sequence[Json]:
        """The backends of a rule."""
        found: Sequence[Json] = rule.get(self.listed) or ()
        return found


def _rules(route: Json) -> list[tuple[str, Json]]:
    found: Sequence[Json] = (route.get("spec") or {}).get("rules") or ()
    return [(f"/spec/rules/{index}", rule) for index, rule in enumerate(found)]


GATEWAY_API: Final = Shape(
    rules=_rules,
    listed="backendRefs",
    named=("group", "kind", "name", "port"),
    version_of=backends.version_of,
    weight_of=lambda backend, _: backends.weight_of(backend),
    address=backends.address,
    sticky="sessionPersistence",
)
"""HTTPRoutes and GRPCRoutes."""
