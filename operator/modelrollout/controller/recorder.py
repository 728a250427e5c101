"""Events on rollouts: transitions only, repeated ones as a series, never holding up a pass."""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any, Final

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.adapters.gate import GateClosedError
from modelrollout.domain.planned import Event

log = logging.getLogger(__name__)

REPORTER: Final = "modelrollout.dev/operator"
_WAITING: Final = 1000
_REMEMBERED: Final = 2000
_NOTE: Final = 1000

Json = dict[str, Any]


class Recorder:
    """Writes events in the background; when too many wait, the newest are dropped and counted."""

    def __init__(self, apiserver: Apiserver, *, instance: str) -> None:
        self._apiserver, self._instance = apiserver, instance
        self._waiting: asyncio.Queue[tuple[Json, Event]] = asyncio.Queue(_WAITING)
        self._known: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()
        self.dropped = 0

    def tell(self, rollout: Json, event: Event) -> None:
        """Notes an event; returns at once."""
        try:
            self._waiting.put_nowait((rollout, event))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Writes what was noted, for ever."""
        while True:
            rollout, event = await self._waiting.get()
            try:
                await self._write(rollout, event)
            except (ApiError, GateClosedError) as problem:
                log.warning("an event could not be written: %s", problem)
            finally:
                self._waiting.task_done()

    async def flush(self, *, within_s: float) -> None:
        """Waits until what was noted is written, but no longer than `within_s`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), within_s)

    async def _write(self, rollout: Json, event: Event) -> None:
        metadata = rollout["metadata"]
        key = (metadata["uid"], event.reason.code, event.reason.sentence)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        known = self._known.get(key)
        if known is not None:
            name, count = known
            series = {"count": count + 1, "lastObservedTime": stamp}
            with contextlib.suppress(ApiError):
                await self._apiserver.merge(
                    path_of(kinds.EVENT, metadata["namespace"], name), {"series": series}
                )
                self._remember(key, name, count + 1)
                return
        made = await self._apiserver.create(
            path_of(kinds.EVENT, metadata["namespace"]), self._body(metadata, event, stamp=stamp)
        )
        self._remember(key, made["metadata"]["name"], 1)

    def _remember(self, key: tuple[str, ...], name: str, count: int) -> None:
        self._known[key] = (name, count)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _body(self, metadata: Json, event: Event, *, stamp: str) -> Json:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "generateName": f"{metadata['name'][:200]}-",
                "namespace": metadata["namespace"],
            },
            "eventTime": stamp,
            "reportingController": REPORTER,
            "reportingInstance": self._instance[:128],
            "action": str(event.reason.code)[:128],
            "reason": str(event.reason.code)[:128],
            "type": str(event.type),
            "note": event.reason.sentence[:_NOTE],
            "regarding": {
                "apiVersion": "modelrollout.dev/v1alpha1",
                "kind": "ModelRollout",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
        }
