"""The mirror's front: plain HTTP, fed by a gateway that copies requests and throws answers away."""

import asyncio
from collections.abc import Mapping

from aiohttp import web

from modelrollout.shadow.serving import comparing, taking

_BODY_S = 10.0


class Mirror:
    """Answers 204 as soon as a copy is in hand or dropped; nobody waits for a comparison."""

    def __init__(self, door: taking.Door, comparer: comparing.Comparer) -> None:
        self._door, self._comparer = door, comparer
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port.

        Raises:
            OSError: when the port is taken.
        """
        # Not an application with a router: every path is a copy's.
        self._runner = web.ServerRunner(web.Server(self._copied, access_log=None))
        await self._runner.setup()
        site = web.TCPSite(self._runner, host=host, port=port, backlog=1024)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _copied(self, request: web.BaseRequest) -> web.Response:
        taken = self._door.take(
            method=request.method,
            path=request.raw_path,
            headers=_lower(request.headers),
            size=request.content_length,
        )
        if taken is None:
            return web.Response(status=204)
        body = await self._body(request, taken)
        if body is not None:
            headers = list(request.headers.items())
            self._comparer.put(comparing.Copy(taken, request.raw_path, headers, body))
        return web.Response(status=204)

    async def _body(self, request: web.BaseRequest, taken: taking.Taken) -> bytes | None:
        """The whole body, or None: then the copy is let go and counted."""
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_S):
                while chunk := await request.content.readany():
                    size += len(chunk)
                    if size > self._door.rules.most_bytes:
                        self._door.let_go(taken, taking.Drop.TOO_LARGE)
                        return None
                    if not taken.claim.grow(len(chunk)):
                        self._door.let_go(taken, taking.Drop.BYTES_FULL)
                        return None
                    chunks.append(chunk)
        except (TimeoutError, OSError, ValueError, asyncio.CancelledError, web.HTTPException):
            self._door.let_go(taken, taking.Drop.CUT_OFF)
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
