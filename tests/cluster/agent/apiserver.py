"""A small client of the Kubernetes API: plain dicts, and a watch that never ends."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster import access

Json = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"
_WATCH_FOR_S = 290
_RELIST_AFTER_S = 0.5
_TRIES = 5


class ApiError(Exception):
    """The apiserver refused a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects there are now; what was known before and is not among them is gone."""

    items: list[Json]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object was added, modified, or (`deleted`) is gone."""

    item: Json
    deleted: bool


class Api:
    """One connection pool to the apiserver, verified, as one user."""

    def __init__(self, server: str, *, token: str, authority: str) -> None:
        trust = ssl.create_default_context(cadata=authority)
        self._session = aiohttp.ClientSession(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=15),
        )

    @classmethod
    def from_kubeconfig(cls, path: Path) -> "Api":
        """The client for a kubeconfig that `access.kubeconfig` wrote."""
        login = access.Login.from_kubeconfig(path.read_text())
        return cls(login.server, token=login.token, authority=login.authority)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, path: str) -> Json:
        """The object at `path`. Raises `ApiError`, as the other calls do."""
        return await self._call("GET", path)

    async def post(self, path: str, body: Json) -> Json:
        """Create."""
        return await self._call("POST", path, body)

    async def patch(self, path: str, body: Json) -> Json:
        """Merge-patch: lists are replaced whole."""
        return await self._call("PATCH", path, body, content_type=MERGE_PATCH)

    async def delete(self, path: str, body: Json) -> Json:
        """Delete, with options as the body."""
        return await self._call("DELETE", path, body)

    async def follow(self, path: str) -> AsyncIterator[Listed | Changed]:
        """A collection's objects and all their changes, for ever; lists anew after trouble."""
        while True:
            try:
                found = await self.get(path)
                yield Listed(found["items"])
                async for change in self._watch(path, found["metadata"]["resourceVersion"]):
                    yield change
            except (ApiError, aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(_RELIST_AFTER_S)

    async def _watch(self, path: str, version: str) -> AsyncIterator[Changed]:
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH_FOR_S)}
        forever = aiohttp.ClientTimeout(total=None, sock_read=_WATCH_FOR_S + 10)
        async with self._session.get(path, params=query, timeout=forever) as answer:
            buffer = b""
            async for chunk in answer.content.iter_any():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise ApiError(event["object"]["code"], event["object"]["message"])
                    yield Changed(event["object"], deleted=event["type"] == "DELETED")

    async def _call(
        self, method: str, path: str, body: Json | None = None, *, content_type: str | None = None
    ) -> Json:
        # A pod must not be lost for a connection that broke: such a request is made again.
        for _ in range(_TRIES):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                return await self._call_once(method, path, body, content_type=content_type)
            await asyncio.sleep(_RELIST_AFTER_S)
        raise ApiError(503, f"{method} {path}: no answer in {_TRIES} tries")

    async def _call_once(
        self, method: str, path: str, body: Json | None, *, content_type: str | None
    ) -> Json:
        headers = {"Content-Type": content_type} if content_type else {}
        async with self._session.request(method, path, json=body, headers=headers) as answer:
            found: Json = await answer.json(content_type=None)
            if answer.status >= 400:
                raise ApiError(answer.status, found.get("message", ""))
            return found
