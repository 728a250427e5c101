"""The rollouts as stored, and what their Envoys are to have: a watch fills it, requests read it."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelrollout.domain.transitions import Phase
from modelrollout.routing.router import snapshot
from modelrollout.routing.router.snapshot import Snapshot

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""Namespace and name of a rollout."""
Json = Mapping[str, Any]


@dataclass(slots=True)
class _Place:
    """One rollout's place: what is stored, rendered when somebody asks."""

    live: Json | None = None
    stamp: tuple[object, ...] = ()
    rendered: Snapshot | None = None
    is_rendered: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Shelf:
    """All rollouts that are known to this replica."""

    def __init__(self) -> None:
        self._places: dict[Key, _Place] = {}

    def put(self, live: Json) -> None:
        """A rollout as stored; whoever waits for it is woken when something of it is news."""
        metadata = live["metadata"]
        place = self._places.setdefault((metadata["namespace"], metadata["name"]), _Place())
        stamp = _stamp(live)
        if stamp == place.stamp or _is_older(live, place.live):
            return
        place.live, place.stamp, place.is_rendered = live, stamp, False
        _wake(place)

    def drop(self, key: Key) -> None:
        """A rollout is gone: its Envoys keep what they have."""
        if (place := self._places.pop(key, None)) is not None:
            _wake(place)

    def snapshot(self, key: Key) -> Snapshot | None:
        """What the Envoys of a rollout are to have; None where nothing can be said."""
        place = self._places.get(key)
        if place is None:
            return None
        if not place.is_rendered:
            found = self._rendered(key, place.live)
            place.rendered = (
                snapshot.after(place.rendered, found) if found else _kept(place, place.live)
            )
            place.is_rendered = True
        return place.rendered

    async def news(self, key: Key, *, within_s: float) -> None:
        """Returns when a rollout changed, or after a while."""
        place = self._places.setdefault(key, _Place())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(place.changed.wait(), within_s)

    def _rendered(self, key: Key, live: Json | None) -> Snapshot | None:
        if live is None:
            return None
        try:
            return snapshot.of(live)
        except ValueError as problem:
            log.warning(
                "no configuration follows from what is stored; Envoys keep what they have: %s",
                str(problem)[:300],
                extra={"rollout": "/".join(key)},
            )
            return None


def _wake(place: _Place) -> None:
    """Wakes all that wait now; who comes later waits for the next change."""
    waiting, place.changed = place.changed, asyncio.Event()
    waiting.set()


def _kept(place: _Place, live: Json | None) -> Snapshot | None:
    """The last good one, where what is stored now cannot be served: an Envoy may start any time."""
    return place.rendered if live is not None else None


def _is_older(live: Json, known: Json | None) -> bool:
    """Whether a watch brings what was overtaken by a write of our own."""
    if known is None or live["metadata"].get("uid") != known["metadata"].get("uid"):
        return False
    new, old = (str(one["metadata"].get("resourceVersion", "")) for one in (live, known))
    return new.isdigit() and old.isdigit() and int(new) < int(old)


def _stamp(live: Json) -> tuple[object, ...]:
    """What a configuration depends on; a status is written far more often than it changes."""
    metadata, status = live["metadata"], live.get("status") or {}
    decision = status.get("decision") or {}
    return (
        metadata.get("uid"),
        metadata.get("generation"),
        status.get("observedGeneration"),
        status.get("uid"),
        status.get("phase") == Phase.TERMINATING,
        (status.get("stable") or {}).get("name"),
        repr(sorted(decision.items(), key=lambda item: item[0])),
    )
