"""Envoy's REST discovery service: a request is held until there is news, and then answered.

Any replica answers, from what is stored; one that is asked with a newer edition than it knows says
nothing at all. Nobody learns anything without the token of the rollout's Envoys.
"""

import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from modelrollout.routing.router import credentials
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.snapshot import TYPES, Snapshot
from modelrollout.xds.offering import Envoys, Offer
from modelrollout.xds.shelf import Key, Shelf

log = logging.getLogger(__name__)

HOLD_S: Final = 20.0
"""Envoy gives a request up after 30 s."""
_MOST_BYTES: Final = 1024 * 1024
_LEAVE_S: Final = 0.5

Keyring = Callable[[], Awaitable[bytes | None]]
"""The operator's key; None while there is none."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood.

    Attributes:
        key: the rollout whose Envoy asks.
        node: the name of its pod.
        what: the type that it asks for.
        has: the edition in force.
        token: that it shows.
    """

    key: Key
    node: str
    what: str
    has: Edition | None
    token: object


class Discovery:
    """The endpoint that Envoys ask."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        keyring: Keyring,
        took_over: Callable[[Key], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shelf, self._keyring, self._took_over = shelf, keyring, took_over
        self._monotonic = monotonic
        self._envoys = Envoys()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, *, host: str | None = None) -> int:
        """Listens; gives the port, which the system chooses for 0.

        Raises:
            OSError: when the port is taken.
        """
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_post("/v3/discovery:{what}", self._discovery)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_LEAVE_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, host=host, port=port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listens no more; requests that are held are dropped, and asked of another replica."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _discovery(self, request: web.Request) -> web.Response:
        try:
            asked = understood(request.match_info["what"], await request.json())
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return web.Response(status=400, text=f"no discovery request of a router: {problem}")
        key = await self._keyring()
        if key is None:
            return web.Response(status=503, text="the operator is starting")
        namespace, name = asked.key
        right = credentials.token(key, namespace=namespace, name=name)
        if not credentials.is_right(asked.token, right):
            return web.Response(status=403, text="this is not the token of this router's Envoys")
        return await self._held(asked)

    async def _held(self, asked: Asked) -> web.Response:
        until = self._monotonic() + HOLD_S * random.uniform(0.8, 1.0)  # noqa: S311 - spreads load
        self._arrived(asked)
        while True:
            snapshot, now = self._shelf.snapshot(asked.key), self._monotonic()
            offer = self._envoys.offer(
                "/".join(asked.key),
                asked.node,
                asked.what,
                has=asked.has,
                snapshot=snapshot,
                now=now,
            )
            if offer.send and snapshot is not None:
                return web.json_response(_answer(asked.what, snapshot))
            left_s = until - now
            if left_s <= 0:
                return web.Response(status=304)
            await self._shelf.news(asked.key, within_s=min(left_s, offer.look_again_s or left_s))

    def _arrived(self, asked: Asked) -> None:
        offer: Offer = self._envoys.arrived(
            "/".join(asked.key),
            asked.node,
            asked.what,
            has=asked.has,
            snapshot=self._shelf.snapshot(asked.key),
        )
        if offer.refused:
            log.warning(
                "an Envoy refuses what it was sent and keeps its last good configuration",
                extra={"rollout": "/".join(asked.key), "envoy": asked.node, "type": asked.what},
            )
        if asked.what == "routes" and (offer.took_over or offer.refused):
            self._took_over(asked.key)


def understood(what: str, body: Any) -> Asked:
    """A request as Envoy sends it.

    Raises:
        ValueError: for a type that is not served, or a node that says not whose it is.
        KeyError, TypeError, AttributeError: for a body of another shape.
    """
    if what not in TYPES:
        raise ValueError(f"expected one of {', '.join(TYPES)}, found {what[:40]!r}")
    node = body["node"]
    namespace, slash, name = node["cluster"].partition("/")
    if not (namespace and slash and name):
        raise ValueError("expected node.cluster as namespace/name of a rollout")
    return Asked(
        key=(namespace, name),
        node=str(node.get("id", ""))[:253],
        what=what,
        has=Edition.parsed(str(body.get("version_info", ""))),
        token=(node.get("metadata") or {}).get("token"),
    )


def _answer(what: str, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "version_info": str(snapshot.edition),
        "type_url": TYPES[what],
        "resources": list(snapshot.resources[what]),
    }
