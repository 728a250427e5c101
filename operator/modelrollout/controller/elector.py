"""Who leads: a Lease, renewed while we live.

A holder is dead when its record has not changed for the Lease's length *as we have seen it*; the
times it wrote are never compared with our clock. The write gate is open only while the Lease is
surely ours: it is closed before anybody else can take it.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any, Final

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.adapters.gate import Gate

log = logging.getLogger(__name__)

LENGTH_S: Final = 15.0
RENEW_EVERY_S: Final = 2.0
_CALL_S: Final = 3.0
_ABSENT: Final = 404

Record = dict[str, Any]


class Elector:
    """One candidate for the Lease."""

    def __init__(
        self, apiserver: Apiserver, *, gate: Gate, namespace: str, name: str, identity: str
    ) -> None:
        self._apiserver, self._gate, self._identity = apiserver, gate, identity
        self._namespace, self._name = namespace, name
        self._seen: Record | None = None
        self._seen_at = 0.0
        self.leads = False
        """Whether the Lease is ours."""

    async def acquire(self) -> None:
        """Returns once the Lease is ours."""
        while not await self._tried():  # noqa: ASYNC110 - a Lease is asked for, nobody tells
            await asyncio.sleep(RENEW_EVERY_S)
        self.leads = True
        log.info("this replica leads", extra={"identity": self._identity})

    async def hold(self) -> None:
        """Renews the Lease; returns when it is lost, the gate being closed by then."""
        while self._gate.is_open:
            await asyncio.sleep(RENEW_EVERY_S)
            if not await self._tried() and self._others():
                break
        self._gate.close()
        self.leads = False
        log.warning("the Lease is lost: nothing is written any more")

    async def release(self) -> None:
        """Gives the Lease back, so that a standby need not wait for its end."""
        self._gate.close()
        if not self.leads or self._seen is None:
            return
        self.leads = False
        record = {**self._seen, "spec": {**self._seen["spec"], "holderIdentity": ""}}
        try:
            await self._apiserver.lease("PUT", self._path(), record, timeout_s=_CALL_S)
        except ApiError as problem:
            log.warning("the Lease could not be given back: %s", problem)

    def _others(self) -> bool:
        holder = (self._seen or {}).get("spec", {}).get("holderIdentity")
        return holder not in {"", None, self._identity}

    async def _tried(self) -> bool:
        started = time.monotonic()
        try:
            record = await self._read()
            if not self._free(record):
                return False
            self._note(await self._written(record))
        except ApiError as problem:
            log.log(
                logging.DEBUG if problem.is_conflict else logging.WARNING,
                "the Lease could not be taken or renewed: %s",
                problem,
            )
            return False
        self._gate.open_until(started + LENGTH_S)
        return True

    async def _read(self) -> Record | None:
        try:
            record = await self._apiserver.lease("GET", self._path(), None, timeout_s=_CALL_S)
        except ApiError as problem:
            if problem.status == _ABSENT:
                return None
            raise
        if self._seen is None or _version(self._seen) != _version(record):
            self._note(record)
        return record

    def _note(self, record: Record) -> None:
        self._seen, self._seen_at = record, time.monotonic()

    def _free(self, record: Record | None) -> bool:
        holder = (record or {}).get("spec", {}).get("holderIdentity")
        if not holder or holder == self._identity:
            return True
        return time.monotonic() - self._seen_at > LENGTH_S

    async def _written(self, record: Record | None) -> Record:
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (record or {}).get("spec", {})
        mine = old.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(LENGTH_S),
            "renewTime": stamp,
            "acquireTime": old.get("acquireTime", stamp) if mine else stamp,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (not mine),
        }
        if record is None:
            metadata = {"namespace": self._namespace, "name": self._name}
            body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
            return await self._apiserver.lease(
                "POST",
                path_of(kinds.LEASE, self._namespace),
                {**body, "spec": spec},
                timeout_s=_CALL_S,
            )
        return await self._apiserver.lease(
            "PUT", self._path(), {**record, "spec": spec}, timeout_s=_CALL_S
        )

    def _path(self) -> str:
        return path_of(kinds.LEASE, self._namespace, self._name)


def _version(record: Record) -> str:
    return str(record["metadata"].get("resourceVersion"))
