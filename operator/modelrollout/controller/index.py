"""Which rollouts a changed object concerns.

Watches deliver objects of all users; only names that some rollout refers to matter. What a rollout
wrote itself is not news: its own status write comes back by the watch and is passed over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.controller.queue import Key

Name = tuple[str, str, str]
"""Kind, namespace and name of an object."""


@dataclass(slots=True)
class Index:
    """Names of objects and the rollouts that refer to them."""

    _of_key: dict[Key, frozenset[Name]] = field(default_factory=dict)
    _of_name: dict[Name, set[Key]] = field(default_factory=dict)
    written: dict[Key, str] = field(default_factory=dict)
    """The resourceVersion that we last wrote, per rollout."""
    routers: set[Key] = field(default_factory=set)
    """Rollouts that a router was deployed for, also where they have another provider by now."""

    @property
    def keys(self) -> frozenset[Key]:
        """All rollouts that are known."""
        return frozenset(self._of_key)

    def put(self, key: Key, names: Iterable[Name]) -> None:
        """Notes what a rollout refers to, in place of what was noted before."""
        wanted = frozenset(names)
        if self._of_key.get(key) == wanted:
            return
        self._forget_names(key)
        self._of_key[key] = wanted
        for name in wanted:
            self._of_name.setdefault(name, set()).add(key)

    def drop(self, key: Key) -> None:
        """A rollout is gone."""
        self._forget_names(key)
        self._of_key.pop(key, None)
        self.written.pop(key, None)

    def concerned(self, name: Name) -> frozenset[Key]:
        """The rollouts that refer to an object."""
        return frozenset(self._of_name.get(name, ()))

    def _forget_names(self, key: Key) -> None:
        for name in self._of_key.get(key, ()):
            keys = self._of_name.get(name, set())
            keys.discard(key)
            if not keys:
                self._of_name.pop(name, None)


def names_of(namespace: str, spec: ModelRolloutSpec) -> set[Name]:
    """Services, endpoints and workloads that a spec refers to."""
    found: set[Name] = set()
    for version in spec.versions:
        kind, name = version.backend
        found.add((kind, namespace, name))
        if version.front is not None:
            found.add(("EndpointSlice", namespace, version.front.name))
        if version.workload is not None:
            found.add((version.workload.kind, namespace, version.workload.name))
    return found
