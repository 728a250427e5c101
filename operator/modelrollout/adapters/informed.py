"""Objects that the watches keep fresh: read once, and then only when somebody changed them.

A thousand rollouts look every half minute, and what stands behind them hardly ever changes: read
anew in every pass it is most of an apiserver's work. What a watch brings is kept beside what was
read, for objects that rollouts refer to and for no others. A watch that lost events, or died
unseen, is made good by age: nothing kept is used for longer than `FRESH_S`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import path_of
from modelrollout.routing.contract import Kind

Json = dict[str, Any]

FRESH_S: Final = 240.0
SERVICE_OF_SLICE: Final = "kubernetes.io/service-name"
_KEPT: Final = frozenset({kinds.SERVICE, *kinds.WORKLOADS.values()})


class Reads(Protocol):
    """Reading from the cluster, from memory or not."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        """An object; None where there is none."""

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """All objects of a collection, as new as the events that wake us."""


@dataclass(slots=True)
class _Known:
    """What is known of one object, or of the endpoints of one Service (by name of the slice)."""

    at: float
    objects: dict[str, Json] = field(default_factory=dict)


class Informed:
    """Reads of one apiserver, with what its watches told."""

    def __init__(
        self, apiserver: Reads, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._apiserver, self._monotonic = apiserver, monotonic
        self._known: dict[str, _Known] = {}
        self._reading: dict[str, int] = {}
        self._disturbed: set[str] = set()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        """An object as last seen; read when nothing fresh is known of it.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        if query:
            return await self._apiserver.get(path, query)
        if (known := self._fresh(path)) is not None:
            return known.objects.get("")
        with self._read(path) as reading:
            found = await self._apiserver.get(path)
            if found is not None and not reading.disturbed:
                # What does not exist is asked for again: its creation may concern nobody yet.
                self._keep(path, {"": found})
            return found

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        """Objects of a collection; the slices of one Service from memory where they are fresh.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        chosen = (query or {}).get("labelSelector", "")
        if not chosen.startswith(f"{SERVICE_OF_SLICE}="):
            return await self._apiserver.cached(path, query)
        key = f"{path}?{chosen}"
        if (known := self._fresh(key)) is not None:
            return list(known.objects.values())
        with self._read(key) as reading:
            found = await self._apiserver.cached(path, query)
            if not reading.disturbed:
                self._keep(key, {piece["metadata"]["name"]: piece for piece in found})
            return found

    def saw(self, kind: Kind, body: Json, *, deleted: bool) -> None:
        """A watch brought an object that some rollout refers to."""
        metadata = body["metadata"]
        if kind in _KEPT:
            key, name = path_of(kind, metadata["namespace"], metadata["name"]), ""
        elif kind == kinds.SLICE:
            service = (metadata.get("labels") or {}).get(SERVICE_OF_SLICE, "")
            key = f"{path_of(kind, metadata['namespace'])}?{SERVICE_OF_SLICE}={service}"
            name = metadata["name"]
        else:
            return
        if key in self._reading:
            self._disturbed.add(key)
        if (known := self._known.get(key)) is None:
            return
        if deleted:
            known.objects.pop(name, None)
            if not name:
                self._known.pop(key)
        elif _is_newer(body, known.objects.get(name)):
            known.objects[name] = body

    @property
    def size(self) -> int:
        """How many objects, and Services' endpoints, are kept."""
        return len(self._known)

    def _fresh(self, key: str) -> _Known | None:
        known = self._known.get(key)
        if known is None or self._monotonic() - known.at > FRESH_S:
            self._known.pop(key, None)
            return None
        return known

    def _keep(self, key: str, objects: dict[str, Json]) -> None:
        now = self._monotonic()
        # In the order of age: what no rollout asks for any more goes as it gets old.
        while self._known and now - (oldest := next(iter(self._known.items())))[1].at > FRESH_S:
            del self._known[oldest[0]]
        self._known.pop(key, None)
        self._known[key] = _Known(now, objects)

    @contextmanager
    def _read(self, key: str) -> Iterator["_Reading"]:
        self._reading[key] = self._reading.get(key, 0) + 1
        try:
            yield _Reading(key, self._disturbed)
        finally:
            self._reading[key] -= 1
            if not self._reading[key]:
                del self._reading[key]
                self._disturbed.discard(key)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One read under way."""

    key: str
    among: set[str]

    @property
    def disturbed(self) -> bool:
        """An event about it came meanwhile: which of both is newer is not known."""
        return self.key in self.among


def _is_newer(body: Json, known: Json | None) -> bool:
    """By resourceVersion, which numbers all writes of a kind in their order."""
    if known is None:
        return True
    new, old = (one["metadata"].get("resourceVersion", "") for one in (body, known))
    return not (new.isdigit() and old.isdigit()) or int(new) > int(old)
