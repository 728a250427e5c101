"""What the Envoys of a router say to be in force, asked of every one that is ready."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from modelrollout.adapters import informed, kinds
from modelrollout.adapters.apiserver import path_of
from modelrollout.adapters.informed import Reads
from modelrollout.routing.router import answers, bootstrap, naming
from modelrollout.routing.router.answers import Answer

Json = Mapping[str, Any]

_PATIENCE_S: Final = 1.0
_MOST_BYTES: Final = 65_536


class Envoys:
    """Asks Envoys."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, namespace: str, service: str) -> Sequence[Answer]:
        """The answers of all ready Envoys behind a router's own Service, by name of the pod.

        One that does not answer in a second is among them, with the reason.

        Raises:
            ApiError: when the apiserver does not say where they are.
        """
        slices = await self._reads.cached(
            path_of(kinds.SLICE, namespace),
            {"labelSelector": f"{informed.SERVICE_OF_SLICE}={service}"},
        )
        where = dict(_ready(slices))
        found = await asyncio.gather(*(self._ask(name, at) for name, at in where.items()))
        return sorted(found, key=lambda answer: answer.name)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, name: str, address: str) -> Answer:
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{naming.STATS_PORT}{bootstrap.EDITIONS}"
        try:
            async with self._client().get(url) as answer:
                body = await answer.content.read(_MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            return Answer(name, problem=f"{type(problem).__name__} {problem}".strip())
        if answer.status != HTTPStatus.OK:
            return Answer(name, problem=f"it answers {answer.status}")
        return answers.parsed(name, body)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Envoys come and go: a connection is worth less than knowing that one answers.
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                trust_env=False,
            )
        return self._session


def _ready(slices: Sequence[Json]) -> Sequence[tuple[str, str]]:
    return [
        ((endpoint.get("targetRef") or {}).get("name") or address, address)
        for piece in slices
        for endpoint in piece.get("endpoints") or ()
        for address in (endpoint.get("addresses") or ())[:1]
        if (endpoint.get("conditions") or {}).get("ready", True)
    ]
